/*
 * client_wait.h - who waits for the outcome of a transaction on the client edge: by gtrid, and by the end of his patience.
 *
 * A member of what waits (client_edge.c's contexts) and the set of all; used by the edge's own thread alone. Whoever is taken
 * out is asked about once more by the edge, so that what he is told is what a plain get would be told then; as in http_wait.c. Values
 * only: no calls, no nng, no clock.
 */
#ifndef ASSENT_COORDINATOR_CLIENT_WAIT_H
#define ASSENT_COORDINATOR_CLIENT_WAIT_H

#include "common/heap.h"
#include "common/map.h"
#include "coordinator/api.h"

struct client_wait {
    struct heap_node timer; /* first: a node is its wait */
    struct client_wait *next;
    struct client_wait *chosen; /* while they are taken out */
    struct gtrid gtrid;
    enum ack_mode ack;
    uint64_t by_ms;
    uint32_t connection; /* over which it came */
};

struct client_waits {    /* zero-initialised is empty */
    struct map by_gtrid; /* the first of each gtrid, the others behind it */
    struct heap timers;
};

void client_waits_done(struct client_waits *waits);

/* Until taken out; lends. All of the wait from gtrid on is set. */
void client_waits_add(struct client_waits *waits, struct client_wait *wait);

/* Each takes out whoever it is for, and returns them as a list (NULL: nobody): for whom this state is an outcome, whose connection
 * this is, whose time is up, everybody. */
struct client_wait *client_waits_take(struct client_waits *waits, const struct gtrid *gtrid,
                                      enum txn_state state);
struct client_wait *client_waits_take_of(struct client_waits *waits, uint32_t connection);
struct client_wait *client_waits_take_late(struct client_waits *waits, uint64_t now_ms);
struct client_wait *client_waits_take_all(struct client_waits *waits);

/* When the next one's time is up; UINT64_MAX: nobody waits. */
uint64_t client_waits_due_ms(const struct client_waits *waits);

#endif
