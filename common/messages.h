/*
 * messages.h - every message between coordinator and agent, as plain values.
 *
 * Used by both cores (which must not know how a message travels), by the codec (codec.h: msgpack)
 * and by the simulator. A message owns what it points to; message_done releases it. One message is
 * one fact or one request, idempotent by (gtrid, participant, kind) or by the full gid: any of them
 * may be lost, repeated or overtaken, and the cores must cope (P-7, P-9, P-20).
 *
 *   coordinator -> agent             agent -> coordinator
 *   CLAIM    my epoch, nonce, head   WITNESS  what this database knows of your journal (first)
 *                                    WELCOME  epoch accepted: work may come
 *                                    FENCED   a higher one is known
 *   WORK     execute and prepare     VOTE
 *   COMMIT   finish: commit          ACK      finished, or what was found instead
 *   ROLLBACK finish: roll back
 *   VERDICT  answer to an inquiry    INQUIRY  what became of this gid?
 *   HEAD     heartbeat, head, floor  HEALTH   heartbeat, state of the database, sweep progress
 *
 * A branch of an interactive transaction has STATEMENTs and a PREPARE in place of WORK (P-22, docs/adr/0014):
 *   STATEMENT  one of its statements ANSWER  its results; what failed is a VOTE
 *   PREPARE    there are no more: vote
 *
 * A branch that the application prepares itself (docs/adr/0016) has a VERIFY in their place:
 *   VERIFY     is it prepared? vote
 */
#ifndef ASSENT_COMMON_MESSAGES_H
#define ASSENT_COMMON_MESSAGES_H

#include "common/outcome.h"
#include "common/xid.h"

#define HASH_BYTES       32
#define ADDRESS_SIZE     256 /* "tcp://127.0.0.1:7401" with the final NUL */
#define HEALTH_TEXT_SIZE 256
#define OWNER_SIZE       64 /* of a role's name, with the final NUL */

enum message_kind {
    MESSAGE_CLAIM = 1,
    MESSAGE_WORK,
    MESSAGE_COMMIT,
    MESSAGE_ROLLBACK,
    MESSAGE_VERDICT,
    MESSAGE_HEAD,
    MESSAGE_AUDIT,
    MESSAGE_STATEMENT,
    MESSAGE_PREPARE,
    MESSAGE_VERIFY,
    MESSAGE_WITNESS = 16,
    MESSAGE_WELCOME,
    MESSAGE_FENCED,
    MESSAGE_VOTE,
    MESSAGE_ACK,
    MESSAGE_INQUIRY,
    MESSAGE_HEALTH,
    MESSAGE_AUDITED,
    MESSAGE_ANSWER,
};

#define MESSAGE_KIND_LAST MESSAGE_ANSWER

/* A place in the journal: records are numbered from 1 without gaps; 0 and zeros are "nothing yet".
 */
struct journal_head {
    uint64_t number;
    uint8_t hash[HASH_BYTES];
};

/* Where trimming stands (P-13): transactions at or below (epoch, sequence) may be forgotten, and
 * journal records with a number below first_number are gone. */
struct journal_floor {
    uint64_t epoch;
    uint64_t sequence;
    uint64_t first_number;
};

/* Who a participant is (P-10, P-14): compared on every connect. */
struct identity {
    uint64_t system_id;
    uint32_t timeline;
    uint32_t database_oid;
    uint64_t lsn; /* insert position when this was read */
    char database[PARTICIPANT_NAME_SIZE * 2];
};

struct message_claim {
    uint64_t epoch;
    uint64_t epoch_nonce;
    struct journal_head head;
    struct journal_floor floor;
    char address[ADDRESS_SIZE]; /* where this coordinator answers inquiries */
};

struct message_work {
    struct gtrid gtrid;
    uint64_t remaining_ms; /* of the decision's deadline, when the message was made (P-15) */
    enum isolation isolation;
    bool read_only;
    struct blob *work;
};

/* P-22. The attempt is the backend's incarnation: it lives as long as the transaction that the first statement opened on
 * one connection. */
struct message_statement {
    struct gtrid gtrid;
    uint64_t attempt; /* that ANSWER 1 named; 0 with ordinal 1: begin one */
    uint64_t
        ordinal; /* of the branch, from 1 without gaps; sent when the one before was answered */
    uint64_t remaining_ms;    /* of the decision's deadline, when the message was made (P-15) */
    enum isolation isolation; /* with ordinal 1 */
    bool read_only;           /* likewise */
    struct blob *work;        /* of exactly one statement */
};

struct message_prepare {
    struct gid gid;
    uint64_t count; /* of the branch's statements: every one was answered */
    uint64_t remaining_ms;
};

/* P-3: a branch that the application prepares itself. Its gid was given out by the coordinator. */
struct message_verify {
    struct gid gid;
    uint64_t remaining_ms;
};

/* Also carries the proof, since the agent keeps no memory of what it voted. */
struct message_commit {
    struct gid gid;
    struct proof proof;
};

/* has_gid false: the coordinator saw no vote; the agent ends whatever it runs for this gtrid. */
struct message_rollback {
    struct gtrid gtrid;
    bool has_gid;
    struct gid gid;
    struct proof proof; /* PROOF_NONE if no vote was seen */
};

