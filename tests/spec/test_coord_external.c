/* test_coord_external.c - branches that the application prepares, in the coordinator's core (P-3, P-20, docs/adr/0016). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "tests/spec/coord_world.h"

#define TIMEOUT_MS 30000
#define IDLE_MS    5000
#define XID        7000

static int set_up(void **state)
{
    struct world *world = alloc_zeroed(sizeof(*world));
    world_init_with(world, (struct coord_config){.recent_max = 10,
                                                 .interactive_max = 2,
                                                 .interactive_idle_ms = IDLE_MS,
                                                 .interactive_result_bytes = 100});
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    world_done(*state);
    free(*state);
    return 0;
}

static struct gtrid opened(struct world *world)
{
    struct coord_event event = {
        .kind = COORD_EVENT_OPEN, .call = world->next_call++, .timeout_ms = TIMEOUT_MS};
    world_step(world, &event);
    return world_answer(world, event.call)->views[0].gtrid;
}

static const struct api_answer *ask(struct world *world, const struct gtrid *gtrid,
                                    const char *participant)
{
    struct interactive_external external = {.gtrid = *gtrid};
    snprintf(external.participant, sizeof(external.participant), "%s", participant);
    struct coord_event event = {.kind = COORD_EVENT_EXTERNAL,
                                .call = world->next_call++,
                                .random = 5000 + world->next_call, /* the attempt */
                                .external = &external,
                                .prior = {.looked_up = true}};
    world_step(world, &event);
    assert_non_null(world_answer(world, event.call));
    return world_answer(world, event.call);
}

static struct gid given(struct world *world, const struct gtrid *gtrid, const char *participant)
{
    const struct api_answer *answer = ask(world, gtrid, participant);
    assert_int_equal(answer->status, API_OK);
    assert_true(gtrid_equal(&answer->gid.gtrid, gtrid));
    assert_string_equal(answer->gid.participant, participant);
    assert_int_not_equal(answer->gid.attempt, 0);
    return answer->gid;
}

static uint64_t say(struct world *world, const struct gtrid *gtrid, const char *participant)
{
    struct interactive_statement statement = {.gtrid = *gtrid, .work = blob_new("sql", 3)};
    snprintf(statement.participant, sizeof(statement.participant), "%s", participant);
    struct coord_event event = {.kind = COORD_EVENT_STATEMENT,
                                .call = world->next_call++,
                                .statement = &statement,
                                .prior = {.looked_up = true}};
    world_step(world, &event);
    blob_free(statement.work);
    return event.call;
}

static struct gid executed(struct world *world, const struct gtrid *gtrid, const char *participant)
{
    struct gid gid = world_gid(gtrid, participant, 77);
    (void)say(world, gtrid, participant);
    struct message message = {.kind = MESSAGE_ANSWER};
    message.as.answer.gid = gid;
    message.as.answer.ordinal = 1;
    message.as.answer.results = blob_new("rows", 4);
    world_message(world, participant,
                  strcmp(participant, "order") == 0 ? world->order_session : world->payment_session,
                  &message);
    return gid;
}

static uint64_t commit(struct world *world, const struct gtrid *gtrid)
{
    struct interactive_end end = {.gtrid = *gtrid, .commit = true};
    struct coord_event event = {.kind = COORD_EVENT_CLOSE,
                                .call = world->next_call++,
                                .end = &end,
                                .prior = {.looked_up = true}};
    world_step(world, &event);
    return event.call;
}

static void vote_as(struct world *world, const struct gid *gid, enum vote vote, struct proof proof)
{
    struct message message = {.kind = MESSAGE_VOTE};
    message.as.vote.gid = *gid;
    message.as.vote.vote = vote;
    message.as.vote.proof = proof;
    if (vote == VOTE_ABORT || vote == VOTE_UNKNOWN) {
        message.as.vote.failure.reason = REASON_NOT_PREPARABLE;
    } else {
        snprintf(message.as.vote.owner, sizeof(message.as.vote.owner), "%s", "shop");
    }
    world_message(world, gid->participant,
                  strcmp(gid->participant, "order") == 0 ? world->order_session
                                                         : world->payment_session,
                  &message);
}

