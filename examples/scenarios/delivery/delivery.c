/*
 * delivery.c - lunch hour: orders with payment and the restaurant's approval, as many a second as the machine allows, while menus
 * change: story.md.
 *
 * An order is one transaction over three databases, and so is a change of a menu, over the restaurant's and the order service's copy of
 * it. Orders read both menus with FOR SHARE, so that either sees the same price in both, whatever happens at the same time.
 */
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "examples/scenarios/delivery/schemas.h"
#include "examples/scenarios/kit/kit.h"

#define TRANSACTION_MS 30000
#define CHANGE_MS      500 /* a change that waits for an order which waits for it gives way after this */
#define LOOK_MS        10
#define RESTAURANTS    50
#define ITEMS          20 /* of each menu */
#define LINES_MAX      4
#define CLOSED_OF      20 /* every so manieth restaurant is closed */
#define POOR_OF        25 /* every so manieth customer has no money */
#define CHANGE_EVERY   20 /* a change of a menu for so many orders */
#define LOOKS_MAX      1000
#define BALANCE        "100000.00"
#define DAY_ORDERS     9200000

enum outcome { PLACED, CLOSED, REFUSED, OTHERWISE, PRICE_CHANGED };

static const char *const outcomes[] = {
    [PLACED] = "placed", [CLOSED] = "closed", [REFUSED] = "payment refused", [OTHERWISE] = "other"};
static const char *const counters[] = {"placed",    "closed",       "refused",
                                       "otherwise", "looked again", NULL};

/* Ten times the average of 9.2 million orders a day. */
static uint64_t rate = 1065;

struct told {
    enum outcome outcome;
    uint32_t restaurant;
    uint64_t took_us, looked_again;
};

struct lunch {
    uint64_t begin_us;
    struct told *told; /* of each order */
    sem_t changes_due;
    /* The page with the menus, as the order service shows it. */
    pthread_rwlock_t page_lock;
    int64_t cents[RESTAURANTS * ITEMS];
};

/* The outside reader of both menus. */
struct both_menus {
    uint64_t looks, looks_different, since_us, longest_us;
};

/* One customer's order. */
struct basket {
    char *id, *customer, *restaurant, *items; /* "{17,18}" */
    uint64_t number;
    uint32_t first, line_count;
};

/* ---- the page */

static bool load_page(struct kit *kit, struct lunch *lunch)
{
    char *why = NULL;
    PGconn *connection = database_thread(kit, "order", &why);
    free(why);
    PGresult *rows =
        connection != NULL
            ? PQexec(connection, "SELECT (price * 100)::bigint FROM menu ORDER BY item")
            : NULL;
    const bool is_had =
        PQresultStatus(rows) == PGRES_TUPLES_OK && PQntuples(rows) == RESTAURANTS * ITEMS;
    if (is_had) {
        pthread_rwlock_wrlock(&lunch->page_lock);
        for (int i = 0; i < RESTAURANTS * ITEMS; i++) {
            lunch->cents[i] = strtoll(PQgetvalue(rows, i, 0), NULL, 10);
        }
        pthread_rwlock_unlock(&lunch->page_lock);
    }
    PQclear(rows);
    return is_had;
}

static void open_page(struct kit *kit, struct lunch *lunch)
{
    for (unsigned int attempt = 0; !load_page(kit, lunch); attempt++) {
        kit_pause(kit, attempt, 0, "no menus to show");
    }
}

/* The items of a basket: neighbours on one menu. */
static uint32_t basket_item(const struct basket *basket, uint32_t line)
{
    const uint32_t menu = basket->first / ITEMS;
    return menu * ITEMS + (basket->first + line) % ITEMS;
}

/* What the page says that it costs. Returns owned. */
static char *basket_amount(struct lunch *lunch, const struct basket *basket)
{
    int64_t cents = 0;
    pthread_rwlock_rdlock(&lunch->page_lock);
    for (uint32_t i = 0; i < basket->line_count; i++) {
        cents += lunch->cents[basket_item(basket, i)];
    }
    pthread_rwlock_unlock(&lunch->page_lock);
    return kit_text("%" PRId64 ".%02" PRId64, cents / 100, cents % 100);
}

/* ---- an order */

static char *order_name(const struct kit *kit, uint64_t number)
{
    return kit_text("%s-%07" PRIu64, kit->run, number);
}

