/*
 * journal_sqlite_trim.c - forgets finished transactions, one bounded slice per call (P-13).
 *
 * Plan: walk the records from the first one on and say for each what becomes of it, until the slice is full
 * or a record is met that must stay. Nothing is written if that gains nothing. Apply, in one transaction:
 *
 *   1. FLOOR                        repeats epochs and running time
 *   2. live transactions            appended again, so that one unfinished COMMIT does not pin the journal
 *   3. EPOCH                        after them if there were any, with everybody who is waited for by now: a
 *                                   COMMIT that moves past a RELEASE must not bring the released one back
 *   4. index rows and records       deleted; the hash that the new first record follows goes into meta
 *
 * Dying in it: SQLite's transaction is all or nothing. A transaction's records move together (COMMIT, notes,
 * END), so that their order among each other never changes; their old rows further up are dead weight until
 * the walk reaches them.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/fault.h"
#include "recovery/journal_sqlite.h"

struct plan_row {
    uint64_t number;
    enum record_kind kind;
    enum trim_action action;
    struct gtrid gtrid; /* where the kind has one */
    bool has_request;   /* COMMIT of an accepted request */
    struct gtrid request;
};

struct plan {
    struct trim_slice slice;
    struct plan_row *rows;
    size_t count;
    struct journal_floor floor; /* the new one */
};

static sqlite3_stmt *bind_gtrid(struct sqlite_journal *journal, enum statement_id id,
                                const struct gtrid *gtrid)
{
    sqlite3_stmt *statement = journal->statements[id];
    db_bind_u64(statement, 1, gtrid->epoch);
    db_bind_u64(statement, 2, gtrid->sequence);
    return statement;
}

static bool read_txn(struct sqlite_journal *journal, const struct gtrid *gtrid,
                     struct trim_txn *ret_txn, struct error *ret_error)
{
    sqlite3_stmt *read = bind_gtrid(journal, ST_TXN_READ, gtrid);
    struct trim_txn txn = {0};
    if (!db_step(read, &txn.found, ret_error)) {
        return false;
    }
    if (txn.found) {
        txn.commit_number = db_column_u64(read, 0);
        txn.ended = sqlite3_column_type(read, 1) != SQLITE_NULL;
        txn.end_number = db_column_u64(read, 1);
        txn.end_running_ms = db_column_u64(read, 2);
        txn.open_notes = db_column_u64(read, 3);
    }
    (void)sqlite3_reset(read);
    *ret_txn = txn;
    return true;
}

/* ---- plan ---- */

struct note_place {
    uint64_t number;
    enum record_kind kind;
};

/* The notes of a gtrid, in order; *ret_open if one of them is open. Owned by the caller. */
static bool list_notes(struct sqlite_journal *journal, const struct gtrid *gtrid,
                       struct note_place **ret_notes, size_t *ret_count, bool *ret_open,
                       struct error *ret_error)
{
    sqlite3_stmt *list = bind_gtrid(journal, ST_NOTE_LIST, gtrid);
    struct note_place *notes = NULL;
    size_t count = 0;
    bool open = false;
    bool row = false;
    bool good = db_step(list, &row, ret_error);
    while (good && row) {
        notes = alloc_resize(notes, count + 1, sizeof *notes);
        notes[count].number = db_column_u64(list, 0);
        notes[count++].kind = (enum record_kind)sqlite3_column_int(list, 1);
        open = open || sqlite3_column_int(list, 2) != 0;
        good = db_step(list, &row, ret_error);
    }
    (void)sqlite3_reset(list);
    if (!good) {
        free(notes);
        return false;
    }
    *ret_notes = notes;
    *ret_count = count;
    *ret_open = open;
    return true;
}

/* Notes of a retained transaction go its way; notes without one (the transaction aborted) stay while one of
 * them is open. */
static bool plan_note(struct sqlite_journal *journal, const struct gtrid *gtrid,
                      enum trim_action *ret_action, struct error *ret_error)
{
    struct trim_txn txn;
    struct note_place *notes;
    size_t count;
    bool open;
    if (!read_txn(journal, gtrid, &txn, ret_error) ||
        !list_notes(journal, gtrid, &notes, &count, &open, ret_error)) {
        return false;
    }
    free(notes);
    *ret_action = !txn.found && open ? TRIM_CARRY : TRIM_PASS;
    return true;
}

static bool plan_commit(struct sqlite_journal *journal, struct plan *plan, struct plan_row *row,
                        struct error *ret_error)
{
    struct trim_txn txn;
    if (!read_txn(journal, &row->gtrid, &txn, ret_error)) {
        return false;
    }
    if (!txn.found || txn.commit_number != row->number) {
        return error_set(ret_error, ERROR_DAMAGED,
                         "record %llu: the index does not know this COMMIT",
                         (unsigned long long)row->number);
    }
    row->action = journal_trim_commit(plan->slice.trim, &row->gtrid, &txn);
    return true;
}

