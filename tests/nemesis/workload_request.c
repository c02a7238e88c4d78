/*
 * workload_request.c - a plan as a request of libassent, and as the history's micro-operations. See workload.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assent/assent.h"
#include "common/check.h"
#include "workload.h"

/* --- the request ------------------------------------------------------------------------------ */

/* One statement on its way into a request. */
struct statement {
    size_t database;
    const char *sql;
    size_t param_count;
    const char *const *params;
    int64_t rows; /* ASSENT_ANY_ROWS: any */
};

struct building {
    const struct run *run;
    const struct plan *plan;
    size_t statements[RUN_DATABASES_MAX]; /* so far, in each branch */
    /* One of these is made. */
    struct assent_request *request;
    json_t *branches[RUN_DATABASES_MAX]; /* arrays of statements; NULL: no such branch yet */
};

static void add_json(struct building *building, const struct statement *statement)
{
    json_t *params = json_array();
    for (size_t i = 0; i < statement->param_count; i++) {
        (void)json_array_append_new(
            params, statement->params[i] == NULL ? json_null() : json_string(statement->params[i]));
    }
    json_t *object = json_pack("{s:s,s:o}", "sql", statement->sql, "params", params);
    if (statement->rows != ASSENT_ANY_ROWS) {
        (void)json_object_set_new(object, "expect_rows", json_integer(statement->rows));
    }
    json_t **branch = &building->branches[statement->database];
    if (*branch == NULL) {
        *branch = json_array();
    }
    (void)json_array_append_new(*branch, object);
}

/* Mistakes stick to libassent's request (assent.h), so the result of an add needs no look. */
static size_t add_statement(struct building *building, size_t database, const char *sql,
                            size_t param_count, const char *const *params, int64_t rows)
{
    const struct statement statement = {database, sql, param_count, params, rows};
    if (building->request == NULL) {
        add_json(building, &statement);
    } else {
        (void)assent_request_add(building->request, building->run->world.names[database], sql,
                                 param_count, params, rows);
    }
    return building->statements[database]++;
}

static const char *statement_of(const struct plan *plan, const struct micro *micro)
{
    bool locking = plan->locking && (plan->read_only & 1U << micro->database) == 0;
    switch (micro->kind) {
    case MICRO_APPEND:
        return "UPDATE lists SET vals = vals || $2::bigint WHERE id = $1";
    case MICRO_WRITE:
        return "UPDATE registers SET v = $2::bigint, n = n + 1 WHERE id = $1 RETURNING n";
    case MICRO_READ_LIST:
        return !locking            ? "SELECT vals FROM lists WHERE id = $1"
               : micro->for_update ? "SELECT vals FROM lists WHERE id = $1 FOR UPDATE"
                                   : "SELECT vals FROM lists WHERE id = $1 FOR SHARE";
    case MICRO_READ_REGISTER:
        return !locking            ? "SELECT v, n FROM registers WHERE id = $1"
               : micro->for_update ? "SELECT v, n FROM registers WHERE id = $1 FOR UPDATE"
                                   : "SELECT v, n FROM registers WHERE id = $1 FOR SHARE";
    case MICRO_ADD:
        return micro->covered ? "UPDATE accounts SET balance = balance + $2::bigint WHERE id = $1"
                                " AND balance + $2::bigint >= 0"
                              : "UPDATE accounts SET balance = balance + $2::bigint WHERE id = $1";
    case MICRO_TOTAL:
        return locking ? "SELECT sum(balance)::bigint FROM"
                         " (SELECT balance FROM accounts ORDER BY id FOR SHARE) AS locked"
                       : "SELECT sum(balance)::bigint FROM accounts";
    case MICRO_EFFECT:
    case MICRO_REFUSED:
        break;
    }
    return micro->sql;
}

