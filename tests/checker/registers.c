/*
 * registers.c - the order of the versions of registers, and what each read of one saw. See versions.h.
 */
#include <stdlib.h>

#include "tests/checker/versions.h"

/* Somebody saw or made version n of a register as this write. */
struct seen {
    int64_t n;
    uint32_t object, write;
};

typedef VEC_OF(struct seen) seen_list;

static int compare_seen(const void *left_, const void *right_)
{
    const struct seen *left = left_, *right = right_;
    if (left->object != right->object) {
        return left->object < right->object ? -1 : 1;
    }
    if (left->n != right->n) {
        return left->n < right->n ? -1 : 1;
    }
    return left->write < right->write ? -1 : left->write > right->write;
}

/* The last write of the same register before this read in its request, or NONE. */
static uint32_t own_before(const struct history *history, const struct op *op, uint32_t micro)
{
    uint32_t own = NONE;
    for (uint32_t m = op->micro_first; m < micro; m++) {
        const struct micro *earlier = &history->micros.items[m];
        if (earlier->kind == F_WRITE && earlier->object == history->micros.items[micro].object) {
            own = m;
        }
    }
    return own;
}

/* Whose value a read (op NONE: the dump) found. */
static uint32_t find_value(struct history *history, struct report *report,
                           const struct versions *versions, uint32_t object, int64_t v,
                           const struct op *op)
{
    char name[OBJECT_NAME_SIZE], reader[40] = "the final dump";
    object_name(history, object, name, sizeof name);
    if (op) {
        snprintf(reader, sizeof reader, "T%lld", (long long)op->i);
    }
    uint32_t index = pairs_find(&versions->by_value, object, (uint64_t)v);
    if (index == NONE) {
        report_add(report, CHECK_G1, "phantom", -1, "%s found %lld in %s, which nobody wrote",
                   reader, (long long)v, name);
        return READ_UNUSABLE;
    }
    const struct write *write = &versions->writes.items[index];
    if (write->txn == NONE) {
        return index;
    }
    struct txn *txn = &history->txns.items[write->txn];
    if (txn->ok_count == 0 && txn->unknown_count == 0) {
        long long i = (long long)txn_op(history, write->txn)->i;
        report_add(report, CHECK_G1, "G1a", -1,
                   "aborted read: %s found T%lld's %lld in %s, and T%lld was told that nothing was "
                   "done",
                   reader, i, (long long)v, name, i);
        return READ_UNUSABLE;
    }
    txn->committed = true;
    return index;
}

static void link_read(struct history *history, struct report *report, struct versions *versions,
                      const struct op *op, uint32_t m, seen_list *seen)
{
    const struct micro *micro = &history->micros.items[m];
    char name[OBJECT_NAME_SIZE];
    uint32_t own = own_before(history, op, m);
    if (own != NONE) {
        versions->of_micro[m] = READ_UNUSABLE;
        if (micro->value != VALUE_INTEGER || micro->v != history->micros.items[own].v) {
            report_add(report, CHECK_G1, "internal", -1,
                       "T%lld read %s without what it had written to it before", (long long)op->i,
                       object_name(history, micro->object, name, sizeof name));
        }
        return;
    }
    if (micro->value == VALUE_NULL) {
        return;
    }
    uint32_t saw = find_value(history, report, versions, micro->object, micro->v, op);
    versions->of_micro[m] = saw;
    if (saw != READ_UNUSABLE && micro->has_n) {
        *vec_add(seen) = (struct seen){micro->n, micro->object, saw};
    }
}

static void link_reads(struct history *history, struct report *report, struct versions *versions,
                       seen_list *seen)
{
    for (size_t i = 0; i < history->ops.count; i++) {
        const struct op *op = &history->ops.items[i];
        for (uint32_t m = op->micro_first; m < op->micro_first + op->micro_count; m++) {
            const struct micro *micro = &history->micros.items[m];
            if (micro->kind == F_READ && micro->value != VALUE_NONE &&
                history->objects.items[micro->object].kind == OBJECT_REGISTER) {
                link_read(history, report, versions, op, m, seen);
            }
        }
    }
    for (uint32_t i = 0; i < history->objects.count; i++) {
        const struct object *object = &history->objects.items[i];
        if (object->kind == OBJECT_REGISTER && object->has_final && object->end_value_known) {
            uint32_t saw = find_value(history, report, versions, i, object->end_value, NULL);
            if (saw != READ_UNUSABLE && object->end_has_n) {
                *vec_add(seen) = (struct seen){object->end_n, i, saw};
            }
        }
    }
    for (uint32_t i = 0; i < versions->writes.count; i++) {
        const struct write *write = &versions->writes.items[i];
        if (write->n >= 0) {
            *vec_add(seen) = (struct seen){write->n, write->object, i};
        }
    }
}

