/*
 * http_route.c - see http_route.h.
 */
#include "coordinator/http_route.h"

#include <stdio.h>
#include <string.h>

#include "common/check.h"

static const struct route_row rows[ROUTE_COUNT] = {
    [ROUTE_SUBMIT] = {"POST", "/v1/transactions"},
    [ROUTE_LIST] = {"GET", "/v1/transactions"},
    [ROUTE_TRANSACTION] = {"GET", "/v1/transactions/{id}"},
    [ROUTE_EVENTS] = {"GET", "/v1/transactions/{id}/events"},
    [ROUTE_RESOLVE] = {"POST", "/v1/transactions/{id}/resolve"},
    [ROUTE_OPEN] = {"POST", "/v1/transactions/open"},
    [ROUTE_STATEMENT] = {"POST", "/v1/transactions/{id}/statements"},
    [ROUTE_COMMIT] = {"POST", "/v1/transactions/{id}/commit"},
    [ROUTE_ROLLBACK] = {"POST", "/v1/transactions/{id}/rollback"},
    [ROUTE_PARTICIPANTS] = {"GET", "/v1/participants"},
    [ROUTE_LIVE] = {"GET", "/livez"},
    [ROUTE_READY] = {"GET", "/readyz"},
    [ROUTE_METRICS] = {"GET", "/metrics"},
    [ROUTE_OPENAPI] = {"GET", "/openapi.json"},
};

const struct route_row *route_row(enum route route)
{
    CHECK(route > ROUTE_NONE && route < ROUTE_COUNT);
    return &rows[route];
}

/* Does path match the pattern? {id} stands for one segment, which goes to id (cut to what can be
 * valid). */
static bool path_matches(const char *pattern, const char *path, char id[GTRID_TEXT_SIZE])
{
    static const char placeholder[] = "{id}";
    const char *hole = strstr(pattern, placeholder);
    if (hole == NULL) {
        return strcmp(pattern, path) == 0;
    }
    const size_t before = (size_t)(hole - pattern);
    if (strncmp(pattern, path, before) != 0) {
        return false;
    }
    const char *segment = path + before;
    const size_t length = strcspn(segment, "/");
    if (length == 0 || strcmp(segment + length, hole + sizeof placeholder - 1) != 0) {
        return false;
    }
    (void)snprintf(id, GTRID_TEXT_SIZE, "%.*s", (int)(length < GTRID_TEXT_SIZE ? length : 1),
                   segment);
    return true;
}

