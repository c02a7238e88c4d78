/*
 * test_work.c - payloads (statements, results, reports) survive the wire and cannot be used to
 * exhaust memory.
 */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/codec_write.h"
#include "common/work.h"
#include "tests/unit/test_codec_random.h"

static char *random_string(uint64_t *seed, size_t max_bytes)
{
    size_t size_bytes = random_next(seed) % (max_bytes + 1);
    char *text = alloc_zeroed(size_bytes + 1);
    for (size_t i = 0; i < size_bytes; i++) {
        text[i] = (char)('!' + random_next(seed) % 90);
    }
    return text;
}

static char *random_string_or_null(uint64_t *seed, size_t max_bytes)
{
    return random_next(seed) % 4 == 0 ? NULL : random_string(seed, max_bytes);
}

static void name_args(struct statement *statement)
{
    statement->operation = alloc_string("debit");
    statement->arg_names = alloc_array(statement->param_count, sizeof *statement->arg_names);
    for (size_t p = 0; p < statement->param_count; p++) {
        char name[8] = {'a', (char)('a' + p)};
        statement->arg_names[p] = alloc_string(name);
    }
}

static struct work random_work(uint64_t *seed)
{
    struct work work = {.statement_count = random_next(seed) % 5};
    work.statements = alloc_array(work.statement_count, sizeof *work.statements);
    for (size_t i = 0; i < work.statement_count; i++) {
        struct statement *statement = &work.statements[i];
        statement->param_count = random_next(seed) % 20;
        if (random_next(seed) % 3 == 0) {
            name_args(statement);
        } else {
            statement->sql = random_string(seed, 300);
        }
        statement->params = alloc_array(statement->param_count, sizeof *statement->params);
        for (size_t p = 0; p < statement->param_count; p++) {
            statement->params[p] = random_string_or_null(seed, 40);
        }
        statement->expect_rows =
            random_next(seed) % 2 ? EXPECT_ROWS_ANY : (int64_t)(random_next(seed) >> 1);
    }
    return work;
}

static struct results random_results(uint64_t *seed)
{
    struct results results = {.result_count = random_next(seed) % 4};
    results.results = alloc_array(results.result_count, sizeof *results.results);
    for (size_t i = 0; i < results.result_count; i++) {
        struct result *result = &results.results[i];
        result->command = random_string(seed, 20);
        result->rows_affected = (int64_t)random_next(seed);
        result->column_count = random_next(seed) % 5; /* no columns is a legal result */
        result->columns = alloc_array(result->column_count, sizeof *result->columns);
        for (size_t c = 0; c < result->column_count; c++) {
            result->columns[c] = (struct result_column){.name = random_string(seed, 30),
                                                        .type = random_string(seed, 30),
                                                        .oid = (uint32_t)random_next(seed)};
        }
        result->row_count = random_next(seed) % 20;
        result->values = alloc_array(result->row_count * result->column_count, sizeof(char *));
        for (size_t v = 0; v < result->row_count * result->column_count; v++) {
            result->values[v] = random_string_or_null(seed, 50);
        }
    }
    return results;
}

static struct pg_report random_report(uint64_t *seed)
{
    return (struct pg_report){
        .message = random_string_or_null(seed, 200),
        .detail = random_string_or_null(seed, 200),
        .hint = random_string_or_null(seed, 200),
        .constraint = random_string_or_null(seed, 64),
        .table = random_string_or_null(seed, 64),
        .column = random_string_or_null(seed, 64),
        .statement_index = (int32_t)(random_next(seed) % 100) - 1,
    };
}

static void assert_text(const char *a, const char *b)
{
    if (a == NULL || b == NULL) {
        assert_true(a == b);
    } else {
        assert_string_equal(a, b);
    }
}

static void assert_statement(const struct statement *a, const struct statement *b)
{
    assert_text(a->sql, b->sql);
    assert_text(a->operation, b->operation);
    assert_int_equal(a->param_count, b->param_count);
    for (size_t p = 0; p < a->param_count; p++) {
        assert_text(a->params[p], b->params[p]);
        if (a->operation != NULL) {
            assert_string_equal(a->arg_names[p], b->arg_names[p]);
        }
    }
    assert_int_equal(a->expect_rows, b->expect_rows);
}

