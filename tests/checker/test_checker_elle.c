/*
 * test_checker_elle.c - histories of Elle's own, in elle/histories.jsonl: what Elle said of them and what is to be
 * said here is in their first lines. elle/README.md tells where they are from.
 */
#include "tests/checker/kit.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#define CASES_LEAST 75 /* so many there are; the file is not to shrink unnoticed */

struct cases {
    FILE *file;
    char *line;
    size_t size;
};

static void cases_begin(struct cases *cases)
{
    const char *source = getenv("ASSENT_SOURCE_DIR");
    char path[1000];
    assert_non_null(source);
    snprintf(path, sizeof path, "%s/tests/checker/elle/histories.jsonl", source);
    *cases = (struct cases){.file = fopen(path, "r")};
    if (!cases->file) {
        fail_msg("cannot open %s", path);
    }
}

static void cases_done(struct cases *cases)
{
    fclose(cases->file);
    free(cases->line);
}

/* Copies the next history into the kit's file and returns its first line; NULL after the last one. */
static json_t *cases_next(struct cases *cases, struct kit *kit)
{
    json_t *meta = NULL;
    *kit = (struct kit){.path = "/tmp/assent-checker-XXXXXX"};
    while (getline(&cases->line, &cases->size, cases->file) > 0) {
        if (!meta) {
            int fd = mkstemp(kit->path);
            assert_true(fd >= 0);
            kit->file = fdopen(fd, "w");
            assert_non_null(kit->file);
            meta = json_loads(cases->line, 0, NULL);
            assert_non_null(meta);
        }
        fputs(cases->line, kit->file);
        if (strstr(cases->line, "\"type\":\"end\"")) {
            assert_int_equal(fclose(kit->file), 0);
            kit->file = NULL;
            return meta;
        }
    }
    assert_null(meta); /* else the last history has no end */
    return NULL;
}

/* Whether the history could be judged at all. */
static bool judge(struct kit *kit)
{
    if (!history_read(kit->path, false, &kit->history, &kit->problem)) {
        return false;
    }
    if (!report_make(&kit->history, &kit->report, &kit->problem)) {
        history_done(&kit->history);
        return false;
    }
    kit->judged = true;
    return true;
}

static bool has_text(const json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (strcmp(json_string_value(json_array_get(array, i)), text) == 0) {
            return true;
        }
    }
    return false;
}

/* The findings have the names that are expected and no others. */
static bool as_expected(struct kit *kit, const json_t *expect)
{
    if (!judge(kit)) {
        return json_array_size(expect) == 1 && has_text(expect, "refused");
    }
    const struct report *report = &kit->report;
    for (size_t i = 0; i < report->tallies.count; i++) {
        if (report->tallies.items[i].check != CHECK_G1 ||
            !has_text(expect, report->tallies.items[i].name)) {
            return false;
        }
    }
    return report->tallies.count == json_array_size(expect);
}

/* Every history gets the verdict that is written beside it. */
static void test_checker_elle_histories_get_the_expected_verdicts(void **state)
{
    struct cases cases;
    struct kit kit;
    json_t *meta;
    int count = 0, wrong = 0;
    (void)state;
    cases_begin(&cases);
    while ((meta = cases_next(&cases, &kit))) {
        count++;
        if (!as_expected(&kit, json_object_get(meta, "expect"))) {
            wrong++;
            fprintf(stderr, "not as expected: %s\n",
                    json_string_value(json_object_get(meta, "source")));
            if (kit.judged) {
                report_print_text(&kit.history, &kit.report, stderr);
            }
        }
        json_decref(meta);
        kit_done(&kit);
    }
    cases_done(&cases);
    assert_int_equal(wrong, 0);
    assert_true(count >= CASES_LEAST);
}

/* What Elle calls a violation is never written down as none. */
static void test_checker_elle_violations_are_expected_to_be_found(void **state)
{
    struct cases cases;
    struct kit kit;
    json_t *meta;
    (void)state;
    cases_begin(&cases);
    while ((meta = cases_next(&cases, &kit))) {
        const json_t *elle = json_object_get(meta, "elle");
        size_t found = json_array_size(elle);
        found -= has_text(elle, "empty-transaction-graph") + has_text(elle, "cycle-search-timeout");
        if (found > 0 && json_array_size(json_object_get(meta, "expect")) == 0) {
            fail_msg("no violation expected: %s",
                     json_string_value(json_object_get(meta, "source")));
        }
        json_decref(meta);
        unlink(kit.path);
    }
    cases_done(&cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checker_elle_histories_get_the_expected_verdicts),
        cmocka_unit_test(test_checker_elle_violations_are_expected_to_be_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
