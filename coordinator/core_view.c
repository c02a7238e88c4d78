/* core_view.c - copies of what the core knows, for the outside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

static bool branch_in_doubt(const struct branch *branch)
{
    return branch->state == BRANCH_PREPARED || branch->state == BRANCH_COMMITTING ||
           branch->state == BRANCH_HAZARD ||
           (branch->state == BRANCH_ROLLING_BACK && branch->has_gid);
}

/* P-4: that it was decided is told when that is durable. */
static bool event_is_told(const struct txn *txn, const struct txn_event *event)
{
    return txn->state != TXN_DECIDING || strcmp(event->kind, "decided-commit") != 0;
}

static void view_events(const struct coord *coord, const struct txn *txn, struct txn_view *view)
{
    view->events = alloc_array(txn->event_count, sizeof(view->events[0]));
    for (size_t i = 0; i < txn->event_count; i++) {
        const struct txn_event *event = &txn->events[i];
        if (!event_is_told(txn, event)) {
            continue;
        }
        struct txn_event_view *to = &view->events[view->event_count++];
        to->wall_ms = event->wall_ms;
        to->since_start_us = txn->recovered ? 0 : (event->now_ms - txn->created_ms) * 1000;
        to->kind = event->kind;
        if (event->participant != NO_PARTICIPANT) {
            snprintf(to->participant, sizeof(to->participant), "%s",
                     coord->participants[event->participant]->name);
        }
        snprintf(to->detail, sizeof(to->detail), "%s", event->detail == NULL ? "" : event->detail);
    }
}

void txn_view_fill(const struct coord *coord, const struct txn *txn, bool want_events,
                   struct txn_view *ret_view)
{
    struct txn_view *view = ret_view;
    memset(view, 0, sizeof(*view));
    view->gtrid = txn->gtrid;
    view->state = txn->state;
    view->order = txn->order;
    view->key_bytes = txn->key_bytes;
    if (txn->key_bytes > 0) {
        memcpy(view->key, txn->key, txn->key_bytes);
    }
    view->completed = txn_completed(txn);
    view->acknowledged = txn->state == TXN_HEURISTIC && txn->end_written;
    view->created_wall_ms = txn->created_wall_ms;
    view->decided_wall_ms = txn->state == TXN_DECIDING ? 0 : txn->decided_wall_ms; /* P-4 */
    view->ended_wall_ms = txn->ended_wall_ms;
    failure_copy(&txn->failure, &view->failure);
    snprintf(view->failure_text, sizeof(view->failure_text), "%s", txn->failure_text);
    if (txn->failed_participant != NO_PARTICIPANT) {
        snprintf(view->failed_participant, sizeof(view->failed_participant), "%s",
                 coord->participants[txn->failed_participant]->name);
    }
    view->branches = alloc_array(txn->branch_count, sizeof(view->branches[0]));
    view->branch_count = txn->branch_count;
    for (size_t i = 0; i < txn->branch_count; i++) {
        const struct branch *branch = &txn->branches[i];
        struct branch_view *to = &view->branches[i];
        snprintf(to->participant, sizeof(to->participant), "%s",
                 coord->participants[branch->participant]->name);
        to->state = branch->state;
        to->has_gid = branch->has_gid;
        to->gid = branch->gid;
        to->results = blob_share(branch->results);
        snprintf(to->detail, sizeof(to->detail), "%s",
                 branch->detail == NULL ? "" : branch->detail);
        view->in_doubt = view->in_doubt || branch_in_doubt(branch);
    }
    if (txn->has_request) {
        view->is_run = true;
        view->request.run = txn->request_id;
    }
    if (want_events) {
        view_events(coord, txn, view);
    }
}

