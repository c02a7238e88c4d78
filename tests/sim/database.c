/*
 * database.c - the model of one PostgreSQL: accounts with row locks, prepared transactions in slots, outcome rows,
 * witnesses, and a WAL whose tail can be lost.
 *
 * Every change that a real server would have flushed before it answers is one entry of the WAL, with what is needed to
 * take it back. A crash loses nothing of it (only what runs on connections, backend.c); a failover to a standby or a
 * restore takes the last entries back one by one, so that transaction ids are given out twice, as in reality.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/probe.h"
#include "tests/sim/world.h"

#define START_BALANCE 1000

static const char *const names[SIM_DATABASES] = {"order", "payment", "stock", "ledger", "mail"};

void database_init(struct sim_world *world, uint32_t index)
{
    struct sim_database *database = &world->databases[index];
    database->index = index;
    (void)snprintf(database->name, sizeof(database->name), "%s", names[index]);
    database->system_id = sim_mix(world->options.seed, 100 + index) | 1;
    database->timeline = 1;
    database->lsn = 1000;
    database->next_xid = 700;
    database->is_up = true;
    database->starts = 1;
    database->proof = sim_one_in(&world->database_random, 4) ? PROOF_XID : PROOF_ROW;
    database->slot_count = 40;
    for (size_t i = 0; i < SIM_ACCOUNTS; i++) {
        database->balance[i] = START_BALANCE;
        database->owed[i] = START_BALANCE;
    }
}

void database_done(struct sim_database *database)
{
    for (size_t i = 0; i < SIM_BACKENDS_MAX; i++) {
        blob_free(database->backends[i].execute.work);
    }
    free(database->prepared);
    free(database->witnesses);
    free(database->wal);
}

static struct sim_wal *wal_add(struct sim_database *database, enum sim_wal_kind kind)
{
    if (database->wal_count == database->wal_capacity) {
        database->wal_capacity = database->wal_capacity == 0 ? 64 : database->wal_capacity * 2;
        database->wal =
            alloc_resize(database->wal, database->wal_capacity, sizeof(database->wal[0]));
    }
    struct sim_wal *wal = &database->wal[database->wal_count++];
    wal->kind = kind;
    wal->attempt = NULL;
    wal->lsn = database->lsn; /* where it begins */
    wal->next_xid = database->next_xid;
    database->lsn += 64;
    return wal;
}

/* ---- rows and locks ---- */

bool database_lock(struct sim_database *database, const struct sim_attempt *attempt, void *holder)
{
    for (uint32_t i = 0; i < attempt->account_count; i++) {
        const void *by = database->locked_by[attempt->account[i]];
        if (by != NULL && by != holder) {
            return false;
        }
    }
    for (uint32_t i = 0; i < attempt->account_count; i++) {
        database->locked_by[attempt->account[i]] = holder;
    }
    return true;
}

static void locks_pass(struct sim_database *database, const void *from, void *to)
{
    for (size_t i = 0; i < SIM_ACCOUNTS; i++) {
        if (database->locked_by[i] == from) {
            database->locked_by[i] = to;
        }
    }
}

void database_unlock(struct sim_world *world, struct sim_database *database, const void *holder)
{
    locks_pass(database, holder, NULL);
    backend_wake(world, database);
}

static void effects_apply(struct sim_database *database, const struct sim_attempt *attempt,
                          int sign)
{
    for (uint32_t i = 0; i < attempt->account_count; i++) {
        database->balance[attempt->account[i]] += sign * attempt->amount[i];
    }
}

/* ---- prepared transactions ---- */

struct sim_attempt *database_prepared(const struct sim_database *database, const struct gid *gid)
{
    for (size_t i = 0; i < database->prepared_count; i++) {
        struct sim_attempt *attempt = database->prepared[i];
        if (attempt->gid.attempt == gid->attempt && gid_equal(&attempt->gid, gid)) {
            return attempt;
        }
    }
    return NULL;
}

bool database_has_prepared(const struct sim_database *database, const struct gid *gid)
{
    return database_prepared(database, gid) != NULL;
}

