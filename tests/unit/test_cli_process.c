/* test_cli_process.c - a demo's daemon that is killed is there until its last thread has gone, and its ports with it. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/demo.h"
#include "tests/lib/test.h"

/* Of files that are not linked: what starts a daemon, which is not done here. */
bool demo_write(const char *path, const char *text, bool *ret_changed, struct error *ret_error)
{
    (void)path;
    (void)text;
    (void)ret_changed;
    return error_set(ret_error, ERROR_SYSTEM, "not linked");
}

char *text_format(const char *format, ...)
{
    fail_msg("not linked: %s", format);
    return NULL;
}

static int release_fd = -1; /* closed: the child's last thread ends */

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

/* Who waits with time to spare lets the child end: so the test needs no time of its own. */
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    if (timeout_ms > 0 && release_fd >= 0) {
        close(release_fd);
        release_fd = -1;
    }
    return __real_poll(fds, count, timeout_ms);
}

static void *outlive_main(void *argument)
{
    const int *fd = argument;
    char byte;
    (void)!read(*fd, &byte, 1); /* until nobody can write any more */
    _exit(0);
}

/* A process whose first thread has ended and whose second has not, as one may look for a moment that was killed. */
static pid_t start_half_ended(void)
{
    static int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        pthread_t other;
        close(ends[1]);
        if (pthread_create(&other, NULL, outlive_main, &ends[0]) != 0) {
            _exit(1);
        }
        pthread_exit(NULL);
    }
    close(ends[0]);
    release_fd = ends[1];
    return pid;
}

/* The text of /proc/PID/stat behind the name: state first, start time 20th. Waits until the state is Z. */
static unsigned long long wait_zombie(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    for (;;) { /* bounded by the test's time limit */
        char text[1024] = "";
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        assert_non_null(fgets(text, sizeof text, file));
        fclose(file);
        char *at = strrchr(text, ')');
        assert_non_null(at);
        if (at[2] != 'Z') {
            sched_yield();
            continue;
        }
        char *save = NULL;
        const char *field = strtok_r(at + 1, " ", &save);
        for (int i = 0; i < 19 && field != NULL; i++) {
            field = strtok_r(NULL, " ", &save);
        }
        assert_non_null(field);
        return strtoull(field, NULL, 10);
    }
}

static void write_pid_file_of(pid_t pid, const char *path)
{
    char boot[64] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    assert_non_null(file);
    assert_non_null(fgets(boot, sizeof boot, file));
    fclose(file);
    file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "%d %llu %s", (int)pid, wait_zombie(pid), boot);
    assert_int_equal(fclose(file), 0);
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    return info.si_pid == pid;
}

static void collect(pid_t pid)
{
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static char *make_pid_path(void)
{
    static char path[] = "/tmp/assent-test-pid-XXXXXX";
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return path;
}

static void test_process_is_not_found_while_it_ends(void **state)
{
    (void)state;
    char *path = make_pid_path();
    const pid_t pid = start_half_ended();
    write_pid_file_of(pid, path);
    assert_int_equal(demo_process_find(path), 0);
    assert_false(has_ended(pid)); /* it was asked for in that very state */
    close(release_fd);
    release_fd = -1;
    collect(pid);
    unlink(path);
}

static void test_wake_waits_for_the_last_thread(void **state)
{
    (void)state;
    char *path = make_pid_path();
    const pid_t pid = start_half_ended();
    write_pid_file_of(pid, path);
    assert_int_equal(demo_process_wake(path), 0);
    assert_true(has_ended(pid));
    collect(pid);
    unlink(path);
}

static void test_stop_waits_for_the_last_thread(void **state)
{
    (void)state;
    struct error error = {0};
    char *path = make_pid_path();
    const pid_t pid = start_half_ended();
    write_pid_file_of(pid, path);
    assert_true(demo_process_stop("it", path, SIGCONT, SIGKILL, 10000, &error));
    assert_true(has_ended(pid));
    collect(pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process_is_not_found_while_it_ends),
        cmocka_unit_test(test_wake_waits_for_the_last_thread),
        cmocka_unit_test(test_stop_waits_for_the_last_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
