/* database.c - the outside reader: libpq and nothing else (kit.h). */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/scenarios/kit/kit.h"

#define AWAIT_PAUSE_MS 50
#define COPY_BYTES     ((size_t)1 << 20)

static const char *conninfo_of(const struct kit *kit, const char *participant)
{
    size_t index = 0;
    json_t *database = NULL;
    json_array_foreach(kit->databases, index, database)
    {
        const char *name = json_string_value(json_object_get(database, "participant"));
        if (name != NULL && strcmp(name, participant) == 0) {
            return json_string_value(json_object_get(database, "conninfo"));
        }
    }
    kit_give_up(kit, EX_UNAVAILABLE, NULL, "the demo has no database for %s", participant);
}

/* One try. Returns owned; NULL, with the reason in `why` (owned), if the database is not there. */
static PGconn *connect_once(const struct kit *kit, const char *participant, char **ret_why)
{
    char *conninfo = kit_text("%s connect_timeout=10 application_name=assent-demo-%s "
                              "options='-c search_path=%s -c client_min_messages=warning "
                              "-c statement_timeout=60s -c lock_timeout=30s'",
                              conninfo_of(kit, participant), kit->scenario->name, kit->schema);
    PGconn *connection = PQconnectdb(conninfo);
    free(conninfo);
    if (PQstatus(connection) == CONNECTION_OK) {
        return connection;
    }
    *ret_why = kit_text("database %s: %s", participant, PQerrorMessage(connection));
    PQfinish(connection);
    return NULL;
}

PGconn *database_connect(const struct kit *kit, const char *participant)
{
    for (unsigned int attempt = 0;; attempt++) {
        char *why = NULL;
        PGconn *connection = connect_once(kit, participant, &why);
        if (connection != NULL) {
            return connection;
        }
        kit_pause(kit, attempt, 0, why);
        free(why);
    }
}

/* The connections of a thread, in the order of the scenario's schemas. */
struct connections {
    size_t count;
    PGconn *of[];
};

static pthread_key_t connections_key;
static pthread_once_t connections_once = PTHREAD_ONCE_INIT;

static void connections_free(void *value)
{
    struct connections *connections = value;
    for (size_t i = 0; i < connections->count; i++) {
        PQfinish(connections->of[i]);
    }
    free(connections);
}

static void connections_init(void)
{
    if (pthread_key_create(&connections_key, connections_free) != 0) {
        abort();
    }
}

static struct connections *connections_get(const struct kit *kit)
{
    pthread_once(&connections_once, connections_init);
    struct connections *connections = pthread_getspecific(connections_key);
    if (connections == NULL) {
        const size_t count = kit->scenario->schema_count;
        connections = calloc(1, sizeof *connections + count * sizeof(PGconn *));
        if (connections == NULL || pthread_setspecific(connections_key, connections) != 0) {
            abort();
        }
        connections->count = count;
    }
    return connections;
}

PGconn *database_thread(const struct kit *kit, const char *participant, char **ret_why)
{
    struct connections *connections = connections_get(kit);
    size_t index = 0;
    while (index < connections->count &&
           strcmp(kit->scenario->schemas[index].participant, participant) != 0) {
        index++;
    }
    if (index == connections->count) {
        abort(); /* a scenario's mistake */
    }
    PGconn **connection = &connections->of[index];
    if (PQstatus(*connection) != CONNECTION_OK) {
        PQfinish(*connection);
        *connection = connect_once(kit, participant, ret_why);
    }
    return *connection;
}

/* Rows as one text: "a b, c d". Returns owned. */
static char *result_text(const PGresult *result)
{
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&text, &size_bytes);
    if (out == NULL) {
        abort();
    }
    for (int row = 0; row < PQntuples(result); row++) {
        for (int column = 0; column < PQnfields(result); column++) {
            fputs(column > 0 ? " " : row > 0 ? ", " : "", out);
            fputs(PQgetisnull(result, row, column) ? "-" : PQgetvalue(result, row, column), out);
        }
    }
    fclose(out);
    return text;
}

char *database_ask(PGconn *connection, const char *sql, char **ret_why)
{
    PGresult *result = PQexec(connection, sql);
    const bool is_told = PQresultStatus(result) == PGRES_TUPLES_OK;
    char *text = is_told ? result_text(result) : NULL;
    if (!is_told) {
        *ret_why = kit_text("%s", PQerrorMessage(connection));
    }
    PQclear(result);
    return text;
}

char *database_value(const struct kit *kit, const char *participant, const char *sql)
{
    for (unsigned int attempt = 0;; attempt++) {
        char *why = NULL;
        PGconn *connection = database_connect(kit, participant);
        char *text = database_ask(connection, sql, &why);
        const bool is_gone = PQstatus(connection) != CONNECTION_OK;
        PQfinish(connection);
        if (text != NULL) {
            return text;
        }
        if (!is_gone) {
            kit_give_up(kit, EX_UNAVAILABLE, NULL, "database %s: %s", participant, why);
        }
        kit_pause(kit, attempt, 0, why); /* it was killed under us: a question can be asked again */
        free(why);
    }
}

