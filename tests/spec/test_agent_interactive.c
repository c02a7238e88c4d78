/* test_agent_interactive.c - P-22 in the agent's core: STATEMENT and PREPARE in, ANSWERs and votes out. */
#include "tests/spec/agent_talk.h"

/* The first statement draws the attempt, and its answer names it. */
static void test_agent_p22_first_statement_begins_an_attempt(void **state)
{
    struct bench *bench = *state;
    say_first(bench, SEQUENCE);
    assert_int_equal(ran(bench)->ordinal, 1);
    assert_int_not_equal(ran(bench)->execute.gid.attempt, 0);
    assert_non_null(ran(bench)->execute.work);
    struct gid gid = ran(bench)->execute.gid;
    assert_int_equal(bench_count_sends(bench, MESSAGE_ANSWER), 0);
    answer_ok(bench, bench_command(bench, COMMAND_STATEMENT)->id);
    assert_true(gid_equal(&answer(bench)->gid, &gid));
    assert_int_equal(answer(bench)->ordinal, 1);
    assert_non_null(answer(bench)->results);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
}

/* A repeated ordinal replays its answer and is not executed again; while it runs nothing is said. */
static void test_agent_p22_repeated_ordinal_replays_its_answer(void **state)
{
    struct bench *bench = *state;
    say_first(bench, SEQUENCE);
    struct gid gid = ran(bench)->execute.gid;
    uint64_t id = bench_command(bench, COMMAND_STATEMENT)->id;
    say_first(bench, SEQUENCE);
    assert_nothing_executed(bench);
    assert_int_equal(bench->ready.send_count, 0);
    answer_ok(bench, id);
    say_first(bench, SEQUENCE);
    assert_nothing_executed(bench);
    assert_true(gid_equal(&answer(bench)->gid, &gid));
    say_statement(bench, SESSION, &gid, 2, 5000);
    answer_ok(bench, bench_command(bench, COMMAND_STATEMENT)->id);
    say_statement(bench, SESSION, &gid, 2, 5000);
    assert_nothing_executed(bench);
    assert_int_equal(answer(bench)->ordinal, 2);
    assert_non_null(answer(bench)->results);
}

/* A copy of a statement that was answered, and followed, is neither executed nor answered. */
static void test_agent_p22_old_copy_of_a_statement_is_ignored(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 3);
    say_statement(bench, SESSION, &gid, 2, 5000);
    assert_nothing_executed(bench);
    assert_int_equal(bench->ready.send_count, 0);
    say_first(bench, SEQUENCE);
    assert_nothing_executed(bench);
    assert_int_equal(bench->ready.send_count, 0);
    say_prepare(bench, &gid, 3);
    assert_int_equal(bench_count_commands(bench, COMMAND_PREPARE), 1);
}

/* A missing predecessor votes no, and the transaction is closed; no later message revives it. */
static void test_agent_p22_missing_predecessor_votes_no(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    say_statement(bench, SESSION, &gid, 3, 5000);
    assert_gives_up(bench, REASON_PARTICIPANT_UNAVAILABLE);
    close_ok(bench);
    say_prepare(bench, &gid, 1);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
    say_statement(bench, SESSION, &gid, 2, 5000);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
}

/* A statement that comes while its predecessor still runs ends the branch: the coordinator cannot have its answer. */
static void test_agent_p22_statement_before_the_answer_votes_no(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    say_statement(bench, SESSION, &gid, 2, 5000);
    uint64_t id = bench_command(bench, COMMAND_STATEMENT)->id;
    say_statement(bench, SESSION, &gid, 3, 5000);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
    assert_int_equal(bench_count_commands(bench, COMMAND_CANCEL), 1);
    bench_answer(bench, id, COMMAND_STATEMENT, PG_ROLLED_BACK);
    assert_int_equal(bench_counters(bench).branches_live, 0);
}

/* A cancel that overtakes its statement on the way to the server is lost: it is said again until the result is here, whoever
 * wanted the end; and not after that. */
