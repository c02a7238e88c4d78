/* test_coord_random.c - seeds for the hostile world of coord_hostile.h. ASSENT_SEED=n runs that one alone, ASSENT_SEEDS=n
 * the first n. */
#include "tests/lib/test.h"

#include <stdlib.h>

#include "tests/spec/coord_hostile.h"

#define SEEDS  2000
#define EVENTS 2000

/* I1, I2, I4, P-2, P-4, P-5, P-7, P-18, P-20 and Q1 hold through any sequence of events, and everything ends; each kind of
 * event leads somewhere. */
static void test_coord_random_events_keep_the_invariants(void **state)
{
    (void)state;
    struct coord_hostile_tally tally = {0};
    const char *only = getenv("ASSENT_SEED");
    uint64_t first = only == NULL ? 1 : strtoull(only, NULL, 10);
    const char *some = getenv("ASSENT_SEEDS");
    uint64_t seeds = some == NULL ? SEEDS : strtoull(some, NULL, 10);
    uint64_t last = only == NULL ? seeds : first;
    for (uint64_t seed = first; seed <= last; seed++) {
        struct choices choices = {.random = seed};
        print_message("seed %llu\r", (unsigned long long)seed);
        coord_hostile_run(&choices, EVENTS, &tally);
    }
    print_message("%llu commits, %llu ends, %llu aborts, %llu verdicts, %llu heuristics, %llu "
                  "starts, %llu stops\n",
                  (unsigned long long)tally.commits, (unsigned long long)tally.ends,
                  (unsigned long long)tally.aborts, (unsigned long long)tally.verdicts,
                  (unsigned long long)tally.heuristics, (unsigned long long)tally.starts,
                  (unsigned long long)tally.stops);
    if (only == NULL) {
        assert_true(tally.commits > seeds && tally.ends > seeds && tally.aborts > seeds);
        assert_true(tally.verdicts > seeds && tally.heuristics > 0 && tally.starts > seeds);
        assert_true(tally.audits > seeds && tally.statements > seeds);
        assert_true(tally.stops > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coord_random_events_keep_the_invariants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
