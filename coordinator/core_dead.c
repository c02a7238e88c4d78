/* core_dead.c - requests that cannot succeed, and what a person may do with them: look, requeue, drop (docs/adr/0017). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

#define DROPPED_KEPT_MAX 1000 /* the journal lists the others */

/* P-1: REFUSED is durable before `dead` is shown, and before the next of the queue starts. */
void dead_refuse(struct coord *coord, struct request *request, struct coord_ready *ready)
{
    uint64_t token = 0;
    struct record *record = ready_append(coord, ready, RECORD_REFUSED, true, &token);
    struct record_refused *refused = &record->as.refused;
    refused->gtrid = request->id;
    refused->wall_ms = coord->wall_ms;
    refused->attempts = request->attempts;
    if (request->failed_participant != NO_PARTICIPANT) {
        memcpy(refused->participant, coord->participants[request->failed_participant]->name,
               sizeof(refused->participant));
    }
    failure_copy(&request->failure, &refused->failure);
    memcpy(refused->text, request->failure_text, sizeof(refused->text));
    request->refused_wall_ms = coord->wall_ms;
    request_move(coord, request, REQUEST_REFUSING);
    pending_add(coord, PENDING_REFUSED, token, &request->id, NULL);
}

static void refused_durable(struct coord *coord, struct request *request, struct coord_ready *ready)
{
    request_move(coord, request, REQUEST_DEAD);
    coord->counters.died++;
    request_note(coord, request, "dead", reason_text(request->failure.reason));
    ready_notice(ready, COORD_NOTICE_DEAD, &request->id, NULL, "%s, after %" PRIu32 " attempts",
                 reason_text(request->failure.reason), request->attempts);
    queue_remove(coord, request);
    request_answer(coord, request, false, ready);
}

/* ---- requeue, drop ---- */

static void act_refuse(uint64_t call, enum api_status status, const char *text,
                       struct coord_ready *ready)
{
    struct api_answer *answer = ready_answer(ready, call, status);
    snprintf(answer->text, sizeof(answer->text), "%s", text);
}

/* At the tail: whatever was accepted meanwhile goes first. */
static void dead_requeue(struct coord *coord, struct request *request,
                         const struct coord_event *event, struct coord_ready *ready)
{
    uint64_t token = 0;
    request->position_epoch = coord->epoch;
    request->position_sequence = ++coord->next_sequence;
    struct record *record = ready_append(coord, ready, RECORD_REQUEUED, true, &token);
    record->as.requeued.gtrid = request->id;
    record->as.requeued.wall_ms = coord->wall_ms;
    record->as.requeued.epoch = request->position_epoch;
    record->as.requeued.sequence = request->position_sequence;
    request_move(coord, request, REQUEST_REQUEUEING);
    queue_append(coord, request);
    pending_add(coord, PENDING_REQUEUED, token, &request->id,
                &(struct pending){.call = event->call});
}

static void dead_drop(struct coord *coord, struct request *request, const struct coord_event *event,
                      struct coord_ready *ready)
{
    uint64_t token = 0;
    struct record *record = ready_append(coord, ready, RECORD_DROPPED, true, &token);
    struct record_dropped *dropped = &record->as.dropped;
    dropped->gtrid = request->id;
    dropped->wall_ms = coord->wall_ms;
    dropped->running_ms = coord_running_ms(coord);
    dropped->attempts = request->attempts;
    if (request->queue != NULL) {
        memcpy(dropped->queue, request->queue->name, sizeof(dropped->queue));
    }
    memcpy(dropped->comment, event->act->comment, sizeof(dropped->comment));
    memcpy(request->comment, event->act->comment, sizeof(request->comment));
    request->dropped_wall_ms = coord->wall_ms;
    queue_unplace(coord, request); /* it keeps its place in the order until the record is durable */
    request_move(coord, request, REQUEST_DROPPING);
    pending_add(coord, PENDING_DROPPED, token, &request->id,
                &(struct pending){.call = event->call});
}

/* Why not; NULL if it may be done. */
static const char *act_objection(const struct coord *coord, const struct request *request,
                                 enum request_act act)
{
    /* P-10: it may have committed in a part of the journal that is lost. A requeued one only waits, for the same. */
    if (act == REQUEST_ACT_DROP && request->is_recovered && !coord->reconciled &&
        request->state != REQUEST_COMMITTED) {
        return "since the restart not every participant has reported yet (or been released), and "
               "one may know that the request has committed";
    }
    switch (request->state) {
    case REQUEST_WAITING:
        return act == REQUEST_ACT_DROP ? NULL : "the request is not dead; it waits in its queue";
    case REQUEST_RUNNING:
        return "the request is running; try again when it waits or is dead";
    case REQUEST_COMMITTED:
        return "the request has committed";
    case REQUEST_DEAD:
        return act == REQUEST_ACT_REQUEUE && !coord->space_ok
                   ? "the journal's disk is nearly full: nothing new is begun"
                   : NULL;
    case REQUEST_ACCEPTING:
    case REQUEST_REFUSING:
    case REQUEST_REQUEUEING:
    case REQUEST_DROPPING:
    case REQUEST_DROPPED:
        return "the request is just changing; try again";
    }
    return "";
}

