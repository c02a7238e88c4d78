/*
 * saga.c - the same checkouts as transactions of Assent and as sagas, in turn, over the same databases: story.md.
 *
 * Shoppers, products, cards and the outside reader are the same for both; only who carries the checkout out differs. The last round of
 * each is the one in which the coordinating process dies in the middle, for equally long.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "examples/scenarios/saga/checkout.h"
#include "examples/scenarios/saga/lines.h"
#include "examples/scenarios/saga/schemas.h"

#define CREDIT     "1000000.00"
#define REPAIRS    20 /* somebody else may be killing, too */
#define EXPIRED_OF 3  /* every so manieth card */

enum design { BY_ASSENT, BY_SAGA, DESIGN_COUNT };

static const char *const designs[] = {[BY_ASSENT] = "assent", [BY_SAGA] = "saga"};
static const char *const outcomes[] = {[PLACED] = "placed",
                                       [SOLD_OUT] = "sold out",
                                       [REFUSED] = "card refused",
                                       [OTHERWISE] = "other"};
static const char *const counters[] = {"placed", "sold out", "card refused", "otherwise", NULL};

static uint64_t rounds = 3;
static uint64_t products = 10;
static uint64_t kills = 1;

struct round {
    enum design design;
    char *name;        /* "saga-1" */
    struct shop *shop; /* lent; NULL for Assent */
    uint64_t threads;
    pthread_barrier_t ready; /* all shoppers' threads, and the clock */
    sem_t finished;
    uint64_t down_ms; /* how long the coordinating process was away */
    struct told {
        enum outcome outcome;
        uint64_t began_us, took_us;
    } * told; /* of each shopper */
};

/* ---- the shoppers */

static char *cart_name(const struct kit *kit, const struct round *round, uint64_t number)
{
    return kit_text("%s-%s-%06" PRIu64, kit->run, round->name, number);
}

/* Neighbours want different things, and every third of those who want the same has an expired card. */
static bool is_card_good(uint64_t number)
{
    return (number / products) % EXPIRED_OF != EXPIRED_OF - 1;
}

/* Each thread has its connection before the clock starts: a service has its own at hand, and so has libassent. */
static void get_ready(struct kit *kit, struct round *round)
{
    char *why = NULL; /* what is not there now is connected when it is needed */
    if (round->shop != NULL) {
        (void)database_thread(kit, "order", &why);
    }
    free(why);
    (void)pthread_barrier_wait(&round->ready);
}

static void act_buy(struct kit *kit, uint64_t index, void *context)
{
    struct round *round = context;
    char *cart = cart_name(kit, round, index);
    char *product = kit_text("%s-%" PRIu64, round->name, index % products);
    char *card = kit_text("card-%" PRIu64, index);
    const struct checkout checkout = {
        .round = round->name, .cart = cart, .product = product, .card = card, .number = index};
    if (index < round->threads) { /* each thread has one of these, since it waits here */
        get_ready(kit, round);
    }
    const uint64_t begin_us = kit_now_us();
    const enum outcome outcome = round->design == BY_ASSENT ? assent_buy(kit, &checkout)
                                                            : shop_buy(kit, round->shop, &checkout);
    round->told[index] =
        (struct told){.outcome = outcome, .began_us = begin_us, .took_us = kit_now_us() - begin_us};
    progress_count(kit, (size_t)outcome);
    progress_done(kit);
    sem_post(&round->finished);
    free(card);
    free(product);
    free(cart);
}

/* The middle of the round: a third of the shoppers have their answer. */
static void await_middle(struct kit *kit, struct round *round)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)kit->options.seconds;
    for (uint64_t i = 0; i < kit->options.shoppers / 3; i++) {
        if (sem_timedwait(&round->finished, &until) != 0) {
            kit_give_up(kit, EX_UNAVAILABLE, NULL, "the shoppers do not get anywhere");
        }
    }
}

