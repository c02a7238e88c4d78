/*
 * test_stream.c - streams are cut into the same units however their bytes arrive, and what is not the
 * protocol is said to be broken. Frames and messages are those of docs/PROTOCOL.md's examples.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "tests/proxy/stream.h"

#define LABELS_SIZE 2048

struct sample {
    size_t size_bytes;
    uint8_t bytes[2048];
};

static void add_bytes(struct sample *sample, const void *bytes, size_t size_bytes)
{
    assert_true(sample->size_bytes + size_bytes <= sizeof sample->bytes);
    memcpy(sample->bytes + sample->size_bytes, bytes, size_bytes);
    sample->size_bytes += size_bytes;
}

static void add_hex(struct sample *sample, const char *hex)
{
    for (size_t i = 0; hex[i] != '\0'; i += 2) {
        unsigned value = 0;
        assert_int_equal(sscanf(hex + i, "%2x", &value), 1);
        const uint8_t byte = (uint8_t)value;
        add_bytes(sample, &byte, 1);
    }
}

/* nng's length, and a frame. */
static void add_frame(struct sample *sample, const char *hex)
{
    size_t size_bytes = strlen(hex) / 2;
    const uint8_t length[8] = {0, 0, 0, 0, 0, 0, (uint8_t)(size_bytes >> 8), (uint8_t)size_bytes};
    add_bytes(sample, length, sizeof length);
    add_hex(sample, hex);
}

/* A message of PostgreSQL's: type, length, body. */
static void add_message(struct sample *sample, char type, const void *body, size_t size_bytes)
{
    const uint8_t head[5] = {(uint8_t)type, 0, 0, (uint8_t)((size_bytes + 4) >> 8),
                             (uint8_t)(size_bytes + 4)};
    add_bytes(sample, head, sizeof head);
    add_bytes(sample, body, size_bytes);
}

/* Feeds the sample `step` bytes at a time, as a socket would, and joins the labels. */
static void cut(struct stream *stream, const struct sample *sample, size_t step,
                char ret_labels[LABELS_SIZE])
{
    size_t begin = 0, length = 0;
    ret_labels[0] = '\0';
    for (size_t end = 0; end < sample->size_bytes;) {
        end = end + step < sample->size_bytes ? end + step : sample->size_bytes;
        struct stream_unit unit;
        enum stream_result result;
        while ((result = stream_next(stream, sample->bytes + begin, end - begin, &unit)) ==
               STREAM_UNIT) {
            assert_in_range(unit.size_bytes, 1, end - begin);
            begin += unit.size_bytes;
            length +=
                (size_t)snprintf(ret_labels + length, LABELS_SIZE - length, "%s|", unit.label);
        }
        assert_int_equal(result, STREAM_MORE);
    }
    assert_int_equal(begin, sample->size_bytes); /* nothing is left over */
}

static void expect_labels(enum stream_kind kind, enum stream_side side, const struct sample *sample,
                          const char *expected)
{
    for (size_t step = 1; step <= sample->size_bytes; step++) {
        char labels[LABELS_SIZE];
        struct stream stream;
        stream_init(&stream, kind, side);
        cut(&stream, sample, step, labels);
        assert_string_equal(labels, expected);
    }
}

static const char hello[] = "41736e74010000008a01010201030004a5302e312e3005a573746f636b06c410000102"
                            "030405060708090a0b0c0d0e0f"
                            "07b47463703a2f2f3132372e302e302e313a3734303208c42001010101010101010101"
                            "01010101010101010101010101"
                            "01010101010101010109ce010000000acd271036b4c772a7379291813179e6c5b164f5"
                            "9a51a7ddfb1cc77c47fdcb1508"
                            "fafccd";
static const char accept_frame[] = "41736e74020000008901010201030004a5302e312e3005a573746f636b06c41"
                                   "0000102030405060708090a0b0c0d0e0f"
                                   "08c420020202020202020202020202020202020202020202020202020202020"
                                   "202020209ce010000000acd2710c3d850"
                                   "b6b6d59ddac74c68eaf046dab92ae4cea996a2eedc37e4fe3f18c70f45";
static const char fenced[] = "41736e741002010031177301c87e2a9a000000000000000183001201070209088dc71"
                             "87ae00d42db030b0d250693d4";
/* Session, number and MAC are not looked at. */
#define DATA_HEAD "41736e7410020100000000000000000000000000000000ff"
#define DATA_MAC  "00000000000000000000000000000000"
#define INQUIRY                                                                                    \
    "8300150196c410000102030405060708090a0b0c0d0e0f07cf0123456789abcdef2aa573746f636bcffedcba9876" \
    "5432"                                                                                         \
    "1002cd05dc"
#define FENCED "83001201070209"

/* A link's handshake and its messages are told apart, and ACCEPT says whose link it is. */
static void test_stream_link_frames_have_their_messages_names(void **state)
{
    (void)state;
    struct sample sample = {0};
    char labels[LABELS_SIZE];
    struct stream stream;
    add_hex(&sample, "0053500000500000");
    add_frame(&sample, hello);
    add_frame(&sample, accept_frame);
    add_frame(&sample, fenced);
    add_frame(&sample, DATA_HEAD INQUIRY FENCED INQUIRY DATA_MAC);
    add_frame(&sample, DATA_HEAD INQUIRY "830012010702" DATA_MAC); /* a message that is cut */
    add_frame(&sample, DATA_HEAD DATA_MAC);
    expect_labels(STREAM_LINK, STREAM_FROM_DIALER, &sample,
                  "sp handshake|frame HELLO|frame ACCEPT stock|msg FENCED;|"
                  "msg INQUIRY; msg FENCED; msg INQUIRY;|frame data|frame heartbeat|");
    expect_labels(
        STREAM_FRAMES, STREAM_FROM_DIALER, &sample,
        "sp handshake|frame data|frame data|frame data|frame data|frame data|frame data|");
    stream_init(&stream, STREAM_LINK, STREAM_FROM_DIALER);
    cut(&stream, &sample, 7, labels);
    assert_string_equal(stream.peer, "stock");
}

