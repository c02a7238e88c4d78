/*
 * connection.h - the connection of a client to its coordinator: an nng socket and what dials for it.
 * Used by client.c, exchange.c and timer.c; knows nothing of requests.
 */
#ifndef ASSENT_CLIENT_CONNECTION_H
#define ASSENT_CLIENT_CONNECTION_H

#include <nng/nng.h>
#include <pthread.h>
#include <stdbool.h>

struct connection;

/* A parked one of that address, or a new one. "tcp://HOST:PORT". ASSENT_OK, ASSENT_E_ARGUMENT or ASSENT_E_SYSTEM. */
int connection_take(const char *url, struct connection **ret_connection);
/* Gives it back; it stays open (see connection.c). */
void connection_park(struct connection *connection);

nng_socket connection_socket(const struct connection *connection);

/* A request has been waiting for it: dials anew if it is time to. Not on two threads at once; never waits. */
void connection_look(struct connection *connection);

/* Starts a thread in which all signals are blocked, SIGPIPE and the application's. False if there is none. */
bool connection_thread(void *(*run)(void *), void *user, pthread_t *ret_thread);

#endif
