/* core_resolve.c - what a person decides about a branch. A decision of the journal is never overturned here;
 * `forget` acknowledges a heuristic outcome and never drops unfinished work (P-5). */
#include <stdio.h>
#include <string.h>

#include "common/alloc.h"
#include "coordinator/core_internal.h"

static void resolve_conflict(uint64_t call, const char *text, struct coord_ready *ready)
{
    struct api_answer *answer = ready_answer(ready, call, API_CONFLICT);
    snprintf(answer->text, sizeof(answer->text), "%s", text);
}

static bool branch_is_heuristic(const struct branch *branch)
{
    return branch->state == BRANCH_HEURISTIC_COMMIT || branch->state == BRANCH_HEURISTIC_ROLLBACK ||
           branch->state == BRANCH_HAZARD;
}

/* P-4: nobody is told that it will commit before that is durable. */
static const char is_being_decided[] =
    "the decision to commit is being written to the journal; look at the transaction again";

/* Why this can not be done, or NULL if it can. */
static const char *resolve_objection(const struct txn *txn, const struct branch *branch,
                                     enum resolve_action action)
{
    bool heuristic = branch_is_heuristic(branch);
    switch (action) {
    case RESOLVE_FORGET:
        return heuristic ? NULL
                         : "forget acknowledges a heuristic outcome; this branch has none, and "
                           "unfinished work is never dropped";
    case RESOLVE_COMMIT:
        if (!txn->decided_commit) {
            return "the transaction is not decided commit; a branch of it can not be committed";
        }
        if (txn->state == TXN_DECIDING) {
            return is_being_decided;
        }
        return (heuristic || branch->state == BRANCH_COMMITTING) ? NULL
                                                                 : "the branch is finished already";
    case RESOLVE_ROLLBACK:
        if (txn->state == TXN_DECIDING) {
            return is_being_decided;
        }
        if (txn->decided_commit) {
            return heuristic
                       ? "the transaction is decided commit; acknowledge the branch's outcome "
                         "with forget, or drive it again with commit"
                       : "the transaction is decided commit; it will commit";
        }
        return (txn->state == TXN_ACTIVE || txn_is_at_work(txn) || txn->state == TXN_ABORTING)
                   ? NULL
                   : "the branch is finished already";
    }
    return "no such action";
}

static void resolve_append(struct coord *coord, const struct coord_event *event,
                           struct coord_ready *ready)
{
    const struct api_resolve *resolve = event->resolve;
    uint64_t token = 0;
    struct record *record = ready_append(coord, ready, RECORD_RESOLVED, true, &token);
    struct record_resolved *resolved = &record->as.resolved;
    resolved->gtrid = resolve->gtrid;
    resolved->action = resolve->action;
    resolved->wall_ms = coord->wall_ms;
    memcpy(resolved->participant, resolve->participant, sizeof(resolved->participant));
    memcpy(resolved->comment, resolve->comment, sizeof(resolved->comment));
    struct pending like = {.call = event->call, .resolve = *resolve};
    pending_add(coord, PENDING_RESOLVED, token, &resolve->gtrid, &like);
}

bool coord_is_unjudged(const struct coord *coord, const struct txn *txn, const struct gtrid *gtrid)
{
    return (txn == NULL || txn_is_a_note(txn)) && coord_presume(coord, gtrid) == VERDICT_UNKNOWN;
}

/* A branch that an agent holds and this journal can not judge: a person may. */
static void resolve_unknown(struct coord *coord, const struct coord_event *event,
                            struct coord_ready *ready)
{
    const struct api_resolve *resolve = event->resolve;
    const struct gtrid *gtrid = &resolve->gtrid;
    /* What this process has not given out yet it may still give out: the word would wait for it. */
    bool is_to_come = gtrid->epoch == coord->epoch && gtrid->epoch_nonce == coord->epoch_nonce &&
                      gtrid->sequence > coord->next_sequence;
    if (is_to_come || !journal_id_equal(&gtrid->journal, &coord->config.journal) ||
        coord_presume(coord, gtrid) != VERDICT_UNKNOWN) {
        ready_answer(ready, event->call, API_NOT_FOUND);
        return;
    }
    if (resolve->action == RESOLVE_FORGET) {
        resolve_conflict(event->call, "nothing is known of this transaction to forget", ready);
        return;
    }
    resolve_append(coord, event, ready);
}

void resolve_step(struct coord *coord, struct coord_event *event, struct coord_ready *ready)
{
    const struct api_resolve *resolve = event->resolve;
    if (!coord->running) {
        resolve_conflict(event->call, "the coordinator is starting", ready);
        return;
    }
    if (peer_find(coord, resolve->participant, NULL) == NULL) { /* never into a record */
        struct api_answer *answer = ready_answer(ready, event->call, API_UNKNOWN_PARTICIPANT);
        memcpy(answer->participant, resolve->participant, sizeof(answer->participant));
        return;
    }
    struct txn *txn = txn_find(coord, &resolve->gtrid);
    if (request_find(coord, &resolve->gtrid) != NULL) { /* its runs have branches, it has none */
        resolve_conflict(event->call, "the accepted request has no run at the moment", ready);
        return;
    }
    if (txn == NULL) {
        if (event->prior.found) {
            resolve_conflict(event->call, "the transaction is finished in every branch", ready);
        } else {
            resolve_unknown(coord, event, ready);
        }
        return;
    }
    if (resolve->action != RESOLVE_FORGET && coord_is_unjudged(coord, txn, &resolve->gtrid)) {
        resolve_append(coord, event, ready);
        return;
    }
    struct branch *branch = txn_branch(coord, txn, resolve->participant);
    if (branch == NULL) {
        resolve_conflict(event->call, "the transaction has no branch at that participant", ready);
        return;
    }
    const char *objection = txn->end_written ? "the transaction is finished in every branch"
                                             : resolve_objection(txn, branch, resolve->action);
    if (objection != NULL) {
        resolve_conflict(event->call, objection, ready);
        return;
    }
    resolve_append(coord, event, ready);
}

