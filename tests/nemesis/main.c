/*
 * main.c - `assent-fault run`: makes a world, lets clients and the nemesis at it, and has the history judged. See
 * README.md in this folder and assent-fault-run(1).
 */
#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/clock.h"
#include "fault.h"
#include "options.h"
#include "tests/lib/process.h"
#include "workload.h"

#define EXIT_INTERRUPTED 130
#define LOG_BYTES_MAX    ((size_t)256 << 20)

/* --- stopping --------------------------------------------------------------------------------- */

static void init_stop(struct run *run)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&run->stop_lock, NULL);
    (void)pthread_cond_init(&run->stopped, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

bool run_pause(struct run *run, uint64_t ms)
{
    uint64_t until_ms = clock_monotonic_ms() + ms;
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000) * 1000000};
    int result = 0;
    (void)pthread_mutex_lock(&run->stop_lock);
    while (!run->stopping && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&run->stopped, &run->stop_lock, &until);
    }
    bool stopping = run->stopping;
    (void)pthread_mutex_unlock(&run->stop_lock);
    return !stopping;
}

bool run_is_stopping(struct run *run)
{
    (void)pthread_mutex_lock(&run->stop_lock);
    bool stopping = run->stopping;
    (void)pthread_mutex_unlock(&run->stop_lock);
    return stopping;
}

void run_stop(struct run *run)
{
    (void)pthread_mutex_lock(&run->stop_lock);
    run->stopping = true;
    (void)pthread_cond_broadcast(&run->stopped);
    (void)pthread_mutex_unlock(&run->stop_lock);
}

/* --- places ----------------------------------------------------------------------------------- */

/* The daemons lie beside this program. */
static bool find_programs(struct error *ret_error)
{
    char self[400];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot find its own folder");
    }
    *slash = '\0';
    return setenv("ASSENT_BIN_DIR", self, 0) == 0 ||
           error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot set ASSENT_BIN_DIR");
}

static bool make_folder(struct run *run, struct error *ret_error)
{
    static char fresh[] = "/tmp/assent-fault-run-XXXXXX";
    if (run->options.folder == NULL) {
        run->options.folder = mkdtemp(fresh);
        if (run->options.folder == NULL) {
            return error_set_errno(ret_error, ERROR_IO, errno, "cannot make a folder under /tmp");
        }
    } else if (mkdir(run->options.folder, 0755) != 0 && errno != EEXIST) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot make %s", run->options.folder);
    }
    (void)snprintf(run->history_path, sizeof run->history_path, "%.200s/history.jsonl",
                   run->options.folder);
    return true;
}

static void keep_log(const struct run *run, const char *from, const char *name)
{
    char path[RUN_PATH_SIZE + 64];
    char *text = NULL;
    (void)snprintf(path, sizeof path, "%.200s/%s.log", run->options.folder, name);
    FILE *file = process_read_file(from, LOG_BYTES_MAX, &text, NULL) ? fopen(path, "we") : NULL;
    if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) {
        run_say(run, "the log of %s is not kept: %s", name, strerror(errno));
    }
    free(text);
}

