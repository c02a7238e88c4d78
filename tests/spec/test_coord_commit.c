/* test_coord_commit.c - the coordinator's core on the way to commit and after it: P-1, P-2, P-4, P-5, P-7,
 * P-15, P-19, P-20. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "tests/spec/coord_world.h"

/* P-1: begin and abort write nothing; the decision to commit writes one COMMIT that names every full gid. */
static void test_p01_records_commit_is_forced_and_names_every_gid(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, "k");
    assert_int_equal(world.ready.append_count, 0);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 2);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    assert_int_equal(world.ready.append_count, 0);
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    assert_int_equal(world.ready.append_count, 1);
    assert_true(world.ready.appends[0].forced);
    const struct record_commit *commit = &world_append(&world, RECORD_COMMIT)->as.commit;
    assert_int_equal(commit->branch_count, 2);
    assert_true(gid_equal(&commit->branches[0].gid, &pair.order));
    assert_true(gid_equal(&commit->branches[1].gid, &pair.payment));
    assert_int_equal(commit->branches[1].proof.xid8, 22);
    assert_memory_equal(commit->key, "k", 1);
    world_done(&world);
}

/* P-1: an abort leaves no record behind, and the client hears of it at once. */
static void test_p01_abort_writes_nothing(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    assert_int_equal(world.ready.append_count, 0);
    assert_int_equal(world_answer(&world, pair.call)->status, API_ABORTED);
    assert_int_equal(world_answer(&world, pair.call)->views[0].failure.reason, REASON_CONSTRAINT);
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK),
                     1); /* order; payment said no itself */
    world_ack(&world, "order", &pair.order, ACK_ROLLED_BACK);
    assert_int_equal(world.ready.append_count, 0);
    world_done(&world);
}

/* P-2: silence until the deadline is a no. */
static void test_p02_silence_aborts_at_the_deadline(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_tick(&world, 4999);
    assert_null(world_answer(&world, pair.call));
    world_tick(&world, 1);
    const struct api_answer *answer = world_answer(&world, pair.call);
    assert_int_equal(answer->status, API_ABORTED);
    assert_int_equal(answer->views[0].failure.reason, REASON_TIMEOUT);
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 2);
    world_done(&world);
}

/* P-2: a vote "unknown" and a lost connection are a no, also after that participant's yes. */
static void test_p02_doubt_aborts(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_UNKNOWN);
    assert_int_equal(world_answer(&world, pair.call)->status, API_ABORTED);
    pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_disconnect(&world, world.order_session);
    assert_int_equal(world_answer(&world, pair.call)->status, API_ABORTED);
    assert_int_equal(world_answer(&world, pair.call)->reason, REASON_PARTICIPANT_UNAVAILABLE);
    world_done(&world);
}

/* P-2: once the COMMIT record was handed over, neither deadline nor a lost connection nor a late no aborts. */
static void test_p02_nothing_aborts_after_the_record(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, NULL);
    world_tick(&world, 6000); /* deadline and grace are over: unknown, not aborted */
    assert_int_equal(world_answer(&world, pair.call)->status, API_OUTCOME_UNKNOWN);
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 0);
    world_disconnect(&world, world.payment_session);
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 0);
    world_durable(&world);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 1); /* to order; payment is away */
    world_done(&world);
}

/* P-4: neither COMMIT nor the answer leaves before the record is durable. */
static void test_p04_nothing_is_told_before_durable(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 0);
    assert_int_equal(world.ready.answer_count, 0);
    world_tick(&world, 100);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 0);
    assert_int_equal(world_inquire(&world, "order", &pair.order, NULL), VERDICT_WAIT);
    world_durable(&world);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 2);
    world_done(&world);
}

/* P-4: `decided` is answered with the record's durability, `completed` with the last acknowledgement. */
static void test_p04_ack_modes_answer_when_they_may(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t call = world_submit_with(&world, NULL, 1, ACK_MODE_DECIDED, false);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct gid order = world_gid(&gtrid, "order", 1);
    struct gid payment = world_gid(&gtrid, "payment", 2);
    world_vote(&world, "order", &order, VOTE_COMMIT);
    world_vote(&world, "payment", &payment, VOTE_COMMIT);
    assert_null(world_answer(&world, call));
    world_durable(&world);
    assert_int_equal(world_answer(&world, call)->status, API_OK);
    assert_false(world_answer(&world, call)->views[0].completed);

    struct pair pair = world_decided(&world, NULL);
    world_durable(&world);
    assert_null(world_answer(&world, pair.call));
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    assert_null(world_answer(&world, pair.call));
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_true(world_answer(&world, pair.call)->views[0].completed);
    world_done(&world);
}

/* P-5: END comes with the last acknowledgement and not before; repeated ones count once. */
static void test_p05_end_only_after_every_acknowledgement(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, NULL);
    world_durable(&world);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    assert_int_equal(world_count_appends(&world, RECORD_END), 0);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_int_equal(world_count_appends(&world, RECORD_END), 1);
    assert_false(world.ready.appends[0].forced);
    world_done(&world);
}

