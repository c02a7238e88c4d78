/* core_peer.c - participants: links, witnesses, claims and health (P-10, P-14). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

struct participant *peer_find(const struct coord *coord, const char *name, uint32_t *ret_index)
{
    for (size_t i = 0; i < coord->participant_count; i++) {
        if (strcmp(coord->participants[i]->name, name) == 0) {
            if (ret_index != NULL) {
                *ret_index = (uint32_t)i;
            }
            return coord->participants[i];
        }
    }
    return NULL;
}

struct participant *peer_get(struct coord *coord, const char *name, uint32_t *ret_index)
{
    struct participant *participant = peer_find(coord, name, ret_index);
    if (participant != NULL) {
        return participant;
    }
    if (coord->participant_count == coord->participant_capacity) {
        coord->participant_capacity =
            coord->participant_capacity == 0 ? 4 : coord->participant_capacity * 2;
        coord->participants = alloc_resize(coord->participants, coord->participant_capacity,
                                           sizeof(coord->participants[0]));
    }
    participant = alloc_zeroed(sizeof(*participant));
    snprintf(participant->name, sizeof(participant->name), "%s", name);
    participant->health = HEALTH_DOWN;
    if (ret_index != NULL) {
        *ret_index = (uint32_t)coord->participant_count;
    }
    coord->participants[coord->participant_count++] = participant;
    return participant;
}

bool peer_ready(const struct participant *participant)
{
    return !participant->releasing && participant->welcomed && participant->health == HEALTH_UP &&
           !audit_is_open(participant);
}

bool coord_has_participant(const struct coord *coord, const char *name)
{
    const struct participant *participant = peer_find(coord, name, NULL);
    return participant != NULL && participant->configured;
}

/* The unfinished transactions with a branch at this participant. A list made beforehand, because working on one
 * may retire it and so free others. Returns owned. */
static struct txn **peer_txns(const struct coord *coord, uint32_t index, size_t *ret_count)
{
    struct txn **txns = alloc_array(coord->live_count + 1, sizeof(struct txn *));
    size_t count = 0;
    for (struct txn *txn = coord->newest; txn != NULL; txn = txn->older) {
        if (txn->end_written) {
            continue;
        }
        for (size_t i = 0; i < txn->branch_count; i++) {
            if (txn->branches[i].participant == index) {
                txns[count++] = txn;
                break;
            }
        }
    }
    *ret_count = count;
    return txns;
}

static void peer_up(struct coord *coord, const struct coord_event *event, uint32_t index)
{
    struct participant *participant = coord->participants[index];
    participant->session = event->session;
    participant->is_new = false;
    participant->witnessed = false;
    participant->claimed = false;
    participant->welcomed = false;
    participant->swept_number = 0; /* its database may be another one now */
    participant->health = HEALTH_DOWN;
    snprintf(participant->text, sizeof(participant->text), "%s",
             "connected; the participant has not accepted this coordinator yet");
    snprintf(participant->version, sizeof(participant->version), "%s",
             event->version == NULL ? "" : event->version);
}

/* Silence counts as no (P-2): what is undecided there aborts, also where a yes is already in. That costs a
 * retry and spares the question whether the database behind the link is still the same one (P-14). */
static void peer_down(struct coord *coord, uint32_t index, struct coord_ready *ready)
{
    struct participant *participant = coord->participants[index];
    bool was_ready = peer_ready(participant);
    participant->session = 0;
    participant->witnessed = false;
    participant->claimed = false;
    participant->welcomed = false;
    participant->health = HEALTH_DOWN;
    snprintf(participant->text, sizeof(participant->text), "%s",
             "the participant is not connected");
    if (was_ready) {
        ready_notice(ready, COORD_NOTICE_PEER_LOST, NULL, participant->name, "%s",
                     participant->text);
    }
    size_t count = 0;
    struct txn **txns = peer_txns(coord, index, &count);
    for (size_t i = 0; i < count; i++) {
        struct txn *txn = txns[i];
        if (txn_is_at_work(txn)) {
            vote_abort(coord, txn, REASON_PARTICIPANT_UNAVAILABLE, index,
                       "the connection to the participant was lost before the decision", ready);
        } else if (txn->state == TXN_ABORTING) {
            finish_drive(coord, txn, ready);
            finish_check(coord, txn, ready);
        }
    }
    free(txns);
}