static void basket_init(const struct kit *kit, uint64_t number, struct basket *ret_basket)
{
    struct basket basket = {.number = number, .id = order_name(kit, number)};
    basket.first = (uint32_t)random_below(kit, 1, number, RESTAURANTS * ITEMS);
    basket.line_count = (uint32_t)(1 + random_below(kit, 2, number, LINES_MAX));
    basket.customer = kit_text("c-%" PRIu64, number);
    basket.restaurant = kit_text("%" PRIu32, basket.first / ITEMS);
    basket.items = kit_text("{%" PRIu32, basket_item(&basket, 0));
    for (uint32_t i = 1; i < basket.line_count; i++) {
        char *longer = kit_text("%s,%" PRIu32, basket.items, basket_item(&basket, i));
        free(basket.items);
        basket.items = longer;
    }
    char *whole = kit_text("%s}", basket.items);
    free(basket.items);
    basket.items = whole;
    *ret_basket = basket;
}

static void basket_done(struct basket *basket)
{
    free(basket->id);
    free(basket->customer);
    free(basket->restaurant);
    free(basket->items);
}

/* Lines get their price from the menu at hand; the order is accepted if they cost what the customer saw. */
static struct assent_request *order_request(const struct basket *basket, const char *amount)
{
    struct assent_request *request = assent_request_new();
    assent_request_set_key(request, basket->id);
    assent_request_set_timeout_ms(request, TRANSACTION_MS);
    assent_request_add(request, "order",
                       "INSERT INTO delivery.order_lines SELECT $1, item, price FROM delivery.menu"
                       " WHERE item = ANY ($2::integer[]) FOR SHARE",
                       ASSENT_PARAMS(basket->id, basket->items), basket->line_count);
    assent_request_add(request, "order",
                       "INSERT INTO delivery.orders SELECT $1, $2, $3::integer, $4::numeric WHERE"
                       " $4::numeric = (SELECT sum(price) FROM delivery.order_lines"
                       " WHERE order_id = $1)",
                       ASSENT_PARAMS(basket->id, basket->customer, basket->restaurant, amount), 1);
    assent_request_add(request, "payment",
                       "UPDATE delivery.accounts SET balance = balance - $2"
                       " WHERE id = $1 AND balance >= $2",
                       ASSENT_PARAMS(basket->customer, amount), 1);
    assent_request_add(request, "payment", "INSERT INTO delivery.payments VALUES ($1, $2, $3)",
                       ASSENT_PARAMS(basket->id, basket->customer, amount), 1);
    assent_request_add(request, "restaurant",
                       "INSERT INTO delivery.tickets SELECT $1, id FROM delivery.restaurants"
                       " WHERE id = $2 AND is_open",
                       ASSENT_PARAMS(basket->id, basket->restaurant), 1);
    assent_request_add(request, "restaurant",
                       "INSERT INTO delivery.ticket_lines SELECT $1, item, price"
                       " FROM delivery.menu WHERE item = ANY ($2::integer[]) FOR SHARE",
                       ASSENT_PARAMS(basket->id, basket->items), basket->line_count);
    return request;
}

static enum outcome judge_answer(const struct assent_answer *answer)
{
    const char *participant = assent_answer_participant(answer);
    if (assent_answer_outcome(answer) == ASSENT_COMMITTED) {
        return PLACED;
    }
    if (strcmp(assent_answer_reason(answer), "row_count") != 0) {
        return OTHERWISE;
    }
    if (strcmp(participant, "order") == 0) {
        return PRICE_CHANGED;
    }
    return strcmp(participant, "restaurant") == 0 ? CLOSED : REFUSED;
}

static enum outcome order_once(struct kit *kit, struct lunch *lunch, const struct basket *basket)
{
    char *amount = basket_amount(lunch, basket);
    struct assent_request *request = order_request(basket, amount);
    struct assent_answer *answer = submit_until_final(kit, request);
    const enum outcome outcome = judge_answer(answer);
    assent_answer_free(answer);
    assent_request_free(request);
    free(amount);
    return outcome;
}

static void act_order(struct kit *kit, uint64_t index, void *context)
{
    struct lunch *lunch = context;
    struct basket basket;
    struct told told = {.outcome = PRICE_CHANGED};
    crowd_await_turn(lunch->begin_us, index, rate);
    if (index % CHANGE_EVERY == 0) {
        sem_post(&lunch->changes_due);
    }
    basket_init(kit, index, &basket);
    const uint64_t begin_us = kit_now_us();
    /* Who looks again does so because a menu has changed since. */
    for (uint64_t i = 0; told.outcome == PRICE_CHANGED && i < LOOKS_MAX; i++) {
        told.outcome = order_once(kit, lunch, &basket);
        if (told.outcome == PRICE_CHANGED) {
            progress_count(kit, PRICE_CHANGED);
            told.looked_again++;
            (void)load_page(kit, lunch); /* if that fails the next look finds out */
        }
    }
    told.outcome = told.outcome == PRICE_CHANGED ? OTHERWISE : told.outcome;
    told.restaurant = basket.first / ITEMS;
    told.took_us = kit_now_us() - begin_us;
    lunch->told[index] = told;
    progress_count(kit, (size_t)told.outcome);
    progress_done(kit);
    basket_done(&basket);
}

