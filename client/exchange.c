/*
 * exchange.c - see exchange.h.
 *
 * Limits of time are the timer's (timer.h); nng's own stay off.
 *
 * SIGPIPE: nng writes to a connection from the thread that calls it. The signal is blocked around
 * such calls and taken away if it came.
 */
#include "client/exchange.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "client/connection.h"

struct quiet_signal {
    sigset_t old;
    bool was_pending;
};

static void signal_quieten(struct quiet_signal *quiet)
{
    sigset_t pipe_only;
    sigset_t pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigpending(&pending);
    quiet->was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_only, &quiet->old);
}

static void signal_restore(const struct quiet_signal *quiet)
{
    sigset_t pending;
    sigpending(&pending);
    if (!quiet->was_pending && sigismember(&pending, SIGPIPE) == 1) {
        sigset_t pipe_only;
        const struct timespec at_once = {0};
        sigemptyset(&pipe_only);
        sigaddset(&pipe_only, SIGPIPE);
        (void)sigtimedwait(&pipe_only, NULL, &at_once);
    }
    pthread_sigmask(SIG_SETMASK, &quiet->old, NULL);
}

static void exchange_finish(struct exchange *exchange, enum exchange_result result, int code)
{
    exchange->is_under_way = false;
    exchange->result = result;
    exchange->is_timeout = code == NNG_ETIMEDOUT;
    exchange->done(exchange);
}

/* A request whose send failed was never handed to a connection: nng completes the
 * send when a connection takes the message, and from then on it may have left. */
void exchange_step(struct exchange *exchange)
{
    const int code = nng_aio_result(exchange->aio);
    if (exchange->is_receiving) {
        if (code == 0) {
            exchange->message = nng_aio_get_msg(exchange->aio);
            nng_aio_set_msg(exchange->aio, NULL);
            exchange_finish(exchange, EXCHANGE_ANSWERED, code);
        } else {
            exchange_finish(exchange, EXCHANGE_LOST, code);
        }
        return;
    }
    if (code != 0) {
        nng_msg_free(nng_aio_get_msg(exchange->aio));
        nng_aio_set_msg(exchange->aio, NULL);
        exchange_finish(exchange, EXCHANGE_NOT_SENT, code);
        return;
    }
    exchange->is_receiving = true;
    timer_arm(exchange->timer, exchange, exchange->answer_timeout_ms, false);
    nng_ctx_recv(exchange->ctx, exchange->aio);
}

/* On nng's threads. */
static void exchange_callback(void *user)
{
    struct exchange *exchange = user;
    if (timer_disarm(exchange->timer, exchange)) {
        exchange_step(exchange);
    }
}

void exchange_time_out(struct exchange *exchange)
{
    nng_aio_abort(exchange->aio, NNG_ETIMEDOUT);
}

int exchange_open(struct connection *connection, struct timer *timer, struct exchange *exchange)
{
    exchange->timer = timer;
    if (nng_ctx_open(&exchange->ctx, connection_socket(connection)) != 0) {
        return ASSENT_E_SYSTEM;
    }
    if (nng_aio_alloc(&exchange->aio, exchange_callback, exchange) != 0) {
        nng_ctx_close(exchange->ctx);
        return ASSENT_E_SYSTEM;
    }
    nng_aio_set_timeout(exchange->aio, NNG_DURATION_INFINITE);
    return ASSENT_OK;
}

void exchange_start(struct exchange *exchange, struct pack *pack, uint32_t connect_timeout_ms,
                    uint32_t answer_timeout_ms)
{
    nng_msg *message = NULL;
    exchange->is_under_way = true;
    exchange->is_receiving = false;
    exchange->answer_timeout_ms = answer_timeout_ms;
    exchange->message = NULL;
    const int code = nng_msg_alloc(&message, pack->size_bytes);
    if (code != 0) {
        pack_done(pack);
        exchange_finish(exchange, EXCHANGE_NOT_SENT, code);
        return;
    }
    memcpy(nng_msg_body(message), pack->bytes, pack->size_bytes);
    pack_done(pack);
    struct quiet_signal quiet;
    signal_quieten(&quiet);
    nng_aio_set_msg(exchange->aio, message);
    timer_arm(exchange->timer, exchange, connect_timeout_ms, true);
    nng_ctx_send(exchange->ctx, exchange->aio);
    signal_restore(&quiet);
}

void exchange_close(struct exchange *exchange)
{
    timer_forget(exchange->timer, exchange);
    nng_aio_stop(exchange->aio); /* waits for the callback */
    if (exchange->is_under_way) {
        /* The stop came between send and receive: nng refuses the receive without a callback. */
        exchange_finish(exchange, EXCHANGE_LOST, NNG_ECANCELED);
    }
    nng_ctx_close(exchange->ctx);
    nng_aio_free(exchange->aio);
}
