/*
 * pg_execute.c - one branch on one worker's connection: BEGIN ... statements ... PREPARE
 * TRANSACTION (P-3, P-19, P-21).
 *
 * Normally everything travels in one pipeline with one Sync. If a statement has expect_rows or may
 * answer with rows, PREPARE is held back until those answers were read (one more round trip to the
 * server): the server cannot know what the client expects, and a branch whose rows do not fit into
 * the answer must not stay prepared.
 *
 *     BEGIN | limits | statement ... | SET CONSTRAINTS ALL IMMEDIATE | SET LOCAL ROLE NONE | [Flush]
 *     | proof row and settings | PREPARE | Sync
 *
 * All internal statements are parsed anew each time (unnamed). Named prepared statements would save
 * some parsing, but a client's function may run DEALLOCATE or PREPARE over them in its own session,
 * and then our words would not mean what we think.
 *
 * What we know if we die, or the connection does: before PREPARE was handed to libpq nothing can be
 * prepared (PG_ROLLED_BACK); after that only PREPARE's own reply tells, without it the class is
 * PG_UNKNOWN.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fault.h"
#include "common/work.h"
#include "participant/pg_classify.h"
#include "participant/pg_guard.h"
#include "participant/pg_internal.h"
#include "participant/pg_results.h"
#include "participant/pg_text.h"

/* After the deadline the running statement is cancelled and this much longer is waited for its
 * error: then the answer is a sure no instead of "unknown". */
#define OVERTIME_MS 1000

#define PARAMS_MAX 65535 /* what the protocol can count */

#define LIMITS_COUNT 3 /* statements that send_limits sends */

enum { INDEX_NONE = -1, INDEX_BEGIN = -2, INDEX_OWN = -3, INDEX_PREPARE = -4 };

struct execution {
    struct pg_member *member;
    struct pg_session *session;
    const struct command_execute *execute;
    struct command_result *result;
    struct work work;
    struct pg_results collected;
    char gid_text[GID_TEXT_SIZE];
    char marker[32];      /* set for the transaction at its beginning, looked for at its end */
    uint64_t deadline_ms; /* with overtime */
    bool overtime;
    bool by_rollback; /* declared read-only and not serializable: no PREPARE (P-19) */
    bool proof_row;
    bool split;        /* PREPARE waits until the results were read */
    bool prepare_sent; /* from now on only PREPARE's reply tells */
    bool broken;       /* the connection is not to be used again */
};

/* What the last statement before PREPARE gives back, and does (P-3): WARNINGs must come, the wait for the standby must
 * happen, the marker set at the beginning must still be there (a COMMIT AND CHAIN would have taken it away), and the
 * rest goes into the proof. It rides on the INSERT of the proof row, for one statement less to plan. */
#define SETTLE_COLUMNS                                                                             \
    "pg_catalog.set_config('synchronous_commit', 'on', true),"                                     \
    " pg_catalog.set_config('client_min_messages', 'warning', true),"                              \
    " pg_catalog.current_setting('assent.branch', true),"                                          \
    " pg_catalog.pg_current_xact_id(),"                                                            \
    " pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0'),"                  \
    " pg_catalog.pg_backend_pid()"

/* Session state that survives the branch (G15), in one message. Cursors, temporary objects and LISTEN are not in it:
 * a branch that has them cannot be prepared. Nor is DISCARD PLANS: throwing away the plans of functions and
 * foreign keys after every branch would cost far more than the rest together. */
static const char reset_sql[] =
    "SELECT pg_catalog.pg_advisory_unlock_all(); SET SESSION AUTHORIZATION DEFAULT; RESET ALL;"
    " DEALLOCATE ALL; DISCARD SEQUENCES";

/* ---- saying no ---- */

static char *field(const PGresult *result, int code)
{
    return pg_text_clean(PQresultErrorField(result, code));
}

/* The answer: not prepared, or unknown if PREPARE may have been carried out. Returns false, for
 * callers. */
