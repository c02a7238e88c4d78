/*
 * test_journal.c - what every journal promises, asked of both backends with the same questions.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recovery/journal_memory.h"
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

static void assert_live(struct journal_kit *kit, const char *expected)
{
    char *text = kit_live_text(kit);
    assert_string_equal(text, expected);
    free(text);
}

/* A new journal has the identity it was given and nothing else. */
static void test_journal_new_is_empty(void **state)
{
    struct journal_kit *kit = *state;
    struct error error = {0};
    assert_success(kit_open(kit, &error), &error);
    const struct journal_state *found = journal_state(kit->journal);
    assert_true(journal_id_equal(&found->id, &kit_id));
    assert_int_equal(found->head.number, 0);
    assert_int_equal(found->last_epoch, 0);
    assert_int_equal(found->floor.first_number, 1);
    assert_false(found->is_marked_copy);
    assert_true(journal_has_space(kit->journal));
    assert_live(kit, "");
}

/* What was appended is found after reopening: head, epochs, participants, running time, live records. */
static void test_journal_reopened_knows_what_was_appended(void **state)
{
    struct journal_kit *kit = *state;
    static const char *const names[] = {"stock"};
    kit_start(kit);
    kit_finished(kit, 1, "a", 500);
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 2), "b"));
    struct record epoch = kit_epoch(2, 1, names);
    struct journal_head head;
    struct error error = {0};
    assert_success(journal_append(kit->journal, 2, &epoch, 1, &head, &error), &error);
    record_done(&epoch);
    kit_reopen(kit);
    const struct journal_state *found = journal_state(kit->journal);
    assert_int_equal(found->head.number, 5);
    assert_memory_equal(found->head.hash, head.hash, HASH_BYTES);
    assert_int_equal(found->last_epoch, 2);
    assert_int_equal(found->running_ms, 500);
    assert_int_equal(found->epoch_count, 2);
    assert_int_equal(found->epochs[1].epoch, 2);
    assert_int_equal(found->epochs[1].nonce, 2000);
    assert_int_equal(found->participant_count, 1); /* the last EPOCH names them anew */
    assert_string_equal(found->participants[0], "stock");
    assert_live(kit, "commit 1.2");
}

/* Participants are those of the last EPOCH and of later COMMITs, less the released ones. */
static void test_journal_participants_follow_epoch_commit_release(void **state)
{
    struct journal_kit *kit = *state;
    static const char *const names[] = {"stock", "mail"};
    struct error error = {0};
    assert_success(kit_open(kit, &error), &error);
    (void)kit_append(kit, kit_epoch(1, 2, names));
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 1), NULL));
    (void)kit_append(kit, kit_release("mail"));
    (void)kit_append(kit, kit_release("unheard-of"));
    kit_reopen(kit);
    const struct journal_state *found = journal_state(kit->journal);
    assert_int_equal(found->participant_count, 3);
    assert_string_equal(found->participants[0], "stock");
    assert_string_equal(found->participants[1], "order");
    assert_string_equal(found->participants[2], "payment");
}

/* An append of a lower or other epoch is fenced, and so is everything after it on this handle (P-16, P-17). */
static void test_journal_append_of_other_epoch_is_fenced(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_head head;
    struct error error = {0};
    kit_start(kit);
    struct record commit = kit_commit(kit_gtrid(1, 1), NULL);
    assert_false(journal_append(kit->journal, 2, &commit, 1, &head, &error));
    assert_int_equal(error.kind, ERROR_LOCKED);
    assert_false(journal_append(kit->journal, 1, &commit, 1, &head, &error));
    assert_int_equal(error.kind, ERROR_LOCKED);
    record_done(&commit);
    kit_reopen(kit);
    assert_int_equal(journal_state(kit->journal)->head.number, 1);
}

/* An EPOCH must raise the epoch. */
static void test_journal_epoch_that_does_not_rise_is_fenced(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_head head;
    struct error error = {0};
    kit_start(kit);
    struct record epoch = kit_epoch(1, 0, NULL);
    assert_false(journal_append(kit->journal, 1, &epoch, 1, &head, &error));
    assert_int_equal(error.kind, ERROR_LOCKED);
    record_done(&epoch);
}

