/* P-3 on a real server: what is a yes, and everything that looks like one. */
#include "common/alloc.h"
#include "tests/spec/pg_world.h"

#include <stdatomic.h>

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

static void assert_refused(const struct command_result *voted, enum reason reason)
{
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    assert_string_equal(reason_text(voted->failure.reason), reason_text(reason));
    assert_int_equal(world_prepared_count(world), 0);
}

static struct pg_report report_of(const struct command_result *voted)
{
    struct pg_report report = {0};
    struct error error = {0};
    assert_non_null(voted->failure.report);
    assert_true(pg_report_decode(voted->failure.report, &report, &error));
    return report;
}

/* A statement that touches another number of rows than expected leaves nothing prepared (P-3). */
static void test_execute_row_count_differs_leaves_nothing_prepared(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 2);
    const char *const params[] = {"99"};
    struct command_result *voted = world_execute(
        world, &gid, world_work_one("UPDATE item SET amount = 1 WHERE id = $1", 1, params, 1));
    assert_refused(voted, REASON_ROW_COUNT);
    struct pg_report report = report_of(voted);
    assert_int_equal(report.statement_index, 0);
    pg_report_done(&report);
}

/* The expected number of rows is a yes, also when the rows come from a SELECT. */
static void test_execute_row_count_as_expected_prepares(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 3);
    const char *const params[] = {"3"};
    struct command_result *voted = world_execute(
        world, &gid,
        world_work_one("SELECT id FROM item WHERE id <= $1::int FOR UPDATE", 1, params, 3));
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
}

/* A broken constraint is a no that carries what PostgreSQL said, and which statement it was. */
static void test_execute_constraint_broken_reports_it(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 4);
    struct command_result *voted = world_execute(
        world, &gid,
        world_work("INSERT INTO strict VALUES (1, 1)", "INSERT INTO strict VALUES (2, -1)",
                   "INSERT INTO strict VALUES (3, 1)", NULL));
    assert_refused(voted, REASON_CONSTRAINT);
    assert_string_equal(voted->failure.sqlstate, "23514");
    struct pg_report report = report_of(voted);
    assert_int_equal(report.statement_index, 1);
    assert_string_equal(report.constraint, "positive");
    assert_string_equal(report.table, "strict");
    pg_report_done(&report);
    assert_string_equal(world_sql(world, "SELECT count(*) FROM strict"), "0");
}

/* Has its only worker prepare and roll back a branch; the pid of that worker's backend, to be freed. */
static char *worker_backend(uint64_t sequence)
{
    struct gid gid = world_gid(world, sequence);
    struct command_result *voted =
        world_execute(world, &gid, world_work("SELECT pg_backend_pid()", NULL));
    assert_int_equal(voted->class, PG_OK);
    struct results results = {0};
    struct error error = {0};
    assert_true(results_decode(voted->results, &results, &error));
    char *pid = alloc_string(results.results[0].values[0]);
    results_done(&results);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
    return pid;
}

/* Parameters that do not fit the statement are the client's mistake, not the database's absence; the connection that told
 * it lives on. */
static void test_execute_too_few_parameters_is_a_failed_statement(void **state)
{
    (void)state;
    struct pg_options options = world_options(world);
    options.worker_count = 1;
    world_stop(world);
    world_start(world, &options);
    char *before = worker_backend(40);
    struct gid gid = world_gid(world, 41);
    struct command_result *voted =
        world_execute(world, &gid, world_work("SELECT 1", "SELECT $1::int", NULL));
    assert_refused(voted, REASON_STATEMENT_FAILED);
    assert_string_equal(voted->failure.sqlstate, "08P01");
    struct pg_report report = report_of(voted);
    assert_int_equal(report.statement_index, 1);
    pg_report_done(&report);
    char *after = worker_backend(42);
    assert_string_equal(after, before);
    free(after);
    free(before);
    world_stop(world);
    world_start(world, NULL);
}

/* A deferred constraint is checked before PREPARE, by SET CONSTRAINTS ALL IMMEDIATE (P-3). */
static void test_execute_deferred_constraint_broken_says_no(void **state)
{
    (void)state;
    (void)world_sql(world,
                    "CREATE TABLE child (item int REFERENCES item DEFERRABLE INITIALLY DEFERRED);"
                    "GRANT ALL ON child TO " WORLD_ROLE);
    struct gid gid = world_gid(world, 5);
    struct command_result *voted =
        world_execute(world, &gid, world_work("INSERT INTO child VALUES (4711)", NULL));
    assert_refused(voted, REASON_CONSTRAINT);
    assert_string_equal(voted->failure.sqlstate, "23503");
}

