/*
 * branch_ready.c - what one step of the agent's core hands out: messages, commands, notices.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "participant/branch_internal.h"

static size_t capacity_after(size_t capacity)
{
    return capacity == 0 ? 8 : capacity * 2;
}

struct message *agent_send(struct agent *agent, uint64_t session, enum message_kind kind)
{
    struct agent_ready *ready = agent->ready;
    if (ready->send_count == ready->send_capacity) {
        ready->send_capacity = capacity_after(ready->send_capacity);
        ready->sends = alloc_resize(ready->sends, ready->send_capacity, sizeof(*ready->sends));
    }
    struct agent_send *send = &ready->sends[ready->send_count++];
    memset(send, 0, sizeof(*send));
    send->session = session;
    send->message.kind = kind;
    return &send->message;
}

struct command *agent_command(struct agent *agent, enum command_kind kind)
{
    struct agent_ready *ready = agent->ready;
    if (ready->command_count == ready->command_capacity) {
        ready->command_capacity = capacity_after(ready->command_capacity);
        ready->commands =
            alloc_resize(ready->commands, ready->command_capacity, sizeof(*ready->commands));
    }
    struct command *command = &ready->commands[ready->command_count++];
    memset(command, 0, sizeof(*command));
    command->id = ++agent->next_command_id;
    command->kind = kind;
    return command;
}

void agent_text_copy(char *to, size_t size_bytes, const char *from)
{
    size_t length = strnlen(from, size_bytes - 1);
    memcpy(to, from, length);
    to[length] = '\0';
}

void agent_notice(struct agent *agent, enum agent_notice_kind kind, const struct gid *gid,
                  const char *format, ...)
{
    struct agent_ready *ready = agent->ready;
    if (ready->notice_count == ready->notice_capacity) {
        ready->notice_capacity = capacity_after(ready->notice_capacity);
        ready->notices =
            alloc_resize(ready->notices, ready->notice_capacity, sizeof(*ready->notices));
    }
    struct agent_notice *notice = &ready->notices[ready->notice_count++];
    memset(notice, 0, sizeof(*notice));
    notice->kind = kind;
    if (gid != NULL) {
        notice->gid = *gid;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(notice->detail, sizeof(notice->detail), format, arguments);
    va_end(arguments);
}

void agent_ready_clear(struct agent_ready *ready)
{
    for (size_t i = 0; i < ready->send_count; i++) {
        message_done(&ready->sends[i].message);
    }
    for (size_t i = 0; i < ready->command_count; i++) {
        command_done(&ready->commands[i]);
    }
    ready->send_count = 0;
    ready->command_count = 0;
    ready->notice_count = 0;
    ready->deadline_ms = UINT64_MAX;
    ready->drained = false;
}

void agent_ready_done(struct agent_ready *ready)
{
    agent_ready_clear(ready);
    free(ready->sends);
    free(ready->commands);
    free(ready->notices);
    memset(ready, 0, sizeof(*ready));
}
