/*
 * branch.h - START HERE: the agent's pure core. One step per event; no I/O, no clock, no randomness.
 *
 * agent_step(agent, event, &ready) moves the branches of this database and says what must happen next: messages to
 * send, commands for PostgreSQL, the next deadline. The driver may do these in any order. Used by the
 * daemon, the simulator and the fuzzers.
 *
 * Rules it carries: P-2 (doubt is no), P-3 (only PG_OK of this process's own EXECUTE is a yes), P-6 (never finishes alone
 * after a yes; asks), P-7, P-9 (tombstones), P-10 (fencing), P-11 (late prepare), P-12 (what a missing row
 * means), P-14 (a changed history voids votes), P-15, P-20 (attempts), P-22 (statement by statement).
 */
#ifndef ASSENT_PARTICIPANT_BRANCH_H
#define ASSENT_PARTICIPANT_BRANCH_H

#include "participant/command.h"

struct agent; /* all state; owned by one thread */

struct agent_config {
    char participant[PARTICIPANT_NAME_SIZE];
    uint32_t sweep_interval_ms; /* default 2000: the endless sweep */
    uint32_t
        inquiry_grace_ms;   /* default 1000: a prepared row younger than that is not asked about */
    uint32_t retry_min_ms;  /* default 50, doubling to retry_max_ms, jitter from event.random */
    uint32_t retry_max_ms;  /* default 2000 */
    uint32_t heartbeat_ms;  /* default 1000: HEALTH to every coordinator */
    uint32_t outcomes_page; /* default 200: outcomes that are compared at a time (P-12) */
    uint32_t tombstone_max; /* bound of remembered aborts, default 100000, oldest go first */
    uint32_t interactive_max; /* interactive branches that hold a connection at a time; 0: none */
};

enum agent_event_kind {
    AGENT_EVENT_PEER_UP = 1, /* a coordinator's link came up: session, journal */
    AGENT_EVENT_PEER_DOWN,
    AGENT_EVENT_MESSAGE,
    AGENT_EVENT_RESULT, /* a command's result */
    AGENT_EVENT_STATUS, /* the database's state */
    AGENT_EVENT_TIMER,
    AGENT_EVENT_DRAIN, /* SIGTERM: refuse new WORK with REASON_SHUTDOWN, finish what is there */
};

struct agent_event {
    enum agent_event_kind kind;
    uint64_t now_ms;  /* CLOCK_MONOTONIC, never going back */
    uint64_t random;  /* fresh random bits with every event: attempt nonces (P-20), jitter */
    uint64_t session; /* PEER_*, MESSAGE */
    struct journal_id journal;            /* PEER_UP */
    struct message *message;              /* MESSAGE: the step takes its contents */
    struct command_result *result;        /* RESULT: the step takes its contents */
    const struct database_status *status; /* STATUS */
};

struct agent_send {
    uint64_t session;
    struct message message; /* owned by the ready until taken */
};

enum agent_notice_kind {
    AGENT_NOTICE_VOTED = 1,
    AGENT_NOTICE_FINISHED,
    AGENT_NOTICE_HEURISTIC,
    AGENT_NOTICE_HAZARD,
    AGENT_NOTICE_FENCED,
    AGENT_NOTICE_UNKNOWN_OWNER,
    AGENT_NOTICE_REFUSED,
    AGENT_NOTICE_LATE_PREPARE,
    AGENT_NOTICE_HISTORY_CHANGED,
    AGENT_NOTICE_RETRYING,
    AGENT_NOTICE_OTHERS,
    AGENT_NOTICE_MISPLACED,
};

struct agent_notice { /* for the log and the counters; never needed for correctness */
    enum agent_notice_kind kind;
    struct gid gid;
    char detail[HEALTH_TEXT_SIZE];
};

struct agent_ready {
    size_t send_count, send_capacity;
    struct agent_send *sends;
    size_t command_count, command_capacity;
    struct command *commands;
    size_t notice_count, notice_capacity;
    struct agent_notice *notices;
    uint64_t deadline_ms; /* call with TIMER at this time; UINT64_MAX: none */
    bool
        drained; /* after DRAIN: nothing runs and nothing of this incarnation waits for a verdict */
};

struct agent *agent_new(const struct agent_config *config, uint64_t now_ms);
void agent_free(struct agent *agent);

/* ready must be empty (agent_ready_clear); what it holds is owned by the caller afterwards. */
void agent_step(struct agent *agent, struct agent_event *event, struct agent_ready *ready);
void agent_ready_clear(
    struct agent_ready *ready); /* releases what was not taken, keeps the arrays */
void agent_ready_done(struct agent_ready *ready);

struct agent_counters {
    uint64_t branches_live, votes_yes, votes_no, votes_unknown, votes_readonly, commits, rollbacks;
    uint64_t heuristics, hazards, fenced, late_prepares, inquiries, tombstones, sweeps;
};
void agent_counters_read(const struct agent *agent, struct agent_counters *ret_counters);

#endif
