/*
 * core_internal.h - the state behind core.h, shared by the core's own files and nobody else.
 *
 *   core.c          the step: dispatch, durable records, timers, drain
 *   core_start.c    recovery from the journal's live records, this start's EPOCH
 *   core_trim.c     how far the floor may rise (P-13)
 *   core_txn.c      one transaction: its life, its state table, its answers and its timeline
 *   core_submit.c   SUBMIT: keys, limits, admission
 *   core_vote.c     WORK out, VOTE in, the decision
 *   core_interactive.c  OPEN, CLOSE, time and repetition of a transaction statement by statement (P-22)
 *   core_statement.c    STATEMENT and ANSWER, what is kept for a repetition
 *   core_external.c     EXTERNAL, VERIFY: branches that the application prepares (P-3, P-20)
 *   core_finish.c   COMMIT and ROLLBACK out, ACK in, END; heuristic outcomes
 *   core_peer.c     participants: links, witnesses, claims, health (P-10, P-14)
 *   core_inquiry.c  INQUIRY (P-8)
 *   core_audit.c    AUDIT, AUDITED: are the finished commits still there? (P-14)
 *   core_accept.c, core_queue.c, core_dead.c, core_request.c  accepted requests: see core_request.h
 *   core_resolve.c  what a person decides
 *   core_view.c     copies for the outside
 *   core_ready.c    filling and emptying struct coord_ready
 *
 * TRANSACTION STATES (names as in view.h; the setter is txn_move in core_txn.c)
 *
 *   ACTIVE --admit--> PREPARING --all yes--> DECIDING --durable--> COMMITTING --all acked--> COMMITTED
 *      |                  |                                            |
 *      |                  | any no, doubt, deadline                    | somebody decided otherwise
 *      +----------------> ABORTING --all acked or left--> ABORTED      +--> HEURISTIC
 *                             +--- found committed by hand ------------------^
 *
 *   An interactive one begins with ACTIVE --> OPEN; from there --commit--> PREPARING, or ABORTING.
 *
 *   state       true in it                                          durable            if we die now
 *   ACTIVE      nothing was sent                                     nothing            as if never asked
 *   OPEN        statements may run anywhere, nothing is prepared     nothing            presumed abort (P-1)
 *   PREPARING   WORK (PREPARE) may run anywhere                      nothing            presumed abort (P-1)
 *   DECIDING    every branch is prepared; nobody may abort (P-2)     perhaps COMMIT     what the journal says
 *   COMMITTING  COMMIT is durable; branches are told until they ack  COMMIT             driven again
 *   COMMITTED   every branch acknowledged                            COMMIT, soon END   driven again, harmless
 *               (HEURISTIC from there: a database was set back, and what it had acknowledged is gone)
 *   ABORTING    will never commit; branches are told                 nothing            presumed abort
 *   ABORTED     nothing of it is left, or the sweep finishes it      nothing            presumed abort
 *   HEURISTIC   a branch contradicts the decision, or may            HEURISTIC          shown again
 */
#ifndef ASSENT_COORDINATOR_CORE_INTERNAL_H
#define ASSENT_COORDINATOR_CORE_INTERNAL_H

#include "common/heap.h"
#include "common/map.h"
#include "coordinator/core.h"
#include "coordinator/core_request.h"

/* How long past its deadline a client may wait for a COMMIT record that is being synced, before it is told
 * that the outcome is not known yet. */
#define DECIDE_GRACE_MS 1000

enum peer_audit_state { PEER_AUDIT_NONE = 0, PEER_AUDIT_FETCH, PEER_AUDIT_ASKED };

struct peer_audit { /* core_audit.c */
    enum peer_audit_state state;
    struct identity here;   /* the database that is compared */
    uint64_t before_number; /* the next page: COMMITs with a number below */
    uint64_t serial;
    size_t count; /* ASKED: the page */
    struct record_commit *commits;
    uint64_t compared, lost, unknown;
};

