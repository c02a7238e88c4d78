/* test_coord_review.c - interleavings of the coordinator's core that a review found wrong: P-8, P-10, P-12, P-13,
 * P-15, P-16, P-18 and H1. Each test states the property; the core's other spec tests are beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "tests/spec/coord_world.h"

static struct pair finished(struct world *world)
{
    struct pair pair = world_committing(world, NULL);
    world_ack(world, "order", &pair.order, ACK_COMMITTED);
    world_ack(world, "payment", &pair.payment, ACK_COMMITTED);
    return pair;
}

/* Of epoch 1, nonce 5, sequence 3, over order (attempt 11) and payment (22), with the key "key". */
static struct record commit_record(void)
{
    struct record record = {.kind = RECORD_COMMIT};
    struct record_commit *commit = &record.as.commit;
    memset(commit->gtrid.journal.bytes, 0xab, JOURNAL_ID_BYTES);
    commit->gtrid.epoch = 1;
    commit->gtrid.epoch_nonce = 5;
    commit->gtrid.sequence = 3;
    commit->key_bytes = 3;
    memcpy(commit->key, "key", 3);
    memset(commit->body_hash, 1, BODY_HASH_BYTES);
    commit->branch_count = 2;
    commit->branches = alloc_array(2, sizeof(commit->branches[0]));
    commit->branches[0].gid = world_gid(&commit->gtrid, "order", 11);
    commit->branches[1].gid = world_gid(&commit->gtrid, "payment", 22);
    return record;
}

static struct epoch_entry epoch_one = {.epoch = 1, .nonce = 5};
static char both[2][PARTICIPANT_NAME_SIZE] = {"order", "payment"};

static struct journal_state state_one(void)
{
    return (struct journal_state){.last_epoch = 1,
                                  .head = {.number = 10},
                                  .epoch_count = 1,
                                  .epochs = &epoch_one,
                                  .participant_count = 2,
                                  .participants = both};
}

