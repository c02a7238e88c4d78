/* test_client_timer.c - the client's timer by itself: nng's side of an exchange and the connection
 * are played here. */
#include "tests/lib/test.h"

#include <sched.h>
#include <stdatomic.h>

#include "client/connection.h"
#include "client/exchange.h"
#include "client/timer.h"
#include "common/check.h"
#include "common/clock.h"

#define SOON_MS   10000
#define MAX_TIMED 3 /* calls whose time is kept */

/* What happens inside of exchange_time_out. */
enum play {
    PLAY_NOTHING = 0,     /* it comes before nng has begun */
    PLAY_CALLBACK,        /* nng's callback comes at the same time */
    PLAY_SLOWLY,          /* it takes a while */
    PLAY_CALLBACK_AT_LAST /* the callback comes at the third call */
};

static struct {
    struct timer *timer;
    enum play play;
    atomic_uint calls; /* of exchange_time_out */
    atomic_bool is_inside;
    atomic_uint steps; /* by the timer */
    atomic_uint looks;
    atomic_uint_fast64_t called_ms[MAX_TIMED]; /* when the n-th call came, before it is counted */
    uint32_t next_ms; /* where a step goes on: the next limit; 0: it was the end */
} stage;

void exchange_time_out(struct exchange *exchange)
{
    const unsigned calls = atomic_load(&stage.calls) + 1; /* the timer's thread alone counts */
    if (calls <= MAX_TIMED) {
        atomic_store(&stage.called_ms[calls - 1], clock_monotonic_ms());
    }
    atomic_store(&stage.calls, calls);
    if (stage.play == PLAY_SLOWLY) {
        atomic_store(&stage.is_inside, true);
        const uint64_t until_ms = clock_monotonic_ms() + 50;
        while (clock_monotonic_ms() < until_ms) {
            sched_yield();
        }
        atomic_store(&stage.is_inside, false);
    }
    if (stage.play == PLAY_CALLBACK || (stage.play == PLAY_CALLBACK_AT_LAST && calls == 3)) {
        CHECK(!timer_disarm(stage.timer, exchange));
        CHECK(atomic_load(&stage.steps) == 0);
    }
}

void exchange_step(struct exchange *exchange)
{
    if (stage.next_ms != 0) {
        timer_arm(stage.timer, exchange, stage.next_ms, false);
    }
    stage.play = PLAY_NOTHING;
    atomic_fetch_add(&stage.steps, 1);
}

void connection_look(struct connection *connection)
{
    CHECK(connection == NULL);
    atomic_fetch_add(&stage.looks, 1);
}

bool connection_thread(void *(*run)(void *), void *user, pthread_t *ret_thread)
{
    return pthread_create(ret_thread, NULL, run, user) == 0;
}

static void await(atomic_uint *count, unsigned least)
{
    const uint64_t until_ms = clock_monotonic_ms() + SOON_MS;
    while (atomic_load(count) < least && clock_monotonic_ms() < until_ms) {
        sched_yield();
    }
    assert_true(atomic_load(count) >= least);
}

static int set_up(void **state)
{
    (void)state;
    stage.play = PLAY_NOTHING;
    stage.next_ms = 0;
    atomic_store(&stage.calls, 0);
    atomic_store(&stage.steps, 0);
    atomic_store(&stage.looks, 0);
    return timer_start(NULL, &stage.timer) ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    timer_stop(stage.timer);
    return 0;
}

/* A limit never ends early, and is repeated until nng's callback has come. */
static void test_timer_limit_is_kept_and_repeated(void **state)
{
    (void)state;
    struct exchange exchange = {0};
    stage.play = PLAY_CALLBACK_AT_LAST;
    const uint64_t start_ms = clock_monotonic_ms();
    timer_arm(stage.timer, &exchange, 30, false);
    await(&stage.steps, 1);
    assert_true(atomic_load(&stage.called_ms[0]) - start_ms >= 30);
    assert_int_equal(atomic_load(&stage.calls), 3);
    timer_forget(stage.timer, &exchange);
}

