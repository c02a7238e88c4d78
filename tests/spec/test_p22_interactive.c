/* P-22 on a real server: an interactive branch has one connection from its first statement to its end, or it is over. */
#include <libpq-fe.h>

#include "common/clock.h"
#include "participant/pg_internal.h"
#include "tests/spec/pg_world.h"

#define IDLE_IN_BRANCH                                                                             \
    "SELECT count(*) FROM pg_stat_activity WHERE usename = '" WORLD_ROLE                           \
    "' AND state LIKE 'idle in transaction%'"
#define BRANCH_BACKEND                                                                             \
    "FROM pg_stat_activity WHERE usename = '" WORLD_ROLE                                           \
    "' AND application_name LIKE '%/interactive'"

static struct world *world;

static void edge_start(void)
{
    struct pg_options options = world_options(world);
    options.interactive_count = 2;
    world_start(world, &options);
}

static int set_up(void **state)
{
    (void)state;
    world = world_new(NULL);
    edge_start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(world);
    return 0;
}

static struct command statement_command(const struct gid *gid, uint64_t ordinal, struct blob *work)
{
    return (struct command){
        .kind = COMMAND_STATEMENT,
        .as.statement = {.execute = {.gid = *gid,
                                     .deadline_ms = clock_monotonic_ms() + 10000,
                                     .work = work},
                         .ordinal = ordinal},
    };
}

static struct command_result *say(const struct gid *gid, uint64_t ordinal, const char *sql)
{
    struct command command = statement_command(gid, ordinal, world_work(sql, NULL));
    return world_await(world, world_submit(world, &command));
}

static void say_ok(const struct gid *gid, uint64_t ordinal, const char *sql)
{
    struct command_result *result = say(gid, ordinal, sql);
    if (result->class != PG_OK) {
        fail_msg("%s: %s", sql, result->detail);
    }
}

static struct command prepare_command(const struct gid *gid)
{
    return (struct command){
        .kind = COMMAND_PREPARE,
        .as.prepare = {.gid = *gid, .deadline_ms = clock_monotonic_ms() + 10000}};
}

static struct command_result *prepare(const struct gid *gid)
{
    struct command command = prepare_command(gid);
    return world_await(world, world_submit(world, &command));
}

static void close_branch(const struct gid *gid)
{
    struct command command = {.kind = COMMAND_CLOSE, .as.close = *gid};
    assert_int_equal(world_await(world, world_submit(world, &command))->class, PG_OK);
}

static void assert_over(const struct command_result *result, enum reason reason)
{
    assert_int_equal(result->class, PG_ROLLED_BACK);
    assert_int_equal(result->failure.reason, reason);
    assert_null(result->results);
}

/* Nothing of it holds a lock any more: somebody else changes the row without waiting. */
static void assert_row_is_free(int id)
{
    char sql[96];
    (void)snprintf(sql, sizeof sql, "SELECT amount FROM item WHERE id = %d FOR UPDATE NOWAIT", id);
    assert_string_equal(world_sql(world, sql), "100");
}

/* The one value of a result of one statement; owned. */
static char *value(const struct command_result *result)
{
    struct results results = {0};
    struct error error = {0};
    assert_success(results_decode(result->results, &results, &error), &error);
    assert_int_equal(results.result_count, 1);
    assert_int_equal(results.results[0].row_count, 1);
    char *text = strdup(results.results[0].values[0]);
    results_done(&results);
    return text;
}

static void assert_value(const struct command_result *result, const char *expected)
{
    assert_int_equal(result->class, PG_OK);
    char *text = value(result);
    assert_string_equal(text, expected);
    free(text);
}

/* Statements see what those before them did, nobody else does, and PREPARE and COMMIT make it true. */
static void test_interactive_statements_are_one_transaction(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 1);
    say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 1");
    assert_value(say(&gid, 2, "SELECT amount FROM item WHERE id = 1"), "50");
    assert_string_equal(world_sql(world, "SELECT amount FROM item WHERE id = 1"), "100");
    say_ok(&gid, 3, "UPDATE item SET amount = amount + 1 WHERE id = 1");
    struct command_result *voted = prepare(&gid);
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(voted->proof.kind, PROOF_ROW);
    assert_int_equal(world_prepared_count(world), 1);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    assert_string_equal(world_sql(world, "SELECT amount FROM item WHERE id = 1"), "51");
    (void)world_sql(world, "UPDATE item SET amount = 100 WHERE id = 1");
    struct command_result *proved = world_prove(world, &gid, &voted->proof, true, false);
    assert_int_equal(proved->proved, PROOF_SAYS_COMMITTED);
}

