/*
 * test_http_interactive_answers.c - an interactive transaction's requests on the wire: what reaches the core, and its answers as
 * clients see them.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/unit/http_stand_in.h"

#define ID         "abababababababababababababababab-3-0123456789abcdef-7"
#define PATH       "/v1/transactions/" ID
#define STATEMENT  "{\"participant\":\"order\",\"sql\":\"SELECT 1\",\"seq\":1}"
#define UNNUMBERED "{\"participant\":\"order\",\"sql\":\"SELECT 1\"}"

/* What the stand-in's thread answers in the current test, and what it was asked; set before the request is sent, read after it. */
struct script {
    enum api_status status;
    bool has_view;
    enum txn_state state;
    enum reason reason;
    bool replayed;
    struct blob *results;
    struct gid gid;
};

static struct script script;

static struct {
    enum api_operation operation;
    uint32_t timeout_ms;
    struct gtrid gtrid;
    bool commit;
    enum ack_mode ack;
    uint64_t seq;
} asked;

static void on_answer(struct api_call *call, void *user)
{
    (void)user;
    asked.operation = call->operation;
    asked.timeout_ms = call->timeout_ms;
    asked.gtrid = call->operation == API_STATEMENT  ? call->statement.gtrid
                  : call->operation == API_EXTERNAL ? call->external.gtrid
                                                    : call->end.gtrid;
    asked.commit = call->end.commit;
    asked.ack = call->end.ack;
    asked.seq = call->statement.seq;
    struct api_answer *answer = &call->answer;
    answer->status = script.status;
    answer->reason = script.reason;
    answer->replayed = script.replayed;
    answer->seq = 3;
    answer->results = script.results;
    answer->gid = script.gid;
    script.results = NULL;
    if (script.has_view) {
        answer->views = alloc_zeroed(sizeof *answer->views);
        answer->view_count = 1;
        answer->views[0].gtrid = stand_in_gtrid(7);
        answer->views[0].state = script.state;
        answer->views[0].failure.reason = script.reason;
        (void)snprintf(answer->views[0].failure_text, sizeof answer->views[0].failure_text, "why");
    }
}

static int group_setup(void **state)
{
    static struct stand_in stand_in;
    stand_in_start(&stand_in, NULL, on_answer, NULL);
    *state = &stand_in;
    return 0;
}

static int group_teardown(void **state)
{
    stand_in_stop(*state);
    return 0;
}

static void post(const struct stand_in *stand_in, const char *path, const char *body,
                 struct script answer, struct wire_reply *ret_reply)
{
    script = answer;
    wire_post(stand_in->port, path, "", body, ret_reply);
}

static struct blob *results_make(void)
{
    struct result result = {.command = (char[]){"UPDATE 1"}, .rows_affected = 1};
    const struct results results = {.result_count = 1, .results = &result};
    return results_encode(&results);
}

