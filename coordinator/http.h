/*
 * http.h - the HTTP edge: libmicrohttpd, JSON in and out, problem+json, OpenAPI, metrics text.
 *
 * Parses and checks a request completely before it posts a call; suspends the connection until done(). Knows
 * nothing of the core. Limits answer with an error that names them.
 */
#ifndef ASSENT_COORDINATOR_HTTP_H
#define ASSENT_COORDINATOR_HTTP_H

#include "common/error.h"
#include "coordinator/api.h"

struct http_limits {              /* 0 means the default in brackets */
    uint32_t body_bytes;          /* [1 MiB] -> 413 */
    uint32_t branches;            /* [64] -> 422 */
    uint32_t statements;          /* [1000] per transaction -> 422 */
    uint32_t timeout_default_ms;  /* [5000] */
    uint32_t timeout_max_ms;      /* [60000] -> 422 */
    uint32_t connections;         /* [10000] */
    uint32_t connections_per_ip;  /* [10000] */
    uint32_t idle_s;              /* [60] */
    uint32_t waits;               /* [4096] requests with ?wait= at once -> 429 */
    uint32_t streams;             /* [256] -> 429 */
    uint32_t stream_events;       /* [10000] that a client may be behind */
    uint64_t stream_bytes;        /* [64 MiB] of them, all clients together */
    uint32_t stream_keepalive_ms; /* [15000] */
};

struct http_options {
    const char *listen; /* "127.0.0.1:7400"; port 0: a free one */
    const char *const
        *host_names; /* further names accepted in the Host header, NULL-terminated; may be NULL */
    struct http_limits limits;
    const char *version;
    struct api_sink sink;
};

struct http;

bool http_start(const struct http_options *options, struct http **ret_http,
                struct error *ret_error);
uint16_t http_port(const struct http *http);
/* For the owner thread, until http_stop: is anybody there who wants to hear of changes? */
bool http_wants_changes(const struct http *http);
/* A transaction as it is after a change that may be told; takes the view's contents. */
void http_publish(struct http *http, struct txn_view *view);
/* New connections are refused; running requests may finish. */
void http_drain(struct http *http);
void http_stop(struct http *http);

#endif
