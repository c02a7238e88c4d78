/*
 * timer.c - see timer.h.
 *
 * A limit is kept by aborting what nng does. That races with its end, and an abort that comes late must not hit what
 * the exchange does next:
 *
 *   1. the limit is over, the thread is about to abort the send
 *   2. the send ends well, the callback starts to receive
 *   3. the abort comes, and ends the receiving, long before its time (or, if 2 was the end of the request, the
 *      next request)
 *
 * The lock cannot be held meanwhile, since callbacks take it, and nng may run callbacks with locks of its own. So the
 * thread says under the lock what it is about to do (is_timing_out), and a callback that comes before it has done so
 * leaves its work to the thread: nothing new begins on the exchange while an abort is on its way. Of callback
 * and thread it is always the later one that goes on, once, and neither waits.
 *
 * The opposite, an abort that comes before nng has begun what it is to end, does nothing. So it is repeated until the
 * callback has come.
 */
#include "client/timer.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "client/connection.h"
#include "client/exchange.h"
#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"

#define AGAIN_MS 10 /* between two attempts to end the same thing */
#define LOOK_MS                                                                                    \
    500 /* how long a request waits before the connection is looked at, and between two looks */

struct timer {
    struct connection *connection;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below, and every exchange's timed */
    pthread_cond_t alarm;
    pthread_cond_t idle;
    bool is_stopping;
    uint64_t wake_ms;     /* the thread sleeps until then; 0: it is awake */
    uint64_t looked_ms;   /* at the connection */
    struct exchange *at;  /* what the thread is busy with */
    struct exchange *all; /* that are armed */
};

static uint64_t later(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

static void timer_link(struct timer *timer, struct exchange *exchange)
{
    struct timed *timed = &exchange->timed;
    timed->is_armed = true;
    timed->previous = NULL;
    timed->next = timer->all;
    if (timer->all != NULL) {
        timer->all->timed.previous = exchange;
    }
    timer->all = exchange;
}

static void timer_unlink(struct timer *timer, struct exchange *exchange)
{
    struct timed *timed = &exchange->timed;
    if (!timed->is_armed) {
        return;
    }
    timed->is_armed = false;
    if (timed->previous != NULL) {
        timed->previous->timed.next = timed->next;
    } else {
        timer->all = timed->next;
    }
    if (timed->next != NULL) {
        timed->next->timed.previous = timed->previous;
    }
}

void timer_arm(struct timer *timer, struct exchange *exchange, uint32_t ms, bool is_unsent)
{
    struct timed *timed = &exchange->timed;
    const uint64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&timer->lock);
    if (!timed->is_over) {
        timed->since_ms = now_ms;
        timed->due_ms = now_ms + ms + 1; /* the clock is rounded down: never early */
        timed->is_unsent = is_unsent;
        timer_link(timer, exchange);
        const uint64_t first_ms = is_unsent && ms > LOOK_MS ? now_ms + LOOK_MS : timed->due_ms;
        if (first_ms < timer->wake_ms) {
            timer->wake_ms = first_ms;
            pthread_cond_signal(&timer->alarm);
        }
    }
    pthread_mutex_unlock(&timer->lock);
}

bool timer_disarm(struct timer *timer, struct exchange *exchange)
{
    pthread_mutex_lock(&timer->lock);
    const bool is_free = !exchange->timed.is_timing_out;
    timer_unlink(timer, exchange);
    exchange->timed.is_left_to_it = !is_free;
    pthread_mutex_unlock(&timer->lock);
    return is_free;
}

void timer_forget(struct timer *timer, struct exchange *exchange)
{
    pthread_mutex_lock(&timer->lock);
    exchange->timed.is_over = true;
    timer_unlink(timer, exchange);
    while (timer->at == exchange) {
        pthread_cond_wait(&timer->idle, &timer->lock);
    }
    pthread_mutex_unlock(&timer->lock);
}

