/*
 * random.h - the simulator's draws: splitmix64, one stream per concern, all from one seed.
 *
 * Separate streams keep one concern's draws from shifting another's: a lost message does not change which client
 * comes next. Whether a fault strikes is not drawn from a stream at all but hashed from its kind and ordinal
 * (faults.h), so that the minimiser can switch one off and keep the others where they were.
 */
#ifndef ASSENT_SIM_RANDOM_H
#define ASSENT_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
    bool is_still; /* draws nothing: always 0 and never (the explorer chooses in its place) */
};

static inline uint64_t sim_scramble(uint64_t bits)
{
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
    return bits ^ (bits >> 31);
}

static inline uint64_t sim_mix(uint64_t a, uint64_t b)
{
    return sim_scramble(a + UINT64_C(0x9e3779b97f4a7c15) * (b + 1));
}

static inline uint64_t sim_draw(struct sim_random *random)
{
    if (random->is_still) {
        return 0;
    }
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return sim_scramble(random->state);
}

/* 0 .. below - 1; below is small, so the bias of 2^-32 does not matter. */
static inline uint64_t sim_below(struct sim_random *random, uint64_t below)
{
    return ((sim_draw(random) >> 32) * below) >> 32;
}

static inline uint64_t sim_between(struct sim_random *random, uint64_t least, uint64_t most)
{
    return least + sim_below(random, most - least + 1);
}

static inline bool sim_one_in(struct sim_random *random, uint64_t count)
{
    return !random->is_still && sim_below(random, count) == 0;
}

#endif
