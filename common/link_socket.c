/*
 * link_socket.c - the link's nng sockets: one PULL that listens, one PUSH per connection out.
 *
 * What was learnt from nng 1.5.2 and decides the shape of this file:
 *
 * - A PUSH socket whose pipe starts hands a waiting message to it and completes our send while the
 *   socket's own lock is held. If our callback then waited for the link's lock, whose holder waits
 *   for the socket's (to close a dialler), both would wait for ever. So no send may be waiting when
 *   a pipe starts: ADD_PRE cancels what is left of the last connection, and between ADD_PRE and
 *   ADD_POST nothing is sent. That also keeps frames of a dead session off the new connection.
 * - A pipe that dies early may report its removal before its arrival, or never. Whatever waits for
 *   an event therefore also has a deadline (link_tick.c).
 * - Closing a dialler or a listener waits for the callbacks of its connections (Debian's 1.5.2 has
 *   that from 1.6), which wait for the link's lock or for a thread of nng's small pool. So neither
 *   is done under the lock or in a callback: they are retired, and a thread of our own closes them.
 *   Until then a retired dialler may connect once more; ADD_PRE turns such connections away.
 * - Closing a socket waits for everything in it and may wait for ever (nng issue 1543), so each is
 *   closed by a thread that does nothing else, behind its dialler. Closing a pipe never waits.
 * - A PUSH socket serves one connection and no other. When a connection ends just behind a frame
 *   that it has taken, nng puts it back among those that can be sent to, and frees it: (1) the frame
 *   is written, its callback waits for a thread; (2) the connection ends and is taken off the list, where it
 *   is not; (3) the callback, which does not look whether it has ended, puts it on the list; (4) it is freed. The next
 *   send on that socket would use its memory. So after a connection there is no next send: the socket is
 *   retired, too. Sends before REM_POST are safe, because (4) comes behind it.
 *   tests/unit/test_link_reset.c shows it.
 * - nng keeps time by the wall clock (1.5.2; upstream 1526). Its only timers here are those between a dialler's attempts;
 *   the tick gives up a dialler that has not connected for a while, and has a clock of its own (link_tick.c).
 * - One receive operation only: two would let frames of one session overtake each other.
 */
/* nng.h must come before its protocols' headers, hence the blank line. */
#include <nng/nng.h>

#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/link_internal.h"

static bool nng_failed(struct error *ret_error, int result, const char *what)
{
    if (result == NNG_EADDRINUSE) {
        (void)error_set(ret_error, ERROR_LOCKED, "%s: %s", what, nng_strerror(result));
        return error_hint(ret_error,
                          "another process has this port (ss -ltnp shows which); stop it "
                          "or choose another port");
    }
    return error_set(ret_error, ERROR_SYSTEM, "%s: %s", what, nng_strerror(result));
}

/* ---- callbacks from nng ---- */

static void push_event(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct peer *peer = argument;
    struct link *link = peer->link;
    uint32_t id = (uint32_t)nng_pipe_id(pipe);
    pthread_mutex_lock(&link->lock);
    if (link->stopping) {
        (void)nng_pipe_close(pipe);
    } else if (event == NNG_PIPE_EV_ADD_PRE) {
        bool ours =
            peer->has_dialer && nng_dialer_id(nng_pipe_dialer(pipe)) == nng_dialer_id(peer->dialer);
        if (ours && !peer->push_used) {
            peer->push_used = true;
            peer_pipe_added(peer, id);
        } else {
            (void)nng_pipe_close(pipe); /* of a retired dialler, or the second one of its socket */
            if (ours) {
                peer_replaced(peer);
            }
        }
    } else if (event == NNG_PIPE_EV_ADD_POST) {
        peer_pipe_ready(peer, id);
    } else {
        peer_pipe_gone(peer, id);
    }
    pthread_mutex_unlock(&link->lock);
}

