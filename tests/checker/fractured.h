/*
 * fractured.h - plain reads that saw one branch of a transaction and not yet another.
 */
#ifndef ASSENT_TESTS_CHECKER_FRACTURED_H
#define ASSENT_TESTS_CHECKER_FRACTURED_H

#include "tests/checker/versions.h"

/* Counts them (mode S; that is allowed), and reports reads that did not see what had been completed before
 * they were sent (which is not), and intermediate reads. */
void fractured_count(const struct history *history, struct report *report,
                     const struct versions *versions);

#endif
