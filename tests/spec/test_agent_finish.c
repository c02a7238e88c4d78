/*
 * test_agent_finish.c - P-6, P-7, P-11, P-12 and P-20 in the agent's core: words of the
 * coordinator, carried out and acknowledged.
 */
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

static const struct message_ack *ack(const struct bench *bench)
{
    return &bench_send(bench, MESSAGE_ACK)->message.as.ack;
}

static void answer_finish(struct bench *bench, enum pg_class class)
{
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, class);
}

static void answer_prove(struct bench *bench, enum proof_result proved)
{
    struct command_result result = {.id = bench_command(bench, COMMAND_PROVE)->id,
                                    .kind = COMMAND_PROVE,
                                    .class = PG_OK,
                                    .proved = proved};
    bench_result(bench, &result);
}

static void answer_look(struct bench *bench, const struct gid *found)
{
    struct command_result result = {.id = bench_command(bench, COMMAND_LOOK)->id,
                                    .kind = COMMAND_LOOK,
                                    .class = found != NULL ? PG_OK : PG_NOT_FOUND};
    if (found != NULL) {
        result.row_count = 1;
        result.rows = alloc_array(1, sizeof(*result.rows));
        gid_format(found, result.rows[0].gid_text);
    }
    bench_result(bench, &result);
}

/* P-6: after its yes the agent asks, again and again, and never finishes on its own, however long
 * it takes. */
static void test_agent_p6_prepared_branch_asks_and_never_finishes_alone(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    size_t inquiries = 0;
    bench_wait(bench, 500);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 0); /* grace */
    for (size_t i = 0; i < 200; i++) {
        bench_wait(bench, 1000);
        inquiries += bench_count_sends(bench, MESSAGE_INQUIRY);
        assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
        if (i % 3 == 0) {
            bench_verdict(bench, &gid, VERDICT_WAIT);
            assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
        }
        if (bench->scan_id != 0) {
            bench_scan(bench, 1, &gid, 1000);
        }
    }
    assert_true(inquiries >= 50);
    bench_wait(bench, FAR_AWAY);
    assert_true(gid_equal(&bench_send(bench, MESSAGE_INQUIRY)->message.as.inquiry.gid, &gid));
    bench_verdict(bench, &gid, VERDICT_COMMIT);
    assert_true(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
}

/* P-6, P-8: UNKNOWN raises an alarm once and keeps hands off; a word after all is still obeyed. */
static void test_agent_p6_unknown_verdict_keeps_hands_off(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_verdict(bench, &gid, VERDICT_UNKNOWN);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_UNKNOWN_OWNER), 1);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    bench_verdict(bench, &gid, VERDICT_UNKNOWN);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_UNKNOWN_OWNER), 0);
    bench_scan(bench, 1, &gid, FAR_AWAY);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    bench_rollback(bench, &gid);
    assert_false(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
}

/* P-6: rows of other prefixes, participants and forms are never asked about nor touched. */
static void test_agent_p6_strangers_are_never_touched(void **state)
{
    struct bench *bench = *state;
    struct gid other = bench_gid(1, 5);
    snprintf(other.participant, sizeof(other.participant), "%s", "payment");
    char others[GID_TEXT_SIZE], ours[GID_TEXT_SIZE], longer[GID_TEXT_SIZE * 2];
    gid_format(&other, others);
    struct gid gid = bench_gid(1, 5);
    gid_format(&gid, ours);
    snprintf(longer, sizeof(longer), "%s ", ours);
    const char *texts[] = {others, longer, "assent:", "pg_gid_16389_741", "ASSENT:x", ""};
    bench_scan_texts(bench, 6, texts);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 0);
        assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
        bench_wait(bench, 1000);
    }
    assert_int_equal(bench_counters(bench).branches_live, 0);
    /* A word about another participant's gid that came to us is not obeyed either. */
    bench_rollback(bench, &other);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    bench_commit(bench, &other);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
}

