/*
 * outside.c - the outside reader, who counts carts that are half done (checkout.h).
 *
 * A cart is whole when its order is placed, its item reserved and its amount paid, and gone when it is none of these. Anything in between is
 * half done, whatever the services call it: a pending order tells the order service's readers that something is under way, but not
 * those who look at payments. Both designs are looked at in the same way, with plain statements sent to all three databases at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/scenarios/saga/checkout.h"

#define LOOK_MS 5

enum { PLACED_BIT = 1, RESERVED_BIT = 2, PAID_BIT = 4, ALL_BITS = 7 };

/* Where each part of a whole cart is. */
static const struct {
    uint8_t bit;
    const char *participant, *table, *condition;
} wholes[] = {
    {PLACED_BIT, "order", "orders", " AND state = 'placed'"},
    {RESERVED_BIT, "inventory", "reservations", ""},
    {PAID_BIT, "payment", "payments", ""},
};

/* What is known of one cart. */
struct cart {
    uint8_t bits;                  /* in this look */
    bool kinds[ALL_BITS + 1];      /* half done in these ways, so far */
    uint64_t since_us, longest_us; /* since 0: it is not half done now */
};

struct outside {
    const char *round;
    char *sql[3];
    struct reader_question questions[3];
    struct reader *reader;
    uint64_t count, looks, looks_half_done;
    atomic_uint_fast64_t now_half_done;
    struct cart carts[];
};

static void mark(struct outside *outside, const PGresult *answer, uint8_t bit)
{
    for (int row = 0; row < PQntuples(answer); row++) {
        const uint64_t number = strtoull(PQgetvalue(answer, row, 0), NULL, 10);
        if (number < outside->count) {
            outside->carts[number].bits |= bit;
        }
    }
}

static void see(void *context, PGresult *const *answers, uint64_t now_us)
{
    struct outside *outside = context;
    uint64_t half_done = 0;
    for (uint64_t i = 0; i < outside->count; i++) {
        outside->carts[i].bits = 0;
    }
    for (size_t i = 0; i < 3; i++) {
        mark(outside, answers[i], wholes[i].bit);
    }
    for (uint64_t i = 0; i < outside->count; i++) {
        struct cart *cart = &outside->carts[i];
        const bool is_half_done = cart->bits != 0 && cart->bits != ALL_BITS;
        /* Half done since a look ago: until this look, at the longest. */
        const uint64_t lasted_us = cart->since_us != 0 ? now_us - cart->since_us : 0;
        cart->longest_us = lasted_us > cart->longest_us ? lasted_us : cart->longest_us;
        if (!is_half_done) {
            cart->since_us = 0;
            continue;
        }
        cart->since_us = cart->since_us != 0 ? cart->since_us : now_us;
        cart->kinds[cart->bits] = true;
        half_done++;
    }
    outside->looks++;
    outside->looks_half_done += half_done > 0 ? 1 : 0;
    atomic_store(&outside->now_half_done, half_done);
}

void outside_tell(void *context, char *ret_text, size_t size_bytes)
{
    struct outside *outside = context;
    snprintf(ret_text, size_bytes, "%" PRIuFAST64 " half done",
             atomic_load(&outside->now_half_done));
}

struct outside *outside_open(struct kit *kit, const char *round, uint64_t shoppers)
{
    struct outside *outside = calloc(1, sizeof *outside + shoppers * sizeof(struct cart));
    if (outside == NULL) {
        abort();
    }
    outside->round = round;
    outside->count = shoppers;
    for (size_t i = 0; i < 3; i++) {
        outside->sql[i] = kit_text("SELECT substring(cart FROM '[0-9]+$') FROM %s"
                                   " WHERE round = '%s'%s",
                                   wholes[i].table, round, wholes[i].condition);
        outside->questions[i] = (struct reader_question){wholes[i].participant, outside->sql[i]};
    }
    outside->reader = reader_start(kit, outside->questions, 3, LOOK_MS, see, outside);
    return outside;
}

static void write_carts(struct kit *kit, const struct outside *outside)
{
    char *lines = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&lines, &size_bytes);
    if (out == NULL) {
        abort();
    }
    for (uint64_t i = 0; i < outside->count; i++) {
        const struct cart *cart = &outside->carts[i];
        const bool paid_not_placed = cart->kinds[PAID_BIT] || cart->kinds[PAID_BIT | RESERVED_BIT];
        const bool reserved_not_placed =
            cart->kinds[RESERVED_BIT] || cart->kinds[PAID_BIT | RESERVED_BIT];
        const bool placed_not_all = cart->kinds[PLACED_BIT] ||
                                    cart->kinds[PLACED_BIT | RESERVED_BIT] ||
                                    cart->kinds[PLACED_BIT | PAID_BIT];
        if (paid_not_placed || reserved_not_placed || placed_not_all) {
            fprintf(out, "%s-%s-%06" PRIu64 "\t%s\t%d\t%d\t%d\t%" PRIu64 "\n", kit->run,
                    outside->round, i, outside->round, paid_not_placed, reserved_not_placed,
                    placed_not_all, cart->longest_us);
        }
    }
    fclose(out);
    database_copy(kit, "order", "half_done", lines);
    free(lines);
}

void outside_close(struct kit *kit, struct outside *outside, uint64_t *ret_looks,
                   uint64_t *ret_half_done)
{
    reader_stop(outside->reader);
    write_carts(kit, outside);
    *ret_looks = outside->looks;
    *ret_half_done = outside->looks_half_done;
    for (size_t i = 0; i < 3; i++) {
        free(outside->sql[i]);
    }
    free(outside);
}
