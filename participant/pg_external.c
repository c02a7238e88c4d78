/*
 * pg_external.c - a thread for branches that the application prepares itself: VERIFY, and their COMMIT and ROLLBACK PREPARED
 * (docs/adr/0016).
 *
 * VERIFY reads the row and then commits something of its own that writes WAL (P-3). The bad interleaving:
 *   1. the application's PREPARE has written its WAL and waits for the synchronous standby; the row is visible;
 *   2. the agent sees it and votes yes, COMMIT is decided;
 *   3. the server is lost, the standby takes its place, and has no such row.
 * A commit that begins after the look lies behind the PREPARE in the WAL, and waits for the standby as well. Its position goes into
 * the proof: a history that reaches it has the row.
 *
 * Connections of their own, opened when first needed: a VERIFY that waits for a standby delays neither the keeper nor other
 * branches' commits, and a role that could not be given back costs only this one.
 *
 * What if we die between the look and the vote? Nothing was promised (branch_external.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fault.h"
#include "common/work.h"
#include "participant/pg_internal.h"
#include "participant/pg_text.h"

/* ---- VERIFY ---- */

/* Not prepared as it should be. */
static void verify_no(struct command_result *result, enum reason reason, const char *message,
                      const char *hint)
{
    struct pg_report report = {
        .message = pg_text_clean(message), .hint = pg_text_clean(hint), .statement_index = -1};
    result->class = PG_ROLLED_BACK;
    result->failure.reason = reason;
    result->failure.report = pg_report_encode(&report);
    pg_text_copy(result->detail, sizeof result->detail, message);
    pg_report_done(&report);
}

/* False: no answer, and the class is UNKNOWN. */
static bool verify_ask(struct pg_member *member, const struct command_verify *verify,
                       const struct pg_query *query, struct command_result *result,
                       PGresult **ret_answer)
{
    struct pg_session *session = &member->session;
    PGresult *answer = NULL;
    session->warned = false;
    result->class = PG_UNKNOWN;
    if (clock_monotonic_ms() >= verify->deadline_ms) {
        /* P-15. Nothing is sent, so the connection is good for the next: a COMMIT may be waiting for it. */
        result->failure.reason = REASON_TIMEOUT;
        pg_text_copy(result->detail, sizeof result->detail,
                     "the deadline passed before it was looked at");
        return false;
    }
    enum pg_wait wait = pg_session_query(session, query, verify->deadline_ms, &answer);
    result->failure.reason =
        wait == PG_WAIT_DEADLINE ? REASON_TIMEOUT : REASON_PARTICIPANT_UNAVAILABLE;
    if (wait != PG_WAIT_OK) {
        pg_text_copy(result->detail, sizeof result->detail,
                     wait == PG_WAIT_LOST ? session->last_error
                                          : "no answer from PostgreSQL by the deadline");
        pg_member_close(member);
        return false;
    }
    if (PQresultStatus(answer) != PGRES_TUPLES_OK) {
        pg_text_copy(result->detail, sizeof result->detail,
                     PQresultErrorField(answer, PG_DIAG_MESSAGE_PRIMARY));
        PQclear(answer);
        return false;
    }
    *ret_answer = answer;
    return true;
}

/* The columns of the look. */
enum { ROW_XID, ROW_OWNER, ROW_DATABASE, ROW_IS_HERE, ROW_IS_OWN, ROW_MAY, ROW_NEXT, ROW_GRANT };

static bool row_is(const PGresult *row, int column)
{
    return strcmp(PQgetvalue(row, 0, column), "t") == 0;
}

