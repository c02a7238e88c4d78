/*
 * link_peer.c - the other side of a link: its states, its session's beginning and end, and what
 * waits to be sent. Everything here runs under the link's lock.
 */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/codec_write.h"
#include "common/link_internal.h"
#include "common/version.h"

struct peer *peer_new(struct link *link)
{
    struct peer *peer = alloc_zeroed(sizeof *peer);
    peer->link = link;
    if (!socket_peer_open(peer, NULL)) {
        free(peer);
        return NULL;
    }
    peer->next = link->peers;
    link->peers = peer;
    return peer;
}

/* The drawing in link_internal.h as a table: bit n allows the move to state n. */
static const uint8_t successors[] = {
    [PEER_FREE] = 1 << PEER_DIALING,
    [PEER_DIALING] = 1 << PEER_DIALING | 1 << PEER_PAUSED | 1 << PEER_GREETING | 1 << PEER_FREE,
    [PEER_PAUSED] = 1 << PEER_GREETING | 1 << PEER_DIALING | 1 << PEER_FREE,
    [PEER_GREETING] = 1 << PEER_UP | 1 << PEER_DIALING | 1 << PEER_FREE,
    [PEER_UP] = 1 << PEER_DIALING | 1 << PEER_FREE,
};

void peer_move(struct peer *peer, enum peer_state state)
{
    CHECK(successors[peer->state] & 1 << state);
    peer->state = state;
    peer->since_ms = clock_monotonic_ms();
}

/* ---- telling the owner ---- */

void peer_trouble(struct peer *peer, enum link_trouble trouble, const char *text)
{
    struct link *link = peer->link;
    if (!link->options.is_coordinator && peer->state != PEER_UP) {
        /* An agent's peer lives for one attempt; what was told must outlive it. */
        link_stranger_trouble(link, trouble, text);
        return;
    }
    if (link->stopping || peer->told == trouble || link->options.callbacks.on_trouble == NULL) {
        return;
    }
    peer->told = trouble;
    link->options.callbacks.on_trouble(link->options.callbacks.user, peer->participant, trouble,
                                       text);
}

void link_stranger_trouble(struct link *link, enum link_trouble trouble, const char *text)
{
    uint32_t bit = 1u << trouble;
    if (link->stopping || (link->told_strangers & bit) != 0 ||
        link->options.callbacks.on_trouble == NULL) {
        return;
    }
    link->told_strangers |= bit;
    link->options.callbacks.on_trouble(link->options.callbacks.user, link->participant, trouble,
                                       text);
}

/* ---- the end of a session or handshake ---- */

static void forget_handshake(struct peer *peer)
{
    codec_buffer_done(&peer->hello);
    codec_buffer_done(&peer->accept);
    codec_buffer_done(&peer->greeting);
    sodium_memzero(&peer->keys, sizeof peer->keys);
}

/* A coordinator's peer dials again, an agent's is free for the next hello. */
static void start_over(struct peer *peer)
{
    struct link *link = peer->link;
    if (!link->options.is_coordinator) {
        socket_hang_up(peer);
        peer_move(peer, PEER_FREE);
        return;
    }
    socket_hang_up(peer);
    peer_move(peer, PEER_DIALING);
    peer_redial_soon(peer);
}

