/*
 * crash_flow.c - brings a daemon to a cell's fault point. See crash_stage.h.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <libpq-fe.h>

#include "common/clock.h"
#include "tests/crash/crash_stage.h"

#define BULK_MAX 200

/* --- waiting ---------------------------------------------------------------------------------- */

uint64_t crash_patience(void)
{
    return clock_monotonic_ms() + CRASH_PATIENCE_MS;
}

struct prepared_wait {
    struct stack *stack;
    size_t participant;
};

static bool is_prepared(void *user)
{
    const struct prepared_wait *wait = user;
    return stack_prepared_count(wait->stack, wait->participant, "assent:") > 0;
}

bool crash_await_prepared(struct crash_stage *stage, size_t participant, struct error *ret_error)
{
    struct prepared_wait wait = {.stack = stage->stack, .participant = participant};
    return stack_poll(NULL, crash_patience(), is_prepared, &wait) ||
           error_set(ret_error, ERROR_UNAVAILABLE, "the branch of %s was never prepared",
                     stack_participant(stage->stack, participant));
}

bool crash_await_death(struct stack_daemon *daemon, const char *point, struct error *ret_error)
{
    int status = 0;
    if (!stack_daemon_wait(daemon, crash_patience(), &status)) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "%s was reached %zu time(s), %s still runs",
                         point, stack_daemon_fault_hits(daemon), stack_daemon_name(daemon));
    }
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        return error_set(ret_error, ERROR_SYSTEM, "%s ended by itself: %s %d",
                         stack_daemon_name(daemon), WIFEXITED(status) ? "code" : "signal",
                         WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
    return stack_daemon_fault_hits(daemon) > 0 ||
           error_set(ret_error, ERROR_INVALID, "%s was killed, but not at %s",
                     stack_daemon_name(daemon), point);
}

struct point_wait {
    struct stack_daemon *daemon;
    size_t hits;
};

static bool point_is_reached(void *user)
{
    const struct point_wait *wait = user;
    return stack_daemon_fault_hits(wait->daemon) >= wait->hits;
}

static bool await_hits(struct stack_daemon *daemon, size_t hits, const char *point,
                       struct error *ret_error)
{
    struct point_wait wait = {.daemon = daemon, .hits = hits};
    return stack_poll(daemon, crash_patience(), point_is_reached, &wait) ||
           error_set(ret_error, ERROR_UNAVAILABLE, "%s was reached %zu time(s) of %zu", point,
                     stack_daemon_fault_hits(daemon), hits);
}

bool crash_await_point(struct stack_daemon *daemon, const char *point, struct error *ret_error)
{
    return await_hits(daemon, 1, point, ret_error);
}

struct silence {
    struct crash_stage *stage;
    bool broken;
    struct error error;
};

/* Did anybody hear of a commit? */
static bool silence_is_broken(void *user)
{
    struct silence *silence = user;
    struct crash_stage *stage = silence->stage;
    const struct sale *sale = &stage->sales[0];
    struct effects effects;
    if (sale_answered(sale)) {
        silence->broken = true;
        (void)error_set(&silence->error, ERROR_INVALID, "the client was answered meanwhile");
    } else if (!checkout_effects(stage->stack, sale->id, sale->account, &effects,
                                 &silence->error)) {
        silence->broken = true;
    } else if (effects.orders != 0 || effects.payments[1] != 0 || effects.payments[2] != 0) {
        silence->broken = true;
        (void)error_set(&silence->error, ERROR_INVALID, "something was committed meanwhile");
    }
    return silence->broken;
}

/* The point's thread hangs; watches for a while that nothing comes of it, then kills. */
static bool await_hang(struct crash_stage *stage, struct error *ret_error)
{
    struct silence silence = {.stage = stage};
    struct stack_daemon *victim = stage->victim;
    const char *point = fault_point_name(stage->cell->point);
    if (!await_hits(victim, stage->cell->hit, point, ret_error)) {
        return false;
    }
    (void)stack_poll(victim, clock_monotonic_ms() + CRASH_HANG_MS, silence_is_broken, &silence);
    stack_daemon_kill(victim);
    if (silence.broken) {
        *ret_error = silence.error;
        return error_wrap(ret_error, "while %s hung", point);
    }
    return true;
}

