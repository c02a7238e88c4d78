/*
 * record.h - the journal's records (P-1), as values; record_codec turns them into bytes
 * (docs/JOURNAL.md).
 *
 * Pure: used by the coordinator's core, the journal backends and the tools. A record owns what it
 * points to.
 */
#ifndef ASSENT_RECOVERY_RECORD_H
#define ASSENT_RECOVERY_RECORD_H

#include "common/error.h"
#include "common/messages.h"

#define KEY_MAX_BYTES     255
#define BODY_HASH_BYTES   32
#define COMMENT_MAX_BYTES 1000

enum record_kind {
    RECORD_EPOCH = 1, /* forced at start, before any gtrid is given out */
    RECORD_COMMIT,  /* forced: the decision, with everything needed to finish and to answer again */
    RECORD_END,     /* lazy: every branch has acknowledged */
    RECORD_ACCEPT,  /* forced before a 202 */
    RECORD_REFUSED, /* forced before an accepted request's final abort is shown */
    RECORD_HEURISTIC, /* forced: a branch went the other way, or nobody can tell */
    RECORD_RESOLVED,  /* forced: what a person decided about a branch */
    RECORD_FLOOR,     /* forced by trimming */
    RECORD_RELEASE,   /* forced: an operator let a participant go (P-10, P-13) */
    RECORD_ADOPT,     /* forced: a marked copy was started knowingly */
    RECORD_REQUEUED,  /* forced: a refused request waits again, at the tail of its queue */
    RECORD_DROPPED,   /* forced: an accepted request will never run */
};

struct record_epoch {
    uint64_t epoch;
    uint64_t nonce;
    size_t participant_count;
    char (*participants)[PARTICIPANT_NAME_SIZE]; /* owned */
};

struct record_branch {
    struct gid gid; /* attempt 0 for a read-only branch, which needs no finishing */
    struct proof proof;
    bool read_only;
    struct blob *results; /* may be NULL; owned */
};

/* What a run's COMMIT says about the accepted request that it completes (docs/adr/0017). */
struct record_request {
    struct gtrid id;
    char queue[QUEUE_NAME_SIZE]; /* "": none */
    uint32_t attempts;
    uint64_t accepted_wall_ms;
};

struct record_commit {
    struct gtrid gtrid;
    uint64_t wall_ms; /* when decided, for display */
    bool has_request; /* of an accepted request: its ACCEPT is over with this record */
    struct record_request request;
    size_t key_bytes; /* 0: no key */
    char key[KEY_MAX_BYTES + 1];
    uint8_t body_hash[BODY_HASH_BYTES];
    size_t branch_count;
    struct record_branch *branches; /* owned */
};

struct record_end {
    struct gtrid gtrid;
    uint64_t wall_ms;
    uint64_t running_ms; /* accumulated running time of this journal's coordinator (P-13) */
};

struct record_heuristic {
    struct gid gid;
    enum ack ack; /* one of the heuristic ones or ACK_HAZARD */
    uint64_t wall_ms;
    char detail[HEALTH_TEXT_SIZE];
};

enum resolve_action { RESOLVE_COMMIT = 1, RESOLVE_ROLLBACK, RESOLVE_FORGET };

struct record_resolved {
    struct gtrid gtrid;
    char participant[PARTICIPANT_NAME_SIZE];
    enum resolve_action action;
    uint64_t wall_ms;
    char comment[COMMENT_MAX_BYTES + 1];
};

struct epoch_entry {
    uint64_t epoch;
    uint64_t nonce;
};

struct record_floor {
    struct journal_floor floor;
    uint64_t running_ms;
    size_t epoch_count;
    struct epoch_entry *epochs; /* every (epoch, nonce) still needed; owned */
};

struct record_accept_branch {
    char participant[PARTICIPANT_NAME_SIZE];
    enum isolation isolation;
    bool read_only;
    struct blob *work; /* its statements (work.h); owned */
};

struct record_accept {
    struct gtrid gtrid; /* the request's id: no run has it */
    uint64_t wall_ms;
    size_t key_bytes;
    char key[KEY_MAX_BYTES + 1];
    uint8_t body_hash[BODY_HASH_BYTES];
    char queue[QUEUE_NAME_SIZE]; /* "": none */
    uint32_t timeout_ms;         /* of each run's decision */
    size_t branch_count;
    struct record_accept_branch *branches; /* owned */
};

struct record_refused {
    struct gtrid gtrid; /* the request's */
    uint64_t wall_ms;
    uint32_t attempts;
    char participant[PARTICIPANT_NAME_SIZE]; /* "": not one alone */
    struct failure failure;
    char text[HEALTH_TEXT_SIZE]; /* where PostgreSQL said nothing */
};

struct record_requeued {
    struct gtrid gtrid; /* the request's */
    uint64_t wall_ms;
    uint64_t epoch, sequence; /* its new position among all requests */
};

struct record_dropped {
    struct gtrid gtrid; /* the request's */
    uint64_t wall_ms;
    uint64_t running_ms; /* as in END (P-13) */
    char queue[QUEUE_NAME_SIZE];
    uint32_t attempts;
    char comment[COMMENT_MAX_BYTES + 1];
};

struct record_release {
    char participant[PARTICIPANT_NAME_SIZE];
    uint64_t wall_ms;
    char comment[COMMENT_MAX_BYTES + 1];
};

struct record_adopt {
    uint64_t wall_ms;
    char comment[COMMENT_MAX_BYTES + 1];
};

struct record {
    enum record_kind kind;
    union {
        struct record_epoch epoch;
        struct record_commit commit;
        struct record_end end;
        struct record_accept accept;
        struct record_refused refused;
        struct record_heuristic heuristic;
        struct record_resolved resolved;
        struct record_floor floor;
        struct record_release release;
        struct record_adopt adopt;
        struct record_requeued requeued;
        struct record_dropped dropped;
    } as;
};

const char *record_kind_text(enum record_kind kind);
void record_copy(const struct record *from, struct record *ret_record); /* deep, blobs shared */
void record_done(struct record *record);

#endif
