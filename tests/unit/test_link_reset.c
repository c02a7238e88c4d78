/*
 * test_link_reset.c - links whose connections are reset again and again while frames are on their way.
 *
 * A program of its own, with freed memory overwritten (MALLOC_PERTURB_, see wire.cmake): nng 1.5.2 may put a
 * connection that has just ended back among those that can be sent to, and use its memory later. What the
 * links must not do is in common/link_socket.c.
 */
#include "tests/lib/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "tests/proxy/proxy.h"
#include "tests/unit/test_link_kit.h"

#define SECRET "0123456789abcdef0123456789abcdef"

struct chatter {
    struct link_kit *kit;
    atomic_bool over;
};

/* Frames as fast as a connection takes them: there is always one on its way. */
static void *run_chatter(void *user)
{
    struct chatter *chatter = user;
    for (uint64_t number = 1; !atomic_load(&chatter->over); number++) {
        const struct timespec breath = {.tv_nsec = 50000};
        link_kit_send_number(chatter->kit, number);
        (void)nanosleep(&breath, NULL);
    }
    return NULL;
}

/* However often connections are reset with a frame on its way, a new session comes up and nothing of
 * the old connection is touched again. */
static void test_link_reset_in_flight_leaves_nothing_behind(void **state)
{
    (void)state;
    const char *text = getenv("LINK_RESETS");
    size_t rounds = text == NULL ? 150 : strtoul(text, NULL, 10);
    struct link_kit coordinator, agent;
    struct proxy *proxy;
    struct error error;
    size_t route;
    link_kit_start(&agent, false, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_start(&coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    assert_success(proxy_new(&proxy, &error), &error);
    const struct proxy_route way = {
        .name = "to the agent", .kind = STREAM_LINK, .target_port = agent.port};
    assert_success(proxy_add_route(proxy, &way, &route, &error), &error);
    link_kit_add(&coordinator, LINK_KIT_NAME, proxy_port(proxy, route), SECRET);
    struct chatter chatter = {.kit = &coordinator};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_chatter, &chatter), 0);
    for (size_t round = 1; round <= rounds; round++) {
        assert_true(link_kit_wait_in_session(&coordinator));
        assert_true(link_kit_wait_messages(&agent, 5));
        (void)proxy_reset(proxy, route);
        assert_true(link_kit_wait_downs(&coordinator, round));
        link_kit_forget_messages(&agent);
    }
    atomic_store(&chatter.over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(coordinator.out_of_order);
    link_kit_stop(&coordinator);
    link_kit_stop(&agent);
    proxy_free(proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_reset_in_flight_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
