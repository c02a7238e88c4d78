/*
 * versions.c - collects writes, orders lists, and finds what is wrong with their elements. See versions.h.
 */
#include "tests/checker/versions.h"

#include <stdio.h>
#include <sysexits.h>

static bool only_failed(const struct txn *txn)
{
    return txn->ok_count == 0 && txn->unknown_count == 0;
}

static long long txn_i(const struct history *history, uint32_t txn)
{
    return (long long)txn_op(history, txn)->i;
}

static uint32_t add_write(struct versions *versions, uint32_t object, int64_t v, uint32_t txn,
                          bool *ret_new)
{
    uint32_t index = pairs_add(&versions->by_value, object, (uint64_t)v, ret_new);
    if (*ret_new) {
        *vec_add(&versions->writes) = (struct write){.txn = txn,
                                                     .object = object,
                                                     .next = NONE,
                                                     .prev = NONE,
                                                     .place = NONE,
                                                     .v = v,
                                                     .n = -1};
    }
    return index;
}

static void add_beginnings(const struct history *history, struct versions *versions)
{
    bool is_new;
    for (uint32_t i = 0; i < history->objects.count; i++) {
        const struct object *object = &history->objects.items[i];
        for (uint32_t j = 0; j < object->begin_length; j++) {
            add_write(versions, i, object->elements[j], NONE, &is_new);
        }
        if (object->kind == OBJECT_REGISTER && object->begin_value_known) {
            add_write(versions, i, object->begin_value, NONE, &is_new);
        }
    }
}

/* One append or write. A value that two transactions wrote is told apart only if one of them was never done. */
static bool add_own(struct history *history, struct versions *versions, const struct op *op,
                    uint32_t micro_index, struct problem *ret_problem)
{
    const struct micro *micro = &history->micros.items[micro_index];
    bool is_new;
    uint32_t index = add_write(versions, micro->object, micro->v, op->txn, &is_new);
    struct write *write = &versions->writes.items[index];
    versions->of_micro[micro_index] = index;
    if (!is_new && write->txn != op->txn) {
        if (write->txn != NONE && only_failed(&history->txns.items[write->txn])) {
            write->txn = op->txn;
        } else if (!only_failed(&history->txns.items[op->txn])) {
            char name[OBJECT_NAME_SIZE];
            ret_problem->exit_code = EX_DATAERR;
            ret_problem->line = op->line;
            snprintf(ret_problem->text, sizeof ret_problem->text,
                     "the value %lld was written to %.120s before; values must be unique",
                     (long long)micro->v, object_name(history, micro->object, name, sizeof name));
            return false;
        }
    }
    if (micro->has_n && op->result == RESULT_OK) {
        write->n = micro->n;
    }
    return true;
}

static bool add_writes(struct history *history, struct versions *versions,
                       struct problem *ret_problem)
{
    for (size_t i = 0; i < history->ops.count; i++) {
        const struct op *op = &history->ops.items[i];
        for (uint32_t m = op->micro_first; m < op->micro_first + op->micro_count; m++) {
            uint8_t kind = history->micros.items[m].kind;
            if ((kind == F_APPEND || kind == F_WRITE) &&
                !add_own(history, versions, op, m, ret_problem)) {
                return false;
            }
        }
    }
    return true;
}

/* Somebody saw this element: whose it is, and whether it may be there. */
static void place_element(struct history *history, struct report *report, struct versions *versions,
                          uint32_t object_index, uint32_t position)
{
    const struct object *object = &history->objects.items[object_index];
    long long v = (long long)object->elements[position];
    uint32_t index = pairs_find(&versions->by_value, object_index, (uint64_t)v);
    char name[OBJECT_NAME_SIZE], reader[40] = "the final dump";
    object_name(history, object_index, name, sizeof name);
    if (object->longest_op != NONE) {
        snprintf(reader, sizeof reader, "T%lld",
                 (long long)history->ops.items[object->longest_op].i);
    }
    if (index == NONE) {
        report_add(report, CHECK_G1, "phantom", -1, "%s found %lld in %s, which nobody appended",
                   reader, v, name);
        return;
    }
    struct write *write = &versions->writes.items[index];
    if (write->placed) {
        report_add(report, CHECK_G1, "duplicate-element", -1,
                   "%s found %lld twice in %s, at places %u and %u", reader, v, name, write->place,
                   position);
        return;
    }
    write->placed = true;
    write->place = position;
    if (write->txn == NONE) {
        return;
    }
    struct txn *txn = &history->txns.items[write->txn];
    if (only_failed(txn)) {
        report_add(report, CHECK_G1, "G1a", -1,
                   "aborted read: %s found T%lld's append of %lld to %s, and T%lld was told that "
                   "nothing was done",
                   reader, txn_i(history, write->txn), v, name, txn_i(history, write->txn));
    } else {
        txn->committed = true;
    }
}

static void order_list(struct history *history, struct report *report, struct versions *versions,
                       uint32_t index)
{
    const struct object *object = &history->objects.items[index];
    uint32_t before = NONE;
    for (uint32_t position = 0; position < object->length; position++) {
        place_element(history, report, versions, index, position);
        uint32_t current =
            pairs_find(&versions->by_value, index, (uint64_t)object->elements[position]);
        if (current == NONE || versions->writes.items[current].place != position) {
            continue;
        }
        versions->writes.items[current].prev = before;
        if (before == NONE) {
            versions->first[index] = current;
        } else {
            versions->writes.items[before].next = current;
        }
        before = current;
    }
}

