/*
 * assent.h - libassent: transactions across several PostgreSQL databases, from C.
 *
 * A request names the statements for each database (participant); the coordinator runs it as one
 * transaction that commits everywhere or nowhere. See assent(1), libassent(3), and
 * docs/CLIENT_PROTOCOL.md for the wire.
 *
 *     struct assent_client *client;
 *     if (assent_client_open(NULL, &client) != ASSENT_OK) ...
 *     struct assent_request *request = assent_request_new();
 *     assent_request_add(request, "order", "INSERT INTO orders(id, amount) VALUES ($1, $2)",
 *                        ASSENT_PARAMS("o-1", "12.50"), ASSENT_ANY_ROWS);
 *     assent_request_add(request, "payment",
 *                        "UPDATE accounts SET balance = balance - $2"
 *                        " WHERE id = $1 AND balance >= $2",
 *                        ASSENT_PARAMS("c-7", "12.50"), 1);
 *     struct assent_answer *answer = assent_submit(client, request);
 *     if (assent_answer_outcome(answer) == ASSENT_COMMITTED) ...
 *
 * Conventions. Texts are UTF-8 and end with NUL. Times are milliseconds. Functions that return
 * `int` give ASSENT_OK (0) or a negative enum assent_error. "Returns owned": the caller frees with
 * the matching _free, which takes NULL; "lends": valid until the thing it was taken from is freed.
 * No function writes to a stream.
 *
 * Threads. An assent_client may be used by any number of threads at once. A request, an answer, a
 * list belongs to one thread at a time. The library has threads of its own inside (nng's); it never
 * calls back on them: callbacks run inside assent_client_dispatch, assent_client_wait and
 * assent_client_close, on the caller's thread. Not to be used in a child after fork(2) unless the
 * parent had not used it. SIGPIPE is never raised by this library.
 *
 * Running out of memory ends the process (abort), as in GLib.
 */
#ifndef ASSENT_ASSENT_H
#define ASSENT_ASSENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ASSENT_API __attribute__((visibility("default")))
#else
#define ASSENT_API
#endif

struct assent_client;
struct assent_request;
struct assent_answer;
struct assent_result;
struct assent_list;
struct assent_participants;
struct assent_transaction;

/* Errors of calls (not of transactions). */
enum assent_error {
    ASSENT_OK = 0,
    ASSENT_E_ARGUMENT = -1, /* an argument is not valid: NULL, empty, too long, not UTF-8 */
    ASSENT_E_LIMIT = -2,    /* more than the protocol can carry */
    ASSENT_E_BUSY = -3,     /* too many requests in flight; nothing was done */
    ASSENT_E_SYSTEM = -4,   /* out of file descriptors, threads ... */
};

/* A sentence for a code; static. */
ASSENT_API const char *assent_error_text(int error);

/* The library's version, "0.1.0"; static. */
ASSENT_API const char *assent_version(void);

/* What became of a transaction. Only the first two are final verdicts on it; new ones may be added at the end. */
enum assent_outcome {
    /* Decided commit, durably. assent_answer_completed tells whether every database has finished
       it. */
    ASSENT_COMMITTED = 1,
    /* Nothing of it remains or will ever appear anywhere. assent_answer_reason says why. */
    ASSENT_ABORTED,
    /* It may commit or not, or is under way: the connection or the deadline was lost after the
     * request had left, or the coordinator is still deciding. Submit the SAME request again (its
     * key makes that safe), or ask with assent_status_by_key. */
    ASSENT_UNKNOWN,
    /* The request never left this process, or (status, list) no answer came: nothing was done. Try
       again. */
    ASSENT_UNAVAILABLE,
    /* The coordinator did nothing with it: overload, a participant that is down or not known, a key
     * that was used with another body, a limit, a request that is not valid.
     * assent_answer_retryable tells whether it is worth trying again, unchanged. */
    ASSENT_REFUSED,
    /* status: no such transaction is known (any more: reason "expired"). For a key: nothing under
     * it has committed; a request that is still on its way may arrive yet. */
    ASSENT_NOT_FOUND,
    /* A person's hand, or a lost database, went against the decision in some branch: an operator
       must look. */
    ASSENT_HEURISTIC,
    /* An interactive transaction is open, and what was asked of it is done: not yet for others to
       see, not yet durable. */
    ASSENT_ACTIVE,
    /* The coordinator has taken the request over, durably: it waits (state "queued") or runs at the moment, again if
     * it must, and will have an outcome without any more of the client's doing (assent_request_set_later). A reason is that of
     * its last run, which aborted. */
    ASSENT_ACCEPTED,
    /* An accepted request that cannot succeed; assent_answer_reason says why. Nothing of it is anywhere now. Not final: an
     * operator puts it back as it is, or drops it (then it is ASSENT_ABORTED). Until then its key is its own, and
     * sending it again changes nothing. */
    ASSENT_DEAD,
};

