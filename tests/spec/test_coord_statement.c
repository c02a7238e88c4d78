/* test_coord_statement.c - P-22 in the coordinator's core, more properties that hang on one line each: what answers and votes count
 * for, which statement may be repeated, and what is told of a transaction that is over. Most tests here were written for an automatic
 * mutant that no other test noticed (tests/mutants/). */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/spec/coord_talk.h"

static const struct coord_prior nothing_found = {.looked_up = true};

static uint64_t stale_messages(const struct world *world)
{
    struct coord_counters counters;
    coord_counters_read(world->coord, &counters);
    return counters.stale_messages;
}

static void hear_answer(struct world *world, const char *sender, uint64_t session,
                        const struct gid *gid, uint64_t ordinal)
{
    struct message message = {.kind = MESSAGE_ANSWER};
    message.as.answer.gid = *gid;
    message.as.answer.ordinal = ordinal;
    message.as.answer.results = blob_new("rows", 4);
    world_message(world, sender, session, &message);
}

/* An answer that settles nothing: nobody hears of it, and it is counted as stale. */
static void assert_answer_is_stale(struct world *world, const char *sender, uint64_t session,
                                   const struct gid *gid, uint64_t ordinal)
{
    uint64_t stale = stale_messages(world);
    hear_answer(world, sender, session, gid, ordinal);
    assert_int_equal(world->ready.answer_count, 0);
    assert_int_equal(world->ready.send_count, 0);
    assert_int_equal(stale_messages(world), stale + 1);
}

/* ---- answers and votes of agents ---- */

/* A repeated answer of one branch is not the answer of another branch's statement that runs now: its client would get rows of
 * the wrong database, and a commit could overtake the statement. */
static void test_p22_answer_of_another_branch_is_stale(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid order = said(world, &gtrid, "order");
    uint64_t call = say(world, &gtrid, "payment", 0, 0);
    assert_answer_is_stale(world, "order", world->order_session, &order, 1);
    assert_status(world, commit_call(world, &gtrid), API_CONFLICT); /* it still runs */
    struct gid payment = world_gid(&gtrid, "payment", ATTEMPT);
    answer_as(world, &payment, 1, "rows");
    assert_status(world, call, API_OK);
}

/* P-7, P-20: an answer names its own participant and an attempt; the first one decides which attempt the branch is. */
static void test_p20_answer_without_its_own_name_is_stale(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)say(world, &gtrid, "order", 0, 0);
    struct gid of_another = world_gid(&gtrid, "payment", ATTEMPT);
    assert_answer_is_stale(world, "order", world->order_session, &of_another, 1);
    struct gid nameless = world_gid(&gtrid, "order", 0);
    assert_answer_is_stale(world, "order", world->order_session, &nameless, 1);
}

/* An answer about a transaction or a branch that there is not, or that takes no statements, is an old copy. */
static void test_p22_answer_about_nothing_is_stale(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = world_gid(&gtrid, "order", ATTEMPT);
    assert_answer_is_stale(world, "order", world->order_session, &gid, 1); /* no branch there */
    gid.gtrid.sequence += 1000;
    assert_answer_is_stale(world, "order", world->order_session, &gid, 1);
    struct pair pair = world_begin(world, NULL); /* a submission */
    assert_answer_is_stale(world, "order", world->order_session, &pair.order, 0);
    gid = said(world, &gtrid, "order");
    (void)say(world, &gtrid, "order", 0, 0);
    assert_status(world, rollback_call(world, &gtrid), API_OK);
    assert_answer_is_stale(world, "order", world->order_session, &gid, 2);
}

/* P-20: a no of an attempt that is not the branch's does not abort an open transaction. */
static void test_p20_vote_of_another_attempt_does_not_abort(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    struct gid other = world_gid(&gtrid, "order", ATTEMPT + 1);
    world_vote(world, "order", &other, VOTE_ABORT);
    assert_int_equal(state_of(world, &gtrid), TXN_OPEN);
    world_vote(world, "order", &gid, VOTE_ABORT);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTED);
}

