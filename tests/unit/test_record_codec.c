/*
 * test_record_codec.c - record bodies: what is written comes back, and no bytes do harm (R1).
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "recovery/record_codec.h"
#include "tests/lib/journal_kit.h"

#define SAMPLE_COUNT 16

/* One of every kind, with every optional part present or absent somewhere. */
static void make_samples(struct record ret_samples[SAMPLE_COUNT])
{
    static const char *const names[] = {"order", "payment", "a", "restaurant-7_x"};
    struct gtrid gtrid = kit_gtrid(3, UINT64_MAX);
    ret_samples[0] = kit_epoch(7, 4, names);
    ret_samples[1] = kit_commit(gtrid, "checkout-8d2f");
    ret_samples[2] = kit_commit(gtrid, NULL);
    ret_samples[2].as.commit.branches[1].read_only = true;
    ret_samples[2].as.commit.branches[1].proof = (struct proof){0};
    ret_samples[3] = kit_end(gtrid, 1u << 30);
    ret_samples[4] = kit_accept(gtrid, "k");
    ret_samples[5] = kit_refused(gtrid);
    ret_samples[5].as.refused.failure.report = blob_new("", 0);
    memset(ret_samples[5].as.refused.text, 't', HEALTH_TEXT_SIZE - 1);
    ret_samples[6] = kit_heuristic(gtrid, "order");
    ret_samples[7] = kit_resolved(gtrid, "payment");
    memset(ret_samples[7].as.resolved.comment, 'c', COMMENT_MAX_BYTES);
    ret_samples[8] = kit_resolved(gtrid, "");
    ret_samples[9] = (struct record){.kind = RECORD_FLOOR};
    ret_samples[9].as.floor.floor = (struct journal_floor){5, UINT64_MAX, 1u << 20};
    ret_samples[9].as.floor.running_ms = 123456789;
    ret_samples[9].as.floor.epoch_count = 3;
    ret_samples[9].as.floor.epochs = alloc_array(3, sizeof(struct epoch_entry));
    ret_samples[9].as.floor.epochs[2] = (struct epoch_entry){6, UINT64_MAX};
    ret_samples[10] = kit_release("payment");
    ret_samples[11] = (struct record){.kind = RECORD_ADOPT};
    ret_samples[11].as.adopt.wall_ms = 77;
    (void)snprintf(ret_samples[11].as.adopt.comment, sizeof ret_samples[11].as.adopt.comment, "%s",
                   "restored on host b");
    ret_samples[12] = kit_commit_of(gtrid, kit_gtrid(3, 7), "checkout-8d2f");
    ret_samples[13] = kit_requeued(gtrid, UINT64_MAX);
    ret_samples[14] = kit_dropped(gtrid, 1u << 30);
    ret_samples[15] = kit_accept(gtrid, "");
    memset(ret_samples[15].as.accept.queue, 'q', QUEUE_NAME_SIZE - 1);
}

static void free_samples(struct record samples[SAMPLE_COUNT])
{
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        record_done(&samples[i]);
    }
}

static void assert_commit_equal(const struct record_commit *a, const struct record_commit *b)
{
    assert_int_equal(a->branch_count, b->branch_count);
    assert_int_equal(a->key_bytes, b->key_bytes);
    assert_memory_equal(a->key, b->key, sizeof a->key);
    assert_memory_equal(a->body_hash, b->body_hash, BODY_HASH_BYTES);
    for (size_t i = 0; i < a->branch_count; i++) {
        assert_true(gid_equal(&a->branches[i].gid, &b->branches[i].gid));
        assert_memory_equal(&a->branches[i].proof, &b->branches[i].proof, sizeof(struct proof));
        assert_int_equal(a->branches[i].read_only, b->branches[i].read_only);
        assert_true(blob_equal(a->branches[i].results, b->branches[i].results));
    }
    assert_int_equal(a->has_request, b->has_request);
    assert_true(gtrid_equal(&a->request.id, &b->request.id));
    assert_string_equal(a->request.queue, b->request.queue);
    assert_int_equal(a->request.attempts, b->request.attempts);
    assert_int_equal(a->request.accepted_wall_ms, b->request.accepted_wall_ms);
}

