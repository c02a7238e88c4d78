/*
 * crash_special.c - the cells that need a situation of their own. See crash_cells.h.
 *
 * Where a point repeats it has a cell for its first and its last time; where it belongs to one
 * participant, a cell for the first participant and one for the last.
 */
#include "tests/crash/crash_cells.h"

#define COORDINATOR VICTIM_COORDINATOR
#define FIRST       VICTIM_FIRST
#define MIDDLE      VICTIM_MIDDLE
#define LAST        VICTIM_LAST

#define CELL(point_, victim_, hit_, flow_, prelude_, expect_, action_)                             \
    {                                                                                              \
        .point = (point_), .victim = (victim_), .hit = (hit_), .flow = (flow_),                    \
        .prelude = (prelude_), .expect = (expect_), .action = (action_)                            \
    }
#define KILL(point, victim, hit, flow, prelude, expect)                                            \
    CELL(point, victim, hit, flow, prelude, expect, ACTION_KILL)
#define HANG(point, victim, hit, flow, prelude, expect)                                            \
    CELL(point, victim, hit, flow, prelude, expect, ACTION_HANG)
/* Both deaths: at once, and as a zombie. */
#define BOTH(point, victim, hit, flow, prelude, expect)                                            \
    CELL(point, victim, hit, flow, prelude, expect, ACTION_KILL),                                  \
        CELL(point, victim, hit, flow, prelude, expect, ACTION_STOP)
#define SERVER(fault_, victim_, flow_, prelude_, expect_)                                          \
    {                                                                                              \
        .fault = (fault_), .victim = (victim_), .flow = (flow_), .prelude = (prelude_),            \
        .expect = (expect_), .action = ACTION_FAULT                                                \
    }
#define CLIENT(fault_, expect_) SERVER(fault_, VICTIM_CLIENT, FLOW_COMMIT, PRELUDE_NONE, expect_)

