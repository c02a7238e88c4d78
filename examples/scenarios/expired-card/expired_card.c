/*
 * expired_card.c - stock is reserved, and the payment is refused because the card has expired: story.md.
 *
 * That the card is valid is a condition of the payment's UPDATE and one row that is expected. An outside session that holds the
 * card's row makes the refusal wait until the reservation is prepared, so that there is something to be taken back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/scenarios/expired-card/schemas.h"
#include "examples/scenarios/kit/kit.h"

#define TRANSACTION_MS 30000
#define PATIENT_MS     45000
#define RESERVED_MS    10000
#define SETTLE_MS      30000
#define HISTORY_TRIES  5
#define AMOUNT         "24.00"
#define CREDIT         "100.00"

/* Whose locks they are tells pid: a prepared transaction has none. */
#define RESERVED                                                                                   \
    "SELECT count(*) > 0 FROM pg_locks WHERE pid IS NULL AND relation = 'products'::regclass"

/* One checkout and its answer. */
struct checkout {
    char *cart, *card; /* owned; the cart is the idempotency key, too */
    const char *product;
    struct http_answer answer;
    uint64_t answered_ms;
};

/* Somebody who knows the key alone, as a page that was loaded again, and waits for the outcome. */
struct page {
    char *id;    /* owned; NULL: the transaction was not found */
    char *state; /* owned; what the page was told, "" if nothing */
    uint64_t told_ms;
};

static const char *const counters[] = {"bought", "refused", NULL};
enum { BOUGHT, REFUSED };

/* Returns owned. */
static char *checkout_body(const struct checkout *checkout)
{
    json_t *body = json_pack(
        "{s:i, s:[{s:s, s:[{s:s, s:[sss]}]},"
        " {s:s, s:[{s:s, s:[s], s:i}, {s:s, s:[ss]}]},"
        " {s:s, s:[{s:s, s:[ss], s:i}, {s:s, s:[sss]}]}]}",
        "timeout_ms", TRANSACTION_MS, "branches",
        /* the order */
        "participant", "order", "statements", "sql",
        "INSERT INTO expired_card.orders (cart, customer, amount) VALUES ($1, $2, $3)"
        " RETURNING number",
        "params", checkout->cart, checkout->card, AMOUNT,
        /* the reservation */
        "participant", "inventory", "statements", "sql",
        "UPDATE expired_card.products SET stock = stock - 1 WHERE id = $1 AND stock >= 1", "params",
        checkout->product, "expect_rows", 1, "sql",
        "INSERT INTO expired_card.reservations (cart, product, quantity) VALUES ($1, $2, 1)",
        "params", checkout->cart, checkout->product,
        /* the payment, if the card is good */
        "participant", "payment", "statements", "sql",
        "UPDATE expired_card.cards SET credit = credit - $2"
        " WHERE id = $1 AND valid_until >= current_date AND credit >= $2",
        "params", checkout->card, AMOUNT, "expect_rows", 1, "sql",
        "INSERT INTO expired_card.payments (cart, card, amount) VALUES ($1, $2, $3)", "params",
        checkout->cart, checkout->card, AMOUNT);
    char *text = json_dumps(body, JSON_COMPACT);
    if (text == NULL) {
        abort();
    }
    json_decref(body);
    return text;
}

static void act_checkout(struct kit *kit, uint64_t index, void *context)
{
    struct checkout *checkout = (struct checkout *)context + index;
    uint64_t attempts = 0;
    char *body = checkout_body(checkout);
    http_submit(kit, checkout->cart, body, PATIENT_MS, &checkout->answer, &attempts);
    checkout->answered_ms = kit_now_ms();
    progress_count(kit, checkout->answer.status == 200 ? BOUGHT : REFUSED);
    progress_done(kit);
    free(body);
}

