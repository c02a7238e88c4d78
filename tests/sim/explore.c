/* explore.c - see explore.h: the search. */
#include "tests/sim/explore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/explore_act.h"

#define STEPS_MAX 6000
#define BOUND_MS  60000 /* by then everything must be resolved (L1) */
#define NOWHERE   UINT32_MAX

struct set { /* of situations that were seen: open addressing, 0 is empty */
    size_t count, capacity;
    uint64_t *slots;
};

struct node {        /* a situation with a choice, and how it was come to */
    uint32_t parent; /* the choice before; NOWHERE: none */
    uint16_t choice; /* taken there */
    uint16_t count;  /* of alternatives */
};

struct open { /* alternatives of a situation that no schedule has taken */
    uint32_t node;
    uint16_t next, end;
};

struct layer {
    size_t count, capacity;
    struct open *opens;
    uint64_t left;
    bool is_cut; /* some situation of it was not remembered */
};

struct explorer {
    const struct explore_options *options;
    struct explore_result *result;
    struct set seen;
    size_t node_count, node_capacity;
    struct node *nodes;
    struct layer layers[EXPLORE_FAULTS_MAX + 1]; /* by faults that were used */
    /* the schedule that runs */
    uint32_t depth;   /* choices made */
    uint32_t planned; /* of these, so many are given */
    uint32_t at;      /* the node of the last choice */
    uint16_t *choices;
    uint32_t faults_used;
    bool is_replay;
};

/* ---- what was seen ---- */

/* False: it is inside. There is room. */
static bool set_insert(struct set *set, uint64_t value)
{
    size_t at = (size_t)value & (set->capacity - 1);
    while (set->slots[at] != 0 && set->slots[at] != value) {
        at = (at + 1) & (set->capacity - 1);
    }
    if (set->slots[at] == value) {
        return false;
    }
    set->slots[at] = value;
    set->count++;
    return true;
}

static void set_grow(struct set *set)
{
    struct set larger = {.capacity = set->capacity == 0 ? 1 << 16 : set->capacity * 2};
    larger.slots = alloc_array(larger.capacity, sizeof(larger.slots[0]));
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->slots[i] != 0) {
            (void)set_insert(&larger, set->slots[i]);
        }
    }
    uint64_t *old = set->slots;
    set->slots = larger.slots;
    set->capacity = larger.capacity;
    set->count = larger.count;
    free(old);
}

static bool set_has(const struct set *set, uint64_t value)
{
    size_t at = (size_t)value & (set->capacity - 1);
    while (set->slots[at] != 0 && set->slots[at] != value) {
        at = (at + 1) & (set->capacity - 1);
    }
    return set->slots[at] == value;
}

static bool set_put(struct set *set, uint64_t value)
{
    if ((set->count + 1) * 2 > set->capacity) {
        set_grow(set);
    }
    return set_insert(set, value);
}

/* ---- what is left to do ---- */

static void layer_put(struct layer *layer, uint32_t node, size_t next, size_t end)
{
    if (next >= end) {
        return;
    }
    if (layer->count == layer->capacity) {
        layer->capacity = layer->capacity == 0 ? 1024 : layer->capacity * 2;
        layer->opens = alloc_resize(layer->opens, layer->capacity, sizeof(layer->opens[0]));
    }
    layer->opens[layer->count++] =
        (struct open){.node = node, .next = (uint16_t)next, .end = (uint16_t)end};
    layer->left += end - next;
}

/* One from anywhere. */
static void layer_take(struct layer *layer, uint64_t draw, uint32_t *ret_node, uint16_t *ret_choice)
{
    size_t at = (size_t)(draw % layer->count);
    struct open *open = &layer->opens[at];
    *ret_node = open->node;
    *ret_choice = open->next++;
    layer->left--;
    if (open->next == open->end) {
        *open = layer->opens[--layer->count];
    }
}

/* The situation is new, and the schedule goes on with its first alternative. */
static void node_new(struct explorer *explorer, const struct explore_actions *actions)
{
    if (explorer->node_count == explorer->node_capacity) {
        explorer->node_capacity = explorer->node_capacity == 0 ? 4096 : explorer->node_capacity * 2;
        explorer->nodes =
            alloc_resize(explorer->nodes, explorer->node_capacity, sizeof(explorer->nodes[0]));
    }
    CHECK(explorer->node_count < NOWHERE);
    CHECK(actions->plain > 0);
    uint32_t node = (uint32_t)explorer->node_count++;
    explorer->nodes[node] =
        (struct node){.parent = explorer->at,
                      .choice = explorer->depth == 0 ? 0 : explorer->choices[explorer->depth - 1],
                      .count = (uint16_t)actions->count};
    explorer->at = node;
    layer_put(&explorer->layers[explorer->faults_used], node, 1, actions->plain);
    if (actions->plain < actions->count) {
        layer_put(&explorer->layers[explorer->faults_used + 1], node, actions->plain,
                  actions->count);
    }
}

