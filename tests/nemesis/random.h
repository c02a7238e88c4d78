/*
 * random.h - numbers from the run's seed (splitmix64): what a run does is drawn from streams of their own,
 * so that one more draw in one place changes nothing in another.
 */
#ifndef ASSENT_TESTS_NEMESIS_RANDOM_H
#define ASSENT_TESTS_NEMESIS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

static inline struct random random_stream(uint64_t seed, uint64_t stream)
{
    struct random random = {.state = seed};
    random.state = random_next(&random) ^ stream * UINT64_C(0xd1342543de82ef95);
    return random;
}

/* From 0 to below - 1; below is not 0. */
static inline uint32_t random_below(struct random *random, uint32_t below)
{
    return (uint32_t)((random_next(random) >> 32) * below >> 32);
}

static inline uint32_t random_between(struct random *random, uint32_t least, uint32_t most)
{
    return least + random_below(random, most - least + 1);
}

static inline bool random_percent(struct random *random, uint32_t percent)
{
    return random_below(random, 100) < percent;
}

#endif
