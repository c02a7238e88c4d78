/*
 * cycle.h - the shortest cycle of a class in a strongly connected component.
 *
 * A class is named after Adya: one edge of `special` kind, and a way back over edges of `rest`. Barriers cost
 * nothing, so that length counts transactions.
 */
#ifndef ASSENT_TESTS_CHECKER_CYCLE_H
#define ASSENT_TESTS_CHECKER_CYCLE_H

#include "tests/checker/graph.h"

struct cycle_class {
    const char *name;
    enum edge_kind special;
    unsigned rest; /* EDGE_BITs */
    int strength;  /* 0 is the worst anomaly */
    bool realtime; /* at least one edge of time */
};

#define CYCLE_CLASSES 8
extern const struct cycle_class cycle_classes[CYCLE_CLASSES];

typedef VEC_OF(uint32_t) edge_list; /* indexes of edges, each beginning where the one before ends */

struct search {
    const struct graph *graph;
    uint32_t *distance, *via, *stamp; /* by node; valid where stamp is the present round */
    uint32_t *queue;                  /* 4 * nodes, begun in the middle */
    uint32_t round;
    uint64_t budget; /* edges that may still be looked at in this call */
    uint64_t total;  /* and in all: a history that is broken everywhere ends as well */
};

void search_init(struct search *search, const struct graph *graph);
void search_done(struct search *search);

/* The edges of a shortest cycle, or none. Gives up when the budget for one component is used up; what it has found
 * by then is a cycle, though perhaps not the shortest. */
bool cycle_find(struct search *search, const struct components *components, uint32_t component,
                const struct cycle_class *class, bool weak, edge_list *ret_edges);

#endif
