/* core_interactive.c - a transaction statement by statement: OPEN, STATEMENT and CLOSE from the client, ANSWER from the agents
 * (P-22, docs/adr/0014).
 *
 * One statement is under way at a time. Its number within its branch is the ordinal, its number within the transaction is seq. What is
 * not answered is sent again, and the agent replays its answer; whatever fails comes as a vote of no and aborts the whole
 * transaction at once (core_vote.c). With the client's commit the list is closed: PREPARE names each branch's count, and
 * from there on all is as for a submission.
 *
 * What if we die? Nothing is written before the decision, so an open transaction is one that never was (P-1). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/core_internal.h"

#define STATEMENT_EVENTS_MAX 500 /* of TXN_EVENTS_MAX */

/* ---- answers ---- */

static struct api_answer *answer_view(struct coord *coord, const struct txn *txn, uint64_t call,
                                      enum api_status status, struct coord_ready *ready)
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

static void answer_conflict(struct coord_ready *ready, uint64_t call, const char *text)
{
    answer_text(ready_answer(ready, call, API_CONFLICT), text);
}

/* Nothing was done, and an open transaction stays as it is. */
static void answer_refused(struct coord *coord, uint64_t call, enum reason reason,
                           const char *participant, const char *text, struct coord_ready *ready)
{
    struct api_answer *answer = ready_answer(ready, call, API_REFUSED);
    answer->reason = reason;
    answer->retry_after_s = 1;
    answer_text(answer, text);
    snprintf(answer->participant, sizeof(answer->participant), "%s",
             participant == NULL ? "" : participant);
    coord->counters.refused[reason]++;
}

/* ---- what waits and what is kept ---- */

static void calls_answer(struct coord *coord, struct txn *txn, enum api_status status,
                         struct blob *results, struct coord_ready *ready)
{
    struct interactive *open = txn->interactive;
    for (size_t i = 0; i < open->call_count; i++) {
        struct api_answer *answer = answer_view(coord, txn, open->calls[i], status, ready);
        answer->seq = open->count;
        answer->results = blob_share(results);
        answer->replayed = i > 0;
    }
    open->call_count = 0;
}

static void calls_add(struct interactive *open, uint64_t call)
{
    if (open->call_count == open->call_capacity) {
        open->call_capacity = open->call_capacity == 0 ? 1 : open->call_capacity * 2;
        open->calls = alloc_resize(open->calls, open->call_capacity, sizeof(open->calls[0]));
    }
    open->calls[open->call_count++] = call;
}

static void answers_drop(struct interactive *open, size_t count)
{
    if (count == 0) {
        return; /* and there may be no array yet */
    }
    for (size_t i = 0; i < count; i++) {
        open->answer_bytes -= open->answers[i].results->size_bytes;
        blob_free(open->answers[i].results);
    }
    open->answer_count -= count;
    memmove(open->answers, open->answers + count, open->answer_count * sizeof(open->answers[0]));
}

/* Beyond the bound the oldest go; the last one always stays, since only its answer may not have arrived. */
static void answers_keep(const struct coord *coord, struct interactive *open, struct blob *results)
{
    if (open->answer_count == open->answer_capacity) {
        open->answer_capacity = open->answer_capacity == 0 ? 4 : open->answer_capacity * 2;
        open->answers =
            alloc_resize(open->answers, open->answer_capacity, sizeof(open->answers[0]));
    }
    struct interactive_answer *answer = &open->answers[open->answer_count++];
    answer->seq = open->count;
    memcpy(answer->hash, open->hash, BODY_HASH_BYTES);
    answer->results = blob_share(results);
    open->answer_bytes += results->size_bytes;
    size_t dropped = 0;
    uint64_t bytes = open->answer_bytes;
    while (bytes > coord->config.interactive_result_bytes && dropped + 1 < open->answer_count) {
        bytes -= open->answers[dropped++].results->size_bytes;
    }
    answers_drop(open, dropped);
}

