/*
 * pg_keeper.c - the keeper thread: the judge of the server (P-14), and the executor of everything that is neither a
 * branch nor its end: PROVE, LOOK, SCAN, witnesses, ROTATE, cancels.
 *
 * Only the keeper decides that the server at the end of conninfo is the participant's database; workers and
 * finishers connect to what it accepted. Once a second it looks again and tells the core.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/fault.h"
#include "participant/pg_internal.h"
#include "participant/pg_text.h"

struct keeper {
    struct pg_member *member;
    bool scanned; /* the first SCAN is a fault point */
    bool warned;  /* about settings of this server */
    uint64_t status_at_ms;
    enum health health; /* as told last */
    /* The highest position seen before the server was asked for its own. Workers push pg->lsn_seen on
     * while the answer travels: compared with that, a server under load would look as if it had lost WAL. */
    uint64_t lsn_before;
};

static void note_lsn(struct keeper *keeper)
{
    struct pg *pg = keeper->member->pg;
    (void)pthread_mutex_lock(&pg->mutex);
    keeper->lsn_before = pg->lsn_seen;
    (void)pthread_mutex_unlock(&pg->mutex);
}

static void put_status(struct keeper *keeper, enum health health, bool history_changed,
                       const char *text)
{
    struct pg *pg = keeper->member->pg;
    struct database_status status = {.health = health, .history_changed = history_changed};
    (void)pthread_mutex_lock(&pg->mutex);
    status.identity = pg->identity;
    (void)pthread_mutex_unlock(&pg->mutex);
    pg_text_copy(status.text, sizeof status.text, text);
    keeper->status_at_ms = clock_monotonic_ms() + PG_HEARTBEAT_MS;
    keeper->health = health;
    pg->options.on_status(pg->options.user, &status);
}

/* Takes over what the session found. True if the history is not the one that votes were given in (P-14). */
static bool accept_server(struct pg *pg, const struct pg_facts *facts, uint64_t lsn_before,
                          bool connected)
{
    const struct identity *here = &facts->identity;
    (void)pthread_mutex_lock(&pg->mutex);
    bool first = pg->identity.system_id == 0;
    bool behind = here->lsn < lsn_before;
    bool changed = !first && (pg->identity.system_id != here->system_id ||
                              pg->identity.timeline != here->timeline ||
                              pg->identity.database_oid != here->database_oid || behind);
    if (behind && !first) {
        /* What was written between here and there is gone; its xids will be given out again. */
        if (pg->lost_to_lsn == 0 || here->lsn < pg->lost_from_lsn) {
            pg->lost_from_lsn = here->lsn;
        }
        pg->lost_to_lsn = pg->lsn_seen > pg->lost_to_lsn ? pg->lsn_seen : pg->lost_to_lsn;
    }
    pg->identity = *here;
    if (connected) {
        pg->lsn_at_connect = here->lsn;
    }
    if (changed) {
        pg->generation++; /* connections made before are made anew */
        memset(pg->voted, 0, sizeof pg->voted);
    }
    if (changed || facts->flush_lsn > pg->lsn_seen) {
        pg->lsn_seen = facts->flush_lsn;
    }
    pg->ring = facts->ring;
    if (!pg->identity_known) {
        pg->identity_known = true;
        pg->accepts++;
        (void)pthread_cond_broadcast(&pg->execute_closed);
        (void)pthread_cond_broadcast(&pg->finish_wanted);
    }
    pg->recheck = false;
    (void)pthread_mutex_unlock(&pg->mutex);
    return changed;
}

static void reject_server(struct pg *pg)
{
    (void)pthread_mutex_lock(&pg->mutex);
    pg->identity_known = false;
    pg->recheck = false;
    (void)pthread_mutex_unlock(&pg->mutex);
}

static void warn_settings(struct keeper *keeper, const struct pg_facts *facts)
{
    struct pg *pg = keeper->member->pg;
    if (keeper->warned) {
        return;
    }
    keeper->warned = true;
    if (facts->fsync_off) {
        pg_warn(pg, "fsync is off",
                "a crash of this server can lose committed and prepared branches");
    }
    if (facts->full_page_writes_off) {
        pg_warn(pg, "full_page_writes is off", "a crash of this server can damage its tables");
    }
    if (facts->synchronous_commit_off) {
        pg_warn(pg, "synchronous_commit is off",
                "branches are not affected, the agent sets it on; other work on this server is");
    }
}

