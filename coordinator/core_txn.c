/* core_txn.c - one transaction: its life, its state tables, its timer, its waiters and its timeline. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

#define TXN_EVENTS_MAX 1000 /* a branch that fails to finish for days must not eat the memory */

#define TO(state) (1U << (state))

/* The drawing and the meaning of each state stand in core_internal.h. Recovered transactions start in
 * COMMITTING or HEURISTIC. HEURISTIC is left only when an operator asked to commit a branch again. */
static const uint32_t txn_successors[] = {
    [TXN_QUEUED] =
        0, /* how an accepted request is shown (core_request.h); no transaction is in it */
    [TXN_ACTIVE] = TO(TXN_PREPARING) | TO(TXN_ABORTING) | TO(TXN_OPEN),
    [TXN_OPEN] = TO(TXN_PREPARING) | TO(TXN_ABORTING),
    [TXN_PREPARING] = TO(TXN_DECIDING) | TO(TXN_ABORTING),
    [TXN_DECIDING] = TO(TXN_COMMITTING),
    [TXN_COMMITTING] = TO(TXN_COMMITTED) | TO(TXN_HEURISTIC),
    [TXN_COMMITTED] = TO(TXN_HEURISTIC),
    [TXN_ABORTING] = TO(TXN_ABORTED) | TO(TXN_HEURISTIC),
    [TXN_ABORTED] = TO(TXN_HEURISTIC),
    [TXN_DEAD] = 0, /* the same */
    [TXN_HEURISTIC] = 0,
};

/* A branch as the coordinator sees it. Anything that is prepared somewhere leaves only by an
 * acknowledgement (P-5), or, after an abort, by being left to the agent's sweep (P-11). */
static const uint32_t branch_successors[] = {
    [BRANCH_IDLE] = TO(BRANCH_WORKING) | TO(BRANCH_ROLLED_BACK),
    [BRANCH_WORKING] = TO(BRANCH_PREPARED) | TO(BRANCH_READ_ONLY) | TO(BRANCH_REFUSED) |
                       TO(BRANCH_UNKNOWN) | TO(BRANCH_ROLLING_BACK) | TO(BRANCH_ROLLED_BACK),
    [BRANCH_PREPARED] = TO(BRANCH_COMMITTING) | TO(BRANCH_ROLLING_BACK) | TO(BRANCH_UNKNOWN),
    [BRANCH_READ_ONLY] = 0,
    [BRANCH_REFUSED] = 0,
    [BRANCH_UNKNOWN] = TO(BRANCH_ROLLING_BACK) | TO(BRANCH_ROLLED_BACK),
    [BRANCH_COMMITTING] = TO(BRANCH_COMMITTED) | TO(BRANCH_HEURISTIC_ROLLBACK) | TO(BRANCH_HAZARD),
    [BRANCH_COMMITTED] = TO(BRANCH_HEURISTIC_ROLLBACK) | TO(BRANCH_HAZARD),
    [BRANCH_ROLLING_BACK] =
        TO(BRANCH_ROLLED_BACK) | TO(BRANCH_HEURISTIC_COMMIT) | TO(BRANCH_HAZARD),
    [BRANCH_ROLLED_BACK] = TO(BRANCH_HEURISTIC_COMMIT) | TO(BRANCH_HAZARD),
    [BRANCH_HEURISTIC_COMMIT] = TO(BRANCH_FORGOTTEN),
    [BRANCH_HEURISTIC_ROLLBACK] = TO(BRANCH_FORGOTTEN) | TO(BRANCH_COMMITTING),
    [BRANCH_HAZARD] = TO(BRANCH_FORGOTTEN) | TO(BRANCH_COMMITTING),
    [BRANCH_FORGOTTEN] = 0,
};

static bool state_awaits_decision(enum txn_state state)
{
    return state == TXN_PREPARING || state == TXN_DECIDING;
}

void txn_mark_changed(struct coord *coord, struct txn *txn)
{
    if (txn->is_changed) {
        return;
    }
    txn->is_changed = true;
    txn->changed_previous = coord->changed_last;
    if (coord->changed_last != NULL) {
        coord->changed_last->changed_next = txn;
    } else {
        coord->changed_first = txn;
    }
    coord->changed_last = txn;
}

static void txn_unmark_changed(struct coord *coord, struct txn *txn)
{
    if (!txn->is_changed) {
        return;
    }
    if (txn->changed_previous != NULL) {
        txn->changed_previous->changed_next = txn->changed_next;
    } else {
        coord->changed_first = txn->changed_next;
    }
    if (txn->changed_next != NULL) {
        txn->changed_next->changed_previous = txn->changed_previous;
    } else {
        coord->changed_last = txn->changed_previous;
    }
    txn->is_changed = false;
    txn->changed_previous = NULL;
    txn->changed_next = NULL;
}

