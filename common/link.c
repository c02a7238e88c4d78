/*
 * link.c - the interface of link.h: beginning, end, participants, and what the owner asks for. How
 * a link works is told in link_internal.h.
 */
#include "common/link.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/link_internal.h"

#define CLOSE_GRACE_MS 2000

/* ---- addresses ---- */

/* "host:port" or "tcp://host:port" as a URL. ';' would let nng resolve a source address. */
static bool address_to_url(const char *address, char ret_url[ADDRESS_SIZE], struct error *ret_error)
{
    static const char scheme[] = "tcp://";
    bool has_scheme = strncmp(address, scheme, sizeof scheme - 1) == 0;
    const char *rest = has_scheme ? address + sizeof scheme - 1 : address;
    const char *colon = strrchr(rest, ':');
    if (strpbrk(rest, "/; \t\r\n") != NULL || colon == NULL || colon == rest || colon[1] == '\0') {
        error_set(ret_error, ERROR_INVALID, "not an address: \"%s\"", address);
        return error_hint(ret_error, "write it as host:port, such as 127.0.0.1:7402");
    }
    int length = snprintf(ret_url, ADDRESS_SIZE, "%s%s", scheme, rest);
    if (length < 0 || length >= ADDRESS_SIZE) {
        return error_set(ret_error, ERROR_INVALID, "address too long: \"%.60s...\"", address);
    }
    return true;
}

