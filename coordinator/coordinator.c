/* coordinator.c - see coordinator.h: start and recovery, the owner thread's loop, events from the inbox. */
#include "coordinator/coordinator.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/alloc.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "coordinator/coordinator_internal.h"

#define LINK_STOP_MS 500
#define NEWEST_MAX   64 /* commits that tell where a database stood; more are not in flight at once */
#define PAGES_MAX    16 /* of an audit in one round */

enum post_kind {
    POST_CALL = 1, /* struct api_call; its item comes first */
    POST_PEER_UP,
    POST_PEER_DOWN,
    POST_MESSAGES,
    POST_TROUBLE,
    POST_DURABLE,
    POST_TRIMMED,
    POST_SPACE,
    POST_FAILED,
    POST_TERMINATE,
    POST_RECONFIGURE,
};

struct post {
    struct inbox_item item; /* first: an item is its post */
    struct link_peer peer;
    uint64_t session;
    size_t message_count;
    struct message *messages;
    char participant[PARTICIPANT_NAME_SIZE];
    enum link_trouble trouble;
    char *text;
    uint64_t token;
    struct journal_head head;
    struct journal_floor floor;
    bool flag;
    struct error error;
    struct config *config;
};

static struct post *post_new(enum post_kind kind)
{
    struct post *post = alloc_zeroed(sizeof(*post));
    post->item.kind = (int)kind;
    return post;
}

static void post_send(struct coordinator *coordinator, struct post *post)
{
    inbox_post(coordinator->inbox, &post->item);
}

/* --- what other threads post ------------------------------------------------------------------ */

static void link_up(void *user, const struct link_peer *peer)
{
    struct post *post = post_new(POST_PEER_UP);
    post->peer = *peer;
    post_send(user, post);
}

static void link_down(void *user, uint64_t session)
{
    struct post *post = post_new(POST_PEER_DOWN);
    post->session = session;
    post_send(user, post);
}

static void link_messages(void *user, uint64_t session, struct message *messages, size_t count)
{
    struct post *post = post_new(POST_MESSAGES);
    post->session = session;
    post->message_count = count;
    post->messages = alloc_array(count, sizeof(messages[0]));
    memcpy(post->messages, messages, count * sizeof(messages[0]));
    post_send(user, post);
}

static void link_trouble(void *user, const char *participant, enum link_trouble trouble,
                         const char *text)
{
    struct post *post = post_new(POST_TROUBLE);
    snprintf(post->participant, sizeof(post->participant), "%s", participant);
    post->trouble = trouble;
    post->text = alloc_string(text);
    post_send(user, post);
}

static void journal_durable(void *user, uint64_t token, const struct journal_head *head)
{
    struct post *post = post_new(POST_DURABLE);
    post->token = token;
    post->head = *head;
    post_send(user, post);
}

static void journal_trimmed(void *user, const struct journal_head *head,
                            const struct journal_floor *floor, bool more)
{
    struct post *post = post_new(POST_TRIMMED);
    post->head = *head;
    post->floor = *floor;
    post->flag = more;
    post_send(user, post);
}

static void journal_space(void *user, bool has_space)
{
    struct post *post = post_new(POST_SPACE);
    post->flag = has_space;
    post_send(user, post);
}

static void journal_failed(void *user, const struct error *error)
{
    struct post *post = post_new(POST_FAILED);
    post->error = *error;
    post_send(user, post);
}

static void sink_post(void *user, struct api_call *call)
{
    struct coordinator *coordinator = user;
    call->item.kind = POST_CALL;
    inbox_post(coordinator->inbox, &call->item);
}

struct api_sink coordinator_sink(struct coordinator *coordinator)
{
    return (struct api_sink){.user = coordinator, .post = sink_post};
}

void coordinator_terminate(struct coordinator *coordinator)
{
    atomic_fetch_add(&coordinator->terminations, 1);
    post_send(coordinator, post_new(POST_TERMINATE));
}

void coordinator_reconfigure(struct coordinator *coordinator, struct config *config)
{
    struct post *post = post_new(POST_RECONFIGURE);
    post->config = config;
    post_send(coordinator, post);
}

/* --- stepping --------------------------------------------------------------------------------- */

static void entries_free(struct journal_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        journal_entry_done(&entries[i]);
    }
    free(entries);
}

static void prior_release(struct coordinator *coordinator)
{
    if (coordinator->prior_held) {
        journal_entry_done(&coordinator->prior_entry);
        coordinator->prior_held = false;
    }
    entries_free(coordinator->newest, coordinator->newest_count);
    coordinator->newest = NULL;
    coordinator->newest_count = 0;
}

static void journal_unreadable(const struct error *error)
{
    log_event(LOG_ERROR, "journal could not be read", LOG_S("error", error->text));
}

/* Attaches what the core says that it wants from the journal. A read that fails leaves the event without it,
 * which the core treats as "not known" (an inquiry waits); for a key that would be wrong, see below. */
