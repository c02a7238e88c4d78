/* test_coord_queue_mutants.c - properties of accepted requests (docs/adr/0017) that hang on one line each: every test here was seen to
 * fail with that line changed. P-1, P-4, P-10, P-16, P-18. What the requests do as a whole is in test_coord_queue*.c. */
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

/* Over the participants named, with a body of its own for each. */
static uint64_t submit_over(struct world *world, struct submission submission,
                            const char *const *names, size_t count)
{
    submission.timeout_ms = 5000;
    submission.branch_count = count;
    submission.branches = alloc_array(count, sizeof(submission.branches[0]));
    memset(submission.body_hash, 1, BODY_HASH_BYTES);
    for (size_t i = 0; i < count; i++) {
        snprintf(submission.branches[i].participant, PARTICIPANT_NAME_SIZE, "%s", names[i]);
        submission.branches[i].work = blob_new(names[i], strlen(names[i]));
    }
    uint64_t call = world->next_call++;
    struct coord_event event = {
        .kind = COORD_EVENT_SUBMIT, .call = call, .submission = &submission};
    world_step(world, &event);
    submission_done(&submission);
    return call;
}

static struct gtrid accepted_over(struct world *world, const char *queue, const char *name)
{
    struct submission submission = {.is_async = true};
    snprintf(submission.queue, sizeof(submission.queue), "%s", queue);
    (void)submit_over(world, submission, &name, 1);
    struct gtrid id = world_append(world, RECORD_ACCEPT)->as.accept.gtrid;
    world_durable(world);
    return id;
}

static struct coord_counters counters_of(const struct world *world)
{
    struct coord_counters counters;
    coord_counters_read(world->coord, &counters);
    return counters;
}

static void space(struct world *world, bool is_ok)
{
    struct coord_event event = {.kind = COORD_EVENT_SPACE, .space_ok = is_ok};
    world_step(world, &event);
}

static void drain(struct world *world)
{
    struct coord_event event = {.kind = COORD_EVENT_DRAIN};
    world_step(world, &event);
}

/* The text of a refusal with this status. */
static const char *refused(const struct world *world, uint64_t call, enum api_status status)
{
    assert_int_equal(world_answer(world, call)->status, status);
    return world_answer(world, call)->text;
}

static uint64_t next_attempt_ms(const struct world *world, const struct gtrid *id)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, id, false, &view));
    uint64_t ms = view.request.next_attempt_ms;
    txn_view_done(&view);
    return ms;
}

static void assert_waits_for(const struct world *world, const struct gtrid *id, const char *wanted)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, id, false, &view));
    assert_string_equal(view.request.waiting_for, wanted);
    txn_view_done(&view);
}

static void records_done(struct record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        record_done(&records[i]);
    }
}

/* A committed run, over order, of a request of queue q with this key, 7 being its id and 8 the run's. */
static struct record commit_record(const char *key)
{
    struct record record = {.kind = RECORD_COMMIT};
    struct record accept = accept_record(7, "q", "");
    struct record_commit *commit = &record.as.commit;
    commit->gtrid = accept.as.accept.gtrid;
    commit->gtrid.sequence = 8;
    commit->key_bytes = strlen(key);
    memcpy(commit->key, key, commit->key_bytes);
    memset(commit->body_hash, 1, BODY_HASH_BYTES);
    commit->has_request = true;
    commit->request.id = accept.as.accept.gtrid;
    snprintf(commit->request.queue, sizeof(commit->request.queue), "%s", "q");
    commit->branch_count = 1;
    commit->branches = alloc_array(1, sizeof(commit->branches[0]));
    commit->branches[0].gid = world_gid(&commit->gtrid, "order", 1);
    record_done(&accept);
    return record;
}

/* ---- limits and counts ---- */