static void prepared_put(struct sim_database *database, struct sim_attempt *attempt)
{
    if (database->prepared_count == database->prepared_capacity) {
        database->prepared_capacity =
            database->prepared_capacity == 0 ? 16 : database->prepared_capacity * 2;
        database->prepared = alloc_resize(database->prepared, database->prepared_capacity,
                                          sizeof(struct sim_attempt *));
    }
    database->prepared[database->prepared_count++] = attempt;
    attempt->is_prepared = true;
}

static void prepared_take(struct sim_database *database, struct sim_attempt *attempt)
{
    for (size_t i = 0; i < database->prepared_count; i++) {
        if (database->prepared[i] == attempt) {
            database->prepared[i] = database->prepared[--database->prepared_count];
            attempt->is_prepared = false;
            return;
        }
    }
    CHECK(!"it is not prepared");
}

/* The backend held the locks; now the prepared transaction does. */
void database_prepare(struct sim_world *world, struct sim_database *database,
                      struct sim_attempt *attempt)
{
    struct sim_wal *wal = wal_add(database, WAL_PREPARE);
    wal->attempt = attempt;
    wal->next_xid = attempt->xid8;
    attempt->prepared_at_ms = world->now_ms;
    prepared_put(database, attempt);
    for (uint32_t i = 0; i < attempt->account_count; i++) {
        database->locked_by[attempt->account[i]] = attempt;
    }
    if (!attempt->is_stranger) {
        law_prepared(world, attempt);
    }
    law_rows(world, database, attempt, 0);
}

void database_end(struct sim_world *world, struct sim_database *database,
                  struct sim_attempt *attempt, bool commit)
{
    wal_add(database, commit ? WAL_COMMIT : WAL_ROLLBACK)->attempt = attempt;
    prepared_take(database, attempt);
    if (commit) {
        attempt->is_committed = true;
        attempt->row_visible = attempt->writes_row;
        effects_apply(database, attempt, 1);
    } else {
        attempt->is_rolled_back = true;
    }
    if (!attempt->is_stranger) {
        law_ended(world, attempt, commit);
    }
    database_unlock(world, database, attempt);
    law_rows(world, database, attempt, commit ? 1 : 0);
}

void database_own_commit(struct sim_database *database)
{
    (void)wal_add(database, WAL_OTHER);
    database->next_xid++;
}

/* ---- witnesses (the rules of assent.store_witness, pg_setup_sql.h) ---- */

static struct witness *witness_find(const struct sim_database *database,
                                    const struct journal_id *journal)
{
    for (size_t i = 0; i < database->witness_count; i++) {
        if (journal_id_equal(&database->witnesses[i].journal, journal)) {
            return &database->witnesses[i];
        }
    }
    return NULL;
}

void database_load_witness(const struct sim_database *database, const struct journal_id *journal,
                           struct witness *ret_witness)
{
    const struct witness *found = witness_find(database, journal);
    memset(ret_witness, 0, sizeof(*ret_witness));
    ret_witness->journal = *journal;
    if (found != NULL) {
        *ret_witness = *found;
    }
}

static bool floor_above(const struct journal_floor *a, const struct journal_floor *b)
{
    return a->epoch > b->epoch || (a->epoch == b->epoch && a->sequence > b->sequence);
}

static void witness_merge(struct witness *known, const struct witness *told)
{
    struct witness merged = *told;
    if (known->compared_xid > merged.compared_xid) {
        merged.compared_xid = known->compared_xid;
    }
    if (known->epoch == told->epoch && known->head.number > told->head.number) {
        merged.head = known->head;
    }
    if (floor_above(&known->floor, &told->floor)) {
        merged.floor.epoch = known->floor.epoch;
        merged.floor.sequence = known->floor.sequence;
    }
    if (known->floor.first_number > merged.floor.first_number) {
        merged.floor.first_number = known->floor.first_number;
    }
    *known = merged;
}

