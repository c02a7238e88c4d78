/*
 * bench_commit.h - the two sides of the comparison: the bare client and Assent, over the same clusters.
 *
 * A round keeps `clients` transactions in flight for `seconds` and reports what it saw.
 */
#ifndef ASSENT_TESTS_BENCH_BENCH_COMMIT_H
#define ASSENT_TESTS_BENCH_BENCH_COMMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_ACCOUNTS 10000

struct round {
    uint64_t committed;
    uint64_t failed;
    double seconds;
    double p50_us, p99_us;
};

struct latencies { /* zero-initialised is empty */
    size_t count, capacity;
    double *us;
};

void latency_add(struct latencies *latencies, double us);
/* Sorts, fills p50 and p99, frees. */
void latency_finish(struct latencies *latencies, struct round *round);
double bench_now(void); /* seconds, monotonic */

/* Every transaction of a process gets another number: order id and account are derived from it. */
uint64_t bench_next(void);

/* libpq pipelines and prepared statements, both branches in parallel, no decision log. */
bool bare_round(const char *order_conninfo, const char *payment_conninfo, size_t clients,
                double seconds, struct round *ret_round);

/* libassent, asynchronous, one connection. decided: ack = decided instead of completed. */
bool assent_round(const char *address, bool decided, size_t clients, double seconds,
                  struct round *ret_round);

#endif
