/*
 * stack_daemon.c - the daemons of a stack: start, signals, end, and whether they are ready. See
 * stack.h.
 */
#include "tests/lib/stack.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/lib/stack_internal.h"

#define ARGS_MAX        24
#define POLL_MS         20
#define LOG_LIMIT_BYTES ((size_t)64 * 1024 * 1024)

void stack_set_env(struct stack *stack, const char *const *env)
{
    stack->env = env;
}

struct stack_daemon *stack_coordinator(struct stack *stack)
{
    return &stack->coordinator;
}

struct stack_daemon *stack_agent(struct stack *stack, size_t index)
{
    return &stack->members[index].agent;
}

const char *stack_daemon_name(const struct stack_daemon *daemon)
{
    return daemon->name;
}

const char *stack_daemon_config_path(const struct stack_daemon *daemon)
{
    return daemon->config_path;
}

const char *stack_daemon_log_path(const struct stack_daemon *daemon)
{
    return daemon->log_path;
}

off_t stack_daemon_log_size(const struct stack_daemon *daemon)
{
    struct stat status;
    return stat(daemon->log_path, &status) == 0 ? status.st_size : 0;
}

bool stack_daemon_runs(const struct stack_daemon *daemon)
{
    return daemon->process != NULL;
}

pid_t stack_daemon_pid(const struct stack_daemon *daemon)
{
    return daemon->process == NULL ? 0 : process_pid(daemon->process);
}

bool stack_daemon_start(struct stack_daemon *daemon, const char *const *more_args,
                        struct error *ret_error)
{
    if (daemon->process != NULL) {
        return error_set(ret_error, ERROR_INVALID, "%s runs already", daemon->name);
    }
    const char *argv[ARGS_MAX] = {daemon->program, "--config", daemon->config_path};
    size_t count = 3;
    for (size_t i = 0; more_args != NULL && more_args[i] != NULL; i++) {
        if (count + 1 == ARGS_MAX) {
            return error_set(ret_error, ERROR_LIMIT, "too many arguments");
        }
        argv[count++] = more_args[i];
    }
    const struct process_options options = {.argv = argv,
                                            .env = daemon->stack->env,
                                            .user = daemon->stack->os_user,
                                            .folder = daemon->stack->folder,
                                            .stdout_path = daemon->log_path,
                                            .stderr_path = daemon->log_path};
    return process_start(&options, &daemon->process, ret_error);
}

bool stack_daemon_start_faulty(struct stack_daemon *daemon, const char *spec,
                               struct error *ret_error)
{
    if (unlink(daemon->trace_path) != 0 && errno != ENOENT) {
        return error_set_errno(ret_error, ERROR_IO, errno, "cannot remove %s", daemon->trace_path);
    }
    const char *const args[] = {"--enable-fault-points", "--fault-point",    spec,
                                "--fault-trace",         daemon->trace_path, NULL};
    return stack_daemon_start(daemon, args, ret_error);
}

size_t stack_daemon_fault_count(const struct stack_daemon *daemon, const char *point)
{
    char *text = NULL;
    if (!process_read_file(daemon->trace_path, LOG_LIMIT_BYTES, &text, NULL)) {
        return 0; /* never started with a trace */
    }
    size_t lines = 0;
    const size_t length = strlen(point);
    const char *line = text;
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        if (length == 0 || (strncmp(line, point, length) == 0 && line[length] == ' ')) {
            lines++;
        }
    }
    free(text);
    return lines;
}

size_t stack_daemon_fault_hits(const struct stack_daemon *daemon)
{
    return stack_daemon_fault_count(daemon, "");
}

bool stack_daemon_is_stopped(const struct stack_daemon *daemon)
{
    return daemon->process != NULL && process_is_stopped(daemon->process);
}

void stack_daemon_signal(struct stack_daemon *daemon, int signal_number)
{
    if (daemon->process != NULL) {
        process_signal(daemon->process, signal_number);
    }
}

