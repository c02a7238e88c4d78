/*
 * test_codec.c - messages survive the wire unchanged, and nothing that arrives can do harm.
 */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "common/codec.h"
#include "common/codec_write.h"
#include "tests/unit/test_codec_random.h"

static bool decode(const uint8_t *bytes, size_t size_bytes, enum error_kind *ret_kind)
{
    /* A copy of exactly this size, so that the sanitizer sees every read beyond it. */
    uint8_t *copy = malloc(size_bytes == 0 ? 1 : size_bytes);
    memcpy(copy, bytes, size_bytes);
    struct message message;
    struct error error = {0};
    size_t used;
    bool well = codec_decode_message(copy, size_bytes, &message, &used, &error);
    if (well) {
        assert_true(used > 0 && used <= size_bytes);
        message_done(&message);
    } else {
        assert_true(error.kind == ERROR_INVALID || error.kind == ERROR_VERSION);
        assert_string_not_equal(error.text, "");
    }
    *ret_kind = well ? ERROR_NONE : error.kind;
    free(copy);
    return well;
}

/* Every kind of message comes back exactly as it was, whatever its contents. */
static void test_codec_any_message_round_trips(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 400; round++) {
        for (size_t k = 0; k < RANDOM_KIND_COUNT; k++) {
            struct message message = random_message(&seed, random_kind(k));
            struct codec_buffer buffer = {0};
            codec_encode_message(&buffer, &message);
            struct message back;
            struct error error;
            size_t used = 0;
            assert_success(
                codec_decode_message(buffer.bytes, buffer.size_bytes, &back, &used, &error),
                &error);
            assert_int_equal(used, buffer.size_bytes);
            assert_true(messages_equal(&message, &back));
            message_done(&message);
            message_done(&back);
            codec_buffer_done(&buffer);
        }
    }
}

/* Several messages in a row are told apart without a length in front of them. */
static void test_codec_concatenated_messages_are_read_one_by_one(void **state)
{
    (void)state;
    uint64_t seed = 2;
    struct codec_buffer buffer = {0};
    struct message messages[RANDOM_KIND_COUNT];
    for (size_t k = 0; k < RANDOM_KIND_COUNT; k++) {
        messages[k] = random_message(&seed, random_kind(k));
        codec_encode_message(&buffer, &messages[k]);
    }
    size_t at = 0;
    for (size_t k = 0; k < RANDOM_KIND_COUNT; k++) {
        struct message back;
        struct error error;
        size_t used;
        assert_success(
            codec_decode_message(buffer.bytes + at, buffer.size_bytes - at, &back, &used, &error),
            &error);
        assert_true(messages_equal(&messages[k], &back));
        message_done(&back);
        message_done(&messages[k]);
        at += used;
    }
    assert_int_equal(at, buffer.size_bytes);
    codec_buffer_done(&buffer);
}

/* A message that was cut anywhere is refused as invalid: no prefix of a message is a message. */
static void test_codec_truncated_anywhere_is_refused(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (size_t k = 0; k < RANDOM_KIND_COUNT; k++) {
        struct message message = random_message(&seed, random_kind(k));
        struct codec_buffer buffer = {0};
        codec_encode_message(&buffer, &message);
        for (size_t size_bytes = 0; size_bytes < buffer.size_bytes; size_bytes++) {
            enum error_kind kind;
            assert_false(decode(buffer.bytes, size_bytes, &kind));
            assert_int_equal(kind, ERROR_INVALID);
        }
        message_done(&message);
        codec_buffer_done(&buffer);
    }
}

/* Any single changed byte gives a message or an error, never a fault (the sanitizers watch). */
static void test_codec_any_byte_changed_does_no_harm(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (size_t k = 0; k < RANDOM_KIND_COUNT; k++) {
        struct message message = random_message(&seed, random_kind(k));
        struct codec_buffer buffer = {0};
        codec_encode_message(&buffer, &message);
        for (size_t at = 0; at < buffer.size_bytes; at++) {
            uint8_t right = buffer.bytes[at];
            for (unsigned change = 1; change < 256; change += 1 + change / 8) {
                enum error_kind kind;
                buffer.bytes[at] = (uint8_t)(right ^ change);
                (void)decode(buffer.bytes, buffer.size_bytes, &kind);
            }
            buffer.bytes[at] = right;
        }
        message_done(&message);
        codec_buffer_done(&buffer);
    }
}

/* One hostile input: what it is, its bytes, and how it must be refused. */
struct hostile {
    const char *what;
    const char *bytes;
    size_t size_bytes;
    enum error_kind kind;
};

#define HOSTILE(what_, bytes_, kind_)                                                              \
    {                                                                                              \
        what_, bytes_, sizeof(bytes_) - 1, kind_                                                   \
    }

