/*
 * demo.c - `assent-fault demo`: kills and stops the processes of a demo while a command runs, and repairs it each time.
 *
 * Everything it knows of the demo comes from `assent demo status --json`, and it repairs as a person would, by `assent demo up`: so it
 * torments what users run, with the stories of `assent demo run` as its workload. A fault is only as long as the repair takes;
 * between two of them there is a drawn pause. What the command ends with is what this ends with.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cli.h"
#include "common/clock.h"
#include "tests/lib/process.h"
#include "tests/nemesis/random.h"

#define PROGRAM       "assent-fault-demo"
#define REPAIR_MS     120000
#define STATUS_BYTES  (1 << 20)
#define PAUSE_MS      500
#define PAUSE_MS_MAX  600000
#define PERCENT_STOPS 25

enum role { ROLE_ASSENTD, ROLE_AGENT, ROLE_POSTGRES, ROLES };

static const char *const role_names[ROLES] = {"assentd", "agent", "postgres"};

struct options {
    const char *folder;
    char *const *command; /* NULL: as long as time_s says */
    uint64_t seed;
    uint64_t pause_ms;
    uint64_t time_s;
    uint64_t faults_max;
    bool victims[ROLES];
    bool json;
};

struct victim {
    enum role role;
    pid_t pid;
    char participant[64];
};

struct torment {
    const struct options *options;
    struct random random;
    char folder_of_programs[PATH_MAX - 32];
    char output[PATH_MAX]; /* what `assent` printed last */
    uint64_t killed[ROLES];
    uint64_t stopped[ROLES];
};

enum option_key {
    OPTION_DIR = 'd',
    OPTION_JSON = 'J',
    OPTION_SEED = 256,
    OPTION_PAUSE,
    OPTION_TIME,
    OPTION_FAULTS,
    OPTION_VICTIMS,
};

static const struct argp_option option_list[] = {
    {"dir", OPTION_DIR, "DIR", 0, "The demo's folder (default: that of `assent demo`)", 0},
    {"victims", OPTION_VICTIMS, "LIST", 0,
     "Whom: assentd, agent, postgres, with commas between (default: assentd,agent)", 0},
    {"pause", OPTION_PAUSE, "MS", 0,
     "The longest pause between a repair and the next fault (default: 500)", 0},
    {"faults", OPTION_FAULTS, "N", 0, "At most so many faults (default: no bound)", 0},
    {"time", OPTION_TIME, "TIME", 0, "How long: 30s, 5m, 2h (default: until COMMAND has ended)", 0},
    {"seed", OPTION_SEED, "N", 0, "What is drawn (default: 1)", 0},
    {"json", OPTION_JSON, NULL, 0, "Print the sums as JSON, on standard error", 0},
    {0},
};

static bool parse_victims(const char *text, bool victims[ROLES])
{
    char *copy = alloc_string(text);
    char *save = NULL;
    bool ok = *text != '\0';
    memset(victims, 0, ROLES * sizeof *victims);
    for (char *word = strtok_r(copy, ",", &save); ok && word != NULL;
         word = strtok_r(NULL, ",", &save)) {
        size_t role = 0;
        while (role < ROLES && strcmp(word, role_names[role]) != 0) {
            role++;
        }
        ok = role < ROLES;
        if (ok) {
            victims[role] = true;
        }
    }
    free(copy);
    return ok;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    bool ok = true;
    switch (key) {
    case OPTION_DIR:
        options->folder = text;
        break;
    case OPTION_JSON:
        options->json = true;
        break;
    case OPTION_VICTIMS:
        ok = parse_victims(text, options->victims);
        break;
    case OPTION_PAUSE:
        ok = cli_parse_number(text, 0, PAUSE_MS_MAX, &options->pause_ms);
        break;
    case OPTION_FAULTS:
        ok = cli_parse_number(text, 1, UINT64_MAX, &options->faults_max);
        break;
    case OPTION_TIME:
        ok = cli_parse_seconds(text, &options->time_s);
        break;
    case OPTION_SEED:
        ok = cli_parse_number(text, 0, UINT64_MAX, &options->seed);
        break;
    case ARGP_KEY_ARGS:
        options->command = state->argv + state->next;
        break;
    case ARGP_KEY_END:
        if (options->command == NULL && options->time_s == 0) {
            argp_error(state, "a COMMAND, during which it kills, or --time");
        }
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (!ok) {
        argp_error(state, "\"%s\" is not what this option takes; --help tells", text);
    }
    return 0;
}

static const char doc[] =
    "Kills (SIGKILL) and stops (SIGSTOP) the processes of a demo while COMMAND runs, and repairs "
    "it after each fault with `assent demo "
    "up`.\n\nThe demo is `assent demo`'s, and COMMAND is usually one of its stories:\n\n"
    "  assent-fault demo -- assent demo run checkout-retry\n\v"
    "Ends with the exit code of COMMAND, or with 1 if nothing was killed, which would have shown "
    "nothing; 69 if there is no demo, or if "
    "it cannot be repaired.";

/* ---- the demo, through `assent` */

/* `assent demo VERB --dir ...`; its output goes to torment->output. */
static bool run_assent(const struct torment *torment, const char *verb, const char *option,
                       int *ret_code, struct error *ret_error)
{
    char program[PATH_MAX];
    snprintf(program, sizeof program, "%s/assent", torment->folder_of_programs);
    const char *argv[8] = {program, "demo", verb};
    size_t count = 3;
    if (option != NULL) {
        argv[count++] = option;
    }
    if (torment->options->folder != NULL) {
        argv[count++] = "--dir";
        argv[count++] = torment->options->folder;
    }
    if (truncate(torment->output, 0) != 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "%s", torment->output);
    }
    const struct process_options process = {
        .argv = argv, .stdout_path = torment->output, .stderr_path = "/dev/null"};
    return process_run(&process, clock_monotonic_ms() + REPAIR_MS, ret_code, ret_error);
}