void txn_forget_changes(struct coord *coord)
{
    while (coord->changed_first != NULL) {
        txn_unmark_changed(coord, coord->changed_first);
    }
}

/* P-4 holds here as for waiters: COMMITTING is entered by the record's DURABLE event alone. A heuristic outcome whose record is on
 * its way is marked again when that is durable. A run is shown as its request, and when it has aborted not at all, since that is nobody's
 * outcome, unless a person has committed a part of it (H1). */
bool coord_take_change(struct coord *coord, struct txn_view *ret_view)
{
    while (coord->changed_first != NULL) {
        struct txn *txn = coord->changed_first;
        txn_unmark_changed(coord, txn);
        bool is_past_run = txn->has_request && txn->request == NULL && txn->state != TXN_HEURISTIC;
        if (txn->request != NULL) {
            request_mark_changed(coord, txn->request);
        } else if (txn->heuristic_pending == 0 && !is_past_run) {
            txn_view_fill(coord, txn, false, ret_view);
            return true;
        }
    }
    return request_take_change(coord, ret_view);
}

void txn_move(struct coord *coord, struct txn *txn, enum txn_state state)
{
    CHECK((txn_successors[txn->state] & TO(state)) != 0);
    if (txn_state_shown(txn->state) != txn_state_shown(state)) {
        txn_mark_changed(coord, txn);
    }
    if (state_awaits_decision(txn->state) && !state_awaits_decision(state)) {
        coord->active_count--;
    } else if (!state_awaits_decision(txn->state) && state_awaits_decision(state)) {
        coord->active_count++;
    }
    coord->open_count += state == TXN_OPEN;
    coord->open_count -= txn->state == TXN_OPEN;
    for (size_t i = 0; i < txn->branch_count && txn->state == TXN_OPEN; i++) {
        coord->participants[txn->branches[i].participant]->open--;
    }
    txn->state = state;
}

void branch_move(struct coord *coord, struct branch *branch, enum branch_state state)
{
    CHECK((branch_successors[branch->state] & TO(state)) != 0);
    struct participant *participant = coord->participants[branch->participant];
    if (branch->state == BRANCH_COMMITTING) {
        participant->in_doubt--;
    }
    if (state == BRANCH_COMMITTING) {
        participant->in_doubt++;
    }
    branch->state = state;
}

static bool match_gtrid(const void *value, const void *wanted)
{
    return gtrid_equal(&((const struct txn *)value)->gtrid, wanted);
}

struct key_wanted {
    const char *key;
    size_t key_bytes;
};

static bool match_key(const void *value, const void *wanted)
{
    const struct txn *txn = value;
    const struct key_wanted *key = wanted;
    return txn->key_bytes == key->key_bytes && memcmp(txn->key, key->key, key->key_bytes) == 0;
}

struct txn *txn_find(const struct coord *coord, const struct gtrid *gtrid)
{
    return map_find(&coord->by_gtrid, gtrid_hash(gtrid), match_gtrid, gtrid);
}

struct txn *txn_find_key(const struct coord *coord, const char *key, size_t key_bytes)
{
    struct key_wanted wanted = {.key = key, .key_bytes = key_bytes};
    return map_find(&coord->by_key, map_hash_bytes(key, key_bytes), match_key, &wanted);
}

struct txn *txn_new(struct coord *coord, const struct gtrid *gtrid, size_t branch_count)
{
    struct txn *txn = alloc_zeroed(sizeof(*txn));
    heap_node_init(&txn->timer);
    txn->gtrid = *gtrid;
    txn->state = TXN_ACTIVE;
    txn->deadline_ms = UINT64_MAX;
    txn->retry_ms = UINT64_MAX;
    txn->answer_by_ms = UINT64_MAX;
    txn->created_ms = coord->now_ms;
    txn->failed_participant = NO_PARTICIPANT;
    txn->branch_count = branch_count;
    txn->branches = alloc_array(branch_count, sizeof(txn->branches[0]));
    for (size_t i = 0; i < branch_count; i++) {
        txn->branches[i].state = BRANCH_IDLE;
    }
    txn->order = coord->next_order++;
    map_insert(&coord->by_gtrid, gtrid_hash(gtrid), txn);
    txn->older = coord->newest;
    if (coord->newest != NULL) {
        coord->newest->newer = txn;
    } else {
        coord->oldest = txn;
    }
    coord->newest = txn;
    coord->live_count++;
    txn_mark_changed(coord, txn);
    return txn;
}