/* What cannot be prepared is a no of its own kind, with PostgreSQL's text. */
static void test_execute_session_state_is_not_preparable(void **state)
{
    (void)state;
    static const char *const statements[] = {
        "CREATE TEMPORARY TABLE t (x int)",
        "SELECT pg_notify('news', 'of the day')",
        "DECLARE held CURSOR WITH HOLD FOR SELECT 1",
        "SELECT pg_export_snapshot()",
    };
    for (uint64_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        struct gid gid = world_gid(world, 60 + i);
        struct command_result *voted = world_execute(world, &gid, world_work(statements[i], NULL));
        assert_refused(voted, REASON_NOT_PREPARABLE);
        assert_string_equal(voted->failure.sqlstate, "0A000");
    }
}

/* A gid that is prepared already is a no; the row that is there stays. */
static void test_execute_gid_in_use_says_no(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 7);
    assert_int_equal(
        world_execute(world, &gid, world_work("UPDATE item SET amount = 1 WHERE id = 1", NULL))
            ->class,
        PG_OK);
    struct command_result *again =
        world_execute(world, &gid, world_work("UPDATE item SET amount = 2 WHERE id = 2", NULL));
    assert_int_equal(again->class, PG_ROLLED_BACK);
    assert_string_equal(again->failure.sqlstate, "42710");
    world_await_warning(world, "gid in use");
    assert_int_equal(world_prepared_count(world), 1);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
}

/* Results come back as text with their types; NULL stays NULL; a type of the user's own has its name. */
static void test_execute_select_returns_texts_and_types(void **state)
{
    (void)state;
    (void)world_sql(world, "CREATE TYPE mood AS ENUM ('fine')");
    struct gid gid = world_gid(world, 8);
    struct command_result *voted =
        world_execute(world, &gid,
                      world_work("SELECT 12.50::numeric AS n, NULL::text AS nothing, 'fine'::mood "
                                 "AS m, '\\x00ff'::bytea",
                                 "UPDATE item SET amount = amount WHERE id < 3", NULL));
    assert_int_equal(voted->class, PG_OK);
    struct results results = {0};
    struct error error = {0};
    assert_true(results_decode(voted->results, &results, &error));
    assert_int_equal(results.result_count, 2);
    assert_string_equal(results.results[0].values[0], "12.50");
    assert_null(results.results[0].values[1]);
    assert_string_equal(results.results[0].values[3], "\\x00ff");
    assert_string_equal(results.results[0].columns[0].name, "n");
    assert_string_equal(results.results[0].columns[0].type, "numeric");
    assert_string_equal(results.results[0].columns[2].type, "mood");
    assert_int_equal(results.results[0].rows_affected, 1);
    assert_string_equal(results.results[1].command, "UPDATE 2");
    assert_int_equal(results.results[1].rows_affected, 2);
    results_done(&results);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
}

/* Results beyond the limit end the branch without a trace, and the worker works on. */
static void test_execute_result_too_large_leaves_nothing_prepared(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 9);
    struct command_result *voted = world_execute(
        world, &gid,
        world_work("UPDATE item SET amount = 5 WHERE id = 5",
                   "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)", NULL));
    assert_refused(voted, REASON_RESULT_TOO_LARGE);
    struct gid next = world_gid(world, 10);
    assert_int_equal(world_execute(world, &next, world_work("SELECT 1", NULL))->class, PG_OK);
    assert_int_equal(world_finish(world, &next, false)->class, PG_OK);
}

enum { MANY = 3000 };

static struct command_result *execute_many(uint64_t sequence, int64_t expect_rows)
{
    static char padding[2001];
    static char *params[] = {padding, NULL};
    static char rows[MANY][12];
    static char *pairs[MANY][2];
    static struct statement statements[MANY];
    memset(padding, 'x', sizeof padding - 1);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(rows[i], sizeof rows[i], "%d", i % 10 + 1);
        pairs[i][0] = params[0];
        pairs[i][1] = rows[i];
        statements[i] = (struct statement){
            .sql = (char *)(uintptr_t) "INSERT INTO strict SELECT length($1::text), $2::int",
            .param_count = 2,
            .params = pairs[i],
            .expect_rows = expect_rows};
    }
    struct gid gid = world_gid(world, sequence);
    struct work work = {.statement_count = MANY, .statements = statements};
    struct command command = world_execute_command(&gid, work_encode(&work));
    command.as.execute.deadline_ms += 30000;
    struct command_result *voted = world_await(world, world_submit(world, &command));
    if (voted->class == PG_OK) {
        assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
    }
    return voted;
}

