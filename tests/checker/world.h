/*
 * world.h - makes histories of any length from a seed: transactions executed one after another on a model of a few
 * databases, with clients that overlap in time. What it writes is right by construction, unless a corruption is
 * planted.
 */
#ifndef ASSENT_TESTS_CHECKER_WORLD_H
#define ASSENT_TESTS_CHECKER_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum corruption {
    CORRUPT_NOTHING,
    CORRUPT_DROP_EFFECT,   /* one row of effects is lost */
    CORRUPT_CHANGE_EFFECT, /* one row has another value */
    CORRUPT_REPEAT_EFFECT, /* one row is there again, by another local transaction */
    CORRUPT_DROP_COMMIT,   /* all rows of an acknowledged transaction are lost */
    CORRUPT_KEEP_ABORT,    /* a request that was told "fail" left its rows */
    CORRUPT_BALANCE,       /* one balance is off by one */
    CORRUPT_DROP_ELEMENT, /* one element is missing from a list at the end and in all later reads */
    CORRUPT_STALE_READ,   /* a locking read misses the last element, appended long before */
    CORRUPT_FUTURE_READ,  /* a read finds an element that is appended only later */
    CORRUPT_SWAP_READ,    /* a read finds two elements in the other order */
    CORRUPT_REGISTER_VERSION, /* a write claims the version of the one before */
    CORRUPT_ANSWER,           /* a duplicate is told another id */
    CORRUPT_PREPARED,         /* a prepared transaction is left */
    CORRUPT_COUNT
};

struct world_options {
    uint64_t seed;
    uint32_t txns;
    int snapshot_percent;  /* of transactions read without locks */
    int fractured_percent; /* of those see the newest transaction in one database only */
    bool samples;          /* a fault now and then, and samples each second */
    enum corruption corruption;
};

struct world_result {
    uint64_t fractured; /* how many were planted */
    bool planted;       /* the corruption was */
};

/* Writes the whole history. */
void world_write(const struct world_options *options, FILE *file, struct world_result *ret_result);

#endif
