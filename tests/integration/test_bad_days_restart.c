/*
 * test_bad_days_restart.c - restarts and repetitions, with real daemons: everything restarted in
 * every order while a branch is in doubt and shoppers keep buying; draining; reading the
 * configuration again; the same key again and again.
 */
#include "test_bad_days_kit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sysexits.h>

#include "common/alloc.h"

/* --- restarts under load ---------------------------------------------------------------------- */

#define LOAD_MAX 20000

/* One shopper who buys without pause, and writes down what was said. */
struct load {
    struct day *day;
    unsigned round;
    char account[32];
    pthread_t thread;
    atomic_bool stop;
    atomic_size_t committed;
    size_t count;
    struct load_deal {
        char id[32];
        enum told told;
    } * deals;
};

static void *load_main(void *user)
{
    struct load *load = user;
    while (!atomic_load(&load->stop) && load->count < LOAD_MAX) {
        struct load_deal *deal = &load->deals[load->count];
        struct answer answer;
        (void)snprintf(deal->id, sizeof deal->id, "load-%u-%zu", load->round, load->count);
        const struct checkout shape = {
            .id = deal->id, .account = load->account, .timeout_ms = 1000};
        char *body = checkout_body(load->day->stack, &shape);
        checkout_submit(load->day->stack, deal->id, body, &answer);
        deal->told = answer.told;
        atomic_fetch_add(&load->committed, answer.told == TOLD_COMMITTED);
        load->count++;
        if (answer.told == TOLD_NOTHING || answer.told == TOLD_REFUSED) {
            (void)poll(NULL, 0, 5); /* a shopper who looks again, not one who hammers */
        }
        answer_done(&answer);
        free(body);
    }
    return NULL;
}

static void load_begin(struct day *day, struct load *load)
{
    struct error error;
    *load = (struct load){
        .day = day, .round = ++day->serial, .deals = alloc_array(LOAD_MAX, sizeof *load->deals)};
    (void)snprintf(load->account, sizeof load->account, "load-%u", load->round);
    assert_success(checkout_open_account(day->stack, load->account, "1000000.00", &error), &error);
    assert_int_equal(pthread_create(&load->thread, NULL, load_main, load), 0);
}

static bool order_exists(struct day *day, const char *id)
{
    char sql[128];
    struct error error;
    char *count = NULL;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM orders WHERE id = '%s'", id);
    assert_success(stack_sql(day->stack, DAY_ORDER, sql, &count, &error), &error);
    bool exists = strcmp(count, "1") == 0;
    free(count);
    return exists;
}

static bool load_goes_on(void *user)
{
    const struct load *load = user;
    return atomic_load(&load->committed) > 0;
}

/* Until the shopper could buy something. */
static void load_wait(struct load *load)
{
    assert_true(stack_poll(NULL, day_soon(), load_goes_on, load));
}

/* What the shopper was told must be so; the audit has compared the databases with each other. */
static void load_end(struct day *day, struct load *load)
{
    struct error error;
    atomic_store(&load->stop, true);
    assert_int_equal(pthread_join(load->thread, NULL), 0);
    day_expect_whole(day);
    for (size_t i = 0; i < load->count; i++) {
        const struct load_deal *deal = &load->deals[i];
        if (deal->told == TOLD_COMMITTED) {
            assert_true(order_exists(day, deal->id));
        } else if (deal->told == TOLD_ABORTED || deal->told == TOLD_REFUSED) {
            assert_false(order_exists(day, deal->id));
        }
    }
    assert_success(checkout_audit(day->stack, &error), &error);
    free(load->deals);
}

enum part { PART_DATABASE, PART_AGENT, PART_COORDINATOR, PARTS };

static void restart_part(struct day *day, enum part part)
{
    struct error error;
    struct stack_daemon *agent = stack_agent(day->stack, DAY_PAYMENT);
    switch (part) {
    case PART_DATABASE:
        assert_success(
            pgcluster_restart(stack_cluster(day->stack, DAY_PAYMENT), PGCLUSTER_IMMEDIATE, &error),
            &error);
        return;
    case PART_AGENT:
        stack_daemon_kill(agent);
        assert_success(stack_daemon_start(agent, NULL, &error), &error);
        return;
    case PART_COORDINATOR:
        stack_daemon_kill(stack_coordinator(day->stack)); /* not running the first time */
        assert_success(stack_daemon_start(stack_coordinator(day->stack), NULL, &error), &error);
        return;
    case PARTS:
        break;
    }
    fail();
}

/* Database, agent and coordinator restarted in every order, with a decided branch in doubt and while
 * somebody keeps buying: the branch is finished as decided, nobody is told what is not so. */
