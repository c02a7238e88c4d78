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
 * In front of each statement stand the words of the agent's policy, if it has any (pg_policy.c); a rule that judges the
 * answer also holds PREPARE back.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fault.h"
#include "participant/pg_execution.h"
#include "participant/pg_guard.h"
#include "participant/pg_text.h"

/* After the deadline the running statement is cancelled and this much longer is waited for its
 * error: then the answer is a sure no instead of "unknown". */
#define OVERTIME_MS 1000

#define PARAMS_MAX 65535 /* what the protocol can count */

#define LIMITS_COUNT (PG_TIMEOUTS_COUNT + 1) /* statements that send_limits sends */

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

/* ---- sending ---- */

bool pg_send_sql(struct execution *x, const char *sql)
{
    return PQsendQueryParams(x->session->conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

const char *pg_begin_sql(const struct execution *x)
{
    if (x->execute->read_only) {
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
bool pg_send_timeouts(struct execution *x, uint64_t left_ms)
{
    char sql[96];
    uint64_t statement_ms = left_ms - left_ms / 20;
    uint64_t lock_ms = left_ms - left_ms / 8;
    statement_ms = statement_ms < INT32_MAX ? statement_ms : INT32_MAX;
    lock_ms = lock_ms < INT32_MAX ? lock_ms : INT32_MAX;
    x->limit_ms = statement_ms > 0 ? statement_ms : 1;
    x->lock_limit_ms = lock_ms > 0 ? lock_ms : 1;
    x->sent_ms = clock_monotonic_ms();
    (void)snprintf(sql, sizeof sql, "SET LOCAL statement_timeout = %" PRIu64, x->limit_ms);
    bool sent = pg_send_sql(x, sql);
    (void)snprintf(sql, sizeof sql, "SET LOCAL lock_timeout = %" PRIu64, x->lock_limit_ms);
    return sent && pg_send_sql(x, sql);
}

bool pg_send_marker(struct execution *x)
{
    char sql[96];
    (void)snprintf(sql, sizeof sql, "SET LOCAL assent.branch = '%s'", x->marker);
    return pg_send_sql(x, sql);
}

static bool send_limits(struct execution *x, uint64_t left_ms)
{
    return pg_send_timeouts(x, left_ms) && pg_send_marker(x);
}

bool pg_send_statement(struct execution *x, size_t index)
{
    const struct statement *statement = &x->work.statements[index];
    return pg_policy_send(x, index) &&
           PQsendQueryParams(x->session->conn, statement->sql, (int)statement->param_count,
                             x->terms[index].types, (const char *const *)statement->params, NULL,
                             NULL, 0) == 1;
}

/* The role comes back before our own words run and before the branch gets its owner. */
bool pg_send_constraints(struct execution *x)
{
    return pg_send_sql(x, "SET CONSTRAINTS ALL IMMEDIATE") && pg_send_sql(x, "SET LOCAL ROLE NONE");
}

bool pg_skip_constraints(struct execution *x)
{
    return pg_skip_own(x, PGRES_COMMAND_OK,
                       INDEX_NONE) && /* SET CONSTRAINTS: may fail for the client */
           pg_skip_own(x, PGRES_COMMAND_OK, INDEX_OWN);
}

static bool send_body(struct execution *x, uint64_t left_ms)
{
    bool sent = pg_send_sql(x, pg_begin_sql(x)) && send_limits(x, left_ms);
    for (size_t i = 0; sent && i < x->work.statement_count; i++) {
        sent = pg_send_statement(x, i);
    }
    sent = sent && pg_policy_send(x, x->work.statement_count);
    return sent && (x->by_rollback || pg_send_constraints(x));
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
    return x->proof_row ? send_proof_row(x) : pg_send_sql(x, "SELECT " SETTLE_COLUMNS);
}

bool pg_send_sync(struct execution *x)
{
    x->session->sync_queued = PQpipelineSync(x->session->conn) == 1;
    return x->session->sync_queued;
}

bool pg_send_end(struct execution *x)
{
    if (x->by_rollback) {
        return pg_send_sql(x, "ROLLBACK") && pg_send_sync(x);
    }
    /* The gid takes no parameter; it has only letters, digits, '_', '-' and ':'. */
    char sql[GID_TEXT_SIZE + 32];
    (void)snprintf(sql, sizeof sql, "PREPARE TRANSACTION '%s'", x->gid_text);
    if (!send_settle(x)) {
        return false;
    }
    x->prepare_sent = true;
    return pg_send_sql(x, sql) && pg_send_sync(x);
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
        return pg_fail_wait(x, wait, index);
    }
    if (result == NULL || PQresultStatus(result) != status) {
        bool answer =
            result == NULL ? pg_fail_wait(x, PG_WAIT_OK, index) : pg_fail_result(x, result, index);
        PQclear(result);
        return answer;
    }
    wait = next_result(x, &end);
    if (wait != PG_WAIT_OK || end != NULL) {
        PQclear(result);
        PQclear(end);
        return pg_fail_wait(x, wait, index);
    }
    *ret_result = result;
    return true;
}

bool pg_skip_own(struct execution *x, ExecStatusType status, int index)
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
            return pg_fail_text(x, REASON_RESULT_TOO_LARGE, index,
                                "the branch's results are larger than max_result_bytes = %zu",
                                x->collected.limit_bytes);
        }
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
            return pg_policy_rows(x, index);
        }
        pg_results_end(&x->collected, result);
        return pg_policy_rows(x, index) && pg_policy_tag(x, index, true);
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        pg_results_end(&x->collected, result);
        return pg_policy_rows(x, index) && pg_policy_tag(x, index, false);
    default: /* an error, or COPY, which the guard does not let through */
        return pg_fail_result(x, result, index);
    }
}

