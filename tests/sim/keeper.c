/*
 * keeper.c - what the keeper's connection is asked (pg_proof.c, pg_witness.c), on the model of PostgreSQL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/world.h"

/* Ends every backend that could still prepare something unknown: of earlier incarnations, of connections that were given
 * up, and the branch's own. False: they do not end, so nothing is sure. */
static bool keeper_fence(struct sim_world *world, uint32_t agent, const struct gtrid *gtrid,
                         const struct gid *gid)
{
    struct sim_database *database = &world->databases[world->agents[agent].database];
    uint64_t incarnation = world->agents[agent].process.incarnation;
    if (world_point(world, world_agent_process(agent), FAULT_A_FENCE_PRE) ||
        fault_strikes(world, SIM_PG_FENCE)) {
        return false;
    }
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        struct sim_backend *backend = &database->backends[i];
        bool is_other = backend->agent != agent || backend->incarnation != incarnation;
        bool is_its = backend->stage != BACKEND_FINISH && backend->stage != BACKEND_VERIFY &&
                      (gid != NULL ? gid_equal(&backend->execute.gid, gid)
                                   : gtrid_equal(&backend->execute.gid.gtrid, gtrid));
        if (backend->stage != BACKEND_FREE && (is_other || !backend->is_attached || is_its)) {
            backend_terminate(world, database, backend);
        }
    }
    return !world_point(world, world_agent_process(agent), FAULT_A_FENCE_POST);
}

static void rows_add(struct sim_world *world, const struct sim_attempt *attempt,
                     struct command_result *result)
{
    result->rows = alloc_resize(result->rows, result->row_count + 1, sizeof(result->rows[0]));
    struct prepared_row *row = &result->rows[result->row_count++];
    *row = (struct prepared_row){.gid_text = ""};
    (void)snprintf(row->database, sizeof(row->database), "%s",
                   attempt->is_elsewhere ? "elsewhere" : "");
    memcpy(row->gid_text, attempt->text, sizeof(row->gid_text));
    row->xid = (uint32_t)attempt->xid8;
    row->age_ms = world->now_ms - attempt->prepared_at_ms;
    (void)snprintf(row->owner, sizeof(row->owner), "%s",
                   attempt->is_external                             ? "application"
                   : attempt->is_stranger && !attempt->is_elsewhere ? "somebody"
                                                                    : "assent");
}

static bool keeper_is_alone(const struct sim_world *world, uint32_t agent)
{
    const struct sim_database *database = &world->databases[world->agents[agent].database];
    uint64_t incarnation = world->agents[agent].process.incarnation;
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        const struct sim_backend *backend = &database->backends[i];
        bool is_other = backend->agent != agent || backend->incarnation != incarnation;
        if (backend->stage != BACKEND_FREE && (is_other || !backend->is_attached)) {
            return false;
        }
    }
    return true;
}

/* pg_snapshot_xmin: the lowest id of a transaction that runs or is prepared. */
static uint64_t horizon(const struct sim_database *database)
{
    uint64_t lowest = database->next_xid;
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        const struct sim_attempt *attempt = database->backends[i].attempt;
        if (database->backends[i].stage != BACKEND_FREE && attempt != NULL && attempt->xid8 != 0 &&
            attempt->xid8 < lowest) {
            lowest = attempt->xid8;
        }
    }
    for (size_t i = 0; i < database->prepared_count; i++) {
        lowest = database->prepared[i]->xid8 < lowest ? database->prepared[i]->xid8 : lowest;
    }
    return lowest;
}

/* All of this database under Assent's prefix, and of the server's others what has this participant's name. */
static bool is_scanned(const struct sim_database *database, const struct sim_attempt *attempt)
{
    struct gid gid;
    bool is_its_name =
        gid_parse(attempt->text, &gid) && strcmp(gid.participant, database->name) == 0;
    return is_its_name ||
           (!attempt->is_elsewhere && strncmp(attempt->text, GID_PREFIX, strlen(GID_PREFIX)) == 0);
}

static void keeper_scan(struct sim_world *world, uint32_t agent, const struct command_scan *scan,
                        struct command_result *result)
{
    const struct sim_database *database = &world->databases[world->agents[agent].database];
    result->proof.xid8 = horizon(database);
    const struct gtrid nobody = {.sequence = 0};
    if (scan->end_others && !keeper_fence(world, agent, &nobody, NULL)) {
        return;
    }
    result->is_alone = scan->look_for_others && keeper_is_alone(world, agent);
    for (size_t i = 0; i < database->prepared_count; i++) {
        const struct sim_attempt *attempt = database->prepared[i];
        if (is_scanned(database, attempt)) {
            if (world_point(world, world_agent_process(agent), FAULT_A_SCAN)) {
                return;
            }
            rows_add(world, attempt, result);
        }
    }
    result->class = PG_OK;
}