/* What agents may empty their outcomes up to (P-12). The journal's own floor lies above everything that it forgot, and
 * so perhaps above a transaction that is not finished and was appended again: after a restart such a one is driven once
 * more in every branch, and a branch that has committed must still find its row. */
static struct journal_floor peer_floor(const struct coord *coord)
{
    struct journal_floor floor = coord->floor;
    for (const struct txn *txn = coord->newest; txn != NULL; txn = txn->older) {
        const struct gtrid *gtrid = &txn->gtrid;
        if (!txn->end_written &&
            (gtrid->epoch < floor.epoch ||
             (gtrid->epoch == floor.epoch && gtrid->sequence <= floor.sequence))) {
            floor.epoch = gtrid->epoch;
            floor.sequence = gtrid->sequence > 0 ? gtrid->sequence - 1 : 0;
        }
    }
    return floor;
}

static void peer_send_claim(const struct coord *coord, const struct participant *participant,
                            struct coord_ready *ready)
{
    struct message *message = ready_send(ready, participant->session, MESSAGE_CLAIM);
    message->as.claim.epoch = coord->epoch;
    message->as.claim.epoch_nonce = coord->epoch_nonce;
    message->as.claim.head = coord->head;
    message->as.claim.floor = peer_floor(coord);
    snprintf(message->as.claim.address, sizeof(message->as.claim.address), "%s",
             coord->config.address);
}

void peer_claim(struct coord *coord, struct participant *participant, struct coord_ready *ready)
{
    if (!coord->running || !participant->witnessed || participant->claimed) {
        return; /* before EPOCH is durable nobody hears of it (P-16) */
    }
    participant->claimed = true;
    peer_send_claim(coord, participant, ready);
}

void peer_claim_all(struct coord *coord, struct coord_ready *ready)
{
    for (size_t i = 0; i < coord->participant_count; i++) {
        peer_claim(coord, coord->participants[i], ready);
    }
}

/* An epoch that this journal lists, this one or an earlier, was claimed there under another nonce: by a copy. Its head
 * alone does not always tell, it may lie below our floor by now. */
static bool peer_epoch_has_another_nonce(const struct coord *coord,
                                         const struct message_witness *witness)
{
    for (size_t i = 0; i < coord->epoch_entry_count; i++) {
        if (coord->epoch_entries[i].epoch == witness->epoch) {
            return coord->epoch_entries[i].nonce != witness->epoch_nonce;
        }
    }
    return false;
}

/* P-10: what the agent's database remembers of this journal must be found in it, and no later owner. */
static void peer_witness(struct coord *coord, const struct coord_event *event, uint32_t index,
                         struct coord_ready *ready)
{
    struct participant *participant = coord->participants[index];
    const struct message_witness *witness = &event->message->as.witness;
    if (witness->epoch > coord->epoch || peer_epoch_has_another_nonce(coord, witness)) {
        ready_stop(ready, COORD_STOP_FENCED,
                   "participant %s knows epoch %" PRIu64
                   " of this journal from another coordinator; ours is %" PRIu64,
                   participant->name, witness->epoch, coord->epoch);
        return;
    }
    if (witness->head.number != 0 && witness->head.number >= coord->floor.first_number &&
        (!event->prior.hash_found ||
         memcmp(event->prior.hash, witness->head.hash, HASH_BYTES) != 0)) {
        ready_stop(ready, COORD_STOP_BEHIND,
                   "participant %s has seen record %" PRIu64 " of this journal, which is %s here: "
                   "the journal was restored or truncated",
                   participant->name, witness->head.number,
                   event->prior.hash_found ? "another one" : "missing");
        return;
    }
    participant->identity = witness->identity;
    participant->witnessed = true;
    if (!participant->welcomed) {
        /* It speaks again: our CLAIM was lost, or its witness grew meanwhile. */
        participant->claimed = false;
    }
    peer_claim(coord, participant, ready);
}

