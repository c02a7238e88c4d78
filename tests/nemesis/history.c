/*
 * history.c - the file behind history.h.
 */
#include "history.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"

struct history {
    pthread_mutex_t lock;
    int fd;
    int failure; /* errno of the first line that could not be written; 0: none */
    int64_t lines;
    int64_t begin_us;
};

static int64_t monotonic_us(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool history_open(const char *path, struct history **ret_history, struct error *ret_error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot write %s", path);
    }
    struct history *history = alloc_zeroed(sizeof *history);
    (void)pthread_mutex_init(&history->lock, NULL);
    history->fd = fd;
    history->begin_us = monotonic_us();
    *ret_history = history;
    return true;
}

int64_t history_now_us(const struct history *history)
{
    return monotonic_us() - history->begin_us;
}

static int write_all(int fd, const char *text, size_t size_bytes)
{
    size_t done = 0;
    while (done < size_bytes) {
        ssize_t written = write(fd, text + done, size_bytes - done);
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

void history_write(struct history *history, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    CHECK(text != NULL); /* out of memory, or a text that is not UTF-8: ours are */
    json_decref(line);
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the NUL: one write a line */
    (void)pthread_mutex_lock(&history->lock);
    int failure = write_all(history->fd, text, length + 1);
    history->failure = history->failure == 0 ? failure : history->failure;
    history->lines++;
    (void)pthread_mutex_unlock(&history->lock);
    free(text);
}

bool history_close(struct history *history, const char *reason, struct error *ret_error)
{
    history_write(history, json_pack("{s:s,s:I,s:I,s:s}", "type", "end", "t",
                                     (json_int_t)history_now_us(history), "lines",
                                     (json_int_t)history->lines, "reason",
                                     reason == NULL ? "complete" : reason));
    int failure = history->failure;
    if (close(history->fd) != 0 && failure == 0) {
        failure = errno;
    }
    (void)pthread_mutex_destroy(&history->lock);
    free(history);
    return failure == 0 ||
           error_set_errno(ret_error, ERROR_IO, failure, "the history is not whole");
}
