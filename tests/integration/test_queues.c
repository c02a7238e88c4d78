/*
 * test_queues.c - accepted requests over real databases and daemons that are killed: taken while a participant is down, run in
 * order when it is back, each one once; dead ones looked at, requeued and dropped (docs/concepts/queues.md).
 */
#include "test_bad_days_kit.h"

#include <jansson.h>

#include "common/alloc.h"

/* One request over HTTP with Prefer: respond-async. */
static void hand_over(struct day *day, const char *key, const char *body,
                      struct http_reply *ret_reply)
{
    char url[256];
    char key_line[128];
    struct error error;
    (void)snprintf(url, sizeof url, "%s/v1/transactions", stack_api(day->stack));
    (void)snprintf(key_line, sizeof key_line, "Idempotency-Key: %s", key);
    const char *const headers[] = {"Content-Type: application/json", "Prefer: respond-async",
                                   key_line, NULL};
    struct http_request request = {.url = url, .headers = headers, .body = body};
    if (!http_perform(&request, ret_reply, &error)) {
        *ret_reply = (struct http_reply){0}; /* it died on the way */
    }
}

/* A checkout's body, in a queue. */
static char *queued_body(struct day *day, const struct checkout *shape, const char *queue)
{
    char *plain = checkout_body(day->stack, shape);
    json_t *body = json_loads(plain, 0, NULL);
    assert_non_null(body);
    assert_int_equal(json_object_set_new(body, "queue", json_string(queue)), 0);
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    free(plain);
    return text;
}

/* A member of the JSON that a path answers with, "a.b" for nested ones; "" if it is not there. Returns owned. */
static char *look(struct day *day, const char *path, const char *member)
{
    struct http_reply reply;
    struct error error;
    char name[64];
    assert_success(stack_http(day->stack, path, NULL, NULL, &reply, &error), &error);
    json_t *root = json_loads(reply.body, 0, NULL);
    const json_t *value = root;
    for (const char *at = member; value != NULL && *at != '\0';) {
        size_t length = strcspn(at, ".");
        (void)snprintf(name, sizeof name, "%.*s", (int)length, at);
        value = json_is_array(value) ? json_array_get(value, (size_t)atoi(name))
                                     : json_object_get(value, name);
        at += length + (at[length] == '.');
    }
    char *text = json_is_string(value) ? alloc_string(json_string_value(value))
                 : value == NULL       ? alloc_string("")
                                       : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(root);
    http_reply_done(&reply);
    return text;
}

struct awaited {
    struct day *day;
    char path[256];
    const char *state;
};

static bool has_state(void *user)
{
    struct awaited *awaited = user;
    char *state = look(awaited->day, awaited->path, "state");
    bool is_it = strcmp(state, awaited->state) == 0;
    free(state);
    return is_it;
}

static void await_state(struct day *day, const char *id, const char *state)
{
    struct awaited awaited = {.day = day, .state = state};
    (void)snprintf(awaited.path, sizeof awaited.path, "/v1/transactions/%s", id);
    if (!stack_poll(NULL, clock_monotonic_ms() + 30000, has_state, &awaited)) {
        char *is = look(day, awaited.path, "");
        fail_msg("%s is not %s: %s", id, state, is);
    }
}

static void restart_coordinator(struct day *day)
{
    struct error error;
    stack_daemon_kill(stack_coordinator(day->stack));
    assert_success(stack_daemon_start(stack_coordinator(day->stack), NULL, &error), &error);
}

static bool answers(void *user)
{
    struct http_reply reply;
    struct error error;
    struct day *day = user;
    if (!stack_http(day->stack, "/v1/queues", NULL, NULL, &reply, &error)) {
        return false;
    }
    bool is_up = reply.status == 200;
    http_reply_done(&reply);
    return is_up;
}

static void await_answers(struct day *day)
{
    assert_true(stack_poll(NULL, day_soon(), answers, day));
}

static char *header(const struct http_reply *reply, const char *name)
{
    char *value = http_reply_header(reply, name);
    return value == NULL ? alloc_string("") : value;
}

#define REQUESTS 5

