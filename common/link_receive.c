/*
 * link_receive.c - what arrives: the handshake's frames and a session's data.
 *
 * A frame counts only on the connection that it belongs to: data on the one that brought the HELLO
 * or ACCEPT of its session. Whatever a stranger sends ends at most the stranger's own connection.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/codec_write.h"
#include "common/link_internal.h"
#include "common/version.h"

/* A connection that sent what no well-behaved side sends. */
static void reject_stranger(struct link *link, uint32_t pipe, enum link_trouble trouble,
                            const char *text)
{
    (void)socket_close_pipe(pipe);
    link_stranger_trouble(link, trouble, text);
}

/* Both sides are proved. */
static void session_begin(struct peer *peer, uint32_t version)
{
    struct link *link = peer->link;
    frame_derive_keys(&peer->secret, &peer->hello, &peer->accept, version, &peer->keys);
    peer->session = ++link->last_session;
    peer->sent_number = peer->received_number = 0;
    peer->received_ms = clock_monotonic_ms();
    peer->failures = peer->hangups = 0;
    peer->told = 0;
    peer->told_too_large = false;
    link->told_strangers = 0;
    peer_move(peer, PEER_UP);

    struct link_peer told = {.session = peer->session, .journal = peer->journal};
    memcpy(told.participant, peer->participant, sizeof told.participant);
    memcpy(told.address, peer->address, sizeof told.address);
    memcpy(told.version, peer->other.release, sizeof told.version);
    if (link->options.callbacks.on_up != NULL) {
        link->options.callbacks.on_up(link->options.callbacks.user, &told);
    }
}

/* ---- the agent's half of the handshake ---- */

static bool address_well_formed(const char *address)
{
    /* ';' would let nng resolve a source address, and wait for it */
    return strncmp(address, "tcp://", 6) == 0 && strpbrk(address, "; \t\r\n") == NULL;
}

static bool greeting_sane(const struct frame_greeting *greeting)
{
    return greeting->receive_limit_bytes >= LINK_FRAME_LIMIT_MIN && greeting->silence_ms > 0 &&
           greeting->version_min <= greeting->version_max;
}

/* A free peer for a new coordinator: its own older attempt, a free one, or a new one. */
static struct peer *agent_peer(struct link *link, const struct journal_id *journal, uint32_t pipe)
{
    struct peer *found = NULL;
    size_t count = 0;
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        bool unfinished = peer->state == PEER_DIALING || peer->state == PEER_GREETING;
        if (unfinished && journal_id_equal(&peer->journal, journal)) {
            if (peer->in_pipe == pipe) {
                peer->in_pipe = 0; /* a second hello on the same connection: keep that one */
            }
            peer_end(peer, 0, "a newer hello");
        }
        if (peer->state == PEER_FREE) {
            found = peer;
        }
        count++;
    }
    if (found == NULL && count < LINK_AGENT_PEERS_MAX) {
        found = peer_new(link);
    }
    return found;
}

/* Highest version that both speak; 0 if there is none. */
static uint32_t common_version(const struct frame_greeting *hello)
{
    uint32_t version =
        hello->version_max < PROTOCOL_VERSION_MAX ? hello->version_max : PROTOCOL_VERSION_MAX;
    return version >= PROTOCOL_VERSION_MIN && version >= hello->version_min ? version : 0;
}

static void answer_refuse(struct peer *peer, enum frame_refusal refusal, const char *text)
{
    struct frame_denial denial = {.refusal = refusal};
    (void)snprintf(denial.text, sizeof denial.text, "%s", text);
    frame_write_refuse(&peer->greeting, &denial, &peer->secret, &peer->hello);
    link_stranger_trouble(peer->link, LINK_INCOMPATIBLE, text);
}

