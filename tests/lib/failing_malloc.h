/*
 * failing_malloc.h - malloc, calloc and realloc of the whole process that fail on order: the n-th, once or for ever.
 *
 * Linked into a program it takes the place of the C library's, for shared libraries (SQLite, yajl, nng, libpq) as well. With
 * AddressSanitizer it hands over to that one's allocator; not for the other sanitizers. Any thread; armed by one at a time.
 */
#ifndef ASSENT_TESTS_LIB_FAILING_MALLOC_H
#define ASSENT_TESTS_LIB_FAILING_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th (from 1) allocation from now on gives NULL; for ever: all later ones, too. */
void failing_malloc_arm(size_t n, bool for_ever);
void failing_malloc_disarm(void);
bool failing_malloc_struck(void); /* since it was armed */

/* Blocks that are allocated now. Only differences mean something. Always 0 with AddressSanitizer, which looks for leaks
 * itself. */
long failing_malloc_live(void);

#endif
