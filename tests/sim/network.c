/*
 * network.c - sessions between coordinators and agents, as link.h promises them, and what a network does to messages.
 *
 * A session delivers messages of one direction in order, and may lose some. Beyond that the faults duplicate, overtake
 * and deliver after the session's end: the cores must survive it (messages.h). A session that ends is reported to both
 * sides, each at its own time, or only after SIM_SILENCE_MS of silence.
 */
#include <string.h>

#include "common/alloc.h"
#include "tests/sim/coverage.h"
#include "tests/sim/world.h"

enum direction { TO_AGENT = 0, TO_COORD = 1 };

void network_share(const struct message *from, struct message *ret_message)
{
    *ret_message = *from;
    if (from->kind == MESSAGE_WORK) {
        ret_message->as.work.work = blob_share(from->as.work.work);
    } else if (from->kind == MESSAGE_VOTE) {
        ret_message->as.vote.results = blob_share(from->as.vote.results);
        failure_copy(&from->as.vote.failure, &ret_message->as.vote.failure);
    } else if (from->kind == MESSAGE_STATEMENT) {
        ret_message->as.statement.work = blob_share(from->as.statement.work);
    } else if (from->kind == MESSAGE_ANSWER) {
        ret_message->as.answer.results = blob_share(from->as.answer.results);
    } else if (from->kind == MESSAGE_AUDITED) {
        ret_message->as.audited.findings = blob_share(from->as.audited.findings);
    } else if (from->kind == MESSAGE_AUDIT) {
        const struct audit_list *list = &from->as.audit.list;
        struct audit_item *items = alloc_array(list->count, sizeof(items[0]));
        memcpy(items, list->items, list->count * sizeof(items[0]));
        ret_message->as.audit.list.items = items;
    }
}

static void deliver(struct sim_world *world, uint32_t coord, uint32_t database,
                    enum direction direction, struct message *message, uint64_t due_ms,
                    bool in_order)
{
    struct sim_link *link = &world->links[coord][database];
    struct sim_event *event =
        queue_new(world, direction == TO_AGENT ? EVENT_AGENT_MESSAGE : EVENT_COORD_MESSAGE);
    event->as.message = *message;
    memset(message, 0, sizeof(*message));
    event->session = link->session;
    event->a = direction == TO_AGENT ? coord : database;
    event->posted_ms = 0;
    event->process =
        direction == TO_AGENT ? world_agent_process(link->agent) : world_coord_process(coord);
    event->incarnation = world_process(world, event->process)->incarnation;
    if (!in_order) {
        queue_push(world, event, due_ms);
        return;
    }
    if (due_ms > link->last_due_ms[direction]) {
        queue_push(world, event, due_ms);
    } else { /* behind what was sent before it */
        queue_push_ordered(world, event, link->last_due_ms[direction],
                           link->last_tie[direction] + 1);
    }
    link->last_due_ms[direction] = event->due_ms;
    link->last_tie[direction] = event->tie;
}

/* Takes the message. */
static void transmit(struct sim_world *world, uint32_t coord, uint32_t database,
                     enum direction direction, struct message *message)
{
    struct sim_link *link = &world->links[coord][database];
    const struct sim_process *sender =
        world_process(world, direction == TO_AGENT ? world_coord_process(coord)
                                                   : world_agent_process(link->agent));
    uint64_t due_ms = world->now_ms + sim_below(&world->network, 3);
    if (sender->is_stopped && sender->stopped_until_ms > due_ms) {
        due_ms = sender->stopped_until_ms; /* it was stopped before it came to this message */
    }
    if (link->blocked_until_ms[direction] > world->now_ms || link->is_silent ||
        fault_strikes(world, SIM_NET_LOSS)) {
        ARROW(world, direction == TO_AGENT ? LANE_COORD(coord) : LANE_AGENT(database), UINT32_MAX,
              "%s lost", trace_message_words(message, (char[TRACE_WORDS_SIZE]){0}));
        message_done(message);
        return;
    }
    if (message->kind != MESSAGE_HEAD &&
        message->kind != MESSAGE_HEALTH) { /* they come every second */
        ARROW(world, direction == TO_AGENT ? LANE_COORD(coord) : LANE_AGENT(database),
              direction == TO_AGENT ? LANE_AGENT(database) : LANE_COORD(coord), "%s",
              trace_message_words(message, (char[TRACE_WORDS_SIZE]){0}));
    }
    if (fault_strikes(world, SIM_NET_DUP)) {
        struct message copy;
        network_share(message, &copy);
        uint64_t late_ms = fault_below(world, fault_below(world, 6) == 0 ? 6000 : 500);
        /* No copy comes after the retention time, which in a brisk seed is a few seconds. */
        deliver(world, coord, database, direction, &copy,
                due_ms + (world->is_brisk ? late_ms % world->late_max_ms : late_ms), false);
    }
    if (fault_strikes(world, SIM_NET_REORDER)) {
        deliver(world, coord, database, direction, message, due_ms + fault_below(world, 1500),
                false);
        return;
    }
    if (fault_strikes(world, SIM_NET_DELAY)) {
        due_ms += fault_below(world, 3000);
    }
    deliver(world, coord, database, direction, message, due_ms, true);
}

