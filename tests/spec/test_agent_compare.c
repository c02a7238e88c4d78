/* test_agent_compare.c - P-12 and H1 in the agent's core: what a person committed against an abort is found by its outcome,
 * also by a process that never knew the branch; and what a later process need not compare any more. */
#include "tests/spec/test_agent_harness.h"

#define PAGE 100 /* as in bench_config */

static int set_up(void **state)
{
    struct bench *bench = alloc_zeroed(sizeof(*bench));
    bench_init(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    bench_done(*state);
    free(*state);
    return 0;
}

/* A process that has found out what earlier ones left, with its coordinator. */
static struct bench *begin(void **state)
{
    struct bench *bench = *state;
    bench_settle(bench);
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    return bench;
}

static void answer(struct bench *bench, enum command_kind kind, enum pg_class class)
{
    bench_answer(bench, bench_command(bench, kind)->id, kind, class);
}

static void proved(struct bench *bench, enum pg_class class, enum proof_result what)
{
    struct command_result result = {.id = bench_command(bench, COMMAND_PROVE)->id,
                                    .kind = COMMAND_PROVE,
                                    .class = class,
                                    .proved = what};
    bench_result(bench, &result);
}

static const struct message_ack *told(const struct bench *bench)
{
    return &bench_send(bench, MESSAGE_ACK)->message.as.ack;
}

/* A head that is new opens the next sweep; it is stored at once, so that only what follows is in the next store. */
static void tell_head(struct bench *bench, uint64_t number)
{
    struct message message = {.kind = MESSAGE_HEAD};
    message.as.head.head.number = number;
    bench_message(bench, SESSION, &message);
    bench_wait(bench, 1000);
    bench_stored(bench);
}

/* The mark that goes to the database with a sweep that begins when every id below the horizon has ended. */
static const struct witness *swept(struct bench *bench, uint64_t head_number, uint64_t horizon_xid)
{
    tell_head(bench, head_number);
    bench->horizon_xid = horizon_xid;
    bench_scan(bench, 0, NULL, 0);
    if (bench_count_commands(bench, COMMAND_STORE_WITNESS) == 0) {
        bench_wait(bench, 1000); /* at most once a second */
    }
    return bench_count_commands(bench, COMMAND_STORE_WITNESS) == 0
               ? NULL
               : &bench_command(bench, COMMAND_STORE_WITNESS)->as.store;
}

/* H1: nobody asks about an abort, and the process that knew the branch is gone: its outcome is asked about, the answer
 * contradicts it, and that is told until it is on record. */
static void test_agent_p12_outcome_against_an_abort_is_told(void **state)
{
    struct bench *bench = begin(state);
    struct gid gid = bench_gid(3, 9);
    bench_outcomes(bench, 1, &gid, 700);
    assert_true(gid_equal(&bench_send(bench, MESSAGE_INQUIRY)->message.as.inquiry.gid, &gid));
    bench_verdict(bench, &gid, VERDICT_ABORT);
    assert_false(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
    answer(bench, COMMAND_FINISH, PG_NOT_FOUND);
    const struct command_prove *prove = &bench_command(bench, COMMAND_PROVE)->as.prove;
    assert_int_equal(prove->proof.kind, PROOF_ROW);
    assert_false(prove->fence); /* what is over can not be prepared any more */
    proved(bench, PG_OK, PROOF_SAYS_COMMITTED);
    assert_int_equal(told(bench)->ack, ACK_HEURISTIC_COMMIT);
    bench_wait(bench, 100);
    assert_true(gid_equal(&told(bench)->gid, &gid));
    bench_verdict(bench, &gid, VERDICT_NOTED);
    assert_int_equal(bench_counters(bench).branches_live, 0);
    assert_int_equal(bench_counters(bench).heuristics, 1);
}

/* An outcome that was decided so costs one question. So does one that its coordinator has trimmed meanwhile; no alarm. */
static void test_agent_p12_outcome_that_was_decided_is_left_alone(void **state)
{
    struct bench *bench = begin(state);
    struct gid gids[] = {bench_gid(3, 9), bench_gid(4, 10), bench_gid(5, 11)};
    bench_outcomes(bench, 3, gids, 702);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 3);
    assert_true(bench->ready.sends[0].message.as.inquiry.of_outcome);
    bench_verdict(bench, &gids[0], VERDICT_COMMIT);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    bench_verdict(bench, &gids[1], VERDICT_UNKNOWN);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_UNKNOWN_OWNER), 0);
    assert_int_equal(bench_counters(bench).branches_live, 1);
    bench_verdict(bench, &gids[2], VERDICT_WAIT); /* asked again until it is decided */
    bench_wait(bench, 2000);
    assert_true(gid_equal(&bench_send(bench, MESSAGE_INQUIRY)->message.as.inquiry.gid, &gids[2]));
    bench_commit(bench, &gids[2]); /* the coordinator's own word takes the usual way */
    answer(bench, COMMAND_FINISH, PG_NOT_FOUND);
    proved(bench, PG_OK, PROOF_SAYS_COMMITTED);
    assert_int_equal(told(bench)->ack, ACK_COMMITTED);
    assert_int_equal(bench_counters(bench).branches_live, 0);
    assert_int_equal(bench_counters(bench).heuristics, 0);
}

