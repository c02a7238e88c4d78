/*
 * test_http_wait.c - GET /v1/transactions/{id}?wait=SECONDS: answered when the transaction has an outcome, or the time is up.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/unit/http_stand_in.h"

static int test_setup(void **state)
{
    struct stand_in *stand_in = alloc_zeroed(sizeof *stand_in);
    const struct http_options options = {.limits = {.waits = 3}};
    stand_in_start(stand_in, &options, stand_in_answer_published, stand_in);
    stand_in_publish(stand_in, &(struct stand_in_change){.sequence = 1, .state = TXN_PREPARING});
    *state = stand_in;
    return 0;
}

static int test_teardown(void **state)
{
    stand_in_stop(*state);
    free(*state);
    return 0;
}

static int wait_begin(const struct stand_in *stand_in, uint64_t sequence, const char *query)
{
    char request[512];
    const int length = snprintf(request, sizeof request,
                                "GET /v1/transactions/%s%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                stand_in_gtrid_text(sequence), query);
    const int fd = wire_connect(stand_in->port);
    wire_send(fd, request, (size_t)length);
    return fd;
}

static void expect_state(int fd, const char *state)
{
    char wanted[64];
    struct wire_reply reply;
    (void)snprintf(wanted, sizeof wanted, "\"state\":\"%s\"", state);
    assert_true(wire_receive(fd, &reply));
    if (reply.status != 200 || strstr(reply.body, wanted) == NULL) {
        fail_msg("wanted %s, got %s", wanted, reply.text);
    }
    wire_reply_done(&reply);
    assert_int_equal(close(fd), 0);
}

static void expect_problem(int fd, int status, const char *slug)
{
    struct wire_reply reply;
    assert_true(wire_receive(fd, &reply));
    assert_problem(&reply, status, slug);
    wire_reply_done(&reply);
    assert_int_equal(close(fd), 0);
}

static void change(struct stand_in *stand_in, uint64_t sequence, enum txn_state state)
{
    stand_in_publish(stand_in, &(struct stand_in_change){.sequence = sequence, .state = state});
}

/* Who waits for what has an outcome is answered at once, with one call. */
static void test_wait_outcome_is_there_answers_at_once(void **state)
{
    static const enum txn_state outcomes[] = {TXN_COMMITTED, TXN_ABORTING, TXN_ABORTED, TXN_DEAD,
                                              TXN_HEURISTIC};
    struct stand_in *stand_in = *state;
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        change(stand_in, 1, outcomes[i]);
        expect_state(wait_begin(stand_in, 1, "?wait=60"), txn_state_text(outcomes[i]));
        assert_int_equal(stand_in->call_count, i + 1);
    }
}

/* A held request is answered by the change that brings an outcome, not by those before it or by another transaction's. */
static void test_wait_held_is_answered_by_the_outcome(void **state)
{
    struct stand_in *stand_in = *state;
    const int fd = wait_begin(stand_in, 1, "?wait=60");
    const int decided_fd = wait_begin(stand_in, 1, "?wait=60&ack=decided");
    stand_in_wait_answered(stand_in, 2);
    change(stand_in, 2, TXN_COMMITTED);
    change(stand_in, 1, TXN_PREPARING);
    assert_int_equal(stand_in->call_count, 2);
    change(stand_in, 1, TXN_COMMITTING);
    expect_state(decided_fd, "committing");
    assert_int_equal(stand_in->call_count, 3);
    change(stand_in, 1, TXN_COMMITTED);
    expect_state(fd, "committed");
    assert_int_equal(stand_in->call_count, 4);
    assert_false(http_wants_changes(stand_in->http));
}

/* An accepted request: neither waiting nor the states of a run that may be repeated end a wait, its being dead does. */
static void test_wait_for_a_request_ends_when_it_is_dead(void **state)
{
    struct stand_in *stand_in = *state;
    static const enum txn_state before[] = {TXN_QUEUED, TXN_ACTIVE, TXN_PREPARING, TXN_QUEUED};
    const int fd = wait_begin(stand_in, 1, "?wait=60");
    const int decided_fd = wait_begin(stand_in, 1, "?wait=60&ack=decided");
    stand_in_wait_answered(stand_in, 2);
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        change(stand_in, 1, before[i]);
    }
    assert_int_equal(stand_in->call_count, 2);
    change(stand_in, 1, TXN_DEAD);
    expect_state(fd, "dead");
    expect_state(decided_fd, "dead");
}

/* Only requests are told of, and a run by name may be waited for all the same: it ends as its request goes on or ends. */
static void test_wait_for_a_run_is_answered_by_its_request(void **state)
{
    static const enum txn_state ends[] = {TXN_COMMITTED, TXN_QUEUED, TXN_DEAD, TXN_HEURISTIC};
    struct stand_in *stand_in = *state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        change(stand_in, 1, TXN_PREPARING);
        const size_t answered_count = stand_in->answered_count;
        const int fd = wait_begin(stand_in, 1, "?wait=60");
        stand_in_wait_answered(stand_in, answered_count + 1);
        struct stand_in_change request = {.sequence = 2, .state = TXN_PREPARING, .run_sequence = 1};
        stand_in_publish(stand_in, &request);
        assert_int_equal(stand_in->call_count, answered_count + 1);
        request.state = ends[i];
        request.run_state = ends[i] == TXN_QUEUED || ends[i] == TXN_DEAD ? TXN_ABORTED : ends[i];
        stand_in_publish(stand_in, &request);
        expect_state(fd, txn_state_text(request.run_state));
    }
}

