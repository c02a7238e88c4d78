/* core_queue.c - in which order accepted requests run, and what becomes of their runs (docs/adr/0017). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

/* ---- places ---- */

static struct place_list *place_list(struct coord *coord, enum request_place place)
{
    switch (place) {
    case PLACE_READY:
        return &coord->requests.ready;
    case PLACE_PARKED:
        return &coord->requests.parked;
    case PLACE_NONE:
    case PLACE_BACKOFF: /* the heap of timers has it */
        break;
    }
    return NULL;
}

void queue_unplace(struct coord *coord, struct request *request)
{
    struct place_list *list = place_list(coord, request->place);
    if (list != NULL) {
        *(request->place_previous != NULL ? &request->place_previous->place_next : &list->first) =
            request->place_next;
        *(request->place_next != NULL ? &request->place_next->place_previous : &list->last) =
            request->place_previous;
        request->place_previous = NULL;
        request->place_next = NULL;
    }
    request->place = PLACE_NONE;
    request_set_timer(coord, request);
}

static void queue_place(struct coord *coord, struct request *request, enum request_place place)
{
    CHECK(request->place == PLACE_NONE);
    request->place = place;
    struct place_list *list = place_list(coord, place);
    if (list != NULL) {
        request->place_previous = list->last;
        *(list->last != NULL ? &list->last->place_next : &list->first) = request;
        list->last = request;
    }
    request_set_timer(coord, request);
}

/* ---- order ---- */

void queue_append(struct coord *coord, struct request *request)
{
    struct queue *queue = request->queue;
    CHECK(!request->is_queued);
    request->is_queued = true;
    heap_set(&coord->requests.ages, &request->age, request->accepted_wall_ms);
    if (queue == NULL) {
        coord->requests.unqueued_length++;
        return;
    }
    request->queue_previous = queue->last;
    *(queue->last != NULL ? &queue->last->queue_next : &queue->first) = request;
    queue->last = request;
    queue->length++;
}

void queue_remove(struct coord *coord, struct request *request)
{
    struct queue *queue = request->queue;
    queue_unplace(coord, request);
    if (!request->is_queued) {
        return;
    }
    request->is_queued = false;
    heap_set(&coord->requests.ages, &request->age, UINT64_MAX);
    if (queue == NULL) {
        coord->requests.unqueued_length--;
        return;
    }
    *(request->queue_previous != NULL ? &request->queue_previous->queue_next : &queue->first) =
        request->queue_next;
    *(request->queue_next != NULL ? &request->queue_next->queue_previous : &queue->last) =
        request->queue_previous;
    request->queue_previous = NULL;
    request->queue_next = NULL;
    queue->length--;
    if (queue->first != NULL) {
        queue_wake(coord, queue->first);
    }
}

void queue_wake(struct coord *coord, struct request *request)
{
    bool is_head = request->queue == NULL || request->queue->first == request;
    if (request->state != REQUEST_WAITING || !is_head || request->place != PLACE_NONE) {
        return;
    }
    queue_place(coord, request,
                request->backoff_until_ms > coord->now_ms ? PLACE_BACKOFF : PLACE_READY);
}

void queue_timer(struct coord *coord, struct request *request, struct coord_ready *ready)
{
    if (request->place == PLACE_BACKOFF) { /* its time, or that of a waiter's patience */
        queue_unplace(coord, request);
        queue_wake(coord, request);
    }
    request_answer(coord, request, false, ready);
}

/* ---- runs ---- */

bool queue_has_participant(const struct participant *participant)
{
    return participant->configured && peer_ready(participant);
}

static bool queue_may_run(const struct coord *coord, const struct request *request)
{
    /* P-10: an agent may yet show that this journal is an old copy, in which the COMMIT of what it has accepted is missing. */
    if (request->is_recovered && !coord->reconciled) {
        return false;
    }
    for (size_t i = 0; i < request->branch_count; i++) {
        const struct participant *participant =
            coord->participants[request->branches[i].participant];
        if (!queue_has_participant(participant)) {
            return false;
        }
    }
    return true;
}

static void queue_start(struct coord *coord, struct request *request, struct coord_ready *ready)
{
    struct gtrid gtrid = {.journal = coord->config.journal,
                          .epoch = coord->epoch,
                          .epoch_nonce = coord->epoch_nonce,
                          .sequence = ++coord->next_sequence};
    struct txn *txn = txn_new(coord, &gtrid, request->branch_count);
    txn->created_wall_ms = coord->wall_ms;
    txn->timeout_ms = request->timeout_ms;
    txn->deadline_ms = coord->now_ms + request->timeout_ms;
    memcpy(txn->body_hash, request->body_hash, BODY_HASH_BYTES);
    /* For its COMMIT. Whoever looks for the key finds the request first; when both have left memory, an older transaction of that
     * key, which aborted, must not be taken for the newest (P-18). */
    txn_set_key(coord, txn, request->key, request->key_bytes);
    for (size_t i = 0; i < request->branch_count; i++) {
        const struct request_branch *from = &request->branches[i];
        struct branch *branch = &txn->branches[i];
        branch->participant = from->participant;
        branch->isolation = from->isolation;
        branch->read_only = from->read_only;
        branch->work = blob_share(from->work);
    }
    request->attempts++;
    request->run = txn;
    request->has_run_gtrid = true;
    request->run_gtrid = gtrid;
    txn->has_request = true;
    txn->request_id = request->id;
    txn->request = request;
    request_move(coord, request, REQUEST_RUNNING);
    char text[GTRID_TEXT_SIZE];
    gtrid_format(&gtrid, text);
    request_note(coord, request, "run-started", text);
    txn_note(coord, txn, "submitted", NO_PARTICIPANT, NULL);
    coord->counters.submitted++;
    coord->requests.is_next = false;
    vote_start(coord, txn, ready);
}

