/*
 * http_queues.h - accepted requests and their queues at the HTTP edge (docs/adr/0017): what is read from a request, and what is said.
 *
 * Functions for http_submit.c, http_exchange.c, http_reply.c and http_render.c.
 */
#ifndef ASSENT_COORDINATOR_HTTP_QUEUES_H
#define ASSENT_COORDINATOR_HTTP_QUEUES_H

#include "coordinator/http_members.h"
#include "coordinator/http_reply.h"

/* Does this Prefer field ask for respond-async? A list; parameters and other preferences are passed over. */
bool prefer_is_async(const char *value);

/* The member "queue"; NULL: none. */
bool queue_member_parse(const struct json_value *value, char ret_queue[QUEUE_NAME_SIZE],
                        struct problem *ret_problem);
/* A queue orders what runs later: without respond-async it would mean nothing. */
bool queue_check(const struct submission *submission, struct problem *ret_problem);

/* The body of requeue (nothing) and drop ({"comment"}); fills all but the id. */
bool request_act_parse(enum request_act act, const uint8_t *body, size_t body_bytes,
                       struct api_request_act *ret_act, struct problem *ret_problem);

/* 202 with Location: accepted, and not decided. */
void reply_accepted(const struct api_answer *answer, struct reply *ret_reply);

void render_queues(const struct api_answer *answer, struct text *ret_text);
/* The members of a transaction that is an accepted request, or a run of one; nothing of others. */
void render_request(struct json_writer *writer, const struct txn_view *view);
/* What a branch of a request asks for. False: it cannot be decoded. */
bool render_request_branch(struct json_writer *writer, const struct branch_view *branch,
                           struct error *ret_error);

#endif
