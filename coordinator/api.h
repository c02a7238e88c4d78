/*
 * api.h - calls from the edges (HTTP, client edge) to the owner thread and their answers.
 *
 * An edge fills an api_call and posts it; the owner thread fills `answer` and calls done() exactly once, on the owner
 * thread: done must only hand over (resume a suspended connection, start an aio) and not render. The edge then
 * owns the call again and frees it. A client that went away changes nothing: the call is answered all the same.
 */
#ifndef ASSENT_COORDINATOR_API_H
#define ASSENT_COORDINATOR_API_H

#include "common/inbox.h"
#include "coordinator/interactive.h"
#include "coordinator/view.h"

enum api_operation {
    API_SUBMIT = 1,
    API_GET, /* by gtrid, with events if asked */
    API_GET_BY_KEY,
    API_LIST,
    API_RESOLVE,
    API_PARTICIPANTS,
    API_METRICS,
    API_READY, /* /readyz */
    API_OPEN,  /* an interactive transaction (docs/adr/0014) */
    API_STATEMENT,
    API_CLOSE,       /* commit or roll back */
    API_EXTERNAL,    /* a gid for a branch that the application prepares itself (docs/adr/0016) */
    API_REQUEST_ACT, /* requeue or drop an accepted request (docs/adr/0017) */
    API_QUEUES,
};

enum api_status {
    API_OK = 1,
    API_ABORTED, /* SUBMIT: view.failure says why; the abort is final */
    API_REFUSED, /* SUBMIT: nothing was done: reason overload, participant_unavailable, shutdown, capacity ... */
    API_OUTCOME_UNKNOWN, /* SUBMIT: the decision is being written and its fate is not known yet: ask by key */
    API_KEY_CONFLICT,        /* the key, or the seq, was used with another body */
    API_UNKNOWN_PARTICIPANT, /* text names it */
    API_NOT_FOUND,
    API_EXPIRED, /* below the retention floor */
    API_CONFLICT, /* RESOLVE, STATEMENT, CLOSE, EXTERNAL: not possible in this state; text says why and what is */
    API_LIMIT, /* STATEMENT, EXTERNAL: beyond a configured limit, which limit_name and text name; nothing was done */
    API_FAILED,   /* an internal error; text */
    API_ACCEPTED, /* SUBMIT: accepted durably, not decided */
};

struct api_list {
    bool any_state;
    bool in_doubt;                           /* state=in-doubt */
    enum txn_state state;                    /* unless any_state or in_doubt */
    char participant[PARTICIPANT_NAME_SIZE]; /* "" any */
    size_t key_bytes;
    char key[KEY_MAX_BYTES + 1];
    size_t limit;   /* 1..1000 */
    bool has_after; /* page: continue after this transaction */
    struct gtrid after;
};

struct api_resolve {
    struct gtrid gtrid;
    char participant[PARTICIPANT_NAME_SIZE];
    enum resolve_action action;
    char comment[COMMENT_MAX_BYTES + 1];
};

/* GET, by an edge that holds the answer until there is an outcome. The edge's own: the owner does not look at it. */
struct api_wait {
    bool is_wait;
    enum ack_mode ack; /* decided: committing will do */
    uint32_t wait_ms;
};

/* Has what somebody waits for come, in this state? */
bool api_is_awaited(enum txn_state state, enum ack_mode ack);
/* The state of the run that an accepted request in this state names: of one that waits, or is dead, it has aborted. */
enum txn_state api_run_state(enum txn_state request_state);

enum request_act { REQUEST_ACT_REQUEUE = 1, REQUEST_ACT_DROP };

struct api_request_act {
    struct gtrid id;
    enum request_act act;
    char comment[COMMENT_MAX_BYTES + 1]; /* DROP */
};

struct metric {
    const char *name; /* static: "assent_transactions_total" */
    const char *help; /* static; NULL where the previous one has the same name */
    const char *type; /* static: "counter" or "gauge" */
    char labels[160]; /* "state=\"committed\"" or "" ; already escaped */
    double value;
};

struct api_answer {
    enum api_status status;
    enum reason reason;                      /* REFUSED */
    char participant[PARTICIPANT_NAME_SIZE]; /* REFUSED, UNKNOWN_PARTICIPANT: which one */
    char text[HEALTH_TEXT_SIZE];
    uint32_t retry_after_s; /* REFUSED */
    bool replayed;          /* SUBMIT: the recorded answer of an earlier request with this key */
    size_t view_count;      /* SUBMIT, GET*, RESOLVE: 1; LIST: any number */
    struct txn_view *views; /* owned */
    struct blob *results;   /* of an interactive statement; owned */
    uint64_t seq;           /* its number */
    const char *limit_name; /* LIMIT: static */
    uint64_t limit;
    struct gid gid; /* EXTERNAL: to prepare under; replayed: the one before it never commits */
    bool has_next;  /* LIST: more would follow; continue after views[view_count - 1] */
    size_t participant_count;
    struct participant_view *participants; /* owned */
    size_t queue_count;
    struct queue_view *queues;  /* owned */
    struct queue_view unqueued; /* QUEUES: the requests without a queue */
    size_t metric_count;
    struct metric *metrics; /* owned */
};

struct api_call {
    struct inbox_item item; /* kind is set by api_post */
    enum api_operation operation;
    bool want_events;             /* GET */
    struct submission submission; /* SUBMIT; taken by the owner */
    struct gtrid gtrid;           /* GET */
    struct api_wait wait;         /* GET */
    size_t key_bytes;             /* GET_BY_KEY */
    char key[KEY_MAX_BYTES + 1];
    struct api_list list;
    struct api_resolve resolve;
    uint32_t timeout_ms;                    /* OPEN */
    struct interactive_statement statement; /* STATEMENT; its work is taken by the owner */
    struct interactive_end end;             /* CLOSE */
    struct interactive_external external;   /* EXTERNAL */
    struct api_request_act act;             /* REQUEST_ACT */
    struct api_answer answer;
    void (*done)(struct api_call *call);
    void *user;
};

struct api_call *api_call_new(enum api_operation operation); /* returns owned */
void api_call_free(struct api_call *call);

/* Where edges post calls: implemented by the driver (coordinator_post.c) and by tests' stand-ins. */
struct api_sink {
    void *user;
    void (*post)(void *user, struct api_call *call); /* takes until done(); any thread */
};

#endif