static void expect_rows(struct day *day, const char *id, const char *account, int times)
{
    struct effects effects;
    struct error error;
    assert_success(checkout_effects(day->stack, id, account, &effects, &error), &error);
    assert_int_equal(effects.orders, times);
    assert_int_equal(effects.payments[1], times);
}

/* The story of `upgrade`: the payment database is down, requests are taken all the same, the coordinator is killed, and when the
 * database is back they run, in their order, each one once. */
static void test_accepted_while_a_database_is_down(void **state)
{
    struct day *day = *state;
    struct error error;
    char ids[REQUESTS][160];
    assert_success(checkout_open_account(day->stack, "patient", "100.00", &error), &error);
    assert_success(pgcluster_stop(stack_cluster(day->stack, DAY_PAYMENT), PGCLUSTER_FAST, &error),
                   &error);
    day_wait_not_ready(day);
    for (int i = 0; i < REQUESTS; i++) {
        char name[32];
        struct http_reply reply;
        (void)snprintf(name, sizeof name, "later-%d", i);
        const struct checkout shape = {.id = name, .account = "patient"};
        char *body = queued_body(day, &shape, "checkout");
        hand_over(day, name, body, &reply);
        assert_int_equal(reply.status, 202);
        char *location = header(&reply, "Location");
        char *applied = header(&reply, "Preference-Applied");
        assert_string_equal(applied, "respond-async");
        assert_int_equal(strncmp(location, "/v1/transactions/", 17), 0);
        (void)snprintf(ids[i], sizeof ids[i], "%s", location + 17);
        http_reply_done(&reply);
        /* Now, it is refused at once. */
        struct answer answer;
        char *plain = checkout_body(day->stack, &shape);
        checkout_submit(day->stack, "now", plain, &answer);
        assert_int_equal(answer.status, 503);
        answer_done(&answer);
        free(plain);
        free(location);
        free(applied);
        free(body);
    }
    char *length = look(day, "/v1/queues", "queues.0.length");
    assert_string_equal(length, "5");
    free(length);
    restart_coordinator(day);
    await_answers(day);
    char *head = look(day, "/v1/queues", "queues.0.head.id");
    assert_string_equal(head, ids[0]);
    free(head);
    assert_success(pgcluster_start(stack_cluster(day->stack, DAY_PAYMENT), &error), &error);
    for (int i = 0; i < REQUESTS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "later-%d", i);
        await_state(day, ids[i], "committed");
        expect_rows(day, name, "patient", 1);
    }
    char *order = NULL;
    assert_success(stack_sql(day->stack, DAY_ORDER,
                             "SELECT string_agg(id, ' ' ORDER BY ctid) FROM orders", &order,
                             &error),
                   &error);
    assert_string_equal(order, "later-0 later-1 later-2 later-3 later-4");
    free(order);
    day_expect_whole(day);
    assert_success(checkout_audit(day->stack, &error), &error);
}

/* The coordinator dies between ACCEPT and the 202, in the run, around the decision, around END: asked again by its key it is one
 * request with one outcome. */
static void test_accepted_survives_every_kill(void **state)
{
    static const char *const points[] = {
        "c.accepted.pre_log", "c.accepted.post_sync", "c.reply.pre",    "c.reply.post",
        "c.prepare.sent",     "c.vote.recv",          "c.decide.enter", "c.decide.pre_sync",
        "c.decide.post_sync", "c.decide.post_state",  "c.commit.sent",  "c.ack.recv",
        "c.end.pre_log",      "c.end.post_log",
    };
    struct day *day = *state;
    struct error error;
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        char name[64];
        struct http_reply reply;
        (void)snprintf(name, sizeof name, "kill-%zu", i);
        assert_success(checkout_open_account(day->stack, name, "100.00", &error), &error);
        const struct checkout shape = {.id = name, .account = name};
        char *body = queued_body(day, &shape, "kills");
        /* Cleanly, with its END: else the one before is finished first, and that comes past the point. */
        assert_success(stack_daemon_stop(coordinator, &error), &error);
        assert_success(stack_daemon_start_faulty(coordinator, points[i], &error), &error);
        assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
        hand_over(day, name, body, &reply);
        assert_true(reply.status == 0 || reply.status == 202);
        http_reply_done(&reply);
        int status = 0;
        if (!stack_daemon_wait(coordinator, day_soon(), &status)) {
            fail_msg("%s: not reached", points[i]);
        }
        assert_success(stack_daemon_start(coordinator, NULL, &error), &error);
        await_answers(day);
        hand_over(day, name, body, &reply);
        char *id = header(&reply, "Assent-Transaction");
        assert_true(reply.status == 202 || reply.status == 200);
        http_reply_done(&reply);
        await_state(day, id, "committed");
        expect_rows(day, name, name, 1);
        /* Also without respond-async: the same outcome. */
        struct answer answer;
        char *plain = checkout_body(day->stack, &shape);
        checkout_submit(day->stack, name, plain, &answer);
        assert_int_equal(answer.told, TOLD_COMMITTED);
        assert_string_equal(answer.id, id);
        answer_done(&answer);
        free(plain);
        free(id);
        free(body);
    }
    day_expect_whole(day);
    assert_success(checkout_audit(day->stack, &error), &error);
}

