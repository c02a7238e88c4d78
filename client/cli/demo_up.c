/*
 * demo_up.c - `assent demo up`: compares what should run with what runs, and starts the difference (demo.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "client/cli/demo.h"
#include "client/cli/http_call.h"
#include "common/clock.h"

#define READY_TIMEOUT_MS 30000
#define STOP_TIMEOUT_MS  20000
#define ASK_TIMEOUT_MS   2000

bool demo_lock(const char *folder, struct error *ret_error)
{
    char *path = text_format("%s/lock", folder);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* stays open for our life */
    const bool ok = (fd >= 0 && flock(fd, LOCK_EX) == 0) ||
                    error_set_errno(ret_error, ERROR_IO, errno, "%s", path);
    free(path);
    return ok;
}

bool demo_open(struct demo *demo, const struct demo_command *command, const char *folder,
               bool *ret_found, struct error *ret_error)
{
    *demo = (struct demo){.command = command};
    snprintf(demo->folder, sizeof demo->folder, "%s", folder);
    return demo_plan_load(demo, ret_found, ret_error);
}

bool demo_stop_assentd(const struct demo *demo, struct error *ret_error)
{
    char path[DEMO_PATH_SIZE];
    return demo_process_stop("assentd", demo_path(demo, path, "run/assentd.pid"), SIGTERM, SIGKILL,
                             STOP_TIMEOUT_MS, ret_error);
}

static bool assentd_runs(const struct demo *demo)
{
    char path[DEMO_PATH_SIZE];
    return demo_process_wake(demo_path(demo, path, "run/assentd.pid")) != 0;
}

static bool agent_runs(const struct demo *demo, const struct demo_participant *participant)
{
    char path[DEMO_PATH_SIZE];
    return demo_process_wake(demo_path(demo, path, "run/agent-%s.pid", participant->name)) != 0;
}

static bool make_folders(const struct demo *demo, struct error *ret_error)
{
    static const char *const names[] = {"secrets", "journal", "postgres", "log", "run"};
    char path[DEMO_PATH_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!demo_make_folder(demo_path(demo, path, "%s", names[i]), ret_error)) {
            return false;
        }
    }
    return true;
}

static bool api_port_taken(uint16_t port, struct error *ret_error)
{
    error_set(ret_error, ERROR_UNAVAILABLE, "port %u is taken by another process", port);
    return error_hint(ret_error, "--port PORT names another one for the API");
}

/* A port that is not in use by ours and taken by somebody else is changed. */
static bool settle_port(const struct demo *demo, uint16_t *port, uint16_t preferred,
                        struct error *ret_error)
{
    if (*port != 0 && demo_port_is_free(*port)) {
        return true;
    }
    *port = 0;
    return demo_port_choose(demo, preferred, port, ret_error);
}

static bool settle_ports(struct demo *demo, struct error *ret_error)
{
    if (!assentd_runs(demo)) {
        if (!demo_port_is_free(demo->api_port)) {
            return api_port_taken(demo->api_port, ret_error);
        }
        if (!settle_port(demo, &demo->client_port, (uint16_t)(demo->api_port + 1), ret_error) ||
            !settle_port(demo, &demo->listen_port, (uint16_t)(demo->api_port + 2), ret_error)) {
            return false;
        }
    }
    for (size_t i = 0; i < demo->participant_count; i++) {
        struct demo_participant *participant = &demo->participants[i];
        if (!agent_runs(demo, participant) &&
            !settle_port(demo, &participant->agent_port, participant->agent_port, ret_error)) {
            return false;
        }
    }
    return true;
}

/* What the command line asks for, on top of what there is. Stops a coordinator that must be started otherwise. */
static bool plan_up(struct demo *demo, bool is_found, struct error *ret_error)
{
    const struct demo_command *command = demo->command;
    const bool is_moved = command->port != 0 && command->port != demo->api_port;
    /* Before anything is stopped: a wrong port must not cost a coordinator that runs. */
    const bool is_own = command->port == demo->client_port || command->port == demo->listen_port;
    if (is_moved && !is_own && !demo_port_is_free(command->port)) {
        return api_port_taken(command->port, ret_error);
    }
    if ((is_moved || command->fault_point != NULL) && !demo_stop_assentd(demo, ret_error)) {
        return false;
    }
    if (is_moved) {
        demo->api_port = command->port;
        demo->client_port = demo->listen_port = 0;
    }
    const char *names = command->participants;
    if (names == NULL && !is_found) {
        names = "order,payment";
    }
    return (names == NULL || demo_plan_add(demo, names, ret_error)) &&
           settle_ports(demo, ret_error) && demo_plan_sockets(demo, ret_error) &&
           demo_plan_save(demo, ret_error);
}

