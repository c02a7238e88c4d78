/* test_coord_queue.c - accepted requests and queues in the coordinator's core (P-1, P-18, docs/adr/0017). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
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

/* The age of the oldest one that waits or runs; those that are dead or have committed are older and do not count. */
static void test_queue_oldest_age(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accepted(&world, "", "");
    struct gtrid committed = world_last_gtrid(&world);
    (void)accepted(&world, "", "");
    struct gtrid dead = world_last_gtrid(&world);
    struct coord_counters counters;
    coord_counters_read(world.coord, &counters);
    assert_int_equal(counters.oldest_request_ms, 0);
    world_tick(&world, 100);
    coord_counters_read(world.coord, &counters);
    assert_int_equal(counters.oldest_request_ms, 100);
    decides(&world, &committed);
    world_durable(&world);
    completes(&world, &committed);
    fails(&world, &dead, REASON_CONSTRAINT);
    world_durable(&world);
    coord_counters_read(world.coord, &counters);
    assert_int_equal(counters.oldest_request_ms, 0);
    (void)accepted(&world, "q", "");
    world_tick(&world, 30);
    (void)accepted(&world, "q", "");
    world_tick(&world, 12);
    coord_counters_read(world.coord, &counters);
    assert_int_equal(counters.oldest_request_ms, 42);
    world_done(&world);
}

/* However often it was tried, the timeline ends with what became of it. */
static void test_queue_last_event_is_kept(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world,
                    (struct coord_config){.queue_retry_min_ms = 1, .queue_retry_max_ms = 1});
    struct gtrid id = accepted(&world, "q", "");
    for (size_t i = 0; i < 100; i++) {
        struct gtrid run = world_last_gtrid(&world);
        fails(&world, &run, REASON_DEADLOCK);
        world_tick(&world, 1);
        assert_int_equal(works(&world), 1);
    }
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_CONSTRAINT);
    world_durable(&world);
    struct txn_view view;
    assert_true(coord_view(world.coord, &id, true, &view));
    assert_int_equal(view.event_count, 64);
    assert_string_equal(view.events[0].kind, "accepted");
    assert_string_equal(view.events[view.event_count - 1].kind, "dead");
    txn_view_done(&view);
    world_done(&world);
}

/* ---- recovery ---- */

/* P-16, P-10: a recovered request is driven only after EPOCH is durable and every participant has reported. */
static void test_p10_recovered_request_waits_for_all_witnesses(void **state)
{
    (void)state;
    struct world world;
    struct record record = accept_record(7, "q", "k");
    struct gtrid id = record.as.accept.gtrid;
    recover(&world, &record, 1);
    record_done(&record);
    assert_int_equal(works(&world), 0);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    assert_int_equal(works(&world), 0);
    assert_int_equal(state_of(&world, &id), TXN_QUEUED);
    (void)world_connect(&world, "payment");
    assert_int_equal(works(&world), 1);
    struct gtrid run = world_last_gtrid(&world);
    assert_int_equal(run.epoch, 2);
    uint64_t call = accept_one(&world, "q", "k"); /* P-18: the key is the recovered request's */
    assert_int_equal(world_answer(&world, call)->status, API_ACCEPTED);
    assert_true(gtrid_equal(&world_answer(&world, call)->views[0].gtrid, &id));
    decides(&world, &run);
    assert_true(gtrid_equal(&world_append(&world, RECORD_COMMIT)->as.commit.request.id, &id));
    world_done(&world);
}

/* P-10: what is recovered may have committed in a part of the journal that is lost, and an agent may yet say so. Until all have
 * reported nobody is told that it will never run, and its key does not become free. */
