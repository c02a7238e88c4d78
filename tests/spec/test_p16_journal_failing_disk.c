/*
 * test_p16_journal_failing_disk.c - P-16: a write or sync that failed is never retried on the same handle;
 * what was acknowledged before is there after reopening, and nothing is half there.
 *
 * A fixed piece of work (appends, a trim, a checkpoint) is repeated with the n-th write or sync failing, for
 * every n until the work gets through without meeting the fault.
 */
#include "tests/lib/test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/failing_vfs.h"
#include "tests/lib/journal_kit.h"

#define N_MAX   2000
#define BATCHES 6

struct outcome {
    uint64_t acknowledged; /* sequences 1..n have their COMMIT and END acknowledged */
    bool failed;
    struct error error;
};

static bool append_pair(struct journal_kit *kit, uint64_t sequence, struct error *ret_error)
{
    struct record pair[2] = {kit_commit(kit_gtrid(KIT_EPOCH, sequence), "key"),
                             kit_end(kit_gtrid(KIT_EPOCH, sequence), sequence)};
    struct journal_head head;
    bool appended = journal_append(kit->journal, KIT_EPOCH, pair, 2, &head, ret_error);
    record_done(&pair[0]);
    return appended;
}

static bool trim(struct journal_kit *kit, struct error *ret_error)
{
    struct journal_trim bounds = {.epoch = KIT_EPOCH,
                                  .now_running_ms = BATCHES,
                                  .retention_ms = BATCHES - 1,
                                  .swept_number = UINT64_MAX,
                                  .slice_records = 100};
    struct journal_head head;
    struct journal_floor floor;
    bool more;
    return journal_trim(kit->journal, &bounds, &head, &floor, &more, ret_error);
}

/* Appends and trims until the first failure. */
static void work(struct journal_kit *kit, struct outcome *ret_outcome)
{
    *ret_outcome = (struct outcome){0};
    for (uint64_t sequence = 1; sequence <= BATCHES; sequence++) {
        if (!append_pair(kit, sequence, &ret_outcome->error)) {
            ret_outcome->failed = true;
            return;
        }
        ret_outcome->acknowledged = sequence;
    }
    ret_outcome->failed = !trim(kit, &ret_outcome->error);
}

/* After the failure every call fails with the same error and touches no file any more. */
static void assert_poisoned(struct journal_kit *kit, const struct outcome *outcome)
{
    struct error error = {0};
    size_t before = failing_vfs_operations_after();
    assert_false(append_pair(kit, 100, &error));
    assert_string_equal(error.text, outcome->error.text);
    assert_int_equal(error.kind, outcome->error.kind);
    assert_false(trim(kit, &error));
    assert_string_equal(error.text, outcome->error.text);
    kit_close(kit);
    assert_int_equal(failing_vfs_operations_after(), before);
}

/* What was acknowledged is there (but for what a trim that may have come through forgot), at most the one
 * pair that failed is there beyond it, and a pair is whole. */
static void assert_recovers(struct journal_kit *kit, const struct outcome *outcome)
{
    struct error error = {0};
    assert_success(kit_open(kit, &error), &error);
    uint64_t floor = journal_state(kit->journal)->floor.sequence;
    assert_true(floor <= 1);
    for (uint64_t sequence = 1; sequence <= BATCHES; sequence++) {
        struct gtrid gtrid = kit_gtrid(KIT_EPOCH, sequence);
        struct journal_entry entry;
        bool found;
        assert_success(journal_find_gtrid(kit->journal, &gtrid, &found, &entry, &error), &error);
        if (sequence > floor && sequence <= outcome->acknowledged) {
            assert_true(found);
        }
        if (sequence > outcome->acknowledged + 1) {
            assert_false(found);
        }
        if (found) {
            assert_true(entry.ended);
            journal_entry_done(&entry);
        }
    }
    char *live = kit_live_text(kit);
    assert_string_equal(live, "");
    free(live);
    assert_success(append_pair(kit, 50, &error), &error); /* the new handle works */
}

