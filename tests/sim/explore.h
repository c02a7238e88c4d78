/*
 * explore.h - every schedule of a small world: which event comes next, and where up to so many faults strike.
 *
 * Depth first, each schedule run from the start on the real cores (they are not copied), and cut off where it comes to a
 * situation that another one has been in before with as many faults left.
 */
#ifndef ASSENT_SIM_EXPLORE_H
#define ASSENT_SIM_EXPLORE_H

#include "tests/sim/world.h"

enum explore_fault {
    EXPLORE_EVENT = 0, /* no fault: the event just happens */
    EXPLORE_KILL_COORD = 1,
    EXPLORE_KILL_AGENT,
    EXPLORE_LOSE,
    EXPLORE_DUPLICATE,
    EXPLORE_TIMEOUT,
    EXPLORE_FAULT_COUNT,
};

struct explore_options {
    uint32_t op_count, fault_count;
    /* 0: no limit, and every schedule. Otherwise the schedules are shared out over PARTS searches that each look at the
     * alternatives in another order, or all of them would lie close to the first one. */
    uint64_t schedules_max;
    uint64_t seconds_max;   /* 0: no limit */
    bool wants_every_order; /* also of handshakes and heartbeats */
    bool wants_progress;
};

#define EXPLORE_DEPTH_MAX 4096

struct explore_result {
    uint64_t schedules, states, steps, cut, deepest;
    double seconds;
    bool is_complete; /* every schedule was run */
    uint64_t faults[EXPLORE_FAULT_COUNT];
    struct sim_verdict verdict;
    uint64_t part;
    uint32_t choice_count; /* of the failing schedule */
    uint16_t choices[EXPLORE_DEPTH_MAX];
};

void explore_run(const struct explore_options *options, struct explore_result *ret_result);
/* Runs one schedule again, with a trace. */
void explore_replay(const struct explore_options *options, uint64_t part, const uint16_t *choices,
                    uint32_t count, struct trace *trace, struct sim_verdict *ret_verdict);

uint64_t world_digest(struct sim_world *world);

#endif
