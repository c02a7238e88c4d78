/*
 * codec_fields.c - the tables behind the codec.
 */
#include "common/codec_fields.h"

#define AT(member)      (uint16_t) offsetof(struct message, as.member)
#define SIZE_OF(member) (uint16_t)(sizeof((struct message *)NULL)->as.member)

#define PLAIN(number, kind, member)                                                                \
    {                                                                                              \
        .key = number, .type = kind, .offset = AT(member)                                          \
    }
#define OPTIONAL(number, kind, member)                                                             \
    {                                                                                              \
        .key = number, .type = kind, .presence = FIELD_OPTIONAL, .offset = AT(member)              \
    }
#define TEXT(number, member)                                                                       \
    {                                                                                              \
        .key = number, .type = FIELD_TEXT, .presence = FIELD_OPTIONAL, .offset = AT(member),       \
        .size = SIZE_OF(member)                                                                    \
    }
#define CHOICE(number, member, lowest, highest)                                                    \
    {                                                                                              \
        .key = number, .type = FIELD_ENUM, .offset = AT(member), .min = lowest, .max = highest     \
    }

static const struct field claim_fields[] = {
    PLAIN(1, FIELD_U64, claim.epoch), PLAIN(2, FIELD_U64, claim.epoch_nonce),
    PLAIN(3, FIELD_HEAD, claim.head), PLAIN(4, FIELD_FLOOR, claim.floor),
    TEXT(5, claim.address),
};

static const struct field work_fields[] = {
    PLAIN(1, FIELD_GTRID, work.gtrid),
    PLAIN(2, FIELD_U64, work.remaining_ms),
    CHOICE(3, work.isolation, ISOLATION_READ_COMMITTED, ISOLATION_SERIALIZABLE),
    PLAIN(4, FIELD_BOOL, work.read_only),
    PLAIN(5, FIELD_BLOB, work.work),
};

static const struct field commit_fields[] = {
    PLAIN(1, FIELD_GID, commit.gid),
    OPTIONAL(2, FIELD_PROOF, commit.proof),
};

static const struct field rollback_fields[] = {
    PLAIN(1, FIELD_GTRID, rollback.gtrid),
    {.key = 2,
     .type = FIELD_GID,
     .presence = FIELD_OPTIONAL,
     .offset = AT(rollback.gid),
     .flag_offset = AT(rollback.has_gid)},
    OPTIONAL(3, FIELD_PROOF, rollback.proof),
};

static const struct field verdict_fields[] = {
    PLAIN(1, FIELD_GID, verdict.gid),
    CHOICE(2, verdict.verdict, VERDICT_COMMIT, VERDICT_NOTED),
    OPTIONAL(3, FIELD_PROOF, verdict.proof),
};

static const struct field head_fields[] = {
    PLAIN(1, FIELD_HEAD, head.head),
    PLAIN(2, FIELD_FLOOR, head.floor),
};

static const struct field audit_fields[] = {
    PLAIN(1, FIELD_U64, audit.serial),
    PLAIN(2, FIELD_AUDIT, audit.list),
};

static const struct field audited_fields[] = {
    PLAIN(1, FIELD_U64, audited.serial),
    PLAIN(2, FIELD_BLOB, audited.findings),
};

static const struct field statement_fields[] = {
    PLAIN(1, FIELD_GTRID, statement.gtrid),
    OPTIONAL(2, FIELD_U64, statement.attempt),
    PLAIN(3, FIELD_U64, statement.ordinal),
    PLAIN(4, FIELD_U64, statement.remaining_ms),
    CHOICE(5, statement.isolation, ISOLATION_READ_COMMITTED, ISOLATION_SERIALIZABLE),
    PLAIN(6, FIELD_BOOL, statement.read_only),
    PLAIN(7, FIELD_BLOB, statement.work),
};

static const struct field prepare_fields[] = {
    PLAIN(1, FIELD_GID, prepare.gid),
    PLAIN(2, FIELD_U64, prepare.count),
    PLAIN(3, FIELD_U64, prepare.remaining_ms),
};

static const struct field verify_fields[] = {
    PLAIN(1, FIELD_GID, verify.gid),
    PLAIN(2, FIELD_U64, verify.remaining_ms),
};

static const struct field answer_fields[] = {
    PLAIN(1, FIELD_GID, answer.gid),
    PLAIN(2, FIELD_U64, answer.ordinal),
    PLAIN(3, FIELD_BLOB, answer.results),
};

