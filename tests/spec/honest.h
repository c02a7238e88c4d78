/*
 * honest.h - one script, two databases: the simulator's model of PostgreSQL and a real server.
 *
 * A script is a list of operations: commands at the seam between the agent's core and its database (participant/command.h),
 * and what happens to a database behind the agent's back. Each operation gives a line of text: the answer's class, reason and
 * SQLSTATE, the command tag that the server gave, the rows that it found. Both sides must
 * give the line that the script says, and must look the same at the end. honest_scripts.c has the scripts, honest.c
 * turns operations into commands and answers into lines, honest_model.c and honest_server.c carry them out.
 */
#ifndef ASSENT_TESTS_SPEC_HONEST_H
#define ASSENT_TESTS_SPEC_HONEST_H

#include "participant/command.h"

#define HONEST_GIDS     64
#define HONEST_ACCOUNTS 12
#define HONEST_BALANCE  1000
#define HONEST_SLOTS    6 /* max_prepared_transactions */
#define HONEST_TEXT     1024

enum honest_kind {
    HONEST_EXECUTE = 1, /* and its answer */
    HONEST_BEGIN,       /* EXECUTE; goes on when the branch waits for a row */
    HONEST_ANSWER,      /* of a branch that was begun */
    HONEST_CANCEL,
    HONEST_SAY,       /* STATEMENT, the next of its branch, and its answer */
    HONEST_SAY_BEGIN, /* goes on when the statement waits for a row; HONEST_ANSWER has its answer */
    HONEST_PREPARE,   /* of a branch that was said statement by statement */
    HONEST_CLOSE,
    HONEST_VERIFY, /* of a branch that an application prepared */
    HONEST_COMMIT, /* FINISH */
    HONEST_ROLLBACK,
    HONEST_PROVE_COMMIT, /* expected to be committed */
    HONEST_PROVE_ROLLBACK,
    HONEST_LOOK,
    HONEST_SCAN,
    HONEST_AUDIT,
    HONEST_LOAD,
    HONEST_STORE,
    HONEST_ROTATE, /* twice: a partition is first left, then emptied */
    /* What the agent is not asked for. */
    HONEST_AWAIT_PREPARED, /* a branch that nobody waits for any more gets there */
    HONEST_AWAIT_GONE,     /* the server ends the branch that is open and idle, by itself */
    HONEST_AGENT_DIES,     /* and another one is started; what is in the server goes on */
    HONEST_CRASH,          /* the server, and it recovers */
    HONEST_COPY,           /* its files are put aside */
    HONEST_RESTORE,        /* and take its place again */
    HONEST_PROMOTE,        /* it goes on on a new timeline */
    HONEST_HUMAN_COMMIT,
    HONEST_HUMAN_ROLLBACK,
    HONEST_HUMAN_ENDS,    /* pg_terminate_backend of the branch that is open and idle */
    HONEST_HUMAN_HOLDS,   /* COMMIT PREPARED by hand is under way */
    HONEST_HUMAN_LETS_GO, /* and done */
    HONEST_FOREIGN,       /* another role prepares a transaction */
    HONEST_APPLICATION,   /* an application does its work, prepares it under the gid, and is gone */
    HONEST_REVOKE,        /* the agent is no member of the applications' role any more */
    HONEST_GRANT,         /* and is one again, as at the beginning */
};

/* What is wrong with a branch's statements. */
enum honest_flaw {
    FLAW_NONE = 0,
    FLAW_CONSTRAINT,
    FLAW_SERIALIZATION,
    FLAW_DEADLOCK,
    FLAW_STATEMENT,
    FLAW_NOT_PREPARABLE,
    FLAW_FAILED_BLOCK, /* PREPARE TRANSACTION finds a failed block: its tag is ROLLBACK, and no error comes */
    FLAW_IDLE_FOR_EVER, /* set_config takes away the limit under which the server ends an idle branch: none */
    FLAW_COUNT,
};

