/* coordinator_participants.c - who takes part: what the configuration names is told to the core and to the link, at the start and
 * when it is read again. */
#include <stdlib.h>

#include "common/log.h"
#include "coordinator/coordinator_internal.h"

void participants_add(struct coordinator *coordinator, const struct config_participant *participant)
{
    struct coord_event event = {.kind = COORD_EVENT_PARTICIPANT_ADD,
                                .participant = participant->name,
                                .address = participant->address};
    step_event(coordinator, &event);
    struct error error;
    if (!link_add_participant(coordinator->link, participant->name, participant->address,
                              &participant->secret, &error)) {
        log_event(LOG_ERROR, "participant not added", LOG_S("participant", participant->name),
                  LOG_S("error", error.text));
    }
}

/* May this participant go? Not while the journal still holds commits that name it (P-13). */
static void participant_remove(struct coordinator *coordinator, const char *name)
{
    struct journal_entry *entries = NULL;
    size_t count = 0;
    struct error error;
    if (!journal_list(coordinator->journal, JOURNAL_LISTS_COMMITS, UINT64_MAX, name, 1, &entries,
                      &count, &error)) {
        prior_unreadable(&error);
        return;
    }
    prior_free_entries(entries, count);
    struct coord_event event = {
        .kind = COORD_EVENT_PARTICIPANT_REMOVE, .participant = name, .untrimmed = count > 0};
    step_event(coordinator, &event);
}

void participants_replace(struct coordinator *coordinator, struct config *config)
{
    for (size_t i = 0; i < config->participant_count; i++) {
        participants_add(coordinator, &config->participants[i]);
    }
    struct participant_view *known = NULL;
    size_t known_count = coord_participants(coordinator->coord, &known);
    for (size_t i = 0; i < known_count; i++) { /* also what an earlier SIGHUP could not remove */
        if (config_find_participant(config, known[i].name) == NULL &&
            coord_has_participant(coordinator->coord, known[i].name)) {
            participant_remove(coordinator, known[i].name);
        }
    }
    free(known);
    if (coordinator->replacement != NULL) {
        config_done(coordinator->replacement);
        free(coordinator->replacement);
    }
    coordinator->replacement = config;
    coordinator->config = config;
    log_event(LOG_INFO, "configuration read again",
              LOG_U("participants", config->participant_count));
}
