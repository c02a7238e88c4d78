/*
 * test_client_clock.c - P-15: libassent under a wall clock that jumps.
 *
 * A program of its own, because its clock_gettime and pthread_cond_timedwait take the place of the C library's, also
 * for nng: 1.5.2 keeps time by the wall clock (upstream 1526).
 */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "assent/assent.h"
#include "common/clock.h"
#include "tests/lib/process.h"
#include "tests/unit/test_client_sink.h"

#define HOUR_S         3600
#define ANSWER_MS      5002 /* of a request with a timeout of 1 ms */
#define SOON_MS        10000
#define PATIENCE_MS    40000
#define WALL_LEAST_S   1000000000 /* no machine has been up for as long */
#define WALL_GLANCE_NS 20000000   /* how often a wait by the wall clock looks at it */

static atomic_int wall_ahead_s;
static atomic_bool has_paused; /* a wait for the first seconds after an hour has begun */

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    const int result = (int)syscall(SYS_clock_gettime, clock, ret_time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        ret_time->tv_sec += atomic_load(&wall_ahead_s);
    }
    return result;
}

static bool is_before(const struct timespec *one, const struct timespec *other)
{
    return one->tv_sec != other->tv_sec ? one->tv_sec < other->tv_sec
                                        : one->tv_nsec < other->tv_nsec;
}

/* As the kernel does it: a wait for a time of the wall clock ends when that clock has come there, by
 * itself or by a jump. It may wake for nothing besides, as any wait. */
__attribute__((visibility("default"))) int
pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    struct timespec now;
    if (until->tv_sec < WALL_LEAST_S) {
        return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, until);
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (!is_before(&now, until)) {
        return ETIMEDOUT;
    }
    const int64_t wait_s = until->tv_sec - now.tv_sec + atomic_load(&wall_ahead_s);
    if (wait_s >= HOUR_S && wait_s <= HOUR_S + 2) {
        atomic_store(&has_paused, true);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    now.tv_nsec += WALL_GLANCE_NS;
    if (now.tv_nsec >= 1000000000) {
        now.tv_sec++;
        now.tv_nsec -= 1000000000;
    }
    const int result = pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &now);
    return result == ETIMEDOUT ? 0 : result;
}

static bool answer_hold(void *user, struct api_call *call)
{
    (void)user;
    (void)call;
    return false;
}

static bool answer_commit(void *user, struct api_call *call)
{
    (void)user;
    sink_answer_commit(call);
    return true;
}

static struct assent_client *open_client(const char *address)
{
    struct assent_client *client = NULL;
    assert_int_equal(assent_client_open(address, &client), ASSENT_OK);
    return client;
}

static struct assent_client *open_client_at(uint16_t port)
{
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
    return open_client(address);
}

static struct assent_request *small_request(void)
{
    struct assent_request *request = assent_request_new();
    assert_int_equal(assent_request_set_timeout_ms(request, 1), ASSENT_OK);
    assert_int_equal(
        assent_request_add(request, "order", "SELECT 1", ASSENT_NO_PARAMS, ASSENT_ANY_ROWS),
        ASSENT_OK);
    return request;
}

static uint16_t free_port(void)
{
    uint16_t port;
    struct error error;
    assert_success(process_free_port(&port, &error), &error);
    return port;
}

static void keep_answer(void *user, struct assent_answer *answer)
{
    struct assent_answer **slot = user;
    assert_null(*slot);
    *slot = answer;
}

/* Submits until it commits; how long that took. No request is lost by the change of diallers. */
static uint64_t await_commit(struct assent_client *client, const struct assent_request *request)
{
    const uint64_t start_ms = clock_monotonic_ms();
    enum assent_outcome outcome = ASSENT_UNAVAILABLE;
    while (outcome == ASSENT_UNAVAILABLE && clock_monotonic_ms() - start_ms < PATIENCE_MS) {
        struct assent_answer *answer = assent_submit(client, request);
        outcome = assent_answer_outcome(answer);
        assent_answer_free(answer);
    }
    assert_int_equal(outcome, ASSENT_COMMITTED);
    return clock_monotonic_ms() - start_ms;
}

/* An answer that never comes is given up after its time, though the clock was set back meanwhile. */
static void test_p15_answer_times_out_after_the_clock_was_set_back(void **state)
{
    (void)state;
    atomic_store(&wall_ahead_s, 0);
    struct sink *sink = sink_new(answer_hold, NULL, NULL, 0);
    struct assent_client *client = open_client(sink_address(sink));
    struct assent_request *request = small_request();
    struct assent_answer *answer = NULL;
    const uint64_t start_ms = clock_monotonic_ms();
    assert_int_equal(assent_submit_async(client, request, keep_answer, &answer), ASSENT_OK);
    sink_wait_calls(sink, 1);
    assert_int_equal(assent_client_wait(client, 50), 0); /* its answer is waited for by now */

    atomic_store(&wall_ahead_s, -HOUR_S);

    assert_int_equal(assent_client_wait(client, ANSWER_MS + SOON_MS), 1);
    assert_true(clock_monotonic_ms() - start_ms >= ANSWER_MS);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_UNKNOWN);
    assert_string_equal(assent_answer_reason(answer), "no_answer");
    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