struct participant {
    char name[PARTICIPANT_NAME_SIZE];
    char address[ADDRESS_SIZE];
    char version[32];
    bool configured;  /* false: known from the journal only, nobody can be dialled */
    bool must_report; /* named in the last EPOCH or a later COMMIT: its witness is awaited (P-10) */
    bool reported;    /* welcomed once in this epoch */
    bool is_new;      /* added to a coordinator that runs, and never connected since */
    bool releasing;   /* its RELEASE record is on its way: no new work, and ADD takes it back */
    bool witnessed;   /* this session's witness was checked */
    bool claimed;     /* CLAIM sent on this session */
    bool welcomed;    /* WELCOME came on this session: work may go */
    uint64_t session; /* 0: link down */
    enum health health;
    char text[HEALTH_TEXT_SIZE];
    struct identity identity;
    uint32_t prepared_count, foreign_count, misplaced_count;
    uint64_t oldest_prepared_ms;
    uint64_t swept_number;
    uint64_t
        left_number; /* a sweep from here on has seen every branch of an abort that was left to it; 0: none */
    uint64_t in_doubt;
    uint64_t open; /* branches of transactions in OPEN */
    uint64_t votes_yes, votes_no, heuristics;
    bool has_known;
    uint64_t welcome_history; /* of the WELCOME that counts on this session */
    struct identity known;    /* where its database stood with the newest commits (P-14) */
    struct peer_audit audit;
};

struct branch {
    uint32_t participant; /* index */
    enum branch_state state;
    enum isolation isolation;
    bool read_only; /* as declared */
    bool has_gid;
    bool is_external;      /* the application prepares it; its gid is known from the start */
    bool recorded;         /* has_gid, and the COMMIT record names it */
    uint64_t session;      /* that WORK went out on (P-7) */
    uint64_t told_session; /* last session that COMMIT or ROLLBACK went out on */
    struct gid gid;
    struct proof proof;
    struct blob *work; /* until sent; interactive: until answered, for its repetition */
    uint64_t
        ordinal; /* interactive: of the statement that was sent last; gid is known with the first answer */
    struct blob *results;
    char *detail; /* of a heuristic outcome; may be NULL */
};

struct waiter { /* a client that wants the outcome */
    uint64_t call;
    enum ack_mode ack;
    bool replay;
    bool rolls_back; /* it asked for the opposite, and a commit is its conflict */
};

struct txn_event {
    uint64_t wall_ms;
    uint64_t now_ms;
    const char *kind;
    uint32_t participant; /* index or NO_PARTICIPANT */
    char *detail;         /* may be NULL */
};

#define NO_PARTICIPANT UINT32_MAX

struct interactive_answer { /* of a statement with seq, kept for its repetition */
    uint64_t seq;
    uint8_t hash[BODY_HASH_BYTES];
    struct blob *results;
};

struct interactive {
    uint64_t idle_by_ms; /* OPEN, and nothing runs */
    uint64_t count;      /* statements begun, over all participants: the last one's seq */
    uint32_t running;    /* participant's index; NO_PARTICIPANT: every statement was answered */
    bool is_repeatable;  /* the running one came with seq */
    uint8_t hash[BODY_HASH_BYTES]; /* of the running one */
    size_t call_count, call_capacity;
    uint64_t *calls; /* that wait for its answer */
    size_t answer_count, answer_capacity;
    struct interactive_answer *answers; /* by ascending seq */
    uint64_t answer_bytes;
};

struct txn {
    struct heap_node timer; /* first: a node is its transaction */
    struct gtrid gtrid;
    enum txn_state state;
    bool decided_commit; /* the COMMIT record was handed to the journal (P-2) */
    bool end_written;
    bool end_recorded;          /* END is in the journal already: never twice */
    uint32_t heuristic_pending; /* HEURISTIC records not durable yet: nobody is told before */
    bool recovered;             /* from the journal: earlier events are not known */
    size_t key_bytes;
    char *key; /* NULL: none */
    uint8_t body_hash[BODY_HASH_BYTES];
    uint32_t timeout_ms;
    uint64_t created_ms, deadline_ms, retry_ms, retry_step_ms, answer_by_ms;
    uint64_t created_wall_ms, decided_wall_ms, ended_wall_ms;
    struct failure failure;
    uint32_t failed_participant;
    char failure_text[HEALTH_TEXT_SIZE];
    size_t branch_count;
    struct branch *branches;
    struct interactive *interactive; /* NULL: a submission, or it came from the journal */
    bool has_request;                /* a run of an accepted request */
    struct gtrid request_id;
    struct request *request; /* the same, while the run is not aborted */
    size_t waiter_count, waiter_capacity;
    struct waiter *waiters;
    size_t event_count, event_capacity;
    struct txn_event *events;
    struct txn *older, *newer;               /* all in memory, in order of creation */
    struct txn *queue_previous, *queue_next; /* ACTIVE: waiting for admission */
    struct txn *recent_next;                 /* finished: oldest goes first */
    bool is_changed;                         /* in this step: in coord->changed_* */
    struct txn *changed_previous, *changed_next;
    uint64_t held_bytes; /* of its work while it waits, of results and timeline when it is recent */
    uint64_t order;
};