static bool programs_are_there(struct error *ret_error)
{
    if (demo_programs.assentd_fd < 0 || demo_programs.agent_fd < 0) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "assentd or assent-agent is not in %s",
                         demo_programs.folder);
    }
    return true;
}

static bool start_agent(const struct demo *demo, const struct demo_participant *participant,
                        bool is_changed, struct error *ret_error)
{
    char conf[DEMO_PATH_SIZE];
    char log[DEMO_PATH_SIZE];
    char pid_path[DEMO_PATH_SIZE];
    demo_path(demo, conf, "agent-%s.conf", participant->name);
    demo_path(demo, pid_path, "run/agent-%s.pid", participant->name);
    if (agent_runs(demo, participant)) {
        if (!is_changed) {
            return true;
        }
        if (!demo_process_stop("agent", pid_path, SIGTERM, SIGKILL, STOP_TIMEOUT_MS, ret_error)) {
            return false;
        }
    }
    char *title = text_format("agent %s", participant->name);
    char *program = text_format("%s/assent-agent", demo_programs.folder);
    const char *const argv[] = {program, "--config", conf, NULL};
    const struct demo_process process = {
        .title = title,
        .argv = argv,
        .program_fd = demo_programs.agent_fd,
        .log_path = demo_path(demo, log, "log/agent-%s.log", participant->name),
        .pid_path = pid_path,
    };
    const bool ok = demo_process_start(demo, &process, ret_error);
    free(title);
    free(program);
    return ok;
}

static bool start_assentd(const struct demo *demo, bool is_changed, struct error *ret_error)
{
    char conf[DEMO_PATH_SIZE];
    char log[DEMO_PATH_SIZE];
    char pid_path[DEMO_PATH_SIZE];
    demo_path(demo, pid_path, "run/assentd.pid");
    const pid_t pid = demo_process_find(pid_path);
    if (pid != 0) {
        if (is_changed) {
            kill(pid, SIGHUP); /* it reads its participants again */
        }
        return true;
    }
    char *program = text_format("%s/assentd", demo_programs.folder);
    const char *const argv[] = {program,
                                "--config",
                                demo_path(demo, conf, "assentd.conf"),
                                demo->command->fault_point != NULL ? "--enable-fault-points" : NULL,
                                "--fault-point",
                                demo->command->fault_point,
                                NULL};
    const struct demo_process process = {
        .title = "assentd",
        .argv = argv,
        .program_fd = demo_programs.assentd_fd,
        .log_path = demo_path(demo, log, "log/assentd.log"),
        .pid_path = pid_path,
    };
    const bool ok = demo_process_start(demo, &process, ret_error);
    free(program);
    return ok;
}

/* Every participant ready? ret_why (may be NULL) names the first that is not. */
static bool participants_are_ready(const struct demo *demo, char *ret_why, size_t why_bytes)
{
    char api[64];
    struct options options = {.api = api, .timeout_ms = ASK_TIMEOUT_MS};
    struct reply reply = {0};
    struct error error = {0};
    snprintf(api, sizeof api, "http://127.0.0.1:%u", demo->api_port);
    if (http_call(&options, "/v1/participants", NULL, &reply, &error) != CALL_ANSWERED) {
        snprintf(ret_why, why_bytes, "%s", error.text);
        return false;
    }
    const struct json all = json_get(reply.json, "participants");
    size_t ready = 0;
    struct json one = {0};
    while (json_next(all, &one)) {
        if (json_is_true(json_get(one, "ready"))) {
            ready++;
            continue;
        }
        char *name = json_get_text(one, "name");
        char *text = json_get_text(one, "text");
        snprintf(ret_why, why_bytes, "participant %s is not ready: %s", name, text);
        free(name);
        free(text);
    }
    reply_done(&reply);
    return ready == demo->participant_count;
}

