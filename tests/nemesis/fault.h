/*
 * fault.h - the faults that the nemesis knows: one line in a table each (fault.c), with what begins and what ends it.
 *
 * The nemesis draws faults, begins them, waits, ends them and measures how long the system takes to heal
 * (nemesis.c). A fault writes nothing into the history itself but what only it knows (a human's hand).
 */
#ifndef ASSENT_TESTS_NEMESIS_FAULT_H
#define ASSENT_TESTS_NEMESIS_FAULT_H

#include "run.h"

#define FAULT_TEXT_SIZE 224

enum fault_group { /* what --faults names */
                   FAULT_KILL = 0,
                   FAULT_STOP,
                   FAULT_RESTART,
                   FAULT_PG,
                   FAULT_BACKEND,
                   FAULT_NET,
                   FAULT_WIRE,
                   FAULT_DISK,
                   FAULT_CLOCK,
                   FAULT_HUMAN,
                   FAULT_GROUPS,
};

const char *fault_group_name(enum fault_group group);
bool fault_parse(const char *list, unsigned *ret_set); /* names with commas, "all" or "none" */

struct fault;

struct fault_kind {
    const char *name;
    enum fault_group group;
    uint32_t least_ms, most_ms; /* how long it lasts; 0: it is over at once */
    /* Draws its details and does it. False: it could not be done (nothing to do it to, say), which is told and no
     * more. The target is drawn before. */
    bool (*begin)(struct run *run, struct fault *fault, struct random *random,
                  struct error *ret_error);
    /* Undoes it. False: the run cannot go on. NULL: nothing to undo. */
    bool (*end)(struct run *run, struct fault *fault, struct error *ret_error);
    bool on_database; /* target: a database or its agent; otherwise the coordinator */
};

struct fault {
    const struct fault_kind *kind;
    int64_t n;
    size_t database;              /* where on_database */
    size_t process;               /* of world.h, where it is a process's */
    char target[FAULT_TEXT_SIZE]; /* for people and the history */
    char detail[FAULT_TEXT_SIZE];
    pid_t backend; /* stopped */
    size_t route;
    uint64_t rule; /* 0: none */
    bool resets;   /* the connections of the route are reset at its end */
    char key[64];  /* human: whose branch; "" if that is not known */
    bool heuristic;
};

extern const struct fault_kind fault_kinds[];
extern const size_t fault_kind_count;

/* Why it cannot be done here at all; NULL: it can. */
const char *fault_impossible(const struct run *run, const struct fault_kind *kind);

/* --- fault_process.c, fault_postgres.c, fault_net.c, fault_host.c ------------------------------- */

bool fault_kill_begin(struct run *run, struct fault *fault, struct random *random,
                      struct error *ret_error);
bool fault_kill_end(struct run *run, struct fault *fault, struct error *ret_error);
bool fault_stop_begin(struct run *run, struct fault *fault, struct random *random,
                      struct error *ret_error);
bool fault_stop_end(struct run *run, struct fault *fault, struct error *ret_error);
bool fault_restart_begin(struct run *run, struct fault *fault, struct random *random,
                         struct error *ret_error);

bool fault_pg_immediate_begin(struct run *run, struct fault *fault, struct random *random,
                              struct error *ret_error);
bool fault_pg_fast_begin(struct run *run, struct fault *fault, struct random *random,
                         struct error *ret_error);
bool fault_pg_kill_begin(struct run *run, struct fault *fault, struct random *random,
                         struct error *ret_error);
bool fault_pg_end(struct run *run, struct fault *fault, struct error *ret_error);
bool fault_backend_begin(struct run *run, struct fault *fault, struct random *random,
                         struct error *ret_error);
bool fault_backend_stop_begin(struct run *run, struct fault *fault, struct random *random,
                              struct error *ret_error);
bool fault_backend_stop_end(struct run *run, struct fault *fault, struct error *ret_error);
bool fault_terminate_begin(struct run *run, struct fault *fault, struct random *random,
                           struct error *ret_error);
bool fault_human_rollback_begin(struct run *run, struct fault *fault, struct random *random,
                                struct error *ret_error);
bool fault_human_commit_begin(struct run *run, struct fault *fault, struct random *random,
                              struct error *ret_error);

bool fault_net_begin(struct run *run, struct fault *fault, struct random *random,
                     struct error *ret_error);
bool fault_net_end(struct run *run, struct fault *fault, struct error *ret_error);
bool fault_reset_begin(struct run *run, struct fault *fault, struct random *random,
                       struct error *ret_error);
bool fault_wire_begin(struct run *run, struct fault *fault, struct random *random,
                      struct error *ret_error);
bool fault_wire_end(struct run *run, struct fault *fault, struct error *ret_error);

bool fault_disk_begin(struct run *run, struct fault *fault, struct random *random,
                      struct error *ret_error);
bool fault_disk_end(struct run *run, struct fault *fault, struct error *ret_error);
bool fault_clock_begin(struct run *run, struct fault *fault, struct random *random,
                       struct error *ret_error);
bool fault_clock_end(struct run *run, struct fault *fault, struct error *ret_error);

#endif
