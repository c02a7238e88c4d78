/* core.c - the step: dispatch, durable records, timers, drain. See core_internal.h for the map of the other files. */
#include "coordinator/core.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

static void config_default(uint32_t *value, uint32_t otherwise)
{
    if (*value == 0) {
        *value = otherwise;
    }
}

struct coord *coord_new(const struct coord_config *config, uint64_t now_ms)
{
    struct coord *coord = alloc_zeroed(sizeof(*coord));
    coord->config = *config;
    config_default(&coord->config.max_active, 64);
    config_default(&coord->config.max_queued, 10000);
    config_default(&coord->config.heartbeat_ms, 1000);
    config_default(&coord->config.retry_min_ms, 100);
    config_default(&coord->config.retry_max_ms, 2000);
    config_default(&coord->config.recent_max, 10000);
    config_default(&coord->config.drain_ms, 10000);
    config_default(&coord->config.trim_interval_ms, 10000);
    config_default(&coord->config.interactive_max, 256);
    config_default(&coord->config.interactive_idle_ms, 60000);
    config_default(&coord->config.interactive_result_bytes, 1 << 20);
    config_default(&coord->config.max_statements, 1000);
    config_default(&coord->config.max_branches, 64);
    config_default(&coord->config.queue_active, 16);
    config_default(&coord->config.queue_max, 10000);
    config_default(&coord->config.queue_max_each, 1000);
    config_default(&coord->config.queue_retry_min_ms, 500);
    config_default(&coord->config.queue_retry_max_ms, 60000);
    if (coord->config.queue_max_bytes == 0) {
        coord->config.queue_max_bytes = UINT64_C(256) << 20;
    }
    if (coord->config.max_queued_bytes == 0) {
        coord->config.max_queued_bytes = UINT64_C(256) << 20;
    }
    if (coord->config.recent_max_bytes == 0) {
        coord->config.recent_max_bytes = UINT64_C(64) << 20;
    }
    if (coord->config.retention_ms == 0) {
        coord->config.retention_ms = UINT64_C(7) * 24 * 3600 * 1000;
    }
    coord->now_ms = now_ms;
    coord->start_ms = now_ms;
    coord->space_ok = true;
    coord->next_heartbeat_ms = UINT64_MAX;
    coord->next_trim_ms = UINT64_MAX;
    coord->drain_deadline_ms = UINT64_MAX;
    return coord;
}

void coord_free(struct coord *coord)
{
    if (coord == NULL) {
        return;
    }
    request_forget_changes(coord);  /* the dropped ones */
    while (coord->newest != NULL) { /* and with them the requests that have committed */
        txn_free(coord, coord->newest);
    }
    while (coord->requests.newest != NULL) {
        request_free(coord, coord->requests.newest);
    }
    while (coord->pending_first != NULL) {
        struct pending *pending = coord->pending_first;
        coord->pending_first = pending->next;
        free(pending);
    }
    for (size_t i = 0; i < coord->participant_count; i++) {
        audit_free(coord->participants[i]);
        free(coord->participants[i]);
    }
    free(coord->participants);
    free(coord->epoch_entries);
    free(coord->forced);
    map_done(&coord->by_gtrid);
    map_done(&coord->by_key);
    heap_done(&coord->timers);
    map_done(&coord->requests.by_id);
    map_done(&coord->requests.by_key);
    map_done(&coord->requests.by_queue);
    heap_done(&coord->requests.timers);
    heap_done(&coord->requests.ages);
    dead_forget_dropped(coord, 0);
    free(coord->requests.seen_ready);
    free(coord);
}

uint64_t coord_running_ms(const struct coord *coord)
{
    return coord->running_base_ms + (coord->now_ms - coord->start_ms);
}

void pending_add(struct coord *coord, enum pending_kind kind, uint64_t token,
                 const struct gtrid *gtrid, const struct pending *like)
{
    struct pending *pending = alloc_zeroed(sizeof(*pending));
    if (like != NULL) {
        *pending = *like;
    }
    pending->next = NULL;
    pending->kind = kind;
    pending->token = token;
    if (gtrid != NULL) {
        pending->gtrid = *gtrid;
    }
    if (coord->pending_last != NULL) {
        coord->pending_last->next = pending;
    } else {
        coord->pending_first = pending;
    }
    coord->pending_last = pending;
}

