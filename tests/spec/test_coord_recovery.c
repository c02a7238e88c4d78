/* test_coord_recovery.c - the coordinator's core at start, towards inquiries and witnesses: P-1, P-8, P-10, P-13, P-16. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "tests/spec/coord_world.h"

static struct gtrid old_gtrid(const struct world *world, uint64_t epoch, uint64_t nonce,
                              uint64_t sequence)
{
    return (struct gtrid){.journal = world->config.journal,
                          .epoch = epoch,
                          .epoch_nonce = nonce,
                          .sequence = sequence};
}

/* A COMMIT record of epoch 1, nonce 5, sequence `sequence`, over order (attempt 11) and payment (22). */
static struct record commit_record(uint64_t sequence)
{
    struct record record = {.kind = RECORD_COMMIT};
    struct record_commit *commit = &record.as.commit;
    memset(commit->gtrid.journal.bytes, 0xab, JOURNAL_ID_BYTES);
    commit->gtrid.epoch = 1;
    commit->gtrid.epoch_nonce = 5;
    commit->gtrid.sequence = sequence;
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

/* P-1: the first thing is an EPOCH record, forced, one higher, with a new nonce and the participants' names. */
static void test_p01_epoch_is_forced_before_any_gtrid(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    world_init_from(&world, &one, NULL, 0);
    const struct record_epoch *epoch = &world_append(&world, RECORD_EPOCH)->as.epoch;
    assert_true(world.ready.appends[0].forced);
    assert_int_equal(epoch->epoch, 2);
    assert_int_equal(epoch->nonce, 0x1111);
    assert_int_equal(epoch->participant_count, 2);
    uint64_t call = world_submit(&world, NULL, 1); /* not before it is durable */
    assert_int_equal(world_answer(&world, call)->status, API_REFUSED);
    world_durable(&world);
    connect_both(&world);
    world_submit(&world, NULL, 1);
    struct gtrid gtrid = world_last_gtrid(&world);
    assert_int_equal(gtrid.epoch, 2);
    assert_int_equal(gtrid.epoch_nonce, 0x1111);
    world_done(&world);
}

/* P-16: a recovered decision is driven again, but only after this start's EPOCH is durable. */
static void test_p16_recovered_commit_waits_for_the_epoch(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record record = commit_record(3);
    world_init_from(&world, &one, &record, 1);
    struct coord_event up = {.kind = COORD_EVENT_PEER_UP,
                             .participant = "order",
                             .address = "",
                             .version = "",
                             .session = 50};
    world_step(&world, &up);
    struct message witness = {.kind = MESSAGE_WITNESS};
    world_message(&world, "order", 50, &witness);
    assert_int_equal(world.ready.send_count, 0); /* not even a CLAIM */
    world_durable(&world);
    assert_int_equal(world_count_sends(&world, MESSAGE_CLAIM), 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 0);
    struct message welcome = {.kind = MESSAGE_WELCOME, .as.welcome.epoch = 2};
    world_message(&world, "order", 50, &welcome);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 1);
    assert_int_equal(world_send(&world, MESSAGE_COMMIT, 0)->as.commit.gid.attempt, 11);
    record_done(&record);
    world_done(&world);
}

/* P-16 and P-18: a recovered decision is the answer to its key, and a second execution does not happen. */
static void test_p18_key_of_a_recovered_commit_is_answered(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record record = commit_record(3);
    struct gid order = record.as.commit.branches[0].gid;
    struct gid payment = record.as.commit.branches[1].gid;
    world_init_from(&world, &one, &record, 1);
    world_durable(&world);
    connect_both(&world);
    uint64_t call = world_submit(&world, "key", 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 0);
    world_ack(&world, "order", &order, ACK_COMMITTED);
    world_ack(&world, "payment", &payment, ACK_COMMITTED);
    assert_int_equal(world_answer(&world, call)->status, API_OK);
    assert_true(world_answer(&world, call)->replayed);
    record_done(&record);
    world_done(&world);
}

/* P-8: undecided waits; what this epoch gave out and forgot aborted; what it never gave out is unknown. */
static void test_p08_inquiry_of_this_epoch(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_submit(&world, NULL, 1);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct gid order = world_gid(&gtrid, "order", 1);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_WAIT);
    world_tick(&world, 5000);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_ABORT);
    order.gtrid.sequence += 1000;
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_UNKNOWN);
    order.gtrid.sequence = gtrid.sequence;
    order.gtrid.epoch_nonce++;
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_UNKNOWN);
    order.gtrid = gtrid;
    order.gtrid.journal.bytes[0]++;
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_UNKNOWN);
    world_done(&world);
}

