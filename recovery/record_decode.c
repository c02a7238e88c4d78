/*
 * record_decode.c - reads record bodies; see record_codec.h. A strict cursor of our own, because msgpack-c's
 * unpacker reserves memory for whatever counts the bytes claim (R1).
 *
 * The take_ functions move the cursor past one value or return false; the caller says what was wrong.
 */
#include <string.h>

#include "common/alloc.h"
#include "recovery/record_codec.h"

enum {
    MP_NIL = 0xc0,
    MP_FALSE = 0xc2,
    MP_TRUE = 0xc3,
    MP_BIN8 = 0xc4,
    MP_BIN32 = 0xc6,
    MP_UINT8 = 0xcc,
    MP_UINT64 = 0xcf,
    MP_STR8 = 0xd9,
    MP_STR32 = 0xdb,
    MP_ARRAY16 = 0xdc,
    MP_ARRAY32 = 0xdd,
};

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static size_t cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static bool take_big_endian(struct cursor *cursor, size_t width, uint64_t *ret_value)
{
    if (cursor_left(cursor) < width) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value = value << 8 | cursor->at[i];
    }
    cursor->at += width;
    *ret_value = value;
    return true;
}

static bool take_tag(struct cursor *cursor, uint8_t *ret_tag)
{
    uint64_t tag;
    if (!take_big_endian(cursor, 1, &tag)) {
        return false;
    }
    *ret_tag = (uint8_t)tag;
    return true;
}

/* True, and past it, if the next value is nil. */
static bool take_nil(struct cursor *cursor)
{
    if (cursor_left(cursor) == 0 || *cursor->at != MP_NIL) {
        return false;
    }
    cursor->at++;
    return true;
}

static bool take_uint(struct cursor *cursor, uint64_t max, uint64_t *ret_value)
{
    uint8_t tag;
    uint64_t value;
    if (!take_tag(cursor, &tag)) {
        return false;
    }
    if (tag <= 0x7f) {
        value = tag;
    } else if (tag < MP_UINT8 || tag > MP_UINT64 ||
               !take_big_endian(cursor, (size_t)1 << (tag - MP_UINT8), &value)) {
        return false;
    }
    if (value > max) {
        return false;
    }
    *ret_value = value;
    return true;
}

static bool take_u64(struct cursor *cursor, uint64_t *ret_value)
{
    return take_uint(cursor, UINT64_MAX, ret_value);
}

static bool take_u32(struct cursor *cursor, uint32_t *ret_value)
{
    uint64_t value;
    if (!take_uint(cursor, UINT32_MAX, &value)) {
        return false;
    }
    *ret_value = (uint32_t)value;
    return true;
}

static bool take_bool(struct cursor *cursor, bool *ret_value)
{
    uint8_t tag;
    if (!take_tag(cursor, &tag) || (tag != MP_TRUE && tag != MP_FALSE)) {
        return false;
    }
    *ret_value = tag == MP_TRUE;
    return true;
}

/* The number of items; every item takes at least item_bytes, so a count that the remaining bytes cannot
 * hold is refused here, before anybody allocates for it. */
static bool take_count(struct cursor *cursor, size_t item_bytes, size_t *ret_count)
{
    uint8_t tag;
    uint64_t count;
    if (!take_tag(cursor, &tag)) {
        return false;
    }
    if ((tag & 0xf0) == 0x90) {
        count = tag & 0x0f;
    } else if ((tag != MP_ARRAY16 && tag != MP_ARRAY32) ||
               !take_big_endian(cursor, tag == MP_ARRAY16 ? 2 : 4, &count)) {
        return false;
    }
    if (count > cursor_left(cursor) / item_bytes) {
        return false;
    }
    *ret_count = (size_t)count;
    return true;
}

static bool take_fields(struct cursor *cursor, size_t expected)
{
    size_t count;
    return take_count(cursor, 1, &count) && count == expected;
}

static bool take_span(struct cursor *cursor, size_t size_bytes, const uint8_t **ret_bytes)
{
    if (cursor_left(cursor) < size_bytes) {
        return false;
    }
    *ret_bytes = cursor->at;
    cursor->at += size_bytes;
    return true;
}

