/* agent_internal.h - the driver's state, shared by agent*.c only. */
#ifndef ASSENT_PARTICIPANT_AGENT_INTERNAL_H
#define ASSENT_PARTICIPANT_AGENT_INTERNAL_H

#include "common/inbox.h"
#include "participant/agent.h"
#include "participant/pg.h"

#define RANDOM_POOL_SIZE  256
#define NOTICE_KIND_COUNT (AGENT_NOTICE_MISPLACED + 1)

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

/* agent_item.c */
struct link_callbacks item_link_callbacks(struct agent_server *server);
void item_pg_callbacks(struct agent_server *server, struct pg_options *options);
void item_free(struct item *item);

/* agent_take.c: takes the item. */
void server_take(struct agent_server *server, struct item *item, uint64_t now_ms,
                 void (*reload)(void *user), void *user);
void server_log_counters(const struct agent_server *server);

/* agent_step.c: one step; at the end of a round, what its steps want sent. */
void server_step(struct agent_server *server, struct agent_event *event, uint64_t now_ms);
void server_flush(struct agent_server *server);
uint64_t server_random(struct agent_server *server);

/* agent_notice.c: those of the last step. */
void server_log_notices(struct agent_server *server, uint64_t now_ms);

#endif
