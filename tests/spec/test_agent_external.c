/* test_agent_external.c - branches that the application prepares, in the agent's core: VERIFY in, votes out (P-3, P-11, P-20). */
#include "tests/spec/test_agent_harness.h"

#define SEQUENCE 50u
#define GIVEN    0x9e37u /* the coordinator's attempt */
#define XID      7000u

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

static void say_verify_as(struct bench *bench, uint64_t session, const struct gid *gid,
                          uint64_t remaining_ms)
{
    struct message message = {.kind = MESSAGE_VERIFY};
    message.as.verify.gid = *gid;
    message.as.verify.remaining_ms = remaining_ms;
    bench_message(bench, session, &message);
}

static void say_verify(struct bench *bench, const struct gid *gid)
{
    say_verify_as(bench, SESSION, gid, 5000);
}

static void say_commit(struct bench *bench, const struct gid *gid, uint64_t xid8)
{
    struct message message = {.kind = MESSAGE_COMMIT};
    message.as.commit.gid = *gid;
    message.as.commit.proof = (struct proof){.kind = PROOF_EXTERNAL, .xid8 = xid8};
    bench_message(bench, SESSION, &message);
}

static void answer_as(struct bench *bench, uint64_t id, enum pg_class class, enum reason reason)
{
    struct command_result result = {.id = id, .kind = COMMAND_VERIFY, .class = class};
    if (class == PG_OK) {
        result.proof = (struct proof){.kind = PROOF_EXTERNAL, .xid8 = XID, .lsn = 9};
        snprintf(result.owner, sizeof(result.owner), "%s", "shop");
    }
    result.failure.reason = reason;
    bench_result(bench, &result);
}

static const struct message_vote *vote(const struct bench *bench)
{
    return &bench_send(bench, MESSAGE_VOTE)->message.as.vote;
}

static struct gid verified(struct bench *bench)
{
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    say_verify(bench, &gid);
    answer_as(bench, bench_command(bench, COMMAND_VERIFY)->id, PG_OK, REASON_NONE);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
    return gid;
}

static void prove(struct bench *bench, uint64_t id, enum proof_result says)
{
    struct command_result result = {
        .id = id, .kind = COMMAND_PROVE, .class = PG_OK, .proved = says};
    bench_result(bench, &result);
}

/* With the next heartbeat. */
static uint64_t told_swept(struct bench *bench)
{
    bench_wait(bench, 1000);
    return bench_send(bench, MESSAGE_HEALTH)->message.as.health.swept_number;
}

static void verify_comes_late(struct bench *bench, const struct gid *gid)
{
    say_verify(bench, gid);
    assert_int_equal(bench->ready.command_count, 0);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
}

/* A scan that shows this row with that transaction id. */
static void scan_xid(struct bench *bench, const struct gid *gid, uint32_t xid)
{
    while (bench->scan_id == 0) {
        bench_wait(bench, 500);
    }
    struct command_result result = {.id = bench->scan_id, .kind = COMMAND_SCAN, .class = PG_OK};
    result.rows = alloc_array(1, sizeof(*result.rows));
    result.row_count = 1;
    gid_format(gid, result.rows[0].gid_text);
    result.rows[0].xid = xid;
    result.rows[0].age_ms = 3000;
    bench->scan_id = 0;
    bench_result(bench, &result);
}

/* The yes names gid, transaction id and owner, and comes only after the database has been asked. */
static void test_agent_p3_verified_row_is_a_yes(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    say_verify(bench, &gid);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    const struct command *command = bench_command(bench, COMMAND_VERIFY);
    assert_true(gid_equal(&command->as.verify.gid, &gid));
    assert_int_equal(command->as.verify.deadline_ms, bench->now_ms + 5000);
    answer_as(bench, command->id, PG_OK, REASON_NONE);
    assert_true(gid_equal(&vote(bench)->gid, &gid));
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
    assert_int_equal(vote(bench)->proof.kind, PROOF_EXTERNAL);
    assert_int_equal(vote(bench)->proof.xid8, XID);
    assert_string_equal(vote(bench)->owner, "shop");
}

