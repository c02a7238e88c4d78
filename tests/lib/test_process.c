/*
 * test_process.c - the process helper itself: starting, output, environment, waiting, and no
 * orphans.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/lib/process.h"

#define SOON(ms_) (clock_monotonic_ms() + (ms_))

static char folder[64];
static char out_path[96];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/assent-process-XXXXXX");
    if (mkdtemp(folder) == NULL || chmod(folder, 0755) != 0) {
        return -1;
    }
    (void)snprintf(out_path, sizeof out_path, "%s/out", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return process_remove_folder(folder, NULL) ? 0 : -1;
}

static struct process *start_shell(const char *script)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct process *process;
    struct error error;
    assert_success(process_start(&(struct process_options){.argv = argv,
                                                           .stdout_path = out_path,
                                                           .stderr_path = out_path},
                                 &process, &error),
                   &error);
    return process;
}

static void assert_output(const char *expected)
{
    char *text;
    struct error error;
    assert_success(process_read_file(out_path, 4096, &text, &error), &error);
    assert_string_equal(text, expected);
    free(text);
}

/* Exit code and output of both streams arrive. */
static void test_process_run_gives_code_and_output(void **state)
{
    (void)state;
    const char *const argv[] = {"sh", "-c", "echo one; echo two >&2; exit 3", NULL};
    int exit_code = -1;
    struct error error;
    assert_success(process_run(&(struct process_options){.argv = argv,
                                                         .stdout_path = out_path,
                                                         .stderr_path = out_path},
                               SOON(10000), &exit_code, &error),
                   &error);
    assert_int_equal(exit_code, 3);
    assert_output("one\ntwo\n");
}

/* A program that cannot be executed is an error with its name, not a started process. */
static void test_process_start_missing_program_is_refused(void **state)
{
    (void)state;
    const char *const argv[] = {"/nonexistent/program", NULL};
    struct process *process;
    struct error error;
    assert_false(process_start(&(struct process_options){.argv = argv}, &process, &error));
    assert_non_null(strstr(error.text, "/nonexistent/program: No such file"));
}

/* Variables are added, replace what the caller has, and the rest is inherited; the folder is set.
 */
static void test_process_env_and_folder_are_applied(void **state)
{
    (void)state;
    const char *const argv[] = {"sh", "-c", "echo $ASSENT_A $ASSENT_B $ASSENT_C; pwd", NULL};
    const char *const env[] = {"ASSENT_A=new", "ASSENT_B=added", NULL};
    int exit_code = -1;
    struct error error;
    assert_int_equal(setenv("ASSENT_A", "old", 1), 0);
    assert_int_equal(setenv("ASSENT_C", "kept", 1), 0);
    assert_success(process_run(
                       &(struct process_options){
                           .argv = argv, .env = env, .folder = "/usr", .stdout_path = out_path},
                       SOON(10000), &exit_code, &error),
                   &error);
    assert_output("new added kept\n/usr\n");
}

/* Run by root, the program gets the user's identity and loses root's groups. */
static void test_process_user_is_taken_on(void **state)
{
    (void)state;
    const struct passwd *nobody = getpwnam("nobody");
    if (geteuid() != 0 || nobody == NULL) {
        skip();
        return;
    }
    const char *const argv[] = {"sh", "-c", "id -u; id -G", NULL};
    int exit_code = -1;
    char expected[64];
    struct error error;
    (void)snprintf(expected, sizeof expected, "%u\n%u\n", nobody->pw_uid, nobody->pw_gid);
    assert_success(
        process_run(
            &(struct process_options){.argv = argv, .user = "nobody", .stdout_path = out_path},
            SOON(10000), &exit_code, &error),
        &error);
    assert_output(expected);
}

/* Waiting ends at the deadline, and succeeds once the process was ended by a signal; twice is fine.
 */
static void test_process_wait_ends_at_deadline_or_end(void **state)
{
    (void)state;
    struct process *process = start_shell("exec sleep 1000");
    int status = 0;
    assert_false(process_wait(process, SOON(20), &status));
    process_signal(process, SIGTERM);
    assert_true(process_wait(process, SOON(10000), &status));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_true(process_wait(process, 0, &status));
    process_signal(process, SIGTERM); /* goes nowhere */
    process_free(process);
}

