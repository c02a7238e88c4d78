/*
 * clock.c - reading the two clocks. Called by drivers and edges only (P-15).
 */
#include "common/clock.h"

#include <time.h>

#include "common/check.h"

static uint64_t read_clock_ms(clockid_t id)
{
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * 1000U + (uint64_t)now.tv_nsec / 1000000U;
}

uint64_t clock_monotonic_ms(void)
{
    return read_clock_ms(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ms(void)
{
    return read_clock_ms(CLOCK_REALTIME);
}
