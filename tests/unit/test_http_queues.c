/*
 * test_http_queues.c - accepted requests and their queues on the wire: what reaches the core, and its answers as clients see them.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "coordinator/http_queues.h"
#include "tests/unit/http_stand_in.h"

#define ID   "abababababababababababababababab-3-0123456789abcdef-7"
#define PATH "/v1/transactions/" ID
#define BODY                                                                                       \
    "{\"branches\":[{\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT $1\",\"params\":" \
    "[\"a\",null],\"expect_rows\":1}]}],\"queue\":\"orders:7\"}"
#define PREFER "Prefer: return=minimal, Respond-Async; wait=3\r\n"

static struct {
    enum api_status status;
    enum txn_state state;
    enum reason reason; /* of a dead one; NONE: row_count */
    bool is_run;
} script;

static struct {
    enum api_operation operation;
    struct api_request_act act;
} asked;

static void fill_request(struct txn_view *view, struct submission *submission)
{
    view->request.is_request = true;
    (void)snprintf(view->request.queue, sizeof view->request.queue, "orders:7");
    (void)snprintf(view->request.waiting_for, sizeof view->request.waiting_for,
                   "participant payment");
    view->request.attempts = 3;
    view->request.next_attempt_ms = 1500;
    view->request.timeout_ms = 5000;
    view->request.has_run = true;
    view->request.run = stand_in_gtrid(9);
    view->branches = alloc_array(1, sizeof view->branches[0]);
    view->branch_count = 1;
    (void)snprintf(view->branches[0].participant, PARTICIPANT_NAME_SIZE, "order");
    view->branches[0].state = BRANCH_IDLE;
    view->branches[0].has_work = true;
    if (submission->branch_count == 0) {
        struct statement statement = {.sql = alloc_string("SELECT $1"), .expect_rows = 1};
        statement.param_count = 2;
        statement.params = alloc_array(2, sizeof *statement.params);
        statement.params[0] = alloc_string("a");
        struct work work = {.statement_count = 1, .statements = alloc_array(1, sizeof statement)};
        work.statements[0] = statement;
        view->branches[0].work = work_encode(&work);
        work_done(&work);
    }
}

static void on_answer(struct api_call *call, void *user)
{
    (void)user;
    asked.operation = call->operation;
    asked.act = call->act;
    struct api_answer *answer = &call->answer;
    answer->status = script.status;
    if (call->operation == API_QUEUES) {
        answer->queues = alloc_array(2, sizeof answer->queues[0]);
        answer->queue_count = 2;
        (void)snprintf(answer->queues[0].name, sizeof answer->queues[0].name, "a");
        answer->queues[0].length = 2;
        answer->queues[0].dead = 1;
        answer->queues[0].has_head = true;
        answer->queues[0].head = stand_in_gtrid(7);
        answer->queues[0].head_state = TXN_QUEUED;
        answer->queues[0].head_info.attempts = 4;
        (void)snprintf(answer->queues[1].name, sizeof answer->queues[1].name, "b");
        answer->queues[1].dead = 3;
        answer->unqueued.length = 5;
        return;
    }
    answer->views = alloc_zeroed(sizeof *answer->views);
    answer->view_count = 1;
    answer->views[0].gtrid = stand_in_gtrid(7);
    answer->views[0].state = script.state;
    answer->views[0].failure.reason = script.state != TXN_DEAD       ? REASON_NONE
                                      : script.reason != REASON_NONE ? script.reason
                                                                     : REASON_ROW_COUNT;
    if (script.is_run) {
        answer->views[0].is_run = true;
        answer->views[0].request.run = stand_in_gtrid(9);
    } else {
        fill_request(&answer->views[0], &call->submission);
    }
}

static int group_setup(void **state)
{
    static struct stand_in stand_in;
    stand_in_start(&stand_in, NULL, on_answer, NULL);
    *state = &stand_in;
    return 0;
}

