/* coordinator.c - see coordinator.h: start and recovery, the owner thread's loop, the end. What it takes out of the inbox:
 * coordinator_take.c; what it does with each: coordinator_step.c. */
#include "coordinator/coordinator.h"

#include <sodium.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/log.h"
#include "coordinator/coordinator_post.h"

#define LINK_STOP_MS 500

/* --- start ------------------------------------------------------------------------------------ */

struct replay {
    size_t count, capacity;
    struct record *records;
};

static bool replay_visit(void *user, uint64_t number, const struct record *record)
{
    struct replay *replay = user;
    (void)number;
    if (replay->count == replay->capacity) {
        replay->capacity = replay->capacity == 0 ? 64 : replay->capacity * 2;
        replay->records =
            alloc_resize(replay->records, replay->capacity, sizeof(replay->records[0]));
    }
    record_copy(record, &replay->records[replay->count++]);
    return true;
}

static bool start_journal(struct coordinator *coordinator, struct error *ret_error)
{
    struct journal_options options = {.path = coordinator->config->journal,
                                      .reserve_bytes = coordinator->config->journal_reserve_bytes,
                                      .create = true};
    randombytes_buf(options.new_id.bytes, sizeof(options.new_id.bytes));
    if (!journal_open_sqlite(&options, &coordinator->journal, ret_error)) {
        return false;
    }
    const struct journal_state *state = journal_state(coordinator->journal);
    if (state->is_marked_copy) {
        error_set(ret_error, ERROR_INVALID, "journal %s is a backup copy",
                  coordinator->config->journal);
        return error_hint(ret_error,
                          "if the original is lost for good and no other coordinator runs on it: "
                          "assent journal adopt %s --comment TEXT",
                          coordinator->config->journal);
    }
    for (size_t i = 0; i < state->participant_count; i++) {
        if (config_find_participant(coordinator->config, state->participants[i]) == NULL) {
            error_set(ret_error, ERROR_INVALID,
                      "the journal names participant %s, the configuration does not",
                      state->participants[i]);
            return error_hint(ret_error,
                              "put [participant %s] back; or, if its database is gone for good: "
                              "assent journal release %s %s --comment TEXT",
                              state->participants[i], coordinator->config->journal,
                              state->participants[i]);
        }
    }
    return true;
}

static bool start_link(struct coordinator *coordinator, struct error *ret_error)
{
    struct link_options options = {
        .is_coordinator = true,
        .listen = coordinator->config->listen,
        .advertise = coordinator->config->advertise,
        .journal = journal_state(coordinator->journal)->id,
        .callbacks = post_link_callbacks(coordinator),
    };
    return link_start(&options, &coordinator->link, ret_error);
}

static bool start_core(struct coordinator *coordinator, struct error *ret_error)
{
    struct replay replay = {0};
    if (!journal_replay(coordinator->journal, replay_visit, &replay, ret_error)) {
        return false;
    }
    struct coord_config core_config = coordinator->config->core;
    core_config.journal = journal_state(coordinator->journal)->id;
    link_address(coordinator->link, core_config.address);
    coordinator->coord = coord_new(&core_config, clock_monotonic_ms());
    for (size_t i = 0; i < coordinator->config->participant_count; i++) {
        participants_add(coordinator, &coordinator->config->participants[i]);
    }
    uint64_t nonce = 0;
    while (nonce == 0) {
        randombytes_buf(&nonce, sizeof(nonce));
    }
    struct coord_event event = {.kind = COORD_EVENT_START,
                                .random = nonce,
                                .state = journal_state(coordinator->journal),
                                .record_count = replay.count,
                                .records = replay.records};
    step_event(coordinator, &event);
    for (size_t i = 0; i < replay.count; i++) {
        record_done(&replay.records[i]);
    }
    free(replay.records);
    return true;
}

bool coordinator_new(const struct config *config, struct coordinator **ret_coordinator,
                     struct error *ret_error)
{
    if (sodium_init() < 0) {
        return error_set(ret_error, ERROR_SYSTEM, "libsodium can not start");
    }
    struct coordinator *coordinator = alloc_zeroed(sizeof(*coordinator));
    coordinator->config = config;
    coordinator->inbox = inbox_new();
    coordinator->ready.deadline_ms = UINT64_MAX;
    randombytes_buf(&coordinator->events, sizeof(coordinator->events));
    if (!start_journal(coordinator, ret_error) || !start_link(coordinator, ret_error) ||
        !start_core(coordinator, ret_error)) {
        coordinator_free(coordinator);
        return false;
    }
    struct journal_thread_callbacks callbacks = post_journal_callbacks(coordinator);
    coordinator->journal_thread = journal_thread_start(coordinator->journal, &callbacks);
    *ret_coordinator = coordinator;
    return true;
}

