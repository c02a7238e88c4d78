/* by_assent.c - the checkout as one transaction over three databases (checkout.h). */
#include <string.h>

#include "examples/scenarios/saga/checkout.h"

#define TRANSACTION_MS 30000

static struct assent_request *checkout_request(const struct checkout *checkout)
{
    struct assent_request *request = assent_request_new();
    assent_request_set_key(request, checkout->cart);
    assent_request_set_timeout_ms(request, TRANSACTION_MS);
    assent_request_add(
        request, "order", "INSERT INTO saga.orders VALUES ($1, $2, $3, $4, $5, 'placed')",
        ASSENT_PARAMS(checkout->cart, checkout->round, checkout->product, checkout->card, AMOUNT),
        1);
    assent_request_add(request, "inventory",
                       "UPDATE saga.products SET stock = stock - 1 WHERE id = $1 AND stock >= 1",
                       ASSENT_PARAMS(checkout->product), 1);
    assent_request_add(request, "inventory", "INSERT INTO saga.reservations VALUES ($1, $2, $3)",
                       ASSENT_PARAMS(checkout->cart, checkout->round, checkout->product), 1);
    assent_request_add(request, "payment",
                       "UPDATE saga.cards SET credit = credit - $2"
                       " WHERE id = $1 AND valid_until >= current_date AND credit >= $2",
                       ASSENT_PARAMS(checkout->card, AMOUNT), 1);
    assent_request_add(request, "payment", "INSERT INTO saga.payments VALUES ($1, $2, $3, $4)",
                       ASSENT_PARAMS(checkout->cart, checkout->round, checkout->card, AMOUNT), 1);
    return request;
}

enum outcome assent_buy(struct kit *kit, const struct checkout *checkout)
{
    struct assent_request *request = checkout_request(checkout);
    struct assent_answer *answer = submit_until_final(kit, request);
    enum outcome outcome = OTHERWISE;
    if (assent_answer_outcome(answer) == ASSENT_COMMITTED) {
        outcome = PLACED;
    } else if (strcmp(assent_answer_reason(answer), "row_count") == 0) {
        outcome = strcmp(assent_answer_participant(answer), "inventory") == 0 ? SOLD_OUT : REFUSED;
    }
    assent_answer_free(answer);
    assent_request_free(request);
    return outcome;
}