static struct forced_verdict *forced_find(const struct coord *coord, const struct gtrid *gtrid,
                                          const char *participant)
{
    for (size_t i = 0; i < coord->forced_count; i++) {
        if (gtrid_equal(&coord->forced[i].gtrid, gtrid) &&
            strcmp(coord->forced[i].participant, participant) == 0) {
            return &coord->forced[i];
        }
    }
    return NULL;
}

enum verdict resolve_forced(const struct coord *coord, const struct gid *gid)
{
    const struct forced_verdict *forced = forced_find(coord, &gid->gtrid, gid->participant);
    return forced == NULL ? VERDICT_UNKNOWN : forced->verdict;
}

/* A person's last word counts, here and after a restart. */
void resolve_force(struct coord *coord, const struct gtrid *gtrid, const char *participant,
                   enum resolve_action action)
{
    struct forced_verdict *forced = forced_find(coord, gtrid, participant);
    if (forced == NULL) {
        coord->forced =
            alloc_resize(coord->forced, coord->forced_count + 1, sizeof(coord->forced[0]));
        forced = &coord->forced[coord->forced_count++];
        *forced = (struct forced_verdict){.gtrid = *gtrid};
        snprintf(forced->participant, sizeof(forced->participant), "%s", participant);
    }
    forced->verdict = action == RESOLVE_COMMIT ? VERDICT_COMMIT : VERDICT_ABORT;
}

static void resolve_apply(struct coord *coord, struct txn *txn, struct branch *branch,
                          const struct api_resolve *resolve, struct coord_ready *ready)
{
    txn_note(coord, txn, "resolved", branch->participant, resolve->comment);
    switch (resolve->action) {
    case RESOLVE_FORGET:
        if (branch_is_heuristic(branch)) {
            branch_move(coord, branch, BRANCH_FORGOTTEN);
            finish_check(coord, txn, ready);
        }
        return;
    case RESOLVE_COMMIT:
        if (branch_is_heuristic(branch)) {
            branch_move(coord, branch, BRANCH_COMMITTING);
        }
        if (branch->state == BRANCH_COMMITTING) {
            txn->retry_step_ms = coord->config.retry_min_ms;
            finish_drive(coord, txn, ready);
        }
        return;
    case RESOLVE_ROLLBACK:
        if (txn->state == TXN_ACTIVE) {
            submit_unqueue(coord, txn);
        }
        if (txn->state == TXN_ACTIVE || txn_is_at_work(txn)) {
            vote_abort(coord, txn, REASON_ROLLED_BACK_BY_CLIENT, NO_PARTICIPANT,
                       "an operator rolled it back", ready);
        } else if (txn->state == TXN_ABORTING) {
            finish_drive(coord, txn, ready);
        }
        return;
    }
}

void resolve_durable(struct coord *coord, const struct pending *pending, struct coord_ready *ready)
{
    const struct api_resolve *resolve = &pending->resolve;
    coord->counters.resolved++;
    ready_notice(ready, COORD_NOTICE_RESOLVED, &resolve->gtrid, resolve->participant, "%.200s",
                 resolve->comment);
    struct txn *txn = txn_find(coord, &resolve->gtrid);
    struct branch *branch = txn == NULL ? NULL : txn_branch(coord, txn, resolve->participant);
    if (resolve->action != RESOLVE_FORGET && coord_is_unjudged(coord, txn, &resolve->gtrid)) {
        resolve_force(coord, &resolve->gtrid, resolve->participant, resolve->action);
        ready_answer(ready, pending->call, API_OK);
        return;
    }
    if (branch == NULL) {
        resolve_conflict(pending->call, "the transaction was finished meanwhile", ready);
        return;
    }
    if (resolve->action == RESOLVE_ROLLBACK && txn->decided_commit) {
        /* The last vote came while the record was being written: the decision stands (P-2), and is told so. */
        resolve_conflict(pending->call,
                         txn->state == TXN_DECIDING
                             ? is_being_decided
                             : "the transaction was decided commit meanwhile; it will commit",
                         ready);
        return;
    }
    if (resolve->action == RESOLVE_COMMIT && !txn->decided_commit) {
        resolve_conflict(pending->call, "the transaction is not decided commit", ready);
        return;
    }
    if (!txn->end_written) {
        resolve_apply(coord, txn, branch, resolve, ready);
    }
    struct api_answer *answer = ready_answer(ready, pending->call, API_OK);
    answer->views = alloc_zeroed(sizeof(answer->views[0]));
    answer->view_count = coord_view(coord, &resolve->gtrid, false, &answer->views[0]) ? 1 : 0;
}
