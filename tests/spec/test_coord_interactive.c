/* test_coord_interactive.c - P-22 in the coordinator's core: a transaction statement by statement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "tests/spec/coord_talk.h"

/* P-1, P-22: open and statements write nothing; the first statement begins a branch, the next ones go on with its attempt. */
static void test_p22_statements_carry_ordinal_and_attempt(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    assert_int_equal(world->ready.append_count, 0);
    uint64_t call = say(world, &gtrid, "order", 0, 0);
    assert_int_equal(sent(world)->ordinal, 1);
    assert_int_equal(sent(world)->attempt, 0);
    assert_int_equal(sent(world)->remaining_ms, TIMEOUT_MS);
    assert_non_null(sent(world)->work);
    assert_null(world_answer(world, call));
    struct gid gid = world_gid(&gtrid, "order", ATTEMPT);
    answer_as(world, &gid, 1, "rows");
    assert_status(world, call, API_OK);
    assert_memory_equal(world_answer(world, call)->results->bytes, "rows", 4);
    assert_int_equal(world_answer(world, call)->seq, 1);
    (void)say(world, &gtrid, "order", 0, 0);
    assert_int_equal(sent(world)->ordinal, 2);
    assert_int_equal(sent(world)->attempt, ATTEMPT);
    answer_as(world, &gid, 2, "rows");
    (void)say(world, &gtrid, "payment", 0, 0);
    assert_int_equal(sent(world)->ordinal, 1);
    assert_int_equal(sent(world)->attempt, 0);
    assert_int_equal(world->ready.append_count, 0);
    assert_int_equal(state_of(world, &gtrid), TXN_OPEN);
}

/* What is not answered is sent again, word for word, until it is. */
static void test_p22_unanswered_statement_is_sent_again(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    (void)say(world, &gtrid, "order", 0, 0);
    for (int i = 0; i < 3; i++) {
        world_tick(world, 2600);
        assert_int_equal(sent(world)->ordinal, 2);
        assert_int_equal(sent(world)->attempt, ATTEMPT);
        assert_non_null(sent(world)->work);
    }
    assert_int_equal(sent(world)->remaining_ms, TIMEOUT_MS - 3 * 2600);
    answer_as(world, &gid, 2, "rows");
    world_tick(world, 2600);
    assert_int_equal(world_count_sends(world, MESSAGE_STATEMENT), 0);
}

/* P-7, P-20: an answer counts by gid, ordinal and session; anything else is an old copy. */
static void test_p22_stale_answer_does_not_count(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    uint64_t call = say(world, &gtrid, "order", 0, 0);
    answer_as(world, &gid, 1, "old");
    assert_null(world_answer(world, call));
    struct gid other = world_gid(&gtrid, "order", ATTEMPT + 1);
    answer_as(world, &other, 2, "other");
    assert_null(world_answer(world, call));
    /* An agent has one attempt of a transaction at a time, and a ROLLBACK ends whatever it has open of it: the right one. */
    assert_int_equal(world->ready.send_count, 0);
    struct gid stranger = world_gid(&gtrid, "payment", ATTEMPT);
    answer_as(world, &stranger, 2, "stranger");
    assert_null(world_answer(world, call));
    answer_as(world, &gid, 2, "new");
    assert_memory_equal(world_answer(world, call)->results->bytes, "new", 3);
    answer_as(world, &gid, 2, "again");
    assert_int_equal(world->ready.answer_count, 0);
}

/* A failed statement aborts everything at once, and everything that follows hears why; rolling back is still fine. */
static void test_p22_failed_statement_aborts_everywhere(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid order = said(world, &gtrid, "order");
    uint64_t call = say(world, &gtrid, "payment", 0, 0);
    struct gid payment = world_gid(&gtrid, "payment", ATTEMPT);
    world_vote(world, "payment", &payment, VOTE_ABORT);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world_answer(world, call)->views[0].failure.reason, REASON_CONSTRAINT);
    assert_int_equal(world->ready.append_count, 0);
    assert_int_equal(world_count_sends(world, MESSAGE_ROLLBACK), 1);
    assert_true(gid_equal(&world_send(world, MESSAGE_ROLLBACK, 0)->as.rollback.gid, &order));
    call = say(world, &gtrid, "order", 0, 0);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world_answer(world, call)->views[0].failure.reason, REASON_CONSTRAINT);
    assert_int_equal(world->ready.send_count, 0);
    call = commit_call(world, &gtrid);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world_answer(world, call)->views[0].failure.reason, REASON_CONSTRAINT);
    assert_status(world, rollback_call(world, &gtrid), API_OK);
    world_ack(world, "order", &order, ACK_ROLLED_BACK);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTED);
    assert_status(world, commit_call(world, &gtrid), API_ABORTED);
    assert_status(world, rollback_call(world, &gtrid), API_OK);
}

/* A branch that is lost between statements votes no by itself, and that aborts the transaction, too. */
static void test_p22_lost_branch_aborts_while_idle(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    world_vote(world, "order", &gid, VOTE_UNKNOWN);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTING);
    assert_status(world, commit_call(world, &gtrid), API_ABORTED);
}

