/*
 * http_reply.c - see http_reply.h.
 *
 * Law: nothing here says committed or aborted unless the answer says so; everything that does not
 * fit is "unknown".
 */
#include "coordinator/http_reply.h"

#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "coordinator/http_queues.h"
#include "coordinator/http_render.h"

#define RETRY_AFTER_DEFAULT_S 1

static const char json_type[] = "application/json";

void reply_from_problem(const struct problem *problem, struct reply *ret_reply)
{
    const unsigned status = problem_status(problem);
    struct reply reply = {
        .status = status, .content_type = "application/problem+json", .allow = problem->allow};
    memcpy(reply.id, problem->id, sizeof reply.id);
    reply.retry_after_s = problem->retry_after_s;
    if ((status == 429 || status == 503) && reply.retry_after_s == 0) {
        reply.retry_after_s = RETRY_AFTER_DEFAULT_S;
    }
    problem_render(problem, &reply.body);
    *ret_reply = reply;
}

static void problem_take_id(struct problem *problem, const struct api_answer *answer)
{
    if (answer->view_count > 0) {
        gtrid_format(&answer->views[0].gtrid, problem->id);
    }
}

/* Whoever asks this and gets no answer does not know what became of it. */
static bool route_has_outcome(enum route route)
{
    return route == ROUTE_SUBMIT || route == ROUTE_STATEMENT || route == ROUTE_EXTERNAL ||
           route == ROUTE_COMMIT || route == ROUTE_ROLLBACK;
}

/* The edge cannot make sense of the answer. The outcome is then not known to the client. */
static void reply_internal(enum route route, bool is_repeatable, const struct api_answer *answer,
                           const char *what, struct reply *ret_reply)
{
    struct problem problem;
    problem_set(&problem, PROBLEM_INTERNAL, "%s", what);
    problem_take_id(&problem, answer);
    problem.state = route_has_outcome(route) ? "unknown" : NULL;
    problem.retryable = !route_has_outcome(route) || is_repeatable;
    reply_from_problem(&problem, ret_reply);
}

static void reply_json(struct text *body, const struct txn_view *view, struct reply *ret_reply)
{
    *ret_reply = (struct reply){.status = 200, .content_type = json_type, .body = *body};
    if (view != NULL) {
        gtrid_format(&view->gtrid, ret_reply->id);
    }
}

static void reply_committed(enum route route, bool is_repeatable, const struct api_answer *answer,
                            struct reply *ret_reply)
{
    const struct txn_view *view = answer->view_count == 1 ? &answer->views[0] : NULL;
    if (view == NULL || (view->state != TXN_COMMITTING && view->state != TXN_COMMITTED &&
                         view->state != TXN_HEURISTIC)) {
        reply_internal(route, is_repeatable, answer, "the answer has no outcome", ret_reply);
        return;
    }
    struct text body = {0};
    struct error error = {0};
    if (!render_committed(view, &body, &error)) {
        reply_internal(route, is_repeatable, answer, error.text, ret_reply);
        return;
    }
    reply_json(&body, view, ret_reply);
    ret_reply->replayed = answer->replayed;
}

static void reply_aborted(enum route route, bool is_repeatable, const struct api_answer *answer,
                          struct reply *ret_reply)
{
    const struct txn_view *view = answer->view_count == 1 ? &answer->views[0] : NULL;
    const bool has_reason = view != NULL && view->failure.reason != REASON_NONE;
    if (view == NULL || (route == ROUTE_SUBMIT && !has_reason)) {
        reply_internal(route, is_repeatable, answer, "the abort has no reason", ret_reply);
        return;
    }
    struct problem problem;
    if (has_reason) {
        problem_set_reason(&problem, view->failure.reason);
        problem.retryable = txn_view_is_retryable(view);
    } else { /* an open transaction that this process has forgotten, or never known */
        problem_set(&problem, PROBLEM_CONFLICT, "%s", "");
    }
    problem_take_id(&problem, answer);
    problem.state = view->state == TXN_HEURISTIC ? "heuristic"
                    : view->state == TXN_DEAD    ? "dead"
                                                 : "aborted";
    memcpy(problem.participant, view->failed_participant, sizeof problem.participant);
    memcpy(problem.sqlstate, view->failure.sqlstate, sizeof problem.sqlstate);
    (void)snprintf(problem.detail, sizeof problem.detail, "%s", view->failure_text);
    problem.report = view->failure.report;
    problem.retry_after_s = answer->retry_after_s;
    reply_from_problem(&problem, ret_reply);
}

static void reply_refused(const struct api_answer *answer, struct reply *ret_reply)
{
    struct problem problem;
    problem_set_reason(&problem, answer->reason != REASON_NONE ? answer->reason : REASON_OVERLOAD);
    problem_take_id(&problem, answer);
    memcpy(problem.participant, answer->participant, sizeof problem.participant);
    (void)snprintf(problem.detail, sizeof problem.detail, "%s", answer->text);
    problem.retry_after_s = answer->retry_after_s;
    reply_from_problem(&problem, ret_reply);
}

