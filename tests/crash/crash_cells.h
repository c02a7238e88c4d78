/*
 * crash_cells.h - the cells of the fault matrix: what happens to whom while what goes on, and what
 * must have become of it.
 *
 * A cell is one fault: a daemon dies or sleeps at a fault point, a database or a client misbehaves.
 * Most cells are made by crossing all fault points with the flows (crash_table.c); whether a point
 * lies on a flow's way is told by crash_path.c, and what the protocol allows afterwards by
 * crash_expect.c. Cells that need a situation of their own are written down in crash_special.c.
 * Bringing a stack to the fault: crash_flow.c, crash_server.c, crash_client.c; judging: crash_judge.c.
 */
#ifndef ASSENT_TESTS_CRASH_CRASH_CELLS_H
#define ASSENT_TESTS_CRASH_CRASH_CELLS_H

#include <stddef.h>

#include "common/fault.h"
#include "tests/lib/stack_checkout.h"

#define CRASH_PARTICIPANTS 3 /* a first, a middle and a last one */

enum crash_victim {
    VICTIM_COORDINATOR = 1,
    VICTIM_FIRST,
    VICTIM_MIDDLE,
    VICTIM_LAST,
    VICTIM_CLIENT,
    VICTIM_NOBODY, /* of a survey */
};

/* What lies in the databases and the journal before the fault. */
enum crash_prelude {
    PRELUDE_NONE = 0,      /* nothing; everything runs */
    PRELUDE_UNDECIDED,     /* assentd is dead, all branches are prepared, no decision */
    PRELUDE_DECIDED,       /* assentd is dead, all are prepared, COMMIT is durable, nobody knows */
    PRELUDE_TWO_UNDECIDED, /* two checkouts: all that can be prepared without a decision */
    PRELUDE_TWO_DECIDED,
    PRELUDE_LOST_ACK,  /* the victim (an agent) is dead; it had committed and told nobody */
    PRELUDE_HEURISTIC, /* decided commit, and a person rolled the last branch back by hand */
    PRELUDE_EXPIRED,   /* the journal holds transactions older than the retention period */
};

/* What goes on. The first FLOW_GRID_COUNT - 1 are crossed with all points. */
enum crash_flow {
    FLOW_COMMIT = 1, /* a checkout */
    FLOW_PLAIN,      /* the same, in statements that let PREPARE travel with them */
    FLOW_CLIENT,     /* the same through the client library */
    FLOW_DUPLICATE,  /* the same twice at once, with one key */
    FLOW_SINGLE,     /* the first participant alone */
    FLOW_READ_ONLY,  /* the middle branch is declared read_only */
    FLOW_SERIAL,     /* the same, serializable: it is prepared */
    FLOW_REFUSE,     /* the last participant refuses after the others have prepared */
    FLOW_TIMEOUT,    /* the last participant takes longer than the deadline */
    FLOW_GRID_COUNT,
    FLOW_STALL =
        FLOW_GRID_COUNT, /* a checkout; another agent is stopped until after the deadline */
    FLOW_BULK,           /* checkouts with large answers until the point is reached */
    FLOW_START,          /* nothing: the victim's own start (and the prelude) leads there */
    FLOW_DRAIN,          /* SIGTERM while a checkout is on its way */
    FLOW_RECONNECT,      /* a checkout; the victim's database connections are ended meanwhile */
    FLOW_SEVER,          /* a plain checkout; the backend that runs the victim's branch is killed */
    FLOW_FORGET,         /* an operator acknowledges the heuristic outcome */
    FLOW_WAIT,       /* a checkout whose last branch waits, so that there is time for the fault */
    FLOW_ACCEPTED,   /* a checkout that is handed over to run later */
    FLOW_DEAD,       /* the same, and it can not succeed */
    FLOW_REQUEUE,    /* a person requeues it when it is dead: it dies again */
    FLOW_DROP,       /* a person drops it when it is dead */
    FLOW_EXTERNAL,   /* a checkout; applications prepare the first and the last branch, and die */
    FLOW_UNPREPARED, /* the same, and the last one dies before it has prepared */
    FLOW_COUNT,
};

/* What must have become of the checkout before it is asked again. */
enum crash_expect {
    EXPECT_NONE = 1, /* nothing of it */
    EXPECT_ONCE,     /* all of it */
    EXPECT_EITHER,   /* one or the other: the message was under way */
    EXPECT_HEURISTIC /* all but the last branch: a person did that */
};

