/* test_coord_lines_branches.c - properties that hang on one line each (test_coord_lines.c): of branches, their votes and
 * acknowledgements, heuristic outcomes and what people say about them. P-5, P-7, P-9, H1. */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "tests/spec/coord_lines.h"

/* How often a commit was told again is counted and shown; the first time is not a repetition. */
static void test_p05_repetitions_are_counted(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    assert_int_equal(counters_of(&world).commits_resent, 0);
    assert_int_equal(count_events(&world, &pair.order.gtrid, "commit-sent"), 2);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_tick(&world, 1000);
    assert_int_equal(counters_of(&world).commits_resent, 1);
    assert_int_equal(count_events(&world, &pair.order.gtrid, "commit-sent-again"), 1);
    world_disconnect(&world, world.payment_session);
    world.payment_session = world_connect(&world, "payment"); /* a new session: not told there */
    assert_int_equal(counters_of(&world).commits_resent, 1);
    world_done(&world);

    struct past past;
    past_init(&past);
    world_init_from(&world, &past.state, past.records, past.count);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    assert_int_equal(counters_of(&world).commits_resent,
                     1); /* an earlier process may have told it */
    world_done(&world);
}

/* Heuristic outcomes and hazards are counted apart; what was decided and found so is neither. */
static void test_h1_outcomes_are_counted_apart(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_HEURISTIC_COMMIT);
    assert_int_equal(counters_of(&world).heuristics, 0);
    world_ack(&world, "order", &pair.order, ACK_HEURISTIC_ROLLBACK);
    assert_int_equal(counters_of(&world).heuristics, 1);
    assert_int_equal(counters_of(&world).hazards, 0);
    world_ack(&world, "payment", &pair.payment, ACK_HAZARD);
    assert_int_equal(counters_of(&world).heuristics, 1);
    assert_int_equal(counters_of(&world).hazards, 1);
    world_done(&world);
}

static void assert_late_votes_change_nothing(struct world *world, const struct gid *order,
                                             enum branch_state state)
{
    static const enum vote votes[] = {VOTE_ABORT, VOTE_UNKNOWN, VOTE_COMMIT};
    for (size_t i = 0; i < sizeof(votes) / sizeof(votes[0]); i++) {
        world_vote(world, "order", order, votes[i]);
        assert_int_equal(branch_of(world, &order->gtrid, 0), state);
    }
}

/* H1: what was first found out about a branch stands until a person has seen it; another finding, or a vote from before,
 * changes nothing and is not recorded. */
static void test_h1_first_outcome_stands(void **state)
{
    (void)state;
    static const struct {
        bool is_decided;
        enum ack first;
        enum branch_state becomes;
    } cases[] = {
        {true, ACK_HEURISTIC_ROLLBACK, BRANCH_HEURISTIC_ROLLBACK},
        {true, ACK_HAZARD, BRANCH_HAZARD},
        {false, ACK_HEURISTIC_COMMIT, BRANCH_HEURISTIC_COMMIT},
        {false, ACK_HAZARD, BRANCH_HAZARD},
    };
    static const enum ack later[] = {ACK_HEURISTIC_COMMIT, ACK_HEURISTIC_ROLLBACK, ACK_HAZARD,
                                     ACK_COMMITTED, ACK_ROLLED_BACK};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world;
        world_init(&world);
        struct pair pair =
            cases[i].is_decided ? world_committing(&world, NULL) : world_begin(&world, NULL);
        if (!cases[i].is_decided) {
            world_vote(&world, "order", &pair.order, VOTE_COMMIT);
            world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
        }
        world_ack(&world, "order", &pair.order, cases[i].first);
        world_durable(&world);
        for (size_t k = 0; k < sizeof(later) / sizeof(later[0]); k++) {
            world_ack(&world, "order", &pair.order, later[k]);
            assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
            assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), cases[i].becomes);
        }
        enum verdict verdict = cases[i].is_decided ? VERDICT_COMMIT : VERDICT_ABORT;
        assert_late_votes_change_nothing(&world, &pair.order, cases[i].becomes);
        assert_int_equal(world_inquire(&world, "order", &pair.order, NULL), verdict);
        if (cases[i].is_decided) {
            /* Also once a person has seen it, while the other branch goes on. */
            resolve(&world, &pair.order, RESOLVE_FORGET, 90);
            world_durable(&world);
            assert_late_votes_change_nothing(&world, &pair.order, BRANCH_FORGOTTEN);
            world_ack(&world, "order", &pair.order, ACK_COMMITTED);
            assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_FORGOTTEN);
        }
        world_done(&world);
    }
}