/* "committed", "aborted" ...; static. */
ASSENT_API const char *assent_outcome_text(enum assent_outcome outcome);

/* ---- Connection ---- */

/*
 * Makes a client of the coordinator at address: "HOST:PORT" or "tcp://HOST:PORT", NULL for the
 * default tcp://127.0.0.1:7401. Never blocks: the connection is made in the background, and made
 * again for ever when it is lost. One client carries many requests at a time over one connection;
 * one per process and coordinator is enough. *ret_client is returned owned. Errors:
 * ASSENT_E_ARGUMENT (address), ASSENT_E_SYSTEM.
 */
ASSENT_API int assent_client_open(const char *address, struct assent_client **ret_client);

/*
 * Ends the client. No other call with it may run or follow. Asynchronous requests that are still in
 * flight are given up: their callbacks run now, with ASSENT_UNKNOWN (or ASSENT_UNAVAILABLE if they
 * had not left). The connection itself stays open, parked for the next assent_client_open of the
 * same address.
 */
ASSENT_API void assent_client_close(struct assent_client *client);

/* How long a request may wait for a connection before it is ASSENT_UNAVAILABLE; 1 to 3600000,
 * default 2000. */
ASSENT_API int assent_client_set_connect_timeout_ms(struct assent_client *client, uint32_t ms);

/* ---- Requests ---- */

#define ASSENT_ANY_ROWS (-1)

/* Two arguments at once, the number of texts and the array: ASSENT_PARAMS("a", NULL, "c"). */
#define ASSENT_PARAMS(...)                                                                         \
    (sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)),                           \
        ((const char *const[]){__VA_ARGS__})
#define ASSENT_NO_PARAMS 0, NULL

enum assent_isolation {
    ASSENT_READ_COMMITTED = 0,
    ASSENT_REPEATABLE_READ,
    ASSENT_SERIALIZABLE,
};

enum assent_ack {
    ASSENT_ACK_COMPLETED =
        0, /* answer when every database has committed: reads see the writes everywhere */
    ASSENT_ACK_DECIDED, /* answer as soon as the decision is durable */
};

/*
 * A new empty request, with a random idempotency key, a timeout of 5000 ms, ack completed. Returns
 * owned. A request may be submitted any number of times: with the same key it commits at most once.
 */
ASSENT_API struct assent_request *assent_request_new(void);
/* Takes NULL, too. Answers and requests in flight do not depend on the request. */
ASSENT_API void assent_request_free(struct assent_request *request);

/*
 * Adds a statement for a participant, behind the ones already there; a participant's branch comes
 * into being with its first statement. One statement of SQL, with $1 ... $n; types are inferred by
 * the server, cast where that fails ($1::uuid); a text without any command in it (only white space,
 * comments, semicolons) is ASSENT_E_ARGUMENT. params: param_count texts in PostgreSQL's text
 * format, NULL for SQL NULL; copied.
 * expect_rows: abort unless the statement touches exactly so many rows; ASSENT_ANY_ROWS for no
 * expectation. Errors: ASSENT_E_ARGUMENT, ASSENT_E_LIMIT; they also stick to the request, which is
 * then ASSENT_REFUSED when it is submitted, so that a chain of adds needs no check of its own.
 */
