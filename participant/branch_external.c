/*
 * branch_external.c - branches that the application prepares itself: VERIFY comes in, a vote goes out (P-3, docs/adr/0016).
 *
 * The gid is the coordinator's, the PREPARE is the application's, and all that this process knows is what the database shows.
 * So its yes is a look of its own: the row is there, here, ours to finish, and durable. Its no promises nothing: the row may
 * be there all the same (of a role that it may not become), or come later. Hence no branch ends here; after a no it waits as
 * DOUBTFUL for the coordinator's ROLLBACK, which looks once more, and what comes after that is the sweep's (P-11).
 *
 * The sweep may have been quicker than VERIFY: then the branch is DOUBTFUL already, asks, and hears WAIT.
 *
 * What if we die between the look and the vote? The vote is missing, the coordinator aborts (P-2), and the next process finds the
 * row with its scan.
 */
#include "common/check.h"
#include "participant/branch_internal.h"

static void verify_run(struct agent *agent, struct agent_peer *peer, struct agent_branch *branch,
                       uint64_t remaining_ms)
{
    branch->session = peer->session;
    branch->certain = true; /* whoever may still prepare it is nobody that a fence could end */
    branch->vote = 0;
    failure_done(&branch->failure);
    branch->failure = (struct failure){0};
    agent_timer_set(agent, &branch->timer, UINT64_MAX);
    agent_branch_move(agent, branch, BRANCH_VERIFYING);
    struct command *command = agent_command_for(agent, &branch->pending, COMMAND_VERIFY);
    command->as.verify = (struct command_verify){
        .gid = branch->gid,
        .deadline_ms = agent_deadline(agent, remaining_ms),
    };
}

/* Nothing was looked at. The gid is named all the same: it is known without us. */
static void verify_refuse(struct agent *agent, const struct agent_peer *peer, const struct gid *gid,
                          enum reason reason)
{
    const struct agent_branch refused = {
        .gid = *gid, .vote = VOTE_ABORT, .failure = {.reason = reason}};
    agent_vote_again(agent, &refused, peer->session);
    agent_notice(agent, AGENT_NOTICE_REFUSED, gid, "verification refused: %s", reason_text(reason));
}

/* The vote was lost, or this is an old copy. False: it has not been verified. */
static bool verify_repeated(struct agent *agent, const struct agent_peer *peer,
                            struct agent_branch *branch)
{
    switch (branch->state) {
    case BRANCH_VERIFYING:
        branch->session = peer->session; /* the vote goes where its coordinator is now */
        return true;
    case BRANCH_PREPARED:
        branch->session = peer->session;
        agent_vote_again(agent, branch, peer->session);
        return true;
    case BRANCH_DOUBTFUL:
    case BRANCH_UNOWNED:
        if (branch->vote == 0 || branch->session != peer->session) {
            return false; /* the scan has found it, nobody has looked at it */
        }
        agent_vote_again(agent, branch, peer->session);
        return true;
    case BRANCH_DONE:
        verify_refuse(agent, peer, &branch->gid, REASON_TIMEOUT); /* decided long ago */
        return true;
    case BRANCH_FINISHING:
    case BRANCH_PROVING:
    case BRANCH_PAUSED:
    case BRANCH_TELLING:
        return true; /* decided already */
    case BRANCH_EXECUTING:
    case BRANCH_CANCELLING:
    case BRANCH_LOOKING:
    case BRANCH_UNSURE:
    case BRANCH_ANSWERING:
    case BRANCH_OPEN:
    case BRANCH_CLOSING:
        agent->counters.fenced++; /* this process executes it: no coordinator gives that name out */
        return true;
    case BRANCH_NEW:
    case BRANCH_STATE_COUNT:
        CHECK(!"a branch is never left in this state");
    }
    return true;
}

