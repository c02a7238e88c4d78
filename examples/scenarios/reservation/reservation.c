/*
 * reservation.c - few items, many shoppers, three databases, and never one item too many: story.md.
 *
 * The same rush three times. What keeps the stock from being oversold is each time something else, and each time it is PostgreSQL's
 * own: the prepared branch holds a row, or a lock, until the whole transaction is decided.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/scenarios/kit/kit.h"
#include "examples/scenarios/reservation/schemas.h"

#define TRANSACTION_MS 30000
#define PRICE          "20.00"
#define BALANCE        "1000.00"
#define SCHEMA         "reservation."

static uint64_t items = 100;

enum way { OPTIMISTIC, ROW_LOCK, ADVISORY, WAY_COUNT };

static const struct {
    const char *product; /* a product for each way */
    const char *title;
} ways[] = {
    [OPTIMISTIC] = {"optimistic", "optimistic versions"},
    [ROW_LOCK] = {"row-lock", "row locks"},
    [ADVISORY] = {"advisory", "a named lock"},
};

static const char *const counters[] = {"sold", "sold out", "looked again", "otherwise", NULL};
enum { SOLD, SOLD_OUT, LOOKED_AGAIN, OTHERWISE };

/* The outside reader: a connection of its own, and the lowest stock it ever saw. */
struct reader {
    PGconn *connection;
    const char *product;
    int64_t lowest;
};

static char *number_text(uint64_t number)
{
    return kit_text("%" PRIu64, number);
}

/* ---- what the service does */

/* What a shopper sees: one read-only branch. */
static void look(struct kit *kit, const char *product, int64_t *ret_stock, int64_t *ret_version)
{
    struct assent_request *request = assent_request_new();
    assent_request_set_read_only(request, "inventory", true);
    assent_request_add(request, "inventory",
                       "SELECT stock, version FROM " SCHEMA "products WHERE id = $1",
                       ASSENT_PARAMS(product), 1);
    struct assent_answer *answer = submit_until_final(kit, request);
    const struct assent_result *row = assent_answer_result(answer, "inventory", 0);
    if (row == NULL) {
        kit_give_up(kit, EX_UNAVAILABLE, NULL, "looking at %s: %s", product,
                    assent_answer_text(answer));
    }
    *ret_stock = strtoll(assent_result_value(row, 0, 0), NULL, 10);
    *ret_version = strtoll(assent_result_value(row, 0, 1), NULL, 10);
    assent_answer_free(answer);
    assent_request_free(request);
}

/* Takes one item: this is all in which the ways differ. */
static void add_taking(struct assent_request *request, enum way way, const char *product,
                       int64_t version)
{
    static const char take[] = "UPDATE " SCHEMA "products SET stock = stock - 1 WHERE id = $1";
    switch (way) {
    case OPTIMISTIC: {
        char *seen = kit_text("%" PRId64, version);
        assent_request_add(request, "inventory",
                           "UPDATE " SCHEMA "products SET stock = stock - 1, version = version + 1"
                           " WHERE id = $1 AND version = $2 AND stock >= 1",
                           ASSENT_PARAMS(product, seen), 1);
        free(seen);
        return;
    }
    case ROW_LOCK:
        assent_request_add(request, "inventory",
                           "SELECT stock FROM " SCHEMA
                           "products WHERE id = $1 AND stock >= 1 FOR UPDATE",
                           ASSENT_PARAMS(product), 1);
        assent_request_add(request, "inventory", take, ASSENT_PARAMS(product), 1);
        return;
    case ADVISORY:
        /* Held to the end: through the prepare, until the commit has arrived. */
        assent_request_add(request, "inventory", "SELECT pg_advisory_xact_lock(hashtext($1))",
                           ASSENT_PARAMS(product), 1);
        assent_request_add(request, "inventory",
                           "SELECT stock FROM " SCHEMA "products WHERE id = $1 AND stock >= 1",
                           ASSENT_PARAMS(product), 1);
        assent_request_add(request, "inventory", take, ASSENT_PARAMS(product), 1);
        return;
    case WAY_COUNT:
        break;
    }
    abort();
}

