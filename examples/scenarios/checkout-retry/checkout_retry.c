/*
 * checkout_retry.c - a checkout without an answer, and a shopper who presses again: story.md.
 *
 * Each cart has one idempotency key, and each of its five presses is the same request. An outside session that holds the accounts'
 * rows plays the slow payment database, so that presses time out, and the coordinator dies, while transactions are under way.
 */
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "examples/scenarios/checkout-retry/schemas.h"
#include "examples/scenarios/kit/kit.h"

#define PRESSES        5 /* of each cart; the first one is impatient */
#define IMPATIENT_MS   250
#define PATIENT_MS     45000
#define TRANSACTION_MS 30000 /* the deadline: longer than the payment database is slow */
#define BEGINNING_MS   10000
#define REPAIRS        20 /* somebody else may be killing, too */
#define BALANCE        "1000000.00"
#define WAITING_BRANCHES                                                                           \
    "SELECT count(*) > 0 FROM pg_stat_activity"                                                    \
    " WHERE wait_event_type = 'Lock' AND application_name LIKE 'assent-agent/%'"

struct press {
    long status; /* 0: no final answer */
    char *body;
};

/* One cart of every shopper: the round's presses are cart by cart. */
struct round {
    const char *name;
    uint64_t shoppers;
    uint64_t presses; /* that crowd_run counts: PRESSES, or one less where the first have been */
    sem_t begun;
    struct press *answers; /* shoppers * PRESSES */
};

struct tally {
    atomic_uint_fast64_t timed_out, lost, attempts, replayed;
};

static struct tally tally;
static uint64_t kills = 1;

static const char *const counters[] = {"answered", "no answer", NULL};
enum { ANSWERED, NO_ANSWER };

static char *cart_name(const struct kit *kit, const struct round *round, uint64_t shopper)
{
    return kit_text("%s-%s-%06llu", kit->run, round->name, (unsigned long long)shopper);
}

/* The same text whenever it is made: amounts come from the seed. Returns owned. */
static char *checkout_body(const struct kit *kit, const char *cart, uint64_t shopper)
{
    const uint64_t cents = 100 + random_below(kit, 1, shopper, 9900);
    char *amount = kit_text("%llu.%02llu", (unsigned long long)(cents / 100),
                            (unsigned long long)(cents % 100));
    char *customer = kit_text("c-%llu", (unsigned long long)shopper);
    json_t *body = json_pack(
        "{s:i, s:[{s:s, s:[{s:s, s:[sss]}]}, {s:s, s:[{s:s, s:[ss], s:i}, {s:s, s:[sss]}]}]}",
        "timeout_ms", TRANSACTION_MS, "branches",
        /* the order */
        "participant", "order", "statements", "sql",
        "INSERT INTO checkout_retry.orders (cart, customer, amount) VALUES ($1, $2, $3)"
        " RETURNING number",
        "params", cart, customer, amount,
        /* its payment */
        "participant", "payment", "statements", "sql",
        "UPDATE checkout_retry.accounts SET balance = balance - $2"
        " WHERE id = $1 AND balance >= $2 RETURNING balance",
        "params", customer, amount, "expect_rows", 1, "sql",
        "INSERT INTO checkout_retry.payments (cart, account, amount) VALUES ($1, $2, $3)", "params",
        cart, customer, amount);
    char *text = json_dumps(body, JSON_COMPACT);
    if (text == NULL) {
        abort();
    }
    json_decref(body);
    free(customer);
    free(amount);
    return text;
}

/* Keeps a final answer, takes it. */
static void note(struct kit *kit, struct press *press, struct http_answer *answer)
{
    press->status = answer->status;
    press->body = answer->body;
    answer->body = NULL;
    progress_count(kit, ANSWERED);
    if (answer->is_replayed) {
        atomic_fetch_add(&tally.replayed, 1);
    }
}

static void press_once(struct kit *kit, struct round *round, uint64_t shopper, uint64_t press,
                       uint64_t patience_ms)
{
    char *cart = cart_name(kit, round, shopper);
    char *body = checkout_body(kit, cart, shopper);
    struct http_answer answer;
    http_call(kit, "/v1/transactions", cart, body, patience_ms, &answer);
    atomic_fetch_add(&tally.attempts, 1);
    if (http_is_final(&answer)) {
        note(kit, &round->answers[shopper * PRESSES + press], &answer);
    } else {
        atomic_fetch_add(answer.fate == HTTP_TIMED_OUT ? &tally.timed_out : &tally.lost, 1);
        progress_count(kit, NO_ANSWER);
    }
    http_answer_done(&answer);
    free(body);
    free(cart);
}

