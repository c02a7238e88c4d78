/*
 * reads.c - reads that are wrong whatever others did. See versions.h.
 */
#include "tests/checker/versions.h"

/* Whether a read found what this micro-operation wrote. */
static bool found_write(const struct history *history, const struct versions *versions, uint32_t r,
                        uint32_t w)
{
    const struct micro *read = &history->micros.items[r], *own = &history->micros.items[w];
    if (own->object != read->object) {
        return false;
    }
    if (own->kind == F_WRITE) {
        return versions->of_micro[r] == versions->of_micro[w];
    }
    if (own->kind != F_APPEND || read->value != VALUE_LIST || read->odd) {
        return false;
    }
    const struct write *write = &versions->writes.items[versions->of_micro[w]];
    return write->placed && write->place < read->n;
}

/* What its own transaction wrote only afterwards. */
static void find_early(const struct history *history, struct report *report,
                       const struct versions *versions, const struct op *op, uint32_t r)
{
    char name[OBJECT_NAME_SIZE];
    for (uint32_t w = r + 1; w < op->micro_first + op->micro_count; w++) {
        if (found_write(history, versions, r, w)) {
            const struct micro *own = &history->micros.items[w];
            report_add(report, CHECK_G1, "internal", -1,
                       "T%lld found %lld in %s, which it wrote only afterwards", (long long)op->i,
                       (long long)own->v, object_name(history, own->object, name, sizeof name));
            return;
        }
    }
}

/* What was there from the beginning is found by every read. */
static void find_begin_missed(const struct history *history, struct report *report,
                              const struct versions *versions, const struct op *op, uint32_t r)
{
    const struct micro *read = &history->micros.items[r];
    const struct object *object = &history->objects.items[read->object];
    bool missed = false;
    int64_t what = 0;
    if (object->kind == OBJECT_LIST && !read->odd && read->v < object->begin_length) {
        missed = true;
        what = object->elements[read->v];
    }
    if (object->kind == OBJECT_REGISTER && object->begin_value_known && read->value == VALUE_NULL &&
        versions->of_micro[r] == NONE) {
        missed = true;
        what = object->begin_value;
    }
    if (missed) {
        char name[OBJECT_NAME_SIZE];
        report_add(report, CHECK_G1, "stale-read", -1,
                   "T%lld did not find %lld in %s, which was there from the beginning",
                   (long long)op->i, (long long)what,
                   object_name(history, read->object, name, sizeof name));
    }
}

void reads_check(const struct history *history, struct report *report,
                 const struct versions *versions)
{
    for (size_t i = 0; i < history->ops.count; i++) {
        const struct op *op = &history->ops.items[i];
        for (uint32_t m = op->micro_first; m < op->micro_first + op->micro_count; m++) {
            const struct micro *micro = &history->micros.items[m];
            if (micro->kind == F_READ && micro->value != VALUE_NONE) {
                find_early(history, report, versions, op, m);
                find_begin_missed(history, report, versions, op, m);
            }
        }
    }
}