void network_send_to_agent(struct sim_world *world, uint32_t coord, uint64_t session,
                           struct message *message)
{
    for (uint32_t i = 0; i < world->database_count; i++) {
        if (session != 0 && world->links[coord][i].session == session) {
            transmit(world, coord, i, TO_AGENT, message);
            return;
        }
    }
    message_done(message); /* the session is gone: dropped, as a network would */
}

void network_send_to_coord(struct sim_world *world, uint32_t agent, uint64_t session,
                           struct message *message)
{
    uint32_t database = world->agents[agent].database;
    for (uint32_t i = 0; i < SIM_COORDS; i++) {
        const struct sim_link *link = &world->links[i][database];
        if (session != 0 && link->session == session && link->agent == agent) {
            transmit(world, i, database, TO_COORD, message);
            return;
        }
    }
    message_done(message);
}

/* ---- sessions ---- */

void network_dial(struct sim_world *world, uint32_t coord, uint32_t database, uint64_t delay_ms)
{
    struct sim_link *link = &world->links[coord][database];
    if (link->session != 0 || link->is_dialling || !world->coords[coord].process.is_alive) {
        return;
    }
    link->is_dialling = true;
    struct sim_event *event = queue_new(world, EVENT_DIAL);
    event->a = coord;
    event->b = database;
    queue_push(world, event, world->now_ms + delay_ms);
}

static uint64_t backoff_ms(struct sim_world *world, struct sim_link *link)
{
    uint64_t delay_ms = UINT64_C(25) << (link->failures < 8 ? link->failures : 8);
    link->failures++;
    delay_ms = delay_ms < 5000 ? delay_ms : 5000;
    return delay_ms / 2 + sim_below(&world->network, delay_ms / 2 + 1);
}

/* Only one session per journal at an agent: a new one ends the older one, which may be another coordinator's. */
static void end_rivals(struct sim_world *world, uint32_t coord, uint32_t database)
{
    const struct sim_link *link = &world->links[coord][database];
    for (uint32_t i = 0; i < SIM_COORDS; i++) {
        const struct sim_link *other = &world->links[i][database];
        if (i != coord && other->session != 0 && other->agent == link->agent &&
            world->disks[world->coords[i].disk].identity ==
                world->disks[world->coords[coord].disk].identity) {
            network_break(world, i, database, true, true);
        }
    }
}

static void up(struct sim_world *world, uint32_t coord, uint32_t database)
{
    struct sim_link *link = &world->links[coord][database];
    link->session = ++world->next_session;
    link->is_silent = false;
    link->failures = 0;
    for (int direction = 0; direction < 2; direction++) {
        uint32_t process =
            direction == TO_AGENT ? world_agent_process(link->agent) : world_coord_process(coord);
        struct sim_event *event =
            queue_new(world, direction == TO_AGENT ? EVENT_AGENT_UP : EVENT_COORD_UP);
        event->session = link->session;
        event->process = process;
        event->incarnation = world_process(world, process)->incarnation;
        event->a = direction == TO_AGENT ? coord : database;
        memcpy(event->head.hash,
               journal_state(world->disks[world->coords[coord].disk].journal)->id.bytes,
               JOURNAL_ID_BYTES);
        queue_push(world, event, world->now_ms + sim_below(&world->network, 3));
        link->last_due_ms[direction] = event->due_ms; /* nothing of it arrives before */
        link->last_tie[direction] = event->tie;
    }
    TRACE(world, LANE_COORD(coord), "session %llu with %s", (unsigned long long)link->session,
          world->databases[database].name);
}