static const struct proof seen = {.kind = PROOF_EXTERNAL, .xid8 = XID};
static const struct proof row = {.kind = PROOF_ROW, .xid8 = XID};

static enum txn_state state_of(const struct world *world, const struct gtrid *gtrid)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, gtrid, false, &view));
    enum txn_state state = view.state;
    txn_view_done(&view);
    return state;
}

static void assert_told_to_roll_back(const struct world *world, const struct gid *gid)
{
    for (size_t i = 0; i < world_count_sends(world, MESSAGE_ROLLBACK); i++) {
        const struct message_rollback *rollback =
            &world_send(world, MESSAGE_ROLLBACK, i)->as.rollback;
        if (rollback->has_gid && gid_equal(&rollback->gid, gid)) {
            assert_int_equal(rollback->proof.kind, PROOF_EXTERNAL); /* whose row it would be */
            return;
        }
    }
    fail_msg("%s is not told to roll back", gid->participant);
}

/* P-1: a gid is given out at once; nothing is written, and no agent hears of it before the commit. */
static void test_p01_gid_is_given_out_without_a_record(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)given(world, &gtrid, "order");
    assert_int_equal(world->ready.append_count, 0);
    assert_int_equal(world->ready.send_count, 0);
    assert_int_equal(state_of(world, &gtrid), TXN_OPEN);
}

/* P-3: the commit has external branches verified and executed ones prepared; the record names the gid, with what proves it. */
static void test_p03_commit_verifies_external_and_prepares_executed_branches(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid order = given(world, &gtrid, "order");
    struct gid payment = executed(world, &gtrid, "payment");
    uint64_t call = commit(world, &gtrid);
    assert_int_equal(world_count_sends(world, MESSAGE_VERIFY), 1);
    assert_int_equal(world_count_sends(world, MESSAGE_PREPARE), 1);
    assert_true(gid_equal(&world_send(world, MESSAGE_VERIFY, 0)->as.verify.gid, &order));
    assert_int_equal(world_send(world, MESSAGE_VERIFY, 0)->as.verify.remaining_ms, TIMEOUT_MS);
    vote_as(world, &order, VOTE_COMMIT, seen);
    assert_int_equal(world_count_appends(world, RECORD_COMMIT), 0);
    vote_as(world, &payment, VOTE_COMMIT, row);
    const struct record_commit *record = &world_append(world, RECORD_COMMIT)->as.commit;
    assert_int_equal(record->branch_count, 2);
    assert_true(gid_equal(&record->branches[0].gid, &order));
    assert_int_equal(record->branches[0].proof.kind, PROOF_EXTERNAL);
    assert_int_equal(record->branches[0].proof.xid8, XID);
    world_durable(world);
    assert_int_equal(world_count_sends(world, MESSAGE_COMMIT), 2);
    assert_int_equal(world_send(world, MESSAGE_COMMIT, 0)->as.commit.proof.xid8, XID);
    world_ack(world, "order", &order, ACK_COMMITTED);
    world_ack(world, "payment", &payment, ACK_COMMITTED);
    assert_int_equal(world_answer(world, call)->status, API_OK);
}

/* VERIFY is sent again until it is answered, and no vote is no. */
static void test_p02_verify_is_repeated_and_silence_is_no(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid order = given(world, &gtrid, "order");
    (void)commit(world, &gtrid);
    world_tick(world, 1000);
    assert_true(world_count_sends(world, MESSAGE_VERIFY) > 0);
    world_tick(world, TIMEOUT_MS);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTING);
    assert_told_to_roll_back(world, &order);
}