void database_run(const struct kit *kit, PGconn *connection, const char *sql, size_t param_count,
                  const char *const *params)
{
    /* Without parameters the simple protocol: it takes several statements at once. */
    PGresult *result = param_count == 0 ? PQexec(connection, sql)
                                        : PQexecParams(connection, sql, (int)param_count, NULL,
                                                       params, NULL, NULL, 0);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        kit_give_up(kit, EX_UNAVAILABLE,
                    "`assent demo up` finishes what a killed run has left; then try again",
                    "database %s: %s", PQdb(connection), PQerrorMessage(connection));
    }
    PQclear(result);
}

void database_copy(const struct kit *kit, const char *participant, const char *table,
                   const char *lines)
{
    PGconn *connection = database_connect(kit, participant);
    char *sql = kit_text("COPY %s FROM STDIN", table);
    PGresult *begun = PQexec(connection, sql);
    const size_t size_bytes = strlen(lines);
    bool is_well = PQresultStatus(begun) == PGRES_COPY_IN;
    for (size_t i = 0; is_well && i < size_bytes; i += COPY_BYTES) {
        const size_t left = size_bytes - i;
        is_well =
            PQputCopyData(connection, lines + i, (int)(left < COPY_BYTES ? left : COPY_BYTES)) == 1;
    }
    is_well = is_well && PQputCopyEnd(connection, NULL) == 1;
    PGresult *ended = is_well ? PQgetResult(connection) : NULL;
    if (PQresultStatus(ended) != PGRES_COMMAND_OK) {
        kit_give_up(kit, EX_UNAVAILABLE, NULL, "database %s: %s", participant,
                    PQerrorMessage(connection));
    }
    PQclear(ended);
    PQclear(begun);
    free(sql);
    PQfinish(connection);
}

/* One run at a time in a demo: a lock of the session, which ends with this process however it ends. */
static void take_lock(struct kit *kit)
{
    char *why = NULL;
    kit->lock = database_connect(kit, kit->scenario->schemas[0].participant);
    char *sql =
        kit_text("SELECT pg_try_advisory_lock(hashtext('assent-demo-%s'))", kit->scenario->name);
    char *answer = database_ask(kit->lock, sql, &why);
    if (answer == NULL) {
        kit_give_up(kit, EX_UNAVAILABLE, NULL, "%s", why);
    }
    if (strcmp(answer, "t") != 0) {
        kit_give_up(kit, EX_UNAVAILABLE, "wait for it, or name another demo with --dir",
                    "this scenario is running in this demo already");
    }
    free(answer);
    free(sql);
}

void database_prepare(struct kit *kit)
{
    take_lock(kit);
    for (size_t i = 0; i < kit->scenario->schema_count; i++) {
        const struct scenario_schema *schema = &kit->scenario->schemas[i];
        PGconn *connection = database_connect(kit, schema->participant);
        /* The agents' roles are called so: assent-demo(1). */
        char *sql =
            kit_text("BEGIN; DROP SCHEMA IF EXISTS %1$s CASCADE; CREATE SCHEMA %1$s;\n%2$s\n"
                     "GRANT USAGE ON SCHEMA %1$s TO \"assent_%3$s\";\n"
                     "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %1$s TO "
                     "\"assent_%3$s\";\n"
                     "COMMIT;",
                     kit->schema, schema->sql, schema->participant);
        database_run(kit, connection, sql, 0, NULL);
        free(sql);
        PQfinish(connection);
    }
}

bool database_await(const struct kit *kit, const char *participant, const char *sql,
                    const char *expected, uint64_t timeout_ms)
{
    const uint64_t until_ms = kit_now_ms() + timeout_ms;
    for (;;) {
        char *value = database_value(kit, participant, sql);
        const bool is_so = strcmp(value, expected) == 0;
        free(value);
        if (is_so || kit_now_ms() >= until_ms) {
            return is_so;
        }
        poll(NULL, 0, AWAIT_PAUSE_MS);
    }
}

/* All tables of the scenario's are locked for a moment: whoever else has one, prepared or not, is waited for. */
static bool settle_one(const struct kit *kit, const char *participant, uint64_t timeout_ms)
{
    char *sql = kit_text(
        "DO $$ DECLARE t name; BEGIN\n"
        "    PERFORM set_config('lock_timeout', '%llu', true);\n"
        "    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = '%s' ORDER BY 1 LOOP\n"
        "        EXECUTE format('LOCK TABLE %%I IN ACCESS EXCLUSIVE MODE', t);\n"
        "    END LOOP; END $$",
        (unsigned long long)timeout_ms, kit->schema);
    PGconn *connection = database_connect(kit, participant);
    PGresult *result = PQexec(connection, sql);
    const bool is_free = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    PQfinish(connection);
    free(sql);
    return is_free;
}

bool database_settle(const struct kit *kit, uint64_t timeout_ms)
{
    const uint64_t until_ms = kit_now_ms() + timeout_ms;
    bool is_free = true;
    for (size_t i = 0; i < kit->scenario->schema_count; i++) {
        const uint64_t now_ms = kit_now_ms();
        is_free = settle_one(kit, kit->scenario->schemas[i].participant,
                             now_ms < until_ms ? until_ms - now_ms : 1) &&
                  is_free;
    }
    return is_free;
}
