/*
 * outcome.h - the small vocabulary of votes, reasons and proofs that coordinator, agents and
 * clients share.
 */
#ifndef ASSENT_COMMON_OUTCOME_H
#define ASSENT_COMMON_OUTCOME_H

#include "common/blob.h"
#include "common/xid.h"

enum vote { VOTE_COMMIT = 1, VOTE_ABORT, VOTE_READONLY, VOTE_UNKNOWN };

/* Why a transaction aborted (docs/ERRORS.md; reason_text gives the name used there). */
enum reason {
    REASON_NONE = 0,
    REASON_STATEMENT_FAILED,
    REASON_CONSTRAINT,
    REASON_ROW_COUNT,
    REASON_NOT_PREPARABLE,
    REASON_RESULT_TOO_LARGE,
    REASON_ROLLED_BACK_BY_CLIENT,
    REASON_SERIALIZATION,
    REASON_DEADLOCK,
    REASON_LOCK_TIMEOUT,
    REASON_REJECTED_BY_POLICY,
    REASON_TIMEOUT,
    REASON_PARTICIPANT_UNAVAILABLE,
    REASON_SHUTDOWN,
    REASON_CAPACITY,
    REASON_OVERLOAD,
    REASON_COUNT,
};

const char *reason_text(enum reason reason); /* "statement_failed"; "" for none */
bool reason_retryable(enum reason reason);
bool reason_parse(const char *text, enum reason *ret_reason);

#define SQLSTATE_SIZE 6

/* Why a branch said no. */
struct failure {
    enum reason reason;
    char sqlstate[SQLSTATE_SIZE]; /* "" where PostgreSQL said nothing */
    struct blob *report;          /* struct pg_report of work.h, or NULL; owned */
};

void failure_copy(const struct failure *from, struct failure *ret_failure); /* shares the blob */
void failure_done(struct failure *failure);

enum isolation {
    ISOLATION_READ_COMMITTED = 0,
    ISOLATION_REPEATABLE_READ,
    ISOLATION_SERIALIZABLE,
};

/* How a branch's outcome can be proved later (P-12). */
enum proof_kind {
    PROOF_NONE = 0, /* read-only branch: nothing to prove */
    PROOF_ROW,      /* the gid stands in assent.outcome, in the branch's own transaction */
    PROOF_XID,      /* pg_xact_status of xid8, while identity, timeline and LSN order hold */
    PROOF_EXTERNAL, /* the same, of a branch that the application prepared; its row is the voted one only with this xid (P-20) */
};

struct proof {
    enum proof_kind kind;
    uint32_t timeline;
    uint32_t database_oid;
    uint64_t xid8;      /* PostgreSQL's 64-bit transaction id, 0 if none */
    uint64_t system_id; /* system_identifier of the cluster */
    uint64_t lsn;       /* WAL insert position seen with the vote */
};

#endif
