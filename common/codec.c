/*
 * codec.c - one message as a msgpack map: {0: kind, 1..63: fields in ascending order}.
 *
 * Strictly ascending keys make duplicates impossible and give every message one order. A field is
 * read straight into the zeroed struct message, so an absent optional field is its zero value.
 */
#include "common/codec.h"

#include <string.h>

#include "common/alloc.h"
#include "common/blob.h"
#include "common/check.h"
#include "common/codec_fields.h"
#include "common/codec_read.h"
#include "common/codec_write.h"

/* ---- writing ---- */

static const void *field_place(const struct message *message, const struct field *field)
{
    return (const uint8_t *)message + field->offset;
}

static bool proof_empty(const struct proof *proof)
{
    return proof->kind == PROOF_NONE && proof->timeline == 0 && proof->database_oid == 0 &&
           proof->xid8 == 0 && proof->system_id == 0 && proof->lsn == 0;
}

static bool field_present(const struct message *message, const struct field *field)
{
    const void *place = field_place(message, field);
    if (field->flag_offset != 0) {
        return *(const bool *)((const uint8_t *)message + field->flag_offset);
    }
    if (field->presence == FIELD_REQUIRED) {
        return true;
    }
    switch ((enum field_type)field->type) {
    case FIELD_U64:
        return *(const uint64_t *)place != 0;
    case FIELD_U32:
    case FIELD_ENUM:
        return *(const uint32_t *)place != 0;
    case FIELD_BOOL:
        return *(const bool *)place;
    case FIELD_TEXT:
    case FIELD_NAME:
        return *(const char *)place != '\0';
    case FIELD_PROOF:
        return !proof_empty(place);
    case FIELD_BLOB:
        return *(struct blob *const *)place != NULL;
    case FIELD_GTRID:
    case FIELD_GID:
    case FIELD_HEAD:
    case FIELD_FLOOR:
    case FIELD_IDENTITY:
    case FIELD_AUDIT:
        break;
    }
    return true;
}

static void write_field_text(struct codec_buffer *buffer, const char *text, size_t capacity_bytes)
{
    write_text(buffer, text, strnlen(text, capacity_bytes - 1));
}

static void write_gtrid_elements(struct codec_buffer *buffer, const struct gtrid *gtrid)
{
    write_binary(buffer, gtrid->journal.bytes, JOURNAL_ID_BYTES);
    write_uint(buffer, gtrid->epoch);
    write_uint(buffer, gtrid->epoch_nonce);
    write_uint(buffer, gtrid->sequence);
}

static void write_gid(struct codec_buffer *buffer, const struct gid *gid)
{
    write_array(buffer, 6);
    write_gtrid_elements(buffer, &gid->gtrid);
    write_field_text(buffer, gid->participant, sizeof gid->participant);
    write_uint(buffer, gid->attempt);
}

static void write_proof(struct codec_buffer *buffer, const struct proof *proof)
{
    write_array(buffer, 6);
    write_uint(buffer, proof->kind);
    write_uint(buffer, proof->timeline);
    write_uint(buffer, proof->database_oid);
    write_uint(buffer, proof->xid8);
    write_uint(buffer, proof->system_id);
    write_uint(buffer, proof->lsn);
}

static void write_head(struct codec_buffer *buffer, const struct journal_head *head)
{
    write_array(buffer, 2);
    write_uint(buffer, head->number);
    write_binary(buffer, head->hash, HASH_BYTES);
}

static void write_floor(struct codec_buffer *buffer, const struct journal_floor *floor)
{
    write_array(buffer, 3);
    write_uint(buffer, floor->epoch);
    write_uint(buffer, floor->sequence);
    write_uint(buffer, floor->first_number);
}

static void write_identity(struct codec_buffer *buffer, const struct identity *identity)
{
    write_array(buffer, 5);
    write_uint(buffer, identity->system_id);
    write_uint(buffer, identity->timeline);
    write_uint(buffer, identity->database_oid);
    write_uint(buffer, identity->lsn);
    write_field_text(buffer, identity->database, sizeof identity->database);
}

