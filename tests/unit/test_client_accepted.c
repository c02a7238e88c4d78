/* test_client_accepted.c - accepted requests through libassent: what is asked for, and what each answer is taken for; against a
 * stand-in for the owner thread, and against a coordinator of an older version. */
#include "tests/lib/test.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assent/assent.h"
#include "common/alloc.h"
#include "coordinator/client_codec.h"
#include "tests/lib/process.h"
#include "tests/unit/test_client_sink.h"

/* What the stand-in answers, and what it was asked. */
struct owner {
    enum api_status status;
    bool has_view;
    enum txn_state state;
    bool is_request;
    enum reason reason;
    char queue[QUEUE_NAME_SIZE];
    struct submission seen; /* without branches */
};

static bool answer_as_told(void *user, struct api_call *call)
{
    struct owner *owner = user;
    struct api_answer *answer = &call->answer;
    owner->seen = call->submission;
    answer->status = owner->status;
    answer->reason = owner->reason;
    if (owner->status == API_REFUSED) {
        answer->retry_after_s = 2;
        snprintf(answer->text, sizeof answer->text, "%s", "queue_max_each: 1 requests are kept");
    }
    if (owner->has_view) {
        struct txn_view *view = alloc_zeroed(sizeof *view);
        view->gtrid.epoch = 1;
        view->gtrid.sequence = 9;
        view->state = owner->state;
        view->failure.reason = owner->reason;
        view->request.is_request = owner->is_request;
        view->request.attempts = 3;
        snprintf(view->request.queue, sizeof view->request.queue, "%s", owner->queue);
        snprintf(view->request.waiting_for, sizeof view->request.waiting_for, "%s",
                 "participant order");
        answer->views = view;
        answer->view_count = 1;
    }
    return true;
}

struct bench {
    struct owner owner;
    struct sink *sink;
    struct assent_client *client;
    struct assent_request *request;
};

static void bench_start(struct bench *bench, struct owner owner)
{
    *bench = (struct bench){.owner = owner};
    bench->sink = sink_new(answer_as_told, &bench->owner, NULL, 0);
    assert_int_equal(assent_client_open(sink_address(bench->sink), &bench->client), ASSENT_OK);
    bench->request = assent_request_new();
    assert_int_equal(
        assent_request_add(bench->request, "order", "SELECT 1", ASSENT_NO_PARAMS, ASSENT_ANY_ROWS),
        ASSENT_OK);
}

static void bench_end(struct bench *bench)
{
    assent_request_free(bench->request);
    assent_client_close(bench->client);
    sink_free(bench->sink);
}

/* A request that is to run later, in a queue, arrives as that; the answer has its id and is no verdict. */
static void test_client_accepted_is_told_with_its_queue(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench, (struct owner){.status = API_ACCEPTED,
                                       .has_view = true,
                                       .state = TXN_QUEUED,
                                       .is_request = true,
                                       .queue = "shop"});
    assert_int_equal(assent_request_set_queue(bench.request, "shop"), ASSENT_OK);
    assert_int_equal(assent_request_set_key(bench.request, "checkout-1"), ASSENT_OK);

    struct assent_answer *answer = assent_submit(bench.client, bench.request);

    assert_true(bench.owner.seen.is_async);
    assert_string_equal(bench.owner.seen.queue, "shop");
    assert_string_equal(bench.owner.seen.key, "checkout-1");
    assert_int_equal(assent_answer_outcome(answer), ASSENT_ACCEPTED);
    assert_string_equal(assent_outcome_text(assent_answer_outcome(answer)), "accepted");
    assert_string_equal(assent_answer_state(answer), "queued");
    assert_string_not_equal(assent_answer_id(answer), "");
    assert_string_equal(assent_answer_queue(answer), "shop");
    assert_int_equal(assent_answer_attempts(answer), 3);
    assert_string_equal(assent_answer_waiting_for(answer), "participant order");
    assert_string_equal(assent_answer_text(answer), "accepted");
    assert_false(assent_answer_completed(answer));
    assert_false(assent_answer_retryable(answer));
    assent_answer_free(answer);
    bench_end(&bench);
}