/* A program that runs beyond the deadline or dies of a signal is an error of process_run. */
static void test_process_run_too_long_or_killed_is_error(void **state)
{
    (void)state;
    int exit_code = 0;
    struct error error;
    const char *const slow[] = {"sleep", "1000", NULL};
    assert_false(
        process_run(&(struct process_options){.argv = slow}, SOON(20), &exit_code, &error));
    const char *const killed[] = {"sh", "-c", "kill -9 $$", NULL};
    assert_false(
        process_run(&(struct process_options){.argv = killed}, SOON(10000), &exit_code, &error));
    assert_non_null(strstr(error.text, "signal 9"));
}

/* Freeing a running process ends it. */
static void test_process_free_ends_the_process(void **state)
{
    (void)state;
    struct process *process = start_shell("exec sleep 1000");
    pid_t pid = process_pid(process);
    process_free(process);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

/* A line that comes later is waited for; the search goes on behind the line found before. */
static void test_process_wait_line_finds_later_line(void **state)
{
    (void)state;
    struct error error;
    char line[64];
    off_t offset = 0;
    /* Half a line first: it must not count before its end has come. */
    struct process *process =
        start_shell("printf 'rea'; kill -STOP $$; echo 'dy 1'; echo 'ready 2'; exec sleep 1000");
    assert_false(process_wait_line(process, out_path, 0, "rea", SOON(50), NULL, 0, NULL, &error));
    process_signal(process, SIGCONT);
    assert_success(process_wait_line(process, out_path, 0, "ready", SOON(10000), line, sizeof line,
                                     &offset, &error),
                   &error);
    assert_string_equal(line, "ready 1");
    assert_success(process_wait_line(process, out_path, offset, "ready", SOON(10000), line,
                                     sizeof line, &offset, &error),
                   &error);
    assert_string_equal(line, "ready 2");
    process_free(process);
}

/* A process that ends without the line is reported at once, not at the deadline. */
static void test_process_wait_line_sees_the_end(void **state)
{
    (void)state;
    struct error error;
    struct process *process = start_shell("echo other");
    uint64_t before_ms = clock_monotonic_ms();
    assert_false(
        process_wait_line(process, out_path, 0, "ready", SOON(50000), NULL, 0, NULL, &error));
    assert_true(clock_monotonic_ms() - before_ms < 40000);
    assert_non_null(strstr(error.text, "ended"));
    process_free(process);
}

/* When the starter dies, its programs get the death signal: the pipe they hold is hung up. */
static void test_process_orphan_is_ended(void **state)
{
    (void)state;
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t starter = fork();
    assert_true(starter >= 0);
    if (starter == 0) {
        const char *const argv[] = {"sleep", "1000", NULL};
        struct process *process;
        bool started = process_start(
            &(struct process_options){.argv = argv, .kept_fd = pipe_ends[1]}, &process, NULL);
        _exit(started ? 0 : 1); /* without process_free, as a crash would */
    }
    int status;
    char byte;
    assert_int_equal(waitpid(starter, &status, 0), starter);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(close(pipe_ends[1]), 0);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 0); /* would block for ever otherwise */
    assert_int_equal(close(pipe_ends[0]), 0);
}

/* A file beyond the limit or missing is an error. */
static void test_process_read_file_keeps_limit(void **state)
{
    (void)state;
    char *text;
    struct error error;
    process_free(start_shell("true"));
    struct process *process = start_shell("printf 12345");
    assert_true(process_wait(process, SOON(10000), NULL));
    process_free(process);
    assert_true(process_read_file(out_path, 5, &text, &error));
    free(text);
    assert_false(process_read_file(out_path, 4, &text, &error));
    assert_int_equal(error.kind, ERROR_LIMIT);
    assert_false(process_read_file("/nonexistent", 4, &text, &error));
}

/* Free ports are real and usable numbers. */
static void test_process_free_port_is_nonzero(void **state)
{
    (void)state;
    uint16_t port = 0;
    struct error error;
    assert_success(process_free_port(&port, &error), &error);
    assert_true(port >= 1024);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_process_run_gives_code_and_output),
        TEST(test_process_start_missing_program_is_refused),
        TEST(test_process_env_and_folder_are_applied),
        TEST(test_process_user_is_taken_on),
        TEST(test_process_wait_ends_at_deadline_or_end),
        TEST(test_process_run_too_long_or_killed_is_error),
        TEST(test_process_free_ends_the_process),
        TEST(test_process_wait_line_finds_later_line),
        TEST(test_process_wait_line_sees_the_end),
        TEST(test_process_orphan_is_ended),
        TEST(test_process_read_file_keeps_limit),
        TEST(test_process_free_port_is_nonzero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
