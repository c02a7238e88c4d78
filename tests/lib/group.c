/*
 * group.c - a group of tests whose teardown failed has failed.
 *
 * cmocka 1.1.5 prints "GROUP TEARDOWN" with FAILED and counts nothing: the program ends with 0, whether the teardown returned another
 * value than 0, failed an assertion or died by a signal that cmocka catches (test_group_teardown.sh shows each). What a teardown
 * does is a part of the proof: daemons that end, clusters that stop.
 *
 * assent_test() links every test program with this and has the linker lead _cmocka_run_group_tests here.
 */
#include <stdbool.h>
#include <stdio.h>

#include "tests/lib/test.h"

static CMFixtureFunction group_teardown;
static bool teardown_failed;

/* cmocka leaves a teardown that asserts or crashes by longjmp: until it has returned 0 it has failed. */
static int teardown_watched(void **state)
{
    teardown_failed = true;
    int result = group_teardown(state);
    teardown_failed = result != 0;
    return result;
}

int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown)
{
    group_teardown = teardown;
    teardown_failed = false;
    int failed = __real__cmocka_run_group_tests(name, tests, count, setup,
                                                teardown == NULL ? NULL : teardown_watched);
    if (teardown_failed) {
        (void)fprintf(stderr, "%s: the teardown of the group failed, and so did the group\n", name);
    }
    return failed + (teardown_failed ? 1 : 0);
}