static void add_victim(const struct torment *torment, const json_t *process, struct victim *all,
                       size_t *count)
{
    const char *role = json_string_value(json_object_get(process, "role"));
    const char *participant = json_string_value(json_object_get(process, "participant"));
    const json_t *pid = json_object_get(process, "pid");
    for (size_t i = 0; role != NULL && json_is_integer(pid) && i < ROLES; i++) {
        if (strcmp(role, role_names[i]) == 0 && torment->options->victims[i]) {
            struct victim *victim = &all[(*count)++];
            victim->role = (enum role)i;
            victim->pid = (pid_t)json_integer_value(pid);
            snprintf(victim->participant, sizeof victim->participant, "%s",
                     participant != NULL ? participant : "");
        }
    }
}

/* Who runs. Returns owned; NULL with *ret_count 0 if nobody does. */
static bool list_victims(const struct torment *torment, struct victim **ret_all, size_t *ret_count,
                         struct error *ret_error)
{
    int code = 0;
    char *text = NULL;
    json_error_t where;
    if (!run_assent(torment, "status", "--json", &code, ret_error) ||
        !process_read_file(torment->output, STATUS_BYTES, &text, ret_error)) {
        return false;
    }
    json_t *status = json_loads(text, 0, &where);
    free(text);
    const json_t *processes = json_object_get(status, "processes");
    if (!json_is_array(processes)) {
        json_decref(status);
        error_set(ret_error, ERROR_UNAVAILABLE, "there is no demo to torment");
        return error_hint(ret_error, "`assent demo up` makes one; --dir DIR names another folder");
    }
    const size_t most = json_array_size(processes);
    struct victim *all = alloc_zeroed((most + 1) * sizeof *all);
    size_t count = 0;
    for (size_t i = 0; i < most; i++) {
        add_victim(torment, json_array_get(processes, i), all, &count);
    }
    json_decref(status);
    *ret_all = all;
    *ret_count = count;
    return true;
}

static bool torment_one(struct torment *torment, struct error *ret_error)
{
    struct victim *all = NULL;
    size_t count = 0;
    if (!list_victims(torment, &all, &count, ret_error)) {
        return false;
    }
    if (count > 0) { /* else somebody else has killed them all: repaired below */
        const struct victim victim = all[random_below(&torment->random, (uint32_t)count)];
        const bool is_stop = random_percent(&torment->random, PERCENT_STOPS);
        /* It may have ended since; then there is no such process, and nobody else's has its pid so soon. */
        if (kill(victim.pid, is_stop ? SIGSTOP : SIGKILL) == 0) {
            uint64_t *sum = is_stop ? torment->stopped : torment->killed;
            sum[victim.role]++;
            fprintf(stderr, "%s: %s %s%s%s (pid %d)\n", PROGRAM, is_stop ? "stopped" : "killed",
                    role_names[victim.role], *victim.participant != '\0' ? " " : "",
                    victim.participant, (int)victim.pid);
        }
    }
    free(all);
    int code = 0;
    /* It fails if the command itself has killed what this has just started: the next round repairs that. */
    return run_assent(torment, "up", NULL, &code, ret_error);
}

/* ---- the command */

static pid_t start_command(char *const *command, int *ret_pidfd, struct error *ret_error)
{
    const pid_t pid = fork();
    if (pid == 0) {
        execvp(command[0], command);
        dprintf(STDERR_FILENO, "%s: cannot run %s: %s\n", PROGRAM, command[0], strerror(errno));
        _exit(EX_UNAVAILABLE);
    }
    if (pid > 0 && (*ret_pidfd = pidfd_open(pid, 0)) < 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    if (pid < 0 || *ret_pidfd < 0) {
        error_set_errno(ret_error, ERROR_SYSTEM, errno, "%s", command[0]);
        return -1;
    }
    return pid;
}

/* True once the command has ended, or the time is over. */
static bool pause_before_fault(struct torment *torment, int pidfd, uint64_t until_ms)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    const uint64_t now_ms = clock_monotonic_ms();
    int pause_ms = (int)random_below(&torment->random, (uint32_t)torment->options->pause_ms + 1);
    if (until_ms != 0 && now_ms + (uint64_t)pause_ms > until_ms) {
        pause_ms = now_ms < until_ms ? (int)(until_ms - now_ms) : 0;
    }
    return poll(&end, 1, pause_ms) == 1 || (until_ms != 0 && clock_monotonic_ms() >= until_ms);
}

