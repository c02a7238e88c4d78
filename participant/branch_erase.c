/*
 * branch_erase.c - late prepares: LOOK after a doubtful EXECUTE, and ROLLBACK without a gid (P-9,
 * P-11).
 *
 * ROLLBACK without a gid comes from a coordinator that never saw a vote. The bad interleaving:
 *   1. WORK runs in an earlier incarnation, which dies; its backend still works on the pipeline;
 *   2. ROLLBACK comes to this one, which knows nothing and says "rolled back";
 *   3. the backend prepares; the row holds its locks until the sweep asks.
 * LOOK prevents 3 by ending those backends before it reads. Once that was done and a complete scan
 * after it has shown every row that they left (is_settled), this process knows all gids there are,
 * and no LOOK is needed. (A late row is never a danger to atomicity: no COMMIT record names its
 * gid, P-20.)
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "participant/branch_internal.h"

/* A cancel that reaches the server before the statement does is lost, as if it were never sent, and the statement would run, and
 * hold its locks, to its end. So it is said again until the result is here. */
void agent_branch_cancel(struct agent *agent, struct agent_branch *branch)
{
    agent_command(agent, COMMAND_CANCEL)->as.cancel = branch->gid;
    branch->tries++;
    agent_timer_set(agent, &branch->timer,
                    agent->now_ms + agent_backoff(agent, branch->tries, agent->config.retry_min_ms,
                                                  agent->config.retry_max_ms));
}

/* Puts the word ROLLBACK on a branch that has no word yet and acts on it as far as its state
 * allows. */
void agent_branch_roll_back(struct agent *agent, struct agent_branch *branch)
{
    if (branch->word != WORD_NONE) {
        return;
    }
    switch (branch->state) {
    case BRANCH_EXECUTING:
        branch->word = WORD_ROLLBACK;
        agent_branch_move(agent, branch, BRANCH_CANCELLING);
        agent_branch_cancel(agent, branch);
        return;
    case BRANCH_PREPARED:
    case BRANCH_DOUBTFUL:
    case BRANCH_UNOWNED:
        branch->word = WORD_ROLLBACK;
        branch->tries = 0;
        agent_branch_finish(agent, branch);
        return;
    case BRANCH_ANSWERING:
    case BRANCH_OPEN:
        branch->word = WORD_ROLLBACK;
        agent_branch_close(agent, branch);
        return;
    case BRANCH_LOOKING:
    case BRANCH_UNSURE:
    case BRANCH_PROVING:
    case BRANCH_CLOSING:
    case BRANCH_VERIFYING:
        branch->word = WORD_ROLLBACK; /* the result goes on with it */
        return;
    case BRANCH_CANCELLING:
    case BRANCH_FINISHING:
    case BRANCH_PAUSED:
    case BRANCH_TELLING:
    case BRANCH_DONE:
        return;
    case BRANCH_NEW:
    case BRANCH_STATE_COUNT:
        CHECK(!"a branch is never left in this state");
    }
}

void agent_branch_look(struct agent *agent, struct agent_branch *branch)
{
    agent_timer_set(agent, &branch->timer, UINT64_MAX);
    agent_branch_move(agent, branch, BRANCH_LOOKING);
    struct command *command = agent_command_for(agent, &branch->pending, COMMAND_LOOK);
    command->as.look =
        (struct command_look){.gtrid = branch->gid.gtrid, .has_gid = true, .gid = branch->gid};
}

void agent_branch_unsure(struct agent *agent, struct agent_branch *branch)
{
    agent_branch_move(agent, branch, BRANCH_UNSURE);
    branch->tries++;
    agent_timer_set(agent, &branch->timer,
                    agent->now_ms + agent_backoff(agent, branch->tries, agent->config.retry_min_ms,
                                                  agent->config.retry_max_ms));
}

/* A fence worked: a complete scan begun from now on shows all that earlier incarnations left. */
void agent_fenced(struct agent *agent)
{
    if (!agent->has_fenced) {
        agent->has_fenced = true;
        agent->scan_due_ms = agent->now_ms;
    }
}

/* Every prepared attempt of this gtrid that LOOK found is a branch of ours from now on. *ret_found
 * tells whether `wanted` is one of them. */
static void looked_rows(struct agent *agent, const struct gtrid *gtrid, const struct gid *wanted,
                        const struct command_result *result, bool *ret_found)
{
    bool is_found = false;
    for (size_t i = 0; i < result->row_count; i++) {
        const struct prepared_row *row = &result->rows[i];
        struct gid gid = {0};
        /* P-6: the edge has filtered, but what is not exactly ours is not touched. */
        if (!gid_parse(row->gid_text, &gid) || !gtrid_equal(&gid.gtrid, gtrid) ||
            strcmp(gid.participant, agent->config.participant) != 0) {
            continue;
        }
        if (wanted != NULL && gid_equal(&gid, wanted)) {
            is_found = true;
            continue;
        }
        if (agent_branch_find(agent, &gid) == NULL && agent->live_count < BRANCH_LIVE_MAX) {
            agent_branch_adopt(agent, agent_branch_new(agent, &gid), row->age_ms);
        }
    }
    *ret_found = is_found;
}

