/*
 * automatic.h - all automatic mutants of both cores: one build, then for each mutant the tests that ask for it, quickest
 * first, until one fails (or does not end).
 *
 *   spec     the spec tests of that core
 *   random   any events by seed, with the invariants as the oracle
 *   sim      assent-fault-sim for a while, where the tree has it
 *
 * Which tests these are is read from ctest: label `spec`, names test_coord_* and test_agent_*, no database.
 */
#ifndef ASSENT_TESTS_MUTANTS_AUTOMATIC_H
#define ASSENT_TESTS_MUTANTS_AUTOMATIC_H

#include <stdint.h>

#include "tests/mutants/survivors.h"
#include "tests/mutants/words.h"

enum phase { PHASE_SPEC = 1, PHASE_RANDOM, PHASE_SIM, PHASE_COUNT };

const char *phase_name(enum phase phase);

struct automatic_options {
    size_t only_count;
    const unsigned *only; /* numbers; none: all */
    unsigned every;       /* each n-th of those that are not listed; 0: all */
    unsigned time_sim_s;
    enum phase until; /* nothing beyond it */
    unsigned seeds;   /* of the tests with random events; 0: as many as they have */
    unsigned jobs;
    const char *work;
};

struct automatic_row {
    const struct mutant *mutant;
    struct survivor *listed; /* NULL: not in survivors.txt */
    bool was_run, is_asked, is_killed, is_stuck;
    enum phase phase; /* that killed it */
    const char *program;
    uint64_t took_ms;
};

struct automatic_report {
    struct mutant_list mutants;
    struct words programs; /* names that rows point to */
    size_t count;
    struct automatic_row *rows;
    bool has_sim;
};

/* Only finds and numbers them; nothing is built. */
bool automatic_list(const char *source, struct mutant_list *ret_list, struct error *ret_error);

bool automatic_run(const char *source, struct survivor_list *survivors,
                   const struct automatic_options *options, struct automatic_report *ret_report,
                   struct error *ret_error);
void automatic_report_free(struct automatic_report *report);

#endif
