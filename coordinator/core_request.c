/* core_request.c - one accepted request: its state table, its waiters, its view. The drawing stands in core_request.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

/* A request may be tried for weeks; what it remembers of that is bounded: how it began, and what happened last. The count of
 * attempts goes on. */
#define REQUEST_EVENTS_MAX 64

#define TO(state) (1U << (state))

static const uint32_t request_successors[] = {
    [REQUEST_ACCEPTING] = TO(REQUEST_WAITING),
    [REQUEST_WAITING] = TO(REQUEST_RUNNING) | TO(REQUEST_DROPPING),
    [REQUEST_RUNNING] = TO(REQUEST_COMMITTED) | TO(REQUEST_WAITING) | TO(REQUEST_REFUSING),
    [REQUEST_COMMITTED] = 0,
    [REQUEST_REFUSING] = TO(REQUEST_DEAD),
    [REQUEST_DEAD] = TO(REQUEST_REQUEUEING) | TO(REQUEST_DROPPING),
    [REQUEST_REQUEUEING] = TO(REQUEST_WAITING),
    [REQUEST_DROPPING] = TO(REQUEST_DROPPED),
    [REQUEST_DROPPED] = 0,
};

/* The others are shown as the state before them, or end soon. */
#define SHOWN_STATES                                                                               \
    (TO(REQUEST_WAITING) | TO(REQUEST_RUNNING) | TO(REQUEST_COMMITTED) | TO(REQUEST_DEAD) |        \
     TO(REQUEST_DROPPED))

static bool state_counts_dead(const struct request *request, enum request_state state)
{
    return state == REQUEST_DEAD || state == REQUEST_REQUEUEING ||
           (state == REQUEST_DROPPING && request->was_dead);
}

static void count_dead(struct coord *coord, struct request *request, enum request_state state,
                       int by)
{
    if (state_counts_dead(request, state)) {
        size_t step = (size_t)by; /* wraps, as unsigned numbers do: the sum is right */
        coord->requests.dead_count += step;
        if (request->queue != NULL) {
            request->queue->dead += step;
        } else {
            coord->requests.unqueued_dead += step;
        }
    }
}

static bool state_is_live(enum request_state state)
{
    return state != REQUEST_COMMITTED && state != REQUEST_DROPPED;
}

static void account(struct coord *coord, struct request *request, enum request_state state, int by)
{
    struct requests *requests = &coord->requests;
    uint64_t step = (uint64_t)(int64_t)by;
    count_dead(coord, request, state, by);
    if (state == REQUEST_RUNNING) {
        requests->running_count += step;
    }
    if (state_is_live(state)) {
        requests->live_count += step;
        requests->held_bytes += step * request->held_bytes;
    }
}

void request_move(struct coord *coord, struct request *request, enum request_state state)
{
    CHECK((request_successors[request->state] & TO(state)) != 0);
    account(coord, request, request->state, -1);
    request->was_dead = state == REQUEST_DROPPING && request->state == REQUEST_DEAD;
    request->state = state;
    account(coord, request, state, 1);
    if ((SHOWN_STATES & TO(state)) != 0) {
        request_mark_changed(coord, request);
    }
}

/* ---- look-up ---- */

static bool match_id(const void *value, const void *wanted)
{
    return gtrid_equal(&((const struct request *)value)->id, wanted);
}

struct key_wanted {
    const char *key;
    size_t key_bytes;
};

static bool match_key(const void *value, const void *wanted)
{
    const struct request *request = value;
    const struct key_wanted *key = wanted;
    return request->key_bytes == key->key_bytes &&
           memcmp(request->key, key->key, key->key_bytes) == 0;
}

static bool match_queue(const void *value, const void *wanted)
{
    return strcmp(((const struct queue *)value)->name, wanted) == 0;
}

struct request *request_find(const struct coord *coord, const struct gtrid *id)
{
    return map_find(&coord->requests.by_id, gtrid_hash(id), match_id, id);
}

struct request *request_find_key(const struct coord *coord, const char *key, size_t key_bytes)
{
    struct key_wanted wanted = {.key = key, .key_bytes = key_bytes};
    return key_bytes == 0 ? NULL
                          : map_find(&coord->requests.by_key, map_hash_bytes(key, key_bytes),
                                     match_key, &wanted);
}

/* ---- birth and death ---- */

