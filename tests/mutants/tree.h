/*
 * tree.h - a copy of the source tree with a build of its own, in which code is broken on purpose. The source itself is only
 * read.
 */
#ifndef ASSENT_TESTS_MUTANTS_TREE_H
#define ASSENT_TESTS_MUTANTS_TREE_H

#include <stdint.h>

#include "common/error.h"
#include "tests/mutants/words.h"

struct tree {
    char *source; /* never written */
    char *copy, *build, *log;
    unsigned jobs;
    struct words targets; /* what the build could make */
};

/* How the copy is built: as in a release (but quicker), or with AddressSanitizer and UndefinedBehaviorSanitizer, which see
 * a step past an array's end that changes nothing else. */
enum tree_build { TREE_PLAIN = 1, TREE_SANITIZED };

/* Copies (all but the files in `kept`) and configures; the folder `work` may hold both from an earlier run. */
bool tree_open(const char *source, const char *work, const char *const *kept, enum tree_build build,
               unsigned jobs, struct tree *ret_tree, struct error *ret_error);
void tree_close(struct tree *tree);

bool tree_has_target(const struct tree *tree, const char *name);
bool tree_make(const struct tree *tree, const struct words *targets, struct error *ret_error);
bool tree_restore(const struct tree *tree, const char *file, struct error *ret_error);

/* A program of the build: bin/NAME or tests/bin/NAME, whichever there is. Returns owned. */
char *tree_program(const struct tree *tree, const char *name);

struct run {
    int exit_code; /* -1: ended by a signal, or did not end */
    bool is_stuck; /* killed at its deadline */
    uint64_t took_ms;
};

/* Runs a program to its end, output into the file `output` (made anew). env: see process.h. False: not started. */
bool tree_run(const char *const *argv, const char *const *env, const char *output,
              uint64_t timeout_ms, struct run *ret_run, struct error *ret_error);

/* The first line of an output that says what went wrong, or the last one. */
void tree_evidence(const char *output, char *ret_text, size_t text_size);

#endif
