/*
 * pg_standby.c - see pg_standby.h.
 *
 * That a commit has been answered is known from its own connection only. pg_stat_activity does not tell a session that
 * has not begun yet from one that is done:
 *   1. we send the commit; its backend has not been scheduled yet,
 *   2. we read pg_stat_activity: not active, waits for nothing,
 *   3. the backend runs, and the commit waits for the standby.
 * Who takes 2 for "it was answered" waits at 3 for ever. So an answer is looked for on the socket, and
 * pg_stat_activity is asked only whether the commit waits, over and over.
 */
#include "tests/lib/pg_standby.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libpq-fe.h>

#include "common/clock.h"

#define DATABASE "postgres"
#define COMMIT   "SELECT pg_logical_emit_message(true, 'assent', '')"
#define POLL_MS  10

/* A session whose only work is that one commit. */
struct probe {
    const struct pgcluster *cluster;
    PGconn *connection;
    uint64_t deadline_ms;
    bool is_under_way; /* sent, and not answered to the end */
};

/* A cancelled wait is a warning, and it is us who cancel. */
static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

static bool probe_open(struct probe *probe, struct error *ret_error)
{
    char *conninfo = pgcluster_conninfo_for(probe->cluster, DATABASE, "postgres");
    probe->connection = PQconnectdb(conninfo);
    free(conninfo);
    if (PQstatus(probe->connection) != CONNECTION_OK) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "%s", PQerrorMessage(probe->connection));
    }
    (void)PQsetNoticeReceiver(probe->connection, ignore_notice, NULL);
    return true;
}

static void probe_close(struct probe *probe)
{
    PQfinish(probe->connection);
    probe->connection = NULL;
}

static bool probe_send(struct probe *probe, struct error *ret_error)
{
    probe->is_under_way = PQsendQuery(probe->connection, COMMIT) == 1;
    return probe->is_under_way ||
           error_set(ret_error, ERROR_UNAVAILABLE, "%s", PQerrorMessage(probe->connection));
}

/* Takes what has come of the answer; after its last part the commit is no longer under way. Does not block. */
static bool probe_take_answer(struct probe *probe, struct error *ret_error)
{
    while (probe->is_under_way && PQisBusy(probe->connection) == 0) {
        PGresult *result = PQgetResult(probe->connection);
        if (result == NULL) {
            probe->is_under_way = false;
        } else if (PQresultStatus(result) != PGRES_TUPLES_OK) {
            (void)error_set(ret_error, ERROR_UNAVAILABLE, "%s: %s", COMMIT,
                            PQresultErrorMessage(result));
            PQclear(result);
            return false;
        }
        PQclear(result);
    }
    return true;
}

/* Waits for the answer, or what there is of it, for POLL_MS at most. */
static bool probe_step(struct probe *probe, struct error *ret_error)
{
    struct pollfd answer = {.fd = PQsocket(probe->connection), .events = POLLIN};
    if (poll(&answer, 1, POLL_MS) < 0 && errno != EINTR) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "poll");
    }
    if (PQconsumeInput(probe->connection) == 0) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "%s", PQerrorMessage(probe->connection));
    }
    return probe_take_answer(probe, ret_error);
}

static bool probe_await_answer(struct probe *probe, const char *awaited, struct error *ret_error)
{
    while (probe->is_under_way) {
        if (clock_monotonic_ms() >= probe->deadline_ms) {
            return error_set(ret_error, ERROR_UNAVAILABLE, "%s: no answer; awaited was %s", COMMIT,
                             awaited);
        }
        if (!probe_step(probe, ret_error)) {
            return false;
        }
    }
    return true;
}

static bool probe_ask_wait(const struct probe *probe, bool *ret_waits, struct error *ret_error)
{
    char sql[128];
    char *event = NULL;
    (void)snprintf(sql, sizeof sql,
                   "SELECT 1 FROM pg_stat_activity WHERE pid = %d AND wait_event = 'SyncRep'",
                   PQbackendPID(probe->connection));
    if (!pgcluster_sql(probe->cluster, DATABASE, sql, &event, ret_error)) {
        return false;
    }
    *ret_waits = event != NULL;
    free(event);
    return true;
}

/* Commits until one of them waits. */
static bool probe_await_wait(struct probe *probe, struct error *ret_error)
{
    const struct timespec pause = {.tv_nsec = (long)POLL_MS * 1000 * 1000};
    bool waits = false;
    while (!waits) {
        if (clock_monotonic_ms() >= probe->deadline_ms) {
            return error_set(ret_error, ERROR_UNAVAILABLE,
                             "%s: %s; awaited was that it waits for the standby, once the"
                             " checkpointer has read synchronous_standby_names",
                             COMMIT, probe->is_under_way ? "has not come so far" : "answered");
        }
        if ((!probe->is_under_way && !probe_send(probe, ret_error)) ||
            !probe_step(probe, ret_error)) {
            return false;
        }
        if (!probe->is_under_way) {
            (void)nanosleep(&pause, NULL); /* between polls of the checkpointer's state */
        } else if (!probe_ask_wait(probe, &waits, ret_error)) {
            return false;
        }
    }
    return true;
}

static bool probe_cancel(struct probe *probe, struct error *ret_error)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "SELECT pg_cancel_backend(%d)",
                   PQbackendPID(probe->connection));
    return pgcluster_sql(probe->cluster, DATABASE, sql, NULL, ret_error) &&
           probe_await_answer(probe, "the end of its wait for the standby, cancelled", ret_error);
}

static bool change_setting(const struct pgcluster *cluster, const char *alter,
                           struct error *ret_error)
{
    return pgcluster_sql(cluster, DATABASE, alter, NULL, ret_error) &&
           pgcluster_sql(cluster, DATABASE, "SELECT pg_reload_conf()", NULL, ret_error);
}

bool pg_standby_lose(const struct pgcluster *cluster, uint64_t deadline_ms, struct error *ret_error)
{
    struct probe probe = {.cluster = cluster, .deadline_ms = deadline_ms};
    bool done = probe_open(&probe, ret_error) &&
                change_setting(cluster, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'",
                               ret_error) &&
                probe_await_wait(&probe, ret_error) && probe_cancel(&probe, ret_error);
    probe_close(&probe);
    return done || error_wrap(ret_error, "taking the standby away");
}

/* A commit that is sent when the checkpointer has read the setting is answered at once; one sent before waits until it
 * has. Either way its answer says that it has. */
bool pg_standby_return(const struct pgcluster *cluster, uint64_t deadline_ms,
                       struct error *ret_error)
{
    struct probe probe = {.cluster = cluster, .deadline_ms = deadline_ms};
    bool done =
        probe_open(&probe, ret_error) &&
        change_setting(cluster, "ALTER SYSTEM RESET synchronous_standby_names", ret_error) &&
        probe_send(&probe, ret_error) &&
        probe_await_answer(&probe, "that the checkpointer reads synchronous_standby_names",
                           ret_error);
    probe_close(&probe);
    return done || error_wrap(ret_error, "giving the standby back");
}