static bool prior_attach(struct coordinator *coordinator, struct coord_event *event)
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
            journal_unreadable(&error);
            return false;
        }
    } else if (coord_wants_gtrid(coordinator->coord, event, &gtrid)) {
        if (!journal_find_gtrid(coordinator->journal, &gtrid, &found, &coordinator->prior_entry,
                                &error)) {
            journal_unreadable(&error);
            return event->kind == COORD_EVENT_MESSAGE;
        }
        /* A request that is over is known by its id. */
        if (event->kind == COORD_EVENT_REQUEST_ACT && !found &&
            !journal_find_request(coordinator->journal, &gtrid, &found, &coordinator->prior_entry,
                                  &error)) {
            journal_unreadable(&error);
            return false;
        }
    } else if (coord_wants_hash(coordinator->coord, event, &number)) {
        if (!journal_hash_at(coordinator->journal, number, &prior->hash_found, prior->hash,
                             &error)) {
            journal_unreadable(&error);
            return false;
        }
        found = prior->hash_found;
    } else if (coord_wants_newest(coordinator->coord, event)) {
        if (!journal_list(coordinator->journal, UINT64_MAX, event->participant, NEWEST_MAX,
                          &coordinator->newest, &coordinator->newest_count, &error)) {
            journal_unreadable(&error);
            return false; /* the agent will say it again */
        }
        prior->newest = coordinator->newest;
        prior->newest_count = coordinator->newest_count;
        return true;
    } else {
        return true;
    }
    if (!found && !journal_read_floor(coordinator->journal, &prior->floor, &error)) {
        journal_unreadable(&error);
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

static bool step(struct coordinator *coordinator, struct coord_event *event)
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
    if (!journal_list(coordinator->journal, before_number, participant, AUDIT_ITEMS_MAX, &entries,
                      &count, &error)) {
        journal_unreadable(&error);
        return false;
    }
    struct coord_event event = {.kind = COORD_EVENT_RETAINED,
                                .participant = participant,
                                .before_number = before_number,
                                .entry_count = count,
                                .entries = entries};
    step(coordinator, &event);
    entries_free(entries, count);
    return true;
}

/* A bounded number in one round; the heartbeat brings the next one if there is nothing else to do. */
static void step_pages(struct coordinator *coordinator)
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

static void step_call(struct coordinator *coordinator, struct api_call *call)
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
    if (!step(coordinator, &event)) {
        call->answer.status = API_FAILED;
        snprintf(call->answer.text, sizeof(call->answer.text), "%s",
                 "the journal could not be read; nothing was done");
        call->done(call);
    }
}

static const char *session_participant(const struct coordinator *coordinator, uint64_t session)
{
    for (size_t i = 0; i < coordinator->session_count; i++) {
        if (coordinator->sessions[i].session == session) {
            return coordinator->sessions[i].participant;
        }
    }
    return NULL;
}

static void session_add(struct coordinator *coordinator, const struct link_peer *peer)
{
    size_t count = coordinator->session_count++;
    coordinator->sessions = alloc_resize(coordinator->sessions, coordinator->session_count,
                                         sizeof(coordinator->sessions[0]));
    coordinator->sessions[count].session = peer->session;
    memcpy(coordinator->sessions[count].participant, peer->participant, PARTICIPANT_NAME_SIZE);
}

static void session_remove(struct coordinator *coordinator, uint64_t session)
{
    for (size_t i = 0; i < coordinator->session_count; i++) {
        if (coordinator->sessions[i].session == session) {
            coordinator->sessions[i] = coordinator->sessions[--coordinator->session_count];
            return;
        }
    }
}

static void step_messages(struct coordinator *coordinator, struct post *post)
{
    const char *participant = session_participant(coordinator, post->session);
    for (size_t i = 0; i < post->message_count; i++) {
        struct message *message = &post->messages[i];
        if (message->kind == MESSAGE_VOTE) {
            FAULT(FAULT_C_VOTE_RECV);
        } else if (message->kind == MESSAGE_ACK) {
            FAULT(FAULT_C_ACK_RECV);
        }
        if (participant != NULL) {
            struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                        .participant = participant,
                                        .session = post->session,
                                        .message = message};
            step(coordinator, &event);
        }
        message_done(message);
    }
    free(post->messages);
}

static void step_peer_up(struct coordinator *coordinator, const struct post *post)
{
    session_add(coordinator, &post->peer);
    log_event(LOG_INFO, "participant connected", LOG_S("participant", post->peer.participant),
              LOG_S("address", post->peer.address), LOG_S("version", post->peer.version),
              LOG_U("session", post->peer.session));
    struct coord_event event = {.kind = COORD_EVENT_PEER_UP,
                                .participant = post->peer.participant,
                                .address = post->peer.address,
                                .version = post->peer.version,
                                .session = post->peer.session};
    step(coordinator, &event);
}

static const struct config_participant *config_find(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->participant_count; i++) {
        if (strcmp(config->participants[i].name, name) == 0) {
            return &config->participants[i];
        }
    }
    return NULL;
}

