/*
 * journal_sqlite.c - opens a journal on SQLite in the order of P-16, and closes it. See journal_sqlite.h.
 *
 *   1. lock                              a second coordinator stops here (P-17)
 *   2. reserve                           given back now if the disk is full: recovery must be able to write
 *   3. write-ahead log                   damage in its middle refused, its bytes made durable
 *   4. format, numbering, chain, index   anything wrong refuses to start
 *   5. checkpoint TRUNCATE               what was read is durable in the main file
 *   6. reading connection
 *
 * Dying anywhere in it is harmless: nothing is told to anybody before the caller has forced its EPOCH.
 */
#include "recovery/journal_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/fault.h"

static bool sqlite_op_replay(struct journal *base, journal_visit visit, void *user,
                             struct error *ret_error)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)base;
    return sqlite_replay(journal->db, visit, user, ret_error);
}

static bool sqlite_op_has_space(struct journal *base)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)base;
    return journal_space_check(&journal->space);
}

static void sqlite_free(struct sqlite_journal *journal)
{
    sqlite_reader_close(journal->reader);
    sqlite_finalize_all(journal);
    db_close(journal->db);
    if (journal->lock >= 0) {
        (void)close(journal->lock); /* last: until here nobody else may open it */
    }
    journal_space_done(&journal->space);
    journal_state_done(&journal->now);
    journal_state_done(&journal->base.found);
    record_buffer_done(&journal->body);
    free(journal->path);
    free(journal);
}

static void sqlite_op_close(struct journal *base)
{
    struct sqlite_journal *journal = (struct sqlite_journal *)base;
    /* For people who copy files about: after a clean stop all of it is in the one file. Its failure loses
     * nothing, the log is still there. After a failed write this handle writes nothing more (P-16). */
    if (!journal->poisoned) {
        sqlite_reader_close(journal->reader);
        journal->reader = NULL;
        (void)sqlite3_busy_timeout(journal->db, 200); /* a backup beside us is not waited for */
        (void)db_checkpoint_truncate(journal->db, NULL);
    }
    sqlite_free(journal);
}

static const struct journal_ops sqlite_ops = {
    .close = sqlite_op_close,
    .replay = sqlite_op_replay,
    .append = sqlite_append,
    .has_space = sqlite_op_has_space,
    .trim = sqlite_trim,
    .find_gtrid = sqlite_find_gtrid,
    .find_key = sqlite_find_key,
    .find_request = sqlite_find_request,
    .list = sqlite_list,
    .read_floor = sqlite_read_floor,
    .hash_at = sqlite_hash_at,
};

/* Makes an empty file if there is none. *ret_created: it was not there. */
static bool ensure_file(const char *path, bool create, bool *ret_created, struct error *ret_error)
{
    struct stat status;
    *ret_created = false;
    if (stat(path, &status) == 0) {
        return true;
    }
    if (errno != ENOENT) {
        return error_set_errno(ret_error, ERROR_IO, errno, "journal %s", path);
    }
    char *wal_path = journal_path_beside(path, "-wal");
    bool orphaned = stat(wal_path, &status) == 0 && status.st_size > 0;
    free(wal_path);
    if (orphaned) {
        (void)error_set(ret_error, ERROR_DAMAGED, "journal %s is gone, but its -wal file is there",
                        path);
        return error_hint(ret_error,
                          "put the journal back beside its -wal file; both belong together");
    }
    if (!create) {
        (void)error_set(ret_error, ERROR_NOT_FOUND, "there is no journal %s", path);
        return error_hint(ret_error,
                          "a new journal means a new identity: prepared transactions of the "
                          "old one are foreign to it");
    }
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        return error_set_errno(ret_error, errno == ENOSPC ? ERROR_NO_SPACE : ERROR_IO, errno,
                               "cannot create the journal %s", path);
    }
    (void)close(descriptor);
    *ret_created = true;
    return true;
}

static bool open_database(struct sqlite_journal *journal, const struct journal_options *options,
                          bool created, struct error *ret_error)
{
    bool empty;
    if (!db_open(journal->path, DB_WRITE, &journal->db, ret_error) ||
        !db_check_format(journal->db, journal->path, &empty, ret_error)) {
        return false;
    }
    if (empty && !options->create) {
        return error_set(ret_error, ERROR_NOT_FOUND, "%s is empty: there is no journal in it",
                         journal->path);
    }
    if (empty ? !db_create(journal->db, &options->new_id, ret_error)
              : !db_upgrade(journal->db, ret_error)) {
        return false;
    }
    return !(empty || created) || journal_sync_folder(journal->path, ret_error);
}

static bool recover(struct sqlite_journal *journal, struct error *ret_error)
{
    struct scan_result scan;
    if (!sqlite_scan(journal->db, &scan, ret_error)) {
        return error_wrap(ret_error, "journal %s", journal->path);
    }
    journal->base.found = scan.state;
    journal_state_copy(&scan.state, &journal->now);
    journal->meta = scan.meta;
    journal->last_epoch_number = scan.last_epoch_number;
    FAULT(FAULT_C_CHECKPOINT_MID);
    struct error error = {0};
    if (!db_checkpoint_truncate(journal->db, &error) && error.kind != ERROR_UNAVAILABLE) {
        if (ret_error != NULL) {
            *ret_error = error;
        }
        return false;
    }
    /* Busy: a `verify` or `backup` beside us reads an older state for longer than we wait. The log itself
     * was made durable in step 3, so what was read is durable all the same. */
    return true;
}

static bool open_steps(struct sqlite_journal *journal, const struct journal_options *options,
                       struct error *ret_error)
{
    bool created;
    if (!journal_path_resolve(options->path, &journal->path, ret_error)) {
        return false;
    }
    FAULT(FAULT_C_START_PRE_LOCK);
    if (!journal_lock(journal->path, &journal->lock, ret_error)) {
        return false;
    }
    FAULT(FAULT_C_START_POST_LOCK);
    journal_space_init(&journal->space, journal->path, options->reserve_bytes);
    (void)journal_space_check(&journal->space); /* the caller asks again */
    if (!ensure_file(journal->path, options->create, &created, ret_error) ||
        !journal_wal_secure(journal->path, ret_error) ||
        !open_database(journal, options, created, ret_error) || !recover(journal, ret_error) ||
        !sqlite_prepare_all(journal, ret_error)) {
        return false;
    }
    sqlite_watch_wal(journal);
    return sqlite_reader_open(journal->path, &journal->reader, ret_error);
}

bool journal_open_sqlite(const struct journal_options *options, struct journal **ret_journal,
                         struct error *ret_error)
{
    if (sodium_init() < 0) {
        return error_set(ret_error, ERROR_SYSTEM, "libsodium cannot be initialised");
    }
    struct sqlite_journal *journal = alloc_zeroed(sizeof *journal);
    journal->base.ops = &sqlite_ops;
    journal->lock = -1;
    if (!open_steps(journal, options, ret_error)) {
        sqlite_free(journal);
        return false;
    }
    *ret_journal = &journal->base;
    return true;
}
