/*
 * pg_owner.c - COMMIT PREPARED and ROLLBACK PREPARED of what another role prepared (docs/adr/0016).
 *
 * The server lets the current role finish what it owns, so the owner's role is taken for that one command; being a member of
 * it is enough, no superuser is needed. Two kinds of branches get here: those that the application prepared (external), and
 * ours of which a deferred trigger's last words, run inside PREPARE after our own, have taken a role (P-3). Of the second kind
 * remains: such a trigger can change synchronous_commit and client_min_messages in the same way, and then PREPARE neither
 * waits for the standby nor warns.
 *
 * P-20: an external row is the voted branch only with the vote's transaction id. The bad interleaving:
 *   1. the application prepares, the agent votes yes, COMMIT is decided;
 *   2. the application rolls its branch back and prepares something else under the same name;
 *   3. COMMIT PREPARED commits what nobody voted for.
 * So the row's id is compared first, and a row with another one is rolled back. Should 2 fall between looking and committing, 3
 * happens all the same: COMMIT PREPARED takes a name and nothing else, and nothing that the agent could hold keeps a row's owner
 * from ending it. But it is not taken for success: the status of the voted id, read afterwards, is not "committed". The alarm
 * says that another transaction was committed, and the proof what became of the voted one (P-12).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fault.h"
#include "participant/pg_internal.h"
#include "participant/pg_text.h"

struct row {
    bool may_finish; /* the login role may become its owner */
    uint32_t xid;
    char owner[OWNER_SIZE];
    char grant[HEALTH_TEXT_SIZE]; /* what would let it */
};

static bool ask(struct pg_session *session, const struct pg_query *query, PGresult **ret_result)
{
    session->warned = false;
    return pg_session_query(session, query, clock_monotonic_ms() + PG_FINISH_TIMEOUT_MS,
                            ret_result) == PG_WAIT_OK;
}

void pg_owner_missing(char *to, size_t size, const char *owner, const char *grant)
{
    char text[HEALTH_TEXT_SIZE];
    if (grant[0] == '\0') {
        pg_text_copy(to, size,
                     "prepared by a role that was dropped: only a superuser can finish it now");
        return;
    }
    (void)snprintf(text, sizeof text, "prepared by role %.63s; missing: %.150s", owner, grant);
    pg_text_copy(to, size, text);
}

/* False: not answered. A row in another database of the cluster is none of ours (P-6). */
static bool row_read(struct pg_session *session, const char *gid, bool *ret_found,
                     struct row *ret_row)
{
    const struct pg_query query = {
        .sql = "SELECT p.transaction, p.owner, " PG_MAY_BECOME("p.owner") "," PG_MISSING_GRANT(
            "p.owner") " FROM pg_catalog.pg_prepared_xacts p WHERE p.gid OPERATOR(pg_catalog.=) $1"
                       " AND p.database OPERATOR(pg_catalog.=) pg_catalog.current_database()",
        .param_count = 1,
        .types = (const Oid[]){PG_OID_TEXT},
        .values = (const char *const[]){gid},
    };
    PGresult *result = NULL;
    if (!ask(session, &query, &result) || PQresultStatus(result) != PGRES_TUPLES_OK) {
        PQclear(result);
        return false;
    }
    *ret_found = PQntuples(result) == 1;
    if (*ret_found) {
        ret_row->xid = (uint32_t)strtoul(PQgetvalue(result, 0, 0), NULL, 10);
        ret_row->may_finish = strcmp(PQgetvalue(result, 0, 2), "t") == 0;
        (void)snprintf(ret_row->owner, sizeof ret_row->owner, "%s", PQgetvalue(result, 0, 1));
        pg_text_copy(ret_row->grant, sizeof ret_row->grant, PQgetvalue(result, 0, 3));
    }
    PQclear(result);
    return true;
}

