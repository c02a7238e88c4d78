/* look.h - what there is to be said without building and running anything: the lists, and whether they fit the sources. */
#ifndef ASSENT_TESTS_MUTANTS_LOOK_H
#define ASSENT_TESTS_MUTANTS_LOOK_H

#include "tests/mutants/bug.h"
#include "tests/mutants/options.h"
#include "tests/mutants/survivors.h"

/* Is there everything that was asked for by number? Says what there is not. */
bool look_knows(const struct options *options, const struct bug_list *bugs,
                const struct mutant_list *mutants);

void look_list(const struct options *options, const struct bug_list *bugs,
               struct survivor_list *survivors, const struct mutant_list *mutants);

/* Do all planted bugs (or those that were asked for) still apply, and is every place of survivors.txt there? Says what is
 * not so. */
bool look_check(const struct options *options, const struct bug_list *bugs,
                struct survivor_list *survivors, const struct mutant_list *mutants);

#endif
