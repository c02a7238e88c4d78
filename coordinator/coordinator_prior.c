/* coordinator_prior.c - what the core wants from the journal: read by the owner thread and attached to the event that is
 * about to be stepped. */
#include <stdlib.h>

#include "common/check.h"
#include "common/log.h"
#include "coordinator/coordinator_internal.h"

#define NEWEST_MAX 64 /* commits that tell where a database stood; more are not in flight at once */

void prior_free_entries(struct journal_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        journal_entry_done(&entries[i]);
    }
    free(entries);
}

void prior_unreadable(const struct error *error)
{
    log_event(LOG_ERROR, "journal could not be read", LOG_S("error", error->text));
}

void prior_release(struct coordinator *coordinator)
{
    if (coordinator->prior_held) {
        journal_entry_done(&coordinator->prior_entry);
        coordinator->prior_held = false;
    }
    prior_free_entries(coordinator->newest, coordinator->newest_count);
    coordinator->newest = NULL;
    coordinator->newest_count = 0;
}

/* Attaches what the core says that it wants from the journal. A read that fails leaves the event without it,
 * which the core treats as "not known" (an inquiry waits); for a key that would be wrong, see below. */
bool prior_attach(struct coordinator *coordinator, struct coord_event *event)
{
    struct gtrid gtrid;
    uint64_t number = 0;
    struct error error;
    struct coord_prior *prior = &event->prior;
    bool found = false;
    if (coord_wants_key(coordinator->coord, event)) {
        CHECK(event->submission != NULL);
        if (!journal_find_key(coordinator->journal, event->submission->key,
                              event->submission->key_bytes, &found, &coordinator->prior_entry,
                              &error)) {
            prior_unreadable(&error);
            return false;
        }
    } else if (coord_wants_gtrid(coordinator->coord, event, &gtrid)) {
        if (!journal_find_gtrid(coordinator->journal, &gtrid, &found, &coordinator->prior_entry,
                                &error)) {
            prior_unreadable(&error);
            return event->kind == COORD_EVENT_MESSAGE;
        }
        /* A request that is over is known by its id. */
        if (event->kind == COORD_EVENT_REQUEST_ACT && !found &&
            !journal_find_request(coordinator->journal, &gtrid, &found, &coordinator->prior_entry,
                                  &error)) {
            prior_unreadable(&error);
            return false;
        }
    } else if (coord_wants_hash(coordinator->coord, event, &number)) {
        if (!journal_hash_at(coordinator->journal, number, &prior->hash_found, prior->hash,
                             &error)) {
            prior_unreadable(&error);
            return false;
        }
        found = prior->hash_found;
    } else if (coord_wants_newest(coordinator->coord, event)) {
        if (!journal_list(coordinator->journal, JOURNAL_LISTS_COMMITS, UINT64_MAX,
                          event->participant, NEWEST_MAX, &coordinator->newest,
                          &coordinator->newest_count, &error)) {
            prior_unreadable(&error);
            return false; /* the agent will say it again */
        }
        prior->newest = coordinator->newest;
        prior->newest_count = coordinator->newest_count;
        return true;
    } else {
        return true;
    }
    if (!found && !journal_read_floor(coordinator->journal, &prior->floor, &error)) {
        prior_unreadable(&error);
        return event->kind == COORD_EVENT_MESSAGE && event->message->kind != MESSAGE_WITNESS;
    }
    if (number != 0) {
        return true; /* a hash, no entry */
    }
    prior->looked_up = true;
    prior->found = found;
    coordinator->prior_held = found;
    prior->entry = found ? &coordinator->prior_entry : NULL;
    return true;
}