/* P-7: COMMIT is idempotent: one FINISH while it runs, the same ack ever after. */
static void test_agent_p7_repeated_commit_finishes_once(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    uint64_t id = bench_command(bench, COMMAND_FINISH)->id;
    bench_commit(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    bench_answer(bench, id, COMMAND_FINISH, PG_OK);
    assert_int_equal(ack(bench)->ack, ACK_COMMITTED);
    assert_true(gid_equal(&ack(bench)->gid, &gid));
    bench_commit(bench, &gid);
    assert_int_equal(ack(bench)->ack, ACK_COMMITTED);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
}

/* P-7: WORK that comes late, after its branch was committed, executes nothing. */
static void test_agent_p7_work_after_commit_executes_nothing(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    answer_finish(bench, PG_OK);
    bench_work(bench, 1);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
    assert_int_equal(bench_send(bench, MESSAGE_VOTE)->message.as.vote.vote, VOTE_ABORT);
}

/* The coordinator's first word stands: a contrary one changes nothing. */
static void test_agent_p7_contrary_word_is_refused(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    uint64_t id = bench_command(bench, COMMAND_FINISH)->id;
    bench_rollback(bench, &gid);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_REFUSED), 1);
    bench_answer(bench, id, COMMAND_FINISH, PG_RETRY);
    bench_wait(bench, 2000);
    assert_true(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
}

/* P-12: every answer of the proof, for both directions, when FINISH found nothing. */
static void test_agent_p12_missing_row_is_judged_by_the_proof(void **state)
{
    struct bench *bench = *state;
    const struct {
        bool commit;
        enum proof_result proved;
        enum ack ack;
    } cases[] = {
        {true, PROOF_SAYS_COMMITTED, ACK_COMMITTED},
        {true, PROOF_SAYS_ABSENT, ACK_HEURISTIC_ROLLBACK},
        {true, PROOF_CANNOT_TELL, ACK_HAZARD},
        {false, PROOF_SAYS_COMMITTED, ACK_HEURISTIC_COMMIT},
        {false, PROOF_SAYS_ABSENT, ACK_ROLLED_BACK},
        {false, PROOF_CANNOT_TELL, ACK_HAZARD},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gid gid = bench_gid(i + 1, 42); /* never heard of: this process was restarted */
        if (cases[i].commit) {
            bench_commit(bench, &gid);
        } else {
            bench_rollback(bench, &gid);
        }
        assert_int_equal(bench_command(bench, COMMAND_FINISH)->as.finish.commit, cases[i].commit);
        answer_finish(bench, PG_NOT_FOUND);
        assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
        const struct command_prove *prove = &bench_command(bench, COMMAND_PROVE)->as.prove;
        assert_true(prove->fence);
        assert_int_equal(prove->expect_commit, cases[i].commit);
        assert_int_equal(prove->proof.xid8, cases[i].commit ? 77 : 0);
        answer_prove(bench, cases[i].proved);
        assert_int_equal(ack(bench)->ack, cases[i].ack);
        assert_true(gid_equal(&ack(bench)->gid, &gid));
    }
    assert_int_equal(bench_counters(bench).heuristics, 2);
    assert_int_equal(bench_counters(bench).hazards, 2);
}

/* P-12: a row that the proof finds prepared is finished after all, not acknowledged. */
static void test_agent_p12_row_that_is_there_again_is_finished(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(1, 42);
    bench_commit(bench, &gid);
    answer_finish(bench, PG_NOT_FOUND);
    answer_prove(bench, PROOF_SAYS_PREPARED);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    bench_wait(bench, 2000);
    answer_finish(bench, PG_OK);
    assert_int_equal(ack(bench)->ack, ACK_COMMITTED);
}

/* P-12: busy, lost, refused and a failed proof are never "does not exist": FINISH is tried again
 * for ever. */
