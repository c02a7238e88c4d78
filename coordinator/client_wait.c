/* client_wait.c - see client_wait.h. */
#include "coordinator/client_wait.h"

#include "common/check.h"

void client_waits_done(struct client_waits *waits)
{
    CHECK(waits->by_gtrid.count == 0);
    map_done(&waits->by_gtrid);
    heap_done(&waits->timers);
}

static bool match_gtrid(const void *value, const void *wanted)
{
    return gtrid_equal(&((const struct client_wait *)value)->gtrid, wanted);
}

static struct client_wait *first_of(const struct client_waits *waits, const struct gtrid *gtrid)
{
    return map_find(&waits->by_gtrid, gtrid_hash(gtrid), match_gtrid, gtrid);
}

void client_waits_add(struct client_waits *waits, struct client_wait *wait)
{
    struct client_wait *first = first_of(waits, &wait->gtrid);
    if (first != NULL) {
        wait->next = first->next;
        first->next = wait;
    } else {
        wait->next = NULL;
        map_insert(&waits->by_gtrid, gtrid_hash(&wait->gtrid), wait);
    }
    heap_node_init(&wait->timer);
    heap_set(&waits->timers, &wait->timer, wait->by_ms);
}

static void take_out(struct client_waits *waits, struct client_wait *wait)
{
    struct client_wait *first = first_of(waits, &wait->gtrid);
    CHECK(first != NULL);
    if (first == wait) {
        CHECK(map_remove(&waits->by_gtrid, gtrid_hash(&wait->gtrid), wait));
        if (wait->next != NULL) {
            map_insert(&waits->by_gtrid, gtrid_hash(&wait->gtrid), wait->next);
        }
    } else {
        struct client_wait *before = first;
        while (before->next != wait) {
            before = before->next;
            CHECK(before != NULL);
        }
        before->next = wait->next;
    }
    heap_set(&waits->timers, &wait->timer, UINT64_MAX);
    wait->next = NULL;
}

struct client_wait *client_waits_take(struct client_waits *waits, const struct gtrid *gtrid,
                                      enum txn_state state)
{
    struct client_wait *taken = NULL;
    struct client_wait *next = NULL;
    for (struct client_wait *wait = first_of(waits, gtrid); wait != NULL; wait = next) {
        next = wait->next;
        if (api_is_awaited(state, wait->ack)) {
            take_out(waits, wait);
            wait->next = taken;
            taken = wait;
        }
    }
    return taken;
}

/* Looks at all of them: there are few, and connections seldom end. */
struct client_wait *client_waits_take_of(struct client_waits *waits, uint32_t connection)
{
    struct client_wait *mine = NULL;
    struct client_wait *taken = NULL;
    struct client_wait *next = NULL;
    for (size_t i = 0; i < waits->timers.count; i++) {
        struct client_wait *wait = (struct client_wait *)waits->timers.nodes[i];
        if (wait->connection == connection) { /* taking it out would move the others */
            wait->chosen = mine;
            mine = wait;
        }
    }
    for (struct client_wait *wait = mine; wait != NULL; wait = next) {
        next = wait->chosen;
        take_out(waits, wait);
        wait->next = taken;
        taken = wait;
    }
    return taken;
}

struct client_wait *client_waits_take_late(struct client_waits *waits, uint64_t now_ms)
{
    struct client_wait *taken = NULL;
    while (client_waits_due_ms(waits) <= now_ms && waits->timers.count > 0) {
        struct client_wait *wait = (struct client_wait *)heap_first(&waits->timers);
        take_out(waits, wait);
        wait->next = taken;
        taken = wait;
    }
    return taken;
}

struct client_wait *client_waits_take_all(struct client_waits *waits)
{
    return client_waits_take_late(waits, UINT64_MAX);
}

uint64_t client_waits_due_ms(const struct client_waits *waits)
{
    const struct heap_node *first = heap_first(&waits->timers);
    return first == NULL ? UINT64_MAX : first->due_ms;
}
