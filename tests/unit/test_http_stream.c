/*
 * test_http_stream.c - GET /v1/stream: events, where a client goes on, clients that do not read, many of them, and the end.
 */
#include "tests/lib/test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/http_stand_in.h"

#define RECEIVE_WAIT_MS 20000

static struct stand_in *start(const struct http_limits *limits)
{
    struct stand_in *stand_in = alloc_zeroed(sizeof *stand_in);
    const struct http_options options = {.limits = *limits};
    stand_in_start(stand_in, &options, stand_in_answer_published, stand_in);
    return stand_in;
}

static void stop(struct stand_in *stand_in)
{
    stand_in_stop(stand_in);
    free(stand_in);
}

static int test_setup(void **state)
{
    *state = start(&(struct http_limits){.stream_events = 8});
    return 0;
}

static int test_teardown(void **state)
{
    stop(*state);
    return 0;
}

static void change(struct stand_in *stand_in, uint64_t sequence, enum txn_state state)
{
    stand_in_publish(stand_in, &(struct stand_in_change){.sequence = sequence, .state = state});
}

/* A client, and what it has read so far. */
struct reader {
    int fd;
    char *text; /* final NUL */
    size_t size_bytes, capacity_bytes;
    bool has_ended;
};

/* HTTP/1.0 has no chunks: what comes is the stream. */
static struct reader reader_open(const struct stand_in *stand_in, const char *query,
                                 const char *headers)
{
    char request[1024];
    const int length =
        snprintf(request, sizeof request, "GET /v1/stream%s HTTP/1.0\r\nHost: localhost\r\n%s\r\n",
                 query, headers);
    struct reader reader = {.fd = wire_connect(stand_in->port), .text = alloc_zeroed(1)};
    wire_send(reader.fd, request, (size_t)length);
    return reader;
}

static void reader_close(struct reader *reader)
{
    assert_int_equal(close(reader->fd), 0);
    free(reader->text);
}

/* Waits for more; false at the end of the stream. */
static bool reader_read(struct reader *reader)
{
    struct pollfd ready = {.fd = reader->fd, .events = POLLIN};
    if (poll(&ready, 1, RECEIVE_WAIT_MS) <= 0) {
        fail_msg("nothing more in time after: %s", reader->text);
    }
    if (reader->capacity_bytes < reader->size_bytes + 65537) {
        reader->capacity_bytes = 2 * reader->capacity_bytes + 65537;
        reader->text = alloc_resize(reader->text, reader->capacity_bytes, 1);
    }
    const ssize_t got = recv(reader->fd, reader->text + reader->size_bytes, 65536, 0);
    reader->has_ended = got <= 0;
    reader->size_bytes += got > 0 ? (size_t)got : 0;
    reader->text[reader->size_bytes] = '\0';
    return !reader->has_ended;
}

static void reader_await(struct reader *reader, const char *wanted)
{
    size_t seen_bytes = 0; /* where it cannot begin any more */
    while (strstr(reader->text + seen_bytes, wanted) == NULL) {
        const size_t length = strlen(wanted);
        seen_bytes = reader->size_bytes < length ? 0 : reader->size_bytes - length;
        if (!reader_read(reader)) {
            fail_msg("ended without %s: %s", wanted, reader->text);
        }
    }
}

static struct reader reader_ready(const struct stand_in *stand_in, const char *query,
                                  const char *headers)
{
    struct reader reader = reader_open(stand_in, query, headers);
    reader_await(&reader, "retry: 1000\n");
    return reader;
}

/* The value of the last "id: " line. */
static void reader_last_id(const struct reader *reader, char ret_id[64])
{
    const char *last = NULL;
    for (const char *at = strstr(reader->text, "\nid: "); at != NULL;
         at = strstr(at + 1, "\nid: ")) {
        last = at;
    }
    assert_non_null(last);
    assert_int_equal(sscanf(last, "\nid: %63s", ret_id), 1);
}

static struct reader reader_resume(const struct stand_in *stand_in, const char *id)
{
    char header[256];
    (void)snprintf(header, sizeof header, "Last-Event-ID: %s\r\n", id);
    return reader_ready(stand_in, "", header);
}

static size_t count_of(const char *text, const char *wanted)
{
    size_t count = 0;
    for (const char *at = strstr(text, wanted); at != NULL; at = strstr(at + 1, wanted)) {
        count++;
    }
    return count;
}

