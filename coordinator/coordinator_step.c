/* coordinator_step.c - one step of the core: the event gets its clock, its randomness and what the journal knows; what it
 * changed is kept for those who watch. A call of an edge becomes an event here, and so does a page that an audit reads. */
#include <sodium.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/fault.h"
#include "coordinator/coordinator_internal.h"

#define PAGES_MAX 16 /* of an audit in one round */

/* Jitter needs nothing that is secret, only spread. The epoch's nonce and the attempts of external branches come from libsodium:
 * every role of the database sees the gids that are prepared, and must not be able to tell the next ones from them. */
static uint64_t event_random(struct coordinator *coordinator, enum coord_event_kind kind)
{
    if (kind == COORD_EVENT_EXTERNAL) {
        uint64_t attempt = 0;
        randombytes_buf(&attempt, sizeof(attempt));
        return attempt;
    }
    uint64_t x = ++coordinator->events * UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ (x >> 27);
}

/* Taken after each step, told with the answers at the end of the round. */
static void changes_take(struct coordinator *coordinator)
{
    const struct coordinator_hooks *hooks = coordinator->hooks;
    if (!coordinator->is_running || hooks->wants_changes == NULL ||
        !hooks->wants_changes(hooks->user)) {
        return;
    }
    struct txn_view view;
    while (coord_take_change(coordinator->coord, &view)) {
        if (coordinator->change_count == coordinator->change_capacity) {
            coordinator->change_capacity =
                coordinator->change_capacity == 0 ? 16 : coordinator->change_capacity * 2;
            coordinator->changes = alloc_resize(coordinator->changes, coordinator->change_capacity,
                                                sizeof(coordinator->changes[0]));
        }
        coordinator->changes[coordinator->change_count++] = view;
    }
}

bool step_event(struct coordinator *coordinator, struct coord_event *event)
{
    event->now_ms = clock_monotonic_ms();
    event->wall_ms = clock_wall_ms();
    if (event->random == 0) {
        event->random = event_random(coordinator, event->kind);
    }
    bool ok = prior_attach(coordinator, event);
    if (ok) {
        coord_step(coordinator->coord, event, &coordinator->ready);
        changes_take(coordinator);
    }
    prior_release(coordinator);
    return ok;
}

/* P-14: what an audit wants to read. False: one could not be read; it is asked for again with the next step. */
static bool step_page(struct coordinator *coordinator, const char *participant,
                      uint64_t before_number)
{
    struct journal_entry *entries = NULL;
    size_t count = 0;
    struct error error;
    if (!journal_list(coordinator->journal, JOURNAL_LISTS_COMMITS, before_number, participant,
                      AUDIT_ITEMS_MAX, &entries, &count, &error)) {
        prior_unreadable(&error);
        return false;
    }
    struct coord_event event = {.kind = COORD_EVENT_RETAINED,
                                .participant = participant,
                                .before_number = before_number,
                                .entry_count = count,
                                .entries = entries};
    step_event(coordinator, &event);
    prior_free_entries(entries, count);
    return true;
}

/* A bounded number in one round; the heartbeat brings the next one if there is nothing else to do. */
void step_pages(struct coordinator *coordinator)
{
    char participant[PARTICIPANT_NAME_SIZE];
    uint64_t before_number = 0;
    for (size_t i = 0; i < PAGES_MAX; i++) {
        if (!coord_wants_page(coordinator->coord, participant, &before_number) ||
            !step_page(coordinator, participant, before_number)) {
            return;
        }
    }
}

void step_call(struct coordinator *coordinator, struct api_call *call)
{
    struct coord_event event = {.call = (uint64_t)(uintptr_t)call};
    if (call->operation == API_SUBMIT) {
        FAULT(FAULT_C_DECODED);
        event.kind = COORD_EVENT_SUBMIT;
        event.submission = &call->submission;
    } else if (call->operation == API_RESOLVE) {
        /* A person may name the request whose run is meant; branches are the run's. */
        (void)coord_run_of(coordinator->coord, &call->resolve.gtrid, &call->resolve.gtrid);
        event.kind = COORD_EVENT_RESOLVE;
        event.resolve = &call->resolve;
    } else if (call->operation == API_REQUEST_ACT) {
        event.kind = COORD_EVENT_REQUEST_ACT;
        event.act = &call->act;
    } else if (call->operation == API_OPEN) {
        event.kind = COORD_EVENT_OPEN;
        event.timeout_ms = call->timeout_ms;
    } else if (call->operation == API_STATEMENT) {
        event.kind = COORD_EVENT_STATEMENT;
        event.statement = &call->statement;
    } else if (call->operation == API_CLOSE) {
        event.kind = COORD_EVENT_CLOSE;
        event.end = &call->end;
    } else if (call->operation == API_EXTERNAL) {
        event.kind = COORD_EVENT_EXTERNAL;
        event.external = &call->external;
    } else {
        calls_answer(coordinator, call);
        return;
    }
    if (!step_event(coordinator, &event)) {
        call->answer.status = API_FAILED;
        snprintf(call->answer.text, sizeof(call->answer.text), "%s",
                 "the journal could not be read; nothing was done");
        call->done(call);
    }
}
