/* P-3 on a real server: what is a yes, and everything that looks like one. */
#include "tests/spec/pg_world.h"

static struct world *world;

static int set_up(void **state)
{
    (void)state;
    world = world_new(NULL);
    world_start(world, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(world);
    return 0;
}

/* A branch whose statements all succeed is prepared, invisible until its commit, and proved by its row. */
static void test_execute_plain_branch_prepares_and_commits(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 1);
    struct command_result *voted =
        world_execute(world, &gid, world_work("UPDATE item SET amount = 90 WHERE id = 1", NULL));
    assert_string_equal(voted->detail, "");
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(voted->proof.kind, PROOF_ROW);
    assert_int_not_equal(voted->proof.xid8, 0);
    assert_int_not_equal(voted->proof.system_id, 0);
    assert_int_equal(voted->proof.timeline, 1);
    assert_string_equal(world_sql(world, "SELECT amount FROM item WHERE id = 1"), "100");
    assert_int_equal(world_prepared_count(world), 1);

    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    assert_string_equal(world_sql(world, "SELECT amount FROM item WHERE id = 1"), "90");
    assert_string_equal(world_sql(world, "SELECT gid FROM assent.outcome"), world_gid_text(&gid));
    assert_int_equal(world_prepared_count(world), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_execute_plain_branch_prepares_and_commits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
