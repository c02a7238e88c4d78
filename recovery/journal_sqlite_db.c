/*
 * journal_sqlite_db.c - connections, tables, the meta row, and SQLite's errors in our words.
 *
 *   record  the journal itself, one row per record, in order
 *   txn     one row per retained transaction: where its COMMIT and END are; index by key and of live ones
 *   note    where the HEURISTIC and RESOLVED records of a transaction are; of an accepted request (by its id) the
 *           records that tell its state, or the COMMIT or DROPPED that ended it
 *   meta    one row: identity, mark of copies, floor, and the hash that the first record follows
 *
 * txn and note are an index: all that is in them follows from the records, and sqlite_scan checks that.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "recovery/journal_sqlite.h"

/* The list of the dropped would else look through everything. Also for a journal that was made before there was this index, which
 * is no change of the format: whoever does not know it keeps it right all the same. */
#define NOTE_DROPPED_SQL "CREATE INDEX IF NOT EXISTS note_dropped ON note(number) WHERE kind = 12;"
_Static_assert(RECORD_DROPPED == 12, "the kind named in the index");

static const char schema_sql[] =
    "CREATE TABLE record(number INTEGER PRIMARY KEY, kind INTEGER NOT NULL, body BLOB NOT NULL,"
    " hash BLOB NOT NULL) STRICT;"
    "CREATE TABLE txn(epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, commit_number INTEGER NOT "
    "NULL,"
    " key_hash INTEGER, end_number INTEGER, end_running_ms INTEGER,"
    " open_notes INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(epoch, sequence)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX txn_key ON txn(key_hash) WHERE key_hash IS NOT NULL;"
    "CREATE INDEX txn_live ON txn(commit_number) WHERE end_number IS NULL OR open_notes > 0;"
    "CREATE TABLE note(epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, number INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, participant TEXT NOT NULL, is_open INTEGER NOT NULL,"
    " PRIMARY KEY(epoch, sequence, number)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX note_open ON note(number) WHERE is_open = 1;" NOTE_DROPPED_SQL
    "CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK(one = 1), id BLOB NOT NULL,"
    " is_copy INTEGER NOT NULL, floor_epoch INTEGER NOT NULL, floor_sequence INTEGER NOT NULL,"
    " first_number INTEGER NOT NULL, previous_hash BLOB NOT NULL, seal BLOB NOT NULL) STRICT;";

static enum error_kind error_kind_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return ERROR_NO_SPACE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return ERROR_DAMAGED;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
        return ERROR_DENIED;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERROR_UNAVAILABLE;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return ERROR_IO;
    default:
        return ERROR_SYSTEM;
    }
}

bool db_error(sqlite3 *db, int code, struct error *ret_error, const char *doing)
{
    enum error_kind kind = error_kind_of(code);
    (void)error_set(ret_error, kind, "%s: %s (SQLite %d)", doing,
                    db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code), code);
    if (kind == ERROR_DAMAGED) {
        (void)error_hint(ret_error,
                         "run `assent journal verify`; do not replace the journal by an empty one");
    }
    return false;
}

bool db_open(const char *path, enum db_mode mode, sqlite3 **ret_db, struct error *ret_error)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (mode == DB_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    int code = sqlite3_open_v2(path, &db, flags, NULL);
    if (code != SQLITE_OK) {
        (void)db_error(db, code, ret_error, "cannot open the journal");
        (void)sqlite3_close(db);
        return error_wrap(ret_error, "%s", path);
    }
    (void)sqlite3_busy_timeout(db, 10000);
    /* The last connection's close must not write by itself: after a failed sync nothing may be written
     * through this handle (P-16), and readers never write. */
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_wal_autocheckpoint(db, 0); /* checkpoints are ours to place */
    /* 8 MiB of pages for the writer: keys fall anywhere in their index. */
    if (!db_execute(db,
                    mode == DB_WRITE ? "PRAGMA synchronous=FULL; PRAGMA cache_size=-8192"
                                     : "PRAGMA query_only=1",
                    ret_error)) {
        db_close(db);
        return false;
    }
    *ret_db = db;
    return true;
}

void db_close(sqlite3 *db)
{
    if (db != NULL) {
        int code = sqlite3_close(db);
        CHECK(code == SQLITE_OK); /* else a statement was not finalized */
    }
}

bool db_execute(sqlite3 *db, const char *sql, struct error *ret_error)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK || db_error(db, code, ret_error, "journal");
}

bool db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct error *ret_error)
{
    int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);
    return code == SQLITE_OK || db_error(db, code, ret_error, "journal");
}