static void add_own(struct building *building, struct micro *micro)
{
    char v[24];
    const char *const params[] = {micro->k, v};
    const char *sql = statement_of(building->plan, micro);
    (void)snprintf(v, sizeof v, "%" PRId64, micro->v);
    switch (micro->kind) {
    case MICRO_APPEND:
    case MICRO_WRITE:
    case MICRO_ADD:
        micro->statement = add_statement(building, micro->database, sql, 2, params, 1);
        return;
    case MICRO_READ_LIST:
    case MICRO_READ_REGISTER:
        micro->statement =
            add_statement(building, micro->database, sql, 1, params, ASSENT_ANY_ROWS);
        return;
    case MICRO_TOTAL:
        micro->statement =
            add_statement(building, micro->database, sql, ASSENT_NO_PARAMS, ASSENT_ANY_ROWS);
        return;
    case MICRO_REFUSED: /* each of them touches one row, if any */
        micro->statement = add_statement(building, micro->database, sql, ASSENT_NO_PARAMS,
                                         strncmp(sql, "UPDATE", 6) == 0 ? 1 : ASSENT_ANY_ROWS);
        return;
    case MICRO_EFFECT:
        return; /* its row is all */
    }
}

static void add_effect(struct building *building, const struct micro *micro)
{
    char seq[16], v[24];
    (void)snprintf(seq, sizeof seq, "%d", micro->seq);
    (void)snprintf(v, sizeof v, "%" PRId64, micro->v);
    const char *const params[] = {building->plan->key, seq, micro->k[0] == '\0' ? NULL : micro->k,
                                  v};
    (void)add_statement(building, micro->database,
                        "INSERT INTO effects(key, seq, k, v) VALUES"
                        " ($1, $2::integer, $3::text, $4::bigint)",
                        4, params, 1);
}

static void add_all(struct building *building, struct plan *plan)
{
    for (size_t i = 0; i < plan->micro_count; i++) {
        struct micro *micro = &plan->micros[i];
        add_own(building, micro);
        if (micro->seq >= 0) {
            add_effect(building, micro);
        }
    }
}

struct assent_request *plan_request(struct run *run, struct plan *plan)
{
    struct building building = {.run = run, .request = assent_request_new(), .plan = plan};
    (void)assent_request_set_key(building.request, plan->key);
    (void)assent_request_set_timeout_ms(building.request, plan->timeout_ms);
    (void)assent_request_set_ack(building.request, plan->decided_is_enough ? ASSENT_ACK_DECIDED
                                                                           : ASSENT_ACK_COMPLETED);
    for (size_t i = 0; i < plan->micro_count && !plan->locking; i++) {
        (void)assent_request_set_isolation(
            building.request, run->world.names[plan->micros[i].database], ASSENT_REPEATABLE_READ);
    }
    add_all(&building, plan);
    for (size_t i = 0; i < run->world.database_count; i++) {
        if ((plan->read_only & 1U << i) != 0) {
            (void)assent_request_set_read_only(building.request, run->world.names[i], true);
        }
    }
    return building.request;
}

char *plan_body(struct run *run, struct plan *plan)
{
    struct building building = {.run = run, .plan = plan};
    add_all(&building, plan);
    json_t *branches = json_array();
    for (size_t i = 0; i < run->world.database_count; i++) {
        if (building.branches[i] != NULL) {
            (void)json_array_append_new(
                branches, json_pack("{s:s,s:o,s:s}", "participant", run->world.names[i],
                                    "statements", building.branches[i], "isolation",
                                    plan->locking ? "read committed" : "repeatable read"));
        }
    }
    json_t *body =
        json_pack("{s:o,s:i,s:s}", "branches", branches, "timeout_ms", (int)plan->timeout_ms, "ack",
                  plan->decided_is_enough ? "decided" : "completed");
    char *text = json_dumps(body, JSON_COMPACT);
    CHECK(text != NULL);
    json_decref(body);
    return text;
}

/* --- the history ------------------------------------------------------------------------------ */