static void connect_both(struct world *world)
{
    world->order_session = world_connect(world, "order");
    world->payment_session = world_connect(world, "payment");
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

/* P-8, P-13: what was committed and trimmed in this very epoch is unknown, never aborted. */
static void test_p08_trimmed_in_this_epoch_is_not_aborted(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair first = finished(&world);
    for (int i = 0; i < 10000; i++) { /* recent_max: the first one is forgotten in memory */
        (void)finished(&world);
    }
    struct txn_view view;
    assert_false(coord_view(world.coord, &first.order.gtrid, false, &view));
    struct coord_event trimmed = {
        .kind = COORD_EVENT_TRIMMED,
        .head = {.number = world.last_token},
        .floor = {.epoch = 1, .sequence = first.order.gtrid.sequence, .first_number = 5}};
    world_step(&world, &trimmed);
    assert_int_equal(coord_presume(world.coord, &first.order.gtrid), VERDICT_UNKNOWN);
    assert_int_equal(world_inquire(&world, "order", &first.order, NULL), VERDICT_UNKNOWN);
    world_done(&world);
}

/* docs/API.md: who joins a recovered decision by its key is answered within its time-out, completed or not. */
static void test_p18_joiner_of_a_recovered_commit_is_answered_in_time(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record record = commit_record();
    world_init_from(&world, &one, &record, 1);
    world_durable(&world);
    world.order_session = world_connect(&world, "order"); /* payment stays away */
    uint64_t call = world_submit(&world, "key", 1);
    bool is_answered = world_answer(&world, call) != NULL;
    for (int i = 0; i < 60; i++) {
        world_tick(&world, 1000);
        is_answered = is_answered || world_answer(&world, call) != NULL;
    }
    assert_true(is_answered);
    record_done(&record);
    world_done(&world);
}

/* P-16: no recovered decision is answered before this start's EPOCH is durable. */
static void test_p16_no_answer_by_key_before_the_epoch(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record record = commit_record();
    world_init_from(&world, &one, &record, 1);
    uint64_t call = world_submit_with(&world, "key", 1, ACK_MODE_DECIDED, false);
    const struct api_answer *answer = world_answer(&world, call);
    assert_true(answer == NULL || answer->status != API_OK);
    record_done(&record);
    world_done(&world);
}

/* H1: two branches of an aborted transaction committed by hand are both there after a restart. */
static void test_h1_every_heuristic_branch_survives_a_restart(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record commit = commit_record(); /* only for its gids: it aborted */
    struct record records[2] = {{.kind = RECORD_HEURISTIC}, {.kind = RECORD_HEURISTIC}};
    for (int i = 0; i < 2; i++) {
        records[i].as.heuristic.gid = commit.as.commit.branches[i].gid;
        records[i].as.heuristic.ack = ACK_HEURISTIC_COMMIT;
    }
    world_init_from(&world, &one, records, 2);
    world_durable(&world);
    struct txn_view view;
    assert_true(coord_view(world.coord, &commit.as.commit.gtrid, false, &view));
    size_t branch_count = view.branch_count;
    txn_view_done(&view);
    assert_int_equal(branch_count, 2);
    record_done(&commit);
    world_done(&world);
}

/* H1: a second heuristic outcome, found after the first was acknowledged, can be acknowledged, too. */
static void test_h1_a_later_heuristic_outcome_can_be_forgotten(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_tick(&world, 5000);
    world_disconnect(&world, world.payment_session); /* payment is left to its sweep */
    world_ack(&world, "order", &pair.order, ACK_HEURISTIC_COMMIT);
    world_durable(&world);
    resolve(&world, &pair.order.gtrid, "order", RESOLVE_FORGET, 70);
    world_durable(&world);
    assert_int_equal(world_answer(&world, 70)->status, API_OK);
    world.payment_session = world_connect(&world, "payment");
    world_ack(&world, "payment", &pair.payment, ACK_HEURISTIC_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    world_durable(&world);
    resolve(&world, &pair.order.gtrid, "payment", RESOLVE_FORGET, 71);
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
    world_done(&world);
}

/* P-12: "cannot tell" about a branch that was left to the sweep is kept, as a heuristic commit is. */
static void test_p12_hazard_of_a_branch_left_to_the_sweep_is_kept(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    world_disconnect(&world, world.payment_session);
    world_ack(&world, "order", &pair.order, ACK_ROLLED_BACK);
    world.payment_session = world_connect(&world, "payment");
    assert_int_equal(world_inquire(&world, "payment", &pair.payment, NULL), VERDICT_ABORT);
    world_ack(&world, "payment", &pair.payment, ACK_HAZARD);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    world_done(&world);
}

/* P-12: the same about an abort of an earlier epoch, of which nothing is in memory. */
static void test_p12_hazard_of_an_earlier_epoch_is_kept(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record commit = commit_record(); /* only for its gids: it aborted */
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    connect_both(&world);
    const struct gid *payment = &commit.as.commit.branches[1].gid;
    assert_int_equal(world_inquire(&world, "payment", payment, NULL), VERDICT_ABORT);
    world_ack(&world, "payment", payment, ACK_HAZARD);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    record_done(&commit);
    world_done(&world);
}

/* I1, P-8: whatever an agent acknowledges about another attempt, the gid of a retained COMMIT stays committed. */
static void test_p08_an_acknowledgement_does_not_turn_a_retained_commit(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct journal_entry entry = {.commit = commit_record(), .ended = true};
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    connect_both(&world);
    const struct gid *order = &entry.commit.as.commit.branches[0].gid;
    struct gid other = *order;
    other.attempt = 99;
    struct message message = {.kind = MESSAGE_ACK};
    message.as.ack.gid = other;
    message.as.ack.ack = ACK_HEURISTIC_COMMIT;
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                .participant = "order",
                                .session = world.order_session,
                                .message = &message};
    event.prior.looked_up = true; /* asked for or not, this is what the journal has */
    event.prior.found = true;
    event.prior.entry = &entry;
    world_step(&world, &event);
    assert_int_equal(world_inquire(&world, "order", order, &entry), VERDICT_COMMIT);
    record_done(&entry.commit);
    world_done(&world);
}

static void assert_lost_branch(struct world *world, const struct gid *payment)
{
    struct txn_view view;
    assert_int_equal(world_count_appends(world, RECORD_HEURISTIC), 1);
    assert_int_equal(world_append(world, RECORD_HEURISTIC)->as.heuristic.ack,
                     ACK_HEURISTIC_ROLLBACK);
    assert_true(coord_view(world->coord, &payment->gtrid, false, &view));
    assert_int_equal(view.state, TXN_HEURISTIC);
    assert_int_equal(view.branches[0].state, BRANCH_COMMITTED);
    assert_int_equal(view.branches[1].state, BRANCH_HEURISTIC_ROLLBACK);
    txn_view_done(&view);
    world_durable(world);
    struct api_resolve resolve = {.gtrid = payment->gtrid, .action = RESOLVE_FORGET};
    snprintf(resolve.participant, sizeof(resolve.participant), "payment");
    struct coord_event event = {.kind = COORD_EVENT_RESOLVE, .call = 77, .resolve = &resolve};
    world_step(world, &event);
    world_durable(world);
    assert_int_equal(world_answer(world, 77)->status, API_OK);
    assert_int_equal(world_count_appends(world, RECORD_END), 0); /* it has one */
}

/* P-12, P-14: a branch that had acknowledged and is gone (its database was set back, the row that came again was rolled
 * back by hand) is a heuristic outcome, whether the transaction is still in memory, only in the journal, or read from it
 * after a restart. */
static void test_p14_lost_branch_of_a_finished_commit_is_heuristic(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct journal_entry entry = {.commit = commit_record(), .ended = true};
    struct gid order = entry.commit.as.commit.branches[0].gid;
    struct gid payment = entry.commit.as.commit.branches[1].gid;

    world_init_from(&world, &one, &entry.commit, 1); /* in memory */
    world_durable(&world);
    connect_both(&world);
    world_ack(&world, "order", &order, ACK_COMMITTED);
    world_ack(&world, "payment", &payment, ACK_COMMITTED);
    assert_int_equal(world_count_appends(&world, RECORD_END), 1);
    world_ack(&world, "payment", &payment, ACK_HEURISTIC_ROLLBACK);
    assert_lost_branch(&world, &payment);
    world_done(&world);

    world_init_from(&world, &one, NULL, 0); /* in the journal */
    world_durable(&world);
    connect_both(&world);
    struct message message = {.kind = MESSAGE_ACK};
    message.as.ack.gid = payment;
    message.as.ack.ack = ACK_HEURISTIC_ROLLBACK;
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                .participant = "payment",
                                .session = world.payment_session,
                                .message = &message};
    event.prior = (struct coord_prior){.looked_up = true, .found = true, .entry = &entry};
    world_step(&world, &event);
    assert_lost_branch(&world, &payment);
    world_done(&world);

    struct record records[3] = {entry.commit, {.kind = RECORD_END}, {.kind = RECORD_HEURISTIC}};
    records[1].as.end.gtrid = payment.gtrid; /* after a restart */
    records[2].as.heuristic.gid = payment;
    records[2].as.heuristic.ack = ACK_HEURISTIC_ROLLBACK;
    world_init_from(&world, &one, records, 3);
    world_durable(&world);
    connect_both(&world);
    struct txn_view view;
    assert_true(coord_view(world.coord, &payment.gtrid, false, &view));
    assert_int_equal(view.state, TXN_HEURISTIC);
    assert_int_equal(view.branches[1].state, BRANCH_HEURISTIC_ROLLBACK);
    txn_view_done(&view);
    world_done(&world);

    world_init_from(&world, &one, &records[2],
                    1); /* after a restart that finds the COMMIT forgotten */
    world_durable(&world);
    assert_true(coord_view(world.coord, &payment.gtrid, false, &view));
    assert_int_equal(view.branches[0].state, BRANCH_HAZARD);
    txn_view_done(&view);
    record_done(&entry.commit);
    world_done(&world);
}