/* What crashed left its memory in the daemons' folder, if the system is set up that way (core_pattern). */
static void keep_cores(const struct run *run)
{
    DIR *folder = opendir(stack_folder(run->world.stack));
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char from[RUN_PATH_SIZE * 2], to[RUN_PATH_SIZE * 2];
        struct error error;
        if (strncmp(entry->d_name, "core", 4) == 0) {
            (void)snprintf(from, sizeof from, "%s/%.200s", stack_folder(run->world.stack),
                           entry->d_name);
            (void)snprintf(to, sizeof to, "%.200s/%.200s", run->options.folder, entry->d_name);
            if (!world_copy_file(from, to, &error)) {
                run_say(run, "%s", error.text);
            }
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

/* For who wants to understand a red run. */
static void keep_logs(const struct run *run)
{
    for (size_t i = 0; i < world_process_count(&run->world); i++) {
        const struct stack_daemon *daemon = world_daemon(&run->world, i);
        char name[STREAM_PEER_SIZE];
        keep_log(run, stack_daemon_log_path(daemon), world_process_name(&run->world, i, name));
    }
    for (size_t i = 0; i < run->world.database_count; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "postgresql:%s", run->world.names[i]);
        keep_log(run, pgcluster_log_path(run->world.clusters[i]), name);
    }
    keep_cores(run);
}

/* --- the history's first line ----------------------------------------------------------------- */

static void write_meta(const struct run *run)
{
    char started[32];
    time_t now = time(NULL);
    struct tm parts;
    json_t *databases = json_array();
    json_t *codes = json_array();
    (void)strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
    for (size_t i = 0; i < run->world.database_count; i++) {
        (void)json_array_append_new(databases, json_string(run->world.names[i]));
    }
    for (unsigned i = 0; i < WORKLOAD_COUNT; i++) {
        if ((run->options.workloads & 1U << i) != 0) {
            (void)json_array_append_new(codes, json_string(workload_code((enum workload)i)));
        }
    }
    history_write(run->history,
                  json_pack("{s:s,s:i,s:s,s:I,s:s,s:o,s:o,s:s,s:i}", "type", "meta", "version", 1,
                            "program", "assent-fault run " ASSENT_VERSION, "seed",
                            (json_int_t)run->options.seed, "started", started, "workloads", codes,
                            "databases", databases, "mode",
                            run->options.mode == MODE_PLAIN ? "S" : "L", "heal_ms", RUN_HEAL_MS));
}

/* --- the run ---------------------------------------------------------------------------------- */

static bool run_load(struct run *run, struct error *ret_error)
{
    struct client *clients[RUN_CLIENTS_MAX] = {0};
    struct sampler *sampler = NULL;
    bool succeeded = sampler_start(run, &sampler, ret_error);
    for (size_t i = 0; i < run->options.client_count && succeeded; i++) {
        succeeded = client_start(run, i, &clients[i], ret_error);
    }
    if (succeeded) {
        nemesis_run(run);
    }
    run_stop(run);
    for (size_t i = 0; i < run->options.client_count; i++) {
        client_join(clients[i]);
    }
    sampler_stop(sampler);
    return succeeded;
}

/* What was asked for and cannot be done on this machine is told, with the reason. */
static void say_impossible(const struct run *run)
{
    unsigned told = 0;
    for (size_t i = 0; i < fault_kind_count; i++) {
        const struct fault_kind *kind = &fault_kinds[i];
        const char *reason = fault_impossible(run, kind);
        if (reason != NULL && (run->options.faults & 1U << kind->group & ~told) != 0) {
            told |= 1U << kind->group;
            run_say(run, "no %s faults here: %s", fault_group_name(kind->group), reason);
        }
    }
}

static bool run_all(struct run *run, struct error *ret_error)
{
    if (!world_make(&run->world, &run->options, ret_error) || !shop_setup(run, ret_error) ||
        !history_open(run->history_path, &run->history, ret_error)) {
        return false;
    }
    write_meta(run);
    say_impossible(run);
    if (!shop_dump(run, "begin", ret_error)) {
        return false;
    }
    run->begin_ms = clock_monotonic_ms();
    run->end_ms = run->begin_ms + run->options.time_ms;
    atomic_store(&run->in_doubt, -1);
    return run_load(run, ret_error) && finish_run(run, ret_error);
}

/* --- verdict ---------------------------------------------------------------------------------- */

static void say_summary(const struct run *run, int verdict)
{
    uint64_t seconds = run->options.time_ms / 1000;
    uint64_t committed = atomic_load(&run->committed), failed = atomic_load(&run->failed);
    uint64_t unknown = atomic_load(&run->unknown), heals = atomic_load(&run->heal_count);
    uint64_t mean_ms = heals == 0 ? 0 : atomic_load(&run->heal_sum_ms) / heals;
    if (run->options.json) {
        json_t *summary =
            json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:s,s:b}", "seed",
                      (json_int_t)run->options.seed, "seconds", (json_int_t)seconds, "committed",
                      (json_int_t)committed, "failed", (json_int_t)failed, "unknown",
                      (json_int_t)unknown, "faults", (json_int_t)atomic_load(&run->faults_done),
                      "heals", (json_int_t)heals, "heal_mean_ms", (json_int_t)mean_ms,
                      "heal_max_ms", (json_int_t)atomic_load(&run->heal_max_ms), "heals_late",
                      (json_int_t)atomic_load(&run->heal_late), "crashes", (int)run->crashes,
                      "history", run->history_path, "passed", verdict == 0);
        (void)json_dumpf(summary, stdout, JSON_INDENT(2));
        (void)printf("\n");
        json_decref(summary);
        return;
    }
    (void)printf("seed %" PRIu64 ": %" PRIu64 " committed, %" PRIu64 " failed, %" PRIu64
                 " unknown, %u faults; healed in %" PRIu64 " ms on average, %" PRIu64
                 " ms at most; %u crashes\nhistory: %s\n",
                 run->options.seed, committed, failed, unknown, atomic_load(&run->faults_done),
                 mean_ms, (uint64_t)atomic_load(&run->heal_max_ms), run->crashes,
                 run->history_path);
}

