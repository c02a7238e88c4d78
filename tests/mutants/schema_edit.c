/* schema_edit.c - the text side of the mutants: spans, and edits that nest. See schema_internal.h. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/mutants/schema_internal.h"

void edit_list_free(struct edit_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->edits[i].text);
    }
    free(list->edits);
    *list = (struct edit_list){0};
}

static void edit_add(struct edit_list *list, size_t offset, size_t removed_bytes, bool closes,
                     const char *text)
{
    list->edits = alloc_resize(list->edits, list->count + 1, sizeof(list->edits[0]));
    list->edits[list->count] = (struct edit){.offset = offset,
                                             .removed_bytes = removed_bytes,
                                             .closes = closes,
                                             .sequence = list->count,
                                             .text = alloc_string(text)};
    list->count++;
}

void edit_wrap(struct edit_list *list, struct span span, const char *before, const char *behind)
{
    edit_add(list, span.start, 0, false, before);
    edit_add(list, span.end, 0, true, behind);
}

void edit_replace(struct edit_list *list, struct span span, const char *text)
{
    edit_add(list, span.start, span.end - span.start, false, text);
}

/* At one place: first what ends there, the inner before the outer; then what begins, the outer before the inner. */
static int edit_compare(const void *a, const void *b)
{
    const struct edit *left = a;
    const struct edit *right = b;
    if (left->offset != right->offset) {
        return left->offset < right->offset ? -1 : 1;
    }
    if (left->closes != right->closes) {
        return left->closes ? -1 : 1;
    }
    int order = left->sequence < right->sequence ? -1 : 1;
    return left->closes ? -order : order;
}

char *edit_apply(struct edit_list *list, const char *text)
{
    char *changed = NULL;
    size_t size = 0, done = 0;
    FILE *out = open_memstream(&changed, &size);
    CHECK(out != NULL);
    if (list->count > 0) {
        qsort(list->edits, list->count, sizeof(list->edits[0]), edit_compare);
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct edit *edit = &list->edits[i];
        CHECK(edit->offset >= done);
        (void)fwrite(text + done, 1, edit->offset - done, out);
        (void)fputs(edit->text, out);
        done = edit->offset + edit->removed_bytes;
    }
    (void)fputs(text + done, out);
    CHECK(fclose(out) == 0);
    return changed;
}

char *span_text(const char *text, struct span span)
{
    char *single = alloc_array(span.end - span.start + 1, 1);
    size_t length = 0;
    for (size_t i = span.start; i < span.end; i++) {
        bool blank = isspace((unsigned char)text[i]) != 0;
        if (!blank) {
            single[length++] = text[i];
        } else if (length > 0 && single[length - 1] != ' ') {
            single[length++] = ' ';
        }
    }
    single[length] = '\0';
    return single;
}

/* Behind a comment or literal that begins at `at`, or `at` itself if there is none. */
static size_t skip_opaque(const char *text, size_t at)
{
    if (text[at] == '/' && text[at + 1] == '*') {
        const char *end = strstr(text + at + 2, "*/");
        return end == NULL ? strlen(text) : (size_t)(end - text) + 2;
    }
    if (text[at] == '/' && text[at + 1] == '/') {
        return at + strcspn(text + at, "\n");
    }
    if (text[at] == '"' || text[at] == '\'') {
        size_t end = at + 1;
        while (text[end] != '\0' && text[end] != text[at]) {
            end += text[end] == '\\' ? 2 : 1;
        }
        return end + 1;
    }
    return at;
}

struct span span_trim(const char *text, struct span span)
{
    while (span.start < span.end) {
        size_t behind = text[span.start] == '/' ? skip_opaque(text, span.start) : span.start;
        if (behind == span.start && isspace((unsigned char)text[span.start]) == 0) {
            break;
        }
        span.start = behind > span.start ? behind : span.start + 1;
    }
    while (span.end > span.start && isspace((unsigned char)text[span.end - 1]) != 0) {
        span.end--;
    }
    return span;
}

struct span span_for_condition(const char *text, size_t loop_start)
{
    struct span span = {0};
    int depth = 0;
    for (size_t at = loop_start + strlen("for"); text[at] != '\0';) {
        size_t behind = skip_opaque(text, at);
        if (behind > at) {
            at = behind;
            continue;
        }
        depth += text[at] == '(' || text[at] == '{';
        depth -= text[at] == ')' || text[at] == '}';
        if (text[at] == ';' && depth == 1 && span.start == 0) {
            span.start = at + 1;
        } else if (text[at] == ';' && depth == 1) {
            span.end = at;
            return span_trim(text, span);
        }
        if (depth == 0 && text[at] == ')') {
            break;
        }
        at++;
    }
    return (struct span){0};
}
