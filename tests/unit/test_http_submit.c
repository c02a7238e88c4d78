/*
 * test_http_submit.c - good bodies: what reaches the core, digit for digit, and when two bodies are the same.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/work.h"
#include "coordinator/http_submit.h"

static const struct http_limits limits = {.body_bytes = 1 << 20,
                                          .branches = 64,
                                          .statements = 1000,
                                          .timeout_default_ms = 5000,
                                          .timeout_max_ms = 60000};

static struct submission parse_with(const char *key_header, const char *body)
{
    struct submission submission;
    struct problem problem;
    if (!submit_parse(&limits, key_header, (const uint8_t *)body, strlen(body), &submission,
                      &problem)) {
        fail_msg("%s: %s", body, problem.detail);
    }
    return submission;
}

static struct submission parse(const char *body)
{
    return parse_with(NULL, body);
}

static struct work work_of(const struct submission *submission, size_t branch)
{
    struct work work;
    struct error error = {0};
    assert_success(work_decode(submission->branches[branch].work, &work, &error), &error);
    return work;
}

#define FULL                                                                                       \
    "{ \"branches\": [ { \"participant\": \"order\", \"statements\": [ { \"sql\": \"INSERT $1\", " \
    "\"params\": [\"o-1\", null, true, false, \"\"] }, {\"sql\":\"B\"} ] }, { \"participant\": "   \
    "\"payment\", \"isolation\": \"serializable\", \"read_only\": true, \"statements\": [ { "      \
    "\"sql\": \"UPDATE\", \"expect_rows\": 1 } ] } ], \"timeout_ms\": 1234, \"ack\": "             \
    "\"decided\", "                                                                                \
    "\"key\": \"k-1\" }"

/* Every member of a full request arrives where the core looks for it. */
static void test_submit_full_request_arrives_whole(void **state)
{
    (void)state;
    struct submission submission = parse(FULL);
    assert_int_equal(submission.timeout_ms, 1234);
    assert_int_equal(submission.ack, ACK_MODE_DECIDED);
    assert_int_equal(submission.key_bytes, 3);
    assert_string_equal(submission.key, "k-1");
    assert_int_equal(submission.branch_count, 2);
    assert_string_equal(submission.branches[0].participant, "order");
    assert_int_equal(submission.branches[0].isolation, ISOLATION_READ_COMMITTED);
    assert_false(submission.branches[0].read_only);
    assert_string_equal(submission.branches[1].participant, "payment");
    assert_int_equal(submission.branches[1].isolation, ISOLATION_SERIALIZABLE);
    assert_true(submission.branches[1].read_only);
    struct work first = work_of(&submission, 0);
    assert_int_equal(first.statement_count, 2);
    assert_string_equal(first.statements[0].sql, "INSERT $1");
    assert_int_equal(first.statements[0].param_count, 5);
    assert_string_equal(first.statements[0].params[0], "o-1");
    assert_null(first.statements[0].params[1]);
    assert_string_equal(first.statements[0].params[2], "true");
    assert_string_equal(first.statements[0].params[3], "false");
    assert_string_equal(first.statements[0].params[4], "");
    assert_int_equal(first.statements[0].expect_rows, EXPECT_ROWS_ANY);
    assert_string_equal(first.statements[1].sql, "B");
    work_done(&first);
    struct work second = work_of(&submission, 1);
    assert_int_equal(second.statements[0].expect_rows, 1);
    work_done(&second);
    submission_done(&submission);
}

/* An operation arrives with its arguments in the order of their names, so that the order of members does not matter to
 * the hash of its key; it is not the same as any SQL. */