static void test_p10_recovered_request_is_not_dropped_early(void **state)
{
    (void)state;
    struct world world;
    struct record records[3] = {
        accept_record(7, "q", "k"), accept_record(8, "q", ""), {.kind = RECORD_REFUSED}};
    records[2].as.refused.gtrid = records[1].as.accept.gtrid;
    records[2].as.refused.failure.reason = REASON_CONSTRAINT;
    struct gtrid ids[] = {records[0].as.accept.gtrid, records[1].as.accept.gtrid};
    recover(&world, records, 3);
    for (size_t i = 0; i < 3; i++) {
        record_done(&records[i]);
    }
    world_durable(&world);
    (void)world_connect(&world, "payment");
    for (size_t i = 0; i < 2; i++) {
        uint64_t call = act_on(&world, &ids[i], REQUEST_ACT_DROP);
        assert_int_equal(world_answer(&world, call)->status, API_CONFLICT);
        assert_non_null(strstr(world_answer(&world, call)->text, "every participant"));
    }
    (void)act_on(&world, &ids[1], REQUEST_ACT_REQUEUE); /* that only makes it wait */
    assert_int_equal(world_count_appends(&world, RECORD_REQUEUED), 1);
    world_durable(&world);
    (void)world_connect(&world, "order");
    assert_int_equal(works(&world), 1);
    (void)act_on(&world, &ids[1], REQUEST_ACT_DROP);
    assert_int_equal(world_count_appends(&world, RECORD_DROPPED), 1);
    world_done(&world);
}

/* The order of recovered requests is that of their positions, whatever that of the records. */
static void test_queue_recovered_order_is_that_of_positions(void **state)
{
    (void)state;
    struct world world;
    struct record records[4] = {accept_record(9, "q", "3"),
                                accept_record(5, "q", "2"),
                                {.kind = RECORD_REQUEUED},
                                accept_record(8, "q", "1")};
    records[2].as.requeued.gtrid = records[1].as.accept.gtrid;
    records[2].as.requeued.epoch = 1;
    records[2].as.requeued.sequence = 12;
    const struct gtrid wanted[] = {records[3].as.accept.gtrid, records[0].as.accept.gtrid,
                                   records[1].as.accept.gtrid};
    recover(&world, records, 4);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    (void)world_connect(&world, "payment");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(works(&world), 1);
        struct gtrid run = world_last_gtrid(&world);
        decides(&world, &run);
        assert_true(
            gtrid_equal(&world_append(&world, RECORD_COMMIT)->as.commit.request.id, &wanted[i]));
        world_durable(&world);
        completes(&world, &run);
    }
    for (size_t i = 0; i < 4; i++) {
        record_done(&records[i]);
    }
    world_done(&world);
}

/* A dead request is dead after a restart, with its reason, and holds nobody. */
static void test_queue_recovered_dead_request(void **state)
{
    (void)state;
    struct world world;
    struct record records[3] = {
        accept_record(5, "q", ""), {.kind = RECORD_REFUSED}, accept_record(6, "q", "")};
    records[1].as.refused.gtrid = records[0].as.accept.gtrid;
    records[1].as.refused.failure.reason = REASON_CONSTRAINT;
    records[1].as.refused.attempts = 4;
    struct gtrid id = records[0].as.accept.gtrid;
    recover(&world, records, 3);
    for (size_t i = 0; i < 3; i++) {
        record_done(&records[i]);
    }
    world_durable(&world);
    (void)world_connect(&world, "order");
    (void)world_connect(&world, "payment");
    assert_int_equal(works(&world), 1);
    struct txn_view view;
    assert_true(coord_view(world.coord, &id, false, &view));
    assert_int_equal(view.state, TXN_DEAD);
    assert_int_equal(view.failure.reason, REASON_CONSTRAINT);
    assert_int_equal(view.request.attempts, 4);
    assert_true(view.branches[0].has_work);
    txn_view_done(&view);
    world_done(&world);
}

