/* shoppers.c - what a shopper does, as a service does it over HTTP (shop.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/scenarios/upgrade/shop.h"

#define TRANSACTION_MS 10000

bool shopper_is_queued(uint64_t number)
{
    return number % 2 == 1;
}

char *shopper_cart(const struct kit *kit, uint64_t number)
{
    return kit_text("%s-%06" PRIu64, kit->run, number);
}

char *shopper_queue(const struct kit *kit)
{
    return kit_text("upgrade-%s", kit->run);
}

static char *dump(json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    if (text == NULL) {
        abort();
    }
    json_decref(body);
    return text;
}

/* An order and its payment, the same whenever it is made. One that goes into the queue writes down how many of the queue's it finds, in
 * each database: it must find all that were accepted before it. Returns a new reference. */
static json_t *checkout(const char *cart, const char *customer, const char *amount, bool is_queued)
{
    static const char *const order[] = {"INSERT INTO upgrade.orders VALUES (DEFAULT, $1, $2, $3)",
                                        "INSERT INTO upgrade.orders VALUES (DEFAULT, $1, $2, $3,"
                                        " (SELECT count(place) FROM upgrade.orders))"};
    static const char *const payment[] = {"INSERT INTO upgrade.payments VALUES ($1, $2, $3)",
                                          "INSERT INTO upgrade.payments VALUES ($1, $2, $3,"
                                          " (SELECT count(place) FROM upgrade.payments))"};
    json_t *body = json_pack(
        "{s:i, s:[{s:s, s:[{s:s, s:[sss]}]}, {s:s, s:[{s:s, s:[ss], s:i}, {s:s, s:[sss]}]}]}",
        "timeout_ms", TRANSACTION_MS, "branches",
        /* the order */
        "participant", "order", "statements", "sql", order[is_queued], "params", cart, customer,
        amount,
        /* its payment */
        "participant", "payment", "statements", "sql",
        "UPDATE upgrade.accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2",
        "params", customer, amount, "expect_rows", 1, "sql", payment[is_queued], "params", cart,
        customer, amount);
    if (body == NULL) {
        abort();
    }
    return body;
}

/* queue may be NULL. Returns owned. */
static char *checkout_body(const struct kit *kit, const char *cart, uint64_t number,
                           const char *queue)
{
    const uint64_t cents = 100 + random_below(kit, 1, number, 9900);
    char *amount = kit_text("%" PRIu64 ".%02" PRIu64, cents / 100, cents % 100);
    char *customer = kit_text("c-%" PRIu64, number);
    json_t *body = checkout(cart, customer, amount, shopper_is_queued(number));
    if (queue != NULL) {
        json_object_set_new(body, "queue", json_string(queue));
    }
    free(customer);
    free(amount);
    return dump(body);
}

static void make_wish(struct kit *kit, const char *cart)
{
    char *key = kit_text("%s-wish", cart);
    char *body = dump(json_pack("{s:[{s:s, s:[{s:s, s:[s]}]}]}", "branches", "participant", "order",
                                "statements", "sql", "INSERT INTO upgrade.wishes VALUES ($1)",
                                "params", cart));
    struct http_answer answer;
    uint64_t attempts = 0;
    http_submit(kit, key, body, PATIENT_MS, &answer, &attempts);
    http_answer_done(&answer);
    free(body);
    free(key);
}

/* A member of the answer's JSON. Returns owned; "-" if it has none. */
static char *answer_member(const struct http_answer *answer, const char *name)
{
    json_t *body = answer->body != NULL ? json_loads(answer->body, 0, NULL) : NULL;
    const char *value = json_string_value(json_object_get(body, name));
    char *text = kit_text("%s", value != NULL ? value : "-");
    json_decref(body);
    return text;
}

