/*
 * coord_talk.h - speaking in open transactions to the coordinator's core (coord_world.h), for the tests of P-22. The names are short
 * because the tests read as what client and agents say to each other; for nobody else.
 */
#ifndef ASSENT_TESTS_SPEC_COORD_TALK_H
#define ASSENT_TESTS_SPEC_COORD_TALK_H

#include "tests/spec/coord_world.h"

#define TIMEOUT_MS 30000
#define ATTEMPT    77

/* A world of small limits: one finished transaction is remembered, 2 may be open, 5000 ms idle, 1000 bytes of results are kept,
 * and nobody runs into max_statements. */
int talk_begin(void **state);
int talk_end(void **state);

#define talk_test(test_) cmocka_unit_test_setup_teardown(test_, talk_begin, talk_end)

/* The client: each returns the number of its call. */
uint64_t open_call(struct world *world);
struct gtrid opened(struct world *world); /* and it was answered */
uint64_t say_as(struct world *world, struct interactive_statement statement,
                struct coord_prior prior);
uint64_t say(struct world *world, const struct gtrid *gtrid, const char *participant, uint64_t seq,
             uint8_t body);
uint64_t close_with(struct world *world, const struct gtrid *gtrid, bool commit,
                    struct coord_prior prior);
uint64_t commit_call(struct world *world, const struct gtrid *gtrid);
uint64_t rollback_call(struct world *world, const struct gtrid *gtrid);

/* The agents. */
void answer_as(struct world *world, const struct gid *gid, uint64_t ordinal, const char *results);
struct gid said(struct world *world, const struct gtrid *gtrid,
                const char *participant); /* a statement that is sent and answered */

/* What came of it. */
const struct message_statement *sent(const struct world *world); /* exactly one */
void assert_status(const struct world *world, uint64_t call, enum api_status status);
enum txn_state state_of(const struct world *world, const struct gtrid *gtrid);

#endif
