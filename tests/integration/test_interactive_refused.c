/*
 * test_interactive_refused.c - bad input, the agent's policy and limits in interactive transactions, and what they leave behind: nothing.
 */
#include "test_interactive_kit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"

/* What cannot be understood is refused before anything is done, and the transaction goes on. */
static void test_bad_statements_change_nothing(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *slug;
    } rows[] = {
        {"{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[\"a\\u0000b\"]}", 400,
         "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT 1\\u0000\"}", 400, "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[\"\xc3\x28\"]}", 400,
         "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[\"\\ud800\"]}", 400,
         "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[{\"a\":1}]}", 400,
         "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"expect_row\":1}", 400, "malformed"},
        {"{\"participant\":\"order\",\"sql\":7}", 400, "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"\"}", 422, "invalid"},
        {"{\"participant\":\"order\",\"sql\":\" ; /* nothing */ -- at all\"}", 422, "invalid"},
        {"{\"participant\":\"inventory\",\"sql\":\"SELECT 1\"}", 422, "unknown_participant"},
        {"{\"participant\":\"order\",\"operation\":\"\"}", 422, "invalid"},
        {"{\"participant\":\"order\",\"operation\":\"o\",\"sql\":\"SELECT 1\"}", 422, "invalid"},
        {"{\"participant\":\"order\",\"operation\":\"o\",\"params\":[]}", 422, "invalid"},
        {"{\"participant\":\"order\",\"operation\":\"o\",\"args\":{\"a\":\"b\\u0000\"}}", 400,
         "malformed"},
        {"{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"isolation\":\"serializable\"}", 409,
         "conflict"},
        {"not JSON", 400, "malformed"},
    };
    struct day *day = *state;
    struct talk talk;
    talk_in_both(day, &talk, "patient");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = talk_ask(day, talk.statements, rows[i].body, rows[i].status, rows[i].slug);
        assert_null(strstr(text, "\"state\""));
        free(text);
    }
    char *large = alloc_array(2 << 20, 1);
    memset(large, ' ', (2 << 20) - 1);
    free(talk_ask(day, talk.statements, large, 413, "body_too_large"));
    free(large);
    talk_note(day, &talk, DAY_ORDER, "patient too", 3);
    talk_note(day, &talk, DAY_PAYMENT, "patient too", 4);
    talk_expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    talk_expect_notes(day, "patient", 1);
    talk_expect_notes(day, "patient too", 1);
    talk_expect_nothing_left(day);
}

/* What the agent or PostgreSQL refuses ends the transaction, with the reason, and leaves nothing behind. */
static void test_refused_statements_leave_nothing(void **state)
{
    static const struct {
        const char *sql;
        int status;
        const char *slug;
    } rows[] = {
        {"SELECT $1::integer", 409, "statement_failed"}, /* a parameter of the wrong type */
        {"SELECT $1, $2", 409, "statement_failed"},      /* and one that is missing */
        {"SELECT repeat($1, 300000)", 409, "result_too_large"},
        {"COMMIT", 403, "rejected_by_policy"},
        {"/* */ ROLLBACK", 403, "rejected_by_policy"},
        {"SAVEPOINT s", 403, "rejected_by_policy"},
        {"DO 'BEGIN COMMIT; END'", 403, "rejected_by_policy"},
        {"/* not closed", 409, "statement_failed"},
        {"SELECT 1; SELECT 2", 409, "statement_failed"}, /* one statement each (P-21) */
        {"", 0, NULL},
    };
    struct day *day = *state;
    for (size_t i = 0; rows[i].slug != NULL; i++) {
        struct talk talk;
        char body[512];
        talk_in_both(day, &talk, "refused");
        const char *params = strchr(rows[i].sql, '$') == NULL ? "[]" : "[\"x\"]";
        (void)snprintf(body, sizeof body,
                       "{\"participant\":\"order\",\"sql\":\"%s\",\"params\":%s}", rows[i].sql,
                       params);
        talk_expect(day, talk.statements, body, rows[i].status, rows[i].slug,
                    "\"state\":\"aborted\"");
        talk_expect(day, talk.commit, "{}", rows[i].status, rows[i].slug, "\"state\":\"aborted\"");
    }
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "refused", 0);
}

