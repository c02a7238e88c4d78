/* agent.c - see agent.h: the life of the driver. What it takes out of the inbox: agent_take.c; what a step hands out: agent_step.c. */
#include "participant/agent.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "participant/agent_internal.h"

#define LINK_STOP_MS 1000
#define PG_STOP_MS   2000

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
    };
    item_pg_callbacks(server, &pg_options);
    if (!pg_start(&pg_options, &server->pg, ret_error)) {
        server_free(server);
        return error_wrap(ret_error, "cannot start the database connections");
    }
    struct link_options link_options = {
        .listen = server->settings.listen,
        .participant = server->settings.core.participant,
        .secret = *secret,
        .silence_ms = settings->silence_ms,
        .callbacks = item_link_callbacks(server),
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
    server_log_counters(server);
    link_stop(server->link, LINK_STOP_MS);
    pg_stop(server->pg, PG_STOP_MS);
    /* The inbox may hold what was posted meanwhile; the process ends, and with it all of this. */
}
