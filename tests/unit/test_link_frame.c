/*
 * test_link_frame.c - the bytes of handshake and data: what proves, what does not, and that secret
 * files are read strictly.
 */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/codec_write.h"
#include "common/link_frame.h"
#include "tests/unit/test_codec_random.h"

/* A whole handshake's frames. */
struct handshake {
    struct link_secret secret;
    struct codec_buffer hello;
    struct codec_buffer accept;
    struct codec_buffer confirm;
    struct frame_keys keys;
};

static void handshake_make(struct handshake *handshake, uint8_t nonce)
{
    struct frame_greeting greeting = {.version_min = 1,
                                      .version_max = 1,
                                      .release = "1.2.3",
                                      .participant = "stock",
                                      .address = "tcp://127.0.0.1:7402",
                                      .receive_limit_bytes = 65536,
                                      .silence_ms = 1000};
    *handshake = (struct handshake){.secret = {.size_bytes = 20, .bytes = "twenty bytes of salt"}};
    memset(greeting.nonce, nonce, sizeof greeting.nonce);
    frame_write_greeting(&handshake->hello, FRAME_HELLO, &greeting, &handshake->secret, NULL);
    memset(greeting.nonce, nonce + 1, sizeof greeting.nonce);
    frame_write_greeting(&handshake->accept, FRAME_ACCEPT, &greeting, &handshake->secret,
                         &handshake->hello);
    frame_write_confirm(&handshake->confirm, &handshake->secret, &handshake->hello,
                        &handshake->accept);
    frame_derive_keys(&handshake->secret, &handshake->hello, &handshake->accept, 1,
                      &handshake->keys);
}

static void handshake_done(struct handshake *handshake)
{
    codec_buffer_done(&handshake->hello);
    codec_buffer_done(&handshake->accept);
    codec_buffer_done(&handshake->confirm);
}

static bool proves(const struct codec_buffer *frame, const struct handshake *handshake,
                   const struct codec_buffer *hello, const struct codec_buffer *accept)
{
    return frame_proves(frame->bytes, frame->size_bytes, &handshake->secret, hello, accept);
}

/* Each frame proves in its own place, and in no other: not with another secret, not as an answer to
 * another hello, not reflected as the other side's frame. */
static void test_link_frame_handshake_proves_only_in_its_place(void **state)
{
    (void)state;
    struct handshake a, b;
    handshake_make(&a, 1);
    handshake_make(&b, 7);
    assert_true(proves(&a.hello, &a, NULL, NULL));
    assert_true(proves(&a.accept, &a, &a.hello, NULL));
    assert_true(proves(&a.confirm, &a, &a.hello, &a.accept));

    assert_false(proves(&a.accept, &a, &b.hello, NULL));
    assert_false(proves(&a.accept, &a, NULL, NULL));
    assert_false(proves(&a.confirm, &a, &a.hello, &b.accept));
    assert_false(proves(&a.confirm, &a, &b.hello, &a.accept));
    assert_false(proves(&a.hello, &a, &a.hello, NULL));
    if (a.hello.bytes == NULL) {
        abort(); /* cmocka's assertions say nothing to the analyzer */
    }
    a.hello.bytes[4] = FRAME_ACCEPT; /* a hello reflected as its own answer */
    assert_false(proves(&a.hello, &a, &b.hello, NULL));
    assert_false(proves(&a.hello, &a, NULL, NULL));
    a.hello.bytes[4] = FRAME_HELLO;
    a.secret.bytes[19] ^= 1;
    assert_false(proves(&a.hello, &a, NULL, NULL));
    assert_memory_not_equal(a.keys.to_agent, a.keys.to_coordinator, FRAME_KEY_BYTES);
    assert_memory_not_equal(a.keys.to_agent, b.keys.to_agent, FRAME_KEY_BYTES);
    handshake_done(&a);
    handshake_done(&b);
}

