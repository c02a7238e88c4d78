/*
 * json.h - reading JSON as it is written: values are spans of the text, so a number keeps every digit.
 *
 * json_check (yajl) goes first; the other functions take valid text and never leave it.
 */
#ifndef ASSENT_CLIENT_CLI_JSON_H
#define ASSENT_CLIENT_CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct json {       /* one value; lent from the text */
    const char *at; /* NULL: there is none */
    const char *end;
};

/* Is this one JSON value and nothing else? The error names line and column. */
bool json_check(const char *text, size_t size_bytes, struct error *ret_error);
struct json json_root(const char *text, size_t size_bytes);

struct json json_get(struct json object, const char *name); /* nothing if it is no object */

/* Walks over an array's items or an object's values: start with next.at == NULL. */
bool json_next(struct json container, struct json *item);

bool json_is_true(struct json value);
bool json_is_null(struct json value); /* also where there is none */
size_t json_count(struct json array);

/* A string's content, any other value's own text; "" for null and nothing. Returns owned. */
char *json_text(struct json value);
/* The member's json_text. Returns owned. */
char *json_get_text(struct json object, const char *name);
bool json_get_is(struct json object, const char *name, const char *expected);

/* A JSON string literal with its quotes. Returns owned. */
char *json_quote(const char *text);

/* The object's text with the top-level member set to value (JSON text). Returns owned. */
char *json_set(struct json object, const char *name, const char *value);

#endif