static bool fail(struct execution *x, enum reason reason, const char *sqlstate,
                 struct pg_report *report)
{
    x->result->class = x->prepare_sent ? PG_UNKNOWN : PG_ROLLED_BACK;
    x->result->failure.reason = reason;
    (void)snprintf(x->result->failure.sqlstate, SQLSTATE_SIZE, "%s", sqlstate);
    x->result->failure.report = pg_report_encode(report);
    pg_text_copy(x->result->detail, sizeof x->result->detail, report->message);
    pg_report_done(report);
    return false;
}

static bool fail_text(struct execution *x, enum reason reason, int index, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool fail_text(struct execution *x, enum reason reason, int index, const char *format, ...)
{
    char text[HEALTH_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct pg_report report = {.message = pg_text_clean(text),
                               .statement_index = index < 0 ? INDEX_NONE : index};
    return fail(x, reason, "", &report);
}

/* No reply any more. */
static bool fail_wait(struct execution *x, enum pg_wait wait, int index)
{
    x->broken = true;
    switch (wait) {
    case PG_WAIT_DEADLINE:
        return fail_text(x, REASON_TIMEOUT, index, "no answer from PostgreSQL by the deadline");
    case PG_WAIT_STOPPED:
        return fail_text(x, REASON_SHUTDOWN, index, "the agent is shutting down");
    case PG_WAIT_LOST:
    case PG_WAIT_OK: /* a reply that makes no sense: treated as no reply */
        break;
    }
    return fail_text(x, REASON_PARTICIPANT_UNAVAILABLE, index, "connection to PostgreSQL lost: %s",
                     x->session->last_error);
}

static bool was_cancelled(struct execution *x)
{
    struct pg *pg = x->member->pg;
    (void)pthread_mutex_lock(&pg->mutex);
    bool cancelled = x->member->cancelled;
    (void)pthread_mutex_unlock(&pg->mutex);
    return cancelled;
}

static enum reason statement_reason(struct execution *x, const struct pg_error *error, int index)
{
    enum reason reason = pg_classify_statement(error);
    if (reason == REASON_TIMEOUT && !x->overtime && was_cancelled(x)) {
        return REASON_ROLLED_BACK_BY_CLIENT;
    }
    if (index == INDEX_BEGIN && reason == REASON_STATEMENT_FAILED) {
        return REASON_PARTICIPANT_UNAVAILABLE; /* "cannot set read-write mode during recovery" and
                                                  the like */
    }
    if (index == INDEX_OWN && (reason == REASON_STATEMENT_FAILED || reason == REASON_CONSTRAINT)) {
        /* Our own words failed: either client SQL made the transaction read-only, or the set-up is
         * damaged. */
        return strcmp(error->sqlstate, "25006") == 0 ? REASON_REJECTED_BY_POLICY
                                                     : REASON_PARTICIPANT_UNAVAILABLE;
    }
    return reason;
}

/* The server said no. At PREPARE it may mean that nothing is known; before that it is a sure no
 * even if PREPARE was sent already, because the server skips the rest of a pipeline after an error.
 */
static bool fail_result(struct execution *x, const PGresult *result, int index)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (PQresultStatus(result) != PGRES_FATAL_ERROR || sqlstate == NULL) {
        x->broken = true;
        return fail_text(x, REASON_REJECTED_BY_POLICY, index, "unexpected answer %s",
                         PQresStatus(PQresultStatus(result)));
    }
    struct pg_error error = {
        .sqlstate = sqlstate,
        .severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED),
        .function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION),
    };
    struct pg_report report = {
        .message = field(result, PG_DIAG_MESSAGE_PRIMARY),
        .detail = field(result, PG_DIAG_MESSAGE_DETAIL),
        .hint = field(result, PG_DIAG_MESSAGE_HINT),
        .constraint = field(result, PG_DIAG_CONSTRAINT_NAME),
        .table = field(result, PG_DIAG_TABLE_NAME),
        .column = field(result, PG_DIAG_COLUMN_NAME),
        .statement_index = index < 0 ? INDEX_NONE : index,
    };
    enum reason reason = REASON_NONE;
    enum pg_class class = PG_ROLLED_BACK;
    if (index == INDEX_PREPARE) {
        class = pg_classify_prepare(&error, &reason);
    } else {
        reason = statement_reason(x, &error, index);
    }
    x->broken = x->broken || pg_classify_lost(&error);
    (void)fail(x, reason, sqlstate, &report);
    x->result->class = class;
    return false;
}

