/*
 * branch_finish.c - the coordinator's word about a gid, carried out and acknowledged (P-6, P-7,
 * P-12, P-20).
 *
 * Only three things put a word on a branch that has voted: COMMIT, ROLLBACK and a VERDICT of COMMIT or ABORT. One that has not
 * is rolled back as well when its session is over (P-2).
 * Without a word, agent_branch_finish is a programmer's error: that is invariant I3, no agent resolves
 * alone.
 *
 * What if we die after COMMIT PREPARED and before the ACK? The coordinator asks again, the next
 * process finds nothing to commit, and the proof says committed (P-12).
 */
#include "common/check.h"
#include "participant/branch_internal.h"

static void ack_send(struct agent *agent, const struct agent_branch *branch, enum ack ack,
                     const char *detail)
{
    uint64_t session = agent_session_for(agent, &branch->gid.gtrid);
    if (session == 0) {
        return; /* whoever needs it asks again, and finds it in DONE or by the proof */
    }
    struct message *message = agent_send(agent, session, MESSAGE_ACK);
    message->as.ack.gid = branch->gid;
    message->as.ack.ack = ack;
    agent_text_copy(message->as.ack.detail, sizeof(message->as.ack.detail), detail);
}

void agent_branch_finish(struct agent *agent, struct agent_branch *branch)
{
    CHECK(branch->word != WORD_NONE);
    agent_timer_set(agent, &branch->timer, UINT64_MAX);
    agent_branch_move(agent, branch, BRANCH_FINISHING);
    struct command *command = agent_command_for(agent, &branch->pending, COMMAND_FINISH);
    command->as.finish.gid = branch->gid;
    command->as.finish.commit = branch->word == WORD_COMMIT;
    command->as.finish.proof = branch->proof;
}

static void branch_pause(struct agent *agent, struct agent_branch *branch, const char *detail)
{
    agent_branch_move(agent, branch, BRANCH_PAUSED);
    branch->tries++;
    uint64_t delay_ms =
        agent_backoff(agent, branch->tries, agent->config.retry_min_ms, agent->config.retry_max_ms);
    agent_timer_set(agent, &branch->timer, agent->now_ms + delay_ms);
    agent_notice(agent, AGENT_NOTICE_RETRYING, &branch->gid, "%s again in %u ms: %s",
                 branch->word == WORD_COMMIT ? "commit" : "roll back", (unsigned)delay_ms, detail);
}

void agent_branch_end(struct agent *agent, struct agent_branch *branch, enum ack ack,
                      const char *detail)
{
    switch (ack) {
    case ACK_COMMITTED:
        agent->counters.commits++;
        agent_notice(agent, AGENT_NOTICE_FINISHED, &branch->gid, "committed");
        break;
    case ACK_ROLLED_BACK:
        agent->counters.rollbacks++;
        agent_notice(agent, AGENT_NOTICE_FINISHED, &branch->gid, "rolled back");
        break;
    case ACK_HEURISTIC_COMMIT:
        agent->counters.heuristics++;
        agent_notice(agent, AGENT_NOTICE_HEURISTIC, &branch->gid,
                     "should be rolled back and is committed: %s", detail);
        break;
    case ACK_HEURISTIC_ROLLBACK:
        agent->counters.heuristics++;
        agent_notice(agent, AGENT_NOTICE_HEURISTIC, &branch->gid,
                     "should be committed and is gone: %s", detail);
        break;
    case ACK_HAZARD:
        agent->counters.hazards++;
        agent_notice(agent, AGENT_NOTICE_HAZARD, &branch->gid,
                     "not prepared any more, and nothing tells how it ended: %s", detail);
        break;
    }
    /* An abort needs no acknowledgement, so nobody asks again for what contradicts it: this side repeats it (H1). */
    bool is_contrary = branch->word == WORD_ROLLBACK && ack != ACK_ROLLED_BACK;
    branch->ack = ack;
    branch->tries = 0;
    if (is_contrary) {
        agent_branch_move(agent, branch, BRANCH_TELLING);
        agent_branch_tell(agent, branch, detail);
    } else {
        if (branch->asked_by_gid) {
            ack_send(agent, branch, ack, detail);
        }
        agent_branch_move(agent, branch, BRANCH_DONE);
    }
    struct agent_txn *txn = branch->txn;
    if (txn->erase != NULL && ack > txn->erase->ack) {
        txn->erase->ack = ack; /* the enum grows with how bad it is */
    }
    if (ack == ACK_HAZARD && !is_contrary) {
        /* No outcome to remember: asked again, it is looked at again. */
        struct agent_txn *kept = txn->erase != NULL ? txn : NULL;
        agent_branch_free(agent, branch);
        txn = kept;
    }
    if (txn != NULL) {
        agent_erase_check(agent, txn);
    }
}

