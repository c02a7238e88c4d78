/* test_coord_changes.c - P-4, P-16: what those who watch are shown, and when: each change of a state once, and nothing that is not durable. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "tests/spec/coord_world.h"

/* The states that the last step's changes show, in order: "committed aborted", or "". */
static const char *changes(struct world *world)
{
    static char text[512];
    struct txn_view view;
    text[0] = '\0';
    while (coord_take_change(world->coord, &view)) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
                 text[0] == '\0' ? "" : " ", txn_state_text(view.state));
        struct txn_view now; /* the same as everybody is shown */
        assert_true(coord_view(world->coord, &view.gtrid, false, &now));
        assert_int_equal(now.state, view.state);
        txn_view_done(&now);
        txn_view_done(&view);
    }
    return text;
}

/* A commit: begun, decided when its record is durable and not before, done when the last branch has acknowledged. */
static void test_changes_of_a_commit_follow_its_record(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    assert_string_equal(changes(&world), "preparing");
    assert_string_equal(changes(&world), ""); /* taken */
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    assert_string_equal(changes(&world), "");
    world_vote(&world, "payment", &pair.payment, VOTE_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 1);
    assert_string_equal(changes(&world), ""); /* P-4: the record is on its way */
    world_durable(&world);
    assert_string_equal(changes(&world), "committing");
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    assert_string_equal(changes(&world), "");
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_string_equal(changes(&world), "committed");
    world_done(&world);
}

/* An abort: decided with the first no, done when nothing is left anywhere. */
static void test_changes_of_an_abort(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    assert_string_equal(changes(&world), "aborting");
    world_ack(&world, "order", &pair.order, ACK_ROLLED_BACK);
    assert_string_equal(changes(&world), "aborted");
    world_done(&world);
}

/* A heuristic outcome is shown when its record is durable, and again when a person has acknowledged it. */
static void test_changes_of_a_heuristic_follow_its_record(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_HEURISTIC_ROLLBACK);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    assert_string_equal(changes(&world), "");
    world_durable(&world);
    assert_string_equal(changes(&world), "heuristic");
    struct api_resolve resolve = {.gtrid = pair.order.gtrid,
                                  .action = RESOLVE_FORGET,
                                  .participant = "payment",
                                  .comment = "refunded"};
    struct coord_event event = {
        .kind = COORD_EVENT_RESOLVE, .call = ++world.next_call, .resolve = &resolve};
    world_step(&world, &event);
    assert_string_equal(changes(&world), "");
    world_durable(&world);
    struct txn_view view;
    assert_true(coord_take_change(world.coord, &view));
    assert_int_equal(view.state, TXN_HEURISTIC);
    assert_true(view.acknowledged);
    txn_view_done(&view);
    assert_string_equal(changes(&world), "");
    world_done(&world);
}

/* What nobody took is forgotten with the next step; several that change in one step are all there. */
static void test_changes_belong_to_one_step(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    const struct pair one = world_decided(&world, NULL);
    const struct pair two = world_decided(&world, NULL);
    (void)one;
    (void)two;
    world_durable(&world);
    assert_string_equal(changes(&world), "committing committing");
    (void)world_begin(&world, NULL);
    world_tick(&world, 1);
    assert_string_equal(changes(&world), "");
    world_done(&world);
}

/* However few finished transactions are kept in memory, and they are as many as may be, one that has just finished is shown. */
static void test_changes_survive_a_short_memory(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.recent_max = 2});
    for (uint64_t i = 0; i < 5; i++) {
        struct pair pair = world_committing(&world, NULL);
        world_ack(&world, "order", &pair.order, ACK_COMMITTED);
        world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
        assert_string_equal(changes(&world), "committed");
        struct coord_counters counters;
        coord_counters_read(world.coord, &counters);
        assert_int_equal(counters.recent, i == 0 ? 1 : 2);
    }
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_of_a_commit_follow_its_record),
        cmocka_unit_test(test_changes_of_an_abort),
        cmocka_unit_test(test_changes_of_a_heuristic_follow_its_record),
        cmocka_unit_test(test_changes_belong_to_one_step),
        cmocka_unit_test(test_changes_survive_a_short_memory),
    };
    return cmocka_run_group_tests_name("coord_changes", tests, NULL, NULL);
}
