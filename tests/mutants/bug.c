/* bug.c - see bug.h. */
#include "tests/mutants/bug.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/mutants/files.h"

void bug_done(struct bug *bug)
{
    free(bug->name);
    free(bug->title);
    free(bug->rules);
    free(bug->expected);
    free(bug->awaits);
    for (size_t i = 0; i < STAGE_COUNT; i++) {
        free(bug->stages[i]);
    }
    for (size_t i = 0; i < bug->change_count; i++) {
        free(bug->changes[i].file);
        free(bug->changes[i].old_text);
        free(bug->changes[i].new_text);
    }
    free(bug->changes);
    *bug = (struct bug){0};
}

void bug_list_free(struct bug_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        bug_done(&list->bugs[i]);
    }
    free(list->bugs);
    *list = (struct bug_list){0};
}

/* ---- reading ---- */

/* The line at *at without its end, which is stepped over. NULL at the end of the text. Returns owned. */
static char *take_line(const char **at)
{
    if (**at == '\0') {
        return NULL;
    }
    size_t length = strcspn(*at, "\n");
    char *line = alloc_bytes(*at, length);
    *at += length + ((*at)[length] == '\n');
    return line;
}

/* Everything up to the line `mark`, which is stepped over; NULL if it does not come. Returns owned. */
static char *take_block(const char **at, const char *mark)
{
    const char *start = *at;
    for (;;) {
        const char *line_start = *at;
        char *line = take_line(at);
        if (line == NULL) {
            return NULL;
        }
        bool is_mark = strcmp(line, mark) == 0;
        free(line);
        if (is_mark) {
            return alloc_bytes(start, (size_t)(line_start - start));
        }
    }
}

static bool set_once(char **field, const char *value, const char *name, struct error *ret_error)
{
    if (*field != NULL) {
        return error_set(ret_error, ERROR_INVALID, "`%s` is there twice", name);
    }
    *field = alloc_string(value);
    return true;
}

static bool take_number(struct bug *bug, const char *value, struct error *ret_error)
{
    char *end = NULL;
    unsigned long number = strtoul(value, &end, 10);
    if (bug->number != 0 || number == 0 || number > 9999 || *end != '\0') {
        return error_set(ret_error, ERROR_INVALID, "`number: %s` is none, or there are two", value);
    }
    bug->number = (unsigned)number;
    return true;
}

/* "name: value", before the first blank line. */
static bool take_field(struct bug *bug, const char *line, struct error *ret_error)
{
    const char *colon = strchr(line, ':');
    if (colon == NULL) {
        return error_set(ret_error, ERROR_INVALID, "`%s` is not `name: value`", line);
    }
    char name[32];
    (void)snprintf(name, sizeof name, "%.*s", (int)(colon - line), line);
    const char *value = colon + 1 + strspn(colon + 1, " ");
    if (strcmp(name, "number") == 0) {
        return take_number(bug, value, ret_error);
    }
    char **field = strcmp(name, "title") == 0      ? &bug->title
                   : strcmp(name, "rules") == 0    ? &bug->rules
                   : strcmp(name, "expected") == 0 ? &bug->expected
                   : strcmp(name, "awaits") == 0   ? &bug->awaits
                                                   : NULL;
    for (size_t i = 0; i < STAGE_COUNT && field == NULL; i++) {
        if (strcmp(name, stage_name((enum stage)i)) == 0) {
            field = &bug->stages[i];
        }
    }
    if (field == NULL) {
        return error_set(ret_error, ERROR_INVALID, "no field is called `%s`", name);
    }
    return set_once(field, value, name, ret_error);
}

static bool take_change(struct bug *bug, const char *file, const char **at, struct error *ret_error)
{
    bug->changes = alloc_resize(bug->changes, bug->change_count + 1, sizeof(bug->changes[0]));
    struct bug_change *change = &bug->changes[bug->change_count++];
    *change = (struct bug_change){.file = alloc_string(file)};
    change->old_text = take_block(at, "--- becomes");
    if (change->old_text != NULL) {
        change->new_text = take_block(at, "--- end");
    }
    if (change->old_text == NULL || change->new_text == NULL || change->old_text[0] == '\0') {
        return error_set(ret_error, ERROR_INVALID,
                         "the change in %s has no text, no `--- becomes` or no `--- end`", file);
    }
    return true;
}

static bool bug_is_complete(const struct bug *bug, struct error *ret_error)
{
    bool has_stage = false;
    for (size_t i = 0; i < STAGE_COUNT; i++) {
        has_stage = has_stage || bug->stages[i] != NULL;
    }
    if (bug->number == 0 || bug->title == NULL || bug->rules == NULL || bug->expected == NULL ||
        !has_stage || bug->change_count == 0) {
        return error_set(ret_error, ERROR_INVALID,
                         "number, title, rules, expected, a stage and a change are all needed");
    }
    for (const char *letter = bug->expected; *letter != '\0'; letter++) {
        if (*letter != ' ' && !stage_letter_is_known(*letter)) {
            return error_set(ret_error, ERROR_INVALID, "no stage has the letter `%c`", *letter);
        }
    }
    return true;
}

static bool parse(const char *text, struct bug *bug, struct error *ret_error)
{
    static const char change_mark[] = "--- in ";
    bool in_header = true;
    bool good = true;
    char *line = NULL;
    while (good && (line = take_line(&text)) != NULL) {
        if (strncmp(line, change_mark, sizeof change_mark - 1) == 0) {
            in_header = false;
            good = take_change(bug, line + sizeof change_mark - 1, &text, ret_error);
        } else if (line[0] == '\0') {
            in_header = false;
        } else if (in_header) {
            good = take_field(bug, line, ret_error);
        }
        free(line);
    }
    return good && bug_is_complete(bug, ret_error);
}