bool db_step(sqlite3_stmt *statement, bool *ret_row, struct error *ret_error)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        *ret_row = code == SQLITE_ROW;
        return true;
    }
    sqlite3 *db = sqlite3_db_handle(statement);
    (void)db_error(db, code, ret_error, "journal");
    (void)sqlite3_reset(statement);
    return false;
}

bool db_run(sqlite3_stmt *statement, struct error *ret_error)
{
    bool row = false;
    if (!db_step(statement, &row, ret_error)) {
        return false;
    }
    (void)sqlite3_reset(statement);
    return true;
}

/* SQLite's integers are signed; ours are stored bit for bit. Only equality and the order of values below
 * 2^63 is asked of SQLite. */
void db_bind_u64(sqlite3_stmt *statement, int index, uint64_t value)
{
    (void)sqlite3_bind_int64(statement, index, (sqlite3_int64)value);
}

uint64_t db_column_u64(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

/* ---- the meta row ---- */

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    for (int shift = 56; shift >= 0; shift -= 8) {
        *at++ = (uint8_t)(value >> shift);
    }
    return at;
}

/* A hash over the row: a changed bit in it is noticed even where no record repeats it. */
static void seal_meta(const struct journal_meta *meta, uint8_t ret_seal[HASH_BYTES])
{
    uint8_t bytes[JOURNAL_ID_BYTES + 4 * 8 + HASH_BYTES];
    uint8_t *at = bytes;
    memcpy(at, meta->id.bytes, JOURNAL_ID_BYTES);
    at = put_u64(at + JOURNAL_ID_BYTES, meta->is_marked_copy);
    at = put_u64(at, meta->floor.epoch);
    at = put_u64(at, meta->floor.sequence);
    at = put_u64(at, meta->floor.first_number);
    memcpy(at, meta->previous_hash, HASH_BYTES);
    (void)crypto_hash_sha256(ret_seal, bytes, sizeof bytes);
}

bool db_meta_save(sqlite3 *db, const struct journal_meta *meta, struct error *ret_error)
{
    uint8_t seal[HASH_BYTES];
    sqlite3_stmt *statement;
    seal_meta(meta, seal);
    if (!db_prepare(db, "INSERT OR REPLACE INTO meta VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    &statement, ret_error)) {
        return false;
    }
    (void)sqlite3_bind_blob(statement, 1, meta->id.bytes, JOURNAL_ID_BYTES, SQLITE_STATIC);
    (void)sqlite3_bind_int(statement, 2, meta->is_marked_copy);
    db_bind_u64(statement, 3, meta->floor.epoch);
    db_bind_u64(statement, 4, meta->floor.sequence);
    db_bind_u64(statement, 5, meta->floor.first_number);
    (void)sqlite3_bind_blob(statement, 6, meta->previous_hash, HASH_BYTES, SQLITE_STATIC);
    (void)sqlite3_bind_blob(statement, 7, seal, HASH_BYTES, SQLITE_STATIC);
    bool saved = db_run(statement, ret_error);
    (void)sqlite3_finalize(statement);
    return saved;
}

/* Copies a blob column of exactly this size. */
static bool column_bytes(sqlite3_stmt *statement, int column, uint8_t *ret_bytes, size_t size_bytes)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    if (bytes == NULL || (size_t)sqlite3_column_bytes(statement, column) != size_bytes) {
        return false;
    }
    memcpy(ret_bytes, bytes, size_bytes);
    return true;
}

static bool read_meta_row(sqlite3_stmt *statement, struct journal_meta *ret_meta)
{
    uint8_t stored[HASH_BYTES];
    uint8_t seal[HASH_BYTES];
    if (!column_bytes(statement, 0, ret_meta->id.bytes, JOURNAL_ID_BYTES) ||
        !column_bytes(statement, 5, ret_meta->previous_hash, HASH_BYTES) ||
        !column_bytes(statement, 6, stored, HASH_BYTES)) {
        return false;
    }
    ret_meta->is_marked_copy = sqlite3_column_int(statement, 1) != 0;
    ret_meta->floor.epoch = db_column_u64(statement, 2);
    ret_meta->floor.sequence = db_column_u64(statement, 3);
    ret_meta->floor.first_number = db_column_u64(statement, 4);
    seal_meta(ret_meta, seal);
    return memcmp(stored, seal, HASH_BYTES) == 0 && ret_meta->floor.first_number > 0;
}

