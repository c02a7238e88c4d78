/*
 * test_error.c - operating errors: wrapping, hints, cutting, and NULL where nobody wants to know.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <string.h>

#include "common/error.h"

/* Setting fills kind and text, clears an old hint and returns false. */
static void test_error_set_fills_and_returns_false(void **state)
{
    (void)state;
    struct error error = {.hint = "old"};
    assert_false(error_set(&error, ERROR_LIMIT, "%d branches, limit %d", 17, 16));
    assert_int_equal(error.kind, ERROR_LIMIT);
    assert_string_equal(error.text, "17 branches, limit 16");
    assert_string_equal(error.hint, "");
}

/* The operating system's reason stands behind the text. */
static void test_error_set_errno_appends_reason(void **state)
{
    (void)state;
    struct error error;
    assert_false(error_set_errno(&error, ERROR_IO, ENOENT, "cannot open %s", "/x"));
    assert_int_equal(error.kind, ERROR_IO);
    assert_string_equal(error.text, "cannot open /x: No such file or directory");
}

/* Wrapping puts the caller's view in front and keeps kind and hint. */
static void test_error_wrap_keeps_kind_and_hint(void **state)
{
    (void)state;
    struct error error;
    (void)error_set(&error, ERROR_LOCKED, "held by process 7");
    assert_false(error_hint(&error, "stop process %d", 7));
    assert_false(error_wrap(&error, "journal %s", "/j"));
    assert_int_equal(error.kind, ERROR_LOCKED);
    assert_string_equal(error.text, "journal /j: held by process 7");
    assert_string_equal(error.hint, "stop process 7");
}

/* The error's own text may be an argument of its replacement. */
static void test_error_set_from_own_text_is_safe(void **state)
{
    (void)state;
    struct error error;
    (void)error_set(&error, ERROR_IO, "inner");
    (void)error_set(&error, ERROR_SYSTEM, "outer (%s)", error.text);
    assert_string_equal(error.text, "outer (inner)");
}

/* Too long a text is cut at the end of a character and stays terminated; line breaks become spaces.
 */
static void test_error_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    struct error error;
    char text[2 * ERROR_TEXT_SIZE];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)error_set(&error, ERROR_IO, "%s", text);
    assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 1);

    /* A two-byte character would straddle the end: it goes as a whole. */
    memcpy(text + ERROR_TEXT_SIZE - 2, "\xc3\xa9", 2);
    (void)error_set(&error, ERROR_IO, "%s", text);
    assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 2);

    (void)error_wrap(&error, "prefix");
    assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 1);
    assert_memory_equal(error.text, "prefix: xxx", 11);

    (void)error_set(&error, ERROR_IO, "ERROR:  one\r\nDETAIL:  two");
    assert_string_equal(error.text, "ERROR:  one  DETAIL:  two");
}

/* Nobody has to take the details. */
static void test_error_null_is_accepted(void **state)
{
    (void)state;
    assert_false(error_set(NULL, ERROR_IO, "text"));
    assert_false(error_set_errno(NULL, ERROR_IO, EIO, "text"));
    assert_false(error_wrap(NULL, "text"));
    assert_false(error_hint(NULL, "text"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_set_fills_and_returns_false),
        cmocka_unit_test(test_error_set_errno_appends_reason),
        cmocka_unit_test(test_error_wrap_keeps_kind_and_hint),
        cmocka_unit_test(test_error_set_from_own_text_is_safe),
        cmocka_unit_test(test_error_long_text_is_cut_between_characters),
        cmocka_unit_test(test_error_null_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
