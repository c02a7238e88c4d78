/*
 * stack_checkout.c - the shop of the tests. See stack_checkout.h.
 */
#include "tests/lib/stack_checkout.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"

#define PRICE_CENTS 1250

static const char order_tables[] =
    "CREATE TABLE orders(id text PRIMARY KEY, customer text NOT NULL, amount numeric NOT NULL);"
    "CREATE TABLE order_lines(order_id text NOT NULL, item text NOT NULL);";
static const char payment_tables[] =
    "CREATE TABLE accounts(id text PRIMARY KEY, opened numeric NOT NULL, balance numeric NOT NULL);"
    "CREATE TABLE payments(order_id text NOT NULL, account text NOT NULL, amount numeric NOT "
    "NULL);";

bool checkout_setup(struct stack *stack, struct error *ret_error)
{
    for (size_t i = 0; i < stack_participant_count(stack); i++) {
        char grant[256];
        (void)snprintf(grant, sizeof grant,
                       "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "
                       "assent_%s",
                       stack_participant(stack, i));
        if (!stack_sql(stack, i, i == 0 ? order_tables : payment_tables, NULL, ret_error) ||
            !stack_sql(stack, i, grant, NULL, ret_error)) {
            return false;
        }
    }
    return true;
}

bool checkout_open_account(struct stack *stack, const char *account, const char *balance,
                           struct error *ret_error)
{
    for (size_t i = 1; i < stack_participant_count(stack); i++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO accounts(id, opened, balance) VALUES ('%s', %s, %s)", account,
                       balance, balance);
        if (!stack_sql(stack, i, sql, NULL, ret_error)) {
            return false;
        }
    }
    return true;
}

/* --- the request ------------------------------------------------------------------------------ */

static void add_statement(json_t *statements, const char *sql, json_t *params, int expect_rows)
{
    json_t *statement = json_pack("{s:s,s:o}", "sql", sql, "params", params);
    if (expect_rows >= 0) {
        (void)json_object_set_new(statement, "expect_rows", json_integer(expect_rows));
    }
    (void)json_array_append_new(statements, statement);
}

static void add_answer(json_t *statements, const struct checkout *checkout)
{
    if (checkout->answer_bytes > 0) {
        add_statement(statements, "SELECT repeat('x', $1::integer)",
                      json_pack("[i]", (int)checkout->answer_bytes), -1);
    }
}

/* -1: no expectation. */
static int expect(const struct checkout *checkout, int rows)
{
    return checkout->plain ? -1 : rows;
}

static json_t *order_branch(const struct checkout *checkout)
{
    json_t *statements = json_array();
    add_statement(
        statements, "INSERT INTO orders(id, customer, amount) VALUES ($1, $2, $3::numeric)",
        json_pack("[sss]", checkout->id, checkout->account, "12.50"), expect(checkout, 1));
    add_statement(statements, "INSERT INTO order_lines(order_id, item) VALUES ($1, $2)",
                  json_pack("[ss]", checkout->id, "a book"), expect(checkout, 1));
    add_answer(statements, checkout);
    return statements;
}

static json_t *reading_branch(const struct checkout *checkout, bool orders)
{
    json_t *statements = json_array();
    add_statement(statements,
                  orders ? "SELECT count(*) FROM orders WHERE customer = $1"
                         : "SELECT balance FROM accounts WHERE id = $1",
                  json_pack("[s]", checkout->account), 1);
    add_statement(statements,
                  orders ? "SELECT count(*) FROM order_lines" : "SELECT count(*) FROM payments",
                  json_array(), 1);
    return statements;
}

static json_t *payment_branch(const struct stack *stack, size_t index,
                              const struct checkout *checkout)
{
    json_t *statements = json_array();
    if (checkout->gate != 0 && index == stack_participant_count(stack) - 1) {
        add_statement(statements, "SELECT pg_advisory_xact_lock_shared($1)",
                      json_pack("[i]", (int)checkout->gate), -1);
    }
    const uint32_t pay_after_ms = index < checkout->first_to_wait ? 0 : checkout->pay_after_ms;
    const int rows = checkout->parts[index] == CHECKOUT_REFUSES ? 2 : 1; /* there is one account */
    if (checkout->plain) {
        add_statement(statements,
                      "UPDATE accounts SET balance = balance - $2::numeric"
                      " WHERE id = $1 AND pg_sleep($3::float8 / 1000)::text = ''",
                      json_pack("[ssi]", checkout->account, "12.50", (int)pay_after_ms), -1);
    } else if (pay_after_ms > 0) {
        add_statement(statements, "SELECT pg_sleep($1::float8 / 1000)",
                      json_pack("[i]", (int)pay_after_ms), -1);
    }
    if (!checkout->plain) {
        add_statement(statements,
                      "UPDATE accounts SET balance = balance - $2::numeric"
                      " WHERE id = $1 AND balance >= $2::numeric RETURNING id",
                      json_pack("[ss]", checkout->account, "12.50"), rows);
    }
    add_statement(
        statements, "INSERT INTO payments(order_id, account, amount) VALUES ($1, $2, $3::numeric)",
        json_pack("[sss]", checkout->id, checkout->account, "12.50"), expect(checkout, 1));
    add_answer(statements, checkout);
    return statements;
}

