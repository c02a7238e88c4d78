/* map.c - see map.h. */
#include "common/map.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"

#define MAP_FIRST_CAPACITY 16

void map_done(struct map *map)
{
    free(map->slots);
    memset(map, 0, sizeof(*map));
}

static void map_place(struct map *map, uint64_t hash, void *value)
{
    size_t mask = map->capacity - 1;
    size_t i = (size_t)hash & mask;
    for (size_t probes = 0; probes < map->capacity; probes++, i = (i + 1) & mask) {
        if (map->slots[i].value == NULL) {
            map->slots[i] = (struct map_slot){.hash = hash, .value = value};
            return;
        }
    }
    CHECK(!"a map is never full");
}

static void map_grow(struct map *map)
{
    struct map_slot *old = map->slots;
    size_t old_capacity = map->capacity;
    map->capacity = old_capacity == 0 ? MAP_FIRST_CAPACITY : old_capacity * 2;
    map->slots = alloc_array(map->capacity, sizeof(map->slots[0]));
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].value != NULL) {
            map_place(map, old[i].hash, old[i].value);
        }
    }
    free(old);
}

void *map_find(const struct map *map, uint64_t hash, map_match match, const void *wanted)
{
    if (map->count == 0) {
        return NULL;
    }
    size_t mask = map->capacity - 1;
    size_t i = (size_t)hash & mask;
    for (size_t probes = 0; probes < map->capacity; probes++, i = (i + 1) & mask) {
        const struct map_slot *slot = &map->slots[i];
        if (slot->value == NULL) {
            return NULL;
        }
        if (slot->hash == hash && match(slot->value, wanted)) {
            return slot->value;
        }
    }
    return NULL;
}

void map_insert(struct map *map, uint64_t hash, void *value)
{
    CHECK(value != NULL);
    if ((map->count + 1) * 4 > map->capacity * 3) {
        map_grow(map);
    }
    map_place(map, hash, value);
    map->count++;
}

/* Closes the gap at `hole`: later members of the same cluster move back if their home allows it. */
static void map_shift_back(struct map *map, size_t hole)
{
    size_t mask = map->capacity - 1;
    size_t next = (hole + 1) & mask;
    for (size_t steps = 0; steps < map->capacity; steps++, next = (next + 1) & mask) {
        if (map->slots[next].value == NULL) {
            break;
        }
        size_t home = (size_t)map->slots[next].hash & mask;
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            map->slots[hole] = map->slots[next];
            hole = next;
        }
    }
    map->slots[hole] = (struct map_slot){0};
}

bool map_remove(struct map *map, uint64_t hash, const void *value)
{
    if (map->count == 0) {
        return false;
    }
    size_t mask = map->capacity - 1;
    size_t i = (size_t)hash & mask;
    for (size_t probes = 0; probes < map->capacity; probes++, i = (i + 1) & mask) {
        if (map->slots[i].value == NULL) {
            return false;
        }
        if (map->slots[i].value == value) {
            map_shift_back(map, i);
            map->count--;
            return true;
        }
    }
    return false;
}

uint64_t map_hash_bytes(const void *bytes, size_t size_bytes)
{
    const uint8_t *p = bytes;
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size_bytes; i++) {
        hash = (hash ^ p[i]) * UINT64_C(1099511628211);
    }
    hash ^= hash >> 32;
    hash *= UINT64_C(0x9fb21c651e98df25);
    return hash ^ (hash >> 29);
}