static void fill(struct kit *kit, uint64_t valid_count)
{
    char *count = kit_text("%llu", (unsigned long long)kit->options.shoppers);
    char *vases = kit_text("%llu", (unsigned long long)valid_count);
    PGconn *inventory = database_connect(kit, "inventory");
    PGconn *payment = database_connect(kit, "payment");
    database_run(kit, inventory, "INSERT INTO products VALUES ('lamp', 3), ('vase', $1::bigint)", 1,
                 (const char *const[]){vases});
    database_run(kit, payment,
                 "INSERT INTO cards VALUES ('card-of-ada', current_date - 1, " CREDIT ")", 0, NULL);
    database_run(
        kit, payment,
        "INSERT INTO cards SELECT 'card-' || n, current_date + CASE n % 2 WHEN 0 THEN 30 ELSE "
        "-1 END, " CREDIT " FROM generate_series(0, $1::bigint - 1) AS n",
        1, (const char *const[]){count});
    PQfinish(inventory);
    PQfinish(payment);
    free(vases);
    free(count);
}

/* A member of the answer's JSON. Returns owned; "" if it has none. */
static char *answer_member(const struct http_answer *answer, const char *name)
{
    json_t *body = answer->body != NULL ? json_loads(answer->body, 0, NULL) : NULL;
    const char *value = json_string_value(json_object_get(body, name));
    char *text = kit_text("%s", value != NULL ? value : "");
    json_decref(body);
    return text;
}

/* The transaction's events; NULL if the coordinator that saw it is gone: what is aborted is not kept (presumed abort). */
static json_t *read_history(const struct kit *kit, const struct http_answer *refusal)
{
    char *id = answer_member(refusal, "id");
    char *path = kit_text("/v1/transactions/%s/events", id);
    struct http_answer answer;
    http_call(kit, path, NULL, NULL, PATIENT_MS, &answer);
    json_t *body = answer.status == 200 ? json_loads(answer.body, 0, NULL) : NULL;
    json_t *events = json_incref(json_object_get(body, "events"));
    json_decref(body);
    http_answer_done(&answer);
    free(path);
    free(id);
    return events;
}

static void show_history(struct kit *kit, json_t *events)
{
    PGconn *connection = database_connect(kit, "order");
    size_t index = 0;
    json_t *event = NULL;
    kit_title(kit, "Its history, step by step: GET /v1/transactions/{id}/events");
    json_array_foreach(events, index, event)
    {
        const char *kind = json_string_value(json_object_get(event, "kind"));
        const char *participant = json_string_value(json_object_get(event, "participant"));
        const json_int_t since_us = json_integer_value(json_object_get(event, "since_start_us"));
        const char *name = participant != NULL ? participant : "";
        char *step = kit_text("%zu", index + 1);
        char *since = kit_text("%lld", (long long)since_us);
        kit_say(kit, "%8.3f s  %-16s %s", (double)since_us / 1000000, kind, name);
        database_run(kit, connection, "INSERT INTO history VALUES ($1, $2, $3, $4)", 4,
                     (const char *const[]){step, since, kind, participant});
        free(since);
        free(step);
    }
    PQfinish(connection);
    json_object_set(kit->summary, "history", events);
}

/* The transaction that runs under this key. Returns owned; NULL: none is known. */
static char *find_transaction(const struct kit *kit, const char *key)
{
    char *path = kit_text("/v1/transactions?limit=1&key=%s", key);
    struct http_answer answer;
    http_call(kit, path, NULL, NULL, PATIENT_MS, &answer);
    json_t *body = answer.status == 200 ? json_loads(answer.body, 0, NULL) : NULL;
    const char *id = json_string_value(
        json_object_get(json_array_get(json_object_get(body, "transactions"), 0), "id"));
    char *copy = id != NULL ? kit_text("%s", id) : NULL;
    json_decref(body);
    http_answer_done(&answer);
    free(path);
    return copy;
}

/* One request, however long it takes: no page asks again and again. */
static void act_page(struct kit *kit, uint64_t index, void *context)
{
    struct page *page = context;
    char *path = kit_text("/v1/transactions/%s?wait=30", page->id);
    struct http_answer answer;
    (void)index;
    http_call(kit, path, NULL, NULL, PATIENT_MS, &answer);
    page->told_ms = kit_now_ms();
    page->state = answer_member(&answer, "state");
    http_answer_done(&answer);
    free(path);
}