/* kill -9 of assentd, until the demo is repaired; the orchestrator dies for as long as that took. */
static void kill_coordinating(struct kit *kit, struct round *round, uint64_t down_ms)
{
    const uint64_t begin_ms = kit_now_ms();
    if (round->design == BY_ASSENT) {
        (void)demo_end(kit, "assentd", NULL, SIGKILL);
        demo_up(kit, REPAIRS);
    } else {
        shop_kill_orders(round->shop);
        poll(NULL, 0, (int)down_ms);
        shop_restart_orders(round->shop);
    }
    round->down_ms = kit_now_ms() - begin_ms;
}

/* ---- a round */

static void fill_round(struct kit *kit, const struct round *round)
{
    PGconn *inventory = database_connect(kit, "inventory");
    for (uint64_t product = 0; product < products; product++) {
        uint64_t good = 0;
        for (uint64_t i = product; i < kit->options.shoppers; i += products) {
            good += is_card_good(i) ? 1 : 0;
        }
        /* Fewer than those who could pay. */
        char *name = kit_text("%s-%" PRIu64, round->name, product);
        char *stock = kit_text("%" PRIu64, (good + 1) / 2);
        database_run(kit, inventory, "INSERT INTO products VALUES ($1, $2, $3, $3)", 3,
                     (const char *const[]){name, round->name, stock});
        free(stock);
        free(name);
    }
    PQfinish(inventory);
}

static void write_told(struct kit *kit, const struct round *round)
{
    char *lines = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&lines, &size_bytes);
    if (out == NULL) {
        abort();
    }
    for (uint64_t i = 0; i < kit->options.shoppers; i++) {
        const struct told *told = &round->told[i];
        char *cart = cart_name(kit, round, i);
        fprintf(out, "%s\t%s\t%s-%" PRIu64 "\t%s\t%" PRIu64 "\t%" PRIu64 "\n", cart, round->name,
                round->name, i % products, outcomes[told->outcome], told->began_us, told->took_us);
        free(cart);
    }
    fclose(out);
    database_copy(kit, "order", "told", lines);
    free(lines);
}

static void write_round(struct kit *kit, const struct round *round, uint64_t took_us,
                        uint64_t looks, uint64_t looks_half_done)
{
    char *line =
        kit_text("%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n",
                 round->name, designs[round->design], round->down_ms, kit->options.shoppers,
                 took_us, looks, looks_half_done);
    database_copy(kit, "order", "rounds", line);
    write_told(kit, round);
    free(line);
}

static struct round *round_open(struct kit *kit, enum design design, const char *number,
                                struct shop *shop)
{
    struct round *round = calloc(1, sizeof *round);
    if (round == NULL) {
        abort();
    }
    round->design = design;
    round->name = kit_text("%s-%s", designs[design], number);
    round->shop = design == BY_SAGA ? shop : NULL;
    round->threads =
        kit->options.shoppers < kit->options.at_once ? kit->options.shoppers : kit->options.at_once;
    round->told = calloc(kit->options.shoppers, sizeof *round->told);
    if (round->told == NULL || sem_init(&round->finished, 0, 0) != 0 ||
        pthread_barrier_init(&round->ready, NULL, (unsigned int)round->threads + 1) != 0) {
        abort();
    }
    fill_round(kit, round);
    return round;
}

static void round_close(struct round *round)
{
    pthread_barrier_destroy(&round->ready);
    sem_destroy(&round->finished);
    free(round->told);
    free(round->name);
    free(round);
}

