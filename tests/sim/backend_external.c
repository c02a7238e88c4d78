/*
 * backend_external.c - external branches in the server, as pg_external.c and pg_owner.c ask for them: VERIFY, and what FINISH does with
 * a row of another role (docs/adr/0016).
 */
#include <stdio.h>

#include "common/check.h"
#include "tests/sim/backend_internal.h"

void backend_verify(struct sim_world *world, uint32_t agent, const struct command *command)
{
    struct sim_database *database = &world->databases[world->agents[agent].database];
    uint64_t incarnation = world->agents[agent].process.incarnation;
    struct sim_backend *backend = backend_take(database, agent, incarnation);
    if (backend == NULL) {
        struct command_result result = {
            .id = command->id, .kind = COMMAND_VERIFY, .class = PG_UNKNOWN};
        agent_post_result(world, agent, incarnation, &result, 1);
        return;
    }
    backend->stage = BACKEND_VERIFY;
    backend->command_id = command->id;
    backend->command_kind = COMMAND_VERIFY;
    backend->verify = command->as.verify;
    backend->by_rollback = true; /* it prepares nothing */
    uint64_t delay_ms = sim_below(&world->database_random, 4);
    if (fault_strikes(world, SIM_PG_SLOW)) {
        delay_ms += fault_below(world, world->slow_max_ms);
    }
    if (fault_strikes(world, SIM_PG_LOST_FINISH)) {
        backend_later(world, database, backend, EVENT_LOST_ANSWER,
                      world->now_ms + fault_below(world, 6));
    }
    backend_later(world, database, backend, EVENT_BACKEND, world->now_ms + delay_ms);
}

static void verify_look(struct sim_world *world, struct sim_database *database,
                        const struct command_verify *verify, struct command_result *result)
{
    const struct sim_attempt *attempt = database_prepared(database, &verify->gid);
    if (world->now_ms >= verify->deadline_ms) {
        result->class = PG_UNKNOWN;
        result->failure.reason = REASON_TIMEOUT;
    } else if (attempt == NULL || attempt->is_elsewhere) {
        result->class = PG_ROLLED_BACK;
        result->failure.reason = REASON_NOT_PREPARABLE;
    } else if (!attempt->has_grant) { /* nor have strangers, or the agent's own role */
        result->class = PG_ROLLED_BACK;
        result->failure.reason = REASON_REJECTED_BY_POLICY;
    } else {
        result->proof = (struct proof){.kind = PROOF_EXTERNAL,
                                       .timeline = database->timeline,
                                       .database_oid = 16384 + database->index,
                                       .xid8 = attempt->xid8,
                                       .system_id = database->system_id,
                                       .lsn = database->lsn};
        database_own_commit(database);
        (void)snprintf(result->owner, sizeof(result->owner), "application");
        result->class = fault_strikes(world, SIM_PG_WARN_PROVE) ? PG_UNKNOWN : PG_OK;
        if (result->class == PG_OK) {
            result->results =
                blob_new(&verify->gid, sizeof(verify->gid)); /* the model's own word */
        } else {
            result->failure.reason = REASON_PARTICIPANT_UNAVAILABLE;
            result->proof = (struct proof){.kind = PROOF_NONE};
        }
    }
}

void backend_verifies(struct sim_world *world, struct sim_database *database,
                      struct sim_backend *backend)
{
    struct command_result result = {.class = PG_UNKNOWN};
    verify_look(world, database, &backend->verify, &result);
    backend_answer(world, backend, &result);
    backend_release(world, database, backend);
}

/* True: it is settled before anything is sent. */
bool backend_owner_denies(const struct sim_attempt *attempt, const struct command_finish *finish,
                          enum pg_class *ret_class)
{
    bool is_told_external = finish->proof.kind == PROOF_EXTERNAL;
    if (attempt->is_elsewhere && is_told_external) {
        *ret_class = PG_NOT_FOUND; /* looked for in this database alone (P-6) */
        return true;
    }
    if (attempt->is_stranger || (attempt->is_external && !attempt->has_grant)) {
        *ret_class = PG_REFUSED; /* of another role (42501), or in another database (0A000) */
        return true;
    }
    return false;
}

/* True: not the voted one (P-20), and rolled back, whichever the word was. */
bool backend_owner_swaps(struct sim_world *world, struct sim_database *database,
                         struct sim_attempt *attempt, const struct command_finish *finish)
{
    bool is_voted = finish->proof.kind == PROOF_EXTERNAL && finish->proof.xid8 != 0;
    if (!is_voted || (uint32_t)finish->proof.xid8 == (uint32_t)attempt->xid8) {
        return false;
    }
    TRACE(world, LANE_DATABASE(database->index), "ROLLBACK PREPARED %016llx: another one",
          (unsigned long long)attempt->gid.attempt);
    database_end(world, database, attempt, false);
    attempt->tag = "ROLLBACK PREPARED";
    return true;
}
