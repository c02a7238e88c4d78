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
    [ROUTE_EXTERNAL] = {"POST", "/v1/transactions/{id}/branches"},
    [ROUTE_COMMIT] = {"POST", "/v1/transactions/{id}/commit"},
    [ROUTE_ROLLBACK] = {"POST", "/v1/transactions/{id}/rollback"},
    [ROUTE_STREAM] = {"GET", "/v1/stream"},
    [ROUTE_REQUEUE] = {"POST", "/v1/transactions/{id}/requeue"},
    [ROUTE_DROP] = {"POST", "/v1/transactions/{id}/drop"},
    [ROUTE_QUEUES] = {"GET", "/v1/queues"},
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

enum list_name {
    LIST_STATE,
    LIST_PARTICIPANT,
    LIST_KEY,
    LIST_LIMIT,
    LIST_AFTER,
    LIST_WAIT,
    LIST_ACK,
    LIST_NAME_COUNT
};

#define FOR(route) (1u << (route))

struct list_member {
    const char *name;
    unsigned routes; /* that take it */
};

static const struct list_member list_members[LIST_NAME_COUNT] = {
    [LIST_STATE] = {"state", FOR(ROUTE_LIST) | FOR(ROUTE_STREAM)},
    [LIST_PARTICIPANT] = {"participant", FOR(ROUTE_LIST) | FOR(ROUTE_STREAM)},
    [LIST_KEY] = {"key", FOR(ROUTE_LIST)},
    [LIST_LIMIT] = {"limit", FOR(ROUTE_LIST)},
    [LIST_AFTER] = {"after", FOR(ROUTE_LIST)},
    [LIST_WAIT] = {"wait", FOR(ROUTE_TRANSACTION)},
    [LIST_ACK] = {"ack", FOR(ROUTE_TRANSACTION)},
};

void list_query_start(struct list_query *query)
{
    *query = (struct list_query){.list = {.any_state = true, .limit = LIST_LIMIT_DEFAULT},
                                 .ack = ACK_MODE_COMPLETED};
}

static bool small_number_parse(const char *value, size_t least, size_t most, size_t *ret_number)
{
    const size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > 4 || value[digits] != '\0') {
        return false;
    }
    size_t number = 0;
    for (size_t i = 0; i < digits; i++) {
        number = number * 10 + (size_t)(value[i] - '0');
    }
    if (number < least || number > most) {
        return false;
    }
    *ret_number = number;
    return true;
}

static bool wait_parse(const char *value, uint32_t *ret_wait_s)
{
    size_t wait_s = 0;
    if (!small_number_parse(value, 0, WAIT_MAX_S, &wait_s)) {
        return false;
    }
    *ret_wait_s = (uint32_t)wait_s;
    return true;
}

static bool ack_parse(const char *value, enum ack_mode *ret_ack)
{
    const bool decided = strcmp(value, "decided") == 0;
    if (!decided && strcmp(value, "completed") != 0) {
        return false;
    }
    *ret_ack = decided ? ACK_MODE_DECIDED : ACK_MODE_COMPLETED;
    return true;
}

static bool list_query_set(struct list_query *query, enum route route, enum list_name name,
                           const char *value, size_t value_bytes, struct problem *ret_problem)
{
    struct api_list *list = &query->list;
    switch (name) {
    case LIST_STATE:
        list->any_state = false;
        list->in_doubt = strcmp(value, "in-doubt") == 0;
        if (list->in_doubt && route == ROUTE_STREAM) {
            return problem_set(ret_problem, PROBLEM_MALFORMED,
                               "query: \"in-doubt\" is no state: the stream takes the name of one");
        }
        return list->in_doubt || txn_state_parse(value, &list->state) ||
               problem_set(ret_problem, PROBLEM_MALFORMED,
                           "query: state must be %sthe name of a state",
                           route == ROUTE_LIST ? "\"in-doubt\" or " : "");
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
        return small_number_parse(value, 1, LIST_LIMIT_MAX, &list->limit) ||
               problem_set(ret_problem, PROBLEM_MALFORMED, "query: limit must be from 1 to %d",
                           LIST_LIMIT_MAX);
    case LIST_AFTER:
        list->has_after = gtrid_parse(value, &list->after);
        return list->has_after || problem_set(ret_problem, PROBLEM_MALFORMED,
                                              "query: after must be a transaction's id");
    case LIST_WAIT:
        return wait_parse(value, &query->wait_s) ||
               problem_set(ret_problem, PROBLEM_MALFORMED,
                           "query: wait must be a whole number of seconds from 0 to %d",
                           WAIT_MAX_S);
    case LIST_ACK:
        return ack_parse(value, &query->ack) ||
               problem_set(ret_problem, PROBLEM_MALFORMED,
                           "query: ack must be \"completed\" or \"decided\"");
    case LIST_NAME_COUNT:
        break;
    }
    CHECK(false);
    return false;
}

bool list_query_add(struct list_query *query, enum route route, const char *name, const char *value,
                    size_t value_bytes, struct problem *ret_problem)
{
    for (int known = 0; known < LIST_NAME_COUNT; known++) {
        if (strcmp(list_members[known].name, name) != 0 ||
            (list_members[known].routes & FOR(route)) == 0) {
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
        return list_query_set(query, route, (enum list_name)known, value, value_bytes, ret_problem);
    }
    return problem_set(ret_problem, PROBLEM_MALFORMED, "query: unknown parameter \"%.60s\"", name);
}
