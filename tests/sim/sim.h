/*
 * sim.h - START HERE: one simulated world, run from one seed (or from a list of faults), and its verdict.
 *
 * The world holds the real cores of coordinator and agents (coord_step, agent_step) and the real journal rules
 * (recovery/journal_memory.c), driven by models of everything else on a virtual clock. Two programs use it:
 * sim_main.c (random seeds) and explore_main.c (every schedule). Same seed and options, same run, to the bit.
 */
#ifndef ASSENT_SIM_SIM_H
#define ASSENT_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_fault {
#define SIM_FAULT(id, name, rate, grave, text) id,
#include "tests/sim/faults.def"
#undef SIM_FAULT
    SIM_FAULT_COUNT,
};

const char *sim_fault_name(enum sim_fault fault);
const char *sim_fault_text(enum sim_fault fault);
bool sim_fault_is_grave(enum sim_fault fault);
bool sim_fault_parse(const char *name, enum sim_fault *ret_fault);

/* The `ordinal`-th occasion for this kind of fault was used. */
struct sim_strike {
    enum sim_fault fault;
    uint32_t ordinal;
};

/* A deliberate corruption of one effect, which the checker must see (a canary). */
enum sim_canary {
    CANARY_NONE = 0,
    CANARY_LOSE_EFFECT,
    CANARY_DOUBLE_EFFECT,
    CANARY_LIE,
    CANARY_COUNT
};

struct trace;

struct sim_options {
    uint64_t seed;
    uint32_t op_count;          /* 0: drawn */
    uint32_t participant_count; /* 0: drawn */
    bool has_strikes;           /* only these faults strike, in place of those the seed draws */
    size_t strike_count;
    const struct sim_strike *strikes;
    enum sim_canary canary;
    struct trace *trace; /* may be NULL */
    bool is_explored;    /* no delays and no faults of its own: explore.c chooses */
    bool is_unreduced;   /* explored: nothing is left out (explore.h) */
    bool is_spoken;      /* explored: transactions are spoken statement by statement (talk.c) */
    bool is_handed;      /* explored: requests are handed over to a queue (accepted.c) */
    bool want_state_coverage; /* (state, event) pairs of every event, which costs time */
};

#define SIM_RULE_SIZE 12
#define SIM_TEXT_SIZE 480

struct sim_verdict {
    bool failed;
    char rule[SIM_RULE_SIZE]; /* "A1", "L1", "CHECK" */
    char text[SIM_TEXT_SIZE];
    uint64_t now_ms; /* virtual, at the failure */
    uint64_t hash;   /* over everything that happened */
    uint64_t transactions, committed, aborted, events, virtual_ms, heal_ms;
    uint64_t holes;   /* decisions lost in the documented second of P-10 */
    uint64_t excused; /* transactions that a grave fault touched */
    bool canary_sung; /* the corruption took place */
    size_t strike_count;
    struct sim_strike *strikes; /* owned: what struck */
};

void sim_run(const struct sim_options *options, struct sim_verdict *ret_verdict);
void sim_verdict_done(struct sim_verdict *verdict);

#endif