/* A handshake frame with any bit changed, or cut anywhere, proves nothing. */
static void test_link_frame_changed_handshake_proves_nothing(void **state)
{
    (void)state;
    struct handshake a;
    handshake_make(&a, 1);
    for (size_t bit = 0; bit < 8 * a.hello.size_bytes; bit++) {
        a.hello.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(proves(&a.hello, &a, NULL, NULL));
        struct frame_greeting greeting;
        (void)frame_read_greeting(a.hello.bytes, a.hello.size_bytes, FRAME_HELLO, &greeting, NULL);
        a.hello.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size_bytes = 0; size_bytes < a.hello.size_bytes; size_bytes++) {
        struct frame_greeting greeting;
        assert_false(frame_proves(a.hello.bytes, size_bytes, &a.secret, NULL, NULL));
        assert_false(frame_read_greeting(a.hello.bytes, size_bytes, FRAME_HELLO, &greeting, NULL));
    }
    handshake_done(&a);
}

/* What a side says of itself is read as it was written; ACCEPT carries no address. */
static void test_link_frame_greeting_round_trips(void **state)
{
    (void)state;
    struct handshake a;
    struct frame_greeting greeting;
    struct error error;
    handshake_make(&a, 1);
    assert_success(
        frame_read_greeting(a.hello.bytes, a.hello.size_bytes, FRAME_HELLO, &greeting, &error),
        &error);
    assert_string_equal(greeting.participant, "stock");
    assert_string_equal(greeting.address, "tcp://127.0.0.1:7402");
    assert_string_equal(greeting.release, "1.2.3");
    assert_int_equal(greeting.receive_limit_bytes, 65536);
    assert_int_equal(greeting.nonce[31], 1);
    assert_success(
        frame_read_greeting(a.accept.bytes, a.accept.size_bytes, FRAME_ACCEPT, &greeting, &error),
        &error);
    assert_string_equal(greeting.address, "");
    assert_false(
        frame_read_greeting(a.accept.bytes, a.accept.size_bytes, FRAME_HELLO, &greeting, &error));
    struct frame_denial denial = {.refusal = REFUSAL_VERSION, .text = "too old"}, back;
    struct codec_buffer refuse = {0};
    frame_write_refuse(&refuse, &denial, &a.secret, &a.hello);
    assert_true(proves(&refuse, &a, &a.hello, NULL));
    assert_success(frame_read_refuse(refuse.bytes, refuse.size_bytes, &back, &error), &error);
    assert_int_equal(back.refusal, REFUSAL_VERSION);
    assert_string_equal(back.text, "too old");
    codec_buffer_done(&refuse);
    handshake_done(&a);
}

/* A hello of a later release, with wider versions and fields that nobody here knows, is still read:
 * that is how a common version is found. */
static void test_link_frame_hello_of_a_later_release_is_read(void **state)
{
    (void)state;
    struct codec_buffer frame = {0};
    uint8_t zeros[32] = {0};
    write_raw(&frame, "Asnt\x01\0\0", 8);
    write_map(&frame, 12);
    for (uint64_t key = 1; key <= 10; key++) {
        write_uint(&frame, key);
        if (key == 4) {
            write_text(&frame, "9.0", 3);
        } else if (key == 5) {
            write_text(&frame, "stock", 5);
        } else if (key == 6) {
            write_binary(&frame, zeros, 16);
        } else if (key == 7) {
            write_text(&frame, "tcp://h:1", 9);
        } else if (key == 8) {
            write_binary(&frame, zeros, 32);
        } else {
            write_uint(&frame, key * 1000);
        }
    }
    write_uint(&frame, 11);
    write_text(&frame, "new", 3);
    write_uint(&frame, 40);
    write_array(&frame, 1);
    write_nil(&frame);
    write_raw(&frame, zeros, 32);
    struct frame_greeting greeting;
    struct error error;
    assert_success(
        frame_read_greeting(frame.bytes, frame.size_bytes, FRAME_HELLO, &greeting, &error), &error);
    assert_int_equal(greeting.version_max, 2000);
    codec_buffer_done(&frame);
}

