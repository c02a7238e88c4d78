/* test_coord_lines.c - properties of the coordinator's core that hang on one line each: every test here and in test_coord_lines_*.c
 * was written for an automatic mutant that no other test noticed (tests/mutants/). Here those of clients, of participants and of the
 * process. P-2, P-8, P-10, P-18. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/spec/coord_lines.h"

/* P-8: a gid of a transaction that still waits for admission is undecided. */
static void test_p08_queued_transaction_is_undecided(void **state)
{
    (void)state;
    struct world world;
    world_init_limited(&world, 1);
    struct pair first = world_decided(&world, "a"); /* counts as open until it is durable */
    (void)world_submit(&world, "b", 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 0);
    struct gid gid = first.order;
    gid.gtrid.sequence++;
    assert_int_equal(world_inquire(&world, "order", &gid, NULL), VERDICT_WAIT);
    world_durable(&world);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 2);
    world_done(&world);
}

/* P-18: a key runs again after its transaction aborted in every branch, too. */
static void test_p18_key_runs_again_after_the_end_of_an_abort(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, "k");
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    struct gid nameless = pair.order;
    nameless.attempt = 0;
    world_ack(&world, "order", &nameless, ACK_ROLLED_BACK);
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.state, TXN_ABORTED);
    txn_view_done(&view);
    (void)world_submit(&world, "k", 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 2);
    world_done(&world);
}

/* Replayed answers are counted: a commit told again, not an abort, and not a first answer. */
static void test_p18_replays_are_counted(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, "k");
    (void)world_submit(&world, "k", 1); /* joins, and hears "aborted" */
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    assert_int_equal(counters_of(&world).replayed, 0);
    pair = world_committing(&world, "l");
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_int_equal(counters_of(&world).replayed, 0);
    uint64_t call = world_submit(&world, "l", 1);
    assert_true(world_answer(&world, call)->replayed);
    assert_int_equal(counters_of(&world).replayed, 1);
    world_done(&world);
}

/* Draining waits for a rollback that can be told, and lets nothing be decided twice when its time is over. */
static void test_drain_waits_for_rollbacks_and_decisions(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    drain(&world);
    assert_int_equal(world.ready.stop, COORD_RUN);
    world_ack(&world, "order", &pair.order, ACK_ROLLED_BACK);
    assert_int_equal(world.ready.stop, COORD_STOP_DRAINED);
    world_done(&world);

    world_init(&world);
    (void)world_decided(&world, NULL);
    drain(&world);
    world_tick(&world, 60000); /* over; but the record may be durable (P-2) */
    assert_int_equal(world.ready.stop, COORD_RUN);
    world_durable(&world);
    assert_int_equal(world.ready.stop, COORD_STOP_DRAINED);
    world_done(&world);
}

static uint64_t submit_to(struct world *world, const char *participant)
{
    struct submission submission = {.timeout_ms = 5000, .ack = ACK_MODE_COMPLETED};
    submission.branches = alloc_array(1, sizeof(submission.branches[0]));
    submission.branch_count = 1;
    (void)snprintf(submission.branches[0].participant, PARTICIPANT_NAME_SIZE, "%s", participant);
    submission.branches[0].work = blob_new("o", 1);
    uint64_t call = world->next_call++;
    struct coord_event event = {
        .kind = COORD_EVENT_SUBMIT, .call = call, .submission = &submission};
    world_step(world, &event);
    submission_done(&submission);
    return call;
}

/* A lost participant takes along only what has a branch there. */
static void test_p02_lost_participant_aborts_its_own(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t call = submit_to(&world, "order");
    world_disconnect(&world, world.payment_session);
    assert_null(world_answer(&world, call));
    world_disconnect(&world, world.order_session);
    assert_int_equal(world_answer(&world, call)->status, API_ABORTED);
    world_done(&world);
}

/* One that nobody knows is named in the answer. */
static void test_unknown_participant_is_named(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t call = submit_to(&world, "nobody");
    assert_int_equal(world_answer(&world, call)->status, API_UNKNOWN_PARTICIPANT);
    assert_string_equal(world_answer(&world, call)->participant, "nobody");
    world_done(&world);
}

/* One that is not configured any more is shown as long as something is in doubt there. */
static void test_participants_in_doubt_are_shown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct past past;
        struct world world;
        past_init(&past);
        past.branches[1].read_only = i == 0;
        past.branches[1].gid.attempt = i == 0 ? 0 : 22;
        world_init_from(&world, &past.state, past.records, past.count);
        struct participant_view *views = NULL;
        assert_int_equal(coord_participants(world.coord, &views), i == 0 ? 2 : 3);
        free(views);
        world_done(&world);
    }
}

static void assert_text(const struct world *world, const char *expected)
{
    struct participant_view *views = NULL;
    assert_int_equal(coord_participants(world->coord, &views), 2);
    assert_string_equal(views[0].text, expected);
    free(views);
}

static void add_order(struct world *world)
{
    struct coord_event add = {
        .kind = COORD_EVENT_PARTICIPANT_ADD, .participant = "order", .address = "127.0.0.1:7411"};
    world_step(world, &add);
}

