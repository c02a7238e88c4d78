/*
 * client_msgpack.h - just enough msgpack for the client protocol: a cursor that reads and a buffer
 * that grows.
 *
 * Used by both ends (coordinator/client_codec.c and client/wire.c). The reader never allocates and
 * lends texts from the bytes it reads, so a hostile frame costs nothing but the time to read it:
 * counts are checked against the bytes that remain, nesting is bounded, texts must be UTF-8. Knows
 * nothing of requests and answers.
 *
 * A failed read sets `failed` and every later read fails too, so a sequence of reads needs one
 * check at its end.
 */
#ifndef ASSENT_COORDINATOR_CLIENT_MSGPACK_H
#define ASSENT_COORDINATOR_CLIENT_MSGPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNPACK_DEPTH_MAX 16

enum unpack_type {
    UNPACK_NOTHING = 0, /* at the end, or failed */
    UNPACK_NIL,
    UNPACK_BOOL,
    UNPACK_INT,
    UNPACK_TEXT,
    UNPACK_BYTES,
    UNPACK_ARRAY,
    UNPACK_MAP,
    UNPACK_OTHER, /* floats, extensions: no message of ours has them; only unpack_skip takes them */
};

struct unpack {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

struct unpack_text {
    const char *text; /* lent; not terminated */
    size_t size_bytes;
};

void unpack_init(struct unpack *unpack, const void *bytes, size_t size_bytes);

/* What comes next, without reading it. */
enum unpack_type unpack_peek(const struct unpack *unpack);

bool unpack_nil(struct unpack *unpack);
bool unpack_bool(struct unpack *unpack, bool *ret_value);
bool unpack_int(struct unpack *unpack, int64_t *ret_value); /* above INT64_MAX fails */
/* Fails outside min..max. */
bool unpack_range(struct unpack *unpack, int64_t min, int64_t max, int64_t *ret_value);
bool unpack_text(struct unpack *unpack, struct unpack_text *ret_text);
bool unpack_bytes(struct unpack *unpack, const uint8_t **ret_bytes, size_t *ret_size_bytes);
bool unpack_array(struct unpack *unpack, uint32_t *ret_count);
bool unpack_map(struct unpack *unpack, uint32_t *ret_count);
/* One value of any type with all that is in it, at most UNPACK_DEPTH_MAX deep. */
bool unpack_skip(struct unpack *unpack);
/* Nothing failed and nothing is left. */
bool unpack_is_complete(const struct unpack *unpack);

bool unpack_utf8_is_valid(const void *text, size_t size_bytes);
bool unpack_text_is(const struct unpack_text *text, const char *expected);
/* Copies with a final NUL; false where it does not fit, is empty, or has a NUL inside. */
bool unpack_text_copy(const struct unpack_text *text, char *ret_copy, size_t copy_bytes);

struct pack {
    uint8_t *bytes; /* owned */
    size_t size_bytes;
    size_t capacity_bytes;
};

void pack_done(struct pack *pack);
void pack_nil(struct pack *pack);
void pack_bool(struct pack *pack, bool value);
void pack_int(struct pack *pack, int64_t value);
void pack_uint(struct pack *pack, uint64_t value);
void pack_text(struct pack *pack, const char *text); /* NULL packs nil */
void pack_text_sized(struct pack *pack, const char *text, size_t size_bytes);
void pack_bytes(struct pack *pack, const void *bytes, size_t size_bytes);
void pack_array(struct pack *pack, size_t count);
void pack_map(struct pack *pack, size_t count);

#endif