static const char *detail_unknown_outcome(enum route route, bool is_repeatable)
{
    if (route == ROUTE_STATEMENT) {
        return is_repeatable
                   ? "the answer could not be waited for: send the same statement with the same "
                     "seq again, or GET /v1/transactions/{id}"
                   : "the answer could not be waited for: GET /v1/transactions/{id} tells whether "
                     "the transaction is still active; without a seq the statement must not be "
                     "repeated blindly";
    }
    if (route != ROUTE_SUBMIT) {
        return "the decision could not be read in time: send the same request again, or GET "
               "/v1/transactions/{id}";
    }
    return is_repeatable
               ? "the decision could not be read in time: send the same request with the "
                 "same key again, or GET /v1/transactions?key=..."
               : "the decision could not be read in time: look it up later, by id if this "
                 "answer has one, else in GET /v1/transactions; without a key the request "
                 "must not be repeated blindly";
}

static void problem_unknown_outcome(enum route route, bool is_repeatable,
                                    struct problem *ret_problem)
{
    problem_set(ret_problem, PROBLEM_OUTCOME_UNKNOWN, "%s",
                detail_unknown_outcome(route, is_repeatable));
    ret_problem->state = "unknown";
    ret_problem->retryable = is_repeatable;
}

/* What to say where the core did not say more than the status. */
static const char *detail_default(enum route route, enum problem_kind kind)
{
    switch (kind) {
    case PROBLEM_KEY_CONFLICT:
        if (route == ROUTE_STATEMENT) {
            return "this seq belongs to another statement: repeat exactly that one, or use the "
                   "next number";
        }
        return "the Idempotency-Key belongs to another request: repeat exactly that one, or use a "
               "new "
               "key";
    case PROBLEM_UNKNOWN_PARTICIPANT:
        return "GET /v1/participants lists those that are";
    case PROBLEM_UNKNOWN_TRANSACTION:
        return "no transaction with this id is known to this coordinator";
    case PROBLEM_EXPIRED:
        return "the transaction is older than the retention period: its outcome is no longer known "
               "here";
    default:
        return ""; /* the title stands in */
    }
}

static void reply_other(enum route route, bool is_repeatable, const struct api_answer *answer,
                        struct reply *ret_reply)
{
    struct problem problem;
    enum problem_kind kind = PROBLEM_NONE;
    const char *text = answer->text;
    switch (answer->status) {
    case API_OUTCOME_UNKNOWN:
        problem_unknown_outcome(route, is_repeatable, &problem);
        problem_take_id(&problem, answer);
        problem.retry_after_s = answer->retry_after_s;
        reply_from_problem(&problem, ret_reply);
        return;
    case API_KEY_CONFLICT:
        kind = PROBLEM_KEY_CONFLICT;
        break;
    case API_UNKNOWN_PARTICIPANT:
        kind = PROBLEM_UNKNOWN_PARTICIPANT;
        break;
    case API_NOT_FOUND:
        kind = PROBLEM_UNKNOWN_TRANSACTION;
        break;
    case API_EXPIRED:
        kind = PROBLEM_EXPIRED;
        break;
    case API_CONFLICT:
        kind = PROBLEM_CONFLICT;
        break;
    case API_LIMIT:
        kind = PROBLEM_LIMIT;
        break;
    case API_OK:
    case API_ABORTED:
    case API_REFUSED:
    case API_FAILED:
    case API_ACCEPTED: /* of a submission alone: http_queues.c */
        break;
    }
    if (kind == PROBLEM_NONE) {
        reply_internal(route, is_repeatable, answer, text, ret_reply);
        return;
    }
    problem_set(&problem, kind, "%s", text[0] != '\0' ? text : detail_default(route, kind));
    problem.limit_name = answer->limit_name;
    problem.limit = answer->limit;
    if (route != ROUTE_SUBMIT) {
        problem_take_id(&problem, answer);
    }
    memcpy(problem.participant, answer->participant, sizeof problem.participant);
    reply_from_problem(&problem, ret_reply);
}

