/*
 * report_html.c - the report as one HTML page that needs nothing else.
 */
#include <string.h>

#include "tests/checker/plot.h"

#define BINS       300
#define FAULTS_MAX 1000

static const char *const status_words[] = {
    [STATUS_NOT_CHECKED] = "not checked", [STATUS_PASSED] = "holds", [STATUS_FAILED] = "violated"};
static const char *const status_classes[] = {
    [STATUS_NOT_CHECKED] = "skip", [STATUS_PASSED] = "good", [STATUS_FAILED] = "bad"};

static const char style[] =
    "<style>:root{color-scheme:light dark;--fg:#1c2128;--bg:#fff;--soft:#f3f5f7;--rule:#d5dae0;"
    "--line:#1f5fa8;--area:#8fb8e6;--fault:rgba(206,84,60,.22);--good:#1f7a4d;--bad:#b3261e;"
    "--skip:#6b7480}"
    "@media(prefers-color-scheme:dark){:root{--fg:#e4e8ec;--bg:#15191e;--soft:#1f252c;"
    "--rule:#38414b;--line:#7db4f0;--area:#2d5582;--fault:rgba(240,120,90,.28);--good:#63c795;"
    "--bad:#ff8a80;--skip:#9aa4af}}"
    "body{font:15px/1.45 "
    "system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:1060px;"
    "margin:24px auto;padding:0 16px}h1{font-size:22px}h2{font-size:17px;margin-top:32px}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:4px 10px 4px 0;"
    "border-bottom:1px solid var(--rule);vertical-align:top}td.n,th.n{text-align:right;"
    "font-variant-numeric:tabular-nums}.good{color:var(--good)}.bad{color:var(--bad)}"
    ".skip{color:var(--skip)}.verdict{padding:12px 16px;background:var(--soft);border-left:6px "
    "solid;"
    "font-weight:600}.plot{width:100%;height:auto;display:block;margin:8px 0}"
    ".grid{stroke:var(--rule)}.tick{font-size:11px;fill:var(--skip)}.title{font-size:13px;"
    "fill:var(--fg);font-weight:600}.line{fill:none;stroke:var(--line);stroke-width:1.6}"
    ".area{fill:var(--area);fill-opacity:.45;stroke:var(--line)}.fault{fill:var(--fault)}.mark{"
    "font-size:10px;"
    "fill:var(--bad)}li{margin:3px 0;overflow-wrap:anywhere}.cycle{margin:12px 0}.cycle "
    "svg{max-width:100%;height:auto;"
    "border:1px solid var(--rule);border-radius:6px}small{color:var(--skip)}</style>\n";

static void print_head(const struct history *history, const struct report *report, FILE *file)
{
    const struct figures *figures = &report->figures;
    const struct names *names = &history->names;
    static const char *const titles[] = {[VERDICT_PASSED] = "no violation",
                                         [VERDICT_INCOMPLETE] = "incomplete",
                                         [VERDICT_VIOLATED] = "VIOLATED"};
    static const char *const texts[] = {
        [VERDICT_PASSED] = "No violation found",
        [VERDICT_INCOMPLETE] = "No violation found, but what was required was not checked",
        [VERDICT_VIOLATED] = "The contract was violated"};
    enum verdict verdict = report_verdict(report);
    fprintf(file,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
            "<title>assent-fault: %s</title>%s</head><body>\n<h1>Assent under faults</h1>\n"
            "<p class=\"verdict %s\">%s</p>\n<p>",
            titles[verdict], style, verdict == VERDICT_PASSED ? "good" : "bad", texts[verdict]);
    markup_escape(names_text(names, history->meta.started), file);
    fprintf(file, ", seed %lld, ", (long long)history->meta.seed);
    markup_escape(names_text(names, history->meta.program), file);
    fputs(", workloads", file);
    for (size_t i = 0; i < history->meta.workloads.count; i++) {
        fputs(i == 0 ? " " : ", ", file);
        markup_escape(names_text(names, history->meta.workloads.items[i]), file);
    }
    fputs(", databases", file);
    for (size_t i = 0; i < history->databases.count; i++) {
        fputs(i == 0 ? " " : ", ", file);
        markup_escape(names_text(names, history->databases.items[i].name), file);
    }
    fprintf(
        file,
        ".</p>\n<p>%llu requests in %.1f s: %llu ok (%.1f a second), %llu failed, %llu unknown. "
        "%llu transactions, %llu committed, of which %llu had an unknown answer and were "
        "resolved by their effects. %zu faults, %zu heuristic outcomes listed.%s</p>\n",
        (unsigned long long)figures->ops, figures->seconds, (unsigned long long)figures->ok,
        figures->throughput, (unsigned long long)figures->fail,
        (unsigned long long)figures->unknown, (unsigned long long)figures->txns,
        (unsigned long long)figures->committed, (unsigned long long)figures->resolved_committed,
        report->faults.count, history->heuristics.count,
        history->cut ? " <b class=\"bad\">The history has no end.</b>" : "");
}

