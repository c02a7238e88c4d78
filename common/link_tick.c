/*
 * link_tick.c - what a link does by time, on its ticker and under its lock, a few times a second:
 * heartbeats, the ends of silent sessions and stuck handshakes, connections that never prove
 * anything, renewed diallers, and the health of our own listener.
 *
 * Nothing waits for an event of nng alone: each state but UP ends by itself, and UP ends by
 * silence.
 */
#include <stddef.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/link_internal.h"

static uint32_t attempt_ms(const struct link *link)
{
    return link->options.silence_ms < LINK_ATTEMPT_MS ? link->options.silence_ms : LINK_ATTEMPT_MS;
}

static void tick_up(struct peer *peer, uint64_t now_ms)
{
    uint32_t silence_ms = peer->link->options.silence_ms;
    if (now_ms - peer->received_ms > silence_ms) {
        peer_end(peer, LINK_UNREACHABLE, "nothing came from %s for %u ms", peer->address,
                 (unsigned)silence_ms);
        return;
    }
    /* nng tells of a connection's end on a thread that waits for other connections' ends, and that
     * may wait for ever: seen with 1.5.2 in a process that had been stopped for 11 s and then went
     * on. So the connections are asked, too, or every later death would be found by silence. */
    if (!socket_pipe_lives(peer->out_pipe) || !socket_pipe_lives(peer->in_pipe)) {
        peer_end(peer, LINK_UNREACHABLE, "a connection to %s has ended", peer->address);
        return;
    }
    uint32_t patience_ms =
        peer->other.silence_ms < silence_ms ? peer->other.silence_ms : silence_ms;
    if (!peer->sending && peer->first_body == NULL && now_ms - peer->sent_ms >= patience_ms / 3) {
        peer_queue_heartbeat(peer);
    }
    socket_kick(peer); /* also what could not go for want of memory */
}

static void tick_dialling(struct peer *peer, uint64_t now_ms)
{
    struct link *link = peer->link;
    if (!link->options.is_coordinator) {
        if (now_ms - peer->since_ms > link->options.silence_ms) {
            peer_end(peer, LINK_UNREACHABLE, "cannot connect to the coordinator at %s",
                     peer->address);
        }
        return;
    }
    if (now_ms - peer->since_ms > LINK_UNREACHABLE_MS) {
        char text[ADDRESS_SIZE + 64];
        (void)snprintf(text, sizeof text, "cannot connect to the agent at %s", peer->address);
        peer_trouble(peer, LINK_UNREACHABLE, text);
    }
    /* A connect that hangs in the network, or a dialler that nng lost (some errors end its attempts
     * silently; so does, about once in a hundred times, the end of an agent that the last attempt
     * had just reached), is given up for a new one. */
    if (now_ms - peer->since_ms > attempt_ms(link) &&
        now_ms - peer->dialled_ms > attempt_ms(link)) {
        (void)socket_dial(peer, NULL);
    }
}

static void tick_greeting(struct peer *peer, uint64_t now_ms)
{
    struct link *link = peer->link;
    if (now_ms - peer->since_ms <= attempt_ms(link)) {
        return;
    }
    if (link->options.is_coordinator) {
        peer_end(peer, LINK_UNREACHABLE,
                 "the agent at %s does not answer the handshake: can it reach us at %s?",
                 peer->address, link->advertised);
    } else {
        peer_end(peer, LINK_UNREACHABLE, "the coordinator at %s did not finish the handshake",
                 peer->address);
    }
}

static void tick_peer(struct peer *peer, uint64_t now_ms)
{
    switch (peer->state) {
    case PEER_FREE:
        break;
    case PEER_DIALING:
        tick_dialling(peer, now_ms);
        break;
    case PEER_PAUSED:
        if (now_ms >= peer->hello_after_ms) {
            peer_greet(peer);
        }
        break;
    case PEER_GREETING:
        tick_greeting(peer, now_ms);
        break;
    case PEER_UP:
        tick_up(peer, now_ms);
        break;
    }
}