/* P-2: a read-only vote that nobody asked for is doubt like any yes: its branch may be open, and is told to roll back. */
static void test_p02_read_only_vote_before_prepare_is_doubt(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    world_vote(world, "order", &gid, VOTE_READONLY);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTING);
    assert_int_equal(world_count_sends(world, MESSAGE_ROLLBACK), 1);
    assert_true(gid_equal(&world_send(world, MESSAGE_ROLLBACK, 0)->as.rollback.gid, &gid));
}

/* P-11, P-20: a doubt that names no attempt leaves the branch without a name: it is told to roll back by its transaction alone, and
 * no gid is shown to anybody who looks, since there is none to search the database for. */
static void test_p11_doubt_without_an_attempt_has_no_gid(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)say(world, &gtrid, "order", 0, 0);
    struct gid nameless = world_gid(&gtrid, "order", 0);
    world_vote(world, "order", &nameless, VOTE_UNKNOWN);
    assert_int_equal(world_count_sends(world, MESSAGE_ROLLBACK), 1);
    assert_false(world_send(world, MESSAGE_ROLLBACK, 0)->as.rollback.has_gid);
    struct txn_view view;
    assert_true(coord_view(world->coord, &gtrid, false, &view));
    assert_int_equal(view.branches[0].state, BRANCH_ROLLING_BACK);
    assert_false(view.branches[0].has_gid);
    txn_view_done(&view);
}

/* ---- what is sent again ---- */

/* What is repeated is the statement that runs, and nothing of branches that have answered. */
static void test_p22_only_what_runs_is_sent_again(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)said(world, &gtrid, "order");
    (void)say(world, &gtrid, "payment", 0, 0);
    world_tick(world, 200);
    assert_non_null(sent(world)->work);
    assert_int_equal(world->ready.send_count, 1);
    assert_int_equal(world->ready.sends[0].session, world->payment_session);
}

/* P-15: at the deadline itself nothing is begun any more: no time is left to carry along. */
static void test_p15_interactive_statement_at_the_deadline_aborts(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)said(world, &gtrid, "order");
    world->now_ms += TIMEOUT_MS;
    uint64_t call = say(world, &gtrid, "order", 0, 0);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world_answer(world, call)->views[0].failure.reason, REASON_TIMEOUT);
    assert_int_equal(world_count_sends(world, MESSAGE_STATEMENT), 0);
}

/* ---- numbers and repetitions ---- */

/* The client whose statement it was gets it as new; who joined it while it ran, as a repetition. */
static void test_p22_only_who_joined_is_told_that_it_is_a_repetition(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    uint64_t call = say(world, &gtrid, "order", 1, 1);
    uint64_t joined[2] = {say(world, &gtrid, "order", 1, 1), say(world, &gtrid, "order", 1, 1)};
    struct gid gid = world_gid(&gtrid, "order", ATTEMPT);
    answer_as(world, &gid, 1, "rows");
    assert_false(world_answer(world, call)->replayed);
    assert_true(world_answer(world, joined[0])->replayed);
    assert_true(world_answer(world, joined[1])->replayed);
}

/* A statement that came without a number cannot be asked for by one: neither while it runs nor afterwards. The client that asks
 * would take the result of one statement for that of another. */
static void test_p22_statement_without_a_number_is_not_repeated(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)say(world, &gtrid, "order", 0, 1);
    assert_status(world, say(world, &gtrid, "order", 1, 1), API_CONFLICT);
    struct gid gid = world_gid(&gtrid, "order", ATTEMPT);
    answer_as(world, &gid, 1, "rows");
    assert_int_equal(world->ready.answer_count, 1);
    assert_status(world, say(world, &gtrid, "order", 1, 1), API_CONFLICT);
    assert_int_equal(state_of(world, &gtrid), TXN_OPEN);
}

/* ---- a branch's mode ---- */

static uint64_t say_mode(struct world *world, const struct gtrid *gtrid, bool has_mode,
                         enum isolation isolation, bool read_only)
{
    struct interactive_statement statement = {.gtrid = *gtrid,
                                              .participant = "order",
                                              .has_mode = has_mode,
                                              .isolation = isolation,
                                              .read_only = read_only};
    return say_as(world, statement, nothing_found);
}