/* Why a participant is not ready is said from the first moment, and what is said is true. */
static void test_participant_says_why_it_is_not_ready(void **state)
{
    (void)state;
    struct world world;
    struct journal_state empty = {.last_epoch = 0};
    world_init_from(&world, &empty, NULL, 0);
    assert_text(&world, "the participant is not connected");
    world_done(&world);
    world_init(&world);
    assert_text(&world, "");
    add_order(&world); /* its address changed */
    assert_text(&world, "");
    struct coord_event up = {.kind = COORD_EVENT_PEER_UP,
                             .participant = "order",
                             .address = "",
                             .version = "",
                             .session = 99};
    world_step(&world, &up);
    struct message health = {.kind = MESSAGE_HEALTH};
    (void)snprintf(health.as.health.text, sizeof health.as.health.text, "no slots");
    world_message(&world, "order", 99, &health);
    add_order(&world);
    assert_text(&world, "no slots");
    drain(&world);
    uint64_t call = submit_to(&world, "payment");
    assert_int_equal(world_answer(&world, call)->reason, REASON_SHUTDOWN);
    assert_non_null(strstr(world_answer(&world, call)->text, "shutting down"));
    world_done(&world);
}

/* A second WELCOME changes nothing; strangers' messages neither; names that are not configured are unknown. */
static void test_p10_repeated_and_strange_messages(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)world_committing(&world, NULL);
    struct message welcome = {.kind = MESSAGE_WELCOME};
    welcome.as.welcome.epoch = counters_of(&world).epoch;
    world_message(&world, "order", world.order_session, &welcome);
    assert_int_equal(world.ready.send_count, 0);
    struct message health = {.kind = MESSAGE_HEALTH};
    uint64_t stale = counters_of(&world).stale_messages;
    world_message(&world, "nobody", 0, &health);
    assert_int_equal(counters_of(&world).stale_messages, stale + 1);
    assert_false(coord_has_participant(world.coord, "nobody"));
    assert_true(coord_has_participant(world.coord, "order"));
    world_done(&world);

    struct past past; /* stock is known from a record only */
    past_init(&past);
    world_init_from(&world, &past.state, past.records, past.count);
    assert_false(coord_has_participant(world.coord, "stock"));
    struct coord_event remove = {
        .kind = COORD_EVENT_PARTICIPANT_REMOVE, .participant = "stock", .call = 900};
    world_step(&world, &remove);
    assert_int_equal(world_answer(&world, 900)->status, API_NOT_FOUND);
    world_done(&world);
}

/* FENCED stops only for a later epoch, or for our own with another nonce. */
static void test_p10_fenced_by_a_later_epoch_only(void **state)
{
    (void)state;
    struct past past;
    past_init(&past);
    for (uint64_t i = 0; i < 4; i++) {
        struct world world;
        world_init_from(&world, &past.state, NULL, 0);
        world_durable(&world);
        world.order_session = world_connect(&world, "order");
        uint64_t ours = counters_of(&world).epoch;
        struct message fenced = {.kind = MESSAGE_FENCED};
        fenced.as.fenced.epoch = i == 0 ? ours - 1 : i == 1 ? ours + 1 : ours;
        fenced.as.fenced.epoch_nonce = i == 3 ? 0x2222 : 0x1111; /* ours: the start's random */
        world_message(&world, "order", world.order_session, &fenced);
        assert_int_equal(world.ready.stop, i == 1 || i == 3 ? COORD_STOP_FENCED : COORD_RUN);
        world_done(&world);
    }
}

/* Only a witness has a head to look up, and only one that names a record. */
static void test_p10_hash_is_wanted_for_a_head_only(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct message message = {.kind = MESSAGE_WITNESS};
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE, .message = &message};
    uint64_t number = 0;
    assert_false(coord_wants_hash(world.coord, &event, &number));
    message.as.witness.head.number = 9;
    assert_true(coord_wants_hash(world.coord, &event, &number));
    assert_int_equal(number, 9);
    message.kind = MESSAGE_HEALTH; /* whatever stands in those bytes */
    assert_false(coord_wants_hash(world.coord, &event, &number));
    world_done(&world);
}

/* The next time is at most a heartbeat away, whatever the transactions want. */
static void test_deadline_is_at_most_a_heartbeat_away(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    assert_in_range(world.ready.deadline_ms, world.now_ms + 1, world.now_ms + 1000);
    (void)world_begin(&world, NULL);
    assert_in_range(world.ready.deadline_ms, world.now_ms + 1, world.now_ms + 1000);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p08_queued_transaction_is_undecided),
        cmocka_unit_test(test_p18_key_runs_again_after_the_end_of_an_abort),
        cmocka_unit_test(test_p18_replays_are_counted),
        cmocka_unit_test(test_drain_waits_for_rollbacks_and_decisions),
        cmocka_unit_test(test_p02_lost_participant_aborts_its_own),
        cmocka_unit_test(test_unknown_participant_is_named),
        cmocka_unit_test(test_participants_in_doubt_are_shown),
        cmocka_unit_test(test_participant_says_why_it_is_not_ready),
        cmocka_unit_test(test_p10_repeated_and_strange_messages),
        cmocka_unit_test(test_p10_fenced_by_a_later_epoch_only),
        cmocka_unit_test(test_p10_hash_is_wanted_for_a_head_only),
        cmocka_unit_test(test_deadline_is_at_most_a_heartbeat_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
