/* core_finish.c - after the decision: branches are told until each has acknowledged (P-5), then END. What
 * contradicts the decision is recorded as heuristic and kept until a person has acknowledged it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

/* Tells one branch if its participant listens. */
static void finish_tell(struct coord *coord, struct txn *txn, struct branch *branch,
                        struct coord_ready *ready)
{
    const struct participant *participant = coord->participants[branch->participant];
    if (!participant->welcomed) {
        return; /* WELCOME drives it again */
    }
    bool commit = branch->state == BRANCH_COMMITTING;
    bool again = branch->told_session == participant->session;
    branch->told_session = participant->session;
    if (commit) {
        struct message *message = ready_send(ready, participant->session, MESSAGE_COMMIT);
        message->as.commit.gid = branch->gid;
        message->as.commit.proof = branch->proof;
        if (again || txn->recovered) {
            coord->counters.commits_resent++;
            ready_notice(ready, COORD_NOTICE_REDRIVE, &txn->gtrid, participant->name, "commit");
        }
        txn_note(coord, txn, again ? "commit-sent-again" : "commit-sent", branch->participant,
                 NULL);
        return;
    }
    struct message *message = ready_send(ready, participant->session, MESSAGE_ROLLBACK);
    message->as.rollback.gtrid = txn->gtrid;
    /* Of an open branch the attempt is known before it votes. */
    message->as.rollback.has_gid = branch->gid.attempt != 0;
    if (message->as.rollback.has_gid) {
        message->as.rollback.gid = branch->gid;
        message->as.rollback.proof = branch->proof;
    }
    txn_note(coord, txn, again ? "rollback-sent-again" : "rollback-sent", branch->participant,
             NULL);
}

/* Tells every branch that has not acknowledged, and sets the time for the next repetition. */
void finish_drive(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    bool waiting = false;
    for (size_t i = 0; i < txn->branch_count; i++) {
        struct branch *branch = &txn->branches[i];
        if (branch->state == BRANCH_ROLLING_BACK &&
            coord->participants[branch->participant]->session == 0) {
            /* Nobody to tell. The agent's sweep finds what is prepared, asks, and hears ABORT (P-11). */
            branch_move(coord, branch, BRANCH_ROLLED_BACK);
            coord->participants[branch->participant]->left_number = coord->head.number + 1;
            txn_note(coord, txn, "left-to-sweep", branch->participant, NULL);
        }
        if (branch->state == BRANCH_COMMITTING || branch->state == BRANCH_ROLLING_BACK) {
            finish_tell(coord, txn, branch, ready);
            waiting = true;
        }
    }
    if (waiting) {
        uint64_t jitter =
            txn->retry_step_ms == 0 ? 0 : coord->random % (txn->retry_step_ms / 4 + 1);
        txn->retry_ms = coord->now_ms + txn->retry_step_ms + jitter;
        txn->retry_step_ms *= 2;
        if (txn->retry_step_ms > coord->config.retry_max_ms) {
            txn->retry_step_ms = coord->config.retry_max_ms;
        }
    } else {
        txn->retry_ms = UINT64_MAX;
    }
    txn_set_timer(coord, txn);
}

/* The COMMIT record is durable: now, and not before, it may be told (P-4). */
void finish_durable(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    txn_move(coord, txn, TXN_COMMITTING);
    coord->counters.committed++;
    txn_note(coord, txn, "commit-durable", NO_PARTICIPANT, NULL);
    ready_notice(ready, COORD_NOTICE_COMMITTED, &txn->gtrid, NULL, "%s", "");
    for (size_t i = 0; i < txn->branch_count; i++) {
        if (txn->branches[i].state == BRANCH_PREPARED) {
            branch_move(coord, &txn->branches[i], BRANCH_COMMITTING);
        }
    }
    txn->answer_by_ms = coord->now_ms + txn->timeout_ms;
    txn->retry_step_ms = coord->config.retry_min_ms;
    finish_drive(coord, txn, ready);
    txn_answer(coord, txn, false, ready);
    queue_run_committed(coord, txn, ready);
    finish_check(coord, txn, ready);
}

struct branch_tally {
    size_t open;      /* still to be told */
    size_t heuristic; /* contradicts the decision, not acknowledged by a person */
    size_t forgotten;
};

