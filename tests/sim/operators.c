/*
 * operators.c - operators who resolve, and some who do not know what they are doing. At the end they decide about the rows
 * that nobody may touch without a person, and their word must be carried out.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "tests/sim/world.h"

/* A branch that its coordinator does not know asks once a minute. */
#define OBEYED_WITHIN_MS 75000
#define SAID_AGAIN_MS    20000

static void resolve_after(struct sim_world *world, const struct gtrid *gtrid,
                          const char *participant, enum resolve_action action, uint64_t delay_ms)
{
    struct sim_event *event = queue_new(world, EVENT_COORD_RESOLVE);
    event->as.resolve = alloc_zeroed(sizeof(struct api_resolve));
    event->as.resolve->gtrid = *gtrid;
    event->as.resolve->action = action;
    (void)snprintf(event->as.resolve->participant, PARTICIPANT_NAME_SIZE, "%s", participant);
    (void)snprintf(event->as.resolve->comment, sizeof(event->as.resolve->comment), "%s", "looked");
    clients_call(world, CALL_RESOLVE, 0, 0);
    world->calls[world->call_count - 1].incarnation =
        world->coords[world->main_coord].process.incarnation;
    event->number = world->call_count;
    world_post(world, world_coord_process(world->main_coord), event, delay_ms);
}

/* Acknowledges, mostly; drives a commit again; or says what does not fit, also about what somebody has just said. */
static void resolve_view(struct sim_world *world, const struct txn_view *view)
{
    static const enum resolve_action mistakes[] = {RESOLVE_ROLLBACK, RESOLVE_COMMIT,
                                                   RESOLVE_FORGET};
    struct sim_random *random = &world->operator_random;
    for (size_t i = 0; i < view->branch_count; i++) {
        const struct branch_view *branch = &view->branches[i];
        if (sim_is_heuristic(branch->state)) {
            bool again =
                branch->state != BRANCH_HEURISTIC_COMMIT && sim_one_in(&world->client_random, 6);
            if (sim_one_in(random, 6)) {
                resolve_after(world, &view->gtrid, branch->participant,
                              mistakes[sim_below(random, 2)], 1);
            }
            resolve_after(world, &view->gtrid, branch->participant,
                          again ? RESOLVE_COMMIT : RESOLVE_FORGET, 1);
            if (sim_one_in(random, 6)) {
                resolve_after(world, &view->gtrid, branch->participant,
                              mistakes[sim_below(random, 3)], 1 + sim_below(random, 100));
            }
        }
    }
}

/* An operator who does not know what he is doing: any word about one of the newest, or about the next one, which waits for
 * admission perhaps. */
static void resolve_running(struct sim_world *world)
{
    static const enum resolve_action actions[] = {RESOLVE_ROLLBACK, RESOLVE_ROLLBACK,
                                                  RESOLVE_COMMIT, RESOLVE_FORGET};
    const struct sim_truth *truth = world->truth_list; /* the newest */
    for (uint64_t back = fault_below(world, 6); back > 0 && truth != NULL; back--) {
        truth = truth->next;
    }
    if (truth == NULL) {
        return;
    }
    struct gtrid gtrid = truth->gtrid;
    gtrid.sequence += fault_below(world, 3) == 0;
    resolve_after(world, &gtrid, world->databases[fault_below(world, world->database_count)].name,
                  actions[fault_below(world, 4)], 1);
}

void operators_tick(struct sim_world *world, bool is_healing)
{
    if (!coord_proc_serves(world, world->main_coord) ||
        world->coords[world->main_coord].process.is_stopped) {
        return;
    }
    if (fault_strikes(world, SIM_OPERATOR_ROLLBACK)) {
        resolve_running(world);
    }
    if (!world->grave || !(is_healing || fault_strikes(world, SIM_OPERATOR_RESOLVE))) {
        return;
    }
    struct api_list list = {.state = TXN_HEURISTIC, .limit = 100};
    struct txn_view *views = NULL;
    size_t count = coord_list(world->coords[world->main_coord].core, &list, &views);
    for (size_t i = 0; i < count; i++) {
        if (!views[i].acknowledged) {
            resolve_view(world, &views[i]);
        }
        txn_view_done(&views[i]);
    }
    free(views);
}

/* ---- what stays ---- */

static void say(struct sim_world *world, const struct sim_attempt *attempt)
{
    enum resolve_action action =
        sim_one_in(&world->operator_random, 2) ? RESOLVE_COMMIT : RESOLVE_ROLLBACK;
    resolve_after(world, &attempt->gid.gtrid, world->databases[attempt->database].name, action, 1);
    world->person_says_ms = world->now_ms;
}

size_t operators_decide(struct sim_world *world)
{
    const struct sim_disk *disk = &world->disks[world->coords[0].disk];
    size_t count = 0;
    if (world->has_forked || world_failed(world)) { /* no journal to say it to */
        return 0;
    }
    for (uint32_t i = 0; i < world->database_count; i++) {
        const struct sim_database *database = &world->databases[i];
        for (size_t k = 0; k < database->prepared_count; k++) {
            struct sim_attempt *attempt = database->prepared[k];
            if (!attempt->is_stranger &&
                law_identity(world, &attempt->gid.gtrid.journal) == disk->identity) {
                attempt->is_awaited = true;
                say(world, attempt);
                count++;
            }
        }
    }
    return count;
}

/* Their word may have been refused: of a row that a restored database brings back, the agent may not know yet, and the journal
 * may know it as finished and forget it before the agent asks. They look again. */
bool operators_are_obeyed(struct sim_world *world)
{
    bool is_time = world->now_ms >= world->person_says_ms + SAID_AGAIN_MS;
    bool are_obeyed = true;
    for (uint32_t i = 0; i < world->database_count; i++) {
        const struct sim_database *database = &world->databases[i];
        for (size_t k = 0; k < database->prepared_count; k++) {
            if (!database->prepared[k]->is_awaited) {
                continue;
            }
            if (world->now_ms > world->person_at_ms + OBEYED_WITHIN_MS) {
                law_broken(world, "L1", "%s is prepared at %s %d s after a person's word for it",
                           database->prepared[k]->text, database->name, OBEYED_WITHIN_MS / 1000);
            }
            if (is_time) {
                say(world, database->prepared[k]);
            }
            are_obeyed = false;
        }
    }
    return are_obeyed;
}
