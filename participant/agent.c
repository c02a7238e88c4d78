/* agent.c - see agent.h. */
#include "participant/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/fault.h"
#include "common/inbox.h"
#include "participant/pg.h"

#define RANDOM_POOL_SIZE   256
#define LINK_STOP_MS       1000
#define PG_STOP_MS         2000
#define NOTICES_PER_SECOND 20 /* of one kind; more are counted and told later */
#define NOTICE_KIND_COUNT  (AGENT_NOTICE_OTHERS + 1)

enum item_kind {
    ITEM_PEER_UP = 1,
    ITEM_PEER_DOWN,
    ITEM_MESSAGES,
    ITEM_TROUBLE,
    ITEM_RESULT,
    ITEM_STATUS,
    ITEM_WARNING,
    ITEM_DRAIN,
    ITEM_RELOAD,
    ITEM_REPORT,
};

struct item {
    struct inbox_item base; /* first */
    uint64_t session;
    uint64_t posted_ms;
    size_t message_count;
    struct message *messages; /* owned */
    union {
        struct link_peer peer;
        struct command_result result;
        struct database_status status;
        struct {
            enum link_trouble trouble;
            char *event; /* owned */
            char *text;  /* owned */
        } told;
    } as;
};

struct notice_gate {
    uint64_t window_ms;
    uint32_t count;
    uint32_t suppressed;
};

struct agent_server {
    struct agent_settings settings;
    struct inbox *inbox;
    struct link *link;
    struct pg *pg;
    struct agent *core;
    struct agent_ready ready;
    uint64_t deadline_ms;
    bool is_drained;
    bool is_draining;
    uint64_t drain_deadline_ms;
    enum health health;
    bool has_health;
    char health_text[HEALTH_TEXT_SIZE];
    size_t random_left;
    uint64_t random_pool[RANDOM_POOL_SIZE];
    /* What this round's steps want sent; grouped by session at its end. */
    size_t out_count, out_capacity;
    struct agent_send *out;
    size_t batch_capacity;
    struct message *batch;
    struct notice_gate gates[NOTICE_KIND_COUNT];
};

/* ---- callbacks: any thread, post only ---- */

static struct item *item_new(enum item_kind kind)
{
    struct item *item = alloc_zeroed(sizeof(*item));
    item->base.kind = (int)kind;
    item->posted_ms = clock_monotonic_ms();
    return item;
}

static void item_post(struct agent_server *server, struct item *item)
{
    inbox_post(server->inbox, &item->base);
}

static void on_up(void *user, const struct link_peer *peer)
{
    struct item *item = item_new(ITEM_PEER_UP);
    item->session = peer->session;
    item->as.peer = *peer;
    item_post(user, item);
}

static void on_messages(void *user, uint64_t session, struct message *messages, size_t count)
{
    struct item *item = item_new(ITEM_MESSAGES);
    item->session = session;
    item->messages = alloc_array(count, sizeof(*messages));
    item->message_count = count;
    memcpy(item->messages, messages, count * sizeof(*messages));
    memset(messages, 0, count * sizeof(*messages)); /* the contents are ours now */
    item_post(user, item);
}

static void on_down(void *user, uint64_t session)
{
    struct item *item = item_new(ITEM_PEER_DOWN);
    item->session = session;
    item_post(user, item);
}

static void on_trouble(void *user, const char *participant, enum link_trouble trouble,
                       const char *text)
{
    (void)participant; /* always ours */
    struct item *item = item_new(ITEM_TROUBLE);
    item->as.told.trouble = trouble;
    item->as.told.text = alloc_string(text);
    item_post(user, item);
}

static void on_result(void *user, struct command_result *result)
{
    struct item *item = item_new(ITEM_RESULT);
    item->as.result = *result;
    memset(result, 0, sizeof(*result));
    item_post(user, item);
}

static void on_status(void *user, const struct database_status *status)
{
    struct item *item = item_new(ITEM_STATUS);
    item->as.status = *status;
    item_post(user, item);
}

static void on_warning(void *user, const char *event, const char *text)
{
    struct item *item = item_new(ITEM_WARNING);
    item->as.told.event = alloc_string(event);
    item->as.told.text = alloc_string(text);
    item_post(user, item);
}

