/*
 * process.c - fork and exec with care, and waiting on descriptors instead of sleeping.
 */
#include "tests/lib/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"

#define GROUPS_MAX 64
#define PORT_FIRST 12000
#define PORT_COUNT                                                                                 \
    14000 /* those above are the demos': free_port in tests/integration/demo_lib.sh */

struct process {
    pid_t pid;
    int pidfd;
    bool has_ended;
    int status; /* as of waitpid, once has_ended */
};

/* Everything the child needs, made before fork: behind it only async-signal-safe calls are allowed.
 */
struct launch {
    const struct process_options *options;
    char **argv; /* this and env: array owned, texts borrowed */
    char **env;
    bool changes_user;
    uid_t uid;
    gid_t gid;
    int group_count;
    gid_t groups[GROUPS_MAX];
    int stdout_fd;
    int stderr_fd;
    int report_fd; /* the child writes errno here if it cannot become the program */
    pid_t parent;
};

static size_t count_texts(char *const *texts)
{
    size_t count = 0;
    while (texts[count] != NULL) {
        count++;
    }
    return count;
}

static size_t count_const_texts(const char *const *texts)
{
    size_t count = 0;
    while (texts != NULL && texts[count] != NULL) {
        count++;
    }
    return count;
}

static bool same_variable(const char *a, const char *b)
{
    size_t name_length = strcspn(a, "=");
    return strncmp(a, b, name_length) == 0 && b[name_length] == '=';
}

static char *borrow_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } pun = {.in = text}; /* exec's interface lacks the const it keeps to */
    return pun.out;
}

/* The caller's environment with the additions in place of what they override. */
static char **merge_env(const char *const *additions)
{
    size_t added = count_const_texts(additions);
    char **merged = alloc_array(count_texts(environ) + added + 1, sizeof *merged);
    size_t count = 0;
    for (char **variable = environ; *variable != NULL; variable++) {
        bool is_overridden = false;
        for (size_t i = 0; i < added; i++) {
            is_overridden = is_overridden || same_variable(additions[i], *variable);
        }
        if (!is_overridden) {
            merged[count++] = *variable;
        }
    }
    for (size_t i = 0; i < added; i++) {
        merged[count++] = borrow_text(additions[i]);
    }
    return merged;
}

static char **borrow_argv(const char *const *argv)
{
    size_t count = count_const_texts(argv);
    char **borrowed = alloc_array(count + 1, sizeof *borrowed);
    for (size_t i = 0; i < count; i++) {
        borrowed[i] = borrow_text(argv[i]);
    }
    return borrowed;
}

static bool launch_find_user(struct launch *launch, struct error *ret_error)
{
    const char *user = launch->options->user;
    if (user == NULL) {
        return true;
    }
    errno = 0;
    const struct passwd *entry = getpwnam(user);
    if (entry == NULL) {
        return error_set(ret_error, ERROR_NOT_FOUND, "there is no user %s", user);
    }
    if (entry->pw_uid == geteuid()) {
        return true;
    }
    launch->changes_user = true;
    launch->uid = entry->pw_uid;
    launch->gid = entry->pw_gid;
    launch->group_count = GROUPS_MAX;
    if (getgrouplist(user, entry->pw_gid, launch->groups, &launch->group_count) < 0) {
        return error_set(ret_error, ERROR_LIMIT, "user %s is in more than %d groups", user,
                         GROUPS_MAX);
    }
    return true;
}

static bool open_output(const char *path, int *ret_fd, struct error *ret_error)
{
    const char *real_path = path == NULL ? "/dev/null" : path;
    int fd = open(real_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot open %s", real_path);
    }
    *ret_fd = fd;
    return true;
}

static _Noreturn void report_and_exit(const struct launch *launch)
{
    int errnum = errno;
    ssize_t written = write(launch->report_fd, &errnum, sizeof errnum);
    _exit(written == (ssize_t)sizeof errnum ? 127 : 126);
}

static void require(const struct launch *launch, bool succeeded)
{
    if (!succeeded) {
        report_and_exit(launch);
    }
}

static void reset_signals(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL); /* fails for some, which is fine */
    }
}

static _Noreturn void run_child(const struct launch *launch)
{
    const struct process_options *options = launch->options;
    reset_signals();
    /* Ctrl-C at a terminal is for whoever started this, who then ends it in order. */
    require(launch, setpgid(0, 0) == 0);
    if (launch->changes_user) {
        require(launch, setgroups((size_t)launch->group_count, launch->groups) == 0);
        require(launch, setgid(launch->gid) == 0);
        require(launch, setuid(launch->uid) == 0);
    }
    /* After the change of user, which clears it. The parent may be gone already: then nobody would
     * ever send the signal. */
    int death_signal = options->death_signal == 0 ? SIGKILL : options->death_signal;
    require(launch, prctl(PR_SET_PDEATHSIG, death_signal) == 0);
    if (getppid() != launch->parent) {
        _exit(126);
    }
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    require(launch, null_fd >= 0);
    require(launch, dup2(null_fd, STDIN_FILENO) >= 0);
    require(launch, dup2(launch->stdout_fd, STDOUT_FILENO) >= 0);
    require(launch, dup2(launch->stderr_fd, STDERR_FILENO) >= 0);
    if (options->kept_fd > STDERR_FILENO) {
        require(launch, fcntl(options->kept_fd, F_SETFD, 0) == 0);
    }
    if (options->folder != NULL) {
        require(launch, chdir(options->folder) == 0);
    }
    (void)execvpe(launch->argv[0], launch->argv, launch->env);
    report_and_exit(launch);
}

