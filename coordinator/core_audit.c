/*
 * core_audit.c - are the finished commits still there? (P-14)
 *
 * A participant's database may be another one than the one that acknowledged: a standby that was promoted without the last
 * of the log, a restored backup, a snapshot of the disk. What is prepared there is settled by the agent's sweep, and what is
 * decided and not acknowledged is driven again. What had acknowledged is compared here: every retained commit that names the
 * participant, newest first, page by page, before new work goes there. A branch that is gone is a heuristic outcome,
 * recorded and kept until a person has acknowledged it.
 *
 *   NONE --another database--> FETCH --page read--> ASKED --AUDITED--> FETCH ... --no more--> NONE
 *                                ^                    |
 *                                +--- another one ----+      (ASKED: AUDIT is repeated with every heartbeat)
 *
 * What it is compared with: identity and position of the newest yes votes, from the journal after a start. No commit of this
 * coordinator can name the new database before the comparison is through, so if this process dies meanwhile, the next one
 * finds the same difference and begins again. For that, what is undecided there aborts when the WELCOME comes (its WORK may
 * have been on the way and run in the new database), and a yes from a database that no WELCOME has told of is none: the
 * WELCOME was lost, and the next heartbeat claims again to hear it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

#define TO(state) (1U << (state))

static const unsigned audit_successors[] = {
    [PEER_AUDIT_NONE] = TO(PEER_AUDIT_FETCH),
    [PEER_AUDIT_FETCH] = TO(PEER_AUDIT_ASKED) | TO(PEER_AUDIT_NONE),
    [PEER_AUDIT_ASKED] = TO(PEER_AUDIT_FETCH),
};

static void audit_move(struct participant *participant, enum peer_audit_state state)
{
    CHECK((audit_successors[participant->audit.state] & TO(state)) != 0);
    participant->audit.state = state;
}

static void audit_drop_page(struct participant *participant)
{
    for (size_t i = 0; i < participant->audit.count; i++) {
        struct record record = {.kind = RECORD_COMMIT, .as.commit = participant->audit.commits[i]};
        record_done(&record);
    }
    free(participant->audit.commits);
    participant->audit.commits = NULL;
    participant->audit.count = 0;
}

void audit_free(struct participant *participant)
{
    audit_drop_page(participant);
}

/* The branch of a record at this participant, if there was something to commit. */
static const struct record_branch *audit_branch(const struct record_commit *commit,
                                                const char *participant)
{
    for (size_t i = 0; i < commit->branch_count; i++) {
        const struct record_branch *branch = &commit->branches[i];
        if (!branch->read_only && strcmp(branch->gid.participant, participant) == 0) {
            return branch;
        }
    }
    return NULL;
}

static bool audit_same_history(const struct identity *a, const struct identity *b)
{
    return a->system_id == b->system_id && a->timeline == b->timeline &&
           a->database_oid == b->database_oid;
}

/* A yes tells where its database stood; PREPARE has made everything up to there durable. */
void audit_learn(struct participant *participant, const struct proof *proof)
{
    if (proof->kind == PROOF_NONE) {
        return;
    }
    const struct identity voted = {.system_id = proof->system_id,
                                   .timeline = proof->timeline,
                                   .database_oid = proof->database_oid,
                                   .lsn = proof->lsn};
    if (!participant->has_known) {
        participant->has_known = true;
        participant->known = voted;
    } else if (audit_same_history(&participant->known, &voted) &&
               voted.lsn > participant->known.lsn) {
        participant->known.lsn = voted.lsn;
    }
}

/* After a start only the journal knows: the newest of its commits there. Older ones of another history do not count. */
static void audit_recall(struct participant *participant, const struct coord_prior *prior)
{
    for (size_t i = 0; i < prior->newest_count; i++) {
        const struct record_branch *branch =
            audit_branch(&prior->newest[i].commit.as.commit, participant->name);
        if (branch != NULL) {
            audit_learn(participant, &branch->proof);
        }
    }
}

bool audit_is_open(const struct participant *participant)
{
    return participant->audit.state != PEER_AUDIT_NONE;
}

/* Where the database stood that this coordinator has dealt with last. */
static const struct identity *audit_dealt_with(const struct participant *participant)
{
    return audit_is_open(participant) ? &participant->audit.here : &participant->known;
}

