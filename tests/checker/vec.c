/*
 * vec.c - see vec.h.
 */
#include "tests/checker/vec.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static void *check_memory(void *memory)
{
    if (!memory) {
        fputs("assent-fault-check: out of memory\n", stderr);
        exit(EX_OSERR);
    }
    return memory;
}

void *mem_zeroed(size_t count, size_t item_size)
{
    return check_memory(calloc(count > 0 ? count : 1, item_size));
}

void *mem_resized(void *memory, size_t count, size_t item_size)
{
    if (count > SIZE_MAX / 2 / item_size) {
        return check_memory(NULL);
    }
    return check_memory(realloc(memory, (count > 0 ? count : 1) * item_size));
}

void *vec_more(void *items, size_t *size, size_t count, size_t item_size)
{
    if (count == *size) {
        size_t wanted = *size < 16 ? 16 : *size + *size / 2;
        items = mem_resized(items, wanted, item_size);
        *size = wanted;
    }
    memset((char *)items + count * item_size, 0, item_size);
    return items;
}