/* A pipeline far larger than both socket buffers, with answers as large, does not block on itself; neither
 * when PREPARE goes along with it nor when it waits for the row counts. */
static void test_execute_thousands_of_statements_do_not_deadlock(void **state)
{
    (void)state;
    world_stop(world);
    /* Every statement is answered with a screenful of debugging messages: that fills the way back. */
    (void)world_sql(world, "ALTER ROLE " WORLD_ROLE " SET client_min_messages = debug2;"
                           "ALTER ROLE " WORLD_ROLE " SET debug_print_parse = on");
    world_start(world, NULL);
    struct command_result *together = execute_many(11, EXPECT_ROWS_ANY);
    struct command_result *held_back = execute_many(12, 1);
    world_stop(world);
    (void)world_sql(world, "ALTER ROLE " WORLD_ROLE " RESET ALL");
    world_start(world, NULL);
    assert_string_equal(together->detail, "");
    assert_int_equal(together->class, PG_OK);
    assert_string_equal(held_back->detail, "");
    assert_int_equal(held_back->class, PG_OK);
}

/* A statement that runs past the deadline is a sure no with the reason timeout. */
static void test_execute_deadline_passes_says_timeout(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 20);
    struct command command = world_execute_command(&gid, world_work("SELECT pg_sleep(60)", NULL));
    command.as.execute.deadline_ms -= 9500;
    struct command_result *voted = world_await(world, world_submit(world, &command));
    assert_refused(voted, REASON_TIMEOUT);
    assert_string_equal(voted->failure.sqlstate, "57014");
}

/* Statements that are each short enough but too long together are ended at the deadline, too. */
static void test_execute_deadline_passes_between_statements_says_timeout(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 21);
    struct command command =
        world_execute_command(&gid, world_work("SELECT pg_sleep(0.4)", "SELECT pg_sleep(0.4)",
                                               "SELECT pg_sleep(30)", NULL));
    command.as.execute.deadline_ms -= 9400;
    struct command_result *voted = world_await(world, world_submit(world, &command));
    assert_refused(voted, REASON_TIMEOUT);
}

/* P-15: whatever kept the branch past its deadline, here SQL that catches its own cancel, a PREPARE is not sent any more. */
static void test_execute_p15_nothing_is_prepared_past_the_deadline(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 24);
    struct command command = world_execute_command(
        &gid,
        world_work("UPDATE item SET amount = 3 WHERE id = 7",
                   "DO $$ BEGIN"
                   " BEGIN PERFORM pg_sleep(30); EXCEPTION WHEN query_canceled THEN NULL; END;"
                   " BEGIN PERFORM pg_sleep(0.5); EXCEPTION WHEN query_canceled THEN NULL; END;"
                   " END $$",
                   NULL));
    command.as.execute.deadline_ms -= 9000;
    struct command_result *voted = world_await(world, world_submit(world, &command));
    assert_refused(voted, REASON_TIMEOUT);
    assert_int_equal(world_look(world, &gid, true)->class, PG_NOT_FOUND);
}

/* A lock that somebody else keeps is reported as such, before the deadline makes it a timeout. */
static void test_execute_row_locked_by_prepared_branch_says_lock_timeout(void **state)
{
    (void)state;
    struct gid holder = world_gid(world, 22);
    assert_int_equal(
        world_execute(world, &holder, world_work("UPDATE item SET amount = 1 WHERE id = 6", NULL))
            ->class,
        PG_OK);
    struct gid gid = world_gid(world, 23);
    struct command command =
        world_execute_command(&gid, world_work("UPDATE item SET amount = 2 WHERE id = 6", NULL));
    command.as.execute.deadline_ms -= 9500;
    struct command_result *voted = world_await(world, world_submit(world, &command));
    assert_int_equal(world_finish(world, &holder, false)->class, PG_OK);
    assert_refused(voted, REASON_LOCK_TIMEOUT);
}

/* A branch that waits for a connection past its deadline is refused without touching the database. */
static void test_execute_deadline_gone_before_begin_says_timeout(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 24);
    struct command command = world_execute_command(&gid, world_work("SELECT 1", NULL));
    command.as.execute.deadline_ms = 1;
    assert_refused(world_await(world, world_submit(world, &command)), REASON_TIMEOUT);
}

