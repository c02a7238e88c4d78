/*
 * crash_client.c - clients that leave too early, and clients that ask twice. See crash_faults.def.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/crash/crash_stage.h"

#define GRACE_MS 1000 /* for a request whose client has left to be seen at all */

/* --- bare connections ------------------------------------------------------------------------- */

/* address ends in ":PORT" */
static bool dial(const char *address, int *ret_fd, struct error *ret_error)
{
    const char *colon = strrchr(address, ':');
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return error_set(ret_error, ERROR_UNAVAILABLE, "cannot connect to %s", address);
    }
    *ret_fd = fd;
    return true;
}

/* Sends and stays connected. */
static bool dial_and_send(const char *address, const char *bytes, size_t size_bytes, int *ret_fd,
                          struct error *ret_error)
{
    if (!dial(address, ret_fd, ret_error)) {
        return false;
    }
    size_t done = 0;
    while (done < size_bytes) {
        ssize_t sent = send(*ret_fd, bytes + done, size_bytes - done, MSG_NOSIGNAL);
        if (sent <= 0) {
            (void)close(*ret_fd);
            return error_set(ret_error, ERROR_UNAVAILABLE, "%s does not read", address);
        }
        done += (size_t)sent;
    }
    return true;
}

static bool send_and_leave(const char *address, const char *bytes, size_t size_bytes,
                           struct error *ret_error)
{
    int fd = -1;
    if (!dial_and_send(address, bytes, size_bytes, &fd, ret_error)) {
        return false;
    }
    (void)close(fd);
    return true;
}

static char *request_text(const struct sale *sale) /* returns owned */
{
    char *text = NULL;
    if (asprintf(&text,
                 "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\n"
                 "Content-Type: application/json\r\nIdempotency-Key: %s\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 sale->key, strlen(sale->body), sale->body) < 0) {
        abort();
    }
    return text;
}

/* --- clients that leave ----------------------------------------------------------------------- */

static bool leave_before_send(struct crash_stage *stage, struct error *ret_error)
{
    return send_and_leave(stack_api(stage->stack), "", 0, ret_error) &&
           send_and_leave(stack_client_address(stage->stack), "", 0, ret_error);
}

/* On the library's port: SP's greeting of a REQ socket, and less of a frame than it announces. */
static bool leave_in_frame(struct crash_stage *stage, struct error *ret_error)
{
    static const char frame[] = "\0SP\0\0\x30\0\0"
                                "\0\0\0\0\0\0\0\x60"
                                "half of a frame";
    char *text = request_text(&stage->sales[0]);
    bool left =
        send_and_leave(stack_api(stage->stack), text, strlen(text) / 2, ret_error) &&
        send_and_leave(stack_client_address(stage->stack), frame, sizeof frame - 1, ret_error);
    free(text);
    return left;
}

struct key_wait {
    struct crash_stage *stage;
    char state[32], id[160];
};

static bool key_is_known(void *user)
{
    struct key_wait *wait = user;
    return checkout_state_by_key(wait->stage->stack, wait->stage->sales[0].key, wait->state,
                                 wait->id, NULL) &&
           wait->state[0] != '\0';
}

static bool leave_after_send(struct crash_stage *stage, struct error *ret_error)
{
    struct key_wait wait = {.stage = stage};
    char *text = request_text(&stage->sales[0]);
    bool left = send_and_leave(stack_api(stage->stack), text, strlen(text), ret_error);
    free(text);
    /* Whether it is run at all is assentd's to choose; the judge must not look before. */
    (void)stack_poll(NULL, clock_monotonic_ms() + GRACE_MS, key_is_known, &wait);
    return left;
}

static bool leave_reply_unread(struct crash_stage *stage, struct error *ret_error)
{
    int fd = -1;
    char *text = request_text(&stage->sales[0]);
    bool sent = dial_and_send(stack_api(stage->stack), text, strlen(text), &fd, ret_error);
    free(text);
    if (!sent) {
        return false;
    }
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    bool came = poll(&readable, 1, CRASH_PATIENCE_MS) == 1;
    (void)close(fd);
    return came || error_set(ret_error, ERROR_UNAVAILABLE, "no answer came");
}

/* --- clients that ask twice ------------------------------------------------------------------- */

static bool ask_many(struct crash_stage *stage)
{
    for (size_t i = 0; i < CRASH_CALLS; i++) {
        sale_begin(stage, &stage->sales[0]);
    }
    sale_end(&stage->sales[0]);
    return true;
}

static bool ask_twice(struct crash_stage *stage)
{
    for (size_t i = 0; i < 2; i++) {
        sale_begin(stage, &stage->sales[0]);
        sale_end(&stage->sales[0]);
    }
    return true;
}

/* Another checkout under the same key: refused, and nothing of it is done. */
static bool other_is_refused(struct crash_stage *stage, const struct sale *other,
                             struct error *ret_error)
{
    struct answer answer;
    struct effects effects;
    checkout_submit(stage->stack, stage->sales[0].key, other->body, &answer);
    bool refused =
        (answer.told == TOLD_REFUSED && answer.status == 422) ||
        error_set(ret_error, ERROR_INVALID, "other words under the same key: status %d, told %s",
                  answer.status, told_text(answer.told));
    answer_done(&answer);
    return refused &&
           checkout_effects(stage->stack, other->id, other->account, &effects, ret_error) &&
           effects_are(stage->stack, &effects, 0, CRASH_BALANCE, ret_error);
}

static bool ask_other(struct crash_stage *stage, struct error *ret_error)
{
    struct sale other = {0};
    bool refused = sale_make(stage, &other, 1, ret_error);
    sale_begin(stage, &stage->sales[0]);
    refused = refused && crash_await_prepared(stage, CRASH_FIRST, ret_error) &&
              other_is_refused(stage, &other, ret_error);
    if (refused && sale_answered(&stage->sales[0])) {
        refused = error_set(ret_error, ERROR_INVALID, "the first was not in flight any more");
    }
    sale_end(&stage->sales[0]);
    refused = refused && other_is_refused(stage, &other, ret_error);
    sale_done(&other);
    return refused;
}

bool crash_run_client(struct crash_stage *stage, struct error *ret_error)
{
    switch (stage->cell->fault) {
    case CLIENT_BEFORE_SEND:
        return leave_before_send(stage, ret_error);
    case CLIENT_HALF_FRAME:
        return leave_in_frame(stage, ret_error);
    case CLIENT_AFTER_SEND:
        return leave_after_send(stage, ret_error);
    case CLIENT_REPLY_UNREAD:
        return leave_reply_unread(stage, ret_error);
    case CLIENT_AGAIN_SAME:
        return ask_twice(stage);
    case CLIENT_AGAIN_OTHER:
        return ask_other(stage, ret_error);
    case CLIENT_MANY_SAME:
        return ask_many(stage);
    case CLIENT_AFTER_LOST_REPLY:
        if (!leave_reply_unread(stage, ret_error)) {
            return false;
        }
        stack_daemon_kill(stack_coordinator(stage->stack));
        return true;
    default:
        return error_set(ret_error, ERROR_INVALID, "not a client's fault");
    }
}
