/*
 * branch_work.c - WORK comes in, EXECUTE's result becomes a vote (P-2, P-3, P-9, P-19, P-20).
 *
 * What if we die between EXECUTE and the vote? The row may be prepared and nobody knows: the vote
 * is missing, so the coordinator aborts (P-2), and the next process finds the row with its scan.
 */
#include "common/check.h"
#include "participant/branch_internal.h"

/* Only the session that WORK came on gets the vote, and only while it is welcomed (P-7). */
static struct message *vote_message(struct agent *agent, uint64_t session, const struct gid *gid,
                                    enum vote vote)
{
    const struct agent_peer *peer = agent_peer_find(agent, session);
    switch (vote) {
    case VOTE_COMMIT:
        agent->counters.votes_yes++;
        break;
    case VOTE_ABORT:
        agent->counters.votes_no++;
        break;
    case VOTE_READONLY:
        agent->counters.votes_readonly++;
        break;
    case VOTE_UNKNOWN:
        agent->counters.votes_unknown++;
        break;
    }
    if (peer == NULL || peer->state != PEER_WELCOMED) {
        return NULL;
    }
    struct message *message = agent_send(agent, session, MESSAGE_VOTE);
    message->as.vote.gid = *gid;
    message->as.vote.vote = vote;
    return message;
}

void agent_vote_again(struct agent *agent, const struct agent_branch *branch, uint64_t session)
{
    struct message *message = vote_message(agent, session, &branch->gid, branch->vote);
    if (message == NULL) {
        return;
    }
    switch (branch->vote) {
    case VOTE_COMMIT:
        message->as.vote.proof = branch->proof;
        message->as.vote.results = blob_share(branch->results);
        agent_text_copy(message->as.vote.owner, sizeof(message->as.vote.owner), branch->owner);
        break;
    case VOTE_READONLY:
        message->as.vote.results = blob_share(branch->results);
        break;
    case VOTE_ABORT:
    case VOTE_UNKNOWN:
        failure_copy(&branch->failure, &message->as.vote.failure);
        break;
    }
}

/* P-14 and a row that vanished: whatever was voted is void. If the coordinator has not decided, it
 * aborts; if it has, its COMMIT comes and finds out. */
void agent_vote_void(struct agent *agent, struct agent_branch *branch, const char *why)
{
    branch->vote = VOTE_UNKNOWN;
    failure_done(&branch->failure);
    branch->failure = (struct failure){.reason = REASON_PARTICIPANT_UNAVAILABLE};
    agent_vote_again(agent, branch, branch->session);
    agent_notice(agent, AGENT_NOTICE_HISTORY_CHANGED, &branch->gid, "the yes vote is void: %s",
                 why);
}

/* Nothing was executed, so there is no gid: attempt 0. */
void agent_work_refuse(struct agent *agent, uint64_t session, const struct gtrid *gtrid,
                       enum reason reason)
{
    struct gid gid = {.gtrid = *gtrid};
    agent_text_copy(gid.participant, sizeof(gid.participant), agent->config.participant);
    struct message *message = vote_message(agent, session, &gid, VOTE_ABORT);
    if (message != NULL) {
        message->as.vote.failure.reason = reason;
    }
    agent_notice(agent, AGENT_NOTICE_REFUSED, &gid, "work refused: %s", reason_text(reason));
}

/* The gtrid is known here: never execute it a second time (planted bug: a replay after commit). */
static void work_repeated(struct agent *agent, uint64_t session, struct agent_branch *branch)
{
    switch (branch->state) {
    case BRANCH_EXECUTING:
        break; /* the vote comes, on the session that WORK came on first: the end of that one would have ended it */
    case BRANCH_PREPARED:
        branch->session = session;
        agent_vote_again(agent, branch, session);
        break;
    case BRANCH_LOOKING:
    case BRANCH_UNSURE:
    case BRANCH_DOUBTFUL:
    case BRANCH_UNOWNED:
        /* P-3: a row that is only found, or only suspected, is no yes. */
        branch->vote = VOTE_UNKNOWN;
        agent_vote_again(agent, branch, session);
        break;
    case BRANCH_CANCELLING:
    case BRANCH_FINISHING:
    case BRANCH_PROVING:
    case BRANCH_PAUSED:
    case BRANCH_TELLING:
        break; /* decided already: this WORK is an old copy */
    case BRANCH_ANSWERING:
    case BRANCH_OPEN:
    case BRANCH_CLOSING:
    case BRANCH_VERIFYING:
        agent->counters
            .fenced++; /* it has statements, or the application has: no coordinator sends it WORK */
        break;
    case BRANCH_DONE:
        if (branch->vote == VOTE_ABORT) {
            agent_vote_again(agent, branch, session);
        } else {
            agent_work_refuse(agent, session, &branch->gid.gtrid, REASON_TIMEOUT);
        }
        break;
    case BRANCH_NEW:
    case BRANCH_STATE_COUNT:
        CHECK(!"a branch is never left in this state");
    }
}

