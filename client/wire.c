/*
 * wire.c - requests to frames, frames to answers (docs/CLIENT_PROTOCOL.md). Bytes and values only.
 *
 * Members of an answer that this version does not know are skipped: a newer coordinator may say
 * more.
 */
#include <stdlib.h>
#include <string.h>

#include "client/internal.h"
#include "common/alloc.h"

#define WIRE_BRANCH_MAX      100000
#define WIRE_TRANSACTION_MAX 100000

static void encode_head(struct pack *pack, size_t further_members, const char *operation)
{
    pack_map(pack, 2 + further_members);
    pack_text(pack, "v");
    pack_int(pack, CLIENT_PROTOCOL_VERSION);
    pack_text(pack, "op");
    pack_text(pack, operation);
}

static void encode_text(struct pack *pack, const char *name, const char *value)
{
    pack_text(pack, name);
    pack_text(pack, value);
}

static void encode_branch(struct pack *pack, const struct request_branch *branch)
{
    static const char *const isolations[] = {
        [ASSENT_READ_COMMITTED] = "read committed",
        [ASSENT_REPEATABLE_READ] = "repeatable read",
        [ASSENT_SERIALIZABLE] = "serializable",
    };
    pack_map(pack, 4);
    encode_text(pack, "participant", branch->participant);
    encode_text(pack, "isolation", isolations[branch->isolation]);
    pack_text(pack, "read_only");
    pack_bool(pack, branch->read_only);
    struct blob *work = work_encode(&branch->work);
    pack_text(pack, "work");
    pack_bytes(pack, work->bytes, work->size_bytes);
    blob_free(work);
}

void wire_encode_submit(struct pack *pack, const struct assent_request *request)
{
    const bool has_key = request->key[0] != 0;
    const bool has_queue = request->is_later && request->queue[0] != 0;
    /* An operation of its own: a coordinator that cannot accept must not run it instead. */
    encode_head(pack, (size_t)3 + has_key + has_queue, request->is_later ? "accept" : "submit");
    if (has_key) {
        encode_text(pack, "key", request->key);
    }
    if (has_queue) {
        encode_text(pack, "queue", request->queue);
    }
    pack_text(pack, "timeout_ms");
    pack_uint(pack, request->timeout_ms);
    encode_text(pack, "ack", request->ack == ASSENT_ACK_DECIDED ? "decided" : "completed");
    pack_text(pack, "branches");
    pack_array(pack, request->branch_count);
    for (size_t i = 0; i < request->branch_count; i++) {
        encode_branch(pack, &request->branches[i]);
    }
}

void wire_encode_open(struct pack *pack, uint32_t timeout_ms)
{
    encode_head(pack, 1, "open");
    pack_text(pack, "timeout_ms");
    pack_uint(pack, timeout_ms);
}

void wire_encode_statement(struct pack *pack, const char *id, uint64_t seq,
                           const struct request_branch *branch)
{
    encode_head(pack, 3, "statement");
    encode_text(pack, "id", id);
    pack_text(pack, "seq");
    pack_uint(pack, seq);
    pack_text(pack, "branch");
    encode_branch(pack, branch);
}

void wire_encode_external(struct pack *pack, const char *id, const char *participant)
{
    encode_head(pack, 2, "external");
    encode_text(pack, "id", id);
    encode_text(pack, "participant", participant);
}

void wire_encode_commit(struct pack *pack, const char *id, enum assent_ack ack)
{
    encode_head(pack, 2, "commit");
    encode_text(pack, "id", id);
    encode_text(pack, "ack", ack == ASSENT_ACK_DECIDED ? "decided" : "completed");
}

void wire_encode_rollback(struct pack *pack, const char *id)
{
    encode_head(pack, 1, "rollback");
    encode_text(pack, "id", id);
}

void wire_encode_get(struct pack *pack, const char *id, const char *key)
{
    encode_head(pack, 1, "get");
    encode_text(pack, id != NULL ? "id" : "key", id != NULL ? id : key);
}

void wire_encode_wait(struct pack *pack, const char *id, enum assent_ack ack, uint32_t wait_ms)
{
    encode_head(pack, 3, "wait");
    encode_text(pack, "id", id);
    encode_text(pack, "ack", ack == ASSENT_ACK_DECIDED ? "decided" : "completed");
    pack_text(pack, "wait_ms");
    pack_uint(pack, wait_ms);
}

