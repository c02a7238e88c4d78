/*
 * http_stand_in.h - an HTTP edge with a stand-in for the owner thread, and plain sockets to talk to
 * it.
 *
 * Used by the test_http_* programs. The stand-in answers each call with what the test's `answer`
 * function puts into it, or keeps calls until the test lets them go.
 */
#ifndef ASSENT_TESTS_UNIT_HTTP_STAND_IN_H
#define ASSENT_TESTS_UNIT_HTTP_STAND_IN_H

#include <pthread.h>

#include "common/inbox.h"
#include "common/work.h"
#include "coordinator/http.h"

struct stand_in {
    struct http *http;
    uint16_t port;
    struct inbox *inbox;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool hold; /* keep calls instead of answering them */
    size_t held_count;
    struct inbox_item *held;
    size_t call_count;     /* posted so far */
    size_t answered_count; /* without those that were held */
    bool has_submission;   /* a copy of the last one, taken as the core would */
    struct submission submission;
    struct api_list list;       /* of the last API_LIST */
    struct api_resolve resolve; /* of the last API_RESOLVE */
    struct gtrid gtrid;         /* of the last API_GET */
    bool want_events;
    size_t published_count;
    enum txn_state published_state; /* of the last change; the stand-in's thread only */
    void (*answer)(struct api_call *call,
                   void *user); /* fills call->answer; on the stand-in's thread */
    void *user;
};

/* options may be NULL; listen and sink are set here. */
void stand_in_start(struct stand_in *stand_in, const struct http_options *options,
                    void (*answer)(struct api_call *call, void *user), void *user);
void stand_in_stop(struct stand_in *stand_in);      /* HTTP first, then the thread */
void stand_in_stop_http(struct stand_in *stand_in); /* only HTTP; calls may still be held */
void stand_in_hold(struct stand_in *stand_in, bool hold);
void stand_in_wait_held(struct stand_in *stand_in, size_t count);
void stand_in_release(struct stand_in *stand_in); /* answers all held calls */

void stand_in_wait_answered(struct stand_in *stand_in, size_t count); /* calls, so far */

/* The transaction changed: told to the HTTP edge on the stand-in's thread, and done when this returns. One branch at the participant,
 * with a result of so many bytes if that is not 0. */
struct stand_in_change {
    uint64_t sequence;
    enum txn_state state;
    const char *participant; /* NULL: order */
    size_t result_bytes;
    uint64_t run_sequence;    /* it is an accepted request with this run; 0: a transaction */
    enum txn_state run_state; /* what is answered from then on, if not 0 */
};
void stand_in_publish(struct stand_in *stand_in, const struct stand_in_change *change);
/* As it was last published, whatever is asked for; user is the stand-in. */
void stand_in_answer_published(struct api_call *call, void *user);

/* A blank to build requests from. */
struct gtrid stand_in_gtrid(uint64_t sequence);
const char *stand_in_gtrid_text(uint64_t sequence); /* static buffer */

/* Commits: one view with a branch per branch of the submission and no results. */
void stand_in_answer_committed(struct api_call *call, void *user);

/* Plain sockets. */
struct wire_reply {
    int status;
    char *text;       /* header and body, final NUL; owned */
    const char *body; /* in text */
    size_t body_bytes;
};

int wire_connect(uint16_t port);
void wire_send(int fd, const char *bytes, size_t size_bytes);
/* Sends as much as the other side takes; false when it closed meanwhile. */
bool wire_try_send(int fd, const char *bytes, size_t size_bytes);
/* Reads one response (Content-Length), skipping "100 Continue". False: the connection ended first.
 */
bool wire_receive(int fd, struct wire_reply *ret_reply);
bool wire_is_closed(int fd); /* waits for the end; false after a while */
void wire_reply_done(struct wire_reply *reply);
/* The value of a header, or NULL; static buffer. */
const char *wire_header(const struct wire_reply *reply, const char *name);

/* One request on a connection of its own. headers: lines with CRLF, may be "". body may be NULL. */
void wire_request(uint16_t port, const char *method, const char *path, const char *headers,
                  const char *body, size_t body_bytes, struct wire_reply *ret_reply);
/* POST with Content-Type: application/json. */
void wire_post(uint16_t port, const char *path, const char *headers, const char *body,
               struct wire_reply *ret_reply);
void wire_get(uint16_t port, const char *path, struct wire_reply *ret_reply);

/* Fails the test unless the reply is a problem document of this status and slug. */
void assert_problem(const struct wire_reply *reply, int status, const char *slug);

#endif
