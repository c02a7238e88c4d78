/*
 * graph.h - which committed transaction must come before which, and why.
 *
 * Nodes 0 .. txn_nodes-1 are committed transactions. The nodes behind them are barriers in time: an answer leads to
 * the next barrier, a barrier to the next one and to every request that was sent before another answer came. So
 * "answered before sent" is there for all pairs with a number of edges that is linear in the number of transactions.
 *
 *   ww  `to` wrote the version after `from`'s          wr  `to` read `from`'s version
 *   rw  `from` read the version before `to`'s          rt  `from` was answered before `to` was sent
 *
 * An edge is weak if it is an rw edge of a plain read (mode S), which no lock protects.
 */
#ifndef ASSENT_TESTS_CHECKER_GRAPH_H
#define ASSENT_TESTS_CHECKER_GRAPH_H

#include "tests/checker/versions.h"

#define EDGE_BIT(kind_) (1u << (kind_))

struct edge {
    uint32_t from, to;
    uint32_t what; /* ww: the write of `to`; wr, rw: the micro-operation that read; rt: NONE */
    uint8_t kind;  /* enum edge_kind */
    bool weak;
};

struct graph {
    uint32_t node_count, txn_nodes;
    uint32_t *txn_of;          /* by transaction node */
    uint32_t *node_of;         /* by txn; NONE: not committed */
    VEC_OF(struct edge) edges; /* sorted by `from` once made */
    uint32_t *first;           /* by node: its first edge; one more at the end */
};

void graph_make(const struct history *history, const struct versions *versions,
                struct graph *ret_graph);
void graph_done(struct graph *graph);

/* Strongly connected components over all edges, with or without the weak ones. A component of one node
 * gets NONE. */
struct components {
    uint32_t *of; /* by node */
    uint32_t count;
    uint32_t *members; /* nodes, grouped by component */
    uint32_t *first;   /* by component, into members; one more at the end */
};

void components_make(const struct graph *graph, bool weak, struct components *ret_components);
void components_done(struct components *components);

#endif