/* A record that names another journal's transaction is refused. */
static void test_journal_foreign_gtrid_is_refused(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_head head;
    struct error error = {0};
    kit_start(kit);
    struct gtrid foreign = kit_gtrid(1, 1);
    foreign.journal.bytes[0] ^= 1;
    struct record commit = kit_commit(foreign, NULL);
    assert_false(journal_append(kit->journal, 1, &commit, 1, &head, &error));
    assert_int_equal(error.kind, ERROR_INVALID);
    record_done(&commit);
}

/* A COMMIT is found by its full gtrid only: another nonce or journal is not it (P-8, P-10). */
static void test_journal_find_gtrid_needs_all_of_it(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_entry entry;
    struct error error = {0};
    bool found;
    kit_start(kit);
    kit_finished(kit, 7, "key-7", 10);
    struct gtrid gtrid = kit_gtrid(1, 7);
    assert_success(journal_find_gtrid(kit->journal, &gtrid, &found, &entry, &error), &error);
    assert_true(found);
    assert_int_equal(entry.commit_number, 2);
    assert_true(entry.ended);
    assert_int_equal(entry.end_wall_ms, 1700000001007u);
    assert_int_equal(entry.commit.as.commit.branch_count, 2);
    assert_memory_equal(entry.commit.as.commit.branches[0].results->bytes, "result", 6);
    journal_entry_done(&entry);
    gtrid.epoch_nonce++;
    assert_success(journal_find_gtrid(kit->journal, &gtrid, &found, &entry, &error), &error);
    assert_false(found);
    gtrid = kit_gtrid(1, 8);
    assert_success(journal_find_gtrid(kit->journal, &gtrid, &found, &entry, &error), &error);
    assert_false(found);
    gtrid = kit_gtrid(1, 7);
    gtrid.journal.bytes[15]++;
    assert_success(journal_find_gtrid(kit->journal, &gtrid, &found, &entry, &error), &error);
    assert_false(found);
}

/* A key finds its transaction, with heuristic and resolved notes, and only the whole key does. */
static void test_journal_find_key_gives_commit_with_notes(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_entry entry;
    struct error error = {0};
    bool found;
    kit_start(kit);
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 1), "alpha"));
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 2), "alphabet"));
    (void)kit_append(kit, kit_heuristic(kit_gtrid(1, 2), "order"));
    (void)kit_append(kit, kit_resolved(kit_gtrid(1, 2), "order"));
    assert_success(journal_find_key(kit->journal, "alphabet", 8, &found, &entry, &error), &error);
    assert_true(found);
    assert_int_equal(entry.commit.as.commit.gtrid.sequence, 2);
    assert_false(entry.ended);
    assert_int_equal(entry.note_count, 2);
    assert_int_equal(entry.notes[0].kind, RECORD_HEURISTIC);
    assert_int_equal(entry.notes[1].kind, RECORD_RESOLVED);
    assert_string_equal(entry.notes[1].as.resolved.comment, "booked by hand");
    journal_entry_done(&entry);
    assert_success(journal_find_key(kit->journal, "alphabe", 7, &found, &entry, &error), &error);
    assert_false(found);
}

static void assert_list(struct journal_kit *kit, uint64_t before, const char *participant,
                        size_t limit, const uint64_t *sequences, size_t count)
{
    struct journal_entry *entries = NULL;
    size_t found = 0;
    struct error error = {0};
    assert_success(journal_list(kit->journal, JOURNAL_LISTS_COMMITS, before, participant, limit,
                                &entries, &found, &error),
                   &error);
    assert_int_equal(found, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(entries[i].commit.as.commit.gtrid.sequence, sequences[i]);
        journal_entry_done(&entries[i]);
    }
    free(entries);
}

/* The list goes from the newest down, from before a number, for a participant, to a limit. */
static void test_journal_list_newest_first_with_filters(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    kit_finished(kit, 1, NULL, 1);                              /* 2 3 */
    struct record other = kit_commit(kit_gtrid(1, 2), "order"); /* the key is no participant */
    (void)snprintf(other.as.commit.branches[0].gid.participant,
                   sizeof other.as.commit.branches[0].gid.participant, "%s", "stock");
    (void)kit_append(kit, other);                             /* 4 */
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 3), NULL)); /* 5 */
    assert_list(kit, UINT64_MAX, NULL, 10, (const uint64_t[]){3, 2, 1}, 3);
    assert_list(kit, UINT64_MAX, NULL, 2, (const uint64_t[]){3, 2}, 2);
    assert_list(kit, 5, NULL, 10, (const uint64_t[]){2, 1}, 2);
    assert_list(kit, UINT64_MAX, "order", 10, (const uint64_t[]){3, 1}, 2);
    assert_list(kit, UINT64_MAX, "stock", 1, (const uint64_t[]){2}, 1);
    assert_list(kit, UINT64_MAX, "nobody", 10, (const uint64_t[]){0}, 0);
    assert_list(kit, UINT64_MAX, NULL, 0, (const uint64_t[]){0}, 0);
}

