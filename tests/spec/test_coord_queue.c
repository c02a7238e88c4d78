/* test_coord_queue.c - accepted requests in the coordinator's core: acceptance, order, runs, limits, drain (P-1, docs/adr/0017). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/spec/coord_requests.h"

/* P-1: no 202 before ACCEPT is durable, no run either, and nobody is shown the request. */
static void test_p01_accepted_only_once_durable(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t call = accept_one(&world, "q", "k");
    const struct record *accept = world_append(&world, RECORD_ACCEPT);
    struct gtrid id = accept->as.accept.gtrid;
    assert_string_equal(accept->as.accept.queue, "q");
    assert_int_equal(accept->as.accept.key_bytes, 1);
    assert_int_equal(accept->as.accept.branch_count, 1);
    assert_true(world.ready.appends[0].forced);
    assert_null(world_answer(&world, call));
    assert_int_equal(works(&world), 0);
    assert_false(is_known(&world, &id));
    assert_int_equal(coord_presume(world.coord, &id), VERDICT_WAIT); /* nor is it called aborted */
    world_durable(&world);
    assert_int_equal(world_answer(&world, call)->status, API_ACCEPTED);
    assert_true(gtrid_equal(&world_answer(&world, call)->views[0].gtrid, &id));
    assert_int_equal(works(&world), 1);
    world_done(&world);
}

/* P-1: each run has a gtrid of its own, and its COMMIT names the ACCEPT, its key and its queue. */
static void test_p01_commit_names_the_accept(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid id = accepted(&world, "q", "k");
    struct gtrid first = world_last_gtrid(&world);
    assert_false(gtrid_equal(&first, &id));
    fails(&world, &first, REASON_SERIALIZATION);
    world_tick(&world, 500);
    struct gtrid second = world_last_gtrid(&world);
    assert_false(gtrid_equal(&second, &first));
    decides(&world, &second);
    const struct record_commit *commit = &world_append(&world, RECORD_COMMIT)->as.commit;
    assert_true(gtrid_equal(&commit->gtrid, &second));
    assert_true(commit->has_request);
    assert_true(gtrid_equal(&commit->request.id, &id));
    assert_string_equal(commit->request.queue, "q");
    assert_int_equal(commit->request.attempts, 2);
    assert_int_equal(commit->key_bytes, 1);
    world_durable(&world);
    completes(&world, &second);
    assert_int_equal(state_of(&world, &id), TXN_COMMITTED);
    world_done(&world);
}

/* The next of a queue starts when the one before it has committed everywhere, and not when it is decided. */
static void test_queue_next_starts_when_head_is_completed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accepted(&world, "q", "");
    struct gtrid first = world_last_gtrid(&world);
    struct gtrid second_id = accepted(&world, "q", "");
    assert_int_equal(works(&world), 0);
    decides(&world, &first);
    assert_int_equal(works(&world), 0);
    world_durable(&world);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 1);
    assert_int_equal(works(&world), 0);
    assert_int_equal(state_of(&world, &second_id), TXN_QUEUED);
    completes(&world, &first);
    assert_int_equal(works(&world), 1);
    world_done(&world);
}

/* Queues go in parallel, and so do requests without one. */
static void test_queue_others_do_not_wait(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accepted(&world, "a", "");
    assert_int_equal(works(&world), 1);
    (void)accepted(&world, "b", "");
    assert_int_equal(works(&world), 1);
    (void)accepted(&world, "", "");
    assert_int_equal(works(&world), 1);
    (void)accepted(&world, "", "");
    assert_int_equal(works(&world), 1);
    (void)accepted(&world, "a", "");
    assert_int_equal(works(&world), 0);
    world_done(&world);
}

/* The order is that of acceptance although the second ACCEPT's waiters are there first: both become durable at once. */
static void test_queue_order_is_that_of_the_ids(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accept_one(&world, "q", "1");
    struct gtrid first = world_append(&world, RECORD_ACCEPT)->as.accept.gtrid;
    (void)accept_one(&world, "q", "2");
    world_durable(&world);
    assert_int_equal(works(&world), 1);
    assert_int_equal(state_of(&world, &first), TXN_PREPARING);
    world_done(&world);
}

