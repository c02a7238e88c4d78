/* probe_coord.c - see probe.h. */
#include "tests/sim/probe.h"

#include <string.h>

#include "coordinator/core_internal.h"
#include "tests/sim/coverage.h"
#include "tests/sim/random.h"

const char *probe_txn_state(uint32_t state)
{
    static const char *const names[] = {"-",        "queued",     "active",    "preparing",
                                        "deciding", "committing", "committed", "aborting",
                                        "aborted",  "dead",       "heuristic", "open"};
    return state < sizeof(names) / sizeof(names[0]) ? names[state] : "";
}

const char *probe_branch_state(uint32_t state)
{
    return state == 0 || state > BRANCH_FORGOTTEN ? ""
                                                  : branch_state_text((enum branch_state)state);
}

static void meet_one(const struct txn *txn, const struct branch *branch,
                     enum coverage_coord_event meets, uint64_t txns[][32], uint64_t branches[][32])
{
    txns[txn->state][meets]++;
    if (branch != NULL) {
        branches[branch->state][meets]++;
    }
}

static void meet_all(const struct coord *coord, uint32_t participant,
                     enum coverage_coord_event meets, uint64_t txns[][32], uint64_t branches[][32])
{
    for (const struct txn *txn = coord->newest; txn != NULL; txn = txn->older) {
        bool met = participant == NO_PARTICIPANT;
        for (size_t i = 0; i < txn->branch_count; i++) {
            if (participant == NO_PARTICIPANT || txn->branches[i].participant == participant) {
                branches[txn->branches[i].state][meets]++;
                met = true;
            }
        }
        txns[txn->state][meets] += met;
    }
}

static void meet_message(const struct coord *coord, const struct coord_event *event,
                         uint64_t txns[][32], uint64_t branches[][32])
{
    static const enum coverage_coord_event votes[] = {
        [VOTE_COMMIT] = MEETS_VOTE_COMMIT,
        [VOTE_ABORT] = MEETS_VOTE_ABORT,
        [VOTE_READONLY] = MEETS_VOTE_READONLY,
        [VOTE_UNKNOWN] = MEETS_VOTE_UNKNOWN,
    };
    static const enum coverage_coord_event acks[] = {
        [ACK_COMMITTED] = MEETS_ACK_COMMITTED,
        [ACK_ROLLED_BACK] = MEETS_ACK_ROLLED_BACK,
        [ACK_HEURISTIC_COMMIT] = MEETS_ACK_HEURISTIC_COMMIT,
        [ACK_HEURISTIC_ROLLBACK] = MEETS_ACK_HEURISTIC_ROLLBACK,
        [ACK_HAZARD] = MEETS_ACK_HAZARD,
    };
    const struct message *message = event->message;
    const struct gid *gid = NULL;
    enum coverage_coord_event meets = MEETS_INQUIRY;
    uint32_t index = 0;
    if (message->kind == MESSAGE_VOTE) {
        gid = &message->as.vote.gid;
        meets = votes[message->as.vote.vote];
    } else if (message->kind == MESSAGE_ACK) {
        gid = &message->as.ack.gid;
        meets = acks[message->as.ack.ack];
    } else if (message->kind == MESSAGE_ANSWER) {
        gid = &message->as.answer.gid;
        meets = MEETS_ANSWER;
    } else if (message->kind == MESSAGE_INQUIRY) {
        gid = &message->as.inquiry.gid;
    } else if (message->kind == MESSAGE_WELCOME &&
               peer_find(coord, event->participant, &index) != NULL) {
        meet_all(coord, index, MEETS_WELCOME, txns, branches);
        return;
    }
    struct txn *txn = gid == NULL ? NULL : txn_find(coord, &gid->gtrid);
    if (txn != NULL) {
        meet_one(txn, txn_branch(coord, txn, gid->participant), meets, txns, branches);
    }
}

static void meet_durable(const struct coord *coord, const struct coord_event *event,
                         uint64_t txns[][32], uint64_t branches[][32])
{
    for (const struct pending *pending = coord->pending_first;
         pending != NULL && pending->token <= event->token; pending = pending->next) {
        const struct txn *txn = pending->kind == PENDING_EPOCH || pending->kind == PENDING_RELEASE
                                    ? NULL
                                    : txn_find(coord, &pending->gtrid);
        for (size_t i = 0; txn != NULL && i < txn->branch_count; i++) {
            branches[txn->branches[i].state][MEETS_DURABLE]++;
        }
        if (txn != NULL) {
            txns[txn->state][MEETS_DURABLE]++;
        }
    }
}

