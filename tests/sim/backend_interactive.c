/*
 * backend_interactive.c - interactive branches in the server: STATEMENT, PREPARE and CLOSE on a connection that a branch keeps from
 * its first statement to its end (pg_interactive.c, P-22).
 *
 *   STATEMENT 1 --> BODY --rows are there--> OPEN --STATEMENT n--> BODY ... OPEN --PREPARE--> PREPARE --> the row, and the answer
 *
 * Until PREPARE is in the server the connection's end is the transaction's end; the server notices at once, which is the earliest
 * that it may. Whoever asks for a branch whose connection is gone hears so.
 */
#include <string.h>

#include "common/check.h"
#include "tests/sim/backend_internal.h"

#define OVERTIME_MS                                                                                \
    1000 /* as backend.c; the server's own limit while it is idle is the same (IDLE_GRACE_MS) */

static struct sim_database *agent_database(struct sim_world *world, uint32_t agent)
{
    return &world->databases[world->agents[agent].database];
}

/* The connection that this process of the agent holds for the branch; NULL: none (any more). */
static struct sim_backend *backend_held(struct sim_world *world, uint32_t agent,
                                        const struct gid *gid)
{
    struct sim_database *database = agent_database(world, agent);
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        struct sim_backend *backend = &database->backends[i];
        if (backend->stage != BACKEND_FREE && backend->is_interactive && backend->is_attached &&
            backend->agent == agent &&
            backend->incarnation == world->agents[agent].process.incarnation &&
            gid_equal(&backend->execute.gid, gid)) {
            return backend;
        }
    }
    return NULL;
}

static void refuse(struct sim_world *world, uint32_t agent, const struct command *command,
                   enum reason reason)
{
    struct command_result result = {
        .id = command->id, .kind = command->kind, .class = PG_ROLLED_BACK};
    result.failure.reason = reason;
    agent_post_result(world, agent, world->agents[agent].process.incarnation, &result, 1);
}

/* What the statement adds to its attempt. */
static void statement_describe(struct sim_backend *backend)
{
    struct sim_attempt *attempt = backend->attempt;
    struct sim_work work;
    CHECK(backend->execute.work->size_bytes == sizeof(work));
    memcpy(&work, backend->execute.work->bytes, sizeof(work));
    backend->step = work.step;
    attempt->statements_begun++;
    for (uint32_t i = 0; i < work.account_count && !attempt->is_read_only; i++) {
        CHECK(attempt->account_count < 2);
        attempt->account[attempt->account_count] = work.account[i];
        attempt->amount[attempt->account_count++] = work.amount[i];
    }
}

static uint64_t travel_ms(struct sim_world *world)
{
    uint64_t delay_ms = sim_below(&world->database_random, 4);
    if (fault_strikes(world, SIM_PG_SLOW)) {
        delay_ms += fault_below(world, world->slow_max_ms);
    }
    return delay_ms;
}

/* The command is on its way, and its answer is awaited under its deadline. */
static void command_begins(struct sim_world *world, struct sim_database *database,
                           struct sim_backend *backend, const struct command *command,
                           uint64_t deadline_ms)
{
    backend->command_id = command->id;
    backend->command_kind = command->kind;
    backend->is_awaited = true;
    backend->is_cancelled = false; /* one that came while nothing ran was for nothing */
    backend->execute.deadline_ms = deadline_ms;
    uint64_t left_ms = deadline_ms > world->now_ms ? deadline_ms - world->now_ms : 0;
    backend->lock_until_ms = world->now_ms + left_ms - left_ms / 8;
    if (deadline_ms < UINT64_MAX - OVERTIME_MS) {
        backend_later(world, database, backend, EVENT_DEADLINE, deadline_ms + OVERTIME_MS);
    }
    if (fault_strikes(world, SIM_PG_LOST_EXECUTE)) {
        backend_later(world, database, backend, EVENT_LOST_ANSWER,
                      world->now_ms + fault_below(world, 12));
    }
}

static struct sim_backend *branch_begins(struct sim_world *world, uint32_t agent,
                                         const struct command_execute *execute)
{
    struct sim_database *database = agent_database(world, agent);
    struct sim_backend *backend =
        backend_take(database, agent, world->agents[agent].process.incarnation);
    if (backend != NULL) {
        struct sim_attempt *attempt = law_attempt(world, &execute->gid);
        CHECK(attempt != NULL);
        attempt->database = database->index;
        attempt->is_read_only = execute->read_only;
        attempt->writes_row = database->proof == PROOF_ROW && !execute->read_only;
        backend->is_interactive = true;
        backend->attempt = attempt;
        backend->execute = *execute;
        backend->execute.work = NULL;
        backend->by_rollback = command_execute_by_rollback(execute);
    }
    return backend;
}