bool coord_view(const struct coord *coord, const struct gtrid *gtrid, bool want_events,
                struct txn_view *ret_view)
{
    const struct request *request = request_find(coord, gtrid);
    if (request != NULL && request_is_visible(request)) {
        request_view_fill(coord, request, want_events, ret_view);
        return true;
    }
    const struct txn *txn = txn_find(coord, gtrid);
    if (txn == NULL) {
        return false;
    }
    txn_view_fill(coord, txn, want_events, ret_view);
    return true;
}

bool coord_view_by_key(const struct coord *coord, const char *key, size_t key_bytes,
                       bool want_events, struct txn_view *ret_view)
{
    const struct request *request = request_find_key(coord, key, key_bytes);
    if (request != NULL && request_is_visible(request)) {
        request_view_fill(coord, request, want_events, ret_view);
        return true;
    }
    const struct txn *txn = txn_find_key(coord, key, key_bytes);
    if (txn == NULL) {
        return false;
    }
    txn_view_fill(coord, txn, want_events, ret_view);
    return true;
}

static bool list_matches(const struct coord *coord, const struct txn *txn,
                         const struct api_list *list)
{
    bool in_doubt = false;
    bool at_participant = list->participant[0] == '\0';
    for (size_t i = 0; i < txn->branch_count; i++) {
        const struct branch *branch = &txn->branches[i];
        bool here = list->participant[0] == '\0' ||
                    strcmp(coord->participants[branch->participant]->name, list->participant) == 0;
        at_participant = at_participant || here;
        in_doubt = in_doubt || (here && branch_in_doubt(branch));
    }
    if (!at_participant) {
        return false;
    }
    if (list->in_doubt && !in_doubt) {
        return false;
    }
    if (!list->in_doubt && !list->any_state && txn_state_shown(txn->state) != list->state) {
        return false;
    }
    return list->key_bytes == 0 ||
           (txn->key_bytes == list->key_bytes && memcmp(txn->key, list->key, list->key_bytes) == 0);
}

/* What a request is shown as; whether it is in doubt is its run's matter. */
static bool list_takes_request(const struct coord *coord, const struct request *request,
                               const struct api_list *list, struct txn_view *ret_view)
{
    if (!request_is_visible(request) ||
        (list->in_doubt && (request->run == NULL || !list_matches(coord, request->run, list)))) {
        return false;
    }
    struct txn_view view;
    request_view_fill(coord, request, false, &view);
    bool at_participant = list->participant[0] == '\0';
    for (size_t i = 0; i < view.branch_count && !at_participant; i++) {
        at_participant = strcmp(view.branches[i].participant, list->participant) == 0;
    }
    bool in_state = list->any_state || list->in_doubt || txn_state_shown(view.state) == list->state;
    bool has_key = list->key_bytes == 0 || (view.key_bytes == list->key_bytes &&
                                            memcmp(view.key, list->key, list->key_bytes) == 0);
    if (at_participant && in_state && has_key) {
        *ret_view = view;
        return true;
    }
    txn_view_done(&view);
    return false;
}

/* A run is shown as its request; alone only where an aborted one has left something in doubt, or was committed by hand (H1). */
static bool list_takes_txn(const struct coord *coord, const struct txn *txn,
                           const struct api_list *list)
{
    bool is_past = txn->state != TXN_HEURISTIC && !list->in_doubt;
    if (txn->has_request && (txn->request != NULL || is_past)) {
        return false;
    }
    return list_matches(coord, txn, list);
}

/* A dropped one has neither branches nor a key any more: its record names none, and the key is free. */
static bool list_takes_dropped(const struct api_list *list)
{
    return !list->in_doubt && (list->any_state || list->state == TXN_ABORTED) &&
           list->participant[0] == '\0' && list->key_bytes == 0;
}

static const struct dropped *dropped_find(const struct coord *coord, const struct gtrid *id)
{
    const struct dropped *dropped = coord->requests.dropped_newest;
    while (dropped != NULL && !gtrid_equal(&dropped->record.gtrid, id)) {
        dropped = dropped->older;
    }
    return dropped;
}

