/*
 * crash_matrix.c - the crash matrix: every fault point of common/fault_points.def, reached by real
 * daemons on real databases, with a SIGKILL there (docs/TESTING.md).
 *
 * Each line that it prints is a cell (crash_cells.c). A cell is red if its point was not reached, or
 * if anything that crash_judge.c demands is not true after the restart. A point that no cell names
 * fails the whole program.
 *
 *     crash_matrix [--list] [--point NAME]... [--cell N]... [--stop-at-red]
 */
#include <argp.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/clock.h"
#include "tests/crash/crash_stage.h"

#define CHOICES_MAX 256
#define LOG_TAIL    3000

struct choices {
    bool list;
    bool stop_at_red;
    size_t point_count;
    const char *points[CHOICES_MAX];
    size_t cell_count;
    unsigned long cells[CHOICES_MAX];
};

enum key { KEY_LIST = 'l', KEY_POINT = 'p', KEY_CELL = 'c', KEY_STOP = 0x100 };

static const struct argp_option options[] = {
    {"list", KEY_LIST, NULL, 0, "Print the cells and leave", 0},
    {"point", KEY_POINT, "NAME", 0, "Only the cells of this fault point (may be repeated)", 0},
    {"cell", KEY_CELL, "N", 0, "Only the cell of this number (may be repeated)", 0},
    {"stop-at-red", KEY_STOP, NULL, 0, "Leave at the first red cell", 0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct choices *choices = state->input;
    switch (key) {
    case KEY_LIST:
        choices->list = true;
        return 0;
    case KEY_STOP:
        choices->stop_at_red = true;
        return 0;
    case KEY_POINT:
        if (choices->point_count == CHOICES_MAX) {
            argp_error(state, "too many points");
        }
        choices->points[choices->point_count++] = argument;
        return 0;
    case KEY_CELL:
        if (choices->cell_count == CHOICES_MAX) {
            argp_error(state, "too many cells");
        }
        choices->cells[choices->cell_count++] = strtoul(argument, NULL, 10);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool is_chosen(const struct choices *choices, size_t index)
{
    for (size_t i = 0; i < choices->point_count; i++) {
        if (strcmp(choices->points[i], fault_point_name(crash_cells[index].point)) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < choices->cell_count; i++) {
        if (choices->cells[i] == index + 1) {
            return true;
        }
    }
    return choices->point_count == 0 && choices->cell_count == 0;
}

/* Every point has a cell, and every cell belongs to the daemon whose point it is. */
static bool table_is_complete(void)
{
    bool complete = true;
    for (int point = 0; point < FAULT_POINT_COUNT; point++) {
        bool found = false;
        for (size_t i = 0; i < crash_cell_count; i++) {
            found = found || crash_cells[i].point == (enum fault_point)point;
        }
        if (!found) {
            printf("RED   %s has no cell (\"%s\")\n", fault_point_name((enum fault_point)point),
                   fault_point_text((enum fault_point)point));
            complete = false;
        }
    }
    return complete;
}

static void print_cell(size_t index)
{
    const struct crash_cell *cell = &crash_cells[index];
    printf("%3zu  %-20s %-4s %-8s %-9s %-13s %1u  ", index + 1, fault_point_name(cell->point),
           crash_action_text(cell->action), crash_victim_text(cell->victim),
           crash_flow_text(cell->flow), crash_prelude_text(cell->prelude), cell->hit);
}

static void print_heading(void)
{
    printf("  #  %-20s %-4s %-8s %-9s %-13s %1s  %-6s %8s\n", "point", "", "victim", "flow",
           "prelude", "k", "result", "heal/ms");
}

/* The end of a daemon's log from where the cell began. */
static void print_log(const struct stack_daemon *daemon, off_t offset)
{
    FILE *file = fopen(stack_daemon_log_path(daemon), "re");
    if (file == NULL) {
        return;
    }
    off_t size = stack_daemon_log_size(daemon);
    if (size - offset > LOG_TAIL) {
        offset = size - LOG_TAIL;
    }
    char line[1024];
    printf("     --- %s\n", stack_daemon_name(daemon));
    if (fseeko(file, offset, SEEK_SET) == 0) {
        while (fgets(line, sizeof line, file) != NULL) {
            printf("     %s", line);
        }
    }
    (void)fclose(file);
}

struct log_marks {
    off_t coordinator;
    off_t agents[STACK_PARTICIPANTS_MAX];
};

static void mark_logs(struct stack *stack, struct log_marks *ret_marks)
{
    ret_marks->coordinator = stack_daemon_log_size(stack_coordinator(stack));
    for (size_t i = 0; i < stack_participant_count(stack); i++) {
        ret_marks->agents[i] = stack_daemon_log_size(stack_agent(stack, i));
    }
}

static void print_logs(struct stack *stack, const struct log_marks *marks)
{
    print_log(stack_coordinator(stack), marks->coordinator);
    for (size_t i = 0; i < stack_participant_count(stack); i++) {
        print_log(stack_agent(stack, i), marks->agents[i]);
    }
}

static bool run_cell(struct stack *stack, size_t index)
{
    struct error error = {0};
    struct log_marks marks = {0};
    struct crash_stage stage = {
        .stack = stack, .cell = &crash_cells[index], .number = (unsigned)index + 1};
    print_cell(index);
    (void)fflush(stdout);
    mark_logs(stack, &marks);
    bool green =
        crash_settle(stack, &error) && crash_run(&stage, &error) && crash_judge(&stage, &error);
    if (green) {
        printf("%-6s %8llu\n", "green", (unsigned long long)stage.heal_ms);
    } else {
        printf("%-6s %8s  %s\n", "RED", "", error.text);
        print_logs(stack, &marks);
        crash_reset(stack);
    }
    (void)fflush(stdout);
    crash_stage_done(&stage);
    return green;
}

struct tally {
    size_t green, red;
};

static void run_cells(struct stack *stack, const struct choices *choices, struct tally *tally)
{
    print_heading();
    for (size_t i = 0; i < crash_cell_count; i++) {
        if (!is_chosen(choices, i)) {
            continue;
        }
        if (run_cell(stack, i)) {
            tally->green++;
        } else {
            tally->red++;
            if (choices->stop_at_red) {
                return;
            }
        }
    }
}

static bool run(const struct choices *choices, struct tally *tally, struct error *ret_error)
{
    /* Retention as short as it can be; the cell about trimming needs it. Everything else is as
     * shipped: the promise of ten seconds is about the defaults. */
    const struct stack_options stack_options = {.assentd_lines =
                                                    "retention_hours = 1\ntrim_interval = 500ms\n"};
    struct stack *stack = NULL;
    bool succeeded = stack_new(&stack_options, &stack, ret_error) &&
                     checkout_setup(stack, ret_error) && stack_start(stack, ret_error);
    if (succeeded) {
        run_cells(stack, choices, tally);
        succeeded = checkout_audit(stack, ret_error) || error_wrap(ret_error, "audit of all rows");
    }
    stack_free(stack);
    return succeeded;
}

int main(int argc, char **argv)
{
    struct choices choices = {0};
    const struct argp argp = {options, parse, "",  "Runs the crash matrix of docs/TESTING.md.",
                              NULL,    NULL,  NULL};
    argp_parse(&argp, argc, argv, 0, NULL, &choices);
    if (choices.list) {
        for (size_t i = 0; i < crash_cell_count; i++) {
            print_cell(i);
            printf("%s\n", fault_point_text(crash_cells[i].point));
        }
        return table_is_complete() ? EX_OK : EXIT_FAILURE;
    }
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    struct error error = {0};
    struct tally tally = {0};
    uint64_t begin_ms = clock_monotonic_ms();
    bool complete = table_is_complete();
    bool succeeded = run(&choices, &tally, &error);
    if (!succeeded) {
        printf("RED   %s\n", error.text);
    }
    printf("%zu green, %zu red, %llu s\n", tally.green, tally.red,
           (unsigned long long)((clock_monotonic_ms() - begin_ms) / 1000));
    bool any = tally.green > 0 && tally.red == 0;
    return complete && succeeded && any ? EX_OK : EXIT_FAILURE;
}
