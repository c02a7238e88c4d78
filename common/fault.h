/*
 * fault.h - named fault points: places where a test may kill or stop the process (faults
 * catalogue).
 *
 * All names stand in fault_points.def. Compiled in always, and inert (one load and a branch) unless
 * the daemon was started with --enable-fault-points, which packaged units never pass. The armed
 * point is the second global the house style knows.
 */
#ifndef ASSENT_COMMON_FAULT_H
#define ASSENT_COMMON_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

enum fault_point {
#define FAULT_POINT(id, name, text) id,
#include "common/fault_points.def"
#undef FAULT_POINT
    FAULT_POINT_COUNT,
};

const char *fault_point_name(enum fault_point point);
const char *fault_point_text(enum fault_point point);

/* spec: NAME[:ACTION[:N]], ACTION kill (SIGKILL, default), stop (SIGSTOP), hang (the
 * thread that came here never goes on; all others do, as in a sync that hangs) or trace (nothing), N
 * the n-th time it is reached (default 1). "*:trace" traces every point, which shows what a run comes
 * by. Each hit of an armed point is also appended to trace_path (may be NULL)
 * before acting, so that a test can prove that the point was reached. */
bool fault_arm(const char *spec, const char *trace_path, struct error *ret_error);

void fault_hit(enum fault_point point);
extern bool fault_armed;

#define FAULT(point)                                                                               \
    do {                                                                                           \
        if (__builtin_expect(fault_armed, 0)) {                                                    \
            fault_hit(point);                                                                      \
        }                                                                                          \
    } while (0)

#endif