static void test_agent_p12_doubt_in_finish_is_tried_again(void **state)
{
    struct bench *bench = *state;
    const enum pg_class classes[] = {PG_RETRY, PG_REFUSED, PG_UNKNOWN, PG_ROLLED_BACK};
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    for (size_t i = 0; i < 20; i++) {
        answer_finish(bench, classes[i % 4]);
        assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
        assert_int_equal(bench_count_commands(bench, COMMAND_PROVE), 0);
        bench_wait(bench, 2000);
        if (i == 10) {
            answer_finish(bench, PG_NOT_FOUND);
            bench_answer(bench, bench_command(bench, COMMAND_PROVE)->id, COMMAND_PROVE, PG_UNKNOWN);
            assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
            bench_wait(bench, 2000);
        }
    }
    answer_finish(bench, PG_OK);
    assert_int_equal(ack(bench)->ack, ACK_COMMITTED);
}

/* The backoff grows, stays below its bound, and the database's return cuts it short. */
static void test_agent_p12_backoff_is_bounded_and_ends_with_the_database(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    answer_finish(bench, PG_UNKNOWN);
    bench_wait(bench, 10);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    bench_wait(bench, 40);
    answer_finish(bench, PG_UNKNOWN);
    bench_status(bench, HEALTH_DOWN, false);
    bench_status(bench, HEALTH_UP, false);
    answer_finish(bench, PG_OK);
    assert_int_equal(ack(bench)->ack, ACK_COMMITTED);
}

/* P-12: what EXECUTE itself reported needs no fence when FINISH does not find it. */
static void test_agent_p12_own_branch_is_proved_without_a_fence(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    answer_finish(bench, PG_NOT_FOUND);
    assert_false(bench_command(bench, COMMAND_PROVE)->as.prove.fence);
    answer_prove(bench, PROOF_SAYS_ABSENT);
    assert_int_equal(ack(bench)->ack, ACK_HEURISTIC_ROLLBACK);
}

/* ROLLBACK of what was committed does not say "rolled back": the proof is asked and tells the
 * truth. */
static void test_agent_p12_rollback_after_commit_is_heuristic(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_commit(bench, &gid);
    answer_finish(bench, PG_OK);
    bench_rollback(bench, &gid);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    answer_finish(bench, PG_NOT_FOUND);
    answer_prove(bench, PROOF_SAYS_COMMITTED);
    assert_int_equal(ack(bench)->ack, ACK_HEURISTIC_COMMIT);
}

