/*
 * core_interactive.h - what core_interactive.c and core_statement.c share: answers to the client of an open transaction, its time,
 * and its statements. For nobody else; what the rest of the core calls is in core_internal.h.
 */
#ifndef ASSENT_COORDINATOR_CORE_INTERACTIVE_H
#define ASSENT_COORDINATOR_CORE_INTERACTIVE_H

#include "coordinator/core_internal.h"

/* core_interactive.c */
/* With the transaction as it is now. */
struct api_answer *interactive_answer_view(struct coord *coord, const struct txn *txn,
                                           uint64_t call, enum api_status status,
                                           struct coord_ready *ready);
void interactive_answer_conflict(struct coord_ready *ready, uint64_t call, const char *text);
/* Nothing was done, and an open transaction stays as it is. */
void interactive_answer_refused(struct coord *coord, uint64_t call, enum reason reason,
                                const char *participant, const char *text,
                                struct coord_ready *ready);
/* Not in memory: what the journal knows, and what its silence means (P-8); `aborted` is the status where it aborted. */
void interactive_answer_absent(struct coord *coord, const struct coord_event *event,
                               const struct gtrid *gtrid, enum api_status aborted,
                               struct coord_ready *ready);
/* P-16: nothing is open yet, and what recovery read is told to nobody before EPOCH is durable. True: it was answered. */
bool interactive_answer_early(const struct coord *coord, uint64_t call, struct coord_ready *ready);
/* Why nothing new may begin, or the decision not be written; REASON_NONE: it may. */
enum reason interactive_obstacle(const struct coord *coord, const char **ret_text);
/* The client has spoken, or was answered. */
void interactive_idle_later(const struct coord *coord, struct txn *txn);
void interactive_retry_later(struct coord *coord, struct txn *txn);

/* Open, and its deadline has not passed; else false, and it was answered. The client counts as having spoken. */
bool interactive_is_open(struct coord *coord, struct txn *txn, uint64_t call,
                         struct coord_ready *ready);
/* Nothing was done then, and the transaction stays open. True: it was answered. */
bool interactive_is_beyond_limit(struct coord_ready *ready, uint64_t call, uint64_t count,
                                 const char *limit_name, uint64_t limit);
/* The branch of this participant, begun if there is none. NULL: it was answered. */
struct branch *interactive_branch(struct coord *coord, struct txn *txn, uint64_t call,
                                  const char *name, bool *ret_is_new, struct coord_ready *ready);

/* core_statement.c */
void statement_call_add(struct interactive *open,
                        uint64_t call); /* waits like one for a statement */
void statement_send(struct coord *coord, const struct txn *txn, const struct branch *branch,
                    struct coord_ready *ready);
/* It takes no more statements: what was kept for their repetition is of no use any more. */
void statements_end(struct txn *txn);

#endif
