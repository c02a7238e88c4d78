/* test_client_wait.c - waiting for an outcome through libassent and the client edge, against a stand-in for the owner thread. */
#include "tests/lib/test.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "assent/assent.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "coordinator/client_msgpack.h"
#include "coordinator/client_protocol.h"
#include "tests/unit/test_client_sink.h"

#define LONG_MS 30000 /* nobody waits so long: the change comes first */

/* The owner: one transaction, whose state the test changes. */
struct owner {
    struct sink *sink;
    _Atomic int state; /* enum txn_state; 0: not known */
    _Atomic int asked;
};

static const struct gtrid gtrid = {.epoch = 1, .sequence = 7};
static const struct gtrid run_gtrid = {.epoch = 1, .sequence = 8};

static bool answer_state(void *user, struct api_call *call)
{
    struct owner *owner = user;
    const int state = atomic_load(&owner->state);
    atomic_fetch_add(&owner->asked, 1);
    if (call->operation == API_SUBMIT) {
        sink_answer_commit(call);
        return true;
    }
    if (call->operation != API_GET || state == 0) {
        call->answer.status = API_NOT_FOUND;
        return true;
    }
    call->answer.views = alloc_zeroed(sizeof *call->answer.views);
    call->answer.view_count = 1;
    call->answer.views[0].gtrid = call->gtrid;
    call->answer.views[0].state = (enum txn_state)state;
    call->answer.views[0].request.is_request = true;
    return true;
}

/* The state becomes another one, and the edge is told. */
static void owner_change(struct owner *owner, enum txn_state state)
{
    const struct txn_view view = {
        .gtrid = gtrid,
        .state = state,
        .request = {.is_request = true, .has_run = true, .run = run_gtrid}};
    atomic_store(&owner->state, (int)state);
    sink_publish(owner->sink, &view);
}

/* One that waits, on a thread of its own. */
struct waiter {
    pthread_t thread;
    struct assent_client *client;
    char id[GTRID_TEXT_SIZE];
    enum assent_ack ack;
    uint32_t timeout_ms;
    struct assent_answer *answer;
};

static void *waiter_run(void *user)
{
    struct waiter *waiter = user;
    waiter->answer = assent_wait(waiter->client, waiter->id, waiter->ack, waiter->timeout_ms);
    return NULL;
}

static void waiter_start(struct waiter *waiter, struct assent_client *client,
                         const struct gtrid *of, enum assent_ack ack, uint32_t timeout_ms)
{
    *waiter = (struct waiter){.client = client, .ack = ack, .timeout_ms = timeout_ms};
    gtrid_format(of, waiter->id);
    assert_int_equal(pthread_create(&waiter->thread, NULL, waiter_run, waiter), 0);
}

static void waiter_expect(struct waiter *waiter, enum assent_outcome outcome, const char *state)
{
    assert_int_equal(pthread_join(waiter->thread, NULL), 0);
    assert_int_equal(assent_answer_outcome(waiter->answer), outcome);
    assert_string_equal(assent_answer_state(waiter->answer), state);
    assent_answer_free(waiter->answer);
}

static struct assent_client *start(struct owner *owner, enum txn_state state,
                                   const struct client_edge_options *options)
{
    struct assent_client *client = NULL;
    atomic_init(&owner->state, (int)state);
    atomic_init(&owner->asked, 0);
    owner->sink = sink_new(answer_state, owner, options, 0);
    assert_int_equal(assent_client_open(sink_address(owner->sink), &client), ASSENT_OK);
    return client;
}

static struct assent_answer *wait_now(struct assent_client *client, uint32_t timeout_ms)
{
    char id[GTRID_TEXT_SIZE];
    gtrid_format(&gtrid, id);
    return assent_wait(client, id, ASSENT_ACK_COMPLETED, timeout_ms);
}

/* It is held while there is no outcome, through changes that bring none, and answered with the change that brings one. */
static void test_client_wait_ends_with_the_outcome(void **state)
{
    (void)state;
    struct owner owner;
    struct assent_client *client = start(&owner, TXN_QUEUED, NULL);
    struct waiter completed, decided;
    waiter_start(&completed, client, &gtrid, ASSENT_ACK_COMPLETED, LONG_MS);
    waiter_start(&decided, client, &gtrid, ASSENT_ACK_DECIDED, LONG_MS);
    sink_wait_calls(owner.sink, 2);
    owner_change(&owner, TXN_PREPARING);
    owner_change(&owner, TXN_QUEUED);
    owner_change(&owner, TXN_PREPARING);
    owner_change(&owner, TXN_COMMITTING);
    waiter_expect(&decided, ASSENT_COMMITTED, "committing");
    assert_int_equal(atomic_load(&owner.asked), 3);
    owner_change(&owner, TXN_COMMITTED);
    waiter_expect(&completed, ASSENT_COMMITTED, "committed");
    assert_int_equal(atomic_load(&owner.asked), 4);
    assent_client_close(client);
    sink_free(owner.sink);
}

