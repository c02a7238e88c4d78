/*
 * crash_report.c - the table in the terminal, and what the reports share. See crash_report.h.
 *
 * In a terminal: one line that counts on, and a line for each red cell. Elsewhere (and with
 * --verbose): a line for each cell, as they end.
 */
#include "tests/crash/crash_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"

#define GREEN "\x1b[32m"
#define RED   "\x1b[31m"
#define PLAIN "\x1b[0m"
#define CLEAR "\r\x1b[K"

static const char *colour(const struct crash_report *report, const char *code)
{
    return report->is_terminal ? code : "";
}

void crash_report_heading(const struct crash_report *report)
{
    fprintf(report->people,
            "assent-fault matrix: profile %s, %zu of %zu cells, %zu combinations are impossible; "
            "%u stacks\n",
            report->profile, report->chosen_count, report->table->count,
            report->table->impossible_count, report->jobs);
    if (!report->is_terminal || report->is_verbose) {
        fprintf(report->people, "  #  %-24s %1s %-8s %-12s %-13s %-5s  %-6s %7s %7s\n", "point",
                "k", "victim", "flow", "prelude", "", "result", "heal/ms", "all/ms");
    }
    (void)fflush(report->people);
}

static void print_line(const struct crash_report *report, size_t index)
{
    const struct crash_cell *cell = &report->table->cells[index];
    const struct crash_result *result = &report->results[index];
    fprintf(report->people, "%s%3zu  %-24s %1u %-8s %-12s %-13s %-5s  ", colour(report, CLEAR),
            index + 1, crash_cell_subject(cell), cell->hit, crash_victim_text(cell->victim),
            crash_flow_text(cell->flow), crash_prelude_text(cell->prelude),
            crash_action_text(cell->action));
    if (result->green) {
        fprintf(report->people, "%sgreen%s  %7llu %7llu\n", colour(report, GREEN),
                colour(report, PLAIN), (unsigned long long)result->heal_ms,
                (unsigned long long)result->run_ms);
    } else {
        fprintf(report->people, "%sRED%s    %7s %7llu  %s\n", colour(report, RED),
                colour(report, PLAIN), "", (unsigned long long)result->run_ms, result->error);
    }
}

static void print_logs(const struct crash_report *report, const char *logs)
{
    for (const char *line = logs; line != NULL && *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        fprintf(report->people, "     %.*s\n", (int)length, line);
        line += length + (line[length] == '\n' ? 1 : 0);
    }
}

static void print_progress(const struct crash_report *report, size_t index)
{
    char name[CRASH_NAME_SIZE];
    const size_t done = report->green + report->red;
    crash_cell_name(&report->table->cells[index], name);
    fprintf(report->people, "%s[%4zu/%zu] %s%zu green%s, %s%zu red%s, %llu s  %.60s", CLEAR, done,
            report->chosen_count, GREEN, report->green, PLAIN, report->red > 0 ? RED : "",
            report->red, PLAIN,
            (unsigned long long)((clock_monotonic_ms() - report->begin_ms) / 1000), name);
}

void crash_report_cell(struct crash_report *report, size_t cell, struct crash_result *result)
{
    report->results[cell] = *result;
    *result = (struct crash_result){0};
    if (report->results[cell].green) {
        report->green++;
    } else {
        report->red++;
    }
    if (!report->results[cell].green || !report->is_terminal || report->is_verbose) {
        print_line(report, cell);
        print_logs(report, report->results[cell].logs);
    }
    if (report->is_terminal) {
        print_progress(report, cell);
    }
    (void)fflush(report->people);
}

void crash_report_trouble(struct crash_report *report, const char *text)
{
    report->troubles =
        alloc_resize(report->troubles, report->trouble_count + 1, sizeof *report->troubles);
    report->troubles[report->trouble_count++] = alloc_string(text);
    fprintf(report->people, "%s%sRED%s  %s\n", colour(report, CLEAR), colour(report, RED),
            colour(report, PLAIN), text);
    (void)fflush(report->people);
}

void crash_report_summary(const struct crash_report *report)
{
    uint64_t healed_ms = 0;
    for (size_t i = 0; i < report->table->count; i++) {
        if (report->results[i].green && report->results[i].heal_ms > healed_ms) {
            healed_ms = report->results[i].heal_ms;
        }
    }
    fprintf(report->people, "%s%zu green, %zu red", colour(report, CLEAR), report->green,
            report->red + report->trouble_count);
    if (report->green + report->red < report->chosen_count) {
        fprintf(report->people, ", %zu not run",
                report->chosen_count - report->green - report->red);
    }
    fprintf(report->people, "; %llu s; slowest to heal %llu ms\n",
            (unsigned long long)(report->run_ms / 1000), (unsigned long long)healed_ms);
}

size_t crash_report_uncovered(const struct crash_report *report)
{
    size_t uncovered = 0;
    for (int point = 0; point < FAULT_POINT_COUNT; point++) {
        bool found = false;
        for (size_t i = 0; i < report->table->count && !found; i++) {
            const struct crash_cell *cell = &report->table->cells[i];
            found = report->chosen[i] && cell->point == (enum fault_point)point &&
                    cell->action <= ACTION_STOP;
        }
        if (!found) {
            fprintf(report->people, "RED  %s has no cell in this profile (\"%s\")\n",
                    fault_point_name((enum fault_point)point),
                    fault_point_text((enum fault_point)point));
            uncovered++;
        }
    }
    return uncovered;
}

/* How long the UTF-8 character is that begins here; 0: none does. */
static size_t utf8_length(const unsigned char *text)
{
    const size_t length = text[0] < 0x80                       ? 1
                          : text[0] >= 0xc2 && text[0] <= 0xdf ? 2
                          : text[0] >= 0xe0 && text[0] <= 0xef ? 3
                          : text[0] >= 0xf0 && text[0] <= 0xf4 ? 4
                                                               : 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

void crash_report_escape(FILE *file, const char *text)
{
    while (*text != '\0') {
        const size_t length = utf8_length((const unsigned char *)text);
        const bool is_control =
            length == 1 && (unsigned char)*text < ' ' && *text != '\n' && *text != '\t';
        if (length == 0 || is_control) {
            (void)fputc('?', file);
        } else if (strchr("<>&\"'", *text) != NULL) {
            (void)fprintf(file, "&#%d;", *text);
        } else {
            (void)fwrite(text, 1, length, file);
        }
        text += length == 0 ? 1 : length;
    }
}

FILE *crash_report_open(const char *path, struct error *ret_error)
{
    FILE *file = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (file == NULL) {
        (void)error_set_errno(ret_error, ERROR_IO, errno, "cannot write %s", path);
    }
    return file;
}

bool crash_report_close(FILE *file, const char *path, struct error *ret_error)
{
    bool failed = ferror(file) != 0;
    failed = (file == stdout ? fflush(file) : fclose(file)) != 0 || failed;
    return !failed || error_set(ret_error, ERROR_IO, "cannot write %s", path);
}

void crash_report_done(struct crash_report *report)
{
    for (size_t i = 0; report->results != NULL && i < report->table->count; i++) {
        crash_result_done(&report->results[i]);
    }
    for (size_t i = 0; i < report->trouble_count; i++) {
        free(report->troubles[i]);
    }
    free(report->troubles);
    free(report->results);
    free(report->chosen);
    *report = (struct crash_report){0};
}