/* Is it what we may finish? */
static bool row_judge(const struct command_verify *verify, const PGresult *row,
                      struct command_result *result)
{
    char gid[GID_TEXT_SIZE];
    char text[HEALTH_TEXT_SIZE];
    gid_format(&verify->gid, gid);
    if (PQntuples(row) == 0) {
        (void)snprintf(text, sizeof text, "no prepared transaction %s is there", gid);
        verify_no(result, REASON_NOT_PREPARABLE, text,
                  "The application commits when it has the answer to its PREPARE TRANSACTION.");
    } else if (!row_is(row, ROW_IS_HERE)) {
        (void)snprintf(text, sizeof text, "it was prepared in database %.63s",
                       PQgetvalue(row, 0, ROW_DATABASE));
        verify_no(result, REASON_NOT_PREPARABLE, text,
                  "It stays there until the application rolls it back.");
    } else if (row_is(row, ROW_IS_OWN)) {
        verify_no(result, REASON_REJECTED_BY_POLICY,
                  "it was prepared by the agent's own login role",
                  "The application needs a role of its own; nothing else may use the agent's.");
    } else if (!row_is(row, ROW_MAY)) {
        const char *grant = PQgetvalue(row, 0, ROW_GRANT);
        pg_owner_missing(text, sizeof text, PQgetvalue(row, 0, ROW_OWNER), grant);
        verify_no(result, REASON_REJECTED_BY_POLICY, text,
                  grant[0] != '\0' ? grant : "It stays there until a superuser ends it.");
    } else {
        return true;
    }
    return false;
}

/* The server shows 32 bits; the whole id is the one near the next one to be given out (G30). */
static uint64_t xid_whole(const char *xid_text, const char *next_text)
{
    uint64_t next = strtoull(next_text, NULL, 10);
    int32_t distance = (int32_t)((uint32_t)strtoul(xid_text, NULL, 10) - (uint32_t)next);
    return next + (uint64_t)(int64_t)distance;
}

static bool verify_look(struct pg_member *member, const struct command_verify *verify,
                        struct command_result *result)
{
    char gid[GID_TEXT_SIZE];
    PGresult *row = NULL;
    gid_format(&verify->gid, gid);
    const struct pg_query query = {
        .sql = "SELECT p.transaction, p.owner, p.database,"
               " p.database OPERATOR(pg_catalog.=) pg_catalog.current_database(),"
               " p.owner OPERATOR(pg_catalog.=) session_user, " PG_MAY_BECOME(
                   "p.owner") ","
                              " pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())"
                              "," PG_MISSING_GRANT(
                                  "p.owner") " FROM pg_catalog.pg_prepared_xacts p WHERE p.gid "
                                             "OPERATOR(pg_catalog.=) $1",
        .param_count = 1,
        .types = (const Oid[]){PG_OID_TEXT},
        .values = (const char *const[]){gid},
    };
    if (!verify_ask(member, verify, &query, result, &row)) {
        return false;
    }
    bool is_good = row_judge(verify, row, result);
    if (is_good) {
        const struct identity *identity = &member->session.facts.identity;
        result->proof = (struct proof){
            .kind = PROOF_EXTERNAL,
            .timeline = identity->timeline,
            .database_oid = identity->database_oid,
            .system_id = identity->system_id,
            .xid8 = xid_whole(PQgetvalue(row, 0, ROW_XID), PQgetvalue(row, 0, ROW_NEXT)),
        };
        (void)snprintf(result->owner, sizeof result->owner, "%s", PQgetvalue(row, 0, ROW_OWNER));
    }
    PQclear(row);
    return is_good;
}

/* P-3: what was seen is as durable as this. */
static bool verify_commit(struct pg_member *member, const struct command_verify *verify,
                          struct command_result *result)
{
    const struct pg_query query = {
        .sql = "SELECT pg_catalog.pg_wal_lsn_diff("
               "pg_catalog.pg_logical_emit_message(true, 'assent', ''), '0/0')"};
    PGresult *answer = NULL;
    if (!verify_ask(member, verify, &query, result, &answer)) {
        return false;
    }
    result->proof.lsn = strtoull(PQgetvalue(answer, 0, 0), NULL, 10);
    PQclear(answer);
    if (member->session.warned) {
        pg_text_copy(result->detail, sizeof result->detail, member->session.warning);
        return false; /* not known on the standby */
    }
    return true;
}

