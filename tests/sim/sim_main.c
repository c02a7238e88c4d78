/* sim_main.c - assent-fault sim: runs seeds, shows what broke, keeps it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cli.h"
#include "tests/sim/guard.h"
#include "tests/sim/repro.h"
#include "tests/sim/runner.h"
#include "tests/sim/trace.h"

#define REPRO_FOLDER "tests/repro"

struct profile {
    const char *name;
    uint64_t seconds;
    bool needs_coverage; /* long enough that everything must have been reached */
};

static const struct profile profiles[] = {
    {"ci", 75, false},
    {"nightly", 3600, true},
    {"release", 8 * 3600, true},
};

struct arguments {
    struct runner_options runner;
    bool has_range, is_single, wants_json, wants_list, wants_save;
    const struct profile *profile;
    const char *svg_path;
    size_t replay_count;
    const char **replays; /* lent */
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
     "ci, nightly or release: how long, and whether coverage must be complete", 0},
    {"json", KEY_JSON, NULL, 0, "the result as one JSON object", 0},
    {"svg", KEY_SVG, "FILE", 0, "draw the (first failing) run", 0},
    {"save", KEY_SAVE, NULL, 0, "keep failing runs under " REPRO_FOLDER "/", 0},
    {"replay", KEY_REPLAY, "FILE", 0, "run a kept file again; may be repeated", 0},
    {"list-coverage", KEY_LIST, NULL, 0, "show how often everything was reached", 0},
    {0},
};

static bool parse_number(const char *text, char **ret_end, uint64_t *ret_number)
{
    errno = 0;
    *ret_number = strtoull(text, ret_end, 10);
    return errno == 0 && *ret_end != text && text[0] != '-';
}

static void parse_seeds(struct arguments *arguments, const char *text, struct argp_state *state)
{
    char *end = NULL;
    struct runner_options *runner = &arguments->runner;
    if (!parse_number(text, &end, &runner->first) || strncmp(end, "..", 2) != 0 ||
        !parse_number(end + 2, &end, &runner->last) || *end != '\0' ||
        runner->last < runner->first) {
        argp_error(state, "seeds: A..B, not '%s'", text);
    }
    arguments->has_range = true;
}

static void parse_time(struct arguments *arguments, const char *text, struct argp_state *state)
{
    char *end = NULL;
    uint64_t number = 0;
    bool good = parse_number(text, &end, &number) && number > 0 && number < 1000000;
    uint64_t unit = !good || *end == '\0' || strcmp(end, "s") == 0 ? 1
                    : strcmp(end, "m") == 0                        ? 60
                    : strcmp(end, "h") == 0                        ? 3600
                                                                   : 0;
    if (!good || unit == 0) {
        argp_error(state, "time: a number with s, m or h, not '%s'", text);
    }
    arguments->runner.seconds = number * unit;
}

static void parse_profile(struct arguments *arguments, const char *text, struct argp_state *state)
{
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
        if (strcmp(profiles[i].name, text) == 0) {
            arguments->profile = &profiles[i];
            arguments->runner.seconds = profiles[i].seconds;
            return;
        }
    }
    argp_error(state, "no such profile: %s", text);
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    char *end = NULL;
    uint64_t number = 0;
    switch (key) {
    case KEY_SEED:
        if (!parse_number(value, &end, &number) || *end != '\0') {
            argp_error(state, "seed: a number, not '%s'", value);
        }
        arguments->runner.first = number;
        arguments->runner.last = number;
        arguments->is_single = true;
        return 0;
    case KEY_SEEDS:
        parse_seeds(arguments, value, state);
        return 0;
    case KEY_TIME:
        parse_time(arguments, value, state);
        return 0;
    case 'j':
        if (!parse_number(value, &end, &number) || *end != '\0' || number == 0 || number > 256) {
            argp_error(state, "jobs: 1 to 256, not '%s'", value);
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
        arguments->replays[arguments->replay_count++] = value;
        return 0;
    case KEY_LIST:
        arguments->wants_list = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->replay_count == 0) {
            argp_usage(state);
        }
        arguments->replays[arguments->replay_count++] = value; /* --replay *.sim */
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- showing one run ---- */

static void show_strikes(const struct sim_verdict *verdict, FILE *file)
{
    fprintf(file, "faults that struck (%zu):\n", verdict->strike_count);
    for (size_t i = 0; i < verdict->strike_count && i < 40; i++) {
        fprintf(file, "  %-26s #%-4" PRIu32 " %s\n", sim_fault_name(verdict->strikes[i].fault),
                verdict->strikes[i].ordinal, sim_fault_text(verdict->strikes[i].fault));
    }
    if (verdict->strike_count > 40) {
        fprintf(file, "  ... and %zu more\n", verdict->strike_count - 40);
    }
}

static void draw_svg(const char *path, const struct trace *trace, const char *title)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        fprintf(stderr, "assent-fault sim: cannot write %s: %s\n", path, strerror(errno));
        return;
    }
    trace_draw_svg(trace, title, file);
    if (fclose(file) != 0) {
        fprintf(stderr, "assent-fault sim: cannot write %s\n", path);
    }
}

