/*
 * fault.c - the armed fault point. Armed once at start, before any other thread exists; hit from
 * any thread.
 */
#include "common/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"

static const struct {
    const char *name;
    const char *text;
} points[FAULT_POINT_COUNT] = {
#define FAULT_POINT(id, name, text) [id] = {name, text},
#include "common/fault_points.def"
#undef FAULT_POINT
};

bool fault_armed;

#define FAULT_HANG  (-1) /* in place of a signal */
#define FAULT_TRACE (-2)

static struct {
    enum fault_point point; /* FAULT_POINT_COUNT: every one */
    int signal;
    uint64_t act_at_hit; /* counts from 1 */
    uint64_t hits;       /* atomic */
    int trace;           /* descriptor, -1 for none */
} armed = {.trace = -1};

const char *fault_point_name(enum fault_point point)
{
    CHECK((unsigned)point < FAULT_POINT_COUNT);
    return points[point].name;
}

const char *fault_point_text(enum fault_point point)
{
    CHECK((unsigned)point < FAULT_POINT_COUNT);
    return points[point].text;
}

static bool parse_point(const char *name, size_t length, enum fault_point *ret_point)
{
    for (int i = 0; i < FAULT_POINT_COUNT; i++) {
        if (strlen(points[i].name) == length && memcmp(points[i].name, name, length) == 0) {
            *ret_point = (enum fault_point)i;
            return true;
        }
    }
    if (length == 1 && name[0] == '*') {
        *ret_point = FAULT_POINT_COUNT;
        return true;
    }
    return false;
}

static bool parse_signal(const char *action, size_t length, int *ret_signal)
{
    if (length == 4 && memcmp(action, "kill", 4) == 0) {
        *ret_signal = SIGKILL;
        return true;
    }
    if (length == 4 && memcmp(action, "stop", 4) == 0) {
        *ret_signal = SIGSTOP;
        return true;
    }
    if (length == 4 && memcmp(action, "hang", 4) == 0) {
        *ret_signal = FAULT_HANG;
        return true;
    }
    if (length == 5 && memcmp(action, "trace", 5) == 0) {
        *ret_signal = FAULT_TRACE;
        return true;
    }
    return false;
}

static bool parse_count(const char *text, uint64_t *ret_count)
{
    if (text[0] < '1' || text[0] > '9' || strspn(text, "0123456789") != strlen(text)) {
        return false;
    }
    errno = 0;
    unsigned long long count = strtoull(text, NULL, 10);
    if (errno != 0) {
        return false;
    }
    *ret_count = count;
    return true;
}

bool fault_arm(const char *spec, const char *trace_path, struct error *ret_error)
{
    enum fault_point point;
    int signal_number = SIGKILL;
    uint64_t act_at_hit = 1;

    size_t name_length = strcspn(spec, ":");
    const char *rest = spec + name_length;
    if (!parse_point(spec, name_length, &point)) {
        return error_set(ret_error, ERROR_INVALID, "no fault point is called \"%.*s\"",
                         (int)name_length, spec);
    }
    if (*rest == ':') {
        rest++;
        size_t action_length = strcspn(rest, ":");
        if (!parse_signal(rest, action_length, &signal_number)) {
            return error_set(ret_error, ERROR_INVALID,
                             "fault action \"%.*s\" is none of kill, stop, hang, trace",
                             (int)action_length, rest);
        }
        rest += action_length;
    }
    if (*rest == ':' && !parse_count(rest + 1, &act_at_hit)) {
        return error_set(ret_error, ERROR_INVALID,
                         "fault hit count \"%s\" is not a number from 1 on", rest + 1);
    }

    if (point == FAULT_POINT_COUNT && signal_number != FAULT_TRACE) {
        return error_set(ret_error, ERROR_INVALID, "all fault points at once can only be traced");
    }

    int trace = -1;
    if (trace_path != NULL) {
        trace = open(trace_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (trace < 0) {
            return error_set_errno(ret_error, ERROR_IO, errno, "cannot open fault trace %s",
                                   trace_path);
        }
    }
    if (armed.trace >= 0) {
        (void)close(armed.trace);
    }
    armed.point = point;
    armed.signal = signal_number;
    armed.act_at_hit = act_at_hit;
    armed.hits = 0;
    armed.trace = trace;
    fault_armed = true;
    return true;
}

void fault_hit(enum fault_point point)
{
    CHECK((unsigned)point < FAULT_POINT_COUNT);
    if (point != armed.point && armed.point != FAULT_POINT_COUNT) {
        return;
    }
    uint64_t hit = __atomic_add_fetch(&armed.hits, 1, __ATOMIC_RELAXED);
    if (armed.trace >= 0) {
        char line[96];
        int length =
            snprintf(line, sizeof line, "%s %llu\n", points[point].name, (unsigned long long)hit);
        /* One write: the test reads whole lines even though the process dies next. */
        CHECK(length > 0 && length < (int)sizeof line);
        CHECK(write(armed.trace, line, (size_t)length) == length);
    }
    if (hit != armed.act_at_hit || armed.signal == FAULT_TRACE) {
        return;
    }
    if (armed.signal == FAULT_HANG) {
        for (;;) {
            (void)pause(); /* until the process ends */
        }
    }
    /* To this thread: of a signal to the process another thread may take notice first, and this one would run on for a while. */
    (void)raise(armed.signal);
}
