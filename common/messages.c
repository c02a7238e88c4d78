/*
 * messages.c - names of messages, and release of what they own.
 */
#include "common/messages.h"

#include <stdlib.h>

#include "common/check.h"

const char *message_kind_text(enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_CLAIM:
        return "claim";
    case MESSAGE_WORK:
        return "work";
    case MESSAGE_COMMIT:
        return "commit";
    case MESSAGE_ROLLBACK:
        return "rollback";
    case MESSAGE_VERDICT:
        return "verdict";
    case MESSAGE_HEAD:
        return "head";
    case MESSAGE_AUDIT:
        return "audit";
    case MESSAGE_STATEMENT:
        return "statement";
    case MESSAGE_PREPARE:
        return "prepare";
    case MESSAGE_VERIFY:
        return "verify";
    case MESSAGE_WITNESS:
        return "witness";
    case MESSAGE_WELCOME:
        return "welcome";
    case MESSAGE_FENCED:
        return "fenced";
    case MESSAGE_VOTE:
        return "vote";
    case MESSAGE_ACK:
        return "ack";
    case MESSAGE_INQUIRY:
        return "inquiry";
    case MESSAGE_HEALTH:
        return "health";
    case MESSAGE_AUDITED:
        return "audited";
    case MESSAGE_ANSWER:
        return "answer";
    }
    return "unknown"; /* for logs: a kind may be shown before it was judged */
}

void message_done(struct message *message)
{
    switch (message->kind) {
    case MESSAGE_WORK:
        blob_free(message->as.work.work);
        break;
    case MESSAGE_STATEMENT:
        blob_free(message->as.statement.work);
        break;
    case MESSAGE_ANSWER:
        blob_free(message->as.answer.results);
        break;
    case MESSAGE_VOTE:
        blob_free(message->as.vote.results);
        failure_done(&message->as.vote.failure);
        break;
    case MESSAGE_AUDIT:
        free(message->as.audit.list.items);
        break;
    case MESSAGE_AUDITED:
        blob_free(message->as.audited.findings);
        break;
    case MESSAGE_CLAIM:
    case MESSAGE_COMMIT:
    case MESSAGE_ROLLBACK:
    case MESSAGE_VERDICT:
    case MESSAGE_HEAD:
    case MESSAGE_PREPARE:
    case MESSAGE_VERIFY:
    case MESSAGE_WITNESS:
    case MESSAGE_WELCOME:
    case MESSAGE_FENCED:
    case MESSAGE_ACK:
    case MESSAGE_INQUIRY:
    case MESSAGE_HEALTH:
        break; /* plain values */
    }
    *message = (struct message){0};
}