static bool method_matches(const char *wanted, const char *method)
{
    return strcmp(wanted, method) == 0 ||
           (strcmp(wanted, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static const char *allow_text(bool has_get, bool has_post)
{
    return has_get && has_post ? "GET, HEAD, POST" : has_get ? "GET, HEAD" : "POST";
}

static bool path_is_written_out(const char *path)
{
    for (int route = ROUTE_NONE + 1; route < ROUTE_COUNT; route++) {
        if (strcmp(rows[route].path, path) == 0) {
            return true;
        }
    }
    return false;
}

bool route_find(const char *method, const char *path, enum route *ret_route,
                struct gtrid *ret_gtrid, struct problem *ret_problem)
{
    bool has_get = false;
    bool has_post = false;
    enum route found = ROUTE_NONE;
    char id[GTRID_TEXT_SIZE] = "";
    const bool is_written_out = path_is_written_out(path);
    for (int route = ROUTE_NONE + 1; route < ROUTE_COUNT; route++) {
        if (is_written_out ? strcmp(rows[route].path, path) == 0
                           : path_matches(rows[route].path, path, id)) {
            has_get = has_get || strcmp(rows[route].method, "GET") == 0;
            has_post = has_post || strcmp(rows[route].method, "POST") == 0;
            found = method_matches(rows[route].method, method) ? (enum route)route : found;
        }
    }
    if (!has_get && !has_post) {
        return problem_set(ret_problem, PROBLEM_NOT_FOUND, "no path %.200s (see /openapi.json)",
                           path);
    }
    struct gtrid gtrid = {0};
    if (id[0] != '\0' && !gtrid_parse(id, &gtrid)) {
        return problem_set(ret_problem, PROBLEM_UNKNOWN_TRANSACTION,
                           "\"%.100s\" is no transaction's id", id);
    }
    if (found == ROUTE_NONE) {
        problem_set(ret_problem, PROBLEM_METHOD_NOT_ALLOWED, "%.20s is not among %s", method,
                    allow_text(has_get, has_post));
        ret_problem->allow = allow_text(has_get, has_post);
        return false;
    }
    *ret_route = found;
    *ret_gtrid = gtrid;
    return true;
}

enum list_name { LIST_STATE, LIST_PARTICIPANT, LIST_KEY, LIST_LIMIT, LIST_AFTER, LIST_NAME_COUNT };

static const char *const list_names[LIST_NAME_COUNT] = {[LIST_STATE] = "state",
                                                        [LIST_PARTICIPANT] = "participant",
                                                        [LIST_KEY] = "key",
                                                        [LIST_LIMIT] = "limit",
                                                        [LIST_AFTER] = "after"};

void list_query_start(struct list_query *query)
{
    *query = (struct list_query){.list = {.any_state = true, .limit = LIST_LIMIT_DEFAULT}};
}

static bool limit_parse(const char *value, size_t *ret_limit)
{
    const size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > 4 || value[digits] != '\0') {
        return false;
    }
    size_t limit = 0;
    for (size_t i = 0; i < digits; i++) {
        limit = limit * 10 + (size_t)(value[i] - '0');
    }
    if (limit < 1 || limit > LIST_LIMIT_MAX) {
        return false;
    }
    *ret_limit = limit;
    return true;
}

static bool list_query_set(struct api_list *list, enum list_name name, const char *value,
                           size_t value_bytes, struct problem *ret_problem)
{
    switch (name) {
    case LIST_STATE:
        list->any_state = false;
        list->in_doubt = strcmp(value, "in-doubt") == 0;
        return list->in_doubt || txn_state_parse(value, &list->state) ||
               problem_set(ret_problem, PROBLEM_MALFORMED,
                           "query: state must be \"in-doubt\" or the name of a state");
    case LIST_PARTICIPANT:
        if (!participant_name_valid(value)) {
            return problem_set(ret_problem, PROBLEM_MALFORMED,
                               "query: no participant can have this name");
        }
        memcpy(list->participant, value, value_bytes + 1);
        return true;
    case LIST_KEY:
        if (value_bytes == 0 || value_bytes > KEY_MAX_BYTES) {
            return problem_set(ret_problem, PROBLEM_MALFORMED, "query: key must have 1 to %d bytes",
                               KEY_MAX_BYTES);
        }
        memcpy(list->key, value, value_bytes + 1);
        list->key_bytes = value_bytes;
        return true;
    case LIST_LIMIT:
        return limit_parse(value, &list->limit) ||
               problem_set(ret_problem, PROBLEM_MALFORMED, "query: limit must be from 1 to %d",
                           LIST_LIMIT_MAX);
    case LIST_AFTER:
        list->has_after = gtrid_parse(value, &list->after);
        return list->has_after || problem_set(ret_problem, PROBLEM_MALFORMED,
                                              "query: after must be a transaction's id");
    case LIST_NAME_COUNT:
        break;
    }
    CHECK(false);
    return false;
}

bool list_query_add(struct list_query *query, const char *name, const char *value,
                    size_t value_bytes, struct problem *ret_problem)
{
    for (int known = 0; known < LIST_NAME_COUNT; known++) {
        if (strcmp(list_names[known], name) != 0) {
            continue;
        }
        if ((query->seen & (1u << known)) != 0) {
            return problem_set(ret_problem, PROBLEM_MALFORMED, "query: %s appears twice", name);
        }
        query->seen |= 1u << known;
        if (value == NULL || strlen(value) != value_bytes) {
            return problem_set(ret_problem, PROBLEM_MALFORMED, "query: %s has no readable value",
                               name);
        }
        return list_query_set(&query->list, (enum list_name)known, value, value_bytes, ret_problem);
    }
    return problem_set(ret_problem, PROBLEM_MALFORMED, "query: unknown parameter \"%.60s\"", name);
}
