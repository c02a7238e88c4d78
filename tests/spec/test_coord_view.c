/* test_coord_view.c - what the outside is shown: a person decides by it, and a client learns an outcome from it (Q1, H1). */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/spec/coord_world.h"

static struct txn_view view_of(const struct world *world, const struct gtrid *gtrid)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, gtrid, true, &view));
    return view;
}

static void assert_in_doubt(const struct world *world, const struct gtrid *gtrid, bool expected)
{
    struct txn_view view = view_of(world, gtrid);
    assert_int_equal(view.in_doubt, expected);
    txn_view_done(&view);
}

/* In doubt is what is prepared somewhere and not finished there: after the first yes, after the decision until the last
 * acknowledgement, and where nobody can tell. */
static void test_view_in_doubt_from_the_first_yes_to_the_last_word(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    assert_in_doubt(&world, &pair.order.gtrid, false);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    assert_in_doubt(&world, &pair.order.gtrid, true);
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    world_durable(&world);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    assert_in_doubt(&world, &pair.order.gtrid, true); /* payment is committing */
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_in_doubt(&world, &pair.order.gtrid, false);

    pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_HAZARD);
    assert_in_doubt(&world, &pair.order.gtrid, true);

    pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_HEURISTIC_ROLLBACK);
    assert_in_doubt(&world, &pair.order.gtrid, false); /* it is known how it ended */
    world_done(&world);
}

/* A branch that is being rolled back is in doubt only if a vote named what it prepared. */
static void test_view_rollback_in_doubt_only_by_name(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    assert_in_doubt(&world, &pair.order.gtrid, true);
    world_ack(&world, "order", &pair.order, ACK_ROLLED_BACK);
    assert_in_doubt(&world, &pair.order.gtrid, false);

    pair = world_begin(&world, NULL);
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    assert_in_doubt(&world, &pair.order.gtrid, false);
    world_done(&world);
}

/* Why it aborted, and who was the reason; and the key. */
static void test_view_names_failure_and_key(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, "checkout");
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.key_bytes, strlen("checkout"));
    assert_memory_equal(view.key, "checkout", view.key_bytes);
    assert_string_equal(view.failed_participant, "");
    txn_view_done(&view);
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    view = view_of(&world, &pair.order.gtrid);
    assert_string_equal(view.failed_participant, "payment");
    assert_int_equal(view.completed, false);
    txn_view_done(&view);

    pair = world_begin(&world, NULL);
    world_tick(&world, 60000);
    view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.key_bytes, 0);
    assert_int_equal(view.failure.reason, REASON_TIMEOUT);
    assert_non_null(strstr(view.failure_text, "deadline"));
    assert_string_equal(view.failed_participant, "order"); /* the first that had not voted */
    txn_view_done(&view);
    world_done(&world);
}

/* The time line: in order, with who it was and how long after the start, and without what was not said. */
static void test_view_events_tell_who_and_when(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world.now_ms += 7;
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_true(view.event_count >= 5);
    assert_string_equal(view.events[0].kind, "submitted");
    assert_string_equal(view.events[0].participant, "");
    assert_string_equal(view.events[0].detail, "");
    assert_string_equal(view.events[1].kind, "work-sent");
    assert_string_equal(view.events[1].participant, "order");
    assert_string_equal(view.events[2].participant, "payment");
    assert_int_equal(view.events[2].since_start_us, 0);
    assert_string_equal(view.events[3].kind, "voted-commit");
    assert_int_equal(view.events[3].since_start_us, 7000);
    assert_string_equal(view.events[4].kind, "voted-abort");
    assert_string_equal(view.events[4].detail, reason_text(REASON_CONSTRAINT));
    txn_view_done(&view);
    assert_true(coord_view(world.coord, &pair.order.gtrid, false, &view));
    assert_null(view.events);
    assert_int_equal(view.event_count, 0);
    txn_view_done(&view);
    world_done(&world);
}

/* P-4: who looks while the COMMIT record is being written sees a transaction whose branches have voted, not one that was decided. */
static void test_p04_view_tells_no_decision_before_it_is_durable(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, NULL);
    for (int is_durable = 0; is_durable < 2; is_durable++) {
        struct txn_view view;
        assert_true(coord_view(world.coord, &pair.order.gtrid, true, &view));
        bool is_told = false;
        for (size_t i = 0; i < view.event_count; i++) {
            is_told = is_told || strcmp(view.events[i].kind, "decided-commit") == 0;
        }
        assert_int_equal(is_told, is_durable);
        assert_int_equal(view.decided_wall_ms != 0, is_durable);
        txn_view_done(&view);
        world_durable(&world);
    }
    world_done(&world);
}

