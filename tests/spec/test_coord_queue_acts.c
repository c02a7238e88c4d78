/* test_coord_queue_acts.c - people who requeue and drop accepted requests (P-1, docs/adr/0017). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/spec/coord_requests.h"

/* A dead request goes to the tail: what was accepted meanwhile is before it. REQUEUED is durable before anybody is told. */
static void test_p01_requeue_goes_to_the_tail(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid id = accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_ROW_COUNT);
    world_durable(&world);
    (void)accepted(&world, "q", "");
    run = world_last_gtrid(&world);
    uint64_t call = act_on(&world, &id, REQUEST_ACT_REQUEUE);
    assert_true(gtrid_equal(&world_append(&world, RECORD_REQUEUED)->as.requeued.gtrid, &id));
    assert_null(world_answer(&world, call));
    assert_int_equal(state_of(&world, &id), TXN_DEAD);
    world_durable(&world);
    assert_int_equal(world_answer(&world, call)->status, API_OK);
    assert_int_equal(state_of(&world, &id), TXN_QUEUED);
    assert_int_equal(works(&world), 0);
    decides(&world, &run);
    world_durable(&world);
    completes(&world, &run);
    assert_int_equal(works(&world), 1);
    assert_int_equal(state_of(&world, &id), TXN_PREPARING);
    world_done(&world);
}

/* Dropped: told only once DROPPED is durable; then it is over, and its key is free for another body. */
static void test_p01_drop_is_final(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid id = accepted(&world, "q", "k");
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_ROW_COUNT);
    world_durable(&world);
    world_tick(&world, 1000);
    uint64_t call = act_on(&world, &id, REQUEST_ACT_DROP);
    assert_string_equal(world_append(&world, RECORD_DROPPED)->as.dropped.comment, "because");
    const uint64_t dropped_wall_ms = world_append(&world, RECORD_DROPPED)->as.dropped.wall_ms;
    assert_null(world_answer(&world, call));
    world_durable(&world);
    assert_int_equal(world_answer(&world, call)->status, API_OK);
    const struct txn_view *view = &world_answer(&world, call)->views[0];
    assert_int_equal(view->state, TXN_ABORTED);
    assert_int_equal(view->decided_wall_ms, dropped_wall_ms); /* not the moment of its last run */
    assert_int_equal(view->ended_wall_ms, dropped_wall_ms);
    assert_false(is_known(&world, &id)); /* the journal's from here on */
    call = accept_at(&world, "q", "k", 2, true, 1);
    world_durable(&world);
    assert_int_equal(world_answer(&world, call)->status, API_ACCEPTED);
    world_done(&world);
}

/* One that waits may be dropped, one that runs may not; only a dead one may be requeued; nobody drops what is not there. */
static void test_queue_acts_that_are_refused(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid running = accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    struct gtrid waiting = accepted(&world, "q", "");
    uint64_t call = act_on(&world, &running, REQUEST_ACT_DROP);
    assert_int_equal(world_answer(&world, call)->status, API_CONFLICT);
    call = act_on(&world, &waiting, REQUEST_ACT_REQUEUE);
    assert_int_equal(world_answer(&world, call)->status, API_CONFLICT);
    call = act_on(&world, &run, REQUEST_ACT_DROP); /* a run is no request */
    assert_int_equal(world_answer(&world, call)->status, API_CONFLICT);
    struct gtrid unknown = running;
    unknown.sequence += 1000;
    call = act_on(&world, &unknown, REQUEST_ACT_DROP);
    assert_int_equal(world_answer(&world, call)->status, API_NOT_FOUND);
    (void)act_on(&world, &waiting, REQUEST_ACT_DROP);
    assert_int_equal(world_count_appends(&world, RECORD_DROPPED), 1);
    decides(&world, &run);
    world_durable(&world); /* both records */
    completes(&world, &run);
    assert_int_equal(works(&world), 0);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p01_requeue_goes_to_the_tail),
        cmocka_unit_test(test_p01_drop_is_final),
        cmocka_unit_test(test_queue_acts_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
