/*
 * http_render.c - see http_render.h.
 */
#include "coordinator/http_render.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/check.h"
#include "common/work.h"
#include "coordinator/http_queues.h"

void time_format(uint64_t wall_ms, char ret_text[TIME_TEXT_SIZE])
{
    const time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts = {0};
    size_t used = 0;
    if (gmtime_r(&seconds, &parts) != NULL) {
        used = strftime(ret_text, TIME_TEXT_SIZE - 6, "%Y-%m-%dT%H:%M:%S", &parts);
    }
    (void)snprintf(ret_text + used, TIME_TEXT_SIZE - used, ".%03uZ", (unsigned)(wall_ms % 1000));
}

static void member_time(struct json_writer *writer, const char *name, uint64_t wall_ms)
{
    if (wall_ms != 0) {
        char text[TIME_TEXT_SIZE];
        time_format(wall_ms, text);
        json_writer_member_string(writer, name, text);
    }
}

static void member_gtrid(struct json_writer *writer, const char *name, const struct gtrid *gtrid)
{
    char text[GTRID_TEXT_SIZE];
    gtrid_format(gtrid, text);
    json_writer_member_string(writer, name, text);
}

static void render_columns(struct json_writer *writer, const struct result *result)
{
    json_writer_name(writer, "columns");
    json_writer_array_open(writer);
    for (size_t i = 0; i < result->column_count; i++) {
        json_writer_object_open(writer);
        json_writer_member_string(writer, "name", result->columns[i].name);
        json_writer_member_string(writer, "type", result->columns[i].type);
        json_writer_member_unsigned(writer, "oid", result->columns[i].oid);
        json_writer_object_close(writer);
    }
    json_writer_array_close(writer);
}

static void render_rows(struct json_writer *writer, const struct result *result)
{
    json_writer_name(writer, "rows");
    json_writer_array_open(writer);
    for (size_t row = 0; row < result->row_count; row++) {
        json_writer_array_open(writer);
        for (size_t column = 0; column < result->column_count; column++) {
            json_writer_string(writer, result->values[row * result->column_count + column]);
        }
        json_writer_array_close(writer);
    }
    json_writer_array_close(writer);
}

/* The member "results"; a branch without any has an empty list. */
static bool render_results(struct json_writer *writer, const struct blob *blob,
                           struct error *ret_error)
{
    struct results results = {0};
    if (blob != NULL && !results_decode(blob, &results, ret_error)) {
        return false;
    }
    json_writer_name(writer, "results");
    json_writer_array_open(writer);
    for (size_t i = 0; i < results.result_count; i++) {
        const struct result *result = &results.results[i];
        json_writer_object_open(writer);
        json_writer_member_string(writer, "command", result->command);
        json_writer_name(writer, "rows_affected");
        json_writer_signed(writer, result->rows_affected);
        render_columns(writer, result);
        render_rows(writer, result);
        json_writer_object_close(writer);
    }
    json_writer_array_close(writer);
    results_done(&results);
    return true;
}

/* Decided commit, and nobody has said that it is done there. */
static bool branch_is_pending(enum branch_state state)
{
    switch (state) {
    case BRANCH_IDLE:
    case BRANCH_WORKING:
    case BRANCH_PREPARED:
    case BRANCH_UNKNOWN:
    case BRANCH_COMMITTING:
    case BRANCH_ROLLING_BACK:
        return true;
    case BRANCH_READ_ONLY:
    case BRANCH_REFUSED:
    case BRANCH_COMMITTED:
    case BRANCH_ROLLED_BACK:
    case BRANCH_HEURISTIC_COMMIT:
    case BRANCH_HEURISTIC_ROLLBACK:
    case BRANCH_HAZARD:
    case BRANCH_FORGOTTEN:
        return false;
    }
    CHECK(false);
    return true;
}

static void render_pending(struct json_writer *writer, const struct txn_view *view)
{
    json_writer_name(writer, "pending");
    json_writer_array_open(writer);
    for (size_t i = 0; i < view->branch_count; i++) {
        if (branch_is_pending(view->branches[i].state)) {
            json_writer_string(writer, view->branches[i].participant);
        }
    }
    json_writer_array_close(writer);
}

static void render_branch_fate(struct json_writer *writer, const struct branch_view *branch)
{
    json_writer_member_string(writer, "state", branch_state_text(branch->state));
    if (branch->detail[0] != '\0') {
        json_writer_member_string(writer, "detail", branch->detail);
    }
}

