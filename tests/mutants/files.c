/* files.c - see files.h. */
#include "tests/mutants/files.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"

#define FILE_LIMIT_BYTES (64 << 20)

char *file_path(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = alloc_array(size, 1);
    (void)snprintf(path, size, "%s/%s", folder, name);
    return path;
}

/* The size is that of what was read: the text may hold NULs. */
static bool read_whole(const char *path, char **ret_text, size_t *ret_size, struct error *ret_error)
{
    FILE *file = fopen(path, "re");
    struct stat status;
    if (file == NULL || fstat(fileno(file), &status) != 0 || status.st_size > FILE_LIMIT_BYTES) {
        int errnum = file == NULL ? errno : EFBIG;
        if (file != NULL) {
            (void)fclose(file);
        }
        return error_set_errno(ret_error, ERROR_IO, errnum, "cannot read %s", path);
    }
    char *text = alloc_zeroed((size_t)status.st_size + 1);
    *ret_size = fread(text, 1, (size_t)status.st_size, file);
    *ret_text = text;
    (void)fclose(file);
    return true;
}

bool file_read(const char *path, char **ret_text, struct error *ret_error)
{
    size_t size = 0;
    return read_whole(path, ret_text, &size, ret_error);
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool file_write(const char *path, const char *text, size_t size_bytes, struct error *ret_error)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t done = 0;
    while (descriptor >= 0 && done < size_bytes) {
        ssize_t put = write(descriptor, text + done, size_bytes - done);
        if (put < 0) {
            break;
        }
        done += (size_t)put;
    }
    int errnum = errno;
    bool closed = descriptor >= 0 && close(descriptor) == 0;
    if (!closed || done < size_bytes) {
        return error_set_errno(ret_error, ERROR_IO, errnum, "cannot write %s", path);
    }
    return true;
}

bool file_renew(const char *path, const char *text, struct error *ret_error)
{
    char *old = NULL;
    struct error ignored;
    bool same = file_read(path, &old, &ignored) && strcmp(old, text) == 0;
    free(old);
    return same || file_write(path, text, strlen(text), ret_error);
}

bool folder_make(const char *path, struct error *ret_error)
{
    char *partial = alloc_string(path);
    bool made = true;
    for (char *at = partial + 1; made; at++) {
        char here = *at;
        if (here == '/' || here == '\0') {
            *at = '\0';
            made = mkdir(partial, 0755) == 0 || errno == EEXIST;
            *at = here;
        }
        if (here == '\0') {
            break;
        }
    }
    free(partial);
    return made || error_set_errno(ret_error, ERROR_IO, errno, "cannot make the folder %s", path);
}

/* ---- copying ---- */

static bool file_copy(const char *from, const char *to, mode_t mode, struct error *ret_error)
{
    char *text = NULL, *old = NULL;
    size_t size = 0, old_size = 0;
    struct error ignored;
    if (!read_whole(from, &text, &size, ret_error)) {
        return false;
    }
    bool same = read_whole(to, &old, &old_size, &ignored) && old_size == size &&
                memcmp(old, text, size) == 0;
    free(old);
    bool copied = same || (file_write(to, text, size, ret_error) && chmod(to, mode & 0777) == 0);
    free(text);
    return copied;
}

/* What is hidden there configures tools that the copy has no use for. */
static bool is_left_out(const FTSENT *entry)
{
    return entry->fts_level == 1 &&
           (entry->fts_name[0] == '.' || strncmp(entry->fts_name, "build", 5) == 0);
}

struct walk { /* of one tree, to make another one like it */
    FTS *entries;
    const char *root, *other;
    const char *const *kept;
    bool drops; /* what the other one lacks; else copies to it */
};

static const char *name_below(const struct walk *walk, const FTSENT *entry)
{
    const char *below = entry->fts_path + strlen(walk->root);
    return below + strspn(below, "/");
}

static bool is_kept(const struct walk *walk, const FTSENT *entry)
{
    for (size_t i = 0; walk->kept != NULL && walk->kept[i] != NULL; i++) {
        if (strcmp(walk->kept[i], name_below(walk, entry)) == 0) {
            return true;
        }
    }
    return false;
}

static bool copy_entry(const struct walk *walk, FTSENT *entry, struct error *ret_error)
{
    if (entry->fts_info == FTS_DP || entry->fts_level == 0 || is_kept(walk, entry)) {
        return true;
    }
    if (is_left_out(entry)) {
        (void)fts_set(walk->entries, entry, FTS_SKIP);
        return true;
    }
    char *to = file_path(walk->other, name_below(walk, entry));
    bool good = true;
    if (entry->fts_info == FTS_D) {
        good = folder_make(to, ret_error);
    } else if (entry->fts_info == FTS_F) {
        good = file_copy(entry->fts_path, to, entry->fts_statp->st_mode, ret_error);
    } else if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR) {
        good = error_set_errno(ret_error, ERROR_IO, entry->fts_errno, "%s", entry->fts_path);
    }
    free(to);
    return good;
}

/* What the source has no longer goes. */
static bool drop_entry(const struct walk *walk, const FTSENT *entry, struct error *ret_error)
{
    if (entry->fts_level == 0 || (entry->fts_info != FTS_F && entry->fts_info != FTS_DP) ||
        is_kept(walk, entry)) {
        return true;
    }
    char *from = file_path(walk->other, name_below(walk, entry));
    bool kept = file_exists(from);
    free(from);
    return kept || remove(entry->fts_path) == 0 ||
           error_set_errno(ret_error, ERROR_IO, errno, "cannot remove %s", entry->fts_path);
}

static bool folder_walk(struct walk *walk, struct error *ret_error)
{
    char *path = alloc_string(walk->root);
    char *const roots[] = {path, NULL};
    walk->entries = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    bool good = walk->entries != NULL ||
                error_set_errno(ret_error, ERROR_IO, errno, "cannot read the folder %s", path);
    FTSENT *entry = NULL;
    while (good && (entry = fts_read(walk->entries)) != NULL) {
        good =
            walk->drops ? drop_entry(walk, entry, ret_error) : copy_entry(walk, entry, ret_error);
    }
    if (walk->entries != NULL) {
        (void)fts_close(walk->entries);
    }
    free(path);
    return good;
}

bool folder_sync(const char *source, const char *copy, const char *const *kept,
                 struct error *ret_error)
{
    struct walk to = {.root = source, .other = copy, .kept = kept};
    struct walk back = {.root = copy, .other = source, .kept = kept, .drops = true};
    return folder_make(copy, ret_error) && folder_walk(&to, ret_error) &&
           folder_walk(&back, ret_error);
}

bool file_sync(const char *source, const char *copy, const char *file, struct error *ret_error)
{
    char *from = file_path(source, file);
    char *to = file_path(copy, file);
    struct stat status;
    bool good = stat(from, &status) == 0 ? file_copy(from, to, status.st_mode, ret_error)
                                         : error_set(ret_error, ERROR_IO, "%s is gone", from);
    free(from);
    free(to);
    return good || error_wrap(ret_error, "restoring %s", file);
}