/* P-8: of an earlier epoch, a COMMIT in the journal says commit for the gid that it names and abort for another. */
static void test_p08_inquiry_finds_the_retained_record(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    connect_both(&world);
    struct journal_entry entry = {.commit = commit_record(3), .ended = true};
    struct gid order = entry.commit.as.commit.branches[0].gid;
    assert_int_equal(world_inquire(&world, "order", &order, &entry), VERDICT_COMMIT);
    order.attempt = 99;
    assert_int_equal(world_inquire(&world, "order", &order, &entry), VERDICT_ABORT);
    record_done(&entry.commit);
    world_done(&world);
}

/* P-8 and P-10: an earlier epoch's gid without a record waits until every participant has reported. */
static void test_p10_earlier_epochs_wait_until_reconciled(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    struct gtrid gtrid = old_gtrid(&world, 1, 5, 9);
    struct gid order = world_gid(&gtrid, "order", 1);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_WAIT);
    world.payment_session = world_connect(&world, "payment");
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_ABORT);
    order.gtrid.epoch_nonce = 6; /* an epoch that this journal does not list */
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_UNKNOWN);
    world_done(&world);
}

/* P-10: with its witness alone a participant has not reported: until its database refuses the epochs before ours, an earlier
 * coordinator may still tell it of decisions that this journal lacks. */
static void test_p10_witness_alone_does_not_reconcile(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    struct gtrid gtrid = old_gtrid(&world, 1, 5, 9);
    struct gid order = world_gid(&gtrid, "order", 1);
    uint64_t session = world_witness(&world, "payment");
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_WAIT);
    struct message welcome = {.kind = MESSAGE_WELCOME, .as.welcome.epoch = 2};
    world_message(&world, "payment", session, &welcome);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_ABORT);
    world_done(&world);
}

/* P-8 and P-13: below the floor nothing is answered that destroys data. */
static void test_p13_below_the_floor_is_unknown(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.floor = (struct journal_floor){.epoch = 1, .sequence = 9, .first_number = 8};
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    connect_both(&world);
    struct gtrid gtrid = old_gtrid(&world, 1, 5, 9);
    struct gid order = world_gid(&gtrid, "order", 1);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_UNKNOWN);
    /* An outcome that is compared may be as old as it likes (P-12): no alarm. */
    struct message outcome = {.kind = MESSAGE_INQUIRY};
    outcome.as.inquiry.gid = order;
    outcome.as.inquiry.of_outcome = true;
    world_message(&world, "order", world.order_session, &outcome);
    assert_int_equal(world_send(&world, MESSAGE_VERDICT, 0)->as.verdict.verdict, VERDICT_UNKNOWN);
    order.gtrid.sequence = 10;
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_ABORT);
    struct coord_counters counters;
    coord_counters_read(world.coord, &counters);
    assert_int_equal(counters.unknown_inquiries, 1);
    world_done(&world);
}

static enum coord_stop witness_step(struct world *world, uint64_t epoch, uint64_t nonce,
                                    uint64_t number, bool hash_found, uint8_t hash)
{
    struct coord_event up = {.kind = COORD_EVENT_PEER_UP,
                             .participant = "order",
                             .address = "",
                             .version = "",
                             .session = world->next_session++};
    world_step(world, &up);
    struct message message = {.kind = MESSAGE_WITNESS};
    message.as.witness.epoch = epoch;
    message.as.witness.epoch_nonce = nonce;
    message.as.witness.head.number = number;
    memset(message.as.witness.head.hash, 7, HASH_BYTES);
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                .participant = "order",
                                .session = up.session,
                                .message = &message};
    event.prior.hash_found = hash_found;
    memset(event.prior.hash, hash, HASH_BYTES);
    world_step(world, &event);
    return world->ready.stop;
}

/* P-10: a journal that lacks what an agent has seen, or has something else there, is not started. */
static void test_p10_a_journal_behind_a_witness_stops(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    assert_int_equal(witness_step(&world, 0, 0, 5, true, 7), COORD_RUN);
    assert_int_equal(witness_step(&world, 0, 0, 5, true, 8), COORD_STOP_BEHIND);
    assert_int_equal(witness_step(&world, 0, 0, 500, false, 7), COORD_STOP_BEHIND);
    world_done(&world);
}

/* P-10: a head below the floor is not missing. */
static void test_p10_a_head_below_the_floor_is_not_missing(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.floor = (struct journal_floor){.epoch = 1, .sequence = 9, .first_number = 8};
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    assert_int_equal(witness_step(&world, 1, 5, 7, false, 0), COORD_RUN);
    assert_int_equal(witness_step(&world, 1, 5, 8, false, 0), COORD_STOP_BEHIND);
    world_done(&world);
}

