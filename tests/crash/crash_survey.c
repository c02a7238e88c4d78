/*
 * crash_survey.c - runs a flow undisturbed with every fault point traced, and compares what it came
 * by with crash_path.c. So a combination that is called impossible is shown not to happen, and one
 * that is a cell is shown to be on the way. See crash_stage.h.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "tests/crash/crash_stage.h"

#define DAEMONS (CRASH_PARTICIPANTS + 1)

struct survey {
    size_t hits[DAEMONS][FAULT_POINT_COUNT];
};

static struct stack_daemon *daemon_of(struct crash_stage *stage, size_t index)
{
    return index == 0 ? stack_coordinator(stage->stack) : stack_agent(stage->stack, index - 1);
}

static void count_hits(struct crash_stage *stage, struct survey *ret_survey)
{
    for (size_t i = 0; i < DAEMONS; i++) {
        for (int point = 0; point < FAULT_POINT_COUNT; point++) {
            ret_survey->hits[i][point] = stack_daemon_fault_count(
                daemon_of(stage, i), fault_point_name((enum fault_point)point));
        }
    }
}

struct difference {
    struct crash_stage *stage;
    struct survey before, now;
    bool missing; /* something that is on the way was not come by (yet) */
    char text[400];
    size_t length;
};

static void add_difference(struct difference *difference, enum fault_point point,
                           enum crash_victim victim, size_t found, size_t wanted)
{
    if (difference->length + 64 < sizeof difference->text) {
        difference->length += (size_t)snprintf(
            difference->text + difference->length, sizeof difference->text - difference->length,
            "%s%s@%s %zu times, not %zu", difference->length == 0 ? "" : ", ",
            fault_point_name(point), crash_victim_text(victim), found, wanted);
    }
}

/* More often than needed is no mistake: what is not acknowledged in time is sent again. */
static void compare(struct difference *difference)
{
    const enum crash_flow flow = difference->stage->cell->flow;
    difference->length = 0;
    difference->missing = false;
    for (size_t i = 0; i < DAEMONS; i++) {
        const enum crash_victim victim = (enum crash_victim)(VICTIM_COORDINATOR + i);
        for (int at = 0; at < FAULT_POINT_COUNT; at++) {
            const enum fault_point point = (enum fault_point)at;
            const size_t found = difference->now.hits[i][at] - difference->before.hits[i][at];
            const size_t wanted = crash_path_hits(flow, point, victim, NULL);
            const bool free_to_be =
                !crash_path_is_step(point) || crash_path_is_race(flow, point, victim);
            if (found < wanted || (wanted == 0 && found > 0 && !free_to_be)) {
                difference->missing = difference->missing || found < wanted;
                add_difference(difference, point, victim, found, wanted);
            }
        }
    }
}

/* The last records of a transaction are written with the next batch, or a while later. */
static bool nothing_is_missing(void *user)
{
    struct difference *difference = user;
    count_hits(difference->stage, &difference->now);
    compare(difference);
    return !difference->missing;
}

bool crash_run_survey(struct crash_stage *stage, struct error *ret_error)
{
    struct difference difference = {.stage = stage};
    for (size_t i = DAEMONS; i-- > 0;) {
        if (!stack_daemon_stop(daemon_of(stage, i), ret_error)) {
            return false;
        }
    }
    for (size_t i = DAEMONS; i-- > 0;) {
        if (!stack_daemon_start_faulty(daemon_of(stage, i), "*:trace", ret_error)) {
            return false;
        }
    }
    if (!stack_wait_whole(stage->stack, crash_patience(), ret_error)) {
        return false;
    }
    count_hits(stage, &difference.before);
    sale_begin(stage, &stage->sales[0]);
    sale_end(&stage->sales[0]);
    if (!stack_wait_whole(stage->stack, crash_patience(), ret_error)) {
        return false;
    }
    (void)stack_poll(NULL, crash_patience(), nothing_is_missing, &difference);
    return difference.length == 0 ||
           error_set(ret_error, ERROR_INVALID, "came by %s", difference.text);
}
