/*
 * test_bad_days_policy.c - a policy at one participant of a whole stack: what it lets through commits with the others' SQL,
 * what it refuses leaves nothing anywhere, and a file with a mistake changes nothing.
 */
#include "test_bad_days_kit.h"

#include <sys/stat.h>
#include <sysexits.h>

#include "common/alloc.h"

static const char bank[] = "[operation debit]\n"
                           "sql = UPDATE accounts SET balance = balance - $2\n"
                           "    WHERE id = $1 AND balance >= $2 RETURNING balance\n"
                           "params = account text, amount numeric\n"
                           "expect_rows = 1\n"
                           "[operation audit]\n"
                           "sql = SELECT id FROM accounts\n"
                           "max_rows = 1\n";

struct shop {
    struct day *day;
    struct stack_daemon *agent;
    char *plain; /* its configuration without a policy */
    char operations_path[512];
};

static void write_operations(const struct shop *shop, const char *text)
{
    FILE *file = fopen(shop->operations_path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(shop->operations_path, 0644), 0); /* the agent may be another user */
}

static void write_policy(const struct shop *shop, const char *operations, const char *lines)
{
    char text[8192];
    struct error error;
    write_operations(shop, operations);
    (void)snprintf(text, sizeof text, "%s\n[policy]\noperations_file = %s\n%s", shop->plain,
                   shop->operations_path, lines);
    assert_success(stack_config_write(shop->agent, text, &error), &error);
}

static void reload(const struct shop *shop, const char *wanted)
{
    off_t offset = stack_daemon_log_size(shop->agent);
    stack_daemon_signal(shop->agent, SIGHUP);
    day_wait_log(shop->day, shop->agent, offset, wanted);
}

/* Two accounts; the payments' agent runs the bank's operations and no SQL. */
static struct shop shop_open(struct day *day)
{
    struct shop shop = {.day = day, .agent = stack_agent(day->stack, DAY_PAYMENT)};
    struct error error;
    shop.plain = stack_config_text(shop.agent);
    (void)snprintf(shop.operations_path, sizeof shop.operations_path, "%s/bank.operations",
                   stack_folder(day->stack));
    assert_success(checkout_open_account(day->stack, "c-7", "100.00", &error), &error);
    assert_success(checkout_open_account(day->stack, "c-8", "100.00", &error), &error);
    write_policy(&shop, bank, "operations_only = yes\n");
    reload(&shop, "policy read again");
    return shop;
}

/* An order of this id, and `payment` as the statement of the payments' branch. The body is returned owned. */
static char *submit(const struct shop *shop, const char *key, const char *id, const char *payment,
                    int status)
{
    char body[2048];
    struct http_reply reply;
    struct error error;
    (void)snprintf(body, sizeof body,
                   "{\"branches\":[{\"participant\":\"order\",\"statements\":[{\"sql\":"
                   "\"INSERT INTO orders VALUES ('%s', 'c-7', 1)\"}]},"
                   "{\"participant\":\"payment\",\"statements\":[%s]}]}",
                   id, payment);
    assert_success(stack_http(shop->day->stack, "/v1/transactions", key, body, &reply, &error),
                   &error);
    if (reply.status != status) {
        fail_msg("%d %s, wanted %d for %s", reply.status, reply.body, status, body);
    }
    char *text = alloc_string(reply.body);
    http_reply_done(&reply);
    return text;
}

static void expect(const struct shop *shop, const char *sql, size_t participant, const char *wanted)
{
    char *value = NULL;
    struct error error;
    assert_success(stack_sql(shop->day->stack, participant, sql, &value, &error), &error);
    assert_string_equal(value, wanted);
    free(value);
}

#define BALANCE "SELECT balance FROM accounts WHERE id = 'c-7'"

/* An operation commits together with SQL elsewhere; the same key with its arguments in another order gets the recorded answer. */
static void test_operation_commits_once_under_its_key(void **state)
{
    struct shop shop = shop_open(*state);
    char *first =
        submit(&shop, "pay-1", "o-1",
               "{\"operation\":\"debit\",\"args\":{\"account\":\"c-7\",\"amount\":12.50}}", 200);
    assert_non_null(strstr(first, "\"87.50\""));
    char *again = submit(
        &shop, "pay-1", "o-1",
        "{\"args\":{\"amount\":\"12.50\",\"account\":\"c-7\"},\"operation\":\"debit\"}", 200);
    assert_string_equal(first, again);
    free(submit(&shop, "pay-1", "o-1",
                "{\"operation\":\"debit\",\"args\":{\"account\":\"c-8\",\"amount\":12.50}}", 422));
    expect(&shop, BALANCE, DAY_PAYMENT, "87.50");
    expect(&shop, "SELECT count(*) FROM orders", DAY_ORDER, "1");
    day_expect_whole(shop.day);
    free(first);
    free(again);
    free(shop.plain);
}

