/* explore.c - see explore.h. */
#include "tests/sim/explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/check.h"

#define ACTIONS_MAX 256
#define STEPS_MAX   6000
#define PARTS       64
#define BOUND_MS    60000 /* by then everything must be resolved (L1) */

struct action {
    enum explore_fault fault;
    size_t slot; /* in the queue, or which agent */
};

struct set { /* of situations that were seen: open addressing, 0 is empty */
    size_t count, capacity;
    uint64_t *slots;
};

struct explorer {
    const struct explore_options *options;
    struct explore_result *result;
    struct set seen;                    /* in this part of the search: what cuts it off */
    struct set ever;                    /* in all parts */
    uint64_t part;                      /* 0: alternatives in their own order */
    uint32_t depth;                     /* choices made in this schedule */
    uint32_t planned;                   /* of these, so many are given */
    uint16_t limits[EXPLORE_DEPTH_MAX]; /* how many there were to choose from */
    uint16_t *choices;
    uint32_t faults_left;
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

static bool set_put(struct set *set, uint64_t value)
{
    if ((set->count + 1) * 2 > set->capacity) {
        set_grow(set);
    }
    return set_insert(set, value == 0 ? 1 : value);
}

/* ---- what may happen next ---- */

static bool is_message(const struct sim_event *event)
{
    return event->kind == EVENT_AGENT_MESSAGE || event->kind == EVENT_COORD_MESSAGE;
}

static bool is_witness(enum command_kind kind)
{
    return kind == COMMAND_LOAD_WITNESS || kind == COMMAND_STORE_WITNESS;
}

/* Getting acquainted and staying so: sessions, witnesses, claims, heartbeats. These run at once and in one order, unless
 * every order is asked for: they commute with nearly everything, and would hide the orders that matter in their number. */
static bool is_handshake(const struct sim_world *world, const struct sim_event *event)
{
    switch (event->kind) {
    case EVENT_DIAL:
    case EVENT_COORD_UP:
    case EVENT_AGENT_UP:
    case EVENT_AGENT_BEAT:
        return true;
    case EVENT_KEEPER_RUN: {
        const struct sim_job *job = world->agents[event->a].edge.keeper.first;
        return job == NULL || is_witness(job->command.kind);
    }
    case EVENT_AGENT_RESULT:
        return is_witness(event->as.result.kind);
    case EVENT_COORD_MESSAGE:
    case EVENT_AGENT_MESSAGE:
        return event->as.message.kind == MESSAGE_HEALTH || event->as.message.kind == MESSAGE_HEAD ||
               event->as.message.kind == MESSAGE_WITNESS ||
               event->as.message.kind == MESSAGE_CLAIM || event->as.message.kind == MESSAGE_WELCOME;
    default:
        return false;
    }
}

/* A process that is gone takes nothing; dropping it is no choice either. */
static bool is_moot(struct sim_world *world, const struct sim_event *event)
{
    if (event->process == SIM_NOBODY) {
        return false;
    }
    const struct sim_process *process = world_process(world, event->process);
    return !process->is_alive || process->incarnation != event->incarnation;
}

static void add(struct action *actions, size_t *count, enum explore_fault fault, size_t slot)
{
    CHECK(*count < ACTIONS_MAX);
    actions[(*count)++] = (struct action){.fault = fault, .slot = slot};
}

/* What is due, in the order in which it came and not in which the heap has it: the same schedule finds the same
 * numbers. */
static size_t due_find(const struct sim_world *world, size_t *slots)
{
    size_t count = 0;
    for (size_t i = 0; i < world->queue.count; i++) {
        const struct sim_event *event = world->queue.slots[i].event;
        if (event->due_ms > world->now_ms) {
            continue;
        }
        CHECK(count < ACTIONS_MAX);
        size_t at = count++;
        while (at > 0 && world->queue.slots[slots[at - 1]].event->tie > event->tie) {
            slots[at] = slots[at - 1];
            at--;
        }
        slots[at] = i;
    }
    return count;
}

/* Of one session's direction only the first may come: UP, then messages in order. */
static bool is_behind(const struct sim_world *world, const size_t *slots, size_t index)
{
    const struct sim_event *event = world->queue.slots[slots[index]].event;
    for (size_t i = 0; event->session != 0 && i < index; i++) {
        const struct sim_event *other = world->queue.slots[slots[i]].event;
        if (other->session == event->session && other->process == event->process) {
            return true;
        }
    }
    return false;
}

/* Either what may come next, or, *ret_is_forced, the one thing that comes without a choice. */
static size_t actions_find(const struct explore_options *options, struct sim_world *world,
                           struct action *actions, bool *ret_is_forced)
{
    size_t slots[ACTIONS_MAX];
    size_t due = due_find(world, slots);
    size_t count = 0;
    *ret_is_forced = false;
    for (size_t i = 0; i < due; i++) {
        const struct sim_event *event = world->queue.slots[slots[i]].event;
        if (is_behind(world, slots, i)) {
            continue;
        }
        if (is_moot(world, event) || (!options->wants_every_order && is_handshake(world, event))) {
            actions[0] = (struct action){.fault = EXPLORE_EVENT, .slot = slots[i]};
            *ret_is_forced = true;
            return 1;
        }
        add(actions, &count, EXPLORE_EVENT, slots[i]);
    }
    return count;
}

static void faults_find(const struct sim_world *world, struct action *actions, size_t *count)
{
    size_t events = *count;
    for (size_t i = 0; i < events; i++) {
        if (is_message(world->queue.slots[actions[i].slot].event)) {
            add(actions, count, EXPLORE_LOSE, actions[i].slot);
            add(actions, count, EXPLORE_DUPLICATE, actions[i].slot);
        }
    }
    if (world->coords[0].process.is_alive) {
        add(actions, count, EXPLORE_KILL_COORD, 0);
    }
    for (uint32_t i = 0; i < world->database_count; i++) {
        if (world->agents[i].process.is_alive) {
            add(actions, count, EXPLORE_KILL_AGENT, i);
        }
    }
    if (events > 0) { /* with nothing to do, time passes anyway */
        add(actions, count, EXPLORE_TIMEOUT, 0);
    }
}

/* ---- doing it ---- */

/* Takes the event out of the middle of the queue. */
static struct sim_event *take(struct sim_world *world, size_t slot)
{
    struct sim_event *event = world->queue.slots[slot].event;
    uint64_t due_ms = world->queue.slots[slot].due_ms;
    world->queue.slots[slot] = world->queue.slots[--world->queue.count];
    event->due_ms = due_ms > world->now_ms ? due_ms : world->now_ms;
    return event;
}

static size_t next_timer(const struct sim_world *world)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < world->queue.count; i++) {
        const struct sim_event *event = world->queue.slots[i].event;
        const struct sim_event *other = best == SIZE_MAX ? NULL : world->queue.slots[best].event;
        if (event->due_ms > world->now_ms &&
            (other == NULL || event->due_ms < other->due_ms ||
             (event->due_ms == other->due_ms && event->tie < other->tie))) {
            best = i;
        }
    }
    return best;
}

