/* sim_arguments.h - what the command line of assent-fault sim asks for. */
#ifndef ASSENT_SIM_ARGUMENTS_H
#define ASSENT_SIM_ARGUMENTS_H

#include "tests/sim/runner.h"

#define REPRO_PARENT "tests"
#define REPRO_FOLDER REPRO_PARENT "/repro"

struct profile {
    const char *name;
    uint64_t seconds;
    enum coverage_scope judged; /* what must have been reached, since it is long enough */
};

struct arguments {
    struct runner_options runner;
    bool is_single; /* runner.first, shown */
    bool wants_json, wants_list, wants_save;
    const struct profile *profile;
    enum coverage_scope judged;
    const char *svg_path;
    size_t replay_count;
    const char **replays; /* the array is owned, its texts are lent */
};

/* Ends the process with EX_USAGE where they make no sense. */
void arguments_parse(int argc, char **argv, struct arguments *ret_arguments);
void arguments_done(struct arguments *arguments);

#endif
