/* demo_down.c - `assent demo down` and `assent demo status` (demo.h). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/demo.h"

#define STOP_TIMEOUT_MS 20000

static bool stop_all(const struct demo *demo, struct error *ret_error)
{
    char path[DEMO_PATH_SIZE];
    /* The coordinator first: it finishes what it has decided while the databases are still there. */
    bool ok = demo_stop_assentd(demo, ret_error);
    for (size_t i = 0; i < demo->participant_count; i++) {
        demo_path(demo, path, "run/agent-%s.pid", demo->participants[i].name);
        ok = demo_process_stop("agent", path, SIGTERM, SIGKILL, STOP_TIMEOUT_MS, ret_error) && ok;
    }
    for (size_t i = 0; i < demo->participant_count; i++) {
        ok = demo_postgres_down(demo, &demo->participants[i], ret_error) && ok;
    }
    return ok;
}

/* Everything in the folder that is a demo's; the folder itself where this user may. */
static bool purge(const struct demo *demo, struct error *ret_error)
{
    static const char *const names[] = {"postgres", "journal", "log", "secrets", "run"};
    char path[DEMO_PATH_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!demo_remove_tree(demo_path(demo, path, "%s", names[i]), ret_error)) {
            return false;
        }
    }
    for (size_t i = 0; i < demo->participant_count; i++) {
        unlink(demo_path(demo, path, "agent-%s.conf", demo->participants[i].name));
    }
    unlink(demo_path(demo, path, "assentd.conf"));
    if (demo->sockets[0] != 0 && strncmp(demo->sockets, "/tmp/assent-", 12) == 0 &&
        !demo_remove_tree(demo->sockets, ret_error)) {
        return false;
    }
    /* Last, so that an interrupted purge can be repeated. */
    unlink(demo_path(demo, path, "demo.ini"));
    unlink(demo_path(demo, path, "lock"));
    if (rmdir(demo->folder) != 0 && errno == ENOTEMPTY) {
        fprintf(stderr, "assent: %s has other files in it and stays\n", demo->folder);
    }
    return true;
}

void demo_print_down(const struct demo_command *command, const char *text)
{
    if (command->options->json) {
        printf("{\"stopped\":true,\"purged\":%s}\n", command->purge ? "true" : "false");
    } else {
        printf("%s\n", text);
    }
}

int demo_down(const struct demo_command *command, const char *folder)
{
    static struct demo demo;
    struct error error = {0};
    bool is_found = false;
    if (!demo_lock(folder, &error) || !demo_open(&demo, command, folder, &is_found, &error) ||
        (is_found && !stop_all(&demo, &error)) || (command->purge && !purge(&demo, &error))) {
        return fail_with(&error);
    }
    demo_print_down(command, command->purge ? "stopped and removed" : "stopped");
    return CLI_EXIT_DONE;
}

/* ---- status */

struct status_row {
    const char *role;
    const char *participant; /* NULL: assentd */
    pid_t pid;               /* 0: does not run */
    char *address;           /* owned */
    char *config;            /* owned */
    char *log;               /* owned */
};

static char *path_text(const struct demo *demo, const char *format, const char *name)
{
    return text_format("%s/%s%s%s", demo->folder, format, name, "");
}

static struct status_row row_make(const struct demo *demo, const char *role,
                                  const struct demo_participant *participant)
{
    char pid_path[DEMO_PATH_SIZE];
    const char *name = participant != NULL ? participant->name : NULL;
    struct status_row row = {.role = role, .participant = name};
    if (participant == NULL) {
        row.pid = demo_process_find(demo_path(demo, pid_path, "run/assentd.pid"));
        row.address = text_format("127.0.0.1:%u", demo->api_port);
        row.config = path_text(demo, "assentd.conf", "");
        row.log = path_text(demo, "log/assentd.log", "");
    } else if (strcmp(role, "agent") == 0) {
        row.pid = demo_process_find(demo_path(demo, pid_path, "run/agent-%s.pid", name));
        row.address = text_format("127.0.0.1:%u", participant->agent_port);
        row.config = text_format("%s/agent-%s.conf", demo->folder, name);
        row.log = text_format("%s/log/agent-%s.log", demo->folder, name);
    } else {
        row.pid = demo_process_find(demo_path(demo, pid_path, "run/postgres-%s.pid", name));
        row.address = text_format("%s/.s.PGSQL.%u", demo->sockets, participant->postgres_port);
        row.config = text_format("%s/postgres/%s/postgresql.conf", demo->folder, name);
        row.log = text_format("%s/log/postgres-%s.log", demo->folder, name);
    }
    return row;
}