struct queue *queue_find(const struct coord *coord, const char *name)
{
    return map_find(&coord->requests.by_queue, map_hash_bytes(name, strlen(name)), match_queue,
                    name);
}

static struct queue *queue_need(struct coord *coord, const char *name)
{
    struct requests *requests = &coord->requests;
    struct queue *queue = queue_find(coord, name);
    if (queue != NULL) {
        return queue;
    }
    queue = alloc_zeroed(sizeof(*queue));
    snprintf(queue->name, sizeof(queue->name), "%s", name);
    map_insert(&requests->by_queue, map_hash_bytes(name, strlen(name)), queue);
    queue->previous = requests->queue_last;
    if (requests->queue_last != NULL) {
        requests->queue_last->next = queue;
    } else {
        requests->queue_first = queue;
    }
    requests->queue_last = queue;
    return queue;
}

static void queue_release(struct coord *coord, struct queue *queue)
{
    struct requests *requests = &coord->requests;
    if (--queue->total > 0) {
        return;
    }
    map_remove(&requests->by_queue, map_hash_bytes(queue->name, strlen(queue->name)), queue);
    *(queue->previous != NULL ? &queue->previous->next : &requests->queue_first) = queue->next;
    *(queue->next != NULL ? &queue->next->previous : &requests->queue_last) = queue->previous;
    free(queue);
}

static void request_unlink(struct requests *requests, struct request *request)
{
    *(request->older != NULL ? &request->older->newer : &requests->oldest) = request->newer;
    *(request->newer != NULL ? &request->newer->older : &requests->newest) = request->older;
}

static void request_link(struct requests *requests, struct request *request)
{
    request->older = requests->newest;
    request->newer = NULL;
    *(requests->newest != NULL ? &requests->newest->newer : &requests->oldest) = request;
    requests->newest = request;
}

void request_to_newest(struct coord *coord, struct request *request)
{
    request_unlink(&coord->requests, request);
    request_link(&coord->requests, request);
    request->order = coord->next_order++;
}

struct request *request_new(struct coord *coord, const struct gtrid *id, const char *queue,
                            size_t branch_count, uint64_t order)
{
    struct requests *requests = &coord->requests;
    struct request *request = alloc_zeroed(sizeof(*request));
    heap_node_init(&request->timer);
    heap_node_init(&request->age);
    request->id = *id;
    request->state = REQUEST_ACCEPTING;
    request->position_epoch = id->epoch;
    request->position_sequence = id->sequence;
    request->failed_participant = NO_PARTICIPANT;
    request->backoff_step_ms = coord->config.queue_retry_min_ms;
    request->order = order;
    request->branch_count = branch_count;
    request->branches = alloc_array(branch_count, sizeof(request->branches[0]));
    if (queue[0] != '\0') {
        request->queue = queue_need(coord, queue);
        request->queue->total++;
    }
    map_insert(&requests->by_id, gtrid_hash(id), request);
    request_link(requests, request);
    requests->live_count++;
    return request;
}

void request_set_key(struct coord *coord, struct request *request, const char *key,
                     size_t key_bytes)
{
    if (key_bytes > 0) {
        CHECK(request_find_key(coord, key, key_bytes) == NULL);
        request->key = alloc_bytes(key, key_bytes);
        request->key_bytes = key_bytes;
        map_insert(&coord->requests.by_key, map_hash_bytes(key, key_bytes), request);
    }
}

void request_leave(struct coord *coord, struct request *request)
{
    struct requests *requests = &coord->requests;
    account(coord, request, request->state, -1);
    request->waiter_count = 0; /* only at the end of the process are there any */
    queue_remove(coord, request);
    heap_set(&requests->timers, &request->timer, UINT64_MAX);
    map_remove(&requests->by_id, gtrid_hash(&request->id), request);
    if (request->key != NULL) {
        map_remove(&requests->by_key, map_hash_bytes(request->key, request->key_bytes), request);
    }
    request_unlink(requests, request);
}

static void request_release(struct coord *coord, struct request *request)
{
    if (request->queue != NULL) {
        queue_release(coord, request->queue);
    }
    for (size_t i = 0; i < request->branch_count; i++) {
        blob_free(request->branches[i].work);
    }
    for (size_t i = 0; i < request->event_count; i++) {
        free(request->events[i].detail);
    }
    failure_done(&request->failure);
    free(request->branches);
    free(request->events);
    free(request->waiters);
    free(request->key);
    free(request);
}