static void duplicate(struct sim_world *world, size_t slot)
{
    const struct sim_event *event = world->queue.slots[slot].event;
    struct sim_event *copy = queue_new(world, event->kind);
    struct sim_event *free_next = copy->next;
    *copy = *event;
    copy->next = free_next;
    network_share(&event->as.message, &copy->as.message);
    queue_push(world, copy, world->now_ms); /* comes when it likes, behind the first */
}

static void act(struct sim_world *world, const struct action *action)
{
    switch (action->fault) {
    case EXPLORE_EVENT:
        world_dispatch(world, take(world, action->slot));
        return;
    case EXPLORE_LOSE: {
        struct sim_event *event = take(world, action->slot);
        ARROW(world, event->kind == EVENT_AGENT_MESSAGE ? LANE_COORD(0) : LANE_AGENT(event->a),
              UINT32_MAX, "%s lost", message_kind_text(event->as.message.kind));
        queue_free(world, event);
        return;
    }
    case EXPLORE_DUPLICATE:
        duplicate(world, action->slot);
        return;
    case EXPLORE_KILL_COORD:
        coord_proc_kill(world, 0, false);
        process_order_start(world, world_coord_process(0), 0);
        return;
    case EXPLORE_KILL_AGENT:
        agent_proc_kill(world, (uint32_t)action->slot);
        process_order_start(world, world_agent_process((uint32_t)action->slot), 0);
        return;
    case EXPLORE_TIMEOUT: {
        size_t slot = next_timer(world);
        if (slot != SIZE_MAX) {
            TRACE(world, LANE_CLIENT, "time passes too early");
            world_dispatch(world, take(world, slot));
        }
        return;
    }
    case EXPLORE_FAULT_COUNT:
        break;
    }
    CHECK(!"no such fault");
}

