/*
 * core.h - START HERE: the coordinator's pure core. One step per event; no I/O, no clock, no randomness.
 *
 * coord_step(coord, event, &ready) moves transactions and says what must happen next: messages to send, records to
 * append, answers to give, the next deadline, stop. The driver may do these in any order.
 *
 * Structural law: a message or an answer that depends on a record is never in the same ready as that record; it
 * appears in the ready that answers the record's DURABLE event (P-4).
 *
 * Reads that need the journal come with the event: where coord_wants_*() says so, the driver looks the thing up and
 * attaches it as `prior`. The core thus stays free of I/O and small: only unfinished and recent transactions are in memory.
 */
#ifndef ASSENT_COORDINATOR_CORE_H
#define ASSENT_COORDINATOR_CORE_H

#include "coordinator/api.h"
#include "coordinator/interactive.h"
#include "coordinator/submission.h"
#include "coordinator/view.h"
#include "recovery/journal.h"

struct coord;

struct coord_config {
    struct journal_id journal;
    char address[ADDRESS_SIZE]; /* told to agents for inquiries */
    uint32_t max_active; /* transactions between WORK and decision; others wait in order [64] */
    uint32_t max_queued; /* waiting beyond that are refused as overload [10000] */
    uint64_t
        max_queued_bytes; /* of statements that wait; 10000 of the longest requests are too many [256 MiB] */
    uint32_t heartbeat_ms;     /* HEAD to every participant [1000] */
    uint32_t retry_min_ms;     /* first repetition of COMMIT and ROLLBACK [100] */
    uint32_t retry_max_ms;     /* [2000] */
    uint32_t recent_max;       /* finished transactions kept in memory for their history [10000] */
    uint64_t recent_max_bytes; /* of results, timelines; beyond it the journal answers [64 MiB] */
    uint32_t drain_ms;         /* how long a drain waits for acknowledgements [10000] */
    uint64_t retention_ms;     /* P-13 [7 days] */
    uint32_t trim_interval_ms; /* [10000] */
    uint32_t
        interactive_max; /* open interactive transactions; more are refused as overload [256] */
    uint32_t interactive_idle_ms; /* one that waits longer for its client is aborted [60000] */
    uint32_t queue_active;        /* runs of accepted requests at once, of max_active [16] */
    uint32_t queue_max;           /* accepted requests that are not over [10000] */
    uint32_t queue_max_each;      /* of them in one queue [1000] */
    uint64_t queue_max_bytes;     /* of their statements [256 MiB] */
    uint32_t queue_retry_min_ms;  /* after the first abort that may pass; doubled with each [500] */
    uint32_t queue_retry_max_ms;  /* [60000] */
    uint32_t queue_attempts;      /* runs before such a request is dead; 0: no limit */
    uint32_t
        interactive_result_bytes; /* of one transaction's answers, kept for repetition [1 MiB] */
    uint32_t max_statements,
        max_branches; /* of an interactive one; the edges see to submissions [1000, 64] */
};

enum coord_event_kind {
    COORD_EVENT_START = 1, /* first event: recovery's findings; the step makes the EPOCH record */
    COORD_EVENT_DURABLE,   /* records up to `token` are durable; head is the journal's */
    COORD_EVENT_SUBMIT,
    COORD_EVENT_RESOLVE,
    COORD_EVENT_PEER_UP,
    COORD_EVENT_PEER_DOWN,
    COORD_EVENT_MESSAGE,
    COORD_EVENT_TIMER,
    COORD_EVENT_SPACE,   /* the journal's disk: space_ok */
    COORD_EVENT_TRIMMED, /* floor moved (head too) */
    COORD_EVENT_PARTICIPANT_ADD,
    COORD_EVENT_PARTICIPANT_REMOVE, /* text answer in ready.answers: refused with reason, or a RELEASE record */
    COORD_EVENT_FENCED,             /* the journal says another coordinator owns it */
    COORD_EVENT_DRAIN,
    COORD_EVENT_RETAINED, /* the page that coord_wants_page asked for */
    /* Interactive transactions (P-22): */
    COORD_EVENT_OPEN,
    COORD_EVENT_STATEMENT,
    COORD_EVENT_CLOSE,       /* commit or roll back */
    COORD_EVENT_EXTERNAL,    /* the application prepares a branch itself (docs/adr/0016) */
    COORD_EVENT_REQUEST_ACT, /* requeue or drop an accepted request */
};

