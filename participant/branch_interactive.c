/*
 * branch_interactive.c - STATEMENT and PREPARE come in, ANSWERs and votes go out (P-22, docs/adr/0014).
 *
 * The attempt nonce (P-20) is the incarnation: it is drawn with the first statement, when a connection begins the
 * transaction, and the edge never gives a living attempt another connection. The bad interleaving that this prevents:
 *   1. statement 1 takes the money, on a backend that is then lost with all it did;
 *   2. statement 2 writes the order, on another backend, and PREPARE succeeds there;
 *   3. the order commits, and the money was never taken.
 * Here 2 finds no such attempt, or an edge that has closed it.
 *
 * The coordinator sends a statement when it has the answer to the one before. So the last answer is all that can be asked
 * for again, and a number beyond the next means that a predecessor was lost.
 *
 * Before PREPARE was handed to the edge nothing can be prepared: the branch may be given up here, and the no is certain (P-2, P-6).
 *
 * What if we die? The connection goes, and the server rolls back; the coordinator has lost the session and aborts.
 */
#include "common/check.h"
#include "participant/branch_internal.h"

static bool branch_may_wait_for_statements(const struct agent_branch *branch)
{
    return branch->state == BRANCH_ANSWERING || branch->state == BRANCH_OPEN;
}

/* ---- the end before PREPARE ---- */

void agent_branch_close(struct agent *agent, struct agent_branch *branch)
{
    bool is_open = branch->state == BRANCH_OPEN;
    agent_timer_set(agent, &branch->timer, UINT64_MAX);
    agent_branch_move(agent, branch, BRANCH_CLOSING);
    if (is_open) {
        agent_command_for(agent, &branch->pending, COMMAND_CLOSE)->as.close = branch->gid;
    } else {
        agent_branch_cancel(agent, branch); /* and its result comes */
    }
}

void agent_branch_give_up(struct agent *agent, struct agent_branch *branch, enum reason reason)
{
    CHECK(branch_may_wait_for_statements(branch));
    branch->vote = VOTE_ABORT;
    branch->certain = true;
    branch->failure = (struct failure){.reason = reason};
    agent_vote_again(agent, branch, branch->session);
    agent_notice(agent, AGENT_NOTICE_VOTED, &branch->gid, "abort after statement %llu: %s",
                 (unsigned long long)branch->ordinal, reason_text(reason));
    agent_branch_close(agent, branch);
}

/* A statement that runs ends by itself, and finds out then (agent_answered). */
void agent_interactive_drain(struct agent *agent)
{
    struct agent_branch *branch = NULL;
    TAILQ_FOREACH(branch, &agent->live, list)
    {
        if (branch->state == BRANCH_OPEN) {
            agent_branch_give_up(agent, branch, REASON_SHUTDOWN);
        }
    }
}

void agent_branch_closed(struct agent *agent, struct agent_branch *branch,
                         const struct command_result *result)
{
    agent_timer_set(agent, &branch->timer, UINT64_MAX); /* nothing is left to cancel */
    if (result->kind == COMMAND_STATEMENT && result->class != PG_ROLLED_BACK) {
        /* It was quicker than its cancel, or is of another history and nothing is known of it: the connection may be open. */
        agent_command_for(agent, &branch->pending, COMMAND_CLOSE)->as.close = branch->gid;
        return;
    }
    branch->certain = true;
    agent_branch_end(agent, branch, ACK_ROLLED_BACK, "before it was prepared");
}

/* ---- statements ---- */

static void statement_run(struct agent *agent, struct agent_branch *branch,
                          struct message_statement *statement)
{
    uint64_t deadline_ms = agent_deadline(agent, statement->remaining_ms);
    branch->deadline_ms = deadline_ms < branch->deadline_ms ? deadline_ms : branch->deadline_ms;
    branch->ordinal = statement->ordinal;
    blob_free(branch->results); /* its answer has arrived, or this one would not be sent */
    branch->results = NULL;
    agent_timer_set(agent, &branch->timer, UINT64_MAX);
    agent_branch_move(agent, branch, BRANCH_ANSWERING);
    struct command *command = agent_command_for(agent, &branch->pending, COMMAND_STATEMENT);
    command->as.statement = (struct command_statement){
        .execute = {.gid = branch->gid,
                    .isolation = branch->isolation,
                    .read_only = branch->is_declared_read_only,
                    .deadline_ms = branch->deadline_ms,
                    .work = statement->work},
        .ordinal = branch->ordinal,
    };
    statement->work = NULL;
}

static void statement_begin(struct agent *agent, struct agent_peer *peer,
                            struct message_statement *statement)
{
    struct gid gid = agent_gid_new(agent, &statement->gtrid);
    struct agent_branch *branch = agent_branch_new(agent, &gid);
    branch->session = peer->session;
    branch->deadline_ms = UINT64_MAX;
    branch->isolation = statement->isolation;
    branch->is_declared_read_only = statement->read_only;
    branch->read_only = command_execute_by_rollback(&(struct command_execute){
        .isolation = statement->isolation, .read_only = statement->read_only});
    statement_run(agent, branch, statement);
}

