/* world.c - a world's birth, its loop, its processes and its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/coverage.h"
#include "tests/sim/world.h"

#define EVENTS_MAX 4000000

void world_note(struct sim_world *world, uint64_t what)
{
    world->hash = sim_scramble(world->hash ^ (what + world->now_ms * UINT64_C(0x100000001b3)));
}

bool world_failed(const struct sim_world *world)
{
    return world->verdict->failed;
}

/* ---- processes ---- */

uint32_t world_coord_process(uint32_t coord)
{
    return coord;
}

uint32_t world_agent_process(uint32_t agent)
{
    return SIM_COORDS + agent;
}

struct sim_process *world_process(struct sim_world *world, uint32_t index)
{
    return index < SIM_COORDS ? &world->coords[index].process
                              : &world->agents[index - SIM_COORDS].process;
}

void world_post(struct sim_world *world, uint32_t process, struct sim_event *event,
                uint64_t delay_ms)
{
    event->process = process;
    event->incarnation = world_process(world, process)->incarnation;
    event->posted_ms = world->now_ms + delay_ms;
    queue_push(world, event, world->now_ms + delay_ms);
}

static void process_kill(struct sim_world *world, uint32_t index)
{
    if (index < SIM_COORDS) {
        coord_proc_kill(world, index, false);
    } else {
        agent_proc_kill(world, index - SIM_COORDS);
    }
}

/* Few come by there, and it must have been died at. */
static uint32_t point_chances(enum fault_point point)
{
    return point == FAULT_C_FORCE_POST_LOG ? 8 : 1;
}

bool world_point(struct sim_world *world, uint32_t process, enum fault_point point)
{
    bool is_coord = process < SIM_COORDS;
    bool strikes = false;
    coverage_point(point);
    for (uint32_t i = 0; i < point_chances(point) && !strikes; i++) {
        strikes = fault_strikes(world, is_coord ? SIM_COORD_POINT : SIM_AGENT_POINT);
    }
    if (!strikes) {
        return false;
    }
    TRACE(world, is_coord ? LANE_COORD(process) : LANE_AGENT(process - SIM_COORDS), "dies at %s",
          fault_point_name(point));
    coverage_point_kill(point);
    process_kill(world, process);
    process_order_start(world, process, 20 + fault_below(world, 1500));
    return true;
}

void process_order_start(struct sim_world *world, uint32_t index, uint64_t delay_ms)
{
    struct sim_event *event = queue_new(world, EVENT_START);
    event->a = index;
    event->number = ++world_process(world, index)->starts;
    queue_push(world, event, world->now_ms + delay_ms);
}

void process_stop(struct sim_world *world, uint32_t index, uint64_t for_ms)
{
    struct sim_process *process = world_process(world, index);
    process->is_stopped = true;
    process->stopped_until_ms = world->now_ms + for_ms;
    struct sim_event *event = queue_new(world, EVENT_CONTINUE);
    event->a = index;
    event->incarnation = process->incarnation;
    queue_push(world, event, process->stopped_until_ms);
    if (index < SIM_COORDS) {
        coord_proc_passed(world, index); /* what it has decided is on its way */
    }
    if (for_ms >= SIM_SILENCE_MS) {
        network_process_died(world, index);
    }
}

void process_inbox_drop(struct sim_world *world, struct sim_process *process)
{
    while (process->inbox_first != NULL) {
        struct sim_event *event = process->inbox_first;
        process->inbox_first = event->next;
        queue_free(world, event);
    }
    process->inbox_last = NULL;
}

static void process_take(struct sim_world *world, struct sim_event *event)
{
    if (event->process < SIM_COORDS) {
        coord_proc_take(world, event->process, event);
    } else {
        agent_proc_take(world, event->process - SIM_COORDS, event);
    }
}

/* It goes on and finds everything that came meanwhile. */
static void process_continue(struct sim_world *world, const struct sim_event *event)
{
    struct sim_process *process = world_process(world, event->a);
    if (!process->is_alive || process->incarnation != event->incarnation || !process->is_stopped) {
        return;
    }
    process->is_stopped = false;
    struct sim_event *first = process->inbox_first;
    process->inbox_first = NULL;
    process->inbox_last = NULL;
    while (first != NULL) {
        struct sim_event *next = first->next;
        queue_push_ordered(world, first, world->now_ms, ++world->queue.next_tie);
        first = next;
    }
}

