/*
 * check_leftovers.c - L1 and K1: what is left at the end, and how long each fault took to heal.
 */
#include "tests/checker/checks.h"

#include <stdlib.h>

static bool listed_heuristic(const struct history *history, uint32_t txid)
{
    for (size_t i = 0; i < history->heuristics.count; i++) {
        if (history->heuristics.items[i].txid == txid) {
            return true;
        }
    }
    return false;
}

static void judge_left(const struct history *history, struct report *report)
{
    const struct names *names = &history->names;
    for (size_t i = 0; i < history->prepared.count; i++) {
        const struct database *database = &history->databases.items[history->prepared_db.items[i]];
        report_add(report, CHECK_L1, "left-prepared", -1,
                   "%s still holds the prepared transaction %s", names_text(names, database->name),
                   names_text(names, history->prepared.items[i]));
    }
    for (size_t i = 0; i < history->unfinished.count; i++) {
        if (!listed_heuristic(history, history->unfinished.items[i])) {
            report_add(report, CHECK_L1, "left-unfinished", -1, "%s is not finished",
                       names_text(names, history->unfinished.items[i]));
        }
    }
    for (size_t i = 0; i < history->in_doubt.count; i++) {
        if (!listed_heuristic(history, history->in_doubt.items[i])) {
            report_add(report, CHECK_L1, "left-in-doubt", -1, "%s is in doubt",
                       names_text(names, history->in_doubt.items[i]));
        }
    }
}

static struct fault_span *span_of(struct report *report, const struct nemesis *nemesis)
{
    for (size_t i = report->faults.count; i > 0; i--) {
        if (report->faults.items[i - 1].n == nemesis->n) {
            return &report->faults.items[i - 1];
        }
    }
    struct fault_span *span = vec_add(&report->faults);
    *span = (struct fault_span){.fault = nemesis->fault,
                                .target = nemesis->target,
                                .detail = nemesis->detail,
                                .n = nemesis->n,
                                .t_begin = nemesis->t,
                                .t_end = -1,
                                .heal_us = -1,
                                .recover_us = -1};
    return span;
}

static int compare_spans(const void *left_, const void *right_)
{
    const struct fault_span *left = left_, *right = right_;
    if (left->t_begin != right->t_begin) {
        return left->t_begin < right->t_begin ? -1 : 1;
    }
    return left->n < right->n ? -1 : left->n > right->n;
}

/* When healing from this fault could begin: its own end, or the end of another that was going on between. */
static int64_t heal_from(const struct report *report, const struct fault_span *span, int64_t healed)
{
    int64_t from = span->t_end;
    for (size_t i = 0; i < report->faults.count; i++) {
        const struct fault_span *other = &report->faults.items[i];
        int64_t end = other->t_end < 0 ? TIME_NEVER : other->t_end;
        if (other->t_begin < healed && end > from) {
            from = end < healed ? end : healed;
        }
    }
    return from;
}

static void make_spans(const struct history *history, struct report *report)
{
    for (size_t i = 0; i < history->nemeses.count; i++) {
        const struct nemesis *nemesis = &history->nemeses.items[i];
        if (nemesis->phase == PHASE_HEALED) {
            continue;
        }
        struct fault_span *span = span_of(report, nemesis);
        if (nemesis->phase == PHASE_BEGIN || nemesis->phase == PHASE_POINT) {
            span->t_begin = nemesis->t;
        }
        if (nemesis->phase == PHASE_END || nemesis->phase == PHASE_POINT) {
            span->t_end = nemesis->t;
        }
    }
    if (report->faults.count > 0) {
        qsort(report->faults.items, report->faults.count, sizeof *report->faults.items,
              compare_spans);
    }
}

static void judge_healing(const struct history *history, struct report *report)
{
    for (size_t i = 0; i < history->nemeses.count; i++) {
        const struct nemesis *nemesis = &history->nemeses.items[i];
        if (nemesis->phase != PHASE_HEALED) {
            continue;
        }
        struct fault_span *span = span_of(report, nemesis);
        if (span->t_end < 0 || span->heal_us >= 0) {
            continue;
        }
        span->heal_us = nemesis->t - heal_from(report, span, nemesis->t);
        if (span->heal_us > history->meta.heal_us) {
            report_add(report, CHECK_L1, "slow-heal", -1,
                       "fault %lld (%s of %s) took %.1f s to heal; %.1f s are promised",
                       (long long)span->n, names_text(&history->names, span->fault),
                       names_text(&history->names, span->target), (double)span->heal_us / 1e6,
                       (double)history->meta.heal_us / 1e6);
        }
    }
}

/* Where healing was measured at all, a fault that ended and had not healed when a later one began never did: whoever
 * made the faults gave up waiting. The last ones may just have been too late. */
