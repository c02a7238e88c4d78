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

#include "coordinator/http.h"

struct exchange;
struct acceptor;

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;   /* an exchange went away */
    size_t references;        /* the daemon and every exchange */
    size_t exchange_count;    /* requests whose connection is still there */
    bool stopping;            /* no further call may be posted */
    struct exchange *waiting; /* suspended ones, doubly linked */
};

void gate_leave(struct gate *gate); /* drops one reference; the lock must not be held */

struct http {
    struct http_limits limits; /* effective */
    struct api_sink sink;
    char **host_names; /* NULL-terminated, owned */
    uint16_t port;
    atomic_bool draining;
    struct acceptor *acceptor; /* NULL once draining */
    atomic_size_t body_bytes;  /* request bodies in memory, all connections together */
    size_t body_bytes_max;
    struct MHD_Daemon *daemon;
    struct gate *gate;
};

/* Callbacks for libmicrohttpd; user is the struct http. */
enum MHD_Result exchange_handle(void *user, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload,
                                size_t *upload_bytes, void **context);
void exchange_completed(void *user, struct MHD_Connection *connection, void **context,
                        enum MHD_RequestTerminationCode code);
void *exchange_target_seen(void *user, const char *target, struct MHD_Connection *connection);

/* Answers every suspended request without waiting for its call. The gate's lock must be held. */
void exchange_abandon_all(struct gate *gate);

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
