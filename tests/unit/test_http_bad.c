/*
 * test_http_bad.c - every kind of bad request, and what is said about it.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/http_stand_in.h"

struct bad_body {
    const char *body;
    int status;
    const char *slug;
    const char *said; /* part of the answer: where and what */
};

#define ONE(members) "{\"branches\":[{\"participant\":\"order\",\"statements\":[{" members "}]}]}"
#define QUEUED(name_)                                                                              \
    "{\"branches\":[{\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT 1\"}]}],"         \
    "\"queue\":\"" name_ "\"}"
#define GOOD "{\"branches\":[{\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT 1\"}]}]}"
#define WITH(member)                                                                               \
    "{" member                                                                                     \
    ",\"branches\":[{\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT 1\"}]}]}"
#define BRANCH(member)                                                                             \
    "{\"branches\":[{" member                                                                      \
    ",\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT 1\"}]}]}"

static const struct bad_body bad_bodies[] = {
    {"", 400, "malformed", "not JSON"},
    {" ", 400, "malformed", "not JSON"},
    {"{", 400, "malformed", "not JSON"},
    {"[]", 400, "malformed", "the body: must be an object, not an array"},
    {"null", 400, "malformed", "the body: must be an object, not null"},
    {"12", 400, "malformed", "must be an object, not a number"},
    {"{}", 400, "malformed", "the body: \\\"branches\\\" is missing"},
    {GOOD "x", 400, "malformed", "not JSON"},
    {GOOD GOOD, 400, "malformed", "not JSON"},
    {GOOD ",", 400, "malformed", "not JSON"},
    {"\xef\xbb\xbf" GOOD, 400, "malformed", "not JSON"},
    {WITH("\"extra\":1"), 400, "malformed", "extra: unknown member"},
    {WITH("\"ack\":\"completed\",\"ack\":\"decided\""), 400, "malformed", "ack: appears twice"},
    {WITH("\"ack\":\"decided\",\"\\u0061ck\":\"decided\""), 400, "malformed", "ack: appears twice"},
    {WITH("\"ack\":\"later\""), 400, "malformed", "ack: must be"},
    {WITH("\"ack\":1"), 400, "malformed", "ack: must be a string, not a number"},
    {WITH("\"timeout_ms\":0"), 400, "malformed", "timeout_ms: must be"},
    {WITH("\"timeout_ms\":-1"), 400, "malformed", "timeout_ms: must be"},
    {WITH("\"timeout_ms\":1.5"), 400, "malformed", "timeout_ms: must be"},
    {WITH("\"timeout_ms\":1e3"), 400, "malformed", "timeout_ms: must be"},
    {WITH("\"timeout_ms\":99999999999999999999999"), 400, "malformed", "timeout_ms: must be"},
    {WITH("\"timeout_ms\":\"5000\""), 400, "malformed",
     "timeout_ms: must be a number, not a string"},
    {WITH("\"timeout_ms\":NaN"), 400, "malformed", "not JSON"},
    {WITH("\"timeout_ms\":Infinity"), 400, "malformed", "not JSON"},
    {WITH("\"timeout_ms\":60001"), 422, "limit", "\"limit\":\"timeout_max\",\"maximum\":60000"},
    {WITH("\"key\":\"\""), 400, "malformed", "key: must have 1 to 255 bytes"},
    {WITH("\"key\":\"a\\u0000b\""), 400, "malformed", "key: holds a NUL"},
    {WITH("\"queue\":\"q\""), 422, "invalid", "queue: goes together with"},
    {WITH("\"queue\":\"\""), 400, "malformed", "queue: must have 1 to 64"},
    {WITH("\"queue\":7"), 400, "malformed", "queue: "},
    {"{\"branches\":{}}", 400, "malformed", "branches: must be an array, not an object"},
    {"{\"branches\":[]}", 422, "invalid", "branches: is empty"},
    {"{\"branches\":[1]}", 400, "malformed", "branches[0]: must be an object, not a number"},
    {"{\"branches\":[{}]}", 400, "malformed", "branches[0]: \\\"participant\\\" is missing"},
    {"{\"branches\":[{\"participant\":\"order\"}]}", 400, "malformed",
     "branches[0]: \\\"statements\\\" is missing"},
    {"{\"branches\":[{\"participant\":\"order\",\"statements\":[]}]}", 422, "invalid",
     "branches[0].statements: is empty"},
    {"{\"branches\":[{\"participant\":\"Order\",\"statements\":[{\"sql\":\"SELECT 1\"}]}]}", 422,
     "unknown_participant", "branches[0].participant: no participant can have this name"},
    {"{\"branches\":[{\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT 1\"}]},"
     "{\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT 1\"}]}]}",
     422, "invalid", "branches[1].participant: participant \\\"order\\\" has a branch already"},
    {BRANCH("\"isolation\":\"read uncommitted\""), 400, "malformed",
     "branches[0].isolation: must be"},
    {BRANCH("\"read_only\":\"yes\""), 400, "malformed",
     "branches[0].read_only: must be a boolean, not a string"},
    {BRANCH("\"mode\":\"external\""), 422, "not_supported",
     "branches[0].mode: belongs to a transaction that was opened (POST /v1/transactions/open)"},
    {BRANCH("\"wat\":1"), 400, "malformed", "branches[0].wat: unknown member"},
    {ONE(""), 400, "malformed",
     "branches[0].statements[0]: \\\"sql\\\" or \\\"operation\\\" is missing"},
    {ONE("\"sql\":\"\""), 422, "invalid", "branches[0].statements[0].sql: is empty"},
    {ONE("\"sql\":\" \\n\\t;; -- nothing\""), 422, "invalid",
     "branches[0].statements[0].sql: has no command"},
    {ONE("\"sql\":\"/* a /* b */ */ ;--\""), 422, "invalid",
     "branches[0].statements[0].sql: has no command"},
    {ONE("\"sql\":null"), 400, "malformed", "\\\"sql\\\" or \\\"operation\\\" is missing"},
    {ONE("\"sql\":1"), 400, "malformed", "statements[0].sql: must be a string, not a number"},
    {ONE("\"sql\":\"SELECT \\u0000\""), 400, "malformed", "statements[0].sql: holds a NUL"},
    {ONE("\"operation\":\"\""), 422, "invalid", "branches[0].statements[0].operation: is empty"},
    {ONE("\"operation\":7"), 400, "malformed", "statements[0].operation: must be a string"},
    {ONE("\"operation\":\"o\\u0000\""), 400, "malformed", "statements[0].operation: holds a NUL"},
    {ONE("\"operation\":\"o\",\"sql\":\"x\""), 422, "invalid",
     "statements[0].operation: does not go together with \\\"sql\\\""},
    {ONE("\"sql\":\"x\",\"args\":{}"), 422, "invalid",
     "statements[0].args: does not go together with \\\"sql\\\""},
    {ONE("\"operation\":\"o\",\"params\":[]"), 422, "invalid",
     "statements[0].params: does not go together with \\\"operation\\\""},
    {ONE("\"operation\":\"o\",\"args\":[]"), 400, "malformed",
     "statements[0].args: must be an object, not an array"},
    {ONE("\"operation\":\"o\",\"args\":{\"a\":[1]}"), 400, "malformed",
     "statements[0].args.a: must be a string, number, boolean or null, not an array"},
    {ONE("\"operation\":\"o\",\"args\":{\"a\":1,\"a\":2}"), 400, "malformed", "args"},
    {ONE("\"operation\":\"o\",\"args\":{\"a\":\"x\\u0000\"}"), 400, "malformed",
     "statements[0].args.a: holds a NUL"},
    {ONE("\"operation\":\"o\",\"args\":{\"a\\u0000\":1}"), 400, "malformed", "NUL"},
    {ONE("\"operation\":\"o\",\"expect_rows\":-1"), 400, "malformed",
     "expect_rows: must be a whole number from 0"},
    {ONE("\"sql\":\"x\",\"params\":{}"), 400, "malformed",
     "params: must be an array, not an object"},
    {ONE("\"sql\":\"x\",\"params\":[1,[2]]"), 400, "malformed",
     "branches[0].statements[0].params[1]: must be a string, number, boolean or null, not an "
     "array"},
    {ONE("\"sql\":\"x\",\"params\":[1,\"a\",{}]"), 400, "malformed",
     "branches[0].statements[0].params[2]: must be a string, number, boolean or null, not an "
     "object"},
    {ONE("\"sql\":\"x\",\"params\":[\"a\\u0000\"]"), 400, "malformed", "params[0]: holds a NUL"},
    {ONE("\"sql\":\"x\",\"params\":[01]"), 400, "malformed", "not JSON"},
    {ONE("\"sql\":\"x\",\"params\":[.5]"), 400, "malformed", "not JSON"},
    {ONE("\"sql\":\"x\",\"params\":[1.]"), 400, "malformed", "not JSON"},
    {ONE("\"sql\":\"x\",\"params\":[+1]"), 400, "malformed", "not JSON"},
    {ONE("\"sql\":\"x\",\"params\":[1,]"), 400, "malformed", "not JSON"},
    {ONE("\"sql\":\"x\",\"params\":[tru]"), 400, "malformed", "not JSON"},
    {ONE("\"sql\":\"x\",\"params\":['a']"), 400, "malformed", "not JSON"},
    {ONE("\"sql\":\"x\",\"params\":[\"a\nb\"]"), 400, "malformed", "not JSON"},
    {ONE("\"sql\":\"x\",\"params\":[\"\\x\"]"), 400, "malformed", "not JSON"},
    {ONE("\"sql\":\"x\" /* c */"), 400, "malformed", "not JSON"},
    {ONE("\"sql\":\"x\",\"params\":[\"\xc3\x28\"]"), 400, "malformed", "not valid UTF-8 at byte"},
    {ONE("\"sql\":\"x\",\"params\":[\"\xc0\x80\"]"), 400, "malformed", "not valid UTF-8 at byte"},
    {ONE("\"sql\":\"x\",\"params\":[\"\xed\xa0\x80\"]"), 400, "malformed",
     "not valid UTF-8 at byte"},
    {ONE("\"sql\":\"x\",\"params\":[\"\xf4\x90\x80\x80\"]"), 400, "malformed", "not valid UTF-8"},
    {ONE("\"sql\":\"x\",\"params\":[\"\xff\"]"), 400, "malformed", "not valid UTF-8 at byte"},
    {ONE("\"sql\":\"x\",\"params\":[\"\\ud800\"]"), 400, "malformed", "surrogate pair"},
    {ONE("\"sql\":\"x\",\"params\":[\"\\udc00\"]"), 400, "malformed", "surrogate pair"},
    {ONE("\"sql\":\"x\",\"params\":[\"\\ud800\\u0041\"]"), 400, "malformed", "surrogate pair"},
    {ONE("\"sql\":\"x\",\"expect_rows\":-1"), 400, "malformed",
     "expect_rows: must be a whole number"},
    {ONE("\"sql\":\"x\",\"expect_rows\":1.0"), 400, "malformed",
     "expect_rows: must be a whole number"},
    {ONE("\"sql\":\"x\",\"expect_rows\":9223372036854775808"), 400, "malformed",
     "expect_rows: must"},
    {ONE("\"sql\":\"x\",\"expect_rows\":true"), 400, "malformed",
     "must be a number, not a boolean"},
    {ONE("\"sql\":\"x\",\"sql\":\"y\""), 400, "malformed", "statements[0].sql: appears twice"},
};

