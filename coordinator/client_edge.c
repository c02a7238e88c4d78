/*
 * client_edge.c - see client_edge.h.
 *
 * Each context goes round by itself:
 *
 *     RECEIVING --frame--> decode --post--> CALLING --done()--> inbox --> render --> SENDING
 *         ^                   `---refused-----------------------------------------------^  |
 *         `------------------------------------sent-----------------------------------------'
 *
 * One thing at a time holds a context: nng (receiving, sending), the owner thread (calling) or the
 * edge's own thread (rendering, which the owner thread must be spared); the hand-overs order their
 * memory, so contexts need no lock.
 */
#include "coordinator/client_edge.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/fault.h"
#include "coordinator/client_codec.h"

#define CONTEXTS_MIN      16
#define CONTEXTS_RESERVED 8 /* kept from submissions */

enum edge_item { EDGE_ITEM_ANSWERED = 1, EDGE_ITEM_STOP };

enum context_state { CONTEXT_IDLE = 0, CONTEXT_RECEIVING, CONTEXT_CALLING, CONTEXT_SENDING };

struct edge_context {
    struct client_edge *edge;
    nng_ctx ctx;
    nng_aio *aio;
    enum context_state state;
    bool is_submission; /* or other work, see context_received */
};

struct client_edge {
    nng_socket socket;
    nng_listener listener;
    struct api_sink sink;
    struct client_limits limits;
    uint32_t connections_max;
    size_t context_count;
    struct edge_context *contexts;
    struct inbox *inbox;
    pthread_t renderer;
    atomic_bool is_draining;
    atomic_bool is_stopping;
    atomic_uint connections;
    atomic_uint submissions; /* contexts that a submission holds */
    pthread_mutex_t lock;    /* for the two below only */
    pthread_cond_t quiet;
    size_t busy; /* contexts that hold a request or an answer */
};

static void context_receive(struct edge_context *context);

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
    if (context->is_submission) {
        atomic_fetch_sub(&context->edge->submissions, 1);
        context->is_submission = false;
    }
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
        context_receive(context);
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

/* May this submission run? Takes its place if so. */
static bool context_admit(struct edge_context *context, struct client_refusal *ret_refusal)
{
    struct client_edge *edge = context->edge;
    if (atomic_load(&edge->is_draining)) {
        *ret_refusal = (struct client_refusal){.status = CLIENT_REFUSED,
                                               .reason = REASON_SHUTDOWN,
                                               .retry_after_s = 1,
                                               .text = "the coordinator is shutting down"};
        return false;
    }
    if (atomic_fetch_add(&edge->submissions, 1) + CONTEXTS_RESERVED >= edge->context_count) {
        atomic_fetch_sub(&edge->submissions, 1);
        *ret_refusal = (struct client_refusal){.status = CLIENT_REFUSED,
                                               .reason = REASON_OVERLOAD,
                                               .retry_after_s = 1,
                                               .text = "too many requests at once (limit "
                                                       "1024, not configurable)"};
        return false;
    }
    context->is_submission = true;
    return true;
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
    nng_msg_free(message);
    if (!decoded) {
        context_refuse(context, &refusal);
        return;
    }
    /* What goes on or begins takes a place; what ends a transaction must not wait for one. */
    const bool is_work = call->operation == API_SUBMIT || call->operation == API_OPEN ||
                         call->operation == API_STATEMENT || call->operation == API_EXTERNAL;
    if (is_work) {
        if (!context_admit(context, &refusal)) {
            api_call_free(call);
            context_refuse(context, &refusal);
            return;
        }
        FAULT(FAULT_C_DECODED);
    }
    context->state = CONTEXT_CALLING;
    call->done = edge_done;
    call->user = context;
    edge->sink.post(edge->sink.user, call);
}

