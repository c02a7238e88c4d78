/*
 * crash_matrix.c - assent-fault-matrix: faults at every named point of real daemons, at their
 * databases and at their clients, and what must be true afterwards (docs/TESTING.md).
 *
 * Started by a person as `assent-fault matrix`, and by ./check with --profile ci. A cell is red if
 * its point was not reached, or if anything that crash_judge.c demands is not true. A fault point
 * that no cell of a profile names fails the whole program.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/cli.h"
#include "common/clock.h"
#include "tests/crash/crash_choice.h"
#include "tests/crash/crash_report.h"

#define JOBS_MAX 64

struct arguments {
    struct crash_choice choice;
    unsigned jobs;
    bool list, verbose, stop_at_red;
    const char *junit, *html, *json;
};

enum key {
    KEY_PROFILE = 'P',
    KEY_POINT = 'p',
    KEY_CELL = 'c',
    KEY_FLOW = 'f',
    KEY_ACTION = 'a',
    KEY_JOBS = 'j',
    KEY_LIST = 'l',
    KEY_VERBOSE = 'v',
    KEY_STOP = 0x100,
    KEY_JUNIT,
    KEY_HTML,
    KEY_JSON,
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Which cells", 1},
    {"profile", KEY_PROFILE, "NAME", 0,
     "ci (every point, minutes), nightly (all deaths), or release (all; the default)", 1},
    {"point", KEY_POINT, "NAME", 0, "Only cells of this point (may be repeated)", 1},
    {"cell", KEY_CELL, "N|NAME", 0, "Only the cell of this number or name (may be repeated)", 1},
    {"flow", KEY_FLOW, "NAME", 0, "Only cells of this flow (may be repeated)", 1},
    {"action", KEY_ACTION, "NAME", 0,
     "Only kill, stop, hang, fault, trace; on the wire drop, hold, cut, behind or mute (may be "
     "repeated)",
     1},
    {NULL, 0, NULL, 0, "How", 2},
    {"jobs", KEY_JOBS, "N", 0, "Stacks at once (default: by the number of cores)", 2},
    {"stop-at-red", KEY_STOP, NULL, 0, "Hand out no cell after the first red one", 2},
    {NULL, 0, NULL, 0, "Reports (FILE - is standard output; the table then goes to standard error)",
     3},
    {"list", KEY_LIST, NULL, 0, "Print the chosen cells and what is impossible, and why, and leave",
     3},
    {"verbose", KEY_VERBOSE, NULL, 0, "A line for each cell, also in a terminal", 3},
    {"junit", KEY_JUNIT, "FILE", 0, "Write JUnit XML", 3},
    {"html", KEY_HTML, "FILE", 0, "Write one HTML page", 3},
    {"json", KEY_JSON, "FILE", 0, "Write JSON", 3},
    {0},
};

/* Most of a cell is waiting, all of a zombie's is; beyond this the ten seconds of healing would
 * measure the machine. */
static unsigned default_jobs(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long jobs = (cores < 1 ? 1 : cores) * 5;
    return jobs > 20 ? 20 : (unsigned)jobs;
}

static void add_name(const char ***names, size_t *count, const char *name)
{
    *names = alloc_resize(*names, *count + 1, sizeof **names);
    (*names)[(*count)++] = name;
}

static enum crash_profile parse_profile(struct argp_state *state, const char *text)
{
    if (strcmp(text, "ci") == 0) {
        return PROFILE_CI;
    }
    if (strcmp(text, "nightly") == 0) {
        return PROFILE_NIGHTLY;
    }
    if (strcmp(text, "release") != 0) {
        argp_error(state, "no profile is called \"%s\": ci, nightly, release", text);
    }
    return PROFILE_RELEASE;
}

static unsigned parse_jobs(struct argp_state *state, const char *text)
{
    char *end;
    unsigned long jobs = strtoul(text, &end, 10);
    if (text[0] < '1' || text[0] > '9' || *end != '\0' || jobs > JOBS_MAX) {
        argp_error(state, "--jobs is a number from 1 to %d", JOBS_MAX);
    }
    return (unsigned)jobs;
}

static size_t report_paths(const struct arguments *arguments, const char *ret_paths[3])
{
    const char *const all[] = {arguments->junit, arguments->html, arguments->json};
    size_t count = 0;
    for (size_t i = 0; i < 3; i++) {
        if (all[i] != NULL) {
            ret_paths[count++] = all[i];
        }
    }
    return count;
}

