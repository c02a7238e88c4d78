/*
 * upgrade.c - the payment database is shut down and started again, and the coordinator with it, while shoppers keep buying: story.md.
 *
 * Shoppers come at a rate. Each makes a wish, which needs the order database only, then presses "buy" once; who is refused waits on a
 * list, and the press is made again, with the same key, when everything is back. A quarter of them comes before the shutdown, one
 * while it goes on, one while the database is away (in the middle of which the coordinator dies), and one after it.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/scenarios/kit/kit.h"
#include "examples/scenarios/upgrade/schemas.h"

#define KEY_RATE       0x700
#define TRANSACTION_MS 10000
#define PATIENT_MS     30000
#define AWAY_MS        10000 /* until the coordinator knows that the database is away */
#define REPAIRS        20    /* somebody else may be killing, too */
#define BALANCE        "1000.00"

#define QUARTERS     4
#define AWAY_QUARTER 2 /* comes while the database is away */

/* What is going on around a press; one after the other. */
enum moment { BEFORE, BETWEEN, AWAY, RESTART, BACK, MOMENT_COUNT };

static const char *const moments[] = {[BEFORE] = "before",
                                      [BETWEEN] = "between",
                                      [AWAY] = "away",
                                      [RESTART] = "restart",
                                      [BACK] = "back"};
static const char *const counters[] = {"bought", "told to wait", "nobody there", "otherwise", NULL};
enum { BOUGHT, TOLD_TO_WAIT, NOBODY_THERE, OTHERWISE };

static uint64_t rate = 100;

/* What the first press came to, and the last. */
struct press {
    enum moment moment;
    long status; /* 0: nobody answered */
    char *reason;
    bool may_retry;
    uint64_t took_us;
    long told_status;
    char *told_state;
};

struct shop {
    uint64_t count;
    pthread_mutex_t mutex; /* over the next four */
    pthread_cond_t changed;
    enum moment moment;
    uint64_t since_us[MOMENT_COUNT];
    uint64_t came[QUARTERS];
    struct press *presses;
    uint64_t *waiting; /* those who wait, in the order in which they came */
    atomic_uint_fast64_t waiting_count;
};

static char *cart_name(const struct kit *kit, uint64_t number)
{
    return kit_text("%s-%06" PRIu64, kit->run, number);
}

static uint64_t quarter_of(const struct shop *shop, uint64_t index)
{
    return index * QUARTERS / shop->count;
}

/* The first of a quarter; of QUARTERS: how many there are. */
static uint64_t quarter_first(const struct shop *shop, uint64_t quarter)
{
    return (quarter * shop->count + QUARTERS - 1) / QUARTERS;
}

static enum moment moment_now(struct shop *shop)
{
    pthread_mutex_lock(&shop->mutex);
    const enum moment moment = shop->moment;
    pthread_mutex_unlock(&shop->mutex);
    return moment;
}

static void moment_set(struct shop *shop, enum moment moment)
{
    pthread_mutex_lock(&shop->mutex);
    shop->moment = moment;
    shop->since_us[moment] = kit_now_us();
    pthread_cond_broadcast(&shop->changed);
    pthread_mutex_unlock(&shop->mutex);
}

/* Shoppers come at a rate, the third quarter not before the database is away, the last one when all is back. These moments come
 * whatever shoppers do, or the run's time is up (progress.c). */
static void await_turn(struct shop *shop, uint64_t index)
{
    static const enum moment gates[QUARTERS] = {BEFORE, BEFORE, AWAY, BACK};
    const uint64_t quarter = quarter_of(shop, index);
    const enum moment gate = gates[quarter];
    pthread_mutex_lock(&shop->mutex);
    while (shop->moment < gate) {
        pthread_cond_wait(&shop->changed, &shop->mutex);
    }
    const uint64_t since_us = shop->since_us[gate];
    pthread_mutex_unlock(&shop->mutex);
    const uint64_t first = gate == BEFORE ? 0 : quarter_first(shop, quarter);
    crowd_await_turn(since_us, index - first, rate);
}

static void note_came(struct shop *shop, uint64_t index)
{
    pthread_mutex_lock(&shop->mutex);
    shop->came[quarter_of(shop, index)]++;
    pthread_cond_broadcast(&shop->changed);
    pthread_mutex_unlock(&shop->mutex);
}

/* How many are one of so many parts of the quarter. */
static uint64_t part_of(const struct shop *shop, uint64_t quarter, uint64_t parts)
{
    return (quarter_first(shop, quarter + 1) - quarter_first(shop, quarter)) / parts;
}