/* A limit is as large as it says, and what has committed, or was dropped, takes up none of it. */
static void test_queue_limits_count_what_is_kept(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.queue_max_bytes = 8});
    (void)accepted(&world, "q", "");
    (void)accepted(&world, "q", "");
    uint64_t call = accept_one(&world, "q", "");
    (void)refused(&world, call, API_REFUSED);
    world_done(&world);
    world_init_with(&world, (struct coord_config){.queue_max = 1, .queue_max_bytes = 4});
    for (size_t i = 0; i < 3; i++) {
        (void)accepted(&world, "q", "");
        struct gtrid run = world_last_gtrid(&world);
        assert_int_equal(counters_of(&world).requests_bytes, 4);
        decides(&world, &run);
        world_durable(&world);
        completes(&world, &run);
        assert_int_equal(counters_of(&world).requests_bytes, 0);
    }
    struct gtrid id = accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_CONSTRAINT);
    world_durable(&world);
    assert_int_equal(counters_of(&world).requests_bytes, 4);
    (void)act_on(&world, &id, REQUEST_ACT_DROP);
    world_durable(&world);
    assert_int_equal(counters_of(&world).requests_bytes, 0);
    (void)accepted(&world, "q", "");
    world_done(&world);
}

/* Until a person's word is durable the request counts, and is shown, as what it was: dead, or waiting. */
static void test_p01_acts_are_counted_once_durable(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid id = accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_CONSTRAINT);
    world_durable(&world);
    (void)act_on(&world, &id, REQUEST_ACT_REQUEUE);
    assert_int_equal(counters_of(&world).requests_dead, 1);
    world_durable(&world);
    assert_int_equal(counters_of(&world).requests_dead, 0);
    run = world_last_gtrid(&world);
    struct gtrid waiting = accepted(&world, "q", "");
    (void)act_on(&world, &waiting, REQUEST_ACT_DROP);
    assert_int_equal(counters_of(&world).requests_dead, 0);
    assert_int_equal(state_of(&world, &waiting), TXN_QUEUED);
    world_durable(&world);
    assert_int_equal(counters_of(&world).requests_dead, 0);
    fails(&world, &run, REASON_CONSTRAINT);
    world_durable(&world);
    (void)act_on(&world, &id, REQUEST_ACT_DROP);
    assert_int_equal(counters_of(&world).requests_dead, 1);
    assert_int_equal(state_of(&world, &id), TXN_DEAD);
    world_durable(&world);
    assert_int_equal(counters_of(&world).requests_dead, 0);
    world_done(&world);
}

/* The age of the oldest is 0 where the wall clock was set back to before it was accepted, and not half an eternity. */
static void test_queue_age_after_the_clock_went_back(void **state)
{
    (void)state;
    struct world world;
    struct record record = accept_record(7, "q", "");
    record.as.accept.wall_ms = UINT64_C(1800000000000);
    recover(&world, &record, 1);
    record_done(&record);
    assert_int_equal(counters_of(&world).oldest_request_ms, 0);
    world_done(&world);
}

/* ---- what may run ---- */

/* A request runs when its own participants are there, whoever else is away. */
static void test_queue_only_its_own_participants_are_waited_for(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world_disconnect(&world, world.order_session);
    (void)accepted_over(&world, "", "payment");
    assert_int_equal(works(&world), 1);
    world_done(&world);
}

/* P-10: only what was recovered waits for everybody's report: what is accepted now cannot have committed before. Such a one may be
 * dropped as well, and is shown to wait for its participant. */
static void test_p10_new_requests_do_not_wait_for_reconciliation(void **state)
{
    (void)state;
    struct world world;
    struct record record = accept_record(7, "q", "");
    struct gtrid old = record.as.accept.gtrid;
    recover(&world, &record, 1);
    record_done(&record);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    assert_waits_for(&world, &old, "every participant's first report after the restart");
    (void)accepted(&world, "r", "");
    assert_int_equal(works(&world), 1);
    struct gtrid second = accepted(&world, "r", "");
    (void)act_on(&world, &second, REQUEST_ACT_DROP);
    assert_int_equal(world_count_appends(&world, RECORD_DROPPED), 1);
    world_durable(&world);
    struct gtrid away = accepted_over(&world, "s", "payment");
    assert_waits_for(&world, &away, "participant payment");
    world_disconnect(&world, world.order_session);
    (void)world_connect(&world, "payment");
    assert_waits_for(&world, &old, "participant order");
    world_done(&world);
}