/* Dead is what is waited for, too, and is told as dead. Many may wait for one. */
static void test_client_wait_many_for_one(void **state)
{
    (void)state;
    struct owner owner;
    struct assent_client *client = start(&owner, TXN_QUEUED, NULL);
    struct waiter waiters[20];
    for (size_t i = 0; i < 20; i++) {
        waiter_start(&waiters[i], client, &gtrid, ASSENT_ACK_COMPLETED, LONG_MS);
    }
    sink_wait_calls(owner.sink, 20);
    owner_change(&owner, TXN_DEAD);
    for (size_t i = 0; i < 20; i++) {
        waiter_expect(&waiters[i], ASSENT_DEAD, "dead");
    }
    assent_client_close(client);
    sink_free(owner.sink);
}

/* What has an outcome already, or is not known, is told at once; so is whatever it is to who does not want to wait. */
static void test_client_wait_for_nothing_is_answered_at_once(void **state)
{
    (void)state;
    struct owner owner;
    struct assent_client *client = start(&owner, TXN_ABORTED, NULL);
    struct assent_answer *answer = wait_now(client, LONG_MS);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_ABORTED);
    assent_answer_free(answer);
    atomic_store(&owner.state, 0);
    answer = wait_now(client, LONG_MS);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_NOT_FOUND);
    assent_answer_free(answer);
    atomic_store(&owner.state, TXN_QUEUED);
    answer = wait_now(client, 0);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_ACCEPTED);
    assent_answer_free(answer);
    assent_client_close(client);
    sink_free(owner.sink);
}

/* When the time is up it is told as it is then, not as it was when the wait began. */
static void test_client_wait_time_is_up(void **state)
{
    (void)state;
    struct owner owner;
    struct assent_client *client = start(&owner, TXN_QUEUED, NULL);
    struct waiter waiter;
    const uint64_t began_ms = clock_monotonic_ms();
    waiter_start(&waiter, client, &gtrid, ASSENT_ACK_COMPLETED, 300);
    sink_wait_calls(owner.sink, 1);
    atomic_store(&owner.state, TXN_PREPARING); /* which nobody tells the edge */
    waiter_expect(&waiter, ASSENT_ACCEPTED, "preparing");
    assert_true(clock_monotonic_ms() - began_ms >= 300);
    assert_int_equal(atomic_load(&owner.asked), 2);
    assent_client_close(client);
    sink_free(owner.sink);
}

/* Who waits for a run by its own name is asked about when its request goes on or ends. */
static void test_client_wait_for_a_run(void **state)
{
    (void)state;
    struct owner owner;
    struct assent_client *client = start(&owner, TXN_PREPARING, NULL);
    struct waiter waiter;
    waiter_start(&waiter, client, &run_gtrid, ASSENT_ACK_COMPLETED, LONG_MS);
    sink_wait_calls(owner.sink, 1);
    const struct txn_view waits_again = {
        .gtrid = gtrid,
        .state = TXN_QUEUED,
        .request = {.is_request = true, .has_run = true, .run = run_gtrid}};
    atomic_store(&owner.state, TXN_ABORTED); /* the run */
    sink_publish(owner.sink, &waits_again);
    waiter_expect(&waiter, ASSENT_ABORTED, "aborted");
    assent_client_close(client);
    sink_free(owner.sink);
}

/* Half of the places may wait; one more is refused, while transactions and questions are taken, and has its turn when some have
 * ended. */
static void test_client_wait_is_bounded(void **state)
{
    (void)state;
    enum { HALF = 16 };
    const struct client_edge_options options = {.contexts = 2 * HALF};
    struct owner owner;
    struct assent_client *client = start(&owner, TXN_QUEUED, &options);
    struct assent_request *request = assent_request_new();
    struct waiter waiters[HALF];
    for (size_t i = 0; i < HALF; i++) {
        waiter_start(&waiters[i], client, &gtrid, ASSENT_ACK_COMPLETED, LONG_MS);
    }
    sink_wait_calls(owner.sink, HALF);
    struct assent_answer *refused = wait_now(client, LONG_MS);
    assert_int_equal(assent_answer_outcome(refused), ASSENT_REFUSED);
    assert_string_equal(assent_answer_reason(refused), "overload");
    assert_true(assent_answer_retryable(refused));
    assert_int_equal(assent_answer_retry_after_ms(refused), 1000);
    assent_answer_free(refused);
    struct assent_answer *told = assent_status(client, waiters[0].id);
    assert_int_equal(assent_answer_outcome(told), ASSENT_ACCEPTED);
    assent_answer_free(told);
    assent_request_add(request, "order", "SELECT 1", ASSENT_NO_PARAMS, ASSENT_ANY_ROWS);
    told = assent_submit(client, request);
    assert_int_equal(assent_answer_outcome(told), ASSENT_COMMITTED);
    assent_answer_free(told);
    owner_change(&owner, TXN_COMMITTED);
    for (size_t i = 0; i < HALF; i++) {
        waiter_expect(&waiters[i], ASSENT_COMMITTED, "committed");
    }
    told = wait_now(client, LONG_MS);
    assert_int_equal(assent_answer_outcome(told), ASSENT_COMMITTED);
    assent_answer_free(told);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(owner.sink);
}

