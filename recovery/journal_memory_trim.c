/*
 * journal_memory_trim.c - trimming of the memory journal: the same plan and the same order as
 * journal_sqlite_trim.c, which says why (P-13).
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/fault.h"
#include "recovery/journal_memory_internal.h"

static enum trim_action plan_row(const struct memory_journal *journal,
                                 const struct journal_trim *trim, uint64_t number,
                                 const struct record *record, struct journal_floor *floor)
{
    struct gtrid gtrid = {0};
    const struct txn *txn = record_gtrid(record, &gtrid) ? memory_find_txn(journal, &gtrid) : NULL;
    switch (record->kind) {
    case RECORD_COMMIT:
        CHECK(txn != NULL && txn->place.commit_number == number);
        return journal_trim_commit(trim, &txn->gtrid, &txn->place);
    case RECORD_HEURISTIC:
    case RECORD_RESOLVED:
    case RECORD_ACCEPT:
    case RECORD_REFUSED:
    case RECORD_REQUEUED:
        return txn != NULL && !txn->place.found && memory_has_open_note(txn) ? TRIM_CARRY
                                                                             : TRIM_PASS;
    case RECORD_DROPPED:
        return journal_trim_dropped(trim, &record->as.dropped);
    case RECORD_EPOCH:
        if (number == journal->last_epoch_number) {
            return TRIM_CARRY;
        }
        if (journal->now.epoch_count > TRIM_EPOCHS_MAX && journal->by_gtrid.count == 0 &&
            journal->last_epoch_number <= trim->swept_number) {
            journal_floor_raise(floor, record->as.epoch.epoch, UINT64_MAX);
        }
        return TRIM_PASS;
    case RECORD_END:
    case RECORD_FLOOR:
    case RECORD_RELEASE:
    case RECORD_ADOPT:
        return TRIM_PASS;
    }
    return TRIM_STOP;
}

/* Appends record `number` again and returns its new number. */
static uint64_t move_row(struct memory_journal *journal, uint64_t number)
{
    struct record copy;
    record_copy(&memory_row_at(journal, number)->record, &copy);
    memory_put_row(journal, copy);
    return journal->now.head.number;
}

/* Of the request that this transaction has committed: where its outcome is. */
static struct note *outcome_note(const struct memory_journal *journal, const struct txn *txn)
{
    struct txn *request = memory_find_txn(journal, &txn->request);
    CHECK(request != NULL);
    for (size_t i = 0; i < request->note_count; i++) {
        if (request->notes[i].kind == RECORD_COMMIT) {
            return &request->notes[i];
        }
    }
    CHECK(!"the note goes with the COMMIT");
    return NULL;
}

static void move_txn(struct memory_journal *journal, struct txn *txn)
{
    struct trim_txn *place = &txn->place;
    bool end_moved = !place->ended;
    if (place->found) {
        place->commit_number = move_row(journal, place->commit_number);
    }
    if (txn->has_request) {
        outcome_note(journal, txn)->number = place->commit_number;
    }
    for (size_t i = 0; i < txn->note_count; i++) {
        if (!end_moved && txn->notes[i].number > place->end_number) {
            place->end_number = move_row(journal, place->end_number);
            end_moved = true;
        }
        if (txn->notes[i].kind != RECORD_COMMIT) { /* that goes with its transaction */
            txn->notes[i].number = move_row(journal, txn->notes[i].number);
        }
    }
    if (!end_moved) {
        place->end_number = move_row(journal, place->end_number);
    }
}

static void remove_note(struct txn *txn, size_t index)
{
    txn->place.open_notes -=
        txn->notes[index].kind == RECORD_HEURISTIC && txn->notes[index].is_open;
    txn->note_count--;
    memmove(&txn->notes[index], &txn->notes[index + 1],
            (txn->note_count - index) * sizeof *txn->notes);
}

/* Forgets what is kept for a note that trimming passes. */
static void drop_note(struct memory_journal *journal, struct txn *txn, uint64_t number)
{
    for (size_t i = 0; i < txn->note_count; i++) {
        if (txn->notes[i].number == number) {
            remove_note(txn, i);
            break;
        }
    }
    if (!txn->place.found && txn->note_count == 0) {
        memory_remove_txn(journal, txn);
    }
}

static void carry_epoch(struct memory_journal *journal)
{
    struct record epoch;
    journal_epoch_record(&journal->now, &epoch);
    memory_put_row(journal, epoch);
    journal->last_epoch_number = journal->now.head.number;
    journal_state_apply(&journal->now, &epoch);
}