static void test_agent_p22_cancel_is_repeated_until_the_result(void **state)
{
    struct bench *bench = *state;
    for (int by_rollback = 0; by_rollback < 2; by_rollback++) {
        struct gid gid = open_branch(bench, SEQUENCE + (uint64_t)by_rollback, 1);
        say_statement(bench, SESSION, &gid, 2, 5000);
        uint64_t id = bench_command(bench, COMMAND_STATEMENT)->id;
        if (by_rollback) {
            bench_rollback(bench, &gid);
        } else {
            say_statement(bench, SESSION, &gid, 3, 5000); /* a no of its own */
        }
        assert_int_equal(bench_count_commands(bench, COMMAND_CANCEL), 1);
        for (int i = 0; i < 3; i++) {
            bench_wait(bench, 2000);
            assert_true(gid_equal(&bench_command(bench, COMMAND_CANCEL)->as.cancel, &gid));
        }
        answer_ok(bench, id); /* it caught the cancel: CLOSE */
        uint64_t close_id = bench_command(bench, COMMAND_CLOSE)->id;
        bench_wait(bench, 2000);
        assert_int_equal(bench_count_commands(bench, COMMAND_CANCEL), 0);
        bench_answer(bench, close_id, COMMAND_CLOSE, PG_OK);
        bench_wait(bench, 2000);
        assert_int_equal(bench_count_commands(bench, COMMAND_CANCEL), 0);
        assert_int_equal(bench_counters(bench).branches_live, 0);
    }
}

/* An attempt of another process is never begun here: a new backend knows nothing of what came before. What that process's
 * backend is doing nobody knows yet, so it is doubt. */
static void test_agent_p22_unknown_attempt_is_doubt(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, 99);
    say_statement(bench, SESSION, &gid, 2, 5000);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_UNKNOWN);
    assert_true(gid_equal(&vote(bench)->gid, &gid));
    say_prepare(bench, &gid, 2);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_UNKNOWN);
}

/* A row that was only found is no yes, whoever asks for it (P-3). */
static void test_agent_p22_prepare_of_a_found_row_is_doubt(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, 99);
    bench_scan(bench, 1, &gid, 10);
    say_prepare(bench, &gid, 2);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_UNKNOWN);
}

/* PREPARE names the count: another one votes no. */
static void test_agent_p22_prepare_with_another_count_votes_no(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 2);
    say_prepare(bench, &gid, 3);
    assert_gives_up(bench, REASON_PARTICIPANT_UNAVAILABLE);
    close_ok(bench);
    gid = open_branch(bench, SEQUENCE + 1, 2);
    say_prepare(bench, &gid, 1);
    assert_gives_up(bench, REASON_PARTICIPANT_UNAVAILABLE);
}

/* PREPARE with the right count prepares, once; the yes is repeated when it is asked again, and COMMIT finishes it. */
static void test_agent_p22_prepare_closes_the_list_and_votes(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 2);
    say_prepare(bench, &gid, 2);
    const struct command *command = bench_command(bench, COMMAND_PREPARE);
    assert_true(gid_equal(&command->as.prepare.gid, &gid));
    uint64_t id = command->id;
    say_prepare(bench, &gid, 2);
    assert_nothing_executed(bench);
    say_statement(bench, SESSION, &gid, 3, 5000);
    assert_nothing_executed(bench);
    struct command_result result = {
        .id = id, .kind = COMMAND_PREPARE, .class = PG_OK, .proof = {.kind = PROOF_ROW, .xid8 = 9}};
    bench_result(bench, &result);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
    assert_int_equal(vote(bench)->proof.xid8, 9);
    assert_null(vote(bench)->results);
    say_prepare(bench, &gid, 2);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
    bench_commit(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 1);
}

/* P-2, P-11: a PREPARE whose reply was lost is doubt, and a LOOK finds out. */
static void test_agent_p22_doubtful_prepare_is_looked_for(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    say_prepare(bench, &gid, 1);
    bench_answer(bench, bench_command(bench, COMMAND_PREPARE)->id, COMMAND_PREPARE, PG_UNKNOWN);
    assert_int_equal(vote(bench)->vote, VOTE_UNKNOWN);
    assert_true(gid_equal(&bench_command(bench, COMMAND_LOOK)->as.look.gid, &gid));
}