/* The attempt that answers for the gtrid: the one executed here, else any (one that was found). */
struct agent_branch *agent_txn_spokesman(const struct agent_txn *txn)
{
    struct agent_branch *branch = NULL;
    TAILQ_FOREACH(branch, &txn->branches, siblings)
    {
        if (branch->session != 0) {
            return branch;
        }
    }
    return TAILQ_FIRST(&txn->branches);
}

/* A copy of WORK from long ago: its transaction is over and forgotten, so nobody could judge what it prepared (P-13). */
static bool work_is_forgotten(const struct agent_peer *peer, const struct gtrid *gtrid)
{
    const struct journal_floor *floor = &peer->journal->witness.floor;
    return gtrid->epoch < floor->epoch ||
           (gtrid->epoch == floor->epoch && gtrid->sequence <= floor->sequence);
}

enum reason agent_work_obstacle(struct agent *agent, const struct agent_peer *peer,
                                const struct gtrid *gtrid, uint64_t remaining_ms)
{
    if (agent_tombstone_has(agent, gtrid) || remaining_ms == 0 || work_is_forgotten(peer, gtrid)) {
        return REASON_TIMEOUT; /* P-9: the abort overtook it; P-15: too late to begin */
    }
    if (agent->is_draining) {
        return REASON_SHUTDOWN;
    }
    /* P-14: after a change of history nothing new before the rows of this one were seen. */
    if (!agent_database_up(agent) || agent->is_reconciling) {
        return REASON_PARTICIPANT_UNAVAILABLE;
    }
    if (agent->live_count >= BRANCH_LIVE_MAX) {
        return REASON_CAPACITY;
    }
    return REASON_NONE;
}

/* P-20: each execution has a nonce of its own; 0 means "no gid". */
struct gid agent_gid_new(struct agent *agent, const struct gtrid *gtrid)
{
    uint64_t nonce = agent_random(agent);
    struct gid gid = {.gtrid = *gtrid, .attempt = nonce != 0 ? nonce : 1};
    agent_text_copy(gid.participant, sizeof(gid.participant), agent->config.participant);
    return gid;
}

uint64_t agent_deadline(const struct agent *agent, uint64_t remaining_ms)
{
    return remaining_ms < UINT64_MAX - agent->now_ms ? agent->now_ms + remaining_ms : UINT64_MAX;
}

static void work_execute(struct agent *agent, uint64_t session, struct message_work *work)
{
    struct gid gid = agent_gid_new(agent, &work->gtrid);
    struct agent_branch *branch = agent_branch_new(agent, &gid);
    branch->session = session;
    agent_branch_move(agent, branch, BRANCH_EXECUTING);
    struct command *command = agent_command_for(agent, &branch->pending, COMMAND_EXECUTE);
    command->as.execute = (struct command_execute){
        .gid = gid,
        .isolation = work->isolation,
        .read_only = work->read_only, /* a serializable one is prepared, and may not write */
        .deadline_ms = agent_deadline(agent, work->remaining_ms),
        .work = work->work,
    };
    branch->read_only = command_execute_by_rollback(&command->as.execute);
    work->work = NULL;
}

/* WORK always belongs to the epoch that sends it; anything else is a copy from another life (P-10). */
bool agent_work_is_of(const struct agent_peer *peer, const struct gtrid *gtrid)
{
    return gtrid->epoch == peer->claim.epoch && gtrid->epoch_nonce == peer->claim.epoch_nonce;
}

void agent_work(struct agent *agent, struct agent_peer *peer, struct message_work *work)
{
    if (!agent_work_is_of(peer, &work->gtrid)) {
        agent->counters.fenced++;
        return;
    }
    struct agent_txn *txn = agent_txn_find(agent, &work->gtrid);
    if (txn != NULL && txn->erase != NULL) {
        agent_work_refuse(agent, peer->session, &work->gtrid, REASON_TIMEOUT);
        return;
    }
    if (txn != NULL) {
        work_repeated(agent, peer->session, agent_txn_spokesman(txn));
        return;
    }
    enum reason obstacle = agent_work_obstacle(agent, peer, &work->gtrid, work->remaining_ms);
    if (obstacle != REASON_NONE) {
        agent_work_refuse(agent, peer->session, &work->gtrid, obstacle);
        return;
    }
    work_execute(agent, peer->session, work);
}

/* P-2: votes count on the session that WORK came on, and no coordinator sends it again on another (P-7). So what has not voted
 * when that session ends can only abort, and nobody has to be asked: it has not said yes (P-6). To wait for the word costs more
 * than a retry:
 *   1. the coordinator dies while many clients of one row are being executed; the first holds its lock;
 *   2. each one in turn gets the lock, prepares, and holds it until it has asked the next coordinator;
 *   3. new clients stand in line behind all of them. */
