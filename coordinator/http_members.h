/*
 * http_members.h - checks one JSON object against the members it may have. Used by the request
 * parsers.
 */
#ifndef ASSENT_COORDINATOR_HTTP_MEMBERS_H
#define ASSENT_COORDINATOR_HTTP_MEMBERS_H

#include "coordinator/http_problem.h"

enum member_need {
    MEMBER_OPTIONAL = 0, /* null counts as absent: many clients write unset fields so */
    MEMBER_REQUIRED,
    MEMBER_OPENED, /* has a place in transactions that are opened, and none here: 422 */
};

struct member_rule {
    const char *name;
    enum member_need need;
    enum json_value_type type;
};

#define MEMBER_RULES_MAX 16

/* values[i] becomes the member of rules[i] or NULL. Unknown, missing and wrongly typed members are
 * problems. */
bool members_check(const struct json_value *object, const struct member_rule *rules,
                   size_t rule_count, const struct json_value *values[],
                   struct problem *ret_problem);

/* PROBLEM of `kind` whose detail starts with the value's path. Returns false. */
bool problem_at(struct problem *ret_problem, enum problem_kind kind, const struct json_value *value,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A whole number without sign, fraction or exponent, at most maximum. */
bool number_whole(const struct json_value *value, uint64_t maximum, uint64_t *ret_number);

#endif