/* The login role may take it, and it may do nothing but read and write notes. A role is the cluster's, which outlives the stack. */
static void notary_make(struct day *day)
{
    day_sql(day, DAY_PAYMENT,
            "DO $$ BEGIN CREATE ROLE notary; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
            " GRANT notary TO assent_payment; GRANT SELECT, INSERT ON notes TO notary");
}

static void reload(struct day *day, struct stack_daemon *agent, const char *config)
{
    struct error error;
    off_t offset = stack_daemon_log_size(agent);
    assert_success(stack_config_write(agent, config, &error), &error);
    stack_daemon_signal(agent, SIGHUP);
    day_wait_log(day, agent, offset, "policy read again");
}

/* The payments' agent knows one operation, runs it in a role of its own, and runs nothing else. Returns its old configuration. */
static char *payment_policy(struct day *day)
{
    struct stack_daemon *agent = stack_agent(day->stack, DAY_PAYMENT);
    char path[512], config[8192];
    (void)snprintf(path, sizeof path, "%s/notes.operations", stack_folder(day->stack));
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("[operation note]\n"
                      "sql = INSERT INTO notes VALUES ($1 || ' by ' || current_user)\n"
                      "params = note text\n"
                      "expect_rows = 1\n"
                      "[operation nap]\n"
                      "sql = SELECT pg_sleep(60)\n"
                      "max_time = 100ms\n"
                      "[operation names]\n"
                      "sql = SELECT note FROM notes\n"
                      "max_rows = 1\n",
                      file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0644), 0); /* the agent may be another user */
    char *plain = stack_config_text(agent);
    (void)snprintf(config, sizeof config,
                   "%s\n[policy]\noperations_file = %s\noperations_only = yes\nrole = notary\n",
                   plain, path);
    reload(day, agent, config);
    return plain;
}

/* An operation is a statement like another, under its number and in the policy's role, which the prepared branch does not have;
 * the policy is that of the statement's moment. */
static void test_operation_is_a_statement(void **state)
{
    struct day *day = *state;
    struct talk talk;
    notary_make(day);
    talk_open(day, &talk, 30000);
    talk_note(day, &talk, DAY_ORDER, "called", 1);
    talk_note(day, &talk, DAY_PAYMENT, "called", 2);
    char *plain = payment_policy(day);
    char *first =
        talk_ask(day, talk.statements,
                 "{\"participant\":\"payment\",\"seq\":3,\"operation\":\"note\",\"args\":{"
                 "\"note\":\"one\"}}",
                 200, NULL);
    assert_non_null(strstr(first, "\"command\":\"INSERT 0 1\""));
    char *again = talk_ask(day, talk.statements,
                           "{\"participant\":\"payment\",\"args\":{\"note\":\"one\"},\"operation\":"
                           "\"note\",\"seq\":3}",
                           200, NULL);
    assert_string_equal(first, again);
    talk_expect(day, talk.statements,
                "{\"participant\":\"payment\",\"seq\":3,\"operation\":\"note\",\"args\":{\"note\":"
                "\"other\"}}",
                422, "key_conflict", "this seq");
    talk_expect(day, talk.statements,
                "{\"participant\":\"payment\",\"operation\":\"note\",\"args\":{\"note\":\"two\"}}",
                200, NULL, "\"seq\":4");
    talk_expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    assert_int_equal(
        talk_number(day, DAY_PAYMENT,
                    "SELECT count(*) FROM notes WHERE note IN ('called', 'one by notary',"
                    " 'two by notary')"),
        3);
    talk_expect_notes(day, "called", 1);
    reload(day, stack_agent(day->stack, DAY_PAYMENT), plain);
    talk_expect_nothing_left(day);
    free(plain);
    free(first);
    free(again);
}