/* A participant that is in no configuration gets no work, though its agent has come. */
static void test_queue_unconfigured_participant_gets_no_work(void **state)
{
    (void)state;
    struct world world;
    struct record record = accept_record(7, "q", "");
    snprintf(record.as.accept.branches[0].participant, PARTICIPANT_NAME_SIZE, "%s", "stock");
    struct gtrid id = record.as.accept.gtrid;
    recover(&world, &record, 1);
    record_done(&record);
    world_durable(&world);
    (void)world_connect(&world, "order");
    (void)world_connect(&world, "payment");
    (void)world_connect(&world, "stock");
    assert_true(counters_of(&world).reconciled);
    assert_int_equal(works(&world), 0);
    assert_waits_for(&world, &id, "participant stock");
    world_done(&world);
}

/* On the journal's reserve nothing is begun; with the space the request runs. */
static void test_p16_no_run_is_begun_on_the_reserve(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.queue_active = 1});
    (void)accepted(&world, "", "");
    struct gtrid run = world_last_gtrid(&world);
    (void)accepted(&world, "", "");
    space(&world, false);
    decides(&world, &run);
    world_durable(&world);
    assert_int_equal(works(&world), 0);
    space(&world, true);
    assert_int_equal(works(&world), 1);
    run = world_last_gtrid(&world);
    decides(&world, &run);
    world_durable(&world);
    world_disconnect(&world, world.order_session);
    struct gtrid parked = accepted(&world, "", "");
    assert_waits_for(&world, &parked, "participant order");
    space(&world, false);
    (void)world_connect(&world, "order");
    assert_waits_for(&world, &parked, ""); /* for space alone */
    space(&world, true);
    assert_int_equal(works(&world), 1);
    world_done(&world);
}

/* A drain begins no run, though there is room and the participant is there. */
static void test_queue_drain_begins_no_run(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    (void)accepted(&world, "q", "");
    drain(&world);
    decides(&world, &run);
    world_durable(&world);
    completes(&world, &run);
    assert_int_equal(works(&world), 0);
    world_done(&world);
}

/* A client's patience that ends does not end a backoff. */
static void test_queue_patience_ends_no_backoff(void **state)
{
    (void)state;
    struct world world;
    world_init_with(
        &world, (struct coord_config){.queue_retry_min_ms = 30000, .queue_retry_max_ms = 60000});
    struct gtrid head = accepted(&world, "", "a");
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_DEADLOCK);
    uint64_t call = accept_at(&world, "", "a", 1, false, 1);
    assert_int_equal(next_attempt_ms(&world, &head), 30000);
    world_tick(&world, 5000);
    assert_int_equal(world_answer(&world, call)->status, API_ACCEPTED);
    assert_int_equal(works(&world), 0);
    assert_int_equal(next_attempt_ms(&world, &head), 25000);
    world.now_ms += 25001; /* its time has come, and the event is another one than the timer's */
    call = accept_one(&world, "", "a");
    assert_int_equal(world_answer(&world, call)->views[0].request.next_attempt_ms, 0);
    assert_int_equal(works(&world), 1);
    assert_int_equal(next_attempt_ms(&world, &head), 0);
    world_done(&world);
}

/* Nor does it put the request behind others that may run as well. */
static void test_queue_ready_ones_keep_their_order(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.queue_active = 1});
    (void)accept_one(&world, "", "a");
    world_durable(&world);
    struct gtrid first = accepted(&world, "", "c");
    struct gtrid second = accepted(&world, "", "d");
    space(&world, false); /* whoever gets a place waits with it */
    (void)accept_at(&world, "", "c", 1, false, 1);
    world_tick(&world, 5000); /* the run times out, and c's client is told that it is accepted */
    space(&world, true);
    assert_int_equal(works(&world), 1);
    assert_int_equal(state_of(&world, &first), TXN_PREPARING);
    assert_int_equal(state_of(&world, &second), TXN_QUEUED);
    world_done(&world);
}

