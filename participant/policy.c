/* policy.c - see policy.h. */
#include "participant/policy.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"

struct policy *policy_new(void)
{
    struct policy *policy = alloc_zeroed(sizeof *policy);
    policy->holders = 1;
    return policy;
}

struct policy *policy_hold(struct policy *policy)
{
    (void)__atomic_add_fetch(&policy->holders, 1, __ATOMIC_RELAXED);
    return policy;
}

void policy_release(struct policy *policy)
{
    if (policy == NULL || __atomic_sub_fetch(&policy->holders, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    for (size_t i = 0; i < policy->operation_count; i++) {
        free(policy->operations[i].sql);
        free(policy->operations[i].param_names);
        free(policy->operations[i].param_types);
    }
    free(policy->operations);
    free(policy);
}

const struct operation *policy_find(const struct policy *policy, const char *name)
{
    size_t low = 0, high = policy->operation_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(policy->operations[middle].name, name);
        if (order == 0) {
            return &policy->operations[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

bool policy_name_valid(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size < POLICY_NAME_SIZE && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == size;
}

static bool refuse(char ret_why[POLICY_TEXT_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(char ret_why[POLICY_TEXT_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_why, POLICY_TEXT_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

/* The place of a name among the statement's arguments; their count: not there. */
static size_t find_arg(const struct statement *statement, const char *name)
{
    size_t i = 0;
    while (i < statement->param_count && strcmp(statement->arg_names[i], name) != 0) {
        i++;
    }
    return i;
}

static bool has_param(const struct operation *operation, const char *name)
{
    for (size_t i = 0; i < operation->param_count; i++) {
        if (strcmp(operation->param_names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_args(const struct operation *operation, const struct statement *statement,
                       char ret_why[POLICY_TEXT_SIZE])
{
    for (size_t i = 0; i < statement->param_count; i++) {
        if (!has_param(operation, statement->arg_names[i])) {
            return refuse(ret_why, "policy args: operation \"%s\" has no argument \"%.80s\"",
                          operation->name, statement->arg_names[i]);
        }
    }
    for (size_t i = 0; i < operation->param_count; i++) {
        if (find_arg(statement, operation->param_names[i]) == statement->param_count) {
            return refuse(ret_why, "policy args: operation \"%s\" needs the argument \"%s\"",
                          operation->name, operation->param_names[i]);
        }
    }
    CHECK(statement->param_count == operation->param_count); /* each name stands once in both */
    return true;
}

/* Arguments stand in the order of their names, parameters in that of their numbers. */
static void become_sql(const struct operation *operation, struct statement *statement)
{
    char **params = alloc_array(operation->param_count, sizeof *params);
    for (size_t i = 0; i < operation->param_count; i++) {
        params[i] = statement->params[find_arg(statement, operation->param_names[i])];
    }
    for (size_t i = 0; i < statement->param_count; i++) {
        free(statement->arg_names[i]);
    }
    free(statement->arg_names);
    free(statement->params);
    free(statement->operation);
    statement->arg_names = NULL;
    statement->operation = NULL;
    statement->params = params;
    statement->sql = alloc_string(operation->sql);
}

static bool admit_operation(const struct policy *policy, struct statement *statement,
                            struct policy_terms *terms, char ret_why[POLICY_TEXT_SIZE])
{
    const struct operation *operation = policy_find(policy, statement->operation);
    if (operation == NULL) {
        return refuse(ret_why, "policy operation: the agent has no operation \"%.80s\"%s",
                      statement->operation,
                      policy->operation_count == 0 ? " (it has no operations_file)" : "");
    }
    if (!check_args(operation, statement, ret_why)) {
        return false;
    }
    if (operation->expect_rows != EXPECT_ROWS_ANY) {
        if (statement->expect_rows != EXPECT_ROWS_ANY &&
            statement->expect_rows != operation->expect_rows) {
            return refuse(ret_why,
                          "policy expect_rows: operation \"%s\" expects %" PRId64
                          " rows, and the request %" PRId64,
                          operation->name, operation->expect_rows, statement->expect_rows);
        }
        statement->expect_rows = operation->expect_rows;
    }
    become_sql(operation, statement);
    terms->types = operation->param_types;
    terms->max_rows = operation->max_rows > 0 ? operation->max_rows : terms->max_rows;
    terms->max_time_ms = operation->max_time_ms > 0 ? operation->max_time_ms : terms->max_time_ms;
    return true;
}

bool policy_admit(const struct policy *policy, struct statement *statement,
                  struct policy_terms *ret_terms, char ret_why[POLICY_TEXT_SIZE])
{
    struct policy_terms terms = {.max_rows = policy->max_rows, .max_time_ms = policy->max_time_ms};
    if (statement->operation == NULL) {
        if (policy->operations_only) {
            return refuse(ret_why, "policy operations_only: this agent runs named operations only, "
                                   "no SQL of clients");
        }
    } else if (!admit_operation(policy, statement, &terms, ret_why)) {
        return false;
    }
    *ret_terms = terms;
    return true;
}
