/* main.c - `assent-fault mutants`: do the tests notice when the code is wrong? Options, and what is run. */
#include <argp.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cli.h"
#include "tests/lib/process.h"
#include "tests/mutants/automatic.h"
#include "tests/mutants/files.h"
#include "tests/mutants/planted.h"
#include "tests/mutants/report.h"

#define PROGRAM "assent-fault-mutants"

/* How much of all a profile runs. */
#define CI_PLANTED_EVERY   7
#define CI_AUTOMATIC_EVERY 16
#define CI_TIME_SIM_S      10
#define CI_SEEDS           200
#define TIME_SIM_S         60

enum option_key {
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

struct options {
    bool planted, automatic, list, check, named, json;
    unsigned *bugs, *mutants;
    size_t bug_count, mutant_count;
    unsigned jobs, planted_every, automatic_every, time_sim_s, seeds;
    enum phase until;
    const char *work, *source;
    bool own_work; /* made here, and removed at the end */
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
    {"jobs", 'j', "N", 0, "Mutants, or compilers, at once (default: the number of processors)", 3},
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
    {"json", 'J', NULL, 0, "Print JSON", 3},
    {0},
};

static bool parse_number(const char *text, unsigned long least, unsigned *ret_number)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || number < least || number > 1000000) {
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
    case 'j':
        return parse_number(value, 1, &options->jobs) && options->jobs <= 256;
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
    case 'J':
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
    case 'j':
        if (!parse_value(key, value, options)) {
            argp_error(state, "`%s` is not what this option takes", value);
        }
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "`%s`: only options are taken", value);
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

/* ---- without running anything ---- */

static bool check_bugs(const char *source, const struct bug_list *bugs)
{
    bool good = true;
    for (size_t i = 0; i < bugs->count; i++) {
        struct error error = {0};
        if (!bug_is_early(&bugs->bugs[i], source) && !bug_check(&bugs->bugs[i], source, &error)) {
            cli_print_error(PROGRAM, &error);
            good = false;
        }
    }
    return good;
}

static bool check_survivors(struct survivor_list *survivors, const struct mutant_list *mutants)
{
    bool good = true;
    for (size_t i = 0; i < mutants->count; i++) {
        (void)survivors_find(survivors, &mutants->mutants[i]);
    }
    for (size_t i = 0; i < survivors->count; i++) {
        if (!survivors->survivors[i].is_met) {
            fprintf(stderr, PROGRAM ": survivors.txt lists a place that is not there: %s\n",
                    survivors->survivors[i].name);
            good = false;
        }
    }
    return good;
}

static void print_list(const struct options *options, const struct bug_list *bugs,
                       const struct mutant_list *mutants)
{
    for (size_t i = 0; i < bugs->count && options->planted; i++) {
        const struct bug *bug = &bugs->bugs[i];
        printf("bug %u (%s; expected by: %s): %s\n", bug->number, bug->rules, bug->expected,
               bug->title);
    }
    for (size_t i = 0; i < mutants->count && options->automatic; i++) {
        char *name = survivor_name(&mutants->mutants[i]);
        printf("mutant %u, line %u: %s\n", mutants->mutants[i].number, mutants->mutants[i].line,
               name);
        free(name);
    }
}

static int look_only(const struct options *options, const struct bug_list *bugs,
                     struct survivor_list *survivors, struct error *ret_error)
{
    struct mutant_list mutants = {0};
    if (options->automatic && !automatic_list(options->source, &mutants, ret_error)) {
        return -1;
    }
    bool good = true;
    if (options->list) {
        print_list(options, bugs, &mutants);
    } else {
        good = !options->planted || check_bugs(options->source, bugs);
        good = (!options->automatic || check_survivors(survivors, &mutants)) && good;
        if (good) {
            printf("%zu planted bugs apply; %zu survivors are where they were, of %zu mutants\n",
                   bugs->count, survivors->count, mutants.count);
        }
    }
    mutant_list_free(&mutants);
    return good ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
}

/* ---- running ---- */

static bool run_planted(const struct options *options, const struct bug_list *bugs, json_t *json,
                        bool *ret_good, struct error *ret_error)
{
    const struct planted_options planted = {
        .only_count = options->bug_count,
        .only = options->bugs,
        .every = options->planted_every,
        .named = options->named,
        .jobs = options->jobs,
        .work = options->work,
    };
    struct planted_report report;
    if (!planted_run(options->source, bugs, &planted, &report, ret_error)) {
        return false;
    }
    *ret_good = report_planted_good(&report) && *ret_good;
    if (options->json) {
        (void)json_object_set_new(json, "planted", report_planted_json(&report));
    } else {
        report_planted_text(&report);
    }
    planted_report_free(&report);
    return true;
}