/* P-10: a WELCOME may be lost like any frame; the CLAIM that it answers is repeated. */
static void test_p10_a_lost_welcome_is_asked_for_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_disconnect(&world, world.order_session);
    struct coord_event up = {.kind = COORD_EVENT_PEER_UP,
                             .participant = "order",
                             .address = "",
                             .version = "",
                             .session = 90};
    world_step(&world, &up);
    struct message witness = {.kind = MESSAGE_WITNESS};
    world_message(&world, "order", 90, &witness);
    assert_int_equal(world_count_sends(&world, MESSAGE_CLAIM), 1);
    size_t claims = 0;
    for (int i = 0; i < 10; i++) { /* its WELCOME is lost; from then on only HEALTH comes */
        struct message health = {.kind = MESSAGE_HEALTH, .as.health.health = HEALTH_UP};
        world_message(&world, "order", 90, &health);
        claims += world_count_sends(&world, MESSAGE_CLAIM);
        world_tick(&world, 1000);
        claims += world_count_sends(&world, MESSAGE_CLAIM);
    }
    assert_true(claims > 0);
    world_done(&world);
}

static void remove_payment(struct world *world, uint64_t call)
{
    struct message health = {.kind = MESSAGE_HEALTH,
                             .as.health = {.health = HEALTH_UP, .swept_number = 1}};
    world_message(world, "payment", world->payment_session, &health);
    struct coord_event remove = {
        .kind = COORD_EVENT_PARTICIPANT_REMOVE, .participant = "payment", .call = call};
    world_step(world, &remove);
    assert_int_equal(world_count_appends(world, RECORD_RELEASE), 1);
}