bool pg_skip_policy(struct execution *x, size_t index)
{
    bool skipped = true;
    for (int word = 0; skipped && word < pg_policy_words(x, index); word++) {
        skipped = pg_skip_own(x, PGRES_COMMAND_OK, pg_policy_word_index(x, word));
    }
    return skipped;
}

bool pg_read_statement(struct execution *x, int index)
{
    if (!pg_skip_policy(x, (size_t)index)) {
        return false;
    }
    /* Row by row, so that a large result costs no more memory than the limit. */
    (void)PQsetSingleRowMode(x->session->conn);
    pg_results_begin(&x->collected);
    for (;;) {
        PGresult *result = NULL;
        enum pg_wait wait = next_result(x, &result);
        if (wait != PG_WAIT_OK) {
            return pg_fail_wait(x, wait, index);
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
        return pg_fail_text(x, REASON_ROW_COUNT, index,
                            "statement %d touched %" PRId64 " rows, expected were %" PRId64, index,
                            affected, expected);
    }
    if (x->collected.invalid) {
        return pg_fail_text(x, REASON_REJECTED_BY_POLICY, index,
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
        return pg_fail_text(x, REASON_REJECTED_BY_POLICY, INDEX_OWN,
                            "a statement left the branch's transaction");
    }
    return true;
}

static bool read_body(struct execution *x)
{
    bool begun = pg_skip_own(x, PGRES_COMMAND_OK, INDEX_BEGIN);
    for (int i = 0; i < LIMITS_COUNT && begun; i++) {
        begun = pg_skip_own(x, PGRES_COMMAND_OK, INDEX_BEGIN);
    }
    for (size_t i = 0; i < x->work.statement_count && begun; i++) {
        begun = pg_read_statement(x, (int)i);
    }
    begun = begun && pg_skip_policy(x, x->work.statement_count);
    return begun && (x->by_rollback || pg_skip_constraints(x));
}

bool pg_read_end(struct execution *x)
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
        /* A failed block answers OK with the tag ROLLBACK, and then nothing is prepared. */
        x->prepare_sent = x->prepare_sent && strcmp(tag, "ROLLBACK") != 0;
        x->broken = true;
        return pg_fail_text(x, REASON_STATEMENT_FAILED, INDEX_PREPARE,
                            "PREPARE TRANSACTION was answered with %.32s", tag);
    }
    if (x->session->warned) {
        /* Prepared here, but maybe not on the standby. Not a yes (P-3). */
        return pg_fail_text(x, REASON_PARTICIPANT_UNAVAILABLE, INDEX_PREPARE, "%s",
                            x->session->warning);
    }
    return true;
}

/* ---- the whole ---- */

