/*
 * test_journal_threads.c - one thread appends and trims while another looks things up: a look-up sees a
 * transaction whole or not at all. Also what ThreadSanitizer runs.
 */
#include "tests/lib/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/lib/journal_kit.h"

#define TRANSACTIONS 400

static struct journal_kit kit;
static _Atomic uint64_t durable;   /* transactions up to this one have COMMIT and END */
static _Atomic uint64_t forgotten; /* transactions up to this one may be trimmed */
static _Atomic bool failed;

static void *write_and_trim(void *argument)
{
    struct journal_trim bounds = {
        .epoch = KIT_EPOCH, .swept_number = UINT64_MAX, .slice_records = 50};
    struct journal_head head;
    struct journal_floor floor;
    bool more;
    (void)argument;
    for (uint64_t sequence = 1; sequence <= TRANSACTIONS && !failed; sequence++) {
        struct record pair[2] = {kit_commit(kit_gtrid(KIT_EPOCH, sequence), "key"),
                                 kit_end(kit_gtrid(KIT_EPOCH, sequence), sequence)};
        failed = !journal_append(kit.journal, KIT_EPOCH, pair, 2, &head, NULL);
        record_done(&pair[0]);
        durable = sequence;
        if (sequence % 25 == 0) {
            forgotten = sequence - 20;
            bounds.now_running_ms = sequence;
            bounds.retention_ms = 20;
            failed = failed || !journal_trim(kit.journal, &bounds, &head, &floor, &more, NULL);
        }
    }
    return NULL;
}

/* Whatever is durable and not due to be forgotten is found whole; the newest use of a key is ended, too. */
static void test_journal_reads_beside_writes(void **state)
{
    bool memory = *(bool *)*state;
    pthread_t writer;
    struct error error = {0};
    uint64_t last = 0;
    kit_init(&kit, memory);
    kit_start(&kit);
    durable = 0;
    forgotten = 0;
    assert_int_equal(pthread_create(&writer, NULL, write_and_trim, NULL), 0);
    while (last < TRANSACTIONS && !failed) {
        struct journal_entry entry;
        struct journal_entry *entries;
        size_t count;
        bool found;
        last = durable;
        struct gtrid gtrid = kit_gtrid(KIT_EPOCH, last);
        assert_success(journal_find_gtrid(kit.journal, &gtrid, &found, &entry, &error), &error);
        assert_true(found || last == 0 || last <= forgotten);
        if (found) {
            assert_true(entry.ended);
            journal_entry_done(&entry);
        }
        assert_success(journal_find_key(kit.journal, "key", 3, &found, &entry, &error), &error);
        assert_true(found || last == 0);
        if (found) {
            assert_true(entry.ended && entry.commit.as.commit.gtrid.sequence >= last);
            journal_entry_done(&entry);
        }
        assert_success(journal_list(kit.journal, JOURNAL_LISTS_COMMITS, UINT64_MAX, "order", 3,
                                    &entries, &count, &error),
                       &error);
        for (size_t i = 0; i < count; i++) {
            assert_true(entries[i].ended);
            journal_entry_done(&entries[i]);
        }
        free(entries);
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_false(failed);
    kit_done(&kit);
}

int main(void)
{
    static bool sqlite = false;
    static bool memory = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_journal_reads_beside_writes, &sqlite),
        cmocka_unit_test_prestate(test_journal_reads_beside_writes, &memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