/* Whose name a foreign transaction has. */
enum honest_foreign {
    FOREIGN_OTHER = 1, /* nothing of Assent's */
    FOREIGN_PREFIX,    /* only its prefix */
    FOREIGN_NEIGHBOUR, /* a gid of another participant */
    FOREIGN_JOURNAL,   /* a gid of a journal that nobody here knows */
    FOREIGN_LIKE_OURS, /* the very gid of the operation */
};

struct honest_op {
    enum honest_kind kind;
    uint32_t gid; /* attempt; attempts that differ by tens are of one transaction */
    uint32_t account;
    int32_t amount;    /* added to it; a statement without one only looks */
    bool is_split;     /* one row is expected, so PREPARE waits for the statement's answer */
    bool is_read_only; /* declared so */
    bool is_serializable;
    bool agent_is_away; /* RESTORE: its process ends before and another one starts after */
    bool fence;         /* PROVE */
    bool by_vote; /* PROVE, AUDIT, COMMIT, ROLLBACK: with the proof of the vote, else without any */
    bool is_external; /* COMMIT, ROLLBACK, PROVE: known to be an application's, but not voted for */
    bool is_late;     /* VERIFY: its deadline is over */
    bool standby_is_away; /* the commit's wait for a standby is cancelled: a WARNING */
    enum honest_flaw flaw;
    enum honest_foreign foreign;
    bool is_elsewhere;   /* FOREIGN: in another database of the same cluster */
    uint32_t timeout_ms; /* 0: long */
    uint32_t count;      /* AUDIT: gids from `gid` on */
    uint32_t epoch, nonce, head, floor_epoch, floor_sequence, floor_first; /* STORE */
    const char *says;
};

struct honest_script {
    const char *name;
    enum proof_kind proof;
    const struct honest_op *ops; /* until one of kind 0 */
    const char *ends;            /* accounts that changed, what is prepared, outcome rows */
};

extern const struct honest_script honest_scripts[];
extern const size_t honest_script_count;

struct honest_side {
    const char *name;
    const char *script;
    uint64_t next_id;
    uint64_t open[HONEST_GIDS];       /* command of a branch that was begun */
    uint64_t said[HONEST_GIDS];       /* statements of a branch, so far */
    struct proof proofs[HONEST_GIDS]; /* of its vote */

    uint64_t (*now_ms)(struct honest_side *side);
    struct blob *(*work)(struct honest_side *side, const struct honest_op *op); /* returns owned */
    void (*submit)(struct honest_side *side, const struct honest_op *op, struct command *command);
    const struct command_result *(*await)(struct honest_side *side, uint64_t id);
    /* The command tag that ended the branch or the transaction of this operation, in full; "" where an error did, or nothing.
     * Whoever submits a command for it forgets the one before. */
    void (*tag)(struct honest_side *side, const struct honest_op *op, char tag[HONEST_TEXT]);
    /* The branch of this operation waits for a row. */
    void (*await_wait)(struct honest_side *side, const struct honest_op *op);
    void (*act)(struct honest_side *side, const struct honest_op *op, const char *gid_text,
                const struct gid *gid);
    /* An application's work and PREPARE TRANSACTION; false: refused, or it waited too long for a row. */
    bool (*prepare)(struct honest_side *side, const struct honest_op *op, const char *gid_text,
                    const struct gid *gid);
    /* How often the edge told that the history changed, and on which timeline it is now. */
    void (*history)(struct honest_side *side, uint64_t *ret_changes, uint32_t *ret_timeline);
    /* Accounts that are not as at the beginning; gids as texts, a blank between them. */
    void (*look)(struct honest_side *side, char accounts[HONEST_TEXT], char prepared[HONEST_TEXT],
                 char outcomes[HONEST_TEXT]);
};

struct gid honest_gid(uint32_t number);

/* Runs the script; fails the test where the side does not say what the script says. */
void honest_run(struct honest_side *side, const struct honest_script *script);

/* A model of its own for a script. */
struct honest_side *honest_model_new(const struct honest_script *script); /* returns owned */
void honest_model_free(struct honest_side *side);

/* One server for all scripts. */
struct honest_side *honest_server_new(void); /* returns owned */
void honest_server_begin(struct honest_side *side, const struct honest_script *script);
void honest_server_end(struct honest_side *side);
void honest_server_free(struct honest_side *side);

#endif
