/* pg_world.c - see pg_world.h. */
#include "tests/spec/pg_world.h"

#include <libpq-fe.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/lib/pg_standby.h"

#define WAIT_MS 20000

static void must(bool done, const struct error *error)
{
    if (!done) {
        fail_msg("%s", error->text);
    }
}

static void on_result(void *user, struct command_result *result)
{
    struct world *world = user;
    (void)pthread_mutex_lock(&world->mutex);
    if (world->result_count < WORLD_RESULTS_MAX) {
        world->results[world->result_count++] = *result;
    }
    (void)pthread_cond_broadcast(&world->changed);
    (void)pthread_mutex_unlock(&world->mutex);
}

static void on_status(void *user, const struct database_status *status)
{
    struct world *world = user;
    (void)pthread_mutex_lock(&world->mutex);
    world->status = *status;
    world->status_count++;
    world->history_changes += status->history_changed;
    (void)pthread_cond_broadcast(&world->changed);
    (void)pthread_mutex_unlock(&world->mutex);
}

static void on_warning(void *user, const char *event, const char *text)
{
    struct world *world = user;
    (void)pthread_mutex_lock(&world->mutex);
    size_t length = strlen(world->warnings);
    (void)snprintf(world->warnings + length, sizeof world->warnings - length, "%s: %s\n", event,
                   text);
    (void)pthread_cond_broadcast(&world->changed);
    (void)pthread_mutex_unlock(&world->mutex);
}

static bool wait_until(struct world *world, uint64_t deadline_ms)
{
    struct timespec when = {.tv_sec = (time_t)(deadline_ms / 1000),
                            .tv_nsec = (long)(deadline_ms % 1000) * 1000000L};
    return pthread_cond_timedwait(&world->changed, &world->mutex, &when) == 0;
}

struct world *world_new(const struct pgcluster_options *options)
{
    struct error error = {0};
    struct world *world = alloc_zeroed(sizeof *world);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&world->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&world->mutex, NULL);
    world->next_id = 1;
    world->next_attempt = 1;
    world->incarnation = 0xA000;
    must(pgcluster_new(options, &world->cluster, &error), &error);
    must(pgcluster_sql(world->cluster, "postgres", "CREATE DATABASE " WORLD_DATABASE, NULL, &error),
         &error);
    world->conninfo = pgcluster_conninfo_for(world->cluster, WORLD_DATABASE, WORLD_ROLE);
    (void)snprintf(world->token_path, sizeof world->token_path, "%s/order.token",
                   pgcluster_folder(world->cluster));
    must(pg_token_make(world->token_path, world->token, &error), &error);
    char *admin = pgcluster_conninfo_for(world->cluster, WORLD_DATABASE, "postgres");
    struct pg_setup_options setup = {
        .participant = WORLD_PARTICIPANT, .database = WORLD_DATABASE, .login_role = WORLD_ROLE};
    pg_token_hash(world->token, setup.token_hash);
    must(pg_setup_apply(admin, &setup, 30000, &error), &error);
    free(admin);
    (void)world_sql(
        world, "CREATE TABLE item (id int PRIMARY KEY, amount int NOT NULL);"
               "INSERT INTO item SELECT i, 100 FROM generate_series(1, 10) i;"
               "CREATE TABLE strict (id int, amount int CONSTRAINT positive CHECK (amount >= 0));"
               "GRANT ALL ON item, strict TO " WORLD_ROLE ";"
               "GRANT CREATE, USAGE ON SCHEMA public TO " WORLD_ROLE);
    return world;
}

void world_free(struct world *world)
{
    if (world->pg != NULL) {
        world_stop(world);
    }
    for (size_t i = 0; i < world->result_count; i++) {
        command_result_done(&world->results[i]);
    }
    pgcluster_free(world->cluster);
    free(world->conninfo);
    (void)pthread_mutex_destroy(&world->mutex);
    (void)pthread_cond_destroy(&world->changed);
    free(world);
}

struct pg_options world_options(struct world *world)
{
    return (struct pg_options){
        .participant = WORLD_PARTICIPANT,
        .conninfo = world->conninfo,
        .token_file = world->token_path,
        .worker_count = 3,
        .finisher_count = 2,
        .queue_limit = 1000,
        .max_result_bytes = 65536,
        .proof = PROOF_ROW,
        .incarnation = ++world->incarnation,
        .user = world,
        .on_result = on_result,
        .on_status = on_status,
        .on_warning = on_warning,
    };
}

