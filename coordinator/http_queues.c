/* http_queues.c - see http_queues.h. */
#include "coordinator/http_queues.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/work.h"

/* ---- read ---- */

/* RFC 7240: preference [ "=" word ] *( ";" parameter ), separated by commas. A quoted word may hold a comma, and then the rest of
 * it is a preference that nobody knows. */
bool prefer_is_async(const char *value)
{
    static const char wanted[] = "respond-async";
    while (*value != '\0') {
        value += strspn(value, " \t,");
        const size_t length = strcspn(value, " \t,;=");
        if (length == sizeof wanted - 1 && strncasecmp(value, wanted, length) == 0) {
            return true;
        }
        value += strcspn(value, ",");
    }
    return false;
}

bool queue_member_parse(const struct json_value *value, char ret_queue[QUEUE_NAME_SIZE],
                        struct problem *ret_problem)
{
    if (value == NULL) {
        return true;
    }
    if (!queue_name_valid(value->text)) {
        return problem_at(ret_problem, PROBLEM_MALFORMED, value,
                          "must have 1 to %d of A-Z, a-z, 0-9, \".\", \"_\", \":\" and \"-\"",
                          QUEUE_NAME_SIZE - 1);
    }
    memcpy(ret_queue, value->text, value->text_bytes + 1);
    return true;
}

bool queue_check(const struct submission *submission, struct problem *ret_problem)
{
    return submission->is_async || submission->queue[0] == '\0' ||
           problem_set(ret_problem, PROBLEM_INVALID,
                       "queue: goes together with \"Prefer: respond-async\" only; a request that "
                       "is answered at once has no place in a queue");
}

bool request_act_parse(enum request_act act, const uint8_t *body, size_t body_bytes,
                       struct api_request_act *ret_act, struct problem *ret_problem)
{
    static const struct member_rule rule = {"comment", MEMBER_OPTIONAL, JSON_VALUE_STRING};
    static const uint8_t nothing[] = "{}";
    const struct json_value *comment = NULL;
    struct json_document *document = NULL;
    struct error error = {0};
    const bool is_drop = act == REQUEST_ACT_DROP;
    struct api_request_act parsed = {.act = act};
    if (!json_document_parse(body_bytes == 0 ? nothing : body,
                             body_bytes == 0 ? sizeof nothing - 1 : body_bytes, &document,
                             &error)) {
        return problem_set(ret_problem, PROBLEM_MALFORMED, "%s", error.text);
    }
    bool ok =
        members_check(json_document_root(document), &rule, is_drop ? 1 : 0, &comment, ret_problem);
    if (ok && comment != NULL && comment->text_bytes > COMMENT_MAX_BYTES) {
        ok = problem_at(ret_problem, PROBLEM_MALFORMED, comment, "must have at most %d bytes",
                        COMMENT_MAX_BYTES);
    }
    if (ok && comment != NULL) {
        memcpy(parsed.comment, comment->text, comment->text_bytes);
    }
    json_document_free(document);
    if (ok) {
        *ret_act = parsed;
    }
    return ok;
}

/* ---- said ---- */

static void member_id(struct json_writer *writer, const char *name, const struct gtrid *gtrid)
{
    char text[GTRID_TEXT_SIZE];
    gtrid_format(gtrid, text);
    json_writer_member_string(writer, name, text);
}

void reply_accepted(const struct api_answer *answer, struct reply *ret_reply)
{
    const struct txn_view *view = &answer->views[0];
    struct json_writer *writer = json_writer_new();
    json_writer_object_open(writer);
    member_id(writer, "id", &view->gtrid);
    json_writer_member_string(writer, "state", txn_state_text(view->state));
    json_writer_object_close(writer);
    *ret_reply =
        (struct reply){.status = 202, .content_type = "application/json", .has_location = true};
    json_writer_finish(writer, &ret_reply->body);
    gtrid_format(&view->gtrid, ret_reply->id);
    ret_reply->replayed = answer->replayed;
}

static void render_info(struct json_writer *writer, const struct request_info *info)
{
    json_writer_member_unsigned(writer, "attempts", info->attempts);
    if (info->next_attempt_ms > 0) {
        json_writer_member_unsigned(writer, "next_attempt_ms", info->next_attempt_ms);
    }
    if (info->waiting_for[0] != '\0') {
        json_writer_member_string(writer, "waiting_for", info->waiting_for);
    }
}

