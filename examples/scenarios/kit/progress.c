/*
 * progress.c - the line on the terminal, and the bound of time (kit.h).
 *
 * A thread draws the line a few times a second on standard error; where that is no terminal, a stage is one line at its end, and
 * one every ten seconds before. The same thread ends the run when its time is over, whatever the others wait for.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "examples/scenarios/kit/kit.h"

#define DRAW_MS   200
#define QUIET_MS  10000
#define LOOK_MAX  160
#define COLUMNS   80 /* of a terminal that does not tell */
#define BAR_BYTES 20u
#define GRACE_MS                                                                                   \
    5000 /* for those who find for themselves that the time is up, and know better what for */

struct progress {
    struct kit *kit;
    bool is_terminal;
    pthread_t thread;
    pthread_mutex_t mutex; /* over all but the counters */
    pthread_cond_t changed;
    bool is_over;
    const char *title; /* NULL: no stage */
    const char *const *counters;
    uint64_t total;
    uint64_t begin_ms, drawn_ms;
    void (*look)(void *context, char *ret_text, size_t size_bytes);
    void *look_context;
    char seen[LOOK_MAX];
    atomic_uint_fast64_t done;
    atomic_uint_fast64_t counts[PROGRESS_COUNTERS];
};

/* What a line of the terminal holds; a longer one would be continued on the next, and could not be taken away. */
static size_t line_bytes_max(const struct progress *progress)
{
    struct winsize size = {0};
    if (!progress->is_terminal) {
        return SIZE_MAX;
    }
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u
                                                                           : COLUMNS - 1;
}

/* "####......", for a terminal. */
static void put_bar(FILE *out, uint64_t done, uint64_t total)
{
    const uint64_t full = done < total ? done * BAR_BYTES / total : BAR_BYTES;
    fputc(' ', out);
    for (uint64_t i = 0; i < BAR_BYTES; i++) {
        fputc(i < full ? '#' : '.', out);
    }
}

/* "  title 12/40, timed out 3 (1.2 s)", under the mutex. The last one of a stage stays, however long. */
static void print_line(const struct progress *progress, uint64_t now_ms, bool is_last)
{
    const double seconds = (double)(now_ms - progress->begin_ms) / 1000;
    char *line = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&line, &size_bytes);
    if (out == NULL) {
        abort();
    }
    fprintf(out, "  %s", progress->title);
    if (progress->total > 0) {
        const uint64_t done = atomic_load(&progress->done);
        if (progress->is_terminal) {
            put_bar(out, done, progress->total);
        }
        fprintf(out, " %" PRIu64 "/%" PRIu64, done, progress->total);
    }
    for (size_t i = 0; progress->counters != NULL && progress->counters[i] != NULL; i++) {
        fprintf(out, ", %s %" PRIuFAST64, progress->counters[i], atomic_load(&progress->counts[i]));
    }
    fprintf(out, "%s%s (%.1f s)", progress->seen[0] != 0 ? "; " : "", progress->seen, seconds);
    fclose(out);
    const size_t most_bytes = is_last ? size_bytes : line_bytes_max(progress);
    const size_t shown_bytes = size_bytes < most_bytes ? size_bytes : most_bytes;
    fprintf(stderr, "%s%.*s%s", progress->is_terminal ? "\r\033[K" : "", (int)shown_bytes, line,
            progress->is_terminal && !is_last ? "" : "\n");
    fflush(stderr);
    free(line);
}

static void draw(struct progress *progress, uint64_t now_ms)
{
    const uint64_t every_ms = progress->is_terminal ? DRAW_MS : QUIET_MS;
    if (progress->title == NULL) {
        return;
    }
    if (progress->look != NULL) {
        progress->look(progress->look_context, progress->seen, sizeof progress->seen);
    }
    if (now_ms >= progress->drawn_ms + every_ms) {
        print_line(progress, now_ms, false);
        progress->drawn_ms = now_ms;
    }
}

