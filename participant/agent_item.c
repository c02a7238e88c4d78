/* agent_item.c - what other threads put into the driver's inbox: the callbacks of link and PostgreSQL edge, and what main's signal
 * thread asks for. They only post. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "participant/agent_internal.h"

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

struct link_callbacks item_link_callbacks(struct agent_server *server)
{
    return (struct link_callbacks){.user = server,
                                   .on_up = on_up,
                                   .on_messages = on_messages,
                                   .on_down = on_down,
                                   .on_trouble = on_trouble};
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

void item_pg_callbacks(struct agent_server *server, struct pg_options *options)
{
    options->user = server;
    options->on_result = on_result;
    options->on_status = on_status;
    options->on_warning = on_warning;
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

void item_free(struct item *item)
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
