/*
 * pg_internal.h - what the threads of the PostgreSQL edge share. Included by pg_*.c only.
 *
 * One mutex guards everything marked so; it is held for list operations and copies, never during
 * I/O. Each member is one thread with one connection; nobody else touches its session.
 */
#ifndef ASSENT_PARTICIPANT_PG_INTERNAL_H
#define ASSENT_PARTICIPANT_PG_INTERNAL_H

#include <pthread.h>

#include "participant/pg.h"
#include "participant/pg_connect.h"

#define PG_CONNECT_TIMEOUT_MS 5000
#define PG_KEEPER_TIMEOUT_MS  10000 /* of one command */
#define PG_FINISH_TIMEOUT_MS  10000 /* of one answer; a COMMIT PREPARED may wait for a standby */
#define PG_SETTLE_TIMEOUT_MS  5000
#define PG_HEARTBEAT_MS       1000
#define PG_ORPHANS_MAX        128
#define PG_VOTED_MAX          8192
#define PG_FINISH_BATCH_MAX   64

#define PG_OID_BOOL  16
#define PG_OID_BYTEA 17
#define PG_OID_INT8  20
#define PG_OID_INT4  23
#define PG_OID_TEXT  25

enum pg_member_kind {
    PG_MEMBER_WORKER = 1,
    PG_MEMBER_FINISHER,
    PG_MEMBER_INTERACTIVE,
    PG_MEMBER_EXTERNAL,
    PG_MEMBER_KEEPER
};

struct pg_job {
    struct pg_job *next;
    struct command command; /* owned */
};

struct pg_queue {
    struct pg_job *head;
    struct pg_job **tail;
    size_t count;
};

struct pg_member {
    struct pg *pg;
    enum pg_member_kind kind;
    pthread_t thread;
    bool started;
    struct pg_session session; /* this thread's only */
    struct pg_target target;
    uint64_t generation;    /* in which the session was opened */
    uint64_t tried_accepts; /* pg->accepts at the last try to open it; this thread's only */
    int32_t abandoned_pid;  /* backend of the connection before this one; 0: none */
    bool role_left;         /* interactive: the branch's last statement ran in a policy's role */

    /* Guarded by pg->mutex. */
    int32_t pid; /* of the open session; the fence spares it */
    bool open;
    bool running; /* a worker has an EXECUTE (STATEMENT, PREPARE, CLOSE) that is not answered yet */
    bool cancelled; /* somebody wants that EXECUTE to end */
    struct gid gid; /* of it */
    /* Interactive: */
    bool holds;         /* the branch gid is its own, from the first statement to its end (P-22) */
    struct pg_job *job; /* the branch's next command; owned */
    pthread_cond_t job_wanted;
};

/* The xid alone would not do: an earlier history may have given it out before. */
struct pg_voted {
    uint64_t attempt;
    uint64_t xid8;
};

struct pg {
    struct pg_options options; /* texts are owned copies */
    uint8_t token[PG_TOKEN_BYTES];
    int stop_work_fd; /* readable: workers give up */
    int stop_all_fd;  /* readable: everybody gives up */
    size_t member_count;
    struct pg_member *members; /* workers, finishers, interactive and external ones, keeper */

    pthread_mutex_t mutex;
    pthread_cond_t execute_open;   /* for workers whose connection is open */
    pthread_cond_t execute_closed; /* for workers without one */
    pthread_cond_t interactive_wanted;
    pthread_cond_t finish_wanted;
    pthread_cond_t external_wanted;
    pthread_cond_t keeper_wanted;
    pthread_cond_t finish_idle;

    /* Guarded by mutex. */
    struct pg_queue execute, finish, keeper;
    struct pg_queue interactive; /* first statements */
    struct pg_queue external;    /* VERIFY and FINISH of external branches */
    bool stopping;               /* nothing new is taken */
    bool halted;                 /* nothing is carried out any more */
    size_t workers_open;
    size_t finishers_busy; /* and external ones */
    bool identity_known;   /* the keeper is connected and content: workers may work */
    uint64_t accepts;      /* how often that began; failures before it say nothing about now */
    bool recheck;          /* a worker met another server than the keeper knows */
    struct identity identity;
    uint64_t generation;    /* of the server's history, as the keeper knows it */
    uint64_t lsn_seen;      /* the highest position that is certain to be on disk */
    uint64_t lost_from_lsn; /* WAL from here to lost_to_lsn was seen and then lost: xids in it are
                               reused */
    uint64_t lost_to_lsn;
    /* Backends of connections that workers gave up: one may still be about to prepare (P-11). */
    size_t orphan_count;
    int32_t orphans[PG_ORPHANS_MAX];
    bool
        orphans_lost; /* there were more; then every backend that is not an open connection's is one */
    uint64_t lsn_at_connect; /* the insert position when the keeper connected */
    struct policy *policy;   /* of branches that begin now; held */
    bool role_warned;        /* its role could not be taken, and that was told */
    size_t voted_next;
    struct pg_voted voted[PG_VOTED_MAX]; /* given by this process in this history, a ring */
    uint32_t ring;
    struct pg_counters counters;
};

/* pg.c */
void pg_post(struct pg *pg, struct command_result *result); /* takes the contents */
void pg_warn(struct pg *pg, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct pg_job *pg_queue_take(struct pg_queue *queue); /* NULL if empty; mutex held */
void pg_queue_put(struct pg_queue *queue, struct pg_job *job);
void pg_job_free(struct pg_job *job);
void pg_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ms);
/* Answers a command that was never begun, by its kind. */
void pg_refuse(struct pg *pg, struct command *command, enum reason reason, const char *detail);
/* The backends of this incarnation as the fence sees them, all at one moment: a connection that is given up goes
 * from open to ended without a gap. */
