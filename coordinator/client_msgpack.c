/* client_msgpack.c - see client_msgpack.h. The byte values are those of the msgpack specification.
 */
#include "coordinator/client_msgpack.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"

enum {
    MP_NIL = 0xc0,
    MP_FALSE = 0xc2,
    MP_TRUE = 0xc3,
    MP_BIN8 = 0xc4,
    MP_BIN16 = 0xc5,
    MP_BIN32 = 0xc6,
    MP_EXT8 = 0xc7,
    MP_EXT32 = 0xc9,
    MP_FLOAT32 = 0xca,
    MP_FLOAT64 = 0xcb,
    MP_UINT8 = 0xcc,
    MP_UINT64 = 0xcf,
    MP_INT8 = 0xd0,
    MP_INT64 = 0xd3,
    MP_FIXEXT1 = 0xd4,
    MP_FIXEXT16 = 0xd8,
    MP_STR8 = 0xd9,
    MP_STR16 = 0xda,
    MP_STR32 = 0xdb,
    MP_ARRAY16 = 0xdc,
    MP_ARRAY32 = 0xdd,
    MP_MAP16 = 0xde,
    MP_MAP32 = 0xdf,
};

void unpack_init(struct unpack *unpack, const void *bytes, size_t size_bytes)
{
    unpack->at = bytes;
    unpack->end = unpack->at + size_bytes;
    unpack->failed = false;
}

static bool unpack_fail(struct unpack *unpack)
{
    unpack->failed = true;
    return false;
}

static size_t unpack_remaining(const struct unpack *unpack)
{
    return (size_t)(unpack->end - unpack->at);
}

enum unpack_type unpack_peek(const struct unpack *unpack)
{
    if (unpack->failed || unpack->at == unpack->end) {
        return UNPACK_NOTHING;
    }
    const uint8_t tag = *unpack->at;
    if (tag <= 0x7f || tag >= 0xe0 || (tag >= MP_UINT8 && tag <= MP_INT64)) {
        return UNPACK_INT;
    }
    if ((tag & 0xf0) == 0x80 || tag == MP_MAP16 || tag == MP_MAP32) {
        return UNPACK_MAP;
    }
    if ((tag & 0xf0) == 0x90 || tag == MP_ARRAY16 || tag == MP_ARRAY32) {
        return UNPACK_ARRAY;
    }
    if ((tag & 0xe0) == 0xa0 || (tag >= MP_STR8 && tag <= MP_STR32)) {
        return UNPACK_TEXT;
    }
    if (tag >= MP_BIN8 && tag <= MP_BIN32) {
        return UNPACK_BYTES;
    }
    if (tag == MP_NIL) {
        return UNPACK_NIL;
    }
    if (tag == MP_FALSE || tag == MP_TRUE) {
        return UNPACK_BOOL;
    }
    return UNPACK_OTHER;
}

/* Reads a big-endian number of 1, 2, 4 or 8 bytes. */
static bool unpack_big_endian(struct unpack *unpack, size_t bytes, uint64_t *ret_value)
{
    if (unpack->failed || unpack_remaining(unpack) < bytes) {
        return unpack_fail(unpack);
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | unpack->at[i];
    }
    unpack->at += bytes;
    *ret_value = value;
    return true;
}

bool unpack_nil(struct unpack *unpack)
{
    if (unpack_peek(unpack) != UNPACK_NIL) {
        return unpack_fail(unpack);
    }
    unpack->at++;
    return true;
}

bool unpack_bool(struct unpack *unpack, bool *ret_value)
{
    if (unpack_peek(unpack) != UNPACK_BOOL) {
        return unpack_fail(unpack);
    }
    *ret_value = *unpack->at++ == MP_TRUE;
    return true;
}