/* "buy", once, with the key that is the cart. */
static void press(const struct kit *kit, uint64_t number, struct http_answer *ret_answer)
{
    const bool is_queued = shopper_is_queued(number);
    char *cart = shopper_cart(kit, number);
    char *queue = is_queued ? shopper_queue(kit) : NULL;
    char *body = checkout_body(kit, cart, number, queue);
    if (is_queued) {
        http_accept(kit, cart, body, PATIENT_MS, ret_answer);
    } else {
        http_call(kit, "/v1/transactions", cart, body, PATIENT_MS, ret_answer);
    }
    free(body);
    free(queue);
    free(cart);
}

/* What an answer says about the end of it. False: it does not say. */
static bool note_answer(struct press *press, bool is_queued, const struct http_answer *answer)
{
    const bool is_done = http_is_final(answer);
    if (is_queued && press->accepted_as == NULL && (answer->status == 202 || is_done)) {
        press->accepted_us = kit_now_us();
        press->accepted_as = answer_member(answer, "id");
    }
    if (is_done) {
        press->told_status = answer->status;
        press->told_state = answer_member(answer, "state");
    }
    return is_done;
}

static void count_answer(struct kit *kit, const struct http_answer *answer)
{
    const bool is_answered = answer->fate == HTTP_ANSWERED;
    const size_t counter = !is_answered            ? NOBODY_THERE
                           : answer->status == 200 ? BOUGHT
                           : answer->status == 202 ? ACCEPTED
                           : answer->status == 503 ? TOLD_503
                                                   : OTHERWISE;
    progress_count(kit, counter);
}

void shopper_act(struct kit *kit, uint64_t index, void *context)
{
    struct shop *shop = context;
    struct press *first = &shop->presses[index];
    const bool is_queued = shopper_is_queued(index);
    struct http_answer answer;
    char *cart = shopper_cart(kit, index);
    shop_await_turn(shop, index);
    make_wish(kit, cart);
    const enum moment begun = shop_moment(shop);
    first->sent_us = kit_now_us();
    press(kit, index, &answer);
    first->took_us = kit_now_us() - first->sent_us;
    first->moment = begun == shop_moment(shop) ? begun : BETWEEN;
    first->status = answer.status;
    first->reason = answer_member(&answer, "reason");
    first->may_retry = answer.retry_after_ms > 0;
    if (!note_answer(first, is_queued, &answer) && answer.status != 202) {
        /* 503 says that nothing was done, so one may go elsewhere: every second one of them does. */
        first->has_left =
            !is_queued && answer.status == 503 && atomic_fetch_add(&shop->told_count, 1) % 2 == 0;
        if (!first->has_left) {
            shop->waiting[atomic_fetch_add(&shop->waiting_count, 1)] = index;
        }
    }
    count_answer(kit, &answer);
    progress_done(kit);
    shop_note_came(shop, index);
    http_answer_done(&answer);
    free(cart);
}

void shopper_act_again(struct kit *kit, uint64_t index, void *context)
{
    struct shop *shop = context;
    const uint64_t number = shop->waiting[index];
    struct http_answer answer;
    for (unsigned int attempt = 0;; attempt++) {
        press(kit, number, &answer);
        if (note_answer(&shop->presses[number], shopper_is_queued(number), &answer) ||
            answer.status == 202) {
            break;
        }
        kit_pause(kit, attempt, 0, answer.text);
        http_answer_done(&answer);
    }
    count_answer(kit, &answer);
    progress_done(kit);
    http_answer_done(&answer);
}

void shopper_act_learn(struct kit *kit, uint64_t index, void *context)
{
    struct shop *shop = context;
    struct press *mine = &shop->presses[index];
    if (mine->accepted_as != NULL && mine->told_state == NULL) {
        struct http_answer answer;
        uint64_t attempts = 0;
        char *cart = shopper_cart(kit, index);
        char *body = checkout_body(kit, cart, index, NULL);
        /* The key without respond-async waits for the outcome, or says 202 again. */
        http_submit(kit, cart, body, PATIENT_MS, &answer, &attempts);
        (void)note_answer(mine, true, &answer);
        count_answer(kit, &answer);
        http_answer_done(&answer);
        free(body);
        free(cart);
    }
    progress_done(kit);
}
