/*
 * crash_cells.h - the table of the crash matrix: which cell reaches which fault point how.
 *
 * A cell is one death: a daemon is killed at a fault point while something goes on, is started
 * again, and everything must be whole afterwards. The table is data; crash_flow.c knows how to bring
 * a stack to the point and crash_judge.c what must be true afterwards.
 */
#ifndef ASSENT_TESTS_CRASH_CRASH_CELLS_H
#define ASSENT_TESTS_CRASH_CRASH_CELLS_H

#include <stddef.h>

#include "common/fault.h"

enum crash_victim { VICTIM_COORDINATOR = 1, VICTIM_ORDER, VICTIM_PAYMENT };

/* What lies in the databases and the journal before the point is armed. */
enum crash_prelude {
    PRELUDE_NONE = 0,      /* nothing; everything runs */
    PRELUDE_UNDECIDED,     /* assentd is dead, both branches are prepared, no decision */
    PRELUDE_DECIDED,       /* assentd is dead, both are prepared, COMMIT is durable, nobody knows */
    PRELUDE_TWO_UNDECIDED, /* the same with two checkouts */
    PRELUDE_TWO_DECIDED,
    PRELUDE_LOST_ACK,  /* the victim (an agent) is dead; it had committed and told nobody */
    PRELUDE_HEURISTIC, /* decided commit, and a person rolled the payment back by hand */
    PRELUDE_EXPIRED,   /* the journal holds transactions older than the retention period */
};

/* What goes on once the point is armed. */
enum crash_flow {
    FLOW_COMMIT = 1, /* a checkout */
    FLOW_PLAIN,      /* the same, in statements that let PREPARE travel with them */
    FLOW_REFUSE,     /* a checkout that the payment refuses after the order has prepared */
    FLOW_TIMEOUT,    /* a checkout whose payment takes longer than the deadline */
    FLOW_STALL,      /* a checkout; the other agent is stopped until after the deadline */
    FLOW_CLIENT,     /* a checkout through the client library */
    FLOW_BULK,       /* checkouts with large answers until the victim is dead */
    FLOW_START,      /* nothing: the victim's own start (and the prelude) leads there */
    FLOW_DRAIN,      /* SIGTERM while a checkout is on its way */
    FLOW_RECONNECT,  /* a checkout; the victim's database connections are ended meanwhile */
    FLOW_SEVER,      /* a plain checkout; the backend that runs the victim's branch is killed */
    FLOW_FORGET,     /* an operator acknowledges the heuristic outcome */
};

/* What must have become of the checkout before it is asked again. */
enum crash_expect {
    EXPECT_NONE = 1, /* nothing of it */
    EXPECT_ONCE,     /* all of it */
    EXPECT_EITHER,   /* one or the other: the message was under way */
    EXPECT_HEURISTIC /* the order without the payment: a person did that */
};

enum crash_action {
    ACTION_KILL = 0, /* SIGKILL at the point */
    /* The thread that comes to the point hangs there, as in a sync that does not return; the others
     * go on. What waits for that thread must not be told meanwhile. Then SIGKILL. */
    ACTION_HANG,
    /* SIGSTOP at the point until every timeout is over, then SIGCONT: what was alive for nobody goes
     * on as if nothing had happened (P-15). No restart. */
    ACTION_STOP,
};

struct crash_cell {
    enum fault_point point;
    enum crash_victim victim;
    unsigned hit; /* the n-th time that the point is reached */
    enum crash_flow flow;
    enum crash_prelude prelude;
    enum crash_expect expect;
    enum crash_action action;
};

extern const struct crash_cell crash_cells[];
extern const size_t crash_cell_count;

const char *crash_action_text(enum crash_action action);
const char *crash_victim_text(enum crash_victim victim);
const char *crash_flow_text(enum crash_flow flow);
const char *crash_prelude_text(enum crash_prelude prelude); /* "" for none */

/* Does the checkout commit if it is run undisturbed? */
bool crash_flow_commits(enum crash_flow flow);

#endif
