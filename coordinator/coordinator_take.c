/* coordinator_take.c - what the owner thread takes out of its inbox: each post becomes an event, or a line in the log; which
 * participant speaks on a session. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/fault.h"
#include "common/log.h"
#include "coordinator/coordinator_post.h"

static const char *session_participant(const struct coordinator *coordinator, uint64_t session)
{
    for (size_t i = 0; i < coordinator->session_count; i++) {
        if (coordinator->sessions[i].session == session) {
            return coordinator->sessions[i].participant;
        }
    }
    return NULL;
}

static void session_add(struct coordinator *coordinator, const struct link_peer *peer)
{
    size_t count = coordinator->session_count++;
    coordinator->sessions = alloc_resize(coordinator->sessions, coordinator->session_count,
                                         sizeof(coordinator->sessions[0]));
    coordinator->sessions[count].session = peer->session;
    memcpy(coordinator->sessions[count].participant, peer->participant, PARTICIPANT_NAME_SIZE);
}

static void session_remove(struct coordinator *coordinator, uint64_t session)
{
    for (size_t i = 0; i < coordinator->session_count; i++) {
        if (coordinator->sessions[i].session == session) {
            coordinator->sessions[i] = coordinator->sessions[--coordinator->session_count];
            return;
        }
    }
}

static void step_messages(struct coordinator *coordinator, struct post *post)
{
    const char *participant = session_participant(coordinator, post->session);
    for (size_t i = 0; i < post->message_count; i++) {
        struct message *message = &post->messages[i];
        if (message->kind == MESSAGE_VOTE) {
            FAULT(FAULT_C_VOTE_RECV);
        } else if (message->kind == MESSAGE_ACK) {
            FAULT(FAULT_C_ACK_RECV);
        }
        if (participant != NULL) {
            struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                        .participant = participant,
                                        .session = post->session,
                                        .message = message};
            step_event(coordinator, &event);
        }
        message_done(message);
    }
    free(post->messages);
}

static void step_peer_up(struct coordinator *coordinator, const struct post *post)
{
    session_add(coordinator, &post->peer);
    log_event(LOG_INFO, "participant connected", LOG_S("participant", post->peer.participant),
              LOG_S("address", post->peer.address), LOG_S("version", post->peer.version),
              LOG_U("session", post->peer.session));
    struct coord_event event = {.kind = COORD_EVENT_PEER_UP,
                                .participant = post->peer.participant,
                                .address = post->peer.address,
                                .version = post->peer.version,
                                .session = post->peer.session};
    step_event(coordinator, &event);
}

static const char *trouble_text(enum link_trouble trouble)
{
    switch (trouble) {
    case LINK_UNREACHABLE:
        return "unreachable";
    case LINK_DENIED:
        return "denied";
    case LINK_INCOMPATIBLE:
        return "incompatible";
    case LINK_BAD_FRAME:
        return "bad frame";
    }
    return "unknown";
}

static void step_post(struct coordinator *coordinator, struct post *post)
{
    switch ((enum post_kind)post->item.kind) {
    case POST_CALL:
        CHECK(!"calls are no posts");
        break;
    case POST_PEER_UP:
        step_peer_up(coordinator, post);
        break;
    case POST_PEER_DOWN: {
        const char *name = session_participant(coordinator, post->session);
        log_event(LOG_WARN, "participant disconnected", LOG_S("participant", name),
                  LOG_U("session", post->session));
        struct coord_event event = {.kind = COORD_EVENT_PEER_DOWN, .session = post->session};
        step_event(coordinator, &event);
        session_remove(coordinator, post->session);
        break;
    }
    case POST_MESSAGES:
        step_messages(coordinator, post);
        break;
    case POST_TROUBLE:
        log_event(LOG_WARN, "link trouble",
                  LOG_S("participant", post->participant[0] == '\0' ? NULL : post->participant),
                  LOG_S("trouble", trouble_text(post->trouble)), LOG_S("detail", post->text));
        break;
    case POST_DURABLE: {
        struct coord_event event = {
            .kind = COORD_EVENT_DURABLE, .token = post->token, .head = post->head};
        step_event(coordinator, &event);
        break;
    }
    case POST_TRIMMED: {
        struct coord_event event = {.kind = COORD_EVENT_TRIMMED,
                                    .head = post->head,
                                    .floor = post->floor,
                                    .more = post->flag};
        step_event(coordinator, &event);
        break;
    }
    case POST_SPACE: {
        struct coord_event event = {.kind = COORD_EVENT_SPACE, .space_ok = post->flag};
        step_event(coordinator, &event);
        break;
    }
    case POST_FAILED:
        coordinator->journal_failed = true;
        coordinator->journal_error = post->error;
        break;
    case POST_TERMINATE: {
        FAULT(FAULT_C_DRAIN);
        struct coord_event event = {.kind = COORD_EVENT_DRAIN};
        step_event(coordinator, &event);
        break;
    }
    case POST_RECONFIGURE:
        participants_replace(coordinator, post->config);
        break;
    }
    free(post->text);
    free(post);
}

void take_all(struct coordinator *coordinator, struct inbox_item *item)
{
    while (item != NULL) {
        struct inbox_item *next = item->next;
        if (item->kind == POST_CALL) {
            step_call(coordinator, (struct api_call *)item);
        } else {
            step_post(coordinator, (struct post *)item);
        }
        item = next;
    }
}