static bool session_is_known(struct sim_world *world, const struct sim_event *event)
{
    const uint64_t *sessions = event->kind == EVENT_AGENT_MESSAGE
                                   ? world->agents[event->process - SIM_COORDS].sessions
                                   : world->coords[event->process].sessions;
    return sessions[event->a] == event->session;
}

static void process_event(struct sim_world *world, struct sim_event *event)
{
    struct sim_process *process = world_process(world, event->process);
    bool is_message = event->kind == EVENT_AGENT_MESSAGE || event->kind == EVENT_COORD_MESSAGE;
    if (!process->is_alive || process->incarnation != event->incarnation) {
        queue_free(world, event);
        return;
    }
    if (process->is_stopped) {
        event->next = NULL;
        if (process->inbox_last != NULL) {
            process->inbox_last->next = event;
        } else {
            process->inbox_first = event;
        }
        process->inbox_last = event;
        return;
    }
    if (is_message && event->posted_ms == 0) {
        event->posted_ms = event->due_ms; /* when it came to this host */
    }
    if (!is_message || session_is_known(world, event) || fault_strikes(world, SIM_NET_STALE)) {
        world_note_event(world, event);
        process_take(world, event);
    } else if (event->process < SIM_COORDS) {
        coord_proc_passed(world, event->process);
    }
    queue_free(world, event);
}

static void process_start(struct sim_world *world, const struct sim_event *event)
{
    struct sim_process *process = world_process(world, event->a);
    if (process->is_alive || process->starts != event->number) {
        return;
    }
    if (event->a < SIM_COORDS) {
        coord_proc_start(world, event->a);
    } else {
        agent_proc_start(world, event->a - SIM_COORDS);
    }
}

/* ---- events of nobody ---- */

static void heal_tick(struct sim_world *world)
{
    char why[SIM_TEXT_SIZE];
    nemesis_heal_tick(world);
    operators_tick(world, true);
    if (coord_proc_serves(world, world->main_coord) &&
        !world->coords[world->main_coord].process.is_stopped) {
        accepted_give_up(world);
    }
    if (judge_is_quiet(world, why)) {
        judge_end(world);
        world->person_at_ms = world->now_ms;
        world->phase = operators_decide(world) > 0 ? PHASE_PERSON : PHASE_OVER;
        return;
    }
    bool connected = world->connected_at_ms != 0;
    uint64_t bound_ms = connected ? world->connected_at_ms + 20000 : world->heal_at_ms + 60000;
    if (connected && world->now_ms > world->connected_at_ms + 10000 &&
        !judge_is_unlocked(world, why)) { /* promise 4 of the README */
        law_broken(world, "L1", "10 s after everything healed: %s", why);
    }
    if (world->now_ms > bound_ms) {
        law_broken(world, "L1", "not resolved %llu ms after everything healed: %s",
                   (unsigned long long)(world->now_ms - world->heal_at_ms), why);
    }
}

static void tick(struct sim_world *world)
{
    if (world->phase == PHASE_CHAOS) {
        nemesis_tick(world);
        clients_look(world);
    } else if (world->phase == PHASE_HEAL) {
        clients_look(world);
        heal_tick(world);
    } else if (world->phase == PHASE_PERSON && operators_are_obeyed(world)) {
        world->phase = PHASE_OVER;
    }
    queue_push(world, queue_new(world, EVENT_TICK),
               world->now_ms + (world->phase == PHASE_CHAOS ? SIM_TICK_MS : 10 * SIM_TICK_MS));
}

static void free_event(struct sim_world *world, const struct sim_event *event)
{
    switch (event->kind) {
    case EVENT_SYNC:
        disk_synced(world, event->a, event);
        return;
    case EVENT_LAZY:
        disk_lazy(world, event->a, event);
        return;
    case EVENT_BACKEND:
        backend_event(world, event);
        return;
    case EVENT_KEEPER_RUN:
        edge_keeper_run(world, event->a, event);
        return;
    case EVENT_LOST_ANSWER:
        backend_lost_answer(world, event);
        return;
    case EVENT_DEADLINE:
        backend_deadline(world, event);
        return;
    case EVENT_DIAL:
        network_dialled(world, event->a, event->b);
        return;
    case EVENT_SILENCE:
        network_silence(world, event);
        return;
    case EVENT_START:
        process_start(world, event);
        return;
    case EVENT_CONTINUE:
        process_continue(world, event);
        return;
    case EVENT_PG_START:
        world->databases[event->a].is_up = true;
        return;
    case EVENT_PG_NORMAL:
        world->databases[event->a].is_read_only = false;
        return;
    case EVENT_CLIENT:
        clients_event(world, event);
        return;
    case EVENT_APPLICATION:
        applications_event(world, event);
        return;
    case EVENT_TICK:
        tick(world);
        return;
    case EVENT_HEAL:
        nemesis_heal(world);
        return;
    default:
        nemesis_event(world, event);
        return;
    }
}

