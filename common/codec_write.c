/*
 * codec_write.c - msgpack-c's packer over codec_buffer.
 */
#include "common/codec_write.h"

#include <msgpack/pack.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/codec_read.h"

#define FIRST_CAPACITY_BYTES 512

void codec_buffer_done(struct codec_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct codec_buffer){0};
}

static void buffer_reserve(struct codec_buffer *buffer, size_t more_bytes)
{
    CHECK(more_bytes <= SIZE_MAX / 4 - buffer->size_bytes);
    size_t needed = buffer->size_bytes + more_bytes;
    if (needed <= buffer->capacity_bytes) {
        return;
    }
    size_t capacity = buffer->capacity_bytes == 0 ? FIRST_CAPACITY_BYTES : buffer->capacity_bytes;
    while (capacity < needed) {
        capacity *= 2;
    }
    buffer->bytes = alloc_resize(buffer->bytes, capacity, 1);
    buffer->capacity_bytes = capacity;
}

void write_raw(struct codec_buffer *buffer, const void *bytes, size_t size_bytes)
{
    if (size_bytes == 0) {
        return;
    }
    buffer_reserve(buffer, size_bytes);
    memcpy(buffer->bytes + buffer->size_bytes, bytes, size_bytes);
    buffer->size_bytes += size_bytes;
}

static int packer_write(void *data, const char *bytes, size_t size_bytes)
{
    write_raw(data, bytes, size_bytes);
    return 0;
}

static msgpack_packer packer_on(struct codec_buffer *buffer)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, buffer, packer_write);
    return packer;
}

void write_nil(struct codec_buffer *buffer)
{
    msgpack_packer packer = packer_on(buffer);
    (void)msgpack_pack_nil(&packer);
}

void write_bool(struct codec_buffer *buffer, bool value)
{
    msgpack_packer packer = packer_on(buffer);
    (void)(value ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer));
}

void write_uint(struct codec_buffer *buffer, uint64_t value)
{
    msgpack_packer packer = packer_on(buffer);
    (void)msgpack_pack_uint64(&packer, value);
}

void write_int(struct codec_buffer *buffer, int64_t value)
{
    msgpack_packer packer = packer_on(buffer);
    (void)msgpack_pack_int64(&packer, value);
}

void write_binary(struct codec_buffer *buffer, const void *bytes, size_t size_bytes)
{
    msgpack_packer packer = packer_on(buffer);
    CHECK(size_bytes <= UINT32_MAX);
    (void)msgpack_pack_bin(&packer, size_bytes);
    write_raw(buffer, bytes, size_bytes);
}

void write_array(struct codec_buffer *buffer, size_t count)
{
    msgpack_packer packer = packer_on(buffer);
    CHECK(count <= UINT32_MAX);
    (void)msgpack_pack_array(&packer, count);
}

void write_map(struct codec_buffer *buffer, size_t count)
{
    msgpack_packer packer = packer_on(buffer);
    CHECK(count <= UINT32_MAX);
    (void)msgpack_pack_map(&packer, count);
}

void write_text_exact(struct codec_buffer *buffer, const char *text, size_t size_bytes)
{
    msgpack_packer packer = packer_on(buffer);
    CHECK(size_bytes <= UINT32_MAX);
    (void)msgpack_pack_str(&packer, size_bytes);
    write_raw(buffer, text, size_bytes);
}

void write_text(struct codec_buffer *buffer, const char *text, size_t size_bytes)
{
    write_text_exact(buffer, text, size_bytes);
    if (size_bytes == 0) {
        return;
    }
    char *written = (char *)buffer->bytes + buffer->size_bytes - size_bytes;
    size_t at = utf8_valid_prefix(written, size_bytes);
    while (at < size_bytes) { /* at moves on by at least one byte */
        written[at++] = '?';
        at += utf8_valid_prefix(written + at, size_bytes - at);
    }
}

void write_text_or_nil(struct codec_buffer *buffer, const char *text)
{
    if (text == NULL) {
        write_nil(buffer);
    } else {
        write_text(buffer, text, strlen(text));
    }
}