static void durable_epoch(struct coord *coord, struct coord_ready *ready)
{
    coord->running = true;
    coord->next_heartbeat_ms = coord->now_ms + coord->config.heartbeat_ms;
    coord->next_trim_ms = coord->now_ms + coord->config.trim_interval_ms;
    ready_notice(ready, COORD_NOTICE_STARTED, NULL, NULL, "epoch %" PRIu64, coord->epoch);
    peer_check_reconciled(coord, ready);
    peer_claim_all(coord, ready);
    /* Whatever recovery found finished in every branch only lacks its END. */
    struct txn **txns = alloc_array(coord->live_count + 1, sizeof(struct txn *));
    size_t count = 0;
    for (struct txn *txn = coord->newest; txn != NULL; txn = txn->older) {
        txns[count++] = txn;
    }
    for (size_t i = 0; i < count; i++) {
        finish_released(coord, txns[i], ready);
        finish_check(coord, txns[i], ready);
    }
    free(txns);
}

static void durable_one(struct coord *coord, const struct pending *pending,
                        struct coord_ready *ready)
{
    struct txn *txn = NULL;
    switch (pending->kind) {
    case PENDING_EPOCH:
        durable_epoch(coord, ready);
        return;
    case PENDING_COMMIT:
        txn = txn_find(coord, &pending->gtrid);
        CHECK(txn != NULL && txn->state == TXN_DECIDING);
        finish_durable(coord, txn, ready);
        return;
    case PENDING_HEURISTIC:
        finish_heuristic_durable(coord, &pending->gid, ready);
        return;
    case PENDING_RESOLVED:
        resolve_durable(coord, pending, ready);
        return;
    case PENDING_RELEASE:
        peer_released(coord, pending->call, pending->participant, ready);
        return;
    case PENDING_ACCEPT: {
        struct request *request = request_find(coord, &pending->gtrid);
        CHECK(request != NULL && request->state == REQUEST_ACCEPTING);
        accept_durable(coord, request, ready);
        return;
    }
    case PENDING_REFUSED:
    case PENDING_REQUEUED:
    case PENDING_DROPPED:
        dead_durable(coord, pending, ready);
        return;
    }
}

static void durable_step(struct coord *coord, const struct coord_event *event,
                         struct coord_ready *ready)
{
    CHECK(event->token <= coord->next_token);
    coord->head = event->head;
    while (coord->pending_first != NULL && coord->pending_first->token <= event->token) {
        struct pending *pending = coord->pending_first;
        coord->pending_first = pending->next;
        if (coord->pending_first == NULL) {
            coord->pending_last = NULL;
        }
        durable_one(coord, pending, ready);
        free(pending);
    }
}

static void timer_txn(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    char text[HEALTH_TEXT_SIZE];
    switch (txn->state) {
    case TXN_ACTIVE:
        submit_unqueue(coord, txn);
        snprintf(text, sizeof(text),
                 "the deadline of %" PRIu32 " ms passed while waiting for admission",
                 txn->timeout_ms);
        vote_abort(coord, txn, REASON_TIMEOUT, NO_PARTICIPANT, text, ready);
        return;
    case TXN_OPEN:
        interactive_timer(coord, txn, ready);
        return;
    case TXN_PREPARING:
        if (coord->now_ms < txn->deadline_ms) {
            interactive_repeat(coord, txn, ready);
            return;
        }
        for (size_t i = 0; i < txn->branch_count; i++) {
            const struct branch *branch = &txn->branches[i];
            if (branch->state == BRANCH_WORKING) {
                snprintf(text, sizeof(text),
                         "the deadline of %" PRIu32 " ms passed before participant %s had voted",
                         txn->timeout_ms, coord->participants[branch->participant]->name);
                vote_abort(coord, txn, REASON_TIMEOUT, branch->participant, text, ready);
                return;
            }
        }
        CHECK(!"with every vote in, a transaction is decided");
        return;
    case TXN_DECIDING:
        txn_answer(coord, txn, true, ready); /* unknown: ask again by key */
        txn_set_timer(coord, txn);
        return;
    case TXN_COMMITTING:
    case TXN_HEURISTIC:
    case TXN_ABORTING:
        if (txn->waiter_count > 0 && coord->now_ms >= txn->answer_by_ms) {
            txn_answer(coord, txn, true, ready); /* committed, not completed, pending says where */
        }
        if (coord->now_ms >= txn->retry_ms) {
            finish_drive(coord, txn, ready);
            finish_check(coord, txn, ready);
        } else {
            txn_set_timer(coord, txn);
        }
        return;
    case TXN_QUEUED:
    case TXN_COMMITTED:
    case TXN_ABORTED:
    case TXN_DEAD:
        CHECK(!"no timer runs in this state");
    }
}

