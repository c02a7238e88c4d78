/*
 * crash_wire.c - what is lost, late or cut off between two processes: tests/proxy stands between
 * all of them. See crash_faults.def and crash_stage.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/crash/crash_stage.h"
#include "tests/proxy/proxy.h"

#define LATE_MS (CRASH_SHORT_MS + 1000)

struct crash_wire {
    struct proxy *proxy;
    size_t to_database[CRASH_PARTICIPANTS];
    size_t to_agent[CRASH_PARTICIPANTS];
    size_t to_coordinator;
};

/* --- between the processes -------------------------------------------------------------------- */

static bool rewrite(struct stack_daemon *daemon, const char *from, const char *to,
                    struct error *ret_error)
{
    char *text = stack_config_text(daemon);
    const char *place = strstr(text, from);
    char *changed = NULL;
    bool succeeded = place != NULL && asprintf(&changed, "%.*s%s%s", (int)(place - text), text, to,
                                               place + strlen(from)) > 0;
    succeeded = succeeded ? stack_config_write(daemon, changed, ret_error)
                          : error_set(ret_error, ERROR_INVALID, "%s has no \"%s\"",
                                      stack_daemon_config_path(daemon), from);
    free(changed);
    free(text);
    return succeeded;
}

/* The port behind the first `key` of a configuration. */
static bool find_port(const struct stack_daemon *daemon, const char *key, uint16_t *ret_port,
                      struct error *ret_error)
{
    char *text = stack_config_text(daemon);
    const char *place = strstr(text, key);
    const long port = place == NULL ? 0 : strtol(place + strlen(key), NULL, 10);
    free(text);
    if (port <= 0 || port > UINT16_MAX) {
        return error_set(ret_error, ERROR_INVALID, "no port behind \"%s\"", key);
    }
    *ret_port = (uint16_t)port;
    return true;
}

static bool add_route(struct crash_wire *wire, const char *name, enum stream_kind kind,
                      uint16_t target, size_t *ret_route, struct error *ret_error)
{
    const struct proxy_route route = {.name = name, .kind = kind, .target_port = target};
    return proxy_add_route(wire->proxy, &route, ret_route, ret_error);
}

/* The agent dials its database through the proxy, and assentd the agent. */
static bool divert_member(struct crash_wire *wire, struct stack *stack, size_t index,
                          struct error *ret_error)
{
    const struct pgcluster *cluster = stack_cluster(stack, index);
    struct stack_daemon *agent = stack_agent(stack, index);
    uint16_t port = 0;
    char from[256];
    char to[256];
    if (!find_port(agent, "\nlisten = 127.0.0.1:", &port, ret_error) ||
        !add_route(wire, "database", STREAM_POSTGRES, pgcluster_port(cluster),
                   &wire->to_database[index], ret_error) ||
        !add_route(wire, "agent", STREAM_LINK, port, &wire->to_agent[index], ret_error)) {
        return false;
    }
    (void)snprintf(from, sizeof from, "host=%s port=%u", pgcluster_folder(cluster),
                   pgcluster_port(cluster));
    (void)snprintf(to, sizeof to, "host=127.0.0.1 port=%u sslmode=disable gssencmode=disable",
                   proxy_port(wire->proxy, wire->to_database[index]));
    if (!rewrite(agent, from, to, ret_error)) {
        return false;
    }
    (void)snprintf(from, sizeof from, "\naddress = 127.0.0.1:%u\n", port);
    (void)snprintf(to, sizeof to, "\naddress = 127.0.0.1:%u\n",
                   proxy_port(wire->proxy, wire->to_agent[index]));
    return rewrite(stack_coordinator(stack), from, to, ret_error);
}

/* The agents dial assentd through it. */
static bool divert_coordinator(struct crash_wire *wire, struct stack *stack,
                               struct error *ret_error)
{
    struct stack_daemon *coordinator = stack_coordinator(stack);
    uint16_t port = 0;
    char from[96];
    char to[160];
    if (!find_port(coordinator, "\nlisten = 127.0.0.1:", &port, ret_error) ||
        !add_route(wire, "assentd", STREAM_LINK, port, &wire->to_coordinator, ret_error)) {
        return false;
    }
    (void)snprintf(from, sizeof from, "\nlisten = 127.0.0.1:%u\n", port);
    (void)snprintf(to, sizeof to, "\nlisten = 127.0.0.1:%u\nadvertise = 127.0.0.1:%u\n", port,
                   proxy_port(wire->proxy, wire->to_coordinator));
    return rewrite(coordinator, from, to, ret_error);
}

bool crash_wire_new(struct stack *stack, struct crash_wire **ret_wire, struct error *ret_error)
{
    struct crash_wire *wire = alloc_zeroed(sizeof *wire);
    bool succeeded =
        proxy_new(&wire->proxy, ret_error) && divert_coordinator(wire, stack, ret_error);
    for (size_t i = 0; succeeded && i < stack_participant_count(stack); i++) {
        succeeded = divert_member(wire, stack, i, ret_error);
    }
    if (!succeeded) {
        crash_wire_free(wire);
        return false;
    }
    *ret_wire = wire;
    return true;
}

