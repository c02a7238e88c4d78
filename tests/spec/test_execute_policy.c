/* The agent's policy on a real server: named operations, a role, no DDL, and caps (participant/pg_policy.c). */
#include "tests/spec/pg_world.h"

#include "common/alloc.h"
#include "common/clock.h"
#include "participant/operations.h"

static struct world *world;
static uint64_t sequence = 100;

static const char operations[] =
    "[operation set]\n"
    "sql = UPDATE item SET amount = $2 WHERE id = $1 RETURNING amount\n"
    "params = id int, amount numeric\n"
    "expect_rows = 1\n"
    "[operation items]\n"
    "sql = SELECT id FROM item WHERE id = ANY($1) ORDER BY id\n"
    "params = ids int[]\n"
    "max_rows = 5\n"
    "[operation guess]\n"
    "sql = SELECT pg_typeof($1::date)::text, $1\n"
    "params = day any\n"
    "[operation sleep]\n"
    "sql = SELECT pg_sleep($1)\n"
    "params = seconds float8\n"
    "max_time = 10s\n";

static int set_up(void **state)
{
    (void)state;
    world = world_new(NULL);
    (void)world_sql(world, "CREATE ROLE app; GRANT app TO " WORLD_ROLE "; CREATE ROLE strange;"
                           "GRANT ALL ON item, strict TO app; CREATE ROLE \"a \"\"b\";"
                           "GRANT \"a \"\"b\" TO " WORLD_ROLE ";"
                           "CREATE FUNCTION make() RETURNS int LANGUAGE plpgsql AS"
                           " 'BEGIN CREATE TABLE made (a int); RETURN 1; END';"
                           "CREATE PROCEDURE nothing() LANGUAGE plpgsql AS 'BEGIN END'");
    struct pg_options options = world_options(world);
    options.interactive_count = 1;
    world_start(world, &options);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(world);
    return 0;
}

/* The rules of a test, with the operations from above; it holds for the branches after it. */
static void use(struct policy rules)
{
    struct policy *policy = policy_new();
    struct error error = {0};
    assert_success(operations_parse("o", operations, policy, &error), &error);
    policy->operations_only = rules.operations_only;
    policy->refuse_ddl = rules.refuse_ddl;
    policy->max_rows = rules.max_rows;
    policy->max_time_ms = rules.max_time_ms;
    memcpy(policy->role, rules.role, sizeof policy->role);
    pg_set_policy(world->pg, policy);
    policy_release(policy);
}

static struct command_result *execute(struct blob *work)
{
    struct gid gid = world_gid(world, sequence++);
    return world_execute(world, &gid, work);
}

