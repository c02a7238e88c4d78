/*
 * backend.c - what runs on the agents' connections in the server: branches (pg_execute.c) and their ends
 * (pg_finish.c).
 *
 * A backend outlives its client: when the agent dies, or the connection breaks, what was handed to the server is still
 * carried out (a late prepare, P-11). In a split branch PREPARE is handed over only after the statements' answers were
 * read, so there a dead client means a rollback.
 *
 *   BODY --locked--> (split: HELD --the agent sends PREPARE-->) PREPARE --> the row, and the answer
 *     |  `-> LOCK --freed--> BODY; timed out --> no
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/backend_internal.h"

#define OVERTIME_MS 1000 /* as pg_execute.c */

static struct sim_database *agent_database(struct sim_world *world, uint32_t agent)
{
    return &world->databases[world->agents[agent].database];
}

struct sim_backend *backend_take(struct sim_database *database, uint32_t agent,
                                 uint64_t incarnation)
{
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        struct sim_backend *backend = &database->backends[i];
        if (backend->stage == BACKEND_FREE) {
            uint64_t generation = backend->generation + 1;
            memset(backend, 0, sizeof(*backend));
            backend->generation = generation;
            backend->agent = agent;
            backend->incarnation = incarnation;
            backend->is_attached = true;
            backend->is_awaited = true;
            backend->no_kind = SIM_FAULT_COUNT;
            database->backend_count = i < database->backend_count ? database->backend_count : i + 1;
            return backend;
        }
    }
    return NULL;
}

void backend_later(struct sim_world *world, struct sim_database *database,
                   const struct sim_backend *backend, enum sim_event_kind kind, uint64_t due_ms)
{
    struct sim_event *event = queue_new(world, kind);
    event->a = database->index;
    event->b = (uint32_t)(backend - database->backends);
    event->number = backend->generation;
    queue_push(world, event, due_ms);
}

static struct sim_backend *event_backend(struct sim_world *world, const struct sim_event *event)
{
    struct sim_backend *backend = &world->databases[event->a].backends[event->b];
    return backend->stage != BACKEND_FREE && backend->generation == event->number ? backend : NULL;
}

void backend_release(struct sim_world *world, struct sim_database *database,
                     struct sim_backend *backend)
{
    bool held = backend->holds_locks;
    blob_free(backend->execute.work);
    backend->execute.work = NULL;
    backend->stage = BACKEND_FREE;
    backend->holds_locks = false;
    if (held) {
        database_unlock(world, database, backend);
    }
}

/* The client's answer; it may be about a connection that is gone. */
void backend_answer(struct sim_world *world, struct sim_backend *backend,
                    struct command_result *result)
{
    if (!backend->is_attached || !backend->is_awaited) {
        command_result_done(result);
        return;
    }
    backend->is_awaited = false;
    /* An interactive branch keeps its connection until somebody ends it. */
    backend->is_attached = backend->is_interactive;
    result->id = backend->command_id;
    result->kind = backend->command_kind;
    bool executes = backend->command_kind == COMMAND_EXECUTE;
    agent_post_result(world, backend->agent, backend->incarnation, result,
                      sim_below(&world->database_random, 3));
    const struct sim_agent *agent = &world->agents[backend->agent];
    if (executes && agent->process.is_alive && agent->process.incarnation == backend->incarnation) {
        edge_worker_free(world, backend->agent);
    }
}

bool backend_has_sent_prepare(const struct sim_backend *backend)
{
    bool is_separate = backend->is_split || backend->is_interactive;
    return !backend->by_rollback && (!is_separate || backend->stage == BACKEND_PREPARE);
}

/* No answer will come: the connection is gone. */
static void backend_answer_lost(struct sim_world *world, struct sim_backend *backend)
{
    struct command_result result = {.class = PG_UNKNOWN};
    if (backend->stage != BACKEND_FINISH && backend->stage != BACKEND_VERIFY) {
        result.class = backend_has_sent_prepare(backend) ? PG_UNKNOWN : PG_ROLLED_BACK;
        result.failure.reason = REASON_PARTICIPANT_UNAVAILABLE;
    }
    (void)snprintf(result.detail, sizeof(result.detail), "connection lost");
    backend_answer(world, backend, &result);
    backend->is_attached = false;
}