static uint64_t first_own_note(const struct txn *txn)
{
    size_t i = 0;
    while (i + 1 < txn->note_count && txn->notes[i].kind == RECORD_COMMIT) {
        i++;
    }
    return txn->notes[i].number;
}

static void apply_row(struct memory_journal *journal, uint64_t number, uint64_t cut,
                      enum trim_action action)
{
    const struct record *record = &memory_row_at(journal, number)->record;
    struct gtrid gtrid = {0};
    struct txn *txn = record_gtrid(record, &gtrid) ? memory_find_txn(journal, &gtrid) : NULL;
    enum record_kind kind = record->kind; /* moving rows moves the record */
    if (kind == RECORD_EPOCH) {
        return; /* comes last */
    }
    CHECK(action == TRIM_PASS || txn != NULL); /* the plan has seen it */
    if (action == TRIM_CARRY) {
        bool is_moved = !txn->place.found && first_own_note(txn) >= cut;
        if (!is_moved) {
            move_txn(journal, txn);
        }
    } else if (action == TRIM_FORGET) {
        if (txn->has_request) {
            drop_note(journal, memory_find_txn(journal, &txn->request),
                      outcome_note(journal, txn)->number);
        }
        memory_remove_txn(journal, txn);
    } else if (kind != RECORD_END && txn != NULL) {
        drop_note(journal, txn, number);
    }
}

static void drop_rows(struct memory_journal *journal, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        record_done(&journal->rows[i].record);
    }
    journal->row_count -= count;
    memmove(journal->rows, journal->rows + count, journal->row_count * sizeof *journal->rows);
}

static void apply_plan(struct memory_journal *journal, const struct trim_slice *slice,
                       const enum trim_action *actions, struct journal_floor floor)
{
    uint64_t first = memory_first_number(journal);
    struct record record;
    struct record copy;
    floor.first_number = first + slice->rows;
    journal_floor_record(&journal->now, &floor, slice->trim->now_running_ms, &record);
    record_copy(&record, &copy);
    memory_put_row(journal, copy);
    for (size_t i = 0; i < slice->rows; i++) {
        apply_row(journal, first + i, floor.first_number, actions[i]);
    }
    if (slice->passed < slice->rows) {
        carry_epoch(journal);
    }
    FAULT(FAULT_C_GC_MID);
    drop_rows(journal, slice->rows);
    journal_state_apply(&journal->now,
                        &record); /* from here on rows are found by the new first number */
    record_done(&record);
}

static void trim_slice(struct memory_journal *journal, const struct journal_trim *trim,
                       bool *ret_more)
{
    struct trim_slice slice = {.trim = trim};
    struct journal_floor floor = journal->now.floor;
    enum trim_action *actions = alloc_array(journal->row_count + 1, sizeof *actions);
    bool taken = true;
    for (size_t i = 0; taken && i < journal->row_count; i++) {
        const struct record *record = &journal->rows[i].record;
        size_t rows_before = slice.rows;
        enum trim_action action =
            plan_row(journal, trim, memory_first_number(journal) + i, record, &floor);
        taken = journal_trim_take(&slice, action);
        if (slice.rows > rows_before) {
            actions[i] = action;
            if (action == TRIM_FORGET) {
                journal_floor_raise(&floor, record->as.commit.gtrid.epoch,
                                    record->as.commit.gtrid.sequence);
            }
        }
    }
    bool due = journal_trim_is_due(&slice);
    if (due) {
        apply_plan(journal, &slice, actions, floor);
    } else if (trim->must_write) {
        carry_epoch(journal);
    }
    *ret_more = due && slice.more;
    free(actions);
}

bool memory_trim(struct journal *base, const struct journal_trim *trim,
                 struct journal_head *ret_head, struct journal_floor *ret_floor, bool *ret_more,
                 struct error *ret_error)
{
    struct memory_journal *journal = (struct memory_journal *)base;
    struct error error = {0};
    pthread_mutex_lock(&journal->mutex);
    bool good = !journal->poisoned;
    if (!good) {
        error = journal->poison;
    } else if (!journal_check_trim(&journal->now, trim, &error)) {
        good = false;
        journal->poisoned = true;
        journal->poison = error;
    } else {
        trim_slice(journal, trim, ret_more);
        *ret_head = journal->now.head;
        *ret_floor = journal->now.floor;
    }
    pthread_mutex_unlock(&journal->mutex);
    if (!good && ret_error != NULL) {
        *ret_error = error;
    }
    return good;
}
