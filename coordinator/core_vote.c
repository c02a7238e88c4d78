/* core_vote.c - from WORK to the decision: votes are a set by full gid and session (P-7), and until the
 * decision silence and doubt count as no (P-2). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

/* Also the place where a participant that went away while the transaction waited for admission is seen. */
void vote_start(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    for (size_t i = 0; i < txn->branch_count; i++) {
        const struct participant *participant = coord->participants[txn->branches[i].participant];
        if (!peer_ready(participant)) {
            vote_abort(coord, txn, REASON_PARTICIPANT_UNAVAILABLE, txn->branches[i].participant,
                       "the participant became unavailable", ready);
            return;
        }
    }
    txn_move(coord, txn, TXN_PREPARING);
    for (size_t i = 0; i < txn->branch_count; i++) {
        struct branch *branch = &txn->branches[i];
        const struct participant *participant = coord->participants[branch->participant];
        branch_move(coord, branch, BRANCH_WORKING);
        branch->session = participant->session;
        struct message *message = ready_send(ready, branch->session, MESSAGE_WORK);
        message->as.work = (struct message_work){
            .gtrid = txn->gtrid,
            .remaining_ms = txn->deadline_ms - coord->now_ms,
            .isolation = branch->isolation,
            .read_only = branch->read_only,
            .work = branch->work,
        };
        branch->work = NULL; /* one attempt only: another needs another transaction */
        txn_note(coord, txn, "work-sent", branch->participant, NULL);
    }
    txn_set_timer(coord, txn);
}

/* P-2: only before the COMMIT record was handed to the journal. */
void vote_abort(struct coord *coord, struct txn *txn, enum reason reason, uint32_t participant,
                const char *text, struct coord_ready *ready)
{
    CHECK(!txn->decided_commit);
    txn_move(coord, txn, TXN_ABORTING);
    txn->failed_participant = participant;
    if (txn->failure.reason == REASON_NONE) {
        txn->failure.reason = reason;
    }
    if (text != NULL) {
        snprintf(txn->failure_text, sizeof(txn->failure_text), "%s", text);
    }
    coord->counters.aborted[txn->failure.reason]++;
    txn->decided_wall_ms = coord->wall_ms;
    txn_note(coord, txn, "decided-abort", participant, reason_text(txn->failure.reason));
    ready_notice(ready, COORD_NOTICE_ABORTED, &txn->gtrid,
                 participant == NO_PARTICIPANT ? NULL : coord->participants[participant]->name,
                 "%s", reason_text(txn->failure.reason));
    for (size_t i = 0; i < txn->branch_count; i++) {
        struct branch *branch = &txn->branches[i];
        switch (branch->state) {
        case BRANCH_IDLE:
            branch_move(coord, branch, BRANCH_ROLLED_BACK);
            break;
        case BRANCH_WORKING:
        case BRANCH_PREPARED:
        case BRANCH_UNKNOWN:
            branch_move(coord, branch, BRANCH_ROLLING_BACK);
            break;
        case BRANCH_READ_ONLY:
        case BRANCH_REFUSED:
            break;
        case BRANCH_COMMITTING:
        case BRANCH_COMMITTED:
        case BRANCH_ROLLING_BACK:
        case BRANCH_ROLLED_BACK:
        case BRANCH_HEURISTIC_COMMIT:
        case BRANCH_HEURISTIC_ROLLBACK:
        case BRANCH_HAZARD:
        case BRANCH_FORGOTTEN:
            CHECK(!"not before a decision");
        }
    }
    interactive_aborted(coord, txn, ready);
    txn_answer(coord, txn, true, ready);
    queue_run_aborted(coord, txn, ready);
    txn->retry_step_ms = coord->config.retry_min_ms;
    finish_drive(coord, txn, ready);
    finish_check(coord, txn, ready);
}

static void vote_fill_record(const struct coord *coord, const struct txn *txn,
                             struct record_commit *record)
{
    record->gtrid = txn->gtrid;
    record->wall_ms = coord->wall_ms;
    record->key_bytes = txn->key_bytes;
    if (txn->key_bytes > 0) {
        memcpy(record->key, txn->key, txn->key_bytes);
    }
    memcpy(record->body_hash, txn->body_hash, BODY_HASH_BYTES);
    if (txn->request != NULL) {
        const struct request *request = txn->request;
        record->has_request = true;
        record->request.id = request->id;
        record->request.attempts = request->attempts;
        record->request.accepted_wall_ms = request->accepted_wall_ms;
        if (request->queue != NULL) {
            memcpy(record->request.queue, request->queue->name, sizeof(record->request.queue));
        }
    }
    record->branch_count = txn->branch_count;
    record->branches = alloc_array(txn->branch_count, sizeof(record->branches[0]));
    for (size_t i = 0; i < txn->branch_count; i++) {
        const struct branch *branch = &txn->branches[i];
        struct record_branch *to = &record->branches[i];
        to->read_only = branch->state == BRANCH_READ_ONLY;
        to->gid = branch->gid;
        to->proof = branch->proof;
        to->results = blob_share(branch->results);
    }
}