static bool never(void *user)
{
    (void)user;
    return false;
}

/* crash_judge lets it go on. */
static bool await_stop(struct crash_stage *stage, struct error *ret_error)
{
    struct stack_daemon *victim = stage->victim;
    if (!await_hits(victim, stage->cell->hit, fault_point_name(stage->cell->point), ret_error)) {
        return false;
    }
    (void)stack_poll(victim, clock_monotonic_ms() + CRASH_STOP_MS, never, NULL);
    return true;
}

/* --- arming ----------------------------------------------------------------------------------- */

bool crash_start_others(struct crash_stage *stage, const struct stack_daemon *but,
                        struct error *ret_error)
{
    for (size_t i = 0; i < stack_participant_count(stage->stack); i++) {
        struct stack_daemon *agent = stack_agent(stage->stack, i);
        if (!stack_daemon_runs(agent) && agent != but &&
            !stack_daemon_start(agent, NULL, ret_error)) {
            return false;
        }
    }
    struct stack_daemon *coordinator = stack_coordinator(stage->stack);
    return stack_daemon_runs(coordinator) || coordinator == but ||
           stack_daemon_start(coordinator, NULL, ret_error);
}

static bool is_not_ready(void *user)
{
    struct http_reply reply;
    bool not_ready = stack_http(user, "/readyz", NULL, NULL, &reply, NULL);
    if (not_ready) {
        not_ready = reply.status != 200;
        http_reply_done(&reply);
    }
    return not_ready;
}

/* Until assentd has noticed that an agent is gone: what is sent to the one that is gone would be
 * lost, and the new one would never be asked. */
static bool await_noticed(struct crash_stage *stage, const struct stack_daemon *gone,
                          struct error *ret_error)
{
    struct stack_daemon *coordinator = stack_coordinator(stage->stack);
    return gone == coordinator || !stack_daemon_runs(coordinator) ||
           stack_poll(coordinator, crash_patience(), is_not_ready, stage->stack) ||
           error_set(ret_error, ERROR_UNAVAILABLE, "assentd did not notice that %s is gone",
                     stack_daemon_name(gone));
}

bool crash_rearm(struct crash_stage *stage, struct stack_daemon *daemon, const char *spec,
                 struct error *ret_error)
{
    if (stack_daemon_runs(daemon) &&
        (!stack_daemon_stop(daemon, ret_error) || !await_noticed(stage, daemon, ret_error))) {
        return false;
    }
    return stack_daemon_start_faulty(daemon, spec, ret_error) &&
           stack_wait_ready(stage->stack, crash_patience(), ret_error);
}

/* On the victim's own way back what it left behind stays as it is. */
static bool arm(struct crash_stage *stage, struct error *ret_error)
{
    const struct crash_cell *cell = stage->cell;
    char spec[64];
    (void)snprintf(spec, sizeof spec, "%s:%s:%u", fault_point_name(cell->point),
                   crash_action_text(cell->action), cell->hit);
    if (cell->flow != FLOW_START && cell->prelude == PRELUDE_NONE) {
        return crash_rearm(stage, stage->victim, spec, ret_error);
    }
    stack_daemon_kill(stage->victim);
    return stack_daemon_start_faulty(stage->victim, spec, ret_error) &&
           crash_start_others(stage, stage->victim, ret_error);
}

/* --- flows ------------------------------------------------------------------------------------ */

struct bulk_wait {
    const struct sale *sale;
    struct point_wait point;
};

static bool answered_or_reached(void *user)
{
    struct bulk_wait *wait = user;
    return sale_answered(wait->sale) || point_is_reached(&wait->point);
}