static void keeper_look(struct sim_world *world, uint32_t agent, const struct command_look *look,
                        struct command_result *result)
{
    const struct sim_database *database = &world->databases[world->agents[agent].database];
    if (!keeper_fence(world, agent, &look->gtrid, NULL)) {
        return;
    }
    for (size_t i = 0; i < database->prepared_count; i++) {
        const struct sim_attempt *attempt = database->prepared[i];
        if (!attempt->is_elsewhere && gtrid_equal(&attempt->gid.gtrid, &look->gtrid) &&
            strcmp(attempt->gid.participant, database->name) == 0) {
            rows_add(world, attempt, result);
        }
    }
    result->class = result->row_count > 0 ? PG_OK : PG_NOT_FOUND;
}

/* pg_xact_status: whose transaction this id is in the present history. */
static enum proof_result xid_status(const struct sim_world *world,
                                    const struct sim_database *database, uint64_t xid8)
{
    for (const struct sim_attempt *attempt = world->attempt_list; attempt != NULL;
         attempt = attempt->next_of_world) {
        if (attempt->database == database->index && attempt->xid8 == xid8 &&
            attempt->is_committed) {
            return PROOF_SAYS_COMMITTED;
        }
    }
    return xid8 < database->next_xid ? PROOF_SAYS_ABSENT : PROOF_CANNOT_TELL;
}

static enum proof_result prove_by_xid(const struct sim_world *world,
                                      const struct sim_database *database,
                                      const struct sim_edge *edge, const struct gid *gid,
                                      const struct proof *proof)
{
    bool lost = edge->lost_to_lsn != 0 && proof->lsn >= edge->lost_from_lsn &&
                proof->lsn <= edge->lost_to_lsn;
    bool known = proof->lsn < edge->lsn_at_connect;
    for (size_t i = 0; i < edge->voted_count && !known; i++) {
        known = edge->voted[i] == gid->attempt;
    }
    bool believed = proof->xid8 != 0 && proof->system_id == edge->identity.system_id &&
                    proof->timeline == edge->identity.timeline &&
                    proof->database_oid == edge->identity.database_oid && known && !lost;
    return believed ? xid_status(world, database, proof->xid8) : PROOF_CANNOT_TELL;
}

static enum proof_result prove_by_row(struct sim_world *world, const struct sim_database *database,
                                      const struct command_prove *prove)
{
    const struct sim_attempt *attempt = law_attempt(world, &prove->gid);
    if (attempt != NULL && attempt->row_visible && attempt->database == database->index) {
        return PROOF_SAYS_COMMITTED;
    }
    return prove->expect_commit && database_below_floor(database, &prove->gid.gtrid)
               ? PROOF_CANNOT_TELL
               : PROOF_SAYS_ABSENT;
}

static void keeper_prove(struct sim_world *world, uint32_t agent, const struct command_prove *prove,
                         struct command_result *result)
{
    struct sim_database *database = &world->databases[world->agents[agent].database];
    const struct sim_edge *edge = &world->agents[agent].edge;
    if (prove->fence && !keeper_fence(world, agent, &prove->gid.gtrid, &prove->gid)) {
        return;
    }
    const struct sim_attempt *prepared = database_prepared(database, &prove->gid);
    bool is_told_external = prove->proof.kind == PROOF_EXTERNAL;
    if (prepared != NULL && !(prepared->is_elsewhere && is_told_external)) {
        result->proved = PROOF_SAYS_PREPARED;
    } else if (prove->proof.kind == PROOF_XID || (is_told_external && prove->proof.xid8 != 0)) {
        result->proved = prove_by_xid(world, database, edge, &prove->gid, &prove->proof);
    } else if (!prove->expect_commit && (is_told_external || (prove->proof.kind == PROOF_NONE &&
                                                              database->proof == PROOF_XID))) {
        result->proved = PROOF_SAYS_ABSENT;
    } else {
        result->proved = prove_by_row(world, database, prove);
    }
    if (result->proved != PROOF_SAYS_PREPARED) {
        database_own_commit(database);
        if (fault_strikes(world, SIM_PG_WARN_PROVE)) {
            result->class = PG_RETRY;
            return;
        }
    }
    result->class = PG_OK;
}

