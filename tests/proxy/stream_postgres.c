/*
 * stream_postgres.c - units of PostgreSQL's protocol 3 (PostgreSQL's documentation, "Frontend/Backend
 * Protocol"). See stream.h.
 *
 * The dialer begins with packets without a type: a request for encryption (which the listener
 * answers with one byte and after which, since nobody encrypts here, another such packet follows), a cancel
 * request, or the startup packet. Everything behind it, and everything else from the listener, is a
 * type byte, a length in four bytes that counts itself, and a body.
 */
#include "tests/proxy/stream.h"

#include <stdio.h>
#include <string.h>

#define LENGTH_BYTES   4
#define REQUEST_CANCEL 80877102
#define REQUEST_SSL    80877103
#define REQUEST_GSS    80877104
#define PACKET_MAX     10000 /* PostgreSQL's own limit for packets without a type */
#define QUESTION_LABEL "question"

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Text that ends with NUL or where the body does, one line of it, as far as a label holds. */
static void label_text(char *label, const char *prefix, const uint8_t *bytes, size_t size_bytes)
{
    size_t length = strlen(prefix);
    memcpy(label, prefix, length);
    for (size_t i = 0; i < size_bytes && bytes[i] != 0 && length + 1 < STREAM_LABEL_SIZE; i++) {
        label[length++] = (char)(bytes[i] < ' ' || bytes[i] > '~' ? ' ' : bytes[i]);
    }
    label[length] = '\0';
}

static enum stream_result next_packet(struct stream *stream, const uint8_t *bytes,
                                      size_t size_bytes, struct stream_unit *ret_unit)
{
    if (size_bytes < LENGTH_BYTES) {
        return STREAM_MORE;
    }
    uint32_t length = read_u32(bytes);
    if (length < 2 * LENGTH_BYTES || length > PACKET_MAX) {
        return STREAM_BROKEN;
    }
    if (size_bytes < length) {
        return STREAM_MORE;
    }
    *ret_unit = (struct stream_unit){.size_bytes = length};
    switch (read_u32(bytes + LENGTH_BYTES)) {
    case REQUEST_SSL:
    case REQUEST_GSS:
        label_text(ret_unit->label, QUESTION_LABEL, NULL, 0);
        break;
    case REQUEST_CANCEL:
        label_text(ret_unit->label, "cancel", NULL, 0);
        break;
    default:
        stream->begun = true;
        label_text(ret_unit->label, "startup", NULL, 0);
        break;
    }
    return STREAM_UNIT;
}

/* 'P' is statement's name, NUL, text, NUL ...; a prepared statement's name is skipped. */
static void label_parse(char *label, const uint8_t *body, size_t size_bytes)
{
    const uint8_t *end = memchr(body, 0, size_bytes);
    size_t name_bytes = end == NULL ? size_bytes : (size_t)(end - body) + 1;
    label_text(label, "sql ", body + name_bytes, size_bytes - name_bytes);
}

/* 'E' is fields, each a code byte and a text with NUL; 'C' is the SQLSTATE. */
static void label_error(char *label, const uint8_t *body, size_t size_bytes)
{
    size_t at = 0;
    while (at < size_bytes && body[at] != 0) {
        const uint8_t *end = memchr(body + at, 0, size_bytes - at);
        if (body[at] == 'C') {
            label_text(label, "error ", body + at + 1, size_bytes - at - 1);
            return;
        }
        at = end == NULL ? size_bytes : (size_t)(end - body) + 1;
    }
    label_text(label, "error", NULL, 0);
}

static void label_message(const struct stream *stream, char *label, uint8_t type,
                          const uint8_t *body, size_t size_bytes)
{
    bool from_dialer = stream->side == STREAM_FROM_DIALER;
    if (from_dialer && type == 'P') {
        label_parse(label, body, size_bytes);
    } else if (from_dialer && type == 'Q') {
        label_text(label, "sql ", body, size_bytes);
    } else if (!from_dialer && type == 'C') {
        label_text(label, "tag ", body, size_bytes);
    } else if (!from_dialer && type == 'E') {
        label_error(label, body, size_bytes);
    } else {
        label_text(label, "type ", &type, 1);
    }
}

enum stream_result stream_postgres_next(struct stream *stream, const uint8_t *bytes,
                                        size_t size_bytes, struct stream_unit *ret_unit)
{
    if (stream->side == STREAM_FROM_DIALER && !stream->begun) {
        return next_packet(stream, bytes, size_bytes, ret_unit);
    }
    if (stream->side == STREAM_FROM_LISTENER && stream->answers > 0) {
        stream->answers--;
        *ret_unit = (struct stream_unit){.size_bytes = 1};
        label_text(ret_unit->label, "answer ", bytes, 1);
        return STREAM_UNIT;
    }
    if (size_bytes < 1 + LENGTH_BYTES) {
        return STREAM_MORE;
    }
    uint32_t length = read_u32(bytes + 1);
    if (length < LENGTH_BYTES || length > STREAM_UNIT_MAX_BYTES - 1) {
        return STREAM_BROKEN;
    }
    if (size_bytes - 1 < length) {
        return STREAM_MORE;
    }
    *ret_unit = (struct stream_unit){.size_bytes = 1 + (size_t)length};
    label_message(stream, ret_unit->label, bytes[0], bytes + 1 + LENGTH_BYTES,
                  length - LENGTH_BYTES);
    return STREAM_UNIT;
}

void stream_expect_answer(struct stream *stream)
{
    stream->answers++;
}

bool stream_is_question(const struct stream_unit *unit)
{
    return strcmp(unit->label, QUESTION_LABEL) == 0;
}
