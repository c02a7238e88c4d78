/*
 * components.c - strongly connected components by Tarjan's algorithm, with a stack of its own: a chain of
 * transactions is as long as the history.
 */
#include <string.h>

#include "tests/checker/graph.h"

struct tarjan {
    const struct graph *graph;
    bool weak;
    struct components *result;
    uint32_t *index, *low,
        *edge; /* by node: order of first visit (0: not yet), lowest reachable, next edge */
    uint32_t *path, *stack; /* nodes being visited; nodes without a component yet */
    bool *on_stack;
    uint32_t path_length, stack_length, visits, member_count;
};

static void push(struct tarjan *tarjan, uint32_t node)
{
    tarjan->index[node] = tarjan->low[node] = ++tarjan->visits;
    tarjan->edge[node] = tarjan->graph->first[node];
    tarjan->path[tarjan->path_length++] = node;
    tarjan->stack[tarjan->stack_length++] = node;
    tarjan->on_stack[node] = true;
}

/* The node and all above it on the stack are a component. */
static void close_component(struct tarjan *tarjan, uint32_t node)
{
    struct components *result = tarjan->result;
    bool single = tarjan->stack[tarjan->stack_length - 1] == node;
    uint32_t popped;
    if (!single) {
        result->first[result->count] = tarjan->member_count;
    }
    do {
        popped = tarjan->stack[--tarjan->stack_length];
        tarjan->on_stack[popped] = false;
        if (!single) {
            result->of[popped] = result->count;
            result->members[tarjan->member_count++] = popped;
        }
    } while (popped != node);
    result->count += !single;
}

/* Follows one edge of the node at the end of the path, or leaves it. */
static void advance(struct tarjan *tarjan)
{
    const struct graph *graph = tarjan->graph;
    uint32_t node = tarjan->path[tarjan->path_length - 1];
    if (tarjan->edge[node] < graph->first[node + 1]) {
        const struct edge *edge = &graph->edges.items[tarjan->edge[node]++];
        if (edge->weak && !tarjan->weak) {
            return;
        }
        if (tarjan->index[edge->to] == 0) {
            push(tarjan, edge->to);
        } else if (tarjan->on_stack[edge->to] && tarjan->index[edge->to] < tarjan->low[node]) {
            tarjan->low[node] = tarjan->index[edge->to];
        }
        return;
    }
    tarjan->path_length--;
    if (tarjan->path_length > 0) {
        uint32_t parent = tarjan->path[tarjan->path_length - 1];
        if (tarjan->low[node] < tarjan->low[parent]) {
            tarjan->low[parent] = tarjan->low[node];
        }
    }
    if (tarjan->low[node] == tarjan->index[node]) {
        close_component(tarjan, node);
    }
}

void components_make(const struct graph *graph, bool weak, struct components *ret_components)
{
    size_t count = graph->node_count;
    *ret_components = (struct components){
        .of = mem_zeroed(count, sizeof(uint32_t)),
        .members = mem_zeroed(count, sizeof(uint32_t)),
        .first = mem_zeroed(count + 1, sizeof(uint32_t)),
    };
    memset(ret_components->of, 0xff, count * sizeof(uint32_t));
    struct tarjan tarjan = {
        .graph = graph,
        .weak = weak,
        .result = ret_components,
        .index = mem_zeroed(count, sizeof(uint32_t)),
        .low = mem_zeroed(count, sizeof(uint32_t)),
        .edge = mem_zeroed(count, sizeof(uint32_t)),
        .path = mem_zeroed(count, sizeof(uint32_t)),
        .stack = mem_zeroed(count, sizeof(uint32_t)),
        .on_stack = mem_zeroed(count, sizeof(bool)),
    };
    for (uint32_t node = 0; node < count; node++) {
        if (tarjan.index[node] == 0) {
            push(&tarjan, node);
        }
        while (tarjan.path_length > 0) {
            advance(&tarjan);
        }
    }
    ret_components->first[ret_components->count] = tarjan.member_count;
    free(tarjan.index);
    free(tarjan.low);
    free(tarjan.edge);
    free(tarjan.path);
    free(tarjan.stack);
    free(tarjan.on_stack);
}

void components_done(struct components *components)
{
    free(components->of);
    free(components->members);
    free(components->first);
    *components = (struct components){0};
}
