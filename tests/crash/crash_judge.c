/*
 * crash_judge.c - what must be true after a fault and its end. See crash_stage.h.
 *
 * Within ten seconds: nothing of Assent's is prepared anywhere, no transaction is unfinished (L1).
 * Then: the rows are those of one execution or of none, in all databases alike, as every client
 * was told (D1, Q1), all with the same words; asking by key agrees with them; the same request again
 * leads to one execution in all (X1); nobody sees a heuristic outcome that no person made (H1); the
 * journal is whole (S1).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "tests/crash/crash_stage.h"

/* --- healing ---------------------------------------------------------------------------------- */

static size_t all_daemons(struct stack *stack, struct stack_daemon *ret_daemons[])
{
    size_t count = 0;
    ret_daemons[count++] = stack_coordinator(stack);
    for (size_t i = 0; i < stack_participant_count(stack); i++) {
        ret_daemons[count++] = stack_agent(stack, i);
    }
    return count;
}

/* A daemon that nobody killed must not have ended: an assertion or a sanitizer ended it. */
static bool nobody_ended(struct stack *stack, struct error *ret_error)
{
    struct stack_daemon *daemons[STACK_PARTICIPANTS_MAX + 1];
    size_t count = all_daemons(stack, daemons);
    for (size_t i = 0; i < count; i++) {
        int status = 0;
        if (stack_daemon_runs(daemons[i]) && stack_daemon_wait(daemons[i], 0, &status)) {
            return error_set(ret_error, ERROR_SYSTEM, "%s ended by itself (wait status %d)",
                             stack_daemon_name(daemons[i]), status);
        }
    }
    return true;
}

/* That a daemon has ended is why nothing heals, if one has. */
static bool await_whole(struct stack *stack, struct error *ret_error)
{
    return stack_wait_whole(stack, clock_monotonic_ms() + CRASH_HEAL_MS, ret_error) ||
           (nobody_ended(stack, ret_error) && false);
}

static bool start_all(struct stack *stack, struct error *ret_error)
{
    struct stack_daemon *daemons[STACK_PARTICIPANTS_MAX + 1];
    size_t count = all_daemons(stack, daemons);
    for (size_t i = 0; i < count; i++) {
        stack_daemon_signal(daemons[i], SIGCONT); /* the flow may have stopped it */
        if (!stack_daemon_runs(daemons[i]) && !stack_daemon_start(daemons[i], NULL, ret_error)) {
            return false;
        }
    }
    return true;
}

void crash_kill_all(struct stack *stack)
{
    struct stack_daemon *daemons[STACK_PARTICIPANTS_MAX + 1];
    size_t count = all_daemons(stack, daemons);
    for (size_t i = 0; i < count; i++) {
        stack_daemon_kill(daemons[i]);
    }
}

bool crash_settle(struct stack *stack, struct error *ret_error)
{
    return nobody_ended(stack, ret_error) && start_all(stack, ret_error) &&
           await_whole(stack, ret_error);
}

/* --- one sale --------------------------------------------------------------------------------- */

static bool effects_expected(const struct crash_stage *stage, const struct effects *effects,
                             int *ret_times, struct error *ret_error)
{
    const enum checkout_part *parts = crash_flow_parts(stage->cell->flow);
    bool once = effects_are_of(stage->stack, parts, effects, 1, CRASH_BALANCE, NULL);
    switch (stage->cell->expect) {
    case EXPECT_NONE:
        *ret_times = 0;
        return effects_are_of(stage->stack, parts, effects, 0, CRASH_BALANCE, ret_error);
    case EXPECT_ONCE:
        *ret_times = 1;
        return effects_are_of(stage->stack, parts, effects, 1, CRASH_BALANCE, ret_error);
    case EXPECT_EITHER:
        *ret_times = once ? 1 : 0;
        return once || effects_are_of(stage->stack, parts, effects, 0, CRASH_BALANCE, ret_error);
    case EXPECT_HEURISTIC:
        break;
    }
    return error_set(ret_error, ERROR_INVALID, "no such expectation");
}

