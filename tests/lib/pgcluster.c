/*
 * pgcluster.c - initdb, start and stop of a private cluster.
 *
 * The postmaster is our direct child, not pg_ctl's, so that its end can be waited for and the
 * kernel can end it with us. Its children are found out about through a pipe: they all inherit the
 * write end, so the read end reports a hang-up when the last one is gone (and the shared memory may
 * be used again).
 */
#include "tests/lib/pgcluster.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/lib/process.h"

#define DEFAULT_BINDIR       "/usr/lib/postgresql/15/bin"
#define DEFAULT_MAX_PREPARED 64
#define SOCKET_PORT          5432
#define PATIENCE_MS          60000
#define PATH_SIZE            128
#define FOLDER_SIZE          40

struct pgcluster {
    const char *os_user;      /* NULL: the caller's */
    char folder[FOLDER_SIZE]; /* everything below here goes with it */
    char data_folder[PATH_SIZE];
    char log_path[PATH_SIZE];
    char conninfo[2 * PATH_SIZE];
    uint16_t port;
    bool listens_on_tcp;
    struct process *postmaster; /* NULL while stopped */
    int lifeline; /* read end of the pipe that all its processes hold; -1 while stopped */
};

static void program_path(const char *name, char ret_path[PATH_SIZE])
{
    const char *bindir = getenv("ASSENT_PG_BINDIR");
    (void)snprintf(ret_path, PATH_SIZE, "%s/%s", bindir == NULL ? DEFAULT_BINDIR : bindir, name);
}

static bool make_folder(struct pgcluster *cluster, struct error *ret_error)
{
    (void)snprintf(cluster->folder, sizeof cluster->folder, "/tmp/assent-pg-XXXXXX");
    if (mkdtemp(cluster->folder) == NULL) {
        cluster->folder[0] = '\0';
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot make a folder under /tmp");
    }
    (void)snprintf(cluster->data_folder, sizeof cluster->data_folder, "%s/data", cluster->folder);
    (void)snprintf(cluster->log_path, sizeof cluster->log_path, "%s/log", cluster->folder);
    if (cluster->os_user != NULL) {
        const struct passwd *user = getpwnam(cluster->os_user);
        if (user == NULL) {
            (void)error_set(ret_error, ERROR_NOT_FOUND, "there is no user %s", cluster->os_user);
            return error_hint(ret_error, "install the package postgresql-15");
        }
        if (chown(cluster->folder, user->pw_uid, user->pw_gid) != 0) {
            return error_set_errno(ret_error, ERROR_IO, errno, "cannot give %s to %s",
                                   cluster->folder, cluster->os_user);
        }
    }
    return true;
}

/* The end of a log, on standard error: what a person wants to see when a test could not start. */
static void show_log(const char *path)
{
    char *text;
    if (process_read_file(path, (size_t)1024 * 1024, &text, NULL)) {
        size_t length = strlen(text);
        (void)fprintf(stderr, "--- end of %s\n%s", path,
                      text + (length > 4000 ? length - 4000 : 0));
        free(text);
    }
}

static bool run_initdb(struct pgcluster *cluster, struct error *ret_error)
{
    char initdb[PATH_SIZE];
    program_path("initdb", initdb);
    /* Without syncs here: a test's cluster is worth nothing before the test has begun. Small WAL
     * segments make it a fast one, too. */
    const char *const argv[] = {initdb,
                                "--no-sync",
                                "--auth=trust",
                                "--username=postgres",
                                "--locale=C",
                                "--encoding=UTF8",
                                "--wal-segsize=1",
                                "-D",
                                cluster->data_folder,
                                NULL};
    const struct process_options options = {
        .argv = argv,
        .user = cluster->os_user,
        .folder = cluster->folder,
        .stdout_path = cluster->log_path,
        .stderr_path = cluster->log_path,
    };
    int exit_code = 0;
    if (!process_run(&options, clock_monotonic_ms() + PATIENCE_MS, &exit_code, ret_error)) {
        return error_wrap(ret_error, "initdb");
    }
    if (exit_code != 0) {
        show_log(cluster->log_path);
        return error_set(ret_error, ERROR_SYSTEM, "initdb failed with exit code %d", exit_code);
    }
    return true;
}

bool pgcluster_configure(struct pgcluster *cluster, const char *conf_lines, struct error *ret_error)
{
    char path[PATH_SIZE + 32];
    (void)snprintf(path, sizeof path, "%s/postgresql.conf", cluster->data_folder);
    FILE *file = fopen(path, "ae");
    if (file == NULL) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot open %s", path);
    }
    bool succeeded = fprintf(file, "%s\n", conf_lines) > 0;
    succeeded = fclose(file) == 0 && succeeded;
    return succeeded || error_set(ret_error, ERROR_IO, "cannot write %s", path);
}

