/*
 * test_p13_journal.c - P-13: what the journal forgets, when, and what it never does. Both backends.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fault.h"
#include "tests/lib/journal_kit.h"

static bool use_memory;

static int set_up(void **state)
{
    struct journal_kit *kit = calloc(1, sizeof *kit);
    kit_init(kit, use_memory);
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    kit_done(*state);
    free(*state);
    return 0;
}

struct trimmed {
    struct journal_head head;
    struct journal_floor floor;
    bool more;
};

static struct trimmed trim(struct journal_kit *kit, uint64_t now_running_ms, uint64_t retention_ms,
                           uint64_t swept_number, size_t slice_records)
{
    struct journal_trim bounds = {.epoch = KIT_EPOCH,
                                  .now_running_ms = now_running_ms,
                                  .retention_ms = retention_ms,
                                  .swept_number = swept_number,
                                  .slice_records = slice_records};
    struct trimmed trimmed = {0};
    struct error error = {0};
    assert_success(
        journal_trim(kit->journal, &bounds, &trimmed.head, &trimmed.floor, &trimmed.more, &error),
        &error);
    return trimmed;
}

static bool is_retained(struct journal_kit *kit, uint64_t epoch, uint64_t sequence)
{
    struct gtrid gtrid = kit_gtrid(epoch, sequence);
    struct journal_entry entry;
    struct error error = {0};
    bool found;
    assert_success(journal_find_gtrid(kit->journal, &gtrid, &found, &entry, &error), &error);
    if (found) {
        journal_entry_done(&entry);
    }
    return found;
}

static void assert_live(struct journal_kit *kit, const char *expected)
{
    char *text = kit_live_text(kit);
    assert_string_equal(text, expected);
    free(text);
}

/* What has no record may still be prepared somewhere: from the sequence that the coordinator names on, nothing is passed. */
static void test_p13_trim_stays_below_what_has_no_record(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    kit_finished(kit, 5, NULL, 10);
    kit_finished(kit, 7, NULL, 10);
    struct journal_trim bounds = {.epoch = KIT_EPOCH,
                                  .now_running_ms = 100,
                                  .swept_number = UINT64_MAX,
                                  .keep_sequence = 6,
                                  .slice_records = 100};
    struct trimmed trimmed = {0};
    struct error error = {0};
    assert_success(
        journal_trim(kit->journal, &bounds, &trimmed.head, &trimmed.floor, &trimmed.more, &error),
        &error);
    assert_int_equal(trimmed.floor.sequence, 5);
    assert_true(is_retained(kit, KIT_EPOCH, 7));
    bounds.keep_sequence = 0;
    assert_success(
        journal_trim(kit->journal, &bounds, &trimmed.head, &trimmed.floor, &trimmed.more, &error),
        &error);
    assert_int_equal(trimmed.floor.sequence, 7);
}

/* Where nothing is due nothing is written, unless the coordinator needs the head to move: then EPOCH alone, as it was. */
static void test_p13_trim_moves_the_head_where_that_is_needed(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    kit_finished(kit, 1, "key", 100);
    struct journal_trim bounds = {.epoch = KIT_EPOCH,
                                  .now_running_ms = 140,
                                  .retention_ms = 50,
                                  .swept_number = UINT64_MAX,
                                  .slice_records = 100};
    kit_reopen(kit); /* journal_state is that of the start */
    for (uint64_t round = 0; round < 3; round++) {
        const struct journal_head before = journal_state(kit->journal)->head;
        const struct journal_floor floor = journal_state(kit->journal)->floor;
        struct trimmed trimmed = {0};
        struct error error = {0};
        bounds.must_write = round > 0;
        assert_success(journal_trim(kit->journal, &bounds, &trimmed.head, &trimmed.floor,
                                    &trimmed.more, &error),
                       &error);
        assert_int_equal(trimmed.head.number, before.number + (bounds.must_write ? 1 : 0));
        assert_int_equal(trimmed.floor.first_number, floor.first_number);
        assert_int_equal(trimmed.floor.epoch, floor.epoch);
        assert_int_equal(trimmed.floor.sequence, floor.sequence);
        assert_false(trimmed.more);
        kit_reopen(kit);
        assert_int_equal(journal_state(kit->journal)->head.number, trimmed.head.number);
        assert_int_equal(journal_state(kit->journal)->floor.first_number, floor.first_number);
        assert_true(is_retained(kit, KIT_EPOCH, 1));
    }
    bounds.now_running_ms = 150; /* what is due moves it anyway */
    struct trimmed after = {0};
    struct error error = {0};
    assert_success(
        journal_trim(kit->journal, &bounds, &after.head, &after.floor, &after.more, &error),
        &error);
    assert_int_equal(after.floor.sequence, 1);
    assert_false(is_retained(kit, KIT_EPOCH, 1));
}

