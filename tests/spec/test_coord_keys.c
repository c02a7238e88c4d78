/* test_coord_keys.c - idempotency keys (P-18), admission, refusals and drain in the coordinator's core. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "tests/spec/coord_world.h"

static struct gtrid commit_one(struct world *world, const char *key, uint8_t body,
                               uint64_t *ret_call)
{
    *ret_call = world_submit(world, key, body);
    struct gtrid gtrid = world_last_gtrid(world);
    struct gid order = world_gid(&gtrid, "order", 1);
    struct gid payment = world_gid(&gtrid, "payment", 2);
    world_vote(world, "order", &order, VOTE_COMMIT);
    world_vote(world, "payment", &payment, VOTE_COMMIT);
    world_durable(world);
    world_ack(world, "order", &order, ACK_COMMITTED);
    world_ack(world, "payment", &payment, ACK_COMMITTED);
    return gtrid;
}

/* P-18: a repeated key gives the recorded outcome and runs nothing. */
static void test_p18_repeated_key_is_replayed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t call = 0;
    struct gtrid gtrid = commit_one(&world, "k", 1, &call);
    uint64_t again = world_submit(&world, "k", 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 0);
    assert_int_equal(world_answer(&world, again)->status, API_OK);
    assert_true(gtrid_equal(&world_answer(&world, again)->views[0].gtrid, &gtrid));
    world_done(&world);
}

/* P-18: a request that meets its own key in flight waits and gets the same answer; one transaction runs. */
static void test_p18_key_in_flight_is_joined(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t first = world_submit(&world, "k", 1);
    struct gtrid gtrid = world_last_gtrid(&world);
    uint64_t second = world_submit(&world, "k", 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 0);
    struct gid order = world_gid(&gtrid, "order", 1);
    struct gid payment = world_gid(&gtrid, "payment", 2);
    world_vote(&world, "order", &order, VOTE_COMMIT);
    world_vote(&world, "payment", &payment, VOTE_COMMIT);
    world_durable(&world);
    world_ack(&world, "order", &order, ACK_COMMITTED);
    world_ack(&world, "payment", &payment, ACK_COMMITTED);
    assert_int_equal(world_answer(&world, first)->status, API_OK);
    assert_int_equal(world_answer(&world, second)->status, API_OK);
    world_done(&world);
}

/* P-18: the same key with another body is refused, in flight, finished and out of the journal. */
static void test_p18_key_with_another_body_conflicts(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t call = 0;
    struct gtrid gtrid = commit_one(&world, "k", 1, &call);
    call = world_submit(&world, "k", 2);
    assert_int_equal(world_answer(&world, call)->status, API_KEY_CONFLICT);

    struct journal_entry entry = {.ended = true};
    entry.commit.kind = RECORD_COMMIT;
    entry.commit.as.commit.gtrid = gtrid;
    memset(entry.commit.as.commit.body_hash, 3, BODY_HASH_BYTES);
    for (uint8_t body = 3; body <= 4; body++) {
        struct submission submission = {.key_bytes = 3, .key = "old", .timeout_ms = 1000};
        memset(submission.body_hash, body, BODY_HASH_BYTES);
        struct coord_event event = {
            .kind = COORD_EVENT_SUBMIT, .call = 900, .submission = &submission};
        event.prior.looked_up = true;
        event.prior.found = true;
        event.prior.entry = &entry;
        world_step(&world, &event);
        assert_int_equal(world_answer(&world, 900)->status, body == 3 ? API_OK : API_KEY_CONFLICT);
    }
    world_done(&world);
}

/* P-18: after an abort the key runs again, also with another body, since nothing happened. */
static void test_p18_key_runs_again_after_an_abort(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_submit(&world, "k", 1);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct gid order = world_gid(&gtrid, "order", 1);
    world_vote(&world, "order", &order, VOTE_ABORT);
    world_submit(&world, "k", 2);
    struct gtrid again = world_last_gtrid(&world);
    assert_false(gtrid_equal(&gtrid, &again));
    struct txn_view view;
    assert_true(coord_view_by_key(world.coord, "k", 1, false, &view));
    assert_true(gtrid_equal(&view.gtrid, &again));
    assert_int_equal(view.event_count, 0);
    txn_view_done(&view);
    assert_true(coord_view_by_key(world.coord, "k", 1, true, &view));
    assert_true(view.event_count > 0); /* who asks by key may ask for the history as well */
    txn_view_done(&view);
    world_done(&world);
}

/* Nothing of a refused request is done: unknown participant, one that is away, no space, draining. */
static void test_refusals_do_nothing(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct coord_event space = {.kind = COORD_EVENT_SPACE, .space_ok = false};
    world_step(&world, &space);
    uint64_t call = world_submit(&world, NULL, 1);
    assert_int_equal(world_answer(&world, call)->reason, REASON_CAPACITY);
    assert_int_equal(world.ready.send_count, 0);
    space.space_ok = true;
    world_step(&world, &space);
    world_disconnect(&world, world.payment_session);
    call = world_submit(&world, NULL, 1);
    assert_int_equal(world_answer(&world, call)->status, API_REFUSED);
    assert_int_equal(world_answer(&world, call)->reason, REASON_PARTICIPANT_UNAVAILABLE);
    assert_string_equal(world_answer(&world, call)->participant, "payment");
    assert_int_equal(world.ready.send_count, 0);
    world_done(&world);
}