/* Commit closes the list: PREPARE names the counts; with all votes in, the record names the gids, and commit twice is answered
 * alike. */
static void test_p22_commit_prepares_with_the_counts(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid order = said(world, &gtrid, "order");
    struct gid payment = said(world, &gtrid, "payment");
    (void)said(world, &gtrid, "order");
    uint64_t call = commit_call(world, &gtrid);
    assert_int_equal(world_count_sends(world, MESSAGE_PREPARE), 2);
    assert_true(gid_equal(&world_send(world, MESSAGE_PREPARE, 0)->as.prepare.gid, &order));
    assert_int_equal(world_send(world, MESSAGE_PREPARE, 0)->as.prepare.count, 2);
    assert_int_equal(world_send(world, MESSAGE_PREPARE, 1)->as.prepare.count, 1);
    world_vote(world, "order", &order, VOTE_COMMIT);
    world_tick(world, 200); /* the other one's vote may be lost */
    assert_int_equal(world_count_sends(world, MESSAGE_PREPARE), 1);
    assert_true(gid_equal(&world_send(world, MESSAGE_PREPARE, 0)->as.prepare.gid, &payment));
    world_vote(world, "payment", &payment, VOTE_COMMIT);
    const struct record_commit *record = &world_append(world, RECORD_COMMIT)->as.commit;
    assert_int_equal(record->branch_count, 2);
    assert_true(gid_equal(&record->branches[0].gid, &order));
    assert_true(gid_equal(&record->branches[1].gid, &payment));
    assert_null(world_answer(world, call));
    uint64_t again = commit_call(world, &gtrid);
    assert_null(world_answer(world, again)); /* P-4 */
    world_durable(world);
    assert_int_equal(world_count_sends(world, MESSAGE_COMMIT), 2);
    world_ack(world, "order", &order, ACK_COMMITTED);
    world_ack(world, "payment", &payment, ACK_COMMITTED);
    assert_status(world, call, API_OK);
    assert_status(world, again, API_OK);
    again = commit_call(world, &gtrid);
    assert_status(world, again, API_OK);
    assert_int_equal(world_answer(world, again)->views[0].state, TXN_COMMITTED);
    assert_status(world, rollback_call(world, &gtrid), API_CONFLICT);
    assert_status(world, say(world, &gtrid, "order", 0, 0), API_CONFLICT);
}

/* P-2: a yes that nobody asked for is doubt, and doubt aborts. */
static void test_p22_yes_before_prepare_aborts(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    world_vote(world, "order", &gid, VOTE_COMMIT);
    assert_int_equal(world->ready.append_count, 0);
    assert_int_equal(world_count_sends(world, MESSAGE_ROLLBACK), 1);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTING);
}

/* P-20: a yes of another attempt is no yes. */
static void test_p22_yes_of_another_attempt_is_not_counted(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    (void)commit_call(world, &gtrid);
    struct gid other = world_gid(&gtrid, "order", ATTEMPT + 1);
    world_vote(world, "order", &other, VOTE_COMMIT);
    assert_int_equal(world->ready.append_count, 0);
    world_vote(world, "order", &gid, VOTE_COMMIT);
    assert_int_equal(world_count_appends(world, RECORD_COMMIT), 1);
}

/* There is nothing to commit while a statement runs, or before there was one; and the transaction goes on. */
static void test_p22_commit_out_of_place_is_a_conflict(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    assert_status(world, commit_call(world, &gtrid), API_CONFLICT);
    uint64_t call = say(world, &gtrid, "order", 0, 0);
    assert_status(world, commit_call(world, &gtrid), API_CONFLICT);
    assert_status(world, say(world, &gtrid, "payment", 0, 0), API_CONFLICT);
    struct gid gid = world_gid(&gtrid, "order", ATTEMPT);
    answer_as(world, &gid, 1, "rows");
    assert_status(world, call, API_OK);
    (void)commit_call(world, &gtrid);
    assert_int_equal(world_count_sends(world, MESSAGE_PREPARE), 1);
}

/* A number that was answered gives its result again; with another body it is refused; out of order it is told what is next. */
static void test_p22_seq_repeats_the_recorded_result(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = world_gid(&gtrid, "order", ATTEMPT);
    assert_status(world, say(world, &gtrid, "order", 2, 1), API_CONFLICT);
    uint64_t call = say(world, &gtrid, "order", 1, 1);
    uint64_t joined = say(world, &gtrid, "order", 1, 1);
    assert_int_equal(world->ready.send_count, 0);
    assert_status(world, say(world, &gtrid, "order", 1, 9), API_KEY_CONFLICT);
    assert_status(world, say(world, &gtrid, "order", 2, 1), API_CONFLICT);
    answer_as(world, &gid, 1, "first");
    assert_status(world, call, API_OK);
    assert_status(world, joined, API_OK);
    assert_memory_equal(world_answer(world, joined)->results->bytes, "first", 5);
    (void)say(world, &gtrid, "order", 2, 2);
    answer_as(world, &gid, 2, "second");
    call = say(world, &gtrid, "order", 1, 1);
    assert_status(world, call, API_OK);
    assert_true(world_answer(world, call)->replayed);
    assert_int_equal(world_answer(world, call)->seq, 1);
    assert_memory_equal(world_answer(world, call)->results->bytes, "first", 5);
    assert_int_equal(world->ready.send_count, 0);
    assert_status(world, say(world, &gtrid, "order", 2, 1), API_KEY_CONFLICT);
    assert_status(world, say(world, &gtrid, "order", 4, 1), API_CONFLICT);
}