static void launch_done(struct launch *launch)
{
    int fds[] = {launch->stdout_fd, launch->stderr_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    free(launch->argv);
    free(launch->env);
}

/* Waits until the child has become the program (the pipe closes by itself) or has said why it
 * cannot. */
static bool await_exec(int report_fd, const char *program, struct error *ret_error)
{
    int errnum = 0;
    ssize_t got;
    do {
        got = read(report_fd, &errnum, sizeof errnum);
    } while (got < 0 && errno == EINTR);
    if (got == 0) {
        return true;
    }
    return error_set_errno(ret_error, ERROR_SYSTEM, got == (ssize_t)sizeof errnum ? errnum : EIO,
                           "cannot execute %s", program);
}

static bool launch_fork(struct launch *launch, struct process **ret_process,
                        struct error *ret_error)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot make a pipe");
    }
    launch->report_fd = report[1];
    launch->parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        run_child(launch);
    }
    int fork_errno = errno;
    (void)close(report[1]);
    if (pid < 0) {
        (void)close(report[0]);
        return error_set_errno(ret_error, ERROR_SYSTEM, fork_errno, "cannot fork");
    }
    struct process *process = alloc_zeroed(sizeof *process);
    process->pid = pid;
    process->pidfd = pidfd_open(pid, 0); /* close-on-exec by definition */
    bool succeeded = process->pidfd >= 0;
    if (!succeeded) {
        (void)error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot open a pidfd");
    }
    succeeded = succeeded && await_exec(report[0], launch->options->argv[0], ret_error);
    (void)close(report[0]);
    if (!succeeded) {
        process_free(process);
        return false;
    }
    *ret_process = process;
    return true;
}

bool process_start(const struct process_options *options, struct process **ret_process,
                   struct error *ret_error)
{
    struct launch launch = {.options = options, .stdout_fd = -1, .stderr_fd = -1};
    bool succeeded = launch_find_user(&launch, ret_error) &&
                     open_output(options->stdout_path, &launch.stdout_fd, ret_error) &&
                     open_output(options->stderr_path, &launch.stderr_fd, ret_error);
    if (succeeded) {
        launch.argv = borrow_argv(options->argv);
        launch.env = merge_env(options->env);
        succeeded = launch_fork(&launch, ret_process, ret_error);
    }
    launch_done(&launch);
    return succeeded;
}

void process_free(struct process *process)
{
    if (process == NULL) {
        return;
    }
    process_signal(process, SIGKILL);
    if (!process->has_ended) {
        pid_t waited;
        do {
            waited = waitpid(process->pid, NULL, 0);
        } while (waited < 0 && errno == EINTR);
    }
    if (process->pidfd >= 0) {
        (void)close(process->pidfd);
    }
    free(process);
}

pid_t process_pid(const struct process *process)
{
    return process->pid;
}

bool process_is_stopped(const struct process *process)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)process->pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == process->pid;
}

void process_signal(struct process *process, int signal_number)
{
    /* Our own unwaited child: the pid cannot have gone to anybody else. */
    if (!process->has_ended) {
        (void)kill(process->pid, signal_number);
    }
}

/* How long poll may wait, in its own unit. */
static int poll_timeout(uint64_t deadline_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (deadline_ms <= now_ms) {
        return 0;
    }
    return deadline_ms - now_ms > INT_MAX ? INT_MAX : (int)(deadline_ms - now_ms);
}

bool process_wait(struct process *process, uint64_t deadline_ms, int *ret_status)
{
    while (!process->has_ended) {
        struct pollfd ended = {.fd = process->pidfd, .events = POLLIN};
        int ready = poll(&ended, 1, poll_timeout(deadline_ms));
        if (ready > 0 && waitpid(process->pid, &process->status, 0) == process->pid) {
            process->has_ended = true;
        } else if (ready == 0) {
            return false;
        }
    }
    if (ret_status != NULL) {
        *ret_status = process->status;
    }
    return true;
}

/* A file that grows, read line by line. */
struct line_search {
    FILE *file;
    const char *wanted;
    char *line; /* getline's */
    size_t line_capacity;
    off_t offset; /* behind the last whole line */
};

/* Looks at the whole lines that are there now. */
static bool search_lines(struct line_search *search)
{
    clearerr(search->file);
    if (fseeko(search->file, search->offset, SEEK_SET) != 0) {
        return false;
    }
    ssize_t length;
    while ((length = getline(&search->line, &search->line_capacity, search->file)) > 0) {
        if (search->line[length - 1] != '\n') {
            break; /* still being written */
        }
        search->offset += length;
        search->line[length - 1] = '\0';
        if (strstr(search->line, search->wanted) != NULL) {
            return true;
        }
    }
    return false;
}

