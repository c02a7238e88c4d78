/* core_accept.c - a request that is accepted: its key (P-18), the limits, its ACCEPT (P-1), and what recovery finds. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

bool accept_by_key(struct coord *coord, struct coord_event *event, struct coord_ready *ready)
{
    const struct submission *submission = event->submission;
    if (!coord->running) {
        return false;
    }
    struct request *request = request_find_key(coord, submission->key, submission->key_bytes);
    if (request == NULL) {
        return false;
    }
    if (memcmp(request->body_hash, submission->body_hash, BODY_HASH_BYTES) != 0) {
        coord->counters.key_conflicts++;
        ready_answer(ready, event->call, API_KEY_CONFLICT);
        return true;
    }
    struct request_waiter waiter = {.call = event->call,
                                    .by_ms = coord->now_ms + submission->timeout_ms,
                                    .ack = submission->ack,
                                    .is_async = submission->is_async,
                                    .replay = true};
    request_wait(coord, request, &waiter);
    request_answer(coord, request, false, ready);
    return true;
}

/* What this one would hold if it were accepted. */
static uint64_t accept_bytes(const struct submission *submission)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < submission->branch_count; i++) {
        const struct blob *work = submission->branches[i].work;
        bytes += work == NULL ? 0 : work->size_bytes;
    }
    return bytes;
}

/* Which limit stands in the way; NULL if none. Dead requests count: they hold memory and journal until a person has looked. */
static const char *accept_limit(const struct coord *coord, const struct submission *submission,
                                char text[HEALTH_TEXT_SIZE])
{
    const struct requests *requests = &coord->requests;
    if (requests->live_count >= coord->config.queue_max) {
        snprintf(text, HEALTH_TEXT_SIZE,
                 "queue_max: %" PRIu32 " accepted requests are kept already",
                 coord->config.queue_max);
        return text;
    }
    if (requests->held_bytes + accept_bytes(submission) > coord->config.queue_max_bytes) {
        return "queue_max_bytes: the statements of accepted requests take up all the memory for "
               "them";
    }
    const struct queue *queue = queue_find(coord, submission->queue);
    if (queue != NULL && queue->length + queue->dead >= coord->config.queue_max_each) {
        snprintf(text, HEALTH_TEXT_SIZE,
                 "queue_max_each: %" PRIu32 " requests of queue %s are kept already",
                 coord->config.queue_max_each, queue->name);
        return text;
    }
    return NULL;
}

static struct request *accept_make(struct coord *coord, const struct submission *submission,
                                   const struct gtrid *id)
{
    struct request *request =
        request_new(coord, id, submission->queue, submission->branch_count, coord->next_order++);
    request->accepted_wall_ms = coord->wall_ms;
    request->timeout_ms = submission->timeout_ms;
    memcpy(request->body_hash, submission->body_hash, BODY_HASH_BYTES);
    request_set_key(coord, request, submission->key, submission->key_bytes);
    for (size_t i = 0; i < submission->branch_count; i++) {
        const struct submission_branch *from = &submission->branches[i];
        struct request_branch *branch = &request->branches[i];
        peer_find(coord, from->participant, &branch->participant);
        branch->isolation = from->isolation;
        branch->read_only = from->read_only;
        branch->work = blob_share(from->work);
    }
    request->held_bytes = accept_bytes(submission);
    coord->requests.held_bytes += request->held_bytes;
    return request;
}

static void accept_fill_record(const struct coord *coord, const struct request *request,
                               struct record_accept *accept)
{
    accept->gtrid = request->id;
    accept->wall_ms = request->accepted_wall_ms;
    accept->key_bytes = request->key_bytes;
    if (request->key_bytes > 0) {
        memcpy(accept->key, request->key, request->key_bytes);
    }
    memcpy(accept->body_hash, request->body_hash, BODY_HASH_BYTES);
    if (request->queue != NULL) {
        memcpy(accept->queue, request->queue->name, sizeof(accept->queue));
    }
    accept->timeout_ms = request->timeout_ms;
    accept->branch_count = request->branch_count;
    accept->branches = alloc_array(request->branch_count, sizeof(accept->branches[0]));
    for (size_t i = 0; i < request->branch_count; i++) {
        const struct request_branch *from = &request->branches[i];
        struct record_accept_branch *to = &accept->branches[i];
        memcpy(to->participant, coord->participants[from->participant]->name,
               sizeof(to->participant));
        to->isolation = from->isolation;
        to->read_only = from->read_only;
        to->work = blob_share(from->work);
    }
}

