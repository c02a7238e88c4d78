/* options.h - the command line of `assent-fault mutants`. Called by main.c; parsing errors end the process as argp does. */
#ifndef ASSENT_TESTS_MUTANTS_OPTIONS_H
#define ASSENT_TESTS_MUTANTS_OPTIONS_H

#include "tests/mutants/automatic.h"

struct options {
    bool planted, automatic, list, check, named, json;
    unsigned *bugs, *mutants; /* numbers that were asked for; owned */
    size_t bug_count, mutant_count;
    unsigned jobs, planted_every, automatic_every, time_sim_s, seeds;
    enum phase until;
    const char *work; /* NULL: a folder for this run alone */
    const char *source;
};

/* With defaults for what was not said: both kinds, all of them, as many jobs as there are processors. */
void options_parse(int argc, char **argv, struct options *ret_options);
void options_done(struct options *options);

#endif