void world_dispatch(struct sim_world *world, struct sim_event *event)
{
    CHECK(event->due_ms >= world->now_ms);
    world->now_ms = event->due_ms;
    world->verdict->events++;
    if (event->process != SIM_NOBODY) {
        process_event(world, event);
        return;
    }
    free_event(world, event);
    queue_free(world, event);
}

/* ---- birth and end ---- */

static void streams_init(struct sim_world *world)
{
    uint64_t seed = world->options.seed;
    struct sim_random *streams[] = {
        &world->schedule,      &world->network, &world->disk_random,    &world->database_random,
        &world->client_random, &world->payload, &world->operator_random};
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        streams[i]->state = sim_mix(seed, 10 + i);
        streams[i]->is_still = world->options.is_explored;
    }
}

static void config_draw(struct sim_world *world)
{
    struct sim_random random = {.state = sim_mix(world->options.seed, 20)};
    world->coord_config = (struct coord_config){
        .max_active = sim_one_in(&random, 3) ? (uint32_t)sim_between(&random, 1, 6) : 64,
        .max_queued = sim_one_in(&random, 6) ? (uint32_t)sim_between(&random, 1, 4) : 10000,
        .recent_max = sim_one_in(&random, 3) ? (uint32_t)sim_between(&random, 1, 8) : 10000,
        .drain_ms = sim_one_in(&random, 2) ? 1000 : 10000,
        .retention_ms = sim_between(&random, 3500, 6000),
        .trim_interval_ms = (uint32_t)sim_between(&random, 200, 1500),
    };
    struct sim_random talks = {.state = sim_mix(world->options.seed, 400)};
    world->coord_config.interactive_max = (uint32_t)sim_between(&talks, 2, 16);
    world->coord_config.interactive_idle_ms = (uint32_t)sim_between(&talks, 200, 2000);
    world->coord_config.interactive_result_bytes = (uint32_t)sim_between(&talks, 1, 1000);
    accepted_config(world);
    world->is_brisk = sim_one_in(&random, 3);
    world->has_rounds = sim_one_in(&random, 2);
    world->slow_max_ms = world->is_brisk ? 1000 : 3000;
    world->late_max_ms = world->is_brisk ? 1200 : 8000;
    world->stop_max_ms = world->is_brisk ? 1000 : 15000;
    if (!world->is_brisk) {
        world->coord_config.retention_ms = 0; /* a week */
        world->coord_config.trim_interval_ms = 0;
    }
    world->agent_config = (struct agent_config){
        .sweep_interval_ms =
            sim_one_in(&random, 2) ? 2000 : (uint32_t)sim_between(&random, 200, 2000),
        .inquiry_grace_ms =
            sim_one_in(&random, 2) ? 1000 : (uint32_t)sim_between(&random, 50, 1000),
        .retry_min_ms = 50,
        .retry_max_ms = 2000,
        .heartbeat_ms = 1000,
        .outcomes_page = 200,
        .interactive_max = sim_one_in(&talks, 4) ? 1 : 4,
        .tombstone_max = sim_one_in(&random, 4) ? (uint32_t)sim_between(&random, 0, 4) : 100000,
    };
    if (sim_mix(world->options.seed, 300) % 2 == 0 && !world->options.is_explored) {
        world->agent_config.outcomes_page = 3; /* several pages */
    }
    world->database_count = (uint32_t)sim_between(&random, 2, SIM_DATABASES);
    if (world->options.participant_count != 0) {
        world->database_count = world->options.participant_count;
    }
    if (world->options.is_explored) {
        world->coord_config = (struct coord_config){.max_active = 64,
                                                    .interactive_max = 4,
                                                    .interactive_idle_ms = 2000,
                                                    .interactive_result_bytes = 1000};
        world->agent_config.interactive_max = 4;
        world->agent_config.sweep_interval_ms = 2000;
        world->agent_config.inquiry_grace_ms = 1000;
        world->agent_config.tombstone_max = 100;
        world->is_brisk = false;
        world->has_rounds = false;
        world->has_accepted = false;
    }
    world->chaos_ms = sim_between(&random, 2000, world->is_brisk ? 14000 : 9000);
}

