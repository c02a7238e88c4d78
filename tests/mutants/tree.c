/* tree.c - see tree.h. */
#include "tests/mutants/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/lib/process.h"
#include "tests/mutants/files.h"

#define CONFIGURE_TIMEOUT_MS (5 * 60 * 1000)
#define BUILD_TIMEOUT_MS     (60 * 60 * 1000)

bool tree_run(const char *const *argv, const char *const *env, const char *output,
              uint64_t timeout_ms, struct run *ret_run, struct error *ret_error)
{
    (void)unlink(output);
    struct process *process = NULL;
    const struct process_options options = {
        .argv = argv, .env = env, .stdout_path = output, .stderr_path = output};
    uint64_t started_ms = clock_monotonic_ms();
    if (!process_start(&options, &process, ret_error)) {
        return false;
    }
    int status = 0;
    bool ended = process_wait(process, started_ms + timeout_ms, &status);
    *ret_run = (struct run){
        .exit_code = ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1,
        .is_stuck = !ended,
        .took_ms = clock_monotonic_ms() - started_ms,
    };
    process_free(process);
    return true;
}

void tree_evidence(const char *output, char *ret_text, size_t text_size)
{
    static const char *const signs[] = {"pan:1:",
                                        "check failed",
                                        "[  FAILED  ] test_",
                                        " != ",
                                        "is not in the range",
                                        "[  ERROR   ]",
                                        "error:",
                                        "Timeout",
                                        "violat",
                                        "FAILED",
                                        "Failed",
                                        "assertion",
                                        "red"};
    char *text = NULL;
    struct error ignored;
    ret_text[0] = '\0';
    if (!file_read(output, &text, &ignored)) {
        return;
    }
    for (size_t i = 0; i < sizeof signs / sizeof signs[0] && ret_text[0] == '\0'; i++) {
        const char *at = strstr(text, signs[i]);
        if (at != NULL) {
            while (at > text && at[-1] != '\n' && at[-1] != '\r') {
                at--;
            }
            at += strspn(at, " ");
            (void)snprintf(ret_text, text_size, "%.*s", (int)strcspn(at, "\r\n"), at);
        }
    }
    free(text);
}

static bool run_tool(const struct tree *tree, const struct words *argv, uint64_t timeout_ms,
                     struct error *ret_error)
{
    struct run run;
    if (!tree_run(words_argv(argv), NULL, tree->log, timeout_ms, &run, ret_error)) {
        return false;
    }
    if (run.exit_code != 0) {
        char line[200];
        tree_evidence(tree->log, line, sizeof line);
        (void)error_set(ret_error, ERROR_SYSTEM, "%s %s: %s", argv->items[0],
                        run.is_stuck ? "does not end" : "failed", line);
        return error_hint(ret_error, "its output is in %s", tree->log);
    }
    return true;
}

/* As in a release, but quicker to build: neither debugging information nor hardening would change a verdict. */
static bool configure(const struct tree *tree, enum tree_build build, struct error *ret_error)
{
    struct words argv = {0};
    words_split(&argv, "cmake -G Ninja -DCMAKE_BUILD_TYPE=Mutants -DASSENT_WERROR=OFF "
                       "-DBUILD_TESTING=ON -S");
    words_add(&argv, tree->copy);
    words_add(&argv, "-B");
    words_add(&argv, tree->build);
    words_add(&argv, "-DCMAKE_C_FLAGS_MUTANTS=-O1 -w");
    words_add(&argv, build == TREE_SANITIZED ? "-DASSENT_SANITIZE=address" : "-DASSENT_SANITIZE=");
    bool good = run_tool(tree, &argv, CONFIGURE_TIMEOUT_MS, ret_error);
    words_done(&argv);
    return good;
}

static void read_targets(struct tree *tree, char *text)
{
    /* Lines "name: rule". */
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        line[strcspn(line, ":")] = '\0';
        if (strchr(line, '/') == NULL) {
            words_add(&tree->targets, line);
        }
    }
}

static bool list_targets(struct tree *tree, struct error *ret_error)
{
    struct words argv = {0};
    char *text = NULL;
    words_add(&argv, "ninja");
    words_add(&argv, "-C");
    words_add(&argv, tree->build);
    words_split(&argv, "-t targets all");
    bool good = run_tool(tree, &argv, CONFIGURE_TIMEOUT_MS, ret_error) &&
                file_read(tree->log, &text, ret_error);
    words_done(&argv);
    if (good) {
        read_targets(tree, text);
    }
    free(text);
    return good;
}

bool tree_open(const char *source, const char *work, const char *const *kept, enum tree_build build,
               unsigned jobs, struct tree *ret_tree, struct error *ret_error)
{
    struct tree tree = {
        .source = alloc_string(source),
        .copy = file_path(work, "source"),
        .build = file_path(work, "build"),
        .log = file_path(work, "log"),
        .jobs = jobs,
    };
    if (!folder_sync(source, tree.copy, kept, ret_error) || !configure(&tree, build, ret_error) ||
        !list_targets(&tree, ret_error)) {
        tree_close(&tree);
        return false;
    }
    *ret_tree = tree;
    return true;
}

void tree_close(struct tree *tree)
{
    free(tree->source);
    free(tree->copy);
    free(tree->build);
    free(tree->log);
    words_done(&tree->targets);
    *tree = (struct tree){0};
}

bool tree_has_target(const struct tree *tree, const char *name)
{
    return words_have(&tree->targets, name);
}

bool tree_make(const struct tree *tree, const struct words *targets, struct error *ret_error)
{
    struct words argv = {0};
    char jobs[16];
    (void)snprintf(jobs, sizeof jobs, "-j%u", tree->jobs);
    words_add(&argv, "ninja");
    words_add(&argv, "-C");
    words_add(&argv, tree->build);
    words_add(&argv, jobs);
    for (size_t i = 0; i < targets->count; i++) {
        words_add(&argv, targets->items[i]);
    }
    bool good = run_tool(tree, &argv, BUILD_TIMEOUT_MS, ret_error);
    words_done(&argv);
    return good;
}

bool tree_restore(const struct tree *tree, const char *file, struct error *ret_error)
{
    return file_sync(tree->source, tree->copy, file, ret_error);
}

char *tree_program(const struct tree *tree, const char *name)
{
    char below[256];
    (void)snprintf(below, sizeof below, "tests/bin/%s", name);
    char *path = file_path(tree->build, below);
    if (!file_exists(path)) {
        free(path);
        (void)snprintf(below, sizeof below, "bin/%s", name);
        path = file_path(tree->build, below);
    }
    return path;
}
