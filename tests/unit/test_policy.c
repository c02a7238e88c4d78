/* test_policy.c - the file of named operations (participant/operations.h), and what a policy says to a statement
 * (participant/policy.h). */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "participant/operations.h"

static const char bank[] =
    "; the bank's operations\n"
    "[operation debit]\n"
    "sql = UPDATE accounts SET balance = balance - $2\n"
    "    WHERE id = $1 AND balance >= $2\n"
    "params = account text, amount numeric\n"
    "expect_rows = 1\n"
    "[operation accounts]\n"
    "sql = SELECT id, 'it; $9' FROM accounts WHERE owner = any($1) AND mood = $2::mood\n"
    "params = owners uuid[],\tmood any\n"
    "max_rows = 100\n"
    "max_time = 500ms\n"
    "# no parameters\n"
    "[operation count-all]\n"
    "sql = SELECT count(*) FROM accounts\n";

static struct policy *parsed(const char *text)
{
    struct policy *policy = policy_new();
    struct error error = {0};
    assert_success(operations_parse("bank.operations", text, policy, &error), &error);
    return policy;
}

/* SQL keeps its words, parameters their order, names and types; what is not said is not capped. */
static void test_operations_file_is_read(void **state)
{
    (void)state;
    struct policy *policy = parsed(bank);
    assert_int_equal(policy->operation_count, 3);
    const struct operation *debit = policy_find(policy, "debit");
    assert_non_null(debit);
    assert_string_equal(debit->sql, "UPDATE accounts SET balance = balance - $2 "
                                    "WHERE id = $1 AND balance >= $2");
    assert_int_equal(debit->param_count, 2);
    assert_string_equal(debit->param_names[0], "account");
    assert_int_equal(debit->param_types[0], 25);
    assert_int_equal(debit->param_types[1], 1700);
    assert_int_equal(debit->expect_rows, 1);
    assert_int_equal(debit->max_rows, 0);
    const struct operation *accounts = policy_find(policy, "accounts");
    assert_int_equal(accounts->param_types[0], 2951);
    assert_int_equal(accounts->param_types[1], 0);
    assert_int_equal(accounts->expect_rows, EXPECT_ROWS_ANY);
    assert_int_equal(accounts->max_rows, 100);
    assert_int_equal(accounts->max_time_ms, 500);
    assert_int_equal(policy_find(policy, "count-all")->param_count, 0);
    assert_null(policy_find(policy, "credit"));
    assert_null(policy_find(policy, ""));
    policy_release(policy);
}

static void assert_refused(const char *text, const char *place, const char *wanted)
{
    struct policy *policy = policy_new();
    struct error error = {0};
    if (operations_parse("o", text, policy, &error)) {
        fail_msg("taken: %s", text);
    }
    if (strstr(error.text, place) != error.text || strstr(error.text, wanted) == NULL) {
        fail_msg("\"%s\" instead of \"%s ... %s\" for: %s", error.text, place, wanted, text);
    }
    policy_release(policy);
}

