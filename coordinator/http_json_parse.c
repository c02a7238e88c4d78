/*
 * http_json_parse.c - bytes to a checked tree, with yajl's SAX parser.
 *
 * Called by the HTTP edge for request bodies. yajl is lenient in places where Assent must not be:
 * it accepts overlong UTF-8, turns half a surrogate pair into "?" and knows neither duplicate names
 * nor depth. Those are checked here. Its number callback hands over the digits as written, which is
 * why yajl and not a library that makes doubles: 12.50 must reach PostgreSQL as 12.50.
 */
#include "coordinator/http_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/http_json_memory.h"

#define ARENA_CHUNK_BYTES 16384

struct arena_chunk {
    struct arena_chunk *next;
    size_t used_bytes;
    size_t capacity_bytes;
    _Alignas(max_align_t) char bytes[];
};

struct json_document {
    struct arena_chunk *chunks;
    struct json_value *root;
};

/* yajl's state while parsing: `open` is the innermost container, `name` the member name just read.
 */
struct parser {
    struct json_document *document;
    struct json_value *open;
    size_t depth;
    const char *name;
    struct error *error;
    bool failed;
};

static void *arena_take(struct json_document *document, size_t size_bytes)
{
    const size_t aligned = (size_bytes + 15) & ~(size_t)15;
    struct arena_chunk *chunk = document->chunks;
    if (chunk == NULL || chunk->capacity_bytes - chunk->used_bytes < aligned) {
        const size_t capacity = aligned > ARENA_CHUNK_BYTES ? aligned : ARENA_CHUNK_BYTES;
        chunk = alloc_zeroed(sizeof *chunk + capacity);
        chunk->capacity_bytes = capacity;
        chunk->next = document->chunks;
        document->chunks = chunk;
    }
    void *memory = chunk->bytes + chunk->used_bytes;
    chunk->used_bytes += aligned;
    return memory;
}

static const char *arena_text(struct json_document *document, const unsigned char *bytes,
                              size_t size)
{
    char *text = arena_take(document, size + 1);
    if (size > 0) {
        memcpy(text, bytes, size);
    }
    return text;
}

void json_document_free(struct json_document *document)
{
    if (document == NULL) {
        return;
    }
    while (document->chunks != NULL) {
        struct arena_chunk *chunk = document->chunks;
        document->chunks = chunk->next;
        free(chunk);
    }
    free(document);
}

const struct json_value *json_document_root(const struct json_document *document)
{
    return document->root;
}

const char *json_value_type_text(enum json_value_type type)
{
    static const char *const texts[] = {
        [JSON_VALUE_NULL] = "null",       [JSON_VALUE_BOOLEAN] = "a boolean",
        [JSON_VALUE_NUMBER] = "a number", [JSON_VALUE_STRING] = "a string",
        [JSON_VALUE_ARRAY] = "an array",  [JSON_VALUE_OBJECT] = "an object",
    };
    CHECK(type >= JSON_VALUE_NULL && type <= JSON_VALUE_OBJECT);
    return texts[type];
}

void json_value_path(const struct json_value *value, char ret_path[JSON_PATH_SIZE])
{
    const struct json_value *chain[JSON_DEPTH_MAX + 2];
    size_t length = 0;
    for (const struct json_value *at = value; at->parent != NULL; at = at->parent) {
        CHECK(length < sizeof chain / sizeof chain[0]);
        chain[length++] = at;
    }
    if (length == 0) {
        (void)snprintf(ret_path, JSON_PATH_SIZE, "the body");
        return;
    }
    size_t used = 0;
    ret_path[0] = '\0';
    while (length > 0 && used + 1 < JSON_PATH_SIZE) {
        const struct json_value *at = chain[--length];
        const size_t room = JSON_PATH_SIZE - used;
        const int written = at->name != NULL ? snprintf(ret_path + used, room, "%s%.40s",
                                                        used > 0 ? "." : "", at->name)
                                             : snprintf(ret_path + used, room, "[%zu]", at->index);
        used += (size_t)written < room ? (size_t)written : room - 1;
    }
}

static int parser_fail(struct parser *parser, const struct json_value *at, const char *what)
{
    char path[JSON_PATH_SIZE];
    json_value_path(at, path);
    (void)error_set(parser->error, ERROR_INVALID, "%s: %s", path, what);
    parser->failed = true;
    return 0;
}

/* Makes the value the next child of the open container, or the root. */
static struct json_value *parser_add(struct parser *parser, enum json_value_type type)
{
    struct json_value *value = arena_take(parser->document, sizeof *value);
    *value = (struct json_value){.type = type, .parent = parser->open, .name = parser->name};
    parser->name = NULL;
    struct json_value *parent = parser->open;
    if (parent == NULL) {
        parser->document->root = value;
        return value;
    }
    value->index = parent->child_count++;
    if (parent->last != NULL) {
        parent->last->next = value;
    } else {
        parent->first = value;
    }
    parent->last = value;
    return value;
}

static int parser_open(struct parser *parser, enum json_value_type type)
{
    struct json_value *value = parser_add(parser, type);
    if (++parser->depth > JSON_DEPTH_MAX) {
        return parser_fail(parser, value, "nested too deeply");
    }
    parser->open = value;
    return 1;
}

static int parser_close(struct parser *parser)
{
    CHECK(parser->open != NULL && parser->depth > 0); /* yajl balances brackets */
    parser->open = parser->open->parent;
    parser->depth--;
    return 1;
}

static int on_null(void *user)
{
    (void)parser_add(user, JSON_VALUE_NULL);
    return 1;
}

static int on_boolean(void *user, int boolean)
{
    parser_add(user, JSON_VALUE_BOOLEAN)->boolean = boolean != 0;
    return 1;
}