/* FENCED is {0: 18, 1: epoch, 2: epoch nonce}. */
static const struct hostile hostiles[] = {
    HOSTILE("nothing", "", ERROR_INVALID),
    HOSTILE("a map of 4 G pairs", "\xdf\xff\xff\xff\xff\x00\x12", ERROR_INVALID),
    HOSTILE("a map16 of 65535 pairs", "\xde\xff\xff\x00\x12", ERROR_INVALID),
    HOSTILE("an array", "\x93\x12\x01\x01", ERROR_INVALID),
    HOSTILE("an empty map", "\x80", ERROR_INVALID),
    HOSTILE("kind not first", "\x83\x01\x01\x02\x01\x00\x12", ERROR_INVALID),
    HOSTILE("kind as text",
            "\x81\x00\xa1"
            "a",
            ERROR_INVALID),
    HOSTILE("kind negative", "\x81\x00\xff", ERROR_INVALID),
    HOSTILE("kind of 64 bits that looks like 18",
            "\x83\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x12"
            "\x01\x01\x02\x01",
            ERROR_INVALID),
    HOSTILE("an unknown kind", "\x81\x00\x63", ERROR_VERSION),
    HOSTILE("kind 0", "\x81\x00\x00", ERROR_VERSION),
    HOSTILE("a required field missing", "\x82\x00\x12\x01\x01", ERROR_INVALID),
    HOSTILE("the first field missing", "\x82\x00\x12\x02\x01", ERROR_INVALID),
    HOSTILE("a key twice", "\x84\x00\x12\x01\x01\x01\x01\x02\x01", ERROR_INVALID),
    HOSTILE("the kind twice", "\x84\x00\x12\x00\x12\x01\x01\x02\x01", ERROR_INVALID),
    HOSTILE("keys descending", "\x83\x00\x12\x02\x01\x01\x01", ERROR_INVALID),
    HOSTILE("an unknown key that must be understood", "\x84\x00\x12\x01\x01\x02\x01\x03\x01",
            ERROR_VERSION),
    HOSTILE("a negative number", "\x83\x00\x12\x01\xff\x02\x01", ERROR_INVALID),
    HOSTILE("a float", "\x83\x00\x12\x01\xca\x3f\x80\x00\x00\x02\x01", ERROR_INVALID),
    HOSTILE("an extension", "\x83\x00\x12\x01\xd4\x01\x01\x02\x01", ERROR_INVALID),
    HOSTILE("nil for a number", "\x83\x00\x12\x01\xc0\x02\x01", ERROR_INVALID),
    HOSTILE("the byte that msgpack never uses", "\x83\x00\x12\x01\xc1\x02\x01", ERROR_INVALID),
    HOSTILE("a skipped value of 4 G elements",
            "\x84\x00\x12\x01\x01\x02\x01\x40\xdd\xff\xff\xff"
            "\xff",
            ERROR_INVALID),
    HOSTILE("a skipped text of 4 G bytes", "\x84\x00\x12\x01\x01\x02\x01\x40\xdb\xff\xff\xff\xff",
            ERROR_INVALID),
    HOSTILE("a skipped extension of 4 G bytes",
            "\x84\x00\x12\x01\x01\x02\x01\x40\xc9\xff\xff\xff\xff\x01", ERROR_INVALID),
    HOSTILE("a skipped value nested 9 deep",
            "\x84\x00\x12\x01\x01\x02\x01\x40\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01",
            ERROR_INVALID),
    HOSTILE("a skipped byte that msgpack never uses", "\x84\x00\x12\x01\x01\x02\x01\x40\xc1",
            ERROR_INVALID),
};

/* Each known way of lying is refused with the right kind of error. */
static void test_codec_hostile_bytes_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hostiles / sizeof hostiles[0]; i++) {
        enum error_kind kind;
        bool well = decode((const uint8_t *)hostiles[i].bytes, hostiles[i].size_bytes, &kind);
        if (well || kind != hostiles[i].kind) {
            fail_msg("%s: kind %d", hostiles[i].what, (int)kind);
        }
    }
}

/* Numbers may be sent in any width, and an unknown key above 63 is passed over with its value. */
static void test_codec_newer_optional_field_is_passed_over(void **state)
{
    (void)state;
    static const char bytes[] = "\x84\x00\xd1\x00\x12\x01\xcf\x00\x00\x00\x00\x00\x00\x00\x07\x02"
                                "\xd0\x09\x40\x82\xa1k\xc7\x03\x05xyz\x01\x92\xcb\x01\x02\x03\x04"
                                "\x05\x06\x07\x08\xc3";
    struct message message;
    struct error error;
    size_t used;
    assert_success(
        codec_decode_message((const uint8_t *)bytes, sizeof bytes - 1, &message, &used, &error),
        &error);
    assert_int_equal(used, sizeof bytes - 1);
    assert_int_equal(message.kind, MESSAGE_FENCED);
    assert_int_equal(message.as.fenced.epoch, 7);
    assert_int_equal(message.as.fenced.epoch_nonce, 9);
}