/* P-8: an inquiry that comes late is answered after its coordinator has trimmed the transaction, or its floor has passed it.
 * The word that was heard stands. (--seed 1102570 of 53bde88 did so.) */
static void test_agent_p12_unknown_after_the_word_changes_nothing(void **state)
{
    struct bench *bench = begin(state);
    struct gid gids[] = {bench_gid(3, 9), bench_gid(4, 10)};
    bench_outcomes(bench, 2, gids, 701);
    bench_commit(bench, &gids[0]);
    const uint64_t finish = bench_command(bench, COMMAND_FINISH)->id;
    bench_verdict(bench, &gids[0], VERDICT_UNKNOWN); /* finishing */
    bench_answer(bench, finish, COMMAND_FINISH, PG_RETRY);
    bench_verdict(bench, &gids[0], VERDICT_UNKNOWN); /* paused */
    bench_wait(bench, 100);
    answer(bench, COMMAND_FINISH, PG_NOT_FOUND);
    const uint64_t prove = bench_command(bench, COMMAND_PROVE)->id;
    bench_verdict(bench, &gids[0], VERDICT_UNKNOWN); /* proving */
    struct command_result result = {
        .id = prove, .kind = COMMAND_PROVE, .class = PG_OK, .proved = PROOF_SAYS_COMMITTED};
    bench_result(bench, &result);
    assert_int_equal(told(bench)->ack, ACK_COMMITTED);
    bench_verdict(bench, &gids[0], VERDICT_UNKNOWN); /* done */
    assert_int_equal(bench->ready.send_count, 0);

    bench_verdict(bench, &gids[1], VERDICT_ABORT);
    answer(bench, COMMAND_FINISH, PG_NOT_FOUND);
    proved(bench, PG_OK, PROOF_SAYS_COMMITTED);
    bench_verdict(bench, &gids[1], VERDICT_UNKNOWN); /* telling */
    bench_wait(bench, 100);
    assert_int_equal(told(bench)->ack, ACK_HEURISTIC_COMMIT);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_UNKNOWN_OWNER), 0);
}

/* It begins when all that earlier processes left is known, and there is somebody to ask. */
static void test_agent_p12_comparison_waits_until_all_is_known(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    bench_scan(bench, 0, NULL, 0);
    bench_scan(bench, 0, NULL, 0);
    assert_int_equal(bench->outcomes_id, 0); /* a backend of an earlier process may still prepare */
    bench_settle(bench);
    assert_int_not_equal(bench->outcomes_id, 0);

    struct bench other;
    bench_init(&other);
    bench_settle(&other);
    bench_wait(&other, 5000);
    assert_int_equal(other.outcomes_id, 0); /* no coordinator */
    bench_done(&other);
}