/* On nng's threads, when a receive or a send is over. */
static void context_callback(void *user)
{
    struct edge_context *context = user;
    const int result = nng_aio_result(context->aio);
    if (context->state == CONTEXT_RECEIVING) {
        if (result == 0) {
            context_received(context, nng_aio_get_msg(context->aio));
        } else if (result != NNG_ECANCELED && result != NNG_ECLOSED) {
            context_receive(context);
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
        context_receive(context);
    }
}

static void context_receive(struct edge_context *context)
{
    context->state = CONTEXT_RECEIVING;
    if (!atomic_load(&context->edge->is_stopping)) {
        nng_ctx_recv(context->ctx, context->aio);
    }
}

static void edge_render(struct api_call *call)
{
    struct edge_context *context = call->user;
    struct pack pack = {0};
    client_encode_answer(&pack, call);
    api_call_free(call);
    context_send(context, &pack);
}

static void *edge_renderer(void *user)
{
    struct client_edge *edge = user;
    for (;;) {
        struct inbox_item *item = inbox_take(edge->inbox, UINT64_MAX);
        bool is_last = false;
        while (item != NULL) {
            struct inbox_item *next = item->next;
            if (item->kind == EDGE_ITEM_STOP) {
                is_last = true;
                free(item);
            } else {
                edge_render((struct api_call *)((char *)item - offsetof(struct api_call, item)));
            }
            item = next;
        }
        if (is_last) {
            return NULL;
        }
    }
}

/* ADD_PRE comes once for every connection, REM_POST once for each that had an ADD_PRE, refused ones
 * included. */
static void edge_on_pipe(nng_pipe pipe, nng_pipe_ev event, void *user)
{
    struct client_edge *edge = user;
    if (event == NNG_PIPE_EV_ADD_PRE) {
        FAULT(FAULT_C_ACCEPT);
        if (atomic_fetch_add(&edge->connections, 1) >= edge->connections_max) {
            nng_pipe_close(pipe);
        }
    } else if (event == NNG_PIPE_EV_REM_POST) {
        atomic_fetch_sub(&edge->connections, 1);
    }
}

static bool edge_fail(struct error *error, int code, const char *what)
{
    return error_set(error, code == NNG_EADDRINUSE ? ERROR_LOCKED : ERROR_SYSTEM, "%s: %s", what,
                     nng_strerror(code));
}

static bool edge_listen(struct client_edge *edge, const char *listen, struct error *ret_error)
{
    char url[ADDRESS_SIZE + 8];
    snprintf(url, sizeof url, "tcp://%.*s", ADDRESS_SIZE, listen);
    int code = nng_listener_create(&edge->listener, edge->socket, url);
    if (code != 0) {
        return error_set(ret_error, ERROR_INVALID, "client listener %s: %s", listen,
                         nng_strerror(code));
    }
    /* Half-open connections are found by the kernel; the protocol itself has no heartbeat. */
    (void)nng_listener_set_bool(edge->listener, NNG_OPT_TCP_KEEPALIVE, true);
    code = nng_listener_start(edge->listener, 0);
    if (code != 0) {
        edge_fail(ret_error, code, "client listener");
        error_wrap(ret_error, "%s", listen);
        return error_hint(ret_error, "another process may listen there: see [assentd] client");
    }
    return true;
}

static bool edge_open_contexts(struct client_edge *edge, struct error *ret_error)
{
    edge->contexts = alloc_array(edge->context_count, sizeof *edge->contexts);
    for (size_t i = 0; i < edge->context_count; i++) {
        struct edge_context *context = &edge->contexts[i];
        context->edge = edge;
        int code = nng_ctx_open(&context->ctx, edge->socket);
        if (code == 0) {
            code = nng_aio_alloc(&context->aio, context_callback, context);
        }
        if (code != 0) {
            return edge_fail(ret_error, code, "client listener: contexts");
        }
    }
    return true;
}

static uint32_t value_or(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

static struct client_edge *edge_new(const struct client_edge_options *options)
{
    struct client_edge *edge = alloc_zeroed(sizeof *edge);
    edge->sink = options->sink;
    edge->limits = (struct client_limits){
        .body_bytes = value_or(options->body_bytes, 1024 * 1024),
        .branches = value_or(options->branches, 64),
        .statements = value_or(options->statements, 1000),
        .timeout_default_ms = value_or(options->timeout_default_ms, 5000),
        .timeout_max_ms = value_or(options->timeout_max_ms, 60000),
    };
    edge->connections_max = value_or(options->connections, 1024);
    edge->context_count = value_or(options->contexts, 1024);
    if (edge->context_count < CONTEXTS_MIN) {
        edge->context_count = CONTEXTS_MIN;
    }
    edge->inbox = inbox_new();
    CHECK(pthread_mutex_init(&edge->lock, NULL) == 0);
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&edge->quiet, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
    return edge;
}

static void edge_free(struct client_edge *edge)
{
    for (size_t i = 0; i < edge->context_count && edge->contexts != NULL; i++) {
        if (edge->contexts[i].aio != NULL) {
            nng_aio_free(edge->contexts[i].aio);
        }
    }
    free(edge->contexts);
    inbox_free(edge->inbox);
    pthread_mutex_destroy(&edge->lock);
    pthread_cond_destroy(&edge->quiet);
    free(edge);
}

/* All that can fail, in order; what a failure leaves open in nng ends with the process, which
 * cannot start. */
static bool edge_open(struct client_edge *edge, const char *listen, struct error *ret_error)
{
    int code = nng_rep0_open(&edge->socket);
    if (code == 0) {
        code = nng_socket_set_size(edge->socket, NNG_OPT_RECVMAXSZ, CLIENT_REQUEST_FRAME_MAX_BYTES);
    }
    if (code == 0) {
        code = nng_pipe_notify(edge->socket, NNG_PIPE_EV_ADD_PRE, edge_on_pipe, edge);
    }
    if (code == 0) {
        code = nng_pipe_notify(edge->socket, NNG_PIPE_EV_REM_POST, edge_on_pipe, edge);
    }
    if (code != 0) {
        return edge_fail(ret_error, code, "client listener");
    }
    if (!edge_open_contexts(edge, ret_error)) {
        return false;
    }
    const int errnum = pthread_create(&edge->renderer, NULL, edge_renderer, edge);
    if (errnum != 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errnum, "client listener: thread");
    }
    for (size_t i = 0; i < edge->context_count; i++) {
        context_receive(&edge->contexts[i]);
    }
    if (!edge_listen(edge, listen, ret_error)) {
        client_edge_stop(edge, 0);
        return false;
    }
    return true;
}

bool client_edge_start(const struct client_edge_options *options, struct client_edge **ret_edge,
                       struct error *ret_error)
{
    struct client_edge *edge = edge_new(options);
    if (!edge_open(edge, options->listen, ret_error)) {
        return false;
    }
    *ret_edge = edge;
    return true;
}

uint16_t client_edge_port(const struct client_edge *edge)
{
    int port = 0;
    return nng_listener_get_int(edge->listener, NNG_OPT_TCP_BOUND_PORT, &port) == 0 ? (uint16_t)port
                                                                                    : 0;
}

uint32_t client_edge_connections(const struct client_edge *edge)
{
    return atomic_load(&edge->connections);
}

void client_edge_drain(struct client_edge *edge)
{
    atomic_store(&edge->is_draining, true);
}

/* True if no request is left. */
static bool edge_wait_quiet(struct client_edge *edge, uint32_t timeout_ms)
{
    const uint64_t until_ms = clock_monotonic_ms() + timeout_ms;
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000) * 1000000};
    pthread_mutex_lock(&edge->lock);
    int result = 0;
    while (edge->busy > 0 && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&edge->quiet, &edge->lock, &until);
    }
    const bool is_quiet = edge->busy == 0;
    pthread_mutex_unlock(&edge->lock);
    return is_quiet;
}

void client_edge_stop(struct client_edge *edge, uint32_t timeout_ms)
{
    client_edge_drain(edge);
    (void)edge_wait_quiet(edge, timeout_ms);
    atomic_store(&edge->is_stopping, true);
    for (size_t i = 0; i < edge->context_count; i++) {
        nng_aio_stop(edge->contexts[i].aio);
    }
    /* Contexts that are neither receiving nor sending now wait for their call, which comes back
     * after us. */
    const bool is_quiet = edge_wait_quiet(edge, 0);
    struct inbox_item *stop = alloc_zeroed(sizeof *stop);
    stop->kind = EDGE_ITEM_STOP;
    inbox_post(edge->inbox, stop);
    pthread_join(edge->renderer, NULL);
    if (is_quiet) {
        for (size_t i = 0; i < edge->context_count; i++) {
            nng_ctx_close(edge->contexts[i].ctx);
        }
        /* Pipe events may still come: from here on they must not touch the edge. */
        nng_pipe_notify(edge->socket, NNG_PIPE_EV_ADD_PRE, NULL, NULL);
        nng_pipe_notify(edge->socket, NNG_PIPE_EV_REM_POST, NULL, NULL);
        edge_free(edge);
    }
}
