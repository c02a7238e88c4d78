/*
 * failing_vfs.c - see failing_vfs.h.
 */
#include "tests/lib/failing_vfs.h"

#include <sqlite3.h>
#include <string.h>

struct failing_file {
    sqlite3_file base;
    sqlite3_file *real; /* lies behind this struct */
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    enum failing_operation operation; /* 0: not armed */
    size_t countdown;
    int code;
    bool for_ever;
    bool struck;
    bool skips_syncs;
    size_t operations_after;
} failing;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct failing_file *)file)->real;
}

/* SQLITE_OK, or the ordered error if it is this operation's turn. */
static int turn(enum failing_operation operation)
{
    if (failing.struck) {
        failing.operations_after += operation == FAILING_WRITE || operation == FAILING_SYNC ? 1 : 0;
        return failing.for_ever && operation == failing.operation ? failing.code : SQLITE_OK;
    }
    if (operation != failing.operation || --failing.countdown > 0) {
        return SQLITE_OK;
    }
    failing.struck = true;
    return failing.code;
}

static int file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    int code = turn(FAILING_READ);
    return code != SQLITE_OK ? code
                             : real_of(file)->pMethods->xRead(real_of(file), bytes, size, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    int code = turn(FAILING_WRITE);
    return code != SQLITE_OK ? code
                             : real_of(file)->pMethods->xWrite(real_of(file), bytes, size, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = turn(FAILING_WRITE);
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    int code = turn(FAILING_SYNC);
    if (code != SQLITE_OK || failing.skips_syncs) {
        return code;
    }
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    int code = turn(FAILING_READ);
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int file_lock(sqlite3_file *file, int level)
{
    int code = turn(FAILING_LOCK);
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_check_reserved(sqlite3_file *file, int *ret_reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_reserved);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret_map)
{
    int code = turn(FAILING_LOCK);
    if (code != SQLITE_OK) {
        *ret_map = NULL;
        return code;
    }
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret_map);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    int code = (flags & SQLITE_SHM_LOCK) != 0 ? turn(FAILING_LOCK) : SQLITE_OK;
    return code != SQLITE_OK
               ? code
               : real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods failing_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                    int *ret_flags)
{
    struct failing_file *failing_file = (struct failing_file *)file;
    (void)vfs;
    failing_file->base.pMethods = NULL;
    failing_file->real = (sqlite3_file *)(failing_file + 1);
    int code = turn(FAILING_OPEN);
    if (code != SQLITE_OK) {
        return code;
    }
    code = failing.real->xOpen(failing.real, name, failing_file->real, flags, ret_flags);
    failing_file->base.pMethods = failing_file->real->pMethods == NULL ? NULL : &failing_methods;
    return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    (void)vfs;
    int code = turn(FAILING_OPEN);
    return code != SQLITE_OK ? code : failing.real->xDelete(failing.real, name, sync_folder);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret_result)
{
    (void)vfs;
    int code = turn(FAILING_OPEN);
    return code != SQLITE_OK ? code : failing.real->xAccess(failing.real, name, flags, ret_result);
}

void failing_vfs_install(void)
{
    if (failing.real != NULL) {
        return;
    }
    failing.real = sqlite3_vfs_find(NULL);
    failing.vfs = *failing.real; /* the rest of the calls go to the real one's functions */
    failing.vfs.zName = "failing";
    failing.vfs.pNext = NULL;
    failing.vfs.szOsFile = (int)sizeof(struct failing_file) + failing.real->szOsFile;
    failing.vfs.xOpen = vfs_open;
    failing.vfs.xDelete = vfs_delete;
    failing.vfs.xAccess = vfs_access;
    (void)sqlite3_vfs_register(&failing.vfs, 1);
}

void failing_vfs_arm(enum failing_operation operation, size_t n, int sqlite_code, bool for_ever)
{
    failing.operation = operation;
    failing.countdown = n;
    failing.code = sqlite_code;
    failing.for_ever = for_ever;
    failing.struck = false;
    failing.operations_after = 0;
}

void failing_vfs_disarm(void)
{
    failing.operation = 0;
    failing.struck = false;
}

void failing_vfs_skip_syncs(void)
{
    failing.skips_syncs = true;
}

bool failing_vfs_struck(void)
{
    return failing.struck;
}

size_t failing_vfs_operations_after(void)
{
    return failing.operations_after;
}
