/*
 * check_heuristics.c - H1: an outcome that somebody else decided is listed, and there are none without a cause.
 *
 * Runs first: a transaction with a heuristic outcome that is both listed and explained is excused from A1 and
 * D1. One that is explained and not listed is found by check_effects.c, where its effects are compared.
 */
#include "tests/checker/checks.h"

#include <string.h>

static bool names_key(const struct history *history, const struct nemesis *nemesis, uint32_t key)
{
    for (uint32_t i = 0; i < nemesis->key_count; i++) {
        if (history->nemesis_keys.items[nemesis->key_first + i] == key) {
            return true;
        }
    }
    return false;
}

static bool is_cause(const struct nemesis *nemesis)
{
    return nemesis->heuristic && (nemesis->phase == PHASE_BEGIN || nemesis->phase == PHASE_POINT);
}

bool heuristic_explained(const struct history *history, uint32_t key, int64_t t)
{
    for (size_t i = 0; i < history->nemeses.count; i++) {
        const struct nemesis *nemesis = &history->nemeses.items[i];
        if (is_cause(nemesis) && nemesis->t <= t &&
            (!nemesis->has_keys || names_key(history, nemesis, key))) {
            return true;
        }
    }
    return false;
}

bool heuristic_possible(const struct history *history)
{
    for (size_t i = 0; i < history->nemeses.count; i++) {
        if (is_cause(&history->nemeses.items[i])) {
            return true;
        }
    }
    return false;
}

bool heuristic_expected(const struct history *history, uint32_t key)
{
    for (size_t i = 0; i < history->nemeses.count; i++) {
        const struct nemesis *nemesis = &history->nemeses.items[i];
        if (is_cause(nemesis) && names_key(history, nemesis, key)) {
            return true;
        }
    }
    return false;
}

/* The key of a heuristic outcome that was listed by id only. */
static uint32_t find_key(const struct history *history, uint32_t txid)
{
    for (size_t i = 0; i < history->ops.count; i++) {
        if (history->ops.items[i].txid == txid) {
            return history->ops.items[i].key;
        }
    }
    return NAME_NONE;
}

bool heuristic_committed(const struct history *history, uint32_t key, uint16_t db)
{
    for (size_t i = 0; i < history->heuristics.count; i++) {
        const struct heuristic *heuristic = &history->heuristics.items[i];
        uint32_t of =
            heuristic->key != NAME_NONE ? heuristic->key : find_key(history, heuristic->txid);
        if (of == key && heuristic->db_name == history->databases.items[db].name &&
            strcmp(names_text(&history->names, heuristic->outcome), "commit") == 0 &&
            heuristic_explained(history, key, heuristic->t)) {
            return true;
        }
    }
    return false;
}

static void judge(struct history *history, struct report *report, const struct heuristic *heuristic)
{
    const struct names *names = &history->names;
    uint32_t key = heuristic->key;
    if (key == NAME_NONE) {
        key = find_key(history, heuristic->txid);
    }
    if (!heuristic_explained(history, key, heuristic->t)) {
        report_add(report, CHECK_H1, "heuristic-without-cause", -1,
                   "a heuristic outcome (%s) of key %s, id %s is listed at %.3f s, but no person "
                   "touched it and no database was lost before",
                   names_text(names, heuristic->outcome), names_text(names, key),
                   names_text(names, heuristic->txid), (double)heuristic->t / 1e6);
        return;
    }
    if (key == NAME_NONE || key >= history->key_txns.count) {
        return;
    }
    for (uint32_t txn = history->key_txns.items[key]; txn != NONE;
         txn = history->txns.items[txn].next_of_key) {
        history->txns.items[txn].excused = true;
    }
}

void check_heuristics(struct history *history, struct report *report)
{
    if (history->heuristics.count == 0 && !history->has_state) {
        report_skipped(report, CHECK_H1,
                       "nobody asked Assent for its heuristic outcomes (no state)");
        return;
    }
    report_checked(report, CHECK_H1);
    for (size_t i = 0; i < history->heuristics.count; i++) {
        judge(history, report, &history->heuristics.items[i]);
    }
}
