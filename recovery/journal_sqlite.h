/*
 * journal_sqlite.h - what the files of the SQLite backend share. The tables are in journal_sqlite_db.c and
 * docs/JOURNAL.md.
 *
 *   journal_sqlite.c         opening, closing, replay, the table of operations
 *   journal_sqlite_db.c      connections, tables, the meta row, errors
 *   journal_sqlite_scan.c    reads every record and checks it against chain, index and meta row
 *   journal_sqlite_append.c  one batch, one transaction, one sync; checkpoints
 *   journal_sqlite_find.c    the owner thread's reads, on a connection of their own
 *   journal_sqlite_trim.c    P-13
 *
 * Invariants:
 *   J1 rows of `record` are numbered first_number..head without gaps, each hash chained to the one before
 *      (the first one to meta.previous_hash);
 *   J2 a COMMIT row n and a `txn` row with commit_number n of the same gtrid come and go together;
 *   J3 txn.end_number and `note` name rows that say so; other rows of a forgotten transaction are dead
 *      weight that trimming deletes when it reaches them;
 *      dead notes of a request are deleted at once: while it is live it has one ACCEPT and at most one REFUSED or
 *      REQUEUED, when it is over one COMMIT (at the COMMIT's number) or one DROPPED;
 *   J4 after a failed write nothing is written through the same handle again (P-16).
 */
#ifndef ASSENT_RECOVERY_JOURNAL_SQLITE_H
#define ASSENT_RECOVERY_JOURNAL_SQLITE_H

#include <sqlite3.h>

#include "recovery/journal_backend.h"
#include "recovery/journal_files.h"
#include "recovery/record_codec.h"

#define JOURNAL_APPLICATION_ID 0x41734a31 /* "AsJ1" */
#define JOURNAL_FORMAT         2          /* user_version */
#define JOURNAL_FORMAT_OLDEST  1 /* that is read; marked as the newest when it is opened to write */

struct journal_meta {
    struct journal_id id;
    bool is_marked_copy;
    struct journal_floor floor;
    uint8_t previous_hash[HASH_BYTES]; /* of the record before floor.first_number */
};

enum db_mode { DB_READ, DB_WRITE };

/* The statements of the writing connection, prepared once. */
enum statement_id {
    ST_BEGIN,
    ST_COMMIT,
    ST_HEAD,
    ST_RECORD_INSERT,
    ST_RECORD_READ,
    ST_TXN_INSERT,
    ST_TXN_END,
    ST_TXN_READ,
    ST_TXN_NOTES_ADD,
    ST_TXN_MOVE,
    ST_TXN_DELETE,
    ST_TXN_UP_TO_EPOCH,
    ST_NOTE_INSERT,
    ST_NOTE_CLOSE_HEURISTIC,
    ST_NOTE_IS_ACCEPTED,
    ST_NOTE_DELETE_STATE,
    ST_NOTE_DELETE_REQUEST,
    ST_NOTE_LIST,
    ST_NOTE_MOVE,
    ST_NOTE_DELETE,
    ST_NOTE_DELETE_ONE,
    ST_SLICE,
    ST_RECORD_DELETE,
    STATEMENT_COUNT,
};

struct sqlite_reader; /* journal_sqlite_find.c */

struct sqlite_journal {
    struct journal base;
    char *path;
    int lock; /* descriptor */
    struct journal_space space;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct journal_state now; /* with all that was appended */
    struct journal_meta meta;
    uint64_t last_epoch_number; /* the row of the current EPOCH */
    struct record_buffer body;  /* scratch */
    int wal_pages;              /* after the last commit */
    int checkpoint_pages;       /* the next checkpoint comes at this many */
    bool poisoned;
    struct error poison;
    struct sqlite_reader *reader;
};

/* --- journal_sqlite_db.c --- */
bool db_error(sqlite3 *db, int code, struct error *ret_error, const char *doing);
bool db_open(const char *path, enum db_mode mode, sqlite3 **ret_db, struct error *ret_error);
void db_close(sqlite3 *db);
bool db_execute(sqlite3 *db, const char *sql, struct error *ret_error);
bool db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement,
                struct error *ret_error);
/* One step; *ret_row false at the end. The statement is reset on error only. */
bool db_step(sqlite3_stmt *statement, bool *ret_row, struct error *ret_error);
/* Runs a statement that gives no rows, and resets it. */
bool db_run(sqlite3_stmt *statement, struct error *ret_error);
void db_bind_u64(sqlite3_stmt *statement, int index, uint64_t value);
uint64_t db_column_u64(sqlite3_stmt *statement, int column);
/* Marks a journal of an older format, which this version reads as it is, as one of the newest. */
bool db_upgrade(sqlite3 *db, struct error *ret_error);
bool db_create(sqlite3 *db, const struct journal_id *id, struct error *ret_error);
/* *ret_empty: a file without tables, left by a crash during its creation. ERROR_VERSION, ERROR_DAMAGED. */
bool db_check_format(sqlite3 *db, const char *path, bool *ret_empty, struct error *ret_error);
#define DB_META_SQL                                                                                \
    "SELECT id, is_copy, floor_epoch, floor_sequence, first_number, previous_hash, seal FROM meta"
