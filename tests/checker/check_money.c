/*
 * check_money.c - C1: balances against effects, the sum over all databases, and global reads.
 *
 * Sums are kept in 128 bits, so that no history can make them overflow.
 */
#include "tests/checker/checks.h"

typedef __int128 wide;

/* Whether all transfers sum to zero (then the total is constant), and each has rows of effects. */
struct shape {
    bool balanced, has_rows;
};

static struct shape look_at_adds(const struct history *history)
{
    /* A history that was cut does not say what hands took apart: those are listed at the end. */
    struct shape shape = {!history->cut || !heuristic_possible(history), true};
    for (size_t i = 0; i < history->ops.count; i++) {
        const struct op *op = &history->ops.items[i];
        wide sum = 0;
        for (uint32_t m = op->micro_first; m < op->micro_first + op->micro_count; m++) {
            const struct micro *micro = &history->micros.items[m];
            if (micro->kind == F_ADD) {
                sum += micro->v;
                shape.has_rows = shape.has_rows && micro->seq >= 0;
            }
        }
        /* What a person's hand took apart is not conserved, and everybody knows. */
        shape.balanced = shape.balanced && sum == 0 && !history->txns.items[op->txn].excused;
    }
    return shape;
}

/* Each balance is what it was plus its effects. */
static void judge_accounts(const struct history *history, struct report *report)
{
    wide *sums = mem_zeroed(history->objects.count, sizeof *sums);
    for (size_t i = 0; i < history->effects.count; i++) {
        const struct effect *effect = &history->effects.items[i];
        uint32_t object = effect->k == NAME_NONE
                              ? NONE
                              : pairs_find(&history->object_pairs, effect->db, effect->k);
        if (object != NONE && effect->has_v) {
            sums[object] += effect->v;
        }
    }
    for (uint32_t i = 0; i < history->objects.count; i++) {
        const struct object *account = &history->objects.items[i];
        char name[OBJECT_NAME_SIZE];
        if (account->kind != OBJECT_ACCOUNT) {
            continue;
        }
        object_name(history, i, name, sizeof name);
        if (!account->has_end) {
            report_add(report, CHECK_C1, "account-gone", -1, "%s has no balance at the end", name);
        } else if ((wide)account->begin_balance + sums[i] != account->end_balance) {
            report_add(report, CHECK_C1, "wrong-balance", -1,
                       "%s ended with %lld; it began with %lld, and its effects sum to %lld", name,
                       (long long)account->end_balance, (long long)account->begin_balance,
                       (long long)sums[i]);
        }
    }
    free(sums);
}

static wide total_of(const struct history *history, bool at_end)
{
    wide total = 0;
    for (size_t i = 0; i < history->objects.count; i++) {
        const struct object *account = &history->objects.items[i];
        if (account->kind == OBJECT_ACCOUNT) {
            total += at_end ? account->end_balance : account->begin_balance;
        }
    }
    return total;
}

/* The databases of which this request read the total; their sum. */
static size_t read_totals(const struct history *history, const struct op *op, bool *scratch,
                          wide *ret_sum)
{
    size_t count = 0;
    *ret_sum = 0;
    for (size_t i = 0; i < history->databases.count; i++) {
        scratch[i] = false;
    }
    for (uint32_t m = op->micro_first; m < op->micro_first + op->micro_count; m++) {
        const struct micro *micro = &history->micros.items[m];
        if (micro->kind == F_TOTAL && micro->value == VALUE_INTEGER && !scratch[micro->db]) {
            scratch[micro->db] = true;
            *ret_sum += micro->v;
            count++;
        }
    }
    return count;
}

static void judge_totals(const struct history *history, struct report *report, wide total)
{
    bool *scratch = mem_zeroed(history->databases.count, sizeof *scratch);
    size_t with_accounts = 0;
    for (size_t i = 0; i < history->objects.count; i++) {
        const struct object *object = &history->objects.items[i];
        if (object->kind == OBJECT_ACCOUNT && !scratch[object->db]) {
            scratch[object->db] = true;
            with_accounts++;
        }
    }
    for (size_t i = 0; i < history->ops.count; i++) {
        const struct op *op = &history->ops.items[i];
        wide sum;
        if (op->result != RESULT_OK || read_totals(history, op, scratch, &sum) < with_accounts) {
            continue;
        }
        report->figures.global_reads++;
        if (sum == total) {
            continue;
        }
        if (op->mode == MODE_SNAPSHOT) {
            report->figures.global_reads_fractured++;
            continue;
        }
        report_add(report, CHECK_C1, "global-read", -1,
                   "T%lld read all balances with locks and found %lld in all instead of %lld",
                   (long long)op->i, (long long)sum, (long long)total);
    }
    free(scratch);
}

void check_money(const struct history *history, struct report *report)
{
    bool dumped = true, effects = true;
    if (!history->has_accounts) {
        report_skipped(report, CHECK_C1, "no accounts in this history");
        return;
    }
    bool *needs = mem_zeroed(history->databases.count, sizeof *needs);
    for (size_t i = 0; i < history->objects.count; i++) {
        const struct object *object = &history->objects.items[i];
        needs[object->db] = needs[object->db] || object->kind == OBJECT_ACCOUNT;
    }
    for (size_t i = 0; i < history->databases.count; i++) {
        const struct database *database = &history->databases.items[i];
        dumped = dumped && (!needs[i] || database->has_balances_end);
        effects = effects && (!needs[i] || database->has_effects);
    }
    free(needs);
    struct shape shape = look_at_adds(history);
    wide begin = total_of(history, false);
    if (!dumped) {
        report_skipped(report, CHECK_C1, "not every database's balances were dumped at the end");
    } else if (!shape.balanced && !(effects && shape.has_rows)) {
        report_skipped(report, CHECK_C1, "transfers that do not sum to zero, and no effects");
    } else {
        report_checked(report, CHECK_C1);
        if (effects && shape.has_rows) {
            judge_accounts(history, report);
        }
        wide end = total_of(history, true);
        if (shape.balanced && begin != end) {
            report_add(report, CHECK_C1, "money-not-conserved", -1,
                       "all transfers sum to zero, but the balances went from %lld to %lld",
                       (long long)begin, (long long)end);
        }
    }
    if (shape.balanced && history->has_totals) {
        judge_totals(history, report, begin);
    }
}
