/*
 * http_exchange.c - one request on one connection: receive, check, post, suspend, answer.
 *
 *   RECEIVING --post--> WAITING --done()--> ANSWERED --> REPLIED
 *       |                  `----http_stop--> ABANDONED --> REPLIED   (the call is still out)
 *       `-- problem, or a route that needs no call --> REPLIED
 *
 * Called by libmicrohttpd's workers, several times for each request. Everything but `phase` and the
 * list of waiting exchanges is touched only by the worker that owns the connection. A call belongs
 * to the exchange, except between post and done(): then to the owner thread; after ABANDONED done()
 * frees it.
 *
 * A connection whose client goes away while WAITING is noticed by libmicrohttpd only after it is
 * resumed: the call is always answered in the end, so nothing leaks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "coordinator/http_internal.h"
#include "coordinator/http_reply.h"
#include "coordinator/http_submit.h"

/* A body that is refused is still read up to here, since closing with unread data would reset the
 * connection and take the answer with it. */
#define DISCARD_BYTES_MAX (64u * 1024 * 1024)

enum exchange_phase {
    EXCHANGE_RECEIVING = 1,
    EXCHANGE_WAITING,
    EXCHANGE_ANSWERED,
    EXCHANGE_ABANDONED,
    EXCHANGE_REPLIED,
};

struct exchange {
    struct http *http; /* valid while there is a connection */
    struct gate *gate;
    struct MHD_Connection
        *connection;           /* NULL once libmicrohttpd has forgotten it; guarded by the gate */
    enum exchange_phase phase; /* guarded by the gate while a call is out */
    bool call_out;             /* guarded by the gate: between post and done() */
    struct exchange *previous, *next; /* gate->waiting */
    enum route route;
    struct gtrid gtrid;
    struct list_query query;
    struct problem
        problem; /* kind is set once the request is refused; the rest of the body is discarded */
    struct text body;
    size_t received_bytes;
    uint64_t started_ms;
    bool has_key;
    struct api_call *call;
};

/* In place of an exchange: the raw target has a %00, which would silently cut the decoded path. */
static char target_has_nul;

static void gate_lock(struct gate *gate)
{
    CHECK(pthread_mutex_lock(&gate->lock) == 0);
}

static void gate_unlock(struct gate *gate)
{
    CHECK(pthread_mutex_unlock(&gate->lock) == 0);
}

