/*
 * fault_host.c - faults of the machine: the journal's disk is full, the wall clock is wrong. See fault.h.
 */
#include <stdio.h>

#include "clock_shift.h"
#include "common/clock.h"
#include "fault.h"

#define NS_PER_S INT64_C(1000000000)

bool fault_disk_begin(struct run *run, struct fault *fault, struct random *random,
                      struct error *ret_error)
{
    size_t free_bytes = (size_t)random_below(random, 512) * 1024;
    (void)snprintf(fault->target, sizeof fault->target, "journal");
    (void)snprintf(fault->detail, sizeof fault->detail, "%zu KiB left", free_bytes / 1024);
    run->disk_until_ms = UINT64_MAX;
    return world_limit_disk(&run->world, free_bytes, ret_error);
}

bool fault_disk_end(struct run *run, struct fault *fault, struct error *ret_error)
{
    (void)fault;
    run->disk_until_ms = clock_monotonic_ms() + RUN_HEAL_MS;
    return world_limit_disk(&run->world, SIZE_MAX, ret_error);
}

bool fault_clock_begin(struct run *run, struct fault *fault, struct random *random,
                       struct error *ret_error)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } jumps[] = {{3600, "an hour ahead"},
                 {-3600, "an hour back"},
                 {-INT64_C(3000000000), "back to 1970"},
                 {90, "90 s ahead"},
                 {86400 * 400, "400 days ahead"}};
    (void)ret_error;
    uint32_t jump = random_below(random, sizeof jumps / sizeof jumps[0]);
    uint32_t strobe_ms = random_percent(random, 40) ? random_between(random, 20, 500) : 0;
    (void)snprintf(fault->target, sizeof fault->target, "all daemons");
    (void)snprintf(fault->detail, sizeof fault->detail, "%s%s", jumps[jump].text,
                   strobe_ms == 0 ? "" : ", and right again, in turns");
    atomic_store(&run->world.clock->strobe_ns, strobe_ms * UINT64_C(1000000));
    atomic_store(&run->world.clock->offset_ns, jumps[jump].seconds * NS_PER_S);
    return true;
}

bool fault_clock_end(struct run *run, struct fault *fault, struct error *ret_error)
{
    (void)fault;
    (void)ret_error;
    atomic_store(&run->world.clock->offset_ns, 0);
    atomic_store(&run->world.clock->strobe_ns, 0);
    return true;
}