static struct assent_request *order_request(enum way way, const char *product, const char *order,
                                            const char *customer, int64_t version)
{
    struct assent_request *request = assent_request_new();
    assent_request_set_key(request, order);
    assent_request_set_timeout_ms(request, TRANSACTION_MS);
    assent_request_add(request, "order",
                       "INSERT INTO " SCHEMA "orders (id, product, customer) VALUES ($1, $2, $3)",
                       ASSENT_PARAMS(order, product, customer), 1);
    add_taking(request, way, product, version);
    assent_request_add(request, "inventory",
                       "INSERT INTO " SCHEMA "reservations (order_id, product) VALUES ($1, $2)",
                       ASSENT_PARAMS(order, product), 1);
    assent_request_add(request, "payment",
                       "UPDATE " SCHEMA "accounts SET balance = balance - $2"
                       " WHERE id = $1 AND balance >= $2",
                       ASSENT_PARAMS(customer, PRICE), 1);
    assent_request_add(request, "payment",
                       "INSERT INTO " SCHEMA
                       "payments (order_id, account, amount) VALUES ($1, $2, $3)",
                       ASSENT_PARAMS(order, customer, PRICE), 1);
    return request;
}

/* Takes it all back, once: a second press finds nothing that is still placed. */
static struct assent_request *cancel_request(const char *key, const char *order,
                                             const char *product, const char *customer)
{
    struct assent_request *request = assent_request_new();
    assent_request_set_key(request, key);
    assent_request_add(request, "order",
                       "UPDATE " SCHEMA "orders SET state = 'cancelled'"
                       " WHERE id = $1 AND state = 'placed'",
                       ASSENT_PARAMS(order), 1);
    assent_request_add(request, "inventory",
                       "DELETE FROM " SCHEMA "reservations WHERE order_id = $1",
                       ASSENT_PARAMS(order), 1);
    assent_request_add(request, "inventory",
                       "UPDATE " SCHEMA "products SET stock = stock + 1, version = version + 1"
                       " WHERE id = $1",
                       ASSENT_PARAMS(product), 1);
    assent_request_add(request, "payment",
                       "UPDATE " SCHEMA "payments SET state = 'refunded'"
                       " WHERE order_id = $1 AND state = 'paid'",
                       ASSENT_PARAMS(order), 1);
    assent_request_add(request, "payment",
                       "UPDATE " SCHEMA "accounts SET balance = balance + $2 WHERE id = $1",
                       ASSENT_PARAMS(customer, PRICE), 1);
    return request;
}

/* ---- the shoppers */

/* The counter of what it came to. LOOKED_AGAIN: somebody else was faster. */
static size_t judge_answer(const struct assent_answer *answer, enum way way)
{
    if (assent_answer_outcome(answer) == ASSENT_COMMITTED) {
        return SOLD;
    }
    const bool is_taken = assent_answer_outcome(answer) == ASSENT_ABORTED &&
                          strcmp(assent_answer_reason(answer), "row_count") == 0 &&
                          strcmp(assent_answer_participant(answer), "inventory") == 0;
    if (!is_taken) {
        return OTHERWISE;
    }
    return way == OPTIMISTIC ? LOOKED_AGAIN : SOLD_OUT;
}

static void act_shop(struct kit *kit, uint64_t index, void *context)
{
    const enum way way = *(const enum way *)context;
    const char *product = ways[way].product;
    char *order = kit_text("%s-%s-%06" PRIu64, kit->run, product, index);
    char *customer = kit_text("c-%" PRIu64, index);
    size_t outcome = LOOKED_AGAIN;
    /* Who looks again does so because somebody has bought: no more often than there are items. */
    for (uint64_t i = 0; outcome == LOOKED_AGAIN && i <= items; i++) {
        int64_t stock = 1;
        int64_t version = 0;
        if (way == OPTIMISTIC) {
            look(kit, product, &stock, &version);
        }
        if (stock < 1) {
            outcome = SOLD_OUT;
            break;
        }
        struct assent_request *request = order_request(way, product, order, customer, version);
        struct assent_answer *answer = submit_until_final(kit, request);
        outcome = judge_answer(answer, way);
        if (outcome == LOOKED_AGAIN) {
            progress_count(kit, LOOKED_AGAIN);
        }
        assent_answer_free(answer);
        assent_request_free(request);
    }
    progress_count(kit, outcome == LOOKED_AGAIN ? OTHERWISE : outcome);
    progress_done(kit);
    free(customer);
    free(order);
}