void peer_end(struct peer *peer, enum link_trouble trouble, const char *format, ...)
{
    struct link *link = peer->link;
    char text[ERROR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    uint64_t session = peer->state == PEER_UP ? peer->session : 0;
    uint32_t in_pipe = peer->in_pipe;
    if (peer->state == PEER_GREETING) {
        peer->failures++;
    }
    peer->session = 0;
    peer->in_pipe = 0;
    peer_drop_queue(peer);
    forget_handshake(peer);
    if (in_pipe != 0) {
        (void)socket_close_pipe(in_pipe);
    }
    if (session != 0 && !link->stopping && link->options.callbacks.on_down != NULL) {
        link->options.callbacks.on_down(link->options.callbacks.user, session);
    }
    if (trouble != 0) {
        peer_trouble(peer, trouble, text);
    }
    start_over(peer);
}

/* ---- the way out comes and goes ---- */

void peer_replaced(struct peer *peer)
{
    if (peer->state != PEER_FREE) {
        peer_end(peer, peer->state == PEER_DIALING ? 0 : LINK_UNREACHABLE,
                 "the connection to %s was replaced", peer->address);
    }
}

/* ADD_PRE: the connection exists, nothing may be sent yet (see link_socket.c). It is the first of a
 * dialler that only DIALING has. */
void peer_pipe_added(struct peer *peer, uint32_t pipe)
{
    if (peer->state != PEER_DIALING) {
        (void)socket_close_pipe(pipe);
        return;
    }
    socket_cancel_send(peer);
    peer->out_pipe = pipe;
    peer->out_ready = false;
}

/* ADD_POST: begin the handshake. */
void peer_pipe_ready(struct peer *peer, uint32_t pipe)
{
    if (peer->out_pipe != pipe || peer->state != PEER_DIALING) {
        return; /* gone before it was ready */
    }
    peer->out_ready = true;
    if (!peer->link->options.is_coordinator) {
        peer_move(peer, PEER_GREETING); /* ACCEPT waits in peer->greeting */
        socket_kick(peer);
    } else if (peer->failures > 0 && clock_monotonic_ms() < peer->hello_after_ms) {
        peer_move(peer, PEER_PAUSED);
    } else {
        peer_greet(peer);
    }
}

/* How long a coordinator waits before its next hello: doubling, with jitter. */
static void plan_next_hello(struct peer *peer)
{
    uint32_t shift = peer->failures < 7 ? peer->failures : 7;
    uint32_t pause_ms = 50u << shift;
    if (pause_ms > LINK_PAUSE_MAX_MS) {
        pause_ms = LINK_PAUSE_MAX_MS;
    }
    peer->hello_after_ms =
        clock_monotonic_ms() + pause_ms / 2 + randombytes_uniform(pause_ms / 2 + 1);
}

void peer_greet(struct peer *peer)
{
    struct link *link = peer->link;
    struct frame_greeting hello = {
        .version_min = PROTOCOL_VERSION_MIN,
        .version_max = PROTOCOL_VERSION_MAX,
        .features = PROTOCOL_FEATURES,
        .journal = link->options.journal,
        .receive_limit_bytes = link->options.frame_limit_bytes,
        .silence_ms = link->options.silence_ms,
    };
    (void)snprintf(hello.release, sizeof hello.release, "%s", ASSENT_VERSION);
    memcpy(hello.participant, peer->participant, sizeof hello.participant);
    memcpy(hello.address, link->advertised, sizeof hello.address);
    randombytes_buf(hello.nonce, sizeof hello.nonce);
    forget_handshake(peer);
    frame_write_greeting(&peer->hello, FRAME_HELLO, &hello, &peer->secret, NULL);
    write_raw(&peer->greeting, peer->hello.bytes, peer->hello.size_bytes);
    plan_next_hello(peer);
    peer_move(peer, PEER_GREETING);
    socket_kick(peer);
}

void peer_pipe_gone(struct peer *peer, uint32_t pipe)
{
    if (peer->out_pipe != pipe || pipe == 0) {
        return; /* one that we gave up before */
    }
    peer->out_pipe = 0;
    peer->out_ready = false;
    if (peer->state == PEER_UP) {
        peer_end(peer, LINK_UNREACHABLE, "the connection to %s was lost", peer->address);
    } else if (peer->state == PEER_GREETING && peer->link->options.is_coordinator) {
        /* An agent that does not know our secret may not answer; it hangs up. Once may be chance
         * (it was just stopped), twice in a row is meant. */
        peer->hangups++;
        if (peer->hangups >= 2) {
            peer_end(peer, LINK_DENIED,
                     "the agent at %s hangs up on our hello: it has another secret, or is not "
                     "participant %s; its log says which",
                     peer->address, peer->participant);
        } else {
            peer_end(peer, 0, "hung up");
        }
    } else if (peer->state != PEER_FREE) {
        peer_end(peer, 0, "lost before the handshake");
    }
}

void peer_inlet_gone(struct link *link, uint32_t pipe)
{
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state != PEER_FREE && peer->in_pipe == pipe) {
            peer->in_pipe = 0;
            peer_end(peer, peer->state == PEER_UP ? LINK_UNREACHABLE : 0,
                     "the connection from %s was lost", peer->address);
            return;
        }
    }
}

