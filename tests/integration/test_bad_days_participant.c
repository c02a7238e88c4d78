/*
 * test_bad_days_participant.c - bad days of a participant, with real daemons: it is down, has another
 * secret or no room for prepared transactions; somebody else's hand was in its database; its client
 * sends nonsense.
 */
#include "test_bad_days_kit.h"

#include <sys/stat.h>
#include <unistd.h>

/* --- a participant that cannot work ----------------------------------------------------------- */

static void assert_refused(struct day *day, struct deal *deal, const char *reason, const char *text)
{
    uint64_t begin_ms = clock_monotonic_ms();
    deal_submit(day, deal);
    assert_true(clock_monotonic_ms() - begin_ms < 2000); /* the request's own timeout is 5 s */
    assert_int_equal(deal->answer.status, 503);
    assert_string_equal(deal->answer.reason, reason);
    if (strstr(deal->answer.body, text) == NULL) {
        fail_msg("\"%s\" is not said in %s", text, deal->answer.body);
    }
    deal_expect_rows(day, deal, 0);
    assert_int_equal(stack_prepared_total(day->stack), 0);
}

/* While a participant is down a request is refused at once, with Retry-After, and nothing is done;
 * the same key commits when it is back. */
static void test_participant_down_is_refused_at_once(void **state)
{
    struct day *day = *state;
    struct deal deal;
    struct error error;
    struct http_reply reply;
    deal_make(day, &deal, (struct checkout){0});
    assert_success(stack_daemon_stop(stack_agent(day->stack, DAY_PAYMENT), &error), &error);
    day_wait_not_ready(day);
    assert_refused(day, &deal, "participant_unavailable", "payment");
    assert_success(stack_http(day->stack, "/v1/transactions", deal.key, deal.body, &reply, &error),
                   &error);
    char *retry_after = http_reply_header(&reply, "Retry-After");
    assert_non_null(retry_after);
    free(retry_after);
    http_reply_done(&reply);
    day_start(day);
    deal_again(day, &deal, TOLD_COMMITTED, 1);
    day_expect_whole(day);
    deal_done(&deal);
}

static void write_secret(const char *path, const char *text)
{
    FILE *file = fopen(path, "we"); /* truncates: owner and mode stay */
    assert_non_null(file);
    assert_true(fprintf(file, "%s\n", text) > 0);
    assert_int_equal(fclose(file), 0);
}

/* An agent with another secret is no participant: both sides say so, nothing is done, and the right
 * secret mends it. */
static void test_wrong_secret_is_denied_and_said(void **state)
{
    struct day *day = *state;
    struct deal deal;
    struct error error;
    char right[256] = "";
    struct stack_daemon *agent = stack_agent(day->stack, DAY_PAYMENT);
    const char *path = stack_secret_path(day->stack, DAY_PAYMENT);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(right, sizeof right, file));
    (void)fclose(file);
    right[strcspn(right, "\n")] = '\0';
    assert_success(stack_daemon_stop(agent, &error), &error);
    write_secret(path, "0123456789abcdef0123456789abcdef");
    off_t offset = stack_daemon_log_size(stack_coordinator(day->stack));
    off_t agent_offset = stack_daemon_log_size(agent);
    assert_success(stack_daemon_start(agent, NULL, &error), &error);
    day_wait_log(day, stack_coordinator(day->stack), offset, "trouble=denied");
    day_wait_log(day, agent, agent_offset, "secret");
    deal_make(day, &deal, (struct checkout){0});
    assert_refused(day, &deal, "participant_unavailable", "payment");

    assert_success(stack_daemon_stop(agent, &error), &error);
    write_secret(path, right);
    day_start(day);
    deal_again(day, &deal, TOLD_COMMITTED, 1);
    deal_done(&deal);
}

static void restart_payment_database(struct day *day, const char *conf)
{
    struct error error;
    struct pgcluster *cluster = stack_cluster(day->stack, DAY_PAYMENT);
    assert_success(pgcluster_configure(cluster, conf, &error), &error);
    assert_success(pgcluster_restart(cluster, PGCLUSTER_FAST, &error), &error);
}

/* A server that allows no prepared transactions: the agent names the setting, the API answers 503
 * with it, and the setting mends it without a restart of ours. */