bool unpack_int(struct unpack *unpack, int64_t *ret_value)
{
    if (unpack_peek(unpack) != UNPACK_INT) {
        return unpack_fail(unpack);
    }
    const uint8_t tag = *unpack->at++;
    if (tag <= 0x7f) {
        *ret_value = tag;
        return true;
    }
    if (tag >= 0xe0) {
        *ret_value = (int8_t)tag;
        return true;
    }
    const bool is_signed = tag >= MP_INT8;
    const unsigned int width_log2 = (unsigned int)(tag - (is_signed ? MP_INT8 : MP_UINT8)) & 3;
    const unsigned int bytes = 1u << width_log2;
    uint64_t value = 0;
    if (!unpack_big_endian(unpack, bytes, &value)) {
        return false;
    }
    if (is_signed) {
        *ret_value = width_log2 == 0   ? (int8_t)value
                     : width_log2 == 1 ? (int16_t)value
                     : width_log2 == 2 ? (int32_t)value
                                       : (int64_t)value;
        return true;
    }
    if (value > INT64_MAX) {
        return unpack_fail(unpack);
    }
    *ret_value = (int64_t)value;
    return true;
}

bool unpack_range(struct unpack *unpack, int64_t min, int64_t max, int64_t *ret_value)
{
    int64_t value = 0;
    if (!unpack_int(unpack, &value) || value < min || value > max) {
        return unpack_fail(unpack);
    }
    *ret_value = value;
    return true;
}

/* The length behind a tag of the families bin and str, whose 8, 16 and 32 bit tags follow each
 * other. */
static bool unpack_length(struct unpack *unpack, uint8_t tag8, uint64_t *ret_length)
{
    const uint8_t tag = *unpack->at++;
    return unpack_big_endian(unpack, (size_t)1 << (tag - tag8), ret_length) &&
           (*ret_length <= unpack_remaining(unpack) || unpack_fail(unpack));
}

