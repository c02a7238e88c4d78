/* nemesis.c - faults that come by the clock, and the end of all faults. */
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/world.h"

/* ---- processes ---- */

static void restart_later(struct sim_world *world, uint32_t process)
{
    process_order_start(world, process, 20 + fault_below(world, 2000));
}

static void strike_coord(struct sim_world *world)
{
    uint32_t index = world->coords[1].process.is_alive && fault_below(world, 2) == 0 ? 1 : 0;
    uint32_t process = world_coord_process(index);
    struct sim_process *its = &world->coords[index].process;
    if (fault_strikes(world, SIM_COORD_KILL) && its->is_alive) {
        coord_proc_kill(world, index, false);
        restart_later(world, process);
    }
    if (fault_strikes(world, SIM_COORD_POWER) && its->is_alive) {
        coord_proc_kill(world, index, true);
        restart_later(world, process);
    }
    if (fault_strikes(world, SIM_COORD_STOP) && its->is_alive && !its->is_stopped) {
        TRACE(world, LANE_COORD(index), "is stopped");
        process_stop(world, process, 50 + fault_below(world, world->stop_max_ms));
    }
    if (fault_strikes(world, SIM_COORD_DRAIN) && coord_proc_serves(world, index)) {
        world_post(world, process, queue_new(world, EVENT_COORD_DRAIN), 0);
    }
}

/* The agent sleeps, another process takes its place, and then it wakes. */
static void strike_twin(struct sim_world *world, uint32_t database)
{
    uint32_t old = world->agent_of[database];
    uint32_t new = old < SIM_DATABASES ? old + SIM_DATABASES : old - SIM_DATABASES;
    if (!world->agents[old].process.is_alive || world->agents[old].process.is_stopped) {
        return;
    }
    agent_proc_kill(world, new); /* the twin of an earlier time */
    TRACE(world, LANE_AGENT(old), "is stopped and replaced");
    process_stop(world, world_agent_process(old), 200 + fault_below(world, world->stop_max_ms));
    world->databases[database].had_twin = true;
    for (uint32_t coord = 0; coord < SIM_COORDS; coord++) {
        network_break(world, coord, database, true, true);
    }
    world->agent_of[database] = new;
    process_order_start(world, world_agent_process(new), 20 + fault_below(world, 500));
}

static void strike_agent(struct sim_world *world)
{
    if (fault_strikes(world, SIM_AGENT_KILL)) {
        uint32_t database = (uint32_t)fault_below(world, world->database_count);
        uint32_t agent = world->agent_of[database];
        agent_proc_kill(world, agent);
        restart_later(world, world_agent_process(agent));
    }
    if (fault_strikes(world, SIM_AGENT_STOP)) {
        uint32_t agent = world->agent_of[fault_below(world, world->database_count)];
        struct sim_process *process = &world->agents[agent].process;
        if (process->is_alive && !process->is_stopped) {
            TRACE(world, LANE_AGENT(agent), "is stopped");
            process_stop(world, world_agent_process(agent),
                         50 + fault_below(world, world->stop_max_ms));
        }
    }
    if (fault_strikes(world, SIM_AGENT_TWIN)) {
        strike_twin(world, (uint32_t)fault_below(world, world->database_count));
    }
    if (fault_strikes(world, SIM_AGENT_DRAIN)) {
        uint32_t agent = world->agent_of[fault_below(world, world->database_count)];
        if (world->agents[agent].process.is_alive) {
            world_post(world, world_agent_process(agent), queue_new(world, EVENT_AGENT_DRAIN), 0);
        }
    }
}

/* ---- the network ---- */

static void strike_network(struct sim_world *world)
{
    if (fault_strikes(world, SIM_NET_BREAK)) {
        network_break(world, (uint32_t)fault_below(world, SIM_COORDS),
                      (uint32_t)fault_below(world, world->database_count), true, true);
    }
    for (int direction = 0; direction < 2; direction++) {
        if (fault_strikes(world, direction == 0 ? SIM_NET_TO_AGENT : SIM_NET_TO_COORD)) {
            uint32_t database = (uint32_t)fault_below(world, world->database_count);
            TRACE(world, LANE_AGENT(database), "partition, direction %d", direction);
            network_block(world, 0, database, direction, 50 + fault_below(world, 14000));
        }
    }
}

