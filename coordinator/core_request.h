/*
 * core_request.h - accepted requests and their queues (docs/adr/0017): the part of the core's state that is theirs. Included by
 * core_internal.h only.
 *
 *   core_accept.c   a submission that is accepted: keys, limits, ACCEPT; what recovery finds
 *   core_queue.c    order, runs, backoff, and what becomes of a run
 *   core_dead.c     REFUSED, requeue, drop
 *   core_request.c  one request: its state, its waiters; making and freeing it; its view
 *
 * REQUEST STATES (the setter is request_move in core_request.c)
 *
 *   ACCEPTING --durable--> WAITING --start--> RUNNING --COMMIT durable--> COMMITTED
 *                          ^    ^              |    |
 *              durable     |    +---will pass--+    +--won't--> REFUSING --durable--> DEAD
 *        REQUEUEING -------+                                                           | |
 *             ^------------|----------------------requeue------------------------------+ |
 *                          +--drop--> DROPPING --durable--> (gone) <---------drop--------+
 *
 *   state       shown as           durable                    if we die now
 *   ACCEPTING   not at all         perhaps ACCEPT             accepted or never asked: nobody was told
 *   WAITING     queued             ACCEPT                     waits again
 *   RUNNING     its run's state    ACCEPT, perhaps COMMIT     the run is presumed aborted, or what the journal says
 *   COMMITTED   its run's state    COMMIT that names it       driven again by its COMMIT
 *   REFUSING    queued             ACCEPT, perhaps REFUSED    runs once more, or dead
 *   DEAD        dead               REFUSED                    dead
 *   REQUEUEING  dead               perhaps REQUEUED           dead, or waits at the tail
 *   DROPPING    queued or dead     perhaps DROPPED            as before, or dropped
 *
 * In a queue stand, in the order of their positions, all but DEAD (and those that finished); whatever is at its head and not WAITING
 * holds it. COMMITTED stays at the head until every branch has acknowledged.
 */
#ifndef ASSENT_COORDINATOR_CORE_REQUEST_H
#define ASSENT_COORDINATOR_CORE_REQUEST_H

#include "common/heap.h"
#include "common/map.h"
#include "coordinator/core.h"

enum request_state {
    REQUEST_ACCEPTING = 1,
    REQUEST_WAITING,
    REQUEST_RUNNING,
    REQUEST_COMMITTED,
    REQUEST_REFUSING,
    REQUEST_DEAD,
    REQUEST_REQUEUEING,
    REQUEST_DROPPING,
    REQUEST_DROPPED, /* for the last answers and who watches; nobody finds it, and it is freed with the next step */
};

/* Where a WAITING request that may run is kept. */
enum request_place {
    PLACE_NONE = 0, /* behind another one, or not WAITING */
    PLACE_READY,    /* runs as soon as there is room */
    PLACE_PARKED,   /* a participant is away, or the journal is not reconciled */
    PLACE_BACKOFF,  /* its time comes */
};

struct request_branch {
    uint32_t participant; /* index */
    enum isolation isolation;
    bool read_only;
    struct blob *work; /* owned; shared with its runs */
};

struct request_waiter {
    uint64_t call;
    uint64_t by_ms; /* then it is told that the request is accepted, or not completed */
    enum ack_mode ack;
    bool is_async; /* content with a 202 */
    bool replay;
};

struct request_event {
    uint64_t wall_ms;
    const char *kind; /* static */
    char *detail;     /* may be NULL */
};

struct queue;

struct request {
    struct heap_node
        timer; /* first: a node is its request. End of its backoff, or of a waiter's patience */
    struct gtrid id;
    struct heap_node age; /* in `ages` while is_queued */
    enum request_state state;
    bool is_recovered; /* waits for `reconciled` (P-10) */
    bool was_dead;     /* DROPPING: to be shown as it was */
    uint64_t position_epoch, position_sequence;
    size_t key_bytes;
    char *key; /* NULL: none */
    uint8_t body_hash[BODY_HASH_BYTES];
    uint32_t timeout_ms;
    size_t branch_count;
    struct request_branch *branches;
    uint64_t held_bytes;
    uint64_t accepted_wall_ms;
    uint32_t attempts;
    uint64_t backoff_until_ms, backoff_step_ms;
    struct failure failure; /* of the last run that aborted */
    uint32_t failed_participant;
    char failure_text[HEALTH_TEXT_SIZE];
    uint64_t refused_wall_ms, dropped_wall_ms;
    char comment[COMMENT_MAX_BYTES + 1]; /* DROPPED */
    struct txn *run;                     /* RUNNING, COMMITTED; it is not aborted */
    bool has_run_gtrid;
    struct gtrid run_gtrid; /* of the last run */
    struct queue *queue;    /* NULL: independent */
    struct request *queue_previous, *queue_next;
    bool is_queued; /* in that list */
    enum request_place place;
    struct request *place_previous, *place_next;
    struct request *older, *newer;
    uint64_t order;
    bool is_changed; /* in the list of those that are to be shown */
    struct request *changed_previous, *changed_next;
    size_t waiter_count, waiter_capacity;
    struct request_waiter *waiters;
    size_t event_count, event_capacity;
    struct request_event *events;
};

