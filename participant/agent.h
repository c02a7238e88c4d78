/*
 * agent.h - the agent's driver: one owner thread between the link, the PostgreSQL edge and the pure
 * core.
 *
 * Called by main.c. Callbacks of link and edge only post to the inbox; the thread in
 * agent_server_run owns the core and does what its steps hand out. Everything that was posted
 * meanwhile is stepped together, and what is then ready for one coordinator leaves in one
 * link_send.
 *
 * This file knows nothing of transactions: whatever decides is in branch.h.
 */
#ifndef ASSENT_PARTICIPANT_AGENT_H
#define ASSENT_PARTICIPANT_AGENT_H

#include "common/link.h"
#include "participant/config.h"

struct agent_server;

/* Starts link and edge; serves from agent_server_run on. Holds the policy. Returns owned. */
bool agent_server_start(const struct agent_settings *settings, struct policy *policy,
                        const struct link_secret *secret, struct agent_server **ret_server,
                        struct error *ret_error);

/* The address that coordinators can dial, with the real port. */
void agent_server_address(const struct agent_server *server, char ret_address[ADDRESS_SIZE]);

/* What main's signal thread asks for; any thread. */
void agent_server_drain(
    struct agent_server *server); /* finish what is there, then return from run */
void agent_server_reload(struct agent_server *server); /* calls back in the owner thread */
void agent_server_report(struct agent_server *server); /* logs the counters */

/* For branches that begin from now on; holds it. In the owner thread. */
void agent_server_set_policy(struct agent_server *server, struct policy *policy);

/* Serves until drained. reload runs in this thread at each agent_server_reload. Returns true if
 * everything was finished, false if the drain's deadline passed before. */
bool agent_server_run(struct agent_server *server, void (*reload)(void *user), void *user);

/* Stops link and edge. The process is expected to end soon after (see link_stop). */
void agent_server_stop(struct agent_server *server);

#endif