static void test_restarts_in_every_order_under_load(void **state)
{
    static const enum part orders[][PARTS] = {
        {PART_DATABASE, PART_AGENT, PART_COORDINATOR},
        {PART_DATABASE, PART_COORDINATOR, PART_AGENT},
        {PART_AGENT, PART_DATABASE, PART_COORDINATOR},
        {PART_AGENT, PART_COORDINATOR, PART_DATABASE},
        {PART_COORDINATOR, PART_DATABASE, PART_AGENT},
        {PART_COORDINATOR, PART_AGENT, PART_DATABASE},
    };
    struct day *day = *state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct deal deal;
        struct load load;
        deal_make(day, &deal, (struct checkout){0});
        day_leave_at(day, &deal, "c.decide.post_sync");
        load_begin(day, &load);
        for (size_t j = 0; j < PARTS; j++) {
            restart_part(day, orders[i][j]);
        }
        struct error error;
        assert_success(stack_wait_ready(day->stack, clock_monotonic_ms() + DAY_HEAL_MS, &error),
                       &error);
        load_wait(&load);
        load_end(day, &load);
        deal_expect_rows(day, &deal, 1);
        deal_again(day, &deal, TOLD_COMMITTED, 1);
        deal_done(&deal);
    }
}

/* --- draining --------------------------------------------------------------------------------- */

/* SIGTERM lets work in flight finish, takes nothing new, and ends with 0. */
static void test_drain_finishes_what_is_under_way(void **state)
{
    struct day *day = *state;
    struct deal running, late;
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    deal_make(day, &running, (struct checkout){.pay_after_ms = 800});
    deal_make(day, &late, (struct checkout){0});
    struct checkout_call *call = checkout_begin(day->stack, running.key, running.body);
    day_wait_prepared(day, DAY_ORDER, "assent:", 1);
    off_t offset = stack_daemon_log_size(coordinator);
    stack_daemon_signal(coordinator, SIGTERM);
    day_wait_log(day, coordinator, offset, "name=TERM");
    deal_submit(day, &late);
    assert_true(late.answer.told == TOLD_NOTHING || late.answer.told == TOLD_REFUSED);
    checkout_end(call, &running.answer);
    deal_expect(day, &running, TOLD_COMMITTED, 1);
    assert_int_equal(day_exit_code(day, coordinator), 0);
    assert_int_equal(stack_prepared_total(day->stack), 0);
    day_start(day);
    deal_again(day, &running, TOLD_COMMITTED, 1);
    deal_again(day, &late, TOLD_COMMITTED, 1);
    deal_done(&running);
    deal_done(&late);
}

/* A second SIGTERM leaves at once, without a word that is not true; what was undecided is rolled
 * back by the next start. */
static void test_second_term_leaves_at_once(void **state)
{
    struct day *day = *state;
    struct deal deal;
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    deal_make(day, &deal, (struct checkout){.pay_after_ms = 4000});
    struct checkout_call *call = checkout_begin(day->stack, deal.key, deal.body);
    day_wait_prepared(day, DAY_ORDER, "assent:", 1);
    off_t offset = stack_daemon_log_size(coordinator);
    stack_daemon_signal(coordinator, SIGTERM);
    day_wait_log(day, coordinator, offset, "name=TERM");
    uint64_t begin_ms = clock_monotonic_ms();
    stack_daemon_signal(coordinator, SIGTERM);
    assert_int_equal(day_exit_code(day, coordinator), 0);
    assert_true(clock_monotonic_ms() - begin_ms < 2000);
    checkout_end(call, &deal.answer);
    assert_true(deal.answer.told == TOLD_NOTHING || deal.answer.told == TOLD_UNKNOWN);
    day_start(day);
    day_expect_whole(day);
    deal_expect_rows(day, &deal, 0);
    deal_done(&deal);
}

/* An agent's SIGTERM does the same for its branch. */
static void test_agent_drain_finishes_its_branch(void **state)
{
    struct day *day = *state;
    struct deal deal;
    struct stack_daemon *agent = stack_agent(day->stack, DAY_PAYMENT);
    deal_make(day, &deal, (struct checkout){.pay_after_ms = 800});
    struct checkout_call *call = checkout_begin(day->stack, deal.key, deal.body);
    day_wait_prepared(day, DAY_ORDER, "assent:", 1);
    stack_daemon_signal(agent, SIGTERM);
    checkout_end(call, &deal.answer);
    deal_expect(day, &deal, TOLD_COMMITTED, 1);
    assert_int_equal(day_exit_code(day, agent), 0);
    day_start(day);
    day_expect_whole(day);
    deal_done(&deal);
}

/* --- SIGHUP ----------------------------------------------------------------------------------- */

static int submit_select(struct day *day, const char *participant)
{
    char body[256];
    struct http_reply reply;
    struct error error;
    (void)snprintf(
        body, sizeof body,
        "{\"branches\":[{\"participant\":\"%s\",\"statements\":[{\"sql\":\"SELECT 1\"}]}]}",
        participant);
    assert_success(stack_http(day->stack, "/v1/transactions", NULL, body, &reply, &error), &error);
    int status = reply.status;
    http_reply_done(&reply);
    return status;
}

