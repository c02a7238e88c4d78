/*
 * test_inbox.c - the inbox: order, whole batches, deadlines, and posts that wake a sleeping owner.
 */
#include "tests/lib/test.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/inbox.h"

#define POSTERS         4
#define POSTS_PER_OWNER 2000

struct numbered_item {
    struct inbox_item item; /* kind: the poster */
    int number;
};

static struct inbox_item *new_item(int poster, int number)
{
    struct numbered_item *item = alloc_zeroed(sizeof *item);
    item->item.kind = poster;
    item->number = number;
    return &item->item;
}

/* An empty inbox gives NULL at once when the deadline has passed already. */
static void test_inbox_empty_past_deadline_gives_null(void **state)
{
    (void)state;
    struct inbox *inbox = inbox_new();
    assert_null(inbox_take(inbox, 0));
    assert_null(inbox_take(inbox, clock_monotonic_ms()));
    inbox_free(inbox);
}

/* Waiting lasts until the deadline, not shorter. */
static void test_inbox_empty_waits_until_deadline(void **state)
{
    (void)state;
    struct inbox *inbox = inbox_new();
    uint64_t deadline_ms = clock_monotonic_ms() + 30;
    assert_null(inbox_take(inbox, deadline_ms));
    assert_true(clock_monotonic_ms() >= deadline_ms);
    inbox_free(inbox);
}

/* One take returns everything that was posted, in posting order, and leaves the inbox empty. */
static void test_inbox_take_gives_all_in_order(void **state)
{
    (void)state;
    struct inbox *inbox = inbox_new();
    for (int number = 0; number < 3; number++) {
        inbox_post(inbox, new_item(0, number));
    }
    struct inbox_item *items = inbox_take(inbox, 0);
    for (int number = 0; number < 3; number++) {
        assert_non_null(items);
        struct inbox_item *next = items->next;
        assert_int_equal(((struct numbered_item *)items)->number, number);
        free(items);
        items = next;
    }
    assert_null(items);
    assert_null(inbox_take(inbox, 0));

    /* The list's end was reset too: a later post is found. */
    inbox_post(inbox, new_item(0, 7));
    items = inbox_take(inbox, UINT64_MAX);
    assert_int_equal(((struct numbered_item *)items)->number, 7);
    assert_null(items->next);
    free(items);
    inbox_free(inbox);
}

struct poster {
    struct inbox *inbox;
    int number;
};

static void *post_many(void *argument)
{
    const struct poster *poster = argument;
    for (int number = 0; number < POSTS_PER_OWNER; number++) {
        inbox_post(poster->inbox, new_item(poster->number, number));
    }
    return NULL;
}

/* Nothing is lost, doubled or reordered within a poster, and a waiting owner without deadline is
 * woken. */
static void test_inbox_many_posters_lose_nothing(void **state)
{
    (void)state;
    struct inbox *inbox = inbox_new();
    pthread_t threads[POSTERS];
    struct poster posters[POSTERS];
    int next_number[POSTERS] = {0};
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.inbox = inbox, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    for (int taken = 0; taken < POSTERS * POSTS_PER_OWNER;) {
        struct inbox_item *item = inbox_take(inbox, UINT64_MAX);
        assert_non_null(item);
        while (item != NULL) {
            struct inbox_item *next = item->next;
            assert_int_equal(((struct numbered_item *)item)->number, next_number[item->kind]);
            next_number[item->kind]++;
            taken++;
            free(item);
            item = next;
        }
    }
    for (int i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_null(inbox_take(inbox, 0));
    inbox_free(inbox);
}

#define ROUNDS 3000

struct echo {
    struct inbox *request;
    struct inbox *reply;
};

static void *echo_items(void *argument)
{
    const struct echo *echo = argument;
    for (int round = 0; round < ROUNDS; round++) {
        struct inbox_item *item = inbox_take(echo->request, UINT64_MAX);
        inbox_post(echo->reply, item);
    }
    return NULL;
}

/* One item alone wakes a sleeping owner: in a game of two threads with a single ball, no wake-up is lost. */
static void test_inbox_single_post_wakes_owner(void **state)
{
    (void)state;
    struct echo echo = {.request = inbox_new(), .reply = inbox_new()};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, echo_items, &echo), 0);
    for (int round = 0; round < ROUNDS; round++) {
        inbox_post(echo.request, new_item(0, round));
        struct inbox_item *item = inbox_take(echo.reply, clock_monotonic_ms() + 20000);
        assert_non_null(item);
        assert_null(item->next);
        assert_int_equal(((struct numbered_item *)item)->number, round);
        free(item);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    inbox_free(echo.request);
    inbox_free(echo.reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inbox_empty_past_deadline_gives_null),
        cmocka_unit_test(test_inbox_empty_waits_until_deadline),
        cmocka_unit_test(test_inbox_take_gives_all_in_order),
        cmocka_unit_test(test_inbox_many_posters_lose_nothing),
        cmocka_unit_test(test_inbox_single_post_wakes_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