enum wait_result { WAIT_CHANGED, WAIT_ENDED, WAIT_DEADLINE };

static enum wait_result wait_change(int watch_fd, const struct process *process,
                                    uint64_t deadline_ms)
{
    struct pollfd events[2] = {
        {.fd = watch_fd, .events = POLLIN},
        {.fd = process == NULL ? -1 : process->pidfd, .events = POLLIN},
    };
    int ready;
    do {
        ready = poll(events, 2, poll_timeout(deadline_ms));
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) {
        return WAIT_DEADLINE;
    }
    if ((events[0].revents & POLLIN) != 0) {
        char drained[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t got = read(watch_fd, drained, sizeof drained);
        (void)got; /* that something changed is all we want to know */
        return WAIT_CHANGED;
    }
    return WAIT_ENDED;
}

/* The watch is in place before the first look, so no line can slip through between the two. */
static bool search_until(struct line_search *search, struct process *process, int watch_fd,
                         uint64_t deadline_ms, const char *path, struct error *ret_error)
{
    while (!search_lines(search)) {
        switch (wait_change(watch_fd, process, deadline_ms)) {
        case WAIT_CHANGED:
            break;
        case WAIT_ENDED:
            return search_lines(search) ||
                   error_set(ret_error, ERROR_UNAVAILABLE,
                             "the process ended before it wrote \"%s\" to %s", search->wanted,
                             path);
        case WAIT_DEADLINE:
            return search_lines(search) ||
                   error_set(ret_error, ERROR_UNAVAILABLE,
                             "no line with \"%s\" in %s until the deadline", search->wanted, path);
        }
    }
    return true;
}

bool process_wait_line(struct process *process, const char *path, off_t offset, const char *wanted,
                       uint64_t deadline_ms, char *ret_line, size_t line_size, off_t *ret_offset,
                       struct error *ret_error)
{
    int watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch_fd < 0) {
        return error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot use inotify");
    }
    struct line_search search = {.file = fopen(path, "re"), .wanted = wanted, .offset = offset};
    bool succeeded;
    if (search.file == NULL || inotify_add_watch(watch_fd, path, IN_MODIFY) < 0) {
        succeeded = error_set_errno(ret_error, ERROR_IO, errno, "cannot watch %s", path);
    } else {
        succeeded = search_until(&search, process, watch_fd, deadline_ms, path, ret_error);
    }
    if (succeeded && ret_line != NULL) {
        (void)snprintf(ret_line, line_size, "%s", search.line);
    }
    if (succeeded && ret_offset != NULL) {
        *ret_offset = search.offset;
    }
    if (search.file != NULL) {
        (void)fclose(search.file);
    }
    free(search.line);
    (void)close(watch_fd);
    return succeeded;
}

bool process_run(const struct process_options *options, uint64_t deadline_ms, int *ret_exit_code,
                 struct error *ret_error)
{
    struct process *process;
    if (!process_start(options, &process, ret_error)) {
        return false;
    }
    int status = 0;
    bool succeeded = process_wait(process, deadline_ms, &status);
    if (!succeeded) {
        (void)error_set(ret_error, ERROR_UNAVAILABLE, "%s did not end in time", options->argv[0]);
    } else if (!WIFEXITED(status)) {
        succeeded = error_set(ret_error, ERROR_SYSTEM, "%s was ended by signal %d",
                              options->argv[0], WTERMSIG(status));
    } else {
        *ret_exit_code = WEXITSTATUS(status);
    }
    process_free(process);
    return succeeded;
}

bool process_read_file(const char *path, size_t limit_bytes, char **ret_text,
                       struct error *ret_error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot open %s", path);
    }
    char *text = alloc_zeroed(limit_bytes + 1);
    size_t length = fread(text, 1, limit_bytes + 1, file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    if (failed || length > limit_bytes) {
        free(text);
        return failed ? error_set(ret_error, ERROR_IO, "cannot read %s", path)
                      : error_set(ret_error, ERROR_LIMIT, "%s is longer than %zu bytes", path,
                                  limit_bytes);
    }
    *ret_text = text;
    return true;
}

static bool port_is_free(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_free;
}

/* Below the range that the kernel gives to outgoing connections: who dials a port on which nobody
 * listens at the moment could otherwise be given that very port, and talk to itself; and a server
 * that is started again could find its port taken. */
bool process_free_port(uint16_t *ret_port, struct error *ret_error)
{
    static unsigned next;
    for (unsigned tries = 0; tries < 2000; tries++) {
        uint16_t port = (uint16_t)(PORT_FIRST + ((unsigned)getpid() * 37 + next++) % PORT_COUNT);
        if (port_is_free(port)) {
            *ret_port = port;
            return true;
        }
    }
    return error_set(ret_error, ERROR_UNAVAILABLE, "no free port");
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)place;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

bool process_remove_folder(const char *path, struct error *ret_error)
{
    if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot remove %s", path);
    }
    return true;
}