void probe_coord_meets(const struct coord *coord, const struct coord_event *event,
                       uint64_t txns[][32], uint64_t branches[][32])
{
    const struct api_resolve *resolve = event->resolve;
    struct txn *txn = NULL;
    switch (event->kind) {
    case COORD_EVENT_MESSAGE:
        meet_message(coord, event, txns, branches);
        return;
    case COORD_EVENT_DURABLE:
        meet_durable(coord, event, txns, branches);
        return;
    case COORD_EVENT_SUBMIT:
        txn = txn_find_key(coord, event->submission->key, event->submission->key_bytes);
        if (event->submission->key_bytes > 0 && txn != NULL) {
            meet_one(txn, NULL, MEETS_SUBMIT_AGAIN, txns, branches);
        }
        return;
    case COORD_EVENT_RESOLVE:
        txn = txn_find(coord, &resolve->gtrid);
        if (txn != NULL) {
            meet_one(txn, txn_branch(coord, txn, resolve->participant),
                     resolve->action == RESOLVE_COMMIT     ? MEETS_RESOLVE_COMMIT
                     : resolve->action == RESOLVE_ROLLBACK ? MEETS_RESOLVE_ROLLBACK
                                                           : MEETS_RESOLVE_FORGET,
                     txns, branches);
        }
        return;
    case COORD_EVENT_PEER_DOWN:
        for (uint32_t i = 0; i < coord->participant_count; i++) {
            if (coord->participants[i]->session == event->session) {
                meet_all(coord, i, MEETS_PEER_DOWN, txns, branches);
            }
        }
        return;
    case COORD_EVENT_TIMER:
        meet_all(coord, NO_PARTICIPANT, MEETS_TIMER, txns, branches);
        return;
    case COORD_EVENT_DRAIN:
        meet_all(coord, NO_PARTICIPANT, MEETS_DRAIN, txns, branches);
        return;
    case COORD_EVENT_REQUEST_ACT: /* requests are no transactions; their runs meet everything else */
        return;
    case COORD_EVENT_STATEMENT:
        txn = txn_find(coord, &event->statement->gtrid);
        if (txn != NULL) {
            meet_one(txn, txn_branch(coord, txn, event->statement->participant), MEETS_STATEMENT,
                     txns, branches);
        }
        return;
    case COORD_EVENT_CLOSE:
        txn = txn_find(coord, &event->end->gtrid);
        if (txn != NULL) {
            meet_one(txn, NULL, event->end->commit ? MEETS_CLOSE_COMMIT : MEETS_CLOSE_ROLLBACK,
                     txns, branches);
        }
        return;
    case COORD_EVENT_EXTERNAL:
        txn = txn_find(coord, &event->external->gtrid);
        if (txn != NULL) {
            meet_one(txn, txn_branch(coord, txn, event->external->participant), MEETS_EXTERNAL,
                     txns, branches);
        }
        return;
    case COORD_EVENT_OPEN:
    case COORD_EVENT_START:
    case COORD_EVENT_PEER_UP:
    case COORD_EVENT_SPACE:
    case COORD_EVENT_TRIMMED:
    case COORD_EVENT_RETAINED:
    case COORD_EVENT_PARTICIPANT_ADD:
    case COORD_EVENT_PARTICIPANT_REMOVE:
    case COORD_EVENT_FENCED:
        return;
    }
}

/* ---- digest ---- */

static uint64_t fold(uint64_t hash, uint64_t value)
{
    return sim_scramble(hash ^ (value + UINT64_C(0x9e3779b97f4a7c15) + (hash << 6)));
}

/* How far away, as the core sees it; what is over is over, however long. */
static uint64_t until(uint64_t due_ms, uint64_t now_ms)
{
    return due_ms == UINT64_MAX ? UINT64_MAX : due_ms > now_ms ? due_ms - now_ms : 0;
}

static uint64_t digest_branch(const struct coord *coord, const struct branch *branch)
{
    const struct participant *participant = coord->participants[branch->participant];
    uint64_t hash = fold(branch->participant, branch->state);
    hash = fold(hash, (uint64_t)branch->has_gid << 3 | (uint64_t)branch->recorded << 2 |
                          (uint64_t)(branch->session == participant->session) << 1 |
                          (branch->told_session == participant->session));
    if (branch->ordinal != 0) {
        hash = fold(fold(hash, branch->ordinal), branch->gid.attempt);
    }
    return fold(hash, branch->has_gid ? branch->gid.attempt : 0);
}