/* P-10: a participant that may know more than this journal is not let go in passing (only `assent journal release` does that),
 * so earlier epochs stay unreconciled until it has reported. */
static void test_p10_silent_participant_is_waited_for_and_not_removed(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record commit = commit_record(); /* only for its gids */
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    const struct gid *order = &commit.as.commit.branches[0].gid;
    assert_int_equal(world_inquire(&world, "order", order, NULL), VERDICT_WAIT);
    struct coord_event remove = {
        .kind = COORD_EVENT_PARTICIPANT_REMOVE, .participant = "payment", .call = 9};
    world_step(&world, &remove);
    assert_int_equal(world_answer(&world, 9)->status, API_CONFLICT);
    assert_int_equal(world_count_appends(&world, RECORD_RELEASE), 0);
    assert_int_equal(world_inquire(&world, "order", order, NULL), VERDICT_WAIT);
    world.payment_session = world_connect(&world, "payment");
    assert_int_equal(world_inquire(&world, "order", order, NULL), VERDICT_ABORT);
    record_done(&commit);
    world_done(&world);
}

/* P-13: no new work for a participant whose RELEASE is on its way: its sweeps would not be waited for. */
static void test_p13_no_work_for_a_participant_being_released(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    remove_payment(&world, 9);
    world_submit(&world, NULL, 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 0);
    world_done(&world);
}

/* A participant that is configured again while its RELEASE is being written stays configured. */
static void test_p10_added_again_during_the_release_stays(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    remove_payment(&world, 9);
    struct coord_event add = {
        .kind = COORD_EVENT_PARTICIPANT_ADD, .participant = "payment", .address = "127.0.0.1:7410"};
    world_step(&world, &add);
    world_durable(&world);
    assert_true(coord_has_participant(world.coord, "payment"));
    /* The driver would let the link go on OK, and nobody would dial it again. */
    assert_non_null(world_answer(&world, 9));
    assert_int_equal(world_answer(&world, 9)->status, API_CONFLICT);
    assert_int_not_equal(strlen(world_answer(&world, 9)->text), 0);
    world_done(&world);
}

/* A person's word about a transaction that was never given out is refused: the record would lie in wait for the one that
 * gets this number, and a late prepare of that would commit by it. */
static void test_p08_no_word_about_what_was_never_given_out(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_submit(&world, NULL, 1);
    struct api_resolve resolve = {.gtrid = world_last_gtrid(&world), .action = RESOLVE_COMMIT};
    resolve.gtrid.sequence++;
    memcpy(resolve.participant, "payment", sizeof("payment"));
    struct coord_event event = {.kind = COORD_EVENT_RESOLVE, .resolve = &resolve, .call = 70};
    world_step(&world, &event);
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 0);
    assert_non_null(world_answer(&world, 70));
    assert_int_equal(world_answer(&world, 70)->status, API_NOT_FOUND);
    world_done(&world);
}

/* P-15: WORK never carries more time than its deadline gave, also where a stopped process admits it late. */
static void test_p15_late_admission_sends_no_work(void **state)
{
    (void)state;
    struct world world;
    world_init_limited(&world, 1);
    (void)world_decided(&world, NULL);
    world_submit(&world, NULL, 2); /* waits for admission */
    world.now_ms += 6000;          /* the process was stopped over its deadline */
    world_durable(&world);         /* frees the place */
    for (size_t i = 0; i < world_count_sends(&world, MESSAGE_WORK); i++) {
        assert_true(world_send(&world, MESSAGE_WORK, i)->as.work.remaining_ms <= 5000);
    }
    world_done(&world);
}

