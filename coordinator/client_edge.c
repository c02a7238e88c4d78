/*
 * client_edge.c - see client_edge.h.
 *
 * Each context goes round by itself:
 *
 *     RECEIVING --frame--> decode --post--> CALLING --done()--> inbox --> render --> SENDING
 *         ^                   `---refused-----------------------------------------------^  |
 *         `------------------------------------sent-----------------------------------------'
 *
 * A request that waits for an outcome may go round between inbox and CALLING:
 *
 *     inbox --answer, no outcome yet--> HELD --a change brings one, or the time is up--> CALLING
 *                                         |--draining--> refused
 *                                         `--its client has gone--> RECEIVING
 *
 * Answers and changes both come from the owner thread, in its order, through one inbox: so between the answer that
 * makes the edge hold a request and the change that it waits for, nothing is missed. The end of a connection comes through it, too.
 *
 * One thing at a time holds a context: nng (receiving, sending), the owner thread (calling) or the
 * edge's own thread (holding, and rendering, which the owner thread must be spared); the hand-overs order
 * their memory, so contexts need no lock.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/fault.h"
#include "coordinator/client_edge_internal.h"

#define CONTEXTS_RESERVED 8 /* kept from submissions and waits */

static void edge_busy(struct client_edge *edge, int change)
{
    pthread_mutex_lock(&edge->lock);
    edge->busy = (size_t)((ptrdiff_t)edge->busy + change);
    if (edge->busy == 0) {
        pthread_cond_broadcast(&edge->quiet);
    }
    pthread_mutex_unlock(&edge->lock);
}

/* The request is over, however it ended. */
static void context_release(struct edge_context *context)
{
    if (context->is_submission || context->is_wait) {
        atomic_fetch_sub(&context->edge->places, 1);
    }
    if (context->is_wait) {
        atomic_fetch_sub(&context->edge->waits, 1);
    }
    context->is_submission = false;
    context->is_wait = false;
    edge_busy(context->edge, -1);
}

/* Takes the pack's contents. */
static void context_send(struct edge_context *context, struct pack *pack)
{
    nng_msg *message = NULL;
    if (pack->size_bytes > CLIENT_ANSWER_FRAME_MAX_BYTES ||
        nng_msg_alloc(&message, pack->size_bytes) != 0) {
        /* No answer: the client's deadline ends its wait, and it asks again by key. */
        pack_done(pack);
        context_release(context);
        edge_context_receive(context);
        return;
    }
    memcpy(nng_msg_body(message), pack->bytes, pack->size_bytes);
    pack_done(pack);
    context->state = CONTEXT_SENDING;
    nng_aio_set_msg(context->aio, message);
    if (context->is_submission) {
        FAULT(FAULT_C_REPLY_PRE);
    }
    nng_ctx_send(context->ctx, context->aio);
}

static void context_refuse(struct edge_context *context, const struct client_refusal *refusal)
{
    struct pack pack = {0};
    client_encode_refusal(&pack, refusal);
    context_send(context, &pack);
}

/* On the owner thread: only hands over. */
static void edge_done(struct api_call *call)
{
    struct edge_context *context = call->user;
    call->item.kind = EDGE_ITEM_ANSWERED;
    inbox_post(context->edge->inbox, &call->item);
}

static struct client_refusal refusal_shutdown(void)
{
    return (struct client_refusal){.status = CLIENT_REFUSED,
                                   .reason = REASON_SHUTDOWN,
                                   .retry_after_s = 1,
                                   .text = "the coordinator is shutting down"};
}

/* May this submission run, or this wait begin? Counts as one more place taken if so. */
static bool edge_admit(struct client_edge *edge, struct client_refusal *ret_refusal)
{
    if (atomic_load(&edge->is_draining)) {
        *ret_refusal = refusal_shutdown();
        return false;
    }
    if (atomic_fetch_add(&edge->places, 1) + CONTEXTS_RESERVED >= edge->context_count) {
        atomic_fetch_sub(&edge->places, 1);
        *ret_refusal = (struct client_refusal){.status = CLIENT_REFUSED,
                                               .reason = REASON_OVERLOAD,
                                               .retry_after_s = 1,
                                               .text = "too many requests at once (limit "
                                                       "1024, not configurable)"};
        return false;
    }
    return true;
}

static bool context_admit(struct edge_context *context, struct client_refusal *ret_refusal)
{
    context->is_submission = edge_admit(context->edge, ret_refusal);
    return context->is_submission;
}

