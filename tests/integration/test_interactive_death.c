/*
 * test_interactive_death.c - interactive transactions whose coordinator, agent, backend or database goes away (P-2, P-22).
 */
#include "test_interactive_kit.h"

/* The agent dies between two statements: nobody goes on with half of the work. */
static void test_killed_agent_ends_it(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct stack_daemon *agent = stack_agent(day->stack, DAY_PAYMENT);
    struct error error;
    talk_in_both(day, &talk, "agentless");
    stack_daemon_kill(agent);
    talk_wait_state(day, &talk, "aborted");
    assert_success(stack_daemon_start(agent, NULL, &error), &error);
    talk_expect_nothing_left(day);
    char body[512];
    talk_note_body(body, sizeof body, DAY_PAYMENT, "more", 3);
    talk_expect(day, talk.statements, body, 503, "participant_unavailable",
                "\"state\":\"aborted\"");
    talk_expect(day, talk.commit, "{}", 503, "participant_unavailable", "\"state\":\"aborted\"");
    talk_expect_notes(day, "agentless", 0);
    talk_in_both(day, &talk, "again");
    talk_expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    talk_expect_notes(day, "again", 1);
}

/* A participant that is away refuses its first statement, and the transaction stays open for the others. */
static void test_participant_that_is_away_changes_nothing(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    char body[512];
    talk_open(day, &talk, 30000);
    talk_note(day, &talk, DAY_ORDER, "away", 1);
    stack_daemon_kill(stack_agent(day->stack, DAY_PAYMENT));
    day_wait_not_ready(day);
    talk_note_body(body, sizeof body, DAY_PAYMENT, "away", 2);
    free(talk_ask(day, talk.statements, body, 503, "participant_unavailable"));
    assert_success(stack_daemon_start(stack_agent(day->stack, DAY_PAYMENT), NULL, &error), &error);
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    talk_note(day, &talk, DAY_PAYMENT, "away", 2);
    talk_expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    talk_expect_notes(day, "away", 1);
}

/* The coordinator dies between two statements: the agents roll back by themselves, the next coordinator never says committed. */
static void test_killed_coordinator_makes_everything_vanish(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    char body[512];
    talk_in_both(day, &talk, "orphan");
    stack_daemon_kill(stack_coordinator(day->stack));
    assert_true(stack_poll(NULL, clock_monotonic_ms() + DAY_HEAL_MS, talk_is_nothing_open, day));
    assert_success(stack_start(day->stack, &error), &error);
    talk_note_body(body, sizeof body, DAY_PAYMENT, "more", 3);
    talk_expect(day, talk.statements, body, 409, "conflict", "\"state\":\"aborted\"");
    talk_expect(day, talk.commit, "{}", 409, "conflict", "\"state\":\"aborted\"");
    talk_expect(day, talk.rollback, "{}", 200, NULL, "\"state\":\"aborted\"");
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "orphan", 0);
}

/* The coordinator dies when all branches are prepared: before its decision is written nothing remains of it, after that all of it. */
static void test_coordinator_killed_at_the_decision(void **state)
{
    talk_expect_killed_at_the_decision(*state, talk_in_both);
}

/* A backend that somebody ends takes its branch with it; so does the whole database. */
static void test_lost_backend_ends_it(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    talk_in_both(day, &talk, "backend");
    day_sql(day, DAY_ORDER,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in "
            "transaction' AND usename = 'assent_order'");
    talk_expect(day, talk.commit, "{}", 503, "participant_unavailable", "\"state\":\"aborted\"");
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "backend", 0);
    talk_in_both(day, &talk, "database");
    assert_success(
        pgcluster_restart(stack_cluster(day->stack, DAY_PAYMENT), PGCLUSTER_IMMEDIATE, &error),
        &error);
    talk_expect(day, talk.commit, "{}", 503, "participant_unavailable", "\"state\":\"aborted\"");
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "database", 0);
}

/* Draining does not wait for those who think. */
static void test_drain_aborts_what_is_open(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    talk_in_both(day, &talk, "drained");
    assert_success(stack_daemon_stop(stack_coordinator(day->stack), &error), &error);
    assert_true(stack_poll(NULL, clock_monotonic_ms() + DAY_HEAL_MS, talk_is_nothing_open, day));
    assert_success(stack_start(day->stack, &error), &error);
    talk_expect(day, talk.commit, "{}", 409, "conflict", "\"state\":\"aborted\"");
    talk_in_both(day, &talk, "agent drained");
    assert_success(stack_daemon_stop(stack_agent(day->stack, DAY_ORDER), &error), &error);
    talk_wait_state(day, &talk, "aborted");
    assert_success(stack_start(day->stack, &error), &error);
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "drained", 0);
    talk_expect_notes(day, "agent drained", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        talk_test(test_killed_agent_ends_it),
        talk_test(test_participant_that_is_away_changes_nothing),
        talk_test(test_killed_coordinator_makes_everything_vanish),
        talk_test(test_coordinator_killed_at_the_decision),
        talk_test(test_lost_backend_ends_it),
        talk_test(test_drain_aborts_what_is_open),
    };
    return cmocka_run_group_tests_name("interactive_death", tests, day_clusters_make,
                                       talk_group_end);
}
