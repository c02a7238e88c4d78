/*
 * coordinator_post.h - what other threads put into the driver's inbox, and how: they only post, and the owner thread takes it
 * (coordinator_take.c).
 */
#ifndef ASSENT_COORDINATOR_COORDINATOR_POST_H
#define ASSENT_COORDINATOR_COORDINATOR_POST_H

#include "coordinator/coordinator_internal.h"

enum post_kind {
    POST_CALL = 1, /* struct api_call; its item comes first */
    POST_PEER_UP,
    POST_PEER_DOWN,
    POST_MESSAGES,
    POST_TROUBLE,
    POST_DURABLE,
    POST_TRIMMED,
    POST_SPACE,
    POST_FAILED,
    POST_TERMINATE,
    POST_RECONFIGURE,
};

struct post {
    struct inbox_item item; /* first: an item is its post */
    struct link_peer peer;
    uint64_t session;
    size_t message_count;
    struct message *messages;
    char participant[PARTICIPANT_NAME_SIZE];
    enum link_trouble trouble;
    char *text;
    uint64_t token;
    struct journal_head head;
    struct journal_floor floor;
    bool flag;
    struct error error;
    struct config *config;
};

/* What link and journal thread call; each callback posts. */
struct link_callbacks post_link_callbacks(struct coordinator *coordinator);
struct journal_thread_callbacks post_journal_callbacks(struct coordinator *coordinator);

/* What nobody takes any more: calls are answered, the rest is freed. Takes the items. */
void post_discard(struct inbox_item *items);

#endif
