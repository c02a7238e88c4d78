/*
 * record.c - copying and releasing journal records, and the names of their kinds. Pure.
 */
#include "recovery/record.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"

const char *record_kind_text(enum record_kind kind)
{
    switch (kind) {
    case RECORD_EPOCH:
        return "epoch";
    case RECORD_COMMIT:
        return "commit";
    case RECORD_END:
        return "end";
    case RECORD_ACCEPT:
        return "accept";
    case RECORD_REFUSED:
        return "refused";
    case RECORD_HEURISTIC:
        return "heuristic";
    case RECORD_RESOLVED:
        return "resolved";
    case RECORD_FLOOR:
        return "floor";
    case RECORD_RELEASE:
        return "release";
    case RECORD_ADOPT:
        return "adopt";
    case RECORD_REQUEUED:
        return "requeued";
    case RECORD_DROPPED:
        return "dropped";
    }
    return "unknown"; /* for logs: a kind may be shown before it was judged */
}

/* A copy of an array that a record owns; NULL for an empty one. */
static void *copy_array(const void *items, size_t count, size_t item_bytes)
{
    if (count == 0) {
        return NULL;
    }
    void *copy = alloc_array(count, item_bytes);
    memcpy(copy, items, count * item_bytes);
    return copy;
}

void record_copy(const struct record *from, struct record *ret_record)
{
    struct record copy = *from;
    switch (copy.kind) {
    case RECORD_EPOCH:
        copy.as.epoch.participants = copy_array(
            copy.as.epoch.participants, copy.as.epoch.participant_count, PARTICIPANT_NAME_SIZE);
        break;
    case RECORD_COMMIT:
        copy.as.commit.branches = copy_array(copy.as.commit.branches, copy.as.commit.branch_count,
                                             sizeof *copy.as.commit.branches);
        for (size_t i = 0; i < copy.as.commit.branch_count; i++) {
            (void)blob_share(copy.as.commit.branches[i].results);
        }
        break;
    case RECORD_ACCEPT:
        copy.as.accept.branches = copy_array(copy.as.accept.branches, copy.as.accept.branch_count,
                                             sizeof *copy.as.accept.branches);
        for (size_t i = 0; i < copy.as.accept.branch_count; i++) {
            (void)blob_share(copy.as.accept.branches[i].work);
        }
        break;
    case RECORD_REFUSED:
        failure_copy(&from->as.refused.failure, &copy.as.refused.failure);
        break;
    case RECORD_FLOOR:
        copy.as.floor.epochs = copy_array(copy.as.floor.epochs, copy.as.floor.epoch_count,
                                          sizeof *copy.as.floor.epochs);
        break;
    case RECORD_END:
    case RECORD_HEURISTIC:
    case RECORD_RESOLVED:
    case RECORD_RELEASE:
    case RECORD_ADOPT:
    case RECORD_REQUEUED:
    case RECORD_DROPPED:
        break;
    }
    *ret_record = copy;
}

void record_done(struct record *record)
{
    switch (record->kind) {
    case RECORD_EPOCH:
        free(record->as.epoch.participants);
        break;
    case RECORD_COMMIT:
        for (size_t i = 0; i < record->as.commit.branch_count; i++) {
            blob_free(record->as.commit.branches[i].results);
        }
        free(record->as.commit.branches);
        break;
    case RECORD_ACCEPT:
        for (size_t i = 0; i < record->as.accept.branch_count; i++) {
            blob_free(record->as.accept.branches[i].work);
        }
        free(record->as.accept.branches);
        break;
    case RECORD_REFUSED:
        failure_done(&record->as.refused.failure);
        break;
    case RECORD_FLOOR:
        free(record->as.floor.epochs);
        break;
    case RECORD_END:
    case RECORD_HEURISTIC:
    case RECORD_RESOLVED:
    case RECORD_RELEASE:
    case RECORD_ADOPT:
    case RECORD_REQUEUED:
    case RECORD_DROPPED:
        break;
    }
    memset(record, 0, sizeof *record);
}
