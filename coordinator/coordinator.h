/*
 * coordinator.h - the driver: one owner thread around the pure core, an inbox in front of it, edges around it.
 *
 * It carries out what core.h's ready asks for and attaches what the journal knows to events. It decides nothing
 * about transactions.
 */
#ifndef ASSENT_COORDINATOR_COORDINATOR_H
#define ASSENT_COORDINATOR_COORDINATOR_H

#include "common/link.h"
#include "coordinator/api.h"
#include "coordinator/config.h"

struct coordinator;

/* Opens the journal (P-17), recovers, starts the link; nothing is told to anybody before the EPOCH record is
 * durable. Borrows the configuration until coordinator_free. */
bool coordinator_new(const struct config *config, struct coordinator **ret_coordinator,
                     struct error *ret_error);

struct api_sink coordinator_sink(struct coordinator *coordinator);

/* From a signal thread: begin to drain; called again: leave as soon as what is durable is durable. */
void coordinator_terminate(struct coordinator *coordinator);
/* A new configuration (SIGHUP); takes it. Participants are added, changed and, where allowed, removed. */
void coordinator_reconfigure(struct coordinator *coordinator, struct config *config);

struct coordinator_hooks {
    void *user;
    void (*on_running)(void *user);    /* EPOCH is durable: work is taken */
    void (*on_draining)(void *user);   /* edges stop taking connections */
    bool (*wants_changes)(void *user); /* is anybody there to be told? May be NULL */
    /* A transaction began, or its state as it is shown changed; takes the view's contents. */
    void (*on_change)(void *user, struct txn_view *view);
};

/* Runs until it has drained or must stop; returns the exit code. */
int coordinator_run(struct coordinator *coordinator, const struct coordinator_hooks *hooks);

/* After run: stops link and journal thread, closes the journal. */
void coordinator_free(struct coordinator *coordinator);

#endif
