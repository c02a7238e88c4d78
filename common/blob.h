/*
 * blob.h - immutable bytes with a reference count (atomic: blobs cross threads).
 *
 * The cores carry statements, results and reports as blobs and never look inside; work.h knows the
 * inside.
 */
#ifndef ASSENT_COMMON_BLOB_H
#define ASSENT_COMMON_BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blob {
    uint32_t references; /* atomic */
    uint32_t size_bytes;
    uint8_t bytes[];
};

struct blob *blob_new(const void *bytes, size_t size_bytes); /* copies; returns owned */
struct blob *blob_share(struct blob *blob);                  /* NULL gives NULL; returns owned */
void blob_free(struct blob *blob);                           /* drops one reference; NULL is fine */
bool blob_equal(const struct blob *a, const struct blob *b); /* NULL equals NULL only */

#endif
