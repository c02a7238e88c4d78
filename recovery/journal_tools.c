/*
 * journal_tools.c - `assent journal verify | dump | backup | adopt`.
 *
 * verify, dump and backup only read the journal and may run beside its daemon: in WAL mode a reader sees
 * one state and keeps nobody from writing. adopt needs the journal to itself and takes its lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "recovery/journal_sqlite.h"

/* Opens an existing journal for reading, of our format. */
static bool open_to_read(const char *path, char **ret_path, sqlite3 **ret_db,
                         struct error *ret_error)
{
    char *real_path;
    sqlite3 *db = NULL;
    bool empty = false;
    if (sodium_init() < 0) {
        return error_set(ret_error, ERROR_SYSTEM, "libsodium cannot be initialised");
    }
    if (!journal_path_resolve(path, &real_path, ret_error)) {
        return false;
    }
    if (access(real_path, F_OK) != 0) {
        (void)error_set(ret_error, ERROR_NOT_FOUND, "there is no journal %s", real_path);
    } else if (access(real_path, R_OK) != 0) {
        (void)error_set_errno(ret_error, journal_errno_kind(errno), errno, "journal %s", real_path);
        (void)error_hint(ret_error, "run this as the user that assentd runs as");
    } else if (db_open(real_path, DB_READ, &db, ret_error) &&
               db_check_format(db, real_path, &empty, ret_error) && !empty) {
        *ret_path = real_path;
        *ret_db = db;
        return true;
    }
    if (empty) {
        (void)error_set(ret_error, ERROR_NOT_FOUND, "%s is empty: there is no journal in it",
                        real_path);
    }
    db_close(db);
    free(real_path);
    return false;
}

/* ---- verify ---- */

void journal_report_done(struct journal_report *report)
{
    journal_state_done(&report->state);
    *report = (struct journal_report){0};
}

/* integrity_check tells of a page that could not be read among its complaints. A disk that fails, or no memory, is an error and
 * not damage: the journal may be sound. */
static bool is_unreadable(const char *answer, int *ret_code)
{
    static const char words[] = "unable to get the page. error code=";
    const char *at = strstr(answer, words);
    *ret_code = at == NULL ? SQLITE_OK : (int)strtol(at + sizeof words - 1, NULL, 10);
    return *ret_code != SQLITE_OK && (*ret_code & 0xff) != SQLITE_CORRUPT;
}

/* SQLite's own look at its pages and indexes; *ret_sound false with its first complaint. */
static bool check_pages(sqlite3 *db, bool *ret_sound, char ret_text[ERROR_TEXT_SIZE],
                        struct error *ret_error)
{
    sqlite3_stmt *check;
    bool row = false;
    if (!db_prepare(db, "PRAGMA integrity_check(1)", &check, ret_error)) {
        return false;
    }
    bool read = db_step(check, &row, ret_error);
    if (read) {
        const char *answer = row ? (const char *)sqlite3_column_text(check, 0) : NULL;
        int code = SQLITE_NOMEM; /* why there may be no text */
        if (answer == NULL || is_unreadable(answer, &code)) {
            (void)sqlite3_finalize(check);
            return db_error(NULL, code, ret_error, "integrity check");
        }
        *ret_sound = strcmp(answer, "ok") == 0;
        (void)snprintf(ret_text, ERROR_TEXT_SIZE, "%s", answer);
    }
    (void)sqlite3_finalize(check);
    return read;
}

static bool verify(sqlite3 *db, struct journal_report *report, struct error *ret_error)
{
    struct scan_result scan;
    bool sound = false;
    if (!check_pages(db, &sound, report->damage, ret_error)) {
        return false;
    }
    if (!sound) {
        return error_set(ret_error, ERROR_DAMAGED, "SQLite: %s", report->damage);
    }
    if (!sqlite_scan(db, &scan, ret_error)) {
        return false;
    }
    report->state = scan.state;
    report->record_count = scan.record_count;
    report->live_count = scan.live_count;
    return true;
}

bool journal_verify(const char *path, struct journal_report *ret_report, struct error *ret_error)
{
    struct journal_report report = {0};
    struct error error = {0};
    char *real_path = NULL;
    sqlite3 *db = NULL;
    /* The log is looked at first: SQLite's own opening would drop what it takes for a torn tail. Beside a
     * running daemon the log is in motion, and the look would mean nothing. */
    bool good = journal_path_resolve(path, &real_path, ret_error);
    if (!good) {
        return false;
    }
    if (!journal_is_locked(real_path)) {
        good = journal_wal_inspect(real_path, &error) || journal_is_locked(real_path);
    }
    free(real_path);
    real_path = NULL;
    if (good) {
        good = open_to_read(path, &real_path, &db, &error) && verify(db, &report, &error);
    }
    db_close(db);
    free(real_path);
    if (!good && error.kind != ERROR_DAMAGED) {
        if (ret_error != NULL) {
            *ret_error = error;
        }
        return false;
    }
    if (!good) { /* found damage: that is what verify is for */
        report.damaged = true;
        memcpy(report.damage, error.text, sizeof report.damage);
    } else {
        report.damage[0] = 0;
    }
    *ret_report = report;
    return true;
}

/* ---- dump ---- */

static bool dump_rows(sqlite3_stmt *rows, journal_visit visit, void *user, struct error *ret_error)
{
    bool row = false;
    bool wanted = true;
    bool good = db_step(rows, &row, ret_error);
    while (good && row && wanted) {
        struct record record;
        uint64_t number = db_column_u64(rows, 0);
        if (!sqlite_decode_row(rows, number, 1, &record, ret_error)) {
            return false;
        }
        wanted = visit(user, number, &record);
        record_done(&record);
        good = db_step(rows, &row, ret_error);
    }
    return good;
}