static void *progress_main(void *argument)
{
    struct progress *progress = argument;
    const struct kit *kit = progress->kit;
    pthread_mutex_lock(&progress->mutex);
    while (!progress->is_over) {
        const uint64_t now_ms = kit_now_ms();
        if (now_ms >= kit->until_ms + GRACE_MS) {
            pthread_mutex_unlock(&progress->mutex);
            kit_give_up(kit, EX_UNAVAILABLE, "--timeout gives it more time",
                        "not finished after %" PRIu64 " s", kit->options.seconds);
        }
        draw(progress, now_ms);
        const uint64_t next_ms = now_ms + DRAW_MS;
        const struct timespec next = {.tv_sec = (time_t)(next_ms / 1000),
                                      .tv_nsec = (long)(next_ms % 1000) * 1000000};
        (void)pthread_cond_timedwait(&progress->changed, &progress->mutex, &next);
    }
    pthread_mutex_unlock(&progress->mutex);
    return NULL;
}

struct progress *progress_new(struct kit *kit)
{
    struct progress *progress = calloc(1, sizeof *progress);
    pthread_condattr_t attributes;
    if (progress == NULL) {
        abort();
    }
    progress->kit = kit;
    progress->is_terminal = isatty(STDERR_FILENO);
    pthread_mutex_init(&progress->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&progress->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    const int failed = pthread_create(&progress->thread, NULL, progress_main, progress);
    if (failed != 0) {
        kit_give_up(kit, EX_OSERR, NULL, "a thread: %s", strerror(failed));
    }
    return progress;
}

void progress_free(struct progress *progress)
{
    pthread_mutex_lock(&progress->mutex);
    progress->is_over = true;
    pthread_cond_signal(&progress->changed);
    pthread_mutex_unlock(&progress->mutex);
    pthread_join(progress->thread, NULL);
    pthread_cond_destroy(&progress->changed);
    pthread_mutex_destroy(&progress->mutex);
    free(progress);
}

void progress_end(struct kit *kit)
{
    struct progress *progress = kit->progress;
    pthread_mutex_lock(&progress->mutex);
    if (progress->title != NULL) {
        print_line(progress, kit_now_ms(), true);
    }
    progress->title = NULL;
    progress->counters = NULL;
    progress->look = NULL;
    progress->seen[0] = 0;
    pthread_mutex_unlock(&progress->mutex);
}

void progress_stage(struct kit *kit, const char *title, uint64_t total, const char *const *counters)
{
    struct progress *progress = kit->progress;
    progress_end(kit);
    pthread_mutex_lock(&progress->mutex);
    progress->title = title;
    progress->counters = counters;
    progress->total = total;
    progress->begin_ms = progress->drawn_ms = kit_now_ms();
    atomic_store(&progress->done, 0);
    for (size_t i = 0; i < PROGRESS_COUNTERS; i++) {
        atomic_store(&progress->counts[i], 0);
    }
    pthread_mutex_unlock(&progress->mutex);
}

void progress_done(struct kit *kit)
{
    atomic_fetch_add(&kit->progress->done, 1);
}

void progress_count(struct kit *kit, size_t counter)
{
    if (counter >= PROGRESS_COUNTERS) {
        abort(); /* a scenario's mistake */
    }
    atomic_fetch_add(&kit->progress->counts[counter], 1);
}

uint64_t progress_counter(const struct kit *kit, size_t counter)
{
    return counter < PROGRESS_COUNTERS ? atomic_load(&kit->progress->counts[counter]) : 0;
}

void progress_watch(struct kit *kit, void (*look)(void *context, char *ret_text, size_t size_bytes),
                    void *context)
{
    struct progress *progress = kit->progress;
    pthread_mutex_lock(&progress->mutex);
    progress->look = look;
    progress->look_context = context;
    pthread_mutex_unlock(&progress->mutex);
}

/* Not under the mutex: whoever ends the program may hold it, and the line is only a line. */
void progress_clear(struct progress *progress)
{
    if (progress->is_terminal) {
        fputs("\r\033[K", stderr);
    }
}