void network_dialled(struct sim_world *world, uint32_t coord, uint32_t database)
{
    struct sim_link *link = &world->links[coord][database];
    const struct sim_coord *dialler = &world->coords[coord];
    uint32_t agent = world->agent_of[database];
    link->is_dialling = false;
    if (!dialler->process.is_alive || dialler->core == NULL || link->session != 0 ||
        dialler->removed[database]) {
        return;
    }
    if (dialler->process.is_stopped || !world->agents[agent].process.is_alive ||
        world->agents[agent].process.is_stopped ||
        link->blocked_until_ms[TO_AGENT] > world->now_ms ||
        link->blocked_until_ms[TO_COORD] > world->now_ms) {
        network_dial(world, coord, database, backoff_ms(world, link));
        return;
    }
    link->agent = agent;
    end_rivals(world, coord, database);
    up(world, coord, database);
}

static void tell_down(struct sim_world *world, uint32_t process, enum sim_event_kind kind,
                      uint64_t session, uint64_t delay_ms)
{
    struct sim_event *event = queue_new(world, kind);
    event->session = session;
    world_post(world, process, event, delay_ms);
}

void network_break(struct sim_world *world, uint32_t coord, uint32_t database, bool tell_coord,
                   bool tell_agent)
{
    struct sim_link *link = &world->links[coord][database];
    if (link->session == 0) {
        return;
    }
    if (tell_coord) {
        tell_down(world, world_coord_process(coord), EVENT_COORD_DOWN, link->session,
                  sim_below(&world->network, 20));
    }
    if (tell_agent) {
        tell_down(world, world_agent_process(link->agent), EVENT_AGENT_DOWN, link->session,
                  sim_below(&world->network, 20));
    }
    link->session = 0;
    network_dial(world, coord, database, backoff_ms(world, link));
}

static void silence_later(struct sim_world *world, uint32_t coord, uint32_t database)
{
    struct sim_event *event = queue_new(world, EVENT_SILENCE);
    event->a = coord;
    event->b = database;
    event->session = world->links[coord][database].session;
    queue_push(world, event, world->now_ms + SIM_SILENCE_MS);
}

void network_silence(struct sim_world *world, const struct sim_event *event)
{
    struct sim_link *link = &world->links[event->a][event->b];
    bool is_blocked =
        link->blocked_until_ms[0] > world->now_ms || link->blocked_until_ms[1] > world->now_ms;
    const struct sim_process *coord = world_process(world, world_coord_process(event->a));
    const struct sim_process *agent = world_process(world, world_agent_process(link->agent));
    if (link->session == event->session &&
        (is_blocked || link->is_silent || coord->is_stopped || agent->is_stopped)) {
        network_break(world, event->a, event->b, true, true);
    }
}

void network_block(struct sim_world *world, uint32_t coord, uint32_t database, int direction,
                   uint64_t for_ms)
{
    struct sim_link *link = &world->links[coord][database];
    uint64_t until_ms = world->now_ms + for_ms;
    if (until_ms > link->blocked_until_ms[direction]) {
        link->blocked_until_ms[direction] = until_ms;
    }
    if (link->session != 0) {
        silence_later(world, coord, database);
    }
}

/* Its kernel closes its connections, or its machine is gone and only silence tells. Also for a process that is stopped:
 * then nothing is closed, and silence tells in either case. */
void network_process_died(struct sim_world *world, uint32_t process)
{
    for (uint32_t coord = 0; coord < SIM_COORDS; coord++) {
        for (uint32_t i = 0; i < world->database_count; i++) {
            struct sim_link *link = &world->links[coord][i];
            bool is_coord = process == world_coord_process(coord);
            if (link->session == 0 || (!is_coord && process != world_agent_process(link->agent))) {
                continue;
            }
            if (world_process(world, process)->is_alive) { /* stopped */
                silence_later(world, coord, i);
            } else if (!is_coord && fault_strikes(world, SIM_NET_HALF_OPEN)) {
                link->is_silent = true;
                silence_later(world, coord, i);
            } else {
                network_break(world, coord, i, !is_coord, is_coord);
            }
        }
    }
}