static const struct field witness_fields[] = {
    PLAIN(1, FIELD_U64, witness.epoch),
    PLAIN(2, FIELD_U64, witness.epoch_nonce),
    PLAIN(3, FIELD_HEAD, witness.head),
    PLAIN(4, FIELD_IDENTITY, witness.identity),
};

static const struct field welcome_fields[] = {
    PLAIN(1, FIELD_U64, welcome.epoch),
    PLAIN(2, FIELD_IDENTITY, welcome.identity),
    OPTIONAL(3, FIELD_U64, welcome.history),
};

static const struct field fenced_fields[] = {
    PLAIN(1, FIELD_U64, fenced.epoch),
    PLAIN(2, FIELD_U64, fenced.epoch_nonce),
};

static const struct field vote_fields[] = {
    PLAIN(1, FIELD_GID, vote.gid),
    CHOICE(2, vote.vote, VOTE_COMMIT, VOTE_UNKNOWN),
    OPTIONAL(3, FIELD_PROOF, vote.proof),
    OPTIONAL(4, FIELD_BLOB, vote.results),
    {.key = 5,
     .type = FIELD_ENUM,
     .presence = FIELD_OPTIONAL,
     .offset = AT(vote.failure.reason),
     .min = REASON_NONE,
     .max = REASON_COUNT - 1},
    TEXT(6, vote.failure.sqlstate),
    OPTIONAL(7, FIELD_BLOB, vote.failure.report),
    TEXT(8, vote.owner),
};

static const struct field ack_fields[] = {
    PLAIN(1, FIELD_GID, ack.gid),
    CHOICE(2, ack.ack, ACK_COMMITTED, ACK_HAZARD),
    TEXT(3, ack.detail),
};

static const struct field inquiry_fields[] = {
    PLAIN(1, FIELD_GID, inquiry.gid),
    PLAIN(2, FIELD_U64, inquiry.prepared_ms),
    OPTIONAL(3, FIELD_BOOL, inquiry.of_outcome),
};

static const struct field health_fields[] = {
    CHOICE(1, health.health, HEALTH_UP, HEALTH_REFUSED),
    PLAIN(2, FIELD_IDENTITY, health.identity),
    PLAIN(3, FIELD_U64, health.swept_number),
    PLAIN(4, FIELD_U32, health.prepared_count),
    PLAIN(5, FIELD_U32, health.foreign_count),
    PLAIN(6, FIELD_U64, health.oldest_prepared_ms),
    TEXT(7, health.text),
    PLAIN(8, FIELD_U32, health.misplaced_count),
};

#define LIST(table)                                                                                \
    (struct field_list)                                                                            \
    {                                                                                              \
        (table), sizeof(table) / sizeof *(table)                                                   \
    }

struct field_list fields_of(enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_CLAIM:
        return LIST(claim_fields);
    case MESSAGE_WORK:
        return LIST(work_fields);
    case MESSAGE_COMMIT:
        return LIST(commit_fields);
    case MESSAGE_ROLLBACK:
        return LIST(rollback_fields);
    case MESSAGE_VERDICT:
        return LIST(verdict_fields);
    case MESSAGE_HEAD:
        return LIST(head_fields);
    case MESSAGE_AUDIT:
        return LIST(audit_fields);
    case MESSAGE_STATEMENT:
        return LIST(statement_fields);
    case MESSAGE_PREPARE:
        return LIST(prepare_fields);
    case MESSAGE_VERIFY:
        return LIST(verify_fields);
    case MESSAGE_WITNESS:
        return LIST(witness_fields);
    case MESSAGE_WELCOME:
        return LIST(welcome_fields);
    case MESSAGE_FENCED:
        return LIST(fenced_fields);
    case MESSAGE_VOTE:
        return LIST(vote_fields);
    case MESSAGE_ACK:
        return LIST(ack_fields);
    case MESSAGE_INQUIRY:
        return LIST(inquiry_fields);
    case MESSAGE_HEALTH:
        return LIST(health_fields);
    case MESSAGE_AUDITED:
        return LIST(audited_fields);
    case MESSAGE_ANSWER:
        return LIST(answer_fields);
    }
    return (struct field_list){0}; /* the number came from outside: the caller refuses it */
}