/* A superseded EPOCH is repeated by FLOOR. Only a very long list of epochs is shortened, by raising the
 * floor over epochs of which no transaction is retained and which every participant has swept. */
static bool plan_epoch(struct sqlite_journal *journal, struct plan *plan,
                       const struct record *record, struct plan_row *row, struct error *ret_error)
{
    sqlite3_stmt *retained = journal->statements[ST_TXN_UP_TO_EPOCH];
    bool found = true;
    row->action = row->number == journal->last_epoch_number ? TRIM_CARRY : TRIM_PASS;
    if (row->action == TRIM_CARRY || journal->now.epoch_count <= TRIM_EPOCHS_MAX ||
        journal->last_epoch_number > plan->slice.trim->swept_number) {
        return true;
    }
    db_bind_u64(retained, 1, record->as.epoch.epoch);
    if (!db_step(retained, &found, ret_error)) {
        return false;
    }
    (void)sqlite3_reset(retained);
    if (!found) {
        journal_floor_raise(&plan->floor, record->as.epoch.epoch, UINT64_MAX);
    }
    return true;
}

static bool plan_row(struct sqlite_journal *journal, struct plan *plan, const struct record *record,
                     struct plan_row *row, struct error *ret_error)
{
    (void)record_gtrid(record, &row->gtrid);
    switch (record->kind) {
    case RECORD_COMMIT:
        row->has_request = record->as.commit.has_request;
        row->request = record->as.commit.request.id;
        return plan_commit(journal, plan, row, ret_error);
    case RECORD_HEURISTIC:
    case RECORD_RESOLVED:
    case RECORD_ACCEPT:
    case RECORD_REFUSED:
    case RECORD_REQUEUED:
        return plan_note(journal, &row->gtrid, &row->action, ret_error);
    case RECORD_DROPPED:
        row->action = journal_trim_dropped(plan->slice.trim, &record->as.dropped);
        return true;
    case RECORD_EPOCH:
        return plan_epoch(journal, plan, record, row, ret_error);
    case RECORD_END: /* its COMMIT was met before, and decided for both */
    case RECORD_FLOOR:
    case RECORD_RELEASE: /* the EPOCH that is appended again leaves the released ones out */
    case RECORD_ADOPT:
        row->action = TRIM_PASS;
        return true;
    }
    return error_set(ret_error, ERROR_DAMAGED, "record %llu: unknown kind",
                     (unsigned long long)row->number);
}

/* *ret_taken false: the plan ends before this row. Statement columns: number, kind, body. */
static bool plan_step(struct sqlite_journal *journal, struct plan *plan, sqlite3_stmt *walk,
                      bool *ret_taken, struct error *ret_error)
{
    struct plan_row row = {.number = db_column_u64(walk, 0)};
    struct record record;
    if (!sqlite_decode_row(walk, row.number, 1, &record, ret_error)) {
        return false;
    }
    row.kind = record.kind;
    bool planned = plan_row(journal, plan, &record, &row, ret_error);
    record_done(&record);
    if (!planned) {
        return false;
    }
    size_t rows_before = plan->slice.rows;
    *ret_taken = journal_trim_take(&plan->slice, row.action);
    if (plan->slice.rows > rows_before) {
        plan->rows = alloc_resize(plan->rows, plan->slice.rows, sizeof *plan->rows);
        plan->rows[plan->count++] = row;
        if (row.action == TRIM_FORGET) {
            journal_floor_raise(&plan->floor, row.gtrid.epoch, row.gtrid.sequence);
        }
    }
    return true;
}

static bool make_plan(struct sqlite_journal *journal, struct plan *plan, struct error *ret_error)
{
    sqlite3_stmt *walk = journal->statements[ST_SLICE];
    bool row = false;
    bool taken = true;
    db_bind_u64(walk, 1, journal->now.floor.first_number);
    (void)sqlite3_bind_int64(walk, 2, TRIM_LOOK_AHEAD_ROWS);
    bool good = db_step(walk, &row, ret_error);
    while (good && row && taken) {
        good = plan_step(journal, plan, walk, &taken, ret_error) && db_step(walk, &row, ret_error);
    }
    (void)sqlite3_reset(walk);
    return good;
}

/* ---- apply ---- */

/* Appends record `number` again; *ret_moved is its new number. */
static bool move_record(struct sqlite_journal *journal, uint64_t number, uint64_t *ret_moved,
                        struct error *ret_error)
{
    struct record record;
    bool found;
    if (!sqlite_read_checked(journal->statements[ST_RECORD_READ], &journal->meta, number, &found,
                             &record, ret_error)) {
        return false;
    }
    if (!found) {
        return error_set(ret_error, ERROR_DAMAGED, "record %llu: missing, but the index names it",
                         (unsigned long long)number);
    }
    record_encode(&record, &journal->body);
    bool moved = sqlite_put_row(journal, record.kind, journal->body.bytes, journal->body.size_bytes,
                                ret_error);
    record_done(&record);
    *ret_moved = journal->now.head.number;
    return moved;
}