static int group_teardown(void **state)
{
    stand_in_stop(*state);
    return 0;
}

static void expect_header(const struct wire_reply *reply, const char *name, const char *value)
{
    const char *found = wire_header(reply, name);
    if (value == NULL) {
        assert_null(found);
    } else {
        assert_non_null(found);
        assert_string_equal(found, value);
    }
}

/* Accepted: 202 with where to look and that the preference was applied; queue and wish reach the core. */
static void test_http_queues_accepted_is_202(void **state)
{
    const struct stand_in *stand_in = *state;
    struct wire_reply reply;
    script.status = API_ACCEPTED;
    script.state = TXN_QUEUED;
    wire_post(stand_in->port, "/v1/transactions", PREFER, BODY, &reply);
    assert_int_equal(reply.status, 202);
    assert_string_equal(reply.body, "{\"id\":\"" ID "\",\"state\":\"queued\"}\n");
    expect_header(&reply, "Location", PATH);
    expect_header(&reply, "Preference-Applied", "respond-async");
    assert_true(stand_in->submission.is_async);
    assert_string_equal(stand_in->submission.queue, "orders:7");
    wire_reply_done(&reply);
}

/* Somebody who waited for the outcome of an accepted request in vain: 202 too, but that was not his preference. */
static void test_http_queues_waited_in_vain(void **state)
{
    const struct stand_in *stand_in = *state;
    struct wire_reply reply;
    script.status = API_ACCEPTED;
    script.state = TXN_ACTIVE;
    wire_post(
        stand_in->port, "/v1/transactions", "",
        "{\"branches\":[{\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT 1\"}]}]}",
        &reply);
    assert_int_equal(reply.status, 202);
    assert_non_null(strstr(reply.body, "\"active\""));
    expect_header(&reply, "Preference-Applied", NULL);
    assert_false(stand_in->submission.is_async);
    wire_reply_done(&reply);
}

/* A key whose request is dead: the reason of the refusal, with state "dead". */
static void test_http_queues_dead_is_told(void **state)
{
    const struct stand_in *stand_in = *state;
    struct wire_reply reply;
    script.status = API_ABORTED;
    script.state = TXN_DEAD;
    wire_post(stand_in->port, "/v1/transactions", PREFER, BODY, &reply);
    assert_int_equal(reply.status, 409);
    assert_non_null(strstr(reply.body, "\"state\":\"dead\""));
    assert_non_null(strstr(reply.body, "row_count"));
    expect_header(&reply, "Preference-Applied", NULL);
    wire_reply_done(&reply);
}

/* Dead for a reason that would pass (queue_attempts ended it): sending it again changes nothing, so it is not said to be retryable. */
static void test_http_queues_dead_is_not_retryable(void **state)
{
    const struct stand_in *stand_in = *state;
    struct wire_reply reply;
    char path[GTRID_TEXT_SIZE + 32];
    script.status = API_ABORTED;
    script.state = TXN_DEAD;
    script.reason = REASON_DEADLOCK;
    wire_post(stand_in->port, "/v1/transactions", PREFER, BODY, &reply);
    assert_int_equal(reply.status, 409);
    assert_non_null(strstr(reply.body, "\"reason\":\"deadlock\""));
    assert_non_null(strstr(reply.body, "\"retryable\":false"));
    wire_reply_done(&reply);
    script.status = API_OK;
    (void)snprintf(path, sizeof path, "/v1/transactions/%s", ID);
    wire_get(stand_in->port, path, &reply);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "\"reason\":\"deadlock\""));
    assert_non_null(strstr(reply.body, "\"retryable\":false"));
    wire_reply_done(&reply);
    script.reason = REASON_NONE;
}