/* A failed statement is a no with its failure, and the branch is over. */
static void test_agent_p22_failed_statement_votes_no(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    say_statement(bench, SESSION, &gid, 2, 5000);
    struct command_result result = {
        .id = bench_command(bench, COMMAND_STATEMENT)->id,
        .kind = COMMAND_STATEMENT,
        .class = PG_ROLLED_BACK,
        .failure = {.reason = REASON_CONSTRAINT, .sqlstate = "23505"},
    };
    bench_result(bench, &result);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
    assert_int_equal(vote(bench)->failure.reason, REASON_CONSTRAINT);
    assert_int_equal(bench_count_commands(bench, COMMAND_CLOSE), 0);
    say_statement(bench, SESSION, &gid, 3, 5000);
    assert_nothing_executed(bench);
    assert_string_equal(vote(bench)->failure.sqlstate, "23505");
    bench_rollback(bench, &gid);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_ROLLED_BACK);
}

/* P-15: an open branch ends at its deadline by itself, and no later message moves the deadline on. */
static void test_agent_p22_idle_branch_ends_at_its_deadline(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    bench_wait(bench, 4000);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    say_statement(bench, SESSION, &gid, 2, FAR_AWAY);
    assert_int_equal(ran(bench)->execute.deadline_ms, bench->now_ms + 1000);
    answer_ok(bench, bench_command(bench, COMMAND_STATEMENT)->id);
    bench_wait(bench, 1000);
    assert_gives_up(bench, REASON_TIMEOUT);
    close_ok(bench);
    assert_int_equal(bench_counters(bench).branches_live, 0);
}

/* P-15: what comes when no time is left is not begun. */
static void test_agent_p22_no_time_left_ends_the_branch(void **state)
{
    struct bench *bench = *state;
    struct gid nobody = bench_gid(SEQUENCE, 0);
    say_statement(bench, SESSION, &nobody, 1, 0);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->failure.reason, REASON_TIMEOUT);
    struct gid gid = open_branch(bench, SEQUENCE + 1, 1);
    say_statement(bench, SESSION, &gid, 2, 0);
    assert_gives_up(bench, REASON_TIMEOUT);
}

/* Its session ended: nobody counts its statements any more, so what had not voted yes is rolled back. */
static void test_agent_p22_end_of_the_session_ends_open_branches(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    say_first(bench, SEQUENCE + 1);
    uint64_t running = bench_command(bench, COMMAND_STATEMENT)->id;
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    assert_true(gid_equal(&bench_command(bench, COMMAND_CLOSE)->as.close, &gid));
    assert_int_equal(bench_count_commands(bench, COMMAND_CANCEL), 1);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    close_ok(bench);
    /* It was quicker than its cancel: then it is open, and must be closed. */
    answer_ok(bench, running);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ANSWER), 0);
    close_ok(bench);
    assert_int_equal(bench_counters(bench).branches_live, 0);
}

/* P-2: so is one that is being prepared, since its vote would reach nobody; that it was prepared all the same changes nothing. */
static void test_agent_p22_end_of_the_session_ends_what_is_being_prepared(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    say_prepare(bench, &gid, 1);
    uint64_t id = bench_command(bench, COMMAND_PREPARE)->id;
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    assert_true(gid_equal(&bench_command(bench, COMMAND_CANCEL)->as.cancel, &gid));
    bench_answer(bench, id, COMMAND_PREPARE, PG_OK);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    assert_false(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
}

/* A later session cannot go on with a branch that began on an earlier one. */
static void test_agent_p22_another_session_cannot_go_on(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    bench_welcome(bench, SESSION + 1, EPOCH, NONCE);
    say_statement(bench, SESSION + 1, &gid, 2, 5000);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
}

/* Drain: an open branch is given up, one that runs after its answer, and then nothing is left. */
static void test_agent_p22_drain_gives_open_branches_up(void **state)
{
    struct bench *bench = *state;
    (void)open_branch(bench, SEQUENCE, 1);
    say_first(bench, SEQUENCE + 1);
    uint64_t running = bench_command(bench, COMMAND_STATEMENT)->id;
    struct agent_event drain = {.kind = AGENT_EVENT_DRAIN};
    bench_step(bench, &drain);
    assert_gives_up(bench, REASON_SHUTDOWN);
    close_ok(bench);
    assert_false(bench->ready.drained);
    answer_ok(bench, running);
    assert_gives_up(bench, REASON_SHUTDOWN);
    close_ok(bench);
    assert_true(bench->ready.drained);
    say_first(bench, SEQUENCE + 2);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->failure.reason, REASON_SHUTDOWN);
}

