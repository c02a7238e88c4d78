/*
 * http.h - one HTTP request over libcurl, for tests: status, headers and body come back as they
 * are.
 */
#ifndef ASSENT_TESTS_LIB_HTTP_H
#define ASSENT_TESTS_LIB_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct http_request {
    const char *method; /* NULL: GET, or POST with a body */
    const char *url;
    const char *const *headers; /* "Name: value", NULL at the end; may be NULL */
    const char *body;           /* may be NULL */
    size_t body_bytes;          /* 0 with a body: its string length */
    uint32_t timeout_ms;        /* 0: 30 s */
};

struct http_reply {
    int status;
    char *headers; /* status line and headers as received; owned, with a final NUL */
    size_t headers_bytes;
    char *body; /* owned, with a final NUL behind body_bytes */
    size_t body_bytes;
};

/* Any answer is a success, also 5xx. Redirects are not followed, proxies not used. */
bool http_perform(const struct http_request *request, struct http_reply *ret_reply,
                  struct error *ret_error);
bool http_get(const char *url, struct http_reply *ret_reply, struct error *ret_error);
/* Content-Type: application/json. */
bool http_post_json(const char *url, const char *json, struct http_reply *ret_reply,
                    struct error *ret_error);

/* The first header of this name (any case), without white space around it; NULL if there is none.
 * Returns owned. */
char *http_reply_header(const struct http_reply *reply, const char *name);

void http_reply_done(struct http_reply *reply);

#endif
