/* test_agent_votes.c - P-2, P-3, P-7, P-9, P-15, P-19 and P-20 in the agent's core: WORK in, votes
 * out. */
#include "tests/spec/test_agent_harness.h"

static int set_up(void **state)
{
    struct bench *bench = alloc_zeroed(sizeof(*bench));
    bench_init(bench);
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    bench_done(*state);
    free(*state);
    return 0;
}

static const struct message_vote *vote(const struct bench *bench)
{
    return &bench_send(bench, MESSAGE_VOTE)->message.as.vote;
}

/* P-2: whatever EXECUTE ends in but PG_OK, the vote is not yes. */
static void test_agent_p2_doubtful_execute_never_votes_yes(void **state)
{
    struct bench *bench = *state;
    const struct {
        enum pg_class class;
        enum vote vote;
    } cases[] = {{PG_ROLLED_BACK, VOTE_ABORT},
                 {PG_NOT_FOUND, VOTE_UNKNOWN},
                 {PG_RETRY, VOTE_UNKNOWN},
                 {PG_REFUSED, VOTE_UNKNOWN},
                 {PG_UNKNOWN, VOTE_UNKNOWN}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bench_work(bench, i + 1);
        bench_answer(bench, bench_command(bench, COMMAND_EXECUTE)->id, COMMAND_EXECUTE,
                     cases[i].class);
        assert_int_equal(vote(bench)->vote, cases[i].vote);
    }
    assert_int_equal(bench_counters(bench).votes_yes, 0);
}

/* P-2: a no carries the reason and what PostgreSQL said, unchanged. */
static void test_agent_p2_failed_statement_votes_no_with_its_failure(void **state)
{
    struct bench *bench = *state;
    bench_work(bench, 1);
    struct command_result result = {
        .id = bench_command(bench, COMMAND_EXECUTE)->id,
        .kind = COMMAND_EXECUTE,
        .class = PG_ROLLED_BACK,
        .failure = {.reason = REASON_CONSTRAINT,
                    .sqlstate = "23505",
                    .report = blob_new("report", 6)},
    };
    bench_result(bench, &result);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
    assert_int_equal(vote(bench)->failure.reason, REASON_CONSTRAINT);
    assert_string_equal(vote(bench)->failure.sqlstate, "23505");
    assert_non_null(vote(bench)->failure.report);
    /* Asked again (the vote was lost), it says the same and executes nothing. */
    bench_work(bench, 1);
    assert_int_equal(vote(bench)->failure.reason, REASON_CONSTRAINT);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
}

/* P-3: no vote leaves before EXECUTE has answered, and a yes carries gid, proof and results. */
static void test_agent_p3_yes_comes_only_with_the_result(void **state)
{
    struct bench *bench = *state;
    bench_work(bench, 1);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    const struct command *command = bench_command(bench, COMMAND_EXECUTE);
    struct gid gid = command->as.execute.gid;
    assert_non_null(command->as.execute.work);
    struct command_result result = {.id = command->id,
                                    .kind = COMMAND_EXECUTE,
                                    .class = PG_OK,
                                    .proof = {.kind = PROOF_ROW, .xid8 = 9},
                                    .results = blob_new("r", 1)};
    bench_wait(bench, 100);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    bench_result(bench, &result);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
    assert_true(gid_equal(&vote(bench)->gid, &gid));
    assert_int_equal(vote(bench)->proof.xid8, 9);
    assert_non_null(vote(bench)->results);
}

/* P-3: a prepared row that is only found is VOTE_UNKNOWN, whoever asks. */
static void test_agent_p3_found_row_is_never_a_yes(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(3, 99);
    bench_scan(bench, 1, &gid, 10);
    bench_work(bench, 3);
    assert_int_equal(vote(bench)->vote, VOTE_UNKNOWN);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
}

/* P-7: WORK that comes again while it runs is not executed twice; after the vote, the vote is
 * repeated. */
static void test_agent_p7_repeated_work_repeats_the_vote(void **state)
{
    struct bench *bench = *state;
    bench_work(bench, 1);
    const struct command *command = bench_command(bench, COMMAND_EXECUTE);
    struct command_result result = {
        .id = command->id, .kind = COMMAND_EXECUTE, .class = PG_OK, .results = blob_new("r", 1)};
    struct gid gid = command->as.execute.gid;
    bench_work(bench, 1);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    bench_result(bench, &result);
    bench_work(bench, 1);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
    assert_true(gid_equal(&vote(bench)->gid, &gid));
    assert_non_null(vote(bench)->results);
}

