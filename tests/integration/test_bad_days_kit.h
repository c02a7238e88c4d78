/*
 * test_bad_days_kit.h - what the tests of the bad days share: two clusters per program, a new stack
 * for each test, checkouts that are followed by their rows.
 *
 * Functions that take a struct day fail the running test themselves.
 */
#ifndef ASSENT_TESTS_INTEGRATION_TEST_BAD_DAYS_KIT_H
#define ASSENT_TESTS_INTEGRATION_TEST_BAD_DAYS_KIT_H

#include "tests/lib/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "tests/lib/process.h"
#include "tests/lib/stack_checkout.h"

#define DAY_ORDER    0
#define DAY_PAYMENT  1
#define DAY_HEAL_MS  10000 /* the product's promise */
#define DAY_BALANCE  "100.00"
#define DAY_CLUSTERS 2

struct day {
    struct pgcluster *const *clusters;
    struct stack *stack;
    struct process *second; /* another assentd */
    char second_log[256];
    unsigned serial;
};

/* A checkout and what became of its first request. */
struct deal {
    char id[48], key[48], account[48];
    char *body;
    struct answer answer;
};

int day_clusters_make(void **state); /* group setup and teardown */
int day_clusters_free(void **state);
int day_begin(void **state);      /* a stack that runs */
int day_begin_idle(void **state); /* clusters only; the test makes its stack with day_stack */
int day_end(void **state);

#define day_test(test_)      cmocka_unit_test_setup_teardown(test_, day_begin, day_end)
#define day_test_idle(test_) cmocka_unit_test_setup_teardown(test_, day_begin_idle, day_end)

void day_stack(struct day *day, struct stack_options options); /* makes it; starts nothing */
void day_start(struct day *day);
uint64_t day_soon(void); /* a deadline for what should come at any moment */

/* shape: id and account are filled in. */
void deal_make(struct day *day, struct deal *deal, struct checkout shape);
void deal_submit(struct day *day, struct deal *deal);
void deal_expect(struct day *day, const struct deal *deal, enum told told, int times);
void deal_expect_rows(struct day *day, const struct deal *deal, int times);
/* Asks again with the same words and demands this outcome, and so many executions in all. */
void deal_again(struct day *day, const struct deal *deal, enum told told, int times);
void deal_done(struct deal *deal);

/* Submits it to an assentd that dies at this point (fault.h). */
void day_leave_at(struct day *day, struct deal *deal, const char *point);

void day_expect_whole(struct day *day); /* within DAY_HEAL_MS */
void day_wait_not_ready(struct day *day);
void day_wait_prepared(struct day *day, size_t participant, const char *prefix, int count);
void day_wait_log(struct day *day, struct stack_daemon *daemon, off_t offset, const char *text);
/* A member of a participant's entry in /v1/participants; waits until it has the value. */
void day_wait_participant(struct day *day, const char *name, const char *member, double value);

void day_sql(struct day *day, size_t participant, const char *sql);
/* The gid of the one prepared transaction of the stack's database. Returns owned. */
char *day_gid(struct day *day, size_t participant);

/* Waits for assentd's end by itself and gives its exit code. */
int day_exit_code(struct day *day, struct stack_daemon *daemon);

/* Runs a second assentd with this configuration to its end; its output is returned owned. */
char *day_run_assentd(struct day *day, const char *config_text, int *ret_exit_code);
/* The same, but it goes on until the end of the test. */
void day_second_start(struct day *day, const char *config_text);
void day_second_wait_log(struct day *day, const char *text);
/* assentd's configuration with other ports, and another journal (NULL: the same). Returns owned. */
char *day_other_config(struct day *day, const char *journal);

/* Copies a journal with its write-ahead log, as the daemons' user. */
void day_copy_journal(struct day *day, const char *from, const char *to);
void day_remove_journal(const char *path);

#endif
