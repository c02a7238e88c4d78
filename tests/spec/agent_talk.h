/*
 * agent_talk.h - speaking to the agent's core in open branches (test_agent_harness.h), for the tests of P-22. The names are short
 * because the tests read as what coordinator and database say; for nobody else.
 */
#ifndef ASSENT_TESTS_SPEC_AGENT_TALK_H
#define ASSENT_TESTS_SPEC_AGENT_TALK_H

#include "tests/spec/test_agent_harness.h"

#define SEQUENCE 40u

/* A bench with one session, SESSION, welcomed. */
int talk_begin(void **state);
int talk_end(void **state);

/* The coordinator. */
void say_statement(struct bench *bench, uint64_t session, const struct gid *gid, uint64_t ordinal,
                   uint64_t remaining_ms);
void say_first(struct bench *bench, uint64_t sequence);
void say_prepare_as(struct bench *bench, uint64_t session, const struct gid *gid, uint64_t count,
                    uint64_t remaining_ms);
void say_prepare(struct bench *bench, const struct gid *gid, uint64_t count);

/* The database. */
void answer_ok(struct bench *bench, uint64_t command_id);
void close_ok(struct bench *bench);

/* A branch that has answered this many statements and waits for the next. */
struct gid open_branch(struct bench *bench, uint64_t sequence, uint64_t count);

/* What the last step handed out. */
const struct command_statement *ran(const struct bench *bench);
const struct message_answer *answer(const struct bench *bench);
const struct message_vote *vote(const struct bench *bench);
void assert_nothing_executed(const struct bench *bench);
void assert_gives_up(const struct bench *bench, enum reason reason); /* an open branch */

#endif
