/*
 * inbox.h - many threads post, one thread owns, without a lock.
 *
 * Items are intrusive and handed over by pointer, in posting order. The owner takes everything at
 * once; what was posted while it worked (a sync, a step) comes together next time, which is what
 * makes group commit without a timer.
 */
#ifndef ASSENT_COMMON_INBOX_H
#define ASSENT_COMMON_INBOX_H

#include <stdbool.h>
#include <stdint.h>

struct inbox_item {
    struct inbox_item *next;
    int kind;
};

struct inbox;

struct inbox *inbox_new(void);        /* returns owned */
void inbox_free(struct inbox *inbox); /* must be empty and unused by other threads */

void inbox_post(struct inbox *inbox, struct inbox_item *item); /* takes item; any thread */

/* Waits until something is there or the CLOCK_MONOTONIC time deadline_ms passes (UINT64_MAX: for
 * ever), then takes the whole list (NULL at the deadline). Owner thread only. */
struct inbox_item *inbox_take(struct inbox *inbox, uint64_t deadline_ms);

#endif