void accept_step(struct coord *coord, struct coord_event *event, struct coord_ready *ready)
{
    const struct submission *submission = event->submission;
    char text[HEALTH_TEXT_SIZE];
    const char *limit = accept_limit(coord, submission, text);
    if (limit != NULL) {
        submit_refuse(coord, event->call, REASON_OVERLOAD, NULL, limit, ready);
        return;
    }
    struct gtrid id = {.journal = coord->config.journal,
                       .epoch = coord->epoch,
                       .epoch_nonce = coord->epoch_nonce,
                       .sequence = ++coord->next_sequence};
    struct request *request = accept_make(coord, submission, &id);
    request_note(coord, request, "accepted", NULL);
    queue_append(coord,
                 request); /* its place is that of its sequence, whenever ACCEPT is durable */
    uint64_t token = 0;
    struct record *record = ready_append(coord, ready, RECORD_ACCEPT, true, &token);
    accept_fill_record(coord, request, &record->as.accept);
    pending_add(coord, PENDING_ACCEPT, token, &id, NULL);
    request_wait(
        coord, request,
        &(struct request_waiter){.call = event->call, .is_async = true, .by_ms = UINT64_MAX});
}

void accept_durable(struct coord *coord, struct request *request, struct coord_ready *ready)
{
    request_move(coord, request, REQUEST_WAITING);
    coord->counters.accepted++;
    ready_notice(ready, COORD_NOTICE_ACCEPTED, &request->id, NULL, "%s",
                 request->queue == NULL ? "" : request->queue->name);
    request_answer(coord, request, false, ready);
    queue_wake(coord, request);
}

/* ---- recovery ---- */

static void recover_accept(struct coord *coord, const struct record_accept *accept)
{
    struct request *request =
        request_new(coord, &accept->gtrid, accept->queue, accept->branch_count, 0);
    request->is_recovered = true;
    request->accepted_wall_ms = accept->wall_ms;
    request->timeout_ms = accept->timeout_ms;
    memcpy(request->body_hash, accept->body_hash, BODY_HASH_BYTES);
    request_set_key(coord, request, accept->key, accept->key_bytes);
    for (size_t i = 0; i < accept->branch_count; i++) {
        const struct record_accept_branch *from = &accept->branches[i];
        struct request_branch *branch = &request->branches[i];
        peer_get(coord, from->participant, &branch->participant);
        branch->isolation = from->isolation;
        branch->read_only = from->read_only;
        branch->work = blob_share(from->work);
        request->held_bytes += branch->work == NULL ? 0 : branch->work->size_bytes;
    }
    coord->requests.held_bytes += request->held_bytes;
    request_move(coord, request, REQUEST_WAITING);
}

/* As it was when the record was written: a run had failed. */
static void recover_refused(struct coord *coord, const struct record_refused *refused)
{
    struct request *request = request_find(coord, &refused->gtrid);
    CHECK(request != NULL); /* the journal gives ACCEPT first */
    request->attempts = refused->attempts;
    failure_copy(&refused->failure, &request->failure);
    memcpy(request->failure_text, refused->text, sizeof(request->failure_text));
    if (refused->participant[0] != '\0') {
        peer_get(coord, refused->participant, &request->failed_participant);
    }
    request->refused_wall_ms = refused->wall_ms;
    request_move(coord, request, REQUEST_RUNNING);
    request_move(coord, request, REQUEST_REFUSING);
    request_move(coord, request, REQUEST_DEAD);
}

static void recover_requeued(struct coord *coord, const struct record_requeued *requeued)
{
    struct request *request = request_find(coord, &requeued->gtrid);
    CHECK(request != NULL);
    request->position_epoch = requeued->epoch;
    request->position_sequence = requeued->sequence;
}

