/*
 * exchange.h - the connection of a client, and one request with its answer on it. The only user of
 * nng in libassent.
 *
 * An exchange is one turn of an nng REQ context: send, receive, done. It is reused for the next
 * request. What came of it is told by exchange_done_fn on one of nng's threads, which may only
 * queue or wake.
 */
#ifndef ASSENT_CLIENT_EXCHANGE_H
#define ASSENT_CLIENT_EXCHANGE_H

#include <nng/nng.h>
#include <pthread.h>

#include "client/internal.h"

enum exchange_result {
    EXCHANGE_ANSWERED = 1, /* message is the answer */
    EXCHANGE_NOT_SENT,     /* the request certainly did not leave this process */
    EXCHANGE_LOST,         /* it left, or may have, and no answer came */
};

struct exchange;
typedef void (*exchange_done_fn)(struct exchange *exchange);

struct exchange {
    struct exchange *next; /* for whoever holds it: free list or queue */
    struct exchange *next_of_all;
    struct assent_client *client;
    exchange_done_fn done;
    bool is_submit;
    bool is_done;             /* synchronous ones; under the client's lock */
    pthread_cond_t wake;      /* for is_done; of its own, so that an answer wakes one thread only */
    assent_callback callback; /* asynchronous ones */
    void *user;
    enum exchange_result result;
    bool is_timeout;
    nng_msg *message; /* owned: the answer */
    /* private */
    nng_ctx ctx;
    nng_aio *aio;
    bool is_under_way;
    bool is_receiving;
    uint32_t answer_timeout_ms;
};

/* A socket with its dialer, taken from the parked ones of that address or made. "tcp://HOST:PORT".
 */
int connection_take(const char *url, nng_socket *ret_socket);
/* Gives it back; it stays open (see exchange.c). */
void connection_park(const char *url, nng_socket socket);

int exchange_open(nng_socket socket, struct exchange *exchange);
/* Sends; takes the pack's contents. done comes exactly once, perhaps before this returns. */
void exchange_start(struct exchange *exchange, struct pack *pack, uint32_t connect_timeout_ms,
                    uint32_t answer_timeout_ms);
/* Gives up what is under way (done comes first) and frees what the exchange holds in nng. */
void exchange_close(struct exchange *exchange);

#endif