/* ---- one schedule ---- */

enum next { GO_ON = 1, OVER, SEEN };

static uint64_t with_faults(uint64_t digest, uint32_t faults_used)
{
    uint64_t value = digest ^ sim_mix(faults_used, 77);
    return value == 0 ? 1 : value;
}

/* Has a schedule come here that had as many faults left, or more? What can follow here can follow there. */
static bool was_here(const struct explorer *explorer, uint64_t digest)
{
    uint32_t least = explorer->options->is_unreduced ? explorer->faults_used : 0;
    for (uint32_t i = least; i <= explorer->faults_used; i++) {
        if (explorer->seen.capacity > 0 && set_has(&explorer->seen, with_faults(digest, i))) {
            return true;
        }
    }
    return false;
}

/* A situation that no choice was planned for. */
static enum next arrive(struct explorer *explorer, struct sim_world *world,
                        const struct explore_actions *actions)
{
    uint64_t digest = world_digest(world);
    if (was_here(explorer, digest)) {
        return SEEN;
    }
    uint64_t most = explorer->options->situations_max != 0 ? explorer->options->situations_max
                                                           : EXPLORE_SITUATIONS_MAX;
    if (explorer->node_count >= most) {
        for (uint32_t i = explorer->faults_used; i <= EXPLORE_FAULTS_MAX; i++) {
            explorer->layers[i].is_cut = true;
        }
        return GO_ON;
    }
    (void)set_put(&explorer->seen, with_faults(digest, explorer->faults_used));
    node_new(explorer, actions);
    return GO_ON;
}

/* Which of the actions; SEEN: somebody has been here before. */
static enum next choose(struct explorer *explorer, struct sim_world *world,
                        const struct explore_actions *actions, size_t *ret_choice)
{
    if (explorer->depth >= EXPLORE_DEPTH_MAX) {
        law_broken(world, "L1", "a schedule has more than %d choices", EXPLORE_DEPTH_MAX);
        return OVER;
    }
    if (explorer->depth >= explorer->planned) {
        if (!explorer->is_replay && arrive(explorer, world, actions) == SEEN) {
            return SEEN;
        }
        explorer->choices[explorer->depth] = 0;
    }
    *ret_choice = explorer->choices[explorer->depth++];
    CHECK(*ret_choice < actions->count); /* the same schedule finds the same alternatives */
    return GO_ON;
}

/* Time passes of itself where nothing else can happen. */
static enum next pass_time(struct sim_world *world)
{
    if (world->now_ms <= SIM_BEGIN_MS + BOUND_MS && explore_pass_time(world)) {
        return GO_ON;
    }
    char why[SIM_TEXT_SIZE] = "nothing is left to happen";
    (void)judge_is_quiet(world, why);
    law_broken(world, "L1", "not resolved: %s", why);
    return OVER;
}

static enum next step(struct explorer *explorer, struct sim_world *world)
{
    struct explore_actions actions;
    explore_find(explorer->options, world, explorer->faults_used < explorer->options->fault_count,
                 &actions);
    if (actions.is_time_next) {
        return pass_time(world);
    }
    size_t choice = 0;
    if (!actions.is_forced && actions.count > 1) {
        enum next next = choose(explorer, world, &actions, &choice);
        if (next != GO_ON) {
            return next;
        }
    }
    const struct explore_action *action = &actions.items[choice];
    explorer->result->acts[action->kind]++;
    if (action->kind == EXPLORE_END) {
        return OVER;
    }
    explorer->faults_used += choice >= actions.plain;
    explore_act(world, action);
    return GO_ON;
}

static void run_schedule(struct explorer *explorer, struct sim_verdict *verdict,
                         struct trace *trace)
{
    struct sim_world *world = alloc_zeroed(sizeof(*world));
    memset(verdict, 0, sizeof(*verdict));
    world->verdict = verdict;
    world->options =
        (struct sim_options){.seed = 1,
                             .is_explored = true,
                             .op_count = explorer->options->op_count,
                             .participant_count = 2,
                             .is_unreduced = explorer->options->is_unreduced,
                             .is_spoken = explorer->options->is_spoken,
                             .is_handed = explorer->options->is_handed,
                             .want_state_coverage = explorer->options->wants_state_coverage,
                             .trace = trace};
    explorer->depth = 0;
    explorer->faults_used = 0;
    world_init(world);
    enum next next = GO_ON;
    uint64_t steps = 0;
    for (; next == GO_ON && !verdict->failed; steps++) {
        next = step(explorer, world);
        if (steps > STEPS_MAX) {
            law_broken(world, "L1", "a schedule does not end");
        }
    }
    if (next == OVER && !verdict->failed) {
        judge_end(world);
    }
    explorer->result->ended += next == OVER;
    explorer->result->cut += next == SEEN;
    explorer->result->steps += steps;
    world_done(world);
    free(world);
}

