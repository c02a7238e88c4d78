/*
 * client_protocol.h - what both ends of the client protocol (docs/CLIENT_PROTOCOL.md) must agree
 * on: version, limits, and the names of statuses. Values only; included by the client edge and by
 * libassent.
 */
#ifndef ASSENT_COORDINATOR_CLIENT_PROTOCOL_H
#define ASSENT_COORDINATOR_CLIENT_PROTOCOL_H

#define CLIENT_PROTOCOL_VERSION 1
#define CLIENT_DEFAULT_ADDRESS  "127.0.0.1:7401"

/* Hard bounds of a frame, beyond which nng drops the connection. Requests are refused with an
 * answer well before. */
#define CLIENT_REQUEST_FRAME_MAX_BYTES (4u * 1024 * 1024)
#define CLIENT_ANSWER_FRAME_MAX_BYTES  (64u * 1024 * 1024)

/* As long as ?wait= of the HTTP API lets a request be silent. */
#define CLIENT_WAIT_MAX_MS 60000

/* How an answer begins. The first eleven mirror enum api_status; the rest the edge says by itself. */
#define CLIENT_STATUS_LIST(X)                                                                      \
    X(CLIENT_OK, "ok")                                                                             \
    X(CLIENT_ABORTED, "aborted")                                                                   \
    X(CLIENT_REFUSED, "refused")                                                                   \
    X(CLIENT_OUTCOME_UNKNOWN, "unknown")                                                           \
    X(CLIENT_KEY_CONFLICT, "key_conflict")                                                         \
    X(CLIENT_UNKNOWN_PARTICIPANT, "unknown_participant")                                           \
    X(CLIENT_NOT_FOUND, "not_found")                                                               \
    X(CLIENT_EXPIRED, "expired")                                                                   \
    X(CLIENT_CONFLICT, "conflict")                                                                 \
    X(CLIENT_FAILED, "failed")                                                                     \
    X(CLIENT_ACCEPTED, "accepted")       /* of accept: durably, and without an outcome yet */      \
    X(CLIENT_MALFORMED, "malformed")     /* not a request of this protocol */                      \
    X(CLIENT_LIMIT, "limit")             /* beyond a limit that the text names */                  \
    X(CLIENT_UNSUPPORTED, "unsupported") /* another version or operation */

enum client_status {
    CLIENT_STATUS_NONE = 0,
#define CLIENT_STATUS_VALUE(id, text) id,
    CLIENT_STATUS_LIST(CLIENT_STATUS_VALUE)
#undef CLIENT_STATUS_VALUE
        CLIENT_STATUS_COUNT,
};

#endif
