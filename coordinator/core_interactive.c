/* core_interactive.c - a transaction statement by statement, but for the statements (core_statement.c): OPEN and CLOSE from the
 * client, its time, and what is sent again (P-22, docs/adr/0014).
 *
 * What is not answered is sent again, and the agent replays its answer. With the client's commit the list is closed: PREPARE
 * names each branch's count, and from there on all is as for a submission.
 *
 * What if we die? Nothing is written before the decision, so an open transaction is one that never was (P-1). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_interactive.h"

/* ---- answers ---- */

struct api_answer *interactive_answer_view(struct coord *coord, const struct txn *txn,
                                           uint64_t call, enum api_status status,
                                           struct coord_ready *ready)
{
    struct api_answer *answer = ready_answer(ready, call, status);
    answer->reason = txn->failure.reason;
    answer->views = alloc_zeroed(sizeof(answer->views[0]));
    answer->view_count = 1;
    txn_view_fill(coord, txn, false, &answer->views[0]);
    return answer;
}

static void answer_text(struct api_answer *answer, const char *text)
{
    snprintf(answer->text, sizeof(answer->text), "%s", text);
}

void interactive_answer_conflict(struct coord_ready *ready, uint64_t call, const char *text)
{
    answer_text(ready_answer(ready, call, API_CONFLICT), text);
}

void interactive_answer_refused(struct coord *coord, uint64_t call, enum reason reason,
                                const char *participant, const char *text,
                                struct coord_ready *ready)
{
    struct api_answer *answer = ready_answer(ready, call, API_REFUSED);
    answer->reason = reason;
    answer->retry_after_s = 1;
    answer_text(answer, text);
    snprintf(answer->participant, sizeof(answer->participant), "%s",
             participant == NULL ? "" : participant);
    coord->counters.refused[reason]++;
}

/* ---- time ---- */

void interactive_idle_later(const struct coord *coord, struct txn *txn)
{
    txn->interactive->idle_by_ms = coord->now_ms + coord->config.interactive_idle_ms;
}

void interactive_retry_later(struct coord *coord, struct txn *txn)
{
    txn->retry_ms =
        coord->now_ms + txn->retry_step_ms + coord->random % (txn->retry_step_ms / 4 + 1);
    txn->retry_step_ms *= 2;
    if (txn->retry_step_ms > coord->config.retry_max_ms) {
        txn->retry_step_ms = coord->config.retry_max_ms;
    }
}

uint64_t interactive_due_ms(const struct txn *txn)
{
    const struct interactive *open = txn->interactive;
    return open->running == NO_PARTICIPANT ? open->idle_by_ms : txn->retry_ms;
}

static void prepare_send(struct coord *coord, const struct txn *txn, const struct branch *branch,
                         struct coord_ready *ready)
{
    struct message *message = ready_send(ready, branch->session, MESSAGE_PREPARE);
    message->as.prepare = (struct message_prepare){
        .gid = branch->gid,
        .count = branch->ordinal,
        .remaining_ms = txn->deadline_ms - coord->now_ms,
    };
}

/* It has all its statements, or the application says that it is prepared. */
static void vote_ask(struct coord *coord, const struct txn *txn, const struct branch *branch,
                     struct coord_ready *ready)
{
    if (branch->is_external) {
        external_verify_send(coord, txn, branch, ready);
    } else {
        prepare_send(coord, txn, branch, ready);
    }
}

/* Its session is the one that it began on: a lost one has aborted the transaction (peer_down). */
void interactive_repeat(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    CHECK(txn->interactive != NULL);
    for (size_t i = 0; i < txn->branch_count; i++) {
        struct branch *branch = &txn->branches[i];
        if (branch->state == BRANCH_WORKING && txn->state == TXN_PREPARING) {
            vote_ask(coord, txn, branch, ready);
        } else if (branch->participant == txn->interactive->running) {
            statement_send(coord, txn, branch, ready);
        }
    }
    interactive_retry_later(coord, txn);
    txn_set_timer(coord, txn);
}

void interactive_timer(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    const struct interactive *open = txn->interactive;
    char text[HEALTH_TEXT_SIZE];
    if (coord->now_ms >= txn->deadline_ms) {
        snprintf(text, sizeof(text), "the deadline of %" PRIu32 " ms passed before the commit",
                 txn->timeout_ms);
        vote_abort(coord, txn, REASON_TIMEOUT, open->running, text, ready);
    } else if (open->running == NO_PARTICIPANT) {
        snprintf(text, sizeof(text), "the transaction was idle for %" PRIu32 " ms",
                 coord->config.interactive_idle_ms);
        vote_abort(coord, txn, REASON_TIMEOUT, NO_PARTICIPANT, text, ready);
    } else {
        interactive_repeat(coord, txn, ready);
    }
}