void backend_answer_no(struct sim_world *world, struct sim_database *database,
                       struct sim_backend *backend, enum reason reason, const char *sqlstate)
{
    struct command_result result = {.class = PG_ROLLED_BACK};
    result.failure.reason = reason;
    (void)snprintf(result.failure.sqlstate, SQLSTATE_SIZE, "%s", sqlstate);
    TRACE(world, LANE_DATABASE(database->index), "no: %s", reason_text(reason));
    backend_answer(world, backend, &result);
    backend_release(world, database, backend);
}

/* ---- a branch ---- */

static void attempt_describe(struct sim_attempt *attempt, const struct command_execute *execute,
                             const struct sim_database *database, bool *ret_split)
{
    struct sim_work work;
    CHECK(execute->work->size_bytes == sizeof(work));
    memcpy(&work, execute->work->bytes, sizeof(work));
    attempt->database = database->index;
    attempt->is_read_only = execute->read_only;
    attempt->account_count = execute->read_only ? 0 : work.account_count;
    memcpy(attempt->account, work.account, sizeof(attempt->account));
    memcpy(attempt->amount, work.amount, sizeof(attempt->amount));
    attempt->writes_row = database->proof == PROOF_ROW && !execute->read_only;
    *ret_split = work.is_split;
}

/* What will go wrong with it, decided beforehand, so that one strike is one fault. */
void backend_doom(struct sim_world *world, struct sim_backend *backend, const enum sim_fault *dooms,
                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (backend->no_kind == SIM_FAULT_COUNT && fault_strikes(world, dooms[i])) {
            backend->no_kind = dooms[i];
            backend->no_bits = fault_below(world, 1000);
        }
    }
}

/* The same gid once more while it is prepared: it runs, and PREPARE will find the name taken. */
struct sim_attempt *backend_attempt_double(struct sim_world *world, const struct sim_attempt *first)
{
    struct sim_attempt *second = alloc_zeroed(sizeof(*second));
    second->gid = first->gid;
    second->truth = first->truth;
    memcpy(second->text, first->text, sizeof(second->text));
    second->next_of_world = world->attempt_list;
    world->attempt_list = second;
    return second;
}

void backend_execute(struct sim_world *world, uint32_t agent, struct command *command)
{
    static const enum sim_fault dooms[] = {SIM_PG_NO, SIM_PG_TAG, SIM_PG_WARN_PREPARE, SIM_PG_SLOTS,
                                           SIM_PG_KILLED};
    struct sim_database *database = agent_database(world, agent);
    struct command_execute *execute = &command->as.execute;
    uint64_t incarnation = world->agents[agent].process.incarnation;
    struct sim_backend *backend = backend_take(database, agent, incarnation);
    struct sim_attempt *attempt = law_attempt(world, &execute->gid);
    CHECK(attempt != NULL);
    if (attempt->is_prepared) {
        attempt = backend_attempt_double(world, attempt);
    }
    if (backend == NULL) {
        struct command_result result = {
            .id = command->id, .kind = COMMAND_EXECUTE, .class = PG_ROLLED_BACK};
        result.failure.reason = REASON_CAPACITY;
        agent_post_result(world, agent, incarnation, &result, 0);
        command_done(command);
        edge_worker_free(world, agent);
        return;
    }
    backend->stage = BACKEND_BODY;
    backend->command_id = command->id;
    backend->command_kind = COMMAND_EXECUTE;
    backend->execute = *execute;
    execute->work = NULL;
    backend->by_rollback = command_execute_by_rollback(execute);
    backend->attempt = attempt;
    attempt_describe(attempt, &backend->execute, database, &backend->is_split);
    uint64_t delay_ms = sim_below(&world->database_random, 4);
    if (fault_strikes(world, SIM_PG_SLOW)) {
        delay_ms += fault_below(world, world->slow_max_ms);
    }
    backend_doom(world, backend, dooms, sizeof(dooms) / sizeof(dooms[0]));
    if (fault_strikes(world, SIM_PG_LOST_EXECUTE)) {
        backend_later(world, database, backend, EVENT_LOST_ANSWER,
                      world->now_ms + fault_below(world, 12));
    }
    uint64_t left_ms = execute->deadline_ms - world->now_ms;
    backend->lock_until_ms = world->now_ms + left_ms - left_ms / 8;
    TRACE(world, LANE_DATABASE(database->index), "begin %016llx",
          (unsigned long long)backend->execute.gid.attempt);
    backend_later(world, database, backend, EVENT_BACKEND, world->now_ms + delay_ms);
    if (execute->deadline_ms < UINT64_MAX - OVERTIME_MS) {
        backend_later(world, database, backend, EVENT_DEADLINE, execute->deadline_ms + OVERTIME_MS);
    }
}

