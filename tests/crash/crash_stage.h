/*
 * crash_stage.h - one cell of the crash matrix on a running stack: bring it to the fault point, let
 * the victim die there, start it again, judge. crash_flow.c does the first, crash_judge.c the last.
 */
#ifndef ASSENT_TESTS_CRASH_CRASH_STAGE_H
#define ASSENT_TESTS_CRASH_CRASH_STAGE_H

#include "tests/crash/crash_cells.h"
#include "tests/lib/stack_checkout.h"

#define CRASH_HEAL_MS  10000 /* the product's promise */
#define CRASH_DEATH_MS 15000
#define CRASH_STOP_MS  11500 /* longer than the links' silence, 10 s, and every deadline */
#define CRASH_HANG_MS  700   /* a checkout takes a hundredth of that */
#define CRASH_SALES    2
#define CRASH_ACCOUNT  "100.00"

struct sale { /* one checkout of a cell */
    char id[64], key[64], account[64];
    const char *balance;        /* that the account was opened with */
    char *body;                 /* owned; NULL: this sale is not used */
    struct checkout_call *call; /* under way */
    bool answered;
    struct answer answer; /* of the first request */
};

struct crash_stage {
    struct stack *stack;
    const struct crash_cell *cell;
    unsigned number; /* of the cell, for names that are used once */
    struct stack_daemon *victim;
    size_t victim_participant; /* of an agent */
    size_t sale_count;
    struct sale sales[CRASH_SALES];
    uint64_t heal_ms; /* set by crash_judge */
};

/* Everything runs, nothing is prepared: where each cell begins. */
bool crash_settle(struct stack *stack, struct error *ret_error);

/* Kills every daemon: after a red cell nobody knows which of them is still armed. */
void crash_reset(struct stack *stack);

/* Prelude, arming and flow; true when the victim has died at the armed point. */
bool crash_run(struct crash_stage *stage, struct error *ret_error);

/* Starts what is down, and demands all that must be true afterwards. */
bool crash_judge(struct crash_stage *stage, struct error *ret_error);

/* Joins and frees what the stage still holds, whatever happened. */
void crash_stage_done(struct crash_stage *stage);

#endif