static void txn_unkey(struct coord *coord, struct txn *txn)
{
    if (txn->key != NULL) {
        map_remove(&coord->by_key, map_hash_bytes(txn->key, txn->key_bytes), txn);
    }
}

void txn_set_key(struct coord *coord, struct txn *txn, const char *key, size_t key_bytes)
{
    if (key_bytes == 0) {
        return;
    }
    struct txn *before = txn_find_key(coord, key, key_bytes);
    if (before != NULL) {
        txn_unkey(coord, before); /* it aborted: the key may run again (P-18) */
    }
    txn->key = alloc_bytes(key, key_bytes);
    txn->key_bytes = key_bytes;
    map_insert(&coord->by_key, map_hash_bytes(key, key_bytes), txn);
}

struct txn *txn_from_record(struct coord *coord, const struct record_commit *commit)
{
    struct txn *txn = txn_new(coord, &commit->gtrid, commit->branch_count);
    txn->recovered = true;
    txn->decided_commit = true;
    txn->created_wall_ms = commit->wall_ms;
    txn->decided_wall_ms = commit->wall_ms;
    memcpy(txn->body_hash, commit->body_hash, BODY_HASH_BYTES);
    txn_set_key(coord, txn, commit->key, commit->key_bytes);
    txn->state = TXN_COMMITTING; /* born there: not a move */
    for (size_t i = 0; i < commit->branch_count; i++) {
        const struct record_branch *from = &commit->branches[i];
        struct branch *branch = &txn->branches[i];
        struct participant *participant =
            peer_get(coord, from->gid.participant, &branch->participant);
        branch->read_only = from->read_only;
        branch->has_gid = !from->read_only;
        branch->recorded = branch->has_gid;
        branch->gid = from->gid;
        branch->proof = from->proof;
        branch->results = blob_share(from->results);
        branch->state = from->read_only ? BRANCH_READ_ONLY : BRANCH_COMMITTING;
        if (!from->read_only) {
            participant->in_doubt++;
        }
    }
    txn_note(coord, txn, "recovered", NO_PARTICIPANT, NULL);
    accept_from_commit(coord, txn, commit);
    return txn;
}

struct txn *txn_from_finished(struct coord *coord, const struct record_commit *commit)
{
    struct txn *txn = txn_from_record(coord, commit);
    txn->end_recorded = true;
    for (size_t i = 0; i < txn->branch_count; i++) {
        if (txn->branches[i].state == BRANCH_COMMITTING) {
            branch_move(coord, &txn->branches[i], BRANCH_COMMITTED);
        }
    }
    return txn;
}

/* Not for a transaction on the recent list: txn_retire takes those off itself. */
void txn_free(struct coord *coord, struct txn *txn)
{
    queue_run_freed(coord, txn);
    heap_set(&coord->timers, &txn->timer, UINT64_MAX);
    txn_unmark_changed(coord, txn);
    map_remove(&coord->by_gtrid, gtrid_hash(&txn->gtrid), txn);
    txn_unkey(coord, txn);
    if (txn->older != NULL) {
        txn->older->newer = txn->newer;
    } else {
        coord->oldest = txn->newer;
    }
    if (txn->newer != NULL) {
        txn->newer->older = txn->older;
    } else {
        coord->newest = txn->older;
    }
    for (size_t i = 0; i < txn->branch_count; i++) {
        blob_free(txn->branches[i].work);
        blob_free(txn->branches[i].results);
        free(txn->branches[i].detail);
    }
    for (size_t i = 0; i < txn->event_count; i++) {
        free(txn->events[i].detail);
    }
    failure_done(&txn->failure);
    interactive_free(txn);
    free(txn->branches);
    free(txn->events);
    free(txn->waiters);
    free(txn->key);
    free(txn);
}

static void branch_from_note(struct coord *coord, struct branch *branch, const struct gid *gid)
{
    branch->state = BRANCH_ROLLING_BACK;
    branch->has_gid = true;
    branch->gid = *gid;
    peer_get(coord, gid->participant, &branch->participant);
}

struct txn *txn_from_note(struct coord *coord, const struct gid *gid)
{
    struct txn *txn = txn_new(coord, &gid->gtrid, 1);
    txn->recovered = true;
    branch_from_note(coord, &txn->branches[0], gid);
    txn_move(coord, txn, TXN_ABORTING);
    return txn;
}

