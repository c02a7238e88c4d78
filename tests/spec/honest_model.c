/*
 * honest_model.c - the simulator's model of PostgreSQL and of the edge around it, driven at the seam.
 *
 * A world of one database and one agent without faults, delays, coordinator or clients. The script plays the agent's core,
 * so what the simulator's laws say about cores is not asked here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

#include "common/alloc.h"
#include "tests/sim/world.h"
#include "tests/spec/honest.h"

#define FIRST_ID   ((uint64_t)1 << 40) /* the core counts from 1 */
#define EVENTS_MAX 100000

struct model {
    struct honest_side side;
    struct sim_world *world;
    struct sim_verdict verdict;
    size_t result_count;
    struct command_result *results; /* owned */
    uint64_t copy_lsn;
    bool is_revoked; /* the agent's membership in the applications' role */
};

static struct model *model_of(struct honest_side *side)
{
    return (struct model *)side;
}

static struct sim_database *database_of(struct model *model)
{
    return &model->world->databases[0];
}

/* ---- time ---- */

/* Answers to the script's own commands are kept, as the driver would hand them to a core. */
static void take_result(struct model *model, struct sim_event *event)
{
    edge_note_executed(model->world, 0, &event->as.result);
    model->results =
        alloc_resize(model->results, model->result_count + 1, sizeof(model->results[0]));
    model->results[model->result_count++] = event->as.result;
    memset(&event->as.result, 0, sizeof(event->as.result));
    queue_free(model->world, event);
}

static bool is_wanted(const struct sim_event *event)
{
    switch (event->kind) {
    case EVENT_START:
        return event->a >= SIM_COORDS;
    case EVENT_AGENT_RESULT:
    case EVENT_AGENT_BEAT:
    case EVENT_AGENT_TIMER:
    case EVENT_BACKEND:
    case EVENT_KEEPER_RUN:
    case EVENT_LOST_ANSWER:
    case EVENT_DEADLINE:
    case EVENT_PG_START:
        return true;
    default: /* coordinators, clients, the network */
        return false;
    }
}

static void run_one(struct model *model)
{
    struct sim_world *world = model->world;
    struct sim_event *event = queue_pop(world);
    assert_non_null(event);
    if (event->kind == EVENT_AGENT_RESULT && event->as.result.id >= FIRST_ID) {
        world->now_ms = event->due_ms;
        if (event->incarnation == world->agents[0].process.incarnation) {
            take_result(model, event);
        } else {
            queue_free(world, event);
        }
    } else if (is_wanted(event)) {
        world_dispatch(world, event);
    } else {
        queue_free(world, event);
    }
}

typedef bool (*condition)(struct model *model, const void *what);

static void run_until(struct model *model, condition holds, const void *what, const char *text)
{
    for (int i = 0; i < EVENTS_MAX; i++) {
        if (holds(model, what)) {
            return;
        }
        run_one(model);
    }
    fail_msg("%s: in the model this does not happen: %s", model->side.script, text);
}

static bool edge_knows_server(struct model *model, const void *what)
{
    (void)what;
    const struct sim_agent *agent = &model->world->agents[0];
    const struct sim_database *database = database_of(model);
    return agent->process.is_alive && database->is_up && agent->edge.is_known &&
           agent->edge.starts == database->starts;
}

/* ---- the seam ---- */

static uint64_t model_now_ms(struct honest_side *side)
{
    return model_of(side)->world->now_ms;
}

static struct blob *model_work(struct honest_side *side, const struct honest_op *op)
{
    struct sim_work work;
    (void)side;
    memset(&work, 0, sizeof(work));
    bool only_looks = op->amount == 0 && (op->kind == HONEST_SAY || op->kind == HONEST_SAY_BEGIN);
    work.account_count = only_looks ? 0 : 1;
    work.account[0] = op->account;
    work.amount[0] = op->amount;
    work.is_split = op->is_split;
    return blob_new(&work, sizeof(work));
}

