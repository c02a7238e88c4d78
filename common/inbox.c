/*
 * inbox.c - a list with a mutex and a condition variable on CLOCK_MONOTONIC.
 *
 * Posters hold the lock for two pointer writes, the owner for one: nobody ever works under it.
 */
#include "common/inbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/alloc.h"
#include "common/check.h"

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t posted;
    struct inbox_item *first;
    struct inbox_item **end; /* where the next item is linked in */
};

struct inbox *inbox_new(void)
{
    struct inbox *inbox = alloc_zeroed(sizeof *inbox);
    inbox->end = &inbox->first;
    CHECK(pthread_mutex_init(&inbox->lock, NULL) == 0);

    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&inbox->posted, &attributes) == 0);
    CHECK(pthread_condattr_destroy(&attributes) == 0);
    return inbox;
}

void inbox_free(struct inbox *inbox)
{
    if (inbox == NULL) {
        return;
    }
    CHECK(inbox->first == NULL);
    CHECK(pthread_cond_destroy(&inbox->posted) == 0);
    CHECK(pthread_mutex_destroy(&inbox->lock) == 0);
    free(inbox);
}

void inbox_post(struct inbox *inbox, struct inbox_item *item)
{
    item->next = NULL;
    CHECK(pthread_mutex_lock(&inbox->lock) == 0);
    bool was_empty = inbox->first == NULL;
    *inbox->end = item;
    inbox->end = &item->next;
    /* Only the first item can find the owner asleep. Signalled under the lock: once the owner can
     * take the item it may also decide to free the inbox. */
    if (was_empty) {
        CHECK(pthread_cond_signal(&inbox->posted) == 0);
    }
    CHECK(pthread_mutex_unlock(&inbox->lock) == 0);
}

/* Returns false at the deadline. Spurious wake-ups are for the caller's loop. */
static bool wait_posted(struct inbox *inbox, uint64_t deadline_ms)
{
    if (deadline_ms == UINT64_MAX) {
        CHECK(pthread_cond_wait(&inbox->posted, &inbox->lock) == 0);
        return true;
    }
    struct timespec until = {
        .tv_sec = (time_t)(deadline_ms / 1000U),
        .tv_nsec = (long)(deadline_ms % 1000U) * 1000000L,
    };
    int result = pthread_cond_timedwait(&inbox->posted, &inbox->lock, &until);
    CHECK(result == 0 || result == ETIMEDOUT);
    return result == 0;
}

struct inbox_item *inbox_take(struct inbox *inbox, uint64_t deadline_ms)
{
    CHECK(pthread_mutex_lock(&inbox->lock) == 0);
    while (inbox->first == NULL && wait_posted(inbox, deadline_ms)) {
    }
    /* What arrived exactly at the deadline is taken too. */
    struct inbox_item *items = inbox->first;
    inbox->first = NULL;
    inbox->end = &inbox->first;
    CHECK(pthread_mutex_unlock(&inbox->lock) == 0);
    return items;
}
