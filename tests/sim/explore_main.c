/* explore_main.c - assent-fault explore: every schedule of one and of two transactions, with up to two faults. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cli.h"
#include "tests/sim/explore.h"
#include "tests/sim/trace.h"

struct arguments {
    struct explore_options options;
    bool has_ops, wants_json;
    const char *svg_path;
};

enum { KEY_FAULTS = 256, KEY_OPS, KEY_SCHEDULES, KEY_TIME, KEY_JSON, KEY_SVG, KEY_EVERY };

static const struct argp_option option_table[] = {
    {"transactions", KEY_OPS, "N", 0, "1 or 2 [both, one after the other]", 0},
    {"faults", KEY_FAULTS, "N", 0, "faults in a schedule at most [2]", 0},
    {"schedules", KEY_SCHEDULES, "N", 0, "stop after so many [no limit]", 0},
    {"time", KEY_TIME, "SECONDS", 0, "stop after so long, each [no limit]", 0},
    {"every-order", KEY_EVERY, NULL, 0, "also every order of handshakes and heartbeats", 0},
    {"svg", KEY_SVG, "FILE", 0, "draw the failing schedule", 0},
    {"json", KEY_JSON, NULL, 0, "the result as one JSON object per line", 0},
    {0},
};

static uint64_t parse_number(const char *text, uint64_t most, struct argp_state *state)
{
    char *end = NULL;
    uint64_t number = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || number > most) {
        argp_error(state, "a number up to %" PRIu64 ", not '%s'", most, text);
    }
    return number;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case KEY_OPS:
        arguments->options.op_count = (uint32_t)parse_number(value, 2, state);
        arguments->has_ops = arguments->options.op_count > 0;
        return 0;
    case KEY_FAULTS:
        arguments->options.fault_count = (uint32_t)parse_number(value, 4, state);
        return 0;
    case KEY_SCHEDULES:
        arguments->options.schedules_max = parse_number(value, UINT64_MAX, state);
        return 0;
    case KEY_TIME:
        arguments->options.seconds_max = parse_number(value, 1000000, state);
        return 0;
    case KEY_EVERY:
        arguments->options.wants_every_order = true;
        return 0;
    case KEY_SVG:
        arguments->svg_path = value;
        return 0;
    case KEY_JSON:
        arguments->wants_json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void show_failure(const struct arguments *arguments, const struct explore_result *result,
                         FILE *file)
{
    struct trace trace = {0};
    struct sim_verdict verdict;
    char title[128];
    explore_replay(&arguments->options, result->part, result->choices, result->choice_count, &trace,
                   &verdict);
    (void)snprintf(title, sizeof(title), "explore, version %s, breaks %s", ASSENT_VERSION,
                   result->verdict.rule);
    trace_draw_text(&trace, file);
    fprintf(file, "%s: %s\n", title, result->verdict.text);
    FILE *svg = arguments->svg_path == NULL ? NULL : fopen(arguments->svg_path, "w");
    if (svg != NULL) {
        trace_draw_svg(&trace, title, svg);
        (void)fclose(svg);
    }
    trace_done(&trace);
    sim_verdict_done(&verdict);
}

static void show(const struct arguments *arguments, const struct explore_result *result)
{
    const struct explore_options *options = &arguments->options;
    double rate = result->seconds > 0 ? (double)result->schedules / result->seconds : 0;
    if (arguments->wants_json) {
        printf("{\"version\":\"%s\",\"transactions\":%" PRIu32 ",\"faults\":%" PRIu32
               ",\"schedules\":%" PRIu64 ",\"states\":%" PRIu64 ",\"steps\":%" PRIu64
               ",\"deepest\":%" PRIu64 ",\"seconds\":%.2f,\"schedules_per_second\":%.0f,"
               "\"complete\":%s,\"broken\":\"%s\"}\n",
               ASSENT_VERSION, options->op_count, options->fault_count, result->schedules,
               result->states, result->steps, result->deepest, result->seconds, rate,
               result->is_complete ? "true" : "false", result->verdict.rule);
        return;
    }
    printf("assent-fault explore %s: %" PRIu32 " transaction%s, two participants, up to %" PRIu32
           " faults\n",
           ASSENT_VERSION, options->op_count, options->op_count == 1 ? "" : "s",
           options->fault_count);
    printf("  schedules  %" PRIu64 "%s\n", result->schedules,
           result->is_complete ? ", that is all of them" : "; there are more");
    printf("  states     %" PRIu64 " distinct, %" PRIu64
           " schedules cut off at one that was known\n",
           result->states, result->cut);
    printf("  steps      %" PRIu64 ", deepest schedule %" PRIu64 " choices\n", result->steps,
           result->deepest);
    printf("  faults     coordinator killed %" PRIu64 ", agent killed %" PRIu64 ", lost %" PRIu64
           ", duplicated %" PRIu64 ", time too early %" PRIu64 "\n",
           result->faults[EXPLORE_KILL_COORD], result->faults[EXPLORE_KILL_AGENT],
           result->faults[EXPLORE_LOSE], result->faults[EXPLORE_DUPLICATE],
           result->faults[EXPLORE_TIMEOUT]);
    printf("  rate       %.0f schedules a second, %.1f s\n", rate, result->seconds);
    printf("  %s\n", result->verdict.failed ? "FAILED" : "all passed");
}

static bool explore(struct arguments *arguments, uint32_t op_count)
{
    struct explore_result *result = alloc_zeroed(sizeof(*result));
    arguments->options.op_count = op_count;
    explore_run(&arguments->options, result);
    show(arguments, result);
    bool good = !result->verdict.failed;
    if (!good) {
        show_failure(arguments, result, arguments->wants_json ? stderr : stdout);
    }
    sim_verdict_done(&result->verdict);
    free(result);
    return good;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Runs every schedule of one and of two transactions over two participants, on the "
               "real cores: any "
               "order of events, and up to so many faults anywhere.",
    };
    cli_init("assent-fault-explore");
    struct arguments arguments = {.options = {.fault_count = 2}};
    (void)argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    arguments.options.wants_progress = isatty(STDERR_FILENO) == 1 && !arguments.wants_json;
    bool good = true;
    if (arguments.has_ops) {
        good = explore(&arguments, arguments.options.op_count);
    } else {
        good = explore(&arguments, 1) && explore(&arguments, 2);
    }
    return good ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
}
