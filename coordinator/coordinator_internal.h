/* coordinator_internal.h - the driver's state, shared by coordinator*.c only. */
#ifndef ASSENT_COORDINATOR_COORDINATOR_INTERNAL_H
#define ASSENT_COORDINATOR_COORDINATOR_INTERNAL_H

#include <stdatomic.h>

#include "common/inbox.h"
#include "coordinator/coordinator.h"
#include "coordinator/journal_thread.h"

struct session_name { /* which participant speaks on a session */
    uint64_t session;
    char participant[PARTICIPANT_NAME_SIZE];
};

struct coordinator {
    const struct config *config;
    struct config *replacement; /* the newest one that SIGHUP brought; owned */
    struct inbox *inbox;
    struct coord *coord;
    struct coord_ready ready;
    struct journal *journal;
    struct journal_thread *journal_thread;
    struct link *link;
    size_t session_count;
    struct session_name *sessions;
    struct journal_entry prior_entry; /* lent to the event that is being stepped */
    bool prior_held;
    size_t newest_count; /* the same, for WELCOME */
    struct journal_entry *newest;
    bool journal_failed;
    struct error journal_error;
    const struct coordinator_hooks *hooks; /* while it runs */
    bool is_running;                       /* P-16: what is seen may be told */
    size_t change_count, change_capacity;
    struct txn_view *changes; /* of this round, in order */
    uint64_t events;          /* draws for the jitter */
    atomic_uint terminations;
};

/* coordinator_take.c: turns what was posted into events. Takes the items. */
void take_all(struct coordinator *coordinator, struct inbox_item *items);

/* coordinator_step.c: false if the journal could not be read; then nothing happened. */
bool step_event(struct coordinator *coordinator, struct coord_event *event);
void step_call(struct coordinator *coordinator, struct api_call *call);
void step_pages(struct coordinator *coordinator);

/* coordinator_prior.c: attaches to an event what the core says that it wants from the journal, and lets it go after the
 * step. False: it could not be read, and the event must not be stepped. */
bool prior_attach(struct coordinator *coordinator, struct coord_event *event);
void prior_release(struct coordinator *coordinator);
void prior_free_entries(struct journal_entry *entries, size_t count);
void prior_unreadable(const struct error *error); /* logs it */

/* coordinator_participants.c: one that the configuration names; a whole new configuration, which it takes. */
void participants_add(struct coordinator *coordinator,
                      const struct config_participant *participant);
void participants_replace(struct coordinator *coordinator, struct config *config);

/* coordinator_calls.c: questions that change nothing; answers and completes the call. */
void calls_answer(struct coordinator *coordinator, struct api_call *call);

/* coordinator_carry.c: carries out what the core asks for. */
void carry_ready(struct coordinator *coordinator);

#endif
