/*
 * codec_read.h - reading msgpack from untrusted bytes, one value at a time, without allocating.
 *
 * Used by codec.c, work_decode.c and link_frame.c. Nothing is trusted: every length and count is
 * compared with the bytes that remain before it is believed (one element takes at least one byte),
 * so a caller may allocate `count` elements afterwards at a cost bounded by the input. msgpack-c's
 * own unpacker is not used for reading: it reserves memory for counts before it has seen the
 * elements.
 *
 * After a read_ function has returned false the cursor must not be used again, except to ask for
 * `fault`.
 */
#ifndef ASSENT_COMMON_CODEC_READ_H
#define ASSENT_COMMON_CODEC_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct read_cursor {
    const uint8_t *at;
    const uint8_t *end;
    const char *fault; /* what was wrong, a literal; NULL while all is well */
};

void read_start(struct read_cursor *cursor, const void *bytes, size_t size_bytes);
size_t read_remaining(const struct read_cursor *cursor);

/* Remembers the first fault and returns false. */
bool read_fail(struct read_cursor *cursor, const char *fault);

/* True, and past it, if the next value is nil. */
bool read_nil(struct read_cursor *cursor);

bool read_bool(struct read_cursor *cursor, bool *ret_value);
bool read_uint(struct read_cursor *cursor, uint64_t max, uint64_t *ret_value);
bool read_int(struct read_cursor *cursor, int64_t min, int64_t max, int64_t *ret_value);

/* A msgpack string: valid UTF-8 without NUL; lends a place inside the input, not terminated. */
bool read_text(struct read_cursor *cursor, const char **ret_text, size_t *ret_size_bytes);
/* The same, copied with a final NUL into a buffer of capacity bytes. */
bool read_text_into(struct read_cursor *cursor, char *ret_text, size_t capacity_bytes);

/* msgpack binary; lends a place inside the input. */
bool read_binary(struct read_cursor *cursor, const uint8_t **ret_bytes, size_t *ret_size_bytes);
/* The same, of exactly size_bytes, copied. */
bool read_binary_into(struct read_cursor *cursor, uint8_t *ret_bytes, size_t size_bytes);

/* The header of an array; every element needs at least element_bytes more input. */
bool read_array(struct read_cursor *cursor, size_t element_bytes, size_t *ret_count);
/* The header of an array of exactly count elements. */
bool read_array_of(struct read_cursor *cursor, size_t count);
bool read_map(struct read_cursor *cursor, size_t *ret_count);

/* Passes over one value of any type, nested at most READ_DEPTH_MAX deep. */
#define READ_DEPTH_MAX 8
bool read_skip(struct read_cursor *cursor);

/* Length of the longest prefix that is valid UTF-8 without NUL; size_bytes if all is. */
size_t utf8_valid_prefix(const char *text, size_t size_bytes);

#endif
