/*
 * submission.h - a whole transaction as a client asks for it, checked and parsed, ready for the core.
 *
 * Made by the HTTP edge (JSON) and the client edge (msgpack); the core never sees either form. A branch's
 * statements are a blob (work.h) that only the agent opens again.
 */
#ifndef ASSENT_COORDINATOR_SUBMISSION_H
#define ASSENT_COORDINATOR_SUBMISSION_H

#include "recovery/record.h"

enum ack_mode { ACK_MODE_COMPLETED = 0, ACK_MODE_DECIDED };

struct submission_branch {
    char participant
        [PARTICIPANT_NAME_SIZE]; /* each name once in a submission (checked by the edge) */
    enum isolation isolation;
    bool read_only;
    struct blob *work; /* owned */
};

struct submission {
    size_t key_bytes; /* 0: no idempotency key */
    char key[KEY_MAX_BYTES + 1];
    /* SHA-256 over the parsed branches only: participant, isolation, read_only, statements with parameters
     * and expect_rows; not white space, member order, timeout_ms or ack (P-18). */
    uint8_t body_hash[BODY_HASH_BYTES];
    uint32_t timeout_ms; /* until the decision; the edge has applied default and maximum */
    enum ack_mode ack;
    bool is_async; /* accept durably, run later (docs/adr/0017) */
    char
        queue[QUEUE_NAME_SIZE]; /* is_async: in order with the others of this name; "": with none */
    size_t branch_count;        /* at least 1 */
    struct submission_branch *branches; /* owned */
};

void submission_done(struct submission *submission);

#endif