static void row_done(struct status_row *row)
{
    free(row->address);
    free(row->config);
    free(row->log);
}

/* assentd, agents, clusters: index counts through all of them. */
static struct status_row row_at(const struct demo *demo, size_t index)
{
    if (index == 0) {
        return row_make(demo, "assentd", NULL);
    }
    index--;
    const bool is_agent = index < demo->participant_count;
    return row_make(demo, is_agent ? "agent" : "postgres",
                    &demo->participants[index % demo->participant_count]);
}

static size_t row_count(const struct demo *demo)
{
    return 1 + 2 * demo->participant_count;
}

static void print_quoted(const char *name, const char *text)
{
    char *quoted = text != NULL ? json_quote(text) : NULL;
    printf("\"%s\":%s", name, quoted != NULL ? quoted : "null");
    free(quoted);
}

void demo_print_status(const struct demo *demo)
{
    printf("{\"api\":\"http://127.0.0.1:%u\",\"processes\":[", demo->api_port);
    for (size_t i = 0; i < row_count(demo); i++) {
        struct status_row row = row_at(demo, i);
        fputs(i > 0 ? ",{" : "{", stdout);
        print_quoted("role", row.role);
        putchar(',');
        print_quoted("participant", row.participant);
        if (row.pid != 0) {
            printf(",\"pid\":%d,", (int)row.pid);
        } else {
            printf(",\"pid\":null,");
        }
        print_quoted("address", row.address);
        putchar(',');
        print_quoted("config", row.config);
        putchar(',');
        print_quoted("log", row.log);
        putchar('}');
        row_done(&row);
    }
    fputs("],\"databases\":[", stdout);
    for (size_t i = 0; i < demo->participant_count; i++) {
        const struct demo_participant *participant = &demo->participants[i];
        char *conninfo = demo_conninfo(demo, participant, "postgres", participant->name);
        fputs(i > 0 ? ",{" : "{", stdout);
        print_quoted("participant", participant->name);
        putchar(',');
        print_quoted("conninfo", conninfo);
        putchar('}');
        free(conninfo);
    }
    puts("]}");
}

static void print_status_table(const struct demo *demo)
{
    static const char *const heads[] = {"ROLE", "PARTICIPANT", "STATE", "PID", "ADDRESS", "LOG"};
    struct table *table = table_new(6, heads);
    for (size_t i = 0; i < row_count(demo); i++) {
        struct status_row row = row_at(demo, i);
        char pid[16] = "";
        if (row.pid != 0) {
            snprintf(pid, sizeof pid, "%d", (int)row.pid);
        }
        table_add(table, (const char *const[]){row.role, row.participant,
                                               paint_state(row.pid != 0 ? "running" : "stopped"),
                                               pid, row.address, row.log});
        row_done(&row);
    }
    table_print(table);
    for (size_t i = 0; i < demo->participant_count; i++) {
        const struct demo_participant *participant = &demo->participants[i];
        char *conninfo = demo_conninfo(demo, participant, "postgres", participant->name);
        printf("\n%s: psql \"%s\"", participant->name, conninfo);
        free(conninfo);
    }
    putchar('\n');
}

int demo_status(const struct demo_command *command, const char *folder)
{
    static struct demo demo;
    struct error error = {0};
    bool is_found = false;
    if (!demo_open(&demo, command, folder, &is_found, &error)) {
        return fail_with(&error);
    }
    if (!is_found) {
        error_set(&error, ERROR_UNAVAILABLE, "there is no demo at %s", folder);
        return fail_with(&error);
    }
    if (command->options->json) {
        demo_print_status(&demo);
    } else {
        print_status_table(&demo);
    }
    int code = CLI_EXIT_DONE;
    for (size_t i = 0; i < row_count(&demo); i++) {
        struct status_row row = row_at(&demo, i);
        code = row.pid != 0 ? code : CLI_EXIT_FAILED;
        row_done(&row);
    }
    return code;
}