static struct branch_tally finish_tally(const struct txn *txn)
{
    struct branch_tally tally = {0};
    for (size_t i = 0; i < txn->branch_count; i++) {
        switch (txn->branches[i].state) {
        case BRANCH_IDLE:
        case BRANCH_WORKING:
        case BRANCH_PREPARED:
        case BRANCH_UNKNOWN:
        case BRANCH_COMMITTING:
        case BRANCH_ROLLING_BACK:
            tally.open++;
            break;
        case BRANCH_HEURISTIC_COMMIT:
        case BRANCH_HEURISTIC_ROLLBACK:
        case BRANCH_HAZARD:
            tally.heuristic++;
            break;
        case BRANCH_FORGOTTEN:
            tally.forgotten++;
            break;
        case BRANCH_READ_ONLY:
        case BRANCH_REFUSED:
        case BRANCH_COMMITTED:
        case BRANCH_ROLLED_BACK:
            break;
        }
    }
    return tally;
}

/* END: only after every branch has acknowledged, or a person has for it (P-5). Nothing hangs on when it
 * becomes durable: without it the COMMIT is driven once more and the proof says that it is done. */
static void finish_end(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    if (txn->decided_commit && !txn->end_recorded) {
        txn->end_recorded = true;
        struct record *record = ready_append(coord, ready, RECORD_END, false, NULL);
        record->as.end.gtrid = txn->gtrid;
        record->as.end.wall_ms = coord->wall_ms;
        record->as.end.running_ms = coord_running_ms(coord);
        ready_notice(ready, COORD_NOTICE_ENDED, &txn->gtrid, NULL, "%s", "");
    }
    txn->end_written = true;
    txn->ended_wall_ms = coord->wall_ms;
    txn_note(coord, txn, "ended", NO_PARTICIPANT, NULL);
}

/* Looks whether the transaction is over, after anything that may have ended a branch. */
void finish_check(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    struct branch_tally tally = finish_tally(txn);
    if (tally.open > 0 || tally.heuristic > 0 || txn->end_written) {
        txn_set_timer(coord, txn);
        queue_run_progress(coord, txn, ready);
        return;
    }
    switch (txn->state) {
    case TXN_COMMITTING:
        txn_move(coord, txn, TXN_COMMITTED);
        break;
    case TXN_ABORTING:
        txn_move(coord, txn, TXN_ABORTED);
        trim_note_abort(coord, txn);
        break;
    case TXN_HEURISTIC: /* stays what it was; only acknowledged */
        break;
    case TXN_QUEUED:
    case TXN_ACTIVE:
    case TXN_OPEN:
    case TXN_PREPARING:
    case TXN_DECIDING:
    case TXN_COMMITTED:
    case TXN_ABORTED:
    case TXN_DEAD:
        return;
    }
    finish_end(coord, txn, ready);
    txn_answer(coord, txn, true, ready);
    queue_run_progress(coord, txn, ready);
    txn_retire(coord, txn);
}

void finish_repeat_rollback(struct coord *coord, uint64_t session, const struct gid *gid,
                            const struct proof *proof, struct coord_ready *ready)
{
    struct message *message = ready_send(ready, session, MESSAGE_ROLLBACK);
    message->as.rollback.gtrid = gid->gtrid;
    message->as.rollback.has_gid = true;
    message->as.rollback.gid = *gid;
    message->as.rollback.proof = *proof;
    (void)coord;
}

/* A finished commit that is only in the journal, and what it had committed in a branch is gone: a database was set back,
 * its prepared row came again, and somebody rolled that back (P-14). NULL if the record does not name the gid. */
static struct txn *finish_bring_back_commit(struct coord *coord, const struct journal_entry *entry,
                                            const struct gid *gid)
{
    const struct record_commit *commit = &entry->commit.as.commit;
    bool is_named = false;
    for (size_t i = 0; i < commit->branch_count; i++) {
        is_named = is_named ||
                   (!commit->branches[i].read_only && gid_equal(&commit->branches[i].gid, gid));
    }
    /* Whether it has ended is no question: what had not would be in memory, but its END may not be written yet. */
    return is_named ? txn_from_finished(coord, commit) : NULL;
}

