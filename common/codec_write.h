/*
 * codec_write.h - writing msgpack into a growing buffer.
 *
 * Used by codec.c, work.c and link_frame.c; the only file that includes msgpack-c is codec_write.c.
 * Numbers take their shortest form.
 */
#ifndef ASSENT_COMMON_CODEC_WRITE_H
#define ASSENT_COMMON_CODEC_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/codec.h"

void write_raw(struct codec_buffer *buffer, const void *bytes, size_t size_bytes);
void write_nil(struct codec_buffer *buffer);
void write_bool(struct codec_buffer *buffer, bool value);
void write_uint(struct codec_buffer *buffer, uint64_t value);
void write_int(struct codec_buffer *buffer, int64_t value);
void write_binary(struct codec_buffer *buffer, const void *bytes, size_t size_bytes);
void write_array(struct codec_buffer *buffer, size_t count);
void write_map(struct codec_buffer *buffer, size_t count);

/* A text as it is. The reader refuses what is not UTF-8. */
void write_text_exact(struct codec_buffer *buffer, const char *text, size_t size_bytes);

/* A text for people: bytes that are not UTF-8 become '?', so that a message that was cut in the
 * middle of a character, or comes from a database without an encoding, cannot make a whole frame
 * unreadable. */
void write_text(struct codec_buffer *buffer, const char *text, size_t size_bytes);
/* The same, or nil for NULL. */
void write_text_or_nil(struct codec_buffer *buffer, const char *text);

#endif
