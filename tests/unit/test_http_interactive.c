/* test_http_interactive.c - bodies of an interactive transaction: what reaches the core, and what is refused where. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/work.h"
#include "coordinator/http_interactive.h"

static const struct http_limits limits = {.body_bytes = 1 << 20,
                                          .branches = 64,
                                          .statements = 1000,
                                          .timeout_default_ms = 5000,
                                          .timeout_max_ms = 60000};

static bool parse(const char *body, size_t body_bytes, struct interactive_statement *ret_statement,
                  struct problem *ret_problem)
{
    *ret_problem = (struct problem){0};
    return interactive_statement_parse(&limits, (const uint8_t *)body, body_bytes, ret_statement,
                                       ret_problem);
}

static struct interactive_statement parsed(const char *body)
{
    struct interactive_statement statement;
    struct problem problem;
    if (!parse(body, strlen(body), &statement, &problem)) {
        fail_msg("%s: %s", body, problem.detail);
    }
    return statement;
}

/* Every member arrives, numbers digit for digit. */
static void test_statement_full_body_arrives_whole(void **state)
{
    (void)state;
    struct interactive_statement statement =
        parsed("{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[12.50,null,true,"
               "\"x\"],\"expect_rows\":1,\"isolation\":\"repeatable read\",\"read_only\":true,"
               "\"seq\":7}");
    assert_string_equal(statement.participant, "order");
    assert_true(statement.has_mode);
    assert_true(statement.read_only);
    assert_int_equal(statement.isolation, ISOLATION_REPEATABLE_READ);
    assert_int_equal(statement.seq, 7);
    struct work work;
    struct error error = {0};
    assert_success(work_decode(statement.work, &work, &error), &error);
    assert_int_equal(work.statement_count, 1);
    assert_string_equal(work.statements[0].sql, "SELECT $1");
    assert_int_equal(work.statements[0].param_count, 4);
    assert_string_equal(work.statements[0].params[0], "12.50");
    assert_null(work.statements[0].params[1]);
    assert_int_equal(work.statements[0].expect_rows, 1);
    work_done(&work);
    blob_free(statement.work);
}

/* A named operation takes the place of SQL: its arguments arrive by name, and their order is no part of what is asked. */
static void test_statement_operation_arrives_with_its_arguments(void **state)
{
    (void)state;
    struct interactive_statement statement =
        parsed("{\"participant\":\"payment\",\"operation\":\"debit\",\"args\":{\"amount\":12.50,"
               "\"account\":\"c-7\",\"note\":null},\"expect_rows\":1,\"seq\":2}");
    assert_string_equal(statement.participant, "payment");
    assert_int_equal(statement.seq, 2);
    struct work work;
    struct error error = {0};
    assert_success(work_decode(statement.work, &work, &error), &error);
    assert_int_equal(work.statement_count, 1);
    const struct statement *call = &work.statements[0];
    assert_null(call->sql);
    assert_string_equal(call->operation, "debit");
    assert_int_equal(call->param_count, 3);
    assert_string_equal(call->arg_names[0], "account");
    assert_string_equal(call->params[0], "c-7");
    assert_string_equal(call->arg_names[1], "amount");
    assert_string_equal(call->params[1], "12.50");
    assert_string_equal(call->arg_names[2], "note");
    assert_null(call->params[2]);
    assert_int_equal(call->expect_rows, 1);
    work_done(&work);
    struct interactive_statement same = parsed(
        "{\"expect_rows\":1,\"args\":{\"note\":null,\"account\":\"c-7\",\"amount\":\"12.50\"},"
        "\"operation\":\"debit\",\"participant\":\"payment\"}");
    assert_memory_equal(statement.hash, same.hash, BODY_HASH_BYTES);
    struct interactive_statement other =
        parsed("{\"participant\":\"payment\",\"operation\":\"debit\",\"args\":{\"amount\":12.51,"
               "\"account\":\"c-7\",\"note\":null},\"expect_rows\":1}");
    assert_memory_not_equal(statement.hash, other.hash, BODY_HASH_BYTES);
    blob_free(other.work);
    blob_free(same.work);
    blob_free(statement.work);
}

/* Without isolation and read_only the branch keeps its own; without seq it is not repeatable. */
static void test_statement_small_body_has_defaults(void **state)
{
    (void)state;
    struct interactive_statement statement =
        parsed("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"seq\":null}");
    assert_false(statement.has_mode);
    assert_int_equal(statement.seq, 0);
    assert_int_equal(statement.isolation, ISOLATION_READ_COMMITTED);
    blob_free(statement.work);
}