void finish_heuristic(struct coord *coord, struct txn *txn, struct branch *branch,
                      const struct message_ack *ack, struct coord_ready *ready)
{
    static const enum branch_state states[] = {
        [ACK_HEURISTIC_COMMIT] = BRANCH_HEURISTIC_COMMIT,
        [ACK_HEURISTIC_ROLLBACK] = BRANCH_HEURISTIC_ROLLBACK,
        [ACK_HAZARD] = BRANCH_HAZARD,
    };
    bool hazard = ack->ack == ACK_HAZARD;
    if (txn->end_written) {
        txn_revive(coord, txn);
        txn->end_written = false;
    }
    branch_move(coord, branch, states[ack->ack]);
    free(branch->detail);
    branch->detail = alloc_string(ack->detail);
    if (txn->state != TXN_HEURISTIC) {
        txn_move(coord, txn, TXN_HEURISTIC);
    }
    if (hazard) {
        coord->counters.hazards++;
    } else {
        coord->counters.heuristics++;
    }
    coord->participants[branch->participant]->heuristics++;
    uint64_t token = 0;
    struct record *record = ready_append(coord, ready, RECORD_HEURISTIC, true, &token);
    record->as.heuristic.gid = ack->gid;
    record->as.heuristic.ack = ack->ack;
    record->as.heuristic.wall_ms = coord->wall_ms;
    snprintf(record->as.heuristic.detail, sizeof(record->as.heuristic.detail), "%s", ack->detail);
    pending_add(coord, PENDING_HEURISTIC, token, &txn->gtrid, &(struct pending){.gid = ack->gid});
    txn->heuristic_pending++;
    txn_note(coord, txn, branch_state_text(branch->state), branch->participant, ack->detail);
    ready_notice(ready, hazard ? COORD_NOTICE_HAZARD : COORD_NOTICE_HEURISTIC, &txn->gtrid,
                 coord->participants[branch->participant]->name, "%s", ack->detail);
}

/* The participant was released: nobody will ever acknowledge, and a person may now say so with forget. */
void finish_released(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    for (size_t i = 0; i < txn->branch_count; i++) {
        struct branch *branch = &txn->branches[i];
        const struct participant *participant = coord->participants[branch->participant];
        if (branch->state == BRANCH_COMMITTING && !participant->configured &&
            !participant->must_report) {
            struct message_ack ack = {.gid = branch->gid, .ack = ACK_HAZARD};
            snprintf(ack.detail, sizeof(ack.detail), "%s",
                     "the participant was released before it had acknowledged");
            finish_heuristic(coord, txn, branch, &ack, ready);
        }
    }
}

/* Is this the gid that the record has committed here, or will? */
static bool finish_is_committed_by(const struct branch *branch, const struct gid *gid)
{
    return (branch->state == BRANCH_COMMITTING || branch->state == BRANCH_COMMITTED) &&
           gid_equal(&branch->gid, gid);
}

static void finish_ack_branch(struct coord *coord, struct txn *txn, struct branch *branch,
                              const struct message_ack *ack, struct coord_ready *ready)
{
    switch (ack->ack) {
    case ACK_COMMITTED:
        if (branch->state == BRANCH_COMMITTING && gid_equal(&branch->gid, &ack->gid)) {
            branch_move(coord, branch, BRANCH_COMMITTED);
            txn_note(coord, txn, "committed", branch->participant, ack->detail);
            finish_check(coord, txn, ready);
        }
        return;
    case ACK_ROLLED_BACK:
        /* By name it answers for that attempt only; a nameless one for all that the agent could find. */
        if (branch->state == BRANCH_ROLLING_BACK &&
            (!branch->has_gid || gid_equal(&branch->gid, &ack->gid))) {
            branch_move(coord, branch, BRANCH_ROLLED_BACK);
            txn_note(coord, txn, "rolled-back", branch->participant, ack->detail);
            finish_check(coord, txn, ready);
        }
        return;
    case ACK_HEURISTIC_ROLLBACK:
        if (finish_is_committed_by(branch, &ack->gid)) {
            finish_heuristic(coord, txn, branch, ack, ready);
        }
        return;
    case ACK_HEURISTIC_COMMIT:
        if (txn->state == TXN_DECIDING) {
            return; /* P-4: it may yet abort, with us; the agent repeats it */
        }
        if (txn->decided_commit && !(branch->has_gid && gid_equal(&branch->gid, &ack->gid))) {
            coord->counters.heuristics++; /* P-20: an attempt that nobody decided for */
            ready_notice(ready, COORD_NOTICE_HEURISTIC, &txn->gtrid, ack->gid.participant,
                         "another attempt of this branch was committed by hand: %.150s",
                         ack->detail);
            return;
        }
        if (branch->state == BRANCH_ROLLING_BACK || branch->state == BRANCH_ROLLED_BACK) {
            finish_heuristic(coord, txn, branch, ack, ready);
        }
        return;
    case ACK_HAZARD:
        if (finish_is_committed_by(branch, &ack->gid) || branch->state == BRANCH_ROLLING_BACK ||
            branch->state == BRANCH_ROLLED_BACK) {
            finish_heuristic(coord, txn, branch, ack, ready);
        }
        return;
    }
}

