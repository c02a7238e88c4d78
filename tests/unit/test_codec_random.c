/*
 * test_codec_random.c - see the header.
 */
#include "tests/unit/test_codec_random.h"

#include <string.h>

#include "common/alloc.h"
#include "common/check.h"

uint64_t random_next(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Numbers of every width. */
static uint64_t random_u64(uint64_t *seed)
{
    return random_next(seed) >> (random_next(seed) % 64);
}

static uint32_t random_u32(uint64_t *seed)
{
    return (uint32_t)random_u64(seed);
}

static unsigned random_between(uint64_t *seed, unsigned min, unsigned max)
{
    return min + (unsigned)(random_next(seed) % (max - min + 1));
}

static void random_bytes(uint64_t *seed, uint8_t *ret_bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        ret_bytes[i] = (uint8_t)random_next(seed);
    }
}

/* 0 to capacity - 1 bytes of one- to four-byte characters. */
static void random_text(uint64_t *seed, char *ret_text, size_t capacity_bytes)
{
    static const char *const characters[] = {
        "a", "Z", "\x7f", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x98"};
    size_t wanted = random_next(seed) % capacity_bytes, size_bytes = 0;
    for (;;) {
        const char *character = characters[random_next(seed) % 6];
        size_t more = strlen(character);
        if (size_bytes + more > wanted) {
            return;
        }
        memcpy(ret_text + size_bytes, character, more);
        size_bytes += more;
    }
}

static void random_name(uint64_t *seed, char ret_name[PARTICIPANT_NAME_SIZE])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t length = 1 + random_next(seed) % (PARTICIPANT_NAME_SIZE - 1);
    for (size_t i = 0; i < length; i++) {
        ret_name[i] = letters[random_next(seed) % (i == 0 ? 26 : sizeof letters - 1)];
    }
}

static void random_gtrid(uint64_t *seed, struct gtrid *ret_gtrid)
{
    random_bytes(seed, ret_gtrid->journal.bytes, JOURNAL_ID_BYTES);
    ret_gtrid->epoch = random_u64(seed);
    ret_gtrid->epoch_nonce = random_u64(seed);
    ret_gtrid->sequence = random_u64(seed);
}

static void random_gid(uint64_t *seed, struct gid *ret_gid)
{
    random_gtrid(seed, &ret_gid->gtrid);
    ret_gid->attempt = random_u64(seed);
    random_name(seed, ret_gid->participant);
}

static void random_proof(uint64_t *seed, struct proof *ret_proof)
{
    if (random_next(seed) % 4 == 0) {
        return;
    }
    ret_proof->kind = random_between(seed, PROOF_NONE, PROOF_EXTERNAL);
    ret_proof->timeline = random_u32(seed);
    ret_proof->database_oid = random_u32(seed);
    ret_proof->xid8 = random_u64(seed);
    ret_proof->system_id = random_u64(seed);
    ret_proof->lsn = random_u64(seed);
}

static void random_head(uint64_t *seed, struct journal_head *ret_head)
{
    ret_head->number = random_u64(seed);
    random_bytes(seed, ret_head->hash, HASH_BYTES);
}

static void random_floor(uint64_t *seed, struct journal_floor *ret_floor)
{
    ret_floor->epoch = random_u64(seed);
    ret_floor->sequence = random_u64(seed);
    ret_floor->first_number = random_u64(seed);
}

static void random_identity(uint64_t *seed, struct identity *ret_identity)
{
    ret_identity->system_id = random_u64(seed);
    ret_identity->timeline = random_u32(seed);
    ret_identity->database_oid = random_u32(seed);
    ret_identity->lsn = random_u64(seed);
    random_text(seed, ret_identity->database, sizeof ret_identity->database);
}

static struct blob *random_blob(uint64_t *seed)
{
    uint8_t bytes[700];
    size_t size_bytes = random_next(seed) % (sizeof bytes + 1);
    random_bytes(seed, bytes, size_bytes);
    return blob_new(bytes, size_bytes);
}

static void random_vote(uint64_t *seed, struct message_vote *vote)
{
    random_gid(seed, &vote->gid);
    vote->vote = random_between(seed, VOTE_COMMIT, VOTE_UNKNOWN);
    random_proof(seed, &vote->proof);
    vote->results = random_next(seed) % 2 ? random_blob(seed) : NULL;
    vote->failure.reason = random_between(seed, REASON_NONE, REASON_COUNT - 1);
    if (random_next(seed) % 2) {
        memcpy(vote->failure.sqlstate, "40P01", SQLSTATE_SIZE);
    }
    vote->failure.report = random_next(seed) % 2 ? random_blob(seed) : NULL;
    random_text(seed, vote->owner, sizeof vote->owner);
}