static int group_setup(void **state)
{
    static struct stand_in stand_in;
    stand_in_start(&stand_in, NULL, stand_in_answer_committed, NULL);
    *state = &stand_in;
    return 0;
}

static int group_teardown(void **state)
{
    stand_in_stop(*state);
    return 0;
}

/* Each bad body gets its documented status and type, the answer names the place, and nothing is
 * posted. */
static void test_submit_bad_body_is_refused_naming_the_place(void **state)
{
    struct stand_in *stand_in = *state;
    const size_t posted = stand_in->call_count;
    for (size_t i = 0; i < sizeof bad_bodies / sizeof bad_bodies[0]; i++) {
        struct wire_reply reply;
        wire_post(stand_in->port, "/v1/transactions", "", bad_bodies[i].body, &reply);
        assert_problem(&reply, bad_bodies[i].status, bad_bodies[i].slug);
        if (strstr(reply.body, bad_bodies[i].said) == NULL) {
            fail_msg("%s: \"%s\" is not in %s", bad_bodies[i].body, bad_bodies[i].said, reply.body);
        }
        wire_reply_done(&reply);
    }
    assert_int_equal(stand_in->call_count, posted);
}

struct bad_request {
    const char *method;
    const char *path;
    const char *headers;
    const char *body;
    int status;
    const char *slug;
};

