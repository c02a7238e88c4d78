/*
 * journal_lock.c - one journal, one coordinator (P-17), and the paths around a journal.
 *
 * The lock is an open file description lock on a file of its own. A classic POSIX lock would be dropped by
 * the first unrelated close() of the same file anywhere in the process; this one lives exactly as long as
 * the descriptor. The file is never removed: between another process's open and its lock it would name a
 * different file than ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "recovery/journal_files.h"

char *journal_path_beside(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *beside = alloc_zeroed(size);
    (void)snprintf(beside, size, "%s%s", path, suffix);
    return beside;
}

/* The folder part of a path, "." if it has none. Returns owned. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return alloc_string(".");
    }
    return slash == path ? alloc_string("/") : alloc_bytes(path, (size_t)(slash - path));
}

enum error_kind journal_errno_kind(int errnum)
{
    switch (errnum) {
    case EACCES:
    case EPERM:
        return ERROR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERROR_NO_SPACE;
    default:
        return ERROR_IO;
    }
}

bool journal_path_resolve(const char *path, char **ret_path, struct error *ret_error)
{
    char real[PATH_MAX];
    if (path == NULL || path[0] == 0) {
        return error_set(ret_error, ERROR_INVALID, "the journal's path is empty");
    }
    if (realpath(path, real) != NULL) {
        *ret_path = alloc_string(real);
        return true;
    }
    if (errno != ENOENT) {
        return error_set_errno(ret_error, journal_errno_kind(errno), errno, "journal %s", path);
    }
    char *folder = folder_of(path);
    bool found = realpath(folder, real) != NULL;
    int saved_errno = errno;
    free(folder);
    if (!found) {
        return error_set_errno(ret_error, journal_errno_kind(saved_errno), saved_errno,
                               "the folder of journal %s", path);
    }
    const char *slash = strrchr(path, '/');
    char *base = journal_path_beside(strcmp(real, "/") == 0 ? "" : real, "/");
    *ret_path = journal_path_beside(base, slash == NULL ? path : slash + 1);
    free(base);
    return true;
}

bool journal_sync_folder(const char *path, struct error *ret_error)
{
    char *folder = folder_of(path);
    bool synced = false;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        synced = fsync(descriptor) == 0;
    }
    if (!synced) {
        (void)error_set_errno(ret_error, ERROR_IO, errno, "cannot sync the folder %s", folder);
    }
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
    free(folder);
    return synced;
}

static bool refuse_locked(int descriptor, const char *path, struct error *ret_error)
{
    char text[32] = {0};
    long holder = 0;
    if (pread(descriptor, text, sizeof text - 1, 0) > 0) {
        holder = strtol(text, NULL, 10);
    }
    if (holder > 0) {
        (void)error_set(ret_error, ERROR_LOCKED, "journal %s is in use by process %ld", path,
                        holder);
    } else {
        (void)error_set(ret_error, ERROR_LOCKED, "journal %s is in use by another process", path);
    }
    return error_hint(ret_error, "one journal has one coordinator: stop the other process, or give "
                                 "this one a journal of its own");
}

bool journal_lock(const char *path, int *ret_descriptor, struct error *ret_error)
{
    char *lock_path = journal_path_beside(path, ".lock");
    int descriptor = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) {
        (void)error_set_errno(ret_error, journal_errno_kind(errno), errno,
                              "cannot open the lock file %s", lock_path);
        free(lock_path);
        return false;
    }
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool locked = fcntl(descriptor, F_OFD_SETLK, &whole) == 0;
    if (!locked && (errno == EAGAIN || errno == EACCES)) {
        (void)refuse_locked(descriptor, path, ret_error);
    } else if (!locked) {
        (void)error_set_errno(ret_error, ERROR_IO, errno, "cannot lock %s", lock_path);
        (void)error_hint(ret_error, "the journal must lie on a local file system with file locks");
    }
    free(lock_path);
    if (!locked) {
        (void)close(descriptor);
        return false;
    }
    struct stat status;
    if (geteuid() == 0 && stat(path, &status) == 0) {
        /* `adopt` run by root must not lock the daemon's own user out of the lock file. */
        (void)!fchown(descriptor, status.st_uid, status.st_gid);
    }
    /* For the other one's message only: that it cannot be written (disk full) is no reason to stay away. */
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    bool named = ftruncate(descriptor, 0) == 0 &&
                 pwrite(descriptor, text, (size_t)length, 0) == (ssize_t)length;
    (void)named;
    *ret_descriptor = descriptor;
    return true;
}

bool journal_is_locked(const char *path)
{
    char *lock_path = journal_path_beside(path, ".lock");
    int descriptor = open(lock_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    free(lock_path);
    if (descriptor < 0) {
        return false;
    }
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool locked = fcntl(descriptor, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    (void)close(descriptor);
    return locked;
}
