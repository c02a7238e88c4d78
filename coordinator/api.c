/*
 * api.c - life of the calls between edges and owner thread, and the words for states that everybody
 * sees.
 *
 * Used by every edge and by the core: no I/O, nothing but common's basics.
 */
#include "coordinator/api.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"

struct api_call *api_call_new(enum api_operation operation)
{
    struct api_call *call = alloc_zeroed(sizeof *call);
    call->operation = operation;
    return call;
}

void submission_done(struct submission *submission)
{
    for (size_t i = 0; i < submission->branch_count; i++) {
        blob_free(submission->branches[i].work);
    }
    free(submission->branches);
    *submission = (struct submission){0};
}

void txn_view_done(struct txn_view *view)
{
    for (size_t i = 0; i < view->branch_count; i++) {
        blob_free(view->branches[i].results);
        blob_free(view->branches[i].work);
    }
    free(view->branches);
    free(view->events);
    failure_done(&view->failure);
    *view = (struct txn_view){0};
}

bool txn_view_is_retryable(const struct txn_view *view)
{
    return view->state != TXN_DEAD && view->failure.reason != REASON_NONE &&
           reason_retryable(view->failure.reason);
}

void api_call_free(struct api_call *call)
{
    if (call == NULL) {
        return;
    }
    submission_done(&call->submission);
    blob_free(call->statement.work);
    for (size_t i = 0; i < call->answer.view_count; i++) {
        txn_view_done(&call->answer.views[i]);
    }
    free(call->answer.views);
    blob_free(call->answer.results);
    free(call->answer.participants);
    free(call->answer.queues);
    free(call->answer.metrics);
    free(call);
}

/* TXN_DECIDING and TXN_OPEN are inner states: what somebody outside can do tells nobody there from the one that is shown. */
static const char *const txn_states[] = {
    [TXN_QUEUED] = "queued",       [TXN_ACTIVE] = "active",         [TXN_PREPARING] = "preparing",
    [TXN_DECIDING] = "preparing",  [TXN_COMMITTING] = "committing", [TXN_COMMITTED] = "committed",
    [TXN_ABORTING] = "aborting",   [TXN_ABORTED] = "aborted",       [TXN_DEAD] = "dead",
    [TXN_HEURISTIC] = "heuristic", [TXN_OPEN] = "active",
};

const char *txn_state_text(enum txn_state state)
{
    CHECK(state >= TXN_QUEUED && state <= TXN_OPEN);
    return txn_states[state];
}

static const enum txn_outcome txn_outcomes[] = {
    [TXN_QUEUED] = TXN_OUTCOME_NONE,        [TXN_ACTIVE] = TXN_OUTCOME_NONE,
    [TXN_PREPARING] = TXN_OUTCOME_NONE,     [TXN_DECIDING] = TXN_OUTCOME_NONE,
    [TXN_COMMITTING] = TXN_OUTCOME_DECIDED, [TXN_COMMITTED] = TXN_OUTCOME_FINAL,
    [TXN_ABORTING] = TXN_OUTCOME_FINAL,     [TXN_ABORTED] = TXN_OUTCOME_FINAL,
    [TXN_DEAD] = TXN_OUTCOME_FINAL,         [TXN_HEURISTIC] = TXN_OUTCOME_FINAL,
    [TXN_OPEN] = TXN_OUTCOME_NONE,
};

enum txn_outcome txn_state_outcome(enum txn_state state)
{
    CHECK(state >= TXN_QUEUED && state <= TXN_OPEN);
    return txn_outcomes[state];
}

enum txn_state txn_state_shown(enum txn_state state)
{
    if (state == TXN_OPEN) {
        return TXN_ACTIVE;
    }
    return state == TXN_DECIDING ? TXN_PREPARING : state;
}

bool api_is_awaited(enum txn_state state, enum ack_mode ack)
{
    switch (txn_state_outcome(state)) {
    case TXN_OUTCOME_NONE:
        return false;
    case TXN_OUTCOME_DECIDED:
        return ack == ACK_MODE_DECIDED;
    case TXN_OUTCOME_FINAL:
        return true;
    }
    CHECK(false);
    return true;
}

enum txn_state api_run_state(enum txn_state request_state)
{
    return request_state == TXN_QUEUED || request_state == TXN_DEAD ? TXN_ABORTED : request_state;
}

bool txn_state_parse(const char *text, enum txn_state *ret_state)
{
    for (int state = TXN_QUEUED; state <= TXN_HEURISTIC; state++) {
        if (state != TXN_DECIDING && strcmp(text, txn_states[state]) == 0) {
            *ret_state = (enum txn_state)state;
            return true;
        }
    }
    return false;
}

static const char *const branch_states[] = {
    [BRANCH_IDLE] = "idle",
    [BRANCH_WORKING] = "working",
    [BRANCH_PREPARED] = "prepared",
    [BRANCH_READ_ONLY] = "read-only",
    [BRANCH_REFUSED] = "refused",
    [BRANCH_UNKNOWN] = "unknown",
    [BRANCH_COMMITTING] = "committing",
    [BRANCH_COMMITTED] = "committed",
    [BRANCH_ROLLING_BACK] = "rolling-back",
    [BRANCH_ROLLED_BACK] = "rolled-back",
    [BRANCH_HEURISTIC_COMMIT] = "heuristic-commit",
    [BRANCH_HEURISTIC_ROLLBACK] = "heuristic-rollback",
    [BRANCH_HAZARD] = "hazard",
    [BRANCH_FORGOTTEN] = "forgotten",
};

const char *branch_state_text(enum branch_state state)
{
    CHECK(state >= BRANCH_IDLE && state <= BRANCH_FORGOTTEN);
    return branch_states[state];
}
