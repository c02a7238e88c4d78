/*
 * crash_pool.h - runs cells on several stacks at once, each in a process of its own.
 *
 * Called by crash_matrix.c. A worker process makes a stack (clusters, daemons, folder), runs the
 * cells that it is handed one after another, and at the end compares all that was sold on it. After
 * a red cell its stack is thrown away: nobody knows what is left in it. Knows nothing of reports.
 */
#ifndef ASSENT_TESTS_CRASH_CRASH_POOL_H
#define ASSENT_TESTS_CRASH_CRASH_POOL_H

#include "tests/crash/crash_cells.h"

struct crash_result {
    bool ran, green;
    uint64_t heal_ms; /* from the victim's restart until everything is whole */
    uint64_t run_ms;  /* the whole cell */
    char *error;      /* owned; NULL if green */
    char *logs;       /* owned; what the daemons said since the cell began; NULL if green */
};
void crash_result_done(struct crash_result *result);

struct crash_pool_options {
    const struct crash_table *table;
    const size_t *order; /* indices of cells, in the order in which they are handed out */
    size_t count;
    unsigned jobs;
    bool stop_at_red;
    /* Called for every cell that is over; lends the result until it returns. */
    void (*on_result)(void *user, size_t cell, const struct crash_result *result);
    /* Something beside a cell is red: an audit, a worker that died. */
    void (*on_trouble)(void *user, const char *text);
    void *user;
};

/* SIGINT and SIGTERM let the cells that run come to their end and remove what was made; false then,
 * and where no worker could be started. */
bool crash_pool_run(const struct crash_pool_options *options, struct error *ret_error);

/* --- inside (crash_worker.c) ------------------------------------------------------------------- */

#define CRASH_LOGS_BYTES ((size_t)48 * 1024)

/* What a worker says about a cell, or (beside is true) that something beside its cells is red: this,
 * and logs_bytes behind it, in one packet. */
struct crash_message {
    bool beside, green;
    uint32_t cell;
    uint64_t heal_ms, run_ms;
    char error[ERROR_TEXT_SIZE];
    uint32_t logs_bytes;
};

/* A worker's main: cells come as uint32_t on the packet socket until it is shut down. */
void crash_worker_main(const struct crash_table *table, int socket);

#endif