static json_t *branch(const struct stack *stack, size_t index, const struct checkout *checkout)
{
    const enum checkout_part part = checkout->parts[index];
    const bool reads = part == CHECKOUT_READS || part == CHECKOUT_READS_SERIAL;
    json_t *statements = reads        ? reading_branch(checkout, index == 0)
                         : index == 0 ? order_branch(checkout)
                                      : payment_branch(stack, index, checkout);
    json_t *made = json_pack("{s:s,s:o}", "participant", stack_participant(stack, index),
                             "statements", statements);
    if (reads) {
        (void)json_object_set_new(made, "read_only", json_true());
    }
    if (part == CHECKOUT_READS_SERIAL) {
        (void)json_object_set_new(made, "isolation", json_string("serializable"));
    }
    return made;
}

char *checkout_body(const struct stack *stack, const struct checkout *checkout)
{
    json_t *branches = json_array();
    for (size_t i = 0; i < stack_participant_count(stack); i++) {
        if (checkout->parts[i] != CHECKOUT_ABSENT) {
            (void)json_array_append_new(branches, branch(stack, i, checkout));
        }
    }
    json_t *root = json_pack("{s:o,s:i,s:s}", "branches", branches, "timeout_ms",
                             checkout->timeout_ms == 0 ? 5000 : (int)checkout->timeout_ms, "ack",
                             checkout->decided ? "decided" : "completed");
    char *text = json_dumps(root, JSON_COMPACT);
    CHECK(text != NULL);
    json_decref(root);
    return text;
}

/* --- the answer ------------------------------------------------------------------------------- */

const char *told_text(enum told told)
{
    switch (told) {
    case TOLD_NOTHING:
        return "nothing";
    case TOLD_COMMITTED:
        return "committed";
    case TOLD_ABORTED:
        return "aborted";
    case TOLD_UNKNOWN:
        return "unknown";
    case TOLD_REFUSED:
        return "refused";
    case TOLD_HEURISTIC:
        return "heuristic";
    }
    return "?";
}

void answer_done(struct answer *answer)
{
    free(answer->body);
    *answer = (struct answer){0};
}

static void copy_member(const json_t *root, const char *name, char *to, size_t size_bytes)
{
    const char *text = json_string_value(json_object_get(root, name));
    (void)snprintf(to, size_bytes, "%s", text == NULL ? "" : text);
}

static enum told tell(int status, const char *state)
{
    static const struct {
        const char *state;
        enum told told;
    } states[] = {{"committed", TOLD_COMMITTED},
                  {"aborted", TOLD_ABORTED},
                  {"dead", TOLD_ABORTED}, /* nothing of it is there */
                  {"unknown", TOLD_UNKNOWN},
                  {"heuristic", TOLD_HEURISTIC}};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(state, states[i].state) == 0) {
            return states[i].told;
        }
    }
    /* Everything else that is a proper refusal says that nothing was done; a 5xx without a state
     * says nothing of the kind. */
    return status == 429 || status == 503 || (status >= 400 && status < 500) ? TOLD_REFUSED
                                                                             : TOLD_UNKNOWN;
}

void answer_read(struct http_reply *reply, struct answer *ret_answer)
{
    char state[32];
    json_t *root = json_loads(reply->body, 0, NULL);
    *ret_answer = (struct answer){.status = reply->status, .body = reply->body};
    reply->body = NULL;
    copy_member(root, "state", state, sizeof state);
    copy_member(root, "id", ret_answer->id, sizeof ret_answer->id);
    copy_member(root, "reason", ret_answer->reason, sizeof ret_answer->reason);
    ret_answer->completed = json_is_true(json_object_get(root, "completed"));
    ret_answer->told = tell(reply->status, state);
    json_decref(root);
}

static json_t *lasting_part(const struct answer *answer)
{
    json_t *root = json_loads(answer->body, 0, NULL);
    if (root != NULL) {
        (void)json_object_del(root, "completed");
        (void)json_object_del(root, "pending");
    }
    return root;
}