/* ---- a change of a menu */

static void act_change(struct kit *kit, uint64_t index, void *context)
{
    struct lunch *lunch = context;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)kit->options.seconds;
    if (sem_timedwait(&lunch->changes_due, &until) != 0) {
        kit_give_up(kit, EX_UNAVAILABLE, NULL, "the customers do not get anywhere");
    }
    char *key = kit_text("%s-menu-%" PRIu64, kit->run, index);
    char *item = kit_text("%" PRIu64, random_below(kit, 3, index, RESTAURANTS * ITEMS));
    char *price = kit_text("%" PRIu64 ".50", 3 + random_below(kit, 4, index, 20));
    static const char change[] =
        "UPDATE delivery.menu SET price = $2, version = version + 1 WHERE item = $1";
    struct assent_request *request = assent_request_new();
    assent_request_set_key(request, key);
    assent_request_set_timeout_ms(request, CHANGE_MS);
    assent_request_add(request, "restaurant", change, ASSENT_PARAMS(item, price), 1);
    assent_request_add(request, "order", change, ASSENT_PARAMS(item, price), 1);
    assent_answer_free(submit_until_final(kit, request));
    assent_request_free(request);
    free(price);
    free(item);
    free(key);
}

static void see_menus(void *context, PGresult *const *answers, uint64_t now_us)
{
    struct both_menus *menus = context;
    const bool is_same = strcmp(PQgetvalue(answers[0], 0, 0), PQgetvalue(answers[1], 0, 0)) == 0;
    const uint64_t lasted_us = menus->since_us != 0 ? now_us - menus->since_us : 0;
    menus->longest_us = lasted_us > menus->longest_us ? lasted_us : menus->longest_us;
    menus->looks++;
    if (is_same) {
        menus->since_us = 0;
        return;
    }
    menus->looks_different++;
    menus->since_us = menus->since_us != 0 ? menus->since_us : now_us;
}

/* ---- lunch */

static void fill(struct kit *kit)
{
    char *restaurants = kit_text(
        "INSERT INTO restaurants SELECT n, n %% %1$d <> %1$d - 1 FROM generate_series(0, %2$d - 1)"
        " AS n",
        CLOSED_OF, RESTAURANTS);
    char *menu = kit_text("INSERT INTO menu SELECT n, n / %1$d, 5 + n %% 17"
                          " FROM generate_series(0, %1$d * %2$d - 1) AS n",
                          ITEMS, RESTAURANTS);
    char *accounts =
        kit_text("INSERT INTO accounts SELECT 'c-' || n, CASE WHEN n %% %1$d = %1$d - 1"
                 " THEN 0 ELSE " BALANCE " END"
                 " FROM generate_series(0, %2$" PRIu64 " - 1) AS n",
                 POOR_OF, kit->options.shoppers);
    PGconn *order = database_connect(kit, "order");
    PGconn *payment = database_connect(kit, "payment");
    PGconn *restaurant = database_connect(kit, "restaurant");
    database_run(kit, restaurant, restaurants, 0, NULL);
    database_run(kit, restaurant, menu, 0, NULL);
    database_run(kit, order, menu, 0, NULL);
    database_run(kit, payment, accounts, 0, NULL);
    PQfinish(restaurant);
    PQfinish(payment);
    PQfinish(order);
    free(accounts);
    free(menu);
    free(restaurants);
}

static void write_notes(struct kit *kit, const struct lunch *lunch, const struct both_menus *menus,
                        uint64_t took_us)
{
    char *lines = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&lines, &size_bytes);
    if (out == NULL) {
        abort();
    }
    for (uint64_t i = 0; i < kit->options.shoppers; i++) {
        const struct told *told = &lunch->told[i];
        char *name = order_name(kit, i);
        fprintf(out, "%s\t%" PRIu32 "\t%s\t%" PRIu64 "\t%" PRIu64 "\n", name, told->restaurant,
                outcomes[told->outcome], told->took_us, told->looked_again);
        free(name);
    }
    fclose(out);
    database_copy(kit, "order", "told", lines);
    free(lines);
    char *line = kit_text("%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", took_us,
                          menus->looks, menus->looks_different, menus->longest_us);
    database_copy(kit, "order", "lunch", line);
    free(line);
}

