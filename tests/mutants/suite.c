/* suite.c - see suite.h. */
#include "tests/mutants/suite.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/mutants/files.h"

#define RIGHT_CODE_TIMEOUT_MS (10 * 60 * 1000)
#define LEAST_TIMEOUT_MS      5000
#define TIMEOUT_FACTOR        10 /* other work on the machine comes and goes */
#define SIM                   "assent-fault-sim"

void suite_close(struct suite *suite)
{
    for (size_t i = 0; i < suite->count; i++) {
        free(suite->programs[i].name);
        free(suite->programs[i].asked);
        words_done(&suite->programs[i].argv);
        words_done(&suite->programs[i].env);
    }
    free(suite->programs);
    *suite = (struct suite){0};
}

bool suite_asks(const struct suite_program *program, unsigned mutant)
{
    return mutant < program->asked_count && program->asked[mutant] != 0;
}

static struct suite_program *suite_add(struct suite *suite, const char *name, enum phase phase)
{
    suite->programs = alloc_resize(suite->programs, suite->count + 1, sizeof(suite->programs[0]));
    struct suite_program *program = &suite->programs[suite->count++];
    *program = (struct suite_program){.name = alloc_string(name), .phase = phase};
    return program;
}

static bool has_label(const json_t *test, const char *wanted)
{
    size_t i = 0, k = 0;
    const json_t *property = NULL, *label = NULL;
    json_array_foreach(json_object_get(test, "properties"), i, property)
    {
        const char *name = json_string_value(json_object_get(property, "name"));
        if (name == NULL || strcmp(name, "LABELS") != 0) {
            continue;
        }
        json_array_foreach(json_object_get(property, "value"), k, label)
        {
            if (json_is_string(label) && strcmp(json_string_value(label), wanted) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Spec tests of the cores; those with random events go into a phase of their own, after all the others. */
static void add_tests(const json_t *listing, enum phase phase, struct suite *suite)
{
    size_t i = 0;
    const json_t *test = NULL;
    json_array_foreach(json_object_get(listing, "tests"), i, test)
    {
        const char *name = json_string_value(json_object_get(test, "name"));
        if (name == NULL || !has_label(test, "spec") || has_label(test, "integration") ||
            (!has_prefix(name, "test_coord_") && !has_prefix(name, "test_agent_"))) {
            continue;
        }
        bool is_random = strstr(name, "_random") != NULL;
        if ((phase == PHASE_RANDOM) == is_random) {
            (void)suite_add(suite, name, phase);
        }
    }
}

static bool find_tests(const struct tree *tree, enum phase until, struct suite *suite,
                       struct error *ret_error)
{
    struct words argv = {0};
    struct run run = {0};
    char *text = NULL;
    json_error_t problem;
    words_split(&argv, "ctest --show-only=json-v1 --test-dir");
    words_add(&argv, tree->build);
    bool good =
        tree_run(words_argv(&argv), NULL, tree->log, RIGHT_CODE_TIMEOUT_MS, &run, ret_error) &&
        file_read(tree->log, &text, ret_error);
    words_done(&argv);
    json_t *listing = good ? json_loads(text, 0, &problem) : NULL;
    if (good && listing != NULL) {
        add_tests(listing, PHASE_SPEC, suite);
        if (until >= PHASE_RANDOM) {
            add_tests(listing, PHASE_RANDOM, suite);
        }
    }
    if (good && suite->count == 0) {
        good = error_set(ret_error, ERROR_NOT_FOUND, "ctest lists no spec tests of the cores");
    }
    json_decref(listing);
    free(text);
    return good;
}

static bool build(const struct tree *tree, const struct suite *suite, struct error *ret_error)
{
    struct words targets = {0};
    for (size_t i = 0; i < suite->count; i++) {
        words_add(&targets, suite->programs[i].name);
    }
    bool good = tree_make(tree, &targets, ret_error);
    words_done(&targets);
    return good;
}

/* The right code: how long it takes, that it passes, and which mutants it asks for. */
static bool run_right(const struct tree *tree, size_t mutant_count, struct suite_program *program,
                      struct error *ret_error)
{
    char *path = file_path(tree->build, "asked");
    size_t size = strlen(path) + sizeof "ASSENT_MUTANT_ASKED=";
    char *tell = alloc_array(size, 1);
    (void)snprintf(tell, size, "ASSENT_MUTANT_ASKED=%s", path);
    words_add(&program->env, tell);
    struct run run;
    program->asked_count = mutant_count + 1;
    program->asked = alloc_array(program->asked_count, 1);
    (void)remove(path);
    bool good = tree_run(words_argv(&program->argv), words_argv(&program->env), tree->log,
                         RIGHT_CODE_TIMEOUT_MS, &run, ret_error);
    words_drop(&program->env); /* what runs with a mutant need not tell */
    if (good && run.exit_code != 0) {
        char line[160];
        tree_evidence(tree->log, line, sizeof line);
        (void)error_set(ret_error, ERROR_INVALID, "%s fails without any mutant: %s", program->name,
                        line);
        good = error_hint(ret_error, "its output is in %s", tree->log);
    }
    FILE *file = good ? fopen(path, "re") : NULL;
    if (good && (file == NULL ||
                 fread(program->asked, 1, program->asked_count, file) != program->asked_count)) {
        good = error_set(ret_error, ERROR_IO, "%s did not tell which mutants it asks for",
                         program->name);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    program->timeout_ms = LEAST_TIMEOUT_MS + TIMEOUT_FACTOR * run.took_ms;
    free(tell);
    free(path);
    return good;
}

static void make_command(const struct tree *tree, const struct automatic_options *options,
                         struct suite_program *program)
{
    char text[48];
    char *path = tree_program(tree, program->name);
    words_add(&program->argv, path);
    free(path);
    if (program->phase == PHASE_SIM) {
        (void)snprintf(text, sizeof text, "--jobs 1 --time %us", options->time_sim_s);
        words_split(&program->argv, text);
    } else if (program->phase == PHASE_RANDOM && options->seeds != 0) {
        (void)snprintf(text, sizeof text, "ASSENT_SEEDS=%u", options->seeds);
        words_add(&program->env, text);
    }
}

bool suite_open(const struct tree *tree, size_t mutant_count,
                const struct automatic_options *options, struct suite *ret_suite,
                struct error *ret_error)
{
    struct suite suite = {0};
    bool good = find_tests(tree, options->until, &suite, ret_error);
    suite.has_sim =
        options->until >= PHASE_SIM && options->time_sim_s > 0 && tree_has_target(tree, SIM);
    if (good && suite.has_sim) {
        (void)suite_add(&suite, SIM, PHASE_SIM);
    }
    good = good && build(tree, &suite, ret_error);
    for (size_t i = 0; i < suite.count && good; i++) {
        make_command(tree, options, &suite.programs[i]);
        good = run_right(tree, mutant_count, &suite.programs[i], ret_error);
    }
    if (!good) {
        suite_close(&suite);
        return false;
    }
    *ret_suite = suite;
    return true;
}