/* What waits for a record to become durable; tokens grow, so this is a queue. */
enum pending_kind {
    PENDING_EPOCH = 1,
    PENDING_COMMIT,
    PENDING_HEURISTIC,
    PENDING_RESOLVED,
    PENDING_RELEASE,
    PENDING_ACCEPT,
    PENDING_REFUSED,
    PENDING_REQUEUED,
    PENDING_DROPPED,
};

struct pending {
    struct pending *next;
    enum pending_kind kind;
    uint64_t token;
    struct gtrid
        gtrid;     /* COMMIT, HEURISTIC, RESOLVED; the id: ACCEPT, REFUSED, REQUEUED, DROPPED */
    uint64_t call; /* RESOLVED, RELEASE, REQUEUED, DROPPED */
    struct api_resolve resolve;
    char participant[PARTICIPANT_NAME_SIZE]; /* RELEASE */
    struct gid gid;                          /* HEURISTIC */
};

/* A verdict that a person gave for a branch that this journal can not judge (below the floor). */
struct forced_verdict {
    struct gtrid gtrid;
    char participant[PARTICIPANT_NAME_SIZE];
    enum verdict verdict;
};

struct coord {
    struct coord_config config;
    uint64_t now_ms, wall_ms, random;
    uint64_t start_ms;
    bool running, reconciled, draining, drain_overdue, space_ok;
    uint64_t drain_deadline_ms;
    uint64_t epoch_number; /* of this process's EPOCH record */
    uint64_t epoch, epoch_nonce, next_sequence, next_order, next_token;
    uint64_t running_base_ms; /* accumulated by earlier runs (P-13) */
    struct journal_head head;
    struct journal_floor floor;
    size_t epoch_entry_count;
    struct epoch_entry *epoch_entries; /* including this one */
    size_t participant_count, participant_capacity;
    struct participant **participants;
    struct map by_gtrid; /* all in memory */
    struct map by_key;   /* latest with that key in memory */
    struct heap timers;
    struct txn *newest, *oldest;
    struct txn *queue_first, *queue_last;
    struct txn *recent_first, *recent_last;
    struct txn *changed_first, *changed_last; /* in the last step; see coord_take_change */
    struct pending *pending_first, *pending_last;
    size_t forced_count;
    struct forced_verdict *forced;
    uint64_t live_count, active_count, queued_count, recent_count, open_count;
    uint64_t queued_bytes, recent_bytes;
    uint64_t next_heartbeat_ms, next_trim_ms;
    uint64_t next_audit_serial;
    /* Aborts that no sweep has passed yet (P-13), in two lots: the closed one takes no more, so that it is passed some time
     * whatever comes after. */
    struct abort_lot {
        uint64_t least_sequence; /* 0: empty */
        uint64_t head;           /* of the journal at the last of them */
    } aborts_closed, aborts_open;
    struct requests requests;
    struct coord_counters counters;
};

/* core_ready.c */
struct message *ready_send(struct coord_ready *ready, uint64_t session, enum message_kind kind);
struct record *ready_append(struct coord *coord, struct coord_ready *ready, enum record_kind kind,
                            bool forced, uint64_t *ret_token);
