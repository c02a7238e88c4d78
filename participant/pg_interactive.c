/*
 * pg_interactive.c - an interactive branch on a connection of its own: its first statement begins the transaction, others follow
 * as they come, then PREPARE or CLOSE (P-22, docs/adr/0014).
 *
 *     STATEMENT 1    BEGIN | timeouts | marker | statement | idle limit | Sync
 *     STATEMENT n            timeouts |          statement | idle limit | Sync
 *     PREPARE                timeouts | SET CONSTRAINTS ALL IMMEDIATE | SET LOCAL ROLE NONE | proof row and settings | PREPARE | Sync
 *     CLOSE          ROLLBACK
 *
 * Around each statement stand the words of the agent's policy, as in pg_execute.c; each command takes the policy of its moment.
 *
 * The connection is never replaced beneath a branch: when it is lost, or anything was not as it should be, the branch is over,
 * and whoever speaks of it afterwards hears that it is gone. Each answer is read whole before the next is sent, so there is
 * nothing to hold back at PREPARE.
 *
 * Between the statements the server waits, with the branch's locks. It ends the transaction by itself some time after the
 * deadline, should this process stand still (idle_in_transaction_session_timeout); else the core closes it (branch_interactive.c).
 * That limit is set behind the client's statement, which could take away one that was set before it.
 *
 * What we know if we die, or the connection does: before PREPARE was handed to libpq nothing can be prepared; after that all is as in
 * pg_execute.c.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/fault.h"
#include "participant/pg_execution.h"

/* The core closes the branch at its deadline; the server only if that did not happen. */
#define IDLE_GRACE_MS 1000

/* ---- from one thread to another; mutex held ---- */

static const struct gid *job_gid(const struct pg_job *job)
{
    switch (job->command.kind) {
    case COMMAND_STATEMENT:
        return &job->command.as.statement.execute.gid;
    case COMMAND_PREPARE:
        return &job->command.as.prepare.gid;
    case COMMAND_CLOSE:
        return &job->command.as.close;
    case COMMAND_EXECUTE:
    case COMMAND_CANCEL:
    case COMMAND_FINISH:
    case COMMAND_PROVE:
    case COMMAND_LOOK:
    case COMMAND_SCAN:
    case COMMAND_LOAD_WITNESS:
    case COMMAND_STORE_WITNESS:
    case COMMAND_OUTCOMES:
    case COMMAND_AUDIT:
    case COMMAND_ROTATE:
    case COMMAND_VERIFY:
        break;
    }
    CHECK(!"not a command of an interactive branch");
    return NULL;
}

static struct pg_member *holder(struct pg *pg, const struct gid *gid)
{
    for (size_t i = 0; i < pg->member_count; i++) {
        if (pg->members[i].holds && gid_equal(&pg->members[i].gid, gid)) {
            return &pg->members[i];
        }
    }
    return NULL;
}

const char *pg_interactive_put(struct pg *pg, struct pg_job *job, enum reason *ret_reason)
{
    struct pg_member *member = holder(pg, job_gid(job));
    bool is_first =
        job->command.kind == COMMAND_STATEMENT && job->command.as.statement.ordinal == 1;
    if (member != NULL) {
        CHECK(member->job == NULL); /* the core asks for one thing at a time */
        member->job = job;
        (void)pthread_cond_signal(&member->job_wanted);
        return NULL;
    }
    if (!is_first) {
        *ret_reason = REASON_PARTICIPANT_UNAVAILABLE;
        return "the connection of this branch is gone";
    }
    if (pg->interactive.count >= pg->options.interactive_count) {
        *ret_reason = REASON_CAPACITY; /* each of them has a branch already, or will have */
        return "no connection is free for another interactive branch";
    }
    pg_queue_put(&pg->interactive, job);
    (void)pthread_cond_signal(&pg->interactive_wanted);
    return NULL;
}

static void job_began(struct pg_member *member, const struct pg_job *job)
{
    member->holds = true;
    member->gid = *job_gid(job);
    member->running = true;
    member->cancelled = false;
}

