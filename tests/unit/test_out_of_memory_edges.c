/*
 * test_out_of_memory_edges.c - memory runs out where threads of libraries are at work: libassent over nng, the HTTP edge over
 * libmicrohttpd, the link between coordinator and agent (R1, A1, Q1).
 *
 * All threads of the process fail. A call says so, a connection is closed, or the process ends by our own allocator; what is
 * answered is right; and with memory again the next try succeeds (failing_loop.h). Leaks are not looked for here: these
 * libraries release things when they come to it.
 *
 * Not here: nng while it sets itself up, once in a process, and while sockets and connections are made. Up to 1.5.2 it then goes
 * back through parts that were never made, and aborts, crashes or hangs in its own threads. For a daemon that is a crash like
 * any other; nothing of ours could make an error of it.
 */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "assent/assent.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "common/link.h"
#include "tests/lib/failing_loop.h"
#include "tests/lib/failing_malloc.h"
#include "tests/unit/http_stand_in.h"
#include "tests/unit/test_client_sink.h"

#define WAIT_MS 15000

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* ---- libassent, with a coordinator in another process ---- */

static bool answer_commit(void *user, struct api_call *call)
{
    (void)user;
    if (call->operation == API_SUBMIT) {
        sink_answer_commit(call);
    } else if (call->operation != API_LIST && call->operation != API_PARTICIPANTS) {
        call->answer.status = API_NOT_FOUND;
    }
    return true;
}

struct coordinator {
    pid_t pid;
    char address[64];
};

static void coordinator_start(struct coordinator *coordinator)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    coordinator->pid = fork();
    if (coordinator->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct sink *sink = sink_new(answer_commit, NULL, NULL, 0);
        const char *address = sink_address(sink);
        (void)!write(ends[1], address, strlen(address) + 1);
        for (;;) {
            (void)pause();
        }
    }
    assert_true(coordinator->pid > 0);
    assert_true(read(ends[0], coordinator->address, sizeof coordinator->address) > 0);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(ends[1]), 0);
}

static void coordinator_stop(const struct coordinator *coordinator)
{
    assert_int_equal(kill(coordinator->pid, SIGKILL), 0);
    assert_int_equal(waitpid(coordinator->pid, NULL, 0), coordinator->pid);
}

/* What came of a submit: committed with its result, or not known, or certainly not sent. */
static bool judge_submit(struct assent_answer *answer, struct error *ret_error)
{
    enum assent_outcome outcome = assent_answer_outcome(answer);
    const struct assent_result *result = assent_answer_result(answer, "order", 0);
    bool committed = outcome == ASSENT_COMMITTED;
    loop_check(committed || outcome == ASSENT_UNKNOWN || outcome == ASSENT_UNAVAILABLE);
    if (committed) {
        loop_check(result != NULL && strcmp(assent_result_value(result, 0, 1), "2") == 0);
    } else {
        (void)error_set(ret_error, ERROR_UNAVAILABLE, "submit: %s", assent_answer_text(answer));
    }
    assent_answer_free(answer);
    return committed;
}

static bool ask_all(struct assent_client *client, struct error *ret_error)
{
    struct assent_answer *status = assent_status_by_key(client, "nobody's key");
    enum assent_outcome outcome = assent_answer_outcome(status);
    assent_answer_free(status);
    loop_check(outcome == ASSENT_NOT_FOUND || outcome == ASSENT_UNAVAILABLE);
    struct assent_list *list = assent_list_transactions(client, NULL);
    bool listed = assent_list_error(list)[0] == '\0';
    assent_list_free(list);
    struct assent_participants *participants = assent_participants_get(client);
    bool asked = assent_participants_error(participants)[0] == '\0';
    assent_participants_free(participants);
    return (outcome == ASSENT_NOT_FOUND && listed && asked) ||
           error_set(ret_error, ERROR_UNAVAILABLE, "a question was not answered");
}

static void count_answer(void *user, struct assent_answer *answer)
{
    struct error error = {0};
    size_t *count = user;
    (void)judge_submit(answer, &error);
    (*count)++;
}

/* An accepted one has its callback exactly once. */
static bool submit_async(struct assent_client *client, const struct assent_request *request,
                         struct error *ret_error)
{
    size_t count = 0;
    int accepted = assent_submit_async(client, request, count_answer, &count);
    if (accepted != ASSENT_OK) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "%s", assent_error_text(accepted));
    }
    (void)assent_client_wait(client, -1);
    loop_check(count == 1 && assent_client_in_flight(client) == 0);
    return true;
}