static int on_number(void *user, const char *digits, size_t size_bytes)
{
    struct parser *parser = user;
    struct json_value *value = parser_add(parser, JSON_VALUE_NUMBER);
    value->text = arena_text(parser->document, (const unsigned char *)digits, size_bytes);
    value->text_bytes = size_bytes;
    return 1;
}

static int on_string(void *user, const unsigned char *bytes, size_t size_bytes)
{
    struct parser *parser = user;
    struct json_value *value = parser_add(parser, JSON_VALUE_STRING);
    if (memchr(bytes, '\0', size_bytes) != NULL) {
        return parser_fail(parser, value, "holds a NUL character, which PostgreSQL cannot store");
    }
    value->text = arena_text(parser->document, bytes, size_bytes);
    value->text_bytes = size_bytes;
    return 1;
}

static int on_name(void *user, const unsigned char *bytes, size_t size_bytes)
{
    struct parser *parser = user;
    struct json_value *object = parser->open;
    if (memchr(bytes, '\0', size_bytes) != NULL) {
        return parser_fail(parser, object, "a member name holds a NUL character");
    }
    if (object->child_count >= JSON_MEMBERS_MAX) {
        return parser_fail(parser, object, "has too many members");
    }
    const char *name = arena_text(parser->document, bytes, size_bytes);
    for (const struct json_value *other = object->first; other != NULL; other = other->next) {
        if (strcmp(other->name, name) == 0) {
            return parser_fail(parser, other, "appears twice");
        }
    }
    parser->name = name;
    return 1;
}

static int on_object_open(void *user)
{
    return parser_open(user, JSON_VALUE_OBJECT);
}

static int on_array_open(void *user)
{
    return parser_open(user, JSON_VALUE_ARRAY);
}

static int on_close(void *user)
{
    return parser_close(user);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_object_open,
    .yajl_map_key = on_name,
    .yajl_end_map = on_close,
    .yajl_start_array = on_array_open,
    .yajl_end_array = on_close,
};

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const uint8_t *bytes, size_t left)
{
    if (left < 4) {
        return -1;
    }
    int32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        const uint8_t c = bytes[i];
        const int32_t digit = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* Looks at every \uXXXX: a high surrogate must be followed by a low one. Malformed escapes are left
 * to yajl; outside of strings a backslash is an error anyway. */
static bool surrogates_paired(const uint8_t *bytes, size_t size_bytes, size_t *ret_bad_offset)
{
    size_t i = 0;
    while (i + 1 < size_bytes) {
        if (bytes[i] != '\\') {
            i++;
            continue;
        }
        if (bytes[i + 1] != 'u') {
            i += 2;
            continue;
        }
        const int32_t unit = hex4(bytes + i + 2, size_bytes - i - 2);
        if (unit < 0xd800 || unit > 0xdfff) {
            i += 2;
            continue;
        }
        const bool has_next =
            unit <= 0xdbff && size_bytes - i >= 12 && bytes[i + 6] == '\\' && bytes[i + 7] == 'u';
        const int32_t next = has_next ? hex4(bytes + i + 8, 4) : -1;
        if (next < 0xdc00 || next > 0xdfff) {
            *ret_bad_offset = i;
            return false;
        }
        i += 12;
    }
    return true;
}

static bool bytes_check(const uint8_t *bytes, size_t size_bytes, struct error *ret_error)
{
    size_t offset = 0;
    if (!utf8_valid(bytes, size_bytes, &offset)) {
        return error_set(ret_error, ERROR_INVALID, "the body is not valid UTF-8 at byte %zu",
                         offset);
    }
    if (!surrogates_paired(bytes, size_bytes, &offset)) {
        return error_set(ret_error, ERROR_INVALID,
                         "the body has half of a surrogate pair (\\ud800 to \\udfff) at byte %zu",
                         offset);
    }
    return true;
}

static bool syntax_failed(yajl_handle handle, const uint8_t *bytes, size_t size_bytes,
                          struct error *ret_error)
{
    const size_t offset = yajl_get_bytes_consumed(handle);
    unsigned char *message = yajl_get_error(handle, 0, bytes, size_bytes);
    const char *text = (const char *)message;
    const size_t length = text == NULL ? 0 : strcspn(text, "\n");
    (void)error_set(ret_error, ERROR_INVALID, "the body is not JSON: %.*s near byte %zu",
                    (int)length, text == NULL ? "" : text, offset);
    yajl_free_error(handle, message);
    return false;
}

bool json_document_parse(const uint8_t *bytes, size_t size_bytes,
                         struct json_document **ret_document, struct error *ret_error)
{
    if (!bytes_check(bytes, size_bytes, ret_error)) {
        return false;
    }
    struct parser parser = {.document = alloc_zeroed(sizeof *parser.document), .error = ret_error};
    yajl_alloc_funcs functions = json_memory; /* yajl wants them writable */
    yajl_handle handle = yajl_alloc(&callbacks, &functions, &parser);
    CHECK(handle != NULL);
    (void)yajl_config(handle, yajl_dont_validate_strings, 1);
    yajl_status status = yajl_parse(handle, bytes, size_bytes);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(handle);
    }
    bool ok = status == yajl_status_ok;
    if (!ok && !parser.failed) {
        (void)syntax_failed(handle, bytes, size_bytes, ret_error);
    }
    yajl_free(handle);
    if (ok && parser.document->root == NULL) {
        ok = error_set(ret_error, ERROR_INVALID, "the body is empty");
    }
    if (!ok) {
        json_document_free(parser.document);
        return false;
    }
    *ret_document = parser.document;
    return true;
}
