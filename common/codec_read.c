/*
 * codec_read.c - a bounded cursor over msgpack.
 *
 * Writers may choose any width for a number (some libraries always send 64 bits), so all integer
 * formats are taken where the value fits; everything else must have the one type that is asked for.
 */
#include "common/codec_read.h"

#include <string.h>

enum format {
    FORMAT_FIXMAP = 0x80,
    FORMAT_FIXARRAY = 0x90,
    FORMAT_FIXSTR = 0xa0,
    FORMAT_NIL = 0xc0,
    FORMAT_FALSE = 0xc2,
    FORMAT_TRUE = 0xc3,
    FORMAT_BIN8 = 0xc4,
    FORMAT_EXT8 = 0xc7,
    FORMAT_FLOAT32 = 0xca,
    FORMAT_FLOAT64 = 0xcb,
    FORMAT_UINT8 = 0xcc,
    FORMAT_INT8 = 0xd0,
    FORMAT_FIXEXT1 = 0xd4,
    FORMAT_STR8 = 0xd9,
    FORMAT_ARRAY16 = 0xdc,
    FORMAT_ARRAY32 = 0xdd,
    FORMAT_MAP16 = 0xde,
    FORMAT_MAP32 = 0xdf,
};

static const char ends_early[] = "the bytes end in the middle of a value";

void read_start(struct read_cursor *cursor, const void *bytes, size_t size_bytes)
{
    const uint8_t *start = bytes;
    *cursor = (struct read_cursor){
        .at = start, .end = size_bytes == 0 ? start : start + size_bytes, .fault = NULL};
}

size_t read_remaining(const struct read_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

bool read_fail(struct read_cursor *cursor, const char *fault)
{
    if (cursor->fault == NULL) {
        cursor->fault = fault;
    }
    return false;
}

static bool peek_format(struct read_cursor *cursor, uint8_t *ret_format)
{
    if (cursor->at == cursor->end) {
        return read_fail(cursor, ends_early);
    }
    *ret_format = *cursor->at;
    return true;
}

/* A big-endian number of width bytes after the format byte. */
static bool take_number(struct read_cursor *cursor, size_t width, uint64_t *ret_value)
{
    if (read_remaining(cursor) < 1 + width) {
        return read_fail(cursor, ends_early);
    }
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value = value << 8 | cursor->at[1 + i];
    }
    cursor->at += 1 + width;
    *ret_value = value;
    return true;
}

bool read_nil(struct read_cursor *cursor)
{
    if (cursor->at == cursor->end || *cursor->at != FORMAT_NIL) {
        return false;
    }
    cursor->at++;
    return true;
}

bool read_bool(struct read_cursor *cursor, bool *ret_value)
{
    uint8_t format;
    if (!peek_format(cursor, &format)) {
        return false;
    }
    if (format != FORMAT_FALSE && format != FORMAT_TRUE) {
        return read_fail(cursor, "a truth value was expected");
    }
    cursor->at++;
    *ret_value = format == FORMAT_TRUE;
    return true;
}

/* Any integer format, as magnitude and sign. */
static bool take_integer(struct read_cursor *cursor, uint64_t *ret_bits, bool *ret_negative)
{
    uint8_t format;
    if (!peek_format(cursor, &format)) {
        return false;
    }
    if (format <= 0x7f || format >= 0xe0) {
        cursor->at++;
        *ret_negative = format >= 0xe0;
        *ret_bits = (uint64_t)(int64_t)(int8_t)format;
        return true;
    }
    if (format >= FORMAT_UINT8 && format < FORMAT_UINT8 + 4) {
        *ret_negative = false;
        return take_number(cursor, (size_t)1 << (format - FORMAT_UINT8), ret_bits);
    }
    if (format >= FORMAT_INT8 && format < FORMAT_INT8 + 4) {
        size_t width = (size_t)1 << (format - FORMAT_INT8);
        uint64_t bits;
        if (!take_number(cursor, width, &bits)) {
            return false;
        }
        uint64_t sign = (uint64_t)1 << (8 * width - 1);
        *ret_negative = (bits & sign) != 0;
        *ret_bits = (bits ^ sign) - sign; /* extends the sign */
        return true;
    }
    return read_fail(cursor, "an integer was expected");
}

bool read_uint(struct read_cursor *cursor, uint64_t max, uint64_t *ret_value)
{
    uint64_t bits;
    bool negative;
    if (!take_integer(cursor, &bits, &negative)) {
        return false;
    }
    if (negative || bits > max) {
        return read_fail(cursor, "a number is out of range");
    }
    *ret_value = bits;
    return true;
}

