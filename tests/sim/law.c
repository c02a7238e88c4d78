/*
 * law.c - the invariants that hold at every moment (docs/TESTING.md), judged by the truth beside all
 * processes: a transaction is decided when a COMMIT record of it is durable, and by nothing else.
 *
 * Looked at where something happens: what becomes durable (here), what a coordinator hands out (law_coord.c), what an agent
 * hands out (law_agent.c), what a database does (law_database.c). These files share nothing with the cores but the shapes of their
 * messages.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/world.h"

void law_broken(struct sim_world *world, const char *rule, const char *format, ...)
{
    struct sim_verdict *verdict = world->verdict;
    if (verdict->failed) {
        return; /* the first one is the one to look at */
    }
    verdict->failed = true;
    verdict->now_ms = world->now_ms;
    (void)snprintf(verdict->rule, sizeof(verdict->rule), "%s", rule);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(verdict->text, sizeof(verdict->text), format, arguments);
    va_end(arguments);
    TRACE(world, LANE_CLIENT, "BROKEN %s: %s", verdict->rule, verdict->text);
}

/* ---- look-ups ---- */

static bool match_truth(const void *value, const void *wanted)
{
    return gtrid_equal(&((const struct sim_truth *)value)->gtrid, wanted);
}

struct sim_truth *law_truth(struct sim_world *world, const struct gtrid *gtrid)
{
    return map_find(&world->truths, gtrid_hash(gtrid), match_truth, gtrid);
}

struct sim_truth *law_truth_need(struct sim_world *world, const struct gtrid *gtrid)
{
    struct sim_truth *truth = law_truth(world, gtrid);
    if (truth == NULL) {
        truth = alloc_zeroed(sizeof(*truth));
        truth->gtrid = *gtrid;
        truth->op = SIM_NOBODY;
        world->verdict->transactions++;
        map_insert(&world->truths, gtrid_hash(gtrid), truth);
        truth->next = world->truth_list;
        world->truth_list = truth;
    }
    return truth;
}

static bool match_attempt(const void *value, const void *wanted)
{
    return gid_equal(&((const struct sim_attempt *)value)->gid, wanted);
}

struct sim_attempt *law_attempt(struct sim_world *world, const struct gid *gid)
{
    return map_find(&world->attempts, sim_scramble(gid->attempt), match_attempt, gid);
}

struct sim_attempt *law_attempt_new(struct sim_world *world, const struct gid *gid)
{
    struct sim_attempt *attempt = alloc_zeroed(sizeof(*attempt));
    attempt->gid = *gid;
    gid_format(gid, attempt->text);
    map_insert(&world->attempts, sim_scramble(gid->attempt), attempt);
    attempt->next_of_world = world->attempt_list;
    world->attempt_list = attempt;
    attempt->truth = law_truth_need(world, &gid->gtrid);
    attempt->next_of_truth = attempt->truth->attempts;
    attempt->truth->attempts = attempt;
    return attempt;
}

uint32_t law_database(const struct sim_world *world, const char *participant)
{
    for (uint32_t i = 0; i < world->database_count; i++) {
        if (strcmp(world->databases[i].name, participant) == 0) {
            return i;
        }
    }
    return SIM_NOBODY;
}

/* The last byte of a simulated journal's identity counts them (disk_open). */
uint32_t law_identity(const struct sim_world *world, const struct journal_id *id)
{
    (void)world;
    return id->bytes[JOURNAL_ID_BYTES - 1] % SIM_IDENTITIES;
}

bool law_names(const struct sim_truth *truth, const struct gid *gid)
{
    for (size_t i = 0; truth->is_decided && i < truth->gid_count; i++) {
        if (gid_equal(&truth->gids[i], gid)) {
            return true;
        }
    }
    return false;
}

const char *law_say_gtrid(const struct gtrid *gtrid)
{
    static char text[64];
    (void)snprintf(text, sizeof(text), "journal %u epoch %llu transaction %llu",
                   gtrid->journal.bytes[JOURNAL_ID_BYTES - 1], (unsigned long long)gtrid->epoch,
                   (unsigned long long)gtrid->sequence);
    return text;
}

/* ---- what becomes durable ---- */

/* A key may be used anew when its retention is over. */
static bool is_trimmed(const struct sim_world *world, uint32_t disk, const struct gtrid *gtrid)
{
    struct journal_floor floor;
    struct error error;
    CHECK(journal_read_floor(world->disks[disk].journal, &floor, &error));
    return floor.epoch > gtrid->epoch ||
           (floor.epoch == gtrid->epoch && floor.sequence >= gtrid->sequence);
}

/* What is decided must not have been rolled back before; unless another coordinator, on a copy of the journal, was asked
 * meanwhile and could not know (P-10's second). Its word may still be on its way to the database: this one's sync was slow. */
