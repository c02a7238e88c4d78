/*
 * client_edge.h - the client edge: libassent's requests over nng, one REP socket with many
 * contexts.
 *
 * The twin of http.h for C programs (docs/CLIENT_PROTOCOL.md): checks a request completely, posts
 * it as a call, answers when done() comes. Started and stopped by assentd's main; knows nothing of
 * the core.
 *
 * Bounds: `contexts` requests at once over all connections; submissions and who waits for an outcome may take all
 * but a few of them, so that a status can be asked for while every transaction hangs, and of these half may wait. What
 * is beyond waits in TCP's window.
 */
#ifndef ASSENT_COORDINATOR_CLIENT_EDGE_H
#define ASSENT_COORDINATOR_CLIENT_EDGE_H

#include "common/error.h"
#include "coordinator/api.h"

struct client_edge_options {
    const char *listen; /* "127.0.0.1:7401"; port 0: a free one */
    struct api_sink sink;
    /* 0 means the default in brackets; the first five as in struct http_limits */
    uint32_t body_bytes;         /* [1 MiB] */
    uint32_t branches;           /* [64] */
    uint32_t statements;         /* [1000] */
    uint32_t timeout_default_ms; /* [5000] */
    uint32_t timeout_max_ms;     /* [60000] */
    uint32_t contexts;           /* [1024], at least 16 */
    uint32_t connections;        /* [1024]; further ones are closed at once */
};

struct client_edge;

bool client_edge_start(const struct client_edge_options *options, struct client_edge **ret_edge,
                       struct error *ret_error);
uint16_t client_edge_port(const struct client_edge *edge);
uint32_t client_edge_connections(const struct client_edge *edge); /* open now */

/* Somebody waits for an outcome: changes are to be published. Any thread. */
bool client_edge_wants_changes(const struct client_edge *edge);
/* A transaction has changed. Borrows. On the owner thread, behind the answers of the same round. */
void client_edge_publish(struct client_edge *edge, const struct txn_view *view);

/* New submissions are refused as "shutdown"; what runs may finish, questions are answered, and so is
 * who waits for an outcome: as "shutdown". */
void client_edge_drain(struct client_edge *edge);

/*
 * Waits at most timeout_ms for requests that still run, then stops. Frees the edge if none was
 * left; otherwise the rest stays allocated, since its calls still come back. The socket is never
 * closed (nng_close of a busy socket can hang, nng 1543): the caller ends the process soon after.
 */
void client_edge_stop(struct client_edge *edge, uint32_t timeout_ms);

#endif
