/*
 * crash_server.c - what may happen to a participant's database, made exact. See crash_faults.def.
 *
 * PREPARE TRANSACTION and COMMIT PREPARED are too short to be hit by chance. With a synchronous
 * standby that does not exist they wait, locally durable and not answered; there the backend is
 * found, and killed, ended or cancelled.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "common/alloc.h"
#include "tests/crash/crash_stage.h"
#include "tests/lib/pg_standby.h"

/* --- a standby that does not exist ------------------------------------------------------------ */

static bool sql(struct crash_stage *stage, const char *text, struct error *ret_error)
{
    return stack_sql(stage->stack, stage->participant, text, NULL, ret_error);
}

/* From here on no commit of the victim's database is answered. */
static bool hold(struct crash_stage *stage, struct error *ret_error)
{
    return pg_standby_lose(stack_cluster(stage->stack, stage->participant), crash_patience(),
                           ret_error);
}

static bool release(struct crash_stage *stage, struct error *ret_error)
{
    return pg_standby_return(stack_cluster(stage->stack, stage->participant), crash_patience(),
                             ret_error);
}

struct comeback {
    struct crash_stage *stage;
    struct error error; /* of the last try */
};

static bool is_back(void *user)
{
    struct comeback *comeback = user;
    return release(comeback->stage, &comeback->error);
}

/* --- the backend ------------------------------------------------------------------------------ */

struct backend {
    struct crash_stage *stage;
    const char *condition; /* on pg_stat_activity */
    pid_t pid;
};

static bool find_backend(void *user)
{
    struct backend *backend = user;
    char text[320];
    char *pid = NULL;
    (void)snprintf(text, sizeof text,
                   "SELECT pid FROM pg_stat_activity WHERE usename = 'assent_%s'"
                   " AND datname = current_database() AND %s",
                   stack_participant(backend->stage->stack, backend->stage->participant),
                   backend->condition);
    if (stack_sql(backend->stage->stack, backend->stage->participant, text, &pid, NULL) &&
        pid != NULL) {
        backend->pid = (pid_t)strtol(pid, NULL, 10);
    }
    free(pid);
    return backend->pid > 1;
}

static bool backend_is_elsewhere(void *user)
{
    struct backend *backend = user;
    char text[320];
    char *found = NULL;
    (void)snprintf(text, sizeof text, "SELECT 1 FROM pg_stat_activity WHERE pid = %d AND %s",
                   (int)backend->pid, backend->condition);
    bool elsewhere =
        stack_sql(backend->stage->stack, backend->stage->participant, text, &found, NULL) &&
        found == NULL;
    free(found);
    return elsewhere;
}

enum blow { BLOW_KILL, BLOW_END, BLOW_CANCEL };

static bool strike(struct backend *backend, enum blow blow, struct error *ret_error)
{
    char text[96];
    struct crash_stage *stage = backend->stage;
    switch (blow) {
    case BLOW_KILL:
        return kill(backend->pid, SIGKILL) == 0 ||
               error_set(ret_error, ERROR_SYSTEM, "the backend was gone");
    case BLOW_END:
    case BLOW_CANCEL:
        (void)snprintf(text, sizeof text, "SELECT pg_%s_backend(%d)",
                       blow == BLOW_END ? "terminate" : "cancel", (int)backend->pid);
        return sql(stage, text, ret_error) &&
               (stack_poll(NULL, crash_patience(), backend_is_elsewhere, backend) ||
                error_set(ret_error, ERROR_UNAVAILABLE, "the backend still waits"));
    }
    return false;
}

static bool strike_in_statement(struct crash_stage *stage, enum blow blow, struct error *ret_error)
{
    struct backend backend = {.stage = stage, .condition = "wait_event = 'PgSleep'"};
    sale_begin(stage, &stage->sales[0]);
    return (stack_poll(NULL, crash_patience(), find_backend, &backend) ||
            error_set(ret_error, ERROR_UNAVAILABLE, "the branch was never seen running")) &&
           strike(&backend, blow, ret_error);
}

/* With a kill the whole server restarts: the setting must be away from its file before, and is read
 * again after. */
static bool strike_waiting(struct crash_stage *stage, const char *condition, enum blow blow,
                           struct error *ret_error)
{
    struct backend backend = {.stage = stage, .condition = condition};
    if (!stack_poll(NULL, crash_patience(), find_backend, &backend)) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "no backend was found where %s", condition);
    }
    if (blow != BLOW_KILL) {
        return strike(&backend, blow, ret_error) && release(stage, ret_error);
    }
    if (!sql(stage, "ALTER SYSTEM RESET synchronous_standby_names", ret_error) ||
        !strike(&backend, blow, ret_error)) {
        return false;
    }
    struct comeback comeback = {.stage = stage};
    return stack_poll(NULL, crash_patience(), is_back, &comeback) ||
           error_set(ret_error, ERROR_UNAVAILABLE, "the server did not come back: %s",
                     comeback.error.text);
}