static struct blob *attempt_results(const struct sim_attempt *attempt)
{
    return blob_new(&attempt->gid, sizeof(attempt->gid)); /* tells which execution it was */
}

void backend_read_only_done(struct sim_world *world, struct sim_database *database,
                            struct sim_backend *backend)
{
    struct command_result result = {.class = PG_OK, .results = attempt_results(backend->attempt)};
    backend->attempt->tag = "ROLLBACK";
    backend_answer(world, backend, &result);
    backend_release(world, database, backend);
}

static bool database_has_slot(const struct sim_database *database)
{
    return database->prepared_count < database->slot_count;
}

void backend_prepare(struct sim_world *world, struct sim_database *database,
                     struct sim_backend *backend)
{
    struct sim_attempt *attempt = backend->attempt;
    if (backend->no_kind == SIM_PG_TAG) {
        attempt->tag = "ROLLBACK"; /* of a failed block */
        backend_answer_no(world, database, backend, REASON_STATEMENT_FAILED, "");
        return;
    }
    if (database_prepared(database, &attempt->gid) != NULL) {
        backend_answer_no(world, database, backend, REASON_STATEMENT_FAILED, "42710");
        return;
    }
    if (backend->no_kind == SIM_PG_SLOTS || !database_has_slot(database)) {
        backend_answer_no(world, database, backend, REASON_CAPACITY, "53200");
        return;
    }
    if (backend->no_kind == SIM_PG_KILLED && backend->no_bits % 2 == 0) {
        backend_end(world, database, backend);
        return;
    }
    struct command_result result = {.class = PG_OK};
    result.proof = (struct proof){
        .kind = attempt->writes_row ? PROOF_ROW : PROOF_XID,
        .timeline = database->timeline,
        .database_oid = 16384 + database->index,
        .xid8 = database->next_xid,
        .system_id = database->system_id,
        .lsn = database->lsn,
    };
    attempt->xid8 = database->next_xid++;
    backend->holds_locks = false; /* they are the prepared transaction's now */
    database_prepare(world, database, attempt);
    TRACE(world, LANE_DATABASE(database->index), "PREPARE %016llx",
          (unsigned long long)attempt->gid.attempt);
    if (backend->no_kind == SIM_PG_KILLED) {
        backend_end(world, database, backend);
        return;
    }
    attempt->tag = "PREPARE TRANSACTION";
    if (backend->no_kind == SIM_PG_WARN_PREPARE) {
        /* Its PREPARE waited for the standby and was told not to; until then the gid is busy (G4). */
        result.class = PG_UNKNOWN;
        result.failure.reason = REASON_PARTICIPANT_UNAVAILABLE;
        result.proof = (struct proof){.kind = PROOF_NONE};
        attempt->busy_until_ms = world->now_ms + backend->no_bits / 10;
    } else {
        result.results = attempt_results(attempt);
    }
    backend_answer(world, backend, &result);
    backend_release(world, database, backend);
}