static void write_blob(struct codec_buffer *buffer, const struct blob *blob)
{
    CHECK(blob != NULL); /* a WORK message without work */
    write_binary(buffer, blob->bytes, blob->size_bytes);
}

static void write_audit(struct codec_buffer *buffer, const struct audit_list *list)
{
    CHECK(list->count > 0 && list->count <= AUDIT_ITEMS_MAX);
    write_array(buffer, list->count);
    for (size_t i = 0; i < list->count; i++) {
        write_array(buffer, 2);
        write_gid(buffer, &list->items[i].gid);
        write_proof(buffer, &list->items[i].proof);
    }
}

static void write_field(struct codec_buffer *buffer, const void *place, const struct field *field)
{
    switch ((enum field_type)field->type) {
    case FIELD_U64:
        write_uint(buffer, *(const uint64_t *)place);
        break;
    case FIELD_U32:
    case FIELD_ENUM: /* enums are unsigned int with the compilers we use, see the assertion below */
        write_uint(buffer, *(const uint32_t *)place);
        break;
    case FIELD_BOOL:
        write_bool(buffer, *(const bool *)place);
        break;
    case FIELD_TEXT:
    case FIELD_NAME:
        write_field_text(buffer, place, field->size);
        break;
    case FIELD_GTRID:
        write_array(buffer, 4);
        write_gtrid_elements(buffer, place);
        break;
    case FIELD_GID:
        write_gid(buffer, place);
        break;
    case FIELD_PROOF:
        write_proof(buffer, place);
        break;
    case FIELD_HEAD:
        write_head(buffer, place);
        break;
    case FIELD_FLOOR:
        write_floor(buffer, place);
        break;
    case FIELD_IDENTITY:
        write_identity(buffer, place);
        break;
    case FIELD_BLOB:
        write_blob(buffer, *(struct blob *const *)place);
        break;
    case FIELD_AUDIT:
        write_audit(buffer, place);
        break;
    }
}

_Static_assert(sizeof(enum vote) == sizeof(uint32_t) && sizeof(enum health) == sizeof(uint32_t),
               "FIELD_ENUM is read and written as 32 bits");

void codec_encode_message(struct codec_buffer *buffer, const struct message *message)
{
    struct field_list list = fields_of(message->kind);
    CHECK(list.fields != NULL);
    size_t present = 0;
    for (size_t i = 0; i < list.count; i++) {
        present += field_present(message, &list.fields[i]);
    }
    write_map(buffer, 1 + present);
    write_uint(buffer, 0);
    write_uint(buffer, message->kind);
    for (size_t i = 0; i < list.count; i++) {
        if (field_present(message, &list.fields[i])) {
            write_uint(buffer, list.fields[i].key);
            write_field(buffer, field_place(message, &list.fields[i]), &list.fields[i]);
        }
    }
}

/* ---- reading ---- */

static bool read_u32(struct read_cursor *cursor, uint32_t *ret_value)
{
    uint64_t value;
    if (!read_uint(cursor, UINT32_MAX, &value)) {
        return false;
    }
    *ret_value = (uint32_t)value;
    return true;
}

static bool read_enum(struct read_cursor *cursor, uint32_t min, uint32_t max, void *ret_place)
{
    uint32_t value;
    if (!read_u32(cursor, &value)) {
        return false;
    }
    if (value < min || value > max) {
        return read_fail(cursor, "a value that this field cannot have");
    }
    memcpy(ret_place, &value, sizeof value);
    return true;
}

static bool read_name(struct read_cursor *cursor, char *ret_name, size_t capacity_bytes)
{
    if (!read_text_into(cursor, ret_name, capacity_bytes)) {
        return false;
    }
    return participant_name_valid(ret_name) || read_fail(cursor, "not a participant's name");
}