/* The hash tells statements apart, and does not see white space, the order of members or seq. */
static void test_statement_hash_is_of_what_is_asked(void **state)
{
    (void)state;
    struct interactive_statement first =
        parsed("{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[\"1\"],\"seq\":1}");
    struct interactive_statement same = parsed(
        " {\"seq\": 2, \"params\" : [\"1\"], \"sql\":\"SELECT $1\",\"participant\":\"order\"}");
    assert_memory_equal(first.hash, same.hash, BODY_HASH_BYTES);
    const char *const others[] = {
        "{\"participant\":\"stock\",\"sql\":\"SELECT $1\",\"params\":[\"1\"]}",
        "{\"participant\":\"order\",\"sql\":\"SELECT $2\",\"params\":[\"1\"]}",
        "{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[\"2\"]}",
        "{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[null]}",
        "{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[\"1\"],\"expect_rows\":1}",
        "{\"participant\":\"order\",\"sql\":\"SELECT $1\",\"params\":[\"1\"],\"read_only\":true}",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct interactive_statement other = parsed(others[i]);
        assert_memory_not_equal(first.hash, other.hash, BODY_HASH_BYTES);
        blob_free(other.work);
    }
    blob_free(first.work);
    blob_free(same.work);
}

#define BAD(body_, kind_)                                                                          \
    {                                                                                              \
        body_, sizeof(body_) - 1, kind_                                                            \
    }

/* Each bad body is refused with the right kind of problem, and says where it is. */
static void test_statement_bad_bodies_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        size_t body_bytes;
        enum problem_kind kind;
    } bad[] = {
        BAD("", PROBLEM_MALFORMED),
        BAD("[]", PROBLEM_MALFORMED),
        BAD("{\"sql\":\"SELECT 1\"}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\"}", PROBLEM_MALFORMED),
        BAD("{\"participant\":7,\"sql\":\"SELECT 1\"}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"Order\",\"sql\":\"SELECT 1\"}", PROBLEM_UNKNOWN_PARTICIPANT),
        BAD("{\"participant\":\"order\",\"sql\":\"\"}", PROBLEM_INVALID),
        BAD("{\"participant\":\"order\",\"sql\":\" ;; --\"}", PROBLEM_INVALID),
        BAD("{\"participant\":\"order\",\"sql\":[\"SELECT 1\"]}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"params\":\"x\"}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"params\":[{}]}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"params\":[[1]]}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"params\":[\"a\\u0000b\"]}",
            PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT\\u0000 1\"}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT \xff\"}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT \xed\xa0\x80\"}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"seq\":0}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"seq\":-1}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"seq\":1.5}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"seq\":\"1\"}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"seq\":99999999999999999999}",
            PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"expect_rows\":-1}",
            PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"isolation\":\"chaos\"}",
            PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"read_only\":\"yes\"}",
            PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"speed\":1}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"sql\":\"SELECT 2\"}",
            PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\"} x", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"operation\":\"\"}", PROBLEM_INVALID),
        BAD("{\"participant\":\"order\",\"operation\":1}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"args\":{}}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"operation\":\"o\"}",
            PROBLEM_INVALID),
        BAD("{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"args\":{}}", PROBLEM_INVALID),
        BAD("{\"participant\":\"order\",\"operation\":\"o\",\"params\":[]}", PROBLEM_INVALID),
        BAD("{\"participant\":\"order\",\"operation\":\"o\",\"args\":[]}", PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"operation\":\"o\",\"args\":{\"a\":[1]}}",
            PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"operation\":\"o\",\"args\":{\"a\":\"b\\u0000\"}}",
            PROBLEM_MALFORMED),
        BAD("{\"participant\":\"order\",\"operation\":\"o\",\"args\":{\"a\":1,\"a\":2}}",
            PROBLEM_MALFORMED),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct interactive_statement statement;
        struct problem problem;
        if (parse(bad[i].body, bad[i].body_bytes, &statement, &problem)) {
            fail_msg("taken: %s", bad[i].body);
        }
        if (problem.kind != bad[i].kind || problem.detail[0] == '\0') {
            fail_msg("%s: kind %d, %s", bad[i].body, (int)problem.kind, problem.detail);
        }
    }
}

/* More parameters than PostgreSQL can count are refused with the limit's name. */
static void test_statement_too_many_parameters_are_refused(void **state)
{
    (void)state;
    static const char head[] = "{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"params\":[1";
    size_t count = STATEMENT_PARAMS_MAX;
    char *body = malloc(sizeof head + 2 * count + 3);
    assert_non_null(body);
    size_t length = sizeof head - 1;
    memcpy(body, head, length);
    for (size_t i = 0; i < count; i++) {
        memcpy(body + length, ",1", 2);
        length += 2;
    }
    memcpy(body + length, "]}", 2);
    struct interactive_statement statement;
    struct problem problem;
    assert_false(parse(body, length + 2, &statement, &problem));
    assert_int_equal(problem.kind, PROBLEM_LIMIT);
    free(body);
}

