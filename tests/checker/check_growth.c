/*
 * check_growth.c - B1: resident memory, descriptors and the journal do not grow without end.
 *
 * The test, for each series (one process and one measure, or the journal), over its steady part: from meta's steady_from
 * (the journal: journal_steady_from), or without the first quarter of the run.
 *
 *   1. Each life of a process counts by itself: a restart, which begins small, is no growth and hides none. The first
 *      tenth of a life, and at least 10 s, is left out: connections are made, caches fill. What is left is looked at if it
 *      has at least 15 samples over at least 15 s; the lives of the journal are one.
 *   2. A line is fitted by least squares over all lives that are looked at, with an intercept for each.
 *   3. It fails if the lower bound of the slope (99 %, one-sided, Student's t, residuals taken as they are) is above zero in
 *      the whole, in the first halves and in the second halves of the lives; and the growth is more than the allowance: a
 *      tenth of the mean, but at least 16 MiB of memory or journal, 16 descriptors. Growth is the slope times the longest
 *      life's length, which was really seen: warming up goes on for minutes, ever more slowly, and a line through many
 *      short lives would make hours of it.
 *
 * That both halves must grow tells a leak from something that fills up once. Samples a second apart are correlated, so the
 * bound alone would be too eager; the allowance is what keeps it honest for short runs. So a run of 30 s finds what leaks
 * by the request, and not what leaks by the hour: that takes hours in which the process lives (--faults without kill,
 * stop, restart and disk).
 */
#include "tests/checker/checks.h"

#include <math.h>
#include <string.h>

#define SAMPLES_MIN 15
#define SPAN_MIN    15e6
#define WARM_MIN    10e6
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

/* Student's t for 99 %, one-sided: the normal quantile with the first two terms of its expansion in 1/freedom (a
 * hundredth off at five degrees of freedom). */
static double quantile(double freedom)
{
    static const double z = 2.326348;
    double first = (pow(z, 3) + z) / 4;
    double second = (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / 96;
    return z + first / freedom + second / (freedom * freedom);
}

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
        double freedom = (double)(count - lives - 1);
        double variance = (residual > 0 ? residual : 0) / freedom / sxx;
        slope.lower = slope.value - quantile(freedom) * sqrt(variance);
    }
    return slope;
}

/* What is looked at, and the halves of its lives. */
struct steady {
    point_list points, early, late;
    double span; /* of the longest life */
};

static void keep_half(point_list *half, const struct point *points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *vec_add(half) = points[i];
    }
}

/* One life, if it is long enough behind what is left out. */
static void keep_life(struct steady *steady, const struct point *points, size_t count, double from)
{
    double warm = fmax((points[count - 1].t - points[0].t) / 10, WARM_MIN);
    double begin = fmax(from, points[0].t + warm);
    size_t first = 0;
    while (first < count && points[first].t < begin) {
        first++;
    }
    size_t kept = count - first;
    double span = kept == 0 ? 0 : points[count - 1].t - points[first].t;
    if (kept < SAMPLES_MIN || span < SPAN_MIN) {
        return;
    }
    keep_half(&steady->points, points + first, kept);
    keep_half(&steady->early, points + first, kept / 2);
    keep_half(&steady->late, points + first + kept / 2, kept - kept / 2);
    steady->span = fmax(steady->span, span);
}

static void keep_steady(struct steady *steady, const point_list *points, double from)
{
    for (size_t first = 0, next; first < points->count; first = next) {
        for (next = first;
             next < points->count && points->items[next].life == points->items[first].life;
             next++) {
        }
        keep_life(steady, points->items + first, next - first, from);
    }
}

static void tell_growth(const struct history *history, struct report *report,
                        const struct growth *growth)
{
    bool count_of = strcmp(growth->what, "fds") == 0;
    double unit = count_of ? 1 : 1024.0 * 1024;
    report_add(report, CHECK_B1, "growth", -1,
               "%s of %s grows by %.1f%s an hour: %.1f over the %.0f s of the longest life, more "
               "than the allowed %.1f",
               growth->what,
               growth->process == NAME_NONE ? "assentd"
                                            : names_text(&history->names, growth->process),
               growth->per_hour / unit, count_of ? "" : " MiB", growth->growth / unit,
               growth->seconds, growth->allowance / unit);
}

static double steady_from(const struct history *history, bool journal)
{
    const struct meta *meta = &history->meta;
    if (journal && meta->journal_steady_from >= 0) {
        return (double)meta->journal_steady_from;
    }
    return meta->steady_from >= 0 ? (double)meta->steady_from : (double)history->t_last / 4;
}

static void judge_series(const struct history *history, struct report *report, uint32_t process,
                         const char *what, const point_list *points)
{
    struct steady steady = {0};
    double from = steady_from(history, process == NAME_NONE);
    keep_steady(&steady, points, from);
    struct slope whole = fit(steady.points.items, steady.points.count);
    struct slope early = fit(steady.early.items, steady.early.count);
    struct slope late = fit(steady.late.items, steady.late.count);
    double least = strcmp(what, "fds") == 0 ? FDS_MIN : BYTES_MIN;
    struct growth *growth = vec_add(&report->growths);
    *growth = (struct growth){.process = process,
                              .what = what,
                              .samples = steady.points.count,
                              .seconds = steady.span / 1e6,
                              .per_hour = whole.value * 3600e6,
                              .growth = whole.value * steady.span,
                              .allowance = fmax(whole.mean / 10, least),
                              .tested = steady.points.count > 0};
    if (!growth->tested) {
        growth->why_not = from + SPAN_MIN > (double)history->t_last
                              ? "the history ends before it is expected to be level"
                              : "no life of it has 15 samples over 15 s behind what is left out";
    }
    growth->failed = growth->tested && whole.lower > 0 && early.lower > 0 && late.lower > 0 &&
                     growth->growth > growth->allowance;
    if (growth->failed) {
        tell_growth(history, report, growth);
    }
    vec_done(&steady.points);
    vec_done(&steady.early);
    vec_done(&steady.late);
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
        report_skipped(
            report, CHECK_B1,
            "no series is long enough: it takes 15 samples over 15 s, behind the first quarter of "
            "the run and the first 10 s of a life; 30 s of a run in which nothing is "
            "restarted have that");
    }
}