/* Where a list has come to. All three go by `order`, newest first. */
struct list_walk {
    const struct txn *txn;
    const struct request *request;
    const struct dropped *dropped;
};

/* False: it is not in memory. */
static bool list_order(const struct coord *coord, const struct gtrid *id, uint64_t *ret_order)
{
    const struct request *request = request_find(coord, id);
    if (request != NULL) {
        *ret_order = request->order;
        return true;
    }
    const struct txn *txn = txn_find(coord, id);
    if (txn != NULL) {
        *ret_order = txn->order;
        return true;
    }
    const struct dropped *dropped = dropped_find(coord, id);
    if (dropped != NULL) {
        *ret_order = dropped->order;
        return true;
    }
    return false;
}

bool coord_lists(const struct coord *coord, const struct gtrid *gtrid)
{
    uint64_t order = 0;
    return list_order(coord, gtrid, &order);
}

/* False: `after` is not in memory. */
static bool list_begin(const struct coord *coord, const struct api_list *list,
                       struct list_walk *ret_walk)
{
    struct list_walk walk = {.txn = coord->newest,
                             .request = coord->requests.newest,
                             .dropped =
                                 list_takes_dropped(list) ? coord->requests.dropped_newest : NULL};
    uint64_t order = UINT64_MAX;
    if (list->has_after && !list_order(coord, &list->after, &order)) {
        return false;
    }
    while (walk.txn != NULL && walk.txn->order >= order) {
        walk.txn = walk.txn->older;
    }
    while (walk.request != NULL && walk.request->order >= order) {
        walk.request = walk.request->older;
    }
    while (walk.dropped != NULL && walk.dropped->order >= order) {
        walk.dropped = walk.dropped->older;
    }
    *ret_walk = walk;
    return true;
}

/* One step; true if it gave a view. The newest of the three goes first, a request before a run of the same order. */
static bool list_step(const struct coord *coord, const struct api_list *list,
                      struct list_walk *walk, struct txn_view *ret_view)
{
    const struct request *request = walk->request;
    uint64_t txn_order = walk->txn == NULL ? 0 : walk->txn->order;
    bool request_first = request != NULL && request->order >= txn_order;
    uint64_t order = request_first ? request->order : txn_order;
    if (walk->dropped != NULL && walk->dropped->order >= order) {
        coord_view_dropped(&walk->dropped->record, false, ret_view);
        ret_view->order = walk->dropped->order;
        walk->dropped = walk->dropped->older;
        return true;
    }
    if (request_first) {
        walk->request = request->older;
        return list_takes_request(coord, request, list, ret_view);
    }
    const struct txn *txn = walk->txn;
    CHECK(txn != NULL); /* the caller sees to it that one of the three is there */
    walk->txn = txn->older;
    if (!list_takes_txn(coord, txn, list)) {
        return false;
    }
    txn_view_fill(coord, txn, false, ret_view);
    return true;
}

size_t coord_list(const struct coord *coord, const struct api_list *list,
                  struct txn_view **ret_views)
{
    struct txn_view *views = alloc_array(list->limit, sizeof(views[0]));
    size_t count = 0;
    struct list_walk walk;
    *ret_views = views;
    if (!list_begin(coord, list, &walk)) {
        return 0;
    }
    while ((walk.txn != NULL || walk.request != NULL || walk.dropped != NULL) &&
           count < list->limit) {
        count += list_step(coord, list, &walk, &views[count]);
    }
    return count;
}

static void entry_event(struct txn_view *view, uint64_t wall_ms, const char *kind,
                        const char *participant, const char *detail)
{
    struct txn_event_view *event = &view->events[view->event_count++];
    event->wall_ms = wall_ms;
    event->kind = kind;
    snprintf(event->participant, sizeof(event->participant), "%s", participant);
    snprintf(event->detail, sizeof(event->detail), "%s", detail);
}

