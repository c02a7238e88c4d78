/* suite.h - the programs that may kill an automatic mutant, and which mutants each of them asks for. */
#ifndef ASSENT_TESTS_MUTANTS_SUITE_H
#define ASSENT_TESTS_MUTANTS_SUITE_H

#include "tests/mutants/automatic.h"
#include "tests/mutants/tree.h"

struct suite_program {
    char *name;
    enum phase phase;
    struct words argv;
    struct words env;
    uint64_t
        timeout_ms; /* many times what the right code takes: a mutant that does not end is killed */
    size_t asked_count;
    char *asked; /* one byte per mutant number */
};

struct suite {
    size_t count;
    struct suite_program *programs; /* by phase */
    bool has_sim;
};

/* Finds, builds and runs them once with no mutant active; all must pass. */
bool suite_open(const struct tree *tree, size_t mutant_count,
                const struct automatic_options *options, struct suite *ret_suite,
                struct error *ret_error);
void suite_close(struct suite *suite);

bool suite_asks(const struct suite_program *program, unsigned mutant);

#endif