static uint64_t digest_txn(const struct coord *coord, const struct txn *txn)
{
    uint64_t now_ms = coord->now_ms;
    uint64_t hash = fold(txn->gtrid.epoch, txn->gtrid.sequence);
    hash = fold(hash, txn->state);
    hash = fold(hash, (uint64_t)txn->decided_commit << 3 | (uint64_t)txn->end_written << 2 |
                          (uint64_t)txn->end_recorded << 1 | txn->recovered);
    hash = fold(hash, txn->heuristic_pending);
    hash = fold(hash, txn->failure.reason);
    hash = fold(hash, txn->waiter_count);
    hash = fold(hash, txn->retry_step_ms);
    if (!txn->end_written) {
        hash = fold(hash, until(txn->deadline_ms, now_ms));
        hash = fold(hash, until(txn->retry_ms, now_ms));
        hash = fold(hash, until(txn->answer_by_ms, now_ms));
    }
    if (txn->interactive != NULL) {
        const struct interactive *open = txn->interactive;
        hash = fold(fold(hash, open->count), open->running);
        hash = fold(fold(hash, open->call_count), open->answer_count);
        hash = fold(hash, txn->state == TXN_OPEN ? until(open->idle_by_ms, now_ms) : 0);
    }
    for (size_t i = 0; i < txn->branch_count; i++) {
        hash = fold(hash, digest_branch(coord, &txn->branches[i]));
    }
    return hash;
}

static uint64_t digest_request(const struct coord *coord, const struct request *request)
{
    uint64_t now_ms = coord->now_ms;
    uint64_t hash = fold(request->id.epoch, request->id.sequence);
    hash = fold(hash, (uint64_t)request->state << 8 | (uint64_t)request->place << 4 |
                          (uint64_t)request->is_recovered << 2 | (uint64_t)request->was_dead << 1 |
                          request->is_queued);
    hash = fold(fold(hash, request->position_epoch), request->position_sequence);
    hash = fold(fold(hash, request->attempts), request->failure.reason);
    hash = fold(hash, request->backoff_step_ms);
    hash =
        fold(hash, request->place == PLACE_BACKOFF ? until(request->backoff_until_ms, now_ms) : 0);
    hash = fold(hash, request->run == NULL ? 0 : request->run->gtrid.sequence);
    for (size_t i = 0; i < request->waiter_count; i++) {
        const struct request_waiter *waiter = &request->waiters[i];
        hash = fold(hash, until(waiter->by_ms, now_ms) << 2 | (uint64_t)waiter->is_async << 1 |
                              waiter->replay);
    }
    return hash;
}

uint64_t probe_coord_digest(const struct coord *coord)
{
    uint64_t hash = fold(coord->epoch, coord->next_sequence);
    hash = fold(hash, (uint64_t)coord->running << 3 | (uint64_t)coord->reconciled << 2 |
                          (uint64_t)coord->draining << 1 | coord->space_ok);
    hash = fold(hash, coord->head.number);
    hash = fold(hash, until(coord->next_heartbeat_ms, coord->now_ms));
    for (size_t i = 0; i < coord->participant_count; i++) {
        const struct participant *participant = coord->participants[i];
        hash = fold(hash, (uint64_t)(participant->session != 0) << 6 |
                              (uint64_t)participant->witnessed << 5 |
                              (uint64_t)participant->claimed << 4 |
                              (uint64_t)participant->welcomed << 3 |
                              (uint64_t)participant->must_report << 2 |
                              (uint64_t)participant->reported << 1 | participant->configured);
        hash = fold(hash, participant->health);
    }
    for (const struct txn *txn = coord->newest; txn != NULL; txn = txn->older) {
        hash = fold(hash, digest_txn(coord, txn));
    }
    for (const struct request *request = coord->requests.newest; request != NULL;
         request = request->older) {
        hash = fold(hash, digest_request(coord, request));
    }
    for (const struct pending *pending = coord->pending_first; pending != NULL;
         pending = pending->next) {
        hash = fold(hash, (uint64_t)pending->kind << 32 | pending->gtrid.sequence);
    }
    return hash;
}
