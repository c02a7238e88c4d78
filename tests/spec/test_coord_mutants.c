/* test_coord_mutants.c - properties of the coordinator's core that hang on one line each: every test here was
 * seen to fail with that line changed. P-1, P-2, P-4, P-5, P-6, P-7, P-8, P-10, P-11, P-12, P-13, P-15, P-16, P-18, P-19,
 * P-20. The core's other spec tests are beside it. */
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

static struct gid attempt(struct gid gid, uint64_t number)
{
    gid.attempt = number;
    return gid;
}

static enum txn_state state_of(const struct world *world, const struct gtrid *gtrid)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, gtrid, false, &view));
    enum txn_state state = view.state;
    txn_view_done(&view);
    return state;
}

static enum branch_state branch_of(const struct world *world, const struct gtrid *gtrid,
                                   size_t index)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, gtrid, false, &view));
    enum branch_state state = view.branches[index].state;
    txn_view_done(&view);
    return state;
}

static struct coord_counters counters_of(const struct world *world)
{
    struct coord_counters counters;
    coord_counters_read(world->coord, &counters);
    return counters;
}

static void link_up(struct world *world, const char *participant, uint64_t session)
{
    struct coord_event up = {.kind = COORD_EVENT_PEER_UP,
                             .participant = participant,
                             .address = "",
                             .version = "",
                             .session = session};
    world_step(world, &up);
}

static void health(struct world *world, const char *participant, uint64_t session,
                   enum health state, uint64_t swept_number)
{
    struct message message = {.kind = MESSAGE_HEALTH, .as.health.health = state};
    message.as.health.swept_number = swept_number;
    world_message(world, participant, session, &message);
}

static void swept_by_both(struct world *world)
{
    health(world, "order", world->order_session, HEALTH_UP, 9);
    health(world, "payment", world->payment_session, HEALTH_UP, 12);
}

static void ack_on(struct world *world, const char *participant, uint64_t session,
                   const struct gid *gid, enum ack ack)
{
    struct message message = {.kind = MESSAGE_ACK, .as.ack = {.gid = *gid, .ack = ack}};
    world_message(world, participant, session, &message);
}

static void resolve(struct world *world, const struct gtrid *gtrid, const char *participant,
                    enum resolve_action action, uint64_t call)
{
    struct api_resolve wanted = {.gtrid = *gtrid, .action = action};
    snprintf(wanted.participant, sizeof(wanted.participant), "%s", participant);
    struct coord_event event = {.kind = COORD_EVENT_RESOLVE, .call = call, .resolve = &wanted};
    event.prior.looked_up = true;
    world_step(world, &event);
}

static enum api_status remove_payment(struct world *world)
{
    struct coord_event remove = {
        .kind = COORD_EVENT_PARTICIPANT_REMOVE, .participant = "payment", .call = 900};
    world_step(world, &remove);
    if (world_count_appends(world, RECORD_RELEASE) == 1) {
        world_durable(world);
    }
    return world_answer(world, 900)->status;
}

static void drain(struct world *world)
{
    struct coord_event event = {.kind = COORD_EVENT_DRAIN};
    world_step(world, &event);
}

/* Of epoch 1, nonce 5, sequence 3, over order (attempt 11) and payment (22), with proofs and results. */
static struct record commit_record(void)
{
    struct record record = {.kind = RECORD_COMMIT};
    struct record_commit *commit = &record.as.commit;
    memset(commit->gtrid.journal.bytes, 0xab, JOURNAL_ID_BYTES);
    commit->gtrid.epoch = 1;
    commit->gtrid.epoch_nonce = 5;
    commit->gtrid.sequence = 3;
    commit->branch_count = 2;
    commit->branches = alloc_array(2, sizeof(commit->branches[0]));
    commit->branches[0].gid = world_gid(&commit->gtrid, "order", 11);
    commit->branches[1].gid = world_gid(&commit->gtrid, "payment", 22);
    for (size_t i = 0; i < 2; i++) {
        commit->branches[i].proof.kind = PROOF_ROW;
        commit->branches[i].proof.xid8 = commit->branches[i].gid.attempt;
        commit->branches[i].results = blob_new("rows", 4);
    }
    return record;
}

static struct epoch_entry epoch_one = {.epoch = 1, .nonce = 5};
static char known[3][PARTICIPANT_NAME_SIZE] = {"order", "payment", "gone"};

static struct journal_state state_one(void)
{
    return (struct journal_state){.last_epoch = 1,
                                  .head = {.number = 10},
                                  .running_ms = 700000,
                                  .epoch_count = 1,
                                  .epochs = &epoch_one,
                                  .participant_count = 2,
                                  .participants = known};
}

static void recover(struct world *world, const struct record *records, size_t count)
{
    struct journal_state one = state_one();
    world_init_from(world, &one, records, count);
    world_durable(world);
}

static void connect_both(struct world *world)
{
    world->order_session = world_connect(world, "order");
    world->payment_session = world_connect(world, "payment");
}

/* ---- Votes ---- */

/* P-7: doubt about another attempt takes no yes back; that attempt alone is told to roll back. */
static void test_p07_doubt_about_another_attempt_takes_no_yes_back(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    struct gid other = attempt(pair.order, 99);
    world_vote(&world, "order", &other, VOTE_UNKNOWN);
    assert_null(world_answer(&world, pair.call));
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 1);
    assert_true(gid_equal(&world_send(&world, MESSAGE_ROLLBACK, 0)->as.rollback.gid, &other));
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 1);
    world_done(&world);
}

/* P-2: a vote "unknown" that follows the yes for the same gid aborts. */
static void test_p02_yes_taken_back_by_unknown_aborts(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "order", &pair.order, VOTE_UNKNOWN);
    assert_int_equal(world_answer(&world, pair.call)->status, API_ABORTED);
    world_done(&world);
}

/* P-20: a yes that names no attempt prepared nothing that could be committed: it is none. */
static void test_p20_yes_without_an_attempt_does_not_count(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    struct gid nameless = attempt(pair.order, 0);
    world_vote(&world, "order", &nameless, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 0);
    world_done(&world);
}

/* P-15: the deadline itself is too late for a decision. */
static void test_p15_a_last_vote_at_the_deadline_is_too_late(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world.now_ms += 5000;
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 0);
    assert_int_equal(world_answer(&world, pair.call)->reason, REASON_TIMEOUT);
    world_done(&world);
}

/* P-18: the COMMIT record carries the whole answer: the hash that its key belongs to, and the results. */
static void test_p18_commit_record_carries_the_answer(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, "k"); /* its body's hash is all 1 */
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    struct message message = {.kind = MESSAGE_VOTE};
    message.as.vote.gid = pair.payment;
    message.as.vote.vote = VOTE_COMMIT;
    message.as.vote.results = blob_new("rows", 4);
    world_message(&world, "payment", world.payment_session, &message);
    const struct record_commit *commit = &world_append(&world, RECORD_COMMIT)->as.commit;
    uint8_t hash[BODY_HASH_BYTES];
    memset(hash, 1, sizeof(hash));
    assert_memory_equal(commit->body_hash, hash, BODY_HASH_BYTES);
    assert_int_equal(commit->key_bytes, 1);
    assert_true(gtrid_equal(&commit->gtrid, &pair.order.gtrid));
    assert_non_null(commit->branches[1].results);
    world_done(&world);
}