bool render_committed(const struct txn_view *view, struct text *ret_text, struct error *ret_error)
{
    /* A heuristic outcome is not what was asked for: it is said at the top and for each branch, so
     * that nobody takes it for a commit; the decision itself was commit, hence no problem document.
     */
    const bool heuristic = view->state == TXN_HEURISTIC;
    const bool completed = view->completed && !heuristic;
    struct json_writer *writer = json_writer_new();
    json_writer_object_open(writer);
    member_gtrid(writer, "id", &view->gtrid);
    json_writer_member_string(writer, "state", heuristic ? "heuristic" : "committed");
    json_writer_member_boolean(writer, "completed", completed);
    if (!completed) {
        render_pending(writer, view);
    }
    json_writer_name(writer, "branches");
    json_writer_array_open(writer);
    bool ok = true;
    for (size_t i = 0; ok && i < view->branch_count; i++) {
        json_writer_object_open(writer);
        json_writer_member_string(writer, "participant", view->branches[i].participant);
        if (heuristic) {
            render_branch_fate(writer, &view->branches[i]);
        }
        ok = render_results(writer, view->branches[i].results, ret_error);
        json_writer_object_close(writer);
    }
    json_writer_array_close(writer);
    json_writer_object_close(writer);
    struct text text = {0};
    json_writer_finish(writer, &text);
    if (!ok) {
        text_done(&text);
        return false;
    }
    *ret_text = text;
    return true;
}

void render_opened(const struct txn_view *view, struct text *ret_text)
{
    struct json_writer *writer = json_writer_new();
    json_writer_object_open(writer);
    member_gtrid(writer, "id", &view->gtrid);
    json_writer_member_string(writer, "state", txn_state_text(view->state));
    json_writer_object_close(writer);
    json_writer_finish(writer, ret_text);
}

void render_external(const struct api_answer *answer, struct text *ret_text)
{
    char gid[GID_TEXT_SIZE];
    struct json_writer *writer = json_writer_new();
    gid_format(&answer->gid, gid);
    json_writer_object_open(writer);
    member_gtrid(writer, "id", &answer->views[0].gtrid);
    json_writer_member_string(writer, "state", txn_state_text(answer->views[0].state));
    json_writer_member_string(writer, "participant", answer->gid.participant);
    json_writer_member_string(writer, "mode", "external");
    json_writer_member_string(writer, "gid", gid);
    json_writer_object_close(writer);
    json_writer_finish(writer, ret_text);
}

bool render_statement(const struct api_answer *answer, struct text *ret_text,
                      struct error *ret_error)
{
    struct json_writer *writer = json_writer_new();
    json_writer_object_open(writer);
    member_gtrid(writer, "id", &answer->views[0].gtrid);
    json_writer_member_string(writer, "state", "active");
    json_writer_member_unsigned(writer, "seq", answer->seq);
    const bool ok = render_results(writer, answer->results, ret_error);
    json_writer_object_close(writer);
    struct text text = {0};
    json_writer_finish(writer, &text);
    if (!ok) {
        text_done(&text);
        return false;
    }
    *ret_text = text;
    return true;
}

void render_rolled_back(const struct gtrid *gtrid, const struct txn_view *view,
                        struct text *ret_text)
{
    const bool is_heuristic = view != NULL && view->state == TXN_HEURISTIC;
    struct json_writer *writer = json_writer_new();
    json_writer_object_open(writer);
    member_gtrid(writer, "id", gtrid);
    json_writer_member_string(writer, "state", is_heuristic ? "heuristic" : "aborted");
    if (view != NULL && view->failure.reason != REASON_NONE) {
        json_writer_member_string(writer, "reason", reason_text(view->failure.reason));
    }
    json_writer_object_close(writer);
    json_writer_finish(writer, ret_text);
}

/* What PostgreSQL or the agent said, else what the coordinator has to say. */
static void render_failure_detail(struct json_writer *writer, const struct txn_view *view)
{
    struct pg_report report = {0};
    struct error ignored = {0}; /* a newer agent's report: the reason says the essential */
    const bool has_report =
        view->failure.report != NULL && pg_report_decode(view->failure.report, &report, &ignored);
    const char *detail = has_report && report.message != NULL ? report.message : view->failure_text;
    if (detail[0] != '\0') {
        json_writer_member_string(writer, "detail", detail);
    }
    if (has_report) {
        pg_report_done(&report);
    }
}

