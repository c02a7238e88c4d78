/*
 * shop.c - the tables that clients work on, and what they hold at the begin and at the end. See run.h.
 */
#include <inttypes.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "run.h"

#define ROWS_PER_LINE 5000 /* of a dump: lines stay far below the format's limit */
#define OPENING       1000

static const char tables[] =
    "CREATE TABLE effects(key text, seq integer, xid xid8 DEFAULT pg_current_xact_id(), k text, v "
    "bigint);"
    "CREATE TABLE accounts(id text PRIMARY KEY, balance bigint NOT NULL);"
    "CREATE TABLE lists(id text PRIMARY KEY, vals bigint[] NOT NULL DEFAULT '{}');"
    "CREATE TABLE registers(id text PRIMARY KEY, v bigint, n bigint NOT NULL DEFAULT 0);"
    "CREATE TABLE once(id text PRIMARY KEY);"
    "CREATE TABLE later(id text UNIQUE DEFERRABLE INITIALLY DEFERRED);"
    "CREATE TABLE child(parent text REFERENCES once DEFERRABLE INITIALLY DEFERRED);"
    "INSERT INTO once VALUES ('taken'); INSERT INTO later VALUES ('taken');";

static bool setup_database(struct run *run, size_t index, struct error *ret_error)
{
    char sql[1024];
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO accounts SELECT 'a' || i, %d FROM generate_series(0, %d) AS i;"
                   "INSERT INTO accounts SELECT 'hot' || i, %d FROM generate_series(0, %d) AS i;"
                   "INSERT INTO registers(id) SELECT 'r' || i FROM generate_series(0, %d) AS i;"
                   "INSERT INTO lists(id) SELECT 'l' || i FROM generate_series(0, %d) AS i;"
                   "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "
                   "assent_%s",
                   OPENING, SHOP_ACCOUNTS - 1, OPENING, SHOP_HOT - 1, SHOP_REGISTERS - 1,
                   SHOP_LISTS_AHEAD - 1, run->world.names[index]);
    return stack_sql(run->world.stack, index, tables, NULL, ret_error) &&
           stack_sql(run->world.stack, index, sql, NULL, ret_error);
}

bool shop_setup(struct run *run, struct error *ret_error)
{
    for (size_t i = 0; i < run->world.database_count; i++) {
        if (!setup_database(run, i, ret_error)) {
            return error_wrap(ret_error, "tables of %s", run->world.names[i]);
        }
    }
    atomic_store(&run->lists_ready, SHOP_LISTS_AHEAD);
    return true;
}

/* --- lists ------------------------------------------------------------------------------------ */

uint64_t shop_list_base(struct run *run)
{
    uint64_t in_use = (uint64_t)SHOP_LIST_WINDOW * SHOP_LIST_APPENDS * run->world.database_count;
    uint64_t base = atomic_load(&run->appended) / in_use * SHOP_LIST_WINDOW;
    uint64_t ready = atomic_load(&run->lists_ready);
    return base + SHOP_LIST_WINDOW <= ready ? base : ready - SHOP_LIST_WINDOW;
}

static PGconn *connect_database(const struct run *run, size_t index, struct error *ret_error)
{
    char *conninfo = pgcluster_conninfo_for(run->world.clusters[index],
                                            stack_database(run->world.stack), "postgres");
    char *bounded = NULL;
    if (asprintf(&bounded, "%s connect_timeout=2", conninfo) < 0) {
        abort();
    }
    PGconn *connection = PQconnectdb(bounded);
    free(bounded);
    free(conninfo);
    if (PQstatus(connection) != CONNECTION_OK) {
        (void)error_set(ret_error, ERROR_UNAVAILABLE, "%s: %s", run->world.names[index],
                        PQerrorMessage(connection));
        PQfinish(connection);
        return NULL;
    }
    return connection;
}

void shop_refill(struct run *run)
{
    uint64_t ready = atomic_load(&run->lists_ready);
    if (ready - shop_list_base(run) > SHOP_LISTS_AHEAD / 2) {
        return;
    }
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO lists(id) SELECT 'l' || i FROM generate_series(%" PRIu64
                   ", %" PRIu64 ") AS i ON CONFLICT DO NOTHING",
                   ready, ready + SHOP_LISTS_AHEAD - 1);
    for (size_t i = 0; i < run->world.database_count; i++) {
        PGconn *connection = connect_database(run, i, NULL);
        PGresult *result = connection == NULL ? NULL : PQexec(connection, sql);
        bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
        PQfinish(connection);
        if (!done) {
            return; /* the next second brings another chance */
        }
    }
    atomic_store(&run->lists_ready, ready + SHOP_LISTS_AHEAD);
}

/* --- dumps ------------------------------------------------------------------------------------ */

struct dump {
    struct run *run;
    size_t database;
    const char *at;
    PGconn *connection;
};

static json_t *new_line(const struct dump *dump)
{
    return json_pack("{s:s,s:I,s:s,s:s}", "type", "dump", "t",
                     (json_int_t)history_now_us(dump->run->history), "at", dump->at, "db",
                     dump->run->world.names[dump->database]);
}

/* A row as part of the line's member. */
typedef void (*take_row)(json_t *member, const PGresult *row);

