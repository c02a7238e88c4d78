/*
 * http_json_write.c - JSON out: a thin layer over yajl_gen that cannot produce invalid JSON.
 *
 * Called by http_render.c and http_problem.c. Texts may come from a database or a peer: bytes that
 * are not UTF-8 become U+FFFD, one for each, instead of an answer that no client can read.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

#include "common/alloc.h"
#include "common/check.h"
#include "coordinator/http_json.h"
#include "coordinator/http_json_memory.h"

struct json_writer {
    yajl_gen generator;
    struct text text;
};

/* Length of the valid UTF-8 sequence at the start of bytes, 0 if there is none. */
static size_t utf8_sequence(const uint8_t *bytes, size_t left)
{
    const uint8_t first = bytes[0];
    if (first < 0x80) {
        return 1;
    }
    const size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                          : first >= 0xe0 && first <= 0xef ? 3
                          : first >= 0xf0 && first <= 0xf4 ? 4
                                                           : 0;
    if (length == 0 || left < length) {
        return 0;
    }
    /* The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF. */
    const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (bytes[1] < low || bytes[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

bool utf8_valid(const uint8_t *bytes, size_t size_bytes, size_t *ret_bad_offset)
{
    size_t i = 0;
    while (i < size_bytes) {
        const size_t length = utf8_sequence(bytes + i, size_bytes - i);
        if (length == 0) {
            *ret_bad_offset = i;
            return false;
        }
        i += length;
    }
    return true;
}

void text_append(struct text *text, const char *bytes, size_t size_bytes)
{
    if (text->capacity_bytes - text->size_bytes < size_bytes) {
        size_t capacity = text->capacity_bytes == 0 ? 512 : text->capacity_bytes * 2;
        if (capacity < text->size_bytes + size_bytes) {
            capacity = text->size_bytes + size_bytes;
        }
        text->bytes = alloc_resize(text->bytes, capacity, 1);
        text->capacity_bytes = capacity;
    }
    if (size_bytes > 0) {
        memcpy(text->bytes + text->size_bytes, bytes, size_bytes);
        text->size_bytes += size_bytes;
    }
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    CHECK(length >= 0);
    char *formatted = alloc_array((size_t)length + 1, 1);
    va_start(arguments, format);
    (void)vsnprintf(formatted, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text_append(text, formatted, (size_t)length);
    free(formatted);
}

void text_done(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}

static void on_print(void *user, const char *bytes, size_t size_bytes)
{
    text_append(user, bytes, size_bytes);
}

struct json_writer *json_writer_new(void)
{
    struct json_writer *writer = alloc_zeroed(sizeof *writer);
    writer->generator = yajl_gen_alloc(&json_memory);
    CHECK(writer->generator != NULL);
    (void)yajl_gen_config(writer->generator, yajl_gen_print_callback, on_print, &writer->text);
    return writer;
}

void json_writer_finish(struct json_writer *writer, struct text *ret_text)
{
    text_append(&writer->text, "\n", 1);
    *ret_text = writer->text;
    yajl_gen_free(writer->generator);
    free(writer);
}

/* Any other status is a wrong sequence of calls in our own code. */
static void written(yajl_gen_status status)
{
    CHECK(status == yajl_gen_status_ok || status == yajl_gen_generation_complete);
}

void json_writer_object_open(struct json_writer *writer)
{
    written(yajl_gen_map_open(writer->generator));
}

void json_writer_object_close(struct json_writer *writer)
{
    written(yajl_gen_map_close(writer->generator));
}

void json_writer_array_open(struct json_writer *writer)
{
    written(yajl_gen_array_open(writer->generator));
}

void json_writer_array_close(struct json_writer *writer)
{
    written(yajl_gen_array_close(writer->generator));
}

/* A copy with U+FFFD in place of every byte that is not part of valid UTF-8. */
static void text_append_repaired(struct text *text, const char *bytes, size_t size_bytes)
{
    size_t i = 0;
    while (i < size_bytes) {
        const size_t length = utf8_sequence((const uint8_t *)bytes + i, size_bytes - i);
        if (length == 0) {
            text_append(text, "\xef\xbf\xbd", 3);
            i++;
        } else {
            text_append(text, bytes + i, length);
            i += length;
        }
    }
}

void json_writer_string_bytes(struct json_writer *writer, const char *bytes, size_t size_bytes)
{
    size_t bad_offset = 0;
    if (utf8_valid((const uint8_t *)bytes, size_bytes, &bad_offset)) {
        written(yajl_gen_string(writer->generator, (const unsigned char *)bytes, size_bytes));
        return;
    }
    struct text repaired = {0};
    text_append_repaired(&repaired, bytes, size_bytes);
    written(yajl_gen_string(writer->generator, (const unsigned char *)repaired.bytes,
                            repaired.size_bytes));
    text_done(&repaired);
}

void json_writer_string(struct json_writer *writer, const char *text)
{
    if (text == NULL) {
        json_writer_null(writer);
    } else {
        json_writer_string_bytes(writer, text, strlen(text));
    }
}

void json_writer_name(struct json_writer *writer, const char *name)
{
    json_writer_string_bytes(writer, name, strlen(name));
}

void json_writer_unsigned(struct json_writer *writer, uint64_t number)
{
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    written(yajl_gen_number(writer->generator, digits, (size_t)length));
}

void json_writer_signed(struct json_writer *writer, int64_t number)
{
    written(yajl_gen_integer(writer->generator, number));
}

void json_writer_boolean(struct json_writer *writer, bool boolean)
{
    written(yajl_gen_bool(writer->generator, boolean ? 1 : 0));
}

void json_writer_null(struct json_writer *writer)
{
    written(yajl_gen_null(writer->generator));
}

void json_writer_member_string(struct json_writer *writer, const char *name, const char *text)
{
    json_writer_name(writer, name);
    json_writer_string(writer, text);
}

void json_writer_member_unsigned(struct json_writer *writer, const char *name, uint64_t number)
{
    json_writer_name(writer, name);
    json_writer_unsigned(writer, number);
}

void json_writer_member_boolean(struct json_writer *writer, const char *name, bool boolean)
{
    json_writer_name(writer, name);
    json_writer_boolean(writer, boolean);
}