static void decided_in_time(struct sim_world *world, struct sim_truth *truth, const struct gid *gid)
{
    struct sim_attempt *attempt = law_attempt(world, gid);
    bool is_copied = world->disk_count > 1;
    if (attempt == NULL || attempt->by_human || attempt->is_lost ||
        !(attempt->is_rolled_back || (is_copied && attempt->told_rollback))) {
        return;
    }
    if (is_copied) {
        attempt->in_hole = true;
        truth->is_excused = true;
        world->verdict->holes++;
        return;
    }
    law_broken(world, "A1", "%s is decided commit after it was rolled back at %s",
               law_say_gtrid(&gid->gtrid), gid->participant);
}

static void durable_commit(struct sim_world *world, uint32_t disk, uint64_t number,
                           const struct record_commit *commit)
{
    struct sim_truth *truth = law_truth_need(world, &commit->gtrid);
    if (truth->is_decided) {
        law_broken(world, "S1", "%s is decided twice", law_say_gtrid(&commit->gtrid));
        return;
    }
    if (truth->told_aborted) {
        law_broken(world, "Q1", "%s commits after a client heard that it aborted",
                   law_say_gtrid(&commit->gtrid));
    }
    truth->is_decided = true;
    truth->decided_journal = disk;
    truth->decided_number = number;
    for (size_t i = 0; i < commit->branch_count; i++) {
        const struct record_branch *branch = &commit->branches[i];
        if (!branch->read_only) {
            CHECK(truth->gid_count < SIM_DATABASES);
            truth->gids[truth->gid_count++] = branch->gid;
            decided_in_time(world, truth, &branch->gid);
        }
    }
    world->verdict->committed++;
    if (truth->op == SIM_NOBODY) {
        return;
    }
    struct sim_op *op = &world->ops[truth->op];
    struct sim_truth **decided = &op->decided[law_identity(world, &commit->gtrid.journal)];
    if (*decided != NULL && (*decided)->decided_journal == disk && op->has_key &&
        !is_trimmed(world, disk, &(*decided)->gtrid)) {
        law_broken(world, "X1", "operation %u is decided a second time: %s", truth->op,
                   law_say_gtrid(&commit->gtrid));
    }
    *decided = truth;
}

static void heuristic_is_reported(struct sim_world *world, const struct record_heuristic *heuristic)
{
    const struct sim_truth *truth = law_truth_need(world, &heuristic->gid.gtrid);
    uint32_t database = law_database(world, heuristic->gid.participant);
    for (struct sim_attempt *attempt = truth->attempts; attempt != NULL;
         attempt = attempt->next_of_truth) {
        bool is_meant = heuristic->gid.attempt == 0 ? attempt->database == database
                                                    : gid_equal(&attempt->gid, &heuristic->gid);
        if (is_meant) {
            attempt->is_reported = true;
            attempt->reported_ack = heuristic->ack;
        }
    }
}

/* A person's word counts against the record where the coordinator knew of none: what it knows to be decided it takes no
 * rollback for, and what it does not know to be decided no commit. */
static void person_said(struct sim_world *world, const struct record_resolved *resolved)
{
    const struct sim_truth *truth = law_truth_need(world, &resolved->gtrid);
    uint32_t database = law_database(world, resolved->participant);
    for (struct sim_attempt *attempt = truth->attempts; attempt != NULL;
         attempt = attempt->next_of_truth) {
        if (attempt->database == database && resolved->action != RESOLVE_FORGET) {
            bool named = law_names(truth, &attempt->gid);
            attempt->said_commit = resolved->action == RESOLVE_COMMIT && !named;
            attempt->said_rollback = resolved->action == RESOLVE_ROLLBACK && named;
        }
    }
}

void law_durable(struct sim_world *world, uint32_t disk, const struct record *records, size_t count,
                 uint64_t first_number)
{
    for (size_t i = 0; i < count; i++) {
        const struct record *record = &records[i];
        accepted_durable(world, disk, record);
        switch (record->kind) {
        case RECORD_COMMIT:
            durable_commit(world, disk, first_number + i, &record->as.commit);
            break;
        case RECORD_END:
            law_truth_need(world, &record->as.end.gtrid)->is_ended = true;
            break;
        case RECORD_EPOCH:
            world->disks[disk].last_epoch = record->as.epoch.epoch;
            break;
        case RECORD_HEURISTIC:
            heuristic_is_reported(world, &record->as.heuristic);
            break;
        case RECORD_RESOLVED:
            person_said(world, &record->as.resolved);
            break;
        case RECORD_ACCEPT:
        case RECORD_REFUSED:
        case RECORD_FLOOR:
        case RECORD_RELEASE:
        case RECORD_ADOPT:
        case RECORD_REQUEUED:
        case RECORD_DROPPED:
            break;
        }
    }
}