/* Without a queue it is accepted, too; what was set can be taken back; neither changes what the key is bound to. */
static void test_client_accepted_queue_and_later_can_be_set_and_unset(void **state)
{
    (void)state;
    struct bench bench;
    bench_start(&bench, (struct owner){.status = API_ACCEPTED});
    struct assent_request *request = bench.request;
    uint8_t hash[BODY_HASH_BYTES];

    assent_answer_free(assent_submit(bench.client, request));
    assert_false(bench.owner.seen.is_async);
    memcpy(hash, bench.owner.seen.body_hash, sizeof hash);
    assert_int_equal(assent_request_set_later(request, true), ASSENT_OK);
    assent_answer_free(assent_submit(bench.client, request));
    assert_true(bench.owner.seen.is_async);
    assert_string_equal(bench.owner.seen.queue, "");
    assert_memory_equal(bench.owner.seen.body_hash, hash, sizeof hash);
    assert_int_equal(assent_request_set_queue(request, "q"), ASSENT_OK);
    assert_int_equal(assent_request_set_later(request, true), ASSENT_OK);
    assent_answer_free(assent_submit(bench.client, request));
    assert_string_equal(bench.owner.seen.queue, "q");
    assert_memory_equal(bench.owner.seen.body_hash, hash, sizeof hash);
    assert_int_equal(assent_request_set_queue(request, NULL), ASSENT_OK);
    assent_answer_free(assent_submit(bench.client, request));
    assert_true(bench.owner.seen.is_async);
    assert_string_equal(bench.owner.seen.queue, "");
    assert_int_equal(assent_request_set_queue(request, "q"), ASSENT_OK);
    assert_int_equal(assent_request_set_later(request, false), ASSENT_OK);
    assent_answer_free(assent_submit(bench.client, request));
    assert_false(bench.owner.seen.is_async);
    assert_string_equal(bench.owner.seen.queue, "");
    bench_end(&bench);
}

/* A name that cannot be a queue's is refused where it is given, and nothing is sent. */
static void test_client_accepted_bad_queue_name_sticks(void **state)
{
    (void)state;
    char longest[66];
    memset(longest, 'q', sizeof longest);
    longest[65] = '\0';
    const char *const names[] = {"", "a b", "a/b", "\xc3\xa4", longest};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct bench bench;
        bench_start(&bench, (struct owner){.status = API_ACCEPTED});
        assert_int_equal(assent_request_set_queue(bench.request, names[i]), ASSENT_E_ARGUMENT);
        struct assent_answer *answer = assent_submit(bench.client, bench.request);
        assert_int_equal(assent_answer_outcome(answer), ASSENT_REFUSED);
        assert_string_equal(assent_answer_reason(answer), "malformed");
        assert_non_null(strstr(assent_answer_text(answer), "queue"));
        assert_int_equal(sink_call_count(bench.sink), 0);
        assent_answer_free(answer);
        bench_end(&bench);
    }
}

/* Each answer to a submission: nothing but a commit is a commit, nothing but an abort for good an abort, and what the coordinator has in hand
 * is not to be sent again. */