/* More than interactive_max are refused at once: to wait here while other branches hold their connections could be a
 * deadlock. WORK is not counted, and a branch that has prepared holds none any more. */
static void test_agent_p22_more_open_branches_than_connections_are_refused(void **state)
{
    struct bench *bench = *state;
    struct gid gids[2] = {open_branch(bench, SEQUENCE, 1), open_branch(bench, SEQUENCE + 1, 1)};
    say_first(bench, SEQUENCE + 2);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
    assert_int_equal(vote(bench)->gid.attempt, 0);
    assert_int_equal(vote(bench)->failure.reason, REASON_CAPACITY);
    bench_work(bench, SEQUENCE + 3);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 1);
    say_prepare(bench, &gids[0], 1);
    bench_answer(bench, bench_command(bench, COMMAND_PREPARE)->id, COMMAND_PREPARE, PG_OK);
    (void)open_branch(bench, SEQUENCE + 4, 1);
    bench_rollback(bench, &gids[1]);
    say_first(bench, SEQUENCE + 5);
    assert_int_equal(vote(bench)->failure.reason, REASON_CAPACITY); /* not closed yet */
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
}

/* P-9: a first statement that its abort overtook is not begun. */
static void test_agent_p22_statement_after_its_rollback_is_refused(void **state)
{
    struct bench *bench = *state;
    struct gtrid gtrid = bench_gtrid(SEQUENCE);
    bench_rollback_all(bench, &gtrid);
    say_first(bench, SEQUENCE);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
    struct gid gid = bench_gid(SEQUENCE, 7);
    say_statement(bench, SESSION, &gid, 2, 5000);
    assert_nothing_executed(bench);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
}

/* ROLLBACK is acknowledged when the transaction has ended in the database, not before. */
static void test_agent_p22_rollback_is_acknowledged_after_the_close(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    bench_rollback(bench, &gid);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    close_ok(bench);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_ROLLED_BACK);
    assert_true(gid_equal(&bench_send(bench, MESSAGE_ACK)->message.as.ack.gid, &gid));
}

/* A statement that runs is cancelled; if it was quicker than its cancel, the transaction is closed. */
static void test_agent_p22_rollback_cancels_a_running_statement(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    say_statement(bench, SESSION, &gid, 2, 5000);
    uint64_t id = bench_command(bench, COMMAND_STATEMENT)->id;
    bench_rollback(bench, &gid);
    assert_true(gid_equal(&bench_command(bench, COMMAND_CANCEL)->as.cancel, &gid));
    answer_ok(bench, id);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ANSWER), 0);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    close_ok(bench);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_ROLLED_BACK);
}

/* A coordinator that has no answer yet rolls back by the transaction alone. */
static void test_agent_p22_rollback_without_gid_closes_the_branch(void **state)
{
    struct bench *bench = *state;
    bench_settle(bench);
    (void)open_branch(bench, SEQUENCE, 1);
    struct gtrid gtrid = bench_gtrid(SEQUENCE);
    bench_rollback_all(bench, &gtrid);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    close_ok(bench);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.gid.attempt, 0);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_ROLLED_BACK);
}

/* P-14: in another history the connection is not what it was. */
static void test_agent_p22_changed_history_ends_open_branches(void **state)
{
    struct bench *bench = *state;
    (void)open_branch(bench, SEQUENCE, 1);
    say_first(bench, SEQUENCE + 1);
    uint64_t running = bench_command(bench, COMMAND_STATEMENT)->id;
    bench_status(bench, HEALTH_UP, true);
    assert_int_equal(bench_count_commands(bench, COMMAND_CLOSE), 1);
    close_ok(bench);
    answer_ok(bench, running);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ANSWER), 0);
    close_ok(bench);
    assert_int_equal(bench_counters(bench).branches_live, 0);
    assert_int_equal(bench_counters(bench).votes_yes, 0);
}

/* P-3, I3: nobody can know the gid as voted before PREPARE was answered. */
static void test_agent_p22_commit_before_the_vote_is_ignored(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 1);
    bench_commit(bench, &gid);
    assert_int_equal(bench->ready.command_count, 0);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_REFUSED), 1);
    say_prepare(bench, &gid, 1);
    assert_int_equal(bench_count_commands(bench, COMMAND_PREPARE), 1);
}