/* P-13, P-14: an agent whose database was set back begins its sweeps anew, and the floor waits for them. */
static void test_p13_a_sweep_of_a_lost_history_does_not_count(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    static const char *const names[] = {"order", "payment"};
    for (int i = 0; i < 2; i++) {
        struct message health = {.kind = MESSAGE_HEALTH, .as.health.health = HEALTH_UP};
        health.as.health.swept_number = 9;
        world_message(&world, names[i], i == 0 ? world.order_session : world.payment_session,
                      &health);
    }
    struct message again = {.kind = MESSAGE_HEALTH, .as.health.health = HEALTH_UP};
    again.as.health.identity.timeline = 2; /* swept_number 0: nothing of this history yet */
    world_message(&world, "payment", world.payment_session, &again);
    world_tick(&world, 20000);
    assert_false(world.ready.trim);
    world_done(&world);
}

/* Structural law: nobody is told of a heuristic outcome in the ready that carries its record. */
static void test_law_heuristic_is_told_after_its_record(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, NULL);
    world_durable(&world);
    world.now_ms += 6000; /* past the time at which the client is told that it is not completed */
    world_ack(&world, "payment", &pair.payment, ACK_HEURISTIC_ROLLBACK);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    const struct api_answer *answer = world_answer(&world, pair.call);
    assert_true(answer == NULL || answer->views[0].state != TXN_HEURISTIC);
    world_done(&world);
}

/* P-8: everything that is UNKNOWN here can be judged by a person, also a gid of a copied journal's epoch. */
static void test_p08_a_person_may_judge_an_unlisted_epoch(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record commit = commit_record(); /* only for its gids */
    struct gid order = commit.as.commit.branches[0].gid;
    record_done(&commit);
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    connect_both(&world);
    order.gtrid.epoch_nonce = 6;
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_UNKNOWN);
    resolve(&world, &order.gtrid, "order", RESOLVE_ROLLBACK, 33);
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
    world_done(&world);
}

/* An acknowledged heuristic abort ends when its last participant goes away, whoever comes back first. */
static void test_h1_acknowledged_outcome_ends_without_the_lost_participant(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_tick(&world, 5000);
    world_ack(&world, "order", &pair.order, ACK_HEURISTIC_COMMIT);
    world_durable(&world);
    resolve(&world, &pair.order.gtrid, "order", RESOLVE_FORGET, 70);
    world_durable(&world);
    world_disconnect(&world, world.payment_session);
    world_disconnect(&world, world.order_session);
    world.order_session = world_connect(&world, "order");
    world_tick(&world, 60000);
    struct txn_view view;
    assert_true(coord_view(world.coord, &pair.order.gtrid, false, &view));
    bool acknowledged = view.acknowledged;
    txn_view_done(&view);
    assert_true(acknowledged);
    world_done(&world);
}

/* Recovery takes every sequence of records that the journal takes. Last: where it fails, it ends the process. */
static void test_p16_start_with_a_heuristic_commit_of_a_commit(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record records[2] = {commit_record(), {.kind = RECORD_HEURISTIC}};
    records[1].as.heuristic.gid = records[0].as.commit.branches[1].gid;
    records[1].as.heuristic.gid.attempt = 99;
    records[1].as.heuristic.ack = ACK_HEURISTIC_COMMIT;
    world_init_from(&world, &one, records, 2);
    assert_int_equal(world_count_appends(&world, RECORD_EPOCH), 1);
    record_done(&records[0]);
    world_done(&world);
}

/* P-10: a released participant's unfinished branch becomes a hazard that a person can acknowledge. */
static void test_p10_unfinished_branch_of_a_released_participant_can_be_forgotten(void **state)
{
    (void)state;
    struct world world;
    static struct epoch_entry epochs[] = {{.epoch = 1, .nonce = 5}};
    struct journal_state found = {.last_epoch = 1, .epoch_count = 1, .epochs = epochs};
    struct record record = {.kind = RECORD_COMMIT};
    struct record_commit *commit = &record.as.commit;
    memset(commit->gtrid.journal.bytes, 0xab, JOURNAL_ID_BYTES);
    commit->gtrid.epoch = 1;
    commit->gtrid.epoch_nonce = 5;
    commit->gtrid.sequence = 3;
    commit->branch_count = 1;
    commit->branches = alloc_array(1, sizeof(commit->branches[0]));
    commit->branches[0].gid = world_gid(&commit->gtrid, "gone", 7);
    world_init_from(&world, &found, &record, 1);
    world_durable(&world);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    world_durable(&world);
    struct api_resolve resolve = {.gtrid = commit->gtrid, .action = RESOLVE_FORGET};
    snprintf(resolve.participant, sizeof(resolve.participant), "gone");
    struct coord_event event = {.kind = COORD_EVENT_RESOLVE, .call = 8, .resolve = &resolve};
    world_step(&world, &event);
    world_durable(&world);
    assert_int_equal(world_answer(&world, 8)->status, API_OK);
    assert_int_equal(world_count_appends(&world, RECORD_END), 1);
    record_done(&record);
    world_done(&world);
}

