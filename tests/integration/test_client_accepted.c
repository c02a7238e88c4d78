/* test_client_accepted.c - accepted requests by libassent alone, over real daemons and databases: taken while a database is down,
 * waited for, told as what they are. (test_queues.c has the same over HTTP, with more kills.) */
#include "tests/lib/test.h"

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
    static const struct stack_options options = {.assentd_lines = "queue_max_each = 2\n"};
    struct error error = {0};
    bool ok = stack_new(&options, &stack, &error) && stack_start(stack, &error);
    for (size_t i = 0; ok && i < 2; i++) {
        ok = stack_sql(stack, i, "CREATE TABLE seats (id text PRIMARY KEY, price numeric)", NULL,
                       &error) &&
             stack_sql(stack, i, "GRANT ALL ON seats TO PUBLIC", NULL, &error);
    }
    if (!ok) {
        fprintf(stderr, "%s\n", error.text);
    }
    return ok ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    stack_free(stack);
    return 0;
}

static uint64_t soon(void)
{
    return clock_monotonic_ms() + 30000;
}

static struct assent_client *open_client(void)
{
    struct assent_client *client = NULL;
    assert_int_equal(assent_client_open(stack_client_address(stack), &client), ASSENT_OK);
    return client;
}

/* The same row in both databases, later, in a queue. */
static struct assent_request *seat_request(const char *id, const char *queue)
{
    static const char sql[] = "INSERT INTO seats (id, price) VALUES ($1, $2) RETURNING price";
    struct assent_request *request = assent_request_new();
    for (size_t i = 0; i < 2; i++) {
        assent_request_add(request, stack_participant(stack, i), sql, ASSENT_PARAMS(id, "12.50"),
                           1);
    }
    assent_request_set_queue(request, queue);
    return request;
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

/* Takes the answer. */
static void assert_outcome(struct assent_answer *answer, enum assent_outcome outcome,
                           const char *state, const char *reason)
{
    if (assent_answer_outcome(answer) != outcome) {
        fail_msg("%s: %s", assent_outcome_text(assent_answer_outcome(answer)),
                 assent_answer_text(answer));
    }
    assert_string_equal(assent_answer_state(answer), state);
    assert_string_equal(assent_answer_reason(answer), reason);
    assent_answer_free(answer);
}

static void hand_over(struct assent_client *client, const struct assent_request *request,
                      char ret_id[160])
{
    struct assent_answer *answer = assent_submit(client, request);
    snprintf(ret_id, 160, "%s", assent_answer_id(answer));
    assert_string_not_equal(ret_id, "");
    assert_outcome(answer, ASSENT_ACCEPTED, "queued", "");
}

struct awaited {
    struct assent_client *client;
    const char *id;
};

static bool waits_for_its_participant(void *user)
{
    const struct awaited *awaited = user;
    struct assent_answer *answer = assent_status(awaited->client, awaited->id);
    const bool is_it = strstr(assent_answer_waiting_for(answer), "participant") != NULL;
    assent_answer_free(answer);
    return is_it;
}

/* A database is down: requests are taken all the same, until the queue is full, and are told as what they are, by id and by key; the
 * coordinator is killed; when the database is back they run, each once, and who waits is told. */
static void test_client_accepted_while_a_database_is_down(void **state)
{
    (void)state;
    struct error error;
    char first[160];
    char second[160];
    struct assent_client *client = open_client();
    struct assent_request *one = seat_request("one", "shop");
    struct assent_request *two = seat_request("two", "shop");
    struct assent_request *three = seat_request("three", "shop");
    assert_success(pgcluster_stop(stack_cluster(stack, 1), PGCLUSTER_FAST, &error), &error);
    hand_over(client, one, first);
    hand_over(client, two, second);

    struct assent_answer *full = assent_submit(client, three);
    assert_true(assent_answer_retryable(full));
    assert_true(assent_answer_retry_after_ms(full) > 0);
    assert_non_null(strstr(assent_answer_text(full), "queue_max_each"));
    assert_outcome(full, ASSENT_REFUSED, "", "overload");
    assert_true(stack_poll(NULL, soon(), waits_for_its_participant,
                           &(struct awaited){.client = client, .id = first}));
    struct assent_answer *again = assent_submit(client, two);
    assert_string_equal(assent_answer_id(again), second);
    assert_string_equal(assent_answer_queue(again), "shop");
    assert_true(assent_answer_replayed(again));
    assert_outcome(again, ASSENT_ACCEPTED, "queued", "");
    assert_outcome(assent_status_by_key(client, assent_request_key(two)), ASSENT_ACCEPTED, "queued",
                   "");
    assert_outcome(assent_wait(client, second, ASSENT_ACK_COMPLETED, 200), ASSENT_ACCEPTED,
                   "queued", "");
    assent_request_set_later(two, false); /* its key waits, for as long as the request says */
    assent_request_set_timeout_ms(two, 200);
    assert_outcome(assent_submit(client, two), ASSENT_ACCEPTED, "queued", "");

    stack_daemon_kill(stack_coordinator(stack));
    assert_success(stack_daemon_start(stack_coordinator(stack), NULL, &error), &error);
    assert_success(pgcluster_start(stack_cluster(stack, 1), &error), &error);
    assert_success(stack_wait_ready(stack, soon(), &error), &error);
    struct assent_answer *told = assent_wait(client, second, ASSENT_ACK_COMPLETED, 30000);
    assert_true(assent_answer_completed(told));
    assert_outcome(told, ASSENT_COMMITTED, "committed", "");
    assert_outcome(assent_status(client, first), ASSENT_COMMITTED, "committed", "");
    struct assent_answer *replayed = assent_submit(client, two);
    assert_true(assent_answer_replayed(replayed));
    assert_string_equal(
        assent_result_value(assent_answer_result(replayed, stack_participant(stack, 1), 0), 0, 0),
        "12.50");
    assert_outcome(replayed, ASSENT_COMMITTED, "committed", "");
    assert_outcome(assent_submit(client, one), ASSENT_COMMITTED, "committed", "");
    assert_seats("one", "1");
    assert_seats("two", "1");
    assert_seats("three", "0");
    assent_request_free(one);
    assent_request_free(two);
    assent_request_free(three);
    assent_client_close(client);
}

static int act(const char *id, const char *what)
{
    struct http_reply reply;
    struct error error;
    char path[256];
    snprintf(path, sizeof path, "/v1/transactions/%s/%s", id, what);
    assert_success(stack_http(stack, path, NULL, "{}", &reply, &error), &error);
    const int status = (int)reply.status;
    http_reply_done(&reply);
    return status;
}

/* One that cannot succeed is dead, however it is asked for, and no final verdict: a person puts it back, or drops it; only then is it
 * aborted, and its key free. */
static void test_client_accepted_dead_is_no_verdict(void **state)
{
    (void)state;
    struct error error;
    char id[160];
    struct assent_client *client = open_client();
    struct assent_request *request = seat_request("twice", "dead");
    const char *key = assent_request_key(request);
    assert_success(stack_sql(stack, 1, "INSERT INTO seats VALUES ('twice', 1)", NULL, &error),
                   &error);
    struct assent_answer *answer = assent_submit(client, request);
    snprintf(id, sizeof id, "%s", assent_answer_id(answer));
    assent_answer_free(answer);

    answer = assent_wait(client, id, ASSENT_ACK_COMPLETED, 30000);
    assert_string_equal(assent_answer_sqlstate(answer), "23505");
    assert_string_equal(assent_answer_participant(answer), stack_participant(stack, 1));
    assert_int_equal(assent_answer_attempts(answer), 1);
    assert_false(assent_answer_retryable(answer));
    assert_outcome(answer, ASSENT_DEAD, "dead", "constraint");
    assert_outcome(assent_status_by_key(client, key), ASSENT_DEAD, "dead", "constraint");
    assert_outcome(assent_submit(client, request), ASSENT_DEAD, "dead", "constraint");
    const struct assent_filter filter = {.state = "dead"};
    struct assent_list *list = assent_list_transactions(client, &filter);
    assert_int_equal(assent_list_count(list), 1);
    assert_int_equal(assent_answer_outcome(assent_list_at(list, 0)), ASSENT_DEAD);
    assert_string_equal(assent_answer_queue(assent_list_at(list, 0)), "dead");
    assent_list_free(list);
    assent_request_set_later(request, false);
    assert_outcome(assent_submit(client, request), ASSENT_DEAD, "dead", "constraint");

    assert_success(stack_sql(stack, 1, "DELETE FROM seats WHERE id = 'twice'", NULL, &error),
                   &error);
    assert_int_equal(act(id, "requeue"), 200);
    assert_outcome(assent_wait(client, id, ASSENT_ACK_COMPLETED, 30000), ASSENT_COMMITTED,
                   "committed", "");
    assert_seats("twice", "1");

    struct assent_request *hopeless = seat_request("twice", "dead");
    answer = assent_submit(client, hopeless);
    snprintf(id, sizeof id, "%s", assent_answer_id(answer));
    assent_answer_free(answer);
    assert_outcome(assent_wait(client, id, ASSENT_ACK_DECIDED, 30000), ASSENT_DEAD, "dead",
                   "constraint");
    assert_int_equal(act(id, "drop"), 200);
    answer = assent_status(client, id);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_ABORTED);
    assert_string_equal(assent_answer_state(answer), "aborted");
    assent_answer_free(answer);
    assent_request_free(hopeless);
    assent_request_free(request);
    assent_client_close(client);
}