/* P-1: a request whose COMMIT is recovered is driven by that and never run again; it holds its queue until it is completed. */
static void test_p01_recovered_commit_is_its_request(void **state)
{
    (void)state;
    struct world world;
    struct record records[2] = {accept_record(9, "q", ""), {.kind = RECORD_COMMIT}};
    struct record_commit *commit = &records[1].as.commit;
    commit->gtrid = records[0].as.accept.gtrid;
    commit->gtrid.sequence = 8;
    commit->has_request = true;
    commit->request.id = records[0].as.accept.gtrid;
    commit->request.id.sequence = 7;
    commit->request.attempts = 3;
    snprintf(commit->request.queue, sizeof(commit->request.queue), "%s", "q");
    commit->branch_count = 1;
    commit->branches = alloc_array(1, sizeof(commit->branches[0]));
    commit->branches[0].gid = world_gid(&commit->gtrid, "order", 1);
    struct gtrid run = commit->gtrid;
    struct gtrid id = commit->request.id;
    recover(&world, records, 2);
    record_done(&records[0]);
    record_done(&records[1]);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 1);
    (void)world_connect(&world, "payment");
    assert_int_equal(works(&world), 0);
    assert_int_equal(state_of(&world, &id), TXN_COMMITTING);
    completes(&world, &run);
    assert_int_equal(state_of(&world, &id), TXN_COMMITTED);
    assert_int_equal(works(&world), 1);
    world_done(&world);
}

/* What is shown: the queue with its head; in lists the request and never its run; dead ones by their state. */
static void test_queue_views(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid dead = accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_CONSTRAINT);
    world_durable(&world);
    struct gtrid head = accepted(&world, "q", "");
    (void)accepted(&world, "q", "");
    (void)accepted(&world, "", "");
    struct queue_view *queues = NULL;
    struct queue_view unqueued;
    assert_int_equal(coord_queues(world.coord, &queues, &unqueued), 1);
    assert_string_equal(queues[0].name, "q");
    assert_int_equal(queues[0].length, 2);
    assert_int_equal(queues[0].dead, 1);
    assert_true(gtrid_equal(&queues[0].head, &head));
    assert_int_equal(queues[0].head_info.attempts, 1);
    assert_int_equal(unqueued.length, 1);
    free(queues);
    struct api_list list = {.any_state = true, .limit = 10};
    struct txn_view *views = NULL;
    size_t count = coord_list(world.coord, &list, &views);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++) {
        assert_true(views[i].request.is_request);
        txn_view_done(&views[i]);
    }
    free(views);
    list = (struct api_list){.state = TXN_DEAD, .limit = 10};
    assert_int_equal(coord_list(world.coord, &list, &views), 1);
    assert_true(gtrid_equal(&views[0].gtrid, &dead));
    txn_view_done(&views[0]);
    free(views);
    struct coord_counters counters;
    coord_counters_read(world.coord, &counters);
    assert_int_equal(counters.accepted, 4);
    assert_int_equal(counters.requests_dead, 1);
    assert_int_equal(counters.requests_waiting, 3);
    assert_int_equal(counters.died, 1);
    world_done(&world);
}

/* What the last step shows to those who watch: one accepted request, once; false: nothing. */
static bool shows(struct world *world, const struct gtrid *id, enum txn_state wanted)
{
    struct txn_view view;
    if (!coord_take_change(world->coord, &view)) {
        return false;
    }
    assert_true(view.request.is_request);
    assert_true(gtrid_equal(&view.gtrid, id));
    assert_int_equal(txn_state_shown(view.state), wanted);
    for (size_t i = 0; i < view.branch_count; i++) {
        assert_null(view.branches[i].work);
    }
    txn_view_done(&view);
    assert_false(coord_take_change(world->coord, &view));
    return true;
}