static struct branch_view *entry_branch(struct txn_view *view, const char *participant)
{
    for (size_t i = 0; i < view->branch_count; i++) {
        if (strcmp(view->branches[i].participant, participant) == 0) {
            return &view->branches[i];
        }
    }
    return NULL;
}

/* Heuristic outcomes and what people said of them, in order. */
static void entry_notes(const struct journal_entry *entry, struct txn_view *view)
{
    for (size_t i = 0; i < entry->note_count; i++) {
        const struct record *note = &entry->notes[i];
        if (note->kind == RECORD_HEURISTIC) {
            const struct record_heuristic *heuristic = &note->as.heuristic;
            struct branch_view *branch = entry_branch(view, heuristic->gid.participant);
            view->state = TXN_HEURISTIC;
            view->completed = false;
            if (branch != NULL) {
                branch->state = heuristic->ack == ACK_HAZARD ? BRANCH_HAZARD
                                : heuristic->ack == ACK_HEURISTIC_COMMIT
                                    ? BRANCH_HEURISTIC_COMMIT
                                    : BRANCH_HEURISTIC_ROLLBACK;
                snprintf(branch->detail, sizeof(branch->detail), "%s", heuristic->detail);
                if (view->events != NULL) {
                    entry_event(view, heuristic->wall_ms, branch_state_text(branch->state),
                                branch->participant, heuristic->detail);
                }
            }
        } else if (note->kind == RECORD_RESOLVED) {
            const struct record_resolved *resolved = &note->as.resolved;
            struct branch_view *branch = entry_branch(view, resolved->participant);
            if (branch != NULL && resolved->action == RESOLVE_FORGET) {
                branch->state = BRANCH_FORGOTTEN;
                view->acknowledged = entry->ended;
            }
            if (view->events != NULL) {
                entry_event(view, resolved->wall_ms, "resolved", resolved->participant,
                            resolved->comment);
            }
        }
    }
}

void coord_view_entry(const struct journal_entry *entry, bool want_events,
                      struct txn_view *ret_view)
{
    const struct record_commit *commit = &entry->commit.as.commit;
    struct txn_view *view = ret_view;
    memset(view, 0, sizeof(*view));
    view->gtrid = commit->gtrid;
    if (commit->has_request) {
        const struct record_request *request = &commit->request;
        view->gtrid = request->id;
        view->created_wall_ms = request->accepted_wall_ms;
        view->request.is_request = true;
        view->request.attempts = request->attempts;
        view->request.has_run = true;
        view->request.run = commit->gtrid;
        memcpy(view->request.queue, request->queue, sizeof(view->request.queue));
    }
    view->state = entry->ended ? TXN_COMMITTED : TXN_COMMITTING;
    view->completed = entry->ended;
    view->in_doubt = !entry->ended;
    view->key_bytes = commit->key_bytes;
    memcpy(view->key, commit->key, commit->key_bytes);
    view->decided_wall_ms = commit->wall_ms;
    view->ended_wall_ms = entry->end_wall_ms;
    view->branches = alloc_array(commit->branch_count, sizeof(view->branches[0]));
    view->branch_count = commit->branch_count;
    for (size_t i = 0; i < commit->branch_count; i++) {
        const struct record_branch *from = &commit->branches[i];
        struct branch_view *to = &view->branches[i];
        snprintf(to->participant, sizeof(to->participant), "%s", from->gid.participant);
        to->state = from->read_only ? BRANCH_READ_ONLY
                    : entry->ended  ? BRANCH_COMMITTED
                                    : BRANCH_COMMITTING;
        to->has_gid = !from->read_only;
        to->gid = from->gid;
        to->results = blob_share(from->results);
    }
    if (want_events) {
        view->events = alloc_array(entry->note_count + 2, sizeof(view->events[0]));
        entry_event(view, commit->wall_ms, "decided-commit", "", "");
    }
    entry_notes(entry, view);
    if (want_events && entry->ended) {
        entry_event(view, entry->end_wall_ms, "ended", "", "");
    }
}