void agent_branch_tell(struct agent *agent, struct agent_branch *branch, const char *detail)
{
    bool is_heard = agent_session_for(agent, &branch->gid.gtrid) != 0;
    ack_send(agent, branch, branch->ack, detail);
    branch->tries++;
    agent_timer_set(agent, &branch->timer,
                    is_heard ? agent->now_ms + agent_backoff(agent, branch->tries,
                                                             agent->config.retry_min_ms,
                                                             agent->config.retry_max_ms)
                             : UINT64_MAX); /* the welcome goes on with it */
}

/* H1. It is on record: whatever comes now finds the outcome, or looks again. */
static void branch_noted(struct agent *agent, struct agent_branch *branch)
{
    agent_branch_move(agent, branch, BRANCH_DONE);
    if (branch->ack == ACK_HAZARD) {
        agent_branch_free(agent, branch);
    }
}

/* P-12: "does not exist" is never an outcome by itself. */
void agent_branch_prove(struct agent *agent, struct agent_branch *branch)
{
    agent_branch_move(agent, branch, BRANCH_PROVING);
    branch->proves_commit = branch->word == WORD_COMMIT;
    struct command *command = agent_command_for(agent, &branch->pending, COMMAND_PROVE);
    command->as.prove = (struct command_prove){
        .gid = branch->gid,
        .proof = branch->proof,
        .expect_commit = branch->proves_commit,
        /* Whoever may prepare an external one is nobody that a fence could end. */
        .fence = !branch->certain && branch->proof.kind != PROOF_EXTERNAL,
    };
}

/* A right that is missing: it is tried again for ever, and an operator has to hear of it. What somebody prepared under the name of a
 * voted branch (P-20). */
static void finish_note(struct agent *agent, struct agent_branch *branch,
                        const struct command_result *result)
{
    bool is_refused = result->class == PG_REFUSED;
    if (is_refused) {
        agent_text_copy(agent->refused_text, sizeof(agent->refused_text), result->detail);
    }
    if (is_refused != branch->is_refused) {
        branch->is_refused = is_refused;
        agent->refused_count += is_refused;
        agent->refused_count -= !is_refused;
        agent->health_due = true;
    }
    if (result->was_another) {
        agent->counters.late_prepares++;
        agent_notice(agent, AGENT_NOTICE_LATE_PREPARE, &branch->gid, "%s", result->detail);
    }
}

void agent_finished(struct agent *agent, struct agent_branch *branch,
                    const struct command_result *result)
{
    bool is_commit = branch->word == WORD_COMMIT;
    finish_note(agent, branch, result);
    switch (result->class) {
    case PG_OK:
        agent_branch_end(agent, branch, is_commit ? ACK_COMMITTED : ACK_ROLLED_BACK, "");
        return;
    case PG_NOT_FOUND:
        agent_branch_prove(agent, branch);
        return;
    case PG_ROLLED_BACK: /* not an answer to FINISH: as good as none */
    case PG_RETRY:
    case PG_REFUSED:
    case PG_UNKNOWN:
        break;
    }
    branch_pause(agent, branch, result->detail);
}

/* After a LOOK that found nothing, and no word came meanwhile: only what is certain ends it (I3). */
static void proved_without_word(struct agent *agent, struct agent_branch *branch,
                                const struct command_result *result)
{
    if (result->class != PG_OK || result->proved == PROOF_SAYS_PREPARED) {
        agent_branch_unsure(agent, branch);
    } else if (result->proved == PROOF_SAYS_COMMITTED) {
        branch->prepared_ms = agent->now_ms;
        agent_branch_move(agent, branch, BRANCH_DOUBTFUL); /* by hand: the answer will contradict */
        agent_branch_await(agent, branch);
    } else {
        agent_branch_end(agent, branch, ACK_ROLLED_BACK, "it never prepared");
    }
}

