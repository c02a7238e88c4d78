/*
 * test_http_wire.c - connections: bodies in pieces, limits, clients that dawdle or vanish, stopping at any time.
 */
#include "tests/lib/test.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/http_stand_in.h"

#define GOOD "{\"branches\":[{\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT 1\"}]}]}"
#define HEAD                                                                                       \
    "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

static int test_setup(void **state)
{
    struct stand_in *stand_in = alloc_zeroed(sizeof *stand_in);
    stand_in_start(stand_in, NULL, stand_in_answer_committed, NULL);
    *state = stand_in;
    return 0;
}

static int test_teardown(void **state)
{
    stand_in_stop(*state);
    free(*state);
    return 0;
}

static void send_text(int fd, const char *text)
{
    wire_send(fd, text, strlen(text));
}

static void expect_status(int fd, int status)
{
    struct wire_reply reply;
    assert_true(wire_receive(fd, &reply));
    if (reply.status != status) {
        fail_msg("wanted %d, got %s", status, reply.text);
    }
    wire_reply_done(&reply);
}

/* A chunked body is the same body. */
static void test_chunked_body_is_accepted(void **state)
{
    const struct stand_in *stand_in = *state;
    const int fd = wire_connect(stand_in->port);
    send_text(fd, HEAD "Transfer-Encoding: chunked\r\n\r\n");
    static const char body[] = GOOD;
    for (size_t i = 0; i < sizeof body - 1; i += 7) {
        const size_t left = sizeof body - 1 - i;
        const size_t size = left < 7 ? left : 7;
        char chunk[64];
        (void)snprintf(chunk, sizeof chunk, "%zx\r\n%.*s\r\n", size, (int)size, body + i);
        send_text(fd, chunk);
    }
    send_text(fd, "0\r\n\r\n");
    expect_status(fd, 200);
    assert_int_equal(stand_in->submission.branch_count, 1);
    assert_int_equal(close(fd), 0);
}