/* Statements, operations, parameters (NULL is not the empty text) and expectations come back unchanged. */
static void test_work_any_statements_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 200; round++) {
        struct work work = random_work(&seed), back;
        struct blob *blob = work_encode(&work);
        struct error error;
        assert_success(work_decode(blob, &back, &error), &error);
        assert_int_equal(back.statement_count, work.statement_count);
        for (size_t i = 0; i < work.statement_count; i++) {
            assert_statement(&work.statements[i], &back.statements[i]);
        }
        work_done(&work);
        work_done(&back);
        blob_free(blob);
    }
}

/* Results come back unchanged: columns, NULLs, and rows without columns too. */
static void test_work_any_results_round_trip(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int round = 0; round < 200; round++) {
        struct results results = random_results(&seed), back;
        struct blob *blob = results_encode(&results);
        struct error error;
        assert_success(results_decode(blob, &back, &error), &error);
        assert_int_equal(back.result_count, results.result_count);
        for (size_t i = 0; i < results.result_count; i++) {
            const struct result *a = &results.results[i], *b = &back.results[i];
            assert_string_equal(a->command, b->command);
            assert_int_equal(a->rows_affected, b->rows_affected);
            assert_int_equal(a->column_count, b->column_count);
            assert_int_equal(a->row_count, b->row_count);
            for (size_t c = 0; c < a->column_count; c++) {
                assert_string_equal(a->columns[c].name, b->columns[c].name);
                assert_string_equal(a->columns[c].type, b->columns[c].type);
                assert_int_equal(a->columns[c].oid, b->columns[c].oid);
            }
            for (size_t v = 0; v < a->row_count * a->column_count; v++) {
                assert_text(a->values[v], b->values[v]);
            }
        }
        results_done(&results);
        results_done(&back);
        blob_free(blob);
    }
}

/* A report comes back unchanged, NULL texts included. */
static void test_work_any_report_round_trips(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int round = 0; round < 200; round++) {
        struct pg_report report = random_report(&seed), back;
        struct blob *blob = pg_report_encode(&report);
        struct error error;
        assert_success(pg_report_decode(blob, &back, &error), &error);
        assert_text(report.message, back.message);
        assert_text(report.detail, back.detail);
        assert_text(report.hint, back.hint);
        assert_text(report.constraint, back.constraint);
        assert_text(report.table, back.table);
        assert_text(report.column, back.column);
        assert_int_equal(report.statement_index, back.statement_index);
        pg_report_done(&report);
        pg_report_done(&back);
        blob_free(blob);
    }
}

/* A statement of SQL has the bytes that it always had: keys in a journal were hashed over them. */
static void test_work_sql_keeps_its_form(void **state)
{
    (void)state;
    char sql[] = "q", one[] = "1";
    char *params[] = {one, NULL};
    struct statement statement = {
        .sql = sql, .param_count = 2, .params = params, .expect_rows = EXPECT_ROWS_ANY};
    struct work work = {.statement_count = 1, .statements = &statement};
    struct blob *blob = work_encode(&work);
    static const char wanted[] = "\x92\x01\x91\x93\xa1q\x92\xa1"
                                 "1\xc0\xc0";
    assert_int_equal(blob->size_bytes, sizeof wanted - 1);
    assert_memory_equal(blob->bytes, wanted, sizeof wanted - 1);
    blob_free(blob);
}

/* Arguments in any order become one form; a name that stands twice is told. */
static void test_work_arguments_are_put_into_order(void **state)
{
    (void)state;
    char a[] = "a", b[] = "b", c[] = "c", one[] = "1", two[] = "2", three[] = "3";
    char *names[] = {c, a, b}, *params[] = {three, one, two};
    struct statement statement = {
        .operation = a, .param_count = 3, .arg_names = names, .params = params};
    assert_true(statement_sort_args(&statement));
    assert_string_equal(names[0], "a");
    assert_string_equal(params[0], "1");
    assert_string_equal(names[2], "c");
    assert_string_equal(params[2], "3");
    names[0] = c;
    assert_false(statement_sort_args(&statement));
}