/* ---- the client speaks ---- */

enum reason interactive_obstacle(const struct coord *coord, const char **ret_text)
{
    if (coord->draining || !coord->running) {
        *ret_text =
            coord->draining ? "the coordinator is shutting down" : "the coordinator is starting";
        return REASON_SHUTDOWN;
    }
    if (!coord->space_ok) {
        *ret_text = "the journal's disk is nearly full: only decided work is finished";
        return REASON_CAPACITY;
    }
    return REASON_NONE;
}

void interactive_open(struct coord *coord, const struct coord_event *event,
                      struct coord_ready *ready)
{
    const char *text = NULL;
    enum reason obstacle = interactive_obstacle(coord, &text);
    if (obstacle != REASON_NONE) {
        interactive_answer_refused(coord, event->call, obstacle, NULL, text, ready);
        return;
    }
    if (coord->open_count >= coord->config.interactive_max) {
        char limit[HEALTH_TEXT_SIZE];
        snprintf(limit, sizeof(limit), "interactive_max: %" PRIu32 " transactions are open already",
                 coord->config.interactive_max);
        interactive_answer_refused(coord, event->call, REASON_OVERLOAD, NULL, limit, ready);
        return;
    }
    struct gtrid gtrid = {.journal = coord->config.journal,
                          .epoch = coord->epoch,
                          .epoch_nonce = coord->epoch_nonce,
                          .sequence = ++coord->next_sequence};
    struct txn *txn = txn_new(coord, &gtrid, 0);
    txn->created_wall_ms = coord->wall_ms;
    txn->timeout_ms = event->timeout_ms;
    txn->deadline_ms = coord->now_ms + event->timeout_ms;
    txn->interactive = alloc_zeroed(sizeof(*txn->interactive));
    txn->interactive->running = NO_PARTICIPANT;
    interactive_idle_later(coord, txn);
    txn_move(coord, txn, TXN_OPEN);
    txn_note(coord, txn, "opened", NO_PARTICIPANT, NULL);
    coord->counters.submitted++;
    txn_set_timer(coord, txn);
    interactive_answer_view(coord, txn, event->call, API_OK, ready);
}

/* It was given out, and no COMMIT names it (P-1): as a look at it would show. */
static void answer_forgotten(struct coord_ready *ready, uint64_t call, enum api_status status,
                             const struct gtrid *gtrid)
{
    struct api_answer *answer = ready_answer(ready, call, status);
    answer->views = alloc_zeroed(sizeof(answer->views[0]));
    answer->view_count = 1;
    answer->views[0].gtrid = *gtrid;
    answer->views[0].state = TXN_ABORTED;
    snprintf(answer->views[0].failure_text, sizeof(answer->views[0].failure_text), "%s",
             "no decision to commit was ever recorded");
}

/* No COMMIT is known of it: what that means (P-8). */
static void answer_presumed(const struct coord *coord, uint64_t call, const struct gtrid *gtrid,
                            enum api_status aborted, struct coord_ready *ready)
{
    enum api_status status = API_NOT_FOUND;
    switch (coord_presume(coord, gtrid)) {
    case VERDICT_WAIT:
        status = API_OUTCOME_UNKNOWN;
        break;
    case VERDICT_UNKNOWN: /* trimmed, or never given out */
        status = journal_id_equal(&gtrid->journal, &coord->config.journal) &&
                         !inquiry_above_floor(coord, gtrid)
                     ? API_EXPIRED
                     : API_NOT_FOUND;
        break;
    case VERDICT_ABORT:
        answer_forgotten(ready, call, aborted, gtrid);
        return;
    case VERDICT_COMMIT:
    case VERDICT_NOTED:
        break;
    }
    ready_answer(ready, call, status);
}

void interactive_answer_absent(struct coord *coord, const struct coord_event *event,
                               const struct gtrid *gtrid, enum api_status aborted,
                               struct coord_ready *ready)
{
    if (event->prior.found) {
        if (event->kind != COORD_EVENT_CLOSE || !event->end->commit) {
            interactive_answer_conflict(ready, event->call, "the transaction has committed");
            return;
        }
        struct api_answer *answer = ready_answer(ready, event->call, API_OK);
        answer->replayed = true;
        answer->views = alloc_zeroed(sizeof(answer->views[0]));
        answer->view_count = 1;
        coord_view_entry(event->prior.entry, false, &answer->views[0]);
        return;
    }
    if (!event->prior.looked_up) {
        ready_answer(ready, event->call, API_OUTCOME_UNKNOWN);
        return;
    }
    answer_presumed(coord, event->call, gtrid, aborted, ready);
}