static void serve(struct kit *kit)
{
    const uint64_t count = kit->options.shoppers;
    const uint64_t changes = (count + CHANGE_EVERY - 1) / CHANGE_EVERY;
    static const char look[] = "SELECT sum(version) || ' ' || sum(price * item) FROM menu";
    static const struct reader_question questions[] = {{"restaurant", look}, {"order", look}};
    struct both_menus menus = {0};
    struct lunch *lunch = calloc(1, sizeof *lunch);
    if (lunch == NULL || sem_init(&lunch->changes_due, 0, 0) != 0 ||
        pthread_rwlock_init(&lunch->page_lock, NULL) != 0) {
        abort();
    }
    lunch->told = calloc(count, sizeof *lunch->told);
    if (lunch->told == NULL) {
        abort();
    }
    open_page(kit, lunch);
    struct reader *reader = reader_start(kit, questions, 2, LOOK_MS, see_menus, &menus);
    struct crowd *kitchen = crowd_start(kit, changes, 1, act_change, lunch);
    progress_stage(kit, "lunch hour", count, counters);
    lunch->begin_us = kit_now_us();
    crowd_run(kit, count, act_order, lunch);
    const uint64_t took_us = kit_now_us() - lunch->begin_us;
    crowd_wait(kitchen);
    progress_end(kit);
    reader_stop(reader);
    write_notes(kit, lunch, &menus, took_us);
    sem_destroy(&lunch->changes_due);
    pthread_rwlock_destroy(&lunch->page_lock);
    free(lunch->told);
    free(lunch);
}

/* ---- what came of it */

static void tell(struct kit *kit)
{
    char *sql = kit_text(
        "SELECT row_to_json(f) FROM (SELECT"
        " count(*) FILTER (WHERE outcome = 'placed') AS placed,"
        " count(*) FILTER (WHERE outcome = 'closed') AS closed,"
        " count(*) FILTER (WHERE outcome = 'payment refused') AS payment_refused,"
        " sum(told.looked_again) AS looked_again, round(max(lunch.took_us) / 1e6, 2) AS seconds,"
        " round(count(*) FILTER (WHERE outcome = 'placed') * 1e6 / max(lunch.took_us), 1)"
        " AS orders_per_second,"
        " round(count(*) FILTER (WHERE outcome = 'placed') * 1e6 / max(lunch.took_us) * 86400"
        " / %1$d, 2) AS times_the_average,"
        " round(percentile_cont(0.5) WITHIN GROUP (ORDER BY told.took_us)::numeric / 1000, 1)"
        " AS p50_ms,"
        " round(percentile_cont(0.99) WITHIN GROUP (ORDER BY told.took_us)::numeric / 1000, 1)"
        " AS p99_ms, max(looks) AS looks, max(looks_different) AS looks_different,"
        " round(max(longest_us) / 1000.0, 1) AS different_max_ms FROM told, lunch) AS f",
        DAY_ORDERS);
    char *text = database_value(kit, "order", sql);
    json_t *figures = json_loads(text, 0, NULL);
    if (figures == NULL) {
        kit_give_up(kit, EX_SOFTWARE, NULL, "the figures are not JSON: %s", text);
    }
    json_object_set_new(figures, "rate_wanted", json_integer((json_int_t)rate));
    const double per_second = json_number_value(json_object_get(figures, "orders_per_second"));
    kit_title(kit, "Lunch hour");
    kit_say(kit, "%.1f orders a second: %.2f times the average of 9.2 million a day", per_second,
            json_number_value(json_object_get(figures, "times_the_average")));
    kit_say(kit, "p50 %.1f ms, p99 %.1f ms", json_number_value(json_object_get(figures, "p50_ms")),
            json_number_value(json_object_get(figures, "p99_ms")));
    kit_say(kit,
            "%lld of %lld plain looks at both menus saw one of them changed before the other, at "
            "the longest for %.1f ms",
            (long long)json_integer_value(json_object_get(figures, "looks_different")),
            (long long)json_integer_value(json_object_get(figures, "looks")),
            json_number_value(json_object_get(figures, "different_max_ms")));
    json_object_set_new(kit->summary, "figures", figures);
    free(text);
    free(sql);
}