/* Whatever is due, in order of time. Every transaction handled gets a later time or none, so this ends. */
static void timers_run(struct coord *coord, struct coord_ready *ready)
{
    for (;;) {
        struct heap_node *node = heap_first(&coord->timers);
        if (node == NULL || node->due_ms > coord->now_ms) {
            break;
        }
        timer_txn(coord, (struct txn *)node, ready);
    }
    for (;;) { /* each one handled gets a later time or none, too */
        struct heap_node *node = heap_first(&coord->requests.timers);
        if (node == NULL || node->due_ms > coord->now_ms) {
            break;
        }
        queue_timer(coord, (struct request *)node, ready);
    }
    if (coord->now_ms >= coord->next_heartbeat_ms) {
        coord->next_heartbeat_ms = coord->now_ms + coord->config.heartbeat_ms;
        peer_heartbeat(coord, ready);
    }
    if (coord->now_ms >= coord->next_trim_ms) {
        trim_step(coord, ready);
    }
}

static void drain_step(struct coord *coord, struct coord_ready *ready)
{
    coord->draining = true;
    coord->drain_deadline_ms = coord->now_ms + coord->config.drain_ms;
    while (coord->queue_first != NULL) { /* nothing of these was done yet */
        struct txn *txn = coord->queue_first;
        submit_unqueue(coord, txn);
        vote_abort(coord, txn, REASON_SHUTDOWN, NO_PARTICIPANT, "the coordinator is shutting down",
                   ready);
    }
    interactive_drain(coord, ready);
}

static bool drain_may_wait_for(const struct coord *coord, const struct txn *txn)
{
    for (size_t i = 0; i < txn->branch_count; i++) {
        const struct branch *branch = &txn->branches[i];
        if ((branch->state == BRANCH_COMMITTING || branch->state == BRANCH_ROLLING_BACK) &&
            coord->participants[branch->participant]->welcomed) {
            return true;
        }
    }
    return false;
}

/* Drained: everything is decided, and what can be reached has been finished or the time for it is over. */
static void drain_check(struct coord *coord, struct coord_ready *ready)
{
    if (!coord->draining || ready->stop != COORD_RUN) {
        return;
    }
    if (coord->now_ms >= coord->drain_deadline_ms) {
        coord->drain_overdue = true;
        coord->drain_deadline_ms = UINT64_MAX;
    }
    bool overdue = coord->drain_overdue;
    for (struct txn *txn = coord->newest; txn != NULL; txn = txn->older) {
        switch (txn->state) {
        case TXN_ACTIVE:
        case TXN_OPEN:
        case TXN_PREPARING:
        case TXN_DECIDING:
            if (overdue && txn->state == TXN_PREPARING) {
                vote_abort(coord, txn, REASON_SHUTDOWN, NO_PARTICIPANT,
                           "the coordinator is shutting down", ready);
                break;
            }
            return;
        case TXN_COMMITTING:
        case TXN_ABORTING:
            if (!overdue && drain_may_wait_for(coord, txn)) {
                return;
            }
            break;
        case TXN_QUEUED:
        case TXN_COMMITTED:
        case TXN_ABORTED:
        case TXN_DEAD:
        case TXN_HEURISTIC:
            break;
        }
    }
    if (coord->pending_first != NULL) {
        return; /* a forced record is on its way */
    }
    for (struct txn *txn = coord->newest; txn != NULL; txn = txn->older) {
        txn_answer(coord, txn, true, ready);
    }
    for (struct request *request = coord->requests.newest; request != NULL;
         request = request->older) {
        request_answer(coord, request, true, ready);
    }
    ready_stop(ready, COORD_STOP_DRAINED, "%s", "drained");
}

