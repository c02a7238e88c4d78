/*
 * test_interactive.c - interactive transactions over HTTP on real daemons and databases (P-22, docs/adr/0014): the common walk, numbers,
 * time. Who dies: test_interactive_death.c; what is refused: test_interactive_refused.c.
 */
#include "test_interactive_kit.h"

#include <pthread.h>

#include "common/alloc.h"

/* --- the common walk -------------------------------------------------------------------------- */

/* Nothing is seen by others before the commit, all of it after; commit may be repeated, also after a crash, and has one answer. */
static void test_commit_shows_everything_at_once_and_may_be_repeated(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct error error;
    talk_in_both(day, &talk, "walk");
    talk_expect(
        day, talk.statements,
        "{\"participant\":\"order\",\"seq\":3,\"sql\":\"SELECT count(*) FROM notes\"}", 200, NULL,
        "\"seq\":3,\"results\":[{\"command\":\"SELECT 1\",\"rows_affected\":1,\"columns\":[{"
        "\"name\":\"count\",\"type\":\"int8\",\"oid\":20}],\"rows\":[[\"1\"]]}]}");
    talk_expect_notes(day, "walk", 0);
    char *first = talk_ask(day, talk.commit, "{}", 200, NULL);
    assert_non_null(strstr(first, "\"state\":\"committed\",\"completed\":true"));
    talk_expect_notes(day, "walk", 1);
    char *second = talk_ask(day, talk.commit, "{}", 200, NULL);
    assert_string_equal(first, second);
    talk_expect(day, talk.rollback, "{}", 409, "conflict", "committed");
    talk_expect(day, talk.statements, "{\"participant\":\"order\",\"sql\":\"SELECT 1\"}", 409,
                "conflict", "no statements");
    stack_daemon_kill(stack_coordinator(day->stack));
    assert_success(stack_start(day->stack, &error), &error);
    char *third = talk_ask(day, talk.commit, "{}", 200, NULL);
    assert_string_equal(first, third);
    talk_expect(day, talk.rollback, "{}", 409, "conflict", "committed");
    talk_expect_notes(day, "walk", 1);
    talk_expect_nothing_left(day);
    free(first);
    free(second);
    free(third);
}

/* Rolled back: nothing is there, and who goes on hears why. */
static void test_rollback_leaves_nothing(void **state)
{
    struct day *day = *state;
    struct talk talk;
    talk_in_both(day, &talk, "back");
    for (unsigned i = 0; i < 2; i++) {
        talk_expect(day, talk.rollback, "{}", 200, NULL,
                    "\"state\":\"aborted\",\"reason\":\"rolled_back_by_client\"");
    }
    talk_expect(day, talk.commit, "{}", 409, "rolled_back_by_client", "\"state\":\"aborted\"");
    talk_expect(day, talk.statements, "{\"participant\":\"order\",\"sql\":\"SELECT 1\"}", 409,
                "rolled_back_by_client", "\"state\":\"aborted\"");
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "back", 0);
    talk_open(day, &talk, 5000); /* without any statement */
    talk_expect(day, talk.commit, "{}", 409, "conflict", "no branch");
    talk_expect(day, talk.rollback, "{}", 200, NULL, "\"state\":\"aborted\"");
    talk_expect_nothing_left(day);
}