/* Has something come back that parked requests may wait for? */
static bool queue_sees_news(struct coord *coord)
{
    struct requests *requests = &coord->requests;
    bool news = coord->reconciled && !requests->was_reconciled;
    requests->was_reconciled = coord->reconciled;
    if (requests->seen_count < coord->participant_count) {
        requests->seen_ready = alloc_resize(requests->seen_ready, coord->participant_count,
                                            sizeof(requests->seen_ready[0]));
        for (size_t i = requests->seen_count; i < coord->participant_count; i++) {
            requests->seen_ready[i] = false;
        }
        requests->seen_count = coord->participant_count;
    }
    for (size_t i = 0; i < coord->participant_count; i++) {
        const struct participant *participant = coord->participants[i];
        bool is_ready = queue_has_participant(participant);
        news = news || (is_ready && !requests->seen_ready[i]);
        requests->seen_ready[i] = is_ready;
    }
    return news;
}

static void queue_unpark(struct coord *coord)
{
    struct requests *requests = &coord->requests;
    while (requests->parked.first != NULL) {
        struct request *request = requests->parked.first;
        queue_unplace(coord, request);
        queue_place(coord, request, PLACE_READY);
    }
}

/* A bounded share of max_active: what nobody waits for must not keep out those who do. While they wait, it is at most half,
 * whatever queue_active says; of a single place there is no half, so it is taken in turns. */
static bool queue_has_room(const struct coord *coord)
{
    const struct requests *requests = &coord->requests;
    if (requests->running_count >= coord->config.queue_active ||
        coord->active_count >= coord->config.max_active) {
        return false;
    }
    uint64_t half = coord->config.max_active / 2;
    return coord->queue_first == NULL || requests->running_count < half ||
           (half == 0 && requests->is_next);
}

void queue_admit(struct coord *coord, struct coord_ready *ready)
{
    struct requests *requests = &coord->requests;
    if (!coord->running || coord->draining || !coord->space_ok) {
        return;
    }
    if (requests->parked.first != NULL && queue_sees_news(coord)) {
        queue_unpark(coord);
    }
    while (requests->ready.first != NULL && queue_has_room(coord)) {
        struct request *request = requests->ready.first;
        queue_unplace(coord, request);
        if (queue_may_run(coord, request)) {
            queue_start(coord, request, ready);
        } else {
            (void)queue_sees_news(coord); /* from now on counts what comes back */
            queue_place(coord, request, PLACE_PARKED);
        }
    }
}

/* ---- what became of a run ---- */

static bool queue_gives_up(const struct coord *coord, const struct request *request)
{
    bool is_too_often =
        coord->config.queue_attempts > 0 && request->attempts >= coord->config.queue_attempts;
    return !reason_retryable(request->failure.reason) || is_too_often;
}

/* An abort is final (P-2), so from here on the request may have another run. */
void queue_run_aborted(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    struct request *request = txn->request;
    if (request == NULL) {
        return;
    }
    CHECK(request->run == txn && !txn->decided_commit);
    txn->request = NULL;
    request->run = NULL;
    failure_done(&request->failure);
    failure_copy(&txn->failure, &request->failure);
    request->failed_participant = txn->failed_participant;
    snprintf(request->failure_text, sizeof(request->failure_text), "%s", txn->failure_text);
    request_note(coord, request, "run-aborted", reason_text(request->failure.reason));
    if (queue_gives_up(coord, request)) {
        dead_refuse(coord, request, ready);
        return;
    }
    coord->counters.runs_repeated++;
    request_move(coord, request, REQUEST_WAITING);
    request->backoff_until_ms = coord->now_ms + request->backoff_step_ms;
    request->backoff_step_ms *= 2;
    if (request->backoff_step_ms > coord->config.queue_retry_max_ms) {
        request->backoff_step_ms = coord->config.queue_retry_max_ms;
    }
    queue_wake(coord, request);
}

void queue_run_committed(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    struct request *request = txn->request;
    if (request == NULL) {
        return;
    }
    request_move(coord, request, REQUEST_COMMITTED);
    for (size_t i = 0; i < request->branch_count; i++) { /* it will not run again */
        blob_free(request->branches[i].work);
    }
    request->branch_count = 0;
    request_note(coord, request, "committed", NULL);
    queue_run_progress(coord, txn, ready);
}

bool queue_run_is_open(const struct txn *txn)
{
    for (size_t i = 0; i < txn->branch_count; i++) {
        if (txn->branches[i].state == BRANCH_COMMITTING) {
            return true;
        }
    }
    return false;
}

void queue_run_progress(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    struct request *request = txn->request;
    if (request == NULL || request->state != REQUEST_COMMITTED) {
        return;
    }
    request_answer(coord, request, false, ready);
    /* The next one may see what this one wrote, everywhere. A heuristic outcome does not hold the queue: it waits for a person. */
    if (!queue_run_is_open(txn)) { /* told more than once: only the first removes it */
        queue_remove(coord, request);
    }
}

void queue_run_freed(struct coord *coord, struct txn *txn)
{
    if (txn->request != NULL) {
        txn->request->run = NULL;
        request_free(coord, txn->request);
        txn->request = NULL;
    }
}