/* Only until it is settled is a scan asked whether others are left, and none is ended afterwards. */
static void test_agent_p11_scan_looks_for_others_until_settled(void **state)
{
    struct bench *bench = *state;
    bench_wait(bench, 2000);
    assert_true(bench_command(bench, COMMAND_SCAN)->as.scan.look_for_others);
    assert_false(bench_command(bench, COMMAND_SCAN)->as.scan.end_others);
    bench_settle(bench);
    bench_wait(bench, 2000);
    assert_false(bench_command(bench, COMMAND_SCAN)->as.scan.look_for_others);
    assert_false(bench_command(bench, COMMAND_SCAN)->as.scan.end_others);
}

/* What this process knows is not asked about twice, and what is nobody's of ours not at all. */
static void test_agent_p12_known_branches_are_not_compared(void **state)
{
    struct bench *bench = begin(state);
    struct gid gids[] = {bench_prepare(bench, 1), bench_gid(2, 9), bench_gid(3, 10)};
    gids[1].gtrid.journal.bytes[0] ^= 1;
    (void)snprintf(gids[2].participant, sizeof(gids[2].participant), "stock");
    bench_outcomes(bench, 3, gids, 700);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 0);
    assert_int_equal(bench_counters(bench).branches_live, 1);
}

/* Somebody's text in the table is no branch of ours. */
static void test_agent_p6_outcome_that_is_no_gid_is_left_alone(void **state)
{
    struct bench *bench = begin(state);
    struct gid gid = bench_gid(3, 9);
    struct command_result result = {.id = bench->outcomes_id,
                                    .kind = COMMAND_OUTCOMES,
                                    .class = PG_OK,
                                    .row_count = 1,
                                    .rows = alloc_array(1, sizeof(result.rows[0]))};
    gid_format(&gid, result.rows[0].gid_text);
    *strrchr(result.rows[0].gid_text, ':') = '\0'; /* without its attempt */
    bench_result(bench, &result);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 0);
    assert_int_equal(bench_counters(bench).branches_live, 0);
}

/* One page at a time, in order; a page is over when all of it was answered. */
static void test_agent_p12_pages_follow_each_other(void **state)
{
    struct bench *bench = begin(state);
    static struct gid gids[PAGE];
    for (size_t i = 0; i < PAGE; i++) {
        gids[i] = bench_gid(i + 1, i + 1);
    }
    bench_outcomes(bench, PAGE, gids, 5000);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), PAGE);
    for (size_t i = 0; i < PAGE; i++) {
        assert_int_equal(bench->outcomes_id, 0);
        bench_verdict(bench, &gids[i], VERDICT_COMMIT);
    }
    bench_wait(bench, 50); /* its coordinator has other things to do */
    const struct command_outcomes *next = &bench_command(bench, COMMAND_OUTCOMES)->as.outcomes;
    assert_int_equal(next->after_xid, 5000);
    assert_true(journal_id_equal(&next->journal, &gids[0].gtrid.journal));
    bench_outcomes(bench, 0, NULL, 0);
    bench_wait(bench, 5000);
    assert_int_equal(bench->outcomes_id, 0); /* that was the last one */
}

/* Without its coordinator the rows wait in the database; the page is read again for the next session. */
static void test_agent_p12_lost_session_reads_the_page_again(void **state)
{
    struct bench *bench = begin(state);
    struct gid gid = bench_gid(3, 9);
    bench_outcomes(bench, 1, &gid, 700);
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    assert_int_equal(bench_counters(bench).branches_live, 0);
    bench_welcome(bench, SESSION + 1, EPOCH, NONCE);
    assert_int_equal(bench_command(bench, COMMAND_OUTCOMES)->as.outcomes.after_xid, 0);

    /* An answer that comes while nobody is there is dropped as well. */
    down.session = SESSION + 1;
    bench_step(bench, &down);
    bench_outcomes(bench, 1, &gid, 700);
    assert_int_equal(bench_counters(bench).branches_live, 0);
    bench_welcome(bench, SESSION + 2, EPOCH, NONCE);
    bench_outcomes(bench, 1, &gid, 700);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 1);
}