/* A chunked body beyond the limit is a 413 that names the limit, and the connection stays usable. */
static void test_chunked_body_beyond_the_limit_is_413(void **state)
{
    const struct stand_in *stand_in = *state;
    const int fd = wire_connect(stand_in->port);
    send_text(fd, HEAD "Transfer-Encoding: chunked\r\n\r\n");
    char *chunk = alloc_zeroed(65536 + 16);
    size_t used = (size_t)sprintf(chunk, "10000\r\n");
    memset(chunk + used, ' ', 65536);
    used += 65536;
    memcpy(chunk + used, "\r\n", 2);
    for (int i = 0; i < 160; i++) { /* 10 MiB */
        wire_send(fd, chunk, used + 2);
    }
    free(chunk);
    send_text(fd, "0\r\n\r\n");
    struct wire_reply reply;
    assert_true(wire_receive(fd, &reply));
    assert_problem(&reply, 413, "body_too_large");
    assert_non_null(strstr(reply.body, "\"limit\":\"max_body\",\"maximum\":1048576"));
    wire_reply_done(&reply);
    send_text(fd, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_status(fd, 200);
    assert_int_equal(close(fd), 0);
}

/* A body exactly at the limit is read; one byte more is refused, and the client gets to see why. */
static void test_body_limit_is_exact(void **state)
{
    const struct stand_in *stand_in = *state;
    for (size_t extra = 0; extra < 2; extra++) {
        const size_t size_bytes = 1048576 + extra;
        char *body = alloc_zeroed(size_bytes + 1);
        memset(body, ' ', size_bytes);
        memcpy(body, GOOD, sizeof GOOD - 1);
        struct wire_reply reply;
        wire_post(stand_in->port, "/v1/transactions", "", body, &reply);
        assert_int_equal(reply.status, extra == 0 ? 200 : 413);
        wire_reply_done(&reply);
        free(body);
    }
}

/* A 10 MB body that was announced is refused with an answer, not with a reset. */
static void test_large_body_is_413(void **state)
{
    const struct stand_in *stand_in = *state;
    const size_t size_bytes = 10 * 1000 * 1000;
    char *body = alloc_zeroed(size_bytes + 1);
    memset(body, ' ', size_bytes);
    struct wire_reply reply;
    wire_post(stand_in->port, "/v1/transactions", "", body, &reply);
    assert_problem(&reply, 413, "body_too_large");
    wire_reply_done(&reply);
    free(body);
}

/* A client that asks first is told to go on for a good request and gets the refusal at once for a bad one. */
static void test_expect_continue_is_answered_before_the_body(void **state)
{
    const struct stand_in *stand_in = *state;
    int fd = wire_connect(stand_in->port);
    char head[512];
    (void)snprintf(head, sizeof head, HEAD "Expect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
                   sizeof GOOD - 1);
    send_text(fd, head);
    char interim[26] = "";
    assert_int_equal(recv(fd, interim, 25, MSG_WAITALL), 25);
    assert_string_equal(interim, "HTTP/1.1 100 Continue\r\n\r\n");
    send_text(fd, GOOD);
    expect_status(fd, 200);
    assert_int_equal(close(fd), 0);
    fd = wire_connect(stand_in->port);
    send_text(fd, HEAD "Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
    expect_status(fd, 413);
    assert_true(wire_is_closed(fd));
    assert_int_equal(close(fd), 0);
}

/* Several requests in one packet are answered in order, also when one in the middle is bad. */
static void test_pipelined_requests_are_answered_in_order(void **state)
{
    const struct stand_in *stand_in = *state;
    char all[2048];
    (void)snprintf(all, sizeof all,
                   HEAD "Content-Length: %zu\r\n\r\n%s" HEAD "Content-Length: 2\r\n\r\n{]"
                        "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
                        "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
                   sizeof GOOD - 1, GOOD);
    const int fd = wire_connect(stand_in->port);
    send_text(fd, all);
    expect_status(fd, 200);
    expect_status(fd, 400);
    expect_status(fd, 200);
    expect_status(fd, 404);
    assert_int_equal(close(fd), 0);
}

/* A refused request with a body leaves the connection usable for the next one. */
static void test_refused_body_is_discarded_and_the_connection_kept(void **state)
{
    const struct stand_in *stand_in = *state;
    const int fd = wire_connect(stand_in->port);
    send_text(fd, "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
    expect_status(fd, 404);
    send_text(fd, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect_status(fd, 200);
    assert_int_equal(close(fd), 0);
}

/* A request that two readers could understand differently is refused. */
static void test_ambiguous_length_is_refused(void **state)
{
    const struct stand_in *stand_in = *state;
    int fd = wire_connect(stand_in->port);
    send_text(fd, HEAD "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    expect_status(fd, 400);
    assert_int_equal(close(fd), 0);
    fd = wire_connect(stand_in->port);
    send_text(fd, HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
    expect_status(fd, 400);
    assert_int_equal(close(fd), 0);
    assert_int_equal(stand_in->call_count, 0);
}

/* HEAD answers like GET without a body. */
static void test_head_has_no_body(void **state)
{
    const struct stand_in *stand_in = *state;
    const int fd = wire_connect(stand_in->port);
    send_text(fd, "HEAD /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    char text[2048] = "";
    size_t used = 0;
    ssize_t got = 0;
    while ((got = recv(fd, text + used, sizeof text - 1 - used, 0)) > 0) {
        used += (size_t)got;
    }
    assert_non_null(strstr(text, "HTTP/1.1 200"));
    assert_string_equal(text + used - 4, "\r\n\r\n");
    assert_int_equal(close(fd), 0);
}

/* Names of this machine, configured names and HTTP/1.0 without a name are served. */
static void test_host_names_that_are_served(void **state)
{
    (void)state;
    static const char *const names[] = {"assent.example", "assent", NULL};
    const struct http_options options = {.host_names = names};
    struct stand_in stand_in;
    stand_in_start(&stand_in, &options, stand_in_answer_committed, NULL);
    static const char *const hosts[] = {"localhost", "LOCALHOST:1",   "127.0.0.1:7400",
                                        "127.8.9.1", "[::1]:7400",    "[::1]",
                                        "assent:80", "Assent.Example"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        char header[128];
        (void)snprintf(header, sizeof header, "Host: %s\r\n", hosts[i]);
        struct wire_reply reply;
        wire_request(stand_in.port, "GET", "/livez", header, NULL, 0, &reply);
        if (reply.status != 200) {
            fail_msg("%s: %d", hosts[i], reply.status);
        }
        wire_reply_done(&reply);
    }
    const int fd = wire_connect(stand_in.port);
    send_text(fd, "GET /livez HTTP/1.0\r\n\r\n");
    char text[16] = "";
    assert_int_equal(recv(fd, text, 12, MSG_WAITALL), 12);
    assert_string_equal(text + 9, "200");
    assert_int_equal(close(fd), 0);
    stand_in_stop(&stand_in);
}

/* Only loopback addresses are listened on, and a taken port says so; each with a remedy. */
static void test_listen_refuses_with_a_clear_error(void **state)
{
    const struct stand_in *stand_in = *state;
    char taken[32];
    (void)snprintf(taken, sizeof taken, "127.0.0.1:%u", stand_in->port);
    const struct {
        const char *listen;
        const char *said;
    } cases[] = {
        {"0.0.0.0:7400", "only loopback"},
        {"[::]:7400", "only loopback"},
        {"192.168.1.1:80", "only loopback"},
        {"example.com:80", "only loopback"},
        {"127.0.0.1", "not an address with a port"},
        {"", "not an address with a port"},
        {"127.0.0.1:70000", "not an address with a port"},
        {"127.0.0.1:x", "not an address with a port"},
        {taken, "Address already in use"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_options options = {.listen = cases[i].listen};
        struct http *http = NULL;
        struct error error = {0};
        assert_false(http_start(&options, &http, &error));
        if (strstr(error.text, cases[i].said) == NULL) {
            fail_msg("%s: %s", cases[i].listen, error.text);
        }
        assert_true(error.hint[0] != '\0');
        assert_null(http);
    }
}

/* IPv6's loopback works like IPv4's. */
static void test_listen_on_ipv6_loopback(void **state)
{
    (void)state;
    const struct http_options options = {.listen = "[::1]:0"};
    struct http *http = NULL;
    struct error error = {0};
    if (!http_start(&options, &http, &error)) {
        if (strstr(error.text, "Cannot assign") != NULL ||
            strstr(error.text, "not supported") != NULL) {
            skip(); /* no IPv6 here */
        }
        fail_msg("%s", error.text);
    }
    assert_true(http_port(http) != 0);
    http_stop(http);
}

/* A client that goes away while its transaction runs changes nothing: the call is answered and nothing leaks. */
static void test_client_gone_while_waiting_is_harmless(void **state)
{
    struct stand_in *stand_in = *state;
    enum { CLIENTS = 20 };
    int fds[CLIENTS];
    stand_in_hold(stand_in, true);
    char request[512];
    (void)snprintf(request, sizeof request, HEAD "Content-Length: %zu\r\n\r\n%s", sizeof GOOD - 1,
                   GOOD);
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = wire_connect(stand_in->port);
        send_text(fds[i], request);
    }
    stand_in_wait_held(stand_in, CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        const struct linger reset = {.l_onoff = i % 2, .l_linger = 0}; /* FIN and RST in turn */
        assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        assert_int_equal(close(fds[i]), 0);
    }
    stand_in_hold(stand_in, false);
    stand_in_release(stand_in);
    struct wire_reply reply;
    wire_post(stand_in->port, "/v1/transactions", "", GOOD, &reply);
    assert_int_equal(reply.status, 200);
    wire_reply_done(&reply);
}

/* Stopping does not wait for calls: their clients are told that the outcome is unknown, and answers that come
 * after the stop are dropped without harm. */
static void test_stop_with_calls_pending_answers_unknown(void **state)
{
    struct stand_in *stand_in = *state;
    stand_in_hold(stand_in, true);
    char request[512];
    (void)snprintf(request, sizeof request, HEAD "Content-Length: %zu\r\n\r\n%s", sizeof GOOD - 1,
                   GOOD);
    const int submitting = wire_connect(stand_in->port);
    send_text(submitting, request);
    const int reading = wire_connect(stand_in->port);
    send_text(reading, "GET /v1/participants HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const int gone = wire_connect(stand_in->port);
    send_text(gone, request);
    const int half = wire_connect(stand_in->port);
    send_text(half, HEAD "Content-Length: 100\r\n\r\n{");
    stand_in_wait_held(stand_in, 3);
    assert_int_equal(close(gone), 0);
    stand_in_stop_http(stand_in);
    struct wire_reply reply;
    assert_true(wire_receive(submitting, &reply));
    assert_problem(&reply, 504, "outcome_unknown");
    assert_non_null(strstr(reply.body, "\"state\":\"unknown\""));
    assert_string_equal(wire_header(&reply, "Connection"), "close");
    wire_reply_done(&reply);
    assert_true(wire_receive(reading, &reply));
    assert_problem(&reply, 503, "shutdown");
    wire_reply_done(&reply);
    assert_true(wire_is_closed(half));
    assert_int_equal(close(submitting), 0);
    assert_int_equal(close(reading), 0);
    assert_int_equal(close(half), 0);
    stand_in_release(stand_in);
}

/* Stopping while answers are on their way from another thread never loses the process. */
static void test_stop_races_with_answers(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct stand_in stand_in;
        stand_in_start(&stand_in, NULL, stand_in_answer_committed, NULL);
        enum { CLIENTS = 8 };
        int fds[CLIENTS];
        stand_in_hold(&stand_in, true);
        char request[512];
        (void)snprintf(request, sizeof request, HEAD "Content-Length: %zu\r\n\r\n%s",
                       sizeof GOOD - 1, GOOD);
        for (size_t i = 0; i < CLIENTS; i++) {
            fds[i] = wire_connect(stand_in.port);
            send_text(fds[i], request);
        }
        stand_in_wait_held(&stand_in, CLIENTS);
        stand_in_release(&stand_in);
        stand_in_stop_http(&stand_in); /* at the same time */
        for (size_t i = 0; i < CLIENTS; i++) {
            struct wire_reply reply;
            assert_true(wire_receive(fds[i], &reply)); /* one or the other, but an answer */
            assert_true(reply.status == 200 || reply.status == 504);
            wire_reply_done(&reply);
            assert_int_equal(close(fds[i]), 0);
        }
        stand_in_stop(&stand_in);
    }
}

/* Draining refuses new connections and lets running requests finish. */
static void test_drain_refuses_new_connections_only(void **state)
{
    struct stand_in *stand_in = *state;
    stand_in_hold(stand_in, true);
    char request[512];
    (void)snprintf(request, sizeof request, HEAD "Content-Length: %zu\r\n\r\n%s", sizeof GOOD - 1,
                   GOOD);
    const int running = wire_connect(stand_in->port);
    send_text(running, request);
    stand_in_wait_held(stand_in, 1);
    http_drain(stand_in->http);
    http_drain(stand_in->http); /* twice is once */
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(stand_in->port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), -1);
    assert_int_equal(close(fd), 0);
    stand_in_release(stand_in);
    expect_status(running, 200);
    assert_true(wire_is_closed(running));
    assert_int_equal(close(running), 0);
}

static uint64_t processor_ms(void)
{
    struct timespec used;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

/* Waiting for the core costs no processor time, also with a client that sends on or has closed its
 * side (which libmicrohttpd takes for a client that has gone). */
static void test_waiting_does_not_spin(void **state)
{
    struct stand_in *stand_in = *state;
    stand_in_hold(stand_in, true);
    char request[512];
    (void)snprintf(request, sizeof request, HEAD "Content-Length: %zu\r\n\r\n%s", sizeof GOOD - 1,
                   GOOD);
    int fds[3];
    for (size_t i = 0; i < 3; i++) {
        fds[i] = wire_connect(stand_in->port);
        send_text(fds[i], request);
    }
    stand_in_wait_held(stand_in, 3);
    send_text(fds[1], request);
    assert_int_equal(shutdown(fds[2], SHUT_WR), 0);
    const uint64_t before_ms = processor_ms();
    struct pollfd ready = {.fd = fds[0], .events = POLLIN};
    assert_int_equal(poll(&ready, 1, 500), 0); /* nothing comes: the time is what is measured */
    assert_true(processor_ms() - before_ms < 200);
    stand_in_hold(stand_in, false);
    stand_in_release(stand_in);
    expect_status(fds[0], 200);
    expect_status(fds[1], 200);
    expect_status(fds[1], 200);
    assert_true(wire_is_closed(fds[2]));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
}

/* Hundreds of half-sent requests hold up nobody else. */
static void test_half_requests_do_not_block_others(void **state)
{
    const struct stand_in *stand_in = *state;
    enum { IDLE = 300 };
    static const char *const halves[] = {"", "GET /livez HTT",
                                         "GET /livez HTTP/1.1\r\nHost: localh",
                                         HEAD "Content-Length: 100\r\n\r\n{\"branches\":",
                                         HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\n{"};
    int fds[IDLE];
    for (size_t i = 0; i < IDLE; i++) {
        fds[i] = wire_connect(stand_in->port);
        send_text(fds[i], halves[i % (sizeof halves / sizeof halves[0])]);
    }
    for (int i = 0; i < 10; i++) {
        struct wire_reply reply;
        wire_post(stand_in->port, "/v1/transactions", "", GOOD, &reply);
        assert_int_equal(reply.status, 200);
        wire_reply_done(&reply);
    }
    for (size_t i = 0; i < IDLE; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
}

/* Idle and half-sent connections are closed after the idle time, whatever stage they are in. */
static void test_idle_connections_are_closed(void **state)
{
    (void)state;
    const struct http_options options = {.limits = {.idle_s = 1}};
    struct stand_in stand_in;
    stand_in_start(&stand_in, &options, stand_in_answer_committed, NULL);
    static const char *const halves[] = {"", "GET /livez HTT",
                                         HEAD "Content-Length: 100\r\n\r\n{\"branches\":"};
    int fds[3];
    for (size_t i = 0; i < 3; i++) {
        fds[i] = wire_connect(stand_in.port);
        send_text(fds[i], halves[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(wire_is_closed(fds[i]));
        assert_int_equal(close(fds[i]), 0);
    }
    stand_in_stop(&stand_in);
}

/* A body that trickles in is cut off although the connection is never idle. */
static void test_trickling_body_is_cut_off(void **state)
{
    (void)state;
    const struct http_options options = {.limits = {.idle_s = 1}};
    struct stand_in stand_in;
    stand_in_start(&stand_in, &options, stand_in_answer_committed, NULL);
    const int fd = wire_connect(stand_in.port);
    send_text(fd, HEAD "Content-Length: 1000\r\n\r\n");
    bool closed = false;
    for (int i = 0; i < 500 && !closed; i++) { /* ten times the limit at most */
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        closed = !wire_try_send(fd, " ", 1) || poll(&ready, 1, 20) > 0;
    }
    assert_true(closed);
    assert_int_equal(close(fd), 0);
    stand_in_stop(&stand_in);
}

/* Beyond the limit per address further connections are closed, and the others go on. */
static void test_connections_per_address_are_bounded(void **state)
{
    (void)state;
    const struct http_options options = {.limits = {.connections_per_ip = 4}};
    struct stand_in stand_in;
    stand_in_start(&stand_in, &options, stand_in_answer_committed, NULL);
    int fds[4];
    for (size_t i = 0; i < 4; i++) {
        fds[i] = wire_connect(stand_in.port);
        send_text(fds[i], "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
        expect_status(fds[i], 200);
    }
    const int fifth = wire_connect(stand_in.port);
    assert_true(wire_is_closed(fifth));
    assert_int_equal(close(fifth), 0);
    for (size_t i = 0; i < 4; i++) {
        send_text(fds[i], "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
        expect_status(fds[i], 200);
        assert_int_equal(close(fds[i]), 0);
    }
    stand_in_stop(&stand_in);
}

static void answer_in_post(struct api_call *call)
{
    stand_in_answer_committed(call, NULL);
    call->done(call);
}

static void on_post_at_once(void *user, struct api_call *call)
{
    (void)user;
    answer_in_post(call);
}

/* An answer that comes before post() returns is as good as a later one. */
static void test_answer_within_post_is_sent(void **state)
{
    (void)state;
    const struct http_options options = {.listen = "127.0.0.1:0",
                                         .sink = {.post = on_post_at_once}};
    struct http *http = NULL;
    struct error error = {0};
    assert_success(http_start(&options, &http, &error), &error);
    for (int i = 0; i < 100; i++) {
        struct wire_reply reply;
        wire_post(http_port(http), "/v1/transactions", "", GOOD, &reply);
        assert_int_equal(reply.status, 200);
        wire_reply_done(&reply);
    }
    http_stop(http);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_chunked_body_is_accepted),
        TEST(test_chunked_body_beyond_the_limit_is_413),
        TEST(test_body_limit_is_exact),
        TEST(test_large_body_is_413),
        TEST(test_expect_continue_is_answered_before_the_body),
        TEST(test_pipelined_requests_are_answered_in_order),
        TEST(test_refused_body_is_discarded_and_the_connection_kept),
        TEST(test_ambiguous_length_is_refused),
        TEST(test_head_has_no_body),
        cmocka_unit_test(test_host_names_that_are_served),
        TEST(test_listen_refuses_with_a_clear_error),
        cmocka_unit_test(test_listen_on_ipv6_loopback),
        TEST(test_client_gone_while_waiting_is_harmless),
        TEST(test_stop_with_calls_pending_answers_unknown),
        cmocka_unit_test(test_stop_races_with_answers),
        TEST(test_drain_refuses_new_connections_only),
        TEST(test_waiting_does_not_spin),
        TEST(test_half_requests_do_not_block_others),
        cmocka_unit_test(test_idle_connections_are_closed),
        cmocka_unit_test(test_trickling_body_is_cut_off),
        cmocka_unit_test(test_connections_per_address_are_bounded),
        cmocka_unit_test(test_answer_within_post_is_sent),
    };
    return cmocka_run_group_tests_name("http_wire", tests, NULL, NULL);
}