/* Until one of so many parts of the quarter has come. */
static void await_part(struct shop *shop, uint64_t quarter, uint64_t parts)
{
    const uint64_t count = part_of(shop, quarter, parts);
    pthread_mutex_lock(&shop->mutex);
    while (shop->came[quarter] < count) {
        pthread_cond_wait(&shop->changed, &shop->mutex);
    }
    pthread_mutex_unlock(&shop->mutex);
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

/* The same text whenever it is made. Returns owned. */
static char *checkout_body(const struct kit *kit, const char *cart, uint64_t number)
{
    const uint64_t cents = 100 + random_below(kit, 1, number, 9900);
    char *amount = kit_text("%" PRIu64 ".%02" PRIu64, cents / 100, cents % 100);
    char *customer = kit_text("c-%" PRIu64, number);
    char *text = dump(json_pack(
        "{s:i, s:[{s:s, s:[{s:s, s:[sss]}]}, {s:s, s:[{s:s, s:[ss], s:i}, {s:s, s:[sss]}]}]}",
        "timeout_ms", TRANSACTION_MS, "branches",
        /* the order */
        "participant", "order", "statements", "sql",
        "INSERT INTO upgrade.orders (cart, customer, amount) VALUES ($1, $2, $3)", "params", cart,
        customer, amount,
        /* its payment */
        "participant", "payment", "statements", "sql",
        "UPDATE upgrade.accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2",
        "params", customer, amount, "expect_rows", 1, "sql",
        "INSERT INTO upgrade.payments VALUES ($1, $2, $3)", "params", cart, customer, amount));
    free(customer);
    free(amount);
    return text;
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

static void note_told(struct press *press, const struct http_answer *answer)
{
    press->told_status = answer->status;
    press->told_state = answer_member(answer, "state");
}

/* One shopper: a wish, and one press. */
static void act_shop(struct kit *kit, uint64_t index, void *context)
{
    struct shop *shop = context;
    struct press *press = &shop->presses[index];
    struct http_answer answer;
    char *cart = cart_name(kit, index);
    char *body = checkout_body(kit, cart, index);
    await_turn(shop, index);
    make_wish(kit, cart);
    const enum moment begun = moment_now(shop);
    const uint64_t begin_us = kit_now_us();
    http_call(kit, "/v1/transactions", cart, body, PATIENT_MS, &answer);
    press->took_us = kit_now_us() - begin_us;
    press->moment = begun == moment_now(shop) ? begun : BETWEEN;
    press->status = answer.status;
    press->reason = answer_member(&answer, "reason");
    press->may_retry = answer.retry_after_ms > 0;
    if (http_is_final(&answer)) {
        note_told(press, &answer);
        progress_count(kit, answer.status == 200 ? BOUGHT : OTHERWISE);
    } else {
        shop->waiting[atomic_fetch_add(&shop->waiting_count, 1)] = index;
        progress_count(kit, answer.fate == HTTP_ANSWERED ? TOLD_TO_WAIT : NOBODY_THERE);
    }
    progress_done(kit);
    note_came(shop, index);
    http_answer_done(&answer);
    free(body);
    free(cart);
}

/* One of those who wait: the same press with the same key, until it is known what came of it. */
static void act_again(struct kit *kit, uint64_t index, void *context)
{
    struct shop *shop = context;
    const uint64_t number = shop->waiting[index];
    struct http_answer answer;
    uint64_t attempts = 0;
    char *cart = cart_name(kit, number);
    char *body = checkout_body(kit, cart, number);
    http_submit(kit, cart, body, PATIENT_MS, &answer, &attempts);
    note_told(&shop->presses[number], &answer);
    progress_count(kit, answer.status == 200 ? BOUGHT : OTHERWISE);
    progress_done(kit);
    http_answer_done(&answer);
    free(body);
    free(cart);
}

/* Does the coordinator send work to the payment database? */
static bool is_payment_ready(const struct kit *kit)
{
    struct http_answer answer;
    size_t index = 0;
    json_t *participant = NULL;
    bool is_ready = false;
    http_call(kit, "/v1/participants", NULL, NULL, PATIENT_MS, &answer);
    json_t *body = answer.status == 200 ? json_loads(answer.body, 0, NULL) : NULL;
    json_array_foreach(json_object_get(body, "participants"), index, participant)
    {
        const char *name = json_string_value(json_object_get(participant, "name"));
        is_ready = is_ready || (name != NULL && strcmp(name, "payment") == 0 &&
                                json_is_true(json_object_get(participant, "ready")));
    }
    json_decref(body);
    http_answer_done(&answer);
    return is_ready;
}

/* The upgrade, while shoppers come. Returns how long it took. */
static uint64_t upgrade(struct kit *kit, struct shop *shop)
{
    await_part(shop, 0, 1);
    const uint64_t begin_ms = kit_now_ms();
    moment_set(shop, BETWEEN);
    (void)demo_end(kit, "postgres", "payment", SIGINT); /* a fast shutdown */
    for (unsigned int i = 0; is_payment_ready(kit) && kit_now_ms() < begin_ms + AWAY_MS; i++) {
        kit_pause(kit, i, 0, "assentd does not find out that the payment database is away");
    }
    moment_set(shop, AWAY);
    await_part(shop, AWAY_QUARTER, 2);
    moment_set(shop, RESTART);
    (void)demo_end(kit, "assentd", NULL, SIGKILL);
    demo_up(kit, REPAIRS);
    moment_set(shop, BACK);
    return kit_now_ms() - begin_ms;
}

static struct shop *shop_open(struct kit *kit)
{
    const uint64_t count = kit->options.shoppers;
    struct shop *shop = calloc(1, sizeof *shop);
    if (shop == NULL) {
        abort();
    }
    shop->count = count;
    pthread_mutex_init(&shop->mutex, NULL);
    pthread_cond_init(&shop->changed, NULL);
    shop->presses = calloc(count, sizeof *shop->presses);
    shop->waiting = calloc(count, sizeof *shop->waiting);
    if (shop->presses == NULL || shop->waiting == NULL) {
        abort();
    }
    char *accounts = kit_text("INSERT INTO accounts SELECT 'c-' || n, " BALANCE
                              " FROM generate_series(0, %" PRIu64 " - 1) AS n;"
                              "INSERT INTO shop VALUES (now())",
                              count);
    PGconn *connection = database_connect(kit, "payment");
    database_run(kit, connection, accounts, 0, NULL);
    PQfinish(connection);
    free(accounts);
    return shop;
}

/* Everybody's answers become rows of the outside reader's notes. Takes shop. */
static void shop_close(struct kit *kit, struct shop *shop)
{
    char *answers = NULL;
    char *told = NULL;
    size_t answers_bytes = 0;
    size_t told_bytes = 0;
    FILE *first = open_memstream(&answers, &answers_bytes);
    FILE *last = open_memstream(&told, &told_bytes);
    if (first == NULL || last == NULL) {
        abort();
    }
    for (uint64_t i = 0; i < kit->options.shoppers; i++) {
        struct press *press = &shop->presses[i];
        char *cart = cart_name(kit, i);
        fprintf(first, "%s\t%s\t%ld\t%s\t%d\t%" PRIu64 "\n", cart, moments[press->moment],
                press->status, press->reason, press->may_retry, press->took_us);
        fprintf(last, "%s\t%ld\t%s\n", cart, press->told_status, press->told_state);
        free(press->told_state);
        free(press->reason);
        free(cart);
    }
    fclose(first);
    fclose(last);
    database_copy(kit, "order", "answers", answers);
    database_copy(kit, "order", "told", told);
    free(told);
    free(answers);
    pthread_cond_destroy(&shop->changed);
    pthread_mutex_destroy(&shop->mutex);
    free(shop->waiting);
    free(shop->presses);
    free(shop);
}

static void tell(struct kit *kit, uint64_t away_ms)
{
    char *text = database_value(
        kit, "order",
        "SELECT row_to_json(f) FROM (SELECT count(*) AS shoppers,"
        " count(*) FILTER (WHERE status = 200) AS bought_at_once,"
        " count(*) FILTER (WHERE moment = 'away') AS came_while_away,"
        " count(*) FILTER (WHERE moment = 'away' AND status = 503) AS told_to_wait,"
        " count(*) FILTER (WHERE status = 0) AS found_nobody,"
        " round((percentile_cont(0.5) WITHIN GROUP (ORDER BY took_us)"
        " FILTER (WHERE moment = 'away' AND status = 503))::numeric / 1000, 1) AS told_p50_ms,"
        " round(max(took_us) FILTER (WHERE moment = 'away' AND status = 503) / 1000.0, 1)"
        " AS told_max_ms FROM answers) AS f");
    json_t *figures = json_loads(text, 0, NULL);
    if (figures == NULL) {
        kit_give_up(kit, EX_SOFTWARE, NULL, "the figures are not JSON: %s", text);
    }
    json_object_set_new(figures, "away_ms", json_integer((json_int_t)away_ms));
    kit_title(kit, "The upgrade");
    kit_say(kit, "the payment database was away for %.1f s, and assentd was killed meanwhile",
            (double)away_ms / 1000);
    kit_say(kit, "%lld shoppers came while it was away, %lld were told to wait: p50 %.1f ms",
            (long long)json_integer_value(json_object_get(figures, "came_while_away")),
            (long long)json_integer_value(json_object_get(figures, "told_to_wait")),
            json_number_value(json_object_get(figures, "told_p50_ms")));
    json_object_set_new(kit->summary, "figures", figures);
    free(text);
}

static void judge(struct kit *kit, uint64_t away_count)
{
    char *each = kit_text("%1$" PRIu64 " %1$" PRIu64, kit->options.shoppers);
    char *came =
        kit_text("SELECT count(*) >= %" PRIu64 " FROM answers WHERE moment = 'away'", away_count);
    kit_title(kit, "Verdict");
    verdict_settled(kit);
    verdict_is(kit, "the payment database was restarted after the shop was opened", "payment",
               "SELECT pg_postmaster_start_time() > (SELECT opened FROM shop)", "t");
    verdict_is(kit, "one order of each cart: none lost, none twice", "order",
               "SELECT count(*), count(DISTINCT cart) FROM orders", each);
    verdict_is(kit, "one payment of each cart", "payment",
               "SELECT count(*), count(DISTINCT cart) FROM payments", each);
    verdict_same(kit, "what was ordered is what was paid", "order",
                 "SELECT string_agg(cart || ' ' || amount, ', ' ORDER BY cart COLLATE \"C\")"
                 " FROM orders",
                 "payment",
                 "SELECT string_agg(cart || ' ' || amount, ', ' ORDER BY cart COLLATE \"C\")"
                 " FROM payments");
    verdict_is(kit, "what was paid is what left the accounts", "payment",
               "SELECT (SELECT sum(amount) FROM payments)"
               " = (SELECT sum(" BALANCE " - balance) FROM accounts)",
               "t");
    verdict_is(kit, "shoppers came while it was away", "order", came, "t");
    verdict_is(kit, "whoever was not served meanwhile was told so within a second", "order",
               "SELECT count(*) FROM answers WHERE moment = 'away' AND status NOT IN (0, 200)"
               " AND NOT (status = 503 AND reason IN ('participant_unavailable', 'shutdown')"
               " AND may_retry AND took_us < 1000000)",
               "0");
    verdict_is(kit, "what does not need the payment database went on: one wish of each cart",
               "order", "SELECT count(*), count(DISTINCT cart) FROM wishes", each);
    verdict_is(kit, "in the end everybody was told that it is committed", "order",
               "SELECT count(*), count(*) FILTER (WHERE status = 200 AND state = 'committed')"
               " FROM told",
               each);
    free(came);
    free(each);
}

static void run(struct kit *kit)
{
    struct shop *shop = shop_open(kit);
    progress_stage(kit, "shoppers come, the payment database goes and comes back",
                   kit->options.shoppers, counters);
    moment_set(shop, BEFORE);
    struct crowd *crowd =
        crowd_start(kit, kit->options.shoppers, kit->options.at_once, act_shop, shop);
    const uint64_t away_ms = upgrade(kit, shop);
    crowd_wait(crowd);
    const uint64_t away_count = part_of(shop, AWAY_QUARTER, 2); /* before the restart */
    const uint64_t waiting = atomic_load(&shop->waiting_count);
    progress_stage(kit, "those who were told to wait", waiting, counters);
    crowd_run(kit, waiting, act_again, shop);
    progress_end(kit);
    shop_close(kit, shop);
    tell(kit, away_ms);
    judge(kit, away_count);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    if (key != KEY_RATE) {
        return ARGP_ERR_UNKNOWN;
    }
    rate = kit_number(state, "--rate", argument, 1, 100000);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"rate", KEY_RATE, "N", 0, "Shoppers who come in a second (100)", 2}, {0}};
    static const struct argp argp = {options, parse_option, NULL, NULL, NULL, NULL, NULL};
    static const struct scenario scenario = {
        .name = "upgrade",
        .what = "The payment database is shut down and restarted, and the coordinator with it, "
                "while shoppers keep buying: none lost, none twice.",
        .schemas = scenario_schemas,
        .schema_count = sizeof scenario_schemas / sizeof *scenario_schemas,
        .shoppers = 600,
        .seconds = 300,
        .argp = &argp,
        .run = run,
    };
    return kit_main(&scenario, argc, argv);
}
