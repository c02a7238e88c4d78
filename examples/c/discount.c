/*
 * discount.c - what one database says decides what is done in another: a transaction statement by
 * statement, with libassent.
 *
 *     discount ORDER CUSTOMER AMOUNT
 *
 * A customer who has ordered before (database "order") pays a tenth less (database "payment").
 * Prints one line and exits with 0 paid, 1 declined, 2 not known, 64 the request is wrong, 69 not
 * available. ASSENT_CLIENT is the coordinator (127.0.0.1:7401), ASSENT_DEADLINE for how many seconds
 * to try (30).
 */
#define _XOPEN_SOURCE 700

#include <assent/assent.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS   5000u /* from the opening to the decision: locks are held meanwhile */
#define PAUSE_MIN_MS 100u
#define PAUSE_MAX_MS 2000u
#define CENTS_MAX    INT64_C(100000000000000)

enum verdict { PAID = 0, DECLINED = 1, UNKNOWN = 2, WRONG = 64, UNAVAILABLE = 69, AGAIN = -1 };

struct purchase {
    const char *order, *customer;
    int64_t cents; /* without discount; floating point would not keep them */
    int64_t end_ms;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool parse_cents(const char *text, int64_t *ret_cents)
{
    const size_t whole = strspn(text, "0123456789");
    const char *rest = text + whole;
    const size_t cents = *rest == '.' ? strspn(rest + 1, "0123456789") : 0;
    if (whole == 0 || whole > 12 ||
        (*rest == '.' && (cents == 0 || cents > 2 || rest[1 + cents] != 0)) ||
        (*rest != '.' && *rest != 0)) {
        return false;
    }
    const int64_t part = cents == 0 ? 0 : strtoll(rest + 1, NULL, 10) * (cents == 1 ? 10 : 1);
    *ret_cents = strtoll(text, NULL, 10) * 100 + part;
    return *ret_cents <= CENTS_MAX;
}

/* A statement whose answer was lost is asked for again: it runs once, whatever happens on the way. */
static struct assent_answer *run(struct assent_transaction *transaction,
                                 const struct purchase *purchase, const char *participant,
                                 const char *sql, size_t param_count, const char *const *params,
                                 int64_t expect_rows)
{
    struct assent_answer *answer =
        assent_execute(transaction, participant, sql, param_count, params, expect_rows);
    while (assent_answer_outcome(answer) == ASSENT_UNKNOWN && now_ms() < purchase->end_ms) {
        assent_answer_free(answer);
        poll(NULL, 0, (int)(PAUSE_MIN_MS * (1 + drand48())));
        answer = assent_execute_again(transaction);
    }
    return answer;
}

/* So is a commit: its outcome is recorded. */
static struct assent_answer *commit(struct assent_transaction *transaction,
                                    const struct purchase *purchase)
{
    struct assent_answer *answer = assent_commit(transaction, ASSENT_ACK_COMPLETED);
    while ((assent_answer_outcome(answer) == ASSENT_UNKNOWN ||
            assent_answer_outcome(answer) == ASSENT_UNAVAILABLE) &&
           now_ms() < purchase->end_ms) {
        assent_answer_free(answer);
        poll(NULL, 0, (int)(PAUSE_MIN_MS * (1 + drand48())));
        answer = assent_commit(transaction, ASSENT_ACK_COMPLETED);
    }
    return answer;
}

struct sale { /* what was found and done, to be said when it has committed */
    int64_t earlier;
    char price[32], left[64];
    bool is_committing; /* before that nothing commits, whatever is lost */
};

/* Statement by statement. Returns the answer that ended it: of the commit, or of what failed. */
static struct assent_answer *sell(struct assent_transaction *transaction,
                                  const struct purchase *purchase, struct sale *sale)
{
    struct assent_answer *answer =
        run(transaction, purchase, "order", "SELECT count(*) FROM orders WHERE customer = $1",
            ASSENT_PARAMS(purchase->customer), 1);
    if (assent_answer_outcome(answer) != ASSENT_ACTIVE) {
        return answer;
    }
    sale->earlier =
        strtoll(assent_result_value(assent_answer_result(answer, "order", 0), 0, 0), NULL, 10);
    assent_answer_free(answer);
    const int64_t cents = (purchase->cents * (sale->earlier > 0 ? 90 : 100) + 50) / 100;
    snprintf(sale->price, sizeof sale->price, "%" PRId64 ".%02d", cents / 100, (int)(cents % 100));
    answer = run(transaction, purchase, "payment",
                 "UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2"
                 " RETURNING balance",
                 ASSENT_PARAMS(purchase->customer, sale->price), 1);
    if (assent_answer_outcome(answer) != ASSENT_ACTIVE) {
        return answer;
    }
    snprintf(sale->left, sizeof sale->left, "%s",
             assent_result_value(assent_answer_result(answer, "payment", 0), 0, 0));
    assent_answer_free(answer);
    answer = run(transaction, purchase, "payment",
                 "INSERT INTO payments (id, account, amount) VALUES ($1, $2, $3)",
                 ASSENT_PARAMS(purchase->order, purchase->customer, sale->price), 1);
    if (assent_answer_outcome(answer) != ASSENT_ACTIVE) {
        return answer;
    }
    assent_answer_free(answer);
    answer = run(transaction, purchase, "order",
                 "INSERT INTO orders (id, customer, amount) VALUES ($1, $2, $3)",
                 ASSENT_PARAMS(purchase->order, purchase->customer, sale->price), 1);
    if (assent_answer_outcome(answer) != ASSENT_ACTIVE) {
        return answer;
    }
    assent_answer_free(answer);
    sale->is_committing = true;
    return commit(transaction, purchase);
}

/* What the end means, said if it is final; AGAIN: begin anew. */
static enum verdict judge(const struct purchase *purchase, const struct sale *sale,
                          const struct assent_answer *answer)
{
    const char *text = assent_answer_text(answer);
    const char *reason = assent_answer_reason(answer);
    switch (assent_answer_outcome(answer)) {
    case ASSENT_COMMITTED:
        printf("order %s: %s paid after %" PRId64 " earlier orders, %s left\n", purchase->order,
               sale->price, sale->earlier, sale->left);
        return PAID;
    case ASSENT_HEURISTIC:
        printf("order %s: done by hand in part, an operator must look at %s\n", purchase->order,
               assent_answer_id(answer));
        return UNKNOWN;
    case ASSENT_ABORTED: /* without a reason: a restart of the coordinator has ended it */
        if (assent_answer_retryable(answer) || reason[0] == 0) {
            return AGAIN;
        }
        printf("order %s: declined: %s\n", purchase->order,
               strcmp(reason, "row_count") == 0 ? "not enough money" : text);
        return DECLINED;
    case ASSENT_REFUSED:
        printf("order %s: refused: %s\n", purchase->order, text); /* a mistake of this program */
        return WRONG;
    case ASSENT_UNKNOWN:
        if (!sale->is_committing) {
            return AGAIN;
        }
        printf("order %s: not known: %s\n", purchase->order, text);
        return UNKNOWN;
    case ASSENT_UNAVAILABLE:
    case ASSENT_NOT_FOUND:
    case ASSENT_ACTIVE:
    case ASSENT_ACCEPTED: /* of requests that are to run later */
    case ASSENT_DEAD:
        break;
    }
    return AGAIN;
}

/* One transaction, from its opening to its end. An opening whose answer is lost is no loss. */
static enum verdict attempt(struct assent_client *client, const struct purchase *purchase)
{
    struct assent_transaction *transaction = NULL;
    struct sale sale = {0};
    struct assent_answer *answer = assent_open(client, TIMEOUT_MS, &transaction);
    enum verdict verdict = AGAIN;
    if (transaction != NULL) {
        assent_answer_free(answer);
        answer = sell(transaction, purchase, &sale);
        verdict = judge(purchase, &sale, answer);
    }
    if (verdict == AGAIN) {
        fprintf(stderr, "again: %s\n", assent_answer_text(answer));
    }
    assent_answer_free(answer);
    if (transaction != NULL && verdict != PAID) {
        assent_answer_free(assent_rollback(transaction)); /* over already, mostly: does no harm */
    }
    assent_transaction_free(transaction);
    return verdict;
}

int main(int argc, char **argv)
{
    struct assent_client *client = NULL;
    struct purchase purchase = {0};
    if (argc != 4 || !parse_cents(argv[3], &purchase.cents) ||
        assent_client_open(getenv("ASSENT_CLIENT"), &client) != ASSENT_OK) {
        fprintf(stderr, "usage: discount ORDER CUSTOMER AMOUNT\n");
        return WRONG;
    }
    const char *seconds = getenv("ASSENT_DEADLINE");
    purchase.order = argv[1];
    purchase.customer = argv[2];
    purchase.end_ms = now_ms() + 1000 * (seconds != NULL ? strtol(seconds, NULL, 10) : 30);
    srand48(now_ms() ^ getpid());
    enum verdict verdict = attempt(client, &purchase);
    for (uint32_t most_ms = PAUSE_MIN_MS; verdict == AGAIN && now_ms() + most_ms < purchase.end_ms;
         most_ms = most_ms < PAUSE_MAX_MS ? 2 * most_ms : most_ms) {
        poll(NULL, 0, (int)(drand48() * most_ms));
        verdict = attempt(client, &purchase);
    }
    if (verdict == AGAIN) {
        printf("order %s: not available, nothing was done\n", purchase.order);
        verdict = UNAVAILABLE;
    }
    assent_client_close(client);
    return verdict;
}