static void judge(struct kit *kit)
{
    static const char order_lines[] =
        "SELECT count(*), sum(price), md5(string_agg(order_id || item || price, ' '"
        " ORDER BY order_id COLLATE \"C\", item)) FROM order_lines";
    static const char ticket_lines[] =
        "SELECT count(*), sum(price), md5(string_agg(order_id || item || price, ' '"
        " ORDER BY order_id COLLATE \"C\", item)) FROM ticket_lines";
    static const char menu[] =
        "SELECT sum(version), md5(string_agg(item || ' ' || price, ' ' ORDER BY item)) FROM menu";
    char *all = kit_text("%" PRIu64, kit->options.shoppers);
    char *changes = kit_text("%" PRIu64, (kit->options.shoppers + CHANGE_EVERY - 1) / CHANGE_EVERY);
    char *refused = kit_text("SELECT count(*) FROM told WHERE"
                             " (outcome = 'closed' AND restaurant %% %1$d <> %1$d - 1) OR"
                             " (outcome = 'payment refused' AND"
                             " substring(order_id FROM '[0-9]+$')::bigint %% %2$d <> %2$d - 1)",
                             CLOSED_OF, POOR_OF);
    kit_title(kit, "Verdict");
    verdict_settled(kit);
    verdict_same(kit, "what is ordered is what is paid: no order failed whose payment was taken",
                 "order",
                 "SELECT count(*), md5(string_agg(id || ' ' || amount, ' '"
                 " ORDER BY id COLLATE \"C\")) FROM orders",
                 "payment",
                 "SELECT count(*), md5(string_agg(order_id || ' ' || amount, ' '"
                 " ORDER BY order_id COLLATE \"C\")) FROM payments");
    verdict_same(kit, "what is ordered is what the kitchens have approved", "order",
                 "SELECT count(*), md5(string_agg(id, ' ' ORDER BY id COLLATE \"C\")) FROM orders",
                 "restaurant",
                 "SELECT count(*), md5(string_agg(order_id, ' ' ORDER BY order_id COLLATE \"C\"))"
                 " FROM tickets");
    verdict_same(kit, "line for line, at the same prices: no order saw two different menus",
                 "order", order_lines, "restaurant", ticket_lines);
    verdict_is(kit, "every customer was told, and what they were told is so", "order",
               "SELECT count(*) FROM told LEFT JOIN orders ON id = order_id"
               " WHERE outcome <> 'other' AND (outcome = 'placed') = (id IS NOT NULL)",
               all);
    /* Else a service that refuses everybody would be as consistent as can be. */
    verdict_is(kit, "nobody was refused whose kitchen is open and who has money", "order", refused,
               "0");
    verdict_is(kit, "nobody paid anything but what their lines cost", "order",
               "SELECT count(*) FROM orders WHERE amount IS DISTINCT FROM"
               " (SELECT sum(price) FROM order_lines WHERE order_id = id)",
               "0");
    verdict_is(kit, "what was paid is what left the accounts", "payment",
               "SELECT (SELECT sum(amount) FROM payments) = (SELECT sum(" BALANCE " - balance)"
               " FROM accounts WHERE id IN (SELECT account FROM payments))",
               "t");
    verdict_is(kit, "no closed kitchen has a ticket", "restaurant",
               "SELECT count(*) FROM tickets JOIN restaurants ON restaurant = id WHERE NOT is_open",
               "0");
    verdict_is(kit, "every change of a menu was made once", "restaurant",
               "SELECT sum(version) FROM menu", changes);
    verdict_same(kit, "the order service's copy is the menu", "restaurant", menu, "order", menu);
    free(refused);
    free(changes);
    free(all);
}

static void run(struct kit *kit)
{
    fill(kit);
    serve(kit);
    tell(kit);
    judge(kit);
}

int main(int argc, char **argv)
{
    static const struct scenario_option options[] = {
        {"rate",
         "Orders a second that come in (1065, ten times the average of 9.2 million a day); 0: as "
         "many as can be",
         0, 1000000, &rate},
    };
    static const struct scenario scenario = {
        .name = "delivery",
        .what = "Lunch hour: order, payment and the restaurant's approval as one transaction, at "
                "ten times the average of 9.2 million orders a day where the machine allows, "
                "while menus change.",
        .schemas = scenario_schemas,
        .schema_count = sizeof scenario_schemas / sizeof *scenario_schemas,
        .shoppers = 10000,
        .at_once = 64,
        .seconds = 600,
        .options = options,
        .option_count = sizeof options / sizeof *options,
        .run = run,
    };
    return kit_main(&scenario, argc, argv);
}