static size_t noted(const struct world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < world_count_sends(world, MESSAGE_VERDICT); i++) {
        count += world_send(world, MESSAGE_VERDICT, i)->as.verdict.verdict == VERDICT_NOTED;
    }
    return count;
}

/* H1: an agent repeats what contradicts an abort; it hears that it is noted when that is durable, and at once where there is
 * nothing to note. A journal that cannot be read is no reason to let it go. */
static void test_h1_contradiction_of_an_abort_is_noted_once_it_is_durable(void **state)
{
    (void)state;
    static const enum ack contrary[] = {ACK_HEURISTIC_COMMIT, ACK_HAZARD};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        world_init(&world);
        struct pair pair = world_begin(&world, NULL);
        world_vote(&world, "order", &pair.order, VOTE_COMMIT);
        world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
        world_ack(&world, "order", &pair.order, contrary[i]);
        assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
        assert_int_equal(noted(&world), 0);
        world_ack(&world, "order", &pair.order, contrary[i]);
        assert_int_equal(noted(&world), 0);
        world_durable(&world);
        assert_int_equal(noted(&world), 1);
        assert_true(
            gid_equal(&world_send(&world, MESSAGE_VERDICT, 0)->as.verdict.gid, &pair.order));
        world_ack(&world, "order", &pair.order, contrary[i]);
        assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
        assert_int_equal(noted(&world), 1);
        assert_true(
            gid_equal(&world_send(&world, MESSAGE_VERDICT, 0)->as.verdict.gid, &pair.order));

        struct gid stranger = pair.order; /* an epoch that this journal does not know */
        stranger.gtrid.epoch_nonce++;
        ack_with(&world, &stranger, contrary[i], &(struct coord_prior){.looked_up = false});
        assert_int_equal(noted(&world), 0);
        ack_with(&world, &stranger, contrary[i], &(struct coord_prior){.looked_up = true});
        assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
        assert_int_equal(noted(&world), 1);

        stranger = pair.order; /* of another journal: its coordinator has to note it */
        stranger.gtrid.journal.bytes[0] ^= 1;
        ack_with(&world, &stranger, contrary[i], &(struct coord_prior){.looked_up = true});
        assert_int_equal(world.ready.send_count, 0);

        stranger = pair.order; /* what agrees, or names no attempt, is not repeated */
        stranger.gtrid.epoch_nonce++;
        ack_with(&world, &stranger, ACK_ROLLED_BACK, &(struct coord_prior){.looked_up = true});
        assert_int_equal(world.ready.send_count, 0);
        stranger.attempt = 0;
        ack_with(&world, &stranger, contrary[i], &(struct coord_prior){.looked_up = true});
        assert_int_equal(world.ready.send_count, 0);
        world_done(&world);
    }
}

/* H1: of a transaction that is known only because one branch was committed by hand, another one can be, too. */
static void test_h1_second_branch_of_a_noted_abort_is_recorded(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.recent_max = 1});
    struct pair pair = world_begin(&world, NULL);
    abort_at_once(&world, &pair);
    struct pair other = world_begin(&world, NULL);
    abort_at_once(&world, &other); /* and the first one is forgotten */
    const struct coord_prior prior = {.looked_up = true};
    ack_with(&world, &pair.order, ACK_HEURISTIC_COMMIT, &prior);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    world_durable(&world);
    ack_with(&world, &pair.order, ACK_HEURISTIC_COMMIT, &prior); /* repeated: it is on record */
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    world_ack(&world, "payment", &pair.payment, ACK_ROLLED_BACK); /* nothing to record */
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.branch_count, 1);
    txn_view_done(&view);
    world_ack(&world, "payment", &pair.payment, ACK_HEURISTIC_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    assert_int_equal(noted(&world), 0);
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 1), BRANCH_HEURISTIC_COMMIT);
    world_done(&world);
}

/* P-7: who has refused has refused; another vote of the same branch is answered as what came too late. */
static void test_p07_refusal_stands(void **state)
{
    (void)state;
    static const enum vote later[] = {VOTE_UNKNOWN, VOTE_COMMIT, VOTE_READONLY, VOTE_ABORT};
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_ABORT);
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_REFUSED);
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        world_vote(&world, "order", &pair.order, later[i]);
        assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_REFUSED);
        assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), i < 2 ? 1 : 0);
    }
    assert_int_equal(world_inquire(&world, "order", &pair.order, NULL), VERDICT_ABORT);
    world_ack(&world, "order", &pair.order, ACK_ROLLED_BACK);
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_REFUSED);
    world_done(&world);
}