/* One transaction is one or the other here: WORK does not run beside statements, nor statements beside WORK. */
static void test_agent_p22_work_and_statements_do_not_mix(void **state)
{
    struct bench *bench = *state;
    (void)open_branch(bench, SEQUENCE, 1);
    bench_work(bench, SEQUENCE);
    assert_nothing_executed(bench);
    bench_work(bench, SEQUENCE + 1);
    say_first(bench, SEQUENCE + 1);
    assert_nothing_executed(bench);
    assert_int_equal(bench->ready.send_count, 0);
}

/* P-19: a declared read-only branch votes read-only, and says so again where that was lost. */
static void test_agent_p22_read_only_branch_repeats_its_vote(void **state)
{
    struct bench *bench = *state;
    struct message message = {.kind = MESSAGE_STATEMENT};
    message.as.statement = (struct message_statement){.gtrid = bench_gtrid(SEQUENCE),
                                                      .ordinal = 1,
                                                      .remaining_ms = 5000,
                                                      .read_only = true,
                                                      .work = blob_new("sql", 3)};
    bench_message(bench, SESSION, &message);
    struct gid gid = ran(bench)->execute.gid;
    assert_true(ran(bench)->execute.read_only);
    answer_ok(bench, bench_command(bench, COMMAND_STATEMENT)->id);
    say_prepare(bench, &gid, 1);
    assert_true(bench_command(bench, COMMAND_PREPARE)->as.prepare.read_only);
    bench_answer(bench, bench_command(bench, COMMAND_PREPARE)->id, COMMAND_PREPARE, PG_OK);
    assert_int_equal(vote(bench)->vote, VOTE_READONLY);
    say_prepare(bench, &gid, 1);
    assert_nothing_executed(bench);
    assert_int_equal(vote(bench)->vote, VOTE_READONLY);
}

/* P-10: statements belong to the epoch that sends them; numbers that cannot be are no statements. */
static void test_agent_p22_statement_that_cannot_be_is_ignored(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, 0);
    uint64_t fenced = bench_counters(bench).fenced;
    say_statement(bench, SESSION, &gid, 2, 5000);
    say_statement(bench, SESSION, &gid, 0, 5000);
    say_prepare(bench, &gid, 1);
    gid.attempt = 7;
    say_statement(bench, SESSION, &gid, 1, 5000);
    gid.gtrid.epoch--;
    say_statement(bench, SESSION, &gid, 2, 5000);
    say_prepare(bench, &gid, 1);
    assert_int_equal(bench_counters(bench).fenced, fenced + 6);
    assert_int_equal(bench_counters(bench).branches_live, 0);
}

/* All that a coordinator says before the decision, once more; whoever has voted unknown says it again, nothing is executed. */
static void say_late(struct bench *bench, const struct gid *gid, enum vote expected)
{
    for (int i = 0; i < 3; i++) {
        if (i == 0) {
            say_first(bench, gid->gtrid.sequence);
        } else if (i == 1) {
            say_statement(bench, SESSION, gid, 2, 5000);
        } else {
            say_prepare(bench, gid, 2);
        }
        assert_nothing_executed(bench);
        assert_int_equal(bench->ready.command_count, 0);
        assert_int_equal(bench->ready.send_count, expected == 0 ? 0 : 1);
        if (expected != 0) {
            assert_int_equal(vote(bench)->vote, expected);
            assert_true(gid_equal(&vote(bench)->gid, gid));
        }
    }
}

static void answer_row(struct bench *bench, enum command_kind kind, const struct gid *gid)
{
    struct command_result result = {
        .id = bench_command(bench, kind)->id, .kind = kind, .class = PG_OK, .row_count = 1};
    result.rows = alloc_array(1, sizeof(*result.rows));
    gid_format(gid, result.rows[0].gid_text);
    bench_result(bench, &result);
}

/* PREPARE's reply was lost: until it is known what became of it, and after that, late copies of what was said before begin nothing, and
 * hear that it is doubt (P-3: a row that was only found is no yes). */
