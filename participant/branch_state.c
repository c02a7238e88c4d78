/*
 * branch_state.c - the one table of a branch's states, and its birth, look-up and end.
 *
 * Everybody else in the core moves a branch only through agent_branch_move. The drawing is in
 * branch_internal.h.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "participant/branch_internal.h"

#define TO(state) (1u << (state))

static const unsigned allowed[BRANCH_STATE_COUNT] = {
    [BRANCH_NEW] = TO(BRANCH_EXECUTING) | TO(BRANCH_DOUBTFUL) | TO(BRANCH_FINISHING) |
                   TO(BRANCH_ANSWERING) | TO(BRANCH_VERIFYING),
    [BRANCH_EXECUTING] =
        TO(BRANCH_PREPARED) | TO(BRANCH_CANCELLING) | TO(BRANCH_LOOKING) | TO(BRANCH_DONE),
    [BRANCH_CANCELLING] = TO(BRANCH_FINISHING) | TO(BRANCH_LOOKING) | TO(BRANCH_DONE),
    [BRANCH_LOOKING] =
        TO(BRANCH_DOUBTFUL) | TO(BRANCH_UNSURE) | TO(BRANCH_FINISHING) | TO(BRANCH_PROVING),
    [BRANCH_UNSURE] = TO(BRANCH_LOOKING),
    [BRANCH_PREPARED] = TO(BRANCH_FINISHING) | TO(BRANCH_DOUBTFUL) | TO(BRANCH_UNOWNED),
    [BRANCH_DOUBTFUL] = TO(BRANCH_FINISHING) | TO(BRANCH_UNOWNED) | TO(BRANCH_VERIFYING),
    [BRANCH_UNOWNED] = TO(BRANCH_FINISHING) | TO(BRANCH_DOUBTFUL) | TO(BRANCH_VERIFYING),
    [BRANCH_VERIFYING] = TO(BRANCH_PREPARED) | TO(BRANCH_DOUBTFUL) | TO(BRANCH_FINISHING),
    [BRANCH_FINISHING] = TO(BRANCH_DONE) | TO(BRANCH_PROVING) | TO(BRANCH_PAUSED),
    [BRANCH_PROVING] = TO(BRANCH_DONE) | TO(BRANCH_TELLING) | TO(BRANCH_PAUSED) |
                       TO(BRANCH_UNSURE) | TO(BRANCH_DOUBTFUL),
    [BRANCH_TELLING] = TO(BRANCH_DONE) | TO(BRANCH_FINISHING) | TO(BRANCH_DOUBTFUL),
    [BRANCH_PAUSED] = TO(BRANCH_FINISHING),
    [BRANCH_DONE] = TO(BRANCH_FINISHING) | TO(BRANCH_DOUBTFUL),
    [BRANCH_ANSWERING] = TO(BRANCH_OPEN) | TO(BRANCH_CLOSING) | TO(BRANCH_DONE),
    [BRANCH_OPEN] = TO(BRANCH_ANSWERING) | TO(BRANCH_CLOSING) | TO(BRANCH_EXECUTING),
    [BRANCH_CLOSING] = TO(BRANCH_DONE),
};

const char *agent_branch_state_text(enum branch_state state)
{
    static const char *const names[BRANCH_STATE_COUNT] = {
        [BRANCH_NEW] = "new",
        [BRANCH_EXECUTING] = "executing",
        [BRANCH_CANCELLING] = "cancelling",
        [BRANCH_LOOKING] = "looking",
        [BRANCH_UNSURE] = "unsure",
        [BRANCH_PREPARED] = "prepared",
        [BRANCH_DOUBTFUL] = "doubtful",
        [BRANCH_UNOWNED] = "unowned",
        [BRANCH_FINISHING] = "finishing",
        [BRANCH_PROVING] = "proving",
        [BRANCH_PAUSED] = "paused",
        [BRANCH_TELLING] = "telling",
        [BRANCH_DONE] = "done",
        [BRANCH_ANSWERING] = "answering",
        [BRANCH_OPEN] = "open",
        [BRANCH_CLOSING] = "closing",
        [BRANCH_VERIFYING] = "verifying",
    };
    return names[state];
}

static bool txn_match(const void *value, const void *wanted)
{
    return gtrid_equal(&((const struct agent_txn *)value)->gtrid, wanted);
}

struct agent_txn *agent_txn_find(struct agent *agent, const struct gtrid *gtrid)
{
    return map_find(&agent->txns, gtrid_hash(gtrid), txn_match, gtrid);
}

struct agent_txn *agent_txn_need(struct agent *agent, const struct gtrid *gtrid)
{
    struct agent_txn *txn = agent_txn_find(agent, gtrid);
    if (txn == NULL) {
        txn = alloc_zeroed(sizeof(*txn));
        txn->gtrid = *gtrid;
        TAILQ_INIT(&txn->branches);
        map_insert(&agent->txns, gtrid_hash(gtrid), txn);
    }
    return txn;
}

void agent_txn_release(struct agent *agent, struct agent_txn *txn)
{
    if (TAILQ_EMPTY(&txn->branches) && txn->erase == NULL) {
        CHECK(map_remove(&agent->txns, gtrid_hash(&txn->gtrid), txn));
        free(txn);
    }
}

struct agent_branch *agent_branch_find(struct agent *agent, const struct gid *gid)
{
    struct agent_txn *txn = agent_txn_find(agent, &gid->gtrid);
    if (txn == NULL) {
        return NULL;
    }
    struct agent_branch *branch = NULL;
    TAILQ_FOREACH(branch, &txn->branches, siblings)
    {
        if (gid_equal(&branch->gid, gid)) {
            return branch;
        }
    }
    return NULL;
}

struct agent_branch *agent_branch_new(struct agent *agent, const struct gid *gid)
{
    struct agent_branch *branch = alloc_zeroed(sizeof(*branch));
    agent_timer_init(&branch->timer, OWNER_BRANCH);
    branch->pending.owner = OWNER_BRANCH;
    branch->gid = *gid;
    branch->found_ms = agent->now_ms;
    branch->since_step = agent->step;
    branch->txn = agent_txn_need(agent, &gid->gtrid);
    TAILQ_INSERT_TAIL(&branch->txn->branches, branch, siblings);
    TAILQ_INSERT_TAIL(&agent->live, branch, list);
    agent->live_count++;
    agent->state_count[BRANCH_NEW]++;
    return branch;
}

/* Has it a connection of its own in this state? */
static bool branch_holds(const struct agent_branch *branch, enum branch_state state)
{
    return branch->ordinal != 0 &&
           (TO(state) & (TO(BRANCH_ANSWERING) | TO(BRANCH_OPEN) | TO(BRANCH_CLOSING) |
                         TO(BRANCH_EXECUTING) | TO(BRANCH_CANCELLING))) != 0;
}

