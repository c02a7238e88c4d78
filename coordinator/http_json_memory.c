/* http_json_memory.c - see http_json_memory.h. */
#include "coordinator/http_json_memory.h"

#include <stdlib.h>

#include "common/alloc.h"

static void *take_memory(void *user, size_t size_bytes)
{
    (void)user;
    return alloc_resize(NULL, size_bytes, 1);
}

static void *resize_memory(void *user, void *old, size_t size_bytes)
{
    (void)user;
    return alloc_resize(old, size_bytes, 1);
}

static void free_memory(void *user, void *memory)
{
    (void)user;
    free(memory);
}

const yajl_alloc_funcs json_memory = {
    .malloc = take_memory, .realloc = resize_memory, .free = free_memory};
