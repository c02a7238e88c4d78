/* P-21 on a real server: a client's SQL cannot leave its branch. */
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

/* Whatever would end or escape the transaction is refused before anything is sent: nothing of the branch
 * reaches the database. */
static void test_execute_control_statement_is_refused_by_policy(void **state)
{
    (void)state;
    const char *const statements[] = {
        "COMMIT",
        "COMMIT AND CHAIN",
        ";/* x */ commit",
        "ROLLBACK",
        "BEGIN",
        "SAVEPOINT a",
        "LISTEN x",
        "COPY item TO STDOUT",
        "SET ROLE postgres",
        "DISCARD ALL",
        "PREPARE TRANSACTION 'x'",
        "SET LOCAL synchronous_commit = off",
    };
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        struct gid gid = world_gid(world, 100 + i);
        struct command_result *voted =
            world_execute(world, &gid,
                          world_work("UPDATE item SET amount = 0 WHERE id = 1", statements[i],
                                     "UPDATE item SET amount = 0 WHERE id = 2", NULL));
        assert_int_equal(voted->class, PG_ROLLED_BACK);
        assert_int_equal(voted->failure.reason, REASON_REJECTED_BY_POLICY);
        struct pg_report report = {0};
        struct error error = {0};
        assert_true(pg_report_decode(voted->failure.report, &report, &error));
        assert_int_equal(report.statement_index, 1);
        pg_report_done(&report);
    }
    assert_string_equal(world_sql(world, "SELECT sum(amount) FROM item"), "1000");
    assert_int_equal(world_prepared_count(world), 0);
}

/* Two statements in one text are PostgreSQL's own error, so a second one cannot hide behind a first. */
static void test_execute_two_statements_in_one_text_fail(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 200);
    struct command_result *voted = world_execute(
        world, &gid, world_work("UPDATE item SET amount = 0 WHERE id = 1; COMMIT", NULL));
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    assert_string_equal(voted->failure.sqlstate, "42601");
    assert_string_equal(world_sql(world, "SELECT sum(amount) FROM item"), "1000");
}

/* Procedures and DO blocks cannot commit inside the branch either, and are told that it is not allowed (of a COMMIT in
 * EXECUTE the server says only that it is not implemented). */
static void test_execute_commit_inside_procedure_fails(void **state)
{
    (void)state;
    (void)world_sql(world, "CREATE PROCEDURE escape() LANGUAGE plpgsql AS"
                           " 'BEGIN UPDATE item SET amount = 0 WHERE id = 1; COMMIT; END'");
    const struct {
        const char *sql;
        enum reason reason;
    } cases[] = {{"CALL escape()", REASON_REJECTED_BY_POLICY},
                 {"DO 'BEGIN COMMIT; END'", REASON_REJECTED_BY_POLICY},
                 {"DO $$ BEGIN EXECUTE 'COMMIT'; END $$", REASON_STATEMENT_FAILED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gid gid = world_gid(world, 210 + i);
        struct command_result *voted = world_execute(world, &gid, world_work(cases[i].sql, NULL));
        assert_int_equal(voted->class, PG_ROLLED_BACK);
        assert_int_equal(voted->failure.reason, cases[i].reason);
    }
    assert_string_equal(world_sql(world, "SELECT sum(amount) FROM item"), "1000");
    assert_int_equal(world_prepared_count(world), 0);
}

/* A role taken inside the branch is given back before PREPARE: the branch belongs to the login role, so that
 * COMMIT PREPARED is allowed. */
static void test_execute_role_changed_by_client_is_taken_back(void **state)
{
    (void)state;
    (void)world_sql(world,
                    "CREATE ROLE app; GRANT app TO " WORLD_ROLE "; GRANT ALL ON item TO app");
    struct gid gid = world_gid(world, 220);
    struct command_result *voted =
        world_execute(world, &gid,
                      world_work("SELECT set_config('role', 'app', false)",
                                 "UPDATE item SET amount = 99 WHERE id = 1", NULL));
    assert_string_equal(voted->detail, "");
    assert_int_equal(voted->class, PG_OK);
    assert_string_equal(world_sql(world, "SELECT owner FROM pg_prepared_xacts"), WORLD_ROLE);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    assert_string_equal(world_sql(world, "SELECT amount FROM item WHERE id = 1"), "99");
}

/* A transaction that client SQL made read-only has no proof row, so it gives no vote. */
static void test_execute_transaction_made_read_only_says_no(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 221);
    struct command_result *voted = world_execute(
        world, &gid, world_work("SELECT set_config('transaction_read_only', 'on', true)", NULL));
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    assert_int_equal(voted->failure.reason, REASON_REJECTED_BY_POLICY);
    assert_int_equal(world_prepared_count(world), 0);
}