/* What is not known is not shown. */
static void test_view_of_what_is_not_known_is_none(void **state)
{
    (void)state;
    struct world world;
    struct txn_view view;
    world_init(&world);
    struct pair pair = world_begin(&world, "k");
    struct gtrid other = pair.order.gtrid;
    other.sequence += 100;
    assert_false(coord_view(world.coord, &other, false, &view));
    assert_false(coord_view_by_key(world.coord, "l", 1, false, &view));
    assert_false(coord_view_by_key(world.coord, "kk", 2, false, &view));
    assert_true(coord_view_by_key(world.coord, "k", 1, true, &view));
    assert_true(gtrid_equal(&view.gtrid, &pair.order.gtrid));
    assert_non_null(view.events);
    txn_view_done(&view);
    world_done(&world);
}

/* ---- lists ---- */

struct listed {
    size_t count;
    struct gtrid gtrids[16];
};

static struct listed list(const struct world *world, const struct api_list *wanted)
{
    struct txn_view *views = NULL;
    struct listed listed = {.count = coord_list(world->coord, wanted, &views)};
    assert_true(listed.count <= 16);
    for (size_t i = 0; i < listed.count; i++) {
        listed.gtrids[i] = views[i].gtrid;
        txn_view_done(&views[i]);
    }
    free(views);
    return listed;
}

static void assert_listed(const struct world *world, const struct api_list *wanted,
                          const struct gtrid *first, const struct gtrid *second)
{
    struct listed listed = list(world, wanted);
    size_t expected = (first != NULL) + (second != NULL);
    assert_int_equal(listed.count, expected);
    assert_true(first == NULL || gtrid_equal(&listed.gtrids[0], first));
    assert_true(second == NULL || gtrid_equal(&listed.gtrids[1], second));
}

/* By state, where a decision that is on its way to the journal is still "preparing" (P-4); newest first, in pages. */
static void test_list_by_state_in_pages(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid done = world_committing(&world, "a").order.gtrid;
    struct pair end = {.order = world_gid(&done, "order", 11),
                       .payment = world_gid(&done, "payment", 22)};
    world_ack(&world, "order", &end.order, ACK_COMMITTED);
    world_ack(&world, "payment", &end.payment, ACK_COMMITTED);
    struct gtrid working = world_begin(&world, "b").order.gtrid;
    struct gtrid waiting = world_decided(&world, "c").order.gtrid;

    struct api_list wanted = {.state = TXN_PREPARING, .limit = 10};
    assert_listed(&world, &wanted, &waiting, &working);
    wanted.state = TXN_COMMITTED;
    assert_listed(&world, &wanted, &done, NULL);
    wanted = (struct api_list){.any_state = true, .limit = 10};
    assert_int_equal(list(&world, &wanted).count, 3);
    wanted.limit = 2;
    assert_listed(&world, &wanted, &waiting, &working);
    wanted.has_after = true;
    wanted.after = working;
    assert_listed(&world, &wanted, &done, NULL);
    wanted.after.sequence += 100;
    assert_int_equal(list(&world, &wanted).count, 0);
    world_done(&world);
}

/* By key, and by participant: of a transaction that is in doubt, only where it is. */
static void test_list_by_key_and_participant(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair first = world_committing(&world, "ab");
    struct gtrid second = world_begin(&world, "ac").order.gtrid;
    world_ack(&world, "order", &first.order, ACK_COMMITTED);

    struct api_list wanted = {.any_state = true, .limit = 10, .key = "ac", .key_bytes = 2};
    assert_listed(&world, &wanted, &second, NULL);
    (void)snprintf(wanted.key, sizeof wanted.key, "a");
    wanted.key_bytes = 1;
    assert_listed(&world, &wanted, NULL, NULL);

    wanted = (struct api_list){.in_doubt = true, .limit = 10};
    assert_listed(&world, &wanted, &first.order.gtrid, NULL);
    (void)snprintf(wanted.participant, sizeof wanted.participant, "payment");
    assert_listed(&world, &wanted, &first.order.gtrid, NULL);
    (void)snprintf(wanted.participant, sizeof wanted.participant, "order");
    assert_listed(&world, &wanted, NULL, NULL);
    wanted.in_doubt = false;
    wanted.any_state = true;
    assert_listed(&world, &wanted, &second, &first.order.gtrid);
    (void)snprintf(wanted.participant, sizeof wanted.participant, "stock");
    assert_listed(&world, &wanted, NULL, NULL);
    world_done(&world);
}

