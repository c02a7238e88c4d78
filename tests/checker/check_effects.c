/*
 * check_effects.c - A1, D1, X1: the rows of effects that the databases hold, as sets, against what each client
 * asked for and was told.
 */
#include "tests/checker/checks.h"

#include <stdlib.h>

/* Rows of one key, and the transaction they are compared with. */
struct judged {
    struct history *history;
    struct report *report;
    const struct effect *rows;
    size_t count;
    struct txn *txn;
    const char *key;
};

static int compare_effects(const void *left_, const void *right_)
{
    const struct effect *left = left_, *right = right_;
    if (left->key != right->key) {
        return left->key < right->key ? -1 : 1;
    }
    if (left->db != right->db) {
        return left->db < right->db ? -1 : 1;
    }
    if (left->seq != right->seq) {
        return left->seq < right->seq ? -1 : 1;
    }
    return 0;
}

static const char *db_text(const struct history *history, uint16_t db)
{
    return names_text(&history->names, history->databases.items[db].name);
}

static const struct micro *find_micro(const struct history *history, const struct txn *txn,
                                      const struct effect *row)
{
    const struct op *op = &history->ops.items[txn->op];
    for (uint32_t i = 0; i < op->micro_count; i++) {
        const struct micro *micro = &history->micros.items[op->micro_first + i];
        if (micro->seq == row->seq && micro->db == row->db) {
            return micro;
        }
    }
    return NULL;
}

static bool row_matches(const struct history *history, const struct micro *micro,
                        const struct effect *row)
{
    uint32_t k = micro->object == NONE ? NAME_NONE : history->objects.items[micro->object].name;
    bool has_v = micro->value == VALUE_INTEGER;
    return k == row->k && has_v == row->has_v && (!has_v || micro->v == row->v);
}

static uint32_t expected_rows(const struct history *history, const struct txn *txn)
{
    const struct op *op = &history->ops.items[txn->op];
    uint32_t count = 0;
    for (uint32_t i = 0; i < op->micro_count; i++) {
        count += history->micros.items[op->micro_first + i].seq >= 0;
    }
    return count;
}

/* With one key and several bodies at most one body may have run: the one that was acknowledged, else the one
 * that the first row belongs to. */
static struct txn *choose_txn(struct history *history, uint32_t key, const struct effect *row)
{
    struct txn *chosen = NULL;
    int best = -1;
    uint32_t index = key < history->key_txns.count ? history->key_txns.items[key] : NONE;
    while (index != NONE) {
        struct txn *txn = &history->txns.items[index];
        const struct micro *micro = row ? find_micro(history, txn, row) : NULL;
        int rank = txn->ok_count > 0                           ? 3
                   : micro && row_matches(history, micro, row) ? 2
                   : txn->unknown_count > 0                    ? 1
                                                               : 0;
        if (rank > best) {
            best = rank;
            chosen = txn;
        }
        index = txn->next_of_key;
    }
    return chosen;
}

static bool is_repeated(const struct effect *row, const struct effect *before)
{
    return row->db == before->db && (row->seq == before->seq ||
                                     (row->has_xid && before->has_xid && row->xid != before->xid));
}

/* One of the rows with this database and seq is what was asked for. */
static bool any_matches(const struct judged *judged, size_t first, const struct micro *micro)
{
    const struct effect *row = &judged->rows[first];
    for (size_t i = first;
         i < judged->count && judged->rows[i].db == row->db && judged->rows[i].seq == row->seq;
         i++) {
        if (row_matches(judged->history, micro, &judged->rows[i])) {
            return true;
        }
    }
    return false;
}

/* Each row is one that was asked for; returns how many different ones there are. */
static uint32_t judge_rows(const struct judged *judged)
{
    struct report *report = judged->report;
    uint32_t present = 0;
    bool told = false;
    for (size_t i = 0; i < judged->count; i++) {
        const struct effect *row = &judged->rows[i];
        bool repeated = i > 0 && is_repeated(row, row - 1);
        const char *db = db_text(judged->history, row->db);
        if (repeated && !told && !heuristic_committed(judged->history, judged->txn->key, row->db)) {
            report_add(
                report, CHECK_X1, "executed-twice", -1,
                "key %s was executed more than once in %s: seq %d by xid %lld, and seq %d by "
                "xid %lld",
                judged->key, db, row[-1].seq, (long long)row[-1].xid, row->seq,
                (long long)row->xid);
            told = true;
        }
        if (i > 0 && row->db == row[-1].db && row->seq == row[-1].seq) {
            continue;
        }
        const struct micro *micro = find_micro(judged->history, judged->txn, row);
        if (!micro) {
            report_add(report, CHECK_A1, "unasked-effect", -1,
                       "%s holds an effect of key %s, seq %d, that its request did not ask for", db,
                       judged->key, row->seq);
            continue;
        }
        present++;
        bool by_hand = i + 1 < judged->count && is_repeated(row + 1, row) &&
                       heuristic_committed(judged->history, judged->txn->key, row->db);
        if (!(by_hand ? any_matches(judged, i, micro) : row_matches(judged->history, micro, row))) {
            report_add(report, CHECK_A1, "corrupted-effect", -1,
                       "%s holds effect %d of key %s as %lld on %s; asked for was %lld on %s", db,
                       row->seq, judged->key, (long long)row->v,
                       names_text(&judged->history->names, row->k), (long long)micro->v,
                       micro->object == NONE
                           ? "-"
                           : names_text(&judged->history->names,
                                        judged->history->objects.items[micro->object].name));
        }
    }
    return present;
}

