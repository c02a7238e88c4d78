/* report.c - see report.h. */
#include "tests/mutants/report.h"

#include <stdio.h>
#include <stdlib.h>

#define RATE_WANTED 0.95

/* ---- planted bugs ---- */

static const char *verdict_text(enum planted_verdict verdict)
{
    switch (verdict) {
    case PLANTED_CAUGHT:
        return "caught";
    case PLANTED_NOT_BY_NAMED:
        return "not by the stages named";
    case PLANTED_ESCAPED:
        return "ESCAPED";
    case PLANTED_EARLY:
        return "too early";
    case PLANTED_BROKEN:
        return "BROKEN";
    }
    return "?";
}

bool report_planted_good(const struct planted_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        if (report->rows[i].verdict != PLANTED_CAUGHT && report->rows[i].verdict != PLANTED_EARLY) {
            return false;
        }
    }
    return true;
}

static void print_row(const struct planted_row *row)
{
    bool told = false;
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        const struct stage_result *result = &row->stages[stage];
        if (result->verdict == STAGE_CAUGHT) {
            printf("%3u  %-12s %7.1f s  %s\n", row->bug->number, stage_name((enum stage)stage),
                   (double)result->took_ms / 1000, row->bug->title);
            printf("                            %s\n", result->evidence);
            told = true;
        }
    }
    if (row->verdict != PLANTED_CAUGHT || !told) {
        printf("%3u  %-23s %s\n", row->bug->number, verdict_text(row->verdict), row->bug->title);
    }
    for (int stage = 0; stage < STAGE_COUNT && row->verdict == PLANTED_ESCAPED; stage++) {
        if (row->stages[stage].verdict == STAGE_PASSED) {
            printf("                            %s noticed nothing\n",
                   stage_name((enum stage)stage));
        } else if (row->stages[stage].verdict == STAGE_ABSENT) {
            printf("                            %s is not in this tree\n",
                   stage_name((enum stage)stage));
        }
    }
    if (row->verdict == PLANTED_BROKEN) {
        printf("                            %s\n", row->error.text);
        if (row->error.hint[0] != '\0') {
            printf("                            hint: %s\n", row->error.hint);
        }
    }
}

void report_planted_text(const struct planted_report *report)
{
    size_t caught = 0, early = 0, by[STAGE_COUNT + 1] = {0};
    printf("bug  caught by       after  title and evidence\n");
    for (size_t i = 0; i < report->count; i++) {
        const struct planted_row *row = &report->rows[i];
        print_row(row);
        caught += row->verdict == PLANTED_CAUGHT;
        early += row->verdict == PLANTED_EARLY;
        by[planted_first(row)]++;
    }
    printf("\nplanted bugs: %zu, caught: %zu (", report->count, caught);
    const char *separator = "";
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        if (by[stage] > 0) {
            printf("%s%s %zu", separator, stage_name((enum stage)stage), by[stage]);
            separator = ", ";
        }
    }
    printf(")");
    if (early > 0) {
        printf(", too early: %zu", early);
    }
    printf("\n");
}

json_t *report_planted_json(const struct planted_report *report)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < report->count; i++) {
        const struct planted_row *row = &report->rows[i];
        json_t *stages = json_array();
        for (int stage = 0; stage < STAGE_COUNT; stage++) {
            const struct stage_result *result = &row->stages[stage];
            if (result->verdict != 0) {
                static const char *const texts[] = {"", "passed", "caught", "absent"};
                (void)json_array_append_new(
                    stages,
                    json_pack("{s:s, s:s, s:f, s:s}", "stage", stage_name((enum stage)stage),
                              "verdict", texts[result->verdict], "seconds",
                              (double)result->took_ms / 1000, "evidence", result->evidence));
            }
        }
        (void)json_array_append_new(rows, json_pack("{s:i, s:s, s:s, s:s, s:s, s:o}", "number",
                                                    (int)row->bug->number, "title", row->bug->title,
                                                    "rules", row->bug->rules, "expected",
                                                    row->bug->expected, "verdict",
                                                    verdict_text(row->verdict), "stages", stages));
    }
    return rows;
}

/* ---- automatic mutants ---- */

