/* test_client_daemon.c - libassent against real daemons and databases. */
#include "tests/lib/test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assent/assent.h"
#include "common/clock.h"
#include "tests/lib/stack.h"

static struct stack *stack;

static int set_up(void **state)
{
    (void)state;
    struct error error = {0};
    if (!stack_new(NULL, &stack, &error) || !stack_start(stack, &error) ||
        !stack_sql(stack, 0, "CREATE TABLE seats (id text PRIMARY KEY, price numeric)", NULL,
                   &error) ||
        !stack_sql(stack, 1, "CREATE TABLE seats (id text PRIMARY KEY, price numeric)", NULL,
                   &error) ||
        !stack_sql(stack, 0, "GRANT ALL ON seats TO PUBLIC", NULL, &error) ||
        !stack_sql(stack, 1, "GRANT ALL ON seats TO PUBLIC", NULL, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stack_free(stack);
    return 0;
}

static struct assent_client *open_client(void)
{
    struct assent_client *client = NULL;
    assert_int_equal(assent_client_open(stack_client_address(stack), &client), ASSENT_OK);
    return client;
}

/* The same row in both databases; price is written as it is. */
static struct assent_request *seat_request(const char *id, const char *price)
{
    static const char sql[] = "INSERT INTO seats (id, price) VALUES ($1, $2) RETURNING price";
    struct assent_request *request = assent_request_new();
    assent_request_add(request, stack_participant(stack, 0), sql, ASSENT_PARAMS(id, price), 1);
    assent_request_add(request, stack_participant(stack, 1), sql, ASSENT_PARAMS(id, price), 1);
    return request;
}

static struct assent_answer *take_seat(struct assent_transaction *transaction, size_t participant,
                                       const char *id)
{
    return assent_execute(transaction, stack_participant(stack, participant),
                          "INSERT INTO seats (id, price) VALUES ($1, $2) RETURNING price",
                          ASSENT_PARAMS(id, "12.50"), 1);
}

static void assert_seats(const char *id, const char *count)
{
    for (size_t i = 0; i < 2; i++) {
        struct error error;
        char sql[128];
        char *value = NULL;
        snprintf(sql, sizeof sql, "SELECT count(*) FROM seats WHERE id = '%s'", id);
        assert_success(stack_sql(stack, i, sql, &value, &error), &error);
        assert_string_equal(value, count);
        free(value);
    }
}

/* A transaction commits in both databases and gives its rows back digit for digit. */
static void test_client_daemon_commits_in_both_databases(void **state)
{
    (void)state;
    struct assent_client *client = open_client();
    struct assent_request *request = seat_request("a", "12345678901234567890.10");

    struct assent_answer *answer = assent_submit(client, request);

    assert_int_equal(assent_answer_outcome(answer), ASSENT_COMMITTED);
    assert_true(assent_answer_completed(answer));
    const struct assent_result *result =
        assent_answer_result(answer, stack_participant(stack, 1), 0);
    assert_string_equal(assent_result_value(result, 0, 0), "12345678901234567890.10");
    assert_string_equal(assent_result_column_type(result, 0), "numeric");
    assert_seats("a", "1");
    struct assent_answer *told = assent_status(client, assent_answer_id(answer));
    assert_int_equal(assent_answer_outcome(told), ASSENT_COMMITTED);
    assent_answer_free(told);
    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
}

/* A violated constraint aborts everywhere and names itself. */
static void test_client_daemon_aborts_in_both_databases(void **state)
{
    (void)state;
    struct assent_client *client = open_client();
    struct assent_request *request = seat_request("b", "1");
    assent_request_add(request, stack_participant(stack, 1), "INSERT INTO seats VALUES ('b', 2)",
                       ASSENT_NO_PARAMS, ASSENT_ANY_ROWS);

    struct assent_answer *answer = assent_submit(client, request);

    assert_int_equal(assent_answer_outcome(answer), ASSENT_ABORTED);
    assert_string_equal(assent_answer_reason(answer), "constraint");
    assert_string_equal(assent_answer_sqlstate(answer), "23505");
    assert_string_equal(assent_answer_participant(answer), stack_participant(stack, 1));
    assert_string_equal(assent_answer_postgresql(answer, ASSENT_FIELD_CONSTRAINT), "seats_pkey");
    assert_int_equal(assent_answer_statement(answer), 1);
    assert_seats("b", "0");
    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
}

/* The same content under the same key is the same request, whether it comes by HTTP or by the library. */
static void test_client_daemon_key_is_shared_with_http(void **state)
{
    (void)state;
    struct assent_client *client = open_client();
    struct assent_request *request = seat_request("c", "12.50");
    struct error error;
    struct http_reply reply = {0};
    char body[1024];
    static const char format[] =
        "{\"branches\":[{\"participant\":\"%s\",\"statements\":[{\"sql\":\"%s\",\"params\":[\"c\","
        "12.50],\"expect_rows\":1}]},{\"participant\":\"%s\",\"statements\":[{\"sql\":\"%s\","
        "\"params\":[\"c\",\"12.50\"],\"expect_rows\":1}]}]}";
    static const char sql[] = "INSERT INTO seats (id, price) VALUES ($1, $2) RETURNING price";
    snprintf(body, sizeof body, format, stack_participant(stack, 0), sql,
             stack_participant(stack, 1), sql);
    assert_int_equal(assent_request_set_key(request, "shared-key"), ASSENT_OK);

    struct assent_answer *first = assent_submit(client, request);
    assert_success(stack_http(stack, "/v1/transactions", "shared-key", body, &reply, &error),
                   &error);
    struct assent_answer *again = assent_submit(client, request);
    assent_request_add(request, stack_participant(stack, 0), "SELECT 1", ASSENT_NO_PARAMS, -1);
    struct assent_answer *other = assent_submit(client, request);

    assert_int_equal(assent_answer_outcome(first), ASSENT_COMMITTED);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, assent_answer_id(first)));
    assert_int_equal(assent_answer_outcome(again), ASSENT_COMMITTED);
    assert_true(assent_answer_replayed(again));
    assert_string_equal(assent_answer_id(again), assent_answer_id(first));
    assert_int_equal(assent_answer_outcome(other), ASSENT_REFUSED);
    assert_string_equal(assent_answer_reason(other), "key_conflict");
    assert_seats("c", "1");
    http_reply_done(&reply);
    assent_answer_free(first);
    assent_answer_free(again);
    assent_answer_free(other);
    assent_request_free(request);
    assent_client_close(client);
}

