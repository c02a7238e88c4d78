/* test_agent_statement.c - P-22 in the agent's core, more properties that hang on one line each: who is heard, what is said about a
 * branch that is over, and what ends one. Each test here was written for an automatic mutant that no other test noticed
 * (tests/mutants/). */
#include "tests/spec/agent_talk.h"

static void session_down(struct bench *bench, uint64_t session)
{
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = session};
    bench_step(bench, &down);
}

/* PREPARE, PG_OK: a branch that this process voted yes for. */
static void prepare_ok(struct bench *bench, const struct gid *gid, uint64_t count)
{
    say_prepare(bench, gid, count);
    bench_answer(bench, bench_command(bench, COMMAND_PREPARE)->id, COMMAND_PREPARE, PG_OK);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
}

/* ---- what ends a branch ---- */

/* P-20: a rollback that names another attempt decides the transaction all the same: what is open of it, or runs, only holds
 * locks, and is ended at once. */
static void test_agent_p20_rollback_of_another_attempt_ends_open_ones(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    struct gid other = bench_gid(SEQUENCE, gid.attempt + 1);
    bench_rollback(bench, &other);
    assert_true(gid_equal(&bench_command(bench, COMMAND_CLOSE)->as.close, &gid));
    close_ok(bench);
    say_first(bench, SEQUENCE + 1);
    gid = ran(bench)->execute.gid;
    other = bench_gid(SEQUENCE + 1, gid.attempt + 1);
    bench_rollback(bench, &other);
    assert_true(gid_equal(&bench_command(bench, COMMAND_CANCEL)->as.cancel, &gid));
}

/* P-22: a PREPARE that counts a statement which still runs ends the branch: its coordinator cannot have the answer, so it is not
 * the one that sent the statement. Prepared beside the statement, half of it could commit. */
static void test_agent_p22_prepare_before_the_answer_votes_no(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    say_statement(bench, SESSION, &gid, 2, 5000);
    say_prepare(bench, &gid, 2);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
    assert_int_equal(bench_count_commands(bench, COMMAND_CANCEL), 1);
}

/* A newer session of the same coordinator takes over: what began on the older one ends with that, and does not hold its locks
 * until somebody asks for it. P-10: the older one, which speaks for nobody any more, gets no vote. */
static void test_agent_p22_newer_session_ends_open_branches(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    bench_welcome(bench, SESSION + 1, EPOCH, NONCE);
    assert_true(gid_equal(&bench_command(bench, COMMAND_CLOSE)->as.close, &gid));
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
}

/* The late end of the older session does not touch what began on the newer one. */
static void test_agent_p22_end_of_another_session_ends_nothing(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION + 1, EPOCH, NONCE);
    struct gid none = bench_gid(SEQUENCE, 0);
    say_statement(bench, SESSION + 1, &none, 1, 5000);
    uint64_t id = bench_command(bench, COMMAND_STATEMENT)->id;
    session_down(bench, SESSION);
    assert_int_equal(bench->ready.command_count, 0);
    answer_ok(bench, id);
    assert_int_equal(bench_send(bench, MESSAGE_ANSWER)->session, SESSION + 1);
}

/* P-15: PREPARE may bring the deadline closer, and never moves it on. */
static void test_agent_p15_prepare_keeps_the_earlier_deadline(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    say_prepare_as(bench, SESSION, &gid, 1, 2000);
    assert_int_equal(bench_command(bench, COMMAND_PREPARE)->as.prepare.deadline_ms,
                     bench->now_ms + 2000);
    gid = open_branch(bench, SEQUENCE + 1, 1);
    say_prepare_as(bench, SESSION, &gid, 1, FAR_AWAY);
    assert_int_equal(bench_command(bench, COMMAND_PREPARE)->as.prepare.deadline_ms,
                     bench->now_ms + 5000);
}

/* ---- what is said of a branch that takes no statements ---- */

/* P-7: a yes is repeated to who asks for it with PREPARE on the session that it was given on. A copy of a statement asks for
 * nothing, and another session's coordinator could not count it. */
static void test_agent_p07_yes_is_repeated_to_its_session_alone(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 2);
    prepare_ok(bench, &gid, 2);
    say_statement(bench, SESSION, &gid, 2, 5000);
    assert_nothing_executed(bench);
    assert_int_equal(bench->ready.send_count, 0);
    bench_welcome(bench, SESSION + 1, EPOCH, NONCE);
    say_prepare_as(bench, SESSION + 1, &gid, 2, 5000);
    assert_nothing_executed(bench);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
}

/* What was committed does not vote again: a late copy of PREPARE gets no yes for something that is over. */
static void test_agent_p07_what_has_committed_does_not_vote_again(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    prepare_ok(bench, &gid, 1);
    bench_commit(bench, &gid);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_COMMITTED);
    say_prepare(bench, &gid, 1);
    assert_nothing_executed(bench);
    assert_int_equal(bench->ready.send_count, 0);
}

/* What is being rolled back by its coordinator's word has not voted, so there is no vote to repeat. */
static void test_agent_p22_rolled_back_branch_has_no_vote_to_repeat(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    bench_rollback(bench, &gid);
    uint64_t close_id = bench_command(bench, COMMAND_CLOSE)->id;
    say_statement(bench, SESSION, &gid, 2, 5000);
    assert_nothing_executed(bench);
    assert_int_equal(bench->ready.send_count, 0);
    say_prepare(bench, &gid, 1);
    assert_nothing_executed(bench);
    assert_int_equal(bench->ready.send_count, 0);
    bench_answer(bench, close_id, COMMAND_CLOSE, PG_OK);
    say_prepare(bench, &gid, 1);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
}

/* An agent that is ending says so, also while every connection for open branches is taken: who hears of a lack of connections would
 * try again here. */
static void test_agent_p22_drain_is_told_before_the_limit(void **state)
{
    struct bench *bench = *state;
    (void)open_branch(bench, SEQUENCE, 1);
    (void)open_branch(bench, SEQUENCE + 1, 1);
    say_first(bench, SEQUENCE + 2);
    assert_int_equal(vote(bench)->failure.reason, REASON_CAPACITY);
    struct agent_event drain = {.kind = AGENT_EVENT_DRAIN};
    bench_step(bench, &drain);
    assert_int_equal(bench_count_commands(bench, COMMAND_CLOSE), 2);
    say_first(bench, SEQUENCE + 3);
    assert_int_equal(vote(bench)->failure.reason, REASON_SHUTDOWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_agent_##name, talk_begin, talk_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(p20_rollback_of_another_attempt_ends_open_ones),
        TEST(p22_prepare_before_the_answer_votes_no),
        TEST(p22_newer_session_ends_open_branches),
        TEST(p22_end_of_another_session_ends_nothing),
        TEST(p15_prepare_keeps_the_earlier_deadline),
        TEST(p07_yes_is_repeated_to_its_session_alone),
        TEST(p07_what_has_committed_does_not_vote_again),
        TEST(p22_rolled_back_branch_has_no_vote_to_repeat),
        TEST(p22_drain_is_told_before_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
