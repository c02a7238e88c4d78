/* http_ring.c - see http_ring.h. */
#include "coordinator/http_ring.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/check.h"

void ring_init(struct ring *ring, size_t event_count_max, size_t bytes_max)
{
    CHECK(event_count_max > 0);
    *ring = (struct ring){.event_count_max = event_count_max,
                          .bytes_max = bytes_max,
                          .first = 1,
                          .next = 1,
                          .slots = alloc_array(event_count_max, sizeof(struct ring_event *))};
}

static size_t view_bytes(const struct txn_view *view)
{
    size_t size_bytes = sizeof(struct ring_event);
    for (size_t i = 0; i < view->branch_count; i++) {
        size_bytes += sizeof view->branches[i];
        size_bytes += view->branches[i].results == NULL ? 0 : view->branches[i].results->size_bytes;
    }
    return size_bytes + (view->failure.report == NULL ? 0 : view->failure.report->size_bytes);
}

struct ring_event *ring_event_new(struct txn_view *view)
{
    struct ring_event *event = alloc_zeroed(sizeof *event);
    atomic_init(&event->references, 1);
    atomic_init(&event->frame, NULL);
    event->view = *view;
    *view = (struct txn_view){0};
    event->size_bytes = view_bytes(&event->view);
    return event;
}

void ring_event_release(struct ring_event *event)
{
    if (event == NULL || atomic_fetch_sub(&event->references, 1) > 1) {
        return;
    }
    struct text *frame = atomic_load(&event->frame);
    if (frame != NULL) {
        text_done(frame);
        free(frame);
    }
    txn_view_done(&event->view);
    free(event);
}

void ring_release_evicted(struct ring_event *evicted)
{
    while (evicted != NULL) {
        struct ring_event *next = evicted->next_evicted;
        ring_event_release(evicted);
        evicted = next;
    }
}

static struct ring_event **slot(const struct ring *ring, uint64_t number)
{
    return &ring->slots[number % ring->event_count_max];
}

static void evict_first(struct ring *ring, struct ring_event **evicted)
{
    struct ring_event *event = *slot(ring, ring->first);
    *slot(ring, ring->first) = NULL;
    ring->first++;
    ring->bytes -= event->size_bytes;
    event->next_evicted = *evicted;
    *evicted = event;
}

void ring_append(struct ring *ring, struct ring_event *event, struct ring_event **ret_evicted)
{
    struct ring_event *evicted = NULL;
    if (ring->next - ring->first == ring->event_count_max) {
        evict_first(ring, &evicted);
    }
    event->number = ring->next++;
    *slot(ring, event->number) = event;
    ring->bytes += event->size_bytes;
    /* The newest stays, however large: otherwise nobody would ever hear of it. */
    while (ring->bytes > ring->bytes_max && ring->next - ring->first > 1) {
        evict_first(ring, &evicted);
    }
    *ret_evicted = evicted;
}

struct ring_event *ring_share(const struct ring *ring, uint64_t number)
{
    CHECK(number >= ring->first && number < ring->next);
    struct ring_event *event = *slot(ring, number);
    atomic_fetch_add(&event->references, 1);
    return event;
}

void ring_count_frame(struct ring *ring, struct ring_event *event, size_t frame_bytes)
{
    if (event->number >=
        ring->first) { /* the next one to be appended makes room, if it is too much */
        event->size_bytes += frame_bytes;
        ring->bytes += frame_bytes;
    }
}

void ring_done(struct ring *ring)
{
    struct ring_event *evicted = NULL;
    while (ring->first < ring->next) {
        evict_first(ring, &evicted);
    }
    ring_release_evicted(evicted);
    free(ring->slots);
    *ring = (struct ring){0};
}
