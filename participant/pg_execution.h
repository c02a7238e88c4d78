/*
 * pg_execution.h - one EXECUTE under way, as its files see it: pg_execute.c (sends and reads), pg_interactive.c (the same, statement by statement), pg_failure.c (says
 * no), pg_settle.c (what follows the answer). Included by these only.
 */
#ifndef ASSENT_PARTICIPANT_PG_EXECUTION_H
#define ASSENT_PARTICIPANT_PG_EXECUTION_H

#include "common/work.h"
#include "participant/pg_internal.h"
#include "participant/pg_results.h"

/* Which statement something is about: 0 and up are the client's. */
enum { INDEX_NONE = -1, INDEX_BEGIN = -2, INDEX_OWN = -3, INDEX_PREPARE = -4 };

struct execution {
    struct pg_member *member;
    struct pg_session *session;
    const struct command_execute *execute;
    struct command_result *result;
    struct work work;
    struct pg_results collected;
    char gid_text[GID_TEXT_SIZE];
    char marker[32];      /* set for the transaction at its beginning, looked for at its end */
    uint64_t deadline_ms; /* with overtime */
    bool overtime;
    bool by_rollback; /* declared read-only and not serializable: no PREPARE (P-19) */
    bool proof_row;
    bool split;        /* PREPARE waits until the results were read */
    bool prepare_sent; /* from now on only PREPARE's reply tells */
    bool broken;       /* the connection is not to be used again */
};

/* pg_execute.c: the words of a branch, for it and for pg_interactive.c. All of them send, or read and on failure fill in the
 * answer; they return false where they cannot go on. */
#define PG_TIMEOUTS_COUNT 2 /* statements that pg_send_timeouts sends */

void pg_execution_init(struct execution *x, struct pg_member *member,
                       const struct command_execute *execute, struct command_result *result);
void pg_execution_done(struct execution *x);
bool pg_check_work(struct execution *x);
const char *pg_begin_sql(const struct execution *x);
bool pg_send_sql(struct execution *x, const char *sql);
bool pg_send_timeouts(struct execution *x, uint64_t left_ms);
bool pg_send_marker(struct execution *x); /* once in a branch: the end looks for it (P-3) */
bool pg_send_statement(struct execution *x, const struct statement *statement);
bool pg_send_constraints(struct execution *x);
bool pg_send_sync(struct execution *x);
bool pg_send_end(struct execution *x); /* PREPARE, or ROLLBACK, and Sync */
void pg_flush_end(struct execution *x);
bool pg_skip_own(struct execution *x, ExecStatusType status, int index);
bool pg_read_statement(struct execution *x, int index);
bool pg_skip_constraints(struct execution *x);
bool pg_read_end(struct execution *x);

/* Somebody wants this branch to end. */
bool pg_execution_cancelled(struct execution *x);

/* All of these fill in the answer and return false. Not prepared, or unknown if PREPARE may have been carried out. */
bool pg_fail_text(struct execution *x, enum reason reason, int index, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* No reply any more; the connection is not to be used again. */
bool pg_fail_wait(struct execution *x, enum pg_wait wait, int index);
/* The server said no, or something that makes no sense. */
bool pg_fail_result(struct execution *x, const PGresult *result, int index);
/* Asks for the names of types that no earlier branch met. The branch is prepared by now: a failure costs the names and
 * the connection, not the vote. */
void pg_settle_types(struct execution *x, struct pg_types *types);

/* pg_settle.c: reads on to the end of the pipeline; ends what is open. False: the connection is not to be used again. */
bool pg_settle_drain(struct pg_session *session, uint64_t deadline_ms);
bool pg_settle_rollback(struct pg_session *session, uint64_t deadline_ms);

#endif