/* What a list lacks at the end though it was acknowledged, or seen before. */
static void find_lost(const struct history *history, struct report *report,
                      const struct versions *versions)
{
    char name[OBJECT_NAME_SIZE];
    for (size_t i = 0; i < versions->writes.count; i++) {
        const struct write *write = &versions->writes.items[i];
        const struct object *object = &history->objects.items[write->object];
        if (object->kind != OBJECT_LIST || !object->has_final ||
            (write->placed && write->place < object->final_length)) {
            continue;
        }
        const struct txn *txn = write->txn == NONE ? NULL : &history->txns.items[write->txn];
        if (txn && (txn->excused || !txn->committed)) {
            continue;
        }
        char whose[60] = "was there at the beginning";
        if (txn) {
            snprintf(whose, sizeof whose, "T%lld appended", txn_i(history, write->txn));
        }
        report_add(report, CHECK_G1, "lost-element", -1,
                   "the final dump of %s lacks %lld, which %s and %s",
                   object_name(history, write->object, name, sizeof name), (long long)write->v,
                   whose,
                   write->placed          ? "others had read"
                   : txn && txn->ok_count ? "was told that it committed"
                                          : "whose other effects are there");
    }
}

static void tell_conflicts(const struct history *history, struct report *report)
{
    char name[OBJECT_NAME_SIZE];
    for (size_t i = 0; i < history->conflicts.count; i++) {
        const struct conflict *conflict = &history->conflicts.items[i];
        char one[40] = "the dump", other[40] = "the dump";
        if (conflict->op != NONE) {
            snprintf(one, sizeof one, "T%lld", (long long)history->ops.items[conflict->op].i);
        }
        if (conflict->other_op != NONE) {
            snprintf(other, sizeof other, "T%lld",
                     (long long)history->ops.items[conflict->other_op].i);
        }
        report_add(report, CHECK_G1, "incompatible-order", -1,
                   "%s and %s read %s in orders that contradict each other: at place %u one found "
                   "%lld, the other %lld",
                   one, other, object_name(history, conflict->object, name, sizeof name),
                   conflict->position, (long long)conflict->saw, (long long)conflict->other_saw);
    }
    for (size_t i = 0; i < history->unseen.count; i++) {
        const struct unseen *unseen = &history->unseen.items[i];
        const struct micro *micro = &history->micros.items[unseen->micro];
        report_add(report, CHECK_G1, "internal", -1,
                   "T%lld read %s without what it had written to it before",
                   (long long)history->ops.items[unseen->op].i,
                   object_name(history, micro->object, name, sizeof name));
    }
}

static void link_list_read(const struct history *history, struct versions *versions,
                           uint32_t micro_index)
{
    const struct micro *micro = &history->micros.items[micro_index];
    const struct object *object = &history->objects.items[micro->object];
    uint32_t saw = NONE;
    if (micro->odd) {
        saw = READ_UNUSABLE;
    } else if (micro->value == VALUE_LIST && micro->v > 0) {
        saw = pairs_find(&versions->by_value, micro->object,
                         (uint64_t)object->elements[micro->v - 1]);
        if (saw == NONE) {
            saw = READ_UNUSABLE; /* a phantom, told already */
        }
    }
    versions->of_micro[micro_index] = saw;
}

static void link_list_reads(const struct history *history, struct versions *versions)
{
    for (uint32_t i = 0; i < history->micros.count; i++) {
        const struct micro *micro = &history->micros.items[i];
        if (micro->kind != F_READ) {
            continue;
        }
        uint8_t kind = history->objects.items[micro->object].kind;
        if (micro->value == VALUE_NONE) {
            versions->of_micro[i] = READ_UNUSABLE;
        } else if (kind == OBJECT_LIST) {
            link_list_read(history, versions, i);
        }
    }
}

bool versions_make(struct history *history, struct report *report, struct versions *ret_versions,
                   struct problem *ret_problem)
{
    *ret_versions = (struct versions){0};
    ret_versions->first = mem_zeroed(history->objects.count, sizeof *ret_versions->first);
    ret_versions->of_micro = mem_zeroed(history->micros.count, sizeof *ret_versions->of_micro);
    for (size_t i = 0; i < history->objects.count; i++) {
        ret_versions->first[i] = NONE;
    }
    for (size_t i = 0; i < history->micros.count; i++) {
        ret_versions->of_micro[i] = NONE;
    }
    add_beginnings(history, ret_versions);
    if (!add_writes(history, ret_versions, ret_problem)) {
        versions_done(ret_versions);
        return false;
    }
    for (uint32_t i = 0; i < history->objects.count; i++) {
        if (history->objects.items[i].kind == OBJECT_LIST) {
            order_list(history, report, ret_versions, i);
        }
    }
    link_list_reads(history, ret_versions);
    registers_order(history, report, ret_versions);
    tails_make(history, ret_versions);
    find_lost(history, report, ret_versions);
    tell_conflicts(history, report);
    reads_check(history, report, ret_versions);
    return true;
}

void versions_done(struct versions *versions)
{
    vec_done(&versions->writes);
    pairs_done(&versions->by_value);
    free(versions->first);
    free(versions->last);
    free(versions->tail_first);
    vec_done(&versions->tail);
    free(versions->of_micro);
    *versions = (struct versions){0};
}

uint32_t versions_unseen(const struct history *history, const struct versions *versions,
                         uint32_t micro_index)
{
    uint32_t saw = versions->of_micro[micro_index];
    if (saw == READ_UNUSABLE) {
        return NONE;
    }
    return saw == NONE ? versions->first[history->micros.items[micro_index].object]
                       : versions->writes.items[saw].next;
}
