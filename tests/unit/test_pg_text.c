/* Texts from servers become valid UTF-8 of bounded length. */
#include "tests/lib/test.h"

#include <stdlib.h>

#include "participant/pg_text.h"

/* What is UTF-8 by RFC 3629, and what only looks like it. */
static void test_text_valid_follows_rfc_3629(void **state)
{
    (void)state;
    const char *const valid[] = {"",
                                 "abc",
                                 "\xC3\xA4",
                                 "\xE2\x82\xAC",
                                 "\xF0\x9F\x98\x80",
                                 "\xEF\xBF\xBF",
                                 "\xF4\x8F\xBF\xBF",
                                 "\xE0\xA4\x85"};
    const char *const invalid[] = {"\x80",
                                   "\xC3",
                                   "\xC0\x80",
                                   "\xE0\x80\x80",
                                   "\xED\xA0\x80",
                                   "\xF0\x80\x80\x80",
                                   "\xF4\x90\x80\x80",
                                   "\xF5\x80\x80\x80",
                                   "\xE2\x82",
                                   "a\xFFz"};
    for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
        assert_true(pg_text_valid(valid[i]));
    }
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        assert_false(pg_text_valid(invalid[i]));
    }
}

/* A copy is one line, valid, and cut between characters. */
static void test_text_copy_is_cut_between_characters(void **state)
{
    (void)state;
    char text[8];
    pg_text_copy(text, sizeof text, "ab\ncd\n");
    assert_string_equal(text, "ab cd");
    pg_text_copy(text, sizeof text, "abcde\xE2\x82\xAC");
    assert_string_equal(text, "abcde");
    pg_text_copy(text, sizeof text,
                 "a\xFF"
                 "b");
    assert_string_equal(text, "a?b");
    pg_text_copy(text, sizeof text, NULL);
    assert_string_equal(text, "");
}

/* Cleaning replaces exactly the bytes that are no UTF-8. */
static void test_text_clean_replaces_only_bad_bytes(void **state)
{
    (void)state;
    char *clean = pg_text_clean("\xC3\xA4\xC3 x\n\xED\xA0\x80");
    assert_string_equal(clean, "\xC3\xA4? x\n???");
    free(clean);
    assert_null(pg_text_clean(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_valid_follows_rfc_3629),
        cmocka_unit_test(test_text_copy_is_cut_between_characters),
        cmocka_unit_test(test_text_clean_replaces_only_bad_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
