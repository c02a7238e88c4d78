/* schema_internal.h - what schema.c (finding sites) and schema_edit.c (changing the text) share. */
#ifndef ASSENT_TESTS_MUTANTS_SCHEMA_INTERNAL_H
#define ASSENT_TESTS_MUTANTS_SCHEMA_INTERNAL_H

#include "tests/mutants/schema.h"

struct span { /* of the text; end is behind the last byte */
    size_t start, end;
};

/* A piece of text put in at a place, in front of or behind what stands there. */
struct edit {
    size_t offset;
    size_t removed_bytes; /* of an operator that becomes a comma */
    bool closes;          /* belongs to what ends here */
    size_t sequence;      /* sites are found from the outside in */
    char *text;
};

struct edit_list {
    size_t count;
    struct edit *edits;
};

void edit_list_free(struct edit_list *list);
/* "before" and "behind" around the span. printf formats with one %u each for the number would be two things to keep in
 * step, so callers format. Copies both. */
void edit_wrap(struct edit_list *list, struct span span, const char *before, const char *behind);
void edit_replace(struct edit_list *list, struct span span, const char *text);
/* The text with all edits made. Returns owned. */
char *edit_apply(struct edit_list *list, const char *text);

/* White space made single, comments left as they are. Returns owned. */
char *span_text(const char *text, struct span span);
/* Without white space and comments at both ends. */
struct span span_trim(const char *text, struct span span);
/* The condition of `for (...; condition; ...)`, given where the loop begins; empty if there is none. */
struct span span_for_condition(const char *text, size_t loop_start);

#endif
