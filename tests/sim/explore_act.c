/* explore_act.c - see explore_act.h. */
#include "tests/sim/explore_act.h"

#include "common/check.h"

const char *explore_kind_text(enum explore_kind kind)
{
    switch (kind) {
    case EXPLORE_EVENT:
        return "events";
    case EXPLORE_END:
        return "ends";
    case EXPLORE_COORD_KILL:
        return "coordinator dies, unsynced batch lost";
    case EXPLORE_COORD_KEPT:
        return "coordinator dies, unsynced batch kept";
    case EXPLORE_AGENT_KILL:
        return "agent dies";
    case EXPLORE_DATABASE_CRASH:
        return "database crashes, work under way lost";
    case EXPLORE_DATABASE_KEPT:
        return "database crashes, work under way done";
    case EXPLORE_CONNECTION:
        return "connection to the database lost";
    case EXPLORE_SYNC_FAILS:
        return "sync fails, batch lost";
    case EXPLORE_SYNC_KEPT:
        return "sync fails, batch kept";
    case EXPLORE_LOSE:
        return "message lost";
    case EXPLORE_DUPLICATE:
        return "message comes twice";
    case EXPLORE_TIMEOUT:
        return "time passes too early";
    case EXPLORE_KIND_COUNT:
        break;
    }
    return "";
}

/* ---- events ---- */

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

static const struct sim_process *its_process(const struct sim_world *world, uint32_t index)
{
    return index < SIM_COORDS ? &world->coords[index].process
                              : &world->agents[index - SIM_COORDS].process;
}

/* A keeper's turn in a process that is gone, a client that has its answer and asks no more, a backend whose client waits no
 * more: nobody comes back to these. */
static bool is_forgone(const struct sim_world *world, const struct sim_event *event)
{
    switch (event->kind) {
    case EVENT_KEEPER_RUN: {
        const struct sim_process *process = &world->agents[event->a].process;
        return !process->is_alive || process->incarnation != event->incarnation;
    }
    case EVENT_CLIENT:
        return world->ops[event->number].is_settled;
    case EVENT_LOST_ANSWER:
    case EVENT_DEADLINE:
        return !world->databases[event->a].backends[event->b].is_attached;
    default:
        return false;
    }
}

bool explore_is_moot(const struct sim_world *world, const struct sim_event *event)
{
    if (!world->options.is_unreduced && is_forgone(world, event)) {
        return true;
    }
    if (event->process != SIM_NOBODY) {
        const struct sim_process *process = its_process(world, event->process);
        if (!process->is_alive || process->incarnation != event->incarnation) {
            return true;
        }
    }
    switch (event->kind) {
    case EVENT_COORD_TIMER:
        return world->coords[event->process].timer_number != event->number;
    case EVENT_AGENT_TIMER:
        return world->agents[event->process - SIM_COORDS].timer_number != event->number;
    case EVENT_START:
        return its_process(world, event->a)->starts != event->number;
    case EVENT_SYNC: {
        const struct sim_coord *coord = &world->coords[event->a];
        return !coord->process.is_alive || coord->process.incarnation != event->incarnation ||
               !coord->thread.is_writing || coord->thread.write_number != event->number;
    }
    case EVENT_LAZY: {
        const struct sim_process *process = &world->coords[event->a].process;
        return !process->is_alive || process->incarnation != event->incarnation;
    }
    case EVENT_BACKEND:
    case EVENT_LOST_ANSWER:
    case EVENT_DEADLINE: {
        const struct sim_backend *backend = &world->databases[event->a].backends[event->b];
        return backend->stage == BACKEND_FREE || backend->generation != event->number;
    }
    default:
        return false;
    }
}

/* Now it would do nothing, and nothing is lost if it comes now and not later: a timer that was moved meanwhile is set again
 * for its moment, and what moves it back sets one of its own; a message of a session that its receiver does not know (UP
 * would come before it) reaches no core; lazy records wait for the sync that is under way, which looks after them. */
static bool is_idle(const struct sim_world *world, const struct sim_event *event)
{
    if (world->options.is_unreduced) {
        return false;
    }
    switch (event->kind) {
    case EVENT_COORD_TIMER:
        return world->now_ms < world->coords[event->process].deadline_ms;
    case EVENT_AGENT_TIMER:
        return world->now_ms < world->agents[event->process - SIM_COORDS].deadline_ms;
    case EVENT_COORD_MESSAGE:
        return world->coords[event->process].sessions[event->a] != event->session;
    case EVENT_AGENT_MESSAGE:
        return world->agents[event->process - SIM_COORDS].sessions[event->a] != event->session;
    case EVENT_LAZY: {
        const struct sim_thread *thread = &world->coords[event->a].thread;
        return thread->is_writing || thread->has_failed ||
               (thread->waiting.count == 0 && !thread->has_trim);
    }
    default:
        return false;
    }
}

static void add(struct explore_actions *actions, enum explore_kind kind, size_t slot)
{
    CHECK(actions->count < EXPLORE_ACTIONS_MAX);
    actions->items[actions->count++] = (struct explore_action){.kind = kind, .slot = slot};
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
        CHECK(count < EXPLORE_ACTIONS_MAX);
        size_t at = count++;
        while (at > 0 && world->queue.slots[slots[at - 1]].event->tie > event->tie) {
            slots[at] = slots[at - 1];
            at--;
        }
        slots[at] = i;
    }
    return count;
}

