/*
 * sample.c - looks once a second: rate, memory, descriptors, journal, what is in doubt; makes lists ahead; and
 * tells a person at a terminal how it goes. A thread of its own, which knows the processes by their pids only.
 */
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "run.h"
#include "tests/lib/http.h"

#define PERIOD_MS     1000
#define ASK_EVERY     10    /* seconds */
#define ASK_AGE_MS    60000 /* longer than anything is held anywhere */
#define HTTP_PATIENCE 800   /* assentd may be stopped at the moment */

struct sampler {
    struct run *run;
    pthread_t thread;
    uint64_t last_committed, last_ms;
};

/* --- a process -------------------------------------------------------------------------------- */

static int64_t resident_bytes(pid_t pid)
{
    char path[64];
    long long pages = 0, resident = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return -1;
    }
    bool read = fscanf(file, "%lld %lld", &pages, &resident) == 2;
    (void)fclose(file);
    return read ? resident * sysconf(_SC_PAGESIZE) : -1;
}

static int64_t descriptors(pid_t pid)
{
    char path[64];
    int64_t count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return -1;
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        count += isdigit((unsigned char)entry->d_name[0]) ? 1 : 0;
    }
    (void)closedir(folder);
    return count;
}

static json_t *sample_processes(struct run *run)
{
    json_t *processes = json_object();
    for (size_t i = 0; i < world_process_count(&run->world); i++) {
        char name[STREAM_PEER_SIZE];
        pid_t pid = atomic_load(&run->world.pids[i]);
        int64_t rss = pid == 0 ? -1 : resident_bytes(pid);
        int64_t fds = pid == 0 ? -1 : descriptors(pid);
        if (rss > 0 && fds > 0) { /* else it has just ended */
            (void)json_object_set_new(processes, world_process_name(&run->world, i, name),
                                      json_pack("{s:i,s:I,s:I}", "pid", (int)pid, "rss",
                                                (json_int_t)rss, "fds", (json_int_t)fds));
        }
    }
    return processes;
}

/* The journal with all that lies beside it. */
static int64_t journal_bytes(const struct run *run)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    int64_t bytes = 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[RUN_PATH_SIZE + 8];
        struct stat status;
        (void)snprintf(path, sizeof path, "%s%s", stack_journal_path(run->world.stack),
                       suffixes[i]);
        bytes += stat(path, &status) == 0 ? (int64_t)status.st_size : 0;
    }
    return bytes;
}

/* --- what assentd says ------------------------------------------------------------------------ */

static int in_doubt(const struct run *run)
{
    static const char name[] = "\nassent_branches_in_doubt ";
    char url[96];
    struct http_reply reply;
    (void)snprintf(url, sizeof url, "%s/metrics", stack_api(run->world.stack));
    const struct http_request request = {.url = url, .timeout_ms = HTTP_PATIENCE};
    if (!http_perform(&request, &reply, NULL)) {
        return -1;
    }
    const char *place = strstr(reply.body, name);
    int count = place == NULL ? -1 : atoi(place + strlen(name));
    http_reply_done(&reply);
    return count;
}

/* --- for people ------------------------------------------------------------------------------- */

static void format_time(uint64_t ms, char ret_text[24])
{
    uint64_t s = ms / 1000;
    if (s >= 3600) {
        (void)snprintf(ret_text, 24, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60,
                       s % 60);
    } else {
        (void)snprintf(ret_text, 24, "%02" PRIu64 ":%02" PRIu64, s / 60, s % 60);
    }
}

static void show_progress(const struct run *run, double tps)
{
    char elapsed[24], all[24];
    const char *doing = atomic_load(&run->doing);
    if (run->options.quiet || isatty(STDERR_FILENO) == 0) {
        return;
    }
    format_time(clock_monotonic_ms() - run->begin_ms, elapsed);
    format_time(run->options.time_ms, all);
    int doubt = atomic_load(&run->in_doubt);
    (void)fprintf(stderr, "\r\033[K%s/%s  %.0f tps  %" PRIu64 " committed  %u faults", elapsed, all,
                  tps, (uint64_t)atomic_load(&run->committed), atomic_load(&run->faults_done));
    if (doing != NULL) {
        (void)fprintf(stderr, " (%s)", doing);
    }
    if (doubt >= 0) {
        (void)fprintf(stderr, "  %d in doubt", doubt);
    }
    (void)fflush(stderr);
}

void run_say(const struct run *run, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    bool live = !run->options.quiet && isatty(STDERR_FILENO) != 0;
    (void)fprintf(stderr, "%s%s\n", live ? "\r\033[K" : "", text);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void sample(struct sampler *sampler)
{
    struct run *run = sampler->run;
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t committed = atomic_load(&run->committed);
    double tps = now_ms == sampler->last_ms ? 0
                                            : (double)(committed - sampler->last_committed) *
                                                  1000.0 / (double)(now_ms - sampler->last_ms);
    sampler->last_committed = committed;
    sampler->last_ms = now_ms;
    int doubt = in_doubt(run);
    atomic_store(&run->in_doubt, doubt);
    json_t *line = json_pack("{s:s,s:I,s:f,s:I,s:o}", "type", "sample", "t",
                             (json_int_t)history_now_us(run->history), "tps", tps, "journal",
                             (json_int_t)journal_bytes(run), "processes", sample_processes(run));
    if (doubt >= 0) {
        (void)json_object_set_new(line, "in_doubt", json_integer(doubt));
    }
    history_write(run->history, line);
    show_progress(run, tps);
}

static void *run_sampler(void *user)
{
    struct sampler *sampler = user;
    sampler->last_ms = clock_monotonic_ms();
    for (unsigned i = 1; run_pause(sampler->run, PERIOD_MS); i++) {
        sample(sampler);
        shop_refill(sampler->run);
        if (i % ASK_EVERY == 0) {
            (void)open_keys_ask(sampler->run, ASK_AGE_MS,
                                NULL); /* else the next time, or at the end */
        }
    }
    return NULL;
}

bool sampler_start(struct run *run, struct sampler **ret_sampler, struct error *ret_error)
{
    struct sampler *sampler = alloc_zeroed(sizeof *sampler);
    sampler->run = run;
    int failure = pthread_create(&sampler->thread, NULL, run_sampler, sampler);
    if (failure != 0) {
        free(sampler);
        return error_set_errno(ret_error, ERROR_SYSTEM, failure, "cannot start a thread");
    }
    *ret_sampler = sampler;
    return true;
}

void sampler_stop(struct sampler *sampler)
{
    if (sampler != NULL) {
        (void)pthread_join(sampler->thread, NULL);
        free(sampler);
    }
}
