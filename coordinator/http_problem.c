/*
 * http_problem.c - see http_problem.h.
 */
#include "coordinator/http_problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/work.h"

struct problem_row {
    const char *slug;
    unsigned status;
    const char *title;
};

static const struct problem_row kinds[PROBLEM_KIND_COUNT] = {
    [PROBLEM_MALFORMED] = {"malformed", 400, "The request is malformed"},
    [PROBLEM_NOT_FOUND] = {"not_found", 404, "There is nothing at this path"},
    [PROBLEM_UNKNOWN_TRANSACTION] = {"unknown_transaction", 404, "No such transaction is known"},
    [PROBLEM_EXPIRED] = {"expired", 404, "The transaction is older than the retention period"},
    [PROBLEM_METHOD_NOT_ALLOWED] = {"method_not_allowed", 405, "This path has no such method"},
    [PROBLEM_NOT_ACCEPTABLE] = {"not_acceptable", 406, "The answer is of another media type"},
    [PROBLEM_CONFLICT] = {"conflict", 409, "Not possible in the present state"},
    [PROBLEM_BODY_TOO_LARGE] = {"body_too_large", 413, "The request body is too large"},
    [PROBLEM_UNSUPPORTED_MEDIA] = {"unsupported_media_type", 415, "The body must be JSON"},
    [PROBLEM_MISDIRECTED] = {"misdirected", 421, "The request names another host"},
    [PROBLEM_LIMIT] = {"limit", 422, "The request exceeds a configured limit"},
    [PROBLEM_INVALID] = {"invalid", 422, "The request cannot be run as it is"},
    [PROBLEM_UNKNOWN_PARTICIPANT] = {"unknown_participant", 422,
                                     "No such participant is configured"},
    [PROBLEM_KEY_CONFLICT] = {"key_conflict", 422, "The key was used with a different body"},
    [PROBLEM_NOT_SUPPORTED] = {"not_supported", 422, "Not supported here"},
    [PROBLEM_INTERNAL] = {"internal", 500, "Assent failed inside"},
    [PROBLEM_NOT_READY] = {"not_ready", 503, "Assent is not ready"},
    [PROBLEM_OUTCOME_UNKNOWN] = {"outcome_unknown", 504, "The outcome is not known yet"},
};

static const struct problem_row reasons[REASON_COUNT] = {
    [REASON_STATEMENT_FAILED] = {NULL, 409, "A statement failed"},
    [REASON_CONSTRAINT] = {NULL, 409, "A constraint was violated"},
    [REASON_ROW_COUNT] = {NULL, 409, "A statement did not touch the expected number of rows"},
    [REASON_NOT_PREPARABLE] = {NULL, 409, "The branch cannot be prepared"},
    [REASON_RESULT_TOO_LARGE] = {NULL, 409, "The results are too large"},
    [REASON_ROLLED_BACK_BY_CLIENT] = {NULL, 409, "The client rolled back"},
    [REASON_SERIALIZATION] = {NULL, 409, "A serialization conflict"},
    [REASON_DEADLOCK] = {NULL, 409, "A deadlock was resolved against this transaction"},
    [REASON_LOCK_TIMEOUT] = {NULL, 409, "A lock was not available in time"},
    [REASON_REJECTED_BY_POLICY] = {NULL, 403, "Rejected by policy"},
    [REASON_TIMEOUT] = {NULL, 504, "Aborted at the deadline"},
    [REASON_PARTICIPANT_UNAVAILABLE] = {NULL, 503, "A participant is not available"},
    [REASON_SHUTDOWN] = {NULL, 503, "Assent is shutting down"},
    [REASON_CAPACITY] = {NULL, 503, "A database is at its capacity"},
    [REASON_OVERLOAD] = {NULL, 429, "Too many transactions at once"},
};

static const struct problem_row *problem_row(const struct problem *problem)
{
    if (problem->kind == PROBLEM_REASON) {
        CHECK(problem->reason > REASON_NONE && problem->reason < REASON_COUNT);
        return &reasons[problem->reason];
    }
    CHECK(problem->kind > PROBLEM_NONE && problem->kind < PROBLEM_REASON);
    return &kinds[problem->kind];
}

