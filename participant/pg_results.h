/*
 * pg_results.h - a branch's results, collected row by row under one limit for the whole branch.
 *
 * Used by pg_execute.c only. The limit counts the texts and a little for each value, so that memory
 * stays bounded also for a million empty columns.
 */
#ifndef ASSENT_PARTICIPANT_PG_RESULTS_H
#define ASSENT_PARTICIPANT_PG_RESULTS_H

#include <libpq-fe.h>

#include "common/work.h"

struct pg_results {
    struct results results;
    size_t result_capacity;
    size_t value_capacity; /* of the result being collected */
    size_t size_bytes;
    size_t limit_bytes;
    bool too_large;
    bool invalid; /* a value is not UTF-8 */
};

void pg_results_init(struct pg_results *collected, size_t limit_bytes);
void pg_results_done(struct pg_results *collected);

void pg_results_begin(struct pg_results *collected);
/* Takes the rows and, once, the columns of a PGresult of the statement begun last. False if too
 * large. */
bool pg_results_add(struct pg_results *collected, const PGresult *result);
/* The statement's last PGresult: its command tag. */
void pg_results_end(struct pg_results *collected, const PGresult *result);

/* Names of types by OID: a fixed table of the common ones, the rest asked for once and remembered.
 */
struct pg_types;
struct pg_types *pg_types_new(void);
void pg_types_free(struct pg_types *types);
/* Fills in the columns' type names that are known; returns how many OIDs were put into ret_oids to
 * be asked for. */
size_t pg_types_apply(const struct pg_types *types, struct results *results, size_t oid_max,
                      uint32_t *ret_oids);
void pg_types_learn(struct pg_types *types, uint32_t oid, const char *name);

#endif