/* When another one leaves the queue, the head stays where it waits. */
static void test_queue_head_stays_where_it_waits(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid head = accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    struct gtrid second = accepted(&world, "q", "");
    fails(&world, &run, REASON_DEADLOCK);
    (void)act_on(&world, &second, REQUEST_ACT_DROP);
    world_durable(&world);
    assert_int_equal(next_attempt_ms(&world, &head), 500);
    world_tick(&world, 500);
    assert_int_equal(works(&world), 1);
    assert_int_equal(next_attempt_ms(&world, &head), 0);
    run = world_last_gtrid(&world);
    fails(&world, &run, REASON_DEADLOCK);
    (void)act_on(&world, &head, REQUEST_ACT_DROP); /* no attempt is to come any more */
    assert_int_equal(next_attempt_ms(&world, &head), 0);
    world_done(&world);
}

/* ---- what is told ---- */

/* ACCEPT has what recovery needs, and the view of one that waits names its participants and what it asks of them. */
static void test_p01_accept_has_the_branches(void **state)
{
    (void)state;
    static const char *const names[] = {"payment", "order"};
    struct world world;
    world_init(&world);
    world_disconnect(&world, world.payment_session);
    (void)submit_over(&world, (struct submission){.is_async = true}, names, 2);
    const struct record_accept *accept = &world_append(&world, RECORD_ACCEPT)->as.accept;
    struct gtrid id = accept->gtrid;
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(accept->branches[i].participant, names[i]);
        assert_int_equal(accept->branches[i].work->size_bytes, strlen(names[i]));
    }
    world_durable(&world);
    struct txn_view view;
    assert_true(coord_view(world.coord, &id, true, &view));
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(view.branches[i].participant, names[i]);
        assert_int_equal(view.branches[i].state, BRANCH_IDLE);
    }
    txn_view_done(&view);
    (void)world_connect(&world, "payment");
    struct gtrid run = world_last_gtrid(&world);
    char text[GTRID_TEXT_SIZE];
    gtrid_format(&run, text);
    assert_true(coord_view(world.coord, &id, true, &view));
    assert_string_equal(view.branches[0].participant, "payment");
    assert_int_equal(view.branches[0].state, BRANCH_WORKING);
    assert_string_equal(view.events[0].kind, "accepted");
    assert_string_equal(view.events[1].kind, "run-started"); /* which run it was */
    assert_string_equal(view.events[1].detail, text);
    txn_view_done(&view);
    world_done(&world);
}

/* P-18: who asked for the decision hears it with the COMMIT, not when everybody has acknowledged; `replayed` counts those alone
 * who are told a commit again. */
static void test_p18_repetition_that_waits_for_the_decision(void **state)
{
    (void)state;
    static const char *const names[] = {"order"};
    struct world world;
    world_init(&world);
    (void)accepted(&world, "q", "k");
    struct gtrid run = world_last_gtrid(&world);
    uint64_t call = submit_over(
        &world, (struct submission){.ack = ACK_MODE_DECIDED, .key_bytes = 1, .key = "k"}, names, 1);
    (void)accept_one(&world, "q", "k"); /* 202: no replay of anything */
    assert_int_equal(counters_of(&world).replayed, 0);
    decides(&world, &run);
    world_durable(&world);
    assert_int_equal(world_answer(&world, call)->status, API_OK);
    assert_int_equal(counters_of(&world).replayed, 1);
    world_done(&world);
}

/* P-1: however long the disk takes, a client whose time is over is told nothing before ACCEPT is durable. */
static void test_p01_patience_ends_while_accept_is_written(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accept_one(&world, "q", "k");
    uint64_t call = accept_at(&world, "", "k", 1, false, 1);
    world_tick(&world, 6000);
    assert_null(world_answer(&world, call));
    world_durable(&world);
    assert_int_equal(world_answer(&world, call)->status, API_ACCEPTED);
    world_done(&world);
}