/* A decision is kept for the window of running time after its END, and not longer. */
static void test_p13_window_counts_running_time(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    kit_finished(kit, 1, "key", 100);
    struct trimmed before = trim(kit, 149, 50, UINT64_MAX, 100);
    assert_int_equal(before.floor.first_number, 1);
    assert_true(is_retained(kit, 1, 1));
    struct trimmed after = trim(kit, 150, 50, UINT64_MAX, 100);
    assert_int_equal(after.floor.epoch, 1);
    assert_int_equal(after.floor.sequence, 1);
    assert_int_equal(after.floor.first_number, 4);
    assert_false(is_retained(kit, 1, 1));
    kit_reopen(kit);
    assert_int_equal(journal_state(kit->journal)->floor.sequence, 1);
    assert_int_equal(journal_state(kit->journal)->running_ms, 150); /* FLOOR keeps it, too */
    assert_false(is_retained(kit, 1, 1));
}

/* Running time that went backwards (a journal adopted elsewhere) makes nothing old. */
static void test_p13_running_time_behind_end_keeps(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    kit_finished(kit, 1, NULL, 1000);
    struct trimmed trimmed = trim(kit, 10, 0, UINT64_MAX, 100);
    assert_int_equal(trimmed.floor.first_number, 1);
}

/* The floor passes a transaction only after every participant has swept beyond its END. */
static void test_p13_floor_waits_for_sweeps(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    kit_finished(kit, 1, NULL, 1); /* END is record 3 */
    kit_finished(kit, 2, NULL, 1); /* END is record 5 */
    assert_int_equal(trim(kit, 1000, 0, 2, 100).floor.first_number, 1);
    struct trimmed trimmed = trim(kit, 1000, 0, 3, 100);
    assert_int_equal(trimmed.floor.sequence, 1);
    assert_true(is_retained(kit, 1, 2));
    assert_int_equal(trim(kit, 1000, 0, 5, 100).floor.sequence, 2);
}

/* Where nothing is due nothing is written: no record, no sync. */
static void test_p13_nothing_due_writes_nothing(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 1), NULL));
    kit_finished(kit, 2, NULL, 5000);
    for (int i = 0; i < 3; i++) {
        struct trimmed trimmed = trim(kit, 5000, 1, UINT64_MAX, 1);
        assert_int_equal(trimmed.head.number, 4);
        assert_int_equal(trimmed.floor.first_number, 1);
        assert_false(trimmed.more);
    }
}

/* One unfinished COMMIT does not pin the journal: it is appended again, whole, and finished later. */
static void test_p13_unfinished_commit_does_not_pin(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_entry entry;
    struct error error = {0};
    bool found;
    kit_start(kit);
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 1), "old"));
    for (uint64_t sequence = 2; sequence <= 100; sequence++) {
        kit_finished(kit, sequence, NULL, sequence);
    }
    assert_true(kit_trim_all(kit, 1000, 20) > 5);
    kit_reopen(kit);
    assert_true(journal_state(kit->journal)->floor.first_number > 199);
    assert_live(kit, "commit 1.1");
    assert_success(journal_find_key(kit->journal, "old", 3, &found, &entry, &error), &error);
    assert_true(found);
    assert_false(entry.ended);
    assert_memory_equal(entry.commit.as.commit.branches[0].results->bytes, "result", 6);
    journal_entry_done(&entry);
    (void)kit_append(kit, kit_end(kit_gtrid(1, 1), 1001));
    kit_reopen(kit);
    assert_live(kit, "");
    assert_int_equal(kit_trim_all(kit, 2000, 20), 1);
    assert_false(is_retained(kit, 1, 1));
}

