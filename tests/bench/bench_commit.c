/*
 * bench_commit.c - the price of safety, in one run on the same clusters: Assent against the bare client, A B A B ...
 *
 *     bench_commit [--rounds 7] [--seconds 2] [--clients 1,8,32,64] [--decided] [--alone]
 *
 * Prints for each number of clients the medians and the paired ratio with its quartiles, and per transaction journal
 * syncs and CPU: of assentd with both agents, of this program (libassent), and of both PostgreSQL servers. Absolute figures say little on a shared machine; the ratio does.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/bench/bench_commit.h"
#include "tests/lib/stack.h"

#define ROUNDS_MAX 101

double bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

uint64_t bench_next(void)
{
    static uint64_t number;
    return ++number;
}

void latency_add(struct latencies *latencies, double us)
{
    if (latencies->count == latencies->capacity) {
        latencies->capacity = latencies->capacity == 0 ? 4096 : latencies->capacity * 2;
        latencies->us = alloc_resize(latencies->us, latencies->capacity, sizeof(double));
    }
    latencies->us[latencies->count++] = us;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, size_t count, double q)
{
    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof(double), compare_doubles);
    return values[(size_t)((double)(count - 1) * q + 0.5)];
}

void latency_finish(struct latencies *latencies, struct round *round)
{
    round->p50_us = quantile(latencies->us, latencies->count, 0.5);
    round->p99_us = quantile(latencies->us, latencies->count, 0.99);
    free(latencies->us);
    memset(latencies, 0, sizeof(*latencies));
}

/* User and system CPU of a process in seconds; with what its ended children took. */
static double cpu_of(pid_t pid)
{
    char path[64];
    char line[1024] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    const char *read = fgets(line, sizeof(line), file);
    fclose(file);
    const char *after = read == NULL ? NULL : strrchr(line, ')');
    unsigned long own[2] = {0};
    unsigned long ended[2] = {0};
    if (after == NULL ||
        sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", // NOLINT
               &own[0], &own[1], &ended[0], &ended[1]) != 4) {
        return 0;
    }
    return (double)(own[0] + own[1] + ended[0] + ended[1]) / (double)sysconf(_SC_CLK_TCK);
}

/* The same for a postmaster with its backends. */
static double cpu_of_cluster(const struct pgcluster *cluster)
{
    char path[64];
    pid_t pid = pgcluster_pid(cluster);
    double cpu = cpu_of(pid);
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "re");
    int child;
    while (file != NULL && fscanf(file, "%d", &child) == 1) { // NOLINT
        cpu += cpu_of(child);
    }
    if (file != NULL) {
        fclose(file);
    }
    return cpu;
}

static double cpu_of_servers(struct stack *stack)
{
    double cpu = 0;
    for (size_t i = 0; i < stack_participant_count(stack); i++) {
        cpu += cpu_of_cluster(stack_cluster(stack, i));
    }
    return cpu;
}

static double cpu_of_stack(struct stack *stack)
{
    double cpu = cpu_of(stack_daemon_pid(stack_coordinator(stack)));
    for (size_t i = 0; i < stack_participant_count(stack); i++) {
        cpu += cpu_of(stack_daemon_pid(stack_agent(stack, i)));
    }
    return cpu;
}

static double metric_of(struct stack *stack, const char *name)
{
    double value = 0;
    struct error error;
    return stack_metric(stack, name, &value, &error) ? value : 0;
}

static bool prepare_databases(struct stack *stack, struct error *ret_error)
{
    static const char *const order[] = {
        "CREATE TABLE orders(id text PRIMARY KEY, customer text, amount numeric)",
        "GRANT ALL ON orders TO PUBLIC"};
    static const char *const payment[] = {
        "CREATE TABLE accounts(id text PRIMARY KEY, balance numeric CHECK (balance >= 0))",
        "INSERT INTO accounts SELECT i::text, 1000000000 FROM generate_series(0, 9999) i",
        "CREATE TABLE payments(id text PRIMARY KEY, account text, amount numeric)",
        "GRANT ALL ON accounts, payments TO PUBLIC"};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (!stack_sql(stack, 0, order[i], NULL, ret_error)) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof(payment) / sizeof(payment[0]); i++) {
        if (!stack_sql(stack, 1, payment[i], NULL, ret_error)) {
            return false;
        }
    }
    return true;
}

struct options {
    size_t rounds;
    double seconds;
    bool decided;
    bool alone; /* no bare client in between: for profilers */
    char clients[64];
};

