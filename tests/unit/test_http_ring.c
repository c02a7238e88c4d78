/*
 * test_http_ring.c - the ring behind GET /v1/stream: what it keeps, what gives way, and that it is bounded.
 */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "coordinator/http_ring.h"

static void append(struct ring *ring, uint64_t sequence, size_t result_bytes)
{
    struct txn_view view = {.gtrid = {.sequence = sequence},
                            .state = TXN_COMMITTED,
                            .branch_count = 1,
                            .branches = alloc_array(1, sizeof(struct branch_view))};
    uint8_t *bytes = alloc_zeroed(result_bytes + 1);
    view.branches[0].results = blob_new(bytes, result_bytes);
    free(bytes);
    struct ring_event *evicted = NULL;
    ring_append(ring, ring_event_new(&view), &evicted);
    assert_null(view.branches); /* taken */
    ring_release_evicted(evicted);
}

static void expect_sequence(const struct ring *ring, uint64_t number, uint64_t sequence)
{
    struct ring_event *event = ring_share(ring, number);
    assert_int_equal(event->number, number);
    assert_int_equal(event->view.gtrid.sequence, sequence);
    ring_event_release(event);
}

/* The newest are kept, numbered without gaps; the oldest give way. */
static void test_ring_full_keeps_the_newest(void **state)
{
    (void)state;
    struct ring ring;
    ring_init(&ring, 3, 1 << 20);
    assert_int_equal(ring.first, ring.next);
    for (uint64_t i = 1; i <= 8; i++) {
        append(&ring, 100 + i, 10);
        assert_int_equal(ring.next, i + 1);
        assert_int_equal(ring.first, i <= 3 ? 1 : i - 2);
    }
    for (uint64_t number = ring.first; number < ring.next; number++) {
        expect_sequence(&ring, number, 100 + number);
    }
    ring_done(&ring);
}

/* Bytes are bounded as well, but the newest always stays. */
static void test_ring_bytes_are_bounded(void **state)
{
    (void)state;
    struct ring ring;
    ring_init(&ring, 1000, 100000);
    for (uint64_t i = 1; i <= 50; i++) {
        append(&ring, i, 30000);
        assert_true(ring.bytes <= 100000);
    }
    assert_int_equal(ring.next - ring.first, 3);
    append(&ring, 51, 500000);
    assert_int_equal(ring.next - ring.first, 1);
    expect_sequence(&ring, 51, 51);
    append(&ring, 52, 10);
    assert_int_equal(ring.next - ring.first, 1);
    expect_sequence(&ring, 52, 52);
    ring_done(&ring);
    assert_int_equal(ring.bytes, 0);
}

/* What was made of an event counts while it is inside, and not after that. */
static void test_ring_frames_count(void **state)
{
    (void)state;
    struct ring ring;
    ring_init(&ring, 10, 100000);
    append(&ring, 1, 10);
    struct ring_event *first = ring_share(&ring, 1);
    const size_t before = ring.bytes;
    ring_count_frame(&ring, first, 99000);
    assert_int_equal(ring.bytes, before + 99000);
    append(&ring, 2, 10);
    append(&ring, 3, 10);
    assert_int_equal(ring.first, 2);
    assert_true(ring.bytes < 10000);
    const size_t after = ring.bytes;
    ring_count_frame(&ring, first, 99000);
    assert_int_equal(ring.bytes, after);
    ring_event_release(first);
    ring_done(&ring);
}

/* Whoever holds an event may read it though it gave way, and though the ring is gone. */
static void test_ring_held_event_outlives_its_place(void **state)
{
    (void)state;
    struct ring ring;
    ring_init(&ring, 1, 1 << 20);
    append(&ring, 1, 10);
    struct ring_event *held = ring_share(&ring, 1);
    append(&ring, 2, 10);
    ring_done(&ring);
    assert_int_equal(held->view.gtrid.sequence, 1);
    assert_int_equal(held->view.branches[0].results->size_bytes, 10);
    ring_event_release(held);
    ring_event_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_full_keeps_the_newest),
        cmocka_unit_test(test_ring_bytes_are_bounded),
        cmocka_unit_test(test_ring_frames_count),
        cmocka_unit_test(test_ring_held_event_outlives_its_place),
    };
    return cmocka_run_group_tests_name("http_ring", tests, NULL, NULL);
}