/* Beyond max_active transactions wait in order; beyond max_queued they are refused as overload; waiting ones time out. */
static void test_admission_is_bounded_and_in_order(void **state)
{
    (void)state;
    struct world world;
    world_init_limited(&world, 1);
    world_submit(&world, NULL, 1);
    struct gtrid first = world_last_gtrid(&world);
    uint64_t second = world_submit(&world, NULL, 2);
    uint64_t third = world_submit(&world, NULL, 3);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 0);
    struct gid order = world_gid(&first, "order", 1);
    world_vote(&world, "order", &order, VOTE_ABORT);
    assert_int_equal(world_last_gtrid(&world).sequence, first.sequence + 1);
    world_tick(&world, 5000); /* second ran out of time while working, third while waiting */
    assert_int_equal(world_answer(&world, second)->views[0].failure.reason, REASON_TIMEOUT);
    assert_int_equal(world_answer(&world, third)->views[0].failure.reason, REASON_TIMEOUT);
    world_done(&world);
}

/* What waits is bounded in bytes, too, and what has run makes room again. */
static void test_admission_is_bounded_in_bytes(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.max_active = 1, .max_queued_bytes = 3});
    world_submit(&world, NULL, 1);
    struct gid order = world_gid(&(struct gtrid){0}, "order", 1);
    order.gtrid = world_last_gtrid(&world);
    uint64_t second = world_submit(&world, NULL, 1); /* two bytes of work */
    uint64_t third = world_submit(&world, NULL, 1);
    assert_null(world_answer(&world, second));
    assert_null(world_answer(&world, third));
    uint64_t fourth = world_submit(&world, NULL, 1);
    assert_int_equal(world_answer(&world, fourth)->status, API_REFUSED);
    assert_int_equal(world_answer(&world, fourth)->reason, REASON_OVERLOAD);
    world_vote(&world, "order", &order, VOTE_ABORT); /* the second one leaves the queue */
    uint64_t fifth = world_submit(&world, NULL, 1);
    assert_null(world_answer(&world, fifth));
    world_done(&world);
}

/* Finished transactions are remembered up to a number of bytes, the newest one always, though it alone be too large; the
 * journal knows the others. */
static void test_recent_results_are_bounded_in_bytes(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.recent_max_bytes = 5});
    static const char *const results[] = {"abc", "abc", "abc", "abcdef"};
    struct gtrid gtrids[4];
    for (int i = 0; i < 4; i++) {
        world_submit(&world, NULL, 1);
        gtrids[i] = world_last_gtrid(&world);
        struct gid order = world_gid(&gtrids[i], "order", 1);
        struct gid payment = world_gid(&gtrids[i], "payment", 1);
        struct message vote = {.kind = MESSAGE_VOTE,
                               .as.vote = {.gid = order, .vote = VOTE_COMMIT}};
        vote.as.vote.results = blob_new(results[i], strlen(results[i]));
        world_message(&world, "order", world.order_session, &vote);
        message_done(&vote);
        world_vote(&world, "payment", &payment, VOTE_COMMIT);
        world_durable(&world);
        world_ack(&world, "order", &order, ACK_COMMITTED);
        world_ack(&world, "payment", &payment, ACK_COMMITTED);
        struct txn_view view;
        for (int k = 0; k < i; k++) {
            assert_false(coord_view(world.coord, &gtrids[k], false, &view));
        }
        assert_true(coord_view(world.coord, &gtrids[i], false, &view));
        txn_view_done(&view);
    }
    world_done(&world);
}

/* Drain: new work is refused, what waits is aborted, what runs may finish, then it stops. */
static void test_drain_finishes_what_runs(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t call = world_submit(&world, NULL, 1);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct coord_event drain = {.kind = COORD_EVENT_DRAIN};
    world_step(&world, &drain);
    assert_int_equal(world.ready.stop, COORD_RUN);
    uint64_t refused = world_submit(&world, NULL, 2);
    assert_int_equal(world_answer(&world, refused)->reason, REASON_SHUTDOWN);
    struct gid order = world_gid(&gtrid, "order", 1);
    struct gid payment = world_gid(&gtrid, "payment", 2);
    world_vote(&world, "order", &order, VOTE_COMMIT);
    world_vote(&world, "payment", &payment, VOTE_COMMIT);
    world_durable(&world);
    assert_int_equal(world.ready.stop, COORD_RUN);
    world_ack(&world, "order", &order, ACK_COMMITTED);
    world_disconnect(&world,
                     world.payment_session); /* nobody to wait for: recovery will finish it */
    assert_int_equal(world.ready.stop, COORD_STOP_DRAINED);
    assert_int_equal(world_answer(&world, call)->status, API_OK);
    assert_false(world_answer(&world, call)->views[0].completed);
    world_done(&world);
}

/* A drain that takes too long aborts what is undecided and leaves. */
static void test_drain_has_an_end(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t call = world_submit_with(&world, NULL, 1, ACK_MODE_COMPLETED, false);
    struct coord_event drain = {.kind = COORD_EVENT_DRAIN};
    world_step(&world, &drain);
    world_tick(&world, 5000);
    assert_int_equal(world_answer(&world, call)->status, API_ABORTED);
    world_tick(&world, 5000);
    assert_int_equal(world.ready.stop, COORD_STOP_DRAINED);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p18_repeated_key_is_replayed),
        cmocka_unit_test(test_p18_key_in_flight_is_joined),
        cmocka_unit_test(test_p18_key_with_another_body_conflicts),
        cmocka_unit_test(test_p18_key_runs_again_after_an_abort),
        cmocka_unit_test(test_refusals_do_nothing),
        cmocka_unit_test(test_admission_is_bounded_and_in_order),
        cmocka_unit_test(test_admission_is_bounded_in_bytes),
        cmocka_unit_test(test_recent_results_are_bounded_in_bytes),
        cmocka_unit_test(test_drain_finishes_what_runs),
        cmocka_unit_test(test_drain_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