/* Results in another encoding than ours are refused, and the next branch has the right one again. */
static void test_execute_client_encoding_changed_says_no(void **state)
{
    (void)state;
    struct pg_options options = world_options(world);
    options.worker_count = 1;
    world_stop(world);
    world_start(world, &options);
    struct gid gid = world_gid(world, 222);
    struct command_result *voted =
        world_execute(world, &gid,
                      world_work("SELECT set_config('client_encoding', 'LATIN1', false)",
                                 "SELECT chr(228)", NULL));
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    assert_int_equal(voted->failure.reason, REASON_REJECTED_BY_POLICY);
    gid = world_gid(world, 223);
    voted = world_execute(world, &gid, world_work("SELECT chr(228)", NULL));
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
}

/* The branch's marker is looked for at the end; a statement that takes it away, as a chained commit would, gets no
 * yes, and what may be prepared is left to the coordinator's abort. */
static void test_execute_marker_gone_is_no_yes(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 225);
    struct command_result *voted = world_execute(
        world, &gid, world_work("SELECT set_config('assent.branch', '', true)", NULL));
    assert_int_equal(voted->class, PG_UNKNOWN);
    assert_int_equal(voted->failure.reason, REASON_REJECTED_BY_POLICY);
    assert_int_equal(world_look(world, &gid, true)->class, PG_OK);
    assert_int_equal(world_finish_when_ready(world, &gid, false)->class, PG_OK);
}

/* A session-level lock on a key that is also held for the transaction cannot be prepared; it is gone afterwards. */
static void test_execute_session_lock_does_not_survive_a_failed_prepare(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 224);
    struct command_result *voted = world_execute(
        world, &gid, world_work("SELECT pg_advisory_lock(7), pg_advisory_xact_lock(7)", NULL));
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    assert_int_equal(voted->failure.reason, REASON_NOT_PREPARABLE);
    world_await_sql(world, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0");
}

/* A role that a branch took for its session does not come back in the next branch, where a failed block gives back the
 * settings from before it. */
static void test_execute_role_is_reset_between_branches(void **state)
{
    (void)state;
    struct pg_options options = world_options(world);
    options.worker_count = 1;
    world_stop(world);
    world_start(world, &options);
    (void)world_sql(world, "CREATE ROLE lent; GRANT lent TO " WORLD_ROLE);
    struct gid gid = world_gid(world, 230);
    struct command_result *voted =
        world_execute(world, &gid, world_work("SELECT set_config('role', 'lent', false)", NULL));
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    gid = world_gid(world, 231);
    voted = world_execute(
        world, &gid,
        world_work("DO $$ BEGIN BEGIN PERFORM set_config('role', 'none', true);"
                   " RAISE EXCEPTION 'x'; EXCEPTION WHEN OTHERS THEN NULL; END; END $$",
                   "SELECT current_user", NULL));
    assert_int_equal(voted->class, PG_OK);
    struct results results = {0};
    struct error error = {0};
    assert_true(results_decode(voted->results, &results, &error));
    assert_string_equal(results.results[1].values[0], WORLD_ROLE);
    results_done(&results);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_execute_control_statement_is_refused_by_policy),
        cmocka_unit_test(test_execute_two_statements_in_one_text_fail),
        cmocka_unit_test(test_execute_commit_inside_procedure_fails),
        cmocka_unit_test(test_execute_role_changed_by_client_is_taken_back),
        cmocka_unit_test(test_execute_transaction_made_read_only_says_no),
        cmocka_unit_test(test_execute_client_encoding_changed_says_no),
        cmocka_unit_test(test_execute_marker_gone_is_no_yes),
        cmocka_unit_test(test_execute_session_lock_does_not_survive_a_failed_prepare),
        cmocka_unit_test(test_execute_role_is_reset_between_branches),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