struct queue { /* exists while it has a request */
    char name[QUEUE_NAME_SIZE];
    struct request *first, *last;
    size_t length; /* of that list */
    size_t dead;
    size_t total; /* requests that name it, in whatever state */
    struct queue *previous, *next;
};

struct place_list {
    struct request *first, *last;
};

/* One that was dropped, for lists only: what its record says (journal.h has the older ones), newest first. */
struct dropped {
    struct record_dropped record;
    uint64_t order; /* of the drop */
    struct dropped *older, *newer;
};

struct requests { /* struct coord's part */
    struct map by_id, by_key, by_queue;
    struct heap timers;
    struct heap ages; /* of those in a queue, by accepted_wall_ms */
    struct request *newest, *oldest;
    struct queue *queue_first, *queue_last;
    struct request *changed_first, *changed_last; /* in the last step; see coord_take_change */
    struct place_list ready, parked;
    struct dropped *dropped_newest, *dropped_oldest;
    size_t dropped_count;
    uint64_t live_count; /* not COMMITTED: what the limits count */
    uint64_t dead_count, running_count, held_bytes;
    uint64_t unqueued_length, unqueued_dead;
    bool is_next;        /* somebody who waits was started since the last run: for turns */
    bool was_reconciled; /* as parked requests last saw it */
    size_t seen_count;
    bool *seen_ready; /* by participant: the same */
};

struct txn;
struct participant;
struct pending;
struct submission;

/* core_request.c */
struct request *request_new(struct coord *coord, const struct gtrid *id, const char *queue,
                            size_t branch_count, uint64_t order);
void request_free(struct coord *coord, struct request *request);
/* A dropped one: out of every list but that of the changes, which frees it. */
void request_leave(struct coord *coord, struct request *request);
void request_mark_changed(struct coord *coord, struct request *request); /* request_move does so */
void request_forget_changes(struct coord *coord);                        /* a new step begins */
bool request_take_change(struct coord *coord, struct txn_view *ret_view);
void request_move(struct coord *coord, struct request *request, enum request_state state);
void request_set_key(struct coord *coord, struct request *request, const char *key,
                     size_t key_bytes);
void request_to_newest(struct coord *coord, struct request *request);  /* among all, for lists */
struct queue *queue_find(const struct coord *coord, const char *name); /* NULL: nobody names it */
struct request *request_find(const struct coord *coord, const struct gtrid *id);
struct request *request_find_key(const struct coord *coord, const char *key, size_t key_bytes);
void request_note(struct coord *coord, struct request *request, const char *kind,
                  const char *detail);
void request_wait(struct coord *coord, struct request *request,
                  const struct request_waiter *waiter);
/* Answers the waiters that are due; give_up answers all of them with what is known. */
void request_answer(struct coord *coord, struct request *request, bool give_up,
                    struct coord_ready *ready);
uint64_t request_oldest_ms(const struct coord *coord);
void request_set_timer(struct coord *coord, struct request *request);
/* False: it is not to be seen (its ACCEPT is not durable). */
bool request_is_visible(const struct request *request);
void request_view_fill(const struct coord *coord, const struct request *request, bool want_events,
                       struct txn_view *ret_view);

/* core_accept.c */
/* True if the key settles it: it belongs to an accepted request. */
bool accept_by_key(struct coord *coord, struct coord_event *event, struct coord_ready *ready);
void accept_step(struct coord *coord, struct coord_event *event, struct coord_ready *ready);
void accept_durable(struct coord *coord, struct request *request, struct coord_ready *ready);
/* Recovery, in this order: every live record, then what they make together. */
void accept_recover(struct coord *coord, const struct record *record);
void accept_recovered(struct coord *coord, struct coord_ready *ready);
/* A run of an accepted request that the journal has: its request is committed. */
void accept_from_commit(struct coord *coord, struct txn *txn, const struct record_commit *commit);

/* core_queue.c */
void queue_append(struct coord *coord, struct request *request); /* at the tail */
void queue_remove(struct coord *coord, struct request *request); /* the next one may run */
void queue_wake(struct coord *coord, struct request *request);   /* if it is at the head */
void queue_unplace(struct coord *coord, struct request *request);
/* Its agent can be given a run. */
bool queue_has_participant(const struct participant *participant);
/* Starts what may run; after every step. */
void queue_admit(struct coord *coord, struct coord_ready *ready);
void queue_timer(struct coord *coord, struct request *request, struct coord_ready *ready);
/* What became of a run. */
void queue_run_aborted(struct coord *coord, struct txn *txn, struct coord_ready *ready);
void queue_run_committed(struct coord *coord, struct txn *txn, struct coord_ready *ready);
/* Something about a committed run has changed: its waiters may be due, its queue may go on. */
void queue_run_progress(struct coord *coord, struct txn *txn, struct coord_ready *ready);
void queue_run_freed(struct coord *coord, struct txn *txn);
bool queue_run_is_open(const struct txn *txn); /* a branch has not committed yet */

/* core_dead.c */
void dead_refuse(struct coord *coord, struct request *request, struct coord_ready *ready);
void dead_act(struct coord *coord, const struct coord_event *event, struct coord_ready *ready);
/* Frees the oldest of those that were dropped until so many are left. */
void dead_forget_dropped(struct coord *coord, size_t keep);
/* A REFUSED, REQUEUED or DROPPED record is durable. */
void dead_durable(struct coord *coord, const struct pending *pending, struct coord_ready *ready);

#endif