#define JSON "Content-Type: application/json\r\n"
#define ID   "/v1/transactions/abababababababababababababababab-3-0123456789abcdef-7"

static const struct bad_request bad_requests[] = {
    {"GET", "/", "", NULL, 404, "not_found"},
    {"GET", "/v1", "", NULL, 404, "not_found"},
    {"GET", "/v1/transactions/", "", NULL, 404, "not_found"},
    {"GET", "/V1/transactions", "", NULL, 404, "not_found"},
    {"GET", "/livez/", "", NULL, 404, "not_found"},
    {"GET", "/livez%00x", "", NULL, 400, "malformed"},
    {"GET", "/v1/transactions?key=%00", "", NULL, 400, "malformed"},
    {"GET", ID "/nothing", "", NULL, 404, "not_found"},
    {"GET", "/v1/transactions/open", "", NULL, 405, "method_not_allowed"},
    {"POST", "/v1/transactions/shut/commit", JSON, "{}", 404, "unknown_transaction"},
    {"GET", ID "0000000000000000000000000000000000000000000000000000000000000000000000000000", "",
     NULL, 404, "unknown_transaction"},
    {"GET", "/v1/transactions/ABABABABABABABABABABABABABABABAB-3-0123456789abcdef-7", "", NULL, 404,
     "unknown_transaction"},
    {"POST", "/v1/transactions/x/resolve", JSON, "{}", 404, "unknown_transaction"},
    {"DELETE", "/v1/transactions", "", NULL, 405, "method_not_allowed"},
    {"PUT", "/v1/transactions", JSON, "{}", 405, "method_not_allowed"},
    {"OPTIONS", "/v1/transactions", "", NULL, 405, "method_not_allowed"},
    {"POST", "/livez", JSON, "{}", 405, "method_not_allowed"},
    {"GET", ID "/resolve", "", NULL, 405, "method_not_allowed"},
    {"POST", "/v1/transactions", "", GOOD, 415, "unsupported_media_type"},
    {"POST", "/v1/transactions", "Content-Type: text/plain\r\n", GOOD, 415,
     "unsupported_media_type"},
    {"POST", "/v1/transactions", "Content-Type: application/jsonx\r\n", GOOD, 415,
     "unsupported_media_type"},
    {"POST", "/v1/transactions", "Content-Type: application/json; charset=latin1\r\n", GOOD, 415,
     "unsupported_media_type"},
    {"POST", "/v1/transactions", JSON "Content-Encoding: gzip\r\n", GOOD, 415,
     "unsupported_media_type"},
    {"POST", ID "/resolve", "Content-Type: text/plain\r\n", "{}", 415, "unsupported_media_type"},
    {"POST", "/v1/transactions", JSON, QUEUED("q"), 422, "invalid"},
    {"POST", "/v1/transactions", JSON "Prefer: wait=5\r\n", QUEUED("q"), 422, "invalid"},
    {"POST", "/v1/transactions", JSON "Prefer: respond-async\r\n", QUEUED(""), 400, "malformed"},
    {"POST", "/v1/transactions", JSON "Prefer: respond-async\r\n", QUEUED("a b"), 400, "malformed"},
    {"POST", ID "/requeue", JSON, "{\"comment\":\"x\"}", 400, "malformed"},
    {"POST", ID "/drop", JSON, "{\"comment\":1}", 400, "malformed"},
    {"POST", ID "/drop", JSON, "[]", 400, "malformed"},
    {"GET", ID "/drop", "", NULL, 405, "method_not_allowed"},
    {"POST", "/v1/queues", JSON, "{}", 405, "method_not_allowed"},
    {"GET", "/v1/queues?limit=1", "", NULL, 400, "malformed"},
    {"POST", "/v1/transactions", JSON "Idempotency-Key: a\r\nIdempotency-Key: a\r\n", GOOD, 400,
     "malformed"},
    {"POST", "/v1/transactions?wait=3", JSON, GOOD, 400, "malformed"},
    {"GET", "/livez", "Host: evil.example\r\n", NULL, 421, "misdirected"},
    {"GET", "/livez", "Host: 192.168.1.4:7400\r\n", NULL, 421, "misdirected"},
    {"GET", "/livez", "Host: 127.0.0.1.evil.example\r\n", NULL, 421, "misdirected"},
    {"GET", "/livez", "Host: localhost@evil.example\r\n", NULL, 421, "misdirected"},
    {"GET", "/livez", "Host: [::2]:80\r\n", NULL, 421, "misdirected"},
    {"GET", "/livez", "Host: \r\n", NULL, 421, "misdirected"},
    {"GET", "/livez", "Host: localhost\r\nHost: localhost\r\n", NULL, 400, "malformed"},
    {"GET", "/v1/transactions?limit=0", "", NULL, 400, "malformed"},
    {"GET", "/v1/transactions?limit=1001", "", NULL, 400, "malformed"},
    {"GET", "/v1/transactions?limit=ten", "", NULL, 400, "malformed"},
    {"GET", "/v1/transactions?limit", "", NULL, 400, "malformed"},
    {"GET", "/v1/transactions?state=in-doubts", "", NULL, 400, "malformed"},
    {"GET", "/v1/transactions?state=committed&state=aborted", "", NULL, 400, "malformed"},
    {"GET", "/v1/transactions?participant=Order", "", NULL, 400, "malformed"},
    {"GET", "/v1/transactions?key=", "", NULL, 400, "malformed"},
    {"GET", "/v1/transactions?after=17", "", NULL, 400, "malformed"},
    {"GET", "/v1/transactions?stat=committed", "", NULL, 400, "malformed"},
    {"GET", "/v1/participants?x=1", "", NULL, 400, "malformed"},
    {"POST", ID "/resolve", JSON, "{\"action\":\"commit\",\"participant\":\"payment\"}", 400,
     "malformed"},
    {"POST", ID "/resolve", JSON,
     "{\"action\":\"abort\",\"participant\":\"payment\",\"comment\":\"c\"}", 400, "malformed"},
    {"POST", ID "/resolve", JSON,
     "{\"action\":\"commit\",\"participant\":\"payment\",\"comment\":\"\"}", 400, "malformed"},
    {"POST", ID "/resolve", JSON, "{\"action\":\"commit\",\"participant\":\"P\",\"comment\":\"c\"}",
     422, "unknown_participant"},
};

