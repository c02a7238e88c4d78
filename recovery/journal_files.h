/*
 * journal_files.h - the files beside a journal that are not SQLite's: the lock and the reserve; and the
 * look at the write-ahead log that SQLite does not take. Used by the SQLite backend and the tools.
 */
#ifndef ASSENT_RECOVERY_JOURNAL_FILES_H
#define ASSENT_RECOVERY_JOURNAL_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* The journal's real path (symbolic links resolved, so that two names cannot mean two locks). Owned by the
 * caller. The file itself need not exist, its folder must. */
bool journal_path_resolve(const char *path, char **ret_path, struct error *ret_error);
char *journal_path_beside(const char *path, const char *suffix); /* returns owned */
/* Makes the folder's entries durable. */
bool journal_sync_folder(const char *path, struct error *ret_error);

/* The kind of a failed system call on the journal's files: a matter of rights or space, or a failed disk. */
enum error_kind journal_errno_kind(int errnum);

/* Takes PATH.lock for the life of the descriptor (P-17) and writes our pid into it. ERROR_LOCKED at once,
 * naming the holder's pid where known, if another process has it. Close the descriptor to let it go. */
bool journal_lock(const char *path, int *ret_descriptor, struct error *ret_error);
bool journal_is_locked(const char *path); /* by anybody, now; takes nothing */

/* Disk space kept for finishing decided work (P-16): PATH.reserve, preallocated, given back when the disk
 * is nearly full and taken again when space returns. */
struct journal_space {
    char *folder;
    char *reserve_path;
    uint64_t reserve_bytes;
    bool reserve_held;
    /* Free bytes of the file system; tests put their own here. */
    bool (*read_free)(const struct journal_space *space, uint64_t *ret_free_bytes);
};

void journal_space_init(struct journal_space *space, const char *path, uint64_t reserve_bytes);
void journal_space_done(struct journal_space *space);
/* Gives back or takes the reserve as needed; false while new work must be refused. */
bool journal_space_check(struct journal_space *space);

/* Before SQLite reads PATH-wal (P-16): ERROR_DAMAGED if frames were lost from its middle, which SQLite
 * would take for its end; then writes its bytes over themselves and syncs, so that what the page cache
 * alone may hold after a failed sync is on disk before anybody acts on it. No file is fine. The caller
 * holds the lock. */
bool journal_wal_secure(const char *path, struct error *ret_error);
/* The first half only, without writing: for tools. Means something only while nobody writes. */
bool journal_wal_inspect(const char *path, struct error *ret_error);

#endif
