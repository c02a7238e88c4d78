/*
 * stack_query.c - looking at a stack from outside: HTTP, SQL as superuser, the journal. See stack.h.
 */
#include "tests/lib/stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "recovery/journal.h"
#include "tests/lib/stack_internal.h"

bool stack_http(const struct stack *stack, const char *path, const char *key, const char *body,
                struct http_reply *ret_reply, struct error *ret_error)
{
    char url[512];
    char key_header[320];
    (void)snprintf(url, sizeof url, "%s%s", stack->api, path);
    (void)snprintf(key_header, sizeof key_header, "Idempotency-Key: %s", key == NULL ? "" : key);
    const char *const headers[] = {"Content-Type: application/json",
                                   key == NULL ? NULL : key_header, NULL};
    const struct http_request request = {
        .url = url, .headers = body == NULL ? NULL : headers, .body = body};
    return http_perform(&request, ret_reply, ret_error);
}

bool stack_metric(const struct stack *stack, const char *name, double *ret_value,
                  struct error *ret_error)
{
    struct http_reply reply;
    if (!stack_http(stack, "/metrics", NULL, NULL, &reply, ret_error)) {
        return false;
    }
    bool found = false;
    size_t length = strlen(name);
    for (const char *line = reply.body; line != NULL && !found;) {
        if (strncmp(line, name, length) == 0 && line[length] == ' ') {
            *ret_value = strtod(line + length + 1, NULL);
            found = true;
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    http_reply_done(&reply);
    return found || error_set(ret_error, ERROR_NOT_FOUND, "no metric is called %s", name);
}

/* Servers that are killed on purpose say so on every connection. */
static void swallow_notice(void *user, const char *text)
{
    (void)user;
    (void)text;
}

static bool connect_member(struct stack *stack, struct stack_member *member,
                           struct error *ret_error)
{
    if (member->connection != NULL && PQstatus(member->connection) == CONNECTION_OK) {
        return true;
    }
    PQfinish(member->connection);
    char *conninfo = pgcluster_conninfo_for(member->cluster, stack->database, "postgres");
    member->connection = PQconnectdb(conninfo);
    free(conninfo);
    (void)PQsetNoticeProcessor(member->connection, swallow_notice, NULL);
    return PQstatus(member->connection) == CONNECTION_OK ||
           error_set(ret_error, ERROR_UNAVAILABLE, "%s: %s", member->name,
                     PQerrorMessage(member->connection));
}

static bool run_sql(struct stack_member *member, const char *sql, char **ret_value,
                    struct error *ret_error)
{
    PGresult *result = PQexec(member->connection, sql);
    ExecStatusType status = PQresultStatus(result);
    bool succeeded = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    if (!succeeded) {
        (void)error_set(ret_error, ERROR_INVALID, "%s: %s", member->name,
                        PQerrorMessage(member->connection));
    } else if (ret_value != NULL) {
        bool has_value =
            PQntuples(result) > 0 && PQnfields(result) > 0 && !PQgetisnull(result, 0, 0);
        *ret_value = has_value ? alloc_string(PQgetvalue(result, 0, 0)) : NULL;
    }
    PQclear(result);
    return succeeded;
}

bool stack_sql(struct stack *stack, size_t participant, const char *sql, char **ret_value,
               struct error *ret_error)
{
    struct stack_member *member = &stack->members[participant];
    if (!connect_member(stack, member, ret_error)) {
        return false;
    }
    if (run_sql(member, sql, ret_value, ret_error)) {
        return true;
    }
    if (PQstatus(member->connection) == CONNECTION_OK) {
        return false; /* the statement's own fault */
    }
    /* The connection was lost, perhaps long ago, with a restart of the database: once more. */
    return connect_member(stack, member, ret_error) && run_sql(member, sql, ret_value, ret_error);
}

char *stack_agent_conninfo(const struct stack *stack, size_t participant)
{
    const struct stack_member *member = &stack->members[participant];
    return pgcluster_conninfo_for(member->cluster, stack->database, member->role);
}

int stack_prepared_count(struct stack *stack, size_t participant, const char *prefix)
{
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM pg_prepared_xacts WHERE starts_with(gid, '%s')", prefix);
    char *value = NULL;
    if (!stack_sql(stack, participant, sql, &value, NULL) || value == NULL) {
        return -1;
    }
    int count = atoi(value);
    free(value);
    return count;
}

int stack_prepared_total(struct stack *stack)
{
    int total = 0;
    for (size_t i = 0; i < stack->member_count; i++) {
        int count = stack_prepared_count(stack, i, "assent:");
        if (count < 0) {
            return -1;
        }
        total += count;
    }
    return total;
}

struct wholeness {
    struct stack *stack;
    uint64_t begin_ms;
    bool ready;
    int prepared;
    double live;
    double in_doubt;
    double waiting;
};

static bool is_whole(void *user)
{
    struct wholeness *whole = user;
    struct http_reply reply;
    whole->prepared = stack_prepared_total(whole->stack);
    whole->ready = stack_http(whole->stack, "/readyz", NULL, NULL, &reply, NULL);
    if (whole->ready) {
        whole->ready = reply.status == 200;
        http_reply_done(&reply);
    }
    return whole->ready && whole->prepared == 0 &&
           stack_metric(whole->stack, "assent_transactions_live", &whole->live, NULL) &&
           whole->live == 0 &&
           stack_metric(whole->stack, "assent_branches_in_doubt", &whole->in_doubt, NULL) &&
           whole->in_doubt == 0 &&
           stack_metric(whole->stack, "assent_accepted_waiting", &whole->waiting, NULL) &&
           whole->waiting == 0;
}

bool stack_wait_whole(struct stack *stack, uint64_t deadline_ms, struct error *ret_error)
{
    struct wholeness whole = {.stack = stack, .begin_ms = clock_monotonic_ms()};
    return stack_poll(stack_coordinator(stack), deadline_ms, is_whole, &whole) ||
           error_set(ret_error, ERROR_UNAVAILABLE,
                     "not healed after %llu ms: %s, %d prepared, %g unfinished, %g in doubt, %g "
                     "requests that wait",
                     (unsigned long long)(clock_monotonic_ms() - whole.begin_ms),
                     whole.ready ? "ready" : "not ready", whole.prepared, whole.live,
                     whole.in_doubt, whole.waiting);
}

bool stack_journal_verify(const struct stack *stack, struct error *ret_error)
{
    struct journal_report report;
    if (!journal_verify(stack->journal_path, &report, ret_error)) {
        return error_wrap(ret_error, "journal verify");
    }
    bool succeeded = !report.damaged || error_set(ret_error, ERROR_DAMAGED, "%s", report.damage);
    journal_report_done(&report);
    return succeeded;
}
