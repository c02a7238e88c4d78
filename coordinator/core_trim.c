/* core_trim.c - how far the floor may rise (P-13). */
#include "coordinator/core_internal.h"

void trim_note_abort(struct coord *coord, const struct txn *txn)
{
    struct abort_lot *lot = &coord->aborts_open;
    if (txn->gtrid.epoch != coord->epoch) {
        return; /* what a sweep of this process has seen, or nothing is trimmed: trim_step */
    }
    if (lot->least_sequence == 0 || txn->gtrid.sequence < lot->least_sequence) {
        lot->least_sequence = txn->gtrid.sequence;
    }
    lot->head = coord->head.number;
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* P-8, P-13: an aborted transaction has no record. Below the floor it could not be told from a commit that was forgotten,
 * so the floor stays below every one that is undecided, or whose abort is not older than the sweep of some participant:
 *   1. a branch prepares, its vote is lost, the transaction aborts;
 *   2. a later transaction ends, is old enough, and is forgotten: the floor passes both;
 *   3. the participant can be reached again and asks about the branch: nobody may say ABORT any more.
 * A sweep that began when a later head was known has seen every row that was prepared before. */
static uint64_t trim_keep_sequence(struct coord *coord, uint64_t swept_number)
{
    if (coord->aborts_closed.least_sequence == 0 || coord->aborts_closed.head < swept_number) {
        coord->aborts_closed = coord->aborts_open;
        coord->aborts_open = (struct abort_lot){0};
        if (coord->aborts_closed.head < swept_number) {
            coord->aborts_closed = (struct abort_lot){0};
        }
    }
    uint64_t keep =
        least_of(coord->aborts_closed.least_sequence, coord->aborts_open.least_sequence);
    for (const struct txn *txn = coord->newest; txn != NULL; txn = txn->older) {
        if (!txn->end_written && !txn->decided_commit && txn->gtrid.epoch == coord->epoch) {
            keep = least_of(keep, txn->gtrid.sequence);
        }
    }
    return keep;
}

/* P-8, P-13: what an earlier process left undecided is aborted as well, and this one does not know of it. An agent keeps its
 * sweep over a restart of its coordinator:
 *   1. a transaction opens, and another one, later in sequence, commits and ends; the participant sweeps, and tells;
 *   2. the first one prepares there, the coordinator dies, and waits then for another participant, longer than the retention;
 *   3. that one comes back, and the floor rises as far as 1 allows: over the row, before it was asked about.
 * So a sweep counts if it knew this process's EPOCH: it has seen whatever was prepared before that. */
bool trim_has_swept(const struct coord *coord, uint64_t swept_number)
{
    return swept_number >= coord->epoch_number;
}

/* P-11: an abort has no record, so a sweep that has seen what was left to it is not told from one before it until the head has moved;
 * where nothing else is decided, its participant could never be let go. Once for all that was left since the last record. */
static bool trim_must_write(const struct coord *coord)
{
    for (size_t i = 0; i < coord->participant_count; i++) {
        if (coord->participants[i]->left_number > coord->head.number) {
            return true;
        }
    }
    return false;
}

void trim_step(struct coord *coord, struct coord_ready *ready)
{
    coord->next_trim_ms = coord->now_ms + coord->config.trim_interval_ms;
    uint64_t swept_number = peer_swept_number(coord);
    if (!trim_has_swept(coord, swept_number) || !coord->reconciled) {
        return;
    }
    ready->trim = true;
    ready->trim_bounds = (struct journal_trim){
        .epoch = coord->epoch,
        .now_running_ms = coord_running_ms(coord),
        .retention_ms = coord->config.retention_ms,
        .swept_number = swept_number,
        .keep_sequence = trim_keep_sequence(coord, swept_number),
        .must_write = trim_must_write(coord),
        .slice_records = 2000,
    };
}

void coord_raise_floor(struct coord *coord, const struct journal_floor *floor)
{
    if (floor->first_number > coord->floor.first_number) {
        coord->floor = *floor;
    }
}