struct branch *txn_add_branch(struct coord *coord, struct txn *txn, const struct gid *gid)
{
    struct branch *branch = NULL;
    txn->branches = alloc_resize(txn->branches, txn->branch_count + 1, sizeof(*branch));
    branch = &txn->branches[txn->branch_count++];
    memset(branch, 0, sizeof(*branch));
    branch_from_note(coord, branch, gid);
    return branch;
}

bool txn_is_a_note(const struct txn *txn)
{
    return txn->recovered && !txn->decided_commit;
}

bool txn_is_finished(const struct txn *txn)
{
    return txn->state == TXN_COMMITTED || txn->state == TXN_ABORTED;
}

bool txn_is_at_work(const struct txn *txn)
{
    return txn->state == TXN_OPEN || txn->state == TXN_PREPARING;
}

bool txn_completed(const struct txn *txn)
{
    return txn->state == TXN_COMMITTED;
}

/* What grows with what was asked of it: results, and the timeline, which the statements of an interactive one make long. */
static uint64_t txn_recent_bytes(const struct txn *txn)
{
    uint64_t bytes = txn->event_capacity * sizeof(txn->events[0]);
    for (size_t i = 0; i < txn->branch_count; i++) {
        bytes += txn->branches[i].results == NULL ? 0 : txn->branches[i].results->size_bytes;
    }
    return bytes;
}

void txn_retire(struct coord *coord, struct txn *txn)
{
    heap_set(&coord->timers, &txn->timer, UINT64_MAX);
    coord->live_count--;
    if (txn->state == TXN_HEURISTIC) {
        txn_mark_changed(coord, txn); /* a person has acknowledged it */
    }
    if (coord->recent_last != NULL) {
        coord->recent_last->recent_next = txn;
    } else {
        coord->recent_first = txn;
    }
    coord->recent_last = txn;
    coord->recent_count++;
    txn->held_bytes = txn_recent_bytes(txn);
    coord->recent_bytes += txn->held_bytes;
    /* One that changed in this very step stays until it could be shown; the next one to retire makes up for it. */
    while (!coord->recent_first->is_changed &&
           (coord->recent_count > coord->config.recent_max ||
            coord->recent_bytes > coord->config.recent_max_bytes)) {
        struct txn *oldest = coord->recent_first;
        coord->recent_first = oldest->recent_next;
        if (coord->recent_first == NULL) {
            coord->recent_last = NULL;
        }
        coord->recent_count--;
        coord->recent_bytes -= oldest->held_bytes;
        txn_free(coord, oldest);
    }
}

void txn_revive(struct coord *coord, struct txn *txn)
{
    struct txn **link = &coord->recent_first;
    struct txn *previous = NULL;
    for (uint64_t i = 0; i < coord->recent_count && *link != txn; i++) {
        previous = *link;
        link = &(*link)->recent_next;
    }
    CHECK(*link == txn);
    *link = txn->recent_next;
    if (coord->recent_last == txn) {
        coord->recent_last = previous;
    }
    txn->recent_next = NULL;
    coord->recent_count--;
    coord->recent_bytes -= txn->held_bytes;
    coord->live_count++;
}

