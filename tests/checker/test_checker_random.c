/*
 * test_checker_random.c - histories from a seed: what was executed in series always passes, each planted
 * corruption is always found, and a long one is judged in the time that is promised.
 */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/checker/report.h"
#include "tests/checker/world.h"

#define SEEDS       20
#define LONG_TXNS   100000
#define LONG_LIMIT  10.0 /* seconds of CPU; the test allows the factor below */
#define LONG_FACTOR 4.0  /* sanitizers, caches shared with other work */

/* The checks of which at least one has to find each corruption. */
static const struct expectation {
    const char *name;
    enum check checks[3];
    size_t count;
} expectations[CORRUPT_COUNT] = {
    [CORRUPT_NOTHING] = {"nothing", {0}, 0},
    [CORRUPT_DROP_EFFECT] = {"drop effect", {CHECK_A1, CHECK_D1}, 2},
    [CORRUPT_CHANGE_EFFECT] = {"change effect", {CHECK_A1}, 1},
    [CORRUPT_REPEAT_EFFECT] = {"repeat effect", {CHECK_X1}, 1},
    [CORRUPT_DROP_COMMIT] = {"drop commit", {CHECK_D1}, 1},
    [CORRUPT_KEEP_ABORT] = {"keep abort", {CHECK_D1}, 1},
    [CORRUPT_BALANCE] = {"balance", {CHECK_C1}, 1},
    [CORRUPT_DROP_ELEMENT] = {"drop element", {CHECK_G1}, 1},
    [CORRUPT_STALE_READ] = {"stale read", {CHECK_G1}, 1},
    [CORRUPT_FUTURE_READ] = {"future read", {CHECK_G1}, 1},
    [CORRUPT_SWAP_READ] = {"swap read", {CHECK_G1}, 1},
    [CORRUPT_REGISTER_VERSION] = {"register version", {CHECK_G1}, 1},
    [CORRUPT_ANSWER] = {"answer", {CHECK_X1}, 1},
    [CORRUPT_PREPARED] = {"prepared", {CHECK_L1}, 1},
};

struct judged {
    struct history history;
    struct report report;
    struct world_result world;
    double seconds; /* of CPU, for reading and judging */
};

/* CPU time: other work on the machine must not decide this test. */
static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void judge(const struct world_options *options, struct judged *ret_judged)
{
    char path[] = "/tmp/assent-checker-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    world_write(options, file, &ret_judged->world);
    assert_int_equal(fclose(file), 0);
    struct problem problem = {0};
    double begin = now_s();
    bool good = history_read(path, false, &ret_judged->history, &problem) &&
                report_make(&ret_judged->history, &ret_judged->report, &problem);
    ret_judged->seconds = now_s() - begin;
    unlink(path);
    if (!good) {
        fail_msg("seed %llu: line %llu: %s", (unsigned long long)options->seed,
                 (unsigned long long)problem.line, problem.text);
    }
}

static void judged_done(struct judged *judged)
{
    report_done(&judged->report);
    history_done(&judged->history);
}

/* Whatever was executed in series passes, and everything about it could be checked. */
static void test_checker_serial_execution_passes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct judged judged;
        struct world_options options = {.seed = seed, .txns = 2000};
        judge(&options, &judged);
        if (!report_passed(&judged.report)) {
            report_print_text(&judged.history, &judged.report, stderr);
            fail_msg("seed %llu has findings", (unsigned long long)seed);
        }
        for (int check = 0; check < CHECK_COUNT; check++) {
            if (check != CHECK_B1) {
                assert_int_equal(judged.report.status[check], STATUS_PASSED);
            }
        }
        judged_done(&judged);
    }
}

/* Fractured plain reads are counted exactly, and fail nothing. */
static void test_checker_fractured_reads_are_counted_exactly(void **state)
{
    uint64_t planted = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct judged judged;
        struct world_options options = {
            .seed = seed, .txns = 2000, .snapshot_percent = 60, .fractured_percent = 50};
        judge(&options, &judged);
        if (!report_passed(&judged.report)) {
            report_print_text(&judged.history, &judged.report, stderr);
            fail_msg("seed %llu has findings", (unsigned long long)seed);
        }
        assert_int_equal(judged.report.figures.fractured_reads, judged.world.fractured);
        planted += judged.world.fractured;
        judged_done(&judged);
    }
    assert_true(planted > SEEDS);
}

/* Each kind of corruption, planted anywhere, is found by the check that is there for it. */
static void test_checker_planted_corruption_is_found(void **state)
{
    (void)state;
    for (enum corruption kind = CORRUPT_NOTHING + 1; kind < CORRUPT_COUNT; kind++) {
        const struct expectation *expectation = &expectations[kind];
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct judged judged;
            struct world_options options = {
                .seed = seed + 1000 * kind, .txns = 1500, .corruption = kind};
            bool found = false;
            judge(&options, &judged);
            if (!judged.world.planted) {
                fail_msg("%s found no place with seed %llu", expectation->name,
                         (unsigned long long)options.seed);
            }
            for (size_t i = 0; i < expectation->count; i++) {
                found = found || judged.report.status[expectation->checks[i]] == STATUS_FAILED;
            }
            if (!found) {
                report_print_text(&judged.history, &judged.report, stderr);
                fail_msg("%s was not found with seed %llu", expectation->name,
                         (unsigned long long)options.seed);
            }
            judged_done(&judged);
        }
    }
}

/* 100,000 transactions are judged in seconds, in time that grows with their number, and in bounded memory. */
static void test_checker_long_history_is_judged_in_time(void **state)
{
    struct judged judged;
    struct world_options options = {.seed = 7,
                                    .txns = LONG_TXNS / 4,
                                    .snapshot_percent = 50,
                                    .fractured_percent = 20,
                                    .samples = true};
    (void)state;
    judge(&options, &judged);
    double quarter = judged.seconds;
    judged_done(&judged);
    options.txns = LONG_TXNS;
    judge(&options, &judged);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    print_message(
        "%d transactions judged in %.2f s of CPU (a quarter of them in %.2f s), %ld KiB at most, "
        "%llu fractured reads of %llu\n",
        LONG_TXNS, judged.seconds, quarter, usage.ru_maxrss,
        (unsigned long long)judged.report.figures.fractured_reads,
        (unsigned long long)judged.report.figures.snapshot_reads);
    assert_true(report_passed(&judged.report));
    assert_int_equal(judged.report.figures.fractured_reads, judged.world.fractured);
    assert_true(judged.seconds < LONG_LIMIT * LONG_FACTOR);
    /* Four times as many take about four times as long; a square would take sixteen times. */
    assert_true(judged.seconds < quarter * 10 + 0.5);
    judged_done(&judged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checker_serial_execution_passes),
        cmocka_unit_test(test_checker_fractured_reads_are_counted_exactly),
        cmocka_unit_test(test_checker_planted_corruption_is_found),
        cmocka_unit_test(test_checker_long_history_is_judged_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