void world_start_unready(struct world *world, const struct pg_options *options)
{
    struct error error = {0};
    struct pg_options usual = world_options(world);
    world->status = (struct database_status){0};
    world->history_changes = 0;
    world->warnings[0] = '\0';
    must(pg_start(options != NULL ? options : &usual, &world->pg, &error), &error);
}

void world_start(struct world *world, const struct pg_options *options)
{
    world_start_unready(world, options);
    world_await_health(world, HEALTH_UP);
}

void world_stop(struct world *world)
{
    pg_stop(world->pg, 5000);
    world->pg = NULL;
}

void world_await_health(struct world *world, enum health health)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    (void)pthread_mutex_lock(&world->mutex);
    size_t before = world->status.health == 0 ? 0 : world->status_count;
    bool waited = true;
    while (waited && (world->status_count == before || world->status.health != health)) {
        waited = wait_until(world, deadline_ms);
    }
    enum health last = world->status.health;
    char text[HEALTH_TEXT_SIZE];
    memcpy(text, world->status.text, sizeof text);
    (void)pthread_mutex_unlock(&world->mutex);
    if (!waited) {
        fail_msg("health stays %d (%s), awaited was %d", last, text, health);
    }
}

void world_await_warning(struct world *world, const char *event)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    (void)pthread_mutex_lock(&world->mutex);
    bool waited = true;
    while (waited && strstr(world->warnings, event) == NULL) {
        waited = wait_until(world, deadline_ms);
    }
    (void)pthread_mutex_unlock(&world->mutex);
    if (!waited) {
        fail_msg("no warning \"%s\"", event);
    }
}

const char *world_sql(struct world *world, const char *sql)
{
    static char text[4096];
    struct error error = {0};
    char *value = NULL;
    must(pgcluster_sql(world->cluster, WORLD_DATABASE, sql, &value, &error), &error);
    (void)snprintf(text, sizeof text, "%s", value == NULL ? "" : value);
    free(value);
    return text;
}

bool world_sql_as_agent(struct world *world, const char *sql, char ret_sqlstate[SQLSTATE_SIZE])
{
    PGconn *conn = PQconnectdb(world->conninfo);
    PGresult *result = PQexec(conn, sql);
    bool done =
        PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    (void)snprintf(ret_sqlstate, SQLSTATE_SIZE, "%s", sqlstate == NULL ? "" : sqlstate);
    PQclear(result);
    PQfinish(conn);
    return done;
}

struct gid world_gid(struct world *world, uint64_t sequence)
{
    struct gid gid = {
        .gtrid = {.journal = {{0xAB, 1, 2, 3}},
                  .epoch = 7,
                  .epoch_nonce = 0x77,
                  .sequence = sequence},
        .attempt = world->next_attempt++,
        .participant = WORLD_PARTICIPANT,
    };
    return gid;
}

const char *world_gid_text(const struct gid *gid)
{
    static char texts[4][GID_TEXT_SIZE];
    static size_t next;
    char *text = texts[next++ % 4];
    gid_format(gid, text);
    return text;
}

uint64_t world_submit(struct world *world, struct command *command)
{
    uint64_t id = world->next_id++;
    command->id = id;
    pg_submit(world->pg, command);
    return id;
}

static struct command_result *find_result(struct world *world, uint64_t id)
{
    for (size_t i = 0; i < world->result_count; i++) {
        if (world->results[i].id == id) {
            return &world->results[i];
        }
    }
    return NULL;
}

bool world_answered(struct world *world, uint64_t id)
{
    (void)pthread_mutex_lock(&world->mutex);
    bool answered = find_result(world, id) != NULL;
    (void)pthread_mutex_unlock(&world->mutex);
    return answered;
}

void world_await_any(struct world *world)
{
    (void)pthread_mutex_lock(&world->mutex);
    bool waited = wait_until(world, clock_monotonic_ms() + WAIT_MS);
    (void)pthread_mutex_unlock(&world->mutex);
    assert_true(waited);
}

struct command_result *world_await(struct world *world, uint64_t id)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    (void)pthread_mutex_lock(&world->mutex);
    struct command_result *result = find_result(world, id);
    bool waited = true;
    while (result == NULL && waited) {
        waited = wait_until(world, deadline_ms);
        result = find_result(world, id);
    }
    (void)pthread_mutex_unlock(&world->mutex);
    if (result == NULL) {
        fail_msg("command %lu is not answered", (unsigned long)id);
    }
    return result;
}

