/* agent_step.c - one step of the core, and what it hands out: commands to the PostgreSQL edge, notices to the log, messages to the
 * link, those of a round in one frame for each session. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/fault.h"
#include "participant/agent_internal.h"

uint64_t server_random(struct agent_server *server)
{
    if (server->random_left == 0) {
        uint8_t *to = (uint8_t *)server->random_pool;
        size_t left = sizeof(server->random_pool);
        while (left > 0) {
            ssize_t got = getrandom(to, left, 0);
            CHECK(got > 0 || errno == EINTR); /* without randomness no attempt may begin (P-20) */
            if (got > 0) {
                to += got;
                left -= (size_t)got;
            }
        }
        server->random_left = RANDOM_POOL_SIZE;
    }
    return server->random_pool[--server->random_left];
}

/* Commands go at once; messages wait for the end of the round. */
static void server_take_ready(struct agent_server *server, uint64_t now_ms)
{
    struct agent_ready *ready = &server->ready;
    for (size_t i = 0; i < ready->command_count; i++) {
        pg_submit(server->pg, &ready->commands[i]);
        memset(&ready->commands[i], 0, sizeof(ready->commands[i]));
    }
    if (server->out_count + ready->send_count > server->out_capacity) {
        server->out_capacity = (server->out_count + ready->send_count) * 2;
        server->out = alloc_resize(server->out, server->out_capacity, sizeof(*server->out));
    }
    if (ready->send_count > 0) {
        memcpy(&server->out[server->out_count], ready->sends,
               ready->send_count * sizeof(*ready->sends));
        memset(ready->sends, 0, ready->send_count * sizeof(*ready->sends));
        server->out_count += ready->send_count;
    }
    server_log_notices(server, now_ms);
    server->deadline_ms = ready->deadline_ms;
    server->is_drained = ready->drained;
    agent_ready_clear(ready);
}

void server_step(struct agent_server *server, struct agent_event *event, uint64_t now_ms)
{
    event->now_ms = now_ms;
    event->random = server_random(server);
    agent_step(server->core, event, &server->ready);
    server_take_ready(server, now_ms);
}

static void fault_before_send(enum message_kind kind)
{
    if (kind == MESSAGE_WELCOME) {
        FAULT(FAULT_A_REGISTER);
    }
}

static void fault_after_send(enum message_kind kind)
{
    if (kind == MESSAGE_VOTE) {
        FAULT(FAULT_A_VOTE_SENT);
    } else if (kind == MESSAGE_ACK) {
        FAULT(FAULT_A_ACK_SENT);
    } else if (kind == MESSAGE_INQUIRY) {
        FAULT(FAULT_A_INQUIRY_SENT);
    }
}

/* One link_send per session, in the order of its messages. */
static void server_send_session(struct agent_server *server, uint64_t session, size_t first)
{
    bool kinds[MESSAGE_KIND_LAST + 1] = {false};
    size_t count = 0;
    for (size_t i = first; i < server->out_count; i++) {
        struct agent_send *send = &server->out[i];
        if (send->session == session && send->message.kind != 0) {
            fault_before_send(send->message.kind);
            kinds[send->message.kind] = true;
            server->batch[count++] = send->message;
            memset(&send->message, 0, sizeof(send->message));
        }
    }
    link_send(server->link, session, server->batch, count);
    for (size_t kind = 0; kind <= MESSAGE_KIND_LAST; kind++) {
        if (kinds[kind]) {
            fault_after_send((enum message_kind)kind);
        }
    }
}

void server_flush(struct agent_server *server)
{
    if (server->out_count > server->batch_capacity) {
        server->batch_capacity = server->out_count * 2;
        server->batch = alloc_resize(server->batch, server->batch_capacity, sizeof(*server->batch));
    }
    for (size_t i = 0; i < server->out_count; i++) {
        if (server->out[i].message.kind != 0) {
            server_send_session(server, server->out[i].session, i);
        }
    }
    server->out_count = 0;
}
