/*
 * connection.c - see connection.h.
 *
 * Why a request never runs twice by itself: NNG_OPT_REQ_RESENDTIME is set to 0 before any context
 * is opened. With any other value nng sends a request again when its connection dies, and the
 * coordinator would run it twice. With 0 the context gets NNG_ECONNRESET at once, which we report
 * as "lost": the caller knows whether asking again is safe.
 *
 * Why sockets are never closed: nng_close of a socket on which something is under way can hang for
 * ever (nng 1543), and takes nng's only reaper thread with it. A client that is closed therefore
 * parks its connection, and the next client of the same address takes it over. The list below is the
 * library's only global.
 *
 * Why diallers are renewed: nng's dialler pauses between its attempts, for up to RECONNECT_MAX_MS
 * of the wall clock (1.5.2; upstream 1526). If that is set back meanwhile, it stands still for as
 * long as the jump. It also stops for good after some failures (docs/adr/0007-nng-pattern.md). So
 * while requests wait and there is no connection, the timer's thread looks, and dials anew:
 *
 * - at once, where the wall clock has fallen behind the monotonic one;
 * - otherwise after RENEW_MS. This alone would do: it needs no wall clock, and covers jumps that
 *   nobody saw, and diallers that stopped. But it must be longer than the slow lookup of a name,
 *   which would begin from the start; so it is not quick, and the first rule is there to be so.
 *
 * The dialler before is closed, so there are never more than two. Closing may wait (the same ADR):
 * it has a thread of its own, and until it is done there is no other renewal. A request must not
 * leave over a connection that is about to be closed, or its outcome would be unknown for nothing.
 * So a dialler with a live connection is never closed, and one that is given up gets none any more:
 * ADD_PRE, which nng calls before it uses a connection, turns it away.
 */
#include "client/connection.h"

#include <nng/protocol/reqrep0/req.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"

#define RECONNECT_MIN_MS 50
#define RECONNECT_MAX_MS 1000
#define RENEW_MIN_MS     RECONNECT_MAX_MS
#define RENEW_MS         15000
#define JUMP_MS          1000 /* less than that is waited for */

struct connection {
    struct connection *next; /* parked ones */
    nng_socket socket;
    pthread_mutex_t
        lock;          /* guards all below; nng's callbacks take it, so nng is not called with it */
    nng_dialer dialer; /* id 0: none */
    nng_dialer retired;
    bool is_retiring;
    uint32_t pipe;     /* the last of our dialler's; 0: none, or gone */
    uint64_t since_ms; /* without a connection, or dialling */
    int64_t ahead_ms;  /* the most that the wall clock was ahead of the monotonic one since */
    char url[];
};

static pthread_mutex_t parked_lock = PTHREAD_MUTEX_INITIALIZER;
static struct connection *parked_first;

static struct connection *connection_unpark(const char *url)
{
    pthread_mutex_lock(&parked_lock);
    struct connection **link = &parked_first;
    while (*link != NULL && strcmp((*link)->url, url) != 0) {
        link = &(*link)->next;
    }
    struct connection *connection = *link;
    if (connection != NULL) {
        *link = connection->next;
    }
    pthread_mutex_unlock(&parked_lock);
    return connection;
}

void connection_park(struct connection *connection)
{
    pthread_mutex_lock(&parked_lock);
    connection->next = parked_first;
    parked_first = connection;
    pthread_mutex_unlock(&parked_lock);
}

nng_socket connection_socket(const struct connection *connection)
{
    return connection->socket;
}

static int64_t wall_ahead_ms(void)
{
    return (int64_t)clock_wall_ms() - (int64_t)clock_monotonic_ms();
}

/* With the lock. */
static void connection_count_anew(struct connection *connection)
{
    connection->since_ms = clock_monotonic_ms();
    connection->ahead_ms = wall_ahead_ms();
}

static void connection_on_pipe(nng_pipe pipe, nng_pipe_ev event, void *user)
{
    struct connection *connection = user;
    const uint32_t id = (uint32_t)nng_pipe_id(pipe);
    const int dialer_id = nng_dialer_id(nng_pipe_dialer(pipe));
    bool is_retired = false;
    pthread_mutex_lock(&connection->lock);
    if (event == NNG_PIPE_EV_ADD_PRE) {
        is_retired = dialer_id != nng_dialer_id(connection->dialer);
        connection->pipe = is_retired ? connection->pipe : id;
    } else if (connection->pipe == id) {
        connection->pipe = 0;
        connection_count_anew(connection);
    }
    pthread_mutex_unlock(&connection->lock);
    if (is_retired) {
        (void)nng_pipe_close(pipe); /* closed in ADD_PRE: never becomes a pipe */
    }
}