void backend_statement(struct sim_world *world, uint32_t agent, struct command *command)
{
    static const enum sim_fault dooms[] = {SIM_PG_NO};
    struct sim_database *database = agent_database(world, agent);
    struct command_statement *statement = &command->as.statement;
    struct sim_backend *backend = statement->ordinal == 1
                                      ? branch_begins(world, agent, &statement->execute)
                                      : backend_held(world, agent, &statement->execute.gid);
    if (backend == NULL) {
        refuse(world, agent, command,
               statement->ordinal == 1 ? REASON_CAPACITY : REASON_PARTICIPANT_UNAVAILABLE);
        return;
    }
    if (world->now_ms >= statement->execute.deadline_ms) { /* P-15 */
        backend->command_id = command->id;
        backend->command_kind = command->kind;
        backend->is_awaited = true;
        backend_answer_no(world, database, backend, REASON_TIMEOUT, "");
        return;
    }
    if (!law_statement(world, backend->attempt, statement->ordinal)) {
        return; /* what follows has no meaning any more */
    }
    blob_free(backend->execute.work);
    backend->execute.work = statement->execute.work;
    statement->execute.work = NULL;
    backend->stage = BACKEND_BODY;
    statement_describe(backend);
    command_begins(world, database, backend, command, statement->execute.deadline_ms);
    backend_doom(world, backend, dooms, sizeof(dooms) / sizeof(dooms[0]));
    TRACE(world, LANE_DATABASE(database->index), "statement %llu of %016llx",
          (unsigned long long)statement->ordinal, (unsigned long long)backend->execute.gid.attempt);
    backend_later(world, database, backend, EVENT_BACKEND, world->now_ms + travel_ms(world));
}

/* The answer tells which execution it was of, and which of the client's statements. */
void backend_statement_done(struct sim_world *world, struct sim_database *database,
                            struct sim_backend *backend)
{
    struct sim_said said;
    memset(&said, 0, sizeof(said));
    said.gid = backend->execute.gid;
    said.step = backend->step;
    struct command_result result = {.class = PG_OK, .results = blob_new(&said, sizeof(said))};
    backend->attempt->statements_done++;
    backend->stage = BACKEND_OPEN;
    backend_answer(world, backend, &result);
    if (!backend->is_attached) {
        backend_release(world, database, backend);
    }
}

void backend_prepare_open(struct sim_world *world, uint32_t agent, struct command *command)
{
    static const enum sim_fault dooms[] = {SIM_PG_TAG, SIM_PG_WARN_PREPARE, SIM_PG_SLOTS,
                                           SIM_PG_KILLED};
    struct sim_database *database = agent_database(world, agent);
    struct sim_backend *backend = backend_held(world, agent, &command->as.prepare.gid);
    if (backend == NULL) {
        refuse(world, agent, command, REASON_PARTICIPANT_UNAVAILABLE);
        return;
    }
    CHECK(backend->stage == BACKEND_OPEN);
    command_begins(world, database, backend, command, command->as.prepare.deadline_ms);
    if (world->now_ms >= command->as.prepare.deadline_ms) { /* P-15 */
        backend_answer_no(world, database, backend, REASON_TIMEOUT, "");
    } else {
        if (!backend->by_rollback) {
            backend_doom(world, backend, dooms, sizeof(dooms) / sizeof(dooms[0]));
        }
        backend->stage = BACKEND_PREPARE;
        backend_later(world, database, backend, EVENT_BACKEND,
                      world->now_ms + travel_ms(world) + backend_late_ms(world));
    }
}

void backend_prepare_arrives(struct sim_world *world, struct sim_database *database,
                             struct sim_backend *backend)
{
    if (backend->is_cancelled && backend->is_attached) {
        backend_answer_no(world, database, backend, REASON_ROLLED_BACK_BY_CLIENT, "57014");
    } else if (backend->by_rollback) {
        backend_read_only_done(world, database, backend);
    } else {
        backend_prepare(world, database, backend);
    }
}

void backend_close(struct sim_world *world, uint32_t agent, const struct command *command)
{
    struct sim_backend *backend = backend_held(world, agent, &command->as.close);
    struct command_result result = {.id = command->id, .kind = COMMAND_CLOSE, .class = PG_OK};
    if (backend != NULL) {
        TRACE(world, LANE_DATABASE(agent_database(world, agent)->index), "ROLLBACK %016llx",
              (unsigned long long)backend->execute.gid.attempt);
        backend_release(world, agent_database(world, agent), backend);
    }
    agent_post_result(world, agent, world->agents[agent].process.incarnation, &result,
                      sim_below(&world->database_random, 4));
}
