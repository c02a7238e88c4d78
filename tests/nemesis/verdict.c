/*
 * verdict.c - the end of a run for who reads it: has the history judged by `assent-fault check`, and sums up. See run.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/alloc.h"
#include "run.h"

/* The classes of cycles that the check knows; with locking reads there must be none of any. */
static const char *const cycle_classes[] = {
    "G0",          "G1c",          "G-single",          "G2",
    "G0-realtime", "G1c-realtime", "G-single-realtime", "G2-realtime"};

static void report_path(const struct run *run, char ret_path[RUN_PATH_SIZE + 32])
{
    (void)snprintf(ret_path, RUN_PATH_SIZE + 32, "%s/verdict.json", run->options.folder);
}

/* Waits for it. Its exit code. */
static int run_check(const struct run *run, char *const *argv)
{
    char program[512], report[RUN_PATH_SIZE + 32];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;
    int status = 0;
    (void)snprintf(program, sizeof program, "%s/assent-fault-check", getenv("ASSENT_BIN_DIR"));
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)sigemptyset(&none); /* ours are blocked */
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (run->options.json) {
        report_path(run, report);
        (void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, report,
                                               O_WRONLY | O_CREAT | O_TRUNC, 0644);
    }
    (void)fflush(stdout);
    int failure = posix_spawn(&pid, program, &actions, &attributes, argv, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) {
        run_say(run, "the history is not judged: %s: %s", program, strerror(failure));
        return EX_UNAVAILABLE;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
}

int verdict_judge(const struct run *run)
{
    static char program_name[] = "assent-fault-check", html_option[] = "--html",
                json_option[] = "--json";
    char *history = alloc_string(run->history_path);
    char *html = run->options.html == NULL ? NULL : alloc_string(run->options.html);
    char *argv[6] = {program_name, history};
    size_t count = 2;
    if (html != NULL) {
        argv[count++] = html_option;
        argv[count++] = html;
    }
    if (run->options.json) {
        argv[count++] = json_option;
    }
    int code = run_check(run, argv);
    free(html);
    free(history);
    return code;
}

/* --- the summary ------------------------------------------------------------------------------ */

static void set(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static void set_count(json_t *object, const char *name, uint64_t value)
{
    set(object, name, json_integer((json_int_t)value));
}

/* What the check found: null where there was no check. */
static void set_isolation(json_t *summary, const json_t *verdict)
{
    const json_t *figures = json_object_get(verdict, "figures");
    json_t *plain = json_object_get(figures, "snapshot_reads");
    json_t *fractured = json_object_get(figures, "fractured_reads");
    json_t *checks = json_object(), *cycles = json_object();
    size_t i;
    const json_t *check, *g1 = NULL;
    json_array_foreach(json_object_get(verdict, "checks"), i, check)
    {
        const char *id = json_string_value(json_object_get(check, "id"));
        g1 = id != NULL && strcmp(id, "G1") == 0 ? check : g1;
        (void)json_object_set(checks, id == NULL ? "" : id, json_object_get(check, "status"));
    }
    for (i = 0; i < sizeof cycle_classes / sizeof cycle_classes[0] && g1 != NULL; i++) {
        const json_t *count = json_object_get(json_object_get(g1, "counts"), cycle_classes[i]);
        set_count(cycles, cycle_classes[i], (uint64_t)json_integer_value(count));
    }
    double share = json_integer_value(plain) == 0 ? 0
                                                  : 100.0 * (double)json_integer_value(fractured) /
                                                        (double)json_integer_value(plain);
    set(summary, "plain_reads", plain == NULL ? json_null() : json_incref(plain));
    set(summary, "fractured_reads", fractured == NULL ? json_null() : json_incref(fractured));
    set(summary, "fractured_percent", plain == NULL ? json_null() : json_real(share));
    set(summary, "locking_cycles", cycles);
    set(summary, "checks", checks);
}

static json_t *summarize(const struct run *run, bool passed)
{
    char path[RUN_PATH_SIZE + 32];
    uint64_t heals = atomic_load(&run->heal_count);
    json_t *summary = json_object();
    report_path(run, path);
    json_t *verdict = json_load_file(path, 0, NULL);
    set_count(summary, "seed", run->options.seed);
    set_count(summary, "seconds", run->options.time_ms / 1000);
    set_count(summary, "operations", atomic_load(&run->next_i));
    set_count(summary, "committed", atomic_load(&run->committed));
    set_count(summary, "failed", atomic_load(&run->failed));
    set_count(summary, "unknown", atomic_load(&run->unknown));
    set_isolation(summary, verdict);
    set_count(summary, "faults", atomic_load(&run->faults_done));
    (void)json_object_set(summary, "faults_by_kind", run->faults_by_kind);
    set_count(summary, "heals", heals);
    set_count(summary, "heal_mean_ms", heals == 0 ? 0 : atomic_load(&run->heal_sum_ms) / heals);
    set_count(summary, "heal_max_ms", atomic_load(&run->heal_max_ms));
    set_count(summary, "heals_late", atomic_load(&run->heal_late));
    set_count(summary, "crashes", run->crashes);
    set(summary, "history", json_string(run->history_path));
    set(summary, "passed", json_boolean(passed));
    json_decref(verdict);
    return summary;
}

static void print_faults(const struct run *run)
{
    const char *name;
    json_t *count;
    const char *separator = "faults:";
    json_object_foreach(run->faults_by_kind, name, count)
    {
        (void)printf("%s %s %" JSON_INTEGER_FORMAT, separator, name, json_integer_value(count));
        separator = ",";
    }
    if (json_object_size(run->faults_by_kind) > 0) {
        (void)printf("\n");
    }
}

void verdict_print(const struct run *run, bool passed)
{
    if (run->options.json) {
        json_t *summary = summarize(run, passed);
        (void)json_dumpf(summary, stdout, JSON_INDENT(2));
        (void)printf("\n");
        json_decref(summary);
        return;
    }
    uint64_t heals = atomic_load(&run->heal_count);
    (void)printf("seed %" PRIu64 ": %" PRIu64 " requests, %" PRIu64 " committed, %" PRIu64
                 " failed, %" PRIu64 " unknown, %u faults; healed in %" PRIu64
                 " ms on average, %" PRIu64 " ms at most; %u crashes\n",
                 run->options.seed, (uint64_t)atomic_load(&run->next_i),
                 (uint64_t)atomic_load(&run->committed), (uint64_t)atomic_load(&run->failed),
                 (uint64_t)atomic_load(&run->unknown), atomic_load(&run->faults_done),
                 heals == 0 ? 0 : (uint64_t)atomic_load(&run->heal_sum_ms) / heals,
                 (uint64_t)atomic_load(&run->heal_max_ms), run->crashes);
    print_faults(run);
    (void)printf("history: %s\n", run->history_path);
}