static void judge_unhealed(const struct history *history, struct report *report)
{
    int64_t last_begin = -1;
    bool measured = false;
    for (size_t i = 0; i < report->faults.count; i++) {
        const struct fault_span *span = &report->faults.items[i];
        measured = measured || span->heal_us >= 0;
        if (span->t_end != span->t_begin && span->t_begin > last_begin) { /* no point */
            last_begin = span->t_begin;
        }
    }
    for (size_t i = 0; i < report->faults.count && measured; i++) {
        const struct fault_span *span = &report->faults.items[i];
        if (span->heal_us < 0 && span->t_end > span->t_begin && span->t_end < last_begin) {
            report_add(report, CHECK_L1, "not-healed", -1,
                       "fault %lld (%s of %s) ended at %.1f s and had not healed when the next one "
                       "began",
                       (long long)span->n, names_text(&history->names, span->fault),
                       names_text(&history->names, span->target), (double)span->t_end / 1e6);
        }
    }
}

/* A commit in one database, by the time it was sent. */
struct success {
    int64_t t_inv, t_ret; /* t_ret: the earliest of this one and all that were sent later */
};

static int compare_successes(const void *left_, const void *right_)
{
    const struct success *left = left_, *right = right_;
    return left->t_inv < right->t_inv ? -1 : left->t_inv > right->t_inv;
}

static size_t collect_successes(const struct history *history, uint16_t db, struct success *list)
{
    size_t count = 0;
    for (size_t i = 0; i < history->ops.count; i++) {
        const struct op *op = &history->ops.items[i];
        bool touches = false;
        for (uint32_t m = 0; m < op->micro_count && !touches; m++) {
            touches = history->micros.items[op->micro_first + m].db == db;
        }
        if (touches && op->result == RESULT_OK) {
            list[count++] = (struct success){op->t_inv, op->t_ret};
        }
    }
    qsort(list, count, sizeof *list, compare_successes);
    for (size_t i = count; i > 1; i--) {
        if (list[i - 1].t_ret < list[i - 2].t_ret) {
            list[i - 2].t_ret = list[i - 1].t_ret;
        }
    }
    return count;
}

/* The earliest return of what was sent at t or later, or -1. */
static int64_t first_success(const struct success *list, size_t count, int64_t t)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list[middle].t_inv < t) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count ? list[low].t_ret : -1;
}

static void measure_recovery(const struct history *history, struct report *report)
{
    if (report->faults.count == 0 || history->ops.count == 0) {
        return;
    }
    struct success *list = mem_zeroed(history->ops.count, sizeof *list);
    bool *missing = mem_zeroed(report->faults.count, sizeof *missing);
    for (uint16_t db = 0; db < history->databases.count; db++) {
        size_t count = collect_successes(history, db, list);
        for (size_t i = 0; i < report->faults.count && count > 0; i++) {
            struct fault_span *span = &report->faults.items[i];
            int64_t t = span->t_end < 0 ? -1 : first_success(list, count, span->t_end);
            missing[i] = missing[i] || t < 0;
            if (t >= 0 && t - span->t_end > span->recover_us) {
                span->recover_us = t - span->t_end;
            }
        }
    }
    for (size_t i = 0; i < report->faults.count; i++) {
        if (missing[i]) {
            report->faults.items[i].recover_us = -1;
        }
    }
    free(missing);
    free(list);
}

void check_leftovers(const struct history *history, struct report *report)
{
    bool prepared = true, locks = true;
    for (size_t i = 0; i < history->databases.count; i++) {
        const struct database *database = &history->databases.items[i];
        prepared = prepared && database->has_prepared;
        locks = locks && database->has_locks && database->has_idle;
        if (database->locks > 0) {
            report_add(report, CHECK_K1, "left-locks", -1,
                       "%s holds %lld locks of prepared transactions",
                       names_text(&history->names, database->name), (long long)database->locks);
        }
        if (database->idle > 0) {
            report_add(report, CHECK_K1, "left-idle", -1,
                       "%s has %lld sessions of Assent's that are idle in a transaction",
                       names_text(&history->names, database->name), (long long)database->idle);
        }
    }
    make_spans(history, report);
    measure_recovery(history, report);
    judge_healing(history, report);
    judge_unhealed(history, report);
    judge_left(history, report);
    if (prepared && history->has_state) {
        report_checked(report, CHECK_L1);
    } else {
        report_skipped(report, CHECK_L1,
                       prepared ? "nobody asked Assent what is unfinished (no state)"
                                : "not every database's prepared transactions were dumped");
    }
    if (locks) {
        report_checked(report, CHECK_K1);
    } else {
        report_skipped(report, CHECK_K1, "not every database's locks and sessions were dumped");
    }
}