static struct sim_backend *backend_of(struct model *model, uint32_t number)
{
    struct sim_database *database = database_of(model);
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        struct sim_backend *backend = &database->backends[i];
        if (backend->stage != BACKEND_FREE && backend->stage != BACKEND_FINISH &&
            backend->execute.gid.attempt == number) {
            return backend;
        }
    }
    return NULL;
}

/* The simulator draws what is wrong with a branch; the script says it. */
static void doom(struct model *model, const struct honest_op *op)
{
    static const uint64_t bits[FLAW_COUNT] = {
        [FLAW_CONSTRAINT] = 0,   [FLAW_SERIALIZATION] = 1,  [FLAW_DEADLOCK] = 2,
        [FLAW_STATEMENT] = 3,    [FLAW_NOT_PREPARABLE] = 4, [FLAW_FAILED_BLOCK] = 0,
        [FLAW_IDLE_FOR_EVER] = 0};
    struct sim_backend *backend = backend_of(model, op->gid);
    assert_non_null(backend);
    if (op->flaw == FLAW_IDLE_FOR_EVER) {
        return; /* what the model has no words for changes nothing */
    }
    if (op->flaw != FLAW_NONE) {
        backend->no_kind = op->flaw == FLAW_FAILED_BLOCK ? SIM_PG_TAG : SIM_PG_NO;
        backend->no_bits = bits[op->flaw];
    } else if (op->standby_is_away) {
        backend->no_kind = SIM_PG_WARN_PREPARE;
    }
}

static void warn(struct model *model, uint32_t rate)
{
    model->world->rate[SIM_PG_WARN_FINISH] = rate;
    model->world->rate[SIM_PG_WARN_PROVE] = rate;
}

/* The attempt and those that were prepared under its name after it. */
static void tags_forget(struct model *model, const struct gid *gid)
{
    for (struct sim_attempt *attempt = model->world->attempt_list; attempt != NULL;
         attempt = attempt->next_of_world) {
        if (gid_equal(&attempt->gid, gid)) {
            attempt->tag = NULL;
        }
    }
}

static void model_submit(struct honest_side *side, const struct honest_op *op,
                         struct command *command)
{
    struct model *model = model_of(side);
    bool executes = command->kind == COMMAND_EXECUTE || command->kind == COMMAND_STATEMENT;
    bool prepares = command->kind == COMMAND_PREPARE;
    bool is_odd = op->flaw != FLAW_NONE || op->standby_is_away;
    struct gid gid = honest_gid(op->gid);
    if (executes && law_attempt(model->world, &gid) == NULL) {
        (void)law_attempt_new(model->world, &gid);
    }
    tags_forget(model, &gid);
    warn(model, op->standby_is_away && !executes && !prepares ? UINT32_MAX : 0);
    if (prepares && is_odd) {
        doom(model, op); /* it may be done at once */
    }
    assert_true(edge_submit(model->world, 0, command));
    if (executes && is_odd) {
        doom(model, op);
    }
}

static bool is_answered(struct model *model, const void *what)
{
    const uint64_t *id = what;
    for (size_t i = 0; i < model->result_count; i++) {
        if (model->results[i].id == *id) {
            return true;
        }
    }
    return false;
}

static const struct command_result *model_await(struct honest_side *side, uint64_t id)
{
    struct model *model = model_of(side);
    run_until(model, is_answered, &id, "an answer");
    warn(model, 0);
    for (size_t i = 0; i < model->result_count; i++) {
        if (model->results[i].id == id) {
            return &model->results[i];
        }
    }
    return NULL;
}

static void model_tag(struct honest_side *side, const struct honest_op *op, char tag[HONEST_TEXT])
{
    struct gid gid = honest_gid(op->gid);
    const struct sim_attempt *attempt = model_of(side)->world->attempt_list;
    while (attempt != NULL && (attempt->tag == NULL || !gid_equal(&attempt->gid, &gid))) {
        attempt = attempt->next_of_world;
    }
    (void)snprintf(tag, HONEST_TEXT, "%s", attempt == NULL ? "" : attempt->tag);
}

