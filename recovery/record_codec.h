/*
 * record_codec.h - the bodies of journal records as msgpack bytes (docs/JOURNAL.md, "Record bodies").
 *
 * Used by the journal backends and by `assent journal dump`. The kind stands beside the body in the
 * journal, so it is no part of these bytes. decode never trusts: every count and length is checked against
 * the bytes that remain before anything is allocated, so hostile bytes cost at most a small multiple of
 * their own size; what it accepts, it accepts to the last byte.
 */
#ifndef ASSENT_RECOVERY_RECORD_CODEC_H
#define ASSENT_RECOVERY_RECORD_CODEC_H

#include "recovery/record.h"

/* A growing buffer, reused from record to record; zero-initialised is empty. */
struct record_buffer {
    uint8_t *bytes;
    size_t size_bytes;
    size_t capacity_bytes;
};

void record_buffer_done(struct record_buffer *buffer);

/* Replaces the buffer's contents with the body of the record. The record must be well-formed (names valid,
 * texts within their fields, every branch's gid carrying the record's gtrid): anything else is a CHECK. */
void record_encode(const struct record *record, struct record_buffer *buffer);

/* ERROR_VERSION for an unknown kind, ERROR_INVALID for everything else that is wrong. */
bool record_decode(enum record_kind kind, const uint8_t *bytes, size_t size_bytes,
                   struct record *ret_record, struct error *ret_error);

/* The gtrid a record is about; false where the kind has none. */
bool record_gtrid(const struct record *record, struct gtrid *ret_gtrid);

#endif
