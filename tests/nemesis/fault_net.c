/*
 * fault_net.c - faults of the network, by the proxy: weather on a route, connections reset, single messages
 * dropped, held or cut at. See fault.h.
 */
#include <stdio.h>

#include "fault.h"

/* Which connections, and what to call them. */
static void draw_route(struct run *run, struct fault *fault, struct random *random)
{
    const struct world *world = &run->world;
    if (!fault->kind->on_database) {
        const struct {
            size_t route;
            const char *name;
        } routes[] = {{world->coordinator_route, "agents-assentd"},
                      {world->client_route, "clients-assentd"},
                      {world->http_route, "http-assentd"}};
        uint32_t lot = random_below(random, 10);
        size_t chosen = lot < 6 ? 0 : lot < 8 ? 1 : 2;
        fault->route = routes[chosen].route;
        (void)snprintf(fault->target, sizeof fault->target, "%s", routes[chosen].name);
        return;
    }
    bool database = random_percent(random, 50);
    fault->route =
        database ? world->database_route[fault->database] : world->agent_route[fault->database];
    (void)snprintf(fault->target, sizeof fault->target, "%s-%s", database ? "agent" : "assentd",
                   world->names[fault->database]);
}

static const char *direction_text(enum proxy_direction direction)
{
    return direction == PROXY_BOTH ? "both ways" : direction == PROXY_TO_TARGET ? "there" : "back";
}

bool fault_net_begin(struct run *run, struct fault *fault, struct random *random,
                     struct error *ret_error)
{
    (void)ret_error;
    struct proxy_weather weather = {0};
    enum proxy_direction direction = (enum proxy_direction)random_between(random, 1, 3);
    draw_route(run, fault, random);
    switch (random_below(random, 4)) {
    case 0:
        weather.sky = PROXY_HELD;
        (void)snprintf(fault->detail, sizeof fault->detail, "held, %s", direction_text(direction));
        break;
    case 1:
        weather.sky = PROXY_LOST;
        (void)snprintf(fault->detail, sizeof fault->detail, "lost, %s", direction_text(direction));
        break;
    case 2:
        weather =
            (struct proxy_weather){.sky = PROXY_SLOW, .piece_bytes = random_between(random, 1, 7)};
        (void)snprintf(fault->detail, sizeof fault->detail, "in pieces of %u bytes, %s",
                       weather.piece_bytes, direction_text(direction));
        break;
    default:
        weather = (struct proxy_weather){.sky = PROXY_SLOW,
                                         .piece_bytes = random_between(random, 20, 2000),
                                         .pause_ms = random_between(random, 5, 100)};
        (void)snprintf(fault->detail, sizeof fault->detail, "%u bytes every %u ms, %s",
                       weather.piece_bytes, weather.pause_ms, direction_text(direction));
        break;
    }
    proxy_set_weather(run->world.proxy, fault->route, direction, weather);
    return true;
}

bool fault_net_end(struct run *run, struct fault *fault, struct error *ret_error)
{
    (void)ret_error;
    proxy_set_weather(run->world.proxy, fault->route, PROXY_BOTH, (struct proxy_weather){0});
    return true;
}

bool fault_reset_begin(struct run *run, struct fault *fault, struct random *random,
                       struct error *ret_error)
{
    draw_route(run, fault, random);
    size_t count = proxy_reset(run->world.proxy, fault->route);
    (void)snprintf(fault->detail, sizeof fault->detail, "%zu connections reset", count);
    return count > 0 || error_set(ret_error, ERROR_NOT_FOUND, "no connection to reset");
}

/* --- single messages -------------------------------------------------------------------------- */

enum wire_place { WIRE_DATABASE = 1, WIRE_AGENT, WIRE_COORDINATOR, WIRE_CLIENT };