static void print_checks(const struct report *report, FILE *file)
{
    fputs("<h2>Checks</h2>\n<table><tr><th>check<th>result<th>what holds</tr>\n", file);
    for (int check = 0; check < CHECK_COUNT; check++) {
        enum status status = report->status[check];
        fprintf(file, "<tr><td><b>%s</b><td class=\"%s\">%s", check_about[check].id,
                status_classes[status], status_words[status]);
        if (report->count[check] > 0) {
            fprintf(file, " (%llu)", (unsigned long long)report->count[check]);
        }
        fputs("<td>", file);
        markup_escape(check_about[check].what, file);
        if (status == STATUS_NOT_CHECKED) {
            fputs("<br><small>", file);
            markup_escape(report->why_not[check], file);
            fputs(report_lacks(report, (enum check)check) ? " (and it was required)</small>"
                                                          : "</small>",
                  file);
        }
        fputs("</tr>\n", file);
    }
    fputs("</table>\n", file);
}

static void print_throughput(const struct history *history, const struct report *report, FILE *file)
{
    plot_points points = {0};
    int64_t width = history->t_last / BINS + 1;
    width = width < 100000 ? 100000 : width;
    for (int64_t t = width; t - width <= history->t_last; t += width) {
        *vec_add(&points) = (struct plot_point){(double)t, 0};
    }
    for (size_t i = 0; i < history->ops.count; i++) {
        const struct op *op = &history->ops.items[i];
        if (op->result == RESULT_OK && (size_t)(op->t_ret / width) < points.count) {
            points.items[op->t_ret / width].y += 1e6 / (double)width;
        }
    }
    struct plot plot = {.title = "Committed transactions, and faults",
                        .unit = "per second",
                        .divide = 1,
                        .height = 300,
                        .faults = true,
                        .steps = true};
    fputs("<h2>Throughput</h2>\n", file);
    plot_draw(history, report, &plot, &points, file);
    vec_done(&points);
}

static void print_seconds(int64_t us, FILE *file)
{
    if (us < 0) {
        fputs("<td class=\"n\">-", file);
    } else {
        fprintf(file, "<td class=\"n\">%.3f", (double)us / 1e6);
    }
}

static void print_faults(const struct history *history, const struct report *report, FILE *file)
{
    if (report->faults.count == 0) {
        return;
    }
    fprintf(file,
            "<h2>Faults</h2>\n<p>Healed: from the end of the fault until nothing was prepared or "
            "unfinished and all participants were ready (promised: %.1f s). Recovered: until a "
            "transaction that was sent later had committed in every database. Seconds.</p>\n"
            "<table><tr><th class=\"n\">n<th>fault<th>of<th class=\"n\">begin<th class=\"n\">end"
            "<th class=\"n\">healed<th class=\"n\">recovered<th>detail</tr>\n",
            (double)history->meta.heal_us / 1e6);
    for (size_t i = 0; i < report->faults.count && i < FAULTS_MAX; i++) {
        const struct fault_span *fault = &report->faults.items[i];
        fprintf(file, "<tr><td class=\"n\">%lld<td>", (long long)fault->n);
        markup_escape(names_text(&history->names, fault->fault), file);
        fputs("<td>", file);
        markup_escape(names_text(&history->names, fault->target), file);
        print_seconds(fault->t_begin, file);
        print_seconds(fault->t_end, file);
        print_seconds(fault->heal_us, file);
        print_seconds(fault->recover_us, file);
        fputs("<td>", file);
        if (fault->detail != NAME_NONE) {
            markup_escape(names_text(&history->names, fault->detail), file);
        }
        fputs("</tr>\n", file);
    }
    fputs("</table>\n", file);
    if (report->faults.count > PLOT_FAULTS_MAX) {
        fprintf(file, "<p><small>Of %zu faults one in %zu is marked in the drawings.</small></p>\n",
                report->faults.count, report->faults.count / PLOT_FAULTS_MAX + 1);
    }
    if (report->faults.count > FAULTS_MAX) {
        fprintf(file, "<p><small>%zu more are in the JSON report.</small></p>\n",
                report->faults.count - FAULTS_MAX);
    }
}

static void print_cycles(const struct report *report, bool allowed, FILE *file)
{
    for (size_t i = 0; i < report->cycles.count; i++) {
        if (report->cycles.items[i].allowed == allowed) {
            fputs("<div class=\"cycle\">\n", file);
            cycle_draw_svg(&report->cycles.items[i], file);
            fputs("</div>\n", file);
        }
    }
}

