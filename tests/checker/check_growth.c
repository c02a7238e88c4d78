/*
 * check_growth.c - B1: resident memory, descriptors and the journal do not grow without end.
 *
 * The test, for each series (one process and one measure, or the journal), over its steady part: from meta's steady_from,
 * or without the first quarter of the run.
 *
 *   1. A line is fitted by least squares. Each life of a process has an intercept of its own, so that a restart, which
 *      begins small, is no growth and hides none: only differences within a life count. The first tenth of each
 *      life is left out, for caches that fill.
 *   2. It is tested only with at least 60 samples over at least 60 seconds.
 *   3. It fails if the lower bound of the slope (99 %, one-sided, residuals taken as they are) is above zero in the
 *      whole and in each half, and the growth over the steady part is more than the allowance: a tenth of the mean, but at
 *      least 16 MiB of memory or journal, 16 descriptors.
 *
 * That both halves must grow tells a leak from something that fills up once. Samples a second apart are correlated, so the
 * bound alone would be too eager; the allowance is what keeps it honest for short runs.
 */
#include "tests/checker/checks.h"

#include <math.h>
#include <string.h>

#define SAMPLES_MIN 60
#define SPAN_MIN    60e6
#define QUANTILE    2.33 /* 99 %, one-sided */
#define BYTES_MIN   (16.0 * 1024 * 1024)
#define FDS_MIN     16.0

struct point {
    double t, y;
    int64_t life;
};

typedef VEC_OF(struct point) point_list;

struct slope {
    double value, lower, mean;
};

/* Sums within lives: points of one life are next to each other. */
static struct slope fit(const struct point *points, size_t count)
{
    double sxx = 0, sxy = 0, syy = 0, sum = 0;
    size_t lives = 0;
    for (size_t first = 0, next; first < count; first = next) {
        double mean_t = 0, mean_y = 0;
        for (next = first; next < count && points[next].life == points[first].life; next++) {
            mean_t += points[next].t;
            mean_y += points[next].y;
        }
        mean_t /= (double)(next - first);
        mean_y /= (double)(next - first);
        lives++;
        for (size_t i = first; i < next; i++) {
            double t = points[i].t - mean_t, y = points[i].y - mean_y;
            sxx += t * t;
            sxy += t * y;
            syy += y * y;
            sum += points[i].y;
        }
    }
    struct slope slope = {0, 0, count > 0 ? sum / (double)count : 0};
    if (sxx > 0 && count > lives + 1) {
        slope.value = sxy / sxx;
        double residual = syy - slope.value * sxy;
        double variance = (residual > 0 ? residual : 0) / (double)(count - lives - 1) / sxx;
        slope.lower = slope.value - QUANTILE * sqrt(variance);
    }
    return slope;
}

/* Without what lies before the steady part, and without the first tenth of each life. */
static void keep_steady(point_list *points, double from)
{
    size_t kept = 0;
    for (size_t first = 0, next; first < points->count; first = next) {
        for (next = first;
             next < points->count && points->items[next].life == points->items[first].life;
             next++) {
        }
        double begin = points->items[first].t;
        double warm = begin + (points->items[next - 1].t - begin) / 10;
        for (size_t i = first; i < next; i++) {
            if (points->items[i].t >= from && points->items[i].t >= warm) {
                points->items[kept++] = points->items[i];
            }
        }
    }
    points->count = kept;
}

static void judge_series(const struct history *history, struct report *report, uint32_t process,
                         const char *what, point_list *points)
{
    double from = history->meta.steady_from >= 0 ? (double)history->meta.steady_from
                                                 : (double)history->t_last / 4;
    keep_steady(points, from);
    size_t count = points->count;
    struct growth *growth = vec_add(&report->growths);
    *growth = (struct growth){.process = process, .what = what, .samples = count};
    double span = count > 0 ? points->items[count - 1].t - points->items[0].t : 0;
    struct slope whole = fit(points->items, count);
    struct slope early = fit(points->items, count / 2);
    struct slope late = fit(points->items + count / 2, count - count / 2);
    double least = strcmp(what, "fds") == 0 ? FDS_MIN : BYTES_MIN;
    growth->per_hour = whole.value * 3600e6;
    growth->growth = whole.value * span;
    growth->allowance = whole.mean / 10 > least ? whole.mean / 10 : least;
    growth->tested = count >= SAMPLES_MIN && span >= SPAN_MIN;
    growth->failed = growth->tested && whole.lower > 0 && early.lower > 0 && late.lower > 0 &&
                     growth->growth > growth->allowance;
    if (growth->failed) {
        bool count_of = strcmp(what, "fds") == 0;
        double unit = count_of ? 1 : 1024.0 * 1024;
        report_add(
            report, CHECK_B1, "growth", -1,
            "%s of %s grows by %.1f%s an hour: %.1f over the %.0f s of the steady part, more "
            "than the allowed %.1f",
            what, process == NAME_NONE ? "assentd" : names_text(&history->names, process),
            growth->per_hour / unit, count_of ? "" : " MiB", growth->growth / unit, span / 1e6,
            growth->allowance / unit);
    }
}

static void judge_process(const struct history *history, struct report *report, uint32_t process,
                          bool memory)
{
    point_list points = {0};
    for (size_t i = 0; i < history->process_samples.count; i++) {
        const struct process_sample *sample = &history->process_samples.items[i];
        int64_t value = memory ? sample->rss : sample->fds;
        if (sample->process == process && value >= 0) {
            *vec_add(&points) = (struct point){(double)sample->t, (double)value, sample->pid};
        }
    }
    if (points.count > 0) {
        judge_series(history, report, process, memory ? "rss" : "fds", &points);
    }
    vec_done(&points);
}

void check_growth(const struct history *history, struct report *report)
{
    if (!history->has_growth) {
        report_skipped(report, CHECK_B1, "no samples of memory, descriptors or journal");
        return;
    }
    bool *seen = mem_zeroed(history->names.starts.count, sizeof *seen);
    for (size_t i = 0; i < history->process_samples.count; i++) {
        uint32_t process = history->process_samples.items[i].process;
        if (!seen[process]) {
            seen[process] = true;
            judge_process(history, report, process, true);
            judge_process(history, report, process, false);
        }
    }
    free(seen);
    point_list journal = {0};
    for (size_t i = 0; i < history->samples.count; i++) {
        const struct sample *sample = &history->samples.items[i];
        if (sample->journal >= 0) {
            *vec_add(&journal) = (struct point){(double)sample->t, (double)sample->journal, 0};
        }
    }
    if (journal.count > 0) {
        judge_series(history, report, NAME_NONE, "journal", &journal);
    }
    vec_done(&journal);
    bool tested = false;
    for (size_t i = 0; i < report->growths.count; i++) {
        tested = tested || report->growths.items[i].tested;
    }
    if (tested) {
        report_checked(report, CHECK_B1);
    } else {
        report_skipped(report, CHECK_B1, "less than 60 samples of the steady part");
    }
}
