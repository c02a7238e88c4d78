/*
 * demo_process.c - daemons of a demo: started detached, found again by pid file, stopped by pid (demo.h).
 *
 * A pid file holds the pid, the process's start time in clock ticks since boot, and the boot's identity: only all
 * three together say that a process is still the one that was started. The process writes the file itself, before it
 * becomes the daemon, so that no kill of this program can leave one that nobody knows.
 *
 * No waiting by time alone: a start ends with READY=1 on a notification socket or with the process (pidfd); a stop ends
 * with the process.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/demo.h"
#include "common/alloc.h"
#include "common/clock.h"

#define START_TIMEOUT_MS 60000
#define RUN_TIMEOUT_MS   120000
#define DYING_TIMEOUT_MS 10000
#define LOG_TAIL_BYTES   2000

struct identity_of_process {
    pid_t pid;
    unsigned long long start_ticks;
    char boot[64];
};

static bool read_small(const char *path, char *ret_text, size_t size_bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const ssize_t size = read(fd, ret_text, size_bytes - 1);
    close(fd);
    if (size < 0) {
        return false;
    }
    ret_text[size] = 0;
    ret_text[strcspn(ret_text, "\n")] = 0;
    return true;
}

/* Its last thread too? The first one may be a zombie while another still has the process's ports and locks. */
static bool process_has_ended(pid_t pid)
{
    const int pidfd = pidfd_open(pid, 0);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    const bool has_ended = pidfd < 0 || poll(&end, 1, 0) == 1;
    if (pidfd >= 0) {
        close(pidfd);
    }
    return has_ended;
}

/* Of a process that has not ended; one that waits to be collected by its parent does not count. */
static bool process_identity(pid_t pid, struct identity_of_process *ret_identity)
{
    char path[64];
    char stat[1024];
    struct identity_of_process identity = {.pid = pid};
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_small(path, stat, sizeof stat) ||
        !read_small("/proc/sys/kernel/random/boot_id", identity.boot, sizeof identity.boot)) {
        return false;
    }
    const char *at = strrchr(stat, ')'); /* the name may hold anything */
    if (at == NULL || at[1] == 0 || at[2] == 'X' || (at[2] == 'Z' && process_has_ended(pid))) {
        return false;
    }
    /* Behind the name come state (3rd field) and so on; the start time is the 22nd. */
    at += 1;
    for (int field = 3; field < 22 && at != NULL; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL || sscanf(at, " %llu", &identity.start_ticks) != 1) {
        return false;
    }
    *ret_identity = identity;
    return true;
}

/* The process of a pid file, also one that is on its way out. */
static pid_t process_of_file(const char *pid_path)
{
    char text[256];
    struct identity_of_process then = {0};
    struct identity_of_process now;
    int pid = 0;
    if (!read_small(pid_path, text, sizeof text) ||
        sscanf(text, "%d %llu %63s", &pid, &then.start_ticks, then.boot) != 3 || pid <= 1 ||
        !process_identity((pid_t)pid, &now)) {
        return 0;
    }
    return now.start_ticks == then.start_ticks && strcmp(now.boot, then.boot) == 0 ? now.pid : 0;
}

/* Killed and not gone yet? A SIGKILL takes a moment, and longer on a busy machine: such a process is still there,
 * with its locks and ports, and will be of no use to anybody. */
static bool process_is_dying(pid_t pid)
{
    char path[64];
    char line[256];
    bool is_dying = false;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return true;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long pending = 0;
        if (sscanf(line, "SigPnd: %llx", &pending) == 1 || // NOLINT(cert-err34-c): the kernel's own
            sscanf(line, "ShdPnd: %llx", &pending) == 1) { // NOLINT(cert-err34-c)
            is_dying = is_dying || (pending & (1ULL << (SIGKILL - 1))) != 0;
        }
    }
    fclose(file);
    char stat[1024];
    unsigned long flags = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const char *at = read_small(path, stat, sizeof stat) ? strrchr(stat, ')') : NULL;
    /* Behind the name: state, ppid, pgrp, session, tty, tpgid, flags; 4 is the kernel's PF_EXITING. */
    if (at == NULL ||
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) != 1) { // NOLINT(cert-err34-c)
        return true;
    }
    return is_dying || (flags & 4) != 0;
}

pid_t demo_process_find(const char *pid_path)
{
    const pid_t pid = process_of_file(pid_path);
    return pid != 0 && !process_is_dying(pid) ? pid : 0;
}

