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

enum { OPTION_FAULTS = 256, OPTION_WORKLOAD, OPTION_MODE, OPTION_HTML, OPTION_CORRUPT };

static const struct argp_option option_list[] = {
    {"seed", 's', "N", 0, "Draw faults and requests from this number (default: a random one)", 0},
    {"time", 't', "TIME", 0, "How long: 30s to 72h (default 60s)", 0},
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
    "Exit codes: 0 no violation, 1 a violation, a daemon that crashed, or a journal that does not "
    "verify, 64 usage, 69 the check is not installed, 71 the run could not be made, 130 "
    "interrupted (what was written is kept).";

/* "90s", "5m", "72h". */
static bool parse_time(const char *text, uint64_t *ret_ms)
{
    char *unit = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &unit, 10);
    uint64_t factor = strcmp(unit, "s") == 0   ? 1000
                      : strcmp(unit, "m") == 0 ? 60000
                      : strcmp(unit, "h") == 0 ? 3600000
                                               : 0;
    if (errno != 0 || unit == text || text[0] == '-' || factor == 0 || number == 0 ||
        number > 72ULL * 3600) {
        return false;
    }
    *ret_ms = number * factor;
    return *ret_ms <= 72ULL * 3600000;
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
        demand(state, parse_time(argument, &options->time_ms), "--time", argument);
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
    struct run_options options = {.time_ms = 60000,
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
