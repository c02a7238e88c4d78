/*
 * record_codec.c - writes record bodies with msgpack-c's packer; record_decode.c reads them. Every body is one
 * array with a fixed number of fields per kind (docs/JOURNAL.md lists them).
 */
#include <msgpack/pack.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "recovery/record_codec.h"

static int buffer_write(void *user, const char *bytes, size_t size_bytes)
{
    struct record_buffer *buffer = user;
    CHECK(size_bytes <= SIZE_MAX / 2 - buffer->size_bytes);
    size_t needed = buffer->size_bytes + size_bytes;
    if (needed > buffer->capacity_bytes) {
        size_t capacity = buffer->capacity_bytes == 0 ? 512 : buffer->capacity_bytes;
        while (capacity < needed) {
            capacity *= 2;
        }
        buffer->bytes = alloc_resize(buffer->bytes, capacity, 1);
        buffer->capacity_bytes = capacity;
    }
    if (size_bytes > 0) {
        memcpy(buffer->bytes + buffer->size_bytes, bytes, size_bytes);
    }
    buffer->size_bytes = needed;
    return 0;
}

void record_buffer_done(struct record_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct record_buffer){0};
}

static void put_uint(msgpack_packer *packer, uint64_t value)
{
    (void)msgpack_pack_uint64(packer, value);
}

static void put_array(msgpack_packer *packer, size_t count)
{
    (void)msgpack_pack_array(packer, count);
}

static void put_bytes(msgpack_packer *packer, const void *bytes, size_t size_bytes)
{
    (void)msgpack_pack_bin(packer, size_bytes);
    (void)msgpack_pack_bin_body(packer, bytes, size_bytes);
}

static void put_text(msgpack_packer *packer, const char *text, size_t field_bytes)
{
    size_t length = strnlen(text, field_bytes);
    CHECK(length < field_bytes); /* the final NUL is inside the field */
    (void)msgpack_pack_str(packer, length);
    (void)msgpack_pack_str_body(packer, text, length);
}

static void put_name(msgpack_packer *packer, const char *name)
{
    CHECK(participant_name_valid(name));
    put_text(packer, name, PARTICIPANT_NAME_SIZE);
}

static void put_blob(msgpack_packer *packer, const struct blob *blob)
{
    if (blob == NULL) {
        (void)msgpack_pack_nil(packer);
    } else {
        put_bytes(packer, blob->bytes, blob->size_bytes);
    }
}

static void put_key(msgpack_packer *packer, const char *key, size_t key_bytes)
{
    CHECK(key_bytes <= KEY_MAX_BYTES);
    if (key_bytes == 0) {
        (void)msgpack_pack_nil(packer);
    } else {
        put_bytes(packer, key, key_bytes);
    }
}

static void put_gtrid(msgpack_packer *packer, const struct gtrid *gtrid)
{
    put_array(packer, 4);
    put_bytes(packer, gtrid->journal.bytes, JOURNAL_ID_BYTES);
    put_uint(packer, gtrid->epoch);
    put_uint(packer, gtrid->epoch_nonce);
    put_uint(packer, gtrid->sequence);
}

static void put_proof(msgpack_packer *packer, const struct proof *proof)
{
    if (proof->kind == PROOF_NONE) {
        (void)msgpack_pack_nil(packer);
        return;
    }
    put_array(packer, 6);
    put_uint(packer, (uint64_t)proof->kind);
    put_uint(packer, proof->timeline);
    put_uint(packer, proof->database_oid);
    put_uint(packer, proof->xid8);
    put_uint(packer, proof->system_id);
    put_uint(packer, proof->lsn);
}

static void put_epoch(msgpack_packer *packer, const struct record_epoch *epoch)
{
    put_array(packer, 3);
    put_uint(packer, epoch->epoch);
    put_uint(packer, epoch->nonce);
    put_array(packer, epoch->participant_count);
    for (size_t i = 0; i < epoch->participant_count; i++) {
        put_name(packer, epoch->participants[i]);
    }
}