/* ---- databases ---- */

/* Did it reach the WAL before the end? The explorer decides that beforehand. */
static bool is_done_unheard(struct sim_world *world)
{
    return !world->options.is_explored && fault_below(world, 2) == 0;
}

static void connections_end(struct sim_world *world, struct sim_database *database)
{
    database->starts++;
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        struct sim_backend *backend = &database->backends[i];
        if (backend->stage == BACKEND_PREPARE && !backend->by_rollback && backend->holds_locks &&
            is_done_unheard(world)) {
            backend->attempt->xid8 = database->next_xid++;
            backend->holds_locks = false;
            database_prepare(world, database, backend->attempt);
        } else if (backend->stage == BACKEND_FINISH && is_done_unheard(world)) {
            struct sim_attempt *attempt = database_prepared(database, &backend->finish.gid);
            if (attempt != NULL) {
                database_end(world, database, attempt, backend->finish.commit);
            }
        }
        if (backend->stage != BACKEND_FREE) {
            backend_end(world, database, backend);
        }
    }
}

void nemesis_stop_database(struct sim_world *world, struct sim_database *database, uint64_t for_ms)
{
    if (!database->is_up) {
        return;
    }
    TRACE(world, LANE_DATABASE(database->index), "down for %llu ms", (unsigned long long)for_ms);
    database->is_up = false;
    connections_end(world, database);
    struct sim_event *event = queue_new(world, EVENT_PG_START);
    event->a = database->index;
    queue_push(world, event, world->now_ms + for_ms);
}

static struct sim_database *any_database(struct sim_world *world)
{
    return &world->databases[fault_below(world, world->database_count)];
}

void nemesis_fail_over(struct sim_world *world, struct sim_database *database, uint64_t lost,
                       bool new_timeline)
{
    TRACE(world, LANE_DATABASE(database->index), "goes on without its last %llu changes",
          (unsigned long long)lost);
    connections_end(world, database);
    database_lose(world, database, database->lsn > lost * 64 ? database->lsn - lost * 64 : 0);
    database->has_lost =
        true; /* a proof by xid is not believed any more, even if nothing is gone */
    database->timeline += new_timeline;
    database_own_commit(database);
}

void nemesis_prepare_foreign(struct sim_world *world, struct sim_database *database,
                             const char *text, const struct gid *gid, bool is_elsewhere)
{
    struct sim_attempt *attempt = alloc_zeroed(sizeof(*attempt));
    (void)snprintf(attempt->text, sizeof(attempt->text), "%s", text);
    if (gid != NULL) {
        attempt->gid = *gid;
    }
    attempt->is_stranger = true;
    attempt->is_elsewhere = is_elsewhere;
    attempt->database = database->index;
    attempt->xid8 = database->next_xid++;
    attempt->next_of_world = world->attempt_list;
    world->attempt_list = attempt;
    database_prepare(world, database, attempt);
}

static void strike_foreign(struct sim_world *world, struct sim_database *database)
{
    char text[GID_TEXT_SIZE];
    struct gid gid = {.attempt = world->fault_bits | 1};
    memset(gid.gtrid.journal.bytes, 0xee, JOURNAL_ID_BYTES);
    gid.gtrid.epoch = 1;
    gid.gtrid.epoch_nonce = 5;
    gid.gtrid.sequence = fault_below(world, 50) + 1;
    (void)snprintf(gid.participant, sizeof(gid.participant), "%s", database->name);
    const struct sim_disk *disk = &world->disks[world->coords[0].disk];
    uint64_t kind = fault_below(world, 6);
    if (disk->journal != NULL && kind >= 4) { /* as if of our own journal */
        gid.gtrid.journal = journal_state(disk->journal)->id;
        gid.gtrid.epoch = disk->last_epoch;
    }
    switch (kind) {
    case 0:
        (void)snprintf(text, sizeof(text), "other-%llu", (unsigned long long)world->fault_bits);
        break;
    case 1:
        (void)snprintf(text, sizeof(text), "assent:old-%llu",
                       (unsigned long long)world->fault_bits);
        break;
    case 2: /* of another participant in the same server */
    case 4: /* and of a transaction that our coordinator might know */
        (void)snprintf(gid.participant, sizeof(gid.participant), "%s", "neighbour");
        gid_format(&gid, text);
        break;
    default: /* of a coordinator that nobody here knows, or that the known one never gave out */
        gid_format(&gid, text);
        break;
    }
    /* The cluster's view shows them side by side; only what is in our database could be ours. Drawn last. */
    bool is_elsewhere = fault_below(world, 3) == 0;
    nemesis_prepare_foreign(world, database, text, kind < 2 ? NULL : &gid, is_elsewhere);
}

