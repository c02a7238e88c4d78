/* heap.c - see heap.h. */
#include "common/heap.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

void heap_node_init(struct heap_node *node)
{
    node->due_ms = UINT64_MAX;
    node->index = HEAP_OUTSIDE;
}

void heap_done(struct heap *heap)
{
    free(heap->nodes);
    memset(heap, 0, sizeof(*heap));
}

static void heap_put(struct heap *heap, size_t index, struct heap_node *node)
{
    heap->nodes[index] = node;
    node->index = index;
}

static void heap_up(struct heap *heap, size_t index)
{
    struct heap_node *node = heap->nodes[index];
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (heap->nodes[parent]->due_ms <= node->due_ms) {
            break;
        }
        heap_put(heap, index, heap->nodes[parent]);
        index = parent;
    }
    heap_put(heap, index, node);
}

static void heap_down(struct heap *heap, size_t index)
{
    struct heap_node *node = heap->nodes[index];
    for (;;) {
        size_t child = index * 2 + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count &&
            heap->nodes[child + 1]->due_ms < heap->nodes[child]->due_ms) {
            child++;
        }
        if (node->due_ms <= heap->nodes[child]->due_ms) {
            break;
        }
        heap_put(heap, index, heap->nodes[child]);
        index = child;
    }
    heap_put(heap, index, node);
}

static void heap_take_out(struct heap *heap, struct heap_node *node)
{
    size_t index = node->index;
    struct heap_node *last = heap->nodes[--heap->count];
    node->index = HEAP_OUTSIDE;
    if (last != node) {
        heap_put(heap, index, last);
        heap_up(heap, index);
        heap_down(heap, last->index);
    }
}

void heap_set(struct heap *heap, struct heap_node *node, uint64_t due_ms)
{
    if (due_ms == UINT64_MAX) {
        node->due_ms = due_ms;
        if (node->index != HEAP_OUTSIDE) {
            heap_take_out(heap, node);
        }
        return;
    }
    if (node->index == HEAP_OUTSIDE) {
        if (heap->count == heap->capacity) {
            heap->capacity = heap->capacity == 0 ? 64 : heap->capacity * 2;
            heap->nodes = alloc_resize(heap->nodes, heap->capacity, sizeof(heap->nodes[0]));
        }
        node->index = heap->count++;
        heap->nodes[node->index] = node;
    }
    node->due_ms = due_ms;
    heap_up(heap, node->index);
    heap_down(heap, node->index);
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count == 0 ? NULL : heap->nodes[0];
}