bool audit_accepts(const struct participant *participant, const struct proof *proof)
{
    const struct identity voted = {.system_id = proof->system_id,
                                   .timeline = proof->timeline,
                                   .database_oid = proof->database_oid};
    return proof->kind == PROOF_NONE || !participant->has_known ||
           (!audit_is_open(participant) && audit_same_history(&participant->known, &voted));
}

bool audit_missed_welcome(const struct participant *participant)
{
    return participant->welcomed && participant->has_known &&
           !audit_same_history(audit_dealt_with(participant), &participant->identity);
}

void audit_explain(struct participant *participant)
{
    if (audit_is_open(participant) && participant->text[0] == '\0') {
        snprintf(
            participant->text, sizeof(participant->text), "%s",
            "its database is not the one that it was: finished transactions are being compared");
    }
}

static void audit_begin(struct participant *participant, const struct identity *here,
                        struct coord_ready *ready)
{
    audit_drop_page(participant);
    if (participant->audit.state != PEER_AUDIT_FETCH) {
        audit_move(participant, PEER_AUDIT_FETCH);
    }
    participant->audit.here = *here;
    participant->audit.before_number = UINT64_MAX;
    participant->audit.compared = 0;
    participant->audit.lost = 0;
    participant->audit.unknown = 0;
    ready_notice(ready, COORD_NOTICE_AUDIT, NULL, participant->name,
                 "timeline %" PRIu32 " at %" PRIX64 " after timeline %" PRIu32 " at %" PRIX64,
                 here->timeline, here->lsn, participant->known.timeline, participant->known.lsn);
}

void audit_welcome(struct participant *participant, const struct identity *here,
                   const struct coord_prior *prior, struct coord_ready *ready)
{
    if (!participant->has_known) {
        audit_recall(participant, prior);
    }
    if (!participant->has_known) {
        return; /* nothing that is retained was committed there */
    }
    if (audit_is_open(participant)) {
        if (!audit_same_history(&participant->audit.here, here) ||
            here->lsn < participant->audit.here.lsn) {
            audit_begin(participant, here, ready); /* yet another one */
        } else {
            participant->audit.here.lsn = here->lsn;
            audit_ask(participant, ready);
        }
    } else if (!audit_same_history(&participant->known, here) ||
               here->lsn < participant->known.lsn) {
        audit_begin(participant, here, ready);
    }
    audit_explain(participant);
}

void audit_ask(const struct participant *participant, struct coord_ready *ready)
{
    if (participant->audit.state != PEER_AUDIT_ASKED || !participant->welcomed) {
        return;
    }
    struct message_audit *audit = &ready_send(ready, participant->session, MESSAGE_AUDIT)->as.audit;
    audit->serial = participant->audit.serial;
    audit->list.count = participant->audit.count;
    audit->list.items = alloc_array(audit->list.count, sizeof(audit->list.items[0]));
    for (size_t i = 0; i < audit->list.count; i++) {
        const struct record_branch *branch =
            audit_branch(&participant->audit.commits[i], participant->name);
        audit->list.items[i] = (struct audit_item){.gid = branch->gid, .proof = branch->proof};
    }
}

bool coord_wants_page(const struct coord *coord, char ret_participant[PARTICIPANT_NAME_SIZE],
                      uint64_t *ret_before_number)
{
    for (size_t i = 0; i < coord->participant_count; i++) {
        const struct participant *participant = coord->participants[i];
        if (participant->audit.state == PEER_AUDIT_FETCH && participant->welcomed) {
            memcpy(ret_participant, participant->name, PARTICIPANT_NAME_SIZE);
            *ret_before_number = participant->audit.before_number;
            return true;
        }
    }
    return false;
}

/* Nothing to ask about: what has not acknowledged is driven until it does, whatever the database is, and of what is
 * recorded as heuristic, or on its way to be, a person has heard or will. Memory knows better than the journal: END may
 * not have come there yet, and waits for other branches where this one has acknowledged long since. */