void agent_looked(struct agent *agent, struct agent_branch *branch,
                  const struct command_result *result)
{
    if (result->class != PG_OK && result->class != PG_NOT_FOUND) {
        agent_branch_unsure(agent, branch);
        return;
    }
    agent_fenced(agent);
    branch->certain = true;
    branch->tries = 0;
    bool is_found = false;
    looked_rows(agent, &branch->gid.gtrid, &branch->gid, result, &is_found);
    if (!is_found && branch->word != WORD_COMMIT) {
        /* It never prepared, or a person was quicker than we: the proof tells (H1). */
        agent_branch_prove(agent, branch);
        return;
    }
    if (is_found) {
        agent->counters.late_prepares++;
        agent_notice(agent, AGENT_NOTICE_LATE_PREPARE, &branch->gid,
                     "prepared, though its reply was lost");
    }
    branch->prepared_ms = agent->now_ms;
    if (branch->word != WORD_NONE) {
        agent_branch_finish(agent, branch);
        return;
    }
    agent_branch_move(agent, branch, BRANCH_DOUBTFUL);
    agent_branch_await(agent, branch);
}

void agent_erase_look(struct agent *agent, struct agent_erase *erase)
{
    erase->state = ERASE_LOOKING;
    struct command *command = agent_command_for(agent, &erase->pending, COMMAND_LOOK);
    command->as.look = (struct command_look){.gtrid = erase->txn->gtrid};
}

static void txn_roll_back(struct agent *agent, struct agent_txn *txn)
{
    struct agent_branch *branch = NULL;
    TAILQ_FOREACH(branch, &txn->branches, siblings)
    {
        agent_branch_roll_back(agent, branch);
    }
}

void agent_erase_start(struct agent *agent, const struct gtrid *gtrid)
{
    struct agent_txn *txn = agent_txn_find(agent, gtrid);
    if (txn != NULL && txn->erase != NULL) {
        return; /* asked before; the answer is on its way */
    }
    if (agent->erase_count >= BRANCH_LIVE_MAX) {
        return; /* the coordinator repeats it */
    }
    txn = agent_txn_need(agent, gtrid);
    struct agent_erase *erase = alloc_zeroed(sizeof(*erase));
    agent_timer_init(&erase->timer, OWNER_ERASE);
    erase->pending.owner = OWNER_ERASE;
    erase->txn = txn;
    erase->ack = ACK_ROLLED_BACK;
    erase->state = ERASE_ENDING;
    txn->erase = erase;
    TAILQ_INSERT_TAIL(&agent->erases, erase, list);
    agent->erase_count++;
    txn_roll_back(agent, txn);
    if (!agent->is_settled) {
        agent_erase_look(agent, erase);
    }
    agent_erase_check(agent, txn);
}

void agent_erase_looked(struct agent *agent, struct agent_erase *erase,
                        const struct command_result *result)
{
    struct agent_txn *txn = erase->txn;
    if (result->class != PG_OK && result->class != PG_NOT_FOUND) {
        erase->state = ERASE_PAUSED;
        erase->tries++;
        agent_timer_set(agent, &erase->timer,
                        agent->now_ms + agent_backoff(agent, erase->tries,
                                                      agent->config.retry_min_ms,
                                                      agent->config.retry_max_ms));
        return;
    }
    agent_fenced(agent);
    erase->state = ERASE_ENDING;
    bool is_found = false;
    looked_rows(agent, &txn->gtrid, NULL, result, &is_found); /* what it adopts is rolled back */
    agent_erase_check(agent, txn);
}

/* Ends the erasure when nothing is left of the gtrid but what another word keeps. */
void agent_erase_check(struct agent *agent, struct agent_txn *txn)
{
    struct agent_erase *erase = txn->erase;
    if (erase == NULL || erase->state != ERASE_ENDING) {
        return;
    }
    struct agent_branch *branch = NULL;
    TAILQ_FOREACH(branch, &txn->branches, siblings)
    {
        if (branch->state != BRANCH_DONE && branch->state != BRANCH_TELLING &&
            branch->word != WORD_COMMIT) {
            return;
        }
    }
    uint64_t session = agent_session_for(agent, &txn->gtrid);
    if (session != 0) {
        struct message *message = agent_send(agent, session, MESSAGE_ACK);
        message->as.ack.gid.gtrid = txn->gtrid;
        agent_text_copy(message->as.ack.gid.participant, PARTICIPANT_NAME_SIZE,
                        agent->config.participant);
        message->as.ack.ack = erase->ack;
    }
    agent_erase_free(agent, erase);
}

void agent_erase_free(struct agent *agent, struct agent_erase *erase)
{
    CHECK(erase->pending.id == 0);
    agent_timer_set(agent, &erase->timer, UINT64_MAX);
    TAILQ_REMOVE(&agent->erases, erase, list);
    agent->erase_count--;
    struct agent_txn *txn = erase->txn;
    txn->erase = NULL;
    free(erase);
    agent_txn_release(agent, txn);
}
