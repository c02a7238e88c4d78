/* core_view.c - copies of what the core knows, for the outside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
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
    if (want_events) {
        view_events(coord, txn, view);
    }
}

bool coord_view(const struct coord *coord, const struct gtrid *gtrid, bool want_events,
                struct txn_view *ret_view)
{
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

size_t coord_list(const struct coord *coord, const struct api_list *list,
                  struct txn_view **ret_views)
{
    struct txn_view *views = alloc_array(list->limit, sizeof(views[0]));
    size_t count = 0;
    const struct txn *txn = coord->newest;
    if (list->has_after) {
        txn = txn_find(coord, &list->after);
        txn = txn == NULL ? NULL : txn->older;
    }
    for (; txn != NULL && count < list->limit; txn = txn->older) {
        if (list_matches(coord, txn, list)) {
            txn_view_fill(coord, txn, false, &views[count++]);
        }
    }
    *ret_views = views;
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