/* Opening hands the deadline on, or the default one, and answers with the id; it needs no body at all. */
static void test_open_answers_with_the_id(void **state)
{
    const struct stand_in *stand_in = *state;
    const struct script open = {.status = API_OK, .has_view = true, .state = TXN_OPEN};
    struct wire_reply reply;
    post(stand_in, "/v1/transactions/open", "{\"timeout_ms\":30000}", open, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "{\"id\":\"" ID "\",\"state\":\"active\"}\n");
    assert_string_equal(wire_header(&reply, "Assent-Transaction"), ID);
    assert_int_equal(asked.operation, API_OPEN);
    assert_int_equal(asked.timeout_ms, 30000);
    wire_reply_done(&reply);
    script = open;
    wire_request(stand_in->port, "POST", "/v1/transactions/open", "", "", 0, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(asked.timeout_ms, 5000);
    wire_reply_done(&reply);
}

/* "open" is a path and no transaction: it has the methods of its own row. */
static void test_open_is_not_taken_for_an_id(void **state)
{
    const struct stand_in *stand_in = *state;
    struct wire_reply reply;
    wire_get(stand_in->port, "/v1/transactions/open", &reply);
    assert_problem(&reply, 405, "method_not_allowed");
    assert_string_equal(wire_header(&reply, "Allow"), "POST");
    wire_reply_done(&reply);
    post(stand_in, "/v1/transactions/open/commit", "{}", (struct script){.status = API_OK}, &reply);
    assert_problem(&reply, 404, "unknown_transaction");
    wire_reply_done(&reply);
}

/* A statement's results come back with its number; a repeated one is the same bytes and says so in a header. */
static void test_statement_answers_with_results_and_seq(void **state)
{
    struct script answered = {
        .status = API_OK, .has_view = true, .state = TXN_OPEN, .results = results_make()};
    struct wire_reply first;
    struct wire_reply second;
    post(*state, PATH "/statements", STATEMENT, answered, &first);
    assert_int_equal(first.status, 200);
    assert_string_equal(first.body,
                        "{\"id\":\"" ID "\",\"state\":\"active\",\"seq\":3,\"results\":["
                        "{\"command\":\"UPDATE 1\",\"rows_affected\":1,\"columns\":[],"
                        "\"rows\":[]}]}\n");
    assert_null(wire_header(&first, "Idempotent-Replayed"));
    assert_int_equal(asked.operation, API_STATEMENT);
    assert_int_equal(asked.seq, 1);
    const struct gtrid gtrid = stand_in_gtrid(7);
    assert_true(gtrid_equal(&asked.gtrid, &gtrid));
    answered.results = results_make();
    answered.replayed = true;
    post(*state, PATH "/statements", STATEMENT, answered, &second);
    assert_string_equal(first.body, second.body);
    assert_string_equal(wire_header(&second, "Idempotent-Replayed"), "true");
    wire_reply_done(&first);
    wire_reply_done(&second);
}

/* A second gid is no repetition of the first. */
static void test_external_answers_with_the_gid(void **state)
{
    struct script answered = {
        .status = API_OK,
        .has_view = true,
        .state = TXN_OPEN,
        .replayed = true,
        .gid = {.gtrid = stand_in_gtrid(7), .participant = "order", .attempt = 0xab}};
    struct wire_reply reply;
    char expected[512];
    char gid[GID_TEXT_SIZE];
    gid_format(&answered.gid, gid);
    (void)snprintf(expected, sizeof expected,
                   "{\"id\":\"" ID "\",\"state\":\"active\",\"participant\":\"order\","
                   "\"mode\":\"external\",\"gid\":\"%s\"}\n",
                   gid);
    post(*state, PATH "/branches", "{\"participant\":\"order\",\"mode\":\"external\"}", answered,
         &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, expected);
    assert_null(wire_header(&reply, "Idempotent-Replayed"));
    assert_int_equal(asked.operation, API_EXTERNAL);
    const struct gtrid gtrid = stand_in_gtrid(7);
    assert_true(gtrid_equal(&asked.gtrid, &gtrid));
    wire_reply_done(&reply);
}

/* Results that cannot be read, and an OK for a transaction that is not open, are no answers. */
static void test_statement_answer_without_sense_is_an_error(void **state)
{
    struct wire_reply reply;
    post(*state, PATH "/statements", STATEMENT,
         (struct script){.status = API_OK,
                         .has_view = true,
                         .state = TXN_OPEN,
                         .results = blob_new("\xc1garbage", 8)},
         &reply);
    assert_problem(&reply, 500, "internal");
    assert_non_null(strstr(reply.body, "\"state\":\"unknown\",\"retryable\":true"));
    wire_reply_done(&reply);
    post(*state, PATH "/statements", UNNUMBERED,
         (struct script){.status = API_OK, .has_view = true, .state = TXN_ABORTED}, &reply);
    assert_problem(&reply, 500, "internal");
    assert_non_null(strstr(reply.body, "\"state\":\"unknown\",\"retryable\":false"));
    wire_reply_done(&reply);
}

/* Commit and rollback are told apart, may come without a body, and hand on how long to wait. */
static void test_close_reaches_the_core(void **state)
{
    const struct stand_in *stand_in = *state;
    const struct gtrid gtrid = stand_in_gtrid(7);
    struct wire_reply reply;
    script = (struct script){.status = API_OK, .has_view = true, .state = TXN_COMMITTED};
    wire_request(stand_in->port, "POST", PATH "/commit", "", "", 0, &reply);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "{\"id\":\"" ID "\",\"state\":\"committed\","));
    assert_true(asked.operation == API_CLOSE && asked.commit);
    assert_int_equal(asked.ack, ACK_MODE_COMPLETED);
    assert_true(gtrid_equal(&asked.gtrid, &gtrid));
    wire_reply_done(&reply);
    post(stand_in, PATH "/commit", "{\"ack\":\"decided\"}",
         (struct script){.status = API_OK, .has_view = true, .state = TXN_COMMITTING}, &reply);
    assert_non_null(strstr(reply.body, "\"state\":\"committed\",\"completed\":false"));
    assert_int_equal(asked.ack, ACK_MODE_DECIDED);
    wire_reply_done(&reply);
    post(stand_in, PATH "/rollback", "{}",
         (struct script){.status = API_OK,
                         .has_view = true,
                         .state = TXN_ABORTING,
                         .reason = REASON_ROLLED_BACK_BY_CLIENT},
         &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "{\"id\":\"" ID "\",\"state\":\"aborted\",\"reason\":"
                                    "\"rolled_back_by_client\"}\n");
    assert_true(asked.operation == API_CLOSE && !asked.commit);
    wire_reply_done(&reply);
}