void interactive_free(struct txn *txn)
{
    struct interactive *open = txn->interactive;
    if (open != NULL) {
        answers_drop(open, open->answer_count);
        free(open->answers);
        free(open->calls);
        free(open);
        txn->interactive = NULL;
    }
}

/* It takes no more statements: what was kept for their repetition is of no use any more. */
static void open_end(struct txn *txn)
{
    struct interactive *open = txn->interactive;
    answers_drop(open, open->answer_count);
    free(open->answers);
    open->answers = NULL;
    open->answer_capacity = 0;
    for (size_t i = 0; i < txn->branch_count; i++) {
        blob_free(txn->branches[i].work);
        txn->branches[i].work = NULL;
    }
}

void interactive_aborted(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    if (txn->interactive != NULL) {
        calls_answer(coord, txn, API_ABORTED, NULL, ready);
        open_end(txn);
        txn->retry_ms = UINT64_MAX;
    }
}

/* Many statements must not crowd out of the timeline how it ended. */
static void statement_note(struct coord *coord, struct txn *txn, const char *kind,
                           uint32_t participant)
{
    if (txn->event_count < STATEMENT_EVENTS_MAX) {
        txn_note(coord, txn, kind, participant, NULL);
    }
}

/* ---- time ---- */

/* The client has spoken, or was answered. */
static void idle_later(const struct coord *coord, struct txn *txn)
{
    txn->interactive->idle_by_ms = coord->now_ms + coord->config.interactive_idle_ms;
}

static void retry_later(struct coord *coord, struct txn *txn)
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

