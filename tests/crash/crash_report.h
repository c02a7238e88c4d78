/*
 * crash_report.h - what the matrix says: a table in the terminal while it runs, and at the end JUnit
 * XML, one HTML page, JSON. Called by crash_matrix.c only.
 */
#ifndef ASSENT_TESTS_CRASH_CRASH_REPORT_H
#define ASSENT_TESTS_CRASH_CRASH_REPORT_H

#include <stdio.h>
#include <time.h>

#include "tests/crash/crash_pool.h"

struct crash_report {
    const struct crash_table *table;
    bool *chosen;                 /* by cell */
    struct crash_result *results; /* by cell; owned */
    size_t chosen_count, green, red;
    char **troubles; /* what is red beside cells; owned */
    size_t trouble_count;
    const char *profile; /* "selection" where cells were named */
    unsigned jobs;
    time_t started;
    uint64_t begin_ms, run_ms;
    FILE *people; /* where the table goes; standard error if a report has standard output */
    bool is_terminal, is_verbose;
};

void crash_report_heading(const struct crash_report *report);
/* Keeps the result (takes what it owns) and prints its line. */
void crash_report_cell(struct crash_report *report, size_t cell, struct crash_result *result);
void crash_report_trouble(struct crash_report *report, const char *text);
void crash_report_summary(const struct crash_report *report);

/* Points that no chosen cell reaches; prints each. */
size_t crash_report_uncovered(const struct crash_report *report);

bool crash_report_junit(const struct crash_report *report, const char *path,
                        struct error *ret_error);
bool crash_report_html(const struct crash_report *report, const char *path,
                       struct error *ret_error);
bool crash_report_json(const struct crash_report *report, const char *path,
                       struct error *ret_error);

/* Text for XML and HTML: markup escaped, control characters and broken UTF-8 replaced. */
void crash_report_escape(FILE *file, const char *text);
/* "-" is standard output. NULL if it cannot be written. */
FILE *crash_report_open(const char *path, struct error *ret_error);
/* Closes; false if anything was not written. */
bool crash_report_close(FILE *file, const char *path, struct error *ret_error);

void crash_report_done(struct crash_report *report);

#endif