/* So is a connection. */
static void test_p15_connecting_times_out_after_the_clock_was_set_back(void **state)
{
    (void)state;
    atomic_store(&wall_ahead_s, 0);
    struct assent_client *client = open_client_at(free_port());
    struct assent_request *request = small_request();
    struct assent_answer *answer = NULL;
    assert_int_equal(assent_client_set_connect_timeout_ms(client, 700), ASSENT_OK);
    const uint64_t start_ms = clock_monotonic_ms();
    assert_int_equal(assent_submit_async(client, request, keep_answer, &answer), ASSENT_OK);

    atomic_store(&wall_ahead_s, -HOUR_S);

    assert_int_equal(assent_client_wait(client, SOON_MS), 1);
    assert_true(clock_monotonic_ms() - start_ms >= 700);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_UNAVAILABLE);
    assert_string_equal(assent_answer_reason(answer), "coordinator_unavailable");
    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
}

/* A clock that is set ahead ends no wait early. */
static void test_p15_answer_is_awaited_though_the_clock_is_set_ahead(void **state)
{
    (void)state;
    atomic_store(&wall_ahead_s, 0);
    struct sink *sink = sink_new(answer_hold, NULL, NULL, 0);
    struct assent_client *client = open_client(sink_address(sink));
    struct assent_request *request = small_request();
    struct assent_answer *answer = NULL;
    assert_int_equal(assent_submit_async(client, request, keep_answer, &answer), ASSENT_OK);
    sink_wait_calls(sink, 1);
    assert_int_equal(assent_client_wait(client, 50), 0);

    atomic_store(&wall_ahead_s, HOUR_S);

    assert_int_equal(assent_client_wait(client, 500), 0);
    assert_int_equal(sink_release(sink), 1);
    assert_int_equal(assent_client_wait(client, SOON_MS), 1);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_COMMITTED);
    assent_answer_free(answer);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