static void answer_accept(struct peer *peer, uint32_t version)
{
    struct link *link = peer->link;
    struct frame_greeting accept = {
        .version_min = version,
        .version_max = version,
        .features = peer->other.features & PROTOCOL_FEATURES,
        .journal = peer->journal,
        .receive_limit_bytes = link->options.frame_limit_bytes,
        .silence_ms = link->options.silence_ms,
    };
    (void)snprintf(accept.release, sizeof accept.release, "%s", ASSENT_VERSION);
    memcpy(accept.participant, peer->participant, sizeof accept.participant);
    randombytes_buf(accept.nonce, sizeof accept.nonce);
    frame_write_greeting(&peer->accept, FRAME_ACCEPT, &accept, &peer->secret, &peer->hello);
    write_raw(&peer->greeting, peer->accept.bytes, peer->accept.size_bytes);
}

/* What to say to an authentic hello, put where it waits for the connection back. */
static void prepare_answer(struct peer *peer)
{
    const struct frame_greeting *hello = &peer->other;
    char text[256];
    uint32_t version = common_version(hello);
    if (strcmp(hello->participant, peer->link->participant) != 0) {
        (void)snprintf(text, sizeof text, "this is the agent of participant %s, not of %s",
                       peer->link->participant, hello->participant);
        answer_refuse(peer, REFUSAL_PARTICIPANT, text);
    } else if (version == 0) {
        (void)snprintf(text, sizeof text,
                       "no common protocol version: coordinator %s speaks %u to %u, agent %s "
                       "%u to %u",
                       hello->release, (unsigned)hello->version_min, (unsigned)hello->version_max,
                       ASSENT_VERSION, (unsigned)PROTOCOL_VERSION_MIN,
                       (unsigned)PROTOCOL_VERSION_MAX);
        answer_refuse(peer, REFUSAL_VERSION, text);
    } else {
        answer_accept(peer, version);
    }
}

static void take_hello(struct link *link, uint32_t pipe, const uint8_t *bytes, size_t size_bytes)
{
    struct frame_greeting hello;
    struct error error;
    if (!frame_read_greeting(bytes, size_bytes, FRAME_HELLO, &hello, &error)) {
        reject_stranger(link, pipe, LINK_BAD_FRAME, error.text);
        return;
    }
    /* Nobody is dialled on the word of somebody who does not know the secret. */
    if (!frame_proves(bytes, size_bytes, &link->options.secret, NULL, NULL)) {
        reject_stranger(link, pipe, LINK_DENIED,
                        "a coordinator's hello was made with another secret");
        return;
    }
    if (!address_well_formed(hello.address) || !greeting_sane(&hello)) {
        reject_stranger(link, pipe, LINK_BAD_FRAME, "a coordinator's hello makes no sense");
        return;
    }
    struct peer *peer = agent_peer(link, &hello.journal, pipe);
    if (peer == NULL) {
        reject_stranger(link, pipe, LINK_UNREACHABLE,
                        "too many coordinators at once: one more was turned away");
        return;
    }
    peer->in_pipe = pipe;
    peer->journal = hello.journal;
    peer->other = hello;
    peer->secret = link->options.secret;
    peer->told = 0;
    memcpy(peer->participant, link->participant, sizeof peer->participant);
    memcpy(peer->address, hello.address, sizeof peer->address);
    write_raw(&peer->hello, bytes, size_bytes);
    prepare_answer(peer);
    peer_move(peer, PEER_DIALING);
    if (!socket_dial(peer, &error)) {
        peer_end(peer, LINK_UNREACHABLE, "cannot dial the coordinator: %s", error.text);
    }
}

/* The coordinator lives: now its older session, if it has one, is over. */
static void take_confirm(struct link *link, uint32_t pipe, const uint8_t *bytes, size_t size_bytes)
{
    struct peer *found = NULL;
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state == PEER_GREETING && peer->in_pipe == pipe && peer->accept.size_bytes > 0) {
            found = peer;
        }
    }
    if (found == NULL ||
        !frame_proves(bytes, size_bytes, &found->secret, &found->hello, &found->accept)) {
        reject_stranger(link, pipe, LINK_BAD_FRAME, "a handshake frame out of turn");
        return;
    }
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state == PEER_UP && journal_id_equal(&peer->journal, &found->journal)) {
            peer_end(peer, 0, "replaced by a newer session");
        }
    }
    session_begin(found, common_version(&found->other));
}