static void fail_at_every(enum failing_operation operation, int code, bool for_ever,
                          enum error_kind expected)
{
    size_t failures = 0;
    bool met = true;
    for (size_t n = 1; met; n++) {
        struct journal_kit kit;
        struct outcome outcome;
        assert_true(n < N_MAX);
        kit_init(&kit, false);
        kit_start(&kit);
        failing_vfs_arm(operation, n, code, for_ever);
        work(&kit, &outcome);
        met = failing_vfs_struck();
        assert_int_equal(outcome.failed, met);
        if (met) {
            failures++;
            assert_int_equal(outcome.error.kind, expected);
            assert_poisoned(&kit, &outcome);
            failing_vfs_disarm();
            assert_recovers(&kit, &outcome);
        }
        failing_vfs_disarm();
        kit_done(&kit);
    }
    assert_true(failures >= BATCHES + 1); /* every batch and the trim had their turn */
}

/* A write that fails once is final for the handle, at every place. */
static void test_p16_write_fails_once_is_final(void **state)
{
    (void)state;
    fail_at_every(FAILING_WRITE, SQLITE_IOERR_WRITE, false, ERROR_IO);
}

/* A full disk is final for the handle and is called what it is. */
static void test_p16_disk_full_is_final(void **state)
{
    (void)state;
    fail_at_every(FAILING_WRITE, SQLITE_FULL, true, ERROR_NO_SPACE);
}

/* A sync that fails once and would then succeed is not tried again: the kernel may have dropped the pages. */
static void test_p16_sync_fails_once_is_final(void **state)
{
    (void)state;
    fail_at_every(FAILING_SYNC, SQLITE_IOERR_FSYNC, false, ERROR_IO);
}

/* A disk whose syncs fail for ever loses nothing that was acknowledged before. */
static void test_p16_sync_fails_for_ever_is_final(void **state)
{
    (void)state;
    fail_at_every(FAILING_SYNC, SQLITE_IOERR_FSYNC, true, ERROR_IO);
}

/* Opening fails cleanly at every failing write or sync, and succeeds afterwards with nothing lost: recovery
 * makes durable what it read before it returns, so it must not return when that failed. */
static void open_fails_at_every(enum failing_operation operation, int code)
{
    struct journal_kit kit;
    struct error error = {0};
    size_t failures = 0;
    bool met = true;
    kit_init(&kit, false);
    kit_start(&kit);
    kit_finished(&kit, 1, "key", 1);
    (void)kit_append(&kit, kit_commit(kit_gtrid(KIT_EPOCH, 2), NULL));
    for (size_t n = 1; met; n++) {
        assert_true(n < N_MAX);
        /* Leaves its log behind, as a killed process does. */
        failing_vfs_arm(FAILING_SYNC, 1, SQLITE_IOERR_FSYNC, false);
        struct record release = kit_release("nobody");
        struct journal_head head;
        if (kit.journal != NULL) {
            assert_false(journal_append(kit.journal, KIT_EPOCH, &release, 1, &head, &error));
        }
        kit_close(&kit);
        failing_vfs_arm(operation, n, code, true);
        bool opened = kit_open(&kit, &error);
        met = failing_vfs_struck();
        failing_vfs_disarm();
        assert_int_equal(opened, !met);
        if (met) {
            failures++;
            assert_int_equal(error.kind, ERROR_IO);
        } else {
            char *live = kit_live_text(&kit);
            assert_string_equal(live, "commit 1.2");
            free(live);
        }
    }
    assert_true(failures >= 1);
    kit_done(&kit);
}

static void test_p16_open_fails_while_writes_fail(void **state)
{
    (void)state;
    open_fails_at_every(FAILING_WRITE, SQLITE_IOERR_WRITE);
}

static void test_p16_open_fails_while_syncs_fail(void **state)
{
    (void)state;
    open_fails_at_every(FAILING_SYNC, SQLITE_IOERR_FSYNC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p16_write_fails_once_is_final),
        cmocka_unit_test(test_p16_disk_full_is_final),
        cmocka_unit_test(test_p16_sync_fails_once_is_final),
        cmocka_unit_test(test_p16_sync_fails_for_ever_is_final),
        cmocka_unit_test(test_p16_open_fails_while_writes_fail),
        cmocka_unit_test(test_p16_open_fails_while_syncs_fail),
    };
    failing_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