static int act(struct day *day, const char *id, const char *what, const char *body)
{
    char path[256];
    struct http_reply reply;
    struct error error;
    (void)snprintf(path, sizeof path, "/v1/transactions/%s/%s", id, what);
    assert_success(stack_http(day->stack, path, NULL, body, &reply, &error), &error);
    int status = reply.status;
    http_reply_done(&reply);
    return status;
}

/* A dropped request is in the lists, the newest of those that aborted: from memory, and after a restart from the journal. */
static void expect_dropped_in_lists(struct day *day, const char *id)
{
    static const char *const lists[] = {"/v1/transactions?state=aborted&limit=1",
                                        "/v1/transactions?state=aborted"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        char *listed = look(day, lists[i], "transactions.0.id");
        char *state = look(day, lists[i], "transactions.0.state");
        assert_string_equal(listed, id);
        assert_string_equal(state, "aborted");
        free(listed);
        free(state);
    }
    char *all = look(day, "/v1/transactions", "");
    char *of_key = look(day, "/v1/transactions?key=never", "transactions");
    assert_non_null(strstr(all, id));
    assert_string_equal(of_key, "[]"); /* the key is free */
    free(all);
    free(of_key);
}

/* A request that cannot succeed is dead, with the whole of it and the reason to look at, over restarts; its queue goes on; a person
 * requeues it in vain and drops it; its key is then free. */
static void test_dead_requests_are_a_persons(void **state)
{
    struct day *day = *state;
    struct error error;
    struct http_reply reply;
    char path[256];
    assert_success(checkout_open_account(day->stack, "poor", "100.00", &error), &error);
    struct checkout shape = {.id = "never", .account = "poor"};
    shape.parts[DAY_PAYMENT] = CHECKOUT_REFUSES;
    char *body = queued_body(day, &shape, "sales");
    hand_over(day, "never", body, &reply);
    assert_int_equal(reply.status, 202);
    char *id = header(&reply, "Assent-Transaction");
    http_reply_done(&reply);
    const struct checkout good = {.id = "next", .account = "poor"};
    char *good_body = queued_body(day, &good, "sales");
    hand_over(day, "next", good_body, &reply);
    char *good_id = header(&reply, "Assent-Transaction");
    http_reply_done(&reply);
    (void)snprintf(path, sizeof path, "/v1/transactions/%s?wait=60", id);
    const uint64_t asked_ms = clock_monotonic_ms();
    char *outcome = look(day, path, "state");
    assert_string_equal(outcome, "dead");
    free(outcome);
    assert_true(clock_monotonic_ms() - asked_ms < 30000); /* told, not timed out */
    await_state(day, good_id, "committed");               /* a dead head holds nobody */
    for (int round = 0; round < 2; round++) {
        (void)snprintf(path, sizeof path, "/v1/transactions/%s", id);
        char *reason = look(day, path, "reason");
        char *sql = look(day, path, "branches.0.statements.0.sql");
        char *listed = look(day, "/v1/transactions?state=dead", "transactions.0.id");
        char *dead = look(day, "/v1/queues", "queues.0.dead");
        assert_string_equal(reason, "row_count");
        assert_non_null(strstr(sql, "INSERT"));
        assert_string_equal(listed, id);
        assert_string_equal(dead, "1");
        free(reason);
        free(sql);
        free(listed);
        free(dead);
        hand_over(day, "never", body, &reply);
        assert_int_equal(reply.status, 409);
        assert_non_null(strstr(reply.body, "\"dead\""));
        http_reply_done(&reply);
        restart_coordinator(day);
        await_answers(day);
    }
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    assert_int_equal(act(day, good_id, "requeue", "{}"), 409);
    assert_int_equal(act(day, id, "requeue", "{}"), 200);
    await_state(day, id, "dead");
    assert_int_equal(act(day, id, "drop", "{\"comment\":\"the card was stolen\"}"), 200);
    assert_int_equal(act(day, id, "drop", "{}"), 409);
    expect_dropped_in_lists(day, id);
    restart_coordinator(day);
    await_answers(day);
    expect_dropped_in_lists(day, id);
    (void)snprintf(path, sizeof path, "/v1/transactions/%s", id);
    char *state_text = look(day, path, "state");
    char *detail = look(day, path, "detail");
    assert_string_equal(state_text, "aborted");
    assert_non_null(strstr(detail, "the card was stolen"));
    free(state_text);
    free(detail);
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    hand_over(day, "never", good_body, &reply); /* another body: the key is free */
    assert_int_equal(reply.status, 202);
    http_reply_done(&reply);
    free(id);
    free(good_id);
    free(body);
    free(good_body);
    day_expect_whole(day);
}