/* ---- sending ---- */

static bool send_sql(struct execution *x, const char *sql)
{
    return PQsendQueryParams(x->session->conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

static const char *begin_sql(const struct execution *x)
{
    if (x->by_rollback || x->execute->read_only) {
        switch (x->execute->isolation) {
        case ISOLATION_READ_COMMITTED:
            return "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";
        case ISOLATION_REPEATABLE_READ:
            return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        case ISOLATION_SERIALIZABLE:
            return "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY";
        }
    }
    switch (x->execute->isolation) {
    case ISOLATION_READ_COMMITTED:
        return "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
    case ISOLATION_REPEATABLE_READ:
        return "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE";
    case ISOLATION_SERIALIZABLE:
        break;
    }
    return "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE";
}

/* lock_timeout fires before statement_timeout and both before the deadline, so that the reason still arrives. SET LOCAL
 * costs the server less than a SELECT of set_config, which has to be planned. */
static bool send_limits(struct execution *x, uint64_t left_ms)
{
    char sql[96];
    uint64_t statement_ms = left_ms - left_ms / 20;
    uint64_t lock_ms = left_ms - left_ms / 8;
    statement_ms = statement_ms < INT32_MAX ? statement_ms : INT32_MAX;
    lock_ms = lock_ms < INT32_MAX ? lock_ms : INT32_MAX;
    (void)snprintf(sql, sizeof sql, "SET LOCAL statement_timeout = %" PRIu64,
                   statement_ms > 0 ? statement_ms : 1);
    bool sent = send_sql(x, sql);
    (void)snprintf(sql, sizeof sql, "SET LOCAL lock_timeout = %" PRIu64, lock_ms > 0 ? lock_ms : 1);
    sent = sent && send_sql(x, sql);
    (void)snprintf(sql, sizeof sql, "SET LOCAL assent.branch = '%s'", x->marker);
    return sent && send_sql(x, sql);
}

static bool send_body(struct execution *x, uint64_t left_ms)
{
    bool sent = send_sql(x, begin_sql(x)) && send_limits(x, left_ms);
    for (size_t i = 0; sent && i < x->work.statement_count; i++) {
        const struct statement *statement = &x->work.statements[i];
        sent = PQsendQueryParams(x->session->conn, statement->sql, (int)statement->param_count,
                                 NULL, (const char *const *)statement->params, NULL, NULL, 0) == 1;
    }
    if (sent && !x->by_rollback) {
        /* The role comes back before our own words run and before the branch gets its owner. */
        sent = send_sql(x, "SET CONSTRAINTS ALL IMMEDIATE") && send_sql(x, "SET LOCAL ROLE NONE");
    }
    return sent;
}

/* The leaf is named directly: finding it through the parent costs every branch the routing. */
static bool send_proof_row(struct execution *x)
{
    struct pg *pg = x->member->pg;
    (void)pthread_mutex_lock(&pg->mutex);
    uint32_t ring = pg->ring;
    (void)pthread_mutex_unlock(&pg->mutex);
    char sql[640];
    char sequence[32];
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO assent.outcome_%u (ring, sequence, gid, token)"
                   " VALUES (%u, $1, $2, $3) RETURNING " SETTLE_COLUMNS,
                   ring, ring);
    (void)snprintf(sequence, sizeof sequence, "%" PRId64, (int64_t)x->execute->gid.gtrid.sequence);
    const Oid types[] = {PG_OID_INT8, PG_OID_TEXT, PG_OID_BYTEA};
    const char *const values[] = {sequence, x->gid_text, (const char *)pg->token};
    const int lengths[] = {0, 0, PG_TOKEN_BYTES};
    const int formats[] = {0, 0, 1};
    return PQsendQueryParams(x->session->conn, sql, 3, types, values, lengths, formats, 0) == 1;
}

static bool send_settle(struct execution *x)
{
    return x->proof_row ? send_proof_row(x) : send_sql(x, "SELECT " SETTLE_COLUMNS);
}

static bool send_sync(struct execution *x)
{
    x->session->sync_queued = PQpipelineSync(x->session->conn) == 1;
    return x->session->sync_queued;
}

static bool send_end(struct execution *x)
{
    if (x->by_rollback) {
        return send_sql(x, "ROLLBACK") && send_sync(x);
    }
    /* The gid takes no parameter (G9); it has only letters, digits, '_', '-' and ':'. */
    char sql[GID_TEXT_SIZE + 32];
    (void)snprintf(sql, sizeof sql, "PREPARE TRANSACTION '%s'", x->gid_text);
    if (!send_settle(x)) {
        return false;
    }
    x->prepare_sent = true;
    return send_sql(x, sql) && send_sync(x);
}

/* ---- reading ---- */

static enum pg_wait next_result(struct execution *x, PGresult **ret_result)
{
    enum pg_wait wait = pg_session_result(x->session, x->deadline_ms, ret_result);
    if (wait == PG_WAIT_DEADLINE && !x->overtime) {
        x->overtime = true;
        x->deadline_ms += OVERTIME_MS;
        pg_cancel_soon(x->member->pg, &x->execute->gid);
        wait = pg_session_result(x->session, x->deadline_ms, ret_result);
    }
    return wait;
}

/* One of our own statements: exactly one result of this status, then the end of it. */
static bool read_own(struct execution *x, ExecStatusType status, int index, PGresult **ret_result)
{
    PGresult *result = NULL;
    PGresult *end = NULL;
    enum pg_wait wait = next_result(x, &result);
    if (wait != PG_WAIT_OK) {
        return fail_wait(x, wait, index);
    }
    if (result == NULL || PQresultStatus(result) != status) {
        bool answer =
            result == NULL ? fail_wait(x, PG_WAIT_OK, index) : fail_result(x, result, index);
        PQclear(result);
        return answer;
    }
    wait = next_result(x, &end);
    if (wait != PG_WAIT_OK || end != NULL) {
        PQclear(result);
        PQclear(end);
        return fail_wait(x, wait, index);
    }
    *ret_result = result;
    return true;
}

static bool skip_own(struct execution *x, ExecStatusType status, int index)
{
    PGresult *result = NULL;
    bool read = read_own(x, status, index, &result);
    PQclear(read ? result : NULL);
    return read;
}

static bool take_statement_result(struct execution *x, const PGresult *result, int index)
{
    switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
    case PGRES_TUPLES_OK:
        if (!pg_results_add(&x->collected, result)) {
            /* More rows are on their way, maybe without end: hang up. */
            x->broken = true;
            return fail_text(x, REASON_RESULT_TOO_LARGE, index,
                             "the branch's results are larger than max_result_bytes = %zu",
                             x->collected.limit_bytes);
        }
        if (PQresultStatus(result) == PGRES_TUPLES_OK) {
            pg_results_end(&x->collected, result);
        }
        return true;
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        pg_results_end(&x->collected, result);
        return true;
    default: /* an error, or COPY, which the guard does not let through */
        return fail_result(x, result, index);
    }
}

