/*
 * http_json.h - JSON as it comes in (a checked tree that keeps the text of numbers) and as it goes
 * out.
 *
 * Used by the HTTP edge only. The reader knows JSON, not transactions. It trusts nothing: the bytes
 * must be valid UTF-8, strings hold no NUL and no half surrogate pair, member names are unique
 * within their object, nesting and members per object are bounded. A tree takes memory in
 * proportion to its text, which the caller bounds.
 */
#ifndef ASSENT_COORDINATOR_HTTP_JSON_H
#define ASSENT_COORDINATOR_HTTP_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define JSON_DEPTH_MAX   16 /* a request needs 6 */
#define JSON_MEMBERS_MAX 64 /* per object; names are compared pairwise, so this bounds the work */
#define JSON_PATH_SIZE   160

enum json_value_type {
    JSON_VALUE_NULL = 1,
    JSON_VALUE_BOOLEAN,
    JSON_VALUE_NUMBER,
    JSON_VALUE_STRING,
    JSON_VALUE_ARRAY,
    JSON_VALUE_OBJECT
};

struct json_value {
    enum json_value_type type;
    bool boolean;
    size_t index;     /* place among the parent's children */
    const char *name; /* as a member of an object; otherwise NULL */
    const char *text; /* string: decoded; number: exactly as written; final NUL */
    size_t text_bytes;
    size_t child_count;
    struct json_value *parent, *next, *first, *last;
};

struct json_document;

/* On failure the text names the place: "branches[1].statements[0].params[2]: ...". */
bool json_document_parse(const uint8_t *bytes, size_t size_bytes,
                         struct json_document **ret_document, struct error *ret_error);
void json_document_free(struct json_document *document); /* NULL is fine */
const struct json_value *json_document_root(const struct json_document *document); /* lent */

/* "branches[1].participant"; "the body" for the root. Cut where it does not fit. */
void json_value_path(const struct json_value *value, char ret_path[JSON_PATH_SIZE]);

const char *json_value_type_text(enum json_value_type type); /* "a string" */

/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_valid(const uint8_t *bytes, size_t size_bytes, size_t *ret_bad_offset);

/* A growing text; zero-initialised is empty. bytes is allocated with malloc and has no final NUL.
 */
struct text {
    char *bytes;
    size_t size_bytes;
    size_t capacity_bytes;
};

void text_append(struct text *text, const char *bytes, size_t size_bytes);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_done(struct text *text);

/* Writes compact JSON in the order of the calls: the same calls give the same bytes. */
struct json_writer;

struct json_writer *json_writer_new(void); /* returns owned */
void json_writer_finish(struct json_writer *writer,
                        struct text *ret_text); /* takes writer; ret_text owned */

void json_writer_object_open(struct json_writer *writer);
void json_writer_object_close(struct json_writer *writer);
void json_writer_array_open(struct json_writer *writer);
void json_writer_array_close(struct json_writer *writer);
void json_writer_name(struct json_writer *writer, const char *name);
void json_writer_string(struct json_writer *writer, const char *text); /* NULL writes null */
void json_writer_string_bytes(struct json_writer *writer, const char *bytes, size_t size_bytes);
void json_writer_unsigned(struct json_writer *writer, uint64_t number);
void json_writer_signed(struct json_writer *writer, int64_t number);
void json_writer_boolean(struct json_writer *writer, bool boolean);
void json_writer_null(struct json_writer *writer);

/* A member in one call. */
void json_writer_member_string(struct json_writer *writer, const char *name, const char *text);
void json_writer_member_unsigned(struct json_writer *writer, const char *name, uint64_t number);
void json_writer_member_boolean(struct json_writer *writer, const char *name, bool boolean);

#endif
