/*
 * report_text.c - the report for a person at a terminal.
 */
#include "tests/checker/report.h"

static const char *const status_words[] = {
    [STATUS_NOT_CHECKED] = "not checked", [STATUS_PASSED] = "holds", [STATUS_FAILED] = "VIOLATED"};

static void print_run(const struct history *history, const struct report *report, FILE *file)
{
    const struct figures *figures = &report->figures;
    const struct names *names = &history->names;
    fprintf(file, "Run: %s, seed %lld, workloads", names_text(names, history->meta.started),
            (long long)history->meta.seed);
    for (size_t i = 0; i < history->meta.workloads.count; i++) {
        fprintf(file, " %s", names_text(names, history->meta.workloads.items[i]));
    }
    fprintf(file, "\n%llu requests in %.1f s: %llu ok (%.1f a second), %llu failed, %llu unknown\n",
            (unsigned long long)figures->ops, figures->seconds, (unsigned long long)figures->ok,
            figures->throughput, (unsigned long long)figures->fail,
            (unsigned long long)figures->unknown);
    fprintf(
        file,
        "%llu transactions, %llu committed, %llu of those with an unknown answer and resolved by "
        "their effects\n",
        (unsigned long long)figures->txns, (unsigned long long)figures->committed,
        (unsigned long long)figures->resolved_committed);
    fprintf(file, "%zu faults, %zu heuristic outcomes listed\n", report->faults.count,
            history->heuristics.count);
    if (history->cut) {
        fputs("The history has no end: it was checked as far as it goes\n", file);
    } else if (history->end_reason != NAME_NONE) {
        fprintf(file, "The run ended: %s\n", names_text(names, history->end_reason));
    }
}

static void print_isolation(const struct report *report, FILE *file)
{
    const struct figures *figures = &report->figures;
    if (figures->snapshot_reads > 0) {
        fprintf(
            file,
            "Plain reads (mode S), as they are, no violation: %llu of %llu reading transactions "
            "were fractured (%.3f %%), %llu groups of dependency cycles, %llu lost updates\n",
            (unsigned long long)figures->fractured_reads,
            (unsigned long long)figures->snapshot_reads,
            100.0 * (double)figures->fractured_reads / (double)figures->snapshot_reads,
            (unsigned long long)figures->weak_sccs,
            (unsigned long long)figures->lost_updates_snapshot);
    }
    if (figures->global_reads > 0) {
        fprintf(file,
                "Global reads of all balances: %llu, of which plain ones with another sum: %llu\n",
                (unsigned long long)figures->global_reads,
                (unsigned long long)figures->global_reads_fractured);
    }
    for (size_t i = 0; i < report->cycles.count; i++) {
        const struct cycle *cycle = &report->cycles.items[i];
        if (!cycle->allowed) {
            continue;
        }
        fprintf(file, "  for example %s:\n", cycle->class_name);
        for (size_t j = 0; j < cycle->steps.count; j++) {
            const struct step *step = &cycle->steps.items[j];
            fprintf(file, "    T%lld < T%lld because %s\n", (long long)step->from,
                    (long long)step->to, step->text);
        }
    }
}

static void print_findings(const struct report *report, enum check check, FILE *file)
{
    for (size_t i = 0; i < report->findings.count; i++) {
        const struct finding *finding = &report->findings.items[i];
        if (finding->check == check) {
            fprintf(file, "      %s: %s\n", finding->name, finding->text);
        }
    }
    for (size_t i = 0; i < report->tallies.count; i++) {
        const struct tally *tally = &report->tallies.items[i];
        if (tally->check == check && tally->count > REPORT_KEPT) {
            fprintf(file, "      %s: %llu in all, the first %d are shown\n", tally->name,
                    (unsigned long long)tally->count, REPORT_KEPT);
        }
    }
}

/* B1 may hold for some series and have no material for others. */
static void print_untested(const struct history *history, const struct report *report, FILE *file)
{
    for (size_t i = 0; i < report->growths.count; i++) {
        const struct growth *growth = &report->growths.items[i];
        if (!growth->tested && report->status[CHECK_B1] != STATUS_NOT_CHECKED) {
            fprintf(file, "      not tested: %s%s%s: %s\n",
                    growth->process == NAME_NONE ? ""
                                                 : names_text(&history->names, growth->process),
                    growth->process == NAME_NONE ? "" : ", ", growth->what, growth->why_not);
        }
    }
}

static void print_faults(const struct history *history, const struct report *report, FILE *file)
{
    int64_t worst_heal = -1, worst_recover = -1;
    for (size_t i = 0; i < report->faults.count; i++) {
        const struct fault_span *fault = &report->faults.items[i];
        worst_heal = fault->heal_us > worst_heal ? fault->heal_us : worst_heal;
        worst_recover = fault->recover_us > worst_recover ? fault->recover_us : worst_recover;
    }
    if (worst_heal >= 0) {
        fprintf(file, "Slowest to heal: %.3f s (promised: %.1f s)\n", (double)worst_heal / 1e6,
                (double)history->meta.heal_us / 1e6);
    }
    if (worst_recover >= 0) {
        fprintf(file, "Slowest until a later transaction committed in every database: %.3f s\n",
                (double)worst_recover / 1e6);
    }
}

static void print_verdict(const struct report *report, FILE *file)
{
    static const char *const words[] = {[VERDICT_PASSED] = "no violation found",
                                        [VERDICT_INCOMPLETE] =
                                            "INCOMPLETE, though no violation was found",
                                        [VERDICT_VIOLATED] = "the contract was VIOLATED"};
    const char *separator = "; required and not checked: ";
    fprintf(file, "\nVerdict: %s", words[report_verdict(report)]);
    for (int check = 0; check < CHECK_COUNT; check++) {
        if (report_lacks(report, (enum check)check)) {
            fprintf(file, "%s%s", separator, check_about[check].id);
            separator = ", ";
        }
    }
    fputc('\n', file);
}

void report_print_text(const struct history *history, const struct report *report, FILE *file)
{
    print_run(history, report, file);
    print_isolation(report, file);
    print_faults(history, report, file);
    fputc('\n', file);
    for (int check = 0; check < CHECK_COUNT; check++) {
        fprintf(file, "  %s  %-11s  %s\n", check_about[check].id,
                status_words[report->status[check]], check_about[check].what);
        if (report->status[check] == STATUS_NOT_CHECKED) {
            fprintf(file, "      %s%s\n", report->why_not[check],
                    report_lacks(report, (enum check)check) ? " (and it was required)" : "");
        }
        print_findings(report, (enum check)check, file);
        if (check == CHECK_B1) {
            print_untested(history, report, file);
        }
    }
    print_verdict(report, file);
}