/* Two serializable branches that read what the other writes: one of them is told to try again. */
static void test_execute_serialization_failure_is_retryable(void **state)
{
    (void)state;
    struct gid first = world_gid(world, 25);
    struct gid second = world_gid(world, 26);
    struct command command =
        world_execute_command(&first, world_work("SELECT sum(amount) FROM item WHERE id <= 5",
                                                 "UPDATE item SET amount = 1 WHERE id = 7",
                                                 "SELECT pg_sleep(0.5)", NULL));
    command.as.execute.isolation = ISOLATION_SERIALIZABLE;
    uint64_t one = world_submit(world, &command);
    command = world_execute_command(&second, world_work("SELECT sum(amount) FROM item WHERE id > 5",
                                                        "UPDATE item SET amount = 1 WHERE id = 1",
                                                        "SELECT pg_sleep(0.5)", NULL));
    command.as.execute.isolation = ISOLATION_SERIALIZABLE;
    uint64_t two = world_submit(world, &command);
    struct command_result *results[] = {world_await(world, one), world_await(world, two)};
    const struct gid *gids[] = {&first, &second};
    int refused = 0;
    for (int i = 0; i < 2; i++) {
        if (results[i]->class == PG_OK) {
            assert_int_equal(world_finish(world, gids[i], false)->class, PG_OK);
        } else {
            assert_int_equal(results[i]->class, PG_ROLLED_BACK);
            assert_int_equal(results[i]->failure.reason, REASON_SERIALIZATION);
            refused++;
        }
    }
    assert_int_equal(refused, 1);
}

/* A cancel ends a running branch at once; its answer is a sure no. */
static void test_cancel_running_branch_rolls_it_back(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 27);
    struct command command = world_execute_command(
        &gid, world_work("UPDATE item SET amount = 1 WHERE id = 8", "SELECT pg_sleep(60)", NULL));
    uint64_t id = world_submit(world, &command);
    world_await_sql(world,
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%'"
                    " AND state = 'active' AND usename = '" WORLD_ROLE "'",
                    "1");
    command = (struct command){.kind = COMMAND_CANCEL, .as.cancel = gid};
    (void)world_submit(world, &command);
    assert_refused(world_await(world, id), REASON_ROLLED_BACK_BY_CLIENT);
}

/* A backend that is killed while a statement runs never gives a yes, and the pool recovers. */
static void test_execute_backend_killed_is_no_yes(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 28);
    struct command command = world_execute_command(&gid, world_work("SELECT pg_sleep(60)", NULL));
    uint64_t id = world_submit(world, &command);
    world_await_sql(world,
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%'"
                    " AND state = 'active' AND usename = '" WORLD_ROLE "'",
                    "1");
    (void)world_sql(world, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                           " WHERE query LIKE '%pg_sleep(60)%' AND usename = '" WORLD_ROLE "'");
    assert_refused(world_await(world, id), REASON_PARTICIPANT_UNAVAILABLE);
    struct gid next = world_gid(world, 29);
    assert_int_equal(world_execute(world, &next, world_work("SELECT 1", NULL))->class, PG_OK);
    assert_int_equal(world_finish(world, &next, false)->class, PG_OK);
}

/* With a standby that never answers, PREPARE waits although the client's SQL asked for no waiting and no
 * warnings; the cancelled wait is a WARNING, and that is not a yes (P-3). */
static void test_execute_wait_for_standby_cancelled_is_unknown(void **state)
{
    (void)state;
    world_lose_standby(world);
    struct gid gid = world_gid(world, 30);
    struct command command = world_execute_command(
        &gid, world_work("SELECT set_config('synchronous_commit', 'off', false),"
                         " set_config('client_min_messages', 'error', false)",
                         "UPDATE item SET amount = 1 WHERE id = 9", NULL));
    uint64_t id = world_submit(world, &command);
    world_await_sql(world,
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                    " AND query LIKE 'PREPARE%'",
                    "1");
    assert_false(world_answered(world, id));
    (void)world_sql(world, "SELECT pg_cancel_backend(pid)"
                           " FROM pg_stat_activity WHERE query LIKE 'PREPARE%'");
    struct command_result *voted = world_await(world, id);
    world_return_standby(world);
    assert_int_equal(voted->class, PG_UNKNOWN);
    assert_int_equal(world_prepared_count(world), 1);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
}