unsigned problem_status(const struct problem *problem)
{
    return problem_row(problem)->status;
}

const char *problem_slug(const struct problem *problem)
{
    return problem->kind == PROBLEM_REASON ? reason_text(problem->reason)
                                           : problem_row(problem)->slug;
}

bool problem_set(struct problem *ret_problem, enum problem_kind kind, const char *format, ...)
{
    *ret_problem = (struct problem){.kind = kind};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_problem->detail, sizeof ret_problem->detail, format, arguments);
    va_end(arguments);
    return false;
}

bool problem_set_limit(struct problem *ret_problem, enum problem_kind kind, const char *limit_name,
                       uint64_t limit, const char *format, ...)
{
    *ret_problem = (struct problem){.kind = kind, .limit_name = limit_name, .limit = limit};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret_problem->detail, sizeof ret_problem->detail, format, arguments);
    va_end(arguments);
    return false;
}

void problem_set_reason(struct problem *ret_problem, enum reason reason)
{
    *ret_problem = (struct problem){
        .kind = PROBLEM_REASON, .reason = reason, .retryable = reason_retryable(reason)};
}

static void member_if_set(struct json_writer *writer, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        json_writer_member_string(writer, name, text);
    }
}

static void render_report(struct json_writer *writer, const char *sqlstate,
                          const struct pg_report *report)
{
    json_writer_name(writer, "postgresql");
    json_writer_object_open(writer);
    member_if_set(writer, "sqlstate", sqlstate);
    if (sqlstate[0] !=
        '\0') { /* without one the words are the agent's own, and stand in "detail" above */
        member_if_set(writer, "message", report->message);
    }
    member_if_set(writer, "detail", report->detail);
    member_if_set(writer, "hint", report->hint);
    member_if_set(writer, "constraint", report->constraint);
    member_if_set(writer, "table", report->table);
    member_if_set(writer, "column", report->column);
    if (report->statement_index >= 0) {
        json_writer_member_unsigned(writer, "statement", (uint64_t)report->statement_index);
    }
    json_writer_object_close(writer);
}

static void render_members(struct json_writer *writer, const struct problem *problem,
                           const struct pg_report *report)
{
    const struct problem_row *row = problem_row(problem);
    char type[96];
    (void)snprintf(type, sizeof type, "urn:assent:problem:%s", problem_slug(problem));
    json_writer_member_string(writer, "type", type);
    json_writer_member_string(writer, "title", row->title);
    json_writer_member_unsigned(writer, "status", row->status);
    const char *known = problem->detail[0] != '\0' ? problem->detail : row->title;
    const bool has_message = report != NULL && report->message != NULL;
    json_writer_member_string(writer, "detail", has_message ? report->message : known);
    member_if_set(writer, "id", problem->id);
    member_if_set(writer, "state", problem->state);
    member_if_set(writer, "reason", reason_text(problem->reason));
    member_if_set(writer, "participant", problem->participant);
    json_writer_member_boolean(writer, "retryable", problem->retryable);
    if (problem->limit_name != NULL) {
        json_writer_member_string(writer, "limit", problem->limit_name);
        json_writer_member_unsigned(writer, "maximum", problem->limit);
    }
    member_if_set(writer, "sqlstate", problem->sqlstate);
    if (report != NULL) {
        render_report(writer, problem->sqlstate, report);
    }
}

void problem_render(const struct problem *problem, struct text *ret_text)
{
    struct pg_report report = {0};
    struct error ignored = {0};
    /* A report that cannot be decoded (a newer agent's) is left out: reason and sqlstate say the
     * essential. */
    const bool has_report =
        problem->report != NULL && pg_report_decode(problem->report, &report, &ignored);
    struct json_writer *writer = json_writer_new();
    json_writer_object_open(writer);
    render_members(writer, problem, has_report ? &report : NULL);
    json_writer_object_close(writer);
    json_writer_finish(writer, ret_text);
    if (has_report) {
        pg_report_done(&report);
    }
}
