/* sim_main.c - assent-fault sim: runs seeds, shows what broke, keeps it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cli.h"
#include "tests/lib/commit.h"
#include "tests/sim/guard.h"
#include "tests/sim/repro.h"
#include "tests/sim/sim_arguments.h"
#include "tests/sim/sim_json.h"
#include "tests/sim/trace.h"

#define PROGRAM          "assent-fault sim"
#define EXIT_INTERRUPTED 130 /* as the shell has it for SIGINT */

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

/* Runs it once more, with a trace. False: the drawing could not be written. */
static bool show_run(const struct arguments *arguments, const struct sim_options *options,
                     FILE *file)
{
    struct trace trace = {0};
    struct sim_verdict verdict;
    struct sim_options traced = *options;
    char title[160];
    traced.trace = &trace;
    guard_run(&traced, &verdict);
    (void)snprintf(title, sizeof(title), "seed %" PRIu64 ", version " COMMIT_FORMAT "%s%s",
                   options->seed, COMMIT_ARGUMENTS, verdict.failed ? ", breaks " : "",
                   verdict.rule);
    show_strikes(&verdict, file);
    trace_draw_text(&trace, file);
    fprintf(file, "%s%s%s\n", title, verdict.failed ? ": " : "", verdict.text);
    struct error error;
    bool drawn =
        arguments->svg_path == NULL || trace_save_svg(&trace, title, arguments->svg_path, &error);
    if (!drawn) {
        cli_print_error(PROGRAM, &error);
    }
    trace_done(&trace);
    sim_verdict_done(&verdict);
    return drawn;
}

/* Asked before the run, and not after hours: is there a folder, or can one be made? */
static bool can_save(struct error *ret_error)
{
    bool is_made = (mkdir(REPRO_PARENT, 0777) == 0 || errno == EEXIST) &&
                   (mkdir(REPRO_FOLDER, 0777) == 0 || errno == EEXIST);
    return (is_made && access(REPRO_FOLDER, W_OK | X_OK) == 0) ||
           error_set_errno(ret_error, ERROR_IO, errno, "cannot keep anything in %s", REPRO_FOLDER);
}

static bool save(const struct sim_options *options, const struct sim_verdict *verdict, FILE *file)
{
    char path[160];
    struct error error;
    (void)snprintf(path, sizeof(path), REPRO_FOLDER "/%s-%" PRIu64 ".sim", verdict->rule,
                   options->seed);
    if (!repro_save(path, options, verdict, &error)) {
        cli_print_error(PROGRAM, &error);
        return false;
    }
    fprintf(file, "kept in %s; again: " PROGRAM " --replay %s\n", path, path);
    return true;
}

/* False: something could not be written. */
static bool show_failure(const struct arguments *arguments, const struct runner_failure *failure,
                         bool is_first, FILE *file)
{
    bool written = true;
    fprintf(file, "\nFAILED  seed %" PRIu64 ", version " COMMIT_FORMAT ": %s: %s\n", failure->seed,
            COMMIT_ARGUMENTS, failure->rule, failure->text);
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
            written = show_run(arguments, &shrunk.options, file);
        }
        if (arguments->wants_save) {
            written = save(&shrunk.options, &shrunk.verdict, file) && written;
        }
        shrunk_done(&shrunk);
    }
    if (verdict.failed) {
        fprintf(file, "again: " PROGRAM " --seed %" PRIu64 "\n", failure->seed);
    } else { /* what is done beside the seed's one run, or what ended the process */
        fprintf(file, "again: " PROGRAM " --seeds %" PRIu64 "..%" PRIu64 "%s\n", failure->seed,
                failure->seed, arguments->wants_save ? " (not kept: one run alone passes)" : "");
    }
    sim_verdict_done(&verdict);
    return written;
}

/* ---- results ---- */

/* Of what is not as declared: what this run is judged by. */
static const char *judged_words(enum coverage_scope judged)
{
    switch (judged) {
    case COVERAGE_NONE:
        return " (not judged: only a profile's own time is long enough)";
    case COVERAGE_FAULTS_AND_POINTS:
        return " (judged in this profile: kinds of fault, and fault points)";
    case COVERAGE_ALL:
        return "";
    }
    return "";
}

