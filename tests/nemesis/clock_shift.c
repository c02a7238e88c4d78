/*
 * clock_shift.c - libassent_clock_shift.so: preloaded into a daemon, makes its wall clock wrong by what the file
 * named in ASSENT_CLOCK_SHIFT says at the moment. CLOCK_MONOTONIC and all other clocks are right.
 *
 * What a library cannot do: move the kernel's clock. A wait until a time of CLOCK_REALTIME ends at
 * another time than under a real jump. Assent has none (docs/PROTOCOL.md, P-15), nor has libmicrohttpd; nng 1.5.2 has
 * (upstream 1526), and pauses of its own that begin while the clock is ahead last for as long as it is ahead.
 */
#include "clock_shift.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL

static const struct clock_shift *shift; /* NULL: right */

__attribute__((constructor)) static void map_shift(void)
{
    const char *path = getenv(CLOCK_SHIFT_VARIABLE);
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        void *place = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);
        shift = place == MAP_FAILED ? NULL : place;
        (void)close(fd);
    }
}

/* The system call itself: the C library's function is the one replaced here. */
static int read_clock(clockid_t clock, struct timespec *ret_time)
{
    return (int)syscall(SYS_clock_gettime, clock, ret_time);
}

static int64_t wrong_by_ns(void)
{
    if (shift == NULL) {
        return 0;
    }
    uint64_t strobe_ns = atomic_load(&shift->strobe_ns);
    if (strobe_ns != 0) {
        struct timespec now;
        (void)read_clock(CLOCK_MONOTONIC, &now);
        uint64_t now_ns = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
        if (now_ns / strobe_ns % 2 == 0) {
            return 0;
        }
    }
    return atomic_load(&shift->offset_ns);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int result = read_clock(clock, ret_time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t wall_ns = (int64_t)ret_time->tv_sec * NS_PER_S + ret_time->tv_nsec + wrong_by_ns();
        wall_ns = wall_ns < 0 ? 0 : wall_ns; /* 1970 is as far back as it goes */
        ret_time->tv_sec = wall_ns / NS_PER_S;
        ret_time->tv_nsec = wall_ns % NS_PER_S;
    }
    return result;
}

__attribute__((visibility("default"))) int gettimeofday(struct timeval *restrict ret_time,
                                                        void *restrict zone)
{
    struct timespec now;
    (void)zone; /* obsolete, and always UTC here */
    int result = clock_gettime(CLOCK_REALTIME, &now);
    if (result == 0) {
        *ret_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    }
    return result;
}

__attribute__((visibility("default"))) time_t time(time_t *ret_time)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return (time_t)-1;
    }
    if (ret_time != NULL) {
        *ret_time = now.tv_sec;
    }
    return now.tv_sec;
}
