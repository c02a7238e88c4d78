/*
 * pg_proof.c - what is prepared, and what became of a branch that is not there: fence, look, prove (P-11, P-12).
 *
 * Run by the keeper on its connection. The rule of this file: an error, a lost connection or a fence that cannot be
 * confirmed gives PG_UNKNOWN; nothing is ever concluded from not having been able to look.
 *
 * Why the order is fence, then prepared rows, then proof:
 *   1. an old worker's backend has read "PREPARE" but not carried it out;
 *   2. we look, find nothing, and answer "not prepared";
 *   3. the backend prepares, and nobody will ever finish the branch.
 * Ending the backend and waiting until it is gone makes the look final. A branch that a finisher is just now
 * committing stays in pg_prepared_xacts until its effects are visible, so a row that is not there after that look is
 * either visible in assent.outcome or never committed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/fault.h"
#include "participant/pg_inquest.h"
#include "participant/pg_text.h"

bool inquest_ask(struct inquest *inquest, const struct pg_query *query, PGresult **ret_result)
{
    PGresult *result = NULL;
    struct pg_session *session = &inquest->keeper->session;
    session->warned = false;
    enum pg_wait wait = pg_session_query(session, query, inquest->deadline_ms, &result);
    inquest->result->class = PG_UNKNOWN;
    if (wait != PG_WAIT_OK) {
        inquest->broken = true;
        pg_text_copy(inquest->result->detail, sizeof inquest->result->detail,
                     wait == PG_WAIT_LOST ? session->last_error
                                          : "no answer from PostgreSQL in time");
        return false;
    }
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        pg_text_copy(inquest->result->detail, sizeof inquest->result->detail,
                     PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
        PQclear(result);
        return false;
    }
    *ret_result = result;
    return true;
}

/* ---- the fence ---- */

#define PID_LIST_SIZE ((PG_ORPHANS_MAX + PG_CONNECTIONS_MAX + 1) * 12 + 3)

static void format_pids(const int32_t *pids, size_t count, char ret_list[PID_LIST_SIZE])
{
    size_t length = 0;
    ret_list[length++] = '{';
    for (size_t i = 0; i < count; i++) {
        length += (size_t)snprintf(ret_list + length, PID_LIST_SIZE - length, "%s%" PRId32,
                                   i == 0 ? "" : ",", pids[i]);
    }
    (void)snprintf(ret_list + length, PID_LIST_SIZE - length, "}");
}

/* Client backends of the agent's own login role in this database that are not of this incarnation ($1), and of this
 * one those that run the branch or belong to a connection that was given up ($2): these may still be about to prepare.
 * Process ids are used again, and a branch's SQL may rename its session, hence never one that belongs to an open
 * connection ($3) unless it is asked for by its id; and if there were more of them than we noted ($4), every worker's
 * backend without an open connection. The last rule can hit a worker that is connecting at this moment; its branch then
 * fails as unavailable. */
#define FENCED_BACKENDS                                                                            \
    " FROM pg_catalog.pg_stat_activity a"                                                          \
    " WHERE a.usename OPERATOR(pg_catalog.=) session_user"                                         \
    " AND a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"                          \
    " AND a.backend_type OPERATOR(pg_catalog.=) 'client backend'"                                  \
    " AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()"                               \
    " AND (NOT pg_catalog.starts_with(a.application_name, $1)"                                     \
    "   AND a.pid OPERATOR(pg_catalog.<>) ALL ($3::pg_catalog.int4[])"                             \
    "  OR a.pid OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.int4[])"                                \
    "  OR ($4 AND a.application_name OPERATOR(pg_catalog.=)"                                       \
    "    ($1 OPERATOR(pg_catalog.||) 'worker')"                                                    \
    "   AND a.pid OPERATOR(pg_catalog.<>) ALL ($3::pg_catalog.int4[])))"

static const char fence_tell_sql[] =
    "SELECT pg_catalog.pg_terminate_backend(a.pid)" FENCED_BACKENDS;
static const char fence_wait_sql[] =
    "SELECT pg_catalog.pg_terminate_backend(a.pid, 5000)" FENCED_BACKENDS;
static const char fence_left_sql[] = "SELECT a.pid" FENCED_BACKENDS;
static const char fence_one_sql[] =
    "SELECT a.pid, a.application_name, a.backend_start" FENCED_BACKENDS " LIMIT 1";

