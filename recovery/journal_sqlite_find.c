/*
 * journal_sqlite_find.c - look-ups for the owner thread, on a read-only connection of their own.
 *
 * Shares nothing that changes with the journal thread: identity and floor are read again inside each
 * look-up's own snapshot, so that a trim between two statements cannot part a COMMIT from its END. A
 * record read here is checked against its hash, because "committed" is answered from it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "recovery/journal_sqlite.h"

enum find_id {
    FIND_BEGIN,
    FIND_END,
    FIND_META,
    FIND_READ,
    FIND_TXN,
    FIND_KEY,
    FIND_NOTES,
    FIND_REQUEST,
    FIND_LIST,
    FIND_LIST_PARTICIPANT,
    FIND_LIST_DROPPED,
    FIND_LIST_BOTH,
    FIND_HASH,
    FIND_COUNT,
};

struct sqlite_reader {
    sqlite3 *db;
    sqlite3_stmt *statements[FIND_COUNT];
};

static const char *const find_sql[FIND_COUNT] = {
    [FIND_BEGIN] = "BEGIN",
    [FIND_END] = "COMMIT",
    [FIND_META] = DB_META_SQL,
    [FIND_READ] = SQLITE_READ_SQL,
    [FIND_TXN] = "SELECT commit_number, end_number FROM txn WHERE epoch = ?1 AND sequence = ?2",
    [FIND_KEY] = "SELECT commit_number FROM txn WHERE key_hash = ?1 ORDER BY commit_number DESC",
    [FIND_NOTES] = "SELECT number FROM note WHERE epoch = ?1 AND sequence = ?2"
                   " AND kind IN (6, 7) ORDER BY number",
    [FIND_REQUEST] = "SELECT number FROM note WHERE epoch = ?1 AND sequence = ?2"
                     " AND kind IN (2, 12)",
    [FIND_LIST] = "SELECT number FROM record WHERE number < ?1 AND kind = 2 ORDER BY number DESC",
    /* A name stands in a body as it is, so this leaves few rows to decode; it is still a walk through all of
     * them where nobody names the participant. */
    [FIND_LIST_PARTICIPANT] =
        "SELECT number FROM record WHERE number < ?1 AND kind = 2 AND instr(body, ?2) > 0"
        " ORDER BY number DESC",
    [FIND_LIST_DROPPED] =
        "SELECT number FROM note WHERE number < ?1 AND kind = 12 ORDER BY number DESC",
    [FIND_LIST_BOTH] =
        "SELECT number FROM record WHERE number < ?1 AND kind IN (2, 12) ORDER BY number DESC",
    [FIND_HASH] = "SELECT hash FROM record WHERE number = ?1",
};
_Static_assert(RECORD_COMMIT == 2 && RECORD_DROPPED == 12 && RECORD_HEURISTIC == 6 &&
                   RECORD_RESOLVED == 7,
               "the kinds named in the statements");

bool sqlite_reader_open(const char *path, struct sqlite_reader **ret_reader,
                        struct error *ret_error)
{
    struct sqlite_reader *reader = alloc_zeroed(sizeof *reader);
    bool opened = db_open(path, DB_READ, &reader->db, ret_error);
    for (int id = 0; opened && id < FIND_COUNT; id++) {
        opened = db_prepare(reader->db, find_sql[id], &reader->statements[id], ret_error);
    }
    if (!opened) {
        sqlite_reader_close(reader);
        return false;
    }
    *ret_reader = reader;
    return true;
}

void sqlite_reader_close(struct sqlite_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    for (int id = 0; id < FIND_COUNT; id++) {
        (void)sqlite3_finalize(reader->statements[id]);
    }
    db_close(reader->db);
    free(reader);
}

/* ---- inside a snapshot ---- */

static void reset_all(struct sqlite_reader *reader)
{
    for (int id = 0; id < FIND_COUNT; id++) {
        (void)sqlite3_reset(reader->statements[id]);
    }
    if (sqlite3_get_autocommit(reader->db) == 0) {
        (void)sqlite3_step(reader->statements[FIND_END]);
        (void)sqlite3_reset(reader->statements[FIND_END]);
    }
}

static bool begin(struct sqlite_reader *reader, struct journal_meta *ret_meta,
                  struct error *ret_error)
{
    return db_run(reader->statements[FIND_BEGIN], ret_error) &&
           db_meta_read(reader->statements[FIND_META], ret_meta, ret_error);
}