/* "order, payment": the databases where an effect is missing. */
static const char *missing_in(const struct judged *judged, char *buffer, size_t size)
{
    const struct history *history = judged->history;
    const struct op *op = &history->ops.items[judged->txn->op];
    size_t length = 0;
    int last = -1;
    buffer[0] = 0;
    for (uint32_t i = 0; i < op->micro_count && length < size; i++) {
        const struct micro *micro = &history->micros.items[op->micro_first + i];
        bool found = micro->seq < 0 || last == micro->db;
        for (size_t j = 0; j < judged->count && !found; j++) {
            found = judged->rows[j].db == micro->db && judged->rows[j].seq == micro->seq;
        }
        if (!found) {
            last = micro->db;
            length += (size_t)snprintf(buffer + length, size - length, "%s%s",
                                       length > 0 ? ", " : "", db_text(history, micro->db));
        }
    }
    return buffer;
}

static void judge_missing(const struct judged *judged, uint32_t present, uint32_t expected)
{
    struct report *report = judged->report;
    const struct txn *txn = judged->txn;
    char where[400];
    long long i = (long long)judged->history->ops.items[txn->op].i;
    missing_in(judged, where, sizeof where);
    if (txn->excused) {
        return;
    }
    if (present > 0) {
        report_add(report, CHECK_A1, "torn", -1,
                   "T%lld (key %s) is in part: %u of %u effects are there, missing in %s", i,
                   judged->key, present, expected, where);
    }
    if (txn->ok_count > 0) {
        report_add(report, CHECK_D1, "lost-commit", -1,
                   "T%lld (key %s) was told that it committed, but %s lost %u of its %u effects", i,
                   judged->key, where, expected - present, expected);
    }
    if (present > 0 || txn->ok_count > 0) {
        if (heuristic_expected(judged->history, txn->key)) {
            report_add(report, CHECK_H1, "unlisted-heuristic", -1,
                       "T%lld (key %s) was taken apart by a person's hand or a lost database, and "
                       "Assent does not list it",
                       i, judged->key);
        }
    }
}

/* rows may be none, for a key that left no effects. */
static void judge_key(struct history *history, struct report *report, uint32_t key,
                      const struct effect *rows, size_t count)
{
    struct judged judged = {.history = history,
                            .report = report,
                            .rows = rows,
                            .count = count,
                            .txn = choose_txn(history, key, count > 0 ? rows : NULL),
                            .key = names_text(&history->names, key)};
    if (!judged.txn && count == 0) {
        return;
    }
    if (!judged.txn) {
        report_add(report, CHECK_A1, "unasked-effect", -1,
                   "%s holds an effect of key %s, which no client sent", db_text(history, rows->db),
                   judged.key);
        return;
    }
    uint32_t expected = expected_rows(history, judged.txn);
    uint32_t present = judge_rows(&judged);
    if (present > 0) {
        judged.txn->has_effect = true;
    }
    if (present > 0 && judged.txn->ok_count == 0 && judged.txn->unknown_count == 0 &&
        !judged.txn->excused) {
        report_add(report, CHECK_D1, "aborted-with-effects", -1,
                   "T%lld (key %s) was told that nothing was done, but %u of its effects are there",
                   (long long)history->ops.items[judged.txn->op].i, judged.key, present);
    }
    if (present > 0 && judged.txn->unknown_count > 0) {
        judged.txn->committed = true; /* unknown, resolved by the proof */
    }
    if (present < expected) {
        judge_missing(&judged, present, expected);
    }
}

static void judge_all(struct history *history, struct report *report)
{
    struct effect *effects = history->effects.items;
    size_t total = history->effects.count;
    if (total > 0) {
        qsort(effects, total, sizeof *effects, compare_effects);
    }
    bool *seen = mem_zeroed(history->names.starts.count, sizeof *seen);
    for (size_t first = 0, next; first < total; first = next) {
        for (next = first + 1; next < total && effects[next].key == effects[first].key; next++) {
        }
        seen[effects[first].key] = true;
        judge_key(history, report, effects[first].key, effects + first, next - first);
    }
    for (uint32_t key = 0; key < history->key_txns.count; key++) {
        if (history->key_txns.items[key] != NONE && !seen[key]) {
            judge_key(history, report, key, NULL, 0);
        }
    }
    free(seen);
}