static void assert_outcomes(struct journal_kit *kit, enum journal_lists lists, uint64_t before,
                            const char *participant, const char *wanted)
{
    struct journal_entry *entries = NULL;
    size_t found = 0;
    struct error error = {0};
    char text[64] = "";
    assert_success(
        journal_list(kit->journal, lists, before, participant, 3, &entries, &found, &error),
        &error);
    for (size_t i = 0; i < found; i++) {
        const struct record *record = &entries[i].commit;
        bool is_dropped = record->kind == RECORD_DROPPED;
        const struct gtrid *id = is_dropped ? &record->as.dropped.gtrid : &record->as.commit.gtrid;
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%llu@%llu ",
                       is_dropped ? "d" : "c", (unsigned long long)id->sequence,
                       (unsigned long long)entries[i].commit_number);
        journal_entry_done(&entries[i]);
    }
    free(entries);
    assert_string_equal(text, wanted);
}

/* What was dropped is listed where it is asked for, alone and among the commits, and under no participant's name. */
static void test_journal_list_has_the_dropped_where_asked(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 1), "a"));  /* 2 */
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 2), "b"));  /* 3 */
    (void)kit_append(kit, kit_dropped(kit_gtrid(1, 1), 1));   /* 4 */
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 3), NULL)); /* 5 */
    (void)kit_append(kit, kit_dropped(kit_gtrid(1, 2), 1));   /* 6 */
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 4), NULL)); /* 7 */
    assert_outcomes(kit, JOURNAL_LISTS_DROPPED, UINT64_MAX, NULL, "d2@6 d1@4 ");
    assert_outcomes(kit, JOURNAL_LISTS_DROPPED, 6, NULL, "d1@4 ");
    assert_outcomes(kit, JOURNAL_LISTS_BOTH, UINT64_MAX, NULL, "c4@7 d2@6 c3@5 ");
    assert_outcomes(kit, JOURNAL_LISTS_BOTH, 5, NULL, "d1@4 ");
    assert_outcomes(kit, JOURNAL_LISTS_COMMITS, UINT64_MAX, NULL, "c4@7 c3@5 ");
    assert_outcomes(kit, JOURNAL_LISTS_BOTH, UINT64_MAX, "order", "c4@7 c3@5 ");
    assert_outcomes(kit, JOURNAL_LISTS_DROPPED, UINT64_MAX, "order", "");
}

/* The hash at the head's number is the head's; numbers never written are not found (P-10). */
static void test_journal_hash_at_answers_witness(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_head head;
    uint8_t hash[HASH_BYTES];
    struct error error = {0};
    bool found;
    kit_start(kit);
    struct record commit = kit_commit(kit_gtrid(1, 1), NULL);
    assert_success(journal_append(kit->journal, 1, &commit, 1, &head, &error), &error);
    record_done(&commit);
    assert_success(journal_hash_at(kit->journal, head.number, &found, hash, &error), &error);
    assert_true(found);
    assert_memory_equal(hash, head.hash, HASH_BYTES);
    assert_success(journal_hash_at(kit->journal, head.number + 1, &found, hash, &error), &error);
    assert_false(found);
    assert_success(journal_hash_at(kit->journal, 0, &found, hash, &error), &error);
    assert_false(found);
    assert_success(journal_hash_at(kit->journal, UINT64_MAX, &found, hash, &error), &error);
    assert_false(found);
}

/* Live are: COMMIT without END; a heuristic outcome that nobody has resolved, with its COMMIT even if
 * that has ended; ACCEPT without COMMIT or DROPPED, with what tells its state. */
