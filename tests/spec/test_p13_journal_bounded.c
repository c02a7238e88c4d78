/*
 * test_p13_journal_bounded.c - P-13, B1: the journal's files stop growing while transactions go on.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/lib/journal_kit.h"

#define TRANSACTIONS 20000
#define BATCH        50
#define TRIM_EVERY   500
#define RETENTION_MS 1000 /* one transaction is one millisecond here */

static off_t size_of(const struct journal_kit *kit, const char *suffix)
{
    char path[128];
    struct stat status = {0};
    (void)snprintf(path, sizeof path, "%s%s", kit->path, suffix);
    (void)stat(path, &status);
    return status.st_size;
}

static void append_batch(struct journal_kit *kit, uint64_t first_sequence)
{
    struct record records[2 * BATCH];
    struct journal_head head;
    struct error error = {0};
    for (uint64_t i = 0; i < BATCH; i++) {
        char key[32];
        struct gtrid gtrid = kit_gtrid(KIT_EPOCH, first_sequence + i);
        (void)snprintf(key, sizeof key, "key-%llu", (unsigned long long)gtrid.sequence);
        records[2 * i] = kit_commit(gtrid, key);
        records[2 * i + 1] = kit_end(gtrid, gtrid.sequence);
    }
    assert_success(journal_append(kit->journal, KIT_EPOCH, records, 2 * BATCH, &head, &error),
                   &error);
    for (size_t i = 0; i < 2 * BATCH; i++) {
        record_done(&records[i]);
    }
}

static void trim(struct journal_kit *kit, uint64_t now_ms)
{
    struct journal_trim bounds = {.epoch = KIT_EPOCH,
                                  .now_running_ms = now_ms,
                                  .retention_ms = RETENTION_MS,
                                  .swept_number = UINT64_MAX,
                                  .slice_records = 256};
    struct journal_head head;
    struct journal_floor floor;
    struct error error = {0};
    bool more = true;
    for (int slices = 0; more; slices++) {
        assert_true(slices < 100);
        assert_success(journal_trim(kit->journal, &bounds, &head, &floor, &more, &error), &error);
    }
}

/* 20,000 transactions through a window of 1,000, one of them never finished: after the first quarter the
 * file does not grow any more, and the log stays within its checkpoints. */
static void test_p13_journal_file_stops_growing(void **state)
{
    struct journal_kit kit;
    off_t quarter_bytes = 0;
    off_t wal_bytes = 0;
    (void)state;
    kit_init(&kit, false);
    kit_start(&kit);
    (void)kit_append(&kit, kit_commit(kit_gtrid(KIT_EPOCH, TRANSACTIONS * 2), "never-finished"));
    for (uint64_t sequence = 1; sequence <= TRANSACTIONS; sequence += BATCH) {
        append_batch(&kit, sequence);
        if (sequence % TRIM_EVERY == 1) {
            trim(&kit, sequence + BATCH);
        }
        if (sequence + BATCH > TRANSACTIONS / 4 && quarter_bytes == 0) {
            kit_reopen(&kit);
            quarter_bytes = size_of(&kit, "");
        }
        if (size_of(&kit, "-wal") > wal_bytes) {
            wal_bytes = size_of(&kit, "-wal");
        }
    }
    kit_reopen(&kit);
    print_message("journal %lld bytes at a quarter, %lld at the end; log at most %lld\n",
                  (long long)quarter_bytes, (long long)size_of(&kit, ""), (long long)wal_bytes);
    assert_true(size_of(&kit, "") <= quarter_bytes + quarter_bytes / 10);
    assert_true(wal_bytes < 24 << 20);
    const struct journal_state *found = journal_state(kit.journal);
    assert_true(found->head.number - found->floor.first_number < 4 * (RETENTION_MS + TRIM_EVERY));
    char *live = kit_live_text(&kit);
    assert_string_equal(live, "commit 1.40000");
    free(live);
    kit_done(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_p13_journal_file_stops_growing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
