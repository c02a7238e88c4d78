/*
 * test_link_proxy.c - see the header. One thread, one connection at a time.
 */
#include "tests/unit/test_link_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"

#define NNG_GREETING_BYTES 8
#define NNG_LENGTH_BYTES   8
#define FRAME_MAX_BYTES    (1 << 20)
#define EMPTY_FRAME_BYTES  40 /* a data frame without messages */
#define HEADER_BYTES       24

struct link_proxy {
    pthread_t thread;
    int listener;
    int wake[2]; /* closing the writing end stops the thread */
    int lost[2]; /* a byte for each frame that was dropped */
    uint16_t agent_port;
    _Atomic int meddling;
    uint8_t stream[FRAME_MAX_BYTES]; /* from the coordinator, not yet forwarded */
    size_t stream_bytes;
    bool greeted;
};

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int tcp_connect(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool write_all(int fd, const uint8_t *bytes, size_t size_bytes)
{
    while (size_bytes > 0) {
        ssize_t count = send(fd, bytes, size_bytes, MSG_NOSIGNAL);
        if (count <= 0) {
            return false;
        }
        bytes += count;
        size_bytes -= (size_t)count;
    }
    return true;
}

/* Writes one whole frame with its length, after what was asked for has been done to it. */
static bool forward_frame(struct link_proxy *proxy, int to, uint8_t *bytes, size_t size_bytes)
{
    uint8_t *frame = bytes + NNG_LENGTH_BYTES;
    size_t frame_bytes = size_bytes - NNG_LENGTH_BYTES;
    if (frame_bytes <= EMPTY_FRAME_BYTES || frame[4] != 16) {
        return write_all(to, bytes, size_bytes);
    }
    switch ((enum meddling)atomic_exchange(&proxy->meddling, MEDDLE_NOT)) {
    case MEDDLE_FLIP_HEADER:
        frame[9] ^= 1; /* in the session */
        break;
    case MEDDLE_FLIP_BODY:
        frame[HEADER_BYTES + 1] ^= 1;
        break;
    case MEDDLE_FLIP_MAC:
        frame[frame_bytes - 1] ^= 1;
        break;
    case MEDDLE_REPEAT:
        if (!write_all(to, bytes, size_bytes)) {
            return false;
        }
        break;
    case MEDDLE_DROP:
        CHECK(write(proxy->lost[1], "", 1) == 1);
        return true;
    case MEDDLE_NOT:
    case MEDDLE_COUNT:
        break;
    }
    return write_all(to, bytes, size_bytes);
}

static void consume(struct link_proxy *proxy, size_t size_bytes)
{
    proxy->stream_bytes -= size_bytes;
    memmove(proxy->stream, proxy->stream + size_bytes, proxy->stream_bytes);
}

static bool forward_to_agent(struct link_proxy *proxy, int from, int to)
{
    ssize_t count =
        read(from, proxy->stream + proxy->stream_bytes, sizeof proxy->stream - proxy->stream_bytes);
    if (count <= 0) {
        return false;
    }
    proxy->stream_bytes += (size_t)count;
    if (!proxy->greeted) {
        if (proxy->stream_bytes < NNG_GREETING_BYTES) {
            return true;
        }
        proxy->greeted = true;
        if (!write_all(to, proxy->stream, NNG_GREETING_BYTES)) {
            return false;
        }
        consume(proxy, NNG_GREETING_BYTES);
    }
    for (;;) { /* consumes each time around */
        uint64_t length = 0;
        for (size_t i = 0; i < NNG_LENGTH_BYTES && proxy->stream_bytes >= NNG_LENGTH_BYTES; i++) {
            length = length << 8 | proxy->stream[i];
        }
        if (proxy->stream_bytes < NNG_LENGTH_BYTES ||
            proxy->stream_bytes < NNG_LENGTH_BYTES + length) {
            return true;
        }
        if (!forward_frame(proxy, to, proxy->stream, NNG_LENGTH_BYTES + length)) {
            return false;
        }
        consume(proxy, NNG_LENGTH_BYTES + length);
    }
}

static bool forward_to_coordinator(int from, int to)
{
    uint8_t bytes[4096];
    ssize_t count = read(from, bytes, sizeof bytes);
    return count > 0 && write_all(to, bytes, (size_t)count);
}

/* Until one side closes; false if the proxy shall stop. */
static bool serve(struct link_proxy *proxy, int coordinator, int agent)
{
    proxy->stream_bytes = 0;
    proxy->greeted = false;
    for (;;) {
        struct pollfd fds[3] = {{.fd = coordinator, .events = POLLIN},
                                {.fd = agent, .events = POLLIN},
                                {.fd = proxy->wake[0], .events = POLLIN}};
        CHECK(poll(fds, 3, -1) > 0);
        if (fds[2].revents != 0) {
            return false;
        }
        if (fds[0].revents != 0 && !forward_to_agent(proxy, coordinator, agent)) {
            return true;
        }
        if (fds[1].revents != 0 && !forward_to_coordinator(agent, coordinator)) {
            return true;
        }
    }
}

static void *run_proxy(void *argument)
{
    struct link_proxy *proxy = argument;
    bool well = true;
    while (well) {
        struct pollfd fds[2] = {{.fd = proxy->listener, .events = POLLIN},
                                {.fd = proxy->wake[0], .events = POLLIN}};
        CHECK(poll(fds, 2, -1) > 0);
        if (fds[1].revents != 0) {
            break;
        }
        int coordinator = accept(proxy->listener, NULL, NULL);
        int agent = tcp_connect(proxy->agent_port);
        if (coordinator >= 0 && agent >= 0) {
            well = serve(proxy, coordinator, agent);
        }
        if (coordinator >= 0) {
            close(coordinator);
        }
        if (agent >= 0) {
            close(agent);
        }
    }
    return NULL;
}

struct link_proxy *link_proxy_start(uint16_t agent_port, uint16_t *ret_port)
{
    struct link_proxy *proxy = calloc(1, sizeof *proxy);
    struct sockaddr_in address = loopback(0);
    socklen_t size_bytes = sizeof address;
    CHECK(proxy != NULL);
    proxy->agent_port = agent_port;
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(proxy->listener >= 0 && pipe(proxy->wake) == 0 && pipe(proxy->lost) == 0);
    CHECK(bind(proxy->listener, (const struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(proxy->listener, 8) == 0);
    CHECK(getsockname(proxy->listener, (struct sockaddr *)&address, &size_bytes) == 0);
    *ret_port = ntohs(address.sin_port);
    CHECK(pthread_create(&proxy->thread, NULL, run_proxy, proxy) == 0);
    return proxy;
}

void link_proxy_meddle(struct link_proxy *proxy, enum meddling meddling)
{
    atomic_store(&proxy->meddling, meddling);
}

bool link_proxy_wait_dropped(struct link_proxy *proxy, int patience_ms)
{
    char byte;
    struct pollfd fd = {.fd = proxy->lost[0], .events = POLLIN};
    return poll(&fd, 1, patience_ms) == 1 && read(proxy->lost[0], &byte, 1) == 1;
}

void link_proxy_stop(struct link_proxy *proxy)
{
    close(proxy->wake[1]);
    pthread_join(proxy->thread, NULL);
    close(proxy->wake[0]);
    close(proxy->lost[0]);
    close(proxy->lost[1]);
    close(proxy->listener);
    free(proxy);
}