/* Each change is an event: its state's name is the kind, its data what GET says of the transaction. */
static void test_stream_changes_are_events(void **state)
{
    struct stand_in *stand_in = *state;
    assert_false(http_wants_changes(stand_in->http));
    struct reader reader = reader_ready(stand_in, "", "");
    assert_non_null(strstr(reader.text, "HTTP/1.1 200"));
    assert_non_null(strstr(reader.text, "Content-Type: text/event-stream; charset=utf-8\r\n"));
    assert_non_null(strstr(reader.text, "Cache-Control: no-store\r\n"));
    assert_true(http_wants_changes(stand_in->http));
    for (int shown = TXN_QUEUED; shown <= TXN_HEURISTIC; shown++) {
        char wanted[256];
        if (shown == TXN_DECIDING) {
            continue;
        }
        change(stand_in, (uint64_t)shown, (enum txn_state)shown);
        char path[256];
        struct wire_reply reply;
        (void)snprintf(path, sizeof path, "/v1/transactions/%s",
                       stand_in_gtrid_text((uint64_t)shown));
        wire_get(stand_in->port, path, &reply);
        char *event = NULL;
        assert_true(asprintf(&event, "event: %s\ndata: %s\n", txn_state_text((enum txn_state)shown),
                             reply.body) > 0);
        reader_await(&reader, event);
        free(event);
        wire_reply_done(&reply);
        (void)snprintf(wanted, sizeof wanted, "\"state\":\"%s\"",
                       txn_state_text((enum txn_state)shown));
        assert_non_null(strstr(reader.text, wanted));
    }
    assert_int_equal(count_of(reader.text, "\nevent: "), 9);
    reader_close(&reader);
}

/* A client that comes back with the last id gets what it missed, and only that; also when it had seen no event yet. */
static void test_stream_resumes_after_the_last_id(void **state)
{
    struct stand_in *stand_in = *state;
    char id[64];
    struct reader reader = reader_ready(stand_in, "", "");
    reader_last_id(&reader, id);
    reader_close(&reader);
    change(stand_in, 1, TXN_PREPARING);
    change(stand_in, 2, TXN_COMMITTING);
    reader = reader_resume(stand_in, id);
    reader_await(&reader, "event: committing\n");
    assert_int_equal(count_of(reader.text, "\nevent: "), 2);
    reader_await(&reader, "\n\n");
    reader_last_id(&reader, id);
    reader_close(&reader);
    change(stand_in, 3, TXN_COMMITTED);
    reader = reader_resume(stand_in, id);
    reader_await(&reader, "event: committed\n");
    assert_int_equal(count_of(reader.text, "\nevent: "), 1);
    reader_close(&reader);
}

/* What was overwritten is told, and the stream goes on with what comes now. */
static void test_stream_overwritten_id_is_reset(void **state)
{
    struct stand_in *stand_in = *state;
    char id[64];
    struct reader reader = reader_ready(stand_in, "", "");
    reader_last_id(&reader, id);
    reader_close(&reader);
    for (uint64_t i = 1; i <= 8; i++) {
        change(stand_in, i, TXN_COMMITTED);
    }
    reader = reader_resume(stand_in, id); /* just still there */
    reader_await(&reader, stand_in_gtrid_text(8));
    assert_int_equal(count_of(reader.text, "\nevent: committed\n"), 8);
    reader_close(&reader);
    change(stand_in, 9, TXN_COMMITTED);
    reader = reader_resume(stand_in, id);
    reader_await(&reader, "event: reset\ndata: {\"reason\":\"overwritten\"}\n\n");
    reader_last_id(&reader, id);
    change(stand_in, 10, TXN_ABORTED);
    reader_await(&reader, "event: aborted\n");
    assert_int_equal(count_of(reader.text, "\nevent: "), 2);
    reader_close(&reader);
    reader = reader_resume(stand_in, id); /* the reset's own id is one to go on from */
    reader_await(&reader, "event: aborted\n");
    assert_int_equal(count_of(reader.text, "\nevent: "), 1);
    reader_close(&reader);
}