static bool take_bin(struct cursor *cursor, const uint8_t **ret_bytes, size_t *ret_size)
{
    uint8_t tag;
    uint64_t size;
    if (!take_tag(cursor, &tag) || tag < MP_BIN8 || tag > MP_BIN32 ||
        !take_big_endian(cursor, (size_t)1 << (tag - MP_BIN8), &size) ||
        !take_span(cursor, size, ret_bytes)) {
        return false;
    }
    *ret_size = (size_t)size;
    return true;
}

static bool take_fixed_bytes(struct cursor *cursor, uint8_t *ret_bytes, size_t size_bytes)
{
    const uint8_t *bytes;
    size_t size;
    if (!take_bin(cursor, &bytes, &size) || size != size_bytes) {
        return false;
    }
    memcpy(ret_bytes, bytes, size_bytes);
    return true;
}

/* Into a text field of a record, which is all zeros before. */
static bool take_text(struct cursor *cursor, char *ret_text, size_t field_bytes)
{
    uint8_t tag;
    uint64_t length;
    const uint8_t *bytes;
    if (!take_tag(cursor, &tag)) {
        return false;
    }
    if ((tag & 0xe0) == 0xa0) {
        length = tag & 0x1f;
    } else if (tag < MP_STR8 || tag > MP_STR32 ||
               !take_big_endian(cursor, (size_t)1 << (tag - MP_STR8), &length)) {
        return false;
    }
    if (length >= field_bytes || !take_span(cursor, length, &bytes) ||
        memchr(bytes, 0, length) != NULL) {
        return false;
    }
    memcpy(ret_text, bytes, length);
    return true;
}

static bool take_name(struct cursor *cursor, char ret_name[PARTICIPANT_NAME_SIZE])
{
    return take_text(cursor, ret_name, PARTICIPANT_NAME_SIZE) && participant_name_valid(ret_name);
}

static bool take_blob(struct cursor *cursor, struct blob **ret_blob)
{
    const uint8_t *bytes;
    size_t size;
    if (take_nil(cursor)) {
        *ret_blob = NULL;
        return true;
    }
    if (!take_bin(cursor, &bytes, &size)) {
        return false;
    }
    *ret_blob = blob_new(bytes, size);
    return true;
}

static bool take_key(struct cursor *cursor, char ret_key[KEY_MAX_BYTES + 1], size_t *ret_key_bytes)
{
    const uint8_t *bytes;
    size_t size;
    if (take_nil(cursor)) {
        *ret_key_bytes = 0;
        return true;
    }
    if (!take_bin(cursor, &bytes, &size) || size == 0 || size > KEY_MAX_BYTES) {
        return false;
    }
    memcpy(ret_key, bytes, size);
    *ret_key_bytes = size;
    return true;
}

static bool take_gtrid(struct cursor *cursor, struct gtrid *ret_gtrid)
{
    return take_fields(cursor, 4) &&
           take_fixed_bytes(cursor, ret_gtrid->journal.bytes, JOURNAL_ID_BYTES) &&
           take_u64(cursor, &ret_gtrid->epoch) && take_u64(cursor, &ret_gtrid->epoch_nonce) &&
           take_u64(cursor, &ret_gtrid->sequence);
}

static bool take_proof(struct cursor *cursor, struct proof *ret_proof)
{
    uint64_t kind;
    if (take_nil(cursor)) {
        return true; /* PROOF_NONE, all zeros */
    }
    if (!take_fields(cursor, 6) || !take_uint(cursor, PROOF_EXTERNAL, &kind) ||
        kind == PROOF_NONE || !take_u32(cursor, &ret_proof->timeline) ||
        !take_u32(cursor, &ret_proof->database_oid) || !take_u64(cursor, &ret_proof->xid8) ||
        !take_u64(cursor, &ret_proof->system_id) || !take_u64(cursor, &ret_proof->lsn)) {
        return false;
    }
    ret_proof->kind = (enum proof_kind)kind;
    return true;
}