/* CLOSE undoes everything, and the locks are gone when it is answered. */
static void test_interactive_close_leaves_nothing(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 2);
    say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 2");
    close_branch(&gid);
    assert_row_is_free(2);
    close_branch(&gid); /* what is gone is closed */
    assert_over(say(&gid, 2, "UPDATE item SET amount = 1 WHERE id = 2"),
                REASON_PARTICIPANT_UNAVAILABLE);
    assert_over(prepare(&gid), REASON_PARTICIPANT_UNAVAILABLE);
    assert_int_equal(world_prepared_count(world), 0);
}

/* After a failed statement the branch is over: its locks are gone, nothing can follow, nothing can be prepared. */
static void test_interactive_failed_statement_ends_the_branch(void **state)
{
    (void)state;
    const struct {
        const char *sql;
        enum reason reason;
    } cases[] = {
        {"INSERT INTO item VALUES (1, 1)", REASON_CONSTRAINT},
        {"SELECT 1 / 0", REASON_STATEMENT_FAILED},
        {"SELECT 'x'::int", REASON_STATEMENT_FAILED},
        {"NONSENSE", REASON_STATEMENT_FAILED},
        {"SELECT 1; SELECT 2", REASON_STATEMENT_FAILED},
        {"SELECT repeat('x', 100000)", REASON_RESULT_TOO_LARGE},
        {"COMMIT", REASON_REJECTED_BY_POLICY},
        {"COMMIT AND CHAIN", REASON_REJECTED_BY_POLICY},
        {"PREPARE TRANSACTION 'x'", REASON_REJECTED_BY_POLICY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gid gid = world_gid(world, 100 + i);
        say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 3");
        assert_over(say(&gid, 2, cases[i].sql), cases[i].reason);
        assert_row_is_free(3);
        assert_over(say(&gid, 3, "SELECT 1"), REASON_PARTICIPANT_UNAVAILABLE);
        assert_over(prepare(&gid), REASON_PARTICIPANT_UNAVAILABLE);
    }
    assert_int_equal(world_prepared_count(world), 0);
}

/* Another number of rows than expected is a no, and what was touched is let go. */
static void test_interactive_row_count_differs_ends_the_branch(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 4);
    struct command command = statement_command(
        &gid, 1, world_work_one("UPDATE item SET amount = 0 WHERE id = 4", 0, NULL, 2));
    assert_over(world_await(world, world_submit(world, &command)), REASON_ROW_COUNT);
    assert_row_is_free(4);
}

/* Parameters of each statement: NULL and text arrive, one that does not fit is a failed statement. */
static void test_interactive_parameters_arrive_or_fail(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 5);
    const char *const well[] = {"12.50", NULL};
    struct command command = statement_command(
        &gid, 1,
        world_work_one("SELECT $1::numeric || coalesce($2, '-')", 2, well, EXPECT_ROWS_ANY));
    assert_value(world_await(world, world_submit(world, &command)), "12.50-");
    const char *const wrong[] = {"twelve"};
    command =
        statement_command(&gid, 2, world_work_one("SELECT $1::int", 1, wrong, EXPECT_ROWS_ANY));
    struct command_result *result = world_await(world, world_submit(world, &command));
    assert_over(result, REASON_STATEMENT_FAILED);
    assert_string_equal(result->failure.sqlstate, "22P02");
}

/* P-21: no statement can commit a part of the branch. */
static void test_interactive_statement_cannot_leave_the_transaction(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 6);
    say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 6");
    struct command_result *result = say(&gid, 2, "DO 'BEGIN COMMIT; END'");
    assert_int_equal(result->class, PG_ROLLED_BACK);
    assert_row_is_free(6);
}