/* ---- what waits to go ---- */

void peer_drop_queue(struct peer *peer)
{
    while (peer->first_body != NULL) {
        struct body *body = peer->first_body;
        peer->first_body = body->next;
        codec_buffer_done(&body->buffer);
        free(body);
    }
    peer->last_body = NULL;
    peer->queued_bytes = 0;
}

/* The longest body that both sides allow. */
static size_t body_limit(const struct peer *peer)
{
    uint32_t limit = peer->link->options.frame_limit_bytes;
    if (peer->other.receive_limit_bytes < limit) {
        limit = peer->other.receive_limit_bytes;
    }
    return limit - FRAME_OVERHEAD_BYTES;
}

static struct body *body_append(struct peer *peer)
{
    struct body *body = alloc_zeroed(sizeof *body);
    if (peer->last_body == NULL) {
        peer->first_body = body;
    } else {
        peer->last_body->next = body;
    }
    peer->last_body = body;
    return body;
}

/* Encodes behind what waits already if both fit into one frame. What has been encoded is moved to a
 * new body if it does not fit; what fits nowhere is dropped. */
static void queue_message(struct peer *peer, const struct message *message)
{
    size_t limit = body_limit(peer);
    struct body *body = peer->last_body != NULL ? peer->last_body : body_append(peer);
    size_t before = body->buffer.size_bytes;
    codec_encode_message(&body->buffer, message);
    size_t added = body->buffer.size_bytes - before;
    if (added > limit) {
        body->buffer.size_bytes = before;
        char text[128];
        (void)snprintf(text, sizeof text,
                       "a %s message of %zu bytes was not sent: the frame limit is %zu",
                       message_kind_text(message->kind), added, limit);
        if (!peer->told_too_large) {
            peer->told_too_large = true;
            peer_trouble(peer, LINK_BAD_FRAME, text);
        }
        return;
    }
    if (before + added > limit) {
        struct body *next = body_append(peer);
        write_raw(&next->buffer, body->buffer.bytes + before, added);
        body->buffer.size_bytes = before;
    }
    peer->queued_bytes += added;
}

void peer_queue(struct peer *peer, struct message *messages, size_t count)
{
    size_t queue_limit = 2 * (size_t)peer->link->options.frame_limit_bytes;
    for (size_t i = 0; i < count; i++) {
        if (peer->queued_bytes < queue_limit) {
            queue_message(peer, &messages[i]);
        } /* else dropped, as a network would: the other side does not read */
        message_done(&messages[i]);
    }
}

void peer_queue_heartbeat(struct peer *peer)
{
    (void)body_append(peer);
}

bool peer_has_frame(const struct peer *peer)
{
    return peer->greeting.size_bytes > 0 || (peer->state == PEER_UP && peer->first_body != NULL);
}

static nng_msg *greeting_frame(struct peer *peer)
{
    nng_msg *frame;
    if (nng_msg_alloc(&frame, peer->greeting.size_bytes) != 0) {
        return NULL;
    }
    memcpy(nng_msg_body(frame), peer->greeting.bytes, peer->greeting.size_bytes);
    codec_buffer_done(&peer->greeting);
    return frame;
}

nng_msg *peer_next_frame(struct peer *peer)
{
    if (peer->greeting.size_bytes > 0) {
        return greeting_frame(peer);
    }
    struct body *body = peer->first_body;
    nng_msg *frame;
    if (nng_msg_alloc(&frame, FRAME_OVERHEAD_BYTES + body->buffer.size_bytes) != 0) {
        return NULL; /* the next send or heartbeat tries again */
    }
    frame_seal(nng_msg_body(frame), &peer->keys, peer->link->options.is_coordinator,
               ++peer->sent_number, body->buffer.bytes, body->buffer.size_bytes);
    peer->first_body = body->next;
    if (peer->first_body == NULL) {
        peer->last_body = NULL;
    }
    peer->queued_bytes -= body->buffer.size_bytes;
    codec_buffer_done(&body->buffer);
    free(body);
    return frame;
}