/* Its session is welcomed: with the end of that it would have been given up. */
static void answer_send(struct agent *agent, const struct agent_branch *branch)
{
    struct message *message = agent_send(agent, branch->session, MESSAGE_ANSWER);
    message->as.answer.gid = branch->gid;
    message->as.answer.ordinal = branch->ordinal;
    message->as.answer.results = blob_share(branch->results);
}

static void vote_unknown(struct agent *agent, uint64_t session, const struct gid *gid)
{
    struct agent_branch doubt = {
        .gid = *gid, .vote = VOTE_UNKNOWN, .failure = {.reason = REASON_PARTICIPANT_UNAVAILABLE}};
    agent_vote_again(agent, &doubt, session);
}

/* A STATEMENT or PREPARE where no statement is waited for: a copy of an old one, or its answer was lost. */
static void late_hear(struct agent *agent, const struct agent_peer *peer,
                      struct agent_branch *branch, bool is_prepare)
{
    switch (branch->state) {
    case BRANCH_PREPARED:
        if (is_prepare && branch->session == peer->session) {
            agent_vote_again(agent, branch, peer->session);
        }
        return;
    case BRANCH_LOOKING:
    case BRANCH_UNSURE:
    case BRANCH_DOUBTFUL:
    case BRANCH_UNOWNED:
    case BRANCH_VERIFYING: /* external: no coordinator sends it this */
        vote_unknown(agent, peer->session,
                     &branch->gid); /* P-3: not seen by this process, no yes */
        return;
    case BRANCH_CLOSING: /* given up, and its no may be lost */
    case BRANCH_DONE:
        if (branch->vote != 0 && branch->vote != VOTE_COMMIT) {
            agent_vote_again(agent, branch, peer->session);
        }
        return;
    case BRANCH_EXECUTING: /* PREPARE runs, the vote comes */
    case BRANCH_CANCELLING:
    case BRANCH_FINISHING:
    case BRANCH_PROVING:
    case BRANCH_PAUSED:
    case BRANCH_TELLING:
        return; /* decided already */
    case BRANCH_ANSWERING:
    case BRANCH_OPEN:
    case BRANCH_NEW:
    case BRANCH_STATE_COUNT:
        CHECK(!"the callers have looked at these");
    }
}

/* The attempt is not of this process, or was forgotten. An earlier process's backend may be at work on it (P-11), so this is doubt
 * and no certain no; after its abort there is nothing left to say. */
static void attempt_unknown(struct agent *agent, const struct agent_peer *peer,
                            const struct gid *gid)
{
    if (!agent_tombstone_has(agent, &gid->gtrid)) {
        agent_notice(agent, AGENT_NOTICE_REFUSED, gid, "its transaction is not open here");
        vote_unknown(agent, peer->session, gid);
    }
}

static void statement_hear(struct agent *agent, const struct agent_peer *peer,
                           struct agent_branch *branch, struct message_statement *statement)
{
    bool is_open = branch->state == BRANCH_OPEN;
    if (branch->session != peer->session) {
        branch->session = peer->session;
        agent_branch_give_up(agent, branch, REASON_PARTICIPANT_UNAVAILABLE);
    } else if (statement->ordinal == branch->ordinal && is_open) {
        answer_send(agent, branch); /* it was lost */
    } else if (statement->ordinal <= branch->ordinal) {
        return; /* it runs, or is a copy of one that was answered */
    } else if (statement->ordinal != branch->ordinal + 1 || !is_open) {
        agent_notice(agent, AGENT_NOTICE_REFUSED, &branch->gid,
                     "statement %llu came after %llu; one is missing",
                     (unsigned long long)statement->ordinal, (unsigned long long)branch->ordinal);
        agent_branch_give_up(agent, branch, REASON_PARTICIPANT_UNAVAILABLE);
    } else if (statement->remaining_ms == 0) {
        agent_branch_give_up(agent, branch, REASON_TIMEOUT);
    } else {
        statement_run(agent, branch, statement);
    }
}

