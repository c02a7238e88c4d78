/*
 * coord_requests.h - accepted requests at the coordinator's core (coord_world.h): what clients, agents and operators say, for the
 * tests of queues (docs/adr/0017). The names are short because the tests read as a story; for nobody else.
 */
#ifndef ASSENT_TESTS_SPEC_COORD_REQUESTS_H
#define ASSENT_TESTS_SPEC_COORD_REQUESTS_H

#include "tests/spec/coord_world.h"

/* A submission over order alone, or over both, in a queue ("": none); accept_one is over order and content with a 202. Each returns
 * the number of its call. */
uint64_t accept_at(struct world *world, const char *queue, const char *key, uint8_t body,
                   bool is_async, size_t branch_count);
uint64_t accept_one(struct world *world, const char *queue, const char *key);
/* Accepted for good: its id. What the DURABLE step did stays in the world's ready. */
struct gtrid accepted(struct world *world, const char *queue, const char *key);
uint64_t act_on(struct world *world, const struct gtrid *id, enum request_act what);

/* The run whose WORK was just sent, over order: a vote; aborts for this reason; is decided (its COMMIT is handed over); has
 * committed everywhere. */
void say(struct world *world, const struct gtrid *run, enum vote vote, enum reason reason);
void fails(struct world *world, const struct gtrid *run, enum reason reason);
void decides(struct world *world, const struct gtrid *run);
void completes(struct world *world, const struct gtrid *run);

/* What came of it. */
enum txn_state state_of(const struct world *world, const struct gtrid *id);
bool is_known(const struct world *world, const struct gtrid *id);
size_t works(const struct world *world); /* WORK of the last step */
/* A list has just these requests, in this order. */
void lists(const struct world *world, const struct api_list *list, size_t count,
           const struct gtrid *const *ids);

/* An ACCEPT in epoch 1, over order; to be freed with record_done. And a world from such records, EPOCH not durable, nobody
 * connected. */
struct record accept_record(uint64_t sequence, const char *queue, const char *key);
void recover(struct world *world, const struct record *records, size_t count);

#endif
