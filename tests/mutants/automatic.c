/* automatic.c - see automatic.h: the build with all mutants in it, and the rows. Which programs there are is in suite.c. */
#include "tests/mutants/automatic.h"

#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/mutants/files.h"
#include "tests/mutants/progress.h"
#include "tests/mutants/suite.h"
#include "tests/mutants/tree.h"

/* What the switch is added to: a file that every program with a core in it links. */
#define SWITCH_FILE "common/check.c"
#define HEADER_FILE "common/mutant.h"

const char *phase_name(enum phase phase)
{
    static const char *const names[PHASE_COUNT] = {"none", "spec", "random", "sim"};
    return names[phase];
}

/* ---- the sources ---- */

/* The cores' files, relative to the source. */
static bool list_cores(const char *source, struct words *ret_files, struct error *ret_error)
{
    static const char *const patterns[] = {"coordinator/core*.c", "participant/branch*.c"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        glob_t found;
        char *pattern = file_path(source, patterns[i]);
        int code = glob(pattern, 0, NULL, &found);
        free(pattern);
        if (code != 0) {
            return error_set(ret_error, ERROR_NOT_FOUND, "%s: no %s there", source, patterns[i]);
        }
        for (size_t k = 0; k < found.gl_pathc; k++) {
            words_add(ret_files, found.gl_pathv[k] + strlen(source) + 1);
        }
        globfree(&found);
    }
    return true;
}

/* With a copy: writes the changed files there. */
static bool rewrite_cores(const char *source, const char *copy, const struct words *files,
                          struct mutant_list *list, struct error *ret_error)
{
    bool good = true;
    for (size_t i = 0; i < files->count && good; i++) {
        char *text = NULL;
        good = schema_rewrite(source, source, files->items[i], list, &text, ret_error);
        if (good && copy != NULL) {
            char *path = file_path(copy, files->items[i]);
            good = file_renew(path, text, ret_error);
            free(path);
        }
        free(text);
    }
    return good;
}

static bool write_switch(const char *source, const char *copy, size_t mutant_count,
                         struct error *ret_error)
{
    char *from = file_path(source, SWITCH_FILE), *to = file_path(copy, SWITCH_FILE);
    char *header_path = file_path(copy, HEADER_FILE), *header = schema_header();
    char *added = schema_switch(mutant_count), *text = NULL, *whole = NULL;
    bool good = file_read(from, &text, ret_error);
    if (good) {
        size_t size = strlen(text) + strlen(added) + 1;
        whole = alloc_array(size, 1);
        (void)snprintf(whole, size, "%s%s", text, added);
        good = file_renew(to, whole, ret_error) && file_renew(header_path, header, ret_error);
    }
    free(whole);
    free(text);
    free(added);
    free(header);
    free(header_path);
    free(to);
    free(from);
    return good;
}

bool automatic_list(const char *source, struct mutant_list *ret_list, struct error *ret_error)
{
    struct words files = {0};
    struct mutant_list list = {0};
    bool good = list_cores(source, &files, ret_error) &&
                rewrite_cores(source, NULL, &files, &list, ret_error);
    words_done(&files);
    if (!good) {
        mutant_list_free(&list);
        return false;
    }
    *ret_list = list;
    return true;
}

/* The copy is filled first, because the build is configured with the changed files in it. */
static bool open_tree(const char *source, const struct automatic_options *options,
                      struct mutant_list *list, struct tree *ret_tree, struct error *ret_error)
{
    struct words kept = {0};
    char *work = file_path(options->work, "automatic");
    char *copy = file_path(work, "source");
    struct words files = {0};
    bool good = list_cores(source, &files, ret_error);
    for (size_t i = 0; i < files.count; i++) {
        words_add(&kept, files.items[i]);
    }
    words_add(&kept, SWITCH_FILE);
    words_add(&kept, HEADER_FILE);
    const char *const *argv = words_argv(&kept);
    good = good && folder_sync(source, copy, argv, ret_error) &&
           rewrite_cores(source, copy, &files, list, ret_error) &&
           write_switch(source, copy, list->count, ret_error) &&
           tree_open(source, work, argv, TREE_SANITIZED, options->jobs, ret_tree, ret_error);
    words_done(&files);
    words_done(&kept);
    free(copy);
    free(work);
    return good;
}

/* ---- running ---- */

struct crew { /* shared by the threads that run mutants */
    pthread_mutex_t mutex;
    const struct suite *suite;
    const char *work;
    struct automatic_row *rows;
    size_t count, next, killed;
    bool failed;
    struct error error;
};

/* The next mutant that is to be run; NULL: none. */
static struct automatic_row *crew_take(struct crew *crew, size_t *ret_index)
{
    struct automatic_row *row = NULL;
    (void)pthread_mutex_lock(&crew->mutex);
    while (crew->next < crew->count && row == NULL && !crew->failed) {
        struct automatic_row *candidate = &crew->rows[crew->next++];
        if (candidate->was_run) {
            row = candidate;
            *ret_index = crew->next - 1;
        }
    }
    progress_say("%zu of %zu mutants, %zu killed", crew->next, crew->count, crew->killed);
    (void)pthread_mutex_unlock(&crew->mutex);
    return row;
}

