/*
 * journal_space.c - the reserve: disk space kept so that decided work can be finished on a full disk.
 *
 *   HELD      the file PATH.reserve is allocated. Free space outside it under the slack: give it back,
 *             refuse new work.
 *   GIVEN     the reserve's space is free for END, RESOLVED, FLOOR, EPOCH and the COMMITs that were on
 *             their way. Free space for the reserve and twice the slack: take it again.
 *
 * The distance between the two thresholds keeps it from flapping.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/alloc.h"
#include "recovery/journal_files.h"

#define RESERVE_DEFAULT_BYTES ((uint64_t)16 * 1024 * 1024)

static bool read_free_statvfs(const struct journal_space *space, uint64_t *ret_free_bytes)
{
    struct statvfs stat;
    if (statvfs(space->folder, &stat) != 0) {
        return false;
    }
    *ret_free_bytes = (uint64_t)stat.f_bavail * stat.f_frsize;
    return true;
}

void journal_space_init(struct journal_space *space, const char *path, uint64_t reserve_bytes)
{
    *space = (struct journal_space){
        .reserve_path = journal_path_beside(path, ".reserve"),
        .reserve_bytes = reserve_bytes == 0 ? RESERVE_DEFAULT_BYTES : reserve_bytes,
        .read_free = read_free_statvfs,
    };
    const char *slash = strrchr(path, '/');
    space->folder = slash == NULL || slash == path ? alloc_string(slash == NULL ? "." : "/")
                                                   : alloc_bytes(path, (size_t)(slash - path));
    /* Left by the previous process: held if it is whole. */
    int descriptor = open(space->reserve_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor >= 0) {
        space->reserve_held = lseek(descriptor, 0, SEEK_END) >= (off_t)space->reserve_bytes;
        (void)close(descriptor);
    }
}

void journal_space_done(struct journal_space *space)
{
    free(space->folder);
    free(space->reserve_path);
    *space = (struct journal_space){0};
}

static void give_reserve(struct journal_space *space)
{
    (void)unlink(space->reserve_path);
    space->reserve_held = false;
}

static bool take_reserve(struct journal_space *space)
{
    (void)unlink(
        space->reserve_path); /* cut short, or made by another user (`adopt` run by root) */
    int descriptor =
        open(space->reserve_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) {
        return false;
    }
    bool taken = posix_fallocate(descriptor, 0, (off_t)space->reserve_bytes) == 0;
    (void)close(descriptor);
    if (!taken) {
        (void)unlink(space->reserve_path);
        return false;
    }
    space->reserve_held = true;
    return true;
}

bool journal_space_check(struct journal_space *space)
{
    uint64_t slack_bytes = space->reserve_bytes / 4;
    uint64_t free_bytes;
    if (!space->read_free(space, &free_bytes)) {
        return space->reserve_held; /* not known: as it was */
    }
    if (space->reserve_held) {
        if (free_bytes >= slack_bytes) {
            return true;
        }
        give_reserve(space);
        return false;
    }
    return free_bytes >= space->reserve_bytes + 2 * slack_bytes && take_reserve(space);
}