/* P-7: a vote goes to the session that its WORK came on, and to no later one. */
static void test_agent_p7_vote_is_not_given_to_another_session(void **state)
{
    struct bench *bench = *state;
    bench_work(bench, 1);
    uint64_t id = bench_command(bench, COMMAND_EXECUTE)->id;
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    bench_welcome(bench, SESSION + 1, EPOCH, NONCE);
    bench_answer(bench, id, COMMAND_EXECUTE, PG_OK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
}

static void session_end(struct bench *bench)
{
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
}

/* P-2: no session that comes later may hear the vote, so a branch that has not voted when its session ends is rolled back
 * then, and holds no lock until somebody can be asked. It may have prepared before the cancel came. */
static void test_agent_p2_end_of_the_session_rolls_back_what_has_not_voted(void **state)
{
    const enum pg_class ends[] = {PG_ROLLED_BACK, PG_OK, PG_UNKNOWN};
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        bench_work(bench, i + 1);
        const struct command *execute = bench_command(bench, COMMAND_EXECUTE);
        uint64_t id = execute->id;
        struct gid gid = execute->as.execute.gid;
        session_end(bench);
        assert_true(gid_equal(&bench_command(bench, COMMAND_CANCEL)->as.cancel, &gid));
        bench_answer(bench, id, COMMAND_EXECUTE, ends[i]);
        assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
        if (ends[i] == PG_UNKNOWN) { /* P-11: nothing is said before it is certain */
            bench_answer(bench, bench_command(bench, COMMAND_LOOK)->id, COMMAND_LOOK, PG_NOT_FOUND);
            struct command_result proved = {.id = bench_command(bench, COMMAND_PROVE)->id,
                                            .kind = COMMAND_PROVE,
                                            .class = PG_OK,
                                            .proved = PROOF_SAYS_ABSENT};
            bench_result(bench, &proved);
        } else if (ends[i] == PG_OK) {
            const struct command *finish = bench_command(bench, COMMAND_FINISH);
            assert_true(gid_equal(&finish->as.finish.gid, &gid));
            assert_false(finish->as.finish.commit);
            bench_answer(bench, finish->id, COMMAND_FINISH, PG_OK);
        }
        assert_int_equal(bench_counters(bench).branches_live, 0);
        bench_welcome(bench, SESSION, EPOCH, NONCE);
    }
}

/* P-2: the same where a newer session of its coordinator takes over before the old one's end is noticed. */
static void test_agent_p2_newer_session_rolls_back_what_has_not_voted(void **state)
{
    struct bench *bench = *state;
    bench_work(bench, 1);
    struct gid gid = bench_command(bench, COMMAND_EXECUTE)->as.execute.gid;
    bench_peer_up(bench, SESSION + 1);
    bench_answer(bench, bench_command(bench, COMMAND_LOAD_WITNESS)->id, COMMAND_LOAD_WITNESS,
                 PG_OK);
    bench_claim(bench, SESSION + 1, EPOCH, NONCE, 10);
    assert_int_equal(bench_count_commands(bench, COMMAND_CANCEL),
                     0); /* its claim is not stored yet */
    bench_stored(bench);
    assert_true(gid_equal(&bench_command(bench, COMMAND_CANCEL)->as.cancel, &gid));
}

/* P-6: what has voted yes waits, whoever is gone. */
static void test_agent_p6_end_of_the_session_leaves_what_voted_yes(void **state)
{
    struct bench *bench = *state;
    (void)bench_prepare(bench, 1);
    session_end(bench);
    bench_wait(bench, FAR_AWAY);
    assert_int_equal(bench_count_commands(bench, COMMAND_CANCEL), 0);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    assert_int_equal(bench_counters(bench).branches_live, 1);
}

/* P-9: WORK that its abort overtook is refused and never executed. */
static void test_agent_p9_work_after_its_rollback_is_refused(void **state)
{
    struct bench *bench = *state;
    struct gtrid gtrid = bench_gtrid(4);
    bench_rollback_all(bench, &gtrid);
    bench_answer(bench, bench_command(bench, COMMAND_LOOK)->id, COMMAND_LOOK, PG_NOT_FOUND);
    bench_work(bench, 4);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
    assert_int_equal(vote(bench)->gid.attempt, 0);
}

/* P-9: tombstones are bounded; the oldest go first. */
static void test_agent_p9_tombstones_are_bounded(void **state)
{
    (void)state;
    struct bench bench;
    struct agent_config config = bench_config();
    config.tombstone_max = 2;
    bench_init_config(&bench, &config);
    bench_welcome(&bench, SESSION, EPOCH, NONCE);
    for (uint64_t sequence = 1; sequence <= 3; sequence++) {
        struct gtrid gtrid = bench_gtrid(sequence);
        bench_rollback_all(&bench, &gtrid);
        bench_answer(&bench, bench_command(&bench, COMMAND_LOOK)->id, COMMAND_LOOK, PG_NOT_FOUND);
    }
    assert_int_equal(bench_counters(&bench).tombstones, 2);
    bench_work(&bench, 3);
    assert_int_equal(bench_count_commands(&bench, COMMAND_EXECUTE), 0);
    bench_work(&bench, 1);
    assert_int_equal(bench_count_commands(&bench, COMMAND_EXECUTE), 1);
    bench_done(&bench);
}

/* P-15: WORK whose time is up on arrival is not begun, and EXECUTE's deadline is the arrival plus
 * what remained. */
