/*
 * http_reply.h - what goes back for a request: status, headers and body, as values.
 *
 * Made on the HTTP threads from an answered call or a problem; sent by http_exchange.c. The mapping
 * of the core's answers to HTTP is here and nowhere else.
 */
#ifndef ASSENT_COORDINATOR_HTTP_REPLY_H
#define ASSENT_COORDINATOR_HTTP_REPLY_H

#include "coordinator/http_problem.h"
#include "coordinator/http_route.h"

struct reply {
    unsigned status;
    const char *content_type; /* static */
    struct text body;         /* owned, unless fixed_body is set */
    const char *fixed_body;   /* static; NULL: use body */
    size_t fixed_body_bytes;
    char id[GTRID_TEXT_SIZE]; /* the transaction this is about, or "" */
    uint32_t retry_after_s;   /* 0: none */
    const char *allow;        /* static or NULL */
    bool replayed;
    bool has_location; /* of the transaction */
    bool is_async;     /* as it was asked for: Preference-Applied */
};

void reply_from_problem(const struct problem *problem, struct reply *ret_reply);
/* is_repeatable: the same request may be sent again and does nothing twice (a submission with a key, a statement with seq, a commit;
 * of these the call's own copy was taken by the owner thread). */
void reply_from_call(enum route route, bool is_repeatable, const struct api_call *call,
                     struct reply *ret_reply);
/* The call was posted and this process stops before its answer. */
void reply_abandoned(enum route route, bool is_repeatable, struct reply *ret_reply);
void reply_live(const char *version, struct reply *ret_reply);
void reply_openapi(struct reply *ret_reply);

/* docs/openapi.json, compiled in (http_openapi.c). */
extern const char openapi_document[];
extern const char openapi_document_end[];

#endif