/* A failed statement ends the transaction everywhere at once: what follows hears its reason, and rollback is all that is left. */
static void test_failed_statement_leaves_only_rollback(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char body[512];
    day_sql(day, DAY_PAYMENT, "INSERT INTO notes VALUES ('taken')");
    talk_open(day, &talk, 30000);
    talk_note(day, &talk, DAY_ORDER, "taken", 1);
    talk_note_body(body, sizeof body, DAY_PAYMENT, "taken", 2);
    talk_expect(day, talk.statements, body, 409, "constraint",
                "\"state\":\"aborted\",\"reason\":\"constraint\",\"participant\":\"payment\"");
    talk_expect_nothing_left(day); /* before anybody says so */
    talk_note_body(body, sizeof body, DAY_ORDER, "other", 3);
    talk_expect(day, talk.statements, body, 409, "constraint", "\"sqlstate\":\"23505\"");
    talk_expect(day, talk.commit, "{}", 409, "constraint", "\"sqlstate\":\"23505\"");
    talk_expect(day, talk.rollback, "{}", 200, NULL,
                "\"state\":\"aborted\",\"reason\":\"constraint\"}");
    day_sql(day, DAY_PAYMENT, "DELETE FROM notes");
    talk_expect_notes(day, "taken", 0);
    talk_open(day, &talk, 30000);
    talk_note(day, &talk, DAY_PAYMENT, "unexpected", 0);
    talk_expect(day, talk.statements,
                "{\"participant\":\"payment\",\"sql\":\"DELETE FROM notes\",\"expect_rows\":2}",
                409, "row_count", "\"state\":\"aborted\"");
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "unexpected", 0);
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* A number gives its recorded answer again, and executes nothing; other statements and other numbers are refused and change nothing. */
static void test_seq_replays_and_refuses(void **state)
{
    struct day *day = *state;
    struct talk talk;
    char body[512];
    talk_open(day, &talk, 30000);
    talk_note_body(body, sizeof body, DAY_ORDER, "numbered", 1);
    char *first = talk_ask(day, talk.statements, body, 200, NULL);
    talk_note(day, &talk, DAY_PAYMENT, "numbered", 2);
    struct http_reply reply = talk_post(day, talk.statements, body);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, first);
    char *replayed = http_reply_header(&reply, "Idempotent-Replayed");
    assert_string_equal(replayed, "true");
    talk_note_body(body, sizeof body, DAY_ORDER, "another", 1);
    talk_expect(day, talk.statements, body, 422, "key_conflict", "this seq");
    talk_note_body(body, sizeof body, DAY_ORDER, "another", 4);
    talk_expect(day, talk.statements, body, 409, "conflict", "the next one is 3");
    talk_expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    talk_expect_notes(day, "numbered", 1);
    talk_expect_notes(day, "another", 0);
    talk_expect_nothing_left(day);
    free(first);
    free(replayed);
    http_reply_done(&reply);
}

struct caller {
    struct day *day;
    const struct talk *talk;
    pthread_t thread;
    struct http_reply reply;
    bool ok;
};

#define GATED                                                                                      \
    "{\"participant\":\"order\",\"seq\":1,\"sql\":\"SELECT pg_advisory_xact_lock_shared(77)\"}"

static void *caller_main(void *user)
{
    struct caller *caller = user;
    caller->ok =
        stack_http(caller->day->stack, caller->talk->statements, NULL, GATED, &caller->reply, NULL);
    return NULL;
}

static void caller_start(struct day *day, const struct talk *talk, struct caller *caller)
{
    *caller = (struct caller){.day = day, .talk = talk};
    assert_int_equal(pthread_create(&caller->thread, NULL, caller_main, caller), 0);
}

static char *caller_end(struct caller *caller, int status)
{
    assert_int_equal(pthread_join(caller->thread, NULL), 0);
    assert_true(caller->ok);
    if (caller->reply.status != status) {
        fail_msg("%d %s", caller->reply.status, caller->reply.body);
    }
    char *body = alloc_string(caller->reply.body);
    http_reply_done(&caller->reply);
    return body;
}