void wire_encode_list(struct pack *pack, const struct assent_filter *filter)
{
    const size_t members = (filter->state != NULL) + (filter->participant != NULL) +
                           (filter->after != NULL) + (filter->limit != 0);
    encode_head(pack, members, "list");
    if (filter->state != NULL) {
        encode_text(pack, "state", filter->state);
    }
    if (filter->participant != NULL) {
        encode_text(pack, "participant", filter->participant);
    }
    if (filter->after != NULL) {
        encode_text(pack, "after", filter->after);
    }
    if (filter->limit != 0) {
        pack_text(pack, "limit");
        pack_uint(pack, filter->limit);
    }
}

void wire_encode_participants(struct pack *pack)
{
    encode_head(pack, 0, "participants");
}

/* A text or nil; *ret_text is NULL for nil. Frees what was there, so that a repeated member does
 * not leak. */
static bool decode_text(struct unpack *in, char **ret_text)
{
    char *copy = NULL;
    if (unpack_peek(in) == UNPACK_NIL) {
        (void)unpack_nil(in);
    } else {
        struct unpack_text text;
        if (!unpack_text(in, &text)) {
            return false;
        }
        copy = alloc_bytes(text.text, text.size_bytes);
    }
    free(*ret_text);
    *ret_text = copy;
    return true;
}

/* Binary as a blob, or nil as NULL. */
static bool decode_blob(struct unpack *in, struct blob **ret_blob)
{
    *ret_blob = NULL;
    if (unpack_peek(in) == UNPACK_NIL) {
        return unpack_nil(in);
    }
    const uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    if (!unpack_bytes(in, &bytes, &size_bytes)) {
        return false;
    }
    *ret_blob = blob_new(bytes, size_bytes);
    return true;
}

static bool decode_results(struct unpack *in, struct results *ret_results)
{
    struct blob *blob = NULL;
    if (!decode_blob(in, &blob)) {
        return false;
    }
    bool ok = true;
    if (blob != NULL && ret_results->results == NULL) {
        ok = results_decode(blob, ret_results, NULL);
    }
    blob_free(blob);
    in->failed = in->failed || !ok;
    return ok;
}

static bool decode_report(struct unpack *in, struct pg_report *ret_report)
{
    struct blob *blob = NULL;
    if (!decode_blob(in, &blob)) {
        return false;
    }
    bool ok = true;
    if (blob != NULL) {
        struct pg_report report;
        ok = pg_report_decode(blob, &report, NULL);
        if (ok) {
            pg_report_done(ret_report);
            *ret_report = report;
        }
    }
    blob_free(blob);
    in->failed = in->failed || !ok;
    return ok;
}

static bool decode_branch(struct unpack *in, struct answer_branch *branch)
{
    uint32_t members = 0;
    if (!unpack_map(in, &members)) {
        return false;
    }
    for (uint32_t i = 0; i < members && !in->failed; i++) {
        struct unpack_text name;
        if (!unpack_text(in, &name)) {
            return false;
        }
        if (unpack_text_is(&name, "participant")) {
            decode_text(in, &branch->participant);
        } else if (unpack_text_is(&name, "state")) {
            decode_text(in, &branch->state);
        } else if (unpack_text_is(&name, "pending")) {
            unpack_bool(in, &branch->pending);
        } else if (unpack_text_is(&name, "results")) {
            decode_results(in, &branch->results);
        } else {
            unpack_skip(in);
        }
    }
    return !in->failed && branch->participant != NULL && branch->state != NULL;
}

static bool decode_branches(struct unpack *in, struct assent_answer *answer)
{
    uint32_t count = 0;
    if (answer->branches != NULL || !unpack_array(in, &count) || count > WIRE_BRANCH_MAX) {
        in->failed = true;
        return false;
    }
    if (count > 0) {
        answer->branches = alloc_array(count, sizeof *answer->branches);
    }
    for (uint32_t i = 0; i < count; i++) {
        answer->branch_count = i + 1;
        if (!decode_branch(in, &answer->branches[i])) {
            in->failed = true;
            return false;
        }
    }
    return true;
}

static bool decode_failure(struct unpack *in, struct assent_answer *answer)
{
    if (unpack_peek(in) == UNPACK_NIL) {
        return unpack_nil(in);
    }
    uint32_t members = 0;
    if (!unpack_map(in, &members)) {
        return false;
    }
    for (uint32_t i = 0; i < members && !in->failed; i++) {
        struct unpack_text name;
        if (!unpack_text(in, &name)) {
            return false;
        }
        if (unpack_text_is(&name, "reason")) {
            decode_text(in, &answer->reason);
        } else if (unpack_text_is(&name, "retryable")) {
            unpack_bool(in, &answer->retryable);
        } else if (unpack_text_is(&name, "participant")) {
            decode_text(in, &answer->participant);
        } else if (unpack_text_is(&name, "text")) {
            decode_text(in, &answer->text);
        } else if (unpack_text_is(&name, "sqlstate")) {
            decode_text(in, &answer->sqlstate);
        } else if (unpack_text_is(&name, "report")) {
            decode_report(in, &answer->report);
        } else {
            unpack_skip(in);
        }
    }
    return !in->failed;
}