/* First all are told, then each is waited for, then we look whether they are gone: the return value of
 * pg_terminate_backend does not tell "could not" from "was gone already". Each step stops if nothing is left. */
static bool end_backends(struct inquest *inquest, struct pg_query *query)
{
    const char *const steps[] = {fence_tell_sql, fence_wait_sql, fence_left_sql};
    int found = 0;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        PGresult *result = NULL;
        query->sql = steps[i];
        if (!inquest_ask(inquest, query, &result)) {
            return false;
        }
        found = PQntuples(result);
        PQclear(result);
        if (found == 0) {
            return true;
        }
    }
    (void)snprintf(inquest->result->detail, sizeof inquest->result->detail,
                   "%d backends of this role do not end", found);
    return false;
}

/* Who is meant by FENCED_BACKENDS. The lists live as long as this. */
struct fenced {
    struct pg_backends backends;
    char open_list[PID_LIST_SIZE];
    char ended_list[PID_LIST_SIZE];
    char prefix[PG_APPLICATION_NAME_SIZE];
    const char *values[4];
};

static const Oid fenced_types[] = {PG_OID_TEXT, PG_OID_TEXT, PG_OID_TEXT, PG_OID_BOOL};

static struct pg_query fenced_query(struct pg *pg, const struct gtrid *gtrid, const struct gid *gid,
                                    struct fenced *fenced)
{
    pg_backends_read(pg, gtrid, gid, &fenced->backends);
    format_pids(fenced->backends.open, fenced->backends.open_count, fenced->open_list);
    format_pids(fenced->backends.ended, fenced->backends.ended_count, fenced->ended_list);
    pg_application_name(pg->options.participant, pg->options.incarnation, "", fenced->prefix);
    fenced->values[0] = fenced->prefix;
    fenced->values[1] = fenced->ended_list;
    fenced->values[2] = fenced->open_list;
    fenced->values[3] = fenced->backends.orphans_lost ? "true" : "false";
    return (struct pg_query){.param_count = 4, .types = fenced_types, .values = fenced->values};
}

/* Ends the backends and waits until they are gone. */
static bool fence(struct inquest *inquest, const struct gtrid *gtrid, const struct gid *gid)
{
    struct fenced fenced;
    struct pg_query query = fenced_query(inquest->keeper->pg, gtrid, gid, &fenced);
    FAULT(FAULT_A_FENCE_PRE);
    if (!end_backends(inquest, &query)) {
        return false;
    }
    pg_orphans_gone(inquest->keeper->pg, fenced.backends.ended, fenced.backends.ended_count,
                    fenced.backends.orphans_lost);
    FAULT(FAULT_A_FENCE_POST);
    return true;
}

/* ---- prepared rows ---- */

#define PREPARED_ROWS                                                                              \
    "SELECT p.gid, p.transaction, p.owner,"                                                        \
    " pg_catalog.floor(1000 OPERATOR(pg_catalog.*) pg_catalog.date_part('epoch',"                  \
    "  pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) p.prepared))::pg_catalog.int8,"         \
    " CASE WHEN p.database OPERATOR(pg_catalog.=) pg_catalog.current_database()"                   \
    "  THEN '' ELSE p.database::pg_catalog.text END"                                               \
    " FROM pg_catalog.pg_prepared_xacts p"                                                         \
    " WHERE pg_catalog.starts_with(p.gid, $1)"                                                     \
    " AND (p.database OPERATOR(pg_catalog.=) pg_catalog.current_database()"                        \
    "  OR pg_catalog.split_part(p.gid, ':', 3) OPERATOR(pg_catalog.=) $2)"                         \
    " ORDER BY p.prepared, p.gid"

/* All prepared rows of this database whose gid begins so, whoever owns them. elsewhere (may be NULL): and those under this
 * participant's name in other databases of the server. */