void txn_note(struct coord *coord, struct txn *txn, const char *kind, uint32_t participant,
              const char *detail)
{
    if (txn->event_count >= TXN_EVENTS_MAX) {
        return;
    }
    if (txn->event_count == txn->event_capacity) {
        txn->event_capacity = txn->event_capacity == 0 ? 8 : txn->event_capacity * 2;
        txn->events = alloc_resize(txn->events, txn->event_capacity, sizeof(txn->events[0]));
    }
    txn->events[txn->event_count++] = (struct txn_event){
        .wall_ms = coord->wall_ms,
        .now_ms = coord->now_ms,
        .kind = kind,
        .participant = participant,
        .detail = detail == NULL || detail[0] == '\0' ? NULL : alloc_string(detail),
    };
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void txn_set_timer(struct coord *coord, struct txn *txn)
{
    uint64_t due_ms = UINT64_MAX;
    switch (txn->state) {
    case TXN_ACTIVE:
        due_ms = txn->deadline_ms;
        break;
    case TXN_OPEN:
        due_ms = earlier(txn->deadline_ms, interactive_due_ms(txn));
        break;
    case TXN_PREPARING: /* WORK is not repeated, and retry_ms never */
        due_ms = earlier(txn->deadline_ms, txn->retry_ms);
        break;
    case TXN_DECIDING:
        due_ms = txn->waiter_count > 0 ? txn->deadline_ms + DECIDE_GRACE_MS : UINT64_MAX;
        break;
    case TXN_COMMITTING:
    case TXN_HEURISTIC:
    case TXN_ABORTING:
        due_ms = earlier(txn->retry_ms, txn->waiter_count > 0 && txn->heuristic_pending == 0
                                            ? txn->answer_by_ms
                                            : UINT64_MAX);
        break;
    case TXN_QUEUED:
    case TXN_COMMITTED:
    case TXN_ABORTED:
    case TXN_DEAD:
        break;
    }
    heap_set(&coord->timers, &txn->timer, due_ms);
}

struct branch *txn_branch(const struct coord *coord, struct txn *txn, const char *participant)
{
    for (size_t i = 0; i < txn->branch_count; i++) {
        struct branch *branch = &txn->branches[i];
        if (strcmp(coord->participants[branch->participant]->name, participant) == 0) {
            return branch;
        }
    }
    return NULL;
}

static void waiter_add(struct txn *txn, struct waiter waiter)
{
    if (txn->waiter_count == txn->waiter_capacity) {
        txn->waiter_capacity = txn->waiter_capacity == 0 ? 1 : txn->waiter_capacity * 2;
        txn->waiters = alloc_resize(txn->waiters, txn->waiter_capacity, sizeof(txn->waiters[0]));
    }
    txn->waiters[txn->waiter_count++] = waiter;
}

void txn_wait(struct txn *txn, uint64_t call, enum ack_mode ack, bool replay)
{
    waiter_add(txn, (struct waiter){.call = call, .ack = ack, .replay = replay});
}

void txn_wait_rollback(struct txn *txn, uint64_t call)
{
    waiter_add(txn, (struct waiter){.call = call, .ack = ACK_MODE_DECIDED, .rolls_back = true});
}

/* May this waiter hear about the transaction now? P-4 lives here: before COMMITTING nothing that says
 * committed is given out, and COMMITTING is entered by the record's DURABLE event alone. */
static bool waiter_due(const struct txn *txn, const struct waiter *waiter)
{
    switch (txn->state) {
    case TXN_QUEUED:
    case TXN_ACTIVE:
    case TXN_OPEN:
    case TXN_PREPARING:
    case TXN_DECIDING:
        return false;
    case TXN_COMMITTING:
        return waiter->ack == ACK_MODE_DECIDED;
    case TXN_COMMITTED:
    case TXN_ABORTING:
    case TXN_ABORTED:
    case TXN_DEAD:
    case TXN_HEURISTIC:
        return true;
    }
    CHECK(!"every state is named above");
    return false;
}

static void waiter_tell(struct coord *coord, const struct txn *txn, const struct waiter *waiter,
                        struct coord_ready *ready)
{
    enum api_status status = API_OUTCOME_UNKNOWN;
    switch (txn->state) {
    case TXN_QUEUED:
    case TXN_ACTIVE:
    case TXN_OPEN:
    case TXN_PREPARING:
    case TXN_DECIDING:
        break;
    case TXN_COMMITTING:
    case TXN_COMMITTED:
        status = API_OK;
        break;
    case TXN_HEURISTIC:
        status = txn->decided_commit ? API_OK : API_ABORTED;
        break;
    case TXN_ABORTING:
    case TXN_ABORTED:
    case TXN_DEAD:
        status = API_ABORTED;
        break;
    }
    if (waiter->rolls_back && status == API_OK) {
        struct api_answer *conflict = ready_answer(ready, waiter->call, API_CONFLICT);
        snprintf(conflict->text, sizeof(conflict->text), "%s",
                 "the transaction is being committed, or has committed");
        return;
    }
    if (waiter->rolls_back && status == API_ABORTED) {
        status = API_OK;
    }
    struct api_answer *answer = ready_answer(ready, waiter->call, status);
    answer->replayed = waiter->replay;
    answer->reason = txn->failure.reason;
    answer->views = alloc_zeroed(sizeof(answer->views[0]));
    answer->view_count = 1;
    txn_view_fill(coord, txn, false, &answer->views[0]);
    if (waiter->replay && status == API_OK) {
        coord->counters.replayed++;
    }
}

void txn_answer(struct coord *coord, struct txn *txn, bool give_up, struct coord_ready *ready)
{
    size_t kept = 0;
    for (size_t i = 0; i < txn->waiter_count; i++) {
        struct waiter waiter = txn->waiters[i];
        if (txn->heuristic_pending == 0 && (give_up || waiter_due(txn, &waiter))) {
            waiter_tell(coord, txn, &waiter, ready);
        } else {
            txn->waiters[kept++] = waiter;
        }
    }
    txn->waiter_count = kept;
}