ASSENT_API int assent_request_add(struct assent_request *request, const char *participant,
                                  const char *sql, size_t param_count, const char *const *params,
                                  int64_t expect_rows);

/*
 * The same with a named operation of the participant's agent in place of SQL. args: text_count texts, a name and a value in
 * turn, in any order of names, at most 64 pairs: ASSENT_PARAMS("account", "c-7", "amount", "12.50"). A value is text or
 * NULL as above. Which operations there are, and what they take, is in the agent's file: what does not fit aborts with
 * reason "rejected_by_policy".
 */
ASSENT_API int assent_request_add_operation(struct assent_request *request, const char *participant,
                                            const char *operation, size_t text_count,
                                            const char *const *args, int64_t expect_rows);

/* Isolation of a participant's branch, default read committed. The branch may be named before its
 * statements. */
ASSENT_API int assent_request_set_isolation(struct assent_request *request, const char *participant,
                                            enum assent_isolation isolation);
/* A branch that only reads: cheaper, and writing in it aborts. */
ASSENT_API int assent_request_set_read_only(struct assent_request *request, const char *participant,
                                            bool read_only);

/*
 * The idempotency key: 1 to 255 bytes; NULL for none. With a key of the caller's own (an order's
 * number, say) even a process that lost everything can ask again. Keys belong to one coordinator.
 * The key that is set is lent by _key.
 */
ASSENT_API int assent_request_set_key(struct assent_request *request, const char *key);
ASSENT_API const char *assent_request_key(const struct assent_request *request);

/* The deadline of the decision (not of its completion): from 1; the coordinator's limit is 60000 by
 * default. */
ASSENT_API int assent_request_set_timeout_ms(struct assent_request *request, uint32_t ms);
/* When the answer comes; default ASSENT_ACK_COMPLETED. Errors: ASSENT_E_ARGUMENT. */
ASSENT_API int assent_request_set_ack(struct assent_request *request, enum assent_ack ack);

/*
 * Accept it now, run it later (docs/concepts/queues.md); default false. Submitted, the request is stored durably and answered
 * ASSENT_ACCEPTED, also while a database is down; the coordinator runs it when it can, and again after an abort that may
 * pass, until it has committed, once, whatever crashes; or is ASSENT_DEAD. Its timeout is the deadline of each run.
 * Ask with assent_status, or wait with assent_wait. Under its key the same request may be submitted again, as always: it is
 * ASSENT_ACCEPTED again as long as it has no outcome, then what became of it (committed: the recorded results). False
 * leaves the queue, too. Returns ASSENT_OK.
 *
 * Of a submission with it, ASSENT_REFUSED with the retryable reason "overload" says that a queue is full: nothing is stored.
 * A coordinator that is too old for it refuses with reason "unsupported", and does nothing.
 */
ASSENT_API int assent_request_set_later(struct assent_request *request, bool later);
/*
 * The same, in order: accepted requests of one queue run in the order in which they were accepted, each when the one before it has
 * committed in every database (or is dead). queue: 1 to 64 of A-Z, a-z, 0-9, ".", "_", ":" and "-"; a queue exists by being
 * named, so name it after the thing whose order matters: "order:4711". Copied. NULL: in no queue. A request that was accepted
 * under the same key before stays in its first queue (assent_answer_queue tells). Errors: ASSENT_E_ARGUMENT.
 */
ASSENT_API int assent_request_set_queue(struct assent_request *request, const char *queue);

/* ---- Submitting and asking ---- */

/*
 * Runs the transaction and waits: at most for the connect timeout, twice the request's own timeout
 * and five seconds. Returns owned, never NULL. What came between is in the answer's outcome. The
 * library never sends a request twice by itself. A request that is to run later
 * (assent_request_set_later) is answered as soon as it is stored.
 *
 * Where the key belongs to an accepted request, this waits for its outcome, at most for the request's own timeout;
 * ASSENT_ACCEPTED: it has none yet.
 */
