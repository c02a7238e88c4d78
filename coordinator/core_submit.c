/* core_submit.c - SUBMIT: what can be refused at once, keys (P-18), and admission in order of arrival. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "coordinator/core_internal.h"

void submit_refuse(struct coord *coord, uint64_t call, enum reason reason, const char *participant,
                   const char *text, struct coord_ready *ready)
{
    struct api_answer *answer = ready_answer(ready, call, API_REFUSED);
    answer->reason = reason;
    answer->retry_after_s = 1;
    snprintf(answer->text, sizeof(answer->text), "%s", text);
    if (participant != NULL) {
        snprintf(answer->participant, sizeof(answer->participant), "%s", participant);
    }
    coord->counters.refused[reason]++;
}

/* True if the key settles the request: an earlier one is joined, replayed or contradicted. */
static bool submit_by_key(struct coord *coord, struct coord_event *event, struct coord_ready *ready)
{
    const struct submission *submission = event->submission;
    if (submission->key_bytes == 0 || !coord->running) {
        return false;
    }
    const uint8_t *known_hash = NULL;
    struct txn *txn = txn_find_key(coord, submission->key, submission->key_bytes);
    const struct journal_entry *entry = event->prior.found ? event->prior.entry : NULL;
    if (txn != NULL && (txn->state == TXN_ABORTING || txn->state == TXN_ABORTED)) {
        return false; /* nothing happened, so the key may run again; the journal has no COMMIT of it */
    }
    if (txn != NULL) {
        known_hash = txn->body_hash;
    } else if (entry != NULL) {
        known_hash = entry->commit.as.commit.body_hash;
    } else {
        return false;
    }
    if (memcmp(known_hash, submission->body_hash, BODY_HASH_BYTES) != 0) {
        coord->counters.key_conflicts++;
        ready_answer(ready, event->call, API_KEY_CONFLICT);
        return true;
    }
    if (txn != NULL) {
        txn_wait(txn, event->call, submission->ack, true);
        if (txn->answer_by_ms == UINT64_MAX) { /* recovered: nobody had waited for it yet */
            txn->answer_by_ms = coord->now_ms + submission->timeout_ms;
        }
        txn_answer(coord, txn, false, ready);
        txn_set_timer(coord, txn);
        return true;
    }
    struct api_answer *answer = ready_answer(ready, event->call, API_OK);
    answer->replayed = true;
    answer->views = alloc_zeroed(sizeof(answer->views[0]));
    answer->view_count = 1;
    coord_view_entry(entry, false, &answer->views[0]);
    coord->counters.replayed++;
    return true;
}

/* True if it was refused, whether it was to run now or later. */
static bool submit_is_out(struct coord *coord, struct coord_event *event, struct coord_ready *ready)
{
    const struct submission *submission = event->submission;
    for (size_t i = 0; i < submission->branch_count; i++) {
        const char *name = submission->branches[i].participant;
        const struct participant *participant = peer_find(coord, name, NULL);
        if (participant == NULL || !participant->configured) {
            struct api_answer *answer = ready_answer(ready, event->call, API_UNKNOWN_PARTICIPANT);
            snprintf(answer->participant, sizeof(answer->participant), "%s", name);
            return true;
        }
    }
    if (coord->draining || !coord->running) {
        submit_refuse(coord, event->call, REASON_SHUTDOWN, NULL,
                      coord->draining ? "the coordinator is shutting down"
                                      : "the coordinator is starting",
                      ready);
        return true;
    }
    if (!coord->space_ok) {
        submit_refuse(coord, event->call, REASON_CAPACITY, NULL,
                      "the journal's disk is nearly full: only decided work is finished", ready);
        return true;
    }
    return false;
}