static bool run_mutant(const struct crew *crew, struct automatic_row *row, struct error *ret_error)
{
    char output[64], choice[32];
    (void)snprintf(output, sizeof output, "output.%u", row->mutant->number);
    (void)snprintf(choice, sizeof choice, "ASSENT_MUTANT=%u", row->mutant->number);
    char *path = file_path(crew->work, output);
    bool good = true;
    for (size_t i = 0; i < crew->suite->count && good && !row->is_killed; i++) {
        const struct suite_program *program = &crew->suite->programs[i];
        struct words env = {0};
        struct run run;
        if (!suite_asks(program, row->mutant->number)) {
            continue;
        }
        words_add(&env, choice);
        for (size_t k = 0; k < program->env.count; k++) {
            words_add(&env, program->env.items[k]);
        }
        row->is_asked = true;
        good = tree_run(words_argv(&program->argv), words_argv(&env), path, program->timeout_ms,
                        &run, ret_error);
        words_done(&env);
        row->took_ms += good ? run.took_ms : 0;
        if (good && (run.exit_code != 0 || run.is_stuck)) {
            row->is_killed = true;
            row->is_stuck = run.is_stuck;
            row->phase = program->phase;
            row->program = program->name;
        }
    }
    (void)remove(path);
    free(path);
    return good;
}

static void *crew_main(void *argument)
{
    struct crew *crew = argument;
    struct automatic_row *row = NULL;
    size_t index = 0;
    while ((row = crew_take(crew, &index)) != NULL) {
        struct error error;
        bool good = run_mutant(crew, row, &error);
        (void)pthread_mutex_lock(&crew->mutex);
        crew->killed += row->is_killed;
        if (!good && !crew->failed) {
            crew->failed = true;
            crew->error = error;
        }
        (void)pthread_mutex_unlock(&crew->mutex);
    }
    return NULL;
}

static bool crew_run(struct crew *crew, unsigned jobs, struct error *ret_error)
{
    pthread_t *threads = alloc_array(jobs, sizeof(threads[0]));
    (void)pthread_mutex_init(&crew->mutex, NULL);
    for (unsigned i = 0; i < jobs; i++) {
        CHECK(pthread_create(&threads[i], NULL, crew_main, crew) == 0);
    }
    for (unsigned i = 0; i < jobs; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)pthread_mutex_destroy(&crew->mutex);
    free(threads);
    if (crew->failed && ret_error != NULL) {
        *ret_error = crew->error;
    }
    return !crew->failed;
}

static bool is_wanted(const struct automatic_options *options, unsigned number)
{
    for (size_t i = 0; i < options->only_count; i++) {
        if (options->only[i] == number) {
            return true;
        }
    }
    return false;
}

static void make_rows(struct automatic_report *report, struct survivor_list *survivors,
                      const struct automatic_options *options)
{
    unsigned seen = 0;
    report->count = report->mutants.count;
    report->rows = alloc_array(report->count, sizeof(report->rows[0]));
    for (size_t i = 0; i < report->count; i++) {
        struct automatic_row *row = &report->rows[i];
        row->mutant = &report->mutants.mutants[i];
        row->listed = survivors_find(survivors, row->mutant);
        if (options->only_count > 0) {
            row->was_run = is_wanted(options, row->mutant->number);
        } else if (options->every == 0) {
            row->was_run = true;
        } else if (row->listed == NULL) {
            row->was_run = seen++ % options->every == 0;
        }
    }
}

void automatic_report_free(struct automatic_report *report)
{
    mutant_list_free(&report->mutants);
    words_done(&report->programs);
    free(report->rows);
    *report = (struct automatic_report){0};
}

static bool run_rows(const struct tree *tree, const struct automatic_options *options,
                     struct automatic_report *report, struct error *ret_error)
{
    struct suite suite = {0};
    progress_say("building %zu mutants; the right code first", report->count);
    bool good = suite_open(tree, report->mutants.count, options, &suite, ret_error);
    if (good) {
        struct crew crew = {
            .suite = &suite, .work = options->work, .rows = report->rows, .count = report->count};
        good = crew_run(&crew, options->jobs, ret_error);
        report->has_sim = suite.has_sim;
        for (size_t i = 0; i < report->count; i++) { /* the suite's names end with it */
            struct automatic_row *row = &report->rows[i];
            if (row->program != NULL) {
                words_add(&report->programs, row->program);
                row->program = report->programs.items[report->programs.count - 1];
            }
        }
    }
    suite_close(&suite);
    return good;
}

bool automatic_run(const char *source, struct survivor_list *survivors,
                   const struct automatic_options *options, struct automatic_report *ret_report,
                   struct error *ret_error)
{
    struct automatic_report report = {0};
    struct tree tree = {0};
    bool good = open_tree(source, options, &report.mutants, &tree, ret_error);
    if (good) {
        make_rows(&report, survivors, options);
        good = run_rows(&tree, options, &report, ret_error);
    }
    progress_end();
    tree_close(&tree);
    if (!good) {
        automatic_report_free(&report);
        return false;
    }
    *ret_report = report;
    return true;
}
