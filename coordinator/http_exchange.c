/*
 * http_exchange.c - one request on one connection: receive, check, post, suspend, answer.
 *
 *   RECEIVING --post--> WAITING --done()--> ANSWERED --> REPLIED
 *       |                  `----http_stop--> ABANDONED --> REPLIED   (the call is still out)
 *       |                  (a request with ?wait= may be HELD meanwhile: http_wait.c)
 *       `-- problem, or a route that needs no call --> REPLIED
 *
 * Called by libmicrohttpd's workers, several times for each request. Everything but `phase` and the
 * list of waiting exchanges is touched only by the worker that owns the connection. A call belongs
 * to the exchange, except between post and done(): then to the owner thread; after ABANDONED done()
 * frees it.
 *
 * A connection whose client goes away while WAITING is noticed by libmicrohttpd only after it is
 * resumed: the call is always answered in the end, so nothing leaks. (What may take long, waits and
 * streams, is watched by http_pump.c.) A client that only shuts down its
 * sending side while it waits counts as gone, too: it gets no answer (libmicrohttpd 0.9.75).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "coordinator/http_interactive.h"
#include "coordinator/http_internal.h"
#include "coordinator/http_queues.h"

/* In place of an exchange: the raw target has a %00, which would silently cut the decoded path. */
static char target_has_nul;