static void put_floor(msgpack_packer *packer, const struct record_floor *floor)
{
    put_array(packer, 5);
    put_uint(packer, floor->floor.epoch);
    put_uint(packer, floor->floor.sequence);
    put_uint(packer, floor->floor.first_number);
    put_uint(packer, floor->running_ms);
    put_array(packer, floor->epoch_count);
    for (size_t i = 0; i < floor->epoch_count; i++) {
        put_array(packer, 2);
        put_uint(packer, floor->epochs[i].epoch);
        put_uint(packer, floor->epochs[i].nonce);
    }
}

static void put_heuristic(msgpack_packer *packer, const struct record_heuristic *heuristic)
{
    put_array(packer, 6);
    put_gtrid(packer, &heuristic->gid.gtrid);
    put_name(packer, heuristic->gid.participant);
    put_uint(packer, heuristic->gid.attempt);
    put_uint(packer, (uint64_t)heuristic->ack);
    put_uint(packer, heuristic->wall_ms);
    put_text(packer, heuristic->detail, sizeof heuristic->detail);
}

static void put_refused(msgpack_packer *packer, const struct record_refused *refused)
{
    put_array(packer, 8);
    put_gtrid(packer, &refused->gtrid);
    put_uint(packer, refused->wall_ms);
    put_uint(packer, refused->attempts);
    put_text(packer, refused->participant, PARTICIPANT_NAME_SIZE); /* empty: not one alone */
    put_uint(packer, (uint64_t)refused->failure.reason);
    put_text(packer, refused->failure.sqlstate, SQLSTATE_SIZE);
    put_blob(packer, refused->failure.report);
    put_text(packer, refused->text, sizeof refused->text);
}

static void put_queue(msgpack_packer *packer, const char *queue)
{
    CHECK(queue[0] == 0 || queue_name_valid(queue));
    put_text(packer, queue, QUEUE_NAME_SIZE);
}

static void put_accept(msgpack_packer *packer, const struct record_accept *accept)
{
    put_array(packer, 7);
    put_gtrid(packer, &accept->gtrid);
    put_uint(packer, accept->wall_ms);
    put_key(packer, accept->key, accept->key_bytes);
    put_bytes(packer, accept->body_hash, BODY_HASH_BYTES);
    put_queue(packer, accept->queue);
    put_uint(packer, accept->timeout_ms);
    put_array(packer, accept->branch_count);
    for (size_t i = 0; i < accept->branch_count; i++) {
        const struct record_accept_branch *branch = &accept->branches[i];
        put_array(packer, 4);
        put_name(packer, branch->participant);
        put_uint(packer, (uint64_t)branch->isolation);
        (void)(branch->read_only ? msgpack_pack_true(packer) : msgpack_pack_false(packer));
        put_blob(packer, branch->work);
    }
}

static void put_requeued(msgpack_packer *packer, const struct record_requeued *requeued)
{
    put_array(packer, 4);
    put_gtrid(packer, &requeued->gtrid);
    put_uint(packer, requeued->wall_ms);
    put_uint(packer, requeued->epoch);
    put_uint(packer, requeued->sequence);
}

static void put_dropped(msgpack_packer *packer, const struct record_dropped *dropped)
{
    put_array(packer, 6);
    put_gtrid(packer, &dropped->gtrid);
    put_uint(packer, dropped->wall_ms);
    put_uint(packer, dropped->running_ms);
    put_queue(packer, dropped->queue);
    put_uint(packer, dropped->attempts);
    put_text(packer, dropped->comment, sizeof dropped->comment);
}

/* The sixth field of a COMMIT. */
static void put_request(msgpack_packer *packer, const struct record_request *request)
{
    put_array(packer, 4);
    put_gtrid(packer, &request->id);
    put_queue(packer, request->queue);
    put_uint(packer, request->attempts);
    put_uint(packer, request->accepted_wall_ms);
}

