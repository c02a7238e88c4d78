/*
 * test_alloc.c - allocation and CHECK: a size that cannot be, or a broken invariant, ends the
 * process.
 */
#include "tests/lib/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"

/* Fresh memory is zero; no bytes still give a pointer. */
static void test_alloc_fresh_is_zeroed(void **state)
{
    (void)state;
    unsigned char *memory = alloc_array(16, 4);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(memory[i], 0);
    }
    free(memory);
    memory = alloc_zeroed(0);
    assert_non_null(memory);
    free(memory);
}

/* Resizing keeps what fits, also from NULL and to nothing. */
static void test_alloc_resize_keeps_content(void **state)
{
    (void)state;
    int *numbers = alloc_resize(NULL, 2, sizeof *numbers);
    numbers[0] = 1;
    numbers[1] = 2;
    numbers = alloc_resize(numbers, 100, sizeof *numbers);
    assert_int_equal(numbers[0], 1);
    assert_int_equal(numbers[1], 2);
    numbers = alloc_resize(numbers, 0, sizeof *numbers);
    assert_non_null(numbers);
    free(numbers);
}

/* Strings are copied; NULL stays NULL; bytes get a final NUL. */
static void test_alloc_string_copies(void **state)
{
    (void)state;
    char *text = alloc_string("abc");
    assert_string_equal(text, "abc");
    free(text);
    assert_null(alloc_string(NULL));
    text = alloc_bytes("abcdef", 3);
    assert_string_equal(text, "abc");
    free(text);
    text = alloc_bytes(NULL, 0);
    assert_string_equal(text, "");
    free(text);
}

/* Runs action in a child and tells whether SIGABRT ended it, with what it wrote on standard error.
 */
static void assert_aborts(void (*action)(void), const char *expected_text)
{
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL); /* cmocka catches it otherwise */
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)dup2(pipe_ends[1], STDERR_FILENO);
        action();
        _exit(0);
    }
    (void)close(pipe_ends[1]);
    char text[1024] = "";
    size_t length = 0;
    for (;;) {
        ssize_t got = read(pipe_ends[0], text + length, sizeof text - 1 - length);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    (void)close(pipe_ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, expected_text));
}

static void allocate_overflowing(void)
{
    volatile size_t huge = SIZE_MAX / 2;
    free(alloc_array(huge, 3));
}

static void check_false(void)
{
    CHECK(1 + 1 == 3);
}

static void check_false_with_long_text(void)
{
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    check_failed(text, "file.c", 1);
}

/* A product that overflows ends the process instead of allocating too little. */
static void test_alloc_array_overflow_aborts(void **state)
{
    (void)state;
    assert_aborts(allocate_overflowing, "check failed");
}

/* A failed CHECK names its place and expression and aborts, in release builds too. */
static void test_check_failed_names_place(void **state)
{
    (void)state;
    assert_aborts(check_false, "test_alloc.c:");
    assert_aborts(check_false, "check failed: 1 + 1 == 3\n");
    assert_aborts(check_false_with_long_text, "xxx\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_fresh_is_zeroed),
        cmocka_unit_test(test_alloc_resize_keeps_content),
        cmocka_unit_test(test_alloc_string_copies),
        cmocka_unit_test(test_alloc_array_overflow_aborts),
        cmocka_unit_test(test_check_failed_names_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
