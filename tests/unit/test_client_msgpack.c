/* test_client_msgpack.c - the client protocol's msgpack reader and writer, with hostile bytes. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/work.h"
#include "coordinator/client_codec.h"
#include "coordinator/client_msgpack.h"

/* Every number that is written is read back, whatever width it takes. */
static void test_msgpack_int_round_trip(void **state)
{
    (void)state;
    static const int64_t values[] = {0,
                                     1,
                                     127,
                                     128,
                                     255,
                                     256,
                                     65535,
                                     65536,
                                     -1,
                                     -32,
                                     -33,
                                     -128,
                                     -70000,
                                     (int64_t)UINT32_MAX,
                                     (int64_t)UINT32_MAX + 1,
                                     INT64_MAX,
                                     INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct pack pack = {0};
        struct unpack in;
        int64_t value = 42;
        pack_int(&pack, values[i]);
        unpack_init(&in, pack.bytes, pack.size_bytes);
        assert_true(unpack_int(&in, &value));
        assert_true(value == values[i]);
        assert_true(unpack_is_complete(&in));
        pack_done(&pack);
    }
}

/* Narrow signed forms, which other encoders use, mean what they should. */
static void test_msgpack_int_signed_forms_are_extended(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size_bytes;
        int64_t value;
    } cases[] = {{"\xd0\x80", 2, -128},
                 {"\xd1\xff\x00", 3, -256},
                 {"\xd2\xff\xff\xff\xfe", 5, -2},
                 {"\xd0\x7f", 2, 127}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct unpack in;
        int64_t value = 0;
        unpack_init(&in, cases[i].bytes, cases[i].size_bytes);
        assert_true(unpack_int(&in, &value));
        assert_true(value == cases[i].value);
    }
}

/* A count beyond the bytes that remain, nesting without end, broken UTF-8 and cut-off values all
 * fail. */
static void test_msgpack_hostile_bytes_fail(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size_bytes;
    } cases[] = {
        {"\xdd\xff\xff\xff\xff", 5},
        {"\xdf\xff\xff\xff\xff\x00", 6},
        {"\xdb\xff\xff\xff\xff", 5},
        {"\xc6\xff\xff\xff\xff", 5},
        {"\xc9\xff\xff\xff\xff\x01", 6},
        {"\xa2\xc3\x28", 3},
        {"\xa3\xed\xa0\x80", 4},
        {"\xa2\xc0\xaf", 3},
        {"\xa4\xf4\x90\x80\x80", 5},
        {"\xa1", 1},
        {"\xcf\x00", 2},
        {"\xc1", 1},
        {"\xd8\x00", 2},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct unpack in;
        unpack_init(&in, cases[i].bytes, cases[i].size_bytes);
        assert_false(unpack_skip(&in) && unpack_is_complete(&in));
    }
    uint8_t deep[4096];
    memset(deep, 0x91, sizeof deep);
    struct unpack in;
    unpack_init(&in, deep, sizeof deep);
    assert_false(unpack_skip(&in));
}

/* unpack_skip passes over any value exactly. */
static void test_msgpack_skip_takes_one_value(void **state)
{
    (void)state;
    struct pack pack = {0};
    pack_map(&pack, 2);
    pack_text(&pack, "a");
    pack_array(&pack, 3);
    pack_nil(&pack);
    pack_bool(&pack, true);
    pack_bytes(&pack, "xyz", 3);
    pack_text(&pack, "b");
    pack_map(&pack, 0);
    pack_int(&pack, 7);
    struct unpack in;
    int64_t value = 0;
    unpack_init(&in, pack.bytes, pack.size_bytes);
    assert_true(unpack_skip(&in));
    assert_true(unpack_int(&in, &value));
    assert_int_equal(value, 7);
    assert_true(unpack_is_complete(&in));
    pack_done(&pack);
}