/* Whatever is not a clear yes is none: no, doubt, and an answer that proves nothing. */
static void test_agent_p3_anything_else_is_no_yes(void **state)
{
    static const struct {
        enum pg_class class;
        enum vote vote;
    } answers[] = {{PG_ROLLED_BACK, VOTE_ABORT},
                   {PG_UNKNOWN, VOTE_UNKNOWN},
                   {PG_RETRY, VOTE_UNKNOWN},
                   {PG_REFUSED, VOTE_UNKNOWN},
                   {PG_NOT_FOUND, VOTE_UNKNOWN}};
    struct bench *bench = *state;
    for (uint64_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct gid gid = bench_gid(SEQUENCE + i, GIVEN + i);
        say_verify(bench, &gid);
        answer_as(bench, bench_command(bench, COMMAND_VERIFY)->id, answers[i].class,
                  REASON_NOT_PREPARABLE);
        assert_int_equal(vote(bench)->vote, answers[i].vote);
        assert_int_equal(vote(bench)->failure.reason, REASON_NOT_PREPARABLE);
    }
    struct gid gid = bench_gid(SEQUENCE + 10, GIVEN);
    say_verify(bench, &gid);
    struct command_result result = {
        .id = bench_command(bench, COMMAND_VERIFY)->id, .kind = COMMAND_VERIFY, .class = PG_OK};
    bench_result(bench, &result); /* without a proof */
    assert_int_equal(vote(bench)->vote, VOTE_UNKNOWN);
}

/* P-11: after a no the branch is not over: ROLLBACK looks once more, and "not there" then ends it without a fence, since the
 * application's backends are nobody's to end. */
static void test_agent_p11_no_is_looked_at_again_when_told_to_roll_back(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    say_verify(bench, &gid);
    answer_as(bench, bench_command(bench, COMMAND_VERIFY)->id, PG_ROLLED_BACK,
              REASON_NOT_PREPARABLE);
    assert_int_equal(bench_count_sends(bench, MESSAGE_ACK), 0);
    bench_rollback(bench, &gid);
    const struct command *finish = bench_command(bench, COMMAND_FINISH);
    assert_false(finish->as.finish.commit);
    bench_answer(bench, finish->id, COMMAND_FINISH, PG_NOT_FOUND);
    const struct command *prove = bench_command(bench, COMMAND_PROVE);
    assert_false(prove->as.prove.fence);
    struct command_result result = {
        .id = prove->id, .kind = COMMAND_PROVE, .class = PG_OK, .proved = PROOF_SAYS_ABSENT};
    bench_result(bench, &result);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_ROLLED_BACK);
    /* Prepared after all that: the sweep asks about it. */
    bench_scan(bench, 1, &gid, 3000);
    bench_wait(bench, 2000);
    assert_true(gid_equal(&bench_send(bench, MESSAGE_INQUIRY)->message.as.inquiry.gid, &gid));
    bench_verdict(bench, &gid, VERDICT_ABORT);
    assert_false(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
}

/* P-13: nobody can fence an application. What it prepares after the abort was told, and swept, no sweep has waited for, and below the
 * floor nobody could tell the agent any more to roll it back. So until it has ended, this participant has swept nothing. */
static void test_agent_p13_row_after_its_abort_takes_the_sweep_back(void **state)
{
    struct bench *bench = *state;
    bench_settle(bench);
    bench_outcomes(bench, 0, NULL, 0);
    bench_scan(bench, 0, NULL, 0);
    assert_int_equal(told_swept(bench), 10);
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    bench_rollback(bench, &gid);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_NOT_FOUND);
    prove(bench, bench_command(bench, COMMAND_PROVE)->id, PROOF_SAYS_ABSENT);
    assert_int_equal(told_swept(bench), 10);
    bench_scan(bench, 1, &gid, 10);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.swept_number, 0);
    bench_verdict(bench, &gid,
                  VERDICT_WAIT); /* the coordinator was restarted, and waits for others */
    assert_int_equal(told_swept(bench), 0);
    bench_verdict(bench, &gid, VERDICT_ABORT);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_OK);
    assert_int_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.swept_number, 10);
}

