/* client_edge_open.c - the client edge's beginning and end: socket, contexts, threads (client_edge.h). */
#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/fault.h"
#include "coordinator/client_edge_internal.h"

#define CONTEXTS_MIN 16

static uint64_t connection_hash(uint32_t connection)
{
    return map_hash_bytes(&connection, sizeof connection);
}

static bool match_connection(const void *value, const void *wanted)
{
    return value == wanted;
}

/* Numbers of pipes begin at 1. */
static void *connection_value(uint32_t connection)
{
    return (void *)(uintptr_t)connection;
}

bool edge_connection_is_open(struct client_edge *edge, uint32_t connection)
{
    pthread_mutex_lock(&edge->lock);
    const bool is_open = map_find(&edge->open, connection_hash(connection), match_connection,
                                  connection_value(connection)) != NULL;
    pthread_mutex_unlock(&edge->lock);
    return is_open;
}

static void connection_opened(struct client_edge *edge, uint32_t connection)
{
    pthread_mutex_lock(&edge->lock);
    map_insert(&edge->open, connection_hash(connection), connection_value(connection));
    pthread_mutex_unlock(&edge->lock);
}

/* First it is closed, then that is told: so who begins to wait between the two finds it closed. */
static void connection_closed(struct client_edge *edge, uint32_t connection)
{
    pthread_mutex_lock(&edge->lock);
    (void)map_remove(&edge->open, connection_hash(connection), connection_value(connection));
    pthread_mutex_unlock(&edge->lock);
    if (atomic_load(&edge->waits) > 0) {
        struct edge_gone *gone = alloc_zeroed(sizeof *gone);
        gone->item.kind = EDGE_ITEM_GONE;
        gone->connection = connection;
        inbox_post(edge->inbox, &gone->item);
    }
}

/* ADD_PRE comes once for every connection, REM_POST once for each that had an ADD_PRE, refused ones
 * included. */
static void edge_on_pipe(nng_pipe pipe, nng_pipe_ev event, void *user)
{
    struct client_edge *edge = user;
    if (event == NNG_PIPE_EV_ADD_PRE) {
        FAULT(FAULT_C_ACCEPT);
        connection_opened(edge, (uint32_t)nng_pipe_id(pipe));
        if (atomic_fetch_add(&edge->connections, 1) >= edge->connections_max) {
            nng_pipe_close(pipe);
        }
    } else if (event == NNG_PIPE_EV_REM_POST) {
        atomic_fetch_sub(&edge->connections, 1);
        connection_closed(edge, (uint32_t)nng_pipe_id(pipe));
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
            code = nng_aio_alloc(&context->aio, edge_context_callback, context);
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
    client_waits_done(&edge->held);
    map_done(&edge->open);
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
        edge_context_receive(&edge->contexts[i]);
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
    edge_post(edge, EDGE_ITEM_DRAIN);
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
    edge_post(edge, EDGE_ITEM_STOP);
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
