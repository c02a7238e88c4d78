/* pg.c - starting, stopping and feeding the threads of the PostgreSQL edge. See pg.h and
 * pg_internal.h. */
#include "participant/pg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "participant/pg_internal.h"
#include "participant/pg_setup.h"
#include "participant/pg_text.h"

/* ---- small things that all threads use ---- */

static void queue_init(struct pg_queue *queue)
{
    *queue = (struct pg_queue){0};
    queue->tail = &queue->head;
}

void pg_queue_put(struct pg_queue *queue, struct pg_job *job)
{
    job->next = NULL;
    *queue->tail = job;
    queue->tail = &job->next;
    queue->count++;
}

struct pg_job *pg_queue_take(struct pg_queue *queue)
{
    struct pg_job *job = queue->head;
    if (job != NULL) {
        queue->head = job->next;
        queue->tail = queue->head == NULL ? &queue->head : queue->tail;
        queue->count--;
        job->next = NULL;
    }
    return job;
}

void pg_job_free(struct pg_job *job)
{
    command_done(&job->command);
    free(job);
}

void pg_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ms)
{
    if (deadline_ms == UINT64_MAX) {
        (void)pthread_cond_wait(cond, mutex);
        return;
    }
    struct timespec when = {.tv_sec = (time_t)(deadline_ms / 1000),
                            .tv_nsec = (long)(deadline_ms % 1000) * 1000000L};
    (void)pthread_cond_timedwait(cond, mutex, &when);
}

