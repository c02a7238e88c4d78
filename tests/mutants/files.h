/*
 * files.h - whole files, and a copy of the source tree that is kept equal to it. Paths are joined here and nowhere else.
 */
#ifndef ASSENT_TESTS_MUTANTS_FILES_H
#define ASSENT_TESTS_MUTANTS_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

char *file_path(const char *folder, const char *name); /* "folder/name"; returns owned */

/* Returns owned, with a final NUL. Sources and outputs of tests: at most 64 MiB. */
bool file_read(const char *path, char **ret_text, struct error *ret_error);
bool file_write(const char *path, const char *text, size_t size_bytes, struct error *ret_error);
/* Only if the file says something else. */
bool file_renew(const char *path, const char *text, struct error *ret_error);
bool file_exists(const char *path);

/* With all folders above it. */
bool folder_make(const char *path, struct error *ret_error);

/* Makes `copy` hold what `source` holds, and nothing else; files that are equal already keep their time, so that
 * a build of the copy has little to do. What is hidden or built (.git, build*) at the top is left out, and the files named
 * in `kept` (NULL at the end; may be NULL) are left as they are in the copy. */
bool folder_sync(const char *source, const char *copy, const char *const *kept,
                 struct error *ret_error);

/* One file of it. */
bool file_sync(const char *source, const char *copy, const char *file, struct error *ret_error);

#endif
