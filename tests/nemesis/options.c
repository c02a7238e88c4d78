/*
 * options.c - the command line of `assent-fault run`; docs/man/assent-fault-run.1 has the same.
 */
#include "options.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/cli.h"
#include "fault.h"
#include "workload.h"

enum {
    OPTION_FAULTS = 256,
    OPTION_WORKLOAD,
    OPTION_MODE,
    OPTION_HTML,
    OPTION_CORRUPT,
    OPTION_PROFILE,
    OPTION_REQUESTS
};

#define TIME_MS 60000

static const struct {
    const char *name;
    uint64_t time_ms;
} profiles[] = {{"ci", 30000}, {"nightly", 3600000}, {"release", 8 * 3600000ULL}};

static const struct argp_option option_list[] = {
    {"seed", 's', "N", 0, "Draw faults and requests from this number (default: a random one)", 0},
    {"time", 't', "TIME", 0, "How long: 30s to 72h (default 60s)", 0},
    {"profile", OPTION_PROFILE, "NAME", 0,
     "How long, by name: ci (30s, as the tests run it), nightly (1h), release (8h); --time wins",
     0},
    {"requests", OPTION_REQUESTS, "N", 0,
     "At most so many requests, spread over the time: clients rest between faults if they are "
     "ahead "
     "(default " RUN_TEXT(RUN_REQUESTS_MAX) ")",
     0},
    {"clients", 'c', "N", 0, "Clients at the same time, 1 to 64 (default 8)", 0},
    {"participants", 'p', "N", 0, "Databases, 2 to 5 (default 3)", 0},
    {"faults", OPTION_FAULTS, "LIST", 0,
     "kill, stop, restart, pg, backend, net, wire, disk, clock, human; all (default) or none", 0},
    {"workload", OPTION_WORKLOAD, "LIST", 0,
     "bank, append, register, skew, conflict, duplicates, novote, single, upgrade; all (default)",
     0},
    {"mode", OPTION_MODE, "MODE", 0, "How clients read: locking, plain, both (default)", 0},
    {"dir", 'd', "DIR", 0, "Where history, report and logs go (default: a new folder under /tmp)",
     0},
    {"html", OPTION_HTML, "FILE", 0, "Also write the report as one HTML page", 0},
    {"json", 'j', NULL, 0, "Print the summary as JSON", 0},
    {"quiet", 'q', NULL, 0, "No progress line", 0},
    {"corrupt", OPTION_CORRUPT, NULL, 0,
     "Negative control: delete one committed row at the end, which the check must find", 0},
    {0},
};

static const char doc[] =
    "Runs Assent on private databases under load, with faults at every process and connection, and "
    "has the history judged by assent-fault check."
    "\v"
    "A run of 72 hours fits into 2 GB of memory and 2 GB of disk, since the number of requests is "
    "bounded; without the bound it would take ten times as much.\n"
    "\n"
    "Exit codes: 0 no violation, 1 a violation, a daemon that crashed, or a journal that does not "
    "verify, 64 usage, 69 the check is not installed, 71 the run could not be made, 74 a file or "
    "folder cannot be written (told before the run begins where that can be known), 130 "
    "interrupted (what was written is kept).";

/* "90s", "5m", "72h". */
static uint64_t parse_time(const char *text, struct argp_state *state)
{
    char *unit = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &unit, 10);
    uint64_t factor = strcmp(unit, "s") == 0   ? 1000
                      : strcmp(unit, "m") == 0 ? 60000
                      : strcmp(unit, "h") == 0 ? 3600000
                                               : 0;
    bool good = errno == 0 && unit != text && text[0] != '-' && factor != 0 &&
                number <= RUN_TIME_MOST_MS / factor && number * factor >= RUN_TIME_LEAST_MS;
    if (!good) {
        argp_error(state, "--time takes 30s to 72h, a number with s, m or h, not \"%s\"", text);
    }
    return number * factor;
}