static void strike_human(struct sim_world *world, bool commit)
{
    struct sim_database *database = any_database(world);
    for (size_t i = 0; i < database->prepared_count; i++) {
        struct sim_attempt *attempt =
            database->prepared[(fault_below(world, 1000) + i) % database->prepared_count];
        if (!attempt->is_stranger && !attempt->is_another && database->is_up) {
            TRACE(world, LANE_DATABASE(database->index), "somebody %s %016llx by hand",
                  commit ? "commits" : "rolls back", (unsigned long long)attempt->gid.attempt);
            attempt->by_human = true;
            attempt->truth->is_excused = true;
            database_end(world, database, attempt, commit);
            return;
        }
    }
}

static void strike_databases(struct sim_world *world)
{
    if (fault_strikes(world, SIM_PG_CRASH)) {
        nemesis_stop_database(world, any_database(world), fault_below(world, 400));
    }
    if (fault_strikes(world, SIM_PG_DOWN)) {
        nemesis_stop_database(world, any_database(world), 200 + fault_below(world, 5000));
    }
    if (fault_strikes(world, SIM_PG_READ_ONLY)) {
        struct sim_database *database = any_database(world);
        connections_end(world, database);
        database->is_read_only = true;
        struct sim_event *event = queue_new(world, EVENT_PG_NORMAL);
        event->a = database->index;
        queue_push(world, event, world->now_ms + 200 + fault_below(world, 3000));
    }
    if (fault_strikes(world, SIM_PG_FOREIGN)) {
        strike_foreign(world, any_database(world));
    }
    if (fault_strikes(world, SIM_PG_PROMOTE)) {
        struct sim_database *database = any_database(world);
        nemesis_fail_over(world, database, fault_below(world, 12), true);
    }
    if (fault_strikes(world, SIM_PG_RESTORE)) {
        struct sim_database *database = any_database(world);
        uint64_t lost = 10 + fault_below(world, database->wal_count + 1);
        nemesis_fail_over(world, database, lost, fault_below(world, 2) == 0);
    }
    if (fault_strikes(world, SIM_HUMAN_ROLLBACK)) {
        strike_human(world, false);
    }
    if (fault_strikes(world, SIM_HUMAN_COMMIT)) {
        strike_human(world, true);
    }
    if (fault_strikes(world, SIM_APP_OTHER)) {
        struct sim_database *database = any_database(world);
        if (database->is_up && !database->is_read_only) {
            applications_prepare_again(world, database);
        }
    }
}

/* ---- journals ---- */

static void later(struct sim_world *world, enum sim_event_kind kind, uint32_t a, uint32_t b,
                  uint64_t delay_ms)
{
    struct sim_event *event = queue_new(world, kind);
    event->a = a;
    event->b = b;
    queue_push(world, event, world->now_ms + delay_ms);
}

static void tell_space(struct sim_world *world, bool has_space)
{
    world->disks[world->coords[0].disk].has_space = has_space;
    if (coord_proc_serves(world, 0)) {
        struct sim_event *event = queue_new(world, EVENT_COORD_SPACE);
        event->b = has_space;
        world_post(world, world_coord_process(0), event, 1);
    }
}

