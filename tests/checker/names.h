/*
 * names.h - two tables: strings to small numbers, and pairs of integers to small numbers.
 *
 * Numbers are given in the order of first sight, from 0. NAME_NONE stands for "no name".
 */
#ifndef ASSENT_TESTS_CHECKER_NAMES_H
#define ASSENT_TESTS_CHECKER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/checker/vec.h"

#define NAME_NONE UINT32_MAX

struct names {
    VEC_OF(size_t) starts; /* of each name in text */
    char *text;            /* all names, each ended by NUL */
    size_t text_length, text_size;
    uint32_t *slots; /* open addressing; NAME_NONE is free */
    size_t slot_count;
};

/* The number of a name, a new one if it is new. */
uint32_t names_add(struct names *names, const char *text);

/* NAME_NONE if it is not there. */
uint32_t names_find(const struct names *names, const char *text);

/* Lends until the next names_add. "-" for NAME_NONE. */
const char *names_text(const struct names *names, uint32_t name);

void names_done(struct names *names);

struct pair {
    uint64_t first, second;
};

struct pairs {
    VEC_OF(struct pair) list;
    uint32_t *slots;
    size_t slot_count;
};

/* The number of a pair; *ret_new tells whether it is a new one. */
uint32_t pairs_add(struct pairs *pairs, uint64_t first, uint64_t second, bool *ret_new);

/* NAME_NONE if it is not there. */
uint32_t pairs_find(const struct pairs *pairs, uint64_t first, uint64_t second);

void pairs_done(struct pairs *pairs);

#endif
