/* bench_bare.c - what a very good engineer would write by hand, without a decision log: fast, and unsafe. */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/bench/bench_commit.h"

enum lane_state { LANE_PREPARE = 0, LANE_COMMIT };

struct lane { /* one transaction at a time over two connections */
    PGconn *conns[2];
    bool syncing[2]; /* waits for the end of this connection's pipeline */
    enum lane_state state;
    uint64_t number;
    double begun;
    bool failed;
};

static PGconn *bare_connect(const char *conninfo, bool is_order)
{
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "bench: %s", PQerrorMessage(conn));
        PQfinish(conn);
        return NULL;
    }
    PQclear(PQprepare(conn, "begin", "BEGIN", 0, NULL));
    if (is_order) {
        PQclear(PQprepare(conn, "order",
                          "INSERT INTO orders(id, customer, amount) VALUES ($1,$2,$3)", 0, NULL));
    } else {
        PQclear(PQprepare(
            conn, "update",
            "UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2", 0, NULL));
        PQclear(PQprepare(conn, "payment",
                          "INSERT INTO payments(id, account, amount) VALUES ($1,$2,$3)", 0, NULL));
    }
    PQsetnonblocking(conn, 1);
    PQenterPipelineMode(conn);
    return conn;
}

static void lane_send_end(struct lane *lane, int side, const char *verb)
{
    char sql[160];
    snprintf(sql, sizeof(sql), "%s 'bare-%d-%llu-%d'", verb, (int)getpid(),
             (unsigned long long)lane->number, side);
    PQsendQueryParams(lane->conns[side], sql, 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(lane->conns[side]);
    PQflush(lane->conns[side]);
    lane->syncing[side] = true;
}

static void lane_begin(struct lane *lane)
{
    char id[32];
    char account[16];
    lane->number = bench_next();
    lane->begun = bench_now();
    lane->state = LANE_PREPARE;
    lane->failed = false;
    snprintf(id, sizeof(id), "b%llu", (unsigned long long)lane->number);
    snprintf(account, sizeof(account), "%llu",
             (unsigned long long)(lane->number * 7919 % BENCH_ACCOUNTS));
    const char *order[] = {id, account, "1.00"};
    const char *update[] = {account, "1.00"};
    const char *payment[] = {id, account, "1.00"};
    PQsendQueryPrepared(lane->conns[0], "begin", 0, NULL, NULL, NULL, 0);
    PQsendQueryPrepared(lane->conns[0], "order", 3, order, NULL, NULL, 0);
    lane_send_end(lane, 0, "PREPARE TRANSACTION");
    PQsendQueryPrepared(lane->conns[1], "begin", 0, NULL, NULL, NULL, 0);
    PQsendQueryPrepared(lane->conns[1], "update", 2, update, NULL, NULL, 0);
    PQsendQueryPrepared(lane->conns[1], "payment", 3, payment, NULL, NULL, 0);
    lane_send_end(lane, 1, "PREPARE TRANSACTION");
}

/* Reads what is there; true once the connection's pipeline is complete. */
static bool lane_read(struct lane *lane, int side)
{
    PGconn *conn = lane->conns[side];
    if (PQconsumeInput(conn) == 0) {
        lane->failed = true;
        return true;
    }
    while (PQisBusy(conn) == 0) {
        PGresult *result = PQgetResult(conn);
        if (result == NULL) {
            if (PQisBusy(conn) == 0) {
                continue; /* between two statements of the pipeline */
            }
            return false;
        }
        ExecStatusType status = PQresultStatus(result);
        PQclear(result);
        if (status == PGRES_PIPELINE_SYNC) {
            return true;
        }
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
            lane->failed = true;
        }
    }
    return false;
}

/* True when the transaction is over. */
static bool lane_advance(struct lane *lane)
{
    if (lane->syncing[0] || lane->syncing[1]) {
        return false;
    }
    if (lane->state == LANE_PREPARE && !lane->failed) {
        lane->state = LANE_COMMIT;
        lane_send_end(lane, 0, "COMMIT PREPARED");
        lane_send_end(lane, 1, "COMMIT PREPARED");
        return false;
    }
    return true;
}

static void bare_poll(struct lane *lanes, size_t clients, struct pollfd *fds)
{
    for (size_t i = 0; i < clients * 2; i++) {
        const struct lane *lane = &lanes[i / 2];
        fds[i].fd = lane->syncing[i % 2] ? PQsocket(lane->conns[i % 2]) : -1;
        fds[i].events = POLLIN;
    }
    poll(fds, clients * 2, 1000);
}

bool bare_round(const char *order_conninfo, const char *payment_conninfo, size_t clients,
                double seconds, struct round *ret_round)
{
    struct lane *lanes = alloc_array(clients, sizeof(*lanes));
    struct pollfd *fds = alloc_array(clients * 2, sizeof(*fds));
    struct latencies latencies = {0};
    struct round round = {0};
    bool ok = true;
    for (size_t i = 0; i < clients; i++) {
        lanes[i].conns[0] = bare_connect(order_conninfo, true);
        lanes[i].conns[1] = bare_connect(payment_conninfo, false);
        ok = ok && lanes[i].conns[0] != NULL && lanes[i].conns[1] != NULL;
    }
    double start = bench_now();
    size_t running = ok ? clients : 0;
    for (size_t i = 0; i < running; i++) {
        lane_begin(&lanes[i]);
    }
    while (running > 0) {
        bare_poll(lanes, clients, fds);
        for (size_t i = 0; i < clients * 2; i++) {
            struct lane *lane = &lanes[i / 2];
            if ((fds[i].revents & (POLLIN | POLLERR | POLLHUP)) == 0 || !lane->syncing[i % 2] ||
                !lane_read(lane, (int)(i % 2))) {
                continue;
            }
            lane->syncing[i % 2] = false;
            if (!lane_advance(lane)) {
                continue;
            }
            double now = bench_now();
            latency_add(&latencies, (now - lane->begun) * 1e6);
            round.committed += lane->failed ? 0 : 1;
            round.failed += lane->failed ? 1 : 0;
            if (now - start < seconds && !lane->failed) {
                lane_begin(lane);
            } else {
                running--;
            }
        }
    }
    round.seconds = bench_now() - start;
    latency_finish(&latencies, &round);
    for (size_t i = 0; i < clients; i++) {
        PQfinish(lanes[i].conns[0]);
        PQfinish(lanes[i].conns[1]);
    }
    free(lanes);
    free(fds);
    *ret_round = round;
    return ok;
}