/* Every branch said yes in time: the COMMIT record goes to the journal; from here nothing may abort (P-2). */
void vote_decide(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    if (coord->now_ms >= txn->deadline_ms) { /* a process that was stopped looks again (P-15) */
        vote_abort(coord, txn, REASON_TIMEOUT, NO_PARTICIPANT,
                   "the deadline passed before every branch had voted", ready);
        return;
    }
    uint64_t token = 0;
    struct record *record = ready_append(coord, ready, RECORD_COMMIT, true, &token);
    vote_fill_record(coord, txn, &record->as.commit);
    for (size_t i = 0; i < txn->branch_count; i++) {
        txn->branches[i].recorded = txn->branches[i].has_gid;
    }
    txn->decided_commit = true;
    txn->decided_wall_ms = coord->wall_ms;
    txn_move(coord, txn, TXN_DECIDING);
    txn_note(coord, txn, "decided-commit", NO_PARTICIPANT, NULL);
    pending_add(coord, PENDING_COMMIT, token, &txn->gtrid, NULL);
    txn_set_timer(coord, txn);
}

static bool vote_all_in(const struct txn *txn)
{
    for (size_t i = 0; i < txn->branch_count; i++) {
        if (txn->branches[i].state != BRANCH_PREPARED &&
            txn->branches[i].state != BRANCH_READ_ONLY) {
            return false;
        }
    }
    return true;
}

static void vote_yes(struct coord *coord, struct txn *txn, struct branch *branch,
                     struct message_vote *vote, struct coord_ready *ready)
{
    bool read_only = vote->vote == VOTE_READONLY;
    branch_move(coord, branch, read_only ? BRANCH_READ_ONLY : BRANCH_PREPARED);
    branch->has_gid = !read_only;
    if (!read_only) {
        branch->gid = vote->gid;
        branch->proof = vote->proof;
    } else { /* nothing to finish: the record still names participant and transaction */
        branch->gid = vote->gid;
        branch->gid.attempt = 0;
    }
    branch->results = vote->results;
    vote->results = NULL;
    coord->participants[branch->participant]->votes_yes++;
    audit_learn(coord->participants[branch->participant], &branch->proof);
    txn_note(coord, txn, read_only ? "voted-read-only" : "voted-commit", branch->participant,
             vote->owner[0] != '\0' ? vote->owner : NULL);
    if (vote_all_in(txn)) {
        vote_decide(coord, txn, ready);
    }
}

/* What an agent refuses before it has asked its database comes without words: then NULL, or ours, which name the setting. */
static const char *refusal_text(const struct txn *txn)
{
    if (txn->failure.reason != REASON_CAPACITY || txn->failure.report != NULL) {
        return NULL;
    }
    return txn->interactive != NULL
               ? "the agent has no place for another interactive branch (its setting "
                 "\"interactive\")"
               : "the agent has no place for another branch: too many are unfinished there";
}

static void vote_no(struct coord *coord, struct txn *txn, struct branch *branch,
                    struct message_vote *vote, struct coord_ready *ready)
{
    /* A no after a yes is no promise that nothing is prepared: doubt. */
    bool unknown = vote->vote == VOTE_UNKNOWN || branch->state == BRANCH_PREPARED;
    /* Nor is the no to an external one: its row may be there, or come, and is told to roll back. */
    bool may_be_there = unknown || branch->is_external;
    branch_move(coord, branch, may_be_there ? BRANCH_UNKNOWN : BRANCH_REFUSED);
    if (may_be_there && vote->gid.attempt != 0) {
        branch->has_gid = true; /* its late prepare is told by name to roll back (P-11) */
        branch->gid = vote->gid;
    }
    coord->participants[branch->participant]->votes_no++;
    failure_done(&txn->failure);
    txn->failure = vote->failure;
    memset(&vote->failure, 0, sizeof(vote->failure));
    enum reason reason = unknown ? REASON_PARTICIPANT_UNAVAILABLE : REASON_STATEMENT_FAILED;
    txn_note(coord, txn, unknown ? "voted-unknown" : "voted-abort", branch->participant,
             reason_text(txn->failure.reason == REASON_NONE ? reason : txn->failure.reason));
    vote_abort(coord, txn, reason, branch->participant, refusal_text(txn), ready);
}