static void test_no_prepared_transactions_allowed_names_the_setting(void **state)
{
    struct day *day = *state;
    struct deal deal;
    struct error error;
    struct stack_daemon *agent = stack_agent(day->stack, DAY_PAYMENT);
    off_t offset = stack_daemon_log_size(agent);
    restart_payment_database(day, "max_prepared_transactions = 0");
    day_wait_log(day, agent, offset, "max_prepared_transactions");
    day_wait_not_ready(day);
    deal_make(day, &deal, (struct checkout){0});
    assert_refused(day, &deal, "participant_unavailable", "max_prepared_transactions");

    restart_payment_database(day, "max_prepared_transactions = 64");
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    deal_again(day, &deal, TOLD_COMMITTED, 1);
    day_expect_whole(day);
    deal_done(&deal);
}

/* All slots taken by others: 503 capacity, the order is rolled back, the others are left alone. */
static void test_slots_exhausted_is_capacity(void **state)
{
    struct day *day = *state;
    struct deal deal;
    struct error error;
    restart_payment_database(day, "max_prepared_transactions = 1");
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    day_sql(day, DAY_PAYMENT, "BEGIN; PREPARE TRANSACTION 'stranger'");
    deal_make(day, &deal, (struct checkout){0});
    deal_submit(day, &deal);
    assert_int_equal(deal.answer.status, 503);
    assert_string_equal(deal.answer.reason, "capacity");
    deal_expect(day, &deal, TOLD_ABORTED, 0);
    day_wait_prepared(day, DAY_ORDER, "assent:", 0);
    assert_int_equal(stack_prepared_count(day->stack, DAY_PAYMENT, "stranger"), 1);

    day_sql(day, DAY_PAYMENT, "ROLLBACK PREPARED 'stranger'");
    deal_again(day, &deal, TOLD_COMMITTED, 1);
    day_expect_whole(day);
    restart_payment_database(day, "max_prepared_transactions = 64");
    deal_done(&deal);
}

/* --- other hands in the database -------------------------------------------------------------- */

static void expect_state(struct day *day, const struct deal *deal, const char *wanted, char id[160])
{
    char state[32];
    struct error error;
    assert_success(checkout_state_by_key(day->stack, deal->key, state, id, &error), &error);
    assert_string_equal(state, wanted);
}

static void expect_in_view(struct day *day, const char *id, const char *text)
{
    char path[256];
    struct http_reply reply;
    struct error error;
    (void)snprintf(path, sizeof path, "/v1/transactions/%s", id);
    assert_success(stack_http(day->stack, path, NULL, NULL, &reply, &error), &error);
    if (strstr(reply.body, text) == NULL) {
        fail_msg("%s is not in %s", text, reply.body);
    }
    http_reply_done(&reply);
}

struct state_wait {
    struct day *day;
    const struct deal *deal;
    const char *wanted;
};

static bool state_is(void *user)
{
    const struct state_wait *wait = user;
    char state[32], id[160];
    return checkout_state_by_key(wait->day->stack, wait->deal->key, state, id, NULL) &&
           strcmp(state, wait->wanted) == 0;
}

static int resolve(struct day *day, const char *id, const char *participant, const char *action)
{
    char path[256], body[160];
    struct http_reply reply;
    struct error error;
    (void)snprintf(path, sizeof path, "/v1/transactions/%s/resolve", id);
    (void)snprintf(body, sizeof body,
                   "{\"action\":\"%s\",\"participant\":\"%s\",\"comment\":\"test\"}", action,
                   participant);
    assert_success(stack_http(day->stack, path, NULL, body, &reply, &error), &error);
    int status = reply.status;
    http_reply_done(&reply);
    return status;
}

/* A human's ROLLBACK PREPARED after the decision: the other branch commits, the outcome is shown as
 * heuristic, survives a restart, and goes away only by being acknowledged. */