/* Names and values in turn, names ascending; NULL at the end. */
static struct blob *call(const char *operation, const char *const *args)
{
    char *names[4], *values[4];
    struct statement statement = {.operation = (char *)(uintptr_t)operation,
                                  .arg_names = names,
                                  .params = values,
                                  .expect_rows = EXPECT_ROWS_ANY};
    for (; args[0] != NULL; args += 2) {
        names[statement.param_count] = (char *)(uintptr_t)args[0];
        values[statement.param_count++] = (char *)(uintptr_t)args[1];
    }
    struct work work = {.statement_count = 1, .statements = &statement};
    return work_encode(&work);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect_refused(const struct command_result *voted, enum reason reason,
                           const char *detail)
{
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    if (voted->failure.reason != reason || strstr(voted->detail, detail) == NULL) {
        fail_msg("%d \"%s\", wanted %d \"%s\"", voted->failure.reason, voted->detail, reason,
                 detail);
    }
    assert_int_equal(world_prepared_count(world), 0);
}

/* The first value of one statement's result, lent until the next call; the branch is rolled back. */
static const char *value(struct blob *work, size_t statement)
{
    static char text[256];
    struct gid gid = world_gid(world, sequence++);
    struct command_result *voted = world_execute(world, &gid, work);
    assert_string_equal(voted->detail, "");
    assert_int_equal(voted->class, PG_OK);
    struct results results = {0};
    struct error error = {0};
    assert_success(results_decode(voted->results, &results, &error), &error);
    (void)snprintf(text, sizeof text, "%s", results.results[statement].values[0]);
    results_done(&results);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
    return text;
}

/* An operation runs its SQL with its arguments, typed as the file says; what is not in the file does not run. */
static void test_operations_only_run_what_the_file_has(void **state)
{
    (void)state;
    use((struct policy){.operations_only = true});
    assert_string_equal(value(call("set", ARGS("amount", "12.4", "id", "1")), 0), "12");
    assert_string_equal(value(call("items", ARGS("ids", "{3,2}")), 0), "2");
    assert_string_equal(value(call("guess", ARGS("day", "2026-11-28")), 0), "date");
    expect_refused(execute(world_work("UPDATE item SET amount = 0", NULL)),
                   REASON_REJECTED_BY_POLICY, "policy operations_only: ");
    expect_refused(execute(call("get", ARGS("id", "1"))), REASON_REJECTED_BY_POLICY,
                   "policy operation: the agent has no operation \"get\"");
    expect_refused(execute(call("set", ARGS("id", "1"))), REASON_REJECTED_BY_POLICY,
                   "policy args: operation \"set\" needs the argument \"amount\"");
    expect_refused(execute(call("items", ARGS("ids", "{}", "limit", "1"))),
                   REASON_REJECTED_BY_POLICY,
                   "policy args: operation \"items\" has no argument \"limit\"");
    assert_string_equal(world_sql(world, "SELECT sum(amount) FROM item"), "1000");
}

/* The server judges values by the type that the file names, also in their own words; the file's expectation holds. */
static void test_operation_with_bad_values_fails(void **state)
{
    (void)state;
    use((struct policy){.operations_only = true});
    struct command_result *voted = execute(call("set", ARGS("amount", "much", "id", "1")));
    expect_refused(voted, REASON_STATEMENT_FAILED, "numeric");
    assert_string_equal(voted->failure.sqlstate, "22P02");
    voted = execute(call("set", ARGS("amount", "1", "id", "99999999999")));
    expect_refused(voted, REASON_STATEMENT_FAILED, "out of range");
    voted = execute(call("set", ARGS("amount", "1", "id", "1; DROP TABLE item")));
    expect_refused(voted, REASON_STATEMENT_FAILED, "integer");
    voted = execute(call("set", ARGS("amount", NULL, "id", "1")));
    expect_refused(voted, REASON_CONSTRAINT, "null value");
    expect_refused(execute(call("set", ARGS("amount", "1", "id", "77"))), REASON_ROW_COUNT,
                   "expected were 1");
    assert_string_equal(world_sql(world, "SELECT sum(amount) FROM item"), "1000");
}

/* Every statement begins in the role, whatever the one before did to it; the branch is the agent's own all the same. */
static void test_role_holds_for_each_statement(void **state)
{
    (void)state;
    use((struct policy){.role = "app"});
    assert_string_equal(value(world_work("SELECT current_user", NULL), 0), "app");
    assert_string_equal(
        value(world_work("SELECT set_config('role', 'none', true)", "SELECT current_user", NULL),
              1),
        "app");
    struct gid gid = world_gid(world, sequence++);
    struct command_result *voted =
        world_execute(world, &gid, world_work("UPDATE item SET amount = 1 WHERE id = 1", NULL));
    assert_int_equal(voted->class, PG_OK);
    assert_string_equal(world_sql(world, "SELECT owner FROM pg_prepared_xacts"), WORLD_ROLE);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
    use((struct policy){.role = "a \"b"});
    assert_string_equal(value(world_work("SELECT current_user", NULL), 0), "a \"b");
    voted = execute(world_work("SELECT * FROM item", NULL));
    expect_refused(voted, REASON_STATEMENT_FAILED, "permission denied");
}

/* The next statement of an interactive branch; its only value, lent until the next call. */
static const char *say(const struct gid *gid, uint64_t ordinal, const char *sql)
{
    static char text[256];
    struct command command = {
        .kind = COMMAND_STATEMENT,
        .as.statement = {.execute = {.gid = *gid,
                                     .deadline_ms = clock_monotonic_ms() + 10000,
                                     .work = world_work(sql, NULL)},
                         .ordinal = ordinal}};
    struct command_result *said = world_await(world, world_submit(world, &command));
    assert_string_equal(said->detail, "");
    struct results results = {0};
    struct error error = {0};
    assert_success(results_decode(said->results, &results, &error), &error);
    (void)snprintf(text, sizeof text, "%s", results.results[0].values[0]);
    results_done(&results);
    return text;
}

/* Each statement of an interactive branch runs in the role of its moment's policy, also in none where there is none any more. */
static void test_role_of_an_interactive_branch_follows_the_policy(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, sequence++);
    use((struct policy){.role = "app"});
    assert_string_equal(say(&gid, 1, "SELECT current_user"), "app");
    use((struct policy){0});
    assert_string_equal(say(&gid, 2, "SELECT current_user"), WORLD_ROLE);
    use((struct policy){.role = "a \"b"});
    assert_string_equal(say(&gid, 3, "SELECT current_user"), "a \"b");
    use((struct policy){.max_time_ms = 5000});
    assert_string_equal(say(&gid, 4, "SELECT set_config('role', 'app', true)"), "app");
    assert_string_equal(say(&gid, 5, "SELECT current_user"), "app"); /* the client's own doing */
    struct command close = {.kind = COMMAND_CLOSE, .as.close = gid};
    assert_int_equal(world_await(world, world_submit(world, &close))->class, PG_OK);
    gid = world_gid(world, sequence++);
    assert_string_equal(say(&gid, 1, "SELECT current_user"), WORLD_ROLE);
    close = (struct command){.kind = COMMAND_CLOSE, .as.close = gid};
    assert_int_equal(world_await(world, world_submit(world, &close))->class, PG_OK);
}