/* P-10: an agent that knows a higher epoch, or this epoch with another nonce (a copied journal), fences us. */
static void test_p10_a_later_owner_fences(void **state)
{
    (void)state;
    struct world world;
    world_init(&world); /* epoch 1, nonce 0x1111 */
    assert_int_equal(witness_step(&world, 1, 0x1111, 0, false, 0), COORD_RUN);
    assert_int_equal(witness_step(&world, 1, 0x2222, 0, false, 0), COORD_STOP_FENCED);
    assert_int_equal(witness_step(&world, 2, 0x1111, 0, false, 0), COORD_STOP_FENCED);
    struct message fenced = {.kind = MESSAGE_FENCED, .as.fenced.epoch = 4};
    world_message(&world, "payment", world.payment_session, &fenced);
    assert_int_equal(world.ready.stop, COORD_STOP_FENCED);
    world_done(&world);
}

/* P-12 and P-13: the journal may forget later transactions while an earlier one is not finished; what agents may empty
 * their outcomes up to stays below it until it has ended, or its driven COMMIT would find no proof. */
static void test_p12_told_floor_stays_below_what_is_not_finished(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.floor = (struct journal_floor){.epoch = 1, .sequence = 9, .first_number = 8};
    struct record record = commit_record(5);
    struct gid order = record.as.commit.branches[0].gid;
    struct gid payment = record.as.commit.branches[1].gid;
    world_init_from(&world, &one, &record, 1);
    world_durable(&world);
    assert_int_equal(witness_step(&world, 0, 0, 0, false, 0), COORD_RUN);
    const struct journal_floor *floor = &world_send(&world, MESSAGE_CLAIM, 0)->as.claim.floor;
    assert_int_equal(floor->epoch, 1);
    assert_int_equal(floor->sequence, 4);
    assert_int_equal(floor->first_number, 8);
    connect_both(&world);
    world_tick(&world, 1000);
    floor = &world_send(&world, MESSAGE_HEAD, 0)->as.head.floor;
    assert_int_equal(floor->sequence, 4);
    struct gtrid forgotten =
        old_gtrid(&world, 1, 5, 7); /* what is forgotten stays unknown all the same (P-8) */
    struct gid asked = world_gid(&forgotten, "order", 1);
    assert_int_equal(world_inquire(&world, "order", &asked, NULL), VERDICT_UNKNOWN);
    world_ack(&world, "order", &order, ACK_COMMITTED);
    world_ack(&world, "payment", &payment, ACK_COMMITTED);
    world_tick(&world, 1000);
    floor = &world_send(&world, MESSAGE_HEAD, 0)->as.head.floor;
    assert_int_equal(floor->epoch, 1);
    assert_int_equal(floor->sequence, 9);
    record_done(&record);
    world_done(&world);
}

/* P-10: an earlier epoch of ours that an agent knows with another nonce was claimed by a copy of this journal. */
static void test_p10_a_copys_earlier_epoch_fences(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one(); /* epoch 1, nonce 5 */
    one.floor = (struct journal_floor){.epoch = 1, .sequence = 1, .first_number = 8};
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    assert_int_equal(witness_step(&world, 1, 5, 3, false, 0), COORD_RUN);
    assert_int_equal(witness_step(&world, 1, 6, 3, false, 0), COORD_STOP_FENCED);
    world_done(&world);
}

/* P-10: a lost CLAIM is said again when the agent tells its witness again, and not after the WELCOME. */
static void test_p10_claim_is_repeated_with_the_witness(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    assert_int_equal(witness_step(&world, 1, 0x1111, 0, false, 0), COORD_RUN);
    uint64_t session = world.next_session - 1;
    for (int i = 0; i < 2; i++) {
        struct message again = {.kind = MESSAGE_WITNESS};
        world_message(&world, "order", session, &again);
        assert_int_equal(world_count_sends(&world, MESSAGE_CLAIM), 1);
    }
    struct message welcome = {.kind = MESSAGE_WELCOME, .as.welcome.epoch = 1};
    world_message(&world, "order", session, &welcome);
    struct message late = {.kind = MESSAGE_WITNESS};
    world_message(&world, "order", session, &late);
    assert_int_equal(world_count_sends(&world, MESSAGE_CLAIM), 0);
    world_done(&world);
}

static uint64_t keep_when_swept(struct world *world, uint64_t swept_number)
{
    static const char *const names[] = {"order", "payment"};
    for (size_t i = 0; i < 2; i++) {
        struct message health = {.kind = MESSAGE_HEALTH};
        health.as.health.health = HEALTH_UP;
        health.as.health.swept_number = swept_number;
        world_message(world, names[i], i == 0 ? world->order_session : world->payment_session,
                      &health);
    }
    world_tick(world, 10000);
    assert_true(world->ready.trim);
    return world->ready.trim_bounds.keep_sequence;
}

/* P-8, P-13: an aborted transaction has no record, so the floor stays below it until a sweep that began later has seen that
 * nothing of it is left; likewise below what is undecided. */
