/*
 * fractured.c - see fractured.h.
 *
 * A read R is fractured if it saw T's version of one object, or a later one, and of another object a version
 * before T's. Candidates for T are the versions that R did not see, in their order, up to the first whose
 * transaction was sent after R had been answered: R cannot have seen that one nor any later one, because versions
 * follow each other in the order of the decisions. So the work for one read is bounded by how much ran at the same time.
 */
#include "tests/checker/fractured.h"

/* R saw a version of some object that T wrote, T's or a later one. */
static bool saw_part_of(const struct history *history, const struct versions *versions,
                        const struct op *reader, uint32_t txn)
{
    const struct op *writer = txn_op(history, txn);
    for (uint32_t m = reader->micro_first; m < reader->micro_first + reader->micro_count; m++) {
        uint32_t saw = versions->of_micro[m];
        const struct micro *read = &history->micros.items[m];
        if (read->kind != F_READ || saw == NONE || saw == READ_UNUSABLE) {
            continue;
        }
        for (uint32_t w = writer->micro_first; w < writer->micro_first + writer->micro_count; w++) {
            const struct micro *micro = &history->micros.items[w];
            if (micro->object != read->object ||
                (micro->kind != F_APPEND && micro->kind != F_WRITE)) {
                continue;
            }
            const struct write *write = &versions->writes.items[versions->of_micro[w]];
            const struct write *seen = &versions->writes.items[saw];
            if (write->placed && seen->placed && write->place <= seen->place) {
                return true;
            }
        }
    }
    return false;
}

/* One version that this read did not see. Returns whether it shows that R is fractured. */
static bool look_at_version(const struct history *history, struct report *report,
                            const struct versions *versions, const struct op *reader,
                            const struct write *write, bool *told_stale)
{
    const struct txn *txn = &history->txns.items[write->txn];
    const struct op *writer = &history->ops.items[txn->op];
    if (!*told_stale && writer->result == RESULT_OK && writer->completed &&
        writer->t_ret < history->txns.items[reader->txn].t_inv) { /* its first request */
        char name[OBJECT_NAME_SIZE];
        *told_stale = true;
        report_add(report, CHECK_G1, "stale-read", -1,
                   "T%lld, sent at %.6f s, did not find T%lld's %lld in %s, which had been "
                   "completed everywhere at %.6f s",
                   (long long)reader->i, (double)reader->t_inv / 1e6, (long long)writer->i,
                   (long long)write->v, object_name(history, write->object, name, sizeof name),
                   (double)writer->t_ret / 1e6);
    }
    return saw_part_of(history, versions, reader, write->txn);
}

/* Looks at the versions that this read did not see. Returns whether one shows that R is fractured. */
static bool look_at_read(const struct history *history, struct report *report,
                         const struct versions *versions, const struct op *reader, uint32_t m,
                         bool *told_stale)
{
    bool fractured = false;
    for (uint32_t w = versions_unseen(history, versions, m); w != NONE;
         w = versions->writes.items[w].next) {
        const struct write *write = &versions->writes.items[w];
        if (write->txn == NONE || !history->txns.items[write->txn].committed) {
            continue;
        }
        if (history->txns.items[write->txn].t_inv > reader->t_ret) {
            break;
        }
        if (look_at_version(history, report, versions, reader, write, told_stale)) {
            fractured = true;
        }
    }
    uint32_t count;
    const uint32_t *tail = versions_tail(history, versions, m, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct write *write = &versions->writes.items[tail[i]];
        if (history->txns.items[write->txn].t_inv > reader->t_ret) {
            break;
        }
        if (look_at_version(history, report, versions, reader, write, told_stale)) {
            fractured = true;
        }
    }
    return fractured;
}

/* What a transaction wrote last to an object, NONE if nothing. */
static uint32_t last_write(const struct history *history, const struct versions *versions,
                           uint32_t txn, uint32_t object)
{
    const struct op *op = txn_op(history, txn);
    for (uint32_t m = op->micro_first + op->micro_count; m > op->micro_first; m--) {
        const struct micro *micro = &history->micros.items[m - 1];
        if (micro->object == object && (micro->kind == F_APPEND || micro->kind == F_WRITE)) {
            return versions->of_micro[m - 1];
        }
    }
    return NONE;
}

/* A version that its own transaction replaced later. */
static void find_intermediate(const struct history *history, struct report *report,
                              const struct versions *versions, const struct op *reader, uint32_t m)
{
    uint32_t saw = versions->of_micro[m];
    if (saw == NONE || saw == READ_UNUSABLE) {
        return;
    }
    const struct write *write = &versions->writes.items[saw];
    if (write->txn == NONE || write->txn == reader->txn ||
        !history->txns.items[write->txn].committed) {
        return;
    }
    uint32_t last = last_write(history, versions, write->txn, write->object);
    if (last == NONE || last == saw) {
        return;
    }
    char name[OBJECT_NAME_SIZE];
    long long writer = (long long)txn_op(history, write->txn)->i;
    report_add(
        report, CHECK_G1, "G1b", -1,
        "intermediate read: T%lld found T%lld's %lld in %s and not the %lld that T%lld wrote "
        "after it",
        (long long)reader->i, writer, (long long)write->v,
        object_name(history, write->object, name, sizeof name),
        (long long)versions->writes.items[last].v, writer);
}

void fractured_count(const struct history *history, struct report *report,
                     const struct versions *versions)
{
    for (size_t i = 0; i < history->ops.count; i++) {
        const struct op *op = &history->ops.items[i];
        bool fractured = false, told_stale = false, reads = false;
        if (op->result != RESULT_OK || history->txns.items[op->txn].op != i) {
            continue;
        }
        for (uint32_t m = op->micro_first; m < op->micro_first + op->micro_count; m++) {
            if (history->micros.items[m].kind != F_READ) {
                continue;
            }
            reads = true;
            report->figures.reads++;
            find_intermediate(history, report, versions, op, m);
            if (op->mode == MODE_SNAPSHOT &&
                look_at_read(history, report, versions, op, m, &told_stale)) {
                fractured = true;
            }
        }
        report->figures.snapshot_reads += reads && op->mode == MODE_SNAPSHOT;
        report->figures.fractured_reads += fractured;
    }
}
