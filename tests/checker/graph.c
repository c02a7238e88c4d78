/*
 * graph.c - makes the graph of dependencies; see graph.h.
 */
#include "tests/checker/graph.h"

#include <stdlib.h>
#include <string.h>

#define TAIL_ALWAYS                                                                                \
    64 /* so many edges also where time alone gives the order: a better name for a cycle */

static void add_edge(struct graph *graph, enum edge_kind kind, uint32_t from, uint32_t to,
                     uint32_t what, bool weak)
{
    if (from != to) {
        *vec_add(&graph->edges) = (struct edge){from, to, what, (uint8_t)kind, weak};
    }
}

static void add_nodes(const struct history *history, struct graph *graph)
{
    graph->node_of = mem_zeroed(history->txns.count, sizeof *graph->node_of);
    graph->txn_of = mem_zeroed(history->txns.count, sizeof *graph->txn_of);
    for (uint32_t txn = 0; txn < history->txns.count; txn++) {
        graph->node_of[txn] = NONE;
        if (history->txns.items[txn].committed) {
            graph->txn_of[graph->txn_nodes] = txn;
            graph->node_of[txn] = graph->txn_nodes++;
        }
    }
    graph->node_count = graph->txn_nodes;
}

static uint32_t node_of_write(const struct graph *graph, const struct write *write)
{
    return write->txn == NONE ? NONE : graph->node_of[write->txn];
}

static void add_versions(const struct versions *versions, struct graph *graph)
{
    for (uint32_t i = 0; i < versions->writes.count; i++) {
        const struct write *write = &versions->writes.items[i];
        uint32_t from = node_of_write(graph, write);
        if (write->next == NONE || from == NONE) {
            continue;
        }
        uint32_t to = node_of_write(graph, &versions->writes.items[write->next]);
        if (to != NONE) {
            add_edge(graph, EDGE_WW, from, to, write->next, false);
        }
    }
    for (uint32_t i = 0; i < versions->tail.count; i++) {
        uint32_t index = versions->tail.items[i];
        const struct write *write = &versions->writes.items[index];
        if (write->prev != NONE) {
            uint32_t from = node_of_write(graph, &versions->writes.items[write->prev]);
            if (from != NONE) {
                add_edge(graph, EDGE_WW, from, node_of_write(graph, write), index, false);
            }
        }
    }
}

/* A reader of all that was seen comes before all of the tail. Time orders it before those that were sent later. */
static void add_tail(const struct history *history, const struct versions *versions,
                     struct graph *graph, uint32_t node, uint32_t m)
{
    const struct op *op = txn_op(history, graph->txn_of[node]);
    const struct txn *reader = &history->txns.items[op->txn];
    uint32_t count;
    const uint32_t *tail = versions_tail(history, versions, m, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct write *write = &versions->writes.items[tail[i]];
        if (i >= TAIL_ALWAYS && history->txns.items[write->txn].t_inv > reader->t_ret) {
            break;
        }
        add_edge(graph, EDGE_RW, node, graph->node_of[write->txn], m, op->mode == MODE_SNAPSHOT);
    }
}

/* Only the reads of the request that stands for its transaction: duplicates were told the same. */
static void add_reads(const struct history *history, const struct versions *versions,
                      struct graph *graph)
{
    for (uint32_t node = 0; node < graph->txn_nodes; node++) {
        const struct op *op = txn_op(history, graph->txn_of[node]);
        for (uint32_t m = op->micro_first; m < op->micro_first + op->micro_count; m++) {
            uint32_t saw = versions->of_micro[m];
            if (history->micros.items[m].kind != F_READ || saw == READ_UNUSABLE) {
                continue;
            }
            uint32_t source = NONE, target = NONE;
            if (saw != NONE) {
                source = node_of_write(graph, &versions->writes.items[saw]);
            }
            if (source != NONE) {
                add_edge(graph, EDGE_WR, source, node, m, false);
            }
            uint32_t unseen = versions_unseen(history, versions, m);
            if (unseen != NONE) {
                target = node_of_write(graph, &versions->writes.items[unseen]);
            }
            if (target != NONE) {
                add_edge(graph, EDGE_RW, node, target, m, op->mode == MODE_SNAPSHOT);
            }
            add_tail(history, versions, graph, node, m);
        }
    }
}

struct event {
    int64_t t;
    uint32_t node;
    bool answer;
};

/* At the same microsecond requests come first: only what is surely earlier is ordered. */
static int compare_events(const void *left_, const void *right_)
{
    const struct event *left = left_, *right = right_;
    if (left->t != right->t) {
        return left->t < right->t ? -1 : 1;
    }
    return (int)left->answer - (int)right->answer;
}

static void add_times(const struct history *history, struct graph *graph)
{
    struct event *events = mem_zeroed((size_t)graph->txn_nodes * 2, sizeof *events);
    size_t count = 0;
    for (uint32_t node = 0; node < graph->txn_nodes; node++) {
        const struct txn *txn = &history->txns.items[graph->txn_of[node]];
        events[count++] = (struct event){txn->t_inv, node, false};
        if (txn->t_ret != TIME_NEVER) {
            events[count++] = (struct event){txn->t_ret, node, true};
        }
    }
    qsort(events, count, sizeof *events, compare_events);
    uint32_t barrier = NONE;
    bool used = true; /* a request has been led to by the barrier: later answers need a new one */
    for (size_t i = 0; i < count; i++) {
        if (events[i].answer && used) {
            uint32_t next = graph->node_count++;
            if (barrier != NONE) {
                add_edge(graph, EDGE_RT, barrier, next, NONE, false);
            }
            barrier = next;
            used = false;
        }
        if (events[i].answer) {
            add_edge(graph, EDGE_RT, events[i].node, barrier, NONE, false);
        } else if (barrier != NONE) {
            add_edge(graph, EDGE_RT, barrier, events[i].node, NONE, false);
            used = true;
        }
    }
    free(events);
}

/* Counting sort by `from`. */
static void sort_edges(struct graph *graph)
{
    size_t count = graph->edges.count;
    graph->first = mem_zeroed((size_t)graph->node_count + 2, sizeof *graph->first);
    struct edge *sorted = mem_zeroed(count, sizeof *sorted);
    for (size_t i = 0; i < count; i++) {
        graph->first[graph->edges.items[i].from + 2]++;
    }
    for (uint32_t node = 2; node < graph->node_count + 2; node++) {
        graph->first[node] += graph->first[node - 1];
    }
    for (size_t i = 0; i < count; i++) {
        sorted[graph->first[graph->edges.items[i].from + 1]++] = graph->edges.items[i];
    }
    free(graph->edges.items);
    graph->edges.items = sorted;
    graph->edges.size = count;
}

void graph_make(const struct history *history, const struct versions *versions,
                struct graph *ret_graph)
{
    *ret_graph = (struct graph){0};
    add_nodes(history, ret_graph);
    add_versions(versions, ret_graph);
    add_reads(history, versions, ret_graph);
    add_times(history, ret_graph);
    sort_edges(ret_graph);
}

void graph_done(struct graph *graph)
{
    free(graph->txn_of);
    free(graph->node_of);
    free(graph->first);
    vec_done(&graph->edges);
    *graph = (struct graph){0};
}