ASSENT_API struct assent_answer *assent_submit(struct assent_client *client,
                                               const struct assent_request *request);

/* Called once for each accepted assent_submit_async, in a dispatch of the caller's. The answer
 * becomes the callback's own (assent_answer_free). It may submit further requests; it must not
 * close the client. */
typedef void (*assent_callback)(void *user, struct assent_answer *answer);

/*
 * Sends the request and returns at once. The request may be freed or changed afterwards. On
 * ASSENT_OK callback runs exactly once. Errors: ASSENT_E_BUSY when 1000 are in flight already
 * (dispatch, then try again).
 */
ASSENT_API int assent_submit_async(struct assent_client *client,
                                   const struct assent_request *request, assent_callback callback,
                                   void *user);

/* A descriptor that is readable while answers wait to be dispatched: for poll, epoll, an event
 * loop. Lent until the client is closed; only to be polled, never read. */
ASSENT_API int assent_client_fd(const struct assent_client *client);
/* Runs the callbacks of all answers that are there; never waits. Returns how many ran. */
ASSENT_API size_t assent_client_dispatch(struct assent_client *client);
/* Waits at most timeout_ms (-1: without end) for an answer, then dispatches. Returns how many
 * callbacks ran; 0 at once if none is in flight. */
ASSENT_API size_t assent_client_wait(struct assent_client *client, int timeout_ms);
/* Asynchronous requests whose callback has not run yet. */
ASSENT_API size_t assent_client_in_flight(const struct assent_client *client);

/* What became of a transaction, by its id or its key. Return owned, never NULL. */
ASSENT_API struct assent_answer *assent_status(struct assent_client *client, const char *id);
/* The same, for who knows the key alone: the transaction that was last run under it. */
ASSENT_API struct assent_answer *assent_status_by_key(struct assent_client *client,
                                                      const char *key);

/*
 * Waits for the outcome of a transaction, at most timeout_ms (0 to 60000) longer than asking takes: until it has committed in every
 * database (ack ASSENT_ACK_DECIDED: is decided), aborted, or is dead or heuristic. What it is then, or when the time is up, is the
 * answer: as that of assent_status, so ask again while it is ASSENT_ACCEPTED or ASSENT_UNKNOWN. It changes nothing.
 * ASSENT_REFUSED, retryable: too many wait there, or the coordinator is ending; "unsupported": it is too old. Returns owned,
 * never NULL.
 */
ASSENT_API struct assent_answer *assent_wait(struct assent_client *client, const char *id,
                                             enum assent_ack ack, uint32_t timeout_ms);

/* ---- Statement by statement ----
 *
 * An interactive transaction, for who must look at a row before the next statement is known
 * (docs/API.md, "Statement by statement"). It costs a round trip and held locks for each statement.
 *
 *     struct assent_transaction *transaction;
 *     struct assent_answer *answer = assent_open(client, 30000, &transaction);
 *     if (assent_answer_outcome(answer) != ASSENT_ACTIVE) ...
 *     assent_answer_free(answer);
 *     answer = assent_execute(transaction, "payment",
 *                             "SELECT balance FROM accounts WHERE id = $1 FOR UPDATE",
 *                             ASSENT_PARAMS("c-7"), 1);
 *     const char *balance =
 *         assent_result_value(assent_answer_result(answer, "payment", 0), 0, 0);
 *     ...
 *     answer = assent_commit(transaction, ASSENT_ACK_COMPLETED);
 *
 * A transaction belongs to one thread at a time. It ends at its deadline, when the coordinator has
 * not heard of it for its idle limit (60 s by default), with the first statement that fails, and with
 * a restart of the coordinator; whatever is asked of it afterwards is answered ASSENT_ABORTED. */

