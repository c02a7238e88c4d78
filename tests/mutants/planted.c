/* planted.c - see planted.h. */
#include "tests/mutants/planted.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/mutants/files.h"
#include "tests/mutants/progress.h"

bool planted_is_named(const struct bug *bug, enum stage stage)
{
    return strchr(bug->expected, stage_letter(stage)) != NULL;
}

enum stage planted_first(const struct planted_row *row)
{
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        if (row->stages[stage].verdict == STAGE_CAUGHT) {
            return (enum stage)stage;
        }
    }
    return STAGE_COUNT;
}

void planted_report_free(struct planted_report *report)
{
    free(report->rows);
    *report = (struct planted_report){0};
}

/* A sample has no time for more than the quick tests. */
static bool asks(const struct planted_options *options, const struct bug *bug, int stage)
{
    return bug->stages[stage] != NULL && (options->every == 0 || stage == STAGE_SPEC);
}

/* True if nobody needs to be asked any more. */
static bool is_enough(const struct planted_row *row, const struct planted_options *options)
{
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        if (row->stages[stage].verdict == STAGE_CAUGHT &&
            (!options->named || planted_is_named(row->bug, (enum stage)stage))) {
            return true;
        }
    }
    return false;
}

static bool ask_stages(const struct tree *tree, const struct planted_options *options,
                       struct planted_row *row)
{
    for (int stage = 0; stage < STAGE_COUNT && !is_enough(row, options); stage++) {
        if (!asks(options, row->bug, stage)) {
            continue;
        }
        progress_say("bug %u, %s: %s", row->bug->number, stage_name((enum stage)stage),
                     row->bug->title);
        if (!stage_run(tree, (enum stage)stage, row->bug->stages[stage], &row->stages[stage],
                       &row->error)) {
            return false;
        }
    }
    return true;
}

static void run_bug(const struct tree *tree, const struct planted_options *options,
                    struct planted_row *row)
{
    struct error error;
    if (bug_is_early(row->bug, tree->source)) {
        row->verdict = PLANTED_EARLY;
        return;
    }
    bool good = bug_apply(row->bug, tree->copy, &row->error) && ask_stages(tree, options, row);
    for (size_t i = 0; i < row->bug->change_count; i++) {
        if (!tree_restore(tree, row->bug->changes[i].file, &error)) {
            row->error = error;
            good = false;
        }
    }
    row->verdict = !good                               ? PLANTED_BROKEN
                   : is_enough(row, options)           ? PLANTED_CAUGHT
                   : planted_first(row) != STAGE_COUNT ? PLANTED_NOT_BY_NAMED
                                                       : PLANTED_ESCAPED;
}

/* What the chosen bugs run in a stage, each once: test by test, or by its arguments. */
static void collect_runs(const struct tree *tree, const struct planted_options *options,
                         const struct planted_report *report, int stage, struct words *ret_runs)
{
    for (size_t i = 0; i < report->count; i++) {
        const char *arguments = report->rows[i].bug->stages[stage];
        if (arguments == NULL || !asks(options, report->rows[i].bug, stage) ||
            !stage_is_present(tree, (enum stage)stage, arguments)) {
            continue;
        }
        struct words runs = {0};
        if (stage == STAGE_SPEC) {
            words_split(&runs, arguments);
        } else {
            words_add(&runs, arguments);
        }
        for (size_t k = 0; k < runs.count; k++) {
            if (!words_have(ret_runs, runs.items[k])) {
                words_add(ret_runs, runs.items[k]);
            }
        }
        words_done(&runs);
    }
}

static bool check_right_runs(const struct tree *tree, int stage, const struct words *runs,
                             struct error *ret_error)
{
    for (size_t i = 0; i < runs->count; i++) {
        struct stage_result result;
        progress_say("the right code, %s %s", stage_name((enum stage)stage), runs->items[i]);
        if (!stage_run(tree, (enum stage)stage, runs->items[i], &result, ret_error)) {
            return false;
        }
        if (result.verdict == STAGE_CAUGHT) {
            return error_set(ret_error, ERROR_INVALID, "%s %s fails without any bug: %s",
                             stage_name((enum stage)stage), runs->items[i], result.evidence);
        }
    }
    return true;
}

/* They must pass on the right code, or their failing says nothing. Which seeds do is another matter with every change of the
 * simulator; it is asked where the named stages count. (The other stages are part of ./check themselves.) */
static bool check_right_code(const struct tree *tree, const struct planted_options *options,
                             const struct planted_report *report, struct error *ret_error)
{
    static const enum stage stages[] = {STAGE_SPEC, STAGE_SIM, STAGE_EXPLORE};
    bool good = true;
    progress_say("building; the right code first");
    for (size_t i = 0; i < sizeof stages / sizeof stages[0] && good; i++) {
        struct words runs = {0};
        if (stages[i] == STAGE_SPEC || options->named) {
            collect_runs(tree, options, report, (int)stages[i], &runs);
        }
        good = check_right_runs(tree, (int)stages[i], &runs, ret_error);
        words_done(&runs);
    }
    return good;
}

static bool is_chosen(const struct bug *bug, const struct planted_options *options,
                      unsigned *quick_count)
{
    for (size_t i = 0; i < options->only_count; i++) {
        if (options->only[i] == bug->number) {
            return true;
        }
    }
    if (options->only_count > 0) {
        return false;
    }
    if (options->every == 0) {
        return true;
    }
    return bug->stages[STAGE_SPEC] != NULL && (*quick_count)++ % options->every == 0;
}

bool planted_run(const char *source, const struct bug_list *bugs,
                 const struct planted_options *options, struct planted_report *ret_report,
                 struct error *ret_error)
{
    struct planted_report report = {.rows = alloc_array(bugs->count, sizeof(report.rows[0]))};
    struct tree tree;
    unsigned quick_count = 0;
    for (size_t i = 0; i < bugs->count; i++) {
        if (is_chosen(&bugs->bugs[i], options, &quick_count)) {
            report.rows[report.count++].bug = &bugs->bugs[i];
        }
    }
    char *work = file_path(options->work, "planted");
    bool good = tree_open(source, work, NULL, TREE_PLAIN, options->jobs, &tree, ret_error);
    free(work);
    if (good) {
        good = check_right_code(&tree, options, &report, ret_error);
        for (size_t i = 0; i < report.count && good; i++) {
            run_bug(&tree, options, &report.rows[i]);
        }
        tree_close(&tree);
    }
    progress_end();
    if (!good) {
        planted_report_free(&report);
        return false;
    }
    *ret_report = report;
    return true;
}
