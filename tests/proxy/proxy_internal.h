/*
 * proxy_internal.h - what the proxy's own files share; nobody else includes it. Everything is guarded by the
 * proxy's lock, which its thread holds but while it waits.
 */
#ifndef ASSENT_TESTS_PROXY_PROXY_INTERNAL_H
#define ASSENT_TESTS_PROXY_PROXY_INTERNAL_H

#include <pthread.h>

#include "tests/proxy/proxy.h"

#define PROXY_TEXT_SIZE 64

struct bytes { /* a queue of bytes */
    uint8_t *data;
    size_t begin, size_bytes, capacity_bytes;
};

/* One direction of a connection: from a socket through units to the other socket. */
struct flow {
    struct stream stream;
    bool raw;               /* not readable as a protocol (any more): passed on as it comes */
    struct bytes in;        /* received, not judged yet */
    struct bytes out;       /* to be sent */
    bool ended;             /* the sender has closed its side */
    bool shut;              /* and so have we, behind the last byte */
    bool mute;              /* swallows everything */
    bool lossy;             /* bytes were swallowed: what follows would make no sense */
    bool cut_behind;        /* reset when `out` is empty */
    size_t judged_bytes;    /* of the unit at the head of `in`: a rule has held it, let it pass */
    uint64_t held_until_ms; /* 0: not held */
    uint64_t next_piece_ms; /* throttled: not before */
};

enum link_end { END_DIALER = 0, END_TARGET = 1 };

struct connection;

struct proxy_end {                 /* what an event of epoll points at */
    struct connection *connection; /* NULL: a listener, or the wakeup */
    size_t index;                  /* enum link_end; a listener's route; WAKEUP_INDEX */
};

struct connection {
    struct proxy *proxy;
    size_t route;
    struct proxy_end ends[2];
    int fd[2];           /* by enum link_end; -1: none */
    uint32_t events[2];  /* what epoll waits for */
    bool connected;      /* to the target */
    bool dead;           /* one end has vanished */
    bool doomed;         /* to be freed at the end of the round */
    struct flow flow[2]; /* by the end that sends: [END_DIALER] goes to the target */
    struct connection *next;
};

struct route {
    char name[PROXY_TEXT_SIZE];
    enum stream_kind kind;
    int listener;
    struct proxy_end end;
    uint16_t listen_port, target_port;
    struct proxy_weather weather[2]; /* by the end that sends */
    struct proxy_counts counts;
};

struct rule {
    uint64_t id; /* 0: free */
    struct proxy_rule of;
    char text[PROXY_TEXT_SIZE];
    char peer[STREAM_PEER_SIZE];
    uint32_t seen, struck;
    char label[STREAM_LABEL_SIZE];
};

struct proxy {
    pthread_mutex_t lock;
    pthread_cond_t struck; /* CLOCK_MONOTONIC */
    pthread_t thread;
    bool stopping;
    int epoll, wakeup; /* eventfd */
    size_t route_count;
    struct route routes[PROXY_ROUTES_MAX];
    struct rule rules[PROXY_RULES_MAX];
    uint64_t last_rule_id;
    struct connection *connections;
};

/* proxy_flow.c */
/* Judges what was received, and moves it on; to be called whenever something has changed. Sets
 * *ret_next_ms to the time when it should be called again without a change, if earlier. */
void connection_pump(struct connection *connection, uint64_t now_ms, uint64_t *ret_next_ms);
/* An end was reset, or has nothing more to say or hear. */
void connection_hang_up(struct connection *connection, enum link_end end);
void connection_reset(struct connection *connection); /* both ends, at once */
void bytes_done(struct bytes *bytes);

/* proxy_rule.c */
/* The rule that strikes this unit, or NULL; counts it as seen by all that match. */
struct rule *rules_judge(struct proxy *proxy, size_t route, enum link_end from, const char *peer,
                         const struct stream_unit *unit);

#endif
