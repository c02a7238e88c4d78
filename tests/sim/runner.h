/*
 * runner.h - many seeds over several processes: each is run, some twice, some with a canary; failures and coverage are
 * collected in memory that the processes share.
 */
#ifndef ASSENT_SIM_RUNNER_H
#define ASSENT_SIM_RUNNER_H

#include "common/error.h"
#include "tests/sim/coverage.h"

#define RUNNER_FAILURES_MAX 32

struct runner_options {
    uint64_t first, last; /* inclusive */
    uint64_t seconds;     /* 0: no limit */
    unsigned jobs;
    bool wants_progress;   /* a bar on stderr */
    unsigned failures_max; /* stop after so many */
};

struct runner_failure {
    uint64_t seed;
    enum sim_canary canary; /* of a canary that nobody heard */
    char rule[SIM_RULE_SIZE];
    char text[SIM_TEXT_SIZE];
};

struct runner_sums {
    uint64_t seeds, transactions, committed, aborted, events, virtual_ms, heal_max_ms;
    uint64_t holes, excused, twice, canaries;
};

struct runner_result {
    double seconds;
    struct runner_sums sums;
    struct coverage coverage;
    size_t failure_count; /* kept ones */
    uint64_t failures;    /* all */
    bool is_interrupted;  /* by SIGINT or SIGTERM */
    struct runner_failure failures_kept[RUNNER_FAILURES_MAX];
};

bool runner_run(const struct runner_options *options, struct runner_result *ret_result,
                struct error *ret_error);

#endif