/* P-2: who became unavailable while the transaction waited for admission is sent no work. */
static void test_p02_admission_looks_again_at_the_participants(void **state)
{
    (void)state;
    struct world world;
    world_init_limited(&world, 1);
    struct pair first = world_begin(&world, NULL);
    uint64_t second = world_submit(&world, NULL, 2);
    health(&world, "payment", world.payment_session, HEALTH_DOWN, 0);
    world_vote(&world, "order", &first.order, VOTE_ABORT); /* frees the place */
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 0);
    assert_int_equal(world_answer(&world, second)->reason, REASON_PARTICIPANT_UNAVAILABLE);
    struct gtrid waiting = first.order.gtrid;
    waiting.sequence++;
    assert_int_equal(state_of(&world, &waiting), TXN_ABORTED); /* nothing of it is anywhere */
    world_done(&world);
}

/* P-11: a branch that may be prepared is told by name to roll back, in time and late. */
static void test_p11_unknown_vote_is_rolled_back_by_name(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "payment", &pair.payment, VOTE_UNKNOWN);
    const struct message *rollback = world_send(&world, MESSAGE_ROLLBACK, 1); /* after order's */
    assert_true(rollback->as.rollback.has_gid);
    assert_true(gtrid_equal(&rollback->as.rollback.gtrid, &pair.payment.gtrid));
    assert_true(gid_equal(&rollback->as.rollback.gid, &pair.payment));
    world_vote(&world, "order", &pair.order, VOTE_UNKNOWN); /* late: it is ABORTING */
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 1);
    assert_true(gid_equal(&world_send(&world, MESSAGE_ROLLBACK, 0)->as.rollback.gid, &pair.order));
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    const struct message *late = world_send(&world, MESSAGE_ROLLBACK, 0);
    assert_true(late->as.rollback.has_gid);
    assert_true(gtrid_equal(&late->as.rollback.gtrid, &pair.order.gtrid));
    assert_int_equal(late->as.rollback.proof.xid8, 11);
    struct gid nameless = attempt(pair.order, 0);
    world_vote(&world, "order", &nameless, VOTE_COMMIT); /* nothing that a ROLLBACK could name */
    assert_int_equal(world.ready.send_count, 0);
    pair = world_begin(&world, NULL);
    nameless = attempt(pair.order, 0);
    world_vote(&world, "order", &nameless, VOTE_UNKNOWN);
    assert_false(world_send(&world, MESSAGE_ROLLBACK, 0)->as.rollback.has_gid);
    world_done(&world);
}

/* P-7: nobody votes for somebody else, nor for himself with somebody else's gid. */
static void test_p07_a_vote_with_anothers_gid_is_none(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    struct message forged = {.kind = MESSAGE_VOTE};
    forged.as.vote.gid = pair.payment;
    forged.as.vote.vote = VOTE_COMMIT;
    world_message(&world, "order", world.order_session, &forged);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 0);
    world_done(&world);
}

/* P-4: a record's durability allows its own transaction only, in the order of the records. */
static void test_p04_each_decision_waits_for_its_own_record(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pairs[3];
    uint64_t tokens[3];
    for (size_t i = 0; i < 3; i++) {
        pairs[i] = world_decided(&world, NULL);
        tokens[i] = world.last_token;
    }
    for (size_t i = 0; i < 3; i++) {
        struct coord_event durable = {.kind = COORD_EVENT_DURABLE, .token = tokens[i]};
        world_step(&world, &durable);
        assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 2);
        assert_true(
            gid_equal(&world_send(&world, MESSAGE_COMMIT, 0)->as.commit.gid, &pairs[i].order));
    }
    world_done(&world);
}

/* P-19, P-20: a read-only branch is in the record, but no gid of it is ever said to be committed. */
static void test_p19_a_read_only_branch_has_no_gid_to_commit(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_submit_with(&world, NULL, 1, ACK_MODE_COMPLETED, true);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct gid order = world_gid(&gtrid, "order", 11);
    struct gid payment = world_gid(&gtrid, "payment", 0);
    world_vote(&world, "payment", &payment, VOTE_READONLY);
    world_vote(&world, "order", &order, VOTE_COMMIT);
    const struct record_commit *commit = &world_append(&world, RECORD_COMMIT)->as.commit;
    assert_true(gid_equal(&commit->branches[1].gid, &payment));
    world_durable(&world);
    assert_int_equal(world_inquire(&world, "payment", &payment, NULL), VERDICT_ABORT);
    world_done(&world);
}

/* ---- Finishing ---- */

/* P-7, P-20: whatever is acknowledged about another attempt, the recorded one is still to be finished. */
static void test_p07_acks_of_another_attempt_finish_nothing(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    struct gid other = attempt(pair.payment, 99);
    static const enum ack acks[] = {ACK_COMMITTED, ACK_ROLLED_BACK, ACK_HEURISTIC_ROLLBACK,
                                    ACK_HEURISTIC_COMMIT, ACK_HAZARD};
    for (size_t i = 0; i < sizeof(acks) / sizeof(acks[0]); i++) {
        world_ack(&world, "payment", &other, acks[i]);
        assert_int_equal(world.ready.append_count, 0);
        assert_int_equal(branch_of(&world, &other.gtrid, 1), BRANCH_COMMITTING);
    }
    world_done(&world);
}

/* P-7: "rolled back" by another name leaves the prepared attempt of an abort to be rolled back. */
static void test_p07_rolled_back_counts_for_the_named_attempt(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    assert_int_equal(world_send(&world, MESSAGE_ROLLBACK, 0)->as.rollback.proof.xid8, 11);
    struct gid other = attempt(pair.order, 99);
    world_ack(&world, "order", &other, ACK_ROLLED_BACK);
    assert_int_equal(branch_of(&world, &other.gtrid, 0), BRANCH_ROLLING_BACK);
    world_ack(&world, "order", &pair.order, ACK_ROLLED_BACK);
    assert_int_equal(state_of(&world, &other.gtrid), TXN_ABORTED);
    world_done(&world);
}

static struct pair left_to_sweep(struct world *world)
{
    struct pair pair = world_begin(world, NULL);
    world_vote(world, "payment", &pair.payment, VOTE_COMMIT);
    world_disconnect(world, world->payment_session);
    world_ack(world, "order", &pair.order, ACK_ROLLED_BACK);
    assert_int_equal(state_of(world, &pair.order.gtrid), TXN_ABORTED);
    world->payment_session = world_connect(world, "payment");
    return pair;
}

/* P-12: what an abort left to the sweep and somebody committed by hand makes a finished transaction live again. */
static void test_p12_heuristic_commit_after_the_end_is_live_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    for (uint64_t i = 0; i < 2; i++) {
        struct pair pair = left_to_sweep(&world);
        assert_int_equal(counters_of(&world).recent, 1);
        world_ack(&world, "payment", &pair.payment, ACK_HEURISTIC_COMMIT);
        assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
        assert_int_equal(state_of(&world, &pair.order.gtrid), TXN_HEURISTIC);
        assert_int_equal(counters_of(&world).recent, 0);
        assert_int_equal(counters_of(&world).live, i + 1);
        world_durable(&world);
    }
    world_done(&world);
}

/* P-12: an abort that nobody remembers comes back when it was committed by hand; the record names that gid. */
static void test_p12_heuristic_commit_of_a_forgotten_abort_is_recorded(void **state)
{
    (void)state;
    struct world world;
    struct record commit = commit_record(); /* only for its gids: it aborted */
    struct gid payment = commit.as.commit.branches[1].gid;
    record_done(&commit);
    recover(&world, NULL, 0);
    connect_both(&world);
    ack_on(&world, "order", world.order_session, &payment, ACK_HEURISTIC_COMMIT);
    assert_int_equal(world.ready.append_count, 0); /* nobody speaks for somebody else (P-7) */
    world_ack(&world, "payment", &payment, ACK_COMMITTED); /* a repetition for what is over */
    struct txn_view view;
    assert_false(coord_view(world.coord, &payment.gtrid, false, &view));
    world_ack(&world, "payment", &payment, ACK_HEURISTIC_COMMIT);
    assert_true(gid_equal(&world_append(&world, RECORD_HEURISTIC)->as.heuristic.gid, &payment));
    world_done(&world);
}