/* The answers of everything but a submission when all is well. */
static void reply_read(enum route route, const struct api_answer *answer, struct reply *ret_reply)
{
    const bool needs_view = route == ROUTE_TRANSACTION || route == ROUTE_EVENTS ||
                            route == ROUTE_RESOLVE || route == ROUTE_REQUEUE || route == ROUTE_DROP;
    if (needs_view && answer->view_count != 1) {
        reply_internal(route, false, answer, "the answer has no transaction", ret_reply);
        return;
    }
    const struct txn_view *view = needs_view ? &answer->views[0] : NULL;
    struct text body = {0};
    struct error error = {0};
    if (route == ROUTE_EVENTS) {
        render_events(view, &body);
    } else if (route == ROUTE_LIST) {
        render_list(answer, &body);
    } else if (route == ROUTE_QUEUES) {
        render_queues(answer, &body);
    } else if (route == ROUTE_PARTICIPANTS) {
        render_participants(answer, &body);
    } else if (route == ROUTE_METRICS) {
        render_metrics(answer, &body);
    } else if (route == ROUTE_READY) {
        text_printf(&body, "{\"ready\":true}\n");
    } else if (!render_transaction(view, &body, &error)) {
        reply_internal(route, false, answer, error.text, ret_reply);
        return;
    }
    reply_json(&body, view, ret_reply);
    if (route == ROUTE_METRICS) {
        ret_reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    }
}

/* A step of an interactive transaction that was done. */
static void reply_interactive(enum route route, bool is_repeatable, const struct api_call *call,
                              struct reply *ret_reply)
{
    const struct api_answer *answer = &call->answer;
    const struct txn_view *view = answer->view_count == 1 ? &answer->views[0] : NULL;
    const enum txn_state state = view != NULL ? view->state : 0;
    struct text body = {0};
    struct error error = {0};
    if (route == ROUTE_ROLLBACK) {
        const bool is_rolled_back =
            view == NULL || state == TXN_ABORTING || state == TXN_ABORTED || state == TXN_HEURISTIC;
        if (!is_rolled_back) {
            reply_internal(route, is_repeatable, answer, "it is not rolled back", ret_reply);
            return;
        }
        render_rolled_back(&call->end.gtrid, view, &body);
        reply_json(&body, NULL, ret_reply);
        gtrid_format(&call->end.gtrid, ret_reply->id);
        return;
    }
    if (state != TXN_OPEN) {
        reply_internal(route, is_repeatable, answer, "the transaction is not open", ret_reply);
        return;
    }
    if (route == ROUTE_OPEN) {
        render_opened(view, &body);
    } else if (route == ROUTE_EXTERNAL) {
        render_external(answer, &body);
    } else if (!render_statement(answer, &body, &error)) {
        reply_internal(route, is_repeatable, answer, error.text, ret_reply);
        return;
    }
    reply_json(&body, view, ret_reply);
    ret_reply->replayed = answer->replayed && route != ROUTE_EXTERNAL; /* that gid is another one */
}

static void reply_done(enum route route, bool is_repeatable, const struct api_call *call,
                       struct reply *ret_reply)
{
    if (route == ROUTE_SUBMIT || route == ROUTE_COMMIT) {
        reply_committed(route, is_repeatable, &call->answer, ret_reply);
    } else if (route == ROUTE_OPEN || route == ROUTE_STATEMENT || route == ROUTE_EXTERNAL ||
               route == ROUTE_ROLLBACK) {
        reply_interactive(route, is_repeatable, call, ret_reply);
    } else {
        reply_read(route, &call->answer, ret_reply);
    }
}

void reply_from_call(enum route route, bool is_repeatable, const struct api_call *call,
                     struct reply *ret_reply)
{
    const struct api_answer *answer = &call->answer;
    if (route == ROUTE_READY && answer->status != API_OK) {
        struct problem problem;
        problem_set(&problem, PROBLEM_NOT_READY, "%s", answer->text);
        problem.retryable = true;
        problem.retry_after_s = answer->retry_after_s;
        memcpy(problem.participant, answer->participant, sizeof problem.participant);
        reply_from_problem(&problem, ret_reply);
    } else if (answer->status == API_OK) {
        reply_done(route, is_repeatable, call, ret_reply);
    } else if (answer->status == API_ABORTED && route_has_outcome(route)) {
        reply_aborted(route, is_repeatable, answer, ret_reply);
    } else if (answer->status == API_ACCEPTED && route == ROUTE_SUBMIT && answer->view_count == 1) {
        reply_accepted(answer, ret_reply);
    } else if (answer->status == API_REFUSED) {
        reply_refused(answer, ret_reply);
    } else {
        reply_other(route, is_repeatable, answer, ret_reply);
    }
}

void reply_abandoned(enum route route, bool is_repeatable, struct reply *ret_reply)
{
    struct problem problem;
    if (route_has_outcome(route)) {
        problem_unknown_outcome(route, is_repeatable, &problem);
    } else {
        problem_set_reason(&problem, REASON_SHUTDOWN);
    }
    reply_from_problem(&problem, ret_reply);
}

void reply_live(const char *version, struct reply *ret_reply)
{
    struct json_writer *writer = json_writer_new();
    json_writer_object_open(writer);
    json_writer_member_boolean(writer, "live", true);
    json_writer_member_string(writer, "version", version);
    json_writer_object_close(writer);
    *ret_reply = (struct reply){.status = 200, .content_type = json_type};
    json_writer_finish(writer, &ret_reply->body);
}