static bool strike_in_prepare(struct crash_stage *stage, enum blow blow, struct error *ret_error)
{
    if (!hold(stage, ret_error)) {
        return false;
    }
    sale_begin(stage, &stage->sales[0]);
    return strike_waiting(stage, "wait_event = 'SyncRep' AND query LIKE 'PREPARE TRANSACTION%'",
                          blow, ret_error);
}

/* The agent sleeps with the COMMIT in its hand while the standby is taken away. */
static bool strike_in_commit(struct crash_stage *stage, enum blow blow, struct error *ret_error)
{
    if (!crash_rearm(stage, stage->victim, "a.commit.recv:stop", ret_error)) {
        return false;
    }
    sale_begin(stage, &stage->sales[0]);
    bool struck =
        crash_await_point(stage->victim, "a.commit.recv", ret_error) && hold(stage, ret_error);
    stack_daemon_signal(stage->victim, SIGCONT);
    return struck &&
           strike_waiting(stage, "wait_event = 'SyncRep' AND query LIKE 'COMMIT PREPARED%'", blow,
                          ret_error);
}

/* --- the server ------------------------------------------------------------------------------- */

static bool restart_with_few_slots(struct pgcluster *cluster, struct error *ret_error)
{
    struct error refused;
    if (!pgcluster_stop(cluster, PGCLUSTER_FAST, ret_error) ||
        !pgcluster_configure(cluster, "max_prepared_transactions = 0", ret_error)) {
        return false;
    }
    if (pgcluster_start(cluster, &refused)) {
        return error_set(ret_error, ERROR_INVALID,
                         "the server started without a slot for what is prepared");
    }
    return pgcluster_configure(cluster, "max_prepared_transactions = 64", ret_error) &&
           pgcluster_start(cluster, ret_error);
}

static bool restart(struct crash_stage *stage, struct error *ret_error)
{
    struct pgcluster *cluster = stack_cluster(stage->stack, stage->participant);
    switch (stage->cell->fault) {
    case SERVER_CRASH_CHECKPOINT:
        return sql(stage, "CHECKPOINT", ret_error) &&
               pgcluster_restart(cluster, PGCLUSTER_IMMEDIATE, ret_error);
    case SERVER_FAST_STOP:
        return pgcluster_restart(cluster, PGCLUSTER_FAST, ret_error);
    case SERVER_CRASH_RECOVERY:
        return pgcluster_kill(cluster, ret_error) &&
               pgcluster_kill_in_recovery(cluster, ret_error) &&
               pgcluster_start(cluster, ret_error);
    case SERVER_FEW_SLOTS:
        return restart_with_few_slots(cluster, ret_error);
    default:
        return pgcluster_restart(cluster, PGCLUSTER_IMMEDIATE, ret_error);
    }
}

static bool restart_prepared(struct crash_stage *stage, struct error *ret_error)
{
    if (!crash_prelude(stage, ret_error)) {
        return false;
    }
    if (stage->cell->prelude == PRELUDE_NONE) {
        sale_begin(stage, &stage->sales[0]);
    }
    return crash_await_prepared(stage, stage->participant, ret_error) && restart(stage, ret_error);
}

bool crash_run_server(struct crash_stage *stage, struct error *ret_error)
{
    switch (stage->cell->fault) {
    case SERVER_KILL_STATEMENT:
        return strike_in_statement(stage, BLOW_KILL, ret_error);
    case SERVER_KILL_PREPARE:
        return strike_in_prepare(stage, BLOW_KILL, ret_error);
    case SERVER_KILL_COMMIT:
        return strike_in_commit(stage, BLOW_KILL, ret_error);
    case SERVER_END_STATEMENT:
        return strike_in_statement(stage, BLOW_END, ret_error);
    case SERVER_END_PREPARE:
        return strike_in_prepare(stage, BLOW_END, ret_error);
    case SERVER_END_COMMIT:
        return strike_in_commit(stage, BLOW_END, ret_error);
    case SERVER_CANCEL_PREPARE:
        return strike_in_prepare(stage, BLOW_CANCEL, ret_error);
    case SERVER_CANCEL_COMMIT:
        return strike_in_commit(stage, BLOW_CANCEL, ret_error);
    case SERVER_CRASH:
    case SERVER_CRASH_CHECKPOINT:
    case SERVER_FAST_STOP:
    case SERVER_CRASH_RECOVERY:
    case SERVER_FEW_SLOTS:
        return restart_prepared(stage, ret_error);
    default:
        return error_set(ret_error, ERROR_INVALID, "not a server's fault");
    }
}