static void test_p13_floor_stays_below_aborts_that_nobody_has_swept(void **state)
{
    (void)state;
    struct world world;
    world_init(&world); /* EPOCH is record 1 */
    assert_int_equal(keep_when_swept(&world, 1), 0);
    (void)world_submit(&world, NULL, 1);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct gid gid = world_gid(&gtrid, "order", 7);
    world_vote(&world, "order", &gid, VOTE_COMMIT);
    struct gid no = world_gid(&gtrid, "payment", 8);
    world_vote(&world, "payment", &no, VOTE_ABORT);
    assert_int_equal(keep_when_swept(&world, 2), gtrid.sequence); /* not over yet */
    world_ack(&world, "order", &gid, ACK_ROLLED_BACK);
    assert_int_equal(keep_when_swept(&world, 1), gtrid.sequence);
    assert_int_equal(keep_when_swept(&world, 2), 0);
    world_done(&world);
}

static struct gtrid submitted(struct world *world)
{
    (void)world_submit(world, NULL, 1);
    return world_last_gtrid(world);
}

static void refuse(struct world *world, const struct gtrid *gtrid)
{
    static const char *const names[] = {"order", "payment"};
    for (size_t i = 0; i < 2; i++) {
        struct gid gid = world_gid(gtrid, names[i], 7 + i);
        world_vote(world, names[i], &gid, VOTE_ABORT);
    }
    struct gid payment = world_gid(gtrid, "payment", 0);
    world_ack(world, "payment", &payment, ACK_ROLLED_BACK);
}

static void commit_and_end(struct world *world, const struct gtrid *gtrid)
{
    static const char *const names[] = {"order", "payment"};
    for (size_t i = 0; i < 2; i++) {
        struct gid gid = world_gid(gtrid, names[i], 7 + i);
        world_vote(world, names[i], &gid, VOTE_COMMIT);
    }
    world_durable(world);
    for (size_t i = 0; i < 2; i++) {
        struct gid gid = world_gid(gtrid, names[i], 7 + i);
        world_ack(world, names[i], &gid, ACK_COMMITTED);
    }
    world_durable(world);
}

/* P-13: later aborts do not hold the floor below earlier ones for ever, nor do those of one sweep let it pass those of the
 * next; what committed does not hold it at all. */
static void test_p13_each_sweep_lets_the_floor_pass_its_own_aborts(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid first = submitted(&world);
    refuse(&world, &first); /* at record 1 */
    assert_int_equal(keep_when_swept(&world, 1), first.sequence);
    struct gtrid second = submitted(&world);
    commit_and_end(&world, &second); /* records 2 and 3 */
    struct gtrid third = submitted(&world), fourth = submitted(&world);
    refuse(&world, &fourth); /* at record 3 */
    refuse(&world, &third);
    assert_int_equal(keep_when_swept(&world, 1), first.sequence);
    assert_int_equal(keep_when_swept(&world, 2), third.sequence);
    struct gtrid fifth = submitted(&world);
    refuse(&world, &fifth);
    assert_int_equal(keep_when_swept(&world, 3), third.sequence);
    assert_int_equal(keep_when_swept(&world, 4), 0);
    world_done(&world);
}

/* P-13: of aborts that are waited for, the earliest counts, also when it came after a later one. */
static void test_p13_an_early_transaction_that_aborts_late_holds_the_floor(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid first = submitted(&world), second = submitted(&world);
    refuse(&world, &second);
    assert_int_equal(keep_when_swept(&world, 1), first.sequence); /* its time is over meanwhile */
    struct gid order = world_gid(&first, "order", 0), payment = world_gid(&first, "payment", 0);
    world_ack(&world, "order", &order, ACK_ROLLED_BACK);
    world_ack(&world, "payment", &payment, ACK_ROLLED_BACK);
    struct txn_view view;
    assert_true(coord_view(world.coord, &first, false, &view));
    assert_int_equal(view.state, TXN_ABORTED);
    txn_view_done(&view);
    assert_int_equal(keep_when_swept(&world, 1), first.sequence);
    assert_int_equal(keep_when_swept(&world, 2), 0);
    world_done(&world);
}

/* The note of a heuristic outcome at "order", of a transaction of the journal's epoch 1. */
static struct record old_note(struct journal_state *one, enum ack ack)
{
    struct world world;
    world_init_from(&world, one, NULL, 0);
    struct gtrid gtrid = old_gtrid(&world, 1, 5, 7);
    world_done(&world);
    struct record record = {.kind = RECORD_HEURISTIC};
    record.as.heuristic.gid = world_gid(&gtrid, "order", 1);
    record.as.heuristic.ack = ack;
    return record;
}

/* P-13: a transaction of an earlier epoch that a heuristic note alone has kept in memory does not hold the floor of this one. */
static void test_p13_a_note_of_an_earlier_epoch_holds_no_floor(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record record = old_note(&one, ACK_HAZARD);
    world_init_from(&world, &one, &record, 1);
    world_durable(&world);
    connect_both(&world);
    assert_int_equal(keep_when_swept(&world, 11), 0); /* EPOCH is 11 */
    world_done(&world);
}

