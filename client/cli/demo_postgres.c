/*
 * demo_postgres.c - the demo's private PostgreSQL clusters: one per participant, in its own folder, reached through a
 * Unix socket with passwords from a passfile. The packaged cluster is never looked at.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/demo.h"
#include "common/alloc.h"

#define POSTGRES_BIN        "/usr/lib/postgresql/15/bin"
#define POSTGRES_TIMEOUT_MS 20000

static const char *postgres_bin(void)
{
    const char *given = getenv("ASSENT_PG_BINDIR");
    return given != NULL && given[0] != 0 ? given : POSTGRES_BIN;
}

static const char conf_lines[] =
    "\n# Set by `assent demo up`:\n"
    "listen_addresses = ''\n"
    "unix_socket_permissions = 0700\n"
    "max_connections = 100\n"
    "# Assent needs it; at least as many as transactions may be in doubt at a time.\n"
    "max_prepared_transactions = 300\n"
    "shared_buffers = 64MB\n"
    "log_line_prefix = '%m [%p] %d '\n";

static bool postgres_append_conf(const char *data, struct error *ret_error)
{
    char *path = text_format("%s/postgresql.conf", data);
    FILE *file = fopen(path, "ae");
    bool ok = file != NULL && fputs(conf_lines, file) >= 0;
    ok = (file == NULL || fclose(file) == 0) && ok;
    if (!ok) {
        error_set_errno(ret_error, ERROR_IO, errno, "%s", path);
    }
    free(path);
    return ok;
}

/* Made under another name and renamed when complete: an interrupted initdb leaves nothing that looks finished. */
static bool postgres_init(const struct demo *demo, const struct demo_participant *participant,
                          struct error *ret_error)
{
    char data[DEMO_PATH_SIZE];
    char fresh[DEMO_PATH_SIZE];
    char log[DEMO_PATH_SIZE];
    char pwfile[DEMO_PATH_SIZE];
    char *password = NULL;
    demo_path(demo, fresh, "postgres/%s.new", participant->name);
    demo_path(demo, log, "log/postgres-%s.log", participant->name);
    demo_path(demo, pwfile, "secrets/%s.initdb", participant->name);
    if (access(demo_path(demo, data, "postgres/%s", participant->name), F_OK) == 0) {
        return true;
    }
    char *initdb = text_format("%s/initdb", postgres_bin());
    char *pwoption = text_format("--pwfile=%s", pwfile);
    const char *const argv[] = {initdb,
                                "-D",
                                fresh,
                                "-U",
                                "postgres",
                                pwoption,
                                "--auth=scram-sha-256",
                                "--encoding=UTF8",
                                "--locale=C.UTF-8",
                                "--data-checksums",
                                NULL};
    const struct demo_process init = {
        .title = "initdb", .argv = argv, .program_fd = -1, .log_path = log};
    bool ok = demo_remove_tree(fresh, ret_error) &&
              demo_read_password(demo, participant, "postgres", &password, ret_error) &&
              demo_write(pwfile, password, NULL, ret_error) && demo_process_run(&init, ret_error) &&
              postgres_append_conf(fresh, ret_error);
    unlink(pwfile);
    if (ok && rename(fresh, data) != 0) {
        ok = error_set_errno(ret_error, ERROR_IO, errno, "%s", data);
    }
    free(password);
    free(pwoption);
    free(initdb);
    return ok;
}

bool demo_postgres_down(const struct demo *demo, const struct demo_participant *participant,
                        struct error *ret_error)
{
    char pid_path[DEMO_PATH_SIZE];
    demo_path(demo, pid_path, "run/postgres-%s.pid", participant->name);
    return demo_process_stop("postgres", pid_path, SIGINT, SIGQUIT, POSTGRES_TIMEOUT_MS, ret_error);
}

/*
 * A killed postmaster leaves lock files, which its successor believes as long as the pid in them exists, be it as a zombie
 * that nobody reaps (containers without an init). That nothing works in the folder any more has been seen by now.
 */
static void postgres_drop_locks(const struct demo *demo, const struct demo_participant *participant,
                                const char *data)
{
    char *lock = text_format("%s/postmaster.pid", data);
    unlink(lock);
    free(lock);
    lock = text_format("%s/.s.PGSQL.%u.lock", demo->sockets, participant->postgres_port);
    unlink(lock);
    free(lock);
}