void agent_verify(struct agent *agent, struct agent_peer *peer, const struct message_verify *verify)
{
    const struct gid *gid = &verify->gid;
    if (!agent_work_is_of(peer, &gid->gtrid) || gid->attempt == 0) {
        agent->counters.fenced++;
        return;
    }
    struct agent_branch *branch = agent_branch_find(agent, gid);
    if (branch != NULL && verify_repeated(agent, peer, branch)) {
        return;
    }
    const struct agent_txn *txn = agent_txn_find(agent, &gid->gtrid);
    enum reason obstacle = agent_work_obstacle(agent, peer, &gid->gtrid, verify->remaining_ms);
    if (txn != NULL && txn->erase != NULL) {
        obstacle = REASON_TIMEOUT; /* P-9: the abort overtook it */
    }
    if (obstacle != REASON_NONE) {
        verify_refuse(agent, peer, gid, obstacle);
        return;
    }
    if (branch == NULL) {
        branch = agent_branch_new(agent, gid);
    }
    verify_run(agent, peer, branch, verify->remaining_ms);
}

static void verified_yes(struct agent *agent, struct agent_branch *branch,
                         const struct command_result *result)
{
    branch->proof = result->proof;
    branch->prepared_ms = branch->prepared_ms != 0 ? branch->prepared_ms : agent->now_ms;
    branch->vote = VOTE_COMMIT;
    agent_text_copy(branch->owner, sizeof(branch->owner), result->owner);
    agent_vote_again(agent, branch, branch->session);
    agent_notice(agent, AGENT_NOTICE_VOTED, &branch->gid, "commit: prepared by role %s",
                 branch->owner);
    agent_branch_move(agent, branch, BRANCH_PREPARED);
    agent_branch_await(agent, branch);
}

static void verified_no(struct agent *agent, struct agent_branch *branch,
                        struct command_result *result)
{
    bool is_no = result->class == PG_ROLLED_BACK;
    branch->vote = is_no ? VOTE_ABORT : VOTE_UNKNOWN; /* P-2: doubt is no */
    branch->failure = result->failure;
    result->failure = (struct failure){0};
    if (branch->failure.reason == REASON_NONE) {
        branch->failure.reason = REASON_PARTICIPANT_UNAVAILABLE;
    }
    branch->prepared_ms = branch->prepared_ms != 0 ? branch->prepared_ms : agent->now_ms;
    branch->tries = 0;
    agent_vote_again(agent, branch, branch->session);
    agent_notice(agent, AGENT_NOTICE_VOTED, &branch->gid, "%s: %s %s", is_no ? "abort" : "unknown",
                 reason_text(branch->failure.reason), result->detail);
    agent_branch_move(agent, branch, BRANCH_DOUBTFUL);
    agent_branch_await(agent, branch);
}

void agent_verified(struct agent *agent, struct agent_branch *branch, struct command_result *result)
{
    if (branch->word != WORD_NONE) {
        agent_branch_finish(agent,
                            branch); /* decided meanwhile: the look does not matter any more */
    } else if (result->class == PG_OK && result->proof.kind == PROOF_EXTERNAL) {
        verified_yes(agent, branch, result);
    } else {
        verified_no(agent, branch, result);
    }
}

/* P-20: the row that was verified is gone, and the application has prepared something else under its name. */
void agent_external_seen(struct agent *agent, struct agent_branch *branch, uint32_t xid)
{
    if (branch->state == BRANCH_PREPARED && branch->proof.kind == PROOF_EXTERNAL &&
        (uint32_t)branch->proof.xid8 != xid && branch->since_step < agent->scan_step) {
        agent->counters.late_prepares++;
        agent_notice(agent, AGENT_NOTICE_LATE_PREPARE, &branch->gid,
                     "prepared again under transaction id %u; what was verified is gone", xid);
        agent_vote_void(agent, branch, "what was verified is gone");
        agent_branch_move(agent, branch, BRANCH_DOUBTFUL);
        agent_branch_await(agent, branch);
    }
}