/* What a state says about the outcome: final only where the state is. */
static enum assent_outcome outcome_of_state(const char *state)
{
    if (strcmp(state, "committed") == 0 || strcmp(state, "committing") == 0) {
        return ASSENT_COMMITTED;
    }
    if (strcmp(state, "aborted") == 0 || strcmp(state, "aborting") == 0) {
        return ASSENT_ABORTED;
    }
    if (strcmp(state, "dead") == 0) {
        return ASSENT_DEAD;
    }
    if (strcmp(state, "heuristic") == 0) {
        return ASSENT_HEURISTIC;
    }
    if (strcmp(state, "queued") == 0) {
        return ASSENT_ACCEPTED;
    }
    return ASSENT_UNKNOWN;
}

/* The state's, but that an accepted request which runs at the moment will run again if it must: it is owed an outcome. */
static enum assent_outcome outcome_of_transaction(const struct assent_answer *answer)
{
    const enum assent_outcome outcome = outcome_of_state(answer->state);
    return outcome == ASSENT_UNKNOWN && answer->is_request ? ASSENT_ACCEPTED : outcome;
}

static bool decode_request(struct unpack *in, struct assent_answer *answer)
{
    if (unpack_peek(in) == UNPACK_NIL) {
        return unpack_nil(in);
    }
    uint32_t members = 0;
    int64_t number = 0;
    answer->is_request = true;
    if (!unpack_map(in, &members)) {
        return false;
    }
    for (uint32_t i = 0; i < members && !in->failed; i++) {
        struct unpack_text name;
        if (!unpack_text(in, &name)) {
            return false;
        }
        if (unpack_text_is(&name, "queue")) {
            decode_text(in, &answer->queue);
        } else if (unpack_text_is(&name, "attempts")) {
            unpack_range(in, 0, UINT32_MAX, &number);
            answer->attempts = (uint32_t)number;
        } else if (unpack_text_is(&name, "waiting_for")) {
            decode_text(in, &answer->waiting_for);
        } else {
            unpack_skip(in);
        }
    }
    return !in->failed;
}

/* An accepted request: who sends it again changes nothing, whatever became of its last run. */
static bool is_in_hand(enum assent_outcome outcome)
{
    return outcome == ASSENT_ACCEPTED || outcome == ASSENT_DEAD;
}

static bool decode_transaction(struct unpack *in, struct assent_answer *answer)
{
    uint32_t members = 0;
    if (!unpack_map(in, &members)) {
        return false;
    }
    for (uint32_t i = 0; i < members && !in->failed; i++) {
        struct unpack_text name;
        if (!unpack_text(in, &name)) {
            return false;
        }
        if (unpack_text_is(&name, "id")) {
            decode_text(in, &answer->id);
        } else if (unpack_text_is(&name, "state")) {
            decode_text(in, &answer->state);
        } else if (unpack_text_is(&name, "key")) {
            decode_text(in, &answer->key);
        } else if (unpack_text_is(&name, "completed")) {
            unpack_bool(in, &answer->completed);
        } else if (unpack_text_is(&name, "failure")) {
            decode_failure(in, answer);
        } else if (unpack_text_is(&name, "request")) {
            decode_request(in, answer);
        } else if (unpack_text_is(&name, "branches")) {
            decode_branches(in, answer);
        } else {
            unpack_skip(in);
        }
    }
    if (in->failed || answer->id == NULL || answer->state == NULL) {
        in->failed = true;
        return false;
    }
    answer->outcome = outcome_of_transaction(answer);
    answer->retryable = answer->retryable && !is_in_hand(answer->outcome);
    return true;
}

static bool decode_transactions(struct unpack *in, struct wire_answer *wire)
{
    uint32_t count = 0;
    if (wire->transactions != NULL || !unpack_array(in, &count) || count > WIRE_TRANSACTION_MAX) {
        in->failed = true;
        return false;
    }
    if (count > 0) {
        wire->transactions = alloc_array(count, sizeof *wire->transactions);
    }
    for (uint32_t i = 0; i < count; i++) {
        wire->transactions[i] = answer_new(ASSENT_UNKNOWN, NULL, NULL);
        wire->transaction_count = i + 1;
        if (!decode_transaction(in, wire->transactions[i])) {
            return false;
        }
    }
    return true;
}

