/* options.c - see options.h. */
#include "tests/mutants/options.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"

/* How much of all a profile runs. */
#define CI_PLANTED_EVERY   7
#define CI_AUTOMATIC_EVERY 16
#define CI_TIME_SIM_S      10
#define CI_SEEDS           200
#define TIME_SIM_S         60

enum option_key {
    OPTION_JOBS = 'j',
    OPTION_JSON = 'J',
    OPTION_PLANTED = 256,
    OPTION_AUTOMATIC,
    OPTION_BUG,
    OPTION_MUTANT,
    OPTION_LIST,
    OPTION_CHECK,
    OPTION_NAMED,
    OPTION_TIME_SIM,
    OPTION_UNTIL,
    OPTION_SEEDS,
    OPTION_WORK,
    OPTION_SOURCE,
    OPTION_PROFILE,
};

static const struct argp_option option_list[] = {
    {NULL, 0, NULL, 0, "What", 1},
    {"planted", OPTION_PLANTED, NULL, 0, "Only the planted bugs", 1},
    {"automatic", OPTION_AUTOMATIC, NULL, 0, "Only the automatic mutants of the cores", 1},
    {"bug", OPTION_BUG, "N", 0, "Only the planted bug of this number (may be repeated)", 1},
    {"mutant", OPTION_MUTANT, "K", 0, "Only the automatic mutant of this number (may be repeated)",
     1},
    {"profile", OPTION_PROFILE, "NAME", 0,
     "ci (a sample, about a minute), nightly (everything; the default), or release (everything, "
     "and each planted bug "
     "must be noticed by one of the stages named for it)",
     1},
    {"named", OPTION_NAMED, NULL, 0,
     "Go on until one of the stages named for a planted bug has noticed it", 1},
    {NULL, 0, NULL, 0, "Instead of running", 2},
    {"list", OPTION_LIST, NULL, 0, "Print the planted bugs and the mutants, and leave", 2},
    {"check", OPTION_CHECK, NULL, 0,
     "Only check that every planted bug and every line of survivors.txt still fits the sources", 2},
    {NULL, 0, NULL, 0, "How", 3},
    {"jobs", OPTION_JOBS, "N", 0,
     "Mutants, or compilers, at once (default: the number of processors)", 3},
    {"time-sim", OPTION_TIME_SIM, "S", 0,
     "Seconds of simulation for each mutant that tests let live (default 60; 0: none)", 3},
    {"until", OPTION_UNTIL, "PHASE", 0,
     "How far to go with automatic mutants: spec, random, sim (the default)", 3},
    {"seeds", OPTION_SEEDS, "N", 0,
     "Seeds for the tests with random events (default: as many as they have)", 3},
    {"source", OPTION_SOURCE, "DIR", 0, "The source tree (default: the one this was built from)",
     3},
    {"work", OPTION_WORK, "DIR", 0,
     "Copies and builds go there and are kept, so that the next run is quick (default: a temporary "
     "folder)",
     3},
    {"json", OPTION_JSON, NULL, 0, "Print JSON", 3},
    {0},
};

#define NUMBER_MAX 1000000
#define JOBS_MAX   256

/* What an option takes, in words. */
static const struct {
    enum option_key key;
    const char *name, *takes;
} values[] = {
    {OPTION_BUG, "--bug", "the number of a planted bug, as --list has them"},
    {OPTION_MUTANT, "--mutant", "the number of an automatic mutant, as --list has them"},
    {OPTION_TIME_SIM, "--time-sim", "seconds: a number, 0 for none"},
    {OPTION_SEEDS, "--seeds", "a number, 1 or more"},
    {OPTION_UNTIL, "--until", "spec, random or sim"},
    {OPTION_JOBS, "--jobs", "a number from 1 to 256"},
    {OPTION_PROFILE, "--profile", "ci, nightly or release"},
};

static bool parse_number(const char *text, unsigned long least, unsigned *ret_number)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || number < least || number > NUMBER_MAX) {
        return false;
    }
    *ret_number = (unsigned)number;
    return true;
}

static bool add_number(const char *text, unsigned **numbers, size_t *count)
{
    unsigned number = 0;
    if (!parse_number(text, 1, &number)) {
        return false;
    }
    *numbers = alloc_resize(*numbers, *count + 1, sizeof(unsigned));
    (*numbers)[(*count)++] = number;
    return true;
}