enum crash_action {
    ACTION_KILL = 0, /* SIGKILL at the point */
    /* The thread that comes to the point hangs there, as in a sync that does not return; the others
     * go on. What waits for that thread must not be told meanwhile. Then SIGKILL. */
    ACTION_HANG,
    /* SIGSTOP at the point until every timeout is over, then SIGCONT: what was alive for nobody goes
     * on as if nothing had happened (P-15). No restart. */
    ACTION_STOP,
    ACTION_TRACE, /* nothing: the points that the flow comes by are compared with crash_path.c */
    ACTION_FAULT, /* what crash_faults.def says of the cell's fault */
    /* What happens to the first unit of its kind on the wire: */
    ACTION_DROP,   /* it does not arrive */
    ACTION_HOLD,   /* it arrives when the deadline has passed, and what follows behind it */
    ACTION_CUT,    /* the connection is reset in its place */
    ACTION_BEHIND, /* it arrives, and the connection is reset behind it */
    ACTION_MUTE, /* it and all that follows in this direction is swallowed, until after the deadline the
                      connection is reset */
};

enum crash_fault {
    FAULT_OF_NOBODY = 0,
#define SERVER_FAULT(id, name, text) id,
#define CLIENT_FAULT(id, name, text) id,
#define WIRE_FAULT(id, name, text)   id,
#include "tests/crash/crash_faults.def"
#undef SERVER_FAULT
#undef CLIENT_FAULT
#undef WIRE_FAULT
    CRASH_FAULT_COUNT
};

struct crash_cell {
    enum fault_point point; /* with ACTION_KILL, _HANG, _STOP */
    enum crash_victim victim;
    unsigned hit; /* the n-th time that the point is reached */
    enum crash_flow flow;
    enum crash_prelude prelude;
    enum crash_expect expect;
    enum crash_action action;
    enum crash_fault fault; /* with ACTION_FAULT and those on the wire */
    const char *impossible; /* why there is no such cell; NULL: there is */
};

/* The whole table: the cells, and apart from them the combinations that can not be. */
struct crash_table {
    struct crash_cell *cells;
    size_t count;
    struct crash_cell *impossible;
    size_t impossible_count;
};
struct crash_table *crash_table_new(void); /* returns owned */
void crash_table_free(struct crash_table *table);

/* The hand-written ones. */
extern const struct crash_cell crash_special_cells[];
extern const size_t crash_special_count;

/* Does it happen on the wire, so that a proxy must stand between all processes? */
bool crash_cell_is_wired(const struct crash_cell *cell);

/* What the protocol allows after this fault in this flow. */
enum crash_expect crash_expect(const struct crash_cell *cell);

/* How often the flow reaches the point of this victim at least, in an undisturbed run; if never, *ret_reason
 * (may be NULL) says why. */
unsigned crash_path_hits(enum crash_flow flow, enum fault_point point, enum crash_victim victim,
                         const char **ret_reason);
/* Is the point a step of a transaction? The others (start, recovery, housekeeping, an operator's
 * word) may be come by at any time. */
bool crash_path_is_step(enum fault_point point);

/* Never to be counted on, and yet it may happen in this flow. */
bool crash_path_is_race(enum crash_flow flow, enum fault_point point, enum crash_victim victim);

/* What each participant does in a flow, CRASH_PARTICIPANTS of them. */
const enum checkout_part *crash_flow_parts(enum crash_flow flow);
/* Does the checkout commit if it is run undisturbed? */
bool crash_flow_commits(enum crash_flow flow);
/* Do applications prepare some of its branches? */
bool crash_flow_is_external(enum crash_flow flow);

/* "c.vote.recv:2@assentd/commit/kill": names a cell on the command line and in reports. */
#define CRASH_NAME_SIZE 112
void crash_cell_name(const struct crash_cell *cell, char ret_name[CRASH_NAME_SIZE]);
/* The point or fault with its number and victim: a row of the report's grid. */
void crash_cell_row(const struct crash_cell *cell, char ret_row[CRASH_NAME_SIZE]);
const char *crash_cell_subject(const struct crash_cell *cell); /* name of point or fault */
const char *crash_cell_explained(const struct crash_cell *cell);

const char *crash_action_text(enum crash_action action);
const char *crash_victim_text(enum crash_victim victim);
const char *crash_flow_text(enum crash_flow flow);
const char *crash_prelude_text(enum crash_prelude prelude); /* "" for none */
const char *crash_expect_text(enum crash_expect expect);

#endif