static void test_agent_p15_deadline_is_carried_as_time_remaining(void **state)
{
    struct bench *bench = *state;
    bench_work_as(bench, SESSION, 1, 0, false, ISOLATION_READ_COMMITTED);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
    assert_int_equal(vote(bench)->failure.reason, REASON_TIMEOUT);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
    bench_work_as(bench, SESSION, 2, 700, false, ISOLATION_READ_COMMITTED);
    assert_int_equal(bench_command(bench, COMMAND_EXECUTE)->as.execute.deadline_ms,
                     bench->now_ms + 700);
}

/* P-19: a read-only branch votes read-only and leaves nothing to finish; a serializable one is
 * prepared, and still told to be read-only. */
static void test_agent_p19_read_only_branch_is_not_prepared(void **state)
{
    struct bench *bench = *state;
    bench_work_as(bench, SESSION, 1, 5000, true, ISOLATION_READ_COMMITTED);
    const struct command *command = bench_command(bench, COMMAND_EXECUTE);
    assert_true(command->as.execute.read_only);
    bench_answer(bench, command->id, COMMAND_EXECUTE, PG_OK);
    assert_int_equal(vote(bench)->vote, VOTE_READONLY);
    assert_int_equal(bench_counters(bench).branches_live, 0);
    bench_work_as(bench, SESSION, 2, 5000, true, ISOLATION_SERIALIZABLE);
    command = bench_command(bench, COMMAND_EXECUTE);
    assert_true(command->as.execute.read_only);
    assert_int_equal(command->as.execute.isolation, ISOLATION_SERIALIZABLE);
    bench_answer(bench, command->id, COMMAND_EXECUTE, PG_OK);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
}

/* P-20: every execution has an attempt of its own, never 0, and not made from the clock. */
static void test_agent_p20_each_execution_has_a_new_attempt(void **state)
{
    struct bench *bench = *state;
    struct gid last = {0};
    for (uint64_t sequence = 1; sequence <= 50; sequence++) {
        bench_work(bench, sequence);
        struct gid gid = bench_command(bench, COMMAND_EXECUTE)->as.execute.gid;
        assert_int_not_equal(gid.attempt, 0);
        assert_int_not_equal(gid.attempt, last.attempt);
        assert_string_equal(gid.participant, PARTICIPANT);
        last = gid;
    }
}

/* P-20: a COMMIT of another attempt does not commit the voted one. */
static void test_agent_p20_commit_of_another_attempt_leaves_the_voted_one(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    struct gid other = gid;
    other.attempt ^= 1;
    bench_commit(bench, &other);
    const struct command *finish = bench_command(bench, COMMAND_FINISH);
    assert_true(gid_equal(&finish->as.finish.gid, &other));
    struct gid nobody = gid;
    nobody.attempt = 0;
    bench_commit(bench, &nobody);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
}

/* A drained agent refuses new work with `shutdown`, finishes what is there, and says when that is
 * done. */
static void test_agent_drain_refuses_work_and_waits_for_verdicts(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    struct agent_event drain = {.kind = AGENT_EVENT_DRAIN};
    bench_step(bench, &drain);
    assert_false(bench->ready.drained);
    bench_work(bench, 2);
    assert_int_equal(vote(bench)->failure.reason, REASON_SHUTDOWN);
    bench_commit(bench, &gid);
    assert_false(bench->ready.drained);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_COMMITTED);
    assert_true(bench->ready.drained);
}

/* Without its database the agent votes no at once instead of letting the caller wait. */
static void test_agent_database_down_votes_unavailable(void **state)
{
    struct bench *bench = *state;
    const enum health states[] = {HEALTH_DOWN, HEALTH_READ_ONLY, HEALTH_REFUSED};
    for (size_t i = 0; i < 3; i++) {
        bench_status(bench, states[i], false);
        bench_work(bench, i + 1);
        assert_int_equal(vote(bench)->vote, VOTE_ABORT);
        assert_int_equal(vote(bench)->failure.reason, REASON_PARTICIPANT_UNAVAILABLE);
        assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_agent_p2_doubtful_execute_never_votes_yes),
        TEST(test_agent_p2_failed_statement_votes_no_with_its_failure),
        TEST(test_agent_p3_yes_comes_only_with_the_result),
        TEST(test_agent_p3_found_row_is_never_a_yes),
        TEST(test_agent_p7_repeated_work_repeats_the_vote),
        TEST(test_agent_p7_vote_is_not_given_to_another_session),
        TEST(test_agent_p2_end_of_the_session_rolls_back_what_has_not_voted),
        TEST(test_agent_p2_newer_session_rolls_back_what_has_not_voted),
        TEST(test_agent_p6_end_of_the_session_leaves_what_voted_yes),
        TEST(test_agent_p9_work_after_its_rollback_is_refused),
        TEST(test_agent_p9_tombstones_are_bounded),
        TEST(test_agent_p15_deadline_is_carried_as_time_remaining),
        TEST(test_agent_p19_read_only_branch_is_not_prepared),
        TEST(test_agent_p20_each_execution_has_a_new_attempt),
        TEST(test_agent_p20_commit_of_another_attempt_leaves_the_voted_one),
        TEST(test_agent_drain_refuses_work_and_waits_for_verdicts),
        TEST(test_agent_database_down_votes_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