static void message_step(struct coord *coord, struct coord_event *event, struct coord_ready *ready)
{
    uint32_t from = 0;
    const struct participant *participant = peer_find(coord, event->participant, &from);
    if (participant == NULL || participant->session != event->session) {
        coord->counters.stale_messages++; /* of a session that is over (P-7) */
        return;
    }
    struct message *message = event->message;
    switch (message->kind) {
    case MESSAGE_WITNESS:
    case MESSAGE_WELCOME:
    case MESSAGE_FENCED:
    case MESSAGE_HEALTH:
        peer_step(coord, event, ready);
        return;
    case MESSAGE_AUDITED:
        if (participant->welcomed) {
            audit_found(coord, from, &message->as.audited, ready);
        }
        return;
    case MESSAGE_VOTE:
        if (participant->welcomed) {
            vote_step(coord, from, event->session, &message->as.vote, ready);
        }
        return;
    case MESSAGE_ANSWER:
        if (participant->welcomed) {
            interactive_answered(coord, from, event->session, &message->as.answer, ready);
        }
        return;
    case MESSAGE_ACK:
        if (participant->welcomed) {
            finish_ack(coord, from, &message->as.ack, &event->prior, ready);
        }
        return;
    case MESSAGE_INQUIRY:
        if (participant->welcomed &&
            strcmp(message->as.inquiry.gid.participant, participant->name) == 0) {
            inquiry_step(coord, event->session, &message->as.inquiry, &event->prior, ready);
        }
        return;
    case MESSAGE_CLAIM:
    case MESSAGE_WORK:
    case MESSAGE_COMMIT:
    case MESSAGE_ROLLBACK:
    case MESSAGE_VERDICT:
    case MESSAGE_HEAD:
    case MESSAGE_AUDIT:
    case MESSAGE_STATEMENT:
    case MESSAGE_PREPARE:
    case MESSAGE_VERIFY:
        coord->counters.stale_messages++; /* ours to say, not to hear */
        return;
    }
}

static void deadline_set(const struct coord *coord, struct coord_ready *ready)
{
    const struct heap_node *node = heap_first(&coord->timers);
    uint64_t due_ms = node == NULL ? UINT64_MAX : node->due_ms;
    const struct heap_node *request = heap_first(&coord->requests.timers);
    const uint64_t others[] = {coord->next_heartbeat_ms, coord->next_trim_ms,
                               coord->drain_deadline_ms,
                               request == NULL ? UINT64_MAX : request->due_ms};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (others[i] < due_ms) {
            due_ms = others[i];
        }
    }
    ready->deadline_ms = due_ms;
}

static void dispatch(struct coord *coord, struct coord_event *event, struct coord_ready *ready)
{
    switch (event->kind) {
    case COORD_EVENT_START:
        start_step(coord, event, ready);
        return;
    case COORD_EVENT_DURABLE:
        durable_step(coord, event, ready);
        return;
    case COORD_EVENT_SUBMIT:
        submit_step(coord, event, ready);
        return;
    case COORD_EVENT_RESOLVE:
        resolve_step(coord, event, ready);
        return;
    case COORD_EVENT_OPEN:
        interactive_open(coord, event, ready);
        return;
    case COORD_EVENT_STATEMENT:
        interactive_statement(coord, event, ready);
        return;
    case COORD_EVENT_CLOSE:
        interactive_close(coord, event, ready);
        return;
    case COORD_EVENT_EXTERNAL:
        external_ask(coord, event, ready);
        return;
    case COORD_EVENT_REQUEST_ACT:
        dead_act(coord, event, ready);
        return;
    case COORD_EVENT_PEER_UP:
    case COORD_EVENT_PEER_DOWN:
    case COORD_EVENT_PARTICIPANT_ADD:
    case COORD_EVENT_PARTICIPANT_REMOVE:
        peer_step(coord, event, ready);
        return;
    case COORD_EVENT_MESSAGE:
        message_step(coord, event, ready);
        return;
    case COORD_EVENT_TIMER:
        return; /* time passes with every event */
    case COORD_EVENT_SPACE:
        if (coord->space_ok != event->space_ok) {
            coord->space_ok = event->space_ok;
            ready_notice(ready, event->space_ok ? COORD_NOTICE_SPACE_BACK : COORD_NOTICE_DEGRADED,
                         NULL, NULL, "%s", "the journal's disk");
        }
        return;
    case COORD_EVENT_TRIMMED:
        coord->head = event->head;
        coord_raise_floor(coord, &event->floor);
        if (event->more) { /* slice by slice, so that decisions wait for one slice at most */
            trim_step(coord, ready);
        }
        return;
    case COORD_EVENT_FENCED:
        ready_stop(ready, COORD_STOP_FENCED, "%s",
                   "another coordinator has written to the journal");
        return;
    case COORD_EVENT_RETAINED:
        audit_page(coord, event, ready);
        return;
    case COORD_EVENT_DRAIN:
        if (!coord->draining) {
            drain_step(coord, ready);
        }
        return;
    }
}

