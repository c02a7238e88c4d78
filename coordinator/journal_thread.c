/* journal_thread.c - see journal_thread.h. */
#include "coordinator/journal_thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/inbox.h"

#define SPACE_CHECK_MS 1000

enum job_kind { JOB_APPEND = 1, JOB_TRIM, JOB_STOP };

struct job {
    struct inbox_item item; /* first: an item is its job */
    uint64_t epoch;
    uint64_t last_token;
    bool forced;
    size_t record_count;
    struct record *records;
    struct journal_trim trim;
};

struct journal_thread {
    pthread_t thread;
    struct journal *journal;
    struct inbox *inbox;
    struct journal_thread_callbacks callbacks;
    /* Everything below is the journal thread's own, but for the atomics. */
    struct record *batch;
    size_t batch_count, batch_capacity;
    uint64_t batch_epoch, batch_token, batch_due_ms;
    bool batch_forced;
    bool has_trim;
    struct journal_trim trim;
    bool stopping, failed, had_space;
    uint64_t space_due_ms;
    _Atomic uint64_t batches, records, trims;
};

static void batch_add(struct journal_thread *thread, struct job *job)
{
    if (thread->batch_count == 0) {
        thread->batch_due_ms = clock_monotonic_ms() + JOURNAL_LAZY_MS;
        thread->batch_forced = false;
    }
    size_t needed = thread->batch_count + job->record_count;
    if (needed > thread->batch_capacity) {
        thread->batch_capacity = needed * 2;
        thread->batch =
            alloc_resize(thread->batch, thread->batch_capacity, sizeof(thread->batch[0]));
    }
    memcpy(thread->batch + thread->batch_count, job->records,
           job->record_count * sizeof(job->records[0]));
    thread->batch_count = needed;
    thread->batch_epoch = job->epoch;
    thread->batch_token = job->last_token;
    thread->batch_forced = thread->batch_forced || job->forced;
}

static void batch_drop(struct journal_thread *thread)
{
    for (size_t i = 0; i < thread->batch_count; i++) {
        record_done(&thread->batch[i]);
    }
    thread->batch_count = 0;
    thread->batch_due_ms = UINT64_MAX;
}

static void thread_fail(struct journal_thread *thread, const struct error *error)
{
    thread->failed = true;
    thread->callbacks.on_failed(thread->callbacks.user, error);
}

static void batch_write(struct journal_thread *thread)
{
    struct error error;
    struct journal_head head;
    if (!journal_append(thread->journal, thread->batch_epoch, thread->batch, thread->batch_count,
                        &head, &error)) {
        thread_fail(thread, &error);
    } else {
        thread->batches++;
        thread->records += thread->batch_count;
        thread->callbacks.on_durable(thread->callbacks.user, thread->batch_token, &head);
    }
    batch_drop(thread);
}

static void trim_run(struct journal_thread *thread)
{
    struct error error;
    struct journal_head head;
    struct journal_floor floor;
    bool more = false;
    thread->has_trim = false;
    if (!journal_trim(thread->journal, &thread->trim, &head, &floor, &more, &error)) {
        thread_fail(thread, &error);
        return;
    }
    thread->trims++;
    thread->callbacks.on_trimmed(thread->callbacks.user, &head, &floor, more);
}

static void space_check(struct journal_thread *thread)
{
    thread->space_due_ms = clock_monotonic_ms() + SPACE_CHECK_MS;
    bool has_space = journal_has_space(thread->journal);
    if (has_space != thread->had_space) {
        thread->had_space = has_space;
        thread->callbacks.on_space(thread->callbacks.user, has_space);
    }
}

static void job_take(struct journal_thread *thread, struct job *job)
{
    switch (job->item.kind) {
    case JOB_APPEND:
        batch_add(thread, job);
        break;
    case JOB_TRIM:
        thread->trim = job->trim;
        thread->has_trim = true;
        break;
    case JOB_STOP:
        thread->stopping = true;
        break;
    default:
        CHECK(!"no such job");
    }
    free(job->records);
    free(job);
}

static void *thread_main(void *argument)
{
    struct journal_thread *thread = argument;
    thread->batch_due_ms = UINT64_MAX;
    while (!thread->stopping) {
        uint64_t due_ms = thread->batch_due_ms < thread->space_due_ms ? thread->batch_due_ms
                                                                      : thread->space_due_ms;
        struct inbox_item *item = inbox_take(thread->inbox, due_ms);
        while (item != NULL) {
            struct inbox_item *next = item->next;
            job_take(thread, (struct job *)item);
            item = next;
        }
        bool due = thread->batch_forced || thread->stopping ||
                   clock_monotonic_ms() >= thread->batch_due_ms;
        if (thread->batch_count > 0 && due && !thread->failed) {
            batch_write(thread);
        } else if (thread->failed) {
            batch_drop(thread); /* P-16: nothing is written on a handle that failed */
        }
        if (thread->has_trim && !thread->failed && !thread->stopping) {
            trim_run(thread);
        }
        if (clock_monotonic_ms() >= thread->space_due_ms) {
            space_check(thread);
        }
    }
    batch_drop(thread);
    return NULL;
}

struct journal_thread *journal_thread_start(struct journal *journal,
                                            const struct journal_thread_callbacks *callbacks)
{
    struct journal_thread *thread = alloc_zeroed(sizeof(*thread));
    thread->journal = journal;
    thread->inbox = inbox_new();
    thread->callbacks = *callbacks;
    thread->had_space = true;
    CHECK(pthread_create(&thread->thread, NULL, thread_main, thread) == 0);
    return thread;
}

void journal_thread_append(struct journal_thread *thread, uint64_t epoch,
                           struct coord_append *appends, size_t count)
{
    struct job *job = alloc_zeroed(sizeof(*job));
    job->item.kind = JOB_APPEND;
    job->epoch = epoch;
    job->records = alloc_array(count, sizeof(job->records[0]));
    job->record_count = count;
    for (size_t i = 0; i < count; i++) {
        job->records[i] = appends[i].record;
        memset(&appends[i].record, 0, sizeof(appends[i].record));
        job->forced = job->forced || appends[i].forced;
        job->last_token = appends[i].token;
    }
    inbox_post(thread->inbox, &job->item);
}

void journal_thread_trim(struct journal_thread *thread, const struct journal_trim *trim)
{
    struct job *job = alloc_zeroed(sizeof(*job));
    job->item.kind = JOB_TRIM;
    job->trim = *trim;
    inbox_post(thread->inbox, &job->item);
}

void journal_thread_counters_read(const struct journal_thread *thread,
                                  struct journal_thread_counters *ret_counters)
{
    ret_counters->batches = thread->batches;
    ret_counters->records = thread->records;
    ret_counters->trims = thread->trims;
}

void journal_thread_stop(struct journal_thread *thread)
{
    struct job *job = alloc_zeroed(sizeof(*job));
    job->item.kind = JOB_STOP;
    inbox_post(thread->inbox, &job->item);
    pthread_join(thread->thread, NULL);
    inbox_free(thread->inbox);
    free(thread->batch);
    free(thread);
}