/* A copy is put aside now, and some time later the coordinator is started on it. */
static void strike_restore(struct sim_world *world)
{
    const struct sim_coord *coord = &world->coords[0];
    if (world->disks[coord->disk].journal == NULL || world->backup != SIM_NOBODY ||
        world->disk_count >= SIM_DISKS) {
        return;
    }
    world->backup = disk_copy(world, coord->disk);
    TRACE(world, LANE_JOURNAL(0), "a copy is put aside");
    later(world, EVENT_RESTORED, 0, 0, 300 + fault_below(world, 4000));
}

static void restored(struct sim_world *world)
{
    struct sim_coord *coord = &world->coords[0];
    if (world->phase != PHASE_CHAOS || world->disks[world->backup].copied_from != coord->disk) {
        return;
    }
    TRACE(world, LANE_JOURNAL(0), "the older copy is restored");
    coord_proc_kill(world, 0, false);
    coord->disk = world->backup;
    process_order_start(world, world_coord_process(0), 100);
}

static void strike_second(struct sim_world *world, bool is_copy)
{
    struct sim_coord *second = &world->coords[1];
    if (second->process.is_alive || world->disks[world->coords[0].disk].journal == NULL ||
        (is_copy && world->disk_count >= SIM_DISKS)) {
        return;
    }
    second->disk = is_copy ? disk_copy(world, world->coords[0].disk) : world->coords[0].disk;
    second->is_used = true;
    TRACE(world, LANE_JOURNAL(1), is_copy ? "a copy is started" : "the same journal is started");
    process_order_start(world, world_coord_process(1), fault_below(world, 1500));
}

static void strike_journal(struct sim_world *world)
{
    struct sim_coord *coord = &world->coords[0];
    if (fault_strikes(world, SIM_LOG_FULL)) {
        tell_space(world, false);
        later(world, EVENT_SPACE_BACK, 0, 0, 300 + fault_below(world, 3000));
    }
    if (fault_strikes(world, SIM_LOG_DAMAGED)) {
        coord_proc_kill(world, 0, false);
        world->disks[coord->disk].is_damaged = true;
        restart_later(world, world_coord_process(0));
        later(world, EVENT_REPAIRED, 0, 0, 2500 + fault_below(world, 2000));
    }
    if (fault_strikes(world, SIM_LOG_DELETED) && world->disk_count < SIM_DISKS) {
        coord_proc_kill(world, 0, true);
        coord->disk = disk_new(world, NULL, 0);
        restart_later(world, world_coord_process(0));
    }
    if (fault_strikes(world, SIM_LOG_RESTORED)) {
        strike_restore(world);
    }
    if (fault_strikes(world, SIM_LOG_COPIED)) {
        strike_second(world, true);
    }
    if (fault_strikes(world, SIM_LOG_SHARED)) {
        strike_second(world, false);
    }
}

static void strike_operators(struct sim_world *world)
{
    operators_tick(world, false);
    if (coord_proc_serves(world, world->main_coord) &&
        !world->coords[world->main_coord].process.is_stopped) {
        accepted_operate(world);
    }
    if (fault_strikes(world, SIM_CLOCK_JUMP)) {
        world->wall_offset_ms = (int64_t)fault_below(world, 7200000) - 3600000;
    }
    if (fault_strikes(world, SIM_RECONFIGURE) && coord_proc_serves(world, 0)) {
        uint32_t database = (uint32_t)fault_below(world, world->database_count);
        struct sim_event *event = queue_new(world, EVENT_COORD_RECONFIGURE);
        event->a = database;
        world_post(world, world_coord_process(0), event, 0);
        later(world, EVENT_ADD_BACK, 0, database, 300 + fault_below(world, 2000));
    }
}

void nemesis_tick(struct sim_world *world)
{
    strike_coord(world);
    strike_agent(world);
    strike_network(world);
    strike_databases(world);
    strike_journal(world);
    strike_operators(world);
}