/*
 * Opens one; timeout_ms is the deadline of its decision, from now (from 1; the coordinator's limit
 * is 60000 by default). The answer is returned owned, never NULL. ASSENT_ACTIVE: *ret_transaction is
 * returned owned. Any other outcome: it is NULL, and nothing is open that could commit.
 */
ASSENT_API struct assent_answer *assent_open(struct assent_client *client, uint32_t timeout_ms,
                                             struct assent_transaction **ret_transaction);
/* Forgets it here; takes NULL, too. One that is still open holds its locks until the coordinator
 * misses its client: roll it back first. Before the client is closed. */
ASSENT_API void assent_transaction_free(struct assent_transaction *transaction);
/* Its id, for assent_status; lent by it. */
ASSENT_API const char *assent_transaction_id(const struct assent_transaction *transaction);

/* As assent_request_set_isolation and _set_read_only, of a branch that has had no statement yet.
 * Errors: ASSENT_E_ARGUMENT, also where it has had one; ASSENT_E_LIMIT. */
ASSENT_API int assent_transaction_set_isolation(struct assent_transaction *transaction,
                                                const char *participant,
                                                enum assent_isolation isolation);
ASSENT_API int assent_transaction_set_read_only(struct assent_transaction *transaction,
                                                const char *participant, bool read_only);

/*
 * Runs one statement (as assent_request_add) and waits, at most for the connect timeout, the
 * transaction's timeout and five seconds. Returns owned, never NULL:
 *   ASSENT_ACTIVE       done; its result is assent_answer_result(answer, participant, 0)
 *   ASSENT_ABORTED      it failed, or the transaction was over before: nothing of it remains
 *   ASSENT_UNKNOWN      the answer was lost: assent_execute_again, or assent_rollback
 *   ASSENT_REFUSED, ASSENT_UNAVAILABLE   nothing was done; the transaction is as it was
 */
ASSENT_API struct assent_answer *assent_execute(struct assent_transaction *transaction,
                                                const char *participant, const char *sql,
                                                size_t param_count, const char *const *params,
                                                int64_t expect_rows);
/* The same with a named operation of the participant's agent (as assent_request_add_operation). */
ASSENT_API struct assent_answer *assent_execute_operation(struct assent_transaction *transaction,
                                                          const char *participant,
                                                          const char *operation, size_t text_count,
                                                          const char *const *args,
                                                          int64_t expect_rows);
/* The last statement once more, under the same number: it runs once, and this gives its answer. For
 * after ASSENT_UNKNOWN; until then assent_execute and assent_commit refuse to go on, which might be
 * without it. Returns owned, never NULL. */
ASSENT_API struct assent_answer *assent_execute_again(struct assent_transaction *transaction);

/*
 * A branch that the program prepares itself, on a connection and in a role of its own:
 *     BEGIN; ...; PREPARE TRANSACTION '<assent_answer_gid(answer)>'
 * and, when that has been answered, assent_commit, which verifies it. Asking again gives another
 * gid; what is prepared under the one before never commits. A participant has either statements or
 * such a branch. Returns owned, never NULL: ASSENT_ACTIVE, the answer has the gid; otherwise as
 * assent_execute, and after ASSENT_UNKNOWN it may be asked for again.
 */
ASSENT_API struct assent_answer *assent_external_branch(struct assent_transaction *transaction,
                                                        const char *participant);

/*
 * Commits everywhere, or nowhere, and waits as assent_submit does; without results, which the
 * statements have given. May be called again after ASSENT_UNKNOWN and ASSENT_UNAVAILABLE, also by who
 * has only the client's word that it was lost: the outcome is recorded. ASSENT_REFUSED: nothing was
 * done, for example because there was no statement, or because it is not known whether the last one
 * was done. Returns owned, never NULL.
 */
ASSENT_API struct assent_answer *assent_commit(struct assent_transaction *transaction,
                                               enum assent_ack ack);
/* Rolls it back, also while a statement runs. ASSENT_ABORTED: it is, now or before; ASSENT_REFUSED:
 * it has committed; ASSENT_UNKNOWN: the decision to commit is being written, or the answer was lost.
 * May be called again. Returns owned, never NULL. */
