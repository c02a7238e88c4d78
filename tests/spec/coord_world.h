/*
 * coord_world.h - a table-top around the coordinator's core for its spec tests: events in, ready out, nothing else.
 *
 * Time stands still unless a test moves it; nothing becomes durable unless a test says so. The structural law
 * (nothing that depends on a record leaves with it) is checked after every step for COMMIT records.
 */
#ifndef ASSENT_TESTS_SPEC_COORD_WORLD_H
#define ASSENT_TESTS_SPEC_COORD_WORLD_H

#include "coordinator/core.h"

struct world {
    struct coord *coord;
    struct coord_ready ready;
    struct coord_config config;
    struct journal_state state; /* of the journal it was started from */
    uint64_t now_ms;
    uint64_t last_token; /* handed to the journal */
    uint64_t next_session;
    uint64_t order_session, payment_session;
    uint64_t next_call;
};

struct pair { /* one transaction over both participants */
    uint64_t call;
    struct gid order, payment;
};

/* A coordinator over participants order and payment, started on an empty journal, EPOCH durable, both ready. */
void world_init(struct world *world);
void world_init_limited(struct world *world, uint32_t max_active);
void world_init_with(struct world *world,
                     struct coord_config limits); /* journal and address are the world's */
/* The same, from what a journal holds; EPOCH is not durable yet and nobody is connected. */
void world_init_from(struct world *world, const struct journal_state *state,
                     const struct record *records, size_t count);
void world_done(struct world *world);

/* Each clears the ready first, so that the test sees what this one event did. */
void world_step(struct world *world, struct coord_event *event);
void world_tick(struct world *world, uint64_t ms); /* time passes, then TIMER */
void world_durable(struct world *world);           /* everything handed over so far */
uint64_t world_submit(struct world *world, const char *key, uint8_t body);
uint64_t world_submit_with(struct world *world, const char *key, uint8_t body, enum ack_mode ack,
                           bool payment_read_only);
void world_message(struct world *world, const char *participant, uint64_t session,
                   struct message *message);
uint64_t world_witness(struct world *world, const char *participant); /* up, witness */
uint64_t world_connect(struct world *world, const char *participant); /* up, witness, welcome */
void world_disconnect(struct world *world, uint64_t session);

struct gid world_gid(const struct gtrid *gtrid, const char *participant, uint64_t attempt);
void world_vote(struct world *world, const char *participant, const struct gid *gid,
                enum vote vote);
void world_ack(struct world *world, const char *participant, const struct gid *gid, enum ack ack);
enum verdict world_inquire(struct world *world, const char *participant, const struct gid *gid,
                           const struct journal_entry *entry);

/* A transaction over both: its WORK sent; both votes yes, so that COMMIT is handed over; and COMMIT durable. */
struct pair world_begin(struct world *world, const char *key);
struct pair world_decided(struct world *world, const char *key);
struct pair world_committing(struct world *world, const char *key);

/* What the last step did. */
size_t world_count_sends(const struct world *world, enum message_kind kind);
const struct message *world_send(const struct world *world, enum message_kind kind, size_t index);
size_t world_count_appends(const struct world *world, enum record_kind kind);
const struct record *world_append(const struct world *world, enum record_kind kind);
const struct api_answer *world_answer(const struct world *world, uint64_t call);
struct gtrid world_last_gtrid(const struct world *world); /* of the WORK just sent */

#endif