static void print_isolation(const struct report *report, FILE *file)
{
    const struct figures *figures = &report->figures;
    if (figures->snapshot_reads == 0 && figures->global_reads == 0) {
        return;
    }
    double share = figures->snapshot_reads == 0
                       ? 0
                       : 100.0 * (double)figures->fractured_reads / (double)figures->snapshot_reads;
    fprintf(
        file,
        "<h2>Isolation as it is</h2>\n<p>Plain reads across databases may see one branch of a "
        "transaction before another; locking reads may not. The figures for plain reads are "
        "no violation.</p>\n<table><tr><td>Fractured among transactions with plain reads"
        "<td class=\"n\">%llu of %llu<td class=\"n\">%.3f %%</tr>\n"
        "<tr><td>Groups of dependency cycles through plain reads<td class=\"n\">%llu<td></tr>\n"
        "<tr><td>Lost updates after plain reads<td class=\"n\">%llu<td></tr>\n"
        "<tr><td>Global reads of all balances; plain ones with another sum<td class=\"n\">%llu; "
        "%llu<td></tr></table>\n",
        (unsigned long long)figures->fractured_reads, (unsigned long long)figures->snapshot_reads,
        share, (unsigned long long)figures->weak_sccs,
        (unsigned long long)figures->lost_updates_snapshot,
        (unsigned long long)figures->global_reads,
        (unsigned long long)figures->global_reads_fractured);
}

static void print_findings(const struct report *report, FILE *file)
{
    bool any = report->findings.count > 0;
    if (any) {
        fputs("<h2 class=\"bad\">Violations</h2>\n<ul>\n", file);
    }
    for (size_t i = 0; i < report->findings.count; i++) {
        const struct finding *finding = &report->findings.items[i];
        fprintf(file, "<li><b>%s %s</b>: ", check_about[finding->check].id, finding->name);
        markup_escape(finding->text, file);
        fputs("</li>\n", file);
    }
    if (any) {
        fputs("</ul>\n", file);
    }
    print_cycles(report, false, file);
}

static void collect(const struct history *history, const struct growth *growth, plot_points *points)
{
    if (growth->process == NAME_NONE) {
        for (size_t i = 0; i < history->samples.count; i++) {
            const struct sample *sample = &history->samples.items[i];
            if (sample->journal >= 0) {
                *vec_add(points) = (struct plot_point){(double)sample->t, (double)sample->journal};
            }
        }
        return;
    }
    bool memory = strcmp(growth->what, "rss") == 0;
    for (size_t i = 0; i < history->process_samples.count; i++) {
        const struct process_sample *sample = &history->process_samples.items[i];
        int64_t value = memory ? sample->rss : sample->fds;
        if (sample->process == growth->process && value >= 0) {
            *vec_add(points) = (struct plot_point){(double)sample->t, (double)value};
        }
    }
}

static void print_growth(const struct history *history, const struct report *report, FILE *file)
{
    if (report->growths.count > 0) {
        fputs(
            "<h2>Memory, descriptors, journal</h2>\n<p>A line is fitted over the steady part, each "
            "life of a process with its own beginning. Growth fails if the slope is above zero "
            "(99 %) in the whole and in both halves of the lives, and adds up to more than the "
            "allowance in the longest one.</p>\n",
            file);
    }
    for (size_t i = 0; i < report->growths.count; i++) {
        const struct growth *growth = &report->growths.items[i];
        bool count = strcmp(growth->what, "fds") == 0;
        double divide = count ? 1 : 1024.0 * 1024;
        char title[400];
        snprintf(title, sizeof title, "%s%s%s",
                 growth->process == NAME_NONE ? "" : names_text(&history->names, growth->process),
                 growth->process == NAME_NONE ? "" : ": ", growth->what);
        struct plot plot = {.title = title,
                            .unit = count ? "open" : "MiB",
                            .divide = divide,
                            .height = 150,
                            .gap = 5e6};
        plot_points points = {0};
        collect(history, growth, &points);
        plot_draw(history, report, &plot, &points, file);
        vec_done(&points);
        fprintf(file,
                "<p><small class=\"%s\">%s: %+.3f an hour, %+.3f in the %.0f s of the longest life "
                "(allowed %.3f), %zu samples%s%s</small></p>\n",
                !growth->tested  ? "skip"
                : growth->failed ? "bad"
                                 : "good",
                !growth->tested  ? "not tested"
                : growth->failed ? "grows"
                                 : "level",
                growth->per_hour / divide, growth->growth / divide, growth->seconds,
                growth->allowance / divide, growth->samples, growth->tested ? "" : "; ",
                growth->tested ? "" : growth->why_not);
    }
}

void report_print_html(const struct history *history, const struct report *report, FILE *file)
{
    print_head(history, report, file);
    print_checks(report, file);
    print_findings(report, file);
    print_throughput(history, report, file);
    print_faults(history, report, file);
    print_isolation(report, file);
    print_growth(history, report, file);
    fputs("</body></html>\n", file);
}