/* P-12: the record of a heuristic commit names the gid that was found, also where no vote had named one. */
static void test_p12_heuristic_record_names_what_was_found(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_tick(&world, 5000);
    world_ack(&world, "order", &pair.order, ACK_HEURISTIC_COMMIT);
    const struct record_heuristic *record = &world_append(&world, RECORD_HEURISTIC)->as.heuristic;
    assert_true(gid_equal(&record->gid, &pair.order));
    assert_int_equal(record->ack, ACK_HEURISTIC_COMMIT);
    world_done(&world);
}

/* P-10, P-12: COMMIT goes with the vote's proof, and only to who has accepted this coordinator. */
static void test_p10_commit_goes_to_the_welcome_only(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)world_decided(&world, NULL);
    world_disconnect(&world, world.payment_session);
    link_up(&world, "payment", 90);
    world_durable(&world);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 1);
    assert_int_equal(world.ready.sends[0].session, world.order_session);
    assert_int_equal(world_send(&world, MESSAGE_COMMIT, 0)->as.commit.proof.xid8, 11);
    world_done(&world);
}

/* P-5: COMMIT is repeated at intervals that grow up to retry_max_ms (and a quarter of jitter), and no further. */
static void test_p05_repetitions_back_off_and_go_on(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    assert_in_range(world.ready.deadline_ms - world.now_ms, 100, 125); /* wakes up for the first */
    world_tick(&world, 125);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 2);
    assert_null(world_answer(&world, pair.call)); /* it is still in time to be completed */
    uint64_t last_ms = world.now_ms;
    uint64_t gap_ms = 0;
    for (int i = 0; i < 2000; i++) {
        world_tick(&world, 10);
        if (world_count_sends(&world, MESSAGE_COMMIT) > 0) {
            gap_ms = world.now_ms - last_ms;
            last_ms = world.now_ms;
        }
    }
    assert_in_range(gap_ms, 2000, 2510);
    assert_in_range(world.now_ms - last_ms, 0, 2510);
    world_done(&world);
}

/* ---- Sessions ---- */

/* P-7: acknowledgements of a session that is over, or that has not accepted us yet, are not heard. */
static void test_p07_acks_count_on_the_welcomed_session(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    uint64_t old_session = world.payment_session;
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    link_up(&world, "payment", 90);
    ack_on(&world, "payment", 90, &pair.payment, ACK_COMMITTED);
    assert_int_equal(world_count_appends(&world, RECORD_END), 0);
    world.payment_session = world_connect(&world, "payment");
    ack_on(&world, "payment", old_session, &pair.payment, ACK_COMMITTED);
    assert_int_equal(world_count_appends(&world, RECORD_END), 0);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_int_equal(world_count_appends(&world, RECORD_END), 1);
    world_done(&world);
}

/* P-10: a vote before the WELCOME is not answered either. */
static void test_p10_votes_before_the_welcome_are_not_heard(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_disconnect(&world, world.payment_session);
    link_up(&world, "payment", 90);
    world.payment_session = 90;
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    assert_int_equal(world.ready.send_count, 0);
    world_done(&world);
}

static void welcome_on(struct world *world, uint64_t session, uint64_t epoch)
{
    struct message welcome = {.kind = MESSAGE_WELCOME, .as.welcome.epoch = epoch};
    world_message(world, "payment", session, &welcome);
}

static bool payment_is_ready(const struct world *world)
{
    struct participant_view *views = NULL;
    size_t count = coord_participants(world->coord, &views);
    assert_int_equal(count, 2);
    bool is_ready = views[1].ready;
    free(views);
    return is_ready;
}

/* P-10: only a WELCOME to this epoch, after our CLAIM, opens a session for work. */
static void test_p10_welcome_answers_the_claim_of_this_epoch(void **state)
{
    (void)state;
    struct world world;
    world_init(&world); /* epoch 1 */
    link_up(&world, "payment", 90);
    welcome_on(&world, 90, 1); /* nothing was claimed */
    assert_false(payment_is_ready(&world));
    struct message witness = {.kind = MESSAGE_WITNESS};
    world_message(&world, "payment", 90, &witness);
    const struct message *claim = world_send(&world, MESSAGE_CLAIM, 0);
    assert_int_equal(claim->as.claim.epoch, 1);
    assert_int_equal(claim->as.claim.epoch_nonce, 0x1111);
    assert_int_equal(claim->as.claim.head.number, world.last_token);
    welcome_on(&world, 90, 7);
    assert_false(payment_is_ready(&world));
    welcome_on(&world, 90, 1);
    assert_true(payment_is_ready(&world));
    world_done(&world);
}

/* P-10: nothing is claimed from an agent that has not told what it knows, also when EPOCH becomes durable. */
static void test_p10_claim_waits_for_the_witness(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    world_init_from(&world, &one, NULL, 0);
    link_up(&world, "order", 90);
    world_durable(&world);
    assert_int_equal(world_count_sends(&world, MESSAGE_CLAIM), 0);
    world_done(&world);
}

/* P-10: the journal's head goes to every agent with the heartbeat, for its database to remember. */
static void test_p10_head_is_told_with_the_heartbeat(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)world_committing(&world, NULL);
    world_tick(&world, 1000);
    assert_int_equal(world_count_sends(&world, MESSAGE_HEAD), 2);
    assert_int_equal(world_count_sends(&world, MESSAGE_CLAIM), 0); /* that one was answered */
    assert_int_equal(world_send(&world, MESSAGE_HEAD, 0)->as.head.head.number, world.last_token);
    world_done(&world);
}

/* P-14: a participant whose database is down is sent no new work. */
static void test_p14_no_work_while_the_database_is_down(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    health(&world, "payment", world.payment_session, HEALTH_DOWN, 0);
    uint64_t call = world_submit(&world, NULL, 1);
    assert_int_equal(world_answer(&world, call)->reason, REASON_PARTICIPANT_UNAVAILABLE);
    world_done(&world);
}

/* P-10: a participant with unfinished work, or with something prepared, is not let go. */
static void test_p10_a_participant_in_use_is_not_removed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    assert_int_equal(remove_payment(&world), API_CONFLICT);
    assert_non_null(strstr(world_answer(&world, 900)->text, "still in doubt"));
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    struct message message = {.kind = MESSAGE_HEALTH, .as.health.health = HEALTH_UP};
    message.as.health.prepared_count = 1;
    world_message(&world, "payment", world.payment_session, &message);
    assert_int_equal(remove_payment(&world), API_CONFLICT);
    health(&world, "payment", world.payment_session, HEALTH_UP, 1);
    assert_int_equal(remove_payment(&world), API_OK);
    uint64_t call = world_submit(&world, NULL, 1);
    assert_int_equal(world_answer(&world, call)->status, API_UNKNOWN_PARTICIPANT);
    world_done(&world);
}

/* P-11, P-13: a participant that an abort was left to is let go only when a sweep has been told that began later: what it
 * still holds prepared would outlive the floor. */