/* P-11: a no says nothing about the row, so it is told to roll back, and the transaction is over when that is acknowledged. */
static void test_p11_no_of_an_external_branch_is_rolled_back_all_the_same(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid order = given(world, &gtrid, "order");
    uint64_t call = commit(world, &gtrid);
    vote_as(world, &order, VOTE_ABORT, (struct proof){.kind = PROOF_NONE});
    assert_int_equal(world_answer(world, call)->status, API_ABORTED);
    assert_int_equal(world_answer(world, call)->reason, REASON_NOT_PREPARABLE);
    assert_told_to_roll_back(world, &order);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTING);
    world_ack(world, "order", &order, ACK_ROLLED_BACK);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTED);
}

/* P-20: asked again it is another gid. The old one hears ABORT though the transaction is open, its yes counts for nothing, and its
 * acknowledgement for the new one as little. */
static void test_p20_old_gid_is_aborted_while_the_transaction_is_open(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid first = given(world, &gtrid, "order");
    assert_int_equal(world_inquire(world, "order", &first, NULL), VERDICT_WAIT);
    struct gid nobodys = world_gid(&gtrid, "payment", 1); /* no branch of it is open here */
    assert_int_equal(world_inquire(world, "payment", &nobodys, NULL), VERDICT_WAIT);
    struct gid second = given(world, &gtrid, "order");
    assert_int_not_equal(first.attempt, second.attempt);
    assert_int_equal(world_inquire(world, "order", &first, NULL), VERDICT_ABORT);
    assert_int_equal(world_inquire(world, "order", &second, NULL), VERDICT_WAIT);
    (void)commit(world, &gtrid);
    assert_true(gid_equal(&world_send(world, MESSAGE_VERIFY, 0)->as.verify.gid, &second));
    vote_as(world, &first, VOTE_COMMIT, seen);
    assert_int_equal(world_count_appends(world, RECORD_COMMIT), 0);
    assert_int_equal(world_inquire(world, "order", &first, NULL), VERDICT_ABORT);
    world_tick(world, TIMEOUT_MS);
    world_ack(world, "order", &first, ACK_ROLLED_BACK);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTING);
    world_ack(world, "order", &second, ACK_ROLLED_BACK);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTED);
}

/* P-20: a yes that does not name the row's transaction id is doubt: COMMIT could not tell the voted branch from another one. */
static void test_p20_yes_without_a_transaction_id_is_doubt(void **state)
{
    static const struct proof proofs[] = {{.kind = PROOF_ROW, .xid8 = XID},
                                          {.kind = PROOF_XID, .xid8 = XID},
                                          {.kind = PROOF_EXTERNAL},
                                          {.kind = PROOF_NONE}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
        struct gtrid gtrid = opened(world);
        struct gid order = given(world, &gtrid, "order");
        (void)commit(world, &gtrid);
        vote_as(world, &order, VOTE_COMMIT, proofs[i]);
        assert_int_equal(world_count_appends(world, RECORD_COMMIT), 0);
        assert_told_to_roll_back(world, &order);
        world_ack(world, "order", &order, ACK_ROLLED_BACK);
    }
}

/* And the other way round: what the agent executes is not proved by what an application has prepared. */
static void test_p20_external_proof_of_an_executed_branch_is_doubt(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid order = executed(world, &gtrid, "order");
    (void)commit(world, &gtrid);
    vote_as(world, &order, VOTE_COMMIT, seen);
    assert_int_equal(world_count_appends(world, RECORD_COMMIT), 0);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTING);
}

/* P-2: a yes that comes before the commit was asked for is doubt. */
static void test_p02_yes_before_the_commit_is_doubt(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid order = given(world, &gtrid, "order");
    vote_as(world, &order, VOTE_COMMIT, seen);
    assert_told_to_roll_back(world, &order);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTING);
}

/* A participant has statements or an external branch; the other one is refused, and the transaction goes on. */
static void test_p22_participant_is_executed_or_external(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)given(world, &gtrid, "order");
    (void)executed(world, &gtrid, "payment");
    assert_int_equal(ask(world, &gtrid, "payment")->status, API_CONFLICT);
    uint64_t call = say(world, &gtrid, "order");
    assert_int_equal(world_answer(world, call)->status, API_CONFLICT);
    assert_int_equal(world_count_sends(world, MESSAGE_STATEMENT), 0);
    assert_int_equal(ask(world, &gtrid, "nobody")->status, API_UNKNOWN_PARTICIPANT);
    assert_int_equal(state_of(world, &gtrid), TXN_OPEN);
}

