/*
 * probe.h - looks into the cores' own state, for coverage and for the explorer's state hash.
 *
 * Two files, because both cores have an enum branch_state: probe_coord.c and probe_agent.c. They only read.
 */
#ifndef ASSENT_SIM_PROBE_H
#define ASSENT_SIM_PROBE_H

#include <stdbool.h>
#include <stdint.h>

struct coord;
struct coord_event;
struct agent;
struct agent_event;
struct gid;
struct journal_id;
struct sim_database;

/* Counts, for everything in memory that the event is about, the pairs of state and event, before the step. */
void probe_coord_meets(const struct coord *coord, const struct coord_event *event,
                       uint64_t txn[][32], uint64_t branch[][32]);
void probe_agent_meets(struct agent *agent, const struct agent_event *event, uint64_t pairs[][32]);

/* Is this a session whose coordinator the agent has welcomed? What comes on others it drops. */
bool probe_agent_listens(struct agent *agent, uint64_t session);

/* Does it still ask or tell a coordinator that listens about a branch without a row? Those end whatever the answer is (H1). */
bool probe_agent_is_asking(struct agent *agent, const struct sim_database *database);
/* Has it compared every outcome that earlier processes left of this journal? (P-12) */
bool probe_agent_has_compared(struct agent *agent, const struct journal_id *journal);

const char *probe_txn_state(uint32_t state);
const char *probe_branch_state(uint32_t state);
const char *probe_agent_state(uint32_t state);

/* database.c; world.h can not be included where the agent's own states are. */
bool database_has_prepared(const struct sim_database *database, const struct gid *gid);

/* A hash of everything that decides what the core does next; times relative to now, so that equal situations are equal. */
uint64_t probe_coord_digest(const struct coord *coord);
uint64_t probe_agent_digest(const struct agent *agent);

#endif