/* A yes for something that is not going to commit: say so, or its row stays until the sweep asks. */
static void vote_stale(struct coord *coord, const struct txn *txn, uint64_t session,
                       const struct message_vote *vote, struct coord_ready *ready)
{
    coord->counters.stale_messages++;
    if (txn_is_a_note(txn) && coord_presume(coord, &txn->gtrid) != VERDICT_ABORT) {
        return; /* its COMMIT may have been forgotten */
    }
    if (vote->gid.attempt != 0 && (vote->vote == VOTE_COMMIT || vote->vote == VOTE_UNKNOWN)) {
        finish_repeat_rollback(coord, session, &vote->gid, &vote->proof, ready);
    }
}

void vote_step(struct coord *coord, uint32_t from, uint64_t session, struct message_vote *vote,
               struct coord_ready *ready)
{
    const struct participant *sender = coord->participants[from];
    if (strcmp(vote->gid.participant, sender->name) != 0 ||
        !journal_id_equal(&vote->gid.gtrid.journal, &coord->config.journal)) {
        coord->counters.stale_messages++; /* nobody votes for somebody else */
        return;
    }
    struct txn *txn = txn_find(coord, &vote->gid.gtrid);
    struct branch *branch = txn == NULL ? NULL : txn_branch(coord, txn, sender->name);
    if (branch == NULL) {
        /* Of an earlier epoch or forgotten: only the inquiry's full look into the journal may tell what
         * became of it (P-8), so nothing is said here. */
        coord->counters.stale_messages++;
        return;
    }
    /* P-22: of an interactive branch the attempt that answered its statements, and no other. */
    bool is_attempt = branch->gid.attempt == 0 || gid_equal(&branch->gid, &vote->gid);
    bool is_first = branch->state == BRANCH_WORKING && branch->session == session && is_attempt;
    bool is_taken_back = txn->state == TXN_PREPARING && branch->state == BRANCH_PREPARED &&
                         (vote->vote == VOTE_UNKNOWN || vote->vote == VOTE_ABORT) &&
                         gid_equal(&branch->gid, &vote->gid);
    if (txn->state == TXN_OPEN && is_first) {
        /* A statement failed, or the branch was lost. A yes that nobody asked for is doubt. */
        if (vote->vote == VOTE_COMMIT || vote->vote == VOTE_READONLY) {
            vote->vote = VOTE_UNKNOWN;
        }
        vote_no(coord, txn, branch, vote, ready);
        return;
    }
    if (txn->state == TXN_PREPARING && (is_first || is_taken_back)) {
        switch (vote->vote) {
        case VOTE_COMMIT:
            if (vote->gid.attempt == 0) {
                coord->counters.stale_messages++; /* a yes names what it prepared */
                return;
            }
            if (!external_fits(branch, &vote->proof) || !audit_accepts(sender, &vote->proof)) {
                vote->vote =
                    VOTE_UNKNOWN; /* P-14: of a database that no WELCOME has told of; P-20 */
                vote->failure.reason = REASON_PARTICIPANT_UNAVAILABLE;
                vote_no(coord, txn, branch, vote, ready);
                return;
            }
            vote_yes(coord, txn, branch, vote, ready);
            return;
        case VOTE_READONLY:
            if (!branch->read_only || branch->isolation == ISOLATION_SERIALIZABLE) {
                vote->failure.reason = REASON_PARTICIPANT_UNAVAILABLE;
                vote_no(coord, txn, branch, vote, ready); /* P-19: only a declared one may */
                return;
            }
            vote_yes(coord, txn, branch, vote, ready);
            return;
        case VOTE_ABORT:
        case VOTE_UNKNOWN:
            vote_no(coord, txn, branch, vote, ready);
            return;
        }
        return;
    }
    bool is_the_recorded_one =
        txn->decided_commit && branch->recorded && gid_equal(&branch->gid, &vote->gid);
    bool is_counted =
        txn->state == TXN_PREPARING && branch->has_gid && gid_equal(&branch->gid, &vote->gid);
    if (!is_the_recorded_one && !is_counted) {
        vote_stale(coord, txn, session, vote, ready);
    }
}
