/*
 * journal_sqlite_append.c - one batch is one transaction and one sync. See journal_sqlite.h.
 *
 * What if we die
 *   before COMMIT's sync returns: the batch is in the log or not; nobody was told either way (P-4).
 *   after it: recovery finds it.
 *   in a checkpoint: the log still holds everything; SQLite repeats the copy.
 */
#include <string.h>

#include "common/fault.h"
#include "recovery/journal_sqlite.h"

/* 16 MiB of log between checkpoints: hot pages are copied once per checkpoint and not once per batch. */
#define CHECKPOINT_PAGES      4096
#define CHECKPOINT_MORE_PAGES 1024 /* after one that a reader kept from finishing */

static const char *const statement_sql[STATEMENT_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_HEAD] = "SELECT max(number) FROM record",
    [ST_RECORD_INSERT] = "INSERT INTO record(number, kind, body, hash) VALUES(?1, ?2, ?3, ?4)",
    [ST_RECORD_READ] = SQLITE_READ_SQL,
    [ST_TXN_INSERT] =
        "INSERT INTO txn(epoch, sequence, commit_number, key_hash) VALUES(?1, ?2, ?3, ?4)",
    [ST_TXN_END] = "UPDATE txn SET end_number = ?3, end_running_ms = ?4"
                   " WHERE epoch = ?1 AND sequence = ?2 AND end_number IS NULL",
    [ST_TXN_READ] = "SELECT commit_number, end_number, end_running_ms, open_notes FROM txn"
                    " WHERE epoch = ?1 AND sequence = ?2",
    [ST_TXN_NOTES_ADD] = "UPDATE txn SET open_notes = open_notes + ?3"
                         " WHERE epoch = ?1 AND sequence = ?2",
    [ST_TXN_MOVE] = "UPDATE txn SET commit_number = ?3, end_number = ?4"
                    " WHERE epoch = ?1 AND sequence = ?2",
    [ST_TXN_DELETE] = "DELETE FROM txn WHERE epoch = ?1 AND sequence = ?2",
    [ST_TXN_UP_TO_EPOCH] = "SELECT 1 FROM txn WHERE epoch <= ?1 LIMIT 1",
    [ST_NOTE_INSERT] = "INSERT INTO note(epoch, sequence, number, kind, participant, is_open)"
                       " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [ST_NOTE_CLOSE_HEURISTIC] =
        "UPDATE note SET is_open = 0 WHERE epoch = ?1 AND sequence = ?2 AND kind = 6"
        " AND is_open = 1 AND (?3 = '' OR participant = ?3)",
    [ST_NOTE_IS_ACCEPTED] =
        "SELECT 1 FROM note WHERE epoch = ?1 AND sequence = ?2 AND kind = 4 AND is_open = 1",
    [ST_NOTE_DELETE_STATE] =
        "DELETE FROM note WHERE epoch = ?1 AND sequence = ?2 AND kind IN (5, 11)",
    [ST_NOTE_DELETE_REQUEST] =
        "DELETE FROM note WHERE epoch = ?1 AND sequence = ?2 AND kind IN (4, 5, 11)",
    /* Not where the outcome of a request is: that goes with its COMMIT. */
    [ST_NOTE_LIST] = "SELECT number, kind, is_open FROM note WHERE epoch = ?1 AND sequence = ?2"
                     " AND kind <> 2 ORDER BY number",
    [ST_NOTE_MOVE] =
        "UPDATE note SET number = ?4 WHERE epoch = ?1 AND sequence = ?2 AND number = ?3",
    [ST_NOTE_DELETE] = "DELETE FROM note WHERE epoch = ?1 AND sequence = ?2",
    [ST_NOTE_DELETE_ONE] = "DELETE FROM note WHERE epoch = ?1 AND sequence = ?2 AND number = ?3",
    [ST_SLICE] =
        "SELECT number, kind, body FROM record WHERE number >= ?1 ORDER BY number LIMIT ?2",
    [ST_RECORD_DELETE] = "DELETE FROM record WHERE number < ?1",
};
_Static_assert(RECORD_HEURISTIC == 6 && RECORD_ACCEPT == 4 && RECORD_REFUSED == 5 &&
                   RECORD_REQUEUED == 11 && RECORD_COMMIT == 2,
               "the kinds named in the statements");

bool sqlite_prepare_all(struct sqlite_journal *journal, struct error *ret_error)
{
    for (int id = 0; id < STATEMENT_COUNT; id++) {
        if (!db_prepare(journal->db, statement_sql[id], &journal->statements[id], ret_error)) {
            return false;
        }
    }
    return true;
}

