/*
 * client_edge_internal.h - what the client edge's files share: client_edge.c lets contexts go round, client_edge_open.c opens the socket
 * and ends it all.
 */
#ifndef ASSENT_COORDINATOR_CLIENT_EDGE_INTERNAL_H
#define ASSENT_COORDINATOR_CLIENT_EDGE_INTERNAL_H

#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>

#include "coordinator/client_codec.h"
#include "coordinator/client_edge.h"
#include "coordinator/client_wait.h"

enum edge_item {
    EDGE_ITEM_ANSWERED = 1,
    EDGE_ITEM_CHANGED,
    EDGE_ITEM_GONE,
    EDGE_ITEM_DRAIN,
    EDGE_ITEM_STOP
};

enum context_state {
    CONTEXT_IDLE = 0,
    CONTEXT_RECEIVING,
    CONTEXT_CALLING,
    CONTEXT_HELD,
    CONTEXT_SENDING
};

struct edge_context {
    struct client_wait wait; /* first: a wait is its context. is_wait only */
    struct client_edge *edge;
    nng_ctx ctx;
    nng_aio *aio;
    enum context_state state;
    bool is_submission; /* or other work, see context_received */
    bool is_wait;
};

/* What the owner thread tells the edge's own of a change. */
struct edge_change {
    struct inbox_item item; /* first */
    struct gtrid gtrid;
    enum txn_state state;
    bool has_run; /* the last one of an accepted request: who waits for it by its own name */
    struct gtrid run;
};

/* A connection has ended. */
struct edge_gone {
    struct inbox_item item; /* first */
    uint32_t connection;
};

struct client_edge {
    nng_socket socket;
    nng_listener listener;
    struct api_sink sink;
    struct client_limits limits;
    uint32_t connections_max;
    size_t context_count;
    struct edge_context *contexts;
    struct inbox *inbox;
    pthread_t renderer;
    atomic_bool is_draining;
    atomic_bool is_stopping;
    atomic_uint connections;
    atomic_uint places;       /* contexts that a submission or a wait holds */
    atomic_uint waits;        /* of these, waits */
    struct client_waits held; /* the edge's own thread's */
    pthread_mutex_t lock;     /* for the three below only */
    pthread_cond_t quiet;
    size_t busy;     /* contexts that hold a request or an answer */
    struct map open; /* connections: their nng pipes' numbers */
};

/* For nng: a receive or a send is over. */
void edge_context_callback(void *user);
void edge_context_receive(struct edge_context *context);
/* The edge's own thread; user is the edge. Ends with EDGE_ITEM_STOP. */
void *edge_renderer(void *user);
/* Is it open? One that is not any more when this is asked on the edge's own thread has its EDGE_ITEM_GONE behind it or before it. */
bool edge_connection_is_open(struct client_edge *edge, uint32_t connection);
/* A word to it. */
void edge_post(struct client_edge *edge, enum edge_item kind);

#endif
