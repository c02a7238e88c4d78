/*
 * schema.h - automatic mutants: every condition, comparison and logical operator of a C file, changed in place so that
 * one build holds all mutants and an environment variable chooses one (mutant schemata: Untch, Offutt, Harrold 1993).
 *
 *   written                becomes                                                   mutants
 *   if (a), a ? :, loops   if (((!!(a)) ^ MUTANT(k)))                                the condition is negated
 *   a == b, a != b         ((a == b) ^ MUTANT(k))                                    negated
 *   a < b and the like     MUTANT_COMPARE(k, (a), <, >=, <=, (b))                    negated; off by one (k + 1)
 *   a && b                 (!!(a) || MUTANT(k)) && (!!(b) || MUTANT(k + 1))          left or right side left out
 *   a || b                 (!!(a) && !MUTANT(k)) || (!!(b) && !MUTANT(k + 1))        the same
 *
 * MUTANT(k) also notes that it was asked, and the sides of && and || are asked only where leaving them out would make a
 * difference: a test that never asks for k cannot kill mutant k, and need not be run for it.
 *
 * Left alone: what lies inside a macro (CHECK and its expression among them), static initialisers, and the arguments of
 * calls that make texts for people (notices, notes, snprintf). libclang finds the places; the text is edited by offsets,
 * so lines stay where they were.
 */
#ifndef ASSENT_TESTS_MUTANTS_SCHEMA_H
#define ASSENT_TESTS_MUTANTS_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum mutation {
    MUTATION_NEGATED = 1, /* a condition or comparison */
    MUTATION_BOUNDARY,    /* < becomes <=, and so on */
    MUTATION_NO_LEFT,
    MUTATION_NO_RIGHT,
};

struct mutant {
    unsigned number; /* what ASSENT_MUTANT names; from 1; changes with every edit of the sources */
    char *file, *function;
    unsigned line;
    enum mutation mutation;
    char *site;          /* its text, white space made single */
    unsigned occurrence; /* 1: the first such site of the function */
};

struct mutant_list {
    size_t count;
    struct mutant *mutants;
};

void mutant_list_free(struct mutant_list *list);
const char *mutation_text(enum mutation mutation);

/* Parses `file` (relative to `tree`, where headers are found, and below `build` the generated ones), adds its mutants to
 * the list and gives the changed text, which includes "common/mutant.h". Returns owned. */
bool schema_rewrite(const char *tree, const char *build, const char *file, struct mutant_list *list,
                    char **ret_text, struct error *ret_error);

/* The two pieces of code that the rewritten files need: the header, and what is added to one source file that is linked
 * into everything. Return owned. */
char *schema_header(void);
char *schema_switch(size_t mutant_count);

#endif
