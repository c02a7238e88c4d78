/*
 * http_interactive.h - bodies of an interactive transaction's requests to what the core understands (docs/adr/0014).
 *
 * Pure apart from memory, as http_submit.h. An empty body counts as {} where no member is required.
 */
#ifndef ASSENT_COORDINATOR_HTTP_INTERACTIVE_H
#define ASSENT_COORDINATOR_HTTP_INTERACTIVE_H

#include "coordinator/http_submit.h"
#include "coordinator/interactive.h"

/* {"timeout_ms"} */
bool open_parse(const struct http_limits *limits, const uint8_t *body, size_t body_bytes,
                uint32_t *ret_timeout_ms, struct problem *ret_problem);

/* {"participant","sql","params","expect_rows","isolation","read_only","seq"}, or "operation","args" in place of "sql","params"; fills all
 * but gtrid; work is owned by the caller. */
bool interactive_statement_parse(const struct http_limits *limits, const uint8_t *body,
                                 size_t body_bytes, struct interactive_statement *ret_statement,
                                 struct problem *ret_problem);

/* {"participant","mode":"external"}; fills all but gtrid. */
bool interactive_external_parse(const uint8_t *body, size_t body_bytes,
                                struct interactive_external *ret_external,
                                struct problem *ret_problem);

/* Of a commit {"ack"}, of a rollback {}; fills all but gtrid. */
bool interactive_end_parse(bool commit, const uint8_t *body, size_t body_bytes,
                           struct interactive_end *ret_end, struct problem *ret_problem);

#endif