/* A deferred trigger runs at the end, and in the role too. */
static void test_deferred_trigger_runs_in_the_role(void **state)
{
    (void)state;
    (void)world_sql(
        world, "CREATE TABLE late (id int, by text); GRANT ALL ON late TO app;"
               "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS"
               " 'BEGIN UPDATE late SET by = current_user WHERE id = NEW.id; RETURN NULL; END';"
               "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED"
               " FOR EACH ROW EXECUTE FUNCTION late()");
    use((struct policy){.role = "app"});
    struct gid gid = world_gid(world, sequence++);
    struct command_result *voted =
        world_execute(world, &gid, world_work("INSERT INTO late VALUES (1)", NULL));
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    gid = world_gid(world, sequence++);
    assert_string_equal(say(&gid, 1, "INSERT INTO late VALUES (2) RETURNING id"), "2");
    struct command prepare = {
        .kind = COMMAND_PREPARE,
        .as.prepare = {.gid = gid, .deadline_ms = clock_monotonic_ms() + 10000}};
    assert_int_equal(world_await(world, world_submit(world, &prepare))->class, PG_OK);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    assert_string_equal(world_sql(world, "SELECT string_agg(by, ' ') FROM late"), "app app");
}

/* A role that the login role may not take, or that is not there, lets nothing run. */
static void test_role_that_cannot_be_taken_is_refused(void **state)
{
    (void)state;
    use((struct policy){.role = "strange"});
    expect_refused(execute(world_work("SELECT 1", NULL)), REASON_REJECTED_BY_POLICY,
                   "policy role: permission denied to set role \"strange\"");
    world_await_warning(world, "policy role cannot be taken");
    use((struct policy){.role = "nobody\"; DROP TABLE item; --"});
    expect_refused(execute(call("items", ARGS("ids", "{}"))), REASON_REJECTED_BY_POLICY,
                   "policy role: role \"nobody\"; DROP TABLE item; --\" does not exist");
    use((struct policy){0});
    assert_string_equal(value(world_work("SELECT current_user", NULL), 0), WORLD_ROLE);
}

/* DDL is refused by its first word, or by what the server says that it did; nothing of it stays. */
static void test_ddl_is_refused(void **state)
{
    (void)state;
    static const char *const statements[] = {
        "CREATE TABLE made (a int)",
        "CREATE TABLE made AS SELECT 1 AS a",
        "SELECT 1 AS a INTO made",
        "SELECT 1 AS a INTO made WHERE false",
        "(SELECT 1 AS a INTO made)",
        "WITH x AS (SELECT 1 AS a) SELECT a INTO made FROM x",
        "EXPLAIN ANALYZE CREATE TABLE made AS SELECT 1 AS a",
        "DO 'BEGIN CREATE TABLE made (a int); END'",
        "ALTER TABLE strict ADD b int",
        "DROP TABLE item",
        "GRANT ALL ON strict TO PUBLIC",
        "COMMENT ON TABLE strict IS 'x'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "; /* SELECT */ CREATE SCHEMA made",
    };
    use((struct policy){.refuse_ddl = true});
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        struct command_result *voted =
            execute(world_work("UPDATE item SET amount = 0 WHERE id = 1", statements[i], NULL));
        expect_refused(voted, REASON_REJECTED_BY_POLICY, "policy refuse_ddl: ");
        struct pg_report report = {0};
        struct error error = {0};
        assert_true(pg_report_decode(voted->failure.report, &report, &error));
        assert_int_equal(report.statement_index, 1);
        pg_report_done(&report);
    }
    assert_string_equal(world_sql(world, "SELECT count(*) FROM pg_class WHERE relname = 'made'"),
                        "0");
    assert_string_equal(world_sql(world, "SELECT sum(amount) FROM item"), "1000");
}