/* Whoever waits holds a place for as long as he likes: not more than half of them. */
static bool context_admit_wait(struct edge_context *context, const struct api_call *call,
                               struct client_refusal *ret_refusal)
{
    struct client_edge *edge = context->edge;
    if (!edge_admit(edge, ret_refusal)) {
        return false;
    }
    /* Counted before the question is posted: from then on no change may be missed. */
    if (atomic_fetch_add(&edge->waits, 1) >= edge->context_count / 2) {
        atomic_fetch_sub(&edge->waits, 1);
        atomic_fetch_sub(&edge->places, 1);
        *ret_refusal = (struct client_refusal){.status = CLIENT_REFUSED,
                                               .reason = REASON_OVERLOAD,
                                               .retry_after_s = 1,
                                               .text = "too many requests wait for outcomes "
                                                       "(limit 512, not configurable)"};
        return false;
    }
    context->is_wait = true;
    context->wait.gtrid = call->gtrid;
    context->wait.ack = call->wait.ack;
    context->wait.by_ms = clock_monotonic_ms() + call->wait.wait_ms;
    return true;
}

/* The context is the call's until done(). */
static void context_post(struct edge_context *context, struct api_call *call)
{
    struct client_edge *edge = context->edge;
    context->state = CONTEXT_CALLING;
    call->done = edge_done;
    call->user = context;
    edge->sink.post(edge->sink.user, call);
}

/* Takes the message. */
static void context_received(struct edge_context *context, nng_msg *message)
{
    struct client_edge *edge = context->edge;
    edge_busy(edge, 1);
    struct api_call *call = NULL;
    struct client_refusal refusal;
    const bool decoded = client_decode_request(nng_msg_body(message), nng_msg_len(message),
                                               &edge->limits, &call, &refusal);
    context->wait.connection = (uint32_t)nng_pipe_id(nng_msg_get_pipe(message));
    nng_msg_free(message);
    if (!decoded) {
        context_refuse(context, &refusal);
        return;
    }
    /* What goes on or begins takes a place; what ends a transaction must not wait for one. */
    const bool is_work = call->operation == API_SUBMIT || call->operation == API_OPEN ||
                         call->operation == API_STATEMENT || call->operation == API_EXTERNAL;
    if ((is_work && !context_admit(context, &refusal)) ||
        (call->wait.is_wait && !context_admit_wait(context, call, &refusal))) {
        api_call_free(call);
        context_refuse(context, &refusal);
        return;
    }
    if (is_work) {
        FAULT(FAULT_C_DECODED);
    }
    context_post(context, call);
}

/* On nng's threads, when a receive or a send is over. */
void edge_context_callback(void *user)
{
    struct edge_context *context = user;
    const int result = nng_aio_result(context->aio);
    if (context->state == CONTEXT_RECEIVING) {
        if (result == 0) {
            context_received(context, nng_aio_get_msg(context->aio));
        } else if (result != NNG_ECANCELED && result != NNG_ECLOSED) {
            edge_context_receive(context);
        }
        return;
    }
    /* SENDING. A send that failed leaves the message with us; the client is gone, and asks again by
     * key. */
    if (result != 0) {
        nng_msg_free(nng_aio_get_msg(context->aio));
    } else if (context->is_submission) {
        FAULT(FAULT_C_REPLY_POST);
    }
    nng_aio_set_msg(context->aio, NULL);
    context_release(context);
    if (result != NNG_ECANCELED && result != NNG_ECLOSED) {
        edge_context_receive(context);
    }
}

void edge_context_receive(struct edge_context *context)
{
    context->state = CONTEXT_RECEIVING;
    if (!atomic_load(&context->edge->is_stopping)) {
        nng_ctx_recv(context->ctx, context->aio);
    }
}

/* Of whoever waits: there is no outcome yet, and his time is not up. */
static bool context_holds_on(const struct edge_context *context, const struct api_answer *answer)
{
    return context->is_wait && answer->status == API_OK && answer->view_count == 1 &&
           !api_is_awaited(answer->views[0].state, context->wait.ack) &&
           clock_monotonic_ms() < context->wait.by_ms;
}

/* Nobody is there to be answered; what comes next takes the context out of its old request. */
static void context_abandon(struct edge_context *context)
{
    context_release(context);
    edge_context_receive(context);
}

static void context_hold(struct edge_context *context)
{
    struct client_edge *edge = context->edge;
    if (!edge_connection_is_open(edge, context->wait.connection)) {
        context_abandon(context);
        return;
    }
    context->state = CONTEXT_HELD;
    client_waits_add(&edge->held, &context->wait);
}