/* An open takes a timeout within the limits, or the default; also with no body at all. */
static void test_open_timeout_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        uint32_t timeout_ms; /* 0: refused */
    } cases[] = {{"", 5000},
                 {"{}", 5000},
                 {"{\"timeout_ms\":30000}", 30000},
                 {"{\"timeout_ms\":0}", 0},
                 {"{\"timeout_ms\":60001}", 0},
                 {"{\"timeout_ms\":\"1\"}", 0},
                 {"{\"branches\":[]}", 0},
                 {"7", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t timeout_ms = 0;
        struct problem problem = {0};
        bool ok = open_parse(&limits, (const uint8_t *)cases[i].body, strlen(cases[i].body),
                             &timeout_ms, &problem);
        assert_int_equal(ok, cases[i].timeout_ms != 0);
        assert_int_equal(timeout_ms, cases[i].timeout_ms);
    }
}

/* A commit takes ack and the number of statements, a rollback nothing; neither needs a body. */
static void test_end_takes_ack_and_count_with_commit_only(void **state)
{
    (void)state;
    static const struct {
        bool commit;
        const char *body;
        bool ok;
        enum ack_mode ack;
        uint64_t statements;
    } cases[] = {{true, "", true, ACK_MODE_COMPLETED},
                 {true, "{\"statements\":3}", true, ACK_MODE_COMPLETED, 3},
                 {true, "{\"statements\":0}", false, ACK_MODE_COMPLETED},
                 {true, "{\"statements\":\"3\"}", false, ACK_MODE_COMPLETED},
                 {false, "{\"statements\":3}", false, ACK_MODE_COMPLETED},
                 {true, "{\"ack\":\"decided\"}", true, ACK_MODE_DECIDED},
                 {true, "{\"ack\":\"maybe\"}", false, ACK_MODE_COMPLETED},
                 {false, "{}", true, ACK_MODE_COMPLETED},
                 {false, "{\"ack\":\"decided\"}", false, ACK_MODE_COMPLETED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct interactive_end end = {0};
        struct problem problem = {0};
        assert_int_equal(interactive_end_parse(cases[i].commit, (const uint8_t *)cases[i].body,
                                               strlen(cases[i].body), &end, &problem),
                         cases[i].ok);
        assert_int_equal(end.ack, cases[i].ack);
        assert_int_equal(end.statements, cases[i].statements);
        assert_int_equal(end.commit, cases[i].ok && cases[i].commit);
    }
}

static void test_external_names_participant_and_mode(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool ok;
    } cases[] = {
        {"{\"participant\":\"order\",\"mode\":\"external\"}", true},
        {"", false},
        {"{}", false},
        {"{\"participant\":\"order\"}", false},
        {"{\"mode\":\"external\"}", false},
        {"{\"participant\":\"order\",\"mode\":\"internal\"}", false},
        {"{\"participant\":\"order\",\"mode\":\"External\"}", false},
        {"{\"participant\":\"order\",\"mode\":true}", false},
        {"{\"participant\":7,\"mode\":\"external\"}", false},
        {"{\"participant\":\"\",\"mode\":\"external\"}", false},
        {"{\"participant\":\"or:der\",\"mode\":\"external\"}", false},
        {"{\"participant\":\"order\",\"mode\":\"external\",\"gid\":\"assent:\"}", false},
        {"{\"participant\":\"order\",\"mode\":\"external\",\"mode\":\"external\"}", false},
        {"[\"order\",\"external\"]", false},
        {"{\"participant\":\"order\",\"mode\":\"external\"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct interactive_external external = {0};
        struct problem problem = {0};
        assert_int_equal(interactive_external_parse((const uint8_t *)cases[i].body,
                                                    strlen(cases[i].body), &external, &problem),
                         cases[i].ok);
        assert_string_equal(external.participant, cases[i].ok ? "order" : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statement_full_body_arrives_whole),
        cmocka_unit_test(test_statement_operation_arrives_with_its_arguments),
        cmocka_unit_test(test_statement_small_body_has_defaults),
        cmocka_unit_test(test_statement_hash_is_of_what_is_asked),
        cmocka_unit_test(test_statement_bad_bodies_are_refused),
        cmocka_unit_test(test_statement_too_many_parameters_are_refused),
        cmocka_unit_test(test_open_timeout_is_checked),
        cmocka_unit_test(test_end_takes_ack_and_count_with_commit_only),
        cmocka_unit_test(test_external_names_participant_and_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