/* What may pass is tried again, later each time; the head keeps its queue meanwhile. */
static void test_queue_retryable_abort_backs_off(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world,
                    (struct coord_config){.queue_retry_min_ms = 500, .queue_retry_max_ms = 1000});
    struct gtrid id = accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    (void)accepted(&world, "q", "");
    const uint64_t waits[] = {500, 1000, 1000};
    for (size_t i = 0; i < 3; i++) {
        fails(&world, &run, REASON_DEADLOCK);
        assert_int_equal(world_count_appends(&world, RECORD_REFUSED), 0);
        assert_int_equal(state_of(&world, &id), TXN_QUEUED);
        world_tick(&world, waits[i] - 1);
        assert_int_equal(works(&world), 0);
        world_tick(&world, 1);
        assert_int_equal(works(&world), 1);
        run = world_last_gtrid(&world);
    }
    decides(&world, &run);
    assert_true(gtrid_equal(&world_append(&world, RECORD_COMMIT)->as.commit.request.id, &id));
    world_done(&world);
}

/* P-1: what will not pass is dead, but neither shown so nor out of its queue's way before REFUSED is durable. */
static void test_p01_refused_is_durable_before_dead_is_shown(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid id = accepted(&world, "q", "k");
    struct gtrid run = world_last_gtrid(&world);
    (void)accepted(&world, "q", "");
    uint64_t waits = accept_at(&world, "", "k", 1, false, 1);
    fails(&world, &run, REASON_CONSTRAINT);
    const struct record_refused *refused = &world_append(&world, RECORD_REFUSED)->as.refused;
    assert_true(gtrid_equal(&refused->gtrid, &id));
    assert_int_equal(refused->failure.reason, REASON_CONSTRAINT);
    assert_string_equal(refused->participant, "order");
    assert_int_equal(refused->attempts, 1);
    assert_int_equal(state_of(&world, &id), TXN_QUEUED);
    assert_int_equal(works(&world), 0);
    assert_null(world_answer(&world, waits));
    world_durable(&world);
    assert_int_equal(state_of(&world, &id), TXN_DEAD);
    assert_int_equal(works(&world), 1); /* a dead head holds nobody */
    assert_int_equal(world_answer(&world, waits)->status, API_ABORTED);
    assert_int_equal(world_answer(&world, waits)->views[0].state, TXN_DEAD);
    world_done(&world);
}

/* With queue_attempts, what may pass is dead after so many runs. */
static void test_queue_attempts_end(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.queue_attempts = 2});
    (void)accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_LOCK_TIMEOUT);
    assert_int_equal(world_count_appends(&world, RECORD_REFUSED), 0);
    world_tick(&world, 500);
    run = world_last_gtrid(&world);
    fails(&world, &run, REASON_LOCK_TIMEOUT);
    assert_int_equal(world_append(&world, RECORD_REFUSED)->as.refused.attempts, 2);
    world_done(&world);
}

/* A participant that is away is waited for, without an attempt; the run starts when it is back. */
static void test_queue_waits_for_participants(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_disconnect(&world, world.payment_session);
    uint64_t call = accept_at(&world, "q", "", 1, true, 2);
    struct gtrid id = world_append(&world, RECORD_ACCEPT)->as.accept.gtrid;
    world_durable(&world);
    assert_int_equal(world_answer(&world, call)->status, API_ACCEPTED);
    assert_int_equal(works(&world), 0);
    struct txn_view view;
    assert_true(coord_view(world.coord, &id, false, &view));
    assert_int_equal(view.request.attempts, 0);
    assert_string_equal(view.request.waiting_for, "participant payment");
    txn_view_done(&view);
    world_tick(&world, 60000);
    assert_int_equal(works(&world), 0);
    (void)world_connect(&world, "payment");
    assert_int_equal(works(&world), 2);
    world_done(&world);
}

/* Full is refused as overload, and nothing is stored: total, per queue, bytes; dead ones count. */
static void test_queue_limits(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.queue_max = 3, .queue_max_each = 2});
    struct gtrid id = accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_CONSTRAINT);
    world_durable(&world);
    assert_int_equal(state_of(&world, &id), TXN_DEAD);
    (void)accepted(&world, "q", "");
    uint64_t call = accept_one(&world, "q", "");
    assert_int_equal(world_answer(&world, call)->status, API_REFUSED);
    assert_int_equal(world_answer(&world, call)->reason, REASON_OVERLOAD);
    assert_non_null(strstr(world_answer(&world, call)->text, "queue_max_each"));
    assert_int_equal(world.ready.append_count, 0);
    (void)accepted(&world, "r", "");
    call = accept_one(&world, "s", "");
    assert_non_null(strstr(world_answer(&world, call)->text, "queue_max:"));
    world_done(&world);
    world_init_with(&world, (struct coord_config){.queue_max_bytes = 7});
    (void)accepted(&world, "q", "");
    call = accept_one(&world, "q", "");
    assert_int_equal(world_answer(&world, call)->reason, REASON_OVERLOAD);
    assert_non_null(strstr(world_answer(&world, call)->text, "queue_max_bytes"));
    world_done(&world);
}