static void edge_render(struct api_call *call)
{
    struct edge_context *context = call->user;
    struct client_edge *edge = context->edge;
    const bool holds_on = context_holds_on(context, &call->answer);
    struct pack pack = {0};
    if (holds_on && !atomic_load(&edge->is_draining)) {
        api_call_free(call);
        context_hold(context);
        return;
    }
    if (holds_on) {
        const struct client_refusal refusal = refusal_shutdown();
        client_encode_refusal(&pack, &refusal);
    } else {
        client_encode_answer(&pack, call);
    }
    api_call_free(call);
    context_send(context, &pack);
}

/* Asks the owner once more for each of them. */
static void edge_ask_again(struct client_wait *waits)
{
    while (waits != NULL) {
        struct client_wait *next = waits->next;
        struct edge_context *context = (struct edge_context *)waits;
        struct api_call *call = api_call_new(API_GET);
        call->gtrid = waits->gtrid;
        context_post(context, call);
        waits = next;
    }
}

static void edge_changed(struct client_edge *edge, const struct edge_change *change)
{
    edge_ask_again(client_waits_take(&edge->held, &change->gtrid, change->state));
    if (change->has_run) {
        /* Told what the owner then says; a run that is not meant waits on. */
        edge_ask_again(client_waits_take(&edge->held, &change->run, api_run_state(change->state)));
    }
}

static void edge_gone(struct client_edge *edge, uint32_t connection)
{
    struct client_wait *next = NULL;
    for (struct client_wait *wait = client_waits_take_of(&edge->held, connection); wait != NULL;
         wait = next) {
        next = wait->next;
        context_abandon((struct edge_context *)wait);
    }
}

static void edge_refuse_held(struct client_edge *edge)
{
    const struct client_refusal refusal = refusal_shutdown();
    struct client_wait *next = NULL;
    for (struct client_wait *wait = client_waits_take_all(&edge->held); wait != NULL; wait = next) {
        next = wait->next;
        context_refuse((struct edge_context *)wait, &refusal);
    }
}

/* False: it was the last one. */
static bool edge_handle(struct client_edge *edge, struct inbox_item *item)
{
    switch ((enum edge_item)item->kind) {
    case EDGE_ITEM_ANSWERED:
        edge_render((struct api_call *)((char *)item - offsetof(struct api_call, item)));
        return true;
    case EDGE_ITEM_CHANGED:
        edge_changed(edge, (const struct edge_change *)item);
        free(item);
        return true;
    case EDGE_ITEM_GONE:
        edge_gone(edge, ((const struct edge_gone *)item)->connection);
        free(item);
        return true;
    case EDGE_ITEM_DRAIN:
        edge_refuse_held(edge);
        free(item);
        return true;
    case EDGE_ITEM_STOP:
        free(item);
        return false;
    }
    CHECK(false);
    return false;
}

void *edge_renderer(void *user)
{
    struct client_edge *edge = user;
    bool goes_on = true;
    while (goes_on) {
        struct inbox_item *item = inbox_take(edge->inbox, client_waits_due_ms(&edge->held));
        while (item != NULL) {
            struct inbox_item *next = item->next;
            goes_on = edge_handle(edge, item) && goes_on;
            item = next;
        }
        edge_ask_again(client_waits_take_late(&edge->held, clock_monotonic_ms()));
    }
    return NULL;
}

void edge_post(struct client_edge *edge, enum edge_item kind)
{
    struct inbox_item *item = alloc_zeroed(sizeof *item);
    item->kind = kind;
    inbox_post(edge->inbox, item);
}

bool client_edge_wants_changes(const struct client_edge *edge)
{
    return atomic_load(&edge->waits) > 0;
}

void client_edge_publish(struct client_edge *edge, const struct txn_view *view)
{
    const bool has_run = view->request.is_request && view->request.has_run;
    if (!client_edge_wants_changes(edge) ||
        (!api_is_awaited(view->state, ACK_MODE_DECIDED) &&
         !(has_run && api_is_awaited(api_run_state(view->state), ACK_MODE_DECIDED)))) {
        return;
    }
    struct edge_change *change = alloc_zeroed(sizeof *change);
    *change = (struct edge_change){.item = {.kind = EDGE_ITEM_CHANGED},
                                   .gtrid = view->gtrid,
                                   .state = view->state,
                                   .has_run = has_run,
                                   .run = view->request.run};
    inbox_post(edge->inbox, &change->item);
}