bool read_int(struct read_cursor *cursor, int64_t min, int64_t max, int64_t *ret_value)
{
    uint64_t bits;
    bool negative;
    if (!take_integer(cursor, &bits, &negative)) {
        return false;
    }
    if (!negative && bits > INT64_MAX) {
        return read_fail(cursor, "a number is out of range");
    }
    int64_t value;
    memcpy(&value, &bits, sizeof value);
    if (value < min || value > max) {
        return read_fail(cursor, "a number is out of range");
    }
    *ret_value = value;
    return true;
}

static bool take_bytes(struct read_cursor *cursor, uint64_t size_bytes, const uint8_t **ret_bytes)
{
    if (size_bytes > read_remaining(cursor)) {
        return read_fail(cursor, ends_early);
    }
    *ret_bytes = cursor->at;
    cursor->at += size_bytes;
    return true;
}

bool read_text(struct read_cursor *cursor, const char **ret_text, size_t *ret_size_bytes)
{
    uint8_t format;
    uint64_t size_bytes;
    if (!peek_format(cursor, &format)) {
        return false;
    }
    if ((format & 0xe0) == FORMAT_FIXSTR) {
        size_bytes = format & 0x1f;
        cursor->at++;
    } else if (format >= FORMAT_STR8 && format < FORMAT_STR8 + 3) {
        if (!take_number(cursor, (size_t)1 << (format - FORMAT_STR8), &size_bytes)) {
            return false;
        }
    } else {
        return read_fail(cursor, "a text was expected");
    }
    const uint8_t *bytes;
    if (!take_bytes(cursor, size_bytes, &bytes)) {
        return false;
    }
    if (utf8_valid_prefix((const char *)bytes, size_bytes) != size_bytes) {
        return read_fail(cursor, "a text is not valid UTF-8 or contains NUL");
    }
    *ret_text = (const char *)bytes;
    *ret_size_bytes = size_bytes;
    return true;
}

bool read_text_into(struct read_cursor *cursor, char *ret_text, size_t capacity_bytes)
{
    const char *text;
    size_t size_bytes;
    if (!read_text(cursor, &text, &size_bytes)) {
        return false;
    }
    if (size_bytes >= capacity_bytes) {
        return read_fail(cursor, "a text is longer than its field");
    }
    memcpy(ret_text, text, size_bytes);
    memset(ret_text + size_bytes, 0, capacity_bytes - size_bytes);
    return true;
}

bool read_binary(struct read_cursor *cursor, const uint8_t **ret_bytes, size_t *ret_size_bytes)
{
    uint8_t format;
    uint64_t size_bytes;
    if (!peek_format(cursor, &format)) {
        return false;
    }
    if (format < FORMAT_BIN8 || format >= FORMAT_BIN8 + 3) {
        return read_fail(cursor, "binary data was expected");
    }
    if (!take_number(cursor, (size_t)1 << (format - FORMAT_BIN8), &size_bytes) ||
        !take_bytes(cursor, size_bytes, ret_bytes)) {
        return false;
    }
    *ret_size_bytes = size_bytes;
    return true;
}

bool read_binary_into(struct read_cursor *cursor, uint8_t *ret_bytes, size_t size_bytes)
{
    const uint8_t *bytes;
    size_t found_bytes;
    if (!read_binary(cursor, &bytes, &found_bytes)) {
        return false;
    }
    if (found_bytes != size_bytes) {
        return read_fail(cursor, "binary data has the wrong length");
    }
    memcpy(ret_bytes, bytes, size_bytes);
    return true;
}

static bool take_count(struct read_cursor *cursor, uint8_t fix, uint8_t wide, size_t element_bytes,
                       const char *expected, size_t *ret_count)
{
    uint8_t format;
    uint64_t count;
    if (!peek_format(cursor, &format)) {
        return false;
    }
    if ((format & 0xf0) == fix) {
        count = format & 0x0f;
        cursor->at++;
    } else if (format == wide || format == wide + 1) {
        if (!take_number(cursor, format == wide ? 2 : 4, &count)) {
            return false;
        }
    } else {
        return read_fail(cursor, expected);
    }
    /* count is below 2^32, so this cannot overflow. */
    if (count * element_bytes > read_remaining(cursor)) {
        return read_fail(cursor, "a count promises more than the bytes that remain can hold");
    }
    *ret_count = count;
    return true;
}

bool read_array(struct read_cursor *cursor, size_t element_bytes, size_t *ret_count)
{
    return take_count(cursor, FORMAT_FIXARRAY, FORMAT_ARRAY16, element_bytes,
                      "an array was expected", ret_count);
}

bool read_array_of(struct read_cursor *cursor, size_t count)
{
    size_t found;
    if (!read_array(cursor, 1, &found)) {
        return false;
    }
    return found == count || read_fail(cursor, "an array has the wrong number of elements");
}

