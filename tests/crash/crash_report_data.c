/*
 * crash_report_data.c - the reports for machines: JUnit XML and JSON. See crash_report.h.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/version.h"
#include "tests/crash/crash_report.h"

/* --- JUnit ------------------------------------------------------------------------------------ */

static void attribute(FILE *file, const char *name, const char *value)
{
    (void)fprintf(file, " %s=\"", name);
    crash_report_escape(file, value);
    (void)fputc('"', file);
}

static void open_case(FILE *file, const struct crash_cell *cell, uint64_t run_ms)
{
    char name[CRASH_NAME_SIZE];
    char group[64];
    crash_cell_name(cell, name);
    (void)snprintf(group, sizeof group, "matrix.%s.%s", crash_flow_text(cell->flow),
                   crash_action_text(cell->action));
    (void)fputs("  <testcase", file);
    attribute(file, "classname", group);
    attribute(file, "name", name);
    (void)fprintf(file, " time=\"%.3f\"", (double)run_ms / 1000);
}

static void junit_cell(FILE *file, const struct crash_cell *cell, const struct crash_result *result)
{
    open_case(file, cell, result->run_ms);
    if (result->green) {
        (void)fputs("/>\n", file);
    } else if (!result->ran) {
        (void)fputs("><skipped message=\"not run: the matrix was ended before\"/></testcase>\n",
                    file);
    } else {
        (void)fputs("><failure", file);
        attribute(file, "message", result->error);
        (void)fputc('>', file);
        crash_report_escape(file, result->logs == NULL ? "" : result->logs);
        (void)fputs("</failure></testcase>\n", file);
    }
}

static void junit_trouble(FILE *file, const char *text)
{
    (void)fputs("  <testcase classname=\"matrix\" name=\"beside the cells\"><failure", file);
    attribute(file, "message", text);
    (void)fputs("/></testcase>\n", file);
}

/* Impossible combinations are skipped cases with their reason: counted, and there to be doubted. */
static void junit_impossible(FILE *file, const struct crash_cell *cell)
{
    open_case(file, cell, 0);
    (void)fputs("><skipped", file);
    attribute(file, "message", cell->impossible);
    (void)fputs("/></testcase>\n", file);
}

bool crash_report_junit(const struct crash_report *report, const char *path,
                        struct error *ret_error)
{
    const struct crash_table *table = report->table;
    FILE *file = crash_report_open(path, ret_error);
    if (file == NULL) {
        return false;
    }
    const size_t not_run = report->chosen_count - report->green - report->red;
    (void)fprintf(file,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<testsuite name=\"assent-fault matrix (%s)\" tests=\"%zu\" failures=\"%zu\" "
                  "errors=\"0\" skipped=\"%zu\" time=\"%.3f\">\n",
                  report->profile,
                  report->chosen_count + report->trouble_count + table->impossible_count,
                  report->red + report->trouble_count, not_run + table->impossible_count,
                  (double)report->run_ms / 1000);
    for (size_t i = 0; i < table->count; i++) {
        if (report->chosen[i]) {
            junit_cell(file, &table->cells[i], &report->results[i]);
        }
    }
    for (size_t i = 0; i < report->trouble_count; i++) {
        junit_trouble(file, report->troubles[i]);
    }
    for (size_t i = 0; i < table->impossible_count; i++) {
        junit_impossible(file, &table->impossible[i]);
    }
    (void)fputs("</testsuite>\n", file);
    return crash_report_close(file, path, ret_error);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *cell_json(const struct crash_cell *cell)
{
    char name[CRASH_NAME_SIZE];
    crash_cell_name(cell, name);
    return json_pack("{s:s,s:s,s:s,s:i,s:s,s:s,s:s}", "cell", name, "point",
                     crash_cell_subject(cell), "victim", crash_victim_text(cell->victim), "hit",
                     (int)cell->hit, "flow", crash_flow_text(cell->flow), "prelude",
                     crash_prelude_text(cell->prelude), "action", crash_action_text(cell->action));
}

static json_t *result_json(const struct crash_cell *cell, const struct crash_result *result)
{
    json_t *object = cell_json(cell);
    (void)json_object_set_new(object, "expected", json_string(crash_expect_text(cell->expect)));
    (void)json_object_set_new(object, "result",
                              json_string(result->green ? "green"
                                          : result->ran ? "red"
                                                        : "not run"));
    (void)json_object_set_new(object, "run_ms", json_integer((json_int_t)result->run_ms));
    if (result->green) {
        (void)json_object_set_new(object, "heal_ms", json_integer((json_int_t)result->heal_ms));
    } else if (result->error != NULL) {
        (void)json_object_set_new(object, "error", json_string(result->error));
    }
    return object;
}

bool crash_report_json(const struct crash_report *report, const char *path, struct error *ret_error)
{
    char started[32];
    struct tm parts;
    (void)gmtime_r(&report->started, &parts);
    (void)strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &parts);
    json_t *cells = json_array();
    json_t *impossible = json_array();
    json_t *troubles = json_array();
    for (size_t i = 0; i < report->table->count; i++) {
        if (report->chosen[i]) {
            (void)json_array_append_new(cells,
                                        result_json(&report->table->cells[i], &report->results[i]));
        }
    }
    for (size_t i = 0; i < report->table->impossible_count; i++) {
        json_t *object = cell_json(&report->table->impossible[i]);
        (void)json_object_set_new(object, "reason",
                                  json_string(report->table->impossible[i].impossible));
        (void)json_array_append_new(impossible, object);
    }
    for (size_t i = 0; i < report->trouble_count; i++) {
        (void)json_array_append_new(troubles, json_string(report->troubles[i]));
    }
    json_t *root = json_pack("{s:s,s:s,s:s,s:i,s:f,s:i,s:i,s:o,s:o,s:o}", "version", ASSENT_VERSION,
                             "profile", report->profile, "started", started, "stacks",
                             (int)report->jobs, "seconds", (double)report->run_ms / 1000, "green",
                             (int)report->green, "red", (int)(report->red + report->trouble_count),
                             "troubles", troubles, "cells", cells, "impossible", impossible);
    FILE *file = crash_report_open(path, ret_error);
    bool written = file != NULL && root != NULL && json_dumpf(root, file, JSON_INDENT(1)) == 0 &&
                   fputc('\n', file) != EOF;
    json_decref(root);
    if (file == NULL) {
        return false;
    }
    return crash_report_close(file, path, ret_error) &&
           (written || error_set(ret_error, ERROR_IO, "cannot write %s", path));
}