/* The sweep may find the row first; it waits for the word, and VERIFY still gets its vote. */
static void test_agent_p3_row_that_the_sweep_found_first_is_verified(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    bench_scan(bench, 1, &gid, 10);
    bench_verdict(bench, &gid, VERDICT_WAIT);
    say_verify(bench, &gid);
    answer_as(bench, bench_command(bench, COMMAND_VERIFY)->id, PG_OK, REASON_NONE);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
}

/* P-7: a repetition gets the same vote, and the database is asked once. */
static void test_agent_p7_repeated_verify_gets_the_same_vote(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    say_verify(bench, &gid);
    uint64_t id = bench_command(bench, COMMAND_VERIFY)->id;
    say_verify(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_VERIFY), 0);
    answer_as(bench, id, PG_OK, REASON_NONE);
    say_verify(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_VERIFY), 0);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
    struct gid other = bench_gid(SEQUENCE + 1, GIVEN);
    say_verify(bench, &other);
    answer_as(bench, bench_command(bench, COMMAND_VERIFY)->id, PG_ROLLED_BACK,
              REASON_NOT_PREPARABLE);
    say_verify(bench, &other);
    assert_int_equal(bench_count_commands(bench, COMMAND_VERIFY), 0);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
}

/* The keeper's connection went and came back; the look runs on one of its own, and its answer is the vote. */
static void test_agent_p3_verification_outlasts_the_keepers_connection(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    say_verify(bench, &gid);
    uint64_t id = bench_command(bench, COMMAND_VERIFY)->id;
    bench_status(bench, HEALTH_DOWN, false);
    bench_status(bench, HEALTH_UP, false);
    assert_int_equal(bench_count_commands(bench, COMMAND_VERIFY), 0);
    answer_as(bench, id, PG_OK, REASON_NONE);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
}

/* P-6: a word that comes while it is being verified is carried out, and no vote is given any more. */
static void test_agent_p6_word_during_verification_is_carried_out(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    say_verify(bench, &gid);
    uint64_t id = bench_command(bench, COMMAND_VERIFY)->id;
    bench_rollback(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_FINISH), 0);
    answer_as(bench, id, PG_OK, REASON_NONE);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    assert_false(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
}

/* P-14, P-6: the yes was decided on before the history changed; the word is carried out with what it names. */
static void test_agent_p6_commit_during_verification_is_carried_out(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    say_verify(bench, &gid);
    uint64_t id = bench_command(bench, COMMAND_VERIFY)->id;
    bench_verdict(bench, &gid, VERDICT_COMMIT); /* it has asked for nothing: an old answer */
    say_commit(bench, &gid, XID);
    answer_as(bench, id, PG_UNKNOWN, REASON_NONE);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    assert_true(bench_command(bench, COMMAND_FINISH)->as.finish.commit);
    assert_int_equal(bench_command(bench, COMMAND_FINISH)->as.finish.proof.xid8, XID);
}

/* P-8: who does not know a row may yet ask for it to be verified; UNKNOWN in the middle of it changes nothing. */
static void test_agent_p8_unknown_during_verification_waits(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    bench_scan(bench, 1, &gid, 3000);
    bench_verdict(bench, &gid, VERDICT_UNKNOWN);
    say_verify(bench, &gid);
    uint64_t id = bench_command(bench, COMMAND_VERIFY)->id;
    bench_verdict(bench, &gid, VERDICT_UNKNOWN);
    answer_as(bench, id, PG_OK, REASON_NONE);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
}

/* P-7: a copy of VERIFY that comes once there is a word looks at nothing, and what is under way goes on. */
static void test_agent_p7_late_verify_disturbs_nothing(void **state)
{
    struct bench *bench = *state;
    struct gid gid = verified(bench);
    bench_rollback(bench, &gid);
    uint64_t id = bench_command(bench, COMMAND_FINISH)->id;
    verify_comes_late(bench, &gid);
    bench_answer(bench, id, COMMAND_FINISH, PG_RETRY);
    verify_comes_late(bench, &gid);
    bench_wait(bench, 2000);
    id = bench_command(bench, COMMAND_FINISH)->id;
    bench_answer(bench, id, COMMAND_FINISH, PG_NOT_FOUND);
    id = bench_command(bench, COMMAND_PROVE)->id;
    verify_comes_late(bench, &gid);
    prove(bench, id, PROOF_SAYS_COMMITTED);
    assert_int_equal(bench_send(bench, MESSAGE_ACK)->message.as.ack.ack, ACK_HEURISTIC_COMMIT);
    verify_comes_late(bench, &gid);
    bench_verdict(bench, &gid, VERDICT_NOTED);
    say_verify(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_VERIFY), 0);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
}

