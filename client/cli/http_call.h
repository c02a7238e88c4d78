/*
 * http_call.h - one HTTP request of the command line to assentd (libcurl), and what its answer means.
 */
#ifndef ASSENT_CLIENT_CLI_HTTP_CALL_H
#define ASSENT_CLIENT_CLI_HTTP_CALL_H

#include "client/cli/cli.h"

struct reply {
    long status;
    char *body; /* owned, with a final NUL */
    size_t body_bytes;
    struct json json; /* the body, if it is JSON; lent by body */
};

enum call_result {
    CALL_ANSWERED = 1,
    CALL_NOT_SENT, /* could not connect: nothing was done */
    CALL_LOST,     /* it may have been done */
};

/* body NULL: GET, else POST of JSON. ret_reply is filled with CALL_ANSWERED, ret_error otherwise. */
enum call_result http_call(const struct options *options, const char *path, const char *body,
                           struct reply *ret_reply, struct error *ret_error);
void reply_done(struct reply *reply);

/* Percent-encodes; returns owned. */
char *url_escape(const char *text);

/* GET that must succeed: prints what is wrong otherwise. CLI_EXIT_DONE with *ret_reply filled, or the exit code. */
int http_get_or_fail(const struct options *options, const char *path, struct reply *ret_reply);

/* For an answer that is no success: prints the problem (or the JSON as it came), returns the exit code. */
int print_problem(const struct options *options, const struct reply *reply);
/* The body as it came, with a final newline. */
void print_body(const struct reply *reply);

#endif