static void encode_submit(struct pack *pack)
{
    struct statement statement = {.sql = (char *)(uintptr_t) "SELECT 1", .expect_rows = 1};
    const struct work work = {.statement_count = 1, .statements = &statement};
    struct blob *blob = work_encode(&work);
    pack_map(pack, 5);
    pack_text(pack, "v");
    pack_int(pack, 1);
    pack_text(pack, "op");
    pack_text(pack, "submit");
    pack_text(pack, "key");
    pack_text(pack, "k-1");
    pack_text(pack, "ack");
    pack_text(pack, "decided");
    pack_text(pack, "branches");
    pack_array(pack, 1);
    pack_map(pack, 2);
    pack_text(pack, "participant");
    pack_text(pack, "order");
    pack_text(pack, "work");
    pack_bytes(pack, blob->bytes, blob->size_bytes);
    blob_free(blob);
}

static const struct client_limits limits = {.body_bytes = 1 << 20,
                                            .branches = 64,
                                            .statements = 1000,
                                            .timeout_default_ms = 5000,
                                            .timeout_max_ms = 60000};

/* Cut anywhere, a request is refused as malformed, never half taken. */
static void test_client_codec_truncated_request_is_malformed(void **state)
{
    (void)state;
    struct pack pack = {0};
    encode_submit(&pack);
    struct api_call *call = NULL;
    struct client_refusal refusal;
    assert_true(client_decode_request(pack.bytes, pack.size_bytes, &limits, &call, &refusal));
    assert_int_equal(call->submission.timeout_ms, 5000);
    assert_int_equal(call->submission.ack, ACK_MODE_DECIDED);
    api_call_free(call);
    for (size_t size_bytes = 0; size_bytes < pack.size_bytes; size_bytes++) {
        uint8_t *exact =
            malloc(size_bytes + 1); /* so that the sanitizer sees a read beyond the end */
        assert_non_null(exact);
        memcpy(exact, pack.bytes, size_bytes);
        exact = realloc(exact, size_bytes > 0 ? size_bytes : 1);
        assert_false(client_decode_request(exact, size_bytes, &limits, &call, &refusal));
        assert_int_equal(refusal.status, CLIENT_MALFORMED);
        free(exact);
    }
    pack_done(&pack);
}

/* Requests with flipped bytes are taken or refused with a text; nothing else happens (sanitizers
 * watch). */
static void test_client_codec_mutated_request_is_survived(void **state)
{
    (void)state;
    struct pack pack = {0};
    encode_submit(&pack);
    uint64_t random = 88172645463325252u;
    size_t taken = 0;
    for (int round = 0; round < 20000; round++) {
        uint8_t copy[512];
        assert_true(pack.size_bytes <= sizeof copy);
        memcpy(copy, pack.bytes, pack.size_bytes);
        for (int flips = 0; flips < 3; flips++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            copy[random % pack.size_bytes] = (uint8_t)(random >> 32);
        }
        struct api_call *call = NULL;
        struct client_refusal refusal = {0};
        if (client_decode_request(copy, pack.size_bytes, &limits, &call, &refusal)) {
            taken++;
            api_call_free(call);
        } else {
            assert_true(refusal.text[0] != 0);
        }
    }
    assert_true(taken < 20000);
    pack_done(&pack);
}

/* The example of docs/CLIENT_PROTOCOL.md is a request, and means what is written beside it. */
static void test_client_codec_documented_example_is_read(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {
        0x84, 0xa1, 0x76, 0x01, 0xa2, 0x6f, 0x70, 0xa6, 0x73, 0x75, 0x62, 0x6d, 0x69, 0x74, 0xa3,
        0x6b, 0x65, 0x79, 0xa3, 0x6b, 0x2d, 0x31, 0xa8, 0x62, 0x72, 0x61, 0x6e, 0x63, 0x68, 0x65,
        0x73, 0x91, 0x82, 0xab, 0x70, 0x61, 0x72, 0x74, 0x69, 0x63, 0x69, 0x70, 0x61, 0x6e, 0x74,
        0xa5, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0xa4, 0x77, 0x6f, 0x72, 0x6b, 0xc4, 0x20, 0x92, 0x01,
        0x91, 0x93, 0xb7, 0x55, 0x50, 0x44, 0x41, 0x54, 0x45, 0x20, 0x74, 0x20, 0x53, 0x45, 0x54,
        0x20, 0x6e, 0x20, 0x3d, 0x20, 0x6e, 0x20, 0x2d, 0x20, 0x24, 0x31, 0x91, 0xa1, 0x33, 0x01};
    assert_int_equal(sizeof bytes + 4, 0x5e); /* the length that stands before it */
    struct api_call *call = NULL;
    struct client_refusal refusal;
    assert_true(client_decode_request(bytes, sizeof bytes, &limits, &call, &refusal));
    const struct submission *submission = &call->submission;
    assert_int_equal(call->operation, API_SUBMIT);
    assert_string_equal(submission->key, "k-1");
    assert_int_equal(submission->branch_count, 1);
    assert_string_equal(submission->branches[0].participant, "stock");
    struct work work;
    struct error error = {0};
    assert_success(work_decode(submission->branches[0].work, &work, &error), &error);
    assert_int_equal(work.statement_count, 1);
    assert_string_equal(work.statements[0].sql, "UPDATE t SET n = n - $1");
    assert_int_equal(work.statements[0].param_count, 1);
    assert_string_equal(work.statements[0].params[0], "3");
    assert_int_equal(work.statements[0].expect_rows, 1);
    work_done(&work);
    api_call_free(call);
}

