/*
 * map.h - a hash map from 64-bit hashes to borrowed pointers; equality is the caller's business.
 *
 * Open addressing with linear probing and backward-shift deletion: no tombstones, so the cost of a look-up
 * does not creep up over a long life. Grows at 3/4 load and never shrinks. Pure.
 */
#ifndef ASSENT_COMMON_MAP_H
#define ASSENT_COMMON_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    uint64_t hash;
    void *value; /* NULL: empty */
};

struct map { /* zero-initialised is empty */
    size_t count;
    size_t capacity; /* a power of two or 0 */
    struct map_slot *slots;
};

typedef bool (*map_match)(const void *value, const void *wanted);

void map_done(struct map *map); /* does not touch the values */
void *map_find(const struct map *map, uint64_t hash, map_match match, const void *wanted);
/* The caller has made sure that no equal value is inside. */
void map_insert(struct map *map, uint64_t hash, void *value);
/* Removes this very pointer; true if it was inside. */
bool map_remove(struct map *map, uint64_t hash, const void *value);

/* FNV-1a with a final mix, for keys that are bytes. */
uint64_t map_hash_bytes(const void *bytes, size_t size_bytes);

#endif