static bool read_rows(struct inquest *inquest, const char *prefix, const char *elsewhere)
{
    const struct pg_query query = {
        .sql = PREPARED_ROWS,
        .param_count = 2,
        .types = (const Oid[]){PG_OID_TEXT, PG_OID_TEXT},
        .values = (const char *const[]){prefix, elsewhere},
    };
    PGresult *result = NULL;
    if (!inquest_ask(inquest, &query, &result)) {
        return false;
    }
    size_t count = (size_t)PQntuples(result);
    struct prepared_row *rows = alloc_array(count, sizeof rows[0]);
    for (size_t i = 0; i < count; i++) {
        long long age_ms = strtoll(PQgetvalue(result, (int)i, 3), NULL, 10);
        pg_text_copy(rows[i].gid_text, sizeof rows[i].gid_text, PQgetvalue(result, (int)i, 0));
        rows[i].xid = (uint32_t)strtoul(PQgetvalue(result, (int)i, 1), NULL, 10);
        pg_text_copy(rows[i].owner, sizeof rows[i].owner, PQgetvalue(result, (int)i, 2));
        pg_text_copy(rows[i].database, sizeof rows[i].database, PQgetvalue(result, (int)i, 4));
        rows[i].age_ms = age_ms < 0 ? 0 : (uint64_t)age_ms; /* the server's clock may step back */
        FAULT(FAULT_A_SCAN);
    }
    PQclear(result);
    inquest->result->rows = rows;
    inquest->result->row_count = count;
    return true;
}

/* Every transaction id below it had ended when this was read. */
static bool read_horizon(struct inquest *inquest)
{
    const struct pg_query query = {
        .sql = "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())"};
    PGresult *result = NULL;
    if (!inquest_ask(inquest, &query, &result)) {
        return false;
    }
    inquest->result->proof.xid8 = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return true;
}

/* What a fence ends: is there nothing of it? */
static bool read_others(struct inquest *inquest, const struct command_scan *scan)
{
    const struct gtrid nobody = {.sequence = 0};
    struct fenced fenced;
    PGresult *result = NULL;
    if (scan->end_others && !fence(inquest, &nobody, NULL)) {
        return false;
    }
    struct pg_query query = fenced_query(inquest->keeper->pg, &nobody, NULL, &fenced);
    query.sql = fence_one_sql;
    if (!inquest_ask(inquest, &query, &result)) {
        return false;
    }
    inquest->result->is_alone = PQntuples(result) == 0;
    if (!inquest->result->is_alone) {
        (void)snprintf(inquest->result->detail, sizeof inquest->result->detail,
                       "backend %s of %.100s, connected since %s", PQgetvalue(result, 0, 0),
                       PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 2));
    }
    PQclear(result);
    return true;
}

bool pg_proof_scan(struct pg_member *keeper, const struct command_scan *scan,
                   struct command_result *result)
{
    struct inquest inquest = {.keeper = keeper,
                              .result = result,
                              .deadline_ms = clock_monotonic_ms() + PG_KEEPER_TIMEOUT_MS};
    /* The rows last: what ended after the horizon was read is above it, and what an earlier incarnation's backend
     * prepared before it went is among the rows. */
    if (read_horizon(&inquest) && (!scan->look_for_others || read_others(&inquest, scan)) &&
        read_rows(&inquest, GID_PREFIX, keeper->pg->options.participant)) {
        result->class = PG_OK;
    }
    return !inquest.broken;
}

bool pg_proof_look(struct pg_member *keeper, const struct command_look *look,
                   struct command_result *result)
{
    struct inquest inquest = {.keeper = keeper,
                              .result = result,
                              .deadline_ms = clock_monotonic_ms() + PG_KEEPER_TIMEOUT_MS};
    struct gid any = {.gtrid = look->gtrid};
    char prefix[GID_TEXT_SIZE];
    (void)snprintf(any.participant, sizeof any.participant, "%s", keeper->pg->options.participant);
    gid_format(&any, prefix);
    *(strrchr(prefix, ':') + 1) = '\0'; /* every attempt */
    if (fence(&inquest, &look->gtrid, NULL) && read_rows(&inquest, prefix, NULL)) {
        result->class = result->row_count > 0 ? PG_OK : PG_NOT_FOUND;
    }
    return !inquest.broken;
}

/* ---- the proof ---- */

