/*
 * judge.c - what must hold when all has healed and come to rest (docs/TESTING.md): everything resolved (L1), and the
 * rows of all databases compared as sets, transaction by transaction, with the decisions and with what clients were told
 * (A1, D1, X1, C1), no locks left (K1), the journal whole (S1), every heuristic outcome reported (H1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/sim/probe.h"
#include "tests/sim/world.h"

/* A restored database has brought it back, or its application has prepared it in such a one's place, and the journal can not
 * say any more what became of it. */
static bool is_forgotten(const struct sim_world *world, const struct sim_attempt *attempt)
{
    return attempt->is_lost &&
           (!coord_proc_serves(world, 0) ||
            coord_presume(world->coords[0].core, &attempt->gid.gtrid) == VERDICT_UNKNOWN);
}

/* Prepared rows that nobody may touch without a person: of a journal that is gone, or of one that has forked; rows that the
 * journal has forgotten. */
static bool may_stay(const struct sim_world *world, const struct sim_attempt *attempt)
{
    const struct sim_coord *coord = &world->coords[0];
    bool is_orphan =
        world->disks[coord->disk].identity != law_identity(world, &attempt->gid.gtrid.journal);
    return attempt->is_stranger || is_orphan || world->has_forked || is_forgotten(world, attempt) ||
           attempt->in_hole;
}

bool judge_rows_stay(const struct sim_world *world)
{
    for (uint32_t i = 0; i < world->database_count; i++) {
        for (size_t k = 0; k < world->databases[i].prepared_count; k++) {
            if (may_stay(world, world->databases[i].prepared[k])) {
                return true;
            }
        }
    }
    return false;
}

static bool databases_are_quiet(const struct sim_world *world, char ret_why[SIM_TEXT_SIZE])
{
    for (uint32_t i = 0; i < world->database_count; i++) {
        const struct sim_database *database = &world->databases[i];
        for (size_t k = 0; k < database->prepared_count; k++) {
            if (!may_stay(world, database->prepared[k])) {
                (void)snprintf(ret_why, SIM_TEXT_SIZE, "%s has %s prepared", database->name,
                               database->prepared[k]->text);
                return false;
            }
        }
        for (size_t k = 0; k < SIM_BACKENDS_MAX; k++) {
            if (database->backends[k].stage != BACKEND_FREE) {
                (void)snprintf(ret_why, SIM_TEXT_SIZE, "a backend of %s still works",
                               database->name);
                return false;
            }
        }
    }
    return true;
}

bool judge_is_unlocked(const struct sim_world *world, char ret_why[SIM_TEXT_SIZE])
{
    for (uint32_t i = 0; i < world->database_count; i++) {
        const struct sim_database *database = &world->databases[i];
        for (size_t k = 0; k < database->prepared_count; k++) {
            const struct sim_attempt *attempt = database->prepared[k];
            if (!may_stay(world, attempt) && attempt->prepared_at_ms < world->connected_at_ms) {
                (void)snprintf(ret_why, SIM_TEXT_SIZE, "%s has %s prepared", database->name,
                               attempt->text);
                return false;
            }
        }
    }
    return true;
}

static bool processes_are_quiet(const struct sim_world *world, char ret_why[SIM_TEXT_SIZE])
{
    const struct sim_coord *coord = &world->coords[0];
    struct coord_counters counters;
    if (!coord_proc_serves(world, 0)) {
        (void)snprintf(ret_why, SIM_TEXT_SIZE, "the coordinator does not run");
        return false;
    }
    coord_counters_read(coord->core, &counters);
    if (counters.requests_waiting > 0) {
        (void)snprintf(ret_why, SIM_TEXT_SIZE, "%llu accepted requests are not over",
                       (unsigned long long)counters.requests_waiting);
        return false;
    }
    if (!counters.running || !counters.reconciled || counters.live > 0 || counters.in_doubt > 0) {
        (void)snprintf(ret_why, SIM_TEXT_SIZE,
                       "the coordinator has %llu live transactions, %llu branches in doubt%s",
                       (unsigned long long)counters.live, (unsigned long long)counters.in_doubt,
                       counters.reconciled ? "" : ", and is not reconciled");
        return false;
    }
    if (coord->thread.waiting.count > 0 || coord->thread.is_writing) {
        (void)snprintf(ret_why, SIM_TEXT_SIZE, "records wait for the journal");
        return false;
    }
    for (uint32_t i = 0; i < world->database_count; i++) {
        const struct sim_agent *its = &world->agents[world->agent_of[i]];
        if (!its->process.is_alive) {
            (void)snprintf(ret_why, SIM_TEXT_SIZE, "an agent does not run");
            return false;
        }
        if (probe_agent_is_asking(its->core, &world->databases[i])) {
            (void)snprintf(ret_why, SIM_TEXT_SIZE,
                           "the agent of %s still asks about a branch without a row",
                           world->databases[i].name);
            return false;
        }
        /* Without a row and with nobody to ask it waits for a journal that may come back (a deleted one never does). */
        if (!probe_agent_has_compared(its->core, &its->journals[0])) {
            (void)snprintf(ret_why, SIM_TEXT_SIZE, "the agent of %s still compares outcomes",
                           world->databases[i].name);
            return false;
        }
    }
    return true;
}