static bool take_branch(struct cursor *cursor, const struct gtrid *gtrid,
                        struct record_branch *ret_branch)
{
    ret_branch->gid.gtrid = *gtrid;
    return take_fields(cursor, 5) && take_name(cursor, ret_branch->gid.participant) &&
           take_u64(cursor, &ret_branch->gid.attempt) && take_proof(cursor, &ret_branch->proof) &&
           take_bool(cursor, &ret_branch->read_only) && take_blob(cursor, &ret_branch->results);
}

/* A branch takes at least: its array, a name of two bytes, attempt, proof, flag, results. */
#define BRANCH_MIN_BYTES 7
#define NAME_MIN_BYTES   2
#define EPOCH_MIN_BYTES  3

static bool take_queue(struct cursor *cursor, char ret_queue[QUEUE_NAME_SIZE])
{
    return take_text(cursor, ret_queue, QUEUE_NAME_SIZE) &&
           (ret_queue[0] == 0 || queue_name_valid(ret_queue));
}

static bool take_request(struct cursor *cursor, struct record_request *ret_request)
{
    return take_fields(cursor, 4) && take_gtrid(cursor, &ret_request->id) &&
           take_queue(cursor, ret_request->queue) && take_u32(cursor, &ret_request->attempts) &&
           take_u64(cursor, &ret_request->accepted_wall_ms);
}

static bool take_branches(struct cursor *cursor, struct record_commit *ret_commit)
{
    size_t count;
    if (!take_count(cursor, BRANCH_MIN_BYTES, &count)) {
        return false;
    }
    if (count == 0) {
        return true;
    }
    ret_commit->branches = alloc_array(count, sizeof *ret_commit->branches);
    for (size_t i = 0; i < count; i++) {
        ret_commit->branch_count = i + 1; /* record_done then releases what this one took */
        if (!take_branch(cursor, &ret_commit->gtrid, &ret_commit->branches[i])) {
            return false;
        }
    }
    return true;
}

static bool take_commit(struct cursor *cursor, struct record_commit *ret_commit)
{
    size_t fields;
    if (!take_count(cursor, 1, &fields) || (fields != 5 && fields != 6) ||
        !take_gtrid(cursor, &ret_commit->gtrid) || !take_u64(cursor, &ret_commit->wall_ms) ||
        !take_key(cursor, ret_commit->key, &ret_commit->key_bytes) ||
        !take_fixed_bytes(cursor, ret_commit->body_hash, BODY_HASH_BYTES) ||
        !take_branches(cursor, ret_commit)) {
        return false;
    }
    ret_commit->has_request = fields == 6;
    return fields == 5 || take_request(cursor, &ret_commit->request);
}

static bool take_epoch(struct cursor *cursor, struct record_epoch *ret_epoch)
{
    size_t count;
    if (!take_fields(cursor, 3) || !take_u64(cursor, &ret_epoch->epoch) ||
        !take_u64(cursor, &ret_epoch->nonce) || !take_count(cursor, NAME_MIN_BYTES, &count)) {
        return false;
    }
    if (count == 0) {
        return true;
    }
    ret_epoch->participants = alloc_array(count, PARTICIPANT_NAME_SIZE);
    ret_epoch->participant_count = count;
    for (size_t i = 0; i < count; i++) {
        if (!take_name(cursor, ret_epoch->participants[i])) {
            return false;
        }
    }
    return true;
}

static bool take_floor(struct cursor *cursor, struct record_floor *ret_floor)
{
    size_t count;
    if (!take_fields(cursor, 5) || !take_u64(cursor, &ret_floor->floor.epoch) ||
        !take_u64(cursor, &ret_floor->floor.sequence) ||
        !take_u64(cursor, &ret_floor->floor.first_number) ||
        !take_u64(cursor, &ret_floor->running_ms) || !take_count(cursor, EPOCH_MIN_BYTES, &count)) {
        return false;
    }
    if (count == 0) {
        return true;
    }
    ret_floor->epochs = alloc_array(count, sizeof *ret_floor->epochs);
    ret_floor->epoch_count = count;
    for (size_t i = 0; i < count; i++) {
        if (!take_fields(cursor, 2) || !take_u64(cursor, &ret_floor->epochs[i].epoch) ||
            !take_u64(cursor, &ret_floor->epochs[i].nonce)) {
            return false;
        }
    }
    return true;
}

