/* json.c - see json.h. */
#include "client/cli/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "common/alloc.h"

/* Line and column (from 1) of a place in the text. */
static void json_place(const char *text, size_t offset, size_t *ret_line, size_t *ret_column)
{
    size_t line = 1;
    size_t start = 0;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    *ret_line = line;
    *ret_column = offset - start + 1;
}

/* yajl's message without its final newline. */
static void json_complain(yajl_handle handle, const char *text, size_t size_bytes,
                          struct error *ret_error)
{
    size_t offset = yajl_get_bytes_consumed(handle);
    offset = offset < size_bytes ? offset : size_bytes;
    size_t line = 0;
    size_t column = 0;
    json_place(text, offset, &line, &column);
    unsigned char *message = yajl_get_error(handle, 0, NULL, 0);
    const char *what = message != NULL ? (const char *)message : "not JSON";
    error_set(ret_error, ERROR_INVALID, "line %zu, column %zu: %.*s", line, column,
              (int)strcspn(what, "\n"), what);
    if (message != NULL) {
        yajl_free_error(handle, message);
    }
}

bool json_check(const char *text, size_t size_bytes, struct error *ret_error)
{
    static const yajl_callbacks none = {0};
    yajl_handle handle = yajl_alloc(&none, NULL, NULL);
    if (handle == NULL) {
        return error_set(ret_error, ERROR_SYSTEM, "out of memory");
    }
    const unsigned char *bytes = (const unsigned char *)text;
    const bool ok = yajl_parse(handle, bytes, size_bytes) == yajl_status_ok &&
                    yajl_complete_parse(handle) == yajl_status_ok;
    if (!ok) {
        json_complain(handle, text, size_bytes, ret_error);
    }
    yajl_free(handle);
    return ok;
}

static const char *skip_blank(const char *at, const char *end)
{
    while (at < end && strchr(" \t\r\n,:", *at) != NULL) {
        at++;
    }
    return at;
}

static const char *skip_string(const char *at, const char *end)
{
    at++;
    while (at < end && *at != '"') {
        at += *at == '\\' ? 2 : 1;
    }
    return at < end ? at + 1 : end;
}

/* From a value's first byte to behind its last. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
            continue;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (strchr(" \t\r\n,:", *at) != NULL) {
            at++;
            continue;
        } else {
            while (at < end && strchr(" \t\r\n,:]}", *at) == NULL) {
                at++;
            }
        }
        if (depth == 0) {
            return at;
        }
    }
    return end;
}

struct json json_root(const char *text, size_t size_bytes)
{
    const char *end = text + size_bytes;
    const char *at = skip_blank(text, end);
    return at < end ? (struct json){at, skip_value(at, end)} : (struct json){0};
}

/* The item behind `from` in a container's text; nothing at its end. */
static struct json json_item(struct json container, const char *from)
{
    const char *at = skip_blank(from, container.end);
    if (at >= container.end || *at == ']' || *at == '}') {
        return (struct json){0};
    }
    return (struct json){at, skip_value(at, container.end)};
}

bool json_next(struct json container, struct json *item)
{
    if (container.at == NULL || (*container.at != '[' && *container.at != '{')) {
        return false;
    }
    const char *from = item->at == NULL ? container.at + 1 : item->end;
    struct json next = json_item(container, from);
    if (next.at != NULL && *container.at == '{') {
        next = json_item(container, next.end); /* that was the name */
    }
    *item = next;
    return next.at != NULL;
}

/* True if the string literal is exactly name: names with escapes are never ours. */
static bool name_is(struct json literal, const char *name)
{
    const size_t length = strlen(name);
    return (size_t)(literal.end - literal.at) == length + 2 &&
           memcmp(literal.at + 1, name, length) == 0;
}

struct json json_get(struct json object, const char *name)
{
    if (object.at == NULL || *object.at != '{') {
        return (struct json){0};
    }
    const char *from = object.at + 1;
    for (;;) {
        const struct json key = json_item(object, from);
        if (key.at == NULL) {
            return (struct json){0};
        }
        const struct json value = json_item(object, key.end);
        if (value.at == NULL || name_is(key, name)) {
            return value;
        }
        from = value.end;
    }
}

bool json_is_true(struct json value)
{
    return value.at != NULL && *value.at == 't';
}

bool json_is_null(struct json value)
{
    return value.at == NULL || *value.at == 'n';
}

size_t json_count(struct json array)
{
    size_t count = 0;
    struct json item = {0};
    while (json_next(array, &item)) {
        count++;
    }
    return count;
}

static unsigned int hex4(const char *at)
{
    char digits[5] = {at[0], at[1], at[2], at[3], 0};
    return (unsigned int)strtoul(digits, NULL, 16);
}

static char *put_utf8(char *to, unsigned int code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* One escape; *at stands behind the backslash and moves behind the escape. */
static char *put_escape(char *to, const char **at, const char *end)
{
    static const char from[] = "bfnrt";
    static const char plain[] = "\b\f\n\r\t";
    const char letter = *(*at)++;
    const char *found = strchr(from, letter);
    if (letter != 'u') {
        *to++ = found != NULL ? plain[found - from] : letter;
        return to;
    }
    if (end - *at < 4) {
        *at = end;
        return to;
    }
    unsigned int code = hex4(*at);
    *at += 4;
    if (code >= 0xd800 && code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        code = 0x10000 + ((code - 0xd800) << 10) + (hex4(*at + 2) - 0xdc00);
        *at += 6;
    }
    return put_utf8(to, code & 0x1fffff);
}

char *json_text(struct json value)
{
    if (json_is_null(value)) {
        return alloc_string("");
    }
    const size_t size_bytes = (size_t)(value.end - value.at);
    if (*value.at != '"') {
        return alloc_bytes(value.at, size_bytes);
    }
    char *text =
        alloc_zeroed(size_bytes + 1); /* an escape is never shorter than what it stands for */
    char *to = text;
    const char *end = value.end - 1;
    for (const char *at = value.at + 1; at < end;) {
        if (*at == '\\' && at + 1 < end) {
            at++;
            to = put_escape(to, &at, end);
        } else {
            *to++ = *at++;
        }
    }
    *to = 0;
    return text;
}

char *json_get_text(struct json object, const char *name)
{
    return json_text(json_get(object, name));
}

bool json_get_is(struct json object, const char *name, const char *expected)
{
    char *text = json_get_text(object, name);
    const bool is = strcmp(text, expected) == 0;
    free(text);
    return is;
}

char *json_quote(const char *text)
{
    char *quoted = alloc_zeroed(strlen(text) * 6 + 3);
    char *to = quoted;
    *to++ = '"';
    for (; *text != 0; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            *to++ = '\\';
            *to++ = (char)byte;
        } else if (byte < 0x20) {
            to += sprintf(to, "\\u%04x", byte);
        } else {
            *to++ = (char)byte;
        }
    }
    *to++ = '"';
    *to = 0;
    return quoted;
}

char *json_set(struct json object, const char *name, const char *value)
{
    const struct json old = json_get(object, name);
    char *text = NULL;
    int size = 0;
    if (old.at != NULL) {
        size = asprintf(&text, "%.*s%s%.*s", (int)(old.at - object.at), object.at, value,
                        (int)(object.end - old.end), old.end);
    } else {
        const bool is_empty = json_item(object, object.at + 1).at == NULL;
        size = asprintf(&text, "{\"%s\":%s%s%.*s", name, value, is_empty ? "" : ",",
                        (int)(object.end - object.at - 1), object.at + 1);
    }
    return size < 0 ? alloc_string("{}") : text;
}