/* --- the loop --------------------------------------------------------------------------------- */

static int stop_code(enum coord_stop stop)
{
    switch (stop) {
    case COORD_RUN:
    case COORD_STOP_DRAINED:
        return 0;
    case COORD_STOP_FENCED:
        return EX_NOPERM;
    case COORD_STOP_BEHIND:
        return EX_DATAERR;
    }
    return EX_SOFTWARE;
}

static void stop_log(const struct coord_ready *ready)
{
    switch (ready->stop) {
    case COORD_RUN:
        return;
    case COORD_STOP_DRAINED:
        log_event(LOG_INFO, "drained", LOG_I("exit", 0));
        return;
    case COORD_STOP_FENCED:
        log_event(LOG_ERROR, "fenced", LOG_S("detail", ready->stop_text),
                  LOG_S("hint",
                        "another coordinator runs on this journal or a copy of it; stop one "
                        "of them for good"));
        return;
    case COORD_STOP_BEHIND:
        log_event(LOG_ERROR, "journal behind", LOG_S("detail", ready->stop_text),
                  LOG_S("hint",
                        "bring back the newest journal; see docs/OPERATIONS.md, \"A lost or "
                        "damaged journal\""));
        return;
    }
}

/* Tells the hooks what changed since the last round. */
static void hooks_tell(struct coordinator *coordinator, const struct coordinator_hooks *hooks,
                       struct coord_counters *seen)
{
    struct coord_counters counters;
    coord_counters_read(coordinator->coord, &counters);
    if (counters.running && !seen->running && hooks->on_running != NULL) {
        hooks->on_running(hooks->user);
    }
    if (counters.draining && !seen->draining && hooks->on_draining != NULL) {
        hooks->on_draining(hooks->user);
    }
    coordinator->is_running = counters.running;
    *seen = counters;
}

int coordinator_run(struct coordinator *coordinator, const struct coordinator_hooks *hooks)
{
    struct coord_counters seen = {0};
    coordinator->hooks = hooks;
    uint64_t deadline_ms = coordinator->ready.deadline_ms;
    carry_ready(coordinator); /* the EPOCH record */
    coord_ready_clear(&coordinator->ready);
    for (;;) {
        struct inbox_item *items = inbox_take(coordinator->inbox, deadline_ms);
        if (items == NULL) {
            struct coord_event event = {.kind = COORD_EVENT_TIMER};
            step_event(coordinator, &event);
        } else {
            take_all(coordinator, items);
        }
        if (coordinator->journal_failed) {
            /* P-16: what was handed over may or may not be on disk; nothing more is said to anybody. */
            log_event(LOG_ERROR, "journal failed", LOG_S("error", coordinator->journal_error.text),
                      LOG_S("hint", coordinator->journal_error.hint[0] == '\0'
                                        ? "restart: recovery goes on from what is on disk"
                                        : coordinator->journal_error.hint));
            return coordinator->journal_error.kind == ERROR_LOCKED ? EX_NOPERM : EX_IOERR;
        }
        step_pages(coordinator);
        carry_ready(coordinator);
        if (coordinator->ready.stop != COORD_RUN) {
            stop_log(&coordinator->ready);
            return stop_code(coordinator->ready.stop);
        }
        if (atomic_load(&coordinator->terminations) > 1) {
            log_event(LOG_WARN, "left at once", LOG_S("reason", "a second signal"));
            return 0;
        }
        if (coordinator->ready.deadline_ms != UINT64_MAX || items == NULL) {
            deadline_ms = coordinator->ready.deadline_ms;
        }
        coord_ready_clear(&coordinator->ready);
        hooks_tell(coordinator, hooks, &seen);
    }
}

void coordinator_free(struct coordinator *coordinator)
{
    if (coordinator->link != NULL) {
        link_stop(coordinator->link, LINK_STOP_MS);
    }
    if (coordinator->journal_thread != NULL) {
        journal_thread_stop(coordinator->journal_thread);
    }
    /* The edges are stopped, so nobody posts any more. */
    post_discard(inbox_take(coordinator->inbox, 0));
    for (size_t i = 0; i < coordinator->change_count; i++) {
        txn_view_done(&coordinator->changes[i]); /* the journal failed in this round: not told */
    }
    free(coordinator->changes);
    prior_release(coordinator);
    coord_ready_done(&coordinator->ready);
    coord_free(coordinator->coord);
    if (coordinator->journal != NULL) {
        journal_close(coordinator->journal);
    }
    if (coordinator->replacement != NULL) {
        config_done(coordinator->replacement);
        free(coordinator->replacement);
    }
    free(coordinator->sessions);
    inbox_free(coordinator->inbox);
    free(coordinator);
}
