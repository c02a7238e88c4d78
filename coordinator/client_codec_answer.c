/* client_codec_answer.c - encoding half of client_codec.h: what the owner thread answered, as
 * msgpack. */
#include <string.h>

#include "common/check.h"
#include "coordinator/client_codec.h"

static const char *const status_texts[CLIENT_STATUS_COUNT] = {
#define CLIENT_STATUS_TEXT(id, text) [id] = text,
    CLIENT_STATUS_LIST(CLIENT_STATUS_TEXT)
#undef CLIENT_STATUS_TEXT
};

const char *client_status_text(enum client_status status)
{
    CHECK(status > CLIENT_STATUS_NONE && status < CLIENT_STATUS_COUNT);
    return status_texts[status];
}

static enum client_status status_of(const struct api_call *call)
{
    switch (call->answer.status) {
    case API_OK:
        return CLIENT_OK;
    case API_ABORTED:
        return CLIENT_ABORTED;
    case API_REFUSED:
        return CLIENT_REFUSED;
    case API_OUTCOME_UNKNOWN:
        return CLIENT_OUTCOME_UNKNOWN;
    case API_ACCEPTED:
        /* To submit: its key belongs to an accepted request that is not decided. The word is that of every version. */
        return call->submission.is_async ? CLIENT_ACCEPTED : CLIENT_OUTCOME_UNKNOWN;
    case API_KEY_CONFLICT:
        return CLIENT_KEY_CONFLICT;
    case API_UNKNOWN_PARTICIPANT:
        return CLIENT_UNKNOWN_PARTICIPANT;
    case API_NOT_FOUND:
        return CLIENT_NOT_FOUND;
    case API_EXPIRED:
        return CLIENT_EXPIRED;
    case API_CONFLICT:
        return CLIENT_CONFLICT;
    case API_LIMIT:
        return CLIENT_LIMIT;
    case API_FAILED:
        return CLIENT_FAILED;
    }
    CHECK(false);
}

static void encode_head(struct pack *pack, size_t further_members, enum client_status status)
{
    pack_map(pack, 2 + further_members);
    pack_text(pack, "v");
    pack_int(pack, CLIENT_PROTOCOL_VERSION);
    pack_text(pack, "status");
    pack_text(pack, client_status_text(status));
}

static void encode_text(struct pack *pack, const char *name, const char *value)
{
    pack_text(pack, name);
    pack_text(pack, value);
}

/* An empty text is one that does not apply: nil. */
static void encode_optional(struct pack *pack, const char *name, const char *value)
{
    encode_text(pack, name, value[0] != '\0' ? value : NULL);
}

static void encode_number(struct pack *pack, const char *name, uint64_t value)
{
    pack_text(pack, name);
    pack_uint(pack, value);
}

static void encode_truth(struct pack *pack, const char *name, bool value)
{
    pack_text(pack, name);
    pack_bool(pack, value);
}

static void encode_blob(struct pack *pack, const char *name, const struct blob *blob)
{
    pack_text(pack, name);
    if (blob == NULL) {
        pack_nil(pack);
    } else {
        pack_bytes(pack, blob->bytes, blob->size_bytes);
    }
}

/* Two members. */
static void encode_reason(struct pack *pack, enum reason reason, bool is_dead)
{
    encode_text(pack, "reason", reason != REASON_NONE ? reason_text(reason) : NULL);
    encode_truth(pack, "retryable", !is_dead && reason != REASON_NONE && reason_retryable(reason));
}

/* Decided commit, not acknowledged there: what keeps `completed` false. */
static bool branch_is_pending(const struct branch_view *branch)
{
    switch (branch->state) {
    case BRANCH_IDLE:
    case BRANCH_WORKING:
    case BRANCH_PREPARED:
    case BRANCH_UNKNOWN:
    case BRANCH_COMMITTING:
        return true;
    case BRANCH_READ_ONLY:
    case BRANCH_REFUSED:
    case BRANCH_COMMITTED:
    case BRANCH_ROLLING_BACK:
    case BRANCH_ROLLED_BACK:
    case BRANCH_HEURISTIC_COMMIT:
    case BRANCH_HEURISTIC_ROLLBACK:
    case BRANCH_HAZARD:
    case BRANCH_FORGOTTEN:
        return false;
    }
    return true;
}

static bool view_is_committed(const struct txn_view *view)
{
    return view->state == TXN_COMMITTED || view->state == TXN_COMMITTING;
}

static void encode_branch(struct pack *pack, const struct branch_view *branch, bool with_results,
                          bool is_committed)
{
    char gid[GID_TEXT_SIZE] = "";
    if (branch->has_gid) {
        gid_format(&branch->gid, gid);
    }
    pack_map(pack, 6);
    encode_text(pack, "participant", branch->participant);
    encode_text(pack, "state", branch_state_text(branch->state));
    encode_text(pack, "gid", branch->has_gid ? gid : NULL);
    encode_optional(pack, "detail", branch->detail);
    encode_truth(pack, "pending", is_committed && branch_is_pending(branch));
    encode_blob(pack, "results", with_results ? branch->results : NULL);
}

static void encode_event(struct pack *pack, const struct txn_event_view *event)
{
    pack_map(pack, 5);
    encode_number(pack, "wall_ms", event->wall_ms);
    encode_number(pack, "since_start_us", event->since_start_us);
    encode_text(pack, "kind", event->kind);
    encode_optional(pack, "participant", event->participant);
    encode_optional(pack, "detail", event->detail);
}

