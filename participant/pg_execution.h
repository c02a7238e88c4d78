/*
 * pg_execution.h - one EXECUTE under way, as its files see it: pg_execute.c (sends and reads), pg_interactive.c (the same, statement by statement), pg_failure.c (says
 * no), pg_policy.c (what this agent does not let clients do), pg_settle.c (what follows the answer). Included by these only.
 */
#ifndef ASSENT_PARTICIPANT_PG_EXECUTION_H
#define ASSENT_PARTICIPANT_PG_EXECUTION_H

#include "common/work.h"
#include "participant/pg_internal.h"
#include "participant/pg_results.h"

/* Which statement something is about: 0 and up are the client's. */
enum { INDEX_NONE = -1, INDEX_BEGIN = -2, INDEX_OWN = -3, INDEX_PREPARE = -4, INDEX_ROLE = -5 };

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
    bool split;                 /* PREPARE waits until the results were read */
    bool prepare_sent;          /* from now on only PREPARE's reply tells */
    bool broken;                /* the connection is not to be used again */
    struct policy *policy;      /* held; the same to the end of the command, whatever is reloaded */
    struct policy_terms *terms; /* one for each statement */
    bool timed;                 /* some statement has a max_time */
    bool role_left;         /* the interactive branch is still in a role of its last statement */
    uint64_t limit_ms;      /* what the deadline leaves to each statement */
    uint64_t lock_limit_ms; /* the same for each wait for a lock */
    uint64_t sent_ms;       /* when the statements were sent */
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
bool pg_send_statement(struct execution *x, size_t index); /* and the policy's words before it */
bool pg_send_constraints(struct execution *x);
bool pg_send_sync(struct execution *x);
bool pg_send_end(struct execution *x); /* PREPARE, or ROLLBACK, and Sync */
void pg_flush_end(struct execution *x);
bool pg_skip_own(struct execution *x, ExecStatusType status, int index);
bool pg_read_statement(struct execution *x, int index);
bool pg_skip_policy(struct execution *x, size_t index); /* what pg_policy_send has sent */
bool pg_skip_constraints(struct execution *x);
bool pg_read_end(struct execution *x);

/* pg_policy.c. Those that return false have filled in the answer. */
void pg_policy_begin(struct execution *x); /* takes hold of the present policy */
void pg_policy_done(struct execution *x);
/* May this statement be sent? An operation becomes its SQL. Its words are looked at when P-21 has let them through. */
bool pg_policy_admit(struct execution *x, size_t index);
bool pg_policy_check_words(struct execution *x, size_t index);
/* Will a statement of the same branch that comes later find itself in a role of the policy? */
bool pg_policy_leaves_role(const struct execution *x);
/* The words that go in front of a statement, or (index beyond the last) behind all: sent, how many; read, which. */
bool pg_policy_send(struct execution *x, size_t index);
int pg_policy_words(const struct execution *x, size_t index);
int pg_policy_word_index(const struct execution *x, int word);
/* After each piece of a statement's result, and at its end. */
bool pg_policy_rows(struct execution *x, int index);
bool pg_policy_tag(struct execution *x, int index, bool described);
/* The rule that a failure comes from; NULL: none. */
const char *pg_policy_rule(const struct execution *x, int index, enum reason reason);
/* Tells the owner, where the rule itself is at fault. */
void pg_policy_warn(struct execution *x, const char *rule, const char *message);

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