static void push_sent(void *argument)
{
    struct peer *peer = argument;
    struct link *link = peer->link;
    pthread_mutex_lock(&link->lock);
    if (nng_aio_result(peer->send_aio) != 0) {
        nng_msg_free(nng_aio_get_msg(peer->send_aio)); /* a lost frame: the cores repeat */
    }
    peer->sending = false;
    socket_kick(peer);
    if (!peer->sending) {
        pthread_cond_broadcast(&link->drained);
    }
    pthread_mutex_unlock(&link->lock);
}

static void forget_inlet(struct link *link, uint32_t pipe)
{
    for (size_t i = 0; i < link->inlet_count; i++) {
        if (link->inlets[i].pipe == pipe) {
            link->inlets[i] = link->inlets[--link->inlet_count];
            pthread_cond_broadcast(&link->drained);
            return;
        }
    }
}

static void pull_event(nng_pipe pipe, nng_pipe_ev event, void *argument)
{
    struct link *link = argument;
    uint32_t id = (uint32_t)nng_pipe_id(pipe);
    pthread_mutex_lock(&link->lock);
    if (event == NNG_PIPE_EV_ADD_PRE) {
        link->inlets_added++;
        if (link->stopping || link->inlet_count == LINK_INLETS_MAX) {
            (void)nng_pipe_close(pipe); /* closed in ADD_PRE: never becomes a pipe */
        } else {
            link->inlets[link->inlet_count++] =
                (struct inlet){.pipe = id, .since_ms = clock_monotonic_ms()};
        }
    } else if (event == NNG_PIPE_EV_REM_POST) {
        forget_inlet(link, id);
        if (!link->stopping) {
            peer_inlet_gone(link, id);
        }
    }
    pthread_mutex_unlock(&link->lock);
}

static void pull_received(void *argument)
{
    struct link *link = argument;
    int result = nng_aio_result(link->receive_aio);
    if (result == NNG_ECLOSED || result == NNG_ECANCELED) {
        return; /* link_stop */
    }
    if (result == 0) {
        nng_msg *message = nng_aio_get_msg(link->receive_aio);
        nng_aio_set_msg(link->receive_aio, NULL);
        link_receive(link, (uint32_t)nng_pipe_id(nng_msg_get_pipe(message)), nng_msg_body(message),
                     nng_msg_len(message));
        nng_msg_free(message);
    }
    nng_recv_aio(link->pull, link->receive_aio);
}

/* ---- what a thread of our own closes ---- */

static void retire(struct link *link, struct retired retired)
{
    link->retired = alloc_resize(link->retired, link->retired_count + 1, sizeof *link->retired);
    link->retired[link->retired_count++] = retired;
    pthread_cond_signal(&link->work);
}

static void retire_dialer(struct link *link, nng_dialer dialer)
{
    retire(link, (struct retired){.kind = RETIRED_DIALER, .dialer = dialer});
}

/* Closing a socket may wait for ever (nng issue 1543). It must not keep the janitor from closing listeners: a
 * deaf one is opened anew only when its port is free. So each has a thread that does nothing else. */
struct burial {
    struct link *link;
    nng_socket socket;
};

static void *bury(void *argument)
{
    struct burial *burial = argument;
    struct link *link = burial->link;
    (void)nng_close(burial->socket);
    free(burial);
    pthread_mutex_lock(&link->lock);
    link->burials--;
    pthread_cond_signal(&link->work);
    pthread_mutex_unlock(&link->lock);
    return NULL;
}

static void close_socket(struct link *link, nng_socket socket)
{
    struct burial *burial = alloc_zeroed(sizeof *burial);
    pthread_t thread;
    *burial = (struct burial){.link = link, .socket = socket};
    pthread_mutex_lock(&link->lock);
    link->burials++;
    pthread_mutex_unlock(&link->lock);
    if (pthread_create(&thread, NULL, bury, burial) == 0) {
        (void)pthread_detach(thread);
    } else {
        (void)bury(burial); /* no thread to be had: here, then */
    }
}

static void close_retired(struct link *link, const struct retired *retired)
{
    switch (retired->kind) {
    case RETIRED_DIALER:
        (void)nng_dialer_close(retired->dialer);
        return;
    case RETIRED_LISTENER:
        (void)nng_listener_close(retired->listener);
        return;
    case RETIRED_SOCKET:
        close_socket(link, retired->socket);
        return;
    }
}

