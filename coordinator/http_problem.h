/*
 * http_problem.h - RFC 9457 problem details: every answer of the HTTP edge that is not a success.
 *
 * A problem is either one of the edge's own kinds below, or the reason of an abort or a refusal
 * (outcome.h), whose name is then also the slug of its type. The catalogue for people is
 * docs/ERRORS.md.
 */
#ifndef ASSENT_COORDINATOR_HTTP_PROBLEM_H
#define ASSENT_COORDINATOR_HTTP_PROBLEM_H

#include "common/error.h"
#include "common/outcome.h"
#include "coordinator/http_json.h"

enum problem_kind {
    PROBLEM_NONE = 0,
    PROBLEM_MALFORMED,           /* 400 */
    PROBLEM_NOT_FOUND,           /* 404: no such path */
    PROBLEM_UNKNOWN_TRANSACTION, /* 404 */
    PROBLEM_EXPIRED,             /* 404 */
    PROBLEM_METHOD_NOT_ALLOWED,  /* 405 */
    PROBLEM_NOT_ACCEPTABLE,      /* 406 */
    PROBLEM_CONFLICT,            /* 409: an operator's action is not possible now */
    PROBLEM_BODY_TOO_LARGE,      /* 413 */
    PROBLEM_UNSUPPORTED_MEDIA,   /* 415 */
    PROBLEM_MISDIRECTED,         /* 421 */
    PROBLEM_LIMIT,               /* 422: beyond a configured limit, which it names */
    PROBLEM_INVALID,             /* 422: well-formed, but cannot be run as it is */
    PROBLEM_UNKNOWN_PARTICIPANT, /* 422 */
    PROBLEM_KEY_CONFLICT,        /* 422 */
    PROBLEM_NOT_SUPPORTED,       /* 422 */
    PROBLEM_INTERNAL,            /* 500 */
    PROBLEM_NOT_READY,           /* 503 */
    PROBLEM_OUTCOME_UNKNOWN,     /* 504 */
    PROBLEM_REASON,              /* status, title and retryable come from `reason` */
    PROBLEM_KIND_COUNT,
};

struct problem {
    enum problem_kind kind;
    enum reason reason;
    char detail[ERROR_TEXT_SIZE]; /* shown unless PostgreSQL said something; "": the title */
    char id[GTRID_TEXT_SIZE];     /* "" where there is no transaction */
    const char *state;            /* static; NULL where no transaction is meant */
    char participant[PARTICIPANT_NAME_SIZE];
    bool retryable; /* REASON: set from it; otherwise by who fills this */
    char sqlstate[SQLSTATE_SIZE];
    const struct blob *report; /* borrowed; what PostgreSQL said, or NULL */
    const char *limit_name;    /* static; NULL unless a limit was exceeded */
    uint64_t limit;
    uint32_t retry_after_s; /* becomes the header; 0: none */
    const char *allow;      /* static; the methods of a 405 */
};

/* Clears *ret_problem, then sets kind and detail. Returns false, so that `return problem_set(...)`
 * reads well. */
bool problem_set(struct problem *ret_problem, enum problem_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As problem_set, and names the limit and its configured value in the body. */
bool problem_set_limit(struct problem *ret_problem, enum problem_kind kind, const char *limit_name,
                       uint64_t limit, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* As problem_set for an abort or a refusal; also sets retryable. */
void problem_set_reason(struct problem *ret_problem, enum reason reason);

unsigned problem_status(const struct problem *problem); /* the HTTP status */
const char *problem_slug(const struct problem *problem);

/* The body; ret_text is owned by the caller. */
void problem_render(const struct problem *problem, struct text *ret_text);

#endif