static bool everything_is_over(struct sim_world *world)
{
    struct coord_counters counters;
    if (!clients_settled(world) || !coord_proc_serves(world, 0)) {
        return false;
    }
    coord_counters_read(world->coords[0].core, &counters);
    for (uint32_t i = 0; i < world->database_count; i++) {
        struct agent_counters agent;
        if (world->databases[i].prepared_count > 0 || world->agents[i].core == NULL) {
            return false;
        }
        agent_counters_read(world->agents[i].core, &agent);
        if (agent.branches_live > 0) {
            return false;
        }
        for (size_t k = 0; k < SIM_BACKENDS_MAX; k++) {
            if (world->databases[i].backends[k].stage != BACKEND_FREE) {
                return false;
            }
        }
    }
    return counters.running && counters.reconciled && counters.live == 0;
}

/* ---- one schedule ---- */

enum next { GO_ON = 1, OVER, SEEN };

/* Which of the actions; SEEN: somebody has been here before. */
static enum next choose(struct explorer *explorer, struct sim_world *world, size_t count,
                        size_t *ret_choice)
{
    if (explorer->depth >= EXPLORE_DEPTH_MAX) {
        law_broken(world, "L1", "a schedule has more than %d choices", EXPLORE_DEPTH_MAX);
        return OVER;
    }
    if (explorer->depth >= explorer->planned) {
        uint64_t digest = world_digest(world) ^ sim_mix(explorer->faults_left, 77);
        if (!explorer->is_replay && !set_put(&explorer->seen, digest)) {
            return SEEN;
        }
        if (!explorer->is_replay && explorer->options->schedules_max != 0) {
            (void)set_put(&explorer->ever, digest);
        }
        explorer->choices[explorer->depth] = 0;
    }
    explorer->limits[explorer->depth] = (uint16_t)count;
    uint64_t turn = explorer->part == 0 ? 0 : sim_mix(explorer->part, explorer->depth) % count;
    *ret_choice = (size_t)(explorer->choices[explorer->depth++] + turn) % count;
    return GO_ON;
}

/* Time passes of itself where nothing else can happen. */
static enum next step(struct explorer *explorer, struct sim_world *world)
{
    struct action actions[ACTIONS_MAX] = {0};
    bool is_forced = false;
    size_t count = actions_find(explorer->options, world, actions, &is_forced);
    bool is_over = everything_is_over(world);
    if (count == 0 && !is_over) {
        size_t timer = next_timer(world);
        if (timer == SIZE_MAX || world->now_ms > SIM_BEGIN_MS + BOUND_MS) {
            char why[SIM_TEXT_SIZE] = "nothing is left to happen";
            (void)judge_is_quiet(world, why);
            law_broken(world, "L1", "not resolved: %s", why);
            return OVER;
        }
        world_dispatch(world, take(world, timer));
        return GO_ON;
    }
    bool begun = world->call_count > 0; /* before that there is one order only */
    if (begun && explorer->faults_left > 0 && !is_forced) {
        faults_find(world, actions, &count);
    }
    if (is_over && begun && !is_forced) {
        add(actions, &count, EXPLORE_FAULT_COUNT, 0); /* to end here */
    }
    size_t choice = 0;
    if (begun && count > 1) {
        enum next next = choose(explorer, world, count, &choice);
        if (next != GO_ON) {
            return next;
        }
    }
    if (actions[choice].fault == EXPLORE_FAULT_COUNT) {
        return OVER;
    }
    explorer->faults_left -= actions[choice].fault != 0;
    explorer->result->faults[actions[choice].fault]++;
    act(world, &actions[choice]);
    return GO_ON;
}