/* The check's exit code; EX_UNAVAILABLE where it is not installed. With --json its report goes to a file. */
static int judge(const struct run *run)
{
    static char program_name[] = "assent-fault-check", html_option[] = "--html",
                json_option[] = "--json";
    char program[512], report[RUN_PATH_SIZE + 32], html[RUN_PATH_SIZE], history[RUN_PATH_SIZE];
    char *argv[6] = {program_name, history};
    size_t count = 2;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;
    int status = 0;
    (void)snprintf(program, sizeof program, "%s/assent-fault-check", getenv("ASSENT_BIN_DIR"));
    (void)snprintf(history, sizeof history, "%s", run->history_path);
    (void)snprintf(report, sizeof report, "%.200s/verdict.json", run->options.folder);
    if (run->options.html != NULL) {
        (void)snprintf(html, sizeof html, "%s", run->options.html);
        argv[count++] = html_option;
        argv[count++] = html;
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)sigemptyset(&none); /* ours are blocked */
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (run->options.json) {
        argv[count++] = json_option;
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

/* Runs, cleans up, judges. */
static int run_and_judge(struct run *run)
{
    struct error error = {0};
    bool succeeded = run_all(run, &error);
    if (!succeeded) {
        cli_print_error("assent-fault run", &error);
    }
    if (run->history != NULL) {
        struct error late;
        const char *reason = !succeeded ? error.text : run->interrupted != 0 ? "interrupted" : NULL;
        if (!history_close(run->history, reason, &late)) {
            cli_print_error("assent-fault run", &late);
            succeeded = false;
        }
    }
    int verdict = run->history != NULL ? judge(run) : EX_OSERR;
    bool good = succeeded && run->crashes == 0 && verdict == 0;
    if (!good && run->world.stack != NULL) {
        keep_logs(run);
    }
    world_free(&run->world);
    say_summary(run, good ? 0 : 1);
    if (run->interrupted != 0) {
        return EXIT_INTERRUPTED;
    }
    if (!succeeded) {
        return error.kind == ERROR_DAMAGED ? CLI_EXIT_FAILED : EX_OSERR;
    }
    return run->crashes > 0 ? CLI_EXIT_FAILED : verdict;
}

/* The main thread takes signals when it waits (nemesis_wait); no other thread, and at no other time: so
 * that whatever was begun is undone and removed. */
static void block_signals(void)
{
    sigset_t blocked;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGINT);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigaddset(&blocked, SIGHUP);
    (void)sigaddset(&blocked, SIGCHLD);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, NULL);
}

/* Of the daemons: a crash is a bug, and a bug wants to be seen. */
static void allow_cores(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_CORE, &limit); /* without it there is just no core */
    }
}

int main(int argc, char **argv)
{
    static struct run run;
    struct error error;
    cli_init("assent-fault run");
    options_parse(argc, argv, &run.options);
    block_signals();
    allow_cores();
    init_stop(&run);
    run.open_keys = open_keys_new();
    run.touched = json_object();
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)fputs("assent-fault run: libcurl cannot be used\n", stderr);
        return EX_SOFTWARE;
    }
    if (!find_programs(&error) || !make_folder(&run, &error)) {
        cli_print_error("assent-fault run", &error);
        return cli_exit_code(error.kind);
    }
    int code = run_and_judge(&run);
    open_keys_free(run.open_keys);
    json_decref(run.touched);
    curl_global_cleanup();
    return code;
}
