/*
 * command.h - what the agent's core asks of PostgreSQL, and what PostgreSQL answered.
 *
 * The seam between the pure branch core (branch.h) and the PostgreSQL edge (pg_*.c), also the seam at which the
 * simulator puts its model. Plain values; no libpq here.
 *
 * Result classes never guess: a lost connection is PG_UNKNOWN, never "does not exist" (P-12).
 */
#ifndef ASSENT_PARTICIPANT_COMMAND_H
#define ASSENT_PARTICIPANT_COMMAND_H

#include "common/messages.h"

enum command_kind {
    COMMAND_EXECUTE =
        1,          /* BEGIN .. statements .. PREPARE TRANSACTION in one pipeline, on a worker */
    COMMAND_CANCEL, /* best effort: cancel a running EXECUTE, STATEMENT or PREPARE of this gid; no result */
    COMMAND_FINISH, /* COMMIT PREPARED or ROLLBACK PREPARED, on a finishing connection */
    COMMAND_PROVE,  /* what became of a gid that FINISH did not find: fence, look, proof (P-12) */
    COMMAND_LOOK,   /* fence (P-11), then is any gid of this gtrid and participant prepared? */
    COMMAND_SCAN,   /* all prepared rows of this database (the sweep) */
    COMMAND_LOAD_WITNESS, /* what the database remembers of a journal (P-10) */
    COMMAND_STORE_WITNESS,
    COMMAND_OUTCOMES, /* a page of the outcomes that were not compared with the coordinator yet (P-12) */
    COMMAND_AUDIT,  /* are branches that had committed still there? (P-14) */
    COMMAND_ROTATE, /* truncate one partition of assent.outcome if every journal's floor passed it */
    /* An interactive branch, on a connection that is its own from its first statement to its end (P-22): */
    COMMAND_STATEMENT, /* one statement; the first one begins the transaction */
    COMMAND_PREPARE,   /* what EXECUTE does after its statements */
    COMMAND_CLOSE,     /* ROLLBACK */
    COMMAND_VERIFY, /* a branch that the application prepares itself: is it there, durable, ours to finish? (P-3) */
};

struct command_execute {
    struct gid gid;
    enum isolation isolation;
    bool read_only;       /* as declared, whatever the isolation */
    uint64_t deadline_ms; /* CLOCK_MONOTONIC; statement and lock timeouts are derived from it */
    struct blob *work;
};

/* P-19: nothing to prepare, ends by ROLLBACK. What a serializable branch only read still counts until the end, so
 * that one is prepared like any other. */
static inline bool command_execute_by_rollback(const struct command_execute *execute)
{
    return execute->read_only && execute->isolation != ISOLATION_SERIALIZABLE;
}

/* PG_OK: the transaction is open, and stays so until PREPARE or CLOSE. PG_ROLLED_BACK: the branch is over, and nothing was
 * prepared. Nothing else. */
struct command_statement {
    struct command_execute execute; /* its work is one statement */
    uint64_t ordinal;
};

struct command_finish {
    struct gid gid;
    bool commit;
    struct proof proof; /* PROOF_EXTERNAL with an xid: only the row with it is meant (P-20) */
};

/* PG_OK: it is, with proof and owner. PG_ROLLED_BACK: no, and failure says why; a row may be there all the same, or come.
 * PG_UNKNOWN: could not be looked at, or is not known on the standby. Nothing else. */
struct command_verify {
    struct gid gid;
    uint64_t deadline_ms; /* CLOCK_MONOTONIC */
};

struct command_prove {
    struct gid gid;
    struct proof proof;
    bool expect_commit; /* which way FINISH was asked to go */
    bool fence;         /* end the backends of earlier incarnations and the branch's own first */
};

struct command_look {
    struct gtrid gtrid;
    bool has_gid; /* then also ends the backend that this incarnation used for it */
    struct gid gid;
};

struct command_scan {
    bool look_for_others; /* tell whether a backend of an earlier incarnation is left */
    bool end_others;      /* and end those that are (P-11) */
};

struct command_outcomes {
    struct journal_id journal;
    uint32_t limit;
    uint64_t after_xid; /* the last one of the page before; 0: the first page */
};