/* P-8, P-13: an agent keeps its sweep over a restart of its coordinator. What this process makes the floor rise over may lie above
 * what an earlier one left behind:
 *   1. a transaction opens, and another one, later in sequence, commits and ends; "order" sweeps, and that sweep is told;
 *   2. the first one prepares at "order", and the coordinator dies: presumed aborted, and not in this process's memory;
 *   3. the new one is told of the sweep of 1, and the second one is old enough to be forgotten: the floor passes both;
 *   4. "order" asks about its row, and nobody may say ABORT any more.
 * So only a sweep that knew this start's EPOCH counts. */
static void test_p13_a_sweep_from_before_the_start_moves_no_floor(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one(); /* its last record is 10, so EPOCH is 11 */
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    connect_both(&world);
    static const struct {
        uint64_t order, payment;
        bool moves;
    } told[] = {{10, 10, false}, {10, 11, false}, {11, 10, false}, {11, 11, true}};
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        struct message health = {.kind = MESSAGE_HEALTH,
                                 .as.health = {.health = HEALTH_UP, .swept_number = told[i].order}};
        world_message(&world, "order", world.order_session, &health);
        health =
            (struct message){.kind = MESSAGE_HEALTH,
                             .as.health = {.health = HEALTH_UP, .swept_number = told[i].payment}};
        world_message(&world, "payment", world.payment_session, &health);
        world_tick(&world, 10000);
        assert_int_equal(world.ready.trim, told[i].moves);
    }
    world_done(&world);
}

/* P-13: a trim is asked for only up to what every participant has swept. */
static void test_p13_trim_waits_for_every_sweep(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct message health = {.kind = MESSAGE_HEALTH};
    health.as.health.health = HEALTH_UP;
    health.as.health.swept_number = 9;
    world_message(&world, "order", world.order_session, &health);
    world_tick(&world, 20000);
    assert_false(world.ready.trim);
    health = (struct message){.kind = MESSAGE_HEALTH};
    health.as.health.health = HEALTH_UP;
    health.as.health.swept_number = 6;
    world_message(&world, "payment", world.payment_session, &health);
    world_tick(&world, 20000);
    assert_true(world.ready.trim);
    assert_int_equal(world.ready.trim_bounds.swept_number, 6);
    assert_int_equal(world.ready.trim_bounds.now_running_ms, 40000);
    world_done(&world);
}

/* P-10, P-13: a participant is let go only when nothing of it is in doubt or retained, by a forced record. */
static void test_p10_removal_is_a_forced_record(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct message health = {.kind = MESSAGE_HEALTH,
                             .as.health = {.health = HEALTH_UP, .swept_number = 1}};
    world_message(&world, "payment", world.payment_session, &health);
    struct coord_event remove = {.kind = COORD_EVENT_PARTICIPANT_REMOVE,
                                 .participant = "payment",
                                 .call = 9,
                                 .untrimmed = true};
    world_step(&world, &remove);
    assert_int_equal(world_answer(&world, 9)->status, API_CONFLICT);
    assert_string_equal(world_answer(&world, 9)->participant, "payment"); /* for the log's line */
    remove.untrimmed = false;
    world_step(&world, &remove);
    assert_true(world.ready.appends[0].forced);
    assert_int_equal(world_count_appends(&world, RECORD_RELEASE), 1);
    assert_true(coord_has_participant(world.coord, "payment"));
    world_durable(&world);
    assert_int_equal(world_answer(&world, 9)->status, API_OK);
    assert_false(coord_has_participant(world.coord, "payment"));
    world_done(&world);
}

/* P-10: a released participant is not waited for, although an unfinished COMMIT still names it. */
static void test_p10_a_released_participant_is_not_waited_for(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.participant_count = 1; /* payment was released: only order is still named */
    struct record record = commit_record(3);
    snprintf(record.as.commit.branches[1].gid.participant, PARTICIPANT_NAME_SIZE, "gone");
    world_init_from(&world, &one, &record, 1);
    const struct record_epoch *epoch = &world_append(&world, RECORD_EPOCH)->as.epoch;
    for (size_t i = 0; i < epoch->participant_count; i++) {
        assert_string_not_equal(epoch->participants[i], "gone");
    }
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    struct gtrid gtrid = old_gtrid(&world, 1, 5, 9);
    struct gid order = world_gid(&gtrid, "order", 1);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_ABORT);
    record_done(&record);
    world_done(&world);
}

