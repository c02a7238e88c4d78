/* law_coord.c - the invariants of what a coordinator hears and hands out (law.c). */
#include <string.h>

#include "common/check.h"
#include "tests/sim/world.h"

static bool names_participant(const struct sim_truth *truth, const char *participant)
{
    for (size_t i = 0; truth->is_decided && i < truth->gid_count; i++) {
        if (strcmp(truth->gids[i].participant, participant) == 0) {
            return true;
        }
    }
    return false;
}

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
                   law_say_gtrid(&gid->gtrid), attempt->statements_done, said, gid->participant);
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
                   law_say_gtrid(&commit->gtrid));
    }
    if (truth->has_lost_link) {
        law_broken(world, "P-2", "%s is decided commit after a link that it was sent on was lost",
                   law_say_gtrid(&commit->gtrid));
    }
    if (world->now_ms >= truth->deadline_ms) {
        law_broken(world, "P-15", "%s is decided commit after its deadline",
                   law_say_gtrid(&commit->gtrid));
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
            law_broken(world, "P-3", "%s is decided without a yes of %s",
                       law_say_gtrid(&commit->gtrid), branch->gid.participant);
        }
        if (attempt != NULL && attempt->is_void) {
            law_broken(world, "P-14", "%s is decided by a yes of what %s was before",
                       law_say_gtrid(&commit->gtrid), branch->gid.participant);
        }
    }
    for (size_t i = 0; truth->op != SIM_NOBODY && i < commit->branch_count; i++) {
        every_statement_is_there(world, truth, &commit->branches[i].gid);
    }
    if (truth->op == SIM_NOBODY || mask != world->ops[truth->op].mask) {
        law_broken(world, "P-7", "%s is decided without every participant's vote",
                   law_say_gtrid(&commit->gtrid));
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
                       law_say_gtrid(gtrid));
        }
    }
    for (size_t i = 0; i < ready->answer_count; i++) {
        const struct api_answer *answer = &ready->answers[i].answer;
        if (answer->status == API_OK && answer->view_count == 1 &&
            gtrid_equal(law_view_gtrid(&answer->views[0]), gtrid)) {
            law_broken(world, "LAW", "the answer of %s leaves together with its record",
                       law_say_gtrid(gtrid));
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
            law_broken(world, "I4", "END of %s before %s has committed", law_say_gtrid(gtrid),
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
                   (int)heuristic->ack, law_say_gtrid(&heuristic->gid.gtrid),
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
                   law_say_gtrid(&gid->gtrid), gid->participant);
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
    law_broken(world, "I1", "%s for %s at %s, which is decided commit", how, law_say_gtrid(gtrid),
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
        law_broken(world, "H1", "%s at %s is noted, and not on record", law_say_gtrid(&gid->gtrid),
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
