/* test_mutants_schema.c - which places of a C file are mutated, and what they become. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/process.h"
#include "tests/mutants/files.h"
#include "tests/mutants/survivors.h"

static char folder[64];
static struct mutant_list list;

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/assent-test-schema.XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct error error;
    (void)state;
    mutant_list_free(&list);
    return process_remove_folder(folder, &error) ? 0 : -1;
}

/* The changed text without the two lines in front of it; adds to `list`. Returns owned. */
static char *rewrite(const char *code)
{
    struct error error = {0};
    char *changed = NULL;
    char *path = file_path(folder, "code.c");
    assert_success(file_write(path, code, strlen(code), &error), &error);
    assert_success(schema_rewrite(folder, folder, "code.c", &list, &changed, &error), &error);
    static const char front[] = "#include \"common/mutant.h\"\n#line 1 \"code.c\"\n";
    assert_memory_equal(changed, front, sizeof front - 1);
    memmove(changed, changed + sizeof front - 1, strlen(changed + sizeof front - 1) + 1);
    free(path);
    return changed;
}

static void assert_rewrite(const char *code, const char *expected, size_t count)
{
    char *changed = rewrite(code);
    assert_string_equal(changed, expected);
    assert_int_equal(list.count, count);
    free(changed);
}

/* A condition that is no comparison is negated as a whole. */
static void test_schema_condition_is_negated(void **state)
{
    (void)state;
    assert_rewrite("int f(int a) { if (a) { return 1; } return a ? 2 : 3; }",
                   "int f(int a) { if (((!!(a)) ^ MUTANT(1))) { return 1; } return ((!!(a)) ^ "
                   "MUTANT(2)) ? 2 : 3; }",
                   2);
    assert_int_equal(list.mutants[1].occurrence, 2);
}

/* Order comparisons have a neighbour besides their contrary; equality has none. A condition that is one is mutated once. */
static void test_schema_comparison_has_a_boundary(void **state)
{
    (void)state;
    assert_rewrite(
        "int f(int a) { for (int i = 0; i < a; i++) { if (i == a) { return i; } } return 0; }",
        "int f(int a) { for (int i = 0; MUTANT_COMPARE(1, (i) , <, >=, <=, (a)); i++) { if "
        "(((!!(i == a)) ^ MUTANT(3))) { return i; } } return 0; }",
        3);
    assert_int_equal(list.mutants[0].mutation, MUTATION_NEGATED);
    assert_int_equal(list.mutants[1].mutation, MUTATION_BOUNDARY);
}

/* Each side of a chain is left out once, also where sides are comparisons themselves. */
static void test_schema_sides_are_left_out(void **state)
{
    (void)state;
    assert_rewrite(
        "int f(int a, int b, int c) { return a && b && c; }",
        "int f(int a, int b, int c) { return (!!(a) || MUTANT(2)) && (!!(b) || MUTANT(3)) && "
        "(!!(c) || MUTANT(1)); }",
        3);
    mutant_list_free(&list);
    assert_rewrite("int f(int a, int b) { return a || b == 1; }",
                   "int f(int a, int b) { return (!!(a) && !MUTANT(1)) || (!!(((!!(b == 1)) ^ "
                   "MUTANT(3))) && !MUTANT(2)); }",
                   3);
}

/* Macros keep their insides, texts for people their arguments, static data its constants. */
static void test_schema_leaves_alone_what_is_no_behaviour(void **state)
{
    (void)state;
    static const char code[] =
        "#define CHECK(x) do { if (!(x)) { __builtin_abort(); } } while (0)\n"
        "void ready_notice(int a, const char *b);\n"
        "void f(int a) { static int s = 1 < 2; CHECK(a == 1); ready_notice(s, a ? \"x\" : \"y\"); "
        "}\n";
    assert_rewrite(code, code, 0);
}

/* A body behind the head of a macro's loop is ordinary code. */
static void test_schema_body_behind_a_macro_is_mutated(void **state)
{
    (void)state;
    assert_rewrite(
        "#define EACH(i, n) for (int i = 0; i < (n); i++)\n"
        "int f(int n) { EACH(i, n) { if (i == 3) { return 1; } } return 0; }",
        "#define EACH(i, n) for (int i = 0; i < (n); i++)\n"
        "int f(int n) { EACH(i, n) { if (((!!(i == 3)) ^ MUTANT(1))) { return 1; } } return 0; }",
        1);
}

/* What does not compile is said with its place. */
static void test_schema_error_names_the_place(void **state)
{
    (void)state;
    struct error error = {0};
    char *changed = NULL;
    char *path = file_path(folder, "code.c");
    assert_success(file_write(path, "int f(void) { return x; }", 25, &error), &error);
    assert_false(schema_rewrite(folder, folder, "code.c", &list, &changed, &error));
    assert_non_null(strstr(error.text, "code.c:1:"));
    free(path);
}

/* The name under which survivors.txt knows a mutant has no numbers or lines in it; a line without a mutant is noticed. */
static void test_survivors_are_found_by_place(void **state)
{
    (void)state;
    struct error error = {0};
    struct survivor_list survivors = {0};
    free(rewrite("int f(int a,\n      int b) { return a &&\n  b; }"));
    char *name = survivor_name(&list.mutants[1]);
    assert_string_equal(name, "code.c f: `a && b` without its right side");
    free(name);
    assert_success(survivors_parse("# a comment\n"
                                   "code.c f: `a && b` without its right side\n"
                                   "    equivalent: because\n"
                                   "    of this\n"
                                   "code.c f: `gone` negated\n"
                                   "    pace: never mind\n",
                                   &survivors, &error),
                   &error);
    assert_null(survivors_find(&survivors, &list.mutants[0]));
    const struct survivor *found = survivors_find(&survivors, &list.mutants[1]);
    assert_non_null(found);
    assert_true(found->is_equivalent);
    assert_string_equal(found->reason, "equivalent: because of this");
    assert_false(survivors.survivors[1].is_met);
    assert_false(survivors.survivors[1].is_equivalent);
    survivors_free(&survivors);
    static const char *const bad[] = {"a\n", "a\nb\n    pace: x\n", "a\n    because\n",
                                      "    pace: x\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(survivors_parse(bad[i], &survivors, &error));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_schema_condition_is_negated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_schema_comparison_has_a_boundary, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_schema_sides_are_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_schema_leaves_alone_what_is_no_behaviour, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_schema_body_behind_a_macro_is_mutated, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_schema_error_names_the_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_survivors_are_found_by_place, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
