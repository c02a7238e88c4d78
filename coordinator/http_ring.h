/*
 * http_ring.h - the newest changes of transactions, numbered, for all clients of GET /v1/stream together.
 *
 * One ring for everybody: a client is a position in it, so one that reads slowly costs nothing but, at most, the one event that it
 * is in the middle of. The ring is bounded in events and in bytes; the oldest give way. Not locked: http_stream.c holds the gate's
 * lock. An event is shared and counted: whoever holds one reads it without any lock.
 */
#ifndef ASSENT_COORDINATOR_HTTP_RING_H
#define ASSENT_COORDINATOR_HTTP_RING_H

#include <stdatomic.h>

#include "coordinator/api.h"
#include "coordinator/http_json.h"

struct ring_event {
    atomic_size_t references;
    uint64_t number;              /* 1, 2, 3 ... within this process */
    struct txn_view view;         /* owned, never changed */
    _Atomic(struct text *) frame; /* as it goes out; made by the first that needs it; owned */
    size_t size_bytes;            /* as counted by the ring; guarded as the ring is */
    struct ring_event *next_evicted;
};

struct ring {
    size_t event_count_max;
    size_t bytes_max;
    size_t bytes;
    uint64_t first,
        next; /* numbers: the oldest inside, and the one to be given next; equal: empty */
    struct ring_event **slots;
};

void ring_init(struct ring *ring, size_t event_count_max, size_t bytes_max);
void ring_done(struct ring *ring);

/* Takes the view's contents. */
struct ring_event *ring_event_new(struct txn_view *view);
/* Takes the event and gives it the next number. What had to give way is no longer the ring's: release each, best without a lock. */
void ring_append(struct ring *ring, struct ring_event *event, struct ring_event **ret_evicted);
/* first <= number < next. Returns owned: release it. */
struct ring_event *ring_share(const struct ring *ring, uint64_t number);
void ring_event_release(struct ring_event *event); /* NULL is fine */
void ring_release_evicted(struct ring_event *evicted);
/* A frame was made for this event: it counts, if the event is still inside. */
void ring_count_frame(struct ring *ring, struct ring_event *event, size_t frame_bytes);

#endif