bool explore_is_before(const struct sim_event *other, const struct sim_event *event)
{
    if (event->session == 0 || other->session != event->session ||
        other->process != event->process || other->copy_of != 0) {
        return false;
    }
    return event->copy_of != 0 ? other->tie <= event->copy_of : other->tie < event->tie;
}

/* Of one session's direction only the first may come: UP, then messages in order. A copy comes any time after the message that it is
 * of, and nobody waits for it. */
static bool is_behind(const struct sim_world *world, const size_t *slots, size_t due, size_t index)
{
    const struct sim_event *event = world->queue.slots[slots[index]].event;
    for (size_t i = 0; i < due; i++) {
        if (explore_is_before(world->queue.slots[slots[i]].event, event)) {
            return true;
        }
    }
    return false;
}

/* Either what may come next, or the one thing that comes without a choice. */
static void events_find(const struct explore_options *options, struct sim_world *world,
                        struct explore_actions *actions)
{
    size_t slots[EXPLORE_ACTIONS_MAX];
    size_t due = due_find(world, slots);
    for (size_t i = 0; i < due; i++) {
        const struct sim_event *event = world->queue.slots[slots[i]].event;
        if (is_behind(world, slots, due, i)) {
            continue;
        }
        if (explore_is_moot(world, event) || is_idle(world, event) ||
            (!options->wants_every_order && is_handshake(world, event))) {
            actions->items[0] = (struct explore_action){.kind = EXPLORE_EVENT, .slot = slots[i]};
            actions->count = 1;
            actions->is_forced = true;
            return;
        }
        add(actions, EXPLORE_EVENT, slots[i]);
    }
}

/* ---- faults ---- */

/* Its statements, or its end, could be done although nobody hears of it. */
static bool may_be_done_unheard(const struct sim_backend *backend)
{
    return backend->stage == BACKEND_FINISH ||
           (backend->stage == BACKEND_PREPARE && !backend->by_rollback) ||
           (backend->stage == BACKEND_BODY && !backend->is_split && !backend->is_interactive &&
            !backend->by_rollback);
}

static void database_faults_find(const struct sim_world *world, uint32_t index,
                                 struct explore_actions *actions)
{
    const struct sim_database *database = &world->databases[index];
    bool works = false;
    for (size_t i = 0; i < database->backend_count; i++) {
        const struct sim_backend *backend = &database->backends[i];
        if (backend->stage != BACKEND_FREE && backend->is_attached) {
            add(actions, EXPLORE_CONNECTION, (size_t)index * SIM_BACKENDS_MAX + i);
        }
        works = works || may_be_done_unheard(backend);
    }
    if (database->is_up) {
        add(actions, EXPLORE_DATABASE_CRASH, index);
        if (works) {
            add(actions, EXPLORE_DATABASE_KEPT, index);
        }
    }
}

static void faults_find(const struct sim_world *world, size_t events,
                        struct explore_actions *actions)
{
    for (size_t i = 0; i < events; i++) {
        size_t slot = actions->items[i].slot;
        const struct sim_event *event = world->queue.slots[slot].event;
        if (is_message(event)) {
            add(actions, EXPLORE_LOSE, slot);
            add(actions, EXPLORE_DUPLICATE, slot);
        } else if (event->kind == EVENT_SYNC) {
            add(actions, EXPLORE_SYNC_FAILS, slot);
            add(actions, EXPLORE_SYNC_KEPT, slot);
        }
    }
    const struct sim_coord *coord = &world->coords[0];
    if (coord->process.is_alive) {
        add(actions, EXPLORE_COORD_KILL, 0);
        if (coord->thread.is_writing) {
            add(actions, EXPLORE_COORD_KEPT, 0);
        }
    }
    for (uint32_t i = 0; i < world->database_count; i++) {
        if (world->agents[i].process.is_alive) {
            add(actions, EXPLORE_AGENT_KILL, i);
        }
        database_faults_find(world, i, actions);
    }
    if (events > 0) { /* with nothing to do, time passes anyway */
        add(actions, EXPLORE_TIMEOUT, 0);
    }
}

static bool everything_is_over(const struct sim_world *world)
{
    struct coord_counters counters;
    if (!clients_settled(world) || !coord_proc_serves(world, 0) || !accepted_is_over(world)) {
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
        for (size_t k = 0; k < world->databases[i].backend_count; k++) {
            if (world->databases[i].backends[k].stage != BACKEND_FREE) {
                return false;
            }
        }
    }
    return counters.running && counters.reconciled && counters.live == 0;
}