/* ---- what is to be shown ---- */

void request_mark_changed(struct coord *coord, struct request *request)
{
    struct requests *requests = &coord->requests;
    if (request->is_changed) {
        return;
    }
    request->is_changed = true;
    request->changed_previous = requests->changed_last;
    *(requests->changed_last != NULL ? &requests->changed_last->changed_next
                                     : &requests->changed_first) = request;
    requests->changed_last = request;
}

static void request_unmark_changed(struct coord *coord, struct request *request)
{
    struct requests *requests = &coord->requests;
    if (!request->is_changed) {
        return;
    }
    *(request->changed_previous != NULL ? &request->changed_previous->changed_next
                                        : &requests->changed_first) = request->changed_next;
    *(request->changed_next != NULL ? &request->changed_next->changed_previous
                                    : &requests->changed_last) = request->changed_previous;
    request->is_changed = false;
    request->changed_previous = NULL;
    request->changed_next = NULL;
}

void request_free(struct coord *coord, struct request *request)
{
    request_unmark_changed(coord, request);
    request_leave(coord, request);
    request_release(coord, request);
}

static void request_shown(struct coord *coord, struct request *request)
{
    request_unmark_changed(coord, request);
    if (request->state == REQUEST_DROPPED) {
        request_release(coord, request);
    }
}

void request_forget_changes(struct coord *coord)
{
    struct request *next = NULL;
    for (struct request *request = coord->requests.changed_first; request != NULL; request = next) {
        next = request->changed_next;
        request_shown(coord, request);
    }
}

/* Without its statements, which every event would carry again: GET tells them. */
bool request_take_change(struct coord *coord, struct txn_view *ret_view)
{
    struct request *next = NULL;
    for (struct request *request = coord->requests.changed_first; request != NULL; request = next) {
        next = request->changed_next;
        bool can_show = request->run == NULL || request->run->heuristic_pending == 0;
        if (can_show) {
            request_view_fill(coord, request, false, ret_view);
            for (size_t i = 0; i < ret_view->branch_count; i++) {
                blob_free(ret_view->branches[i].work);
                ret_view->branches[i].work = NULL;
                ret_view->branches[i].has_work = false;
            }
        }
        request_shown(coord, request);
        if (can_show) {
            return true;
        }
    }
    return false;
}

void request_note(struct coord *coord, struct request *request, const char *kind,
                  const char *detail)
{
    if (request->event_count == REQUEST_EVENTS_MAX) {
        free(request->events[--request->event_count].detail);
    }
    if (request->event_count == request->event_capacity) {
        request->event_capacity = request->event_capacity == 0 ? 4 : request->event_capacity * 2;
        request->events =
            alloc_resize(request->events, request->event_capacity, sizeof(request->events[0]));
    }
    request->events[request->event_count++] = (struct request_event){
        .wall_ms = coord->wall_ms,
        .kind = kind,
        .detail = detail == NULL || detail[0] == '\0' ? NULL : alloc_string(detail),
    };
}

/* ---- waiters ---- */

void request_wait(struct coord *coord, struct request *request, const struct request_waiter *waiter)
{
    if (request->waiter_count == request->waiter_capacity) {
        request->waiter_capacity = request->waiter_capacity == 0 ? 1 : request->waiter_capacity * 2;
        request->waiters =
            alloc_resize(request->waiters, request->waiter_capacity, sizeof(request->waiters[0]));
    }
    request->waiters[request->waiter_count++] = *waiter;
    request_set_timer(coord, request);
}

/* What may be said now (P-1, P-4): API_ACCEPTED once ACCEPT is durable, a final word once its record is. False: nothing. */
static bool request_word(const struct request *request, enum api_status *ret_status)
{
    switch (request->state) {
    case REQUEST_ACCEPTING:
    case REQUEST_REQUEUEING: /* neither that it waits nor that it is dead would hold for long */
    case REQUEST_DROPPING:
        return false;
    case REQUEST_WAITING:
    case REQUEST_RUNNING:
    case REQUEST_REFUSING:
        *ret_status = API_ACCEPTED;
        return true;
    case REQUEST_COMMITTED:
        *ret_status = API_OK;
        return request->run->heuristic_pending == 0;
    case REQUEST_DEAD:
    case REQUEST_DROPPED:
        *ret_status = API_ABORTED;
        return true;
    }
    CHECK(!"every state is named above");
    return false;
}