static void run_schedule(struct explorer *explorer, struct sim_verdict *verdict,
                         struct trace *trace)
{
    struct sim_world *world = alloc_zeroed(sizeof(*world));
    memset(verdict, 0, sizeof(*verdict));
    world->verdict = verdict;
    world->options = (struct sim_options){.seed = 1,
                                          .is_explored = true,
                                          .op_count = explorer->options->op_count,
                                          .participant_count = 2,
                                          .trace = trace};
    explorer->depth = 0;
    explorer->faults_left = explorer->options->fault_count;
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
    explorer->result->cut += next == SEEN;
    explorer->result->steps += steps;
    world_done(world);
    free(world);
}

/* ---- all of them ---- */

/* The next schedule: the last choice that has an alternative left takes it. False: there is none. */
static bool advance(struct explorer *explorer)
{
    uint32_t depth = explorer->depth;
    while (depth > 0 && explorer->choices[depth - 1] + 1 >= explorer->limits[depth - 1]) {
        depth--;
    }
    if (depth == 0) {
        return false;
    }
    explorer->choices[depth - 1]++;
    explorer->planned = depth;
    return true;
}

static void part_begin(struct explorer *explorer)
{
    free(explorer->seen.slots);
    memset(&explorer->seen, 0, sizeof(explorer->seen));
    explorer->part++;
    explorer->planned = 0;
}

static double seconds_since(const struct timespec *begun)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / 1e9;
}

void explore_run(const struct explore_options *options, struct explore_result *ret_result)
{
    struct explorer *explorer = alloc_zeroed(sizeof(*explorer));
    struct timespec begun;
    memset(ret_result, 0, sizeof(*ret_result));
    explorer->options = options;
    explorer->result = ret_result;
    explorer->choices = ret_result->choices;
    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    bool more = true;
    uint64_t part_max =
        options->schedules_max == 0 ? UINT64_MAX : options->schedules_max / PARTS + 1;
    while (more && !ret_result->verdict.failed) {
        if (ret_result->schedules >= part_max * (explorer->part + 1)) {
            part_begin(explorer);
        }
        run_schedule(explorer, &ret_result->verdict, NULL);
        ret_result->schedules++;
        ret_result->deepest =
            explorer->depth > ret_result->deepest ? explorer->depth : ret_result->deepest;
        ret_result->choice_count = explorer->depth;
        if (ret_result->schedules % 4096 == 0 && options->wants_progress) {
            fprintf(stderr, "\r%llu schedules, %zu situations ",
                    (unsigned long long)ret_result->schedules, explorer->seen.count);
        }
        if (!ret_result->verdict.failed) {
            more = advance(explorer);
        }
        if ((options->schedules_max != 0 && ret_result->schedules >= options->schedules_max) ||
            (options->seconds_max != 0 && ret_result->schedules % 1024 == 0 &&
             seconds_since(&begun) >= (double)options->seconds_max)) {
            break;
        }
    }
    ret_result->part = explorer->part;
    ret_result->is_complete = !more;
    ret_result->states =
        explorer->ever.count > explorer->seen.count ? explorer->ever.count : explorer->seen.count;
    free(explorer->ever.slots);
    ret_result->seconds = seconds_since(&begun);
    free(explorer->seen.slots);
    free(explorer);
}

void explore_replay(const struct explore_options *options, uint64_t part, const uint16_t *choices,
                    uint32_t count, struct trace *trace, struct sim_verdict *ret_verdict)
{
    struct explorer *explorer = alloc_zeroed(sizeof(*explorer));
    struct explore_result *result = alloc_zeroed(sizeof(*result));
    memcpy(result->choices, choices, count * sizeof(choices[0]));
    explorer->options = options;
    explorer->result = result;
    explorer->choices = result->choices;
    explorer->planned = count;
    explorer->part = part;
    explorer->is_replay = true;
    run_schedule(explorer, ret_verdict, trace);
    free(explorer);
    free(result);
}
