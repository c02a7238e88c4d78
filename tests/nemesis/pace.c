/*
 * pace.c - how much is asked for: a run of days must not become a history that no machine can hold or judge.
 *
 * All requests of a run together are bounded (run_options.requests_max), and spread over its time. Not by making clients
 * slow: faults would meet one request at a time. Clients work at full speed while faults begin, last and heal, and rest
 * in between, all together, when they are ahead of their time (nemesis.c says when). Where a run would not come to
 * the bound anyway nobody ever rests.
 *
 * Allowed after a part of the time is the same part of the bound; clients may be ahead by a tenth of it.
 */
#include "common/clock.h"
#include "run.h"

/* The time, CLOCK_MONOTONIC, from which on so many requests are allowed. */
static uint64_t allowed_from_ms(const struct run *run, uint64_t requests)
{
    double part = (double)requests / (double)run->options.requests_max;
    return run->begin_ms + (uint64_t)(part * (double)run->options.time_ms);
}

uint64_t pace_rest_until_ms(struct run *run)
{
    return allowed_from_ms(run, atomic_load(&run->next_i));
}

/* 0: now. */
static uint64_t work_from_ms(struct run *run)
{
    uint64_t most = run->options.requests_max, asked = atomic_load(&run->next_i);
    if (asked >= most) {
        return UINT64_MAX;
    }
    return asked <= most / 10 ? 0 : allowed_from_ms(run, asked - most / 10);
}

void pace_rest(struct run *run, bool resting)
{
    (void)pthread_mutex_lock(&run->stop_lock);
    run->resting = resting;
    (void)pthread_cond_broadcast(&run->stopped);
    (void)pthread_mutex_unlock(&run->stop_lock);
}

bool pace_wait(struct run *run)
{
    (void)pthread_mutex_lock(&run->stop_lock);
    uint64_t from_ms = work_from_ms(run);
    while (!run->stopping && (run->resting || clock_monotonic_ms() < from_ms)) {
        if (run->resting || from_ms == UINT64_MAX) {
            (void)pthread_cond_wait(&run->stopped, &run->stop_lock);
        } else {
            const struct timespec until = {.tv_sec = (time_t)(from_ms / 1000),
                                           .tv_nsec = (long)(from_ms % 1000) * 1000000};
            (void)pthread_cond_timedwait(&run->stopped, &run->stop_lock, &until);
        }
        from_ms = work_from_ms(run);
    }
    bool stopping = run->stopping;
    (void)pthread_mutex_unlock(&run->stop_lock);
    return !stopping;
}