/* ROLLBACK of a running branch cancels it, and answers only when EXECUTE has ended. */
static void test_agent_rollback_of_a_running_branch_cancels_it(void **state)
{
    struct bench *bench = *state;
    const enum pg_class classes[] = {PG_ROLLED_BACK, PG_OK, PG_UNKNOWN};
    for (size_t i = 0; i < 3; i++) {
        struct gtrid gtrid = bench_gtrid(i + 1);
        bench_work(bench, i + 1);
        struct command execute = *bench_command(bench, COMMAND_EXECUTE);
        bench_rollback_all(bench, &gtrid);
        assert_true(
            gid_equal(&bench_command(bench, COMMAND_CANCEL)->as.cancel, &execute.as.execute.gid));
        answer_look(bench, NULL); /* earlier incarnations */
        assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
        bench_answer(bench, execute.id, COMMAND_EXECUTE, classes[i]);
        assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
        if (classes[i] == PG_OK) {
            assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
            assert_false(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
            answer_finish(bench, PG_OK);
        } else if (classes[i] == PG_UNKNOWN) {
            assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
            assert_true(bench_command(bench, COMMAND_LOOK)->as.look.has_gid);
            answer_look(bench, &execute.as.execute.gid);
            assert_false(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
            answer_finish(bench, PG_OK);
        }
        assert_int_equal(ack(bench)->ack, ACK_ROLLED_BACK);
        assert_int_equal(ack(bench)->gid.attempt, 0);
    }
}

/* A cancel can come to the server before what it is to cancel, which then runs on: it is said again until EXECUTE has ended. */
static void test_agent_rollback_repeats_its_cancel(void **state)
{
    struct bench *bench = *state;
    bench_work(bench, 1);
    struct command execute = *bench_command(bench, COMMAND_EXECUTE);
    bench_rollback(bench, &execute.as.execute.gid);
    for (int i = 0; i < 3; i++) {
        bench_wait(bench, 2000);
        assert_true(
            gid_equal(&bench_command(bench, COMMAND_CANCEL)->as.cancel, &execute.as.execute.gid));
    }
    bench_answer(bench, execute.id, COMMAND_EXECUTE, PG_OK);
    answer_finish(bench, PG_OK);
    assert_int_equal(ack(bench)->ack, ACK_ROLLED_BACK);
    bench_wait(bench, 2000);
    assert_int_equal(bench_count_commands(bench, COMMAND_CANCEL), 0);
}

/* P-11: EXECUTE's lost reply is followed by a fence; "not prepared" is said only with its answer.
 */
static void test_agent_p11_lost_execute_is_fenced_before_it_is_denied(void **state)
{
    struct bench *bench = *state;
    bench_work(bench, 1);
    struct command execute = *bench_command(bench, COMMAND_EXECUTE);
    bench_answer(bench, execute.id, COMMAND_EXECUTE, PG_UNKNOWN);
    assert_int_equal(bench_send(bench, MESSAGE_VOTE)->message.as.vote.vote, VOTE_UNKNOWN);
    bench_rollback(bench, &execute.as.execute.gid);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    bench_wait(bench, FAR_AWAY);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
}

/* P-11: a LOOK that could not be sure is no answer; it is repeated. */
static void test_agent_p11_failed_look_is_repeated(void **state)
{
    struct bench *bench = *state;
    bench_work(bench, 1);
    struct command execute = *bench_command(bench, COMMAND_EXECUTE);
    bench_answer(bench, execute.id, COMMAND_EXECUTE, PG_UNKNOWN);
    for (size_t i = 0; i < 5; i++) {
        const enum pg_class classes[] = {PG_UNKNOWN, PG_RETRY, PG_REFUSED};
        bench_answer(bench, bench_command(bench, COMMAND_LOOK)->id, COMMAND_LOOK, classes[i % 3]);
        bench_wait(bench, 2000);
    }
    answer_look(bench, &execute.as.execute.gid);
    assert_int_equal(bench_counters(bench).late_prepares, 1);
    /* Found, and still nothing is done without a word (P-6). */
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    bench_wait(bench, 2000);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 1);
    bench_verdict(bench, &execute.as.execute.gid, VERDICT_ABORT);
    assert_false(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
}

/* P-11: ROLLBACK without a gid fences and looks first, rolls back what it finds, and then
 * acknowledges. */
static void test_agent_p11_rollback_without_gid_looks_before_it_answers(void **state)
{
    struct bench *bench = *state;
    struct gtrid gtrid = bench_gtrid(1);
    struct gid late = bench_gid(1, 77);
    bench_rollback_all(bench, &gtrid);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    bench_answer(bench, bench_command(bench, COMMAND_LOOK)->id, COMMAND_LOOK, PG_UNKNOWN);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    bench_wait(bench, 2000);
    answer_look(bench, &late);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    const struct command_finish *finish = &bench_command(bench, COMMAND_FINISH)->as.finish;
    assert_true(gid_equal(&finish->gid, &late));
    assert_false(finish->commit);
    answer_finish(bench, PG_OK);
    assert_int_equal(ack(bench)->ack, ACK_ROLLED_BACK);
    assert_int_equal(ack(bench)->gid.attempt, 0);
}

/* P-11: a late row that the scan finds while the ROLLBACK is being carried out goes with it. */
static void test_agent_p11_row_found_during_the_rollback_goes_too(void **state)
{
    struct bench *bench = *state;
    struct gtrid gtrid = bench_gtrid(1);
    struct gid late = bench_gid(1, 77);
    bench_rollback_all(bench, &gtrid);
    uint64_t id = bench_command(bench, COMMAND_LOOK)->id;
    bench_scan(bench, 1, &late, 10);
    assert_int_equal(bench_counters(bench).late_prepares, 1);
    struct command finish = *bench_command(bench, COMMAND_FINISH);
    assert_false(finish.as.finish.commit);
    bench_answer(bench, id, COMMAND_LOOK, PG_NOT_FOUND);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    bench_answer(bench, finish.id, COMMAND_FINISH, PG_OK);
    assert_int_equal(ack(bench)->ack, ACK_ROLLED_BACK);
}

/* P-6, P-12, H1: a row that somebody ended by hand is asked about all the same, whoever aborted it and whether or not the
 * coordinator was there meanwhile; the proof then shows which way it went. */
static void test_agent_p12_row_ended_by_hand_is_found_out(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_scan(bench, 1, &gid, 100);
    bench_scan(bench, 0, NULL, 0); /* gone */
    assert_int_equal(bench_send(bench, MESSAGE_VOTE)->message.as.vote.vote, VOTE_UNKNOWN);
    bench_wait(bench, 2000);
    assert_true(gid_equal(&bench_send(bench, MESSAGE_INQUIRY)->message.as.inquiry.gid, &gid));
    bench_verdict(bench, &gid, VERDICT_ABORT);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_NOT_FOUND);
    answer_prove(bench, PROOF_SAYS_COMMITTED);
    assert_int_equal(ack(bench)->ack, ACK_HEURISTIC_COMMIT);
    assert_true(gid_equal(&ack(bench)->gid, &gid));
}

/* H1: an abort needs no acknowledgement, so its coordinator does not ask again: the agent repeats what contradicts it, also to
 * the next session, until it is on record; and answers repetitions like before. */
static void test_agent_h1_contradiction_is_told_until_it_is_on_record(void **state)
{
    (void)state;
    static const enum proof_result findings[] = {PROOF_SAYS_COMMITTED, PROOF_CANNOT_TELL};
    static const enum ack acks[] = {ACK_HEURISTIC_COMMIT, ACK_HAZARD};
    for (size_t i = 0; i < 2; i++) {
        struct bench own;
        struct bench *bench = &own;
        bench_init(bench);
        bench_welcome(bench, SESSION, EPOCH, NONCE);
        struct gid gid = bench_prepare(bench, 1);
        bench_rollback(bench, &gid);
        bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_NOT_FOUND);
        answer_prove(bench, findings[i]);
        assert_int_equal(ack(bench)->ack, acks[i]);
        bench_wait(bench, 5000);
        assert_int_equal(ack(bench)->ack, acks[i]);
        struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
        bench_step(bench, &down);
        bench_wait(bench, 60000);
        assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
        bench_welcome(bench, SESSION, EPOCH, NONCE);
        assert_int_equal(ack(bench)->ack, acks[i]);
        assert_true(gid_equal(&ack(bench)->gid, &gid));
        bench_verdict(bench, &gid, VERDICT_NOTED);
        assert_int_equal(bench_counters(bench).branches_live, 0);
        bench_wait(bench, 60000);
        assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
        bench_rollback(
            bench, &gid); /* an outcome is remembered; where there is none it is looked for again */
        assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), i);
        bench_done(bench);
    }
}