static void test_p13_a_participant_with_an_abort_to_sweep_is_not_removed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_disconnect(&world, world.payment_session);
    assert_int_equal(state_of(&world, &pair.order.gtrid), TXN_ABORTING);
    world_ack(&world, "order", &pair.order, ACK_ROLLED_BACK);
    assert_int_equal(remove_payment(&world), API_CONFLICT);
    assert_non_null(strstr(world_answer(&world, 900)->text, "prepared branches"));
    world.payment_session = world_connect(&world, "payment");
    assert_int_equal(remove_payment(&world), API_CONFLICT); /* nothing was swept yet */
    uint64_t head = 1;                                      /* EPOCH: an abort has no record */
    health(&world, "payment", world.payment_session, HEALTH_UP, head);
    assert_int_equal(remove_payment(&world),
                     API_CONFLICT); /* this sweep may be older than the abort */
    health(&world, "payment", world.payment_session, HEALTH_UP, head + 1);
    assert_int_equal(remove_payment(&world), API_OK);
    world_done(&world);
}

/* P-11, P-13: what a sweep has seen is known by the journal's head when it began, and an abort has no record. Where nothing else is
 * decided, no sweep would ever be a later one, and the participant could not be let go: so the head is moved, once. */
static void test_p13_an_abort_to_sweep_moves_the_head(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_disconnect(&world, world.payment_session);
    world_ack(&world, "order", &pair.order, ACK_ROLLED_BACK);
    world.payment_session = world_connect(&world, "payment");
    uint64_t head = 1; /* EPOCH; there is nothing later for an agent to be told */
    health(&world, "order", world.order_session, HEALTH_UP, head);
    health(&world, "payment", world.payment_session, HEALTH_UP, head);
    assert_int_equal(remove_payment(&world), API_CONFLICT);
    world_tick(&world, 20000);
    assert_true(world.ready.trim);
    assert_true(world.ready.trim_bounds.must_write);
    struct coord_event trimmed = {
        .kind = COORD_EVENT_TRIMMED, .head = {.number = head + 1}, .floor = {.first_number = 1}};
    world_step(&world, &trimmed);
    world_tick(&world, 20000);
    assert_false(world.ready.trim_bounds.must_write);
    assert_int_equal(world_send(&world, MESSAGE_HEAD, 0)->as.head.head.number, head + 1);
    assert_int_equal(remove_payment(&world), API_CONFLICT);
    health(&world, "payment", world.payment_session, HEALTH_UP, head + 1);
    assert_int_equal(remove_payment(&world), API_OK);
    world_done(&world);
}

/* One that holds prepared rows of ours is not let go, whoever made them and whatever was swept. */
static void test_p13_a_participant_with_prepared_rows_is_not_removed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct message message = {.kind = MESSAGE_HEALTH};
    message.as.health =
        (struct message_health){.health = HEALTH_UP, .swept_number = 9, .prepared_count = 1};
    world_message(&world, "payment", world.payment_session, &message);
    assert_int_equal(remove_payment(&world), API_CONFLICT);
    health(&world, "payment", world.payment_session, HEALTH_UP, 9);
    assert_int_equal(remove_payment(&world), API_OK);
    world_done(&world);
}

/* P-10: one that an earlier process gave work to has swept since, or is released by an operator. */
static void test_p10_a_participant_that_has_not_reported_is_not_removed(void **state)
{
    (void)state;
    struct world world;
    recover(&world, NULL, 0);
    world.order_session = world_connect(&world, "order");
    assert_int_equal(remove_payment(&world), API_CONFLICT);
    world.payment_session = world_connect(&world, "payment");
    assert_int_equal(remove_payment(&world), API_CONFLICT);
    health(&world, "payment", world.payment_session, HEALTH_UP, 10); /* EPOCH is 11 */
    assert_int_equal(remove_payment(&world), API_CONFLICT);
    health(&world, "payment", world.payment_session, HEALTH_UP, 11);
    assert_int_equal(remove_payment(&world), API_OK);
    world_done(&world);
}

/* P-10: one that was added to a running coordinator and never connected holds nothing, so a mistyped section is taken back
 * without ado; not so one that has connected since. */
static void test_p10_a_participant_that_never_connected_is_removed(void **state)
{
    (void)state;
    for (size_t connected = 0; connected < 2; connected++) {
        struct world world;
        world_init(&world);
        struct coord_event add = {.kind = COORD_EVENT_PARTICIPANT_ADD,
                                  .participant = "mistyped",
                                  .address = "tcp://127.0.0.1:1"};
        world_step(&world, &add);
        world_step(&world, &add); /* the next SIGHUP finds it again */
        if (connected == 1) {
            world_disconnect(&world, world_connect(&world, "mistyped"));
        }
        struct coord_event remove = {
            .kind = COORD_EVENT_PARTICIPANT_REMOVE, .participant = "mistyped", .call = 901};
        world_step(&world, &remove);
        assert_int_equal(world_count_appends(&world, RECORD_RELEASE), 1 - connected);
        world_done(&world);
    }
}

/* P-10: only who is added to a coordinator that runs is new; who stands in the configuration already is not when it is read
 * again, nor is one that the journal names. */
static void test_p10_who_was_there_before_is_not_new(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct coord_event add = {
        .kind = COORD_EVENT_PARTICIPANT_ADD, .participant = "payment", .address = "tcp://new"};
    world_step(&world, &add);
    assert_int_equal(remove_payment(&world), API_CONFLICT);
    world_done(&world);

    struct journal_state one = state_one();
    one.participant_count = 3; /* "gone" is in no configuration any more */
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    add.participant = "gone";
    world_step(&world, &add);
    struct coord_event remove = {
        .kind = COORD_EVENT_PARTICIPANT_REMOVE, .participant = "gone", .call = 901};
    world_step(&world, &remove);
    assert_int_equal(world_answer(&world, 901)->status, API_CONFLICT);
    world_done(&world);
}

/* P-11: an abort ends at once when the participant that it still had to tell goes away: the sweep finds it. */
static void test_p11_a_lost_participant_ends_the_abort(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_ABORT);
    assert_int_equal(state_of(&world, &pair.order.gtrid), TXN_ABORTING);
    world_disconnect(&world, world.payment_session);
    assert_int_equal(state_of(&world, &pair.order.gtrid), TXN_ABORTED);
    world_done(&world);
}

/* ---- Retention ---- */

/* P-13: a trim keeps the retention period in running time over all starts, and goes on while there is more. */
static void test_p13_trim_goes_by_running_time_slice_by_slice(void **state)
{
    (void)state;
    struct world world;
    recover(&world, NULL, 0); /* 700 s of earlier runs */
    connect_both(&world);
    health(&world, "order", world.order_session, HEALTH_UP, 11); /* EPOCH is 11 */
    health(&world, "payment", world.payment_session, HEALTH_UP, 14);
    world_tick(&world, 20000);
    assert_true(world.ready.trim);
    assert_int_equal(world.ready.trim_bounds.retention_ms, UINT64_C(7) * 24 * 3600 * 1000);
    assert_int_equal(world.ready.trim_bounds.now_running_ms, 720000);
    assert_int_equal(world.ready.trim_bounds.swept_number, 11);
    struct coord_event trimmed = {.kind = COORD_EVENT_TRIMMED,
                                  .head = {.number = 20},
                                  .floor = {.epoch = 1, .sequence = 3, .first_number = 8},
                                  .more = true};
    world_step(&world, &trimmed);
    assert_true(world.ready.trim);
    assert_int_equal(counters_of(&world).floor.first_number, 8);
    trimmed.more = false;
    trimmed.floor = (struct journal_floor){.epoch = 1, .sequence = 2, .first_number = 7};
    world_step(&world, &trimmed);
    assert_false(world.ready.trim);
    assert_int_equal(counters_of(&world).floor.first_number, 8); /* it only rises */
    world_done(&world);
}

/* P-13: END carries the running time, from which retention counts. */
static void test_p13_end_carries_the_running_time(void **state)
{
    (void)state;
    struct world world;
    recover(&world, NULL, 0);
    connect_both(&world);
    struct pair pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world.now_ms += 300;
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    const struct record_end *end = &world_append(&world, RECORD_END)->as.end;
    assert_int_equal(end->running_ms, 700300);
    assert_true(gtrid_equal(&end->gtrid, &pair.order.gtrid));
    world_done(&world);
}