static void participant_add(struct coordinator *coordinator,
                            const struct config_participant *participant)
{
    struct coord_event event = {.kind = COORD_EVENT_PARTICIPANT_ADD,
                                .participant = participant->name,
                                .address = participant->address};
    step(coordinator, &event);
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
    if (!journal_list(coordinator->journal, UINT64_MAX, name, 1, &entries, &count, &error)) {
        journal_unreadable(&error);
        return;
    }
    entries_free(entries, count);
    struct coord_event event = {
        .kind = COORD_EVENT_PARTICIPANT_REMOVE, .participant = name, .untrimmed = count > 0};
    step(coordinator, &event);
}

static void reconfigure(struct coordinator *coordinator, struct config *config)
{
    for (size_t i = 0; i < config->participant_count; i++) {
        participant_add(coordinator, &config->participants[i]);
    }
    struct participant_view *known = NULL;
    size_t known_count = coord_participants(coordinator->coord, &known);
    for (size_t i = 0; i < known_count; i++) { /* also what an earlier SIGHUP could not remove */
        if (config_find(config, known[i].name) == NULL &&
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

static const char *trouble_text(enum link_trouble trouble)
{
    switch (trouble) {
    case LINK_UNREACHABLE:
        return "unreachable";
    case LINK_DENIED:
        return "denied";
    case LINK_INCOMPATIBLE:
        return "incompatible";
    case LINK_BAD_FRAME:
        return "bad frame";
    }
    return "unknown";
}

static void step_post(struct coordinator *coordinator, struct post *post)
{
    switch ((enum post_kind)post->item.kind) {
    case POST_CALL:
        CHECK(!"calls are no posts");
        break;
    case POST_PEER_UP:
        step_peer_up(coordinator, post);
        break;
    case POST_PEER_DOWN: {
        const char *name = session_participant(coordinator, post->session);
        log_event(LOG_WARN, "participant disconnected", LOG_S("participant", name),
                  LOG_U("session", post->session));
        struct coord_event event = {.kind = COORD_EVENT_PEER_DOWN, .session = post->session};
        step(coordinator, &event);
        session_remove(coordinator, post->session);
        break;
    }
    case POST_MESSAGES:
        step_messages(coordinator, post);
        break;
    case POST_TROUBLE:
        log_event(LOG_WARN, "link trouble",
                  LOG_S("participant", post->participant[0] == '\0' ? NULL : post->participant),
                  LOG_S("trouble", trouble_text(post->trouble)), LOG_S("detail", post->text));
        break;
    case POST_DURABLE: {
        struct coord_event event = {
            .kind = COORD_EVENT_DURABLE, .token = post->token, .head = post->head};
        step(coordinator, &event);
        break;
    }
    case POST_TRIMMED: {
        struct coord_event event = {.kind = COORD_EVENT_TRIMMED,
                                    .head = post->head,
                                    .floor = post->floor,
                                    .more = post->flag};
        step(coordinator, &event);
        break;
    }
    case POST_SPACE: {
        struct coord_event event = {.kind = COORD_EVENT_SPACE, .space_ok = post->flag};
        step(coordinator, &event);
        break;
    }
    case POST_FAILED:
        coordinator->journal_failed = true;
        coordinator->journal_error = post->error;
        break;
    case POST_TERMINATE: {
        FAULT(FAULT_C_DRAIN);
        struct coord_event event = {.kind = COORD_EVENT_DRAIN};
        step(coordinator, &event);
        break;
    }
    case POST_RECONFIGURE:
        reconfigure(coordinator, post->config);
        break;
    }
    free(post->text);
    free(post);
}

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
        if (config_find(coordinator->config, state->participants[i]) == NULL) {
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
        .callbacks = {.user = coordinator,
                      .on_up = link_up,
                      .on_messages = link_messages,
                      .on_down = link_down,
                      .on_trouble = link_trouble},
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
        participant_add(coordinator, &coordinator->config->participants[i]);
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
    step(coordinator, &event);
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
    struct journal_thread_callbacks callbacks = {.user = coordinator,
                                                 .on_durable = journal_durable,
                                                 .on_trimmed = journal_trimmed,
                                                 .on_space = journal_space,
                                                 .on_failed = journal_failed};
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

static void take_all(struct coordinator *coordinator, struct inbox_item *item)
{
    while (item != NULL) {
        struct inbox_item *next = item->next;
        if (item->kind == POST_CALL) {
            step_call(coordinator, (struct api_call *)item);
        } else {
            step_post(coordinator, (struct post *)item);
        }
        item = next;
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
            step(coordinator, &event);
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
    for (struct inbox_item *item = inbox_take(coordinator->inbox, 0); item != NULL;) {
        struct inbox_item *next = item->next;
        if (item->kind == POST_CALL) { /* came too late; the edge frees it */
            struct api_call *call = (struct api_call *)item;
            call->answer.status = API_REFUSED;
            call->answer.reason = REASON_SHUTDOWN;
            call->done(call);
        } else {
            struct post *post = (struct post *)item;
            for (size_t i = 0; i < post->message_count; i++) {
                message_done(&post->messages[i]);
            }
            free(post->messages);
            free(post->text);
            free(post);
        }
        item = next;
    }
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