static bool run_client(void *user, struct error *ret_error)
{
    const struct coordinator *coordinator = user;
    struct assent_client *client = NULL;
    int opened = assent_client_open(coordinator->address, &client);
    if (opened != ASSENT_OK) {
        loop_check(opened == ASSENT_E_SYSTEM);
        return error_set(ret_error, ERROR_SYSTEM, "open: %s", assent_error_text(opened));
    }
    struct assent_request *request = assent_request_new();
    loop_check(assent_client_set_connect_timeout_ms(client, 1000) == ASSENT_OK);
    loop_check(assent_request_set_timeout_ms(request, 1) == ASSENT_OK);
    loop_check(assent_request_add(request, "order", "INSERT INTO t VALUES ($1, $2)",
                                  ASSENT_PARAMS("a", NULL), 1) == ASSENT_OK);
    bool done = judge_submit(assent_submit(client, request), ret_error) &&
                ask_all(client, ret_error) && submit_async(client, request, ret_error);
    assent_request_free(request);
    assent_client_close(client);
    return done;
}

static void open_client(void *user)
{
    struct error error = {0};
    loop_check(run_client(user, &error)); /* nng is set up */
}

/* A caller is told what is known, never more; and tries again with success. */
static void test_client_allocation_fails_says_what_is_known(void **state)
{
    struct coordinator coordinator;
    (void)state;
    coordinator_start(&coordinator);
    const struct loop_case client = {.name = "libassent",
                                     .user = &coordinator,
                                     .open = open_client,
                                     .run = run_client,
                                     .is_threaded = true};
    assert_true(loop_allocations(&client) > 10);
    coordinator_stop(&coordinator);
}

/* ---- HTTP ---- */

static void ignore_call(void *user, struct api_call *call)
{
    (void)user;
    (void)call;
}

static bool run_http_start(void *user, struct error *ret_error)
{
    const struct http_options options = {
        .listen = "127.0.0.1:0", .version = "test", .sink = {.post = ignore_call}};
    struct http *http = NULL;
    (void)user;
    if (!http_start(&options, &http, ret_error)) {
        return false;
    }
    loop_check(http_port(http) != 0);
    http_stop(http);
    return true;
}

static void open_http(void *user)
{
    stand_in_start(user, NULL, stand_in_answer_committed, NULL);
}

/* The reply up to the end of the connection; nothing here allocates. */
static size_t exchange(uint16_t port, const char *request, char *ret_reply, size_t reply_bytes)
{
    size_t used = 0;
    ssize_t got = 1;
    int fd = wire_connect(port);
    (void)wire_try_send(fd, request, strlen(request));
    while (got > 0 && used + 1 < reply_bytes) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        loop_check(poll(&ready, 1, WAIT_MS) == 1); /* answered or closed, but not left alone */
        got = recv(fd, ret_reply + used, reply_bytes - used - 1, 0);
        used += got > 0 ? (size_t)got : 0;
    }
    ret_reply[used] = '\0';
    (void)close(fd);
    return used;
}

/* True if the reply is whole; *ret_body is its body. */
static bool reply_is_whole(const char *reply, const char **ret_body)
{
    const char *length = strstr(reply, "Content-Length: ");
    const char *body = strstr(reply, "\r\n\r\n");
    *ret_body = body == NULL ? "" : body + 4;
    return body != NULL && length != NULL && strtoul(length + 16, NULL, 10) == strlen(*ret_body);
}

