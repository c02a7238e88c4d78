/*
 * checkout.h - one checkout, in two designs.
 *
 *   by_assent.c  one transaction over three databases
 *   by_saga.c    an orchestrated saga: local transactions, messages, a compensation
 *   outbox.c     what carries the saga's messages: relays from outboxes to consumers
 *   outside.c    the outside reader, who counts carts that are half done
 *   saga.c       rounds of either design, notes, the verdict
 */
#ifndef ASSENT_SCENARIOS_SAGA_CHECKOUT_H
#define ASSENT_SCENARIOS_SAGA_CHECKOUT_H

#include "examples/scenarios/kit/kit.h"

#define AMOUNT "24.00"

enum outcome { PLACED, SOLD_OUT, REFUSED, OTHERWISE };

/* A shopper's cart. The number is the shopper's in the round, and the end of the cart's name. */
struct checkout {
    const char *round, *cart, *product, *card;
    uint64_t number;
};

enum outcome assent_buy(struct kit *kit, const struct checkout *checkout);

/* ---- by_saga.c, over outbox.c */

struct shop;

/* The saga's services, with room for so many shoppers of one round; they rest until a round begins. Returns owned. */
struct shop *shop_open(struct kit *kit, uint64_t shoppers);
void shop_begin(struct shop *shop);
void shop_end(struct shop *shop); /* the last message has been handled */
enum outcome shop_buy(struct kit *kit, struct shop *shop, const struct checkout *checkout);
/* The order service, which is the orchestrator, dies and comes back. */
void shop_kill_orders(struct shop *shop);
void shop_restart_orders(struct shop *shop);
void shop_close(struct shop *shop); /* takes shop */

/* ---- outbox.c */

/* What a service does with one kind of message: one statement, which is a local transaction. $1 is the message's number, $2 its body. */
struct handler {
    const char *recipient, *kind, *sql;
    bool is_last;         /* the saga is over, */
    enum outcome outcome; /* and this is what came of it */
};

struct outbox;

/* Relays for each participant's outbox, connected and stopped. `ended` is called, perhaps more than once for a saga, with the body of its last message.
 * Handlers and context are lent until outbox_close. Returns owned. */
struct outbox *outbox_open(struct kit *kit, const struct handler *handlers, size_t count,
                           void (*ended)(void *context, const char *body, enum outcome outcome),
                           void *context);
/* One statement that may write into the participant's outbox, and whose repetition does no harm: until it has been done. */
void outbox_send(struct kit *kit, struct outbox *outbox, const char *participant, const char *sql,
                 size_t param_count, const char *const *params);
/* Waits until all outboxes are empty. */
void outbox_drain(struct outbox *outbox);
/* The service neither sends nor receives any more, or does so again. */
void outbox_stop(struct outbox *outbox, const char *participant);
void outbox_start(struct outbox *outbox, const char *participant);
void outbox_close(struct outbox *outbox); /* takes outbox */

/* ---- outside.c */

/* The outside reader of one round: who looks, and remembers. */
struct outside;

struct outside *outside_open(struct kit *kit, const char *round, uint64_t shoppers);
/* For the progress line. */
void outside_tell(void *outside, char *ret_text, size_t size_bytes);
/* The looks are over; what was seen becomes rows of half_done. Takes outside. */
void outside_close(struct kit *kit, struct outside *outside, uint64_t *ret_looks,
                   uint64_t *ret_half_done);

#endif