static bool waiter_is_due(const struct coord *coord, const struct request *request,
                          const struct request_waiter *waiter, enum api_status status)
{
    if (waiter->is_async || status == API_ABORTED || waiter->by_ms <= coord->now_ms) {
        return true;
    }
    return status == API_OK &&
           (waiter->ack == ACK_MODE_DECIDED || request->run->state != TXN_COMMITTING);
}

static void waiter_tell(struct coord *coord, const struct request *request,
                        const struct request_waiter *waiter, enum api_status status,
                        struct coord_ready *ready)
{
    struct api_answer *answer = ready_answer(ready, waiter->call, status);
    answer->replayed = waiter->replay;
    answer->reason = request->failure.reason;
    answer->views = alloc_zeroed(sizeof(answer->views[0]));
    answer->view_count = 1;
    request_view_fill(coord, request, false, &answer->views[0]);
    if (status == API_OK) { /* to a repetition: who handed it in was told that it is accepted */
        coord->counters.replayed++;
    }
}

/* Nothing was told, and nothing will be: ACCEPT may be on disk or not. */
static void waiter_give_up(const struct request_waiter *waiter, struct coord_ready *ready)
{
    struct api_answer *answer = ready_answer(ready, waiter->call, API_REFUSED);
    answer->reason = REASON_SHUTDOWN;
    answer->retry_after_s = 1;
    snprintf(answer->text, sizeof(answer->text), "%s", "the coordinator is shutting down");
}

void request_answer(struct coord *coord, struct request *request, bool give_up,
                    struct coord_ready *ready)
{
    size_t kept = 0;
    for (size_t i = 0; i < request->waiter_count; i++) {
        struct request_waiter waiter = request->waiters[i];
        enum api_status status = API_ACCEPTED;
        bool can_tell = request_word(request, &status);
        if (can_tell && (give_up || waiter_is_due(coord, request, &waiter, status))) {
            waiter_tell(coord, request, &waiter, status, ready);
        } else if (give_up) {
            waiter_give_up(&waiter, ready);
        } else {
            request->waiters[kept++] = waiter;
        }
    }
    request->waiter_count = kept;
    request_set_timer(coord, request);
}

void request_set_timer(struct coord *coord, struct request *request)
{
    uint64_t due_ms = request->place == PLACE_BACKOFF ? request->backoff_until_ms : UINT64_MAX;
    enum api_status status;
    /* While nothing can be said there is nothing to wake up for. */
    for (size_t i = 0; i < request->waiter_count && request_word(request, &status); i++) {
        due_ms = request->waiters[i].by_ms < due_ms ? request->waiters[i].by_ms : due_ms;
    }
    heap_set(&coord->requests.timers, &request->timer, due_ms);
}

/* Not by the monotonic clock: it began before this process. Asked after every step, so nothing is walked through. */
uint64_t request_oldest_ms(const struct coord *coord)
{
    const struct heap_node *oldest = heap_first(&coord->requests.ages);
    return oldest == NULL || oldest->due_ms >= coord->wall_ms ? 0 : coord->wall_ms - oldest->due_ms;
}

/* ---- views ---- */

bool request_is_visible(const struct request *request)
{
    return request->state != REQUEST_ACCEPTING;
}

static enum txn_state shown_state(const struct request *request)
{
    switch (request->state) {
    case REQUEST_ACCEPTING:
    case REQUEST_WAITING:
    case REQUEST_REFUSING:
        return TXN_QUEUED;
    case REQUEST_RUNNING:
    case REQUEST_COMMITTED:
        return request->run->state;
    case REQUEST_DEAD:
    case REQUEST_REQUEUEING:
        return TXN_DEAD;
    case REQUEST_DROPPING:
        return request->was_dead ? TXN_DEAD : TXN_QUEUED;
    case REQUEST_DROPPED:
        return TXN_ABORTED;
    }
    return TXN_QUEUED;
}