/* A coordinator that comes back after the clock was set back is found within seconds, however often it was. */
static void test_p15_coordinator_is_found_after_the_clock_was_set_back(void **state)
{
    (void)state;
    atomic_store(&wall_ahead_s, 0);
    const uint16_t port = free_port();
    struct assent_client *client = open_client_at(port);
    struct assent_request *request = small_request();
    for (int jump = 1; jump <= 3; jump++) {
        /* It is dialled in vain for as long as this takes, and the dialler pauses. */
        struct assent_answer *answer = assent_submit(client, request);
        assert_int_equal(assent_answer_outcome(answer), ASSENT_UNAVAILABLE);
        assent_answer_free(answer);
        atomic_store(&wall_ahead_s, -HOUR_S * jump);
    }
    struct sink *sink = sink_new(answer_commit, NULL, NULL, port);

    assert_true(await_commit(client, request) < SOON_MS);

    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

static int listen_at(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size_bytes = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const int on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size_bytes), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* Also after a jump there and back that nobody was there to see: the dialler pauses until a time
 * that is now an hour away. */
static void test_p15_coordinator_is_found_after_jumps_that_nobody_saw(void **state)
{
    (void)state;
    uint16_t port = 0;
    atomic_store(&wall_ahead_s, 0);
    const int listener = listen_at(&port);
    struct assent_client *client = open_client_at(port);
    struct assent_request *request = small_request();
    atomic_store(&wall_ahead_s, HOUR_S);
    const int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    close(listener);
    atomic_store(&has_paused, false);
    close(fd);
    const uint64_t start_ms = clock_monotonic_ms();
    while (!atomic_load(&has_paused) && clock_monotonic_ms() - start_ms < SOON_MS) {
        sched_yield();
    }
    assert_true(atomic_load(&has_paused));
    atomic_store(&wall_ahead_s, 0);
    struct sink *sink = sink_new(answer_commit, NULL, NULL, port);

    (void)await_commit(client, request);

    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

struct submitter {
    pthread_t thread;
    struct assent_client *client;
    size_t unavailable;
};

static void *submit_in_vain(void *user)
{
    struct submitter *submitter = user;
    struct assent_request *request = small_request();
    for (int i = 0; i < 200; i++) {
        struct assent_answer *answer = assent_submit(submitter->client, request);
        submitter->unavailable +=
            assent_answer_outcome(answer) == ASSENT_UNAVAILABLE &&
            assent_answer_reason(answer)[0] == 'c'; /* coordinator_unavailable */
        assent_answer_free(answer);
    }
    assent_request_free(request);
    return NULL;
}

/* Limits that end at the same moment as much else: each request has one answer, and each client ends. */
static void test_p15_many_short_limits_each_end_once(void **state)
{
    (void)state;
    enum { CLIENTS = 8, THREADS = 2 };
    atomic_store(&wall_ahead_s, 0);
    struct assent_client *clients[CLIENTS];
    struct submitter submitters[CLIENTS * THREADS] = {0};
    const uint16_t port = free_port();
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = open_client_at(port);
        assert_int_equal(assent_client_set_connect_timeout_ms(clients[i], 1), ASSENT_OK);
    }
    for (size_t i = 0; i < CLIENTS * THREADS; i++) {
        submitters[i].client = clients[i / THREADS];
        assert_int_equal(
            pthread_create(&submitters[i].thread, NULL, submit_in_vain, &submitters[i]), 0);
    }
    for (size_t i = 0; i < CLIENTS * THREADS; i++) {
        assert_int_equal(pthread_join(submitters[i].thread, NULL), 0);
        assert_int_equal(submitters[i].unavailable, 200);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        assent_client_close(clients[i]);
    }
}

static void count_answer(void *user, struct assent_answer *answer)
{
    size_t *counts = user;
    counts[assent_answer_outcome(answer)]++;
    assent_answer_free(answer);
}

/* A limit of a connection that is over just as the request leaves: what left is awaited, and never told as not sent. */
static void test_p15_limit_of_a_connection_spares_what_has_left(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    atomic_store(&wall_ahead_s, 0);
    struct sink *sink = sink_new(answer_commit, NULL, NULL, 0);
    struct assent_client *client = open_client(sink_address(sink));
    struct assent_request *request = small_request();
    (void)await_commit(client, request);
    const size_t before = sink_call_count(sink);
    assert_int_equal(assent_client_set_connect_timeout_ms(client, 1), ASSENT_OK);
    size_t counts[ASSENT_HEURISTIC + 1] = {0};
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(assent_submit_async(client, request, count_answer, counts), ASSENT_OK);
        }
        while (assent_client_in_flight(client) > 0) {
            assert_true(assent_client_wait(client, SOON_MS) > 0);
        }
    }
    assert_int_equal(counts[ASSENT_COMMITTED] + counts[ASSENT_UNAVAILABLE], 10 * COUNT);
    assert_int_equal(sink_call_count(sink) - before, counts[ASSENT_COMMITTED]);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
}

/* A client that is closed just as limits end: each request has one answer, and nothing hangs. */
static void test_p15_closing_as_limits_end_tells_each_once(void **state)
{
    (void)state;
    enum { ROUNDS = 200, COUNT = 10 };
    atomic_store(&wall_ahead_s, 0);
    struct sink *sink = sink_new(answer_commit, NULL, NULL, 0);
    struct assent_request *request = small_request();
    const uint16_t nobody = free_port();
    size_t counts[ASSENT_HEURISTIC + 1] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        struct assent_client *client =
            round % 2 == 0 ? open_client_at(nobody) : open_client(sink_address(sink));
        assert_int_equal(assent_client_set_connect_timeout_ms(client, 1), ASSENT_OK);
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(assent_submit_async(client, request, count_answer, counts), ASSENT_OK);
        }
        (void)assent_client_wait(client, round % 4);
        assent_client_close(client);
    }
    assert_int_equal(counts[ASSENT_COMMITTED] + counts[ASSENT_UNAVAILABLE] + counts[ASSENT_UNKNOWN],
                     ROUNDS * COUNT);
    assert_true(counts[ASSENT_UNAVAILABLE] >= ROUNDS / 2 * COUNT);
    assent_request_free(request);
    sink_free(sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p15_answer_times_out_after_the_clock_was_set_back),
        cmocka_unit_test(test_p15_connecting_times_out_after_the_clock_was_set_back),
        cmocka_unit_test(test_p15_answer_is_awaited_though_the_clock_is_set_ahead),
        cmocka_unit_test(test_p15_coordinator_is_found_after_the_clock_was_set_back),
        cmocka_unit_test(test_p15_coordinator_is_found_after_jumps_that_nobody_saw),
        cmocka_unit_test(test_p15_many_short_limits_each_end_once),
        cmocka_unit_test(test_p15_limit_of_a_connection_spares_what_has_left),
        cmocka_unit_test(test_p15_closing_as_limits_end_tells_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
