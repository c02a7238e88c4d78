/* What SQLSTATEs mean: classes never guess, reasons are those of docs/ERRORS.md. */
#include "tests/lib/test.h"

#include "participant/pg_classify.h"

static struct pg_error error_of(const char *sqlstate)
{
    return (struct pg_error){.sqlstate = sqlstate, .severity = "ERROR"};
}

/* A failed statement's SQLSTATE gives the reason that the API documents. */
static void test_classify_statement_gives_reasons(void **state)
{
    (void)state;
    const struct {
        const char *sqlstate;
        enum reason reason;
    } cases[] = {
        {"40001", REASON_SERIALIZATION},
        {"40P01", REASON_DEADLOCK},
        {"55P03", REASON_LOCK_TIMEOUT},
        {"23505", REASON_CONSTRAINT},
        {"23514", REASON_CONSTRAINT},
        {"23P01", REASON_CONSTRAINT},
        {"57014", REASON_TIMEOUT},
        {"25P03", REASON_TIMEOUT},
        {"53100", REASON_CAPACITY},
        {"53300", REASON_CAPACITY},
        {"42P01", REASON_STATEMENT_FAILED},
        {"22P02", REASON_STATEMENT_FAILED},
        {"0A000", REASON_STATEMENT_FAILED},
        {"P0001", REASON_STATEMENT_FAILED},
        {"08P01", REASON_STATEMENT_FAILED},   /* a statement with too few parameters */
        {"2D000", REASON_REJECTED_BY_POLICY}, /* COMMIT inside a procedure or DO block */
        {"57P01", REASON_PARTICIPANT_UNAVAILABLE},
        {"08006", REASON_PARTICIPANT_UNAVAILABLE},
        {"", REASON_PARTICIPANT_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pg_error error = error_of(cases[i].sqlstate);
        if (pg_classify_statement(&error) != cases[i].reason) {
            fail_msg("%s: %s", cases[i].sqlstate, reason_text(pg_classify_statement(&error)));
        }
    }
}

/* A bind that the server refused is the client's mistake and leaves the connection whole; the same code as the end of
 * the connection, or any other of its class, does not. */
static void test_classify_lost_refused_bind_is_not_lost(void **state)
{
    (void)state;
    const struct pg_error refused = {.sqlstate = "08P01", .severity = "ERROR"};
    const struct pg_error ended = {.sqlstate = "08P01", .severity = "FATAL"};
    const struct pg_error unnamed = {.sqlstate = "08P01"};
    const struct pg_error other = {.sqlstate = "08006", .severity = "ERROR"};
    assert_false(pg_classify_lost(&refused));
    assert_true(pg_classify_lost(&ended));
    assert_true(pg_classify_lost(&unnamed));
    assert_true(pg_classify_lost(&other));
    assert_int_equal(pg_classify_statement(&ended), REASON_PARTICIPANT_UNAVAILABLE);
    enum reason reason = REASON_NONE;
    assert_int_equal(pg_classify_prepare(&refused, &reason), PG_UNKNOWN);
    assert_int_equal(pg_classify_finish(&refused), PG_UNKNOWN);
}

/* A PREPARE that failed with an error has been rolled back, except where the server may have died after it. */
static void test_classify_prepare_error_or_unknown(void **state)
{
    (void)state;
    const struct {
        const char *sqlstate;
        enum pg_class class;
        enum reason reason;
    } cases[] = {
        {"0A000", PG_ROLLED_BACK, REASON_NOT_PREPARABLE},
        {"54000", PG_ROLLED_BACK, REASON_NOT_PREPARABLE},
        {"55000", PG_ROLLED_BACK, REASON_CAPACITY},
        {"53200", PG_ROLLED_BACK, REASON_CAPACITY},
        {"40001", PG_ROLLED_BACK, REASON_SERIALIZATION},
        {"23503", PG_ROLLED_BACK, REASON_CONSTRAINT},
        {"42710", PG_ROLLED_BACK, REASON_STATEMENT_FAILED},
        {"57P01", PG_UNKNOWN, REASON_PARTICIPANT_UNAVAILABLE},
        {"57P02", PG_UNKNOWN, REASON_PARTICIPANT_UNAVAILABLE},
        {"08006", PG_UNKNOWN, REASON_PARTICIPANT_UNAVAILABLE},
        {"40003", PG_UNKNOWN, REASON_PARTICIPANT_UNAVAILABLE},
        {"", PG_UNKNOWN, REASON_PARTICIPANT_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pg_error error = error_of(cases[i].sqlstate);
        enum reason reason = REASON_NONE;
        enum pg_class class = pg_classify_prepare(&error, &reason);
        if (class != cases[i].class || reason != cases[i].reason) {
            fail_msg("%s: class %d, %s", cases[i].sqlstate, class, reason_text(reason));
        }
    }
    struct pg_error fatal = {.sqlstate = "XX000", .severity = "FATAL"};
    enum reason reason = REASON_NONE;
    assert_int_equal(pg_classify_prepare(&fatal, &reason), PG_UNKNOWN);
}

/* Only 42704 is "not there"; busy, permission and a lost connection each are something else (P-12). */
static void test_classify_finish_only_42704_is_not_found(void **state)
{
    (void)state;
    const struct {
        const char *sqlstate;
        enum pg_class class;
    } cases[] = {
        {"42704", PG_NOT_FOUND}, {"55000", PG_RETRY},   {"42501", PG_REFUSED},
        {"0A000", PG_REFUSED},   {"53200", PG_RETRY},   {"53300", PG_RETRY},
        {"57014", PG_RETRY},     {"25006", PG_RETRY},   {"57P01", PG_UNKNOWN},
        {"57P03", PG_UNKNOWN},   {"08000", PG_UNKNOWN}, {"08P01", PG_UNKNOWN},
        {"", PG_UNKNOWN},        {"XX000", PG_UNKNOWN}, {"58030", PG_UNKNOWN},
        {"42P01", PG_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pg_error error = error_of(cases[i].sqlstate);
        if (pg_classify_finish(&error) != cases[i].class) {
            fail_msg("%s: class %d", cases[i].sqlstate, pg_classify_finish(&error));
        }
    }
}

/* No error ever classifies as OK, whatever the five characters are. */
static void test_classify_finish_no_sqlstate_is_ok(void **state)
{
    (void)state;
    char sqlstate[6] = "00000";
    for (int first = '0'; first <= 'Z'; first++) {
        for (int second = '0'; second <= 'Z'; second++) {
            sqlstate[0] = (char)first;
            sqlstate[1] = (char)second;
            struct pg_error error = error_of(sqlstate);
            enum reason reason = REASON_NONE;
            assert_int_not_equal(pg_classify_finish(&error), PG_OK);
            assert_int_not_equal(pg_classify_finish(&error), PG_NOT_FOUND);
            assert_int_not_equal(pg_classify_prepare(&error, &reason), PG_OK);
            assert_int_not_equal(reason, REASON_NONE);
        }
    }
}

/* 55000 means busy or disabled; the server's function tells them apart. */
static void test_classify_finish_55000_by_function(void **state)
{
    (void)state;
    struct pg_error busy = {.sqlstate = "55000", .severity = "ERROR", .function = "LockGXact"};
    struct pg_error disabled = {
        .sqlstate = "55000", .severity = "ERROR", .function = "MarkAsPreparing"};
    assert_int_equal(pg_classify_finish(&busy), PG_RETRY);
    assert_int_equal(pg_classify_finish(&disabled), PG_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify_statement_gives_reasons),
        cmocka_unit_test(test_classify_lost_refused_bind_is_not_lost),
        cmocka_unit_test(test_classify_prepare_error_or_unknown),
        cmocka_unit_test(test_classify_finish_only_42704_is_not_found),
        cmocka_unit_test(test_classify_finish_no_sqlstate_is_ok),
        cmocka_unit_test(test_classify_finish_55000_by_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