static bool read_statement(struct execution *x, int index)
{
    /* Row by row, so that a large result costs no more memory than the limit. */
    (void)PQsetSingleRowMode(x->session->conn);
    pg_results_begin(&x->collected);
    for (;;) {
        PGresult *result = NULL;
        enum pg_wait wait = next_result(x, &result);
        if (wait != PG_WAIT_OK) {
            return fail_wait(x, wait, index);
        }
        if (result == NULL) {
            break;
        }
        bool taken = take_statement_result(x, result, index);
        PQclear(result);
        if (!taken) {
            return false;
        }
    }
    FAULT(FAULT_A_STMT);
    int64_t expected = x->work.statements[index].expect_rows;
    int64_t affected = x->collected.results.results[index].rows_affected;
    if (expected != EXPECT_ROWS_ANY && affected != expected) {
        return fail_text(x, REASON_ROW_COUNT, index,
                         "statement %d touched %" PRId64 " rows, expected were %" PRId64, index,
                         affected, expected);
    }
    if (x->collected.invalid) {
        return fail_text(x, REASON_REJECTED_BY_POLICY, index,
                         "statement %d's result is not UTF-8 (was client_encoding changed?)",
                         index);
    }
    return true;
}

/* Checks that we are where we began and that the settings took; keeps what proves the branch. */
static bool read_settle(struct execution *x)
{
    PGresult *result = NULL;
    if (!read_own(x, PGRES_TUPLES_OK, INDEX_OWN, &result)) {
        return false;
    }
    bool settled = strcmp(PQgetvalue(result, 0, 0), "on") == 0 &&
                   strcmp(PQgetvalue(result, 0, 1), "warning") == 0;
    bool same = strcmp(PQgetvalue(result, 0, 2), x->marker) == 0 &&
                strtol(PQgetvalue(result, 0, 5), NULL, 10) == x->session->pid;
    const struct identity *identity = &x->session->facts.identity;
    x->result->proof = (struct proof){
        .kind = x->proof_row ? PROOF_ROW : PROOF_XID,
        .timeline = identity->timeline,
        .database_oid = identity->database_oid,
        .system_id = identity->system_id,
        .xid8 = strtoull(PQgetvalue(result, 0, 3), NULL, 10),
        .lsn = strtoull(PQgetvalue(result, 0, 4), NULL, 10),
    };
    PQclear(result);
    if (!same || !settled) {
        x->broken = true;
        return fail_text(x, REASON_REJECTED_BY_POLICY, INDEX_OWN,
                         "a statement left the branch's transaction");
    }
    return true;
}