/* One more version behind `before`; both may contradict what was seen earlier. */
static void chain(const struct history *history, struct report *report, struct versions *versions,
                  const struct seen *seen, const struct seen *before)
{
    struct write *write = &versions->writes.items[seen->write];
    char name[OBJECT_NAME_SIZE];
    if (before && before->n == seen->n) {
        if (before->write != seen->write) {
            report_add(report, CHECK_G1, "incompatible-order", -1,
                       "version %lld of %s is both %lld and %lld: one was lost", (long long)seen->n,
                       object_name(history, seen->object, name, sizeof name),
                       (long long)versions->writes.items[before->write].v, (long long)write->v);
        }
        return;
    }
    if (write->placed) {
        report_add(report, CHECK_G1, "incompatible-order", -1,
                   "the value %lld of %s was seen as version %lld and as version %lld",
                   (long long)write->v, object_name(history, seen->object, name, sizeof name),
                   (long long)write->n, (long long)seen->n);
        return;
    }
    write->placed = true;
    write->n = seen->n;
    write->place = before ? versions->writes.items[before->write].place + 1 : 0;
    if (before) {
        write->prev = before->write;
        versions->writes.items[before->write].next = seen->write;
    } else {
        versions->first[seen->object] = seen->write;
    }
}

static void order_by_number(const struct history *history, struct report *report,
                            struct versions *versions, seen_list *seen)
{
    const struct seen *before = NULL;
    char name[OBJECT_NAME_SIZE];
    if (seen->count > 0) {
        qsort(seen->items, seen->count, sizeof *seen->items, compare_seen);
    }
    for (size_t i = 0; i < seen->count; i++) {
        const struct seen *current = &seen->items[i];
        if (before && before->object != current->object) {
            before = NULL;
        }
        bool fresh = !versions->writes.items[current->write].placed;
        chain(history, report, versions, current, before);
        if (fresh && versions->writes.items[current->write].placed) {
            before = current;
        }
        const struct object *object = &history->objects.items[current->object];
        if (object->has_final && object->end_has_n && current->n > object->end_n) {
            report_add(report, CHECK_G1, "lost-element", -1,
                       "%s ended at version %lld, but version %lld had been seen",
                       object_name(history, current->object, name, sizeof name),
                       (long long)object->end_n, (long long)current->n);
        }
    }
}

static void link_pair(struct history *history, struct report *report, struct versions *versions,
                      const struct op *op, uint32_t read, uint32_t written)
{
    uint32_t object = versions->writes.items[written].object;
    uint32_t *next = read == NONE ? &versions->first[object] : &versions->writes.items[read].next;
    if (*next == written || !history->txns.items[op->txn].committed) {
        return;
    }
    if (*next == NONE) {
        *next = written;
        versions->writes.items[written].prev = read;
        return;
    }
    char name[OBJECT_NAME_SIZE];
    if (op->mode == MODE_SNAPSHOT) {
        report->figures.lost_updates_snapshot++;
        return;
    }
    report_add(report, CHECK_G1, "lost-update", -1,
               "T%lld and T%lld both read the same version of %s with locks and wrote the next one",
               (long long)txn_op(history, versions->writes.items[*next].txn)->i, (long long)op->i,
               object_name(history, object, name, sizeof name));
}

/* Without numbers: in each request, the version that was read or written before a write of the same register. */
static void order_by_pairs(struct history *history, struct report *report,
                           struct versions *versions, const bool *numbered)
{
    for (size_t i = 0; i < history->ops.count; i++) {
        const struct op *op = &history->ops.items[i];
        for (uint32_t m = op->micro_first; m < op->micro_first + op->micro_count; m++) {
            const struct micro *micro = &history->micros.items[m];
            if (micro->kind != F_WRITE || numbered[micro->object] || op->result != RESULT_OK) {
                continue;
            }
            for (uint32_t r = m; r > op->micro_first; r--) {
                const struct micro *earlier = &history->micros.items[r - 1];
                bool same = earlier->object == micro->object &&
                            (earlier->kind == F_WRITE || earlier->kind == F_READ);
                if (same && versions->of_micro[r - 1] != READ_UNUSABLE) {
                    link_pair(history, report, versions, op, versions->of_micro[r - 1],
                              versions->of_micro[m]);
                    break;
                }
            }
        }
    }
    for (uint32_t i = 0; i < history->objects.count; i++) {
        uint32_t place = 0;
        if (history->objects.items[i].kind != OBJECT_REGISTER || numbered[i]) {
            continue;
        }
        for (uint32_t w = versions->first[i]; w != NONE && !versions->writes.items[w].placed;
             w = versions->writes.items[w].next) {
            versions->writes.items[w].placed = true;
            versions->writes.items[w].place = place++;
        }
    }
}

void registers_order(struct history *history, struct report *report, struct versions *versions)
{
    seen_list seen = {0};
    bool *numbered = mem_zeroed(history->objects.count, sizeof *numbered);
    link_reads(history, report, versions, &seen);
    for (size_t i = 0; i < seen.count; i++) {
        numbered[seen.items[i].object] = true;
    }
    order_by_number(history, report, versions, &seen);
    order_by_pairs(history, report, versions, numbered);
    vec_done(&seen);
    free(numbered);
}