/* ---- what only the journal knows ---- */

struct retained {
    struct record_branch branches[2];
    struct record notes[4];
    struct journal_entry entry;
};

static void retained_init(struct retained *retained, bool ended)
{
    struct gtrid gtrid = {.epoch = 1, .epoch_nonce = 2, .sequence = 3};
    memset(retained, 0, sizeof *retained);
    retained->branches[0] = (struct record_branch){.gid = world_gid(&gtrid, "order", 11)};
    retained->branches[1] =
        (struct record_branch){.gid = world_gid(&gtrid, "payment", 0), .read_only = true};
    struct record_commit *commit = &retained->entry.commit.as.commit;
    retained->entry.commit.kind = RECORD_COMMIT;
    commit->gtrid = gtrid;
    commit->wall_ms = 1000;
    commit->key_bytes = 1;
    commit->key[0] = 'k';
    commit->branches = retained->branches;
    commit->branch_count = 2;
    retained->entry.notes = retained->notes;
    retained->entry.ended = ended;
    retained->entry.end_wall_ms = ended ? 2000 : 0;
}

static void retained_note(struct retained *retained, enum ack ack)
{
    struct record *note = &retained->notes[retained->entry.note_count++];
    note->kind = RECORD_HEURISTIC;
    note->as.heuristic.gid = retained->branches[0].gid;
    note->as.heuristic.ack = ack;
    note->as.heuristic.wall_ms = 1500;
    (void)snprintf(note->as.heuristic.detail, sizeof note->as.heuristic.detail, "by hand");
}

static void retained_resolve(struct retained *retained, enum resolve_action action,
                             const char *participant)
{
    struct record *note = &retained->notes[retained->entry.note_count++];
    note->kind = RECORD_RESOLVED;
    note->as.resolved.action = action;
    note->as.resolved.wall_ms = 1600;
    (void)snprintf(note->as.resolved.participant, sizeof note->as.resolved.participant, "%s",
                   participant);
    (void)snprintf(note->as.resolved.comment, sizeof note->as.resolved.comment, "seen");
}

/* Of a request that was dropped the journal keeps who let it go and why. */
static void test_view_dropped(void **state)
{
    (void)state;
    struct record_dropped dropped = {.wall_ms = 1700, .attempts = 2};
    struct txn_view view;
    (void)snprintf(dropped.comment, sizeof dropped.comment, "ordered twice");
    coord_view_dropped(&dropped, true, &view);
    assert_int_equal(view.state, TXN_ABORTED);
    assert_int_equal(view.decided_wall_ms, 1700);
    assert_int_equal(view.ended_wall_ms, 1700);
    assert_string_equal(view.failure_text, "an operator dropped it: ordered twice");
    assert_int_equal(view.request.attempts, 2);
    assert_int_equal(view.event_count, 1);
    assert_string_equal(view.events[0].kind, "dropped");
    assert_int_equal(view.events[0].wall_ms, 1700);
    assert_string_equal(view.events[0].detail, "ordered twice");
    txn_view_done(&view);
    coord_view_dropped(&dropped, false, &view);
    assert_int_equal(view.event_count, 0);
    txn_view_done(&view);
}

/* A retained commit is shown as what its records say, with its END or without. */
static void test_view_entry_ended_or_not(void **state)
{
    (void)state;
    struct retained retained;
    struct txn_view view;
    retained_init(&retained, true);
    coord_view_entry(&retained.entry, true, &view);
    assert_int_equal(view.state, TXN_COMMITTED);
    assert_true(view.completed && !view.in_doubt && !view.acknowledged);
    assert_int_equal(view.key_bytes, 1);
    assert_int_equal(view.branches[0].state, BRANCH_COMMITTED);
    assert_true(view.branches[0].has_gid);
    assert_int_equal(view.branches[1].state, BRANCH_READ_ONLY);
    assert_false(view.branches[1].has_gid);
    assert_int_equal(view.event_count, 2);
    assert_string_equal(view.events[0].kind, "decided-commit");
    assert_string_equal(view.events[1].kind, "ended");
    assert_int_equal(view.events[1].wall_ms, 2000);
    txn_view_done(&view);

    retained_init(&retained, false);
    coord_view_entry(&retained.entry, true, &view);
    assert_int_equal(view.state, TXN_COMMITTING);
    assert_true(!view.completed && view.in_doubt);
    assert_int_equal(view.branches[0].state, BRANCH_COMMITTING);
    assert_int_equal(view.event_count, 1);
    txn_view_done(&view);
}