/* P-5: a branch is told again until it acknowledges, also over a new connection. */
static void test_p05_commit_is_repeated(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, NULL);
    world_durable(&world);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_tick(&world, 200);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 1);
    world_disconnect(&world, world.payment_session);
    world_tick(&world, 10000);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 0);
    world.payment_session = world_connect(&world, "payment");
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 1);
    assert_true(gid_equal(&world_send(&world, MESSAGE_COMMIT, 0)->as.commit.gid, &pair.payment));
    world_done(&world);
}

/* P-5 and docs/API.md: a branch out of reach gives 200 with completed false once the time-out is over. */
static void test_p05_unreachable_branch_is_answered_as_pending(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, NULL);
    world_durable(&world);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_disconnect(&world, world.payment_session);
    world_tick(&world, 5000);
    const struct api_answer *answer = world_answer(&world, pair.call);
    assert_int_equal(answer->status, API_OK);
    assert_false(answer->views[0].completed);
    assert_int_equal(answer->views[0].branches[1].state, BRANCH_COMMITTING);
    world_done(&world);
}

/* P-7: the same vote twice is one vote; a vote for somebody else's branch is none. */
static void test_p07_votes_are_a_set(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 0);
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 0);
    struct message forged = {.kind = MESSAGE_VOTE};
    forged.as.vote.gid = pair.payment;
    forged.as.vote.vote = VOTE_COMMIT;
    world_message(&world, "order", world.order_session, &forged);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 0);
    world_done(&world);
}

/* P-7: a message of a session that is over is not heard. */
static void test_p07_votes_of_an_ended_session_do_not_count(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t old_session = world.payment_session;
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world.payment_session = world_connect(&world, "payment"); /* a newer one replaces it */
    struct message late = {.kind = MESSAGE_VOTE};
    late.as.vote.gid = pair.payment;
    late.as.vote.vote = VOTE_COMMIT;
    world_message(&world, "payment", old_session, &late);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 0);
    world_done(&world);
}

/* A yes that comes after the abort is answered with ROLLBACK of exactly that gid. */
static void test_p09_late_yes_is_told_to_roll_back(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_ABORT);
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 1);
    assert_true(
        gid_equal(&world_send(&world, MESSAGE_ROLLBACK, 0)->as.rollback.gid, &pair.payment));
    world_done(&world);
}

/* P-15: a process that was stopped over the deadline looks at the clock before it decides. */
static void test_p15_a_stopped_process_does_not_decide_late(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world.now_ms += 60000;
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 0);
    assert_int_equal(world_answer(&world, pair.call)->views[0].failure.reason, REASON_TIMEOUT);
    world_done(&world);
}

/* P-15: an agent is told the time that remains, not the whole: here after 3 s of waiting for admission. */
static void test_p15_work_carries_the_time_that_remains(void **state)
{
    (void)state;
    struct world world;
    world_init_limited(&world, 1);
    struct pair first = world_begin(&world, NULL);
    assert_int_equal(world_send(&world, MESSAGE_WORK, 0)->as.work.remaining_ms, 5000);
    world_submit(&world, NULL, 2);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 0); /* one at a time */
    world.now_ms += 3000;
    world_vote(&world, "order", &first.order, VOTE_ABORT);
    assert_int_equal(world_send(&world, MESSAGE_WORK, 0)->as.work.remaining_ms, 2000);
    world_done(&world);
}

/* P-19: a declared read-only branch votes read-only, is not told to commit, and an undeclared one may not. */
static void test_p19_read_only_must_be_declared(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t call = world_submit_with(&world, NULL, 1, ACK_MODE_COMPLETED, true);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct gid order = world_gid(&gtrid, "order", 1);
    struct gid payment = world_gid(&gtrid, "payment", 0);
    world_vote(&world, "payment", &payment, VOTE_READONLY);
    world_vote(&world, "order", &order, VOTE_COMMIT);
    assert_true(world_append(&world, RECORD_COMMIT)->as.commit.branches[1].read_only);
    world_durable(&world);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 1);
    world_ack(&world, "order", &order, ACK_COMMITTED);
    assert_true(world_answer(&world, call)->views[0].completed);

    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_READONLY);
    assert_int_equal(world_answer(&world, pair.call)->status, API_ABORTED);
    world_done(&world);
}

/* P-19: a serializable branch that was declared read-only is prepared; what it read must stay protected to the end. */
static void test_p19_a_serializable_branch_does_not_vote_read_only(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct submission submission = {.timeout_ms = 5000, .branch_count = 1};
    submission.branches = alloc_array(1, sizeof(submission.branches[0]));
    submission.branches[0] = (struct submission_branch){
        .isolation = ISOLATION_SERIALIZABLE, .read_only = true, .work = blob_new("o", 1)};
    strcpy(submission.branches[0].participant, "order");
    struct coord_event event = {.kind = COORD_EVENT_SUBMIT, .call = 9, .submission = &submission};
    world_step(&world, &event);
    submission_done(&submission);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct gid order = world_gid(&gtrid, "order", 0);
    world_vote(&world, "order", &order, VOTE_READONLY);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 0);
    assert_int_equal(world_answer(&world, 9)->status, API_ABORTED);
    world_done(&world);
}