static bool inlet_bound(const struct link *link, uint32_t pipe)
{
    for (const struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state != PEER_FREE && peer->in_pipe == pipe) {
            return true;
        }
    }
    return false;
}

/* Strangers may stay for a while, and not too many at once: the oldest goes first, so that a crowd
 * cannot keep an honest connection out. */
static void tick_inlets(struct link *link, uint64_t now_ms)
{
    size_t strangers = 0, oldest = 0, at = 0;
    while (at < link->inlet_count) {
        struct inlet *inlet = &link->inlets[at];
        if (!inlet_bound(link, inlet->pipe)) {
            if (now_ms - inlet->since_ms > link->options.silence_ms &&
                !socket_close_pipe(inlet->pipe)) {
                *inlet = link->inlets[--link->inlet_count]; /* gone without an event */
                continue;
            }
            if (strangers == 0 || inlet->since_ms < link->inlets[oldest].since_ms) {
                oldest = at;
            }
            strangers++;
        }
        at++;
    }
    if (strangers > LINK_STRANGERS_MAX) {
        (void)socket_close_pipe(link->inlets[oldest].pipe);
    }
}

static bool any_up(const struct link *link)
{
    for (const struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state == PEER_UP) {
            return true;
        }
    }
    return false;
}

/* nng 1.5.2 stops accepting for ever when a connection is reset between its end of stream and our
 * half of nng's handshake: any stranger can do that (docs/adr/0007-nng-pattern.md). So a listener
 * that nobody connected to for a while is asked by ourselves, and opened anew if it does not take
 * even that. Costs the sessions that came through it, which have new ones at once. */
static void tick_listener(struct link *link, uint64_t now_ms)
{
    if (!link->has_listener) {
        (void)socket_listen(link, link->address, NULL); /* the port may take a moment to be free */
        return;
    }
    /* Who has a session is not waited for at the door, so there it may take longer. */
    uint32_t pause_ms = any_up(link) && !link->probe_unanswered ? link->options.silence_ms / 2
                                                                : attempt_ms(link) / 2;
    if (now_ms - link->checked_ms < pause_ms) {
        return;
    }
    link->checked_ms = now_ms;
    bool heard = link->inlets_added > 0;
    link->inlets_added = 0;
    if (heard) {
        link->probe_unanswered = false;
        socket_probe_stop(link);
    } else if (!link->probe_unanswered) {
        link->probe_unanswered = socket_probe_start(link);
    } else {
        link->probe_unanswered = false;
        socket_probe_stop(link);
        socket_unlisten(link);
        link_stranger_trouble(link, LINK_UNREACHABLE,
                              "our listener had stopped taking connections and is opened anew");
        (void)socket_listen(link, link->address, NULL);
    }
}

void link_tick(struct link *link)
{
    uint64_t now_ms = clock_monotonic_ms();
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        tick_peer(peer, now_ms);
    }
    tick_inlets(link, now_ms);
    tick_listener(link, now_ms);
}

void peer_redial_soon(struct peer *peer)
{
    if (peer->redial_ms == 0) {
        peer->redial_ms = clock_monotonic_ms() + LINK_REDIAL_MIN_MS;
        pthread_cond_signal(&peer->link->alarm);
    }
}

uint64_t link_pass_time(struct link *link)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms >= link->next_tick_ms) {
        link_tick(link);
        link->next_tick_ms = now_ms + link->tick_ms;
    }
    uint64_t due_ms = link->next_tick_ms;
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->redial_ms != 0 && now_ms >= peer->redial_ms) {
            peer->redial_ms = 0;
            if (peer->state == PEER_DIALING && !peer->has_dialer) {
                (void)socket_dial(peer, NULL); /* where that fails the tick tries again */
            }
        } else if (peer->redial_ms != 0 && peer->redial_ms < due_ms) {
            due_ms = peer->redial_ms;
        }
    }
    return due_ms;
}
