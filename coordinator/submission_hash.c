/* submission_hash.c - see submission_hash.h. */
#include "coordinator/submission_hash.h"

#include <sodium.h>
#include <string.h>

#include "common/check.h"

static const char hash_prefix[] = "assent submission 1";

static void hash_u32(crypto_hash_sha256_state *state, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                              (uint8_t)value};
    crypto_hash_sha256_update(state, bytes, sizeof bytes);
}

/* Lengths go in front of everything variable, so that no two different submissions share a byte
 * form. */
static void hash_bytes(crypto_hash_sha256_state *state, const void *bytes, size_t size_bytes)
{
    CHECK(size_bytes <= UINT32_MAX);
    hash_u32(state, (uint32_t)size_bytes);
    crypto_hash_sha256_update(state, bytes, size_bytes);
}

void submission_hash(const struct submission *submission, uint8_t ret_hash[BODY_HASH_BYTES])
{
    _Static_assert(BODY_HASH_BYTES == crypto_hash_sha256_BYTES, "the body hash is a SHA-256");
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    hash_bytes(&state, hash_prefix, sizeof hash_prefix - 1);
    CHECK(submission->branch_count <= UINT32_MAX);
    hash_u32(&state, (uint32_t)submission->branch_count);
    for (size_t i = 0; i < submission->branch_count; i++) {
        const struct submission_branch *branch = &submission->branches[i];
        CHECK(branch->work != NULL);
        hash_bytes(&state, branch->participant, strlen(branch->participant));
        const uint8_t modes[2] = {(uint8_t)branch->isolation, branch->read_only ? 1 : 0};
        crypto_hash_sha256_update(&state, modes, sizeof modes);
        hash_bytes(&state, branch->work->bytes, branch->work->size_bytes);
    }
    crypto_hash_sha256_final(&state, ret_hash);
}

void submission_hash_statement(struct interactive_statement *statement)
{
    struct submission_branch branch = {.isolation = statement->isolation,
                                       .read_only = statement->read_only,
                                       .work = statement->work};
    memcpy(branch.participant, statement->participant, sizeof branch.participant);
    const struct submission submission = {.branch_count = 1, .branches = &branch};
    submission_hash(&submission, statement->hash);
}