/* Statements, tags and errors of PostgreSQL are named, in whatever pieces they come. */
static void test_stream_postgres_messages_have_their_statements(void **state)
{
    (void)state;
    static const char parse[] = "\0PREPARE TRANSACTION 'assent:1'\0\0";
    static const char named[] = "s1\0SELECT\n1\0\0";
    static const char simple[] = "COMMIT PREPARED 'assent:1'";
    struct sample dialer = {0};
    add_hex(&dialer, "0000000804d2162f");         /* "may we encrypt?" */
    add_hex(&dialer, "0000000c0003000075736572"); /* startup, shortened */
    add_message(&dialer, 'P', parse, sizeof parse);
    add_message(&dialer, 'B', "\0\0", 2);
    add_message(&dialer, 'P', named, sizeof named);
    add_message(&dialer, 'Q', simple, sizeof simple);
    add_message(&dialer, 'X', "", 0);
    expect_labels(STREAM_POSTGRES, STREAM_FROM_DIALER, &dialer,
                  "question|startup|sql PREPARE TRANSACTION 'assent:1'|type B|sql SELECT 1|"
                  "sql COMMIT PREPARED 'assent:1'|type X|");

    static const char failure[] = "SERROR\0VERROR\0C42704\0Mno such thing\0\0";
    struct sample listener = {0};
    add_message(&listener, 'R', "\0\0\0\0", 4);
    add_message(&listener, 'C', "COMMIT PREPARED", 16);
    add_message(&listener, 'E', failure, sizeof failure - 1);
    add_message(&listener, 'Z', "I", 1);
    expect_labels(STREAM_POSTGRES, STREAM_FROM_LISTENER, &listener,
                  "type R|tag COMMIT PREPARED|error 42704|type Z|");
}

/* The one byte that answers a request for encryption is no message. */
static void test_stream_postgres_answer_to_encryption_is_one_byte(void **state)
{
    (void)state;
    struct sample sample = {0};
    char labels[LABELS_SIZE];
    struct stream stream;
    add_bytes(&sample, "N", 1);
    add_message(&sample, 'Z', "I", 1);
    stream_init(&stream, STREAM_POSTGRES, STREAM_FROM_LISTENER);
    stream_expect_answer(&stream);
    cut(&stream, &sample, 1, labels);
    assert_string_equal(labels, "answer N|type Z|");
}

static void expect_broken(enum stream_kind kind, enum stream_side side, bool begun, const char *hex)
{
    struct sample sample = {0};
    struct stream stream;
    struct stream_unit unit;
    add_hex(&sample, hex);
    stream_init(&stream, kind, side);
    stream.begun = begun;
    assert_int_equal(stream_next(&stream, sample.bytes, sample.size_bytes, &unit), STREAM_BROKEN);
}

/* Other protocols, and lengths beyond the limit, are broken at once: nothing waits for gigabytes. */
static void test_stream_what_is_not_the_protocol_is_broken(void **state)
{
    (void)state;
    expect_broken(STREAM_LINK, STREAM_FROM_DIALER, false, "47"); /* "G" of GET */
    expect_broken(STREAM_LINK, STREAM_FROM_DIALER, true, "00000000ffffffff");
    expect_broken(STREAM_LINK, STREAM_FROM_DIALER, true, "ffffffffffffffff");
    expect_broken(STREAM_POSTGRES, STREAM_FROM_DIALER, false, "000000040003");
    expect_broken(STREAM_POSTGRES, STREAM_FROM_DIALER, false, "474554202f");
    expect_broken(STREAM_POSTGRES, STREAM_FROM_DIALER, true, "5100000003");
    expect_broken(STREAM_POSTGRES, STREAM_FROM_LISTENER, true, "44ffffffff");
}

/* Any damage to a frame leaves a label, never a read beyond its end (run it under a sanitizer). */
static void test_stream_damaged_frames_are_still_frames(void **state)
{
    (void)state;
    struct sample sample = {0};
    add_frame(&sample, DATA_HEAD INQUIRY FENCED DATA_MAC);
    for (size_t at = 8; at < sample.size_bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct stream stream;
            struct stream_unit unit;
            stream_init(&stream, STREAM_LINK, STREAM_FROM_DIALER);
            stream.begun = true;
            sample.bytes[at] ^= (uint8_t)(1U << bit);
            assert_int_equal(stream_next(&stream, sample.bytes, sample.size_bytes, &unit),
                             STREAM_UNIT);
            assert_int_equal(unit.size_bytes, sample.size_bytes);
            sample.bytes[at] ^= (uint8_t)(1U << bit);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_link_frames_have_their_messages_names),
        cmocka_unit_test(test_stream_postgres_messages_have_their_statements),
        cmocka_unit_test(test_stream_postgres_answer_to_encryption_is_one_byte),
        cmocka_unit_test(test_stream_what_is_not_the_protocol_is_broken),
        cmocka_unit_test(test_stream_damaged_frames_are_still_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
