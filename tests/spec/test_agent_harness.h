/*
 * test_agent_harness.h - drives the agent's pure core by hand: events in, what is ready out.
 *
 * Used by the test_agent_*.c files. After each step `ready` holds what that one step handed out.
 */
#ifndef ASSENT_TESTS_SPEC_TEST_AGENT_HARNESS_H
#define ASSENT_TESTS_SPEC_TEST_AGENT_HARNESS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

#include "common/alloc.h"
#include "participant/branch.h"

#define PARTICIPANT "order"
#define SESSION     7u
#define EPOCH       5u
#define NONCE       0x5eedu
#define FAR_AWAY    3600000u /* an hour: beyond every pace of the core */

struct bench {
    struct agent *agent;
    struct agent_ready ready;
    uint64_t now_ms;
    uint64_t random;
    uint64_t store_id;    /* the STORE_WITNESS that came last */
    uint64_t scan_id;     /* the SCAN that is not answered yet; 0: none */
    uint64_t outcomes_id; /* the OUTCOMES that is not answered yet; 0: none */
    /* What scans say beside their rows. */
    bool is_alone;
    uint64_t horizon_xid;
};

struct agent_config bench_config(void);
void bench_init(
    struct bench *bench); /* database up, nobody connected, first scan answered: no rows */
void bench_init_config(struct bench *bench, const struct agent_config *config);
void bench_done(struct bench *bench);

/* Steps; each clears what the step before handed out. */
void bench_step(struct bench *bench, struct agent_event *event);
void bench_status(struct bench *bench, enum health health, bool history_changed);
void bench_wait(struct bench *bench, uint64_t ms); /* one TIMER, that much later */
void bench_message(struct bench *bench, uint64_t session, struct message *message);
void bench_result(struct bench *bench, struct command_result *result);
/* A result with nothing but a class. */
void bench_answer(struct bench *bench, uint64_t command_id, enum command_kind kind,
                  enum pg_class class);

/* Answers the last STORE_WITNESS: after a change of history (P-14) the coordinator is heard again. */
void bench_stored(struct bench *bench);

/* The whole handshake of P-10 up to WELCOME. */
void bench_welcome(struct bench *bench, uint64_t session, uint64_t epoch, uint64_t nonce);
void bench_peer_up(struct bench *bench, uint64_t session);
void bench_claim(struct bench *bench, uint64_t session, uint64_t epoch, uint64_t nonce,
                 uint64_t head_number);

/* Names. */
struct journal_id bench_journal(void);
struct gtrid bench_gtrid(uint64_t sequence);
struct gid bench_gid(uint64_t sequence, uint64_t attempt);

/* Messages. */
void bench_work(struct bench *bench, uint64_t sequence);
void bench_work_as(struct bench *bench, uint64_t session, uint64_t sequence, uint64_t remaining_ms,
                   bool read_only, enum isolation isolation);
void bench_commit(struct bench *bench, const struct gid *gid);
void bench_rollback(struct bench *bench, const struct gid *gid);
void bench_rollback_all(struct bench *bench, const struct gtrid *gtrid);
void bench_verdict(struct bench *bench, const struct gid *gid, enum verdict verdict);

/* WORK, EXECUTE, PG_OK: a branch that this process voted yes for. */
struct gid bench_prepare(struct bench *bench, uint64_t sequence);
/* Runs the scan that falls due (waiting for it if need be) and answers it with these rows. */
void bench_scan(struct bench *bench, size_t row_count, const struct gid *gids, uint64_t age_ms);
void bench_scan_rows(struct bench *bench, size_t row_count,
                     struct prepared_row *rows); /* takes them */
void bench_scan_texts(struct bench *bench, size_t row_count, const char *const *gid_texts);

/* Two scans, after which no earlier process can have left anything unknown (is_settled). */
void bench_settle(struct bench *bench);
/* Answers the OUTCOMES that is out; they are compared in the order of their transaction ids, of which last_xid ends the page. */
void bench_outcomes(struct bench *bench, size_t row_count, const struct gid *gids,
                    uint64_t last_xid);

/* What the last step handed out. The ones without "no" fail the test if there is none. */
size_t bench_count_commands(const struct bench *bench, enum command_kind kind);
size_t bench_count_sends(const struct bench *bench, enum message_kind kind);
size_t bench_count_notices(const struct bench *bench, enum agent_notice_kind kind);
const struct command *bench_command(const struct bench *bench, enum command_kind kind);
const struct agent_send *bench_send(const struct bench *bench, enum message_kind kind);
struct agent_counters bench_counters(const struct bench *bench);

#endif
