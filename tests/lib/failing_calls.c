/* failing_calls.c - see failing_calls.h. */
#include "tests/lib/failing_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/statvfs.h>
#include <unistd.h>

static struct {
    bool armed, for_ever, struck;
    size_t countdown;
    int errnum;
} failing;

void failing_calls_arm(size_t n, int errnum, bool for_ever)
{
    failing.armed = true;
    failing.for_ever = for_ever;
    failing.struck = false;
    failing.countdown = n;
    failing.errnum = errnum;
}

void failing_calls_disarm(void)
{
    failing.armed = false;
}

bool failing_calls_struck(void)
{
    return failing.struck;
}

static bool fails(void)
{
    if (!failing.armed || (failing.struck && !failing.for_ever) ||
        (!failing.struck && --failing.countdown > 0)) {
        return false;
    }
    failing.struck = true;
    errno = failing.errnum;
    return true;
}

/* FAILING(type, name, (parameters), (arguments)): of a call that gives -1. */
#define FAILING(type, name, parameters, arguments)                                                 \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fails() ? -1 : __real_##name arguments;                                             \
    }

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    (void)fd;
    return fails() ? -1 : 0;
}

FAILING(int, ftruncate, (int fd, off_t size), (fd, size))
FAILING(int, link, (const char *from, const char *to), (from, to))
FAILING(int, statvfs, (const char *path, struct statvfs *ret_status), (path, ret_status))
FAILING(ssize_t, read, (int fd, void *bytes, size_t size), (fd, bytes, size))
FAILING(ssize_t, pread, (int fd, void *bytes, size_t size, off_t at), (fd, bytes, size, at))
FAILING(ssize_t, pwrite, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at))
/* As the compiler's fortified headers call them. */
FAILING(ssize_t, __read_chk, (int fd, void *bytes, size_t size, size_t room),
        (fd, bytes, size, room))
FAILING(ssize_t, __pread_chk, (int fd, void *bytes, size_t size, off_t at, size_t room),
        (fd, bytes, size, at, room))

int __real_posix_fallocate(int fd, off_t at, off_t size);
int __wrap_posix_fallocate(int fd, off_t at, off_t size);
int __wrap_posix_fallocate(int fd, off_t at, off_t size)
{
    return fails() ? failing.errnum : __real_posix_fallocate(fd, at, size);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
    va_end(arguments);
    return fails() ? -1 : __real_open(path, flags, mode);
}
