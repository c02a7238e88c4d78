/*
 * client_codec.h - requests of the client protocol into calls, answers of calls into frames.
 *
 * Called by client_edge.c only, on nng's threads (decode) and the edge's own thread (encode). No
 * I/O; bytes in, values out. A request is checked completely before a call exists, against the
 * limits given, and its statements are brought to the form work_encode gives, so that the body hash
 * equals the HTTP edge's (P-18).
 */
#ifndef ASSENT_COORDINATOR_CLIENT_CODEC_H
#define ASSENT_COORDINATOR_CLIENT_CODEC_H

#include "coordinator/api.h"
#include "coordinator/client_msgpack.h"
#include "coordinator/client_protocol.h"

struct client_limits { /* every one set (client_edge_start fills in defaults) */
    uint32_t body_bytes;
    uint32_t branches;
    uint32_t statements; /* per transaction */
    uint32_t timeout_default_ms;
    uint32_t timeout_max_ms;
};

/* An answer that needs no call: the request cannot be understood or is not taken. */
struct client_refusal {
    enum client_status status;
    enum reason reason; /* CLIENT_REFUSED only */
    uint32_t retry_after_s;
    char text[ERROR_TEXT_SIZE];
};

/* ret_call: returns owned. On failure *ret_refusal says what to answer. */
bool client_decode_request(const void *bytes, size_t size_bytes, const struct client_limits *limits,
                           struct api_call **ret_call, struct client_refusal *ret_refusal);

void client_encode_answer(struct pack *pack, const struct api_call *call);
void client_encode_refusal(struct pack *pack, const struct client_refusal *refusal);

const char *client_status_text(enum client_status status);

#endif