void crash_wire_free(struct crash_wire *wire)
{
    if (wire != NULL) {
        proxy_free(wire->proxy);
        free(wire);
    }
}

/* --- the fault -------------------------------------------------------------------------------- */

/* Where the unit travels, and what the proxy calls it. */
static void find_unit(const struct crash_stage *stage, struct proxy_rule *rule)
{
    const struct crash_wire *wire = stage->wire;
    static const struct {
        const char *text;
        enum { ON_AGENT, ON_COORDINATOR, ON_DATABASE } route;
        enum proxy_direction direction;
    } units[CRASH_FAULT_COUNT] = {
        [WIRE_WORK] = {"msg WORK", ON_AGENT, PROXY_TO_TARGET},
        [WIRE_COMMIT] = {"msg COMMIT", ON_AGENT, PROXY_TO_TARGET},
        [WIRE_ROLLBACK] = {"msg ROLLBACK", ON_AGENT, PROXY_TO_TARGET},
        [WIRE_VERDICT] = {"msg VERDICT", ON_AGENT, PROXY_TO_TARGET},
        [WIRE_VOTE] = {"msg VOTE", ON_COORDINATOR, PROXY_TO_TARGET},
        [WIRE_ACK] = {"msg ACK", ON_COORDINATOR, PROXY_TO_TARGET},
        [WIRE_INQUIRY] = {"msg INQUIRY", ON_COORDINATOR, PROXY_TO_TARGET},
        [WIRE_SQL_BEGIN] = {"sql BEGIN", ON_DATABASE, PROXY_TO_TARGET},
        [WIRE_SQL_PREPARE] = {"sql PREPARE TRANSACTION", ON_DATABASE, PROXY_TO_TARGET},
        [WIRE_SQL_PREPARED] = {"tag PREPARE TRANSACTION", ON_DATABASE, PROXY_TO_DIALER},
        [WIRE_SQL_COMMIT] = {"sql COMMIT PREPARED", ON_DATABASE, PROXY_TO_TARGET},
        [WIRE_SQL_COMMITTED] = {"tag COMMIT PREPARED", ON_DATABASE, PROXY_TO_DIALER},
        [WIRE_SQL_ROLLBACK] = {"sql ROLLBACK PREPARED", ON_DATABASE, PROXY_TO_TARGET},
        [WIRE_SQL_ROLLED_BACK] = {"tag ROLLBACK PREPARED", ON_DATABASE, PROXY_TO_DIALER},
    };
    const size_t fault = stage->cell->fault;
    rule->text = units[fault].text;
    rule->direction = units[fault].direction;
    switch (units[fault].route) {
    case ON_AGENT:
        rule->route = wire->to_agent[stage->participant];
        break;
    case ON_COORDINATOR:
        rule->route = wire->to_coordinator;
        rule->peer = stack_participant(stage->stack, stage->participant);
        break;
    case ON_DATABASE:
        rule->route = wire->to_database[stage->participant];
        break;
    }
}

static enum proxy_action action_of(enum crash_action action)
{
    switch (action) {
    case ACTION_DROP:
        return PROXY_DROP;
    case ACTION_HOLD:
        return PROXY_HOLD;
    case ACTION_CUT:
        return PROXY_CUT;
    case ACTION_BEHIND:
        return PROXY_CUT_BEHIND;
    default:
        return PROXY_MUTE;
    }
}

static bool never(void *user)
{
    (void)user;
    return false;
}

/* Until the fault is over: what is late has come, what is mute is ended. */
static void outlast(struct crash_stage *stage, const struct proxy_rule *rule)
{
    if (rule->action == PROXY_HOLD || rule->action == PROXY_MUTE) {
        (void)stack_poll(NULL, clock_monotonic_ms() + LATE_MS, never, NULL);
    }
    if (rule->action == PROXY_MUTE) {
        (void)proxy_reset(stage->wire->proxy, rule->route);
    }
}

static bool go_on(struct crash_stage *stage, struct error *ret_error)
{
    if (stage->cell->prelude != PRELUDE_NONE) {
        return crash_start_others(stage, NULL, ret_error);
    }
    sale_begin(stage, &stage->sales[0]);
    return true;
}

bool crash_run_wire(struct crash_stage *stage, struct error *ret_error)
{
    struct proxy *proxy = stage->wire->proxy;
    struct proxy_rule rule = {.action = action_of(stage->cell->action), .hold_ms = LATE_MS};
    uint64_t id = 0;
    find_unit(stage, &rule);
    if (!crash_prelude(stage, ret_error) || !proxy_add_rule(proxy, &rule, &id, ret_error)) {
        return false;
    }
    bool struck = go_on(stage, ret_error);
    if (struck && !proxy_wait_rule(proxy, id, crash_patience())) {
        struck = error_set(ret_error, ERROR_UNAVAILABLE, "\"%s\" never came by", rule.text);
    }
    (void)proxy_remove_rule(proxy, id, NULL);
    if (struck) {
        outlast(stage, &rule);
    }
    return struck;
}