/* P-10: FENCED about an epoch that is over, or about our own, stops nobody. */
static void test_p10_stale_fenced_does_not_stop(void **state)
{
    (void)state;
    struct world world;
    world_init(&world); /* epoch 1, nonce 0x1111 */
    struct message own = {.kind = MESSAGE_FENCED, .as.fenced = {.epoch = 1, .epoch_nonce = 0x1111}};
    world_message(&world, "order", world.order_session, &own);
    assert_int_equal(world.ready.stop, COORD_RUN);
    struct message other = {.kind = MESSAGE_FENCED,
                            .as.fenced = {.epoch = 1, .epoch_nonce = 0x2222}};
    world_message(&world, "order", world.order_session, &other);
    assert_int_equal(world.ready.stop, COORD_STOP_FENCED);
    world_done(&world);
}

/* P-2: a no that comes after a counted yes, before the decision, is doubt: the transaction aborts. */
static void test_p02_yes_taken_back_by_a_no_aborts(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "order", &pair.order, VOTE_ABORT);
    assert_int_equal(world_answer(&world, pair.call)->status, API_ABORTED);
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK),
                     2); /* also there: it had said yes */
    world_done(&world);
}

/* P-20, H1: another attempt that somebody committed by hand is told to people, and changes nothing else. */
static void test_h1_other_attempt_committed_by_hand_is_counted(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    world_durable(&world);
    struct gid other = pair.order;
    other.attempt = 99;
    world_ack(&world, "order", &other, ACK_HEURISTIC_COMMIT);
    struct coord_counters counters;
    coord_counters_read(world.coord, &counters);
    assert_int_equal(counters.heuristics, 1);
    assert_int_equal(world.ready.notice_count, 1);
    assert_int_equal(world.ready.append_count, 0);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p10_unfinished_branch_of_a_released_participant_can_be_forgotten),
        cmocka_unit_test(test_p10_stale_fenced_does_not_stop),
        cmocka_unit_test(test_p02_yes_taken_back_by_a_no_aborts),
        cmocka_unit_test(test_h1_other_attempt_committed_by_hand_is_counted),
        cmocka_unit_test(test_p08_trimmed_in_this_epoch_is_not_aborted),
        cmocka_unit_test(test_p18_joiner_of_a_recovered_commit_is_answered_in_time),
        cmocka_unit_test(test_p16_no_answer_by_key_before_the_epoch),
        cmocka_unit_test(test_h1_every_heuristic_branch_survives_a_restart),
        cmocka_unit_test(test_h1_a_later_heuristic_outcome_can_be_forgotten),
        cmocka_unit_test(test_p12_hazard_of_a_branch_left_to_the_sweep_is_kept),
        cmocka_unit_test(test_p12_hazard_of_an_earlier_epoch_is_kept),
        cmocka_unit_test(test_p08_an_acknowledgement_does_not_turn_a_retained_commit),
        cmocka_unit_test(test_p14_lost_branch_of_a_finished_commit_is_heuristic),
        cmocka_unit_test(test_p10_a_lost_welcome_is_asked_for_again),
        cmocka_unit_test(test_p10_silent_participant_is_waited_for_and_not_removed),
        cmocka_unit_test(test_p13_no_work_for_a_participant_being_released),
        cmocka_unit_test(test_p10_added_again_during_the_release_stays),
        cmocka_unit_test(test_p08_no_word_about_what_was_never_given_out),
        cmocka_unit_test(test_p15_late_admission_sends_no_work),
        cmocka_unit_test(test_p13_a_sweep_of_a_lost_history_does_not_count),
        cmocka_unit_test(test_law_heuristic_is_told_after_its_record),
        cmocka_unit_test(test_p08_a_person_may_judge_an_unlisted_epoch),
        cmocka_unit_test(test_h1_acknowledged_outcome_ends_without_the_lost_participant),
        cmocka_unit_test(test_p16_start_with_a_heuristic_commit_of_a_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
