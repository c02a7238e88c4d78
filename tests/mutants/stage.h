/*
 * stage.h - what can notice a bug, in the order of cost.
 *
 * The letters are those by which tests/mutants/README.md says who must notice a bug: S the model under spin, R the
 * simulator by seed, X the exhaustive one, M real servers (spec tests against PostgreSQL, the fault matrix, whole stacks),
 * E the checker's cycles, U unit and spec tests without a database. The last may notice any bug, but one that a rule of the
 * protocol is about should be noticed by those who know only the rules: U is named where none of them can.
 */
#ifndef ASSENT_TESTS_MUTANTS_STAGE_H
#define ASSENT_TESTS_MUTANTS_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum stage {
    STAGE_SPEC = 0,    /* names of tests that need no database */
    STAGE_MODEL,       /* switches of a model, for tests/model/check_model.sh */
    STAGE_SIM,         /* arguments for assent-fault-sim */
    STAGE_EXPLORE,     /* arguments for assent-fault-explore */
    STAGE_DATABASE,    /* names of tests against a real PostgreSQL */
    STAGE_MATRIX,      /* arguments for assent-fault-matrix */
    STAGE_INTEGRATION, /* names of tests with whole stacks */
    STAGE_CHECK,       /* arguments for assent-fault-run, whose history is checked */
    STAGE_COUNT,
};

const char *stage_name(enum stage stage);
char stage_letter(enum stage stage);
bool stage_letter_is_known(char letter);

struct tree; /* tree.h */

enum stage_verdict {
    STAGE_PASSED = 1, /* it noticed nothing */
    STAGE_CAUGHT,
    STAGE_ABSENT, /* this tree has no such program or test */
};

struct stage_result {
    enum stage_verdict verdict;
    uint64_t took_ms; /* without the build */
    char evidence[200];
};

/* Builds what the stage needs in the tree and runs it. False where it could not be run at all. */
bool stage_run(const struct tree *tree, enum stage stage, const char *arguments,
               struct stage_result *ret_result, struct error *ret_error);

/* Is everything that the stage would run there? */
bool stage_is_present(const struct tree *tree, enum stage stage, const char *arguments);

#endif