static void tell_page(struct kit *kit, struct page *page, uint64_t refused_ms)
{
    const bool is_told = page->state != NULL && (strcmp(page->state, "aborting") == 0 ||
                                                 strcmp(page->state, "aborted") == 0);
    if (is_told) {
        kit_say(kit, "%llu ms later a page that only waited for the outcome was told: %s",
                (unsigned long long)(page->told_ms - refused_ms), page->state);
        json_object_set_new(kit->summary, "page",
                            json_pack("{s:I, s:s}", "told_after_ms",
                                      (json_int_t)(page->told_ms - refused_ms), "state",
                                      page->state));
    } else {
        kit_say(kit, "the page that waited heard nothing: assentd was killed meanwhile");
        json_object_set_new(kit->summary, "page", json_null());
    }
    free(page->id);
    free(page->state);
}

/* The checkout of one shopper with an expired card, slowly, to see what is there in between. */
static void refuse_one(struct kit *kit, struct checkout *checkout)
{
    PGconn *hold = database_connect(kit, "payment");
    database_run(kit, hold, "BEGIN; SELECT FROM cards WHERE id = 'card-of-ada' FOR UPDATE", 0,
                 NULL);
    progress_stage(kit, "a checkout with an expired card", 1, counters);
    struct crowd *crowd = crowd_start(kit, 1, 1, act_checkout, checkout);
    const bool is_reserved = database_await(kit, "inventory", RESERVED, "t", RESERVED_MS);
    struct page page = {.id = find_transaction(kit, checkout->cart)};
    struct crowd *waiting = page.id != NULL ? crowd_start(kit, 1, 1, act_page, &page) : NULL;
    const uint64_t refused_ms = kit_now_ms();
    PQfinish(hold);
    crowd_wait(crowd);
    if (waiting != NULL) {
        crowd_wait(waiting);
    }
    progress_end(kit);
    char *reason = answer_member(&checkout->answer, "reason");
    char *participant = answer_member(&checkout->answer, "participant");
    kit_title(kit, "An expired card");
    kit_say(kit, is_reserved ? "the lamp was reserved: the inventory database had prepared it"
                             : "nobody saw the reservation: something was killed meanwhile");
    kit_say(kit, "%llu ms later the page was told: %ld, %s at %s",
            (unsigned long long)(checkout->answered_ms - refused_ms), checkout->answer.status,
            reason, participant);
    tell_page(kit, &page, refused_ms);
    json_object_set_new(kit->summary, "refusal",
                        json_pack("{s:b, s:I, s:I, s:s, s:s}", "was_reserved", is_reserved,
                                  "told_after_ms", (json_int_t)(checkout->answered_ms - refused_ms),
                                  "status", (json_int_t)checkout->answer.status, "reason", reason,
                                  "participant", participant));
    free(participant);
    free(reason);
}

/* If the coordinator that refused it is killed before it is asked, the refusal is repeated: nothing had happened, so the same key
 * runs again. */
static void explain_one(struct kit *kit, struct checkout *checkout)
{
    json_t *events = read_history(kit, &checkout->answer);
    for (unsigned int attempt = 0; events == NULL && attempt < HISTORY_TRIES; attempt++) {
        kit_pause(kit, attempt, 0, "no history of the refused transaction");
        http_answer_done(&checkout->answer);
        act_checkout(kit, 0, checkout);
        events = read_history(kit, &checkout->answer);
    }
    if (events == NULL) {
        kit_give_up(kit, EX_UNAVAILABLE, "try again while nobody kills assentd",
                    "the refused transaction has no history");
    }
    show_history(kit, events);
    json_decref(events);
}

static void judge_refusal(struct kit *kit)
{
    kit_title(kit,
              "Verdict on the refusal: everything is gone again, and nobody compensated anything");
    verdict_settled(kit);
    verdict_is(kit, "there is no order", "order", "SELECT count(*) FROM orders", "0");
    verdict_is(kit, "the stock is what it was, and nothing is reserved", "inventory",
               "SELECT stock, (SELECT count(*) FROM reservations) FROM products WHERE id = 'lamp'",
               "3 0");
    verdict_is(kit, "the card was not charged", "payment",
               "SELECT credit, (SELECT count(*) FROM payments) FROM cards"
               " WHERE id = 'card-of-ada'",
               CREDIT " 0");
    verdict_is(kit, "the history names the database that refused", "order",
               "SELECT DISTINCT participant FROM history WHERE kind = 'voted-abort'", "payment");
}