/* Who watches is shown the request, by its id, through all its runs: never that a run aborted, and no outcome but its own. */
static void test_queue_changes_are_the_requests(void **state)
{
    (void)state;
    struct world world;
    struct txn_view view;
    world_init_with(&world, (struct coord_config){.recent_max = 1});
    (void)accept_one(&world, "q", "k");
    struct gtrid id = world_append(&world, RECORD_ACCEPT)->as.accept.gtrid;
    assert_false(coord_take_change(world.coord, &view));
    world_durable(&world);
    struct gtrid run = world_last_gtrid(&world);
    assert_true(shows(&world, &id, TXN_PREPARING));
    fails(&world, &run, REASON_DEADLOCK);
    assert_true(shows(&world, &id, TXN_QUEUED));
    world_tick(&world, 500);
    assert_true(shows(&world, &id, TXN_PREPARING));
    run = world_last_gtrid(&world);
    fails(&world, &run, REASON_CONSTRAINT);
    assert_false(shows(&world, &id, TXN_ABORTED)); /* REFUSED is not durable */
    world_durable(&world);
    assert_true(shows(&world, &id, TXN_DEAD));
    (void)act_on(&world, &id, REQUEST_ACT_REQUEUE);
    assert_false(shows(&world, &id, TXN_QUEUED));
    world_durable(&world);
    assert_true(shows(&world, &id, TXN_PREPARING));
    run = world_last_gtrid(&world);
    decides(&world, &run);
    assert_false(shows(&world, &id, TXN_COMMITTING)); /* P-4 */
    world_durable(&world);
    assert_true(shows(&world, &id, TXN_COMMITTING));
    completes(&world, &run);
    assert_true(shows(&world, &id, TXN_COMMITTED));
    id = accepted(&world, "q", "d");
    run = world_last_gtrid(&world);
    fails(&world, &run, REASON_CONSTRAINT);
    world_durable(&world);
    assert_true(shows(&world, &id, TXN_DEAD));
    (void)act_on(&world, &id, REQUEST_ACT_DROP);
    assert_false(shows(&world, &id, TXN_ABORTED));
    world_durable(&world);
    assert_false(is_known(&world, &id));
    assert_true(shows(&world, &id, TXN_ABORTED));
    id = accepted(&world, "q", "e");
    run = world_last_gtrid(&world);
    fails(&world, &run, REASON_CONSTRAINT);
    world_durable(&world);
    (void)act_on(&world, &id, REQUEST_ACT_DROP);
    world_durable(&world); /* nobody watches */
    world_done(&world);
}

/* P-4: why and when a request died is not dated before its REFUSED is durable. */
static void test_p04_refused_has_no_date_before_it_is_durable(void **state)
{
    (void)state;
    struct world world;
    struct txn_view view;
    world_init(&world);
    struct gtrid id = accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_CONSTRAINT);
    assert_true(coord_view(world.coord, &id, false, &view));
    assert_int_equal(view.state, TXN_QUEUED);
    assert_int_equal(view.decided_wall_ms, 0);
    txn_view_done(&view);
    world_durable(&world);
    assert_true(coord_view(world.coord, &id, false, &view));
    assert_int_not_equal(view.decided_wall_ms, 0);
    txn_view_done(&view);
    world_done(&world);
}

/* P-4: a heuristic outcome of a committed run is shown of its request when its record is durable, and again when acknowledged. */
static void test_p04_heuristic_request_is_shown_when_durable(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid id = accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    decides(&world, &run);
    world_durable(&world);
    struct gid gid = world_gid(&run, "order", 1);
    world_ack(&world, "order", &gid, ACK_HEURISTIC_ROLLBACK);
    assert_false(shows(&world, &id, TXN_HEURISTIC));
    world_durable(&world);
    assert_true(shows(&world, &id, TXN_HEURISTIC));
    struct api_resolve resolve = {
        .gtrid = run, .action = RESOLVE_FORGET, .participant = "order", .comment = "refunded"};
    struct coord_event event = {
        .kind = COORD_EVENT_RESOLVE, .call = ++world.next_call, .resolve = &resolve};
    world_step(&world, &event);
    assert_false(shows(&world, &id, TXN_HEURISTIC));
    world_durable(&world);
    assert_true(shows(&world, &id, TXN_HEURISTIC));
    world_done(&world);
}

