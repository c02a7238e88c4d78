/* test_group_teardown.c - a group with one good test and the teardown that its argument names; for test_group_teardown.sh. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/test.h"

static void test_nothing(void **state)
{
    (void)state;
}

static int end_well(void **state)
{
    (void)state;
    return 0;
}

static int end_badly(void **state)
{
    (void)state;
    return -1;
}

static int end_by_assertion(void **state)
{
    (void)state;
    assert_int_equal(1, 2);
    return 0;
}

static int end_by_signal(void **state)
{
    (void)state;
    (void)raise(SIGSEGV);
    return 0;
}

static int end_by_abort(void **state)
{
    (void)state;
    (void)raise(SIGABRT);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing)};
    static const struct {
        const char *name;
        CMFixtureFunction teardown;
    } ends[] = {{"none", NULL},
                {"well", end_well},
                {"badly", end_badly},
                {"assertion", end_by_assertion},
                {"signal", end_by_signal},
                {"abort", end_by_abort}};
    for (size_t i = 0; argc == 2 && i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (strcmp(argv[1], ends[i].name) == 0) {
            return cmocka_run_group_tests(tests, NULL, ends[i].teardown);
        }
    }
    (void)fprintf(stderr, "usage: %s none|well|badly|assertion|signal|abort\n", argv[0]);
    return 64;
}