static void put_commit(msgpack_packer *packer, const struct record_commit *commit)
{
    put_array(packer, commit->has_request ? 6 : 5);
    put_gtrid(packer, &commit->gtrid);
    put_uint(packer, commit->wall_ms);
    put_key(packer, commit->key, commit->key_bytes);
    put_bytes(packer, commit->body_hash, BODY_HASH_BYTES);
    put_array(packer, commit->branch_count);
    for (size_t i = 0; i < commit->branch_count; i++) {
        const struct record_branch *branch = &commit->branches[i];
        /* The gtrid stands once in the body; a branch of another one would be a mix-up in the core. */
        CHECK(gtrid_equal(&branch->gid.gtrid, &commit->gtrid));
        put_array(packer, 5);
        put_name(packer, branch->gid.participant);
        put_uint(packer, branch->gid.attempt);
        put_proof(packer, &branch->proof);
        (void)(branch->read_only ? msgpack_pack_true(packer) : msgpack_pack_false(packer));
        put_blob(packer, branch->results);
    }
    if (commit->has_request) {
        put_request(packer, &commit->request);
    }
}

static void put_resolved(msgpack_packer *packer, const struct record_resolved *resolved)
{
    put_array(packer, 5);
    put_gtrid(packer, &resolved->gtrid);
    put_text(packer, resolved->participant,
             PARTICIPANT_NAME_SIZE); /* empty: the whole transaction */
    put_uint(packer, (uint64_t)resolved->action);
    put_uint(packer, resolved->wall_ms);
    put_text(packer, resolved->comment, sizeof resolved->comment);
}

void record_encode(const struct record *record, struct record_buffer *buffer)
{
    msgpack_packer packer;
    buffer->size_bytes = 0;
    msgpack_packer_init(&packer, buffer, buffer_write);
    switch (record->kind) {
    case RECORD_EPOCH:
        put_epoch(&packer, &record->as.epoch);
        return;
    case RECORD_COMMIT:
        put_commit(&packer, &record->as.commit);
        return;
    case RECORD_END:
        put_array(&packer, 3);
        put_gtrid(&packer, &record->as.end.gtrid);
        put_uint(&packer, record->as.end.wall_ms);
        put_uint(&packer, record->as.end.running_ms);
        return;
    case RECORD_ACCEPT:
        put_accept(&packer, &record->as.accept);
        return;
    case RECORD_REFUSED:
        put_refused(&packer, &record->as.refused);
        return;
    case RECORD_HEURISTIC:
        put_heuristic(&packer, &record->as.heuristic);
        return;
    case RECORD_RESOLVED:
        put_resolved(&packer, &record->as.resolved);
        return;
    case RECORD_FLOOR:
        put_floor(&packer, &record->as.floor);
        return;
    case RECORD_RELEASE:
        put_array(&packer, 3);
        put_name(&packer, record->as.release.participant);
        put_uint(&packer, record->as.release.wall_ms);
        put_text(&packer, record->as.release.comment, sizeof record->as.release.comment);
        return;
    case RECORD_ADOPT:
        put_array(&packer, 2);
        put_uint(&packer, record->as.adopt.wall_ms);
        put_text(&packer, record->as.adopt.comment, sizeof record->as.adopt.comment);
        return;
    case RECORD_REQUEUED:
        put_requeued(&packer, &record->as.requeued);
        return;
    case RECORD_DROPPED:
        put_dropped(&packer, &record->as.dropped);
        return;
    }
    CHECK(!"a record has a known kind");
}

bool record_gtrid(const struct record *record, struct gtrid *ret_gtrid)
{
    switch (record->kind) {
    case RECORD_COMMIT:
        *ret_gtrid = record->as.commit.gtrid;
        return true;
    case RECORD_END:
        *ret_gtrid = record->as.end.gtrid;
        return true;
    case RECORD_ACCEPT:
        *ret_gtrid = record->as.accept.gtrid;
        return true;
    case RECORD_REFUSED:
        *ret_gtrid = record->as.refused.gtrid;
        return true;
    case RECORD_HEURISTIC:
        *ret_gtrid = record->as.heuristic.gid.gtrid;
        return true;
    case RECORD_RESOLVED:
        *ret_gtrid = record->as.resolved.gtrid;
        return true;
    case RECORD_REQUEUED:
        *ret_gtrid = record->as.requeued.gtrid;
        return true;
    case RECORD_DROPPED:
        *ret_gtrid = record->as.dropped.gtrid;
        return true;
    case RECORD_EPOCH:
    case RECORD_FLOOR:
    case RECORD_RELEASE:
    case RECORD_ADOPT:
        return false;
    }
    return false;
}