/* The whole request can be looked at: queue, attempts, what it waits for, and its statements. */
static void test_http_queues_request_is_shown(void **state)
{
    const struct stand_in *stand_in = *state;
    struct wire_reply reply;
    script.status = API_OK;
    script.state = TXN_DEAD;
    wire_request(stand_in->port, "GET", PATH, "", NULL, 0, &reply);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body,
                           "\"request\":{\"queue\":\"orders:7\",\"attempts\":3,\"next_attempt_ms\":"
                           "1500,\"waiting_for\":\"participant payment\",\"timeout_ms\":5000,"
                           "\"run\":\"abababababababababababababababab-3-0123456789abcdef-9\"}"));
    assert_non_null(strstr(reply.body, "\"isolation\":\"read committed\",\"read_only\":false,"
                                       "\"statements\":[{\"sql\":\"SELECT $1\",\"params\":[\"a\","
                                       "null],\"expect_rows\":1}]"));
    wire_reply_done(&reply);
    script.is_run = true;
    script.state = TXN_ABORTED;
    wire_request(stand_in->port, "GET", PATH, "", NULL, 0, &reply);
    assert_non_null(strstr(reply.body, "\"run_of\":\"abababababababababababababababab-3-"));
    script.is_run = false;
    wire_reply_done(&reply);
}

/* Requeue and drop take nothing or a comment, and give the transaction back. */
static void test_http_queues_acts(void **state)
{
    const struct stand_in *stand_in = *state;
    struct wire_reply reply;
    script.status = API_OK;
    script.state = TXN_QUEUED;
    wire_request(stand_in->port, "POST", PATH "/requeue", "", NULL, 0, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(asked.operation, API_REQUEST_ACT);
    assert_int_equal(asked.act.act, REQUEST_ACT_REQUEUE);
    const struct gtrid wanted = stand_in_gtrid(7);
    assert_true(gtrid_equal(&asked.act.id, &wanted));
    wire_reply_done(&reply);
    wire_post(stand_in->port, PATH "/drop", "", "{\"comment\":\"sold out\"}", &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(asked.act.act, REQUEST_ACT_DROP);
    assert_string_equal(asked.act.comment, "sold out");
    wire_reply_done(&reply);
}

/* Every queue with its head. */
static void test_http_queues_list(void **state)
{
    const struct stand_in *stand_in = *state;
    struct wire_reply reply;
    script.status = API_OK;
    wire_request(stand_in->port, "GET", "/v1/queues", "", NULL, 0, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(
        reply.body, "{\"queues\":[{\"name\":\"a\",\"length\":2,\"dead\":1,\"head\":{\"id\":\"" ID
                    "\",\"state\":\"queued\",\"attempts\":4}},{\"name\":\"b\",\"length\":0,"
                    "\"dead\":3,\"head\":null}],\"unqueued\":{\"length\":5,\"dead\":0}}\n");
    wire_reply_done(&reply);
}

/* RFC 7240: a list of preferences with values and parameters; the name's case does not matter, the whole name does. */
static void test_http_queues_prefer(void **state)
{
    static const struct {
        const char *value;
        bool is_async;
    } cases[] = {
        {"respond-async", true},
        {"Respond-Async", true},
        {"wait=5, respond-async", true},
        {" respond-async;foo=bar ,wait=1", true},
        {"return=minimal,respond-async", true},
        {"respond-async=", true},
        {"", false},
        {"wait=5", false},
        {"respond-asynchronously", false},
        {"not-respond-async", false},
        {"wait=respond-async", false},
        {"a;respond-async", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(prefer_is_async(cases[i].value), cases[i].is_async);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_queues_accepted_is_202),
        cmocka_unit_test(test_http_queues_waited_in_vain),
        cmocka_unit_test(test_http_queues_dead_is_told),
        cmocka_unit_test(test_http_queues_dead_is_not_retryable),
        cmocka_unit_test(test_http_queues_request_is_shown),
        cmocka_unit_test(test_http_queues_acts),
        cmocka_unit_test(test_http_queues_list),
        cmocka_unit_test(test_http_queues_prefer),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