struct witness {
    struct journal_id journal;
    uint64_t epoch; /* 0: unknown journal */
    uint64_t epoch_nonce;
    struct journal_head head;
    struct journal_floor floor;
    char address[ADDRESS_SIZE];
    /* P-12: every outcome of a transaction id below this one was decided so, or the difference is on record. Of the history
     * with this timeline; 0: not known here, and the database keeps what it has. Not loaded. */
    uint64_t compared_xid;
    uint32_t compared_timeline;
};

struct command {
    uint64_t id; /* given by the core, echoed in the result; never reused */
    enum command_kind kind;
    union {
        struct command_execute execute;
        struct gid cancel;
        struct command_finish finish;
        struct command_prove prove;
        struct command_look look;
        struct command_scan scan;
        struct command_outcomes outcomes;
        struct journal_id load;
        struct witness store;
        struct audit_list audit; /* owned */
        struct command_statement statement;
        struct command_execute prepare; /* without work */
        struct gid close;
        struct command_verify verify;
    } as;
};

enum pg_class {
    PG_OK =
        1, /* EXECUTE, PREPARE: prepared (or read-only done); FINISH: done, tag matched, no warning */
    PG_ROLLED_BACK, /* EXECUTE, PREPARE: said no, nothing is prepared; failure says why */
    PG_NOT_FOUND,   /* FINISH: 42704; LOOK: nothing prepared, and the fence makes that final */
    PG_RETRY, /* busy, out of resources, a WARNING came with it (not durable on the standby): try again */
    PG_REFUSED, /* permission, other database, feature disabled: alarm and try again with backoff */
    PG_UNKNOWN, /* connection lost, no SQLSTATE, 57P01 ...: anything may have happened */
};

enum proof_result {
    PROOF_SAYS_PREPARED = 1, /* the row is (still or again) there: finish it */
    PROOF_SAYS_COMMITTED,
    PROOF_SAYS_ABSENT, /* not committed, and not prepared any more or ever */
    PROOF_CANNOT_TELL,
};

struct prepared_row {
    char gid_text[GID_TEXT_SIZE]; /* as PostgreSQL shows it; may be a stranger's */
    uint32_t xid;                 /* 32 bits, as pg_prepared_xacts has it */
    uint64_t age_ms;
    char owner[PARTICIPANT_NAME_SIZE];
    char database
        [PARTICIPANT_NAME_SIZE]; /* SCAN, of a row that is in another one of the server; else "" */
};

struct command_result {
    uint64_t id;
    enum command_kind kind;
    enum pg_class class;
    char detail[HEALTH_TEXT_SIZE]; /* for people: what PostgreSQL said */
    struct proof
        proof; /* EXECUTE, PREPARE, VERIFY; STORE_WITNESS: lsn, the position after it; SCAN: xid8, every
                                      lower one had ended; OUTCOMES: xid8, the last one of the page */
    struct blob *results; /* EXECUTE and STATEMENT, PG_OK; AUDIT: findings, one byte each; owned */
    struct failure
        failure; /* EXECUTE, STATEMENT, PREPARE and VERIFY, PG_ROLLED_BACK and PG_UNKNOWN; owned */
    enum proof_result proved; /* PROVE, with PG_OK */
    struct witness witness;   /* LOAD_WITNESS */
    size_t
        row_count; /* SCAN (all rows of this database with the prefix "assent:", and this participant's in others; oldest first), LOOK (matching rows), OUTCOMES */
    struct prepared_row *rows; /* owned; OUTCOMES: of each the gid only */
    char owner[OWNER_SIZE];    /* VERIFY, PG_OK */
    /* FINISH of an external branch, PG_NOT_FOUND: a row of its name was there under another xid. It was rolled back, or took the
     * voted one's place after the look and was committed (pg_owner.c); detail says which. */
    bool was_another;
    /* SCAN, where that was asked: no earlier incarnation's backend is left; if one is, detail names it. */
    bool is_alone;
};

void command_done(struct command *command);
void command_result_done(struct command_result *result);

/* State of the database as the edge sees it; sent to the core whenever it changes and every heartbeat. */
struct database_status {
    enum health health;
    struct identity identity; /* of the last successful connect */
    /* A reconnect found another timeline, an insert position behind the highest seen, or another
     * system identifier (P-14): votes given before are void. Stays set for one status. */
    bool history_changed;
    char text[HEALTH_TEXT_SIZE];
};

#endif