static void vote_remember(struct pg *pg, const struct gid *gid, const struct proof *proof)
{
    (void)pthread_mutex_lock(&pg->mutex);
    pg->voted[pg->voted_next++ % PG_VOTED_MAX] =
        (struct pg_voted){.attempt = gid->attempt, .xid8 = proof->xid8};
    if (proof->lsn > pg->lsn_seen) {
        pg->lsn_seen = proof->lsn; /* our commit flushed it */
    }
    (void)pthread_mutex_unlock(&pg->mutex);
}

static void verify_run(struct pg_member *member, const struct pg_job *job)
{
    const struct command_verify *verify = &job->command.as.verify;
    struct command_result result = {
        .id = job->command.id, .kind = COMMAND_VERIFY, .class = PG_UNKNOWN};
    FAULT(FAULT_A_PREP_PRE_SEND);
    if (verify_look(member, verify, &result)) {
        FAULT(FAULT_A_PREP_IN_FLIGHT);
        if (verify_commit(member, verify, &result)) {
            result.class = PG_OK;
            result.failure = (struct failure){0};
            vote_remember(member->pg, &verify->gid, &result.proof);
        } else {
            result.proof = (struct proof){.kind = PROOF_NONE};
        }
    }
    FAULT(FAULT_A_PREP_RESULT);
    pg_post(member->pg, &result);
}

/* ---- FINISH ---- */

static void finish_run(struct pg_member *member, const struct pg_job *job)
{
    const struct command_finish *finish = &job->command.as.finish;
    struct pg_finish_answer answer;
    pg_finish_as_owner(member, finish, &answer);
    FAULT(finish->commit ? FAULT_A_COMMIT_RESULT : FAULT_A_RB_RESULT);
    if (answer.lost) {
        pg_member_close(member);
    }
    pg_finish_answer(member, job, &answer);
}

/* ---- the thread ---- */

/* NULL: halted. */
static struct pg_job *take_job(struct pg_member *member, bool *ret_refuses)
{
    struct pg *pg = member->pg;
    struct pg_job *job = NULL;
    (void)pthread_mutex_lock(&pg->mutex);
    while (!pg->halted && pg->external.count == 0) {
        pg_cond_wait(&pg->external_wanted, &pg->mutex, UINT64_MAX);
    }
    if (!pg->halted) {
        job = pg_queue_take(&pg->external);
        pg->finishers_busy++;
    }
    *ret_refuses = pg->stopping;
    (void)pthread_mutex_unlock(&pg->mutex);
    return job;
}

static void serve(struct pg_member *member, struct pg_job *job, bool refuses)
{
    char text[HEALTH_TEXT_SIZE] = "";
    bool is_verify = job->command.kind == COMMAND_VERIFY;
    if (is_verify && refuses) {
        pg_refuse(member->pg, &job->command, REASON_SHUTDOWN, "the agent is shutting down");
    } else if (!pg_member_ready(member, text)) {
        pg_refuse(member->pg, &job->command, REASON_PARTICIPANT_UNAVAILABLE, text);
    } else if (is_verify) {
        verify_run(member, job);
    } else {
        finish_run(member, job);
    }
}

void *pg_external_main(void *arg)
{
    struct pg_member *member = arg;
    struct pg *pg = member->pg;
    struct pg_job *job = NULL;
    bool refuses = false;
    while ((job = take_job(member, &refuses)) != NULL) {
        serve(member, job, refuses);
        pg_job_free(job);
        (void)pthread_mutex_lock(&pg->mutex);
        pg->finishers_busy--;
        (void)pthread_cond_broadcast(&pg->finish_idle);
        (void)pthread_mutex_unlock(&pg->mutex);
    }
    pg_member_close(member);
    return NULL;
}
