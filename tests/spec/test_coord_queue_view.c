/* test_coord_queue_view.c - what is shown of accepted requests, to who asks and to who watches (P-4, docs/adr/0017). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/spec/coord_requests.h"

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

static size_t count_with_key(const struct world *world, const char *key)
{
    struct api_list list = {.any_state = true, .limit = 10, .key_bytes = strlen(key)};
    memcpy(list.key, key, list.key_bytes);
    struct txn_view *views = NULL;
    size_t count = coord_list(world->coord, &list, &views);
    for (size_t i = 0; i < count; i++) {
        txn_view_done(&views[i]);
    }
    free(views);
    return count;
}

/* By its key, the whole of it, also while a run of it has the same. */
static void test_requests_are_listed_by_key(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accepted(&world, "q", "ab");
    (void)accepted(&world, "q", "cd");
    (void)accepted(&world, "q", "");
    assert_int_equal(count_with_key(&world, "ab"), 1);
    assert_int_equal(count_with_key(&world, "cd"), 1);
    assert_int_equal(count_with_key(&world, "ac"), 0);
    assert_int_equal(count_with_key(&world, "a"), 0);
    assert_int_equal(count_with_key(&world, "abc"), 0);
    assert_int_equal(count_with_key(&world, ""), 3); /* whatever key it has */
    world_done(&world);
}

static void at_participant(struct api_list *list, const char *name)
{
    (void)snprintf(list->participant, sizeof(list->participant), "%s", name);
}

/* P-1: what is not accepted durably is not listed. */
static void test_p01_request_is_listed_when_durable(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    const struct api_list list = {.any_state = true, .limit = 10};
    (void)accept_one(&world, "q", "");
    lists(&world, &list, 0, NULL);
    struct gtrid id = world_append(&world, RECORD_ACCEPT)->as.accept.gtrid;
    world_durable(&world);
    lists(&world, &list, 1, (const struct gtrid *const[]){&id});
    world_done(&world);
}

/* By participant, whether it runs or waits: where it has a branch. */
static void test_requests_are_listed_by_participant(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid first = accepted(&world, "q", "");
    (void)accept_at(&world, "q", "", 1, true, 2);
    struct gtrid second = world_append(&world, RECORD_ACCEPT)->as.accept.gtrid;
    world_durable(&world);
    struct api_list list = {.any_state = true, .limit = 10};
    at_participant(&list, "order");
    lists(&world, &list, 2, (const struct gtrid *const[]){&second, &first});
    at_participant(&list, "payment");
    lists(&world, &list, 1, (const struct gtrid *const[]){&second});
    at_participant(&list, "stock");
    lists(&world, &list, 0, NULL);
    list = (struct api_list){.state = TXN_QUEUED, .limit = 10};
    at_participant(&list, "order");
    lists(&world, &list, 1, (const struct gtrid *const[]){&second});
    world_done(&world);
}

/* A request is in doubt while its run is, and listed once: not the run besides. */
static void test_requests_in_doubt_are_listed_once(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct api_list list = {.in_doubt = true, .limit = 10};
    (void)accept_at(&world, "q", "", 1, true, 2);
    struct gtrid id = world_append(&world, RECORD_ACCEPT)->as.accept.gtrid;
    world_durable(&world);
    struct gtrid run = world_last_gtrid(&world);
    (void)accepted(&world, "q", ""); /* waits behind it */
    lists(&world, &list, 0, NULL);
    struct gid payment = world_gid(&run, "payment", 9);
    world_vote(&world, "payment", &payment, VOTE_COMMIT);
    lists(&world, &list, 1, (const struct gtrid *const[]){&id});
    at_participant(&list, "payment");
    lists(&world, &list, 1, (const struct gtrid *const[]){&id});
    at_participant(&list, "order");
    lists(&world, &list, 0, NULL);
    world_done(&world);
}

static struct gtrid listed_after(const struct world *world, const struct gtrid *after)
{
    struct api_list list = {.any_state = true, .limit = 1, .has_after = true, .after = *after};
    struct txn_view *views = NULL;
    assert_int_equal(coord_list(world->coord, &list, &views), 1);
    struct gtrid id = views[0].gtrid;
    txn_view_done(&views[0]);
    free(views);
    return id;
}

