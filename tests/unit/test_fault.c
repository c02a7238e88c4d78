/*
 * test_fault.c - fault points: inert until armed, act on the n-th hit, and leave a trace of every
 * hit.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/fault.h"

static char folder[64];
static char trace_path[96];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/assent-fault-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(trace_path, sizeof trace_path, "%s/trace", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(trace_path);
    return rmdir(folder);
}

static void read_trace(char *ret_text, size_t size_bytes)
{
    FILE *file = fopen(trace_path, "re");
    assert_non_null(file);
    size_t length = fread(ret_text, 1, size_bytes - 1, file);
    ret_text[length] = '\0';
    (void)fclose(file);
}

/* Every point has a name that follows its side's prefix, and no two are the same. */
static void test_fault_names_are_distinct(void **state)
{
    (void)state;
    for (int i = 0; i < FAULT_POINT_COUNT; i++) {
        const char *name = fault_point_name((enum fault_point)i);
        assert_true(strncmp(name, "c.", 2) == 0 || strncmp(name, "a.", 2) == 0);
        assert_true(strlen(fault_point_text((enum fault_point)i)) > 0);
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(name, fault_point_name((enum fault_point)k));
        }
    }
}

/* A spec that is not NAME[:ACTION[:N]] is refused with a text, and nothing is armed. */
static void test_fault_arm_bad_spec_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "c.nowhere",
        "c.accep",
        "c.acceptx",
        "c.accept:",
        "c.accept:explode",
        "c.accept:kill:",
        "c.accept:kill:0",
        "c.accept:kill:x",
        "c.accept:kill:-1",
        "c.accept:kill:1x",
        "c.accept:kill: 1",
        "c.accept:kill:99999999999999999999",
        "c.accept:kill:1:1",
        "*",
        "*:kill",
        "**:trace",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error error = {.kind = ERROR_NONE};
        if (fault_arm(bad[i], NULL, &error) || error.kind != ERROR_INVALID) {
            fail_msg("accepted \"%s\"", bad[i]);
        }
    }
    assert_false(fault_armed);
}

/* A trace file that cannot be opened is an error of its own. */
static void test_fault_arm_bad_trace_is_refused(void **state)
{
    (void)state;
    struct error error;
    assert_false(fault_arm("c.accept", "/nonexistent/trace", &error));
    assert_int_equal(error.kind, ERROR_IO);
    assert_false(fault_armed);
}

/* In a child: arms, then passes the two points three times each. Exits 7 if it survives. */
static pid_t start_child(const char *spec)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!fault_arm(spec, trace_path, NULL)) {
            _exit(1);
        }
        for (int i = 0; i < 3; i++) {
            FAULT(FAULT_A_BEGIN);
            FAULT(FAULT_A_STMT);
        }
        _exit(7);
    }
    return child;
}

/* Without an action the process is killed at the first hit, after the trace line. */
static void test_fault_default_kills_at_first_hit(void **state)
{
    (void)state;
    char trace[256];
    int status;
    pid_t child = start_child("a.stmt");
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    read_trace(trace, sizeof trace);
    assert_string_equal(trace, "a.stmt 1\n");
}

/* With a count it dies at exactly that hit; the earlier ones are in the trace as well. */
static void test_fault_count_kills_at_nth_hit(void **state)
{
    (void)state;
    char trace[256];
    int status;
    pid_t child = start_child("a.begin:kill:3");
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    read_trace(trace, sizeof trace);
    assert_string_equal(trace, "a.begin 1\na.begin 2\na.begin 3\n");
}

/* A count that is never reached leaves the process alone. */
static void test_fault_count_not_reached_survives(void **state)
{
    (void)state;
    int status;
    pid_t child = start_child("a.begin:kill:4");
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* stop halts the process at the point, and it goes on from there when continued. */
static void test_fault_stop_halts_until_continued(void **state)
{
    (void)state;
    char trace[256];
    int status;
    pid_t child = start_child("a.stmt:stop:2");
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    read_trace(trace, sizeof trace);
    assert_string_equal(trace, "a.stmt 1\na.stmt 2\n");
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void *hit_begin(void *user)
{
    (void)user;
    FAULT(FAULT_A_BEGIN);
    return NULL; /* it went on */
}

/* hang keeps the thread that came to the point, and no other. */
static void test_fault_hang_keeps_one_thread(void **state)
{
    (void)state;
    char trace[256];
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pthread_t thread;
        struct timespec deadline;
        if (!fault_arm("a.begin:hang", trace_path, NULL) ||
            clock_gettime(CLOCK_REALTIME, &deadline) != 0 ||
            pthread_create(&thread, NULL, hit_begin, NULL) != 0) {
            _exit(1);
        }
        deadline.tv_sec += 1; /* far longer than the thread needs to end if it does not hang */
        _exit(pthread_timedjoin_np(thread, NULL, &deadline) == ETIMEDOUT ? 7 : 8);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    read_trace(trace, sizeof trace);
    assert_string_equal(trace, "a.begin 1\n");
}

/* All points can be traced at once; nothing acts. The number counts all of them together. */
static void test_fault_trace_of_all_acts_nowhere(void **state)
{
    (void)state;
    char trace[256];
    int status;
    pid_t child = start_child("*:trace");
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    read_trace(trace, sizeof trace);
    assert_string_equal(trace, "a.begin 1\na.stmt 2\na.begin 3\na.stmt 4\na.begin 5\na.stmt 6\n");
}

/* An unarmed process passes every point. */
static void test_fault_unarmed_is_inert(void **state)
{
    (void)state;
    assert_false(fault_armed);
    FAULT(FAULT_A_BEGIN);
    FAULT(FAULT_C_ACCEPT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fault_names_are_distinct),         TEST(test_fault_arm_bad_spec_is_refused),
        TEST(test_fault_arm_bad_trace_is_refused),   TEST(test_fault_default_kills_at_first_hit),
        TEST(test_fault_count_kills_at_nth_hit),     TEST(test_fault_count_not_reached_survives),
        TEST(test_fault_stop_halts_until_continued), TEST(test_fault_hang_keeps_one_thread),
        TEST(test_fault_unarmed_is_inert),           TEST(test_fault_trace_of_all_acts_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
