/*
 * pg_inquest.h - one command's questions on the keeper's connection: stops at the first that is not answered.
 *
 * Included by pg_proof.c and pg_audit.c. The rule: an error or a lost connection leaves the class at PG_UNKNOWN; nothing is
 * ever concluded from not having been able to look.
 */
#ifndef ASSENT_PARTICIPANT_PG_INQUEST_H
#define ASSENT_PARTICIPANT_PG_INQUEST_H

#include "participant/pg_internal.h"

struct inquest {
    struct pg_member *keeper;
    struct command_result *result;
    uint64_t deadline_ms;
    bool broken; /* the connection, not only the question */
};

/* True and a result with rows, or false with the command's class left at UNKNOWN. */
bool inquest_ask(struct inquest *inquest, const struct pg_query *query, PGresult **ret_result);

/* pg_proof.c: what pg_xact_status says, where that can be believed (P-12). False: not answered. */
bool pg_prove_by_xid(struct inquest *inquest, const struct gid *gid, const struct proof *proof,
                     enum proof_result *ret_proved);

#endif