/* What the client heard must be what is there. "Nothing" and "unknown" promise nothing. */
static bool told_truth(const struct answer *answer, int times, struct error *ret_error)
{
    switch (answer->told) {
    case TOLD_COMMITTED:
        return times == 1 ||
               error_set(ret_error, ERROR_INVALID, "told committed, and nothing is there");
    case TOLD_ABORTED:
    case TOLD_REFUSED:
        return times == 0 || error_set(ret_error, ERROR_INVALID, "told %s, and all is there",
                                       told_text(answer->told));
    case TOLD_HEURISTIC:
        return error_set(ret_error, ERROR_INVALID, "told heuristic: %.200s", answer->body);
    case TOLD_NOTHING:
    case TOLD_UNKNOWN:
        return true;
    }
    return false;
}

/* Its retention is over: whether its key is known, and what becomes of it if it is used again, is promised no longer. */
static bool may_be_forgotten(const struct crash_cell *cell)
{
    return cell->prelude == PRELUDE_EXPIRED;
}

static bool key_agrees(const struct crash_stage *stage, const struct sale *sale, int times,
                       char ret_id[160], struct error *ret_error)
{
    char state[32];
    if (crash_flow_is_external(stage->cell->flow)) {
        return crash_external_agrees(stage, sale, times, ret_error);
    }
    if (!checkout_state_by_key(stage->stack, sale->key, state, ret_id, ret_error)) {
        return false;
    }
    bool agrees =
        times == 1
            ? strcmp(state, "committed") == 0 || (state[0] == '\0' && may_be_forgotten(stage->cell))
            : state[0] == '\0' || strcmp(state, "aborted") == 0 || strcmp(state, "dead") == 0;
    return agrees || error_set(ret_error, ERROR_INVALID,
                               "by key it is \"%s\", and %d execution(s) are there", state, times);
}

/* Every request got the truth, and those who heard of a commit heard the same words. */
static bool all_told_truth(const struct sale *sale, int times, struct error *ret_error)
{
    const struct answer *committed = NULL;
    for (size_t i = 0; i < sale->answer_count; i++) {
        const struct answer *answer = &sale->answers[i];
        if (!told_truth(answer, times, ret_error)) {
            return false;
        }
        if (answer->told != TOLD_COMMITTED) {
            continue;
        }
        if (committed != NULL && !answer_same(committed, answer)) {
            return error_set(ret_error, ERROR_INVALID, "two answers: \"%.150s\", \"%.150s\"",
                             committed->body, answer->body);
        }
        committed = answer;
    }
    return true;
}

struct asking {
    const struct crash_stage *stage;
    const struct sale *sale;
    struct answer answer;
};

/* 503 says that nothing was done, and to come again: a coordinator that has just waked may not have
 * noticed yet that its links died while it slept. Within the time to heal that is allowed. */
static bool is_served(void *user)
{
    struct asking *asking = user;
    answer_done(&asking->answer);
    sale_ask(asking->stage, asking->sale, &asking->answer);
    return asking->answer.status != 503;
}

