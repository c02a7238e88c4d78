/*
 * crash_expect.c - what the protocol allows after a fault at a point. See crash_cells.h.
 *
 * The rules, in the order of a transaction's life:
 *  - until the COMMIT record is handed on, silence and doubt count as no (P-2): nothing;
 *  - from then until the sync has returned a death may or may not keep the record: either;
 *  - from then on it is finished, whoever dies (P-4, P-5): once;
 *  - what sleeps and wakes goes on where it was: before the decision it finds the deadline passed
 *    (P-15), after it there is nothing that could be undone (P-2);
 *  - a message that was handed to the link may or may not have left: either.
 */
#include "tests/crash/crash_cells.h"

static enum crash_expect at_coordinator(const struct crash_cell *cell)
{
    const bool stops = cell->action == ACTION_STOP;
    switch (cell->point) {
    case FAULT_C_ACCEPT:
    case FAULT_C_DECODED:
        /* What sleeps here has not begun: its deadline starts when it wakes, and whether the links
         * are found dead before it looks at them is a race that harms nobody. */
        if (stops) {
            return EXPECT_EITHER;
        }
        /* The second of two equal requests: the first is somewhere on its way. */
        return cell->hit > 1 && cell->flow == FLOW_DUPLICATE ? EXPECT_EITHER : EXPECT_NONE;
    case FAULT_C_PREPARE_SENT:
    case FAULT_C_VOTE_RECV:
        /* Of two equal requests, the second may wait unread while the first sleeps: it runs when
         * the first has missed its deadline. */
        return stops && cell->flow == FLOW_DUPLICATE ? EXPECT_EITHER : EXPECT_NONE;
    case FAULT_C_DECIDE_ENTER:
        return stops ? EXPECT_ONCE : EXPECT_NONE;
    case FAULT_C_DECIDE_ROW_WRITTEN:
    case FAULT_C_DECIDE_PRE_SYNC:
        return stops ? EXPECT_ONCE : cell->action == ACTION_HANG ? EXPECT_NONE : EXPECT_EITHER;
    default:
        return EXPECT_ONCE;
    }
}

static enum crash_expect at_agent(const struct crash_cell *cell)
{
    switch (cell->point) {
    case FAULT_A_PREPARE_RECV:
    case FAULT_A_BEGIN:
    case FAULT_A_STMT:
    case FAULT_A_PREP_PRE_SEND:
    case FAULT_A_PREP_IN_FLIGHT:
    case FAULT_A_PREP_RESULT:
        return EXPECT_NONE;
    case FAULT_A_VOTE_SENT:
        return EXPECT_EITHER;
    default:
        return EXPECT_ONCE;
    }
}

/* A message that has arrived before the connection was reset behind it may have been read, and
 * counted, before the reset was noticed: either. */
static enum crash_expect on_wire(const struct crash_cell *cell)
{
    switch (cell->fault) {
    case WIRE_WORK:
    case WIRE_VOTE:
    case WIRE_SQL_PREPARED:
        return cell->action == ACTION_BEHIND ? EXPECT_EITHER : EXPECT_NONE;
    case WIRE_COMMIT:
    case WIRE_ACK:
    case WIRE_SQL_COMMIT:
    case WIRE_SQL_COMMITTED:
        return EXPECT_ONCE;
    default: /* PREPARE that is not answered is no yes; the others are about aborts */
        return EXPECT_NONE;
    }
}

enum crash_expect crash_expect(const struct crash_cell *cell)
{
    if (!crash_flow_commits(cell->flow)) {
        return EXPECT_NONE;
    }
    if (crash_cell_is_wired(cell)) {
        return on_wire(cell);
    }
    return cell->victim == VICTIM_COORDINATOR ? at_coordinator(cell) : at_agent(cell);
}