static uint64_t parse_profile(const char *text, struct argp_state *state)
{
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (strcmp(profiles[i].name, text) == 0) {
            return profiles[i].time_ms;
        }
    }
    argp_error(state, "--profile takes ci, nightly or release, not \"%s\"", text);
    return 0;
}

static uint64_t parse_number(const char *text, uint64_t least, uint64_t most,
                             struct argp_state *state, const char *name)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number < least ||
        number > most) {
        argp_error(state, "%s takes a number from %llu to %llu, not \"%s\"", name,
                   (unsigned long long)least, (unsigned long long)most, text);
    }
    return number;
}

static bool parse_mode(const char *text, enum run_mode *ret_mode)
{
    static const char *const names[] = {"", "locking", "plain", "both"};
    for (int mode = MODE_LOCKING; mode <= MODE_BOTH; mode++) {
        if (strcmp(names[mode], text) == 0) {
            *ret_mode = (enum run_mode)mode;
            return true;
        }
    }
    return false;
}

static void demand(struct argp_state *state, bool good, const char *name, const char *value)
{
    if (!good) {
        argp_error(state, "%s does not know \"%s\"; --help lists what it takes", name, value);
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct run_options *options = state->input;
    switch (key) {
    case 's':
        options->seed = parse_number(argument, 0, INT64_MAX, state, "--seed");
        return 0;
    case 't':
        options->time_ms = parse_time(argument, state);
        return 0;
    case OPTION_PROFILE:
        options->profile_ms = parse_profile(argument, state);
        return 0;
    case OPTION_REQUESTS:
        options->requests_max = parse_number(argument, 100, 1000000000, state, "--requests");
        return 0;
    case 'c':
        options->client_count = parse_number(argument, 1, RUN_CLIENTS_MAX, state, "--clients");
        return 0;
    case 'p':
        options->participant_count =
            parse_number(argument, 2, RUN_DATABASES_MAX, state, "--participants");
        return 0;
    case OPTION_FAULTS:
        demand(state, fault_parse(argument, &options->faults), "--faults", argument);
        return 0;
    case OPTION_WORKLOAD:
        demand(state, workload_parse(argument, &options->workloads), "--workload", argument);
        return 0;
    case OPTION_MODE:
        demand(state, parse_mode(argument, &options->mode), "--mode", argument);
        return 0;
    case 'd':
        if (argument[0] == '\0' || strlen(argument) > RUN_FOLDER_MAX) {
            argp_error(state, "--dir takes a path of 1 to %d bytes", RUN_FOLDER_MAX);
        }
        options->folder = argument;
        return 0;
    case OPTION_HTML:
        options->html = argument;
        return 0;
    case 'j':
        options->json = true;
        return 0;
    case 'q':
        options->quiet = true;
        return 0;
    case OPTION_CORRUPT:
        options->corrupt = true;
        return 0;
    case ARGP_KEY_END: /* whatever the order */
        options->time_ms = options->time_ms != 0      ? options->time_ms
                           : options->profile_ms != 0 ? options->profile_ms
                                                      : TIME_MS;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument \"%s\"", argument);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void options_parse(int argc, char **argv, struct run_options *ret_options)
{
    static const struct argp argp = {.options = option_list, .parser = parse, .doc = doc};
    struct run_options options = {.requests_max = RUN_REQUESTS_MAX,
                                  .client_count = 8,
                                  .participant_count = 3,
                                  .mode = MODE_BOTH,
                                  .faults = (1U << FAULT_GROUPS) - 1,
                                  .workloads = (1U << WORKLOAD_COUNT) - 1};
    if (getrandom(&options.seed, sizeof options.seed, 0) != (ssize_t)sizeof options.seed) {
        options.seed = 1; /* no randomness here; it is printed and may be chosen */
    }
    options.seed &= 0xffffffff; /* short enough to be typed */
    (void)argp_parse(&argp, argc, argv, 0, NULL, &options);
    *ret_options = options;
}