/* H1: an aborted run that somebody committed by hand is shown by itself to those who watch, as it is listed. */
static void test_h1_aborted_run_committed_by_hand_is_shown(void **state)
{
    (void)state;
    struct world world;
    struct txn_view view;
    world_init(&world);
    (void)accept_at(&world, "q", "", 1, true, 2);
    world_durable(&world);
    struct gtrid run = world_last_gtrid(&world);
    struct gid payment = world_gid(&run, "payment", 9);
    world_vote(&world, "payment", &payment, VOTE_COMMIT);
    fails(&world, &run, REASON_SERIALIZATION);
    world_ack(&world, "payment", &payment, ACK_HEURISTIC_COMMIT);
    world_durable(&world);
    assert_true(coord_take_change(world.coord, &view));
    assert_true(gtrid_equal(&view.gtrid, &run));
    assert_int_equal(view.state, TXN_HEURISTIC);
    assert_true(view.is_run);
    txn_view_done(&view);
    assert_false(coord_take_change(world.coord, &view));
    world_done(&world);
}

/* H1: an aborted run that somebody commits by hand is listed by itself, although runs are not: its request goes its own way. */
static void test_h1_aborted_run_committed_by_hand_is_listed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accept_at(&world, "q", "", 1, true, 2);
    world_durable(&world);
    struct gtrid run = world_last_gtrid(&world);
    struct gid payment = world_gid(&run, "payment", 9);
    world_vote(&world, "payment", &payment, VOTE_COMMIT);
    fails(&world, &run, REASON_SERIALIZATION);
    struct api_list list = {.state = TXN_ABORTING, .limit = 10};
    struct txn_view *views = NULL;
    assert_int_equal(coord_list(world.coord, &list, &views), 0);
    free(views);
    list = (struct api_list){.in_doubt = true, .limit = 10};
    assert_int_equal(coord_list(world.coord, &list, &views), 1);
    assert_true(gtrid_equal(&views[0].gtrid, &run));
    txn_view_done(&views[0]);
    free(views);
    world_ack(&world, "payment", &payment, ACK_HEURISTIC_COMMIT);
    world_durable(&world);
    list = (struct api_list){.state = TXN_HEURISTIC, .limit = 10};
    assert_int_equal(coord_list(world.coord, &list, &views), 1);
    assert_true(gtrid_equal(&views[0].gtrid, &run));
    assert_true(views[0].is_run);
    txn_view_done(&views[0]);
    free(views);
    world_done(&world);
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
        cmocka_unit_test(test_p01_requeue_goes_to_the_tail),
        cmocka_unit_test(test_p01_drop_is_final),
        cmocka_unit_test(test_queue_acts_that_are_refused),
        cmocka_unit_test(test_p18_key_of_an_accepted_request),
        cmocka_unit_test(test_p18_waiting_for_a_queued_request_ends),
        cmocka_unit_test(test_p18_key_waits_for_requeue_and_drop),
        cmocka_unit_test(test_p18_aborted_namesake_does_not_hide_the_commit),
        cmocka_unit_test(test_queue_limits),
        cmocka_unit_test(test_queue_active_bounds_runs),
        cmocka_unit_test(test_queue_backlog_does_not_keep_out_who_waits),
        cmocka_unit_test(test_queue_oldest_age),
        cmocka_unit_test(test_queue_last_event_is_kept),
        cmocka_unit_test(test_p10_recovered_request_waits_for_all_witnesses),
        cmocka_unit_test(test_p10_recovered_request_is_not_dropped_early),
        cmocka_unit_test(test_queue_recovered_order_is_that_of_positions),
        cmocka_unit_test(test_queue_recovered_dead_request),
        cmocka_unit_test(test_p01_recovered_commit_is_its_request),
        cmocka_unit_test(test_queue_views),
        cmocka_unit_test(test_queue_changes_are_the_requests),
        cmocka_unit_test(test_p04_refused_has_no_date_before_it_is_durable),
        cmocka_unit_test(test_p04_heuristic_request_is_shown_when_durable),
        cmocka_unit_test(test_h1_aborted_run_committed_by_hand_is_shown),
        cmocka_unit_test(test_h1_aborted_run_committed_by_hand_is_listed),
        cmocka_unit_test(test_queue_drain_keeps_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