/* H1: that something is on record ends only the telling of it; a branch in another state goes on as it was. */
static void test_agent_h1_noted_ends_nothing_but_the_telling(void **state)
{
    struct bench *bench = *state;
    struct gid prepared = bench_prepare(bench, 1);
    struct gid found[] = {prepared, bench_gid(50, 3), bench_gid(51, 3)};
    bench_scan(bench, 3, found, 100);
    bench_verdict(bench, &found[2], VERDICT_UNKNOWN);
    struct gid paused = bench_prepare(bench, 2);
    bench_rollback(bench, &paused);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_REFUSED);
    size_t live = bench_counters(bench).branches_live;
    struct gid all[] = {prepared, found[1], found[2], paused};
    for (size_t i = 0; i < 4; i++) {
        bench_verdict(bench, &all[i], VERDICT_NOTED);
        assert_int_equal(bench_counters(bench).branches_live, live);
        assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    }
}

/* Old copies of messages change nothing about a proof that is being asked for, or about what is told. */
static void test_agent_h1_old_messages_do_not_end_the_telling(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_rollback(bench, &gid);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_NOT_FOUND);
    uint64_t prove = bench_command(bench, COMMAND_PROVE)->id;
    bench_verdict(bench, &gid, VERDICT_WAIT);
    struct command_result result = {
        .id = prove, .kind = COMMAND_PROVE, .class = PG_OK, .proved = PROOF_SAYS_COMMITTED};
    bench_result(bench, &result);
    assert_int_equal(ack(bench)->ack, ACK_HEURISTIC_COMMIT);
    bench_work(bench, 1);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    assert_int_equal(bench_count_commands(bench, COMMAND_EXECUTE), 0);
    bench_verdict(bench, &gid, VERDICT_WAIT);
    bench_wait(bench, 100);
    assert_int_equal(ack(bench)->ack, ACK_HEURISTIC_COMMIT);
}