/* Live records at the front are not moved again and again where nothing behind them is due. */
static void test_p13_live_front_is_not_moved_for_nothing(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    for (uint64_t sequence = 1; sequence <= 30; sequence++) {
        (void)kit_append(kit, kit_commit(kit_gtrid(1, sequence), NULL));
    }
    assert_int_equal(kit_trim_all(kit, 1000, 10), 0);
    kit_finished(kit, 31, NULL, 1);
    assert_true(kit_trim_all(kit, 1000, 10) >= 3); /* now it is worth it */
    assert_false(is_retained(kit, 1, 31));
    assert_true(is_retained(kit, 1, 1));
}

/* A heuristic outcome stays, with COMMIT and END, until a person has resolved it. */
static void test_p13_heuristic_stays_until_resolved(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    kit_finished(kit, 1, "h", 1);
    (void)kit_append(kit, kit_heuristic(kit_gtrid(1, 1), "order"));
    (void)kit_append(kit, kit_heuristic(kit_gtrid(1, 9), "payment")); /* of an aborted one */
    kit_finished(kit, 2, NULL, 2);
    assert_true(kit_trim_all(kit, 1000, 100) > 0);
    kit_reopen(kit);
    assert_live(kit, "commit 1.1,end 1.1,heuristic 1.1/order,heuristic 1.9/payment");
    (void)kit_append(kit, kit_resolved(kit_gtrid(1, 1), "order"));
    (void)kit_append(kit, kit_resolved(kit_gtrid(1, 9), "payment"));
    kit_reopen(kit);
    assert_live(kit, "");
    kit_finished(kit, 3, NULL, 3);
    assert_true(kit_trim_all(kit, 1000, 100) > 0);
    assert_false(is_retained(kit, 1, 1));
    kit_reopen(kit);
}

/* A person's word on a branch that this journal can not judge (P-8) is all there will ever be of it: it stays, over
 * restarts and trimming. Any other is needed only beside what it is about. */
static void test_p13_verdict_of_a_person_stays(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    kit_finished(kit, 2, NULL, 1);
    assert_true(kit_trim_all(kit, 1000, 100) > 0); /* the floor is at 1.2 */
    struct record below = kit_resolved(kit_gtrid(1, 1), "order");
    below.as.resolved.action = RESOLVE_ROLLBACK;
    struct record unlisted = kit_resolved(kit_gtrid(9, 1), "order");
    unlisted.as.resolved.action = RESOLVE_COMMIT;
    struct record above = kit_resolved(kit_gtrid(1, 3), "order");
    above.as.resolved.action = RESOLVE_ROLLBACK;
    (void)kit_append(kit, below);
    (void)kit_append(kit, unlisted);
    (void)kit_append(kit, above);
    (void)kit_append(kit, kit_resolved(kit_gtrid(1, 2), "order")); /* forget */
    kit_reopen(kit);
    assert_live(kit, "resolved 1.1/order,resolved 9.1/order");
    kit_finished(kit, 4, NULL, 2);
    assert_true(kit_trim_all(kit, 2000, 100) > 0);
    kit_reopen(kit);
    assert_live(kit, "resolved 1.1/order,resolved 9.1/order");
}

/* FLOOR repeats every epoch and nonce that is still needed, and drops those below it. */
static void test_p13_floor_repeats_needed_epochs(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_head head;
    struct error error = {0};
    kit_start(kit);
    kit_finished(kit, 1, NULL, 1);
    for (uint64_t epoch = 2; epoch <= 4; epoch++) {
        struct record records[3] = {kit_epoch(epoch, 0, NULL),
                                    kit_commit(kit_gtrid(epoch, 1), NULL),
                                    kit_end(kit_gtrid(epoch, 1), epoch * 10)};
        assert_success(journal_append(kit->journal, epoch, records, 3, &head, &error), &error);
        record_done(&records[0]);
        record_done(&records[1]);
    }
    struct journal_trim bounds = {.epoch = 4,
                                  .now_running_ms = 20,
                                  .swept_number = UINT64_MAX,
                                  .slice_records = 100}; /* forgets 1.1 and 2.1 */
    struct journal_floor floor;
    bool more;
    assert_success(journal_trim(kit->journal, &bounds, &head, &floor, &more, &error), &error);
    assert_int_equal(floor.epoch, 2);
    assert_int_equal(floor.sequence, 1);
    kit_reopen(kit);
    const struct journal_state *found = journal_state(kit->journal);
    assert_int_equal(found->epoch_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(found->epochs[i].epoch, i + 2);
        assert_int_equal(found->epochs[i].nonce, (i + 2) * 1000);
    }
    assert_int_equal(found->last_epoch, 4);
}

