/*
 * http_check.c - what can be said about a request once its header is there, before any of the body.
 *
 * Called by http_exchange.c, first for every request.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "coordinator/http_internal.h"
#include "coordinator/http_queues.h"

const char *exchange_header(const struct exchange *exchange, const char *name)
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
    const char *host = exchange_header(exchange, "Host");
    /* HTTP/1.0 has none; browsers always send one, and they are what this check is for. */
    return host == NULL || host_allowed(host, exchange->http->host_names) ||
           problem_set(&exchange->problem, PROBLEM_MISDIRECTED,
                       "host \"%.100s\" is not served here: use localhost, 127.0.0.1 or [::1]",
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
    const char *type = exchange_header(exchange, "Content-Type");
    if (!content_type_is_json(type)) {
        return problem_set(&exchange->problem, PROBLEM_UNSUPPORTED_MEDIA,
                           "Content-Type must be application/json, not %.100s",
                           type == NULL ? "missing" : type);
    }
    const char *encoding = exchange_header(exchange, "Content-Encoding");
    if (encoding != NULL && strcasecmp(encoding, "identity") != 0) {
        return problem_set(&exchange->problem, PROBLEM_UNSUPPORTED_MEDIA,
                           "Content-Encoding %.60s is not understood: send plain JSON", encoding);
    }
    return true;
}

size_t body_bytes_read_max(const struct http *http)
{
    return (size_t)http->limits.body_bytes + DISCARD_BYTES_MAX;
}

bool body_too_large(struct exchange *exchange)
{
    const uint32_t limit = exchange->http->limits.body_bytes;
    return problem_set_limit(
        &exchange->problem, PROBLEM_BODY_TOO_LARGE, "max_body", limit,
        "the body is larger than the configured limit \"max_body\" of %u bytes", limit);
}

static uint64_t content_length(const struct exchange *exchange)
{
    const char *text = exchange_header(exchange, "Content-Length");
    return text == NULL ? 0 : strtoull(text, NULL, 10); /* libmicrohttpd has checked the digits */
}

static enum MHD_Result on_prefer(void *user, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    (void)kind;
    bool *asks_async = user;
    *asks_async =
        *asks_async || (strcasecmp(name, "Prefer") == 0 && value != NULL && prefer_is_async(value));
    return MHD_YES;
}

/* A list, so it may also come as several fields. */
static bool asks_async(struct exchange *exchange)
{
    bool asks = false;
    (void)MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, on_prefer, &asks);
    return asks;
}

/* A header that would be ignored leaves its sender in the belief that the request may be sent again. */
static bool key_check(struct exchange *exchange)
{
    const bool has_key = exchange_header(exchange, "Idempotency-Key") != NULL;
    const bool is_interactive =
        exchange->route == ROUTE_OPEN || exchange->route == ROUTE_STATEMENT ||
        exchange->route == ROUTE_EXTERNAL || exchange->route == ROUTE_COMMIT ||
        exchange->route == ROUTE_ROLLBACK;
    return !is_interactive || !has_key ||
           problem_set(&exchange->problem, PROBLEM_NOT_SUPPORTED,
                       "an interactive transaction has no Idempotency-Key: \"seq\" makes a "
                       "statement repeatable, and commit and rollback always are");
}

static bool has_body(const struct exchange *exchange)
{
    return content_length(exchange) > 0 || exchange_header(exchange, "Transfer-Encoding") != NULL;
}

static bool body_is_optional(enum route route)
{
    return route == ROUTE_OPEN || route == ROUTE_COMMIT || route == ROUTE_ROLLBACK ||
           route == ROUTE_REQUEUE || route == ROUTE_DROP;
}

static enum MHD_Result on_argument(void *user, enum MHD_ValueKind kind, const char *name,
                                   size_t name_bytes, const char *value, size_t value_bytes)
{
    (void)kind;
    (void)name_bytes;
    struct exchange *exchange = user;
    if (exchange->route != ROUTE_LIST && exchange->route != ROUTE_STREAM &&
        exchange->route != ROUTE_TRANSACTION) {
        (void)problem_set(&exchange->problem, PROBLEM_MALFORMED, "query: this path takes none");
        return MHD_NO;
    }
    return list_query_add(&exchange->query, exchange->route, name, value, value_bytes,
                          &exchange->problem)
               ? MHD_YES
               : MHD_NO;
}