static bool take_end(struct cursor *cursor, struct record_end *ret_end)
{
    return take_fields(cursor, 3) && take_gtrid(cursor, &ret_end->gtrid) &&
           take_u64(cursor, &ret_end->wall_ms) && take_u64(cursor, &ret_end->running_ms);
}

static bool take_accept_branch(struct cursor *cursor, struct record_accept_branch *ret_branch)
{
    uint64_t isolation;
    if (!take_fields(cursor, 4) || !take_name(cursor, ret_branch->participant) ||
        !take_uint(cursor, ISOLATION_SERIALIZABLE, &isolation) ||
        !take_bool(cursor, &ret_branch->read_only) || !take_blob(cursor, &ret_branch->work)) {
        return false;
    }
    ret_branch->isolation = (enum isolation)isolation;
    return true;
}

/* At least: the array, a name of two bytes, isolation, flag, work. */
#define ACCEPT_BRANCH_MIN_BYTES 6

static bool take_accept(struct cursor *cursor, struct record_accept *ret_accept)
{
    size_t count;
    if (!take_fields(cursor, 7) || !take_gtrid(cursor, &ret_accept->gtrid) ||
        !take_u64(cursor, &ret_accept->wall_ms) ||
        !take_key(cursor, ret_accept->key, &ret_accept->key_bytes) ||
        !take_fixed_bytes(cursor, ret_accept->body_hash, BODY_HASH_BYTES) ||
        !take_queue(cursor, ret_accept->queue) || !take_u32(cursor, &ret_accept->timeout_ms) ||
        !take_count(cursor, ACCEPT_BRANCH_MIN_BYTES, &count)) {
        return false;
    }
    if (count == 0) {
        return true;
    }
    ret_accept->branches = alloc_array(count, sizeof *ret_accept->branches);
    for (size_t i = 0; i < count; i++) {
        ret_accept->branch_count = i + 1; /* record_done then releases what this one took */
        if (!take_accept_branch(cursor, &ret_accept->branches[i])) {
            return false;
        }
    }
    return true;
}

/* A name, or nothing. */
static bool take_some_name(struct cursor *cursor, char ret_name[PARTICIPANT_NAME_SIZE])
{
    return take_text(cursor, ret_name, PARTICIPANT_NAME_SIZE) &&
           (ret_name[0] == 0 || participant_name_valid(ret_name));
}

static bool take_refused(struct cursor *cursor, struct record_refused *ret_refused)
{
    uint64_t reason;
    if (!take_fields(cursor, 8) || !take_gtrid(cursor, &ret_refused->gtrid) ||
        !take_u64(cursor, &ret_refused->wall_ms) || !take_u32(cursor, &ret_refused->attempts) ||
        !take_some_name(cursor, ret_refused->participant) ||
        !take_uint(cursor, REASON_COUNT - 1, &reason) ||
        !take_text(cursor, ret_refused->failure.sqlstate, SQLSTATE_SIZE)) {
        return false;
    }
    ret_refused->failure.reason = (enum reason)reason;
    return take_blob(cursor, &ret_refused->failure.report) &&
           take_text(cursor, ret_refused->text, sizeof ret_refused->text);
}

static bool take_requeued(struct cursor *cursor, struct record_requeued *ret_requeued)
{
    return take_fields(cursor, 4) && take_gtrid(cursor, &ret_requeued->gtrid) &&
           take_u64(cursor, &ret_requeued->wall_ms) && take_u64(cursor, &ret_requeued->epoch) &&
           take_u64(cursor, &ret_requeued->sequence);
}

static bool take_dropped(struct cursor *cursor, struct record_dropped *ret_dropped)
{
    return take_fields(cursor, 6) && take_gtrid(cursor, &ret_dropped->gtrid) &&
           take_u64(cursor, &ret_dropped->wall_ms) && take_u64(cursor, &ret_dropped->running_ms) &&
           take_queue(cursor, ret_dropped->queue) && take_u32(cursor, &ret_dropped->attempts) &&
           take_text(cursor, ret_dropped->comment, sizeof ret_dropped->comment);
}