/* A branch's first statement sets its mode. The later ones say nothing of it, or the same; another isolation alone is refused, as
 * is another read_only alone: the client would work at a level that it did not ask for. */
static void test_p22_mode_of_a_branch_is_its_first_statement_s(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = world_gid(&gtrid, "order", ATTEMPT);
    (void)say_mode(world, &gtrid, true, ISOLATION_SERIALIZABLE, true);
    answer_as(world, &gid, 1, "rows");
    uint64_t call = say_mode(world, &gtrid, false, ISOLATION_READ_COMMITTED, false);
    assert_null(world_answer(world, call));
    assert_int_equal(sent(world)->isolation, ISOLATION_SERIALIZABLE);
    assert_true(sent(world)->read_only);
    answer_as(world, &gid, 2, "rows");
    call = say_mode(world, &gtrid, true, ISOLATION_SERIALIZABLE, true);
    assert_null(world_answer(world, call));
    assert_int_equal(sent(world)->ordinal, 3);
    answer_as(world, &gid, 3, "rows");
    call = say_mode(world, &gtrid, true, ISOLATION_REPEATABLE_READ, true);
    assert_status(world, call, API_CONFLICT);
    call = say_mode(world, &gtrid, true, ISOLATION_SERIALIZABLE, false);
    assert_status(world, call, API_CONFLICT);
    assert_int_equal(state_of(world, &gtrid), TXN_OPEN);
}

/* ---- what cannot begin ---- */

/* Which of two obstacles is told: that of the coordinator, which holds for every participant; then why this one cannot be reached. */
static void test_p22_refused_statement_says_why(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    world_disconnect(world, world->payment_session);
    uint64_t call = say(world, &gtrid, "payment", 0, 0);
    assert_status(world, call, API_REFUSED);
    assert_int_equal(world_answer(world, call)->reason, REASON_PARTICIPANT_UNAVAILABLE);
    assert_string_equal(world_answer(world, call)->text, "the participant is not connected");
    (void)world_witness(world, "payment");
    call = say(world, &gtrid, "payment", 0, 0);
    assert_string_equal(world_answer(world, call)->text,
                        "connected; the participant has not accepted this coordinator yet");
    struct coord_event space = {.kind = COORD_EVENT_SPACE, .space_ok = false};
    world_step(world, &space);
    call = say(world, &gtrid, "payment", 0, 0);
    assert_int_equal(world_answer(world, call)->reason, REASON_CAPACITY);
}

/* An agent that has no place refuses without words, before it asks its database; the answer names what may be raised. */
static void test_p22_agent_without_a_connection_is_told_by_name(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    uint64_t call = say(world, &gtrid, "order", 0, 0);
    struct message message = {.kind = MESSAGE_VOTE};
    message.as.vote.gid = world_gid(&gtrid, "order", 0);
    message.as.vote.vote = VOTE_ABORT;
    message.as.vote.failure.reason = REASON_CAPACITY;
    world_message(world, "order", world->order_session, &message);
    const struct api_answer *answer = world_answer(world, call);
    assert_int_equal(answer->status, API_ABORTED);
    assert_non_null(strstr(answer->views[0].failure_text, "\"interactive\""));
}

/* What has other reasons, or words of the database, is not told to be for want of a connection. */
static void test_p22_other_refusals_do_not_name_the_setting(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 2; i++) {
        struct gtrid gtrid = opened(world);
        uint64_t call = say(world, &gtrid, "order", 0, 0);
        struct message message = {.kind = MESSAGE_VOTE};
        message.as.vote.gid = world_gid(&gtrid, "order", 0);
        message.as.vote.vote = VOTE_ABORT;
        message.as.vote.failure.reason = i == 0 ? REASON_LOCK_TIMEOUT : REASON_CAPACITY;
        message.as.vote.failure.report = i == 0 ? NULL : blob_new("{}", 2);
        world_message(world, "order", world->order_session, &message);
        const struct api_answer *answer = world_answer(world, call);
        assert_int_equal(answer->status, API_ABORTED);
        assert_null(strstr(answer->views[0].failure_text, "\"interactive\""));
    }
}