/* A heuristic outcome stays what it was, and is acknowledged once a person has forgotten it and all is ended (H1). */
static void test_view_entry_heuristic_is_kept(void **state)
{
    (void)state;
    static const struct {
        enum ack ack;
        enum branch_state state;
    } outcomes[] = {{ACK_HAZARD, BRANCH_HAZARD},
                    {ACK_HEURISTIC_COMMIT, BRANCH_HEURISTIC_COMMIT},
                    {ACK_HEURISTIC_ROLLBACK, BRANCH_HEURISTIC_ROLLBACK}};
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        struct retained retained;
        struct txn_view view;
        retained_init(&retained, true);
        retained_note(&retained, outcomes[i].ack);
        retained_resolve(&retained, RESOLVE_COMMIT, "order");
        retained_resolve(&retained, RESOLVE_FORGET, "stock"); /* not a branch of it */
        coord_view_entry(&retained.entry, true, &view);
        assert_int_equal(view.state, TXN_HEURISTIC);
        assert_false(view.completed);
        assert_false(view.acknowledged);
        assert_int_equal(view.branches[0].state, outcomes[i].state);
        assert_string_equal(view.branches[0].detail, "by hand");
        assert_int_equal(view.event_count, 5);
        assert_string_equal(view.events[1].kind, branch_state_text(outcomes[i].state));
        assert_string_equal(view.events[1].participant, "order");
        assert_string_equal(view.events[2].kind, "resolved");
        assert_string_equal(view.events[2].detail, "seen");
        txn_view_done(&view);
        retained_resolve(&retained, RESOLVE_FORGET, "order");
        coord_view_entry(&retained.entry, false, &view);
        assert_null(view.events);
        assert_true(view.acknowledged);
        assert_int_equal(view.branches[0].state, BRANCH_FORGOTTEN);
        txn_view_done(&view);
    }
}

/* ---- participants ---- */

/* Configured ones, with their state; one that only the journal names, as long as its witness is awaited. */
static void test_participants_are_those_that_matter(void **state)
{
    (void)state;
    struct world world;
    struct participant_view *views = NULL;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_disconnect(&world, world.payment_session);
    assert_int_equal(coord_participants(world.coord, &views), 2);
    assert_string_equal(views[0].name, "order");
    assert_true(views[0].link_up && views[0].ready);
    assert_int_equal(views[0].in_doubt, 0);
    assert_int_equal(views[0].votes_yes, 1);
    assert_string_equal(views[1].name, "payment");
    assert_false(views[1].link_up);
    assert_false(views[1].ready);
    assert_int_equal(views[1].in_doubt, 1);
    free(views);
    world_done(&world);

    char names[][PARTICIPANT_NAME_SIZE] = {"stock"};
    struct journal_state from = {.last_epoch = 4, .participants = names, .participant_count = 1};
    world_init_from(&world, &from, NULL, 0);
    size_t count = coord_participants(world.coord, &views);
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        found = found || strcmp(views[i].name, "stock") == 0;
    }
    assert_true(found);
    free(views);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_in_doubt_from_the_first_yes_to_the_last_word),
        cmocka_unit_test(test_view_rollback_in_doubt_only_by_name),
        cmocka_unit_test(test_view_names_failure_and_key),
        cmocka_unit_test(test_view_events_tell_who_and_when),
        cmocka_unit_test(test_p04_view_tells_no_decision_before_it_is_durable),
        cmocka_unit_test(test_view_of_what_is_not_known_is_none),
        cmocka_unit_test(test_list_by_state_in_pages),
        cmocka_unit_test(test_list_by_key_and_participant),
        cmocka_unit_test(test_view_dropped),
        cmocka_unit_test(test_view_entry_ended_or_not),
        cmocka_unit_test(test_view_entry_heuristic_is_kept),
        cmocka_unit_test(test_participants_are_those_that_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