static bool flow_bulk(struct crash_stage *stage, struct error *ret_error)
{
    struct sale *sale = &stage->sales[0];
    struct bulk_wait wait = {.sale = sale,
                             .point = {.daemon = stage->victim, .hits = stage->cell->hit}};
    for (unsigned i = 0; i < BULK_MAX; i++) {
        if (!sale_make(stage, sale, 1000 + i, ret_error)) {
            return false;
        }
        sale_begin(stage, sale);
        (void)stack_poll(stage->victim, crash_patience(), answered_or_reached, &wait);
        if (point_is_reached(&wait.point)) {
            return true;
        }
        sale_end(sale);
        if (sale->answers[0].told != TOLD_COMMITTED) {
            return error_set(ret_error, ERROR_INVALID, "bulk: %s", sale->answers[0].body);
        }
        crash_ledger_add(stage->ledger, sale->id, crash_flow_parts(stage->cell->flow));
    }
    return true; /* who waits for the point tells that it was not reached */
}

static bool flow_drain(struct crash_stage *stage, struct error *ret_error)
{
    sale_begin(stage, &stage->sales[0]);
    if (!crash_await_prepared(stage, CRASH_FIRST, ret_error)) {
        return false;
    }
    stack_daemon_signal(stage->victim, SIGTERM);
    return true;
}

static bool flow_reconnect(struct crash_stage *stage, struct error *ret_error)
{
    char sql[256];
    sale_begin(stage, &stage->sales[0]);
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                   " WHERE usename = 'assent_%s' AND datname = current_database()",
                   stack_participant(stage->stack, stage->participant));
    return crash_await_prepared(stage, CRASH_FIRST, ret_error) &&
           stack_sql(stage->stack, stage->participant, sql, NULL, ret_error);
}

/* SIGKILL: no last word from the server, and its whole cluster goes through recovery. An ordinary
 * termination would not do: the error that comes with it says that PREPARE was not reached. */
static bool branch_is_severed(void *user)
{
    struct crash_stage *stage = user;
    char *text = NULL;
    bool severed = false;
    if (stack_sql(stage->stack, stage->participant,
                  "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                  " AND datname = current_database()",
                  &text, NULL) &&
        text != NULL) {
        pid_t pid = (pid_t)strtol(text, NULL, 10);
        severed = pid > 1 && kill(pid, SIGKILL) == 0;
    }
    free(text);
    return severed;
}

static bool flow_sever(struct crash_stage *stage, struct error *ret_error)
{
    sale_begin(stage, &stage->sales[0]);
    return stack_poll(NULL, crash_patience(), branch_is_severed, stage) ||
           error_set(ret_error, ERROR_UNAVAILABLE, "the branch was never seen running");
}

struct state_wait {
    struct stack *stack;
    const char *key;
    char state[32], id[160];
};

static bool state_is_heuristic(void *user)
{
    struct state_wait *wait = user;
    return checkout_state_by_key(wait->stack, wait->key, wait->state, wait->id, NULL) &&
           strcmp(wait->state, "heuristic") == 0;
}

/* The operator's request comes from a process of its own: the answer may be long in coming. */
static bool flow_forget(struct crash_stage *stage, struct error *ret_error)
{
    struct state_wait wait = {.stack = stage->stack, .key = stage->sales[0].key};
    if (!stack_poll(stage->victim, crash_patience(), state_is_heuristic, &wait)) {
        return error_set(ret_error, ERROR_INVALID,
                         "the rollback by hand is not shown as heuristic but as \"%s\"",
                         wait.state);
    }
    char url[320];
    char body[160];
    struct http_reply reply;
    (void)snprintf(url, sizeof url, "%s/v1/transactions/%s/resolve", stack_api(stage->stack),
                   wait.id);
    (void)snprintf(body, sizeof body,
                   "{\"action\":\"forget\",\"participant\":\"%s\",\"comment\":\"a test\"}",
                   stack_participant(stage->stack, CRASH_LAST));
    const char *const headers[] = {"Content-Type: application/json", NULL};
    const struct http_request request = {
        .url = url, .headers = headers, .body = body, .timeout_ms = 2000};
    if (http_perform(&request, &reply, NULL)) {
        http_reply_done(&reply); /* refused, then: who waits for the death finds it alive */
    }
    return true;
}