/* Judges the server that the open session reached and tells the core. False: nothing may be done there. */
static bool judge_server(struct keeper *keeper, bool connected)
{
    struct pg_member *member = keeper->member;
    char text[HEALTH_TEXT_SIZE];
    enum health health =
        pg_facts_judge(&member->session.facts, member->pg->options.participant, text);
    if (health != HEALTH_UP) {
        reject_server(member->pg);
        pg_text_copy(member->session.last_error, sizeof member->session.last_error, text);
        put_status(keeper, health, false, text);
        return false;
    }
    warn_settings(keeper, &member->session.facts);
    bool changed = accept_server(member->pg, &member->session.facts, keeper->lsn_before, connected);
    if (changed) {
        pg_warn(member->pg, "history changed",
                "timeline %" PRIu32 ", position %" PRIX64 ": votes given before are void",
                member->session.facts.identity.timeline, member->session.facts.identity.lsn);
    }
    put_status(keeper, HEALTH_UP, changed, "");
    return true;
}

/* A connection to a server that has been judged fit, or false. */
static bool ready(struct keeper *keeper)
{
    struct pg_member *member = keeper->member;
    bool was_open = member->session.conn != NULL && pg_session_alive(&member->session);
    char text[HEALTH_TEXT_SIZE] = "";
    if (was_open) {
        return true;
    }
    bool tried =
        member->session.conn != NULL || clock_monotonic_ms() >= member->session.retry_at_ms;
    note_lsn(keeper);
    if (!pg_member_ready(member, text)) {
        if (tried) {
            reject_server(member->pg);
            put_status(keeper, HEALTH_DOWN, false, text);
        }
        return false;
    }
    if (!judge_server(keeper, true)) {
        pg_member_close(member);
        pg_session_back_off(&member->session);
        return false;
    }
    return true;
}

/* Looks at the server again; also how a restart, a promotion or a lost connection is noticed without work. */
static void beat(struct keeper *keeper)
{
    struct pg_member *member = keeper->member;
    bool had = member->session.conn != NULL;
    if (!ready(keeper)) {
        if (clock_monotonic_ms() >= keeper->status_at_ms) {
            enum health health = keeper->health == HEALTH_UP ? HEALTH_DOWN : keeper->health;
            put_status(keeper, health, false, member->session.last_error);
        }
        return;
    }
    if (!had) {
        return; /* just judged */
    }
    struct error error = {0};
    note_lsn(keeper);
    if (!pg_session_read_facts(&member->session, &member->target,
                               clock_monotonic_ms() + PG_CONNECT_TIMEOUT_MS, &error)) {
        pg_text_copy(member->session.last_error, sizeof member->session.last_error, error.text);
        pg_member_close(
            member); /* judged again when it is back; a restart may be quicker than a beat */
        if (!ready(keeper)) {
            return;
        }
    } else if (!judge_server(keeper, false)) {
        pg_member_close(member);
        pg_session_back_off(&member->session);
    }
}

/* Cancels what a backend of ours runs, if it still runs that branch. */
static bool cancel(struct keeper *keeper, const struct gid *gid)
{
    struct pg_member *member = keeper->member;
    int32_t pid = pg_cancel_execute(member->pg, &gid->gtrid, gid);
    if (pid == 0 || member->session.conn == NULL) {
        return true;
    }
    char text[16];
    (void)snprintf(text, sizeof text, "%" PRId32, pid);
    const struct pg_query query = {.sql = "SELECT pg_catalog.pg_cancel_backend($1)",
                                   .param_count = 1,
                                   .types = (const Oid[]){PG_OID_INT4},
                                   .values = (const char *const[]){text}};
    PGresult *result = NULL;
    if (pg_session_query(&member->session, &query, clock_monotonic_ms() + PG_KEEPER_TIMEOUT_MS,
                         &result) != PG_WAIT_OK) {
        return false;
    }
    PQclear(result);
    return true;
}