static void test_journal_replay_gives_live_records_in_order(void **state)
{
    struct journal_kit *kit = *state;
    kit_start(kit);
    kit_finished(kit, 1, NULL, 1);
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 10), "q1"));
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 11), "q2"));
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 12), "q3"));
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 2), NULL));
    kit_finished(kit, 3, NULL, 2);
    (void)kit_append(kit, kit_heuristic(kit_gtrid(1, 3), "order"));
    (void)kit_append(kit, kit_heuristic(kit_gtrid(1, 4), "payment")); /* of an aborted one */
    (void)kit_append(kit, kit_refused(kit_gtrid(1, 11)));
    (void)kit_append(kit, kit_commit_of(kit_gtrid(1, 13), kit_gtrid(1, 12), "q3"));
    (void)kit_append(kit, kit_end(kit_gtrid(1, 13), 3));
    kit_reopen(kit);
    assert_live(kit, "accept 1.10,accept 1.11,commit 1.2,commit 1.3,end 1.3,heuristic 1.3/order,"
                     "heuristic 1.4/payment,refused 1.11");
    (void)kit_append(kit, kit_dropped(kit_gtrid(1, 11), 3));
    (void)kit_append(kit, kit_resolved(kit_gtrid(1, 3), "payment")); /* another branch */
    assert_live(kit, "accept 1.10,commit 1.2,commit 1.3,end 1.3,heuristic 1.3/order,"
                     "heuristic 1.4/payment,resolved 1.3/payment");
    (void)kit_append(kit, kit_resolved(kit_gtrid(1, 3), "order"));
    (void)kit_append(kit, kit_resolved(kit_gtrid(1, 4), ""));
    kit_reopen(kit);
    assert_live(kit, "accept 1.10,commit 1.2");
    (void)kit_append(kit, kit_heuristic(kit_gtrid(1, 4), "payment")); /* again: open again */
    assert_live(kit,
                "accept 1.10,commit 1.2,heuristic 1.4/payment,resolved 1.4,heuristic 1.4/payment");
}

static bool find_request(struct journal_kit *kit, struct gtrid id, struct journal_entry *ret_entry)
{
    struct error error = {0};
    bool found = false;
    assert_success(journal_find_request(kit->journal, &id, &found, ret_entry, &error), &error);
    return found;
}

/* A request that is over is found by its id: committed with its run, or dropped; one that waits is not. */
static void test_journal_find_request_gives_its_outcome(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_entry entry;
    kit_start(kit);
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 1), "a"));
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 2), "b"));
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 3), "c"));
    uint64_t number = kit_append(kit, kit_commit_of(kit_gtrid(1, 4), kit_gtrid(1, 1), "a"));
    (void)kit_append(kit, kit_refused(kit_gtrid(1, 2)));
    (void)kit_append(kit, kit_dropped(kit_gtrid(1, 3), 5));
    kit_reopen(kit);
    assert_true(find_request(kit, kit_gtrid(1, 1), &entry));
    assert_int_equal(entry.commit.kind, RECORD_COMMIT);
    assert_int_equal(entry.commit_number, number);
    assert_int_equal(entry.commit.as.commit.gtrid.sequence, 4);
    assert_int_equal(entry.commit.as.commit.request.attempts, 3);
    assert_false(entry.ended);
    journal_entry_done(&entry);
    assert_false(find_request(kit, kit_gtrid(1, 2), &entry));
    assert_true(find_request(kit, kit_gtrid(1, 3), &entry));
    assert_int_equal(entry.commit.kind, RECORD_DROPPED);
    assert_string_equal(entry.commit.as.dropped.comment, "sold out for good");
    journal_entry_done(&entry);
    struct gtrid other = kit_gtrid(1, 1);
    other.epoch_nonce++;
    assert_false(find_request(kit, other, &entry));
    assert_false(find_request(kit, kit_gtrid(1, 4), &entry)); /* a run's gtrid is no id */
}

/* P-1: the journal itself takes one outcome of a request: whatever names one that was never accepted, or is over, is refused. */
static void test_journal_second_outcome_of_a_request_is_refused(void **state)
{
    struct journal_kit *kit = *state;
    struct record wrong[] = {
        kit_commit_of(kit_gtrid(1, 9), kit_gtrid(1, 1), NULL), /* committed */
        kit_commit_of(kit_gtrid(1, 9), kit_gtrid(1, 2), NULL), /* dropped */
        kit_commit_of(kit_gtrid(1, 9), kit_gtrid(1, 3), NULL), /* never accepted */
        kit_refused(kit_gtrid(1, 1)),
        kit_requeued(kit_gtrid(1, 2), 9),
        kit_dropped(kit_gtrid(1, 1), 1),
        kit_dropped(kit_gtrid(1, 3), 1),
    };
    kit_start(kit);
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 1), ""));
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 2), ""));
    (void)kit_append(kit, kit_commit_of(kit_gtrid(1, 4), kit_gtrid(1, 1), NULL));
    (void)kit_append(kit, kit_dropped(kit_gtrid(1, 2), 1));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct journal_head head;
        struct error error = {0};
        assert_false(journal_append(kit->journal, 1, &wrong[i], 1, &head, &error));
        assert_int_equal(error.kind, ERROR_INVALID);
        record_done(&wrong[i]);
        kit_reopen(kit); /* the handle is done for (P-16) */
    }
    assert_live(kit, "commit 1.4");
}

