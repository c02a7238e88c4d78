/* test_agent_random.c - seeds for the hostile world of agent_hostile.h. ASSENT_SEED=n runs that one alone, ASSENT_SEEDS=n
 * the first n. */
#include "tests/lib/test.h"

#include <stdlib.h>

#include "tests/spec/agent_hostile.h"

#define SEEDS  200
#define EVENTS 3000

static void run_seed(uint64_t seed)
{
    struct choices choices = {.random = seed};
    agent_hostile_run(&choices, EVENTS);
}
/* Invariants I3, P-3, P-7, P-12 and P-20 hold through any sequence of events, and everything ends.
 */
static void test_agent_random_events_keep_the_invariants(void **state)
{
    (void)state;
    const char *only = getenv("ASSENT_SEED");
    if (only != NULL) {
        run_seed(strtoull(only, NULL, 10));
        return;
    }
    const char *some = getenv("ASSENT_SEEDS");
    uint64_t seeds = some == NULL ? SEEDS : strtoull(some, NULL, 10);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        print_message("seed %llu\r", (unsigned long long)seed);
        run_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agent_random_events_keep_the_invariants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