static void test_rollback_by_hand_after_the_decision_is_heuristic(void **state)
{
    struct day *day = *state;
    struct deal deal;
    struct effects effects;
    struct error error;
    char id[160], sql[256];
    deal_make(day, &deal, (struct checkout){0});
    day_leave_at(day, &deal, "c.decide.post_sync");
    char *gid = day_gid(day, DAY_PAYMENT);
    (void)snprintf(sql, sizeof sql, "ROLLBACK PREPARED '%s'", gid);
    free(gid);
    day_sql(day, DAY_PAYMENT, sql);
    day_start(day);
    struct state_wait wait = {day, &deal, "heuristic"};
    assert_true(stack_poll(stack_coordinator(day->stack), day_soon(), state_is, &wait));
    day_wait_prepared(day, DAY_ORDER, "assent:", 0);
    assert_success(checkout_effects(day->stack, deal.id, deal.account, &effects, &error), &error);
    assert_int_equal(effects.orders, 1);
    assert_int_equal(effects.payments[DAY_PAYMENT], 0);

    stack_daemon_kill(stack_coordinator(day->stack));
    day_start(day);
    expect_state(day, &deal, "heuristic", id);
    expect_in_view(day, id, "\"acknowledged\":false");
    expect_in_view(day, id, "heuristic-rollback");
    deal_submit(day, &deal); /* the client is not told that all is well */
    assert_int_equal(deal.answer.told, TOLD_HEURISTIC);

    assert_int_equal(resolve(day, id, "payment", "rollback"),
                     409); /* a decision is never overturned */
    assert_int_equal(resolve(day, id, "payment", "forget"), 200);
    expect_state(day, &deal, "heuristic", id);
    expect_in_view(day, id, "\"acknowledged\":true");
    day_expect_whole(day);
    deal_done(&deal);
}

/* The same by hand before the decision: the vote is void or the transaction already aborted; nothing
 * commits anywhere, nothing is heuristic. */
static void test_rollback_by_hand_before_the_decision_aborts(void **state)
{
    struct day *day = *state;
    struct deal deal;
    double heuristics = -1;
    char sql[256];
    struct error error;
    deal_make(day, &deal, (struct checkout){0});
    day_leave_at(day, &deal, "c.decide.enter");
    char *gid = day_gid(day, DAY_PAYMENT);
    (void)snprintf(sql, sizeof sql, "ROLLBACK PREPARED '%s'", gid);
    free(gid);
    day_sql(day, DAY_PAYMENT, sql);
    day_start(day);
    day_expect_whole(day);
    deal_expect_rows(day, &deal, 0);
    assert_success(stack_metric(day->stack, "assent_heuristic_branches_total", &heuristics, &error),
                   &error);
    assert_true(heuristics == 0);
    deal_again(day, &deal, TOLD_COMMITTED, 1);
    deal_done(&deal);
}

static bool heuristic_is_on_record(void *user)
{
    double count = 0;
    struct error error;
    return stack_metric(((struct day *)user)->stack, "assent_heuristic_branches_total", &count,
                        &error) &&
           count == 1;
}

/* P-12, H1. A person commits one branch while neither its agent nor its coordinator runs, and the transaction aborts. Nobody who
 * starts afterwards knows that branch or asks about an abort; its outcome is there, and is found. */
static void test_commit_by_hand_while_nobody_looks_is_heuristic(void **state)
{
    struct day *day = *state;
    struct deal deal;
    struct effects effects;
    char sql[256], id[160];
    struct error error;
    deal_make(day, &deal, (struct checkout){0});
    day_leave_at(day, &deal, "c.decide.enter");
    stack_daemon_kill(stack_agent(day->stack, DAY_ORDER));
    char *gid = day_gid(day, DAY_ORDER);
    (void)snprintf(sql, sizeof sql, "COMMIT PREPARED '%s'", gid);
    /* "assent:", the transaction's id, ":order:" and the attempt */
    (void)snprintf(id, sizeof id, "%.*s", (int)strcspn(gid + strlen("assent:"), ":"),
                   gid + strlen("assent:"));
    free(gid);
    day_sql(day, DAY_ORDER, sql);
    day_start(day);
    assert_true(stack_poll(stack_coordinator(day->stack), day_soon(), heuristic_is_on_record, day));
    day_wait_prepared(day, DAY_PAYMENT, "assent:", 0);
    assert_success(checkout_effects(day->stack, deal.id, deal.account, &effects, &error), &error);
    assert_int_equal(effects.orders, 1);
    assert_int_equal(effects.payments[DAY_PAYMENT], 0);

    expect_in_view(day, id, "heuristic-commit");
    assert_int_equal(resolve(day, id, "order", "forget"), 200);

    /* Once on record it stays one, also when the next agent asks again. */
    stack_daemon_kill(stack_agent(day->stack, DAY_ORDER));
    day_start(day);
    day_expect_whole(day);
    assert_true(heuristic_is_on_record(day));
    (void)snprintf(sql, sizeof sql, "DELETE FROM orders WHERE id = '%s'", deal.id);
    day_sql(day, DAY_ORDER, sql); /* what the person did, taken back by them */
    deal_done(&deal);
}

