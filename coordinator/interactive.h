/*
 * interactive.h - what a client asks of an open transaction, checked and parsed, ready for the core (docs/adr/0014).
 *
 * As with submission.h the edges make these, and the core never sees JSON or msgpack; a statement is a blob of work.h that only the
 * agent opens.
 */
#ifndef ASSENT_COORDINATOR_INTERACTIVE_H
#define ASSENT_COORDINATOR_INTERACTIVE_H

#include "coordinator/submission.h"

struct interactive_statement {
    struct gtrid gtrid;
    char participant[PARTICIPANT_NAME_SIZE];
    bool
        has_mode; /* isolation and read_only were given: they count with the branch's first statement */
    enum isolation isolation;
    bool read_only;
    uint64_t
        seq; /* of the transaction's statements, from 1; 0: whatever is next, and not repeatable */
    uint8_t hash[BODY_HASH_BYTES]; /* over participant, mode, SQL, parameters and expect_rows */
    struct blob *work;             /* exactly one statement; owned */
};

/* The application prepares this participant's branch itself (docs/adr/0016). */
struct interactive_external {
    struct gtrid gtrid;
    char participant[PARTICIPANT_NAME_SIZE];
};

struct interactive_end {
    struct gtrid gtrid;
    bool commit; /* false: roll back */
    enum ack_mode ack;
    uint64_t statements; /* commit only if it has so many; 0: however many */
};

#endif