/* P-13, P-14: a sweep told over an earlier connection does not count: it may be another database now. */
static void test_p13_a_new_connection_begins_its_sweeps_anew(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    swept_by_both(&world);
    world.payment_session = world_connect(&world, "payment");
    world_tick(&world, 20000);
    assert_false(world.ready.trim);
    world_done(&world);
}

/* P-5: beside a heuristic outcome the other branches are driven on, also over a new connection. */
static void test_p05_branches_beside_a_heuristic_one_are_driven(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    world_ack(&world, "payment", &pair.payment, ACK_HAZARD);
    world_durable(&world);
    world_disconnect(&world, world.order_session);
    world.order_session = world_connect(&world, "order");
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 1);
    world_done(&world);
}

/* P-10: who is configured is not taken for released, although the last EPOCH did not name it. */
static void test_p10_a_configured_participant_is_not_released(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.participant_count = 0;
    struct record record = commit_record();
    world_init_from(&world, &one, &record, 1);
    world_durable(&world);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    struct coord_event remove = {
        .kind = COORD_EVENT_PARTICIPANT_REMOVE, .participant = "nobody", .call = 70};
    world_step(&world, &remove);
    assert_int_equal(world_answer(&world, 70)->status, API_NOT_FOUND);
    record_done(&record);
    world_done(&world);
}

/* P-18: a key that only the journal knows is answered from its COMMIT record. */
static void test_p18_a_retained_key_is_answered_from_its_record(void **state)
{
    (void)state;
    struct world world;
    recover(&world, NULL, 0);
    connect_both(&world);
    struct journal_entry entry = {.commit = commit_record(), .ended = true};
    struct submission submission = {.key_bytes = 1, .key = "k"}; /* of the same hash: all 0 */
    struct coord_event event = {.kind = COORD_EVENT_SUBMIT, .call = 70, .submission = &submission};
    event.prior.looked_up = true;
    event.prior.found = true;
    event.prior.entry = &entry;
    world_step(&world, &event);
    const struct api_answer *answer = world_answer(&world, 70);
    assert_int_equal(answer->status, API_OK);
    assert_true(answer->replayed);
    assert_int_equal(answer->view_count, 1);
    assert_true(gtrid_equal(&answer->views[0].gtrid, &entry.commit.as.commit.gtrid));
    record_done(&entry.commit);
    world_done(&world);
}

/* P-13: a participant that only the journal still names is waited for, too; one that was released is not. */
static void test_p13_trim_waits_for_who_the_journal_names(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.participant_count = 3;
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    connect_both(&world);
    uint64_t gone_session = world_connect(&world, "gone");
    health(&world, "order", world.order_session, HEALTH_UP, 13);
    health(&world, "payment", world.payment_session, HEALTH_UP, 11);
    assert_int_equal(remove_payment(&world), API_OK);
    world_tick(&world, 20000);
    assert_false(world.ready.trim);
    health(&world, "gone", gone_session, HEALTH_UP, 12);
    world_tick(&world, 20000);
    assert_true(world.ready.trim);
    assert_int_equal(world.ready.trim_bounds.swept_number, 12);
    world_done(&world);
}

/* P-8, P-13: the floor read with the journal's answer counts at once: what was not found may be trimmed. */
static void test_p13_the_floor_of_the_look_up_counts(void **state)
{
    (void)state;
    struct world world;
    struct record commit = commit_record(); /* only for its gids */
    recover(&world, NULL, 0);
    connect_both(&world);
    struct message message = {.kind = MESSAGE_INQUIRY};
    message.as.inquiry.gid = commit.as.commit.branches[0].gid;
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                .participant = "order",
                                .session = world.order_session,
                                .message = &message};
    world_step(&world, &event); /* the journal could not be read */
    assert_int_equal(world_send(&world, MESSAGE_VERDICT, 0)->as.verdict.verdict, VERDICT_WAIT);
    event.prior.looked_up = true;
    event.prior.floor = (struct journal_floor){.epoch = 1, .sequence = 3, .first_number = 8};
    world_step(&world, &event);
    assert_int_equal(world_send(&world, MESSAGE_VERDICT, 0)->as.verdict.verdict, VERDICT_UNKNOWN);
    record_done(&commit);
    world_done(&world);
}

/* P-8, P-12: a verdict from a retained record brings the recorded proof, and is none for a read-only branch. */
static void test_p08_verdict_of_a_retained_record_brings_its_proof(void **state)
{
    (void)state;
    struct world world;
    recover(&world, NULL, 0);
    connect_both(&world);
    struct journal_entry entry = {.commit = commit_record(), .ended = true};
    struct record_branch *branches = entry.commit.as.commit.branches;
    branches[0].gid.attempt = 0;
    branches[0].read_only = true;
    assert_int_equal(world_inquire(&world, "payment", &branches[1].gid, &entry), VERDICT_COMMIT);
    assert_int_equal(world_send(&world, MESSAGE_VERDICT, 0)->as.verdict.proof.xid8, 22);
    assert_int_equal(world_inquire(&world, "order", &branches[0].gid, &entry), VERDICT_ABORT);
    record_done(&entry.commit);
    world_done(&world);
}

/* ---- Recovery ---- */

/* P-16: a recovered decision is finished with its recorded proof, and shown with its results. */
static void test_p16_recovered_commit_has_proof_and_results(void **state)
{
    (void)state;
    struct world world;
    struct record record = commit_record();
    recover(&world, &record, 1);
    struct txn_view view;
    assert_true(coord_view(world.coord, &record.as.commit.gtrid, false, &view));
    bool has_results = view.branches[1].results != NULL;
    txn_view_done(&view);
    assert_true(has_results);
    assert_int_equal(counters_of(&world).in_doubt, 2);
    world.payment_session = world_connect(&world, "payment");
    assert_int_equal(world_send(&world, MESSAGE_COMMIT, 0)->as.commit.proof.xid8, 22);
    const struct gid *payment = &record.as.commit.branches[1].gid;
    assert_int_equal(world_inquire(&world, "payment", payment, NULL), VERDICT_COMMIT);
    record_done(&record);
    world_done(&world);
}

/* P-16, P-19: a recovered read-only branch is neither told to commit nor waited for. */
static void test_p19_recovered_read_only_branch_is_finished(void **state)
{
    (void)state;
    struct world world;
    struct record record = commit_record();
    struct record_branch *branches = record.as.commit.branches;
    branches[1].read_only = true;
    branches[1].gid.attempt = 0;
    recover(&world, &record, 1);
    world.payment_session = world_connect(&world, "payment");
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 0);
    assert_int_equal(world_inquire(&world, "payment", &branches[1].gid, NULL), VERDICT_ABORT);
    world.order_session = world_connect(&world, "order");
    world_ack(&world, "order", &branches[0].gid, ACK_COMMITTED);
    assert_int_equal(world_count_appends(&world, RECORD_END), 1);
    record_done(&record);
    world_done(&world);
}

static struct record heuristic_record(const struct gid *gid)
{
    struct record record = {.kind = RECORD_HEURISTIC};
    record.as.heuristic.gid = *gid;
    record.as.heuristic.ack = ACK_HAZARD;
    return record;
}

static struct record resolved_record(const struct gid *gid, enum resolve_action action)
{
    struct record record = {.kind = RECORD_RESOLVED};
    record.as.resolved.gtrid = gid->gtrid;
    record.as.resolved.action = action;
    snprintf(record.as.resolved.participant, PARTICIPANT_NAME_SIZE, "%s", gid->participant);
    return record;
}