static void show_sums(const struct arguments *arguments, const struct runner_result *result,
                      size_t missing)
{
    const struct runner_sums *sums = &result->sums;
    printf(PROGRAM " " COMMIT_FORMAT ": %" PRIu64 " seeds, %" PRIu64 " transactions (%" PRIu64
                   " committed), %.1f h of virtual time in %.1f s\n",
           COMMIT_ARGUMENTS, sums->seeds, sums->transactions, sums->committed,
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
    printf("  not as declared    %zu%s\n", missing, judged_words(arguments->judged));
    printf("  failed             %" PRIu64 "%s\n", result->failures,
           result->is_interrupted ? "; INTERRUPTED before its end" : "");
}

static int run_many(struct arguments *arguments)
{
    struct runner_result *result = alloc_zeroed(sizeof(*result));
    struct error error;
    if (!runner_run(&arguments->runner, result, &error)) {
        cli_print_error(PROGRAM, &error);
        free(result);
        return EX_OSERR;
    }
    FILE *listing = arguments->wants_json ? stderr : stdout;
    const struct coverage *coverage = &result->coverage;
    size_t missing = coverage_report(coverage, COVERAGE_ALL, NULL, false);
    if (result->is_interrupted) {
        arguments->judged = COVERAGE_NONE;
    }
    size_t demanded = coverage_report(coverage, arguments->judged, NULL, false);
    if (arguments->wants_list || demanded > 0) {
        (void)coverage_report(coverage, arguments->judged, listing, arguments->wants_list);
    }
    bool written = true;
    for (size_t i = 0; i < result->failure_count; i++) {
        written = show_failure(arguments, &result->failures_kept[i], i == 0, listing) && written;
    }
    if (arguments->wants_json) {
        json_runner(stdout, result, missing);
    } else {
        show_sums(arguments, result, missing);
    }
    int code = !written                               ? EX_IOERR
               : result->failures > 0 || demanded > 0 ? CLI_EXIT_FAILED
               : result->is_interrupted               ? EXIT_INTERRUPTED
                                                      : CLI_EXIT_DONE;
    free(result);
    return code;
}

static int run_one(const struct arguments *arguments)
{
    struct sim_options options = {.seed = arguments->runner.first};
    struct sim_verdict verdict;
    FILE *listing = arguments->wants_json ? stderr : stdout;
    bool written = true;
    guard_run(&options, &verdict);
    bool failed = verdict.failed;
    if (failed) {
        struct runner_failure failure = {.seed = options.seed};
        memcpy(failure.rule, verdict.rule, sizeof(failure.rule));
        memcpy(failure.text, verdict.text, sizeof(failure.text));
        written = show_failure(arguments, &failure, true, listing);
    } else {
        written = show_run(arguments, &options, listing);
    }
    if (arguments->wants_json) {
        json_run(stdout, options.seed, NULL, &verdict);
        (void)putchar('\n');
    }
    sim_verdict_done(&verdict);
    return !written ? EX_IOERR : failed ? CLI_EXIT_FAILED : CLI_EXIT_DONE;
}

/* ---- what was kept ---- */

/* A fault that finds no occasion any more: the run is another one than that which was kept. */
static void show_replay(const char *path, const struct sim_options *options,
                        const struct sim_verdict *verdict)
{
    printf("%s  %s%s%s", verdict->failed ? "FAILED" : "passed", path, verdict->failed ? ": " : "",
           verdict->text);
    if (options->has_strikes) {
        printf(" (%zu of %zu faults struck)", verdict->strike_count, options->strike_count);
    }
    (void)putchar('\n');
}

/* False: something could not be written. */
static bool replay_one(const struct arguments *arguments, const char *path,
                       const struct sim_options *options, bool *ret_failed)
{
    struct sim_verdict verdict;
    bool written = true;
    guard_run(options, &verdict);
    if (arguments->wants_json) {
        json_run(stdout, options->seed, path, &verdict);
    } else {
        show_replay(path, options, &verdict);
    }
    *ret_failed = verdict.failed;
    if (verdict.failed || arguments->svg_path != NULL) {
        written = show_run(arguments, options, arguments->wants_json ? stderr : stdout);
    }
    sim_verdict_done(&verdict);
    return written;
}

static int replay(const struct arguments *arguments)
{
    int code = CLI_EXIT_DONE;
    const char *between = "";
    if (arguments->wants_json) {
        (void)putchar('[');
    }
    for (size_t i = 0; i < arguments->replay_count; i++) {
        struct sim_options options;
        struct sim_strike *strikes = NULL;
        struct error error;
        bool failed = false;
        if (!repro_load(arguments->replays[i], &options, &strikes, &error)) {
            cli_print_error(PROGRAM, &error);
            code = cli_exit_code(error.kind);
            break;
        }
        if (arguments->wants_json) {
            fputs(between, stdout);
            between = ",\n";
        }
        if (!replay_one(arguments, arguments->replays[i], &options, &failed)) {
            code = EX_IOERR;
        } else if (failed && code == CLI_EXIT_DONE) {
            code = CLI_EXIT_FAILED;
        }
        free(strikes);
    }
    if (arguments->wants_json) {
        puts("]");
    }
    return code;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct error error;
    cli_init("assent-fault-sim");
    arguments_parse(argc, argv, &arguments);
    int code = EX_IOERR;
    if ((arguments.svg_path != NULL && !cli_can_write(arguments.svg_path, &error)) ||
        (arguments.wants_save && !can_save(&error))) {
        cli_print_error(PROGRAM, &error); /* now, and not after hours */
    } else {
        arguments.runner.wants_progress = isatty(STDERR_FILENO) == 1 && !arguments.wants_json;
        code = arguments.replay_count > 0 ? replay(&arguments)
               : arguments.is_single      ? run_one(&arguments)
                                          : run_many(&arguments);
    }
    arguments_done(&arguments);
    return code;
}