/* A failure says nothing: it is asked again, not at once. */
static void test_agent_p12_failed_page_is_read_again(void **state)
{
    struct bench *bench = begin(state);
    uint64_t id = bench->outcomes_id;
    bench->outcomes_id = 0;
    bench_answer(bench, id, COMMAND_OUTCOMES, PG_UNKNOWN);
    assert_int_equal(bench->outcomes_id, 0);
    assert_true(bench->ready.deadline_ms <= bench->now_ms + 1000);
    bench_wait(bench, 1000);
    assert_int_not_equal(bench->outcomes_id, 0);
}

/* P-14: another history has other outcomes: all of them are compared, and no mark of the old one is stored. */
static void test_agent_p14_changed_history_is_compared_anew(void **state)
{
    struct bench *bench = begin(state);
    struct gid gid = bench_gid(3, 9);
    bench_outcomes(bench, 1, &gid, 700);
    bench_verdict(bench, &gid, VERDICT_COMMIT);
    const struct witness *stored = swept(bench, 30, 800);
    assert_int_equal(stored->compared_xid, 800);
    assert_int_equal(stored->compared_timeline, 1);
    bench_stored(bench);
    bench_status(bench, HEALTH_UP, true);
    assert_int_equal(bench_command(bench, COMMAND_STORE_WITNESS)->as.store.compared_xid, 0);
    bench_stored(bench);
    bench_settle(bench);
    assert_int_equal(bench_command(bench, COMMAND_OUTCOMES)->as.outcomes.after_xid, 0);
}

/* P-14: what was asked of the other history is not what stands in this one, also if the answer comes late. */
static void test_agent_p14_page_of_another_history_is_dropped(void **state)
{
    struct bench *bench = begin(state);
    struct gid gid = bench_gid(3, 9);
    uint64_t id = bench->outcomes_id;
    bench->outcomes_id = 0;
    bench_status(bench, HEALTH_UP, true);
    bench_stored(bench); /* welcomed again */
    bench_settle(bench);
    assert_int_equal(bench->outcomes_id, 0); /* the old one is still out */
    bench->outcomes_id = id;
    bench_outcomes(bench, 1, &gid, 700);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 0);
    assert_int_equal(bench_counters(bench).branches_live, 0);
    assert_int_equal(bench_command(bench, COMMAND_OUTCOMES)->as.outcomes.after_xid, 0);
}

/* What is let go because there is too much of it is compared once more: its outcome, if there is one, stands in the database. */
static void test_agent_p12_what_is_let_go_is_compared_again(void **state)
{
    struct bench *bench = begin(state);
    const size_t count = 10001; /* one more than is kept */
    struct gid *gids = alloc_array(count, sizeof(*gids));
    for (size_t i = 0; i < count; i++) {
        gids[i] = bench_gid(i + 1, 77);
    }
    bench_outcomes(bench, 0, NULL, 0);
    struct agent_event down = {.kind = AGENT_EVENT_PEER_DOWN, .session = SESSION};
    bench_step(bench, &down);
    bench_scan(bench, count, gids, 100);
    bench_scan(bench, 0, NULL, 0); /* a person has ended them all */
    free(gids);
    assert_int_equal(bench_counters(bench).branches_live, count - 1);
    bench_welcome(bench, SESSION + 1, EPOCH, NONCE);
    assert_int_not_equal(bench->outcomes_id, 0);
}

/* The mark: what had ended when a sweep was opened that is complete, and not before everything was compared; what is told and
 * not on record holds it back. */
static void test_agent_p12_mark_follows_complete_sweeps(void **state)
{
    struct bench *bench = begin(state);
    struct gid gid = bench_gid(3, 9);
    assert_null(swept(bench, 20, 750)); /* complete at once, but nothing is compared */
    bench_outcomes(bench, 1, &gid, 700);
    bench_verdict(bench, &gid, VERDICT_ABORT);
    answer(bench, COMMAND_FINISH, PG_NOT_FOUND);
    proved(bench, PG_OK, PROOF_SAYS_COMMITTED);
    assert_null(swept(bench, 30, 800)); /* its branch is not on record yet */
    bench_verdict(bench, &gid, VERDICT_NOTED);
    assert_int_equal(swept(bench, 40, 900)->compared_xid, 900);
}