static bool read_gtrid_elements(struct read_cursor *cursor, struct gtrid *ret_gtrid)
{
    return read_binary_into(cursor, ret_gtrid->journal.bytes, JOURNAL_ID_BYTES) &&
           read_uint(cursor, UINT64_MAX, &ret_gtrid->epoch) &&
           read_uint(cursor, UINT64_MAX, &ret_gtrid->epoch_nonce) &&
           read_uint(cursor, UINT64_MAX, &ret_gtrid->sequence);
}

static bool read_gid(struct read_cursor *cursor, struct gid *ret_gid)
{
    return read_array_of(cursor, 6) && read_gtrid_elements(cursor, &ret_gid->gtrid) &&
           read_name(cursor, ret_gid->participant, sizeof ret_gid->participant) &&
           read_uint(cursor, UINT64_MAX, &ret_gid->attempt);
}

static bool read_proof(struct read_cursor *cursor, struct proof *ret_proof)
{
    return read_array_of(cursor, 6) &&
           read_enum(cursor, PROOF_NONE, PROOF_EXTERNAL, &ret_proof->kind) &&
           read_u32(cursor, &ret_proof->timeline) && read_u32(cursor, &ret_proof->database_oid) &&
           read_uint(cursor, UINT64_MAX, &ret_proof->xid8) &&
           read_uint(cursor, UINT64_MAX, &ret_proof->system_id) &&
           read_uint(cursor, UINT64_MAX, &ret_proof->lsn);
}

static bool read_head(struct read_cursor *cursor, struct journal_head *ret_head)
{
    return read_array_of(cursor, 2) && read_uint(cursor, UINT64_MAX, &ret_head->number) &&
           read_binary_into(cursor, ret_head->hash, HASH_BYTES);
}

static bool read_floor(struct read_cursor *cursor, struct journal_floor *ret_floor)
{
    return read_array_of(cursor, 3) && read_uint(cursor, UINT64_MAX, &ret_floor->epoch) &&
           read_uint(cursor, UINT64_MAX, &ret_floor->sequence) &&
           read_uint(cursor, UINT64_MAX, &ret_floor->first_number);
}

static bool read_identity(struct read_cursor *cursor, struct identity *ret_identity)
{
    return read_array_of(cursor, 5) && read_uint(cursor, UINT64_MAX, &ret_identity->system_id) &&
           read_u32(cursor, &ret_identity->timeline) &&
           read_u32(cursor, &ret_identity->database_oid) &&
           read_uint(cursor, UINT64_MAX, &ret_identity->lsn) &&
           read_text_into(cursor, ret_identity->database, sizeof ret_identity->database);
}

static bool read_blob(struct read_cursor *cursor, struct blob **ret_blob)
{
    const uint8_t *bytes;
    size_t size_bytes;
    if (!read_binary(cursor, &bytes, &size_bytes)) {
        return false;
    }
    *ret_blob = blob_new(bytes, size_bytes);
    return true;
}

#define AUDIT_ITEM_BYTES_MIN 36 /* an item with the shortest numbers and name */

static bool read_audit(struct read_cursor *cursor, struct audit_list *ret_list)
{
    size_t count;
    if (!read_array(cursor, AUDIT_ITEM_BYTES_MIN, &count)) {
        return false;
    }
    if (count == 0 || count > AUDIT_ITEMS_MAX) {
        return read_fail(cursor, "an audit of no branch, or of too many");
    }
    ret_list->items = alloc_array(count, sizeof ret_list->items[0]);
    ret_list->count = count;
    for (size_t i = 0; i < count; i++) {
        if (!read_array_of(cursor, 2) || !read_gid(cursor, &ret_list->items[i].gid) ||
            !read_proof(cursor, &ret_list->items[i].proof)) {
            return false;
        }
    }
    return true;
}