bool journal_dump(const char *path, journal_visit visit, void *user, struct error *ret_error)
{
    char *real_path;
    sqlite3 *db;
    sqlite3_stmt *rows = NULL;
    if (!open_to_read(path, &real_path, &db, ret_error)) {
        return false;
    }
    bool dumped =
        db_prepare(db, "SELECT number, kind, body FROM record ORDER BY number", &rows, ret_error) &&
        dump_rows(rows, visit, user, ret_error);
    (void)sqlite3_finalize(rows);
    db_close(db);
    free(real_path);
    return dumped;
}

/* ---- backup ---- */

/* Copies all pages as of one moment. */
static bool copy_pages(sqlite3 *from, sqlite3 *to, struct error *ret_error)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (backup == NULL) {
        return db_error(to, sqlite3_errcode(to), ret_error, "backup");
    }
    int code =
        sqlite3_backup_step(backup, -1); /* all in one: one snapshot, and no writer waits for it */
    (void)sqlite3_backup_finish(backup);
    return code == SQLITE_DONE || db_error(to, code, ret_error, "backup");
}

/* The copy is checked like any journal before it may be called one, then marked. */
static bool mark_copy(sqlite3 *db, struct error *ret_error)
{
    struct scan_result scan;
    if (!sqlite_scan(db, &scan, ret_error)) {
        return error_wrap(ret_error, "the copy");
    }
    journal_state_done(&scan.state);
    scan.meta.is_marked_copy = true;
    return db_meta_save(db, &scan.meta, ret_error) && db_checkpoint_truncate(db, ret_error);
}

static bool make_copy(sqlite3 *from, const char *partial_path, struct error *ret_error)
{
    sqlite3 *to = NULL;
    bool copied = db_open(partial_path, DB_WRITE, &to, ret_error) &&
                  copy_pages(from, to, ret_error) && mark_copy(to, ret_error);
    db_close(to);
    return copied;
}

static void remove_partial(const char *partial_path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char *path = journal_path_beside(partial_path, suffixes[i]);
        (void)unlink(path);
        free(path);
    }
}

/* An empty file nobody else can read; refuses to overwrite anything. */
static bool create_partial(const char *copy_path, const char *partial_path, struct error *ret_error)
{
    if (access(copy_path, F_OK) == 0) {
        (void)error_set(ret_error, ERROR_INVALID, "%s exists already", copy_path);
        return error_hint(ret_error, "a backup never overwrites a file; give another name");
    }
    remove_partial(partial_path); /* of a backup that was interrupted */
    int descriptor = open(partial_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) {
        return error_set_errno(ret_error, journal_errno_kind(errno), errno, "cannot create %s",
                               partial_path);
    }
    (void)close(descriptor);
    return true;
}

/* Puts the finished copy in place; link(2) rather than rename(2), so that it still overwrites nothing. */
static bool publish_copy(const char *partial_path, const char *copy_path, struct error *ret_error)
{
    int descriptor = open(partial_path, O_RDONLY | O_CLOEXEC);
    bool synced = descriptor >= 0 && fsync(descriptor) == 0;
    int saved_errno = errno;
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
    if (!synced) {
        return error_set_errno(ret_error, ERROR_IO, saved_errno, "cannot sync %s", partial_path);
    }
    if (link(partial_path, copy_path) != 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot make %s", copy_path);
    }
    return journal_sync_folder(copy_path, ret_error);
}

bool journal_backup(const char *path, const char *copy_path, struct error *ret_error)
{
    char *real_path;
    sqlite3 *from;
    if (!open_to_read(path, &real_path, &from, ret_error)) {
        return false;
    }
    char *partial_path = journal_path_beside(copy_path, ".partial");
    bool made = create_partial(copy_path, partial_path, ret_error);
    if (made) {
        made = make_copy(from, partial_path, ret_error) &&
               publish_copy(partial_path, copy_path, ret_error);
        remove_partial(partial_path);
    }
    free(partial_path);
    db_close(from);
    free(real_path);
    return made || error_wrap(ret_error, "backup of journal %s", path);
}

/* ---- adopt ---- */

bool journal_adopt(const char *path, const char *comment, struct error *ret_error)
{
    struct journal_options options = {.path = path};
    struct journal *base;
    struct record record = {.kind = RECORD_ADOPT, .as.adopt.wall_ms = clock_wall_ms()};
    if (comment[0] == '\0') {
        return error_set(ret_error, ERROR_INVALID,
                         "a copy is adopted with a comment that says why");
    }
    if (strlen(comment) > COMMENT_MAX_BYTES) {
        return error_set(ret_error, ERROR_LIMIT, "the comment is longer than %d bytes",
                         COMMENT_MAX_BYTES);
    }
    memcpy(record.as.adopt.comment, comment, strlen(comment));
    if (!journal_open_sqlite(&options, &base, ret_error)) {
        return false;
    }
    struct sqlite_journal *journal = (struct sqlite_journal *)base;
    if (!journal->meta.is_marked_copy) {
        (void)error_set(ret_error, ERROR_INVALID, "journal %s is no marked copy: nothing to adopt",
                        path);
        journal_close(base);
        return false;
    }
    /* One transaction: either still a marked copy, or adopted with the record that says why. */
    struct journal_meta meta = journal->meta;
    meta.is_marked_copy = false;
    bool adopted = sqlite_begin(journal, ret_error) &&
                   sqlite_put_record(journal, &record, ret_error) &&
                   db_meta_save(journal->db, &meta, ret_error) && sqlite_commit(journal, ret_error);
    journal->poisoned = !adopted;
    journal_close(base);
    return adopted || error_wrap(ret_error, "journal %s", path);
}