/* down_ms: how long the orchestrator is to be away. Returns how long it, or assentd, was. */
static uint64_t play_round(struct kit *kit, enum design design, const char *number,
                           struct shop *shop, bool is_killed, uint64_t down_ms)
{
    struct round *round = round_open(kit, design, number, shop);
    uint64_t looks = 0;
    uint64_t looks_half_done = 0;
    if (round->shop != NULL) {
        shop_begin(round->shop);
    }
    struct outside *outside = outside_open(kit, round->name, kit->options.shoppers);
    progress_stage(kit, round->name, kit->options.shoppers, counters);
    progress_watch(kit, outside_tell, outside);
    struct crowd *crowd =
        crowd_start(kit, kit->options.shoppers, kit->options.at_once, act_buy, round);
    (void)pthread_barrier_wait(&round->ready);
    const uint64_t begin_us = kit_now_us();
    if (is_killed) {
        await_middle(kit, round);
        kill_coordinating(kit, round, down_ms);
    }
    crowd_wait(crowd);
    const uint64_t took_us = kit_now_us() - begin_us;
    progress_end(kit);
    outside_close(kit, outside, &looks, &looks_half_done);
    if (round->shop != NULL) {
        shop_end(round->shop);
    }
    write_round(kit, round, took_us, looks, looks_half_done);
    const uint64_t was_down_ms = round->down_ms;
    round_close(round);
    return was_down_ms;
}

static void open_cards(struct kit *kit)
{
    PGconn *payment = database_connect(kit, "payment");
    char *count = kit_text("%" PRIu64, kit->options.shoppers);
    char *kinds = kit_text("%" PRIu64, products);
    database_run(kit, payment,
                 "INSERT INTO cards SELECT 'card-' || n,"
                 " current_date + CASE WHEN n / $2::bigint % 3 = 2 THEN -1 ELSE 30 END, " CREDIT
                 " FROM generate_series(0, $1::bigint - 1) AS n",
                 2, (const char *const[]){count, kinds});
    free(kinds);
    free(count);
    PQfinish(payment);
}

/* ---- what came of it */

/* A shopper t was told that a thing is sold out, and one who came after that got one. */
#define TURNED_AWAY                                                                                \
    "t.outcome = 'sold out' AND EXISTS (SELECT FROM told AS later WHERE later.product = t.product" \
    " AND later.outcome = 'placed' AND later.began_us > t.began_us + t.took_us)"

/* One row for each design, with and without a kill: asked by SQL, as everything. */
static const char figures_sql[] =
    "WITH r AS (SELECT *, down_ms > 0 AS killed FROM rounds),"
    " s AS (SELECT design, killed, count(*) AS rounds, sum(shoppers) AS checkouts,"
    " round(sum(shoppers) * 1000000.0 / sum(took_us), 1) AS per_second, max(down_ms) AS down_ms,"
    " sum(looks) AS looks, sum(looks_half_done) AS looks_half_done FROM r GROUP BY 1, 2),"
    " t AS (SELECT design, killed, count(*) FILTER (WHERE outcome = 'placed') AS placed,"
    " count(*) FILTER (WHERE outcome = 'sold out') AS sold_out,"
    " count(*) FILTER (WHERE outcome = 'card refused') AS card_refused,"
    " count(*) FILTER (WHERE " TURNED_AWAY ") AS turned_away,"
    " round(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.took_us)::numeric / 1000, 1) AS p50_ms,"
    " round(percentile_cont(0.99) WITHIN GROUP (ORDER BY t.took_us)::numeric / 1000, 1) AS p99_ms"
    " FROM told AS t JOIN r USING (round) GROUP BY 1, 2),"
    " h AS (SELECT design, killed, count(*) AS carts_half_done,"
    " count(*) FILTER (WHERE paid_not_placed) AS paid_not_placed,"
    " count(*) FILTER (WHERE reserved_not_placed) AS reserved_not_placed,"
    " count(*) FILTER (WHERE placed_not_all) AS placed_not_all,"
    " round(percentile_cont(0.5) WITHIN GROUP (ORDER BY longest_us)::numeric / 1000, 1)"
    " AS half_done_p50_ms, round(max(longest_us) / 1000.0, 1) AS half_done_max_ms"
    " FROM half_done JOIN r USING (round) GROUP BY 1, 2)"
    " SELECT coalesce(json_agg(f ORDER BY killed, design), '[]') FROM (SELECT * FROM s"
    " JOIN t USING (design, killed) LEFT JOIN h USING (design, killed)) AS f";

static json_int_t member(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name)); /* of null: 0 */
}