/* Each bad request line, header or query gets its documented status and type, and nothing is
 * posted. */
static void test_request_bad_line_or_header_is_refused(void **state)
{
    struct stand_in *stand_in = *state;
    const size_t posted = stand_in->call_count;
    for (size_t i = 0; i < sizeof bad_requests / sizeof bad_requests[0]; i++) {
        const struct bad_request *bad = &bad_requests[i];
        struct wire_reply reply;
        wire_request(stand_in->port, bad->method, bad->path, bad->headers, bad->body,
                     bad->body == NULL ? 0 : strlen(bad->body), &reply);
        if (reply.status != bad->status) {
            fail_msg("%s %s %s: got %d %s", bad->method, bad->path, bad->headers, reply.status,
                     reply.body);
        }
        assert_problem(&reply, bad->status, bad->slug);
        wire_reply_done(&reply);
    }
    assert_int_equal(stand_in->call_count, posted);
}

/* A 405 says which methods there are. */
static void test_request_wrong_method_names_the_allowed_ones(void **state)
{
    struct stand_in *stand_in = *state;
    struct wire_reply reply;
    wire_request(stand_in->port, "DELETE", "/v1/transactions", "", NULL, 0, &reply);
    assert_string_equal(wire_header(&reply, "Allow"), "GET, HEAD, POST");
    wire_reply_done(&reply);
    wire_request(stand_in->port, "GET", ID "/resolve", "", NULL, 0, &reply);
    assert_string_equal(wire_header(&reply, "Allow"), "POST");
    wire_reply_done(&reply);
}