/* Ada has a new card: the same cart, the same key. */
static void renew(struct kit *kit, struct checkout *checkout)
{
    PGconn *payment = database_connect(kit, "payment");
    database_run(kit, payment,
                 "UPDATE cards SET valid_until = current_date + 365 WHERE id = 'card-of-ada'", 0,
                 NULL);
    PQfinish(payment);
    http_answer_done(&checkout->answer);
    progress_stage(kit, "a new card, the same checkout again", 1, counters);
    crowd_run(kit, 1, act_checkout, checkout);
}

/* Half the cards have expired, and there is one vase for each of the others. */
static void rush(struct kit *kit)
{
    const uint64_t count = kit->options.shoppers;
    struct checkout *checkouts = calloc(count, sizeof *checkouts);
    if (checkouts == NULL) {
        abort();
    }
    for (uint64_t i = 0; i < count; i++) {
        checkouts[i].cart = kit_text("%s-vase-%llu", kit->run, (unsigned long long)i);
        checkouts[i].card = kit_text("card-%llu", (unsigned long long)i);
        checkouts[i].product = "vase";
    }
    progress_stage(kit, "a rush for the last vases", count, counters);
    crowd_run(kit, count, act_checkout, checkouts);
    progress_end(kit);
    for (uint64_t i = 0; i < count; i++) {
        http_answer_done(&checkouts[i].answer);
        free(checkouts[i].cart);
        free(checkouts[i].card);
    }
    free(checkouts);
}

static void judge_all(struct kit *kit, uint64_t valid_count)
{
    char *sold = kit_text("lamp 2 1, vase 0 %llu", (unsigned long long)valid_count);
    char *orders = kit_text("%llu", (unsigned long long)valid_count + 1);
    kit_title(kit,
              "Verdict on the rest: what a refused checkout had reserved was never lost to others");
    verdict_settled(kit);
    verdict_is(kit, "every vase went to somebody whose card is valid, and Ada has her lamp",
               "inventory",
               "SELECT id, stock, (SELECT sum(quantity) FROM reservations WHERE product = id)"
               " FROM products ORDER BY id",
               sold);
    verdict_is(kit, "as many orders", "order", "SELECT count(DISTINCT cart) FROM orders", orders);
    verdict_is(kit, "no expired card was charged", "payment",
               "SELECT count(*) FROM payments JOIN cards ON card = id"
               " WHERE valid_until < current_date",
               "0");
    verdict_same(kit, "what is reserved is what is paid", "inventory",
                 "SELECT string_agg(cart, ' ' ORDER BY cart COLLATE \"C\") FROM reservations",
                 "payment",
                 "SELECT string_agg(cart, ' ' ORDER BY cart COLLATE \"C\") FROM payments");
    free(orders);
    free(sold);
}

static void run(struct kit *kit)
{
    const uint64_t valid_count = (kit->options.shoppers + 1) / 2;
    struct checkout ada = {
        .cart = kit_text("%s-ada", kit->run), .card = kit_text("card-of-ada"), .product = "lamp"};
    fill(kit, valid_count);
    refuse_one(kit, &ada);
    (void)database_settle(kit, SETTLE_MS); /* the history has its end */
    explain_one(kit, &ada);
    judge_refusal(kit);
    renew(kit, &ada);
    rush(kit);
    judge_all(kit, valid_count);
    http_answer_done(&ada.answer);
    free(ada.cart);
    free(ada.card);
}

int main(int argc, char **argv)
{
    static const struct scenario scenario = {
        .name = "expired-card",
        .what =
            "Stock is reserved, the payment is refused because the card has expired: everything "
            "is gone again without any compensation code.",
        .schemas = scenario_schemas,
        .schema_count = sizeof scenario_schemas / sizeof *scenario_schemas,
        .shoppers = 20,
        .seconds = 180,
        .run = run,
    };
    return kit_main(&scenario, argc, argv);
}