static struct exchange *exchange_new(struct http *http, struct MHD_Connection *connection)
{
    struct exchange *exchange = alloc_zeroed(sizeof *exchange);
    exchange->http = http;
    exchange->gate = http->gate;
    exchange->connection = connection;
    exchange->phase = EXCHANGE_RECEIVING;
    exchange->started_ms = clock_monotonic_ms();
    gate_lock(http->gate);
    http->gate->references++;
    http->gate->exchange_count++;
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

/* The owner thread has filled the answer. Hands over and nothing else (api.h). */
static void on_done(struct api_call *call)
{
    struct exchange *exchange = call->user;
    struct gate *gate = exchange->gate;
    gate_lock(gate);
    exchange->call_out = false;
    const bool abandoned = exchange->phase != EXCHANGE_WAITING;
    const bool last = abandoned && exchange->connection == NULL;
    if (!abandoned) {
        waiting_remove(exchange);
        exchange->phase = EXCHANGE_ANSWERED;
        MHD_resume_connection(exchange->connection);
        /* From here on a worker may run the exchange to its end and free it. */
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
        waiting_remove(exchange);
        exchange->phase = EXCHANGE_ABANDONED;
        exchange->call = NULL; /* done() frees it */
        MHD_resume_connection(exchange->connection);
    }
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
    CHECK(exchange->phase != EXCHANGE_WAITING);
    exchange->connection = NULL;
    exchange->http = NULL;
    const bool last = !exchange->call_out;
    gate->exchange_count--;
    CHECK(pthread_cond_broadcast(&gate->changed) == 0);
    gate_unlock(gate);
    if (last) {
        api_call_free(exchange->call);
        exchange_free(exchange);
    }
}

/* Sending */

static void header_add(struct MHD_Response *response, const char *name, const char *value)
{
    CHECK(MHD_add_response_header(response, name, value) == MHD_YES);
}

static struct MHD_Response *response_new(const struct reply *reply)
{
    if (reply->fixed_body != NULL) {
        /* Persistent: never written to, the missing const is the library's. */
        return MHD_create_response_from_buffer(
            reply->fixed_body_bytes, (void *)(uintptr_t)reply->fixed_body, MHD_RESPMEM_PERSISTENT);
    }
    return MHD_create_response_from_buffer(reply->body.size_bytes, reply->body.bytes,
                                           MHD_RESPMEM_MUST_FREE);
}

/* Takes the reply's body. */
static enum MHD_Result exchange_reply(struct exchange *exchange, struct reply *reply)
{
    struct MHD_Response *response = response_new(reply);
    CHECK(response != NULL);
    header_add(response, "Content-Type", reply->content_type);
    header_add(response, "Cache-Control", "no-store");
    header_add(response, "X-Content-Type-Options", "nosniff");
    if (reply->id[0] != '\0') {
        header_add(response, "Assent-Transaction", reply->id);
    }
    if (reply->retry_after_s != 0) {
        char seconds[16];
        (void)snprintf(seconds, sizeof seconds, "%u", reply->retry_after_s);
        header_add(response, "Retry-After", seconds);
    }
    if (reply->allow != NULL) {
        header_add(response, "Allow", reply->allow);
    }
    if (reply->replayed) {
        header_add(response, "Idempotent-Replayed", "true");
    }
    if (atomic_load(&exchange->http->draining)) {
        header_add(response, "Connection", "close");
    }
    gate_lock(exchange->gate);
    exchange->phase = EXCHANGE_REPLIED;
    gate_unlock(exchange->gate);
    const enum MHD_Result result =
        MHD_queue_response(exchange->connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result exchange_reply_problem(struct exchange *exchange)
{
    struct reply reply;
    reply_from_problem(&exchange->problem, &reply);
    return exchange_reply(exchange, &reply);
}

/* Checking the header */

static const char *header(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

struct header_count {
    const char *name;
    unsigned count;
};

static enum MHD_Result on_header(void *user, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    (void)kind;
    (void)value;
    struct header_count *counter = user;
    counter->count += strcasecmp(name, counter->name) == 0 ? 1 : 0;
    return MHD_YES;
}

static unsigned header_count(const struct exchange *exchange, const char *name)
{
    struct header_count counter = {.name = name};
    (void)MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, on_header, &counter);
    return counter.count;
}

/* Fields that decide what the request is may not come twice: whoever reads another one than we is
 * misled. */
static bool headers_unique(struct exchange *exchange)
{
    static const char *const names[] = {"Host",
                                        "Content-Length",
                                        "Content-Type",
                                        "Transfer-Encoding",
                                        "Idempotency-Key",
                                        "Content-Encoding"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (header_count(exchange, names[i]) > 1) {
            return problem_set(&exchange->problem, PROBLEM_MALFORMED, "header %s appears twice",
                               names[i]);
        }
    }
    return true;
}

static bool host_check(struct exchange *exchange)
{
    const char *host = header(exchange, "Host");
    /* HTTP/1.0 has none; browsers always send one, and they are what this check is for. */
    return host == NULL || host_allowed(host, exchange->http->host_names) ||
           problem_set(&exchange->problem, PROBLEM_MISDIRECTED,
                       "host \"%.100s\" is not served here: use a loopback name or add it to the "
                       "configured host names",
                       host);
}

/* "application/json", perhaps with charset=utf-8. */
static bool content_type_is_json(const char *value)
{
    static const char json[] = "application/json";
    if (value == NULL || strncasecmp(value, json, sizeof json - 1) != 0) {
        return false;
    }
    const char *rest = value + sizeof json - 1;
    rest += strspn(rest, " \t");
    if (*rest == '\0') {
        return true;
    }
    if (*rest != ';') {
        return false;
    }
    rest++;
    rest += strspn(rest, " \t");
    return *rest == '\0' || strcasecmp(rest, "charset=utf-8") == 0 ||
           strcasecmp(rest, "charset=\"utf-8\"") == 0;
}

static bool media_check(struct exchange *exchange)
{
    const char *type = header(exchange, "Content-Type");
    if (!content_type_is_json(type)) {
        return problem_set(&exchange->problem, PROBLEM_UNSUPPORTED_MEDIA,
                           "Content-Type must be application/json, not %.100s",
                           type == NULL ? "missing" : type);
    }
    const char *encoding = header(exchange, "Content-Encoding");
    if (encoding != NULL && strcasecmp(encoding, "identity") != 0) {
        return problem_set(&exchange->problem, PROBLEM_UNSUPPORTED_MEDIA,
                           "Content-Encoding %.60s is not understood: send plain JSON", encoding);
    }
    return true;
}

static bool body_too_large(struct exchange *exchange)
{
    const uint32_t limit = exchange->http->limits.body_bytes;
    return problem_set_limit(&exchange->problem, PROBLEM_BODY_TOO_LARGE, "body_bytes", limit,
                             "the body is larger than the configured limit \"body_bytes\" of %u",
                             limit);
}

static uint64_t content_length(const struct exchange *exchange)
{
    const char *text = header(exchange, "Content-Length");
    return text == NULL ? 0 : strtoull(text, NULL, 10); /* libmicrohttpd has checked the digits */
}

static bool prefer_check(struct exchange *exchange)
{
    const char *prefer = header(exchange, "Prefer");
    if (prefer == NULL || strcasestr(prefer, "respond-async") == NULL) {
        return true;
    }
    return problem_set(&exchange->problem, PROBLEM_NOT_SUPPORTED,
                       "this version does not support \"Prefer: respond-async\" yet");
}

static enum MHD_Result on_argument(void *user, enum MHD_ValueKind kind, const char *name,
                                   size_t name_bytes, const char *value, size_t value_bytes)
{
    (void)kind;
    (void)name_bytes;
    struct exchange *exchange = user;
    if (exchange->route != ROUTE_LIST) {
        (void)problem_set(&exchange->problem, PROBLEM_MALFORMED, "query: this path takes none");
        return MHD_NO;
    }
    return list_query_add(&exchange->query, name, value, value_bytes, &exchange->problem) ? MHD_YES
                                                                                          : MHD_NO;
}

static bool query_check(struct exchange *exchange)
{
    list_query_start(&exchange->query);
    (void)MHD_get_connection_values_n(exchange->connection, MHD_GET_ARGUMENT_KIND, on_argument,
                                      exchange);
    return exchange->problem.kind == PROBLEM_NONE;
}

/* Everything that can be said before the body is there. False: exchange->problem says why. */
static bool request_check(struct exchange *exchange, const char *method, const char *path)
{
    if (!headers_unique(exchange) || !host_check(exchange) ||
        !route_find(method, path, &exchange->route, &exchange->gtrid, &exchange->problem) ||
        !query_check(exchange)) {
        return false;
    }
    if (exchange->route != ROUTE_SUBMIT && exchange->route != ROUTE_RESOLVE) {
        return true;
    }
    if (!media_check(exchange)) {
        return false;
    }
    if (content_length(exchange) > exchange->http->limits.body_bytes) {
        return body_too_large(exchange);
    }
    return exchange->route != ROUTE_SUBMIT || prefer_check(exchange);
}

/* Must the problem be answered now, without reading the body? Then the connection is closed after
 * it. */
static bool answer_before_body(struct exchange *exchange)
{
    const char *encoding = header(exchange, "Transfer-Encoding");
    const bool unreadable = encoding != NULL && strcasecmp(encoding, "chunked") != 0;
    if (unreadable || (encoding != NULL && header(exchange, "Content-Length") != NULL)) {
        (void)problem_set(&exchange->problem, PROBLEM_MALFORMED,
                          "Transfer-Encoding must be chunked, and without Content-Length");
        return true;
    }
    if (exchange->problem.kind == PROBLEM_NONE) {
        return false;
    }
    /* A client that waits for "100 Continue" sends no body when it gets an answer instead. */
    return header(exchange, "Expect") != NULL || content_length(exchange) > DISCARD_BYTES_MAX;
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
    return exchange->received_bytes <= DISCARD_BYTES_MAX ? MHD_YES : MHD_NO;
}

/* Posting */

static struct api_call *call_submit(struct exchange *exchange)
{
    struct api_call *call = api_call_new(API_SUBMIT);
    if (!submit_parse(&exchange->http->limits, header(exchange, "Idempotency-Key"),
                      (const uint8_t *)exchange->body.bytes, exchange->body.size_bytes,
                      &call->submission, &exchange->problem)) {
        api_call_free(call);
        return NULL;
    }
    exchange->has_key = call->submission.key_bytes > 0;
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

/* The call that the route needs; NULL: exchange->problem says why there is none. */
static struct api_call *call_make(struct exchange *exchange)
{
    struct api_call *call = NULL;
    switch (exchange->route) {
    case ROUTE_SUBMIT:
        return call_submit(exchange);
    case ROUTE_RESOLVE:
        return call_resolve(exchange);
    case ROUTE_LIST:
        call = api_call_new(API_LIST);
        call->list = exchange->query.list;
        return call;
    case ROUTE_TRANSACTION:
    case ROUTE_EVENTS:
        call = api_call_new(API_GET);
        call->gtrid = exchange->gtrid;
        call->want_events = exchange->route == ROUTE_EVENTS;
        return call;
    case ROUTE_PARTICIPANTS:
        return api_call_new(API_PARTICIPANTS);
    case ROUTE_READY:
        return api_call_new(API_READY);
    case ROUTE_METRICS:
        return api_call_new(API_METRICS);
    case ROUTE_NONE:
    case ROUTE_LIVE:
    case ROUTE_OPENAPI:
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

/* The whole request is there. */
static enum MHD_Result exchange_run(struct exchange *exchange)
{
    if (exchange->problem.kind != PROBLEM_NONE) {
        return exchange_reply_problem(exchange);
    }
    struct reply reply;
    if (exchange->route == ROUTE_LIVE) {
        reply_live(&reply);
        return exchange_reply(exchange, &reply);
    }
    if (exchange->route == ROUTE_OPENAPI) {
        reply_openapi(&reply);
        return exchange_reply(exchange, &reply);
    }
    struct api_call *call = call_make(exchange);
    body_release(exchange);
    return call == NULL ? exchange_reply_problem(exchange) : exchange_post(exchange, call);
}

static enum MHD_Result exchange_answer(struct exchange *exchange)
{
    struct reply reply;
    reply_from_call(exchange->route, exchange->has_key, exchange->call, &reply);
    api_call_free(exchange->call);
    exchange->call = NULL;
    return exchange_reply(exchange, &reply);
}

static enum MHD_Result exchange_begin(struct exchange *exchange, const char *method,
                                      const char *path)
{
    (void)request_check(exchange, method, path);
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
        return exchange_begin(exchange, method, has_nul ? "" : url);
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
        reply_abandoned(exchange->route, exchange->has_key, &reply);
        return exchange_reply(exchange, &reply);
    case EXCHANGE_WAITING:
    case EXCHANGE_REPLIED:
        break;
    }
    CHECK(false); /* suspended connections and answered requests are not called back */
    return MHD_NO;
}