/* What the policy refuses, before or after it ran, is 403, names its rule, and ends the transaction everywhere. */
static void test_policy_refusal_ends_it(void **state)
{
    static const struct {
        const char *statement, *wanted;
    } rows[] = {
        {"\"sql\":\"SELECT 1\"", "policy operations_only: "},
        {"\"operation\":\"debit\"", "policy operation: "},
        {"\"operation\":\"note\"", "policy args: "},
        {"\"operation\":\"note\",\"args\":{\"note\":\"x\",\"y\":1}", "policy args: "},
        {"\"operation\":\"note\",\"args\":{\"note\":\"x\"},\"expect_rows\":2",
         "policy expect_rows: "},
        {"\"operation\":\"nap\"", "policy max_time: "},
        {"\"operation\":\"names\"", "policy max_rows: "},
    };
    struct day *day = *state;
    notary_make(day);
    day_sql(day, DAY_PAYMENT, "INSERT INTO notes VALUES ('a'), ('b')");
    char *plain = payment_policy(day);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct talk talk;
        char body[512];
        talk_open(day, &talk, 30000);
        talk_note(day, &talk, DAY_ORDER, "refused", 1);
        if (i % 2 == 0) { /* else the refused one is the branch's first */
            talk_expect(day, talk.statements,
                        "{\"participant\":\"payment\",\"operation\":\"note\",\"args\":{\"note\":"
                        "\"refused\"}}",
                        200, NULL, "\"state\":\"active\"");
        }
        (void)snprintf(body, sizeof body, "{\"participant\":\"payment\",%s}", rows[i].statement);
        talk_expect(day, talk.statements, body, 403, "rejected_by_policy", rows[i].wanted);
        talk_expect(day, talk.commit, "{}", 403, "rejected_by_policy", "\"state\":\"aborted\"");
    }
    talk_expect_nothing_left(day);
    assert_int_equal(talk_number(day, DAY_PAYMENT, "SELECT count(*) FROM notes"), 2);
    assert_int_equal(talk_number(day, DAY_ORDER, "SELECT count(*) FROM notes"), 0);
    reload(day, stack_agent(day->stack, DAY_PAYMENT), plain);
    free(plain);
}

/* Temporary tables do not survive PREPARE: found at the commit, and everything is rolled back. */
static void test_branch_that_cannot_be_prepared_aborts_the_commit(void **state)
{
    struct day *day = *state;
    struct talk talk;
    talk_in_both(day, &talk, "temporary");
    talk_expect(day, talk.statements,
                "{\"participant\":\"order\",\"sql\":\"CREATE TEMPORARY TABLE t(i int)\"}", 200,
                NULL, "");
    talk_expect(day, talk.commit, "{}", 409, "not_preparable", "\"state\":\"aborted\"");
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "temporary", 0);
}