static bool host_is_wildcard(const char *url)
{
    static const char *const wildcards[] = {"tcp://0.0.0.0:", "tcp://[::]:", "tcp://*:"};
    for (size_t i = 0; i < sizeof wildcards / sizeof wildcards[0]; i++) {
        if (strncmp(url, wildcards[i], strlen(wildcards[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Puts the real port into the address that we listen on, and one that reaches it from here. */
static bool learn_address(struct link *link, const char *url, struct error *ret_error)
{
    int port;
    int result = nng_listener_get_int(link->listener, NNG_OPT_TCP_BOUND_PORT, &port);
    if (result != 0) {
        return error_set(ret_error, ERROR_SYSTEM, "cannot learn the port of %s: %s", url,
                         nng_strerror(result));
    }
    const char *colon = strrchr(url, ':');
    int host_bytes = (int)(colon - url);
    (void)snprintf(link->address, sizeof link->address, "%.*s:%d", host_bytes, url, port);
    if (host_is_wildcard(url)) {
        (void)snprintf(link->probe_url, sizeof link->probe_url, "tcp://%s:%d",
                       url[6] == '[' ? "[::1]" : "127.0.0.1", port);
    } else {
        memcpy(link->probe_url, link->address, sizeof link->probe_url);
    }
    if (link->advertised[0] == '\0') {
        memcpy(link->advertised, link->address, sizeof link->advertised);
    }
    return true;
}

/* ---- beginning ---- */

static bool options_take(struct link *link, const struct link_options *options,
                         char ret_url[ADDRESS_SIZE], struct error *ret_error)
{
    link->options = *options;
    link->options.listen = NULL; /* borrowed texts are not kept */
    link->options.advertise = NULL;
    link->options.participant = NULL;
    if (link->options.silence_ms == 0) {
        link->options.silence_ms = LINK_SILENCE_DEFAULT_MS;
    }
    if (link->options.frame_limit_bytes == 0) {
        link->options.frame_limit_bytes = LINK_FRAME_LIMIT_DEFAULT;
    }
    link->tick_ms = link->options.silence_ms / 10;
    link->tick_ms = link->tick_ms < 10 ? 10 : link->tick_ms > 500 ? 500 : link->tick_ms;
    if (link->options.frame_limit_bytes < LINK_FRAME_LIMIT_MIN) {
        return error_set(ret_error, ERROR_INVALID, "a frame limit of %u bytes is below %d",
                         (unsigned)link->options.frame_limit_bytes, LINK_FRAME_LIMIT_MIN);
    }
    if (!address_to_url(options->listen, ret_url, ret_error)) {
        return false;
    }
    if (options->is_coordinator) {
        if (options->advertise != NULL &&
            !address_to_url(options->advertise, link->advertised, ret_error)) {
            return false;
        }
        if (host_is_wildcard(options->advertise == NULL ? ret_url : link->advertised)) {
            error_set(ret_error, ERROR_INVALID, "agents cannot dial %s back",
                      options->advertise == NULL ? options->listen : options->advertise);
            return error_hint(ret_error, "advertise an address that the agents can reach");
        }
        return true;
    }
    if (options->participant == NULL || !participant_name_valid(options->participant)) {
        return error_set(ret_error, ERROR_INVALID, "not a participant's name: \"%s\"",
                         options->participant == NULL ? "" : options->participant);
    }
    if (options->secret.size_bytes < LINK_SECRET_MIN_BYTES ||
        options->secret.size_bytes > LINK_SECRET_MAX_BYTES) {
        return error_set(ret_error, ERROR_INVALID, "participant %s has no usable secret",
                         options->participant);
    }
    (void)snprintf(link->participant, sizeof link->participant, "%s", options->participant);
    return true;
}

static void link_free(struct link *link)
{
    while (link->peers != NULL) {
        struct peer *peer = link->peers;
        link->peers = peer->next;
        peer_drop_queue(peer);
        codec_buffer_done(&peer->hello);
        codec_buffer_done(&peer->accept);
        codec_buffer_done(&peer->greeting);
        sodium_memzero(peer, sizeof *peer);
        free(peer);
    }
    free(link->retired);
    pthread_cond_destroy(&link->work);
    pthread_cond_destroy(&link->alarm);
    pthread_cond_destroy(&link->drained);
    pthread_mutex_destroy(&link->lock);
    sodium_memzero(link, sizeof *link);
    free(link);
}

static void init_locks(struct link *link)
{
    pthread_condattr_t attributes;
    CHECK(pthread_mutex_init(&link->lock, NULL) == 0);
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&link->drained, &attributes) == 0);
    CHECK(pthread_cond_init(&link->work, &attributes) == 0);
    CHECK(pthread_cond_init(&link->alarm, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

static void add_ms(struct timespec *time, uint32_t delay_ms)
{
    time->tv_sec += delay_ms / 1000;
    time->tv_nsec += (long)(delay_ms % 1000) * 1000000;
    if (time->tv_nsec >= 1000000000) {
        time->tv_sec++;
        time->tv_nsec -= 1000000000;
    }
}

/* The janitor's life: close what is retired; when the link is over, everything. May hang in nng,
 * which costs sockets, but nothing waits for it without a deadline. */
static void *run_janitor(void *argument)
{
    struct link *link = argument;
    pthread_mutex_lock(&link->lock);
    while (!link->closing || link->retired_count > 0 || link->burials > 0) {
        if (link->retired_count > 0) {
            socket_close_retired(link);
        } else {
            pthread_cond_wait(&link->work, &link->lock);
        }
    }
    pthread_mutex_unlock(&link->lock);
    socket_close(link);
    link_free(link);
    return NULL;
}

/* The ticker's life. By the monotonic clock, as every wait of ours (P-15). */
static void *run_ticker(void *argument)
{
    struct link *link = argument;
    pthread_mutex_lock(&link->lock);
    while (!link->stopping) {
        uint64_t due_ms = link_pass_time(link);
        struct timespec due = {.tv_sec = (time_t)(due_ms / 1000),
                               .tv_nsec = (long)(due_ms % 1000) * 1000000};
        (void)pthread_cond_timedwait(&link->alarm, &link->lock,
                                     &due); /* woken or not: looks again */
    }
    pthread_mutex_unlock(&link->lock);
    return NULL;
}

/* False at the deadline. By the monotonic clock (P-15): the wall clock may jump meanwhile. */
static bool join_within(pthread_t thread, uint32_t ms)
{
#ifdef __SANITIZE_THREAD__ /* ThreadSanitizer does not know the other function, and sees a leak */
    const clockid_t clock = CLOCK_REALTIME;
#else
    const clockid_t clock = CLOCK_MONOTONIC;
#endif
    struct timespec deadline;
    clock_gettime(clock, &deadline);
    add_ms(&deadline, ms);
#ifdef __SANITIZE_THREAD__
    return pthread_timedjoin_np(thread, NULL, &deadline) == 0;
#else
    return pthread_clockjoin_np(thread, NULL, clock, &deadline) == 0;
#endif
}

/* The link is stopping. The ticker, which never waits in nng, goes first; then the janitor frees the link. */
static void send_janitor_home(struct link *link)
{
    pthread_t janitor = link->janitor;
    if (link->has_ticker) {
        pthread_cond_signal(&link->alarm);
        pthread_mutex_unlock(&link->lock);
        (void)pthread_join(link->ticker, NULL);
        pthread_mutex_lock(&link->lock);
    }
    link->closing = true;
    pthread_cond_signal(&link->work);
    pthread_mutex_unlock(&link->lock);

    if (!join_within(janitor, CLOSE_GRACE_MS)) {
        pthread_detach(janitor); /* nng hangs: left to the end of the process */
    }
}

bool link_start(const struct link_options *options, struct link **ret_link, struct error *ret_error)
{
    char url[ADDRESS_SIZE];
    if (sodium_init() < 0) {
        return error_set(ret_error, ERROR_SYSTEM, "libsodium cannot be used here");
    }
    struct link *link = alloc_zeroed(sizeof *link);
    init_locks(link);
    if (!options_take(link, options, url, ret_error) || !socket_open(link, ret_error)) {
        link_free(link);
        return false;
    }
    int failure = pthread_create(&link->janitor, NULL, run_janitor, link);
    if (failure != 0) {
        socket_close(link);
        link_free(link);
        return error_set_errno(ret_error, ERROR_SYSTEM, failure, "cannot start a thread");
    }
    pthread_mutex_lock(&link->lock);
    bool well = socket_listen(link, url, ret_error) && learn_address(link, url, ret_error);
    if (!well) {
        (void)error_wrap(ret_error, "cannot listen");
    }
    link->checked_ms = clock_monotonic_ms();
    link->next_tick_ms = link->checked_ms + link->tick_ms;
    failure = well ? pthread_create(&link->ticker, NULL, run_ticker, link) : 0;
    if (failure != 0) {
        well = error_set_errno(ret_error, ERROR_SYSTEM, failure, "cannot start a thread");
    }
    link->has_ticker = well;
    if (!well) {
        link->stopping = true;
        socket_quiesce(link);
        send_janitor_home(link);
        return false;
    }
    pthread_mutex_unlock(&link->lock);
    *ret_link = link;
    return true;
}

void link_address(const struct link *link, char ret_address[ADDRESS_SIZE])
{
    memcpy(ret_address, link->advertised, ADDRESS_SIZE);
}

/* ---- participants ---- */

static struct peer *find_participant(struct link *link, const char *participant)
{
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state != PEER_FREE && strcmp(peer->participant, participant) == 0) {
            return peer;
        }
    }
    return NULL;
}

static struct peer *free_peer(struct link *link)
{
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state == PEER_FREE) {
            return peer;
        }
    }
    return peer_new(link);
}

static bool add_participant(struct link *link, const char *participant, const char *url,
                            const struct link_secret *secret, struct error *ret_error)
{
    struct peer *peer = find_participant(link, participant);
    if (peer == NULL) {
        peer = free_peer(link);
        if (peer == NULL) {
            return error_set(ret_error, ERROR_SYSTEM, "no more sockets");
        }
        (void)snprintf(peer->participant, sizeof peer->participant, "%s", participant);
        peer->journal = link->options.journal;
        peer->failures = peer->hangups = 0;
        peer->told = 0;
        peer->in_pipe = 0;
        peer_move(peer, PEER_DIALING);
    } else if (strcmp(peer->address, url) == 0 && peer->secret.size_bytes == secret->size_bytes &&
               memcmp(peer->secret.bytes, secret->bytes, secret->size_bytes) == 0) {
        return true; /* nothing new */
    } else {
        peer_end(peer, 0, "updated");
        peer->failures = peer->hangups = 0;
    }
    peer->secret = *secret;
    memcpy(peer->address, url, sizeof peer->address);
    if (!socket_dial(peer, ret_error)) {
        peer_move(peer, PEER_FREE);
        return false;
    }
    return true;
}

bool link_add_participant(struct link *link, const char *participant, const char *address,
                          const struct link_secret *secret, struct error *ret_error)
{
    char url[ADDRESS_SIZE] = "";
    CHECK(link->options.is_coordinator);
    if (!participant_name_valid(participant)) {
        return error_set(ret_error, ERROR_INVALID, "not a participant's name: \"%s\"", participant);
    }
    if (secret->size_bytes < LINK_SECRET_MIN_BYTES || secret->size_bytes > LINK_SECRET_MAX_BYTES) {
        return error_set(ret_error, ERROR_INVALID, "participant %s has no usable secret",
                         participant);
    }
    if (!address_to_url(address, url, ret_error)) {
        return error_wrap(ret_error, "participant %s", participant);
    }
    pthread_mutex_lock(&link->lock);
    bool well = add_participant(link, participant, url, secret, ret_error);
    pthread_mutex_unlock(&link->lock);
    return well || error_wrap(ret_error, "participant %s", participant);
}

void link_remove_participant(struct link *link, const char *participant)
{
    pthread_mutex_lock(&link->lock);
    struct peer *peer = find_participant(link, participant);
    if (peer != NULL) {
        peer_end(peer, 0, "removed");
        socket_hang_up(peer);
        peer_move(peer, PEER_FREE);
    }
    pthread_mutex_unlock(&link->lock);
}

/* ---- sessions ---- */

static struct peer *find_session(struct link *link, uint64_t session)
{
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state == PEER_UP && peer->session == session) {
            return peer;
        }
    }
    return NULL;
}

void link_send(struct link *link, uint64_t session, struct message *messages, size_t count)
{
    pthread_mutex_lock(&link->lock);
    struct peer *peer = link->stopping ? NULL : find_session(link, session);
    if (peer != NULL) {
        peer_queue(peer, messages, count);
        socket_kick(peer);
    } else {
        for (size_t i = 0; i < count; i++) {
            message_done(&messages[i]);
        }
    }
    pthread_mutex_unlock(&link->lock);
}

void link_end_session(struct link *link, uint64_t session)
{
    pthread_mutex_lock(&link->lock);
    struct peer *peer = find_session(link, session);
    if (peer != NULL) {
        peer_end(peer, 0, "ended by its owner");
    }
    pthread_mutex_unlock(&link->lock);
}

/* ---- the end ---- */

static bool any_busy(const struct link *link)
{
    for (const struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state == PEER_UP && (peer->sending || peer->first_body != NULL)) {
            return true;
        }
    }
    return false;
}

