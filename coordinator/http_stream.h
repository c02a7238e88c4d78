/*
 * http_stream.h - GET /v1/stream: changes of transactions as server-sent events.
 *
 * Used by http_exchange.c. Threads: libmicrohttpd's workers write streams; http_publish comes on the owner thread; the pump wakes
 * what is idle. They meet in the gate.
 */
#ifndef ASSENT_COORDINATOR_HTTP_STREAM_H
#define ASSENT_COORDINATOR_HTTP_STREAM_H

#include "coordinator/http_reply.h"
#include "coordinator/http_route.h"

struct exchange;
struct gate;
struct stream;
struct MHD_Response;

/* False: exchange->problem says why there is none. */
bool stream_open(struct exchange *exchange, const char *last_event_id);
/* Reads from exchange->stream, which must be there as long as the connection sends. */
struct MHD_Response *stream_response(struct exchange *exchange);

/* The gate's lock is held in all below. */
void stream_close(struct stream *stream); /* NULL is fine */
void stream_hung_up(struct stream *stream);
void stream_beat(struct stream *stream); /* it was idle for long: says that it is there */
void streams_wake(struct gate *gate);

#endif
