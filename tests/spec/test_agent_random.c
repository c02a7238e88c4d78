/* test_agent_random.c - seeds for the hostile world of agent_hostile.h. ASSENT_SEED=n runs that one alone. */
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
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
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
