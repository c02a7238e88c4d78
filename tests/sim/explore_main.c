/* explore_main.c - assent-fault explore: every schedule of one and of two transactions, of an interactive one, and of an accepted request,
 * with up to two faults. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cli.h"
#include "tests/lib/commit.h"
#include "tests/sim/explore.h"
#include "tests/sim/trace.h"

#define PROGRAM "assent-fault explore"

struct profile {
    const char *name;
    uint64_t schedules, seconds; /* for each world */
};

static const struct profile profiles[] = {
    {"ci", 350000, 0},
    {"nightly", 0, 1800},
    {"release", 0, 4 * 3600},
};

struct arguments {
    struct explore_options options;
    const struct profile *profile;
    uint64_t
        op_count; /* 0: one, then two, an interactive one, an accepted one, unless one of these is said */
    bool wants_json;
    const char *svg_path;
};

enum {
    KEY_FAULTS = 256,
    KEY_OPS,
    KEY_SPOKEN,
    KEY_HANDED,
    KEY_SCHEDULES,
    KEY_TIME,
    KEY_PROFILE,
    KEY_JSON,
    KEY_SVG,
    KEY_EVERY,
    KEY_UNREDUCED
};

static const struct argp_option option_table[] = {
    {"transactions", KEY_OPS, "N", 0,
     "1 or 2 [one, two, one that is spoken statement by statement, one that is handed over]", 0},
    {"interactive", KEY_SPOKEN, NULL, 0,
     "transactions that are spoken statement by statement [one]", 0},
    {"accepted", KEY_HANDED, NULL, 0,
     "requests that are handed over to a queue; the first is refused, requeued and dropped [one]",
     0},
    {"faults", KEY_FAULTS, "N", 0, "faults in a schedule at most, 0 to 4 [2]", 0},
    {"schedules", KEY_SCHEDULES, "N", 0, "stop after so many, each [no limit]", 0},
    {"time", KEY_TIME, "30m", 0, "stop after so long (s, m or h), each [no limit]", 0},
    {"profile", KEY_PROFILE, "NAME", 0,
     "ci (350,000 schedules), nightly (30 minutes) or release (4 hours), each", 0},
    {"every-order", KEY_EVERY, NULL, 0,
     "also every order of handshakes and heartbeats, and faults between them", 0},
    {"unreduced", KEY_UNREDUCED, NULL, 0, "also orders and situations that can show nothing new",
     0},
    {"svg", KEY_SVG, "FILE", 0, "draw the failing schedule", 0},
    {"json", KEY_JSON, NULL, 0, "the result as one JSON object per line", 0},
    {0},
};

static uint64_t parse_number(const char *name, const char *text, uint64_t least, uint64_t most,
                             struct argp_state *state)
{
    uint64_t number = 0;
    if (!cli_parse_number(text, least, most, &number)) {
        argp_error(state, "--%s: a number from %" PRIu64 " to %" PRIu64 ", not '%s'", name, least,
                   most, text);
    }
    return number;
}

static const struct profile *parse_profile(const char *text, struct argp_state *state)
{
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
        if (strcmp(profiles[i].name, text) == 0) {
            return &profiles[i];
        }
    }
    argp_error(state, "--profile: ci, nightly or release, not '%s'", text);
    return NULL;
}

