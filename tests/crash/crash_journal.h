/*
 * crash_journal.h - lets time pass in a journal whose coordinator is dead.
 *
 * Retention counts hours of running time that are kept in the journal itself (P-13). A test can not
 * wait for hours; it writes what a coordinator would have written after them.
 */
#ifndef ASSENT_TESTS_CRASH_CRASH_JOURNAL_H
#define ASSENT_TESTS_CRASH_CRASH_JOURNAL_H

#include "tests/lib/stack.h"

/* The one live transaction of the journal ends, two hours of running time later, in a new epoch:
 * all that ended before is then older than the least retention period of one hour. */
bool crash_journal_age(struct stack *stack, struct error *ret_error);

#endif
