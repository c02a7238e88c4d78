/*
 * test_link.c - two ends of a link in one process: sessions come up, carry messages whole and in
 * order, and end as link.h promises. test_link_faults.c does the same to processes that die.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/unit/test_codec_random.h"
#include "tests/unit/test_link_kit.h"

#define SECRET "0123456789abcdef0123456789abcdef"

struct pair {
    struct link_kit coordinator;
    struct link_kit agent;
};

static void pair_start(struct pair *pair, uint32_t silence_ms, uint32_t frame_limit_bytes)
{
    link_kit_start(&pair->coordinator, true, 0, SECRET, silence_ms, frame_limit_bytes);
    link_kit_start(&pair->agent, false, 0, SECRET, silence_ms, frame_limit_bytes);
    link_kit_add(&pair->coordinator, LINK_KIT_NAME, pair->agent.port, SECRET);
    assert_true(link_kit_wait_in_session(&pair->coordinator));
    assert_true(link_kit_wait_in_session(&pair->agent));
}

static void pair_stop(struct pair *pair)
{
    assert_false(pair->coordinator.out_of_order);
    assert_false(pair->agent.out_of_order);
    link_kit_stop(&pair->coordinator);
    link_kit_stop(&pair->agent);
}

/* A session names participant, journal, address and release of the other side on both ends. */
static void test_link_session_tells_who_is_there(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair, LINK_KIT_SILENCE_MS, 0);
    assert_string_equal(pair.coordinator.peer.participant, LINK_KIT_NAME);
    assert_string_equal(pair.agent.peer.participant, LINK_KIT_NAME);
    assert_int_equal(pair.agent.peer.journal.bytes[3], 4);
    assert_true(journal_id_equal(&pair.agent.peer.journal, &pair.coordinator.peer.journal));
    char address[ADDRESS_SIZE];
    link_address(pair.coordinator.link, address);
    assert_string_equal(pair.agent.peer.address, address);
    link_address(pair.agent.link, address);
    assert_string_equal(pair.coordinator.peer.address, address);
    assert_string_not_equal(pair.agent.peer.version, "");
    pair_stop(&pair);
}

/* Sends `count` random messages and checks that exactly these arrive, in order. */
static void exchange(struct link_kit *from, struct link_kit *to, uint64_t seed, size_t count)
{
    struct message *sent = alloc_array(count, sizeof *sent);
    struct message *expected = alloc_array(count, sizeof *expected);
    uint64_t other_seed = seed;
    for (size_t i = 0; i < count; i++) {
        enum message_kind kind = random_kind(random_next(&seed) % RANDOM_KIND_COUNT);
        (void)random_next(&other_seed);
        sent[i] = random_message(&seed, kind);
        expected[i] = random_message(&other_seed, kind);
    }
    link_send(from->link, from->session, sent, count);
    assert_true(link_kit_wait_messages(to, count));
    assert_int_equal(to->message_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(messages_equal(&expected[i], &to->messages[i]));
        message_done(&expected[i]);
    }
    free(sent);
    free(expected);
}

/* Every kind of message arrives unchanged and in order, both ways. */
static void test_link_messages_arrive_whole_and_in_order(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair, LINK_KIT_SILENCE_MS, 0);
    for (uint64_t round = 0; round < 10; round++) {
        exchange(&pair.coordinator, &pair.agent, round, 300);
        exchange(&pair.agent, &pair.coordinator, round + 100, 300);
        link_kit_forget_messages(&pair.coordinator);
        link_kit_forget_messages(&pair.agent);
    }
    pair_stop(&pair);
}

/* What is passed in one call leaves in one frame, so it arrives in one piece. */
static void test_link_messages_of_one_call_share_a_frame(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair, LINK_KIT_SILENCE_MS, 0);
    exchange(&pair.coordinator, &pair.agent, 7, 50);
    assert_int_equal(pair.agent.batches, 1);
    pair_stop(&pair);
}

static struct message work_of_size(size_t size_bytes)
{
    void *bytes = alloc_zeroed(size_bytes);
    struct message message = {.kind = MESSAGE_WORK,
                              .as.work = {.remaining_ms = 1, .work = blob_new(bytes, size_bytes)}};
    free(bytes);
    return message;
}

