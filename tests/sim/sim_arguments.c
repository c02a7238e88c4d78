/* sim_arguments.c - see sim_arguments.h. */
#include "tests/sim/sim_arguments.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cli.h"

#define SECONDS_OTHERWISE 60
#define JOBS_MAX          256

static const struct profile profiles[] = {
    {"ci", 75, COVERAGE_FAULTS_AND_POINTS},
    {"nightly", 3600, COVERAGE_ALL},
    {"release", 8 * 3600, COVERAGE_ALL},
};

enum {
    KEY_SEED = 256,
    KEY_SEEDS,
    KEY_TIME,
    KEY_JSON,
    KEY_SVG,
    KEY_PROFILE,
    KEY_SAVE,
    KEY_REPLAY,
    KEY_LIST
};

static const struct argp_option option_table[] = {
    {"seed", KEY_SEED, "N", 0, "run this seed and show it", 0},
    {"seeds", KEY_SEEDS, "A..B", 0, "run these seeds", 0},
    {"time", KEY_TIME, "60s", 0, "run seeds until the time is over (s, m or h)", 0},
    {"jobs", 'j', "N", 0, "processes [one per processor]", 0},
    {"profile", KEY_PROFILE, "NAME", 0,
     "ci, nightly or release: how long (unless --time says so), and what must have been reached: "
     "every kind of fault and every fault point (ci, unless it is cut short by --time or --seeds), "
     "or everything that --list-coverage shows",
     0},
    {"json", KEY_JSON, NULL, 0, "the result as one JSON object", 0},
    {"svg", KEY_SVG, "FILE", 0, "draw the (first failing) run", 0},
    {"save", KEY_SAVE, NULL, 0, "keep failing runs under " REPRO_FOLDER "/", 0},
    {"replay", KEY_REPLAY, "FILE", 0, "run a kept file again; may be repeated", 0},
    {"list-coverage", KEY_LIST, NULL, 0, "show how often everything was reached", 0},
    {0},
};

struct parsing {
    struct arguments *arguments;
    bool has_range;
    uint64_t seconds; /* 0: not said */
};

static void parse_seeds(struct parsing *parsing, const char *text, struct argp_state *state)
{
    char first[32];
    const char *dots = strstr(text, "..");
    struct runner_options *runner = &parsing->arguments->runner;
    size_t length = dots == NULL ? sizeof(first) : (size_t)(dots - text);
    if (length < sizeof(first)) {
        memcpy(first, text, length);
        first[length] = '\0';
        parsing->has_range =
            cli_parse_number(first, 0, UINT64_MAX - 1, &runner->first) &&
            cli_parse_number(dots + 2, runner->first, UINT64_MAX - 1, &runner->last);
    }
    if (length >= sizeof(first) || !parsing->has_range) {
        argp_error(state, "--seeds: A..B, not '%s'", text);
    }
}

static void parse_profile(struct arguments *arguments, const char *text, struct argp_state *state)
{
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
        if (strcmp(profiles[i].name, text) == 0) {
            arguments->profile = &profiles[i];
            return;
        }
    }
    argp_error(state, "--profile: ci, nightly or release, not '%s'", text);
}

/* One of: a seed, a kept file, many seeds; each with what makes sense for it. Nothing that was said is ignored. */
static void refuse_contradictions(const struct parsing *parsing, struct argp_state *state)
{
    const struct arguments *arguments = parsing->arguments;
    bool is_replay = arguments->replay_count > 0;
    const char *one = is_replay ? "--replay" : "--seed";
    if (!is_replay && !arguments->is_single) {
        return;
    }
    if (is_replay && arguments->is_single) {
        argp_error(state, "--replay and --seed: which of them?");
    } else if (parsing->has_range || parsing->seconds != 0 || arguments->profile != NULL ||
               arguments->wants_list) {
        argp_error(state,
                   "%s runs what it names, once: not with --seeds, --time, --profile or "
                   "--list-coverage",
                   one);
    } else if (is_replay && arguments->wants_save) {
        argp_error(state, "--replay runs what is kept already: not with --save");
    } else if (arguments->replay_count > 1 && arguments->svg_path != NULL) {
        argp_error(state, "--svg draws one run: not with several files");
    }
}