void world_init(struct sim_world *world)
{
    world->phase = PHASE_CHAOS;
    world->now_ms = SIM_BEGIN_MS;
    world->next_session = 1000;
    world->backup = SIM_NOBODY;
    streams_init(world);
    config_draw(world);
    if (!world->options.is_explored) {
        faults_draw(world);
    }
    uint32_t disk = disk_new(world, NULL, 0);
    for (uint32_t i = 0; i < SIM_COORDS; i++) {
        world->coords[i].disk = disk;
    }
    world->coords[0].is_used = true;
    for (uint32_t i = 0; i < world->database_count; i++) {
        database_init(world, i);
        world->agent_of[i] = i;
        world->agents[i].database = i;
        world->agents[i + SIM_DATABASES].database = i;
        process_order_start(world, world_agent_process(i), sim_below(&world->schedule, 30));
    }
    process_order_start(world, world_coord_process(0), sim_below(&world->schedule, 30));
    clients_init(world);
    if (!world->options.is_explored) {
        queue_push(world, queue_new(world, EVENT_TICK), world->now_ms + SIM_TICK_MS);
        queue_push(world, queue_new(world, EVENT_HEAL), world->now_ms + world->chaos_ms);
    }
}

static void truths_free(struct sim_world *world)
{
    while (world->truth_list != NULL) {
        struct sim_truth *truth = world->truth_list;
        world->truth_list = truth->next;
        free(truth);
    }
    while (world->attempt_list != NULL) {
        struct sim_attempt *attempt = world->attempt_list;
        world->attempt_list = attempt->next_of_world;
        free(attempt);
    }
    map_done(&world->truths);
    map_done(&world->attempts);
}

void world_done(struct sim_world *world)
{
    world->phase = PHASE_OVER; /* nothing strikes on the way out */
    for (uint32_t i = 0; i < SIM_COORDS; i++) {
        coord_proc_kill(world, i, false);
    }
    for (uint32_t i = 0; i < SIM_AGENTS; i++) {
        agent_proc_kill(world, i);
    }
    for (uint32_t i = 0; i < SIM_COORDS; i++) {
        free(world->coords[i].thread.waiting.records);
        free(world->coords[i].thread.writing.records);
    }
    queue_done(world);
    for (uint32_t i = 0; i < world->disk_count; i++) {
        batch_drop(&world->disks[i].kept);
        free(world->disks[i].kept.records);
        if (world->disks[i].journal != NULL) {
            journal_close(world->disks[i].journal);
        }
    }
    for (uint32_t i = 0; i < world->database_count; i++) {
        database_done(&world->databases[i]);
    }
    truths_free(world);
    accepted_free(world);
    free(world->ops);
    free(world->calls);
    free(world->applications);
}

void sim_run(const struct sim_options *options, struct sim_verdict *ret_verdict)
{
    struct sim_world *world = alloc_zeroed(sizeof(*world));
    memset(ret_verdict, 0, sizeof(*ret_verdict));
    world->options = *options;
    world->verdict = ret_verdict;
    world_init(world);
    while (!ret_verdict->failed && world->phase != PHASE_OVER) {
        struct sim_event *event = queue_pop(world);
        if (event == NULL || ret_verdict->events > EVENTS_MAX) {
            if (event != NULL) {
                queue_free(world, event);
            }
            law_broken(world, "L1", "the world does not come to rest");
            break;
        }
        world_dispatch(world, event);
    }
    ret_verdict->virtual_ms = world->now_ms - SIM_BEGIN_MS;
    world_note_rows(world);
    ret_verdict->hash = world->hash;
    world_done(world);
    free(world);
}

void sim_verdict_done(struct sim_verdict *verdict)
{
    free(verdict->strikes);
    verdict->strikes = NULL;
    verdict->strike_count = 0;
}
