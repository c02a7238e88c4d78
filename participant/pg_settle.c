/*
 * pg_settle.c - what follows a branch's answer on its connection: the rest of the pipeline is read and the session made
 * as new for the next branch (P-21). Nobody waits for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "participant/pg_execution.h"

/* Session state that survives the branch, in one message. Cursors, temporary objects and LISTEN are not in it:
 * a branch that has them cannot be prepared. Older minor releases keep the role for a later RESET or a failed block when
 * only SET SESSION AUTHORIZATION is said, and RESET ALL spares it. Nor is DISCARD PLANS: throwing away the plans of functions and
 * foreign keys after every branch would cost far more than the rest together. */
static const char reset_sql[] =
    "SELECT pg_catalog.pg_advisory_unlock_all(); SET SESSION AUTHORIZATION DEFAULT; RESET ROLE;"
    " RESET ALL;"
    " DEALLOCATE ALL; DISCARD SEQUENCES";

/* Reads on to the Sync's reply; queues one if there is none. */
bool pg_settle_drain(struct pg_session *session, uint64_t deadline_ms)
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
void pg_settle_types(struct execution *x, struct pg_types *types)
{
    uint32_t oids[64];
    size_t missing = pg_types_apply(types, &x->collected.results, 64, oids);
    uint64_t deadline_ms = clock_monotonic_ms() + PG_SETTLE_TIMEOUT_MS;
    if (missing == 0 || !pg_settle_drain(x->session, deadline_ms)) {
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

bool pg_settle_rollback(struct pg_session *session, uint64_t deadline_ms)
{
    if (!pg_settle_drain(session, deadline_ms)) {
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
    return true;
}

bool pg_execute_settle(struct pg_member *member)
{
    struct pg_session *session = &member->session;
    uint64_t deadline_ms = clock_monotonic_ms() + PG_SETTLE_TIMEOUT_MS;
    if (!pg_settle_rollback(session, deadline_ms)) {
        return false;
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