void agent_proved(struct agent *agent, struct agent_branch *branch,
                  const struct command_result *result)
{
    bool is_commit = branch->word == WORD_COMMIT;
    if (branch->word == WORD_NONE) {
        proved_without_word(agent, branch, result);
        return;
    }
    if (result->class != PG_OK || is_commit != branch->proves_commit) {
        branch_pause(agent, branch,
                     result->class != PG_OK ? result->detail : "it was asked for another word");
        return;
    }
    switch (result->proved) {
    case PROOF_SAYS_PREPARED:
        branch_pause(agent, branch, "it is prepared after all");
        return;
    case PROOF_SAYS_COMMITTED:
        agent_branch_end(agent, branch, is_commit ? ACK_COMMITTED : ACK_HEURISTIC_COMMIT,
                         result->detail);
        return;
    case PROOF_SAYS_ABSENT:
        agent_branch_end(agent, branch, is_commit ? ACK_HEURISTIC_ROLLBACK : ACK_ROLLED_BACK,
                         result->detail);
        return;
    case PROOF_CANNOT_TELL:
        agent_branch_end(agent, branch, ACK_HAZARD, result->detail);
        return;
    }
    branch_pause(agent, branch, "the proof has no answer that this release knows");
}

static bool ack_agrees(enum ack ack, enum branch_word word)
{
    return word == WORD_COMMIT ? ack == ACK_COMMITTED || ack == ACK_HEURISTIC_ROLLBACK
                               : ack == ACK_ROLLED_BACK || ack == ACK_HEURISTIC_COMMIT;
}

/* A coordinator that has not heard our yes knows of an external branch no more than that it is one. */
static void proof_hear(struct agent_branch *branch, const struct proof *proof)
{
    bool says_less =
        proof->kind == PROOF_EXTERNAL && proof->xid8 == 0 && branch->proof.kind == PROOF_EXTERNAL;
    if (proof->kind != PROOF_NONE && !says_less) {
        branch->proof = *proof;
    }
}

/* A word about a branch that is known here. */
static void branch_hear(struct agent *agent, struct agent_branch *branch, enum branch_word word,
                        const struct proof *proof)
{
    bool is_over = branch->state == BRANCH_DONE || branch->state == BRANCH_TELLING;
    if (branch->word != WORD_NONE && branch->word != word && !is_over) {
        agent_notice(agent, AGENT_NOTICE_REFUSED, &branch->gid,
                     "the coordinator contradicts itself; its first word stands");
        return;
    }
    switch (branch->state) {
    case BRANCH_EXECUTING:
    case BRANCH_ANSWERING:
    case BRANCH_OPEN:
    case BRANCH_CLOSING:
        if (word == WORD_COMMIT) {
            /* Nobody can know this gid as voted: no vote has left (P-3). */
            agent_notice(agent, AGENT_NOTICE_REFUSED, &branch->gid,
                         "a commit came before the vote and was ignored");
            return;
        }
        branch->asked_by_gid = true;
        agent_branch_roll_back(agent, branch);
        return;
    case BRANCH_PREPARED:
    case BRANCH_DOUBTFUL:
    case BRANCH_UNOWNED:
        break;
    case BRANCH_CANCELLING:
    case BRANCH_LOOKING:
    case BRANCH_UNSURE:
    case BRANCH_FINISHING:
    case BRANCH_PROVING:
    case BRANCH_PAUSED:
    case BRANCH_VERIFYING:
        /* The word is kept; what runs now comes first and goes on with it (idempotent, P-7). */
        branch->word = word;
        branch->asked_by_gid = true;
        proof_hear(branch, proof);
        return;
    case BRANCH_TELLING:
    case BRANCH_DONE:
        if (ack_agrees(branch->ack, word)) {
            ack_send(agent, branch, branch->ack, "");
            return;
        }
        break; /* contrary to what was done: finishing again finds out what to say about it */
    case BRANCH_NEW:
    case BRANCH_STATE_COUNT:
        CHECK(!"a branch is never left in this state");
    }
    branch->word = word;
    branch->asked_by_gid = true;
    branch->tries = 0;
    proof_hear(branch, proof);
    agent_branch_finish(agent, branch);
}