static bool read_notes(struct sqlite_reader *reader, const struct journal_meta *meta,
                       const struct gtrid *gtrid, struct journal_entry *entry,
                       struct error *ret_error)
{
    sqlite3_stmt *notes = reader->statements[FIND_NOTES];
    bool row = false;
    (void)sqlite3_reset(notes);
    db_bind_u64(notes, 1, gtrid->epoch);
    db_bind_u64(notes, 2, gtrid->sequence);
    bool good = db_step(notes, &row, ret_error);
    while (good && row) {
        struct record note;
        bool found = false;
        if (!sqlite_read_checked(reader->statements[FIND_READ], meta, db_column_u64(notes, 0),
                                 &found, &note, ret_error)) {
            return false;
        }
        if (found) {
            journal_entry_add_note(entry, &note);
        }
        good = db_step(notes, &row, ret_error);
    }
    return good;
}

/* END and notes of the COMMIT that the entry has already. */
static bool complete_entry(struct sqlite_reader *reader, const struct journal_meta *meta,
                           struct journal_entry *entry, struct error *ret_error)
{
    const struct gtrid gtrid = entry->commit.as.commit.gtrid;
    sqlite3_stmt *txn = reader->statements[FIND_TXN];
    bool row = false;
    (void)sqlite3_reset(txn);
    db_bind_u64(txn, 1, gtrid.epoch);
    db_bind_u64(txn, 2, gtrid.sequence);
    if (!db_step(txn, &row, ret_error)) {
        return false;
    }
    if (row && sqlite3_column_type(txn, 1) != SQLITE_NULL) {
        struct record end;
        if (!sqlite_read_checked(reader->statements[FIND_READ], meta, db_column_u64(txn, 1),
                                 &entry->ended, &end, ret_error)) {
            return false;
        }
        if (entry->ended) {
            entry->ended = end.kind == RECORD_END;
            entry->end_wall_ms = entry->ended ? end.as.end.wall_ms : 0;
            record_done(&end);
        }
    }
    return read_notes(reader, meta, &gtrid, entry, ret_error);
}

/* The COMMIT, or where it is listed the DROPPED, at this number, which the index named. */
static bool read_outcome(struct sqlite_reader *reader, const struct journal_meta *meta,
                         uint64_t number, bool may_be_dropped, struct journal_entry *ret_entry,
                         struct error *ret_error)
{
    struct journal_entry entry = {.commit_number = number};
    bool found = false;
    if (!sqlite_read_checked(reader->statements[FIND_READ], meta, number, &found, &entry.commit,
                             ret_error)) {
        return false;
    }
    bool is_it = found && (entry.commit.kind == RECORD_COMMIT ||
                           (may_be_dropped && entry.commit.kind == RECORD_DROPPED));
    if (!is_it) {
        if (found) {
            record_done(&entry.commit);
        }
        return error_set(ret_error, ERROR_DAMAGED, "record %llu: the index calls it an outcome",
                         (unsigned long long)number);
    }
    *ret_entry = entry;
    return true;
}

/* Is there anything at all? Most look-ups are for what is new, and end here, without a snapshot. */
static bool probe(sqlite3_stmt *bound, bool *ret_any, struct error *ret_error)
{
    bool good = db_step(bound, ret_any, ret_error);
    (void)sqlite3_reset(bound);
    return good;
}

static bool find_gtrid(struct sqlite_reader *reader, const struct gtrid *gtrid, bool *found,
                       struct journal_entry *entry, struct error *ret_error)
{
    struct journal_meta meta;
    sqlite3_stmt *txn = reader->statements[FIND_TXN];
    bool row = false;
    db_bind_u64(txn, 1, gtrid->epoch);
    db_bind_u64(txn, 2, gtrid->sequence);
    if (!probe(txn, &row, ret_error)) {
        return false;
    }
    if (!row) {
        return true;
    }
    if (!begin(reader, &meta, ret_error) || !db_step(txn, &row, ret_error)) {
        return false;
    }
    if (!row) {
        return true; /* trimmed just now */
    }
    if (!read_outcome(reader, &meta, db_column_u64(txn, 0), false, entry, ret_error)) {
        return false;
    }
    *found = gtrid_equal(&entry->commit.as.commit.gtrid, gtrid); /* the nonce, too */
    return !*found || complete_entry(reader, &meta, entry, ret_error);
}