static void tell_figures(struct kit *kit, const json_t *figures)
{
    size_t index = 0;
    const json_t *f = NULL;
    json_array_foreach(figures, index, f)
    {
        const json_int_t looks = member(f, "looks");
        const json_int_t half = member(f, "looks_half_done");
        kit_say(kit, "%-6s %s: %.1f checkouts a second, p50 %.1f ms, p99 %.1f ms",
                json_string_value(json_object_get(f, "design")),
                json_is_true(json_object_get(f, "killed")) ? "with a kill" : "undisturbed",
                json_number_value(json_object_get(f, "per_second")),
                json_number_value(json_object_get(f, "p50_ms")),
                json_number_value(json_object_get(f, "p99_ms")));
        kit_say(kit,
                "       %lld of %lld looks saw something half done; %lld carts of %lld,"
                " %lld of them paid and not placed; at the longest %.1f ms",
                (long long)half, (long long)looks, (long long)member(f, "carts_half_done"),
                (long long)member(f, "checkouts"), (long long)member(f, "paid_not_placed"),
                json_number_value(json_object_get(f, "half_done_max_ms")));
        kit_say(
            kit,
            "       %lld shoppers were told that a thing is sold out which somebody who came later "
            "got",
            (long long)member(f, "turned_away"));
    }
}

static void tell(struct kit *kit)
{
    char *text = database_value(kit, "order", figures_sql);
    json_t *figures = json_loads(text, 0, NULL);
    if (figures == NULL) {
        kit_give_up(kit, EX_SOFTWARE, NULL, "the figures are not JSON: %s", text);
    }
    kit_title(kit, "Side by side");
    tell_figures(kit, figures);
    kit_say(kit, "lines of code: %d with Assent; %d for the saga's steps and %d for its messages",
            LINES_BY_ASSENT, LINES_BY_SAGA, LINES_OUTBOX);
    json_object_set_new(kit->summary, "designs", figures);
    json_object_set_new(kit->summary, "lines_of_code",
                        json_pack("{s:i, s:i, s:i}", "assent", LINES_BY_ASSENT, "saga",
                                  LINES_BY_SAGA, "saga_messages", LINES_OUTBOX));
    free(text);
}

/* The same carts in all three databases. */
static void judge_design(struct kit *kit, enum design design)
{
    const char *name = designs[design];
    const char *when = design == BY_ASSENT ? "with Assent" : "with the saga, in the end,";
    char *placed = kit_text("SELECT string_agg(cart, ' ' ORDER BY cart COLLATE \"C\") FROM orders"
                            " WHERE state = 'placed' AND round LIKE '%s-%%'",
                            name);
    char *reserved = kit_text("SELECT string_agg(cart, ' ' ORDER BY cart COLLATE \"C\")"
                              " FROM reservations WHERE round LIKE '%s-%%'",
                              name);
    char *paid = kit_text("SELECT string_agg(cart, ' ' ORDER BY cart COLLATE \"C\") FROM payments"
                          " WHERE round LIKE '%s-%%'",
                          name);
    char *is_reserved = kit_text("%s what is placed is what is reserved", when);
    char *is_paid = kit_text("%s what is placed is what is paid", when);
    verdict_same(kit, is_reserved, "order", placed, "inventory", reserved);
    verdict_same(kit, is_paid, "order", placed, "payment", paid);
    free(is_paid);
    free(is_reserved);
    free(paid);
    free(reserved);
    free(placed);
}