static bool postgres_start(const struct demo *demo, const struct demo_participant *participant,
                           struct error *ret_error)
{
    char data[DEMO_PATH_SIZE];
    char log[DEMO_PATH_SIZE];
    char pid_path[DEMO_PATH_SIZE];
    char port[16];
    char *program = text_format("%s/postgres", postgres_bin());
    char *title = text_format("postgres %s", participant->name);
    demo_path(demo, data, "postgres/%s", participant->name);
    snprintf(port, sizeof port, "%u", participant->postgres_port);
    const char *const argv[] = {program, "-D", data, "-k", demo->sockets, "-p", port, NULL};
    const struct demo_process process = {
        .title = title,
        .argv = argv,
        .program_fd = -1,
        .log_path = demo_path(demo, log, "log/postgres-%s.log", participant->name),
        .pid_path = demo_path(demo, pid_path, "run/postgres-%s.pid", participant->name),
    };
    /* Backends of a killed postmaster hold its shared memory until they notice. */
    bool ok = demo_process_wait_folder(data, ret_error);
    if (ok) {
        postgres_drop_locks(demo, participant, data);
        ok = demo_process_start(demo, &process, ret_error);
    }
    free(program);
    free(title);
    return ok;
}

static PGconn *postgres_connect(const struct demo *demo, const struct demo_participant *participant,
                                const char *database, struct error *ret_error)
{
    char *conninfo = demo_conninfo(demo, participant, "postgres", database);
    char *full = text_format("%s connect_timeout=20 application_name=assent-demo "
                             "options='-c statement_timeout=60s -c client_min_messages=warning'",
                             conninfo);
    PGconn *connection = PQconnectdb(full);
    free(full);
    free(conninfo);
    if (PQstatus(connection) != CONNECTION_OK) {
        error_set(ret_error, ERROR_UNAVAILABLE, "database of %s: %s", participant->name,
                  PQerrorMessage(connection));
        PQfinish(connection);
        return NULL;
    }
    return connection;
}

static bool postgres_run(PGconn *connection, const char *sql, struct error *ret_error)
{
    PGresult *result = PQexec(connection, sql);
    const ExecStatusType status = PQresultStatus(result);
    const bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!ok) {
        error_set(ret_error, ERROR_SYSTEM, "set-up of a database: %s", PQerrorMessage(connection));
    }
    PQclear(result);
    return ok;
}

/* The database is named like the participant. */
static bool postgres_make_database(const struct demo *demo,
                                   const struct demo_participant *participant,
                                   struct error *ret_error)
{
    PGconn *connection = postgres_connect(demo, participant, "postgres", ret_error);
    if (connection == NULL) {
        return false;
    }
    const char *const values[] = {participant->name};
    PGresult *result = PQexecParams(connection, "SELECT FROM pg_database WHERE datname = $1", 1,
                                    NULL, values, NULL, NULL, 0);
    bool ok = PQresultStatus(result) == PGRES_TUPLES_OK ||
              error_set(ret_error, ERROR_SYSTEM, "%s", PQerrorMessage(connection));
    const bool is_there = ok && PQntuples(result) > 0;
    PQclear(result);
    if (ok && !is_there) {
        char *sql = text_format("CREATE DATABASE \"%s\"", participant->name);
        ok = postgres_run(connection, sql, ret_error);
        free(sql);
    }
    PQfinish(connection);
    return ok;
}

static const struct schema {
    const char *participant;
    const char *sql;
} schemas[] = {
    {"order", "CREATE TABLE IF NOT EXISTS orders (\n"
              "    id text PRIMARY KEY,\n"
              "    customer text NOT NULL,\n"
              "    amount numeric NOT NULL CHECK (amount > 0),\n"
              "    created_at timestamptz NOT NULL DEFAULT now());"},
    {"payment", "CREATE TABLE IF NOT EXISTS accounts (\n"
                "    id text PRIMARY KEY,\n"
                "    balance numeric NOT NULL CHECK (balance >= 0));\n"
                "CREATE TABLE IF NOT EXISTS payments (\n"
                "    id text PRIMARY KEY,\n"
                "    account text NOT NULL REFERENCES accounts,\n"
                "    amount numeric NOT NULL CHECK (amount > 0),\n"
                "    created_at timestamptz NOT NULL DEFAULT now());\n"
                "INSERT INTO accounts (id, balance)\n"
                "    VALUES ('c-1', 1000.00), ('c-2', 250.00), ('c-3', 5.00), ('c-7', 10000.00)\n"
                "    ON CONFLICT DO NOTHING;"},
};

