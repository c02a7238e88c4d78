/*
 * report.c - collects what the checks find; see report.h.
 */
#include "tests/checker/report.h"

#include <stdarg.h>
#include <string.h>

#include "tests/checker/checks.h"

const struct check_about check_about[CHECK_COUNT] = {
    [CHECK_A1] = {"A1",
                  "atomic: the effects of a transaction are in all of its databases or in none"},
    [CHECK_D1] = {"D1", "durable and honest: committed means all effects, aborted means none"},
    [CHECK_X1] = {"X1", "exactly once for each key, and equal answers to its duplicates"},
    [CHECK_L1] = {"L1", "nothing prepared, unfinished or in doubt is left, and all heals in time"},
    [CHECK_C1] = {"C1", "money is conserved, and each balance is the sum of its effects"},
    [CHECK_K1] = {"K1", "no locks and no idle transactions are left"},
    [CHECK_B1] = {"B1", "memory, descriptors and journal do not grow"},
    [CHECK_H1] = {"H1", "heuristic outcomes only by a hand or a lost database, and each is listed"},
    [CHECK_G1] = {"G1",
                  "isolation: no lost, aborted or intermediate data, no cycles of dependency"},
};

char *text_format(const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    size_t size = length > 0 ? (size_t)length + 1 : 1;
    char *text = mem_zeroed(size, 1);
    vsnprintf(text, size, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

void report_checked(struct report *report, enum check check)
{
    if (report->status[check] == STATUS_NOT_CHECKED) {
        report->status[check] = STATUS_PASSED;
    }
}

void report_skipped(struct report *report, enum check check, const char *why)
{
    if (report->status[check] != STATUS_FAILED) {
        report->status[check] = STATUS_NOT_CHECKED;
        report->why_not[check] = why;
    }
}

static uint64_t count_one(struct report *report, enum check check, const char *name)
{
    for (size_t i = 0; i < report->tallies.count; i++) {
        struct tally *tally = &report->tallies.items[i];
        if (tally->check == check && strcmp(tally->name, name) == 0) {
            return ++tally->count;
        }
    }
    *vec_add(&report->tallies) = (struct tally){check, name, 1};
    return 1;
}

void report_add(struct report *report, enum check check, const char *name, int cycle,
                const char *format, ...)
{
    report->status[check] = STATUS_FAILED;
    report->count[check]++;
    if (count_one(report, check, name) > REPORT_KEPT) {
        return;
    }
    char text[1600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    *vec_add(&report->findings) = (struct finding){check, name, text_format("%s", text), cycle};
}

static void count_ops(const struct history *history, struct figures *figures)
{
    figures->ops = history->ops.count;
    int64_t first = TIME_NEVER, last = 0;
    for (size_t i = 0; i < history->ops.count; i++) {
        const struct op *op = &history->ops.items[i];
        figures->ok += op->result == RESULT_OK;
        figures->fail += op->result == RESULT_FAIL;
        figures->unknown += op->result == RESULT_UNKNOWN;
        figures->locking_ops += op->mode == MODE_LOCKING;
        first = op->t_inv < first ? op->t_inv : first;
        last = op->result == RESULT_OK && op->t_ret > last ? op->t_ret : last;
    }
    if (last > first) {
        figures->seconds = (double)(last - first) / 1e6;
        figures->throughput = (double)figures->ok / figures->seconds;
    }
    figures->txns = history->txns.count;
    for (size_t i = 0; i < history->txns.count; i++) {
        const struct txn *txn = &history->txns.items[i];
        figures->committed += txn->committed;
        figures->resolved_committed += txn->committed && txn->ok_count == 0;
    }
}

bool report_make(struct history *history, struct report *ret_report, struct problem *ret_problem)
{
    *ret_report = (struct report){0};
    check_heuristics(history, ret_report);
    check_effects(history, ret_report);
    if (!check_cycles(history, ret_report, ret_problem)) {
        report_done(ret_report);
        return false;
    }
    check_money(history, ret_report);
    check_leftovers(history, ret_report);
    check_growth(history, ret_report);
    count_ops(history, &ret_report->figures);
    return true;
}

bool report_passed(const struct report *report)
{
    for (int check = 0; check < CHECK_COUNT; check++) {
        if (report->status[check] == STATUS_FAILED) {
            return false;
        }
    }
    return true;
}

bool report_lacks(const struct report *report, enum check check)
{
    return report->required[check] && report->status[check] == STATUS_NOT_CHECKED;
}

enum verdict report_verdict(const struct report *report)
{
    bool lacking = false;
    for (int check = 0; check < CHECK_COUNT; check++) {
        lacking = lacking || report_lacks(report, (enum check)check);
    }
    return !report_passed(report) ? VERDICT_VIOLATED
           : lacking              ? VERDICT_INCOMPLETE
                                  : VERDICT_PASSED;
}

void report_done(struct report *report)
{
    for (size_t i = 0; i < report->findings.count; i++) {
        free(report->findings.items[i].text);
    }
    for (size_t i = 0; i < report->cycles.count; i++) {
        struct cycle *cycle = &report->cycles.items[i];
        for (size_t j = 0; j < cycle->steps.count; j++) {
            free(cycle->steps.items[j].text);
        }
        vec_done(&cycle->steps);
    }
    vec_done(&report->findings);
    vec_done(&report->tallies);
    vec_done(&report->cycles);
    vec_done(&report->faults);
    vec_done(&report->growths);
    *report = (struct report){0};
}