ASSENT_API struct assent_answer *assent_rollback(struct assent_transaction *transaction);

/* ---- Answers ---- */

/* Takes NULL, too; ends everything that the answer lent. */
ASSENT_API void assent_answer_free(struct assent_answer *answer);
/* The verdict: what every caller looks at first. */
ASSENT_API enum assent_outcome assent_answer_outcome(const struct assent_answer *answer);
/* The transaction's id; "" where none came into being. All texts of an answer are lent by it. */
ASSENT_API const char *assent_answer_id(const struct assent_answer *answer);
/* "committed", "preparing", "queued", "dead" ... (glossary); "" where not known. */
ASSENT_API const char *assent_answer_state(const struct assent_answer *answer);
/* The idempotency key; "" for none. */
ASSENT_API const char *assent_answer_key(const struct assent_answer *answer);
/* Committed, and every database has finished: all reads see it. */
ASSENT_API bool assent_answer_completed(const struct assent_answer *answer);
/* The recorded answer of an earlier request with this key. */
ASSENT_API bool assent_answer_replayed(const struct assent_answer *answer);
/* Why it aborted or was refused: "row_count", "serialization", "timeout", "overload",
 * "key_conflict", "malformed" ...; "" otherwise. */
ASSENT_API const char *assent_answer_reason(const struct assent_answer *answer);
/* The same request may succeed later, if it is sent again: never so of one that is accepted, or dead. */
ASSENT_API bool assent_answer_retryable(const struct assent_answer *answer);
/* How long to wait before that; 0: no advice. */
ASSENT_API uint32_t assent_answer_retry_after_ms(const struct assent_answer *answer);
/* One line for people and logs: what PostgreSQL or the coordinator said, else the reason, else the
 * outcome; never NULL. */
ASSENT_API const char *assent_answer_text(const struct assent_answer *answer);
/* The participant that is to blame; "" for none. */
ASSENT_API const char *assent_answer_participant(const struct assent_answer *answer);

/* Of an accepted request: its queue, "" for none. */
ASSENT_API const char *assent_answer_queue(const struct assent_answer *answer);
/* Of an accepted request: how many runs have begun (counted anew after a restart of the coordinator). */
ASSENT_API uint32_t assent_answer_attempts(const struct assent_answer *answer);
/* Of an accepted request that could run otherwise: what it waits for, in words ("participant payment"); "" for nothing. */
ASSENT_API const char *assent_answer_waiting_for(const struct assent_answer *answer);

/* What to prepare under, of assent_external_branch; "" otherwise. */
ASSENT_API const char *assent_answer_gid(const struct assent_answer *answer);

/* PostgreSQL's five characters, where it is to blame; else "". */
ASSENT_API const char *assent_answer_sqlstate(const struct assent_answer *answer);
enum assent_field {
    ASSENT_FIELD_MESSAGE = 0,
    ASSENT_FIELD_DETAIL,
    ASSENT_FIELD_HINT,
    ASSENT_FIELD_CONSTRAINT,
    ASSENT_FIELD_TABLE,
    ASSENT_FIELD_COLUMN,
};
/* What PostgreSQL said, where it is to blame; a text it did not give is "". */
ASSENT_API const char *assent_answer_postgresql(const struct assent_answer *answer,
                                                enum assent_field field);
/* The index of the statement that failed within its participant's statements; -1 for none. */
ASSENT_API int assent_answer_statement(const struct assent_answer *answer);

/* Branches, in the order of the request: how many. An index beyond that gives "" or false. */
ASSENT_API size_t assent_answer_branch_count(const struct assent_answer *answer);
/* Whose branch it is. */
ASSENT_API const char *assent_answer_branch_participant(const struct assent_answer *answer,
                                                        size_t index);
/* "committed", "heuristic-rollback" ... (glossary). */
ASSENT_API const char *assent_answer_branch_state(const struct assent_answer *answer, size_t index);
/* Committed, but this database has not finished it yet. */
ASSENT_API bool assent_answer_branch_pending(const struct assent_answer *answer, size_t index);