void agent_branches_abandon(struct agent *agent, uint64_t session, bool is_over)
{
    struct agent_branch *branch = NULL;
    TAILQ_FOREACH(branch, &agent->live, list)
    {
        if (branch->session != session) {
            continue;
        }
        if (branch->state == BRANCH_EXECUTING && is_over) {
            agent_notice(agent, AGENT_NOTICE_VOTED, &branch->gid,
                         "not at all: the session that it began on is over");
            agent_branch_roll_back(agent, branch);
        } else if (branch->state == BRANCH_ANSWERING || branch->state == BRANCH_OPEN) {
            agent_branch_give_up(agent, branch, REASON_PARTICIPANT_UNAVAILABLE);
        }
    }
}

static void branch_vote_yes(struct agent *agent, struct agent_branch *branch,
                            struct command_result *result)
{
    branch->proof = result->proof;
    branch->results = result->results;
    result->results = NULL;
    branch->certain = true;
    branch->prepared_ms = agent->now_ms;
    branch->vote = branch->read_only ? VOTE_READONLY : VOTE_COMMIT;
    agent_vote_again(agent, branch, branch->session);
    agent_notice(agent, AGENT_NOTICE_VOTED, &branch->gid, "%s",
                 branch->read_only ? "read-only" : "commit");
    if (branch->read_only) {
        branch->ack = ACK_ROLLED_BACK;
        agent_branch_move(agent, branch, BRANCH_DONE);
        if (branch->ordinal == 0) {
            /* Nothing is prepared and nothing is remembered (P-19): executing it again does no harm. A PREPARE that comes
             * again could not be executed. */
            agent_branch_free(agent, branch);
        }
        return;
    }
    agent_branch_move(agent, branch, BRANCH_PREPARED);
    agent_branch_await(agent, branch);
}

void agent_branch_vote_no(struct agent *agent, struct agent_branch *branch,
                          struct command_result *result)
{
    branch->failure = result->failure;
    result->failure = (struct failure){0};
    branch->vote = VOTE_ABORT;
    branch->certain = true;
    agent_vote_again(agent, branch, branch->session);
    agent_notice(agent, AGENT_NOTICE_VOTED, &branch->gid, "abort: %s %s",
                 reason_text(branch->failure.reason), result->detail);
    branch->ack = ACK_ROLLED_BACK; /* nothing is prepared: PREPARE's own failure rolls back */
    agent_branch_move(agent, branch, BRANCH_DONE);
}

/* P-2: doubt is no. P-11: whether the row is there, or is still coming, only a fence tells. */
static void branch_doubt(struct agent *agent, struct agent_branch *branch,
                         struct command_result *result)
{
    branch->failure = result->failure;
    result->failure = (struct failure){0};
    if (branch->failure.reason == REASON_NONE) {
        branch->failure.reason = REASON_PARTICIPANT_UNAVAILABLE;
    }
    branch->vote = VOTE_UNKNOWN;
    agent_vote_again(agent, branch, branch->session);
    agent_notice(agent, AGENT_NOTICE_VOTED, &branch->gid, "unknown: %s", result->detail);
    if (branch->read_only) {
        branch->ack = ACK_ROLLED_BACK; /* no PREPARE was ever in its pipeline */
        agent_branch_move(agent, branch, BRANCH_DONE);
        return;
    }
    agent_branch_look(agent, branch);
}

static void cancelled(struct agent *agent, struct agent_branch *branch,
                      struct command_result *result)
{
    agent_timer_set(agent, &branch->timer, UINT64_MAX);
    branch->tries = 0;
    switch (result->class) {
    case PG_OK:
        branch->certain = true;
        branch->proof = result->proof;
        if (branch->read_only) {
            agent_branch_end(agent, branch, ACK_ROLLED_BACK, "read-only");
        } else {
            agent_branch_finish(agent, branch); /* prepared before the cancel arrived */
        }
        return;
    case PG_ROLLED_BACK:
        branch->certain = true;
        agent_branch_end(agent, branch, ACK_ROLLED_BACK, "cancelled");
        return;
    case PG_NOT_FOUND:
    case PG_RETRY:
    case PG_REFUSED:
    case PG_UNKNOWN:
        break;
    }
    if (branch->read_only) {
        agent_branch_end(agent, branch, ACK_ROLLED_BACK, "read-only");
    } else {
        agent_branch_look(agent, branch);
    }
}

void agent_executed(struct agent *agent, struct agent_branch *branch, struct command_result *result)
{
    if (branch->state == BRANCH_CANCELLING) {
        cancelled(agent, branch, result);
        return;
    }
    switch (result->class) {
    case PG_OK:
        branch_vote_yes(agent, branch, result);
        return;
    case PG_ROLLED_BACK:
        agent_branch_vote_no(agent, branch, result);
        return;
    case PG_NOT_FOUND:
    case PG_RETRY:
    case PG_REFUSED:
    case PG_UNKNOWN:
        break; /* none of these says that it is not prepared */
    }
    branch_doubt(agent, branch, result);
}
