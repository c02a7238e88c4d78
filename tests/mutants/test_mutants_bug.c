/* test_mutants_bug.c - planted bugs are read as they are written, and applied to the letter or not at all. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/process.h"
#include "tests/mutants/bug.h"
#include "tests/mutants/files.h"

static const char header[] = "number: 7\n"
                             "title: a title\n"
                             "rules: P-3\n"
                             "expected: R M\n"
                             "spec: test_a test_b\n"
                             "\n"
                             "Prose: with a colon.\n"
                             "\n";

static char folder[64];

static int set_up(void **state)
{
    struct error error;
    char *path = NULL;
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/assent-test-mutants.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    path = file_path(folder, "code.c");
    bool written = file_write(path, "one\ntwo\nthree\n", 14, &error);
    free(path);
    return written ? 0 : -1;
}

static int tear_down(void **state)
{
    struct error error;
    (void)state;
    return process_remove_folder(folder, &error) ? 0 : -1;
}

static void assert_code(const char *expected)
{
    struct error error;
    char *text = NULL;
    char *path = file_path(folder, "code.c");
    assert_success(file_read(path, &text, &error), &error);
    assert_string_equal(text, expected);
    free(text);
    free(path);
}

static struct bug parse(const char *changes)
{
    struct error error = {0};
    struct bug bug = {0};
    char text[1024];
    (void)snprintf(text, sizeof text, "%s%s", header, changes);
    assert_success(bug_parse("07-name", text, &bug, &error), &error);
    return bug;
}

/* Header fields and changes arrive as written; text between them is for people. */
static void test_bug_parse_reads_fields_and_changes(void **state)
{
    (void)state;
    struct bug bug = parse("--- in code.c\ntwo\n--- becomes\n2\n--- end\n");
    assert_int_equal(bug.number, 7);
    assert_string_equal(bug.title, "a title");
    assert_string_equal(bug.stages[STAGE_SPEC], "test_a test_b");
    assert_null(bug.stages[STAGE_SIM]);
    assert_int_equal(bug.change_count, 1);
    assert_string_equal(bug.changes[0].old_text, "two\n");
    assert_string_equal(bug.changes[0].new_text, "2\n");
    bug_done(&bug);
}

/* What is not complete or not known is refused, with the name of the bug. */
static void test_bug_parse_refuses_what_is_not_a_bug(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "number: 7\n",
        "number: x\ntitle: t\nrules: r\nexpected: R\nspec: t\n\n--- in f\na\n--- becomes\nb\n--- "
        "end\n",
        "number: 7\ncolour: red\n",
        "number: 7\ntitle: t\nrules: r\nexpected: Z\nspec: t\n\n--- in f\na\n--- becomes\nb\n--- "
        "end\n",
        "number: 7\ntitle: t\nrules: r\nexpected: R\nspec: t\n\n--- in f\na\n--- becomes\nb\n",
        "number: 7\ntitle: t\nrules: r\nexpected: R\nspec: t\n\n--- in f\n--- becomes\nb\n--- "
        "end\n",
        "number: 7\ntitle: t\nrules: r\nexpected: R\n\n--- in f\na\n--- becomes\nb\n--- end\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct error error = {0};
        struct bug bug;
        assert_false(bug_parse("07-name", texts[i], &bug, &error));
        assert_non_null(strstr(error.text, "07-name"));
    }
}

/* Several changes of one file are made one after the other. */
static void test_bug_apply_makes_every_change(void **state)
{
    (void)state;
    struct error error;
    struct bug bug = parse("--- in code.c\ntwo\n--- becomes\ntwo and more\n--- end\n"
                           "--- in code.c\nand more\n--- becomes\nand less\n--- end\n");
    assert_success(bug_apply(&bug, folder, &error), &error);
    assert_code("one\ntwo and less\nthree\n");
    bug_done(&bug);
}

/* If one change does not fit, none is made, and the message names file and bug. */
static void test_bug_apply_all_or_nothing(void **state)
{
    (void)state;
    struct error error = {0};
    struct bug bug = parse("--- in code.c\none\n--- becomes\n1\n--- end\n"
                           "--- in code.c\nfour\n--- becomes\n4\n--- end\n");
    assert_false(bug_apply(&bug, folder, &error));
    assert_non_null(strstr(error.text, "code.c"));
    assert_non_null(strstr(error.text, "nowhere"));
    assert_non_null(strstr(error.hint, "07-name"));
    assert_code("one\ntwo\nthree\n");
    bug_done(&bug);
}

/* A text that is there twice says nothing about which one is meant. */
static void test_bug_check_needs_the_text_once(void **state)
{
    (void)state;
    struct error error = {0};
    struct bug bug = parse("--- in code.c\ne\n--- becomes\n0\n--- end\n");
    assert_false(bug_check(&bug, folder, &error));
    bug_done(&bug);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bug_parse_reads_fields_and_changes),
        cmocka_unit_test(test_bug_parse_refuses_what_is_not_a_bug),
        cmocka_unit_test_setup_teardown(test_bug_apply_makes_every_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bug_apply_all_or_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bug_check_needs_the_text_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
