/* test_coord_queue_recovery.c - accepted requests after a restart (P-1, P-10, P-16, docs/adr/0017). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "tests/spec/coord_requests.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p10_recovered_request_waits_for_all_witnesses),
        cmocka_unit_test(test_p10_recovered_request_is_not_dropped_early),
        cmocka_unit_test(test_queue_recovered_order_is_that_of_positions),
        cmocka_unit_test(test_queue_recovered_dead_request),
        cmocka_unit_test(test_p01_recovered_commit_is_its_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
