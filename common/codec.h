/*
 * codec.h - messages as msgpack (docs/PROTOCOL.md, "Messages").
 *
 * decode never trusts: lengths, counts and nesting are checked against the bytes that remain before
 * anything is allocated; unknown kinds are ERROR_VERSION; trailing bytes, wrong types, duplicate
 * map keys, invalid UTF-8 in texts and unknown enum values are ERROR_INVALID.
 */
#ifndef ASSENT_COMMON_CODEC_H
#define ASSENT_COMMON_CODEC_H

#include "common/error.h"
#include "common/messages.h"

/* Growable output buffer; zero-initialised is empty. */
struct codec_buffer {
    uint8_t *bytes;
    size_t size_bytes;
    size_t capacity_bytes;
};

void codec_buffer_done(struct codec_buffer *buffer);

/* Appends one message. */
void codec_encode_message(struct codec_buffer *buffer, const struct message *message);

/* Decodes the message at the start of bytes; *ret_used is how many bytes it took. */
bool codec_decode_message(const uint8_t *bytes, size_t size_bytes, struct message *ret_message,
                          size_t *ret_used, struct error *ret_error);

#endif