struct coord_prior { /* what the journal knows, attached by the driver */
    bool looked_up;
    bool found;
    const struct journal_entry *entry; /* borrowed */
    /* The floor as read after the look-up: what was not found may just have been trimmed (P-13). */
    struct journal_floor floor;
    /* WELCOME, where coord_wants_newest says so: newest first, a few; borrowed. */
    size_t newest_count;
    const struct journal_entry *newest;
    bool hash_found; /* WITNESS: hash of the record with the witness's head number */
    uint8_t hash[HASH_BYTES];
};

struct coord_event {
    enum coord_event_kind kind;
    uint64_t now_ms;  /* CLOCK_MONOTONIC, never going back */
    uint64_t wall_ms; /* for display only */
    /* Fresh random bits: jitter; START: the epoch's nonce; EXTERNAL: an attempt (P-20). The last two cannot be foretold. */
    uint64_t random;
    /* START */
    const struct journal_state *state;
    size_t record_count;
    const struct record *records; /* live records in order */
    /* DURABLE, TRIMMED */
    uint64_t token;
    struct journal_head head;
    struct journal_floor floor;
    bool more; /* TRIMMED: another slice is due */
    /* SUBMIT, RESOLVE, PARTICIPANT_REMOVE, OPEN, STATEMENT, CLOSE, EXTERNAL: echoed in the answer */
    uint64_t call;
    struct submission *submission; /* the step takes its contents */
    const struct api_resolve *resolve;
    uint32_t timeout_ms;                         /* OPEN: of the decision, as in a submission */
    struct interactive_statement *statement;     /* STATEMENT: the step takes its work */
    const struct interactive_end *end;           /* CLOSE */
    const struct interactive_external *external; /* EXTERNAL */
    const struct api_request_act *act;           /* REQUEST_ACT */
    /* PEER_*, MESSAGE, PARTICIPANT_* */
    const char *participant;
    const char *address; /* PARTICIPANT_ADD; PEER_UP */
    const char *version; /* PEER_UP */
    bool untrimmed;      /* PARTICIPANT_REMOVE: the journal still holds COMMITs naming it */
    uint64_t session;
    struct message *message; /* the step takes its contents */
    bool space_ok;           /* SPACE */
    /* RETAINED: participant, and */
    uint64_t before_number; /* as asked */
    size_t entry_count;     /* newest first; none: there is no more */
    const struct journal_entry *entries;
    struct coord_prior prior;
};

struct coord_send {
    uint64_t session;
    struct message message;
};

struct coord_append {
    uint64_t token; /* growing by one; DURABLE names the last */
    bool forced;    /* false: may wait for the next forced one, at most about a second */
    struct record record;
};

struct coord_answer {
    uint64_t call;
    struct api_answer answer; /* without participants and metrics */
};

enum coord_notice_kind {
    COORD_NOTICE_STARTED = 1,
    COORD_NOTICE_COMMITTED,
    COORD_NOTICE_ABORTED,
    COORD_NOTICE_ENDED,
    COORD_NOTICE_HEURISTIC,
    COORD_NOTICE_HAZARD,
    COORD_NOTICE_RESOLVED,
    COORD_NOTICE_UNKNOWN_INQUIRY,
    COORD_NOTICE_PEER_READY,
    COORD_NOTICE_PEER_LOST,
    COORD_NOTICE_PEER_STATE,
    COORD_NOTICE_RECOVERED,
    COORD_NOTICE_REDRIVE,
    COORD_NOTICE_STALE,
    COORD_NOTICE_DEGRADED,
    COORD_NOTICE_SPACE_BACK,
    COORD_NOTICE_RECONCILED,
    COORD_NOTICE_AUDIT,
    COORD_NOTICE_AUDITED,
    COORD_NOTICE_ACCEPTED,
    COORD_NOTICE_DEAD,
    COORD_NOTICE_REQUEUED,
    COORD_NOTICE_DROPPED,
};

struct coord_notice { /* for the log and the fault points; never needed for correctness */
    enum coord_notice_kind kind;
    bool has_gtrid;
    struct gtrid gtrid;
    char participant[PARTICIPANT_NAME_SIZE];
    char detail[HEALTH_TEXT_SIZE];
};

enum coord_stop {
    COORD_RUN = 0,
    COORD_STOP_DRAINED,
    COORD_STOP_FENCED, /* a higher epoch or a copied journal is known to an agent */
    COORD_STOP_BEHIND, /* this journal lacks records that an agent has seen: restored or truncated */
};

struct coord_ready {
    size_t send_count, send_capacity;
    struct coord_send *sends;
    size_t append_count, append_capacity;
    struct coord_append *appends;
    size_t answer_count, answer_capacity;
    struct coord_answer *answers;
    size_t notice_count, notice_capacity;
    struct coord_notice *notices;
    uint64_t deadline_ms; /* call with TIMER at this time; UINT64_MAX: none */
    bool trim;            /* a trim is due, with these bounds */
    struct journal_trim trim_bounds;
    enum coord_stop stop;
    char stop_text[ERROR_TEXT_SIZE];
};

