/*
 * honest_server.c - a real PostgreSQL with the agent's edge before it (pg_world.h), driven at the seam.
 *
 * One cluster serves all scripts; each begins with the same accounts and nothing prepared. The edge has one finisher, so
 * that one command is enough to know that it is connected.
 */
#include "tests/spec/pg_world.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/lib/process.h"
#include "tests/spec/honest.h"
#include "tests/spec/honest_wire.h"

#define WAIT_MS 20000

struct server {
    struct honest_side side;
    struct world *world;
    enum proof_kind proof;
    uint64_t changes; /* of histories, told by edges that are gone */
    PGconn *human;    /* has a COMMIT PREPARED under way, or NULL */
    char copy[256];
};

static struct server *server_of(struct honest_side *side)
{
    return (struct server *)side;
}

static void pause_between_polls(void)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    (void)nanosleep(&pause, NULL);
}

static void must(bool done, const struct error *error)
{
    if (!done) {
        fail_msg("%s", error->text);
    }
}

/* ---- sessions of a human ---- */

#define APPLICATION "application" /* the role of all of them */

#define CANCEL_WAITS                                                                               \
    "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

#define IDLE_BRANCHES                                                                              \
    "FROM pg_stat_activity WHERE usename = '" WORLD_ROLE "' AND state LIKE 'idle in transaction%'"

static PGconn *connect_human(struct server *server)
{
    char *conninfo = pgcluster_conninfo_for(server->world->cluster, WORLD_DATABASE, "postgres");
    PGconn *conn = PQconnectdb(conninfo);
    free(conninfo);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    return conn;
}

static void drain(PGconn *conn)
{
    PGresult *result = NULL;
    while ((result = PQgetResult(conn)) != NULL) {
        PQclear(result);
    }
}

/* ---- the edge ---- */

/* Its connections are there: what a script says then fails for no other reason. */
static void warm_up(struct server *server)
{
    struct world *world = server->world;
    struct gid nobody = honest_gid(HONEST_GIDS);
    assert_int_equal(world_finish_when_ready(world, &nobody, false)->class, PG_NOT_FOUND);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    bool ready = false;
    while (!ready && clock_monotonic_ms() < deadline_ms) {
        struct command command = world_execute_command(&nobody, world_work("SELECT 1", NULL));
        command.as.execute.read_only = true;
        ready = world_await(world, world_submit(world, &command))->class == PG_OK;
        if (!ready) {
            pause_between_polls();
        }
    }
    assert_true(ready);
}

static void edge_start(struct server *server)
{
    struct pg_options options = world_options(server->world);
    options.finisher_count = 1;
    options.proof = server->proof;
    options.interactive_count = 2;
    world_start(server->world, &options);
    warm_up(server);
}

static void edge_stop(struct server *server)
{
    server->changes += server->world->history_changes;
    world_stop(server->world);
}

/* ---- the seam ---- */

static uint64_t server_now_ms(struct honest_side *side)
{
    (void)side;
    return clock_monotonic_ms();
}

static const char *flaw_sql(enum honest_flaw flaw)
{
    switch (flaw) {
    case FLAW_CONSTRAINT:
        return "INSERT INTO account VALUES (0, 1)";
    case FLAW_SERIALIZATION:
        return "DO $$ BEGIN RAISE serialization_failure; END $$";
    case FLAW_DEADLOCK:
        return "DO $$ BEGIN RAISE deadlock_detected; END $$";
    case FLAW_STATEMENT:
        return "UPDATE nowhere SET amount = 1";
    case FLAW_NOT_PREPARABLE:
        return "CREATE TEMPORARY TABLE mine (id int)";
    case FLAW_IDLE_FOR_EVER:
        return "SELECT set_config('idle_in_transaction_session_timeout', '0', true)";
    case FLAW_FAILED_BLOCK: /* honest_wire.h */
    case FLAW_NONE:
    case FLAW_COUNT:
        break;
    }
    return NULL;
}

/* One statement at a time: the one that is flawed, or the change, or, without one, a look. */
static struct blob *statement_work(const struct honest_op *op, const char *change)
{
    const char *flaw = flaw_sql(op->flaw);
    return world_work(flaw != NULL      ? flaw
                      : op->amount != 0 ? change
                                        : "SELECT amount FROM account WHERE id = 0",
                      NULL);
}

