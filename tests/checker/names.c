/*
 * names.c - see names.h. Linear probing; tables are at most half full.
 */
#include "tests/checker/names.h"

#include <string.h>

static uint64_t mix(uint64_t value)
{
    value ^= value >> 32;
    value *= UINT64_C(0xd6e8feb86659fd93);
    value ^= value >> 32;
    value *= UINT64_C(0xd6e8feb86659fd93);
    return value ^ (value >> 32);
}

static uint64_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return mix(hash);
}

static uint64_t hash_pair(uint64_t first, uint64_t second)
{
    return mix(mix(first) + second);
}

static uint32_t *slots_new(size_t count)
{
    uint32_t *slots = mem_resized(NULL, count, sizeof *slots);
    memset(slots, 0xff, count * sizeof *slots);
    return slots;
}

const char *names_text(const struct names *names, uint32_t name)
{
    return name == NAME_NONE ? "-" : names->text + names->starts.items[name];
}

/* The slot that holds the name, or the free one where it belongs. */
static size_t names_slot(const struct names *names, const char *text)
{
    size_t slot = hash_text(text) & (names->slot_count - 1);
    while (names->slots[slot] != NAME_NONE &&
           strcmp(names_text(names, names->slots[slot]), text) != 0) {
        slot = (slot + 1) & (names->slot_count - 1);
    }
    return slot;
}

static void names_rehash(struct names *names)
{
    free(names->slots);
    names->slot_count = names->slot_count ? names->slot_count * 2 : 64;
    names->slots = slots_new(names->slot_count);
    for (size_t i = 0; i < names->starts.count; i++) {
        names->slots[names_slot(names, names->text + names->starts.items[i])] = (uint32_t)i;
    }
}

uint32_t names_find(const struct names *names, const char *text)
{
    return names->slot_count ? names->slots[names_slot(names, text)] : NAME_NONE;
}

uint32_t names_add(struct names *names, const char *text)
{
    if (names->starts.count * 2 >= names->slot_count) {
        names_rehash(names);
    }
    size_t slot = names_slot(names, text);
    if (names->slots[slot] == NAME_NONE) {
        size_t length = strlen(text) + 1;
        if (names->text_size - names->text_length < length) {
            names->text_size = (names->text_size + length) * 3 / 2 + 64;
            names->text = mem_resized(names->text, names->text_size, 1);
        }
        names->slots[slot] = (uint32_t)names->starts.count;
        *vec_add(&names->starts) = names->text_length;
        memcpy(names->text + names->text_length, text, length);
        names->text_length += length;
    }
    return names->slots[slot];
}

void names_done(struct names *names)
{
    vec_done(&names->starts);
    free(names->text);
    free(names->slots);
    *names = (struct names){0};
}

static size_t pairs_slot(const struct pairs *pairs, uint64_t first, uint64_t second)
{
    size_t slot = hash_pair(first, second) & (pairs->slot_count - 1);
    while (pairs->slots[slot] != NAME_NONE) {
        const struct pair *pair = &pairs->list.items[pairs->slots[slot]];
        if (pair->first == first && pair->second == second) {
            break;
        }
        slot = (slot + 1) & (pairs->slot_count - 1);
    }
    return slot;
}

static void pairs_rehash(struct pairs *pairs)
{
    free(pairs->slots);
    pairs->slot_count = pairs->slot_count ? pairs->slot_count * 2 : 64;
    pairs->slots = slots_new(pairs->slot_count);
    for (size_t i = 0; i < pairs->list.count; i++) {
        const struct pair *pair = &pairs->list.items[i];
        pairs->slots[pairs_slot(pairs, pair->first, pair->second)] = (uint32_t)i;
    }
}

uint32_t pairs_find(const struct pairs *pairs, uint64_t first, uint64_t second)
{
    return pairs->slot_count ? pairs->slots[pairs_slot(pairs, first, second)] : NAME_NONE;
}

uint32_t pairs_add(struct pairs *pairs, uint64_t first, uint64_t second, bool *ret_new)
{
    if (pairs->list.count * 2 >= pairs->slot_count) {
        pairs_rehash(pairs);
    }
    size_t slot = pairs_slot(pairs, first, second);
    *ret_new = pairs->slots[slot] == NAME_NONE;
    if (*ret_new) {
        pairs->slots[slot] = (uint32_t)pairs->list.count;
        *vec_add(&pairs->list) = (struct pair){first, second};
    }
    return pairs->slots[slot];
}

void pairs_done(struct pairs *pairs)
{
    vec_done(&pairs->list);
    free(pairs->slots);
    *pairs = (struct pairs){0};
}
