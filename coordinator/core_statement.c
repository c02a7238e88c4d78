/* core_statement.c - STATEMENT from the client, ANSWER from the agents (P-22, docs/adr/0014).
 *
 * One statement is under way at a time. Its number within its branch is the ordinal, its number within the transaction is seq. The
 * answer to one with a number is kept for its repetition; whatever fails comes as a vote of no and aborts the whole
 * transaction at once (core_vote.c). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "coordinator/core_interactive.h"

#define STATEMENT_EVENTS_MAX 500 /* of TXN_EVENTS_MAX */

/* ---- what waits and what is kept ---- */

static void calls_answer(struct coord *coord, struct txn *txn, enum api_status status,
                         struct blob *results, struct coord_ready *ready)
{
    struct interactive *open = txn->interactive;
    for (size_t i = 0; i < open->call_count; i++) {
        struct api_answer *answer =
            interactive_answer_view(coord, txn, open->calls[i], status, ready);
        answer->seq = open->count;
        answer->results = blob_share(results);
        answer->replayed = i > 0;
    }
    open->call_count = 0;
}

void statement_call_add(struct interactive *open, uint64_t call)
{
    if (open->call_count == open->call_capacity) {
        open->call_capacity = open->call_capacity == 0 ? 1 : open->call_capacity * 2;
        open->calls = alloc_resize(open->calls, open->call_capacity, sizeof(open->calls[0]));
    }
    open->calls[open->call_count++] = call;
}

/* With what it takes to keep it: many small ones fill the memory as well as a few large ones. */
static uint64_t answer_bytes(const struct interactive_answer *answer)
{
    return sizeof(*answer) + sizeof(*answer->results) + answer->results->size_bytes;
}

static void answers_drop(struct interactive *open, size_t count)
{
    if (count == 0) {
        return; /* and there may be no array yet */
    }
    for (size_t i = 0; i < count; i++) {
        open->answer_bytes -= answer_bytes(&open->answers[i]);
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
    open->answer_bytes += answer_bytes(answer);
    size_t dropped = 0;
    uint64_t bytes = open->answer_bytes;
    while (bytes > coord->config.interactive_result_bytes && dropped + 1 < open->answer_count) {
        bytes -= answer_bytes(&open->answers[dropped++]);
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

void statements_end(struct txn *txn)
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
        statements_end(txn);
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

/* ---- a statement ---- */

void statement_send(struct coord *coord, const struct txn *txn, const struct branch *branch,
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
            statement_call_add(open, call); /* the client lost its patience, not its transaction */
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
            struct api_answer *answer = interactive_answer_view(coord, txn, call, API_OK, ready);
            answer->seq = kept->seq;
            answer->results = blob_share(kept->results);
            answer->replayed = true;
            return true;
        }
        interactive_answer_conflict(ready, call,
                                    "the result of this seq is not kept any more, or never was");
        return true;
    }
    if (runs) {
        interactive_answer_conflict(ready, call,
                                    "another statement of this transaction is under way");
        return true;
    }
    if (statement->seq != 0 && statement->seq != open->count + 1) {
        char text[HEALTH_TEXT_SIZE];
        snprintf(text, sizeof(text), "seq is out of order: the next one is %" PRIu64,
                 open->count + 1);
        interactive_answer_conflict(ready, call, text);
        return true;
    }
    return false;
}

/* The branch of this participant, begun if need be. NULL: it was answered. */
static struct branch *statement_branch(struct coord *coord, struct txn *txn, uint64_t call,
                                       const struct interactive_statement *statement,
                                       struct coord_ready *ready)
{
    bool is_new = false;
    struct branch *branch =
        interactive_branch(coord, txn, call, statement->participant, &is_new, ready);
    if (branch == NULL) {
        return NULL;
    }
    if (is_new) {
        branch->isolation = statement->isolation;
        branch->read_only = statement->read_only;
        return branch;
    }
    if (branch->is_external) {
        interactive_answer_conflict(
            ready, call,
            "the application prepares this participant's branch itself: it takes no statements");
        return NULL;
    }
    if (statement->has_mode &&
        (statement->isolation != branch->isolation || statement->read_only != branch->read_only)) {
        interactive_answer_conflict(
            ready, call, "isolation and read_only are set by a branch's first statement");
        return NULL;
    }
    return branch;
}

void interactive_statement(struct coord *coord, struct coord_event *event,
                           struct coord_ready *ready)
{
    struct interactive_statement *statement = event->statement;
    struct txn *txn = txn_find(coord, &statement->gtrid);
    if (interactive_answer_early(coord, event->call, ready)) {
        return;
    }
    if (txn == NULL) {
        interactive_answer_absent(coord, event, &statement->gtrid, API_ABORTED, ready);
        return;
    }
    if (!interactive_is_open(coord, txn, event->call, ready)) {
        return;
    }
    if (statement_by_number(coord, txn, event->call, statement, ready) ||
        interactive_is_beyond_limit(ready, event->call, txn->interactive->count + 1,
                                    "max_statements", coord->config.max_statements)) {
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
    statement_call_add(open, event->call);
    statement_note(coord, txn, "statement-sent", branch->participant);
    statement_send(coord, txn, branch, ready);
    txn->retry_step_ms = coord->config.retry_min_ms;
    interactive_retry_later(coord, txn);
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
    interactive_idle_later(coord, txn);
    txn->retry_ms = UINT64_MAX;
    statement_note(coord, txn, "statement-answered", from);
    calls_answer(coord, txn, API_OK, answer->results, ready);
    txn_set_timer(coord, txn);
}