/* A request with a branch under an operation, then one member more: a text or, where that is NULL, a number. */
static void encode_with(struct pack *pack, const char *operation, const char *name,
                        const char *text, int64_t number)
{
    struct statement statement = {.sql = (char *)(uintptr_t) "SELECT 1", .expect_rows = 1};
    const struct work work = {.statement_count = 1, .statements = &statement};
    struct blob *blob = work_encode(&work);
    pack_map(pack, 4);
    pack_text(pack, "v");
    pack_int(pack, 1);
    pack_text(pack, "op");
    pack_text(pack, operation);
    pack_text(pack, "branches");
    pack_array(pack, 1);
    pack_map(pack, 2);
    pack_text(pack, "participant");
    pack_text(pack, "order");
    pack_text(pack, "work");
    pack_bytes(pack, blob->bytes, blob->size_bytes);
    pack_text(pack, name);
    if (text != NULL) {
        pack_text(pack, text);
    } else {
        pack_int(pack, number);
    }
    blob_free(blob);
}

/* accept is submit to run later, with a queue or none; submit has no queue; a queue's name is checked before anything is done. */
static void test_client_codec_accept_is_a_submission_to_run_later(void **state)
{
    (void)state;
    char longest[QUEUE_NAME_SIZE + 1];
    memset(longest, 'q', sizeof longest);
    longest[QUEUE_NAME_SIZE] = '\0'; /* one too long */
    const struct {
        const char *operation, *name, *text, *queue; /* queue NULL: refused as malformed */
    } cases[] = {
        {"accept", "queue", "order:4711", "order:4711"},
        {"accept", "queue", longest + 1, longest + 1},
        {"accept", "ack", "decided", ""},
        {"accept", "key", "k-1", ""},
        {"accept", "queue", longest, NULL},
        {"accept", "queue", "", NULL},
        {"accept", "queue", "a b", NULL},
        {"accept", "queue", "\xc3\xa4", NULL},
        {"accept", "queue", NULL, NULL},
        {"accept", "async", "true", NULL},
        {"submit", "queue", "order:4711", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pack pack = {0};
        struct api_call *call = NULL;
        struct client_refusal refusal = {0};
        encode_with(&pack, cases[i].operation, cases[i].name, cases[i].text, 7);
        const bool taken =
            client_decode_request(pack.bytes, pack.size_bytes, &limits, &call, &refusal);
        assert_int_equal(taken, cases[i].queue != NULL);
        if (taken) {
            assert_int_equal(call->operation, API_SUBMIT);
            assert_true(call->submission.is_async);
            assert_string_equal(call->submission.queue, cases[i].queue);
            assert_int_equal(call->submission.timeout_ms, 5000);
            api_call_free(call);
        } else {
            assert_int_equal(refusal.status, CLIENT_MALFORMED);
            assert_non_null(strstr(refusal.text, cases[i].name));
        }
        pack_done(&pack);
    }
}

/* wait needs an id and a time within the limit; nothing else is taken for it. */
static void test_client_codec_wait_is_checked(void **state)
{
    (void)state;
    static const char id[] = "0123456789abcdef0123456789abcdef-1-0123456789abcdef-7";
    const struct {
        const char *id;
        int64_t wait_ms; /* below -1: none */
        const char *ack;
        enum client_status status; /* NONE: it is taken */
    } cases[] = {
        {id, 0, NULL, CLIENT_STATUS_NONE},  {id, 60000, "decided", CLIENT_STATUS_NONE},
        {id, 60001, NULL, CLIENT_LIMIT},    {id, -1, NULL, CLIENT_MALFORMED},
        {id, -2, NULL, CLIENT_MALFORMED},   {NULL, 5, NULL, CLIENT_MALFORMED},
        {id, 5, "later", CLIENT_MALFORMED}, {"order", 5, NULL, CLIENT_NOT_FOUND},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pack pack = {0};
        struct api_call *call = NULL;
        struct client_refusal refusal = {0};
        const bool has_time = cases[i].wait_ms > -2;
        pack_map(&pack, (size_t)2 + (cases[i].id != NULL) + has_time + (cases[i].ack != NULL));
        pack_text(&pack, "v");
        pack_int(&pack, 1);
        pack_text(&pack, "op");
        pack_text(&pack, "wait");
        if (cases[i].id != NULL) {
            pack_text(&pack, "id");
            pack_text(&pack, cases[i].id);
        }
        if (has_time) {
            pack_text(&pack, "wait_ms");
            pack_int(&pack, cases[i].wait_ms);
        }
        if (cases[i].ack != NULL) {
            pack_text(&pack, "ack");
            pack_text(&pack, cases[i].ack);
        }
        if (client_decode_request(pack.bytes, pack.size_bytes, &limits, &call, &refusal)) {
            assert_int_equal(cases[i].status, CLIENT_STATUS_NONE);
            assert_int_equal(call->operation, API_GET);
            assert_true(call->wait.is_wait);
            assert_int_equal(call->wait.wait_ms, cases[i].wait_ms);
            assert_int_equal(call->wait.ack,
                             cases[i].ack != NULL ? ACK_MODE_DECIDED : ACK_MODE_COMPLETED);
            assert_int_equal(call->gtrid.sequence, 7);
            api_call_free(call);
        } else {
            assert_int_equal(refusal.status, cases[i].status);
        }
        pack_done(&pack);
    }
}

/* Enters the value of the first member called name, in a map. */
static bool find_member(struct unpack *in, const char *name)
{
    uint32_t members = 0;
    if (!unpack_map(in, &members)) {
        return false;
    }
    for (uint32_t i = 0; i < members; i++) {
        struct unpack_text text;
        if (!unpack_text(in, &text)) {
            return false;
        }
        if (unpack_text_is(&text, name)) {
            return true;
        }
        unpack_skip(in);
    }
    return false;
}

/* docs/CLIENT_PROTOCOL.md: a text that does not apply is nil, not empty; also of a participant. */
static void test_client_codec_absent_texts_are_nil(void **state)
{
    (void)state;
    const char *const absent[] = {"version", "text"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        struct api_call *call = api_call_new(API_PARTICIPANTS);
        call->answer.participants = alloc_zeroed(sizeof(struct participant_view));
        call->answer.status = API_OK;
        call->answer.participant_count = 1;
        snprintf(call->answer.participants[0].name, PARTICIPANT_NAME_SIZE, "order");
        struct pack pack = {0};
        client_encode_answer(&pack, call);
        struct unpack in;
        uint32_t count = 0;
        unpack_init(&in, pack.bytes, pack.size_bytes);
        assert_true(find_member(&in, "participants"));
        assert_true(unpack_array(&in, &count));
        assert_int_equal(count, 1);
        assert_true(find_member(&in, absent[i]));
        assert_int_equal(unpack_peek(&in), UNPACK_NIL);
        pack_done(&pack);
        api_call_free(call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_msgpack_int_round_trip),
        cmocka_unit_test(test_msgpack_int_signed_forms_are_extended),
        cmocka_unit_test(test_msgpack_hostile_bytes_fail),
        cmocka_unit_test(test_msgpack_skip_takes_one_value),
        cmocka_unit_test(test_client_codec_truncated_request_is_malformed),
        cmocka_unit_test(test_client_codec_mutated_request_is_survived),
        cmocka_unit_test(test_client_codec_documented_example_is_read),
        cmocka_unit_test(test_client_codec_accept_is_a_submission_to_run_later),
        cmocka_unit_test(test_client_codec_wait_is_checked),
        cmocka_unit_test(test_client_codec_absent_texts_are_nil),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
