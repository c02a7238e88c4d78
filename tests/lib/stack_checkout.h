/*
 * stack_checkout.h - a small shop on a stack: orders in the first participant's database, accounts
 * and payments in the others', and a checkout that writes to all of them as one transaction.
 *
 * One checkout leaves exactly these rows, or none of them: an order and an order line in the first
 * database; in each other one a payment, and its amount off the account. The crash matrix and the
 * integration tests compare these rows with what the client was told.
 */
#ifndef ASSENT_TESTS_LIB_STACK_CHECKOUT_H
#define ASSENT_TESTS_LIB_STACK_CHECKOUT_H

#include "tests/lib/stack.h"

/* Makes the tables and lets the agents' roles use them. */
bool checkout_setup(struct stack *stack, struct error *ret_error);

/* An account of this name with this balance in every database but the first. */
bool checkout_open_account(struct stack *stack, const char *account, const char *balance,
                           struct error *ret_error);

/* What one participant's branch does. */
enum checkout_part {
    CHECKOUT_WRITES = 0,
    CHECKOUT_ABSENT,       /* it has no branch */
    CHECKOUT_READS,        /* declared read_only */
    CHECKOUT_READS_SERIAL, /* the same, serializable: it is prepared all the same (P-19) */
    CHECKOUT_REFUSES,      /* its last expectation is not met: a no vote */
};

struct checkout {
    const char *id;        /* of the order; also what the rows are found by */
    const char *account;   /* pays 12.50 */
    uint32_t timeout_ms;   /* 0: 5000 */
    uint32_t pay_after_ms; /* the payment's branches wait so long first (pg_sleep) */
    uint32_t answer_bytes; /* every branch answers with a text of this size, too */
    bool plain;            /* statements without expectations or rows, which need no look at their
                              results before PREPARE; the account is not protected */
    bool decided;          /* "ack": "decided" */
    unsigned gate;         /* not 0: the last participant's branch first passes this advisory lock,
                              which a test may hold exclusively for as long as it likes */
    size_t first_to_wait;  /* pay_after_ms counts from this participant on; 0: from the second */
    enum checkout_part parts[STACK_PARTICIPANTS_MAX];
};
char *checkout_body(const struct stack *stack, const struct checkout *checkout); /* returns owned */

/* What a client was told. */
enum told {
    TOLD_NOTHING = 1, /* no answer came */
    TOLD_COMMITTED,
    TOLD_ABORTED,
    TOLD_UNKNOWN, /* "unknown": ask again by key */
    TOLD_REFUSED, /* nothing was done */
    TOLD_HEURISTIC,
};
const char *told_text(enum told told);

struct answer {
    enum told told;
    int status; /* HTTP; 0 with TOLD_NOTHING */
    char id[160];
    char reason[64];
    bool completed;
    char *body; /* owned; never NULL */
};
/* Takes the reply's body. */
void answer_read(struct http_reply *reply, struct answer *ret_answer);
void answer_done(struct answer *answer);
/* The same words, but for what tells the present state (completed, pending). */
bool answer_same(const struct answer *a, const struct answer *b);

/* Submits and waits for the answer. */
void checkout_submit(const struct stack *stack, const char *key, const char *body,
                     struct answer *ret_answer);

/* The same on a thread of its own. _end waits and frees. */
struct checkout_call;
struct checkout_call *checkout_begin(const struct stack *stack, const char *key, const char *body);
bool checkout_answered(const struct checkout_call *call); /* would _end return at once? */
void checkout_end(struct checkout_call *call, struct answer *ret_answer);

/* What the coordinator says of a key: the state of its newest transaction, "" if it knows none. */
bool checkout_state_by_key(const struct stack *stack, const char *key, char ret_state[32],
                           char ret_id[160], struct error *ret_error);

/* How many votes to commit the coordinator has of it, and has not acted on yet; 0 also if it does not answer within a
 * second, as one that is stopped. */
size_t checkout_votes_by_key(const struct stack *stack, const char *key);

/* The rows of one checkout. */
struct effects {
    int orders, lines;
    int payments[STACK_PARTICIPANTS_MAX]; /* [0] is not used */
    char balances[STACK_PARTICIPANTS_MAX][32];
};
bool checkout_effects(struct stack *stack, const char *id, const char *account,
                      struct effects *ret_effects, struct error *ret_error);
/* Are the effects those of `times` executions, for an account opened with this balance? If not,
 * ret_error says what is there. */
bool effects_are(const struct stack *stack, const struct effects *effects, int times,
                 const char *opening_balance, struct error *ret_error);

/* The same for one whose parts differ (STACK_PARTICIPANTS_MAX of them): only who writes leaves rows. */
bool effects_are_of(const struct stack *stack, const enum checkout_part *parts,
                    const struct effects *effects, int times, const char *opening_balance,
                    struct error *ret_error);

/* Every order has its payment and the other way round, over all databases, whatever the test did;
 * and no account lost money without a payment. */
bool checkout_audit(struct stack *stack, struct error *ret_error);

#endif