/* Each payload's reader, behind one face. */
static bool decode_work(const struct blob *blob)
{
    struct work work;
    bool well = work_decode(blob, &work, NULL);
    if (well) {
        work_done(&work);
    }
    return well;
}

static bool decode_results(const struct blob *blob)
{
    struct results results;
    bool well = results_decode(blob, &results, NULL);
    if (well) {
        results_done(&results);
    }
    return well;
}

static bool decode_report(const struct blob *blob)
{
    struct pg_report report;
    bool well = pg_report_decode(blob, &report, NULL);
    if (well) {
        pg_report_done(&report);
    }
    return well;
}

static bool (*const decoders[3])(const struct blob *blob) = {decode_work, decode_results,
                                                             decode_report};

static struct blob *random_payload(uint64_t *seed, size_t which)
{
    struct work work;
    struct results results;
    struct pg_report report;
    struct blob *blob;
    switch (which) {
    case 0:
        work = random_work(seed);
        blob = work_encode(&work);
        work_done(&work);
        return blob;
    case 1:
        results = random_results(seed);
        blob = results_encode(&results);
        results_done(&results);
        return blob;
    default:
        report = random_report(seed);
        blob = pg_report_encode(&report);
        pg_report_done(&report);
        return blob;
    }
}

/* A payload that was cut anywhere, or has one byte too many, is refused and nothing leaks. */
static void test_work_wrong_length_is_refused(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (size_t which = 0; which < 3; which++) {
        for (int round = 0; round < 5; round++) {
            struct blob *whole = random_payload(&seed, which);
            assert_true(decoders[which](whole));
            for (size_t size_bytes = 0; size_bytes < whole->size_bytes; size_bytes++) {
                struct blob *cut = blob_new(whole->bytes, size_bytes);
                assert_false(decoders[which](cut));
                blob_free(cut);
            }
            struct codec_buffer longer = {0};
            write_raw(&longer, whole->bytes, whole->size_bytes);
            write_nil(&longer);
            struct blob *blob = blob_new(longer.bytes, longer.size_bytes);
            assert_false(decoders[which](blob));
            blob_free(blob);
            codec_buffer_done(&longer);
            blob_free(whole);
        }
    }
}

/* Any single changed byte gives a payload or an error, never a fault (the sanitizers watch); another form or version is
 * always an error. */
static void test_work_any_byte_changed_does_no_harm(void **state)
{
    (void)state;
    uint64_t seed = 5;
    size_t refused = 0;
    for (size_t which = 0; which < 3; which++) {
        struct blob *whole = random_payload(&seed, which);
        for (size_t at = 0; at < whole->size_bytes; at++) {
            for (unsigned change = 1; change < 256; change += 1 + change / 4) {
                struct blob *changed = blob_new(whole->bytes, whole->size_bytes);
                changed->bytes[at] ^= (uint8_t)change;
                bool is_taken = decoders[which](changed);
                assert_false(is_taken && at < 2); /* its form and its version */
                refused += is_taken ? 0 : 1;
                blob_free(changed);
            }
        }
        blob_free(whole);
    }
    assert_true(refused > 100);
}

/* A count or a length of 4 G, and PostgreSQL's forbidden NUL, are refused before anything is
 * allocated for them (an allocation of that size would abort the test). */
