/*
 * checkout.c - an order and its payment, in two databases, once or not at all, with libassent.
 *
 *     checkout ORDER CUSTOMER AMOUNT
 *
 * Prints one line and exits with 0 paid, 1 declined, 2 not known, 64 the request is wrong, 69 not
 * available. ASSENT_CLIENT is the coordinator (127.0.0.1:7401), ASSENT_DEADLINE for how many seconds
 * to try (30).
 */
#define _XOPEN_SOURCE 700

#include <assent/assent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS   5000u /* for the decision; assent_submit waits for twice that and 5 s */
#define PAUSE_MIN_MS 100u
#define PAUSE_MAX_MS 2000u

enum verdict { PAID = 0, DECLINED = 1, UNKNOWN = 2, WRONG = 64, UNAVAILABLE = 69, AGAIN = -1 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* All values are texts in PostgreSQL's format: no digit is lost on the way. */
static struct assent_request *transaction(const char *key, const char *order, const char *customer,
                                          const char *amount)
{
    struct assent_request *request = assent_request_new();
    assent_request_set_key(request, key);
    assent_request_set_timeout_ms(request, TIMEOUT_MS);
    assent_request_add(request, "order",
                       "INSERT INTO orders (id, customer, amount) VALUES ($1, $2, $3)",
                       ASSENT_PARAMS(order, customer, amount), ASSENT_ANY_ROWS);
    assent_request_add(request, "payment",
                       "UPDATE accounts SET balance = balance - $2"
                       " WHERE id = $1 AND balance >= $2 RETURNING balance",
                       ASSENT_PARAMS(customer, amount), 1);
    assent_request_add(request, "payment",
                       "INSERT INTO payments (id, account, amount) VALUES ($1, $2, $3)",
                       ASSENT_PARAMS(order, customer, amount), ASSENT_ANY_ROWS);
    return request; /* what an add had against its arguments comes back as ASSENT_REFUSED */
}

static void print_paid(const char *order, const struct assent_answer *answer)
{
    const struct assent_result *update = assent_answer_result(answer, "payment", 0);
    printf("order %s: paid, %s left", order, assent_result_value(update, 0, 0));
    const char *lead = " (still being finished at ";
    for (size_t i = 0; i < assent_answer_branch_count(answer); i++) {
        if (assent_answer_branch_pending(answer, i)) {
            printf("%s%s", lead, assent_answer_branch_participant(answer, i));
            lead = ", ";
        }
    }
    puts(assent_answer_completed(answer) ? "" : ")"); /* else decided: Assent finishes it */
}

/* What the answer means, said if it is final; AGAIN: send the same request again. */
static enum verdict judge(const char *order, const struct assent_answer *answer)
{
    const enum assent_outcome outcome = assent_answer_outcome(answer);
    if (assent_answer_retryable(answer) && outcome != ASSENT_HEURISTIC) {
        return AGAIN; /* a deadlock, the deadline, overload, a database that is down ... */
    }
    const char *text = assent_answer_text(answer);
    switch (outcome) {
    case ASSENT_COMMITTED:
        print_paid(order, answer);
        return PAID;
    case ASSENT_HEURISTIC:
        printf("order %s: done by hand in part, an operator must look at %s\n", order,
               assent_answer_id(answer));
        return UNKNOWN;
    case ASSENT_ABORTED:
        if (strcmp(assent_answer_reason(answer), "row_count") == 0 &&
            strcmp(assent_answer_participant(answer), "payment") == 0) {
            text = "not enough money";
        }
        printf("order %s: declined: %s\n", order, text);
        return DECLINED;
    case ASSENT_REFUSED:
        printf("order %s: refused: %s\n", order, text); /* a mistake of this program */
        return WRONG;
    case ASSENT_UNKNOWN:
    case ASSENT_UNAVAILABLE:
    case ASSENT_NOT_FOUND: /* never of a submission */
    case ASSENT_ACTIVE:    /* of interactive transactions */
    case ASSENT_ACCEPTED:  /* of requests that are to run later */
    case ASSENT_DEAD:
        break;
    }
    return AGAIN;
}

/* The time is up. If anything may have happened: has something committed under this key? */
static enum verdict give_up(struct assent_client *client, const char *key, const char *order,
                            bool may_have_happened)
{
    if (!may_have_happened) {
        printf("order %s: not available, nothing was done\n", order);
        return UNAVAILABLE;
    }
    struct assent_answer *answer = assent_status_by_key(client, key);
    const bool is_paid = assent_answer_outcome(answer) == ASSENT_COMMITTED;
    printf("order %s: %s\n", order,
           is_paid ? "paid, as its key tells" : "not known yet: ask again with the same key");
    assent_answer_free(answer);
    return is_paid ? PAID : UNKNOWN;
}

/* Sends the same request with the same key until it has a final answer or the time is up. */
static enum verdict checkout(struct assent_client *client, const struct assent_request *request,
                             const char *order, int64_t end_ms)
{
    enum verdict verdict = AGAIN;
    bool may_have_happened = false;
    uint32_t most_ms = PAUSE_MIN_MS;
    while (verdict == AGAIN) {
        struct assent_answer *answer = assent_submit(client, request);
        verdict = judge(order, answer);
        may_have_happened |= assent_answer_outcome(answer) == ASSENT_UNKNOWN;
        const int64_t advised_ms = assent_answer_retry_after_ms(answer);
        const int64_t pause_ms = (int64_t)(drand48() * most_ms) + advised_ms;
        if (verdict == AGAIN && now_ms() + pause_ms >= end_ms) {
            verdict = give_up(client, assent_request_key(request), order, may_have_happened);
        } else if (verdict == AGAIN) {
            fprintf(stderr, "again in %d ms: %s\n", (int)pause_ms, assent_answer_text(answer));
            poll(NULL, 0, (int)pause_ms);
        }
        assent_answer_free(answer);
        most_ms = most_ms < PAUSE_MAX_MS ? 2 * most_ms : most_ms;
    }
    return verdict;
}

int main(int argc, char **argv)
{
    struct assent_client *client = NULL;
    if (argc != 4 || assent_client_open(getenv("ASSENT_CLIENT"), &client) != ASSENT_OK) {
        fprintf(stderr, "usage: checkout ORDER CUSTOMER AMOUNT\n");
        return WRONG;
    }
    const char *seconds = getenv("ASSENT_DEADLINE");
    const int64_t end_ms = now_ms() + 1000 * (seconds != NULL ? strtol(seconds, NULL, 10) : 30);
    char key[256];
    snprintf(key, sizeof key, "checkout-%s", argv[1]);
    srand48(now_ms() ^ getpid());
    struct assent_request *request = transaction(key, argv[1], argv[2], argv[3]);
    const enum verdict verdict = checkout(client, request, argv[1], end_ms);
    assent_request_free(request);
    assent_client_close(client);
    return verdict;
}