void pg_warn(struct pg *pg, const char *event, const char *format, ...)
{
    char text[HEALTH_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (pg->options.on_warning != NULL) {
        pg->options.on_warning(pg->options.user, event, text);
    }
}

static void count_result(struct pg_counters *counters, const struct command_result *result)
{
    if (result->kind == COMMAND_STATEMENT || result->kind == COMMAND_CLOSE) {
        return; /* the branch is counted with its PREPARE */
    }
    if (result->kind == COMMAND_EXECUTE || result->kind == COMMAND_PREPARE) {
        counters->executed++;
        counters->prepared += result->class == PG_OK && result->proof.kind != PROOF_NONE;
        counters->refused += result->class == PG_ROLLED_BACK;
    } else if (result->kind == COMMAND_FINISH) {
        counters->finished += result->class == PG_OK;
        counters->retried += result->class == PG_RETRY || result->class == PG_REFUSED;
    }
    counters->unknown += result->class == PG_UNKNOWN;
}

void pg_post(struct pg *pg, struct command_result *result)
{
    (void)pthread_mutex_lock(&pg->mutex);
    count_result(&pg->counters, result);
    (void)pthread_mutex_unlock(&pg->mutex);
    pg->options.on_result(pg->options.user, result);
}

/* The same words for the client. */
static struct blob *report_of(const char *detail)
{
    struct pg_report report = {.message = pg_text_clean(detail), .statement_index = -1};
    struct blob *blob = pg_report_encode(&report);
    pg_report_done(&report);
    return blob;
}

void pg_refuse(struct pg *pg, struct command *command, enum reason reason, const char *detail)
{
    struct command_result result = {.id = command->id, .kind = command->kind};
    pg_text_copy(result.detail, sizeof result.detail, detail);
    switch (command->kind) {
    case COMMAND_EXECUTE:
    case COMMAND_STATEMENT:
    case COMMAND_PREPARE:
    case COMMAND_VERIFY:
        result.class = PG_ROLLED_BACK; /* nothing was sent */
        result.failure.reason = reason;
        result.failure.report = report_of(detail);
        break;
    case COMMAND_FINISH:
        result.class = PG_RETRY; /* likewise */
        break;
    case COMMAND_PROVE:
    case COMMAND_LOOK:
    case COMMAND_SCAN:
    case COMMAND_AUDIT:
    case COMMAND_OUTCOMES:
    case COMMAND_LOAD_WITNESS:
    case COMMAND_STORE_WITNESS:
    case COMMAND_ROTATE:
        result.class = PG_UNKNOWN; /* not asked is not "nothing there" */
        break;
    case COMMAND_CLOSE:
        result.class = PG_OK; /* nothing is open */
        break;
    case COMMAND_CANCEL:
        return;
    }
    pg_post(pg, &result);
}

/* ---- cancelling ---- */

static bool job_matches(const struct pg_job *job, const struct gtrid *gtrid, const struct gid *gid)
{
    const struct gid *own = job->command.kind == COMMAND_STATEMENT
                                ? &job->command.as.statement.execute.gid
                                : &job->command.as.execute.gid;
    return gid != NULL ? gid_equal(own, gid) : gtrid_equal(&own->gtrid, gtrid);
}

/* Takes the matching jobs out of the queue; mutex held. */
static struct pg_job *take_matching(struct pg_queue *queue, const struct gtrid *gtrid,
                                    const struct gid *gid)
{
    struct pg_job *taken = NULL;
    struct pg_job **place = &queue->head;
    while (*place != NULL) {
        struct pg_job *job = *place;
        if (job_matches(job, gtrid, gid)) {
            *place = job->next;
            queue->count--;
            job->next = taken;
            taken = job;
        } else {
            place = &job->next;
        }
    }
    queue->tail = place;
    return taken;
}

bool pg_member_runs(const struct pg_member *member, const struct gtrid *gtrid,
                    const struct gid *gid)
{
    return member->running &&
           (gid != NULL ? gid_equal(&member->gid, gid) : gtrid_equal(&member->gid.gtrid, gtrid));
}

static void refuse_cancelled(struct pg *pg, struct pg_job *jobs)
{
    while (jobs != NULL) {
        struct pg_job *job = jobs;
        jobs = job->next;
        pg_refuse(pg, &job->command, REASON_ROLLED_BACK_BY_CLIENT, "cancelled before it began");
        pg_job_free(job);
    }
}

int32_t pg_cancel_execute(struct pg *pg, const struct gtrid *gtrid, const struct gid *gid)
{
    int32_t pid = 0;
    (void)pthread_mutex_lock(&pg->mutex);
    struct pg_job *jobs = take_matching(&pg->execute, gtrid, gid);
    struct pg_job *first_statements = take_matching(&pg->interactive, gtrid, gid);
    for (size_t i = 0; i < pg->member_count; i++) {
        struct pg_member *member = &pg->members[i];
        if (pg_member_runs(member, gtrid, gid)) {
            member->cancelled = true;
            pid = member->pid;
        }
    }
    (void)pthread_mutex_unlock(&pg->mutex);
    refuse_cancelled(pg, jobs);
    refuse_cancelled(pg, first_statements);
    return pid;
}

/* To the head of the keeper's queue: what waits there can take seconds. */
void pg_cancel_soon(struct pg *pg, const struct gid *gid)
{
    struct pg_job *job = alloc_zeroed(sizeof *job);
    job->command = (struct command){.kind = COMMAND_CANCEL, .as.cancel = *gid};
    (void)pthread_mutex_lock(&pg->mutex);
    if (pg->keeper.head == NULL) {
        pg_queue_put(&pg->keeper, job);
    } else {
        job->next = pg->keeper.head;
        pg->keeper.head = job;
        pg->keeper.count++;
    }
    (void)pthread_cond_signal(&pg->keeper_wanted);
    (void)pthread_mutex_unlock(&pg->mutex);
}

/* ---- start, submit, stop ---- */

static bool copy_options(struct pg *pg, const struct pg_options *options, struct error *ret_error)
{
    pg->options = *options;
    pg->options.participant = alloc_string(options->participant);
    pg->options.conninfo = alloc_string(options->conninfo);
    pg->options.token_file = alloc_string(options->token_file);
    pg->options.worker_count = options->worker_count == 0 ? 16 : options->worker_count;
    pg->options.finisher_count = options->finisher_count == 0 ? 4 : options->finisher_count;
    pg->options.external_count = options->external_count == 0 ? 2 : options->external_count;
    pg->options.queue_limit = options->queue_limit == 0 ? 10000 : options->queue_limit;
    pg->options.max_result_bytes =
        options->max_result_bytes == 0 ? 256 * 1024 : options->max_result_bytes;
    pg->options.proof = options->proof == PROOF_NONE ? PROOF_ROW : options->proof;
    pg->policy = options->policy == NULL ? policy_new() : policy_hold(options->policy);
    if (pg->options.participant == NULL || !participant_name_valid(pg->options.participant)) {
        return error_set(ret_error, ERROR_INVALID, "the participant's name is not valid");
    }
    if (pg->options.worker_count + pg->options.finisher_count + pg->options.interactive_count +
            pg->options.external_count >
        PG_CONNECTIONS_MAX) {
        return error_set(ret_error, ERROR_LIMIT, "more than %d connections", PG_CONNECTIONS_MAX);
    }
    if (pg->options.conninfo == NULL || pg->options.token_file == NULL) {
        return error_set(ret_error, ERROR_INVALID, "conninfo and token_file must be set");
    }
    return pg_token_load(pg->options.token_file, pg->token, ret_error);
}

static void init_sync(struct pg *pg)
{
    pthread_condattr_t monotonic;
    pthread_cond_t *const conds[] = {
        &pg->execute_open,    &pg->execute_closed, &pg->interactive_wanted, &pg->finish_wanted,
        &pg->external_wanted, &pg->keeper_wanted,  &pg->finish_idle};
    (void)pthread_mutex_init(&pg->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    for (size_t i = 0; i < sizeof conds / sizeof conds[0]; i++) {
        (void)pthread_cond_init(conds[i], &monotonic);
    }
    (void)pthread_condattr_destroy(&monotonic);
    queue_init(&pg->execute);
    queue_init(&pg->finish);
    queue_init(&pg->keeper);
    queue_init(&pg->interactive);
    queue_init(&pg->external);
}

static void init_member(struct pg *pg, size_t index)
{
    struct pg_member *member = &pg->members[index];
    size_t workers = pg->options.worker_count;
    const char *role = "keeper";
    member->pg = pg;
    member->kind = PG_MEMBER_KEEPER;
    if (index < workers) {
        member->kind = PG_MEMBER_WORKER;
        role = "worker";
    } else if (index < workers + pg->options.finisher_count) {
        member->kind = PG_MEMBER_FINISHER;
        role = "finisher";
    } else if (index < workers + pg->options.finisher_count + pg->options.interactive_count) {
        member->kind = PG_MEMBER_INTERACTIVE;
        role = "interactive";
    } else if (index < pg->member_count - 1) {
        member->kind = PG_MEMBER_EXTERNAL;
        role = "external";
    }
    (void)pthread_cond_init(&member->job_wanted, NULL);
    member->target.conninfo = pg->options.conninfo;
    member->target.token = pg->token;
    pg_application_name(pg->options.participant, pg->options.incarnation, role,
                        member->target.application_name);
    pg_session_init(&member->session,
                    member->kind == PG_MEMBER_WORKER || member->kind == PG_MEMBER_INTERACTIVE
                        ? pg->stop_work_fd
                        : pg->stop_all_fd,
                    pg->options.incarnation + 0x9E3779B97F4A7C15U * (index + 1));
}

static void pg_free(struct pg *pg)
{
    if (pg->stop_work_fd >= 0) {
        (void)close(pg->stop_work_fd);
    }
    if (pg->stop_all_fd >= 0) {
        (void)close(pg->stop_all_fd);
    }
    free((char *)(uintptr_t)pg->options.participant);
    free((char *)(uintptr_t)pg->options.conninfo);
    free((char *)(uintptr_t)pg->options.token_file);
    free(pg->members);
    policy_release(pg->policy);
    (void)pthread_mutex_destroy(&pg->mutex);
    free(pg);
}

static void *(*thread_body(enum pg_member_kind kind))(void *)
{
    switch (kind) {
    case PG_MEMBER_WORKER:
        return pg_worker_main;
    case PG_MEMBER_FINISHER:
        return pg_finisher_main;
    case PG_MEMBER_INTERACTIVE:
        return pg_interactive_main;
    case PG_MEMBER_EXTERNAL:
        return pg_external_main;
    case PG_MEMBER_KEEPER:
        break;
    }
    return pg_keeper_main;
}

static bool start_threads(struct pg *pg, struct error *ret_error)
{
    for (size_t i = 0; i < pg->member_count; i++) {
        struct pg_member *member = &pg->members[i];
        int errnum = pthread_create(&member->thread, NULL, thread_body(member->kind), member);
        if (errnum != 0) {
            return error_set_errno(ret_error, ERROR_SYSTEM, errnum, "cannot start a thread");
        }
        member->started = true;
    }
    return true;
}

bool pg_start(const struct pg_options *options, struct pg **ret_pg, struct error *ret_error)
{
    struct pg *pg = alloc_zeroed(sizeof *pg);
    pg->stop_work_fd = -1;
    pg->stop_all_fd = -1;
    init_sync(pg);
    if (!copy_options(pg, options, ret_error)) {
        pg_free(pg);
        return false;
    }
    pg->stop_work_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pg->stop_all_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pg->stop_work_fd < 0 || pg->stop_all_fd < 0) {
        (void)error_set_errno(ret_error, ERROR_SYSTEM, errno, "eventfd");
        pg_free(pg);
        return false;
    }
    pg->member_count = pg->options.worker_count + pg->options.finisher_count +
                       pg->options.interactive_count + pg->options.external_count + 1;
    pg->members = alloc_array(pg->member_count, sizeof pg->members[0]);
    for (size_t i = 0; i < pg->member_count; i++) {
        init_member(pg, i);
    }
    if (!start_threads(pg, ret_error)) {
        pg_stop(pg, 0);
        return false;
    }
    *ret_pg = pg;
    return true;
}

/* Puts the job where it belongs; NULL, or the reason why it may not wait. Mutex held. */
static const char *enqueue(struct pg *pg, struct pg_job *job, enum reason *ret_reason)
{
    if (pg->stopping) {
        *ret_reason = REASON_SHUTDOWN;
        return "the agent is shutting down";
    }
    switch (job->command.kind) {
    case COMMAND_EXECUTE:
        if (pg->execute.count >= pg->options.queue_limit) {
            *ret_reason = REASON_CAPACITY;
            return "too many branches are waiting for a connection";
        }
        pg_queue_put(&pg->execute, job);
        (void)pthread_cond_signal(pg->workers_open > 0 ? &pg->execute_open : &pg->execute_closed);
        break;
    case COMMAND_VERIFY:
        pg_queue_put(&pg->external, job);
        (void)pthread_cond_signal(&pg->external_wanted);
        break;
    case COMMAND_FINISH:
        if (job->command.as.finish.proof.kind == PROOF_EXTERNAL) {
            pg_queue_put(&pg->external, job);
            (void)pthread_cond_signal(&pg->external_wanted);
            break;
        }
        pg_queue_put(&pg->finish, job);
        (void)pthread_cond_signal(&pg->finish_wanted);
        break;
    case COMMAND_STATEMENT:
    case COMMAND_PREPARE:
    case COMMAND_CLOSE:
        return pg_interactive_put(pg, job, ret_reason);
    case COMMAND_CANCEL:
    case COMMAND_PROVE:
    case COMMAND_LOOK:
    case COMMAND_SCAN:
    case COMMAND_AUDIT:
    case COMMAND_OUTCOMES:
    case COMMAND_LOAD_WITNESS:
    case COMMAND_STORE_WITNESS:
    case COMMAND_ROTATE:
        pg_queue_put(&pg->keeper, job);
        (void)pthread_cond_signal(&pg->keeper_wanted);
        break;
    }
    return NULL;
}

void pg_submit(struct pg *pg, struct command *command)
{
    if (command->kind == COMMAND_CANCEL) {
        struct gid gid = command->as.cancel;
        command_done(command);
        if (pg_cancel_execute(pg, &gid.gtrid, &gid) != 0) {
            pg_cancel_soon(pg, &gid);
        }
        return;
    }
    struct pg_job *job = alloc_zeroed(sizeof *job);
    job->command = *command;
    memset(command, 0, sizeof *command);
    enum reason reason = REASON_NONE;
    (void)pthread_mutex_lock(&pg->mutex);
    const char *refused = enqueue(pg, job, &reason);
    (void)pthread_mutex_unlock(&pg->mutex);
    if (refused != NULL) {
        pg_refuse(pg, &job->command, reason, refused);
        pg_job_free(job);
    }
}

void pg_counters_read(const struct pg *pg, struct pg_counters *ret_counters)
{
    struct pg *mutable =
        (struct pg *)(uintptr_t)pg; /* a mutex is state, what it guards is only read */
    (void)pthread_mutex_lock(&mutable->mutex);
    *ret_counters = pg->counters;
    ret_counters->pool_waiting = pg->execute.count;
    ret_counters->pool_busy = 0;
    for (size_t i = 0; i < pg->member_count; i++) {
        ret_counters->pool_busy += pg->members[i].running;
    }
    (void)pthread_mutex_unlock(&mutable->mutex);
}

static void refuse_queue(struct pg *pg, struct pg_queue *queue)
{
    for (;;) {
        (void)pthread_mutex_lock(&pg->mutex);
        struct pg_job *job = pg_queue_take(queue);
        (void)pthread_mutex_unlock(&pg->mutex);
        if (job == NULL) {
            return;
        }
        pg_refuse(pg, &job->command, REASON_SHUTDOWN, "the agent is shutting down");
        pg_job_free(job);
    }
}

static void raise_flag(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof one);
    CHECK(written == (ssize_t)sizeof one);
}

