/*
 * failing_vfs.h - an SQLite file system that fails on order: the n-th write or sync, once or for ever.
 *
 * Wraps the default one and becomes the default itself, so that code under test needs no hook for it. Not
 * thread-safe: counters are plain. Counts writes, truncations and syncs of all files; shared memory is not
 * among them.
 */
#ifndef ASSENT_TESTS_LIB_FAILING_VFS_H
#define ASSENT_TESTS_LIB_FAILING_VFS_H

#include <stdbool.h>
#include <stddef.h>

enum failing_operation { FAILING_WRITE = 1, FAILING_SYNC };

void failing_vfs_install(void);
/* The n-th (from 1) operation of that kind from now on returns sqlite_code; for ever: all later ones, too. */
void failing_vfs_arm(enum failing_operation operation, size_t n, int sqlite_code, bool for_ever);
void failing_vfs_disarm(void);
bool failing_vfs_struck(void); /* since it was armed */
/* Writes, truncations and syncs since it struck, whatever came of them. */
size_t failing_vfs_operations_after(void);

#endif