struct coord *coord_new(const struct coord_config *config, uint64_t now_ms);
void coord_free(struct coord *coord);

/* Does this event need the journal? The driver then sets event->prior before the step. */
bool coord_wants_key(const struct coord *coord, const struct coord_event *event);
bool coord_wants_gtrid(const struct coord *coord, const struct coord_event *event,
                       struct gtrid *ret_gtrid);
bool coord_wants_hash(const struct coord *coord, const struct coord_event *event,
                      uint64_t *ret_number);
/* The newest commits that name event->participant, some dozens. */
bool coord_wants_newest(const struct coord *coord, const struct coord_event *event);

/* Does an audit (P-14) need a page of the retained commits that name this participant, with numbers below? The driver looks
 * after every step, reads at most AUDIT_ITEMS_MAX of them and steps RETAINED. */
bool coord_wants_page(const struct coord *coord, char ret_participant[PARTICIPANT_NAME_SIZE],
                      uint64_t *ret_before_number);

void coord_step(struct coord *coord, struct coord_event *event, struct coord_ready *ready);
void coord_ready_clear(
    struct coord_ready *ready); /* releases what was not taken, keeps the arrays */
void coord_ready_done(struct coord_ready *ready);

/* Views (owner thread). *ret_found false: not in memory, ask the journal. */
bool coord_view(const struct coord *coord, const struct gtrid *gtrid, bool want_events,
                struct txn_view *ret_view);
bool coord_view_by_key(const struct coord *coord, const char *key, size_t key_bytes,
                       bool want_events, struct txn_view *ret_view);
/* Newest first, transactions in memory matching the filter, at most limit. */
size_t coord_list(const struct coord *coord, const struct api_list *list,
                  struct txn_view **ret_views);
/* A view of what only the journal remembers. */
void coord_view_entry(const struct journal_entry *entry, bool want_events,
                      struct txn_view *ret_view);
/* Whether coord_list knows it: what the journal tells of it besides is not listed twice. */
bool coord_lists(const struct coord *coord, const struct gtrid *gtrid);
/* The same of an accepted request that was dropped (journal_find_request). */
void coord_view_dropped(const struct record_dropped *dropped, bool want_events,
                        struct txn_view *ret_view);

/* The transactions that began in the last step, or whose state as it is shown changed, each once, as they are now; false: no more.
 * What is not taken is forgotten with the next step. Nothing is shown whose record is not durable: a heuristic outcome comes with
 * the step that hears of it. */
bool coord_take_change(struct coord *coord, struct txn_view *ret_view);
/* The queues that have a request, in order of their birth; *ret_unqueued: of those without one. */
size_t coord_queues(const struct coord *coord, struct queue_view **ret_views,
                    struct queue_view *ret_unqueued);
/* Is this the id of an accepted request with a run? Then that one's gtrid. */
bool coord_run_of(const struct coord *coord, const struct gtrid *id, struct gtrid *ret_run);

/* What P-8 makes of a transaction that is neither in memory nor in the journal. */
enum verdict coord_presume(const struct coord *coord, const struct gtrid *gtrid);
/* Before it, with the floor as the journal has it now; the step does the same with event.prior. */
void coord_raise_floor(struct coord *coord, const struct journal_floor *floor);

size_t coord_participants(const struct coord *coord, struct participant_view **ret_views);
bool coord_has_participant(const struct coord *coord, const char *name);

struct coord_counters {
    uint64_t submitted, committed, aborted[REASON_COUNT], refused[REASON_COUNT], replayed,
        key_conflicts;
    uint64_t heuristics, hazards, stale_messages, unknown_inquiries, inquiries, commits_resent,
        resolved;
    uint64_t accepted, runs_repeated, died, requeued, dropped;
    uint64_t live, active, open, queued, in_doubt, recent;    /* gauges */
    uint64_t requests_waiting, requests_dead, requests_bytes; /* gauges of accepted requests */
    uint64_t oldest_request_ms; /* of those that wait, by the wall clock; 0: none */
    uint64_t epoch;
    struct journal_head head;
    struct journal_floor floor;
    bool running;    /* EPOCH is durable */
    bool reconciled; /* every participant has reported its witness */
    bool draining;
    bool degraded; /* only the journal's reserve is left */
};
void coord_counters_read(const struct coord *coord, struct coord_counters *ret_counters);

#endif
