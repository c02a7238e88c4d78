/*
 * http.c - START HERE for the HTTP edge: starting, draining and stopping the daemon (see http.h).
 *
 * One request's life is http_exchange.c; request bodies are http_submit.c; answers are
 * http_reply.c.
 *
 * What the daemon bounds: connections in all and per address, idle time, header size
 * (CONNECTION_MEMORY_BYTES), one body, all bodies together, and the time a body may take. Not
 * bounded: a client that sends its header one byte per idle_s - 1 holds a connection for hours;
 * that costs it a connection of the per-address limit, and the API is on loopback. When it listens
 * elsewhere, put an absolute deadline on the header, too.
 */
#include "coordinator/http.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/http_internal.h"

#define CONNECTION_MEMORY_BYTES 16384
#define BODIES_BYTES_MAX        (256u * 1024 * 1024)
#define STREAM_BYTES            (64u * 1024 * 1024)
#define THREADS_MIN             2
#define THREADS_MAX             4
#define DESCRIPTORS_KEPT        256 /* for the journal, links and everything else */
#define STOP_WAIT_S             2

static uint32_t limit_or(uint32_t value, uint32_t normal)
{
    return value != 0 ? value : normal;
}

static struct http_limits limits_effective(const struct http_limits *asked)
{
    struct http_limits limits = {
        .body_bytes = limit_or(asked->body_bytes, 1024 * 1024),
        .branches = limit_or(asked->branches, 64),
        .statements = limit_or(asked->statements, 1000),
        .timeout_default_ms = limit_or(asked->timeout_default_ms, 5000),
        .timeout_max_ms = limit_or(asked->timeout_max_ms, 60000),
        .connections = limit_or(asked->connections, 10000),
        .connections_per_ip = limit_or(asked->connections_per_ip, 10000),
        .idle_s = limit_or(asked->idle_s, 60),
        .waits = limit_or(asked->waits, 4096),
        .streams = limit_or(asked->streams, 256),
        .stream_events = limit_or(asked->stream_events, 10000),
        .stream_bytes = asked->stream_bytes != 0 ? asked->stream_bytes : STREAM_BYTES,
        .stream_keepalive_ms = limit_or(asked->stream_keepalive_ms, 15000),
    };
    if (limits.timeout_default_ms > limits.timeout_max_ms) {
        limits.timeout_default_ms =
            limits.timeout_max_ms; /* what nobody asked for must be allowed */
    }
    return limits;
}

static struct gate *gate_new(void)
{
    struct gate *gate = alloc_zeroed(sizeof *gate);
    pthread_condattr_t attributes;
    CHECK(pthread_mutex_init(&gate->lock, NULL) == 0);
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&gate->changed, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    gate->references = 1;
    uint64_t feed = 0;
    CHECK(getrandom(&feed, sizeof feed, 0) == sizeof feed);
    (void)snprintf(gate->feed, sizeof gate->feed, "%016" PRIx64, feed);
    return gate;
}

void gate_leave(struct gate *gate)
{
    CHECK(pthread_mutex_lock(&gate->lock) == 0);
    CHECK(gate->references > 0);
    const bool last = --gate->references == 0;
    CHECK(pthread_mutex_unlock(&gate->lock) == 0);
    if (last) {
        (void)pthread_cond_destroy(&gate->changed);
        (void)pthread_mutex_destroy(&gate->lock);
        if (atomic_load(&gate->ring_is_used)) {
            ring_done(&gate->ring);
        }
        map_done(&gate->held);
        free(gate);
    }
}

static char **names_copy(const char *const *names)
{
    size_t count = 0;
    while (names != NULL && names[count] != NULL) {
        count++;
    }
    char **copies = alloc_array(count + 1, sizeof *copies);
    for (size_t i = 0; i < count; i++) {
        copies[i] = alloc_string(names[i]);
    }
    return copies;
}

/* Connections must not eat the descriptors that the journal and the links need. */
static unsigned connections_possible(uint32_t wanted)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) {
        return wanted;
    }
    const rlim_t free_for_us = files.rlim_cur > 2 * DESCRIPTORS_KEPT
                                   ? files.rlim_cur - DESCRIPTORS_KEPT
                                   : files.rlim_cur / 2;
    return wanted < free_for_us ? wanted : (unsigned)free_for_us;
}