/* What is kept for repetition is bounded: the oldest go, the last one stays whatever its size. */
static void test_p22_recorded_results_are_bounded(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = world_gid(&gtrid, "order", ATTEMPT);
    char large[1101];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    (void)say(world, &gtrid, "order", 1, 1);
    answer_as(world, &gid, 1, "small");
    (void)say(world, &gtrid, "order", 2, 2);
    answer_as(world, &gid, 2, large);
    assert_status(world, say(world, &gtrid, "order", 1, 1), API_CONFLICT);
    assert_status(world, say(world, &gtrid, "order", 2, 2), API_OK);
    (void)say(world, &gtrid, "order", 3, 3);
    answer_as(world, &gid, 3, "small");
    assert_status(world, say(world, &gtrid, "order", 2, 2), API_CONFLICT);
    assert_status(world, say(world, &gtrid, "order", 3, 3), API_OK);
}

/* Many without a row take memory, too. */
static void test_p22_recorded_empty_results_are_bounded(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = world_gid(&gtrid, "order", ATTEMPT);
    for (uint8_t seq = 1; seq <= 50; seq++) {
        (void)say(world, &gtrid, "order", seq, seq);
        answer_as(world, &gid, seq, "");
    }
    assert_status(world, say(world, &gtrid, "order", 1, 1), API_CONFLICT);
    assert_status(world, say(world, &gtrid, "order", 49, 49), API_OK);
}

static void assert_limit(const struct world *world, uint64_t call, const char *name, uint64_t limit)
{
    assert_status(world, call, API_LIMIT);
    assert_string_equal(world_answer(world, call)->limit_name, name);
    assert_int_equal(world_answer(world, call)->limit, limit);
}

/* The limits of one request hold here, too; what is beyond them is not done, and the transaction can be committed. */
static void test_p22_more_statements_than_allowed_are_refused(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.max_statements = 3});
    struct gtrid gtrid = opened(&world);
    (void)said(&world, &gtrid, "order");
    (void)said(&world, &gtrid, "payment");
    (void)said(&world, &gtrid, "order");
    assert_limit(&world, say(&world, &gtrid, "order", 0, 0), "max_statements", 3);
    assert_limit(&world, say(&world, &gtrid, "payment", 4, 0), "max_statements", 3);
    assert_int_equal(world.ready.send_count, 0);
    (void)commit_call(&world, &gtrid);
    assert_int_equal(world_send(&world, MESSAGE_PREPARE, 0)->as.prepare.count, 2);
    world_done(&world);
}

static void test_p22_more_branches_than_allowed_are_refused(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.max_branches = 1});
    struct gtrid gtrid = opened(&world);
    (void)said(&world, &gtrid, "order");
    assert_limit(&world, say(&world, &gtrid, "payment", 0, 0), "max_branches", 1);
    (void)said(&world, &gtrid, "order");
    (void)commit_call(&world, &gtrid);
    assert_int_equal(world_count_sends(&world, MESSAGE_PREPARE), 1);
    world_done(&world);
}

/* P-2, P-15: the deadline aborts; a commit afterwards is told so, also by a process that was stopped and whose timers have
 * not run yet. */
static void test_p15_interactive_deadline_aborts(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    world->now_ms += TIMEOUT_MS;
    uint64_t call = commit_call(world, &gtrid);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world_answer(world, call)->views[0].failure.reason, REASON_TIMEOUT);
    assert_int_equal(world_count_sends(world, MESSAGE_PREPARE), 0);
    world_ack(world, "order", &gid, ACK_ROLLED_BACK);
    gtrid = opened(world);
    world->now_ms += TIMEOUT_MS + 1;
    call = say(world, &gtrid, "order", 0, 0);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world_count_sends(world, MESSAGE_STATEMENT), 0);
    gtrid = opened(world);
    call = say(world, &gtrid, "payment", 0, 0);
    world_tick(world, TIMEOUT_MS);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world_count_sends(world, MESSAGE_ROLLBACK), 1);
}

/* P-2: votes that do not come until the deadline are no. */
static void test_p02_interactive_silence_at_prepare_aborts(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)said(world, &gtrid, "order");
    uint64_t call = commit_call(world, &gtrid);
    world_tick(world, TIMEOUT_MS);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world->ready.append_count, 0);
}