bool interactive_answer_early(const struct coord *coord, uint64_t call, struct coord_ready *ready)
{
    if (!coord->running) {
        ready_answer(ready, call, API_OUTCOME_UNKNOWN);
    }
    return !coord->running;
}

bool interactive_is_open(struct coord *coord, struct txn *txn, uint64_t call,
                         struct coord_ready *ready)
{
    if (txn->state != TXN_OPEN) {
        if (txn->interactive != NULL && !txn->decided_commit && txn->state != TXN_PREPARING) {
            txn_wait(txn, call, ACK_MODE_DECIDED, false);
            txn_answer(coord, txn, false,
                       ready); /* with the reason why, and not before it is certain */
        } else {
            interactive_answer_conflict(ready, call,
                                        "the transaction takes no statements (any more)");
        }
        return false;
    }
    if (coord->now_ms >= txn->deadline_ms) { /* a process that was stopped looks first (P-15) */
        statement_call_add(txn->interactive, call);
        interactive_timer(coord, txn, ready);
        return false;
    }
    interactive_idle_later(coord, txn);
    txn_set_timer(coord, txn);
    return true;
}

bool interactive_is_beyond_limit(struct coord_ready *ready, uint64_t call, uint64_t count,
                                 const char *limit_name, uint64_t limit)
{
    if (count <= limit) {
        return false;
    }
    struct api_answer *answer = ready_answer(ready, call, API_LIMIT);
    answer->limit_name = limit_name;
    answer->limit = limit;
    snprintf(answer->text, sizeof(answer->text),
             "the transaction has as many as the configured limit \"%s\" of %" PRIu64 " allows",
             limit_name, limit);
    return true;
}

struct branch *interactive_branch(struct coord *coord, struct txn *txn, uint64_t call,
                                  const char *name, bool *ret_is_new, struct coord_ready *ready)
{
    uint32_t index = 0;
    const struct participant *participant = peer_find(coord, name, &index);
    if (participant == NULL || !participant->configured) {
        struct api_answer *answer = ready_answer(ready, call, API_UNKNOWN_PARTICIPANT);
        snprintf(answer->participant, sizeof(answer->participant), "%s", name);
        return NULL;
    }
    struct branch *branch = txn_branch(coord, txn, participant->name);
    *ret_is_new = branch == NULL;
    if (branch != NULL) {
        return branch;
    }
    if (interactive_is_beyond_limit(ready, call, txn->branch_count + 1, "max_branches",
                                    coord->config.max_branches)) {
        return NULL;
    }
    const char *text = NULL;
    enum reason obstacle = interactive_obstacle(coord, &text);
    if (obstacle == REASON_NONE && !peer_ready(participant)) {
        obstacle = REASON_PARTICIPANT_UNAVAILABLE;
        text =
            participant->text[0] != '\0' ? participant->text : "the participant is not connected";
    }
    if (obstacle != REASON_NONE) {
        interactive_answer_refused(coord, call, obstacle, participant->name, text, ready);
        return NULL;
    }
    txn->branches = alloc_resize(txn->branches, txn->branch_count + 1, sizeof(txn->branches[0]));
    branch = &txn->branches[txn->branch_count++];
    *branch = (struct branch){
        .participant = index, .state = BRANCH_IDLE, .session = participant->session};
    branch_move(coord, branch, BRANCH_WORKING);
    coord->participants[index]->open++;
    return branch;
}