enum verdict {
    VERDICT_COMMIT = 1,
    VERDICT_ABORT,
    VERDICT_WAIT,
    VERDICT_UNKNOWN,
    VERDICT_NOTED, /* unasked: the contradiction that an ACK told is on record, or needs none (H1) */
};

struct message_verdict {
    struct gid gid;
    enum verdict verdict;
    struct proof proof; /* with VERDICT_COMMIT */
};

struct message_head {
    struct journal_head head;
    struct journal_floor floor;
};

/* Are these branches, which have acknowledged their commit, still there? Asked when the participant's database is not the
 * one that acknowledged (P-14). */
#define AUDIT_ITEMS_MAX 200

struct audit_item {
    struct gid gid;
    struct proof proof;
};

struct audit_list {
    size_t count;             /* 1 .. AUDIT_ITEMS_MAX */
    struct audit_item *items; /* owned */
};

struct message_audit {
    uint64_t serial; /* echoed in AUDITED; grows within a session */
    struct audit_list list;
};

/* What the agent's database remembers of this coordinator's journal; sent first, before any claim.
 */
struct message_witness {
    uint64_t epoch; /* 0: this journal is new here */
    uint64_t epoch_nonce;
    struct journal_head head;
    struct identity identity;
};

struct message_welcome {
    uint64_t epoch;
    struct identity identity;
    uint64_t
        history; /* counts the histories of the database that this agent has seen (P-14): tells a repetition from a
                         WELCOME that has something new to say */
};

struct message_fenced {
    uint64_t epoch;
    uint64_t epoch_nonce;
};

struct message_vote {
    struct gid gid; /* attempt 0: nothing was executed, so there is no gid */
    enum vote vote;
    struct proof proof;     /* with VOTE_COMMIT */
    struct blob *results;   /* with VOTE_COMMIT and VOTE_READONLY */
    struct failure failure; /* with VOTE_ABORT and VOTE_UNKNOWN */
    char
        owner[OWNER_SIZE]; /* with VOTE_COMMIT of an external branch: who prepared it, for people */
};

enum ack {
    ACK_COMMITTED = 1,      /* COMMIT PREPARED succeeded, or the proof says it had */
    ACK_ROLLED_BACK,        /* rolled back, or proved never to have prepared */
    ACK_HEURISTIC_COMMIT,   /* asked to roll back, but the proof says committed (a human's hand) */
    ACK_HEURISTIC_ROLLBACK, /* asked to commit, but proved gone (a human's hand, a lost database) */
    ACK_HAZARD,             /* asked to finish, not there, and nothing can tell what happened */
};

struct message_ack {
    struct gid gid; /* attempt 0: acknowledges a ROLLBACK without gid, by gtrid and participant */
    enum ack ack;
    char detail[HEALTH_TEXT_SIZE]; /* for people; may be empty */
};

struct message_inquiry {
    struct gid gid;
    uint64_t prepared_ms; /* age of the prepared row, for display */
    bool of_outcome;      /* nothing is prepared: it stands among the outcomes (P-12) */
};

enum health {
    HEALTH_UP = 1,
    HEALTH_DOWN,      /* database not reachable */
    HEALTH_READ_ONLY, /* standby or default_transaction_read_only */
    HEALTH_REFUSED, /* max_prepared_transactions = 0, wrong identity, missing set-up ... see text */
};

struct message_health {
    enum health health;
    struct identity identity;
    uint64_t
        swept_number; /* a complete sweep began after this journal head was known (P-13); 0 none */
    uint32_t prepared_count; /* our prepared rows in this database at the last sweep */
    uint32_t foreign_count;  /* prepared rows of ours that no reachable coordinator answers for */
    /* Rows under names of Assent's that are not where their name belongs; no agent may end them (P-6). */
    uint32_t misplaced_count;
    uint64_t oldest_prepared_ms;
    char text[HEALTH_TEXT_SIZE];
};

/* A statement did what it should. One that did not ends its branch: VOTE_ABORT. */
struct message_answer {
    struct gid gid;
    uint64_t ordinal;
    struct blob *results; /* of exactly one statement; owned */
};

/* What the database says about each item, in the order of the question. */
enum audit_finding {
    AUDIT_COMMITTED = 1, /* it is there */
    AUDIT_PREPARED, /* it came back as prepared: the sweep asks about it and commits it again */
    AUDIT_LOST,     /* neither: the database was set back behind it */
    AUDIT_CANNOT_TELL, /* without a row in assent.outcome nothing can be told over a change of history */
};

struct message_audited {
    uint64_t serial;
    struct blob *findings; /* one byte (enum audit_finding) for each item; owned */
};

struct message {
    enum message_kind kind;
    union {
        struct message_claim claim;
        struct message_work work;
        struct message_commit commit;
        struct message_rollback rollback;
        struct message_verdict verdict;
        struct message_head head;
        struct message_audit audit;
        struct message_statement statement;
        struct message_prepare prepare;
        struct message_verify verify;
        struct message_witness witness;
        struct message_welcome welcome;
        struct message_fenced fenced;
        struct message_vote vote;
        struct message_ack ack;
        struct message_inquiry inquiry;
        struct message_health health;
        struct message_audited audited;
        struct message_answer answer;
    } as;
};

const char *message_kind_text(enum message_kind kind); /* "work" */
void message_done(struct message *message);            /* releases blobs; leaves kind 0 */

#endif
