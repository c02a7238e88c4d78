/*
 * cycle.c - see cycle.h. For each special edge from a to b of the component a breadth-first search from b to a.
 */
#include "tests/checker/cycle.h"

#include <string.h>

#define BUDGET UINT64_C(20000000)
#define TOTAL  UINT64_C(200000000)

#define WW EDGE_BIT(EDGE_WW)
#define WR EDGE_BIT(EDGE_WR)
#define RW EDGE_BIT(EDGE_RW)
#define RT EDGE_BIT(EDGE_RT)

const struct cycle_class cycle_classes[CYCLE_CLASSES] = {
    {"G0", EDGE_WW, WW, 0, false},
    {"G1c", EDGE_WR, WW | WR, 1, false},
    {"G-single", EDGE_RW, WW | WR, 2, false},
    {"G2", EDGE_RW, WW | WR | RW, 3, false},
    {"G0-realtime", EDGE_WW, WW | RT, 0, true},
    {"G1c-realtime", EDGE_WR, WW | WR | RT, 1, true},
    {"G-single-realtime", EDGE_RW, WW | WR | RT, 2, true},
    {"G2-realtime", EDGE_RW, WW | WR | RW | RT, 3, true},
};

void search_init(struct search *search, const struct graph *graph)
{
    size_t count = graph->node_count;
    *search = (struct search){
        .graph = graph,
        .distance = mem_zeroed(count, sizeof(uint32_t)),
        .via = mem_zeroed(count, sizeof(uint32_t)),
        .stamp = mem_zeroed(count, sizeof(uint32_t)),
        .queue = mem_zeroed(4 * count + 8, sizeof(uint32_t)),
        .total = TOTAL,
    };
}

void search_done(struct search *search)
{
    free(search->distance);
    free(search->via);
    free(search->stamp);
    free(search->queue);
    *search = (struct search){0};
}

/* An edge of the component that the class may use. */
static bool usable(const struct components *components, uint32_t component, const struct edge *edge,
                   unsigned kinds, bool weak)
{
    return (EDGE_BIT(edge->kind) & kinds) && (weak || !edge->weak) &&
           components->of[edge->to] == component;
}

/* Leaving a barrier costs nothing. */
static uint32_t cost(const struct graph *graph, const struct edge *edge)
{
    return edge->from < graph->txn_nodes ? 1 : 0;
}

/* Distances from begin until goal is reached, not beyond limit. A node is queued at most twice, once at each
 * end: distances in the queue differ by one at most. */
static bool search_run(struct search *search, const struct components *components,
                       uint32_t component, unsigned kinds, bool weak, uint32_t begin, uint32_t goal,
                       uint32_t limit)
{
    const struct graph *graph = search->graph;
    size_t head = (size_t)graph->node_count * 2 + 2, tail = head;
    search->round++;
    search->stamp[begin] = search->round;
    search->distance[begin] = 0;
    search->via[begin] = NONE;
    search->queue[tail++] = begin;
    while (head < tail) {
        uint32_t node = search->queue[head++];
        if (node == goal) {
            return true;
        }
        for (uint32_t e = graph->first[node]; e < graph->first[node + 1]; e++) {
            const struct edge *edge = &graph->edges.items[e];
            if (search->budget == 0) {
                return false;
            }
            search->budget--;
            uint32_t distance = search->distance[node] + cost(graph, edge);
            bool better =
                search->stamp[edge->to] != search->round || distance < search->distance[edge->to];
            if (distance > limit || !better || !usable(components, component, edge, kinds, weak)) {
                continue;
            }
            search->stamp[edge->to] = search->round;
            search->distance[edge->to] = distance;
            search->via[edge->to] = e;
            if (cost(graph, edge) == 0) {
                search->queue[--head] = edge->to;
            } else {
                search->queue[tail++] = edge->to;
            }
        }
    }
    return false;
}

/* The special edge and the way back that search_run found, in order. */
static void take_cycle(const struct search *search, uint32_t special, edge_list *ret_edges)
{
    const struct edge *edges = search->graph->edges.items;
    uint32_t begin = edges[special].to;
    ret_edges->count = 0;
    *vec_add(ret_edges) = special;
    for (uint32_t node = edges[special].from; node != begin; node = edges[search->via[node]].from) {
        *vec_add(ret_edges) = search->via[node];
    }
    for (size_t i = 1, j = ret_edges->count - 1; i < j; i++, j--) {
        uint32_t swap = ret_edges->items[i];
        ret_edges->items[i] = ret_edges->items[j];
        ret_edges->items[j] = swap;
    }
}

static bool has_time(const struct graph *graph, const edge_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (graph->edges.items[list->items[i]].kind == EDGE_RT) {
            return true;
        }
    }
    return false;
}

bool cycle_find(struct search *search, const struct components *components, uint32_t component,
                const struct cycle_class *class, bool weak, edge_list *ret_edges)
{
    const struct graph *graph = search->graph;
    uint32_t best = NONE;
    uint64_t budget = search->total < BUDGET ? search->total : BUDGET;
    search->budget = budget;
    for (uint32_t i = components->first[component];
         i < components->first[component + 1] && best > 1; i++) {
        uint32_t node = components->members[i];
        for (uint32_t e = graph->first[node]; e < graph->first[node + 1] && best > 1; e++) {
            const struct edge *edge = &graph->edges.items[e];
            uint32_t limit = best == NONE ? NONE - 1 : best - 1;
            if (usable(components, component, edge, EDGE_BIT(class->special), weak) &&
                search_run(search, components, component, class->rest, weak, edge->to, node,
                           limit)) {
                best = search->distance[node];
                take_cycle(search, e, ret_edges);
            }
        }
    }
    search->total -= budget - search->budget;
    return best != NONE && (!class->realtime || has_time(graph, ret_edges));
}
