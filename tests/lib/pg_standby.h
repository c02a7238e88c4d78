/*
 * pg_standby.h - a synchronous standby that is away: every commit of the cluster waits for it, locally durable and not
 * answered.
 *
 * PostgreSQL 15 makes a commit wait when the checkpointer has taken synchronous_standby_names over into shared memory
 * (WalSndCtl->sync_standbys_defined), and lets those that wait go when it has taken over that there is none. SHOW tells
 * what the session that asks has read; what the checkpointer has read shows nowhere but in a commit that waits, or no
 * longer does. So both functions watch a commit of their own: a logical message, which needs no table.
 *
 * That commit writes WAL and takes a transaction id. Once the functions have returned true its session waits for
 * nothing: whoever counts backends with wait_event = 'SyncRep' does not find it.
 */
#ifndef ASSENT_TESTS_LIB_PG_STANDBY_H
#define ASSENT_TESTS_LIB_PG_STANDBY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "tests/lib/pgcluster.h"

/* Names a standby that never comes. On true every commit that begins from now on waits. On false (not before the
 * deadline but for an error of the server or a connection) the setting may have been made. */
bool pg_standby_lose(const struct pgcluster *cluster, uint64_t deadline_ms,
                     struct error *ret_error);

/* No standby is asked for any more, whether or not one was. On true what waited is free to go, and no commit waits. */
bool pg_standby_return(const struct pgcluster *cluster, uint64_t deadline_ms,
                       struct error *ret_error);

#endif
