/*
 * http_route.h - the table of paths and methods, and the query of GET /v1/transactions.
 *
 * Used by http_exchange.c; the test of docs/openapi.json walks the table too. Knows no connections.
 */
#ifndef ASSENT_COORDINATOR_HTTP_ROUTE_H
#define ASSENT_COORDINATOR_HTTP_ROUTE_H

#include "coordinator/api.h"
#include "coordinator/http_problem.h"

enum route {
    ROUTE_NONE = 0,
    ROUTE_SUBMIT,
    ROUTE_LIST,
    ROUTE_TRANSACTION,
    ROUTE_EVENTS,
    ROUTE_RESOLVE,
    ROUTE_OPEN, /* of an interactive transaction, and the four below */
    ROUTE_STATEMENT,
    ROUTE_EXTERNAL,
    ROUTE_COMMIT,
    ROUTE_ROLLBACK,
    ROUTE_STREAM,
    ROUTE_REQUEUE, /* of an accepted request, and the two below */
    ROUTE_DROP,
    ROUTE_QUEUES,
    ROUTE_PARTICIPANTS,
    ROUTE_LIVE,
    ROUTE_READY,
    ROUTE_METRICS,
    ROUTE_OPENAPI,
    ROUTE_COUNT,
};

struct route_row {
    const char *method; /* "GET" serves HEAD too */
    const char *path;   /* "/v1/transactions/{id}/events" */
};

const struct route_row *route_row(enum route route); /* lent; ROUTE_NONE is not allowed */

/* On failure the problem is a 404 or a 405. A malformed {id} is a 404: no transaction can have it. A path that is written out in the
 * table is no {id}. */
bool route_find(const char *method, const char *path, enum route *ret_route,
                struct gtrid *ret_gtrid, struct problem *ret_problem);

#define LIST_LIMIT_DEFAULT 100
#define LIST_LIMIT_MAX     1000

#define WAIT_MAX_S 60 /* as long as proxies usually let a request be silent */

/* Members of the query, added one by one; unknown, repeated or unreadable ones are 400, and so are those that the route does not
 * take: state, participant, key, limit and after are LIST's, state and participant also STREAM's, wait and ack TRANSACTION's. */
struct list_query {
    struct api_list list;
    uint32_t wait_s;
    enum ack_mode ack;
    unsigned seen; /* bit per known name */
};

void list_query_start(struct list_query *query);
bool list_query_add(struct list_query *query, enum route route, const char *name, const char *value,
                    size_t value_bytes, struct problem *ret_problem);

#endif
