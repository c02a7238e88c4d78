/*
 * test_interactive_kit.h - what the tests of interactive transactions over HTTP share: a stack with notes in both databases, speaking
 * in a transaction, and looking at what is left of it.
 *
 * Functions that take a struct day fail the running test themselves.
 */
#ifndef ASSENT_TESTS_INTEGRATION_TEST_INTERACTIVE_KIT_H
#define ASSENT_TESTS_INTEGRATION_TEST_INTERACTIVE_KIT_H

#include "test_bad_days_kit.h"

/* A transaction, and the paths at which it is spoken to. */
struct talk {
    char id[160];
    char statements[256], commit[256], rollback[256], look[256];
};

/* Most tests leave a stack as they found it, and it takes seconds to make one: they share it, and `notes` is empty. */
int talk_begin(void **state);
int talk_end(void **state);
/* With a stack of its own (talk_stack), and without the shared one: once its agents have opened every connection that they may, a
 * cluster has too few left for another stack. These come last. */
int talk_begin_alone(void **state);
int talk_group_end(void **state);

#define talk_test(test_)       cmocka_unit_test_setup_teardown(test_, talk_begin, talk_end)
#define talk_test_alone(test_) cmocka_unit_test_setup_teardown(test_, talk_begin_alone, day_end)

void talk_stack(struct day *day, struct stack_options options);

struct http_reply talk_post(struct day *day, const char *path, const char *body);
/* The body of the answer, owned, which must have this status and, where it is a problem, this slug. */
char *talk_ask(struct day *day, const char *path, const char *body, int status, const char *slug);
void talk_expect(struct day *day, const char *path, const char *body, int status, const char *slug,
                 const char *said);

void talk_open(struct day *day, struct talk *talk, uint32_t timeout_ms);
/* An INSERT of a note; seq 0: without. */
void talk_note_body(char *ret_body, size_t size_bytes, size_t participant, const char *note,
                    unsigned seq);
void talk_note(struct day *day, const struct talk *talk, size_t participant, const char *note,
               unsigned seq);
void talk_in_both(struct day *day, struct talk *talk, const char *note); /* with seq 1 and 2 */

int talk_number(struct day *day, size_t participant, const char *sql);
void talk_expect_notes(struct day *day, const char *note, int count); /* in each database */
bool talk_is_nothing_open(
    void *day); /* no agent's session is within a transaction, nothing is locked */
/* Nothing is open, prepared, or in doubt: all of it within the time in which everything heals. */
void talk_expect_nothing_left(struct day *day);
/* The coordinator dies at the commit of what `begin` leaves to be decided, with a note in each database: before its decision is
 * written nothing remains of it, after that all of it. */
void talk_expect_killed_at_the_decision(struct day *day,
                                        void (*begin)(struct day *day, struct talk *talk,
                                                      const char *note));
void talk_wait_state(struct day *day, const struct talk *talk, const char *state);

#endif
