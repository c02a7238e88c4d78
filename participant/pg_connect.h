/*
 * pg_connect.h - one libpq connection with deadlines, and what it found out about the server it
 * reached.
 *
 * Used by all pg_*.c files; one session belongs to one thread. Knows nothing of branches, queues or
 * commands.
 *
 * Invariants: no call blocks past its deadline (name resolution excepted: libpq resolves
 * synchronously, so conninfo should name addresses or sockets where that matters); a session that
 * answered PG_WAIT_LOST is closed by its owner and never used again (a reply that arrives late must
 * not be taken for another's).
 */
#ifndef ASSENT_PARTICIPANT_PG_CONNECT_H
#define ASSENT_PARTICIPANT_PG_CONNECT_H

#include <libpq-fe.h>

#include "common/error.h"
#include "participant/command.h"

#define PG_TOKEN_BYTES 16

#define SETUP_VERSION 2 /* of schema assent, as `assent-agent setup` makes it */

/* PostgreSQL cuts application_name at 63 bytes; the incarnation must not be what is cut. */
#define PG_APPLICATION_NAME_SIZE 64

enum pg_wait { PG_WAIT_OK = 1, PG_WAIT_LOST, PG_WAIT_DEADLINE, PG_WAIT_STOPPED };

/* What a new connection says about itself and the server (P-10, P-14). */
struct pg_facts {
    int version; /* 150020 */
    bool in_recovery;
    bool read_only; /* default_transaction_read_only, the login role's own default not counted */
    bool superuser;
    bool owns_tables; /* the login role may become assent_owner */
    bool pooled;      /* the backend is not the one that libpq spoke to */
    long max_prepared;
    bool fsync_off;
    bool full_page_writes_off;
    bool synchronous_commit_off;
    struct identity identity;
    uint64_t flush_lsn; /* WAL up to here survives a crash */
    bool setup_found;
    char setup_error[HEALTH_TEXT_SIZE]; /* why not */
    char setup_participant[PARTICIPANT_NAME_SIZE];
    char setup_database[PARTICIPANT_NAME_SIZE * 2];
    uint64_t setup_system_id;
    int setup_version;
    bool setup_token_matches;
    uint32_t ring; /* the partition of assent.outcome that is written now */
};

struct pg_session {
    PGconn *conn; /* NULL: closed */
    int stop_fd;  /* readable: give up waiting; -1: none */
    int32_t pid;  /* the backend's, 0: closed */
    bool opened_before;
    uint32_t failures;    /* in a row, for the backoff */
    uint64_t retry_at_ms; /* do not open before */
    uint64_t jitter;      /* state of the jitter's generator */
    bool sync_queued;     /* in pipeline mode: a Sync was queued whose reply was not read */
    bool dying;           /* the server said that it is ending this connection */
    bool warned;          /* a WARNING arrived since the owner cleared this */
    char warning[HEALTH_TEXT_SIZE];
    char last_error[HEALTH_TEXT_SIZE]; /* of the last failed opening */
    struct pg_facts facts;
};

struct pg_target {
    const char *conninfo;
    char application_name[PG_APPLICATION_NAME_SIZE];
    const uint8_t *token; /* PG_TOKEN_BYTES, or NULL: not compared */
};

/* "assent-agent/<participant, cut to 22>/<incarnation, 16 hex>/" and the role: the fence (P-11)
 * knows backends by it. */
void pg_application_name(const char *participant, uint64_t incarnation, const char *role,
                         char ret_name[PG_APPLICATION_NAME_SIZE]);

void pg_session_init(struct pg_session *session, int stop_fd, uint64_t seed);

/* Connects only; asks nothing. */
bool pg_session_connect(struct pg_session *session, const struct pg_target *target,
                        uint64_t deadline_ms, struct error *ret_error);

/* Connects and fills session->facts. On failure the session is closed, its backoff set and
 * last_error filled. */
bool pg_session_open(struct pg_session *session, const struct pg_target *target,
                     uint64_t deadline_ms, struct error *ret_error);
void pg_session_close(struct pg_session *session);

/* Sets the time of the next attempt: exponential with jitter, 50 ms to 5 s. */
void pg_session_back_off(struct pg_session *session);

/* False if the idle connection is known to be dead; never blocks. */
bool pg_session_alive(struct pg_session *session);

/* The next result, or NULL where libpq ends a query's results; flushes what is still to be sent
 * meanwhile, so that a long pipeline cannot block on both sides' full buffers. A result that only
 * says that the connection is gone comes as PG_WAIT_LOST. */
enum pg_wait pg_session_result(struct pg_session *session, uint64_t deadline_ms,
                               PGresult **ret_result);

/* One statement outside any pipeline; parameters are text unless formats says 1. ret_result is the
 * caller's even if it is an error from the server. */
struct pg_query {
    const char *sql;
    int param_count;
    const Oid *types;
    const char *const *values;
    const int *lengths;
    const int *formats;
};
enum pg_wait pg_session_query(struct pg_session *session, const struct pg_query *query,
                              uint64_t deadline_ms, PGresult **ret_result);

/* Reads what identifies the server again; ping of an idle connection. */
bool pg_session_read_facts(struct pg_session *session, const struct pg_target *target,
                           uint64_t deadline_ms, struct error *ret_error);

/* Is this server fit to take part? HEALTH_UP, or why not in ret_text (for people). */
enum health pg_facts_judge(const struct pg_facts *facts, const char *participant,
                           char ret_text[HEALTH_TEXT_SIZE]);

#endif