static void assert_accept_equal(const struct record_accept *a, const struct record_accept *b)
{
    assert_string_equal(a->queue, b->queue);
    assert_int_equal(a->timeout_ms, b->timeout_ms);
    assert_int_equal(a->key_bytes, b->key_bytes);
    assert_memory_equal(a->body_hash, b->body_hash, BODY_HASH_BYTES);
    assert_int_equal(a->branch_count, b->branch_count);
    for (size_t i = 0; i < a->branch_count; i++) {
        assert_string_equal(a->branches[i].participant, b->branches[i].participant);
        assert_int_equal(a->branches[i].isolation, b->branches[i].isolation);
        assert_int_equal(a->branches[i].read_only, b->branches[i].read_only);
        assert_true(blob_equal(a->branches[i].work, b->branches[i].work));
    }
}

/* Every kind comes back as it was written: the same bytes when written again, and the same values. */
static void test_record_codec_every_kind_round_trips(void **state)
{
    struct record samples[SAMPLE_COUNT];
    struct error error = {0};
    (void)state;
    make_samples(samples);
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        struct record_buffer first = {0};
        struct record_buffer second = {0};
        struct record back;
        record_encode(&samples[i], &first);
        assert_success(record_decode(samples[i].kind, first.bytes, first.size_bytes, &back, &error),
                       &error);
        record_encode(&back, &second);
        assert_int_equal(first.size_bytes, second.size_bytes);
        assert_memory_equal(first.bytes, second.bytes, first.size_bytes);
        assert_int_equal(back.kind, samples[i].kind);
        if (back.kind == RECORD_ACCEPT) {
            assert_accept_equal(&samples[i].as.accept, &back.as.accept);
        }
        if (back.kind == RECORD_COMMIT) {
            assert_commit_equal(&samples[i].as.commit, &back.as.commit);
        }
        record_done(&back);
        record_buffer_done(&first);
        record_buffer_done(&second);
    }
    free_samples(samples);
}

/* A body that is cut short anywhere is refused, and so is one byte too many. */
static void test_record_codec_wrong_length_is_refused(void **state)
{
    struct record samples[SAMPLE_COUNT];
    (void)state;
    make_samples(samples);
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        struct record_buffer buffer = {0};
        struct record back;
        struct error error = {0};
        record_encode(&samples[i], &buffer);
        for (size_t size = 0; size < buffer.size_bytes; size++) {
            uint8_t *exact = malloc(size + 1); /* so that reading past the end is seen */
            memcpy(exact, buffer.bytes, size);
            exact = realloc(exact, size > 0 ? size : 1);
            assert_false(record_decode(samples[i].kind, exact, size, &back, &error));
            assert_int_equal(error.kind, ERROR_INVALID);
            free(exact);
        }
        uint8_t *longer = calloc(1, buffer.size_bytes + 1);
        memcpy(longer, buffer.bytes, buffer.size_bytes);
        assert_false(record_decode(samples[i].kind, longer, buffer.size_bytes + 1, &back, &error));
        free(longer);
        record_buffer_done(&buffer);
    }
    free_samples(samples);
}

/* Any single changed byte either decodes to something that encodes again, or is refused; never worse. */
static void test_record_codec_changed_byte_is_harmless(void **state)
{
    struct record samples[SAMPLE_COUNT];
    size_t refused = 0;
    (void)state;
    make_samples(samples);
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        struct record_buffer buffer = {0};
        struct record_buffer again = {0};
        record_encode(&samples[i], &buffer);
        for (size_t at = 0; at < buffer.size_bytes; at++) {
            uint8_t kept = buffer.bytes[at];
            for (int value = 0; value < 256; value += 5) {
                struct record back;
                buffer.bytes[at] = (uint8_t)value;
                if (record_decode(samples[i].kind, buffer.bytes, buffer.size_bytes, &back, NULL)) {
                    record_encode(&back, &again);
                    record_done(&back);
                } else {
                    refused++;
                }
            }
            buffer.bytes[at] = kept;
        }
        record_buffer_done(&buffer);
        record_buffer_done(&again);
    }
    assert_true(refused > 1000);
    free_samples(samples);
}

