/*
 * workload.h - what clients do: plans of micro-operations, drawn from the client's random numbers.
 *
 * A plan is one transaction: reads, writes, appends, transfers over some databases, as the history tells them
 * (docs/HISTORY.md). client.c makes a request of it, submits it, and writes down what became of it.
 */
#ifndef ASSENT_TESTS_NEMESIS_WORKLOAD_H
#define ASSENT_TESTS_NEMESIS_WORKLOAD_H

#include "run.h"

#define PLAN_MICROS_MAX 16

enum workload {
    WORKLOAD_BANK = 0, /* W1: transfers with effects, global reads */
    WORKLOAD_APPEND,   /* W2: lists, 2 to 6 operations over the databases */
    WORKLOAD_REGISTER, /* W3: unique writes with versions, reads */
    WORKLOAD_SKEW,     /* W4: read two, write one: write skew, long fork */
    WORKLOAD_CONFLICT, /* W5: five accounts for everybody: deadlocks */
    WORKLOAD_DUPLICATES, /* W6: the same request again, at once and later, and its key with another body */
    WORKLOAD_NOVOTE,  /* W7: constraints, temporary tables, failed statements: nothing may remain */
    WORKLOAD_SINGLE,  /* W8: one participant, read-only branches */
    WORKLOAD_UPGRADE, /* W9: effects everywhere while everything is restarted in order */
    WORKLOAD_COUNT,
};

/* "bank"; "W1". */
const char *workload_name(enum workload workload);
const char *workload_code(enum workload workload);
bool workload_parse(const char *list, unsigned *ret_set); /* names with commas, or "all" */

enum micro_kind {
    MICRO_APPEND = 1,
    MICRO_WRITE,
    MICRO_READ_LIST,
    MICRO_READ_REGISTER,
    MICRO_ADD,
    MICRO_TOTAL,
    MICRO_EFFECT,
    MICRO_REFUSED, /* a statement that makes the branch vote no; not in the history */
};

struct micro {
    enum micro_kind kind;
    size_t database;
    char k[24];
    int64_t v;
    int seq;          /* -1: leaves no effect */
    bool for_update;  /* a read of what is written later in the plan */
    bool covered;     /* ADD: only if the balance stays above zero */
    const char *sql;  /* MICRO_REFUSED; static */
    size_t statement; /* its own, within its branch: known once the request is made */
};

struct plan {
    enum workload workload;
    char key[64];
    bool locking;
    bool over_http;         /* without results: of plans that read nothing */
    bool decided_is_enough; /* ack: decided */
    uint32_t timeout_ms;
    unsigned read_only; /* branches by bit */
    size_t micro_count;
    struct micro micros[PLAN_MICROS_MAX];
    /* W6: */
    uint32_t copies; /* sent at the same time; at least 1 */
    bool again;      /* and once more later */
    bool other_body; /* and once more with another body */
};

void plan_draw(struct run *run, struct random *random, size_t client, uint64_t number,
               struct plan *ret_plan);

/* The transaction's branches as a digest, for requests that use a key twice with different bodies. */
void plan_digest(const struct plan *plan, char ret_digest[24]);

struct assent_request;
struct assent_answer;

/* Return owned. Number the statements. The body is that of POST /v1/transactions. */
struct assent_request *plan_request(struct run *run, struct plan *plan);
char *plan_body(struct run *run, struct plan *plan);
/* The micro-operations; with what was read, if there is an answer that committed (else NULL). Returns owned. */
json_t *plan_ops(struct run *run, const struct plan *plan, const struct assent_answer *committed);

#endif
