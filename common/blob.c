/*
 * blob.c - shared immutable bytes. The count is atomic because the owner thread, the journal thread
 * and the edges hold references to the same blob.
 */
#include "common/blob.h"

#include <string.h>

#include "common/alloc.h"
#include "common/check.h"

#include <stdlib.h>

struct blob *blob_new(const void *bytes, size_t size_bytes)
{
    CHECK(size_bytes <= UINT32_MAX);
    struct blob *blob = alloc_zeroed(sizeof *blob + size_bytes);
    blob->references = 1;
    blob->size_bytes = (uint32_t)size_bytes;
    if (size_bytes > 0) {
        memcpy(blob->bytes, bytes, size_bytes);
    }
    return blob;
}

struct blob *blob_share(struct blob *blob)
{
    if (blob != NULL) {
        /* Whoever shares already holds a reference, so nothing needs to be ordered here. */
        uint32_t before = __atomic_fetch_add(&blob->references, 1, __ATOMIC_RELAXED);
        CHECK(before > 0 && before < UINT32_MAX);
    }
    return blob;
}

void blob_free(struct blob *blob)
{
    if (blob == NULL) {
        return;
    }
    /* Acquire and release: the last one must see every other holder's reads finished before free.
     */
    uint32_t before = __atomic_fetch_sub(&blob->references, 1, __ATOMIC_ACQ_REL);
    CHECK(before > 0);
    if (before == 1) {
        free(blob);
    }
}

bool blob_equal(const struct blob *a, const struct blob *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return a->size_bytes == b->size_bytes && memcmp(a->bytes, b->bytes, a->size_bytes) == 0;
}