/* P-5, P-16: what a person ordered is there again after a restart: to drive a branch again, or to forget it. */
static void test_p16_a_persons_decision_survives_a_restart(void **state)
{
    (void)state;
    struct world world;
    struct record commit = commit_record();
    struct gid order = commit.as.commit.branches[0].gid;
    struct gid payment = commit.as.commit.branches[1].gid;
    struct record lost = heuristic_record(&order);
    lost.as.heuristic.ack = ACK_HEURISTIC_ROLLBACK;
    const struct record records[] = {commit,
                                     resolved_record(&order, RESOLVE_COMMIT),
                                     lost,
                                     resolved_record(&order, RESOLVE_FORGET),
                                     heuristic_record(&payment),
                                     resolved_record(&payment, RESOLVE_COMMIT)};
    recover(&world, records, 6);
    assert_int_equal(branch_of(&world, &order.gtrid, 0), BRANCH_FORGOTTEN);
    assert_int_equal(branch_of(&world, &order.gtrid, 1), BRANCH_COMMITTING);
    record_done(&commit);
    world_done(&world);
}

/* P-5, P-16: what recovery finds acknowledged by a person in every branch only lacks its END. */
static void test_p16_a_forgotten_outcome_ends_at_the_start(void **state)
{
    (void)state;
    struct world world;
    struct record commit = commit_record();
    struct gid order = commit.as.commit.branches[0].gid;
    struct gid payment = commit.as.commit.branches[1].gid;
    const struct record records[] = {commit, heuristic_record(&order), heuristic_record(&payment),
                                     resolved_record(&order, RESOLVE_FORGET),
                                     resolved_record(&payment, RESOLVE_FORGET)};
    recover(&world, records, 5);
    assert_int_equal(world_count_appends(&world, RECORD_END), 1);
    record_done(&commit);
    world_done(&world);
}

/* P-5, P-16: an END that a heuristic outcome outlived is not driven again, and not written again. */
static void test_p16_what_has_ended_is_not_ended_again(void **state)
{
    (void)state;
    struct world world;
    struct record commit = commit_record();
    struct gid payment = commit.as.commit.branches[1].gid;
    struct record records[] = {commit, heuristic_record(&payment), {.kind = RECORD_END}};
    records[2].as.end.gtrid = payment.gtrid;
    recover(&world, records, 3);
    assert_int_equal(branch_of(&world, &payment.gtrid, 0), BRANCH_COMMITTED);
    resolve(&world, &payment.gtrid, "payment", RESOLVE_FORGET, 70);
    world_durable(&world);
    assert_int_equal(branch_of(&world, &payment.gtrid, 1), BRANCH_FORGOTTEN);
    assert_int_equal(world_count_appends(&world, RECORD_END), 0);
    record_done(&commit);
    world_done(&world);
}

/* P-16: what was committed by hand of an abort is shown after a restart with its gid and what was said of it. */
static void test_p16_heuristic_branches_of_an_abort_are_recovered(void **state)
{
    (void)state;
    struct world world;
    struct record commit = commit_record(); /* only for its gids: it aborted */
    struct gid gids[2];
    struct record records[2];
    for (size_t i = 0; i < 2; i++) {
        gids[i] = commit.as.commit.branches[1 - i].gid; /* payment first */
        records[i] = heuristic_record(&gids[i]);
        records[i].as.heuristic.ack = ACK_HEURISTIC_COMMIT;
        snprintf(records[i].as.heuristic.detail, HEALTH_TEXT_SIZE, "by hand");
    }
    record_done(&commit);
    recover(&world, records, 2);
    struct txn_view view;
    assert_true(coord_view(world.coord, &gids[0].gtrid, false, &view));
    assert_int_equal(view.branch_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(view.branches[i].participant, gids[i].participant);
        assert_int_equal(view.branches[i].state, BRANCH_HEURISTIC_COMMIT);
        assert_true(view.branches[i].has_gid && gid_equal(&view.branches[i].gid, &gids[i]));
        assert_string_equal(view.branches[i].detail, "by hand");
    }
    txn_view_done(&view);
    world_done(&world);
}

/* P-10: EPOCH names everybody whose witness a later start must hear: the configured and those still awaited. */
static void test_p10_epoch_names_the_configured_and_the_awaited(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.participant_count = 0; /* both are new */
    world_init_from(&world, &one, NULL, 0);
    assert_int_equal(world_append(&world, RECORD_EPOCH)->as.epoch.participant_count, 2);
    world_durable(&world);
    assert_true(counters_of(&world).reconciled); /* nobody knows more of this journal */
    world_done(&world);
    one.participant_count = 3;
    world_init_from(&world, &one, NULL, 0);
    assert_int_equal(world_append(&world, RECORD_EPOCH)->as.epoch.participant_count, 3);
    world_done(&world);
}

/* ---- Drain ---- */

/* P-5: a drain waits for what can be reached, and for every record that is on its way (P-1). */
static void test_p05_drain_waits_for_acks_and_records(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    drain(&world);
    assert_int_equal(world.ready.stop, COORD_RUN);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_HEURISTIC_ROLLBACK);
    assert_int_equal(world.ready.stop, COORD_RUN);
    world_durable(&world);
    assert_int_equal(world.ready.stop, COORD_STOP_DRAINED);
    world_done(&world);
}

/* P-2: what is still undecided when the drain's time is over aborts. */
static void test_p02_an_overdue_drain_aborts_the_undecided(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    drain(&world);
    assert_int_equal(world.ready.stop, COORD_STOP_DRAINED);
    world_done(&world);

    world_init(&world);
    struct submission submission = {.timeout_ms = 60000, .branch_count = 1};
    submission.branches = alloc_array(1, sizeof(submission.branches[0]));
    snprintf(submission.branches[0].participant, PARTICIPANT_NAME_SIZE, "order");
    submission.branches[0].work = blob_new("o", 1);
    submission.branches[0].isolation = ISOLATION_SERIALIZABLE;
    struct coord_event event = {.kind = COORD_EVENT_SUBMIT, .call = 70, .submission = &submission};
    world_step(&world, &event);
    submission_done(&submission);
    assert_non_null(world_send(&world, MESSAGE_WORK, 0)->as.work.work);
    assert_int_equal(world_send(&world, MESSAGE_WORK, 0)->as.work.isolation,
                     ISOLATION_SERIALIZABLE);
    drain(&world);
    world_tick(&world, 9999);
    assert_int_equal(world.ready.stop, COORD_RUN);
    world_tick(&world, 1);
    assert_int_equal(world_answer(&world, 70)->reason, REASON_SHUTDOWN);
    assert_int_equal(world.ready.stop, COORD_STOP_DRAINED);
    world_done(&world);
}

/* ---- Submissions ---- */

/* P-15: beyond max_queued nothing waits for admission: its deadline would pass there. */
static void test_p15_a_full_queue_refuses(void **state)
{
    (void)state;
    struct world world;
    world_init_limited(&world, 1);
    for (int i = 0; i < 10001; i++) {
        uint64_t call = world_submit(&world, NULL, 1);
        assert_null(world_answer(&world, call));
    }
    uint64_t call = world_submit(&world, NULL, 1);
    assert_int_equal(world_answer(&world, call)->reason, REASON_OVERLOAD);
    world_done(&world);
}

/* P-4, P-18: who joins a decision whose record is late hears at once that the outcome is not known yet. */
static void test_p18_joiner_of_a_late_decision_is_answered(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, "k");
    world_tick(&world, 5000); /* the deadline: the record has a second more */
    assert_null(world_answer(&world, pair.call));
    world_tick(&world, 1000);
    uint64_t call = world_submit(&world, "k", 1);
    assert_int_equal(world_answer(&world, call)->status, API_OUTCOME_UNKNOWN);
    world_done(&world);
}