/* Every mistake is told with file and line, and nothing of the file is used. */
static void test_operations_file_mistakes_are_told_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *wanted;
    } cases[] = {
        {"", "o:", "no operation"},
        {"; nothing\n", "o:", "no operation"},
        {"sql = SELECT 1\n", "o:1:", "before the first section"},
        {"[debit]\nsql = SELECT 1\n", "o:2:", "not an operation"},
        {"[operation]\nsql = SELECT 1\n", "o:2:", "not an operation"},
        {"[operation Debit]\nsql = SELECT 1\n", "o:2:", "not an operation"},
        {"[operation a b]\nsql = SELECT 1\n", "o:2:", "not an operation"},
        {"[operation a]\n", "o:1:", "required"},
        {"[operation a]\nsql =\n", "o:2:", "empty"},
        {"[operation a]\nsql = SELECT 1\nsql = SELECT 2\n", "o:3:", "given before"},
        {"[operation a]\nsql = SELECT 1\n[operation a]\nsql = SELECT 2\n", "o:4:", "given before"},
        {"[operation a]\nsql = SELECT 1\nparam = x text\n", "o:3:", "unknown key"},
        {"[operation a]\nsql = SELECT 1\nWHERE x = 2\n", "o:3:", "unknown key"},
        {"[operation a]\nsql = SELECT 1 ; DROP TABLE a\n", "o:2:", "would be lost"},
        {"[operation a]\nsql = SELECT ' ;'\n", "o:2:", "would be lost"},
        {"[operation a]\nsql = SELECT a\n  #> b FROM c\n", "o:3:", "no part of a value"},
        {"[operation a]\nsql = SELECT ARRAY\n  [1]\n", "o:3:", "no part of a value"},
        {"[operation a]\nsql = SELECT 1\n  ; x\n", "o:3:", "no part of a value"},
        {"[operation a] sql = SELECT 1\n", "o:1:", "behind the section's bracket"},
        {"[operation a]\nsql = SELECT '\xFF'\n", "o:2:", "not UTF-8"},
        {"[operation a]\nsql = SELECT 'a\n  \xC3'\n", "o:2:", "not UTF-8"},
        {"[operation a]\nsql = SELECT 1 -- one\n  FROM b\n", "o:2:", "comment"},
        {"[operation a]\nsql = /* later */\n", "o:2:", "no command"},
        {"[operation a]\nsql = COMMIT\n", "o:2:", "COMMIT controls"},
        {"[operation a]\nsql = SET ROLE x\n", "o:2:", "SET controls"},
        {"[operation a]\nsql = SELECT $1\n", "o:2:", "$1, and params has 0"},
        {"[operation a]\nsql = SELECT $1, $3\nparams = a text, b text\n", "o:2:", "$3"},
        {"[operation a]\nsql = SELECT $99999999999\nparams = a text\n", "o:2:", "$9999"},
        {"[operation a]\nsql = SELECT $0\n", "o:2:", "$0"},
        {"[operation a]\nsql = SELECT $1\nparams = a text, b text\n", "o:3:", "does not mention"},
        {"[operation a]\nsql = SELECT '$1'\nparams = a text\n", "o:3:", "does not mention"},
        {"[operation a]\nsql = SELECT $1\nparams = a\n", "o:3:", "not a type"},
        {"[operation a]\nsql = SELECT $1\nparams = a mood\n", "o:3:", "not a type"},
        {"[operation a]\nsql = SELECT $1\nparams = a any[]\n", "o:3:", "not a type"},
        {"[operation a]\nsql = SELECT $1\nparams = a text not null\n", "o:3:", "not a type"},
        {"[operation a]\nsql = SELECT $1\nparams = A text\n", "o:3:", "not a parameter's name"},
        {"[operation a]\nsql = SELECT $1\nparams = a text,\n", "o:3:", "not a parameter's name"},
        {"[operation a]\nsql = SELECT $1, $2\nparams = a text, a text\n", "o:3:", "twice"},
        {"[operation a]\nsql = SELECT 1\nexpect_rows = -1\n", "o:3:", "out of range"},
        {"[operation a]\nsql = SELECT 1\nexpect_rows = one\n", "o:3:", "whole number"},
        {"[operation a]\nsql = SELECT 1\nexpect_rows = 9\nmax_rows = 8\n",
         "o:3:", "above max_rows"},
        {"[operation a]\nsql = SELECT 1\nmax_rows = 0\n", "o:3:", "out of range"},
        {"[operation a]\nsql = SELECT 1\nmax_time = 5\n", "o:3:", "time with its unit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_refused(cases[i].text, cases[i].place, cases[i].wanted);
    }
    struct error error = {0};
    struct policy *policy = policy_new();
    assert_false(operations_load("/nowhere/at.all", policy, &error));
    assert_non_null(strstr(error.text, "/nowhere/at.all"));
    policy_release(policy);
}