/* A person may judge a branch that this journal can not judge: recorded first, then told at the next inquiry. */
static void test_p08_a_person_judges_what_the_journal_can_not(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.floor = (struct journal_floor){.epoch = 1, .sequence = 9, .first_number = 8};
    world_init_from(&world, &one, NULL, 0);
    world_durable(&world);
    connect_both(&world);
    struct gtrid gtrid = old_gtrid(&world, 1, 5, 9);
    struct gid order = world_gid(&gtrid, "order", 1);
    struct api_resolve resolve = {.gtrid = gtrid, .action = RESOLVE_ROLLBACK};
    struct coord_event event = {.kind = COORD_EVENT_RESOLVE, .call = 4, .resolve = &resolve};
    world_step(&world, &event); /* nobody of that name: never into a record */
    assert_int_equal(world_answer(&world, 4)->status, API_UNKNOWN_PARTICIPANT);
    assert_int_equal(world.ready.append_count, 0);
    snprintf(resolve.participant, sizeof(resolve.participant), "order");
    event = (struct coord_event){.kind = COORD_EVENT_RESOLVE, .call = 5, .resolve = &resolve};
    world_step(&world, &event);
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_UNKNOWN);
    world_durable(&world);
    assert_int_equal(world_answer(&world, 5)->status, API_OK);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_ABORT);
    world_done(&world);
}

static struct record resolved_record(const struct gtrid *gtrid, enum resolve_action action)
{
    struct record record = {.kind = RECORD_RESOLVED};
    record.as.resolved.gtrid = *gtrid;
    record.as.resolved.action = action;
    snprintf(record.as.resolved.participant, sizeof(record.as.resolved.participant), "order");
    return record;
}

/* P-8: what a person decided for a branch that this journal can not judge is not asked again after a restart; of
 * two words the last one counts, and none outweighs a COMMIT record. */
static void test_p08_a_persons_verdict_survives_a_restart(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.floor = (struct journal_floor){.epoch = 1, .sequence = 9, .first_number = 8};
    world_init_from(&world, &one, NULL, 0);
    struct gtrid judged = old_gtrid(&world, 1, 5, 7);
    struct gtrid unjudged = old_gtrid(&world, 1, 5, 6);
    world_done(&world);
    struct record records[4] = {resolved_record(&judged, RESOLVE_ROLLBACK),
                                resolved_record(&judged, RESOLVE_COMMIT)};
    records[3] = commit_record(5);
    records[2] = resolved_record(&records[3].as.commit.gtrid, RESOLVE_ROLLBACK);
    struct gid committed = records[3].as.commit.branches[0].gid;
    world_init_from(&world, &one, records, 4);
    world_durable(&world);
    connect_both(&world);
    struct gid order = world_gid(&judged, "order", 1);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_COMMIT);
    order.gtrid = unjudged;
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_UNKNOWN);
    assert_int_equal(world_inquire(&world, "order", &committed, NULL), VERDICT_COMMIT);
    record_done(&records[3]);
    world_done(&world);
}

/* P-8, H1: a note about one branch does not make the journal know more: the COMMIT may have been trimmed before the note. A
 * person judges its branches, also when the note has been acknowledged, and after a restart. */
static void test_p08_a_person_judges_what_only_a_note_names(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.floor = (struct journal_floor){.epoch = 1, .sequence = 9, .first_number = 8};
    world_init_from(&world, &one, NULL, 0);
    struct gtrid gtrid = old_gtrid(&world, 1, 5, 7);
    world_done(&world);
    struct record records[3] = {{.kind = RECORD_HEURISTIC},
                                resolved_record(&gtrid, RESOLVE_FORGET),
                                resolved_record(&gtrid, RESOLVE_ROLLBACK)};
    records[0].as.heuristic.gid = world_gid(&gtrid, "order", 1);
    records[0].as.heuristic.ack = ACK_HAZARD;
    static const char *const participants[] = {
        "order", "payment"}; /* the noted one, and one without a note */
    for (size_t known = 1; known <= 2; known++) {
        for (size_t i = 0; i < 2; i++) {
            world_init_from(&world, &one, records, known);
            world_durable(&world);
            connect_both(&world);
            struct gid gid = world_gid(&gtrid, participants[i], 2);
            assert_int_equal(world_inquire(&world, participants[i], &gid, NULL), VERDICT_UNKNOWN);
            struct api_resolve resolve = {.gtrid = gtrid, .action = RESOLVE_COMMIT};
            snprintf(resolve.participant, sizeof(resolve.participant), "%s", participants[i]);
            struct coord_event event = {
                .kind = COORD_EVENT_RESOLVE, .call = 5, .resolve = &resolve};
            world_step(&world, &event);
            assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
            assert_int_equal(world_inquire(&world, participants[i], &gid, NULL), VERDICT_UNKNOWN);
            world_durable(&world);
            assert_int_equal(world_answer(&world, 5)->status, API_OK);
            assert_int_equal(world_inquire(&world, participants[i], &gid, NULL), VERDICT_COMMIT);
            world_done(&world);
        }
    }
    world_init_from(&world, &one, records, 3);
    world_durable(&world);
    connect_both(&world);
    struct gid order = world_gid(&gtrid, "order", 2);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_ABORT);
    world_done(&world);
}

