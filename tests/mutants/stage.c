/* stage.c - see stage.h. */
#include "tests/mutants/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/mutants/files.h"
#include "tests/mutants/tree.h"

enum stage_kind {
    KIND_TESTS,   /* the argument names tests of ctest, which are targets of the same names */
    KIND_PROGRAM, /* the argument is a command line for `program` */
    KIND_MODEL, /* the same for the script that searches a model for the bug planted in it: 0 means found */
};

static const struct {
    const char *name;
    char letter;
    enum stage_kind kind;
    const char *program;
    const char *older; /* what it was called before, if that is what the tree has */
    const char *needs; /* other targets */
    uint64_t timeout_ms;
} stages[STAGE_COUNT] = {
    [STAGE_SPEC] = {"spec", 'U', KIND_TESTS, NULL, NULL, "", 600000},
    [STAGE_MODEL] = {"model", 'S', KIND_MODEL, "tests/model/check_model.sh", NULL, "", 900000},
    [STAGE_SIM] = {"sim", 'R', KIND_PROGRAM, "assent-fault-sim", NULL, "", 900000},
    [STAGE_EXPLORE] = {"explore", 'X', KIND_PROGRAM, "assent-fault-explore", NULL, "", 600000},
    [STAGE_DATABASE] = {"database", 'M', KIND_TESTS, NULL, NULL, "", 900000},
    [STAGE_MATRIX] = {"matrix", 'M', KIND_PROGRAM, "assent-fault-matrix", "crash_matrix",
                      "assentd assent-agent assent", 1800000},
    [STAGE_INTEGRATION] = {"integration", 'M', KIND_TESTS, NULL, NULL,
                           "assentd assent-agent assent", 1800000},
    [STAGE_CHECK] = {"check", 'E', KIND_PROGRAM, "assent-fault-run", NULL,
                     "assentd assent-agent assent assent-fault-check", 1800000},
};

const char *stage_name(enum stage stage)
{
    return stages[stage].name;
}

char stage_letter(enum stage stage)
{
    return stages[stage].letter;
}

bool stage_letter_is_known(char letter)
{
    for (size_t i = 0; i < STAGE_COUNT; i++) {
        if (stages[i].letter == letter) {
            return true;
        }
    }
    return false;
}

static const char *program_of(const struct tree *tree, enum stage stage)
{
    const char *program = stages[stage].program;
    if (!tree_has_target(tree, program) && stages[stage].older != NULL) {
        program = stages[stage].older;
    }
    return program;
}

bool stage_is_present(const struct tree *tree, enum stage stage, const char *arguments)
{
    struct words names = {0};
    bool present = true;
    switch (stages[stage].kind) {
    case KIND_TESTS:
        words_split(&names, arguments);
        for (size_t i = 0; i < names.count; i++) {
            present = present && tree_has_target(tree, names.items[i]);
        }
        words_done(&names);
        return present;
    case KIND_PROGRAM:
        return tree_has_target(tree, program_of(tree, stage));
    case KIND_MODEL: {
        char *path = file_path(tree->source, stages[stage].program);
        present = file_exists(path);
        free(path);
        return present;
    }
    }
    return false;
}

/* Starts with what was found first: the tests stop at the first that fails. */
static void add_test_command(const struct tree *tree, const struct words *names, struct words *argv)
{
    char *pattern = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&pattern, &size);
    if (out == NULL) {
        abort();
    }
    for (size_t i = 0; i < names->count; i++) {
        (void)fprintf(out, "%s%s", i == 0 ? "^(" : "|", names->items[i]);
    }
    (void)fputs(")$", out);
    (void)fclose(out);
    words_split(argv, "ctest --output-on-failure --stop-on-failure --test-dir");
    words_add(argv, tree->build);
    words_add(argv, "-R");
    words_add(argv, pattern);
    free(pattern);
}

/* A word that begins with tests/ is a file of the tree. */
static void add_arguments(const struct tree *tree, const char *arguments, struct words *argv)
{
    struct words own = {0};
    words_split(&own, arguments);
    for (size_t i = 0; i < own.count; i++) {
        bool is_file = strncmp(own.items[i], "tests/", strlen("tests/")) == 0;
        char *path = is_file ? file_path(tree->copy, own.items[i]) : NULL;
        words_add(argv, is_file ? path : own.items[i]);
        free(path);
    }
    words_done(&own);
}

static bool prepare(const struct tree *tree, enum stage stage, const char *arguments,
                    struct words *argv, struct error *ret_error)
{
    struct words targets = {0}, names = {0};
    words_split(&targets, stages[stage].needs);
    if (stages[stage].kind == KIND_TESTS) {
        words_split(&names, arguments);
        words_split(&targets, arguments);
    } else if (stages[stage].kind == KIND_PROGRAM) {
        words_add(&targets, program_of(tree, stage));
    }
    bool good = targets.count == 0 || tree_make(tree, &targets, ret_error);
    if (good && stages[stage].kind == KIND_TESTS) {
        add_test_command(tree, &names, argv);
    } else if (good) {
        char *program = stages[stage].kind == KIND_MODEL
                            ? file_path(tree->copy, stages[stage].program)
                            : tree_program(tree, program_of(tree, stage));
        words_add(argv, program);
        add_arguments(tree, arguments, argv);
        free(program);
    }
    words_done(&targets);
    words_done(&names);
    return good;
}

/* 1 is what all our programs say for "a check failed", 8 what ctest says. Others (64, 69, 77 ...) are no verdict. */
static bool judge(const struct run *run, enum stage stage, const struct tree *tree,
                  struct stage_result *ret_result, struct error *ret_error)
{
    ret_result->took_ms = run->took_ms;
    if (stages[stage].kind == KIND_MODEL && run->exit_code <= 1) {
        ret_result->verdict = run->exit_code == 0 ? STAGE_CAUGHT : STAGE_PASSED;
        tree_evidence(tree->log, ret_result->evidence, sizeof ret_result->evidence);
        return true;
    }
    if (run->exit_code == 0) {
        ret_result->verdict = STAGE_PASSED;
        return true;
    }
    int failed = stages[stage].kind == KIND_TESTS ? 8 : 1;
    if (run->exit_code != failed && run->exit_code >= 0 && run->exit_code < 128) {
        (void)error_set(ret_error, ERROR_SYSTEM, "stage %s ended with %d, which is no verdict",
                        stages[stage].name, run->exit_code);
        return error_hint(ret_error, "its output is in %s", tree->log);
    }
    ret_result->verdict = STAGE_CAUGHT;
    tree_evidence(tree->log, ret_result->evidence, sizeof ret_result->evidence);
    if (run->is_stuck) {
        (void)snprintf(ret_result->evidence, sizeof ret_result->evidence, "does not end");
    }
    return true;
}

bool stage_run(const struct tree *tree, enum stage stage, const char *arguments,
               struct stage_result *ret_result, struct error *ret_error)
{
    struct words argv = {0};
    struct run run;
    *ret_result = (struct stage_result){.verdict = STAGE_ABSENT};
    if (!stage_is_present(tree, stage, arguments)) {
        return true;
    }
    bool good =
        prepare(tree, stage, arguments, &argv, ret_error) &&
        tree_run(words_argv(&argv), NULL, tree->log, stages[stage].timeout_ms, &run, ret_error) &&
        judge(&run, stage, tree, ret_result, ret_error);
    words_done(&argv);
    return good;
}