/* P-9, P-15, P-10: after the abort, too late, or of another epoch nothing is looked at. */
static void test_agent_p9_verify_that_comes_too_late_is_refused(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    bench_rollback(bench, &gid);
    say_verify(bench, &gid);
    assert_int_equal(bench_count_commands(bench, COMMAND_VERIFY), 0);
    struct gid other = bench_gid(SEQUENCE + 1, GIVEN);
    say_verify_as(bench, SESSION, &other, 0);
    assert_int_equal(bench_count_commands(bench, COMMAND_VERIFY), 0);
    assert_int_equal(vote(bench)->vote, VOTE_ABORT);
    assert_int_equal(vote(bench)->failure.reason, REASON_TIMEOUT);
    assert_true(gid_equal(&vote(bench)->gid, &other));
    other.gtrid.epoch--;
    say_verify(bench, &other);
    assert_int_equal(bench_count_commands(bench, COMMAND_VERIFY), 0);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    other = bench_gid(SEQUENCE + 2, 0);
    say_verify(bench, &other);
    assert_int_equal(bench_count_commands(bench, COMMAND_VERIFY), 0);
}

/* P-14: what was verified in another history proves nothing in this one. */
static void test_agent_p14_verification_of_another_history_is_doubt(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    say_verify(bench, &gid);
    uint64_t id = bench_command(bench, COMMAND_VERIFY)->id;
    bench_status(bench, HEALTH_UP, true);
    bench_stored(bench);
    answer_as(bench, id, PG_OK, REASON_NONE);
    assert_int_equal(vote(bench)->vote, VOTE_UNKNOWN);
}

/* P-20: COMMIT carries what was voted, and FINISH is told; also where this process knows nothing of it. */
static void test_agent_p20_commit_names_the_transaction_id(void **state)
{
    struct bench *bench = *state;
    struct gid gid = verified(bench);
    say_commit(bench, &gid, XID);
    assert_int_equal(bench_command(bench, COMMAND_FINISH)->as.finish.proof.kind, PROOF_EXTERNAL);
    assert_int_equal(bench_command(bench, COMMAND_FINISH)->as.finish.proof.xid8, XID);
    struct gid unknown = bench_gid(SEQUENCE + 1, GIVEN);
    say_commit(bench, &unknown, XID + 1);
    const struct command *command = bench_command(bench, COMMAND_FINISH);
    assert_int_equal(command->as.finish.proof.xid8, XID + 1);
    /* And who may still prepare it is nobody that a fence could end. */
    bench_answer(bench, command->id, COMMAND_FINISH, PG_NOT_FOUND);
    assert_false(bench_command(bench, COMMAND_PROVE)->as.prove.fence);
}

/* P-20: the row has another transaction id than what was voted for: the yes is void, and a COMMIT all the same finds it rolled back, so
 * that the proof speaks. */
static void test_agent_p20_row_with_another_id_voids_the_yes(void **state)
{
    struct bench *bench = *state;
    struct gid gid = verified(bench);
    scan_xid(bench, &gid, XID);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    scan_xid(bench, &gid, XID + 1);
    assert_int_equal(vote(bench)->vote, VOTE_UNKNOWN);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_LATE_PREPARE), 1);
    say_commit(bench, &gid, XID);
    struct command_result result = {.id = bench_command(bench, COMMAND_FINISH)->id,
                                    .kind = COMMAND_FINISH,
                                    .class = PG_NOT_FOUND,
                                    .was_another = true};
    bench_result(bench, &result);
    assert_int_equal(bench_count_notices(bench, AGENT_NOTICE_LATE_PREPARE), 1);
    assert_int_equal(bench_command(bench, COMMAND_PROVE)->as.prove.proof.xid8, XID);
}