/* A client that is gone: what waits for it too long aborts, what runs does not. */
static void test_p22_idle_transaction_is_aborted(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    (void)say(world, &gtrid, "order", 0, 0);
    world_tick(world, 6000); /* it runs: that is not idle */
    assert_int_equal(state_of(world, &gtrid), TXN_OPEN);
    answer_as(world, &gid, 2, "rows");
    world_tick(world, 4999);
    assert_int_equal(state_of(world, &gtrid), TXN_OPEN);
    world_tick(world, 1);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTING);
    uint64_t call = commit_call(world, &gtrid);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world_answer(world, call)->views[0].failure.reason, REASON_TIMEOUT);
}

/* More than interactive_max are refused, and room is made by each that closes. */
static void test_p22_more_open_transactions_than_allowed_are_refused(void **state)
{
    struct world *world = *state;
    struct gtrid first = opened(world);
    (void)opened(world);
    uint64_t call = open_call(world);
    assert_status(world, call, API_REFUSED);
    assert_int_equal(world_answer(world, call)->reason, REASON_OVERLOAD);
    assert_status(world, rollback_call(world, &first), API_OK);
    assert_int_equal(state_of(world, &first), TXN_ABORTED);
    (void)opened(world);
}

/* A statement that cannot be sent was not: unknown and unreachable participants leave the transaction as it is. */
static void test_p22_statement_that_cannot_be_sent_changes_nothing(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)said(world, &gtrid, "order");
    assert_status(world, say(world, &gtrid, "nobody", 2, 0), API_UNKNOWN_PARTICIPANT);
    world_disconnect(world, world->payment_session);
    uint64_t call = say(world, &gtrid, "payment", 2, 0);
    assert_status(world, call, API_REFUSED);
    assert_int_equal(world_answer(world, call)->reason, REASON_PARTICIPANT_UNAVAILABLE);
    struct interactive_statement other = {
        .gtrid = gtrid, .participant = "order", .has_mode = true, .read_only = true};
    assert_status(world, say_as(world, other, (struct coord_prior){0}), API_CONFLICT);
    assert_int_equal(state_of(world, &gtrid), TXN_OPEN);
    (void)say(world, &gtrid, "order", 2, 0);
    assert_int_equal(sent(world)->ordinal, 2);
}

/* P-2: a lost link aborts what is open there, also where nothing was under way. */
static void test_p02_interactive_lost_link_aborts(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)said(world, &gtrid, "order");
    uint64_t call = say(world, &gtrid, "payment", 0, 0);
    world_disconnect(world, world->order_session);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world_count_sends(world, MESSAGE_ROLLBACK), 1);
    assert_status(world, commit_call(world, &gtrid), API_ABORTED);
}

/* The client rolls back: whoever waits hears of it, every branch is told, and it may be said twice. */
static void test_p22_rollback_ends_every_branch(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid order = said(world, &gtrid, "order");
    uint64_t waiting = say(world, &gtrid, "payment", 0, 0);
    uint64_t call = rollback_call(world, &gtrid);
    assert_status(world, call, API_OK);
    assert_status(world, waiting, API_ABORTED);
    assert_int_equal(world_count_sends(world, MESSAGE_ROLLBACK), 2);
    assert_true(world_send(world, MESSAGE_ROLLBACK, 0)->as.rollback.has_gid);
    assert_false(world_send(world, MESSAGE_ROLLBACK, 1)->as.rollback.has_gid);
    assert_status(world, rollback_call(world, &gtrid), API_OK);
    world_ack(world, "order", &order, ACK_ROLLED_BACK);
    struct gid nameless = world_gid(&gtrid, "payment", 0);
    world_ack(world, "payment", &nameless, ACK_ROLLED_BACK);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTED);
    assert_int_equal(world->ready.append_count, 0);
}

/* Rolled back by one client while another's commit waits for votes: the decision was not made, so it aborts. */
static void test_p22_rollback_before_the_decision_beats_commit(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    uint64_t commit = commit_call(world, &gtrid);
    assert_status(world, rollback_call(world, &gtrid), API_OK);
    world_vote(world, "order", &gid, VOTE_COMMIT);
    assert_int_equal(world->ready.append_count, 0);
    assert_status(world, commit_call(world, &gtrid), API_ABORTED);
    (void)commit;
}

/* A client that lost an answer may say how many statements it means: with another number nothing is committed, and it stays open. */
static void test_p22_commit_of_another_count_is_a_conflict(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)said(world, &gtrid, "order");
    (void)said(world, &gtrid, "payment");
    for (uint64_t statements = 1; statements <= 3; statements++) {
        struct interactive_end end = {.gtrid = gtrid, .commit = true, .statements = statements};
        struct coord_event event = {.kind = COORD_EVENT_CLOSE,
                                    .call = world->next_call++,
                                    .end = &end,
                                    .prior = {.looked_up = true}};
        if (statements == 2) {
            continue;
        }
        world_step(world, &event);
        assert_status(world, event.call, API_CONFLICT);
        assert_int_equal(world->ready.send_count, 0);
    }
    struct interactive_end end = {.gtrid = gtrid, .commit = true, .statements = 2};
    struct coord_event event = {.kind = COORD_EVENT_CLOSE, .call = world->next_call++, .end = &end};
    world_step(world, &event);
    assert_int_equal(world_count_sends(world, MESSAGE_PREPARE), 2);
}

