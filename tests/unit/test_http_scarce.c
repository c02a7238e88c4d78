/*
 * test_http_scarce.c - the process has no descriptor left: who is connected is served, who comes waits for one to be free.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/http_stand_in.h"

#define DESCRIPTORS 128
#define LIVEZ       "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void ask(int fd)
{
    wire_send(fd, LIVEZ, strlen(LIVEZ));
}

static void expect_alive(int fd)
{
    struct wire_reply reply;
    assert_true(wire_receive(fd, &reply));
    assert_int_equal(reply.status, 200);
    wire_reply_done(&reply);
}

static uint64_t processor_ms(void)
{
    struct timespec used;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

/* Takes all descriptors that the limit leaves, but one. Returns how many are in fds. */
static size_t fill(int fds[DESCRIPTORS])
{
    size_t count = 0;
    while (count < DESCRIPTORS && (fds[count] = dup(STDERR_FILENO)) >= 0) {
        count++;
    }
    assert_int_equal(errno, EMFILE);
    assert_true(count > 1);
    assert_int_equal(close(fds[--count]), 0);
    return count;
}

/* accept() fails with EMFILE until somebody closes something. */
static void test_no_descriptor_left_serves_the_open_and_lets_others_wait(void **state)
{
    (void)state;
    struct stand_in stand_in;
    struct rlimit before;
    int fds[DESCRIPTORS] = {0};
    stand_in_start(&stand_in, NULL, stand_in_answer_committed, NULL);
    const int open_one = wire_connect(stand_in.port);
    ask(open_one);
    expect_alive(open_one);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit few = {.rlim_cur = DESCRIPTORS, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    const size_t count = fill(fds);
    const int waiting =
        wire_connect(stand_in.port); /* the last one; none is left to accept it with */
    ask(waiting);

    const uint64_t before_ms = processor_ms();
    struct pollfd answer = {.fd = waiting, .events = POLLIN};
    assert_int_equal(poll(&answer, 1, 500), 0); /* nothing comes: the time is what is measured */
    assert_true(processor_ms() - before_ms < 20);
    for (int i = 0; i < 3; i++) {
        ask(open_one);
        expect_alive(open_one);
    }

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
    expect_alive(waiting);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(close(waiting), 0);
    assert_int_equal(close(open_one), 0);
    stand_in_stop(&stand_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_descriptor_left_serves_the_open_and_lets_others_wait),
    };
    return cmocka_run_group_tests_name("http_scarce", tests, NULL, NULL);
}