bool answer_same(const struct answer *a, const struct answer *b)
{
    if (a->completed && b->completed) {
        return strcmp(a->body, b->body) == 0;
    }
    json_t *left = lasting_part(a);
    json_t *right = lasting_part(b);
    bool same = left != NULL && right != NULL && json_equal(left, right) == 1;
    json_decref(left);
    json_decref(right);
    return same;
}

void checkout_submit(const struct stack *stack, const char *key, const char *body,
                     struct answer *ret_answer)
{
    struct http_reply reply;
    if (!stack_http(stack, "/v1/transactions", key, body, &reply, NULL)) {
        *ret_answer = (struct answer){.told = TOLD_NOTHING, .body = alloc_string("")};
        return;
    }
    answer_read(&reply, ret_answer);
    http_reply_done(&reply);
}

struct checkout_call {
    pthread_t thread;
    const struct stack *stack;
    char *key; /* NULL: none */
    char *body;
    struct answer answer;
    atomic_bool answered;
};

static void *call_main(void *user)
{
    struct checkout_call *call = user;
    checkout_submit(call->stack, call->key, call->body, &call->answer);
    atomic_store(&call->answered, true);
    return NULL;
}

struct checkout_call *checkout_begin(const struct stack *stack, const char *key, const char *body)
{
    struct checkout_call *call = alloc_zeroed(sizeof *call);
    call->stack = stack;
    call->key = key == NULL ? NULL : alloc_string(key);
    call->body = alloc_string(body);
    CHECK(pthread_create(&call->thread, NULL, call_main, call) == 0);
    return call;
}

bool checkout_answered(const struct checkout_call *call)
{
    return atomic_load(&call->answered);
}

void checkout_end(struct checkout_call *call, struct answer *ret_answer)
{
    CHECK(pthread_join(call->thread, NULL) == 0);
    *ret_answer = call->answer;
    free(call->key);
    free(call->body);
    free(call);
}

/* What the coordinator says of a key, {"transactions":[newest, ...]}; owned. NULL, with the error: it said something else, or
 * nothing in time (0: as http_request has it). */
static json_t *ask_by_key(const struct stack *stack, const char *key, uint32_t timeout_ms,
                          struct error *ret_error)
{
    char url[512];
    struct http_reply reply;
    (void)snprintf(url, sizeof url, "%s/v1/transactions?key=%s", stack_api(stack), key);
    const struct http_request request = {.url = url, .timeout_ms = timeout_ms};
    if (!http_perform(&request, &reply, ret_error)) {
        return NULL;
    }
    json_t *root = json_loads(reply.body, 0, NULL);
    if (reply.status != 200 || !json_is_array(json_object_get(root, "transactions"))) {
        (void)error_set(ret_error, ERROR_INVALID, "GET %s: %d %.200s", url, reply.status,
                        reply.body);
        json_decref(root);
        root = NULL;
    }
    http_reply_done(&reply);
    return root;
}

static const json_t *newest_of(const json_t *root)
{
    return json_array_get(json_object_get(root, "transactions"), 0);
}

bool checkout_state_by_key(const struct stack *stack, const char *key, char ret_state[32],
                           char ret_id[160], struct error *ret_error)
{
    json_t *root = ask_by_key(stack, key, 0, ret_error);
    if (root == NULL) {
        return false;
    }
    copy_member(newest_of(root), "state", ret_state, 32); /* no newest: the members are "" */
    copy_member(newest_of(root), "id", ret_id, 160);
    json_decref(root);
    return true;
}

size_t checkout_votes_by_key(const struct stack *stack, const char *key)
{
    struct error ignored; /* who waits for votes asks again */
    json_t *root = ask_by_key(stack, key, 1000, &ignored);
    const json_t *branches = json_object_get(newest_of(root), "branches");
    size_t votes = 0;
    for (size_t i = 0; i < json_array_size(branches); i++) {
        const json_t *state = json_object_get(json_array_get(branches, i), "state");
        votes += json_is_string(state) && strcmp(json_string_value(state), "prepared") == 0;
    }
    json_decref(root);
    return votes;
}

/* --- the rows --------------------------------------------------------------------------------- */

static bool count_rows(struct stack *stack, size_t participant, const char *table,
                       const char *column, const char *id, int *ret_count, struct error *ret_error)
{
    char sql[512];
    char *value = NULL;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE %s = '%s'", table, column, id);
    if (!stack_sql(stack, participant, sql, &value, ret_error)) {
        return false;
    }
    *ret_count = value == NULL ? -1 : atoi(value);
    free(value);
    return true;
}

