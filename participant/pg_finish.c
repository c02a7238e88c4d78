/*
 * pg_finish.c - a finisher thread: COMMIT PREPARED and ROLLBACK PREPARED, whatever waits in one pipeline.
 *
 * Finishers never run client SQL and hold their connections open, so that branches that fill every worker cannot
 * starve the commits that would free their rows (P-5). Each command has its own Sync: its own transaction and its own
 * error. Waiting work is shared out evenly between the finishers, because commands of one connection flush
 * their WAL one after the other while those of several share a flush.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/fault.h"
#include "participant/pg_classify.h"
#include "participant/pg_internal.h"
#include "participant/pg_text.h"

struct batch {
    size_t count;
    struct pg_job *jobs[PG_FINISH_BATCH_MAX];
};

static bool take_batch(struct pg_member *member, struct batch *batch)
{
    struct pg *pg = member->pg;
    batch->count = 0;
    (void)pthread_mutex_lock(&pg->mutex);
    /* Opened ahead: the first commit should not wait for a login. */
    while (!pg->halted && pg->finish.count == 0) {
        bool want_open = !member->open && pg->identity_known && !pg->stopping;
        if (want_open && clock_monotonic_ms() >= pg_member_retry_at(member)) {
            break;
        }
        pg_cond_wait(&pg->finish_wanted, &pg->mutex,
                     want_open ? pg_member_retry_at(member) : UINT64_MAX);
    }
    bool go_on = !pg->halted;
    size_t share = (pg->finish.count + pg->options.finisher_count - 1) / pg->options.finisher_count;
    while (go_on && batch->count < share && batch->count < PG_FINISH_BATCH_MAX) {
        batch->jobs[batch->count++] = pg_queue_take(&pg->finish);
    }
    if (batch->count > 0) {
        pg->finishers_busy++;
    }
    if (pg->finish.count > 0) {
        (void)pthread_cond_signal(&pg->finish_wanted);
    }
    (void)pthread_mutex_unlock(&pg->mutex);
    return go_on;
}

void pg_finish_answer(struct pg_member *member, const struct pg_job *job,
                      const struct pg_finish_answer *answer)
{
    struct command_result result = {.id = job->command.id,
                                    .kind = COMMAND_FINISH,
                                    .class = answer->class,
                                    .was_another = answer->was_another};
    pg_text_copy(result.detail, sizeof result.detail, answer->detail);
    pg_post(member->pg, &result);
}

static bool send_batch(struct pg_member *member, const struct batch *batch)
{
    PGconn *conn = member->session.conn;
    if (PQenterPipelineMode(conn) == 0) {
        return false;
    }
    for (size_t i = 0; i < batch->count; i++) {
        const struct command_finish *finish = &batch->jobs[i]->command.as.finish;
        char gid[GID_TEXT_SIZE];
        char sql[GID_TEXT_SIZE + 32];
        gid_format(&finish->gid, gid);
        (void)snprintf(sql, sizeof sql, "%s PREPARED '%s'", finish->commit ? "COMMIT" : "ROLLBACK",
                       gid);
        if (PQsendQueryParams(conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 0 ||
            PQpipelineSync(conn) == 0) {
            return false;
        }
    }
    if (PQflush(conn) == 0) {
        for (size_t i = 0; i < batch->count; i++) {
            FAULT(batch->jobs[i]->command.as.finish.commit ? FAULT_A_COMMIT_IN_FLIGHT
                                                           : FAULT_A_RB_IN_FLIGHT);
        }
    }
    return true;
}

/* What the server said to one command. OK only with the right tag and without a WARNING (P-5). */
void pg_finish_judge(const struct pg_session *session, const struct command_finish *finish,
                     PGresult *result, struct pg_finish_answer *ret_answer)
{
    struct pg_finish_answer *answer = ret_answer;
    answer->lost = false;
    answer->denied = false;
    if (PQresultStatus(result) == PGRES_COMMAND_OK) {
        const char *tag = finish->commit ? "COMMIT PREPARED" : "ROLLBACK PREPARED";
        if (strcmp(PQcmdStatus(result), tag) != 0) {
            /* Not an answer to this question: the next ones may not be, either. */
            (void)snprintf(answer->detail, sizeof answer->detail, "answered with %.64s",
                           PQcmdStatus(result));
            answer->class = PG_UNKNOWN;
            answer->lost = true;
        } else if (session->warned) {
            (void)snprintf(answer->detail, sizeof answer->detail, "%s", session->warning);
            answer->class = PG_RETRY;
        } else {
            answer->detail[0] = '\0';
            answer->class = PG_OK;
        }
        return;
    }
    const struct pg_error error = {
        .sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE),
        .severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED),
        .function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION),
    };
    pg_text_copy(answer->detail, sizeof answer->detail,
                 PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    answer->class = pg_classify_finish(&error);
    answer->lost = pg_classify_lost(&error);
    answer->denied = error.sqlstate != NULL && strcmp(error.sqlstate, "42501") == 0;
}