void socket_close_retired(struct link *link)
{
    struct retired *retired = link->retired;
    size_t count = link->retired_count;
    link->retired = NULL;
    link->retired_count = 0;
    link->is_burying = true;
    pthread_mutex_unlock(&link->lock);
    for (size_t i = 0; i < count; i++) {
        close_retired(link, &retired[i]);
    }
    free(retired);
    pthread_mutex_lock(&link->lock);
    link->is_burying = false;
}

/* ---- the way in ---- */

bool socket_listen(struct link *link, const char *url, struct error *ret_error)
{
    nng_listener listener;
    int result = nng_listener_create(&listener, link->pull, url);
    if (result != 0) {
        return nng_failed(ret_error, result, url);
    }
    result = nng_listener_start(listener, 0);
    if (result != 0) {
        retire(link, (struct retired){.kind = RETIRED_LISTENER, .listener = listener});
        return nng_failed(ret_error, result, url);
    }
    link->listener = listener;
    link->has_listener = true;
    return true;
}

void socket_unlisten(struct link *link)
{
    if (link->has_listener) {
        link->has_listener = false;
        retire(link, (struct retired){.kind = RETIRED_LISTENER, .listener = link->listener});
    }
}

bool socket_probe_start(struct link *link)
{
    socket_probe_stop(link);
    /* Each probe is a dialler to close. Where the last one is not closed yet, another one would only be one more: a janitor that
     * hangs in nng must not cost a connection a second for the rest of the process's life. */
    if (link->is_burying || link->retired_count > 0) {
        return false;
    }
    if (nng_dialer_create(&link->probe_dialer, link->probe, link->probe_url) == 0) {
        link->has_probe = true;
        (void)nng_dialer_start(link->probe_dialer, NNG_FLAG_NONBLOCK);
    }
    return link->has_probe;
}

void socket_probe_stop(struct link *link)
{
    if (link->has_probe) {
        link->has_probe = false;
        retire_dialer(link, link->probe_dialer);
    }
}

bool socket_open(struct link *link, struct error *ret_error)
{
    int result;
    if ((result = nng_pull0_open(&link->pull)) != 0) {
        return nng_failed(ret_error, result, "cannot open a socket");
    }
    if ((result = nng_push0_open(&link->probe)) != 0) {
        (void)nng_close(link->pull);
        return nng_failed(ret_error, result, "cannot open a socket");
    }
    if ((result = nng_socket_set_size(link->pull, NNG_OPT_RECVMAXSZ,
                                      link->options.frame_limit_bytes)) != 0 ||
        (result = nng_pipe_notify(link->pull, NNG_PIPE_EV_ADD_PRE, pull_event, link)) != 0 ||
        (result = nng_pipe_notify(link->pull, NNG_PIPE_EV_REM_POST, pull_event, link)) != 0 ||
        (result = nng_aio_alloc(&link->receive_aio, pull_received, link)) != 0) {
        socket_close(link);
        return nng_failed(ret_error, result, "cannot set up a socket");
    }
    nng_recv_aio(link->pull, link->receive_aio);
    return true;
}

/* ---- the ways out ---- */

static bool open_push(struct peer *peer, nng_socket *ret_push, struct error *ret_error)
{
    nng_socket push;
    int result = nng_push0_open(&push);
    if (result != 0) {
        return nng_failed(ret_error, result, "cannot open a socket");
    }
    if ((result = nng_pipe_notify(push, NNG_PIPE_EV_ADD_PRE, push_event, peer)) != 0 ||
        (result = nng_pipe_notify(push, NNG_PIPE_EV_ADD_POST, push_event, peer)) != 0 ||
        (result = nng_pipe_notify(push, NNG_PIPE_EV_REM_POST, push_event, peer)) != 0) {
        (void)nng_close(push);
        return nng_failed(ret_error, result, "cannot set up a socket");
    }
    *ret_push = push;
    return true;
}

