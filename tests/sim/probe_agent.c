/* probe_agent.c - see probe.h. */
#include "tests/sim/probe.h"

#include <string.h>

#include "participant/branch_internal.h"
#include "tests/sim/coverage.h"
#include "tests/sim/random.h"

const char *probe_agent_state(uint32_t state)
{
    return state < BRANCH_STATE_COUNT ? agent_branch_state_text((enum branch_state)state) : "";
}

static void meet_list(const struct agent_branch_list *list, enum coverage_agent_event meets,
                      uint64_t pairs[][32])
{
    const struct agent_branch *branch = NULL;
    TAILQ_FOREACH(branch, list, list)
    {
        pairs[branch->state][meets]++;
    }
}

static void meet_gtrid(struct agent *agent, const struct gtrid *gtrid,
                       enum coverage_agent_event meets, uint64_t pairs[][32])
{
    struct agent_txn *txn = agent_txn_find(agent, gtrid);
    const struct agent_branch *branch = NULL;
    if (txn != NULL) {
        TAILQ_FOREACH(branch, &txn->branches, siblings)
        {
            pairs[branch->state][meets]++;
        }
    }
}

static void meet_gid(struct agent *agent, const struct gid *gid, enum coverage_agent_event meets,
                     uint64_t pairs[][32])
{
    const struct agent_branch *branch = agent_branch_find(agent, gid);
    pairs[branch == NULL ? BRANCH_NEW : branch->state][meets]++;
}

static void meet_message(struct agent *agent, const struct message *message, uint64_t pairs[][32])
{
    static const enum coverage_agent_event verdicts[] = {
        [VERDICT_COMMIT] = MEETS_VERDICT_COMMIT, [VERDICT_ABORT] = MEETS_VERDICT_ABORT,
        [VERDICT_WAIT] = MEETS_VERDICT_WAIT,     [VERDICT_UNKNOWN] = MEETS_VERDICT_UNKNOWN,
        [VERDICT_NOTED] = MEETS_NOTED,
    };
    struct gid gid;
    if (message->kind == MESSAGE_WORK) {
        meet_gtrid(agent, &message->as.work.gtrid, MEETS_WORK, pairs);
    } else if (message->kind == MESSAGE_STATEMENT && message->as.statement.attempt == 0) {
        meet_gtrid(agent, &message->as.statement.gtrid, MEETS_FIRST_STATEMENT, pairs);
    } else if (message->kind == MESSAGE_STATEMENT) {
        gid = (struct gid){.gtrid = message->as.statement.gtrid,
                           .attempt = message->as.statement.attempt};
        memcpy(gid.participant, agent->config.participant, sizeof(gid.participant));
        meet_gid(agent, &gid, MEETS_LATER_STATEMENT, pairs);
    } else if (message->kind == MESSAGE_PREPARE) {
        meet_gid(agent, &message->as.prepare.gid, MEETS_PREPARE, pairs);
    } else if (message->kind == MESSAGE_VERIFY) {
        meet_gid(agent, &message->as.verify.gid, MEETS_VERIFY, pairs);
    } else if (message->kind == MESSAGE_COMMIT) {
        meet_gid(agent, &message->as.commit.gid, MEETS_COMMIT, pairs);
    } else if (message->kind == MESSAGE_ROLLBACK && message->as.rollback.has_gid) {
        meet_gid(agent, &message->as.rollback.gid, MEETS_ROLLBACK, pairs);
    } else if (message->kind == MESSAGE_ROLLBACK) {
        meet_gtrid(agent, &message->as.rollback.gtrid, MEETS_ROLLBACK_NAMELESS, pairs);
    } else if (message->kind == MESSAGE_VERDICT) {
        meet_gid(agent, &message->as.verdict.gid, verdicts[message->as.verdict.verdict], pairs);
    }
}