/* The backend was killed between two statements: the next one does not run on another backend. */
static void test_interactive_lost_backend_ends_the_branch(void **state)
{
    (void)state;
    for (int asks_prepare = 0; asks_prepare < 2; asks_prepare++) {
        struct gid gid = world_gid(world, 7);
        say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 7");
        (void)world_sql(world, "SELECT pg_terminate_backend(pid) " BRANCH_BACKEND
                               " AND state = 'idle in transaction'");
        world_await_sql(world, IDLE_IN_BRANCH, "0");
        struct command_result *result =
            asks_prepare ? prepare(&gid) : say(&gid, 2, "UPDATE item SET amount = 60 WHERE id = 7");
        /* If its end was not seen yet when PREPARE was sent, only doubt is left; never a yes. */
        assert_true(result->class == PG_ROLLED_BACK ||
                    (asks_prepare && result->class == PG_UNKNOWN));
        assert_int_equal(result->failure.reason, REASON_PARTICIPANT_UNAVAILABLE);
        assert_row_is_free(7);
    }
    assert_int_equal(world_prepared_count(world), 0);
    struct gid next = world_gid(world, 8); /* and the pool recovers */
    say_ok(&next, 1, "SELECT 1");
    close_branch(&next);
}

/* P-14: once the keeper knows that the database is another one, a connection to the one before is over, though it lives (an
 * address that moved, and the old server still runs): nothing is said there any more, and nothing prepared. */
static void test_interactive_other_history_ends_the_branch(void **state)
{
    (void)state;
    for (int asks_prepare = 0; asks_prepare < 2; asks_prepare++) {
        struct gid gid = world_gid(world, 20);
        say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 7");
        (void)pthread_mutex_lock(&world->pg->mutex);
        world->pg->generation++; /* as note_server of pg_keeper.c does */
        (void)pthread_mutex_unlock(&world->pg->mutex);
        assert_over(asks_prepare ? prepare(&gid)
                                 : say(&gid, 2, "UPDATE item SET amount = 60 WHERE id = 7"),
                    REASON_PARTICIPANT_UNAVAILABLE);
        world_await_sql(world, IDLE_IN_BRANCH,
                        "0"); /* that server learns it from the end of its connection */
        assert_row_is_free(7);
    }
    assert_int_equal(world_prepared_count(world), 0);
    struct gid next = world_gid(world, 21);
    say_ok(&next, 1, "SELECT 1");
    close_branch(&next);
}

/* Where no connection can be had the client is told why, not only that. */
static void test_interactive_no_connection_says_why(void **state)
{
    (void)state;
    (void)world_sql(world, "SELECT pg_terminate_backend(pid) " BRANCH_BACKEND);
    world_await_sql(world, "SELECT count(*) " BRANCH_BACKEND, "0");
    (void)world_sql(world, "ALTER ROLE " WORLD_ROLE " CONNECTION LIMIT 0");
    struct gid gid = world_gid(world, 22);
    const struct command_result *result = say(&gid, 1, "SELECT 1");
    struct pg_report report = {0};
    struct error error = {0};
    assert_over(result, REASON_PARTICIPANT_UNAVAILABLE);
    assert_non_null(result->failure.report);
    assert_success(pg_report_decode(result->failure.report, &report, &error), &error);
    assert_non_null(strstr(report.message, "too many connections for role"));
    pg_report_done(&report);
    (void)world_sql(world, "ALTER ROLE " WORLD_ROLE " CONNECTION LIMIT -1");
    world_stop(world); /* it would wait before its next try */
    edge_start();
}

/* Constraints that wait for the end are looked at by PREPARE, and are its no. */
static void test_interactive_deferred_constraint_says_no_at_prepare(void **state)
{
    (void)state;
    (void)world_sql(world, "CREATE TABLE later (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);"
                           "GRANT ALL ON later TO " WORLD_ROLE);
    struct gid gid = world_gid(world, 9);
    say_ok(&gid, 1, "INSERT INTO later VALUES (1), (1)");
    assert_over(prepare(&gid), REASON_CONSTRAINT);
    assert_string_equal(world_sql(world, "SELECT count(*) FROM later"), "0");
}