struct counts {
    size_t committed, other;
};

static void count_answer(void *user, struct assent_answer *answer)
{
    struct counts *counts = user;
    if (assent_answer_outcome(answer) == ASSENT_COMMITTED) {
        counts->committed++;
    } else {
        counts->other++;
        fprintf(stderr, "%s: %s\n", assent_answer_reason(answer), assent_answer_text(answer));
    }
    assent_answer_free(answer);
}

/* Many transactions in flight on one connection all commit, each once. */
static void test_client_daemon_many_in_flight_all_commit(void **state)
{
    (void)state;
    enum { COUNT = 50 }; /* below the 64 prepared transactions of the test's clusters */
    struct assent_client *client = open_client();
    struct counts counts = {0};
    for (int i = 0; i < COUNT; i++) {
        char id[32];
        snprintf(id, sizeof id, "many-%d", i);
        struct assent_request *request = seat_request(id, "1");
        assent_request_set_timeout_ms(request, 30000);
        assert_int_equal(assent_submit_async(client, request, count_answer, &counts), ASSENT_OK);
        assent_request_free(request);
    }
    while (assent_client_in_flight(client) > 0) {
        assert_true(assent_client_wait(client, 30000) > 0);
    }
    assert_int_equal(counts.committed, COUNT);
    assert_int_equal(counts.other, 0);
    char *value = NULL;
    struct error error;
    assert_success(
        stack_sql(stack, 1, "SELECT count(*) FROM seats WHERE id LIKE 'many-%'", &value, &error),
        &error);
    assert_string_equal(value, "50");
    free(value);
    assent_client_close(client);
}

/* The coordinator dies after its decision: the answer is unknown, and asking again with the same request tells
 * the committed outcome, once. */
static void test_client_daemon_dies_after_decision_same_request_tells(void **state)
{
    (void)state;
    struct error error;
    struct stack_daemon *daemon = stack_coordinator(stack);
    assert_success(stack_daemon_stop(daemon, &error), &error);
    assert_success(stack_daemon_start_faulty(daemon, "c.decide.post_sync:kill", &error), &error);
    assert_success(stack_wait_ready(stack, clock_monotonic_ms() + 30000, &error), &error);
    struct assent_client *client = open_client();
    struct assent_request *request = seat_request("d", "1");

    struct assent_answer *lost = assent_submit(client, request);
    assert_int_equal(assent_answer_outcome(lost), ASSENT_UNKNOWN);
    assert_true(stack_daemon_wait(daemon, clock_monotonic_ms() + 10000, NULL));
    struct assent_answer *nobody = assent_submit(client, request);
    assert_int_equal(assent_answer_outcome(nobody), ASSENT_UNAVAILABLE);
    assert_success(stack_daemon_start(daemon, NULL, &error), &error);
    assert_success(stack_wait_ready(stack, clock_monotonic_ms() + 30000, &error), &error);
    struct assent_answer *found = assent_submit(client, request);

    assert_int_equal(assent_answer_outcome(found), ASSENT_COMMITTED);
    assert_true(assent_answer_replayed(found));
    struct assent_answer *told = assent_status_by_key(client, assent_request_key(request));
    assert_int_equal(assent_answer_outcome(told), ASSENT_COMMITTED);
    assert_seats("d", "1");
    assent_answer_free(lost);
    assent_answer_free(nobody);
    assent_answer_free(found);
    assent_answer_free(told);
    assent_request_free(request);
    assent_client_close(client);
}