static void random_down(uint64_t *seed, struct message *message)
{
    switch (message->kind) {
    case MESSAGE_CLAIM:
        message->as.claim.epoch = random_u64(seed);
        message->as.claim.epoch_nonce = random_u64(seed);
        random_head(seed, &message->as.claim.head);
        random_floor(seed, &message->as.claim.floor);
        random_text(seed, message->as.claim.address, ADDRESS_SIZE);
        break;
    case MESSAGE_WORK:
        random_gtrid(seed, &message->as.work.gtrid);
        message->as.work.remaining_ms = random_u64(seed);
        message->as.work.isolation =
            random_between(seed, ISOLATION_READ_COMMITTED, ISOLATION_SERIALIZABLE);
        message->as.work.read_only = random_next(seed) % 2;
        message->as.work.work = random_blob(seed);
        break;
    case MESSAGE_COMMIT:
        random_gid(seed, &message->as.commit.gid);
        random_proof(seed, &message->as.commit.proof);
        break;
    case MESSAGE_ROLLBACK:
        random_gtrid(seed, &message->as.rollback.gtrid);
        message->as.rollback.has_gid = random_next(seed) % 2;
        if (message->as.rollback.has_gid) {
            random_gid(seed, &message->as.rollback.gid);
        }
        random_proof(seed, &message->as.rollback.proof);
        break;
    case MESSAGE_VERDICT:
        random_gid(seed, &message->as.verdict.gid);
        message->as.verdict.verdict = random_between(seed, VERDICT_COMMIT, VERDICT_UNKNOWN);
        random_proof(seed, &message->as.verdict.proof);
        break;
    case MESSAGE_HEAD:
        random_head(seed, &message->as.head.head);
        random_floor(seed, &message->as.head.floor);
        break;
    case MESSAGE_AUDIT:
        message->as.audit.serial = random_u64(seed);
        message->as.audit.list.count = random_between(seed, 1, 5);
        message->as.audit.list.items =
            alloc_array(message->as.audit.list.count, sizeof message->as.audit.list.items[0]);
        for (size_t i = 0; i < message->as.audit.list.count; i++) {
            random_gid(seed, &message->as.audit.list.items[i].gid);
            random_proof(seed, &message->as.audit.list.items[i].proof);
        }
        break;
    case MESSAGE_STATEMENT:
        random_gtrid(seed, &message->as.statement.gtrid);
        message->as.statement.attempt = random_next(seed) % 2 ? random_u64(seed) : 0;
        message->as.statement.ordinal = random_u64(seed);
        message->as.statement.remaining_ms = random_u64(seed);
        message->as.statement.isolation =
            random_between(seed, ISOLATION_READ_COMMITTED, ISOLATION_SERIALIZABLE);
        message->as.statement.read_only = random_next(seed) % 2;
        message->as.statement.work = random_blob(seed);
        break;
    case MESSAGE_PREPARE:
        random_gid(seed, &message->as.prepare.gid);
        message->as.prepare.count = random_u64(seed);
        message->as.prepare.remaining_ms = random_u64(seed);
        break;
    case MESSAGE_VERIFY:
        random_gid(seed, &message->as.verify.gid);
        message->as.verify.remaining_ms = random_u64(seed);
        break;
    default:
        CHECK(!"a kind that agents send");
    }
}