static bool waits_for_row(struct model *model, const void *what)
{
    const struct honest_op *op = what;
    const struct sim_backend *backend = backend_of(model, op->gid);
    return backend != NULL && backend->stage == BACKEND_LOCK;
}

static void model_await_wait(struct honest_side *side, const struct honest_op *op)
{
    run_until(model_of(side), waits_for_row, op, "a branch waits for a row");
}

/* ---- behind the agent's back ---- */

static bool is_gone(struct model *model, const void *what)
{
    const struct honest_op *op = what;
    return backend_of(model, op->gid) == NULL;
}

static bool is_prepared(struct model *model, const void *what)
{
    return database_prepared(database_of(model), what) != NULL;
}

static void human_ends(struct model *model, const struct gid *gid, bool commit)
{
    struct sim_attempt *attempt = database_prepared(database_of(model), gid);
    assert_non_null(attempt);
    attempt->by_human = true;
    attempt->busy_until_ms = 0;
    database_end(model->world, database_of(model), attempt, commit);
}

/* What the agent's own role prepared is an EXECUTE's. */
static bool model_prepare(struct honest_side *side, const struct honest_op *op,
                          const char *gid_text, const struct gid *gid)
{
    struct model *model = model_of(side);
    struct sim_attempt *attempt = law_attempt(model->world, gid);
    (void)gid_text;
    if (attempt == NULL) {
        attempt = law_attempt_new(model->world, gid);
    } else if (attempt->xid8 != 0) { /* there was one of this name before */
        attempt = backend_attempt_double(model->world, attempt);
        attempt->database = database_of(model)->index;
    }
    attempt->is_external = true;
    attempt->has_grant = !model->is_revoked;
    attempt->account_count = 1;
    attempt->account[0] = op->account;
    attempt->amount[0] = op->amount;
    return application_prepare(model->world, database_of(model), attempt) ==
           APPLICATION_HAS_PREPARED;
}

static void revoke(struct model *model, bool is_revoked)
{
    model->is_revoked = is_revoked;
    for (struct sim_attempt *attempt = model->world->attempt_list; attempt != NULL;
         attempt = attempt->next_of_world) {
        attempt->has_grant = attempt->is_external && !is_revoked;
    }
}

static void model_act(struct honest_side *side, const struct honest_op *op, const char *gid_text,
                      const struct gid *gid)
{
    struct model *model = model_of(side);
    struct sim_world *world = model->world;
    struct sim_database *database = database_of(model);
    switch (op->kind) {
    case HONEST_AWAIT_PREPARED:
        run_until(model, is_prepared, gid, "a late prepare");
        return;
    case HONEST_AWAIT_GONE:
        run_until(model, is_gone, op, "the server ends an idle branch");
        return;
    case HONEST_HUMAN_ENDS:
        assert_non_null(backend_of(model, op->gid));
        backend_terminate(world, database, backend_of(model, op->gid));
        return;
    case HONEST_AGENT_DIES:
        agent_proc_kill(world, 0);
        process_order_start(world, world_agent_process(0), 10);
        break;
    case HONEST_COPY:
        model->copy_lsn = database->lsn;
        nemesis_stop_database(world, database, 10);
        break;
    case HONEST_CRASH:
        nemesis_stop_database(world, database, 10);
        break;
    case HONEST_RESTORE:
        if (op->agent_is_away) {
            agent_proc_kill(world, 0);
            process_order_start(world, world_agent_process(0), 10);
        }
        nemesis_fail_over(world, database, (database->lsn - model->copy_lsn) / 64, false);
        break;
    case HONEST_PROMOTE:
        nemesis_fail_over(world, database, 0, true);
        break;
    case HONEST_HUMAN_COMMIT:
    case HONEST_HUMAN_ROLLBACK:
        human_ends(model, gid, op->kind == HONEST_HUMAN_COMMIT);
        return;
    case HONEST_HUMAN_HOLDS:
        assert_non_null(database_prepared(database, gid));
        database_prepared(database, gid)->busy_until_ms = UINT64_MAX;
        return;
    case HONEST_HUMAN_LETS_GO:
        human_ends(model, gid, true);
        return;
    case HONEST_FOREIGN:
        nemesis_prepare_foreign(world, database, gid_text, gid, op->is_elsewhere);
        return;
    case HONEST_REVOKE:
    case HONEST_GRANT:
        revoke(model, op->kind == HONEST_REVOKE);
        return;
    default:
        fail_msg("the model does not know operation %d", (int)op->kind);
    }
    run_until(model, edge_knows_server, NULL, "the edge knows the server");
    for (int i = 0; i < 10 && op->kind == HONEST_COPY; i++) {
        database_own_commit(database); /* else what a start writes could hide what was lost */
    }
}

