/*
 * crash_path.c - which fault points lie on which flow's way, and how often. See crash_cells.h.
 *
 * This is the protocol told as a table of messages: how many branches work, which of them are
 * prepared, who is told what in the end. The survey cells run each flow once with every point traced
 * and compare: a point that is declared impossible here and is come by there is red, and so is the
 * reverse.
 */
#include "tests/crash/crash_cells.h"

#include "common/check.h"

static const char not_in_flows[] = "not a step of a transaction: it has cells of its own (start, "
                                   "drain, housekeeping, accepted requests, ...)";
static const char nobody[] = "this participant has no branch";
static const char one_request[] = "the request comes over HTTP, not over the client's port";
static const char aborts[] = "an abort writes nothing and commits nothing (P-1)";
static const char commits[] = "nothing is rolled back in a transaction that commits";
static const char reads[] = "a read-only branch is not prepared and hears no outcome (P-19)";
static const char refuses[] = "the branch that refuses prepares nothing and holds nothing";
static const char slow[] = "the slow branch is cancelled in its first statement";
static const char race[] =
    "the agent's deadline and the coordinator's are one moment: its vote or the "
    "ROLLBACK comes first (stall and refuse have cells for both)";
static const char other_daemon[] = "a point of the other kind of daemon";

/* FLOW_ and parts; what is not here is like FLOW_COMMIT. */
static const struct {
    enum checkout_part parts[CRASH_PARTICIPANTS];
    unsigned decoded; /* requests, times edges that they come through; 0: one */
    bool is_slow;     /* the last participant */
} shapes[FLOW_COUNT] = {
    [FLOW_CLIENT] = {.decoded = 2}, /* the client edge, then the driver */
    [FLOW_DUPLICATE] = {.decoded = 2},
    [FLOW_SINGLE] = {.parts = {CHECKOUT_WRITES, CHECKOUT_ABSENT, CHECKOUT_ABSENT}},
    [FLOW_READ_ONLY] = {.parts = {CHECKOUT_WRITES, CHECKOUT_READS, CHECKOUT_WRITES}},
    [FLOW_SERIAL] = {.parts = {CHECKOUT_WRITES, CHECKOUT_READS_SERIAL, CHECKOUT_WRITES}},
    [FLOW_REFUSE] = {.parts = {CHECKOUT_WRITES, CHECKOUT_WRITES, CHECKOUT_REFUSES}},
    [FLOW_TIMEOUT] = {.is_slow = true},
    [FLOW_DEAD] = {.parts = {CHECKOUT_WRITES, CHECKOUT_WRITES, CHECKOUT_REFUSES}},
    [FLOW_REQUEUE] = {.parts = {CHECKOUT_WRITES, CHECKOUT_WRITES, CHECKOUT_REFUSES}},
    [FLOW_DROP] = {.parts = {CHECKOUT_WRITES, CHECKOUT_WRITES, CHECKOUT_REFUSES}},
};

const enum checkout_part *crash_flow_parts(enum crash_flow flow)
{
    return shapes[flow].parts;
}

bool crash_flow_commits(enum crash_flow flow)
{
    return flow != FLOW_REFUSE && flow != FLOW_TIMEOUT && flow != FLOW_DEAD &&
           flow != FLOW_REQUEUE && flow != FLOW_DROP && flow != FLOW_UNPREPARED;
}

bool crash_path_is_step(enum fault_point point)
{
    switch (point) {
    case FAULT_C_GC_MID:
    case FAULT_C_CHECKPOINT_MID:
    case FAULT_C_INQUIRY_PRE_REPLY:
    case FAULT_C_START_PRE_LOCK:
    case FAULT_C_START_POST_LOCK:
    case FAULT_C_RECOVER_SCAN:
    case FAULT_C_RECOVER_REDRIVE:
    case FAULT_C_DRAIN:
    case FAULT_C_FORCE_POST_LOG:
    case FAULT_C_ACCEPTED_PRE_LOG:
    case FAULT_C_ACCEPTED_POST_SYNC:
    case FAULT_C_REFUSED_PRE_LOG:
    case FAULT_C_REFUSED_POST_SYNC:
    case FAULT_C_REQUEUED_PRE_LOG:
    case FAULT_C_REQUEUED_POST_SYNC:
    case FAULT_C_DROPPED_PRE_LOG:
    case FAULT_C_DROPPED_POST_SYNC:
    case FAULT_A_START_PRE_SCAN:
    case FAULT_A_SCAN:
    case FAULT_A_REGISTER:
    case FAULT_A_RECONNECT:
    case FAULT_A_FENCE_PRE:
    case FAULT_A_FENCE_POST:
    case FAULT_A_INQUIRY_SENT:
        return false;
    default:
        return true;
    }
}

static bool is_prepared(enum checkout_part part)
{
    return part == CHECKOUT_WRITES || part == CHECKOUT_READS_SERIAL;
}

struct tally {
    unsigned branches;
    unsigned prepared;
    unsigned decoded;
};