void coord_view_dropped(const struct record_dropped *dropped, bool want_events,
                        struct txn_view *ret_view)
{
    struct txn_view *view = ret_view;
    memset(view, 0, sizeof(*view));
    view->gtrid = dropped->gtrid;
    view->state = TXN_ABORTED;
    view->decided_wall_ms = dropped->wall_ms;
    view->ended_wall_ms = dropped->wall_ms;
    view->failure.reason = REASON_ROLLED_BACK_BY_CLIENT;
    snprintf(view->failure_text, sizeof(view->failure_text), "an operator dropped it: %.200s",
             dropped->comment);
    view->request.is_request = true;
    view->request.attempts = dropped->attempts;
    memcpy(view->request.queue, dropped->queue, sizeof(view->request.queue));
    if (want_events) {
        view->events = alloc_array(1, sizeof(view->events[0]));
        entry_event(view, dropped->wall_ms, "dropped", "", dropped->comment);
    }
}

bool coord_run_of(const struct coord *coord, const struct gtrid *id, struct gtrid *ret_run)
{
    const struct request *request = request_find(coord, id);
    if (request == NULL || request->run == NULL) {
        return false;
    }
    *ret_run = request->run->gtrid;
    return true;
}

size_t coord_queues(const struct coord *coord, struct queue_view **ret_views,
                    struct queue_view *ret_unqueued)
{
    const struct requests *requests = &coord->requests;
    struct queue_view *views = alloc_array(requests->by_queue.count + 1, sizeof(struct queue_view));
    size_t count = 0;
    for (const struct queue *queue = requests->queue_first; queue != NULL; queue = queue->next) {
        if (queue->length + queue->dead == 0) {
            continue; /* known for requests that have committed */
        }
        struct queue_view *to = &views[count++];
        memcpy(to->name, queue->name, sizeof(to->name));
        to->length = queue->length;
        to->dead = queue->dead;
        if (queue->first != NULL && request_is_visible(queue->first)) {
            struct txn_view head;
            request_view_fill(coord, queue->first, false, &head);
            to->has_head = true;
            to->head = head.gtrid;
            to->head_state = head.state;
            to->head_info = head.request;
            txn_view_done(&head);
        }
    }
    *ret_views = views;
    *ret_unqueued =
        (struct queue_view){.length = requests->unqueued_length, .dead = requests->unqueued_dead};
    return count;
}

size_t coord_participants(const struct coord *coord, struct participant_view **ret_views)
{
    struct participant_view *views =
        alloc_array(coord->participant_count, sizeof(struct participant_view));
    size_t count = 0;
    for (size_t i = 0; i < coord->participant_count; i++) {
        const struct participant *from = coord->participants[i];
        if (!from->configured && !from->must_report && from->in_doubt == 0) {
            continue;
        }
        struct participant_view *to = &views[count++];
        memcpy(to->name, from->name, sizeof(to->name));
        memcpy(to->address, from->address, sizeof(to->address));
        memcpy(to->version, from->version, sizeof(to->version));
        memcpy(to->text, from->text, sizeof(to->text));
        to->link_up = from->session != 0;
        to->ready = peer_ready(from);
        to->health = from->health;
        to->identity = from->identity;
        to->prepared_count = from->prepared_count;
        to->foreign_count = from->foreign_count;
        to->misplaced_count = from->misplaced_count;
        to->oldest_prepared_ms = from->oldest_prepared_ms;
        to->swept_number = from->swept_number;
        to->in_doubt = from->in_doubt;
        to->open = from->open;
        to->votes_yes = from->votes_yes;
        to->votes_no = from->votes_no;
        to->heuristics = from->heuristics;
    }
    *ret_views = views;
    return count;
}