/* What cannot be prepared is a no, with everything undone. */
static void test_interactive_temporary_table_is_not_preparable(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 10);
    say_ok(&gid, 1, "CREATE TEMP TABLE mine (id int)");
    say_ok(&gid, 2, "INSERT INTO mine VALUES (1)");
    assert_over(prepare(&gid), REASON_NOT_PREPARABLE);
}

/* P-15: a statement, or PREPARE, whose deadline has passed is not sent. */
static void test_interactive_deadline_gone_says_timeout(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 11);
    say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 5");
    struct command command = statement_command(&gid, 2, world_work("SELECT 1", NULL));
    command.as.statement.execute.deadline_ms = clock_monotonic_ms();
    assert_over(world_await(world, world_submit(world, &command)), REASON_TIMEOUT);
    assert_row_is_free(5);
    gid = world_gid(world, 12);
    say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 5");
    command = prepare_command(&gid);
    command.as.prepare.deadline_ms = clock_monotonic_ms();
    assert_over(world_await(world, world_submit(world, &command)), REASON_TIMEOUT);
    assert_row_is_free(5);
}

/* A statement that takes too long ends at the deadline. */
static void test_interactive_deadline_ends_a_running_statement(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 13);
    say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 8");
    struct command command = statement_command(&gid, 2, world_work("SELECT pg_sleep(60)", NULL));
    command.as.statement.execute.deadline_ms = clock_monotonic_ms() + 300;
    assert_over(world_await(world, world_submit(world, &command)), REASON_TIMEOUT);
    assert_row_is_free(8);
}

/* Nobody closes it, as if this process stood still: the server ends it some time after its deadline. */
static void test_interactive_server_ends_an_idle_branch(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 14);
    struct command command =
        statement_command(&gid, 1, world_work("UPDATE item SET amount = 50 WHERE id = 9", NULL));
    command.as.statement.execute.deadline_ms = clock_monotonic_ms() + 300;
    assert_int_equal(world_await(world, world_submit(world, &command))->class, PG_OK);
    world_await_sql(world, IDLE_IN_BRANCH, "0");
    assert_row_is_free(9);
    assert_over(say(&gid, 2, "SELECT 1"), REASON_PARTICIPANT_UNAVAILABLE);
}

/* A running statement is cancelled, and the branch is over. */
static void test_interactive_cancel_ends_a_running_statement(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 15);
    say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 9");
    struct command command = statement_command(&gid, 2, world_work("SELECT pg_sleep(60)", NULL));
    uint64_t id = world_submit(world, &command);
    world_await_sql(world,
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%'"
                    " AND state = 'active' AND usename = '" WORLD_ROLE "'",
                    "1");
    command = (struct command){.kind = COMMAND_CANCEL, .as.cancel = gid};
    (void)world_submit(world, &command);
    assert_over(world_await(world, id), REASON_ROLLED_BACK_BY_CLIENT);
    assert_row_is_free(9);
}

/* A cancel right behind its statement, as when both stood in the inbox of a process that was stopped, may come to the server first
 * and is lost then. Repeated, as the core does, it ends the statement. */
static void test_interactive_cancel_right_behind_its_statement_is_not_lost(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 5; round++) {
        struct gid gid = world_gid(world, 300 + round);
        say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 9");
        struct command statement =
            statement_command(&gid, 2, world_work("SELECT pg_sleep(8)", NULL));
        struct command cancel = {.kind = COMMAND_CANCEL, .as.cancel = gid};
        uint64_t began_ms = clock_monotonic_ms();
        uint64_t id = world_submit(world, &statement);
        (void)world_submit(world, &cancel);
        for (int i = 0; i < 200 && !world_answered(world, id); i++) {
            cancel = (struct command){.kind = COMMAND_CANCEL, .as.cancel = gid};
            (void)world_submit(world, &cancel);
            world_await_sql(world, "SELECT pg_sleep(0.1)::text", "");
        }
        struct command_result *result = world_await(world, id);
        assert_int_equal(result->class, PG_ROLLED_BACK);
        assert_true(clock_monotonic_ms() - began_ms < 6000);
        assert_row_is_free(9);
    }
}