static void test_submit_operation_arrives_with_its_arguments(void **state)
{
    (void)state;
#define CALL(inside) "{\"branches\":[{\"participant\":\"a\",\"statements\":[{" inside "}]}]}"
    struct submission submission = parse(
        CALL("\"operation\":\"debit\",\"args\":{\"b\":12.50,\"a\":\"c-7\",\"c\":null,\"B\":true},"
             "\"expect_rows\":1"));
    struct work work = work_of(&submission, 0);
    const struct statement *statement = &work.statements[0];
    assert_null(statement->sql);
    assert_string_equal(statement->operation, "debit");
    assert_int_equal(statement->param_count, 4);
    assert_string_equal(statement->arg_names[0], "B");
    assert_string_equal(statement->params[0], "true");
    assert_string_equal(statement->arg_names[1], "a");
    assert_string_equal(statement->params[1], "c-7");
    assert_string_equal(statement->arg_names[2], "b");
    assert_string_equal(statement->params[2], "12.50");
    assert_string_equal(statement->arg_names[3], "c");
    assert_null(statement->params[3]);
    assert_int_equal(statement->expect_rows, 1);
    work_done(&work);
    struct submission same = parse(
        CALL("\"args\":{\"B\":true,\"c\":null,\"b\":\"12.50\",\"a\":\"c-7\"},\"expect_rows\":1,"
             "\"params\":null,\"sql\":null,\"operation\":\"debit\""));
    assert_memory_equal(submission.body_hash, same.body_hash, BODY_HASH_BYTES);
    static const char *const others[] = {
        CALL("\"operation\":\"debit\",\"args\":{\"b\":12.50,\"a\":\"c-7\",\"c\":null,\"B\":true}"),
        CALL("\"operation\":\"credit\",\"args\":{\"b\":12.50,\"a\":\"c-7\",\"c\":null,\"B\":true},"
             "\"expect_rows\":1"),
        CALL("\"operation\":\"debit\",\"args\":{\"b\":12.50,\"a\":\"c-7\",\"c\":\"\",\"B\":true},"
             "\"expect_rows\":1"),
        CALL("\"sql\":\"debit\",\"params\":[true,\"c-7\",12.50,null],\"expect_rows\":1"),
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct submission other = parse(others[i]);
        assert_memory_not_equal(submission.body_hash, other.body_hash, BODY_HASH_BYTES);
        submission_done(&other);
    }
    submission_done(&same);
    submission_done(&submission);
    submission = parse(CALL("\"operation\":\"all\""));
    work = work_of(&submission, 0);
    assert_int_equal(work.statements[0].param_count, 0);
    assert_int_equal(work.statements[0].expect_rows, EXPECT_ROWS_ANY);
    work_done(&work);
    submission_done(&submission);
}

/* What is left out has the documented default, and so has an explicit null. */
static void test_submit_absent_and_null_members_take_defaults(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\"}]}]}",
        "{\"branches\":[{\"participant\":\"a\",\"isolation\":null,\"read_only\":null,"
        "\"statements\":"
        "[{\"sql\":\"S\",\"params\":null,\"expect_rows\":null}]}],\"key\":null,\"ack\":null,"
        "\"timeout_ms\":null,\"queue\":null}",
    };
    for (size_t i = 0; i < 2; i++) {
        struct submission submission = parse(bodies[i]);
        assert_int_equal(submission.timeout_ms, 5000);
        assert_int_equal(submission.ack, ACK_MODE_COMPLETED);
        assert_int_equal(submission.key_bytes, 0);
        assert_int_equal(submission.branches[0].isolation, ISOLATION_READ_COMMITTED);
        submission_done(&submission);
    }
}

/* A number reaches PostgreSQL exactly as it was written, whatever its size or form. */
static void test_submit_numbers_pass_digit_for_digit(void **state)
{
    (void)state;
    static const char *const numbers[] = {"12.50",
                                          "0",
                                          "-0",
                                          "-0.0",
                                          "0.10",
                                          "1e2",
                                          "1E+2",
                                          "1.0e-400",
                                          "123456789012345678901234567890",
                                          "-9223372036854775809",
                                          "18446744073709551616",
                                          "9007199254740993",
                                          "3.14159265358979323846264338327950288419716939937510"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char body[256];
        (void)snprintf(body, sizeof body,
                       "{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\","
                       "\"params\":[%s,\"%s\"]}]}]}",
                       numbers[i], numbers[i]);
        struct submission submission = parse(body);
        struct work work = work_of(&submission, 0);
        assert_string_equal(work.statements[0].params[0], numbers[i]);
        assert_string_equal(work.statements[0].params[1], numbers[i]);
        work_done(&work);
        submission_done(&submission);
    }
}

/* Escapes and multi-byte characters are decoded once and correctly. */
static void test_submit_strings_are_decoded(void **state)
{
    (void)state;
    struct submission submission =
        parse("{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\",\"params\":["
              "\"\\u00e9\\n\\t\\\\\\\"\\/\",\"\\ud83d\\ude00\",\"\xf0\x9f\x98\x80\xc3\xa9\","
              "\"{1,2}\",\"\\\\x00ff\",\"\\\\ud800\"]}]}]}");
    struct work work = work_of(&submission, 0);
    assert_string_equal(work.statements[0].params[0], "\xc3\xa9\n\t\\\"/");
    assert_string_equal(work.statements[0].params[1], "\xf0\x9f\x98\x80");
    assert_string_equal(work.statements[0].params[2], "\xf0\x9f\x98\x80\xc3\xa9");
    assert_string_equal(work.statements[0].params[3], "{1,2}");
    assert_string_equal(work.statements[0].params[4], "\\x00ff");
    assert_string_equal(work.statements[0].params[5], "\\ud800");
    work_done(&work);
    submission_done(&submission);
}

struct key_case {
    const char *header;
    const char *key; /* NULL: refused */
};

