/*
 * exchange.h - one request with its answer on a connection.
 *
 * An exchange is one turn of an nng REQ context: send, receive, done. It is reused for the next
 * request. What came of it is told by exchange_done_fn on one of nng's threads or the timer's,
 * which may only queue or wake.
 */
#ifndef ASSENT_CLIENT_EXCHANGE_H
#define ASSENT_CLIENT_EXCHANGE_H

#include <nng/nng.h>
#include <pthread.h>

#include "client/internal.h"
#include "client/timer.h"

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
    struct timer *timer;
    struct timed timed;
    nng_ctx ctx;
    nng_aio *aio;
    bool is_under_way;
    bool is_receiving;
    uint32_t answer_timeout_ms;
};

int exchange_open(struct connection *connection, struct timer *timer, struct exchange *exchange);
/* Sends; takes the pack's contents. done comes exactly once, perhaps before this returns. */
void exchange_start(struct exchange *exchange, struct pack *pack, uint32_t connect_timeout_ms,
                    uint32_t answer_timeout_ms);
/* Gives up what is under way (done comes first) and frees what the exchange holds in nng. */
void exchange_close(struct exchange *exchange);

/* For the timer. Ends what nng does for it, if it does something; what came of it is still told by exchange_step. */
void exchange_time_out(struct exchange *exchange);
/* Goes on where nng has ended something. */
void exchange_step(struct exchange *exchange);

#endif