void agent_server_drain(struct agent_server *server)
{
    item_post(server, item_new(ITEM_DRAIN));
}

void agent_server_reload(struct agent_server *server)
{
    item_post(server, item_new(ITEM_RELOAD));
}

void agent_server_report(struct agent_server *server)
{
    item_post(server, item_new(ITEM_REPORT));
}

/* ---- what a step hands out ---- */

static uint64_t server_random(struct agent_server *server)
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

static enum log_level notice_level(enum agent_notice_kind kind)
{
    switch (kind) {
    case AGENT_NOTICE_VOTED:
    case AGENT_NOTICE_FINISHED:
        return LOG_DEBUG;
    case AGENT_NOTICE_REFUSED:
    case AGENT_NOTICE_RETRYING:
        return LOG_INFO;
    case AGENT_NOTICE_FENCED:
    case AGENT_NOTICE_UNKNOWN_OWNER:
    case AGENT_NOTICE_LATE_PREPARE:
    case AGENT_NOTICE_HISTORY_CHANGED:
    case AGENT_NOTICE_OTHERS:
        return LOG_WARN;
    case AGENT_NOTICE_HEURISTIC:
    case AGENT_NOTICE_HAZARD:
        return LOG_ERROR;
    }
    return LOG_ERROR;
}

static const char *notice_text(enum agent_notice_kind kind)
{
    switch (kind) {
    case AGENT_NOTICE_VOTED:
        return "voted";
    case AGENT_NOTICE_FINISHED:
        return "branch finished";
    case AGENT_NOTICE_HEURISTIC:
        return "heuristic outcome";
    case AGENT_NOTICE_HAZARD:
        return "outcome cannot be told";
    case AGENT_NOTICE_FENCED:
        return "coordinator fenced";
    case AGENT_NOTICE_UNKNOWN_OWNER:
        return "prepared branch without owner";
    case AGENT_NOTICE_REFUSED:
        return "refused";
    case AGENT_NOTICE_LATE_PREPARE:
        return "late prepare found";
    case AGENT_NOTICE_HISTORY_CHANGED:
        return "database history changed";
    case AGENT_NOTICE_RETRYING:
        return "trying again";
    case AGENT_NOTICE_OTHERS:
        return "somebody else uses the agent's login role";
    }
    return "notice";
}

/* A flood of one kind must not drown the others; errors always pass. */
static bool notice_passes(struct agent_server *server, enum agent_notice_kind kind, uint64_t now_ms)
{
    struct notice_gate *gate = &server->gates[kind];
    if (now_ms - gate->window_ms >= 1000) {
        if (gate->suppressed > 0) {
            log_event(LOG_INFO, "notices left out", LOG_S("kind", notice_text(kind)),
                      LOG_U("count", gate->suppressed));
        }
        *gate = (struct notice_gate){.window_ms = now_ms};
    }
    if (gate->count >= NOTICES_PER_SECOND && notice_level(kind) != LOG_ERROR) {
        gate->suppressed++;
        return false;
    }
    gate->count++;
    return true;
}

static void server_log_notices(struct agent_server *server, uint64_t now_ms)
{
    for (size_t i = 0; i < server->ready.notice_count; i++) {
        const struct agent_notice *notice = &server->ready.notices[i];
        enum log_level level = notice_level(notice->kind);
        if (!log_enabled(level) || !notice_passes(server, notice->kind, now_ms)) {
            continue;
        }
        char gtrid[GTRID_TEXT_SIZE] = "";
        if (notice->gid.gtrid.sequence != 0) {
            gtrid_format(&notice->gid.gtrid, gtrid);
        }
        log_event(level, notice_text(notice->kind), LOG_S("gtrid", gtrid[0] != '\0' ? gtrid : NULL),
                  LOG_S("participant", server->settings.core.participant),
                  LOG_S("detail", notice->detail));
    }
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

static void server_step(struct agent_server *server, struct agent_event *event, uint64_t now_ms)
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

static void server_flush(struct agent_server *server)
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

/* ---- what comes in ---- */

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

static void log_counters(const struct agent_server *server)
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

static void item_free(struct item *item)
{
    for (size_t i = 0; i < item->message_count && item->messages != NULL; i++) {
        message_done(&item->messages[i]);
    }
    free(item->messages);
    if (item->base.kind == ITEM_RESULT) {
        command_result_done(&item->as.result);
    } else if (item->base.kind == ITEM_TROUBLE || item->base.kind == ITEM_WARNING) {
        free(item->as.told.event);
        free(item->as.told.text);
    }
    free(item);
}

/* Takes the item. */
static void server_take(struct agent_server *server, struct item *item, uint64_t now_ms,
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
        log_counters(server);
        break;
    }
    item_free(item);
}