static bool compare(struct stack *stack, const struct options *options, size_t clients,
                    const char *order_conninfo, const char *payment_conninfo)
{
    double ratios[ROUNDS_MAX];
    double bare_tps[ROUNDS_MAX];
    double assent_tps[ROUNDS_MAX];
    double bare_p50[ROUNDS_MAX];
    double assent_p50[ROUNDS_MAX];
    double assent_p99[ROUNDS_MAX];
    double cpu = 0;
    double client_cpu = 0;
    double server_cpu = 0;
    double bare_server_cpu = 0;
    double bare_committed = 0;
    double syncs = 0;
    double committed = 0;
    for (size_t i = 0; i < options->rounds; i++) {
        struct round bare = {.committed = 1, .seconds = 1};
        struct round assent;
        double servers_before = cpu_of_servers(stack);
        if (!options->alone &&
            !bare_round(order_conninfo, payment_conninfo, clients, options->seconds, &bare)) {
            return false;
        }
        bare_server_cpu += cpu_of_servers(stack) - servers_before;
        bare_committed += (double)bare.committed;
        servers_before = cpu_of_servers(stack);
        double client_before = cpu_of(getpid());
        double cpu_before = cpu_of_stack(stack);
        double syncs_before = metric_of(stack, "assent_journal_batches_total");
        if (!assent_round(stack_client_address(stack), options->decided, clients, options->seconds,
                          &assent)) {
            return false;
        }
        cpu += cpu_of_stack(stack) - cpu_before;
        client_cpu += cpu_of(getpid()) - client_before;
        server_cpu += cpu_of_servers(stack) - servers_before;
        syncs += metric_of(stack, "assent_journal_batches_total") - syncs_before;
        committed += (double)assent.committed;
        bare_tps[i] = (double)bare.committed / bare.seconds;
        assent_tps[i] = (double)assent.committed / assent.seconds;
        ratios[i] = assent_tps[i] / bare_tps[i];
        bare_p50[i] = bare.p50_us;
        assent_p50[i] = assent.p50_us;
        assent_p99[i] = assent.p99_us;
        fprintf(stderr, "clients %zu round %zu/%zu: bare %.0f/s, assent %.0f/s, ratio %.2f\n",
                clients, i + 1, options->rounds, bare_tps[i], assent_tps[i], ratios[i]);
    }
    size_t n = options->rounds;
    printf("| %zu | %.0f | %.0f | %.2f | %.2f .. %.2f | %.0f | %.0f | %.0f | %.2f | %.0f | %.0f | "
           "%.0f | %.0f |\n",
           clients, quantile(bare_tps, n, 0.5), quantile(assent_tps, n, 0.5),
           quantile(ratios, n, 0.5), quantile(ratios, n, 0.25), quantile(ratios, n, 0.75),
           quantile(bare_p50, n, 0.5), quantile(assent_p50, n, 0.5), quantile(assent_p99, n, 0.5),
           syncs / committed, cpu * 1e6 / committed, client_cpu * 1e6 / committed,
           server_cpu * 1e6 / committed, bare_server_cpu * 1e6 / bare_committed);
    fflush(stdout);
    return true;
}

static bool parse(int count, char **arguments, struct options *options)
{
    static const struct option names[] = {
        {"rounds", required_argument, NULL, 'r'},  {"seconds", required_argument, NULL, 's'},
        {"clients", required_argument, NULL, 'c'}, {"decided", no_argument, NULL, 'd'},
        {"alone", no_argument, NULL, 'a'},         {NULL, 0, NULL, 0}};
    for (int key; (key = getopt_long(count, arguments, "", names, NULL)) != -1;) {
        switch (key) {
        case 'r':
            options->rounds = strtoul(optarg, NULL, 10);
            break;
        case 's':
            options->seconds = strtod(optarg, NULL);
            break;
        case 'c':
            snprintf(options->clients, sizeof(options->clients), "%s", optarg);
            break;
        case 'd':
            options->decided = true;
            break;
        case 'a':
            options->alone = true;
            break;
        default:
            return false;
        }
    }
    return options->rounds >= 1 && options->rounds <= ROUNDS_MAX && options->seconds > 0;
}

int main(int count, char **arguments)
{
    struct options options = {.rounds = 7, .seconds = 2, .clients = "1,8,32,64"};
    if (!parse(count, arguments, &options)) {
        fprintf(stderr,
                "usage: bench_commit [--rounds N] [--seconds S] [--clients 1,8] [--decided] "
                "[--alone]\n");
        return 64;
    }
    struct error error = {0};
    struct stack *stack = NULL;
    struct pgcluster *clusters[2] = {NULL, NULL};
    struct pgcluster_options cluster_options = {.max_prepared_transactions = 500,
                                                .extra_conf = "max_connections = 300\n"};
    struct stack_options stack_options = {.clusters = clusters, .log_level = "warn"};
    if (!pgcluster_new(&cluster_options, &clusters[0], &error) ||
        !pgcluster_new(&cluster_options, &clusters[1], &error) ||
        !stack_new(&stack_options, &stack, &error) || !prepare_databases(stack, &error) ||
        !stack_start(stack, &error)) {
        fprintf(stderr, "bench: %s %s\n", error.text, error.hint);
        stack_free(stack);
        pgcluster_free(clusters[0]);
        pgcluster_free(clusters[1]);
        return 1;
    }
    char *order =
        pgcluster_conninfo_for(stack_cluster(stack, 0), stack_database(stack), "postgres");
    char *payment =
        pgcluster_conninfo_for(stack_cluster(stack, 1), stack_database(stack), "postgres");
    printf("ack = %s, %zu rounds of %.1f s\n\n", options.decided ? "decided" : "completed",
           options.rounds, options.seconds);
    printf("| clients | bare/s | assent/s | ratio | quartiles | bare p50 us | p50 us | p99 us | "
           "journal syncs/txn | daemons' cpu us/txn | client's | PostgreSQL's | PostgreSQL's, bare "
           "|\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    bool ok = true;
    for (char *part = strtok(options.clients, ","); part != NULL && ok; part = strtok(NULL, ",")) {
        ok = compare(stack, &options, strtoul(part, NULL, 10), order, payment);
    }
    free(order);
    free(payment);
    stack_free(stack);
    pgcluster_free(clusters[0]);
    pgcluster_free(clusters[1]);
    return ok ? 0 : 1;
}