static bool find_key(struct sqlite_reader *reader, const struct journal_id *id, const char *key,
                     size_t key_bytes, bool *found, struct journal_entry *entry,
                     struct error *ret_error)
{
    struct journal_meta meta;
    sqlite3_stmt *by_key = reader->statements[FIND_KEY];
    bool row = false;
    db_bind_u64(by_key, 1, db_key_hash(id, key, key_bytes));
    if (!probe(by_key, &row, ret_error)) {
        return false;
    }
    if (!row) {
        return true;
    }
    bool good = begin(reader, &meta, ret_error) && db_step(by_key, &row, ret_error);
    while (good && row && !*found) {
        if (!read_outcome(reader, &meta, db_column_u64(by_key, 0), false, entry, ret_error)) {
            return false;
        }
        const struct record_commit *commit = &entry->commit.as.commit;
        *found = commit->key_bytes == key_bytes && memcmp(commit->key, key, key_bytes) == 0;
        if (!*found) {
            journal_entry_done(entry); /* two keys with one hash */
            good = db_step(by_key, &row, ret_error);
        }
    }
    return good && (!*found || complete_entry(reader, &meta, entry, ret_error));
}

/* Ends the snapshot and gives the entry out, or releases it. */
static bool conclude(struct sqlite_reader *reader, bool good, bool found,
                     struct journal_entry *entry, bool *ret_found, struct journal_entry *ret_entry)
{
    reset_all(reader);
    if (good && found) {
        *ret_entry = *entry;
    } else {
        journal_entry_done(entry);
    }
    if (good) {
        *ret_found = found;
    }
    return good;
}

bool sqlite_find_gtrid(struct journal *base, const struct gtrid *gtrid, bool *ret_found,
                       struct journal_entry *ret_entry, struct error *ret_error)
{
    struct sqlite_reader *reader = ((struct sqlite_journal *)base)->reader;
    struct journal_entry entry = {0};
    bool found = false;
    bool good = find_gtrid(reader, gtrid, &found, &entry, ret_error);
    return conclude(reader, good, found, &entry, ret_found, ret_entry);
}

bool sqlite_find_key(struct journal *base, const char *key, size_t key_bytes, bool *ret_found,
                     struct journal_entry *ret_entry, struct error *ret_error)
{
    struct sqlite_reader *reader = ((struct sqlite_journal *)base)->reader;
    struct journal_entry entry = {0};
    bool found = false;
    bool good = find_key(reader, &base->found.id, key, key_bytes, &found, &entry, ret_error);
    return conclude(reader, good, found, &entry, ret_found, ret_entry);
}

static bool find_request(struct sqlite_reader *reader, const struct gtrid *id, bool *found,
                         struct journal_entry *entry, struct error *ret_error)
{
    struct journal_meta meta;
    sqlite3_stmt *request = reader->statements[FIND_REQUEST];
    bool row = false;
    db_bind_u64(request, 1, id->epoch);
    db_bind_u64(request, 2, id->sequence);
    if (!probe(request, &row, ret_error)) {
        return false;
    }
    if (!row) {
        return true;
    }
    if (!begin(reader, &meta, ret_error) || !db_step(request, &row, ret_error)) {
        return false;
    }
    bool read = false;
    if (row && !sqlite_read_checked(reader->statements[FIND_READ], &meta, db_column_u64(request, 0),
                                    &read, &entry->commit, ret_error)) {
        return false;
    }
    if (!read) {
        return true; /* trimmed just now */
    }
    const struct record *record = &entry->commit;
    entry->commit_number = db_column_u64(request, 0);
    if (record->kind == RECORD_DROPPED) {
        *found = gtrid_equal(&record->as.dropped.gtrid, id); /* the nonce, too */
        return true;
    }
    if (record->kind != RECORD_COMMIT || !record->as.commit.has_request) {
        return error_set(ret_error, ERROR_DAMAGED,
                         "record %llu: the index calls it the outcome of a request",
                         (unsigned long long)entry->commit_number);
    }
    *found = gtrid_equal(&record->as.commit.request.id, id);
    return !*found || complete_entry(reader, &meta, entry, ret_error);
}

bool sqlite_find_request(struct journal *base, const struct gtrid *id, bool *ret_found,
                         struct journal_entry *ret_entry, struct error *ret_error)
{
    struct sqlite_reader *reader = ((struct sqlite_journal *)base)->reader;
    struct journal_entry entry = {0};
    bool found = false;
    bool good = find_request(reader, id, &found, &entry, ret_error);
    return conclude(reader, good, found, &entry, ret_found, ret_entry);
}

/* ---- list ---- */

struct list {
    enum journal_lists lists;
    const char *participant;
    size_t limit;
    size_t count;
    struct journal_entry *entries;
};