/* A gid is prepared once in a cluster. An application may have prepared it in the wrong database: then it is none of ours. */
static bool is_prepared(struct inquest *inquest, const char *gid_text, bool is_external,
                        bool *ret_prepared)
{
    const struct pg_query query = {
        .sql = "SELECT 1 FROM pg_catalog.pg_prepared_xacts p WHERE p.gid OPERATOR(pg_catalog.=) $1"
               " AND (NOT $2 OR p.database OPERATOR(pg_catalog.=) pg_catalog.current_database())",
        .param_count = 2,
        .types = (const Oid[]){PG_OID_TEXT, PG_OID_BOOL},
        .values = (const char *const[]){gid_text, is_external ? "true" : "false"},
    };
    PGresult *result = NULL;
    if (!inquest_ask(inquest, &query, &result)) {
        return false;
    }
    *ret_prepared = PQntuples(result) > 0;
    PQclear(result);
    return true;
}

static bool has_row(struct inquest *inquest, const struct gid *gid, const char *gid_text,
                    bool *ret_found)
{
    char sequence[32];
    (void)snprintf(sequence, sizeof sequence, "%" PRId64, (int64_t)gid->gtrid.sequence);
    const struct pg_query query = {
        .sql = "SELECT 1 FROM assent.outcome o WHERE o.sequence OPERATOR(pg_catalog.=) $1"
               " AND o.gid OPERATOR(pg_catalog.=) $2 LIMIT 1",
        .param_count = 2,
        .types = (const Oid[]){PG_OID_INT8, PG_OID_TEXT},
        .values = (const char *const[]){sequence, gid_text},
    };
    PGresult *result = NULL;
    if (!inquest_ask(inquest, &query, &result)) {
        return false;
    }
    *ret_found = PQntuples(result) > 0;
    PQclear(result);
    return true;
}

/* Asked after the row: a partition emptied in between is then seen by its floor. */
static bool below_floor(struct inquest *inquest, const struct gid *gid, bool *ret_below)
{
    char journal[JOURNAL_ID_TEXT_SIZE];
    char epoch[32];
    char sequence[32];
    journal_id_format(&gid->gtrid.journal, journal);
    (void)snprintf(epoch, sizeof epoch, "%" PRId64, (int64_t)gid->gtrid.epoch);
    (void)snprintf(sequence, sizeof sequence, "%" PRId64, (int64_t)gid->gtrid.sequence);
    const struct pg_query query = {
        .sql = "SELECT 1 FROM assent.witness w WHERE w.journal OPERATOR(pg_catalog.=) $1"
               " AND (w.floor_epoch OPERATOR(pg_catalog.>) $2 OR (w.floor_epoch"
               "  OPERATOR(pg_catalog.=) $2 AND w.floor_sequence OPERATOR(pg_catalog.>=) $3))",
        .param_count = 3,
        .types = (const Oid[]){PG_OID_TEXT, PG_OID_INT8, PG_OID_INT8},
        .values = (const char *const[]){journal, epoch, sequence},
    };
    PGresult *result = NULL;
    if (!inquest_ask(inquest, &query, &result)) {
        return false;
    }
    *ret_below = PQntuples(result) > 0;
    PQclear(result);
    return true;
}

/* Is what pg_xact_status says about this xid about our branch? After a restore or a lost tail of the WAL the same
 * xid belongs to somebody else. So the vote must lie before the position at which we connected, or be one that this
 * process gave since then; a position that is reached by now may have been reached by other history. Which votes it gave
 * is known by their attempts (P-20):
 *   1. a branch is prepared, voted and decided; the agent ends and the database is set back behind the vote;
 *   2. a new agent, which knows of no loss, prepares another branch under the same xid;
 *   3. that one commits. The first is lost, and its xid says "committed". */
static bool xid_believed(struct pg *pg, const struct gid *gid, const struct proof *proof)
{
    (void)pthread_mutex_lock(&pg->mutex);
    const struct identity *here = &pg->identity;
    bool lost =
        pg->lost_to_lsn != 0 && proof->lsn >= pg->lost_from_lsn && proof->lsn <= pg->lost_to_lsn;
    /* The vote's position is before its PREPARE: a history that ends there does not have it. */
    bool known = proof->lsn < pg->lsn_at_connect;
    for (size_t i = 0; i < PG_VOTED_MAX && !known; i++) {
        known = pg->voted[i].attempt == gid->attempt && pg->voted[i].xid8 == proof->xid8;
    }
    bool believed = proof->xid8 != 0 && proof->system_id == here->system_id &&
                    proof->timeline == here->timeline &&
                    proof->database_oid == here->database_oid && known && !lost;
    (void)pthread_mutex_unlock(&pg->mutex);
    return believed;
}