static bool read_body(struct execution *x)
{
    bool begun = skip_own(x, PGRES_COMMAND_OK, INDEX_BEGIN);
    for (int i = 0; i < LIMITS_COUNT && begun; i++) {
        begun = skip_own(x, PGRES_COMMAND_OK, INDEX_BEGIN);
    }
    for (size_t i = 0; i < x->work.statement_count && begun; i++) {
        begun = read_statement(x, (int)i);
    }
    if (!begun || x->by_rollback) {
        return begun;
    }
    return skip_own(x, PGRES_COMMAND_OK,
                    INDEX_NONE) && /* SET CONSTRAINTS: may fail for the client */
           skip_own(x, PGRES_COMMAND_OK, INDEX_OWN);
}

static bool read_end(struct execution *x)
{
    if (!x->by_rollback && !read_settle(x)) {
        return false;
    }
    x->session->warned = false;
    PGresult *result = NULL;
    if (!read_own(x, PGRES_COMMAND_OK, INDEX_PREPARE, &result)) {
        return false;
    }
    FAULT(FAULT_A_PREP_RESULT);
    char tag[64];
    pg_text_copy(tag, sizeof tag, PQcmdStatus(result));
    PQclear(result);
    if (x->by_rollback) {
        return true;
    }
    if (strcmp(tag, "PREPARE TRANSACTION") != 0) {
        /* G1: a failed block answers OK with the tag ROLLBACK, and then nothing is prepared. */
        x->prepare_sent = x->prepare_sent && strcmp(tag, "ROLLBACK") != 0;
        x->broken = true;
        return fail_text(x, REASON_STATEMENT_FAILED, INDEX_PREPARE,
                         "PREPARE TRANSACTION was answered with %.32s", tag);
    }
    if (x->session->warned) {
        /* G21: prepared here, but maybe not on the standby. Not a yes (P-3). */
        return fail_text(x, REASON_PARTICIPANT_UNAVAILABLE, INDEX_PREPARE, "%s",
                         x->session->warning);
    }
    return true;
}

