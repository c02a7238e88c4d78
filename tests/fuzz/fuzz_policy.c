/*
 * fuzz_policy.c - any work against an agent's policy (participant/policy.h): a statement is refused by a rule and stays as it
 * was, or becomes SQL with exactly the file's parameters. The first byte chooses among policies.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "participant/operations.h"
#include "tests/fuzz/fuzz.h"

static const char bank[] = "[operation debit]\n"
                           "sql = UPDATE accounts SET balance = balance - $2 WHERE id = $1\n"
                           "params = account text, amount numeric\n"
                           "expect_rows = 1\n"
                           "[operation all]\n"
                           "sql = SELECT id FROM accounts\n"
                           "max_rows = 5\n";

static bool is_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Each parameter is one of the arguments, by its name. */
static void check_params(const struct operation *operation, const struct statement *statement,
                         char *const *names, char *const *values)
{
    CHECK(statement->param_count == operation->param_count);
    for (size_t i = 0; i < operation->param_count; i++) {
        size_t k = 0;
        while (k < operation->param_count && strcmp(names[k], operation->param_names[i]) != 0) {
            k++;
        }
        CHECK(k < operation->param_count && statement->params[i] == values[k]);
    }
}

static void admit_operation(const struct policy *policy, struct statement *statement)
{
    struct policy_terms terms;
    char why[POLICY_TEXT_SIZE];
    struct work copy = {0};
    struct work one = {.statement_count = 1, .statements = statement};
    struct blob *blob = work_encode(&one);
    CHECK(work_decode(blob, &copy, NULL));
    const struct operation *operation = policy_find(policy, statement->operation);
    char *values[OPERATION_ARGS_MAX] = {NULL};
    for (size_t i = 0; i < statement->param_count; i++) {
        values[i] = statement->params[i];
    }
    if (policy_admit(policy, statement, &terms, why)) {
        CHECK(operation != NULL && statement->operation == NULL && statement->arg_names == NULL);
        CHECK(strcmp(statement->sql, operation->sql) == 0 && terms.types == operation->param_types);
        check_params(operation, statement, copy.statements[0].arg_names, values);
    } else {
        struct blob *after = work_encode(&one);
        CHECK(is_prefix(why, "policy ") && blob_equal(blob, after));
        blob_free(after);
    }
    work_done(&copy);
    blob_free(blob);
}

static void admit_sql(const struct policy *policy, struct statement *statement)
{
    struct policy_terms terms;
    char why[POLICY_TEXT_SIZE];
    const char *sql = statement->sql;
    bool admitted = policy_admit(policy, statement, &terms, why);
    CHECK(admitted != policy->operations_only && statement->sql == sql);
    CHECK(admitted ? terms.types == NULL : is_prefix(why, "policy operations_only: "));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    if (size_bytes == 0) {
        return 0;
    }
    struct work work;
    struct blob *blob = blob_new(bytes + 1, size_bytes - 1);
    if (work_decode(blob, &work, NULL)) {
        struct policy *policy = policy_new();
        CHECK(bytes[0] % 4 == 3 || operations_parse("bank", bank, policy, NULL));
        policy->operations_only = bytes[0] % 2 == 0;
        for (size_t i = 0; i < work.statement_count; i++) {
            struct statement *statement = &work.statements[i];
            if (statement->operation != NULL) {
                admit_operation(policy, statement);
            } else {
                admit_sql(policy, statement);
            }
        }
        work_done(&work);
        policy_release(policy);
    }
    blob_free(blob);
    return 0;
}