static bool any_answering(const struct link *link)
{
    for (const struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        for (size_t i = 0; i < link->inlet_count; i++) {
            if (peer->in_pipe != 0 && peer->in_pipe == link->inlets[i].pipe) {
                return true;
            }
        }
    }
    return false;
}

static void wait_while(struct link *link, bool (*condition)(const struct link *link),
                       const struct timespec *deadline)
{
    while (condition(link)) {
        if (pthread_cond_timedwait(&link->drained, &link->lock, deadline) == ETIMEDOUT) {
            return;
        }
    }
}

/* Lets out what waits, then hangs up and waits for the other sides to do so in turn: they do when
 * they have read everything. Closing their connections to us first would end their sessions with
 * our last frames unread.
 *
 * nng says that a frame went when the connection has taken it, not when it was written; that is
 * certain only once the next one has been taken. So an empty frame goes last. */
static void drain(struct link *link, uint32_t timeout_ms)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    add_ms(&deadline, timeout_ms);
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        if (peer->state == PEER_UP) {
            peer_queue_heartbeat(peer);
            socket_kick(peer);
        }
    }
    wait_while(link, any_busy, &deadline);
    link->stopping = true; /* callbacks run under the lock: none runs from here on */
    for (struct peer *peer = link->peers; peer != NULL; peer = peer->next) {
        socket_hang_up(peer);
    }
    wait_while(link, any_answering, &deadline);
}

void link_stop(struct link *link, uint32_t timeout_ms)
{
    pthread_mutex_lock(&link->lock);
    drain(link, timeout_ms);
    socket_quiesce(link);
    send_janitor_home(link);
}
