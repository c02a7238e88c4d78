/*
 * report.h - what the checks found: a verdict for each check, findings in words, cycles, and figures.
 *
 * The checks fill it, the report_*.c files print it. Findings are counted exactly; of each name only the first
 * REPORT_KEPT are kept with their text.
 */
#ifndef ASSENT_TESTS_CHECKER_REPORT_H
#define ASSENT_TESTS_CHECKER_REPORT_H

#include <stdio.h>

#include "tests/checker/history.h"

#define REPORT_KEPT 20

/* The invariants; docs/TESTING.md has them in words. */
enum check {
    CHECK_A1,
    CHECK_D1,
    CHECK_X1,
    CHECK_L1,
    CHECK_C1,
    CHECK_K1,
    CHECK_B1,
    CHECK_H1,
    CHECK_G1,
    CHECK_COUNT
};

enum status { STATUS_NOT_CHECKED, STATUS_PASSED, STATUS_FAILED };

enum edge_kind { EDGE_WW, EDGE_WR, EDGE_RW, EDGE_RT, EDGE_KINDS };

/* One edge of a cycle: T<from> < T<to> because ... */
struct step {
    int64_t from, to; /* the i of both */
    enum edge_kind kind;
    char *text;
};

struct cycle {
    const char *class_name; /* "G-single-realtime" */
    bool allowed;           /* needs a plain read: counted, not failed */
    VEC_OF(struct step) steps;
};

struct finding {
    enum check check;
    const char *name;
    char *text;
    int cycle; /* index, or -1 */
};

struct tally {
    enum check check;
    const char *name;
    uint64_t count;
};

/* A fault with its length and the time until all was well again. Times are -1 where unknown. */
struct fault_span {
    uint32_t fault, target, detail; /* names */
    int64_t n, t_begin, t_end;
    int64_t heal_us; /* from its end until `healed` */
    int64_t
        recover_us; /* from its end until a transaction sent later had committed in every database */
};

/* One series of memory, descriptors or journal with its slope. */
struct growth {
    uint32_t process; /* name; NAME_NONE for the journal */
    const char *what; /* "rss", "fds", "journal" */
    size_t samples;   /* that were looked at */
    double seconds;   /* the longest life that was looked at */
    double per_hour, growth, allowance;
    bool tested, failed;
    const char *why_not; /* with tested false */
};

struct figures {
    uint64_t ops, ok, fail, unknown, txns, committed, resolved_committed, reads;
    uint64_t locking_ops, snapshot_reads, fractured_reads, lost_updates_snapshot;
    uint64_t weak_sccs, edges, nodes;
    uint64_t global_reads, global_reads_fractured;
    double seconds, throughput;
};

struct report {
    enum status status[CHECK_COUNT];
    const char *why_not[CHECK_COUNT]; /* with STATUS_NOT_CHECKED */
    bool required[CHECK_COUNT];       /* without material the verdict is not good */
    uint64_t count[CHECK_COUNT];
    VEC_OF(struct finding) findings;
    VEC_OF(struct tally) tallies;
    VEC_OF(struct cycle) cycles;
    VEC_OF(struct fault_span) faults;
    VEC_OF(struct growth) growths;
    struct figures figures;
};

extern const struct check_about {
    const char *id, *what;
} check_about[CHECK_COUNT];

/* Runs all checks. Returns false if the history contradicts itself (ret_problem says where). */
bool report_make(struct history *history, struct report *ret_report, struct problem *ret_problem);
void report_done(struct report *report);

/* No check failed. */
bool report_passed(const struct report *report);
/* It was required and has no material. */
bool report_lacks(const struct report *report, enum check check);

enum verdict {
    VERDICT_PASSED,
    VERDICT_INCOMPLETE /* no violation, but something required is lacking */,
    VERDICT_VIOLATED
};
enum verdict report_verdict(const struct report *report);

/* For the checks. */
void report_add(struct report *report, enum check check, const char *name, int cycle,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
void report_checked(struct report *report, enum check check);
void report_skipped(struct report *report, enum check check, const char *why);
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The output. */
void report_print_text(const struct history *history, const struct report *report, FILE *file);
bool report_print_json(const struct history *history, const struct report *report, FILE *file);
void report_print_html(const struct history *history, const struct report *report, FILE *file);
void cycle_draw_svg(const struct cycle *cycle, FILE *file);
void cycle_draw_dot(const struct cycle *cycle, FILE *file);

/* Where a text goes into SVG or HTML. */
void markup_escape(const char *text, FILE *file);

#endif
