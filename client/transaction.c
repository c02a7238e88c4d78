/* transaction.c - an interactive transaction (assent.h, "Statement by statement").
 *
 * Every statement has a number, counted here, so that one whose answer was lost can be sent again: the coordinator runs a number
 * once and repeats its answer (P-22). A number is used up when its statement is known to be done; a refused one leaves it free.
 *
 * The last statement stays in a request, whose branches keep what was set for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "common/alloc.h"

struct assent_transaction {
    struct assent_client *client;
    char *id;
    uint32_t timeout_ms;
    uint64_t seq;                            /* of the last statement that is known to be done */
    bool has_answer;                         /* the last statement is number seq */
    bool is_unsure;                          /* the last statement may be done or not */
    char participant[PARTICIPANT_NAME_SIZE]; /* of the last statement; "" none */
    struct assent_request *last;
};

struct assent_answer *assent_open(struct assent_client *client, uint32_t timeout_ms,
                                  struct assent_transaction **ret_transaction)
{
    *ret_transaction = NULL;
    if (timeout_ms == 0 || timeout_ms > 24u * 3600 * 1000) {
        return answer_new(ASSENT_REFUSED, "malformed", "a timeout is 1 ms to a day");
    }
    struct pack pack = {0};
    wire_encode_open(&pack, timeout_ms);
    /* Where the answer is lost, one may be open that nobody knows: it is found idle. */
    struct assent_answer *answer = client_ask(client, &pack, false, CLIENT_QUESTION_MS);
    if (!answer->is_done) {
        return answer;
    }
    answer->outcome = ASSENT_ACTIVE;
    struct assent_transaction *transaction = alloc_zeroed(sizeof *transaction);
    transaction->client = client;
    transaction->id = alloc_string(assent_answer_id(answer));
    transaction->timeout_ms = timeout_ms;
    transaction->last = assent_request_new();
    *ret_transaction = transaction;
    return answer;
}

void assent_transaction_free(struct assent_transaction *transaction)
{
    if (transaction == NULL) {
        return;
    }
    assent_request_free(transaction->last);
    free(transaction->id);
    free(transaction);
}

const char *assent_transaction_id(const struct assent_transaction *transaction)
{
    return transaction->id;
}

static struct request_branch *branch_find(const struct assent_transaction *transaction,
                                          const char *participant)
{
    const struct assent_request *last = transaction->last;
    for (size_t i = 0; i < last->branch_count; i++) {
        if (strcmp(last->branches[i].participant, participant) == 0) {
            return &last->branches[i];
        }
    }
    return NULL;
}

/* Errors of a request stick; here each call is for itself. */
static int error_take(struct assent_transaction *transaction)
{
    const int error = transaction->last->error;
    transaction->last->error = ASSENT_OK;
    return error;
}

static bool branch_is_begun(const struct assent_transaction *transaction, const char *participant)
{
    const struct request_branch *branch =
        participant == NULL ? NULL : branch_find(transaction, participant);
    return branch != NULL && branch->is_begun;
}

int assent_transaction_set_isolation(struct assent_transaction *transaction,
                                     const char *participant, enum assent_isolation isolation)
{
    if (branch_is_begun(transaction, participant)) {
        return ASSENT_E_ARGUMENT;
    }
    (void)assent_request_set_isolation(transaction->last, participant, isolation);
    return error_take(transaction);
}

int assent_transaction_set_read_only(struct assent_transaction *transaction,
                                     const char *participant, bool read_only)
{
    if (branch_is_begun(transaction, participant)) {
        return ASSENT_E_ARGUMENT;
    }
    (void)assent_request_set_read_only(transaction->last, participant, read_only);
    return error_take(transaction);
}

/* The result of the statement, at the branch that it belongs to. */
static void results_give(struct assent_answer *answer, const char *participant)
{
    for (size_t i = 0; i < answer->branch_count; i++) {
        if (strcmp(answer->branches[i].participant, participant) == 0) {
            results_done(&answer->branches[i].results);
            answer->branches[i].results = answer->results;
            answer->results = (struct results){0};
            return;
        }
    }
}