/* P-13: trimming carries a waiting request and its state along, however often, and forgets a finished one with its COMMIT
 * and a dropped one when it is old. */
static void test_journal_trim_keeps_live_requests(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_entry entry;
    kit_start(kit);
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 1), "waits"));
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 2), "dead"));
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 3), "requeued"));
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 4), "committed"));
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 5), "dropped"));
    (void)kit_append(kit, kit_refused(kit_gtrid(1, 2)));
    (void)kit_append(kit, kit_refused(kit_gtrid(1, 3)));
    (void)kit_append(kit, kit_requeued(kit_gtrid(1, 3), 6));
    (void)kit_append(kit, kit_commit_of(kit_gtrid(1, 7), kit_gtrid(1, 4), "committed"));
    (void)kit_append(kit, kit_dropped(kit_gtrid(1, 5), 1));
    for (uint64_t sequence = 100; sequence < 130; sequence++) {
        kit_finished(kit, sequence, NULL, 1);
    }
    const char *live = "accept 1.1,accept 1.2,refused 1.2,accept 1.3,requeued 1.3,commit 1.7";
    assert_true(kit_trim_all(kit, 1000, 7) > 0);
    kit_reopen(kit);
    assert_live(kit, live);
    assert_true(find_request(kit, kit_gtrid(1, 4), &entry)); /* moved with its COMMIT */
    journal_entry_done(&entry);
    assert_false(find_request(kit, kit_gtrid(1, 5), &entry));
    (void)kit_append(kit, kit_end(kit_gtrid(1, 7), 2));
    for (uint64_t sequence = 200; sequence < 210; sequence++) {
        kit_finished(kit, sequence, NULL, 2);
    }
    assert_true(kit_trim_all(kit, 2000, 7) > 0);
    kit_reopen(kit);
    /* The order of the records changes; that of the requests stands in them. */
    assert_live(kit, "accept 1.2,refused 1.2,accept 1.3,requeued 1.3,accept 1.1");
    assert_false(find_request(kit, kit_gtrid(1, 4), &entry));
}

/* A person's word about a gtrid that is a request's id (it never names a branch) is nothing to the request, and goes its own way. */
static void test_journal_word_about_a_request_id_is_apart(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_entry entry;
    kit_start(kit);
    (void)kit_append(kit, kit_accept(kit_gtrid(1, 1), ""));
    (void)kit_append(kit, kit_heuristic(kit_gtrid(1, 1), "order"));
    (void)kit_append(kit, kit_refused(kit_gtrid(1, 1)));
    (void)kit_append(kit, kit_commit_of(kit_gtrid(1, 2), kit_gtrid(1, 1), NULL));
    (void)kit_append(kit, kit_end(kit_gtrid(1, 2), 1));
    kit_reopen(kit);
    assert_live(kit, "heuristic 1.1/order");
    assert_true(find_request(kit, kit_gtrid(1, 1), &entry));
    journal_entry_done(&entry);
    assert_true(kit_trim_all(kit, 1000, 7) > 0);
    kit_reopen(kit);
    assert_live(kit, "heuristic 1.1/order");
}

static bool stop_after_one(void *user, uint64_t number, const struct record *record)
{
    size_t *count = user;
    (void)number;
    (void)record;
    ++*count;
    return false;
}

/* A visitor that has seen enough is not called again. */
static void test_journal_replay_stops_when_told(void **state)
{
    struct journal_kit *kit = *state;
    struct error error = {0};
    size_t count = 0;
    kit_start(kit);
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 1), NULL));
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 2), NULL));
    assert_success(journal_replay(kit->journal, stop_after_one, &count, &error), &error);
    assert_int_equal(count, 1);
}