static bool move_note(struct sqlite_journal *journal, const struct gtrid *gtrid, uint64_t number,
                      struct error *ret_error)
{
    uint64_t moved;
    if (!move_record(journal, number, &moved, ret_error)) {
        return false;
    }
    sqlite3_stmt *update = bind_gtrid(journal, ST_NOTE_MOVE, gtrid);
    db_bind_u64(update, 3, number);
    db_bind_u64(update, 4, moved);
    return db_run(update, ret_error);
}

/* Where the outcome of an accepted request is goes with its COMMIT. */
static bool move_pointer(struct sqlite_journal *journal, const struct plan_row *row, uint64_t moved,
                         struct error *ret_error)
{
    if (!row->has_request) {
        return true;
    }
    sqlite3_stmt *update = bind_gtrid(journal, ST_NOTE_MOVE, &row->request);
    db_bind_u64(update, 3, row->number);
    db_bind_u64(update, 4, moved);
    return db_run(update, ret_error);
}

/* COMMIT first, notes, END last: the order they were written in. */
static bool move_txn(struct sqlite_journal *journal, const struct plan_row *row,
                     const struct trim_txn *txn, const struct note_place *notes, size_t note_count,
                     struct error *ret_error)
{
    const struct gtrid *gtrid = &row->gtrid;
    uint64_t commit_number = 0;
    uint64_t end_number = 0;
    if (txn->found && (!move_record(journal, txn->commit_number, &commit_number, ret_error) ||
                       !move_pointer(journal, row, commit_number, ret_error))) {
        return false;
    }
    bool end_moved = !txn->ended;
    for (size_t i = 0; i < note_count; i++) {
        if (!end_moved && notes[i].number > txn->end_number) {
            if (!move_record(journal, txn->end_number, &end_number, ret_error)) {
                return false;
            }
            end_moved = true;
        }
        if (!move_note(journal, gtrid, notes[i].number, ret_error)) {
            return false;
        }
    }
    if (!end_moved && !move_record(journal, txn->end_number, &end_number, ret_error)) {
        return false;
    }
    if (!txn->found) {
        return true;
    }
    sqlite3_stmt *update = bind_gtrid(journal, ST_TXN_MOVE, gtrid);
    db_bind_u64(update, 3, commit_number);
    if (txn->ended) {
        db_bind_u64(update, 4, end_number);
    } else {
        (void)sqlite3_bind_null(update, 4);
    }
    return db_run(update, ret_error);
}

static bool carry(struct sqlite_journal *journal, const struct plan_row *row, uint64_t first_number,
                  struct error *ret_error)
{
    struct trim_txn txn;
    struct note_place *notes;
    size_t count;
    bool open;
    if (!read_txn(journal, &row->gtrid, &txn, ret_error) ||
        !list_notes(journal, &row->gtrid, &notes, &count, &open, ret_error)) {
        return false;
    }
    /* Two notes of one aborted transaction in one slice: the first one has moved both. */
    bool is_moved = !txn.found && (count == 0 || notes[0].number >= first_number);
    bool good = is_moved || move_txn(journal, row, &txn, notes, count, ret_error);
    free(notes);
    return good;
}

static bool forget(struct sqlite_journal *journal, const struct plan_row *row,
                   struct error *ret_error)
{
    if (!db_run(bind_gtrid(journal, ST_TXN_DELETE, &row->gtrid), ret_error) ||
        !db_run(bind_gtrid(journal, ST_NOTE_DELETE, &row->gtrid), ret_error)) {
        return false;
    }
    if (!row->has_request) {
        return true;
    }
    sqlite3_stmt *delete = bind_gtrid(journal, ST_NOTE_DELETE_ONE, &row->request);
    db_bind_u64(delete, 3, row->number);
    return db_run(delete, ret_error);
}

/* A settled note whose transaction is not retained. */
static bool drop_note(struct sqlite_journal *journal, const struct plan_row *row,
                      struct error *ret_error)
{
    sqlite3_stmt *delete = bind_gtrid(journal, ST_NOTE_DELETE_ONE, &row->gtrid);
    db_bind_u64(delete, 3, row->number);
    return db_run(delete, ret_error);
}

static bool carry_epoch(struct sqlite_journal *journal, struct error *ret_error)
{
    struct record epoch;
    journal_epoch_record(&journal->now, &epoch);
    bool put = sqlite_put_record(journal, &epoch, ret_error);
    record_done(&epoch);
    return put;
}