/* NULL: the edge is stopping. */
static struct pg_job *wait_for_branch(struct pg_member *member)
{
    struct pg *pg = member->pg;
    struct pg_job *job = NULL;
    (void)pthread_mutex_lock(&pg->mutex);
    while (!pg->stopping && pg->interactive.count == 0) {
        pg_cond_wait(&pg->interactive_wanted, &pg->mutex, UINT64_MAX);
    }
    if (!pg->stopping) {
        job = pg_queue_take(&pg->interactive);
        job_began(member, job);
    }
    (void)pthread_mutex_unlock(&pg->mutex);
    return job;
}

/* The next command of the branch that this member holds. NULL: the edge is stopping, and nobody can ask for it any more. */
static struct pg_job *wait_for_job(struct pg_member *member)
{
    struct pg *pg = member->pg;
    (void)pthread_mutex_lock(&pg->mutex);
    while (!pg->stopping && member->job == NULL) {
        pg_cond_wait(&member->job_wanted, &pg->mutex, UINT64_MAX);
    }
    struct pg_job *job = member->job;
    member->job = NULL;
    if (job != NULL) {
        job_began(member, job);
    }
    member->holds = member->holds && job != NULL;
    (void)pthread_mutex_unlock(&pg->mutex);
    return job;
}

static void let_go(struct pg_member *member)
{
    (void)pthread_mutex_lock(&member->pg->mutex);
    member->holds = false;
    (void)pthread_mutex_unlock(&member->pg->mutex);
}

/* ---- words ---- */

static bool send_idle_limit(struct execution *x, uint64_t left_ms)
{
    char sql[96];
    uint64_t idle_ms =
        left_ms < INT32_MAX - IDLE_GRACE_MS ? left_ms + IDLE_GRACE_MS : (uint64_t)INT32_MAX;
    (void)snprintf(sql, sizeof sql, "SET LOCAL idle_in_transaction_session_timeout = %" PRIu64,
                   idle_ms);
    return pg_send_sql(x, sql);
}

static bool skip_own_words(struct execution *x, int count, int index)
{
    bool skipped = true;
    for (int i = 0; i < count && skipped; i++) {
        skipped = pg_skip_own(x, PGRES_COMMAND_OK, index);
    }
    return skipped;
}

/* P-14: is the server that it began on still the participant's? A connection may outlive that. */
static bool is_current(const struct pg_member *member)
{
    (void)pthread_mutex_lock(&member->pg->mutex);
    bool current = member->generation == member->pg->generation;
    (void)pthread_mutex_unlock(&member->pg->mutex);
    return current;
}

/* May anything be sent now? Else the answer is a sure no. */
static bool may_send(struct execution *x, uint64_t *ret_left_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (pg_execution_cancelled(x)) {
        return pg_fail_text(x, REASON_ROLLED_BACK_BY_CLIENT, INDEX_NONE,
                            "cancelled before it began");
    }
    if (now_ms >= x->execute->deadline_ms) { /* P-15: also of a process that was stopped */
        return pg_fail_text(x, REASON_TIMEOUT, INDEX_NONE, "the deadline has passed");
    }
    if (!pg_session_alive(x->session)) {
        x->broken = true;
        return pg_fail_text(x, REASON_PARTICIPANT_UNAVAILABLE, INDEX_NONE,
                            "the connection of this branch was lost, and the branch with it");
    }
    if (!is_current(x->member)) {
        x->broken = true;
        return pg_fail_text(x, REASON_PARTICIPANT_UNAVAILABLE, INDEX_NONE,
                            "the database has become another one, and the branch is lost with it");
    }
    *ret_left_ms = x->execute->deadline_ms - now_ms;
    return true;
}

/* What a statement left behind must be the transaction that it found. */
static bool check_open(struct execution *x)
{
    if (!pg_settle_drain(x->session, clock_monotonic_ms() + PG_SETTLE_TIMEOUT_MS)) {
        return pg_fail_wait(x, PG_WAIT_LOST, 0);
    }
    if (PQtransactionStatus(x->session->conn) != PQTRANS_INTRANS) {
        x->broken = true;
        return pg_fail_text(x, REASON_REJECTED_BY_POLICY, 0,
                            "a statement left the branch's transaction");
    }
    return true;
}