static bool ack_contradicts_abort(const struct message_ack *ack)
{
    return ack->ack == ACK_HEURISTIC_COMMIT || ack->ack == ACK_HAZARD;
}

static void finish_ack_known(struct coord *coord, uint32_t from, const struct message_ack *ack,
                             const struct coord_prior *prior, struct coord_ready *ready)
{
    struct txn *txn = txn_find(coord, &ack->gid.gtrid);
    if (txn == NULL && prior->found &&
        (ack->ack == ACK_HEURISTIC_ROLLBACK || ack->ack == ACK_HAZARD)) {
        txn = finish_bring_back_commit(coord, prior->entry, &ack->gid);
    }
    if (txn == NULL) {
        /* Retained means decided commit (another attempt's business, P-20); what this journal never gave out, or
         * has forgotten, is nothing that it could record anything about. */
        if (!ack_contradicts_abort(ack) || !prior->looked_up || prior->found ||
            coord_presume(coord, &ack->gid.gtrid) == VERDICT_UNKNOWN) {
            coord->counters.stale_messages++; /* a repetition for something that is over */
            return;
        }
        /* Committed by hand after all, and not known to this process (earlier epoch, or long ago): it comes back to memory
         * to be shown. */
        txn = txn_from_note(coord, &ack->gid);
    }
    struct branch *branch = txn_branch(coord, txn, coord->participants[from]->name);
    if (branch == NULL && txn_is_a_note(txn) && ack_contradicts_abort(ack)) {
        branch = txn_add_branch(coord, txn, &ack->gid);
    }
    if (branch == NULL) {
        coord->counters.stale_messages++;
        return;
    }
    finish_ack_branch(coord, txn, branch, ack, ready);
    if (!txn_is_finished(txn)) {
        txn_set_timer(coord, txn);
    }
}

/* H1. The agent repeats what contradicts an abort until it hears that it is on record, or is nothing to record. While the
 * journal cannot be read it is not answered: it comes again. */
static void finish_noted(const struct participant *participant, const struct gid *gid,
                         struct coord_ready *ready)
{
    if (participant->session != 0 && gid->attempt != 0) {
        struct message *message = ready_send(ready, participant->session, MESSAGE_VERDICT);
        message->as.verdict.gid = *gid;
        message->as.verdict.verdict = VERDICT_NOTED;
    }
}

void finish_heuristic_durable(struct coord *coord, const struct gid *gid, struct coord_ready *ready)
{
    struct txn *txn = txn_find(coord, &gid->gtrid);
    if (txn != NULL) {
        txn->heuristic_pending--;
        txn_mark_changed(coord, txn);
        txn_answer(coord, txn, false, ready);
        queue_run_progress(coord, txn, ready);
    }
    const struct participant *participant = peer_find(coord, gid->participant, NULL);
    CHECK(participant != NULL); /* it told of the outcome, and nobody is ever taken out */
    finish_noted(participant, gid, ready);
}

void finish_ack(struct coord *coord, uint32_t from, const struct message_ack *ack,
                const struct coord_prior *prior, struct coord_ready *ready)
{
    if (strcmp(ack->gid.participant, coord->participants[from]->name) != 0 ||
        !journal_id_equal(&ack->gid.gtrid.journal, &coord->config.journal)) {
        coord->counters.stale_messages++;
        return;
    }
    finish_ack_known(coord, from, ack, prior, ready);
    const struct txn *txn = txn_find(coord, &ack->gid.gtrid);
    /* While no decision is durable there is nothing to record: an external branch's earlier attempt was told to roll back (P-20), and
     * what a person made of that is judged when it ends. */
    bool is_open = txn != NULL && (txn_is_at_work(txn) || txn->state == TXN_DECIDING);
    bool is_settled = txn != NULL ? txn->heuristic_pending == 0 && !is_open : prior->looked_up;
    if (ack_contradicts_abort(ack) && is_settled) {
        finish_noted(coord->participants[from], &ack->gid, ready);
    }
}
