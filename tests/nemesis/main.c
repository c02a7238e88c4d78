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
#define LOG_BYTES_MAX    ((off_t)256 << 20)

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

/* Whatever cannot be written is told before the run begins, not hours later. */
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
    (void)snprintf(run->history_path, sizeof run->history_path, "%s/history.jsonl",
                   run->options.folder);
    struct stat there;
    if (stat(run->history_path, &there) == 0 && there.st_size > 0) {
        return error_set(ret_error, ERROR_IO,
                         "cannot write %s: a history is there already; take another --dir, or "
                         "remove it",
                         run->history_path);
    }
    return cli_can_write(run->history_path, ret_error) &&
           (run->options.html == NULL || cli_can_write(run->options.html, ret_error));
}

/* The end of it, if it is long. */
static bool copy_end(FILE *from, FILE *to)
{
    static char block[1 << 16];
    size_t length;
    if (fseeko(from, 0, SEEK_END) != 0 ||
        (ftello(from) > LOG_BYTES_MAX ? fseeko(from, -LOG_BYTES_MAX, SEEK_END)
                                      : fseeko(from, 0, SEEK_SET)) != 0) {
        return false;
    }
    while ((length = fread(block, 1, sizeof block, from)) > 0) {
        if (fwrite(block, 1, length, to) != length) {
            return false;
        }
    }
    return ferror(from) == 0;
}

static void keep_log(const struct run *run, const char *path, const char *name)
{
    char kept_path[RUN_PATH_SIZE + 64];
    (void)snprintf(kept_path, sizeof kept_path, "%s/%s.log", run->options.folder, name);
    FILE *from = fopen(path, "re");
    FILE *to = from == NULL ? NULL : fopen(kept_path, "we");
    bool kept = to != NULL && copy_end(from, to);
    kept = (to == NULL || fclose(to) == 0) && kept;
    if (!kept) {
        run_say(run, "the log of %s is not kept: %s", name, strerror(errno));
    }
    if (from != NULL) {
        (void)fclose(from);
    }
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
            (void)snprintf(to, sizeof to, "%s/%.200s", run->options.folder, entry->d_name);
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
                  json_pack("{s:s,s:i,s:s,s:I,s:s,s:o,s:o,s:s,s:i,s:I}", "type", "meta", "version",
                            1, "program", "assent-fault run " ASSENT_VERSION, "seed",
                            (json_int_t)run->options.seed, "started", started, "workloads", codes,
                            "databases", databases, "mode",
                            run->options.mode == MODE_PLAIN ? "S" : "L", "heal_ms", RUN_HEAL_MS,
                            "journal_steady_from", (json_int_t)RUN_JOURNAL_STEADY_MS * 1000));
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

/* --- the whole --------------------------------------------------------------------------------- */

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
    int verdict = run->history != NULL ? verdict_judge(run) : EX_OSERR;
    bool good = succeeded && run->crashes == 0 && verdict == 0;
    if (!good && run->world.stack != NULL) {
        keep_logs(run);
    }
    world_free(&run->world);
    verdict_print(run, good);
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
    run.faults_by_kind = json_object();
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
    json_decref(run.faults_by_kind);
    curl_global_cleanup();
    return code;
}
