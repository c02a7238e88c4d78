/*
 * clock.h - the two clocks, read by drivers and edges only; the cores get times as event fields
 * (P-15).
 */
#ifndef ASSENT_COMMON_CLOCK_H
#define ASSENT_COMMON_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_ms(void); /* for deadlines */
uint64_t clock_wall_ms(void);      /* since 1970, for display only */

#endif
