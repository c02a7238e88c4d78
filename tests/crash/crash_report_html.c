/*
 * crash_report_html.c - the report as one page that needs nothing else: points times flows, and the
 * cells with what red ones left in the logs. See crash_report.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/version.h"
#include "tests/crash/crash_report.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Assent fault matrix</title>\n<style>\n"
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem;color:#1b1f24;background:#fff}\n"
    "h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2rem 0 .6rem}\n"
    "p{max-width:62rem}code,pre{font:13px/1.4 ui-monospace,monospace}\n"
    "table{border-collapse:collapse}th,td{padding:2px 8px;text-align:left;vertical-align:top}\n"
    "th{font-weight:600}.grid th[scope=row]{font:13px ui-monospace,monospace;white-space:nowrap}\n"
    ".grid thead th{position:sticky;top:0;background:#fff;font-size:13px}\n"
    ".grid td{border:1px solid #d8dee4;text-align:center;padding:0;min-width:4.2rem}\n"
    ".grid tbody tr:hover th{background:#eef2f6}\n"
    ".grid a{display:inline-block;min-width:1.5rem;padding:1px 4px;margin:1px;border-radius:3px;\n"
    "text-decoration:none;font-size:12px}\n"
    ".green{background:#cdebd0;color:#11502a}.red{background:#c8202a;color:#fff;font-weight:700}\n"
    ".idle{background:#e6e9ed;color:#5a6470}.none{color:#aab2bb;cursor:help}\n"
    "td.number{text-align:right}.list td{border-top:1px solid #e6e9ed}tr:target{outline:2px solid "
    "#1f6feb}\n"
    "pre{background:#f5f7f9;padding:.8rem;overflow:auto;max-height:40rem}\n"
    "details{margin:.4rem 0}summary{cursor:pointer}\n"
    "@media(prefers-color-scheme:dark){body,.grid thead th{background:#14181d;color:#dbe1e8}\n"
    ".grid td,.list td{border-color:#333b45}pre{background:#1c2229}.idle{background:#333b45;"
    "color:#aab2bb}\n"
    ".green{background:#1d4b2c;color:#c5ecce}.none{color:#55606c}.grid tbody tr:hover "
    "th{background:#222a33}}\n"
    "</style></head><body>\n";

static const char *state_of(const struct crash_report *report, size_t cell)
{
    return report->results[cell].green ? "green" : report->results[cell].ran ? "red" : "idle";
}

/* --- the grid --------------------------------------------------------------------------------- */

/* Column: the crossed flows, and one for all cells with a situation of their own. */
static int column_of(const struct crash_cell *cell)
{
    const bool crossed = cell->flow < FLOW_GRID_COUNT && cell->prelude == PRELUDE_NONE;
    return crossed ? (int)cell->flow : FLOW_GRID_COUNT;
}

static void grid_cell(FILE *file, const struct crash_report *report, const char *row, int column)
{
    const char *reason = NULL;
    char name[CRASH_NAME_SIZE];
    bool any = false;
    (void)fputs("<td>", file);
    for (size_t i = 0; i < report->table->count; i++) {
        const struct crash_cell *cell = &report->table->cells[i];
        crash_cell_row(cell, name);
        if (column_of(cell) != column || strcmp(name, row) != 0) {
            continue;
        }
        crash_cell_name(cell, name);
        (void)fprintf(file, "<a class=\"%s\" href=\"#c%zu\" title=\"", state_of(report, i), i + 1);
        crash_report_escape(file, name);
        (void)fprintf(file, "\">%s</a>", crash_action_text(cell->action));
        any = true;
    }
    for (size_t i = 0; i < report->table->impossible_count && !any && reason == NULL; i++) {
        const struct crash_cell *cell = &report->table->impossible[i];
        crash_cell_row(cell, name);
        if (column_of(cell) == column && strcmp(name, row) == 0) {
            reason = cell->impossible;
        }
    }
    if (reason != NULL) {
        (void)fputs("<span class=\"none\" title=\"", file);
        crash_report_escape(file, reason);
        (void)fputs("\">&ndash;</span>", file);
    }
    (void)fputs("</td>", file);
}

struct rows {
    char (*names)[CRASH_NAME_SIZE];
    const char **texts;
    size_t count;
};

/* A row for each that has a cell anywhere, in the table's order. */
static void collect_rows(const struct crash_table *table, struct rows *ret_rows)
{
    char row[CRASH_NAME_SIZE];
    struct rows rows = {0};
    rows.names = alloc_resize(NULL, table->count, sizeof *rows.names);
    rows.texts = alloc_resize(NULL, table->count, sizeof *rows.texts);
    for (size_t i = 0; i < table->count; i++) {
        bool known = false;
        crash_cell_row(&table->cells[i], row);
        for (size_t k = 0; k < rows.count && !known; k++) {
            known = strcmp(rows.names[k], row) == 0;
        }
        if (!known) {
            memcpy(rows.names[rows.count], row, sizeof row);
            rows.texts[rows.count++] = crash_cell_explained(&table->cells[i]);
        }
    }
    *ret_rows = rows;
}