static void press_until_answered(struct kit *kit, struct round *round, uint64_t shopper,
                                 uint64_t press)
{
    char *cart = cart_name(kit, round, shopper);
    char *body = checkout_body(kit, cart, shopper);
    struct http_answer answer;
    uint64_t attempts = 0;
    http_submit(kit, cart, body, PATIENT_MS, &answer, &attempts);
    atomic_fetch_add(&tally.attempts, attempts);
    atomic_fetch_add(&tally.lost, attempts - 1);
    note(kit, &round->answers[shopper * PRESSES + press], &answer);
    http_answer_done(&answer);
    free(body);
    free(cart);
}

static void act_first(struct kit *kit, uint64_t index, void *context)
{
    press_once(kit, context, index, 0, IMPATIENT_MS);
    progress_done(kit);
}

/* Neighbours in the count are presses of one cart, so the crowd presses them at once. */
static void act_press(struct kit *kit, uint64_t index, void *context)
{
    struct round *round = context;
    const uint64_t shopper = index / round->presses;
    const uint64_t press = index % round->presses + (PRESSES - round->presses);
    sem_post(&round->begun);
    if (press == 0) {
        press_once(kit, round, shopper, press, 1 + random_below(kit, 2, index, IMPATIENT_MS));
    } else {
        press_until_answered(kit, round, shopper, press);
    }
    progress_done(kit);
}

/* Waits until the crowd has begun to press: as many presses as are made at a time. */
static void await_begun(struct kit *kit, struct round *round)
{
    const uint64_t count = round->shoppers * round->presses;
    const uint64_t wanted = count < kit->options.at_once ? count : kit->options.at_once;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += BEGINNING_MS / 1000;
    for (uint64_t i = 0; i < wanted; i++) {
        if (sem_timedwait(&round->begun, &until) != 0) {
            kit_give_up(kit, EX_UNAVAILABLE, NULL, "the shoppers do not begin to press");
        }
    }
}

static struct round *round_new(const struct kit *kit, const char *name, uint64_t presses)
{
    struct round *round = calloc(1, sizeof *round);
    if (round == NULL) {
        abort();
    }
    *round = (struct round){.name = name, .shoppers = kit->options.shoppers, .presses = presses};
    round->answers = calloc(round->shoppers * PRESSES, sizeof *round->answers);
    if (round->answers == NULL || sem_init(&round->begun, 0, 0) != 0) {
        abort();
    }
    return round;
}

/* The round's answers become rows of the outside reader's notes. Takes round. */
static void round_write(struct kit *kit, struct round *round)
{
    PGconn *connection = database_connect(kit, "order");
    database_run(kit, connection, "BEGIN", 0, NULL);
    for (uint64_t i = 0; i < round->shoppers * PRESSES; i++) {
        struct press *press = &round->answers[i];
        if (press->status == 0) {
            continue;
        }
        char *cart = cart_name(kit, round, i / PRESSES);
        char *number = kit_text("%llu", (unsigned long long)(i % PRESSES));
        char *status = kit_text("%ld", press->status);
        database_run(
            kit, connection, "INSERT INTO answers VALUES ($1, $2, $3, $4)", 4,
            (const char *const[]){cart, number, status, press->body != NULL ? press->body : ""});
        free(status);
        free(number);
        free(cart);
        free(press->body);
    }
    database_run(kit, connection, "COMMIT", 0, NULL);
    PQfinish(connection);
    sem_destroy(&round->begun);
    free(round->answers);
    free(round);
}

static void open_accounts(struct kit *kit)
{
    PGconn *connection = database_connect(kit, "payment");
    char *count = kit_text("%llu", (unsigned long long)kit->options.shoppers);
    database_run(kit, connection,
                 "INSERT INTO accounts SELECT 'c-' || n, " BALANCE
                 " FROM generate_series(0, $1::bigint - 1) AS n",
                 1, (const char *const[]){count});
    free(count);
    PQfinish(connection);
}

/* The payment database is slow as long as this session is in its transaction. */
static PGconn *slow_down(struct kit *kit)
{
    PGconn *connection = database_connect(kit, "payment");
    database_run(kit, connection, "BEGIN; SELECT FROM accounts ORDER BY id FOR UPDATE", 0, NULL);
    return connection;
}