void coord_step(struct coord *coord, struct coord_event *event, struct coord_ready *ready)
{
    CHECK(event->now_ms >= coord->now_ms);
    coord->now_ms = event->now_ms;
    coord->wall_ms = event->wall_ms;
    coord->random = event->random;
    txn_forget_changes(coord);
    request_forget_changes(coord);
    coord_raise_floor(coord, &event->prior.floor);
    dispatch(coord, event, ready);
    timers_run(coord, ready);
    queue_admit(coord, ready);
    submit_admit(coord, ready);
    drain_check(coord, ready);
    deadline_set(coord, ready);
}

bool coord_wants_key(const struct coord *coord, const struct coord_event *event)
{
    return event->kind == COORD_EVENT_SUBMIT && event->submission->key_bytes > 0 &&
           txn_find_key(coord, event->submission->key, event->submission->key_bytes) == NULL &&
           request_find_key(coord, event->submission->key, event->submission->key_bytes) == NULL;
}

bool coord_wants_gtrid(const struct coord *coord, const struct coord_event *event,
                       struct gtrid *ret_gtrid)
{
    const struct gtrid *gtrid = NULL;
    if (event->kind == COORD_EVENT_MESSAGE && event->message->kind == MESSAGE_INQUIRY) {
        gtrid = &event->message->as.inquiry.gid.gtrid;
    } else if (event->kind == COORD_EVENT_MESSAGE && event->message->kind == MESSAGE_ACK) {
        gtrid = &event->message->as.ack.gid.gtrid;
    } else if (event->kind == COORD_EVENT_RESOLVE) {
        gtrid = &event->resolve->gtrid;
    } else if (event->kind == COORD_EVENT_REQUEST_ACT &&
               request_find(coord, &event->act->id) == NULL) {
        gtrid = &event->act->id;
    } else if (event->kind == COORD_EVENT_STATEMENT) {
        gtrid = &event->statement->gtrid;
    } else if (event->kind == COORD_EVENT_CLOSE) {
        gtrid = &event->end->gtrid;
    } else if (event->kind == COORD_EVENT_EXTERNAL) {
        gtrid = &event->external->gtrid;
    }
    if (gtrid == NULL || txn_find(coord, gtrid) != NULL) {
        return false;
    }
    *ret_gtrid = *gtrid;
    return true;
}

bool coord_wants_hash(const struct coord *coord, const struct coord_event *event,
                      uint64_t *ret_number)
{
    (void)coord;
    if (event->kind != COORD_EVENT_MESSAGE || event->message->kind != MESSAGE_WITNESS ||
        event->message->as.witness.head.number == 0) {
        return false;
    }
    *ret_number = event->message->as.witness.head.number;
    return true;
}

bool coord_wants_newest(const struct coord *coord, const struct coord_event *event)
{
    if (event->kind != COORD_EVENT_MESSAGE || event->message->kind != MESSAGE_WELCOME) {
        return false;
    }
    const struct participant *participant = peer_find(coord, event->participant, NULL);
    return participant != NULL && !participant->has_known;
}

void coord_counters_read(const struct coord *coord, struct coord_counters *ret_counters)
{
    struct coord_counters *counters = ret_counters;
    *counters = coord->counters;
    counters->live = coord->live_count;
    counters->active = coord->active_count;
    counters->open = coord->open_count;
    counters->queued = coord->queued_count;
    counters->recent = coord->recent_count;
    counters->in_doubt = 0;
    counters->requests_dead = coord->requests.dead_count;
    counters->requests_waiting = coord->requests.live_count - coord->requests.dead_count;
    counters->requests_bytes = coord->requests.held_bytes;
    counters->oldest_request_ms = request_oldest_ms(coord);
    for (size_t i = 0; i < coord->participant_count; i++) {
        counters->in_doubt += coord->participants[i]->in_doubt;
    }
    counters->epoch = coord->epoch;
    counters->head = coord->head;
    counters->floor = coord->floor;
    counters->running = coord->running;
    counters->reconciled = coord->reconciled;
    counters->draining = coord->draining;
    counters->degraded = !coord->space_ok;
}
