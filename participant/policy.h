/*
 * policy.h - what this agent lets clients do: its named operations, and rules for every statement.
 *
 * An immutable value, made from the configuration (config.h, operations.h) and held by each branch for as long as it
 * runs, so that a reload changes nothing beneath it. Used by the PostgreSQL edge (pg_policy.c). Knows neither files nor
 * libpq. docs/adr/0015-named-operations.md has the reasons; the names of the rules are those that clients see.
 */
#ifndef ASSENT_PARTICIPANT_POLICY_H
#define ASSENT_PARTICIPANT_POLICY_H

#include "common/work.h"

#define POLICY_NAME_SIZE 64 /* with the final NUL: of operations, parameters and roles */
#define POLICY_TEXT_SIZE 256

struct operation {
    char name[POLICY_NAME_SIZE];
    char *sql; /* owned; with $1 to $n */
    size_t param_count;
    char (*param_names)[POLICY_NAME_SIZE]; /* owned; the first is $1 */
    uint32_t *param_types;                 /* owned; OIDs, 0: the server infers it */
    int64_t expect_rows;                   /* EXPECT_ROWS_ANY or the exact number */
    int64_t max_rows;                      /* 0: the policy's own */
    uint32_t max_time_ms;                  /* likewise */
};

struct policy {
    bool operations_only; /* no SQL of clients */
    bool refuse_ddl;
    char role[POLICY_NAME_SIZE]; /* "": the login role */
    int64_t max_rows;            /* 0: no cap */
    uint32_t max_time_ms;        /* 0: no cap */
    size_t operation_count;
    struct operation *operations; /* owned; by name, ascending */
    uint32_t holders;             /* policy.c's own */
};

struct policy *policy_new(void); /* without a rule and held once; never NULL */
struct policy *policy_hold(struct policy *policy);
void policy_release(struct policy *policy); /* NULL is fine. Both from any thread */

/* NULL: not there. */
const struct operation *policy_find(const struct policy *policy, const char *name);

/* 1 to 63 of a-z, 0-9, _ and -, beginning with a letter. */
bool policy_name_valid(const char *name);

/* What holds for one statement. */
struct policy_terms {
    const uint32_t
        *types;       /* one for each parameter, lent by the policy; NULL: the server infers all */
    int64_t max_rows; /* 0: no cap */
    uint32_t max_time_ms; /* 0: no cap */
};

/* May it be run? An operation becomes its SQL with the arguments as parameters. False: ret_why says which rule refused it,
 * "policy operations_only: ...", and the statement is as it was. */
bool policy_admit(const struct policy *policy, struct statement *statement,
                  struct policy_terms *ret_terms, char ret_why[POLICY_TEXT_SIZE]);

#endif