/* Asks for an action on one branch; the answer is the caller's to await. */
static void ask_to_resolve(struct world *world, const struct gtrid *gtrid, const char *participant,
                           enum resolve_action action, uint64_t call)
{
    struct api_resolve resolve = {.gtrid = *gtrid, .action = action};
    snprintf(resolve.participant, sizeof(resolve.participant), "%s", participant);
    struct coord_event event = {.kind = COORD_EVENT_RESOLVE, .call = call, .resolve = &resolve};
    world_step(world, &event);
}

/* P-2, P-8: an unfinished COMMIT is decided, also where the floor has passed it: no person decides otherwise. */
static void test_p08_a_person_does_not_judge_a_commit_below_the_floor(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.floor = (struct journal_floor){.epoch = 1, .sequence = 9, .first_number = 8};
    struct record record = commit_record(5);
    world_init_from(&world, &one, &record, 1);
    world_durable(&world);
    connect_both(&world);
    const struct gid order = record.as.commit.branches[0].gid;
    ask_to_resolve(&world, &order.gtrid, "order", RESOLVE_ROLLBACK, 5);
    assert_int_equal(world_answer(&world, 5)->status, API_CONFLICT);
    assert_int_equal(world.ready.append_count, 0);
    assert_int_equal(world_inquire(&world, "order", &order, NULL), VERDICT_COMMIT);
    record_done(&record);
    world_done(&world);
}

/* P-8, H1: below the floor, too, only a heuristic outcome that was noted is forgotten, and then it is: a second word
 * finds nothing. */
static void test_p08_only_what_was_noted_is_forgotten(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    one.floor = (struct journal_floor){.epoch = 1, .sequence = 9, .first_number = 8};
    struct record record = old_note(&one, ACK_HAZARD);
    const struct gtrid gtrid = record.as.heuristic.gid.gtrid;
    world_init_from(&world, &one, &record, 1);
    world_durable(&world);
    connect_both(&world);
    ask_to_resolve(&world, &gtrid, "payment", RESOLVE_FORGET, 5);
    assert_int_equal(world_answer(&world, 5)->status, API_CONFLICT);
    assert_int_equal(world.ready.append_count, 0);
    ask_to_resolve(&world, &gtrid, "order", RESOLVE_FORGET, 6);
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
    world_durable(&world);
    assert_int_equal(world_answer(&world, 6)->status, API_OK);
    ask_to_resolve(&world, &gtrid, "order", RESOLVE_FORGET, 7);
    assert_int_equal(world_answer(&world, 7)->status, API_CONFLICT);
    assert_int_equal(world.ready.append_count, 0);
    world_done(&world);
}

/* P-4: an operator who asks for a rollback while the COMMIT record is being written is not told that the transaction will commit: it may
 * yet be one that no journal knows. Nor where the last vote came while the record of the operator's word was being written. */
static void test_p04_operator_is_not_told_a_decision_that_is_being_written(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_decided(&world, NULL);
    static const enum resolve_action actions[] = {RESOLVE_COMMIT, RESOLVE_ROLLBACK};
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        ask_to_resolve(&world, &pair.order.gtrid, "order", actions[i], 5);
        assert_int_equal(world_answer(&world, 5)->status, API_CONFLICT);
        assert_non_null(strstr(world_answer(&world, 5)->text, "is being written"));
        assert_int_equal(world.ready.append_count, 0);
    }
    world_durable(&world);

    pair = world_begin(&world, NULL);
    ask_to_resolve(&world, &pair.order.gtrid, "order", RESOLVE_ROLLBACK, 6);
    struct coord_event durable = {.kind = COORD_EVENT_DURABLE, .token = world.last_token};
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    assert_non_null(world_append(&world, RECORD_COMMIT));
    world_step(&world, &durable);
    assert_int_equal(world_answer(&world, 6)->status, API_CONFLICT);
    assert_non_null(strstr(world_answer(&world, 6)->text, "is being written"));
    world_done(&world);
}

static uint64_t close_as(struct world *world, const struct gtrid *gtrid, bool commit)
{
    struct interactive_end end = {.gtrid = *gtrid, .commit = commit};
    struct coord_event event = {.kind = COORD_EVENT_CLOSE, .call = world->next_call++, .end = &end};
    world_step(world, &event);
    return event.call;
}

/* P-8, P-10: that only a note about one branch is known does not tell a client that the transaction aborted: before every participant
 * has reported nobody knows, and below the floor its COMMIT may have been forgotten. */
