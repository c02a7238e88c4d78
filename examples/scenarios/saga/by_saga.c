/*
 * by_saga.c - the same checkout as an orchestrated saga (checkout.h).
 *
 *     order service                       inventory               payment
 *     order pending ------- reserve ----> stock - 1
 *                    <----- reserved ---- (or sold out: order cancelled)
 *                    ------ charge ---------------------------->  credit - amount
 *     order placed   <----- charged ----------------------------  (or refused)
 *                    ------ release ----> stock + 1               the compensation
 *     order cancelled <---- released ----
 *
 * The charge comes last, since it would be the worst to compensate: after it nothing can be refused. Each step is one local transaction
 * that takes note of the message (inbox), does the work, and writes the next message (outbox), all or nothing; a message that comes
 * twice finds its number in the inbox and does nothing.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "examples/scenarios/saga/checkout.h"

/* The message is new. */
#define FRESH                                                                                      \
    "WITH fresh AS (INSERT INTO inbox VALUES ($1) ON CONFLICT DO NOTHING RETURNING $2::jsonb AS "  \
    "b)"
#define SEND " INSERT INTO outbox (recipient, kind, body) SELECT "

static const struct handler handlers[] = {
    {.recipient = "inventory",
     .kind = "reserve",
     .sql =
         FRESH ", taken AS (UPDATE products SET stock = stock - 1 FROM fresh"
               " WHERE id = b->>'product' AND stock >= 1 RETURNING b),"
               " reserved AS (INSERT INTO reservations"
               " SELECT b->>'cart', b->>'round', b->>'product' FROM taken)" SEND
               "'order', CASE WHEN EXISTS (SELECT FROM taken) THEN 'reserved' ELSE 'sold out' END,"
               " b FROM fresh"},
    {.recipient = "order",
     .kind = "reserved",
     .sql = FRESH SEND "'payment', 'charge', b FROM fresh"},
    {.recipient = "order",
     .kind = "sold out",
     .sql = FRESH " UPDATE orders SET state = 'cancelled', reason = 'sold out' FROM fresh"
                  " WHERE cart = b->>'cart'",
     .is_last = true,
     .outcome = SOLD_OUT},
    {.recipient = "payment",
     .kind = "charge",
     .sql =
         FRESH ", taken AS (UPDATE cards SET credit = credit - (b->>'amount')::numeric FROM fresh"
               " WHERE id = b->>'card' AND valid_until >= current_date"
               " AND credit >= (b->>'amount')::numeric RETURNING b),"
               " paid AS (INSERT INTO payments SELECT b->>'cart', b->>'round', b->>'card',"
               " (b->>'amount')::numeric FROM taken)" SEND
               "'order', CASE WHEN EXISTS (SELECT FROM taken) THEN 'charged' ELSE 'refused' END,"
               " b FROM fresh"},
    {.recipient = "order",
     .kind = "charged",
     .sql = FRESH " UPDATE orders SET state = 'placed' FROM fresh WHERE cart = b->>'cart'",
     .is_last = true,
     .outcome = PLACED},
    {.recipient = "order",
     .kind = "refused",
     .sql = FRESH SEND "'inventory', 'release', b FROM fresh"},
    {.recipient = "inventory",
     .kind = "release",
     .sql = FRESH ", gone AS (DELETE FROM reservations USING fresh WHERE cart = b->>'cart'"
                  " RETURNING product), back AS (UPDATE products SET stock = stock + 1 FROM gone"
                  " WHERE id = gone.product)" SEND "'order', 'released', b FROM fresh"},
    {.recipient = "order",
     .kind = "released",
     .sql = FRESH " UPDATE orders SET state = 'cancelled', reason = 'card refused' FROM fresh"
                  " WHERE cart = b->>'cart'",
     .is_last = true,
     .outcome = REFUSED},
};

static const char *const services[] = {"order", "inventory", "payment"};

/* The shoppers' pages, which wait for the end of their saga. */
struct shop {
    struct outbox *outbox;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t count;
    struct page {
        bool is_over;
        enum outcome outcome;
    } pages[];
};

/* The page's number is the end of the cart's name. */
static void tell_page(void *context, const char *body, enum outcome outcome)
{
    struct shop *shop = context;
    json_t *message = json_loads(body, 0, NULL);
    const char *cart = json_string_value(json_object_get(message, "cart"));
    const char *dash = cart != NULL ? strrchr(cart, '-') : NULL;
    const uint64_t number = dash != NULL ? strtoull(dash + 1, NULL, 10) : UINT64_MAX;
    if (number >= shop->count) {
        abort(); /* no message of ours */
    }
    pthread_mutex_lock(&shop->mutex);
    shop->pages[number] = (struct page){.is_over = true, .outcome = outcome};
    pthread_cond_broadcast(&shop->changed);
    pthread_mutex_unlock(&shop->mutex);
    json_decref(message);
}

struct shop *shop_open(struct kit *kit, uint64_t shoppers)
{
    struct shop *shop = calloc(1, sizeof *shop + shoppers * sizeof(struct page));
    if (shop == NULL) {
        abort();
    }
    shop->count = shoppers;
    pthread_mutex_init(&shop->mutex, NULL);
    pthread_cond_init(&shop->changed, NULL);
    shop->outbox = outbox_open(kit, handlers, sizeof handlers / sizeof *handlers, tell_page, shop);
    return shop;
}

void shop_begin(struct shop *shop)
{
    memset(shop->pages, 0, shop->count * sizeof *shop->pages);
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        outbox_start(shop->outbox, services[i]);
    }
}

void shop_end(struct shop *shop)
{
    outbox_drain(shop->outbox);
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        outbox_stop(shop->outbox, services[i]);
    }
}

/* Ends with the saga; if it does not end, the run's time does (progress.c). */
static enum outcome await_page(struct shop *shop, uint64_t number)
{
    const struct page *page = &shop->pages[number];
    pthread_mutex_lock(&shop->mutex);
    while (!page->is_over) {
        pthread_cond_wait(&shop->changed, &shop->mutex);
    }
    const enum outcome outcome = page->outcome;
    pthread_mutex_unlock(&shop->mutex);
    return outcome;
}

enum outcome shop_buy(struct kit *kit, struct shop *shop, const struct checkout *checkout)
{
    outbox_send(
        kit, shop->outbox, "order",
        "WITH fresh AS (INSERT INTO orders VALUES ($1, $2, $3, $4, $5, 'pending')"
        " ON CONFLICT DO NOTHING RETURNING *)" SEND "'inventory', 'reserve',"
        " jsonb_build_object('cart', cart, 'round', round, 'product', product, 'card', card,"
        " 'amount', amount) FROM fresh",
        ASSENT_PARAMS(checkout->cart, checkout->round, checkout->product, checkout->card, AMOUNT));
    return await_page(shop, checkout->number);
}

void shop_kill_orders(struct shop *shop)
{
    outbox_stop(shop->outbox, "order");
}

void shop_restart_orders(struct shop *shop)
{
    outbox_start(shop->outbox, "order");
}

void shop_close(struct shop *shop)
{
    outbox_close(shop->outbox);
    pthread_cond_destroy(&shop->changed);
    pthread_mutex_destroy(&shop->mutex);
    free(shop);
}