void accept_recover(struct coord *coord, const struct record *record)
{
    switch (record->kind) {
    case RECORD_ACCEPT:
        recover_accept(coord, &record->as.accept);
        return;
    case RECORD_REFUSED:
        recover_refused(coord, &record->as.refused);
        return;
    case RECORD_REQUEUED:
        recover_requeued(coord, &record->as.requeued);
        return;
    case RECORD_EPOCH:
    case RECORD_COMMIT:
    case RECORD_END:
    case RECORD_HEURISTIC:
    case RECORD_RESOLVED:
    case RECORD_FLOOR:
    case RECORD_RELEASE:
    case RECORD_ADOPT:
    case RECORD_DROPPED:
        return;
    }
}

static bool is_before(const struct request *a, const struct request *b)
{
    return a->position_epoch != b->position_epoch ? a->position_epoch < b->position_epoch
                                                  : a->position_sequence < b->position_sequence;
}

/* Merges the sorted runs [first, middle) and [middle, end) of `from` into `to`. */
static void merge_runs(struct request *const *from, struct request **to, size_t first,
                       size_t middle, size_t end)
{
    size_t left = first;
    size_t right = middle;
    for (size_t at = first; at < end; at++) {
        bool is_left = right >= end || (left < middle && !is_before(from[right], from[left]));
        to[at] = from[is_left ? left++ : right++];
    }
}

/* qsort is no function of the pure core: it may allocate. Returns the one of the two arrays that has the result. */
static struct request **sort_by_position(struct request **items, struct request **scratch,
                                         size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t first = 0; first < count; first += 2 * width) {
            size_t middle = first + width < count ? first + width : count;
            size_t end = middle + width < count ? middle + width : count;
            merge_runs(items, scratch, first, middle, end);
        }
        struct request **sorted = scratch;
        scratch = items;
        items = sorted;
    }
    return items;
}

/* Records come in the order of their numbers, which trimming changes; requests stand in the order of their positions. */
void accept_recovered(struct coord *coord, struct coord_ready *ready)
{
    struct requests *requests = &coord->requests;
    struct request **found = alloc_array(requests->live_count + 1, sizeof(struct request *));
    struct request **scratch = alloc_array(requests->live_count + 1, sizeof(struct request *));
    size_t count = 0;
    struct request *next = NULL;
    for (struct request *request = requests->oldest; request != NULL; request = next) {
        next = request->newer;
        if (request->state != REQUEST_COMMITTED) {
            CHECK(count < requests->live_count);
            found[count++] = request;
        } else if (queue_run_is_open(
                       request->run)) { /* it was the head, and holds its queue still */
            queue_append(coord, request);
        }
    }
    struct request **sorted = sort_by_position(found, scratch, count);
    for (size_t i = 0; i < count; i++) {
        struct request *request = sorted[i];
        request_to_newest(coord, request);
        request_note(coord, request, "recovered", NULL);
        ready_notice(ready, COORD_NOTICE_RECOVERED, &request->id, NULL, "%s",
                     request->state == REQUEST_DEAD ? "dead request" : "accepted request");
        if (request->state == REQUEST_WAITING) {
            queue_append(coord, request);
            queue_wake(coord, request);
        }
    }
    free(found);
    free(scratch);
}

void accept_from_commit(struct coord *coord, struct txn *txn, const struct record_commit *commit)
{
    const struct record_request *from = &commit->request;
    txn->has_request = commit->has_request;
    if (!commit->has_request) {
        return;
    }
    txn->request_id = from->id;
    struct request *request = request_new(coord, &from->id, from->queue, 0, txn->order);
    txn->request = request;
    request->is_recovered = true;
    request->run = txn;
    request->has_run_gtrid = true;
    request->run_gtrid = commit->gtrid;
    request->attempts = from->attempts;
    request->accepted_wall_ms = from->accepted_wall_ms;
    memcpy(request->body_hash, commit->body_hash, BODY_HASH_BYTES);
    if (request_find_key(coord, commit->key, commit->key_bytes) == NULL) {
        request_set_key(coord, request, commit->key, commit->key_bytes);
    }
    request_move(coord, request, REQUEST_WAITING);
    request_move(coord, request, REQUEST_RUNNING);
    request_move(coord, request, REQUEST_COMMITTED);
    request_note(coord, request, "recovered", NULL);
}