/* ---- the coordinator's half ---- */

/* Whose hello this frame answers: the one whose secret makes its MAC right. */
static struct peer *answered_peer(struct link *link, const uint8_t *bytes, size_t size_bytes)
{
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state == PEER_GREETING &&
            frame_proves(bytes, size_bytes, &peer->secret, &peer->hello, NULL)) {
            return peer;
        }
    }
    return NULL;
}

static void take_accept(struct link *link, uint32_t pipe, const uint8_t *bytes, size_t size_bytes)
{
    struct frame_greeting accept;
    struct error error;
    if (!frame_read_greeting(bytes, size_bytes, FRAME_ACCEPT, &accept, &error)) {
        reject_stranger(link, pipe, LINK_BAD_FRAME, error.text);
        return;
    }
    struct peer *peer = answered_peer(link, bytes, size_bytes);
    if (peer == NULL) {
        (void)socket_close_pipe(pipe); /* late, or of a stranger: nothing to tell */
        return;
    }
    if (strcmp(accept.participant, peer->participant) != 0 ||
        !journal_id_equal(&accept.journal, &peer->journal) ||
        accept.version_min < PROTOCOL_VERSION_MIN || accept.version_min > PROTOCOL_VERSION_MAX ||
        !greeting_sane(&accept)) {
        peer_end(peer, LINK_INCOMPATIBLE, "the agent at %s answers for participant %s",
                 peer->address, accept.participant);
        (void)socket_close_pipe(pipe);
        return;
    }
    peer->in_pipe = pipe;
    peer->other = accept;
    write_raw(&peer->accept, bytes, size_bytes);
    frame_write_confirm(&peer->greeting, &peer->secret, &peer->hello, &peer->accept);
    session_begin(peer, accept.version_min);
    socket_kick(peer);
}

static void take_refuse(struct link *link, uint32_t pipe, const uint8_t *bytes, size_t size_bytes)
{
    struct frame_denial denial;
    struct error error;
    if (!frame_read_refuse(bytes, size_bytes, &denial, &error)) {
        reject_stranger(link, pipe, LINK_BAD_FRAME, error.text);
        return;
    }
    struct peer *peer = answered_peer(link, bytes, size_bytes);
    (void)socket_close_pipe(pipe);
    if (peer != NULL) {
        peer_end(peer, denial.refusal == REFUSAL_BUSY ? LINK_UNREACHABLE : LINK_INCOMPATIBLE,
                 "the agent at %s refuses: %s", peer->address, denial.text);
    }
}

static void take_handshake(struct link *link, enum frame_type type, uint32_t pipe,
                           const uint8_t *bytes, size_t size_bytes)
{
    bool is_coordinator = link->options.is_coordinator;
    if (type == FRAME_HELLO && !is_coordinator) {
        take_hello(link, pipe, bytes, size_bytes);
    } else if (type == FRAME_CONFIRM && !is_coordinator) {
        take_confirm(link, pipe, bytes, size_bytes);
    } else if (type == FRAME_ACCEPT && is_coordinator) {
        take_accept(link, pipe, bytes, size_bytes);
    } else if (type == FRAME_REFUSE && is_coordinator) {
        take_refuse(link, pipe, bytes, size_bytes);
    } else {
        reject_stranger(link, pipe, LINK_BAD_FRAME, "something that is not Assent connects here");
    }
}

/* ---- data ---- */

/* The session that data on this connection belongs to. */
static struct peer *session_on(struct link *link, uint32_t pipe)
{
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state == PEER_UP && peer->in_pipe == pipe) {
            return peer;
        }
    }
    return NULL;
}