static void assert_open_branches(const struct world *world, uint64_t order, uint64_t payment)
{
    struct participant_view *views = NULL;
    assert_int_equal(coord_participants(world->coord, &views), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(views[i].open, strcmp(views[i].name, "order") == 0 ? order : payment);
    }
    free(views);
}

/* The gauges tell what is open, and where it holds connections. */
static void test_p22_open_transactions_are_counted(void **state)
{
    struct world *world = *state;
    struct coord_counters counters;
    struct gtrid gtrid = opened(world);
    struct gtrid other = opened(world);
    (void)said(world, &gtrid, "order");
    coord_counters_read(world->coord, &counters);
    assert_int_equal(counters.open, 2);
    assert_open_branches(world, 1, 0);
    (void)said(world, &gtrid, "payment");
    (void)said(world, &gtrid, "order");
    assert_open_branches(world, 1, 1);
    (void)said(world, &other, "order");
    assert_open_branches(world, 2, 1);
    assert_status(world, rollback_call(world, &gtrid), API_OK);
    coord_counters_read(world->coord, &counters);
    assert_int_equal(counters.open, 1);
    assert_open_branches(world, 1, 0);
    (void)commit_call(world, &other); /* what is being prepared is not open any more */
    assert_open_branches(world, 0, 0);
}

/* P-4: while the decision is on its way to the journal nobody knows how it ends, and a rollback says so: it waits, and a deadline
 * that passes meanwhile makes it unknown, not committed. */
static void test_p04_rollback_waits_for_the_decision(void **state)
{
    struct world *world = *state;
    for (int is_slow = 0; is_slow < 2; is_slow++) {
        struct gtrid gtrid = opened(world);
        struct gid gid = said(world, &gtrid, "order");
        (void)commit_call(world, &gtrid);
        world_vote(world, "order", &gid, VOTE_COMMIT);
        assert_int_equal(state_of(world, &gtrid), TXN_DECIDING);
        uint64_t call = rollback_call(world, &gtrid);
        assert_null(world_answer(world, call));
        if (is_slow) {
            world_tick(world, 600000);
            assert_status(world, call, API_OUTCOME_UNKNOWN);
        }
        world_durable(world);
        if (!is_slow) {
            assert_status(world, call, API_CONFLICT);
        }
        assert_status(world, rollback_call(world, &gtrid), API_CONFLICT);
        world_ack(world, "order", &gid, ACK_COMMITTED);
    }
}

/* H1: what somebody committed by hand of a transaction that is rolled back is told to nobody before it is on record: not to who
 * rolls it back again, and not to who goes on with a statement. */
static void test_p22_heuristic_outcome_is_not_told_before_it_is_on_record(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    assert_status(world, rollback_call(world, &gtrid), API_OK);
    world_ack(world, "order", &gid, ACK_HEURISTIC_COMMIT);
    assert_non_null(world_append(world, RECORD_HEURISTIC));
    uint64_t rollback = rollback_call(world, &gtrid);
    assert_null(world_answer(world, rollback));
    uint64_t statement = say(world, &gtrid, "order", 0, 0);
    assert_null(world_answer(world, statement));
    world_durable(world);
    assert_status(world, rollback, API_OK);
    assert_int_equal(world_answer(world, rollback)->views[0].state, TXN_HEURISTIC);
    assert_status(world, statement, API_ABORTED);
}

/* Drain: what is open is aborted, nothing is opened any more. */
static void test_p22_drain_aborts_open_transactions(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    uint64_t waiting = say(world, &gtrid, "order", 0, 0);
    struct coord_event drain = {.kind = COORD_EVENT_DRAIN};
    world_step(world, &drain);
    assert_status(world, waiting, API_ABORTED);
    assert_int_equal(world_answer(world, waiting)->views[0].failure.reason, REASON_SHUTDOWN);
    uint64_t call = open_call(world);
    assert_status(world, call, API_REFUSED);
    assert_int_equal(world_answer(world, call)->reason, REASON_SHUTDOWN);
    world_ack(world, "order", &gid, ACK_ROLLED_BACK);
    assert_int_equal(world->ready.stop, COORD_STOP_DRAINED);
}

/* With only the journal's reserve left nothing is opened, and a commit is not begun; when there is space again it is. */
static void test_p16_interactive_commit_waits_for_space(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    (void)said(world, &gtrid, "order");
    struct coord_event space = {.kind = COORD_EVENT_SPACE, .space_ok = false};
    world_step(world, &space);
    assert_status(world, open_call(world), API_REFUSED);
    uint64_t call = commit_call(world, &gtrid);
    assert_status(world, call, API_REFUSED);
    assert_int_equal(world_answer(world, call)->reason, REASON_CAPACITY);
    space.space_ok = true;
    world_step(world, &space);
    (void)commit_call(world, &gtrid);
    assert_int_equal(world_count_sends(world, MESSAGE_PREPARE), 1);
}