static void statement_first(struct agent *agent, struct agent_peer *peer,
                            struct message_statement *statement)
{
    const struct agent_txn *txn = agent_txn_find(agent, &statement->gtrid);
    if (txn != NULL && txn->erase == NULL) {
        struct agent_branch *branch = agent_txn_spokesman(txn);
        if (branch_may_wait_for_statements(branch)) {
            statement_hear(agent, peer, branch, statement);
        } else {
            late_hear(agent, peer, branch, false);
        }
        return;
    }
    enum reason obstacle =
        agent_work_obstacle(agent, peer, &statement->gtrid, statement->remaining_ms);
    if (txn != NULL) {
        obstacle = REASON_TIMEOUT; /* P-9: the abort overtook it */
    }
    /* Waiting for a connection while other branches of the transaction hold theirs could be a deadlock. */
    if (obstacle == REASON_NONE && agent->interactive_count >= agent->config.interactive_max) {
        obstacle = REASON_CAPACITY;
    }
    if (obstacle != REASON_NONE) {
        agent_work_refuse(agent, peer->session, &statement->gtrid, obstacle);
        return;
    }
    statement_begin(agent, peer, statement);
}

void agent_statement(struct agent *agent, struct agent_peer *peer,
                     struct message_statement *statement)
{
    bool is_first = statement->ordinal == 1 && statement->attempt == 0;
    if (!agent_work_is_of(peer, &statement->gtrid) ||
        (!is_first && (statement->ordinal < 2 || statement->attempt == 0))) {
        agent->counters.fenced++;
        return;
    }
    if (is_first) {
        statement_first(agent, peer, statement);
        return;
    }
    struct gid gid = {.gtrid = statement->gtrid, .attempt = statement->attempt};
    agent_text_copy(gid.participant, sizeof(gid.participant), agent->config.participant);
    struct agent_branch *branch = agent_branch_find(agent, &gid);
    if (branch == NULL) {
        attempt_unknown(agent, peer, &gid);
    } else if (branch_may_wait_for_statements(branch)) {
        statement_hear(agent, peer, branch, statement);
    } else {
        late_hear(agent, peer, branch, false);
    }
}

void agent_answered(struct agent *agent, struct agent_branch *branch, struct command_result *result)
{
    switch (result->class) {
    case PG_OK:
        break;
    case PG_ROLLED_BACK:
        agent_branch_vote_no(agent, branch, result);
        return;
    case PG_NOT_FOUND:
    case PG_RETRY:
    case PG_REFUSED:
    case PG_UNKNOWN: /* P-14: of another history */
        agent_branch_move(agent, branch, BRANCH_OPEN);
        agent_branch_give_up(agent, branch, REASON_PARTICIPANT_UNAVAILABLE);
        return;
    }
    branch->results = result->results;
    result->results = NULL;
    agent_branch_move(agent, branch, BRANCH_OPEN);
    if (agent->is_draining) {
        agent_branch_give_up(agent, branch, REASON_SHUTDOWN);
        return;
    }
    agent_timer_set(agent, &branch->timer, branch->deadline_ms);
    answer_send(agent, branch);
}

/* ---- the list is closed ---- */

static void prepare_run(struct agent *agent, struct agent_branch *branch, uint64_t remaining_ms)
{
    uint64_t deadline_ms = agent_deadline(agent, remaining_ms);
    branch->deadline_ms = deadline_ms < branch->deadline_ms ? deadline_ms : branch->deadline_ms;
    blob_free(branch->results);
    branch->results = NULL;
    agent_timer_set(agent, &branch->timer, UINT64_MAX);
    agent_branch_move(agent, branch, BRANCH_EXECUTING);
    struct command *command = agent_command_for(agent, &branch->pending, COMMAND_PREPARE);
    command->as.prepare = (struct command_execute){
        .gid = branch->gid,
        .isolation = branch->isolation,
        .read_only = branch->is_declared_read_only,
        .deadline_ms = branch->deadline_ms,
    };
}

void agent_prepare(struct agent *agent, struct agent_peer *peer,
                   const struct message_prepare *prepare)
{
    if (!agent_work_is_of(peer, &prepare->gid.gtrid) || prepare->gid.attempt == 0) {
        agent->counters.fenced++;
        return;
    }
    struct agent_branch *branch = agent_branch_find(agent, &prepare->gid);
    if (branch == NULL) {
        attempt_unknown(agent, peer, &prepare->gid);
    } else if (!branch_may_wait_for_statements(branch)) {
        late_hear(agent, peer, branch, true);
    } else if (branch->session != peer->session) {
        branch->session = peer->session;
        agent_branch_give_up(agent, branch, REASON_PARTICIPANT_UNAVAILABLE);
    } else if (prepare->count != branch->ordinal || branch->state != BRANCH_OPEN) {
        agent_notice(agent, AGENT_NOTICE_REFUSED, &branch->gid,
                     "asked to prepare %llu statements, and knows %llu",
                     (unsigned long long)prepare->count, (unsigned long long)branch->ordinal);
        agent_branch_give_up(agent, branch, REASON_PARTICIPANT_UNAVAILABLE);
    } else if (prepare->remaining_ms == 0) {
        agent_branch_give_up(agent, branch, REASON_TIMEOUT); /* P-15 */
    } else {
        prepare_run(agent, branch, prepare->remaining_ms);
    }
}
