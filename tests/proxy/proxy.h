/*
 * proxy.h - a TCP proxy that understands what it carries: nng's frames with Assent's messages, and
 * PostgreSQL's protocol. It makes bad networks for tests.
 *
 * A route is a listener on 127.0.0.1 and the port that it forwards to. Bad networks come in two forms.
 * Weather lasts until it is changed: nothing passes, or is lost, or only a few bytes at a time, both ways or one
 * way only. A rule strikes once: "the third COMMIT PREPARED of this route: drop its answer",
 * "hold WORK for 2 s", "reset the connection right behind the first PREPARE TRANSACTION". Rules look for
 * their text in the labels of stream.h; units are forwarded whole or not at all.
 *
 * One thread with an epoll loop does all the work; it waits for sockets, for the next held or
 * throttled byte, and for calls of the functions below, which may come from any thread. Nothing is allocated per
 * byte: a connection buffers at most one unit (STREAM_UNIT_MAX_BYTES) and some pieces each way, and
 * reads no further until they are gone.
 *
 * Called by `assent-fault run` and by tests. Knows nothing of clusters, daemons and histories.
 */
#ifndef ASSENT_TESTS_PROXY_PROXY_H
#define ASSENT_TESTS_PROXY_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "tests/proxy/stream.h"

#define PROXY_ROUTES_MAX      16
#define PROXY_RULES_MAX       64
#define PROXY_CONNECTIONS_MAX 1024

struct proxy;

/* Directions of a route, seen from who connects. */
enum proxy_direction {
    PROXY_TO_TARGET = 1,
    PROXY_TO_DIALER = 2,
    PROXY_BOTH = 3,
};

struct proxy_route {
    const char *name; /* for people */
    enum stream_kind kind;
    uint16_t listen_port; /* 0: a free one */
    uint16_t target_port; /* on 127.0.0.1 */
};

bool proxy_new(struct proxy **ret_proxy, struct error *ret_error);
/* Resets all connections. NULL is fine. */
void proxy_free(struct proxy *proxy);

/* *ret_route is a number for the calls below. */
bool proxy_add_route(struct proxy *proxy, const struct proxy_route *route, size_t *ret_route,
                     struct error *ret_error);
uint16_t proxy_port(const struct proxy *proxy, size_t route);

/* --- weather ---------------------------------------------------------------------------------- */

enum proxy_sky {
    PROXY_CLEAR = 0,
    PROXY_HELD, /* nothing passes; what was sent arrives when it clears (a partition that TCP outlives) */
    PROXY_LOST, /* nothing passes; when it clears, connections that lost bytes are reset */
    PROXY_SLOW, /* so many bytes at a time with a pause behind each piece */
};

struct proxy_weather {
    enum proxy_sky sky;
    uint32_t piece_bytes; /* PROXY_SLOW: at least 1 */
    uint32_t pause_ms;    /* PROXY_SLOW: 0 only cuts into pieces */
};

/* New connections are accepted under HELD and LOST, and connected further when it clears. */
void proxy_set_weather(struct proxy *proxy, size_t route, enum proxy_direction direction,
                       struct proxy_weather weather);
/* Resets (RST) every connection of the route now; returns how many. */
size_t proxy_reset(struct proxy *proxy, size_t route);

/* --- rules ------------------------------------------------------------------------------------ */

enum proxy_action {
    PROXY_DROP = 1,   /* this unit does not arrive */
    PROXY_HOLD,       /* it and what follows arrive hold_ms later */
    PROXY_CUT,        /* the connection is reset in its place: it does not arrive */
    PROXY_CUT_BEHIND, /* it arrives (is handed to the kernel), then the connection is reset */
    PROXY_CLOSE,      /* as CUT, with an orderly end both ways */
    PROXY_MUTE,       /* it and everything behind it in this direction is swallowed for ever */
};

struct proxy_rule {
    size_t route;
    enum proxy_direction direction; /* one of them */
    const char *text;               /* to be found in the unit's label; at most 63 bytes; copied */
    const char *peer;               /* NULL: any; else only links of this participant; copied */
    uint32_t nth;                   /* strikes at the nth from now on; 0 counts as 1 */
    uint32_t times;                 /* how many in a row; 0 counts as 1 */
    enum proxy_action action;
    uint32_t hold_ms;
};

/* *ret_id is never 0. */
bool proxy_add_rule(struct proxy *proxy, const struct proxy_rule *rule, uint64_t *ret_id,
                    struct error *ret_error);
/* Waits until it has struck `times` times. False at the deadline, or if there is no such rule. */
bool proxy_wait_rule(struct proxy *proxy, uint64_t id, uint64_t deadline_ms);
/* Returns how often it struck, and forgets it. ret_label (may be NULL, else of STREAM_LABEL_SIZE
 * bytes) gets the label of the last unit it struck, "" for none. */
uint32_t proxy_remove_rule(struct proxy *proxy, uint64_t id, char *ret_label);

/* --- looking ---------------------------------------------------------------------------------- */

struct proxy_counts {
    uint64_t connections, connections_now, units, bytes, broken; /* broken: passed on unread */
};
void proxy_count(struct proxy *proxy, size_t route, struct proxy_counts *ret_counts);

#endif