bool socket_peer_open(struct peer *peer, struct error *ret_error)
{
    int result = nng_aio_alloc(&peer->send_aio, push_sent, peer);
    if (result != 0) {
        return nng_failed(ret_error, result, "cannot set up a socket");
    }
    if (!open_push(peer, &peer->push, ret_error)) {
        nng_aio_free(peer->send_aio);
        return false;
    }
    return true;
}

/* A new connection wants a new socket. Its dialler is retired already, and so closed before. */
static bool renew_push(struct peer *peer, struct error *ret_error)
{
    nng_socket fresh;
    if (!peer->push_used) {
        return true;
    }
    if (!open_push(peer, &fresh, ret_error)) {
        return false;
    }
    retire(peer->link, (struct retired){.kind = RETIRED_SOCKET, .socket = peer->push});
    peer->push = fresh;
    peer->push_used = false;
    return true;
}

bool socket_dial(struct peer *peer, struct error *ret_error)
{
    socket_hang_up(peer);
    peer->dialled_ms =
        clock_monotonic_ms(); /* also where it fails: the tick waits before it tries */
    if (!renew_push(peer, ret_error)) {
        return false;
    }
    nng_dialer dialer;
    int result = nng_dialer_create(&dialer, peer->push, peer->address);
    if (result != 0) {
        return nng_failed(ret_error, result, peer->address);
    }
    peer->dialer = dialer;
    peer->has_dialer = true;
    if ((result = nng_dialer_set_ms(dialer, NNG_OPT_RECONNMINT, LINK_REDIAL_MIN_MS)) != 0 ||
        (result = nng_dialer_set_ms(dialer, NNG_OPT_RECONNMAXT, LINK_REDIAL_MAX_MS)) != 0 ||
        (result = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK)) != 0) {
        socket_hang_up(peer);
        return nng_failed(ret_error, result, peer->address);
    }
    return true;
}

void socket_hang_up(struct peer *peer)
{
    socket_cancel_send(peer);
    if (peer->out_pipe != 0) {
        (void)socket_close_pipe(peer->out_pipe);
    }
    peer->out_pipe = 0;
    peer->out_ready = false;
    if (peer->has_dialer) {
        peer->has_dialer = false;
        retire_dialer(peer->link, peer->dialer);
    }
}

void socket_cancel_send(struct peer *peer)
{
    if (peer->sending) {
        nng_aio_cancel(peer->send_aio); /* push_sent still runs */
    }
}

void socket_kick(struct peer *peer)
{
    if (peer->sending || !peer->out_ready || !peer_has_frame(peer)) {
        return;
    }
    nng_msg *frame = peer_next_frame(peer);
    if (frame == NULL) {
        return;
    }
    peer->sending = true;
    peer->sent_ms = clock_monotonic_ms();
    nng_aio_set_msg(peer->send_aio, frame);
    nng_send_aio(peer->push, peer->send_aio);
}

bool socket_close_pipe(uint32_t pipe)
{
    nng_pipe handle = {.id = pipe};
    return nng_pipe_close(handle) == 0;
}

bool socket_pipe_lives(uint32_t pipe)
{
    nng_pipe handle = {.id = pipe};
    nng_sockaddr address;
    return nng_pipe_get_addr(handle, NNG_OPT_REMADDR, &address) == 0;
}

/* ---- the end ---- */

void socket_quiesce(struct link *link)
{
    socket_unlisten(link);
    socket_probe_stop(link);
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        socket_hang_up(peer);
    }
    for (size_t i = 0; i < link->inlet_count; i++) {
        (void)socket_close_pipe(link->inlets[i].pipe);
    }
    if (link->receive_aio != NULL) {
        nng_aio_cancel(link->receive_aio);
    }
}

void socket_close(struct link *link)
{
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        nng_aio_stop(peer->send_aio);
        (void)nng_close(peer->push);
        nng_aio_free(peer->send_aio);
    }
    if (link->receive_aio != NULL) {
        nng_aio_stop(link->receive_aio);
    }
    (void)nng_close(link->probe);
    (void)nng_close(link->pull);
    nng_aio_free(link->receive_aio);
}