static bool write_base_conf(struct pgcluster *cluster, const struct pgcluster_options *options,
                            struct error *ret_error)
{
    char lines[1024];
    (void)snprintf(lines, sizeof lines,
                   "listen_addresses = '%s'\n"
                   "port = %u\n"
                   "unix_socket_directories = '%s'\n"
                   "max_prepared_transactions = %u\n"
                   "max_connections = 60\n"
                   "shared_buffers = 16MB\n"
                   "max_wal_size = 1GB\n"
                   "fsync = on\n"
                   "logging_collector = off\n"
                   "log_destination = stderr\n"
                   "log_line_prefix = '%%m [%%p] %%a '\n",
                   cluster->listens_on_tcp ? "127.0.0.1" : "", cluster->port, cluster->folder,
                   options->max_prepared_transactions);
    return pgcluster_configure(cluster, lines, ret_error) &&
           (options->extra_conf == NULL ||
            pgcluster_configure(cluster, options->extra_conf, ret_error));
}

static off_t file_size(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? status.st_size : 0;
}

/* Waits until every process that inherited the lifeline's other end is gone. */
static bool await_last_process(struct pgcluster *cluster, struct error *ret_error)
{
    struct pollfd hangup = {.fd = cluster->lifeline, .events = POLLIN};
    const uint64_t deadline_ms = clock_monotonic_ms() + PATIENCE_MS;
    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        if (now_ms >= deadline_ms) {
            return error_set(ret_error, ERROR_UNAVAILABLE, "processes of %s do not end",
                             cluster->folder);
        }
        if (poll(&hangup, 1, (int)(deadline_ms - now_ms)) > 0) {
            return true; /* nobody writes to it: any event is the hang-up */
        }
    }
}

static void forget_postmaster(struct pgcluster *cluster)
{
    process_free(cluster->postmaster);
    cluster->postmaster = NULL;
    if (cluster->lifeline >= 0) {
        (void)close(cluster->lifeline);
        cluster->lifeline = -1;
    }
}

static bool launch_postmaster(struct pgcluster *cluster, struct error *ret_error)
{
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot make a pipe");
    }
    char postgres[PATH_SIZE];
    program_path("postgres", postgres);
    const char *const argv[] = {postgres, "-D", cluster->data_folder, NULL};
    const struct process_options options = {
        .argv = argv,
        .user = cluster->os_user,
        .folder = cluster->folder,
        .stdout_path = cluster->log_path,
        .stderr_path = cluster->log_path,
        .death_signal = SIGQUIT, /* immediate stop: children and shared memory go too */
        .kept_fd = pipe_ends[1],
    };
    bool succeeded = process_start(&options, &cluster->postmaster, ret_error);
    (void)close(pipe_ends[1]);
    if (!succeeded) {
        (void)close(pipe_ends[0]);
        return false;
    }
    cluster->lifeline = pipe_ends[0];
    return true;
}

bool pgcluster_start(struct pgcluster *cluster, struct error *ret_error)
{
    if (cluster->postmaster != NULL) {
        return error_set(ret_error, ERROR_INVALID, "%s runs already", cluster->folder);
    }
    const off_t log_offset = file_size(cluster->log_path);
    if (!launch_postmaster(cluster, ret_error)) {
        return false;
    }
    if (!process_wait_line(cluster->postmaster, cluster->log_path, log_offset,
                           "database system is ready to accept", clock_monotonic_ms() + PATIENCE_MS,
                           NULL, 0, NULL, ret_error)) {
        show_log(cluster->log_path);
        process_signal(cluster->postmaster, SIGQUIT);
        (void)process_wait(cluster->postmaster, clock_monotonic_ms() + PATIENCE_MS, NULL);
        forget_postmaster(cluster);
        return error_wrap(ret_error, "start of %s", cluster->folder);
    }
    return true;
}

static bool end_postmaster(struct pgcluster *cluster, int signal_number, struct error *ret_error)
{
    if (cluster->postmaster == NULL) {
        return error_set(ret_error, ERROR_INVALID, "%s is stopped already", cluster->folder);
    }
    process_signal(cluster->postmaster, signal_number);
    if (!process_wait(cluster->postmaster, clock_monotonic_ms() + PATIENCE_MS, NULL)) {
        show_log(cluster->log_path);
        return error_set(ret_error, ERROR_UNAVAILABLE, "the postmaster of %s does not end",
                         cluster->folder);
    }
    bool succeeded = await_last_process(cluster, ret_error);
    forget_postmaster(cluster);
    return succeeded;
}

bool pgcluster_stop(struct pgcluster *cluster, enum pgcluster_stop_mode mode,
                    struct error *ret_error)
{
    return end_postmaster(cluster, mode == PGCLUSTER_FAST ? SIGINT : SIGQUIT, ret_error);
}

bool pgcluster_kill(struct pgcluster *cluster, struct error *ret_error)
{
    return end_postmaster(cluster, SIGKILL, ret_error);
}

bool pgcluster_restart(struct pgcluster *cluster, enum pgcluster_stop_mode mode,
                       struct error *ret_error)
{
    return pgcluster_stop(cluster, mode, ret_error) && pgcluster_start(cluster, ret_error);
}

