/* honest_wire.c - see honest_wire.h. */
#include "tests/spec/honest_wire.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/xid.h"

#define CONNECTIONS_MAX 64
#define ATTEMPTS_MAX    65 /* HONEST_GIDS, and the one that nobody has */
#define FAILING_SQL     "SELECT 1 / 0"
#define FAILING_STATE   "22012"

int __real_PQsendQueryParams(PGconn *conn, const char *sql, int count, const Oid *types,
                             const char *const *values, const int *lengths, const int *formats,
                             int result_format);
int __wrap_PQsendQueryParams(PGconn *conn, const char *sql, int count, const Oid *types,
                             const char *const *values, const int *lengths, const int *formats,
                             int result_format);
int __real_PQsendQuery(PGconn *conn, const char *sql);
int __wrap_PQsendQuery(PGconn *conn, const char *sql);
PGresult *__real_PQgetResult(PGconn *conn);
PGresult *__wrap_PQgetResult(PGconn *conn);

/* What a connection is at. */
struct line {
    PGconn *conn;
    uint64_t attempt; /* 0: nothing that is watched */
    bool is_trapped;  /* the failing statement's answer is to come */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct line lines[CONNECTIONS_MAX];
static char tags[ATTEMPTS_MAX][HONEST_TAG_SIZE];
static uint64_t trap; /* the attempt whose block is to fail; 0: none */

/* Locked. NULL: never watched, and no room. */
static struct line *line_of(PGconn *conn)
{
    struct line *free_line = NULL;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (lines[i].conn == conn) {
            return &lines[i];
        }
        if (lines[i].attempt == 0 && free_line == NULL) {
            free_line = &lines[i];
        }
    }
    if (free_line != NULL) {
        *free_line = (struct line){.conn = conn};
    }
    return free_line;
}

static bool after(const char *sql, const char *start, const char **ret_rest)
{
    size_t length = strlen(start);
    *ret_rest = sql + length;
    return strncmp(sql, start, length) == 0;
}

/* The attempt that the statement is about; 0 if it does not say. */
static uint64_t attempt_of(const char *sql)
{
    const char *rest = NULL;
    char text[GID_TEXT_SIZE];
    struct gid gid;
    if (after(sql, "SET LOCAL assent.branch = '", &rest)) {
        return strtoull(rest, NULL, 16);
    }
    if (!after(sql, "PREPARE TRANSACTION '", &rest) && !after(sql, "COMMIT PREPARED '", &rest) &&
        !after(sql, "ROLLBACK PREPARED '", &rest)) {
        return 0;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(rest, "'"), rest);
    return gid_parse(text, &gid) ? gid.attempt : 0;
}

/* Notes what goes out; true if the block is to fail first. */
static bool watch(PGconn *conn, const char *sql)
{
    uint64_t attempt = attempt_of(sql);
    bool fails = false;
    /* A block's own end goes out in a pipeline; this one clears up after it, perhaps behind the answer. */
    bool clears_up = strcmp(sql, "ROLLBACK") == 0 && PQpipelineStatus(conn) == PQ_PIPELINE_OFF;
    (void)pthread_mutex_lock(&lock);
    struct line *line = attempt != 0 || clears_up ? line_of(conn) : NULL;
    if (line != NULL) {
        line->attempt = attempt;
        fails = attempt == trap && strncmp(sql, "PREPARE", 7) == 0;
        line->is_trapped = fails;
        trap = fails ? 0 : trap;
    }
    (void)pthread_mutex_unlock(&lock);
    return fails;
}

int __wrap_PQsendQueryParams(PGconn *conn, const char *sql, int count, const Oid *types,
                             const char *const *values, const int *lengths, const int *formats,
                             int result_format)
{
    if (watch(conn, sql) &&
        (__real_PQsendQueryParams(conn, FAILING_SQL, 0, NULL, NULL, NULL, NULL, 0) == 0 ||
         PQpipelineSync(conn) == 0)) {
        return 0;
    }
    return __real_PQsendQueryParams(conn, sql, count, types, values, lengths, formats,
                                    result_format);
}

/* Only clearing up goes out like this. */
int __wrap_PQsendQuery(PGconn *conn, const char *sql)
{
    (void)pthread_mutex_lock(&lock);
    struct line *line = line_of(conn);
    if (line != NULL) {
        line->attempt = 0;
    }
    (void)pthread_mutex_unlock(&lock);
    return __real_PQsendQuery(conn, sql);
}

static bool is_end(const char *tag)
{
    return strcmp(tag, "PREPARE TRANSACTION") == 0 || strcmp(tag, "ROLLBACK") == 0 ||
           strcmp(tag, "COMMIT PREPARED") == 0 || strcmp(tag, "ROLLBACK PREPARED") == 0;
}

static bool is_planted_failure(PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state != NULL && strcmp(state, FAILING_STATE) == 0;
}

/* Notes what came in; true if it is the planted failure's answer, which the edge must not see. */
static bool listen_to(PGconn *conn, PGresult *result)
{
    bool is_planted = false;
    ExecStatusType status = PQresultStatus(result);
    (void)pthread_mutex_lock(&lock);
    struct line *line = line_of(conn);
    if (line != NULL && status == PGRES_FATAL_ERROR) {
        is_planted = line->is_trapped && is_planted_failure(result);
        line->is_trapped = false;
        line->attempt = is_planted ? line->attempt : 0; /* its clearing up is not of interest */
    } else if (line != NULL && status == PGRES_COMMAND_OK && line->attempt > 0 &&
               line->attempt < ATTEMPTS_MAX && is_end(PQcmdStatus(result))) {
        (void)snprintf(tags[line->attempt], HONEST_TAG_SIZE, "%s", PQcmdStatus(result));
        line->attempt = 0;
    }
    (void)pthread_mutex_unlock(&lock);
    return is_planted;
}

/* Past the failing statement's NULL and Sync. */
static void swallow(PGconn *conn, PGresult *result)
{
    for (int i = 0; i < 4 && PQresultStatus(result) != PGRES_PIPELINE_SYNC; i++) {
        PQclear(result);
        result = __real_PQgetResult(conn);
    }
    PQclear(result);
}

PGresult *__wrap_PQgetResult(PGconn *conn)
{
    PGresult *result = __real_PQgetResult(conn);
    if (result != NULL && listen_to(conn, result)) {
        swallow(conn, result);
        return __wrap_PQgetResult(conn);
    }
    return result;
}

void honest_wire_forget(uint64_t attempt)
{
    (void)pthread_mutex_lock(&lock);
    if (attempt < ATTEMPTS_MAX) {
        tags[attempt][0] = '\0';
    }
    (void)pthread_mutex_unlock(&lock);
}

void honest_wire_tag(uint64_t attempt, char ret_tag[HONEST_TAG_SIZE])
{
    ret_tag[0] = '\0';
    (void)pthread_mutex_lock(&lock);
    if (attempt < ATTEMPTS_MAX) {
        memcpy(ret_tag, tags[attempt], HONEST_TAG_SIZE);
    }
    (void)pthread_mutex_unlock(&lock);
}

void honest_wire_fail_block(uint64_t attempt)
{
    (void)pthread_mutex_lock(&lock);
    trap = attempt;
    (void)pthread_mutex_unlock(&lock);
}