/* Runs take a bounded share of max_active. */
static void test_queue_active_bounds_runs(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.queue_active = 2});
    (void)accepted(&world, "", "");
    struct gtrid run = world_last_gtrid(&world);
    (void)accepted(&world, "", "");
    (void)accepted(&world, "", "");
    assert_int_equal(works(&world), 0);
    decides(&world, &run);
    world_durable(&world);
    assert_int_equal(works(&world), 1);
    world_done(&world);
}

/* Who waits for an answer is not kept out by a backlog, even where queue_active is as large as max_active; nor the other way. */
static void starve(uint32_t max_active, const bool *wanted_is_run, size_t count)
{
    struct world world;
    world_init_with(&world, (struct coord_config){.max_active = max_active, .queue_active = 100});
    struct gtrid runs[8];
    for (size_t i = 0; i < count + max_active; i++) {
        (void)accepted(&world, "", "");
        if (i < max_active) {
            runs[i] = world_last_gtrid(&world);
        }
    }
    for (size_t i = 0; i < count; i++) { /* one by one: order alone, as the requests */
        (void)accept_at(&world, "", "", 1, false, 1);
        assert_int_equal(works(&world), 0);
    }
    for (size_t i = 0; i < count; i++) {
        struct gtrid ending = runs[i % max_active];
        decides(&world, &ending);
        world_durable(&world);
        assert_int_equal(works(&world), 1); /* its place is free */
        struct gtrid begun = world_last_gtrid(&world);
        runs[i % max_active] = begun;
        struct txn_view view;
        assert_true(coord_view(world.coord, &begun, false, &view));
        assert_int_equal(view.is_run, wanted_is_run[i]);
        txn_view_done(&view);
        completes(&world, &ending);
        assert_int_equal(works(&world), 0);
    }
    world_done(&world);
}

static void test_queue_backlog_does_not_keep_out_who_waits(void **state)
{
    (void)state;
    /* four places, all of them runs at first: two go to those who wait, and then each is replaced by its own kind */
    static const bool of_four[] = {false, false, true, true, false, false};
    starve(4, of_four, 6);
    static const bool of_one[] = {false, true, false, true}; /* one place: they take turns */
    starve(1, of_one, 4);
}

/* A drain starts no more runs, aborts nothing for good, and tells who waits that the request is accepted. */
static void test_queue_drain_keeps_requests(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid id = accepted(&world, "q", "k");
    struct gtrid run = world_last_gtrid(&world);
    uint64_t call = accept_at(&world, "", "k", 1, false, 1);
    struct coord_event drain = {.kind = COORD_EVENT_DRAIN};
    world_step(&world, &drain);
    fails(&world, &run, REASON_SERIALIZATION);
    assert_int_equal(world.ready.stop, COORD_STOP_DRAINED);
    assert_int_equal(world_answer(&world, call)->status, API_ACCEPTED);
    assert_int_equal(world_count_appends(&world, RECORD_REFUSED), 0);
    assert_int_equal(state_of(&world, &id), TXN_QUEUED);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p01_accepted_only_once_durable),
        cmocka_unit_test(test_p01_commit_names_the_accept),
        cmocka_unit_test(test_queue_next_starts_when_head_is_completed),
        cmocka_unit_test(test_queue_others_do_not_wait),
        cmocka_unit_test(test_queue_order_is_that_of_the_ids),
        cmocka_unit_test(test_queue_retryable_abort_backs_off),
        cmocka_unit_test(test_p01_refused_is_durable_before_dead_is_shown),
        cmocka_unit_test(test_queue_attempts_end),
        cmocka_unit_test(test_queue_waits_for_participants),
        cmocka_unit_test(test_queue_limits),
        cmocka_unit_test(test_queue_active_bounds_runs),
        cmocka_unit_test(test_queue_backlog_does_not_keep_out_who_waits),
        cmocka_unit_test(test_queue_drain_keeps_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