static int connection_dial(struct connection *connection)
{
    nng_dialer dialer = NNG_DIALER_INITIALIZER;
    int code = nng_dialer_create(&dialer, connection->socket, connection->url);
    if (code != 0) {
        return code;
    }
    (void)nng_dialer_set_bool(dialer, NNG_OPT_TCP_KEEPALIVE, true);
    pthread_mutex_lock(&connection->lock);
    connection->dialer = dialer; /* before it may have a pipe */
    pthread_mutex_unlock(&connection->lock);
    return nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
}

static int connection_open(struct connection *connection)
{
    const nng_socket socket = connection->socket;
    int code = nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, 0);
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
        code = nng_pipe_notify(socket, NNG_PIPE_EV_ADD_PRE, connection_on_pipe, connection);
    }
    if (code == 0) {
        code = nng_pipe_notify(socket, NNG_PIPE_EV_REM_POST, connection_on_pipe, connection);
    }
    return code == 0 ? connection_dial(connection) : code;
}

static int connection_error(int code)
{
    return code == NNG_EINVAL || code == NNG_EADDRINVAL || code == NNG_ENOTSUP ? ASSENT_E_ARGUMENT
                                                                               : ASSENT_E_SYSTEM;
}

int connection_take(const char *url, struct connection **ret_connection)
{
    struct connection *connection = connection_unpark(url);
    if (connection != NULL) {
        *ret_connection = connection;
        return ASSENT_OK;
    }
    const size_t url_bytes = strlen(url) + 1;
    connection = alloc_zeroed(sizeof *connection + url_bytes);
    memcpy(connection->url, url, url_bytes);
    if (nng_req0_open(&connection->socket) != 0) {
        free(connection);
        return ASSENT_E_SYSTEM;
    }
    CHECK(pthread_mutex_init(&connection->lock, NULL) == 0);
    connection_count_anew(connection);
    const int code = connection_open(connection);
    if (code != 0) {
        nng_close(connection->socket); /* nothing ever ran on it */
        pthread_mutex_destroy(&connection->lock);
        free(connection);
        return connection_error(code);
    }
    *ret_connection = connection;
    return ASSENT_OK;
}

bool connection_thread(void *(*run)(void *), void *user, pthread_t *ret_thread)
{
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const bool is_started = pthread_create(ret_thread, NULL, run, user) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return is_started;
}

/* The connection outlives it: connections are never freed. */
static void *connection_bury(void *user)
{
    struct connection *connection = user;
    pthread_mutex_lock(&connection->lock);
    const nng_dialer dialer = connection->retired;
    pthread_mutex_unlock(&connection->lock);
    (void)nng_dialer_close(dialer);
    pthread_mutex_lock(&connection->lock);
    connection->is_retiring = false;
    pthread_mutex_unlock(&connection->lock);
    return NULL;
}

static bool pipe_lives(uint32_t pipe)
{
    const nng_pipe handle = {.id = pipe};
    nng_sockaddr address;
    return pipe != 0 && nng_pipe_get_addr(handle, NNG_OPT_REMADDR, &address) == 0;
}

/* With the lock. */
static bool connection_is_stuck(struct connection *connection)
{
    const int64_t ahead_ms = wall_ahead_ms();
    const uint64_t age_ms = clock_monotonic_ms() - connection->since_ms;
    if (ahead_ms > connection->ahead_ms) {
        connection->ahead_ms = ahead_ms;
    }
    const bool has_jumped = connection->ahead_ms - ahead_ms > JUMP_MS;
    return !connection->is_retiring &&
           (age_ms >= RENEW_MS || (age_ms >= RENEW_MIN_MS && has_jumped));
}

/* Gives the dialler up, unless a connection has come since `pipe` was the last. */
static bool connection_retire(struct connection *connection, uint32_t pipe, bool *ret_has_retired)
{
    pthread_mutex_lock(&connection->lock);
    const bool is_given_up = connection->pipe == pipe;
    if (is_given_up) {
        *ret_has_retired = nng_dialer_id(connection->dialer) > 0;
        connection->is_retiring = *ret_has_retired;
        connection->retired = connection->dialer;
        connection->dialer = (nng_dialer)NNG_DIALER_INITIALIZER;
        connection->pipe = 0;
        connection_count_anew(connection);
    }
    pthread_mutex_unlock(&connection->lock);
    return is_given_up;
}

void connection_look(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    const bool is_stuck = connection_is_stuck(connection);
    const uint32_t pipe = connection->pipe;
    pthread_mutex_unlock(&connection->lock);
    bool has_retired = false;
    if (!is_stuck || pipe_lives(pipe) || !connection_retire(connection, pipe, &has_retired)) {
        return;
    }
    (void)connection_dial(connection); /* where that fails a later look tries again */
    pthread_t thread;
    if (!has_retired) {
        return;
    }
    if (connection_thread(connection_bury, connection, &thread)) {
        (void)pthread_detach(thread);
    } else {
        (void)connection_bury(connection); /* no thread to be had: here, then */
    }
}