/* A word about a gid that this process never heard of: normal after a restart. */
static void gid_hear(struct agent *agent, const struct gid *gid, enum branch_word word,
                     const struct proof *proof)
{
    if (agent->live_count >= BRANCH_LIVE_MAX) {
        return; /* the coordinator repeats it */
    }
    struct agent_branch *branch = agent_branch_new(agent, gid);
    branch->word = word;
    branch->proof = *proof;
    branch->asked_by_gid = true;
    agent_branch_finish(agent, branch);
}

void agent_commit(struct agent *agent, const struct message_commit *commit)
{
    if (commit->gid.attempt == 0) {
        agent->counters.fenced++; /* P-20: a COMMIT names an attempt */
        return;
    }
    struct agent_branch *branch = agent_branch_find(agent, &commit->gid);
    if (branch != NULL) {
        branch_hear(agent, branch, WORD_COMMIT, &commit->proof);
    } else {
        gid_hear(agent, &commit->gid, WORD_COMMIT, &commit->proof);
    }
}

void agent_rollback(struct agent *agent, const struct message_rollback *rollback)
{
    agent_tombstone_add(agent, &rollback->gtrid);
    if (!rollback->has_gid || rollback->gid.attempt == 0) {
        agent_erase_start(agent, &rollback->gtrid);
        return;
    }
    if (!gtrid_equal(&rollback->gtrid, &rollback->gid.gtrid)) {
        agent->counters.fenced++;
        return;
    }
    struct agent_branch *branch = agent_branch_find(agent, &rollback->gid);
    if (branch != NULL) {
        branch_hear(agent, branch, WORD_ROLLBACK, &rollback->proof);
    } else {
        gid_hear(agent, &rollback->gid, WORD_ROLLBACK, &rollback->proof);
    }
    /* The transaction is decided, so an attempt that still runs can only hold locks. */
    struct agent_txn *txn = agent_txn_find(agent, &rollback->gtrid);
    struct agent_branch *other = NULL;
    if (txn != NULL) {
        TAILQ_FOREACH(other, &txn->branches, siblings)
        {
            if (other->state == BRANCH_EXECUTING || other->state == BRANCH_ANSWERING ||
                other->state == BRANCH_OPEN) {
                agent_branch_roll_back(agent, other);
            }
        }
    }
}

/* P-8. A verdict about a gid that is not prepared here is an old answer: the sweep asks again if it
 * matters. */
void agent_verdict(struct agent *agent, const struct message_verdict *verdict)
{
    struct agent_branch *branch = agent_branch_find(agent, &verdict->gid);
    if (verdict->verdict == VERDICT_NOTED) {
        if (branch != NULL && branch->state == BRANCH_TELLING) {
            branch_noted(agent, branch);
        }
        return;
    }
    if (branch == NULL || (branch->state != BRANCH_PREPARED && branch->state != BRANCH_DOUBTFUL &&
                           branch->state != BRANCH_UNOWNED)) {
        return;
    }
    if (branch->compare_mark != 0 &&
        (verdict->verdict == VERDICT_COMMIT || verdict->verdict == VERDICT_UNKNOWN)) {
        /* Its outcome agrees, or is older than what can be judged. */
        agent_branch_free(agent, branch);
        return;
    }
    switch (verdict->verdict) {
    case VERDICT_COMMIT:
        branch_hear(agent, branch, WORD_COMMIT, &verdict->proof);
        return;
    case VERDICT_ABORT:
        branch_hear(agent, branch, WORD_ROLLBACK, &verdict->proof);
        return;
    case VERDICT_WAIT:
        if (branch->state == BRANCH_UNOWNED) {
            agent_branch_move(agent, branch, BRANCH_DOUBTFUL);
            agent_branch_await(agent, branch);
        }
        return; /* the timer asks again */
    case VERDICT_UNKNOWN:
        if (branch->state != BRANCH_UNOWNED) {
            agent_notice(agent, AGENT_NOTICE_UNKNOWN_OWNER, &branch->gid,
                         "its coordinator does not know it; nobody acts until a person decides");
            agent_branch_move(agent, branch, BRANCH_UNOWNED);
            branch->noticed_owner = true;
            agent_sweep_resolved(agent, branch); /* no floor waits for what nobody remembers */
            agent_branch_await(agent, branch);
        }
        return;
    case VERDICT_NOTED:
        return; /* handled above */
    }
}