static bool run_statement(struct execution *x, bool is_first)
{
    uint64_t left_ms = 0;
    if (!may_send(x, &left_ms)) {
        return false;
    }
    x->session->sync_queued = false;
    bool sent = PQenterPipelineMode(x->session->conn) == 1;
    if (is_first) {
        FAULT(FAULT_A_BEGIN);
        sent = sent && pg_send_sql(x, pg_begin_sql(x)) && pg_send_timeouts(x, left_ms) &&
               pg_send_marker(x);
    } else {
        sent = sent && pg_send_timeouts(x, left_ms);
    }
    /* The policy's time ends with the statement: the names of types are asked for after it. The idle limit comes last, where
     * nothing that the statement did can lift it. */
    sent = sent && pg_send_statement(x, 0) && pg_policy_send(x, 1) && send_idle_limit(x, left_ms) &&
           pg_send_sync(x);
    if (!sent) {
        return pg_fail_wait(x, PG_WAIT_LOST, INDEX_NONE);
    }
    int own = is_first ? 1 + PG_TIMEOUTS_COUNT + 1 : PG_TIMEOUTS_COUNT;
    if (!skip_own_words(x, own, is_first ? INDEX_BEGIN : INDEX_OWN) || !pg_read_statement(x, 0) ||
        !pg_skip_policy(x, 1) || !skip_own_words(x, 1, INDEX_OWN) || !check_open(x)) {
        return false;
    }
    if (pg_execution_cancelled(x)) {
        return pg_fail_text(x, REASON_ROLLED_BACK_BY_CLIENT, INDEX_NONE, "cancelled");
    }
    return true;
}

static bool check_statement(struct execution *x)
{
    if (!pg_check_work(x)) {
        return false;
    }
    if (x->work.statement_count != 1) {
        return pg_fail_text(x, REASON_STATEMENT_FAILED, INDEX_NONE,
                            "%zu statements came where one was expected", x->work.statement_count);
    }
    return true;
}

/* The types' names are asked for inside the transaction: where that fails, the transaction has failed. */
static bool name_types(struct execution *x, struct pg_types *types)
{
    pg_settle_types(x, types);
    if (x->broken || PQtransactionStatus(x->session->conn) != PQTRANS_INTRANS) {
        return pg_fail_text(x, REASON_PARTICIPANT_UNAVAILABLE, INDEX_NONE,
                            "the names of the result's types cannot be read");
    }
    return true;
}

static bool run_prepare(struct execution *x)
{
    uint64_t left_ms = 0;
    if (!may_send(x, &left_ms)) {
        return false;
    }
    x->session->sync_queued = false;
    bool sent = PQenterPipelineMode(x->session->conn) == 1 && pg_send_timeouts(x, left_ms) &&
                (x->by_rollback || pg_send_constraints(x)) && pg_send_end(x);
    if (!sent) {
        return pg_fail_wait(x, PG_WAIT_LOST, INDEX_PREPARE);
    }
    pg_flush_end(x);
    return skip_own_words(x, PG_TIMEOUTS_COUNT, INDEX_OWN) &&
           (x->by_rollback || pg_skip_constraints(x)) && pg_read_end(x);
}

/* ---- a branch ---- */

/* The branch is over; `keep` tells whether its connection can be used again. */
static void end_branch(struct pg_member *member, struct command_result *result, bool keep)
{
    if (!keep) {
        pg_member_close(member); /* before the answer, as in run_job of pg_worker.c */
    }
    let_go(member);
    pg_member_answer(member, result);
    if (keep && !pg_execute_settle(member)) {
        pg_member_close(member);
    }
}

static bool roll_back(struct pg_member *member)
{
    return pg_settle_rollback(&member->session, clock_monotonic_ms() + PG_SETTLE_TIMEOUT_MS) &&
           PQtransactionStatus(member->session.conn) == PQTRANS_IDLE;
}