/* P-13: a sweep proves nothing while a backend of an earlier process may still prepare:
 *   1. an agent dies, its backend works on; the transaction is aborted;
 *   2. the next agent sweeps, sees no row, and the floor passes the transaction;
 *   3. the backend prepares: nobody can judge the row any more. */
static void test_agent_p13_no_sweep_before_earlier_processes_are_over(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE); /* head 10 */
    bench_scan(bench, 0, NULL, 0);
    bench_wait(bench, 1000);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.swept_number, 0);
    bench_settle(bench);
    bench_scan(bench, 0, NULL, 0);
    bench_wait(bench, 1000);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.swept_number, 0);
    bench_outcomes(bench, 0, NULL,
                   0); /* nor while something is to be asked about that the floor would pass */
    bench_scan(bench, 0, NULL, 0);
    bench_wait(bench, 1000);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.swept_number, 10);
}

/* A contradiction that a ROLLBACK by name found is told, and its outcome is not asked about a second time. The mark waits for
 * it all the same: sweeps are opened after the comparison, with everything that is live. */
static void test_agent_p12_mark_waits_for_what_is_told(void **state)
{
    struct bench *bench = begin(state);
    struct gid gid = bench_gid(2, 6);
    bench_rollback(bench, &gid);
    answer(bench, COMMAND_FINISH, PG_NOT_FOUND);
    proved(bench, PG_OK, PROOF_SAYS_COMMITTED);
    bench_outcomes(bench, 1, &gid, 700);
    assert_int_equal(bench_count_sends(bench, MESSAGE_INQUIRY), 0);
    assert_null(swept(bench, 30, 900));
    bench_verdict(bench, &gid, VERDICT_NOTED);
    assert_int_equal(bench_command(bench, COMMAND_STORE_WITNESS)->as.store.compared_xid, 900);
}

/* P-11: what is left of an earlier process is told of, and ended when it does not go. */
static void test_agent_p11_others_that_stay_are_ended(void **state)
{
    struct bench *bench = *state;
    bench_welcome(bench, SESSION, EPOCH, NONCE);
    size_t notices = 0;
    for (int i = 0; i < 5; i++) {
        bench_wait(bench, 2000);
        assert_false(bench_command(bench, COMMAND_SCAN)->as.scan.end_others);
        bench_scan(bench, 0, NULL, 0);
        notices += bench_count_notices(bench, AGENT_NOTICE_OTHERS);
        assert_true(i > 0 || notices == 0); /* what has just ended goes by itself */
    }
    assert_int_equal(notices, 1);
    bench_wait(bench, 30000);
    assert_true(bench_command(bench, COMMAND_SCAN)->as.scan.end_others);
}

static struct gid looked_at(struct bench *bench)
{
    bench_work(bench, 1);
    struct gid gid = bench_command(bench, COMMAND_EXECUTE)->as.execute.gid;
    answer(bench, COMMAND_EXECUTE, PG_UNKNOWN);
    answer(bench, COMMAND_LOOK, PG_NOT_FOUND);
    return gid;
}

/* H1: a look that finds nothing may come after a person: the proof tells. No word is there, so nothing is ended (I3): it asks. */
static void test_agent_p12_look_that_finds_nothing_is_proved(void **state)
{
    struct bench *bench = begin(state);
    struct gid gid = looked_at(bench);
    assert_false(bench_command(bench, COMMAND_PROVE)->as.prove.expect_commit);
    proved(bench, PG_OK, PROOF_SAYS_COMMITTED);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    bench_wait(bench, 1000);
    assert_true(gid_equal(&bench_send(bench, MESSAGE_INQUIRY)->message.as.inquiry.gid, &gid));
    bench_verdict(bench, &gid, VERDICT_ABORT);
    answer(bench, COMMAND_FINISH, PG_NOT_FOUND);
    proved(bench, PG_OK, PROOF_SAYS_COMMITTED);
    assert_int_equal(told(bench)->ack, ACK_HEURISTIC_COMMIT);
}