/* Of several the earliest is first, whichever came first; one that is disarmed is left alone. */
static void test_timer_earliest_limit_is_first(void **state)
{
    (void)state;
    struct exchange exchanges[3] = {0};
    timer_arm(stage.timer, &exchanges[0], 3600000, false);
    timer_arm(stage.timer, &exchanges[1], 40, false);
    timer_arm(stage.timer, &exchanges[2], 20, false);
    assert_true(timer_disarm(stage.timer, &exchanges[1]));
    await(&stage.calls, 1);
    timer_forget(stage.timer, &exchanges[2]);
    const unsigned calls = atomic_load(&stage.calls);
    timer_arm(stage.timer, &exchanges[1], 40, false);
    await(&stage.calls, calls + 1);
    for (int i = 0; i < 2; i++) {
        timer_forget(stage.timer, &exchanges[i]);
    }
}

/* Nothing new begins on an exchange while the end of what it did is on its way: the callback leaves that to the
 * timer, which goes on once; and what is new has its own limit. */
static void test_timer_callback_meanwhile_is_left_to_the_timer(void **state)
{
    (void)state;
    struct exchange exchange = {0};
    stage.play = PLAY_CALLBACK;
    stage.next_ms = 100;
    timer_arm(stage.timer, &exchange, 1, true);
    await(&stage.steps, 1);
    await(&stage.calls, 2);
    assert_true(atomic_load(&stage.called_ms[1]) - atomic_load(&stage.called_ms[0]) >= 100);
    assert_int_equal(atomic_load(&stage.steps), 1);
    timer_forget(stage.timer, &exchange);
}

/* An exchange that is forgotten is not touched any more, and takes no limit. */
static void test_timer_forget_waits_for_what_is_done(void **state)
{
    (void)state;
    struct exchange exchange = {0};
    stage.play = PLAY_SLOWLY;
    timer_arm(stage.timer, &exchange, 1, false);
    await(&stage.calls, 1);
    timer_forget(stage.timer, &exchange);
    assert_false(atomic_load(&stage.is_inside));
    const unsigned calls = atomic_load(&stage.calls);
    struct exchange other = {0};
    timer_arm(stage.timer, &exchange, 1, false);
    timer_arm(stage.timer, &other, 20, false);
    await(&stage.calls, calls + 1);
    timer_forget(stage.timer, &other);
    assert_true(timer_disarm(stage.timer, &exchange));
}

/* The connection is looked at while requests wait for it, and not for those that wait for their answer. */
static void test_timer_connection_is_looked_at_while_requests_wait(void **state)
{
    (void)state;
    struct exchange receiving = {0};
    struct exchange waiting = {0};
    timer_arm(stage.timer, &receiving, 600, false);
    await(&stage.calls, 1);
    timer_forget(stage.timer, &receiving);
    assert_int_equal(atomic_load(&stage.looks), 0);
    timer_arm(stage.timer, &waiting, 3600000, true);
    await(&stage.looks, 2);
    timer_forget(stage.timer, &waiting);
}

/* Also where limits are so short that nobody waits for as long. */
static void test_timer_connection_is_looked_at_when_short_limits_end(void **state)
{
    (void)state;
    struct exchange exchange = {0};
    timer_arm(stage.timer, &exchange, 1, true);
    await(&stage.looks, 1);
    timer_forget(stage.timer, &exchange);
}

int main(void)
{
#define TIMER_TEST(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TIMER_TEST(test_timer_limit_is_kept_and_repeated),
        TIMER_TEST(test_timer_earliest_limit_is_first),
        TIMER_TEST(test_timer_callback_meanwhile_is_left_to_the_timer),
        TIMER_TEST(test_timer_forget_waits_for_what_is_done),
        TIMER_TEST(test_timer_connection_is_looked_at_while_requests_wait),
        TIMER_TEST(test_timer_connection_is_looked_at_when_short_limits_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