static void render_failure(struct json_writer *writer, const struct txn_view *view)
{
    if (view->failure.reason != REASON_NONE) {
        json_writer_member_string(writer, "reason", reason_text(view->failure.reason));
        json_writer_member_boolean(writer, "retryable", txn_view_is_retryable(view));
    }
    if (view->failed_participant[0] != '\0') {
        json_writer_member_string(writer, "participant", view->failed_participant);
    }
    if (view->failure.sqlstate[0] != '\0') {
        json_writer_member_string(writer, "sqlstate", view->failure.sqlstate);
    }
    render_failure_detail(writer, view);
}

static bool render_branch(struct json_writer *writer, const struct branch_view *branch,
                          bool with_results, struct error *ret_error)
{
    json_writer_object_open(writer);
    json_writer_member_string(writer, "participant", branch->participant);
    render_branch_fate(writer, branch);
    if (branch->has_gid) {
        char gid[GID_TEXT_SIZE];
        gid_format(&branch->gid, gid);
        json_writer_member_string(writer, "gid", gid);
    }
    const bool ok =
        !with_results ||
        ((branch->results == NULL || render_results(writer, branch->results, ret_error)) &&
         render_request_branch(writer, branch, ret_error));
    json_writer_object_close(writer);
    return ok;
}

/* One transaction as operators see it, as an object. */
static bool render_view(struct json_writer *writer, const struct txn_view *view, bool with_results,
                        struct error *ret_error)
{
    json_writer_object_open(writer);
    member_gtrid(writer, "id", &view->gtrid);
    json_writer_member_string(writer, "state", txn_state_text(view->state));
    if (view->key_bytes > 0) {
        json_writer_name(writer, "key");
        json_writer_string_bytes(writer, view->key, view->key_bytes);
    }
    json_writer_member_boolean(writer, "completed", view->completed);
    json_writer_member_boolean(writer, "in_doubt", view->in_doubt);
    if (view->state == TXN_HEURISTIC) {
        json_writer_member_boolean(writer, "acknowledged", view->acknowledged);
    }
    member_time(writer, "created", view->created_wall_ms);
    member_time(writer, "decided", view->decided_wall_ms);
    member_time(writer, "ended", view->ended_wall_ms);
    render_failure(writer, view);
    render_request(writer, view);
    json_writer_name(writer, "branches");
    json_writer_array_open(writer);
    bool ok = true;
    for (size_t i = 0; ok && i < view->branch_count; i++) {
        ok = render_branch(writer, &view->branches[i], with_results, ret_error);
    }
    json_writer_array_close(writer);
    json_writer_object_close(writer);
    return ok;
}

void render_change(const struct txn_view *view, struct text *ret_text)
{
    struct error ignored = {0}; /* GET tells it */
    if (!render_transaction(view, ret_text, &ignored)) {
        struct json_writer *writer = json_writer_new();
        CHECK(render_view(writer, view, false, &ignored)); /* fails in results only */
        json_writer_finish(writer, ret_text);
    }
}

bool render_transaction(const struct txn_view *view, struct text *ret_text, struct error *ret_error)
{
    struct json_writer *writer = json_writer_new();
    const bool ok = render_view(writer, view, true, ret_error);
    struct text text = {0};
    json_writer_finish(writer, &text);
    if (!ok) {
        text_done(&text);
        return false;
    }
    *ret_text = text;
    return true;
}

void render_events(const struct txn_view *view, struct text *ret_text)
{
    struct json_writer *writer = json_writer_new();
    json_writer_object_open(writer);
    member_gtrid(writer, "id", &view->gtrid);
    json_writer_member_string(writer, "state", txn_state_text(view->state));
    json_writer_name(writer, "events");
    json_writer_array_open(writer);
    for (size_t i = 0; i < view->event_count; i++) {
        const struct txn_event_view *event = &view->events[i];
        json_writer_object_open(writer);
        member_time(writer, "time", event->wall_ms);
        json_writer_member_unsigned(writer, "since_start_us", event->since_start_us);
        json_writer_member_string(writer, "kind", event->kind);
        if (event->participant[0] != '\0') {
            json_writer_member_string(writer, "participant", event->participant);
        }
        if (event->detail[0] != '\0') {
            json_writer_member_string(writer, "detail", event->detail);
        }
        json_writer_object_close(writer);
    }
    json_writer_array_close(writer);
    json_writer_object_close(writer);
    json_writer_finish(writer, ret_text);
}

