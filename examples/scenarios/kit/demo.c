/*
 * demo.c - the demo that a scenario runs in: `assent demo up` and `status` as a person would run them, and signals to the
 * processes that they name (kit.h).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "examples/scenarios/kit/kit.h"

#define END_TIMEOUT_MS 30000
#define OUTPUT_MAX     (1 << 20)

/* What `assent demo run` says it is; `assent` of the PATH for a scenario that is started by hand. */
static const char *assent_program(void)
{
    const char *given = getenv("ASSENT_COMMAND");
    return given != NULL && given[0] != 0 ? given : "assent";
}

/* All that was written to a memfd. Returns owned. */
static char *read_all(int fd)
{
    const off_t size = lseek(fd, 0, SEEK_END);
    const size_t size_bytes = size > 0 && size < OUTPUT_MAX ? (size_t)size : 0;
    char *text = calloc(1, size_bytes + 1);
    if (text == NULL) {
        abort();
    }
    const ssize_t got = pread(fd, text, size_bytes, 0);
    text[got > 0 ? got : 0] = 0;
    return text;
}

/* Runs `assent` to its end, with its output in memory: its daemons live on, and a pipe would have to be emptied. */
static int run_assent(const struct kit *kit, char *const *argv, char **ret_output,
                      char **ret_errors)
{
    const int output = memfd_create("output", MFD_CLOEXEC);
    const int errors = memfd_create("errors", MFD_CLOEXEC);
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    int status = 0;
    if (output < 0 || errors < 0 || posix_spawn_file_actions_init(&actions) != 0) {
        kit_give_up(kit, EX_OSERR, NULL, "memory for a program's output: %s", strerror(errno));
    }
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    const int failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        kit_give_up(kit, EX_UNAVAILABLE, "start scenarios with `assent demo run NAME`", "%s: %s",
                    argv[0], strerror(failed));
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    *ret_output = read_all(output);
    *ret_errors = read_all(errors);
    close(output);
    close(errors);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

/* "order,payment". Returns owned. */
static char *participant_list(const struct scenario *scenario)
{
    char *list = kit_text("%s", scenario->schemas[0].participant);
    for (size_t i = 1; i < scenario->schema_count; i++) {
        char *longer = kit_text("%s,%s", list, scenario->schemas[i].participant);
        free(list);
        list = longer;
    }
    return list;
}

/* libassent's address is where the coordinator's configuration says. Returns owned. */
static char *read_client_address(const struct kit *kit, const char *config)
{
    static const char key[] = "client = ";
    char *line = NULL;
    size_t size = 0;
    char *address = NULL;
    FILE *file = fopen(config, "re");
    while (file != NULL && address == NULL && getline(&line, &size, file) > 0) {
        if (strncmp(line, key, sizeof key - 1) == 0) {
            line[strcspn(line, "\n")] = 0;
            address = kit_text("%s", line + sizeof key - 1);
        }
    }
    if (address == NULL) {
        kit_give_up(kit, EX_UNAVAILABLE, "run this as the user who made the demo, or as root",
                    "no address for libassent in %s", config);
    }
    fclose(file);
    free(line);
    return address;
}

static json_t *find_process(const struct kit *kit, const char *role, const char *participant)
{
    size_t index = 0;
    json_t *process = NULL;
    json_array_foreach(json_object_get(kit->status, "processes"), index, process)
    {
        const char *name = json_string_value(json_object_get(process, "participant"));
        const char *its_role = json_string_value(json_object_get(process, "role"));
        const bool is_named =
            participant == NULL ? name == NULL : name != NULL && strcmp(name, participant) == 0;
        if (is_named && its_role != NULL && strcmp(its_role, role) == 0) {
            return process;
        }
    }
    return NULL;
}

static void take_status(struct kit *kit, const char *output)
{
    json_error_t error;
    json_t *status = json_loads(output, 0, &error);
    if (status == NULL) {
        kit_give_up(kit, EX_UNAVAILABLE, NULL, "what `assent demo` printed is not JSON: %s",
                    error.text);
    }
    json_decref(kit->status);
    kit->status = status;
    const char *api = json_string_value(json_object_get(status, "api"));
    const char *config =
        json_string_value(json_object_get(find_process(kit, "assentd", NULL), "config"));
    if (api == NULL || config == NULL) {
        kit_give_up(kit, EX_UNAVAILABLE, NULL, "`assent demo` does not tell where the API is");
    }
    /* A demo that is repaired keeps its ports, and shoppers may be reading these. */
    if (kit->api == NULL) {
        kit->api = kit_text("%s", api);
        kit->client = read_client_address(kit, config);
        kit->databases = json_incref(json_object_get(status, "databases"));
    }
}

static int run_up(struct kit *kit, char **ret_errors)
{
    static char demo[] = "demo", up[] = "up", json[] = "--json", dir[] = "--dir", port[] = "--port",
                names[] = "--participants";
    char *program = kit_text("%s", assent_program());
    char *list = participant_list(kit->scenario);
    char *folder = kit->options.folder != NULL ? kit_text("%s", kit->options.folder) : NULL;
    char *number = kit->options.port != NULL ? kit_text("%s", kit->options.port) : NULL;
    /* A demo that is new has the two databases that the quick start needs, in its order. */
    char *all = kit_text("order,payment,%s", list);
    char *argv[12] = {program, demo, up, json, names, all};
    size_t argc = 6;
    if (folder != NULL) {
        argv[argc++] = dir;
        argv[argc++] = folder;
    }
    if (number != NULL) {
        argv[argc++] = port;
        argv[argc++] = number;
    }
    char *output = NULL;
    const int code = run_assent(kit, argv, &output, ret_errors);
    if (code == 0) {
        take_status(kit, output);
    }
    free(output);
    free(all);
    free(number);
    free(folder);
    free(list);
    free(program);
    return code;
}

void demo_up(struct kit *kit, unsigned int attempts)
{
    const bool is_first = kit->api == NULL;
    for (unsigned int attempt = 1;; attempt++) {
        char *errors = NULL;
        const int code = run_up(kit, &errors);
        const bool is_hopeless = code == EX_USAGE || code == EX_NOPERM;
        if (is_hopeless || (code != 0 && attempt >= attempts)) {
            for (size_t size = strlen(errors); size > 0 && errors[size - 1] == '\n'; size--) {
                errors[size - 1] = 0;
            }
            kit_give_up(kit, is_hopeless ? code : EX_UNAVAILABLE, NULL,
                        "the demo does not start: %s", errors);
        }
        if (code == 0) {
            if (is_first && errors[0] != 0) { /* that it uses another folder, for example */
                progress_clear(kit->progress);
                fputs(errors, stderr);
            }
            free(errors);
            return;
        }
        free(errors);
        kit_pause(kit, attempt, 0, "the demo does not start");
    }
}

static void refresh_status(struct kit *kit)
{
    static char demo[] = "demo", status[] = "status", json[] = "--json", dir[] = "--dir";
    char *program = kit_text("%s", assent_program());
    char *folder = kit->options.folder != NULL ? kit_text("%s", kit->options.folder) : NULL;
    char *argv[] = {program, demo, status, json, folder != NULL ? dir : NULL, folder, NULL};
    char *output = NULL;
    char *errors = NULL;
    const int code = run_assent(kit, argv, &output, &errors);
    if (code != 0 && code != 1) { /* 1: something does not run, which is told */
        kit_give_up(kit, EX_UNAVAILABLE, NULL, "`assent demo status` failed: %s", errors);
    }
    take_status(kit, output);
    free(output);
    free(errors);
    free(folder);
    free(program);
}

static pid_t process_pid(struct kit *kit, const char *role, const char *participant)
{
    refresh_status(kit);
    return (pid_t)json_integer_value(
        json_object_get(find_process(kit, role, participant), "pid")); /* null: 0 */
}

bool demo_end(struct kit *kit, const char *role, const char *participant, int signal_number)
{
    const pid_t pid = process_pid(kit, role, participant);
    const int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
    /* Asked again with the pidfd in hand: the pid cannot have become another process's in between. */
    if (pidfd < 0 || process_pid(kit, role, participant) != pid) {
        if (pidfd >= 0) {
            close(pidfd);
        }
        return false;
    }
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};
    int ended = 0;
    if (pidfd_send_signal(pidfd, signal_number, NULL, 0) != 0 && errno != ESRCH) {
        kit_give_up(kit, EX_NOPERM, "run this as the user who made the demo, or as root",
                    "signal %d to %s (pid %d): %s", signal_number, role, (int)pid, strerror(errno));
    }
    do {
        ended = poll(&wait, 1, END_TIMEOUT_MS);
    } while (ended < 0 && errno == EINTR);
    close(pidfd);
    if (ended != 1) {
        kit_give_up(kit, EX_UNAVAILABLE, "its log tells more", "%s (pid %d) does not end", role,
                    (int)pid);
    }
    return true;
}
