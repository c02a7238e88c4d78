/* coverage.c - see coverage.h. */
#include "tests/sim/coverage.h"

#include <stddef.h>

#include "tests/sim/probe.h"
#include "tests/sim/world.h"

static struct coverage own_coverage;
struct coverage *sim_coverage = &own_coverage;

void coverage_coord(struct sim_world *world, const struct coord *coord,
                    const struct coord_event *event)
{
    if (world->options.want_state_coverage) {
        probe_coord_meets(coord, event, sim_coverage->txn, sim_coverage->branch);
    }
}

void coverage_agent(struct sim_world *world, struct agent *agent, const struct agent_event *event)
{
    if (world->options.want_state_coverage) {
        probe_agent_meets(agent, event, sim_coverage->agent);
    }
}

void coverage_note_seed(struct coverage *coverage, uint64_t seed)
{
    const uint64_t(*tables[COVERAGE_TABLES])[COVERAGE_EVENTS] = {coverage->txn, coverage->branch,
                                                                 coverage->agent};
    for (size_t i = 0; i < COVERAGE_TABLES * COVERAGE_STATES * COVERAGE_EVENTS; i++) {
        const size_t table = i / (COVERAGE_STATES * COVERAGE_EVENTS);
        const size_t state = i / COVERAGE_EVENTS % COVERAGE_STATES;
        const size_t event = i % COVERAGE_EVENTS;
        uint64_t *first = &coverage->first_seed[table][state][event];
        if (*first == 0 && tables[table][state][event] > 0) {
            *first = seed;
        }
    }
}

void coverage_add(struct coverage *sum, const struct coverage *part)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)part;
    const size_t counts = offsetof(struct coverage, first_seed) / sizeof(*to);
    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++) {
        to[i] = i < counts ? to[i] + from[i] : to[i] == 0 ? from[i] : to[i];
    }
}
