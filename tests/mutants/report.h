/* report.h - the tables, as text and as JSON, and what the exit code is. */
#ifndef ASSENT_TESTS_MUTANTS_REPORT_H
#define ASSENT_TESTS_MUTANTS_REPORT_H

#include <jansson.h>

#include "tests/mutants/automatic.h"
#include "tests/mutants/planted.h"

/* Every bug that is there was caught. */
bool report_planted_good(const struct planted_report *report);
void report_planted_text(const struct planted_report *report);
json_t *report_planted_json(const struct planted_report *report); /* returns owned */

struct automatic_sums {
    size_t run, killed, killed_by[PHASE_COUNT];
    size_t stuck;      /* of those killed: did not end */
    size_t equivalent; /* listed as such, and survived */
    size_t listed;     /* survived, listed with another reason */
    size_t unlisted;   /* survived, not listed */
    size_t unasked;    /* of the survivors: no test came by */
    size_t stale;      /* lines of survivors.txt that no mutant fits */
    double rate;       /* killed, of all that were run and are not equivalent */
};

struct automatic_sums report_automatic_sums(const struct automatic_report *report,
                                            const struct survivor_list *survivors);
/* No survivor that is not listed, no stale line, and the rate is reached (a sample has no rate). */
bool report_automatic_good(const struct automatic_sums *sums, bool is_sample);
void report_automatic_text(const struct automatic_report *report,
                           const struct survivor_list *survivors, const struct automatic_sums *sums,
                           bool is_sample);
json_t *report_automatic_json(const struct automatic_report *report,
                              const struct automatic_sums *sums); /* returns owned */

#endif
