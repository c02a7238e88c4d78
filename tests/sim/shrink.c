/* shrink.c - a failing run made small: fewer faults, operations, participants, as long as the same rule breaks. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "tests/sim/guard.h"

#define RUNS_MAX    600
#define SECONDS_MAX 20

struct shrinking {
    struct shrunk *best;
    char rule[SIM_RULE_SIZE];
    struct timespec begun;
};

static bool may_go_on(const struct shrinking *shrinking)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return shrinking->best->runs < RUNS_MAX && now.tv_sec - shrinking->begun.tv_sec < SECONDS_MAX;
}

/* Keeps the candidate if it fails in the same way. */
static bool attempt(struct shrinking *shrinking, const struct sim_options *candidate)
{
    struct sim_verdict verdict;
    struct shrunk *best = shrinking->best;
    best->runs++;
    guard_run(candidate, &verdict);
    if (!verdict.failed || strcmp(verdict.rule, shrinking->rule) != 0) {
        sim_verdict_done(&verdict);
        return false;
    }
    sim_verdict_done(&best->verdict);
    best->verdict = verdict;
    best->options = *candidate;
    best->options.strikes = best->verdict.strikes; /* what did strike, of what was listed */
    best->options.strike_count = best->verdict.strike_count;
    return true;
}

static bool drop_strikes(struct shrinking *shrinking, size_t first, size_t count)
{
    const struct sim_options *from = &shrinking->best->options;
    struct sim_strike *kept = alloc_array(from->strike_count + 1, sizeof(kept[0]));
    struct sim_options candidate = *from;
    candidate.strike_count = 0;
    for (size_t i = 0; i < from->strike_count; i++) {
        if (i < first || i >= first + count) {
            kept[candidate.strike_count++] = from->strikes[i];
        }
    }
    candidate.strikes = kept;
    bool dropped = attempt(shrinking, &candidate);
    free(kept);
    return dropped;
}

static bool drop_kind(struct shrinking *shrinking, enum sim_fault fault)
{
    const struct sim_options *from = &shrinking->best->options;
    struct sim_strike *kept = alloc_array(from->strike_count + 1, sizeof(kept[0]));
    struct sim_options candidate = *from;
    candidate.strike_count = 0;
    for (size_t i = 0; i < from->strike_count; i++) {
        if (from->strikes[i].fault != fault) {
            kept[candidate.strike_count++] = from->strikes[i];
        }
    }
    candidate.strikes = kept;
    bool dropped = candidate.strike_count < from->strike_count && attempt(shrinking, &candidate);
    free(kept);
    return dropped;
}

static void shrink_strikes(struct shrinking *shrinking)
{
    for (int i = 0; i < SIM_FAULT_COUNT && may_go_on(shrinking); i++) {
        (void)drop_kind(shrinking, (enum sim_fault)i);
    }
    for (size_t size = (shrinking->best->options.strike_count + 1) / 2; size > 0; size /= 2) {
        for (size_t at = 0; at < shrinking->best->options.strike_count && may_go_on(shrinking);) {
            if (!drop_strikes(shrinking, at, size)) {
                at += size;
            }
        }
    }
}

static void shrink_ops(struct shrinking *shrinking)
{
    uint32_t count =
        shrinking->best->options.op_count == 0 ? 56 : shrinking->best->options.op_count;
    for (uint32_t step = count / 2; step > 0; step /= 2) {
        while (count > step && may_go_on(shrinking)) {
            struct sim_options candidate = shrinking->best->options;
            candidate.op_count = count - step;
            if (!attempt(shrinking, &candidate)) {
                break;
            }
            count -= step;
        }
    }
}

static void shrink_participants(struct shrinking *shrinking)
{
    for (uint32_t count = 2; count < 5 && may_go_on(shrinking); count++) {
        struct sim_options candidate = shrinking->best->options;
        candidate.participant_count = count;
        if ((shrinking->best->options.participant_count == 0 ||
             count < shrinking->best->options.participant_count) &&
            attempt(shrinking, &candidate)) {
            return;
        }
    }
}

void shrink(const struct sim_options *options, const struct sim_verdict *verdict,
            struct shrunk *ret_shrunk)
{
    struct shrinking shrinking = {.best = ret_shrunk};
    memset(ret_shrunk, 0, sizeof(*ret_shrunk));
    memcpy(shrinking.rule, verdict->rule, sizeof(shrinking.rule));
    (void)clock_gettime(CLOCK_MONOTONIC, &shrinking.begun);
    struct sim_options all = *options;
    all.has_strikes = true;
    all.strikes = verdict->strikes;
    all.strike_count = verdict->strike_count;
    all.trace = NULL;
    ret_shrunk->options = all;
    if (!attempt(&shrinking, &all)) { /* only the seed itself reproduces it */
        ret_shrunk->options = *options;
        guard_run(options, &ret_shrunk->verdict);
        return;
    }
    for (size_t before = SIZE_MAX; ret_shrunk->options.strike_count < before;) {
        before = ret_shrunk->options.strike_count;
        shrink_strikes(&shrinking);
        shrink_ops(&shrinking);
        shrink_participants(&shrinking);
    }
}

void shrunk_done(struct shrunk *shrunk)
{
    sim_verdict_done(&shrunk->verdict);
}