static struct tally tally_of(enum crash_flow flow)
{
    struct tally tally = {.decoded = shapes[flow].decoded == 0 ? 1 : shapes[flow].decoded};
    for (size_t i = 0; i < CRASH_PARTICIPANTS; i++) {
        tally.branches += shapes[flow].parts[i] != CHECKOUT_ABSENT ? 1 : 0;
        tally.prepared += is_prepared(shapes[flow].parts[i]) ? 1 : 0;
    }
    tally.prepared -= shapes[flow].is_slow ? 1 : 0;
    return tally;
}

static unsigned never(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return 0;
}

static unsigned coordinator_hits(enum crash_flow flow, enum fault_point point,
                                 const char **ret_reason)
{
    const struct tally tally = tally_of(flow);
    const bool commits_here = crash_flow_commits(flow);
    const bool is_slow = shapes[flow].is_slow;
    switch (point) {
    case FAULT_C_ACCEPT:
        return flow == FLOW_CLIENT ? 1 : never(ret_reason, one_request);
    case FAULT_C_DECODED:
    case FAULT_C_REPLY_PRE:
    case FAULT_C_REPLY_POST:
        return tally.decoded;
    case FAULT_C_PREPARE_SENT:
        return tally.branches;
    case FAULT_C_VOTE_RECV:
        return tally.branches - (is_slow ? 1 : 0);
    case FAULT_C_DECIDE_ENTER:
    case FAULT_C_DECIDE_ROW_WRITTEN:
    case FAULT_C_DECIDE_PRE_SYNC:
    case FAULT_C_DECIDE_POST_SYNC:
    case FAULT_C_DECIDE_POST_STATE:
    case FAULT_C_END_PRE_LOG:
    case FAULT_C_END_POST_LOG:
        return commits_here ? 1 : never(ret_reason, aborts);
    case FAULT_C_COMMIT_SENT:
        return commits_here ? tally.prepared : never(ret_reason, aborts);
    case FAULT_C_ACK_RECV:
        return tally.prepared;
    case FAULT_C_ABORT_DECIDED:
        return commits_here ? never(ret_reason, commits) : 1;
    case FAULT_C_ABORT_SENT:
        return commits_here ? never(ret_reason, commits) : tally.prepared;
    default:
        return never(ret_reason, other_daemon);
    }
}

static unsigned agent_hits(enum crash_flow flow, enum fault_point point, size_t participant,
                           const char **ret_reason)
{
    const enum checkout_part part = shapes[flow].parts[participant];
    const bool is_slow = shapes[flow].is_slow && participant == CRASH_PARTICIPANTS - 1;
    if (part == CHECKOUT_ABSENT) {
        return never(ret_reason, nobody);
    }
    switch (point) {
    case FAULT_A_PREPARE_RECV:
    case FAULT_A_BEGIN:
        return 1;
    case FAULT_A_STMT:
        return is_slow ? never(ret_reason, slow) : 2;
    case FAULT_A_PREP_PRE_SEND:
    case FAULT_A_PREP_IN_FLIGHT:
    case FAULT_A_PREP_RESULT: /* of a read-only branch: its ROLLBACK's */
        return is_slow                    ? never(ret_reason, slow)
               : part == CHECKOUT_REFUSES ? never(ret_reason, refuses)
                                          : 1;
    case FAULT_A_VOTE_SENT:
        return is_slow ? never(ret_reason, race) : 1;
    case FAULT_A_COMMIT_RECV:
    case FAULT_A_COMMIT_IN_FLIGHT:
    case FAULT_A_COMMIT_RESULT:
        return !crash_flow_commits(flow) ? never(ret_reason, aborts)
               : is_prepared(part)       ? 1
                                         : never(ret_reason, reads);
    case FAULT_A_ACK_SENT:
        return is_slow                    ? never(ret_reason, race)
               : is_prepared(part)        ? 1
               : part == CHECKOUT_REFUSES ? never(ret_reason, refuses)
                                          : never(ret_reason, reads);
    case FAULT_A_RB_RECV:
    case FAULT_A_RB_IN_FLIGHT:
    case FAULT_A_RB_RESULT:
        return crash_flow_commits(flow)   ? never(ret_reason, commits)
               : part == CHECKOUT_REFUSES ? never(ret_reason, refuses)
               : is_slow                  ? never(ret_reason, race)
                                          : 1;
    default:
        return never(ret_reason, other_daemon);
    }
}

bool crash_path_is_race(enum crash_flow flow, enum fault_point point, enum crash_victim victim)
{
    const char *reason = NULL;
    return shapes[flow].is_slow && crash_path_hits(flow, point, victim, &reason) == 0 &&
           reason == race;
}

unsigned crash_path_hits(enum crash_flow flow, enum fault_point point, enum crash_victim victim,
                         const char **ret_reason)
{
    const char *reason = NULL;
    const bool coordinators = point < FAULT_A_PREPARE_RECV;
    unsigned hits = 0;
    if (coordinators != (victim == VICTIM_COORDINATOR)) {
        reason = other_daemon;
    } else if (!crash_path_is_step(point)) {
        reason = not_in_flows;
    } else if (coordinators) {
        hits = coordinator_hits(flow, point, &reason);
    } else {
        CHECK(victim >= VICTIM_FIRST && victim <= VICTIM_LAST);
        hits = agent_hits(flow, point, (size_t)victim - VICTIM_FIRST, &reason);
    }
    if (hits == 0 && ret_reason != NULL) {
        *ret_reason = reason;
    }
    return hits;
}