/* Any number may wait for the same transaction, and for others meanwhile. */
static void test_wait_several_are_all_answered(void **state)
{
    struct stand_in *stand_in = *state;
    int fds[3];
    for (size_t i = 0; i < 3; i++) {
        fds[i] = wait_begin(stand_in, 1 + i / 2, "?wait=60");
    }
    stand_in_wait_answered(stand_in, 3);
    change(stand_in, 1, TXN_ABORTING);
    expect_state(fds[0], "aborting");
    expect_state(fds[1], "aborting");
    change(stand_in, 2, TXN_DEAD);
    expect_state(fds[2], "dead");
}

/* When the time is up the answer is the present state. */
static void test_wait_time_is_up_tells_the_present_state(void **state)
{
    struct stand_in *stand_in = *state;
    const uint64_t begin_ms = clock_monotonic_ms();
    const int fd = wait_begin(stand_in, 1, "?wait=1");
    stand_in_wait_answered(stand_in, 1);
    change(stand_in, 1, TXN_COMMITTING);
    expect_state(fd, "committing");
    const uint64_t took_ms = clock_monotonic_ms() - begin_ms;
    assert_true(took_ms >= 1000 && took_ms < 10000);
    expect_state(wait_begin(stand_in, 1, "?wait=0"), "committing");
    expect_state(wait_begin(stand_in, 1, "?ack=decided"), "committing");
}

/* A connection serves further requests after a wait. */
static void test_wait_connection_goes_on(void **state)
{
    struct stand_in *stand_in = *state;
    struct wire_reply reply;
    const int fd = wait_begin(stand_in, 1, "?wait=60");
    stand_in_wait_answered(stand_in, 1);
    change(stand_in, 1, TXN_COMMITTED);
    assert_true(wire_receive(fd, &reply));
    wire_reply_done(&reply);
    static const char next[] = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    wire_send(fd, next, sizeof next - 1);
    assert_true(wire_receive(fd, &reply));
    assert_int_equal(reply.status, 200);
    wire_reply_done(&reply);
    assert_int_equal(close(fd), 0);
}

/* Of a client that hangs up nothing is left: neither its place nor any interest in changes. */
static void test_wait_client_gone_leaves_nothing(void **state)
{
    struct stand_in *stand_in = *state;
    for (size_t round = 0; round < 5; round++) {
        int fds[3];
        for (size_t i = 0; i < 3; i++) {
            fds[i] = wait_begin(stand_in, 1, "?wait=60");
        }
        stand_in_wait_answered(stand_in, 3 * (round + 1));
        assert_true(http_wants_changes(stand_in->http));
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(shutdown(fds[i], SHUT_WR), 0); /* so much counts as gone, too */
            assert_true(wire_is_closed(fds[i]));
            assert_int_equal(close(fds[i]), 0);
        }
        assert_false(http_wants_changes(stand_in->http));
    }
}

/* Beyond the configured number of waits a request is refused and told the limit; without a wait it is not. */
static void test_wait_beyond_the_limit_is_429(void **state)
{
    struct stand_in *stand_in = *state;
    int fds[3];
    struct wire_reply reply;
    for (size_t i = 0; i < 3; i++) {
        fds[i] = wait_begin(stand_in, 1, "?wait=60");
    }
    stand_in_wait_answered(stand_in, 3);
    const int fd = wait_begin(stand_in, 1, "?wait=60");
    assert_true(wire_receive(fd, &reply));
    assert_problem(&reply, 429, "overload");
    assert_non_null(strstr(reply.body, "\"limit\":\"max_waits\",\"maximum\":3"));
    wire_reply_done(&reply);
    assert_int_equal(close(fd), 0);
    expect_state(wait_begin(stand_in, 1, ""), "preparing");
    change(stand_in, 1, TXN_COMMITTED);
    for (size_t i = 0; i < 3; i++) {
        expect_state(fds[i], "committed");
    }
}

/* Who waits while the server stops is told so, and may ask again. */
static void test_wait_stop_answers_503(void **state)
{
    struct stand_in *stand_in = *state;
    const int fd = wait_begin(stand_in, 1, "?wait=60");
    stand_in_wait_answered(stand_in, 1);
    stand_in_stop_http(stand_in);
    expect_problem(fd, 503, "shutdown");
}

/* What is no number of seconds, too long, or on a path that does not wait, is 400. */
static void test_wait_bad_values_are_400(void **state)
{
    static const char *const queries[] = {"?wait=",        "?wait",         "?wait=61",
                                          "?wait=-1",      "?wait=1.5",     "?wait=1&wait=2",
                                          "?wait=forever", "?wait=1%00",    "?ack=never",
                                          "?state=active", "?wait=00000001"};
    const struct stand_in *stand_in = *state;
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        expect_problem(wait_begin(stand_in, 1, queries[i]), 400, "malformed");
    }
    expect_problem(wait_begin(stand_in, 1, "/events?wait=1"), 400, "malformed");
    assert_int_equal(stand_in->call_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_wait_outcome_is_there_answers_at_once),
        TEST(test_wait_held_is_answered_by_the_outcome),
        TEST(test_wait_for_a_request_ends_when_it_is_dead),
        TEST(test_wait_for_a_run_is_answered_by_its_request),
        TEST(test_wait_several_are_all_answered),
        TEST(test_wait_time_is_up_tells_the_present_state),
        TEST(test_wait_connection_goes_on),
        TEST(test_wait_client_gone_leaves_nothing),
        TEST(test_wait_beyond_the_limit_is_429),
        TEST(test_wait_stop_answers_503),
        TEST(test_wait_bad_values_are_400),
    };
    return cmocka_run_group_tests_name("http_wait", tests, NULL, NULL);
}
