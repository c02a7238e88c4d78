/*
 * applications.c - applications that prepare their branches themselves (docs/adr/0016): with a gid that the coordinator gave them, on a
 * connection of their own, in a role that the agent is not.
 *
 * The work and PREPARE TRANSACTION are one moment here, when the rows are free; before it the application's connection may wait for them, and
 * after it the application knows, if it still lives. It may die before or after, be late, commit without having waited, ask for another
 * gid though it has prepared, or lack the grant that lets the agent finish its branch. Nobody can fence it.
 */
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/world.h"

#define WAIT_MS 40

static void later(struct sim_world *world, size_t index, uint64_t delay_ms)
{
    struct sim_event *event = queue_new(world, EVENT_APPLICATION);
    event->number = index;
    queue_push(world, event, world->now_ms + delay_ms);
}

static struct sim_application *application_new(struct sim_world *world, uint32_t op,
                                               const struct gid *gid)
{
    if (world->application_count == world->application_capacity) {
        world->application_capacity =
            world->application_capacity == 0 ? 16 : 2 * world->application_capacity;
        world->applications = alloc_resize(world->applications, world->application_capacity,
                                           sizeof(world->applications[0]));
    }
    struct sim_application *application = &world->applications[world->application_count++];
    *application = (struct sim_application){.op = op,
                                            .database = law_database(world, gid->participant),
                                            .gid = *gid,
                                            .is_heeded = true,
                                            .until_ms = world->now_ms + world->late_max_ms};
    CHECK(application->database != SIM_NOBODY);
    world->applications_open++;
    return application;
}

enum application_fate application_begin(struct sim_world *world, uint32_t op, const struct gid *gid)
{
    struct sim_attempt *attempt = law_attempt(world, gid);
    CHECK(attempt != NULL && attempt->is_external);
    uint64_t delay_ms = sim_below(&world->ops[op].talk.random, 20);
    enum application_fate fate = APPLICATION_WAITS;
    bool prepares = true;
    if (fault_strikes(world, SIM_APP_NO_GRANT)) {
        attempt->has_grant = world->phase != PHASE_CHAOS; /* somebody sees to that */
    }
    if (fault_strikes(world, SIM_APP_DIES)) {
        prepares = fault_below(world, 3) != 0;
        fate = APPLICATION_DIES;
    } else if (fault_strikes(world, SIM_APP_LATE)) {
        delay_ms = fault_below(world, world->late_max_ms);
        fate = APPLICATION_GOES_ON;
    } else if (fault_strikes(world, SIM_APP_AGAIN)) {
        fate = APPLICATION_ASKS_AGAIN;
    }
    if (prepares) {
        struct sim_application *application = application_new(world, op, gid);
        application->is_heeded = fate == APPLICATION_WAITS;
        later(world, world->application_count - 1, delay_ms);
    }
    return fate;
}

static void application_end(struct sim_world *world, struct sim_application *application, bool ok)
{
    const struct sim_application ended = *application; /* what follows may begin another one */
    world->applications_open--;
    if (ended.is_heeded) {
        talk_prepared(world, ended.op, &ended.gid, ok);
    }
}

static bool has_money(const struct sim_database *database, const struct sim_attempt *attempt)
{
    return attempt->account_count == 0 ||
           database->balance[attempt->account[0]] + attempt->amount[0] >= 0;
}

enum application_end application_prepare(struct sim_world *world, struct sim_database *database,
                                         struct sim_attempt *attempt)
{
    if (!database->is_up || database->is_read_only ||
        database->prepared_count >= database->slot_count ||
        database_prepared(database, &attempt->gid) != NULL) {
        return APPLICATION_HAS_FAILED;
    }
    if (!database_lock(database, attempt, attempt)) {
        return APPLICATION_IS_BLOCKED;
    }
    if (!has_money(database, attempt)) {
        database_unlock(world, database, attempt);
        return APPLICATION_HAS_FAILED;
    }
    attempt->xid8 = database->next_xid++;
    attempt->tag = "PREPARE TRANSACTION";
    database_prepare(world, database, attempt);
    TRACE(world, LANE_DATABASE(database->index), "application: PREPARE %016llx",
          (unsigned long long)attempt->gid.attempt);
    return APPLICATION_HAS_PREPARED;
}

static void attempt_describe(const struct sim_world *world,
                             const struct sim_application *application, struct sim_attempt *attempt)
{
    const struct sim_op *op = &world->ops[application->op];
    attempt->account_count = 1;
    attempt->account[0] = op->account[application->database];
    attempt->amount[0] = op->amount[application->database];
}

void applications_event(struct sim_world *world, const struct sim_event *event)
{
    struct sim_application *application = &world->applications[event->number];
    struct sim_database *database = &world->databases[application->database];
    struct sim_attempt *attempt = law_attempt(world, &application->gid);
    CHECK(attempt != NULL && !attempt->is_prepared);
    attempt_describe(world, application, attempt);
    enum application_end end = application_prepare(world, database, attempt);
    if (end == APPLICATION_IS_BLOCKED && world->now_ms < application->until_ms) {
        later(world, event->number, WAIT_MS);
        return;
    }
    application_end(world, application, end == APPLICATION_HAS_PREPARED);
}

/* It rolls back what was verified, and prepares something else under the same name (P-20). */
void applications_prepare_again(struct sim_world *world, struct sim_database *database)
{
    for (size_t i = 0; i < database->prepared_count; i++) {
        struct sim_attempt *attempt = database->prepared[i];
        if (!attempt->is_external || attempt->is_another || !attempt->voted_yes) {
            continue;
        }
        attempt->by_human = true;
        attempt->truth->is_excused = true;
        database_end(world, database, attempt, false);
        struct sim_attempt *other = backend_attempt_double(world, attempt);
        other->database = database->index;
        other->is_external = true;
        other->is_another = true;
        other->has_grant = true;
        other->by_human = true;
        other->is_lost = attempt->is_lost; /* the journal may have forgotten the name (judge.c) */
        other->account_count = attempt->account_count;
        memcpy(other->account, attempt->account, sizeof(other->account));
        memcpy(other->amount, attempt->amount, sizeof(other->amount));
        if (!database_lock(database, other, other)) {
            return; /* somebody was waiting for the rows */
        }
        other->xid8 = database->next_xid++;
        database_prepare(world, database, other);
        TRACE(world, LANE_DATABASE(database->index), "application: prepares %016llx again",
              (unsigned long long)other->gid.attempt);
        return;
    }
}

/* Whatever was missing is granted. */
void applications_heal(struct sim_world *world)
{
    for (struct sim_attempt *attempt = world->attempt_list; attempt != NULL;
         attempt = attempt->next_of_world) {
        attempt->has_grant = attempt->is_external;
    }
}
