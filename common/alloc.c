/*
 * alloc.c - allocation that ends the process when memory runs out. Used everywhere; knows nobody.
 */
#include "common/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

/* malloc(0) may be NULL, which here would look like exhaustion: ask for one byte instead. */
static size_t at_least_one(size_t size_bytes)
{
    return size_bytes == 0 ? 1 : size_bytes;
}

static size_t array_bytes(size_t count, size_t item_bytes)
{
    size_t size_bytes = 0;
    CHECK(!__builtin_mul_overflow(count, item_bytes, &size_bytes));
    return size_bytes;
}

void *alloc_zeroed(size_t size_bytes)
{
    void *memory = calloc(1, at_least_one(size_bytes));
    CHECK(memory != NULL);
    return memory;
}

void *alloc_array(size_t count, size_t item_bytes)
{
    return alloc_zeroed(array_bytes(count, item_bytes));
}

void *alloc_resize(void *old, size_t count, size_t item_bytes)
{
    void *memory = realloc(old, at_least_one(array_bytes(count, item_bytes)));
    CHECK(memory != NULL);
    return memory;
}

char *alloc_string(const char *text)
{
    return text == NULL ? NULL : alloc_bytes(text, strlen(text));
}

char *alloc_bytes(const void *bytes, size_t size_bytes)
{
    CHECK(size_bytes < SIZE_MAX);
    char *copy = malloc(size_bytes + 1);
    CHECK(copy != NULL);
    if (size_bytes > 0) {
        memcpy(copy, bytes, size_bytes);
    }
    copy[size_bytes] = '\0';
    return copy;
}