/* Runs it once more, with a trace. */
static void show_run(const struct arguments *arguments, const struct sim_options *options,
                     FILE *file)
{
    struct trace trace = {0};
    struct sim_verdict verdict;
    struct sim_options traced = *options;
    char title[160];
    traced.trace = &trace;
    guard_run(&traced, &verdict);
    (void)snprintf(title, sizeof(title), "seed %" PRIu64 ", version %s%s%s", options->seed,
                   ASSENT_VERSION, verdict.failed ? ", breaks " : "", verdict.rule);
    show_strikes(&verdict, file);
    trace_draw_text(&trace, file);
    fprintf(file, "%s%s%s\n", title, verdict.failed ? ": " : "", verdict.text);
    if (arguments->svg_path != NULL) {
        draw_svg(arguments->svg_path, &trace, title);
    }
    trace_done(&trace);
    sim_verdict_done(&verdict);
}

static void save(const struct sim_options *options, const struct sim_verdict *verdict, FILE *file)
{
    char path[160];
    struct error error;
    (void)mkdir(REPRO_FOLDER, 0777);
    (void)snprintf(path, sizeof(path), REPRO_FOLDER "/%s-%" PRIu64 ".sim", verdict->rule,
                   options->seed);
    if (repro_save(path, options, verdict, &error)) {
        fprintf(file, "kept in %s; again: assent-fault sim --replay %s\n", path, path);
    } else {
        cli_print_error("assent-fault sim", &error);
    }
}

static void show_failure(const struct arguments *arguments, const struct runner_failure *failure,
                         bool is_first, FILE *file)
{
    fprintf(file, "\nFAILED  seed %" PRIu64 ", version %s: %s: %s\n", failure->seed, ASSENT_VERSION,
            failure->rule, failure->text);
    struct sim_options options = {.seed = failure->seed, .canary = failure->canary};
    struct sim_verdict verdict;
    guard_run(&options, &verdict);
    if (verdict.failed && (is_first || arguments->wants_save)) { /* smaller ones take their time */
        struct shrunk shrunk;
        shrink(&options, &verdict, &shrunk);
        fprintf(file,
                "made smaller in %" PRIu32 " runs: %zu faults of %zu, %" PRIu32
                " operations, %" PRIu64 " ms\n",
                shrunk.runs, shrunk.options.strike_count, verdict.strike_count,
                shrunk.options.op_count, shrunk.verdict.virtual_ms);
        if (is_first) {
            show_run(arguments, &shrunk.options, file);
        }
        if (arguments->wants_save) {
            save(&shrunk.options, &shrunk.verdict, file);
        }
        shrunk_done(&shrunk);
    }
    fprintf(file, "again: assent-fault sim --seed %" PRIu64 "\n", failure->seed);
    sim_verdict_done(&verdict);
}

/* ---- results ---- */

static void show_json(const struct runner_result *result, size_t missing)
{
    const struct runner_sums *sums = &result->sums;
    printf("{\"version\":\"%s\",\"seeds\":%" PRIu64 ",\"transactions\":%" PRIu64
           ",\"committed\":%" PRIu64 ",\"aborted\":%" PRIu64 ",\"events\":%" PRIu64
           ",\"virtual_ms\":%" PRIu64
           ",\"seconds\":%.3f,\"transactions_per_minute\":%.0f,\"ran_twice\":%" PRIu64
           ",\"canaries\":%" PRIu64 ",\"holes\":%" PRIu64 ",\"excused\":%" PRIu64
           ",\"longest_heal_ms\":%" PRIu64 ",\"not_as_declared\":%zu,\"failures\":[",
           ASSENT_VERSION, sums->seeds, sums->transactions, sums->committed, sums->aborted,
           sums->events, sums->virtual_ms, result->seconds,
           (double)sums->transactions / result->seconds * 60, sums->twice, sums->canaries,
           sums->holes, sums->excused, sums->heal_max_ms, missing);
    for (size_t i = 0; i < result->failure_count; i++) {
        printf("%s{\"seed\":%" PRIu64 ",\"rule\":\"%s\"}", i == 0 ? "" : ",",
               result->failures_kept[i].seed, result->failures_kept[i].rule);
    }
    printf("]}\n");
}

