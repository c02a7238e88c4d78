/* agent_take.c - what the owner thread takes out of its inbox: each item becomes an event, or a line in the log. */
#include <string.h>

#include "common/fault.h"
#include "participant/agent_internal.h"

static void fault_on_receive(enum message_kind kind)
{
    if (kind == MESSAGE_WORK || kind == MESSAGE_PREPARE || kind == MESSAGE_VERIFY) {
        FAULT(FAULT_A_PREPARE_RECV);
    } else if (kind == MESSAGE_COMMIT) {
        FAULT(FAULT_A_COMMIT_RECV);
    } else if (kind == MESSAGE_ROLLBACK) {
        FAULT(FAULT_A_RB_RECV);
    }
}

static uint64_t *message_remaining(struct message *message)
{
    if (message->kind == MESSAGE_WORK) {
        return &message->as.work.remaining_ms;
    }
    if (message->kind == MESSAGE_STATEMENT) {
        return &message->as.statement.remaining_ms;
    }
    if (message->kind == MESSAGE_VERIFY) {
        return &message->as.verify.remaining_ms;
    }
    return message->kind == MESSAGE_PREPARE ? &message->as.prepare.remaining_ms : NULL;
}

static void take_messages(struct agent_server *server, struct item *item, uint64_t now_ms)
{
    uint64_t waited_ms = now_ms > item->posted_ms ? now_ms - item->posted_ms : 0;
    for (size_t i = 0; i < item->message_count; i++) {
        struct message *message = &item->messages[i];
        fault_on_receive(message->kind);
        uint64_t *remaining_ms = message_remaining(message);
        if (remaining_ms != NULL) {
            /* P-15: what was lost in the inbox (a stopped process) is not given to the deadline. */
            *remaining_ms = *remaining_ms > waited_ms ? *remaining_ms - waited_ms : 0;
        }
        struct agent_event event = {
            .kind = AGENT_EVENT_MESSAGE, .session = item->session, .message = message};
        server_step(server, &event, now_ms);
    }
}

static const char *trouble_text(enum link_trouble trouble)
{
    switch (trouble) {
    case LINK_UNREACHABLE:
        return "link lost";
    case LINK_DENIED:
        return "link denied";
    case LINK_INCOMPATIBLE:
        return "link incompatible";
    case LINK_BAD_FRAME:
        return "bad frame, session ended";
    }
    return "link trouble";
}

static const char *health_name(enum health health)
{
    switch (health) {
    case HEALTH_UP:
        return "up";
    case HEALTH_DOWN:
        return "down";
    case HEALTH_READ_ONLY:
        return "read-only";
    case HEALTH_REFUSED:
        return "refused";
    }
    return "unknown";
}

static void log_status(struct agent_server *server, const struct database_status *status)
{
    if (server->has_health && server->health == status->health &&
        strcmp(server->health_text, status->text) == 0) {
        return;
    }
    server->has_health = true;
    server->health = status->health;
    memcpy(server->health_text, status->text, sizeof(server->health_text));
    log_event(status->health == HEALTH_UP ? LOG_INFO : LOG_WARN, "database",
              LOG_S("state", health_name(status->health)),
              LOG_S("participant", server->settings.core.participant),
              LOG_S("database", status->identity.database),
              LOG_U("system", status->identity.system_id),
              LOG_U("timeline", status->identity.timeline),
              LOG_S("detail", status->text[0] != '\0' ? status->text : NULL));
}

void server_log_counters(const struct agent_server *server)
{
    struct agent_counters core;
    struct pg_counters pg;
    agent_counters_read(server->core, &core);
    pg_counters_read(server->pg, &pg);
    log_event(LOG_INFO, "counters", LOG_U("branches", core.branches_live),
              LOG_U("yes", core.votes_yes), LOG_U("no", core.votes_no),
              LOG_U("unknown", core.votes_unknown), LOG_U("read_only", core.votes_readonly),
              LOG_U("commits", core.commits), LOG_U("rollbacks", core.rollbacks),
              LOG_U("heuristics", core.heuristics), LOG_U("hazards", core.hazards),
              LOG_U("fenced", core.fenced), LOG_U("late_prepares", core.late_prepares),
              LOG_U("inquiries", core.inquiries), LOG_U("sweeps", core.sweeps),
              LOG_U("pg_executed", pg.executed), LOG_U("pg_prepared", pg.prepared),
              LOG_U("pg_retried", pg.retried), LOG_U("pg_reconnects", pg.reconnects),
              LOG_U("pool_busy", pg.pool_busy), LOG_U("pool_waiting", pg.pool_waiting));
}

static void take_drain(struct agent_server *server, uint64_t now_ms)
{
    if (server->is_draining) {
        return;
    }
    log_event(LOG_INFO, "draining", LOG_U("timeout_ms", server->settings.drain_timeout_ms));
    server->is_draining = true;
    server->drain_deadline_ms = now_ms + server->settings.drain_timeout_ms;
    struct agent_event event = {.kind = AGENT_EVENT_DRAIN};
    server_step(server, &event, now_ms);
}

static void take_peer(struct agent_server *server, const struct item *item, uint64_t now_ms)
{
    char journal[JOURNAL_ID_TEXT_SIZE];
    journal_id_format(&item->as.peer.journal, journal);
    log_event(LOG_INFO, "coordinator connected", LOG_U("session", item->session),
              LOG_S("journal", journal), LOG_S("address", item->as.peer.address),
              LOG_S("version", item->as.peer.version));
    struct agent_event event = {
        .kind = AGENT_EVENT_PEER_UP, .session = item->session, .journal = item->as.peer.journal};
    server_step(server, &event, now_ms);
}

/* Takes the item. */
void server_take(struct agent_server *server, struct item *item, uint64_t now_ms,
                 void (*reload)(void *user), void *user)
{
    struct agent_event event = {0};
    switch ((enum item_kind)item->base.kind) {
    case ITEM_PEER_UP:
        take_peer(server, item, now_ms);
        break;
    case ITEM_PEER_DOWN:
        log_event(LOG_INFO, "coordinator gone", LOG_U("session", item->session));
        event = (struct agent_event){.kind = AGENT_EVENT_PEER_DOWN, .session = item->session};
        server_step(server, &event, now_ms);
        break;
    case ITEM_MESSAGES:
        take_messages(server, item, now_ms);
        break;
    case ITEM_TROUBLE:
        log_event(LOG_WARN, trouble_text(item->as.told.trouble),
                  LOG_S("participant", server->settings.core.participant),
                  LOG_S("detail", item->as.told.text));
        break;
    case ITEM_RESULT:
        event = (struct agent_event){.kind = AGENT_EVENT_RESULT, .result = &item->as.result};
        server_step(server, &event, now_ms);
        break;
    case ITEM_STATUS:
        log_status(server, &item->as.status);
        event = (struct agent_event){.kind = AGENT_EVENT_STATUS, .status = &item->as.status};
        server_step(server, &event, now_ms);
        break;
    case ITEM_WARNING:
        log_event(LOG_WARN, item->as.told.event,
                  LOG_S("participant", server->settings.core.participant),
                  LOG_S("detail", item->as.told.text));
        break;
    case ITEM_DRAIN:
        take_drain(server, now_ms);
        break;
    case ITEM_RELOAD:
        reload(user);
        break;
    case ITEM_REPORT:
        server_log_counters(server);
        break;
    }
    item_free(item);
}
