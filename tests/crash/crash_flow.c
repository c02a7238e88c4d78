/*
 * crash_flow.c - brings a stack to a cell's fault point. See crash_stage.h.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assent/assent.h"
#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "tests/crash/crash_journal.h"
#include "tests/crash/crash_stage.h"

#define BULK_MAX     200
#define PATIENCE_MS  10000
#define ORDER_INDEX  0
#define LARGE_ANSWER 200000 /* two of them in a COMMIT record: the log grows quickly */

/* --- sales ------------------------------------------------------------------------------------ */

static struct checkout sale_shape(const struct crash_cell *cell)
{
    struct checkout shape = {0};
    if (cell->action == ACTION_STOP) {
        shape.timeout_ms = 2000;
    }
    if (cell->prelude == PRELUDE_TWO_DECIDED || cell->prelude == PRELUDE_TWO_UNDECIDED) {
        shape.pay_after_ms = 500; /* both orders are prepared before the first payment is */
    }
    switch (cell->flow) {
    case FLOW_REFUSE:
        shape.pay_after_ms = 250; /* the order has prepared by then */
        break;
    case FLOW_TIMEOUT:
        shape.pay_after_ms = 3000;
        shape.timeout_ms = 800;
        break;
    case FLOW_DRAIN:
    case FLOW_RECONNECT:
        shape.pay_after_ms = 800;
        break;
    case FLOW_PLAIN:
        shape.plain = true;
        break;
    case FLOW_SEVER:
        shape.plain = true;
        shape.pay_after_ms = 2000;
        break;
    case FLOW_STALL:
        shape.timeout_ms = 800;
        break;
    case FLOW_BULK:
        shape.answer_bytes = LARGE_ANSWER;
        break;
    case FLOW_COMMIT:
    case FLOW_CLIENT:
    case FLOW_START:
    case FLOW_FORGET:
        break;
    }
    return shape;
}

/* A checkout that nobody has seen yet, with an account of its own. */
static bool sale_make(struct crash_stage *stage, struct sale *sale, unsigned variant,
                      struct error *ret_error)
{
    free(sale->body);
    *sale = (struct sale){.balance = stage->cell->flow == FLOW_REFUSE ? "5.00" : CRASH_ACCOUNT};
    (void)snprintf(sale->id, sizeof sale->id, "cell-%u-%u", stage->number, variant);
    (void)snprintf(sale->key, sizeof sale->key, "key-%u-%u", stage->number, variant);
    (void)snprintf(sale->account, sizeof sale->account, "account-%u-%u", stage->number, variant);
    struct checkout checkout = sale_shape(stage->cell);
    checkout.id = sale->id;
    checkout.account = sale->account;
    sale->body = checkout_body(stage->stack, &checkout);
    return checkout_open_account(stage->stack, sale->account, sale->balance, ret_error);
}

static void sale_begin(struct crash_stage *stage, struct sale *sale)
{
    sale->call = checkout_begin(stage->stack, sale->key, sale->body);
}

static void sale_end(struct sale *sale)
{
    if (sale->call != NULL) {
        checkout_end(sale->call, &sale->answer);
        sale->call = NULL;
        sale->answered = true;
    }
}

void crash_stage_done(struct crash_stage *stage)
{
    for (size_t i = 0; i < CRASH_SALES; i++) {
        sale_end(&stage->sales[i]);
        answer_done(&stage->sales[i].answer);
        free(stage->sales[i].body);
        stage->sales[i].body = NULL;
    }
}

/* --- waiting ---------------------------------------------------------------------------------- */

static uint64_t patience(void)
{
    return clock_monotonic_ms() + PATIENCE_MS;
}

static bool order_is_prepared(void *user)
{
    return stack_prepared_count(user, ORDER_INDEX, "assent:") > 0;
}

static bool await_prepared_order(struct crash_stage *stage, struct error *ret_error)
{
    return stack_poll(NULL, patience(), order_is_prepared, stage->stack) ||
           error_set(ret_error, ERROR_UNAVAILABLE, "the order was never prepared");
}