static void test_client_accepted_each_answer_has_its_outcome(void **state)
{
    (void)state;
    static const struct {
        bool later;
        struct owner owner;
        enum assent_outcome outcome;
        const char *reason;
        bool retryable;
    } cases[] = {
        /* Waits after a run that aborted; runs; of its key, without respond-async; of an answer that names no transaction. */
        {true,
         {API_ACCEPTED, true, TXN_QUEUED, true, REASON_DEADLOCK, "q", {0}},
         ASSENT_ACCEPTED,
         "deadlock",
         false},
        {true,
         {API_ACCEPTED, true, TXN_PREPARING, true, REASON_NONE, "q", {0}},
         ASSENT_ACCEPTED,
         "",
         false},
        {false,
         {API_ACCEPTED, true, TXN_QUEUED, true, REASON_NONE, "", {0}},
         ASSENT_ACCEPTED,
         "",
         false},
        {false,
         {API_ACCEPTED, true, TXN_PREPARING, true, REASON_NONE, "", {0}},
         ASSENT_ACCEPTED,
         "",
         false},
        {true, {API_ACCEPTED, false, 0, false, REASON_NONE, "", {0}}, ASSENT_ACCEPTED, "", false},
        {false, {API_ACCEPTED, false, 0, false, REASON_NONE, "", {0}}, ASSENT_UNKNOWN, "", false},
        /* Dead, also for a reason that passes (queue_attempts); dropped; committed. */
        {true,
         {API_ABORTED, true, TXN_DEAD, true, REASON_CONSTRAINT, "q", {0}},
         ASSENT_DEAD,
         "constraint",
         false},
        {false,
         {API_ABORTED, true, TXN_DEAD, true, REASON_TIMEOUT, "q", {0}},
         ASSENT_DEAD,
         "timeout",
         false},
        {true,
         {API_ABORTED, true, TXN_ABORTED, true, REASON_NONE, "q", {0}},
         ASSENT_ABORTED,
         "",
         false},
        {true,
         {API_OK, true, TXN_COMMITTED, true, REASON_NONE, "q", {0}},
         ASSENT_COMMITTED,
         "",
         false},
        {true,
         {API_OK, true, TXN_HEURISTIC, true, REASON_NONE, "q", {0}},
         ASSENT_HEURISTIC,
         "",
         false},
        /* The queue is full; the key has another body; an ordinary transaction under the key. */
        {true,
         {API_REFUSED, false, 0, false, REASON_OVERLOAD, "", {0}},
         ASSENT_REFUSED,
         "overload",
         true},
        {true,
         {API_KEY_CONFLICT, false, 0, false, REASON_NONE, "", {0}},
         ASSENT_REFUSED,
         "key_conflict",
         false},
        {true,
         {API_UNKNOWN_PARTICIPANT, false, 0, false, REASON_NONE, "", {0}},
         ASSENT_REFUSED,
         "unknown_participant",
         false},
        {true,
         {API_ABORTED, true, TXN_ABORTED, false, REASON_TIMEOUT, "", {0}},
         ASSENT_ABORTED,
         "timeout",
         true},
    };
    struct bench bench;
    bench_start(&bench, (struct owner){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench.owner = cases[i].owner;
        assent_request_set_later(bench.request, cases[i].later);
        struct assent_answer *answer = assent_submit(bench.client, bench.request);
        assert_int_equal(assent_answer_outcome(answer), cases[i].outcome);
        assert_string_equal(assent_answer_reason(answer), cases[i].reason);
        assert_int_equal(assent_answer_retryable(answer), cases[i].retryable);
        if (cases[i].owner.status == API_REFUSED) {
            assert_int_equal(assent_answer_retry_after_ms(answer), 2000);
            assert_non_null(strstr(assent_answer_text(answer), "queue_max_each"));
        }
        assent_answer_free(answer);
    }
    bench_end(&bench);
}

/* Asked for by id or key, it is told as what it is: waiting, running, dead; a transaction of its own that runs is still unknown. */
static void test_client_accepted_status_tells_what_it_is(void **state)
{
    (void)state;
    static const struct {
        enum txn_state state;
        bool is_request;
        enum assent_outcome outcome;
    } cases[] = {
        {TXN_QUEUED, true, ASSENT_ACCEPTED},      {TXN_ACTIVE, true, ASSENT_ACCEPTED},
        {TXN_PREPARING, true, ASSENT_ACCEPTED},   {TXN_PREPARING, false, ASSENT_UNKNOWN},
        {TXN_COMMITTING, true, ASSENT_COMMITTED}, {TXN_DEAD, true, ASSENT_DEAD},
        {TXN_ABORTED, true, ASSENT_ABORTED},
    };
    struct bench bench;
    bench_start(&bench, (struct owner){0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench.owner = (struct owner){.status = API_OK,
                                     .has_view = true,
                                     .state = cases[i].state,
                                     .is_request = cases[i].is_request,
                                     .queue = "shop"};
        struct assent_answer *by_key = assent_status_by_key(bench.client, "k");
        struct assent_answer *by_id = assent_status(bench.client, assent_answer_id(by_key));
        assert_int_equal(assent_answer_outcome(by_key), cases[i].outcome);
        assert_int_equal(assent_answer_outcome(by_id), cases[i].outcome);
        assert_string_equal(assent_answer_queue(by_id), cases[i].is_request ? "shop" : "");
        assert_string_equal(assent_answer_state(by_id), txn_state_text(cases[i].state));
        assent_answer_free(by_key);
        assent_answer_free(by_id);
    }
    bench_end(&bench);
}

static void keep_answer(void *user, struct assent_answer *answer)
{
    struct assent_answer **slot = user;
    *slot = answer;
}

/* Handing over does not block a program that must not: assent_submit_async does it as well. */
static void test_client_accepted_asynchronously(void **state)
{
    (void)state;
    struct bench bench;
    struct assent_answer *answer = NULL;
    bench_start(&bench, (struct owner){.status = API_ACCEPTED,
                                       .has_view = true,
                                       .state = TXN_QUEUED,
                                       .is_request = true});
    assert_int_equal(assent_request_set_queue(bench.request, "shop"), ASSENT_OK);
    assert_int_equal(assent_submit_async(bench.client, bench.request, keep_answer, &answer),
                     ASSENT_OK);
    assert_int_equal(assent_client_wait(bench.client, 10000), 1);
    assert_non_null(answer);
    assert_int_equal(assent_answer_outcome(answer), ASSENT_ACCEPTED);
    assent_answer_free(answer);
    bench_end(&bench);
}

/* A coordinator that knows submit and get only, as all of them once did. */
struct old_coordinator {
    nng_socket socket;
    pthread_t thread;
    char operations[4][16];
};

static void *old_run(void *user)
{
    struct old_coordinator *old = user;
    for (size_t i = 0; i < 2; i++) {
        nng_msg *message = NULL;
        struct unpack in;
        struct unpack_text text;
        uint32_t members = 0;
        int64_t version = 0;
        struct pack pack = {0};
        assert_int_equal(nng_recvmsg(old->socket, &message, 0), 0);
        unpack_init(&in, nng_msg_body(message), nng_msg_len(message));
        assert_true(unpack_map(&in, &members) && unpack_text(&in, &text) &&
                    unpack_int(&in, &version) && unpack_text(&in, &text) &&
                    unpack_text(&in, &text));
        assert_true(unpack_text_copy(&text, old->operations[i], sizeof old->operations[i]));
        const struct client_refusal refusal = {.status = CLIENT_UNSUPPORTED,
                                               .text = "unknown operation"};
        client_encode_refusal(&pack, &refusal);
        nng_msg_clear(message);
        assert_int_equal(nng_msg_append(message, pack.bytes, pack.size_bytes), 0);
        assert_int_equal(nng_sendmsg(old->socket, message, 0), 0);
        pack_done(&pack);
    }
    return NULL;
}

/* It refuses, does nothing, and is not asked twice: a request that is to run later is never taken for one that runs now. */
static void test_client_accepted_older_coordinator_refuses(void **state)
{
    (void)state;
    struct old_coordinator old = {0};
    struct assent_client *client = NULL;
    struct error error;
    uint16_t port = 0;
    char address[64];
    char url[80];
    assert_success(process_free_port(&port, &error), &error);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    snprintf(url, sizeof url, "tcp://%s", address);
    assert_int_equal(nng_rep0_open(&old.socket), 0);
    assert_int_equal(nng_listen(old.socket, url, NULL, 0), 0);
    assert_int_equal(pthread_create(&old.thread, NULL, old_run, &old), 0);
    assert_int_equal(assent_client_open(address, &client), ASSENT_OK);
    struct assent_request *request = assent_request_new();
    assent_request_add(request, "order", "SELECT 1", ASSENT_NO_PARAMS, ASSENT_ANY_ROWS);
    assent_request_set_queue(request, "shop");

    struct assent_answer *answer = assent_submit(client, request);
    struct assent_answer *waited = assent_wait(client, "anything", ASSENT_ACK_COMPLETED, 1000);

    assert_int_equal(pthread_join(old.thread, NULL), 0);
    assert_string_equal(old.operations[0], "accept");
    assert_string_equal(old.operations[1], "wait");
    assert_int_equal(assent_answer_outcome(answer), ASSENT_REFUSED);
    assert_string_equal(assent_answer_reason(answer), "unsupported");
    assert_false(assent_answer_retryable(answer));
    assert_int_equal(assent_answer_outcome(waited), ASSENT_REFUSED);
    assert_string_equal(assent_answer_reason(waited), "unsupported");
    assent_answer_free(answer);
    assent_answer_free(waited);
    assent_request_free(request);
    assent_client_close(client);
    nng_close(old.socket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_accepted_is_told_with_its_queue),
        cmocka_unit_test(test_client_accepted_queue_and_later_can_be_set_and_unset),
        cmocka_unit_test(test_client_accepted_bad_queue_name_sticks),
        cmocka_unit_test(test_client_accepted_each_answer_has_its_outcome),
        cmocka_unit_test(test_client_accepted_status_tells_what_it_is),
        cmocka_unit_test(test_client_accepted_asynchronously),
        cmocka_unit_test(test_client_accepted_older_coordinator_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