static bool parse_profile(struct options *options, const char *name)
{
    if (strcmp(name, "ci") == 0) {
        options->planted_every = CI_PLANTED_EVERY;
        options->automatic_every = CI_AUTOMATIC_EVERY;
        options->time_sim_s = CI_TIME_SIM_S;
        options->seeds = CI_SEEDS;
        return true;
    }
    options->named = options->named || strcmp(name, "release") == 0;
    return strcmp(name, "nightly") == 0 || strcmp(name, "release") == 0;
}

static bool parse_until(struct options *options, const char *name)
{
    for (int phase = PHASE_SPEC; phase < PHASE_COUNT; phase++) {
        if (strcmp(name, phase_name((enum phase)phase)) == 0) {
            options->until = (enum phase)phase;
            return true;
        }
    }
    return false;
}

static bool parse_value(int key, const char *value, struct options *options)
{
    switch (key) {
    case OPTION_BUG:
        return add_number(value, &options->bugs, &options->bug_count);
    case OPTION_MUTANT:
        return add_number(value, &options->mutants, &options->mutant_count);
    case OPTION_TIME_SIM:
        return parse_number(value, 0, &options->time_sim_s);
    case OPTION_SEEDS:
        return parse_number(value, 1, &options->seeds);
    case OPTION_UNTIL:
        return parse_until(options, value);
    case OPTION_JOBS:
        return parse_number(value, 1, &options->jobs) && options->jobs <= JOBS_MAX;
    case OPTION_PROFILE:
        return parse_profile(options, value);
    case OPTION_WORK:
        options->work = value;
        return true;
    default:
        options->source = value;
        return true;
    }
}

static void refuse_value(int key, const char *value, struct argp_state *state)
{
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if ((int)values[i].key == key) {
            argp_error(state, "%s takes %s, not `%s`", values[i].name, values[i].takes, value);
        }
    }
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case OPTION_PLANTED:
        options->planted = true;
        return 0;
    case OPTION_AUTOMATIC:
        options->automatic = true;
        return 0;
    case OPTION_LIST:
        options->list = true;
        return 0;
    case OPTION_CHECK:
        options->check = true;
        return 0;
    case OPTION_NAMED:
        options->named = true;
        return 0;
    case OPTION_JSON:
        options->json = true;
        return 0;
    case OPTION_BUG:
    case OPTION_MUTANT:
    case OPTION_TIME_SIM:
    case OPTION_UNTIL:
    case OPTION_SEEDS:
    case OPTION_WORK:
    case OPTION_SOURCE:
    case OPTION_PROFILE:
    case OPTION_JOBS:
        if (!parse_value(key, value, options)) {
            refuse_value(key, value, state);
        }
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "`%s`: only options are taken", value);
        return 0;
    case ARGP_KEY_END:
        if (options->check && (options->list || options->mutant_count > 0)) {
            argp_error(state,
                       "--check goes with neither --list nor --mutant: it looks at the whole of "
                       "survivors.txt");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_list,
    .parser = parse_option,
    .doc = "Breaks the code in a copy of the source tree and sees which tests notice: planted bugs "
           "one by one, and "
           "automatic mutants of the cores' conditions.\v"
           "Exit codes: 0 every bug caught and no survivor without a reason, 1 not so, 64 usage, "
           "69 the source tree or a "
           "tool is missing, 71 it could not be run.",
};

static void choose(struct options *options)
{
    if (options->bug_count > 0) {
        options->planted = true;
        options->planted_every = 0;
    }
    options->automatic = options->automatic || options->mutant_count != 0;
    if (!options->planted && !options->automatic) {
        options->planted = true;
        options->automatic = true;
    }
    if (options->jobs == 0) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        options->jobs = processors > 0 ? (unsigned)processors : 1;
    }
}

void options_parse(int argc, char **argv, struct options *ret_options)
{
    *ret_options =
        (struct options){.source = ASSENT_SOURCE_DIR, .time_sim_s = TIME_SIM_S, .until = PHASE_SIM};
    (void)argp_parse(&parser, argc, argv, 0, NULL, ret_options);
    choose(ret_options);
}

void options_done(struct options *options)
{
    free(options->bugs);
    free(options->mutants);
}