static bool run_flow(struct crash_stage *stage, struct error *ret_error)
{
    switch (stage->cell->flow) {
    case FLOW_BULK:
        return flow_bulk(stage, ret_error);
    case FLOW_DRAIN:
        return flow_drain(stage, ret_error);
    case FLOW_RECONNECT:
        return flow_reconnect(stage, ret_error);
    case FLOW_SEVER:
        return flow_sever(stage, ret_error);
    case FLOW_FORGET:
        return flow_forget(stage, ret_error);
    case FLOW_ACCEPTED:
    case FLOW_DEAD:
    case FLOW_REQUEUE:
    case FLOW_DROP:
        return crash_run_request(stage, ret_error);
    case FLOW_EXTERNAL:
    case FLOW_UNPREPARED:
        return crash_run_external(stage, ret_error);
    case FLOW_START:
        return true;
    default:
        sale_begin(stage, &stage->sales[0]);
        return true;
    }
}

/* An agent that is not the victim (for assentd: the last) will stop when it is asked to work.
 * crash_judge lets it go on: it then finds its link gone or its transaction over. */
static bool arm_stall(struct crash_stage *stage, struct error *ret_error)
{
    size_t index = stage->cell->victim == VICTIM_LAST ? CRASH_FIRST : CRASH_LAST;
    return crash_rearm(stage, stack_agent(stage->stack, index), "a.prepare.recv:stop", ret_error);
}

bool crash_stage_init(struct crash_stage *stage, struct error *ret_error)
{
    const struct crash_cell *cell = stage->cell;
    bool two = cell->prelude == PRELUDE_TWO_DECIDED || cell->prelude == PRELUDE_TWO_UNDECIDED;
    stage->sale_count = two ? 2 : 1;
    if (cell->victim == VICTIM_COORDINATOR) {
        stage->victim = stack_coordinator(stage->stack);
    } else if (cell->victim >= VICTIM_FIRST && cell->victim <= VICTIM_LAST) {
        stage->participant = (size_t)cell->victim - VICTIM_FIRST;
        stage->victim = stack_agent(stage->stack, stage->participant);
    }
    for (size_t i = 0; i < stage->sale_count; i++) {
        if (!sale_make(stage, &stage->sales[i], (unsigned)i, ret_error)) {
            return false;
        }
    }
    return true;
}

bool crash_run(struct crash_stage *stage, struct error *ret_error)
{
    const struct crash_cell *cell = stage->cell;
    if (cell->action == ACTION_TRACE) {
        return crash_run_survey(stage, ret_error);
    }
    if (crash_cell_is_wired(cell)) {
        return crash_run_wire(stage, ret_error);
    }
    if (cell->action == ACTION_FAULT) {
        return cell->victim == VICTIM_CLIENT ? crash_run_client(stage, ret_error)
                                             : crash_run_server(stage, ret_error);
    }
    if (!crash_prelude(stage, ret_error) ||
        (cell->flow == FLOW_STALL && !arm_stall(stage, ret_error))) {
        return false;
    }
    if (!arm(stage, ret_error)) {
        return error_wrap(ret_error, "arming");
    }
    if (!run_flow(stage, ret_error)) {
        return false;
    }
    switch (cell->action) {
    case ACTION_KILL:
        return crash_await_death(stage->victim, fault_point_name(cell->point), ret_error);
    case ACTION_HANG:
        return await_hang(stage, ret_error);
    case ACTION_STOP:
        return await_stop(stage, ret_error);
    default:
        return error_set(ret_error, ERROR_INVALID, "not a fault point's cell");
    }
}

void crash_stage_done(struct crash_stage *stage)
{
    for (size_t i = 0; i < CRASH_SALES; i++) {
        sale_done(&stage->sales[i]);
    }
    PQfinish(stage->straggler);
}
