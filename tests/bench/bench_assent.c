/* bench_assent.c - the same work through libassent: one connection, `clients` transactions in flight. */
#include <assent/assent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "tests/bench/bench_commit.h"

struct run {
    struct assent_client *client;
    bool decided;
    double start, seconds;
    struct latencies latencies;
    struct round round;
};

struct flight {
    struct run *run;
    double begun;
};

static void flight_start(struct run *run);

static void flight_done(void *user, struct assent_answer *answer)
{
    struct flight *flight = user;
    struct run *run = flight->run;
    double now = bench_now();
    latency_add(&run->latencies, (now - flight->begun) * 1e6);
    free(flight);
    if (assent_answer_outcome(answer) == ASSENT_COMMITTED) {
        run->round.committed++;
        if (now - run->start < run->seconds) {
            flight_start(run);
        }
    } else {
        if (run->round.failed++ == 0) {
            fprintf(stderr, "bench: %s: %s\n", assent_answer_reason(answer),
                    assent_answer_text(answer));
        }
    }
    assent_answer_free(answer);
}

static void flight_start(struct run *run)
{
    char id[32];
    char account[16];
    uint64_t number = bench_next();
    snprintf(id, sizeof(id), "a%llu", (unsigned long long)number);
    snprintf(account, sizeof(account), "%llu",
             (unsigned long long)(number * 7919 % BENCH_ACCOUNTS));
    struct assent_request *request = assent_request_new();
    assent_request_add(request, "order",
                       "INSERT INTO orders(id, customer, amount) VALUES ($1,$2,$3)",
                       ASSENT_PARAMS(id, account, "1.00"), 1);
    assent_request_add(request, "payment",
                       "UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2",
                       ASSENT_PARAMS(account, "1.00"), 1);
    assent_request_add(request, "payment",
                       "INSERT INTO payments(id, account, amount) VALUES ($1,$2,$3)",
                       ASSENT_PARAMS(id, account, "1.00"), ASSENT_ANY_ROWS);
    assent_request_set_key(request, id);
    assent_request_set_timeout_ms(request, 30000);
    assent_request_set_ack(request, run->decided ? ASSENT_ACK_DECIDED : ASSENT_ACK_COMPLETED);
    struct flight *flight = alloc_zeroed(sizeof(*flight));
    flight->run = run;
    flight->begun = bench_now();
    int error = assent_submit_async(run->client, request, flight_done, flight);
    assent_request_free(request);
    if (error != ASSENT_OK) {
        fprintf(stderr, "bench: %s\n", assent_error_text(error));
        run->round.failed++;
        free(flight);
    }
}

bool assent_round(const char *address, bool decided, size_t clients, double seconds,
                  struct round *ret_round)
{
    struct run run = {.decided = decided, .seconds = seconds};
    if (assent_client_open(address, &run.client) != ASSENT_OK) {
        return false;
    }
    run.start = bench_now();
    for (size_t i = 0; i < clients; i++) {
        flight_start(&run);
    }
    while (assent_client_in_flight(run.client) > 0) {
        assent_client_wait(run.client, 1000);
    }
    run.round.seconds = bench_now() - run.start;
    latency_finish(&run.latencies, &run.round);
    assent_client_close(run.client);
    *ret_round = run.round;
    return run.round.failed == 0;
}