bool stack_daemon_wait(struct stack_daemon *daemon, uint64_t deadline_ms, int *ret_status)
{
    if (daemon->process == NULL || !process_wait(daemon->process, deadline_ms, ret_status)) {
        return false;
    }
    process_free(daemon->process);
    daemon->process = NULL;
    return true;
}

bool stack_daemon_stop(struct stack_daemon *daemon, struct error *ret_error)
{
    int status = 0;
    if (daemon->process == NULL) {
        return error_set(ret_error, ERROR_INVALID, "%s does not run", daemon->name);
    }
    process_signal(daemon->process, SIGTERM);
    if (!stack_daemon_wait(daemon, clock_monotonic_ms() + STACK_PATIENCE_MS, &status)) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "%s does not end after SIGTERM",
                         daemon->name);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return error_set(ret_error, ERROR_SYSTEM, "%s ended with %s %d after SIGTERM", daemon->name,
                         WIFEXITED(status) ? "code" : "signal",
                         WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
    return true;
}

void stack_daemon_kill(struct stack_daemon *daemon)
{
    process_free(daemon->process);
    daemon->process = NULL;
}

bool stack_daemon_wait_line(struct stack_daemon *daemon, off_t offset, const char *wanted,
                            uint64_t deadline_ms, struct error *ret_error)
{
    return process_wait_line(daemon->process, daemon->log_path, offset, wanted, deadline_ms, NULL,
                             0, NULL, ret_error);
}

bool stack_daemon_log_contains(const struct stack_daemon *daemon, off_t offset, const char *wanted)
{
    char *text = NULL;
    if (!process_read_file(daemon->log_path, LOG_LIMIT_BYTES, &text, NULL)) {
        return false;
    }
    bool found = (size_t)offset <= strlen(text) && strstr(text + offset, wanted) != NULL;
    free(text);
    return found;
}

bool stack_poll(struct stack_daemon *daemon, uint64_t deadline_ms, bool (*check)(void *user),
                void *user)
{
    while (!check(user)) {
        uint64_t now_ms = clock_monotonic_ms();
        if (now_ms >= deadline_ms) {
            return false;
        }
        if (daemon == NULL) {
            const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
            (void)nanosleep(&pause, NULL);
        } else if (daemon->process == NULL ||
                   process_wait(daemon->process, now_ms + POLL_MS, NULL)) {
            return check(user);
        }
    }
    return true;
}

static bool is_ready(void *user)
{
    struct http_reply reply;
    if (!stack_http(user, "/readyz", NULL, NULL, &reply, NULL)) {
        return false;
    }
    bool ready = reply.status == 200;
    http_reply_done(&reply);
    return ready;
}

/* Why it is not ready, as far as it says so itself. */
static void explain(struct stack *stack, struct error *ret_error)
{
    struct http_reply reply;
    if (stack_http(stack, "/readyz", NULL, NULL, &reply, NULL)) {
        (void)error_set(ret_error, ERROR_UNAVAILABLE, "assentd is not ready: %.300s", reply.body);
        http_reply_done(&reply);
    } else {
        (void)error_set(ret_error, ERROR_UNAVAILABLE, "assentd does not answer (its log: %s)",
                        stack->coordinator.log_path);
    }
}

bool stack_wait_ready(struct stack *stack, uint64_t deadline_ms, struct error *ret_error)
{
    if (!stack_poll(&stack->coordinator, deadline_ms, is_ready, stack)) {
        explain(stack, ret_error);
        return false;
    }
    return true;
}

bool stack_start(struct stack *stack, struct error *ret_error)
{
    for (size_t i = 0; i < stack->member_count; i++) {
        struct stack_daemon *agent = &stack->members[i].agent;
        if (agent->process == NULL && !stack_daemon_start(agent, NULL, ret_error)) {
            return false;
        }
    }
    if (stack->coordinator.process == NULL &&
        !stack_daemon_start(&stack->coordinator, NULL, ret_error)) {
        return false;
    }
    return stack_wait_ready(stack, clock_monotonic_ms() + STACK_PATIENCE_MS, ret_error);
}