/* C would read a line with a NUL to the NUL: the condition that follows would be lost. */
static void test_operations_file_with_a_nul_is_refused(void **state)
{
    (void)state;
    static const char text[] = "[operation a]\nsql = DELETE FROM b\0 WHERE c = 1\n";
    char path[] = "/tmp/test_policy.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
    (void)close(fd);
    struct policy *policy = policy_new();
    struct error error = {0};
    bool taken = operations_load(path, policy, &error);
    (void)unlink(path);
    policy_release(policy);
    assert_false(taken);
    assert_non_null(strstr(error.text, ":2: "));
    assert_non_null(strstr(error.text, "NUL"));
}

/* A file without end, or nearly, is refused soon: SIGHUP reads it while branches wait. */
static void test_operations_file_sections_are_limited(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *stream = open_memstream(&text, &size_bytes);
    assert_non_null(stream);
    for (int i = 0; i < 5000; i++) {
        (void)fprintf(stream, "[operation o%d]\n", i);
    }
    assert_int_equal(fclose(stream), 0);
    assert_refused(text, "o:4097:", "too many sections");
    free(text);
}

/* As many parameters as a call can have arguments are taken, and no more. */
static void test_operations_file_parameters_are_limited(void **state)
{
    (void)state;
    for (size_t count = OPERATION_ARGS_MAX; count <= OPERATION_ARGS_MAX + 1; count++) {
        char text[8192];
        size_t used = (size_t)snprintf(text, sizeof text, "[operation a]\nsql = SELECT\n");
        for (size_t i = 0; i < 2 * count; i++) { /* first the SQL, then the parameters */
            const char *comma = i % count == 0 ? "" : ", ";
            used += (size_t)snprintf(text + used, sizeof text - used,
                                     i < count ? "    %s$%zu\n" : "    %sp%zu text\n", comma,
                                     i % count + 1);
            if (i + 1 == count) {
                used += (size_t)snprintf(text + used, sizeof text - used, "params =\n");
            }
        }
        struct policy *policy = policy_new();
        struct error error = {0};
        assert_int_equal(operations_parse("o", text, policy, &error), count == OPERATION_ARGS_MAX);
        if (count > OPERATION_ARGS_MAX) {
            assert_non_null(strstr(error.text, "65 parameters"));
        }
        policy_release(policy);
    }
}

/* An operation with the arguments "name=value" in ascending order, NULL at the end; owned. */
static struct statement call(const char *operation, int64_t expect_rows, const char *const *args)
{
    struct statement statement = {.operation = alloc_string(operation), .expect_rows = expect_rows};
    size_t count = 0;
    while (args[count] != NULL) {
        count++;
    }
    statement.arg_names = alloc_array(count, sizeof *statement.arg_names);
    statement.params = alloc_array(count, sizeof *statement.params);
    statement.param_count = count;
    for (size_t i = 0; i < count; i++) {
        const char *value = strchr(args[i], '=');
        statement.arg_names[i] = alloc_bytes(args[i], (size_t)(value - args[i]));
        statement.params[i] = alloc_string(value + 1);
    }
    return statement;
}

static void statement_done(struct statement *statement)
{
    struct work work = {.statement_count = 1, .statements = alloc_array(1, sizeof *statement)};
    work.statements[0] = *statement;
    work_done(&work);
}

/* An operation becomes its SQL, with the arguments in the order of its parameters. */
static void test_policy_operation_becomes_its_sql(void **state)
{
    (void)state;
    struct policy *policy = parsed(bank);
    policy->max_rows = 7;
    policy->max_time_ms = 90;
    char why[POLICY_TEXT_SIZE] = "";
    struct policy_terms terms;
    const char *const args[] = {"account=c-7", "amount=12.50", NULL};
    struct statement statement = call("debit", EXPECT_ROWS_ANY, args);
    assert_true(policy_admit(policy, &statement, &terms, why));
    assert_string_equal(statement.sql, policy_find(policy, "debit")->sql);
    assert_null(statement.operation);
    assert_null(statement.arg_names);
    assert_string_equal(statement.params[0], "c-7");
    assert_string_equal(statement.params[1], "12.50");
    assert_int_equal(statement.expect_rows, 1);
    assert_int_equal(terms.types[1], 1700);
    assert_int_equal(terms.max_rows, 7);
    assert_int_equal(terms.max_time_ms, 90);
    statement_done(&statement);

    const char *const others[] = {"mood=glad", "owners={}", NULL};
    statement = call("accounts", 3, others);
    assert_true(policy_admit(policy, &statement, &terms, why));
    assert_string_equal(statement.params[0], "{}");
    assert_string_equal(statement.params[1], "glad");
    assert_int_equal(statement.expect_rows, 3);
    assert_int_equal(terms.max_rows, 100); /* its own value in place of the general one */
    assert_int_equal(terms.max_time_ms, 500);
    statement_done(&statement);
    policy_release(policy);
}