bool pg_check_work(struct execution *x)
{
    struct error error = {0};
    if (!work_decode(x->execute->work, &x->work, &error)) {
        return pg_fail_text(x, REASON_STATEMENT_FAILED, INDEX_NONE, "%.200s", error.text);
    }
    for (size_t i = 0; i < x->work.statement_count; i++) {
        const struct statement *statement = &x->work.statements[i];
        char word[PG_GUARD_WORD_SIZE];
        if (!pg_policy_admit(x, i)) {
            return false;
        }
        if (!pg_guard_allows(statement->sql, word)) {
            return pg_fail_text(x, REASON_REJECTED_BY_POLICY, (int)i,
                                "%s controls the transaction or the session; a branch may not",
                                word);
        }
        if (!pg_policy_check_words(x, i)) {
            return false;
        }
        if (statement->param_count > PARAMS_MAX) {
            return pg_fail_text(x, REASON_STATEMENT_FAILED, (int)i, "more than %d parameters",
                                PARAMS_MAX);
        }
        x->split = x->split || statement->expect_rows != EXPECT_ROWS_ANY ||
                   pg_guard_may_return_rows(statement->sql);
    }
    x->split = x->split && !x->by_rollback; /* nothing is prepared that would have to wait */
    return true;
}

/* Sends what is queued as far as the socket takes it; reading continues to. */
void pg_flush_end(struct execution *x)
{
    FAULT(FAULT_A_PREP_PRE_SEND);
    if (PQflush(x->session->conn) == 0) {
        FAULT(FAULT_A_PREP_IN_FLIGHT);
    }
}

static bool run(struct execution *x)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (pg_execution_cancelled(x)) {
        return pg_fail_text(x, REASON_ROLLED_BACK_BY_CLIENT, INDEX_NONE,
                            "cancelled before it began");
    }
    if (now_ms >= x->execute->deadline_ms) {
        return pg_fail_text(x, REASON_TIMEOUT, INDEX_NONE,
                            "the deadline passed before the branch began");
    }
    FAULT(FAULT_A_BEGIN);
    x->session->sync_queued = false;
    bool sent = PQenterPipelineMode(x->session->conn) == 1 &&
                send_body(x, x->execute->deadline_ms - now_ms) &&
                (x->split ? PQsendFlushRequest(x->session->conn) == 1 : pg_send_end(x));
    if (!sent) {
        pg_text_copy(x->session->last_error, sizeof x->session->last_error,
                     PQerrorMessage(x->session->conn));
        return pg_fail_wait(x, PG_WAIT_LOST, INDEX_NONE);
    }
    if (!x->split) {
        pg_flush_end(x);
    }
    if (!read_body(x)) {
        return false;
    }
    if (x->split) {
        if (clock_monotonic_ms() >= x->execute->deadline_ms) {
            /* P-15: SQL that catches its cancel, or a process that was stopped: nobody waits for this vote. */
            return pg_fail_text(x, REASON_TIMEOUT, INDEX_NONE,
                                "the deadline passed before PREPARE was sent");
        }
        if (pg_execution_cancelled(x)) {
            return pg_fail_text(x, REASON_ROLLED_BACK_BY_CLIENT, INDEX_NONE, "cancelled");
        }
        if (!pg_send_end(x)) {
            return pg_fail_wait(x, PG_WAIT_LOST, INDEX_PREPARE);
        }
        pg_flush_end(x);
    }
    return pg_read_end(x);
}

void pg_execution_init(struct execution *x, struct pg_member *member,
                       const struct command_execute *execute, struct command_result *result)
{
    *x = (struct execution){
        .member = member,
        .session = &member->session,
        .execute = execute,
        .result = result,
        .deadline_ms = execute->deadline_ms,
        .by_rollback = command_execute_by_rollback(execute),
    };
    /* A serializable read-only branch is prepared (P-19) but cannot write a row; it changes nothing
     * either. */
    x->proof_row = member->pg->options.proof == PROOF_ROW && !execute->read_only;
    pg_policy_begin(x);
    gid_format(&execute->gid, x->gid_text);
    (void)snprintf(x->marker, sizeof x->marker, "%016" PRIx64, execute->gid.attempt);
    pg_results_init(&x->collected, member->pg->options.max_result_bytes);
}

void pg_execution_done(struct execution *x)
{
    pg_results_done(&x->collected);
    pg_policy_done(x);
    work_done(&x->work);
}

void pg_execute(struct pg_member *member, struct pg_types *types,
                const struct command_execute *execute, struct command_result *result,
                bool *ret_keep)
{
    struct execution x;
    pg_execution_init(&x, member, execute, result);
    if (pg_check_work(&x) && run(&x)) {
        pg_settle_types(&x, types);
        result->class = PG_OK;
        result->results = results_encode(&x.collected.results);
        if (x.by_rollback) {
            result->proof = (struct proof){.kind = PROOF_NONE};
        }
    } else {
        result->proof = (struct proof){.kind = PROOF_NONE};
    }
    pg_execution_done(&x);
    *ret_keep = !x.broken;
}