/* Transactions, requests and those that were dropped are one list, newest first, however they alternate, and a page goes on behind
 * any of them. */
static void test_list_goes_by_age_whatever_it_lists(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid ids[7]; /* oldest first */
    ids[0] = accepted(&world, "q", "");
    ids[1] = world_begin(&world, NULL).order.gtrid;
    ids[2] = accepted(&world, "q", "");
    ids[3] = accepted(&world, "q", "");
    (void)act_on(&world, &ids[3], REQUEST_ACT_DROP);
    world_durable(&world);
    ids[4] = world_begin(&world, NULL).order.gtrid;
    ids[5] = accepted(&world, "q", "");
    (void)act_on(&world, &ids[5], REQUEST_ACT_DROP);
    world_durable(&world);
    ids[6] = accepted(&world, "q", "");
    struct api_list list = {.any_state = true, .limit = 10};
    struct txn_view *views = NULL;
    assert_int_equal(coord_list(world.coord, &list, &views), 7);
    for (size_t i = 0; i < 7; i++) {
        assert_true(gtrid_equal(&views[i].gtrid, &ids[6 - i]));
        txn_view_done(&views[i]);
    }
    free(views);
    for (size_t i = 6; i > 0; i--) {
        struct gtrid next = listed_after(&world, &ids[i]);
        assert_true(gtrid_equal(&next, &ids[i - 1]));
    }
    world_done(&world);
}

/* An operator names what he was shown: the request. What is in doubt is its run. */
static void test_run_of_a_request_is_found(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct gtrid first = accepted(&world, "q", "");
    struct gtrid run = world_last_gtrid(&world);
    struct gtrid second = accepted(&world, "q", "");
    struct gtrid found = second;
    assert_true(coord_run_of(world.coord, &first, &found));
    assert_true(gtrid_equal(&found, &run));
    found = second;
    assert_false(coord_run_of(world.coord, &second, &found)); /* it waits for the first */
    assert_false(coord_run_of(world.coord, &run, &found));    /* no request */
    assert_true(gtrid_equal(&found, &second));
    world_done(&world);
}

/* The head is shown once it is durable; where all are dead there is none. */
static void test_queue_without_a_visible_head(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)accepted(&world, "dead", "");
    struct gtrid run = world_last_gtrid(&world);
    fails(&world, &run, REASON_CONSTRAINT);
    world_durable(&world);
    (void)accept_one(&world, "new", "");
    struct queue_view *queues = NULL;
    struct queue_view unqueued;
    assert_int_equal(coord_queues(world.coord, &queues, &unqueued), 2);
    assert_false(queues[0].has_head);
    assert_false(queues[1].has_head);
    free(queues);
    world_durable(&world);
    assert_int_equal(coord_queues(world.coord, &queues, &unqueued), 2);
    assert_true(queues[1].has_head);
    free(queues);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_oldest_age),
        cmocka_unit_test(test_queue_last_event_is_kept),
        cmocka_unit_test(test_queue_views),
        cmocka_unit_test(test_requests_are_listed_by_key),
        cmocka_unit_test(test_run_of_a_request_is_found),
        cmocka_unit_test(test_queue_without_a_visible_head),
        cmocka_unit_test(test_p01_request_is_listed_when_durable),
        cmocka_unit_test(test_requests_are_listed_by_participant),
        cmocka_unit_test(test_requests_in_doubt_are_listed_once),
        cmocka_unit_test(test_list_goes_by_age_whatever_it_lists),
        cmocka_unit_test(test_queue_changes_are_the_requests),
        cmocka_unit_test(test_p04_refused_has_no_date_before_it_is_durable),
        cmocka_unit_test(test_p04_heuristic_request_is_shown_when_durable),
        cmocka_unit_test(test_h1_aborted_run_committed_by_hand_is_shown),
        cmocka_unit_test(test_h1_aborted_run_committed_by_hand_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
