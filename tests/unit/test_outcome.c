/*
 * test_outcome.c - reasons as clients see them, and who owns a failure's report.
 */
#include "tests/lib/test.h"

#include <string.h>

#include "common/outcome.h"

/* Every reason has a name of its own that parses back to it. */
static void test_reason_every_name_round_trips(void **state)
{
    (void)state;
    for (int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        enum reason parsed = REASON_NONE;
        assert_true(strlen(reason_text((enum reason)i)) > 0);
        assert_true(reason_parse(reason_text((enum reason)i), &parsed));
        assert_int_equal(parsed, i);
    }
    assert_string_equal(reason_text(REASON_NONE), "");
}

/* Unknown names, other spellings and the empty text are no reason. */
static void test_reason_parse_unknown_is_refused(void **state)
{
    (void)state;
    enum reason reason = REASON_CAPACITY;
    assert_false(reason_parse("", &reason));
    assert_false(reason_parse("Timeout", &reason));
    assert_false(reason_parse("timeout ", &reason));
    assert_false(reason_parse("because", &reason));
    assert_int_equal(reason, REASON_CAPACITY);
}

/* What a client may simply try again is exactly this list: it is part of the API's contract. */
static void test_reason_retryable_matches_contract(void **state)
{
    (void)state;
    static const char *const retryable[] = {
        "serialization",           "deadlock", "lock_timeout", "timeout",
        "participant_unavailable", "shutdown", "capacity",     "overload",
    };
    size_t found = 0;
    for (int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        bool listed = false;
        for (size_t k = 0; k < sizeof retryable / sizeof retryable[0]; k++) {
            listed = listed || strcmp(retryable[k], reason_text((enum reason)i)) == 0;
        }
        assert_int_equal(reason_retryable((enum reason)i), listed);
        found += listed ? 1 : 0;
    }
    assert_int_equal(found, sizeof retryable / sizeof retryable[0]);
    assert_false(reason_retryable(REASON_NONE));
}

/* A copy shares the report and outlives the original. */
static void test_failure_copy_outlives_original(void **state)
{
    (void)state;
    struct failure original = {
        .reason = REASON_CONSTRAINT, .sqlstate = "23505", .report = blob_new("r", 1)};
    struct failure copy;
    failure_copy(&original, &copy);
    failure_done(&original);
    assert_null(original.report);
    assert_int_equal(original.reason, REASON_NONE);
    assert_int_equal(copy.reason, REASON_CONSTRAINT);
    assert_string_equal(copy.sqlstate, "23505");
    assert_memory_equal(copy.report->bytes, "r", 1);
    failure_done(&copy);
}

/* A failure without a report copies and ends as well. */
static void test_failure_without_report_copies(void **state)
{
    (void)state;
    const struct failure original = {.reason = REASON_TIMEOUT};
    struct failure copy;
    failure_copy(&original, &copy);
    assert_null(copy.report);
    failure_done(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reason_every_name_round_trips),
        cmocka_unit_test(test_reason_parse_unknown_is_refused),
        cmocka_unit_test(test_reason_retryable_matches_contract),
        cmocka_unit_test(test_failure_copy_outlives_original),
        cmocka_unit_test(test_failure_without_report_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