static struct gtrid earlier_gtrid(const struct world *world, uint64_t epoch, uint64_t sequence)
{
    return (struct gtrid){.journal = world->config.journal,
                          .epoch = epoch,
                          .epoch_nonce = epoch * 10,
                          .sequence = sequence};
}

/* A journal whose third epoch ended, and whose floor lies within it. "stock" is in no configuration any more. */
static void start_over(struct world *world, const struct record *records, size_t count)
{
    static struct epoch_entry epochs[] = {{.epoch = 2, .nonce = 20}, {.epoch = 3, .nonce = 30}};
    static char names[][PARTICIPANT_NAME_SIZE] = {"order", "payment", "stock"};
    struct journal_state past = {.last_epoch = 3,
                                 .head = {.number = 10},
                                 .floor = {.epoch = 3, .sequence = 5, .first_number = 2},
                                 .epoch_count = 2,
                                 .epochs = epochs,
                                 .participant_count = 3,
                                 .participants = names};
    world_init_from(world, &past, records, count);
}

/* P-16: before this start's EPOCH is durable nothing is opened: its number could be given out a second time after a crash. */
static void test_p16_interactive_nothing_opens_before_the_epoch(void **state)
{
    (void)state;
    struct world world;
    start_over(&world, NULL, 0);
    uint64_t call = open_call(&world);
    assert_status(&world, call, API_REFUSED);
    assert_int_equal(world_answer(&world, call)->reason, REASON_SHUTDOWN);
    assert_string_equal(world_answer(&world, call)->text, "the coordinator is starting");
    world_durable(&world);
    struct gtrid gtrid = opened(&world);
    assert_int_equal(gtrid.epoch, 4);
    struct coord_event drain = {.kind = COORD_EVENT_DRAIN};
    world_step(&world, &drain);
    call = open_call(&world);
    assert_string_equal(world_answer(&world, call)->text, "the coordinator is shutting down");
    world_done(&world);
}

/* Who is in no configuration any more gets no statements, although the journal still knows the name. */
static void test_p22_participant_out_of_configuration_is_unknown(void **state)
{
    (void)state;
    struct world world;
    start_over(&world, NULL, 0);
    world_durable(&world);
    struct gtrid gtrid = opened(&world);
    uint64_t call = say(&world, &gtrid, "stock", 0, 0);
    assert_status(&world, call, API_UNKNOWN_PARTICIPANT);
    assert_string_equal(world_answer(&world, call)->participant, "stock");
    world_done(&world);
}

/* ---- what is over, or takes no statements ---- */

/* P-13: of what lies below the floor the journal may have forgotten a commit: its client hears "expired", not that there was no
 * such transaction; but only if it can be of this journal. */
static void test_p13_interactive_transaction_below_the_floor_has_expired(void **state)
{
    (void)state;
    struct world world;
    start_over(&world, NULL, 0);
    world_durable(&world);
    struct gtrid gtrid = earlier_gtrid(&world, 3, 5);
    assert_status(&world, commit_call(&world, &gtrid), API_EXPIRED);
    assert_status(&world, rollback_call(&world, &gtrid), API_EXPIRED);
    gtrid = earlier_gtrid(&world, 2, 50);
    assert_status(&world, say(&world, &gtrid, "order", 0, 0), API_EXPIRED);
    gtrid = earlier_gtrid(&world, 3, 6); /* undecided until everybody has reported (P-10) */
    assert_status(&world, commit_call(&world, &gtrid), API_OUTCOME_UNKNOWN);
    gtrid.epoch_nonce++; /* made up, or of a copy of this journal */
    assert_status(&world, commit_call(&world, &gtrid), API_NOT_FOUND);
    gtrid = earlier_gtrid(&world, 3, 5);
    gtrid.journal.bytes[0] ^= 1;
    assert_status(&world, commit_call(&world, &gtrid), API_NOT_FOUND);
    world_done(&world);
}

static struct record commit_record(const struct gtrid *gtrid, struct record_branch *branch)
{
    *branch = (struct record_branch){.gid = world_gid(gtrid, "order", ATTEMPT)};
    return (struct record){.kind = RECORD_COMMIT,
                           .as.commit = {.gtrid = *gtrid, .branch_count = 1, .branches = branch}};
}

