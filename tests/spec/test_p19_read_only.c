/* P-19 on a real server: declared read-only branches. */
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

static struct command_result *execute_read_only(enum isolation isolation, struct gid *gid,
                                                struct blob *work)
{
    struct command command = world_execute_command(gid, work);
    command.as.execute.read_only = true;
    command.as.execute.isolation = isolation;
    return world_await(world, world_submit(world, &command));
}

/* A read-only branch answers, takes no slot and leaves no row: it is ended by ROLLBACK. */
static void test_execute_read_only_prepares_nothing(void **state)
{
    (void)state;
    for (int i = ISOLATION_READ_COMMITTED; i <= ISOLATION_REPEATABLE_READ; i++) {
        struct gid gid = world_gid(world, 1);
        struct command_result *voted = execute_read_only(
            (enum isolation)i, &gid, world_work("SELECT sum(amount) FROM item", NULL));
        assert_int_equal(voted->class, PG_OK);
        assert_int_equal(voted->proof.kind, PROOF_NONE);
        assert_int_equal(world_prepared_count(world), 0);
        struct results results = {0};
        struct error error = {0};
        assert_true(results_decode(voted->results, &results, &error));
        assert_string_equal(results.results[0].values[0], "1000");
        results_done(&results);
    }
    assert_string_equal(world_sql(world, "SELECT count(*) FROM assent.outcome"), "0");
}

/* A branch that is declared read-only cannot write. */
static void test_execute_read_only_write_fails(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 2);
    struct command_result *voted = execute_read_only(
        ISOLATION_READ_COMMITTED, &gid, world_work("UPDATE item SET amount = 0", NULL));
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    assert_string_equal(voted->failure.sqlstate, "25006");
    assert_string_equal(world_sql(world, "SELECT sum(amount) FROM item"), "1000");
}

/* An expectation about rows holds for read-only branches, too. */
static void test_execute_read_only_row_count_differs_says_no(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 3);
    struct command_result *voted =
        execute_read_only(ISOLATION_READ_COMMITTED, &gid,
                          world_work_one("SELECT 1 FROM item WHERE id = 99", 0, NULL, 1));
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    assert_int_equal(voted->failure.reason, REASON_ROW_COUNT);
}

/* A serializable read-only branch is prepared like any other: its reads count until the end. */
static void test_execute_read_only_serializable_is_prepared(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 4);
    struct command_result *voted = execute_read_only(
        ISOLATION_SERIALIZABLE, &gid, world_work("SELECT sum(amount) FROM item", NULL));
    assert_string_equal(voted->detail, "");
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(voted->proof.kind, PROOF_XID);
    assert_int_equal(world_prepared_count(world), 1);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    struct command_result *proved = world_prove(world, &gid, &voted->proof, true, false);
    assert_int_equal(proved->proved, PROOF_SAYS_COMMITTED);
}

/* A branch that is declared read-only cannot write at the serializable level either. */
static void test_execute_read_only_serializable_write_fails(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 6);
    struct command_result *voted = execute_read_only(
        ISOLATION_SERIALIZABLE, &gid, world_work("UPDATE item SET amount = 0", NULL));
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    assert_string_equal(voted->failure.sqlstate, "25006");
    assert_int_equal(world_prepared_count(world), 0);
}

/* A branch that is not declared read-only is prepared although it got no xid: locks leave none (P-19). */
static void test_execute_undeclared_without_xid_is_prepared(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 5);
    struct command_result *voted =
        world_execute(world, &gid, world_work("SELECT pg_advisory_xact_lock(5)", NULL));
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(world_prepared_count(world), 1);
    assert_string_equal(world_sql(world, "SELECT pg_try_advisory_lock(5)"), "f");
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_execute_read_only_prepares_nothing),
        cmocka_unit_test(test_execute_read_only_write_fails),
        cmocka_unit_test(test_execute_read_only_row_count_differs_says_no),
        cmocka_unit_test(test_execute_read_only_serializable_is_prepared),
        cmocka_unit_test(test_execute_read_only_serializable_write_fails),
        cmocka_unit_test(test_execute_undeclared_without_xid_is_prepared),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