/* The comment tells which branch a backend runs. */
static struct blob *server_work(struct honest_side *side, const struct honest_op *op)
{
    char sql[160];
    char change[160];
    (void)side;
    (void)snprintf(change, sizeof change,
                   "UPDATE account SET amount = amount + %d WHERE id = %u /* %u */", op->amount,
                   op->account, op->gid);
    if (op->is_read_only) {
        (void)snprintf(sql, sizeof sql, "SELECT amount FROM account WHERE id = %u", op->account);
        return world_work(sql, NULL);
    }
    if (op->kind == HONEST_SAY || op->kind == HONEST_SAY_BEGIN) {
        return statement_work(op, change);
    }
    if (op->is_split) {
        (void)snprintf(sql, sizeof sql,
                       "UPDATE account SET amount = amount + %d WHERE id = %u AND amount + %d >= 0"
                       " /* %u */",
                       op->amount, op->account, op->amount, op->gid);
        return world_work_one(sql, 0, NULL, 1);
    }
    return world_work(change, flaw_sql(op->flaw), NULL);
}

static void server_submit(struct honest_side *side, const struct honest_op *op,
                          struct command *command)
{
    struct server *server = server_of(side);
    uint64_t id = command->id;
    honest_wire_forget(op->gid);
    if (op->flaw == FLAW_FAILED_BLOCK) {
        honest_wire_fail_block(op->gid);
    }
    if (op->standby_is_away) {
        world_lose_standby(server->world);
    }
    pg_submit(server->world->pg, command);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (op->standby_is_away && !world_answered(server->world, id) &&
           clock_monotonic_ms() < deadline_ms) {
        (void)world_sql(server->world, CANCEL_WAITS);
        pause_between_polls();
    }
    if (op->standby_is_away) {
        world_return_standby(server->world);
    }
}

static const struct command_result *server_await(struct honest_side *side, uint64_t id)
{
    return world_await(server_of(side)->world, id);
}

static void server_tag(struct honest_side *side, const struct honest_op *op, char tag[HONEST_TEXT])
{
    (void)side;
    honest_wire_tag(op->gid, tag);
}

static void server_await_wait(struct honest_side *side, const struct honest_op *op)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                   " AND query LIKE 'UPDATE%%/* %u */'",
                   op->gid);
    world_await_sql(server_of(side)->world, sql, "1");
}

/* ---- behind the agent's back ---- */

static void end_by_hand(struct server *server, bool commit, const char *gid_text)
{
    char sql[GID_TEXT_SIZE + 32];
    (void)snprintf(sql, sizeof sql, "%s PREPARED '%s'", commit ? "COMMIT" : "ROLLBACK", gid_text);
    (void)world_sql(server->world, sql);
}

/* A COMMIT PREPARED that waits for a standby: until then its gid is busy. Its backend is stopped there, so that the standby may
 * come back: nobody else is to wait. It holds no lock that others need. */