static void view_events(const struct request *request, struct txn_view *view)
{
    size_t run_count = view->event_count;
    struct txn_event_view *run_events = view->events;
    view->event_count = 0;
    view->events = alloc_array(run_count + request->event_count, sizeof(view->events[0]));
    for (size_t i = 0; i < request->event_count; i++) {
        const struct request_event *event = &request->events[i];
        struct txn_event_view *to = &view->events[view->event_count++];
        to->wall_ms = event->wall_ms;
        to->kind = event->kind;
        snprintf(to->detail, sizeof(to->detail), "%s", event->detail == NULL ? "" : event->detail);
    }
    for (size_t i = 0; i < run_count; i++) { /* of the run that goes on, or has committed */
        view->events[view->event_count++] = run_events[i];
    }
    free(run_events);
}

static void view_branches(const struct coord *coord, const struct request *request,
                          struct txn_view *view)
{
    if (request->run == NULL) {
        view->branches = alloc_array(request->branch_count, sizeof(view->branches[0]));
        view->branch_count = request->branch_count;
    }
    for (size_t i = 0; i < request->branch_count; i++) { /* none: known from its COMMIT alone */
        const struct request_branch *from = &request->branches[i];
        struct branch_view *to = &view->branches[i];
        if (request->run == NULL) {
            snprintf(to->participant, sizeof(to->participant), "%s",
                     coord->participants[from->participant]->name);
            to->state = BRANCH_IDLE;
        }
        to->has_work = true;
        to->isolation = from->isolation;
        to->read_only = from->read_only;
        to->work = blob_share(from->work);
    }
}

static void view_failure(const struct coord *coord, const struct request *request,
                         struct txn_view *view)
{
    failure_done(&view->failure);
    failure_copy(&request->failure, &view->failure);
    snprintf(view->failure_text, sizeof(view->failure_text), "%s", request->failure_text);
    view->failed_participant[0] = '\0';
    if (request->failed_participant != NO_PARTICIPANT) {
        snprintf(view->failed_participant, sizeof(view->failed_participant), "%s",
                 coord->participants[request->failed_participant]->name);
    }
}

/* Whom a request that could run waits for; "" if for nobody. */
static void view_obstacle(const struct coord *coord, const struct request *request,
                          struct request_info *info)
{
    if (request->place != PLACE_PARKED) {
        return;
    }
    if (request->is_recovered && !coord->reconciled) {
        snprintf(info->waiting_for, sizeof(info->waiting_for), "%s",
                 "every participant's first report after the restart");
        return;
    }
    for (size_t i = 0; i < request->branch_count; i++) {
        const struct participant *participant =
            coord->participants[request->branches[i].participant];
        if (!queue_has_participant(participant)) {
            snprintf(info->waiting_for, sizeof(info->waiting_for), "participant %s",
                     participant->name);
            return;
        }
    }
}

void request_view_fill(const struct coord *coord, const struct request *request, bool want_events,
                       struct txn_view *ret_view)
{
    struct txn_view *view = ret_view;
    memset(view, 0, sizeof(*view));
    if (request->run != NULL) {
        txn_view_fill(coord, request->run, want_events, view);
    }
    view->gtrid = request->id;
    view->state = shown_state(request);
    view->order = request->order;
    view->key_bytes = request->key_bytes;
    if (request->key_bytes > 0) {
        memcpy(view->key, request->key, request->key_bytes);
    }
    view->created_wall_ms = request->accepted_wall_ms;
    if (request->state != REQUEST_COMMITTED) {
        view_failure(coord, request, view);
        view->decided_wall_ms = /* P-4 */
            request->state == REQUEST_REFUSING ? 0 : request->refused_wall_ms;
    }
    if (request->state == REQUEST_DROPPED) {
        view->decided_wall_ms = request->dropped_wall_ms;
        view->ended_wall_ms = request->dropped_wall_ms;
    }
    struct request_info *info = &view->request;
    info->is_request = true;
    info->attempts = request->attempts;
    info->timeout_ms = request->timeout_ms;
    info->has_run = request->has_run_gtrid;
    info->run = request->run_gtrid;
    if (request->queue != NULL) {
        snprintf(info->queue, sizeof(info->queue), "%s", request->queue->name);
    }
    if (request->place == PLACE_BACKOFF && request->backoff_until_ms > coord->now_ms) {
        info->next_attempt_ms = request->backoff_until_ms - coord->now_ms;
    }
    view_obstacle(coord, request, info);
    view_branches(coord, request, view);
    if (want_events) {
        view_events(request, view);
    }
}
