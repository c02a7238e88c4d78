/*
 * explain.h - a cycle of edges in words: "T7 < T9 because T9 read T7's append of 3 to db2:k4".
 */
#ifndef ASSENT_TESTS_CHECKER_EXPLAIN_H
#define ASSENT_TESTS_CHECKER_EXPLAIN_H

#include "tests/checker/cycle.h"

/* Fills the steps of the cycle; barriers are taken together into one step of time. */
void explain_cycle(const struct history *history, const struct versions *versions,
                   const struct graph *graph, const edge_list *edges, struct cycle *ret_cycle);

/* "T1 < T2 because ..., T2 < T3 because ...; but T3 < T1 because ...". Returns owned. */
char *explain_text(const struct cycle *cycle);

#endif
