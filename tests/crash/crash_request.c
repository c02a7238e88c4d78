/*
 * crash_request.c - accepted requests (docs/adr/0017): a checkout that is handed over to run later, and a person's word about one
 * that is dead. See crash_stage.h.
 *
 * Whoever hands over asks by key later, as after any lost answer, so what is answered here is not looked at.
 */
#include <stdio.h>
#include <string.h>

#include "tests/crash/crash_stage.h"

#define ANSWER_MS 2000 /* from a coordinator that sleeps there is none */

static void post(const char *url, const char *const *headers, const char *body, int *ret_status)
{
    struct http_reply reply;
    const struct http_request request = {
        .url = url, .headers = headers, .body = body, .timeout_ms = ANSWER_MS};
    *ret_status = 0;
    if (http_perform(&request, &reply, NULL)) {
        *ret_status = reply.status;
        http_reply_done(&reply);
    }
}

static void hand_over(const struct crash_stage *stage, const struct sale *sale)
{
    char url[256];
    char key_line[128];
    int ignored;
    (void)snprintf(url, sizeof url, "%s/v1/transactions", stack_api(stage->stack));
    (void)snprintf(key_line, sizeof key_line, "Idempotency-Key: %s", sale->key);
    const char *const headers[] = {"Content-Type: application/json", "Prefer: respond-async",
                                   key_line, NULL};
    post(url, headers, sale->body, &ignored);
}

static int act(const struct crash_stage *stage, const char *id, const char *what)
{
    char url[512];
    int status;
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    (void)snprintf(url, sizeof url, "%s/v1/transactions/%s/%s", stack_api(stage->stack), id, what);
    post(url, headers, "{}", &status);
    return status;
}

struct dead_wait {
    struct stack *stack;
    const char *key;
    char state[32], id[160];
};

static bool is_dead(void *user)
{
    struct dead_wait *wait = user;
    return checkout_state_by_key(wait->stack, wait->key, wait->state, wait->id, NULL) &&
           strcmp(wait->state, "dead") == 0;
}

bool crash_run_request(struct crash_stage *stage, struct error *ret_error)
{
    const enum crash_flow flow = stage->cell->flow;
    const struct sale *sale = &stage->sales[0];
    hand_over(stage, sale);
    if (flow == FLOW_ACCEPTED || flow == FLOW_DEAD) {
        return true;
    }
    struct dead_wait wait = {.stack = stage->stack, .key = sale->key};
    if (!stack_poll(stage->victim, crash_patience(), is_dead, &wait)) {
        return error_set(ret_error, ERROR_INVALID, "the request is not dead but \"%s\"",
                         wait.state);
    }
    (void)act(stage, wait.id, flow == FLOW_REQUEUE ? "requeue" : "drop");
    return true;
}

bool crash_drop_dead(const struct crash_stage *stage, const struct sale *sale,
                     struct error *ret_error)
{
    struct dead_wait wait = {.stack = stage->stack, .key = sale->key};
    if (!is_dead(&wait)) {
        return true;
    }
    const int status = act(stage, wait.id, "drop");
    return status == 200 ||
           error_set(ret_error, ERROR_INVALID, "a dead request can not be dropped: %d", status);
}