/* P-12: a commit that follows after all (another coordinator was right) is carried out, and finds it done. */
static void test_agent_h1_commit_after_a_contradiction_is_found_done(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_rollback(bench, &gid);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_NOT_FOUND);
    answer_prove(bench, PROOF_SAYS_COMMITTED);
    assert_int_equal(ack(bench)->ack, ACK_HEURISTIC_COMMIT);
    bench_commit(bench, &gid);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_NOT_FOUND);
    answer_prove(bench, PROOF_SAYS_COMMITTED);
    assert_int_equal(ack(bench)->ack, ACK_COMMITTED);
    assert_int_equal(bench_counters(bench).branches_live, 0);
}

/* H1 within bounds: rows that somebody ended while their coordinator is away are asked about when it is back, the last ones
 * found at least. The others are told of, so that they never fill the agent and keep the work of others out. */
static void test_agent_p12_rows_ended_while_nobody_can_be_asked_are_bounded(void **state)
{
    struct bench *bench = *state;
    const size_t count = 10003; /* three more than are kept */
    struct gid *gids = alloc_array(count, sizeof(*gids));
    for (size_t i = 0; i < count; i++) {
        gids[i] = bench_gid(i + 1, 77);
    }
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    bench_scan(bench, count, gids, 100);
    bench_scan(bench, count, gids, 100);
    assert_int_equal(bench_counters(bench).branches_live, count);
    bench_scan(bench, 3, gids, 100); /* those three have their rows yet */
    assert_int_equal(bench_counters(bench).branches_live, count);
    bench_scan(bench, 0, NULL, 0);
    assert_int_equal(bench_counters(bench).branches_live, count - 3);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_HAZARD), 3);
    assert_int_equal(bench_counters(bench).hazards, 3);
    bench_scan(bench, 0, NULL, 0);
    assert_int_equal(bench_counters(bench).branches_live, count - 3);
    bench_welcome(bench, SESSION + 1, EPOCH, NONCE);
    bench_wait(bench, 2000);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), count - 3);
    free(gids);
}

/* The bound is for what nobody here works at and nobody can be asked about: not for a branch that is being finished, and not
 * while there is a coordinator. */
static void test_agent_p12_rows_that_somebody_sees_to_are_not_given_up(void **state)
{
    struct bench *bench = *state;
    const size_t count = 10001; /* one more than are kept */
    struct gid *gids = alloc_array(count, sizeof(*gids));
    for (size_t i = 0; i < count; i++) {
        gids[i] = bench_gid(i + 2, 77);
    }
    struct gid finishing = bench_prepare(bench, 1);
    bench_commit(bench, &finishing);
    bench_scan(bench, count, gids, 100);
    bench_scan(bench, 0, NULL, 0);
    assert_int_equal(bench_counters(bench).branches_live, count + 1);
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    bench_scan(bench, 0, NULL, 0);
    assert_int_equal(bench_counters(bench).hazards, 1);
    assert_int_equal(bench_counters(bench).branches_live, count);
    free(gids);
}

/* P-11: a row that LOOK reports but that is of another gtrid or participant is left alone. */
static void test_agent_p11_look_touches_only_its_own_rows(void **state)
{
    struct bench *bench = *state;
    struct gtrid gtrid = bench_gtrid(1);
    struct gid other = bench_gid(2, 77);
    bench_rollback_all(bench, &gtrid);
    answer_look(bench, &other);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    assert_int_equal(ack(bench)->ack, ACK_ROLLED_BACK);
    assert_int_equal(bench_counters(bench).branches_live, 0);
}

