/*
 * crash_stage.h - one cell of the fault matrix on a running stack: bring it to the fault, let it
 * happen, heal, judge. crash_sale.c sells, crash_prelude.c and crash_flow.c bring a daemon to its
 * fault point, crash_server.c and crash_client.c do what happens to databases and clients,
 * crash_survey.c looks at the points that a flow comes by, crash_judge.c judges, crash_ledger.c keeps
 * what must still be there at the end.
 */
#ifndef ASSENT_TESTS_CRASH_CRASH_STAGE_H
#define ASSENT_TESTS_CRASH_CRASH_STAGE_H

#include "tests/crash/crash_cells.h"

#define CRASH_HEAL_MS     10000 /* the product's promise */
#define CRASH_PATIENCE_MS 15000 /* for what leads to the fault; nothing is promised about it */
#define CRASH_STOP_MS     11500 /* longer than the links' silence, 10 s, and every deadline */
#define CRASH_LONG_MS     5000  /* a checkout's deadline */
#define CRASH_SHORT_MS    2000  /* the same where it must pass */
#define CRASH_SERVER_MS   60000 /* a server's own recovery, which is not ours to hurry */
#define CRASH_HANG_MS     700   /* a checkout takes a hundredth of that */
#define CRASH_BALANCE     "100.00"
#define CRASH_SALES       2
#define CRASH_CALLS       5
#define CRASH_FIRST       0 /* indices of participants */
#define CRASH_LAST        (CRASH_PARTICIPANTS - 1)

/* --- what was sold on a stack ----------------------------------------------------------------- */

struct crash_ledger;
struct crash_ledger *crash_ledger_new(void);
void crash_ledger_free(struct crash_ledger *ledger);
/* This order was executed once, and is there for ever. */
void crash_ledger_add(struct crash_ledger *ledger, const char *id, const enum checkout_part *parts);
/* Every database has exactly what was sold, and no account lost money without a payment. */
bool crash_ledger_audit(const struct crash_ledger *ledger, struct stack *stack,
                        struct error *ret_error);

/* --- a cell ----------------------------------------------------------------------------------- */

struct sale_call; /* one request under way */

struct sale { /* one checkout of a cell */
    char id[64], key[64], account[64];
    char txn[160]; /* of an open transaction: what it is asked by; "" if it was not opened */
    char *body;    /* owned; NULL: this sale is not used */
    struct sale_call *calls[CRASH_CALLS];
    struct answer answers[CRASH_CALLS]; /* of the requests that are over */
    size_t call_count, answer_count;
};

struct crash_wire;
struct pg_conn;

struct crash_stage {
    struct stack *stack;
    struct crash_wire *wire; /* NULL: nothing lies between the processes */
    struct crash_ledger *ledger;
    const struct crash_cell *cell;
    unsigned number;             /* of the cell, for names that are used once */
    struct stack_daemon *victim; /* the agent, where it is a database; NULL: nobody */
    size_t participant;          /* of the victim that is not assentd */
    size_t sale_count;
    struct sale sales[CRASH_SALES];
    struct pg_conn
        *straggler; /* of an agent that died, for its successor's fence to end; or NULL */
    uint64_t heal_deadline_ms; /* both set by crash_judge */
    uint64_t heal_ms;
};

/* Everything runs, nothing is prepared: where each cell begins. */
bool crash_settle(struct stack *stack, struct error *ret_error);

/* Kills every daemon: after a red cell nobody knows which of them is still armed, or sleeps. */
void crash_kill_all(struct stack *stack);

/* Names victim and sales and makes the sales' accounts. */
bool crash_stage_init(struct crash_stage *stage, struct error *ret_error);

/* All that leads to the fault, and the fault. */
bool crash_run(struct crash_stage *stage, struct error *ret_error);
bool crash_run_server(struct crash_stage *stage, struct error *ret_error);
bool crash_run_client(struct crash_stage *stage, struct error *ret_error);
bool crash_run_request(struct crash_stage *stage, struct error *ret_error);
/* crash_external.c: no key belongs to it, so it is asked about by id; and again, or anew if nothing of it is there. */
bool crash_run_external(struct crash_stage *stage, struct error *ret_error);
bool crash_external_agrees(const struct crash_stage *stage, const struct sale *sale, int times,
                           struct error *ret_error);
bool crash_external_again(const struct crash_stage *stage, const struct sale *sale, int times,
                          struct error *ret_error);
/* What is dead waits for a person, and is in the way of nobody: but the next cells shall begin without it. */
bool crash_drop_dead(const struct crash_stage *stage, const struct sale *sale,
                     struct error *ret_error);
bool crash_run_survey(struct crash_stage *stage, struct error *ret_error);
bool crash_run_wire(struct crash_stage *stage, struct error *ret_error);

/* Puts a proxy between every two processes of a stack that has not been started, whose clusters
 * listen on TCP. The stack does not outlive it. */
bool crash_wire_new(struct stack *stack, struct crash_wire **ret_wire, struct error *ret_error);
void crash_wire_free(struct crash_wire *wire);

/* Starts what is down, and demands all that must be true afterwards. */
bool crash_judge(struct crash_stage *stage, struct error *ret_error);

/* Joins and frees what the stage still holds, whatever happened. */
void crash_stage_done(struct crash_stage *stage);

/* --- sales ------------------------------------------------------------------------------------ */

/* A checkout that nobody has seen yet, with an account of its own. */
bool sale_make(struct crash_stage *stage, struct sale *sale, unsigned variant,
               struct error *ret_error);
/* Sends one request more, the way that the cell's flow says. */
void sale_begin(struct crash_stage *stage, struct sale *sale);
bool sale_answered(const struct sale *sale); /* are all its requests over? */
void sale_end(struct sale *sale);            /* waits for them */
void sale_done(struct sale *sale);
/* Asks and waits; the answer is the caller's. */
void sale_ask(const struct crash_stage *stage, const struct sale *sale, struct answer *ret_answer);

/* --- on the way ------------------------------------------------------------------------------- */

uint64_t crash_patience(void); /* a deadline */

bool crash_prelude(struct crash_stage *stage, struct error *ret_error);

/* Stops a daemon in peace and starts it again with a point armed; ready afterwards. */
bool crash_rearm(struct crash_stage *stage, struct stack_daemon *daemon, const char *spec,
                 struct error *ret_error);
/* Starts what does not run, but for `but` (may be NULL). */
bool crash_start_others(struct crash_stage *stage, const struct stack_daemon *but,
                        struct error *ret_error);
bool crash_await_death(struct stack_daemon *daemon, const char *point, struct error *ret_error);
bool crash_await_point(struct stack_daemon *daemon, const char *point, struct error *ret_error);
/* Until the participant has a branch of ours prepared. */
bool crash_await_prepared(struct crash_stage *stage, size_t participant, struct error *ret_error);

#endif
