/*
 * explore.h - every schedule of a small world: which event comes next, and where up to so many faults strike.
 *
 * A schedule runs from the start, on the real cores (they are not copied). It is the first of its kind: no two of one
 * search take the same alternative in the same situation, and where one comes to a situation in which another has been
 * with as many faults left, or more, it is cut off. So schedules are counted once, and there is an end to them.
 *
 * What is left out, because it can show nothing new; is_unreduced leaves nothing out, and test_sim compares the two:
 * - Events that no core and no database sees (explore_act.c: moot and idle ones) come at once, not in every order with the
 *   others, and are not lost, doubled or waited for. They change nothing but that they are gone, whenever they come, so each
 *   order with one of them later is one with it now, and a fault before it is the same fault after it.
 * - A situation that was come to with fewer faults is known: with more of them left, all that can follow here followed there.
 * - Situations that differ only in what the law can not ask for any more are equal (digest.c).
 *
 * What is not left out, although it looks alike: the two participants (a loop that forgets its last one is just what is
 * looked for), the order of events at different processes (the law compares what one process has said with what another
 * does, so they do not commute), and when heartbeats are due (the clock moves from one to the next).
 *
 * Which one is next: first those with few faults. Half of the schedules take an alternative with the least number of faults
 * that has any left, half of the rest one with a fault more, and so on; of these one from anywhere in the space. A search
 * that is stopped has then seen everything with few faults and a spread of the rest, not one corner.
 */
#ifndef ASSENT_SIM_EXPLORE_H
#define ASSENT_SIM_EXPLORE_H

#include "tests/sim/world.h"

enum explore_kind {
    EXPLORE_EVENT = 0,  /* no fault: the event just happens */
    EXPLORE_END,        /* no fault: the schedule ends here and is judged */
    EXPLORE_COORD_KILL, /* what its journal was writing is lost; as with the machine */
    EXPLORE_COORD_KEPT, /* the same, and what its journal was writing is on the disk */
    EXPLORE_AGENT_KILL,
    EXPLORE_DATABASE_CRASH, /* immediate stop and restart; what was under way in it is not done */
    EXPLORE_DATABASE_KEPT,  /* the same, and what was under way is done; nobody hears of it */
    EXPLORE_CONNECTION,     /* between agent and database: lost, and the backend works on */
    EXPLORE_SYNC_FAILS,     /* and what was written is lost */
    EXPLORE_SYNC_KEPT,      /* it fails, and what was written is found by the next start */
    EXPLORE_LOSE,           /* a message */
    EXPLORE_DUPLICATE,
    EXPLORE_TIMEOUT, /* the clock goes on to the next timer although events are due: everything is slow */
    EXPLORE_KIND_COUNT,
};

#define EXPLORE_DEPTH_MAX  4096
#define EXPLORE_FAULTS_MAX 4

/* Some 50 bytes each at most: 1.6 GB. */
#define EXPLORE_SITUATIONS_MAX (UINT64_C(1) << 25)

struct explore_options {
    uint32_t op_count, fault_count;
    bool is_spoken; /* interactive transactions: open, three statements, commit */
    bool is_handed; /* accepted requests: one that is refused, and what a person does about it */
    uint64_t schedules_max; /* 0: no limit */
    uint64_t seconds_max;   /* 0: no limit */
    /* 0: EXPLORE_SITUATIONS_MAX. So many are remembered; what is new beyond is run through, once, and not searched further. */
    uint64_t situations_max;
    bool wants_every_order;    /* also of handshakes and heartbeats */
    bool is_unreduced;         /* nothing is left out */
    bool wants_state_coverage; /* coverage.h counts (state, event) pairs */
    bool wants_progress;
};

struct explore_layer { /* schedules with so many faults */
    uint64_t schedules;
    uint64_t left;    /* known and not run; each may lead to more */
    bool is_complete; /* all of them were run */
};

struct explore_result {
    uint64_t schedules;  /* all different */
    uint64_t ended, cut; /* ran to their end; came to a situation that was known */
    uint64_t situations; /* in which there was a choice */
    uint64_t steps, deepest;
    double seconds;
    bool is_complete; /* every schedule was run */
    bool is_full;     /* more situations than are remembered */
    struct explore_layer layers[EXPLORE_FAULTS_MAX + 1];
    uint64_t acts[EXPLORE_KIND_COUNT];
    struct sim_verdict verdict;
    uint32_t choice_count; /* of the failing schedule */
    uint16_t choices[EXPLORE_DEPTH_MAX];
};

const char *explore_kind_text(enum explore_kind kind);
void explore_run(const struct explore_options *options, struct explore_result *ret_result);
/* Runs one schedule again, with a trace. */
void explore_replay(const struct explore_options *options, const uint16_t *choices, uint32_t count,
                    struct trace *trace, struct sim_verdict *ret_verdict);

/* digest.c */
uint64_t world_digest(struct sim_world *world);

#endif