static bool is_waiting_at_gate(void *user)
{
    return talk_number(user, DAY_ORDER,
                       "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                       " AND database = (SELECT oid FROM pg_database WHERE datname ="
                       " current_database())") == 1;
}

static void wait_at_gate(struct day *day)
{
    assert_true(stack_poll(NULL, day_soon(), is_waiting_at_gate, day));
}

/* While a statement runs, its repetition waits with it; another one, and a commit, are refused; a rollback ends it. */
static void test_running_statement_is_joined_and_not_overtaken(void **state)
{
    struct day *day = *state;
    struct talk talk;
    struct caller first, second;
    day_sql(day, DAY_ORDER, "SELECT pg_advisory_lock(77)");
    talk_open(day, &talk, 30000);
    caller_start(day, &talk, &first);
    wait_at_gate(day);
    talk_expect(day, talk.commit, "{}", 409, "conflict", "under way");
    talk_expect(day, talk.statements, "{\"participant\":\"payment\",\"sql\":\"SELECT 1\"}", 409,
                "conflict", "under way");
    caller_start(day, &talk, &second);
    day_sql(day, DAY_ORDER, "SELECT pg_advisory_unlock(77)");
    char *one = caller_end(&first, 200);
    char *other = caller_end(&second, 200);
    assert_string_equal(one, other);
    talk_expect(day, talk.commit, "{}", 200, NULL, "\"state\":\"committed\"");
    free(one);
    free(other);
    day_sql(day, DAY_ORDER, "SELECT pg_advisory_lock(77)");
    talk_open(day, &talk, 30000);
    caller_start(day, &talk, &first);
    wait_at_gate(day);
    talk_expect(day, talk.rollback, "{}", 200, NULL, "\"state\":\"aborted\"");
    free(caller_end(&first, 409));
    talk_expect_nothing_left(day); /* the statement was cancelled: the gate is still shut */
    day_sql(day, DAY_ORDER, "SELECT pg_advisory_unlock(77)");
}

/* --- time ------------------------------------------------------------------------------------- */

/* At its deadline a transaction is over, whether anybody asks or not; also while a statement runs. */
static void test_deadline_ends_it(void **state)
{
    struct day *day = *state;
    struct talk talk;
    talk_open(day, &talk, 1500);
    talk_note(day, &talk, DAY_ORDER, "late", 1);
    talk_note(day, &talk, DAY_PAYMENT, "late", 2);
    talk_wait_state(day, &talk, "aborted");
    talk_expect(day, talk.commit, "{}", 504, "timeout", "\"state\":\"aborted\"");
    talk_expect(day, talk.statements, "{\"participant\":\"order\",\"sql\":\"SELECT 1\"}", 504,
                "timeout", "\"state\":\"aborted\"");
    talk_expect(day, talk.rollback, "{}", 200, NULL, "\"reason\":\"timeout\"");
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "late", 0);
    talk_open(day, &talk, 1000);
    talk_expect(day, talk.statements, "{\"participant\":\"order\",\"sql\":\"SELECT pg_sleep(60)\"}",
                504, "timeout", "\"state\":\"aborted\"");
    talk_expect_nothing_left(day);
}

/* A client that says nothing loses its transaction, and with it its locks, long before the deadline. */
static void test_silent_client_loses_its_transaction(void **state)
{
    struct day *day = *state;
    struct talk talk;
    talk_stack(day, (struct stack_options){.assentd_lines = "interactive_idle = 400ms\n"});
    talk_open(day, &talk, 60000);
    talk_note(day, &talk, DAY_ORDER, "silent", 1);
    talk_wait_state(day, &talk, "aborted");
    talk_expect(day, talk.commit, "{}", 504, "timeout", "idle");
    talk_expect_nothing_left(day);
    talk_expect_notes(day, "silent", 0);
}

/* Isolation is the branch's: what it has seen once it sees again, and a conflict is retryable. */
static void test_isolation_of_a_branch_holds_over_statements(void **state)
{
    struct day *day = *state;
    struct talk talk;
    day_sql(day, DAY_ORDER, "INSERT INTO notes VALUES ('seen')");
    talk_open(day, &talk, 30000);
    talk_expect(day, talk.statements,
                "{\"participant\":\"order\",\"isolation\":\"repeatable read\",\"sql\":"
                "\"SELECT count(*) FROM notes\"}",
                200, NULL, "[[\"1\"]]");
    day_sql(day, DAY_ORDER, "UPDATE notes SET note = 'changed'");
    talk_expect(day, talk.statements,
                "{\"participant\":\"order\",\"sql\":\"SELECT note FROM notes\"}", 200, NULL,
                "[[\"seen\"]]");
    talk_expect(day, talk.statements,
                "{\"participant\":\"order\",\"sql\":\"UPDATE notes SET note = 'mine'\"}", 409,
                "serialization", "\"retryable\":true");
    talk_expect_nothing_left(day);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        talk_test(test_commit_shows_everything_at_once_and_may_be_repeated),
        talk_test(test_rollback_leaves_nothing),
        talk_test(test_failed_statement_leaves_only_rollback),
        talk_test(test_seq_replays_and_refuses),
        talk_test(test_running_statement_is_joined_and_not_overtaken),
        talk_test(test_deadline_ends_it),
        talk_test(test_isolation_of_a_branch_holds_over_statements),
        talk_test_alone(test_silent_client_loses_its_transaction),
    };
    return cmocka_run_group_tests_name("interactive", tests, day_clusters_make, talk_group_end);
}
