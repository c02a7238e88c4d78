/*
 * inbox.c - a list that posters push on without a lock, and a futex on which the owner sleeps.
 *
 * Every message and every result crosses an inbox, and on a machine with few cores a mutex costs
 * far more than the list: a poster that signals while it holds it wakes the owner only to send it
 * to sleep again on the mutex. So a post is one exchange on the list's head, and only a post that
 * finds the owner asleep makes a system call.
 *
 * The head is NULL (empty, owner awake), ASLEEP (empty, owner waits or is about to), or the item
 * posted last; items are linked backwards and turned round when they are taken.
 */
#include "common/inbox.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"

/* Items are aligned: no item's address is odd, nor is the low half of one that the futex looks at. */
#define ASLEEP ((uintptr_t)1)

struct inbox {
    _Atomic uintptr_t head; /* first: see futex_word */
};

struct inbox *inbox_new(void)
{
    return alloc_zeroed(sizeof(struct inbox));
}

void inbox_free(struct inbox *inbox)
{
    if (inbox == NULL) {
        return;
    }
    CHECK(atomic_load(&inbox->head) == 0);
    free(inbox);
}

/* The futex: the half of the head that tells ASLEEP from everything else. */
static uint32_t *futex_word(struct inbox *inbox)
{
    uint32_t *halves = (uint32_t *)(void *)inbox; /* begins with the head */
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? &halves[sizeof inbox->head / 4 - 1] : halves;
}

void inbox_post(struct inbox *inbox, struct inbox_item *item)
{
    /* The address is taken before the push: as soon as the owner can see the item it may also
     * decide to free the inbox. Waking an address that is in other use by then harms nobody, since
     * who waits on a futex looks again. */
    uint32_t *word = futex_word(inbox);
    uintptr_t before = atomic_load_explicit(&inbox->head, memory_order_relaxed);
    do {
        item->next = before == ASLEEP ? NULL : (struct inbox_item *)before; // NOLINT
    } while (!atomic_compare_exchange_weak_explicit(&inbox->head, &before, (uintptr_t)item,
                                                    memory_order_release, memory_order_relaxed));
    if (before == ASLEEP) {
        (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
}

/* Sleeps while nothing is there; false at the deadline. Wakes without a cause are for the caller. */
static bool wait_posted(struct inbox *inbox, uint64_t deadline_ms)
{
    struct timespec until = {
        .tv_sec = (time_t)(deadline_ms / 1000U),
        .tv_nsec = (long)(deadline_ms % 1000U) * 1000000L,
    };
    bool has_deadline = deadline_ms != UINT64_MAX;
    /* WAIT_BITSET, because its time is absolute and CLOCK_MONOTONIC. */
    long result = syscall(SYS_futex, futex_word(inbox), FUTEX_WAIT_BITSET_PRIVATE, (uint32_t)ASLEEP,
                          has_deadline ? &until : NULL, NULL, FUTEX_BITSET_MATCH_ANY);
    CHECK(result == 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT);
    return result == 0 || errno != ETIMEDOUT;
}

/* Linked from the last to the first, as pushed; gives them in posting order. */
static struct inbox_item *turned_round(struct inbox_item *last)
{
    struct inbox_item *first = NULL;
    while (last != NULL) {
        struct inbox_item *before = last->next;
        last->next = first;
        first = last;
        last = before;
    }
    return first;
}

struct inbox_item *inbox_take(struct inbox *inbox, uint64_t deadline_ms)
{
    bool in_time = true;
    uintptr_t head = atomic_exchange_explicit(&inbox->head, 0, memory_order_acquire);
    while (head == 0 && in_time) {
        uintptr_t empty = 0;
        if (atomic_compare_exchange_strong_explicit(&inbox->head, &empty, ASLEEP,
                                                    memory_order_acquire, memory_order_acquire)) {
            in_time = wait_posted(inbox, deadline_ms);
        }
        /* What arrived exactly at the deadline is taken too. */
        head = atomic_exchange_explicit(&inbox->head, 0, memory_order_acquire);
        head = head == ASLEEP ? 0 : head;
    }
    return turned_round((struct inbox_item *)head); // NOLINT
}