static void read_stock(void *context, char *ret_text, size_t size_bytes)
{
    struct reader *reader = context;
    char *why = NULL;
    char *sql = kit_text("SELECT stock FROM products WHERE id = '%s'", reader->product);
    char *stock = database_ask(reader->connection, sql, &why);
    if (stock != NULL) {
        const int64_t seen = strtoll(stock, NULL, 10);
        reader->lowest = seen < reader->lowest ? seen : reader->lowest;
        snprintf(ret_text, size_bytes, "%s left", stock);
    } else {
        snprintf(ret_text, size_bytes, "the database is away");
        PQreset(reader->connection);
    }
    free(stock);
    free(why);
    free(sql);
}

static void rush(struct kit *kit, enum way way, json_t *figures)
{
    struct reader reader = {.connection = database_connect(kit, "inventory"),
                            .product = ways[way].product,
                            .lowest = INT64_MAX};
    const uint64_t begin_ms = kit_now_ms();
    progress_stage(kit, ways[way].title, kit->options.shoppers, counters);
    progress_watch(kit, read_stock, &reader);
    crowd_run(kit, kit->options.shoppers, act_shop, &way);
    const double seconds = (double)(kit_now_ms() - begin_ms) / 1000;
    progress_watch(kit, NULL, NULL); /* from here on the reader is this thread's */
    read_stock(&reader, (char[64]){""}, 64);
    PQfinish(reader.connection);
    const uint64_t sold = progress_counter(kit, SOLD);
    const uint64_t again = progress_counter(kit, LOOKED_AGAIN);
    json_array_append_new(
        figures,
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:f}", "way", ways[way].product, "sold",
                  (json_int_t)sold, "sold_out", (json_int_t)progress_counter(kit, SOLD_OUT),
                  "looked_again", (json_int_t)again, "otherwise",
                  (json_int_t)progress_counter(kit, OTHERWISE), "lowest_stock_seen",
                  (json_int_t)reader.lowest, "seconds", seconds));
    progress_end(kit);
    kit_say(kit, "%-11s %" PRIu64 " sold in %.1f s, %" PRIu64 " times somebody else was faster",
            ways[way].product, sold, seconds, again);
}

/* ---- the walk */

static void walk_step(struct kit *kit, PGconn *notes, int step, const char *before)
{
    int64_t stock = 0;
    int64_t version = 0;
    look(kit, "vase", &stock, &version);
    char *number = kit_text("%d", step);
    char *seen = kit_text("%" PRId64, stock);
    database_run(kit, notes, "INSERT INTO walk VALUES ($1, $2, $3)", 3,
                 (const char *const[]){number, before, seen});
    kit_say(kit, "%-14s %s in stock", before, seen);
    free(seen);
    free(number);
}

static void walk_submit(struct kit *kit, struct assent_request *request)
{
    struct assent_answer *answer = submit_until_final(kit, request);
    kit_say(kit, "               -> %s%s%s", assent_outcome_text(assent_answer_outcome(answer)),
            assent_answer_outcome(answer) == ASSENT_COMMITTED ? "" : ": ",
            assent_answer_outcome(answer) == ASSENT_COMMITTED ? "" : assent_answer_text(answer));
    assent_answer_free(answer);
    assent_request_free(request);
}

static void walk(struct kit *kit)
{
    PGconn *notes = database_connect(kit, "inventory");
    char *order = kit_text("%s-walk", kit->run);
    char *cancel = kit_text("%s-cancel", kit->run);
    char *cancel_again = kit_text("%s-cancel-again", kit->run);
    progress_stage(kit, "the user's walk", 0, NULL);
    kit_title(kit, "The user's walk");
    walk_step(kit, notes, 1, "look");
    walk_submit(kit, order_request(ROW_LOCK, "vase", order, "c-0", 0));
    walk_step(kit, notes, 2, "ordered");
    walk_submit(kit, cancel_request(cancel, order, "vase", "c-0"));
    walk_step(kit, notes, 3, "cancelled");
    walk_submit(kit, cancel_request(cancel_again, order, "vase", "c-0"));
    walk_step(kit, notes, 4, "once more");
    progress_end(kit);
    free(cancel_again);
    free(cancel);
    free(order);
    PQfinish(notes);
}

