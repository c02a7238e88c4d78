/* queue.c - what is going to happen, in order of time; of equal times in an order drawn by the caller. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/sim/world.h"

#define ARITY 4

struct sim_event *queue_new(struct sim_world *world, enum sim_event_kind kind)
{
    struct sim_queue *queue = &world->queue;
    struct sim_event *event = queue->free_events;
    if (event != NULL) {
        queue->free_events = event->next;
    } else {
        event = alloc_zeroed(sizeof(*event));
    }
    event->kind = kind;
    event->process = SIM_NOBODY;
    event->a = 0;
    event->b = 0;
    event->session = 0;
    event->number = 0;
    event->copy_of = 0;
    event->posted_ms = 0;
    event->next = NULL;
    event->as.message.kind = 0;
    return event;
}

void queue_free(struct sim_world *world, struct sim_event *event)
{
    switch (event->kind) {
    case EVENT_COORD_MESSAGE:
    case EVENT_AGENT_MESSAGE:
        message_done(&event->as.message);
        break;
    case EVENT_AGENT_RESULT:
        command_result_done(&event->as.result);
        break;
    case EVENT_COORD_ACT:
        free(event->as.act);
        break;
    case EVENT_COORD_RESOLVE:
        free(event->as.resolve);
        break;
    default: /* the others own nothing */
        break;
    }
    event->next = world->queue.free_events;
    world->queue.free_events = event;
}

static bool slot_before(const struct sim_slot *a, const struct sim_slot *b)
{
    return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->tie < b->tie);
}

static void queue_insert(struct sim_queue *queue, struct sim_slot slot)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity == 0 ? 256 : queue->capacity * 2;
        queue->slots = alloc_resize(queue->slots, queue->capacity, sizeof(queue->slots[0]));
    }
    size_t at = queue->count++;
    while (at > 0) {
        size_t parent = (at - 1) / ARITY;
        if (!slot_before(&slot, &queue->slots[parent])) {
            break;
        }
        queue->slots[at] = queue->slots[parent];
        at = parent;
    }
    queue->slots[at] = slot;
}

void queue_push_ordered(struct sim_world *world, struct sim_event *event, uint64_t due_ms,
                        uint64_t tie)
{
    event->due_ms = due_ms > world->now_ms ? due_ms : world->now_ms;
    event->tie = tie;
    queue_insert(&world->queue,
                 (struct sim_slot){.due_ms = event->due_ms, .tie = tie, .event = event});
}

/* Ties are random above and growing below: what is due in the same millisecond comes in any order, but never in one
 * that depends on the heap. */
void queue_push(struct sim_world *world, struct sim_event *event, uint64_t due_ms)
{
    uint64_t tie = (sim_draw(&world->schedule) & UINT64_C(0xffff)) << 44;
    queue_push_ordered(world, event, due_ms, tie | (++world->queue.next_tie << 4));
}

struct sim_event *queue_pop(struct sim_world *world)
{
    struct sim_queue *queue = &world->queue;
    if (queue->count == 0) {
        return NULL;
    }
    struct sim_event *event = queue->slots[0].event;
    struct sim_slot last = queue->slots[--queue->count];
    size_t at = 0;
    for (;;) {
        size_t first = at * ARITY + 1;
        size_t best = first;
        if (first >= queue->count) {
            break;
        }
        size_t end = first + ARITY < queue->count ? first + ARITY : queue->count;
        for (size_t child = first + 1; child < end; child++) {
            if (slot_before(&queue->slots[child], &queue->slots[best])) {
                best = child;
            }
        }
        if (!slot_before(&queue->slots[best], &last)) {
            break;
        }
        queue->slots[at] = queue->slots[best];
        at = best;
    }
    if (queue->count > 0) {
        queue->slots[at] = last;
    }
    return event;
}

void queue_done(struct sim_world *world)
{
    struct sim_queue *queue = &world->queue;
    for (size_t i = 0; i < queue->count; i++) {
        queue_free(world, queue->slots[i].event);
    }
    while (queue->free_events != NULL) {
        struct sim_event *event = queue->free_events;
        queue->free_events = event->next;
        free(event);
    }
    free(queue->slots);
    memset(queue, 0, sizeof(*queue));
}
