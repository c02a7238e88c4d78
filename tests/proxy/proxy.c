/*
 * proxy.c - routes, connections and the thread that serves them. See proxy.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "tests/proxy/proxy_internal.h"

#define EVENTS_MAX  64
#define BACKLOG     128
#define ACCEPTS_MAX 64 /* of one listener in one round */

/* --- sockets ---------------------------------------------------------------------------------- */

static int open_socket(void)
{
    const int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
    return fd;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static bool watch_new(struct proxy *proxy, int fd, uint32_t events, struct proxy_end *end)
{
    struct epoll_event event = {.events = events, .data.ptr = end};
    return epoll_ctl(proxy->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* --- connections ------------------------------------------------------------------------------ */

static size_t count_connections(const struct proxy *proxy)
{
    size_t count = 0;
    for (const struct connection *at = proxy->connections; at != NULL; at = at->next) {
        count++;
    }
    return count;
}

/* To the target, where the weather lets a connection through at all. */
static void dial_target(struct connection *connection)
{
    struct route *route = &connection->proxy->routes[connection->route];
    for (int i = 0; i < 2; i++) {
        if (route->weather[i].sky == PROXY_HELD || route->weather[i].sky == PROXY_LOST) {
            return;
        }
    }
    const struct sockaddr_in address = loopback(route->target_port);
    int fd = open_socket();
    connection->fd[END_TARGET] = fd;
    connection->events[END_TARGET] = EPOLLOUT;
    if (fd < 0 ||
        (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 &&
         errno != EINPROGRESS) ||
        !watch_new(connection->proxy, fd, EPOLLOUT, &connection->ends[END_TARGET])) {
        connection_reset(connection); /* as a host without a listener does */
    }
}

static void take_connection(struct proxy *proxy, size_t index, int fd)
{
    struct route *route = &proxy->routes[index];
    if (count_connections(proxy) >= PROXY_CONNECTIONS_MAX) {
        (void)close(fd);
        return;
    }
    const int yes = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct connection *connection = alloc_zeroed(sizeof *connection);
    connection->proxy = proxy;
    connection->route = index;
    connection->fd[END_DIALER] = fd;
    connection->fd[END_TARGET] = -1;
    for (size_t i = 0; i < 2; i++) {
        connection->ends[i] = (struct proxy_end){.connection = connection, .index = i};
    }
    stream_init(&connection->flow[END_DIALER].stream, route->kind, STREAM_FROM_DIALER);
    stream_init(&connection->flow[END_TARGET].stream, route->kind, STREAM_FROM_LISTENER);
    connection->next = proxy->connections;
    proxy->connections = connection;
    route->counts.connections++;
    if (!watch_new(proxy, fd, 0, &connection->ends[END_DIALER])) {
        connection_reset(connection);
        return;
    }
    dial_target(connection);
}

static void accept_all(struct proxy *proxy, size_t index)
{
    for (size_t i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(proxy->routes[index].listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            return; /* no more, or not now: epoll tells again */
        }
        take_connection(proxy, index, fd);
    }
}

static void handle_end(struct connection *connection, enum link_end end, uint32_t events)
{
    if (connection->doomed || connection->fd[end] < 0) {
        return;
    }
    if (end == END_TARGET && !connection->connected) {
        int failure = 0;
        socklen_t size = sizeof failure;
        if (getsockopt(connection->fd[end], SOL_SOCKET, SO_ERROR, &failure, &size) != 0 ||
            failure != 0) {
            connection_reset(connection);
            return;
        }
        connection->connected = true;
        return;
    }
    /* Bytes that came before the end are read first: EPOLLHUP without EPOLLIN says there are none. */
    if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && (events & EPOLLIN) == 0)) {
        connection_hang_up(connection, end);
    }
}

static void free_doomed(struct proxy *proxy)
{
    struct connection **at = &proxy->connections;
    while (*at != NULL) {
        struct connection *connection = *at;
        if (!connection->doomed) {
            at = &connection->next;
            continue;
        }
        *at = connection->next;
        for (int i = 0; i < 2; i++) {
            bytes_done(&connection->flow[i].in);
            bytes_done(&connection->flow[i].out);
        }
        free(connection);
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

static void handle_event(struct proxy *proxy, const struct epoll_event *event)
{
    const struct proxy_end *end = event->data.ptr;
    if (end == NULL) {
        uint64_t drained;
        ssize_t got = read(proxy->wakeup, &drained, sizeof drained);
        (void)got; /* that somebody called is all there is to know */
    } else if (end->connection == NULL) {
        accept_all(proxy, end->index);
    } else {
        handle_end(end->connection, (enum link_end)end->index, event->events);
    }
}

/* Returns when to come back without an event. */
static uint64_t pump_all(struct proxy *proxy)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t next_ms = UINT64_MAX;
    for (struct connection *at = proxy->connections; at != NULL; at = at->next) {
        if (!at->doomed && !at->dead && at->fd[END_TARGET] < 0 && !at->connected) {
            dial_target(at);
        }
        connection_pump(at, now_ms, &next_ms);
    }
    free_doomed(proxy);
    return next_ms;
}

static int wait_ms(uint64_t next_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (next_ms == UINT64_MAX) {
        return -1;
    }
    return next_ms <= now_ms ? 0 : next_ms - now_ms > 60000 ? 60000 : (int)(next_ms - now_ms);
}

static void *serve(void *user)
{
    struct proxy *proxy = user;
    struct epoll_event events[EVENTS_MAX];
    (void)pthread_mutex_lock(&proxy->lock);
    while (!proxy->stopping) {
        int patience_ms = wait_ms(pump_all(proxy));
        (void)pthread_mutex_unlock(&proxy->lock);
        int count = epoll_wait(proxy->epoll, events, EVENTS_MAX, patience_ms);
        (void)pthread_mutex_lock(&proxy->lock);
        CHECK(count >= 0 || errno == EINTR);
        /* Connections are freed by pump_all alone, so what the events point at is still there. */
        for (int i = 0; i < count; i++) {
            handle_event(proxy, &events[i]);
        }
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

static void wake(struct proxy *proxy)
{
    const uint64_t one = 1;
    ssize_t written = write(proxy->wakeup, &one, sizeof one);
    (void)written; /* fails only if it is to be woken 2^64 times already */
}

/* --- the interface ---------------------------------------------------------------------------- */

static bool start_thread(struct proxy *proxy, struct error *ret_error)
{
    sigset_t all, old;
    (void)sigfillset(&all); /* signals are for the program's own threads */
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int failure = pthread_create(&proxy->thread, NULL, serve, proxy);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failure == 0 ||
           error_set_errno(ret_error, ERROR_SYSTEM, failure, "cannot start the proxy's thread");
}

static void release(struct proxy *proxy)
{
    for (struct connection *at = proxy->connections; at != NULL; at = at->next) {
        connection_reset(at);
    }
    free_doomed(proxy);
    for (size_t i = 0; i < proxy->route_count; i++) {
        (void)close(proxy->routes[i].listener);
    }
    if (proxy->epoll >= 0) {
        (void)close(proxy->epoll);
    }
    if (proxy->wakeup >= 0) {
        (void)close(proxy->wakeup);
    }
    (void)pthread_cond_destroy(&proxy->struck);
    (void)pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

bool proxy_new(struct proxy **ret_proxy, struct error *ret_error)
{
    struct proxy *proxy = alloc_zeroed(sizeof *proxy);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&proxy->lock, NULL);
    (void)pthread_cond_init(&proxy->struck, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    proxy->epoll = epoll_create1(EPOLL_CLOEXEC);
    proxy->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool succeeded =
        proxy->epoll >= 0 && proxy->wakeup >= 0 && watch_new(proxy, proxy->wakeup, EPOLLIN, NULL);
    if (!succeeded) {
        (void)error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot wait for the proxy's events");
    }
    if (!succeeded || !start_thread(proxy, ret_error)) {
        release(proxy);
        return false;
    }
    *ret_proxy = proxy;
    return true;
}

void proxy_free(struct proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->stopping = true;
    wake(proxy);
    (void)pthread_mutex_unlock(&proxy->lock);
    (void)pthread_join(proxy->thread, NULL);
    release(proxy);
}

static bool route_listen(struct route *route, uint16_t port, struct error *ret_error)
{
    const int yes = 1;
    struct sockaddr_in address = loopback(port);
    socklen_t size = sizeof address;
    route->listener = open_socket();
    if (route->listener < 0 ||
        setsockopt(route->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(route->listener, (const struct sockaddr *)&address, size) != 0 ||
        listen(route->listener, BACKLOG) != 0 ||
        getsockname(route->listener, (struct sockaddr *)&address, &size) != 0) {
        int failure = errno;
        if (route->listener >= 0) {
            (void)close(route->listener);
        }
        return error_set_errno(ret_error, ERROR_SYSTEM, failure, "%s: cannot listen on port %u",
                               route->name, port);
    }
    route->listen_port = ntohs(address.sin_port);
    return true;
}

bool proxy_add_route(struct proxy *proxy, const struct proxy_route *route, size_t *ret_route,
                     struct error *ret_error)
{
    bool succeeded = false;
    (void)pthread_mutex_lock(&proxy->lock);
    if (proxy->route_count == PROXY_ROUTES_MAX) {
        (void)error_set(ret_error, ERROR_LIMIT, "more than %d routes", PROXY_ROUTES_MAX);
    } else {
        size_t index = proxy->route_count;
        struct route *place = &proxy->routes[index];
        *place = (struct route){.kind = route->kind, .target_port = route->target_port};
        place->end = (struct proxy_end){.index = index};
        (void)snprintf(place->name, sizeof place->name, "%s", route->name);
        succeeded = route_listen(place, route->listen_port, ret_error);
        if (succeeded && !watch_new(proxy, place->listener, EPOLLIN, &place->end)) {
            succeeded =
                error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot watch %s", place->name);
            (void)close(place->listener);
        }
        if (succeeded) {
            proxy->route_count++;
            *ret_route = index;
        }
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    return succeeded;
}

uint16_t proxy_port(const struct proxy *proxy, size_t route)
{
    return proxy->routes[route].listen_port; /* never changes once it is there */
}

void proxy_set_weather(struct proxy *proxy, size_t route, enum proxy_direction direction,
                       struct proxy_weather weather)
{
    if (weather.sky == PROXY_SLOW && weather.piece_bytes == 0) {
        weather.piece_bytes = 1;
    }
    (void)pthread_mutex_lock(&proxy->lock);
    if ((direction & PROXY_TO_TARGET) != 0) {
        proxy->routes[route].weather[END_DIALER] = weather;
    }
    if ((direction & PROXY_TO_DIALER) != 0) {
        proxy->routes[route].weather[END_TARGET] = weather;
    }
    wake(proxy);
    (void)pthread_mutex_unlock(&proxy->lock);
}

size_t proxy_reset(struct proxy *proxy, size_t route)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&proxy->lock);
    for (struct connection *at = proxy->connections; at != NULL; at = at->next) {
        if (at->route == route && !at->doomed) {
            connection_reset(at);
            count++;
        }
    }
    wake(proxy);
    (void)pthread_mutex_unlock(&proxy->lock);
    return count;
}

void proxy_count(struct proxy *proxy, size_t route, struct proxy_counts *ret_counts)
{
    (void)pthread_mutex_lock(&proxy->lock);
    *ret_counts = proxy->routes[route].counts;
    ret_counts->connections_now = 0;
    for (const struct connection *at = proxy->connections; at != NULL; at = at->next) {
        ret_counts->connections_now += at->route == route && !at->doomed ? 1 : 0;
    }
    (void)pthread_mutex_unlock(&proxy->lock);
}