static const char *value_at(const struct run *run, const struct micro *micro,
                            const struct assent_answer *answer, size_t column)
{
    const struct assent_result *result =
        assent_answer_result(answer, run->world.names[micro->database], micro->statement);
    return result == NULL ? NULL : assent_result_value(result, 0, column);
}

static void set_integer(json_t *op, const char *name, const char *text)
{
    json_t *value = text == NULL ? json_null() : json_integer(strtoll(text, NULL, 10));
    (void)json_object_set_new(op, name, value);
}

/* PostgreSQL writes bigint[] as {1,2,3}. */
static json_t *list_of(const char *text)
{
    json_t *list = json_array();
    const char *at = text == NULL || *text == '\0' ? "}" : text + 1;
    while (*at != '}' && *at != '\0') {
        char *end = NULL;
        (void)json_array_append_new(list, json_integer(strtoll(at, &end, 10)));
        if (end == at) {
            break; /* not a number: what is there is told as it is, short */
        }
        at = *end == ',' ? end + 1 : end;
    }
    return list;
}

static const char *function_of(enum micro_kind kind)
{
    switch (kind) {
    case MICRO_APPEND:
        return "append";
    case MICRO_WRITE:
        return "w";
    case MICRO_READ_LIST:
    case MICRO_READ_REGISTER:
        return "r";
    case MICRO_ADD:
        return "add";
    case MICRO_TOTAL:
        return "total";
    case MICRO_EFFECT:
        return "effect";
    case MICRO_REFUSED:
        break;
    }
    return NULL;
}

static void set_read(const struct run *run, const struct micro *micro,
                     const struct assent_answer *answer, json_t *op)
{
    switch (micro->kind) {
    case MICRO_READ_LIST:
        (void)json_object_set_new(op, "v", list_of(value_at(run, micro, answer, 0)));
        return;
    case MICRO_READ_REGISTER:
        set_integer(op, "v", value_at(run, micro, answer, 0));
        set_integer(op, "n", value_at(run, micro, answer, 1));
        return;
    case MICRO_WRITE:
        set_integer(op, "n", value_at(run, micro, answer, 0));
        return;
    case MICRO_TOTAL:
        set_integer(op, "v", value_at(run, micro, answer, 0));
        return;
    case MICRO_APPEND:
    case MICRO_ADD:
    case MICRO_EFFECT:
    case MICRO_REFUSED:
        return;
    }
}

json_t *plan_ops(struct run *run, const struct plan *plan, const struct assent_answer *committed)
{
    json_t *ops = json_array();
    for (size_t i = 0; i < plan->micro_count; i++) {
        const struct micro *micro = &plan->micros[i];
        const char *function = function_of(micro->kind);
        if (function == NULL) {
            continue;
        }
        json_t *op = json_pack("{s:s,s:s}", "f", function, "db", run->world.names[micro->database]);
        if (micro->k[0] != '\0') {
            (void)json_object_set_new(op, "k", json_string(micro->k));
        }
        if (micro->kind == MICRO_APPEND || micro->kind == MICRO_WRITE || micro->kind == MICRO_ADD ||
            micro->kind == MICRO_EFFECT) {
            (void)json_object_set_new(op, "v", json_integer(micro->v));
        }
        if (micro->seq >= 0) {
            (void)json_object_set_new(op, "seq", json_integer(micro->seq));
        }
        if (committed != NULL) {
            set_read(run, micro, committed, op);
        }
        (void)json_array_append_new(ops, op);
    }
    return ops;
}

void plan_digest(const struct plan *plan, char ret_digest[24])
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < plan->micro_count; i++) {
        const struct micro *micro = &plan->micros[i];
        char text[96];
        int length = snprintf(text, sizeof text, "%d %zu %s %" PRId64 " %d;", (int)micro->kind,
                              micro->database, micro->k, micro->v, micro->seq);
        for (int at = 0; at < length; at++) {
            hash = (hash ^ (unsigned char)text[at]) * UINT64_C(1099511628211);
        }
    }
    (void)snprintf(ret_digest, 24, "%016" PRIx64, hash);
}
