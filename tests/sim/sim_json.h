/* sim_json.h - results of assent-fault sim as JSON, for programs. */
#ifndef ASSENT_SIM_JSON_H
#define ASSENT_SIM_JSON_H

#include <stdio.h>

#include "tests/sim/runner.h"

/* Many seeds: one object on a line. */
void json_runner(FILE *file, const struct runner_result *result, size_t not_as_declared);
/* One run: an object without an end of line. path: the kept file, NULL for a seed. */
void json_run(FILE *file, uint64_t seed, const char *path, const struct sim_verdict *verdict);

#endif