static struct exchange *exchange_new(struct http *http, struct MHD_Connection *connection)
{
    struct exchange *exchange = alloc_zeroed(sizeof *exchange);
    exchange->http = http;
    exchange->gate = http->gate;
    exchange->connection = connection;
    exchange->phase = EXCHANGE_RECEIVING;
    exchange->started_ms = clock_monotonic_ms();
    watch_init(&exchange->watch, exchange,
               MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    gate_lock(http->gate);
    http->gate->references++;
    gate_unlock(http->gate);
    return exchange;
}

static void exchange_free(struct exchange *exchange)
{
    gate_leave(exchange->gate);
    free(exchange);
}

static void waiting_remove(struct exchange *exchange)
{
    if (exchange->previous != NULL) {
        exchange->previous->next = exchange->next;
    } else {
        exchange->gate->waiting = exchange->next;
    }
    if (exchange->next != NULL) {
        exchange->next->previous = exchange->previous;
    }
    exchange->previous = NULL;
    exchange->next = NULL;
}

static void body_release(struct exchange *exchange)
{
    (void)atomic_fetch_sub(&exchange->http->body_bytes, exchange->body.size_bytes);
    text_done(&exchange->body);
}

void exchange_end_waiting(struct exchange *exchange, enum exchange_phase phase)
{
    waiting_remove(exchange);
    exchange->phase = phase;
    MHD_resume_connection(exchange->connection);
}

void exchange_hung_up(struct exchange *exchange)
{
    if (exchange->stream != NULL) {
        stream_hung_up(exchange->stream);
    } else {
        wait_hung_up(exchange);
    }
}

void exchange_time_up(struct exchange *exchange, struct api_call **calls)
{
    if (exchange->stream != NULL) {
        stream_beat(exchange->stream);
    } else {
        wait_time_up(exchange, calls);
    }
}

/* The owner thread has filled the answer. Hands over and nothing else (api.h). */
static void on_done(struct api_call *call)
{
    struct exchange *exchange = call->user;
    struct gate *gate = exchange->gate;
    gate_lock(gate);
    exchange->call_out = false;
    if (exchange->phase == EXCHANGE_WAITING && wait_hold(exchange)) {
        gate_unlock(gate);
        return;
    }
    const bool abandoned = exchange->phase != EXCHANGE_WAITING;
    const bool last = abandoned && exchange->connection == NULL;
    if (!abandoned) {
        exchange_end_waiting(exchange, EXCHANGE_ANSWERED);
    }
    gate_unlock(gate);
    if (abandoned) {
        api_call_free(call);
    }
    if (last) {
        exchange_free(exchange);
    }
}

void exchange_abandon_all(struct gate *gate)
{
    while (gate->waiting != NULL) {
        struct exchange *exchange = gate->waiting;
        if (exchange->phase == EXCHANGE_HELD) {
            held_remove(exchange);
        } else {
            exchange->call = NULL; /* done() frees it */
        }
        exchange_end_waiting(exchange, EXCHANGE_ABANDONED);
    }
    streams_wake(gate); /* they tell what is left to tell, and end */
}

void exchange_completed(void *user, struct MHD_Connection *connection, void **context,
                        enum MHD_RequestTerminationCode code)
{
    (void)user;
    (void)connection;
    (void)code;
    struct exchange *exchange = *context == &target_has_nul ? NULL : *context;
    *context = NULL;
    if (exchange == NULL) {
        return; /* the connection ended before its header was complete */
    }
    body_release(exchange);
    struct gate *gate = exchange->gate;
    gate_lock(gate);
    /* libmicrohttpd never ends a suspended connection. */
    CHECK(exchange->phase != EXCHANGE_WAITING && exchange->phase != EXCHANGE_HELD);
    pump_forget(gate->pump, &exchange->watch); /* the socket is still open, and still ours */
    stream_close(exchange->stream);
    wait_release(exchange);
    exchange->connection = NULL;
    exchange->http = NULL;
    const bool last = !exchange->call_out;
    gate->running_count -= exchange->is_running ? 1 : 0;
    CHECK(pthread_cond_broadcast(&gate->changed) == 0);
    gate_unlock(gate);
    if (last) {
        api_call_free(exchange->call);
        exchange_free(exchange);
    }
}

/* Takes the reply's body. */
static enum MHD_Result exchange_reply(struct exchange *exchange, struct reply *reply)
{
    gate_lock(exchange->gate);
    exchange->phase = EXCHANGE_REPLIED;
    gate_unlock(exchange->gate);
    return reply_send(exchange, reply);
}

static enum MHD_Result exchange_reply_problem(struct exchange *exchange)
{
    struct reply reply;
    reply_from_problem(&exchange->problem, &reply);
    return exchange_reply(exchange, &reply);
}

/* Receiving the body */

static bool body_has_room(struct exchange *exchange, size_t size_bytes)
{
    struct http *http = exchange->http;
    if (exchange->received_bytes > http->limits.body_bytes) {
        return body_too_large(exchange);
    }
    const size_t before = atomic_fetch_add(&http->body_bytes, size_bytes);
    if (before + size_bytes > http->body_bytes_max) {
        (void)atomic_fetch_sub(&http->body_bytes, size_bytes);
        problem_set_reason(&exchange->problem, REASON_OVERLOAD);
        (void)snprintf(exchange->problem.detail, sizeof exchange->problem.detail,
                       "the request bodies being received are too large together");
        return false;
    }
    return true;
}

static enum MHD_Result body_receive(struct exchange *exchange, const char *bytes, size_t size_bytes)
{
    const uint64_t limit_ms = (uint64_t)exchange->http->limits.idle_s * 1000;
    if (clock_monotonic_ms() - exchange->started_ms > limit_ms) {
        return MHD_NO; /* trickles in: the idle time-out never sees that */
    }
    exchange->received_bytes += size_bytes;
    if (exchange->problem.kind == PROBLEM_NONE) {
        if (body_has_room(exchange, size_bytes)) {
            text_append(&exchange->body, bytes, size_bytes);
        } else {
            body_release(exchange);
        }
    }
    return exchange->received_bytes <= body_bytes_read_max(exchange->http) ? MHD_YES : MHD_NO;
}

/* Posting */

static struct api_call *call_submit(struct exchange *exchange)
{
    struct api_call *call = api_call_new(API_SUBMIT);
    if (!submit_parse(&exchange->http->limits, exchange_header(exchange, "Idempotency-Key"),
                      (const uint8_t *)exchange->body.bytes, exchange->body.size_bytes,
                      &call->submission, &exchange->problem)) {
        api_call_free(call);
        return NULL;
    }
    call->submission.is_async = exchange->is_async;
    if (!queue_check(&call->submission, &exchange->problem)) {
        api_call_free(call);
        return NULL;
    }
    exchange->is_repeatable = call->submission.key_bytes > 0;
    return call;
}

static struct api_call *call_open(struct exchange *exchange)
{
    struct api_call *call = api_call_new(API_OPEN);
    if (!open_parse(&exchange->http->limits, (const uint8_t *)exchange->body.bytes,
                    exchange->body.size_bytes, &call->timeout_ms, &exchange->problem)) {
        api_call_free(call);
        return NULL;
    }
    return call;
}

static struct api_call *call_statement(struct exchange *exchange)
{
    struct api_call *call = api_call_new(API_STATEMENT);
    if (!interactive_statement_parse(&exchange->http->limits, (const uint8_t *)exchange->body.bytes,
                                     exchange->body.size_bytes, &call->statement,
                                     &exchange->problem)) {
        api_call_free(call);
        return NULL;
    }
    call->statement.gtrid = exchange->gtrid;
    exchange->is_repeatable = call->statement.seq != 0;
    return call;
}

static struct api_call *call_external(struct exchange *exchange)
{
    struct api_call *call = api_call_new(API_EXTERNAL);
    if (!interactive_external_parse((const uint8_t *)exchange->body.bytes,
                                    exchange->body.size_bytes, &call->external,
                                    &exchange->problem)) {
        api_call_free(call);
        return NULL;
    }
    call->external.gtrid = exchange->gtrid;
    exchange->is_repeatable = true; /* with another gid */
    return call;
}

static struct api_call *call_close(struct exchange *exchange)
{
    struct api_call *call = api_call_new(API_CLOSE);
    if (!interactive_end_parse(exchange->route == ROUTE_COMMIT,
                               (const uint8_t *)exchange->body.bytes, exchange->body.size_bytes,
                               &call->end, &exchange->problem)) {
        api_call_free(call);
        return NULL;
    }
    call->end.gtrid = exchange->gtrid;
    exchange->is_repeatable = true;
    return call;
}

static struct api_call *call_resolve(struct exchange *exchange)
{
    struct api_call *call = api_call_new(API_RESOLVE);
    if (!resolve_parse((const uint8_t *)exchange->body.bytes, exchange->body.size_bytes,
                       &call->resolve, &exchange->problem)) {
        api_call_free(call);
        return NULL;
    }
    call->resolve.gtrid = exchange->gtrid;
    return call;
}

static struct api_call *call_request_act(struct exchange *exchange)
{
    struct api_call *call = api_call_new(API_REQUEST_ACT);
    const enum request_act act =
        exchange->route == ROUTE_DROP ? REQUEST_ACT_DROP : REQUEST_ACT_REQUEUE;
    if (!request_act_parse(act, (const uint8_t *)exchange->body.bytes, exchange->body.size_bytes,
                           &call->act, &exchange->problem)) {
        api_call_free(call);
        return NULL;
    }
    call->act.id = exchange->gtrid;
    return call;
}

struct api_call *exchange_call_get(struct exchange *exchange)
{
    struct api_call *call = api_call_new(API_GET);
    call->gtrid = exchange->gtrid;
    call->want_events = exchange->route == ROUTE_EVENTS;
    call->done = on_done;
    call->user = exchange;
    return call;
}

/* The call that the route needs; NULL: exchange->problem says why there is none. */
static struct api_call *call_make(struct exchange *exchange)
{
    struct api_call *call = NULL;
    switch (exchange->route) {
    case ROUTE_SUBMIT:
        return call_submit(exchange);
    case ROUTE_RESOLVE:
        return call_resolve(exchange);
    case ROUTE_OPEN:
        return call_open(exchange);
    case ROUTE_STATEMENT:
        return call_statement(exchange);
    case ROUTE_EXTERNAL:
        return call_external(exchange);
    case ROUTE_COMMIT:
    case ROUTE_ROLLBACK:
        return call_close(exchange);
    case ROUTE_REQUEUE:
    case ROUTE_DROP:
        return call_request_act(exchange);
    case ROUTE_QUEUES:
        return api_call_new(API_QUEUES);
    case ROUTE_LIST:
        call = api_call_new(API_LIST);
        call->list = exchange->query.list;
        return call;
    case ROUTE_TRANSACTION:
    case ROUTE_EVENTS:
        return exchange_call_get(exchange);
    case ROUTE_PARTICIPANTS:
        return api_call_new(API_PARTICIPANTS);
    case ROUTE_READY:
        return api_call_new(API_READY);
    case ROUTE_METRICS:
        return api_call_new(API_METRICS);
    case ROUTE_NONE:
    case ROUTE_LIVE:
    case ROUTE_OPENAPI:
    case ROUTE_STREAM:
    case ROUTE_COUNT:
        break;
    }
    CHECK(false);
    return NULL;
}

/* Suspends, then posts: the answer may come before post returns. */
static enum MHD_Result exchange_post(struct exchange *exchange, struct api_call *call)
{
    struct http *http = exchange->http;
    struct gate *gate = exchange->gate;
    call->done = on_done;
    call->user = exchange;
    gate_lock(gate);
    if (gate->stopping) {
        gate_unlock(gate);
        api_call_free(call);
        problem_set_reason(&exchange->problem, REASON_SHUTDOWN);
        return exchange_reply_problem(exchange);
    }
    exchange->call = call;
    exchange->call_out = true;
    exchange->phase = EXCHANGE_WAITING;
    exchange->next = gate->waiting;
    if (gate->waiting != NULL) {
        gate->waiting->previous = exchange;
    }
    gate->waiting = exchange;
    MHD_suspend_connection(exchange->connection);
    gate_unlock(gate);
    http->sink.post(http->sink.user,
                    call); /* exchange may be answered now: not ours until called again */
    return MHD_YES;
}

static enum MHD_Result exchange_stream(struct exchange *exchange)
{
    if (!stream_open(exchange, exchange_header(exchange, "Last-Event-ID"))) {
        return exchange_reply_problem(exchange);
    }
    gate_lock(exchange->gate);
    exchange->phase = EXCHANGE_REPLIED;
    gate_unlock(exchange->gate);
    return reply_send_stream(exchange);
}

/* The whole request is there. */
static enum MHD_Result exchange_run(struct exchange *exchange)
{
    gate_lock(exchange->gate);
    exchange->is_running = true;
    exchange->gate->running_count++;
    gate_unlock(exchange->gate);
    if (exchange->problem.kind != PROBLEM_NONE) {
        return exchange_reply_problem(exchange);
    }
    struct reply reply;
    if (exchange->route == ROUTE_LIVE) {
        reply_live(exchange->http->version, &reply);
        return exchange_reply(exchange, &reply);
    }
    if (exchange->route == ROUTE_OPENAPI) {
        reply_openapi(&reply);
        return exchange_reply(exchange, &reply);
    }
    if (exchange->route == ROUTE_STREAM) {
        return exchange_stream(exchange);
    }
    if (exchange->query.wait_s > 0 && !wait_admit(exchange)) {
        return exchange_reply_problem(exchange);
    }
    struct api_call *call = call_make(exchange);
    body_release(exchange);
    return call == NULL ? exchange_reply_problem(exchange) : exchange_post(exchange, call);
}

/* What the owner thread does not know. */
static void metrics_add(struct exchange *exchange, struct api_answer *answer)
{
    struct gate *gate = exchange->gate;
    gate_lock(gate);
    const struct metric own[] = {
        {"assent_streams", "Clients of the stream of changes.", "gauge", "",
         (double)gate->stream_count},
        {"assent_waits", "Requests that wait for an outcome.", "gauge", "",
         (double)gate->wait_count},
    };
    gate_unlock(gate);
    const size_t own_count = sizeof own / sizeof own[0];
    answer->metrics =
        alloc_resize(answer->metrics, answer->metric_count + own_count, sizeof own[0]);
    memcpy(answer->metrics + answer->metric_count, own, sizeof own);
    answer->metric_count += own_count;
}

static enum MHD_Result exchange_answer(struct exchange *exchange)
{
    struct reply reply;
    if (exchange->route == ROUTE_METRICS && exchange->call->answer.status == API_OK) {
        metrics_add(exchange, &exchange->call->answer);
    }
    reply_from_call(exchange->route, exchange->is_repeatable, exchange->call, &reply);
    reply.is_async = exchange->is_async && reply.status == 202;
    api_call_free(exchange->call);
    exchange->call = NULL;
    return exchange_reply(exchange, &reply);
}

static enum MHD_Result exchange_begin(struct exchange *exchange, const char *method,
                                      const char *path, bool has_nul)
{
    exchange->is_head = strcmp(method, "HEAD") == 0;
    (void)request_check(exchange, method, has_nul ? "" : path);
    if (has_nul && exchange->problem.kind == PROBLEM_NOT_FOUND) {
        (void)problem_set(&exchange->problem, PROBLEM_MALFORMED,
                          "path and query may not hold a NUL (%%00)");
    }
    return answer_before_body(exchange) ? exchange_reply_problem(exchange) : MHD_YES;
}

void *exchange_target_seen(void *user, const char *target, struct MHD_Connection *connection)
{
    (void)user;
    (void)connection;
    return strstr(target, "%00") != NULL ? &target_has_nul : NULL;
}

enum MHD_Result exchange_handle(void *user, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_bytes, void **context)
{
    (void)version;
    struct exchange *exchange = *context;
    if (exchange == NULL || *context == &target_has_nul) {
        const bool has_nul = exchange != NULL;
        exchange = exchange_new(user, connection);
        *context = exchange;
        return exchange_begin(exchange, method, url, has_nul);
    }
    gate_lock(exchange->gate);
    const enum exchange_phase phase = exchange->phase;
    gate_unlock(exchange->gate);
    struct reply reply;
    switch (phase) {
    case EXCHANGE_RECEIVING:
        if (*upload_bytes > 0) {
            const size_t size_bytes = *upload_bytes;
            *upload_bytes = 0;
            return body_receive(exchange, upload, size_bytes);
        }
        return exchange_run(exchange);
    case EXCHANGE_ANSWERED:
        return exchange_answer(exchange);
    case EXCHANGE_ABANDONED:
        reply_abandoned(exchange->route, exchange->is_repeatable, &reply);
        return exchange_reply(exchange, &reply);
    case EXCHANGE_GONE:
        return MHD_NO;
    case EXCHANGE_WAITING:
    case EXCHANGE_HELD:
    case EXCHANGE_REPLIED:
        break;
    }
    CHECK(false); /* suspended connections and answered requests are not called back */
    return MHD_NO;
}