static enum reason no_reason(uint64_t bits, const char **ret_sqlstate)
{
    static const struct {
        enum reason reason;
        const char *sqlstate;
    } noes[] = {{REASON_CONSTRAINT, "23505"},
                {REASON_SERIALIZATION, "40001"},
                {REASON_DEADLOCK, "40P01"},
                {REASON_STATEMENT_FAILED, "42P01"},
                {REASON_NOT_PREPARABLE, "0A000"}};
    size_t which = bits % (sizeof(noes) / sizeof(noes[0]));
    *ret_sqlstate = noes[which].sqlstate;
    return noes[which].reason;
}

uint64_t backend_late_ms(struct sim_world *world)
{
    return fault_strikes(world, SIM_PG_LATE) ? fault_below(world, world->late_max_ms) : 0;
}

static void backend_to_prepare(struct sim_world *world, struct sim_database *database,
                               struct sim_backend *backend)
{
    uint64_t late_ms = backend_late_ms(world);
    backend->stage = BACKEND_PREPARE;
    if (late_ms > 0) {
        backend_later(world, database, backend, EVENT_BACKEND, world->now_ms + late_ms);
        return;
    }
    backend_prepare(world, database, backend);
}

static bool balances_suffice(const struct sim_database *database, const struct sim_attempt *attempt)
{
    for (uint32_t i = 0; i < attempt->account_count; i++) {
        if (database->balance[attempt->account[i]] + attempt->amount[i] < 0) {
            return false;
        }
    }
    return true;
}

/* The statements: rows are locked and looked at, all of them or none. A split branch says how much there must be and counts
 * the rows that it found; of one that sends PREPARE along the table's own rule has to say no. */
static void backend_body(struct sim_world *world, struct sim_database *database,
                         struct sim_backend *backend)
{
    struct sim_attempt *attempt = backend->attempt;
    if (backend->is_cancelled) {
        backend_answer_no(world, database, backend, REASON_ROLLED_BACK_BY_CLIENT, "57014");
        return;
    }
    if (backend->is_split && !balances_suffice(database, attempt)) {
        /* Its WHERE finds no row, so it locks none. */
        backend_answer_no(world, database, backend, REASON_ROW_COUNT, "");
        return;
    }
    if (!database_lock(database, attempt, backend)) {
        if (world->now_ms >= backend->lock_until_ms) {
            backend_answer_no(world, database, backend, REASON_LOCK_TIMEOUT, "55P03");
        } else if (backend->stage != BACKEND_LOCK) {
            backend->stage = BACKEND_LOCK;
            backend_later(world, database, backend, EVENT_BACKEND, backend->lock_until_ms);
        }
        return;
    }
    backend->stage = BACKEND_BODY;
    backend->holds_locks = true;
    if (world->now_ms > backend->lock_until_ms) {
        backend_answer_no(world, database, backend, REASON_TIMEOUT, "57014");
        return;
    }
    if (!balances_suffice(database, attempt)) {
        backend_answer_no(world, database, backend, REASON_CONSTRAINT, "23514");
        return;
    }
    if (backend->no_kind == SIM_PG_NO) {
        const char *sqlstate = "";
        enum reason reason = no_reason(backend->no_bits, &sqlstate);
        backend_answer_no(world, database, backend, reason, sqlstate);
    } else if (backend->is_interactive) {
        backend_statement_done(world, database, backend);
    } else if (backend->by_rollback) {
        backend_read_only_done(world, database, backend);
    } else if (backend->is_split) {
        backend->stage = BACKEND_HELD;
        backend_later(world, database, backend, EVENT_BACKEND,
                      world->now_ms + sim_below(&world->database_random, 3));
    } else {
        backend_to_prepare(world, database, backend);
    }
}

/* The agent has read the statements' answers and sends PREPARE, if it is there to do so. */
static void backend_held(struct sim_world *world, struct sim_database *database,
                         struct sim_backend *backend)
{
    const struct sim_process *process = &world->agents[backend->agent].process;
    if (!backend->is_attached) {
        backend_release(world, database, backend); /* the server sees that the client is gone */
    } else if (process->is_stopped) {
        backend_later(world, database, backend, EVENT_BACKEND, world->now_ms + 2 * SIM_TICK_MS);
    } else if (backend->is_cancelled) {
        backend_answer_no(world, database, backend, REASON_ROLLED_BACK_BY_CLIENT, "");
    } else if (world->now_ms >= backend->execute.deadline_ms) { /* P-15 */
        backend_answer_no(world, database, backend, REASON_TIMEOUT, "");
    } else {
        backend_to_prepare(world, database, backend);
    }
}