void agent_branch_free(struct agent *agent, struct agent_branch *branch)
{
    CHECK(branch->pending.id == 0); /* a result would come back to freed memory */
    agent->interactive_count -= branch_holds(branch, branch->state);
    agent->refused_count -= branch->is_refused;
    agent_timer_set(agent, &branch->timer, UINT64_MAX);
    agent_sweep_resolved(agent, branch);
    agent_compare_resolved(agent, branch);
    if (branch->state == BRANCH_DONE) {
        TAILQ_REMOVE(&agent->done, branch, list);
        agent->done_count--;
    } else {
        TAILQ_REMOVE(&agent->live, branch, list);
        agent->live_count--;
    }
    agent->state_count[branch->state]--;
    struct agent_txn *txn = branch->txn;
    TAILQ_REMOVE(&txn->branches, branch, siblings);
    blob_free(branch->results);
    failure_done(&branch->failure);
    free(branch);
    agent_txn_release(agent, txn);
}

void agent_branch_move(struct agent *agent, struct agent_branch *branch, enum branch_state to)
{
    CHECK((allowed[branch->state] & TO(to)) != 0);
    bool was_done = branch->state == BRANCH_DONE;
    agent->interactive_count += branch_holds(branch, to);
    agent->interactive_count -= branch_holds(branch, branch->state);
    agent->state_count[branch->state]--;
    agent->state_count[to]++;
    branch->state = to;
    branch->since_step = agent->step;
    if (was_done) {
        TAILQ_REMOVE(&agent->done, branch, list);
        agent->done_count--;
        TAILQ_INSERT_TAIL(&agent->live, branch, list);
        agent->live_count++;
    } else if (to == BRANCH_DONE) {
        TAILQ_REMOVE(&agent->live, branch, list);
        agent->live_count--;
        TAILQ_INSERT_TAIL(&agent->done, branch, list);
        agent->done_count++;
        agent_timer_set(agent, &branch->timer, UINT64_MAX);
        agent_sweep_resolved(agent, branch);
        agent_compare_resolved(agent, branch);
        /* The results went with the vote; what is kept must stay small. */
        blob_free(branch->results);
        branch->results = NULL;
    }
}

void agent_branch_drop_answers(struct agent *agent)
{
    struct agent_branch *branch = NULL;
    while ((branch = TAILQ_FIRST(&agent->done)) != NULL) {
        agent_branch_free(agent, branch);
    }
}

static bool tombstone_match(const void *value, const void *wanted)
{
    return gtrid_equal(&((const struct agent_tombstone *)value)->gtrid, wanted);
}

bool agent_tombstone_has(struct agent *agent, const struct gtrid *gtrid)
{
    return map_find(&agent->tombstones, gtrid_hash(gtrid), tombstone_match, gtrid) != NULL;
}

/* Only spares locks (P-9): that the oldest ones are forgotten costs no safety, P-20 has that. */
void agent_tombstone_add(struct agent *agent, const struct gtrid *gtrid)
{
    if (agent_tombstone_has(agent, gtrid) || agent->config.tombstone_max == 0) {
        return;
    }
    struct agent_tombstone *tombstone = NULL;
    if (agent->tombstone_count >= agent->config.tombstone_max) {
        tombstone = TAILQ_FIRST(&agent->tombstone_list);
        TAILQ_REMOVE(&agent->tombstone_list, tombstone, list);
        CHECK(map_remove(&agent->tombstones, gtrid_hash(&tombstone->gtrid), tombstone));
        agent->tombstone_count--;
    } else {
        tombstone = alloc_zeroed(sizeof(*tombstone));
    }
    tombstone->gtrid = *gtrid;
    TAILQ_INSERT_TAIL(&agent->tombstone_list, tombstone, list);
    map_insert(&agent->tombstones, gtrid_hash(gtrid), tombstone);
    agent->tombstone_count++;
}