/* ---- the whole ---- */

static bool check_work(struct execution *x)
{
    struct error error = {0};
    if (!work_decode(x->execute->work, &x->work, &error)) {
        return fail_text(x, REASON_STATEMENT_FAILED, INDEX_NONE, "%.200s", error.text);
    }
    for (size_t i = 0; i < x->work.statement_count; i++) {
        const struct statement *statement = &x->work.statements[i];
        char word[PG_GUARD_WORD_SIZE];
        if (!pg_guard_allows(statement->sql, word)) {
            return fail_text(x, REASON_REJECTED_BY_POLICY, (int)i,
                             "%s controls the transaction or the session; a branch may not", word);
        }
        if (statement->param_count > PARAMS_MAX) {
            return fail_text(x, REASON_STATEMENT_FAILED, (int)i, "more than %d parameters",
                             PARAMS_MAX);
        }
        x->split = x->split || statement->expect_rows != EXPECT_ROWS_ANY ||
                   pg_guard_may_return_rows(statement->sql);
    }
    x->split = x->split && !x->by_rollback; /* nothing is prepared that would have to wait */
    return true;
}

/* Sends what is queued as far as the socket takes it; reading continues to. */
static void flush_end(struct execution *x)
{
    FAULT(FAULT_A_PREP_PRE_SEND);
    if (PQflush(x->session->conn) == 0) {
        FAULT(FAULT_A_PREP_IN_FLIGHT);
    }
}

static bool run(struct execution *x)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (was_cancelled(x)) {
        return fail_text(x, REASON_ROLLED_BACK_BY_CLIENT, INDEX_NONE, "cancelled before it began");
    }
    if (now_ms >= x->execute->deadline_ms) {
        return fail_text(x, REASON_TIMEOUT, INDEX_NONE,
                         "the deadline passed before the branch began");
    }
    FAULT(FAULT_A_BEGIN);
    x->session->sync_queued = false;
    bool sent = PQenterPipelineMode(x->session->conn) == 1 &&
                send_body(x, x->execute->deadline_ms - now_ms) &&
                (x->split ? PQsendFlushRequest(x->session->conn) == 1 : send_end(x));
    if (!sent) {
        pg_text_copy(x->session->last_error, sizeof x->session->last_error,
                     PQerrorMessage(x->session->conn));
        return fail_wait(x, PG_WAIT_LOST, INDEX_NONE);
    }
    if (!x->split) {
        flush_end(x);
    }
    if (!read_body(x)) {
        return false;
    }
    if (x->split) {
        if (was_cancelled(x)) {
            return fail_text(x, REASON_ROLLED_BACK_BY_CLIENT, INDEX_NONE, "cancelled");
        }
        if (!send_end(x)) {
            return fail_wait(x, PG_WAIT_LOST, INDEX_PREPARE);
        }
        flush_end(x);
    }
    return read_end(x);
}

/* Reads on to the Sync's reply; queues one if there is none. */
static bool drain(struct pg_session *session, uint64_t deadline_ms)
{
    if (PQpipelineStatus(session->conn) == PQ_PIPELINE_OFF) {
        return true;
    }
    if (!session->sync_queued && PQpipelineSync(session->conn) == 0) {
        return false;
    }
    session->sync_queued = true;
    int ends = 0; /* in a row; two mean that nothing more is to come */
    while (ends < 2) {
        PGresult *result = NULL;
        if (pg_session_result(session, deadline_ms, &result) != PG_WAIT_OK) {
            return false;
        }
        ends = result == NULL ? ends + 1 : 0;
        ExecStatusType status = PQresultStatus(result);
        PQclear(result);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            return false;
        }
        if (status == PGRES_PIPELINE_SYNC) {
            session->sync_queued = false;
            return PQexitPipelineMode(session->conn) == 1;
        }
    }
    return false;
}

/* Asks for the names of types that no earlier branch met. The branch is prepared by now: a failure
 * costs the names and the connection, not the vote. */