/* Without a queue, one waits for nobody; its key is bound to its body; a participant that is not known is not waited for. */
static void test_client_accepted_without_a_queue(void **state)
{
    (void)state;
    char id[160];
    struct assent_client *client = open_client();
    struct assent_request *request = seat_request("alone", NULL);
    assent_request_set_later(request, true);
    struct assent_answer *answer = assent_submit(client, request);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_ACCEPTED);
    assert_string_equal(assent_answer_queue(answer), "");
    snprintf(id, sizeof id, "%s", assent_answer_id(answer));
    assent_answer_free(answer);
    assert_outcome(assent_wait(client, id, ASSENT_ACK_COMPLETED, 30000), ASSENT_COMMITTED,
                   "committed", "");
    assert_seats("alone", "1");
    assent_request_add(request, stack_participant(stack, 0), "SELECT 1", ASSENT_NO_PARAMS, -1);
    assert_outcome(assent_submit(client, request), ASSENT_REFUSED, "", "key_conflict");
    struct assent_request *nobody = assent_request_new();
    assent_request_add(nobody, "nobody", "SELECT 1", ASSENT_NO_PARAMS, -1);
    assent_request_set_later(nobody, true);
    answer = assent_submit(client, nobody);
    assert_string_equal(assent_answer_participant(answer), "nobody");
    assert_outcome(answer, ASSENT_REFUSED, "", "unknown_participant");
    assent_request_free(nobody);
    assent_request_free(request);
    assent_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_accepted_without_a_queue),
        cmocka_unit_test(test_client_accepted_while_a_database_is_down),
        cmocka_unit_test(test_client_accepted_dead_is_no_verdict),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
