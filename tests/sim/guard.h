/*
 * guard.h - runs a seed so that a failed CHECK in a core is a verdict like any other, and makes a failing run small.
 */
#ifndef ASSENT_SIM_GUARD_H
#define ASSENT_SIM_GUARD_H

#include "tests/sim/sim.h"

/* As sim_run. After a failed CHECK or a bad address the world is left as it was: memory leaks, nothing else. */
void guard_run(const struct sim_options *options, struct sim_verdict *ret_verdict);

struct shrunk {
    struct sim_options options; /* strikes are owned by the verdict */
    struct sim_verdict verdict;
    uint32_t runs;
};

/* Drops faults, operations and participants while the run still breaks the same rule. */
void shrink(const struct sim_options *options, const struct sim_verdict *verdict,
            struct shrunk *ret_shrunk);
void shrunk_done(struct shrunk *shrunk);

#endif