bool read_map(struct read_cursor *cursor, size_t *ret_count)
{
    return take_count(cursor, FORMAT_FIXMAP, FORMAT_MAP16, 2, "a map was expected", ret_count);
}

/* How a value without elements is laid out; false if it is a container or no msgpack at all. */
static bool plain_size(uint8_t format, uint64_t *ret_width, uint64_t *ret_extra)
{
    *ret_width = 0; /* bytes of length after the format */
    *ret_extra = 0; /* bytes after that, not counting the length's value */
    if (format <= 0x7f || format >= 0xe0 || format == FORMAT_NIL || format == FORMAT_FALSE ||
        format == FORMAT_TRUE) {
        return true;
    }
    if ((format & 0xe0) == FORMAT_FIXSTR) {
        *ret_extra = format & 0x1f;
    } else if (format >= FORMAT_BIN8 && format < FORMAT_BIN8 + 3) {
        *ret_width = (uint64_t)1 << (format - FORMAT_BIN8);
    } else if (format >= FORMAT_EXT8 && format < FORMAT_EXT8 + 3) {
        *ret_width = (uint64_t)1 << (format - FORMAT_EXT8);
        *ret_extra = 1; /* the type */
    } else if (format == FORMAT_FLOAT32 || format == FORMAT_FLOAT64) {
        *ret_extra = format == FORMAT_FLOAT32 ? 4 : 8;
    } else if (format >= FORMAT_UINT8 && format < FORMAT_INT8 + 4) {
        *ret_extra = (uint64_t)1 << ((format - FORMAT_UINT8) & 3);
    } else if (format >= FORMAT_FIXEXT1 && format < FORMAT_FIXEXT1 + 5) {
        *ret_extra = 1 + ((uint64_t)1 << (format - FORMAT_FIXEXT1));
    } else if (format >= FORMAT_STR8 && format < FORMAT_STR8 + 3) {
        *ret_width = (uint64_t)1 << (format - FORMAT_STR8);
    } else {
        return false;
    }
    return true;
}

static bool skip_plain(struct read_cursor *cursor, uint64_t width, uint64_t extra)
{
    uint64_t length = 0;
    if (!take_number(cursor, width, &length)) {
        return false;
    }
    const uint8_t *bytes;
    return take_bytes(cursor, length + extra, &bytes);
}

bool read_skip(struct read_cursor *cursor)
{
    /* How many values are still to come on each level: a loop instead of recursion. */
    uint64_t pending[READ_DEPTH_MAX] = {1};
    size_t depth = 1;
    while (depth > 0) {
        if (pending[depth - 1] == 0) {
            depth--;
            continue;
        }
        pending[depth - 1]--;
        uint8_t format;
        uint64_t width, extra;
        if (!peek_format(cursor, &format)) {
            return false;
        }
        if (plain_size(format, &width, &extra)) {
            if (!skip_plain(cursor, width, extra)) {
                return false;
            }
            continue;
        }
        bool is_map =
            (format & 0xf0) == FORMAT_FIXMAP || format == FORMAT_MAP16 || format == FORMAT_MAP32;
        bool is_array = (format & 0xf0) == FORMAT_FIXARRAY || format == FORMAT_ARRAY16 ||
                        format == FORMAT_ARRAY32;
        size_t count;
        if (!is_map && !is_array) {
            return read_fail(cursor, "a byte that msgpack does not use");
        }
        if (depth == READ_DEPTH_MAX) {
            return read_fail(cursor, "values are nested too deeply");
        }
        if (!(is_map ? read_map(cursor, &count) : read_array(cursor, 1, &count))) {
            return false;
        }
        pending[depth++] = is_map ? 2 * (uint64_t)count : count;
    }
    return true;
}

/* Bytes of the character at text (0 if it is not valid). Surrogates, overlong forms and what lies
 * beyond U+10FFFF are not valid. */
static size_t utf8_character(const uint8_t *text, size_t size_bytes)
{
    uint8_t first = text[0];
    if (first < 0x80) {
        return first == 0 ? 0 : 1;
    }
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > size_bytes) {
        return 0;
    }
    uint8_t low = 0x80, high = 0xbf;
    if (first == 0xe0) {
        low = 0xa0;
    } else if (first == 0xed) {
        high = 0x9f;
    } else if (first == 0xf0) {
        low = 0x90;
    } else if (first == 0xf4) {
        high = 0x8f;
    }
    if (text[1] < low || text[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

size_t utf8_valid_prefix(const char *text, size_t size_bytes)
{
    size_t at = 0;
    while (at < size_bytes) {
        size_t length = utf8_character((const uint8_t *)text + at, size_bytes - at);
        if (length == 0) {
            break;
        }
        at += length;
    }
    return at;
}
