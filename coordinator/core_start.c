/* core_start.c - recovery: what the journal's live records mean (P-4, P-8, H1), and this start's EPOCH (P-1, P-10). */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

/* Recovery: a COMMIT without END is driven again, once EPOCH is durable. */
static void start_commit(struct coord *coord, const struct record_commit *commit,
                         struct coord_ready *ready)
{
    if (txn_find(coord, &commit->gtrid) != NULL) {
        return; /* appended again by trimming: the same record */
    }
    const struct txn *txn = txn_from_record(coord, commit);
    ready_notice(ready, COORD_NOTICE_RECOVERED, &txn->gtrid, NULL, "%s",
                 "decided commit, not finished");
}

static void start_heuristic(struct coord *coord, const struct record_heuristic *heuristic)
{
    struct txn *txn = txn_find(coord, &heuristic->gid.gtrid);
    if (txn == NULL) { /* of an aborted transaction: there is no COMMIT record */
        txn = txn_from_note(coord, &heuristic->gid);
    }
    struct branch *branch = txn_branch(coord, txn, heuristic->gid.participant);
    if (branch == NULL) {
        branch = txn_add_branch(coord, txn, &heuristic->gid);
    }
    if ((branch->state == BRANCH_COMMITTING || branch->state == BRANCH_COMMITTED) &&
        heuristic->ack == ACK_HEURISTIC_COMMIT) {
        return; /* what is decided commit and found committed is no contradiction */
    }
    if (branch->state == BRANCH_COMMITTING || branch->state == BRANCH_ROLLING_BACK ||
        branch->state == BRANCH_COMMITTED) {
        /* A rollback contradicts a COMMIT; where that one is forgotten by now, what was decided can not be told. */
        bool rolled_back = heuristic->ack == ACK_HEURISTIC_ROLLBACK && txn->decided_commit;
        branch_move(coord, branch,
                    rolled_back                              ? BRANCH_HEURISTIC_ROLLBACK
                    : heuristic->ack == ACK_HEURISTIC_COMMIT ? BRANCH_HEURISTIC_COMMIT
                                                             : BRANCH_HAZARD);
        free(branch->detail);
        branch->detail = alloc_string(heuristic->detail);
    }
    if (txn->state != TXN_HEURISTIC) {
        txn_move(coord, txn, TXN_HEURISTIC);
    }
}

static void start_resolved(struct coord *coord, const struct record_resolved *resolved)
{
    struct txn *txn = txn_find(coord, &resolved->gtrid);
    struct branch *branch = txn == NULL ? NULL : txn_branch(coord, txn, resolved->participant);
    if (branch == NULL) {
        return;
    }
    bool heuristic = branch->state == BRANCH_HEURISTIC_COMMIT ||
                     branch->state == BRANCH_HEURISTIC_ROLLBACK || branch->state == BRANCH_HAZARD;
    if (heuristic && resolved->action == RESOLVE_FORGET) {
        branch_move(coord, branch, BRANCH_FORGOTTEN);
    } else if (heuristic && resolved->action == RESOLVE_COMMIT && txn->decided_commit) {
        branch_move(coord, branch, BRANCH_COMMITTING);
    }
}

/* A person judged a branch that P-8 has no answer for: that holds until it is done, over any restart. */
static void start_verdict(struct coord *coord, const struct record_resolved *resolved)
{
    if (resolved->action != RESOLVE_FORGET &&
        coord_is_unjudged(coord, txn_find(coord, &resolved->gtrid), &resolved->gtrid)) {
        resolve_force(coord, &resolved->gtrid, resolved->participant, resolved->action);
    }
}

/* Retained for a heuristic outcome although every branch had acknowledged: not driven and not ended again. */
static void start_end(struct coord *coord, const struct record_end *end)
{
    struct txn *txn = txn_find(coord, &end->gtrid);
    if (txn == NULL) {
        return;
    }
    txn->end_recorded = true;
    for (size_t i = 0; i < txn->branch_count; i++) {
        if (txn->branches[i].state == BRANCH_COMMITTING) {
            branch_move(coord, &txn->branches[i], BRANCH_COMMITTED);
        }
    }
}

static void start_epoch(struct coord *coord, const struct journal_state *state,
                        struct coord_ready *ready)
{
    coord->epoch = state->last_epoch + 1;
    coord->epoch_nonce = coord->random;
    coord->epoch_number = state->head.number + 1; /* P-16: no gaps */
    coord->epoch_entries = alloc_array(state->epoch_count + 1, sizeof(coord->epoch_entries[0]));
    for (size_t i = 0; i < state->epoch_count; i++) {
        coord->epoch_entries[coord->epoch_entry_count++] = state->epochs[i];
    }
    coord->epoch_entries[coord->epoch_entry_count++] =
        (struct epoch_entry){.epoch = coord->epoch, .nonce = coord->epoch_nonce};
    uint64_t token = 0;
    struct record *record = ready_append(coord, ready, RECORD_EPOCH, true, &token);
    struct record_epoch *epoch = &record->as.epoch;
    epoch->epoch = coord->epoch;
    epoch->nonce = coord->epoch_nonce;
    epoch->participants = alloc_array(coord->participant_count, sizeof(epoch->participants[0]));
    for (size_t i = 0; i < coord->participant_count; i++) {
        const struct participant *participant = coord->participants[i];
        if (participant->configured || participant->must_report) { /* not the released ones */
            memcpy(epoch->participants[epoch->participant_count++], participant->name,
                   PARTICIPANT_NAME_SIZE);
        }
    }
    pending_add(coord, PENDING_EPOCH, token, NULL, NULL);
}

void start_step(struct coord *coord, const struct coord_event *event, struct coord_ready *ready)
{
    const struct journal_state *state = event->state;
    CHECK(coord->epoch == 0);
    coord->head = state->head;
    coord->floor = state->floor;
    coord->running_base_ms = state->running_ms;
    for (size_t i = 0; i < state->participant_count; i++) {
        peer_get(coord, state->participants[i], NULL)->must_report = true;
    }
    for (size_t i = 0; i < event->record_count; i++) {
        const struct record *record = &event->records[i];
        switch (record->kind) {
        case RECORD_COMMIT:
            start_commit(coord, &record->as.commit, ready);
            break;
        case RECORD_HEURISTIC:
            start_heuristic(coord, &record->as.heuristic);
            break;
        case RECORD_RESOLVED:
            start_resolved(coord, &record->as.resolved);
            break;
        case RECORD_END:
            start_end(coord, &record->as.end);
            break;
        case RECORD_ACCEPT:
        case RECORD_REFUSED:
        case RECORD_REQUEUED:
        case RECORD_DROPPED:
            accept_recover(coord, record);
            break;
        case RECORD_EPOCH:
        case RECORD_FLOOR:
        case RECORD_RELEASE:
        case RECORD_ADOPT:
            break;
        }
    }
    accept_recovered(coord, ready);
    start_epoch(coord, state, ready);
    for (size_t i = 0; i < event->record_count; i++) { /* now that every transaction is known */
        if (event->records[i].kind == RECORD_RESOLVED) {
            start_verdict(coord, &event->records[i].as.resolved);
        }
    }
}