/* L1: a role that may not log in any more is not "there is nothing prepared". What was decided waits, is shown as in doubt,
 * and is finished when the role may again, without anybody. */
static void test_role_that_may_not_log_in_keeps_its_branch(void **state)
{
    struct day *day = *state;
    struct deal deal;
    struct error error;
    char id[160];
    deal_make(day, &deal, (struct checkout){0});
    day_leave_at(day, &deal, "c.decide.post_sync");
    struct stack_daemon *agent = stack_agent(day->stack, DAY_PAYMENT);
    stack_daemon_kill(agent);
    day_sql(day, DAY_PAYMENT, "ALTER ROLE assent_payment NOLOGIN");
    off_t offset = stack_daemon_log_size(agent);
    assert_success(stack_daemon_start(agent, NULL, &error), &error);
    assert_success(stack_daemon_start(stack_coordinator(day->stack), NULL, &error), &error);
    day_wait_log(day, agent, offset, "is not permitted to log in");
    day_wait_prepared(day, DAY_ORDER, "assent:", 0);
    expect_state(day, &deal, "committing", id);
    assert_int_equal(stack_prepared_count(day->stack, DAY_PAYMENT, "assent:"), 1);

    day_sql(day, DAY_PAYMENT, "ALTER ROLE assent_payment LOGIN");
    day_expect_whole(day);
    deal_expect_rows(day, &deal, 1);
    deal_again(day, &deal, TOLD_COMMITTED, 1);
    deal_done(&deal);
}

/* Prepared transactions of others, also ones that look like ours, are never touched: not by sweeps,
 * not by restarts. */
static void test_foreign_prepared_transactions_are_left_alone(void **state)
{
    static const char *const foreign[] = {
        "other-product-1", "assent", "assent:", "assent:nonsense",
        /* well-formed, of a journal that nobody here knows */
        "assent:00112233445566778899aabbccddeeff-1-0123456789abcdef-1:order:0123456789abcdef"};
    const int count = (int)(sizeof foreign / sizeof foreign[0]);
    struct day *day = *state;
    struct deal deal;
    struct error error;
    for (int i = 0; i < count; i++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql, "BEGIN; PREPARE TRANSACTION '%s'", foreign[i]);
        day_sql(day, DAY_ORDER, sql);
    }
    struct stack_daemon *agent = stack_agent(day->stack, DAY_ORDER);
    stack_daemon_kill(agent);
    stack_daemon_kill(stack_coordinator(day->stack));
    day_start(day); /* a new agent scans what it did not prepare itself */
    day_wait_participant(day, "order", "foreign", 1);
    deal_make(day, &deal, (struct checkout){0});
    deal_submit(day, &deal);
    deal_expect(day, &deal, TOLD_COMMITTED, 1);
    assert_success(stack_daemon_stop(agent, &error), &error);
    day_start(day);
    day_wait_participant(day, "order", "foreign", 1);
    for (int i = 0; i < count; i++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql, "ROLLBACK PREPARED '%s'", foreign[i]);
        day_sql(day, DAY_ORDER, sql); /* fails if it is gone */
    }
    deal_done(&deal);
}

/* --- clients that send nonsense --------------------------------------------------------------- */

static void expect_problem(struct day *day, const char *body, int status, const char *slug)
{
    struct http_reply reply;
    struct error error;
    assert_success(stack_http(day->stack, "/v1/transactions", NULL, body, &reply, &error), &error);
    if (reply.status != status || strstr(reply.body, slug) == NULL) {
        fail_msg("%d %s, wanted %d %s, for %.100s", reply.status, reply.body, status, slug, body);
    }
    http_reply_done(&reply);
}

/* Statements of clients that know no better, in one request with a second branch, which must not remain. */
static void expect_statement_refused(struct day *day, const char *statement, int status,
                                     const char *slug)
{
    char body[1024];
    (void)snprintf(body, sizeof body,
                   "{\"branches\":[{\"participant\":\"payment\",\"statements\":[{\"sql\":\"UPDATE "
                   "accounts SET balance = balance\"}]},"
                   "{\"participant\":\"order\",\"statements\":[{%s}]}]}",
                   statement);
    expect_problem(day, body, status, slug);
}