/* P-18: after an abort the key may run again, also while the abort is still being told. */
static void test_p18_key_runs_again_during_the_abort(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, "k");
    world_vote(&world, "order", &pair.order, VOTE_ABORT);
    assert_int_equal(state_of(&world, &pair.order.gtrid), TXN_ABORTING);
    world_submit(&world, "k", 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 2);
    world_done(&world);
}

/* P-1: before EPOCH is durable no gtrid is given out. */
static void test_p01_no_work_before_the_epoch(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    world_init_from(&world, &one, NULL, 0);
    uint64_t call = world_submit(&world, NULL, 1);
    assert_int_equal(world_answer(&world, call)->reason, REASON_SHUTDOWN);
    world_done(&world);
}

/* ---- Persons ---- */

/* P-5: a branch in hazard is driven again when a person says commit, and ends by its acknowledgement. */
static void test_p05_commit_by_a_person_drives_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_HAZARD);
    world_durable(&world);
    world_tick(&world, 10000);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 0); /* there is nobody to tell */
    resolve(&world, &pair.order.gtrid, "payment", RESOLVE_COMMIT, 70);
    const struct record_resolved *resolved = &world_append(&world, RECORD_RESOLVED)->as.resolved;
    assert_true(gtrid_equal(&resolved->gtrid, &pair.order.gtrid));
    assert_int_equal(resolved->action, RESOLVE_COMMIT);
    assert_string_equal(resolved->participant, "payment");
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 0); /* not before its record */
    world_durable(&world);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 1);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_int_equal(world_count_appends(&world, RECORD_END), 1);
    world_done(&world);
}

/* P-2: no person turns an abort into a commit, also not where a branch of it was committed by hand. */
static void test_p02_an_abort_is_never_committed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_tick(&world, 5000);
    world_ack(&world, "order", &pair.order, ACK_HEURISTIC_COMMIT);
    world_durable(&world);
    resolve(&world, &pair.order.gtrid, "order", RESOLVE_COMMIT, 70);
    assert_int_equal(world_answer(&world, 70)->status, API_CONFLICT);
    assert_int_equal(world.ready.append_count, 0);
    world_done(&world);
}

/* P-2: a transaction that a person rolled back while it waited for admission never starts. */
static void test_p02_rolled_back_in_the_queue_never_starts(void **state)
{
    (void)state;
    struct world world;
    world_init_limited(&world, 1);
    struct pair first = world_begin(&world, NULL);
    uint64_t call = world_submit(&world, NULL, 2);
    struct gtrid second = first.order.gtrid;
    second.sequence++;
    resolve(&world, &second, "order", RESOLVE_ROLLBACK, 70);
    world_durable(&world);
    assert_int_equal(world_answer(&world, call)->status, API_ABORTED);
    assert_int_equal(counters_of(&world).queued, 0);
    world_vote(&world, "order", &first.order, VOTE_ABORT); /* frees the place */
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 0);
    world_done(&world);
}

/* P-2: a person may roll back what is undecided, and have an abort told again. */
static void test_p02_a_person_rolls_back_what_is_undecided(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    for (int i = 0; i < 2; i++) {
        resolve(&world, &pair.order.gtrid, "order", RESOLVE_ROLLBACK, 70);
        assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
        world_durable(&world);
        assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 2);
        assert_int_equal(state_of(&world, &pair.order.gtrid), TXN_ABORTING);
    }
    world_done(&world);
}

/* P-2: a decision that overtakes a person's rollback stands, and the person is told so. */
static void test_p02_a_rollback_that_comes_too_late_is_no_success(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    resolve(&world, &pair.order.gtrid, "order", RESOLVE_ROLLBACK, 70);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 1);
    world_durable(&world);
    assert_int_equal(world_answer(&world, 70)->status, API_CONFLICT);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 2);
    world_done(&world);
}

/* P-8: a person's verdict holds for the branch that it was given for, and for no other. */
static void test_p08_a_persons_verdict_is_for_one_branch(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.floor = (struct journal_floor){.epoch = 1, .sequence = 9, .first_number = 8};
    struct record commit = commit_record(); /* only for its gids */
    struct gid order = commit.as.commit.branches[0].gid;
    struct gid payment = commit.as.commit.branches[1].gid;
    record_done(&commit);
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    connect_both(&world);
    resolve(&world, &order.gtrid, "order", RESOLVE_COMMIT, 70);
    world_durable(&world);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_COMMIT);
    assert_int_equal(world_inquire(&world, "payment", &payment, NULL), VERDICT_UNKNOWN);
    order.gtrid.sequence++;
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_UNKNOWN);
    world_done(&world);
}

/* P-6, P-8: an agent asks about its own branches only, and after its WELCOME. */
static void test_p08_nobody_asks_for_somebody_else(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    struct message other = {.kind = MESSAGE_INQUIRY, .as.inquiry.gid = pair.payment};
    world_message(&world, "order", world.order_session, &other);
    assert_int_equal(world.ready.send_count, 0);
    link_up(&world, "order", 90);
    struct message early = {.kind = MESSAGE_INQUIRY, .as.inquiry.gid = pair.order};
    world_message(&world, "order", 90, &early);
    assert_int_equal(world.ready.send_count, 0);
    world_done(&world);
}

static bool wants_gtrid(const struct world *world, enum message_kind kind, const struct gid *gid)
{
    struct message message = {.kind = kind};
    if (kind == MESSAGE_INQUIRY) {
        message.as.inquiry.gid = *gid;
    } else if (kind == MESSAGE_ACK) {
        message.as.ack.gid = *gid;
    } else if (kind == MESSAGE_VOTE) {
        message.as.vote.gid = *gid;
    }
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE, .message = &message};
    struct gtrid gtrid = {0};
    return coord_wants_gtrid(world->coord, &event, &gtrid) && gtrid_equal(&gtrid, &gid->gtrid);
}

/* P-8: the journal is asked about every gtrid of an inquiry, an ack or a person that memory does not know. */
static void test_p08_the_journal_is_asked_for_unknown_gtrids(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    struct gid unknown = pair.order;
    unknown.gtrid.sequence += 1000;
    assert_true(wants_gtrid(&world, MESSAGE_INQUIRY, &unknown));
    assert_true(wants_gtrid(&world, MESSAGE_ACK, &unknown));
    assert_false(wants_gtrid(&world, MESSAGE_VOTE, &unknown));
    assert_false(wants_gtrid(&world, MESSAGE_INQUIRY, &pair.order));
    assert_false(wants_gtrid(&world, MESSAGE_ACK, &pair.order));
    struct api_resolve wanted = {.gtrid = unknown.gtrid};
    struct coord_event event = {.kind = COORD_EVENT_RESOLVE, .resolve = &wanted};
    struct gtrid gtrid = {0};
    assert_true(coord_wants_gtrid(world.coord, &event, &gtrid));
    assert_true(gtrid_equal(&gtrid, &unknown.gtrid));
    world_done(&world);
}

/* P-10, P-18: the journal is asked for the record that a witness names, and for a key that memory does not know. */
static void test_p10_the_journal_is_asked_for_witness_and_key(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct message witness = {.kind = MESSAGE_WITNESS, .as.witness.head.number = 5};
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE, .message = &witness};
    uint64_t number = 0;
    assert_true(coord_wants_hash(world.coord, &event, &number));
    assert_int_equal(number, 5);
    assert_false(coord_wants_key(world.coord, &event));
    witness.as.witness.head.number = 0;
    assert_false(coord_wants_hash(world.coord, &event, &number));
    (void)world_begin(&world, "k");
    struct submission submission = {.key_bytes = 1, .key = "k"};
    event = (struct coord_event){.kind = COORD_EVENT_SUBMIT, .submission = &submission};
    assert_false(coord_wants_hash(world.coord, &event, &number));
    assert_false(coord_wants_key(world.coord, &event));
    submission.key[0] = 'l';
    assert_true(coord_wants_key(world.coord, &event));
    submission.key_bytes = 0;
    assert_false(coord_wants_key(world.coord, &event));
    world_done(&world);
}