pid_t demo_process_wake(const char *pid_path)
{
    const pid_t pid = process_of_file(pid_path);
    if (pid == 0) {
        return 0;
    }
    const int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        return 0;
    }
    /* A fault point, or a person, may have stopped it; otherwise this does nothing. */
    kill(pid, SIGCONT);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    const bool has_ended = poll(&end, 1, process_is_dying(pid) ? DYING_TIMEOUT_MS : 0) == 1;
    close(pidfd);
    return has_ended ? 0 : pid;
}

static bool write_pid_file(const char *pid_path)
{
    struct identity_of_process self;
    struct error error;
    if (!process_identity(getpid(), &self)) {
        return false;
    }
    char *text = text_format("%d %llu %s\n", (int)self.pid, self.start_ticks, self.boot);
    const bool ok = demo_write(pid_path, text, NULL, &error);
    free(text);
    return ok;
}

/* In the child: never returns. */
static void become_program(const struct demo *demo, const struct demo_process *process,
                           const char *notify)
{
    const int log = open(process->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;
    sigemptyset(&none);
    if (setsid() < 0 || log < 0 || null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 ||
        dup2(log, 2) < 0 || chdir(demo->folder) != 0 ||
        (process->pid_path != NULL && !write_pid_file(process->pid_path))) {
        dprintf(2, "cannot prepare %s: %s\n", process->title, strerror(errno));
        _exit(EX_OSERR);
    }
    if (notify != NULL) {
        setenv("NOTIFY_SOCKET", notify, 1);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    /* argv is only lent to exec, which does not write through it. */
    char **argv = (char **)(uintptr_t)process->argv;
    if (process->program_fd >= 0) {
        fexecve(process->program_fd, argv, environ);
    } else {
        execv(argv[0], argv);
    }
    dprintf(2, "cannot execute %s: %s\n", argv[0], strerror(errno));
    _exit(EX_OSERR);
}

/* The end of a log, indented, for an error that a person reads. */
static void show_log(const char *log_path)
{
    char text[LOG_TAIL_BYTES + 1];
    const int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    const off_t size = lseek(fd, 0, SEEK_END);
    const ssize_t got =
        pread(fd, text, LOG_TAIL_BYTES, size > LOG_TAIL_BYTES ? size - LOG_TAIL_BYTES : 0);
    close(fd);
    if (got > 0) {
        text[got] = 0;
        fprintf(stderr, "the end of %s:\n%s\n", log_path, text);
    }
}

static int notify_open(const struct demo *demo, char ret_path[DEMO_SOCKET_SIZE + 32])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(ret_path, DEMO_SOCKET_SIZE + 32, "%s/notify-%d", demo->sockets, (int)getpid());
    snprintf(address.sun_path, sizeof address.sun_path, "%s", ret_path);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(ret_path);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Reads what has come; true if READY=1 was among it. */
static bool notify_is_ready(int fd)
{
    char text[4096];
    bool is_ready = false;
    for (int messages = 0; messages < 64; messages++) {
        const ssize_t size = recv(fd, text, sizeof text - 1, 0);
        if (size < 0) {
            break;
        }
        text[size] = 0;
        is_ready =
            is_ready || strncmp(text, "READY=1", 7) == 0 || strstr(text, "\nREADY=1") != NULL;
    }
    return is_ready;
}

static bool wait_ready(const struct demo_process *process, pid_t pid, int notify,
                       struct error *ret_error)
{
    const uint64_t until_ms = clock_monotonic_ms() + START_TIMEOUT_MS;
    const int pidfd = pidfd_open(pid, 0);
    bool is_ready = false;
    bool has_ended = false;
    while (pidfd >= 0 && !is_ready && !has_ended) {
        const uint64_t now_ms = clock_monotonic_ms();
        struct pollfd waits[2] = {{.fd = notify, .events = POLLIN},
                                  {.fd = pidfd, .events = POLLIN}};
        if (now_ms >= until_ms ||
            (poll(waits, 2, (int)(until_ms - now_ms)) < 0 && errno != EINTR)) {
            break;
        }
        is_ready = notify_is_ready(notify);
        has_ended = (waits[1].revents & POLLIN) != 0;
    }
    if (pidfd >= 0) {
        close(pidfd);
    }
    if (is_ready && !has_ended) {
        return true;
    }
    if (!has_ended) {
        kill(pid, SIGKILL);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    show_log(process->log_path);
    return error_set(ret_error, ERROR_SYSTEM, "%s %s", process->title,
                     has_ended ? "ended as soon as it was started" : "is not ready in time");
}

bool demo_process_start(const struct demo *demo, const struct demo_process *process,
                        struct error *ret_error)
{
    char path[DEMO_SOCKET_SIZE + 32];
    const int notify = notify_open(demo, path);
    if (notify < 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "%s", path);
    }
    const pid_t pid = fork();
    if (pid == 0) {
        become_program(demo, process, path);
    }
    bool ok = pid > 0 || error_set_errno(ret_error, ERROR_SYSTEM, errno, "fork");
    ok = ok && wait_ready(process, pid, notify, ret_error);
    close(notify);
    unlink(path);
    if (!ok && process->pid_path != NULL) {
        unlink(process->pid_path);
    }
    return ok;
}

bool demo_process_run(const struct demo_process *process, struct error *ret_error)
{
    struct demo here = {.folder = "/"};
    const pid_t pid = fork();
    if (pid == 0) {
        become_program(&here, process, NULL);
    }
    if (pid < 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "fork");
    }
    const int pidfd = pidfd_open(pid, 0);
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};
    int result = 0;
    do {
        result = poll(&wait, 1, RUN_TIMEOUT_MS);
    } while (result < 0 && errno == EINTR);
    close(pidfd);
    if (result != 1) {
        kill(pid, SIGKILL);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    show_log(process->log_path);
    return error_set(ret_error, ERROR_SYSTEM, "%s failed", process->title);
}

/* Signals through the pidfd, which cannot be another process's by then. */
static bool signal_and_wait(int pidfd, int signal_number, int timeout_ms)
{
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};
    if (pidfd_send_signal(pidfd, signal_number, NULL, 0) != 0 && errno == ESRCH) {
        return true;
    }
    int result = 0;
    do {
        result = poll(&wait, 1, timeout_ms);
    } while (result < 0 && errno == EINTR);
    return result == 1;
}