static void show_sums(const struct arguments *arguments, const struct runner_result *result,
                      size_t missing)
{
    const struct runner_sums *sums = &result->sums;
    printf("assent-fault sim %s: %" PRIu64 " seeds, %" PRIu64 " transactions (%" PRIu64
           " committed), %.1f h of virtual time in %.1f s\n",
           ASSENT_VERSION, sums->seeds, sums->transactions, sums->committed,
           (double)sums->virtual_ms / 3.6e6, result->seconds);
    printf(
        "  rate               %.2f million transactions a minute, %u processes, checks included\n",
        (double)sums->transactions / result->seconds * 60 / 1e6, arguments->runner.jobs);
    printf("  ran twice          %" PRIu64 " seeds, to the bit\n", sums->twice);
    printf("  canaries           %" PRIu64 " effects corrupted on purpose\n", sums->canaries);
    printf("  longest healing    %.1f s\n", (double)sums->heal_max_ms / 1000);
    printf("  excused            %" PRIu64
           " transactions that a person or a lost database touched\n",
           sums->excused);
    printf("  known hole (P-10)  %" PRIu64
           " decisions of the last second before a copy took over\n",
           sums->holes);
    printf("  not as declared    %zu%s\n", missing,
           arguments->profile != NULL && !arguments->profile->needs_coverage
               ? " (not judged in this profile)"
               : "");
    printf("  failed             %" PRIu64 "\n", result->failures);
}

static int run_many(struct arguments *arguments)
{
    struct runner_result *result = alloc_zeroed(sizeof(*result));
    struct error error;
    if (!runner_run(&arguments->runner, result, &error)) {
        cli_print_error("assent-fault sim", &error);
        free(result);
        return EX_OSERR;
    }
    bool judged = arguments->profile != NULL && arguments->profile->needs_coverage;
    FILE *listing = arguments->wants_json ? stderr : stdout;
    FILE *nowhere = fopen("/dev/null", "w");
    size_t missing = coverage_report(&result->coverage, nowhere != NULL ? nowhere : stderr, false);
    if (nowhere != NULL) {
        (void)fclose(nowhere);
    }
    if (arguments->wants_list || (judged && missing > 0)) {
        (void)coverage_report(&result->coverage, listing, arguments->wants_list);
    }
    for (size_t i = 0; i < result->failure_count; i++) {
        show_failure(arguments, &result->failures_kept[i], i == 0, listing);
    }
    if (arguments->wants_json) {
        show_json(result, missing);
    } else {
        show_sums(arguments, result, missing);
    }
    bool good = result->failures == 0 && !(judged && missing > 0);
    free(result);
    return good ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
}

static int run_one(const struct arguments *arguments)
{
    struct sim_options options = {.seed = arguments->runner.first};
    struct sim_verdict verdict;
    guard_run(&options, &verdict);
    bool failed = verdict.failed;
    if (failed) {
        struct runner_failure failure = {.seed = options.seed};
        memcpy(failure.rule, verdict.rule, sizeof(failure.rule));
        memcpy(failure.text, verdict.text, sizeof(failure.text));
        show_failure(arguments, &failure, true, stdout);
    } else {
        show_run(arguments, &options, stdout);
    }
    sim_verdict_done(&verdict);
    return failed ? CLI_EXIT_FAILED : CLI_EXIT_DONE;
}

static int replay(const struct arguments *arguments)
{
    int code = CLI_EXIT_DONE;
    for (size_t i = 0; i < arguments->replay_count; i++) {
        struct sim_options options;
        struct sim_strike *strikes = NULL;
        struct sim_verdict verdict;
        struct error error;
        if (!repro_load(arguments->replays[i], &options, &strikes, &error)) {
            cli_print_error("assent-fault sim", &error);
            return cli_exit_code(error.kind);
        }
        guard_run(&options, &verdict);
        printf("%s  %s%s%s\n", verdict.failed ? "FAILED" : "passed", arguments->replays[i],
               verdict.failed ? ": " : "", verdict.text);
        if (verdict.failed) {
            show_run(arguments, &options, stdout);
            code = CLI_EXIT_FAILED;
        }
        sim_verdict_done(&verdict);
        free(strikes);
    }
    return code;
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .doc = "Runs coordinator and agents in a simulated world in which everything may fail, on "
               "a virtual "
               "clock, from one seed, and judges what comes of it.",
    };
    cli_init("assent-fault-sim");
    struct arguments arguments = {
        .runner = {.first = 1, .last = UINT64_MAX - 1, .failures_max = 5}};
    arguments.replays = alloc_array((size_t)argc + 1, sizeof(char *));
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    arguments.runner.jobs = processors > 0 && processors < 256 ? (unsigned)processors : 1;
    (void)argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    if (!arguments.has_range && arguments.runner.seconds == 0) {
        arguments.runner.seconds = 60;
    }
    arguments.runner.wants_progress = isatty(STDERR_FILENO) == 1 && !arguments.wants_json;
    int code = arguments.replay_count > 0 ? replay(&arguments)
               : arguments.is_single      ? run_one(&arguments)
                                          : run_many(&arguments);
    free(arguments.replays);
    return code;
}
