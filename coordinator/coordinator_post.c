/* coordinator_post.c - see coordinator_post.h: the callbacks of link and journal thread, the sink of the edges, signals. */
#include "coordinator/coordinator_post.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"

static struct post *post_new(enum post_kind kind)
{
    struct post *post = alloc_zeroed(sizeof(*post));
    post->item.kind = (int)kind;
    return post;
}

static void post_send(struct coordinator *coordinator, struct post *post)
{
    inbox_post(coordinator->inbox, &post->item);
}

static void link_up(void *user, const struct link_peer *peer)
{
    struct post *post = post_new(POST_PEER_UP);
    post->peer = *peer;
    post_send(user, post);
}

static void link_down(void *user, uint64_t session)
{
    struct post *post = post_new(POST_PEER_DOWN);
    post->session = session;
    post_send(user, post);
}

static void link_messages(void *user, uint64_t session, struct message *messages, size_t count)
{
    struct post *post = post_new(POST_MESSAGES);
    post->session = session;
    post->message_count = count;
    post->messages = alloc_array(count, sizeof(messages[0]));
    memcpy(post->messages, messages, count * sizeof(messages[0]));
    post_send(user, post);
}

static void link_trouble(void *user, const char *participant, enum link_trouble trouble,
                         const char *text)
{
    struct post *post = post_new(POST_TROUBLE);
    snprintf(post->participant, sizeof(post->participant), "%s", participant);
    post->trouble = trouble;
    post->text = alloc_string(text);
    post_send(user, post);
}

struct link_callbacks post_link_callbacks(struct coordinator *coordinator)
{
    return (struct link_callbacks){.user = coordinator,
                                   .on_up = link_up,
                                   .on_messages = link_messages,
                                   .on_down = link_down,
                                   .on_trouble = link_trouble};
}

static void journal_durable(void *user, uint64_t token, const struct journal_head *head)
{
    struct post *post = post_new(POST_DURABLE);
    post->token = token;
    post->head = *head;
    post_send(user, post);
}

static void journal_trimmed(void *user, const struct journal_head *head,
                            const struct journal_floor *floor, bool more)
{
    struct post *post = post_new(POST_TRIMMED);
    post->head = *head;
    post->floor = *floor;
    post->flag = more;
    post_send(user, post);
}

static void journal_space(void *user, bool has_space)
{
    struct post *post = post_new(POST_SPACE);
    post->flag = has_space;
    post_send(user, post);
}

static void journal_failed(void *user, const struct error *error)
{
    struct post *post = post_new(POST_FAILED);
    post->error = *error;
    post_send(user, post);
}

struct journal_thread_callbacks post_journal_callbacks(struct coordinator *coordinator)
{
    return (struct journal_thread_callbacks){.user = coordinator,
                                             .on_durable = journal_durable,
                                             .on_trimmed = journal_trimmed,
                                             .on_space = journal_space,
                                             .on_failed = journal_failed};
}

static void sink_post(void *user, struct api_call *call)
{
    struct coordinator *coordinator = user;
    call->item.kind = POST_CALL;
    inbox_post(coordinator->inbox, &call->item);
}

struct api_sink coordinator_sink(struct coordinator *coordinator)
{
    return (struct api_sink){.user = coordinator, .post = sink_post};
}

void coordinator_terminate(struct coordinator *coordinator)
{
    atomic_fetch_add(&coordinator->terminations, 1);
    post_send(coordinator, post_new(POST_TERMINATE));
}

void coordinator_reconfigure(struct coordinator *coordinator, struct config *config)
{
    struct post *post = post_new(POST_RECONFIGURE);
    post->config = config;
    post_send(coordinator, post);
}

void post_discard(struct inbox_item *items)
{
    for (struct inbox_item *item = items; item != NULL;) {
        struct inbox_item *next = item->next;
        if (item->kind == POST_CALL) { /* came too late; the edge frees it */
            struct api_call *call = (struct api_call *)item;
            call->answer.status = API_REFUSED;
            call->answer.reason = REASON_SHUTDOWN;
            call->done(call);
        } else {
            struct post *post = (struct post *)item;
            for (size_t i = 0; i < post->message_count; i++) {
                message_done(&post->messages[i]);
            }
            free(post->messages);
            free(post->text);
            free(post);
        }
        item = next;
    }
}