/* P-2: a drain aborts what was not started. */
static void test_p02_a_drain_aborts_the_queue(void **state)
{
    (void)state;
    struct world world;
    world_init_limited(&world, 1);
    (void)world_begin(&world, NULL);
    uint64_t calls[2] = {world_submit(&world, NULL, 2), world_submit(&world, NULL, 3)};
    drain(&world);
    assert_int_equal(counters_of(&world).queued, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(world_answer(&world, calls[i])->reason, REASON_SHUTDOWN);
    }
    world_done(&world);
}

/* P-8: a person judges only what this journal can not judge itself. */
static void test_p08_a_person_does_not_judge_what_the_journal_can(void **state)
{
    (void)state;
    struct world world;
    struct record commit = commit_record(); /* only for its gids */
    struct gtrid gtrid = commit.as.commit.gtrid;
    record_done(&commit);
    recover(&world, NULL, 0);
    connect_both(&world);
    resolve(&world, &gtrid, "order", RESOLVE_COMMIT, 70);
    assert_int_equal(world_answer(&world, 70)->status, API_NOT_FOUND);
    assert_int_equal(world.ready.append_count, 0);
    world_done(&world);
}

/* P-4, P-7: the vote that was decided on, told again, is neither stale nor answered with ROLLBACK, before the COMMIT record is durable or
 * after. */
static void test_p07_recorded_vote_again_is_not_rolled_back(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, NULL);
    for (size_t i = 0; i < 2; i++) {
        world_vote(&world, "order", &pair.order, VOTE_COMMIT);
        assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 0);
        assert_int_equal(counters_of(&world).stale_messages, 0);
        world_durable(&world);
    }
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p07_recorded_vote_again_is_not_rolled_back),
        cmocka_unit_test(test_p07_doubt_about_another_attempt_takes_no_yes_back),
        cmocka_unit_test(test_p02_yes_taken_back_by_unknown_aborts),
        cmocka_unit_test(test_p20_yes_without_an_attempt_does_not_count),
        cmocka_unit_test(test_p15_a_last_vote_at_the_deadline_is_too_late),
        cmocka_unit_test(test_p18_commit_record_carries_the_answer),
        cmocka_unit_test(test_p02_admission_looks_again_at_the_participants),
        cmocka_unit_test(test_p11_unknown_vote_is_rolled_back_by_name),
        cmocka_unit_test(test_p07_a_vote_with_anothers_gid_is_none),
        cmocka_unit_test(test_p04_each_decision_waits_for_its_own_record),
        cmocka_unit_test(test_p19_a_read_only_branch_has_no_gid_to_commit),
        cmocka_unit_test(test_p07_acks_of_another_attempt_finish_nothing),
        cmocka_unit_test(test_p07_rolled_back_counts_for_the_named_attempt),
        cmocka_unit_test(test_p12_heuristic_commit_after_the_end_is_live_again),
        cmocka_unit_test(test_p12_heuristic_commit_of_a_forgotten_abort_is_recorded),
        cmocka_unit_test(test_p12_heuristic_record_names_what_was_found),
        cmocka_unit_test(test_p10_commit_goes_to_the_welcome_only),
        cmocka_unit_test(test_p05_repetitions_back_off_and_go_on),
        cmocka_unit_test(test_p07_acks_count_on_the_welcomed_session),
        cmocka_unit_test(test_p10_votes_before_the_welcome_are_not_heard),
        cmocka_unit_test(test_p10_welcome_answers_the_claim_of_this_epoch),
        cmocka_unit_test(test_p10_claim_waits_for_the_witness),
        cmocka_unit_test(test_p10_head_is_told_with_the_heartbeat),
        cmocka_unit_test(test_p14_no_work_while_the_database_is_down),
        cmocka_unit_test(test_p10_a_participant_in_use_is_not_removed),
        cmocka_unit_test(test_p10_who_was_there_before_is_not_new),
        cmocka_unit_test(test_p13_a_participant_with_an_abort_to_sweep_is_not_removed),
        cmocka_unit_test(test_p13_an_abort_to_sweep_moves_the_head),
        cmocka_unit_test(test_p13_a_participant_with_prepared_rows_is_not_removed),
        cmocka_unit_test(test_p10_a_participant_that_has_not_reported_is_not_removed),
        cmocka_unit_test(test_p10_a_participant_that_never_connected_is_removed),
        cmocka_unit_test(test_p11_a_lost_participant_ends_the_abort),
        cmocka_unit_test(test_p13_trim_goes_by_running_time_slice_by_slice),
        cmocka_unit_test(test_p13_end_carries_the_running_time),
        cmocka_unit_test(test_p13_a_new_connection_begins_its_sweeps_anew),
        cmocka_unit_test(test_p05_branches_beside_a_heuristic_one_are_driven),
        cmocka_unit_test(test_p10_a_configured_participant_is_not_released),
        cmocka_unit_test(test_p18_a_retained_key_is_answered_from_its_record),
        cmocka_unit_test(test_p13_trim_waits_for_who_the_journal_names),
        cmocka_unit_test(test_p13_the_floor_of_the_look_up_counts),
        cmocka_unit_test(test_p08_verdict_of_a_retained_record_brings_its_proof),
        cmocka_unit_test(test_p16_recovered_commit_has_proof_and_results),
        cmocka_unit_test(test_p19_recovered_read_only_branch_is_finished),
        cmocka_unit_test(test_p16_a_persons_decision_survives_a_restart),
        cmocka_unit_test(test_p16_a_forgotten_outcome_ends_at_the_start),
        cmocka_unit_test(test_p16_what_has_ended_is_not_ended_again),
        cmocka_unit_test(test_p16_heuristic_branches_of_an_abort_are_recovered),
        cmocka_unit_test(test_p10_epoch_names_the_configured_and_the_awaited),
        cmocka_unit_test(test_p05_drain_waits_for_acks_and_records),
        cmocka_unit_test(test_p02_an_overdue_drain_aborts_the_undecided),
        cmocka_unit_test(test_p15_a_full_queue_refuses),
        cmocka_unit_test(test_p18_joiner_of_a_late_decision_is_answered),
        cmocka_unit_test(test_p18_key_runs_again_during_the_abort),
        cmocka_unit_test(test_p01_no_work_before_the_epoch),
        cmocka_unit_test(test_p05_commit_by_a_person_drives_again),
        cmocka_unit_test(test_p02_an_abort_is_never_committed),
        cmocka_unit_test(test_p02_rolled_back_in_the_queue_never_starts),
        cmocka_unit_test(test_p02_a_person_rolls_back_what_is_undecided),
        cmocka_unit_test(test_p02_a_rollback_that_comes_too_late_is_no_success),
        cmocka_unit_test(test_p08_a_persons_verdict_is_for_one_branch),
        cmocka_unit_test(test_p08_nobody_asks_for_somebody_else),
        cmocka_unit_test(test_p08_the_journal_is_asked_for_unknown_gtrids),
        cmocka_unit_test(test_p10_the_journal_is_asked_for_witness_and_key),
        cmocka_unit_test(test_p02_a_drain_aborts_the_queue),
        cmocka_unit_test(test_p08_a_person_does_not_judge_what_the_journal_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