static bool decode_participant(struct unpack *in, struct participant_item *item)
{
    uint32_t members = 0;
    if (!unpack_map(in, &members)) {
        return false;
    }
    for (uint32_t i = 0; i < members && !in->failed; i++) {
        struct unpack_text name;
        if (!unpack_text(in, &name)) {
            return false;
        }
        if (unpack_text_is(&name, "name")) {
            decode_text(in, &item->name);
        } else if (unpack_text_is(&name, "address")) {
            decode_text(in, &item->address);
        } else if (unpack_text_is(&name, "text")) {
            decode_text(in, &item->text);
        } else if (unpack_text_is(&name, "ready")) {
            unpack_bool(in, &item->ready);
        } else {
            unpack_skip(in);
        }
    }
    return !in->failed;
}

static bool decode_participants(struct unpack *in, struct wire_answer *wire)
{
    uint32_t count = 0;
    if (wire->participants != NULL || !unpack_array(in, &count) || count > WIRE_BRANCH_MAX) {
        in->failed = true;
        return false;
    }
    if (count > 0) {
        wire->participants = alloc_array(count, sizeof *wire->participants);
    }
    for (uint32_t i = 0; i < count; i++) {
        wire->participant_count = i + 1;
        if (!decode_participant(in, &wire->participants[i])) {
            return false;
        }
    }
    return true;
}

static bool decode_status(struct unpack *in, enum client_status *ret_status)
{
    static const char *const texts[CLIENT_STATUS_COUNT] = {
#define CLIENT_STATUS_TEXT(id, text) [id] = text,
        CLIENT_STATUS_LIST(CLIENT_STATUS_TEXT)
#undef CLIENT_STATUS_TEXT
    };
    struct unpack_text text;
    if (unpack_text(in, &text)) {
        for (int i = CLIENT_STATUS_NONE + 1; i < CLIENT_STATUS_COUNT; i++) {
            if (unpack_text_is(&text, texts[i])) {
                *ret_status = (enum client_status)i;
                return true;
            }
        }
    }
    in->failed = true;
    return false;
}

static void decode_member(struct unpack *in, struct wire_answer *wire)
{
    struct unpack_text name;
    if (!unpack_text(in, &name)) {
        return;
    }
    int64_t number = 0;
    if (unpack_text_is(&name, "v")) {
        unpack_range(in, CLIENT_PROTOCOL_VERSION, CLIENT_PROTOCOL_VERSION, &number);
    } else if (unpack_text_is(&name, "status")) {
        decode_status(in, &wire->status);
    } else if (unpack_text_is(&name, "reason")) {
        decode_text(in, &wire->reason);
    } else if (unpack_text_is(&name, "retryable")) {
        unpack_bool(in, &wire->retryable);
    } else if (unpack_text_is(&name, "participant")) {
        decode_text(in, &wire->participant);
    } else if (unpack_text_is(&name, "text")) {
        decode_text(in, &wire->text);
    } else if (unpack_text_is(&name, "replayed")) {
        unpack_bool(in, &wire->replayed);
    } else if (unpack_text_is(&name, "retry_after_s")) {
        unpack_range(in, 0, 1000000, &number);
        wire->retry_after_ms = (uint32_t)number * 1000;
    } else if (unpack_text_is(&name, "next")) {
        decode_text(in, &wire->next);
    } else if (unpack_text_is(&name, "transactions")) {
        decode_transactions(in, wire);
    } else if (unpack_text_is(&name, "participants")) {
        decode_participants(in, wire);
    } else if (unpack_text_is(&name, "results")) {
        decode_results(in, &wire->results);
    } else if (unpack_text_is(&name, "gid")) {
        decode_text(in, &wire->gid);
    } else {
        unpack_skip(in);
    }
}

bool wire_decode(const void *bytes, size_t size_bytes, struct wire_answer *ret_answer)
{
    struct unpack in;
    struct wire_answer wire = {0};
    uint32_t members = 0;
    unpack_init(&in, bytes, size_bytes);
    (void)unpack_map(&in, &members);
    for (uint32_t i = 0; i < members && !in.failed; i++) {
        decode_member(&in, &wire);
    }
    if (!unpack_is_complete(&in) || wire.status == CLIENT_STATUS_NONE) {
        wire_answer_done(&wire);
        return false;
    }
    *ret_answer = wire;
    return true;
}

