/*
 * coverage.h - what a run has reached: kinds of fault, named fault points, and pairs of (state, event) in both cores.
 *
 * Counters of the process, summed up over processes by the caller. Not part of the world: they change nothing.
 */
#ifndef ASSENT_SIM_COVERAGE_H
#define ASSENT_SIM_COVERAGE_H

#include <stdint.h>
#include <stdio.h>

#include "common/fault.h"
#include "tests/sim/sim.h"

struct sim_world;
struct coord;
struct coord_event;
struct agent;
struct agent_event;

#define COVERAGE_TABLES 3
#define COVERAGE_STATES 20
#define COVERAGE_EVENTS 32

struct coverage {
    uint64_t faults[SIM_FAULT_COUNT];
    uint64_t points[FAULT_POINT_COUNT];
    uint64_t kills[FAULT_POINT_COUNT];
    uint64_t notices[COVERAGE_EVENTS]; /* of the coordinator, by kind */
    uint64_t txn[COVERAGE_STATES][COVERAGE_EVENTS];
    uint64_t branch[COVERAGE_STATES][COVERAGE_EVENTS];
    uint64_t agent[COVERAGE_STATES][COVERAGE_EVENTS];
    /* Of the three tables above, the seed that reached a pair first in its process; 0: none. (All before this are counts.) */
    uint64_t first_seed[COVERAGE_TABLES][COVERAGE_STATES][COVERAGE_EVENTS];
};

/* What a transaction or a branch at the coordinator can meet. */
enum coverage_coord_event {
    MEETS_SUBMIT_AGAIN = 0, /* its key */
    MEETS_VOTE_COMMIT,
    MEETS_VOTE_ABORT,
    MEETS_VOTE_READONLY,
    MEETS_VOTE_UNKNOWN,
    MEETS_ACK_COMMITTED,
    MEETS_ACK_ROLLED_BACK,
    MEETS_ACK_HEURISTIC_COMMIT,
    MEETS_ACK_HEURISTIC_ROLLBACK,
    MEETS_ACK_HAZARD,
    MEETS_INQUIRY,
    MEETS_RESOLVE_COMMIT,
    MEETS_RESOLVE_ROLLBACK,
    MEETS_RESOLVE_FORGET,
    MEETS_PEER_DOWN,
    MEETS_WELCOME,
    MEETS_DURABLE,
    MEETS_TIMER,
    MEETS_DRAIN,
    MEETS_STATEMENT, /* of an interactive transaction, from its client */
    MEETS_CLOSE_COMMIT,
    MEETS_CLOSE_ROLLBACK,
    MEETS_ANSWER,
    MEETS_EXTERNAL, /* asked for, by its client */
    MEETS_COORD_COUNT,
};

/* What a branch at an agent can meet. */
enum coverage_agent_event {
    MEETS_WORK = 0, /* again */
    MEETS_COMMIT,
    MEETS_ROLLBACK,
    MEETS_ROLLBACK_NAMELESS,
    MEETS_VERDICT_COMMIT,
    MEETS_VERDICT_ABORT,
    MEETS_VERDICT_WAIT,
    MEETS_VERDICT_UNKNOWN,
    MEETS_NOTED,
    MEETS_RESULT_OK,
    MEETS_RESULT_ROLLED_BACK,
    MEETS_RESULT_NOT_FOUND,
    MEETS_RESULT_RETRY,
    MEETS_RESULT_REFUSED,
    MEETS_RESULT_UNKNOWN,
    MEETS_PROVED_PREPARED,
    MEETS_PROVED_COMMITTED,
    MEETS_PROVED_ABSENT,
    MEETS_PROVED_CANNOT_TELL,
    MEETS_SCAN_WITH_ROW,
    MEETS_SCAN_WITHOUT_ROW,
    MEETS_HISTORY_CHANGED,
    MEETS_DATABASE_UP,
    MEETS_SESSION_UP,
    MEETS_SESSION_DOWN,
    MEETS_AGENT_TIMER,
    MEETS_AGENT_DRAIN,
    MEETS_FIRST_STATEMENT, /* again */
    MEETS_LATER_STATEMENT,
    MEETS_PREPARE,
    MEETS_VERIFY,
    MEETS_AGENT_COUNT,
};

extern struct coverage *sim_coverage; /* where this process counts; may lie in shared memory */

static inline void coverage_fault(enum sim_fault fault)
{
    sim_coverage->faults[fault]++;
}

static inline void coverage_point(enum fault_point point)
{
    sim_coverage->points[point]++;
}

static inline void coverage_point_kill(enum fault_point point)
{
    sim_coverage->kills[point]++;
}

static inline void coverage_coord_notice(unsigned kind)
{
    sim_coverage->notices[kind]++;
}

/* Before the step: which state meets which event. */
void coverage_coord(struct sim_world *world, const struct coord *coord,
                    const struct coord_event *event);
void coverage_agent(struct sim_world *world, struct agent *agent, const struct agent_event *event);

/* Why a pair cannot be reached, or which test shows a pair or a point that needs not be; NULL: neither. */
const char *coverage_impossible(const char *table, const char *state, const char *event);
const char *coverage_elsewhere(const char *table, const char *state, const char *event);
/* Once a seed has been run: whatever was never reached before it was reached by it. */
void coverage_note_seed(struct coverage *coverage, uint64_t seed);
void coverage_add(struct coverage *sum, const struct coverage *part);
/* How much of it a run must have reached. Pairs, and deaths at the rarest points, take an hour; kinds of fault and fault
 * points a minute. */
enum coverage_scope { COVERAGE_NONE = 0, COVERAGE_FAULTS_AND_POINTS, COVERAGE_ALL };

/* Writes what was never reached and is not declared impossible, and what was reached and is; returns how many, within the
 * scope. file may be NULL: it only counts. all: writes everything, also beyond the scope. */
size_t coverage_report(const struct coverage *coverage, enum coverage_scope scope, FILE *file,
                       bool all);

#endif
