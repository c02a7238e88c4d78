/*
 * crash_pool.c - the parent of the workers: hands out cells, hears of results. See crash_pool.h.
 */
#include "tests/crash/crash_pool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"

/* All that a cell waits for has a deadline; the longest of them together are far below this. */
#define SILENCE_MS 240000

struct crew { /* one worker */
    pid_t pid;
    int socket; /* -1: gone */
    bool busy;  /* has a cell */
    bool dismissed;
    size_t cell;
    uint64_t since_ms; /* of the last word to or from it */
};

struct pool {
    const struct crash_pool_options *options;
    struct crew *crew;
    size_t crew_count;
    size_t next;  /* in order */
    bool stopped; /* nothing more is handed out */
    bool interrupted;
    int signals; /* signalfd */
    struct pollfd *waits;
    char *packet;
};

void crash_result_done(struct crash_result *result)
{
    free(result->error);
    free(result->logs);
    *result = (struct crash_result){0};
}

/* --- workers ---------------------------------------------------------------------------------- */

static bool start_worker(struct pool *pool, struct crew *crew, struct error *ret_error)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot make a socket pair");
    }
    const pid_t parent = getpid();
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot fork");
    }
    if (pid == 0) {
        /* A group of its own: a terminal's interrupt is the parent's business. */
        sigset_t none;
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(EXIT_FAILURE);
        }
        for (size_t i = 0; i < pool->crew_count; i++) {
            if (pool->crew[i].socket >= 0) {
                (void)close(pool->crew[i].socket);
            }
        }
        (void)close(ends[0]);
        crash_worker_main(pool->options->table, ends[1]);
        exit(EXIT_SUCCESS);
    }
    (void)close(ends[1]);
    *crew = (struct crew){.pid = pid, .socket = ends[0], .since_ms = clock_monotonic_ms()};
    return true;
}

/* The next cell for one who has none, or the end. */
static void hand_out(struct pool *pool, struct crew *crew)
{
    crew->since_ms = clock_monotonic_ms();
    if (!pool->stopped && pool->next < pool->options->count) {
        crew->cell = pool->options->order[pool->next++];
        crew->busy = true;
        uint32_t cell = (uint32_t)crew->cell;
        (void)send(crew->socket, &cell, sizeof cell,
                   MSG_NOSIGNAL); /* if it died: seen as its end */
    } else if (!crew->dismissed) {
        crew->dismissed = true;
        (void)shutdown(crew->socket, SHUT_WR);
    }
}

static void report(struct pool *pool, size_t cell, struct crash_result *result)
{
    pool->options->on_result(pool->options->user, cell, result);
    if (!result->green && pool->options->stop_at_red) {
        pool->stopped = true;
    }
    crash_result_done(result);
}

/* It is gone, in order or not. */
static void bury(struct pool *pool, struct crew *crew)
{
    int status = 0;
    pid_t waited;
    do {
        waited = waitpid(crew->pid, &status, 0);
    } while (waited < 0 && errno == EINTR);
    (void)close(crew->socket);
    crew->socket = -1;
    if (crew->busy) {
        struct crash_result result = {.ran = true};
        result.error = alloc_string("the process that ran the cell died or did not end");
        crew->busy = false;
        report(pool, crew->cell, &result);
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        pool->options->on_trouble(pool->options->user, "a worker died");
    }
}

static void listen_to(struct pool *pool, struct crew *crew)
{
    struct crash_message message;
    ssize_t length = recv(crew->socket, pool->packet, sizeof message + CRASH_LOGS_BYTES, 0);
    if (length < (ssize_t)sizeof message) {
        bury(pool, crew);
        return;
    }
    memcpy(&message, pool->packet, sizeof message);
    crew->since_ms = clock_monotonic_ms();
    if (message.beside) {
        pool->options->on_trouble(pool->options->user, message.error);
        return;
    }
    struct crash_result result = {
        .ran = true, .green = message.green, .heal_ms = message.heal_ms, .run_ms = message.run_ms};
    if (!message.green) {
        result.error = alloc_string(message.error);
        result.logs = alloc_zeroed((size_t)message.logs_bytes + 1);
        memcpy(result.logs, pool->packet + sizeof message, message.logs_bytes);
    }
    crew->busy = false;
    report(pool, message.cell, &result);
    hand_out(pool, crew);
}

/* --- the loop --------------------------------------------------------------------------------- */

static void end_silent(struct pool *pool)
{
    for (size_t i = 0; i < pool->crew_count; i++) {
        struct crew *crew = &pool->crew[i];
        if (crew->socket >= 0 && clock_monotonic_ms() - crew->since_ms > SILENCE_MS) {
            (void)kill(crew->pid, SIGKILL);
        }
    }
}

static void take_signal(struct pool *pool)
{
    struct signalfd_siginfo info;
    if (read(pool->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        for (size_t i = 0; pool->interrupted && i < pool->crew_count; i++) {
            if (pool->crew[i].socket >= 0) {
                (void)kill(pool->crew[i].pid, SIGKILL); /* the second time: at once */
            }
        }
        pool->stopped = true;
        pool->interrupted = true;
    }
}

static size_t fill_waits(struct pool *pool)
{
    size_t alive = 0;
    for (size_t i = 0; i < pool->crew_count; i++) {
        pool->waits[i] = (struct pollfd){.fd = pool->crew[i].socket, .events = POLLIN};
        alive += pool->crew[i].socket >= 0 ? 1 : 0;
    }
    pool->waits[pool->crew_count] = (struct pollfd){.fd = pool->signals, .events = POLLIN};
    return alive;
}

static void serve(struct pool *pool)
{
    while (fill_waits(pool) > 0) {
        if (poll(pool->waits, pool->crew_count + 1, 1000) <= 0) {
            end_silent(pool);
            continue;
        }
        if (pool->waits[pool->crew_count].revents != 0) {
            take_signal(pool);
        }
        for (size_t i = 0; i < pool->crew_count; i++) {
            if (pool->waits[i].revents != 0) {
                listen_to(pool, &pool->crew[i]);
            }
        }
        end_silent(pool);
    }
}

bool crash_pool_run(const struct crash_pool_options *options, struct error *ret_error)
{
    struct pool pool = {.options = options};
    sigset_t watched;
    sigset_t before;
    size_t jobs = options->jobs < options->count ? options->jobs : options->count;
    (void)sigemptyset(&watched);
    (void)sigaddset(&watched, SIGINT);
    (void)sigaddset(&watched, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &watched, &before);
    pool.signals = signalfd(-1, &watched, SFD_CLOEXEC);
    pool.crew = alloc_resize(NULL, jobs, sizeof *pool.crew);
    pool.waits = alloc_resize(NULL, jobs + 1, sizeof *pool.waits);
    pool.packet = alloc_zeroed(sizeof(struct crash_message) + CRASH_LOGS_BYTES);
    bool started = pool.signals >= 0 ||
                   error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot watch signals");
    while (started && pool.crew_count < jobs) {
        started = start_worker(&pool, &pool.crew[pool.crew_count], ret_error);
        pool.crew_count += started ? 1 : 0;
    }
    pool.stopped = !started;
    for (size_t i = 0; i < pool.crew_count; i++) {
        hand_out(&pool, &pool.crew[i]);
    }
    serve(&pool);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (pool.signals >= 0) {
        (void)close(pool.signals);
    }
    free(pool.crew);
    free(pool.waits);
    free(pool.packet);
    if (started && pool.interrupted) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "interrupted");
    }
    return started;
}