static bool apply_row(struct sqlite_journal *journal, const struct plan_row *row,
                      uint64_t first_number, struct error *ret_error)
{
    switch (row->action) {
    case TRIM_CARRY:
        return row->kind == RECORD_EPOCH || carry(journal, row, first_number, ret_error);
    case TRIM_FORGET:
        return forget(journal, row, ret_error);
    case TRIM_PASS:
        switch (row->kind) {
        case RECORD_HEURISTIC:
        case RECORD_RESOLVED:
        case RECORD_ACCEPT:
        case RECORD_REFUSED:
        case RECORD_REQUEUED:
        case RECORD_DROPPED:
            return drop_note(journal, row, ret_error);
        default: /* nothing but the record's own row, which goes with the rest */
            return true;
        }
    case TRIM_STOP:
        break;
    }
    return error_set(ret_error, ERROR_SYSTEM, "record %llu: no action for trimming",
                     (unsigned long long)row->number);
}

static bool write_floor(struct sqlite_journal *journal, const struct plan *plan,
                        struct error *ret_error)
{
    struct record floor;
    journal_floor_record(&journal->now, &plan->floor, plan->slice.trim->now_running_ms, &floor);
    bool put = sqlite_put_record(journal, &floor, ret_error);
    record_done(&floor);
    return put;
}

static bool read_hash(struct sqlite_journal *journal, uint64_t number, uint8_t ret_hash[HASH_BYTES],
                      struct error *ret_error)
{
    sqlite3_stmt *read = journal->statements[ST_RECORD_READ];
    bool row = false;
    db_bind_u64(read, 1, number);
    if (!db_step(read, &row, ret_error)) {
        return false;
    }
    bool whole = row && sqlite3_column_bytes(read, 2) == HASH_BYTES;
    if (whole) {
        memcpy(ret_hash, sqlite3_column_blob(read, 2), HASH_BYTES);
    }
    (void)sqlite3_reset(read);
    return whole ||
           error_set(ret_error, ERROR_DAMAGED, "record %llu: missing", (unsigned long long)number);
}

static bool apply_plan(struct sqlite_journal *journal, struct plan *plan, struct error *ret_error)
{
    struct journal_meta meta = journal->meta;
    uint64_t last = plan->rows[plan->count - 1].number;
    plan->floor.first_number = last + 1;
    meta.floor = plan->floor;
    if (!sqlite_begin(journal, ret_error) ||
        !read_hash(journal, last, meta.previous_hash, ret_error) ||
        !write_floor(journal, plan, ret_error)) {
        return false;
    }
    for (size_t i = 0; i < plan->count; i++) {
        if (!apply_row(journal, &plan->rows[i], plan->floor.first_number, ret_error)) {
            return false;
        }
    }
    if (plan->slice.passed < plan->slice.rows && !carry_epoch(journal, ret_error)) {
        return false;
    }
    FAULT(FAULT_C_GC_MID);
    db_bind_u64(journal->statements[ST_RECORD_DELETE], 1, plan->floor.first_number);
    if (!db_run(journal->statements[ST_RECORD_DELETE], ret_error) ||
        !db_meta_save(journal->db, &meta, ret_error) || !sqlite_commit(journal, ret_error)) {
        return false;
    }
    journal->meta = meta;
    return sqlite_checkpoint_if_due(journal, ret_error);
}

/* Nothing is due, and the head must move all the same. */
static bool repeat_epoch(struct sqlite_journal *journal, struct error *ret_error)
{
    return sqlite_begin(journal, ret_error) && carry_epoch(journal, ret_error) &&
           sqlite_commit(journal, ret_error);
}

bool sqlite_trim(struct journal *base, const struct journal_trim *trim,
                 struct journal_head *ret_head, struct journal_floor *ret_floor, bool *ret_more,
                 struct error *ret_error)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)base;
    struct plan plan = {.slice.trim = trim, .floor = journal->now.floor};
    struct error error = {0};
    if (journal->poisoned) {
        if (ret_error != NULL) {
            *ret_error = journal->poison;
        }
        return false;
    }
    bool good =
        journal_check_trim(&journal->now, trim, &error) && make_plan(journal, &plan, &error);
    if (good && journal_trim_is_due(&plan.slice)) {
        good = apply_plan(journal, &plan, &error);
    } else {
        plan.slice.more = false;
        good = good && (!trim->must_write || repeat_epoch(journal, &error));
    }
    free(plan.rows);
    if (!good) {
        (void)error_wrap(&error, "trim of journal %s", journal->path);
        if (ret_error != NULL) {
            *ret_error = error;
        }
        return sqlite_poison(journal, &error);
    }
    *ret_head = journal->now.head;
    *ret_floor = journal->now.floor;
    *ret_more = plan.slice.more;
    return true;
}
