/*
 * pg_member.c - a thread's connection: opened when needed, checked against what the keeper knows (P-14), closed.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/fault.h"
#include "participant/pg_internal.h"
#include "participant/pg_text.h"

/* The server notices a closed connection only when it next reads or writes, so its backend may go on. */
static void add_orphan(struct pg *pg, int32_t pid)
{
    if (pg->orphan_count < PG_ORPHANS_MAX) {
        pg->orphans[pg->orphan_count++] = pid;
    } else {
        pg->orphans_lost = true;
    }
}

static bool is_open(const struct pg_backends *backends, int32_t pid)
{
    for (size_t i = 0; i < backends->open_count; i++) {
        if (backends->open[i] == pid) {
            return true;
        }
    }
    return false;
}

void pg_backends_read(struct pg *pg, const struct gtrid *gtrid, const struct gid *gid,
                      struct pg_backends *ret_backends)
{
    struct pg_backends *backends = ret_backends;
    backends->ended_count = 0;
    backends->open_count = 0;
    (void)pthread_mutex_lock(&pg->mutex);
    for (size_t i = 0; i < pg->member_count; i++) {
        const struct pg_member *member = &pg->members[i];
        if (member->pid == 0) {
            continue;
        }
        backends->open[backends->open_count++] = member->pid;
        if (pg_member_runs(member, gtrid, gid)) {
            backends->ended[backends->ended_count++] = member->pid;
        }
    }
    for (size_t i = 0; i < pg->orphan_count; i++) {
        /* The system gives process ids again: one of an open connection is no orphan any more. */
        if (!is_open(backends, pg->orphans[i])) {
            backends->ended[backends->ended_count++] = pg->orphans[i];
        }
    }
    backends->orphans_lost = pg->orphans_lost;
    (void)pthread_mutex_unlock(&pg->mutex);
}

void pg_orphans_gone(struct pg *pg, const int32_t *pids, size_t count, bool lost)
{
    (void)pthread_mutex_lock(&pg->mutex);
    size_t kept = 0;
    for (size_t i = 0; i < pg->orphan_count; i++) {
        bool gone = false;
        for (size_t k = 0; k < count && !gone; k++) {
            gone = pids[k] == pg->orphans[i];
        }
        if (!gone) {
            pg->orphans[kept++] = pg->orphans[i];
        }
    }
    pg->orphan_count = kept;
    pg->orphans_lost = pg->orphans_lost && !lost;
    (void)pthread_mutex_unlock(&pg->mutex);
}

static bool runs_branches(const struct pg_member *member)
{
    return member->kind == PG_MEMBER_WORKER || member->kind == PG_MEMBER_INTERACTIVE;
}

void pg_member_close(struct pg_member *member)
{
    struct pg *pg = member->pg;
    pg_session_close(&member->session);
    (void)pthread_mutex_lock(&pg->mutex);
    if (member->open) {
        member->abandoned_pid = member->pid;
    }
    if (member->open && runs_branches(member)) {
        add_orphan(pg, member->pid);
    }
    member->pid = 0;
    if (member->open && member->kind == PG_MEMBER_WORKER) {
        pg->workers_open--;
        /* The queue may now have to be served by somebody without a connection. */
        (void)pthread_cond_broadcast(&pg->execute_closed);
    }
    member->open = false;
    (void)pthread_mutex_unlock(&pg->mutex);
}

/* A worker or finisher must be on the server that the keeper accepted (P-14): the name may by now
 * lead to another one, whose history nobody has compared yet. */
static bool same_server(struct pg_member *member, uint64_t lsn_before,
                        char ret_text[HEALTH_TEXT_SIZE])
{
    struct pg *pg = member->pg;
    const struct identity *here = &member->session.facts.identity;
    (void)pthread_mutex_lock(&pg->mutex);
    bool same = pg->identity_known && pg->identity.system_id == here->system_id &&
                pg->identity.timeline == here->timeline &&
                pg->identity.database_oid == here->database_oid && here->lsn >= lsn_before;
    if (!same) {
        pg->recheck = true;
        (void)pthread_cond_signal(&pg->keeper_wanted);
    }
    (void)pthread_mutex_unlock(&pg->mutex);
    if (!same) {
        (void)snprintf(ret_text, HEALTH_TEXT_SIZE,
                       "the server is not yet known to be the same as before");
    }
    return same;
}

static void member_opened(struct pg_member *member)
{
    struct pg *pg = member->pg;
    bool again = member->session.opened_before;
    member->session.opened_before = true;
    member->session.failures = 0;
    (void)pthread_mutex_lock(&pg->mutex);
    member->pid = member->session.pid;
    member->open = true;
    pg->workers_open += member->kind == PG_MEMBER_WORKER;
    pg->counters.reconnects += again;
    (void)pthread_mutex_unlock(&pg->mutex);
    if (again) {
        FAULT(FAULT_A_RECONNECT);
    }
}