static void meet_result(struct agent *agent, const struct command_result *result,
                        uint64_t pairs[][32])
{
    static const enum coverage_agent_event classes[] = {
        [PG_OK] = MEETS_RESULT_OK,
        [PG_ROLLED_BACK] = MEETS_RESULT_ROLLED_BACK,
        [PG_NOT_FOUND] = MEETS_RESULT_NOT_FOUND,
        [PG_RETRY] = MEETS_RESULT_RETRY,
        [PG_REFUSED] = MEETS_RESULT_REFUSED,
        [PG_UNKNOWN] = MEETS_RESULT_UNKNOWN,
    };
    static const enum coverage_agent_event proofs[] = {
        [PROOF_SAYS_PREPARED] = MEETS_PROVED_PREPARED,
        [PROOF_SAYS_COMMITTED] = MEETS_PROVED_COMMITTED,
        [PROOF_SAYS_ABSENT] = MEETS_PROVED_ABSENT,
        [PROOF_CANNOT_TELL] = MEETS_PROVED_CANNOT_TELL,
    };
    const struct agent_branch *branch = NULL;
    if (result->kind == COMMAND_SCAN && result->class == PG_OK) {
        TAILQ_FOREACH(branch, &agent->live, list)
        {
            pairs[branch->state][MEETS_SCAN_WITHOUT_ROW]++;
        }
        for (size_t i = 0; i < result->row_count; i++) {
            struct gid gid;
            if (gid_parse(result->rows[i].gid_text, &gid)) {
                branch = agent_branch_find(agent, &gid);
                if (branch != NULL && branch->state != BRANCH_DONE) {
                    pairs[branch->state][MEETS_SCAN_WITHOUT_ROW]--;
                }
                pairs[branch == NULL ? BRANCH_NEW : branch->state][MEETS_SCAN_WITH_ROW]++;
            }
        }
        return;
    }
    TAILQ_FOREACH(branch, &agent->live, list)
    {
        if (branch->pending.id == result->id) {
            bool proved = result->kind == COMMAND_PROVE && result->class == PG_OK;
            pairs[branch->state][proved ? proofs[result->proved] : classes[result->class]]++;
            return;
        }
    }
}

static void meet_timer(const struct agent *agent, uint64_t now_ms, uint64_t pairs[][32])
{
    for (size_t i = 0; i < agent->timers.count; i++) {
        const struct agent_timer *timer = (const struct agent_timer *)agent->timers.nodes[i];
        if (timer->owner == OWNER_BRANCH && timer->node.due_ms <= now_ms) {
            pairs[((const struct agent_branch *)timer)->state][MEETS_AGENT_TIMER]++;
        }
    }
}

bool probe_agent_listens(struct agent *agent, uint64_t session)
{
    const struct agent_peer *peer = agent_peer_find(agent, session);
    return peer != NULL && peer->state == PEER_WELCOMED;
}

bool probe_agent_is_asking(struct agent *agent, const struct sim_database *database)
{
    const struct agent_branch *branch = NULL;
    TAILQ_FOREACH(branch, &agent->live, list)
    {
        if (agent_session_for(agent, &branch->gid.gtrid) != 0 &&
            !database_has_prepared(database, &branch->gid)) {
            return true;
        }
    }
    return false;
}

bool probe_agent_has_compared(struct agent *agent, const struct journal_id *journal)
{
    const struct agent_journal *its = agent_journal_find(agent, journal);
    return its != NULL && its->session != 0 && its->is_compared;
}

void probe_agent_meets(struct agent *agent, const struct agent_event *event, uint64_t pairs[][32])
{
    meet_timer(agent, event->now_ms, pairs);
    switch (event->kind) {
    case AGENT_EVENT_MESSAGE:
        if (probe_agent_listens(agent, event->session)) {
            meet_message(agent, event->message, pairs);
        }
        return;
    case AGENT_EVENT_RESULT:
        meet_result(agent, event->result, pairs);
        return;
    case AGENT_EVENT_STATUS:
        if (event->status->history_changed) {
            meet_list(&agent->live, MEETS_HISTORY_CHANGED, pairs);
        }
        if (!agent_database_up(agent) && event->status->health == HEALTH_UP) {
            meet_list(&agent->live, MEETS_DATABASE_UP, pairs);
        }
        return;
    case AGENT_EVENT_PEER_UP:
        meet_list(&agent->live, MEETS_SESSION_UP, pairs);
        return;
    case AGENT_EVENT_PEER_DOWN:
        meet_list(&agent->live, MEETS_SESSION_DOWN, pairs);
        return;
    case AGENT_EVENT_DRAIN:
        meet_list(&agent->live, MEETS_AGENT_DRAIN, pairs);
        return;
    case AGENT_EVENT_TIMER:
        return;
    }
}

/* ---- digest ---- */

static uint64_t fold(uint64_t hash, uint64_t value)
{
    return sim_scramble(hash ^ (value + UINT64_C(0x9e3779b97f4a7c15) + (hash << 6)));
}

static uint64_t until(uint64_t due_ms, uint64_t now_ms)
{
    return due_ms == UINT64_MAX ? UINT64_MAX : due_ms > now_ms ? due_ms - now_ms : 0;
}