/* Who may act, and what an operator reads where it is refused. */
static void test_queue_acts_tell_why_not(void **state)
{
    (void)state;
    struct world world;
    struct record records[3] = {
        accept_record(6, "", ""), {.kind = RECORD_REFUSED}, commit_record("")};
    records[1].as.refused.gtrid = records[0].as.accept.gtrid;
    records[1].as.refused.failure.reason = REASON_CONSTRAINT;
    struct gtrid dead = records[0].as.accept.gtrid;
    struct gtrid committed = records[2].as.commit.request.id;
    recover(&world, records, 3);
    records_done(records, 3);
    uint64_t call = act_on(&world, &dead, REQUEST_ACT_REQUEUE); /* EPOCH is not durable */
    assert_non_null(strstr(refused(&world, call, API_CONFLICT), "starting"));
    world_durable(&world);
    call = act_on(&world, &committed, REQUEST_ACT_DROP);
    assert_string_equal(refused(&world, call, API_CONFLICT), "the request has committed");
    (void)world_connect(&world, "order");
    (void)world_connect(&world, "payment");
    (void)accept_one(&world, "q", "");
    struct gtrid unseen = world_append(&world, RECORD_ACCEPT)->as.accept.gtrid;
    call = act_on(&world, &unseen, REQUEST_ACT_DROP); /* nobody was told of it */
    assert_string_equal(refused(&world, call, API_NOT_FOUND), "");
    struct api_request_act act = {.id = unseen, .act = REQUEST_ACT_DROP};
    act.id.sequence += 1000;
    struct coord_event event = {
        .kind = COORD_EVENT_REQUEST_ACT, .call = world.next_call++, .act = &act};
    event.prior.looked_up = true;
    event.prior.found = true; /* the journal has it */
    world_step(&world, &event);
    assert_non_null(
        strstr(refused(&world, event.call, API_CONFLICT), "no accepted request that waits"));
    space(&world, false);
    call = act_on(&world, &dead, REQUEST_ACT_REQUEUE);
    assert_non_null(strstr(refused(&world, call, API_CONFLICT), "disk is nearly full"));
    (void)act_on(&world, &dead, REQUEST_ACT_DROP); /* that makes room */
    assert_int_equal(world_count_appends(&world, RECORD_DROPPED), 1);
    assert_string_equal(world_append(&world, RECORD_DROPPED)->as.dropped.queue, "");
    drain(&world);
    call = act_on(&world, &dead, REQUEST_ACT_DROP);
    assert_non_null(strstr(refused(&world, call, API_CONFLICT), "shutting down"));
    world_done(&world);
}

/* DROPPED tells in which queue it was, for whoever asks later. */
static void test_queue_drop_record_has_the_queue(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accepted(&world, "q", "");
    struct gtrid second = accepted(&world, "q", "");
    (void)act_on(&world, &second, REQUEST_ACT_DROP);
    assert_string_equal(world_append(&world, RECORD_DROPPED)->as.dropped.queue, "q");
    world_done(&world);
}

/* ---- recovery ---- */

/* P-16: a recovered request is what was accepted: whom it is over, what it asks, how much that is, and where it failed. */
static void test_p16_recovered_request_is_whole(void **state)
{
    (void)state;
    struct world world;
    struct record records[4] = {accept_record(5, "q", ""),
                                {.kind = RECORD_REFUSED},
                                accept_record(6, "q", ""),
                                {.kind = RECORD_REFUSED}};
    snprintf(records[0].as.accept.branches[0].participant, PARTICIPANT_NAME_SIZE, "%s", "payment");
    struct gtrid ids[] = {records[0].as.accept.gtrid, records[2].as.accept.gtrid};
    for (size_t i = 0; i < 2; i++) {
        records[2 * i + 1].as.refused.gtrid = ids[i];
        records[2 * i + 1].as.refused.failure.reason = REASON_CONSTRAINT;
    }
    struct record_refused *refused = &records[1].as.refused;
    snprintf(refused->participant, sizeof(refused->participant), "%s", "payment");
    recover(&world, records, 4);
    records_done(records, 4);
    assert_int_equal(counters_of(&world).requests_bytes, 8);
    struct txn_view view;
    assert_true(coord_view(world.coord, &ids[0], false, &view));
    assert_string_equal(view.branches[0].participant, "payment");
    assert_int_equal(view.branches[0].work->size_bytes, 4);
    assert_string_equal(view.failed_participant, "payment");
    txn_view_done(&view);
    assert_true(coord_view(world.coord, &ids[1], false, &view));
    assert_string_equal(view.failed_participant, "");
    txn_view_done(&view);
    world_done(&world);
}

