/* coverage.c - see coverage.h. */
#include "tests/sim/coverage.h"

#include <string.h>

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

void coverage_add(struct coverage *sum, const struct coverage *part)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)part;
    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++) {
        to[i] += from[i];
    }
}