void explore_find(const struct explore_options *options, struct sim_world *world, bool with_faults,
                  struct explore_actions *ret_actions)
{
    bool has_begun = world->call_count > 0; /* before the first request there is one order only */
    ret_actions->count = 0;
    ret_actions->is_forced = false;
    ret_actions->is_time_next = false;
    events_find(options, world, ret_actions);
    size_t events = ret_actions->count;
    if (!ret_actions->is_forced && has_begun && everything_is_over(world)) {
        add(ret_actions, EXPLORE_END, 0);
    }
    ret_actions->plain = ret_actions->count;
    if (ret_actions->count == 0) {
        ret_actions->is_time_next = true;
    } else if (!ret_actions->is_forced && has_begun && with_faults) {
        faults_find(world, events, ret_actions);
    }
    ret_actions->is_forced = ret_actions->is_forced || !has_begun;
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

/* Only the clock: of timers that fall due together each may be the first, and a fault may strike before it. */
bool explore_pass_time(struct sim_world *world)
{
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; i < world->queue.count; i++) {
        const struct sim_event *event = world->queue.slots[i].event;
        if (event->due_ms > world->now_ms && event->due_ms < next_ms &&
            !explore_is_moot(world, event)) {
            next_ms = event->due_ms;
        }
    }
    if (next_ms == UINT64_MAX) {
        return false;
    }
    world->now_ms = next_ms;
    return true;
}

static void lose(struct sim_world *world, size_t slot)
{
    struct sim_event *event = take(world, slot);
    ARROW(world, event->kind == EVENT_AGENT_MESSAGE ? LANE_COORD(0) : LANE_AGENT(event->a),
          UINT32_MAX, "%s lost",
          trace_message_words(&event->as.message, (char[TRACE_WORDS_SIZE]){0}));
    queue_free(world, event);
}

static void duplicate(struct sim_world *world, size_t slot)
{
    const struct sim_event *event = world->queue.slots[slot].event;
    struct sim_event *copy = queue_new(world, event->kind);
    struct sim_event *free_next = copy->next;
    *copy = *event;
    copy->next = free_next;
    network_share(&event->as.message, &copy->as.message);
    copy->copy_of = event->copy_of != 0 ? event->copy_of : event->tie;
    queue_push(world, copy, world->now_ms); /* comes when it likes, behind the first */
}

/* The process and its machine are one here: what was written but not synced is lost or kept, and either way the next start
 * finds it so; what a machine takes along beyond that, a batch that survived an earlier death in the page cache, does not
 * outlive the start between two deaths (disk_open). */
static void kill_coord(struct sim_world *world, bool keeps_batch)
{
    world->keeps_batch = keeps_batch;
    coord_proc_kill(world, 0, true);
    world->keeps_batch = false;
    process_order_start(world, world_coord_process(0), 0);
}

static void fail_sync(struct sim_world *world, size_t slot, bool keeps_batch)
{
    world->coords[world->queue.slots[slot].event->a].thread.fails_next = true;
    world->keeps_batch = keeps_batch;
    world_dispatch(world, take(world, slot));
    world->keeps_batch = false;
}

static struct sim_event backend_says(const struct sim_database *database, size_t index)
{
    return (struct sim_event){
        .a = database->index, .b = (uint32_t)index, .number = database->backends[index].generation};
}

static void crash_database(struct sim_world *world, uint32_t index, bool keeps_work)
{
    struct sim_database *database = &world->databases[index];
    for (size_t i = 0; keeps_work && i < database->backend_count; i++) {
        if (may_be_done_unheard(&database->backends[i])) {
            struct sim_event event = backend_says(database, i);
            backend_lost_answer(world, &event);
            backend_event(world, &event);
        }
    }
    nemesis_stop_database(world, database, 0);
}

void explore_act(struct sim_world *world, const struct explore_action *action)
{
    size_t slot = action->slot;
    switch (action->kind) {
    case EXPLORE_EVENT:
        world_dispatch(world, take(world, slot));
        return;
    case EXPLORE_LOSE:
        lose(world, slot);
        return;
    case EXPLORE_DUPLICATE:
        duplicate(world, slot);
        return;
    case EXPLORE_COORD_KILL:
    case EXPLORE_COORD_KEPT:
        kill_coord(world, action->kind == EXPLORE_COORD_KEPT);
        return;
    case EXPLORE_AGENT_KILL:
        agent_proc_kill(world, (uint32_t)slot);
        process_order_start(world, world_agent_process((uint32_t)slot), 0);
        return;
    case EXPLORE_DATABASE_CRASH:
    case EXPLORE_DATABASE_KEPT:
        crash_database(world, (uint32_t)slot, action->kind == EXPLORE_DATABASE_KEPT);
        return;
    case EXPLORE_CONNECTION: {
        struct sim_event event =
            backend_says(&world->databases[slot / SIM_BACKENDS_MAX], slot % SIM_BACKENDS_MAX);
        backend_lost_answer(world, &event);
        return;
    }
    case EXPLORE_SYNC_FAILS:
    case EXPLORE_SYNC_KEPT:
        fail_sync(world, slot, action->kind == EXPLORE_SYNC_KEPT);
        return;
    case EXPLORE_TIMEOUT:
        TRACE(world, LANE_CLIENT, "time passes too early");
        (void)explore_pass_time(world);
        return;
    case EXPLORE_END:
    case EXPLORE_KIND_COUNT:
        break;
    }
    CHECK(!"nothing to do");
}
