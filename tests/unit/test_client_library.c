/* test_client_library.c - libassent and the client edge together, against a stand-in for the owner
 * thread. */
#include "tests/lib/test.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assent/assent.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/work.h"
#include "coordinator/client_msgpack.h"
#include "tests/lib/process.h"
#include "tests/unit/test_client_sink.h"

static struct assent_client *open_client(const struct sink *sink)
{
    struct assent_client *client = NULL;
    assert_int_equal(assent_client_open(sink_address(sink), &client), ASSENT_OK);
    return client;
}

static struct assent_request *checkout_request(const char *order)
{
    struct assent_request *request = assent_request_new();
    assent_request_add(request, "order", "INSERT INTO orders VALUES ($1, $2)",
                       ASSENT_PARAMS(order, "12.50"), ASSENT_ANY_ROWS);
    assent_request_add(request, "payment", "UPDATE accounts SET balance = balance - $1",
                       ASSENT_PARAMS("12.50"), 1);
    assent_request_add(request, "payment", "SELECT $1::text", ASSENT_PARAMS(NULL), ASSENT_ANY_ROWS);
    return request;
}

static bool answer_commit(void *user, struct api_call *call)
{
    (void)user;
    sink_answer_commit(call);
    return true;
}

/* A committed transaction gives back its id, key, branches and every value, NULL as NULL. */
static void test_client_submit_committed_gives_results(void **state)
{
    (void)state;
    struct sink *sink = sink_new(answer_commit, NULL, NULL, 0);
    struct assent_client *client = open_client(sink);
    struct assent_request *request = checkout_request("o-1");
    assert_int_equal(assent_request_set_key(request, "checkout-1"), ASSENT_OK);

    struct assent_answer *answer = assent_submit(client, request);

    assert_int_equal(assent_answer_outcome(answer), ASSENT_COMMITTED);
    assert_true(assent_answer_completed(answer));
    assert_string_equal(assent_answer_state(answer), "committed");
    assert_string_equal(assent_answer_key(answer), "checkout-1");
    assert_int_equal(strlen(assent_answer_id(answer)), 32 + 1 + 1 + 1 + 16 + 1 + 1);
    assert_int_equal(assent_answer_branch_count(answer), 2);
    assert_string_equal(assent_answer_branch_participant(answer, 1), "payment");
    const struct assent_result *result = assent_answer_result(answer, "payment", 1);
    assert_non_null(result);
    assert_int_equal(assent_result_row_count(result), 1);
    assert_int_equal(assent_result_column_count(result), 3);
    assert_string_equal(assent_result_column_name(result, 0), "sql");
    assert_string_equal(assent_result_column_type(result, 0), "text");
    assert_int_equal(assent_result_column_oid(result, 0), 25);
    assert_string_equal(assent_result_value(result, 0, 0), "SELECT $1::text");
    assert_string_equal(assent_result_value(result, 0, 1), "1");
    assert_null(assent_result_value(result, 0, 2));
    assert_null(assent_result_value(result, 1, 0));
    assert_null(assent_answer_result(answer, "payment", 2));
    assert_null(assent_answer_result(answer, "nobody", 0));

    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

struct seen {
    struct submission copy; /* without branches */
    char participants[4][PARTICIPANT_NAME_SIZE];
    enum isolation isolations[4];
    bool read_only[4];
};

static bool answer_remember(void *user, struct api_call *call)
{
    struct seen *seen = user;
    seen->copy = call->submission;
    for (size_t i = 0; i < call->submission.branch_count && i < 4; i++) {
        memcpy(seen->participants[i], call->submission.branches[i].participant,
               PARTICIPANT_NAME_SIZE);
        seen->isolations[i] = call->submission.branches[i].isolation;
        seen->read_only[i] = call->submission.branches[i].read_only;
    }
    sink_answer_commit(call);
    return true;
}

/* Key, timeout and ack reach the coordinator and stay out of the body hash; content changes it. */
static void test_client_submit_hash_covers_branches_only(void **state)
{
    (void)state;
    struct seen first, second, third;
    struct seen *current = &first;
    struct sink *sink = sink_new(answer_remember, current, NULL, 0);
    struct assent_client *client = open_client(sink);
    struct assent_request *request = checkout_request("o-1");
    assent_request_set_isolation(request, "payment", ASSENT_SERIALIZABLE);
    assent_request_set_read_only(request, "order", true);

    assent_answer_free(assent_submit(client, request));
    memcpy(&second, &first, sizeof second);
    assent_request_set_key(request, "another");
    assent_request_set_timeout_ms(request, 1234);
    assent_request_set_ack(request, ASSENT_ACK_DECIDED);
    assent_answer_free(assent_submit(client, request));
    memcpy(&third, &first, sizeof third);
    assent_request_add(request, "order", "SELECT 1", ASSENT_NO_PARAMS, 0);
    assent_answer_free(assent_submit(client, request));

    assert_int_equal(second.copy.timeout_ms, 5000);
    assert_int_equal(second.copy.key_bytes, 32);
    assert_int_equal(third.copy.timeout_ms, 1234);
    assert_int_equal(third.copy.ack, ACK_MODE_DECIDED);
    assert_string_equal(third.copy.key, "another");
    assert_string_equal(third.participants[0], "order");
    assert_true(third.read_only[0]);
    assert_int_equal(third.isolations[1], ISOLATION_SERIALIZABLE);
    assert_memory_equal(second.copy.body_hash, third.copy.body_hash, BODY_HASH_BYTES);
    assert_memory_not_equal(first.copy.body_hash, third.copy.body_hash, BODY_HASH_BYTES);

    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

static bool answer_abort(void *user, struct api_call *call)
{
    (void)user;
    const struct pg_report report = {.message = (char *)(uintptr_t) "duplicate key",
                                     .constraint = (char *)(uintptr_t) "orders_pkey",
                                     .statement_index = 0};
    struct txn_view *view = alloc_zeroed(sizeof *view);
    view->state = TXN_ABORTED;
    view->failure.reason = REASON_CONSTRAINT;
    memcpy(view->failure.sqlstate, "23505", 6);
    memcpy(view->failed_participant, "order", 6);
    view->failure.report = pg_report_encode(&report);
    call->answer.status = API_ABORTED;
    call->answer.view_count = 1;
    call->answer.views = view;
    return true;
}

static bool answer_row_count(void *user, struct api_call *call)
{
    (void)user;
    const struct pg_report report = {.message = (char *)(uintptr_t) "statement 1 touched 0 rows",
                                     .statement_index = 1};
    struct txn_view *view = alloc_zeroed(sizeof *view);
    view->state = TXN_ABORTED;
    view->failure.reason = REASON_ROW_COUNT;
    memcpy(view->failed_participant, "order", 6);
    view->failure.report = pg_report_encode(&report);
    call->answer.status = API_ABORTED;
    call->answer.view_count = 1;
    call->answer.views = view;
    return true;
}

/* What the agent said is not told as PostgreSQL's word. */
static void test_client_submit_aborted_by_the_agent_claims_nothing_of_postgresql(void **state)
{
    (void)state;
    struct sink *sink = sink_new(answer_row_count, NULL, NULL, 0);
    struct assent_client *client = open_client(sink);
    struct assent_request *request = checkout_request("o-1");

    struct assent_answer *answer = assent_submit(client, request);

    assert_string_equal(assent_answer_reason(answer), "row_count");
    assert_string_equal(assent_answer_text(answer), "statement 1 touched 0 rows");
    assert_string_equal(assent_answer_postgresql(answer, ASSENT_FIELD_MESSAGE), "");
    assert_int_equal(assent_answer_statement(answer), 1);

    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

/* An abort tells reason, participant and what PostgreSQL said. */
static void test_client_submit_aborted_tells_why(void **state)
{
    (void)state;
    struct sink *sink = sink_new(answer_abort, NULL, NULL, 0);
    struct assent_client *client = open_client(sink);
    struct assent_request *request = checkout_request("o-1");

    struct assent_answer *answer = assent_submit(client, request);

    assert_int_equal(assent_answer_outcome(answer), ASSENT_ABORTED);
    assert_string_equal(assent_answer_reason(answer), "constraint");
    assert_false(assent_answer_retryable(answer));
    assert_string_equal(assent_answer_participant(answer), "order");
    assert_string_equal(assent_answer_sqlstate(answer), "23505");
    assert_string_equal(assent_answer_postgresql(answer, ASSENT_FIELD_MESSAGE), "duplicate key");
    assert_string_equal(assent_answer_postgresql(answer, ASSENT_FIELD_CONSTRAINT), "orders_pkey");
    assert_string_equal(assent_answer_postgresql(answer, ASSENT_FIELD_HINT), "");
    assert_int_equal(assent_answer_statement(answer), 0);
    assert_string_equal(assent_answer_text(answer), "duplicate key");

    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

static bool answer_status(void *user, struct api_call *call)
{
    const enum api_status *status = user;
    call->answer.status = *status;
    if (*status == API_REFUSED) {
        call->answer.reason = REASON_OVERLOAD;
        call->answer.retry_after_s = 3;
    }
    return true;
}

/* No status of the coordinator's is ever taken for committed or aborted unless it says so. */
static void test_client_submit_each_status_has_its_outcome(void **state)
{
    (void)state;
    static const struct {
        enum api_status status;
        enum assent_outcome outcome;
        const char *reason;
    } cases[] = {
        {API_OK, ASSENT_UNKNOWN, ""}, /* without a transaction: nothing is claimed */
        {API_ABORTED, ASSENT_ABORTED, ""},
        {API_REFUSED, ASSENT_REFUSED, "overload"},
        {API_OUTCOME_UNKNOWN, ASSENT_UNKNOWN, ""},
        {API_KEY_CONFLICT, ASSENT_REFUSED, "key_conflict"},
        {API_UNKNOWN_PARTICIPANT, ASSENT_REFUSED, "unknown_participant"},
        {API_NOT_FOUND, ASSENT_NOT_FOUND, "not_found"},
        {API_EXPIRED, ASSENT_NOT_FOUND, "expired"},
        {API_CONFLICT, ASSENT_REFUSED, "conflict"},
        {API_LIMIT, ASSENT_REFUSED, "limit"},
        {API_FAILED, ASSENT_UNKNOWN, "failed"},
    };
    enum api_status status = API_OK;
    struct sink *sink = sink_new(answer_status, &status, NULL, 0);
    struct assent_client *client = open_client(sink);
    struct assent_request *request = checkout_request("o-1");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        status = cases[i].status;
        struct assent_answer *answer = assent_submit(client, request);
        assert_int_equal(assent_answer_outcome(answer), cases[i].outcome);
        assert_string_equal(assent_answer_reason(answer), cases[i].reason);
        if (status == API_KEY_CONFLICT) { /* the coordinator says no more: better than "refused" */
            assert_string_equal(assent_answer_text(answer), "key_conflict");
        }
        if (status == API_REFUSED) {
            assert_true(assent_answer_retryable(answer));
            assert_int_equal(assent_answer_retry_after_ms(answer), 3000);
        }
        assent_answer_free(answer);
    }
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

/* Without a coordinator a request is unavailable (never unknown) once the connect timeout is over.
 */
static void test_client_submit_nobody_listens_is_unavailable(void **state)
{
    (void)state;
    uint16_t port = 0;
    struct error error;
    assert_success(process_free_port(&port, &error), &error);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    struct assent_client *client = NULL;
    assert_int_equal(assent_client_open(address, &client), ASSENT_OK);
    assert_int_equal(assent_client_set_connect_timeout_ms(client, 100), ASSENT_OK);
    struct assent_request *request = checkout_request("o-1");

    struct assent_answer *answer = assent_submit(client, request);

    assert_int_equal(assent_answer_outcome(answer), ASSENT_UNAVAILABLE);
    assert_true(assent_answer_retryable(answer));
    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
}

static bool answer_never(void *user, struct api_call *call)
{
    (void)call;
    const int *report_fd = user;
    if (report_fd != NULL) {
        assert_int_equal(write(*report_fd, "c", 1), 1);
    }
    return false;
}

/* A coordinator in a process of its own, which can be killed. One byte on the pipe per call. */
static pid_t start_mute_coordinator(uint16_t port, int *ret_report_fd)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sink_new(answer_never, &ends[1], NULL, port);
        assert_int_equal(write(ends[1], "r", 1), 1);
        for (;;) {
            pause();
        }
    }
    close(ends[1]);
    char ready = 0;
    assert_int_equal(read(ends[0], &ready, 1), 1);
    *ret_report_fd = ends[0];
    return pid;
}

static void keep_answer(void *user, struct assent_answer *answer)
{
    struct assent_answer **slot = user;
    assert_null(*slot);
    *slot = answer;
}

/* A coordinator that dies with a request in hand leaves it unknown, and the request does not run
 * again by itself when the coordinator is back; the process gets no SIGPIPE. Runs first: it forks
 * before nng has threads. */
static void test_client_submit_coordinator_dies_is_unknown_and_runs_once(void **state)
{
    (void)state;
    uint16_t port = 0;
    struct error error;
    assert_success(process_free_port(&port, &error), &error);
    int first_fd = -1;
    int second_fd = -1;
    const pid_t first = start_mute_coordinator(port, &first_fd);
    /* The second one waits behind a pipe until the first is dead, so that both forks precede our
     * nng threads. */
    int gate[2];
    int report[2];
    assert_int_equal(pipe(gate), 0);
    assert_int_equal(pipe(report), 0);
    const pid_t second = fork();
    if (second == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char go = 0;
        assert_int_equal(read(gate[0], &go, 1), 1);
        sink_new(answer_never, &report[1], NULL, port);
        assert_int_equal(write(report[1], "r", 1), 1);
        for (;;) {
            pause();
        }
    }
    second_fd = report[0];
    signal(SIGPIPE, SIG_DFL);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    struct assent_client *client = NULL;
    assert_int_equal(assent_client_open(address, &client), ASSENT_OK);
    struct assent_request *request = checkout_request("o-1");
    struct assent_answer *lost = NULL;
    struct assent_answer *again = NULL;
    char byte = 0;

    assert_int_equal(assent_submit_async(client, request, keep_answer, &lost), ASSENT_OK);
    assert_int_equal(read(first_fd, &byte, 1), 1); /* it has arrived */
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    assert_int_equal(assent_client_wait(client, 5000), 1);
    assert_int_equal(assent_answer_outcome(lost), ASSENT_UNKNOWN);

    assert_int_equal(write(gate[1], "g", 1), 1);
    assert_int_equal(read(second_fd, &byte, 1), 1);
    assert_int_equal(byte, 'r');
    /* The next request arrives over the new connection, and it is the only one there. */
    assert_int_equal(assent_submit_async(client, request, keep_answer, &again), ASSENT_OK);
    assert_int_equal(read(second_fd, &byte, 1), 1);
    struct pollfd more = {.fd = second_fd, .events = POLLIN};
    assert_int_equal(poll(&more, 1, 200), 0);

    assent_client_close(client); /* gives the second one up */
    assert_non_null(again);
    assert_int_equal(assent_answer_outcome(again), ASSENT_UNKNOWN);
    kill(second, SIGKILL);
    waitpid(second, NULL, 0);
    assent_answer_free(lost);
    assent_answer_free(again);
    assent_request_free(request);
}

struct tally {
    pthread_t thread;
    size_t committed;
};

static void count_answer(void *user, struct assent_answer *answer)
{
    struct tally *tally = user;
    assert_true(pthread_equal(tally->thread, pthread_self()));
    assert_int_equal(assent_answer_outcome(answer), ASSENT_COMMITTED);
    tally->committed++;
    assent_answer_free(answer);
}

static bool answer_hold(void *user, struct api_call *call)
{
    (void)user;
    (void)call;
    return false;
}

/* Hundreds in flight on one connection, answered in reverse: each callback runs once, here, and
 * only in dispatch. */
static void test_client_async_many_in_flight_all_are_called_once(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct sink *sink = sink_new(answer_hold, NULL, NULL, 0);
    struct assent_client *client = open_client(sink);
    struct tally tally = {.thread = pthread_self()};
    for (int i = 0; i < COUNT; i++) {
        struct assent_request *request = checkout_request("o-1");
        assert_int_equal(assent_submit_async(client, request, count_answer, &tally), ASSENT_OK);
        assent_request_free(request);
    }
    sink_wait_calls(sink, COUNT);
    assert_int_equal(assent_client_in_flight(client), COUNT);
    assert_int_equal(assent_client_dispatch(client), 0);

    assert_int_equal(sink_release(sink), COUNT);
    struct pollfd ready = {.fd = assent_client_fd(client), .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 5000), 1);
    assert_int_equal(tally.committed, 0);
    while (assent_client_in_flight(client) > 0) {
        assert_true(assent_client_wait(client, 5000) > 0);
    }

    assert_int_equal(tally.committed, COUNT);
    assert_int_equal(assent_client_wait(client, -1), 0);
    assent_client_close(client);
    sink_free(sink);
}

/* Beyond the bound a submission is refused at once, and nothing is lost. */
static void test_client_async_too_many_is_busy(void **state)
{
    (void)state;
    struct sink *sink = sink_new(answer_hold, NULL, NULL, 0);
    struct assent_client *client = open_client(sink);
    struct tally tally = {.thread = pthread_self()};
    struct assent_request *request = checkout_request("o-1");
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(assent_submit_async(client, request, count_answer, &tally), ASSENT_OK);
    }
    assert_int_equal(assent_submit_async(client, request, count_answer, &tally), ASSENT_E_BUSY);
    sink_wait_calls(sink, 1000);
    sink_release(sink);
    while (assent_client_in_flight(client) > 0) {
        assert_true(assent_client_wait(client, 5000) > 0);
    }
    assert_int_equal(tally.committed, 1000);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

/* Submissions never take the last contexts: questions are answered while all of them hang. */
static void test_client_edge_full_refuses_submissions_and_answers_questions(void **state)
{
    (void)state;
    const struct client_edge_options options = {.contexts = 16};
    struct sink *sink = sink_new(answer_hold, NULL, &options, 0);
    struct assent_client *client = open_client(sink);
    struct assent_answer *kept[8] = {NULL};
    struct assent_request *request = checkout_request("o-1");
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(assent_submit_async(client, request, keep_answer, &kept[i]), ASSENT_OK);
    }
    sink_wait_calls(sink, 8);

    struct assent_answer *refused = assent_submit(client, request);
    assert_int_equal(assent_answer_outcome(refused), ASSENT_REFUSED);
    assert_string_equal(assent_answer_reason(refused), "overload");
    assert_true(assent_answer_retryable(refused));
    assert_int_equal(sink_call_count(sink), 8);

    sink_release(sink);
    while (assent_client_in_flight(client) > 0) {
        assert_true(assent_client_wait(client, 5000) > 0);
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(assent_answer_outcome(kept[i]), ASSENT_COMMITTED);
        assent_answer_free(kept[i]);
    }
    assent_answer_free(refused);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

/* A draining coordinator refuses work and still tells what became of the old. */
static void test_client_edge_drain_refuses_submissions_only(void **state)
{
    (void)state;
    enum api_status status = API_NOT_FOUND;
    struct sink *sink = sink_new(answer_status, &status, NULL, 0);
    struct assent_client *client = open_client(sink);
    struct assent_request *request = checkout_request("o-1");
    client_edge_drain(sink_edge(sink));

    struct assent_answer *refused = assent_submit(client, request);
    struct assent_answer *told = assent_status_by_key(client, "checkout-1");

    assert_int_equal(assent_answer_outcome(refused), ASSENT_REFUSED);
    assert_string_equal(assent_answer_reason(refused), "shutdown");
    assert_int_equal(assent_answer_outcome(told), ASSENT_NOT_FOUND);
    assert_int_equal(sink_call_count(sink), 1);
    assent_answer_free(refused);
    assent_answer_free(told);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

/* What is beyond a limit is refused with the limit's name, here or there, and costs no other
 * request its answer. */
static void test_client_submit_too_large_is_refused(void **state)
{
    (void)state;
    const struct client_edge_options options = {.branches = 2, .statements = 3};
    struct sink *sink = sink_new(answer_commit, NULL, &options, 0);
    struct assent_client *client = open_client(sink);
    static const struct {
        size_t text_bytes;
        int extra_statements;
        int extra_branches;
        uint32_t timeout_ms;
        const char *text;
    } cases[] = {
        {2u << 20, 0, 0, 1000, "limit max_body"}, {5u << 20, 0, 0, 1000, "4 MiB"},
        {1, 1, 0, 1000, "limit max_statements"},  {1, 0, 1, 1000, "limit max_branches"},
        {1, 0, 0, 60001, "limit timeout_max)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct assent_request *request = checkout_request("o-1");
        char *text = alloc_zeroed(cases[i].text_bytes + 1);
        memset(text, 'x', cases[i].text_bytes);
        if (cases[i].text_bytes > 1) {
            request = (assent_request_free(request), assent_request_new());
            assent_request_add(request, "order", "SELECT $1", ASSENT_PARAMS(text), -1);
        }
        if (cases[i].extra_statements > 0) {
            assent_request_add(request, "order", "SELECT 1", ASSENT_NO_PARAMS, -1);
        }
        if (cases[i].extra_branches > 0) {
            assent_request_add(request, "third", "SELECT 1", ASSENT_NO_PARAMS, -1);
        }
        assent_request_set_timeout_ms(request, cases[i].timeout_ms);
        struct assent_answer *answer = assent_submit(client, request);
        assert_int_equal(assent_answer_outcome(answer), ASSENT_REFUSED);
        assert_string_equal(assent_answer_reason(answer), "limit");
        assert_non_null(strstr(assent_answer_text(answer), cases[i].text));
        assent_answer_free(answer);
        assent_request_free(request);
        free(text);
    }
    assert_int_equal(sink_call_count(sink), 0);
    assent_client_close(client);
    sink_free(sink);
}

struct seen_operation {
    size_t count;
    struct statement statement; /* owned */
};

static bool keep_operation(void *user, struct api_call *call)
{
    struct seen_operation *seen = user;
    struct work work;
    struct error error = {0};
    assert_success(work_decode(call->submission.branches[0].work, &work, &error), &error);
    seen->count = work.statement_count;
    seen->statement = work.statements[0];
    free(work.statements);
    sink_answer_commit(call);
    return true;
}

/* An operation arrives with its arguments in the order of their names, whatever order they were given in. */
static void test_client_operation_arrives_in_place_of_sql(void **state)
{
    (void)state;
    struct seen_operation seen = {0};
    struct sink *sink = sink_new(keep_operation, &seen, NULL, 0);
    struct assent_client *client = open_client(sink);
    struct assent_request *request = assent_request_new();
    assert_int_equal(assent_request_add_operation(
                         request, "payment", "debit",
                         ASSENT_PARAMS("amount", "12.50", "account", "c-7", "b", NULL), 1),
                     ASSENT_OK);
    struct assent_answer *answer = assent_submit(client, request);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_COMMITTED);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.statement.operation, "debit");
    assert_null(seen.statement.sql);
    assert_int_equal(seen.statement.param_count, 3);
    assert_string_equal(seen.statement.arg_names[0], "account");
    assert_string_equal(seen.statement.params[0], "c-7");
    assert_string_equal(seen.statement.arg_names[1], "amount");
    assert_string_equal(seen.statement.params[1], "12.50");
    assert_null(seen.statement.params[2]);
    assert_int_equal(seen.statement.expect_rows, 1);
    struct work work = {.statement_count = 1, .statements = alloc_array(1, sizeof seen.statement)};
    work.statements[0] = seen.statement;
    work_done(&work);
    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

/* Arguments that cannot be ones are refused where they are given. */
static void test_client_operation_bad_arguments_are_refused(void **state)
{
    (void)state;
    const char *many[2 * 65];
    char names[65][8];
    for (size_t i = 0; i < 65; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%zu", i);
        many[2 * i] = names[i];
        many[2 * i + 1] = "1";
    }
    const struct {
        const char *operation;
        size_t count;
        const char *const *args;
        int result;
    } cases[] = {
        {NULL, ASSENT_NO_PARAMS, ASSENT_E_ARGUMENT},
        {"", ASSENT_NO_PARAMS, ASSENT_E_ARGUMENT},
        {"\xff", ASSENT_NO_PARAMS, ASSENT_E_ARGUMENT},
        {"o", ASSENT_PARAMS("a"), ASSENT_E_ARGUMENT},
        {"o", ASSENT_PARAMS(NULL, "1"), ASSENT_E_ARGUMENT},
        {"o", ASSENT_PARAMS("", "1"), ASSENT_E_ARGUMENT},
        {"o", ASSENT_PARAMS("a", "\xff"), ASSENT_E_ARGUMENT},
        {"o", ASSENT_PARAMS("a", "1", "a", "2"), ASSENT_E_ARGUMENT},
        {"o", 2, NULL, ASSENT_E_ARGUMENT},
        {"o", 2 * 65, many, ASSENT_E_LIMIT},
        {"o", 2 * 64, many, ASSENT_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct assent_request *request = assent_request_new();
        assert_int_equal(assent_request_add_operation(request, "order", cases[i].operation,
                                                      cases[i].count, cases[i].args,
                                                      ASSENT_ANY_ROWS),
                         cases[i].result);
        assent_request_free(request);
    }
}

/* The builder's first error sticks and nothing is sent. */
static void test_client_request_bad_argument_sticks(void **state)
{
    (void)state;
    struct sink *sink = sink_new(answer_commit, NULL, NULL, 0);
    struct assent_client *client = open_client(sink);
    struct assent_request *request = checkout_request("o-1");
    assert_int_equal(assent_request_add(request, "Order!", "SELECT 1", ASSENT_NO_PARAMS, -1),
                     ASSENT_E_ARGUMENT);
    assert_int_equal(assent_request_add(request, "order", "SELECT $1", ASSENT_PARAMS("\xff"), -1),
                     ASSENT_E_ARGUMENT);

    assert_int_equal(assent_request_add(request, "order", " /* none */ ;", ASSENT_NO_PARAMS, -1),
                     ASSENT_E_ARGUMENT);

    struct assent_answer *answer = assent_submit(client, request);

    assert_int_equal(assent_answer_outcome(answer), ASSENT_REFUSED);
    assert_non_null(strstr(assent_answer_text(answer), "Order!"));
    assert_int_equal(sink_call_count(sink), 0);
    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

/* Addresses that can never work are refused at once. */
static void test_client_open_bad_address_is_an_argument_error(void **state)
{
    (void)state;
    static const char *const addresses[] = {"",       "localhost",   ":7401",
                                            "tcp://", "http://x:1/", "a:"};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct assent_client *client = NULL;
        assert_int_equal(assent_client_open(addresses[i], &client), ASSENT_E_ARGUMENT);
        assert_null(client);
    }
}

static bool answer_lists(void *user, struct api_call *call)
{
    (void)user;
    if (call->operation == API_PARTICIPANTS) {
        call->answer.participants = alloc_array(2, sizeof *call->answer.participants);
        call->answer.participant_count = 2;
        memcpy(call->answer.participants[0].name, "order", 6);
        memcpy(call->answer.participants[0].address, "127.0.0.1:7410", 15);
        call->answer.participants[0].ready = true;
        memcpy(call->answer.participants[1].name, "payment", 8);
        memcpy(call->answer.participants[1].text, "database down", 14);
        return true;
    }
    assert_int_equal(call->operation, API_LIST);
    assert_true(call->list.in_doubt);
    assert_int_equal(call->list.limit, 2);
    assert_string_equal(call->list.participant, "payment");
    call->answer.views = alloc_array(2, sizeof *call->answer.views);
    call->answer.view_count = 2;
    call->answer.has_next = true;
    for (size_t i = 0; i < 2; i++) {
        call->answer.views[i].state = TXN_COMMITTING;
        call->answer.views[i].gtrid.sequence = 9 - i;
    }
    return true;
}

/* Lists carry their filter to the coordinator and come back in order, with a cursor. */
static void test_client_lists_carry_filter_and_cursor(void **state)
{
    (void)state;
    struct sink *sink = sink_new(answer_lists, NULL, NULL, 0);
    struct assent_client *client = open_client(sink);
    const struct assent_filter filter = {.state = "in-doubt", .participant = "payment", .limit = 2};

    struct assent_list *list = assent_list_transactions(client, &filter);
    struct assent_participants *participants = assent_participants_get(client);

    assert_string_equal(assent_list_error(list), "");
    assert_int_equal(assent_list_count(list), 2);
    assert_string_equal(assent_answer_state(assent_list_at(list, 1)), "committing");
    assert_string_equal(assent_list_next(list), assent_answer_id(assent_list_at(list, 1)));
    assert_null(assent_list_at(list, 2));
    assert_int_equal(assent_participants_count(participants), 2);
    assert_true(assent_participants_ready(participants, 0));
    assert_string_equal(assent_participants_text(participants, 1), "database down");
    assent_list_free(list);
    assent_participants_free(participants);
    assent_client_close(client);
    sink_free(sink);
}

/* A client that is closed leaves its connection for the next one; neither hangs, hundreds of times
 * over. */
static void test_client_close_and_open_again_never_hangs(void **state)
{
    (void)state;
    struct sink *sink = sink_new(answer_commit, NULL, NULL, 0);
    for (int i = 0; i < 300; i++) {
        struct assent_client *client = open_client(sink);
        struct assent_request *request = checkout_request("o-1");
        struct assent_answer *answer = assent_submit(client, request);
        assert_int_equal(assent_answer_outcome(answer), ASSENT_COMMITTED);
        assent_answer_free(answer);
        struct assent_answer *late = NULL;
        assert_int_equal(assent_submit_async(client, request, keep_answer, &late), ASSENT_OK);
        assent_client_close(client);
        assert_non_null(late);
        assent_answer_free(late);
        assent_request_free(request);
    }
    sink_free(sink);
}

/* A peer of another making: garbage and other versions get an answer that says so, not a crash, not
 * silence. */
static void test_client_edge_strange_frames_are_answered(void **state)
{
    (void)state;
    struct sink *sink = sink_new(answer_commit, NULL, NULL, 0);
    static const struct {
        const char *frame;
        size_t size_bytes;
        const char *status;
    } cases[] = {
        {"", 0, "malformed"},
        {"\xc1", 1, "malformed"},
        {"\xdf\xff\xff\xff\xff", 5, "malformed"},
        {"\x82\xa1v\x02\xa2op\xa6submit", 14, "unsupported"},
        {"\x82\xa1v\x01\xa2op\xa6"
         "dance!",
         14, "unsupported"},
        {"\x82\xa1v\x01\xa2op\xa6submit", 14, "malformed"},
        {"\x82\xa1v\x01\xa2op\xacparticipantsX", 21, "malformed"},
    };
    char url[64];
    snprintf(url, sizeof url, "tcp://%s", sink_address(sink));
    nng_socket socket;
    assert_int_equal(nng_req0_open(&socket), 0);
    assert_int_equal(nng_dial(socket, url, NULL, 0), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nng_msg *message = NULL;
        assert_int_equal(nng_msg_alloc(&message, 0), 0);
        nng_msg_append(message, cases[i].frame, cases[i].size_bytes);
        assert_int_equal(nng_sendmsg(socket, message, 0), 0);
        assert_int_equal(nng_recvmsg(socket, &message, 0), 0);
        struct unpack in;
        uint32_t members = 0;
        struct unpack_text text;
        int64_t version = 0;
        unpack_init(&in, nng_msg_body(message), nng_msg_len(message));
        assert_true(unpack_map(&in, &members) && unpack_text(&in, &text) &&
                    unpack_int(&in, &version) && unpack_text(&in, &text) &&
                    unpack_text(&in, &text));
        assert_true(unpack_text_is(&text, cases[i].status));
        nng_msg_free(message);
    }
    assert_int_equal(sink_call_count(sink), 0);
    nng_close(socket);
    sink_free(sink);
}

/* True if the connection carries a question and its answer. */
static bool connection_works(nng_socket socket)
{
    static const char question[] = "\x82\xa1v\x01\xa2op\xacparticipants";
    nng_msg *message = NULL;
    assert_int_equal(nng_msg_alloc(&message, 0), 0);
    nng_msg_append(message, question, sizeof question - 1);
    if (nng_sendmsg(socket, message, 0) != 0) {
        nng_msg_free(message);
        return false;
    }
    if (nng_recvmsg(socket, &message, 0) != 0) {
        return false;
    }
    nng_msg_free(message);
    return true;
}

static nng_socket raw_connection(const struct sink *sink)
{
    char url[64];
    nng_socket socket;
    snprintf(url, sizeof url, "tcp://%s", sink_address(sink));
    assert_int_equal(nng_req0_open(&socket), 0);
    nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, 0);
    nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, 300);
    nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, 3000);
    nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, 60000); /* one attempt */
    assert_int_equal(nng_dial(socket, url, NULL, NNG_FLAG_NONBLOCK), 0);
    return socket;
}