static void slow_retry(struct kit *kit)
{
    struct round *round = round_new(kit, "slow", PRESSES - 1);
    PGconn *slow = slow_down(kit);
    progress_stage(kit, "first press, the payment database is slow", round->shoppers, counters);
    crowd_run(kit, round->shoppers, act_first, round);
    progress_stage(kit, "four more presses, some at once", round->shoppers * round->presses,
                   counters);
    struct crowd *crowd =
        crowd_start(kit, round->shoppers * round->presses, kit->options.at_once, act_press, round);
    await_begun(kit, round);
    PQfinish(slow); /* rolls back: the rows are free */
    crowd_wait(crowd);
    round_write(kit, round);
}

static void killed_retry(struct kit *kit, uint64_t number)
{
    char *name = kit_text("kill%llu", (unsigned long long)number);
    struct round *round = round_new(kit, name, PRESSES);
    const uint64_t count = round->shoppers * round->presses;
    PGconn *slow = slow_down(kit);
    progress_stage(kit, "five presses each, kill -9 of assentd", count, counters);
    struct crowd *crowd = crowd_start(kit, count, kit->options.at_once, act_press, round);
    await_begun(kit, round);
    /* Branches wait for the rows in the payment database, whose orders are prepared: that is the middle. Nothing of the verdict
     * hangs on it, so a demo in which others kill agents at this very moment just goes on. */
    (void)database_await(kit, "payment", WAITING_BRANCHES, "t", BEGINNING_MS);
    (void)demo_end(kit, "assentd", NULL, SIGKILL);
    PQfinish(slow);
    demo_up(kit, REPAIRS);
    crowd_wait(crowd);
    round_write(kit, round);
    free(name);
}

static void judge(struct kit *kit)
{
    const unsigned long long carts = kit->options.shoppers * (1 + kills);
    char *each = kit_text("%llu %llu", carts, carts);
    kit_title(kit, "Verdict");
    verdict_settled(kit);
    verdict_is(kit, "one order of each cart", "order",
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
    verdict_is(kit, "no press was told anything but that it is committed", "order",
               "SELECT count(*) FROM answers WHERE status <> 200"
               " OR body::json->>'state' <> 'committed'",
               "0");
    /* "completed" tells the present state (docs/API.md); all other bytes are those of the first answer. */
    verdict_is(kit, "all presses of a cart got the same answer, byte for byte", "order",
               "SELECT count(DISTINCT cart), count(DISTINCT regexp_replace(body,"
               " '\"completed\":(true|false,\"pending\":\\[[^]]*\\]),', '')) FROM answers",
               each);
    free(each);
}

static void run(struct kit *kit)
{
    open_accounts(kit);
    slow_retry(kit);
    for (uint64_t i = 1; i <= kills; i++) {
        killed_retry(kit, i);
    }
    progress_end(kit);
    const json_int_t carts = (json_int_t)kit->options.shoppers * (1 + (json_int_t)kills);
    json_object_set_new(kit->summary, "figures",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "carts", carts, "kills",
                                  (json_int_t)kills, "requests",
                                  (json_int_t)atomic_load(&tally.attempts), "timed_out",
                                  (json_int_t)atomic_load(&tally.timed_out), "without_answer",
                                  (json_int_t)atomic_load(&tally.lost), "replayed",
                                  (json_int_t)atomic_load(&tally.replayed)));
    kit_title(kit, "What happened");
    kit_say(kit,
            "%llu requests, %llu of them timed out, %llu broke off or were to be tried again, "
            "%llu were answered from the record",
            (unsigned long long)atomic_load(&tally.attempts),
            (unsigned long long)atomic_load(&tally.timed_out),
            (unsigned long long)atomic_load(&tally.lost),
            (unsigned long long)atomic_load(&tally.replayed));
    judge(kit);
}

int main(int argc, char **argv)
{
    static const struct scenario_option options[] = {
        {"kills", "How often assentd is killed in the middle (1)", 0, 100, &kills},
    };
    static const struct scenario scenario = {
        .name = "checkout-retry",
        .what = "A checkout times out and the shopper presses again, five times, some at once: "
                "one order, one payment, one answer.",
        .schemas = scenario_schemas,
        .schema_count = sizeof scenario_schemas / sizeof *scenario_schemas,
        .shoppers = 20,
        .seconds = 180,
        .options = options,
        .option_count = sizeof options / sizeof *options,
        .run = run,
    };
    return kit_main(&scenario, argc, argv);
}