/* clang-format off */
const struct crash_cell crash_special_cells[] = {
    /* A sync that hangs: nobody may be told what is not durable (P-4). */
    HANG(FAULT_C_DECIDE_ENTER,       COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE),
    HANG(FAULT_C_DECIDE_ROW_WRITTEN, COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE),
    HANG(FAULT_C_DECIDE_PRE_SYNC,    COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE),
    HANG(FAULT_C_DECIDE_PRE_SYNC,    COORDINATOR, 1, FLOW_CLIENT,    PRELUDE_NONE,          EXPECT_NONE),
    HANG(FAULT_C_DECIDE_PRE_SYNC,    COORDINATOR, 1, FLOW_SINGLE,    PRELUDE_NONE,          EXPECT_NONE),
    HANG(FAULT_C_DECIDE_PRE_SYNC,    COORDINATOR, 1, FLOW_READ_ONLY, PRELUDE_NONE,          EXPECT_NONE),
    /* A PREPARE that was not sent is no yes. */
    HANG(FAULT_A_PREP_PRE_SEND,      FIRST,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE),
    HANG(FAULT_A_PREP_PRE_SEND,      LAST,        1, FLOW_PLAIN,     PRELUDE_NONE,          EXPECT_NONE),
    HANG(FAULT_A_PREP_IN_FLIGHT,     LAST,        1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE),
    HANG(FAULT_A_PREP_RESULT,        LAST,        1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE),

    /* An agent that sleeps through the deadline beside the victim. */
    BOTH(FAULT_C_ABORT_SENT,         COORDINATOR, 1, FLOW_STALL,     PRELUDE_NONE,          EXPECT_NONE),
    KILL(FAULT_C_ABORT_SENT,         COORDINATOR, 2, FLOW_STALL,     PRELUDE_NONE,          EXPECT_NONE),
    KILL(FAULT_C_ABORT_SENT,         COORDINATOR, 3, FLOW_STALL,     PRELUDE_NONE,          EXPECT_NONE),
    BOTH(FAULT_A_RB_RECV,            LAST,        1, FLOW_STALL,     PRELUDE_NONE,          EXPECT_NONE),
    BOTH(FAULT_A_RB_IN_FLIGHT,       LAST,        1, FLOW_STALL,     PRELUDE_NONE,          EXPECT_NONE),
    BOTH(FAULT_A_RB_RESULT,          LAST,        1, FLOW_STALL,     PRELUDE_NONE,          EXPECT_NONE),

    /* A death during recovery from a death. */
    BOTH(FAULT_C_START_PRE_LOCK,     COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_START_PRE_LOCK,     COORDINATOR, 1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_C_START_POST_LOCK,    COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_START_POST_LOCK,    COORDINATOR, 1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_C_CHECKPOINT_MID,     COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_CHECKPOINT_MID,     COORDINATOR, 1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_C_RECOVER_SCAN,       COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_RECOVER_SCAN,       COORDINATOR, 1, FLOW_START,     PRELUDE_TWO_DECIDED,   EXPECT_ONCE),
    BOTH(FAULT_C_RECOVER_SCAN,       COORDINATOR, 2, FLOW_START,     PRELUDE_TWO_DECIDED,   EXPECT_ONCE),
    BOTH(FAULT_C_RECOVER_REDRIVE,    COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_RECOVER_REDRIVE,    COORDINATOR, 2, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_RECOVER_REDRIVE,    COORDINATOR, 3, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_INQUIRY_PRE_REPLY,  COORDINATOR, 1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_C_INQUIRY_PRE_REPLY,  COORDINATOR, 2, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_C_INQUIRY_PRE_REPLY,  COORDINATOR, 3, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    /* The steps of the commit once more, on the way back. */
    BOTH(FAULT_C_COMMIT_SENT,        COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_COMMIT_SENT,        COORDINATOR, 3, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_ACK_RECV,           COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_ACK_RECV,           COORDINATOR, 3, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_END_PRE_LOG,        COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_C_END_POST_LOG,       COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),

    /* Housekeeping. The first checkpoint is that of the start. */
    BOTH(FAULT_C_CHECKPOINT_MID,     COORDINATOR, 2, FLOW_BULK,      PRELUDE_NONE,          EXPECT_ONCE),
    BOTH(FAULT_C_GC_MID,             COORDINATOR, 1, FLOW_START,     PRELUDE_EXPIRED,       EXPECT_ONCE),
    /* A zombie that drains ends by itself: only its death is a cell. */
    KILL(FAULT_C_DRAIN,              COORDINATOR, 1, FLOW_DRAIN,     PRELUDE_NONE,          EXPECT_NONE),
    BOTH(FAULT_C_FORCE_POST_LOG,     COORDINATOR, 1, FLOW_FORGET,    PRELUDE_HEURISTIC,     EXPECT_HEURISTIC),

    /* Accepted requests: what is not durable was not promised, what is durable is run; a dead one stays without effect, whatever
     * becomes of a person's word about it. */
    KILL(FAULT_C_ACCEPTED_PRE_LOG,   COORDINATOR, 1, FLOW_ACCEPTED,  PRELUDE_NONE,          EXPECT_NONE),
    CELL(FAULT_C_ACCEPTED_PRE_LOG,   COORDINATOR, 1, FLOW_ACCEPTED,  PRELUDE_NONE,          EXPECT_ONCE, ACTION_STOP),
    BOTH(FAULT_C_ACCEPTED_POST_SYNC, COORDINATOR, 1, FLOW_ACCEPTED,  PRELUDE_NONE,          EXPECT_ONCE),
    BOTH(FAULT_C_REFUSED_PRE_LOG,    COORDINATOR, 1, FLOW_DEAD,      PRELUDE_NONE,          EXPECT_NONE),
    BOTH(FAULT_C_REFUSED_POST_SYNC,  COORDINATOR, 1, FLOW_DEAD,      PRELUDE_NONE,          EXPECT_NONE),
    BOTH(FAULT_C_REQUEUED_PRE_LOG,   COORDINATOR, 1, FLOW_REQUEUE,   PRELUDE_NONE,          EXPECT_NONE),
    BOTH(FAULT_C_REQUEUED_POST_SYNC, COORDINATOR, 1, FLOW_REQUEUE,   PRELUDE_NONE,          EXPECT_NONE),
    BOTH(FAULT_C_DROPPED_PRE_LOG,    COORDINATOR, 1, FLOW_DROP,      PRELUDE_NONE,          EXPECT_NONE),
    BOTH(FAULT_C_DROPPED_POST_SYNC,  COORDINATOR, 1, FLOW_DROP,      PRELUDE_NONE,          EXPECT_NONE),

    /* An agent's own recovery (P-6, P-10, P-11, P-12). */
    BOTH(FAULT_A_START_PRE_SCAN,     FIRST,       1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_A_START_PRE_SCAN,     MIDDLE,      1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_A_START_PRE_SCAN,     LAST,        1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_A_SCAN,               FIRST,       1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_A_SCAN,               MIDDLE,      1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_A_SCAN,               LAST,        1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_A_SCAN,               FIRST,       2, FLOW_START,     PRELUDE_TWO_UNDECIDED, EXPECT_NONE),
    BOTH(FAULT_A_REGISTER,           FIRST,       1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_A_REGISTER,           MIDDLE,      1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_A_REGISTER,           LAST,        1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_A_INQUIRY_SENT,       FIRST,       1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_A_INQUIRY_SENT,       MIDDLE,      1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_A_INQUIRY_SENT,       LAST,        1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_A_FENCE_PRE,          FIRST,       1, FLOW_START,     PRELUDE_LOST_ACK,      EXPECT_ONCE),
    BOTH(FAULT_A_FENCE_PRE,          MIDDLE,      1, FLOW_START,     PRELUDE_LOST_ACK,      EXPECT_ONCE),
    BOTH(FAULT_A_FENCE_PRE,          LAST,        1, FLOW_START,     PRELUDE_LOST_ACK,      EXPECT_ONCE),
    BOTH(FAULT_A_FENCE_PRE,          LAST,        1, FLOW_SEVER,     PRELUDE_NONE,          EXPECT_NONE),
    BOTH(FAULT_A_FENCE_POST,         FIRST,       1, FLOW_START,     PRELUDE_LOST_ACK,      EXPECT_ONCE),
    BOTH(FAULT_A_FENCE_POST,         MIDDLE,      1, FLOW_START,     PRELUDE_LOST_ACK,      EXPECT_ONCE),
    BOTH(FAULT_A_FENCE_POST,         LAST,        1, FLOW_START,     PRELUDE_LOST_ACK,      EXPECT_ONCE),
    BOTH(FAULT_A_FENCE_POST,         LAST,        1, FLOW_SEVER,     PRELUDE_NONE,          EXPECT_NONE),
    BOTH(FAULT_A_COMMIT_RECV,        LAST,        1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_A_COMMIT_IN_FLIGHT,   MIDDLE,      1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_A_COMMIT_RESULT,      FIRST,       1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE),
    BOTH(FAULT_A_RB_IN_FLIGHT,       FIRST,       1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_A_RB_RESULT,          LAST,        1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE),
    BOTH(FAULT_A_RECONNECT,          FIRST,       1, FLOW_RECONNECT, PRELUDE_NONE,          EXPECT_EITHER),
    BOTH(FAULT_A_RECONNECT,          LAST,        1, FLOW_RECONNECT, PRELUDE_NONE,          EXPECT_EITHER),

    /* The databases. A backend's SIGKILL takes its whole server through recovery. */
    SERVER(SERVER_KILL_STATEMENT,   MIDDLE, FLOW_SEVER,  PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_KILL_STATEMENT,   LAST,   FLOW_SEVER,  PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_END_STATEMENT,    MIDDLE, FLOW_SEVER,  PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_END_STATEMENT,    LAST,   FLOW_SEVER,  PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_KILL_PREPARE,     FIRST,  FLOW_COMMIT, PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_KILL_PREPARE,     LAST,   FLOW_COMMIT, PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_KILL_PREPARE,     LAST,   FLOW_PLAIN,  PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_END_PREPARE,      FIRST,  FLOW_COMMIT, PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_END_PREPARE,      LAST,   FLOW_COMMIT, PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_END_PREPARE,      FIRST,  FLOW_PLAIN,  PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_CANCEL_PREPARE,   FIRST,  FLOW_COMMIT, PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_CANCEL_PREPARE,   LAST,   FLOW_COMMIT, PRELUDE_NONE,      EXPECT_NONE),
    SERVER(SERVER_KILL_COMMIT,      FIRST,  FLOW_COMMIT, PRELUDE_NONE,      EXPECT_ONCE),
    SERVER(SERVER_KILL_COMMIT,      LAST,   FLOW_COMMIT, PRELUDE_NONE,      EXPECT_ONCE),
    SERVER(SERVER_END_COMMIT,       FIRST,  FLOW_COMMIT, PRELUDE_NONE,      EXPECT_ONCE),
    SERVER(SERVER_END_COMMIT,       LAST,   FLOW_COMMIT, PRELUDE_NONE,      EXPECT_ONCE),
    SERVER(SERVER_CANCEL_COMMIT,    FIRST,  FLOW_COMMIT, PRELUDE_NONE,      EXPECT_ONCE),
    SERVER(SERVER_CANCEL_COMMIT,    LAST,   FLOW_COMMIT, PRELUDE_NONE,      EXPECT_ONCE),
    /* While the last branch still works the vote is out: it stands, or is lost with the link's
     * patience. */
    SERVER(SERVER_CRASH,            FIRST,  FLOW_WAIT,   PRELUDE_NONE,      EXPECT_EITHER),
    SERVER(SERVER_CRASH_CHECKPOINT, FIRST,  FLOW_WAIT,   PRELUDE_NONE,      EXPECT_EITHER),
    SERVER(SERVER_FAST_STOP,        FIRST,  FLOW_WAIT,   PRELUDE_NONE,      EXPECT_EITHER),
    SERVER(SERVER_CRASH_RECOVERY,   FIRST,  FLOW_WAIT,   PRELUDE_NONE,      EXPECT_EITHER),
    SERVER(SERVER_CRASH,            MIDDLE, FLOW_START,  PRELUDE_UNDECIDED, EXPECT_NONE),
    SERVER(SERVER_CRASH_CHECKPOINT, MIDDLE, FLOW_START,  PRELUDE_UNDECIDED, EXPECT_NONE),
    SERVER(SERVER_FAST_STOP,        MIDDLE, FLOW_START,  PRELUDE_UNDECIDED, EXPECT_NONE),
    SERVER(SERVER_CRASH_RECOVERY,   MIDDLE, FLOW_START,  PRELUDE_UNDECIDED, EXPECT_NONE),
    SERVER(SERVER_FEW_SLOTS,        MIDDLE, FLOW_START,  PRELUDE_UNDECIDED, EXPECT_NONE),
    SERVER(SERVER_CRASH,            LAST,   FLOW_START,  PRELUDE_DECIDED,   EXPECT_ONCE),
    SERVER(SERVER_CRASH_CHECKPOINT, LAST,   FLOW_START,  PRELUDE_DECIDED,   EXPECT_ONCE),
    SERVER(SERVER_FAST_STOP,        LAST,   FLOW_START,  PRELUDE_DECIDED,   EXPECT_ONCE),
    SERVER(SERVER_CRASH_RECOVERY,   LAST,   FLOW_START,  PRELUDE_DECIDED,   EXPECT_ONCE),
    SERVER(SERVER_FEW_SLOTS,        LAST,   FLOW_START,  PRELUDE_DECIDED,   EXPECT_ONCE),

    /* The clients. */
    CLIENT(CLIENT_BEFORE_SEND,      EXPECT_NONE),
    CLIENT(CLIENT_HALF_FRAME,       EXPECT_NONE),
    CLIENT(CLIENT_AFTER_SEND,       EXPECT_EITHER),
    CLIENT(CLIENT_REPLY_UNREAD,     EXPECT_ONCE),
    CLIENT(CLIENT_AGAIN_SAME,       EXPECT_ONCE),
    SERVER(CLIENT_AGAIN_OTHER,      VICTIM_CLIENT, FLOW_WAIT, PRELUDE_NONE, EXPECT_ONCE),
    CLIENT(CLIENT_MANY_SAME,        EXPECT_ONCE),
    CLIENT(CLIENT_AFTER_LOST_REPLY, EXPECT_ONCE),
};
/* clang-format on */
const size_t crash_special_count = sizeof crash_special_cells / sizeof crash_special_cells[0];
