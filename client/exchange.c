/*
 * exchange.c - see exchange.h.
 *
 * Why a request never runs twice by itself: NNG_OPT_REQ_RESENDTIME is set to 0 before any context
 * is opened. With any other value nng sends a request again when its connection dies, and the
 * coordinator would run it twice. With 0 the context gets NNG_ECONNRESET at once, which we report
 * as "lost": the caller knows whether asking again is safe.
 *
 * Why sockets are never closed: nng_close of a socket on which something is under way can hang for
 * ever (nng 1543), and takes nng's only reaper thread with it. A client that is closed therefore
 * parks its socket, and the next client of the same address takes it over. The list below is the
 * library's only global.
 *
 * SIGPIPE: nng writes to a connection from the thread that calls it. The signal is blocked around
 * such calls and taken away if it came.
 */
#include "client/exchange.h"

#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"

#define RECONNECT_MIN_MS 50
#define RECONNECT_MAX_MS 1000

struct parked {
    struct parked *next;
    nng_socket socket;
    char url[];
};

static pthread_mutex_t parked_lock = PTHREAD_MUTEX_INITIALIZER;
static struct parked *parked_first;

static bool connection_unpark(const char *url, nng_socket *ret_socket)
{
    bool found = false;
    pthread_mutex_lock(&parked_lock);
    for (struct parked **link = &parked_first; *link != NULL; link = &(*link)->next) {
        struct parked *parked = *link;
        if (strcmp(parked->url, url) == 0) {
            *ret_socket = parked->socket;
            *link = parked->next;
            free(parked);
            found = true;
            break;
        }
    }
    pthread_mutex_unlock(&parked_lock);
    return found;
}

void connection_park(const char *url, nng_socket socket)
{
    const size_t url_bytes = strlen(url) + 1;
    struct parked *parked = alloc_zeroed(sizeof *parked + url_bytes);
    parked->socket = socket;
    memcpy(parked->url, url, url_bytes);
    pthread_mutex_lock(&parked_lock);
    parked->next = parked_first;
    parked_first = parked;
    pthread_mutex_unlock(&parked_lock);
}

static int connection_error(int code)
{
    return code == NNG_EINVAL || code == NNG_EADDRINVAL || code == NNG_ENOTSUP ? ASSENT_E_ARGUMENT
                                                                               : ASSENT_E_SYSTEM;
}

int connection_take(const char *url, nng_socket *ret_socket)
{
    if (connection_unpark(url, ret_socket)) {
        return ASSENT_OK;
    }
    nng_socket socket = NNG_SOCKET_INITIALIZER;
    nng_dialer dialer = NNG_DIALER_INITIALIZER;
    int code = nng_req0_open(&socket);
    if (code != 0) {
        return ASSENT_E_SYSTEM;
    }
    code = nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, 0);
    if (code == 0) {
        code = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, CLIENT_ANSWER_FRAME_MAX_BYTES);
    }
    if (code == 0) {
        code = nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
    }
    if (code == 0) {
        code = nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
    }
    if (code == 0) {
        code = nng_dialer_create(&dialer, socket, url);
    }
    if (code == 0) {
        (void)nng_dialer_set_bool(dialer, NNG_OPT_TCP_KEEPALIVE, true);
        code = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
    }
    if (code != 0) {
        nng_close(socket); /* nothing ever ran on it */
        return connection_error(code);
    }
    *ret_socket = socket;
    return ASSENT_OK;
}

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

/* On nng's threads. A request whose send failed was never handed to a connection: nng completes the
 * send when a connection takes the message, and from then on it may have left. */
static void exchange_callback(void *user)
{
    struct exchange *exchange = user;
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
    nng_aio_set_timeout(exchange->aio, (nng_duration)exchange->answer_timeout_ms);
    nng_ctx_recv(exchange->ctx, exchange->aio);
}

int exchange_open(nng_socket socket, struct exchange *exchange)
{
    if (nng_ctx_open(&exchange->ctx, socket) != 0) {
        return ASSENT_E_SYSTEM;
    }
    if (nng_aio_alloc(&exchange->aio, exchange_callback, exchange) != 0) {
        nng_ctx_close(exchange->ctx);
        return ASSENT_E_SYSTEM;
    }
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
    nng_aio_set_timeout(exchange->aio, (nng_duration)connect_timeout_ms);
    nng_ctx_send(exchange->ctx, exchange->aio);
    signal_restore(&quiet);
}

void exchange_close(struct exchange *exchange)
{
    nng_aio_stop(exchange->aio); /* waits for the callback */
    if (exchange->is_under_way) {
        /* The stop came between send and receive: nng refuses the receive without a callback. */
        exchange_finish(exchange, EXCHANGE_LOST, NNG_ECANCELED);
    }
    nng_ctx_close(exchange->ctx);
    nng_aio_free(exchange->aio);
}