/* Parameters of the wrong type, missing, with a NUL, of invalid UTF-8, whose answer is too large; SQL that asks for nothing. */
static void test_bad_statements_are_refused_and_leave_nothing(void **state)
{
    static const struct {
        const char *statement;
        int status;
        const char *slug;
    } rows[] = {
        {"\"sql\":\"SELECT $1::int\",\"params\":[\"x\"]", 409, "statement_failed"},
        {"\"sql\":\"SELECT $1::int\",\"params\":[true]", 409, "statement_failed"},
        {"\"sql\":\"SELECT $1::int2\",\"params\":[70000]", 409, "statement_failed"},
        {"\"sql\":\"SELECT $1, $2\",\"params\":[\"x\"]", 409, "statement_failed"},
        {"\"sql\":\"SELECT $1::jsonb\",\"params\":[\"\\\"\\\\u0000\\\"\"]", 409,
         "statement_failed"},
        {"\"sql\":\"SELECT repeat($1, 300000)\",\"params\":[\"x\"]", 409, "result_too_large"},
        {"\"sql\":\"SELECT $1\",\"params\":[\"a\\u0000\"]", 400, "malformed"},
        {"\"sql\":\"SELECT $1\",\"params\":[\"\xc3\x28\"]", 400, "malformed"},
        {"\"sql\":\"SELECT '\xff'\"", 400, "malformed"},
        {"\"sql\":\"SELECT $1\",\"params\":[[1]]", 400, "malformed"},
        {"\"sql\":\"\"", 422, "invalid"},
        {"\"sql\":\" ;/* nothing */ -- at all\"", 422, "invalid"},
        {"\"sql\":\"/* not closed\"", 409, "statement_failed"},
    };
    struct day *day = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_statement_refused(day, rows[i].statement, rows[i].status, rows[i].slug);
    }
    day_expect_whole(day);
}

/* What cannot be run is refused with its name, before anything was done. */
static void test_nonsense_is_refused_with_its_name(void **state)
{
    struct day *day = *state;
    static char many[200000];
    size_t length = 0;
    expect_problem(day, "{\"branches\":[", 400, "malformed");
    expect_problem(day, "not json at all", 400, "malformed");
    expect_problem(
        day,
        "{\"branches\":[{\"participant\":\"nobody\",\"statements\":[{\"sql\":\"SELECT 1\"}]}]}",
        422, "unknown_participant");
    expect_problem(
        day,
        "{\"branches\":[{\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT 1\"}]},"
        "{\"participant\":\"order\",\"statements\":[{\"sql\":\"SELECT 1\"}]}]}",
        422, "invalid");
    length += (size_t)snprintf(many + length, sizeof many - length,
                               "{\"branches\":[{\"participant\":\"order\",\"statements\":[");
    for (int i = 0; i < 1001; i++) {
        length += (size_t)snprintf(many + length, sizeof many - length, "%s{\"sql\":\"SELECT %d\"}",
                                   i == 0 ? "" : ",", i);
    }
    (void)snprintf(many + length, sizeof many - length, "]}]}");
    expect_problem(day, many, 422, "statements");
    /* A client cannot leave its branch either (P-21). */
    expect_problem(day,
                   "{\"branches\":[{\"participant\":\"order\",\"statements\":"
                   "[{\"sql\":\"COMMIT AND CHAIN\"}]}]}",
                   403, "rejected_by_policy");
    day_expect_whole(day);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        day_test(test_participant_down_is_refused_at_once),
        day_test(test_wrong_secret_is_denied_and_said),
        day_test(test_no_prepared_transactions_allowed_names_the_setting),
        day_test(test_slots_exhausted_is_capacity),
        day_test(test_rollback_by_hand_after_the_decision_is_heuristic),
        day_test(test_rollback_by_hand_before_the_decision_aborts),
        day_test(test_commit_by_hand_while_nobody_looks_is_heuristic),
        day_test(test_role_that_may_not_log_in_keeps_its_branch),
        day_test(test_foreign_prepared_transactions_are_left_alone),
        day_test(test_bad_statements_are_refused_and_leave_nothing),
        day_test(test_nonsense_is_refused_with_its_name),
    };
    return cmocka_run_group_tests(tests, day_clusters_make, day_clusters_free);
}
