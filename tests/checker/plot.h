/*
 * plot.h - a line over time as inline SVG, with the faults as bands behind it.
 */
#ifndef ASSENT_TESTS_CHECKER_PLOT_H
#define ASSENT_TESTS_CHECKER_PLOT_H

#include "tests/checker/report.h"

/* So many faults are marked at most: of more, one in two, in three ..., over the whole time. */
#define PLOT_FAULTS_MAX 2000

struct plot_point {
    double t, y; /* microseconds; any unit */
};

typedef VEC_OF(struct plot_point) plot_points;

struct plot {
    const char *title, *unit;
    double divide; /* y is shown divided by this */
    int height;
    bool faults; /* marked */
    bool steps;  /* bars of equal width that end at t, in place of a line */
    double gap;  /* more time than this between two points breaks the line; 0: never */
};

/* Points in the order of time. Many are averaged into some hundred. */
void plot_draw(const struct history *history, const struct report *report, const struct plot *plot,
               const plot_points *points, FILE *file);

#endif