void database_store_witness(struct sim_world *world, struct sim_database *database,
                            const struct witness *witness, struct command_result *result)
{
    (void)world;
    struct witness *known = witness_find(database, &witness->journal);
    struct witness told = *witness;
    result->witness = *witness;
    if (told.compared_timeline != database->timeline) {
        told.compared_xid = 0;
    }
    if (known != NULL &&
        (known->epoch > witness->epoch ||
         (known->epoch == witness->epoch && known->epoch_nonce != witness->epoch_nonce))) {
        result->class = PG_REFUSED;
        return;
    }
    struct sim_wal *wal = wal_add(database, WAL_WITNESS);
    database->next_xid++;
    wal->had_witness = known != NULL;
    if (known != NULL) {
        wal->before = *known;
        wal->witness_index = (size_t)(known - database->witnesses);
        witness_merge(known, &told);
    } else {
        if (database->witness_count == database->witness_capacity) {
            database->witness_capacity =
                database->witness_capacity == 0 ? 4 : database->witness_capacity * 2;
            database->witnesses = alloc_resize(database->witnesses, database->witness_capacity,
                                               sizeof(database->witnesses[0]));
        }
        wal->witness_index = database->witness_count;
        database->witnesses[database->witness_count++] = told;
    }
    result->class = PG_OK;
}

/* ---- the ring of outcome rows ---- */

bool database_below_floor(const struct sim_database *database, const struct gtrid *gtrid)
{
    const struct witness *known = witness_find(database, &gtrid->journal);
    return known != NULL &&
           (known->floor.epoch > gtrid->epoch ||
            (known->floor.epoch == gtrid->epoch && known->floor.sequence >= gtrid->sequence));
}

/* One partition is emptied if every row of it has been passed by its journal's floor. Here every row that has been
 * passed goes, which is the most that any division into partitions could do. */
void database_rotate(struct sim_world *world, struct sim_database *database)
{
    for (struct sim_attempt *attempt = world->attempt_list; attempt != NULL;
         attempt = attempt->next_of_world) {
        if (attempt->row_visible && attempt->database == database->index &&
            database_below_floor(database, &attempt->gid.gtrid)) {
            wal_add(database, WAL_ROTATE)->attempt = attempt;
            attempt->row_visible = false;
        }
    }
    database->next_xid++;
}

/* ---- losing the tail ---- */

static void wal_undo(struct sim_world *world, struct sim_database *database,
                     const struct sim_wal *wal)
{
    struct sim_attempt *attempt = wal->attempt;
    switch (wal->kind) {
    case WAL_PREPARE:
        prepared_take(database, attempt);
        locks_pass(database, attempt, NULL);
        attempt->is_lost = true;
        law_rows(world, database, attempt, 0);
        break;
    case WAL_COMMIT:
        effects_apply(database, attempt, -1);
        attempt->is_committed = false;
        attempt->row_visible = false;
        attempt->is_lost = true;
        prepared_put(database, attempt);
        CHECK(database_lock(database, attempt, attempt));
        law_rows(world, database, attempt, -1);
        break;
    case WAL_ROLLBACK:
        attempt->is_rolled_back = false;
        attempt->is_lost = true;
        prepared_put(database, attempt);
        CHECK(database_lock(database, attempt, attempt));
        law_rows(world, database, attempt, 0);
        break;
    case WAL_WITNESS:
        if (wal->had_witness) {
            database->witnesses[wal->witness_index] = wal->before;
        } else {
            CHECK(wal->witness_index + 1 == database->witness_count);
            database->witness_count--;
        }
        break;
    case WAL_ROTATE:
        attempt->row_visible = true;
        break;
    case WAL_OTHER:
        break;
    }
}

/* Everything from this position on never happened. Nothing runs meanwhile: all connections are gone. */
void database_lose(struct sim_world *world, struct sim_database *database, uint64_t lsn)
{
    while (database->wal_count > 0 && database->wal[database->wal_count - 1].lsn >= lsn) {
        const struct sim_wal *wal = &database->wal[--database->wal_count];
        wal_undo(world, database, wal);
        database->lsn = wal->lsn;
        database->next_xid =
            wal->next_xid < database->next_xid ? wal->next_xid : database->next_xid;
    }
}