/* max_branches counts branches that nobody executes, too: one more is refused, and the transaction goes on as it was. */
static void test_p22_external_branches_have_the_limit_of_all(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.max_branches = 1});
    struct gtrid gtrid = opened(&world);
    struct gid first = given(&world, &gtrid, "order");
    const struct api_answer *refused = ask(&world, &gtrid, "payment");
    assert_int_equal(refused->status, API_LIMIT);
    assert_string_equal(refused->limit_name, "max_branches");
    assert_int_equal(refused->limit, 1);
    assert_int_equal(state_of(&world, &gtrid), TXN_OPEN);
    struct gid again = given(&world, &gtrid, "order"); /* no other branch: another name for it */
    assert_false(gid_equal(&first, &again));
    (void)commit(&world, &gtrid);
    assert_int_equal(world_count_sends(&world, MESSAGE_VERIFY), 1);
    vote_as(&world, &again, VOTE_ABORT, (struct proof){.kind = PROOF_NONE});
    world_done(&world);
}

/* Once it is to commit, or has ended, nothing more is given out. */
static void test_p22_gid_is_given_out_in_an_open_transaction_only(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid order = given(world, &gtrid, "order");
    (void)commit(world, &gtrid);
    assert_int_equal(ask(world, &gtrid, "order")->status, API_CONFLICT);
    vote_as(world, &order, VOTE_ABORT, (struct proof){.kind = PROOF_NONE});
    assert_int_equal(ask(world, &gtrid, "order")->status, API_ABORTED);
    struct gtrid unknown = gtrid;
    unknown.sequence += 100;
    assert_int_equal(ask(world, &unknown, "order")->status, API_NOT_FOUND);
    world_disconnect(world, world->payment_session);
    struct gtrid other = opened(world);
    assert_int_equal(ask(world, &other, "payment")->status, API_REFUSED);
}

/* P-2: the link to its agent goes while it is open: doubt, as for every other branch. */
static void test_p02_lost_agent_aborts_an_open_external_branch(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)given(world, &gtrid, "order");
    world_disconnect(world, world->order_session);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTED); /* left to the sweep */
}

/* Asking counts as speaking: the transaction is not idle. */
static void test_p15_asking_puts_the_idle_limit_off(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    world_tick(world, IDLE_MS - 1);
    struct gid order = given(world, &gtrid, "order");
    world_tick(world, IDLE_MS - 1);
    assert_int_equal(state_of(world, &gtrid), TXN_OPEN);
    world_tick(world, 1);
    assert_told_to_roll_back(world, &order);
}

/* H1: what a person made of a replaced gid is not settled while the transaction is open; when it aborts it goes on record. */
static void test_h1_replaced_gid_committed_by_hand_goes_on_record(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid first = given(world, &gtrid, "order");
    struct gid second = given(world, &gtrid, "order");
    world_ack(world, "order", &first, ACK_HEURISTIC_COMMIT);
    assert_int_equal(world_count_sends(world, MESSAGE_VERDICT), 0); /* it is told again */
    (void)commit(world, &gtrid);
    vote_as(world, &second, VOTE_ABORT, (struct proof){.kind = PROOF_NONE});
    world_ack(world, "order", &first, ACK_HEURISTIC_COMMIT);
    assert_true(gid_equal(&world_append(world, RECORD_HEURISTIC)->as.heuristic.gid, &first));
}