/* 10^5 open brackets are refused at a fixed depth, at whatever place they begin. */
static void test_submit_deep_nesting_is_refused(void **state)
{
    struct stand_in *stand_in = *state;
    static const char *const starts[] = {"", "{\"branches\":", "{\"x\":"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        const size_t start = strlen(starts[i]);
        char *body = alloc_zeroed(start + 100000 + 1);
        memcpy(body, starts[i], start);
        memset(body + start, '[', 100000);
        struct wire_reply reply;
        wire_post(stand_in->port, "/v1/transactions", "", body, &reply);
        assert_problem(&reply, 400, "malformed");
        assert_non_null(strstr(reply.body, "nested too deeply"));
        wire_reply_done(&reply);
        free(body);
    }
}

/* More members than an object may have are refused before names are compared further. */
static void test_submit_many_members_are_refused(void **state)
{
    struct stand_in *stand_in = *state;
    char *body = alloc_zeroed(1000000);
    size_t used = (size_t)sprintf(body, "{");
    for (int i = 0; i < 50000; i++) {
        used += (size_t)sprintf(body + used, "\"m%d\":1,", i);
    }
    struct wire_reply reply;
    wire_post(stand_in->port, "/v1/transactions", "", body, &reply);
    assert_problem(&reply, 400, "malformed");
    assert_non_null(strstr(reply.body, "the body: has too many members"));
    wire_reply_done(&reply);
    free(body);
}