static bool clients_are_quiet(const struct sim_world *world, char ret_why[SIM_TEXT_SIZE])
{
    if (world->applications_open > 0) {
        (void)snprintf(ret_why, SIM_TEXT_SIZE, "an application has not prepared yet");
        return false;
    }
    for (size_t i = 0; i < world->op_count; i++) {
        if (!world->ops[i].is_settled) {
            (void)snprintf(ret_why, SIM_TEXT_SIZE, "the client of op %zu has no answer", i);
            return false;
        }
    }
    return true;
}

bool judge_is_quiet(struct sim_world *world, char ret_why[SIM_TEXT_SIZE])
{
    if (world->has_forked) { /* reported by its refusal; nothing is guessed */
        return true;
    }
    return clients_are_quiet(world, ret_why) && processes_are_quiet(world, ret_why) &&
           databases_are_quiet(world, ret_why);
}

/* ---- at rest ---- */

static void canary_sing(struct sim_world *world)
{
    if (world->options.canary == CANARY_LIE) {
        for (size_t i = 0; i < world->op_count; i++) {
            if (!world->ops[i].saw_committed && world->ops[i].saw_aborted) {
                world->ops[i].saw_committed = true;
                world->verdict->canary_sung = true;
                return;
            }
        }
        return;
    }
    for (struct sim_attempt *attempt = world->attempt_list; attempt != NULL;
         attempt = attempt->next_of_world) {
        if (attempt->is_committed && !attempt->by_human && !attempt->is_lost && !attempt->in_hole &&
            !may_stay(world, attempt) && !attempt->truth->is_excused &&
            attempt->account_count > 0 && attempt->amount[0] != 0) {
            int64_t *balance = &world->databases[attempt->database].balance[attempt->account[0]];
            if (world->options.canary == CANARY_LOSE_EFFECT) {
                attempt->is_committed = false;
                *balance -= attempt->amount[0];
            } else {
                *balance += attempt->amount[0];
            }
            world->verdict->canary_sung = true;
            return;
        }
    }
}

/* H1: an abort that a person has committed is on record: an agent that lives has told it, or its outcome row did. */
static void judge_contrary(struct sim_world *world, const struct sim_truth *truth,
                           const struct sim_attempt *attempt)
{
    const struct sim_process *teller = &world->agents[world->agent_of[attempt->database]].process;
    bool is_told = attempt->told_contrary_by == teller->incarnation && teller->is_alive;
    /* Where two agents worked at once, the one that knew it may have gone after the other had compared. */
    bool has_row = attempt->by_human && attempt->is_committed && attempt->row_visible &&
                   !world->databases[attempt->database].had_twin;
    if ((is_told || has_row) && !truth->is_decided && !law_is_reported(truth, attempt->database) &&
        !attempt->is_lost && !world->has_forked &&
        coord_presume(world->coords[0].core, &attempt->gid.gtrid) == VERDICT_ABORT) {
        law_broken(world, "H1", "%s was committed by hand%s, and is not on record", attempt->text,
                   is_told ? ", told" : "");
    }
}

/* One transaction: every gid that its record names has committed, and no other of its attempts. */
static void judge_truth(struct sim_world *world, const struct sim_truth *truth)
{
    for (const struct sim_attempt *attempt = truth->attempts; attempt != NULL;
         attempt = attempt->next_of_truth) {
        bool named = law_names(truth, &attempt->gid);
        bool excused = attempt->by_human || attempt->is_lost || attempt->in_hole ||
                       may_stay(world, attempt) ||
                       (attempt->is_committed ? attempt->said_commit : attempt->said_rollback);
        if (attempt->is_committed != named && !excused) {
            law_broken(world, "A1", "%s: %s at the end", attempt->text,
                       !named                    ? "committed and not decided"
                       : attempt->is_prepared    ? "decided commit and still prepared"
                       : attempt->is_rolled_back ? "decided commit and rolled back"
                                                 : "decided commit and not there");
        }
        judge_contrary(world, truth, attempt);
        /* H1: against the decision, by hand: reported, or nobody was ever asked about it. */
        if (attempt->by_human && named && attempt->is_rolled_back && !attempt->is_lost &&
            !attempt->is_reported && truth->is_ended && !world->has_forked) {
            law_broken(world, "H1",
                       "%s was rolled back by hand, and its transaction ended unreported",
                       attempt->text);
        }
    }
    for (size_t i = 0; i < truth->gid_count; i++) {
        if (law_attempt(world, &truth->gids[i]) == NULL) {
            law_broken(world, "A1", "a record names a gid that was never executed");
        }
    }
}

