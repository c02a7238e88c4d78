/* The model of PostgreSQL that the simulator runs on is kept honest: each script gives the same answers and leaves the same
 * rows in the model and in a real server. */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "tests/lib/test.h"

#include "tests/spec/honest.h"

static struct honest_side *server;

static int set_up(void **state)
{
    (void)state;
    server = honest_server_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    honest_server_free(server);
    return 0;
}

static void test_model_says_what_the_script_says(void **state)
{
    const struct honest_script *script = *state;
    struct honest_side *model = honest_model_new(script);
    honest_run(model, script);
    honest_model_free(model);
}

static void test_server_says_what_the_script_says(void **state)
{
    const struct honest_script *script = *state;
    honest_server_begin(server, script);
    honest_run(server, script);
    honest_server_end(server);
}

/* Every script twice, the model first: it costs nothing. */
int main(void)
{
    struct CMUnitTest *tests = alloc_zeroed(2 * honest_script_count * sizeof *tests);
    char(*names)[80] = alloc_zeroed(2 * honest_script_count * sizeof *names);
    size_t count = 0;
    for (size_t i = 0; i < honest_script_count; i++) {
        for (size_t side = 0; side < 2; side++) {
            (void)snprintf(names[count], sizeof *names, "%s: %s", side == 0 ? "model" : "server",
                           honest_scripts[i].name);
            tests[count] = (struct CMUnitTest){
                .name = names[count],
                .test_func = side == 0 ? test_model_says_what_the_script_says
                                       : test_server_says_what_the_script_says,
                .initial_state = (void *)(uintptr_t)&honest_scripts[i],
            };
            count++;
        }
    }
    int failed = _cmocka_run_group_tests("model_honest", tests, count, set_up, tear_down);
    free(names);
    free(tests);
    return failed;
}