/* What the policy refuses names its rule, and leaves nothing in the other database either. */
static void test_refusal_names_its_rule_and_leaves_nothing(void **state)
{
    static const struct {
        const char *statement;
        int status;
        const char *wanted;
    } cases[] = {
        {"{\"sql\":\"UPDATE accounts SET balance = 0\"}", 403, "policy operations_only: "},
        {"{\"operation\":\"credit\",\"args\":{}}", 403, "policy operation: "},
        {"{\"operation\":\"debit\"}", 403, "needs the argument \\\"account\\\""},
        {"{\"operation\":\"debit\",\"args\":{\"account\":\"c-7\"}}", 403,
         "needs the argument \\\"amount\\\""},
        {"{\"operation\":\"debit\",\"args\":{\"account\":\"c-7\",\"amount\":1,\"x\":1}}", 403,
         "no argument \\\"x\\\""},
        {"{\"operation\":\"debit\",\"args\":{\"account\":\"c-7\",\"amount\":1},\"expect_rows\":2}",
         403, "policy expect_rows: "},
        {"{\"operation\":\"audit\"}", 403, "policy max_rows: "},
        {"{\"operation\":\"debit\",\"args\":{\"account\":\"c-7\",\"amount\":\"much\"}}", 409,
         "\"sqlstate\":\"22P02\""},
        {"{\"operation\":\"debit\",\"args\":{\"account\":\"c-7\",\"amount\":true}}", 409,
         "\"sqlstate\":\"22P02\""},
        {"{\"operation\":\"debit\",\"args\":{\"account\":null,\"amount\":1}}", 409, "row_count"},
        {"{\"operation\":\"debit\",\"args\":{\"account\":\"c-7\",\"amount\":1000}}", 409,
         "row_count"},
        {"{\"operation\":\"debit\",\"args\":{\"account\":\"c\\u0000\",\"amount\":1}}", 400, "NUL"},
        {"{\"operation\":\"debit\",\"args\":{\"account\":[],\"amount\":1}}", 400, "malformed"},
        {"{\"operation\":\"debit\",\"sql\":\"SELECT 1\"}", 422, "invalid"},
    };
    struct shop shop = shop_open(*state);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *body = submit(&shop, NULL, "o-2", cases[i].statement, cases[i].status);
        if (strstr(body, cases[i].wanted) == NULL ||
            (cases[i].status == 403 && strstr(body, "rejected_by_policy") == NULL)) {
            fail_msg("%s, wanted %s", body, cases[i].wanted);
        }
        free(body);
    }
    expect(&shop, BALANCE, DAY_PAYMENT, "100.00");
    expect(&shop, "SELECT count(*) FROM orders WHERE id = 'o-2'", DAY_ORDER, "0");
    day_expect_whole(shop.day);
    free(shop.plain);
}

static const char ask[] = "{\"operation\":\"debit\",\"args\":{\"account\":\"c-7\",\"amount\":1}}";

/* A mistake in either file, told with its line, leaves the policy as it was, and a start refuses it; put right, it holds from
 * the next branch on. */
static void test_mistake_in_a_file_changes_nothing(void **state)
{
    struct shop shop = shop_open(*state);
    struct error error;
    write_policy(&shop, "[operation debit]\nsql = SELECT $1\n", "");
    reload(&shop, "bank.operations:2: [operation debit] sql: it mentions $1");
    free(submit(&shop, NULL, "o-3", ask, 200)); /* still the old one */
    free(submit(&shop, NULL, "o-4", "{\"sql\":\"SELECT 1\"}", 403));
    write_policy(&shop, bank, "operations_onyl = no\n");
    reload(&shop, "did you mean \\\"operations_only\\\"?");
    free(submit(&shop, NULL, "o-4", "{\"sql\":\"SELECT 1\"}", 403));

    assert_success(stack_daemon_stop(shop.agent, &error), &error);
    assert_success(stack_daemon_start(shop.agent, NULL, &error), &error);
    assert_int_equal(day_exit_code(shop.day, shop.agent), EX_CONFIG);
    write_policy(&shop, bank, "role = nobody-here\n");
    day_start(shop.day);
    char *body = submit(&shop, NULL, "o-5", ask, 403);
    assert_non_null(strstr(body, "policy role: role \\\"nobody-here\\\" does not exist"));
    free(body);
    write_policy(&shop, bank, "");
    reload(&shop, "policy read again");
    free(submit(&shop, NULL, "o-6", ask, 200));
    free(submit(&shop, NULL, "o-7", "{\"sql\":\"SELECT 1\"}", 200));
    expect(&shop, BALANCE, DAY_PAYMENT, "98.00");
    expect(&shop, "SELECT string_agg(id, ' ' ORDER BY id) FROM orders", DAY_ORDER, "o-3 o-6 o-7");
    day_expect_whole(shop.day);
    free(shop.plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        day_test(test_operation_commits_once_under_its_key),
        day_test(test_refusal_names_its_rule_and_leaves_nothing),
        day_test(test_mistake_in_a_file_changes_nothing),
    };
    return cmocka_run_group_tests(tests, day_clusters_make, day_clusters_free);
}