static void test_work_hostile_payloads_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t which;
        const char *bytes;
        size_t size_bytes;
    } cases[] = {
        {0, "\x92\x01\xdd\xff\xff\xff\xff", 7},                       /* 4 G statements */
        {0, "\x92\x01\x91\x93\xdb\xff\xff\xff\xff", 9},               /* a statement of 4 G */
        {0, "\x92\x01\x91\x93\xa1q\xdd\xff\xff\xff\xff\xc0", 12},     /* 4 G parameters */
        {0, "\x92\x02\x90", 3},                                       /* another version */
        {0, "\x92\x01\x91\x93\xa3q\0r\x90\xc0", 10},                  /* NUL in a statement */
        {0, "\x92\x01\x91\x93\xa2q\xff\x90\xc0", 9},                  /* not UTF-8 */
        {0, "\x92\x01\x91\x93\xa1q\x90\xff", 8},                      /* expects -1 rows */
        {0, "\x92\x01\x91\x93\xc0\x90\xc0", 7},                       /* no statement */
        {0, "\x92\x01\x91\x94\xa1o\xdd\xff\xff\xff\xff\x90\xc0", 13}, /* 4 G names */
        {0, "\x92\x01\x91\x94\xa1o\x91\xa1n\x90\xc0", 11}, /* a name without its argument */
        {0, "\x92\x01\x91\x94\xa1o\x92\xa1n\xa1n\x92\xc0\xc0\xc0", 15}, /* a name twice */
        {0, "\x92\x01\x91\x94\xa1o\x92\xa1n\xa1m\x92\xc0\xc0\xc0", 15}, /* names out of order */
        {0, "\x92\x01\x91\x94\xa1o\x91\xc0\x91\xc0\xc0", 11}, /* an argument without a name */
        {0, "\x92\x01\x91\x94\xc0\x90\x90\xc0", 8},           /* no operation */
        {0, "\x92\x01\x91\x95\xa1o\x90\x90\xc0\xc0", 10},     /* of a form to come */
        {1, "\x92\x01\xdd\xff\xff\xff\xff", 7},               /* 4 G results */
        {1, "\x92\x01\x91\x94\xa1x\x00\xdd\xff\xff\xff\xff\x90", 13}, /* 4 G columns */
        {1, "\x92\x01\x91\x94\xa1x\x00\x90\xdd\xff\xff\xff\xff", 13}, /* 4 G rows of nothing */
        {1, "\x92\x01\x91\x94\xa1x\x00\x90\x91\x91\xc0", 11},         /* a value without a column */
        {2, "\x98\x01\xdb\xff\xff\xff\xff\xc0\xc0\xc0\xc0\xc0\xff", 13}, /* a message of 4 G */
        {2, "\x98\x01\xc0\xc0\xc0\xc0\xc0\xc0\xfe", 9},                  /* statement -2 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct blob *blob = blob_new(cases[i].bytes, cases[i].size_bytes);
        if (decoders[cases[i].which](blob)) {
            fail_msg("case %zu was taken", i);
        }
        blob_free(blob);
    }
}

/* A value from a database that keeps bytes of no encoding arrives with question marks, not as an
 * unreadable payload. */
static void test_work_value_without_encoding_still_travels(void **state)
{
    (void)state;
    char name[] = "c", type[] = "text", command[] = "SELECT 1", value[] = "a\xffz";
    char *values[] = {value};
    struct result_column column = {.name = name, .type = type, .oid = 25};
    struct result result = {.command = command,
                            .rows_affected = 1,
                            .column_count = 1,
                            .columns = &column,
                            .row_count = 1,
                            .values = values};
    struct results results = {.result_count = 1, .results = &result}, back;
    struct blob *blob = results_encode(&results);
    struct error error;
    assert_success(results_decode(blob, &back, &error), &error);
    assert_string_equal(back.results[0].values[0], "a?z");
    results_done(&back);
    blob_free(blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_work_any_statements_round_trip),
        cmocka_unit_test(test_work_any_results_round_trip),
        cmocka_unit_test(test_work_any_report_round_trips),
        cmocka_unit_test(test_work_sql_keeps_its_form),
        cmocka_unit_test(test_work_arguments_are_put_into_order),
        cmocka_unit_test(test_work_wrong_length_is_refused),
        cmocka_unit_test(test_work_any_byte_changed_does_no_harm),
        cmocka_unit_test(test_work_hostile_payloads_are_refused),
        cmocka_unit_test(test_work_value_without_encoding_still_travels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