static bool query_check(struct exchange *exchange)
{
    list_query_start(&exchange->query);
    (void)MHD_get_connection_values_n(exchange->connection, MHD_GET_ARGUMENT_KIND, on_argument,
                                      exchange);
    return exchange->problem.kind == PROBLEM_NONE;
}

struct accepted {
    bool has_any; /* an Accept header: without one everything is accepted */
    bool fits;
};

/* "text/event-stream", "text/" followed by a star, or both stars, unless it comes with a weight of 0. */
static bool range_fits(const char *range, size_t range_bytes)
{
    static const char *const fitting[] = {"text/event-stream", "text/*", "*/*"};
    const char *parameters = memchr(range, ';', range_bytes);
    size_t name_bytes = parameters == NULL ? range_bytes : (size_t)(parameters - range);
    while (name_bytes > 0 && strchr(" \t", range[name_bytes - 1]) != NULL) {
        name_bytes--;
    }
    bool fits = false;
    for (size_t i = 0; i < sizeof fitting / sizeof fitting[0]; i++) {
        fits = fits || (strlen(fitting[i]) == name_bytes &&
                        strncasecmp(range, fitting[i], name_bytes) == 0);
    }
    const char *weight =
        parameters == NULL
            ? NULL
            : memmem(parameters, range_bytes - (size_t)(parameters - range), "q=0", 3);
    if (weight == NULL) {
        return fits;
    }
    const size_t left = range_bytes - (size_t)(weight - range);
    for (size_t i = 3; i < left; i++) {
        if (weight[i] >= '1' && weight[i] <= '9') {
            return fits; /* q=0.5 */
        }
    }
    return false;
}

static enum MHD_Result on_accept(void *user, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    (void)kind;
    struct accepted *accepted = user;
    if (strcasecmp(name, "Accept") != 0 || value == NULL) {
        return MHD_YES;
    }
    accepted->has_any = true;
    while (*value != '\0') {
        value += strspn(value, ", \t");
        const size_t range_bytes = strcspn(value, ",");
        accepted->fits = accepted->fits || range_fits(value, range_bytes);
        value += range_bytes;
    }
    return MHD_YES;
}

/* A client that takes JSON only would wait for the end of a document that has none. */
static bool accept_check(struct exchange *exchange)
{
    struct accepted accepted = {0};
    (void)MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, on_accept, &accepted);
    return !accepted.has_any || accepted.fits ||
           problem_set(&exchange->problem, PROBLEM_NOT_ACCEPTABLE,
                       "this path answers with text/event-stream only, which Accept leaves out");
}

/* Everything that can be said before the body is there. False: exchange->problem says why. */
bool request_check(struct exchange *exchange, const char *method, const char *path)
{
    if (!headers_unique(exchange) || !host_check(exchange) ||
        !route_find(method, path, &exchange->route, &exchange->gtrid, &exchange->problem) ||
        !query_check(exchange)) {
        return false;
    }
    if (strcmp(route_row(exchange->route)->method, "POST") != 0) {
        return exchange->route != ROUTE_STREAM || accept_check(exchange);
    }
    if (has_body(exchange) || !body_is_optional(exchange->route)) {
        if (!media_check(exchange)) {
            return false;
        }
    }
    if (content_length(exchange) > exchange->http->limits.body_bytes) {
        return body_too_large(exchange);
    }
    exchange->is_async = exchange->route == ROUTE_SUBMIT && asks_async(exchange);
    return key_check(exchange);
}

/* Must the problem be answered now, without reading the body? Then the connection is closed after
 * it. */
bool answer_before_body(struct exchange *exchange)
{
    const char *encoding = exchange_header(exchange, "Transfer-Encoding");
    const bool unreadable = encoding != NULL && strcasecmp(encoding, "chunked") != 0;
    if (unreadable || (encoding != NULL && exchange_header(exchange, "Content-Length") != NULL)) {
        (void)problem_set(&exchange->problem, PROBLEM_MALFORMED,
                          "Transfer-Encoding must be chunked, and without Content-Length");
        return true;
    }
    if (exchange->problem.kind == PROBLEM_NONE) {
        return false;
    }
    /* A client that waits for "100 Continue" sends no body when it gets an answer instead. */
    return exchange_header(exchange, "Expect") != NULL ||
           content_length(exchange) > body_bytes_read_max(exchange->http);
}