/* What was started may be killed at once, by a fault point or by hand: then nothing becomes ready. */
static bool daemons_run(const struct demo *demo, struct error *ret_error)
{
    char path[DEMO_PATH_SIZE];
    bool ok = demo_process_find(demo_path(demo, path, "run/assentd.pid")) != 0 ||
              error_set(ret_error, ERROR_UNAVAILABLE, "assentd has ended again");
    for (size_t i = 0; ok && i < demo->participant_count; i++) {
        const char *name = demo->participants[i].name;
        ok = demo_process_find(demo_path(demo, path, "run/agent-%s.pid", name)) != 0 ||
             error_set(ret_error, ERROR_UNAVAILABLE, "agent %s has ended again", name);
    }
    return ok || error_hint(ret_error, "`assent demo up` starts it; the logs in %s/log tell more",
                            demo->folder);
}

/* A participant that becomes ready makes a line in assentd's log: each change of the log is a reason to ask again. */
static bool wait_participants(const struct demo *demo, struct error *ret_error)
{
    char log[DEMO_PATH_SIZE];
    char why[512] = "";
    const uint64_t until_ms = clock_monotonic_ms() + READY_TIMEOUT_MS;
    const int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    bool is_ready = false;
    bool has_ended = false;
    if (watch < 0 ||
        inotify_add_watch(watch, demo_path(demo, log, "log/assentd.log"), IN_MODIFY) < 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "inotify");
    }
    for (;;) {
        is_ready = participants_are_ready(demo, why, sizeof why);
        has_ended = !is_ready && !daemons_run(demo, ret_error);
        const uint64_t now_ms = clock_monotonic_ms();
        if (is_ready || has_ended || now_ms >= until_ms) {
            break;
        }
        char events[4096];
        struct pollfd wait = {.fd = watch, .events = POLLIN};
        const uint64_t left_ms = until_ms - now_ms;
        /* A log level above info has no such line: then once a second must do. */
        (void)poll(&wait, 1, left_ms < 1000 ? (int)left_ms : 1000);
        (void)!read(watch, events, sizeof events);
    }
    close(watch);
    if (!is_ready && !has_ended) {
        error_set(ret_error, ERROR_UNAVAILABLE, "%s", why);
        return error_hint(ret_error, "see the logs in %s/log", demo->folder);
    }
    return is_ready;
}

static bool bring_up(const struct demo *demo, struct error *ret_error)
{
    bool is_changed = false;
    for (size_t i = 0; i < demo->participant_count; i++) {
        const struct demo_participant *participant = &demo->participants[i];
        bool agent_changed = false;
        if (!demo_write_secrets(demo, participant, ret_error) ||
            !demo_write_agent_conf(demo, participant, &agent_changed, ret_error) ||
            !demo_postgres_up(demo, participant, ret_error) ||
            !start_agent(demo, participant, agent_changed, ret_error)) {
            return false;
        }
    }
    return demo_write_assentd_conf(demo, &is_changed, ret_error) &&
           start_assentd(demo, is_changed, ret_error) && wait_participants(demo, ret_error);
}

static void print_up(const struct demo *demo)
{
    printf("API           http://127.0.0.1:%u\n", demo->api_port);
    printf("libassent     tcp://127.0.0.1:%u\n", demo->client_port);
    printf("folder        %s\n", demo->folder);
    for (size_t i = 0; i < demo->participant_count; i++) {
        const struct demo_participant *participant = &demo->participants[i];
        char *conninfo = demo_conninfo(demo, participant, "postgres", participant->name);
        printf("%-13s psql \"%s\"\n", participant->name, conninfo);
        free(conninfo);
    }
}

int demo_up(const struct demo_command *command, const char *folder)
{
    static struct demo demo;
    struct error error = {0};
    bool is_found = false;
    if (!programs_are_there(&error) || !demo_lock(folder, &error) ||
        !demo_open(&demo, command, folder, &is_found, &error) || !make_folders(&demo, &error) ||
        !plan_up(&demo, is_found, &error) || !bring_up(&demo, &error)) {
        return fail_with(&error);
    }
    if (command->options->json) {
        demo_print_status(&demo);
    } else {
        print_up(&demo);
    }
    return CLI_EXIT_DONE;
}
