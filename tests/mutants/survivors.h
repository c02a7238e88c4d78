/*
 * survivors.h - survivors.txt: the automatic mutants that no test kills, each with a reason. A mutant is named by file,
 * function, the text of the place and what was done to it, not by a number or a line:
 *
 *     coordinator/core_vote.c vote_no: `unknown && vote->gid.attempt != 0` without its left side
 *         equivalent: why no test could tell it from the right code
 *
 * The second such place of a function has "(2)" behind the text. A reason begins with its kind:
 *
 *     equivalent    nothing that the core says or does can differ
 *     redundant     another line of the same core, or the other side's core, makes up for it; both are wanted
 *     pace          only when something happens, or how often, or how much memory it takes
 *     text          only a notice, a log line, a counter
 *     open          a test is missing
 *
 * Only `equivalent` ones are left out of the rate.
 */
#ifndef ASSENT_TESTS_MUTANTS_SURVIVORS_H
#define ASSENT_TESTS_MUTANTS_SURVIVORS_H

#include "tests/mutants/schema.h"

struct survivor {
    char *name, *reason;
    bool is_equivalent;
    bool is_met; /* there is such a mutant */
};

struct survivor_list {
    size_t count;
    struct survivor *survivors;
};

bool survivors_read(const char *path, struct survivor_list *ret_list, struct error *ret_error);
bool survivors_parse(const char *text, struct survivor_list *ret_list, struct error *ret_error);
void survivors_free(struct survivor_list *list);

/* How a mutant is named in the list. Returns owned. */
char *survivor_name(const struct mutant *mutant);

/* NULL: it is not in the list. Marks it as met. */
struct survivor *survivors_find(struct survivor_list *list, const struct mutant *mutant);

#endif