/* Trimming past the EPOCH record keeps the epoch and everybody who is waited for; a released participant
 * does not come back with a COMMIT that is appended again. */
static void test_p13_epoch_and_participants_survive(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 1), NULL));
    (void)kit_append(kit, kit_release("payment"));
    for (uint64_t sequence = 2; sequence <= 20; sequence++) {
        kit_finished(kit, sequence, NULL, 1);
    }
    (void)kit_append(kit, kit_release("payment")); /* the COMMITs have named it again */
    assert_true(kit_trim_all(kit, 1000, 7) > 1);
    kit_reopen(kit);
    const struct journal_state *found = journal_state(kit->journal);
    assert_int_equal(found->last_epoch, 1);
    assert_int_equal(found->epoch_count, 1);
    assert_int_equal(found->epochs[0].nonce, 1000);
    assert_int_equal(found->participant_count, 1);
    assert_string_equal(found->participants[0], "order");
    assert_live(kit, "commit 1.1");
}

/* A key is free again once its transaction is forgotten, and a later use of it is the one that is found. */
static void test_p13_forgotten_key_is_free(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_entry entry;
    struct error error = {0};
    bool found;
    kit_start(kit);
    kit_finished(kit, 1, "key", 1);
    assert_int_equal(kit_trim_all(kit, 1000, 100), 1);
    assert_success(journal_find_key(kit->journal, "key", 3, &found, &entry, &error), &error);
    assert_false(found);
    kit_finished(kit, 2, "key", 2000);
    kit_reopen(kit);
    assert_success(journal_find_key(kit->journal, "key", 3, &found, &entry, &error), &error);
    assert_true(found);
    assert_int_equal(entry.commit.as.commit.gtrid.sequence, 2);
    journal_entry_done(&entry);
}

/* The hash of a trimmed record is not found, which is not "missing" (P-10); later ones still are. */
static void test_p13_hash_of_trimmed_record_is_not_found(void **state)
{
    struct journal_kit *kit = *state;
    uint8_t hash[HASH_BYTES];
    struct error error = {0};
    bool found;
    kit_start(kit);
    kit_finished(kit, 1, NULL, 1);
    struct trimmed trimmed = trim(kit, 1000, 0, UINT64_MAX, 100);
    assert_success(journal_hash_at(kit->journal, 3, &found, hash, &error), &error);
    assert_false(found);
    assert_success(journal_hash_at(kit->journal, trimmed.head.number, &found, hash, &error),
                   &error);
    assert_true(found);
    assert_memory_equal(hash, trimmed.head.hash, HASH_BYTES);
}

/* A slice takes no more rows than it may, and says that there is more. */
static void test_p13_slices_are_bounded(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    for (uint64_t sequence = 1; sequence <= 50; sequence++) {
        kit_finished(kit, sequence, NULL, 1);
    }
    uint64_t first = 1;
    bool more = true;
    for (int slices = 0; more; slices++) {
        struct trimmed trimmed = trim(kit, 1000, 0, UINT64_MAX, 8);
        assert_true(trimmed.floor.first_number <= first + 8);
        assert_true(trimmed.floor.first_number > first || !trimmed.more);
        first = trimmed.floor.first_number;
        more = trimmed.more;
        assert_true(slices < 200);
    }
    assert_true(first > 100);
}