static unsigned thread_count(void)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < THREADS_MIN   ? THREADS_MIN
           : processors > THREADS_MAX ? THREADS_MAX
                                      : (unsigned)processors;
}

/* libmicrohttpd would write to stderr; what matters here shows in answers. */
static void on_daemon_log(void *user, const char *format, va_list arguments)
{
    (void)user;
    (void)format;
    (void)arguments;
}

static struct MHD_Daemon *daemon_start(struct http *http)
{
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_daemon_log, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)exchange_completed, http},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)exchange_target_seen, http},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)connections_possible(http->limits.connections),
         NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)http->limits.connections_per_ip, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)http->limits.idle_s, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)thread_count(), NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME |
                                MHD_USE_NO_LISTEN_SOCKET,
                            0, NULL, NULL, exchange_handle, http, MHD_OPTION_ARRAY, options,
                            MHD_OPTION_END);
}

static void http_free(struct http *http)
{
    for (size_t i = 0; http->host_names[i] != NULL; i++) {
        free(http->host_names[i]);
    }
    free(http->host_names);
    free(http->version);
    gate_leave(http->gate);
    free(http);
}

static bool http_run(struct http *http, int listen_fd, struct error *ret_error)
{
    if (!pump_start(http->gate, &http->gate->pump, ret_error)) {
        return false;
    }
    http->daemon = daemon_start(http);
    if (http->daemon == NULL) {
        error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot start the HTTP server");
        pump_stop(http->gate->pump);
        return false;
    }
    if (!acceptor_start(http->daemon, listen_fd, &http->acceptor, ret_error)) {
        MHD_stop_daemon(http->daemon);
        pump_stop(http->gate->pump);
        return false;
    }
    return true;
}

bool http_start(const struct http_options *options, struct http **ret_http, struct error *ret_error)
{
    int listen_fd = -1;
    uint16_t port = 0;
    if (!listen_open(options->listen, &listen_fd, &port, ret_error)) {
        return false;
    }
    struct http *http = alloc_zeroed(sizeof *http);
    http->limits = limits_effective(&options->limits);
    http->sink = options->sink;
    http->version = alloc_string(options->version != NULL ? options->version : "");
    http->host_names = names_copy(options->host_names);
    http->port = port;
    http->body_bytes_max = BODIES_BYTES_MAX > 4 * (size_t)http->limits.body_bytes
                               ? BODIES_BYTES_MAX
                               : 4 * (size_t)http->limits.body_bytes;
    http->gate = gate_new();
    http->gate->sink = options->sink;
    http->gate->stream_keepalive_ms = http->limits.stream_keepalive_ms;
    if (!http_run(http, listen_fd, ret_error)) {
        (void)close(listen_fd);
        http_free(http);
        return false;
    }
    *ret_http = http;
    return true;
}

uint16_t http_port(const struct http *http)
{
    return http->port;
}

void http_drain(struct http *http)
{
    if (!atomic_exchange(&http->draining, true)) {
        acceptor_stop(http->acceptor);
        http->acceptor = NULL;
    }
}

/* Waits until the answers of http_stop are out, but never long: clients that do not read are cut
 * off. */
static void gate_wait_answered(struct gate *gate)
{
    struct timespec deadline;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &deadline) == 0);
    deadline.tv_sec += STOP_WAIT_S;
    int result = 0;
    while (gate->running_count > 0 && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&gate->changed, &gate->lock, &deadline);
        CHECK(result == 0 || result == ETIMEDOUT);
    }
}

void http_stop(struct http *http)
{
    if (http == NULL) {
        return;
    }
    http_drain(http);
    /* libmicrohttpd panics when it is stopped with suspended connections. From `stopping` on none
     * is suspended, and those that are get resumed; their calls stay with the owner, whose done()
     * frees them. */
    CHECK(pthread_mutex_lock(&http->gate->lock) == 0);
    http->gate->stopping = true;
    exchange_abandon_all(http->gate);
    gate_wait_answered(http->gate);
    CHECK(pthread_mutex_unlock(&http->gate->lock) == 0);
    MHD_stop_daemon(http->daemon);
    pump_stop(http->gate->pump);
    http_free(http);
}