static void judge(struct kit *kit)
{
    const uint64_t each = kit->options.shoppers * (rounds + (kills > 0 ? 1 : 0));
    char *all = kit_text("%" PRIu64, each * DESIGN_COUNT);
    char *of_one_design = kit_text("%" PRIu64, each);
    char *good_refused =
        kit_text("SELECT count(*) FROM told WHERE outcome = 'card refused'"
                 " AND substring(cart FROM '[0-9]+$')::bigint / %" PRIu64 " %% 3 <> 2",
                 products);
    kit_title(kit, "Verdict");
    verdict_settled(kit);
    for (int design = 0; design < DESIGN_COUNT; design++) {
        judge_design(kit, (enum design)design);
    }
    verdict_is(kit, "everybody was told", "order", "SELECT count(*) FROM told", all);
    verdict_is(kit, "and what they were told is so", "order",
               "SELECT count(*) FROM told LEFT JOIN orders USING (cart)"
               " WHERE outcome NOT IN ('placed', 'sold out', 'card refused')"
               " OR (outcome = 'placed') <> (coalesce(state, 'cancelled') = 'placed')",
               "0");
    /* Else a saga that refuses everything would be as consistent as can be. */
    verdict_is(kit, "each of the saga's orders is placed, or cancelled for a reason", "order",
               "SELECT count(*) FROM orders WHERE round LIKE 'saga-%'"
               " AND (state = 'placed') <> (reason IS NOT NULL)",
               of_one_design);
    verdict_is(kit, "no good card was refused", "order", good_refused, "0");
    verdict_is(kit, "no order is pending", "order",
               "SELECT count(*) FROM orders WHERE state = 'pending'", "0");
    verdict_is(kit, "no item was sold twice, and none was lost", "inventory",
               "SELECT count(*) FROM products WHERE stock < 0 OR stock + (SELECT count(*)"
               " FROM reservations WHERE product = id) <> delivered",
               "0");
    verdict_is(kit, "no expired card was charged", "payment",
               "SELECT count(*) FROM payments JOIN cards ON card = id"
               " WHERE valid_until < current_date",
               "0");
    verdict_is(kit, "what was paid is what left the cards", "payment",
               "SELECT (SELECT sum(amount) FROM payments)"
               " = (SELECT sum(" CREDIT " - credit) FROM cards)",
               "t");
    verdict_is(kit, "with Assent nobody was turned away while an item was left", "inventory",
               "SELECT sum(stock) FROM products WHERE round LIKE 'assent-%'", "0");
    verdict_is(kit, "nor while one was to be had later", "order",
               "SELECT count(*) FROM told AS t WHERE round LIKE 'assent-%' AND " TURNED_AWAY, "0");
    for (size_t i = 0; i < kit->scenario->schema_count; i++) {
        verdict_is(kit, "no message of the saga is left", kit->scenario->schemas[i].participant,
                   "SELECT count(*) FROM outbox", "0");
    }
    free(good_refused);
    free(of_one_design);
    free(all);
}

static void run(struct kit *kit)
{
    open_cards(kit);
    struct shop *shop = shop_open(kit, kit->options.shoppers);
    for (uint64_t i = 1; i <= rounds; i++) {
        char *number = kit_text("%" PRIu64, i);
        for (int design = 0; design < DESIGN_COUNT; design++) {
            (void)play_round(kit, (enum design)design, number, shop, false, 0);
        }
        free(number);
    }
    if (kills > 0) {
        const uint64_t down_ms = play_round(kit, BY_ASSENT, "kill", shop, true, 0);
        (void)play_round(kit, BY_SAGA, "kill", shop, true, down_ms);
    }
    shop_close(shop);
    tell(kit);
    judge(kit);
}

int main(int argc, char **argv)
{
    static const struct scenario_option options[] = {
        {"rounds", "How often each design has its turn (3)", 1, 100, &rounds},
        {"products", "How many things there are to buy (10)", 1, 100000, &products},
        {"kills", "1 (default): and once while who coordinates dies; 0: not", 0, 1, &kills},
    };
    static const struct scenario scenario = {
        .name = "saga",
        .what = "The same checkout as one transaction and as a saga with outbox and compensation, "
                "side by side: what an outside reader sees of each.",
        .schemas = scenario_schemas,
        .schema_count = sizeof scenario_schemas / sizeof *scenario_schemas,
        .shoppers = 600,
        .seconds = 600,
        .options = options,
        .option_count = sizeof options / sizeof *options,
        .run = run,
    };
    return kit_main(&scenario, argc, argv);
}