/* Ids of another process, of the future and of nobody are told as such. */
static void test_stream_unknown_id_is_reset(void **state)
{
    static const char *const endings[] = {
        "-9", "-", "-1x", "-99999999999999999999", "-18446744073709551615", ""};
    struct stand_in *stand_in = *state;
    char id[64];
    struct reader reader = reader_ready(stand_in, "", "");
    reader_last_id(&reader, id);
    reader_close(&reader);
    *strchr(id, '-') = '\0';
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char unknown[128];
        (void)snprintf(unknown, sizeof unknown, "%s%s", id, endings[i]);
        reader = reader_resume(stand_in, unknown);
        reader_await(&reader, "event: reset\ndata: {\"reason\":\"unknown_id\"}\n\n");
        reader_close(&reader);
    }
    reader = reader_resume(stand_in, "0123456789abcdef-0");
    reader_await(&reader, "event: reset\n");
    reader_close(&reader);
    reader = reader_resume(stand_in, ""); /* none */
    assert_null(strstr(reader.text, "reset"));
    reader_close(&reader);
}

/* A filter leaves out the rest. */
static void test_stream_filters(void **state)
{
    struct stand_in *stand_in = *state;
    struct reader by_state = reader_ready(stand_in, "?state=committed", "");
    struct reader by_name = reader_ready(stand_in, "?participant=payment", "");
    struct reader by_both = reader_ready(stand_in, "?participant=payment&state=preparing", "");
    const struct stand_in_change changes[] = {
        {.sequence = 1, .state = TXN_PREPARING},
        {.sequence = 2, .state = TXN_COMMITTED},
        {.sequence = 3, .state = TXN_DECIDING, .participant = "payment"},
        {.sequence = 4, .state = TXN_COMMITTED, .participant = "payment"}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        stand_in_publish(stand_in, &changes[i]);
    }
    reader_await(&by_state, stand_in_gtrid_text(4));
    assert_int_equal(count_of(by_state.text, "\nevent: committed\n"), 2);
    assert_int_equal(count_of(by_state.text, "\nevent: "), 2);
    reader_await(&by_name, stand_in_gtrid_text(4));
    assert_int_equal(count_of(by_name.text, "\nevent: "), 2);
    reader_await(&by_both, stand_in_gtrid_text(3));
    assert_int_equal(count_of(by_both.text, "\nevent: preparing\n"), 1);
    reader_close(&by_state);
    reader_close(&by_name);
    reader_close(&by_both);
}

static void expect_refused(const struct stand_in *stand_in, const char *path, const char *headers,
                           int status, const char *slug)
{
    struct wire_reply reply;
    wire_request(stand_in->port, "GET", path, headers, NULL, 0, &reply);
    assert_problem(&reply, status, slug);
    wire_reply_done(&reply);
}

/* What the stream does not offer is refused with its reason; what it does is not. */
static void test_stream_requests_that_are_refused(void **state)
{
    static const char *const queries[] = {"?state=in-doubt",
                                          "?state=",
                                          "?key=x",
                                          "?wait=1",
                                          "?participant=Order",
                                          "?state=aborted&state=aborted"};
    static const char *const accepted[] = {
        "",
        "Accept: */*\r\n",
        "Accept: text/*\r\n",
        "Accept: Text/Event-Stream\r\n",
        "Accept: application/json, text/event-stream;q=0.01\r\n",
        "Accept: application/json\r\nAccept: text/event-stream ; charset=utf-8\r\n"};
    static const char *const refused[] = {
        "Accept: application/json\r\n",           "Accept: text/html, text/plain\r\n",
        "Accept: text/event-stream;q=0\r\n",      "Accept: \r\n",
        "Accept: text/event-stream; q=0.000\r\n", "Accept: text/event-streams\r\n"};
    const struct stand_in *stand_in = *state;
    char path[128];
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        (void)snprintf(path, sizeof path, "/v1/stream%s", queries[i]);
        expect_refused(stand_in, path, "", 400, "malformed");
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        expect_refused(stand_in, "/v1/stream", refused[i], 406, "not_acceptable");
    }
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        struct reader reader = reader_ready(stand_in, "", accepted[i]);
        assert_int_equal(shutdown(reader.fd, SHUT_WR), 0);
        while (reader_read(&reader)) {
        }
        reader_close(&reader);
    }
}

/* HEAD tells what GET would, and takes no place. */
static void test_stream_head_has_no_body(void **state)
{
    const struct stand_in *stand_in = *state;
    for (int i = 0; i < 10; i++) {
        const int fd = wire_connect(stand_in->port);
        static const char request[] = "HEAD /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
        struct wire_reply reply;
        char byte = 0;
        wire_send(fd, request, sizeof request - 1);
        assert_true(wire_receive(fd, &reply));
        assert_int_equal(reply.status, 200);
        assert_string_equal(wire_header(&reply, "Content-Type"),
                            "text/event-stream; charset=utf-8");
        wire_reply_done(&reply);
        assert_int_equal(recv(fd, &byte, 1, 0), 0);
        assert_int_equal(close(fd), 0);
    }
}

