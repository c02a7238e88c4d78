/*
 * http_wait.c - GET /v1/transactions/{id}?wait=SECONDS: the answer is held until the transaction has an outcome.
 *
 *   WAITING --done(), no outcome yet--> HELD --it has one, or the time is up--> WAITING --done()--> ANSWERED
 *                                        `-- the client has gone --> GONE
 *
 * Asked in the ordinary way, the owner's first answer tells whether there is anything to wait for. done() comes on the owner thread,
 * and so does every change (http_publish), so between the two nothing is missed. When the change comes, the owner is asked once more:
 * what is answered is what a plain GET would be answered then. Held requests cost no thread: their connections are suspended.
 */
#include <string.h>

#include "common/check.h"
#include "common/clock.h"
#include "coordinator/http_internal.h"

bool wait_admit(struct exchange *exchange)
{
    struct gate *gate = exchange->gate;
    const uint32_t most = exchange->http->limits.waits;
    gate_lock(gate);
    const bool fits = gate->wait_count < most;
    if (fits) {
        gate->wait_count++;
        exchange->is_wait = true;
    }
    gate_unlock(gate);
    if (fits) {
        exchange->wait_by_ms = clock_monotonic_ms() + (uint64_t)exchange->query.wait_s * 1000;
        return true;
    }
    problem_set_reason(&exchange->problem, REASON_OVERLOAD);
    exchange->problem.limit_name = "max_waits";
    exchange->problem.limit = most;
    (void)snprintf(exchange->problem.detail, sizeof exchange->problem.detail,
                   "as many requests as the configured limit \"max_waits\" of %u wait for outcomes",
                   most);
    return false;
}

void wait_release(struct exchange *exchange)
{
    exchange->gate->wait_count -= exchange->is_wait ? 1 : 0;
    exchange->is_wait = false;
}

static bool match_held(const void *value, const void *wanted)
{
    return gtrid_equal(&((const struct exchange *)value)->gtrid, wanted);
}

static void held_add(struct gate *gate, struct exchange *exchange)
{
    const uint64_t hash = gtrid_hash(&exchange->gtrid);
    struct exchange *head = map_find(&gate->held, hash, match_held, &exchange->gtrid);
    if (head != NULL) { /* several wait for the same one: behind the first */
        exchange->held_next = head->held_next;
        head->held_next = exchange;
    } else {
        map_insert(&gate->held, hash, exchange);
    }
    (void)atomic_fetch_add(&gate->held_count, 1);
}

void held_remove(struct exchange *exchange)
{
    struct gate *gate = exchange->gate;
    const uint64_t hash = gtrid_hash(&exchange->gtrid);
    struct exchange *head = map_find(&gate->held, hash, match_held, &exchange->gtrid);
    CHECK(head != NULL);
    if (head == exchange) {
        CHECK(map_remove(&gate->held, hash, head));
        if (head->held_next != NULL) {
            map_insert(&gate->held, hash, head->held_next);
        }
    } else {
        struct exchange *before = head;
        while (before->held_next != exchange) {
            before = before->held_next;
            CHECK(before != NULL);
        }
        before->held_next = exchange->held_next;
    }
    exchange->held_next = NULL;
    (void)atomic_fetch_sub(&gate->held_count, 1);
    pump_set_timer(gate->pump, &exchange->watch, UINT64_MAX);
}

bool wait_hold(struct exchange *exchange)
{
    struct gate *gate = exchange->gate;
    const struct api_answer *answer = &exchange->call->answer;
    if (exchange->wait_by_ms == 0 || gate->stopping || answer->status != API_OK ||
        answer->view_count != 1 || api_is_awaited(answer->views[0].state, exchange->query.ack) ||
        exchange->watch.is_gone || clock_monotonic_ms() >= exchange->wait_by_ms) {
        return false;
    }
    exchange->phase = EXCHANGE_HELD;
    held_add(gate, exchange);
    if (exchange->watch.token == 0) {
        pump_watch(gate->pump, &exchange->watch);
    }
    pump_set_timer(gate->pump, &exchange->watch, exchange->wait_by_ms);
    return true;
}

/* Asks the owner once more; the caller posts the call when the lock is free. */
static void held_ask(struct exchange *exchange, struct api_call **calls)
{
    held_remove(exchange);
    api_call_free(exchange->call);
    struct api_call *call = exchange_call_get(exchange);
    exchange->call = call;
    exchange->call_out = true;
    exchange->phase = EXCHANGE_WAITING;
    call->item.next = *calls == NULL ? NULL : &(*calls)->item;
    *calls = call;
}

void waits_take(struct gate *gate, const struct gtrid *gtrid, enum txn_state state,
                struct api_call **calls)
{
    struct exchange *exchange = map_find(&gate->held, gtrid_hash(gtrid), match_held, gtrid);
    while (exchange != NULL) {
        struct exchange *next = exchange->held_next;
        if (api_is_awaited(state, exchange->query.ack)) {
            held_ask(exchange, calls);
        }
        exchange = next;
    }
}

void waits_ask(struct gate *gate, struct api_call *calls)
{
    while (calls != NULL) {
        struct api_call *next = (struct api_call *)calls->item.next;
        gate->sink.post(gate->sink.user, calls);
        calls = next;
    }
}

void wait_time_up(struct exchange *exchange, struct api_call **calls)
{
    CHECK(exchange->phase == EXCHANGE_HELD);
    exchange->wait_by_ms = 0; /* whatever it is now, that is the answer */
    held_ask(exchange, calls);
}

void wait_hung_up(struct exchange *exchange)
{
    if (exchange->phase != EXCHANGE_HELD) {
        return; /* the answer is on its way; libmicrohttpd will find nobody there */
    }
    held_remove(exchange);
    wait_release(exchange);
    exchange_end_waiting(exchange, EXCHANGE_GONE);
}