/* Participants and transactions can be listed. */
static void test_client_daemon_lists(void **state)
{
    (void)state;
    struct assent_client *client = open_client();
    struct assent_participants *participants = assent_participants_get(client);
    const struct assent_filter filter = {.state = "committed", .limit = 2};
    struct assent_list *list = assent_list_transactions(client, &filter);

    assert_string_equal(assent_participants_error(participants), "");
    assert_int_equal(assent_participants_count(participants), 2);
    assert_true(assent_participants_ready(participants, 0));
    assert_string_equal(assent_list_error(list), "");
    assert_int_equal(assent_list_count(list), 2);
    assert_int_equal(assent_answer_outcome(assent_list_at(list, 0)), ASSENT_COMMITTED);
    assert_non_null(assent_list_next(list));
    assent_participants_free(participants);
    assent_list_free(list);
    assent_client_close(client);
}

static void assert_outcome(struct assent_answer *answer, enum assent_outcome outcome)
{
    if (assent_answer_outcome(answer) != outcome) {
        fail_msg("%s: %s", assent_outcome_text(assent_answer_outcome(answer)),
                 assent_answer_text(answer));
    }
    assent_answer_free(answer);
}

/* An interactive transaction gives its rows one statement at a time, and commits in both databases; a second commit is the first one's
 * answer. */
static void test_client_daemon_speaks_statement_by_statement(void **state)
{
    (void)state;
    struct assent_client *client = open_client();
    struct assent_transaction *transaction = NULL;
    assert_outcome(assent_open(client, 20000, &transaction), ASSENT_ACTIVE);
    struct assent_answer *answer = take_seat(transaction, 0, "by-statement");
    const struct assent_result *result =
        assent_answer_result(answer, stack_participant(stack, 0), 0);
    assert_string_equal(assent_result_value(result, 0, 0), "12.50");
    assert_outcome(answer, ASSENT_ACTIVE);
    answer = assent_execute_again(transaction);
    assert_true(assent_answer_replayed(answer));
    assert_outcome(answer, ASSENT_ACTIVE);
    assert_outcome(take_seat(transaction, 1, "by-statement"), ASSENT_ACTIVE);
    assert_seats("by-statement", "0");
    answer = assent_status(client, assent_transaction_id(transaction));
    assert_string_equal(assent_answer_state(answer), "active");
    assert_outcome(answer, ASSENT_UNKNOWN);
    assert_outcome(assent_commit(transaction, ASSENT_ACK_COMPLETED), ASSENT_COMMITTED);
    assert_outcome(assent_commit(transaction, ASSENT_ACK_COMPLETED), ASSENT_COMMITTED);
    assert_outcome(assent_rollback(transaction), ASSENT_REFUSED);
    assert_seats("by-statement", "1");
    assent_transaction_free(transaction);
    assent_client_close(client);
}

/* A statement that fails ends it, with what PostgreSQL said; a rollback leaves nothing. */
static void test_client_daemon_failed_statement_ends_the_transaction(void **state)
{
    (void)state;
    struct assent_client *client = open_client();
    struct assent_transaction *transaction = NULL;
    assert_outcome(assent_open(client, 20000, &transaction), ASSENT_ACTIVE);
    assert_outcome(take_seat(transaction, 0, "ended"), ASSENT_ACTIVE);
    struct assent_answer *answer = take_seat(transaction, 0, "ended");
    assert_string_equal(assent_answer_reason(answer), "constraint");
    assert_string_equal(assent_answer_postgresql(answer, ASSENT_FIELD_CONSTRAINT), "seats_pkey");
    assert_outcome(answer, ASSENT_ABORTED);
    assert_outcome(take_seat(transaction, 1, "ended"), ASSENT_ABORTED);
    assert_outcome(assent_commit(transaction, ASSENT_ACK_COMPLETED), ASSENT_ABORTED);
    assert_outcome(assent_rollback(transaction), ASSENT_ABORTED);
    assent_transaction_free(transaction);
    assert_outcome(assent_open(client, 20000, &transaction), ASSENT_ACTIVE);
    assert_outcome(take_seat(transaction, 0, "ended"), ASSENT_ACTIVE);
    assert_outcome(assent_rollback(transaction), ASSENT_ABORTED);
    assert_outcome(assent_rollback(transaction), ASSENT_ABORTED);
    assert_seats("ended", "0");
    assent_transaction_free(transaction);
    assent_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_daemon_speaks_statement_by_statement),
        cmocka_unit_test(test_client_daemon_failed_statement_ends_the_transaction),
        cmocka_unit_test(test_client_daemon_commits_in_both_databases),
        cmocka_unit_test(test_client_daemon_aborts_in_both_databases),
        cmocka_unit_test(test_client_daemon_key_is_shared_with_http),
        cmocka_unit_test(test_client_daemon_many_in_flight_all_commit),
        cmocka_unit_test(test_client_daemon_dies_after_decision_same_request_tells),
        cmocka_unit_test(test_client_daemon_lists),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
