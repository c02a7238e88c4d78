/*
 * internal.h - what libassent's files share; nothing of it is visible outside the library.
 *
 *   request.c     building a request            answer.c  reading an answer
 *   wire.c        requests to frames, frames to answers
 *   exchange.c    one request and its answer on an nng context
 *   connection.c  nng's socket and what dials   timer.c   limits of time
 *   client.c      the public calls on a client, dispatch
 *   transaction.c statement by statement
 */
#ifndef ASSENT_CLIENT_INTERNAL_H
#define ASSENT_CLIENT_INTERNAL_H

#include "assent/assent.h"
#include "common/outcome.h"
#include "common/work.h"
#include "coordinator/client_msgpack.h"
#include "coordinator/client_protocol.h"

#define REQUEST_KEY_MAX_BYTES  255
#define REQUEST_BRANCH_MAX     1000
#define ANSWER_TEXT_SIZE       512
#define CLIENT_ANSWER_EXTRA_MS 5000 /* beyond the coordinator's own deadlines */
#define CLIENT_QUESTION_MS     10000

struct request_branch {
    char participant[PARTICIPANT_NAME_SIZE];
    enum assent_isolation isolation;
    bool read_only;
    struct work work;
    bool is_begun; /* interactive: it has had a statement */
};

struct assent_request {
    int error; /* the first one of the builder's; sticks */
    char error_text[ANSWER_TEXT_SIZE];
    char key[REQUEST_KEY_MAX_BYTES + 1]; /* "" none */
    uint32_t timeout_ms;
    enum assent_ack ack;
    bool is_later;               /* to be accepted, and run later */
    char queue[QUEUE_NAME_SIZE]; /* is_later; "" none */
    size_t branch_count;
    struct request_branch *branches;
};

struct answer_branch {
    char *participant;
    char *state;
    bool pending;
    struct results results;
};

struct assent_answer {
    enum assent_outcome outcome;
    bool completed;
    bool replayed;
    bool retryable;
    uint32_t retry_after_ms;
    char *id, *state, *key, *reason, *text, *participant, *sqlstate; /* NULL reads as "" */
    struct pg_report report;
    bool is_request;           /* an accepted request; the three below are its */
    char *queue, *waiting_for; /* NULL reads as "" */
    uint32_t attempts;
    size_t branch_count;
    struct answer_branch *branches;
    bool is_done;           /* the coordinator has done what was asked */
    struct results results; /* of one statement, until they are given to its branch */
    char *gid;              /* of an external branch; NULL reads as "" */
};

struct participant_item {
    char *name, *address, *text;
    bool ready;
};

struct assent_participants {
    char error[ANSWER_TEXT_SIZE];
    size_t count;
    struct participant_item *items;
};

struct assent_list {
    char error[ANSWER_TEXT_SIZE];
    size_t count;
    struct assent_answer **answers;
    char *next;
};

struct assent_answer *answer_new(enum assent_outcome outcome, const char *reason, const char *text);

/* A decoded frame. */
struct wire_answer {
    enum client_status status;
    bool retryable;
    bool replayed;
    uint32_t retry_after_ms;
    char *reason, *participant, *text, *next, *gid;
    size_t transaction_count;
    struct assent_answer **transactions;
    size_t participant_count;
    struct participant_item *participants;
    struct results results;
};

/* As submit, or accept where the request is to run later. */
void wire_encode_submit(struct pack *pack, const struct assent_request *request);
void wire_encode_open(struct pack *pack, uint32_t timeout_ms);
void wire_encode_statement(struct pack *pack, const char *id, uint64_t seq,
                           const struct request_branch *branch);
void wire_encode_external(struct pack *pack, const char *id, const char *participant);
void wire_encode_commit(struct pack *pack, const char *id, enum assent_ack ack);
void wire_encode_rollback(struct pack *pack, const char *id);
void wire_encode_get(struct pack *pack, const char *id, const char *key); /* one of them is NULL */
void wire_encode_wait(struct pack *pack, const char *id, enum assent_ack ack, uint32_t wait_ms);
void wire_encode_list(struct pack *pack, const struct assent_filter *filter);
void wire_encode_participants(struct pack *pack);
bool wire_decode(const void *bytes, size_t size_bytes, struct wire_answer *ret_answer);
void wire_answer_done(struct wire_answer *answer);

/* The answer to a submit or a question about one transaction; takes the wire answer's contents. */
struct assent_answer *wire_to_answer(struct wire_answer *wire, bool is_submit);

/* client.c: asks and waits; takes the pack's contents. is_submit: without an answer it is not known what was done. */
struct assent_answer *client_ask(struct assent_client *client, struct pack *pack, bool is_submit,
                                 uint32_t answer_timeout_ms);

#endif
