/*
 * heap.h - a binary min-heap of deadlines with intrusive nodes: the cores' timers. Pure.
 */
#ifndef ASSENT_COMMON_HEAP_H
#define ASSENT_COMMON_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define HEAP_OUTSIDE SIZE_MAX

struct heap_node {
    uint64_t due_ms;
    size_t index; /* HEAP_OUTSIDE: not in the heap; initialise with heap_node_init */
};

struct heap { /* zero-initialised is empty */
    size_t count;
    size_t capacity;
    struct heap_node **nodes;
};

void heap_node_init(struct heap_node *node);
void heap_done(struct heap *heap);
/* Inserts, or moves if inside. UINT64_MAX takes it out. */
void heap_set(struct heap *heap, struct heap_node *node, uint64_t due_ms);
struct heap_node *heap_first(const struct heap *heap); /* NULL if empty; lent */

#endif