/* What a branch leaves in its session is gone for the next one: settings, role, advisory locks (P-21). */
static void test_execute_session_is_reset_between_branches(void **state)
{
    (void)state;
    struct pg_options options = world_options(world);
    options.worker_count = 1;
    world_stop(world);
    world_start(world, &options);
    struct gid first = world_gid(world, 31);
    struct command_result *voted = world_execute(
        world, &first,
        world_work(
            "SELECT pg_advisory_lock(42), set_config('work_mem', '77MB', false),"
            " set_config('app.user', 'eve', false), set_config('search_path', 'nowhere', false)",
            NULL));
    assert_int_equal(voted->class, PG_OK);
    struct gid second = world_gid(world, 32);
    voted = world_execute(
        world, &second,
        world_work("SELECT current_setting('work_mem'), current_setting('app.user', true),"
                   " current_setting('search_path'), (SELECT count(*) FROM pg_locks"
                   " WHERE locktype = 'advisory')",
                   NULL));
    assert_int_equal(voted->class, PG_OK);
    struct results results = {0};
    struct error error = {0};
    assert_true(results_decode(voted->results, &results, &error));
    assert_string_equal(results.results[0].values[0], "4MB");
    assert_string_equal(results.results[0].values[1], "");
    assert_string_equal(results.results[0].values[2], "\"$user\", public");
    assert_string_equal(results.results[0].values[3], "0");
    results_done(&results);
    assert_int_equal(world_finish(world, &first, false)->class, PG_OK);
    assert_int_equal(world_finish(world, &second, false)->class, PG_OK);
    world_stop(world);
    world_start(world, NULL);
}

/* In front of libpq's own (the linker's --wrap). */
static atomic_bool says_rollback;
char *__real_PQcmdStatus(PGresult *result);
char *__wrap_PQcmdStatus(PGresult *result);

char *__wrap_PQcmdStatus(PGresult *result)
{
    static char tag[] = "ROLLBACK";
    char *status = __real_PQcmdStatus(result);
    return says_rollback && strcmp(status, "PREPARE TRANSACTION") == 0 ? tag : status;
}

/* PREPARE TRANSACTION where there is nothing to prepare any more "succeeds" with the tag ROLLBACK: a sure no. The guard and
 * the marker keep our pipelines from getting there, so only libpq's word is changed here; the row is really there. */
static void test_execute_prepare_answered_with_rollback_says_no(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 41);
    says_rollback = true;
    struct command_result *voted =
        world_execute(world, &gid, world_work("UPDATE item SET amount = 5 WHERE id = 5", NULL));
    says_rollback = false;
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    assert_int_equal(voted->failure.reason, REASON_STATEMENT_FAILED);
    assert_int_equal(world_finish_when_ready(world, &gid, false)->class, PG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_execute_plain_branch_prepares_and_commits),
        cmocka_unit_test(test_execute_row_count_differs_leaves_nothing_prepared),
        cmocka_unit_test(test_execute_row_count_as_expected_prepares),
        cmocka_unit_test(test_execute_constraint_broken_reports_it),
        cmocka_unit_test(test_execute_too_few_parameters_is_a_failed_statement),
        cmocka_unit_test(test_execute_deferred_constraint_broken_says_no),
        cmocka_unit_test(test_execute_session_state_is_not_preparable),
        cmocka_unit_test(test_execute_gid_in_use_says_no),
        cmocka_unit_test(test_execute_select_returns_texts_and_types),
        cmocka_unit_test(test_execute_result_too_large_leaves_nothing_prepared),
        cmocka_unit_test(test_execute_thousands_of_statements_do_not_deadlock),
        cmocka_unit_test(test_execute_deadline_passes_says_timeout),
        cmocka_unit_test(test_execute_deadline_passes_between_statements_says_timeout),
        cmocka_unit_test(test_execute_p15_nothing_is_prepared_past_the_deadline),
        cmocka_unit_test(test_execute_row_locked_by_prepared_branch_says_lock_timeout),
        cmocka_unit_test(test_execute_deadline_gone_before_begin_says_timeout),
        cmocka_unit_test(test_execute_serialization_failure_is_retryable),
        cmocka_unit_test(test_cancel_running_branch_rolls_it_back),
        cmocka_unit_test(test_execute_backend_killed_is_no_yes),
        cmocka_unit_test(test_execute_wait_for_standby_cancelled_is_unknown),
        cmocka_unit_test(test_execute_session_is_reset_between_branches),
        cmocka_unit_test(test_execute_prepare_answered_with_rollback_says_no),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