bool pgcluster_kill_in_recovery(struct pgcluster *cluster, struct error *ret_error)
{
    if (cluster->postmaster != NULL) {
        return error_set(ret_error, ERROR_INVALID, "%s runs", cluster->folder);
    }
    const off_t log_offset = file_size(cluster->log_path);
    if (!launch_postmaster(cluster, ret_error)) {
        return false;
    }
    bool recovers =
        process_wait_line(cluster->postmaster, cluster->log_path, log_offset, "redo starts at",
                          clock_monotonic_ms() + PATIENCE_MS, NULL, 0, NULL, ret_error);
    struct error error;
    bool ended = end_postmaster(cluster, SIGKILL, recovers ? ret_error : &error);
    return recovers && ended;
}

bool pgcluster_new(const struct pgcluster_options *options, struct pgcluster **ret_cluster,
                   struct error *ret_error)
{
    static const struct pgcluster_options defaults = {.max_prepared_transactions =
                                                          DEFAULT_MAX_PREPARED};
    const struct pgcluster_options *chosen = options == NULL ? &defaults : options;
    struct pgcluster *cluster = alloc_zeroed(sizeof *cluster);
    cluster->os_user = geteuid() == 0 ? "postgres" : NULL;
    cluster->port = SOCKET_PORT; /* only names the socket, unless TCP is wanted */
    cluster->lifeline = -1;
    cluster->listens_on_tcp = chosen->listens_on_tcp;
    bool succeeded = (!chosen->listens_on_tcp || process_free_port(&cluster->port, ret_error)) &&
                     make_folder(cluster, ret_error) && run_initdb(cluster, ret_error) &&
                     write_base_conf(cluster, chosen, ret_error) &&
                     pgcluster_start(cluster, ret_error);
    if (!succeeded) {
        pgcluster_free(cluster);
        return false;
    }
    (void)snprintf(cluster->conninfo, sizeof cluster->conninfo,
                   "host=%s port=%u user=postgres dbname=postgres", cluster->folder, cluster->port);
    *ret_cluster = cluster;
    return true;
}

void pgcluster_free(struct pgcluster *cluster)
{
    if (cluster == NULL) {
        return;
    }
    struct error error;
    if (cluster->postmaster != NULL && !pgcluster_stop(cluster, PGCLUSTER_IMMEDIATE, &error)) {
        (void)fprintf(stderr, "%s\n", error.text);
        forget_postmaster(cluster);
    }
    if (cluster->folder[0] != '\0' && !process_remove_folder(cluster->folder, &error)) {
        (void)fprintf(stderr, "%s\n", error.text);
    }
    free(cluster);
}

const char *pgcluster_folder(const struct pgcluster *cluster)
{
    return cluster->folder;
}

const char *pgcluster_data_folder(const struct pgcluster *cluster)
{
    return cluster->data_folder;
}

const char *pgcluster_log_path(const struct pgcluster *cluster)
{
    return cluster->log_path;
}

const char *pgcluster_os_user(const struct pgcluster *cluster)
{
    return cluster->os_user;
}

uint16_t pgcluster_port(const struct pgcluster *cluster)
{
    return cluster->port;
}

pid_t pgcluster_pid(const struct pgcluster *cluster)
{
    return cluster->postmaster == NULL ? 0 : process_pid(cluster->postmaster);
}

const char *pgcluster_conninfo(const struct pgcluster *cluster)
{
    return cluster->conninfo;
}

char *pgcluster_conninfo_for(const struct pgcluster *cluster, const char *database,
                             const char *user)
{
    char text[512];
    (void)snprintf(text, sizeof text, "host=%s port=%u user=%s dbname=%s", cluster->folder,
                   cluster->port, user, database);
    return alloc_string(text);
}

static bool take_result(PGresult *result, char **ret_value, struct error *ret_error)
{
    ExecStatusType status = PQresultStatus(result);
    bool succeeded = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    if (!succeeded) {
        (void)error_set(ret_error, ERROR_INVALID, "%s", PQresultErrorMessage(result));
    } else if (ret_value != NULL) {
        bool has_value =
            PQntuples(result) > 0 && PQnfields(result) > 0 && !PQgetisnull(result, 0, 0);
        *ret_value = has_value ? alloc_string(PQgetvalue(result, 0, 0)) : NULL;
    }
    PQclear(result);
    return succeeded;
}

bool pgcluster_sql(const struct pgcluster *cluster, const char *database, const char *sql,
                   char **ret_value, struct error *ret_error)
{
    char *conninfo = pgcluster_conninfo_for(cluster, database, "postgres");
    PGconn *connection = PQconnectdb(conninfo);
    free(conninfo);
    bool succeeded;
    if (PQstatus(connection) != CONNECTION_OK) {
        succeeded = error_set(ret_error, ERROR_UNAVAILABLE, "%s", PQerrorMessage(connection));
    } else {
        succeeded = take_result(PQexec(connection, sql), ret_value, ret_error);
    }
    PQfinish(connection);
    return succeeded;
}