/* What would end or escape the transaction is refused for that, and not as DDL: the remedies differ. */
static void test_control_is_not_called_ddl(void **state)
{
    (void)state;
    use((struct policy){.refuse_ddl = true});
    expect_refused(execute(world_work("COMMIT", NULL)), REASON_REJECTED_BY_POLICY,
                   "COMMIT controls the transaction");
    expect_refused(execute(world_work("RESET ALL", NULL)), REASON_REJECTED_BY_POLICY,
                   "RESET controls the transaction");
}

/* What reads and changes rows goes on where DDL is refused. */
static void test_dml_passes_where_ddl_is_refused(void **state)
{
    (void)state;
    use((struct policy){.refuse_ddl = true});
    struct gid gid = world_gid(world, sequence++);
    struct command_result *voted = world_execute(
        world, &gid,
        world_work("SELECT 1 WHERE false", "(SELECT 1)", "VALUES (1)", "TABLE item", "SELECT",
                   "INSERT INTO strict VALUES (1, 1) RETURNING id",
                   "WITH x AS (DELETE FROM strict RETURNING id) SELECT count(*) FROM x",
                   "UPDATE item SET amount = 5 WHERE id = 1", "LOCK TABLE strict IN SHARE MODE",
                   "DECLARE c CURSOR FOR SELECT id FROM item", "FETCH 2 FROM c", "MOVE 1 FROM c",
                   "CLOSE c", "TRUNCATE strict", "CALL nothing()", "SHOW work_mem",
                   "SET LOCAL work_mem = '1MB'",
                   "MERGE INTO item USING (SELECT 1 AS id) x ON x.id = item.id"
                   " WHEN MATCHED THEN UPDATE SET amount = 6",
                   "", NULL));
    assert_string_equal(voted->detail, "");
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
}

/* DDL within a function is not seen by its caller's tag; privileges see it: the way that the manual tells. */
static void test_ddl_in_a_function_is_for_privileges_to_refuse(void **state)
{
    (void)state;
    use((struct policy){.refuse_ddl = true});
    assert_string_equal(value(world_work("SELECT make()", NULL), 0), "1");
    use((struct policy){.refuse_ddl = true, .role = "app"});
    struct command_result *voted = execute(world_work("SELECT make()", NULL));
    expect_refused(voted, REASON_STATEMENT_FAILED, "permission denied for schema public");
    assert_string_equal(voted->failure.sqlstate, "42501");
}

/* More rows than may be, returned or touched, are no: also those of a result without end, at once. */
static void test_rows_are_capped(void **state)
{
    (void)state;
    use((struct policy){.max_rows = 9});
    assert_string_equal(value(world_work("SELECT generate_series(1, 9)", NULL), 0), "1");
    expect_refused(execute(world_work("SELECT generate_series(1, 10)", NULL)),
                   REASON_REJECTED_BY_POLICY, "policy max_rows: ");
    expect_refused(execute(world_work("UPDATE item SET amount = 0", NULL)),
                   REASON_REJECTED_BY_POLICY,
                   "policy max_rows: statement 0 returns or touches more than 9 rows");
    uint64_t begin_ms = clock_monotonic_ms();
    expect_refused(execute(world_work("SELECT generate_series(1, 1000000000000)", NULL)),
                   REASON_REJECTED_BY_POLICY, "policy max_rows: ");
    assert_true(clock_monotonic_ms() - begin_ms < 5000);
    expect_refused(execute(call("items", ARGS("ids", "{1,2,3,4,5,6}"))), REASON_REJECTED_BY_POLICY,
                   "more than 5 rows"); /* its own */
    struct gid gid = world_gid(world, sequence++);
    struct command command =
        world_execute_command(&gid, world_work("SELECT generate_series(1, 10)", NULL));
    command.as.execute.read_only = true; /* nothing would have been prepared either */
    expect_refused(world_await(world, world_submit(world, &command)), REASON_REJECTED_BY_POLICY,
                   "policy max_rows: ");
    assert_string_equal(world_sql(world, "SELECT sum(amount) FROM item"), "1000");
}