/* A quiet stream says that it is there, and how far it is: a filter may leave out everything for long. */
static void test_stream_quiet_is_kept_alive(void **state)
{
    (void)state;
    char first[64];
    char id[64];
    struct stand_in *stand_in = start(&(struct http_limits){.stream_keepalive_ms = 20});
    struct reader reader = reader_ready(stand_in, "?state=dead", "");
    reader_last_id(&reader, first);
    reader_await(&reader, ": still here\n");
    change(stand_in, 1, TXN_COMMITTED);
    reader.text[0] = '\0'; /* forgets */
    reader.size_bytes = 0;
    reader_await(&reader, "-1\n\n");
    assert_null(strstr(reader.text, "event:"));
    reader_last_id(&reader, id);
    assert_string_not_equal(first, id);
    reader_close(&reader);
    stop(stand_in);
}

/* Beyond the configured number a stream is refused and told the limit; one that hangs up makes room, without anything being sent. */
static void test_stream_beyond_the_limit_is_429(void **state)
{
    (void)state;
    struct stand_in *stand_in = start(&(struct http_limits){.streams = 3});
    struct reader readers[3];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 3; i++) {
            readers[i] = reader_ready(stand_in, "", "");
        }
        struct wire_reply reply;
        wire_get(stand_in->port, "/v1/stream", &reply);
        assert_problem(&reply, 429, "overload");
        assert_non_null(strstr(reply.body, "\"limit\":\"max_streams\",\"maximum\":3"));
        wire_reply_done(&reply);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(shutdown(readers[i].fd, SHUT_WR), 0);
            while (reader_read(&readers[i])) {
            }
            reader_close(&readers[i]);
        }
    }
    stop(stand_in);
}

/* A client that does not read is cut off in the end; meanwhile neither the owner nor another client waits for it, and what it has
 * not read is not kept. Its place is free then. */
static void test_stream_client_that_does_not_read_is_cut_off(void **state)
{
    enum { COUNT = 400, BYTES = 100000 };
    (void)state;
    struct stand_in *stand_in =
        start(&(struct http_limits){.stream_events = 20, .idle_s = 1, .streams = 2});
    struct reader deaf = reader_ready(stand_in, "", "");
    struct reader reader = reader_ready(stand_in, "", "");
    for (uint64_t i = 1; i <= COUNT; i++) {
        stand_in_publish(stand_in, &(struct stand_in_change){.sequence = i,
                                                             .state = TXN_COMMITTED,
                                                             .result_bytes = BYTES});
        reader_await(&reader,
                     "xxx\"]]}]}]}\n\n"); /* slowly: the other one is to be stuck, not overtaken */
        reader.size_bytes = 0;
    }
    reader_close(&reader);
    /* The end of its connection would wait behind what it has not read: wait as long as an idle one lives, and once more. */
    for (int i = 0; i < 2; i++) {
        const int fd = wire_connect(stand_in->port);
        assert_true(wire_is_closed(fd));
        assert_int_equal(close(fd), 0);
    }
    size_t got = 0;
    while (reader_read(&deaf)) { /* what lay in the sockets */
        got += deaf.size_bytes;
        deaf.size_bytes = 0;
    }
    assert_true(got < (size_t)COUNT * BYTES);
    reader_close(&deaf);
    deaf = reader_ready(stand_in, "", "");
    reader = reader_ready(stand_in, "", "");
    reader_close(&deaf);
    reader_close(&reader);
    stop(stand_in);
}

/* One that reads again after it was overtaken hears that something is missing, and goes on with the newest. */
static void test_stream_overtaken_client_is_reset(void **state)
{
    enum { COUNT = 400, BYTES = 100000 };
    (void)state;
    struct stand_in *stand_in = start(&(struct http_limits){.stream_events = 20});
    struct reader reader = reader_ready(stand_in, "", "");
    for (uint64_t i = 1; i <= COUNT; i++) {
        stand_in_publish(stand_in, &(struct stand_in_change){.sequence = i,
                                                             .state = TXN_COMMITTED,
                                                             .result_bytes = BYTES});
    }
    reader_await(&reader, "event: reset\ndata: {\"reason\":\"overwritten\"}\n\n");
    char *reset = strstr(reader.text, "\nevent: reset\n");
    *reset = '\0';
    const size_t before = count_of(reader.text, "\nevent: committed\n");
    assert_true(before >= 1 && before < COUNT);
    /* The event that it was in the middle of came whole. */
    assert_int_equal(count_of(reader.text, "xxx\"]]}]}]}\n\n"), before);
    *reset = '\n';
    reader_await(&reader, "-400\nevent: "); /* the last of them, or that it was missed as well */
    change(stand_in, COUNT + 1, TXN_ABORTED);
    reader_await(&reader, "event: aborted\n");
    reader_close(&reader);
    stop(stand_in);
}