/* An END without its COMMIT, a second END and a second COMMIT are mistakes that a journal does not take. */
static void test_journal_end_without_commit_is_refused(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_head head;
    struct error error = {0};
    kit_start(kit);
    struct record end = kit_end(kit_gtrid(1, 1), 1);
    assert_false(journal_append(kit->journal, 1, &end, 1, &head, &error));
    assert_int_equal(error.kind, ERROR_INVALID);
}

/* A batch that holds such a mistake leaves nothing behind, also of what stood before it. */
static void test_journal_refused_batch_leaves_nothing(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_head head;
    struct error error = {0};
    kit_start(kit);
    (void)kit_append(kit, kit_commit(kit_gtrid(1, 1), NULL));
    uint64_t number = kit_append(kit, kit_commit(kit_gtrid(1, 2), NULL));
    struct record batches[][3] = {
        {kit_commit(kit_gtrid(1, 3), "k"), kit_end(kit_gtrid(1, 1), 1),
         kit_end(kit_gtrid(1, 1), 1)},
        {kit_end(kit_gtrid(1, 1), 1), kit_end(kit_gtrid(1, 2), 1),
         kit_commit(kit_gtrid(1, 1), "k")},
        {kit_commit(kit_gtrid(1, 3), "k"), kit_end(kit_gtrid(1, 3), 1),
         kit_end(kit_gtrid(1, 4), 1)},
    };
    for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
        assert_false(journal_append(kit->journal, 1, batches[i], 3, &head, &error));
        kit_reopen(kit);
        assert_int_equal(journal_state(kit->journal)->head.number, number);
        assert_live(kit, "commit 1.1,commit 1.2");
        for (size_t k = 0; k < 3; k++) {
            record_done(&batches[i][k]);
        }
    }
}

/* Both backends chain the same records to the same hash: the format is one. */
static void test_journal_backends_agree_on_hashes(void **state)
{
    struct journal_kit *kit = *state;
    struct journal_kit other;
    kit_init(&other, !use_memory);
    kit_start(kit);
    kit_start(&other);
    kit_finished(kit, 1, "k", 5);
    kit_finished(&other, 1, "k", 5);
    assert_int_equal(kit_trim_all(kit, 5, 100), 1);
    assert_int_equal(kit_trim_all(&other, 5, 100), 1);
    kit_reopen(kit);
    kit_reopen(&other);
    const struct journal_head *a = &journal_state(kit->journal)->head;
    const struct journal_head *b = &journal_state(other.journal)->head;
    assert_int_equal(a->number, b->number);
    assert_memory_equal(a->hash, b->hash, HASH_BYTES);
    kit_done(&other);
}

static int run(const char *name, bool memory)
{
    const struct CMUnitTest tests[] = {
#define JOURNAL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        JOURNAL_TEST(test_journal_new_is_empty),
        JOURNAL_TEST(test_journal_reopened_knows_what_was_appended),
        JOURNAL_TEST(test_journal_participants_follow_epoch_commit_release),
        JOURNAL_TEST(test_journal_append_of_other_epoch_is_fenced),
        JOURNAL_TEST(test_journal_epoch_that_does_not_rise_is_fenced),
        JOURNAL_TEST(test_journal_foreign_gtrid_is_refused),
        JOURNAL_TEST(test_journal_find_gtrid_needs_all_of_it),
        JOURNAL_TEST(test_journal_find_key_gives_commit_with_notes),
        JOURNAL_TEST(test_journal_list_newest_first_with_filters),
        JOURNAL_TEST(test_journal_list_has_the_dropped_where_asked),
        JOURNAL_TEST(test_journal_hash_at_answers_witness),
        JOURNAL_TEST(test_journal_replay_gives_live_records_in_order),
        JOURNAL_TEST(test_journal_find_request_gives_its_outcome),
        JOURNAL_TEST(test_journal_second_outcome_of_a_request_is_refused),
        JOURNAL_TEST(test_journal_word_about_a_request_id_is_apart),
        JOURNAL_TEST(test_journal_trim_keeps_live_requests),
        JOURNAL_TEST(test_journal_replay_stops_when_told),
        JOURNAL_TEST(test_journal_end_without_commit_is_refused),
        JOURNAL_TEST(test_journal_refused_batch_leaves_nothing),
        JOURNAL_TEST(test_journal_backends_agree_on_hashes),
    };
    use_memory = memory;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    int failed = run("journal on SQLite", false);
    return run("journal in memory", true) + failed;
}