/* A batch beyond the frame limit is cut into frames; one message beyond it is dropped and told
 * once, and the session goes on. */
static void test_link_too_large_for_a_frame_is_cut_or_dropped(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair, LINK_KIT_SILENCE_MS, 65536);
    struct message messages[12];
    for (size_t i = 0; i < 12; i++) {
        messages[i] = work_of_size(i == 3 || i == 5 ? 70000 : 10000);
    }
    link_send(pair.coordinator.link, pair.coordinator.session, messages, 12);
    assert_true(link_kit_wait_messages(&pair.agent, 10));
    assert_int_equal(pair.agent.message_count, 10);
    assert_true(link_kit_wait_trouble(&pair.coordinator, LINK_BAD_FRAME, 1));
    assert_int_equal(link_kit_troubles(&pair.coordinator, LINK_BAD_FRAME), 1);
    assert_int_equal(link_kit_ups(&pair.agent), 1);
    pair_stop(&pair);
}

/* The smaller of both ends' limits counts: a large frame does not cost the session of an end that
 * takes less. */
static void test_link_other_sides_frame_limit_is_respected(void **state)
{
    (void)state;
    struct pair pair;
    link_kit_start(&pair.coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 1 << 20);
    link_kit_start(&pair.agent, false, 0, SECRET, LINK_KIT_SILENCE_MS, 32768);
    link_kit_add(&pair.coordinator, LINK_KIT_NAME, pair.agent.port, SECRET);
    assert_true(link_kit_wait_in_session(&pair.coordinator));
    assert_true(link_kit_wait_in_session(&pair.agent));
    struct message messages[2] = {work_of_size(40000), work_of_size(20000)};
    link_send(pair.coordinator.link, pair.coordinator.session, messages, 2);
    assert_true(link_kit_wait_messages(&pair.agent, 1));
    assert_int_equal(pair.agent.messages[0].as.work.work->size_bytes, 20000);
    assert_int_equal(link_kit_ups(&pair.agent), 1);
    pair_stop(&pair);
}

/* An idle session lives on through several silences. */
static void test_link_idle_session_stays_up(void **state)
{
    (void)state;
    struct pair pair;
    struct link_kit clock;
    pair_start(&pair, 300, 0);
    /* A link to nobody measures the time by its own deadlines: it tells after one second that it
     * cannot connect. */
    link_kit_start(&clock, true, 0, SECRET, 300, 0);
    link_kit_add(&clock, LINK_KIT_NAME, 1, SECRET);
    assert_true(link_kit_wait_trouble(&clock, LINK_UNREACHABLE, 1));
    link_kit_stop(&clock);
    exchange(&pair.coordinator, &pair.agent, 8, 1);
    assert_int_equal(link_kit_ups(&pair.coordinator), 1);
    assert_int_equal(link_kit_ups(&pair.agent), 1);
    pair_stop(&pair);
}

