/* watch.c - see watch.h. */
#include "tests/mutants/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What is asked to end has so long before it is made to. */
#define GRACE_S 10

static void watched_signals(sigset_t *ret_set)
{
    (void)sigemptyset(ret_set);
    (void)sigaddset(ret_set, SIGINT);
    (void)sigaddset(ret_set, SIGTERM);
    (void)sigaddset(ret_set, SIGHUP);
    (void)sigaddset(ret_set, SIGCHLD);
}

/* The child's whole life. */
_Noreturn static void child_main(int (*work)(void *argument), void *argument,
                                 const sigset_t *old_mask)
{
    (void)setpgid(0, 0);                    /* a terminal speaks to who watches, alone */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* who watches may be killed itself */
    (void)sigprocmask(SIG_SETMASK, old_mask, NULL);
    int status = work(argument);
    (void)fflush(NULL);
    _exit(status);
}

struct watch {
    pid_t child;
    bool has_ended; /* the child; what it has started may go on */
    int status;
    int signal; /* that this process got; 0: none */
};

/* To all that is this process's child: the work, or what it has started and left behind, in whatever group that is. What
 * those have started comes to this process in turn, when they are gone. */
static void watch_kill(int signal_number)
{
    char path[64], line[4096];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    size_t length = fread(line, 1, sizeof line - 1, file);
    (void)fclose(file);
    line[length] = '\0';
    char *end = NULL;
    for (const char *at = line;; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at || *end == '\0') {
            return; /* each is followed by a blank; one that was cut off is not there as a whole */
        }
        (void)kill((pid_t)pid, signal_number);
    }
}

/* Learns what has ended. False once nothing of ours is left: orphans of the work are ours, too. */
static bool watch_reap(struct watch *watch)
{
    for (;;) {
        int ended = 0;
        pid_t pid = waitpid(-1, &ended, WNOHANG);
        if (pid == watch->child) {
            watch->has_ended = true;
            watch->status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
        } else if (pid <= 0) {
            return pid == 0;
        }
    }
}

static void watch_wait(struct watch *watch, const sigset_t *set)
{
    const struct timespec grace = {.tv_sec = GRACE_S};
    bool is_forced = false;
    while (watch_reap(watch)) {
        bool is_ending = watch->has_ended || watch->signal != 0;
        if (is_ending) { /* whoever has come to this process since the last time, too */
            watch_kill(is_forced ? SIGKILL : SIGTERM);
        }
        int got = is_ending ? sigtimedwait(set, NULL, &grace) : sigwaitinfo(set, NULL);
        if (got < 0 && errno == EAGAIN) {
            if (is_forced) {
                return; /* what does not end when it is killed will not */
            }
            is_forced = true;
        } else if (got > 0 && got != SIGCHLD) {
            is_forced = is_ending; /* twice is in earnest */
            watch->signal = got;
        }
    }
}

bool watch_run(int (*work)(void *argument), void *argument, int *ret_status, int *ret_signal,
               struct error *ret_error)
{
    sigset_t set, old_mask;
    struct watch watch = {0};
    watched_signals(&set);
    (void)sigprocmask(SIG_BLOCK, &set, &old_mask);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* or those that the work leaves behind were init's */
    (void)fflush(NULL);
    watch.child = fork();
    if (watch.child == 0) {
        child_main(work, argument, &old_mask);
    }
    if (watch.child < 0) {
        (void)error_set_errno(ret_error, ERROR_SYSTEM, errno, "cannot fork");
    } else {
        (void)setpgid(watch.child, watch.child); /* whoever comes first */
        watch_wait(&watch, &set);
    }
    (void)sigprocmask(SIG_SETMASK, &old_mask, NULL);
    *ret_status = watch.status;
    *ret_signal = watch.signal;
    return watch.child > 0;
}