static void reload(struct day *day, const char *config, const char *log_text)
{
    struct error error;
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    off_t offset = stack_daemon_log_size(coordinator);
    assert_success(stack_config_write(coordinator, config, &error), &error);
    stack_daemon_signal(coordinator, SIGHUP);
    day_wait_log(day, coordinator, offset, log_text);
}

/* SIGHUP adds a participant while everything runs; it does not remove one whose transactions are
 * within retention; a file with a mistake changes nothing. */
static void test_reload_adds_and_refuses_to_remove(void **state)
{
    struct day *day = *state;
    struct error error;
    day_stack(day, (struct stack_options){0});
    struct stack_daemon *coordinator = stack_coordinator(day->stack);
    char *whole = stack_config_text(coordinator);
    char *without = alloc_string(whole);
    char *section = strstr(without, "[participant payment]");
    assert_non_null(section);
    *section = '\0'; /* the last section */
    assert_success(stack_config_write(coordinator, without, &error), &error);
    day_start(day);
    assert_int_equal(submit_select(day, "payment"), 422);

    reload(day, whole, "configuration read again");
    day_wait_participant(day, "payment", "ready", 1);
    assert_int_equal(submit_select(day, "payment"), 200);

    reload(day, without, "participant not removed");
    assert_int_equal(submit_select(day, "payment"), 200);
    reload(day, "[assentd]\nhttp = nonsense\n", "configuration not read again");
    assert_int_equal(submit_select(day, "payment"), 200);

    /* A start without it is refused as well: its decisions could not be finished. */
    assert_success(stack_config_write(coordinator, without, &error), &error);
    assert_success(stack_daemon_stop(coordinator, &error), &error);
    off_t offset = stack_daemon_log_size(coordinator);
    assert_success(stack_daemon_start(coordinator, NULL, &error), &error);
    assert_int_equal(day_exit_code(day, coordinator), EX_CONFIG);
    assert_true(stack_daemon_log_contains(coordinator, offset, "payment"));
    free(whole);
    free(without);
}

/* --- the same key again ----------------------------------------------------------------------- */

#define PRESSES 5

/* The button pressed five times at once, again later, and after assentd was killed and started
 * again: one order, one payment, every press the same answer word for word. */
static void test_same_key_is_executed_once_and_answered_alike(void **state)
{
    struct day *day = *state;
    struct deal deal;
    struct checkout_call *calls[PRESSES];
    struct answer answers[PRESSES];
    deal_make(day, &deal, (struct checkout){.pay_after_ms = 200, .answer_bytes = 1000});
    for (size_t i = 0; i < PRESSES; i++) {
        calls[i] = checkout_begin(day->stack, deal.key, deal.body);
    }
    for (size_t i = 0; i < PRESSES; i++) {
        checkout_end(calls[i], &answers[i]);
    }
    deal_submit(day, &deal);
    deal_expect(day, &deal, TOLD_COMMITTED, 1);
    for (size_t i = 0; i < PRESSES; i++) {
        assert_string_equal(answers[i].body, deal.answer.body);
        answer_done(&answers[i]);
    }
    stack_daemon_kill(stack_coordinator(day->stack));
    day_start(day);
    day_expect_whole(day);
    struct answer after;
    checkout_submit(day->stack, deal.key, deal.body, &after);
    assert_string_equal(after.body, deal.answer.body);
    answer_done(&after);
    deal_expect_rows(day, &deal, 1);
    deal_done(&deal);
}

/* The key with another body is refused, before and after a restart, and changes nothing. */
static void test_same_key_with_another_body_is_a_conflict(void **state)
{
    struct day *day = *state;
    struct deal deal, other;
    deal_make(day, &deal, (struct checkout){0});
    deal_make(day, &other, (struct checkout){0});
    deal_submit(day, &deal);
    deal_expect(day, &deal, TOLD_COMMITTED, 1);
    (void)snprintf(other.key, sizeof other.key, "%s", deal.key);
    for (int round = 0; round < 2; round++) {
        deal_submit(day, &other);
        assert_int_equal(other.answer.status, 422);
        deal_expect(day, &other, TOLD_REFUSED, 0);
        stack_daemon_kill(stack_coordinator(day->stack));
        day_start(day);
    }
    deal_done(&deal);
    deal_done(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        day_test(test_restarts_in_every_order_under_load),
        day_test(test_drain_finishes_what_is_under_way),
        day_test(test_second_term_leaves_at_once),
        day_test(test_agent_drain_finishes_its_branch),
        day_test_idle(test_reload_adds_and_refuses_to_remove),
        day_test(test_same_key_is_executed_once_and_answered_alike),
        day_test(test_same_key_with_another_body_is_a_conflict),
    };
    return cmocka_run_group_tests(tests, day_clusters_make, day_clusters_free);
}
