/*
 * law.c - the invariants that hold at every moment (docs/TESTING.md), judged by the truth beside all
 * processes: a transaction is decided when a COMMIT record of it is durable, and by nothing else.
 *
 * Looked at where something happens: what a coordinator hands out, what becomes durable, what an agent hands out, what a
 * database does. This file shares nothing with the cores but the shapes of their messages.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/world.h"

/* More than a seed has transactions. */
#define TOMBSTONES_ENOUGH 100

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

static bool names_participant(const struct sim_truth *truth, const char *participant)
{
    for (size_t i = 0; truth->is_decided && i < truth->gid_count; i++) {
        if (strcmp(truth->gids[i].participant, participant) == 0) {
            return true;
        }
    }
    return false;
}

static const char *gtrid_say(const struct gtrid *gtrid)
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
               gtrid_say(&gid->gtrid), gid->participant);
}

static void durable_commit(struct sim_world *world, uint32_t disk, uint64_t number,
                           const struct record_commit *commit)
{
    struct sim_truth *truth = law_truth_need(world, &commit->gtrid);
    if (truth->is_decided) {
        law_broken(world, "S1", "%s is decided twice", gtrid_say(&commit->gtrid));
        return;
    }
    if (truth->told_aborted) {
        law_broken(world, "Q1", "%s commits after a client heard that it aborted",
                   gtrid_say(&commit->gtrid));
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
                   gtrid_say(&commit->gtrid));
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

/* ---- what a coordinator hands out ---- */

/* P-22: what the client said, all of it, once, on the connection that was prepared. */
static void every_statement_is_there(struct sim_world *world, const struct sim_truth *truth,
                                     const struct gid *gid)
{
    const struct sim_op *op = &world->ops[truth->op];
    const struct sim_attempt *attempt = law_attempt(world, gid);
    uint32_t database = law_database(world, gid->participant);
    if (!op->is_interactive || attempt == NULL || database == SIM_NOBODY) {
        return;
    }
    uint32_t said = talk_steps(op, database);
    if (attempt->statements_begun != said || attempt->statements_done != said) {
        law_broken(world, "P-22", "%s is decided with %u of %u statements at %s",
                   gtrid_say(&gid->gtrid), attempt->statements_done, said, gid->participant);
    }
}

/* P-3, P-7: the record names, for every participant of the operation, an attempt that its agent voted yes for. */
static void commit_is_voted(struct sim_world *world, uint32_t coord,
                            const struct record_commit *commit)
{
    const struct sim_truth *truth = law_truth_need(world, &commit->gtrid);
    uint32_t mask = 0;
    if (commit->gtrid.epoch != world->coords[coord].epoch) {
        law_broken(world, "P-1", "%s is decided commit by a start that did not begin it",
                   gtrid_say(&commit->gtrid));
    }
    if (truth->has_lost_link) {
        law_broken(world, "P-2", "%s is decided commit after a link that it was sent on was lost",
                   gtrid_say(&commit->gtrid));
    }
    if (world->now_ms >= truth->deadline_ms) {
        law_broken(world, "P-15", "%s is decided commit after its deadline",
                   gtrid_say(&commit->gtrid));
    }
    for (size_t i = 0; i < commit->branch_count; i++) {
        const struct record_branch *branch = &commit->branches[i];
        uint32_t database = law_database(world, branch->gid.participant);
        if (database == SIM_NOBODY) {
            law_broken(world, "P-7", "a COMMIT names a participant that does not exist");
            return;
        }
        const struct sim_attempt *attempt = law_attempt(world, &branch->gid);
        mask |= 1U << database;
        if (!branch->read_only && (attempt == NULL || !attempt->voted_yes)) {
            law_broken(world, "P-3", "%s is decided without a yes of %s", gtrid_say(&commit->gtrid),
                       branch->gid.participant);
        }
        if (attempt != NULL && attempt->is_void) {
            law_broken(world, "P-14", "%s is decided by a yes of what %s was before",
                       gtrid_say(&commit->gtrid), branch->gid.participant);
        }
    }
    for (size_t i = 0; truth->op != SIM_NOBODY && i < commit->branch_count; i++) {
        every_statement_is_there(world, truth, &commit->branches[i].gid);
    }
    if (truth->op == SIM_NOBODY || mask != world->ops[truth->op].mask) {
        law_broken(world, "P-7", "%s is decided without every participant's vote",
                   gtrid_say(&commit->gtrid));
    }
}

/* In an earlier step of this round: its record waits to be handed out. */
static bool is_being_decided(const struct sim_coord *its, const struct gtrid *gtrid)
{
    for (size_t i = 0; i < its->ready.append_count; i++) {
        const struct record *record = &its->ready.appends[i].record;
        if (record->kind == RECORD_COMMIT && gtrid_equal(&record->as.commit.gtrid, gtrid)) {
            return true;
        }
    }
    return false;
}

/* P-2: what was not decided when a link was lost on which its work had gone out can not be decided commit any more, whatever comes on
 * another link: the participant was away, and what it had voted for may have gone with its database. */
void law_coord_lost(struct sim_world *world, uint32_t coord, uint64_t session)
{
    const struct sim_coord *its = &world->coords[coord];
    for (struct sim_truth *truth = world->truth_list; truth != NULL; truth = truth->next) {
        for (uint32_t i = 0; i < world->database_count; i++) {
            bool is_its = session != 0 && truth->sessions[i] == session;
            truth->has_lost_link =
                truth->has_lost_link || (is_its && !is_being_decided(its, &truth->gtrid));
        }
    }
}

/* P-14: when a participant says, on a session that goes on, that its database is another one than before, what was voted
 * there counts no more. */
void law_coord_hears(struct sim_world *world, uint32_t coord, uint32_t database, uint64_t session,
                     const struct message *message)
{
    struct sim_coord *its = &world->coords[coord];
    if (message->kind != MESSAGE_WELCOME || its->sessions[database] != session) {
        return;
    }
    bool is_other = its->welcome_session[database] == session &&
                    its->welcome_history[database] != message->as.welcome.history;
    its->welcome_session[database] = session;
    its->welcome_history[database] = message->as.welcome.history;
    struct sim_attempt *attempt = is_other ? world->attempt_list : NULL;
    for (; attempt != NULL; attempt = attempt->next_of_world) {
        if (attempt->database == database && attempt->truth != NULL &&
            attempt->gid.gtrid.epoch == its->epoch &&
            law_identity(world, &attempt->gid.gtrid.journal) == world->disks[its->disk].identity &&
            !is_being_decided(its, &attempt->gid.gtrid)) {
            attempt->is_void = true;
        }
    }
}

const struct gtrid *law_view_gtrid(const struct txn_view *view)
{
    return view->request.is_request && view->request.has_run ? &view->request.run : &view->gtrid;
}

/* The structural law: nothing that depends on a record leaves with it. */
static void nothing_leaves_with(struct sim_world *world, const struct coord_ready *ready,
                                const struct gtrid *gtrid)
{
    for (size_t i = 0; i < ready->send_count; i++) {
        const struct message *message = &ready->sends[i].message;
        if ((message->kind == MESSAGE_COMMIT &&
             gtrid_equal(&message->as.commit.gid.gtrid, gtrid)) ||
            (message->kind == MESSAGE_VERDICT && message->as.verdict.verdict == VERDICT_COMMIT &&
             gtrid_equal(&message->as.verdict.gid.gtrid, gtrid))) {
            law_broken(world, "LAW", "COMMIT of %s leaves together with its record",
                       gtrid_say(gtrid));
        }
    }
    for (size_t i = 0; i < ready->answer_count; i++) {
        const struct api_answer *answer = &ready->answers[i].answer;
        if (answer->status == API_OK && answer->view_count == 1 &&
            gtrid_equal(law_view_gtrid(&answer->views[0]), gtrid)) {
            law_broken(world, "LAW", "the answer of %s leaves together with its record",
                       gtrid_say(gtrid));
        }
    }
}

static void end_is_due(struct sim_world *world, const struct gtrid *gtrid)
{
    const struct sim_truth *truth = law_truth_need(world, gtrid);
    for (size_t i = 0; i < truth->gid_count; i++) {
        const struct sim_attempt *attempt = law_attempt(world, &truth->gids[i]);
        if (attempt == NULL ||
            (!attempt->committed_once && !attempt->is_reported && !attempt->in_hole)) {
            law_broken(world, "I4", "END of %s before %s has committed", gtrid_say(gtrid),
                       truth->gids[i].participant);
        }
    }
}

/* H1: nobody cries heuristic without a person or a lost database. */
static void heuristic_has_cause(struct sim_world *world, const struct record_heuristic *heuristic)
{
    const struct sim_attempt *attempt = law_attempt(world, &heuristic->gid);
    bool excused = attempt == NULL ? world->grave
                                   : attempt->by_human || attempt->is_lost || attempt->in_hole ||
                                         world->databases[attempt->database].has_lost;
    if (!excused) {
        law_broken(world, "H1", "a heuristic outcome (%d) of %s at %s without a cause",
                   (int)heuristic->ack, gtrid_say(&heuristic->gid.gtrid),
                   heuristic->gid.participant);
    }
}

static void look_at_appends(struct sim_world *world, uint32_t coord,
                            const struct coord_ready *ready)
{
    accepted_ready(world, ready);
    for (size_t i = 0; i < ready->append_count; i++) {
        const struct record *record = &ready->appends[i].record;
        if (record->kind == RECORD_COMMIT) {
            commit_is_voted(world, coord, &record->as.commit);
            nothing_leaves_with(world, ready, &record->as.commit.gtrid);
        } else if (record->kind == RECORD_END) {
            end_is_due(world, &record->as.end.gtrid);
        } else if (record->kind == RECORD_HEURISTIC) {
            heuristic_has_cause(world, &record->as.heuristic);
        }
    }
}

static void commit_is_told(struct sim_world *world, const struct gid *gid, const char *how)
{
    struct sim_truth *truth = law_truth_need(world, &gid->gtrid);
    struct sim_attempt *attempt = law_attempt(world, gid);
    if (!law_names(truth, gid) && (attempt == NULL || !attempt->said_commit)) {
        law_broken(world, "I2", "%s for %s at %s, which no durable record names", how,
                   gtrid_say(&gid->gtrid), gid->participant);
    } else if (attempt != NULL) {
        attempt->told_commit = true;
    }
}

/* Could anybody have told this coordinator that its journal lacks the decision? Only a database that had stored a head
 * beyond it; what was decided after the last heartbeat is the documented hole of P-10. */
bool law_is_witnessed(const struct sim_world *world, const struct sim_truth *truth)
{
    for (uint32_t i = 0; i < world->database_count; i++) {
        struct witness witness;
        uint8_t hash[HASH_BYTES];
        bool found = false;
        struct error error;
        database_load_witness(&world->databases[i], &truth->gtrid.journal, &witness);
        /* A head of the history in which it was decided, that is. */
        if (witness.head.number >= truth->decided_number &&
            journal_hash_at(world->disks[truth->decided_journal].journal, witness.head.number,
                            &found, hash, &error) &&
            found && memcmp(hash, witness.head.hash, HASH_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static void rollback_is_told(struct sim_world *world, uint32_t coord, const struct gtrid *gtrid,
                             const struct gid *gid, const char *participant, const char *how)
{
    struct sim_truth *truth = law_truth_need(world, gtrid);
    struct sim_attempt *attempt = gid == NULL ? NULL : law_attempt(world, gid);
    uint32_t database = law_database(world, participant);
    bool contradicts = gid != NULL ? law_names(truth, gid) : names_participant(truth, participant);
    if (attempt != NULL) {
        attempt->told_rollback = true;
    }
    if (database != SIM_NOBODY && (gid == NULL || attempt != NULL)) {
        truth->told_rollback_mask |= 1U << database;
    }
    if (!contradicts || (attempt != NULL && attempt->said_rollback)) {
        return;
    }
    uint32_t disk = world->coords[coord].disk;
    if (disk != truth->decided_journal && !law_is_witnessed(world, truth)) {
        truth->is_excused = true;
        world->verdict->holes++;
        for (attempt = truth->attempts; attempt != NULL; attempt = attempt->next_of_truth) {
            attempt->in_hole = true;
        }
        return;
    }
    law_broken(world, "I1", "%s for %s at %s, which is decided commit", how, gtrid_say(gtrid),
               participant);
}

bool law_is_reported(const struct sim_truth *truth, uint32_t database)
{
    for (const struct sim_attempt *attempt = truth->attempts; attempt != NULL;
         attempt = attempt->next_of_truth) {
        if (attempt->database == database && attempt->is_reported) {
            return true;
        }
    }
    return false;
}

/* H1: what an agent need not tell any more is on record, or this coordinator cannot judge it. */
static void noted_is_recorded(struct sim_world *world, uint32_t coord, const struct gid *gid)
{
    const struct sim_attempt *attempt = law_attempt(world, gid);
    const struct sim_truth *truth = law_truth_need(world, &gid->gtrid);
    if (attempt != NULL && attempt->told_contrary_by != 0 && !truth->is_decided &&
        !law_is_reported(truth, attempt->database) &&
        coord_presume(world->coords[coord].core, &gid->gtrid) != VERDICT_UNKNOWN) {
        law_broken(world, "H1", "%s at %s is noted, and not on record", gtrid_say(&gid->gtrid),
                   gid->participant);
    }
}

static void work_is_known(struct sim_world *world, const struct gtrid *gtrid,
                          const struct blob *work, uint64_t remaining_ms)
{
    struct sim_truth *truth = law_truth_need(world, gtrid);
    struct sim_work body;
    CHECK(work != NULL && work->size_bytes == sizeof(body));
    memcpy(&body, work->bytes, sizeof(body));
    truth->op = body.op;
    truth->variant = body.variant;
    if (truth->deadline_ms == 0) {
        truth->deadline_ms = world->now_ms + remaining_ms;
    }
}

static void work_went_out(struct sim_world *world, uint32_t coord, const struct gtrid *gtrid,
                          uint64_t session)
{
    struct sim_truth *truth = law_truth_need(world, gtrid);
    for (uint32_t i = 0; i < world->database_count; i++) {
        if (session != 0 && world->coords[coord].sessions[i] == session) {
            truth->sessions[i] = session;
        }
    }
}

/* P-20: the gid that was given out last, and no other. */
static void verify_is_known(struct sim_world *world, const struct message_verify *verify)
{
    struct sim_truth *truth = law_truth_need(world, &verify->gid.gtrid);
    const struct sim_attempt *attempt = law_attempt(world, &verify->gid);
    if (attempt == NULL || !attempt->is_external) {
        law_broken(world, "P-20", "a gid is to be verified that was never given out");
    }
    if (truth->deadline_ms == 0) {
        truth->deadline_ms = world->now_ms + verify->remaining_ms;
    }
}

/* A gid for a branch that an application prepares. */
static void external_is_given(struct sim_world *world, const struct gid *gid)
{
    if (law_attempt(world, gid) != NULL) {
        law_broken(world, "P-20", "an attempt's nonce is used twice");
        return;
    }
    struct sim_attempt *attempt = law_attempt_new(world, gid);
    attempt->database = law_database(world, gid->participant);
    attempt->is_external = true;
    attempt->has_grant = true;
}

static const char *session_participant(const struct sim_world *world, uint32_t coord,
                                       uint64_t session)
{
    for (uint32_t i = 0; i < world->database_count; i++) {
        if (world->coords[coord].sessions[i] == session) {
            return world->databases[i].name;
        }
    }
    return "";
}

static void look_at_send(struct sim_world *world, uint32_t coord, const struct coord_send *send)
{
    const struct message *message = &send->message;
    const struct message_rollback *rollback = &message->as.rollback;
    bool owns = world->disks[world->coords[coord].disk].last_epoch >= world->coords[coord].epoch;
    switch (message->kind) {
    case MESSAGE_CLAIM:
    case MESSAGE_WORK:
    case MESSAGE_STATEMENT:
    case MESSAGE_PREPARE:
    case MESSAGE_VERIFY:
        if (!owns) {
            law_broken(world, "P-16", "%s before this start's EPOCH is durable",
                       message_kind_text(message->kind));
        }
        if (message->kind == MESSAGE_WORK) {
            work_is_known(world, &message->as.work.gtrid, message->as.work.work,
                          message->as.work.remaining_ms);
            work_went_out(world, coord, &message->as.work.gtrid, send->session);
            accepted_work(world, coord, law_truth_need(world, &message->as.work.gtrid));
        } else if (message->kind == MESSAGE_STATEMENT) {
            work_is_known(world, &message->as.statement.gtrid, message->as.statement.work,
                          message->as.statement.remaining_ms);
            work_went_out(world, coord, &message->as.statement.gtrid, send->session);
        } else if (message->kind == MESSAGE_VERIFY) {
            verify_is_known(world, &message->as.verify);
            work_went_out(world, coord, &message->as.verify.gid.gtrid, send->session);
        }
        return;
    case MESSAGE_COMMIT:
        commit_is_told(world, &message->as.commit.gid, "COMMIT");
        return;
    case MESSAGE_ROLLBACK:
        rollback_is_told(world, coord, &rollback->gtrid, rollback->has_gid ? &rollback->gid : NULL,
                         session_participant(world, coord, send->session), "ROLLBACK");
        return;
    case MESSAGE_VERDICT:
        if (message->as.verdict.verdict == VERDICT_COMMIT) {
            commit_is_told(world, &message->as.verdict.gid, "the verdict COMMIT");
        } else if (message->as.verdict.verdict == VERDICT_ABORT) {
            rollback_is_told(world, coord, &message->as.verdict.gid.gtrid, &message->as.verdict.gid,
                             message->as.verdict.gid.participant, "the verdict ABORT");
        } else if (message->as.verdict.verdict == VERDICT_NOTED) {
            noted_is_recorded(world, coord, &message->as.verdict.gid);
        }
        return;
    case MESSAGE_HEAD:
    case MESSAGE_AUDIT:
        return;
    case MESSAGE_ANSWER:
    case MESSAGE_AUDITED:
    case MESSAGE_WITNESS:
    case MESSAGE_WELCOME:
    case MESSAGE_FENCED:
    case MESSAGE_VOTE:
    case MESSAGE_ACK:
    case MESSAGE_INQUIRY:
    case MESSAGE_HEALTH:
        law_broken(world, "LAW", "a coordinator sends an agent's message");
        return;
    }
}

void law_coord_ready(struct sim_world *world, uint32_t coord, const struct coord_ready *ready)
{
    /* First: a round may give a gid out and roll it back. */
    for (size_t i = 0; i < ready->answer_count; i++) {
        if (ready->answers[i].answer.gid.attempt != 0) {
            external_is_given(world, &ready->answers[i].answer.gid);
        }
    }
    look_at_appends(world, coord, ready);
    for (size_t i = 0; i < ready->send_count; i++) {
        look_at_send(world, coord, &ready->sends[i]);
    }
}

/* ---- what an agent hands out ---- */

/* P-9: a repeated WORK is the same work, as long as its process remembers: a read-only branch leaves nothing to
 * remember, a row that a person took away is nobody's any more, and after a change of history what was remembered is of
 * another one. (P-20 makes a second execution harmless.) */
static void executed_once(struct sim_world *world, uint32_t agent, const struct gid *gid)
{
    const struct sim_agent *its = &world->agents[agent];
    const struct sim_truth *truth = law_truth_need(world, &gid->gtrid);
    for (const struct sim_attempt *attempt = truth->attempts; attempt != NULL;
         attempt = attempt->next_of_truth) {
        if (attempt->database == its->database && attempt->made_by == its->process.incarnation &&
            !attempt->is_read_only && !attempt->by_human &&
            !world->databases[its->database].has_lost) {
            law_broken(world, "P-9", "%s executes %s a second time",
                       world->databases[its->database].name, gtrid_say(&gid->gtrid));
        }
    }
}

/* P-9: WORK that comes behind its ROLLBACK finds a tombstone. A seed whose agents keep but a few shows nothing. */
void law_agent_hears(struct sim_world *world, uint32_t agent, const struct message *message)
{
    const struct sim_agent *its = &world->agents[agent];
    if (message->kind == MESSAGE_ROLLBACK &&
        world->agent_config.tombstone_max >= TOMBSTONES_ENOUGH) {
        law_truth_need(world, &message->as.rollback.gtrid)->buried_by[its->database] =
            its->process.incarnation;
    }
}

void law_session_over(struct sim_world *world, uint32_t agent, uint64_t session)
{
    const struct sim_agent *its = &world->agents[agent];
    for (struct sim_truth *truth = world->truth_list; truth != NULL; truth = truth->next) {
        for (struct sim_attempt *attempt = truth->attempts; attempt != NULL;
             attempt = attempt->next_of_truth) {
            attempt->is_abandoned =
                attempt->is_abandoned ||
                (attempt->session == session && attempt->made_by == its->process.incarnation &&
                 !attempt->voted_yes);
        }
    }
}

/* One that was fenced, or that a newer one of its journal took over from. That one may be sent another WITNESS instead of a
 * WELCOME, where its claim was stored and is too old by now (P-10). */
static void sessions_overtaken(struct sim_world *world, uint32_t agent,
                               const struct agent_send *send)
{
    const struct sim_agent *its = &world->agents[agent];
    bool takes_over =
        send->message.kind == MESSAGE_WELCOME || send->message.kind == MESSAGE_WITNESS;
    uint32_t slot = 0;
    while (slot < SIM_COORDS && its->sessions[slot] != send->session) {
        slot++;
    }
    if (send->message.kind == MESSAGE_FENCED) {
        law_session_over(world, agent, send->session);
    }
    for (uint32_t i = 0; i < SIM_COORDS && takes_over && slot < SIM_COORDS; i++) {
        if (i != slot && its->sessions[i] != 0 &&
            journal_id_equal(&its->journals[i], &its->journals[slot])) {
            law_session_over(world, agent, its->sessions[i]);
        }
    }
}

static void buried_stays_buried(struct sim_world *world, uint32_t agent, const struct gid *gid)
{
    const struct sim_agent *its = &world->agents[agent];
    const struct sim_truth *truth = law_truth_need(world, &gid->gtrid);
    if (truth->buried_by[its->database] == its->process.incarnation) {
        law_broken(world, "P-9", "%s executes %s after it was told to roll it back",
                   world->databases[its->database].name, gtrid_say(&gid->gtrid));
    }
}

static void look_at_command(struct sim_world *world, uint32_t agent, const struct command *command)
{
    const struct sim_agent *its = &world->agents[agent];
    struct sim_attempt *attempt = NULL;
    bool begins = command->kind == COMMAND_STATEMENT && command->as.statement.ordinal == 1;
    if (command->kind == COMMAND_EXECUTE || begins) {
        const struct gid *gid =
            begins ? &command->as.statement.execute.gid : &command->as.execute.gid;
        if (law_attempt(world, gid) != NULL) {
            law_broken(world, "P-20", "an attempt's nonce is used twice");
            return;
        }
        if (gid->gtrid.epoch < its->welcomed_epoch[law_identity(world, &gid->gtrid.journal)]) {
            law_broken(world, "F1", "work of epoch %llu is executed after a later one was welcomed",
                       (unsigned long long)gid->gtrid.epoch);
        }
        executed_once(world, agent, gid);
        buried_stays_buried(world, agent, gid);
        attempt = law_attempt_new(world, gid);
        attempt->database = its->database;
        attempt->made_by = its->process.incarnation;
        attempt->session = its->hears;
        return;
    }
    if (command->kind != COMMAND_FINISH && command->kind != COMMAND_VERIFY) {
        return;
    }
    const struct gid *gid =
        command->kind == COMMAND_FINISH ? &command->as.finish.gid : &command->as.verify.gid;
    attempt = law_attempt(world, gid);
    if (attempt == NULL || attempt->is_stranger || attempt->database != its->database) {
        law_broken(world, "F1", "an agent wants to finish what is not its own");
        return;
    }
    if (command->kind == COMMAND_VERIFY) {
        return;
    }
    bool told = command->as.finish.commit
                    ? attempt->told_commit
                    : attempt->told_rollback ||
                          (attempt->truth->told_rollback_mask & (1U << its->database)) != 0 ||
                          (attempt->is_abandoned && !attempt->voted_yes &&
                           attempt->made_by == its->process.incarnation);
    if (!told) {
        law_broken(world, "I3", "%s %s %s although nobody said so",
                   world->databases[its->database].name,
                   command->as.finish.commit ? "commits" : "rolls back", gtrid_say(&gid->gtrid));
    }
}

static bool still_there(const struct sim_world *world, const struct sim_attempt *attempt)
{
    return !attempt->is_lost && !attempt->by_human &&
           (attempt->is_prepared || attempt->is_committed) && world != NULL;
}

/* P-11: "rolled back" is final: not prepared, and nothing that could still prepare it. */
static void rolled_back_is_final(struct sim_world *world, uint32_t agent, const struct gid *gid)
{
    const struct sim_database *database = &world->databases[world->agents[agent].database];
    bool by_name = gid->attempt != 0;
    const struct sim_truth *truth = law_truth_need(world, &gid->gtrid);
    for (const struct sim_attempt *attempt = truth->attempts; attempt != NULL;
         attempt = attempt->next_of_truth) {
        /* An application may prepare at any moment: what comes is the sweep's (L1). */
        if (attempt->database == database->index && !attempt->told_commit &&
            !attempt->is_external && (!by_name || gid_equal(&attempt->gid, gid)) &&
            still_there(world, attempt)) {
            law_broken(world, "P-11", "%s acknowledges a rollback of %s, which is %s",
                       database->name, gtrid_say(&gid->gtrid),
                       attempt->is_prepared ? "prepared" : "committed");
        }
    }
    if (!database->had_twin && backend_may_prepare(database, &gid->gtrid, by_name ? gid : NULL)) {
        law_broken(world, "P-11", "%s acknowledges a rollback of %s, which may yet prepare",
                   database->name, gtrid_say(&gid->gtrid));
    }
}

static void look_at_vote(struct sim_world *world, uint32_t agent, const struct message_vote *vote)
{
    struct sim_attempt *attempt = law_attempt(world, &vote->gid);
    uint64_t incarnation = world->agents[agent].process.incarnation;
    if (vote->vote == VOTE_COMMIT) {
        if (attempt == NULL || !attempt->reply_ok || attempt->reply_incarnation != incarnation) {
            law_broken(world, "P-3", "a yes for %s that its process has not seen prepared",
                       gtrid_say(&vote->gid.gtrid));
        } else {
            attempt->voted_yes = true;
        }
    } else if (vote->vote == VOTE_READONLY && (attempt == NULL || !attempt->is_read_only)) {
        law_broken(world, "P-19", "a read-only vote for a branch that was not declared so");
    }
}

static void look_at_welcome(struct sim_world *world, uint32_t agent, uint64_t session,
                            uint64_t epoch)
{
    struct sim_agent *its = &world->agents[agent];
    for (uint32_t i = 0; i < SIM_COORDS; i++) {
        if (its->sessions[i] != session) {
            continue;
        }
        struct witness witness;
        const struct journal_id *id = &its->journals[i];
        database_load_witness(&world->databases[its->database], id, &witness);
        if (witness.epoch < epoch && !world->databases[its->database].has_lost) {
            law_broken(world, "P-10", "a coordinator is welcomed before its epoch is stored");
        }
        uint64_t *known = &its->welcomed_epoch[law_identity(world, id)];
        if (epoch < *known) {
            law_broken(world, "F1", "epoch %llu is welcomed after epoch %llu",
                       (unsigned long long)epoch, (unsigned long long)*known);
        }
        *known = epoch > *known ? epoch : *known;
    }
}

static void look_at_ack(struct sim_world *world, uint32_t agent, const struct message_ack *ack)
{
    struct sim_attempt *attempt = law_attempt(world, &ack->gid);
    switch (ack->ack) {
    case ACK_COMMITTED:
        if (attempt != NULL && !attempt->committed_once && !attempt->writes_row &&
            attempt->is_lost) {
            /* P-12's limit without rows: on one timeline a database that was set back gives the same xid out again, and an
             * agent that was not there when it happened cannot see it. */
            law_truth_need(world, &ack->gid.gtrid)->is_excused = true;
            attempt->in_hole = true;
            world->verdict->holes++;
        } else if (attempt == NULL || !attempt->committed_once) {
            law_broken(world, "P-5", "a commit of %s is acknowledged that did not happen",
                       gtrid_say(&ack->gid.gtrid));
        }
        return;
    case ACK_ROLLED_BACK:
        rolled_back_is_final(world, agent, &ack->gid);
        return;
    case ACK_HEURISTIC_COMMIT:
        if (attempt != NULL) {
            attempt->told_contrary_by = world->agents[agent].process.incarnation;
        }
        return; /* judged when it is recorded, and at the end */
    case ACK_HEURISTIC_ROLLBACK:
    case ACK_HAZARD:
        return; /* judged when they are recorded */
    }
}

void law_agent_ready(struct sim_world *world, uint32_t agent, const struct agent_ready *ready)
{
    for (size_t i = 0; i < ready->send_count; i++) {
        sessions_overtaken(world, agent, &ready->sends[i]);
    }
    for (size_t i = 0; i < ready->command_count; i++) {
        look_at_command(world, agent, &ready->commands[i]);
    }
    for (size_t i = 0; i < ready->send_count; i++) {
        const struct agent_send *send = &ready->sends[i];
        const struct message *message = &send->message;
        if (message->kind == MESSAGE_VOTE) {
            look_at_vote(world, agent, &message->as.vote);
        } else if (message->kind == MESSAGE_ACK) {
            look_at_ack(world, agent, &message->as.ack);
        } else if (message->kind == MESSAGE_INQUIRY) {
            if (law_database(world, message->as.inquiry.gid.participant) !=
                world->agents[agent].database) {
                law_broken(world, "F1", "an agent asks about another participant's row");
            }
        } else if (message->kind == MESSAGE_WELCOME) {
            look_at_welcome(world, agent, send->session, message->as.welcome.epoch);
        }
    }
}

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

/* ---- what a database does ---- */

void law_prepared(struct sim_world *world, struct sim_attempt *attempt)
{
    if (attempt->committed_once || attempt->is_rolled_back) {
        law_broken(world, "X1", "an attempt of %s is prepared after its end",
                   gtrid_say(&attempt->gid.gtrid));
    }
}

void law_ended(struct sim_world *world, struct sim_attempt *attempt, bool commit)
{
    bool named = law_names(attempt->truth, &attempt->gid);
    if (commit && attempt->is_another) {
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
                   gtrid_say(&attempt->gid.gtrid), attempt->gid.participant);
    } else {
        law_broken(world, "A1", "%s is rolled back at %s and is decided commit",
                   gtrid_say(&attempt->gid.gtrid), attempt->gid.participant);
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