/* H1, P-4: nor is it settled before the decision is durable. If that is lost it aborts after all, and then this has to go on record. */
static void test_h1_replaced_gid_committed_by_hand_waits_for_the_decision(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid first = given(world, &gtrid, "order");
    struct gid second = given(world, &gtrid, "order");
    (void)commit(world, &gtrid);
    world_ack(world, "order", &first, ACK_HEURISTIC_COMMIT);
    assert_int_equal(world_count_sends(world, MESSAGE_VERDICT), 0);
    vote_as(world, &second, VOTE_COMMIT, seen);
    assert_int_equal(state_of(world, &gtrid), TXN_DECIDING);
    world_ack(world, "order", &first, ACK_HEURISTIC_COMMIT);
    assert_int_equal(world_count_sends(world, MESSAGE_VERDICT), 0);
    world_durable(world);
    world_ack(world, "order", &first, ACK_HEURISTIC_COMMIT);
    assert_int_equal(world_send(world, MESSAGE_VERDICT, 0)->as.verdict.verdict, VERDICT_NOTED);
}

/* H1: what was found out about a branch, and a person's word about it, stand whoever asks for another gid. */
static void asked_too_late(struct world *world, const struct gid *order, bool is_decided,
                           enum branch_state expected)
{
    struct txn_view view;
    assert_int_equal(ask(world, &order->gtrid, "order")->status,
                     is_decided ? API_CONFLICT : API_ABORTED);
    assert_true(coord_view(world->coord, &order->gtrid, false, &view));
    assert_int_equal(view.state, TXN_HEURISTIC);
    assert_int_equal(view.branches[0].state, expected);
    assert_true(gid_equal(&view.branches[0].gid, order));
    txn_view_done(&view);
}

static void test_h1_external_finding_stands(void **state)
{
    static const struct {
        bool is_decided;
        enum ack finding;
        enum branch_state state;
    } cases[] = {{true, ACK_HEURISTIC_ROLLBACK, BRANCH_HEURISTIC_ROLLBACK},
                 {true, ACK_HAZARD, BRANCH_HAZARD},
                 {false, ACK_HEURISTIC_COMMIT, BRANCH_HEURISTIC_COMMIT},
                 {false, ACK_HAZARD, BRANCH_HAZARD}};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gtrid gtrid = opened(world);
        struct gid order = given(world, &gtrid, "order");
        struct gid payment = given(world, &gtrid, "payment");
        (void)commit(world, &gtrid);
        vote_as(world, &order, VOTE_COMMIT, seen);
        vote_as(world, &payment, cases[i].is_decided ? VOTE_COMMIT : VOTE_ABORT,
                cases[i].is_decided ? seen : (struct proof){.kind = PROOF_NONE});
        world_durable(world);
        world_ack(world, "order", &order, cases[i].finding);
        world_durable(world);
        asked_too_late(world, &order, cases[i].is_decided, cases[i].state);
        if (cases[i].is_decided) {
            struct api_resolve resolve = {.gtrid = gtrid,
                                          .action = RESOLVE_FORGET,
                                          .participant = "order",
                                          .comment = "seen"};
            struct coord_event event = {
                .kind = COORD_EVENT_RESOLVE, .call = world->next_call++, .resolve = &resolve};
            world_step(world, &event);
            world_durable(world);
            asked_too_late(world, &order, true, BRANCH_FORGOTTEN);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_p01_gid_is_given_out_without_a_record),
        TEST(test_p03_commit_verifies_external_and_prepares_executed_branches),
        TEST(test_p02_verify_is_repeated_and_silence_is_no),
        TEST(test_p11_no_of_an_external_branch_is_rolled_back_all_the_same),
        TEST(test_p20_old_gid_is_aborted_while_the_transaction_is_open),
        TEST(test_p20_yes_without_a_transaction_id_is_doubt),
        TEST(test_p20_external_proof_of_an_executed_branch_is_doubt),
        TEST(test_p02_yes_before_the_commit_is_doubt),
        TEST(test_p22_participant_is_executed_or_external),
        TEST(test_p22_external_branches_have_the_limit_of_all),
        TEST(test_p22_gid_is_given_out_in_an_open_transaction_only),
        TEST(test_p02_lost_agent_aborts_an_open_external_branch),
        TEST(test_p15_asking_puts_the_idle_limit_off),
        TEST(test_h1_replaced_gid_committed_by_hand_goes_on_record),
        TEST(test_h1_replaced_gid_committed_by_hand_waits_for_the_decision),
        TEST(test_h1_external_finding_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
