/*
 * test_link_proxy.h - somebody in the middle: forwards connections to an agent and meddles with
 * what the coordinator sends there.
 */
#ifndef ASSENT_TESTS_UNIT_TEST_LINK_PROXY_H
#define ASSENT_TESTS_UNIT_TEST_LINK_PROXY_H

#include <stdbool.h>
#include <stdint.h>

enum meddling {
    MEDDLE_NOT,
    MEDDLE_FLIP_HEADER, /* flips a bit in the header of the next data frame with messages */
    MEDDLE_FLIP_BODY,
    MEDDLE_FLIP_MAC,
    MEDDLE_REPEAT, /* sends it twice */
    MEDDLE_DROP,   /* loses it */
    MEDDLE_COUNT,
};

struct link_proxy;

/* Listens on a free port of 127.0.0.1. Aborts the test on error. */
struct link_proxy *link_proxy_start(uint16_t agent_port, uint16_t *ret_port);
void link_proxy_meddle(struct link_proxy *proxy, enum meddling meddling);
/* Waits until a frame has been dropped. */
bool link_proxy_wait_dropped(struct link_proxy *proxy, int patience_ms);
void link_proxy_stop(struct link_proxy *proxy);

/* A plain TCP connection to 127.0.0.1; aborts on error. */
int tcp_connect(uint16_t port);

#endif