/* Connections for open branches and open transactions are bounded; what does not fit is refused at once and not kept waiting. */
static void test_limits_refuse_at_once(void **state)
{
    struct day *day = *state;
    struct talk first, second, third;
    char body[512];
    talk_stack(day, (struct stack_options){.assentd_lines = "interactive_max = 2\n",
                                           .database_lines = "interactive = 1\n"});
    talk_open(day, &first, 30000);
    talk_note(day, &first, DAY_ORDER, "limits", 0);
    talk_open(day, &second, 30000);
    free(talk_ask(day, "/v1/transactions/open", "{}", 429, "overload"));
    talk_note_body(body, sizeof body, DAY_ORDER, "others", 0);
    talk_expect(day, second.statements, body, 503, "capacity", "\"state\":\"aborted\"");
    talk_open(day, &third, 30000); /* the second is over */
    talk_note(day, &first, DAY_PAYMENT, "limits", 0);
    talk_expect(day, first.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    talk_note(day, &third, DAY_ORDER, "freed", 0);
    talk_note(day, &third, DAY_PAYMENT, "freed", 0);
    talk_expect(day, third.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    talk_expect_notes(day, "limits", 1);
    talk_expect_notes(day, "others", 0);
    talk_expect_notes(day, "freed", 1);
    talk_expect_nothing_left(day);
}

#ifndef __SANITIZE_ADDRESS__ /* which keeps for a while what was freed; it finds leaks by itself */

static long resident_kib(const struct stack_daemon *daemon)
{
    char path[64];
    long pages = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)stack_daemon_pid(daemon));
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
    assert_int_equal(fclose(file), 0);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* One of each: refused before anything is done, by the agent, by PostgreSQL, at the limit of results, and never ended. */
static void misbehave(struct day *day, const char *large)
{
    struct talk talk;
    free(talk_ask(day, "/v1/transactions", large, 400, "malformed"));
    talk_open(day, &talk, 30000);
    free(talk_ask(day, talk.statements, "{\"participant\":\"order\",\"sql\":\"\\u0000\"}", 400,
                  "malformed"));
    free(talk_ask(day, talk.statements, "{\"participant\":\"order\",\"sql\":\"COMMIT\"}", 403,
                  "rejected_by_policy"));
    free(talk_ask(day, talk.commit, "{}", 403, "rejected_by_policy"));
    talk_open(day, &talk, 30000);
    talk_note(day, &talk, DAY_PAYMENT, "bad", 1);
    free(talk_ask(day, talk.statements,
                  "{\"participant\":\"order\",\"sql\":\"SELECT $1::int\",\"params\":[\"x\"]}", 409,
                  "statement_failed"));
    talk_open(day, &talk, 30000);
    free(talk_ask(day, talk.statements,
                  "{\"participant\":\"order\",\"sql\":\"SELECT repeat('x', 300000)\"}", 409,
                  "result_too_large"));
    talk_open(day, &talk, 100); /* and is forgotten by its client */
}

/* Bad input for long makes nobody grow: what is remembered of what aborted is bounded (recent_max), and reached before it is measured. */
static void test_bad_input_for_long_leaves_memory_as_it_is(void **state)
{
    enum { ROUNDS = 100, GROWTH_KIB = 4096 };
    struct day *day = *state;
    talk_stack(day, (struct stack_options){.assentd_lines = "recent_max = 50\n"});
    char *large = alloc_array(512 << 10, 1);
    memset(large, '[', (512 << 10) - 1);
    struct stack_daemon *const daemons[] = {stack_coordinator(day->stack),
                                            stack_agent(day->stack, DAY_ORDER),
                                            stack_agent(day->stack, DAY_PAYMENT)};
    long before[3] = {0};
    for (int round = 0; round < 2 * ROUNDS; round++) {
        misbehave(day, large);
        for (size_t i = 0; round + 1 == ROUNDS && i < 3; i++) {
            before[i] = resident_kib(daemons[i]);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        long now = resident_kib(daemons[i]);
        if (now > before[i] + GROWTH_KIB) {
            fail_msg("daemon %zu grew from %ld to %ld KiB", i, before[i], now);
        }
    }
    free(large);
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "bad", 0);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        talk_test(test_bad_statements_change_nothing),
        talk_test(test_refused_statements_leave_nothing),
        talk_test(test_operation_is_a_statement),
        talk_test(test_policy_refusal_ends_it),
        talk_test(test_branch_that_cannot_be_prepared_aborts_the_commit),
        talk_test_alone(test_limits_refuse_at_once),
#ifndef __SANITIZE_ADDRESS__
        talk_test_alone(test_bad_input_for_long_leaves_memory_as_it_is),
#endif
    };
    return cmocka_run_group_tests_name("interactive_refused", tests, day_clusters_make,
                                       talk_group_end);
}
