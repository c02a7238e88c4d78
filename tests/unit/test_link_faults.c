/*
 * test_link_faults.c - links whose other side dies, stops, comes back, or is not what it says; and
 * strangers at the door.
 */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/link_frame.h"
#include "tests/lib/process.h"
#include "tests/unit/test_codec_random.h"
#include "tests/unit/test_link_kit.h"
#include "tests/unit/test_link_proxy.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define ROUNDS 12

/* However often the agent is killed and started again, each time the session ends and a new one
 * carries messages both ways. */
static void test_link_agent_killed_many_times_comes_back(void **state)
{
    (void)state;
    struct link_kit coordinator;
    uint16_t port = link_kit_free_port();
    link_kit_start(&coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_add(&coordinator, LINK_KIT_NAME, port, SECRET);
    for (size_t round = 1; round <= ROUNDS; round++) {
        struct process *agent = link_kit_echo_start(port);
        link_kit_assert_echo(&coordinator, round);
        process_free(agent); /* SIGKILL */
        assert_true(link_kit_wait_downs(&coordinator, round));
    }
    assert_int_equal(link_kit_ups(&coordinator), ROUNDS);
    assert_false(coordinator.out_of_order);
    link_kit_stop(&coordinator);
}

/* However often the coordinator ends and starts again on the same port, its sessions come up. */
static void test_link_coordinator_restarted_many_times_comes_back(void **state)
{
    (void)state;
    uint16_t agent_port = link_kit_free_port(), own_port = link_kit_free_port();
    struct process *agent = link_kit_echo_start(agent_port);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        struct link_kit coordinator;
        link_kit_start(&coordinator, true, own_port, SECRET, LINK_KIT_SILENCE_MS, 0);
        link_kit_add(&coordinator, LINK_KIT_NAME, agent_port, SECRET);
        link_kit_assert_echo(&coordinator, round);
        link_kit_stop(&coordinator);
    }
    process_free(agent);
}

/* An agent that starts long after its coordinator is found, and until then the owner was told once
 * that it cannot be reached. */