/* Client SQL cannot take the limit away that frees the locks when this process stands still. */
static void test_interactive_client_sql_cannot_lift_the_idle_limit(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 310);
    struct command command =
        statement_command(&gid, 1, world_work("UPDATE item SET amount = 50 WHERE id = 9", NULL));
    command.as.statement.execute.deadline_ms = clock_monotonic_ms() + 2000;
    assert_int_equal(world_await(world, world_submit(world, &command))->class, PG_OK);
    command = statement_command(
        &gid, 2,
        world_work("SELECT set_config('idle_in_transaction_session_timeout', '0', true)", NULL));
    command.as.statement.execute.deadline_ms = clock_monotonic_ms() + 2000;
    assert_int_equal(world_await(world, world_submit(world, &command))->class, PG_OK);
    world_await_sql(world, IDLE_IN_BRANCH, "0");
    assert_row_is_free(9);
    assert_over(say(&gid, 3, "SELECT 1"), REASON_PARTICIPANT_UNAVAILABLE);
}

/* Ways out of the transaction, or past its end, that no first keyword shows: none is prepared, and nothing of them is left. */
static void test_interactive_session_state_is_not_preparable(void **state)
{
    (void)state;
    const char *const sql[] = {
        "DECLARE held CURSOR WITH HOLD FOR SELECT 1",
        "SELECT pg_notify('c', 'x')",
        "SELECT set_config('assent.branch', 'x', true)",
        "SELECT set_config('transaction_read_only', 'on', true)",
    };
    for (size_t i = 0; i < sizeof sql / sizeof sql[0]; i++) {
        struct gid gid = world_gid(world, 320 + i);
        say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 9");
        say_ok(&gid, 2, sql[i]);
        struct command_result *result = prepare(&gid);
        assert_int_not_equal(result->class, PG_OK);
        if (result->class == PG_UNKNOWN && world_prepared_count(world) == 1) {
            assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
        }
        assert_row_is_free(9);
    }
    assert_int_equal(world_prepared_count(world), 0);
    struct gid gid = world_gid(world, 330);
    assert_value(say(&gid, 1, "SELECT count(*)::text FROM pg_cursors WHERE name <> ''"), "0");
    close_branch(&gid);
}

/* P-19: a branch that is declared read-only cannot write, and ends without a prepare. */
static void test_interactive_read_only_branch_prepares_nothing(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 16);
    struct command command =
        statement_command(&gid, 1, world_work("SELECT amount FROM item WHERE id = 1", NULL));
    command.as.statement.execute.read_only = true;
    assert_value(world_await(world, world_submit(world, &command)), "100");
    command = prepare_command(&gid);
    command.as.prepare.read_only = true;
    struct command_result *voted = world_await(world, world_submit(world, &command));
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(voted->proof.kind, PROOF_NONE);
    assert_int_equal(world_prepared_count(world), 0);
    gid = world_gid(world, 17);
    command = statement_command(&gid, 1, world_work("UPDATE item SET amount = 0", NULL));
    command.as.statement.execute.read_only = true;
    assert_int_equal(world_await(world, world_submit(world, &command))->class, PG_ROLLED_BACK);
}

/* The isolation of the first statement is the branch's. */
static void test_interactive_isolation_is_the_branchs(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 18);
    struct command command =
        statement_command(&gid, 1, world_work("SELECT amount FROM item WHERE id = 10", NULL));
    command.as.statement.execute.isolation = ISOLATION_REPEATABLE_READ;
    assert_value(world_await(world, world_submit(world, &command)), "100");
    (void)world_sql(world, "UPDATE item SET amount = 101 WHERE id = 10");
    assert_value(say(&gid, 2, "SELECT amount FROM item WHERE id = 10"), "100");
    assert_value(say(&gid, 3, "SELECT current_setting('transaction_isolation')"),
                 "repeatable read");
    close_branch(&gid);
    (void)world_sql(world, "UPDATE item SET amount = 100 WHERE id = 10");
}

/* What a branch did to its session does not reach the next one. */
static void test_interactive_session_is_reset_between_branches(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) { /* both connections, twice */
        struct gid gid = world_gid(world, 200 + (uint64_t)round);
        assert_value(say(&gid, 1, "SELECT coalesce(current_setting('my.mark', true), '')"), "");
        assert_value(say(&gid, 2, "SELECT set_config('my.mark', 'left', false)"), "left");
        assert_value(say(&gid, 3, "SELECT pg_try_advisory_lock(7)::text"), "true");
        assert_int_equal(prepare(&gid)->class, PG_OK);
        assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
        world_await_sql(world, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0");
    }
}

