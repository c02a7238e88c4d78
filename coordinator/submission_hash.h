/*
 * submission_hash.h - the one place that says when two submissions are "the same body" (P-18).
 *
 * Called by both edges (HTTP and client) once a request is parsed, so that a key used through one
 * edge is known through the other. What goes in: the branches in their order, each with its
 * participant, isolation, read_only and the encoded statements (SQL, parameters, expect_rows). What
 * must stay out: the key, timeout_ms, ack, and everything about the form in which the request came.
 *
 * The form is kept with keys in the journal for the whole retention period: a change of it makes
 * every retained key a conflict, so it may change only together with the prefix in
 * submission_hash.c and a note in the CHANGELOG.
 */
#ifndef ASSENT_COORDINATOR_SUBMISSION_HASH_H
#define ASSENT_COORDINATOR_SUBMISSION_HASH_H

#include "coordinator/interactive.h"

/* Reads branches only; every branch must have its work blob. SHA-256, cannot fail. */
void submission_hash(const struct submission *submission, uint8_t ret_hash[BODY_HASH_BYTES]);

/* The same of an interactive transaction's statement, into it: two requests with one seq are the same statement if a submission of it
 * alone would be. */
void submission_hash_statement(struct interactive_statement *statement);

#endif