/* A ROLLBACK that comes while the proof is asked is obeyed with its answer. A COMMIT that does (its coordinator errs) is not
 * answered by a proof that was asked for nothing of the kind. */
static void test_agent_p12_word_during_the_proof_counts(void **state)
{
    struct bench *bench = begin(state);
    struct gid gid = looked_at(bench);
    uint64_t id = bench_command(bench, COMMAND_PROVE)->id;
    bench_rollback_all(bench, &gid.gtrid);
    struct command_result committed = {
        .id = id, .kind = COMMAND_PROVE, .class = PG_OK, .proved = PROOF_SAYS_COMMITTED};
    bench_result(bench, &committed);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    assert_int_equal(bench_counters(bench).heuristics, 1);
    bench_verdict(bench, &gid, VERDICT_NOTED);

    bench_work(bench, 2);
    gid = bench_command(bench, COMMAND_EXECUTE)->as.execute.gid;
    answer(bench, COMMAND_EXECUTE, PG_UNKNOWN);
    answer(bench, COMMAND_LOOK, PG_NOT_FOUND);
    id = bench_command(bench, COMMAND_PROVE)->id;
    bench_commit(bench, &gid);
    struct command_result absent = {
        .id = id, .kind = COMMAND_PROVE, .class = PG_OK, .proved = PROOF_SAYS_ABSENT};
    bench_result(bench, &absent);
    assert_int_equal(bench_counters(bench).heuristics, 1);
    bench_wait(bench, 100);
    assert_true(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
}

/* Without an answer, or prepared after all, it is looked at again; what never prepared is over. */
static void test_agent_p12_proof_without_an_answer_looks_again(void **state)
{
    struct bench *bench = begin(state);
    (void)looked_at(bench);
    proved(bench, PG_UNKNOWN, PROOF_SAYS_ABSENT);
    bench_wait(bench, 100);
    answer(bench, COMMAND_LOOK, PG_NOT_FOUND);
    proved(bench, PG_OK, PROOF_SAYS_PREPARED);
    bench_wait(bench, 200);
    answer(bench, COMMAND_LOOK, PG_NOT_FOUND);
    proved(bench, PG_OK, PROOF_SAYS_ABSENT);
    assert_int_equal(bench_counters(bench).branches_live, 0);
    assert_int_equal(bench_counters(bench).heuristics, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_agent_p12_outcome_against_an_abort_is_told),
        TEST(test_agent_p12_outcome_that_was_decided_is_left_alone),
        TEST(test_agent_p12_unknown_after_the_word_changes_nothing),
        TEST(test_agent_p12_comparison_waits_until_all_is_known),
        TEST(test_agent_p11_scan_looks_for_others_until_settled),
        TEST(test_agent_p12_known_branches_are_not_compared),
        TEST(test_agent_p6_outcome_that_is_no_gid_is_left_alone),
        TEST(test_agent_p12_pages_follow_each_other),
        TEST(test_agent_p12_lost_session_reads_the_page_again),
        TEST(test_agent_p12_failed_page_is_read_again),
        TEST(test_agent_p14_changed_history_is_compared_anew),
        TEST(test_agent_p14_page_of_another_history_is_dropped),
        TEST(test_agent_p12_what_is_let_go_is_compared_again),
        TEST(test_agent_p12_mark_follows_complete_sweeps),
        TEST(test_agent_p12_mark_waits_for_what_is_told),
        TEST(test_agent_p11_others_that_stay_are_ended),
        TEST(test_agent_p13_no_sweep_before_earlier_processes_are_over),
        TEST(test_agent_p12_look_that_finds_nothing_is_proved),
        TEST(test_agent_p12_word_during_the_proof_counts),
        TEST(test_agent_p12_proof_without_an_answer_looks_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