static uint64_t sum_of(const struct torment *torment)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < ROLES; i++) {
        sum += torment->killed[i] + torment->stopped[i];
    }
    return sum;
}

static void print_sums(const struct torment *torment, int code)
{
    if (torment->options->json) {
        fprintf(stderr, "{\"faults\":%" PRIu64, sum_of(torment));
        for (size_t i = 0; i < ROLES; i++) {
            fprintf(stderr, ",\"%s\":{\"killed\":%" PRIu64 ",\"stopped\":%" PRIu64 "}",
                    role_names[i], torment->killed[i], torment->stopped[i]);
        }
        fprintf(stderr, ",\"exit_code\":%d}\n", code);
        return;
    }
    fprintf(stderr, "%s: %" PRIu64 " faults", PROGRAM, sum_of(torment));
    for (size_t i = 0; i < ROLES; i++) {
        fprintf(stderr, "%s %s %" PRIu64 " killed, %" PRIu64 " stopped", i == 0 ? ":" : ";",
                role_names[i], torment->killed[i], torment->stopped[i]);
    }
    fputc('\n', stderr);
}

static int fail_with(const struct error *error)
{
    cli_print_error(PROGRAM, error);
    return cli_exit_code(error->kind);
}

/* Faults until the command has ended. *ret_code is its exit code. */
static bool torment_command(struct torment *torment, int *ret_code, struct error *ret_error)
{
    const struct options *options = torment->options;
    const uint64_t until_ms =
        options->time_s != 0 ? clock_monotonic_ms() + options->time_s * 1000 : 0;
    int pidfd = -1;
    pid_t pid = 0;
    if (options->command != NULL &&
        (pid = start_command(options->command, &pidfd, ret_error)) < 0) {
        return false;
    }
    bool ok = true;
    while (ok && sum_of(torment) < options->faults_max &&
           !pause_before_fault(torment, pidfd, until_ms)) {
        ok = torment_one(torment, ret_error);
    }
    int code = 0;
    int status = 0;
    /* What is left broken would make the command wait for ever. */
    ok = run_assent(torment, "up", NULL, &code, ok ? ret_error : &(struct error){0}) && ok;
    if (pid > 0) {
        if (!ok) {
            kill(pid, SIGTERM);
        }
        waitpid(pid, &status, 0);
        close(pidfd);
        *ret_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    if (ok && code != 0) {
        error_set(ret_error, ERROR_UNAVAILABLE, "the demo cannot be repaired");
        return error_hint(ret_error, "`assent demo up` tells why");
    }
    return ok;
}

static bool prepare(struct torment *torment, struct error *ret_error)
{
    char self[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "/proc/self/exe");
    }
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(torment->folder_of_programs, sizeof torment->folder_of_programs, "%s", self);
    snprintf(torment->output, sizeof torment->output, "/tmp/assent-fault-demo-XXXXXX");
    const int fd = mkstemp(torment->output);
    if (fd < 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "%s", torment->output);
    }
    close(fd);
    torment->random = random_stream(torment->options->seed, 0);
    return true;
}

int main(int argc, char **argv)
{
    static struct options options = {.seed = 1, .pause_ms = PAUSE_MS, .faults_max = UINT64_MAX};
    struct error error = {0};
    options.victims[ROLE_ASSENTD] = options.victims[ROLE_AGENT] = true;
    cli_init(PROGRAM);
    const struct argp parser = {option_list, parse_option, "-- COMMAND...\n--time TIME", doc, NULL,
                                NULL,        NULL};
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &options);
    static struct torment torment; /* zeroed; large */
    torment.options = &options;
    int code = 0;
    if (!prepare(&torment, &error)) {
        return fail_with(&error);
    }
    /* There must be a demo, before the command starts. */
    struct victim *all = NULL;
    size_t count = 0;
    bool ok = list_victims(&torment, &all, &count, &error);
    free(all);
    ok = ok && torment_command(&torment, &code, &error);
    unlink(torment.output);
    if (!ok) {
        return fail_with(&error);
    }
    print_sums(&torment, code);
    if (code == 0 && sum_of(&torment) == 0) {
        fprintf(stderr,
                "%s: the command ended before the first fault: nothing was shown\n"
                "  hint: a longer one, or a smaller --pause\n",
                PROGRAM);
        return CLI_EXIT_FAILED;
    }
    return code;
}