struct api_answer *ready_answer(struct coord_ready *ready, uint64_t call, enum api_status status);
void ready_notice(struct coord_ready *ready, enum coord_notice_kind kind, const struct gtrid *gtrid,
                  const char *participant, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void ready_stop(struct coord_ready *ready, enum coord_stop stop, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* core_txn.c */
struct txn *txn_new(struct coord *coord, const struct gtrid *gtrid, size_t branch_count);
/* As a COMMIT record has it: COMMITTING in every branch that is not read-only. */
struct txn *txn_from_record(struct coord *coord, const struct record_commit *commit);
/* The same, acknowledged in every branch and ended. */
struct txn *txn_from_finished(struct coord *coord, const struct record_commit *commit);
void txn_free(struct coord *coord, struct txn *txn);
void txn_set_key(struct coord *coord, struct txn *txn, const char *key, size_t key_bytes);
struct txn *txn_find(const struct coord *coord, const struct gtrid *gtrid);
struct txn *txn_find_key(const struct coord *coord, const char *key, size_t key_bytes);
void txn_move(struct coord *coord, struct txn *txn, enum txn_state state);
/* Who watches is to be shown it. Beginning and txn_move see to it themselves. */
void txn_mark_changed(struct coord *coord, struct txn *txn);
void txn_forget_changes(struct coord *coord); /* a new step begins */
void branch_move(struct coord *coord, struct branch *branch, enum branch_state state);
void txn_note(struct coord *coord, struct txn *txn, const char *kind, uint32_t participant,
              const char *detail);
void txn_set_timer(struct coord *coord, struct txn *txn);
void txn_retire(struct coord *coord, struct txn *txn); /* finished: into the recent list */
void txn_revive(struct coord *coord, struct txn *txn); /* out of it again: it was not over */
bool txn_is_finished(const struct txn *txn);
bool txn_is_at_work(const struct txn *txn); /* undecided, and participants may be at it */
/* An aborted transaction has no record that lists its branches: one that is known from a note about one of them, */
struct txn *txn_from_note(struct coord *coord, const struct gid *gid);
/* and another one that shows up. */
struct branch *txn_add_branch(struct coord *coord, struct txn *txn, const struct gid *gid);
/* Known from a heuristic note alone: it aborted, or its COMMIT was forgotten before the note was written. */
bool txn_is_a_note(const struct txn *txn);
bool txn_completed(const struct txn *txn);
struct branch *txn_branch(const struct coord *coord, struct txn *txn, const char *participant);
void txn_wait(struct txn *txn, uint64_t call, enum ack_mode ack, bool replay);
void txn_wait_rollback(struct txn *txn, uint64_t call); /* as one that rolls back */
/* Answers the waiters that are due in the transaction's present state; give_up answers all of them. */
void txn_answer(struct coord *coord, struct txn *txn, bool give_up, struct coord_ready *ready);
void txn_view_fill(const struct coord *coord, const struct txn *txn, bool want_events,
                   struct txn_view *ret_view);

/* core_submit.c */
void submit_refuse(struct coord *coord, uint64_t call, enum reason reason, const char *participant,
                   const char *text, struct coord_ready *ready);
void submit_step(struct coord *coord, struct coord_event *event, struct coord_ready *ready);
void submit_admit(struct coord *coord, struct coord_ready *ready); /* as many as may run */
void submit_unqueue(struct coord *coord, struct txn *txn);

/* core_vote.c */
void vote_start(struct coord *coord, struct txn *txn, struct coord_ready *ready);
void vote_step(struct coord *coord, uint32_t from, uint64_t session, struct message_vote *vote,
               struct coord_ready *ready);
void vote_decide(struct coord *coord, struct txn *txn, struct coord_ready *ready);
void vote_abort(struct coord *coord, struct txn *txn, enum reason reason, uint32_t participant,
                const char *text, struct coord_ready *ready);

/* core_interactive.c */
void interactive_open(struct coord *coord, const struct coord_event *event,
                      struct coord_ready *ready);
void interactive_close(struct coord *coord, const struct coord_event *event,
                       struct coord_ready *ready);
/* Sends again what is not answered. */
void interactive_repeat(struct coord *coord, struct txn *txn, struct coord_ready *ready);
uint64_t interactive_due_ms(const struct txn *txn); /* of an open one, beside its deadline */
void interactive_timer(struct coord *coord, struct txn *txn, struct coord_ready *ready);
void interactive_drain(struct coord *coord, struct coord_ready *ready);

/* core_external.c */
void external_ask(struct coord *coord, const struct coord_event *event, struct coord_ready *ready);
void external_verify_send(struct coord *coord, const struct txn *txn, const struct branch *branch,
                          struct coord_ready *ready);
/* P-20: it was given out for an external branch, and another one after it. */
bool external_is_replaced(const struct coord *coord, struct txn *txn, const struct gid *gid);
/* A yes proves what its kind of branch needs: of an external one the row's transaction id. */
bool external_fits(const struct branch *branch, const struct proof *proof);

/* core_statement.c */
void interactive_statement(struct coord *coord, struct coord_event *event,
                           struct coord_ready *ready);
void interactive_answered(struct coord *coord, uint32_t from, uint64_t session,
                          struct message_answer *answer, struct coord_ready *ready);
/* It aborts: whoever waits for a statement hears of it, and what was kept for repetition goes. */
void interactive_aborted(struct coord *coord, struct txn *txn, struct coord_ready *ready);
void interactive_free(struct txn *txn);

/* core_finish.c */
void finish_durable(struct coord *coord, struct txn *txn, struct coord_ready *ready);
void finish_drive(struct coord *coord, struct txn *txn, struct coord_ready *ready);
void finish_check(struct coord *coord, struct txn *txn, struct coord_ready *ready);
/* The record of a heuristic outcome is durable. */
void finish_heuristic_durable(struct coord *coord, const struct gid *gid,
                              struct coord_ready *ready);
void finish_ack(struct coord *coord, uint32_t from, const struct message_ack *ack,
                const struct coord_prior *prior, struct coord_ready *ready);
void finish_heuristic(struct coord *coord, struct txn *txn, struct branch *branch,
                      const struct message_ack *ack, struct coord_ready *ready);
void finish_released(struct coord *coord, struct txn *txn, struct coord_ready *ready);
void finish_repeat_rollback(struct coord *coord, uint64_t session, const struct gid *gid,
                            const struct proof *proof, struct coord_ready *ready);

/* core_peer.c */
struct participant *peer_find(const struct coord *coord, const char *name, uint32_t *ret_index);
struct participant *peer_get(struct coord *coord, const char *name, uint32_t *ret_index);
bool peer_ready(const struct participant *participant);
void peer_step(struct coord *coord, struct coord_event *event, struct coord_ready *ready);
void peer_claim(struct coord *coord, struct participant *participant, struct coord_ready *ready);
void peer_claim_all(struct coord *coord, struct coord_ready *ready);
void peer_heartbeat(struct coord *coord, struct coord_ready *ready);
void peer_check_reconciled(struct coord *coord, struct coord_ready *ready);
void peer_released(struct coord *coord, uint64_t call, const char *name, struct coord_ready *ready);
uint64_t peer_swept_number(const struct coord *coord);

/* core_inquiry.c */
void inquiry_step(struct coord *coord, uint64_t session, const struct message_inquiry *inquiry,
                  const struct coord_prior *prior, struct coord_ready *ready);
/* P-13: no trim has passed it. */
bool inquiry_above_floor(const struct coord *coord, const struct gtrid *gtrid);

/* core_audit.c */
void audit_learn(struct participant *participant, const struct proof *proof);
/* The agent has told who its database is. */
void audit_welcome(struct participant *participant, const struct identity *here,
                   const struct coord_prior *prior, struct coord_ready *ready);
void audit_ask(const struct participant *participant, struct coord_ready *ready); /* also again */
void audit_page(struct coord *coord, const struct coord_event *event, struct coord_ready *ready);
void audit_found(struct coord *coord, uint32_t index, const struct message_audited *audited,
                 struct coord_ready *ready);
bool audit_is_open(const struct participant *participant);
/* Was this voted in the database that WELCOME told of, and that was compared? */
bool audit_accepts(const struct participant *participant, const struct proof *proof);
/* Its agent reports another database than WELCOME did. */
bool audit_missed_welcome(const struct participant *participant);
void audit_explain(
    struct participant *participant); /* why no work goes there, if nothing else is said */
void audit_free(struct participant *participant);

/* core_resolve.c */
void resolve_step(struct coord *coord, struct coord_event *event, struct coord_ready *ready);
void resolve_durable(struct coord *coord, const struct pending *pending, struct coord_ready *ready);
enum verdict resolve_forced(const struct coord *coord, const struct gid *gid);
/* P-8: neither a record nor the absence of one tells what became of it; a person may. txn: what txn_find found, may be NULL. */
bool coord_is_unjudged(const struct coord *coord, const struct txn *txn, const struct gtrid *gtrid);
void resolve_force(struct coord *coord, const struct gtrid *gtrid, const char *participant,
                   enum resolve_action action);

/* core.c */
void pending_add(struct coord *coord, enum pending_kind kind, uint64_t token,
                 const struct gtrid *gtrid, const struct pending *like);
uint64_t coord_running_ms(const struct coord *coord);

/* core_start.c */
void start_step(struct coord *coord, const struct coord_event *event, struct coord_ready *ready);

/* core_trim.c */
/* A sweep with this number has seen what earlier epochs left behind. */
bool trim_has_swept(const struct coord *coord, uint64_t swept_number);
void trim_note_abort(struct coord *coord, const struct txn *txn); /* it is over */
void trim_step(struct coord *coord, struct coord_ready *ready);

#endif
