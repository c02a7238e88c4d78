/* faults.c - which kinds of fault a seed has and how strong (swarm), and whether one strikes. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/sim/coverage.h"
#include "tests/sim/world.h"

struct fault_kind {
    const char *name;
    uint32_t rate;
    bool grave;
    const char *text;
};

static const struct fault_kind kinds[SIM_FAULT_COUNT] = {
#define SIM_FAULT(id, name_, rate_, grave_, text_)                                                 \
    [id] = {.name = (name_), .rate = (rate_), .grave = (grave_), .text = (text_)},
#include "tests/sim/faults.def"
#undef SIM_FAULT
};

const char *sim_fault_name(enum sim_fault fault)
{
    return kinds[fault].name;
}

const char *sim_fault_text(enum sim_fault fault)
{
    return kinds[fault].text;
}

bool sim_fault_is_grave(enum sim_fault fault)
{
    return kinds[fault].grave;
}

bool sim_fault_parse(const char *name, enum sim_fault *ret_fault)
{
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *ret_fault = (enum sim_fault)i;
            return true;
        }
    }
    return false;
}

/* A third of the ordinary kinds, each at a strength of its own; one seed in sixteen has none; one in three has some
 * grave kinds. Few kinds at once reach deeper than all of them together, which mostly break everything early. */
void faults_draw(struct sim_world *world)
{
    struct sim_random random = {.state = sim_mix(world->options.seed, 7)};
    world->fault_seed = sim_draw(&random);
    bool calm = sim_one_in(&random, 16);
    bool grave = sim_one_in(&random, 3);
    uint64_t share = sim_between(&random, 2, 5); /* one kind in so many */
    for (int i = 0; i < SIM_FAULT_COUNT; i++) {
        uint64_t strength = sim_below(&random, 4);
        bool on = sim_one_in(&random, share);
        if (kinds[i].grave) {
            on = grave && sim_one_in(&random, 5);
        }
        if (!on || calm) {
            continue;
        }
        /* a quarter, a half, once, twice; 429,497 is 2^32 / 10,000 */
        world->rate[i] = (uint32_t)(((uint64_t)kinds[i].rate * 429497 << strength) >> 2);
    }
}

static bool strike_is_listed(const struct sim_world *world, enum sim_fault fault, uint32_t ordinal)
{
    for (size_t i = 0; i < world->options.strike_count; i++) {
        if (world->options.strikes[i].fault == fault &&
            world->options.strikes[i].ordinal == ordinal) {
            return true;
        }
    }
    return false;
}

bool fault_strikes(struct sim_world *world, enum sim_fault fault)
{
    /* The journal may be unreadable also while a person's word is on its way. */
    bool may = world->phase == PHASE_CHAOS ||
               (world->phase == PHASE_PERSON && fault == SIM_LOG_UNREADABLE);
    if (!may || (world->rate[fault] == 0 && !world->options.has_strikes)) {
        return false;
    }
    uint32_t ordinal = world->ordinal[fault]++;
    uint64_t bits = sim_mix(world->fault_seed ^ ((uint64_t)fault << 40), ordinal);
    bool strikes = world->options.has_strikes ? strike_is_listed(world, fault, ordinal)
                                              : (bits >> 32) < world->rate[fault];
    if (!strikes) {
        return false;
    }
    world->fault_bits = sim_scramble(bits ^ UINT64_C(0x5851f42d4c957f2d));
    world->grave = world->grave || kinds[fault].grave;
    struct sim_verdict *verdict = world->verdict;
    if (verdict->strike_count == world->strike_capacity) {
        world->strike_capacity = world->strike_capacity == 0 ? 32 : world->strike_capacity * 2;
        verdict->strikes =
            alloc_resize(verdict->strikes, world->strike_capacity, sizeof(verdict->strikes[0]));
    }
    verdict->strikes[verdict->strike_count++] =
        (struct sim_strike){.fault = fault, .ordinal = ordinal};
    coverage_fault(fault);
    world_note(world, (uint64_t)fault << 32 | ordinal);
    return true;
}

uint64_t fault_below(struct sim_world *world, uint64_t below)
{
    world->fault_bits = sim_scramble(world->fault_bits + UINT64_C(0x9e3779b97f4a7c15));
    return ((world->fault_bits >> 32) * below) >> 32;
}