/* statement: DB_META_SQL, kept by the caller */
bool db_meta_read(sqlite3_stmt *statement, struct journal_meta *ret_meta, struct error *ret_error);
bool db_meta_load(sqlite3 *db, struct journal_meta *ret_meta, struct error *ret_error);
bool db_meta_save(sqlite3 *db, const struct journal_meta *meta, struct error *ret_error);
bool db_checkpoint_truncate(sqlite3 *db, struct error *ret_error);
/* Number that stands for a key in the index: keyed with the identity, so that nobody can choose collisions. */
uint64_t db_key_hash(const struct journal_id *id, const char *key, size_t key_bytes);

/* --- journal_sqlite_scan.c --- */
struct scan_result {
    struct journal_state state;
    struct journal_meta meta;
    uint64_t last_epoch_number;
    uint64_t record_count;
    uint64_t live_count;
};
/* Reads and checks everything; ERROR_DAMAGED says at which number. */
bool sqlite_scan(sqlite3 *db, struct scan_result *ret_result, struct error *ret_error);
/* Live records in order, each checked against its hash. */
bool sqlite_replay(sqlite3 *db, journal_visit visit, void *user, struct error *ret_error);
/* Decodes the row (kind, body) in these columns; wraps errors with the number. */
bool sqlite_decode_row(sqlite3_stmt *statement, uint64_t number, int kind_column,
                       struct record *ret_record, struct error *ret_error);
/* Finds record `number` and checks its hash against the row before it. read: SELECT kind, hash, body by number. */
bool sqlite_read_checked(sqlite3_stmt *read, const struct journal_meta *meta, uint64_t number,
                         bool *ret_found, struct record *ret_record, struct error *ret_error);
#define SQLITE_READ_SQL "SELECT kind, body, hash FROM record WHERE number = ?1"

/* --- journal_sqlite_append.c --- */
bool sqlite_append(struct journal *base, uint64_t epoch, const struct record *records, size_t count,
                   struct journal_head *ret_head, struct error *ret_error);
bool sqlite_prepare_all(struct sqlite_journal *journal, struct error *ret_error);
void sqlite_finalize_all(struct sqlite_journal *journal);
/* Inside a transaction: */
bool sqlite_begin(struct sqlite_journal *journal, struct error *ret_error);
bool sqlite_commit(struct sqlite_journal *journal, struct error *ret_error);
bool sqlite_put_row(struct sqlite_journal *journal, enum record_kind kind, const uint8_t *body,
                    size_t body_bytes, struct error *ret_error);
bool sqlite_put_record(struct sqlite_journal *journal, const struct record *record,
                       struct error *ret_error);
bool sqlite_poison(struct sqlite_journal *journal, struct error *ret_error);
bool sqlite_checkpoint_if_due(struct sqlite_journal *journal, struct error *ret_error);
void sqlite_watch_wal(struct sqlite_journal *journal);

/* --- journal_sqlite_find.c --- */
bool sqlite_reader_open(const char *path, struct sqlite_reader **ret_reader,
                        struct error *ret_error);
void sqlite_reader_close(struct sqlite_reader *reader);
bool sqlite_find_gtrid(struct journal *base, const struct gtrid *gtrid, bool *ret_found,
                       struct journal_entry *ret_entry, struct error *ret_error);
bool sqlite_find_key(struct journal *base, const char *key, size_t key_bytes, bool *ret_found,
                     struct journal_entry *ret_entry, struct error *ret_error);
bool sqlite_find_request(struct journal *base, const struct gtrid *id, bool *ret_found,
                         struct journal_entry *ret_entry, struct error *ret_error);
bool sqlite_list(struct journal *base, enum journal_lists lists, uint64_t before_number,
                 const char *participant, size_t limit, struct journal_entry **ret_entries,
                 size_t *ret_count, struct error *ret_error);
bool sqlite_read_floor(struct journal *base, struct journal_floor *ret_floor,
                       struct error *ret_error);
bool sqlite_hash_at(struct journal *base, uint64_t number, bool *ret_found,
                    uint8_t ret_hash[HASH_BYTES], struct error *ret_error);

/* --- journal_sqlite_trim.c --- */
bool sqlite_trim(struct journal *base, const struct journal_trim *trim,
                 struct journal_head *ret_head, struct journal_floor *ret_floor, bool *ret_more,
                 struct error *ret_error);

#endif
