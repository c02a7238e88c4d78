/*
 * checks.h - one function for each group of invariants. They run in this order; earlier ones complete the
 * transactions (committed, excused) for later ones.
 */
#ifndef ASSENT_TESTS_CHECKER_CHECKS_H
#define ASSENT_TESTS_CHECKER_CHECKS_H

#include "tests/checker/report.h"

/* H1, and which transactions are excused. */
void check_heuristics(struct history *history, struct report *report);

/* A1, D1, X1: rows of effects against what clients were told. Resolves unknown transactions. */
void check_effects(struct history *history, struct report *report);

/* C1 */
void check_money(const struct history *history, struct report *report);

/* L1, K1, and the spans of the faults */
void check_leftovers(const struct history *history, struct report *report);

/* B1 */
void check_growth(const struct history *history, struct report *report);

/* G1. False if the history contradicts itself. */
bool check_cycles(struct history *history, struct report *report, struct problem *ret_problem);

/* A fault says that it may leave heuristic outcomes. */
bool heuristic_possible(const struct history *history);

/* That, and it touched this key (or any). */
bool heuristic_explained(const struct history *history, uint32_t key, int64_t t);

/* A hand committed an aborted attempt of this key there, which is listed and explained: its rows stay, also when the key,
 * which was free again, was executed once more. */
bool heuristic_committed(const struct history *history, uint32_t key, uint16_t db);

/* The first, and it names the key. */
bool heuristic_expected(const struct history *history, uint32_t key);

#endif