/* A statement counts what its command tag counts: rows that it touches on the side are not seen, as the manual says. */
static void test_rows_on_the_side_are_not_counted(void **state)
{
    (void)state;
    use((struct policy){.max_rows = 1});
    assert_string_equal(value(world_work("WITH x AS (UPDATE item SET amount = amount RETURNING id)"
                                         " SELECT count(*) FROM x",
                                         NULL),
                              0),
                        "10");
}

/* Waiting for somebody else's lock is no offence: it may be tried again. */
static void test_wait_for_a_lock_is_not_the_policys(void **state)
{
    (void)state;
    use((struct policy){.max_time_ms = 400});
    struct gid holder = world_gid(world, sequence++);
    const char sql[] = "UPDATE item SET amount = 7 WHERE id = 1";
    assert_int_equal(world_execute(world, &holder, world_work(sql, NULL))->class, PG_OK);
    struct gid gid = world_gid(world, sequence++);
    uint64_t begin_ms = clock_monotonic_ms();
    struct command_result *voted = world_execute(world, &gid, world_work("SELECT 1", sql, NULL));
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    assert_int_equal(voted->failure.reason, REASON_LOCK_TIMEOUT);
    assert_true(clock_monotonic_ms() - begin_ms < 5000);
    assert_int_equal(world_finish(world, &holder, false)->class, PG_OK);
}

/* A statement that takes longer than it may is no, and by this rule; SQL cannot lift it for what comes after. */
static void test_time_is_capped(void **state)
{
    (void)state;
    use((struct policy){.max_time_ms = 200});
    expect_refused(execute(world_work("SELECT pg_sleep(20)", NULL)), REASON_REJECTED_BY_POLICY,
                   "policy max_time: ");
    expect_refused(execute(world_work("SELECT set_config('statement_timeout', '0', true)",
                                      "SELECT pg_sleep(20)", NULL)),
                   REASON_REJECTED_BY_POLICY, "policy max_time: ");
    assert_string_equal(value(call("sleep", ARGS("seconds", "0.4")), 0), ""); /* its own */
    /* The deadline is shorter than the cap: its own reason. */
    struct gid gid = world_gid(world, sequence++);
    struct command command = world_execute_command(&gid, call("sleep", ARGS("seconds", "20")));
    command.as.execute.deadline_ms = clock_monotonic_ms() + 500;
    expect_refused(world_await(world, world_submit(world, &command)), REASON_TIMEOUT, "");
    /* A person's cancel is not the policy's. The one before may end later than its answer came. */
#define SLEEPERS                                                                                   \
    " FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(%' AND state = 'active'"             \
    " AND usename = '" WORLD_ROLE "'"
    world_await_sql(world, "SELECT count(*)" SLEEPERS, "0");
    gid = world_gid(world, sequence++);
    command = world_execute_command(&gid, call("sleep", ARGS("seconds", "20")));
    uint64_t id = world_submit(world, &command);
    world_await_sql(world, "SELECT count(pg_cancel_backend(pid))" SLEEPERS, "1");
#undef SLEEPERS
    expect_refused(world_await(world, id), REASON_TIMEOUT, "user request");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations_only_run_what_the_file_has),
        cmocka_unit_test(test_operation_with_bad_values_fails),
        cmocka_unit_test(test_role_holds_for_each_statement),
        cmocka_unit_test(test_role_of_an_interactive_branch_follows_the_policy),
        cmocka_unit_test(test_deferred_trigger_runs_in_the_role),
        cmocka_unit_test(test_role_that_cannot_be_taken_is_refused),
        cmocka_unit_test(test_ddl_is_refused),
        cmocka_unit_test(test_control_is_not_called_ddl),
        cmocka_unit_test(test_dml_passes_where_ddl_is_refused),
        cmocka_unit_test(test_ddl_in_a_function_is_for_privileges_to_refuse),
        cmocka_unit_test(test_rows_are_capped),
        cmocka_unit_test(test_rows_on_the_side_are_not_counted),
        cmocka_unit_test(test_wait_for_a_lock_is_not_the_policys),
        cmocka_unit_test(test_time_is_capped),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
