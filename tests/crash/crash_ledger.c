/*
 * crash_ledger.c - what was sold on one stack, and must be in its databases at the end. See
 * crash_stage.h.
 *
 * Each cell is judged at once; this asks again when all is over, so that something that was lost or
 * came late, after any later death, is seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/crash/crash_stage.h"

struct entry {
    char *id; /* owned */
    enum checkout_part parts[CRASH_PARTICIPANTS];
};

struct crash_ledger {
    struct entry *entries;
    size_t count;
};

struct crash_ledger *crash_ledger_new(void)
{
    return alloc_zeroed(sizeof(struct crash_ledger));
}

void crash_ledger_free(struct crash_ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    for (size_t i = 0; i < ledger->count; i++) {
        free(ledger->entries[i].id);
    }
    free(ledger->entries);
    free(ledger);
}

void crash_ledger_add(struct crash_ledger *ledger, const char *id, const enum checkout_part *parts)
{
    ledger->entries = alloc_resize(ledger->entries, ledger->count + 1, sizeof *ledger->entries);
    struct entry *entry = &ledger->entries[ledger->count++];
    entry->id = alloc_string(id);
    memcpy(entry->parts, parts, sizeof entry->parts);
}

static int by_id(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    return strcmp(a->id, b->id);
}

/* The ids that must be there, in byte order, with blanks between. Returns owned. */
static char *expected_ids(const struct crash_ledger *ledger, size_t participant)
{
    size_t size = 1;
    for (size_t i = 0; i < ledger->count; i++) {
        size += strlen(ledger->entries[i].id) + 1;
    }
    char *text = alloc_zeroed(size);
    size_t length = 0;
    for (size_t i = 0; i < ledger->count; i++) {
        if (ledger->entries[i].parts[participant] == CHECKOUT_WRITES) {
            length += (size_t)snprintf(text + length, size - length, "%s%s", length == 0 ? "" : " ",
                                       ledger->entries[i].id);
        }
    }
    return text;
}

static bool same_ids(const char *table, const char *participant, const char *expected,
                     const char *found, struct error *ret_error)
{
    size_t same = 0;
    if (strcmp(expected, found) == 0) {
        return true;
    }
    while (expected[same] != '\0' && expected[same] == found[same]) {
        same++;
    }
    while (same > 0 && expected[same - 1] != ' ') {
        same--;
    }
    return error_set(ret_error, ERROR_INVALID,
                     "%s of %s are not what was sold, from here on: wanted \"%.60s\", found "
                     "\"%.60s\"",
                     table, participant, expected + same, found + same);
}

static bool audit_table(const struct crash_ledger *ledger, struct stack *stack, size_t participant,
                        const char *table, const char *column, struct error *ret_error)
{
    char sql[160];
    char *found = NULL;
    (void)snprintf(sql, sizeof sql, "SELECT string_agg(%s, ' ' ORDER BY %s COLLATE \"C\") FROM %s",
                   column, column, table);
    if (!stack_sql(stack, participant, sql, &found, ret_error)) {
        return false;
    }
    char *expected = expected_ids(ledger, participant);
    bool same = same_ids(table, stack_participant(stack, participant), expected,
                         found == NULL ? "" : found, ret_error);
    free(expected);
    free(found);
    return same;
}

static bool audit_balances(struct stack *stack, size_t participant, struct error *ret_error)
{
    char *wrong = NULL;
    if (!stack_sql(stack, participant,
                   "SELECT string_agg(id, ' ') FROM accounts a WHERE opened - balance <>"
                   " (SELECT coalesce(sum(amount), 0) FROM payments WHERE account = a.id)",
                   &wrong, ret_error)) {
        return false;
    }
    bool right = wrong == NULL ||
                 error_set(ret_error, ERROR_INVALID, "balances without a payment at %s: %.200s",
                           stack_participant(stack, participant), wrong);
    free(wrong);
    return right;
}

bool crash_ledger_audit(const struct crash_ledger *ledger, struct stack *stack,
                        struct error *ret_error)
{
    if (ledger->count > 0) {
        qsort(ledger->entries, ledger->count, sizeof *ledger->entries, by_id);
    }
    if (!audit_table(ledger, stack, CRASH_FIRST, "orders", "id", ret_error) ||
        !audit_table(ledger, stack, CRASH_FIRST, "order_lines", "order_id", ret_error)) {
        return false;
    }
    for (size_t i = 1; i < stack_participant_count(stack); i++) {
        if (!audit_table(ledger, stack, i, "payments", "order_id", ret_error) ||
            !audit_balances(stack, i, ret_error)) {
            return false;
        }
    }
    return true;
}