static void encode_failure(struct pack *pack, const struct txn_view *view)
{
    pack_text(pack, "failure");
    if (view->failure.reason == REASON_NONE) {
        pack_nil(pack);
        return;
    }
    pack_map(pack, 6);
    encode_text(pack, "reason", reason_text(view->failure.reason));
    encode_truth(pack, "retryable", txn_view_is_retryable(view));
    encode_optional(pack, "participant", view->failed_participant);
    encode_optional(pack, "text", view->failure_text);
    encode_optional(pack, "sqlstate", view->failure.sqlstate);
    encode_blob(pack, "report", view->failure.report);
}

/* Of an accepted request; nil for all else. */
static void encode_request(struct pack *pack, const struct request_info *info)
{
    pack_text(pack, "request");
    if (!info->is_request) {
        pack_nil(pack);
        return;
    }
    pack_map(pack, 4);
    encode_optional(pack, "queue", info->queue);
    encode_number(pack, "attempts", info->attempts);
    encode_number(pack, "next_attempt_ms", info->next_attempt_ms);
    encode_optional(pack, "waiting_for", info->waiting_for);
}

static void encode_view(struct pack *pack, const struct txn_view *view, bool with_results)
{
    char id[GTRID_TEXT_SIZE];
    gtrid_format(&view->gtrid, id);
    pack_map(pack, 12);
    encode_text(pack, "id", id);
    encode_text(pack, "state", txn_state_text(view->state));
    pack_text(pack, "key");
    /* The HTTP edge takes keys of any bytes; texts of this protocol are UTF-8. */
    if (view->key_bytes == 0 || !unpack_utf8_is_valid(view->key, view->key_bytes)) {
        pack_nil(pack);
    } else {
        pack_text_sized(pack, view->key, view->key_bytes);
    }
    encode_truth(pack, "completed", view->completed);
    encode_truth(pack, "in_doubt", view->in_doubt);
    encode_number(pack, "created_ms", view->created_wall_ms);
    encode_number(pack, "decided_ms", view->decided_wall_ms);
    encode_number(pack, "ended_ms", view->ended_wall_ms);
    encode_failure(pack, view);
    encode_request(pack, &view->request);
    pack_text(pack, "branches");
    pack_array(pack, view->branch_count);
    for (size_t i = 0; i < view->branch_count; i++) {
        encode_branch(pack, &view->branches[i], with_results, view_is_committed(view));
    }
    pack_text(pack, "events");
    pack_array(pack, view->event_count);
    for (size_t i = 0; i < view->event_count; i++) {
        encode_event(pack, &view->events[i]);
    }
}

static void encode_participant(struct pack *pack, const struct participant_view *participant)
{
    pack_map(pack, 8);
    encode_text(pack, "name", participant->name);
    encode_text(pack, "address", participant->address);
    encode_optional(pack, "version", participant->version);
    encode_truth(pack, "connected", participant->link_up);
    encode_truth(pack, "ready", participant->ready);
    encode_optional(pack, "text", participant->text);
    encode_number(pack, "prepared", participant->prepared_count);
    encode_number(pack, "in_doubt", participant->in_doubt);
}

static const char *answer_text(const struct api_call *call)
{
    const struct api_answer *answer = &call->answer;
    if (answer->text[0] != 0) {
        return answer->text;
    }
    if (answer->view_count == 1 && answer->views[0].failure_text[0] != 0) {
        return answer->views[0].failure_text;
    }
    return NULL;
}

void client_encode_answer(struct pack *pack, const struct api_call *call)
{
    const struct api_answer *answer = &call->answer;
    char next[GTRID_TEXT_SIZE] = "";
    char gid[GID_TEXT_SIZE] = "";
    if (answer->gid.attempt != 0) {
        gid_format(&answer->gid, gid);
    }
    if (answer->has_next && answer->view_count > 0) {
        gtrid_format(&answer->views[answer->view_count - 1].gtrid, next);
    }
    const bool is_statement = call->operation == API_STATEMENT;
    const bool is_external = call->operation == API_EXTERNAL;
    encode_head(pack, is_statement ? 11 : is_external ? 10 : 9, status_of(call));
    encode_reason(pack, answer->reason,
                  answer->view_count == 1 && answer->views[0].state == TXN_DEAD);
    encode_optional(pack, "participant", answer->participant);
    encode_text(pack, "text", answer_text(call));
    encode_number(pack, "retry_after_s", answer->retry_after_s);
    encode_truth(pack, "replayed", answer->replayed);
    pack_text(pack, "transactions");
    pack_array(pack, answer->view_count);
    for (size_t i = 0; i < answer->view_count; i++) {
        encode_view(pack, &answer->views[i], call->operation != API_LIST);
    }
    encode_optional(pack, "next", next);
    if (is_statement) {
        encode_number(pack, "seq", answer->seq);
        encode_blob(pack, "results", answer->results);
    }
    if (is_external) {
        encode_optional(pack, "gid", gid);
    }
    pack_text(pack, "participants");
    pack_array(pack, answer->participant_count);
    for (size_t i = 0; i < answer->participant_count; i++) {
        encode_participant(pack, &answer->participants[i]);
    }
}

void client_encode_refusal(struct pack *pack, const struct client_refusal *refusal)
{
    encode_head(pack, 4, refusal->status);
    encode_reason(pack, refusal->reason, false);
    encode_optional(pack, "text", refusal->text);
    encode_number(pack, "retry_after_s", refusal->retry_after_s);
}