bool checkout_effects(struct stack *stack, const char *id, const char *account,
                      struct effects *ret_effects, struct error *ret_error)
{
    struct effects effects = {0};
    if (!count_rows(stack, 0, "orders", "id", id, &effects.orders, ret_error) ||
        !count_rows(stack, 0, "order_lines", "order_id", id, &effects.lines, ret_error)) {
        return false;
    }
    for (size_t i = 1; i < stack_participant_count(stack); i++) {
        char sql[256];
        char *balance = NULL;
        (void)snprintf(sql, sizeof sql, "SELECT balance FROM accounts WHERE id = '%s'", account);
        if (!count_rows(stack, i, "payments", "order_id", id, &effects.payments[i], ret_error) ||
            !stack_sql(stack, i, sql, &balance, ret_error)) {
            return false;
        }
        (void)snprintf(effects.balances[i], sizeof effects.balances[i], "%s",
                       balance == NULL ? "no account" : balance);
        free(balance);
    }
    *ret_effects = effects;
    return true;
}

static long cents(const char *text)
{
    return (long)(strtod(text, NULL) * 100 + 0.5);
}

static bool leaves_rows(enum checkout_part part)
{
    return part == CHECKOUT_WRITES || part == CHECKOUT_REFUSES;
}

bool effects_are_of(const struct stack *stack, const enum checkout_part *parts,
                    const struct effects *effects, int times, const char *opening_balance,
                    struct error *ret_error)
{
    const int orders = leaves_rows(parts[0]) ? times : 0;
    if (effects->orders != orders || effects->lines != orders) {
        return error_set(ret_error, ERROR_INVALID,
                         "wanted %d execution(s), found %d order(s) and %d line(s)", times,
                         effects->orders, effects->lines);
    }
    for (size_t i = 1; i < stack_participant_count(stack); i++) {
        const int payments = leaves_rows(parts[i]) ? times : 0;
        if (effects->payments[i] != payments ||
            cents(effects->balances[i]) != cents(opening_balance) - (long)PRICE_CENTS * payments) {
            return error_set(ret_error, ERROR_INVALID,
                             "wanted %d execution(s), found %d order(s), and at %s %d payment(s) "
                             "and a balance of %s (opened with %s)",
                             times, effects->orders, stack_participant(stack, i),
                             effects->payments[i], effects->balances[i], opening_balance);
        }
    }
    return true;
}

bool effects_are(const struct stack *stack, const struct effects *effects, int times,
                 const char *opening_balance, struct error *ret_error)
{
    static const enum checkout_part all_write[STACK_PARTICIPANTS_MAX];
    return effects_are_of(stack, all_write, effects, times, opening_balance, ret_error);
}

static bool sql_text(struct stack *stack, size_t participant, const char *sql, char **ret_text,
                     struct error *ret_error)
{
    char *value = NULL;
    if (!stack_sql(stack, participant, sql, &value, ret_error)) {
        return false;
    }
    *ret_text = value == NULL ? alloc_string("") : value;
    return true;
}

static bool audit_payments(struct stack *stack, size_t participant, const char *orders,
                           struct error *ret_error)
{
    char *payments = NULL;
    char *wrong = NULL;
    bool succeeded =
        sql_text(stack, participant,
                 "SELECT string_agg(order_id, ' ' ORDER BY order_id) FROM payments", &payments,
                 ret_error) &&
        sql_text(stack, participant,
                 "SELECT string_agg(id, ' ') FROM accounts a WHERE opened - balance <>"
                 " (SELECT coalesce(sum(amount), 0) FROM payments WHERE account = a.id)",
                 &wrong, ret_error);
    if (succeeded && strcmp(orders, payments) != 0) {
        size_t same = 0;
        while (orders[same] != '\0' && orders[same] == payments[same]) {
            same++;
        }
        succeeded =
            error_set(ret_error, ERROR_INVALID,
                      "orders and payments of %s differ from here on: \"%.60s\", \"%.60s\"",
                      stack_participant(stack, participant), orders + same, payments + same);
    }
    if (succeeded && wrong[0] != '\0') {
        succeeded = error_set(ret_error, ERROR_INVALID, "balances without a payment at %s: %.200s",
                              stack_participant(stack, participant), wrong);
    }
    free(payments);
    free(wrong);
    return succeeded;
}

bool checkout_audit(struct stack *stack, struct error *ret_error)
{
    char *orders = NULL;
    if (!sql_text(stack, 0, "SELECT string_agg(id, ' ' ORDER BY id) FROM orders", &orders,
                  ret_error)) {
        return false;
    }
    bool succeeded = true;
    for (size_t i = 1; succeeded && i < stack_participant_count(stack); i++) {
        succeeded = audit_payments(stack, i, orders, ret_error);
    }
    free(orders);
    return succeeded;
}