static bool postgres_make_schema(const struct demo *demo,
                                 const struct demo_participant *participant,
                                 struct error *ret_error)
{
    char *role = text_format("assent_%s", participant->name);
    char *password = NULL;
    PGconn *connection = postgres_connect(demo, participant, participant->name, ret_error);
    bool ok =
        connection != NULL && demo_read_password(demo, participant, role, &password, ret_error);
    for (size_t i = 0; ok && i < sizeof schemas / sizeof *schemas; i++) {
        ok = strcmp(schemas[i].participant, participant->name) != 0 ||
             postgres_run(connection, schemas[i].sql, ret_error);
    }
    if (ok) {
        char *sql = text_format(
            "ALTER ROLE \"%s\" PASSWORD '%s';\n"
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"%s\";\n"
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO \"%s\";\n"
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public\n"
            "    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO \"%s\";\n"
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO \"%s\";",
            role, password, role, role, role, role);
        ok = postgres_run(connection, sql, ret_error);
        explicit_bzero(sql, strlen(sql));
        free(sql);
    }
    PQfinish(connection);
    free(password);
    free(role);
    return ok;
}

/* `assent-agent setup`: the role, the schema assent, the token. */
static bool postgres_setup_agent(const struct demo *demo,
                                 const struct demo_participant *participant,
                                 struct error *ret_error)
{
    char conf[DEMO_PATH_SIZE];
    char log[DEMO_PATH_SIZE];
    char *admin = demo_conninfo(demo, participant, "postgres", participant->name);
    const char *const argv[] = {
        "assent-agent", "setup",
        "--config",     demo_path(demo, conf, "agent-%s.conf", participant->name),
        "--apply",      "--admin",
        admin,          NULL};
    const struct demo_process process = {
        .title = "assent-agent setup",
        .argv = argv,
        .program_fd = demo_programs.agent_fd,
        .log_path = demo_path(demo, log, "log/agent-%s.log", participant->name),
    };
    const bool ok = demo_process_run(&process, ret_error);
    free(admin);
    return ok;
}

/* Once per cluster; a mark tells that all of it was done. */
static bool postgres_fill(const struct demo *demo, const struct demo_participant *participant,
                          struct error *ret_error)
{
    char mark[DEMO_PATH_SIZE];
    if (access(demo_path(demo, mark, "run/postgres-%s.ready", participant->name), F_OK) == 0) {
        return true;
    }
    return postgres_make_database(demo, participant, ret_error) &&
           postgres_setup_agent(demo, participant, ret_error) &&
           postgres_make_schema(demo, participant, ret_error) &&
           demo_write(mark, "database, schema and roles are there\n", NULL, ret_error);
}

/* Its socket may be gone although it runs: cleaners of /tmp. */
static bool postgres_is_reachable(const struct demo *demo,
                                  const struct demo_participant *participant)
{
    char path[DEMO_SOCKET_SIZE + 32];
    snprintf(path, sizeof path, "%s/.s.PGSQL.%u", demo->sockets, participant->postgres_port);
    return access(path, F_OK) == 0;
}

bool demo_postgres_up(const struct demo *demo, const struct demo_participant *participant,
                      struct error *ret_error)
{
    char pid_path[DEMO_PATH_SIZE];
    char *program = text_format("%s/postgres", postgres_bin());
    const bool is_installed = access(program, X_OK) == 0;
    free(program);
    if (!is_installed) {
        error_set(ret_error, ERROR_UNAVAILABLE, "PostgreSQL 15 is not in %s", postgres_bin());
        return error_hint(ret_error, "apt-get install postgresql-15, or set ASSENT_PG_BINDIR");
    }
    demo_path(demo, pid_path, "run/postgres-%s.pid", participant->name);
    bool is_running = demo_process_wake(pid_path) != 0;
    if (is_running && !postgres_is_reachable(demo, participant)) {
        if (!demo_postgres_down(demo, participant, ret_error)) {
            return false;
        }
        is_running = false;
    }
    return postgres_init(demo, participant, ret_error) &&
           (is_running || postgres_start(demo, participant, ret_error)) &&
           postgres_fill(demo, participant, ret_error);
}