static bool take_heuristic(struct cursor *cursor, struct record_heuristic *ret_heuristic)
{
    uint64_t ack;
    if (!take_fields(cursor, 6) || !take_gtrid(cursor, &ret_heuristic->gid.gtrid) ||
        !take_name(cursor, ret_heuristic->gid.participant) ||
        !take_u64(cursor, &ret_heuristic->gid.attempt) || !take_uint(cursor, ACK_HAZARD, &ack) ||
        ack < ACK_COMMITTED || !take_u64(cursor, &ret_heuristic->wall_ms)) {
        return false;
    }
    ret_heuristic->ack = (enum ack)ack;
    return take_text(cursor, ret_heuristic->detail, sizeof ret_heuristic->detail);
}

static bool take_resolved(struct cursor *cursor, struct record_resolved *ret_resolved)
{
    uint64_t action;
    if (!take_fields(cursor, 5) || !take_gtrid(cursor, &ret_resolved->gtrid) ||
        !take_some_name(cursor, ret_resolved->participant) ||
        !take_uint(cursor, RESOLVE_FORGET, &action) || action < RESOLVE_COMMIT ||
        !take_u64(cursor, &ret_resolved->wall_ms)) {
        return false;
    }
    ret_resolved->action = (enum resolve_action)action;
    return take_text(cursor, ret_resolved->comment, sizeof ret_resolved->comment);
}

static bool take_release(struct cursor *cursor, struct record_release *ret_release)
{
    return take_fields(cursor, 3) && take_name(cursor, ret_release->participant) &&
           take_u64(cursor, &ret_release->wall_ms) &&
           take_text(cursor, ret_release->comment, sizeof ret_release->comment);
}

static bool take_adopt(struct cursor *cursor, struct record_adopt *ret_adopt)
{
    return take_fields(cursor, 2) && take_u64(cursor, &ret_adopt->wall_ms) &&
           take_text(cursor, ret_adopt->comment, sizeof ret_adopt->comment);
}

static bool take_body(struct cursor *cursor, struct record *record)
{
    switch (record->kind) {
    case RECORD_EPOCH:
        return take_epoch(cursor, &record->as.epoch);
    case RECORD_COMMIT:
        return take_commit(cursor, &record->as.commit);
    case RECORD_END:
        return take_end(cursor, &record->as.end);
    case RECORD_ACCEPT:
        return take_accept(cursor, &record->as.accept);
    case RECORD_REFUSED:
        return take_refused(cursor, &record->as.refused);
    case RECORD_HEURISTIC:
        return take_heuristic(cursor, &record->as.heuristic);
    case RECORD_RESOLVED:
        return take_resolved(cursor, &record->as.resolved);
    case RECORD_FLOOR:
        return take_floor(cursor, &record->as.floor);
    case RECORD_RELEASE:
        return take_release(cursor, &record->as.release);
    case RECORD_ADOPT:
        return take_adopt(cursor, &record->as.adopt);
    case RECORD_REQUEUED:
        return take_requeued(cursor, &record->as.requeued);
    case RECORD_DROPPED:
        return take_dropped(cursor, &record->as.dropped);
    }
    return false; /* record_decode has refused unknown kinds */
}

bool record_decode(enum record_kind kind, const uint8_t *bytes, size_t size_bytes,
                   struct record *ret_record, struct error *ret_error)
{
    if ((int)kind < RECORD_EPOCH || (int)kind > RECORD_DROPPED) {
        return error_set(ret_error, ERROR_VERSION, "unknown record kind %d", (int)kind);
    }
    struct record record = {.kind = kind};
    struct cursor cursor = {.at = bytes, .end = bytes + size_bytes};
    if (!take_body(&cursor, &record) || cursor.at != cursor.end) {
        record_done(&record);
        return error_set(ret_error, ERROR_INVALID, "malformed body of a %s record, near byte %zu",
                         record_kind_text(kind), (size_t)(cursor.at - bytes));
    }
    *ret_record = record;
    return true;
}