/* What was said itself wins over what the profile would say, in whatever order. */
static void profile_apply(struct arguments *arguments)
{
    struct explore_options *options = &arguments->options;
    if (arguments->profile != NULL && options->schedules_max == 0 && options->seconds_max == 0) {
        options->schedules_max = arguments->profile->schedules;
        options->seconds_max = arguments->profile->seconds;
    }
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case KEY_OPS:
        arguments->op_count = parse_number("transactions", value, 1, 2, state);
        return 0;
    case KEY_SPOKEN:
        arguments->options.is_spoken = true;
        return 0;
    case KEY_HANDED:
        arguments->options.is_handed = true;
        return 0;
    case KEY_FAULTS:
        arguments->options.fault_count =
            (uint32_t)parse_number("faults", value, 0, EXPLORE_FAULTS_MAX, state);
        return 0;
    case KEY_SCHEDULES:
        arguments->options.schedules_max =
            parse_number("schedules", value, 1, UINT64_MAX / 2, state);
        return 0;
    case KEY_TIME:
        if (!cli_parse_seconds(value, &arguments->options.seconds_max)) {
            argp_error(state, "--time: a number with s, m or h, not '%s'", value);
        }
        return 0;
    case KEY_PROFILE:
        arguments->profile = parse_profile(value, state);
        return 0;
    case KEY_EVERY:
        arguments->options.wants_every_order = true;
        return 0;
    case KEY_UNREDUCED:
        arguments->options.is_unreduced = true;
        return 0;
    case KEY_SVG:
        arguments->svg_path = value;
        return 0;
    case KEY_JSON:
        arguments->wants_json = true;
        return 0;
    case ARGP_KEY_END:
        if (arguments->options.is_spoken && arguments->options.is_handed) {
            argp_error(state, "--interactive and --accepted are two worlds: one of them");
        }
        profile_apply(arguments);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* False: the drawing could not be written. */
static bool show_failure(const struct arguments *arguments, const struct explore_result *result,
                         FILE *file)
{
    struct trace trace = {0};
    struct sim_verdict verdict;
    struct error error;
    char title[160];
    explore_replay(&arguments->options, result->choices, result->choice_count, &trace, &verdict);
    (void)snprintf(title, sizeof(title), "explore, version " COMMIT_FORMAT ", breaks %s",
                   COMMIT_ARGUMENTS, result->verdict.rule);
    trace_draw_text(&trace, file);
    fprintf(file, "%s: %s\n", title, result->verdict.text);
    bool drawn =
        arguments->svg_path == NULL || trace_save_svg(&trace, title, arguments->svg_path, &error);
    if (!drawn) {
        cli_print_error(PROGRAM, &error);
    }
    trace_done(&trace);
    sim_verdict_done(&verdict);
    return drawn;
}

static void show_json(const struct explore_options *options, const struct explore_result *result)
{
    double rate = result->seconds > 0 ? (double)result->schedules / result->seconds : 0;
    printf("{\"version\":\"%s\",\"commit\":\"%s\",\"transactions\":%" PRIu32
           ",\"interactive\":%s,\"accepted\":%s,\"faults\":%" PRIu32 ",\"schedules\":%" PRIu64
           ",\"ended\":%" PRIu64 ",\"cut\":%" PRIu64 ",\"states\":%" PRIu64 ",\"steps\":%" PRIu64
           ",\"deepest\":%" PRIu64
           ",\"seconds\":%.2f,\"schedules_per_second\":%.0f,\"complete\":%s,\"full\":%s,\"by_"
           "faults\":[",
           ASSENT_VERSION, assent_commit, options->op_count, options->is_spoken ? "true" : "false",
           options->is_handed ? "true" : "false", options->fault_count, result->schedules,
           result->ended, result->cut, result->situations, result->steps, result->deepest,
           result->seconds, rate, result->is_complete ? "true" : "false",
           result->is_full ? "true" : "false");
    for (uint32_t i = 0; i <= options->fault_count; i++) {
        const struct explore_layer *layer = &result->layers[i];
        printf("%s{\"faults\":%" PRIu32 ",\"schedules\":%" PRIu64 ",\"left\":%" PRIu64
               ",\"complete\":%s}",
               i == 0 ? "" : ",", i, layer->schedules, layer->left,
               layer->is_complete ? "true" : "false");
    }
    printf("],\"broken\":\"%s\"}\n", result->verdict.rule);
}

static void show_layers(const struct explore_options *options, const struct explore_result *result)
{
    for (uint32_t i = 0; i <= options->fault_count; i++) {
        const struct explore_layer *layer = &result->layers[i];
        printf("    %" PRIu32 " fault%-2s %" PRIu64 ", ", i, i == 1 ? "" : "s", layer->schedules);
        if (layer->is_complete) {
            printf("all of them\n");
        } else {
            printf("spread over the space; there are at least %" PRIu64 " more\n", layer->left);
        }
    }
}

static void show(const struct explore_options *options, const struct explore_result *result)
{
    double rate = result->seconds > 0 ? (double)result->schedules / result->seconds : 0;
    printf(PROGRAM " " COMMIT_FORMAT ": %" PRIu32
                   " %stransaction%s, two participants, up to %" PRIu32 " faults\n",
           COMMIT_ARGUMENTS, options->op_count,
           options->is_spoken   ? "interactive "
           : options->is_handed ? "accepted "
                                : "",
           options->op_count == 1 ? "" : "s", options->fault_count);
    printf("  schedules   %" PRIu64 " different ones: %s\n", result->schedules,
           result->verdict.failed ? "the last one failed"
           : result->is_complete  ? "COMPLETE, there are no others"
                                  : "a part, there are more");
    show_layers(options, result);
    printf("  of these    %" PRIu64 " ran to their end, %" PRIu64
           " came to a situation in which another one had been\n",
           result->ended, result->cut);
    printf("  situations  %" PRIu64 " with a choice, told apart by the hash of their state\n",
           result->situations);
    if (result->is_full) {
        printf("              more are not remembered: those were run through and not searched "
               "further\n");
    }
    printf("  steps       %" PRIu64 ", deepest schedule %" PRIu64 " choices\n", result->steps,
           result->deepest);
    for (int i = EXPLORE_END + 1; i < EXPLORE_KIND_COUNT; i++) {
        printf("  %-11s %s %" PRIu64 "\n", i == EXPLORE_END + 1 ? "faults" : "",
               explore_kind_text((enum explore_kind)i), result->acts[i]);
    }
    printf("  rate        %.0f schedules a second, %.1f s\n", rate, result->seconds);
    printf("  %s\n", result->verdict.failed ? "FAILED" : "all passed");
}

static int explore(struct arguments *arguments, uint32_t op_count)
{
    struct explore_result *result = alloc_zeroed(sizeof(*result));
    arguments->options.op_count = op_count;
    explore_run(&arguments->options, result);
    if (arguments->wants_json) {
        show_json(&arguments->options, result);
    } else {
        show(&arguments->options, result);
    }
    int code = CLI_EXIT_DONE;
    if (result->verdict.failed) {
        code = show_failure(arguments, result, arguments->wants_json ? stderr : stdout)
                   ? CLI_EXIT_FAILED
                   : EX_IOERR;
    }
    (void)fflush(stdout);
    sim_verdict_done(&result->verdict);
    free(result);
    return code;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .doc =
            "Runs every schedule of one and of two transactions over two participants, of one "
            "that is spoken statement by statement, and of a request that is handed over, on the "
            "real cores: any order of events, and up to so many faults.\v"
            "A fault can strike from the first request on, wherever there is a choice of what "
            "comes next: coordinator or agent dies (what the journal was writing is lost or "
            "kept), a database crashes and restarts (what was under way in it is lost or done), "
            "a connection to a database is lost, a sync fails (lost or kept), a message is lost "
            "or comes twice, the next timer goes off too early. Handshakes and heartbeats run "
            "at once, without faults between them, unless --every-order is given; and none "
            "strikes while everybody only waits for a timer.\n\n"
            "Exit codes: 0 all passed, 1 something broke, 64 usage, 74 FILE cannot be written.",
    };
    struct error error;
    cli_init("assent-fault-explore");
    struct arguments arguments = {.options = {.fault_count = 2}};
    (void)argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    if (arguments.svg_path != NULL && !cli_can_write(arguments.svg_path, &error)) {
        cli_print_error(PROGRAM, &error);
        return EX_IOERR;
    }
    arguments.options.wants_progress = isatty(STDERR_FILENO) == 1 && !arguments.wants_json;
    if (arguments.op_count != 0 || arguments.options.is_spoken || arguments.options.is_handed) {
        return explore(&arguments, arguments.op_count != 0 ? (uint32_t)arguments.op_count : 1);
    }
    int code = explore(&arguments, 1);
    if (code == CLI_EXIT_DONE) {
        code = explore(&arguments, 2);
    }
    if (code == CLI_EXIT_DONE) {
        arguments.options.is_spoken = true;
        code = explore(&arguments, 1);
    }
    if (code == CLI_EXIT_DONE) {
        arguments.options.is_spoken = false;
        arguments.options.is_handed = true;
        code = explore(&arguments, 1);
    }
    return code;
}