bool db_meta_read(sqlite3_stmt *statement, struct journal_meta *ret_meta, struct error *ret_error)
{
    bool row = false;
    bool loaded = db_step(statement, &row, ret_error);
    if (loaded && (!row || !read_meta_row(statement, ret_meta))) {
        loaded =
            error_set(ret_error, ERROR_DAMAGED, "the journal's meta row is missing or damaged");
    }
    (void)sqlite3_reset(statement);
    return loaded;
}

bool db_meta_load(sqlite3 *db, struct journal_meta *ret_meta, struct error *ret_error)
{
    sqlite3_stmt *statement;
    if (!db_prepare(db, DB_META_SQL, &statement, ret_error)) {
        return false;
    }
    bool loaded = db_meta_read(statement, ret_meta, ret_error);
    (void)sqlite3_finalize(statement);
    return loaded;
}

/* ---- creation and format ---- */

bool db_create(sqlite3 *db, const struct journal_id *id, struct error *ret_error)
{
    struct journal_meta meta = {.id = *id, .floor.first_number = 1};
    char format_sql[96];
    (void)snprintf(format_sql, sizeof format_sql,
                   "PRAGMA application_id=%d; PRAGMA user_version=%d", JOURNAL_APPLICATION_ID,
                   JOURNAL_FORMAT);
    /* One transaction: a crash leaves a file without tables, which db_check_format calls empty. */
    return db_execute(db, "PRAGMA journal_mode=WAL", ret_error) &&
           db_execute(db, "BEGIN IMMEDIATE", ret_error) && db_execute(db, schema_sql, ret_error) &&
           db_execute(db, format_sql, ret_error) && db_meta_save(db, &meta, ret_error) &&
           db_execute(db, "COMMIT", ret_error);
}

static bool read_number(sqlite3 *db, const char *sql, int64_t *ret_value, struct error *ret_error)
{
    sqlite3_stmt *statement;
    bool row = false;
    if (!db_prepare(db, sql, &statement, ret_error)) {
        return false;
    }
    bool read = db_step(statement, &row, ret_error);
    if (read) {
        *ret_value = row ? sqlite3_column_int64(statement, 0) : 0;
    }
    (void)sqlite3_finalize(statement);
    return read;
}

bool db_check_format(sqlite3 *db, const char *path, bool *ret_empty, struct error *ret_error)
{
    int64_t application;
    int64_t format;
    int64_t tables;
    if (!read_number(db, "PRAGMA application_id", &application, ret_error) ||
        !read_number(db, "PRAGMA user_version", &format, ret_error) ||
        !read_number(db, "SELECT count(*) FROM sqlite_schema", &tables, ret_error)) {
        return error_wrap(ret_error, "%s", path);
    }
    *ret_empty = application == 0 && format == 0 && tables == 0;
    if (*ret_empty) {
        return true;
    }
    if (application != JOURNAL_APPLICATION_ID) {
        return error_set(ret_error, ERROR_VERSION,
                         "%s is an SQLite database, but no Assent journal", path);
    }
    if (format < JOURNAL_FORMAT_OLDEST || format > JOURNAL_FORMAT) {
        (void)error_set(ret_error, ERROR_VERSION,
                        "journal %s has format %lld; this version of Assent reads formats %d to %d",
                        path, (long long)format, JOURNAL_FORMAT_OLDEST, JOURNAL_FORMAT);
        return error_hint(ret_error, "install the version of Assent that wrote it, or a newer one");
    }
    return true;
}

bool db_upgrade(sqlite3 *db, struct error *ret_error)
{
    int64_t format;
    char sql[64];
    if (!read_number(db, "PRAGMA user_version", &format, ret_error)) {
        return false;
    }
    (void)snprintf(sql, sizeof sql, "PRAGMA user_version=%d", JOURNAL_FORMAT);
    return (format == JOURNAL_FORMAT || db_execute(db, sql, ret_error)) &&
           db_execute(db, NOTE_DROPPED_SQL, ret_error);
}

bool db_checkpoint_truncate(sqlite3 *db, struct error *ret_error)
{
    int code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code == SQLITE_OK || db_error(db, code, ret_error, "checkpoint of the journal");
}

uint64_t db_key_hash(const struct journal_id *id, const char *key, size_t key_bytes)
{
    _Static_assert(JOURNAL_ID_BYTES == crypto_shorthash_KEYBYTES, "the identity is the key");
    uint8_t bytes[crypto_shorthash_BYTES];
    (void)crypto_shorthash(bytes, (const uint8_t *)key, key_bytes, id->bytes);
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        hash = hash << 8 | bytes[i];
    }
    return hash;
}