static struct assent_answer *statement_ask(struct assent_transaction *transaction)
{
    struct request_branch *branch = branch_find(transaction, transaction->participant);
    const uint64_t seq = transaction->seq + (transaction->has_answer ? 0 : 1);
    struct pack pack = {0};
    wire_encode_statement(&pack, transaction->id, seq, branch);
    if (pack.size_bytes > CLIENT_REQUEST_FRAME_MAX_BYTES) {
        pack_done(&pack);
        return answer_new(ASSENT_REFUSED, "limit", "the statement is larger than 4 MiB");
    }
    struct assent_answer *answer = client_ask(transaction->client, &pack, true,
                                              transaction->timeout_ms + CLIENT_ANSWER_EXTRA_MS);
    if (answer->is_done) {
        answer->outcome = ASSENT_ACTIVE;
        results_give(answer, transaction->participant);
        branch->is_begun = true;
        transaction->seq = seq;
        transaction->has_answer = true;
        transaction->is_unsure = false;
    } else if (answer->outcome == ASSENT_UNKNOWN) {
        branch->is_begun = true; /* perhaps */
        transaction->is_unsure = true;
    } else if (answer->outcome == ASSENT_ABORTED ||
               strcmp(assent_answer_reason(answer), "limit") == 0) {
        transaction->is_unsure = false; /* a copy still on its way is beyond the limit, too */
    }
    return answer;
}

/* The last statement may be done or not: whatever goes on from there may go on without it. */
static struct assent_answer *answer_unsure(void)
{
    return answer_new(ASSENT_REFUSED, "conflict",
                      "it is not known whether the last statement was done: "
                      "assent_execute_again tells");
}

/* The request is without a statement again, for the next one. */
static void last_clear(struct assent_transaction *transaction)
{
    struct assent_request *last = transaction->last;
    for (size_t i = 0; i < last->branch_count; i++) {
        work_done(&last->branches[i].work);
        last->branches[i].work = (struct work){0};
    }
    transaction->participant[0] = '\0';
}

/* error: of what was put into the request. */
static struct assent_answer *last_send(struct assent_transaction *transaction,
                                       const char *participant, int error)
{
    if (error_take(transaction) != ASSENT_OK || error != ASSENT_OK) {
        return answer_new(ASSENT_REFUSED, error == ASSENT_E_LIMIT ? "limit" : "malformed",
                          transaction->last->error_text);
    }
    snprintf(transaction->participant, sizeof transaction->participant, "%s", participant);
    transaction->has_answer = false;
    return statement_ask(transaction);
}

struct assent_answer *assent_execute(struct assent_transaction *transaction,
                                     const char *participant, const char *sql, size_t param_count,
                                     const char *const *params, int64_t expect_rows)
{
    if (transaction->is_unsure) {
        return answer_unsure();
    }
    last_clear(transaction);
    return last_send(
        transaction, participant,
        assent_request_add(transaction->last, participant, sql, param_count, params, expect_rows));
}

struct assent_answer *assent_execute_operation(struct assent_transaction *transaction,
                                               const char *participant, const char *operation,
                                               size_t text_count, const char *const *args,
                                               int64_t expect_rows)
{
    if (transaction->is_unsure) {
        return answer_unsure();
    }
    last_clear(transaction);
    return last_send(transaction, participant,
                     assent_request_add_operation(transaction->last, participant, operation,
                                                  text_count, args, expect_rows));
}

struct assent_answer *assent_execute_again(struct assent_transaction *transaction)
{
    if (transaction->participant[0] == '\0') {
        return answer_new(ASSENT_REFUSED, "malformed", "there is no statement to repeat");
    }
    return statement_ask(transaction);
}

struct assent_answer *assent_external_branch(struct assent_transaction *transaction,
                                             const char *participant)
{
    if (participant == NULL || !participant_name_valid(participant)) {
        return answer_new(ASSENT_REFUSED, "malformed",
                          "a participant's name has 1 to 63 of a-z, 0-9, _ and -, a letter first");
    }
    struct pack pack = {0};
    wire_encode_external(&pack, transaction->id, participant);
    /* Where the answer is lost, another one names another gid: the lost one never commits (P-20). */
    struct assent_answer *answer = client_ask(transaction->client, &pack, true, CLIENT_QUESTION_MS);
    if (answer->is_done) {
        answer->outcome = ASSENT_ACTIVE;
    }
    return answer;
}

struct assent_answer *assent_commit(struct assent_transaction *transaction, enum assent_ack ack)
{
    if (transaction->is_unsure) {
        return answer_unsure();
    }
    struct pack pack = {0};
    wire_encode_commit(&pack, transaction->id, ack);
    return client_ask(transaction->client, &pack, true,
                      transaction->timeout_ms * 2 + CLIENT_ANSWER_EXTRA_MS);
}

struct assent_answer *assent_rollback(struct assent_transaction *transaction)
{
    struct pack pack = {0};
    wire_encode_rollback(&pack, transaction->id);
    return client_ask(transaction->client, &pack, true, CLIENT_QUESTION_MS);
}