/* H1: only a heuristic outcome is acknowledged by a person, and only once its END is written. */
static void test_h1_only_heuristic_ends_are_acknowledged(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_false(view.acknowledged);
    txn_view_done(&view);
    pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_HEURISTIC_ROLLBACK);
    view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.state, TXN_HEURISTIC);
    assert_false(view.acknowledged);
    txn_view_done(&view);
    /* In doubt at the first participant only: the list has it. */
    pair = world_committing(&world, NULL);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    struct api_list wanted = {.in_doubt = true, .limit = 10};
    struct txn_view *views = NULL;
    assert_int_equal(coord_list(world.coord, &wanted, &views), 1);
    txn_view_done(&views[0]);
    free(views);
    world_done(&world);
}

/* A person may drive a commit again that has not been acknowledged. */
static void test_p05_person_may_drive_a_commit_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    resolve(&world, &pair.payment, RESOLVE_COMMIT, 900);
    assert_null(world_answer(&world, 900));
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
    world_durable(&world);
    assert_int_equal(world_answer(&world, 900)->status, API_OK);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 2);
    world_done(&world);
}

/* A vote that brings no reason has one all the same. */
static void test_vote_without_a_reason_has_one(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_UNKNOWN);
    assert_int_equal(world_answer(&world, pair.call)->reason, REASON_PARTICIPANT_UNAVAILABLE);
    pair = world_begin(&world, NULL);
    struct message message = {.kind = MESSAGE_VOTE};
    message.as.vote.gid = pair.order;
    message.as.vote.vote = VOTE_ABORT;
    world_message(&world, "order", world.order_session, &message);
    assert_int_equal(world_answer(&world, pair.call)->reason, REASON_STATEMENT_FAILED);
    world_done(&world);
}

static void vote_as(struct world *world, const struct gid *gid, enum vote vote)
{
    struct message message = {.kind = MESSAGE_VOTE};
    message.as.vote.gid = *gid;
    message.as.vote.vote = vote;
    world_message(world, gid->participant,
                  strcmp(gid->participant, "order") == 0 ? world->order_session
                                                         : world->payment_session,
                  &message);
}

/* P-7, P-9: a read-only vote is not taken back; of late votes a yes is told to roll back, a no needs nothing; and a
 * refused branch has no gid. */
static void test_p07_votes_that_come_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)world_submit_with(&world, NULL, 1, ACK_MODE_COMPLETED, true);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct gid read_only = world_gid(&gtrid, "payment", 0);
    vote_as(&world, &read_only, VOTE_READONLY);
    vote_as(&world, &read_only, VOTE_ABORT);
    assert_int_equal(branch_of(&world, &gtrid, 1), BRANCH_READ_ONLY);

    struct pair pair = world_begin(&world, NULL);
    vote_as(&world, &pair.order, VOTE_COMMIT);
    vote_as(&world, &pair.payment, VOTE_ABORT);
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.branches[1].state, BRANCH_REFUSED);
    assert_false(view.branches[1].has_gid);
    txn_view_done(&view);
    vote_as(&world, &pair.order, VOTE_COMMIT);
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 1);
    vote_as(&world, &pair.payment, VOTE_ABORT);
    assert_int_equal(world.ready.send_count, 0);
    world_done(&world);
}

/* P-7: a link may carry WORK twice, and what the agent says of the one copy come after what it says of the other: refused for
 * a moment (attempt 0), then executed; or another attempt. The vote that was counted stands. */
static void test_p07_answer_to_another_copy_of_the_work_is_stale(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    vote_as(&world, &pair.order, VOTE_COMMIT);
    struct gid other = pair.order;
    other.attempt = 0;
    vote_as(&world, &other, VOTE_ABORT);
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_PREPARED);
    other.attempt = pair.order.attempt + 1;
    vote_as(&world, &other, VOTE_ABORT);
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_PREPARED);
    vote_as(&world, &pair.payment, VOTE_COMMIT);
    vote_as(&world, &other, VOTE_ABORT); /* decided, and not durable yet */
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_PREPARED);

    (void)world_submit_with(&world, NULL, 1, ACK_MODE_COMPLETED, true);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct gid read_only = world_gid(&gtrid, "payment", 0);
    vote_as(&world, &read_only, VOTE_READONLY);
    vote_as(&world, &read_only, VOTE_UNKNOWN);
    world_ack(&world, "payment", &read_only, ACK_ROLLED_BACK);
    assert_int_equal(branch_of(&world, &gtrid, 1), BRANCH_READ_ONLY);
    struct gid order = world_gid(&gtrid, "order", 9);
    vote_as(&world, &order, VOTE_COMMIT); /* decided, and not durable yet */
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 1);
    world_ack(&world, "payment", &read_only, ACK_ROLLED_BACK);
    assert_int_equal(branch_of(&world, &gtrid, 1), BRANCH_READ_ONLY);
    world_done(&world);
}