/* Comes again on a session whose database is found to be another one than before (P-14). */
static void peer_welcome(struct coord *coord, uint32_t index, const struct message_welcome *welcome,
                         const struct coord_prior *prior, struct coord_ready *ready)
{
    struct participant *participant = coord->participants[index];
    if (!participant->claimed || welcome->epoch != coord->epoch) {
        coord->counters.stale_messages++;
        return;
    }
    bool is_first = !participant->welcomed;
    if (!is_first && welcome->history == participant->welcome_history) {
        coord->counters.stale_messages++; /* repeated; its position is old by now */
        return;
    }
    participant->welcome_history = welcome->history;
    participant->welcomed = true;
    /* P-10: not with its witness alone, which may grow until its database refuses the epochs before ours. */
    participant->reported = true;
    peer_check_reconciled(coord, ready);
    participant->identity = welcome->identity;
    participant->text[0] = '\0';
    participant->health = HEALTH_UP; /* it has just written the claim into its database */
    audit_welcome(participant, &welcome->identity, prior, ready);
    if (is_first && !audit_is_open(participant)) {
        ready_notice(ready, COORD_NOTICE_PEER_READY, NULL, participant->name, "%s", "");
    }
    size_t count = 0;
    struct txn **txns = peer_txns(coord, index, &count);
    for (size_t i = 0; i < count; i++) {
        if (txn_is_at_work(txns[i])) {
            /* Another database on the same session: votes given are void, and WORK on its way must not commit there. */
            vote_abort(coord, txns[i], REASON_PARTICIPANT_UNAVAILABLE, index,
                       "the participant's database became another one before the decision", ready);
            continue;
        }
        if (txns[i]->state == TXN_COMMITTING || txns[i]->state == TXN_HEURISTIC ||
            txns[i]->state == TXN_ABORTING) {
            txns[i]->retry_step_ms = coord->config.retry_min_ms;
            finish_drive(coord, txns[i], ready);
            finish_check(coord, txns[i], ready);
        }
    }
    free(txns);
}

static void peer_health(struct coord *coord, uint32_t index, const struct message_health *health,
                        struct coord_ready *ready)
{
    struct participant *participant = coord->participants[index];
    bool changed = participant->health != health->health;
    participant->health = health->health;
    participant->identity = health->identity;
    participant->prepared_count = health->prepared_count;
    participant->foreign_count = health->foreign_count;
    participant->misplaced_count = health->misplaced_count;
    participant->oldest_prepared_ms = health->oldest_prepared_ms;
    participant->swept_number = health->swept_number;
    snprintf(participant->text, sizeof(participant->text), "%s", health->text);
    audit_explain(participant);
    if (changed) {
        ready_notice(ready, COORD_NOTICE_PEER_STATE, NULL, participant->name, "%s",
                     health->health == HEALTH_UP ? "database up" : health->text);
    }
}

void peer_check_reconciled(struct coord *coord, struct coord_ready *ready)
{
    if (coord->reconciled) {
        return;
    }
    for (size_t i = 0; i < coord->participant_count; i++) {
        if (coord->participants[i]->must_report && !coord->participants[i]->reported) {
            return;
        }
    }
    coord->reconciled = true;
    ready_notice(ready, COORD_NOTICE_RECONCILED, NULL, NULL, "%s",
                 "every participant has reported what it knows of this journal");
}

/* Everything up to here was swept by everybody whose word is needed (P-13); 0 if somebody is missing. */
uint64_t peer_swept_number(const struct coord *coord)
{
    uint64_t number = UINT64_MAX;
    for (size_t i = 0; i < coord->participant_count; i++) {
        const struct participant *participant = coord->participants[i];
        if ((participant->configured || participant->must_report) &&
            participant->swept_number < number) {
            number = participant->swept_number;
        }
    }
    return number == UINT64_MAX ? 0 : number;
}