void dead_act(struct coord *coord, const struct coord_event *event, struct coord_ready *ready)
{
    const struct api_request_act *act = event->act;
    struct request *request = request_find(coord, &act->id);
    if (!coord->running || coord->draining) {
        act_refuse(event->call, API_CONFLICT,
                   coord->draining ? "the coordinator is shutting down"
                                   : "the coordinator is starting",
                   ready);
        return;
    }
    if (request == NULL || !request_is_visible(request)) {
        bool is_known = txn_find(coord, &act->id) != NULL || event->prior.found;
        act_refuse(event->call, is_known ? API_CONFLICT : API_NOT_FOUND,
                   is_known ? "this is no accepted request that waits or is dead" : "", ready);
        return;
    }
    const char *objection = act_objection(coord, request, act->act);
    if (objection != NULL) {
        act_refuse(event->call, API_CONFLICT, objection, ready);
        return;
    }
    switch (act->act) {
    case REQUEST_ACT_REQUEUE:
        dead_requeue(coord, request, event, ready);
        return;
    case REQUEST_ACT_DROP:
        dead_drop(coord, request, event, ready);
        return;
    }
}

static void act_done(struct coord *coord, const struct request *request, uint64_t call,
                     struct coord_ready *ready)
{
    struct api_answer *answer = ready_answer(ready, call, API_OK);
    answer->views = alloc_zeroed(sizeof(answer->views[0]));
    answer->view_count = 1;
    request_view_fill(coord, request, false, &answer->views[0]);
}

static void requeued_durable(struct coord *coord, struct request *request, uint64_t call,
                             struct coord_ready *ready)
{
    request->attempts = 0;
    request->backoff_until_ms = 0;
    request->backoff_step_ms = coord->config.queue_retry_min_ms;
    request->refused_wall_ms = 0;
    request_move(coord, request, REQUEST_WAITING);
    coord->counters.requeued++;
    request_note(coord, request, "requeued", NULL);
    ready_notice(ready, COORD_NOTICE_REQUEUED, &request->id, NULL, "%s", "");
    act_done(coord, request, call, ready);
    queue_wake(coord, request);
    request_answer(coord, request, false, ready);
}

void dead_forget_dropped(struct coord *coord, size_t keep)
{
    struct requests *requests = &coord->requests;
    while (requests->dropped_count > keep) {
        struct dropped *oldest = requests->dropped_oldest;
        CHECK(oldest != NULL);
        requests->dropped_oldest = oldest->newer;
        *(oldest->newer != NULL ? &oldest->newer->older : &requests->dropped_newest) = NULL;
        requests->dropped_count--;
        free(oldest);
    }
}

/* Otherwise a list would tell of it only behind everything that is in memory. */
static void dropped_keep(struct coord *coord, const struct request *request)
{
    struct requests *requests = &coord->requests;
    struct dropped *dropped = alloc_zeroed(sizeof(*dropped));
    dropped->record.gtrid = request->id;
    dropped->record.wall_ms = request->dropped_wall_ms;
    dropped->record.attempts = request->attempts;
    memcpy(dropped->record.comment, request->comment, sizeof(dropped->record.comment));
    if (request->queue != NULL) {
        memcpy(dropped->record.queue, request->queue->name, sizeof(dropped->record.queue));
    }
    dropped->order = coord->next_order++;
    dropped->older = requests->dropped_newest;
    *(dropped->older != NULL ? &dropped->older->newer : &requests->dropped_oldest) = dropped;
    requests->dropped_newest = dropped;
    requests->dropped_count++;
    dead_forget_dropped(coord, DROPPED_KEPT_MAX);
}

static void dropped_durable(struct coord *coord, struct request *request, uint64_t call,
                            struct coord_ready *ready)
{
    request_move(coord, request, REQUEST_DROPPED);
    coord->counters.dropped++;
    failure_done(&request->failure);
    request->failure.reason = REASON_ROLLED_BACK_BY_CLIENT;
    request->failed_participant = NO_PARTICIPANT;
    snprintf(request->failure_text, sizeof(request->failure_text), "an operator dropped it: %.200s",
             request->comment);
    ready_notice(ready, COORD_NOTICE_DROPPED, &request->id, NULL, "%.200s", request->comment);
    act_done(coord, request, call, ready);
    request_answer(coord, request, true, ready);
    dropped_keep(coord, request);
    request_leave(coord, request); /* the journal remembers it; its key is free */
}

void dead_durable(struct coord *coord, const struct pending *pending, struct coord_ready *ready)
{
    struct request *request = request_find(coord, &pending->gtrid);
    CHECK(request != NULL); /* it stays until its record is durable */
    switch (pending->kind) {
    case PENDING_REFUSED:
        refused_durable(coord, request, ready);
        return;
    case PENDING_REQUEUED:
        requeued_durable(coord, request, pending->call, ready);
        return;
    case PENDING_DROPPED:
        dropped_durable(coord, request, pending->call, ready);
        return;
    case PENDING_ACCEPT:
    case PENDING_EPOCH:
    case PENDING_COMMIT:
    case PENDING_HEURISTIC:
    case PENDING_RESOLVED:
    case PENDING_RELEASE:
        break;
    }
    CHECK(!"only records about a request come here");
}
