/*
 * tails.c - what committed and was seen by nobody. See versions.h.
 *
 * Without a dump at the end the longest version that was read is not the whole list. An append that was acknowledged
 * and that it lacks must come after it, whatever the order of such appends.
 */
#include <stdlib.h>

#include "tests/checker/versions.h"

struct item {
    int64_t t_inv;
    uint32_t object, write;
};

static int compare_items(const void *left_, const void *right_)
{
    const struct item *left = left_, *right = right_;
    if (left->object != right->object) {
        return left->object < right->object ? -1 : 1;
    }
    if (left->t_inv != right->t_inv) {
        return left->t_inv < right->t_inv ? -1 : 1;
    }
    return left->write < right->write ? -1 : left->write > right->write;
}

/* Not those that a person's hand undid: they may be nowhere. */
static bool in_tail(const struct history *history, const struct write *write)
{
    const struct object *object = &history->objects.items[write->object];
    if (write->placed || write->txn == NONE || (object->kind == OBJECT_LIST && object->has_final)) {
        return false;
    }
    const struct txn *txn = &history->txns.items[write->txn];
    return txn->committed && !txn->excused;
}

static void find_last(const struct history *history, struct versions *versions)
{
    for (size_t i = 0; i < history->objects.count; i++) {
        versions->last[i] = NONE;
        for (uint32_t w = versions->first[i]; w != NONE; w = versions->writes.items[w].next) {
            versions->last[i] = w;
        }
    }
}

void tails_make(const struct history *history, struct versions *versions)
{
    size_t objects = history->objects.count;
    VEC_OF(struct item) items = {0};
    versions->last = mem_zeroed(objects, sizeof *versions->last);
    versions->tail_first = mem_zeroed(objects + 1, sizeof *versions->tail_first);
    find_last(history, versions);
    for (uint32_t w = 0; w < versions->writes.count; w++) {
        const struct write *write = &versions->writes.items[w];
        if (in_tail(history, write)) {
            *vec_add(&items) =
                (struct item){history->txns.items[write->txn].t_inv, write->object, w};
        }
    }
    if (items.count > 0) {
        qsort(items.items, items.count, sizeof *items.items, compare_items);
    }
    for (size_t i = 0; i < items.count; i++) {
        struct write *write = &versions->writes.items[items.items[i].write];
        *vec_add(&versions->tail) = items.items[i].write;
        versions->tail_first[write->object + 1]++;
        if (history->objects.items[write->object].kind == OBJECT_LIST) {
            write->prev = versions->last[write->object];
        }
    }
    for (size_t i = 0; i < objects; i++) {
        versions->tail_first[i + 1] += versions->tail_first[i];
    }
    vec_done(&items);
}

const uint32_t *versions_tail(const struct history *history, const struct versions *versions,
                              uint32_t micro_index, uint32_t *ret_count)
{
    uint32_t object = history->micros.items[micro_index].object;
    bool list = history->objects.items[object].kind == OBJECT_LIST;
    uint32_t begin = versions->tail_first[object];
    uint32_t saw = versions->of_micro[micro_index];
    bool before_all = saw == (list ? versions->last[object] : NONE);
    if (!list && saw < READ_UNUSABLE) {
        before_all = versions->writes.items[saw].txn == NONE;
    }
    *ret_count = before_all ? versions->tail_first[object + 1] - begin : 0;
    return *ret_count > 0 ? &versions->tail.items[begin] : NULL;
}