void peer_heartbeat(struct coord *coord, struct coord_ready *ready)
{
    const struct journal_floor floor = peer_floor(coord);
    for (size_t i = 0; i < coord->participant_count; i++) {
        struct participant *participant = coord->participants[i];
        if (participant->claimed && !participant->welcomed) { /* CLAIM or WELCOME was lost */
            participant->claimed = false;
            peer_claim(coord, participant, ready);
        }
        if (audit_missed_welcome(participant)) {
            peer_send_claim(coord, participant, ready); /* the agent welcomes once more (P-14) */
        }
        if (participant->welcomed) {
            audit_ask(participant, ready); /* AUDIT or AUDITED may be lost */
            struct message *message = ready_send(ready, participant->session, MESSAGE_HEAD);
            message->as.head.head = coord->head;
            message->as.head.floor = floor;
        }
    }
}

static bool peer_is_used(const struct coord *coord, uint32_t index)
{
    size_t count = 0;
    free(peer_txns(coord, index, &count));
    return count > 0;
}

/* What aborted while it was out of reach, or in an earlier process, may be prepared there until a sweep was told (P-11). Who
 * is let go is not waited for by the floor, below which an abort cannot be told from a forgotten commit. */
static bool peer_is_unswept(const struct coord *coord, const struct participant *participant)
{
    return participant->swept_number < participant->left_number ||
           (!participant->is_new && !trim_has_swept(coord, participant->swept_number));
}

static void peer_remove(struct coord *coord, const struct coord_event *event,
                        struct coord_ready *ready)
{
    uint32_t index = 0;
    const struct participant *participant = peer_find(coord, event->participant, &index);
    if (participant == NULL || !participant->configured) {
        ready_answer(ready, event->call, API_NOT_FOUND);
        return;
    }
    bool is_used =
        event->untrimmed || participant->prepared_count > 0 || peer_is_used(coord, index);
    if (is_used || peer_is_unswept(coord, participant)) {
        struct api_answer *answer = ready_answer(ready, event->call, API_CONFLICT);
        snprintf(answer->text, sizeof(answer->text),
                 is_used ? "participant %s is still in doubt or within the retention period"
                         : "participant %s may hold prepared branches of aborted transactions "
                           "until its agent has connected and swept",
                 participant->name);
        snprintf(answer->participant, sizeof(answer->participant), "%s", participant->name);
        return;
    }
    uint64_t token = 0;
    coord->participants[index]->releasing = true;
    struct record *record = ready_append(coord, ready, RECORD_RELEASE, true, &token);
    struct record_release *release = &record->as.release;
    snprintf(release->participant, sizeof(release->participant), "%s", participant->name);
    snprintf(release->comment, sizeof(release->comment), "%s", "taken out of the configuration");
    release->wall_ms = coord->wall_ms;
    struct pending like = {.call = event->call};
    snprintf(like.participant, sizeof(like.participant), "%s", participant->name);
    pending_add(coord, PENDING_RELEASE, token, NULL, &like);
}

/* Its RELEASE is durable. If it was added again meanwhile it stays, and the driver must keep its link. */
void peer_released(struct coord *coord, uint64_t call, const char *name, struct coord_ready *ready)
{
    struct participant *participant = peer_find(coord, name, NULL);
    CHECK(participant != NULL); /* it was released, and nobody is ever taken out */
    bool gone = participant->releasing;
    if (gone) {
        participant->configured = false;
        participant->must_report = false;
    }
    struct api_answer *answer = ready_answer(ready, call, gone ? API_OK : API_CONFLICT);
    snprintf(answer->participant, sizeof(answer->participant), "%s", name);
    if (!gone) {
        snprintf(answer->text, sizeof(answer->text),
                 "participant %s was put back into the configuration meanwhile", name);
    }
}