/* ---- its end ---- */

void backend_finish(struct sim_world *world, uint32_t agent, struct command *command)
{
    struct sim_database *database = agent_database(world, agent);
    uint64_t incarnation = world->agents[agent].process.incarnation;
    struct sim_backend *backend = backend_take(database, agent, incarnation);
    if (backend == NULL) {
        struct command_result result = {
            .id = command->id, .kind = COMMAND_FINISH, .class = PG_RETRY};
        agent_post_result(world, agent, incarnation, &result, 1);
        return;
    }
    backend->stage = BACKEND_FINISH;
    backend->command_id = command->id;
    backend->command_kind = COMMAND_FINISH;
    backend->finish = command->as.finish;
    uint64_t delay_ms = sim_below(&world->database_random, 4);
    if (fault_strikes(world, SIM_PG_SLOW)) {
        delay_ms += fault_below(world, world->slow_max_ms);
    }
    if (fault_strikes(world, SIM_PG_LOST_FINISH)) {
        backend_later(world, database, backend, EVENT_LOST_ANSWER,
                      world->now_ms + fault_below(world, 6));
        delay_ms += fault_below(world, 2) == 0 ? 0 : fault_below(world, world->slow_max_ms);
    }
    backend_later(world, database, backend, EVENT_BACKEND, world->now_ms + delay_ms);
}

static enum pg_class finish_class(struct sim_world *world, struct sim_database *database,
                                  const struct command_finish *finish, bool *ret_was_another)
{
    struct sim_attempt *attempt = database_prepared(database, &finish->gid);
    if (attempt == NULL) {
        return PG_NOT_FOUND;
    }
    enum pg_class denied = PG_REFUSED;
    if (backend_owner_denies(attempt, finish, &denied)) {
        return denied;
    }
    if (attempt->busy_until_ms > world->now_ms || fault_strikes(world, SIM_PG_BUSY)) {
        return PG_RETRY;
    }
    if (fault_strikes(world, SIM_PG_REFUSED)) {
        return PG_REFUSED;
    }
    *ret_was_another = backend_owner_swaps(world, database, attempt, finish);
    if (*ret_was_another) {
        return PG_NOT_FOUND;
    }
    TRACE(world, LANE_DATABASE(database->index), "%s PREPARED %016llx",
          finish->commit ? "COMMIT" : "ROLLBACK", (unsigned long long)finish->gid.attempt);
    database_end(world, database, attempt, finish->commit);
    attempt->tag = finish->commit ? "COMMIT PREPARED" : "ROLLBACK PREPARED";
    return fault_strikes(world, SIM_PG_WARN_FINISH) ? PG_RETRY : PG_OK;
}

static void backend_finishes(struct sim_world *world, struct sim_database *database,
                             struct sim_backend *backend)
{
    struct command_result result = {0};
    result.class = finish_class(world, database, &backend->finish, &result.was_another);
    backend_answer(world, backend, &result);
    backend_release(world, database, backend);
}

/* ---- events ---- */

void backend_event(struct sim_world *world, const struct sim_event *event)
{
    struct sim_database *database = &world->databases[event->a];
    struct sim_backend *backend = event_backend(world, event);
    if (backend == NULL) {
        return;
    }
    switch (backend->stage) {
    case BACKEND_FREE:
    case BACKEND_OPEN: /* of a statement that is over */
        return;
    case BACKEND_BODY:
    case BACKEND_LOCK:
        backend_body(world, database, backend);
        return;
    case BACKEND_HELD:
        backend_held(world, database, backend);
        return;
    case BACKEND_PREPARE:
        if (backend->is_interactive) {
            backend_prepare_arrives(world, database, backend);
        } else {
            backend_prepare(world, database, backend);
        }
        return;
    case BACKEND_FINISH:
        backend_finishes(world, database, backend);
        return;
    case BACKEND_VERIFY:
        backend_verifies(world, database, backend);
        return;
    }
}

