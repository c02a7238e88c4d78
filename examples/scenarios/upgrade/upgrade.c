/*
 * upgrade.c - the payment database is shut down and started again, and the coordinator with it, while shoppers keep buying: story.md.
 *
 * Shoppers come at a rate. Each makes a wish, which needs the order database only, then presses "buy" once: every second one leaves the
 * order in a queue (`Prefer: respond-async`), the others want to know at once. A quarter of them comes before the shutdown, one while it
 * goes on, one while the database is away (in the middle of which the coordinator dies), and one after it.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/scenarios/upgrade/schemas.h"
#include "examples/scenarios/upgrade/shop.h"

#define AWAY_MS      10000 /* until the coordinator knows that the database is away */
#define REPAIRS      20    /* somebody else may be killing, too */
#define SHOPPERS_MIN 16    /* with fewer, nobody may come at the moments that matter */
#define LOOK_MS      500   /* patience of the progress line */

static const char *const counters[] = {"bought",       "accepted",  "told 503",
                                       "nobody there", "otherwise", NULL};

static uint64_t rate = 100;

static uint64_t quarter_of(const struct shop *shop, uint64_t index)
{
    return index * QUARTERS / shop->count;
}

uint64_t shop_quarter_first(const struct shop *shop, uint64_t quarter)
{
    return (quarter * shop->count + QUARTERS - 1) / QUARTERS;
}

enum moment shop_moment(struct shop *shop)
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
void shop_await_turn(struct shop *shop, uint64_t index)
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
    const uint64_t first = gate == BEFORE ? 0 : shop_quarter_first(shop, quarter);
    crowd_await_turn(since_us, index - first, shop->rate);
}

void shop_note_came(struct shop *shop, uint64_t index)
{
    const struct press *press = &shop->presses[index];
    pthread_mutex_lock(&shop->mutex);
    shop->came[quarter_of(shop, index)]++;
    shop->accepted_away += press->moment == AWAY && press->status == 202;
    shop->told_away += press->moment == AWAY && press->status == 503;
    pthread_cond_broadcast(&shop->changed);
    pthread_mutex_unlock(&shop->mutex);
}

static uint64_t quarter_size(const struct shop *shop, uint64_t quarter)
{
    return shop_quarter_first(shop, quarter + 1) - shop_quarter_first(shop, quarter);
}

/* Until the first quarter has come. */
static void await_first(struct shop *shop)
{
    pthread_mutex_lock(&shop->mutex);
    while (shop->came[0] < quarter_size(shop, 0)) {
        pthread_cond_wait(&shop->changed, &shop->mutex);
    }
    pthread_mutex_unlock(&shop->mutex);
}

/* Until half of the quarter has come, and with it somebody who was accepted and somebody who was told 503; or all of it: then the verdict
 * is no. */
static void await_away(struct shop *shop)
{
    const uint64_t *came = &shop->came[AWAY_QUARTER];
    const uint64_t all = quarter_size(shop, AWAY_QUARTER);
    pthread_mutex_lock(&shop->mutex);
    while (*came < all && (*came < all / 2 || shop->accepted_away == 0 || shop->told_away == 0)) {
        pthread_cond_wait(&shop->changed, &shop->mutex);
    }
    pthread_mutex_unlock(&shop->mutex);
}

/* How long the queue is, for the line. */
static void look(void *context, char *ret_text, size_t size_bytes)
{
    const struct kit *kit = context;
    struct http_answer answer;
    size_t index = 0;
    json_t *queue = NULL;
    json_int_t length = 0;
    char *wanted = shopper_queue(kit);
    http_call(kit, "/v1/queues", NULL, NULL, LOOK_MS, &answer);
    json_t *body = answer.status == 200 ? json_loads(answer.body, 0, NULL) : NULL;
    json_array_foreach(json_object_get(body, "queues"), index, queue)
    {
        const char *name = json_string_value(json_object_get(queue, "name"));
        if (name != NULL && strcmp(name, wanted) == 0) {
            length = json_integer_value(json_object_get(queue, "length"));
        }
    }
    if (body != NULL) {
        snprintf(ret_text, size_bytes, "in the queue %" JSON_INTEGER_FORMAT, length);
    } else {
        snprintf(ret_text, size_bytes, "no coordinator");
    }
    json_decref(body);
    http_answer_done(&answer);
    free(wanted);
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
    await_first(shop);
    const uint64_t begin_ms = kit_now_ms();
    moment_set(shop, BETWEEN);
    (void)demo_end(kit, "postgres", "payment", SIGINT); /* a fast shutdown */
    for (unsigned int i = 0; is_payment_ready(kit) && kit_now_ms() < begin_ms + AWAY_MS; i++) {
        kit_pause(kit, i, 0, "assentd does not find out that the payment database is away");
    }
    moment_set(shop, AWAY);
    await_away(shop);
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
    shop->rate = rate;
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

/* Takes shop. */
static void shop_close(struct shop *shop)
{
    for (uint64_t i = 0; i < shop->count; i++) {
        free(shop->presses[i].accepted_as);
        free(shop->presses[i].told_state);
        free(shop->presses[i].reason);
    }
    pthread_cond_destroy(&shop->changed);
    pthread_mutex_destroy(&shop->mutex);
    free(shop->waiting);
    free(shop->presses);
    free(shop);
}

static void run(struct kit *kit)
{
    if (kit->options.shoppers < SHOPPERS_MIN) {
        kit_give_up(kit, EX_USAGE, NULL, "--shoppers: at least %d", SHOPPERS_MIN);
    }
    struct shop *shop = shop_open(kit);
    progress_stage(kit, "shoppers come, the payment database goes and comes back", shop->count,
                   counters);
    progress_watch(kit, look, kit);
    moment_set(shop, BEFORE);
    struct crowd *crowd = crowd_start(kit, shop->count, kit->options.at_once, shopper_act, shop);
    const uint64_t away_ms = upgrade(kit, shop);
    const uint64_t back_ms = kit_now_ms();
    crowd_wait(crowd);
    const uint64_t waiting = atomic_load(&shop->waiting_count);
    progress_stage(kit, "those who were told to wait, and have not left", waiting, counters);
    progress_watch(kit, look, kit);
    crowd_run(kit, waiting, shopper_act_again, shop);
    progress_stage(kit, "all learn what came of their orders", shop->count, counters);
    progress_watch(kit, look, kit);
    crowd_run(kit, shop->count, shopper_act_learn, shop);
    const uint64_t caught_up_ms = kit_now_ms() - back_ms;
    progress_end(kit);
    const uint64_t away_count = quarter_size(shop, AWAY_QUARTER) / 2; /* before the restart */
    notes_write(kit, shop);
    shop_close(shop);
    notes_tell(kit, away_ms, caught_up_ms);
    notes_judge(kit, away_count);
}

int main(int argc, char **argv)
{
    static const struct scenario_option options[] = {
        {"rate", "Shoppers who come in a second (100)", 1, 100000, &rate},
    };
    static const struct scenario scenario = {
        .name = "upgrade",
        .what = "The payment database is shut down and restarted, and the coordinator with it, "
                "while shoppers keep buying: accepted orders run in order when it is back, the "
                "rest are "
                "told 503 at once; none lost, none twice.",
        .schemas = scenario_schemas,
        .schema_count = sizeof scenario_schemas / sizeof *scenario_schemas,
        .shoppers = 600,
        .seconds = 300,
        .options = options,
        .option_count = sizeof options / sizeof *options,
        .run = run,
    };
    return kit_main(&scenario, argc, argv);
}