/* Data opens with its session's keys in its own direction only, and not with any bit changed. */
static void test_link_frame_data_opens_only_where_it_belongs(void **state)
{
    (void)state;
    struct handshake a, b;
    uint8_t body[100], frame[sizeof body + FRAME_OVERHEAD_BYTES];
    struct frame_data data;
    uint64_t seed = 3;
    handshake_make(&a, 1);
    handshake_make(&b, 2);
    for (size_t i = 0; i < sizeof body; i++) {
        body[i] = (uint8_t)random_next(&seed);
    }
    frame_seal(frame, &a.keys, true, 0x0102030405060708, body, sizeof body);
    assert_true(frame_open(frame, sizeof frame, &a.keys, true, &data));
    assert_int_equal(data.number, 0x0102030405060708);
    assert_int_equal(data.size_bytes, sizeof body);
    assert_memory_equal(data.body, body, sizeof body);

    assert_false(frame_open(frame, sizeof frame, &a.keys, false, &data));
    assert_false(frame_open(frame, sizeof frame, &b.keys, true, &data));
    for (size_t bit = 0; bit < 8 * sizeof frame; bit++) {
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(frame_open(frame, sizeof frame, &a.keys, true, &data));
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size_bytes = 0; size_bytes < sizeof frame; size_bytes++) {
        assert_false(frame_open(frame, size_bytes, &a.keys, true, &data));
    }
    handshake_done(&a);
    handshake_done(&b);
}

/* Compares with lower-case hex. */
static void assert_hex(const uint8_t *bytes, size_t size_bytes, const char *hex)
{
    assert_int_equal(strlen(hex), 2 * size_bytes);
    for (size_t i = 0; i < size_bytes; i++) {
        char digits[3];
        (void)snprintf(digits, sizeof digits, "%02x", bytes[i]);
        assert_memory_equal(digits, hex + 2 * i, 2);
    }
}

/* The example in docs/PROTOCOL.md is what this program sends. Its bytes were computed by another
 * program in another language from that description alone. */
static void test_link_frame_documented_example_is_what_is_sent(void **state)
{
    (void)state;
    struct frame_greeting greeting = {.version_min = 1,
                                      .version_max = 1,
                                      .release = "0.1.0",
                                      .participant = "stock",
                                      .address = "tcp://127.0.0.1:7402",
                                      .receive_limit_bytes = 16777216,
                                      .silence_ms = 10000};
    struct link_secret secret = {.size_bytes = 16, .bytes = "0123456789abcdef"};
    struct codec_buffer hello = {0}, accept = {0}, confirm = {0}, body = {0};
    struct frame_keys keys;
    for (uint8_t i = 0; i < JOURNAL_ID_BYTES; i++) {
        greeting.journal.bytes[i] = i;
    }
    memset(greeting.nonce, 1, sizeof greeting.nonce);
    frame_write_greeting(&hello, FRAME_HELLO, &greeting, &secret, NULL);
    memset(greeting.nonce, 2, sizeof greeting.nonce);
    frame_write_greeting(&accept, FRAME_ACCEPT, &greeting, &secret, &hello);
    frame_write_confirm(&confirm, &secret, &hello, &accept);
    frame_derive_keys(&secret, &hello, &accept, 1, &keys);
    assert_hex(hello.bytes, hello.size_bytes,
               "41736e74010000008a01010201030004a5302e312e3005a573746f636b06c410000102030405"
               "060708090a0b0c0d0e0f07b47463703a2f2f3132372e302e302e313a3734303208c420010101"
               "010101010101010101010101010101010101010101010101010101010109ce010000000acd27"
               "1036b4c772a7379291813179e6c5b164f59a51a7ddfb1cc77c47fdcb1508fafccd");
    assert_hex(accept.bytes, accept.size_bytes,
               "41736e74020000008901010201030004a5302e312e3005a573746f636b06c410000102030405"
               "060708090a0b0c0d0e0f08c42002020202020202020202020202020202020202020202020202"
               "0202020202020209ce010000000acd2710c3d850b6b6d59ddac74c68eaf046dab92ae4cea996"
               "a2eedc37e4fe3f18c70f45");
    assert_hex(confirm.bytes, confirm.size_bytes,
               "41736e740300000080882ec5b44b1258e17014da2db4140cd3e9844818484314c6bcada143d2"
               "4b7933");
    struct message message = {.kind = MESSAGE_FENCED, .as.fenced = {.epoch = 7, .epoch_nonce = 9}};
    uint8_t frame[47];
    codec_encode_message(&body, &message);
    assert_int_equal(body.size_bytes + FRAME_OVERHEAD_BYTES, sizeof frame);
    frame_seal(frame, &keys, false, 1, body.bytes, body.size_bytes);
    assert_hex(frame, sizeof frame,
               "41736e741002010031177301c87e2a9a000000000000000183001201070209088dc7187ae00d"
               "42db030b0d250693d4");
    codec_buffer_done(&hello);
    codec_buffer_done(&accept);
    codec_buffer_done(&confirm);
    codec_buffer_done(&body);
}