static bool await_death(struct stack_daemon *daemon, const char *point, struct error *ret_error)
{
    int status = 0;
    if (!stack_daemon_wait(daemon, clock_monotonic_ms() + CRASH_DEATH_MS, &status)) {
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

static bool point_is_reached(void *user)
{
    return stack_daemon_fault_hits(user) > 0;
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
    if (checkout_answered(sale->call)) {
        silence->broken = true;
        (void)error_set(&silence->error, ERROR_INVALID, "the client was answered meanwhile");
    } else if (!checkout_effects(stage->stack, sale->id, sale->account, &effects,
                                 &silence->error) ||
               !effects_are(stage->stack, &effects, 0, sale->balance, &silence->error)) {
        silence->broken = true;
    }
    return silence->broken;
}

/* The point's thread hangs; watches for a while that nothing comes of it, then kills. */
static bool await_hang(struct crash_stage *stage, struct error *ret_error)
{
    struct silence silence = {.stage = stage};
    struct stack_daemon *victim = stage->victim;
    if (!stack_poll(victim, patience(), point_is_reached, victim)) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "%s was not reached",
                         fault_point_name(stage->cell->point));
    }
    (void)stack_poll(victim, clock_monotonic_ms() + CRASH_HANG_MS, silence_is_broken, &silence);
    stack_daemon_kill(victim);
    if (silence.broken) {
        *ret_error = silence.error;
        return error_wrap(ret_error, "while %s hung", fault_point_name(stage->cell->point));
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
    if (!stack_poll(victim, patience(), point_is_reached, victim)) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "%s was not reached",
                         fault_point_name(stage->cell->point));
    }
    (void)stack_poll(victim, clock_monotonic_ms() + CRASH_STOP_MS, never, NULL);
    return true;
}

/* --- arming ----------------------------------------------------------------------------------- */

static bool start_others(struct crash_stage *stage, struct error *ret_error)
{
    for (size_t i = 0; i < stack_participant_count(stage->stack); i++) {
        struct stack_daemon *agent = stack_agent(stage->stack, i);
        if (!stack_daemon_runs(agent) && agent != stage->victim &&
            !stack_daemon_start(agent, NULL, ret_error)) {
            return false;
        }
    }
    struct stack_daemon *coordinator = stack_coordinator(stage->stack);
    return stack_daemon_runs(coordinator) || coordinator == stage->victim ||
           stack_daemon_start(coordinator, NULL, ret_error);
}

static bool wait_ready(struct crash_stage *stage, struct error *ret_error)
{
    return stack_wait_ready(stage->stack, patience(), ret_error);
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
           stack_poll(coordinator, patience(), is_not_ready, stage->stack) ||
           error_set(ret_error, ERROR_UNAVAILABLE, "assentd did not notice that %s is gone",
                     stack_daemon_name(gone));
}

/* Stops a daemon in peace and starts it again with a point armed. */
static bool rearm(struct crash_stage *stage, struct stack_daemon *daemon, const char *spec,
                  struct error *ret_error)
{
    if (stack_daemon_runs(daemon) &&
        (!stack_daemon_stop(daemon, ret_error) || !await_noticed(stage, daemon, ret_error))) {
        return false;
    }
    return stack_daemon_start_faulty(daemon, spec, ret_error) && wait_ready(stage, ret_error);
}

static void cell_spec(const struct crash_cell *cell, char ret_spec[64])
{
    (void)snprintf(ret_spec, 64, "%s:%s:%u", fault_point_name(cell->point),
                   crash_action_text(cell->action), cell->hit);
}

/* For points on the victim's own way back: what it left behind stays as it is. */
static bool arm_start(struct crash_stage *stage, struct error *ret_error)
{
    char spec[64];
    cell_spec(stage->cell, spec);
    stack_daemon_kill(stage->victim);
    return stack_daemon_start_faulty(stage->victim, spec, ret_error) &&
           start_others(stage, ret_error);
}

static bool arm_running(struct crash_stage *stage, struct error *ret_error)
{
    char spec[64];
    cell_spec(stage->cell, spec);
    return rearm(stage, stage->victim, spec, ret_error);
}

/* --- preludes --------------------------------------------------------------------------------- */

/* All sales at once, until the daemon has died of them. */
static bool sell_until_death(struct crash_stage *stage, struct stack_daemon *daemon,
                             const char *spec, struct error *ret_error)
{
    if (!rearm(stage, daemon, spec, ret_error)) {
        return error_wrap(ret_error, "prelude");
    }
    for (size_t i = 0; i < stage->sale_count; i++) {
        sale_begin(stage, &stage->sales[i]);
    }
    return await_death(daemon, spec, ret_error) || error_wrap(ret_error, "prelude");
}

struct counter_wait {
    struct stack *stack;
    double wanted;
};

static bool committed_enough(void *user)
{
    const struct counter_wait *wait = user;
    double value = 0;
    return stack_metric(wait->stack, "assent_transactions_committed_total", &value, NULL) &&
           value >= wait->wanted;
}