/* ---- life ---- */

/* Only where nothing of it runs yet or any more. */
static void server_free(struct agent_server *server)
{
    struct inbox_item *list = inbox_take(server->inbox, 0);
    while (list != NULL) {
        struct item *item = (struct item *)(void *)list;
        list = list->next;
        item_free(item);
    }
    inbox_free(server->inbox);
    agent_free(server->core);
    agent_ready_done(&server->ready);
    free(server->out);
    free(server->batch);
    free(server);
}

bool agent_server_start(const struct agent_settings *settings, struct policy *policy,
                        const struct link_secret *secret, struct agent_server **ret_server,
                        struct error *ret_error)
{
    struct agent_server *server = alloc_zeroed(sizeof(*server));
    server->settings = *settings;
    server->inbox = inbox_new();
    server->core = agent_new(&settings->core, clock_monotonic_ms());
    server->deadline_ms = UINT64_MAX;
    server->drain_deadline_ms = UINT64_MAX;
    struct pg_options pg_options = {
        .participant = server->settings.core.participant,
        .conninfo = server->settings.conninfo,
        .token_file = server->settings.token_file,
        .worker_count = settings->worker_count,
        .finisher_count = settings->finisher_count,
        .interactive_count = settings->core.interactive_max,
        .external_count = settings->external_count,
        .queue_limit = settings->queue_limit,
        .max_result_bytes = settings->max_result_bytes,
        .proof = settings->proof,
        .policy = policy,
        .incarnation = server_random(server),
        .user = server,
        .on_result = on_result,
        .on_status = on_status,
        .on_warning = on_warning,
    };
    if (!pg_start(&pg_options, &server->pg, ret_error)) {
        server_free(server);
        return error_wrap(ret_error, "cannot start the database connections");
    }
    struct link_options link_options = {
        .listen = server->settings.listen,
        .participant = server->settings.core.participant,
        .secret = *secret,
        .silence_ms = settings->silence_ms,
        .callbacks = {.user = server,
                      .on_up = on_up,
                      .on_messages = on_messages,
                      .on_down = on_down,
                      .on_trouble = on_trouble},
    };
    if (!link_start(&link_options, &server->link, ret_error)) {
        pg_stop(server->pg, 0);
        server_free(server);
        return error_wrap(ret_error, "cannot listen on %s", settings->listen);
    }
    *ret_server = server;
    return true;
}

void agent_server_set_policy(struct agent_server *server, struct policy *policy)
{
    pg_set_policy(server->pg, policy);
}

void agent_server_address(const struct agent_server *server, char ret_address[ADDRESS_SIZE])
{
    link_address(server->link, ret_address);
}

bool agent_server_run(struct agent_server *server, void (*reload)(void *user), void *user)
{
    for (;;) {
        uint64_t deadline_ms = server->deadline_ms < server->drain_deadline_ms
                                   ? server->deadline_ms
                                   : server->drain_deadline_ms;
        struct inbox_item *list = inbox_take(server->inbox, deadline_ms);
        uint64_t now_ms = clock_monotonic_ms();
        if (list == NULL) {
            struct agent_event event = {.kind = AGENT_EVENT_TIMER};
            server_step(server, &event, now_ms);
        }
        while (list != NULL) {
            struct item *item = (struct item *)(void *)list;
            list = list->next;
            server_take(server, item, now_ms, reload, user);
        }
        server_flush(server);
        if (server->is_draining && server->is_drained) {
            return true;
        }
        if (now_ms >= server->drain_deadline_ms) {
            return false;
        }
    }
}

void agent_server_stop(struct agent_server *server)
{
    log_counters(server);
    link_stop(server->link, LINK_STOP_MS);
    pg_stop(server->pg, PG_STOP_MS);
    /* The inbox may hold what was posted meanwhile; the process ends, and with it all of this. */
}