void sqlite_finalize_all(struct sqlite_journal *journal)
{
    for (int id = 0; id < STATEMENT_COUNT; id++) {
        (void)sqlite3_finalize(journal->statements[id]);
        journal->statements[id] = NULL;
    }
}

bool sqlite_poison(struct sqlite_journal *journal, struct error *ret_error)
{
    journal->poisoned = true;
    journal->poison = *ret_error;
    if (sqlite3_get_autocommit(journal->db) == 0) {
        /* Only drops what was not committed; in WAL mode that writes nothing. */
        (void)sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return false;
}

static int watch_wal(void *user, sqlite3 *db, const char *name, int pages)
{
    struct sqlite_journal *journal = user;
    (void)db;
    (void)name;
    if (pages < journal->wal_pages) {
        journal->checkpoint_pages = CHECKPOINT_PAGES; /* the log began again at its front */
    }
    journal->wal_pages = pages;
    return SQLITE_OK;
}

void sqlite_watch_wal(struct sqlite_journal *journal)
{
    journal->checkpoint_pages = CHECKPOINT_PAGES;
    (void)sqlite3_wal_hook(journal->db, watch_wal, journal);
}

bool sqlite_checkpoint_if_due(struct sqlite_journal *journal, struct error *ret_error)
{
    if (journal->wal_pages < journal->checkpoint_pages) {
        return true;
    }
    FAULT(FAULT_C_CHECKPOINT_MID);
    /* Passive: never waits for the reading connection. A reader may keep it from finishing, or the log
     * from beginning again at its front; then it comes again a little later. */
    journal->checkpoint_pages = journal->wal_pages + CHECKPOINT_MORE_PAGES;
    int code = sqlite3_wal_checkpoint_v2(journal->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (code != SQLITE_OK && code != SQLITE_BUSY) {
        return db_error(journal->db, code, ret_error, "checkpoint of the journal");
    }
    return true;
}

/* Also the second half of P-17's lock, should the first one not have worked (a network file system): the
 * journal's last row must be the one this handle wrote. */
bool sqlite_begin(struct sqlite_journal *journal, struct error *ret_error)
{
    sqlite3_stmt *head = journal->statements[ST_HEAD];
    bool row = false;
    if (!db_run(journal->statements[ST_BEGIN], ret_error) || !db_step(head, &row, ret_error)) {
        return false;
    }
    uint64_t number = row ? db_column_u64(head, 0) : 0;
    (void)sqlite3_reset(head);
    if (number != journal->now.head.number) {
        return error_set(ret_error, ERROR_LOCKED,
                         "fenced: another process wrote to the journal (record %llu, ours is %llu)",
                         (unsigned long long)number, (unsigned long long)journal->now.head.number);
    }
    return true;
}

bool sqlite_commit(struct sqlite_journal *journal, struct error *ret_error)
{
    return db_run(journal->statements[ST_COMMIT], ret_error);
}

bool sqlite_put_row(struct sqlite_journal *journal, enum record_kind kind, const uint8_t *body,
                    size_t body_bytes, struct error *ret_error)
{
    sqlite3_stmt *insert = journal->statements[ST_RECORD_INSERT];
    struct journal_head *head = &journal->now.head;
    uint8_t hash[HASH_BYTES];
    journal_chain(&journal->now.id, head->hash, head->number + 1, kind, body, body_bytes, hash);
    db_bind_u64(insert, 1, head->number + 1);
    (void)sqlite3_bind_int(insert, 2, (int)kind);
    (void)sqlite3_bind_blob64(insert, 3, body, body_bytes, SQLITE_STATIC);
    (void)sqlite3_bind_blob(insert, 4, hash, HASH_BYTES, SQLITE_STATIC);
    if (!db_run(insert, ret_error)) {
        return false;
    }
    head->number++;
    memcpy(head->hash, hash, HASH_BYTES);
    return true;
}

/* ---- the index ---- */

static sqlite3_stmt *bind_gtrid(struct sqlite_journal *journal, enum statement_id id,
                                const struct gtrid *gtrid)
{
    sqlite3_stmt *statement = journal->statements[id];
    db_bind_u64(statement, 1, gtrid->epoch);
    db_bind_u64(statement, 2, gtrid->sequence);
    return statement;
}

static bool put_note(struct sqlite_journal *journal, const struct record *record,
                     const struct gtrid *gtrid, const char *participant, bool is_open,
                     struct error *ret_error)
{
    sqlite3_stmt *insert = bind_gtrid(journal, ST_NOTE_INSERT, gtrid);
    db_bind_u64(insert, 3, journal->now.head.number);
    (void)sqlite3_bind_int(insert, 4, (int)record->kind);
    (void)sqlite3_bind_text(insert, 5, participant, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(insert, 6, is_open);
    return db_run(insert, ret_error);
}

static bool add_open_notes(struct sqlite_journal *journal, const struct gtrid *gtrid,
                           int difference, struct error *ret_error)
{
    sqlite3_stmt *update = bind_gtrid(journal, ST_TXN_NOTES_ADD, gtrid);
    (void)sqlite3_bind_int(update, 3, difference);
    return db_run(update, ret_error); /* no row: a heuristic outcome of an aborted transaction */
}

/* What this record says of a request may only be said of one that is accepted and not over: the last line of defence
 * against running one twice (docs/adr/0017). */
static bool is_accepted(struct sqlite_journal *journal, const struct gtrid *id,
                        struct error *ret_error)
{
    sqlite3_stmt *read = bind_gtrid(journal, ST_NOTE_IS_ACCEPTED, id);
    bool found = false;
    bool stepped = db_step(read, &found, ret_error);
    (void)sqlite3_reset(read);
    if (stepped && !found) {
        return error_set(ret_error, ERROR_INVALID,
                         "it names a request that was never accepted, or is over");
    }
    return stepped;
}

/* REFUSED or REQUEUED: the newest one is the state. */
static bool index_request_state(struct sqlite_journal *journal, const struct record *record,
                                const struct gtrid *id, struct error *ret_error)
{
    return is_accepted(journal, id, ret_error) &&
           db_run(bind_gtrid(journal, ST_NOTE_DELETE_STATE, id), ret_error) &&
           put_note(journal, record, id, "", false, ret_error);
}

/* COMMIT or DROPPED: where its outcome is. */
static bool index_request_over(struct sqlite_journal *journal, const struct record *record,
                               const struct gtrid *id, struct error *ret_error)
{
    return is_accepted(journal, id, ret_error) &&
           db_run(bind_gtrid(journal, ST_NOTE_DELETE_REQUEST, id), ret_error) &&
           put_note(journal, record, id, "", false, ret_error);
}

static bool index_commit(struct sqlite_journal *journal, const struct record *record,
                         struct error *ret_error)
{
    const struct record_commit *commit = &record->as.commit;
    sqlite3_stmt *insert = bind_gtrid(journal, ST_TXN_INSERT, &commit->gtrid);
    db_bind_u64(insert, 3, journal->now.head.number);
    if (commit->key_bytes > 0) {
        db_bind_u64(insert, 4, db_key_hash(&journal->now.id, commit->key, commit->key_bytes));
    } else {
        (void)sqlite3_bind_null(insert, 4);
    }
    return db_run(insert, ret_error) &&
           (!commit->has_request ||
            index_request_over(journal, record, &commit->request.id, ret_error));
}

static bool index_end(struct sqlite_journal *journal, const struct record_end *end,
                      struct error *ret_error)
{
    sqlite3_stmt *update = bind_gtrid(journal, ST_TXN_END, &end->gtrid);
    db_bind_u64(update, 3, journal->now.head.number);
    db_bind_u64(update, 4, end->running_ms);
    if (!db_run(update, ret_error)) {
        return false;
    }
    return sqlite3_changes(journal->db) == 1 ||
           error_set(ret_error, ERROR_INVALID, "an END record without a COMMIT that is not ended");
}

static bool has_commit(struct sqlite_journal *journal, const struct gtrid *gtrid, bool *ret_found,
                       struct error *ret_error)
{
    sqlite3_stmt *read = bind_gtrid(journal, ST_TXN_READ, gtrid);
    bool stepped = db_step(read, ret_found, ret_error);
    (void)sqlite3_reset(read);
    return stepped;
}

static bool index_resolved(struct sqlite_journal *journal, const struct record *record,
                           struct error *ret_error)
{
    const struct record_resolved *resolved = &record->as.resolved;
    bool found = false;
    sqlite3_stmt *close = bind_gtrid(journal, ST_NOTE_CLOSE_HEURISTIC, &resolved->gtrid);
    (void)sqlite3_bind_text(close, 3, resolved->participant, -1, SQLITE_STATIC);
    if (!db_run(close, ret_error)) {
        return false;
    }
    int closed = sqlite3_changes(journal->db);
    if (!has_commit(journal, &resolved->gtrid, &found, ret_error)) {
        return false;
    }
    bool stays = !found && closed == 0 && resolved->action != RESOLVE_FORGET &&
                 journal_needs_person(&journal->now, &resolved->gtrid);
    return (closed == 0 || add_open_notes(journal, &resolved->gtrid, -closed, ret_error)) &&
           put_note(journal, record, &resolved->gtrid, resolved->participant, stays, ret_error);
}

/* Enters the record that was just put as the head. */
static bool index_record(struct sqlite_journal *journal, const struct record *record,
                         struct error *ret_error)
{
    switch (record->kind) {
    case RECORD_COMMIT:
        return index_commit(journal, record, ret_error);
    case RECORD_END:
        return index_end(journal, &record->as.end, ret_error);
    case RECORD_HEURISTIC:
        return put_note(journal, record, &record->as.heuristic.gid.gtrid,
                        record->as.heuristic.gid.participant, true, ret_error) &&
               add_open_notes(journal, &record->as.heuristic.gid.gtrid, 1, ret_error);
    case RECORD_RESOLVED:
        return index_resolved(journal, record, ret_error);
    case RECORD_ACCEPT:
        return put_note(journal, record, &record->as.accept.gtrid, "", true, ret_error);
    case RECORD_REFUSED:
        return index_request_state(journal, record, &record->as.refused.gtrid, ret_error);
    case RECORD_REQUEUED:
        return index_request_state(journal, record, &record->as.requeued.gtrid, ret_error);
    case RECORD_DROPPED:
        return index_request_over(journal, record, &record->as.dropped.gtrid, ret_error);
    case RECORD_EPOCH:
        journal->last_epoch_number = journal->now.head.number;
        return true;
    case RECORD_FLOOR:
    case RECORD_RELEASE:
    case RECORD_ADOPT:
        return true;
    }
    return error_set(ret_error, ERROR_INVALID, "unknown record kind %d", (int)record->kind);
}

bool sqlite_put_record(struct sqlite_journal *journal, const struct record *record,
                       struct error *ret_error)
{
    record_encode(record, &journal->body);
    if (!sqlite_put_row(journal, record->kind, journal->body.bytes, journal->body.size_bytes,
                        ret_error) ||
        !index_record(journal, record, ret_error)) {
        return false;
    }
    journal_state_apply(&journal->now, record);
    return true;
}

static bool has_kind(const struct record *records, size_t count, enum record_kind kind)
{
    for (size_t i = 0; i < count; i++) {
        if (records[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static void fault_if(bool condition, enum fault_point point)
{
    if (condition) {
        FAULT(point);
    }
}

static void fault_after_sync(const struct record *records, size_t count)
{
    fault_if(has_kind(records, count, RECORD_COMMIT), FAULT_C_DECIDE_POST_SYNC);
    fault_if(has_kind(records, count, RECORD_RESOLVED), FAULT_C_FORCE_POST_LOG);
    fault_if(has_kind(records, count, RECORD_END), FAULT_C_END_POST_LOG);
    fault_if(has_kind(records, count, RECORD_ACCEPT), FAULT_C_ACCEPTED_POST_SYNC);
    fault_if(has_kind(records, count, RECORD_REFUSED), FAULT_C_REFUSED_POST_SYNC);
    fault_if(has_kind(records, count, RECORD_REQUEUED), FAULT_C_REQUEUED_POST_SYNC);
    fault_if(has_kind(records, count, RECORD_DROPPED), FAULT_C_DROPPED_POST_SYNC);
}

static bool write_batch(struct sqlite_journal *journal, const struct record *records, size_t count,
                        struct error *ret_error)
{
    bool decides = has_kind(records, count, RECORD_COMMIT);
    if (!sqlite_begin(journal, ret_error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!sqlite_put_record(journal, &records[i], ret_error)) {
            return error_wrap(ret_error, "%s record", record_kind_text(records[i].kind));
        }
    }
    if (decides) {
        FAULT(FAULT_C_DECIDE_ROW_WRITTEN);
        FAULT(FAULT_C_DECIDE_PRE_SYNC);
    }
    if (!sqlite_commit(journal, ret_error)) {
        return false;
    }
    fault_after_sync(records, count);
    return true;
}

bool sqlite_append(struct journal *base, uint64_t epoch, const struct record *records, size_t count,
                   struct journal_head *ret_head, struct error *ret_error)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)base;
    struct error error = {0};
    if (journal->poisoned) {
        error = journal->poison;
    } else if (!journal_check_batch(&journal->now, epoch, records, count, &error) ||
               !write_batch(journal, records, count, &error) ||
               !sqlite_checkpoint_if_due(journal, &error)) {
        (void)error_wrap(&error, "append to journal %s", journal->path);
        (void)sqlite_poison(journal, &error);
    } else {
        *ret_head = journal->now.head;
        return true;
    }
    if (ret_error != NULL) {
        *ret_error = error;
    }
    return false;
}
