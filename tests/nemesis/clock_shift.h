/*
 * clock_shift.h - by how much the wall clock of a process is wrong: a file that the nemesis writes and that
 * daemons with libassent_clock_shift.so preloaded have mapped.
 */
#ifndef ASSENT_TESTS_NEMESIS_CLOCK_SHIFT_H
#define ASSENT_TESTS_NEMESIS_CLOCK_SHIFT_H

#include <stdatomic.h>
#include <stdint.h>

#define CLOCK_SHIFT_VARIABLE "ASSENT_CLOCK_SHIFT"
#define CLOCK_SHIFT_LIBRARY  "libassent_clock_shift.so"

struct clock_shift {
    atomic_int_fast64_t offset_ns;
    atomic_uint_fast64_t strobe_ns; /* not 0: wrong and right in turns of this length */
};

#endif