/* A rollback of what is forgotten has no reason to tell; of what somebody committed by hand it says so; anything else is no rollback. */
static void test_rollback_says_what_it_found(void **state)
{
    struct wire_reply reply;
    post(*state, PATH "/rollback", "", (struct script){.status = API_OK}, &reply);
    assert_string_equal(reply.body, "{\"id\":\"" ID "\",\"state\":\"aborted\"}\n");
    assert_string_equal(wire_header(&reply, "Assent-Transaction"), ID);
    wire_reply_done(&reply);
    post(*state, PATH "/rollback", "",
         (struct script){.status = API_OK, .has_view = true, .state = TXN_HEURISTIC}, &reply);
    assert_string_equal(reply.body, "{\"id\":\"" ID "\",\"state\":\"heuristic\"}\n");
    wire_reply_done(&reply);
    static const enum txn_state others[] = {TXN_OPEN, TXN_PREPARING, TXN_COMMITTING, TXN_COMMITTED};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        post(*state, PATH "/rollback", "",
             (struct script){.status = API_OK, .has_view = true, .state = others[i]}, &reply);
        assert_problem(&reply, 500, "internal");
        assert_non_null(strstr(reply.body, "\"state\":\"unknown\""));
        wire_reply_done(&reply);
    }
}

/* After a failed statement every further one, and the commit, are answered with the recorded reason; a transaction that a restart has
 * forgotten is aborted as well, without one. */
static void test_aborted_transaction_answers_with_its_reason(void **state)
{
    static const char *const paths[] = {PATH "/statements", PATH "/commit"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const char *body = i == 0 ? STATEMENT : "{}";
        struct wire_reply reply;
        post(*state, paths[i], body,
             (struct script){.status = API_ABORTED,
                             .has_view = true,
                             .state = TXN_ABORTED,
                             .reason = REASON_CONSTRAINT},
             &reply);
        assert_problem(&reply, 409, "constraint");
        assert_non_null(strstr(reply.body, "\"id\":\"" ID "\",\"state\":\"aborted\","));
        assert_string_equal(wire_header(&reply, "Assent-Transaction"), ID);
        wire_reply_done(&reply);
        post(*state, paths[i], body,
             (struct script){.status = API_ABORTED, .has_view = true, .state = TXN_ABORTED},
             &reply);
        assert_problem(&reply, 409, "conflict");
        assert_non_null(strstr(reply.body, "\"detail\":\"why\",\"id\":\"" ID
                                           "\",\"state\":\"aborted\",\"retryable\":false}"));
        wire_reply_done(&reply);
        post(*state, paths[i], body, (struct script){.status = API_ABORTED}, &reply);
        assert_problem(&reply, 500, "internal");
        wire_reply_done(&reply);
    }
}