/* P-1: what was forgotten, as after a restart, has aborted: no COMMIT names it. */
static void test_p01_interactive_forgotten_transaction_has_aborted(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    assert_status(world, rollback_call(world, &gtrid), API_OK);
    struct gtrid next = opened(world); /* only the one that ended last is remembered */
    assert_status(world, rollback_call(world, &next), API_OK);
    uint64_t call = commit_call(world, &gtrid);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world_answer(world, call)->views[0].state, TXN_ABORTED);
    assert_status(world, say(world, &gtrid, "order", 0, 0), API_ABORTED);
    assert_status(world, rollback_call(world, &gtrid), API_OK);
}

/* P-1, P-8: of a transaction that was never given out nothing is known; never "committed", and where the journal cannot be
 * read, not known. */
static void test_p01_interactive_unknown_transaction_is_not_found(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    gtrid.sequence += 1000;
    assert_status(world, commit_call(world, &gtrid), API_NOT_FOUND);
    assert_status(world, rollback_call(world, &gtrid), API_NOT_FOUND);
    assert_status(world, say(world, &gtrid, "order", 0, 0), API_NOT_FOUND);
    uint64_t call = close_with(world, &gtrid, true, (struct coord_prior){0});
    assert_status(world, call, API_OUTCOME_UNKNOWN);
}

/* Commit is repeated after a restart: the journal has the outcome. */
static void test_p22_commit_is_repeated_from_the_journal(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    gtrid.epoch--;
    struct record_branch branch = {.gid = world_gid(&gtrid, "order", ATTEMPT)};
    struct journal_entry entry;
    memset(&entry, 0, sizeof(entry));
    entry.commit.kind = RECORD_COMMIT;
    entry.commit.as.commit.gtrid = gtrid;
    entry.commit.as.commit.branch_count = 1;
    entry.commit.as.commit.branches = &branch;
    struct coord_prior prior = {.looked_up = true, .found = true, .entry = &entry};
    uint64_t call = close_with(world, &gtrid, true, prior);
    assert_status(world, call, API_OK);
    assert_true(world_answer(world, call)->replayed);
    assert_true(gtrid_equal(&world_answer(world, call)->views[0].gtrid, &gtrid));
    assert_status(world, close_with(world, &gtrid, false, prior), API_CONFLICT);
}

/* P-16: what recovery read may have been in the page cache alone: before this start's EPOCH is durable nobody is told of it,
 * neither out of memory nor out of the journal. */
static void test_p16_interactive_outcome_is_not_told_before_the_epoch(void **state)
{
    (void)state;
    struct world world = {0};
    struct epoch_entry one = {.epoch = 1, .nonce = 5};
    char names[1][PARTICIPANT_NAME_SIZE] = {"order"};
    struct journal_state journal = {.last_epoch = 1,
                                    .head = {.number = 10},
                                    .epoch_count = 1,
                                    .epochs = &one,
                                    .participant_count = 1,
                                    .participants = names};
    struct gtrid gtrid = {.epoch = 1, .epoch_nonce = 5, .sequence = 3};
    memset(gtrid.journal.bytes, 0xab, JOURNAL_ID_BYTES); /* the world's */
    struct record_branch branch = {.gid = world_gid(&gtrid, "order", ATTEMPT)};
    struct record record = {.kind = RECORD_COMMIT,
                            .as.commit = {.gtrid = gtrid, .branch_count = 1, .branches = &branch}};
    struct journal_entry entry = {.commit = record, .ended = true};
    struct coord_prior found = {.looked_up = true, .found = true, .entry = &entry};
    struct interactive_end end = {.gtrid = gtrid, .commit = true, .ack = ACK_MODE_DECIDED};
    for (int is_in_memory = 0; is_in_memory < 2; is_in_memory++) {
        struct coord_prior prior = is_in_memory ? (struct coord_prior){0} : found;
        world_init_from(&world, &journal, &record, (size_t)is_in_memory);
        struct coord_event event = {
            .kind = COORD_EVENT_CLOSE, .call = world.next_call++, .end = &end, .prior = prior};
        world_step(&world, &event);
        assert_status(&world, event.call, API_OUTCOME_UNKNOWN);
        assert_int_equal(world_answer(&world, event.call)->view_count, 0);
        assert_status(&world, close_with(&world, &gtrid, false, prior), API_OUTCOME_UNKNOWN);
        assert_status(&world, say(&world, &gtrid, "order", 0, 0), API_OUTCOME_UNKNOWN);
        world_durable(&world);
        event.call = world.next_call++;
        world_step(&world, &event);
        assert_status(&world, event.call, API_OK);
        world_done(&world);
    }
}