static void statement_send(struct coord *coord, const struct txn *txn, const struct branch *branch,
                           struct coord_ready *ready)
{
    struct message *message = ready_send(ready, branch->session, MESSAGE_STATEMENT);
    message->as.statement = (struct message_statement){
        .gtrid = txn->gtrid,
        .attempt = branch->ordinal == 1 ? 0 : branch->gid.attempt,
        .ordinal = branch->ordinal,
        .remaining_ms = txn->deadline_ms - coord->now_ms,
        .isolation = branch->isolation,
        .read_only = branch->read_only,
        .work = blob_share(branch->work),
    };
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

/* Its session is the one that it began on: a lost one has aborted the transaction (peer_down). */
void interactive_repeat(struct coord *coord, struct txn *txn, struct coord_ready *ready)
{
    CHECK(txn->interactive != NULL);
    for (size_t i = 0; i < txn->branch_count; i++) {
        struct branch *branch = &txn->branches[i];
        if (branch->state == BRANCH_WORKING && txn->state == TXN_PREPARING) {
            prepare_send(coord, txn, branch, ready);
        } else if (branch->state == BRANCH_WORKING &&
                   branch->participant == txn->interactive->running) {
            statement_send(coord, txn, branch, ready);
        }
    }
    retry_later(coord, txn);
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

/* Why nothing new may begin, or the decision not be written; REASON_NONE: it may. */
static enum reason new_work_obstacle(const struct coord *coord, const char **ret_text)
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
    enum reason obstacle = new_work_obstacle(coord, &text);
    if (obstacle != REASON_NONE) {
        answer_refused(coord, event->call, obstacle, NULL, text, ready);
        return;
    }
    if (coord->open_count >= coord->config.interactive_max) {
        char limit[HEALTH_TEXT_SIZE];
        snprintf(limit, sizeof(limit), "interactive_max: %" PRIu32 " transactions are open already",
                 coord->config.interactive_max);
        answer_refused(coord, event->call, REASON_OVERLOAD, NULL, limit, ready);
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
    idle_later(coord, txn);
    txn_move(coord, txn, TXN_OPEN);
    txn_note(coord, txn, "opened", NO_PARTICIPANT, NULL);
    coord->counters.submitted++;
    txn_set_timer(coord, txn);
    answer_view(coord, txn, event->call, API_OK, ready);
}

static bool is_below(const struct gtrid *gtrid, const struct journal_floor *floor)
{
    return gtrid->epoch < floor->epoch ||
           (gtrid->epoch == floor->epoch && gtrid->sequence <= floor->sequence);
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

/* Not in memory: what the journal knows, and what its silence means (P-8); `aborted` is the status where it aborted. */
static void answer_absent(struct coord *coord, const struct coord_event *event,
                          const struct gtrid *gtrid, enum api_status aborted,
                          struct coord_ready *ready)
{
    if (event->prior.found) {
        if (event->kind != COORD_EVENT_CLOSE || !event->end->commit) {
            answer_conflict(ready, event->call, "the transaction has committed");
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
    enum api_status status = API_NOT_FOUND;
    switch (coord_presume(coord, gtrid)) {
    case VERDICT_WAIT:
        status = API_OUTCOME_UNKNOWN;
        break;
    case VERDICT_UNKNOWN: /* trimmed, or never given out */
        status = journal_id_equal(&gtrid->journal, &coord->config.journal) &&
                         is_below(gtrid, &coord->floor)
                     ? API_EXPIRED
                     : API_NOT_FOUND;
        break;
    case VERDICT_ABORT:
        answer_forgotten(ready, event->call, aborted, gtrid);
        return;
    case VERDICT_COMMIT:
    case VERDICT_NOTED:
        break;
    }
    ready_answer(ready, event->call, status);
}

/* P-16: nothing is open yet, and what recovery read is told to nobody before EPOCH is durable. True: it was answered. */
static bool answer_early(const struct coord *coord, uint64_t call, struct coord_ready *ready)
{
    if (!coord->running) {
        ready_answer(ready, call, API_OUTCOME_UNKNOWN);
    }
    return !coord->running;
}

/* True if the number settles it: repeated, joined, or not what comes next. */
static bool statement_by_number(struct coord *coord, struct txn *txn, uint64_t call,
                                const struct interactive_statement *statement,
                                struct coord_ready *ready)
{
    struct interactive *open = txn->interactive;
    bool runs = open->running != NO_PARTICIPANT;
    if (runs && statement->seq == open->count && open->is_repeatable) {
        if (memcmp(statement->hash, open->hash, BODY_HASH_BYTES) != 0) {
            ready_answer(ready, call, API_KEY_CONFLICT);
        } else {
            calls_add(open, call); /* the client lost its patience, not its transaction */
        }
        return true;
    }
    if (statement->seq != 0 && statement->seq <= open->count) {
        for (size_t i = 0; i < open->answer_count; i++) {
            const struct interactive_answer *kept = &open->answers[i];
            if (kept->seq != statement->seq) {
                continue;
            }
            if (memcmp(statement->hash, kept->hash, BODY_HASH_BYTES) != 0) {
                ready_answer(ready, call, API_KEY_CONFLICT);
                return true;
            }
            struct api_answer *answer = answer_view(coord, txn, call, API_OK, ready);
            answer->seq = kept->seq;
            answer->results = blob_share(kept->results);
            answer->replayed = true;
            return true;
        }
        answer_conflict(ready, call, "the result of this seq is not kept any more, or never was");
        return true;
    }
    if (runs) {
        answer_conflict(ready, call, "another statement of this transaction is under way");
        return true;
    }
    if (statement->seq != 0 && statement->seq != open->count + 1) {
        char text[HEALTH_TEXT_SIZE];
        snprintf(text, sizeof(text), "seq is out of order: the next one is %" PRIu64,
                 open->count + 1);
        answer_conflict(ready, call, text);
        return true;
    }
    return false;
}

/* The branch of this participant, begun if need be. NULL: it was answered. */
static struct branch *statement_branch(struct coord *coord, struct txn *txn, uint64_t call,
                                       const struct interactive_statement *statement,
                                       struct coord_ready *ready)
{
    uint32_t index = 0;
    const struct participant *participant = peer_find(coord, statement->participant, &index);
    if (participant == NULL || !participant->configured) {
        struct api_answer *answer = ready_answer(ready, call, API_UNKNOWN_PARTICIPANT);
        snprintf(answer->participant, sizeof(answer->participant), "%s", statement->participant);
        return NULL;
    }
    struct branch *branch = txn_branch(coord, txn, participant->name);
    if (branch != NULL) {
        if (statement->has_mode && (statement->isolation != branch->isolation ||
                                    statement->read_only != branch->read_only)) {
            answer_conflict(ready, call,
                            "isolation and read_only are set by a branch's first statement");
            return NULL;
        }
        return branch;
    }
    const char *text = NULL;
    enum reason obstacle = new_work_obstacle(coord, &text);
    if (obstacle == REASON_NONE && !peer_ready(participant)) {
        obstacle = REASON_PARTICIPANT_UNAVAILABLE;
        text =
            participant->text[0] != '\0' ? participant->text : "the participant is not connected";
    }
    if (obstacle != REASON_NONE) {
        answer_refused(coord, call, obstacle, participant->name, text, ready);
        return NULL;
    }
    txn->branches = alloc_resize(txn->branches, txn->branch_count + 1, sizeof(txn->branches[0]));
    branch = &txn->branches[txn->branch_count++];
    *branch = (struct branch){.participant = index,
                              .state = BRANCH_IDLE,
                              .isolation = statement->isolation,
                              .read_only = statement->read_only,
                              .session = participant->session};
    branch_move(coord, branch, BRANCH_WORKING);
    return branch;
}

void interactive_statement(struct coord *coord, struct coord_event *event,
                           struct coord_ready *ready)
{
    struct interactive_statement *statement = event->statement;
    struct txn *txn = txn_find(coord, &statement->gtrid);
    if (answer_early(coord, event->call, ready)) {
        return;
    }
    if (txn == NULL) {
        answer_absent(coord, event, &statement->gtrid, API_ABORTED, ready);
        return;
    }
    if (txn->interactive == NULL || txn->state != TXN_OPEN) {
        if (txn->interactive != NULL && !txn->decided_commit && txn->state != TXN_PREPARING) {
            answer_view(coord, txn, event->call, API_ABORTED, ready); /* with the reason why */
        } else {
            answer_conflict(ready, event->call, "the transaction takes no statements (any more)");
        }
        return;
    }
    if (coord->now_ms >= txn->deadline_ms) { /* a process that was stopped looks first (P-15) */
        calls_add(txn->interactive, event->call);
        interactive_timer(coord, txn, ready);
        return;
    }
    idle_later(coord, txn);
    txn_set_timer(coord, txn);
    if (statement_by_number(coord, txn, event->call, statement, ready)) {
        return;
    }
    struct branch *branch = statement_branch(coord, txn, event->call, statement, ready);
    if (branch == NULL) {
        return;
    }
    struct interactive *open = txn->interactive;
    branch->ordinal++;
    branch->work = statement->work;
    statement->work = NULL;
    open->count++;
    open->running = branch->participant;
    open->is_repeatable = statement->seq != 0;
    memcpy(open->hash, statement->hash, BODY_HASH_BYTES);
    calls_add(open, event->call);
    statement_note(coord, txn, "statement-sent", branch->participant);
    statement_send(coord, txn, branch, ready);
    txn->retry_step_ms = coord->config.retry_min_ms;
    retry_later(coord, txn);
    txn_set_timer(coord, txn);
}

void interactive_answered(struct coord *coord, uint32_t from, uint64_t session,
                          struct message_answer *answer, struct coord_ready *ready)
{
    const struct participant *sender = coord->participants[from];
    struct txn *txn = txn_find(coord, &answer->gid.gtrid);
    struct branch *branch = txn == NULL ? NULL : txn_branch(coord, txn, sender->name);
    bool is_awaited = branch != NULL && txn->state == TXN_OPEN &&
                      strcmp(answer->gid.participant, sender->name) == 0 &&
                      txn->interactive->running == from && branch->session == session &&
                      branch->ordinal == answer->ordinal && answer->gid.attempt != 0;
    /* The first answer names the attempt; every later one must be of it. */
    if (!is_awaited || (branch->ordinal > 1 && !gid_equal(&branch->gid, &answer->gid))) {
        coord->counters.stale_messages++;
        return;
    }
    struct interactive *open = txn->interactive;
    branch->gid = answer->gid;
    blob_free(branch->work);
    branch->work = NULL;
    if (open->is_repeatable) {
        answers_keep(coord, open, answer->results);
    }
    open->running = NO_PARTICIPANT;
    idle_later(coord, txn);
    txn->retry_ms = UINT64_MAX;
    statement_note(coord, txn, "statement-answered", from);
    calls_answer(coord, txn, API_OK, answer->results, ready);
    txn_set_timer(coord, txn);
}

static void close_by_commit(struct coord *coord, struct txn *txn, const struct coord_event *event,
                            struct coord_ready *ready)
{
    const char *text = NULL;
    enum reason obstacle = new_work_obstacle(coord, &text);
    CHECK(txn->interactive != NULL); /* it is open */
    if (txn->interactive->running != NO_PARTICIPANT) {
        answer_conflict(ready, event->call, "a statement of this transaction is under way");
        return;
    }
    if (txn->branch_count == 0) {
        answer_conflict(ready, event->call, "no statement was sent: there is nothing to commit");
        return;
    }
    if (obstacle != REASON_NONE) {
        answer_refused(coord, event->call, obstacle, NULL, text, ready);
        return;
    }
    txn_wait(txn, event->call, event->end->ack, false);
    if (coord->now_ms >= txn->deadline_ms) { /* a process that was stopped looks again (P-15) */
        interactive_timer(coord, txn, ready);
        return;
    }
    open_end(txn);
    txn_move(coord, txn, TXN_PREPARING);
    for (size_t i = 0; i < txn->branch_count; i++) {
        prepare_send(coord, txn, &txn->branches[i], ready);
        txn_note(coord, txn, "prepare-sent", txn->branches[i].participant, NULL);
    }
    txn->retry_step_ms = coord->config.retry_min_ms;
    retry_later(coord, txn);
    txn_set_timer(coord, txn);
}

static void close_by_rollback(struct coord *coord, struct txn *txn, uint64_t call,
                              struct coord_ready *ready)
{
    const struct gtrid gtrid = txn->gtrid;
    if (txn->decided_commit) {
        answer_conflict(ready, call, "the transaction is being committed, or has committed");
        return;
    }
    if (txn_is_at_work(txn)) {
        vote_abort(coord, txn, REASON_ROLLED_BACK_BY_CLIENT, NO_PARTICIPANT,
                   "the client rolled it back", ready);
    }
    txn = txn_find(coord, &gtrid); /* it may be over with this step, and forgotten */
    if (txn != NULL) {
        answer_view(coord, txn, call, API_OK, ready);
    } else {
        answer_forgotten(ready, call, API_OK, &gtrid);
    }
}

void interactive_close(struct coord *coord, const struct coord_event *event,
                       struct coord_ready *ready)
{
    const struct interactive_end *end = event->end;
    struct txn *txn = txn_find(coord, &end->gtrid);
    if (answer_early(coord, event->call, ready)) {
        return;
    }
    if (txn == NULL) {
        answer_absent(coord, event, &end->gtrid, end->commit ? API_ABORTED : API_OK, ready);
    } else if (txn->interactive == NULL && !txn->recovered) {
        answer_conflict(ready, event->call, "it is no interactive transaction");
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