/* A coordinator restarted for ever without work does not make the journal grow for ever. */
static void test_p13_restarts_alone_stay_bounded(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_head head = {0};
    struct journal_floor floor;
    struct error error = {0};
    bool more;
    kit_start(kit);
    for (uint64_t epoch = 2; epoch <= 3000; epoch++) {
        struct record record = kit_epoch(epoch, 0, NULL);
        assert_success(journal_append(kit->journal, epoch, &record, 1, &head, &error), &error);
        record_done(&record);
        if (epoch % 100 == 0) {
            struct journal_trim bounds = {
                .epoch = epoch, .swept_number = UINT64_MAX, .slice_records = 1000};
            assert_success(journal_trim(kit->journal, &bounds, &head, &floor, &more, &error),
                           &error);
        }
    }
    kit_reopen(kit);
    const struct journal_state *found = journal_state(kit->journal);
    assert_int_equal(found->last_epoch, 3000);
    assert_true(found->head.number - found->floor.first_number < 700);
    assert_true(found->epoch_count < 1500);
    assert_int_equal(found->epochs[found->epoch_count - 1].nonce, 3000 * 1000);
}

/* Another epoch's trim is fenced. */
static void test_p13_trim_of_other_epoch_is_fenced(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_trim bounds = {.epoch = 2, .swept_number = UINT64_MAX, .slice_records = 10};
    struct journal_head head;
    struct journal_floor floor;
    struct error error = {0};
    bool more;
    kit_start(kit);
    assert_false(journal_trim(kit->journal, &bounds, &head, &floor, &more, &error));
    assert_int_equal(error.kind, ERROR_LOCKED);
}

/* Killed in the middle of trimming: the journal is as it was before. */
static void test_p13_killed_in_trim_changes_nothing(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 1), NULL));
    kit_finished(kit, 2, NULL, 1);
    kit_close(kit);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error error;
        if (kit_open(kit, &error) && fault_arm("c.gc.mid:kill:1", NULL, &error)) {
            (void)trim(kit, 1000, 0, UINT64_MAX, 100);
        }
        _exit(1);
    }
    int status;
    struct error error = {0};
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status)); /* the point was reached */
    assert_success(kit_open(kit, &error), &error);
    assert_int_equal(journal_state(kit->journal)->head.number, 4);
    assert_int_equal(journal_state(kit->journal)->floor.first_number, 1);
    assert_true(is_retained(kit, 1, 2));
    assert_live(kit, "commit 1.1");
}

static int run(const char *name, bool memory)
{
#define TRIM_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TRIM_TEST(test_p13_trim_moves_the_head_where_that_is_needed),
        TRIM_TEST(test_p13_window_counts_running_time),
        TRIM_TEST(test_p13_running_time_behind_end_keeps),
        TRIM_TEST(test_p13_floor_waits_for_sweeps),
        TRIM_TEST(test_p13_trim_stays_below_what_has_no_record),
        TRIM_TEST(test_p13_nothing_due_writes_nothing),
        TRIM_TEST(test_p13_unfinished_commit_does_not_pin),
        TRIM_TEST(test_p13_live_front_is_not_moved_for_nothing),
        TRIM_TEST(test_p13_heuristic_stays_until_resolved),
        TRIM_TEST(test_p13_verdict_of_a_person_stays),
        TRIM_TEST(test_p13_floor_repeats_needed_epochs),
        TRIM_TEST(test_p13_epoch_and_participants_survive),
        TRIM_TEST(test_p13_forgotten_key_is_free),
        TRIM_TEST(test_p13_hash_of_trimmed_record_is_not_found),
        TRIM_TEST(test_p13_slices_are_bounded),
        TRIM_TEST(test_p13_restarts_alone_stay_bounded),
        TRIM_TEST(test_p13_trim_of_other_epoch_is_fenced),
    };
    const struct CMUnitTest sqlite_only[] = {TRIM_TEST(test_p13_killed_in_trim_changes_nothing)};
    use_memory = memory;
    int failed = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    return memory ? failed
                  : failed + cmocka_run_group_tests_name("killed", sqlite_only, NULL, NULL);
}

int main(void)
{
    int failed = run("SQLite", false);
    return run("memory", true) + failed;
}
