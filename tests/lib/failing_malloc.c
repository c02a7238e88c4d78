/* failing_malloc.c - see failing_malloc.h. */
#include "tests/lib/failing_malloc.h"

#include <errno.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
/* The sanitizer's own, under the names that it keeps for those who take malloc's place. The dynamic linker allocates before
 * the sanitizer is ready, so nothing in this file may be instrumented. */
#define real_malloc    __interceptor_malloc
#define real_calloc    __interceptor_calloc
#define real_realloc   __interceptor_realloc
#define UNINSTRUMENTED __attribute__((no_sanitize("address", "undefined")))
#else
/* The C library's own, likewise. */
#define real_malloc  __libc_malloc
#define real_calloc  __libc_calloc
#define real_realloc __libc_realloc
#define UNINSTRUMENTED
void __libc_free(void *memory);                             // NOLINT
void *__libc_memalign(size_t alignment, size_t size_bytes); // NOLINT
void *memalign(size_t alignment, size_t size_bytes);        // NOLINT
#endif
void *real_malloc(size_t size_bytes);               // NOLINT
void *real_calloc(size_t count, size_t item_bytes); // NOLINT
void *real_realloc(void *old, size_t size_bytes);   // NOLINT

static bool armed, struck, stays;
static long left;
static long live;

void failing_malloc_arm(size_t n, bool for_ever)
{
    __atomic_store_n(&left, (long)n, __ATOMIC_SEQ_CST);
    __atomic_store_n(&stays, for_ever, __ATOMIC_SEQ_CST);
    __atomic_store_n(&struck, false, __ATOMIC_SEQ_CST);
    __atomic_store_n(&armed, true, __ATOMIC_SEQ_CST);
}

void failing_malloc_disarm(void)
{
    __atomic_store_n(&armed, false, __ATOMIC_SEQ_CST);
}

bool failing_malloc_struck(void)
{
    return __atomic_load_n(&struck, __ATOMIC_SEQ_CST);
}

long failing_malloc_live(void)
{
    return __atomic_load_n(&live, __ATOMIC_SEQ_CST);
}

UNINSTRUMENTED static bool fails(void)
{
    if (!__atomic_load_n(&armed, __ATOMIC_SEQ_CST)) {
        return false;
    }
    long now = __atomic_sub_fetch(&left, 1, __ATOMIC_SEQ_CST);
    if (now > 0 || (now < 0 && !__atomic_load_n(&stays, __ATOMIC_SEQ_CST))) {
        return false;
    }
    __atomic_store_n(&struck, true, __ATOMIC_SEQ_CST);
    errno = ENOMEM;
    return true;
}

UNINSTRUMENTED static void *counted(void *memory)
{
#ifndef __SANITIZE_ADDRESS__
    if (memory != NULL) {
        __atomic_add_fetch(&live, 1, __ATOMIC_SEQ_CST);
    }
#endif
    return memory;
}

UNINSTRUMENTED void *malloc(size_t size_bytes)
{
    return fails() ? NULL : counted(real_malloc(size_bytes));
}

UNINSTRUMENTED void *calloc(size_t count, size_t item_bytes)
{
    return fails() ? NULL : counted(real_calloc(count, item_bytes));
}

UNINSTRUMENTED void *realloc(void *old, size_t size_bytes)
{
    if (old == NULL) {
        return malloc(size_bytes);
    }
    if (size_bytes == 0) { /* the C library's answer: freed */
        free(old);
        return NULL;
    }
    return fails() ? NULL : real_realloc(old, size_bytes);
}

#ifndef __SANITIZE_ADDRESS__
void free(void *memory)
{
    if (memory != NULL) {
        __atomic_sub_fetch(&live, 1, __ATOMIC_SEQ_CST);
        __libc_free(memory);
    }
}

void *memalign(size_t alignment, size_t size_bytes) // NOLINT
{
    return fails() ? NULL : counted(__libc_memalign(alignment, size_bytes));
}

void *aligned_alloc(size_t alignment, size_t size_bytes)
{
    return fails() ? NULL : counted(__libc_memalign(alignment, size_bytes));
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size_bytes)
{
    void *memory = fails() ? NULL : counted(__libc_memalign(alignment, size_bytes));
    if (memory == NULL) {
        return ENOMEM;
    }
    *ret_memory = memory;
    return 0;
}
#endif