/* What changed nothing has no state; what is not known says so, and whether the same request may be sent again. */
static void test_other_answers_are_mapped(void **state)
{
    static const struct {
        const char *path, *body;
        struct script answer;
        int status;
        const char *slug, *said;
    } rows[] = {
        {PATH "/statements", STATEMENT, {.status = API_CONFLICT}, 409, "conflict", ""},
        {PATH "/statements",
         STATEMENT,
         {.status = API_KEY_CONFLICT},
         422,
         "key_conflict",
         "this seq belongs to another statement"},
        {PATH "/statements",
         STATEMENT,
         {.status = API_UNKNOWN_PARTICIPANT},
         422,
         "unknown_participant",
         ""},
        {PATH "/statements",
         STATEMENT,
         {.status = API_REFUSED, .reason = REASON_CAPACITY},
         503,
         "capacity",
         ""},
        {PATH "/statements",
         STATEMENT,
         {.status = API_OUTCOME_UNKNOWN},
         504,
         "outcome_unknown",
         "\"state\":\"unknown\",\"retryable\":true"},
        {PATH "/statements",
         UNNUMBERED,
         {.status = API_OUTCOME_UNKNOWN},
         504,
         "outcome_unknown",
         "\"state\":\"unknown\",\"retryable\":false"},
        {PATH "/commit",
         "",
         {.status = API_OUTCOME_UNKNOWN},
         504,
         "outcome_unknown",
         "\"state\":\"unknown\",\"retryable\":true"},
        {PATH "/commit", "", {.status = API_NOT_FOUND}, 404, "unknown_transaction", ""},
        {PATH "/rollback", "", {.status = API_EXPIRED}, 404, "expired", ""},
        {PATH "/rollback", "", {.status = API_CONFLICT}, 409, "conflict", ""},
        {"/v1/transactions/open",
         "",
         {.status = API_REFUSED, .reason = REASON_OVERLOAD},
         429,
         "overload",
         ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_reply reply;
        post(*state, rows[i].path, rows[i].body, rows[i].answer, &reply);
        assert_problem(&reply, rows[i].status, rows[i].slug);
        assert_non_null(strstr(reply.body, rows[i].said));
        assert_null(strstr(reply.body, "\"aborted\""));
        assert_null(strstr(reply.body, "\"committed\""));
        wire_reply_done(&reply);
    }
}

/* Nothing of a request that cannot be understood, or that would be misunderstood, reaches the core. */
static void test_bad_requests_reach_nobody(void **state)
{
    struct stand_in *stand_in = *state;
    static const struct {
        const char *path, *headers, *body;
        int status;
        const char *slug;
    } rows[] = {
        {PATH "/statements", "", "{}", 400, "malformed"},
        {PATH "/statements", "", "{\"participant\":\"order\",\"sql\":\"a\\u0000b\"}", 400,
         "malformed"},
        {PATH "/statements", "", "{\"participant\":\"order\",\"sql\":\"\xff\"}", 400, "malformed"},
        {PATH "/statements", "", "{\"participant\":\"order\",\"sql\":\"a\",\"params\":[[1]]}", 400,
         "malformed"},
        {PATH "/statements", "", "{\"participant\":\"order\",\"sql\":\"a\",\"seq\":0}", 400,
         "malformed"},
        {PATH "/statements", "", "{\"participant\":\"order\",\"operation\":\"\"}", 422, "invalid"},
        {PATH "/statements", "",
         "{\"participant\":\"order\",\"operation\":\"debit\",\"sql\":\"SELECT 1\"}", 422,
         "invalid"},
        {PATH "/commit", "", "{\"seq\":1}", 400, "malformed"},
        {PATH "/rollback", "", "{\"ack\":\"decided\"}", 400, "malformed"},
        {"/v1/transactions/open", "", "{\"timeout_ms\":60001}", 422, "limit"},
        {"/v1/transactions/open", "", "[]", 400, "malformed"},
        {"/v1/transactions/open", "Idempotency-Key: k\r\n", "{}", 422, "not_supported"},
        {PATH "/statements", "Idempotency-Key: k\r\n", STATEMENT, 422, "not_supported"},
        {PATH "/branches", "Idempotency-Key: k\r\n",
         "{\"participant\":\"order\",\"mode\":\"external\"}", 422, "not_supported"},
        {PATH "/commit?wait=1", "", "{}", 400, "malformed"},
    };
    const size_t before = stand_in->call_count;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire_reply reply;
        script = (struct script){.status = API_OK};
        wire_post(stand_in->port, rows[i].path, rows[i].headers, rows[i].body, &reply);
        assert_problem(&reply, rows[i].status, rows[i].slug);
        wire_reply_done(&reply);
    }
    struct wire_reply reply;
    wire_request(stand_in->port, "POST", PATH "/statements", "", "", 0, &reply);
    assert_problem(&reply, 415, "unsupported_media_type");
    wire_reply_done(&reply);
    wire_request(stand_in->port, "POST", PATH "/commit", "Content-Type: text/plain\r\n", "{}", 2,
                 &reply);
    assert_problem(&reply, 415, "unsupported_media_type");
    wire_reply_done(&reply);
    assert_int_equal(stand_in->call_count, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_answers_with_the_id),
        cmocka_unit_test(test_open_is_not_taken_for_an_id),
        cmocka_unit_test(test_statement_answers_with_results_and_seq),
        cmocka_unit_test(test_external_answers_with_the_gid),
        cmocka_unit_test(test_statement_answer_without_sense_is_an_error),
        cmocka_unit_test(test_close_reaches_the_core),
        cmocka_unit_test(test_rollback_says_what_it_found),
        cmocka_unit_test(test_aborted_transaction_answers_with_its_reason),
        cmocka_unit_test(test_other_answers_are_mapped),
        cmocka_unit_test(test_bad_requests_reach_nobody),
    };
    return cmocka_run_group_tests_name("http_interactive_answers", tests, group_setup,
                                       group_teardown);
}