/* P-11: after a fence and a complete scan begun later, this process knows every row there is, and
 * needs no LOOK. */
static void test_agent_p11_settled_agent_answers_at_once(void **state)
{
    struct bench *bench = *state;
    struct gtrid first = bench_gtrid(1), second = bench_gtrid(2), third = bench_gtrid(3);
    bench_rollback_all(bench, &first);
    answer_look(bench, NULL);
    bench_rollback_all(bench, &second); /* fenced, but not scanned since */
    answer_look(bench, NULL);
    bench_scan(bench, 0, NULL, 0);
    bench_rollback_all(bench, &third);
    assert_int_equal(bench_count_commands(bench, COMMAND_LOOK), 0);
    assert_int_equal(ack(bench)->ack, ACK_ROLLED_BACK);
    /* Another history: nothing of that holds any more (P-14). */
    bench_status(bench, HEALTH_UP, true);
    bench_stored(bench);
    struct gtrid fourth = bench_gtrid(4);
    bench_rollback_all(bench, &fourth);
    assert_int_equal(bench_count_commands(bench, COMMAND_LOOK), 1);
}

/* An agent is not drained while a fence that a ROLLBACK asked for is still to come. */
static void test_agent_drain_waits_for_a_rollback_that_looks(void **state)
{
    struct bench *bench = *state;
    struct gtrid gtrid = bench_gtrid(1);
    bench_rollback_all(bench, &gtrid);
    uint64_t id = bench_command(bench, COMMAND_LOOK)->id;
    struct agent_event drain = {.kind = AGENT_EVENT_DRAIN};
    bench_step(bench, &drain);
    assert_false(bench->ready.drained);
    bench_answer(bench, id, COMMAND_LOOK, PG_NOT_FOUND);
    assert_int_equal(ack(bench)->ack, ACK_ROLLED_BACK);
    assert_true(bench->ready.drained);
}

/* P-20: an acknowledgement names the full gid that was finished, also with several attempts of one
 * gtrid. */
static void test_agent_p20_ack_names_the_attempt(void **state)
{
    struct bench *bench = *state;
    struct gid old = bench_gid(1, 13);
    bench_scan(bench, 1, &old, 10); /* left by an earlier incarnation */
    struct gid voted = bench_gid(1, 14);
    bench_commit(bench, &voted);
    struct command finish = *bench_command(bench, COMMAND_FINISH);
    bench_rollback(bench, &old);
    answer_finish(bench, PG_OK);
    assert_true(gid_equal(&ack(bench)->gid, &old));
    assert_int_equal(ack(bench)->ack, ACK_ROLLED_BACK);
    bench_answer(bench, finish.id, COMMAND_FINISH, PG_OK);
    assert_true(gid_equal(&ack(bench)->gid, &voted));
    assert_int_equal(ack(bench)->ack, ACK_COMMITTED);
}

/* Who is to end waits for what becomes of a branch that is being proved; what is only still told of it the next process finds out. */
static void test_agent_drain_waits_for_the_proof_and_not_for_the_telling(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_rollback(bench, &gid);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_NOT_FOUND);
    uint64_t prove = bench_command(bench, COMMAND_PROVE)->id;
    struct agent_event drain = {.kind = AGENT_EVENT_DRAIN};
    bench_step(bench, &drain);
    assert_false(bench->ready.drained);
    bench_work(bench, 1); /* an old copy */
    assert_int_equal(bench->ready.send_count + bench->ready.command_count, 0);
    struct command_result result = {
        .id = prove, .kind = COMMAND_PROVE, .class = PG_OK, .proved = PROOF_SAYS_COMMITTED};
    bench_result(bench, &result);
    assert_true(bench->ready.drained);
    drain = (struct agent_event){.kind = AGENT_EVENT_DRAIN};
    bench_step(bench, &drain);
    assert_true(bench->ready.drained);
}