/* A person may roll back what is open, as everything undecided, and is not told "done" of something that goes on. */
static void test_p22_operator_rolls_back_an_open_transaction(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    struct api_resolve resolve = {
        .gtrid = gtrid, .action = RESOLVE_ROLLBACK, .participant = "order", .comment = "stuck"};
    struct coord_event event = {
        .kind = COORD_EVENT_RESOLVE, .call = world->next_call++, .resolve = &resolve};
    world_step(world, &event);
    assert_int_equal(world_count_appends(world, RECORD_RESOLVED), 1);
    world_durable(world);
    assert_status(world, event.call, API_OK);
    assert_int_equal(world_count_sends(world, MESSAGE_ROLLBACK), 1);
    assert_true(gid_equal(&world_send(world, MESSAGE_ROLLBACK, 0)->as.rollback.gid, &gid));
    uint64_t call = commit_call(world, &gtrid);
    assert_status(world, call, API_ABORTED);
    assert_int_equal(world_answer(world, call)->views[0].failure.reason,
                     REASON_ROLLED_BACK_BY_CLIENT);
}

/* Who repeats a statement because its answer was lost is a client that speaks: what is open is not idle. */
static void test_p22_repeating_client_is_not_idle(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = world_gid(&gtrid, "order", ATTEMPT);
    (void)say(world, &gtrid, "order", 1, 1);
    answer_as(world, &gid, 1, "rows");
    world_tick(world, 4999);
    assert_status(world, say(world, &gtrid, "order", 1, 1), API_OK);
    world_tick(world, 4999);
    assert_int_equal(state_of(world, &gtrid), TXN_OPEN);
    world_tick(world, 1);
    assert_int_equal(state_of(world, &gtrid), TXN_ABORTING);
}

static bool has_event(const struct world *world, const struct gtrid *gtrid, const char *kind)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, gtrid, true, &view));
    bool found = false;
    for (size_t i = 0; i < view.event_count; i++) {
        found = found || strcmp(view.events[i].kind, kind) == 0;
    }
    txn_view_done(&view);
    return found;
}

/* However many statements there were, the timeline tells how it ended. */
static void test_p22_many_statements_leave_room_for_the_end(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = {0};
    for (int i = 0; i < 1500; i++) {
        gid = said(world, &gtrid, "order");
    }
    (void)commit_call(world, &gtrid);
    world_vote(world, "order", &gid, VOTE_COMMIT);
    world_durable(world);
    static const char *const kinds[] = {"opened",       "statement-sent", "prepare-sent",
                                        "voted-commit", "decided-commit", "commit-durable"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        assert_true(has_event(world, &gtrid, kinds[i]));
    }
    world_ack(world, "order", &gid, ACK_COMMITTED);
    assert_true(has_event(world, &gtrid, "ended"));
}

/* What is remembered of finished transactions is bounded in bytes, timelines included, which many statements make long. */
static void test_p22_finished_transactions_are_bounded_in_bytes(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.recent_max_bytes = 20000});
    struct gtrid gtrids[3];
    for (int t = 0; t < 3; t++) {
        gtrids[t] = opened(&world);
        struct gid gid = {0};
        for (int i = 0; i < 200; i++) {
            gid = said(&world, &gtrids[t], "order");
        }
        assert_status(&world, rollback_call(&world, &gtrids[t]), API_OK);
        world_ack(&world, "order", &gid, ACK_ROLLED_BACK);
    }
    struct txn_view view;
    assert_false(coord_view(world.coord, &gtrids[0], false, &view));
    assert_int_equal(state_of(&world, &gtrids[2]), TXN_ABORTED);
    world_done(&world);
}

/* P-8: while it is open nobody is told that it aborted. */
static void test_p08_interactive_open_transaction_is_undecided(void **state)
{
    struct world *world = *state;
    struct gtrid gtrid = opened(world);
    struct gid gid = said(world, &gtrid, "order");
    assert_int_equal(world_inquire(world, "order", &gid, NULL), VERDICT_WAIT);
}

/* A whole submission is no interactive transaction. */
static void test_p22_submission_takes_no_statements(void **state)
{
    struct world *world = *state;
    struct pair pair = world_begin(world, "k");
    assert_status(world, say(world, &pair.order.gtrid, "order", 0, 0), API_CONFLICT);
    assert_status(world, commit_call(world, &pair.order.gtrid), API_CONFLICT);
    assert_status(world, rollback_call(world, &pair.order.gtrid), API_CONFLICT);
}

static enum branch_state first_branch(const struct world *world, const struct gtrid *gtrid)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, gtrid, false, &view));
    enum branch_state state = view.branches[0].state;
    txn_view_done(&view);
    return state;
}

