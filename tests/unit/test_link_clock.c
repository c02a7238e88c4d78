/*
 * test_link_clock.c - P-15: links under a wall clock that jumps.
 *
 * A program of its own, because its clock_gettime takes the place of the C library's, also for nng: 1.5.2 keeps time by the
 * wall clock (upstream 1526), so that its timers stand still for as long as that clock was set back.
 */
#include "tests/lib/test.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/process.h"
#include "tests/unit/test_link_kit.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define HOUR_S 3600

static atomic_int wall_ahead_s;

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int result = (int)syscall(SYS_clock_gettime, clock, ret_time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        ret_time->tv_sec += atomic_load(&wall_ahead_s);
    }
    return result;
}

/* A session that was made before the clock was set back still ends by silence, and comes back. */
static void test_p15_silence_is_noticed_after_the_clock_was_set_back(void **state)
{
    (void)state;
    struct link_kit coordinator;
    uint16_t port = link_kit_free_port();
    struct process *agent = link_kit_echo_start(port);
    atomic_store(&wall_ahead_s, HOUR_S);
    link_kit_start(&coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_add(&coordinator, LINK_KIT_NAME, port, SECRET);
    link_kit_assert_echo(&coordinator, 1);
    atomic_store(&wall_ahead_s, 0);
    process_signal(agent, SIGSTOP);
    assert_true(link_kit_wait_downs(&coordinator, 1));
    process_signal(agent, SIGCONT);
    link_kit_assert_echo(&coordinator, 2);
    process_free(agent);
    link_kit_stop(&coordinator);
}

/* An agent that comes back after the clock was set back while it was dialled is found. */
static void test_p15_agent_is_found_after_the_clock_was_set_back(void **state)
{
    (void)state;
    struct link_kit coordinator;
    uint16_t port = link_kit_free_port();
    atomic_store(&wall_ahead_s, HOUR_S);
    link_kit_start(&coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_add(&coordinator, LINK_KIT_NAME, port, SECRET);
    assert_true(link_kit_wait_trouble(&coordinator, LINK_UNREACHABLE, 1));
    atomic_store(&wall_ahead_s, 0);
    struct process *agent = link_kit_echo_start(port);
    link_kit_assert_echo(&coordinator, 1);
    process_free(agent);
    link_kit_stop(&coordinator);
}

/* A clock that is set ahead ends no session. */
static void test_p15_sessions_outlive_a_clock_that_is_set_ahead(void **state)
{
    (void)state;
    struct link_kit coordinator;
    uint16_t port = link_kit_free_port();
    struct process *agent = link_kit_echo_start(port);
    atomic_store(&wall_ahead_s, 0);
    link_kit_start(&coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_add(&coordinator, LINK_KIT_NAME, port, SECRET);
    for (uint64_t number = 1; number <= 20; number++) {
        link_kit_assert_echo(&coordinator, number);
        atomic_fetch_add(&wall_ahead_s, HOUR_S);
    }
    assert_int_equal(link_kit_ups(&coordinator), 1);
    process_free(agent);
    link_kit_stop(&coordinator);
}

int main(int argc, char *argv[])
{
    link_kit_run_echo(argc, argv, SECRET);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_p15_silence_is_noticed_after_the_clock_was_set_back),
        cmocka_unit_test(test_p15_agent_is_found_after_the_clock_was_set_back),
        cmocka_unit_test(test_p15_sessions_outlive_a_clock_that_is_set_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