static void add_back(struct sim_world *world, uint32_t index, uint32_t database)
{
    struct sim_coord *coord = &world->coords[index];
    coord->removed[database] = false;
    if (coord_proc_serves(world, index)) {
        struct sim_event *event = queue_new(world, EVENT_COORD_RECONFIGURE);
        event->a = database;
        event->b = 1;
        world_post(world, world_coord_process(index), event, 0);
        network_dial(world, index, database, 5);
    }
}

void nemesis_event(struct sim_world *world, const struct sim_event *event)
{
    struct sim_coord *coord = &world->coords[event->a];
    switch (event->kind) {
    case EVENT_SPACE_BACK:
        tell_space(world, true);
        return;
    case EVENT_REPAIRED:
        world->disks[coord->disk].is_damaged = false;
        if (!coord->process.is_alive) {
            process_order_start(world, world_coord_process(event->a), 50);
        }
        return;
    case EVENT_RESTORED:
        restored(world);
        return;
    case EVENT_ADD_BACK:
        add_back(world, event->a, event->b);
        return;
    default:
        CHECK(!"nobody's event");
    }
}

/* ---- healing ---- */

static void heal_process(struct sim_world *world, uint32_t index)
{
    struct sim_process *process = world_process(world, index);
    if (!process->is_alive) {
        process_order_start(world, index, 20);
    } else if (process->is_stopped) {
        struct sim_event *event = queue_new(world, EVENT_CONTINUE);
        event->a = index;
        event->incarnation = process->incarnation;
        queue_push(world, event, world->now_ms);
    }
}

void nemesis_heal(struct sim_world *world)
{
    world->phase = PHASE_HEAL;
    world->heal_at_ms = world->now_ms;
    TRACE(world, LANE_CLIENT, "everything heals");
    for (uint32_t i = 0; i < world->disk_count; i++) {
        world->disks[i].is_damaged = false;
        world->disks[i].has_space = true; /* also of one that may be put back yet */
    }
    tell_space(world, true);
    applications_heal(world);
    for (uint32_t i = 0; i < world->database_count; i++) {
        uint32_t agent = world->agent_of[i];
        world->databases[i].is_up = true;
        world->databases[i].is_read_only = false;
        agent_proc_kill(world,
                        agent < SIM_DATABASES ? agent + SIM_DATABASES : agent - SIM_DATABASES);
        heal_process(world, world_agent_process(agent));
        struct sim_link *link = &world->links[0][i];
        link->blocked_until_ms[0] = 0;
        link->blocked_until_ms[1] = 0;
        if (link->is_silent) {
            network_break(world, 0, i, true, true);
        }
        add_back(world, 0, i);
    }
    coord_proc_kill(world, 1, false);
    world_process(world, world_coord_process(1))->starts++; /* nor does it come back */
    heal_process(world, world_coord_process(0));
    clients_ask_all(world);
}

static bool all_connected(const struct sim_world *world)
{
    for (uint32_t i = 0; i < world->database_count; i++) {
        if (world->links[0][i].session == 0 ||
            !world->agents[world->agent_of[i]].process.is_alive) {
            return false;
        }
    }
    return coord_proc_serves(world, 0);
}

/* It refuses to run on this journal: the operator tries the other ones of the same identity, each a few times; if
 * none is accepted by everybody the journal has forked, and a person must decide. */
static void try_another(struct sim_world *world)
{
    struct sim_coord *coord = &world->coords[0];
    if (coord->process.is_alive || coord->refused == COORD_RUN) {
        return;
    }
    uint32_t identity = world->disks[coord->disk].identity;
    coord->refused = COORD_RUN;
    if (coord->refusals > 4 * SIM_DISKS) {
        world->has_forked = true;
        return;
    }
    for (uint32_t i = 1; coord->refusals % 3 == 0 && i < world->disk_count; i++) {
        uint32_t next = (coord->disk + i) % world->disk_count;
        if (world->disks[next].identity == identity && world->disks[next].journal != NULL) {
            coord->disk = next;
            break;
        }
    }
    process_order_start(world, world_coord_process(0), 20);
}

void nemesis_heal_tick(struct sim_world *world)
{
    if (world->connected_at_ms == 0 && all_connected(world)) {
        world->connected_at_ms = world->now_ms;
    }
    try_another(world);
}