/* Results: one per statement of a committed transaction. NULL where there is none. Lent by the
 * answer. */
ASSENT_API const struct assent_result *
assent_answer_result(const struct assent_answer *answer, const char *participant, size_t statement);
/* PostgreSQL's command tag, "INSERT 0 1". */
ASSENT_API const char *assent_result_command(const struct assent_result *result);
/* Rows inserted, changed, deleted or returned; 0 for other commands. */
ASSENT_API int64_t assent_result_rows_affected(const struct assent_result *result);
/* Columns of the rows that the statement returned; 0 if it returns none. */
ASSENT_API size_t assent_result_column_count(const struct assent_result *result);
/* Rows returned: not the same as rows affected. */
ASSENT_API size_t assent_result_row_count(const struct assent_result *result);
/* The column's name; "" beyond the end. */
ASSENT_API const char *assent_result_column_name(const struct assent_result *result, size_t column);
/* The name of its type, "numeric"; "" beyond the end. */
ASSENT_API const char *assent_result_column_type(const struct assent_result *result, size_t column);
/* The type's oid in pg_type; 0 beyond the end. */
ASSENT_API uint32_t assent_result_column_oid(const struct assent_result *result, size_t column);
/* PostgreSQL's text format; NULL for SQL NULL and beyond the end. */
ASSENT_API const char *assent_result_value(const struct assent_result *result, size_t row,
                                           size_t column);

/* ---- Lists ---- */

struct assent_filter {       /* zero-initialised: everything, 100 at a time */
    const char *state;       /* a state's name or "in-doubt"; NULL any */
    const char *participant; /* NULL any */
    const char *after;       /* assent_list_next of the page before; NULL from the newest */
    uint32_t limit;          /* 1 to 1000; 0: 100 */
};

/* Transactions, newest first, without results. filter may be NULL. Returns owned, never NULL. */
ASSENT_API struct assent_list *assent_list_transactions(struct assent_client *client,
                                                        const struct assent_filter *filter);
/* Takes NULL, too; ends the answers that the list lent. */
ASSENT_API void assent_list_free(struct assent_list *list);
/* "" if the list was had, otherwise why not. */
ASSENT_API const char *assent_list_error(const struct assent_list *list);
/* Transactions on this page. */
ASSENT_API size_t assent_list_count(const struct assent_list *list);
/* One of them, lent by the list; NULL beyond the end. */
ASSENT_API const struct assent_answer *assent_list_at(const struct assent_list *list, size_t index);
/* For the filter's `after`, lent by the list; NULL: that was all. */
ASSENT_API const char *assent_list_next(const struct assent_list *list);

/* The coordinator's participants. Returns owned, never NULL. */
ASSENT_API struct assent_participants *assent_participants_get(struct assent_client *client);
/* Takes NULL, too. */
ASSENT_API void assent_participants_free(struct assent_participants *participants);
/* "" if the list was had, otherwise why not. */
ASSENT_API const char *assent_participants_error(const struct assent_participants *participants);
/* How many there are. An index beyond that gives "" or false. */
ASSENT_API size_t assent_participants_count(const struct assent_participants *participants);
/* The name that requests use. */
ASSENT_API const char *assent_participants_name(const struct assent_participants *participants,
                                                size_t index);
/* Where the coordinator reaches the agent. */
ASSENT_API const char *assent_participants_address(const struct assent_participants *participants,
                                                   size_t index);
/* Connected and its database up: transactions may use it. */
ASSENT_API bool assent_participants_ready(const struct assent_participants *participants,
                                          size_t index);
/* Why it is not ready; "" if all is well. Of one that is ready it may tell what the operator has to do, such as a GRANT that is missing. */
ASSENT_API const char *assent_participants_text(const struct assent_participants *participants,
                                                size_t index);

#ifdef __cplusplus
}
#endif

#endif
