/* failing_malloc.c - see failing_malloc.h. */
#include "tests/lib/failing_malloc.h"

#include <errno.h>
#include <stdlib.h>

/* The C library's own, under the names that it keeps for those who take malloc's place. */
void *__libc_malloc(size_t size_bytes);               // NOLINT
void *__libc_calloc(size_t count, size_t item_bytes); // NOLINT
void *__libc_realloc(void *old, size_t size_bytes);   // NOLINT

static bool armed, struck, stays;
static size_t left;

void failing_malloc_arm(size_t n, bool for_ever)
{
    left = n;
    stays = for_ever;
    struck = false;
    armed = true;
}

void failing_malloc_disarm(void)
{
    armed = false;
}

bool failing_malloc_struck(void)
{
    return struck;
}

static bool fails(void)
{
    if (!armed || (struck && !stays)) {
        return false;
    }
    if (!struck && --left > 0) {
        return false;
    }
    struck = true;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size_bytes)
{
    return fails() ? NULL : __libc_malloc(size_bytes);
}

void *calloc(size_t count, size_t item_bytes)
{
    return fails() ? NULL : __libc_calloc(count, item_bytes);
}

void *realloc(void *old, size_t size_bytes)
{
    return fails() ? NULL : __libc_realloc(old, size_bytes);
}