/* ---- the outside reader's verdict */

static void judge(struct kit *kit)
{
    const uint64_t sold = kit->options.shoppers < items ? kit->options.shoppers : items;
    char *stock = kit_text("advisory %1$" PRIu64 " %2$" PRIu64 ", optimistic %1$" PRIu64
                           " %2$" PRIu64 ", row-lock %1$" PRIu64 " %2$" PRIu64 ", vase 3 0",
                           items - sold, sold);
    kit_title(kit, "Verdict");
    verdict_settled(kit);
    verdict_is(kit, "as many sold as there were, and not one more", "inventory",
               "SELECT id, stock, (SELECT count(*) FROM reservations WHERE product = id)"
               " FROM products ORDER BY id",
               stock);
    verdict_same(kit, "what is reserved is what is ordered", "inventory",
                 "SELECT string_agg(order_id, ' ' ORDER BY order_id COLLATE \"C\")"
                 " FROM reservations",
                 "order",
                 "SELECT string_agg(id, ' ' ORDER BY id COLLATE \"C\") FROM orders"
                 " WHERE state = 'placed'");
    verdict_same(kit, "what is ordered is what is paid", "order",
                 "SELECT string_agg(id, ' ' ORDER BY id COLLATE \"C\") FROM orders"
                 " WHERE state = 'placed'",
                 "payment",
                 "SELECT string_agg(order_id, ' ' ORDER BY order_id COLLATE \"C\") FROM payments"
                 " WHERE state = 'paid'");
    verdict_is(kit, "what is paid is what left the accounts", "payment",
               "SELECT (SELECT sum(amount) FROM payments WHERE state = 'paid')"
               " = (SELECT sum(" BALANCE " - balance) FROM accounts)",
               "t");
    verdict_is(kit, "the walker saw the stock go and come back, once", "inventory",
               "SELECT string_agg(stock::text, ' ' ORDER BY step) FROM walk", "3 2 3 3");
    free(stock);
}

static void fill(struct kit *kit)
{
    char *count = number_text(kit->options.shoppers);
    char *stock = number_text(items);
    PGconn *inventory = database_connect(kit, "inventory");
    PGconn *payment = database_connect(kit, "payment");
    for (int way = 0; way < WAY_COUNT; way++) {
        database_run(kit, inventory, "INSERT INTO products VALUES ($1, $2)", 2,
                     (const char *const[]){ways[way].product, stock});
    }
    database_run(kit, inventory, "INSERT INTO products VALUES ('vase', 3)", 0, NULL);
    database_run(kit, payment,
                 "INSERT INTO accounts SELECT 'c-' || n, " BALANCE
                 " FROM generate_series(0, $1::bigint - 1) AS n",
                 1, (const char *const[]){count});
    PQfinish(inventory);
    PQfinish(payment);
    free(stock);
    free(count);
}

static void run(struct kit *kit)
{
    json_t *figures = json_array();
    fill(kit);
    kit_title(kit, "The rush, in three ways");
    for (int way = 0; way < WAY_COUNT; way++) {
        rush(kit, (enum way)way, figures);
    }
    json_object_set_new(kit->summary, "items", json_integer((json_int_t)items));
    json_object_set_new(kit->summary, "ways", figures);
    walk(kit);
    judge(kit);
}

int main(int argc, char **argv)
{
    static const struct scenario_option options[] = {
        {"items", "How many there are to be sold (100)", 1, 100000, &items},
    };
    static const struct scenario scenario = {
        .name = "reservation",
        .what =
            "100 items, 1,000 shoppers, three databases: never oversold, in three ways; then look, "
            "order, cancel, look again.",
        .schemas = scenario_schemas,
        .schema_count = sizeof scenario_schemas / sizeof *scenario_schemas,
        .shoppers = 1000,
        .seconds = 600,
        .options = options,
        .option_count = sizeof options / sizeof *options,
        .run = run,
    };
    return kit_main(&scenario, argc, argv);
}