void peer_step(struct coord *coord, struct coord_event *event, struct coord_ready *ready)
{
    uint32_t index = 0;
    switch (event->kind) {
    case COORD_EVENT_PARTICIPANT_ADD: {
        struct participant *participant = peer_get(coord, event->participant, NULL);
        participant->is_new = coord->epoch != 0 && !participant->must_report &&
                              (participant->is_new || !participant->configured);
        participant->configured = true;
        participant->releasing = false;
        snprintf(participant->address, sizeof(participant->address), "%s", event->address);
        if (participant->text[0] == '\0' && participant->session == 0) {
            snprintf(participant->text, sizeof(participant->text), "%s",
                     "the participant is not connected");
        }
        return;
    }
    case COORD_EVENT_PARTICIPANT_REMOVE:
        peer_remove(coord, event, ready);
        return;
    case COORD_EVENT_PEER_UP:
        if (peer_find(coord, event->participant, &index) != NULL) {
            if (coord->participants[index]->session != 0) {
                peer_down(coord, index,
                          ready); /* a newer session; the old one's end may come late */
            }
            peer_up(coord, event, index);
        }
        return;
    case COORD_EVENT_PEER_DOWN:
        for (size_t i = 0; i < coord->participant_count; i++) {
            if (coord->participants[i]->session == event->session) {
                peer_down(coord, (uint32_t)i, ready);
            }
        }
        return;
    case COORD_EVENT_START:
    case COORD_EVENT_DURABLE:
    case COORD_EVENT_SUBMIT:
    case COORD_EVENT_RESOLVE:
    case COORD_EVENT_TIMER:
    case COORD_EVENT_SPACE:
    case COORD_EVENT_TRIMMED:
    case COORD_EVENT_FENCED:
    case COORD_EVENT_DRAIN:
    case COORD_EVENT_RETAINED:
    case COORD_EVENT_OPEN:
    case COORD_EVENT_STATEMENT:
    case COORD_EVENT_CLOSE:
    case COORD_EVENT_EXTERNAL:
    case COORD_EVENT_REQUEST_ACT:
        return;
    case COORD_EVENT_MESSAGE:
        break;
    }
    if (peer_find(coord, event->participant, &index) == NULL) {
        return;
    }
    switch (event->message->kind) {
    case MESSAGE_WITNESS:
        peer_witness(coord, event, index, ready);
        return;
    case MESSAGE_WELCOME:
        peer_welcome(coord, index, &event->message->as.welcome, &event->prior, ready);
        return;
    case MESSAGE_FENCED:
        if (event->message->as.fenced.epoch < coord->epoch ||
            (event->message->as.fenced.epoch == coord->epoch &&
             event->message->as.fenced.epoch_nonce == coord->epoch_nonce)) {
            coord->counters.stale_messages++; /* about an epoch that is over, or our own */
            return;
        }
        ready_stop(ready, COORD_STOP_FENCED,
                   "participant %s refuses epoch %" PRIu64 ": it belongs to epoch %" PRIu64
                   " of this journal",
                   event->participant, coord->epoch, event->message->as.fenced.epoch);
        return;
    case MESSAGE_HEALTH:
        if (coord->participants[index]->welcomed) {
            peer_health(coord, index, &event->message->as.health, ready);
        } else { /* its database is the reason why it can not accept the claim */
            snprintf(coord->participants[index]->text, HEALTH_TEXT_SIZE, "%s",
                     event->message->as.health.text);
        }
        return;
    case MESSAGE_CLAIM:
    case MESSAGE_WORK:
    case MESSAGE_COMMIT:
    case MESSAGE_ROLLBACK:
    case MESSAGE_VERDICT:
    case MESSAGE_HEAD:
    case MESSAGE_VOTE:
    case MESSAGE_ACK:
    case MESSAGE_INQUIRY:
    case MESSAGE_AUDIT:
    case MESSAGE_AUDITED:
    case MESSAGE_STATEMENT:
    case MESSAGE_PREPARE:
    case MESSAGE_VERIFY:
    case MESSAGE_ANSWER:
        return;
    }
}