static void hold_by_hand(struct server *server, const char *gid_text)
{
    char sql[GID_TEXT_SIZE + 32];
    world_lose_standby(server->world);
    server->human = connect_human(server);
    (void)snprintf(sql, sizeof sql, "COMMIT PREPARED '%s'", gid_text);
    assert_int_equal(PQsendQuery(server->human, sql), 1);
    world_await_sql(server->world,
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1");
    assert_int_equal(kill(PQbackendPID(server->human), SIGSTOP), 0);
    world_return_standby(server->world);
}

static void let_go_by_hand(struct server *server)
{
    if (server->human == NULL) {
        return;
    }
    assert_int_equal(kill(PQbackendPID(server->human), SIGCONT), 0);
    drain(server->human);
    PQfinish(server->human);
    server->human = NULL;
}

/* In a session of its own, which ends with it. A row that does not become free is a failure, soon. */
static bool server_prepare(struct honest_side *side, const struct honest_op *op,
                           const char *gid_text, const struct gid *gid)
{
    struct server *server = server_of(side);
    char sql[GID_TEXT_SIZE + 200];
    (void)gid;
    char *conninfo = pgcluster_conninfo_for(server->world->cluster, WORLD_DATABASE, APPLICATION);
    PGconn *conn = PQconnectdb(conninfo);
    free(conninfo);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    (void)snprintf(sql, sizeof sql,
                   "BEGIN; SET LOCAL lock_timeout = '500ms';"
                   "UPDATE account SET amount = amount + %d WHERE id = %u;"
                   "PREPARE TRANSACTION '%s'",
                   op->amount, op->account, gid_text);
    PGresult *result = PQexec(conn, sql); /* the last one's, or the error */
    bool prepared = PQresultStatus(result) == PGRES_COMMAND_OK &&
                    strcmp(PQcmdStatus(result), "PREPARE TRANSACTION") == 0;
    PQclear(result);
    PQfinish(conn);
    return prepared;
}

/* A name is one in the whole cluster, whichever database it is in. */
static void prepare_foreign(struct server *server, const char *gid_text, bool is_elsewhere)
{
    char sql[GID_TEXT_SIZE + 80];
    struct error error = {0};
    (void)snprintf(sql, sizeof sql, "BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION '%s'",
                   gid_text);
    must(pgcluster_sql(server->world->cluster, is_elsewhere ? "postgres" : WORLD_DATABASE, sql,
                       NULL, &error),
         &error);
}

static void copy_data(const char *from, const char *to)
{
    struct error error = {0};
    int code = -1;
    const char *const argv[] = {"cp", "-a", from, to, NULL};
    const struct process_options options = {.argv = argv};
    if (access(to, F_OK) == 0) {
        must(process_remove_folder(to, &error), &error);
    }
    must(process_run(&options, clock_monotonic_ms() + 60000, &code, &error), &error);
    assert_int_equal(code, 0);
}

static void ask_for_recovery(struct server *server)
{
    struct error error = {0};
    struct stat status;
    char path[256];
    const char *folder = pgcluster_data_folder(server->world->cluster);
    must(pgcluster_configure(server->world->cluster, "restore_command = 'false'", &error), &error);
    (void)snprintf(path, sizeof path, "%s/recovery.signal", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(stat(folder, &status), 0);
    assert_int_equal(chown(path, status.st_uid, status.st_gid), 0);
}

/* Of the one branch that is open. */
static void await_gone(struct server *server)
{
    world_await_sql(server->world, "SELECT count(*) " IDLE_BRANCHES, "0");
}

/* The server stops, something is done to its files, and it starts. */
static void restart(struct server *server, const struct honest_op *op)
{
    struct world *world = server->world;
    struct error error = {0};
    const char *folder = pgcluster_data_folder(world->cluster);
    if (op->agent_is_away) {
        edge_stop(server);
    }
    if (op->kind == HONEST_CRASH) {
        must(pgcluster_kill(world->cluster, &error), &error);
    } else {
        must(pgcluster_stop(world->cluster, PGCLUSTER_FAST, &error), &error);
    }
    if (!op->agent_is_away) {
        world_await_health(world, HEALTH_DOWN);
    }
    if (op->kind == HONEST_COPY) {
        copy_data(folder, server->copy);
    } else if (op->kind == HONEST_RESTORE) {
        copy_data(server->copy, folder);
    } else if (op->kind == HONEST_PROMOTE) {
        ask_for_recovery(server);
    }
    must(pgcluster_start(world->cluster, &error), &error);
    if (op->agent_is_away) {
        edge_start(server);
        return;
    }
    world_await_health(world, HEALTH_UP);
    if (op->kind == HONEST_COPY) {
        /* Else what a restart writes could be as much as what is lost. */
        (void)world_sql(world, "SELECT pg_switch_wal()");
    }
    warm_up(server);
}

static void server_act(struct honest_side *side, const struct honest_op *op, const char *gid_text,
                       const struct gid *gid)
{
    struct server *server = server_of(side);
    char sql[GID_TEXT_SIZE + 80];
    (void)gid;
    switch (op->kind) {
    case HONEST_AWAIT_PREPARED:
        (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_prepared_xacts WHERE gid = '%s'",
                       gid_text);
        world_await_sql(server->world, sql, "1");
        return;
    case HONEST_HUMAN_ENDS:
        (void)world_sql(server->world, "SELECT pg_terminate_backend(pid) " IDLE_BRANCHES);
        await_gone(server);
        return;
    case HONEST_AWAIT_GONE:
        await_gone(server);
        return;
    case HONEST_AGENT_DIES:
        edge_stop(server);
        edge_start(server);
        return;
    case HONEST_CRASH:
    case HONEST_COPY:
    case HONEST_RESTORE:
    case HONEST_PROMOTE:
        restart(server, op);
        return;
    case HONEST_HUMAN_COMMIT:
    case HONEST_HUMAN_ROLLBACK:
        end_by_hand(server, op->kind == HONEST_HUMAN_COMMIT, gid_text);
        return;
    case HONEST_HUMAN_HOLDS:
        hold_by_hand(server, gid_text);
        return;
    case HONEST_HUMAN_LETS_GO:
        let_go_by_hand(server);
        return;
    case HONEST_FOREIGN:
        prepare_foreign(server, gid_text, op->is_elsewhere);
        return;
    case HONEST_REVOKE:
        (void)world_sql(server->world, "REVOKE " APPLICATION " FROM " WORLD_ROLE);
        return;
    case HONEST_GRANT:
        (void)world_sql(server->world, "GRANT " APPLICATION " TO " WORLD_ROLE);
        return;
    default:
        fail_msg("the server does not know operation %d", (int)op->kind);
    }
}

static void server_history(struct honest_side *side, uint64_t *ret_changes, uint32_t *ret_timeline)
{
    struct server *server = server_of(side);
    struct world *world = server->world;
    (void)pthread_mutex_lock(&world->mutex);
    *ret_changes = server->changes + world->history_changes;
    *ret_timeline = world->status.identity.timeline;
    (void)pthread_mutex_unlock(&world->mutex);
}

static void server_look(struct honest_side *side, char accounts[HONEST_TEXT],
                        char prepared[HONEST_TEXT], char outcomes[HONEST_TEXT])
{
    struct world *world = server_of(side)->world;
    (void)snprintf(accounts, HONEST_TEXT, "%s",
                   world_sql(world, "SELECT string_agg(id || '=' || amount, ' ' ORDER BY id)"
                                    " FROM account WHERE amount <> 1000"));
    (void)snprintf(prepared, HONEST_TEXT, "%s",
                   world_sql(world, "SELECT string_agg(gid, ' ') FROM pg_prepared_xacts"));
    (void)snprintf(outcomes, HONEST_TEXT, "%s",
                   world_sql(world, "SELECT string_agg(gid, ' ') FROM assent.outcome"));
}

/* ---- birth and end ---- */

struct honest_side *honest_server_new(void)
{
    struct server *server = alloc_zeroed(sizeof *server);
    const struct pgcluster_options options = {.max_prepared_transactions = HONEST_SLOTS};
    server->world = world_new(&options);
    (void)snprintf(server->copy, sizeof server->copy, "%s.copy",
                   pgcluster_data_folder(server->world->cluster));
    server->side = (struct honest_side){
        .name = "server",
        .now_ms = server_now_ms,
        .work = server_work,
        .submit = server_submit,
        .await = server_await,
        .tag = server_tag,
        .await_wait = server_await_wait,
        .act = server_act,
        .prepare = server_prepare,
        .history = server_history,
        .look = server_look,
    };
    (void)world_sql(server->world,
                    "CREATE TABLE account (id int PRIMARY KEY, amount int CHECK (amount >= 0));"
                    "CREATE ROLE " APPLICATION " LOGIN;"
                    "GRANT ALL ON account TO " WORLD_ROLE ", " APPLICATION);
    return &server->side;
}

/* What an earlier script left is taken away, also if it failed half-way. */
static void prepared_clear(struct world *world, const char *database)
{
    char sql[GID_TEXT_SIZE + 32];
    struct error error = {0};
    for (int i = 0; i <= HONEST_SLOTS; i++) {
        char *gid = NULL;
        must(pgcluster_sql(world->cluster, database,
                           "SELECT gid FROM pg_prepared_xacts"
                           " WHERE database = current_database() LIMIT 1",
                           &gid, &error),
             &error);
        if (gid == NULL) {
            return;
        }
        (void)snprintf(sql, sizeof sql, "ROLLBACK PREPARED '%s'", gid);
        must(pgcluster_sql(world->cluster, database, sql, NULL, &error), &error);
        free(gid);
    }
}

static void clear(struct server *server)
{
    struct world *world = server->world;
    if (world->pg != NULL) {
        world_stop(world);
    }
    world_return_standby(server->world);
    let_go_by_hand(server);
    prepared_clear(world, WORLD_DATABASE);
    prepared_clear(world, "postgres");
    (void)world_sql(world, "TRUNCATE account, assent.outcome, assent.witness;"
                           "UPDATE assent.ring SET current = 0;"
                           "SET client_min_messages = error;" /* it may be a member */
                           "GRANT " APPLICATION " TO " WORLD_ROLE ";"
                           "INSERT INTO account SELECT i, 1000 FROM generate_series(0, 11) i");
}

void honest_server_begin(struct honest_side *side, const struct honest_script *script)
{
    struct server *server = server_of(side);
    server->proof = script->proof;
    clear(server);
    memset(side->open, 0, sizeof side->open);
    memset(side->said, 0, sizeof side->said);
    memset(side->proofs, 0, sizeof side->proofs);
    /* Numbers of commands are not used again, nor are those that the world gives. */
    side->next_id = side->next_id == 0 ? (uint64_t)1 << 40 : side->next_id;
    edge_start(server);
}

void honest_server_end(struct honest_side *side)
{
    edge_stop(server_of(side));
}

void honest_server_free(struct honest_side *side)
{
    struct server *server = server_of(side);
    let_go_by_hand(server);
    world_free(server->world);
    free(server);
}
