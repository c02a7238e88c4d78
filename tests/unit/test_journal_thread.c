/* test_journal_thread.c - group commit, lazy records and the end after a failure (P-16), over the memory journal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/inbox.h"
#include "coordinator/journal_thread.h"

struct told { /* what the thread said */
    struct inbox_item item;
    uint64_t token;
    uint64_t number;
    struct error error;
};

enum { TOLD_DURABLE = 1, TOLD_FAILED, TOLD_OTHER };

static void tell(void *user, int kind, uint64_t token, uint64_t number)
{
    struct told *told = alloc_zeroed(sizeof(*told));
    told->item.kind = kind;
    told->token = token;
    told->number = number;
    inbox_post(user, &told->item);
}

static void on_durable(void *user, uint64_t token, const struct journal_head *head)
{
    tell(user, TOLD_DURABLE, token, head->number);
}

static void on_trimmed(void *user, const struct journal_head *head,
                       const struct journal_floor *floor, bool more)
{
    (void)floor;
    (void)more;
    tell(user, TOLD_OTHER, 0, head->number);
}

static void on_space(void *user, bool has_space)
{
    tell(user, TOLD_OTHER, has_space ? 1 : 0, 0);
}

static void on_failed(void *user, const struct error *error)
{
    (void)error;
    tell(user, TOLD_FAILED, 0, 0);
}

struct bench {
    struct journal *journal;
    struct inbox *inbox;
    struct journal_thread *thread;
    struct told *waiting; /* taken and not looked at */
};

static void bench_init(struct bench *bench)
{
    struct journal_options options = {.create = true};
    struct error error;
    memset(bench, 0, sizeof(*bench));
    assert_true(journal_open_memory(&options, &bench->journal, &error));
    bench->inbox = inbox_new();
    struct journal_thread_callbacks callbacks = {.user = bench->inbox,
                                                 .on_durable = on_durable,
                                                 .on_trimmed = on_trimmed,
                                                 .on_space = on_space,
                                                 .on_failed = on_failed};
    bench->thread = journal_thread_start(bench->journal, &callbacks);
}

/* The next word of the thread, by a generous deadline. */
static struct told bench_next(struct bench *bench)
{
    if (bench->waiting == NULL) {
        bench->waiting = (struct told *)inbox_take(bench->inbox, clock_monotonic_ms() + 30000);
    }
    assert_non_null(bench->waiting);
    struct told told = *bench->waiting;
    free(bench->waiting);
    bench->waiting = (struct told *)told.item.next;
    return told;
}

static void bench_done(struct bench *bench)
{
    journal_thread_stop(bench->thread);
    for (struct inbox_item *item = inbox_take(bench->inbox, 0); item != NULL;) {
        struct inbox_item *next = item->next;
        free(item);
        item = next;
    }
    while (bench->waiting != NULL) {
        struct told *told = bench->waiting;
        bench->waiting = (struct told *)told->item.next;
        free(told);
    }
    inbox_free(bench->inbox);
    journal_close(bench->journal);
}

static void append(struct bench *bench, uint64_t epoch, uint64_t token, enum record_kind kind,
                   bool forced)
{
    struct coord_append append = {.token = token, .forced = forced, .record.kind = kind};
    if (kind == RECORD_EPOCH) {
        append.record.as.epoch.epoch = epoch;
        append.record.as.epoch.nonce = 7;
    } else {
        memcpy(append.record.as.release.participant, "gone", sizeof("gone"));
    }
    journal_thread_append(bench->thread, epoch, &append, 1);
}

/* A forced record is written at once and its token comes back. */
static void test_journal_thread_forced_record_becomes_durable(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    append(&bench, 1, 1, RECORD_EPOCH, true);
    struct told told = bench_next(&bench);
    assert_int_equal(told.item.kind, TOLD_DURABLE);
    assert_int_equal(told.token, 1);
    assert_int_equal(told.number, 1);
    bench_done(&bench);
}

/* A record that need not be forced waits for the next forced one and goes with it: one sync for both. */
static void test_journal_thread_lazy_record_rides_along(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    append(&bench, 1, 1, RECORD_EPOCH, true);
    bench_next(&bench);
    append(&bench, 1, 2, RECORD_RELEASE, false);
    append(&bench, 1, 3, RECORD_RELEASE, true);
    struct told told = bench_next(&bench);
    assert_int_equal(told.token, 3);
    assert_int_equal(told.number, 3);
    struct journal_thread_counters counters;
    journal_thread_counters_read(bench.thread, &counters);
    assert_int_equal(counters.batches, 2);
    assert_int_equal(counters.records, 3);
    bench_done(&bench);
}

/* Alone it is written after a while all the same. */
static void test_journal_thread_lazy_record_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    append(&bench, 1, 1, RECORD_EPOCH, true);
    bench_next(&bench);
    append(&bench, 1, 2, RECORD_RELEASE, false);
    assert_int_equal(bench_next(&bench).token, 2);
    bench_done(&bench);
}

/* What waits is written when the thread is stopped. */
static void test_journal_thread_stop_writes_what_waits(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    append(&bench, 1, 1, RECORD_EPOCH, true);
    bench_next(&bench);
    append(&bench, 1, 2, RECORD_RELEASE, false);
    journal_thread_stop(bench.thread);
    struct told told = bench_next(&bench);
    assert_int_equal(told.item.kind, TOLD_DURABLE);
    assert_int_equal(told.token, 2);
    inbox_free(bench.inbox);
    journal_close(bench.journal);
}

/* P-16: after the first failure nothing more is written, whatever comes; an older epoch is such a failure. */
static void test_p16_journal_thread_fails_once_and_for_all(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    append(&bench, 5, 1, RECORD_EPOCH, true);
    bench_next(&bench);
    append(&bench, 4, 2, RECORD_RELEASE, true); /* fenced */
    assert_int_equal(bench_next(&bench).item.kind, TOLD_FAILED);
    append(&bench, 5, 3, RECORD_RELEASE, true);
    journal_thread_stop(bench.thread);
    struct inbox_item *more = inbox_take(bench.inbox, 0);
    assert_null(more);
    inbox_free(bench.inbox);
    journal_close(bench.journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal_thread_forced_record_becomes_durable),
        cmocka_unit_test(test_journal_thread_lazy_record_rides_along),
        cmocka_unit_test(test_journal_thread_lazy_record_does_not_wait_for_ever),
        cmocka_unit_test(test_journal_thread_stop_writes_what_waits),
        cmocka_unit_test(test_p16_journal_thread_fails_once_and_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