/* Encodes an INQUIRY by hand around whatever a test wants to put into one place. */
static void inquiry_with(struct codec_buffer *buffer, size_t journal_bytes, const char *name,
                         size_t name_bytes)
{
    static const uint8_t zeros[32] = {0};
    write_map(buffer, 3);
    write_uint(buffer, 0);
    write_uint(buffer, MESSAGE_INQUIRY);
    write_uint(buffer, 1);
    write_array(buffer, 6);
    write_binary(buffer, zeros, journal_bytes);
    write_uint(buffer, 1);
    write_uint(buffer, 2);
    write_uint(buffer, 3);
    write_text_exact(buffer, name, name_bytes);
    write_uint(buffer, 4);
    write_uint(buffer, 2);
    write_uint(buffer, 5);
}

/* A gid with a name that no participant can have, or an identity of the wrong length, is refused:
 * names end up in SQL and in file names. */
static void test_codec_gid_with_bad_parts_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t journal_bytes;
        const char *name;
        size_t name_bytes;
        bool well;
    } cases[] = {
        {16, "stock", 5, true},
        {15, "stock", 5, false},
        {17, "stock", 5, false},
        {16, "", 0, false},
        {16, "Stock", 5, false},
        {16, "sto'k", 5, false},
        {16, "st\0ck", 5, false},
        {16, "st\xff\x63k", 5, false},
        {16, "sto\xc3", 4, false},
        {16, "sto\xed\xa0\x80", 6, false},
        {16, "a2345678901234567890123456789012345678901234567890123456789012", 62, true},
        {16, "a234567890123456789012345678901234567890123456789012345678901234", 64, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct codec_buffer buffer = {0};
        enum error_kind kind;
        inquiry_with(&buffer, cases[i].journal_bytes, cases[i].name, cases[i].name_bytes);
        bool well = decode(buffer.bytes, buffer.size_bytes, &kind);
        if (well != cases[i].well) {
            fail_msg("case %zu: %s", i, well ? "taken" : "refused");
        }
        codec_buffer_done(&buffer);
    }
}

/* A value outside an enum is refused, whatever its width. */
static void test_codec_unknown_enum_value_is_refused(void **state)
{
    (void)state;
    uint64_t seed = 5;
    static const uint64_t values[] = {0, 6, 255, UINT32_MAX, (uint64_t)1 << 32 | 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct message message = random_message(&seed, MESSAGE_VERDICT);
        message.as.verdict.proof = (struct proof){0};
        message.as.verdict.verdict = VERDICT_COMMIT;
        struct codec_buffer buffer = {0};
        codec_encode_message(&buffer, &message);
        enum error_kind kind;
        assert_true(decode(buffer.bytes, buffer.size_bytes, &kind));
        buffer.size_bytes--; /* the verdict comes last */
        write_uint(&buffer, values[i]);
        assert_false(decode(buffer.bytes, buffer.size_bytes, &kind));
        codec_buffer_done(&buffer);
    }
}

/* A text that was cut inside a character reaches the other side with a question mark there: one odd
 * byte in a database's complaint must not make a frame unreadable. */
static void test_codec_text_cut_in_a_character_still_travels(void **state)
{
    (void)state;
    uint64_t seed = 6;
    struct message message = random_message(&seed, MESSAGE_ACK);
    memset(message.as.ack.detail, 0, sizeof message.as.ack.detail);
    strcpy(message.as.ack.detail, "caf\xc3\xa9 \xff caf\xc3");
    struct codec_buffer buffer = {0};
    codec_encode_message(&buffer, &message);
    struct message back;
    struct error error;
    size_t used;
    assert_success(codec_decode_message(buffer.bytes, buffer.size_bytes, &back, &used, &error),
                   &error);
    assert_string_equal(back.as.ack.detail, "caf\xc3\xa9 ? caf?");
    codec_buffer_done(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec_any_message_round_trips),
        cmocka_unit_test(test_codec_concatenated_messages_are_read_one_by_one),
        cmocka_unit_test(test_codec_truncated_anywhere_is_refused),
        cmocka_unit_test(test_codec_any_byte_changed_does_no_harm),
        cmocka_unit_test(test_codec_hostile_bytes_are_refused),
        cmocka_unit_test(test_codec_newer_optional_field_is_passed_over),
        cmocka_unit_test(test_codec_gid_with_bad_parts_is_refused),
        cmocka_unit_test(test_codec_unknown_enum_value_is_refused),
        cmocka_unit_test(test_codec_text_cut_in_a_character_still_travels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