/* P-20: the record names one attempt; another attempt of the same branch is rolled back, whatever it says. */
static void test_p20_another_attempt_never_commits(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, NULL);
    world_durable(&world);
    struct gid replayed = pair.payment;
    replayed.attempt = 99;
    assert_int_equal(world_inquire(&world, "payment", &replayed, NULL), VERDICT_ABORT);
    assert_int_equal(world_inquire(&world, "payment", &pair.payment, NULL), VERDICT_COMMIT);
    assert_int_equal(world_send(&world, MESSAGE_VERDICT, 0)->as.verdict.proof.xid8, 22);
    world_vote(&world, "payment", &replayed, VOTE_COMMIT);
    assert_true(gid_equal(&world_send(&world, MESSAGE_ROLLBACK, 0)->as.rollback.gid, &replayed));
    world_ack(&world, "payment", &replayed, ACK_COMMITTED); /* of the wrong attempt: no ack */
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    assert_int_equal(world_count_appends(&world, RECORD_END), 0);
    world_done(&world);
}

/* A branch found gone after the decision is heuristic: recorded, shown, kept; the other one still commits. */
static void test_h1_rollback_by_hand_is_heuristic_until_forgotten(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, NULL);
    world_durable(&world);
    world_ack(&world, "payment", &pair.payment, ACK_HEURISTIC_ROLLBACK);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    assert_int_equal(world.ready.answer_count, 0);
    world_durable(&world);
    assert_int_equal(world_answer(&world, pair.call)->views[0].state, TXN_HEURISTIC);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    assert_int_equal(world_count_appends(&world, RECORD_END), 0);

    struct api_resolve resolve = {.gtrid = pair.order.gtrid, .action = RESOLVE_FORGET};
    strcpy(resolve.participant, "order");
    struct coord_event event = {.kind = COORD_EVENT_RESOLVE, .call = 77, .resolve = &resolve};
    world_step(&world, &event); /* order has nothing to forget */
    assert_int_equal(world_answer(&world, 77)->status, API_CONFLICT);
    strcpy(resolve.participant, "payment");
    event = (struct coord_event){.kind = COORD_EVENT_RESOLVE, .call = 78, .resolve = &resolve};
    world_step(&world, &event);
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
    assert_null(world_answer(&world, 78));
    world_durable(&world);
    assert_int_equal(world_answer(&world, 78)->status, API_OK);
    assert_int_equal(world_count_appends(&world, RECORD_END), 1);
    world_done(&world);
}

/* P-5: forget never drops a COMMIT record with branches that have not acknowledged. */
static void test_p05_forget_does_not_drop_unfinished_work(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, NULL);
    world_durable(&world);
    struct api_resolve resolve = {.gtrid = pair.order.gtrid, .action = RESOLVE_FORGET};
    strcpy(resolve.participant, "payment");
    struct coord_event event = {.kind = COORD_EVENT_RESOLVE, .call = 5, .resolve = &resolve};
    world_step(&world, &event);
    assert_int_equal(world_answer(&world, 5)->status, API_CONFLICT);
    assert_int_equal(world.ready.append_count, 0);
    resolve.action = RESOLVE_ROLLBACK; /* against the decision */
    event = (struct coord_event){.kind = COORD_EVENT_RESOLVE, .call = 6, .resolve = &resolve};
    world_step(&world, &event);
    assert_int_equal(world_answer(&world, 6)->status, API_CONFLICT);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p01_records_commit_is_forced_and_names_every_gid),
        cmocka_unit_test(test_p01_abort_writes_nothing),
        cmocka_unit_test(test_p02_silence_aborts_at_the_deadline),
        cmocka_unit_test(test_p02_doubt_aborts),
        cmocka_unit_test(test_p02_nothing_aborts_after_the_record),
        cmocka_unit_test(test_p04_nothing_is_told_before_durable),
        cmocka_unit_test(test_p04_ack_modes_answer_when_they_may),
        cmocka_unit_test(test_p05_end_only_after_every_acknowledgement),
        cmocka_unit_test(test_p05_commit_is_repeated),
        cmocka_unit_test(test_p05_unreachable_branch_is_answered_as_pending),
        cmocka_unit_test(test_p05_forget_does_not_drop_unfinished_work),
        cmocka_unit_test(test_p07_votes_are_a_set),
        cmocka_unit_test(test_p07_votes_of_an_ended_session_do_not_count),
        cmocka_unit_test(test_p09_late_yes_is_told_to_roll_back),
        cmocka_unit_test(test_p15_a_stopped_process_does_not_decide_late),
        cmocka_unit_test(test_p15_work_carries_the_time_that_remains),
        cmocka_unit_test(test_p19_read_only_must_be_declared),
        cmocka_unit_test(test_p19_a_serializable_branch_does_not_vote_read_only),
        cmocka_unit_test(test_p20_another_attempt_never_commits),
        cmocka_unit_test(test_h1_rollback_by_hand_is_heuristic_until_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