/* The client asks again with the same words. */
static bool ask_again(const struct crash_stage *stage, const struct sale *sale, int times,
                      const char *id, struct error *ret_error)
{
    if (may_be_forgotten(stage->cell)) {
        return true;
    }
    if (crash_flow_is_external(stage->cell->flow)) {
        return crash_external_again(stage, sale, times, ret_error);
    }
    struct asking asking = {.stage = stage, .sale = sale};
    bool commits = crash_flow_commits(stage->cell->flow);
    (void)stack_poll(NULL, stage->heal_deadline_ms, is_served, &asking);
    const struct answer *again = &asking.answer;
    bool succeeded = again->told == (commits ? TOLD_COMMITTED : TOLD_ABORTED);
    if (!succeeded) {
        (void)error_set(ret_error, ERROR_INVALID, "asked again: told %s: %.200s",
                        told_text(again->told), again->body);
    } else if (times == 1 && strcmp(again->id, id) != 0) {
        succeeded = error_set(ret_error, ERROR_INVALID,
                              "asked again: it was executed again as %s (first %s)", again->id, id);
    }
    for (size_t i = 0; succeeded && i < sale->answer_count; i++) {
        const struct answer *first = &sale->answers[i];
        if (first->told == TOLD_COMMITTED && stage->cell->flow != FLOW_CLIENT &&
            !answer_same(first, again)) {
            succeeded =
                error_set(ret_error, ERROR_INVALID, "asked again: \"%.150s\", first \"%.150s\"",
                          again->body, first->body);
        }
    }
    answer_done(&asking.answer);
    return succeeded;
}

static bool judge_sale(const struct crash_stage *stage, const struct sale *sale,
                       struct error *ret_error)
{
    struct effects effects;
    int times = 0;
    char id[160] = "";
    const enum checkout_part *parts = crash_flow_parts(stage->cell->flow);
    const int in_all = crash_flow_commits(stage->cell->flow) ? 1 : 0;
    if (!checkout_effects(stage->stack, sale->id, sale->account, &effects, ret_error) ||
        !effects_expected(stage, &effects, &times, ret_error) ||
        !all_told_truth(sale, times, ret_error) || !key_agrees(stage, sale, times, id, ret_error) ||
        !ask_again(stage, sale, times, id, ret_error) || !await_whole(stage->stack, ret_error) ||
        !checkout_effects(stage->stack, sale->id, sale->account, &effects, ret_error)) {
        return false;
    }
    if (!effects_are_of(stage->stack, parts, &effects, in_all, CRASH_BALANCE, ret_error)) {
        return error_wrap(ret_error, "after asking again");
    }
    if (in_all == 1) {
        crash_ledger_add(stage->ledger, sale->id, parts);
    }
    return crash_drop_dead(stage, sale, ret_error);
}

/* --- the heuristic cell ----------------------------------------------------------------------- */

static bool judge_heuristic(struct crash_stage *stage, struct error *ret_error)
{
    struct sale *sale = &stage->sales[0];
    char state[32], id[160], path[256], sql[256];
    struct http_reply reply;
    struct effects effects;
    if (!checkout_state_by_key(stage->stack, sale->key, state, id, ret_error) ||
        !checkout_effects(stage->stack, sale->id, sale->account, &effects, ret_error)) {
        return false;
    }
    (void)snprintf(path, sizeof path, "/v1/transactions/%s", id);
    if (!stack_http(stage->stack, path, NULL, NULL, &reply, ret_error)) {
        return false;
    }
    bool acknowledged = strstr(reply.body, "\"acknowledged\":true") != NULL;
    http_reply_done(&reply);
    if (strcmp(state, "heuristic") != 0 || !acknowledged || effects.orders != 1 ||
        effects.payments[1] != 1 || effects.payments[CRASH_LAST] != 0) {
        return error_set(ret_error, ERROR_INVALID,
                         "state \"%s\", %sacknowledged, %d order(s), %d and %d payment(s)", state,
                         acknowledged ? "" : "not ", effects.orders, effects.payments[1],
                         effects.payments[CRASH_LAST]);
    }
    /* The person repairs what the person did, for the audit at the end. */
    (void)snprintf(sql, sizeof sql,
                   "DELETE FROM order_lines WHERE order_id = '%s';"
                   "DELETE FROM orders WHERE id = '%s'",
                   sale->id, sale->id);
    if (!stack_sql(stage->stack, CRASH_FIRST, sql, NULL, ret_error)) {
        return false;
    }
    (void)snprintf(sql, sizeof sql,
                   "DELETE FROM payments WHERE order_id = '%s';"
                   "UPDATE accounts SET balance = opened WHERE id = '%s'",
                   sale->id, sale->account);
    /* The next cell's coordinator must not have counted this one. */
    stack_daemon_kill(stack_coordinator(stage->stack));
    return stack_sql(stage->stack, 1, sql, NULL, ret_error);
}