struct blob *world_work(const char *first, ...)
{
    struct statement statements[32] = {0};
    struct work work = {.statements = statements};
    va_list args;
    va_start(args, first);
    for (const char *sql = first; sql != NULL; sql = va_arg(args, const char *)) {
        statements[work.statement_count++] =
            (struct statement){.sql = (char *)(uintptr_t)sql, .expect_rows = EXPECT_ROWS_ANY};
    }
    va_end(args);
    return work_encode(&work);
}

struct blob *world_work_one(const char *sql, size_t param_count, const char *const *params,
                            int64_t expect_rows)
{
    struct statement statement = {.sql = (char *)(uintptr_t)sql,
                                  .param_count = param_count,
                                  .params = (char **)(uintptr_t)params,
                                  .expect_rows = expect_rows};
    return work_encode(&(struct work){.statement_count = 1, .statements = &statement});
}

struct command world_execute_command(const struct gid *gid, struct blob *work)
{
    return (struct command){
        .kind = COMMAND_EXECUTE,
        .as.execute = {.gid = *gid, .deadline_ms = clock_monotonic_ms() + 10000, .work = work},
    };
}

struct command_result *world_execute(struct world *world, const struct gid *gid, struct blob *work)
{
    struct command command = world_execute_command(gid, work);
    return world_await(world, world_submit(world, &command));
}

struct command_result *world_finish(struct world *world, const struct gid *gid, bool commit)
{
    struct command command = {.kind = COMMAND_FINISH, .as.finish = {.gid = *gid, .commit = commit}};
    return world_await(world, world_submit(world, &command));
}

static void pause_between_polls(void)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    (void)nanosleep(&pause, NULL);
}

struct command_result *world_finish_when_ready(struct world *world, const struct gid *gid,
                                               bool commit)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    struct command_result *result = world_finish(world, gid, commit);
    while (result->class == PG_RETRY && clock_monotonic_ms() < deadline_ms) {
        pause_between_polls();
        result = world_finish(world, gid, commit);
    }
    return result;
}

struct command_result *world_execute_when_ready(struct world *world, const struct gid *gid,
                                                const char *sql)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    struct command_result *result = world_execute(world, gid, world_work(sql, NULL));
    while (result->class == PG_ROLLED_BACK && clock_monotonic_ms() < deadline_ms &&
           result->failure.reason == REASON_PARTICIPANT_UNAVAILABLE) {
        pause_between_polls();
        result = world_execute(world, gid, world_work(sql, NULL));
    }
    return result;
}

struct command_result *world_prove(struct world *world, const struct gid *gid,
                                   const struct proof *proof, bool expect_commit, bool fence)
{
    struct command command = {
        .kind = COMMAND_PROVE,
        .as.prove = {.gid = *gid, .proof = *proof, .expect_commit = expect_commit, .fence = fence}};
    return world_await(world, world_submit(world, &command));
}

struct command_result *world_look(struct world *world, const struct gid *gid, bool has_gid)
{
    struct command command = {.kind = COMMAND_LOOK,
                              .as.look = {.gtrid = gid->gtrid, .has_gid = has_gid, .gid = *gid}};
    return world_await(world, world_submit(world, &command));
}

struct command_result *world_simple(struct world *world, enum command_kind kind)
{
    struct command command = {.kind = kind};
    return world_await(world, world_submit(world, &command));
}

int world_prepared_count(struct world *world)
{
    return (int)strtol(
        world_sql(world, "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'assent:%'"), NULL,
        10);
}

void world_lose_standby(struct world *world)
{
    struct error error = {0};
    must(pg_standby_lose(world->cluster, clock_monotonic_ms() + WAIT_MS, &error), &error);
}

void world_return_standby(struct world *world)
{
    struct error error = {0};
    must(pg_standby_return(world->cluster, clock_monotonic_ms() + WAIT_MS, &error), &error);
}

void world_await_sql(struct world *world, const char *sql, const char *expected)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (strcmp(world_sql(world, sql), expected) != 0) {
        if (clock_monotonic_ms() > deadline_ms) {
            fail_msg("%s: \"%s\", expected \"%s\"", sql, world_sql(world, sql), expected);
        }
        pause_between_polls();
    }
}
