/* test_cli_value.c - numbers and times on a command line. */
#include "common/cli.h"
#include "tests/lib/test.h"

/* A number is digits, within the bounds, and nothing else; what does not fit 64 bits is no number. */
static void test_cli_parse_number_takes_digits_within_bounds(void **state)
{
    (void)state;
    uint64_t number = 7;
    assert_true(cli_parse_number("0", 0, 9, &number) && number == 0);
    assert_true(cli_parse_number("18446744073709551615", 0, UINT64_MAX, &number) &&
                number == UINT64_MAX);
    number = 7;
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "-1",
                                      "1x",
                                      "0x1",
                                      "10",
                                      "x",
                                      "18446744073709551616",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(cli_parse_number(bad[i], 0, 9, &number));
    }
    assert_false(cli_parse_number("1", 2, 9, &number));
    assert_false(cli_parse_number("99999999999999999999999", 0, UINT64_MAX, &number));
    assert_true(number == 7); /* written only on success */
}

/* Seconds with or without a letter, minutes, hours; not nothing, and not for ever. */
static void test_cli_parse_seconds_takes_units(void **state)
{
    (void)state;
    uint64_t seconds = 7;
    assert_true(cli_parse_seconds("90", &seconds) && seconds == 90);
    assert_true(cli_parse_seconds("90s", &seconds) && seconds == 90);
    assert_true(cli_parse_seconds("5m", &seconds) && seconds == 300);
    assert_true(cli_parse_seconds("720h", &seconds) && seconds == CLI_SECONDS_MAX);
    static const char *const bad[] = {"",
                                      "0",
                                      "0m",
                                      "s",
                                      "5x",
                                      "5ms",
                                      "5 m",
                                      "-5s",
                                      "721h",
                                      "18446744073709551615h",
                                      "99999999999999999999s"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(cli_parse_seconds(bad[i], &seconds));
    }
    assert_true(seconds == CLI_SECONDS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cli_parse_number_takes_digits_within_bounds),
        cmocka_unit_test(test_cli_parse_seconds_takes_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
