/*
 * codec_fields.h - which fields each kind of message has on the wire (docs/PROTOCOL.md,
 * "Messages").
 *
 * The tables drive encoder and decoder alike (codec.c), so the two cannot disagree. Adding a field
 * is one line here and one in PROTOCOL.md. Keys are never used again for something else.
 */
#ifndef ASSENT_COMMON_CODEC_FIELDS_H
#define ASSENT_COMMON_CODEC_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "common/messages.h"

enum field_type {
    FIELD_U64,
    FIELD_U32,
    FIELD_BOOL,
    FIELD_ENUM,     /* a number, min .. max */
    FIELD_TEXT,     /* char array of `size` bytes with the final NUL */
    FIELD_NAME,     /* the same, and a valid participant's name */
    FIELD_GTRID,    /* struct gtrid */
    FIELD_GID,      /* struct gid */
    FIELD_PROOF,    /* struct proof */
    FIELD_HEAD,     /* struct journal_head */
    FIELD_FLOOR,    /* struct journal_floor */
    FIELD_IDENTITY, /* struct identity */
    FIELD_BLOB,     /* struct blob *, NULL if absent */
    FIELD_AUDIT,    /* struct audit_list: 1 .. AUDIT_ITEMS_MAX times [gid, proof] */
};

enum field_presence {
    FIELD_REQUIRED,
    FIELD_OPTIONAL, /* left out when it is zero, empty or NULL, and read as that */
};

struct field {
    uint8_t key; /* 1 .. FIELD_KEY_MAX */
    uint8_t type;
    uint8_t presence;
    uint8_t min; /* of FIELD_ENUM */
    uint8_t max;
    uint16_t offset;      /* in struct message */
    uint16_t size;        /* of FIELD_TEXT */
    uint16_t flag_offset; /* of a bool that says whether the field is there, 0 if there is none */
};

/* Keys up to this one must be understood by the receiver; higher ones may be passed over. */
#define FIELD_KEY_MAX 63

struct field_list {
    const struct field *fields; /* by ascending key */
    size_t count;
};

/* An empty list with fields NULL for a number that is no kind of message. */
struct field_list fields_of(enum message_kind kind);

#endif