/* What a person ended is told; should its row be there after all (restored), it is a branch like any other again. */
static void test_agent_h1_row_that_is_there_again_ends_the_telling(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_prepare(bench, 1);
    bench_rollback(bench, &gid);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_NOT_FOUND);
    answer_prove(bench, PROOF_SAYS_COMMITTED);
    bench_scan(bench, 1, &gid, 10);
    assert_int_equal(bench_counters(bench).branches_live, 1);
    bench_wait(bench, 2000);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 1);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    bench_verdict(bench, &gid, VERDICT_ABORT);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 1);
}

/* P-8: nobody acts on a row of which its coordinator knew nothing; one that knows more ends that. */
static void test_agent_p8_later_verdict_ends_what_was_unowned(void **state)
{
    struct bench *bench = *state;
    for (uint64_t i = 0; i < 3; i++) {
        struct gid gid = bench_gid(1 + i, 99);
        bench_scan(bench, 1, &gid, 10);
        bench_verdict(bench, &gid, VERDICT_UNKNOWN);
        assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
        if (i == 2) { /* it can be judged, but not yet: it is asked about again */
            bench_verdict(bench, &gid, VERDICT_WAIT);
            assert_int_equal(bench->ready.command_count, 0);
            bench_wait(bench, 5000);
            assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 1);
        }
        bench_verdict(bench, &gid, i == 0 ? VERDICT_COMMIT : VERDICT_ABORT);
        assert_true(bench_command(bench, COMMAND_FINISH)->as.finish.commit == (i == 0));
        bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_OK);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_agent_p6_prepared_branch_asks_and_never_finishes_alone),
        TEST(test_agent_p6_unknown_verdict_keeps_hands_off),
        TEST(test_agent_p6_strangers_are_never_touched),
        TEST(test_agent_p7_repeated_commit_finishes_once),
        TEST(test_agent_p7_work_after_commit_executes_nothing),
        TEST(test_agent_p7_contrary_word_is_refused),
        TEST(test_agent_p12_missing_row_is_judged_by_the_proof),
        TEST(test_agent_p12_row_that_is_there_again_is_finished),
        TEST(test_agent_p12_doubt_in_finish_is_tried_again),
        TEST(test_agent_p12_backoff_is_bounded_and_ends_with_the_database),
        TEST(test_agent_p12_own_branch_is_proved_without_a_fence),
        TEST(test_agent_p12_rollback_after_commit_is_heuristic),
        TEST(test_agent_rollback_of_a_running_branch_cancels_it),
        TEST(test_agent_rollback_repeats_its_cancel),
        TEST(test_agent_p11_lost_execute_is_fenced_before_it_is_denied),
        TEST(test_agent_p11_failed_look_is_repeated),
        TEST(test_agent_p11_rollback_without_gid_looks_before_it_answers),
        TEST(test_agent_p11_row_found_during_the_rollback_goes_too),
        TEST(test_agent_p12_row_ended_by_hand_is_found_out),
        TEST(test_agent_h1_contradiction_is_told_until_it_is_on_record),
        TEST(test_agent_h1_noted_ends_nothing_but_the_telling),
        TEST(test_agent_h1_old_messages_do_not_end_the_telling),
        TEST(test_agent_h1_commit_after_a_contradiction_is_found_done),
        TEST(test_agent_p12_rows_ended_while_nobody_can_be_asked_are_bounded),
        TEST(test_agent_p12_rows_that_somebody_sees_to_are_not_given_up),
        TEST(test_agent_p11_look_touches_only_its_own_rows),
        TEST(test_agent_p11_settled_agent_answers_at_once),
        TEST(test_agent_drain_waits_for_a_rollback_that_looks),
        TEST(test_agent_drain_waits_for_the_proof_and_not_for_the_telling),
        TEST(test_agent_h1_row_that_is_there_again_ends_the_telling),
        TEST(test_agent_p8_later_verdict_ends_what_was_unowned),
        TEST(test_agent_p20_ack_names_the_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