/* Connections beyond the limit are refused, and refused or closed ones do not count for ever. */
static void test_client_edge_connections_are_bounded(void **state)
{
    (void)state;
    const struct client_edge_options options = {.connections = 2};
    enum api_status status = API_OK;
    struct sink *sink = sink_new(answer_status, &status, &options, 0);
    for (int round = 0; round < 3; round++) {
        nng_socket first = raw_connection(sink);
        nng_socket second = raw_connection(sink);
        assert_true(connection_works(first));
        assert_true(connection_works(second));
        nng_socket third = raw_connection(sink);
        assert_false(connection_works(third));
        nng_close(third);
        nng_close(second);
        nng_close(first);
        const uint64_t until_ms = clock_monotonic_ms() + 5000;
        while (client_edge_connections(sink_edge(sink)) > 0 && clock_monotonic_ms() < until_ms) {
            nng_msleep(5);
        }
        assert_int_equal(client_edge_connections(sink_edge(sink)), 0);
    }
    sink_free(sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_submit_coordinator_dies_is_unknown_and_runs_once),
        cmocka_unit_test(test_client_submit_committed_gives_results),
        cmocka_unit_test(test_client_submit_hash_covers_branches_only),
        cmocka_unit_test(test_client_submit_aborted_by_the_agent_claims_nothing_of_postgresql),
        cmocka_unit_test(test_client_submit_aborted_tells_why),
        cmocka_unit_test(test_client_submit_each_status_has_its_outcome),
        cmocka_unit_test(test_client_submit_nobody_listens_is_unavailable),
        cmocka_unit_test(test_client_async_many_in_flight_all_are_called_once),
        cmocka_unit_test(test_client_async_too_many_is_busy),
        cmocka_unit_test(test_client_edge_full_refuses_submissions_and_answers_questions),
        cmocka_unit_test(test_client_edge_drain_refuses_submissions_only),
        cmocka_unit_test(test_client_submit_too_large_is_refused),
        cmocka_unit_test(test_client_operation_arrives_in_place_of_sql),
        cmocka_unit_test(test_client_operation_bad_arguments_are_refused),
        cmocka_unit_test(test_client_request_bad_argument_sticks),
        cmocka_unit_test(test_client_open_bad_address_is_an_argument_error),
        cmocka_unit_test(test_client_lists_carry_filter_and_cursor),
        cmocka_unit_test(test_client_close_and_open_again_never_hangs),
        cmocka_unit_test(test_client_edge_strange_frames_are_answered),
        cmocka_unit_test(test_client_edge_connections_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
