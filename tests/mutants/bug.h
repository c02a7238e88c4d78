/*
 * bug.h - a planted bug: one readable file that says what is broken, which rule breaks, who must notice, and which text
 * to replace by which.
 *
 *     number: 9
 *     title: a timeout aborts after the decision was handed to the journal
 *     rules: P-2
 *     expected: S X
 *     spec: test_coord_commit test_coord_random
 *     sim: --seeds 1..2000
 *
 *     Any text: why this is a mistake that somebody could make.
 *
 *     --- in coordinator/core.c
 *     old text, which occurs exactly once
 *     --- becomes
 *     new text
 *     --- end
 *
 * Text and not line numbers, so that a bug survives changes around it; when it no longer applies, the change that moved
 * the code has to say what became of the bug. Called by planted.c and main.c; knows nothing of building or running.
 */
#ifndef ASSENT_TESTS_MUTANTS_BUG_H
#define ASSENT_TESTS_MUTANTS_BUG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "tests/mutants/stage.h"

struct bug_change {
    char *file; /* relative to the tree */
    char *old_text, *new_text;
};

struct bug {
    unsigned number;
    char *name; /* of its file, without .bug */
    char *title, *rules;
    char *expected; /* letters of the stages that must notice, see stage.h */
    char *awaits;   /* a file that must exist before the bug means anything; NULL: none */
    char *stages[STAGE_COUNT]; /* what to run there; NULL: nothing */
    size_t change_count;
    struct bug_change *changes;
};

struct bug_list {
    size_t count;
    struct bug *bugs; /* by number */
};

/* Reads every *.bug of a folder. A file that is not as above, or a number used twice, is an error. *ret_list is owned. */
bool bug_list_read(const char *folder, struct bug_list *ret_list, struct error *ret_error);
void bug_list_free(struct bug_list *list);

/* One file's text; borrows everything. *ret_bug is owned by the caller, see bug_done. */
bool bug_parse(const char *name, const char *text, struct bug *ret_bug, struct error *ret_error);
void bug_done(struct bug *bug);

/* The file that the bug waits for is not in the tree yet. */
bool bug_is_early(const struct bug *bug, const char *tree);

/* Does every change still apply? Changes nothing. */
bool bug_check(const struct bug *bug, const char *tree, struct error *ret_error);

/* Writes the changed files; undone by restoring them from the source (tree_restore). */
bool bug_apply(const struct bug *bug, const char *tree, struct error *ret_error);

#endif