/* Two hundred clients each get every event, in order. */
static void test_stream_two_hundred_clients(void **state)
{
    enum { CLIENTS = 200, EVENTS = 50 };
    (void)state;
    struct stand_in *stand_in = start(&(struct http_limits){0});
    struct reader *readers = alloc_array(CLIENTS, sizeof *readers);
    for (size_t i = 0; i < CLIENTS; i++) {
        readers[i] = reader_open(stand_in, "", "");
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        reader_await(&readers[i], "retry: 1000\n");
    }
    for (uint64_t i = 1; i <= EVENTS; i++) {
        change(stand_in, i, i < EVENTS ? TXN_COMMITTED : TXN_ABORTED);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        reader_await(&readers[i], "event: aborted\n");
        const char *at = readers[i].text;
        for (int number = 1; number <= EVENTS; number++) {
            char wanted[32];
            (void)snprintf(wanted, sizeof wanted, "-%d\nevent: ", number);
            at = strstr(at, wanted);
            assert_non_null(at);
        }
        assert_int_equal(count_of(readers[i].text, "\nevent: "), EVENTS);
        reader_close(&readers[i]);
    }
    free(readers);
    stop(stand_in);
}

/* When the server stops, a stream tells what it has still to tell and ends as HTTP wants it: not broken off. */
static void test_stream_stop_ends_streams(void **state)
{
    struct stand_in *stand_in = *state;
    const int fd = wire_connect(stand_in->port);
    static const char request[] = "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
    wire_send(fd, request, sizeof request - 1);
    struct reader reader = {.fd = fd, .text = alloc_zeroed(1)};
    reader_await(&reader, "retry: 1000\n");
    struct reader idle = reader_ready(stand_in, "?state=dead", "");
    change(stand_in, 1, TXN_COMMITTED);
    stand_in_stop_http(stand_in);
    while (reader_read(&reader)) {
    }
    assert_non_null(strstr(reader.text, "event: committed\n"));
    assert_string_equal(reader.text + reader.size_bytes - 7, "\r\n0\r\n\r\n");
    while (reader_read(&idle)) {
    }
    reader_close(&reader);
    reader_close(&idle);
}

/* Streams that open, close, are overtaken and told news while the server stops: nothing is lost track of. */
static void test_stream_stop_races_with_everything(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct stand_in *stand_in =
            start(&(struct http_limits){.stream_keepalive_ms = 1, .stream_events = 2});
        struct reader readers[8];
        for (size_t i = 0; i < 8; i++) {
            readers[i] = reader_open(stand_in, i % 2 == 0 ? "" : "?state=dead", "");
        }
        reader_await(&readers[0], "retry: 1000\n");
        for (uint64_t i = 1; i <= 10; i++) {
            change(stand_in, i, TXN_COMMITTED);
            if (i == 5) {
                reader_close(&readers[7]);
            }
        }
        stop(stand_in);
        for (size_t i = 0; i < 7; i++) {
            reader_close(&readers[i]);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stream_changes_are_events),
        TEST(test_stream_resumes_after_the_last_id),
        TEST(test_stream_overwritten_id_is_reset),
        TEST(test_stream_unknown_id_is_reset),
        TEST(test_stream_filters),
        TEST(test_stream_requests_that_are_refused),
        TEST(test_stream_head_has_no_body),
        cmocka_unit_test(test_stream_quiet_is_kept_alive),
        cmocka_unit_test(test_stream_beyond_the_limit_is_429),
        cmocka_unit_test(test_stream_client_that_does_not_read_is_cut_off),
        cmocka_unit_test(test_stream_overtaken_client_is_reset),
        cmocka_unit_test(test_stream_two_hundred_clients),
        TEST(test_stream_stop_ends_streams),
        cmocka_unit_test(test_stream_stop_races_with_everything),
    };
    return cmocka_run_group_tests_name("http_stream", tests, NULL, NULL);
}