void render_request(struct json_writer *writer, const struct txn_view *view)
{
    const struct request_info *info = &view->request;
    if (view->is_run && !info->is_request) {
        member_id(writer, "run_of", &info->run);
    }
    if (!info->is_request) {
        return;
    }
    json_writer_name(writer, "request");
    json_writer_object_open(writer);
    json_writer_member_string(writer, "queue", info->queue[0] != '\0' ? info->queue : NULL);
    render_info(writer, info);
    if (info->timeout_ms > 0) {
        json_writer_member_unsigned(writer, "timeout_ms", info->timeout_ms);
    }
    if (info->has_run) {
        member_id(writer, "run", &info->run);
    }
    json_writer_object_close(writer);
}

static void render_params(struct json_writer *writer, const struct statement *statement)
{
    const bool has_names = statement->operation != NULL;
    json_writer_name(writer, has_names ? "args" : "params");
    if (has_names) {
        json_writer_object_open(writer);
    } else {
        json_writer_array_open(writer);
    }
    for (size_t i = 0; i < statement->param_count; i++) {
        if (has_names) {
            json_writer_member_string(writer, statement->arg_names[i], statement->params[i]);
        } else {
            json_writer_string(writer, statement->params[i]);
        }
    }
    if (has_names) {
        json_writer_object_close(writer);
    } else {
        json_writer_array_close(writer);
    }
}

static void render_statement_asked(struct json_writer *writer, const struct statement *statement)
{
    json_writer_object_open(writer);
    json_writer_member_string(writer, statement->sql != NULL ? "sql" : "operation",
                              statement->sql != NULL ? statement->sql : statement->operation);
    if (statement->param_count > 0) {
        render_params(writer, statement);
    }
    if (statement->expect_rows != EXPECT_ROWS_ANY) {
        json_writer_name(writer, "expect_rows");
        json_writer_signed(writer, statement->expect_rows);
    }
    json_writer_object_close(writer);
}

bool render_request_branch(struct json_writer *writer, const struct branch_view *branch,
                           struct error *ret_error)
{
    static const char *const isolations[] = {
        [ISOLATION_READ_COMMITTED] = "read committed",
        [ISOLATION_REPEATABLE_READ] = "repeatable read",
        [ISOLATION_SERIALIZABLE] = "serializable",
    };
    struct work work = {0};
    if (!branch->has_work || branch->work == NULL) {
        return true;
    }
    if (!work_decode(branch->work, &work, ret_error)) {
        return false;
    }
    json_writer_member_string(writer, "isolation", isolations[branch->isolation]);
    json_writer_member_boolean(writer, "read_only", branch->read_only);
    json_writer_name(writer, "statements");
    json_writer_array_open(writer);
    for (size_t i = 0; i < work.statement_count; i++) {
        render_statement_asked(writer, &work.statements[i]);
    }
    json_writer_array_close(writer);
    work_done(&work);
    return true;
}

static void render_head(struct json_writer *writer, const struct queue_view *queue)
{
    json_writer_name(writer, "head");
    if (!queue->has_head) {
        json_writer_null(writer);
        return;
    }
    json_writer_object_open(writer);
    member_id(writer, "id", &queue->head);
    json_writer_member_string(writer, "state", txn_state_text(queue->head_state));
    render_info(writer, &queue->head_info);
    json_writer_object_close(writer);
}

void render_queues(const struct api_answer *answer, struct text *ret_text)
{
    struct json_writer *writer = json_writer_new();
    json_writer_object_open(writer);
    json_writer_name(writer, "queues");
    json_writer_array_open(writer);
    for (size_t i = 0; i < answer->queue_count; i++) {
        const struct queue_view *queue = &answer->queues[i];
        json_writer_object_open(writer);
        json_writer_member_string(writer, "name", queue->name);
        json_writer_member_unsigned(writer, "length", queue->length);
        json_writer_member_unsigned(writer, "dead", queue->dead);
        render_head(writer, queue);
        json_writer_object_close(writer);
    }
    json_writer_array_close(writer);
    json_writer_name(writer, "unqueued");
    json_writer_object_open(writer);
    json_writer_member_unsigned(writer, "length", answer->unqueued.length);
    json_writer_member_unsigned(writer, "dead", answer->unqueued.dead);
    json_writer_object_close(writer);
    json_writer_object_close(writer);
    json_writer_finish(writer, ret_text);
}