static bool run_automatic(const struct options *options, struct survivor_list *survivors,
                          json_t *json, bool *ret_good, struct error *ret_error)
{
    const struct automatic_options automatic = {
        .only_count = options->mutant_count,
        .only = options->mutants,
        .every = options->automatic_every,
        .time_sim_s = options->time_sim_s,
        .until = options->until,
        .seeds = options->seeds,
        .jobs = options->jobs,
        .work = options->work,
    };
    bool is_sample = options->mutant_count != 0 || options->automatic_every != 0;
    struct automatic_report report;
    if (!automatic_run(options->source, survivors, &automatic, &report, ret_error)) {
        return false;
    }
    struct automatic_sums sums = report_automatic_sums(&report, survivors);
    *ret_good = report_automatic_good(&sums, is_sample) && *ret_good;
    if (options->json) {
        (void)json_object_set_new(json, "automatic", report_automatic_json(&report, &sums));
    } else {
        report_automatic_text(&report, survivors, &sums, is_sample);
    }
    automatic_report_free(&report);
    return true;
}

static int run(const struct options *options, const struct bug_list *bugs,
               struct survivor_list *survivors, struct error *ret_error)
{
    bool good = true;
    json_t *json = json_object();
    bool ran = (!options->planted || run_planted(options, bugs, json, &good, ret_error)) &&
               (!options->automatic || run_automatic(options, survivors, json, &good, ret_error));
    if (ran && options->json) {
        (void)json_dumpf(json, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    }
    json_decref(json);
    return !ran ? -1 : good ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
}

/* One run at a time in a folder: two would build over each other. */
static bool work_open(struct options *options, int *ret_lock, struct error *ret_error)
{
    static char made[] = "/var/tmp/assent-mutants.XXXXXX";
    if (options->work == NULL) {
        options->work = mkdtemp(made);
        options->own_work = options->work != NULL;
        if (!options->own_work) {
            return error_set(ret_error, ERROR_IO, "cannot make a folder under /var/tmp");
        }
    }
    if (!folder_make(options->work, ret_error)) {
        return false;
    }
    char *path = file_path(options->work, "lock");
    *ret_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (*ret_lock < 0 || flock(*ret_lock, LOCK_EX | LOCK_NB) != 0) {
        return error_set(ret_error, ERROR_LOCKED, "%s is in use by another run", options->work);
    }
    return true;
}

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

static bool read_lists(const struct options *options, struct bug_list *ret_bugs,
                       struct survivor_list *ret_survivors, struct error *ret_error)
{
    char *folder = file_path(options->source, "tests/mutants/planted");
    char *path = file_path(options->source, "tests/mutants/survivors.txt");
    bool good = bug_list_read(folder, ret_bugs, ret_error) &&
                survivors_read(path, ret_survivors, ret_error);
    free(folder);
    free(path);
    return good;
}

static bool knows_bugs(const struct options *options, const struct bug_list *bugs)
{
    for (size_t i = 0; i < options->bug_count; i++) {
        bool known = false;
        for (size_t k = 0; k < bugs->count; k++) {
            known = known || bugs->bugs[k].number == options->bugs[i];
        }
        if (!known) {
            fprintf(stderr, PROGRAM ": there is no planted bug %u; --list names them\n",
                    options->bugs[i]);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options options = {
        .source = ASSENT_SOURCE_DIR, .time_sim_s = TIME_SIM_S, .until = PHASE_SIM};
    struct bug_list bugs = {0};
    struct survivor_list survivors = {0};
    struct error error = {0};
    int lock = -1;
    int status = -1;
    cli_init(PROGRAM);
    (void)argp_parse(&parser, argc, argv, 0, NULL, &options);
    choose(&options);
    if (read_lists(&options, &bugs, &survivors, &error)) {
        if (!knows_bugs(&options, &bugs)) {
            status = EX_USAGE;
        } else if (options.list || options.check) {
            status = look_only(&options, &bugs, &survivors, &error);
        } else if (work_open(&options, &lock, &error)) {
            status = run(&options, &bugs, &survivors, &error);
        }
    }
    if (status < 0) {
        cli_print_error(PROGRAM, &error);
        status = error.kind == ERROR_NOT_FOUND ? EX_UNAVAILABLE : EX_OSERR;
    }
    if (options.own_work) {
        (void)process_remove_folder(options.work, NULL);
    }
    if (lock >= 0) {
        (void)close(lock);
    }
    bug_list_free(&bugs);
    survivors_free(&survivors);
    free(options.bugs);
    free(options.mutants);
    return status;
}
