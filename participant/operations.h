/*
 * operations.h - the file of named operations, read strictly.
 *
 *     [operation debit]
 *     sql = UPDATE accounts SET balance = balance - $2
 *         WHERE id = $1 AND $2 > 0 AND balance >= $2
 *     params = account text, amount numeric
 *     expect_rows = 1
 *     max_rows = 10
 *     max_time = 500ms
 *
 * Called by config.c. Judges the file without a database: what it lets through can still fail there, but not turn
 * into another statement. docs/man/assent-agent.8 documents every key.
 */
#ifndef ASSENT_PARTICIPANT_OPERATIONS_H
#define ASSENT_PARTICIPANT_OPERATIONS_H

#include "common/config_file.h"
#include "participant/policy.h"

/* Adds the file's operations to a policy that has none. On failure the policy is only good for policy_release. */
bool operations_load(const char *path, struct policy *policy, struct error *ret_error);
/* The same from memory; name stands for the path in error texts. */
bool operations_parse(const char *name, const char *text, struct policy *policy,
                      struct error *ret_error);

#endif
