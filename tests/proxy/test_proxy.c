/*
 * test_proxy.c - the proxy between two sockets of the test's own: what passes, what rules and weather
 * do to it, and that it waits instead of spinning.
 */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/proxy/proxy.h"

#define PATIENCE_MS 10000
#define SHORT_MS    150 /* long enough to see that nothing comes */

struct kit {
    struct proxy *proxy;
    int listener;
    size_t route;
    int dialer, target; /* the two ends of the connection that is looked at */
};

static void set_patience(int fd, uint32_t ms)
{
    const struct timeval time = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time), 0);
}

static int dial(const struct kit *kit)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(proxy_port(kit->proxy, kit->route)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    set_patience(fd, PATIENCE_MS);
    return fd;
}

static void kit_dial(struct kit *kit)
{
    kit->dialer = dial(kit);
    kit->target = accept4(kit->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(kit->target >= 0);
    set_patience(kit->target, PATIENCE_MS);
}

static void kit_make(struct kit *kit, enum stream_kind kind)
{
    struct error error;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    *kit = (struct kit){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(bind(kit->listener, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(kit->listener, 16), 0);
    assert_int_equal(getsockname(kit->listener, (struct sockaddr *)&address, &size), 0);
    set_patience(kit->listener, PATIENCE_MS);
    assert_success(proxy_new(&kit->proxy, &error), &error);
    const struct proxy_route route = {
        .name = "test", .kind = kind, .target_port = ntohs(address.sin_port)};
    assert_success(proxy_add_route(kit->proxy, &route, &kit->route, &error), &error);
    kit_dial(kit);
}

static void kit_done(struct kit *kit)
{
    proxy_free(kit->proxy);
    (void)close(kit->dialer);
    (void)close(kit->target);
    (void)close(kit->listener);
}

static void say(int fd, const void *bytes, size_t size_bytes)
{
    assert_int_equal(send(fd, bytes, size_bytes, MSG_NOSIGNAL), size_bytes);
}

static void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

static void hear(int fd, const char *expected)
{
    char heard[256];
    size_t size_bytes = strlen(expected);
    assert_true(size_bytes < sizeof heard);
    ssize_t got = recv(fd, heard, size_bytes, MSG_WAITALL);
    assert_int_equal(got, size_bytes);
    assert_memory_equal(heard, expected, size_bytes);
}

static void hear_nothing(int fd)
{
    char byte;
    set_patience(fd, SHORT_MS);
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_true(errno == EAGAIN || errno == EWOULDBLOCK);
    set_patience(fd, PATIENCE_MS);
}

static void hear_reset(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void hear_end(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

/* A statement as PostgreSQL's Parse would carry it. */
static void say_statement(int fd, const char *sql)
{
    char message[128];
    size_t length = strlen(sql);
    message[0] = 'Q';
    message[1] = message[2] = 0;
    message[3] = (char)((length + 5) >> 8);
    message[4] = (char)(length + 5);
    memcpy(message + 5, sql, length + 1);
    say(fd, message, length + 6);
}

static void hear_statement(int fd, const char *sql)
{
    char message[128];
    size_t size_bytes = strlen(sql) + 6;
    assert_int_equal(recv(fd, message, size_bytes, MSG_WAITALL), size_bytes);
    assert_string_equal(message + 5, sql);
}

static void postgres_make(struct kit *kit)
{
    static const char startup[] = "\0\0\0\x09\0\3\0\0"; /* with the final NUL: nine bytes */
    char heard[9];
    kit_make(kit, STREAM_POSTGRES);
    say(kit->dialer, startup, 9);
    assert_int_equal(recv(kit->target, heard, 9, MSG_WAITALL), 9);
}

static uint64_t rule_add(struct kit *kit, struct proxy_rule rule)
{
    struct error error;
    uint64_t id = 0;
    rule.route = kit->route;
    assert_success(proxy_add_rule(kit->proxy, &rule, &id, &error), &error);
    return id;
}

static void rule_expect(struct kit *kit, uint64_t id, uint32_t times, const char *label)
{
    char told[STREAM_LABEL_SIZE];
    assert_true(proxy_wait_rule(kit->proxy, id, clock_monotonic_ms() + PATIENCE_MS));
    assert_int_equal(proxy_remove_rule(kit->proxy, id, told), times);
    assert_string_equal(told, label);
}

/* What is said at one end is heard at the other, and so is its end, each way for itself. */
static void test_proxy_clear_weather_passes_everything(void **state)
{
    (void)state;
    struct kit kit;
    struct proxy_counts counts;
    kit_make(&kit, STREAM_RAW);
    say_text(kit.dialer, "a question");
    hear(kit.target, "a question");
    (void)shutdown(kit.dialer, SHUT_WR);
    hear_end(kit.target);
    say_text(kit.target, "an answer all the same");
    hear(kit.dialer, "an answer all the same");
    proxy_count(kit.proxy, kit.route, &counts);
    assert_int_equal(counts.connections_now, 1);
    assert_int_equal(counts.bytes, 32);
    (void)shutdown(kit.target, SHUT_WR);
    hear_end(kit.dialer);
    kit_done(&kit);
}

/* Megabytes in both directions arrive whole, in order, through its bounded buffers. */
static void test_proxy_large_streams_arrive_whole(void **state)
{
    (void)state;
    struct kit kit;
    static uint8_t block[65536], heard[65536];
    kit_make(&kit, STREAM_RAW);
    for (int round = 0; round < 64; round++) {
        memset(block, round, sizeof block);
        say(kit.dialer, block, sizeof block);
        assert_int_equal(recv(kit.target, heard, sizeof heard, MSG_WAITALL), sizeof heard);
        assert_memory_equal(block, heard, sizeof block);
    }
    kit_done(&kit);
}

/* The nth statement of a kind is dropped, and nothing else. */
static void test_proxy_rule_drops_the_nth(void **state)
{
    (void)state;
    struct kit kit;
    postgres_make(&kit);
    uint64_t id = rule_add(&kit, (struct proxy_rule){.direction = PROXY_TO_TARGET,
                                                     .text = "sql PREPARE TRANSACTION",
                                                     .nth = 2,
                                                     .action = PROXY_DROP});
    say_statement(kit.dialer, "PREPARE TRANSACTION 'a'");
    say_statement(kit.dialer, "SELECT 1");
    say_statement(kit.dialer, "PREPARE TRANSACTION 'b'");
    say_statement(kit.dialer, "PREPARE TRANSACTION 'c'");
    hear_statement(kit.target, "PREPARE TRANSACTION 'a'");
    hear_statement(kit.target, "SELECT 1");
    hear_statement(kit.target, "PREPARE TRANSACTION 'c'");
    rule_expect(&kit, id, 1, "sql PREPARE TRANSACTION 'b'");
    kit_done(&kit);
}

/* A held unit and what follows it come later, in their order; the other direction does not wait. */
static void test_proxy_rule_holds_one_direction(void **state)
{
    (void)state;
    struct kit kit;
    postgres_make(&kit);
    uint64_t id = rule_add(&kit, (struct proxy_rule){.direction = PROXY_TO_TARGET,
                                                     .text = "sql COMMIT PREPARED",
                                                     .action = PROXY_HOLD,
                                                     .hold_ms = 2 * SHORT_MS});
    uint64_t begin_ms = clock_monotonic_ms();
    say_statement(kit.dialer, "COMMIT PREPARED 'a'");
    say_statement(kit.dialer, "SELECT 1");
    say_statement(kit.target, "meanwhile"); /* for the proxy just a message */
    hear_statement(kit.dialer, "meanwhile");
    hear_nothing(kit.target);
    hear_statement(kit.target, "COMMIT PREPARED 'a'");
    hear_statement(kit.target, "SELECT 1");
    assert_true(clock_monotonic_ms() - begin_ms >= 2 * SHORT_MS);
    rule_expect(&kit, id, 1, "sql COMMIT PREPARED 'a'");
    kit_done(&kit);
}

/* A connection is reset in place of a unit, or right behind it. */
static void test_proxy_rule_cuts_before_and_behind(void **state)
{
    (void)state;
    struct kit kit;
    postgres_make(&kit);
    (void)rule_add(&kit, (struct proxy_rule){.direction = PROXY_TO_TARGET,
                                             .text = "sql COMMIT",
                                             .action = PROXY_CUT});
    say_statement(kit.dialer, "SELECT 1");
    hear_statement(kit.target, "SELECT 1");
    say_statement(kit.dialer, "COMMIT PREPARED 'a'");
    hear_reset(kit.dialer);
    hear_reset(kit.target);
    kit_done(&kit);

    postgres_make(&kit);
    (void)rule_add(&kit, (struct proxy_rule){.direction = PROXY_TO_TARGET,
                                             .text = "sql COMMIT",
                                             .action = PROXY_CUT_BEHIND});
    say_statement(kit.dialer, "COMMIT PREPARED 'a'");
    hear_reset(kit.dialer);
    hear_statement(kit.target, "COMMIT PREPARED 'a'");
    hear_reset(kit.target);
    kit_done(&kit);
}

/* Muted, a direction swallows all that follows, while the connection stays and the other one speaks. */
static void test_proxy_rule_mutes_one_direction(void **state)
{
    (void)state;
    struct kit kit;
    postgres_make(&kit);
    (void)rule_add(&kit, (struct proxy_rule){.direction = PROXY_TO_TARGET,
                                             .text = "sql PREPARE",
                                             .action = PROXY_MUTE});
    say_statement(kit.dialer, "PREPARE TRANSACTION 'a'");
    say_statement(kit.dialer, "SELECT 1");
    hear_nothing(kit.target);
    say_statement(kit.target, "still here");
    hear_statement(kit.dialer, "still here");
    kit_done(&kit);
}

static void set_sky(struct kit *kit, enum proxy_direction direction, enum proxy_sky sky)
{
    proxy_set_weather(kit->proxy, kit->route, direction,
                      (struct proxy_weather){.sky = sky, .piece_bytes = 1});
}

/* What was held arrives when the weather clears, also over connections made meanwhile. */
static void test_proxy_held_weather_delays(void **state)
{
    (void)state;
    struct kit kit, later;
    kit_make(&kit, STREAM_RAW);
    set_sky(&kit, PROXY_BOTH, PROXY_HELD);
    say_text(kit.dialer, "wait for me");
    hear_nothing(kit.target);
    later = kit;
    later.dialer = dial(&kit);
    say_text(later.dialer, "and for me");
    hear_nothing(later.dialer);
    set_sky(&kit, PROXY_BOTH, PROXY_CLEAR);
    hear(kit.target, "wait for me");
    later.target = accept4(kit.listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(later.target >= 0);
    hear(later.target, "and for me");
    (void)close(later.dialer);
    (void)close(later.target);
    kit_done(&kit);
}

/* One direction alone can be held. */
static void test_proxy_weather_is_one_way(void **state)
{
    (void)state;
    struct kit kit;
    kit_make(&kit, STREAM_RAW);
    set_sky(&kit, PROXY_TO_DIALER, PROXY_HELD);
    say_text(kit.dialer, "there");
    hear(kit.target, "there");
    say_text(kit.target, "and back");
    hear_nothing(kit.dialer);
    set_sky(&kit, PROXY_BOTH, PROXY_CLEAR);
    hear(kit.dialer, "and back");
    kit_done(&kit);
}

/* Bytes that were lost never come, and the connection that lost them is reset when the weather clears. */
static void test_proxy_lost_weather_resets_afterwards(void **state)
{
    (void)state;
    struct kit kit;
    kit_make(&kit, STREAM_RAW);
    set_sky(&kit, PROXY_BOTH, PROXY_LOST);
    say_text(kit.dialer, "into the void");
    hear_nothing(kit.target);
    set_sky(&kit, PROXY_BOTH, PROXY_CLEAR);
    hear_reset(kit.dialer);
    hear_reset(kit.target);
    kit_done(&kit);
}

/* A dead end is not seen by the other one while nothing passes between them. */
static void test_proxy_half_open_connection_lasts_as_long_as_the_weather(void **state)
{
    (void)state;
    struct kit kit;
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    kit_make(&kit, STREAM_RAW);
    set_sky(&kit, PROXY_BOTH, PROXY_HELD);
    assert_int_equal(setsockopt(kit.dialer, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
    (void)close(kit.dialer);
    hear_nothing(kit.target);
    set_sky(&kit, PROXY_BOTH, PROXY_CLEAR);
    hear_reset(kit.target);
    kit.dialer = -1;
    kit_done(&kit);
}

/* Slow weather passes everything, in pieces with pauses. */
static void test_proxy_slow_weather_passes_pieces(void **state)
{
    (void)state;
    struct kit kit;
    kit_make(&kit, STREAM_RAW);
    proxy_set_weather(kit.proxy, kit.route, PROXY_BOTH,
                      (struct proxy_weather){.sky = PROXY_SLOW, .piece_bytes = 2, .pause_ms = 10});
    uint64_t begin_ms = clock_monotonic_ms();
    say_text(kit.dialer, "twenty bytes of text");
    hear(kit.target, "twenty bytes of text");
    assert_true(clock_monotonic_ms() - begin_ms >= 9 * 10);
    set_sky(&kit, PROXY_BOTH, PROXY_SLOW); /* one byte at a time, without pauses */
    say_text(kit.target, "and back");
    hear(kit.dialer, "and back");
    kit_done(&kit);
}

static uint64_t cpu_ms(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* Whatever state its connections are in, the proxy waits for events and burns no time. */
static void test_proxy_waits_without_spinning(void **state)
{
    (void)state;
    static const enum proxy_sky skies[] = {PROXY_CLEAR, PROXY_HELD, PROXY_LOST, PROXY_SLOW};
    for (size_t i = 0; i < sizeof skies / sizeof skies[0]; i++) {
        struct kit kit;
        kit_make(&kit, STREAM_RAW);
        set_sky(&kit, PROXY_BOTH, skies[i]);
        say_text(kit.dialer, "something");
        (void)shutdown(kit.dialer, SHUT_WR);
        int waiting = dial(&kit);
        (void)close(waiting);
        uint64_t begin_ms = cpu_ms();
        hear_nothing(kit.dialer);
        hear_nothing(kit.dialer);
        assert_in_range(cpu_ms() - begin_ms, 0, SHORT_MS / 2);
        kit_done(&kit);
    }
}

/* A target that does not listen refuses the dialer. */
static void test_proxy_absent_target_refuses(void **state)
{
    (void)state;
    struct kit kit;
    kit_make(&kit, STREAM_RAW);
    (void)close(kit.listener);
    int refused = dial(&kit);
    hear_reset(refused);
    (void)close(refused);
    kit.listener = -1;
    assert_int_equal(proxy_reset(kit.proxy, kit.route), 1);
    hear_reset(kit.dialer);
    kit_done(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy_clear_weather_passes_everything),
        cmocka_unit_test(test_proxy_large_streams_arrive_whole),
        cmocka_unit_test(test_proxy_rule_drops_the_nth),
        cmocka_unit_test(test_proxy_rule_holds_one_direction),
        cmocka_unit_test(test_proxy_rule_cuts_before_and_behind),
        cmocka_unit_test(test_proxy_rule_mutes_one_direction),
        cmocka_unit_test(test_proxy_held_weather_delays),
        cmocka_unit_test(test_proxy_weather_is_one_way),
        cmocka_unit_test(test_proxy_lost_weather_resets_afterwards),
        cmocka_unit_test(test_proxy_half_open_connection_lasts_as_long_as_the_weather),
        cmocka_unit_test(test_proxy_slow_weather_passes_pieces),
        cmocka_unit_test(test_proxy_waits_without_spinning),
        cmocka_unit_test(test_proxy_absent_target_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