static void model_history(struct honest_side *side, uint64_t *ret_changes, uint32_t *ret_timeline)
{
    const struct sim_edge *edge = &model_of(side)->world->agents[0].edge;
    *ret_changes = edge->history_changes;
    *ret_timeline = edge->identity.timeline;
}

static void put(char text[HONEST_TEXT], const char *word)
{
    size_t length = strlen(text);
    (void)snprintf(text + length, HONEST_TEXT - length, "%s%s", length == 0 ? "" : " ", word);
}

static void model_look(struct honest_side *side, char accounts[HONEST_TEXT],
                       char prepared[HONEST_TEXT], char outcomes[HONEST_TEXT])
{
    struct model *model = model_of(side);
    const struct sim_database *database = database_of(model);
    for (uint32_t i = 0; i < HONEST_ACCOUNTS; i++) {
        char word[64];
        if (database->balance[i] != HONEST_BALANCE) {
            (void)snprintf(word, sizeof(word), "%u=%lld", i, (long long)database->balance[i]);
            put(accounts, word);
        }
    }
    for (size_t i = 0; i < database->prepared_count; i++) {
        put(prepared, database->prepared[i]->text);
    }
    for (const struct sim_attempt *attempt = model->world->attempt_list; attempt != NULL;
         attempt = attempt->next_of_world) {
        if (attempt->row_visible) {
            put(outcomes, attempt->text);
        }
    }
}

/* ---- birth and end ---- */

struct honest_side *honest_model_new(const struct honest_script *script)
{
    struct model *model = alloc_zeroed(sizeof(*model));
    model->side = (struct honest_side){
        .name = "model",
        .script = script->name,
        .next_id = FIRST_ID,
        .now_ms = model_now_ms,
        .work = model_work,
        .submit = model_submit,
        .await = model_await,
        .tag = model_tag,
        .await_wait = model_await_wait,
        .act = model_act,
        .prepare = model_prepare,
        .history = model_history,
        .look = model_look,
    };
    model->world = alloc_zeroed(sizeof(*model->world));
    model->world->options =
        (struct sim_options){.op_count = 1, .participant_count = 1, .is_explored = true};
    model->world->verdict = &model->verdict;
    world_init(model->world);
    world_process(model->world, world_coord_process(0))->starts++; /* it never starts */
    model->world->agent_config.sweep_interval_ms = INT32_MAX;
    database_of(model)->proof = script->proof;
    database_of(model)->slot_count = HONEST_SLOTS;
    run_until(model, edge_knows_server, NULL, "the edge knows the server");
    return &model->side;
}

void honest_model_free(struct honest_side *side)
{
    struct model *model = model_of(side);
    for (size_t i = 0; i < model->result_count; i++) {
        command_result_done(&model->results[i]);
    }
    free(model->results);
    world_done(model->world);
    sim_verdict_done(&model->verdict);
    free(model->world);
    free(model);
}