static json_t *integer_at(const PGresult *row, int column)
{
    return PQgetisnull(row, 0, column)
               ? json_null()
               : json_integer(strtoll(PQgetvalue(row, 0, column), NULL, 10));
}

static void take_effect(json_t *effects, const PGresult *row)
{
    json_t *k = PQgetisnull(row, 0, 3) ? json_null() : json_string(PQgetvalue(row, 0, 3));
    (void)json_array_append_new(effects,
                                json_pack("[s,o,o,o,o]", PQgetvalue(row, 0, 0), integer_at(row, 1),
                                          integer_at(row, 2), k, integer_at(row, 4)));
}

static void take_balance(json_t *balances, const PGresult *row)
{
    (void)json_object_set_new(balances, PQgetvalue(row, 0, 0), integer_at(row, 1));
}

static void take_register(json_t *registers, const PGresult *row)
{
    (void)json_object_set_new(registers, PQgetvalue(row, 0, 0),
                              json_pack("[o,o]", integer_at(row, 1), integer_at(row, 2)));
}

static void take_list(json_t *lists, const PGresult *row)
{
    /* As array_to_json gives it. */
    json_t *list = json_loads(PQgetvalue(row, 0, 1), 0, NULL);
    (void)json_object_set_new(lists, PQgetvalue(row, 0, 0), list == NULL ? json_array() : list);
}

static void take_gid(json_t *prepared, const PGresult *row)
{
    (void)json_array_append_new(prepared, json_string(PQgetvalue(row, 0, 0)));
}

/* Row by row, so that a run of days needs no more memory than one of seconds. */
static bool dump_rows(const struct dump *dump, const char *member, bool is_array, const char *sql,
                      take_row take, struct error *ret_error)
{
    bool succeeded =
        PQsendQuery(dump->connection, sql) == 1 && PQsetSingleRowMode(dump->connection) == 1;
    json_t *rows = is_array ? json_array() : json_object();
    size_t count = 0;
    PGresult *result;
    while (succeeded && (result = PQgetResult(dump->connection)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        bool ends = status == PGRES_TUPLES_OK;
        succeeded = ends || status == PGRES_SINGLE_TUPLE;
        if (status == PGRES_SINGLE_TUPLE) {
            take(rows, result);
            count++;
        }
        PQclear(result);
        if ((ends || count == ROWS_PER_LINE) && succeeded) {
            json_t *line = new_line(dump);
            (void)json_object_set_new(line, member, rows);
            history_write(dump->run->history, line);
            rows = is_array ? json_array() : json_object();
            count = 0;
        }
    }
    json_decref(rows);
    return succeeded || error_set(ret_error, ERROR_UNAVAILABLE, "dump of %s: %s", member,
                                  PQerrorMessage(dump->connection));
}

static bool dump_count(const struct dump *dump, const char *member, const char *sql,
                       struct error *ret_error)
{
    PGresult *result = PQexec(dump->connection, sql);
    bool succeeded = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
    if (succeeded) {
        json_t *line = new_line(dump);
        (void)json_object_set_new(line, member, integer_at(result, 0));
        history_write(dump->run->history, line);
    } else {
        (void)error_set(ret_error, ERROR_UNAVAILABLE, "%s: %s", member,
                        PQerrorMessage(dump->connection));
    }
    PQclear(result);
    return succeeded;
}

static bool dump_database(const struct dump *dump, bool everything, struct error *ret_error)
{
    char idle[256];
    (void)snprintf(idle, sizeof idle,
                   "SELECT count(*) FROM pg_stat_activity WHERE usename = 'assent_%s'"
                   " AND state LIKE 'idle in transaction%%'",
                   dump->run->world.names[dump->database]);
    bool succeeded =
        dump_rows(dump, "balances", false, "SELECT id, balance FROM accounts ORDER BY id",
                  take_balance, ret_error);
    if (!succeeded || !everything) {
        return succeeded;
    }
    return dump_rows(dump, "effects", true, "SELECT key, seq, xid, k, v FROM effects", take_effect,
                     ret_error) &&
           dump_rows(dump, "lists", false,
                     "SELECT id, array_to_json(vals) FROM lists WHERE vals <> '{}'", take_list,
                     ret_error) &&
           dump_rows(dump, "registers", false, "SELECT id, v, n FROM registers", take_register,
                     ret_error) &&
           dump_rows(dump, "prepared", true,
                     "SELECT gid FROM pg_prepared_xacts WHERE starts_with(gid, 'assent:')",
                     take_gid, ret_error) &&
           dump_count(dump, "locks",
                      "SELECT count(*) FROM pg_locks WHERE virtualtransaction LIKE '-1/%'",
                      ret_error) &&
           dump_count(dump, "idle", idle, ret_error);
}

bool shop_dump(struct run *run, const char *at, struct error *ret_error)
{
    for (size_t i = 0; i < run->world.database_count; i++) {
        PGconn *connection = connect_database(run, i, ret_error);
        if (connection == NULL) {
            return false;
        }
        const struct dump dump = {.run = run, .database = i, .at = at, .connection = connection};
        bool succeeded = dump_database(&dump, strcmp(at, "end") == 0, ret_error);
        PQfinish(connection);
        if (!succeeded) {
            return error_wrap(ret_error, "%s", run->world.names[i]);
        }
    }
    return true;
}
