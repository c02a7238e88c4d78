/*
 * alloc.h - allocation that never returns NULL: out of memory ends the process.
 *
 * A half-applied step after a failed malloc would be worse than a crash, and a crash is what
 * recovery is for. Sizes that come from outside must be checked against a limit before they get
 * here.
 */
#ifndef ASSENT_COMMON_ALLOC_H
#define ASSENT_COMMON_ALLOC_H

#include <stddef.h>

void *alloc_zeroed(size_t size_bytes);              /* returns owned */
void *alloc_array(size_t count, size_t item_bytes); /* returns owned, zeroed, overflow checked */
void *alloc_resize(void *old, size_t count, size_t item_bytes); /* takes old, returns owned */
char *alloc_string(const char *text);                           /* returns owned; NULL gives NULL */
char *alloc_bytes(const void *bytes, size_t size_bytes); /* returns owned copy with a final NUL */

#endif
