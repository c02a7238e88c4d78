/*
 * http_submit_parts.h - what the bodies of a submission and of an interactive transaction have in common.
 *
 * Functions of http_submit.c for http_interactive.c; nobody else includes this. Each returns false after it has set the problem.
 */
#ifndef ASSENT_COORDINATOR_HTTP_SUBMIT_PARTS_H
#define ASSENT_COORDINATOR_HTTP_SUBMIT_PARTS_H

#include "common/work.h"
#include "coordinator/http_members.h"
#include "coordinator/http_submit.h"

/* What one call carries down: limits, and the statements seen so far in all branches. */
struct submit_parser {
    const struct http_limits *limits;
    size_t statement_count;
    struct problem *problem;
};

/* What makes a statement; each may be NULL. */
struct statement_members {
    const struct json_value *sql, *params, *operation, *args, *expect_rows;
};

/* `value` has these members. Fills *statement, which is zeroed; what it holds after a failure is released with the work. */
bool submit_statement_fill(const struct submit_parser *parser, const struct json_value *value,
                           const struct statement_members *members, struct statement *statement);

/* value NULL: the default. */
bool submit_isolation_parse(const struct submit_parser *parser, const struct json_value *value,
                            enum isolation *ret_isolation);
bool submit_timeout_parse(const struct submit_parser *parser, const struct json_value *value,
                          uint32_t *ret_timeout_ms);
bool submit_ack_parse(const struct submit_parser *parser, const struct json_value *value,
                      enum ack_mode *ret_ack);

#endif