static void random_up(uint64_t *seed, struct message *message)
{
    switch (message->kind) {
    case MESSAGE_WITNESS:
        message->as.witness.epoch = random_u64(seed);
        message->as.witness.epoch_nonce = random_u64(seed);
        random_head(seed, &message->as.witness.head);
        random_identity(seed, &message->as.witness.identity);
        break;
    case MESSAGE_WELCOME:
        message->as.welcome.epoch = random_u64(seed);
        random_identity(seed, &message->as.welcome.identity);
        message->as.welcome.history = random_u64(seed);
        break;
    case MESSAGE_FENCED:
        message->as.fenced.epoch = random_u64(seed);
        message->as.fenced.epoch_nonce = random_u64(seed);
        break;
    case MESSAGE_VOTE:
        random_vote(seed, &message->as.vote);
        break;
    case MESSAGE_ACK:
        random_gid(seed, &message->as.ack.gid);
        message->as.ack.ack = random_between(seed, ACK_COMMITTED, ACK_HAZARD);
        random_text(seed, message->as.ack.detail, HEALTH_TEXT_SIZE);
        break;
    case MESSAGE_INQUIRY:
        random_gid(seed, &message->as.inquiry.gid);
        message->as.inquiry.prepared_ms = random_u64(seed);
        break;
    case MESSAGE_HEALTH:
        message->as.health.health = random_between(seed, HEALTH_UP, HEALTH_REFUSED);
        random_identity(seed, &message->as.health.identity);
        message->as.health.swept_number = random_u64(seed);
        message->as.health.prepared_count = random_u32(seed);
        message->as.health.foreign_count = random_u32(seed);
        message->as.health.misplaced_count = random_u32(seed);
        message->as.health.oldest_prepared_ms = random_u64(seed);
        random_text(seed, message->as.health.text, HEALTH_TEXT_SIZE);
        break;
    case MESSAGE_AUDITED:
        message->as.audited.serial = random_u64(seed);
        message->as.audited.findings = random_blob(seed);
        break;
    case MESSAGE_ANSWER:
        random_gid(seed, &message->as.answer.gid);
        message->as.answer.ordinal = random_u64(seed);
        message->as.answer.results = random_blob(seed);
        break;
    default:
        CHECK(!"a kind that coordinators send");
    }
}

enum message_kind random_kind(size_t index)
{
    static const enum message_kind kinds[RANDOM_KIND_COUNT] = {
        MESSAGE_CLAIM,     MESSAGE_WORK,    MESSAGE_COMMIT,  MESSAGE_ROLLBACK, MESSAGE_VERDICT,
        MESSAGE_HEAD,      MESSAGE_WITNESS, MESSAGE_WELCOME, MESSAGE_FENCED,   MESSAGE_VOTE,
        MESSAGE_ACK,       MESSAGE_INQUIRY, MESSAGE_HEALTH,  MESSAGE_AUDIT,    MESSAGE_AUDITED,
        MESSAGE_STATEMENT, MESSAGE_PREPARE, MESSAGE_ANSWER,  MESSAGE_VERIFY,
    };
    CHECK(index < RANDOM_KIND_COUNT);
    return kinds[index];
}

struct message random_message(uint64_t *seed, enum message_kind kind)
{
    struct message message;
    memset(&message, 0, sizeof message); /* with its padding: messages_equal compares bytes */
    message.kind = kind;
    if (kind < MESSAGE_WITNESS) {
        random_down(seed, &message);
    } else {
        random_up(seed, &message);
    }
    return message;
}

static void take_blobs(struct message *message, struct blob *ret_blobs[2])
{
    ret_blobs[0] = ret_blobs[1] = NULL;
    if (message->kind == MESSAGE_WORK) {
        ret_blobs[0] = message->as.work.work;
        message->as.work.work = NULL;
    } else if (message->kind == MESSAGE_AUDITED) {
        ret_blobs[0] = message->as.audited.findings;
        message->as.audited.findings = NULL;
    } else if (message->kind == MESSAGE_STATEMENT) {
        ret_blobs[0] = message->as.statement.work;
        message->as.statement.work = NULL;
    } else if (message->kind == MESSAGE_ANSWER) {
        ret_blobs[0] = message->as.answer.results;
        message->as.answer.results = NULL;
    } else if (message->kind == MESSAGE_VOTE) {
        ret_blobs[0] = message->as.vote.results;
        ret_blobs[1] = message->as.vote.failure.report;
        message->as.vote.results = NULL;
        message->as.vote.failure.report = NULL;
    }
}

bool messages_equal(const struct message *a, const struct message *b)
{
    /* Both sides were filled from zeros, padding included, so that bytes may be compared. */
    struct message x, y;
    struct blob *x_blobs[2], *y_blobs[2];
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    take_blobs(&x, x_blobs);
    take_blobs(&y, y_blobs);
    if (x.kind == MESSAGE_AUDIT && y.kind == MESSAGE_AUDIT) {
        const struct audit_list *left = &a->as.audit.list, *right = &b->as.audit.list;
        if (left->count != right->count ||
            memcmp(left->items, right->items, left->count * sizeof left->items[0]) != 0) { // NOLINT
            return false;
        }
        x.as.audit.list.items = y.as.audit.list.items = NULL;
    }
    return memcmp(&x, &y, sizeof x) == 0 && // NOLINT(bugprone-suspicious-memory-comparison,cert-*)
           blob_equal(x_blobs[0], y_blobs[0]) && blob_equal(x_blobs[1], y_blobs[1]);
}
