/*
 * crash_judge.c - what must be true after a death and a restart. See crash_stage.h.
 *
 * Within ten seconds: nothing of Assent's is prepared anywhere, no transaction is unfinished (L1).
 * Then: the rows are those of one execution or of none, in all databases alike, as the client
 * was told (D1, Q1); asking by key agrees with them; the same request again leads to one execution
 * in all (X1); nobody sees a heuristic outcome that no person made (H1); the journal is whole (S1).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "tests/crash/crash_stage.h"

/* --- healing ---------------------------------------------------------------------------------- */

static bool await_whole(struct stack *stack, struct error *ret_error)
{
    return stack_wait_whole(stack, clock_monotonic_ms() + CRASH_HEAL_MS, ret_error);
}

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

void crash_reset(struct stack *stack)
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

static bool effects_expected(const struct crash_stage *stage, const struct sale *sale,
                             const struct effects *effects, int *ret_times, struct error *ret_error)
{
    bool once = effects_are(stage->stack, effects, 1, sale->balance, NULL);
    switch (stage->cell->expect) {
    case EXPECT_NONE:
        *ret_times = 0;
        return effects_are(stage->stack, effects, 0, sale->balance, ret_error);
    case EXPECT_ONCE:
        *ret_times = 1;
        return effects_are(stage->stack, effects, 1, sale->balance, ret_error);
    case EXPECT_EITHER:
        *ret_times = once ? 1 : 0;
        return once || effects_are(stage->stack, effects, 0, sale->balance, ret_error);
    case EXPECT_HEURISTIC:
        break;
    }
    return error_set(ret_error, ERROR_INVALID, "no such expectation");
}

/* What the client heard must be what is there. "Nothing" and "unknown" promise nothing. */
static bool told_truth(const struct sale *sale, int times, struct error *ret_error)
{
    switch (sale->answer.told) {
    case TOLD_COMMITTED:
        return times == 1 ||
               error_set(ret_error, ERROR_INVALID, "told committed, and nothing is there");
    case TOLD_ABORTED:
    case TOLD_REFUSED:
        return times == 0 || error_set(ret_error, ERROR_INVALID, "told %s, and all is there",
                                       told_text(sale->answer.told));
    case TOLD_HEURISTIC:
        return error_set(ret_error, ERROR_INVALID, "told heuristic: %.200s", sale->answer.body);
    case TOLD_NOTHING:
    case TOLD_UNKNOWN:
        return true;
    }
    return false;
}

static bool key_agrees(const struct crash_stage *stage, const struct sale *sale, int times,
                       char ret_id[160], struct error *ret_error)
{
    char state[32];
    if (!checkout_state_by_key(stage->stack, sale->key, state, ret_id, ret_error)) {
        return false;
    }
    bool agrees = times == 1 ? strcmp(state, "committed") == 0
                             : state[0] == '\0' || strcmp(state, "aborted") == 0;
    return agrees || error_set(ret_error, ERROR_INVALID,
                               "by key it is \"%s\", and %d execution(s) are there", state, times);
}

/* The client asks again with the same words. */
static bool ask_again(const struct crash_stage *stage, const struct sale *sale, int times,
                      const char *id, struct error *ret_error)
{
    struct answer again;
    bool commits = crash_flow_commits(stage->cell->flow);
    checkout_submit(stage->stack, sale->key, sale->body, &again);
    bool succeeded = again.told == (commits ? TOLD_COMMITTED : TOLD_ABORTED);
    if (!succeeded) {
        (void)error_set(ret_error, ERROR_INVALID, "asked again: told %s: %.200s",
                        told_text(again.told), again.body);
    } else if (times == 1 && strcmp(again.id, id) != 0) {
        succeeded = error_set(ret_error, ERROR_INVALID,
                              "asked again: it was executed again as %s (first %s)", again.id, id);
    } else if (sale->answer.told == TOLD_COMMITTED && !answer_same(&sale->answer, &again)) {
        succeeded = error_set(ret_error, ERROR_INVALID, "asked again: \"%.150s\", first \"%.150s\"",
                              again.body, sale->answer.body);
    }
    answer_done(&again);
    return succeeded;
}

static bool judge_sale(const struct crash_stage *stage, const struct sale *sale,
                       struct error *ret_error)
{
    struct effects effects;
    int times = 0;
    char id[160];
    if (!checkout_effects(stage->stack, sale->id, sale->account, &effects, ret_error) ||
        !effects_expected(stage, sale, &effects, &times, ret_error) ||
        !told_truth(sale, times, ret_error) || !key_agrees(stage, sale, times, id, ret_error)) {
        return false;
    }
    if (stage->cell->flow == FLOW_CLIENT) {
        return true; /* its body was other words; the HTTP request would be a key conflict */
    }
    int in_all = crash_flow_commits(stage->cell->flow) ? 1 : 0;
    if (!ask_again(stage, sale, times, id, ret_error) || !await_whole(stage->stack, ret_error) ||
        !checkout_effects(stage->stack, sale->id, sale->account, &effects, ret_error)) {
        return false;
    }
    return effects_are(stage->stack, &effects, in_all, sale->balance, ret_error) ||
           error_wrap(ret_error, "after asking again");
}

/* --- the heuristic cell ----------------------------------------------------------------------- */

static bool judge_heuristic(struct crash_stage *stage, struct error *ret_error)
{
    struct sale *sale = &stage->sales[0];
    char state[32], id[160], path[256], sql[160];
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
        effects.payments[1] != 0) {
        return error_set(ret_error, ERROR_INVALID,
                         "state \"%s\", %sacknowledged, %d order(s), %d payment(s)", state,
                         acknowledged ? "" : "not ", effects.orders, effects.payments[1]);
    }
    /* The person repairs what the person did, for the audit at the end. */
    (void)snprintf(sql, sizeof sql,
                   "DELETE FROM order_lines WHERE order_id = '%s';"
                   "DELETE FROM orders WHERE id = '%s'",
                   sale->id, sale->id);
    return stack_sql(stage->stack, 0, sql, NULL, ret_error);
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
        struct sale *sale = &stage->sales[i];
        if (sale->call != NULL) {
            checkout_end(sale->call, &sale->answer);
            sale->call = NULL;
            sale->answered = true;
        }
    }
}

bool crash_judge(struct crash_stage *stage, struct error *ret_error)
{
    struct stack *stack = stage->stack;
    if (!nobody_ended(stack, ret_error) || !start_all(stack, ret_error)) {
        return false;
    }
    uint64_t begin_ms = clock_monotonic_ms();
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