static bool is_stdout(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* How many reports go to standard output. */
static size_t count_stdout(const struct arguments *arguments)
{
    const char *paths[3];
    size_t count = report_paths(arguments, paths), found = 0;
    for (size_t i = 0; i < count; i++) {
        found += is_stdout(paths[i]) ? 1 : 0;
    }
    return found;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    struct crash_choice *choice = &arguments->choice;
    switch (key) {
    case KEY_PROFILE:
        choice->profile = parse_profile(state, argument);
        return 0;
    case KEY_POINT:
        add_name(&choice->points, &choice->point_count, argument);
        return 0;
    case KEY_CELL:
        add_name(&choice->cells, &choice->cell_count, argument);
        return 0;
    case KEY_FLOW:
        add_name(&choice->flows, &choice->flow_count, argument);
        return 0;
    case KEY_ACTION:
        add_name(&choice->actions, &choice->action_count, argument);
        return 0;
    case KEY_JOBS:
        arguments->jobs = parse_jobs(state, argument);
        return 0;
    case KEY_LIST:
        arguments->list = true;
        return 0;
    case KEY_VERBOSE:
        arguments->verbose = true;
        return 0;
    case KEY_STOP:
        arguments->stop_at_red = true;
        return 0;
    case KEY_JUNIT:
        arguments->junit = argument;
        return 0;
    case KEY_HTML:
        arguments->html = argument;
        return 0;
    case KEY_JSON:
        arguments->json = argument;
        return 0;
    case ARGP_KEY_END:
        if (count_stdout(arguments) > 1) {
            argp_error(state, "only one report can go to standard output");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- the list --------------------------------------------------------------------------------- */

static void print_list(const struct crash_report *report, bool is_selection)
{
    const struct crash_table *table = report->table;
    char name[CRASH_NAME_SIZE];
    for (size_t i = 0; i < table->count; i++) {
        if (report->chosen[i]) {
            crash_cell_name(&table->cells[i], name);
            printf("%4zu  %-64s %-9s  %s\n", i + 1, name, crash_expect_text(table->cells[i].expect),
                   crash_cell_explained(&table->cells[i]));
        }
    }
    for (size_t i = 0; !is_selection && i < table->impossible_count; i++) {
        crash_cell_name(&table->impossible[i], name);
        printf("   -  %-64s %-9s  %s\n", name, "", table->impossible[i].impossible);
    }
    printf("%zu of %zu cells; %zu combinations are impossible\n", report->chosen_count,
           table->count, table->impossible_count);
}

/* --- the run ---------------------------------------------------------------------------------- */

static void on_result(void *user, size_t cell, const struct crash_result *result)
{
    struct crash_result kept = {.ran = result->ran,
                                .green = result->green,
                                .heal_ms = result->heal_ms,
                                .run_ms = result->run_ms};
    kept.error = result->error == NULL ? NULL : alloc_string(result->error);
    kept.logs = result->logs == NULL ? NULL : alloc_string(result->logs);
    crash_report_cell(user, cell, &kept);
}

static void on_trouble(void *user, const char *text)
{
    crash_report_trouble(user, text);
}

static void run(struct crash_report *report, const struct arguments *arguments)
{
    struct error error = {0};
    size_t *order = crash_choice_order(report->table, report->chosen, report->chosen_count);
    const struct crash_pool_options pool = {.table = report->table,
                                            .order = order,
                                            .count = report->chosen_count,
                                            .jobs = report->jobs,
                                            .stop_at_red = arguments->stop_at_red,
                                            .on_result = on_result,
                                            .on_trouble = on_trouble,
                                            .user = report};
    report->started = time(NULL);
    report->begin_ms = clock_monotonic_ms();
    crash_report_heading(report);
    if (!crash_pool_run(&pool, &error)) {
        crash_report_trouble(report, error.text);
    }
    report->run_ms = clock_monotonic_ms() - report->begin_ms;
    crash_report_summary(report);
    free(order);
}

/* Before the first cell, not after the last. */
static bool can_write_reports(const struct arguments *arguments, struct error *ret_error)
{
    const char *paths[3];
    size_t count = report_paths(arguments, paths);
    for (size_t i = 0; i < count; i++) {
        if (!is_stdout(paths[i]) && !cli_can_write(paths[i], ret_error)) {
            return false;
        }
    }
    return true;
}

static bool write_reports(const struct crash_report *report, const struct arguments *arguments,
                          struct error *ret_error)
{
    return (arguments->junit == NULL || crash_report_junit(report, arguments->junit, ret_error)) &&
           (arguments->html == NULL || crash_report_html(report, arguments->html, ret_error)) &&
           (arguments->json == NULL || crash_report_json(report, arguments->json, ret_error));
}

static int run_and_report(struct crash_report *report, const struct arguments *arguments)
{
    struct error error = {0};
    const bool is_selection = crash_choice_is_selection(&arguments->choice);
    const size_t uncovered = is_selection ? 0 : crash_report_uncovered(report);
    if (arguments->list) {
        print_list(report, is_selection);
        return uncovered == 0 ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
    }
    if (!can_write_reports(arguments, &error)) {
        cli_print_error("assent-fault-matrix", &error);
        return EX_IOERR;
    }
    run(report, arguments);
    if (!write_reports(report, arguments, &error)) {
        cli_print_error("assent-fault-matrix", &error);
        return EX_IOERR;
    }
    const bool all_green = report->green == report->chosen_count && report->trouble_count == 0;
    return uncovered == 0 && all_green ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.choice.profile = PROFILE_RELEASE, .jobs = default_jobs()};
    struct error error = {0};
    const struct argp argp = {options,
                              parse,
                              "",
                              "Kills, hangs and stops real daemons over real PostgreSQL at every "
                              "named point, lets databases "
                              "and clients misbehave, and judges what has become of it.\v"
                              "Exit codes: 0 all chosen cells are green, 1 something is red or "
                              "was not run, 64 usage or nothing of that name, 74 a report cannot "
                              "be written (told before the first cell where that can be known).",
                              NULL,
                              NULL,
                              NULL};
    cli_init("assent-fault-matrix");
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    FILE *people = count_stdout(&arguments) > 0 ? stderr : stdout;
    struct crash_table *table = crash_table_new();
    struct crash_report report = {.table = table,
                                  .profile = crash_choice_text(&arguments.choice),
                                  .jobs = arguments.jobs,
                                  .people = people,
                                  .is_terminal = isatty(fileno(people)) == 1,
                                  .is_verbose = arguments.verbose};
    int exit_code = EX_USAGE;
    if (crash_choose(&arguments.choice, table, &report.chosen, &report.chosen_count, &error)) {
        report.results = alloc_zeroed(table->count * sizeof *report.results);
        exit_code = run_and_report(&report, &arguments);
    } else {
        cli_print_error("assent-fault-matrix", &error);
    }
    crash_report_done(&report);
    crash_choice_done(&arguments.choice);
    crash_table_free(table);
    return exit_code;
}