/* Open branches hold their own connections: one-request branches run beside them as ever. */
static void test_interactive_open_branches_leave_the_workers_alone(void **state)
{
    (void)state;
    struct gid open[2] = {world_gid(world, 19), world_gid(world, 20)};
    say_ok(&open[0], 1, "UPDATE item SET amount = 1 WHERE id = 1");
    say_ok(&open[1], 1, "UPDATE item SET amount = 2 WHERE id = 2");
    struct gid gid = world_gid(world, 21);
    assert_int_equal(
        world_execute(world, &gid, world_work("UPDATE item SET amount = 3 WHERE id = 3", NULL))
            ->class,
        PG_OK);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
    /* A third one is answered as soon as one of them is over. */
    struct gid third = world_gid(world, 22);
    struct command command = statement_command(&third, 1, world_work("SELECT 1", NULL));
    uint64_t id = world_submit(world, &command);
    close_branch(&open[0]);
    assert_int_equal(world_await(world, id)->class, PG_OK);
    close_branch(&open[1]);
    close_branch(&third);
}

/* The database restarts: what was open is over, and says so. */
static void test_interactive_database_restart_ends_open_branches(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 23);
    say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 1");
    struct error error = {0};
    assert_success(pgcluster_restart(world->cluster, PGCLUSTER_FAST, &error), &error);
    assert_over(say(&gid, 2, "UPDATE item SET amount = 60 WHERE id = 1"),
                REASON_PARTICIPANT_UNAVAILABLE);
    assert_over(prepare(&gid), REASON_PARTICIPANT_UNAVAILABLE);
    assert_row_is_free(1);
    world_await_health(world, HEALTH_UP);
}

/* The edge stops: open branches end with their connections. */
static void test_interactive_stop_ends_open_branches(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 24);
    say_ok(&gid, 1, "UPDATE item SET amount = 50 WHERE id = 1");
    world_stop(world);
    world_await_sql(world, IDLE_IN_BRANCH, "0");
    assert_row_is_free(1);
    world_start(world, NULL); /* without connections for such branches */
    assert_over(say(&gid, 1, "SELECT 1"), REASON_CAPACITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interactive_statements_are_one_transaction),
        cmocka_unit_test(test_interactive_close_leaves_nothing),
        cmocka_unit_test(test_interactive_failed_statement_ends_the_branch),
        cmocka_unit_test(test_interactive_row_count_differs_ends_the_branch),
        cmocka_unit_test(test_interactive_parameters_arrive_or_fail),
        cmocka_unit_test(test_interactive_statement_cannot_leave_the_transaction),
        cmocka_unit_test(test_interactive_lost_backend_ends_the_branch),
        cmocka_unit_test(test_interactive_other_history_ends_the_branch),
        cmocka_unit_test(test_interactive_deferred_constraint_says_no_at_prepare),
        cmocka_unit_test(test_interactive_temporary_table_is_not_preparable),
        cmocka_unit_test(test_interactive_deadline_gone_says_timeout),
        cmocka_unit_test(test_interactive_deadline_ends_a_running_statement),
        cmocka_unit_test(test_interactive_server_ends_an_idle_branch),
        cmocka_unit_test(test_interactive_cancel_ends_a_running_statement),
        cmocka_unit_test(test_interactive_cancel_right_behind_its_statement_is_not_lost),
        cmocka_unit_test(test_interactive_client_sql_cannot_lift_the_idle_limit),
        cmocka_unit_test(test_interactive_session_state_is_not_preparable),
        cmocka_unit_test(test_interactive_read_only_branch_prepares_nothing),
        cmocka_unit_test(test_interactive_isolation_is_the_branchs),
        cmocka_unit_test(test_interactive_session_is_reset_between_branches),
        cmocka_unit_test(test_interactive_open_branches_leave_the_workers_alone),
        cmocka_unit_test(test_interactive_database_restart_ends_open_branches),
        cmocka_unit_test(test_interactive_no_connection_says_why),
        cmocka_unit_test(test_interactive_stop_ends_open_branches),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