static void arguments_end(const struct parsing *parsing, struct argp_state *state)
{
    struct arguments *arguments = parsing->arguments;
    refuse_contradictions(parsing, state);
    if (arguments->profile != NULL) {
        bool is_own_length = parsing->seconds == 0 && !parsing->has_range;
        arguments->judged = arguments->profile->judged == COVERAGE_ALL || is_own_length
                                ? arguments->profile->judged
                                : COVERAGE_NONE;
    }
    if (parsing->seconds != 0) { /* said itself: wins in whatever order */
        arguments->runner.seconds = parsing->seconds;
    } else if (arguments->profile != NULL) {
        arguments->runner.seconds = arguments->profile->seconds;
    } else if (!parsing->has_range) {
        arguments->runner.seconds = SECONDS_OTHERWISE;
    }
}

static void replay_add(struct arguments *arguments, const char *path)
{
    arguments->replays = alloc_resize(arguments->replays, arguments->replay_count + 1,
                                      sizeof(arguments->replays[0]));
    arguments->replays[arguments->replay_count++] = path;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct parsing *parsing = state->input;
    struct arguments *arguments = parsing->arguments;
    uint64_t number = 0;
    switch (key) {
    case KEY_SEED:
        if (!cli_parse_number(value, 0, UINT64_MAX, &number)) {
            argp_error(state, "--seed: a number, not '%s'", value);
        }
        arguments->runner.first = number;
        arguments->is_single = true;
        return 0;
    case KEY_SEEDS:
        parse_seeds(parsing, value, state);
        return 0;
    case KEY_TIME:
        if (!cli_parse_seconds(value, &parsing->seconds)) {
            argp_error(state, "--time: a number with s, m or h, not '%s'", value);
        }
        return 0;
    case 'j':
        if (!cli_parse_number(value, 1, JOBS_MAX, &number)) {
            argp_error(state, "--jobs: 1 to %d, not '%s'", JOBS_MAX, value);
        }
        arguments->runner.jobs = (unsigned)number;
        return 0;
    case KEY_PROFILE:
        parse_profile(arguments, value, state);
        return 0;
    case KEY_JSON:
        arguments->wants_json = true;
        return 0;
    case KEY_SVG:
        arguments->svg_path = value;
        return 0;
    case KEY_SAVE:
        arguments->wants_save = true;
        return 0;
    case KEY_REPLAY:
        replay_add(arguments, value);
        return 0;
    case KEY_LIST:
        arguments->wants_list = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->replay_count == 0) {
            argp_error(state, "'%s' is no option; kept files come after --replay", value);
        }
        replay_add(arguments, value); /* --replay *.sim */
        return 0;
    case ARGP_KEY_END:
        arguments_end(parsing, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void arguments_parse(int argc, char **argv, struct arguments *ret_arguments)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Runs coordinator and agents in a simulated world in which everything may fail, on "
               "a virtual clock, from one seed, and judges what comes of it.\v"
               "Exit codes: 0 all passed, 1 something broke, 64 usage, 65 a kept file is not "
               "whole, 71 processes cannot be started, 74 a file cannot be read or written, "
               "130 interrupted (what there was by then is shown).",
    };
    *ret_arguments =
        (struct arguments){.runner = {.first = 1, .last = UINT64_MAX - 1, .failures_max = 5}};
    struct parsing parsing = {.arguments = ret_arguments};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    ret_arguments->runner.jobs = processors > 0 && processors < JOBS_MAX ? (unsigned)processors : 1;
    (void)argp_parse(&argp, argc, argv, 0, NULL, &parsing);
}

void arguments_done(struct arguments *arguments)
{
    free(arguments->replays);
    arguments->replays = NULL;
}