/* The order's agent stops at the first COMMIT: both decisions are made, neither can end. */
static bool prelude_two_decided(struct crash_stage *stage, struct error *ret_error)
{
    struct stack_daemon *agent = stack_agent(stage->stack, ORDER_INDEX);
    struct stack_daemon *coordinator = stack_coordinator(stage->stack);
    struct counter_wait wait = {.stack = stage->stack};
    if (!rearm(stage, agent, "a.commit.recv:stop", ret_error) ||
        !stack_metric(stage->stack, "assent_transactions_committed_total", &wait.wanted,
                      ret_error)) {
        return false;
    }
    wait.wanted += (double)stage->sale_count;
    for (size_t i = 0; i < stage->sale_count; i++) {
        sale_begin(stage, &stage->sales[i]);
    }
    bool decided = stack_poll(coordinator, patience(), committed_enough, &wait);
    stack_daemon_kill(coordinator);
    stack_daemon_kill(agent);
    return decided ? stack_daemon_start(agent, NULL, ret_error)
                   : error_set(ret_error, ERROR_UNAVAILABLE, "prelude: no two decisions");
}

/* A person's hand, as superuser in the payment's database. */
static bool roll_back_by_hand(struct crash_stage *stage, struct error *ret_error)
{
    const size_t payment = stack_participant_count(stage->stack) - 1;
    char sql[320];
    char *gid = NULL;
    if (!stack_sql(stage->stack, payment,
                   "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()", &gid,
                   ret_error)) {
        return false;
    }
    if (gid == NULL) {
        return error_set(ret_error, ERROR_INVALID, "prelude: the payment is not prepared");
    }
    (void)snprintf(sql, sizeof sql, "ROLLBACK PREPARED '%s'", gid);
    free(gid);
    return stack_sql(stage->stack, payment, sql, NULL, ret_error);
}

static bool run_prelude(struct crash_stage *stage, struct error *ret_error)
{
    struct stack_daemon *coordinator = stack_coordinator(stage->stack);
    switch (stage->cell->prelude) {
    case PRELUDE_NONE:
        return true;
    case PRELUDE_UNDECIDED:
        return sell_until_death(stage, coordinator, "c.decide.enter", ret_error);
    case PRELUDE_DECIDED:
        return sell_until_death(stage, coordinator, "c.decide.post_sync", ret_error);
    case PRELUDE_TWO_UNDECIDED: /* two orders have voted, this is the first payment's vote */
        return sell_until_death(stage, coordinator, "c.vote.recv:kill:3", ret_error);
    case PRELUDE_TWO_DECIDED:
        return prelude_two_decided(stage, ret_error);
    case PRELUDE_LOST_ACK:
        return sell_until_death(stage, stage->victim, "a.commit.result", ret_error);
    case PRELUDE_HEURISTIC:
        return sell_until_death(stage, coordinator, "c.decide.post_sync", ret_error) &&
               roll_back_by_hand(stage, ret_error);
    case PRELUDE_EXPIRED:
        return sell_until_death(stage, coordinator, "c.end.pre_log", ret_error) &&
               crash_journal_age(stage->stack, ret_error);
    }
    return false;
}

/* --- flows ------------------------------------------------------------------------------------ */

static void *client_main(void *user)
{
    struct crash_stage *stage = user;
    struct sale *sale = &stage->sales[0];
    struct assent_client *client = NULL;
    sale->answer = (struct answer){.told = TOLD_NOTHING, .body = alloc_string("")};
    sale->answered = true;
    if (assent_client_open(stack_client_address(stage->stack), &client) != ASSENT_OK) {
        return NULL;
    }
    struct assent_request *request = assent_request_new();
    (void)assent_request_set_key(request, sale->key);
    (void)assent_request_add(request, "order",
                             "INSERT INTO orders(id, customer, amount) VALUES ($1, $2, 12.50)",
                             ASSENT_PARAMS(sale->id, sale->account), 1);
    (void)assent_request_add(request, "payment",
                             "UPDATE accounts SET balance = balance - 12.50 WHERE id = $1",
                             ASSENT_PARAMS(sale->account), 1);
    struct assent_answer *answer = assent_submit(client, request);
    switch (assent_answer_outcome(answer)) {
    case ASSENT_COMMITTED:
        sale->answer.told = TOLD_COMMITTED;
        break;
    case ASSENT_ABORTED:
        sale->answer.told = TOLD_ABORTED;
        break;
    case ASSENT_REFUSED:
        sale->answer.told = TOLD_REFUSED;
        break;
    case ASSENT_UNKNOWN:
    case ASSENT_UNAVAILABLE:
    case ASSENT_NOT_FOUND:
    case ASSENT_HEURISTIC:
        break;
    }
    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
    return NULL;
}

static bool flow_client(struct crash_stage *stage, struct error *ret_error)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, client_main, stage) == 0);
    bool died = await_death(stage->victim, fault_point_name(stage->cell->point), ret_error);
    CHECK(pthread_join(thread, NULL) == 0);
    return died;
}

