/*
 * choices.h - where a random test takes its choices from: a seed, or the bytes that a fuzzer invents.
 *
 * The same world thus runs under cmocka by seeds and under libFuzzer by coverage. With bytes, choices that are asked for
 * after the last byte are all 0, and `choices_over` tells the world to come to its end.
 */
#ifndef ASSENT_TESTS_LIB_CHOICES_H
#define ASSENT_TESTS_LIB_CHOICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choices {
    uint64_t random;      /* the seed, moved on by each choice; used if bytes is NULL */
    const uint8_t *bytes; /* borrowed */
    size_t size_bytes;
    size_t used_bytes;
};

static inline uint8_t choices_byte(struct choices *choices)
{
    return choices->used_bytes < choices->size_bytes ? choices->bytes[choices->used_bytes++] : 0;
}

/* 0 .. below - 1; below is at least 1. Two bytes at most are taken from a fuzzer, so larger bounds are reached
 * in coarse steps. */
static inline uint64_t choices_draw(struct choices *choices, uint64_t below)
{
    if (choices->bytes == NULL) {
        uint64_t bits = (choices->random += UINT64_C(0x9e3779b97f4a7c15));
        bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
        return (bits ^ (bits >> 31)) % below;
    }
    uint64_t drawn = choices_byte(choices);
    if (below > 256) {
        drawn = (drawn << 8 | choices_byte(choices)) * (below / 65536 + 1);
    }
    return drawn % below;
}

static inline bool choices_over(const struct choices *choices)
{
    return choices->bytes != NULL && choices->used_bytes >= choices->size_bytes;
}

#endif
