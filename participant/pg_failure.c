/*
 * pg_failure.c - saying no to a branch: which class, which reason, and PostgreSQL's words for the client.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "participant/pg_classify.h"
#include "participant/pg_execution.h"
#include "participant/pg_text.h"

static char *field(const PGresult *result, int code)
{
    return pg_text_clean(PQresultErrorField(result, code));
}

/* The answer: not prepared, or unknown if PREPARE may have been carried out. Returns false, for
 * callers. */
static bool fail(struct execution *x, enum reason reason, const char *sqlstate,
                 struct pg_report *report)
{
    x->result->class = x->prepare_sent ? PG_UNKNOWN : PG_ROLLED_BACK;
    x->result->failure.reason = reason;
    (void)snprintf(x->result->failure.sqlstate, SQLSTATE_SIZE, "%s", sqlstate);
    x->result->failure.report = pg_report_encode(report);
    pg_text_copy(x->result->detail, sizeof x->result->detail, report->message);
    pg_report_done(report);
    return false;
}

bool pg_fail_text(struct execution *x, enum reason reason, int index, const char *format, ...)
{
    char text[HEALTH_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct pg_report report = {.message = pg_text_clean(text),
                               .statement_index = index < 0 ? INDEX_NONE : index};
    return fail(x, reason, "", &report);
}

/* No reply any more. */
bool pg_fail_wait(struct execution *x, enum pg_wait wait, int index)
{
    x->broken = true;
    switch (wait) {
    case PG_WAIT_DEADLINE:
        return pg_fail_text(x, REASON_TIMEOUT, index, "no answer from PostgreSQL by the deadline");
    case PG_WAIT_STOPPED:
        return pg_fail_text(x, REASON_SHUTDOWN, index, "the agent is shutting down");
    case PG_WAIT_LOST:
    case PG_WAIT_OK: /* a reply that makes no sense: treated as no reply */
        break;
    }
    return pg_fail_text(x, REASON_PARTICIPANT_UNAVAILABLE, index,
                        "connection to PostgreSQL lost: %s", x->session->last_error);
}

bool pg_execution_cancelled(struct execution *x)
{
    struct pg *pg = x->member->pg;
    (void)pthread_mutex_lock(&pg->mutex);
    bool cancelled = x->member->cancelled;
    (void)pthread_mutex_unlock(&pg->mutex);
    return cancelled;
}

static enum reason statement_reason(struct execution *x, const struct pg_error *error, int index)
{
    enum reason reason = pg_classify_statement(error);
    if (reason == REASON_TIMEOUT && !x->overtime && pg_execution_cancelled(x)) {
        return REASON_ROLLED_BACK_BY_CLIENT;
    }
    if (index == INDEX_BEGIN && reason == REASON_STATEMENT_FAILED) {
        return REASON_PARTICIPANT_UNAVAILABLE; /* "cannot set read-write mode during recovery" and
                                                  the like */
    }
    if (index == INDEX_OWN && (reason == REASON_STATEMENT_FAILED || reason == REASON_CONSTRAINT)) {
        /* Our own words failed: either client SQL made the transaction read-only, or the set-up is
         * damaged. */
        return strcmp(error->sqlstate, "25006") == 0 ? REASON_REJECTED_BY_POLICY
                                                     : REASON_PARTICIPANT_UNAVAILABLE;
    }
    return reason;
}

/* Puts the rule's name before what PostgreSQL said. */
static char *name_rule(const char *rule, char *message)
{
    char text[HEALTH_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "policy %s: %s", rule, message == NULL ? "" : message);
    free(message);
    return pg_text_clean(text);
}

/* The server said no. At PREPARE it may mean that nothing is known; before that it is a sure no
 * even if PREPARE was sent already, because the server skips the rest of a pipeline after an error.
 */
bool pg_fail_result(struct execution *x, const PGresult *result, int index)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (PQresultStatus(result) != PGRES_FATAL_ERROR || sqlstate == NULL) {
        x->broken = true;
        return pg_fail_text(x, REASON_REJECTED_BY_POLICY, index, "unexpected answer %s",
                            PQresStatus(PQresultStatus(result)));
    }
    struct pg_error error = {
        .sqlstate = sqlstate,
        .severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED),
        .function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION),
    };
    struct pg_report report = {
        .message = field(result, PG_DIAG_MESSAGE_PRIMARY),
        /* The detail of a failed proof row would show the row, token included. */
        .detail = index == INDEX_OWN ? NULL : field(result, PG_DIAG_MESSAGE_DETAIL),
        .hint = field(result, PG_DIAG_MESSAGE_HINT),
        .constraint = field(result, PG_DIAG_CONSTRAINT_NAME),
        .table = field(result, PG_DIAG_TABLE_NAME),
        .column = field(result, PG_DIAG_COLUMN_NAME),
        .statement_index = index < 0 ? INDEX_NONE : index,
    };
    enum reason reason = REASON_NONE;
    enum pg_class class = PG_ROLLED_BACK;
    if (index == INDEX_PREPARE) {
        class = pg_classify_prepare(&error, &reason);
        if (strcmp(sqlstate, "42710") == 0) {
            /* Attempts are random (P-20): two of the same are a collision of identities. */
            pg_warn(x->member->pg, "gid in use", "%.180s is prepared already", x->gid_text);
        }
    } else {
        reason = statement_reason(x, &error, index);
        const char *rule = pg_policy_rule(x, index, reason);
        if (rule != NULL) {
            reason = REASON_REJECTED_BY_POLICY;
            report.message = name_rule(rule, report.message);
            pg_policy_warn(x, rule, report.message);
        }
    }
    x->broken = x->broken || pg_classify_lost(&error);
    (void)fail(x, reason, sqlstate, &report);
    x->result->class = class;
    return false;
}
