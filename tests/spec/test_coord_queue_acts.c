/* test_coord_queue_acts.c - people who requeue and drop accepted requests (P-1, docs/adr/0017). */
#include <stdio.h>
#include <stdlib.h>

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

/* A dropped request stays in the lists, newest first, as aborted; under no key, which is free, and at no participant. */
static void test_queue_dropped_requests_are_listed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_disconnect(&world, world.order_session);
    struct gtrid first = accepted(&world, "q", "k");
    struct gtrid second = accepted(&world, "", "");
    struct gtrid third = accepted(&world, "", "");
    const struct api_list aborted = {.state = TXN_ABORTED, .limit = 10};
    (void)act_on(&world, &second, REQUEST_ACT_DROP);
    lists(&world, &aborted, 0, NULL); /* P-4: not before its record is durable */
    world_durable(&world);
    (void)act_on(&world, &first, REQUEST_ACT_DROP);
    world_durable(&world);
    assert_true(coord_lists(world.coord, &first));
    lists(&world, &aborted, 2, (const struct gtrid *const[]){&first, &second});
    struct api_list list = {.any_state = true, .limit = 10};
    lists(&world, &list, 3, (const struct gtrid *const[]){&first, &second, &third});
    list.has_after = true;
    list.after = first;
    lists(&world, &list, 2, (const struct gtrid *const[]){&second, &third});
    list = aborted;
    list.key[0] = 'k';
    list.key_bytes = 1;
    lists(&world, &list, 0, NULL);
    list = aborted;
    snprintf(list.participant, sizeof(list.participant), "%s", "order");
    lists(&world, &list, 0, NULL);
    list = (struct api_list){.state = TXN_QUEUED, .limit = 10};
    lists(&world, &list, 1, (const struct gtrid *const[]){&third});
    list = (struct api_list){.in_doubt = true, .state = TXN_ABORTED, .limit = 10};
    lists(&world, &list, 0, NULL); /* then no state is asked for */
    world_done(&world);
}

/* Memory has the last thousand; the journal lists the others. */
static void test_queue_dropped_requests_in_memory_are_bounded(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_disconnect(&world, world.order_session);
    struct gtrid first = {0}, last = {0};
    for (int i = 0; i < 1001; i++) {
        last = accepted(&world, "", "");
        first = i == 0 ? last : first;
        (void)act_on(&world, &last, REQUEST_ACT_DROP);
        world_durable(&world);
    }
    assert_false(coord_lists(world.coord, &first));
    assert_true(coord_lists(world.coord, &last));
    struct api_list list = {.state = TXN_ABORTED, .limit = 2000};
    struct txn_view *views = NULL;
    size_t count = coord_list(world.coord, &list, &views);
    assert_int_equal(count, 1000);
    for (size_t i = 0; i < count; i++) {
        txn_view_done(&views[i]);
    }
    free(views);
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
        cmocka_unit_test(test_queue_dropped_requests_are_listed),
        cmocka_unit_test(test_queue_dropped_requests_in_memory_are_bounded),
        cmocka_unit_test(test_queue_acts_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