void wire_answer_done(struct wire_answer *answer)
{
    free(answer->reason);
    free(answer->participant);
    free(answer->text);
    free(answer->next);
    free(answer->gid);
    for (size_t i = 0; i < answer->transaction_count; i++) {
        assent_answer_free(answer->transactions[i]);
    }
    free(answer->transactions);
    for (size_t i = 0; i < answer->participant_count; i++) {
        free(answer->participants[i].name);
        free(answer->participants[i].address);
        free(answer->participants[i].text);
    }
    free(answer->participants);
    results_done(&answer->results);
    *answer = (struct wire_answer){0};
}

/* What a status alone says. CLIENT_OK: the transaction's state decides. */
static enum assent_outcome outcome_of_status(enum client_status status, bool is_submit,
                                             enum assent_outcome of_state)
{
    switch (status) {
    case CLIENT_OK:
        return of_state;
    case CLIENT_ABORTED: /* a dead request may be put back */
        return of_state == ASSENT_DEAD ? ASSENT_DEAD : ASSENT_ABORTED;
    case CLIENT_OUTCOME_UNKNOWN: /* to submit, also of a key that is an accepted request's */
        return of_state == ASSENT_ACCEPTED ? ASSENT_ACCEPTED : ASSENT_UNKNOWN;
    case CLIENT_ACCEPTED:
        return ASSENT_ACCEPTED;
    case CLIENT_NOT_FOUND:
    case CLIENT_EXPIRED:
        return ASSENT_NOT_FOUND;
    case CLIENT_REFUSED:
    case CLIENT_KEY_CONFLICT:
    case CLIENT_UNKNOWN_PARTICIPANT:
    case CLIENT_CONFLICT:
    case CLIENT_MALFORMED:
    case CLIENT_LIMIT:
    case CLIENT_UNSUPPORTED:
        return ASSENT_REFUSED;
    case CLIENT_FAILED: /* an error inside the coordinator says nothing about the transaction */
    case CLIENT_STATUS_NONE:
    case CLIENT_STATUS_COUNT:
        break;
    }
    return is_submit ? ASSENT_UNKNOWN : ASSENT_UNAVAILABLE;
}

/* The reason of answers that the coordinator gives no reason of its own for. */
static const char *reason_of_status(enum client_status status)
{
    switch (status) {
    case CLIENT_KEY_CONFLICT:
        return "key_conflict";
    case CLIENT_UNKNOWN_PARTICIPANT:
        return "unknown_participant";
    case CLIENT_NOT_FOUND:
        return "not_found";
    case CLIENT_EXPIRED:
        return "expired";
    case CLIENT_CONFLICT:
        return "conflict";
    case CLIENT_FAILED:
        return "failed";
    case CLIENT_MALFORMED:
        return "malformed";
    case CLIENT_LIMIT:
        return "limit";
    case CLIENT_UNSUPPORTED:
        return "unsupported";
    case CLIENT_OK:
    case CLIENT_ABORTED:
    case CLIENT_REFUSED:
    case CLIENT_ACCEPTED:
    case CLIENT_OUTCOME_UNKNOWN:
    case CLIENT_STATUS_NONE:
    case CLIENT_STATUS_COUNT:
        break;
    }
    return NULL;
}

/* Moves *from to *to where there is something. */
static void move_text(char **from, char **to)
{
    if (*from != NULL) {
        free(*to);
        *to = *from;
        *from = NULL;
    }
}

struct assent_answer *wire_to_answer(struct wire_answer *wire, bool is_submit)
{
    struct assent_answer *answer = NULL;
    enum assent_outcome of_state = is_submit ? ASSENT_UNKNOWN : ASSENT_NOT_FOUND;
    if (wire->transaction_count > 0) {
        answer = wire->transactions[0];
        wire->transactions[0] = NULL;
        of_state = answer->outcome;
    } else {
        answer = answer_new(of_state, NULL, NULL);
    }
    answer->outcome = outcome_of_status(wire->status, is_submit, of_state);
    move_text(&wire->reason, &answer->reason);
    if (answer->reason == NULL) {
        answer->reason = alloc_string(reason_of_status(wire->status));
    }
    move_text(&wire->text, &answer->text);
    move_text(&wire->participant, &answer->participant);
    move_text(&wire->gid, &answer->gid);
    answer->retryable = (answer->retryable || wire->retryable) && !is_in_hand(answer->outcome);
    answer->replayed = wire->replayed;
    answer->retry_after_ms = wire->retry_after_ms;
    answer->is_done = wire->status == CLIENT_OK;
    answer->results = wire->results;
    wire->results = (struct results){0};
    wire_answer_done(wire);
    return answer;
}