static bool has_session(const struct agent *agent, uint64_t session)
{
    for (size_t i = 0; i < agent->peer_count; i++) {
        if (agent->peers[i]->session == session) {
            return true;
        }
    }
    return false;
}

static uint64_t digest_branch(const struct agent *agent, const struct agent_branch *branch)
{
    uint64_t hash = fold(branch->gid.attempt, branch->state);
    hash = fold(hash, (uint64_t)branch->word << 8 | (uint64_t)branch->vote << 4 | branch->ack);
    hash = fold(hash, (uint64_t)branch->asked_by_gid << 3 | (uint64_t)branch->certain << 2 |
                          (uint64_t)(branch->pending.id != 0) << 1 |
                          (branch->since_step < agent->scan_step));
    hash = fold(hash, branch->seen_scan == agent->scan_number);
    hash = fold(hash, branch->tries);
    hash = fold(hash, (uint64_t)branch->is_late << 8 | (uint64_t)branch->proof.kind << 1 |
                          (branch->compare_mark != 0));
    if (branch->ordinal != 0) {
        uint64_t flags =
            (uint64_t)(branch->results != NULL) << 1 | has_session(agent, branch->session);
        hash = fold(fold(hash, branch->ordinal), flags);
        hash = fold(hash, until(branch->deadline_ms, agent->now_ms));
    }
    return fold(hash, until(branch->timer.node.due_ms, agent->now_ms));
}

static uint64_t digest_list(const struct agent *agent, const struct agent_branch_list *list)
{
    uint64_t sum = 0; /* the order is only one of history */
    const struct agent_branch *branch = NULL;
    TAILQ_FOREACH(branch, list, list)
    {
        sum += digest_branch(agent, branch);
    }
    return sum;
}

static uint64_t digest_peers(const struct agent *agent)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < agent->peer_count; i++) {
        const struct agent_peer *peer = agent->peers[i];
        uint64_t hash = fold(peer->state, peer->claim.epoch);
        hash = fold(hash, peer->journal->session == peer->session);
        hash = fold(hash, peer->tries);
        sum += fold(hash, until(peer->timer.node.due_ms, agent->now_ms));
    }
    for (size_t i = 0; i < agent->journal_count; i++) {
        const struct agent_journal *journal = agent->journals[i];
        uint64_t hash = fold(journal->witness.epoch, journal->witness.head.number);
        hash = fold(hash, journal->claimed_epoch);
        hash = fold(hash, (uint64_t)journal->is_dirty << 1 | (journal->store_id != 0));
        hash = fold(hash, (uint64_t)journal->is_compared << 2 |
                              (uint64_t)(journal->compare_id != 0) << 1 |
                              (uint64_t)journal->compare_is_last);
        hash = fold(hash, journal->compare_open);
        hash = fold(hash, until(journal->compare_due_ms, agent->now_ms));
        hash = fold(hash, until(journal->store_due_ms, agent->now_ms));
        hash = fold(hash, journal->session != 0);
        sum += fold(hash, journal->sweep_open);
    }
    return sum;
}

uint64_t probe_agent_digest(const struct agent *agent)
{
    uint64_t hash = fold(digest_list(agent, &agent->live), digest_list(agent, &agent->done));
    const struct agent_erase *erase = NULL;
    TAILQ_FOREACH(erase, &agent->erases, list)
    {
        hash = fold(hash, (uint64_t)erase->state << 32 | erase->txn->gtrid.sequence);
        hash = fold(hash, until(erase->timer.node.due_ms, agent->now_ms));
    }
    const struct agent_tombstone *tombstone = NULL;
    uint64_t graves = 0;
    TAILQ_FOREACH(tombstone, &agent->tombstone_list, list)
    {
        graves += fold(tombstone->gtrid.epoch, tombstone->gtrid.sequence);
    }
    hash = fold(hash, graves);
    hash = fold(hash, digest_peers(agent));
    hash = fold(hash, (uint64_t)agent->has_fenced << 5 | (uint64_t)agent->is_settled << 4 |
                          (uint64_t)agent->is_reconciling << 3 | (uint64_t)agent->has_status << 2 |
                          (uint64_t)(agent->scan_id != 0) << 1 | agent->scan_after_fence);
    hash = fold(hash, (uint64_t)agent->scan_again << 1 | agent->rotate_wanted);
    hash = fold(hash, agent->status.health);
    hash = fold(hash, until(agent->scan_due_ms, agent->now_ms));
    return fold(hash, until(agent->heartbeat_due_ms, agent->now_ms));
}