/* The keeper and the finishers run only our own words, but the role's settings are anybody's. */
static bool make_quiet(struct pg_member *member)
{
    static const char sql[] =
        "SELECT pg_catalog.set_config('search_path', 'pg_catalog', false),"
        " pg_catalog.set_config('synchronous_commit', 'on', false),"
        " pg_catalog.set_config('client_min_messages', 'warning', false),"
        " pg_catalog.set_config('statement_timeout', '0', false),"
        " pg_catalog.set_config('lock_timeout', '0', false),"
        " pg_catalog.set_config('default_transaction_isolation', 'read committed', false),"
        " pg_catalog.set_config('default_transaction_read_only', 'off', false),"
        " pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),"
        " pg_catalog.set_config('idle_session_timeout', '0', false)";
    PGresult *result = NULL;
    enum pg_wait wait = pg_session_query(&member->session, &(struct pg_query){.sql = sql},
                                         clock_monotonic_ms() + PG_SETTLE_TIMEOUT_MS, &result);
    bool quiet = wait == PG_WAIT_OK && PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(wait == PG_WAIT_OK ? result : NULL);
    return quiet;
}

/* A connection that was given up may have left its backend waiting, for a standby say. Each new attempt would leave one
 * more, until the server has no connections left for anybody; so the new connection ends the old one's backend. What that
 * was doing is unknown already, and an ended wait for the standby is no acknowledgement (P-5). */
static void end_abandoned(struct pg_member *member)
{
    struct pg *pg = member->pg;
    bool reused = false;
    char pid[16];
    (void)snprintf(pid, sizeof pid, "%d", (int)member->abandoned_pid);
    (void)pthread_mutex_lock(&pg->mutex);
    for (size_t i = 0; i < pg->member_count; i++) {
        reused = reused || pg->members[i].pid == member->abandoned_pid;
    }
    (void)pthread_mutex_unlock(&pg->mutex);
    member->abandoned_pid = 0;
    if (reused) {
        return;
    }
    const struct pg_query query = {
        .sql = "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a"
               " WHERE a.pid OPERATOR(pg_catalog.=) $1"
               " AND a.usename OPERATOR(pg_catalog.=) session_user"
               " AND a.application_name OPERATOR(pg_catalog.=) $2"
               " AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()",
        .param_count = 2,
        .types = (const Oid[]){PG_OID_INT4, PG_OID_TEXT},
        .values = (const char *const[]){pid, member->target.application_name},
    };
    PGresult *result = NULL;
    if (pg_session_query(&member->session, &query, clock_monotonic_ms() + PG_SETTLE_TIMEOUT_MS,
                         &result) == PG_WAIT_OK) {
        PQclear(result);
    }
}

uint64_t pg_member_retry_at(const struct pg_member *member)
{
    bool is_old = member->kind != PG_MEMBER_KEEPER && member->tried_accepts != member->pg->accepts;
    return is_old ? 0 : member->session.retry_at_ms;
}

bool pg_member_ready(struct pg_member *member, char ret_text[HEALTH_TEXT_SIZE])
{
    struct pg *pg = member->pg;
    struct pg_session *session = &member->session;
    (void)pthread_mutex_lock(&pg->mutex);
    uint64_t retry_at_ms = pg_member_retry_at(member);
    uint64_t accepts = pg->accepts;
    uint64_t generation = pg->generation;
    uint64_t lsn_before = pg->lsn_seen; /* others push it on while we connect */
    (void)pthread_mutex_unlock(&pg->mutex);
    bool current = member->kind == PG_MEMBER_KEEPER || member->generation == generation;
    if (session->conn != NULL && current && pg_session_alive(session)) {
        return true;
    }
    if (session->conn != NULL) {
        pg_member_close(member); /* found dead while idle: try at once */
    } else if (clock_monotonic_ms() < retry_at_ms) {
        pg_text_copy(ret_text, HEALTH_TEXT_SIZE, session->last_error);
        return false;
    }
    session->failures = member->tried_accepts == accepts ? session->failures : 0;
    member->tried_accepts = accepts;
    struct error error = {0};
    if (!pg_session_open(session, &member->target, clock_monotonic_ms() + PG_CONNECT_TIMEOUT_MS,
                         &error)) {
        pg_text_copy(ret_text, HEALTH_TEXT_SIZE, error.text);
        return false;
    }
    bool fit = runs_branches(member) || make_quiet(member);
    if (!fit) {
        (void)snprintf(ret_text, HEALTH_TEXT_SIZE, "the session's settings cannot be made");
    }
    /* The keeper judges for itself and with consequences (pg_keeper.c). */
    if (fit && member->kind != PG_MEMBER_KEEPER) {
        fit = pg_facts_judge(&session->facts, pg->options.participant, ret_text) == HEALTH_UP &&
              same_server(member, lsn_before, ret_text);
    }
    if (fit && member->abandoned_pid != 0) {
        end_abandoned(member);
    }
    if (!fit) {
        pg_text_copy(session->last_error, sizeof session->last_error, ret_text);
        pg_session_close(session);
        pg_session_back_off(session);
        return false;
    }
    member->generation = generation;
    member_opened(member);
    return true;
}
