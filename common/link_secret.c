/*
 * link_secret.c - a participant's shared secret from its file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/link.h"

#define SECRET_FILE_MAX_BYTES 1024

static bool read_start_of_file(int fd, const char *path, char *ret_text, size_t *ret_size_bytes,
                               struct error *ret_error)
{
    size_t size_bytes = 0;
    while (size_bytes < SECRET_FILE_MAX_BYTES) {
        ssize_t count = read(fd, ret_text + size_bytes, SECRET_FILE_MAX_BYTES - size_bytes);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return error_set_errno(ret_error, ERROR_IO, errno, "cannot read secret file %s", path);
        }
        if (count == 0) {
            break;
        }
        size_bytes += (size_t)count;
    }
    *ret_size_bytes = size_bytes;
    return true;
}

/* The first line without white space around it. */
static bool first_line(const char *text, size_t size_bytes, const char *path,
                       struct link_secret *ret_secret, struct error *ret_error)
{
    size_t start = 0, end = 0;
    while (end < size_bytes && text[end] != '\n') {
        end++;
    }
    while (start < end && strchr(" \t\r", text[start]) != NULL) {
        start++;
    }
    while (end > start && strchr(" \t\r", text[end - 1]) != NULL) {
        end--;
    }
    if (end - start < LINK_SECRET_MIN_BYTES || end - start > LINK_SECRET_MAX_BYTES) {
        error_set(ret_error, ERROR_INVALID,
                  "the secret in %s has %zu characters, but needs %d to %d", path, end - start,
                  LINK_SECRET_MIN_BYTES, LINK_SECRET_MAX_BYTES);
        return error_hint(ret_error,
                          "make one for the agent and its coordinators: "
                          "openssl rand -hex 32 > %s",
                          path);
    }
    struct link_secret secret = {.size_bytes = end - start};
    memcpy(secret.bytes, text + start, end - start);
    *ret_secret = secret;
    sodium_memzero(&secret, sizeof secret);
    return true;
}

static bool read_secret(int fd, const char *path, struct link_secret *ret_secret,
                        struct error *ret_error)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot look at secret file %s", path);
    }
    if (!S_ISREG(status.st_mode)) {
        error_set(ret_error, ERROR_INVALID, "secret file %s is not a regular file", path);
        return error_hint(ret_error, "name a file whose first line is the secret");
    }
    if ((status.st_mode & 077) != 0) {
        error_set(ret_error, ERROR_DENIED, "secret file %s can be read by others (mode %03o)", path,
                  (unsigned)status.st_mode & 0777u);
        return error_hint(ret_error, "chmod 600 %s", path);
    }
    char text[SECRET_FILE_MAX_BYTES];
    size_t size_bytes;
    bool well = read_start_of_file(fd, path, text, &size_bytes, ret_error) &&
                first_line(text, size_bytes, path, ret_secret, ret_error);
    sodium_memzero(text, sizeof text);
    return well;
}

bool link_secret_read(const char *path, struct link_secret *ret_secret, struct error *ret_error)
{
    /* Not blocking: the path may name a pipe that nobody writes to. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        const int errnum = errno;
        error_set_errno(ret_error, errnum == EACCES ? ERROR_DENIED : ERROR_IO, errnum,
                        "cannot open secret file %s", path);
        if (errnum == ENOENT) {
            return error_hint(ret_error,
                              "make one for the agent and its coordinators: "
                              "(umask 077; openssl rand -hex 32 > %s)",
                              path);
        }
        return error_hint(ret_error, "the file must belong to the user as whom this program runs");
    }
    bool well = read_secret(fd, path, ret_secret, ret_error);
    (void)close(fd);
    return well;
}
