/* planted.h - breaks the code by each planted bug in turn and asks the stages that should notice, cheapest first. */
#ifndef ASSENT_TESTS_MUTANTS_PLANTED_H
#define ASSENT_TESTS_MUTANTS_PLANTED_H

#include "tests/mutants/bug.h"
#include "tests/mutants/tree.h"

struct planted_options {
    size_t only_count;
    const unsigned *only; /* numbers; none: all */
    unsigned
        every; /* of those that spec tests notice, each n-th, and by these alone; 0: all bugs by all stages */
    bool named; /* go on until a stage with one of the bug's letters has noticed it too */
    unsigned jobs;
    const char *work;
};

enum planted_verdict {
    PLANTED_CAUGHT = 1,
    PLANTED_NOT_BY_NAMED, /* caught, but --named, and none of the stages with its letters noticed */
    PLANTED_ESCAPED,
    PLANTED_EARLY,  /* what it breaks is not in this tree yet */
    PLANTED_BROKEN, /* does not apply, does not build, or a stage could not be run */
};

struct planted_row {
    const struct bug *bug;
    enum planted_verdict verdict;
    struct stage_result stages[STAGE_COUNT]; /* verdict 0: not asked */
    struct error error;                      /* PLANTED_BROKEN */
};

struct planted_report {
    size_t count;
    struct planted_row *rows;
};

/* The first that noticed, or STAGE_COUNT. */
enum stage planted_first(const struct planted_row *row);
bool planted_is_named(const struct bug *bug, enum stage stage);

/* False if nothing could be run (no copy, the right code does not pass). *ret_report is owned; it borrows the bugs. */
bool planted_run(const char *source, const struct bug_list *bugs,
                 const struct planted_options *options, struct planted_report *ret_report,
                 struct error *ret_error);
void planted_report_free(struct planted_report *report);

#endif