void render_list(const struct api_answer *answer, struct text *ret_text)
{
    struct json_writer *writer = json_writer_new();
    struct error unused = {0};
    json_writer_object_open(writer);
    json_writer_name(writer, "transactions");
    json_writer_array_open(writer);
    for (size_t i = 0; i < answer->view_count; i++) {
        CHECK(render_view(writer, &answer->views[i], false, &unused)); /* fails in results only */
    }
    json_writer_array_close(writer);
    if (answer->has_next && answer->view_count > 0) {
        member_gtrid(writer, "next", &answer->views[answer->view_count - 1].gtrid);
    } else {
        json_writer_member_string(writer, "next", NULL);
    }
    json_writer_object_close(writer);
    json_writer_finish(writer, ret_text);
}

static const char *health_word(enum health health)
{
    switch (health) {
    case HEALTH_UP:
        return "up";
    case HEALTH_DOWN:
        return "down";
    case HEALTH_READ_ONLY:
        return "read-only";
    case HEALTH_REFUSED:
        return "refused";
    }
    return "unknown"; /* 0: not heard of yet */
}

static void render_participant(struct json_writer *writer, const struct participant_view *view)
{
    json_writer_object_open(writer);
    json_writer_member_string(writer, "name", view->name);
    json_writer_member_string(writer, "address", view->address);
    json_writer_member_string(writer, "version", view->version[0] != '\0' ? view->version : NULL);
    json_writer_member_boolean(writer, "link_up", view->link_up);
    json_writer_member_boolean(writer, "ready", view->ready);
    json_writer_member_string(writer, "health", health_word(view->health));
    json_writer_member_string(writer, "text", view->text);
    json_writer_name(writer, "database");
    if (view->identity.system_id == 0) {
        json_writer_null(writer);
    } else {
        char system_id[24]; /* as text: beyond what many JSON readers keep exact */
        (void)snprintf(system_id, sizeof system_id, "%llu",
                       (unsigned long long)view->identity.system_id);
        json_writer_object_open(writer);
        json_writer_member_string(writer, "name", view->identity.database);
        json_writer_member_string(writer, "system_id", system_id);
        json_writer_member_unsigned(writer, "timeline", view->identity.timeline);
        json_writer_member_unsigned(writer, "oid", view->identity.database_oid);
        json_writer_object_close(writer);
    }
    json_writer_member_unsigned(writer, "prepared", view->prepared_count);
    json_writer_member_unsigned(writer, "foreign", view->foreign_count);
    json_writer_member_unsigned(writer, "misplaced", view->misplaced_count);
    json_writer_member_unsigned(writer, "oldest_prepared_ms", view->oldest_prepared_ms);
    json_writer_member_unsigned(writer, "swept_number", view->swept_number);
    json_writer_member_unsigned(writer, "in_doubt", view->in_doubt);
    json_writer_member_unsigned(writer, "votes_yes", view->votes_yes);
    json_writer_member_unsigned(writer, "votes_no", view->votes_no);
    json_writer_member_unsigned(writer, "heuristics", view->heuristics);
    json_writer_object_close(writer);
}

void render_participants(const struct api_answer *answer, struct text *ret_text)
{
    struct json_writer *writer = json_writer_new();
    json_writer_object_open(writer);
    json_writer_name(writer, "participants");
    json_writer_array_open(writer);
    for (size_t i = 0; i < answer->participant_count; i++) {
        render_participant(writer, &answer->participants[i]);
    }
    json_writer_array_close(writer);
    json_writer_object_close(writer);
    json_writer_finish(writer, ret_text);
}

void render_metrics(const struct api_answer *answer, struct text *ret_text)
{
    struct text text = {0};
    for (size_t i = 0; i < answer->metric_count; i++) {
        const struct metric *metric = &answer->metrics[i];
        if (metric->help != NULL) {
            text_printf(&text, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
                        metric->name, metric->type);
        }
        const bool labelled = metric->labels[0] != '\0';
        text_printf(&text, "%s%s%s%s %.17g\n", metric->name, labelled ? "{" : "", metric->labels,
                    labelled ? "}" : "", metric->value);
    }
    *ret_text = text;
}