/* Takes the role, finishes, gives it back. */
static void finish_as(struct pg_session *session, const struct command_finish *finish,
                      const char *gid, const char *owner, struct pg_finish_answer *answer)
{
    const struct pg_query take = {
        .sql = "SELECT pg_catalog.set_config('role', $1, false)",
        .param_count = 1,
        .types = (const Oid[]){PG_OID_TEXT},
        .values = (const char *const[]){owner},
    };
    char sql[GID_TEXT_SIZE + 32];
    PGresult *result = NULL;
    if (!ask(session, &take, &result) || PQresultStatus(result) != PGRES_TUPLES_OK) {
        answer->lost = true; /* nobody knows whose role it has now */
        PQclear(result);
        return;
    }
    PQclear(result);
    result = NULL;
    (void)snprintf(sql, sizeof sql, "%s PREPARED '%s'", finish->commit ? "COMMIT" : "ROLLBACK",
                   gid);
    answer->lost = true;
    if (ask(session, &(struct pg_query){.sql = sql}, &result)) {
        pg_finish_judge(session, finish, result, answer);
    }
    PQclear(result);
    result = NULL;
    answer->lost = answer->lost ||
                   !ask(session, &(struct pg_query){.sql = "SET ROLE NONE"}, &result) ||
                   PQresultStatus(result) != PGRES_COMMAND_OK;
    PQclear(result);
}

/* It was there and ours; is it what has committed? */
static void commit_check(struct pg_member *member, const struct command_finish *finish,
                         struct pg_finish_answer *answer)
{
    char xid[32];
    (void)snprintf(xid, sizeof xid, "%" PRIu64, finish->proof.xid8);
    const struct pg_query query = {
        .sql = "SELECT pg_catalog.pg_xact_status($1::pg_catalog.xid8)",
        .param_count = 1,
        .types = (const Oid[]){PG_OID_TEXT},
        .values = (const char *const[]){xid},
    };
    PGresult *result = NULL;
    bool answered =
        ask(&member->session, &query, &result) && PQresultStatus(result) == PGRES_TUPLES_OK;
    if (!answered) {
        answer->class = PG_UNKNOWN; /* tried again, and then the proof tells */
        answer->lost = true;
    } else if (strcmp(PQgetvalue(result, 0, 0), "committed") != 0) {
        answer->class = PG_NOT_FOUND;
        answer->was_another = true;
        (void)snprintf(answer->detail, sizeof answer->detail,
                       "not transaction %s but another one was committed under its name", xid);
        pg_warn(member->pg, "another transaction committed", "%s", answer->detail);
    }
    PQclear(result);
}

/* Nobody decided for this row: away with it, and the voted one is looked for by its proof. */
static void roll_back_another(struct pg_member *member, const struct command_finish *finish,
                              const char *gid, const struct row *row,
                              struct pg_finish_answer *answer)
{
    const struct command_finish away = {.gid = finish->gid, .commit = false};
    finish_as(&member->session, &away, gid, row->owner, answer);
    if (answer->class == PG_OK) {
        answer->class = PG_NOT_FOUND;
        answer->was_another = true;
        (void)snprintf(answer->detail, sizeof answer->detail,
                       "prepared again by role %s, as transaction %" PRIu32 " and not %" PRIu32
                       ": rolled back",
                       row->owner, row->xid, (uint32_t)finish->proof.xid8);
        pg_warn(member->pg, "prepared again", "%s", answer->detail);
    }
}

void pg_finish_as_owner(struct pg_member *member, const struct command_finish *finish,
                        struct pg_finish_answer *ret_answer)
{
    struct pg_session *session = &member->session;
    struct row row = {0};
    bool found = false;
    char gid[GID_TEXT_SIZE];
    gid_format(&finish->gid, gid);
    *ret_answer =
        (struct pg_finish_answer){.class = PG_UNKNOWN, .detail = "no answer from PostgreSQL"};
    /* Both words: that another row was rolled back says nothing about the voted one, which may have been committed by hand (P-12). */
    bool is_voted = finish->proof.kind == PROOF_EXTERNAL && finish->proof.xid8 != 0;
    if (!row_read(session, gid, &found, &row)) {
        ret_answer->lost = true;
        return;
    }
    FAULT(finish->commit ? FAULT_A_COMMIT_IN_FLIGHT : FAULT_A_RB_IN_FLIGHT);
    if (!found) {
        ret_answer->class = PG_NOT_FOUND;
        ret_answer->detail[0] = '\0';
    } else if (!row.may_finish) {
        ret_answer->class = PG_REFUSED;
        pg_owner_missing(ret_answer->detail, sizeof ret_answer->detail, row.owner, row.grant);
    } else if (is_voted && row.xid != (uint32_t)finish->proof.xid8) {
        roll_back_another(member, finish, gid, &row, ret_answer);
    } else {
        finish_as(session, finish, gid, row.owner, ret_answer);
        if (is_voted && finish->commit && ret_answer->class == PG_OK && !ret_answer->lost) {
            commit_check(member, finish, ret_answer);
        }
    }
}