static bool no_heuristics(struct stack *stack, struct error *ret_error)
{
    static const char *const names[] = {"assent_heuristic_branches_total",
                                        "assent_hazard_branches_total",
                                        "assent_unknown_inquiries_total"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        double value = 0;
        if (!stack_metric(stack, names[i], &value, ret_error)) {
            return false;
        }
        if (value != 0) {
            return error_set(ret_error, ERROR_INVALID, "%s is %g", names[i], value);
        }
    }
    return true;
}

/* --- the cell --------------------------------------------------------------------------------- */

static void join_clients(struct crash_stage *stage)
{
    for (size_t i = 0; i < CRASH_SALES; i++) {
        sale_end(&stage->sales[i]);
    }
}

static bool all_answered(void *user)
{
    const struct crash_stage *stage = user;
    for (size_t i = 0; i < CRASH_SALES; i++) {
        if (!sale_answered(&stage->sales[i])) {
            return false;
        }
    }
    return true;
}

/* What may be run again must not be: of two equal requests the second could come so late that it
 * met the restarted daemon. Clients of a dead coordinator are over at once, and so are those of a
 * transaction that a dead agent aborts. */
static bool await_lost_clients(struct crash_stage *stage, struct error *ret_error)
{
    const struct crash_cell *cell = stage->cell;
    const bool over = cell->victim == VICTIM_COORDINATOR ||
                      (cell->flow == FLOW_DUPLICATE && cell->expect == EXPECT_NONE);
    if (cell->action != ACTION_KILL || cell->prelude != PRELUDE_NONE || !over) {
        return true;
    }
    return stack_poll(NULL, clock_monotonic_ms() + CRASH_HEAL_MS, all_answered, stage) ||
           error_set(ret_error, ERROR_UNAVAILABLE, "a client was not answered before the restart");
}

static bool databases_answer(void *user)
{
    struct stack *stack = user;
    for (size_t i = 0; i < stack_participant_count(stack); i++) {
        if (!stack_sql(stack, i, "SELECT 1", NULL, NULL)) {
            return false;
        }
    }
    return true;
}

/* The promise counts from the end of the fault: a server that lost a backend to SIGKILL first
 * recovers by itself. */
static bool await_databases(struct stack *stack, struct error *ret_error)
{
    return stack_poll(NULL, clock_monotonic_ms() + CRASH_SERVER_MS, databases_answer, stack) ||
           error_set(ret_error, ERROR_UNAVAILABLE, "a database did not come back by itself");
}

bool crash_judge(struct crash_stage *stage, struct error *ret_error)
{
    struct stack *stack = stage->stack;
    if (!nobody_ended(stack, ret_error) || !await_lost_clients(stage, ret_error) ||
        !start_all(stack, ret_error) || !await_databases(stack, ret_error)) {
        return false;
    }
    uint64_t begin_ms = clock_monotonic_ms();
    stage->heal_deadline_ms = begin_ms + CRASH_HEAL_MS;
    if (!await_whole(stack, ret_error)) {
        return false;
    }
    stage->heal_ms = clock_monotonic_ms() - begin_ms;
    join_clients(stage);
    if (stage->cell->expect == EXPECT_HEURISTIC) {
        if (!judge_heuristic(stage, ret_error)) {
            return false;
        }
    } else {
        for (size_t i = 0; i < stage->sale_count; i++) {
            if (!judge_sale(stage, &stage->sales[i], ret_error)) {
                return false;
            }
        }
        if (!no_heuristics(stack, ret_error)) {
            return false;
        }
    }
    return stack_journal_verify(stack, ret_error) && nobody_ended(stack, ret_error);
}
