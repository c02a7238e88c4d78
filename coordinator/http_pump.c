/* http_pump.c - see http_pump.h. */
#include "coordinator/http_pump.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/map.h"
#include "coordinator/http_internal.h"

#define EVENTS_AT_ONCE 64
#define TOKEN_WAKE     0

struct pump {
    struct gate *gate;
    pthread_t thread;
    int epoll_fd, wake_fd;
    struct heap timers;
    struct map watches; /* by token */
    uint64_t next_token;
    bool has_news, is_stopping, is_awake;
};

static uint64_t token_hash(uint64_t token)
{
    return token * UINT64_C(0x9e3779b97f4a7c15);
}

static bool match_token(const void *value, const void *wanted)
{
    return ((const struct watch *)value)->token == *(const uint64_t *)wanted;
}

static void pump_wake(struct pump *pump)
{
    const uint64_t one = 1;
    if (!pump->is_awake) {
        CHECK(write(pump->wake_fd, &one, sizeof one) == sizeof one);
        pump->is_awake = true;
    }
}

void watch_init(struct watch *watch, struct exchange *exchange, int fd)
{
    *watch = (struct watch){.exchange = exchange, .fd = fd};
    heap_node_init(&watch->timer);
}

void pump_watch(struct pump *pump, struct watch *watch)
{
    CHECK(watch->token == 0);
    const uint64_t token = pump->next_token++;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.u64 = token};
    if (epoll_ctl(pump->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0) {
        watch->token = token;
        map_insert(&pump->watches, token_hash(token), watch);
    }
}

void pump_set_timer(struct pump *pump, struct watch *watch, uint64_t due_ms)
{
    heap_set(&pump->timers, &watch->timer, due_ms);
    if (heap_first(&pump->timers) == &watch->timer) {
        pump_wake(pump);
    }
}

void pump_forget(struct pump *pump, struct watch *watch)
{
    heap_set(&pump->timers, &watch->timer, UINT64_MAX);
    if (watch->token != 0) {
        CHECK(map_remove(&pump->watches, token_hash(watch->token), watch));
        (void)epoll_ctl(pump->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
        watch->token = 0;
    }
}

void pump_tell_news(struct pump *pump)
{
    pump->has_news = true;
    pump_wake(pump);
}

static void pump_hang_ups(struct pump *pump, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        const uint64_t token = events[i].data.u64;
        struct watch *watch =
            token == TOKEN_WAKE ? NULL
                                : map_find(&pump->watches, token_hash(token), match_token, &token);
        if (watch != NULL) { /* not forgotten since epoll_wait returned */
            watch->is_gone = true;
            exchange_hung_up(watch->exchange);
        }
    }
}

static struct api_call *pump_timers(struct pump *pump)
{
    const uint64_t now_ms = clock_monotonic_ms();
    struct api_call *calls = NULL;
    struct heap_node *first = heap_first(&pump->timers);
    while (first != NULL && first->due_ms <= now_ms) {
        heap_set(&pump->timers, first, UINT64_MAX);
        exchange_time_up(((struct watch *)first)->exchange, &calls);
        first = heap_first(&pump->timers);
    }
    return calls;
}

static int pump_timeout_ms(const struct pump *pump)
{
    const struct heap_node *first = heap_first(&pump->timers);
    if (first == NULL) {
        return -1;
    }
    const uint64_t now_ms = clock_monotonic_ms();
    const uint64_t left_ms = first->due_ms > now_ms ? first->due_ms - now_ms : 0;
    return left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
}

static void *pump_run(void *user)
{
    struct pump *pump = user;
    struct epoll_event events[EVENTS_AT_ONCE];
    int timeout_ms = -1;
    for (bool stop = false; !stop;) {
        const int count = epoll_wait(pump->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms);
        CHECK(count >= 0 || errno == EINTR);
        gate_lock(pump->gate);
        if (pump->is_awake) {
            uint64_t ignored = 0;
            CHECK(read(pump->wake_fd, &ignored, sizeof ignored) == sizeof ignored);
            pump->is_awake = false;
        }
        pump_hang_ups(pump, events, count);
        struct api_call *calls = pump_timers(pump);
        if (pump->has_news) {
            pump->has_news = false;
            streams_wake(pump->gate);
        }
        timeout_ms = pump_timeout_ms(pump);
        stop = pump->is_stopping;
        gate_unlock(pump->gate);
        waits_ask(pump->gate, calls);
    }
    return NULL;
}

static void pump_free(struct pump *pump)
{
    if (pump->wake_fd >= 0) {
        (void)close(pump->wake_fd);
    }
    if (pump->epoll_fd >= 0) {
        (void)close(pump->epoll_fd);
    }
    heap_done(&pump->timers);
    map_done(&pump->watches);
    free(pump);
}

bool pump_start(struct gate *gate, struct pump **ret_pump, struct error *ret_error)
{
    struct pump *pump = alloc_zeroed(sizeof *pump);
    pump->gate = gate;
    pump->next_token = TOKEN_WAKE + 1;
    pump->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pump->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = TOKEN_WAKE};
    if (pump->epoll_fd < 0 || pump->wake_fd < 0 ||
        epoll_ctl(pump->epoll_fd, EPOLL_CTL_ADD, pump->wake_fd, &event) != 0) {
        const int number = errno;
        pump_free(pump);
        return error_set_errno(ret_error, ERROR_SYSTEM, number, "cannot make an event descriptor");
    }
    const int result = pthread_create(&pump->thread, NULL, pump_run, pump);
    if (result != 0) {
        pump_free(pump);
        return error_set_errno(ret_error, ERROR_SYSTEM, result,
                               "cannot start the thread for waiting clients");
    }
    *ret_pump = pump;
    return true;
}

void pump_stop(struct pump *pump)
{
    gate_lock(pump->gate);
    pump->is_stopping = true;
    pump_wake(pump);
    gate_unlock(pump->gate);
    CHECK(pthread_join(pump->thread, NULL) == 0);
    pump_free(pump);
}