/* True: the transaction is open. */
static bool do_statement(struct pg_member *member, struct pg_types *types,
                         const struct command *command)
{
    const struct command_statement *statement = &command->as.statement;
    struct command_result result = {.id = command->id, .kind = COMMAND_STATEMENT};
    struct execution x;
    pg_execution_init(&x, member, &statement->execute, &result);
    x.role_left = member->role_left && statement->ordinal > 1;
    bool open =
        check_statement(&x) && run_statement(&x, statement->ordinal == 1) && name_types(&x, types);
    bool keep = !x.broken;
    if (open) {
        result.class = PG_OK;
        result.results = results_encode(&x.collected.results);
        member->role_left = pg_policy_leaves_role(&x);
    }
    pg_execution_done(&x);
    if (open) {
        pg_member_answer(member, &result);
    } else {
        end_branch(member, &result, keep && roll_back(member)); /* no lock outlives the no */
    }
    return open;
}

static void do_prepare(struct pg_member *member, const struct command *command)
{
    struct command_result result = {.id = command->id, .kind = COMMAND_PREPARE};
    struct execution x;
    pg_execution_init(&x, member, &command->as.prepare, &result);
    if (run_prepare(&x)) {
        result.class = PG_OK;
    }
    if (result.class != PG_OK || x.by_rollback) {
        result.proof = (struct proof){.kind = PROOF_NONE};
    }
    bool keep = !x.broken;
    pg_execution_done(&x);
    if (result.class == PG_ROLLED_BACK) {
        keep = keep && roll_back(member); /* likewise */
    }
    end_branch(member, &result, keep);
}

static void do_close(struct pg_member *member, const struct command *command)
{
    struct command_result result = {
        .id = command->id, .kind = COMMAND_CLOSE, .class = PG_OK}; /* also by hanging up */
    end_branch(member, &result, roll_back(member));
}

/* Carries the branch's command out; true: it goes on. */
static bool carry_out(struct pg_member *member, struct pg_types *types, const struct pg_job *job)
{
    switch (job->command.kind) {
    case COMMAND_STATEMENT:
        return do_statement(member, types, &job->command);
    case COMMAND_PREPARE:
        do_prepare(member, &job->command);
        return false;
    case COMMAND_CLOSE:
        do_close(member, &job->command);
        return false;
    case COMMAND_EXECUTE:
    case COMMAND_CANCEL:
    case COMMAND_FINISH:
    case COMMAND_PROVE:
    case COMMAND_LOOK:
    case COMMAND_SCAN:
    case COMMAND_LOAD_WITNESS:
    case COMMAND_STORE_WITNESS:
    case COMMAND_OUTCOMES:
    case COMMAND_AUDIT:
    case COMMAND_ROTATE:
    case COMMAND_VERIFY:
        break;
    }
    CHECK(!"not a command of an interactive branch");
    return false;
}

static void run_branch(struct pg_member *member, struct pg_types *types, struct pg_job *job)
{
    char text[HEALTH_TEXT_SIZE] = "";
    bool open = pg_member_ready(member, text);
    if (open) {
        open = carry_out(member, types, job);
    } else {
        (void)pthread_mutex_lock(&member->pg->mutex);
        member->running = false;
        member->holds = false;
        (void)pthread_mutex_unlock(&member->pg->mutex);
        pg_refuse(member->pg, &job->command, REASON_PARTICIPANT_UNAVAILABLE, text);
    }
    pg_job_free(job);
    while (open) {
        job = wait_for_job(member);
        open = job != NULL && carry_out(member, types, job);
        if (job != NULL) {
            pg_job_free(job);
        }
    }
}

void *pg_interactive_main(void *arg)
{
    struct pg_member *member = arg;
    struct pg_types *types = pg_types_new();
    struct pg_job *job = NULL;
    while ((job = wait_for_branch(member)) != NULL) {
        run_branch(member, types, job);
    }
    pg_types_free(types);
    pg_member_close(member); /* an open transaction ends with it */
    return NULL;
}
