/*
 * journal_thread.h - the one thread that writes the journal, for the driver.
 *
 * Whatever was posted while a sync was running makes the next batch: group commit without a timer. Records that need
 * not be forced (END) wait for the next forced one, at most JOURNAL_LAZY_MS, so that they cost no sync of
 * their own. After the first failure nothing more is written (P-16): on_failed, and the process ends.
 */
#ifndef ASSENT_COORDINATOR_JOURNAL_THREAD_H
#define ASSENT_COORDINATOR_JOURNAL_THREAD_H

#include "coordinator/core.h"

#define JOURNAL_LAZY_MS 500

struct journal_thread;

struct journal_thread_callbacks { /* on the journal thread: may only post */
    void *user;
    void (*on_durable)(void *user, uint64_t token, const struct journal_head *head);
    void (*on_trimmed)(void *user, const struct journal_head *head,
                       const struct journal_floor *floor, bool more);
    void (*on_space)(void *user, bool has_space);
    void (*on_failed)(void *user, const struct error *error);
};

struct journal_thread_counters {
    uint64_t batches, records, trims;
};

/* Borrows the journal until stop. */
struct journal_thread *journal_thread_start(struct journal *journal,
                                            const struct journal_thread_callbacks *callbacks);

/* Takes the contents of the appends; all of one call go into one batch. Owner thread. */
void journal_thread_append(struct journal_thread *thread, uint64_t epoch,
                           struct coord_append *appends, size_t count);
void journal_thread_trim(struct journal_thread *thread, const struct journal_trim *trim);
void journal_thread_counters_read(const struct journal_thread *thread,
                                  struct journal_thread_counters *ret_counters);

/* Writes what is waiting, joins, frees. */
void journal_thread_stop(struct journal_thread *thread);

#endif
