/* look.c - see look.h. */
#include "tests/mutants/look.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cli.h"

#define PROGRAM "assent-fault-mutants"

/* Was this one asked for, or all? */
static bool is_wanted(const unsigned *numbers, size_t count, unsigned number)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == number) {
            return true;
        }
    }
    return count == 0;
}

static bool has_bug(const struct bug_list *bugs, unsigned number)
{
    for (size_t i = 0; i < bugs->count; i++) {
        if (bugs->bugs[i].number == number) {
            return true;
        }
    }
    return false;
}

bool look_knows(const struct options *options, const struct bug_list *bugs,
                const struct mutant_list *mutants)
{
    bool good = true;
    for (size_t i = 0; i < options->bug_count; i++) {
        if (!has_bug(bugs, options->bugs[i])) {
            fprintf(stderr,
                    PROGRAM ": there is no planted bug %u, there are %zu; --list has them\n",
                    options->bugs[i], bugs->count);
            good = false;
        }
    }
    for (size_t i = 0; i < options->mutant_count; i++) {
        if (options->mutants[i] > mutants->count) { /* they are numbered from 1 on */
            fprintf(stderr,
                    PROGRAM ": there is no automatic mutant %u, there are %zu; --list has them\n",
                    options->mutants[i], mutants->count);
            good = false;
        }
    }
    return good;
}

/* ---- the lists ---- */

static json_t *bug_json(const struct bug *bug)
{
    json_t *stages = json_array();
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        if (bug->stages[stage] != NULL) {
            (void)json_array_append_new(stages, json_pack("{s:s, s:s}", "stage",
                                                          stage_name((enum stage)stage), "runs",
                                                          bug->stages[stage]));
        }
    }
    return json_pack("{s:i, s:s, s:s, s:s, s:o}", "number", (int)bug->number, "title", bug->title,
                     "rules", bug->rules, "expected", bug->expected, "stages", stages);
}

static json_t *mutant_json(const struct mutant *mutant, struct survivor_list *survivors)
{
    char *name = survivor_name(mutant);
    const struct survivor *listed = survivors_find(survivors, mutant);
    json_t *json =
        json_pack("{s:i, s:s, s:i, s:s?}", "number", (int)mutant->number, "name", name, "line",
                  (int)mutant->line, "reason", listed == NULL ? NULL : listed->reason);
    free(name);
    return json;
}

static void list_json(const struct options *options, const struct bug_list *bugs,
                      struct survivor_list *survivors, const struct mutant_list *mutants)
{
    json_t *json = json_object(), *planted = json_array(), *automatic = json_array();
    for (size_t i = 0; i < bugs->count; i++) {
        if (is_wanted(options->bugs, options->bug_count, bugs->bugs[i].number)) {
            (void)json_array_append_new(planted, bug_json(&bugs->bugs[i]));
        }
    }
    for (size_t i = 0; i < mutants->count; i++) {
        if (is_wanted(options->mutants, options->mutant_count, mutants->mutants[i].number)) {
            (void)json_array_append_new(automatic, mutant_json(&mutants->mutants[i], survivors));
        }
    }
    if (options->planted) {
        (void)json_object_set(json, "planted", planted);
    }
    if (options->automatic) {
        (void)json_object_set(json, "automatic", automatic);
    }
    (void)json_dumpf(json, stdout, JSON_INDENT(2));
    (void)putchar('\n');
    json_decref(planted);
    json_decref(automatic);
    json_decref(json);
}

static void list_text(const struct options *options, const struct bug_list *bugs,
                      const struct mutant_list *mutants)
{
    for (size_t i = 0; i < bugs->count && options->planted; i++) {
        const struct bug *bug = &bugs->bugs[i];
        if (is_wanted(options->bugs, options->bug_count, bug->number)) {
            printf("bug %u (%s; expected by: %s): %s\n", bug->number, bug->rules, bug->expected,
                   bug->title);
        }
    }
    for (size_t i = 0; i < mutants->count && options->automatic; i++) {
        const struct mutant *mutant = &mutants->mutants[i];
        if (is_wanted(options->mutants, options->mutant_count, mutant->number)) {
            char *name = survivor_name(mutant);
            printf("mutant %u, line %u: %s\n", mutant->number, mutant->line, name);
            free(name);
        }
    }
}

void look_list(const struct options *options, const struct bug_list *bugs,
               struct survivor_list *survivors, const struct mutant_list *mutants)
{
    if (options->json) {
        list_json(options, bugs, survivors, mutants);
    } else {
        list_text(options, bugs, mutants);
    }
}

/* ---- the check ---- */

static bool check_bugs(const struct options *options, const struct bug_list *bugs,
                       size_t *ret_count)
{
    bool good = true;
    size_t count = 0;
    for (size_t i = 0; i < bugs->count; i++) {
        const struct bug *bug = &bugs->bugs[i];
        struct error error = {0};
        if (!is_wanted(options->bugs, options->bug_count, bug->number)) {
            continue;
        }
        count++;
        if (!bug_is_early(bug, options->source) && !bug_check(bug, options->source, &error)) {
            cli_print_error(PROGRAM, &error);
            good = false;
        }
    }
    *ret_count = count;
    return good;
}

static bool check_survivors(struct survivor_list *survivors, const struct mutant_list *mutants)
{
    bool good = true;
    for (size_t i = 0; i < mutants->count; i++) {
        (void)survivors_find(survivors, &mutants->mutants[i]);
    }
    for (size_t i = 0; i < survivors->count; i++) {
        if (!survivors->survivors[i].is_met) {
            fprintf(stderr, PROGRAM ": survivors.txt lists a place that is not there: %s\n",
                    survivors->survivors[i].name);
            good = false;
        }
    }
    return good;
}

bool look_check(const struct options *options, const struct bug_list *bugs,
                struct survivor_list *survivors, const struct mutant_list *mutants)
{
    size_t count = 0;
    bool good = !options->planted || check_bugs(options, bugs, &count);
    good = (!options->automatic || check_survivors(survivors, mutants)) && good;
    if (good && options->planted) {
        printf("planted bugs that apply: %zu of %zu\n", count, bugs->count);
    }
    if (good && options->automatic) {
        printf("survivors that are where they were: %zu, of %zu mutants\n", survivors->count,
               mutants->count);
    }
    return good;
}
