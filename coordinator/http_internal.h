/*
 * http_internal.h - what http.c (the daemon) and http_exchange.c (one request) share. Nobody else
 * includes it.
 *
 * Threads: libmicrohttpd's workers run exchanges; done() comes on the owner thread; http_stop on
 * any other. They meet in the gate: its lock is held for a few assignments only. The gate outlives
 * the daemon as long as a posted call is out, since its done() may come after http_stop.
 */
#ifndef ASSENT_COORDINATOR_HTTP_INTERNAL_H
#define ASSENT_COORDINATOR_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "common/check.h"
#include "common/map.h"
#include "coordinator/http.h"
#include "coordinator/http_pump.h"
#include "coordinator/http_reply.h"
#include "coordinator/http_ring.h"
#include "coordinator/http_route.h"
#include "coordinator/http_stream.h"

struct exchange;
struct acceptor;

#define FEED_SIZE 17 /* 16 hexadecimal digits */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;   /* an answer is out, or its connection gone */
    size_t references;        /* the daemon and every exchange */
    size_t running_count;     /* requests received completely whose answer is not out yet */
    bool stopping;            /* no further call may be posted */
    struct exchange *waiting; /* suspended for an answer, doubly linked */
    struct api_sink sink;
    struct pump *pump;
    /* http_wait.c */
    size_t wait_count; /* requests with ?wait=, from arrival to answer */
    struct map held;   /* by gtrid: the first of those that wait for it */
    atomic_size_t held_count;
    /* http_stream.c */
    char feed[FEED_SIZE]; /* this process's part of event ids: numbers begin anew with it */
    uint32_t stream_keepalive_ms;
    size_t stream_count;
    struct stream *idle_streams; /* suspended, doubly linked */
    struct ring ring;            /* once a client has come */
    atomic_bool ring_is_used;
};

static inline void gate_lock(struct gate *gate)
{
    CHECK(pthread_mutex_lock(&gate->lock) == 0);
}

static inline void gate_unlock(struct gate *gate)
{
    CHECK(pthread_mutex_unlock(&gate->lock) == 0);
}

void gate_leave(struct gate *gate); /* drops one reference; the lock must not be held */

struct http {
    struct http_limits limits; /* effective */
    struct api_sink sink;
    char *version;     /* owned */
    char **host_names; /* NULL-terminated, owned */
    uint16_t port;
    atomic_bool draining;
    struct acceptor *acceptor; /* NULL once draining */
    atomic_size_t body_bytes;  /* request bodies in memory, all connections together */
    size_t body_bytes_max;
    struct MHD_Daemon *daemon;
    struct gate *gate;
};

/* A body that is refused is still read so far beyond the limit, since closing with unread data would
 * reset the connection and take the answer with it. */
#define DISCARD_BYTES_MAX (64u * 1024 * 1024)

enum exchange_phase {
    EXCHANGE_RECEIVING = 1,
    EXCHANGE_WAITING,
    EXCHANGE_HELD, /* http_wait.c: answered, and not what the client waits for */
    EXCHANGE_ANSWERED,
    EXCHANGE_ABANDONED,
    EXCHANGE_GONE, /* the client hung up while it was held */
    EXCHANGE_REPLIED,
};

struct exchange {
    struct http *http; /* valid while there is a connection */
    struct gate *gate;
    struct MHD_Connection
        *connection;           /* NULL once libmicrohttpd has forgotten it; guarded by the gate */
    enum exchange_phase phase; /* guarded by the gate while a call is out */
    bool is_running;           /* counted in gate->running_count */
    bool call_out;             /* guarded by the gate: between post and done() */
    struct exchange *previous, *next; /* gate->waiting */
    enum route route;
    bool is_head;
    struct gtrid gtrid;
    struct list_query query;
    struct problem
        problem; /* kind is set once the request is refused; the rest of the body is discarded */
    struct text body;
    size_t received_bytes;
    uint64_t started_ms;
    bool is_repeatable; /* sent again, it does nothing twice: whoever has no answer may ask so */
    bool is_async;      /* Prefer: respond-async */
    struct api_call *call;
    struct watch watch;  /* guarded by the gate */
    bool is_wait;        /* counted in gate->wait_count */
    uint64_t wait_by_ms; /* 0: an answer is an answer; guarded while a call is out */
    struct exchange *held_next;
    struct stream *stream; /* it is one; owned */
};

/* Callbacks for libmicrohttpd; user is the struct http. */
enum MHD_Result exchange_handle(void *user, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_bytes, void **context);
void exchange_completed(void *user, struct MHD_Connection *connection, void **context,
                        enum MHD_RequestTerminationCode code);
void *exchange_target_seen(void *user, const char *target, struct MHD_Connection *connection);

/* A call that asks for exchange->gtrid; returns owned. */
struct api_call *exchange_call_get(struct exchange *exchange);
/* The lock is held: from here on a worker may run the exchange to its end and free it. */
void exchange_end_waiting(struct exchange *exchange, enum exchange_phase phase);
/* From the pump, with the lock. Calls that are to be posted when it is free are added to *calls. */
void exchange_hung_up(struct exchange *exchange);
void exchange_time_up(struct exchange *exchange, struct api_call **calls);

/* http_wait.c. All but the first and waits_ask with the lock held. */
bool wait_admit(struct exchange *exchange);   /* false: exchange->problem says why */
bool wait_hold(struct exchange *exchange);    /* its call was answered: is that to be held back? */
void wait_release(struct exchange *exchange); /* its place is free, if it has one */
void held_remove(struct exchange *exchange);
void wait_time_up(struct exchange *exchange, struct api_call **calls);
void wait_hung_up(struct exchange *exchange);
void waits_take(struct gate *gate, const struct gtrid *gtrid, enum txn_state state,
                struct api_call **calls);
void waits_ask(struct gate *gate, struct api_call *calls); /* posts them */

/* Answers every suspended request without waiting for its call. The gate's lock must be held. */
void exchange_abandon_all(struct gate *gate);

/* http_check.c. False: exchange->problem says why. */
bool request_check(struct exchange *exchange, const char *method, const char *path);
size_t body_bytes_read_max(const struct http *http); /* beyond that the connection is cut */
bool body_too_large(struct exchange *exchange);      /* sets the problem; returns false */
/* Must the problem be answered now, without reading the body? The connection is then closed after
 * it. */
bool answer_before_body(struct exchange *exchange);
const char *exchange_header(const struct exchange *exchange,
                            const char *name); /* lent, may be NULL */

/* http_send.c. Takes the reply's body. */
enum MHD_Result reply_send(const struct exchange *exchange, struct reply *reply);
enum MHD_Result reply_send_stream(struct exchange *exchange);

/* http_accept.c: start takes listen_fd on success; stop closes it, so that further clients are
 * refused. */
bool acceptor_start(struct MHD_Daemon *daemon, int listen_fd, struct acceptor **ret_acceptor,
                    struct error *ret_error);
void acceptor_stop(struct acceptor *acceptor);

/* http_listen.c */
bool listen_open(const char *address, int *ret_fd, uint16_t *ret_port, struct error *ret_error);
/* May a request with this Host header be served? Defends local services against DNS rebinding. */
bool host_allowed(const char *host, char *const *extra_names);

#endif
