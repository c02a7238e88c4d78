/* test_coord_queue_keys.c - the keys of accepted requests (P-18, docs/adr/0017). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/spec/coord_requests.h"

/* P-18: the same key again: 202 with the same id while it waits or runs, the recorded answer when it has committed, 422 for
 * another body; without respond-async it waits for the outcome, at most as long as it says. */
static void test_p18_key_of_an_accepted_request(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t first = accept_one(&world, "q", "k");
    struct gtrid id = world_append(&world, RECORD_ACCEPT)->as.accept.gtrid;
    uint64_t early = accept_one(&world, "q", "k");
    assert_int_equal(world_count_appends(&world, RECORD_ACCEPT), 0);
    assert_null(world_answer(&world, early)); /* nothing is durable yet */
    world_durable(&world);
    struct gtrid run = world_last_gtrid(&world);
    assert_int_equal(world_answer(&world, first)->status, API_ACCEPTED);
    assert_int_equal(world_answer(&world, early)->status, API_ACCEPTED);
    assert_true(gtrid_equal(&world_answer(&world, early)->views[0].gtrid, &id));
    uint64_t again = accept_one(&world, "other", "k");
    assert_int_equal(world_answer(&world, again)->status, API_ACCEPTED);
    uint64_t other = accept_at(&world, "q", "k", 2, true, 1);
    assert_int_equal(world_answer(&world, other)->status, API_KEY_CONFLICT);
    uint64_t impatient = accept_at(&world, "", "k", 1, false, 1);
    assert_null(world_answer(&world, impatient));
    world_tick(&world, 4000);
    uint64_t patient = accept_at(&world, "", "k", 1, false, 1);
    decides(&world, &run);
    assert_null(world_answer(&world, patient));
    world_durable(&world);
    world_tick(&world, 1000);
    assert_int_equal(world_answer(&world, impatient)->status, API_OK); /* decided, not completed */
    assert_false(world_answer(&world, impatient)->views[0].completed);
    completes(&world, &run);
    assert_int_equal(world_answer(&world, patient)->status, API_OK);
    assert_true(world_answer(&world, patient)->views[0].completed);
    assert_true(gtrid_equal(&world_answer(&world, patient)->views[0].gtrid, &id));
    uint64_t late = accept_one(&world, "q", "k");
    assert_int_equal(world_answer(&world, late)->status, API_OK);
    world_done(&world);
}

/* P-18: a client that waits for a queued request is told that it is accepted when its own time is over. */
static void test_p18_waiting_for_a_queued_request_ends(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_disconnect(&world, world.order_session);
    struct gtrid id = accepted(&world, "q", "k");
    uint64_t call = accept_at(&world, "", "k", 1, false, 1);
    world_tick(&world, 4999);
    assert_null(world_answer(&world, call));
    world_tick(&world, 1);
    assert_int_equal(world_answer(&world, call)->status, API_ACCEPTED);
    assert_true(gtrid_equal(&world_answer(&world, call)->views[0].gtrid, &id));
    world_done(&world);
}

/* P-18: while a person's word about the request is being written, its key waits for that: then it is told what holds. */
static void test_p18_key_waits_for_requeue_and_drop(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid id = accepted(&world, "q", "k");
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_ROW_COUNT);
    world_durable(&world);
    (void)act_on(&world, &id, REQUEST_ACT_REQUEUE);
    uint64_t call = accept_one(&world, "q", "k");
    assert_null(world_answer(&world, call));
    world_durable(&world);
    assert_int_equal(world_answer(&world, call)->status, API_ACCEPTED);
    assert_int_equal(world_answer(&world, call)->views[0].state, TXN_QUEUED);
    run = world_last_gtrid(&world);
    fails(&world, &run, REASON_ROW_COUNT);
    world_durable(&world);
    (void)act_on(&world, &id, REQUEST_ACT_DROP);
    call = accept_one(&world, "q", "k");
    assert_null(world_answer(&world, call));
    world_durable(&world);
    assert_int_equal(world_answer(&world, call)->status, API_ABORTED);
    assert_int_equal(world_answer(&world, call)->views[0].state, TXN_ABORTED);
    world_done(&world);
}

/* P-18: an earlier transaction with the key, which aborted and is still being rolled back, does not hide the request's commit once that
 * is in the journal alone: the journal must be asked. */
static void test_p18_aborted_namesake_does_not_hide_the_commit(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.recent_max = 1});
    (void)world_submit(&world, "k", 1);
    world_tick(&world, 5000); /* aborted; nobody acknowledges */
    (void)accepted(&world, "", "k");
    struct gtrid run = world_last_gtrid(&world);
    decides(&world, &run);
    world_durable(&world);
    completes(&world, &run);
    (void)accepted(&world, "", "other"); /* takes the place in memory */
    run = world_last_gtrid(&world);
    decides(&world, &run);
    world_durable(&world);
    completes(&world, &run);
    struct submission submission = {.key_bytes = 1, .key = "k"};
    struct coord_event event = {.kind = COORD_EVENT_SUBMIT, .submission = &submission};
    assert_true(coord_wants_key(world.coord, &event));
    world_done(&world);
}

/* The journal is asked only for what is not known here: a key, or an id that a person names. */
static void test_p18_journal_is_asked_for_what_is_not_known(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accepted(&world, "q", "");
    struct gtrid id = accepted(&world, "q", "k"); /* it waits for the first: no run has the key */
    struct submission submission = {.key_bytes = 1, .key = "k"};
    struct coord_event submit = {.kind = COORD_EVENT_SUBMIT, .submission = &submission};
    assert_false(coord_wants_key(world.coord, &submit));
    submission.key[0] = 'l';
    assert_true(coord_wants_key(world.coord, &submit));

    struct api_request_act act = {.id = id, .act = REQUEST_ACT_DROP};
    struct coord_event event = {.kind = COORD_EVENT_REQUEST_ACT, .act = &act};
    struct gtrid wanted = {.sequence = 0};
    assert_false(coord_wants_gtrid(world.coord, &event, &wanted));
    act.id.sequence += 100;
    assert_true(coord_wants_gtrid(world.coord, &event, &wanted));
    assert_true(gtrid_equal(&wanted, &act.id));
    world_done(&world);
}

/* P-8: before its ACCEPT is durable nobody has been told the id, and "aborted" would be for good; afterwards it is an id that is never run. */
static void test_p08_id_of_a_request_is_never_run(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accept_one(&world, "q", "k");
    struct gtrid id = world_append(&world, RECORD_ACCEPT)->as.accept.gtrid;
    struct txn_view view;
    assert_int_equal(coord_presume(world.coord, &id), VERDICT_WAIT);
    assert_false(coord_view_by_key(world.coord, "k", 1, false, &view));
    world_durable(&world);
    assert_int_equal(coord_presume(world.coord, &id), VERDICT_ABORT);
    assert_true(coord_view_by_key(world.coord, "k", 1, false, &view));
    txn_view_done(&view);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p18_key_of_an_accepted_request),
        cmocka_unit_test(test_p18_waiting_for_a_queued_request_ends),
        cmocka_unit_test(test_p18_key_waits_for_requeue_and_drop),
        cmocka_unit_test(test_p18_aborted_namesake_does_not_hide_the_commit),
        cmocka_unit_test(test_p18_journal_is_asked_for_what_is_not_known),
        cmocka_unit_test(test_p08_id_of_a_request_is_never_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