bool demo_process_stop(const char *title, const char *pid_path, int first, int second,
                       int timeout_ms, struct error *ret_error)
{
    const pid_t pid = process_of_file(pid_path);
    const int pidfd = pid != 0 ? pidfd_open(pid, 0) : -1;
    /* Asked again with the pidfd in hand: now the answer cannot become stale. */
    if (pidfd < 0 || process_of_file(pid_path) != pid) {
        if (pidfd >= 0) {
            close(pidfd);
        }
        unlink(pid_path);
        return true;
    }
    /* A process stopped by a fault point must run to end. */
    pidfd_send_signal(pidfd, SIGCONT, NULL, 0);
    const bool ended = signal_and_wait(pidfd, first, timeout_ms) ||
                       signal_and_wait(pidfd, second, timeout_ms) ||
                       signal_and_wait(pidfd, SIGKILL, timeout_ms);
    close(pidfd);
    if (!ended) {
        return error_set(ret_error, ERROR_SYSTEM, "%s (pid %d) does not end", title, (int)pid);
    }
    unlink(pid_path);
    return true;
}

/* A process whose working directory is the folder: 0 if there is none. */
static pid_t process_in_folder(const char *folder)
{
    DIR *proc = opendir("/proc");
    pid_t found = 0;
    struct dirent *entry = NULL;
    while (proc != NULL && found == 0 && (entry = readdir(proc)) != NULL) {
        char path[300];
        char target[PATH_MAX];
        if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name)) {
            continue;
        }
        snprintf(path, sizeof path, "/proc/%s/cwd", entry->d_name);
        const ssize_t size = readlink(path, target, sizeof target - 1);
        if (size > 0) {
            target[size] = 0;
            found = strcmp(target, folder) == 0 ? (pid_t)atoi(entry->d_name) : 0;
        }
    }
    if (proc != NULL) {
        closedir(proc);
    }
    return found;
}

bool demo_process_wait_folder(const char *folder, struct error *ret_error)
{
    const uint64_t until_ms = clock_monotonic_ms() + START_TIMEOUT_MS;
    pid_t pid = 0;
    while ((pid = process_in_folder(folder)) != 0) {
        const uint64_t now_ms = clock_monotonic_ms();
        const int pidfd = pidfd_open(pid, 0);
        struct pollfd wait = {.fd = pidfd, .events = POLLIN};
        if (pidfd < 0) {
            continue; /* it ended meanwhile */
        }
        const int result = now_ms < until_ms ? poll(&wait, 1, (int)(until_ms - now_ms)) : 0;
        close(pidfd);
        if (result == 0) {
            return error_set(ret_error, ERROR_UNAVAILABLE, "process %d still works in %s", (int)pid,
                             folder);
        }
    }
    return true;
}