static void close_by_commit(struct coord *coord, struct txn *txn, const struct coord_event *event,
                            struct coord_ready *ready)
{
    const char *text = NULL;
    enum reason obstacle = interactive_obstacle(coord, &text);
    CHECK(txn->interactive != NULL); /* it is open */
    if (txn->interactive->running != NO_PARTICIPANT) {
        interactive_answer_conflict(ready, event->call,
                                    "a statement of this transaction is under way");
        return;
    }
    const uint64_t said = event->end->statements;
    if (said != 0 && said != txn->interactive->count) {
        char differs[HEALTH_TEXT_SIZE];
        snprintf(differs, sizeof(differs),
                 "the transaction has %" PRIu64 " statements, and %" PRIu64 " are to be committed",
                 txn->interactive->count, said);
        interactive_answer_conflict(ready, event->call, differs);
        return;
    }
    if (txn->branch_count == 0) {
        interactive_answer_conflict(ready, event->call,
                                    "it has no branch: there is nothing to commit");
        return;
    }
    if (obstacle != REASON_NONE) {
        interactive_answer_refused(coord, event->call, obstacle, NULL, text, ready);
        return;
    }
    txn_wait(txn, event->call, event->end->ack, false);
    if (coord->now_ms >= txn->deadline_ms) { /* a process that was stopped looks again (P-15) */
        interactive_timer(coord, txn, ready);
        return;
    }
    statements_end(txn);
    txn_move(coord, txn, TXN_PREPARING);
    for (size_t i = 0; i < txn->branch_count; i++) {
        const struct branch *branch = &txn->branches[i];
        vote_ask(coord, txn, branch, ready);
        txn_note(coord, txn, branch->is_external ? "verify-sent" : "prepare-sent",
                 branch->participant, NULL);
    }
    txn->retry_step_ms = coord->config.retry_min_ms;
    interactive_retry_later(coord, txn);
    txn_set_timer(coord, txn);
}

/* P-4: while the decision, or a heuristic outcome, is on its way to the journal, the answer waits for it. */
static void close_by_rollback(struct coord *coord, struct txn *txn, uint64_t call,
                              struct coord_ready *ready)
{
    const struct gtrid gtrid = txn->gtrid;
    if (txn_is_at_work(txn)) {
        vote_abort(coord, txn, REASON_ROLLED_BACK_BY_CLIENT, NO_PARTICIPANT,
                   "the client rolled it back", ready);
    }
    txn = txn_find(coord, &gtrid); /* it may be over with this step, and forgotten */
    if (txn == NULL) {
        answer_forgotten(ready, call, API_OK, &gtrid);
        return;
    }
    txn_wait_rollback(txn, call);
    txn_answer(coord, txn, false, ready);
    if (!txn_is_finished(txn)) {
        txn_set_timer(coord, txn);
    }
}

/* A note about one branch does not tell how the transaction ended: before every participant has reported nobody knows, and below
 * the floor its COMMIT may be forgotten (P-8). */
static bool is_unjudged_note(const struct coord *coord, const struct txn *txn)
{
    return txn_is_a_note(txn) && coord_presume(coord, &txn->gtrid) != VERDICT_ABORT;
}

void interactive_close(struct coord *coord, const struct coord_event *event,
                       struct coord_ready *ready)
{
    const struct interactive_end *end = event->end;
    const enum api_status aborted = end->commit ? API_ABORTED : API_OK;
    struct txn *txn = txn_find(coord, &end->gtrid);
    if (interactive_answer_early(coord, event->call, ready)) {
        return;
    }
    if (txn == NULL) {
        interactive_answer_absent(coord, event, &end->gtrid, aborted, ready);
    } else if (is_unjudged_note(coord, txn)) {
        answer_presumed(coord, event->call, &end->gtrid, aborted, ready);
    } else if (txn->interactive == NULL && !txn->recovered) {
        interactive_answer_conflict(ready, event->call, "it is no interactive transaction");
    } else if (!end->commit) {
        close_by_rollback(coord, txn, event->call, ready);
    } else if (txn->state == TXN_OPEN) {
        close_by_commit(coord, txn, event, ready);
    } else {
        txn_wait(txn, event->call, end->ack, true);
        if (txn->answer_by_ms == UINT64_MAX) { /* recovered, or decided since: nobody had waited */
            txn->answer_by_ms =
                coord->now_ms +
                (txn->timeout_ms != 0 ? txn->timeout_ms : coord->config.interactive_idle_ms);
        }
        txn_answer(coord, txn, false, ready);
        if (!txn_is_finished(txn)) {
            txn_set_timer(coord, txn);
        }
    }
}

void interactive_drain(struct coord *coord, struct coord_ready *ready)
{
    struct txn **txns = alloc_array(coord->open_count + 1, sizeof(struct txn *));
    size_t count = 0;
    for (struct txn *txn = coord->newest; txn != NULL; txn = txn->older) {
        if (txn->state == TXN_OPEN) {
            txns[count++] = txn;
        }
    }
    for (size_t i = 0; i < count;
         i++) { /* one that is over may free another that was over before */
        vote_abort(coord, txns[i], REASON_SHUTDOWN, NO_PARTICIPANT,
                   "the coordinator is shutting down", ready);
    }
    free(txns);
}