/* ---- secret files ---- */

static char secret_path[] = "/tmp/assent-secret-XXXXXX";

static bool read_secret_of(const char *text, mode_t mode, struct link_secret *ret_secret,
                           struct error *ret_error)
{
    FILE *file = fopen(secret_path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(secret_path, mode), 0);
    return link_secret_read(secret_path, ret_secret, ret_error);
}

/* The first line without white space around it is the secret; what is weak, or readable by others,
 * is refused with the remedy. */
static void test_link_secret_file_is_read_strictly(void **state)
{
    (void)state;
    struct link_secret secret = {0};
    struct error error = {0};
    int fd = mkstemp(secret_path);
    assert_true(fd >= 0);
    close(fd);
    assert_success(
        read_secret_of("  sixteen letters! \r\nand a second line\n", 0600, &secret, &error),
        &error);
    assert_int_equal(secret.size_bytes, 16);
    assert_memory_equal(secret.bytes, "sixteen letters!", 16);
    assert_success(read_secret_of("sixteen letters!", 0400, &secret, &error), &error);

    assert_false(read_secret_of("fifteen letters\n", 0600, &secret, &error));
    assert_int_equal(error.kind, ERROR_INVALID);
    assert_string_not_equal(error.hint, "");
    assert_false(read_secret_of("", 0600, &secret, &error));
    assert_false(read_secret_of("sixteen letters!", 0640, &secret, &error));
    assert_int_equal(error.kind, ERROR_DENIED);
    assert_non_null(strstr(error.hint, "chmod 600"));
    assert_false(read_secret_of("sixteen letters!", 0604, &secret, &error));
    char long_text[LINK_SECRET_MAX_BYTES + 2] = {0};
    memset(long_text, 'x', LINK_SECRET_MAX_BYTES + 1);
    assert_false(read_secret_of(long_text, 0600, &secret, &error));
    long_text[LINK_SECRET_MAX_BYTES] = '\0';
    assert_success(read_secret_of(long_text, 0600, &secret, &error), &error);
    assert_int_equal(unlink(secret_path), 0);
    assert_false(link_secret_read(secret_path, &secret, &error));
    assert_false(link_secret_read("/tmp", &secret, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_frame_handshake_proves_only_in_its_place),
        cmocka_unit_test(test_link_frame_changed_handshake_proves_nothing),
        cmocka_unit_test(test_link_frame_greeting_round_trips),
        cmocka_unit_test(test_link_frame_hello_of_a_later_release_is_read),
        cmocka_unit_test(test_link_frame_data_opens_only_where_it_belongs),
        cmocka_unit_test(test_link_frame_documented_example_is_what_is_sent),
        cmocka_unit_test(test_link_secret_file_is_read_strictly),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