/* The next entry of the list, if what is at this number is one. */
static bool list_take(struct sqlite_reader *reader, const struct journal_meta *meta,
                      uint64_t number, struct list *list, struct error *ret_error)
{
    struct journal_entry entry;
    if (!read_outcome(reader, meta, number, list->lists != JOURNAL_LISTS_COMMITS, &entry,
                      ret_error)) {
        return false;
    }
    bool is_dropped = entry.commit.kind == RECORD_DROPPED;
    if (!is_dropped && list->participant != NULL &&
        !journal_commit_names(&entry.commit.as.commit, list->participant)) {
        journal_entry_done(&entry);
        return true;
    }
    if (!is_dropped && !complete_entry(reader, meta, &entry, ret_error)) {
        journal_entry_done(&entry);
        return false;
    }
    list->entries = alloc_resize(list->entries, list->count + 1, sizeof *list->entries);
    list->entries[list->count++] = entry;
    return true;
}

/* A DROPPED names no participant, so a list of one has none. */
static enum find_id list_statement(const struct list *list)
{
    if (list->participant != NULL) {
        return FIND_LIST_PARTICIPANT;
    }
    switch (list->lists) {
    case JOURNAL_LISTS_COMMITS:
        return FIND_LIST;
    case JOURNAL_LISTS_DROPPED:
        return FIND_LIST_DROPPED;
    case JOURNAL_LISTS_BOTH:
        return FIND_LIST_BOTH;
    }
    return FIND_LIST;
}

static bool list_entries(struct sqlite_reader *reader, uint64_t before_number, struct list *list,
                         struct error *ret_error)
{
    struct journal_meta meta;
    bool row = false;
    if (!begin(reader, &meta, ret_error)) {
        return false;
    }
    sqlite3_stmt *numbers = reader->statements[list_statement(list)];
    (void)sqlite3_bind_int64(numbers, 1,
                             before_number > INT64_MAX ? INT64_MAX : (sqlite3_int64)before_number);
    if (list->participant != NULL) {
        (void)sqlite3_bind_blob(numbers, 2, list->participant, (int)strlen(list->participant),
                                SQLITE_STATIC);
    }
    bool good = list->limit == 0 || db_step(numbers, &row, ret_error);
    while (good && row && list->count < list->limit) {
        good = list_take(reader, &meta, db_column_u64(numbers, 0), list, ret_error) &&
               db_step(numbers, &row, ret_error);
    }
    return good;
}

bool sqlite_list(struct journal *base, enum journal_lists lists, uint64_t before_number,
                 const char *participant, size_t limit, struct journal_entry **ret_entries,
                 size_t *ret_count, struct error *ret_error)
{
    struct sqlite_reader *reader = ((struct sqlite_journal *)base)->reader;
    struct list list = {.lists = lists, .participant = participant, .limit = limit};
    bool good = (lists == JOURNAL_LISTS_DROPPED && participant != NULL) ||
                list_entries(reader, before_number, &list, ret_error);
    reset_all(reader);
    if (!good) {
        for (size_t i = 0; i < list.count; i++) {
            journal_entry_done(&list.entries[i]);
        }
        free(list.entries);
        return false;
    }
    *ret_entries = list.entries;
    *ret_count = list.count;
    return true;
}

bool sqlite_read_floor(struct journal *base, struct journal_floor *ret_floor,
                       struct error *ret_error)
{
    struct sqlite_reader *reader = ((struct sqlite_journal *)base)->reader;
    struct journal_meta meta;
    bool good = begin(reader, &meta, ret_error);
    reset_all(reader);
    if (good) {
        *ret_floor = meta.floor;
    }
    return good;
}

bool sqlite_hash_at(struct journal *base, uint64_t number, bool *ret_found,
                    uint8_t ret_hash[HASH_BYTES], struct error *ret_error)
{
    struct sqlite_reader *reader = ((struct sqlite_journal *)base)->reader;
    sqlite3_stmt *read = reader->statements[FIND_HASH];
    bool row = false;
    if (number == 0 || number > INT64_MAX) {
        *ret_found = false;
        return true;
    }
    db_bind_u64(read, 1, number);
    if (!db_step(read, &row, ret_error)) {
        return false;
    }
    bool whole = row && sqlite3_column_bytes(read, 0) == HASH_BYTES;
    if (whole) {
        memcpy(ret_hash, sqlite3_column_blob(read, 0), HASH_BYTES);
    }
    (void)sqlite3_reset(read);
    *ret_found = whole;
    return true;
}
