/* survivors.c - see survivors.h. */
#include "tests/mutants/survivors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/mutants/files.h"

void survivors_free(struct survivor_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->survivors[i].name);
        free(list->survivors[i].reason);
    }
    free(list->survivors);
    *list = (struct survivor_list){0};
}

char *survivor_name(const struct mutant *mutant)
{
    char *name = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&name, &size);
    CHECK(out != NULL);
    (void)fprintf(out, "%s %s: `%s` ", mutant->file, mutant->function, mutant->site);
    if (mutant->occurrence > 1) {
        (void)fprintf(out, "(%u) ", mutant->occurrence);
    }
    (void)fputs(mutation_text(mutant->mutation), out);
    CHECK(fclose(out) == 0);
    return name;
}

struct survivor *survivors_find(struct survivor_list *list, const struct mutant *mutant)
{
    char *name = survivor_name(mutant);
    struct survivor *found = NULL;
    for (size_t i = 0; i < list->count && found == NULL; i++) {
        found = strcmp(list->survivors[i].name, name) == 0 ? &list->survivors[i] : NULL;
    }
    free(name);
    if (found != NULL) {
        found->is_met = true;
    }
    return found;
}

static bool reason_add(struct survivor *survivor, const char *line, struct error *ret_error)
{
    static const char *const kinds[] = {
        "equivalent: ", "redundant: ", "pace: ", "text: ", "open: "};
    if (survivor->reason != NULL) {
        size_t size = strlen(survivor->reason) + strlen(line) + 2;
        char *longer = alloc_array(size, 1);
        (void)snprintf(longer, size, "%s %s", survivor->reason, line);
        free(survivor->reason);
        survivor->reason = longer;
        return true;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strncmp(line, kinds[i], strlen(kinds[i])) == 0) {
            survivor->reason = alloc_string(line);
            survivor->is_equivalent = i == 0;
            return true;
        }
    }
    return error_set(
        ret_error, ERROR_INVALID,
        "the reason for %s begins with none of equivalent, redundant, pace, text, open",
        survivor->name);
}

static bool line_add(struct survivor_list *list, const char *line, struct error *ret_error)
{
    if (line[0] == '#' || line[0] == '\0') {
        return true;
    }
    struct survivor *last = list->count == 0 ? NULL : &list->survivors[list->count - 1];
    if (line[0] == ' ') {
        return last != NULL ? reason_add(last, line + strspn(line, " "), ret_error)
                            : error_set(ret_error, ERROR_INVALID, "a reason without a mutant");
    }
    if (last != NULL && last->reason == NULL) {
        return error_set(ret_error, ERROR_INVALID, "%s has no reason", last->name);
    }
    list->survivors = alloc_resize(list->survivors, list->count + 1, sizeof(list->survivors[0]));
    list->survivors[list->count++] = (struct survivor){.name = alloc_string(line)};
    return true;
}

bool survivors_parse(const char *text, struct survivor_list *ret_list, struct error *ret_error)
{
    struct survivor_list list = {0};
    bool good = true;
    while (good && *text != '\0') {
        size_t length = strcspn(text, "\n");
        char *line = alloc_bytes(text, length);
        good = line_add(&list, line, ret_error);
        free(line);
        text += length + (text[length] == '\n');
    }
    if (good && list.count > 0 && list.survivors[list.count - 1].reason == NULL) {
        good = error_set(ret_error, ERROR_INVALID, "%s has no reason",
                         list.survivors[list.count - 1].name);
    }
    if (!good) {
        survivors_free(&list);
        return false;
    }
    *ret_list = list;
    return true;
}

bool survivors_read(const char *path, struct survivor_list *ret_list, struct error *ret_error)
{
    char *text = NULL;
    if (!file_read(path, &text, ret_error)) {
        return false;
    }
    bool good = survivors_parse(text, ret_list, ret_error);
    free(text);
    return good || error_wrap(ret_error, "%s", path);
}