/* A count of 4 billion items in a body of a few bytes is refused before anything is allocated for it. */
static void test_record_codec_hostile_count_is_refused(void **state)
{
    static const uint8_t epoch_body[] = {0x93, 0x01, 0x01, 0xdd, 0xff, 0xff, 0xff, 0xff, 0xa1, 'a'};
    static const uint8_t floor_body[] = {0x95, 0x01, 0x01, 0x01, 0x01,
                                         0xdd, 0x7f, 0xff, 0xff, 0xff};
    static const uint8_t adopt_body[] = {0x92, 0x01, 0xdb, 0xff, 0xff, 0xff, 0xff, 'x'};
    static const uint8_t nested_body[] = {0xdd, 0xff, 0xff, 0xff, 0xff,
                                          0xdd, 0xff, 0xff, 0xff, 0xff};
    struct record back;
    struct error error = {0};
    (void)state;
    assert_false(record_decode(RECORD_EPOCH, epoch_body, sizeof epoch_body, &back, &error));
    assert_int_equal(error.kind, ERROR_INVALID);
    assert_false(record_decode(RECORD_FLOOR, floor_body, sizeof floor_body, &back, &error));
    assert_false(record_decode(RECORD_ADOPT, adopt_body, sizeof adopt_body, &back, &error));
    for (int kind = RECORD_EPOCH; kind <= RECORD_DROPPED; kind++) {
        assert_false(
            record_decode((enum record_kind)kind, nested_body, sizeof nested_body, &back, &error));
    }
}

/* A kind from the future is a version error, so that the operator is told to upgrade. */
static void test_record_codec_unknown_kind_is_version_error(void **state)
{
    static const uint8_t body[] = {0x90};
    struct record back;
    struct error error = {0};
    (void)state;
    assert_false(
        record_decode((enum record_kind)(RECORD_DROPPED + 1), body, sizeof body, &back, &error));
    assert_int_equal(error.kind, ERROR_VERSION);
    assert_false(record_decode((enum record_kind)0, body, sizeof body, &back, &error));
    assert_int_equal(error.kind, ERROR_VERSION);
}

/* Values that no record can have are refused: unknown acks, actions, reasons, names, texts with NUL. */
static void test_record_codec_impossible_values_are_refused(void **state)
{
    static const uint8_t bad_name[] = {0x93, 0x01, 0x01, 0x91, 0xa2, 'A', 'b'};
    static const uint8_t nul_text[] = {0x92, 0x01, 0xa2, 'x', 0x00};
    static const uint8_t negative[] = {0x92, 0xff, 0xa1, 'x'};
    struct record back;
    (void)state;
    assert_false(record_decode(RECORD_EPOCH, bad_name, sizeof bad_name, &back, NULL));
    assert_false(record_decode(RECORD_ADOPT, nul_text, sizeof nul_text, &back, NULL));
    assert_false(record_decode(RECORD_ADOPT, negative, sizeof negative, &back, NULL));
}

/* A copy shares no memory with its original but the blobs, and outlives it. */
static void test_record_copy_outlives_original(void **state)
{
    struct record samples[SAMPLE_COUNT];
    (void)state;
    make_samples(samples);
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        struct record_buffer before = {0};
        struct record_buffer after = {0};
        struct record copy;
        record_encode(&samples[i], &before);
        record_copy(&samples[i], &copy);
        record_done(&samples[i]);
        record_encode(&copy, &after);
        assert_int_equal(before.size_bytes, after.size_bytes);
        assert_memory_equal(before.bytes, after.bytes, before.size_bytes);
        record_done(&copy);
        record_buffer_done(&before);
        record_buffer_done(&after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_codec_every_kind_round_trips),
        cmocka_unit_test(test_record_codec_wrong_length_is_refused),
        cmocka_unit_test(test_record_codec_changed_byte_is_harmless),
        cmocka_unit_test(test_record_codec_hostile_count_is_refused),
        cmocka_unit_test(test_record_codec_unknown_kind_is_version_error),
        cmocka_unit_test(test_record_codec_impossible_values_are_refused),
        cmocka_unit_test(test_record_copy_outlives_original),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