/* P-20: a scan that was issued before the yes shows what stood there before it, and voids nothing; nor does any scan what is decided. */
static void test_agent_p20_older_scan_and_decided_branch_void_nothing(void **state)
{
    struct bench *bench = *state;
    while (bench->scan_id == 0) {
        bench_wait(bench, 500);
    }
    struct gid gid = verified(bench);
    scan_xid(bench, &gid, XID + 1);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    say_commit(bench, &gid, XID);
    scan_xid(bench, &gid, XID + 1); /* FINISH is told the id, and looks at it */
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
}

/* P-3: after a reconnection the coordinator asks about a doubtful branch anew, and so does the agent: what it saw before is old. */
static void test_agent_p3_verify_of_another_session_looks_again(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    say_verify(bench, &gid);
    answer_as(bench, bench_command(bench, COMMAND_VERIFY)->id, PG_ROLLED_BACK,
              REASON_NOT_PREPARABLE);
    bench_welcome(bench, SESSION + 1, EPOCH, NONCE);
    say_verify_as(bench, SESSION + 1, &gid, 5000);
    assert_int_equal(bench_count_sends(bench, MESSAGE_VOTE), 0);
    answer_as(bench, bench_command(bench, COMMAND_VERIFY)->id, PG_OK, REASON_NONE);
    assert_int_equal(vote(bench)->vote, VOTE_COMMIT);
    assert_int_equal(bench_send(bench, MESSAGE_VOTE)->session, SESSION + 1);
}

/* How long the branch has been prepared, as the inquiry tells it. */
static uint64_t inquiry_age_ms(struct bench *bench)
{
    for (size_t i = 0; i < 200; i++) {
        bench_wait(bench, 100);
        if (bench_count_sends(bench, MESSAGE_INQUIRY) > 0) {
            return bench_send(bench, MESSAGE_INQUIRY)->message.as.inquiry.prepared_ms;
        }
    }
    fail_msg("nobody asked");
    return 0;
}

/* P-11: an inquiry tells since when this process knows that the branch may be prepared: since it looked, or since the scan said so. */
static void test_agent_p11_age_of_an_external_branch(void **state)
{
    struct bench *bench = *state;
    (void)verified(bench);
    uint64_t since_ms = bench->now_ms;
    uint64_t age_ms = inquiry_age_ms(bench);
    assert_int_equal(age_ms, bench->now_ms - since_ms);
}

/* The same of one that was not verified, whose row may be there all the same. */
static void test_agent_p11_age_of_a_refused_branch(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    say_verify(bench, &gid);
    answer_as(bench, bench_command(bench, COMMAND_VERIFY)->id, PG_ROLLED_BACK,
              REASON_NOT_PREPARABLE);
    uint64_t since_ms = bench->now_ms;
    uint64_t age_ms = inquiry_age_ms(bench);
    assert_int_equal(age_ms, bench->now_ms - since_ms);
}

static void say_rollback(struct bench *bench, const struct gid *gid, uint64_t xid8)
{
    struct message message = {.kind = MESSAGE_ROLLBACK,
                              .as.rollback = {.gtrid = gid->gtrid,
                                              .has_gid = true,
                                              .gid = *gid,
                                              .proof = {.kind = PROOF_EXTERNAL, .xid8 = xid8}}};
    bench_message(bench, SESSION, &message);
}

/* P-12: the vote was lost, so the ROLLBACK knows no transaction id. This process does, and the proof needs it to see a commit by hand. */
static void test_agent_p12_rollback_without_an_id_keeps_the_one_that_was_seen(void **state)
{
    struct bench *bench = *state;
    struct gid gid = verified(bench);
    say_rollback(bench, &gid, 0);
    const struct command *command = bench_command(bench, COMMAND_FINISH);
    assert_int_equal(command->as.finish.proof.xid8, XID);
    bench_answer(bench, command->id, COMMAND_FINISH, PG_NOT_FOUND);
    assert_int_equal(bench_command(bench, COMMAND_PROVE)->as.prove.proof.xid8, XID);
}