void backend_lost_answer(struct sim_world *world, const struct sim_event *event)
{
    struct sim_backend *backend = event_backend(world, event);
    if (backend != NULL && backend->is_attached) {
        TRACE(world, LANE_DATABASE(event->a), "connection lost");
        backend_answer_lost(world, backend);
        if (backend->is_interactive && !backend_has_sent_prepare(backend)) {
            backend_release(world, &world->databases[event->a], backend);
        }
    }
}

void backend_deadline(struct sim_world *world, const struct sim_event *event)
{
    struct sim_backend *backend = event_backend(world, event);
    if (backend == NULL || !backend->is_attached) {
        return;
    }
    struct command_result result = {.class = backend_has_sent_prepare(backend) ? PG_UNKNOWN
                                                                               : PG_ROLLED_BACK};
    result.failure.reason = REASON_TIMEOUT;
    backend_answer(world, backend, &result);
    if (backend
            ->is_interactive) { /* it gives the connection up; while it is open, the server does */
        backend->is_attached = false;
        if (!backend_has_sent_prepare(backend)) {
            backend_release(world, &world->databases[event->a], backend);
        }
    }
}

void backend_cancel(struct sim_world *world, uint32_t agent, const struct gid *gid)
{
    struct sim_database *database = agent_database(world, agent);
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        struct sim_backend *backend = &database->backends[i];
        if (backend->stage != BACKEND_FREE && backend->stage != BACKEND_FINISH &&
            backend->is_attached && backend->agent == agent &&
            gid_equal(&backend->execute.gid, gid)) {
            backend->is_cancelled = true;
            if (backend->stage == BACKEND_LOCK) {
                backend_later(world, database, backend, EVENT_BACKEND, world->now_ms + 1);
            }
        }
    }
}

/* Rows were freed: whoever waits looks again. */
void backend_wake(struct sim_world *world, struct sim_database *database)
{
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        if (database->backends[i].stage == BACKEND_LOCK) {
            backend_later(world, database, &database->backends[i], EVENT_BACKEND, world->now_ms);
        }
    }
}

void backend_end(struct sim_world *world, struct sim_database *database,
                 struct sim_backend *backend)
{
    backend_answer_lost(world, backend);
    backend_release(world, database, backend);
}

/* In the middle of its statements its last words reach the client before any answer to PREPARE, so that is a sure no
 * (pg_failure.c). */
void backend_terminate(struct sim_world *world, struct sim_database *database,
                       struct sim_backend *backend)
{
    if (backend->stage == BACKEND_BODY || backend->stage == BACKEND_LOCK) {
        backend_answer_no(world, database, backend, REASON_PARTICIPANT_UNAVAILABLE, "57P01");
    } else {
        backend_end(world, database, backend);
    }
}

/* Its connections are closed. What is in the server goes on; what it had not sent it never sends. */
void backend_agent_died(struct sim_world *world, uint32_t agent)
{
    struct sim_database *database = agent_database(world, agent);
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        struct sim_backend *backend = &database->backends[i];
        if (backend->stage != BACKEND_FREE && backend->agent == agent && backend->is_attached) {
            backend->is_attached = false;
            if (backend->stage != BACKEND_FINISH && !backend_has_sent_prepare(backend)) {
                backend_release(world, database, backend);
            }
        }
    }
}

bool backend_may_prepare(const struct sim_database *database, const struct gtrid *gtrid,
                         const struct gid *gid)
{
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        const struct sim_backend *backend = &database->backends[i];
        bool executes = backend->stage != BACKEND_FREE && backend->stage != BACKEND_FINISH;
        if (executes && !backend->by_rollback &&
            (gid != NULL ? gid_equal(&backend->execute.gid, gid)
                         : gtrid_equal(&backend->execute.gid.gtrid, gtrid)) &&
            (backend->is_attached || backend_has_sent_prepare(backend))) {
            return true;
        }
    }
    return false;
}