/* True while the session is the one the frame was opened for. */
static bool deliver(struct link *link, uint32_t pipe, uint64_t session, struct message *messages,
                    size_t count)
{
    pthread_mutex_lock(&link->lock);
    struct peer *peer = session_on(link, pipe);
    bool same = !link->stopping && peer != NULL && peer->session == session;
    if (same && count > 0 && link->options.callbacks.on_messages != NULL) {
        link->options.callbacks.on_messages(link->options.callbacks.user, session, messages, count);
        count = 0; /* taken */
    }
    pthread_mutex_unlock(&link->lock);
    for (size_t i = 0; i < count; i++) {
        message_done(&messages[i]);
    }
    return same;
}

/* Decodes and delivers in batches, so that memory stays bounded whatever a frame holds. */
static void deliver_body(struct link *link, uint32_t pipe, uint64_t session,
                         const struct frame_data *data)
{
    struct message messages[LINK_DECODE_BATCH];
    size_t at = 0, count = 0;
    struct error error = {0};
    bool well = true;
    while (well && at < data->size_bytes) {
        size_t used = 0;
        well = codec_decode_message(data->body + at, data->size_bytes - at, &messages[count], &used,
                                    &error);
        at += used;
        count += well;
        if (count == LINK_DECODE_BATCH) {
            if (!deliver(link, pipe, session, messages, count)) {
                return;
            }
            count = 0;
        }
    }
    if (!deliver(link, pipe, session, messages, count) || well) {
        return;
    }
    pthread_mutex_lock(&link->lock);
    struct peer *peer = session_on(link, pipe);
    if (peer != NULL && peer->session == session) {
        peer_end(peer, error.kind == ERROR_VERSION ? LINK_INCOMPATIBLE : LINK_BAD_FRAME, "%s",
                 error.text);
    }
    pthread_mutex_unlock(&link->lock);
}

static void take_data(struct link *link, uint32_t pipe, const uint8_t *bytes, size_t size_bytes)
{
    pthread_mutex_lock(&link->lock);
    struct peer *peer = link->stopping ? NULL : session_on(link, pipe);
    struct frame_keys keys;
    uint64_t session = 0;
    if (peer != NULL) {
        keys = peer->keys;
        session = peer->session;
    }
    pthread_mutex_unlock(&link->lock);
    if (session == 0) {
        return; /* left over from a session that is gone */
    }

    struct frame_data data; /* checked without the lock: this is where the time goes */
    bool well = frame_open(bytes, size_bytes, &keys, !link->options.is_coordinator, &data);
    sodium_memzero(&keys, sizeof keys);

    pthread_mutex_lock(&link->lock);
    peer = session_on(link, pipe);
    if (link->stopping || peer == NULL || peer->session != session) {
        well = false;
    } else if (!well || data.number <= peer->received_number) {
        peer_end(peer, LINK_BAD_FRAME, "a frame from %s has a wrong MAC, session or number",
                 peer->address);
        well = false;
    } else {
        peer->received_number = data.number;
        peer->received_ms = clock_monotonic_ms();
    }
    pthread_mutex_unlock(&link->lock);
    if (well) {
        deliver_body(link, pipe, session, &data);
    }
}

void link_receive(struct link *link, uint32_t pipe, const uint8_t *bytes, size_t size_bytes)
{
    enum frame_type type = frame_type_of(bytes, size_bytes);
    if (type == FRAME_DATA) {
        take_data(link, pipe, bytes, size_bytes);
        return;
    }
    pthread_mutex_lock(&link->lock);
    if (!link->stopping) {
        struct peer *peer = session_on(link, pipe);
        if (peer != NULL) {
            peer_end(peer, LINK_BAD_FRAME, "%s sends what does not belong into a session",
                     peer->address);
        } else {
            take_handshake(link, type, pipe, bytes, size_bytes);
        }
    }
    pthread_mutex_unlock(&link->lock);
}
