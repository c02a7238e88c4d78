/*
 * timer.h - the time limits of a client's exchanges, kept by the monotonic clock (P-15). One thread per
 * client, which sleeps until the earliest limit and does not wake where nothing is under way.
 *
 * Why not nng's: nng 1.5.2 keeps time by the wall clock, whatever its documentation says (upstream 1526, mended in
 * 1.6). What waits when that clock is set back waits for as long as the jump besides; set ahead, it ends at once.
 */
#ifndef ASSENT_CLIENT_TIMER_H
#define ASSENT_CLIENT_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct exchange;
struct timer;

/* An exchange's place in the timer; timer.c's own. */
struct timed {
    struct exchange *next, *previous; /* while armed */
    bool is_armed;
    bool is_over;       /* never armed again */
    bool is_timing_out; /* the timer's thread is telling nng so */
    bool is_left_to_it; /* nng's callback came meanwhile */
    bool is_unsent;     /* waits for a connection */
    uint64_t since_ms;  /* armed then */
    uint64_t due_ms;    /* the time of the limit */
};

/* Starts the thread. The connection is looked at while requests wait for it (connection_look). False if the system
 * gives no thread. */
bool timer_start(struct connection *connection, struct timer **ret_timer);
/* Ends it. Every exchange has been forgotten. */
void timer_stop(struct timer *timer);

/* From ms on exchange_time_out is called, again and again until timer_disarm. */
void timer_arm(struct timer *timer, struct exchange *exchange, uint32_t ms, bool is_unsent);
/* For nng's callback, first of all. False: the timer's thread is calling exchange_time_out right now, and calls
 * exchange_step behind that in the callback's stead. */
bool timer_disarm(struct timer *timer, struct exchange *exchange);
/* From here on the thread does not know the exchange; waits for what it is doing with it. */
void timer_forget(struct timer *timer, struct exchange *exchange);

#endif