static const struct {
    enum wire_place place;
    enum proxy_direction direction;
    const char *text;
} wires[] = {
    {WIRE_DATABASE, PROXY_TO_TARGET, "sql PREPARE TRANSACTION"},
    {WIRE_DATABASE, PROXY_TO_DIALER, "tag PREPARE TRANSACTION"},
    {WIRE_DATABASE, PROXY_TO_TARGET, "sql COMMIT PREPARED"},
    {WIRE_DATABASE, PROXY_TO_DIALER, "tag COMMIT PREPARED"},
    {WIRE_DATABASE, PROXY_TO_TARGET, "sql ROLLBACK PREPARED"},
    {WIRE_DATABASE, PROXY_TO_DIALER, "tag ROLLBACK PREPARED"},
    {WIRE_AGENT, PROXY_TO_TARGET, "msg WORK"},
    {WIRE_AGENT, PROXY_TO_TARGET, "msg COMMIT"},
    {WIRE_AGENT, PROXY_TO_TARGET, "msg ROLLBACK"},
    {WIRE_AGENT, PROXY_TO_TARGET, "msg VERDICT"},
    {WIRE_AGENT, PROXY_TO_TARGET, "msg HEAD"},
    {WIRE_COORDINATOR, PROXY_TO_TARGET, "msg VOTE"},
    {WIRE_COORDINATOR, PROXY_TO_TARGET, "msg ACK"},
    {WIRE_COORDINATOR, PROXY_TO_TARGET, "msg HEALTH"},
    {WIRE_COORDINATOR, PROXY_TO_TARGET, "msg INQUIRY"},
    {WIRE_CLIENT, PROXY_TO_TARGET, "frame data"},
    {WIRE_CLIENT, PROXY_TO_DIALER, "frame data"},
};

static size_t wire_route(const struct run *run, const struct fault *fault, enum wire_place place)
{
    const struct world *world = &run->world;
    return place == WIRE_DATABASE ? world->database_route[fault->database]
           : place == WIRE_AGENT  ? world->agent_route[fault->database]
           : place == WIRE_CLIENT ? world->client_route
                                  : world->coordinator_route;
}

/* A database's: to the agent and its database, or what the agent says. The coordinator's: what clients say. */
static size_t draw_wire(const struct fault *fault, struct random *random)
{
    size_t first_client = sizeof wires / sizeof wires[0] - 2;
    return fault->kind->on_database ? random_below(random, (uint32_t)first_client)
                                    : first_client + random_below(random, 2);
}

bool fault_wire_begin(struct run *run, struct fault *fault, struct random *random,
                      struct error *ret_error)
{
    static const char *const actions[] = {"",           "drop",     "hold",     "cut at",
                                          "cut behind", "close at", "mute from"};
    size_t wire = draw_wire(fault, random);
    enum wire_place place = wires[wire].place;
    enum proxy_action action = (enum proxy_action)random_between(random, PROXY_DROP, PROXY_MUTE);
    struct proxy_rule rule = {.route = wire_route(run, fault, place),
                              .direction = wires[wire].direction,
                              .text = wires[wire].text,
                              .nth = random_between(random, 1, 6),
                              .times = random_between(random, 1, 3),
                              .action = action,
                              .hold_ms = random_between(random, 100, 4000)};
    if (place == WIRE_COORDINATOR) {
        rule.peer = run->world.names[fault->database];
    }
    fault->route = rule.route;
    /* A connection that lacks a message of PostgreSQL's, or is mute, is of no use any more; who uses
     * it finds out by a deadline of his own. When the fault ends, it is to be over. */
    fault->resets = action == PROXY_MUTE || (action == PROXY_DROP && place == WIRE_DATABASE);
    (void)snprintf(fault->target, sizeof fault->target, "%s-%s",
                   place == WIRE_CLIENT     ? "clients"
                   : place == WIRE_DATABASE ? "agent"
                   : place == WIRE_AGENT    ? "assentd"
                                            : "to-assentd",
                   place == WIRE_CLIENT ? "assentd" : run->world.names[fault->database]);
    (void)snprintf(fault->detail, sizeof fault->detail, "%s %s %s, from the %u. on, %u times",
                   actions[action], rule.direction == PROXY_TO_TARGET ? "" : "answer", rule.text,
                   rule.nth, rule.times);
    return proxy_add_rule(run->world.proxy, &rule, &fault->rule, ret_error);
}

bool fault_wire_end(struct run *run, struct fault *fault, struct error *ret_error)
{
    (void)ret_error;
    uint32_t struck = proxy_remove_rule(run->world.proxy, fault->rule, NULL);
    (void)snprintf(fault->detail, sizeof fault->detail, "struck %u times", struck);
    fault->rule = 0;
    if (fault->resets && struck > 0) {
        (void)proxy_reset(run->world.proxy, fault->route);
    }
    return true;
}
