/*
 * view.h - what the outside may see of a transaction or a participant: copies made by the owner thread,
 * rendered by the edges (JSON, msgpack) on their own threads.
 */
#ifndef ASSENT_COORDINATOR_VIEW_H
#define ASSENT_COORDINATOR_VIEW_H

#include "recovery/record.h"

enum txn_state {
    TXN_QUEUED = 1, /* accepted durably, waits (queues) */
    TXN_ACTIVE,     /* exists, no branch has been asked to prepare */
    TXN_PREPARING,  /* WORK is out, votes come in */
    TXN_DECIDING, /* COMMIT record handed to the journal, not known durable; shown as "preparing" */
    TXN_COMMITTING, /* decided commit, not every branch has acknowledged */
    TXN_COMMITTED,
    TXN_ABORTING, /* decided abort, not every branch is known rolled back */
    TXN_ABORTED,
    TXN_DEAD,      /* an accepted request that can not succeed */
    TXN_HEURISTIC, /* some branch went the other way, or nobody can tell */
    TXN_OPEN, /* interactive: takes statements; nothing is prepared anywhere; shown as "active" */
};

const char *txn_state_text(enum txn_state state);
/* What somebody who waits for an outcome is told in this state. New states are placed here, and streams and waits follow. */
enum txn_outcome {
    TXN_OUTCOME_NONE = 0, /* nothing yet */
    TXN_OUTCOME_DECIDED, /* it will commit everywhere, durably; not every branch has acknowledged */
    TXN_OUTCOME_FINAL,   /* nothing about the outcome will change by itself */
};
enum txn_outcome txn_state_outcome(enum txn_state state);

/* Inner states as the state that they are shown as. */
enum txn_state txn_state_shown(enum txn_state state);
bool txn_state_parse(const char *text, enum txn_state *ret_state);

enum branch_state {
    BRANCH_IDLE = 1,     /* nothing sent */
    BRANCH_WORKING,      /* WORK sent, no vote */
    BRANCH_PREPARED,     /* voted yes */
    BRANCH_READ_ONLY,    /* voted read-only: done */
    BRANCH_REFUSED,      /* voted no: done */
    BRANCH_UNKNOWN,      /* vote unknown, or the link was lost before one */
    BRANCH_COMMITTING,   /* decided commit, not acknowledged */
    BRANCH_COMMITTED,    /* acknowledged */
    BRANCH_ROLLING_BACK, /* decided abort, not acknowledged */
    BRANCH_ROLLED_BACK,  /* acknowledged, or left to the agent's sweep after the link was lost */
    BRANCH_HEURISTIC_COMMIT,
    BRANCH_HEURISTIC_ROLLBACK,
    BRANCH_HAZARD,    /* nobody can tell */
    BRANCH_FORGOTTEN, /* a heuristic outcome that a person acknowledged */
};

const char *branch_state_text(enum branch_state state); /* "heuristic-rollback" */

/* An accepted request (docs/adr/0017). */
struct request_info {
    bool is_request;
    char queue[QUEUE_NAME_SIZE];                  /* "": none */
    uint32_t attempts;                            /* runs begun */
    uint32_t timeout_ms;                          /* of each; 0: not known any more */
    uint64_t next_attempt_ms;                     /* from now; 0: as soon as it can */
    char waiting_for[PARTICIPANT_NAME_SIZE + 24]; /* "" */
    bool has_run;
    struct gtrid run; /* the last one */
};

struct branch_view {
    char participant[PARTICIPANT_NAME_SIZE];
    enum branch_state state;
    bool has_gid;
    struct gid gid;
    struct blob *results; /* may be NULL; owned */
    bool has_work;        /* of an accepted request that has not committed: what it asks for */
    enum isolation isolation;
    bool read_only;
    struct blob *work;             /* may be NULL; owned */
    char detail[HEALTH_TEXT_SIZE]; /* of a heuristic outcome */
};

struct txn_event_view {
    uint64_t wall_ms;
    uint64_t since_start_us; /* monotonic, 0 where not known (after a restart) */
    const char *kind; /* static: "submitted" "work-sent" "voted-commit" "decided-commit" ... */
    char participant[PARTICIPANT_NAME_SIZE]; /* "" for the whole transaction */
    char detail[HEALTH_TEXT_SIZE];
};

struct txn_view {
    struct gtrid gtrid;
    enum txn_state state;
    size_t key_bytes;
    char key[KEY_MAX_BYTES + 1];
    bool completed;    /* every branch has acknowledged (committed) */
    bool in_doubt;     /* prepared somewhere and not finished there */
    bool acknowledged; /* heuristic, and every such branch was forgotten by a person */
    uint64_t created_wall_ms, decided_wall_ms, ended_wall_ms; /* 0: not (known) */
    struct failure failure;                                   /* why it aborted; owned */
    char failed_participant[PARTICIPANT_NAME_SIZE];
    char failure_text[HEALTH_TEXT_SIZE]; /* for problem+json detail when PostgreSQL said nothing */
    struct request_info request;
    bool is_run; /* of an accepted request, `request.run` being that request's id */
    size_t branch_count;
    struct branch_view *branches; /* owned */
    size_t event_count;
    struct txn_event_view *events; /* owned; only where asked for */
    /* For paging: transactions are listed newest first; opaque outside the driver. */
    uint64_t order;
};

void txn_view_done(struct txn_view *view);

/* The same request, sent again, may succeed. Not one that is dead, whatever became of its runs: its key is its own. */
bool txn_view_is_retryable(const struct txn_view *view);

struct queue_view {
    char name[QUEUE_NAME_SIZE];
    uint64_t length, dead;
    bool has_head; /* the one that is next, or at work */
    struct gtrid head;
    enum txn_state head_state;
    struct request_info head_info;
};

struct participant_view {
    char name[PARTICIPANT_NAME_SIZE];
    char address[ADDRESS_SIZE];
    char version[32];
    bool link_up;
    bool ready; /* claim accepted and database up: work may be sent */
    enum health health;
    char text[HEALTH_TEXT_SIZE]; /* why not ready; "" otherwise */
    struct identity identity;
    uint32_t prepared_count, foreign_count, misplaced_count;
    uint64_t oldest_prepared_ms;
    uint64_t swept_number;
    uint64_t in_doubt; /* branches decided and not acknowledged there */
    uint64_t open; /* branches of open interactive transactions; each holds a connection there */
    uint64_t votes_yes, votes_no, heuristics;
};

#endif