/* As pg_audit.c: prepared, committed by its row, else by the proof. */
static enum audit_finding audit_one(struct sim_world *world, const struct sim_database *database,
                                    const struct sim_edge *edge, const struct audit_item *item)
{
    const struct sim_attempt *attempt = law_attempt(world, &item->gid);
    if (database_prepared(database, &item->gid) != NULL) {
        return AUDIT_PREPARED;
    }
    if (attempt != NULL && attempt->row_visible) {
        return AUDIT_COMMITTED;
    }
    enum proof_result proved = PROOF_CANNOT_TELL;
    if (item->proof.kind != PROOF_ROW) {
        proved = prove_by_xid(world, database, edge, &item->gid, &item->proof);
    } else if (!database_below_floor(database, &item->gid.gtrid)) {
        proved = PROOF_SAYS_ABSENT;
    }
    return proved == PROOF_SAYS_COMMITTED ? AUDIT_COMMITTED
           : proved == PROOF_SAYS_ABSENT  ? AUDIT_LOST
                                          : AUDIT_CANNOT_TELL;
}

static void keeper_audit(struct sim_world *world, uint32_t agent, const struct audit_list *list,
                         struct command_result *result)
{
    const struct sim_agent *its = &world->agents[agent];
    uint8_t findings[AUDIT_ITEMS_MAX];
    CHECK(list->count <= AUDIT_ITEMS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        findings[i] = (uint8_t)audit_one(world, &world->databases[its->database], &its->edge,
                                         &list->items[i]);
    }
    result->results = blob_new(findings, list->count);
    result->class = PG_OK;
}

static int by_xid(const void *left, const void *right)
{
    const struct sim_attempt *const *a = left, *const *b = right;
    return ((*a)->xid8 > (*b)->xid8) - ((*a)->xid8 < (*b)->xid8);
}

/* As pg_outcomes.c. */
static void keeper_outcomes(struct sim_world *world, uint32_t agent,
                            const struct command_outcomes *outcomes, struct command_result *result)
{
    const struct sim_database *database = &world->databases[world->agents[agent].database];
    struct witness witness;
    database_load_witness(database, &outcomes->journal, &witness);
    size_t count = 0, capacity = 0;
    struct sim_attempt **found = NULL;
    for (struct sim_attempt *attempt = world->attempt_list; attempt != NULL;
         attempt = attempt->next_of_world) {
        if (attempt->row_visible && attempt->database == database->index &&
            journal_id_equal(&attempt->gid.gtrid.journal, &outcomes->journal) &&
            attempt->xid8 >= witness.compared_xid && attempt->xid8 > outcomes->after_xid &&
            !database_below_floor(database, &attempt->gid.gtrid)) {
            if (count == capacity) {
                capacity = capacity == 0 ? 16 : capacity * 2;
                found = alloc_resize(found, capacity, sizeof(found[0]));
            }
            found[count++] = attempt;
        }
    }
    if (count > 1) {
        qsort(found, count, sizeof(found[0]), by_xid);
    }
    for (size_t i = 0; i < count && i < outcomes->limit; i++) {
        rows_add(world, found[i], result);
        result->proof.xid8 = found[i]->xid8;
    }
    free(found);
    result->class = PG_OK;
}

void keeper_carry_out(struct sim_world *world, uint32_t agent, struct command *command,
                      struct command_result *result)
{
    struct sim_database *database = &world->databases[world->agents[agent].database];
    switch (command->kind) {
    case COMMAND_PROVE:
        keeper_prove(world, agent, &command->as.prove, result);
        return;
    case COMMAND_LOOK:
        keeper_look(world, agent, &command->as.look, result);
        return;
    case COMMAND_SCAN:
        keeper_scan(world, agent, &command->as.scan, result);
        return;
    case COMMAND_OUTCOMES:
        keeper_outcomes(world, agent, &command->as.outcomes, result);
        return;
    case COMMAND_LOAD_WITNESS:
        database_load_witness(database, &command->as.load, &result->witness);
        result->class = PG_OK;
        return;
    case COMMAND_STORE_WITNESS:
        database_store_witness(world, database, &command->as.store, result);
        result->proof.lsn = database->lsn;
        return;
    case COMMAND_ROTATE:
        database_rotate(world, database);
        result->class = PG_OK;
        return;
    case COMMAND_AUDIT:
        keeper_audit(world, agent, &command->as.audit, result);
        return;
    case COMMAND_CANCEL:
    case COMMAND_EXECUTE:
    case COMMAND_FINISH:
    case COMMAND_STATEMENT:
    case COMMAND_PREPARE:
    case COMMAND_CLOSE:
    case COMMAND_VERIFY:
        break;
    }
    CHECK(!"a worker's or finisher's command");
}