static void test_p08_a_note_tells_no_client_how_it_ended(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record record = old_note(&one, ACK_HEURISTIC_COMMIT);
    const struct gtrid gtrid = record.as.heuristic.gid.gtrid;
    for (int is_commit = 0; is_commit < 2; is_commit++) {
        one.floor = (struct journal_floor){0};
        world_init_from(&world, &one, &record, 1);
        world_durable(&world);
        uint64_t call = close_as(&world, &gtrid, is_commit);
        assert_int_equal(world_answer(&world, call)->status, API_OUTCOME_UNKNOWN);
        connect_both(&world);
        call = close_as(&world, &gtrid, is_commit);
        assert_int_equal(world_answer(&world, call)->status, is_commit ? API_ABORTED : API_OK);
        /* H1: the client sees that somebody committed one branch by hand, not a clean abort. */
        assert_int_equal(world_answer(&world, call)->views[0].state, TXN_HEURISTIC);
        world_done(&world);
        one.floor = (struct journal_floor){.epoch = 1, .sequence = 9, .first_number = 8};
        world_init_from(&world, &one, &record, 1);
        world_durable(&world);
        connect_both(&world);
        call = close_as(&world, &gtrid, is_commit);
        assert_int_equal(world_answer(&world, call)->status, API_EXPIRED);
        world_done(&world);
    }
}

/* A heuristic outcome that nobody has acknowledged is there again after a restart. */
static void test_h1_heuristic_outcome_survives_a_restart(void **state)
{
    (void)state;
    struct world world;
    struct journal_state one = state_one();
    struct record records[2] = {commit_record(3), {.kind = RECORD_HEURISTIC}};
    records[1].as.heuristic.gid = records[0].as.commit.branches[1].gid;
    records[1].as.heuristic.ack = ACK_HEURISTIC_ROLLBACK;
    world_init_from(&world, &one, records, 2);
    world_durable(&world);
    connect_both(&world);
    struct txn_view view;
    assert_true(coord_view(world.coord, &records[0].as.commit.gtrid, false, &view));
    assert_int_equal(view.state, TXN_HEURISTIC);
    assert_int_equal(view.branches[1].state, BRANCH_HEURISTIC_ROLLBACK);
    assert_int_equal(view.branches[0].state, BRANCH_COMMITTING); /* the other one is still driven */
    txn_view_done(&view);
    record_done(&records[0]);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p01_epoch_is_forced_before_any_gtrid),
        cmocka_unit_test(test_p16_recovered_commit_waits_for_the_epoch),
        cmocka_unit_test(test_p18_key_of_a_recovered_commit_is_answered),
        cmocka_unit_test(test_p08_inquiry_of_this_epoch),
        cmocka_unit_test(test_p08_inquiry_finds_the_retained_record),
        cmocka_unit_test(test_p10_earlier_epochs_wait_until_reconciled),
        cmocka_unit_test(test_p10_witness_alone_does_not_reconcile),
        cmocka_unit_test(test_p13_below_the_floor_is_unknown),
        cmocka_unit_test(test_p10_a_journal_behind_a_witness_stops),
        cmocka_unit_test(test_p10_a_head_below_the_floor_is_not_missing),
        cmocka_unit_test(test_p10_a_later_owner_fences),
        cmocka_unit_test(test_p10_a_copys_earlier_epoch_fences),
        cmocka_unit_test(test_p12_told_floor_stays_below_what_is_not_finished),
        cmocka_unit_test(test_p10_claim_is_repeated_with_the_witness),
        cmocka_unit_test(test_p13_floor_stays_below_aborts_that_nobody_has_swept),
        cmocka_unit_test(test_p13_each_sweep_lets_the_floor_pass_its_own_aborts),
        cmocka_unit_test(test_p13_an_early_transaction_that_aborts_late_holds_the_floor),
        cmocka_unit_test(test_p13_a_note_of_an_earlier_epoch_holds_no_floor),
        cmocka_unit_test(test_p13_a_sweep_from_before_the_start_moves_no_floor),
        cmocka_unit_test(test_p13_trim_waits_for_every_sweep),
        cmocka_unit_test(test_p10_removal_is_a_forced_record),
        cmocka_unit_test(test_p10_a_released_participant_is_not_waited_for),
        cmocka_unit_test(test_p08_a_person_judges_what_the_journal_can_not),
        cmocka_unit_test(test_p08_a_persons_verdict_survives_a_restart),
        cmocka_unit_test(test_p08_a_person_judges_what_only_a_note_names),
        cmocka_unit_test(test_p08_a_person_does_not_judge_a_commit_below_the_floor),
        cmocka_unit_test(test_p08_only_what_was_noted_is_forgotten),
        cmocka_unit_test(test_p04_operator_is_not_told_a_decision_that_is_being_written),
        cmocka_unit_test(test_p08_a_note_tells_no_client_how_it_ended),
        cmocka_unit_test(test_h1_heuristic_outcome_survives_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