/* ---- all of them ---- */

/* The choices that lead to this alternative. */
static void plan(struct explorer *explorer, uint32_t node, uint16_t choice)
{
    uint32_t depth = 1;
    for (uint32_t at = node; explorer->nodes[at].parent != NOWHERE;
         at = explorer->nodes[at].parent) {
        depth++;
    }
    explorer->planned = depth;
    explorer->at = node;
    explorer->choices[--depth] = choice;
    for (uint32_t at = node; depth > 0; at = explorer->nodes[at].parent) {
        explorer->choices[--depth] = explorer->nodes[at].choice;
    }
}

/* The next schedule. False: there is none. */
static bool advance(struct explorer *explorer, uint32_t *ret_faults)
{
    uint64_t draw = sim_mix(explorer->result->schedules, 51);
    uint32_t found = EXPLORE_FAULTS_MAX + 1;
    for (uint32_t i = 0; i <= EXPLORE_FAULTS_MAX; i++) {
        if (explorer->layers[i].count == 0) {
            continue;
        }
        found = i;
        if (draw % 2 == 0) {
            break;
        }
        draw /= 2;
    }
    if (found > EXPLORE_FAULTS_MAX) {
        return false;
    }
    uint32_t node = NOWHERE;
    uint16_t choice = 0;
    layer_take(&explorer->layers[found], sim_scramble(draw), &node, &choice);
    plan(explorer, node, choice);
    *ret_faults = found;
    return true;
}

static double seconds_since(const struct timespec *begun)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

static void layers_tell(const struct explorer *explorer, struct explore_result *result)
{
    bool is_complete = !result->verdict.failed;
    for (uint32_t i = 0; i <= EXPLORE_FAULTS_MAX; i++) {
        result->layers[i].left = explorer->layers[i].left;
        is_complete = is_complete && explorer->layers[i].left == 0 && !explorer->layers[i].is_cut;
        result->layers[i].is_complete = is_complete;
    }
    result->is_complete = is_complete;
    result->is_full = explorer->layers[EXPLORE_FAULTS_MAX].is_cut;
    result->situations = explorer->seen.count;
}

static void explorer_free(struct explorer *explorer)
{
    for (uint32_t i = 0; i <= EXPLORE_FAULTS_MAX; i++) {
        free(explorer->layers[i].opens);
    }
    free(explorer->nodes);
    free(explorer->seen.slots);
    free(explorer);
}

static bool is_enough(const struct explore_options *options, const struct explore_result *result,
                      const struct timespec *begun)
{
    return result->verdict.failed ||
           (options->schedules_max != 0 && result->schedules >= options->schedules_max) ||
           (options->seconds_max != 0 && result->schedules % 1024 == 0 &&
            seconds_since(begun) >= (double)options->seconds_max);
}

void explore_run(const struct explore_options *options, struct explore_result *ret_result)
{
    struct explorer *explorer = alloc_zeroed(sizeof(*explorer));
    struct timespec begun;
    uint32_t faults = 0;
    CHECK(options->fault_count <= EXPLORE_FAULTS_MAX);
    memset(ret_result, 0, sizeof(*ret_result));
    explorer->options = options;
    explorer->result = ret_result;
    explorer->choices = ret_result->choices;
    explorer->at = NOWHERE;
    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        run_schedule(explorer, &ret_result->verdict, NULL);
        ret_result->schedules++;
        ret_result->layers[faults].schedules++;
        ret_result->deepest =
            explorer->depth > ret_result->deepest ? explorer->depth : ret_result->deepest;
        ret_result->choice_count = explorer->depth;
        if (ret_result->schedules % 4096 == 0 && options->wants_progress) {
            fprintf(stderr, "\r%" PRIu64 " schedules, %zu situations ", ret_result->schedules,
                    explorer->seen.count);
        }
    } while (!is_enough(options, ret_result, &begun) && advance(explorer, &faults));
    layers_tell(explorer, ret_result);
    ret_result->seconds = seconds_since(&begun);
    explorer_free(explorer);
}

void explore_replay(const struct explore_options *options, const uint16_t *choices, uint32_t count,
                    struct trace *trace, struct sim_verdict *ret_verdict)
{
    struct explorer *explorer = alloc_zeroed(sizeof(*explorer));
    struct explore_result *result = alloc_zeroed(sizeof(*result));
    memcpy(result->choices, choices, count * sizeof(choices[0]));
    explorer->options = options;
    explorer->result = result;
    explorer->choices = result->choices;
    explorer->planned = count;
    explorer->is_replay = true;
    run_schedule(explorer, ret_verdict, trace);
    explorer_free(explorer);
    free(result);
}
