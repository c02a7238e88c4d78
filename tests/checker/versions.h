/*
 * versions.h - who wrote which version of which list or register, in which order, and what each read saw.
 *
 * Lists order themselves: the longest one that was read is the order. Registers are ordered by their version
 * numbers, or, where a register has none at all, by transactions that read one value and wrote the next.
 *
 * What committed and was seen by nobody makes up the tail of a list: it lies behind all that was seen, in an order
 * that is not known. A list that was dumped at the end has none: what is not in the dump is lost.
 */
#ifndef ASSENT_TESTS_CHECKER_VERSIONS_H
#define ASSENT_TESTS_CHECKER_VERSIONS_H

#include "tests/checker/report.h"

#define READ_UNUSABLE                                                                              \
    (NONE - 1) /* says nothing about others: odd, of its own write, without value */

struct write {
    uint32_t txn; /* NONE: there from the beginning */
    uint32_t object;
    uint32_t next, prev; /* writes: the versions after and before this one, or NONE */
    uint32_t place;      /* in the order, or NONE */
    int64_t v;
    int64_t n; /* version of a register, or -1 */
    bool placed;
};

struct versions {
    VEC_OF(struct write) writes;
    struct pairs by_value; /* object, v: index of writes */
    uint32_t *first;       /* by object: its first version */
    uint32_t *last;        /* by object: the last version in its order, or NONE */
    VEC_OF(uint32_t) tail; /* writes, by object, then by the time when they were sent */
    uint32_t *tail_first;  /* by object, into tail; one more at the end */
    uint32_t *of_micro;    /* by micro: the write it made; the one it saw; NONE: saw nothing yet; or
                              READ_UNUSABLE */
};

/* Also marks unknown transactions as committed of which something was seen, and reports what is wrong with
 * single elements: lost, phantom, duplicated, aborted reads, contradicting orders. Returns false if two
 * transactions wrote the same value, in which case nothing can be derived. */
bool versions_make(struct history *history, struct report *report, struct versions *ret_versions,
                   struct problem *ret_problem);

void versions_done(struct versions *versions);

/* What the read of this micro-operation did not see, and would have seen next; NONE if there is none. */
uint32_t versions_unseen(const struct history *history, const struct versions *versions,
                         uint32_t micro);

/* What the read of this micro-operation did not see either, though nothing tells what it would have seen first: the tail, if
 * the read saw all that lies before it. A register without value, or with the one it had at the beginning, precedes every write. */
const uint32_t *versions_tail(const struct history *history, const struct versions *versions,
                              uint32_t micro, uint32_t *ret_count);

/* For versions_make, last. */
void tails_make(const struct history *history, struct versions *versions);

/* What is wrong with a read whatever others did, for versions_make: it found what its own transaction wrote only later, or
 * lacks what was there from the beginning. */
void reads_check(const struct history *history, struct report *report,
                 const struct versions *versions);

/* Registers, for versions_make. */
void registers_order(struct history *history, struct report *report, struct versions *versions);

#endif