/* P-12: a row that the sweep found, of which nothing is known yet: the word tells at least that it is an application's. */
static void test_agent_p12_rollback_tells_that_a_found_row_is_external(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    scan_xid(bench, &gid, XID);
    say_rollback(bench, &gid, 0);
    assert_int_equal(bench_command(bench, COMMAND_FINISH)->as.finish.proof.kind, PROOF_EXTERNAL);
}

/* P-12: and the reverse. The vote came to the coordinator late, after its first ROLLBACK, to a process that knows nothing of the branch. */
static void test_agent_p12_rollback_that_comes_to_know_the_id_is_heard(void **state)
{
    struct bench *bench = *state;
    struct gid gid = bench_gid(SEQUENCE, GIVEN);
    say_rollback(bench, &gid, 0);
    const struct command *command = bench_command(bench, COMMAND_FINISH);
    assert_int_equal(command->as.finish.proof.xid8, 0);
    uint64_t id = command->id;
    say_rollback(bench, &gid, XID);
    bench_answer(bench, id, COMMAND_FINISH, PG_NOT_FOUND);
    assert_int_equal(bench_command(bench, COMMAND_PROVE)->as.prove.proof.xid8, XID);
}

/* A right that is missing is told in HEALTH until it is there, and tried again meanwhile. */
static void test_agent_missing_grant_is_told_in_health(void **state)
{
    struct bench *bench = *state;
    struct gid gid = verified(bench);
    bench_rollback(bench, &gid);
    struct command_result result = {.id = bench_command(bench, COMMAND_FINISH)->id,
                                    .kind = COMMAND_FINISH,
                                    .class = PG_REFUSED,
                                    .detail = "missing: GRANT shop TO assent"};
    bench_result(bench, &result);
    assert_string_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.text,
                        "missing: GRANT shop TO assent");
    struct database_status down = {.health = HEALTH_DOWN, .text = "connection refused"};
    struct agent_event event = {.kind = AGENT_EVENT_STATUS, .status = &down};
    bench_step(bench, &event); /* goes first */
    assert_string_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.text, down.text);
    bench_status(bench, HEALTH_UP, false);
    bench_answer(bench, bench_command(bench, COMMAND_FINISH)->id, COMMAND_FINISH, PG_OK);
    assert_string_equal(bench_send(bench, MESSAGE_HEALTH)->message.as.health.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_agent_p3_verified_row_is_a_yes),
        TEST(test_agent_p3_anything_else_is_no_yes),
        TEST(test_agent_p11_no_is_looked_at_again_when_told_to_roll_back),
        TEST(test_agent_p13_row_after_its_abort_takes_the_sweep_back),
        TEST(test_agent_p3_row_that_the_sweep_found_first_is_verified),
        TEST(test_agent_p7_repeated_verify_gets_the_same_vote),
        TEST(test_agent_p6_word_during_verification_is_carried_out),
        TEST(test_agent_p6_commit_during_verification_is_carried_out),
        TEST(test_agent_p8_unknown_during_verification_waits),
        TEST(test_agent_p3_verification_outlasts_the_keepers_connection),
        TEST(test_agent_p7_late_verify_disturbs_nothing),
        TEST(test_agent_p9_verify_that_comes_too_late_is_refused),
        TEST(test_agent_p14_verification_of_another_history_is_doubt),
        TEST(test_agent_p20_commit_names_the_transaction_id),
        TEST(test_agent_p20_row_with_another_id_voids_the_yes),
        TEST(test_agent_p20_older_scan_and_decided_branch_void_nothing),
        TEST(test_agent_p3_verify_of_another_session_looks_again),
        TEST(test_agent_p11_age_of_an_external_branch),
        TEST(test_agent_p11_age_of_a_refused_branch),
        TEST(test_agent_p12_rollback_without_an_id_keeps_the_one_that_was_seen),
        TEST(test_agent_p12_rollback_that_comes_to_know_the_id_is_heard),
        TEST(test_agent_p12_rollback_tells_that_a_found_row_is_external),
        TEST(test_agent_missing_grant_is_told_in_health),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
