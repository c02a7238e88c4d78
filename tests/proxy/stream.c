/*
 * stream.c - units of raw streams and of nng's framing. See stream.h.
 *
 * nng (Scalability Protocols over TCP): each end first sends eight bytes, `00 53 50 00`, the
 * protocol's number in two bytes, `00 00`; then frames, each as its length in eight bytes, big-endian,
 * and its bytes.
 */
#include "tests/proxy/stream.h"

#include <stdio.h>
#include <string.h>

#define SP_HANDSHAKE_BYTES 8
#define SP_LENGTH_BYTES    8

void stream_init(struct stream *stream, enum stream_kind kind, enum stream_side side)
{
    *stream = (struct stream){.kind = kind, .side = side};
}

static enum stream_result next_handshake(struct stream *stream, const uint8_t *bytes,
                                         size_t size_bytes, struct stream_unit *ret_unit)
{
    static const uint8_t magic[] = {0x00, 'S', 'P', 0x00};
    size_t known_bytes = size_bytes < sizeof magic ? size_bytes : sizeof magic;
    if (memcmp(bytes, magic, known_bytes) != 0) {
        return STREAM_BROKEN;
    }
    if (size_bytes < SP_HANDSHAKE_BYTES) {
        return STREAM_MORE;
    }
    stream->begun = true;
    *ret_unit = (struct stream_unit){.size_bytes = SP_HANDSHAKE_BYTES, .label = "sp handshake"};
    return STREAM_UNIT;
}

static enum stream_result next_frame(struct stream *stream, const uint8_t *bytes, size_t size_bytes,
                                     struct stream_unit *ret_unit)
{
    if (!stream->begun) {
        return next_handshake(stream, bytes, size_bytes, ret_unit);
    }
    if (size_bytes < SP_LENGTH_BYTES) {
        return STREAM_MORE;
    }
    uint64_t length = 0;
    for (size_t i = 0; i < SP_LENGTH_BYTES; i++) {
        length = length << 8 | bytes[i];
    }
    if (length > STREAM_UNIT_MAX_BYTES - SP_LENGTH_BYTES) {
        return STREAM_BROKEN;
    }
    if (size_bytes - SP_LENGTH_BYTES < length) {
        return STREAM_MORE;
    }
    *ret_unit =
        (struct stream_unit){.size_bytes = SP_LENGTH_BYTES + (size_t)length, .label = "frame data"};
    if (stream->kind == STREAM_LINK) {
        stream_label_link(stream, bytes + SP_LENGTH_BYTES, (size_t)length, ret_unit->label);
    }
    return STREAM_UNIT;
}

enum stream_result stream_next(struct stream *stream, const uint8_t *bytes, size_t size_bytes,
                               struct stream_unit *ret_unit)
{
    if (size_bytes == 0) {
        return STREAM_MORE;
    }
    switch (stream->kind) {
    case STREAM_RAW:
        *ret_unit = (struct stream_unit){.size_bytes = size_bytes, .label = "bytes"};
        return STREAM_UNIT;
    case STREAM_FRAMES:
    case STREAM_LINK:
        return next_frame(stream, bytes, size_bytes, ret_unit);
    case STREAM_POSTGRES:
        return stream_postgres_next(stream, bytes, size_bytes, ret_unit);
    }
    return STREAM_BROKEN;
}