static bool audit_is_settled(const struct coord *coord, const struct journal_entry *entry,
                             const struct record_branch *branch)
{
    for (size_t i = 0; i < entry->note_count; i++) {
        if (entry->notes[i].kind == RECORD_HEURISTIC &&
            gid_equal(&entry->notes[i].as.heuristic.gid, &branch->gid)) {
            return true;
        }
    }
    struct txn *txn = txn_find(coord, &branch->gid.gtrid);
    const struct branch *known =
        txn == NULL ? NULL : txn_branch(coord, txn, branch->gid.participant);
    return known != NULL && known->state != BRANCH_COMMITTED;
}

static void audit_finish(struct participant *participant, struct coord_ready *ready)
{
    audit_move(participant, PEER_AUDIT_NONE);
    participant->known = participant->audit.here;
    participant->text[0] = '\0';
    ready_notice(ready, COORD_NOTICE_AUDITED, NULL, participant->name,
                 "%" PRIu64 " finished commits compared, %" PRIu64 " lost, %" PRIu64
                 " cannot be told",
                 participant->audit.compared, participant->audit.lost, participant->audit.unknown);
}

/* A page of what the journal retains, newest first. */
void audit_page(struct coord *coord, const struct coord_event *event, struct coord_ready *ready)
{
    struct participant *participant = peer_find(coord, event->participant, NULL);
    if (participant == NULL || participant->audit.state != PEER_AUDIT_FETCH ||
        participant->audit.before_number != event->before_number) {
        return;
    }
    if (event->entry_count == 0) {
        audit_finish(participant, ready);
        return;
    }
    CHECK(event->entry_count <= AUDIT_ITEMS_MAX); /* or the rest would be passed over */
    participant->audit.before_number = event->entries[event->entry_count - 1].commit_number;
    participant->audit.commits =
        alloc_array(event->entry_count, sizeof(participant->audit.commits[0]));
    for (size_t i = 0; i < event->entry_count; i++) {
        const struct journal_entry *entry = &event->entries[i];
        const struct record_branch *branch =
            audit_branch(&entry->commit.as.commit, participant->name);
        if (branch != NULL && !audit_is_settled(coord, entry, branch)) {
            struct record copy;
            record_copy(&entry->commit, &copy);
            participant->audit.commits[participant->audit.count++] = copy.as.commit;
        }
    }
    if (participant->audit.count == 0) {
        audit_drop_page(participant);
        return; /* the next page, then */
    }
    participant->audit.serial = ++coord->next_audit_serial;
    audit_move(participant, PEER_AUDIT_ASKED);
    audit_ask(participant, ready);
}

static void audit_lost(struct coord *coord, struct participant *participant,
                       const struct record_commit *commit, struct coord_ready *ready)
{
    struct txn *txn = txn_find(coord, &commit->gtrid);
    if (txn == NULL) {
        txn = txn_from_finished(coord, commit);
    }
    struct branch *branch = txn_branch(coord, txn, participant->name);
    if (branch == NULL || branch->state != BRANCH_COMMITTED) {
        return;
    }
    struct message_ack ack = {.gid = branch->gid, .ack = ACK_HEURISTIC_ROLLBACK};
    snprintf(ack.detail, sizeof(ack.detail), "%s",
             "it had committed, and the database has lost it: restored, or failed over without it");
    finish_heuristic(coord, txn, branch, &ack, ready);
    txn_set_timer(coord, txn);
}

void audit_found(struct coord *coord, uint32_t index, const struct message_audited *audited,
                 struct coord_ready *ready)
{
    struct participant *participant = coord->participants[index];
    const struct blob *findings = audited->findings;
    if (participant->audit.state != PEER_AUDIT_ASKED ||
        participant->audit.serial != audited->serial || findings == NULL ||
        findings->size_bytes != participant->audit.count) {
        coord->counters.stale_messages++;
        return;
    }
    for (size_t i = 0; i < participant->audit.count; i++) {
        switch ((enum audit_finding)findings->bytes[i]) {
        case AUDIT_COMMITTED:
        case AUDIT_PREPARED:
            break;
        case AUDIT_LOST:
            participant->audit.lost++;
            audit_lost(coord, participant, &participant->audit.commits[i], ready);
            break;
        case AUDIT_CANNOT_TELL:
        default: /* a finding that this version does not know tells it nothing */
            participant->audit.unknown++;
            break;
        }
        participant->audit.compared++;
    }
    audit_drop_page(participant);
    audit_move(participant, PEER_AUDIT_FETCH);
}
