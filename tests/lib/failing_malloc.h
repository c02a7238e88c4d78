/*
 * failing_malloc.h - malloc, calloc and realloc of the whole process that fail on order: the n-th, once or for ever.
 *
 * Linked into a program it takes the place of the C library's, for shared libraries (SQLite, msgpack) as well; so not together
 * with a sanitizer, which wants that place for itself. One thread at a time.
 */
#ifndef ASSENT_TESTS_LIB_FAILING_MALLOC_H
#define ASSENT_TESTS_LIB_FAILING_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th (from 1) allocation from now on gives NULL; for ever: all later ones, too. */
void failing_malloc_arm(size_t n, bool for_ever);
void failing_malloc_disarm(void);
bool failing_malloc_struck(void); /* since it was armed */

#endif