/* Every limit answers 422 with its name and value, and the largest allowed request passes. */
static void test_submit_over_a_limit_names_the_limit(void **state)
{
    (void)state;
    struct stand_in stand_in;
    const struct http_options options = {
        .limits = {.branches = 2, .statements = 3, .timeout_max_ms = 100}};
    stand_in_start(&stand_in, &options, stand_in_answer_committed, NULL);
#define S "{\"sql\":\"SELECT 1\"}"
    static const struct {
        const char *body;
        const char *said; /* NULL: passes */
    } cases[] = {
        {"{\"branches\":[{\"participant\":\"a\",\"statements\":[" S "," S
         "]},{\"participant\":\"b\",\"statements\":[" S "]}]}",
         NULL},
        {"{\"branches\":[{\"participant\":\"a\",\"statements\":[" S "," S
         "]},{\"participant\":\"b\",\"statements\":[" S "," S "]}]}",
         "\"limit\":\"max_statements\",\"maximum\":3"},
        {"{\"branches\":[{\"participant\":\"a\",\"statements\":[" S
         "]},{\"participant\":\"b\",\"statements\":[" S
         "]},{\"participant\":\"c\",\"statements\":[" S "]}]}",
         "\"limit\":\"max_branches\",\"maximum\":2"},
        {WITH("\"timeout_ms\":101"), "\"limit\":\"timeout_max\",\"maximum\":100"},
        {WITH("\"timeout_ms\":100"), NULL},
    };
#undef S
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire_reply reply;
        wire_post(stand_in.port, "/v1/transactions", "", cases[i].body, &reply);
        if (cases[i].said == NULL) {
            assert_int_equal(reply.status, 200);
        } else {
            assert_problem(&reply, 422, "limit");
            assert_non_null(strstr(reply.body, cases[i].said));
        }
        wire_reply_done(&reply);
    }
    stand_in_stop(&stand_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_submit_bad_body_is_refused_naming_the_place),
        cmocka_unit_test(test_request_bad_line_or_header_is_refused),
        cmocka_unit_test(test_request_wrong_method_names_the_allowed_ones),
        cmocka_unit_test(test_submit_deep_nesting_is_refused),
        cmocka_unit_test(test_submit_many_members_are_refused),
        cmocka_unit_test(test_submit_over_a_limit_names_the_limit),
    };
    return cmocka_run_group_tests_name("http_bad", tests, group_setup, group_teardown);
}