bool bug_parse(const char *name, const char *text, struct bug *ret_bug, struct error *ret_error)
{
    struct bug bug = {.name = alloc_string(name)};
    if (!parse(text, &bug, ret_error)) {
        bug_done(&bug);
        return error_wrap(ret_error, "planted bug %s", name);
    }
    *ret_bug = bug;
    return true;
}

static bool list_add(struct bug_list *list, const char *folder, const char *file,
                     struct error *ret_error)
{
    char *path = file_path(folder, file);
    char *text = NULL;
    bool good = file_read(path, &text, ret_error);
    free(path);
    if (!good) {
        return false;
    }
    char *name = alloc_bytes(file, strlen(file) - strlen(".bug"));
    struct bug bug;
    good = bug_parse(name, text, &bug, ret_error);
    free(name);
    free(text);
    if (good) {
        list->bugs = alloc_resize(list->bugs, list->count + 1, sizeof(list->bugs[0]));
        list->bugs[list->count++] = bug;
    }
    return good;
}

static int compare_numbers(const void *a, const void *b)
{
    const struct bug *left = a;
    const struct bug *right = b;
    return (left->number > right->number) - (left->number < right->number);
}

static bool list_fill(struct bug_list *list, DIR *entries, const char *folder,
                      struct error *ret_error)
{
    const struct dirent *entry = NULL;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's own */
    while ((entry = readdir(entries)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".bug") == 0 &&
            !list_add(list, folder, entry->d_name, ret_error)) {
            return false;
        }
    }
    if (list->count == 0) {
        return error_set(ret_error, ERROR_NOT_FOUND, "no planted bug in %s", folder);
    }
    qsort(list->bugs, list->count, sizeof(list->bugs[0]), compare_numbers);
    for (size_t i = 1; i < list->count; i++) {
        if (list->bugs[i].number == list->bugs[i - 1].number) {
            return error_set(ret_error, ERROR_INVALID, "%s and %s have the same number",
                             list->bugs[i - 1].name, list->bugs[i].name);
        }
    }
    return true;
}

bool bug_list_read(const char *folder, struct bug_list *ret_list, struct error *ret_error)
{
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        return error_set(ret_error, ERROR_NOT_FOUND, "cannot read the folder %s", folder);
    }
    struct bug_list list = {0};
    bool good = list_fill(&list, entries, folder, ret_error);
    (void)closedir(entries);
    if (!good) {
        bug_list_free(&list);
        return false;
    }
    *ret_list = list;
    return true;
}

/* ---- applying ---- */

bool bug_is_early(const struct bug *bug, const char *tree)
{
    if (bug->awaits == NULL) {
        return false;
    }
    char *path = file_path(tree, bug->awaits);
    bool is_there = access(path, R_OK) == 0;
    free(path);
    return !is_there;
}

/* The first lines of a change, for a message. */
static int first_line(const char *text)
{
    return (int)strcspn(text + strspn(text, " "), "\n");
}

static bool change_text(const struct bug_change *change, char **text, struct error *ret_error)
{
    const char *at = strstr(*text, change->old_text);
    if (at == NULL || strstr(at + 1, change->old_text) != NULL) {
        return error_set(ret_error, ERROR_INVALID,
                         "the text to replace in %s occurs %s: `%.*s ...`", change->file,
                         at == NULL ? "nowhere" : "more than once", first_line(change->old_text),
                         change->old_text + strspn(change->old_text, " "));
    }
    size_t before = (size_t)(at - *text);
    size_t old_length = strlen(change->old_text), new_length = strlen(change->new_text);
    size_t after = strlen(*text) - before - old_length;
    char *changed = alloc_array(before + new_length + after + 1, 1);
    memcpy(changed, *text, before);
    memcpy(changed + before, change->new_text, new_length);
    memcpy(changed + before + new_length, at + old_length, after);
    free(*text);
    *text = changed;
    return true;
}

/* The changes of one file are made one after the other, each in what the one before left. */
static bool change_file(const struct bug *bug, size_t first, const char *tree, bool write,
                        struct error *ret_error)
{
    const char *file = bug->changes[first].file;
    char *path = file_path(tree, file);
    char *text = NULL;
    bool good = file_read(path, &text, ret_error);
    for (size_t i = first; good && i < bug->change_count; i++) {
        if (strcmp(bug->changes[i].file, file) == 0) {
            good = change_text(&bug->changes[i], &text, ret_error);
        }
    }
    good = good && (!write || file_write(path, text, strlen(text), ret_error));
    free(text);
    free(path);
    return good;
}

static bool change_all(const struct bug *bug, const char *tree, bool write, struct error *ret_error)
{
    for (size_t i = 0; i < bug->change_count; i++) {
        bool is_done = false; /* with an earlier change of the same file */
        for (size_t k = 0; k < i; k++) {
            is_done = is_done || strcmp(bug->changes[k].file, bug->changes[i].file) == 0;
        }
        if (!is_done && !change_file(bug, i, tree, write, ret_error)) {
            (void)error_wrap(ret_error, "planted bug %s", bug->name);
            return error_hint(ret_error,
                              "the code that the bug breaks has changed: break the new code in the "
                              "same way (tests/mutants/planted/%s.bug)",
                              bug->name);
        }
    }
    return true;
}

bool bug_check(const struct bug *bug, const char *tree, struct error *ret_error)
{
    return change_all(bug, tree, false, ret_error);
}

bool bug_apply(const struct bug *bug, const char *tree, struct error *ret_error)
{
    return change_all(bug, tree, false, ret_error) && change_all(bug, tree, true, ret_error);
}
