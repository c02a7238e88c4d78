/*
 * failing_vfs.h - an SQLite file system that fails on order: the n-th call of a kind, once or for ever.
 *
 * Wraps the default one and becomes the default itself, so that code under test needs no hook for it. Not
 * thread-safe: counters are plain. Counts the calls of all files. Closing and unlocking never fail.
 */
#ifndef ASSENT_TESTS_LIB_FAILING_VFS_H
#define ASSENT_TESTS_LIB_FAILING_VFS_H

#include <stdbool.h>
#include <stddef.h>

enum failing_operation {
    FAILING_WRITE = 1, /* and truncations */
    FAILING_SYNC,
    FAILING_READ, /* and sizes */
    FAILING_OPEN, /* and looking for files, and deleting them */
    FAILING_LOCK, /* and shared memory */
};

void failing_vfs_install(void);
/* The n-th (from 1) operation of that kind from now on returns sqlite_code; for ever: all later ones, too. */
void failing_vfs_arm(enum failing_operation operation, size_t n, int sqlite_code, bool for_ever);
void failing_vfs_disarm(void);
/* From now on a sync that does not fail does nothing: for tests in which no machine dies. */
void failing_vfs_skip_syncs(void);
bool failing_vfs_struck(void); /* since it was armed */
/* Writes, truncations and syncs since it struck, whatever came of them. */
size_t failing_vfs_operations_after(void);

#endif
