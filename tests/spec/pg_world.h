/*
 * pg_world.h - a private cluster with a set-up database, and the agent's PostgreSQL edge on it, for tests.
 *
 * Used by the test_p*_*.c files here and by tests/integration/test_pg_*.c. Commands are submitted and awaited one by
 * one or many at once; results are found again by the command's id.
 */
#ifndef ASSENT_TESTS_SPEC_PG_WORLD_H
#define ASSENT_TESTS_SPEC_PG_WORLD_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

#include "common/work.h"
#include "participant/pg.h"
#include "participant/pg_setup.h"
#include "tests/lib/pgcluster.h"

#define WORLD_PARTICIPANT "order"
#define WORLD_ROLE        "order_agent"
#define WORLD_DATABASE    "app"
#define WORLD_RESULTS_MAX 4096

struct world {
    struct pgcluster *cluster;
    char *conninfo; /* of the agent */
    char token_path[160];
    uint8_t token[PG_TOKEN_BYTES];
    struct pg *pg;
    uint64_t next_id;
    uint64_t next_attempt;
    uint64_t incarnation;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    /* Guarded by mutex. */
    size_t result_count;
    struct command_result results[WORLD_RESULTS_MAX];
    struct database_status status;
    size_t status_count;
    size_t history_changes;
    char warnings[4096];
};

/* One cluster, database app, set up; tables item(id int primary key, amount int) with rows 1..10 of 100, and
 * strict(id int, amount int check (amount >= 0)). options as pgcluster_new. */
struct world *world_new(const struct pgcluster_options *options);
void world_free(struct world *world);

struct pg_options world_options(struct world *world);
/* Starts the edge under a new incarnation and waits until the keeper says UP. NULL: the usual options. */
void world_start(struct world *world, const struct pg_options *options);
void world_start_unready(struct world *world, const struct pg_options *options);
void world_stop(struct world *world);
/* Waits for a status of this kind that comes from now on. */
void world_await_health(struct world *world, enum health health);
/* Waits until on_warning told of this event. */
void world_await_warning(struct world *world, const char *event);

/* As superuser in database app; must succeed. value: lent until the next call, "" for none. */
const char *world_sql(struct world *world, const char *sql);
/* As the agent's role, as client SQL would run; false with the SQLSTATE of the error. */
bool world_sql_as_agent(struct world *world, const char *sql, char ret_sqlstate[SQLSTATE_SIZE]);

struct gid world_gid(struct world *world, uint64_t sequence); /* a new attempt each time */
const char *world_gid_text(const struct gid *gid);            /* lent until the fourth next call */

/* Submits and returns the id. */
uint64_t world_submit(struct world *world, struct command *command);
/* Waits for the result of this id; owned by the world. */
struct command_result *world_await(struct world *world, uint64_t id);
/* Waits for the next result or status. */
void world_await_any(struct world *world);
bool world_answered(struct world *world, uint64_t id);

/* Statements: texts without parameters, NULL at the end. */
struct blob *world_work(const char *first, ...);
struct blob *world_work_one(const char *sql, size_t param_count, const char *const *params,
                            int64_t expect_rows);
struct command world_execute_command(const struct gid *gid, struct blob *work);
struct command_result *world_execute(struct world *world, const struct gid *gid, struct blob *work);
struct command_result *world_finish(struct world *world, const struct gid *gid, bool commit);
/* Tries again while the edge's connections are in their backoff. */
struct command_result *world_finish_when_ready(struct world *world, const struct gid *gid,
                                               bool commit);
struct command_result *world_execute_when_ready(struct world *world, const struct gid *gid,
                                                const char *sql);
struct command_result *world_prove(struct world *world, const struct gid *gid,
                                   const struct proof *proof, bool expect_commit, bool fence);
struct command_result *world_look(struct world *world, const struct gid *gid, bool has_gid);
struct command_result *world_simple(struct world *world, enum command_kind kind);

/* How many rows pg_prepared_xacts has with Assent's prefix. */
int world_prepared_count(struct world *world);
/* The cluster's synchronous standby goes away, comes back: pg_standby.h. */
void world_lose_standby(struct world *world);
void world_return_standby(struct world *world);
/* Waits until a query as superuser gives this text; fails the test after some seconds. */
void world_await_sql(struct world *world, const char *sql, const char *expected);

#endif