/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
bool unpack_utf8_is_valid(const void *text, size_t size_bytes)
{
    const uint8_t *bytes = text;
    size_t i = 0;
    while (i < size_bytes) {
        const uint8_t lead = bytes[i];
        if (lead < 0x80) {
            i++;
            continue;
        }
        const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        if (lead < 0xc2 || lead > 0xf4 || size_bytes - i < length) {
            return false;
        }
        for (size_t k = 1; k < length; k++) {
            if ((bytes[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        const uint8_t second = bytes[i + 1];
        if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
            (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) {
            return false;
        }
        i += length;
    }
    return true;
}

bool unpack_text(struct unpack *unpack, struct unpack_text *ret_text)
{
    if (unpack_peek(unpack) != UNPACK_TEXT) {
        return unpack_fail(unpack);
    }
    uint64_t length = 0;
    if ((*unpack->at & 0xe0) == 0xa0) {
        length = *unpack->at++ & 0x1f;
        if (length > unpack_remaining(unpack)) {
            return unpack_fail(unpack);
        }
    } else if (!unpack_length(unpack, MP_STR8, &length)) {
        return false;
    }
    if (!unpack_utf8_is_valid(unpack->at, (size_t)length)) {
        return unpack_fail(unpack);
    }
    ret_text->text = (const char *)unpack->at;
    ret_text->size_bytes = (size_t)length;
    unpack->at += length;
    return true;
}

bool unpack_bytes(struct unpack *unpack, const uint8_t **ret_bytes, size_t *ret_size_bytes)
{
    uint64_t length = 0;
    if (unpack_peek(unpack) != UNPACK_BYTES || !unpack_length(unpack, MP_BIN8, &length)) {
        return unpack_fail(unpack);
    }
    *ret_bytes = unpack->at;
    *ret_size_bytes = (size_t)length;
    unpack->at += length;
    return true;
}

/* Arrays and maps: every item takes at least item_bytes, so a count beyond what remains is a lie.
 */
static bool unpack_count(struct unpack *unpack, enum unpack_type type, uint8_t tag16,
                         size_t item_bytes, uint32_t *ret_count)
{
    if (unpack_peek(unpack) != type) {
        return unpack_fail(unpack);
    }
    const uint8_t tag = *unpack->at++;
    uint64_t count = tag & 0x0f;
    if (tag >= tag16 && !unpack_big_endian(unpack, tag == tag16 ? 2 : 4, &count)) {
        return false;
    }
    if (count > unpack_remaining(unpack) / item_bytes) {
        return unpack_fail(unpack);
    }
    *ret_count = (uint32_t)count;
    return true;
}

bool unpack_array(struct unpack *unpack, uint32_t *ret_count)
{
    return unpack_count(unpack, UNPACK_ARRAY, MP_ARRAY16, 1, ret_count);
}

bool unpack_map(struct unpack *unpack, uint32_t *ret_count)
{
    return unpack_count(unpack, UNPACK_MAP, MP_MAP16, 2, ret_count);
}

/* Floats and extensions. */
static bool unpack_skip_other(struct unpack *unpack)
{
    const uint8_t tag = *unpack->at++;
    uint64_t length = 0;
    if (tag == MP_FLOAT32 || tag == MP_FLOAT64) {
        length = tag == MP_FLOAT32 ? 4 : 8;
    } else if (tag >= MP_FIXEXT1 && tag <= MP_FIXEXT16) {
        length = ((uint64_t)1 << (tag - MP_FIXEXT1)) + 1;
    } else if (tag >= MP_EXT8 && tag <= MP_EXT32) {
        if (!unpack_big_endian(unpack, (size_t)1 << (tag - MP_EXT8), &length)) {
            return false;
        }
        length++; /* the extension's type */
    } else {
        return unpack_fail(unpack); /* 0xc1, never used */
    }
    if (length > unpack_remaining(unpack)) {
        return unpack_fail(unpack);
    }
    unpack->at += length;
    return true;
}

/* Reads one value; for arrays and maps only the head, with *ret_items further values to come. */
static bool unpack_skip_head(struct unpack *unpack, uint64_t *ret_items)
{
    struct unpack_text text;
    const uint8_t *bytes = NULL;
    size_t size_bytes = 0;
    uint32_t count = 0;
    int64_t number = 0;
    bool truth = false;
    *ret_items = 0;
    switch (unpack_peek(unpack)) {
    case UNPACK_NOTHING:
        return unpack_fail(unpack);
    case UNPACK_NIL:
        return unpack_nil(unpack);
    case UNPACK_BOOL:
        return unpack_bool(unpack, &truth);
    case UNPACK_INT:
        return unpack_int(unpack, &number);
    case UNPACK_TEXT:
        return unpack_text(unpack, &text);
    case UNPACK_BYTES:
        return unpack_bytes(unpack, &bytes, &size_bytes);
    case UNPACK_ARRAY:
        if (!unpack_array(unpack, &count)) {
            return false;
        }
        *ret_items = count;
        return true;
    case UNPACK_MAP:
        if (!unpack_map(unpack, &count)) {
            return false;
        }
        *ret_items = (uint64_t)count * 2;
        return true;
    case UNPACK_OTHER:
        return unpack_skip_other(unpack);
    }
    return unpack_fail(unpack);
}

bool unpack_skip(struct unpack *unpack)
{
    /* left[depth]: values still to read on that level. Each turn reads at least a byte or leaves a
     * level. */
    uint64_t left[UNPACK_DEPTH_MAX + 1] = {1};
    size_t depth = 0;
    for (;;) {
        if (left[depth] == 0) {
            if (depth == 0) {
                return true;
            }
            depth--;
            continue;
        }
        left[depth]--;
        uint64_t items = 0;
        if (!unpack_skip_head(unpack, &items)) {
            return false;
        }
        if (items > 0) {
            if (depth == UNPACK_DEPTH_MAX) {
                return unpack_fail(unpack);
            }
            left[++depth] = items;
        }
    }
}

bool unpack_is_complete(const struct unpack *unpack)
{
    return !unpack->failed && unpack->at == unpack->end;
}

bool unpack_text_is(const struct unpack_text *text, const char *expected)
{
    return text->size_bytes == strlen(expected) &&
           memcmp(text->text, expected, text->size_bytes) == 0;
}

bool unpack_text_copy(const struct unpack_text *text, char *ret_copy, size_t copy_bytes)
{
    if (text->size_bytes == 0 || text->size_bytes >= copy_bytes ||
        memchr(text->text, 0, text->size_bytes) != NULL) {
        return false;
    }
    memcpy(ret_copy, text->text, text->size_bytes);
    ret_copy[text->size_bytes] = 0;
    return true;
}

void pack_done(struct pack *pack)
{
    free(pack->bytes);
    *pack = (struct pack){0};
}

static uint8_t *pack_room(struct pack *pack, size_t size_bytes)
{
    CHECK(size_bytes < SIZE_MAX / 4 && pack->size_bytes < SIZE_MAX / 4);
    const size_t needed = pack->size_bytes + size_bytes;
    if (needed > pack->capacity_bytes) {
        size_t capacity = pack->capacity_bytes == 0 ? 256 : pack->capacity_bytes;
        while (capacity < needed) {
            capacity *= 2;
        }
        pack->bytes = alloc_resize(pack->bytes, capacity, 1);
        pack->capacity_bytes = capacity;
    }
    uint8_t *room = pack->bytes + pack->size_bytes;
    pack->size_bytes = needed;
    return room;
}

static void pack_tag(struct pack *pack, uint8_t tag, uint64_t value, size_t value_bytes)
{
    uint8_t *room = pack_room(pack, 1 + value_bytes);
    room[0] = tag;
    for (size_t i = 0; i < value_bytes; i++) {
        room[1 + i] = (uint8_t)(value >> (8 * (value_bytes - 1 - i)));
    }
}

void pack_nil(struct pack *pack)
{
    pack_tag(pack, MP_NIL, 0, 0);
}

void pack_bool(struct pack *pack, bool value)
{
    pack_tag(pack, value ? MP_TRUE : MP_FALSE, 0, 0);
}

void pack_uint(struct pack *pack, uint64_t value)
{
    if (value <= 0x7f) {
        pack_tag(pack, (uint8_t)value, 0, 0);
    } else if (value <= UINT8_MAX) {
        pack_tag(pack, MP_UINT8, value, 1);
    } else if (value <= UINT16_MAX) {
        pack_tag(pack, MP_UINT8 + 1, value, 2);
    } else if (value <= UINT32_MAX) {
        pack_tag(pack, MP_UINT8 + 2, value, 4);
    } else {
        pack_tag(pack, MP_UINT64, value, 8);
    }
}

void pack_int(struct pack *pack, int64_t value)
{
    if (value >= 0) {
        pack_uint(pack, (uint64_t)value);
    } else if (value >= -32) {
        pack_tag(pack, (uint8_t)value, 0, 0);
    } else {
        pack_tag(pack, MP_INT64, (uint64_t)value, 8);
    }
}

void pack_text_sized(struct pack *pack, const char *text, size_t size_bytes)
{
    CHECK(size_bytes <= UINT32_MAX);
    if (size_bytes < 32) {
        pack_tag(pack, (uint8_t)(0xa0 | size_bytes), 0, 0);
    } else if (size_bytes <= UINT8_MAX) {
        pack_tag(pack, MP_STR8, size_bytes, 1);
    } else if (size_bytes <= UINT16_MAX) {
        pack_tag(pack, MP_STR16, size_bytes, 2);
    } else {
        pack_tag(pack, MP_STR32, size_bytes, 4);
    }
    if (size_bytes > 0) {
        memcpy(pack_room(pack, size_bytes), text, size_bytes);
    }
}

void pack_text(struct pack *pack, const char *text)
{
    if (text == NULL) {
        pack_nil(pack);
    } else {
        pack_text_sized(pack, text, strlen(text));
    }
}

void pack_bytes(struct pack *pack, const void *bytes, size_t size_bytes)
{
    CHECK(size_bytes <= UINT32_MAX);
    if (size_bytes <= UINT8_MAX) {
        pack_tag(pack, MP_BIN8, size_bytes, 1);
    } else if (size_bytes <= UINT16_MAX) {
        pack_tag(pack, MP_BIN16, size_bytes, 2);
    } else {
        pack_tag(pack, MP_BIN32, size_bytes, 4);
    }
    if (size_bytes > 0) {
        memcpy(pack_room(pack, size_bytes), bytes, size_bytes);
    }
}

void pack_array(struct pack *pack, size_t count)
{
    CHECK(count <= UINT32_MAX);
    if (count < 16) {
        pack_tag(pack, (uint8_t)(0x90 | count), 0, 0);
    } else if (count <= UINT16_MAX) {
        pack_tag(pack, MP_ARRAY16, count, 2);
    } else {
        pack_tag(pack, MP_ARRAY32, count, 4);
    }
}

void pack_map(struct pack *pack, size_t count)
{
    CHECK(count <= UINT32_MAX);
    if (count < 16) {
        pack_tag(pack, (uint8_t)(0x80 | count), 0, 0);
    } else if (count <= UINT16_MAX) {
        pack_tag(pack, MP_MAP16, count, 2);
    } else {
        pack_tag(pack, MP_MAP32, count, 4);
    }
}