struct automatic_sums report_automatic_sums(const struct automatic_report *report,
                                            const struct survivor_list *survivors)
{
    struct automatic_sums sums = {0};
    for (size_t i = 0; i < report->count; i++) {
        const struct automatic_row *row = &report->rows[i];
        if (!row->was_run) {
            continue;
        }
        sums.run++;
        if (row->is_killed) {
            sums.killed++;
            sums.killed_by[row->phase]++;
            sums.stuck += row->is_stuck;
            continue;
        }
        sums.unasked += !row->is_asked;
        if (row->listed == NULL) {
            sums.unlisted++;
        } else if (row->listed->is_equivalent) {
            sums.equivalent++;
        } else {
            sums.listed++;
        }
    }
    for (size_t i = 0; i < survivors->count; i++) {
        sums.stale += !survivors->survivors[i].is_met;
    }
    size_t counted = sums.run - sums.equivalent;
    sums.rate = counted == 0 ? 1 : (double)sums.killed / (double)counted;
    return sums;
}

bool report_automatic_good(const struct automatic_sums *sums, bool is_sample)
{
    return sums->unlisted == 0 && sums->stale == 0 && (is_sample || sums->rate >= RATE_WANTED);
}

static void print_survivors(const struct automatic_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct automatic_row *row = &report->rows[i];
        if (row->was_run && !row->is_killed && row->listed == NULL) {
            char *name = survivor_name(row->mutant);
            printf("%s\n    mutant %u, line %u; %s\n", name, row->mutant->number, row->mutant->line,
                   row->is_asked ? "every test passed" : "no test came by");
            free(name);
        }
    }
}

void report_automatic_text(const struct automatic_report *report,
                           const struct survivor_list *survivors, const struct automatic_sums *sums,
                           bool is_sample)
{
    if (sums->unlisted > 0) {
        printf("Survivors that tests/mutants/survivors.txt does not explain. Best is a test that "
               "kills "
               "them:\n\n");
        print_survivors(report);
        printf("\n");
    }
    for (size_t i = 0; i < report->count; i++) {
        const struct automatic_row *row = &report->rows[i];
        if (row->was_run && row->is_killed && row->listed != NULL) {
            printf("listed, but killed by %s now: %s\n", row->program, row->listed->name);
        }
    }
    for (size_t i = 0; i < survivors->count; i++) {
        if (!survivors->survivors[i].is_met) {
            printf("listed, but there is no such place any more: %s\n",
                   survivors->survivors[i].name);
        }
    }
    printf(
        "automatic mutants: %zu of %zu run, %zu killed (spec %zu, random %zu, sim %zu; %zu by not "
        "ending)\n",
        sums->run, report->count, sums->killed, sums->killed_by[PHASE_SPEC],
        sums->killed_by[PHASE_RANDOM], sums->killed_by[PHASE_SIM], sums->stuck);
    printf(
        "survivors: %zu equivalent, %zu others with a reason, %zu without; %zu that no test came "
        "by\n",
        sums->equivalent, sums->listed, sums->unlisted, sums->unasked);
    if (!is_sample) {
        printf("killed, of those that are not equivalent: %.1f %% (%.0f %% wanted)%s\n",
               100 * sums->rate, 100 * RATE_WANTED, report->has_sim ? "" : "; without simulation");
    }
}

json_t *report_automatic_json(const struct automatic_report *report,
                              const struct automatic_sums *sums)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < report->count; i++) {
        const struct automatic_row *row = &report->rows[i];
        if (!row->was_run) {
            continue;
        }
        char *name = survivor_name(row->mutant);
        const char *verdict = row->is_stuck    ? "stuck"
                              : row->is_killed ? "killed"
                              : row->is_asked  ? "survived"
                                               : "not asked for";
        (void)json_array_append_new(
            rows,
            json_pack("{s:i, s:s, s:i, s:s, s:s?, s:f, s:s?}", "number", (int)row->mutant->number,
                      "name", name, "line", (int)row->mutant->line, "verdict", verdict, "by",
                      row->program, "seconds", (double)row->took_ms / 1000, "reason",
                      row->listed == NULL ? NULL : row->listed->reason));
        free(name);
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "run",
                     (json_int_t)sums->run, "killed", (json_int_t)sums->killed, "by_spec",
                     (json_int_t)sums->killed_by[PHASE_SPEC], "by_random",
                     (json_int_t)sums->killed_by[PHASE_RANDOM], "by_sim",
                     (json_int_t)sums->killed_by[PHASE_SIM], "equivalent",
                     (json_int_t)sums->equivalent, "listed", (json_int_t)sums->listed, "unlisted",
                     (json_int_t)sums->unlisted, "rate", sums->rate, "mutants", rows);
}