static void test_agent_p22_late_copies_hear_the_doubt(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 2);
    say_prepare(bench, &gid, 2);
    bench_answer(bench, bench_command(bench, COMMAND_PREPARE)->id, COMMAND_PREPARE, PG_UNKNOWN);
    uint64_t look = bench_command(bench, COMMAND_LOOK)->id;
    say_late(bench, &gid, VOTE_UNKNOWN); /* looking */
    bench_answer(bench, look, COMMAND_LOOK, PG_UNKNOWN);
    say_late(bench, &gid, VOTE_UNKNOWN); /* unsure */
    bench_wait(bench, 2000);
    answer_row(bench, COMMAND_LOOK, &gid);
    say_late(bench, &gid, VOTE_UNKNOWN); /* doubtful */
    bench_verdict(bench, &gid, VERDICT_ABORT);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 1);
}

/* Whoever was told how it ends says nothing more about it, and nothing of it is done again. */
static void test_agent_p22_late_copies_after_the_word_are_ignored(void **state)
{
    struct bench *bench = *state;
    struct gid gid = open_branch(bench, SEQUENCE, 2);
    say_prepare(bench, &gid, 2);
    uint64_t prepare = bench_command(bench, COMMAND_PREPARE)->id;
    say_late(bench, &gid, 0); /* executing: its vote comes */
    bench_rollback(bench, &gid);
    say_late(bench, &gid, 0); /* cancelling */
    bench_answer(bench, prepare, COMMAND_PREPARE, PG_OK);
    uint64_t finish = bench_command(bench, COMMAND_FINISH)->id;
    say_late(bench, &gid, 0); /* finishing */
    bench_answer(bench, finish, COMMAND_FINISH, PG_RETRY);
    say_late(bench, &gid, 0); /* paused */
    bench_wait(bench, 2000);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_NOT_FOUND);
    uint64_t prove = bench_command(bench, COMMAND_PROVE)->id;
    say_late(bench, &gid, 0); /* proving */
    struct command_result result = {
        .id = prove, .kind = COMMAND_PROVE, .class = PG_OK, .proved = PROOF_SAYS_COMMITTED};
    bench_result(bench, &result);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_HEURISTIC_COMMIT);
    say_late(bench, &gid, 0); /* telling */
    bench_wait(bench, 2000);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_HEURISTIC_COMMIT);
}

/* That the keeper lost its connection and has it again says nothing about a statement that runs on another one. */
static void test_agent_p22_running_statement_outlasts_the_keepers_connection(void **state)
{
    struct bench *bench = *state;
    say_first(bench, SEQUENCE);
    uint64_t id = bench_command(bench, COMMAND_STATEMENT)->id;
    bench_status(bench, HEALTH_DOWN, false);
    bench_status(bench, HEALTH_UP, false);
    assert_nothing_executed(bench);
    answer_ok(bench, id);
    assert_int_equal(answer(bench)->ordinal, 1);
}

#define P22(name) cmocka_unit_test_setup_teardown(test_agent_p22_##name, talk_begin, talk_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        P22(first_statement_begins_an_attempt),
        P22(repeated_ordinal_replays_its_answer),
        P22(old_copy_of_a_statement_is_ignored),
        P22(missing_predecessor_votes_no),
        P22(statement_before_the_answer_votes_no),
        P22(cancel_is_repeated_until_the_result),
        P22(unknown_attempt_is_doubt),
        P22(prepare_of_a_found_row_is_doubt),
        P22(prepare_with_another_count_votes_no),
        P22(prepare_closes_the_list_and_votes),
        P22(doubtful_prepare_is_looked_for),
        P22(failed_statement_votes_no),
        P22(idle_branch_ends_at_its_deadline),
        P22(no_time_left_ends_the_branch),
        P22(end_of_the_session_ends_open_branches),
        P22(end_of_the_session_ends_what_is_being_prepared),
        P22(another_session_cannot_go_on),
        P22(drain_gives_open_branches_up),
        P22(more_open_branches_than_connections_are_refused),
        P22(statement_after_its_rollback_is_refused),
        P22(rollback_is_acknowledged_after_the_close),
        P22(rollback_cancels_a_running_statement),
        P22(rollback_without_gid_closes_the_branch),
        P22(changed_history_ends_open_branches),
        P22(commit_before_the_vote_is_ignored),
        P22(work_and_statements_do_not_mix),
        P22(read_only_branch_repeats_its_vote),
        P22(statement_that_cannot_be_is_ignored),
        P22(late_copies_hear_the_doubt),
        P22(late_copies_after_the_word_are_ignored),
        P22(running_statement_outlasts_the_keepers_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