/* With another secret no session comes up, and both ends are told once that this is the reason. */
static void test_link_wrong_secret_is_denied_and_told_once(void **state)
{
    (void)state;
    struct pair pair;
    link_kit_start(&pair.coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_start(&pair.agent, false, 0, "another secret, as long", LINK_KIT_SILENCE_MS, 0);
    link_kit_add(&pair.coordinator, LINK_KIT_NAME, pair.agent.port, SECRET);
    assert_true(link_kit_wait_trouble(&pair.agent, LINK_DENIED, 1));
    assert_true(link_kit_wait_trouble(&pair.coordinator, LINK_DENIED, 1));
    /* Correcting the secret is enough. */
    link_kit_add(&pair.coordinator, LINK_KIT_NAME, pair.agent.port, "another secret, as long");
    assert_true(link_kit_wait_in_session(&pair.coordinator));
    assert_true(link_kit_wait_in_session(&pair.agent));
    assert_int_equal(link_kit_troubles(&pair.agent, LINK_DENIED), 1);
    assert_int_equal(link_kit_troubles(&pair.coordinator, LINK_DENIED), 1);
    pair_stop(&pair);
}

/* An agent that is configured as another participant refuses, even with the right secret, and both
 * ends are told. */
static void test_link_other_participant_is_incompatible(void **state)
{
    (void)state;
    struct pair pair;
    link_kit_start(&pair.coordinator, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_start(&pair.agent, false, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    link_kit_add(&pair.coordinator, "payment", pair.agent.port, SECRET);
    assert_true(link_kit_wait_trouble(&pair.agent, LINK_INCOMPATIBLE, 1));
    assert_true(link_kit_wait_trouble(&pair.coordinator, LINK_INCOMPATIBLE, 1));
    assert_non_null(strstr(pair.coordinator.trouble_text[LINK_INCOMPATIBLE], LINK_KIT_NAME));
    assert_int_equal(link_kit_ups(&pair.agent), 0);
    pair_stop(&pair);
}

/* A session ended by its owner goes down on both ends and comes back with another number. */
static void test_link_ended_session_comes_back_with_a_new_number(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair, LINK_KIT_SILENCE_MS, 0);
    for (size_t round = 1; round <= 6; round++) {
        struct link_kit *end = round % 2 ? &pair.coordinator : &pair.agent;
        link_end_session(end->link, end->session);
        assert_true(link_kit_wait_downs(&pair.coordinator, round));
        assert_true(link_kit_wait_downs(&pair.agent, round));
        assert_true(link_kit_wait_ups(&pair.coordinator, round + 1));
        assert_true(link_kit_wait_ups(&pair.agent, round + 1));
    }
    assert_true(link_kit_wait_in_session(&pair.coordinator));
    assert_true(link_kit_wait_in_session(&pair.agent));
    exchange(&pair.agent, &pair.coordinator, 9, 3);
    pair_stop(&pair);
}

/* A removed participant's session ends, what is sent for it is dropped, and it can be added again.
 */
static void test_link_removed_participant_can_come_back(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair, LINK_KIT_SILENCE_MS, 0);
    link_remove_participant(pair.coordinator.link, LINK_KIT_NAME);
    assert_true(link_kit_wait_downs(&pair.coordinator, 1));
    assert_true(link_kit_wait_downs(&pair.agent, 1));
    struct message message = work_of_size(10);
    link_send(pair.coordinator.link, pair.coordinator.session, &message, 1);
    link_kit_add(&pair.coordinator, LINK_KIT_NAME, pair.agent.port, SECRET);
    assert_true(link_kit_wait_in_session(&pair.coordinator));
    assert_true(link_kit_wait_in_session(&pair.agent));
    exchange(&pair.coordinator, &pair.agent, 10, 3);
    pair_stop(&pair);
}

/* What was sent just before link_stop still arrives, if the other side reads. */
static void test_link_stop_lets_the_last_messages_out(void **state)
{
    (void)state;
    struct pair pair;
    pair_start(&pair, LINK_KIT_SILENCE_MS, 0);
    struct message messages[100];
    for (size_t i = 0; i < 100; i++) {
        messages[i] = work_of_size(20000);
    }
    link_send(pair.coordinator.link, pair.coordinator.session, messages, 100);
    link_kit_stop(&pair.coordinator);
    assert_true(link_kit_wait_messages(&pair.agent, 100));
    assert_true(link_kit_wait_downs(&pair.agent, 1));
    link_kit_stop(&pair.agent);
}

/* One agent serves several coordinators, and a coordinator several agents, each with its own
 * sessions. */
static void test_link_one_agent_serves_several_coordinators(void **state)
{
    (void)state;
    struct link_kit coordinators[3], agent;
    link_kit_start(&agent, false, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    for (size_t i = 0; i < 3; i++) {
        struct error error;
        link_kit_start(&coordinators[i], true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
        /* The kit's coordinators share one identity; give each its own. */
        link_stop(coordinators[i].link, 0);
        struct link_options options = {
            .is_coordinator = true,
            .listen = "127.0.0.1:0",
            .journal = {.bytes = {(uint8_t)(10 + i)}},
            .silence_ms = LINK_KIT_SILENCE_MS,
        };
        assert_success(link_start(&options, &coordinators[i].link, &error), &error);
        link_kit_add(&coordinators[i], LINK_KIT_NAME, agent.port, SECRET);
    }
    assert_true(link_kit_wait_ups(&agent, 3));
    assert_int_equal(agent.downs, 0);
    for (size_t i = 0; i < 3; i++) {
        link_kit_stop(&coordinators[i]);
    }
    assert_true(link_kit_wait_downs(&agent, 3));
    link_kit_stop(&agent);
}

/* A coordinator behind a forwarder tells the forwarder's address; one that nobody can dial is refused. */
static void test_link_advertised_address_is_the_one_told(void **state)
{
    (void)state;
    char address[ADDRESS_SIZE];
    char advertised[64];
    struct link *link;
    struct error error;
    struct link_kit elsewhere;
    link_kit_start(&elsewhere, true, 0, SECRET, LINK_KIT_SILENCE_MS, 0);
    (void)snprintf(advertised, sizeof advertised, "127.0.0.1:%u", (unsigned)elsewhere.port);
    struct link_options options = {
        .is_coordinator = true, .listen = "127.0.0.1:0", .advertise = advertised};
    assert_success(link_start(&options, &link, &error), &error);
    link_address(link, address);
    assert_string_equal(address + strlen("tcp://"), advertised);
    link_stop(link, 0);
    options.advertise = "0.0.0.0:7402"; /* nothing that can be dialled */
    assert_false(link_start(&options, &link, &error));
    link_kit_stop(&elsewhere);
}

/* Mistakes in a configuration are refused with a reason when the link is set up. */
static void test_link_bad_options_are_refused(void **state)
{
    (void)state;
    static const char *const addresses[] = {"",          "127.0.0.1",        "127.0.0.1:",
                                            ":7402",     "127.0.0.1:7402/x", "127.0.0.1;1.2.3.4:5",
                                            "0.0.0.0:0", "ipc:///tmp/socket"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct link_options options = {.is_coordinator = true, .listen = addresses[i]};
        struct link *link;
        struct error error = {0};
        if (link_start(&options, &link, &error)) {
            fail_msg("taken: %s", addresses[i]);
        }
        assert_string_not_equal(error.text, "");
    }
    struct link_kit kit;
    link_kit_start(&kit, true, 0, SECRET, 0, 0);
    char taken[64];
    (void)snprintf(taken, sizeof taken, "127.0.0.1:%u", (unsigned)kit.port);
    struct link_options options = {.is_coordinator = true, .listen = taken};
    struct link *link;
    struct error error = {0};
    assert_false(link_start(&options, &link, &error)); /* the port is in use */
    assert_int_equal(error.kind, ERROR_LOCKED);
    assert_non_null(strstr(error.hint, "another port"));
    struct link_secret secret, weak = {.size_bytes = 3, .bytes = "abc"};
    link_kit_secret(SECRET, &secret);
    assert_false(link_add_participant(kit.link, "Stock", "127.0.0.1:1", &secret, &error));
    assert_false(link_add_participant(kit.link, "stock", "127.0.0.1", &secret, &error));
    assert_false(link_add_participant(kit.link, "stock", "127.0.0.1:1", &weak, &error));
    link_kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_session_tells_who_is_there),
        cmocka_unit_test(test_link_messages_arrive_whole_and_in_order),
        cmocka_unit_test(test_link_messages_of_one_call_share_a_frame),
        cmocka_unit_test(test_link_too_large_for_a_frame_is_cut_or_dropped),
        cmocka_unit_test(test_link_other_sides_frame_limit_is_respected),
        cmocka_unit_test(test_link_idle_session_stays_up),
        cmocka_unit_test(test_link_wrong_secret_is_denied_and_told_once),
        cmocka_unit_test(test_link_other_participant_is_incompatible),
        cmocka_unit_test(test_link_ended_session_comes_back_with_a_new_number),
        cmocka_unit_test(test_link_removed_participant_can_come_back),
        cmocka_unit_test(test_link_stop_lets_the_last_messages_out),
        cmocka_unit_test(test_link_one_agent_serves_several_coordinators),
        cmocka_unit_test(test_link_advertised_address_is_the_one_told),
        cmocka_unit_test(test_link_bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
