/*
 * stream.h - what travels in one direction of a connection, cut into units: nng's frames with
 * Assent's messages in them, and the messages of PostgreSQL's protocol 3.
 *
 * Pure: bytes in, units out. The proxy (proxy.h) forwards, holds or drops whole units and never
 * changes one: links are authenticated (docs/PROTOCOL.md), so a changed frame would only be
 * refused. Nothing here is shared with the code under test. What cannot be read is STREAM_BROKEN,
 * never a guess.
 *
 * Each unit has a label, words in a fixed order, in which a rule looks for its own text:
 *
 *     STREAM_LINK      "sp handshake", "frame HELLO", "frame ACCEPT stock", "frame CONFIRM", "frame
 *                      REFUSE", "frame heartbeat", "msg WORK; msg COMMIT;" (one per message)
 *     STREAM_FRAMES    "sp handshake", "frame data"
 *     STREAM_POSTGRES  from the dialer: "startup", "cancel", "sql PREPARE TRANSACTION 'assent:..."
 *                      (Parse and Query), "type B" (others); from the listener: "answer N" (to a request
 *                      for encryption), "tag COMMIT PREPARED", "error 42704", "type Z" (others)
 *     STREAM_RAW       "bytes"
 */
#ifndef ASSENT_TESTS_PROXY_STREAM_H
#define ASSENT_TESTS_PROXY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_LABEL_SIZE 192
#define STREAM_PEER_SIZE  64
/* Longer units are broken: what Assent and the tests send is shorter. */
#define STREAM_UNIT_MAX_BYTES ((size_t)20 << 20)

enum stream_kind {
    STREAM_RAW = 1,
    STREAM_FRAMES,   /* nng's framing; contents not looked at */
    STREAM_LINK,     /* nng's framing with the frames of Assent's links */
    STREAM_POSTGRES, /* PostgreSQL's protocol 3, not encrypted */
};

enum stream_side {
    STREAM_FROM_DIALER = 1,
    STREAM_FROM_LISTENER,
};

struct stream {
    enum stream_kind kind;
    enum stream_side side;
    bool begun;                  /* the handshake, or the startup packet, has passed */
    size_t answers;              /* PostgreSQL's listener: one-byte answers that are due first */
    char peer[STREAM_PEER_SIZE]; /* the participant that ACCEPT named; "" if none did yet */
};

struct stream_unit {
    size_t size_bytes;
    char label[STREAM_LABEL_SIZE];
};

enum stream_result {
    STREAM_UNIT = 1, /* *ret_unit lies at the beginning of the bytes */
    STREAM_MORE,     /* it is not all there yet */
    STREAM_BROKEN,   /* this is not the protocol; nothing behind it can be told apart */
};

void stream_init(struct stream *stream, enum stream_kind kind, enum stream_side side);

/* Looks at the beginning of what was received and not taken yet. The caller takes ret_unit's bytes
 * before it asks again. */
enum stream_result stream_next(struct stream *stream, const uint8_t *bytes, size_t size_bytes,
                               struct stream_unit *ret_unit);

/* The dialer has asked PostgreSQL for encryption: the listener's next byte is the answer. */
void stream_expect_answer(struct stream *stream);
/* Was this unit, of PostgreSQL's dialer, such a question? */
bool stream_is_question(const struct stream_unit *unit);

/* --- for stream.c: one per protocol ---------------------------------------------------------- */

enum stream_result stream_postgres_next(struct stream *stream, const uint8_t *bytes,
                                        size_t size_bytes, struct stream_unit *ret_unit);
void stream_label_link(struct stream *stream, const uint8_t *frame, size_t size_bytes,
                       char ret_label[STREAM_LABEL_SIZE]);

#endif