/* The order of many recovered requests, of several epochs, each once: an epoch before the next, however small that one's
 * sequences are. Given here from the back, from the front and mixed. */
static void test_queue_recovered_order_of_many(void **state)
{
    (void)state;
    enum { COUNT = 7, WAYS = 3 };
    static const size_t ways[WAYS][COUNT] = {
        {6, 5, 4, 3, 2, 1, 0}, {0, 1, 2, 3, 4, 5, 6}, {3, 0, 5, 1, 6, 4, 2}};
    for (size_t way = 0; way < WAYS; way++) {
        struct world world;
        struct record records[2 * COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            size_t place = ways[way][i];
            records[i] = accept_record(100 + i, "q", "");
            records[COUNT + i] = (struct record){.kind = RECORD_REQUEUED};
            struct record_requeued *requeued = &records[COUNT + i].as.requeued;
            requeued->gtrid = records[i].as.accept.gtrid;
            requeued->epoch = place < 4 ? 1 : 2;
            requeued->sequence = place < 4 ? 50 + place : place;
        }
        recover(&world, records, 2 * COUNT);
        world_durable(&world);
        world.order_session = world_connect(&world, "order");
        (void)world_connect(&world, "payment");
        for (size_t place = 0; place < COUNT; place++) {
            assert_int_equal(works(&world), 1);
            struct gtrid run = world_last_gtrid(&world);
            decides(&world, &run);
            uint64_t sequence = world_append(&world, RECORD_COMMIT)->as.commit.request.id.sequence;
            assert_int_equal(ways[way][sequence - 100], place);
            world_durable(&world);
            completes(&world, &run);
        }
        records_done(records, 2 * COUNT);
        world_done(&world);
    }
}

/* P-18: the key of a recovered commit is its request's: asked again, the answer names the request and not the run. */
static void test_p18_key_of_a_recovered_commit(void **state)
{
    (void)state;
    struct world world;
    struct record record = commit_record("k");
    struct gtrid id = record.as.commit.request.id;
    struct gtrid run = record.as.commit.gtrid;
    recover(&world, &record, 1);
    record_done(&record);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    completes(&world, &run);
    uint64_t call = accept_one(&world, "q", "k");
    assert_int_equal(world_answer(&world, call)->status, API_OK);
    assert_true(gtrid_equal(&world_answer(&world, call)->views[0].gtrid, &id));
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_limits_count_what_is_kept),
        cmocka_unit_test(test_p01_acts_are_counted_once_durable),
        cmocka_unit_test(test_queue_age_after_the_clock_went_back),
        cmocka_unit_test(test_queue_only_its_own_participants_are_waited_for),
        cmocka_unit_test(test_p10_new_requests_do_not_wait_for_reconciliation),
        cmocka_unit_test(test_queue_unconfigured_participant_gets_no_work),
        cmocka_unit_test(test_p16_no_run_is_begun_on_the_reserve),
        cmocka_unit_test(test_queue_drain_begins_no_run),
        cmocka_unit_test(test_queue_patience_ends_no_backoff),
        cmocka_unit_test(test_queue_ready_ones_keep_their_order),
        cmocka_unit_test(test_queue_head_stays_where_it_waits),
        cmocka_unit_test(test_p01_accept_has_the_branches),
        cmocka_unit_test(test_p18_repetition_that_waits_for_the_decision),
        cmocka_unit_test(test_p01_patience_ends_while_accept_is_written),
        cmocka_unit_test(test_queue_acts_tell_why_not),
        cmocka_unit_test(test_queue_drop_record_has_the_queue),
        cmocka_unit_test(test_p16_recovered_request_is_whole),
        cmocka_unit_test(test_queue_recovered_order_of_many),
        cmocka_unit_test(test_p18_key_of_a_recovered_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