/* One command's result, the NULL that ends it, and its Sync. Lost: nothing more is to be read. */
static void read_answer(struct pg_session *session, const struct command_finish *finish,
                        struct pg_finish_answer *ret_answer)
{
    PGresult *result = NULL;
    PGresult *end = NULL;
    PGresult *sync = NULL;
    /* Each answer has the whole time: what the ones before took, waiting for a standby perhaps, is not its fault. An
     * answer that does not come ends the batch, so one wait is all that a batch can lose. */
    uint64_t deadline_ms = clock_monotonic_ms() + PG_FINISH_TIMEOUT_MS;
    session->warned = false;
    if (pg_session_result(session, deadline_ms, &result) != PG_WAIT_OK || result == NULL) {
        return;
    }
    pg_finish_judge(session, finish, result, ret_answer);
    PQclear(result);
    FAULT(finish->commit ? FAULT_A_COMMIT_RESULT : FAULT_A_RB_RESULT);
    /* Past this point the class is known; a connection that breaks now only harms the next command. */
    bool in_step = pg_session_result(session, deadline_ms, &end) == PG_WAIT_OK && end == NULL &&
                   pg_session_result(session, deadline_ms, &sync) == PG_WAIT_OK &&
                   PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
    PQclear(end);
    PQclear(sync);
    ret_answer->lost = ret_answer->lost || !in_step;
}

/* Our branch, but another role prepared it: whoever may become that role finishes it (pg_owner.c). Returns whether the
 * connection may be used again. */
static bool finish_denied(struct pg_member *member, const struct pg_job *job, bool alive)
{
    struct pg_finish_answer answer = {
        .class = PG_UNKNOWN, .lost = true, .detail = "no answer from PostgreSQL"};
    if (alive) {
        pg_finish_as_owner(member, &job->command.as.finish, &answer);
    }
    if (answer.class == PG_NOT_FOUND) { /* the server has just shown it to us */
        answer.class = PG_REFUSED;
        (void)snprintf(answer.detail, sizeof answer.detail, "%s",
                       "prepared by another role, and not in this database");
    }
    pg_finish_answer(member, job, &answer);
    return !answer.lost;
}

/* True if the connection may be used again. An error, even one that says nothing about its branch, is its command's
 * alone; only a lost connection takes the answers of the rest with it. */
static bool run_batch(struct pg_member *member, const struct batch *batch)
{
    struct pg_session *session = &member->session;
    bool denied[PG_FINISH_BATCH_MAX] = {false};
    bool alive = send_batch(member, batch);
    for (size_t i = 0; i < batch->count; i++) {
        struct pg_finish_answer answer = {
            .class = PG_UNKNOWN, .lost = true, .detail = "no answer from PostgreSQL"};
        if (alive) {
            read_answer(session, &batch->jobs[i]->command.as.finish, &answer);
        }
        alive = alive && !answer.lost;
        denied[i] = answer.denied;
        if (!denied[i]) {
            pg_finish_answer(member, batch->jobs[i], &answer);
        }
    }
    alive = alive && PQexitPipelineMode(session->conn) == 1;
    for (size_t i = 0; i < batch->count; i++) {
        if (denied[i]) {
            alive = finish_denied(member, batch->jobs[i], alive);
        }
    }
    return alive;
}

static void serve(struct pg_member *member, const struct batch *batch)
{
    char text[HEALTH_TEXT_SIZE] = "";
    if (!pg_member_ready(member, text)) {
        for (size_t i = 0; i < batch->count; i++) {
            pg_refuse(member->pg, &batch->jobs[i]->command, REASON_PARTICIPANT_UNAVAILABLE, text);
        }
    } else if (batch->count > 0 && !run_batch(member, batch)) {
        pg_member_close(member);
    }
}

void *pg_finisher_main(void *arg)
{
    struct pg_member *member = arg;
    struct pg *pg = member->pg;
    struct batch batch;
    while (take_batch(member, &batch)) {
        serve(member, &batch);
        for (size_t i = 0; i < batch.count; i++) {
            pg_job_free(batch.jobs[i]);
        }
        (void)pthread_mutex_lock(&pg->mutex);
        pg->finishers_busy -= batch.count > 0;
        (void)pthread_cond_broadcast(&pg->finish_idle);
        (void)pthread_mutex_unlock(&pg->mutex);
    }
    pg_member_close(member);
    return NULL;
}