static void name_types(struct execution *x, struct pg_types *types)
{
    uint32_t oids[64];
    size_t missing = pg_types_apply(types, &x->collected.results, 64, oids);
    uint64_t deadline_ms = clock_monotonic_ms() + PG_SETTLE_TIMEOUT_MS;
    if (missing == 0 || !drain(x->session, deadline_ms)) {
        x->broken = x->broken || missing != 0;
        return;
    }
    char list[64 * 12 + 3] = "{";
    size_t length = 1;
    for (size_t i = 0; i < missing; i++) {
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%u", i == 0 ? "" : ",",
                                   oids[i]);
    }
    (void)snprintf(list + length, sizeof list - length, "}");
    const struct pg_query query = {
        .sql = "SELECT t.oid, t.typname FROM pg_catalog.pg_type t"
               " WHERE t.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])",
        .param_count = 1,
        .types = (const Oid[]){PG_OID_TEXT},
        .values = (const char *const[]){list},
    };
    PGresult *result = NULL;
    if (pg_session_query(x->session, &query, deadline_ms, &result) != PG_WAIT_OK) {
        x->broken = true;
        return;
    }
    for (int i = 0; PQresultStatus(result) == PGRES_TUPLES_OK && i < PQntuples(result); i++) {
        pg_types_learn(types, (uint32_t)strtoul(PQgetvalue(result, i, 0), NULL, 10),
                       PQgetvalue(result, i, 1));
    }
    PQclear(result);
    (void)pg_types_apply(types, &x->collected.results, 0, NULL);
}

void pg_execute(struct pg_member *member, struct pg_types *types,
                const struct command_execute *execute, struct command_result *result,
                bool *ret_keep)
{
    struct execution x = {
        .member = member,
        .session = &member->session,
        .execute = execute,
        .result = result,
        .deadline_ms = execute->deadline_ms,
        .by_rollback = execute->read_only && execute->isolation != ISOLATION_SERIALIZABLE,
    };
    /* A serializable read-only branch is prepared (P-19) but cannot write a row; it changes nothing
     * either. */
    x.proof_row = member->pg->options.proof == PROOF_ROW && !execute->read_only;
    gid_format(&execute->gid, x.gid_text);
    (void)snprintf(x.marker, sizeof x.marker, "%016" PRIx64, execute->gid.attempt);
    pg_results_init(&x.collected, member->pg->options.max_result_bytes);
    if (check_work(&x) && run(&x)) {
        name_types(&x, types);
        result->class = PG_OK;
        result->results = results_encode(&x.collected.results);
        if (x.by_rollback) {
            result->proof = (struct proof){.kind = PROOF_NONE};
        }
    } else {
        result->proof = (struct proof){.kind = PROOF_NONE};
    }
    pg_results_done(&x.collected);
    work_done(&x.work);
    *ret_keep = !x.broken;
}

bool pg_execute_settle(struct pg_member *member)
{
    struct pg_session *session = &member->session;
    uint64_t deadline_ms = clock_monotonic_ms() + PG_SETTLE_TIMEOUT_MS;
    if (!drain(session, deadline_ms)) {
        return false;
    }
    if (PQtransactionStatus(session->conn) != PQTRANS_IDLE) {
        PGresult *result = NULL;
        if (pg_session_query(session, &(struct pg_query){.sql = "ROLLBACK"}, deadline_ms,
                             &result) != PG_WAIT_OK) {
            return false;
        }
        PQclear(result);
    }
    if (PQsendQuery(session->conn, reset_sql) == 0) {
        return false;
    }
    for (;;) {
        PGresult *result = NULL;
        if (pg_session_result(session, deadline_ms, &result) != PG_WAIT_OK) {
            return false;
        }
        if (result == NULL) {
            return PQtransactionStatus(session->conn) == PQTRANS_IDLE;
        }
        ExecStatusType status = PQresultStatus(result);
        PQclear(result);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
            return false;
        }
    }
}