bool pg_prove_by_xid(struct inquest *inquest, const struct gid *gid, const struct proof *proof,
                     enum proof_result *ret_proved)
{
    char xid[32];
    *ret_proved = PROOF_CANNOT_TELL;
    if (!xid_believed(inquest->keeper->pg, gid, proof)) {
        return true;
    }
    (void)snprintf(xid, sizeof xid, "%" PRIu64, proof->xid8);
    const struct pg_query query = {
        .sql = "SELECT pg_catalog.pg_xact_status($1::pg_catalog.xid8)",
        .param_count = 1,
        .types = (const Oid[]){PG_OID_TEXT},
        .values = (const char *const[]){xid},
    };
    PGresult *result = NULL;
    if (!inquest_ask(inquest, &query, &result)) {
        return false;
    }
    /* NULL: the commit log no longer reaches back that far. */
    const char *status = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";
    if (strcmp(status, "committed") == 0) {
        *ret_proved = PROOF_SAYS_COMMITTED;
    } else if (strcmp(status, "aborted") == 0) {
        *ret_proved = PROOF_SAYS_ABSENT;
    }
    PQclear(result);
    return true;
}

static bool prove_by_row(struct inquest *inquest, const struct command_prove *prove,
                         const char *gid_text, enum proof_result *ret_proved)
{
    bool found = false;
    bool below = false;
    if (!has_row(inquest, &prove->gid, gid_text, &found)) {
        return false;
    }
    if (!found && prove->expect_commit && !below_floor(inquest, &prove->gid, &below)) {
        return false;
    }
    *ret_proved = found ? PROOF_SAYS_COMMITTED : below ? PROOF_CANNOT_TELL : PROOF_SAYS_ABSENT;
    return true;
}

/* A commit of our own that writes WAL and waits for the standby: what we saw is then as durable as it. An
 * xid alone, or an UPDATE of no row, would not wait. */
static bool commit_own(struct inquest *inquest)
{
    PGresult *result = NULL;
    const struct pg_query query = {
        .sql = "SELECT pg_catalog.pg_logical_emit_message(true, 'assent', '')"};
    if (!inquest_ask(inquest, &query, &result)) {
        return false;
    }
    PQclear(result);
    if (inquest->keeper->session.warned) {
        inquest->result->class = PG_RETRY;
        pg_text_copy(inquest->result->detail, sizeof inquest->result->detail,
                     inquest->keeper->session.warning);
        return false;
    }
    return true;
}

static bool prove(struct inquest *inquest, const struct command_prove *command)
{
    char gid_text[GID_TEXT_SIZE];
    bool prepared = false;
    enum proof_result proved = PROOF_CANNOT_TELL;
    bool is_external = command->proof.kind == PROOF_EXTERNAL;
    gid_format(&command->gid, gid_text);
    if ((command->fence && !fence(inquest, &command->gid.gtrid, &command->gid)) ||
        !is_prepared(inquest, gid_text, is_external, &prepared)) {
        return false;
    }
    if (prepared) {
        proved = PROOF_SAYS_PREPARED;
    } else {
        bool answered = true;
        if (command->proof.kind == PROOF_XID || (is_external && command->proof.xid8 != 0)) {
            answered = pg_prove_by_xid(inquest, &command->gid, &command->proof, &proved);
        } else if (!command->expect_commit &&
                   (is_external || (command->proof.kind == PROOF_NONE &&
                                    inquest->keeper->pg->options.proof == PROOF_XID))) {
            proved = PROOF_SAYS_ABSENT; /* nobody saw a vote, and there are no rows to look for */
        } else {
            answered = prove_by_row(inquest, command, gid_text, &proved);
        }
        if (!answered || !commit_own(inquest)) {
            return false;
        }
    }
    inquest->result->class = PG_OK;
    inquest->result->proved = proved;
    return true;
}

bool pg_proof_prove(struct pg_member *keeper, const struct command_prove *command,
                    struct command_result *result)
{
    struct inquest inquest = {.keeper = keeper,
                              .result = result,
                              .deadline_ms = clock_monotonic_ms() + PG_KEEPER_TIMEOUT_MS};
    (void)prove(&inquest, command);
    return !inquest.broken;
}