/* A statement of what the journal knows as committed is a conflict: the transaction is over, and it was not rolled back. */
static void test_p22_statement_after_the_recorded_commit_is_a_conflict(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    gtrid.epoch--;
    struct record_branch branch;
    struct journal_entry entry = {.commit = commit_record(&gtrid, &branch)};
    struct interactive_statement statement = {.gtrid = gtrid, .participant = "order"};
    uint64_t call = say_as(world, statement,
                           (struct coord_prior){.looked_up = true, .found = true, .entry = &entry});
    assert_status(world, call, API_CONFLICT);
}

/* While votes come in nobody knows how it ends: a statement is a conflict, and never "aborted", since a commit may follow. */
static void test_p04_statement_after_the_commit_is_no_abort(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    uint64_t commit = commit_call(world, &gtrid);
    assert_int_equal(state_of(world, &gtrid), TXN_PREPARING);
    assert_status(world, say(world, &gtrid, "order", 0, 0), API_CONFLICT);
    world_vote(world, "order", &gid, VOTE_COMMIT);
    assert_status(world, say(world, &gtrid, "order", 0, 0), API_CONFLICT);
    world_durable(world);
    assert_status(world, say(world, &gtrid, "order", 0, 0), API_CONFLICT);
    world_ack(world, "order", &gid, ACK_COMMITTED);
    assert_status(world, commit, API_OK);
}

/* Nor is a submission that waits for its turn, or one that was aborted, told of as an interactive transaction that aborted. */
static void test_p04_statement_to_a_submission_is_no_abort(void **state)
{
    (void)state;
    struct world world;
    world_init_limited(&world, 1);
    struct pair pair = world_begin(&world, NULL);
    struct gtrid waiting = pair.order.gtrid;
    (void)world_submit(&world, NULL, 1);
    waiting.sequence++;
    assert_int_equal(state_of(&world, &waiting), TXN_ACTIVE);
    assert_status(&world, say(&world, &waiting, "order", 0, 0), API_CONFLICT);
    world_vote(&world, "order", &pair.order, VOTE_ABORT);
    assert_int_equal(state_of(&world, &pair.order.gtrid), TXN_ABORTING);
    assert_status(&world, say(&world, &pair.order.gtrid, "order", 0, 0), API_CONFLICT);
    world_done(&world);
}

/* Who rolls back is told how the transaction stands: that it is being rolled back, and for whom. */
static void test_p22_rollback_is_answered_with_the_transaction(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)said(world, &gtrid, "order");
    uint64_t call = rollback_call(world, &gtrid);
    assert_status(world, call, API_OK);
    const struct txn_view *view = &world_answer(world, call)->views[0];
    assert_int_equal(view->state, TXN_ABORTING);
    assert_int_equal(view->failure.reason, REASON_ROLLED_BACK_BY_CLIENT);
    assert_int_equal(view->branch_count, 1);
}

/* P-4: a rollback that comes when the deadline is over and everybody else has been told that nobody knows hears the same; it does
 * not wait for the journal. */
static void test_p04_rollback_after_the_deadline_is_told_unknown(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    uint64_t commit = commit_call(world, &gtrid);
    world_vote(world, "order", &gid, VOTE_COMMIT);
    world_tick(world, 600000);
    assert_status(world, commit, API_OUTCOME_UNKNOWN);
    assert_status(world, rollback_call(world, &gtrid), API_OUTCOME_UNKNOWN);
}

/* P-4: while the decision is being written its own event alone is kept back: the timeline still shows what the branches did. */
static void test_p04_timeline_goes_on_while_the_decision_is_written(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    (void)commit_call(world, &gtrid);
    world_vote(world, "order", &gid, VOTE_COMMIT);
    struct txn_view view;
    assert_true(coord_view(world->coord, &gtrid, true, &view));
    assert_int_not_equal(view.event_count, 0);
    assert_string_equal(view.events[0].kind, "opened");
    assert_string_equal(view.events[view.event_count - 1].kind, "voted-commit");
    txn_view_done(&view);
}

