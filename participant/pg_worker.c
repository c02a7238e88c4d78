/*
 * pg_worker.c - a worker thread: takes EXECUTEs one at a time and runs them on its connection
 * (pg_execute.c).
 *
 * Workers with an open connection are preferred; one without serves the queue only when none is
 * open, so that a branch fails for want of a connection only if there is none at all.
 */
#include <string.h>

#include "common/clock.h"
#include "participant/pg_internal.h"
#include "participant/pg_results.h"

/* What this worker should do next; with STEP_RUN it has become the running member of *ret_job. */
enum worker_step { STEP_STOP = 1, STEP_RUN, STEP_OPEN };

static void begin_job(struct pg_member *member, const struct pg_job *job)
{
    member->running = true;
    member->cancelled = false;
    member->gid = job->command.as.execute.gid;
}

static enum worker_step wait_for_work(struct pg_member *member, struct pg_job **ret_job)
{
    struct pg *pg = member->pg;
    enum worker_step step = STEP_STOP;
    (void)pthread_mutex_lock(&pg->mutex);
    for (;;) {
        if (pg->stopping) {
            break;
        }
        if (pg->execute.count > 0 && (member->open || pg->workers_open == 0)) {
            *ret_job = pg_queue_take(&pg->execute);
            begin_job(member, *ret_job);
            step = STEP_RUN;
            break;
        }
        if (member->open) {
            pg_cond_wait(&pg->execute_open, &pg->mutex, UINT64_MAX);
            continue;
        }
        /* Connections are opened ahead of work, but only to a server that the keeper has accepted.
         */
        if (pg->identity_known && clock_monotonic_ms() >= pg_member_retry_at(member)) {
            step = STEP_OPEN;
            break;
        }
        pg_cond_wait(&pg->execute_closed, &pg->mutex,
                     pg->identity_known ? pg_member_retry_at(member) : UINT64_MAX);
    }
    (void)pthread_mutex_unlock(&pg->mutex);
    return step;
}

/* The answer leaves first; resetting the session then costs nobody latency. */
void pg_member_answer(struct pg_member *member, struct command_result *result)
{
    struct pg *pg = member->pg;
    (void)pthread_mutex_lock(&pg->mutex);
    member->running = false;
    if (result->class == PG_OK && result->proof.kind != PROOF_NONE) {
        pg->voted[pg->voted_next++ % PG_VOTED_MAX] =
            (struct pg_voted){.attempt = member->gid.attempt, .xid8 = result->proof.xid8};
        if (result->proof.lsn > pg->lsn_seen) {
            pg->lsn_seen = result->proof.lsn; /* PREPARE flushed it */
        }
    }
    (void)pthread_mutex_unlock(&pg->mutex);
    pg_post(pg, result);
}

static void run_job(struct pg_member *member, struct pg_types *types, struct pg_job *job)
{
    char text[HEALTH_TEXT_SIZE] = "";
    if (!pg_member_ready(member, text)) {
        (void)pthread_mutex_lock(&member->pg->mutex);
        member->running = false;
        (void)pthread_mutex_unlock(&member->pg->mutex);
        pg_refuse(member->pg, &job->command, REASON_PARTICIPANT_UNAVAILABLE, text);
        return;
    }
    struct command_result result = {.id = job->command.id, .kind = COMMAND_EXECUTE};
    bool keep = false;
    pg_execute(member, types, &job->command.as.execute, &result, &keep);
    if (!keep) {
        /* Closed before the answer: the fence may then take its backend for a stranger's and end
         * it. */
        pg_member_close(member);
    }
    pg_member_answer(member, &result);
    if (keep && !pg_execute_settle(member)) {
        pg_member_close(member);
    }
}

void *pg_worker_main(void *arg)
{
    struct pg_member *member = arg;
    struct pg_types *types = pg_types_new();
    bool stopped = false;
    while (!stopped) {
        struct pg_job *job = NULL;
        char text[HEALTH_TEXT_SIZE] = "";
        switch (wait_for_work(member, &job)) {
        case STEP_STOP:
            stopped = true;
            break;
        case STEP_OPEN:
            (void)pg_member_ready(member, text); /* a failure sets the time of the next attempt */
            break;
        case STEP_RUN:
            run_job(member, types, job);
            pg_job_free(job);
            break;
        }
    }
    pg_types_free(types);
    pg_member_close(member);
    return NULL;
}