/* With the lock, which is released meanwhile. */
static void timer_time_out(struct timer *timer, struct exchange *exchange, uint64_t now_ms)
{
    struct timed *timed = &exchange->timed;
    timed->due_ms = now_ms + AGAIN_MS;
    timed->is_timing_out = true;
    timer->at = exchange;
    pthread_mutex_unlock(&timer->lock);
    exchange_time_out(exchange);
    pthread_mutex_lock(&timer->lock);
    timed->is_timing_out = false;
    if (timed->is_left_to_it) {
        timed->is_left_to_it = false;
        pthread_mutex_unlock(&timer->lock);
        exchange_step(exchange); /* it may run its next request already when this returns */
        pthread_mutex_lock(&timer->lock);
    }
    timer->at = NULL;
    pthread_cond_broadcast(&timer->idle);
}

/* An exchange whose limit is over, or NULL and when to look again. A list in no order: the thread comes here twice a
 * second at most, unless limits are over. */
static struct exchange *timer_find(const struct timer *timer, uint64_t now_ms,
                                   uint64_t *ret_wake_ms)
{
    *ret_wake_ms = UINT64_MAX;
    for (struct exchange *exchange = timer->all; exchange != NULL;
         exchange = exchange->timed.next) {
        const struct timed *timed = &exchange->timed;
        uint64_t due_ms = timed->due_ms;
        if (due_ms <= now_ms) {
            return exchange;
        }
        if (timed->is_unsent) {
            const uint64_t look_ms = later(timed->since_ms, timer->looked_ms) + LOOK_MS;
            due_ms = look_ms < due_ms ? look_ms : due_ms;
        }
        *ret_wake_ms = due_ms < *ret_wake_ms ? due_ms : *ret_wake_ms;
    }
    return NULL;
}

/* With the lock, which is released meanwhile. */
static void timer_look(struct timer *timer, uint64_t now_ms)
{
    timer->looked_ms = now_ms;
    pthread_mutex_unlock(&timer->lock);
    connection_look(timer->connection);
    pthread_mutex_lock(&timer->lock);
}

/* With the lock. */
static void timer_sleep(struct timer *timer, uint64_t wake_ms)
{
    timer->wake_ms = wake_ms;
    if (wake_ms == UINT64_MAX) {
        pthread_cond_wait(&timer->alarm, &timer->lock);
    } else {
        const struct timespec until = {.tv_sec = (time_t)(wake_ms / 1000),
                                       .tv_nsec = (long)(wake_ms % 1000) * 1000000};
        (void)pthread_cond_timedwait(&timer->alarm, &timer->lock, &until);
    }
    timer->wake_ms = 0;
}

static void *timer_run(void *user)
{
    struct timer *timer = user;
    pthread_mutex_lock(&timer->lock);
    while (!timer->is_stopping) {
        const uint64_t now_ms = clock_monotonic_ms();
        uint64_t wake_ms = 0;
        struct exchange *exchange = timer_find(timer, now_ms, &wake_ms);
        if (exchange == NULL && wake_ms > now_ms) {
            timer_sleep(timer, wake_ms);
            continue;
        }
        /* Also for limits so short that nobody waits until the look. */
        const bool is_unsent = exchange == NULL || exchange->timed.is_unsent;
        if (exchange != NULL) {
            timer_time_out(timer, exchange, now_ms);
        }
        if (is_unsent && now_ms >= timer->looked_ms + LOOK_MS) {
            timer_look(timer, now_ms);
        }
    }
    pthread_mutex_unlock(&timer->lock);
    return NULL;
}

static void timer_free(struct timer *timer)
{
    pthread_cond_destroy(&timer->alarm);
    pthread_cond_destroy(&timer->idle);
    pthread_mutex_destroy(&timer->lock);
    free(timer);
}

bool timer_start(struct connection *connection, struct timer **ret_timer)
{
    struct timer *timer = alloc_zeroed(sizeof *timer);
    timer->connection = connection;
    CHECK(pthread_mutex_init(&timer->lock, NULL) == 0);
    CHECK(pthread_cond_init(&timer->idle, NULL) == 0);
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&timer->alarm, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
    if (!connection_thread(timer_run, timer, &timer->thread)) {
        timer_free(timer);
        return false;
    }
    *ret_timer = timer;
    return true;
}

void timer_stop(struct timer *timer)
{
    pthread_mutex_lock(&timer->lock);
    timer->is_stopping = true;
    pthread_cond_signal(&timer->alarm);
    pthread_mutex_unlock(&timer->lock);
    pthread_join(timer->thread, NULL);
    timer_free(timer);
}
