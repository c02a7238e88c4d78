/*
 * crash_cells.c - the table. See crash_cells.h.
 *
 * Where a point repeats within one transaction it has a cell for its first and its last time; where
 * it belongs to one participant, a cell for the first participant and one for the last.
 */
#include "tests/crash/crash_cells.h"

#define COORDINATOR VICTIM_COORDINATOR
#define ORDER       VICTIM_ORDER
#define PAYMENT     VICTIM_PAYMENT

/* One line is one cell:
 *  point, victim, hit, flow, prelude, expectation */
/* clang-format off */
const struct crash_cell crash_cells[] = {
    /* Nothing is decided: whatever was begun is presumed aborted (P-1, P-2). */
    {FAULT_C_ACCEPT,             COORDINATOR, 1, FLOW_CLIENT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_DECODED,            COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_DECODED,            COORDINATOR, 1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_PREPARE_SENT,       COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_PREPARE_SENT,       COORDINATOR, 2, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_PREPARE_SENT,       COORDINATOR, 1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_PREPARE_SENT,       COORDINATOR, 2, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_VOTE_RECV,          COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_VOTE_RECV,          COORDINATOR, 2, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_VOTE_RECV,          COORDINATOR, 1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_VOTE_RECV,          COORDINATOR, 2, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_DECIDE_ENTER,       COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_DECIDE_ROW_WRITTEN, COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_EITHER},
    {FAULT_C_DECIDE_PRE_SYNC,    COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_EITHER},
    /* A sync that hangs: nobody may be told what is not durable (P-4). */
    {FAULT_C_DECIDE_ROW_WRITTEN, COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE, ACTION_HANG},
    {FAULT_C_DECIDE_PRE_SYNC,    COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE, ACTION_HANG},
    /* The decision is durable: it is finished after any death (P-4, P-5). */
    {FAULT_C_DECIDE_POST_SYNC,   COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_C_DECIDE_POST_STATE,  COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_C_COMMIT_SENT,        COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_C_COMMIT_SENT,        COORDINATOR, 2, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_C_ACK_RECV,           COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_C_ACK_RECV,           COORDINATOR, 2, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_C_REPLY_PRE,          COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_C_REPLY_POST,         COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_C_END_PRE_LOG,        COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_C_END_POST_LOG,       COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    /* Aborts: nothing is written, nothing is left. */
    {FAULT_C_ABORT_DECIDED,      COORDINATOR, 1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_ABORT_SENT,         COORDINATOR, 1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_ABORT_DECIDED,      COORDINATOR, 1, FLOW_TIMEOUT,   PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_ABORT_SENT,         COORDINATOR, 1, FLOW_STALL,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_ABORT_SENT,         COORDINATOR, 2, FLOW_STALL,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_ACK_RECV,           COORDINATOR, 1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_REPLY_PRE,          COORDINATOR, 1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_REPLY_POST,         COORDINATOR, 1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    /* A death during recovery from a death. */
    {FAULT_C_START_PRE_LOCK,     COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE},
    {FAULT_C_START_PRE_LOCK,     COORDINATOR, 1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE},
    {FAULT_C_START_POST_LOCK,    COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE},
    {FAULT_C_START_POST_LOCK,    COORDINATOR, 1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE},
    {FAULT_C_CHECKPOINT_MID,     COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE},
    {FAULT_C_RECOVER_SCAN,       COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE},
    {FAULT_C_RECOVER_SCAN,       COORDINATOR, 2, FLOW_START,     PRELUDE_TWO_DECIDED,   EXPECT_ONCE},
    {FAULT_C_RECOVER_REDRIVE,    COORDINATOR, 1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE},
    {FAULT_C_RECOVER_REDRIVE,    COORDINATOR, 2, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE},
    {FAULT_C_INQUIRY_PRE_REPLY,  COORDINATOR, 1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE},
    {FAULT_C_INQUIRY_PRE_REPLY,  COORDINATOR, 2, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE},
    /* Housekeeping. */
    /* The first checkpoint is that of the start. */
    {FAULT_C_CHECKPOINT_MID,     COORDINATOR, 2, FLOW_BULK,      PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_C_GC_MID,             COORDINATOR, 1, FLOW_START,     PRELUDE_EXPIRED,       EXPECT_ONCE},
    {FAULT_C_DRAIN,              COORDINATOR, 1, FLOW_DRAIN,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_C_FORCE_POST_LOG,     COORDINATOR, 1, FLOW_FORGET,    PRELUDE_HEURISTIC,     EXPECT_HEURISTIC},
    /* An agent before its vote: silence is no (P-2, P-3). */
    {FAULT_A_PREPARE_RECV,       ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREPARE_RECV,       PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREPARE_RECV,       ORDER,       1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREPARE_RECV,       PAYMENT,     1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_BEGIN,              ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_BEGIN,              PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_BEGIN,              ORDER,       1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_BEGIN,              PAYMENT,     1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_PRE_SEND,      ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_PRE_SEND,      PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_PRE_SEND,      ORDER,       1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_IN_FLIGHT,     ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_IN_FLIGHT,     PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_IN_FLIGHT,     ORDER,       1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_STMT,               ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_STMT,               ORDER,       2, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_STMT,               PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_STMT,               PAYMENT,     2, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_STMT,               ORDER,       2, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_STMT,               PAYMENT,     2, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_RESULT,        ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_RESULT,        PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_RESULT,        ORDER,       1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    /* A PREPARE that was not sent is no yes. */
    {FAULT_A_PREP_PRE_SEND,      ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE, ACTION_HANG},
    {FAULT_A_PREP_PRE_SEND,      PAYMENT,     1, FLOW_PLAIN,     PRELUDE_NONE,          EXPECT_NONE, ACTION_HANG},
    /* The same where PREPARE travels with the statements. */
    {FAULT_A_PREP_PRE_SEND,      ORDER,       1, FLOW_PLAIN,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_PRE_SEND,      PAYMENT,     1, FLOW_PLAIN,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_IN_FLIGHT,     ORDER,       1, FLOW_PLAIN,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_IN_FLIGHT,     PAYMENT,     1, FLOW_PLAIN,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_STMT,               ORDER,       2, FLOW_PLAIN,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_STMT,               PAYMENT,     2, FLOW_PLAIN,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_RESULT,        ORDER,       1, FLOW_PLAIN,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_PREP_RESULT,        PAYMENT,     1, FLOW_PLAIN,     PRELUDE_NONE,          EXPECT_NONE},
    /* A vote may or may not have left before the process ended. */
    {FAULT_A_VOTE_SENT,          ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_EITHER},
    {FAULT_A_VOTE_SENT,          PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_EITHER},
    {FAULT_A_VOTE_SENT,          ORDER,       1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_VOTE_SENT,          PAYMENT,     1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    /* An agent that was told the outcome. */
    {FAULT_A_COMMIT_RECV,        ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_A_COMMIT_RECV,        PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_A_COMMIT_IN_FLIGHT,   ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_A_COMMIT_IN_FLIGHT,   PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_A_COMMIT_RESULT,      ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_A_COMMIT_RESULT,      PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_A_ACK_SENT,           ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_A_ACK_SENT,           PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE},
    {FAULT_A_RB_RECV,            ORDER,       1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_RB_RECV,            PAYMENT,     1, FLOW_STALL,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_RB_IN_FLIGHT,       ORDER,       1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_RB_IN_FLIGHT,       PAYMENT,     1, FLOW_STALL,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_RB_RESULT,          ORDER,       1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_RB_RESULT,          PAYMENT,     1, FLOW_STALL,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_ACK_SENT,           ORDER,       1, FLOW_REFUSE,    PRELUDE_NONE,          EXPECT_NONE},
    /* An agent's own recovery (P-6, P-10, P-11, P-12). */
    {FAULT_A_START_PRE_SCAN,     ORDER,       1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE},
    {FAULT_A_START_PRE_SCAN,     PAYMENT,     1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE},
    {FAULT_A_SCAN,               ORDER,       1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE},
    {FAULT_A_SCAN,               PAYMENT,     1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE},
    {FAULT_A_SCAN,               ORDER,       2, FLOW_START,     PRELUDE_TWO_UNDECIDED, EXPECT_NONE},
    {FAULT_A_REGISTER,           ORDER,       1, FLOW_START,     PRELUDE_DECIDED,       EXPECT_ONCE},
    {FAULT_A_REGISTER,           PAYMENT,     1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE},
    {FAULT_A_INQUIRY_SENT,       ORDER,       1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE},
    {FAULT_A_INQUIRY_SENT,       PAYMENT,     1, FLOW_START,     PRELUDE_UNDECIDED,     EXPECT_NONE},
    {FAULT_A_FENCE_PRE,          ORDER,       1, FLOW_START,     PRELUDE_LOST_ACK,      EXPECT_ONCE},
    {FAULT_A_FENCE_PRE,          PAYMENT,     1, FLOW_START,     PRELUDE_LOST_ACK,      EXPECT_ONCE},
    {FAULT_A_FENCE_PRE,          PAYMENT,     1, FLOW_SEVER,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_FENCE_POST,         ORDER,       1, FLOW_START,     PRELUDE_LOST_ACK,      EXPECT_ONCE},
    {FAULT_A_FENCE_POST,         PAYMENT,     1, FLOW_START,     PRELUDE_LOST_ACK,      EXPECT_ONCE},
    {FAULT_A_FENCE_POST,         PAYMENT,     1, FLOW_SEVER,     PRELUDE_NONE,          EXPECT_NONE},
    {FAULT_A_RECONNECT,          ORDER,       1, FLOW_RECONNECT, PRELUDE_NONE,          EXPECT_EITHER},
    {FAULT_A_RECONNECT,          PAYMENT,     1, FLOW_RECONNECT, PRELUDE_NONE,          EXPECT_EITHER},

    /* A process that slept through every timeout. */
    {FAULT_C_VOTE_RECV,          COORDINATOR, 2, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE, ACTION_STOP},
    {FAULT_C_DECIDE_POST_SYNC,   COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE, ACTION_STOP},
    {FAULT_C_COMMIT_SENT,        COORDINATOR, 1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE, ACTION_STOP},
    {FAULT_A_PREP_IN_FLIGHT,     ORDER,       1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE, ACTION_STOP},
    {FAULT_A_PREP_RESULT,        PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_NONE, ACTION_STOP},
    {FAULT_A_COMMIT_RECV,        PAYMENT,     1, FLOW_COMMIT,    PRELUDE_NONE,          EXPECT_ONCE, ACTION_STOP},
};
/* clang-format on */
const size_t crash_cell_count = sizeof crash_cells / sizeof crash_cells[0];

const char *crash_action_text(enum crash_action action)
{
    static const char *const texts[] = {
        [ACTION_KILL] = "kill", [ACTION_HANG] = "hang", [ACTION_STOP] = "stop"};
    return texts[action];
}

const char *crash_victim_text(enum crash_victim victim)
{
    static const char *const texts[] = {
        [VICTIM_COORDINATOR] = "assentd", [VICTIM_ORDER] = "order", [VICTIM_PAYMENT] = "payment"};
    return texts[victim];
}

const char *crash_flow_text(enum crash_flow flow)
{
    static const char *const texts[] = {
        [FLOW_COMMIT] = "commit",       [FLOW_PLAIN] = "plain", [FLOW_REFUSE] = "refuse",
        [FLOW_TIMEOUT] = "timeout",     [FLOW_STALL] = "stall", [FLOW_CLIENT] = "client",
        [FLOW_BULK] = "bulk",           [FLOW_START] = "start", [FLOW_DRAIN] = "drain",
        [FLOW_RECONNECT] = "reconnect", [FLOW_SEVER] = "sever", [FLOW_FORGET] = "forget"};
    return texts[flow];
}

const char *crash_prelude_text(enum crash_prelude prelude)
{
    static const char *const texts[] = {[PRELUDE_NONE] = "",
                                        [PRELUDE_UNDECIDED] = "undecided",
                                        [PRELUDE_DECIDED] = "decided",
                                        [PRELUDE_TWO_UNDECIDED] = "two undecided",
                                        [PRELUDE_TWO_DECIDED] = "two decided",
                                        [PRELUDE_LOST_ACK] = "lost ack",
                                        [PRELUDE_HEURISTIC] = "heuristic",
                                        [PRELUDE_EXPIRED] = "expired"};
    return texts[prelude];
}

bool crash_flow_commits(enum crash_flow flow)
{
    return flow != FLOW_REFUSE && flow != FLOW_TIMEOUT;
}