static bool run_http_request(void *user, struct error *ret_error)
{
    static const char body[] = "{\"branches\":[{\"participant\":\"order\",\"statements\":"
                               "[{\"sql\":\"SELECT $1\",\"params\":[\"a\"]}]}]}";
    static char reply[65536];
    const struct stand_in *stand_in = user;
    char request[1024];
    const char *answer = NULL;
    int status = 0;
    (void)snprintf(request, sizeof request,
                   "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   sizeof body - 1, body);
    (void)exchange(stand_in->port, request, reply, sizeof reply);
    if (!reply_is_whole(reply, &answer) || sscanf(reply, "HTTP/1.1 %d", &status) != 1) {
        return error_set(ret_error, ERROR_UNAVAILABLE, "the connection was closed");
    }
    if (status != 200 && status != 201) {
        loop_check(status >= 500); /* the request was a good one */
        return error_set(ret_error, ERROR_UNAVAILABLE, "status %d", status);
    }
    loop_check(strstr(answer, "\"state\":\"committed\"") != NULL);
    return true;
}

/* A request is answered whole and right, or with an error, or its connection is closed; the next one is served. */
static void test_http_allocation_fails_closes_or_says_so(void **state)
{
    static struct stand_in stand_in;
    static const struct loop_case start = {
        .name = "HTTP start", .run = run_http_start, .is_threaded = true};
    static const struct loop_case request = {
        .name = "HTTP request",
        .user = &stand_in,
        .open = open_http,
        .run = run_http_request,
        /* libmicrohttpd gave no response or took no header: for want of memory alone */
        .fatal_text = "coordinator/http_send.c:",
        .is_threaded = true};
    (void)state;
    assert_true(loop_allocations(&start) > 5);
    assert_true(loop_allocations(&request) > 5);
}

/* ---- the link ---- */

#define SECRET "0123456789abcdef0123456789abcdef"

struct end {
    struct link *link;
    uint64_t session; /* 0: none */
    size_t messages;
};

static void on_up(void *user, const struct link_peer *peer)
{
    struct end *end = user;
    __atomic_store_n(&end->session, peer->session, __ATOMIC_SEQ_CST);
}

static void on_messages(void *user, uint64_t session, struct message *messages, size_t count)
{
    struct end *end = user;
    (void)session;
    for (size_t i = 0; i < count; i++) {
        loop_check(messages[i].kind == MESSAGE_HEAD && messages[i].as.head.head.number == 17);
        message_done(&messages[i]);
    }
    (void)__atomic_add_fetch(&end->messages, count, __ATOMIC_SEQ_CST);
}

static void on_down(void *user, uint64_t session)
{
    struct end *end = user;
    (void)session;
    __atomic_store_n(&end->session, 0, __ATOMIC_SEQ_CST);
}

static void on_trouble(void *user, const char *participant, enum link_trouble trouble,
                       const char *text)
{
    (void)user;
    (void)participant;
    (void)trouble;
    (void)text;
}

static bool end_start(struct end *end, bool is_coordinator, struct error *ret_error)
{
    struct link_options options = {
        .is_coordinator = is_coordinator,
        .listen = "127.0.0.1:0",
        .journal = {.bytes = {1, 2, 3}},
        .participant = "order",
        .silence_ms = 500,
        .callbacks = {end, on_up, on_messages, on_down, on_trouble},
    };
    options.secret.size_bytes = sizeof SECRET - 1;
    memcpy(options.secret.bytes, SECRET, sizeof SECRET - 1);
    return link_start(&options, &end->link, ret_error);
}

static bool connect_ends(struct end *coordinator, struct end *agent, struct error *ret_error)
{
    char address[ADDRESS_SIZE];
    struct link_secret secret = {.size_bytes = sizeof SECRET - 1};
    memcpy(secret.bytes, SECRET, sizeof SECRET - 1);
    if (!end_start(agent, false, ret_error) || !end_start(coordinator, true, ret_error)) {
        return false;
    }
    link_address(agent->link, address);
    return link_add_participant(coordinator->link, "order", address, &secret, ret_error);
}

/* Sends until one arrives: a link may lose what it carries, but not for ever. */
static bool one_arrives(struct end *coordinator, struct end *agent, uint64_t until_ms)
{
    while (clock_monotonic_ms() < until_ms) {
        uint64_t session = __atomic_load_n(&coordinator->session, __ATOMIC_SEQ_CST);
        if (session != 0) {
            struct message message = {.kind = MESSAGE_HEAD, .as.head.head.number = 17};
            link_send(coordinator->link, session, &message, 1);
        }
        pause_ms(5);
        if (__atomic_load_n(&agent->messages, __ATOMIC_SEQ_CST) > 0) {
            return true;
        }
    }
    return false;
}

static struct end coordinator_end, agent_end;

static void open_link(void *user)
{
    struct error error = {0};
    (void)user;
    loop_check(connect_ends(&coordinator_end, &agent_end, &error));
    loop_check(one_arrives(&coordinator_end, &agent_end, clock_monotonic_ms() + WAIT_MS));
}

/* Memory is gone while a message is handed over, and back before a new connection is made. */
static bool run_link(void *user, struct error *ret_error)
{
    struct message message = {.kind = MESSAGE_HEAD, .as.head.head.number = 17};
    (void)user;
    (void)ret_error;
    __atomic_store_n(&agent_end.messages, 0, __ATOMIC_SEQ_CST);
    link_send(coordinator_end.link, coordinator_end.session, &message, 1);
    failing_malloc_disarm();
    loop_check(one_arrives(&coordinator_end, &agent_end, clock_monotonic_ms() + WAIT_MS));
    return true;
}

/* What cannot be sent is lost, as on any network, and the next message arrives. */
static void test_link_send_allocation_fails_next_one_arrives(void **state)
{
    static const struct loop_case link = {
        .name = "link", .open = open_link, .run = run_link, .is_threaded = true};
    (void)state;
    assert_true(loop_allocations(&link) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_allocation_fails_says_what_is_known),
        cmocka_unit_test(test_http_allocation_fails_closes_or_says_so),
        cmocka_unit_test(test_link_send_allocation_fails_next_one_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