static void test_link_agent_that_starts_late_is_found(void **state)
{
    (void)state;
    struct link_kit coordinator;
    uint16_t port = link_kit_free_port();
    link_kit_start(&coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_add(&coordinator, LINK_KIT_NAME, port, SECRET);
    assert_true(link_kit_wait_trouble(&coordinator, LINK_UNREACHABLE, 1));
    struct process *agent = link_kit_echo_start(port);
    link_kit_assert_echo(&coordinator, 1);
    assert_int_equal(link_kit_troubles(&coordinator, LINK_UNREACHABLE), 1);
    process_free(agent);
    link_kit_stop(&coordinator);
}

/* A stopped process keeps its connections open and says nothing: the session ends by silence, what
 * is sent meanwhile neither blocks nor piles up, and it comes back when the process goes on. */
static void test_link_stopped_agent_is_noticed_by_its_silence(void **state)
{
    (void)state;
    struct link_kit coordinator;
    uint16_t port = link_kit_free_port();
    struct process *agent = link_kit_echo_start(port);
    link_kit_start(&coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 1 << 20);
    link_kit_add(&coordinator, LINK_KIT_NAME, port, SECRET);
    link_kit_assert_echo(&coordinator, 1);
    uint64_t session = coordinator.session;
    process_signal(agent, SIGSTOP);
    void *zeros = alloc_zeroed(500000);
    struct blob *blob = blob_new(zeros, 500000);
    for (int i = 0; i < 200; i++) { /* 100 MB, of which 2 MB may wait */
        struct message message = {.kind = MESSAGE_WORK, .as.work.work = blob_share(blob)};
        link_send(coordinator.link, session, &message, 1);
    }
    assert_true(link_kit_wait_downs(&coordinator, 1));
    assert_int_equal(blob->references, 1);
    process_signal(agent, SIGCONT);
    link_kit_assert_echo(&coordinator, 2);
    free(zeros);
    blob_free(blob);
    process_free(agent);
    link_kit_stop(&coordinator);
}

/* ---- strangers ---- */

static const uint8_t nng_push_greeting[8] = {0, 'S', 'P', 0, 0, 0x50, 0, 0};

/* Connects as an nng PUSH socket would, sends one frame that claims `claimed` bytes, and waits
 * until the other side hangs up if it shall. */
static void stranger_says(uint16_t port, const void *bytes, size_t size_bytes, uint64_t claimed,
                          bool wait_for_end)
{
    uint8_t length[8];
    int fd = tcp_connect(port);
    assert_true(fd >= 0);
    for (int i = 0; i < 8; i++) {
        length[i] = (uint8_t)(claimed >> (56 - 8 * i));
    }
    assert_int_equal(send(fd, nng_push_greeting, 8, MSG_NOSIGNAL), 8);
    assert_int_equal(send(fd, length, 8, MSG_NOSIGNAL), 8);
    assert_int_equal(send(fd, bytes, size_bytes, MSG_NOSIGNAL), size_bytes);
    uint8_t answer[64];
    while (wait_for_end && recv(fd, answer, sizeof answer, 0) > 0) {
        /* nng's greeting, then the end */
    }
    close(fd);
}

static void all_strangers(uint16_t port)
{
    uint64_t seed = 1;
    uint8_t bytes[600];
    static const uint8_t types[] = {1, 2, 3, 4, 5, 255};
    stranger_says(port, "", 0, 0, true); /* an empty frame */
    stranger_says(port, "GET / HTTP/1.1\r\n\r\n", 18, 18, true);
    stranger_says(port, "x", 1, 17u << 20, true);  /* longer than the limit */
    stranger_says(port, "x", 1, UINT64_MAX, true); /* longer than memory */
    stranger_says(port, "half", 4, 1000, false);   /* never finished */
    for (size_t i = 0; i < sizeof types; i++) {
        for (size_t k = 0; k < sizeof bytes; k++) {
            bytes[k] = (uint8_t)random_next(&seed);
        }
        memcpy(bytes, "Asnt", 4);
        bytes[4] = types[i];
        stranger_says(port, bytes, sizeof bytes, sizeof bytes, true);
        stranger_says(port, bytes, 9, 9, true);
    }
    bytes[4] = 16; /* data of no session is passed over */
    stranger_says(port, bytes, sizeof bytes, sizeof bytes, false);
}

/* A hello that was made with another secret. */
static void false_hello(uint16_t port)
{
    struct frame_greeting hello = {
        .version_min = 1, .version_max = 1, .receive_limit_bytes = 65536, .silence_ms = 1000};
    strcpy(hello.participant, LINK_KIT_NAME);
    strcpy(hello.address, "tcp://127.0.0.1:1");
    struct link_secret secret;
    struct codec_buffer frame = {0};
    link_kit_secret("not the secret at all", &secret);
    frame_write_greeting(&frame, FRAME_HELLO, &hello, &secret, NULL);
    stranger_says(port, frame.bytes, frame.size_bytes, frame.size_bytes, true);
    codec_buffer_done(&frame);
}

/* Whatever strangers send to either listener, the session of the honest goes on and the owner is
 * told once per kind of trouble. */
static void test_link_strangers_do_no_harm(void **state)
{
    (void)state;
    struct link_kit coordinator, agent;
    link_kit_start(&coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_start(&agent, false, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_add(&coordinator, LINK_KIT_NAME, agent.port, SECRET);
    assert_true(link_kit_wait_in_session(&coordinator));
    assert_true(link_kit_wait_in_session(&agent));
    for (int round = 0; round < 3; round++) {
        all_strangers(agent.port);
        all_strangers(coordinator.port);
        false_hello(agent.port);
        false_hello(coordinator.port);
    }
    link_kit_send_number(&coordinator, 1);
    assert_true(link_kit_wait_number(&agent, 1));
    link_kit_send_number(&agent, 2);
    assert_true(link_kit_wait_number(&coordinator, 2));
    assert_int_equal(link_kit_ups(&coordinator), 1);
    assert_int_equal(link_kit_ups(&agent), 1);
    assert_int_equal(link_kit_troubles(&agent, LINK_BAD_FRAME), 1);
    assert_int_equal(link_kit_troubles(&coordinator, LINK_BAD_FRAME), 1);
    assert_int_equal(link_kit_troubles(&agent, LINK_DENIED), 1);
    link_kit_stop(&coordinator);
    link_kit_stop(&agent);
}

/* Connections that are ended and then reset before nng has sent its own greeting. */
static void deafen(uint16_t port)
{
    for (int i = 0; i < 200; i++) {
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        int fd = tcp_connect(port);
        CHECK(fd >= 0);
        shutdown(fd, SHUT_WR);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
}

/* In a process of its own, which ends without a leak check: nng leaks what a deaf listener held. */
_Noreturn static void run_deafened(void)
{
    struct link_kit coordinator, agent;
    link_kit_start(&coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_start(&agent, false, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_add(&coordinator, LINK_KIT_NAME, agent.port, SECRET);
    CHECK(link_kit_wait_in_session(&coordinator));
    deafen(agent.port);
    /* The same for the coordinator's listener, while its agent is already cut off. */
    link_end_session(coordinator.link, coordinator.session);
    deafen(coordinator.port);
    CHECK(link_kit_wait_ups(&agent, 2));
    CHECK(link_kit_wait_in_session(&coordinator));
    link_kit_send_number(&agent, 3);
    CHECK(link_kit_wait_number(&coordinator, 3));
    _exit(0);
}

/* A few connections from a stranger make nng's listener deaf for good; ours recovers, and with it
 * the link. */
static void test_link_deafened_listener_recovers(void **state)
{
    (void)state;
    const char *const argv[] = {"/proc/self/exe", "deafened", NULL};
    struct process_options options = {.argv = argv, .stderr_path = "/dev/stderr"};
    struct error error;
    int exit_code;
    assert_success(
        process_run(&options, clock_monotonic_ms() + LINK_KIT_WAIT_MS, &exit_code, &error), &error);
    assert_int_equal(exit_code, 0);
}

/* Somebody on the way who changes or repeats a frame ends the session, and nothing of that frame is
 * delivered (twice); one who loses it costs that frame only. */
static void test_link_meddled_frames_are_never_delivered(void **state)
{
    (void)state;
    struct link_kit coordinator, agent;
    uint16_t port;
    link_kit_start(&agent, false, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    struct link_proxy *proxy = link_proxy_start(agent.port, &port);
    link_kit_start(&coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_add(&coordinator, LINK_KIT_NAME, port, SECRET);
    size_t sessions = 1;
    for (int meddling = MEDDLE_FLIP_HEADER; meddling < MEDDLE_COUNT; meddling++) {
        assert_true(link_kit_wait_ups(&coordinator, sessions));
        assert_true(link_kit_wait_ups(&agent, sessions));
        uint64_t number = 10 * (uint64_t)meddling;
        link_proxy_meddle(proxy, meddling);
        link_kit_send_number(&coordinator, number);
        if (meddling != MEDDLE_DROP) {
            assert_true(link_kit_wait_downs(&agent, sessions));
            assert_true(link_kit_wait_trouble(&agent, LINK_BAD_FRAME, sessions));
            assert_true(link_kit_wait_downs(&coordinator, sessions));
            sessions++;
            assert_true(link_kit_wait_ups(&coordinator, sessions));
            assert_true(link_kit_wait_ups(&agent, sessions));
        } else { /* or both would travel in one frame, and be lost together */
            assert_true(link_proxy_wait_dropped(proxy, LINK_KIT_WAIT_MS));
        }
        link_kit_send_number(&coordinator, number + 1);
        assert_true(link_kit_wait_number(&agent, number + 1));
    }
    /* One answer per round, and the repeated frame's first copy. */
    assert_int_equal(agent.message_count, MEDDLE_COUNT - 1 + 1);
    assert_int_equal(link_kit_ups(&agent), sessions);
    link_kit_stop(&coordinator);
    link_proxy_stop(proxy);
    link_kit_stop(&agent);
}

int main(int argc, char *argv[])
{
    link_kit_run_echo(argc, argv, SECRET);
    if (argc == 2 && strcmp(argv[1], "deafened") == 0) {
        run_deafened();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_agent_killed_many_times_comes_back),
        cmocka_unit_test(test_link_coordinator_restarted_many_times_comes_back),
        cmocka_unit_test(test_link_agent_that_starts_late_is_found),
        cmocka_unit_test(test_link_stopped_agent_is_noticed_by_its_silence),
        cmocka_unit_test(test_link_strangers_do_no_harm),
        cmocka_unit_test(test_link_deafened_listener_recovers),
        cmocka_unit_test(test_link_meddled_frames_are_never_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