/* A queue that is full refuses with 429 and the limit's name, and stores nothing: the key stays free, nothing of it is there after a
 * restart, and once there is room the same request is taken. */
static void test_full_queue_refuses_and_stores_nothing(void **state)
{
    struct day *day = *state;
    struct error error;
    struct http_reply reply;
    day_stack(day, (struct stack_options){.assentd_lines = "queue_max_each = 1\n"});
    day_start(day);
    assert_success(checkout_open_account(day->stack, "full", "100.00", &error), &error);
    assert_success(pgcluster_stop(stack_cluster(day->stack, DAY_PAYMENT), PGCLUSTER_FAST, &error),
                   &error);
    day_wait_not_ready(day);
    const struct checkout first = {.id = "full-1", .account = "full"};
    const struct checkout second = {.id = "full-2", .account = "full"};
    char *first_body = queued_body(day, &first, "narrow");
    char *second_body = queued_body(day, &second, "narrow");
    hand_over(day, "full-1", first_body, &reply);
    assert_int_equal(reply.status, 202);
    char *id = header(&reply, "Assent-Transaction");
    http_reply_done(&reply);
    for (int round = 0; round < 2; round++) {
        hand_over(day, "full-2", second_body, &reply);
        assert_int_equal(reply.status, 429);
        char *retry_after = header(&reply, "Retry-After");
        assert_true(atoi(retry_after) > 0);
        assert_non_null(strstr(reply.body, "urn:assent:problem:overload"));
        assert_non_null(strstr(reply.body, "queue_max_each"));
        free(retry_after);
        http_reply_done(&reply);
        char *listed = look(day, "/v1/transactions?key=full-2", "transactions");
        char *length = look(day, "/v1/queues", "queues.0.length");
        assert_string_equal(listed, "[]");
        assert_string_equal(length, "1");
        free(listed);
        free(length);
        restart_coordinator(day);
        await_answers(day);
    }
    assert_success(pgcluster_start(stack_cluster(day->stack, DAY_PAYMENT), &error), &error);
    await_state(day, id, "committed");
    free(id);
    hand_over(day, "full-2", second_body, &reply);
    assert_int_equal(reply.status, 202);
    id = header(&reply, "Assent-Transaction");
    http_reply_done(&reply);
    await_state(day, id, "committed");
    expect_rows(day, "full-1", "full", 1);
    expect_rows(day, "full-2", "full", 1);
    day_expect_whole(day);
    free(id);
    free(first_body);
    free(second_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        day_test(test_accepted_while_a_database_is_down),
        day_test(test_accepted_survives_every_kill),
        day_test(test_dead_requests_are_a_persons),
        day_test_idle(test_full_queue_refuses_and_stores_nothing),
    };
    return cmocka_run_group_tests(tests, day_clusters_make, day_clusters_free);
}