/* Carries the command out on the open session; false if the session broke. */
static bool carry_out(struct keeper *keeper, const struct command *command,
                      struct command_result *result)
{
    struct pg_member *member = keeper->member;
    switch (command->kind) {
    case COMMAND_CANCEL:
        return cancel(keeper, &command->as.cancel);
    case COMMAND_PROVE:
        return pg_proof_prove(member, &command->as.prove, result);
    case COMMAND_LOOK:
        return pg_proof_look(member, &command->as.look, result);
    case COMMAND_SCAN:
        if (!keeper->scanned) {
            keeper->scanned = true;
            FAULT(FAULT_A_START_PRE_SCAN);
        }
        return pg_proof_scan(member, &command->as.scan, result);
    case COMMAND_AUDIT:
        return pg_audit(member, &command->as.audit, result);
    case COMMAND_OUTCOMES:
        return pg_outcomes_read(member, &command->as.outcomes, result);
    case COMMAND_LOAD_WITNESS:
        return pg_witness_load(member, &command->as.load, result);
    case COMMAND_STORE_WITNESS:
        return pg_witness_store(member, &command->as.store, result);
    case COMMAND_ROTATE:
        return pg_witness_rotate(member, result);
    case COMMAND_EXECUTE:
    case COMMAND_FINISH:
    case COMMAND_STATEMENT:
    case COMMAND_PREPARE:
    case COMMAND_CLOSE:
    case COMMAND_VERIFY:
        break;
    }
    CHECK(!"a worker's or finisher's command");
    return false;
}

static void serve(struct keeper *keeper, struct pg_job *job)
{
    struct pg_member *member = keeper->member;
    const struct command *command = &job->command;
    if (command->kind == COMMAND_LOOK || command->kind == COMMAND_PROVE) {
        /* Also without a database: what still waits in our own queue must not run after this answer. */
        const struct gid *gid = command->kind == COMMAND_PROVE ? &command->as.prove.gid
                                : command->as.look.has_gid     ? &command->as.look.gid
                                                               : NULL;
        (void)pg_cancel_execute(member->pg, gid != NULL ? &gid->gtrid : &command->as.look.gtrid,
                                gid);
    }
    if (!ready(keeper)) {
        pg_refuse(member->pg, &job->command, REASON_PARTICIPANT_UNAVAILABLE,
                  member->session.last_error);
        return;
    }
    struct command_result result = {.id = command->id, .kind = command->kind, .class = PG_UNKNOWN};
    if (!carry_out(keeper, command, &result)) {
        pg_member_close(member);
    }
    if (command->kind != COMMAND_CANCEL) {
        pg_post(member->pg, &result);
    }
}

/* When the server must be looked at next. */
static uint64_t next_beat_ms(const struct keeper *keeper)
{
    const struct pg_session *session = &keeper->member->session;
    bool sooner = session->conn == NULL && session->retry_at_ms < keeper->status_at_ms;
    return sooner ? session->retry_at_ms : keeper->status_at_ms;
}

/* NULL: time for a beat. A beat that is due goes before the commands, or steady work would put it off. */
static struct pg_job *take_job(struct keeper *keeper, bool *ret_halted)
{
    struct pg *pg = keeper->member->pg;
    uint64_t beat_at_ms = next_beat_ms(keeper);
    struct pg_job *job = NULL;
    (void)pthread_mutex_lock(&pg->mutex);
    while (!pg->halted && !pg->recheck && clock_monotonic_ms() < beat_at_ms && job == NULL) {
        job = pg_queue_take(&pg->keeper);
        if (job == NULL) {
            pg_cond_wait(&pg->keeper_wanted, &pg->mutex, beat_at_ms);
        }
    }
    *ret_halted = pg->halted && job == NULL;
    pg->recheck = false;
    (void)pthread_mutex_unlock(&pg->mutex);
    return job;
}

void *pg_keeper_main(void *arg)
{
    struct keeper keeper = {.member = arg, .health = HEALTH_DOWN};
    bool halted = false;
    while (!halted) {
        struct pg_job *job = take_job(&keeper, &halted);
        if (job != NULL) {
            serve(&keeper, job);
            pg_job_free(job);
        } else if (!halted) {
            beat(&keeper);
        }
    }
    pg_member_close(keeper.member);
    return NULL;
}