/* Whether two ok answers to one key told the same. */
static bool same_answer(const struct history *history, const struct op *left,
                        const struct op *right)
{
    bool same =
        left->micro_count == right->micro_count &&
        (left->txid == NAME_NONE || right->txid == NAME_NONE || left->txid == right->txid) &&
        (left->answer == NAME_NONE || right->answer == NAME_NONE || left->answer == right->answer);
    for (uint32_t i = 0; i < left->micro_count && same; i++) {
        const struct micro *a = &history->micros.items[left->micro_first + i];
        const struct micro *b = &history->micros.items[right->micro_first + i];
        same = a->kind == b->kind && a->object == b->object && a->value == b->value &&
               a->v == b->v && a->db == b->db;
    }
    return same;
}

static void judge_duplicates(const struct history *history, struct report *report)
{
    const struct names *names = &history->names;
    for (size_t i = 0; i < history->ops.count; i++) {
        const struct op *op = &history->ops.items[i];
        const struct txn *txn = &history->txns.items[op->txn];
        const struct op *first = &history->ops.items[txn->op];
        if (op->result == RESULT_OK && op != first && !same_answer(history, first, op)) {
            report_add(report, CHECK_X1, "unequal-answers", -1,
                       "T%lld and T%lld have the same key %s and both committed, but were told "
                       "different things (ids %s and %s)",
                       (long long)first->i, (long long)op->i, names_text(names, op->key),
                       names_text(names, first->txid), names_text(names, op->txid));
        }
        if (op->result == RESULT_FAIL && op->aborted && op->t_inv > txn->t_ret) {
            report_add(
                report, CHECK_X1, "unequal-answers", -1,
                "T%lld was told that key %s had been aborted, after T%lld had been told that "
                "it committed",
                (long long)op->i, names_text(names, op->key), (long long)first->i);
        }
    }
    for (size_t i = 0; i < history->txns.count; i++) {
        const struct txn *txn = &history->txns.items[i];
        for (uint32_t other = txn->next_of_key; other != NONE && txn->ok_count > 0;
             other = history->txns.items[other].next_of_key) {
            if (history->txns.items[other].ok_count > 0) {
                report_add(report, CHECK_X1, "two-bodies", -1,
                           "key %s committed with two different bodies, T%lld and T%lld",
                           names_text(names, txn->key),
                           (long long)history->ops.items[history->txns.items[other].op].i,
                           (long long)history->ops.items[txn->op].i);
            }
        }
    }
}

/* Answers by key, given later. An abort may be followed by another run of the key; it is a lie only if the
 * one request that could have run again had been sent before and none was still on its way. */
static void judge_answers(struct history *history, struct report *report)
{
    for (size_t i = 0; i < history->answers.count; i++) {
        const struct answer *answer = &history->answers.items[i];
        struct txn *txn = choose_txn(history, answer->key, NULL);
        if (!txn || txn->excused || txn->next_of_key != NONE || expected_rows(history, txn) == 0) {
            continue;
        }
        const char *key = names_text(&history->names, answer->key);
        double t = (double)answer->t / 1e6;
        if (answer->state == ANSWER_COMMITTED && !txn->has_effect) {
            report_add(report, CHECK_D1, "answered-committed", -1,
                       "asked for key %s, Assent said at %.3f s that it committed; none of its "
                       "effects is there",
                       key, t);
        }
        if (answer->state == ANSWER_ABORTED && txn->has_effect && txn->t_quiet < answer->t &&
            txn->unknown_count <= 1) {
            report_add(report, CHECK_D1, "answered-aborted", -1,
                       "asked for key %s, Assent said at %.3f s that it aborted; its effects are "
                       "there",
                       key, t);
        }
    }
}

void check_effects(struct history *history, struct report *report)
{
    static const char *const why = "not every database's effects were dumped at the end";
    static const char *const nothing = "no request has a key and effects";
    bool dumped = true;
    for (size_t i = 0; i < history->databases.count; i++) {
        dumped = dumped && history->databases.items[i].has_effects;
    }
    bool any = history->effects.count > 0;
    for (size_t i = 0; i < history->micros.count && !any; i++) {
        any = history->micros.items[i].seq >= 0;
    }
    if (!any || !dumped) {
        report_skipped(report, CHECK_A1, any ? why : nothing);
        report_skipped(report, CHECK_D1, any ? why : nothing);
        report_skipped(report, CHECK_X1, any ? why : nothing);
    } else {
        report_checked(report, CHECK_A1);
        report_checked(report, CHECK_D1);
        report_checked(report, CHECK_X1);
        judge_all(history, report);
        judge_answers(history, report);
    }
    judge_duplicates(history, report);
}