/* C1: every balance is what it was at the start, what was paid in, and what the committed attempts did to it. */
static void judge_balances(struct sim_world *world)
{
    int64_t expected[SIM_DATABASES][SIM_ACCOUNTS];
    for (uint32_t i = 0; i < SIM_DATABASES; i++) {
        for (uint32_t k = 0; k < SIM_ACCOUNTS; k++) {
            expected[i][k] = 1000 + world->databases[i].paid_in[k];
        }
    }
    for (const struct sim_attempt *attempt = world->attempt_list; attempt != NULL;
         attempt = attempt->next_of_world) {
        for (uint32_t k = 0; attempt->is_committed && k < attempt->account_count; k++) {
            expected[attempt->database][attempt->account[k]] += attempt->amount[k];
        }
    }
    for (uint32_t i = 0; i < world->database_count; i++) {
        for (uint32_t k = 0; k < SIM_ACCOUNTS; k++) {
            if (world->databases[i].balance[k] != expected[i][k]) {
                law_broken(world, "C1", "account %u of %s has %lld, its effects make %lld", k,
                           world->databases[i].name, (long long)world->databases[i].balance[k],
                           (long long)expected[i][k]);
            }
        }
    }
}

/* K1: what is not prepared holds no lock. */
static void judge_locks(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->database_count; i++) {
        const struct sim_database *database = &world->databases[i];
        for (uint32_t k = 0; k < SIM_ACCOUNTS; k++) {
            bool is_held = database->locked_by[k] == NULL;
            for (size_t p = 0; p < database->prepared_count && !is_held; p++) {
                is_held = database->prepared[p] == database->locked_by[k];
            }
            if (!is_held) {
                law_broken(world, "K1", "account %u of %s is locked by nobody", k, database->name);
            }
        }
    }
}

static void judge_op(struct sim_world *world, size_t index)
{
    const struct sim_op *op = &world->ops[index];
    const struct sim_truth *first = NULL;
    for (size_t i = 0; i < SIM_IDENTITIES; i++) {
        first = first != NULL ? first : op->decided[i];
    }
    if (op->saw_committed && first == NULL) {
        law_broken(world, "D1", "op %zu was told committed and is not decided", index);
    }
    if (op->saw_committed && !law_truth_need(world, &op->committed)->is_decided) {
        law_broken(world, "D1", "op %zu was told committed, and that transaction is not decided",
                   index);
    }
}

/* S1, B1: numbers without gaps is the memory journal's own doing; here, that it does not only grow. */
static void judge_journal(struct sim_world *world)
{
    const struct sim_disk *disk = &world->disks[world->coords[0].disk];
    struct journal_head head = journal_state(disk->journal)->head;
    struct journal_floor floor;
    struct error error;
    bool found = false;
    uint8_t hash[HASH_BYTES];
    if (!journal_read_floor(disk->journal, &floor, &error)) {
        law_broken(world, "S1", "the floor can not be read: %s", error.text);
        return;
    }
    for (uint64_t number = floor.first_number; number <= head.number; number++) {
        if (!journal_hash_at(disk->journal, number, &found, hash, &error) || !found) {
            law_broken(world, "S1", "record %llu is missing", (unsigned long long)number);
            return;
        }
    }
}

static void judge_strangers(struct sim_world *world)
{
    for (const struct sim_attempt *attempt = world->attempt_list; attempt != NULL;
         attempt = attempt->next_of_world) {
        if (attempt->is_stranger && !attempt->is_prepared && !attempt->is_lost) {
            law_broken(world, "F1", "somebody else's %s was touched", attempt->text);
        }
    }
}

void judge_end(struct sim_world *world)
{
    world->verdict->heal_ms = world->now_ms - world->heal_at_ms;
    if (world->options.canary != CANARY_NONE &&
        !world->has_forked) { /* a fork excuses nearly all */
        canary_sing(world);
    }
    for (const struct sim_truth *truth = world->truth_list; truth != NULL; truth = truth->next) {
        judge_truth(world, truth);
        world->verdict->excused += truth->is_excused;
    }
    for (size_t i = 0; i < world->op_count; i++) {
        judge_op(world, i);
    }
    accepted_judge(world);
    judge_balances(world);
    judge_locks(world);
    judge_journal(world);
    judge_strangers(world);
}