/* P-7: of two copies of WORK the one was counted and is decided; the agent rolls back what the other left and says so. */
static void test_p07_acknowledgement_of_another_attempt_ends_nothing(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    struct gid other = pair.payment;
    other.attempt = pair.payment.attempt + 1;
    world_ack(&world, "payment", &other, ACK_ROLLED_BACK);
    world_ack(&world, "payment", &other, ACK_HEURISTIC_COMMIT);
    assert_int_equal(branch_of(&world, &pair.payment.gtrid, 1), BRANCH_COMMITTING);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_int_equal(branch_of(&world, &pair.payment.gtrid, 1), BRANCH_COMMITTED);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED); /* the whole has committed */
    world_ack(&world, "payment", &other, ACK_ROLLED_BACK);
    world_ack(&world, "payment", &other, ACK_HEURISTIC_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    world_vote(&world, "payment", &pair.payment, VOTE_UNKNOWN);
    assert_int_equal(branch_of(&world, &pair.payment.gtrid, 1), BRANCH_COMMITTED);
    world_done(&world);
}

/* A person has a branch driven again, and its last acknowledgement comes while that is being written: there is nothing left to drive. */
static void test_p05_word_that_is_durable_after_the_end_drives_nothing(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    resolve(&world, &pair.payment, RESOLVE_COMMIT, 90);
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_int_equal(branch_of(&world, &pair.payment.gtrid, 1), BRANCH_COMMITTED);
    world_durable(&world);
    assert_int_equal(world_answer(&world, 90)->status, API_OK);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 0);
    assert_int_equal(branch_of(&world, &pair.payment.gtrid, 1), BRANCH_COMMITTED);
    world_done(&world);
}

/* A branch that does not end for days fills its time line up to a bound, and no further. */
static void test_time_line_is_bounded(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    for (int i = 0; i < 600; i++) {
        world_tick(&world, 3000);
    }
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.event_count, 1000);
    txn_view_done(&view);
    world_done(&world);
}

/* What is over is remembered for a while; a person's word about what was forgotten meanwhile is no verdict. */
static void test_h1_word_about_what_is_over_is_no_verdict(void **state)
{
    (void)state;
    struct world world;
    struct txn_view view;
    world_init(&world);
    struct pair first = world_begin(&world, NULL);
    abort_at_once(&world, &first);
    struct pair second = world_begin(&world, NULL);
    abort_at_once(&world, &second);
    assert_true(coord_view(world.coord, &first.order.gtrid, false, &view));
    txn_view_done(&view);
    world_done(&world);

    world_init_with(&world, (struct coord_config){.recent_max = 1});
    first = world_begin(&world, NULL);
    resolve(&world, &first.order, RESOLVE_ROLLBACK, 900);
    abort_at_once(&world, &first);
    second = world_begin(&world, NULL);
    abort_at_once(&world, &second);
    assert_false(coord_view(world.coord, &first.order.gtrid, false, &view));
    world_durable(&world);
    assert_int_equal(world_answer(&world, 900)->status, API_CONFLICT);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p05_repetitions_are_counted),
        cmocka_unit_test(test_h1_outcomes_are_counted_apart),
        cmocka_unit_test(test_h1_first_outcome_stands),
        cmocka_unit_test(test_h1_second_branch_of_a_noted_abort_is_recorded),
        cmocka_unit_test(test_h1_contradiction_of_an_abort_is_noted_once_it_is_durable),
        cmocka_unit_test(test_p07_refusal_stands),
        cmocka_unit_test(test_h1_only_heuristic_ends_are_acknowledged),
        cmocka_unit_test(test_p05_person_may_drive_a_commit_again),
        cmocka_unit_test(test_vote_without_a_reason_has_one),
        cmocka_unit_test(test_p07_votes_that_come_again),
        cmocka_unit_test(test_p07_answer_to_another_copy_of_the_work_is_stale),
        cmocka_unit_test(test_p07_acknowledgement_of_another_attempt_ends_nothing),
        cmocka_unit_test(test_p05_word_that_is_durable_after_the_end_drives_nothing),
        cmocka_unit_test(test_time_line_is_bounded),
        cmocka_unit_test(test_h1_word_about_what_is_over_is_no_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
