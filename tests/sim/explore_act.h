/*
 * explore_act.h - what may happen next in the explored world, and doing it. explore.c decides which.
 *
 * The same situation finds the same actions in the same order, whatever way led there. What is no fault comes first.
 */
#ifndef ASSENT_SIM_EXPLORE_ACT_H
#define ASSENT_SIM_EXPLORE_ACT_H

#include "tests/sim/explore.h"

#define EXPLORE_ACTIONS_MAX 512

struct explore_action {
    enum explore_kind kind;
    size_t slot; /* in the queue; or which agent, which database, which backend */
};

struct explore_actions {
    size_t count;
    size_t plain;   /* the first so many are no faults */
    bool is_forced; /* the one thing that comes without a choice and without a fault */
    bool
        is_time_next; /* nothing is due: time passes of itself, without a choice and without a fault */
    struct explore_action items[EXPLORE_ACTIONS_MAX];
};

void explore_find(const struct explore_options *options, struct sim_world *world, bool with_faults,
                  struct explore_actions *ret_actions);
void explore_act(struct sim_world *world, const struct explore_action *action);

/* To the next timer, which is due then. False: there is none left. */
bool explore_pass_time(struct sim_world *world);

/* Must the other one come first? A session delivers in order. */
bool explore_is_before(const struct sim_event *other, const struct sim_event *event);

/* Nobody will take it, or it will mean nothing: its process, connection or timer is of the past. */
bool explore_is_moot(const struct sim_world *world, const struct sim_event *event);

#endif