static void write_all(int fd, const void *bytes, size_t size_bytes)
{
    assert_int_equal(send(fd, bytes, size_bytes, MSG_NOSIGNAL), (ssize_t)size_bytes);
}

/* A client without the library (docs/CLIENT_PROTOCOL.md): connects, and waits. Returns its connection. */
static int wait_on_a_connection(struct sink *sink)
{
    static const uint8_t hello[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    uint8_t head[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 1};
    uint8_t peer[8];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(client_edge_port(sink_edge(sink)))};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    write_all(fd, hello, sizeof hello);
    assert_int_equal(recv(fd, peer, sizeof peer, MSG_WAITALL), sizeof peer);
    char id[GTRID_TEXT_SIZE];
    struct pack pack = {0};
    gtrid_format(&gtrid, id);
    pack_map(&pack, 4);
    pack_text(&pack, "v");
    pack_int(&pack, CLIENT_PROTOCOL_VERSION);
    pack_text(&pack, "op");
    pack_text(&pack, "wait");
    pack_text(&pack, "id");
    pack_text(&pack, id);
    pack_text(&pack, "wait_ms");
    pack_uint(&pack, LONG_MS);
    head[7] = (uint8_t)(pack.size_bytes + 4);
    write_all(fd, head, sizeof head);
    write_all(fd, pack.bytes, pack.size_bytes);
    pack_done(&pack);
    return fd;
}

/* Whoever goes away while he waits leaves his place to others: a program that begins to wait, dies and is started again does not take
 * them all. */
static void test_client_wait_who_goes_leaves_his_place(void **state)
{
    (void)state;
    enum { HALF = 8 };
    const struct client_edge_options options = {.contexts = 2 * HALF};
    struct owner owner;
    struct assent_client *client = start(&owner, TXN_QUEUED, &options);
    int fds[HALF];
    for (size_t round = 0; round < 2; round++) {
        const size_t before = sink_call_count(owner.sink);
        for (size_t i = 0; i < HALF; i++) {
            fds[i] = wait_on_a_connection(owner.sink);
        }
        sink_wait_calls(owner.sink, before + HALF);
        struct assent_answer *answer = wait_now(client, LONG_MS);
        assert_int_equal(assent_answer_outcome(answer), ASSENT_REFUSED);
        assent_answer_free(answer);
        for (size_t i = 0; i < HALF; i++) {
            close(fds[i]);
        }
        const uint64_t until_ms = clock_monotonic_ms() + LONG_MS / 2;
        answer = NULL;
        do { /* each a round trip; the closing is heard of at some time */
            assent_answer_free(answer);
            answer = wait_now(client, 0);
        } while (assent_answer_outcome(answer) == ASSENT_REFUSED &&
                 clock_monotonic_ms() < until_ms);
        assert_int_equal(assent_answer_outcome(answer), ASSENT_ACCEPTED);
        assent_answer_free(answer);
        while (client_edge_wants_changes(sink_edge(owner.sink))) {
            assent_answer_free(assent_status(client, "x"));
            assert_true(clock_monotonic_ms() < until_ms);
        }
    }
    owner_change(&owner, TXN_COMMITTED); /* nobody is left to be told */
    struct assent_answer *told = wait_now(client, LONG_MS);
    assert_int_equal(assent_answer_outcome(told), ASSENT_COMMITTED);
    assent_answer_free(told);
    assent_client_close(client);
    sink_free(owner.sink);
}