/* What does not fit the file is refused by the name of the rule, and the statement stays as it was. */
static void test_policy_refusal_names_its_rule(void **state)
{
    (void)state;
    static const struct {
        const char *operation;
        int64_t expect_rows;
        const char *args[4];
        const char *wanted;
    } cases[] = {
        {"credit",
         EXPECT_ROWS_ANY,
         {NULL},
         "policy operation: the agent has no operation \"credit\""},
        {"debit",
         EXPECT_ROWS_ANY,
         {"account=c", NULL},
         "policy args: operation \"debit\" needs the argument \"amount\""},
        {"debit",
         EXPECT_ROWS_ANY,
         {NULL},
         "policy args: operation \"debit\" needs the argument \"account\""},
        {"debit",
         EXPECT_ROWS_ANY,
         {"account=c", "amount=1", "why=x", NULL},
         "policy args: operation \"debit\" has no argument \"why\""},
        {"count-all",
         EXPECT_ROWS_ANY,
         {"a=1", NULL},
         "policy args: operation \"count-all\" has no argument \"a\""},
        {"debit",
         2,
         {"account=c", "amount=1", NULL},
         "policy expect_rows: operation \"debit\" expects 1 rows, and the request 2"},
    };
    struct policy *policy = parsed(bank);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char why[POLICY_TEXT_SIZE] = "";
        struct policy_terms terms;
        struct statement statement = call(cases[i].operation, cases[i].expect_rows, cases[i].args);
        assert_false(policy_admit(policy, &statement, &terms, why));
        assert_string_equal(why, cases[i].wanted);
        assert_null(statement.sql);
        assert_string_equal(statement.operation, cases[i].operation);
        statement_done(&statement);
    }
    policy_release(policy);
}

/* SQL of a client passes unless only operations may; without a file no operation is known. */
static void test_policy_operations_only_refuses_sql(void **state)
{
    (void)state;
    struct policy *policy = policy_new();
    char why[POLICY_TEXT_SIZE] = "";
    struct policy_terms terms;
    struct statement statement = {.sql = alloc_string("SELECT 1"), .expect_rows = 1};
    assert_true(policy_admit(policy, &statement, &terms, why));
    assert_null(terms.types);
    assert_int_equal(terms.max_rows, 0);
    policy->operations_only = true;
    assert_false(policy_admit(policy, &statement, &terms, why));
    assert_non_null(strstr(why, "policy operations_only: "));
    assert_string_equal(statement.sql, "SELECT 1");
    statement_done(&statement);
    const char *const none[] = {NULL};
    statement = call("debit", EXPECT_ROWS_ANY, none);
    assert_false(policy_admit(policy, &statement, &terms, why));
    assert_non_null(strstr(why, "it has no operations_file"));
    statement_done(&statement);
    policy_release(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations_file_is_read),
        cmocka_unit_test(test_operations_file_mistakes_are_told_with_their_line),
        cmocka_unit_test(test_operations_file_with_a_nul_is_refused),
        cmocka_unit_test(test_operations_file_sections_are_limited),
        cmocka_unit_test(test_operations_file_parameters_are_limited),
        cmocka_unit_test(test_policy_operation_becomes_its_sql),
        cmocka_unit_test(test_policy_refusal_names_its_rule),
        cmocka_unit_test(test_policy_operations_only_refuses_sql),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
