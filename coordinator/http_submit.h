/*
 * http_submit.h - request bodies to what the core understands: a submission, an operator's
 * resolution.
 *
 * Called by http_exchange.c before anything is posted, and by the fuzzer. Pure apart from memory:
 * knows JSON and limits, not connections. Whatever is wrong is said once, naming the place in the
 * body.
 */
#ifndef ASSENT_COORDINATOR_HTTP_SUBMIT_H
#define ASSENT_COORDINATOR_HTTP_SUBMIT_H

#include "coordinator/api.h"
#include "coordinator/http.h"
#include "coordinator/http_problem.h"

/* PostgreSQL's own bound on $1 ... $n. */
#define STATEMENT_PARAMS_MAX 65535

/* limits must be effective ones (no zeros). key_header is the Idempotency-Key field's value or
 * NULL. */
bool submit_parse(const struct http_limits *limits, const char *key_header, const uint8_t *body,
                  size_t body_bytes, struct submission *ret_submission,
                  struct problem *ret_problem);

/* {"action","participant","comment"}; fills all but gtrid. */
bool resolve_parse(const uint8_t *body, size_t body_bytes, struct api_resolve *ret_resolve,
                   struct problem *ret_problem);

/* The header's value: a quoted string (RFC 8941) or a bare token, 1 to 255 bytes. */
bool key_header_parse(const char *value, char ret_key[KEY_MAX_BYTES + 1], size_t *ret_key_bytes,
                      struct problem *ret_problem);

#endif