static bool flow_bulk(struct crash_stage *stage, struct error *ret_error)
{
    struct sale *sale = &stage->sales[0];
    for (unsigned i = 0; i < BULK_MAX; i++) {
        answer_done(&sale->answer);
        if (!sale_make(stage, sale, 1000 + i, ret_error)) {
            return false;
        }
        sale_begin(stage, sale);
        sale_end(sale);
        if (sale->answer.told == TOLD_NOTHING) {
            return true; /* await_death tells why */
        }
        if (sale->answer.told != TOLD_COMMITTED) {
            return error_set(ret_error, ERROR_INVALID, "bulk: %s", sale->answer.body);
        }
    }
    return true;
}

static bool flow_drain(struct crash_stage *stage, struct error *ret_error)
{
    sale_begin(stage, &stage->sales[0]);
    if (!await_prepared_order(stage, ret_error)) {
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
                   stack_participant(stage->stack, stage->victim_participant));
    return await_prepared_order(stage, ret_error) &&
           stack_sql(stage->stack, stage->victim_participant, sql, NULL, ret_error);
}

/* SIGKILL: no last word from the server, and its whole cluster goes through recovery. An ordinary
 * termination would not do: the error that comes with it says that PREPARE was not reached. */
static bool branch_is_severed(void *user)
{
    struct crash_stage *stage = user;
    char *text = NULL;
    bool severed = false;
    if (stack_sql(stage->stack, stage->victim_participant,
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
    return stack_poll(NULL, patience(), branch_is_severed, stage) ||
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

static bool flow_forget(struct crash_stage *stage, struct error *ret_error)
{
    struct state_wait wait = {.stack = stage->stack, .key = stage->sales[0].key};
    if (!stack_poll(stage->victim, patience(), state_is_heuristic, &wait)) {
        return error_set(ret_error, ERROR_INVALID,
                         "the rollback by hand is not shown as heuristic but as \"%s\"",
                         wait.state);
    }
    char path[256];
    struct http_reply reply;
    (void)snprintf(path, sizeof path, "/v1/transactions/%s/resolve", wait.id);
    if (stack_http(stage->stack, path, NULL,
                   "{\"action\":\"forget\",\"participant\":\"payment\",\"comment\":\"a test\"}",
                   &reply, NULL)) {
        http_reply_done(&reply); /* refused, then: await_death finds it alive */
    }
    return true;
}

static bool run_flow(struct crash_stage *stage, struct error *ret_error)
{
    switch (stage->cell->flow) {
    case FLOW_COMMIT:
    case FLOW_PLAIN:
    case FLOW_REFUSE:
    case FLOW_TIMEOUT:
    case FLOW_STALL:
        sale_begin(stage, &stage->sales[0]);
        return true;
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
    case FLOW_START:
    case FLOW_CLIENT:
        return true;
    }
    return false;
}

/* The agent that is not the victim (for assentd: the payment's) will stop when it is asked to work.
 * crash_judge lets it go on: it then finds its link gone or its transaction over. */
static bool arm_stall(struct crash_stage *stage, struct error *ret_error)
{
    size_t last = stack_participant_count(stage->stack) - 1;
    size_t index = stage->cell->victim == VICTIM_PAYMENT ? ORDER_INDEX : last;
    return rearm(stage, stack_agent(stage->stack, index), "a.prepare.recv:stop", ret_error);
}

bool crash_run(struct crash_stage *stage, struct error *ret_error)
{
    const struct crash_cell *cell = stage->cell;
    bool two = cell->prelude == PRELUDE_TWO_DECIDED || cell->prelude == PRELUDE_TWO_UNDECIDED;
    stage->sale_count = two ? 2 : 1;
    stage->victim_participant =
        cell->victim == VICTIM_PAYMENT ? stack_participant_count(stage->stack) - 1 : ORDER_INDEX;
    stage->victim = cell->victim == VICTIM_COORDINATOR
                        ? stack_coordinator(stage->stack)
                        : stack_agent(stage->stack, stage->victim_participant);
    for (size_t i = 0; i < stage->sale_count; i++) {
        if (!sale_make(stage, &stage->sales[i], (unsigned)i, ret_error)) {
            return false;
        }
    }
    if (!run_prelude(stage, ret_error) ||
        (cell->flow == FLOW_STALL && !arm_stall(stage, ret_error))) {
        return false;
    }
    bool on_the_way_back = cell->flow == FLOW_START || cell->prelude != PRELUDE_NONE;
    if (!(on_the_way_back ? arm_start(stage, ret_error) : arm_running(stage, ret_error))) {
        return error_wrap(ret_error, "arming");
    }
    if (cell->flow == FLOW_CLIENT) {
        return flow_client(stage, ret_error);
    }
    if (!run_flow(stage, ret_error)) {
        return false;
    }
    switch (cell->action) {
    case ACTION_KILL:
        return await_death(stage->victim, fault_point_name(cell->point), ret_error);
    case ACTION_HANG:
        return await_hang(stage, ret_error);
    case ACTION_STOP:
        return await_stop(stage, ret_error);
    }
    return false;
}
