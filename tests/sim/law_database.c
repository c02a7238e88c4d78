/* law_database.c - the invariants of what a database does (law.c). */
#include "tests/sim/world.h"

/* P-22: its predecessors ran on this connection, each once, and nothing is missing. */
bool law_statement(struct sim_world *world, const struct sim_attempt *attempt, uint64_t ordinal)
{
    if (ordinal != attempt->statements_begun + 1 ||
        attempt->statements_done != attempt->statements_begun) {
        law_broken(world, "P-22", "%s: statement %llu runs where %u were begun and %u done",
                   attempt->text, (unsigned long long)ordinal, attempt->statements_begun,
                   attempt->statements_done);
        return false;
    }
    return true;
}

void law_prepared(struct sim_world *world, struct sim_attempt *attempt)
{
    if (attempt->committed_once || attempt->is_rolled_back) {
        law_broken(world, "X1", "an attempt of %s is prepared after its end",
                   law_say_gtrid(&attempt->gid.gtrid));
    }
}

void law_ended(struct sim_world *world, struct sim_attempt *attempt, bool commit)
{
    bool named = law_names(attempt->truth, &attempt->gid);
    /* Once the vote is forgotten it is a person who looks at the row and says which it is (operators.c). */
    if (commit && attempt->is_another && !attempt->is_awaited) {
        law_broken(world, "P-20", "%s: what was prepared instead of the voted branch commits",
                   attempt->text);
    }
    if (commit) {
        attempt->committed_once = true;
    }
    bool is_said = commit ? attempt->said_commit : attempt->said_rollback;
    if (attempt->by_human || attempt->in_hole || is_said || commit == named) {
        return;
    }
    if (commit) {
        law_broken(world, "A1", "%s commits at %s and is not decided",
                   law_say_gtrid(&attempt->gid.gtrid), attempt->gid.participant);
    } else {
        law_broken(world, "A1", "%s is rolled back at %s and is decided commit",
                   law_say_gtrid(&attempt->gid.gtrid), attempt->gid.participant);
    }
}

/* K1: who holds this row? A backend that works, or a transaction that is prepared. */
static bool is_held_rightly(const struct sim_database *database, const void *holder)
{
    const struct sim_backend *first = database->backends;
    if (holder == NULL) {
        return true;
    }
    if ((const char *)holder >= (const char *)first &&
        (const char *)holder < (const char *)(first + SIM_BACKENDS_MAX)) {
        const struct sim_backend *backend = holder;
        return backend->stage != BACKEND_FREE && backend->holds_locks;
    }
    const struct sim_attempt *attempt = holder;
    return attempt->is_prepared && attempt->database == database->index;
}

void law_rows(struct sim_world *world, struct sim_database *database,
              const struct sim_attempt *attempt, int effects)
{
    for (uint32_t i = 0; i < attempt->account_count; i++) {
        database->owed[attempt->account[i]] += effects * attempt->amount[i];
        if (attempt->is_prepared && database->locked_by[attempt->account[i]] != attempt) {
            law_broken(world, "K1", "%s is prepared and does not hold account %u of %s",
                       attempt->text, attempt->account[i], database->name);
        }
    }
    for (uint32_t i = 0; i < SIM_ACCOUNTS; i++) {
        if (database->balance[i] != database->owed[i]) {
            law_broken(world, "C1", "account %u of %s has %lld, its effects make %lld", i,
                       database->name, (long long)database->balance[i],
                       (long long)database->owed[i]);
        }
        if (!is_held_rightly(database, database->locked_by[i])) {
            law_broken(world, "K1", "account %u of %s is locked by nobody", i, database->name);
        }
    }
}