/* A coordinator that ends lets nobody wait for it: refused, to be asked again, and so is who comes now. */
static void test_client_wait_ends_with_the_coordinator(void **state)
{
    (void)state;
    struct owner owner;
    struct assent_client *client = start(&owner, TXN_QUEUED, NULL);
    struct waiter waiters[3];
    for (size_t i = 0; i < 3; i++) {
        waiter_start(&waiters[i], client, &gtrid, ASSENT_ACK_COMPLETED, LONG_MS);
    }
    sink_wait_calls(owner.sink, 3);
    client_edge_drain(sink_edge(owner.sink));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(waiters[i].thread, NULL), 0);
        assert_int_equal(assent_answer_outcome(waiters[i].answer), ASSENT_REFUSED);
        assert_string_equal(assent_answer_reason(waiters[i].answer), "shutdown");
        assert_true(assent_answer_retryable(waiters[i].answer));
        assent_answer_free(waiters[i].answer);
    }
    struct assent_answer *late = wait_now(client, LONG_MS);
    assert_int_equal(assent_answer_outcome(late), ASSENT_REFUSED);
    assert_string_equal(assent_answer_reason(late), "shutdown");
    assent_answer_free(late);
    assent_client_close(client);
    sink_free(owner.sink);
}

/* What cannot be asked is refused without asking. */
static void test_client_wait_bad_arguments_are_refused(void **state)
{
    (void)state;
    struct owner owner;
    struct assent_client *client = start(&owner, TXN_QUEUED, NULL);
    const struct {
        const char *id;
        uint32_t timeout_ms;
        const char *reason;
    } cases[] = {{NULL, 1, "malformed"},
                 {"", 1, "malformed"},
                 {"\xff", 1, "malformed"},
                 {"x", 60001, "limit"},
                 {"x", UINT32_MAX, "limit"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct assent_answer *answer =
            assent_wait(client, cases[i].id, ASSENT_ACK_COMPLETED, cases[i].timeout_ms);
        assert_int_equal(assent_answer_outcome(answer), ASSENT_REFUSED);
        assert_string_equal(assent_answer_reason(answer), cases[i].reason);
        assent_answer_free(answer);
    }
    assert_int_equal(sink_call_count(owner.sink), 0);
    assent_client_close(client);
    sink_free(owner.sink);
}

static void keep_answer(void *user, struct assent_answer *answer)
{
    struct assent_answer **slot = user;
    *slot = answer;
}

static bool keep_submissions(void *user, struct api_call *call)
{
    (void)user;
    return call->operation != API_SUBMIT;
}

/* A question that no frame can carry is refused here: sent, it would end the connection, and what else is under way on it would lose its
 * answer. */
static void test_client_wait_too_long_a_name_costs_no_other_its_answer(void **state)
{
    (void)state;
    enum { LONG_BYTES = 5 * 1024 * 1024 };
    struct assent_client *client = NULL;
    struct assent_answer *submitted = NULL;
    struct sink *sink = sink_new(keep_submissions, NULL, NULL, 0);
    struct assent_request *request = assent_request_new();
    char *name = alloc_zeroed(LONG_BYTES + 1);
    memset(name, 'x', LONG_BYTES);
    assert_int_equal(assent_client_open(sink_address(sink), &client), ASSENT_OK);
    assent_request_add(request, "order", "SELECT 1", ASSENT_NO_PARAMS, ASSENT_ANY_ROWS);
    assert_int_equal(assent_submit_async(client, request, keep_answer, &submitted), ASSENT_OK);
    sink_wait_calls(sink, 1);

    struct assent_answer *answers[] = {
        assent_wait(client, name, ASSENT_ACK_COMPLETED, 1),
        assent_status(client, name),
        assent_status_by_key(client, name),
    };
    const struct assent_filter filter = {.participant = name};
    struct assent_list *list = assent_list_transactions(client, &filter);

    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        assert_int_equal(assent_answer_outcome(answers[i]), ASSENT_REFUSED);
        assert_string_equal(assent_answer_reason(answers[i]), "limit");
        assent_answer_free(answers[i]);
    }
    assert_non_null(strstr(assent_list_error(list), "4 MiB"));
    assent_list_free(list);
    assert_int_equal(sink_release(sink), 1);
    assert_int_equal(assent_client_wait(client, 10000), 1);
    assert_int_equal(assent_answer_outcome(submitted), ASSENT_COMMITTED);
    assent_answer_free(submitted);
    assent_request_free(request);
    assent_client_close(client);
    sink_free(sink);
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_wait_ends_with_the_outcome),
        cmocka_unit_test(test_client_wait_many_for_one),
        cmocka_unit_test(test_client_wait_for_nothing_is_answered_at_once),
        cmocka_unit_test(test_client_wait_time_is_up),
        cmocka_unit_test(test_client_wait_for_a_run),
        cmocka_unit_test(test_client_wait_is_bounded),
        cmocka_unit_test(test_client_wait_who_goes_leaves_his_place),
        cmocka_unit_test(test_client_wait_ends_with_the_coordinator),
        cmocka_unit_test(test_client_wait_bad_arguments_are_refused),
        cmocka_unit_test(test_client_wait_too_long_a_name_costs_no_other_its_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