static void wake_all(struct pg *pg)
{
    (void)pthread_cond_broadcast(&pg->execute_open);
    (void)pthread_cond_broadcast(&pg->execute_closed);
    (void)pthread_cond_broadcast(&pg->interactive_wanted);
    for (size_t i = 0; i < pg->member_count; i++) {
        (void)pthread_cond_broadcast(&pg->members[i].job_wanted);
    }
    (void)pthread_cond_broadcast(&pg->finish_wanted);
    (void)pthread_cond_broadcast(&pg->external_wanted);
    (void)pthread_cond_broadcast(&pg->keeper_wanted);
}

void pg_stop(struct pg *pg, uint32_t timeout_ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    (void)pthread_mutex_lock(&pg->mutex);
    pg->stopping = true;
    wake_all(pg);
    (void)pthread_mutex_unlock(&pg->mutex);
    raise_flag(pg->stop_work_fd); /* running EXECUTEs end: no yes can be wanted any more */
    refuse_queue(pg, &pg->execute);
    refuse_queue(pg, &pg->interactive);

    (void)pthread_mutex_lock(&pg->mutex);
    while ((pg->finish.count > 0 || pg->external.count > 0 || pg->finishers_busy > 0) &&
           clock_monotonic_ms() < deadline_ms) {
        pg_cond_wait(&pg->finish_idle, &pg->mutex, deadline_ms);
    }
    pg->halted = true;
    wake_all(pg);
    (void)pthread_mutex_unlock(&pg->mutex);
    raise_flag(pg->stop_all_fd);

    for (size_t i = 0; i < pg->member_count; i++) {
        if (pg->members[i].started) {
            (void)pthread_join(pg->members[i].thread, NULL);
        }
    }
    refuse_queue(pg, &pg->finish);
    refuse_queue(pg, &pg->external);
    refuse_queue(pg, &pg->keeper);
    pg_free(pg);
}
