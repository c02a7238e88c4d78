/*
 * http_pump.h - a thread for what libmicrohttpd does not see of a suspended connection: that its client has gone, and that time
 * passes.
 *
 * Used by http_stream.c (keep-alives, news) and http_wait.c (the time is up). It waits in epoll for the next of: a client that
 * hangs up, the nearest time, a word from another thread. The gate's lock is held in every call but start and stop.
 */
#ifndef ASSENT_COORDINATOR_HTTP_PUMP_H
#define ASSENT_COORDINATOR_HTTP_PUMP_H

#include "common/error.h"
#include "common/heap.h"

struct exchange;
struct gate;
struct pump;

struct watch {
    struct heap_node timer; /* first: a node is its watch */
    struct exchange *exchange;
    uint64_t token; /* 0: not watched. Sockets' numbers come again, tokens never */
    int fd;
    bool is_gone; /* the client has hung up */
};

bool pump_start(struct gate *gate, struct pump **ret_pump, struct error *ret_error);
void pump_stop(struct pump *pump);

void watch_init(struct watch *watch, struct exchange *exchange, int fd);
/* Tells once when the client hangs up (exchange_hung_up). Where the system has no room for one more, nothing is told: then a
 * keep-alive that cannot be sent, or the end of the wait, finds out. */
void pump_watch(struct pump *pump, struct watch *watch);
/* At due_ms (CLOCK_MONOTONIC) exchange_time_up is called; UINT64_MAX: never. */
void pump_set_timer(struct pump *pump, struct watch *watch, uint64_t due_ms);
void pump_forget(struct pump *pump, struct watch *watch); /* also when nothing was asked for */
void pump_tell_news(struct pump *pump);                   /* idle streams are to look again */

#endif
