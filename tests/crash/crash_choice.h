/*
 * crash_choice.h - which cells of the table are run: a profile, or those that were named. Called by
 * crash_matrix.c only.
 */
#ifndef ASSENT_TESTS_CRASH_CRASH_CHOICE_H
#define ASSENT_TESTS_CRASH_CRASH_CHOICE_H

#include "tests/crash/crash_cells.h"

enum crash_profile {
    PROFILE_CI = 1,  /* every point, in a share of ./check */
    PROFILE_NIGHTLY, /* all deaths, and zombies in the flows that matter most */
    PROFILE_RELEASE, /* all cells */
};

/* What the command line names; texts are borrowed. Options of one kind add up, those of different
 * kinds narrow down. With none of them the profile chooses. */
struct crash_choice {
    enum crash_profile profile;
    const char **points, **cells, **flows, **actions; /* owned arrays */
    size_t point_count, cell_count, flow_count, action_count;
};
void crash_choice_done(struct crash_choice *choice);

bool crash_choice_is_selection(const struct crash_choice *choice);
const char *crash_choice_text(const struct crash_choice *choice);

/* ret_chosen is by cell, owned. An error if something named is not there. */
bool crash_choose(const struct crash_choice *choice, const struct crash_table *table,
                  bool **ret_chosen, size_t *ret_count, struct error *ret_error);

/* The chosen ones in the order in which they are best run: those on the wire first, for they need stacks of
 * their own; then what sleeps longest, so that no stack is left alone with it at the end. Returns
 * owned. */
size_t *crash_choice_order(const struct crash_table *table, const bool *chosen, size_t count);

#endif