static bool read_field(struct read_cursor *cursor, const struct field *field, void *place)
{
    switch ((enum field_type)field->type) {
    case FIELD_U64:
        return read_uint(cursor, UINT64_MAX, place);
    case FIELD_U32:
        return read_u32(cursor, place);
    case FIELD_BOOL:
        return read_bool(cursor, place);
    case FIELD_ENUM:
        return read_enum(cursor, field->min, field->max, place);
    case FIELD_TEXT:
        return read_text_into(cursor, place, field->size);
    case FIELD_NAME:
        return read_name(cursor, place, field->size);
    case FIELD_GTRID:
        return read_array_of(cursor, 4) && read_gtrid_elements(cursor, place);
    case FIELD_GID:
        return read_gid(cursor, place);
    case FIELD_PROOF:
        return read_proof(cursor, place);
    case FIELD_HEAD:
        return read_head(cursor, place);
    case FIELD_FLOOR:
        return read_floor(cursor, place);
    case FIELD_IDENTITY:
        return read_identity(cursor, place);
    case FIELD_BLOB:
        return read_blob(cursor, place);
    case FIELD_AUDIT:
        return read_audit(cursor, place);
    }
    return read_fail(cursor, "an unknown type of field");
}

/* Why a message was refused: malformed, or of a newer version than this program. */
enum refusal { REFUSED_INVALID = 1, REFUSED_VERSION };

/* Reads `pairs` keys and values; *message is zeroed but for its kind. */
static bool read_fields(struct read_cursor *cursor, size_t pairs, struct message *message,
                        enum refusal *refusal)
{
    struct field_list list = fields_of(message->kind);
    uint64_t last_key = 0;
    size_t next = 0;
    for (size_t i = 0; i < pairs; i++) {
        uint64_t key;
        if (!read_uint(cursor, UINT32_MAX, &key)) {
            return false;
        }
        if (key <= last_key) {
            return read_fail(cursor, "keys are repeated or not in ascending order");
        }
        last_key = key;
        while (next < list.count && list.fields[next].key < key) {
            if (list.fields[next++].presence == FIELD_REQUIRED) {
                return read_fail(cursor, "a required field is missing");
            }
        }
        if (next < list.count && list.fields[next].key == key) {
            const struct field *field = &list.fields[next++];
            if (!read_field(cursor, field, (uint8_t *)message + field->offset)) {
                return false;
            }
            if (field->flag_offset != 0) {
                *(bool *)((uint8_t *)message + field->flag_offset) = true;
            }
        } else if (key <= FIELD_KEY_MAX) {
            *refusal = REFUSED_VERSION;
            return read_fail(cursor, "a field that this version must understand and does not");
        } else if (!read_skip(cursor)) {
            return false;
        }
    }
    for (; next < list.count; next++) {
        if (list.fields[next].presence == FIELD_REQUIRED) {
            return read_fail(cursor, "a required field is missing");
        }
    }
    return true;
}

static bool read_message(struct read_cursor *cursor, struct message *message, enum refusal *refusal)
{
    size_t pairs;
    uint64_t key, kind;
    if (!read_map(cursor, &pairs)) {
        return false;
    }
    if (pairs == 0) {
        return read_fail(cursor, "an empty message");
    }
    if (!read_uint(cursor, UINT64_MAX, &key)) {
        return false;
    }
    if (key != 0) {
        return read_fail(cursor, "the kind does not come first");
    }
    if (!read_uint(cursor, UINT32_MAX, &kind)) {
        return false;
    }
    if (fields_of((enum message_kind)kind).fields == NULL) {
        *refusal = REFUSED_VERSION;
        return read_fail(cursor, "an unknown kind of message");
    }
    message->kind = (enum message_kind)kind;
    return read_fields(cursor, pairs - 1, message, refusal);
}

bool codec_decode_message(const uint8_t *bytes, size_t size_bytes, struct message *ret_message,
                          size_t *ret_used, struct error *ret_error)
{
    struct read_cursor cursor;
    struct message message = {0};
    enum refusal refusal = REFUSED_INVALID;
    read_start(&cursor, bytes, size_bytes);
    if (!read_message(&cursor, &message, &refusal)) {
        message_done(&message);
        return error_set(ret_error, refusal == REFUSED_VERSION ? ERROR_VERSION : ERROR_INVALID,
                         "unreadable message: %s", cursor.fault);
    }
    *ret_message = message;
    *ret_used = size_bytes - read_remaining(&cursor);
    return true;
}
