/*
 * failing_calls.h - our own calls of the system, for files, that fail on order: the n-th, once or for ever.
 *
 * For a program that is linked with FAILING_CALLS (failing_calls.cmake): the linker's --wrap puts these before the C
 * library's, for our code and not for that of shared libraries. Counts open, read, pread, pwrite, fsync, ftruncate,
 * posix_fallocate, statvfs, link. An fsync that does not fail does nothing: no machine dies here. One thread.
 */
#ifndef ASSENT_TESTS_LIB_FAILING_CALLS_H
#define ASSENT_TESTS_LIB_FAILING_CALLS_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th (from 1) call from now on fails with this errno; for ever: all later ones, too. */
void failing_calls_arm(size_t n, int errnum, bool for_ever);
void failing_calls_disarm(void);
bool failing_calls_struck(void); /* since it was armed */

#endif