/* The header is the draft's quoted string or a bare token; nothing else, and never cut or guessed. */
static void test_key_header_takes_string_and_token_only(void **state)
{
    (void)state;
    static const struct key_case cases[] = {
        {"checkout-8d2f", "checkout-8d2f"},
        {"  checkout-8d2f\t", "checkout-8d2f"},
        {"\"checkout-8d2f\"", "checkout-8d2f"},
        {"\"a b\"", "a b"},
        {"\"a\\\"b\\\\c\"", "a\"b\\c"},
        {"8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
        {"urn:uuid/7", "urn:uuid/7"},
        {"", NULL},
        {"   ", NULL},
        {"\"\"", NULL},
        {"\"", NULL},
        {"\"abc", NULL},
        {"\"abc\\\"", NULL},
        {"\"a\\b\"", NULL},
        {"\"abc\";v=1", NULL},
        {"\"abc\" x", NULL},
        {"abc def", NULL},
        {"abc,def", NULL},
        {"abc;v=1", NULL},
        {"a\"b\"", NULL},
        {"\"\xc3\xa9\"", NULL},
        {"\xc3\xa9", NULL},
        {"\"a\tb\"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char key[KEY_MAX_BYTES + 1] = "untouched";
        size_t key_bytes = 0;
        struct problem problem;
        const bool ok = key_header_parse(cases[i].header, key, &key_bytes, &problem);
        if (ok != (cases[i].key != NULL)) {
            fail_msg("%s: %s", cases[i].header, ok ? key : problem.detail);
        }
        assert_string_equal(key, ok ? cases[i].key : "untouched");
        assert_int_equal(key_bytes, ok ? strlen(cases[i].key) : 0);
    }
}

/* 255 bytes are a key and 256 are not, in either form and in the body. */
static void test_key_length_is_bounded(void **state)
{
    (void)state;
    for (size_t length = 255; length <= 256; length++) {
        char token[400] = "";
        char quoted[400] = "\"";
        memset(token, 'k', length);
        memset(quoted + 1, 'k', length);
        quoted[length + 1] = '"';
        char key[KEY_MAX_BYTES + 1];
        size_t key_bytes = 0;
        struct problem problem;
        assert_int_equal(key_header_parse(token, key, &key_bytes, &problem), length == 255);
        assert_int_equal(key_header_parse(quoted, key, &key_bytes, &problem), length == 255);
        char body[600];
        (void)snprintf(body, sizeof body,
                       "{\"key\":\"%s\",\"branches\":[{\"participant\":\"a\",\"statements\":[{"
                       "\"sql\":\"S\"}]}]}",
                       token);
        struct submission submission;
        const bool ok =
            submit_parse(&limits, NULL, (const uint8_t *)body, strlen(body), &submission, &problem);
        assert_int_equal(ok, length == 255);
        if (ok) {
            assert_int_equal(submission.key_bytes, 255);
            submission_done(&submission);
        }
    }
}

#define BODY_KEY(key)                                                                              \
    "{\"key\":" key ",\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\"}]}]}"

/* Header and body may both hold the key if it is the same one; different keys are refused. */
static void test_key_in_header_and_body_must_agree(void **state)
{
    (void)state;
    struct submission submission = parse_with("\"k 1\"", BODY_KEY("\"k 1\""));
    assert_string_equal(submission.key, "k 1");
    submission_done(&submission);
    submission = parse_with("k1", BODY_KEY("null"));
    assert_string_equal(submission.key, "k1");
    submission_done(&submission);
    static const char *const others[] = {BODY_KEY("\"k2\""), BODY_KEY("\"k\""),
                                         BODY_KEY("\"k11\"")};
    for (size_t i = 0; i < 3; i++) {
        struct problem problem;
        assert_false(submit_parse(&limits, "k1", (const uint8_t *)others[i], strlen(others[i]),
                                  &submission, &problem));
        assert_int_equal(problem.kind, PROBLEM_MALFORMED);
        assert_non_null(strstr(problem.detail, "key: differs from the Idempotency-Key header"));
    }
}

#define PLAIN                                                                                      \
    "{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\",\"params\":[\"1\",null]" \
    "}]},"                                                                                         \
    "{\"participant\":\"b\",\"statements\":[{\"sql\":\"T\",\"expect_rows\":1}]}]}"

/* The hash does not see white space, member order, escapes, defaults written out, timeout_ms, ack or the key. */
static void test_hash_equal_for_the_same_branches(void **state)
{
    (void)state;
    static const char *const same[] = {
        PLAIN,
        " { \"branches\" : [ { \"participant\":\"a\" , \"statements\":[ "
        "{\"sql\":\"S\",\n\"params\": "
        "[\"1\",null]}]},{\"participant\":\"b\",\"statements\":[{\"sql\":\"T\",\"expect_rows\":1}]}"
        "]}",
        "{\"branches\":[{\"statements\":[{\"params\":[\"1\",null],\"sql\":\"\\u0053\"}],"
        "\"participant\":\"a\"},{\"statements\":[{\"expect_rows\":1,\"sql\":\"T\"}],"
        "\"participant\":"
        "\"b\"}]}",
        "{\"timeout_ms\":77,\"ack\":\"decided\",\"key\":\"other\",\"branches\":[{\"participant\":"
        "\"a\","
        "\"isolation\":\"read committed\",\"read_only\":false,\"statements\":[{\"sql\":\"S\","
        "\"params\":[1,null]}]},{\"participant\":\"b\",\"statements\":[{\"sql\":\"T\",\"params\":[]"
        ","
        "\"expect_rows\":1}]}]}",
    };
    struct submission first = parse(same[0]);
    for (size_t i = 1; i < sizeof same / sizeof same[0]; i++) {
        struct submission other = parse(same[i]);
        assert_memory_equal(first.body_hash, other.body_hash, BODY_HASH_BYTES);
        submission_done(&other);
    }
    submission_done(&first);
}

/* Any difference in what would run is another body. */
static void test_hash_differs_for_different_branches(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        PLAIN,
        "{\"branches\":[{\"participant\":\"b\",\"statements\":[{\"sql\":\"T\",\"expect_rows\":1}]},"
        "{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\",\"params\":[\"1\",null]}]}]}",
        "{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\",\"params\":[\"1\","
        "\"null\"]"
        "}]},{\"participant\":\"b\",\"statements\":[{\"sql\":\"T\",\"expect_rows\":1}]}]}",
        "{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\",\"params\":[\"1.0\","
        "null]}]}"
        ",{\"participant\":\"b\",\"statements\":[{\"sql\":\"T\",\"expect_rows\":1}]}]}",
        "{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\",\"params\":[\"1\","
        "null]}]},"
        "{\"participant\":\"b\",\"statements\":[{\"sql\":\"T\"}]}]}",
        "{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\",\"params\":[\"1\","
        "null]}]},"
        "{\"participant\":\"b\",\"read_only\":true,\"statements\":[{\"sql\":\"T\",\"expect_rows\":"
        "1}]}"
        "]}",
        "{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\",\"params\":[\"1\","
        "null]}]},"
        "{\"participant\":\"b\",\"isolation\":\"serializable\",\"statements\":[{\"sql\":\"T\","
        "\"expect_rows\":1}]}]}",
        "{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\"},{\"sql\":\"1\"}]},"
        "{\"participant\":\"b\",\"statements\":[{\"sql\":\"T\",\"expect_rows\":1}]}]}",
        "{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\",\"params\":[\"1\","
        "null]}]}]"
        "}",
    };
    enum { COUNT = sizeof bodies / sizeof bodies[0] };
    struct submission submissions[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        submissions[i] = parse(bodies[i]);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(submissions[i].body_hash, submissions[j].body_hash,
                                    BODY_HASH_BYTES);
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        submission_done(&submissions[i]);
    }
}

/* PostgreSQL's bound on parameters is a limit with a name, not a failure inside. */
static void test_submit_too_many_params_is_a_limit(void **state)
{
    (void)state;
    char *body = alloc_zeroed(200 + 2 * 65537);
    size_t used = (size_t)sprintf(
        body, "{\"branches\":[{\"participant\":\"a\",\"statements\":[{\"sql\":\"S\",\"params\":[1");
    for (int i = 0; i < 65535; i++) {
        used += (size_t)sprintf(body + used, ",1");
    }
    (void)sprintf(body + used, "]}]}]}");
    struct submission submission;
    struct problem problem;
    assert_false(
        submit_parse(&limits, NULL, (const uint8_t *)body, strlen(body), &submission, &problem));
    assert_int_equal(problem.kind, PROBLEM_LIMIT);
    assert_string_equal(problem.limit_name, "params");
    assert_int_equal(problem.limit, 65535);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_submit_full_request_arrives_whole),
        cmocka_unit_test(test_submit_operation_arrives_with_its_arguments),
        cmocka_unit_test(test_submit_absent_and_null_members_take_defaults),
        cmocka_unit_test(test_submit_numbers_pass_digit_for_digit),
        cmocka_unit_test(test_submit_strings_are_decoded),
        cmocka_unit_test(test_key_header_takes_string_and_token_only),
        cmocka_unit_test(test_key_length_is_bounded),
        cmocka_unit_test(test_key_in_header_and_body_must_agree),
        cmocka_unit_test(test_hash_equal_for_the_same_branches),
        cmocka_unit_test(test_hash_differs_for_different_branches),
        cmocka_unit_test(test_submit_too_many_params_is_a_limit),
    };
    return cmocka_run_group_tests_name("http_submit", tests, NULL, NULL);
}