/* True if it cannot run now. */
static bool submit_is_refused(struct coord *coord, struct coord_event *event,
                              struct coord_ready *ready)
{
    const struct submission *submission = event->submission;
    for (size_t i = 0; i < submission->branch_count; i++) {
        const struct participant *participant =
            peer_find(coord, submission->branches[i].participant, NULL);
        if (!peer_ready(participant)) {
            submit_refuse(coord, event->call, REASON_PARTICIPANT_UNAVAILABLE, participant->name,
                          participant->text[0] != '\0' ? participant->text
                                                       : "the participant is not connected",
                          ready);
            return true;
        }
    }
    if (coord->queued_count >= coord->config.max_queued) {
        char text[HEALTH_TEXT_SIZE];
        snprintf(text, sizeof(text), "max_queued: %" PRIu32 " transactions are waiting already",
                 coord->config.max_queued);
        submit_refuse(coord, event->call, REASON_OVERLOAD, NULL, text, ready);
        return true;
    }
    if (coord->queued_bytes >= coord->config.max_queued_bytes) {
        submit_refuse(coord, event->call, REASON_OVERLOAD, NULL,
                      "the statements of the waiting transactions take up all the memory for them",
                      ready);
        return true;
    }
    return false;
}

static struct txn *submit_make(struct coord *coord, struct coord_event *event)
{
    struct submission *submission = event->submission;
    struct gtrid gtrid = {.journal = coord->config.journal,
                          .epoch = coord->epoch,
                          .epoch_nonce = coord->epoch_nonce,
                          .sequence = ++coord->next_sequence};
    struct txn *txn = txn_new(coord, &gtrid, submission->branch_count);
    txn->created_wall_ms = coord->wall_ms;
    txn->timeout_ms = submission->timeout_ms;
    txn->deadline_ms = coord->now_ms + submission->timeout_ms;
    memcpy(txn->body_hash, submission->body_hash, BODY_HASH_BYTES);
    txn_set_key(coord, txn, submission->key, submission->key_bytes);
    for (size_t i = 0; i < submission->branch_count; i++) {
        struct submission_branch *from = &submission->branches[i];
        struct branch *branch = &txn->branches[i];
        peer_find(coord, from->participant, &branch->participant);
        branch->isolation = from->isolation;
        branch->read_only = from->read_only;
        branch->work = blob_share(from->work);
        txn->held_bytes += branch->work == NULL ? 0 : branch->work->size_bytes;
    }
    txn_wait(txn, event->call, submission->ack, false);
    txn_note(coord, txn, "submitted", NO_PARTICIPANT, NULL);
    coord->counters.submitted++;
    return txn;
}

void submit_step(struct coord *coord, struct coord_event *event, struct coord_ready *ready)
{
    if (accept_by_key(coord, event, ready) || submit_by_key(coord, event, ready) ||
        submit_is_out(coord, event, ready)) {
        return;
    }
    if (event->submission->is_async) {
        accept_step(coord, event, ready);
        return;
    }
    if (submit_is_refused(coord, event, ready)) {
        return;
    }
    struct txn *txn = submit_make(coord, event);
    txn->queue_previous = coord->queue_last;
    if (coord->queue_last != NULL) {
        coord->queue_last->queue_next = txn;
    } else {
        coord->queue_first = txn;
    }
    coord->queue_last = txn;
    coord->queued_count++;
    coord->queued_bytes += txn->held_bytes;
    txn_set_timer(coord, txn);
    submit_admit(coord, ready);
}

void submit_unqueue(struct coord *coord, struct txn *txn)
{
    if (txn->queue_previous != NULL) {
        txn->queue_previous->queue_next = txn->queue_next;
    } else {
        coord->queue_first = txn->queue_next;
    }
    if (txn->queue_next != NULL) {
        txn->queue_next->queue_previous = txn->queue_previous;
    } else {
        coord->queue_last = txn->queue_previous;
    }
    txn->queue_previous = NULL;
    txn->queue_next = NULL;
    coord->queued_count--;
    coord->queued_bytes -= txn->held_bytes;
    txn->held_bytes = 0;
}

/* A bounded number of transactions is open in the databases at once; beyond the bound PostgreSQL gets
 * slower for everybody, so the rest waits here, in order. */
void submit_admit(struct coord *coord, struct coord_ready *ready)
{
    while (coord->queue_first != NULL && coord->active_count < coord->config.max_active) {
        struct txn *txn = coord->queue_first;
        submit_unqueue(coord, txn);
        coord->requests.is_next = true;
        vote_start(coord, txn, ready);
    }
}