struct pg_backends {
    size_t ended_count; /* run the branch, or belong to connections that were given up */
    int32_t ended[PG_ORPHANS_MAX + PG_CONNECTIONS_MAX + 1];
    size_t open_count; /* belong to open connections */
    int32_t open[PG_CONNECTIONS_MAX + 1];
    bool orphans_lost; /* there are given-up ones that were not noted */
};
/* Whether it runs this attempt, or (gid NULL) any attempt of gtrid; mutex held. */
bool pg_member_runs(const struct pg_member *member, const struct gtrid *gtrid,
                    const struct gid *gid);
/* gid NULL: every attempt of gtrid is the branch. */
void pg_backends_read(struct pg *pg, const struct gtrid *gtrid, const struct gid *gid,
                      struct pg_backends *ret_backends);
/* These are gone; lost: so are those that were not noted. */
void pg_orphans_gone(struct pg *pg, const int32_t *pids, size_t count, bool lost);
/* Ends queued EXECUTEs of this gtrid (or only of this gid) with an answer, and marks a running one;
 * the running one's backend, or 0. */
int32_t pg_cancel_execute(struct pg *pg, const struct gtrid *gtrid, const struct gid *gid);
/* Asks the keeper to cancel what this backend runs. */
void pg_cancel_soon(struct pg *pg, const struct gid *gid);

/* An open session that passed the identity checks, or false at once or after one attempt to
 * connect. */
bool pg_member_ready(struct pg_member *member, char ret_text[HEALTH_TEXT_SIZE]);
/* When it may next try to open its connection: at once if the keeper has come to know the server since. Under pg->mutex. */
uint64_t pg_member_retry_at(const struct pg_member *member);
void pg_member_close(struct pg_member *member);

/* pg_worker.c: what was run is answered. */
void pg_member_answer(struct pg_member *member, struct command_result *result);

/* Thread bodies: pg_worker.c, pg_interactive.c, pg_finish.c, pg_external.c, pg_keeper.c */
void *pg_worker_main(void *member);
void *pg_interactive_main(void *member);
void *pg_finisher_main(void *member);
void *pg_external_main(void *member);
void *pg_keeper_main(void *member);

/* pg_interactive.c; mutex held. NULL, or the reason why the command cannot be carried out: then it is still the caller's. */
const char *pg_interactive_put(struct pg *pg, struct pg_job *job, enum reason *ret_reason);

/* What became of one FINISH. */
struct pg_finish_answer {
    enum pg_class class;
    bool lost;        /* the connection is not to be trusted with what follows */
    bool denied;      /* 42501: prepared by another role */
    bool was_another; /* as in command_result */
    char detail[HEALTH_TEXT_SIZE];
};

/* pg_finish.c: OK only with the right tag and without a WARNING (P-5). */
void pg_finish_judge(const struct pg_session *session, const struct command_finish *finish,
                     PGresult *result, struct pg_finish_answer *ret_answer);
void pg_finish_answer(struct pg_member *member, const struct pg_job *job,
                      const struct pg_finish_answer *answer);

/* May the login role become this one? A member may; from version 16 on a membership can be without that. */
#define PG_MAY_BECOME(owner)                                                                       \
    "pg_catalog.pg_has_role(session_user, " owner ", CASE WHEN"                                    \
    " pg_catalog.current_setting('server_version_num')::pg_catalog.int4"                           \
    " OPERATOR(pg_catalog.>=) 160000 THEN 'SET' ELSE 'MEMBER' END)"

/* What would let it. Empty if the role was dropped, which a prepared transaction does not prevent: then its owner is NULL, and
 * only a superuser may finish it. */
#define PG_MISSING_GRANT(owner)                                                                    \
    "CASE WHEN " owner " IS NULL THEN '' ELSE"                                                     \
    " pg_catalog.format('GRANT %I TO %I', " owner ", session_user) END"

/* pg_owner.c */
/* A prepared row that this role may not finish: whose it is, and what is missing; grant as above. */
void pg_owner_missing(char *to, size_t size, const char *owner, const char *grant);
void pg_finish_as_owner(struct pg_member *member, const struct command_finish *finish,
                        struct pg_finish_answer *ret_answer);

/* pg_execute.c */
struct pg_types;
/* Fills result (class, failure, results, proof); the session may have to be closed: then ret_keep
 * is false. */
void pg_execute(struct pg_member *member, struct pg_types *types,
                const struct command_execute *execute, struct command_result *result,
                bool *ret_keep);
/* After the answer was posted: reads the rest, resets the session for the next branch. */
bool pg_execute_settle(struct pg_member *member);

/* pg_proof.c, run by the keeper with an open session. False: the connection is not to be used
 * again. */
bool pg_proof_prove(struct pg_member *keeper, const struct command_prove *prove,
                    struct command_result *result);
bool pg_proof_look(struct pg_member *keeper, const struct command_look *look,
                   struct command_result *result);
bool pg_proof_scan(struct pg_member *keeper, const struct command_scan *scan,
                   struct command_result *result);

/* pg_outcomes.c, likewise. */
bool pg_outcomes_read(struct pg_member *keeper, const struct command_outcomes *outcomes,
                      struct command_result *result);

/* pg_audit.c, likewise. */
bool pg_audit(struct pg_member *keeper, const struct audit_list *list,
              struct command_result *result);

/* pg_witness.c, likewise. */
bool pg_witness_load(struct pg_member *keeper, const struct journal_id *journal,
                     struct command_result *result);
bool pg_witness_store(struct pg_member *keeper, const struct witness *witness,
                      struct command_result *result);
bool pg_witness_rotate(struct pg_member *keeper, struct command_result *result);

#endif