/* A client, and a link, that come too late for a transaction with a finding that a person has to see. */
static void say_too_late(struct world *world, const struct gid *gid, bool is_decided)
{
    enum branch_state before = first_branch(world, &gid->gtrid);
    assert_status(world, say(world, &gid->gtrid, "order", 2, 0),
                  is_decided ? API_CONFLICT : API_ABORTED);
    assert_status(world, rollback_call(world, &gid->gtrid), is_decided ? API_CONFLICT : API_OK);
    assert_status(world, commit_call(world, &gid->gtrid), is_decided ? API_OK : API_ABORTED);
    answer_as(world, gid, 1, "rows");
    assert_int_equal(world_count_sends(world, MESSAGE_STATEMENT), 0);
    assert_int_equal(world_count_sends(world, MESSAGE_PREPARE), 0);
    assert_int_equal(first_branch(world, &gid->gtrid), before);
}

/* H1, P-22: what was found out about a branch, and a person's word about it, stand whatever is still said of the transaction. */
static void test_h1_interactive_finding_stands(void **state)
{
    struct world *world = *state;
    static const struct {
        bool is_decided;
        enum ack finding;
    } cases[] = {{true, ACK_HEURISTIC_ROLLBACK},
                 {true, ACK_HAZARD},
                 {false, ACK_HEURISTIC_COMMIT},
                 {false, ACK_HAZARD}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct gtrid gtrid = opened(world);
        struct gid order = said(world, &gtrid, "order");
        struct gid payment = said(world, &gtrid, "payment");
        (void)commit_call(world, &gtrid);
        world_vote(world, "order", &order, VOTE_COMMIT);
        world_vote(world, "payment", &payment, cases[i].is_decided ? VOTE_COMMIT : VOTE_ABORT);
        world_durable(world);
        world_ack(world, "order", &order, cases[i].finding);
        world_durable(world);
        say_too_late(world, &order, cases[i].is_decided); /* the other branch may still be at it */
        if (cases[i].is_decided) {
            struct api_resolve resolve = {.gtrid = gtrid,
                                          .action = RESOLVE_FORGET,
                                          .participant = "order",
                                          .comment = "seen"};
            struct coord_event event = {
                .kind = COORD_EVENT_RESOLVE, .call = world->next_call++, .resolve = &resolve};
            world_step(world, &event);
            world_durable(world);
            assert_int_equal(first_branch(world, &gtrid), BRANCH_FORGOTTEN);
            say_too_late(world, &order, true);
            world_ack(world, "payment", &payment, ACK_HEURISTIC_ROLLBACK);
            world_durable(world);
        }
        assert_int_equal(state_of(world, &gtrid), TXN_HEURISTIC);
        say_too_late(world, &order, cases[i].is_decided);
    }
}

#define TEST(name) talk_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_p22_statements_carry_ordinal_and_attempt),
        TEST(test_p22_unanswered_statement_is_sent_again),
        TEST(test_p22_stale_answer_does_not_count),
        TEST(test_p22_failed_statement_aborts_everywhere),
        TEST(test_p22_lost_branch_aborts_while_idle),
        TEST(test_p22_commit_prepares_with_the_counts),
        TEST(test_p22_yes_before_prepare_aborts),
        TEST(test_p22_yes_of_another_attempt_is_not_counted),
        TEST(test_p22_commit_out_of_place_is_a_conflict),
        TEST(test_p22_seq_repeats_the_recorded_result),
        TEST(test_p22_recorded_results_are_bounded),
        TEST(test_p22_recorded_empty_results_are_bounded),
        TEST(test_p22_more_statements_than_allowed_are_refused),
        TEST(test_p22_more_branches_than_allowed_are_refused),
        TEST(test_p15_interactive_deadline_aborts),
        TEST(test_p02_interactive_silence_at_prepare_aborts),
        TEST(test_p22_idle_transaction_is_aborted),
        TEST(test_p22_more_open_transactions_than_allowed_are_refused),
        TEST(test_p22_statement_that_cannot_be_sent_changes_nothing),
        TEST(test_p02_interactive_lost_link_aborts),
        TEST(test_p22_rollback_ends_every_branch),
        TEST(test_p22_rollback_before_the_decision_beats_commit),
        TEST(test_p22_commit_of_another_count_is_a_conflict),
        TEST(test_p22_open_transactions_are_counted),
        TEST(test_p04_rollback_waits_for_the_decision),
        TEST(test_p22_heuristic_outcome_is_not_told_before_it_is_on_record),
        TEST(test_p22_drain_aborts_open_transactions),
        TEST(test_p16_interactive_commit_waits_for_space),
        TEST(test_p01_interactive_forgotten_transaction_has_aborted),
        TEST(test_p01_interactive_unknown_transaction_is_not_found),
        TEST(test_p22_commit_is_repeated_from_the_journal),
        TEST(test_p16_interactive_outcome_is_not_told_before_the_epoch),
        TEST(test_p22_operator_rolls_back_an_open_transaction),
        TEST(test_p22_repeating_client_is_not_idle),
        TEST(test_p22_many_statements_leave_room_for_the_end),
        TEST(test_p22_finished_transactions_are_bounded_in_bytes),
        TEST(test_p08_interactive_open_transaction_is_undecided),
        TEST(test_p22_submission_takes_no_statements),
        TEST(test_h1_interactive_finding_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