static void grid(FILE *file, const struct crash_report *report)
{
    struct rows rows;
    collect_rows(report->table, &rows);
    (void)fputs("<h2>Points and flows</h2>\n<table class=\"grid\"><thead><tr><th></th>", file);
    for (int column = FLOW_COMMIT; column < FLOW_GRID_COUNT; column++) {
        (void)fprintf(file, "<th scope=\"col\">%s</th>", crash_flow_text((enum crash_flow)column));
    }
    (void)fputs("<th scope=\"col\">others</th></tr></thead>\n<tbody>\n", file);
    for (size_t i = 0; i < rows.count; i++) {
        (void)fputs("<tr><th scope=\"row\" title=\"", file);
        crash_report_escape(file, rows.texts[i]);
        (void)fputs("\">", file);
        crash_report_escape(file, rows.names[i]);
        (void)fputs("</th>", file);
        for (int column = FLOW_COMMIT; column <= FLOW_GRID_COUNT; column++) {
            grid_cell(file, report, rows.names[i], column);
        }
        (void)fputs("</tr>\n", file);
    }
    (void)fputs("</tbody></table>\n", file);
    free(rows.names);
    free(rows.texts);
}

/* --- the lists -------------------------------------------------------------------------------- */

static void list_cell(FILE *file, const struct crash_report *report, size_t index)
{
    const struct crash_cell *cell = &report->table->cells[index];
    const struct crash_result *result = &report->results[index];
    char name[CRASH_NAME_SIZE];
    crash_cell_name(cell, name);
    (void)fprintf(file, "<tr id=\"c%zu\"><td class=\"number\">%zu</td><td><code>", index + 1,
                  index + 1);
    crash_report_escape(file, name);
    (void)fputs("</code><br>", file);
    crash_report_escape(file, crash_cell_explained(cell));
    (void)fprintf(file, "</td><td>%s</td><td class=\"%s\">%s</td>", crash_expect_text(cell->expect),
                  state_of(report, index),
                  result->green ? "green"
                  : result->ran ? "red"
                                : "not run");
    if (result->green) {
        (void)fprintf(file, "<td class=\"number\">%llu ms</td>",
                      (unsigned long long)result->heal_ms);
    } else {
        (void)fputs("<td></td>", file);
    }
    (void)fprintf(file, "<td class=\"number\">%.1f s</td></tr>\n", (double)result->run_ms / 1000);
}

static void red_cells(FILE *file, const struct crash_report *report)
{
    char name[CRASH_NAME_SIZE];
    for (size_t i = 0; i < report->trouble_count; i++) {
        (void)fputs("<p><span class=\"red\">&nbsp;red&nbsp;</span> ", file);
        crash_report_escape(file, report->troubles[i]);
        (void)fputs("</p>\n", file);
    }
    for (size_t i = 0; i < report->table->count; i++) {
        const struct crash_result *result = &report->results[i];
        if (!result->ran || result->green) {
            continue;
        }
        crash_cell_name(&report->table->cells[i], name);
        (void)fprintf(file, "<details open><summary><a href=\"#c%zu\"><code>", i + 1);
        crash_report_escape(file, name);
        (void)fputs("</code></a>: ", file);
        crash_report_escape(file, result->error == NULL ? "" : result->error);
        (void)fputs("</summary><pre>", file);
        crash_report_escape(file, result->logs == NULL ? "" : result->logs);
        (void)fputs("</pre></details>\n", file);
    }
}

static void summary(FILE *file, const struct crash_report *report)
{
    char started[32];
    struct tm parts;
    (void)gmtime_r(&report->started, &parts);
    (void)strftime(started, sizeof started, "%Y-%m-%d %H:%M UTC", &parts);
    (void)fprintf(file,
                  "<h1>Assent fault matrix</h1>\n<p>Version %s, profile <b>%s</b>, %s: %zu of %zu "
                  "cells in %.0f s on %u stacks. <b class=\"green\">&nbsp;%zu green&nbsp;</b> "
                  "<b class=\"%s\">&nbsp;%zu red&nbsp;</b></p>\n",
                  ASSENT_VERSION, report->profile, started, report->green + report->red,
                  report->table->count, (double)report->run_ms / 1000, report->jobs, report->green,
                  report->red + report->trouble_count > 0 ? "red" : "idle",
                  report->red + report->trouble_count);
    (void)fprintf(
        file,
        "<p>A cell is one fault while a transaction over three databases goes on: a daemon is "
        "killed at a named point, hangs there, or is stopped until every timeout is over and goes "
        "on "
        "as a zombie; a database or a client misbehaves. Afterwards all must be whole within ten "
        "seconds, row by row as the protocol says and as every client was told. A dash is a "
        "combination that cannot be (%zu of them; hover for the reason): the point is not on the "
        "flow's way. The surveys, in the first row, show that.</p>\n",
        report->table->impossible_count);
}

bool crash_report_html(const struct crash_report *report, const char *path, struct error *ret_error)
{
    FILE *file = crash_report_open(path, ret_error);
    if (file == NULL) {
        return false;
    }
    (void)fputs(head, file);
    summary(file, report);
    grid(file, report);
    if (report->red + report->trouble_count > 0) {
        (void)fputs("<h2>What is red</h2>\n", file);
        red_cells(file, report);
    }
    (void)fputs("<h2>Cells</h2>\n<table class=\"list\"><thead><tr><th>#</th><th>cell</th>"
                "<th>expected</th><th>result</th><th>healed in</th><th>all</th></tr></thead>"
                "<tbody>\n",
                file);
    for (size_t i = 0; i < report->table->count; i++) {
        list_cell(file, report, i);
    }
    (void)fputs("</tbody></table>\n</body></html>\n", file);
    return crash_report_close(file, path, ret_error);
}