/* What is shown as open at a participant is what waits for a client there, and not whatever else has a branch there: an operator
 * looks for transactions that somebody forgot. */
static void test_p22_only_open_branches_are_shown_as_open(void **state)
{
    struct world *world = *state;
    struct gtrid closed = opened(world);
    (void)said(world, &closed, "order");
    (void)commit_call(world, &closed);
    struct gtrid gtrid = opened(world);
    (void)said(world, &gtrid, "order");
    (void)world_begin(world, NULL); /* a submission to both */
    struct participant_view *views = NULL;
    assert_int_equal(coord_participants(world->coord, &views), 2);
    assert_int_equal(views[0].open, 1);
    assert_int_equal(views[1].open, 0);
    free(views);
}

/* A commit that is repeated after a restart waits for the branches that have not acknowledged, and no longer than a client may be
 * silent: then it hears that it is committed, and where that is still to be done. */
static void test_p22_commit_repeated_after_a_restart_is_answered_in_time(void **state)
{
    (void)state;
    struct world world;
    struct record_branch branch;
    struct gtrid gtrid = {.epoch = 3, .epoch_nonce = 30, .sequence = 7};
    memset(gtrid.journal.bytes, 0xab, JOURNAL_ID_BYTES); /* the world's */
    struct record record = commit_record(&gtrid, &branch);
    start_over(&world, &record, 1);
    world_durable(&world);
    struct interactive_end end = {.gtrid = gtrid, .commit = true, .ack = ACK_MODE_COMPLETED};
    struct coord_event event = {.kind = COORD_EVENT_CLOSE, .call = world.next_call++, .end = &end};
    world_step(&world, &event);
    assert_null(world_answer(&world, event.call));
    assert_true(world.ready.deadline_ms <= world.now_ms + 60000);
    world_tick(&world, 59999); /* as long as interactive_idle_ms, which is the default */
    assert_null(world_answer(&world, event.call));
    world_tick(&world, 1);
    assert_status(&world, event.call, API_OK);
    assert_int_equal(world_answer(&world, event.call)->views[0].state, TXN_COMMITTING);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        talk_test(test_p22_answer_of_another_branch_is_stale),
        talk_test(test_p20_answer_without_its_own_name_is_stale),
        talk_test(test_p22_answer_about_nothing_is_stale),
        talk_test(test_p20_vote_of_another_attempt_does_not_abort),
        talk_test(test_p02_read_only_vote_before_prepare_is_doubt),
        talk_test(test_p11_doubt_without_an_attempt_has_no_gid),
        talk_test(test_p22_only_what_runs_is_sent_again),
        talk_test(test_p15_interactive_statement_at_the_deadline_aborts),
        talk_test(test_p22_only_who_joined_is_told_that_it_is_a_repetition),
        talk_test(test_p22_statement_without_a_number_is_not_repeated),
        talk_test(test_p22_mode_of_a_branch_is_its_first_statement_s),
        talk_test(test_p22_refused_statement_says_why),
        talk_test(test_p22_agent_without_a_connection_is_told_by_name),
        talk_test(test_p22_other_refusals_do_not_name_the_setting),
        cmocka_unit_test(test_p16_interactive_nothing_opens_before_the_epoch),
        cmocka_unit_test(test_p22_participant_out_of_configuration_is_unknown),
        cmocka_unit_test(test_p13_interactive_transaction_below_the_floor_has_expired),
        talk_test(test_p22_statement_after_the_recorded_commit_is_a_conflict),
        talk_test(test_p04_statement_after_the_commit_is_no_abort),
        cmocka_unit_test(test_p04_statement_to_a_submission_is_no_abort),
        talk_test(test_p22_rollback_is_answered_with_the_transaction),
        talk_test(test_p04_rollback_after_the_deadline_is_told_unknown),
        talk_test(test_p04_timeline_goes_on_while_the_decision_is_written),
        talk_test(test_p22_only_open_branches_are_shown_as_open),
        cmocka_unit_test(test_p22_commit_repeated_after_a_restart_is_answered_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
