/*
 * coord.c - a coordinator process: the real core, and around it what coordinator*.c do. The journal's thread is in disk.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/check.h"
#include "tests/sim/coverage.h"
#include "tests/sim/world.h"

#define NEWEST_MAX 32 /* as coordinator_prior.c */
#define PAGES_MAX  64

static bool point(struct sim_world *world, uint32_t coord, enum fault_point which)
{
    return world_point(world, world_coord_process(coord), which);
}

/* ---- carrying out a ready; each function returns false if the process died on the way ---- */

static bool appends_contain(const struct coord_ready *ready, enum record_kind kind)
{
    for (size_t i = 0; i < ready->append_count; i++) {
        if (ready->appends[i].record.kind == kind) {
            return true;
        }
    }
    return false;
}

static bool carry_notices(struct sim_world *world, uint32_t coord, const struct coord_ready *ready)
{
    for (size_t i = 0; i < ready->notice_count; i++) {
        const struct coord_notice *notice = &ready->notices[i];
        coverage_coord_notice(notice->kind);
        if ((notice->kind == COORD_NOTICE_ABORTED && point(world, coord, FAULT_C_ABORT_DECIDED)) ||
            (notice->kind == COORD_NOTICE_COMMITTED &&
             point(world, coord, FAULT_C_DECIDE_POST_STATE)) ||
            (notice->kind == COORD_NOTICE_REDRIVE &&
             point(world, coord, FAULT_C_RECOVER_REDRIVE)) ||
            (notice->kind == COORD_NOTICE_RESOLVED &&
             point(world, coord, FAULT_C_FORCE_POST_LOG))) {
            return false;
        }
    }
    return true;
}

static bool carry_appends(struct sim_world *world, uint32_t coord, struct coord_ready *ready)
{
    if (ready->append_count == 0) {
        return true;
    }
    if ((appends_contain(ready, RECORD_COMMIT) && point(world, coord, FAULT_C_DECIDE_ENTER)) ||
        (appends_contain(ready, RECORD_END) && point(world, coord, FAULT_C_END_PRE_LOG))) {
        return false;
    }
    bool ends = appends_contain(ready, RECORD_END);
    disk_append(world, coord, ready);
    return !ends || !point(world, coord, FAULT_C_END_POST_LOG);
}

static bool carry_sends(struct sim_world *world, uint32_t coord, struct coord_ready *ready)
{
    for (size_t i = 0; i < ready->send_count; i++) {
        struct coord_send *send = &ready->sends[i];
        enum message_kind kind = send->message.kind;
        if (kind == MESSAGE_VERDICT && point(world, coord, FAULT_C_INQUIRY_PRE_REPLY)) {
            return false;
        }
        network_send_to_agent(world, coord, send->session, &send->message);
        bool asks_for_vote =
            kind == MESSAGE_WORK || kind == MESSAGE_PREPARE || kind == MESSAGE_VERIFY;
        if ((asks_for_vote && point(world, coord, FAULT_C_PREPARE_SENT)) ||
            (kind == MESSAGE_COMMIT && point(world, coord, FAULT_C_COMMIT_SENT)) ||
            (kind == MESSAGE_ROLLBACK && point(world, coord, FAULT_C_ABORT_SENT))) {
            return false;
        }
    }
    return true;
}

static bool carry_answers(struct sim_world *world, uint32_t coord, struct coord_ready *ready)
{
    for (size_t i = 0; i < ready->answer_count; i++) {
        if (point(world, coord, FAULT_C_REPLY_PRE)) {
            return false;
        }
        clients_answer(world, coord, &ready->answers[i]);
        if (point(world, coord, FAULT_C_REPLY_POST)) {
            return false;
        }
    }
    return true;
}

static void timer_arm(struct sim_world *world, uint32_t index)
{
    struct sim_coord *coord = &world->coords[index];
    if (coord->deadline_ms >= coord->timer_at_ms) {
        return; /* that one comes first, and looks again */
    }
    coord->timer_at_ms = coord->deadline_ms;
    struct sim_event *event = queue_new(world, EVENT_COORD_TIMER);
    event->number = ++coord->timer_number;
    event->process = world_coord_process(index);
    event->incarnation = coord->process.incarnation;
    queue_push(world, event, coord->deadline_ms + (sim_one_in(&world->schedule, 8) ? 3 : 0));
}

static void stopped(struct sim_world *world, uint32_t index, enum coord_stop stop, const char *text)
{
    struct sim_coord *coord = &world->coords[index];
    TRACE(world, LANE_COORD(index), "stops: %s", text);
    coord_proc_kill(world, index, false);
    coord->refused = stop == COORD_STOP_DRAINED ? COORD_RUN : stop;
    coord->refusals += stop != COORD_STOP_DRAINED;
    if (stop == COORD_STOP_DRAINED) {
        process_order_start(world, world_coord_process(index), 100);
    }
}

static void carry_now(struct sim_world *world, uint32_t index)
{
    struct sim_coord *coord = &world->coords[index];
    coord->wants_carry = false;
    struct coord_ready ready = coord->ready; /* a kill on the way must not pull it away */
    memset(&coord->ready, 0, sizeof(coord->ready));
    coord->ready.deadline_ms = UINT64_MAX;
    coord->deadline_ms = ready.deadline_ms;
    law_coord_ready(world, index, &ready);
    bool lives = carry_notices(world, index, &ready) && carry_appends(world, index, &ready) &&
                 carry_sends(world, index, &ready) && carry_answers(world, index, &ready);
    if (lives && ready.trim) {
        disk_trim(world, index, &ready.trim_bounds);
    }
    enum coord_stop stop = ready.stop;
    char text[ERROR_TEXT_SIZE];
    memcpy(text, ready.stop_text, sizeof(text));
    coord_ready_clear(&ready);
    if (lives) {
        coord->ready = ready;
    } else {
        coord_ready_done(&ready);
        return;
    }
    if (stop != COORD_RUN) {
        stopped(world, index, stop, text);
        return;
    }
    timer_arm(world, index);
}

/* Steps of one round share a ready, as in coordinator_run: what they hand out is carried out after the last one. */
static void carry(struct sim_world *world, uint32_t index)
{
    world->coords[index].wants_carry = true;
}

static bool round_goes_on(const struct sim_world *world, uint32_t index)
{
    const struct sim_coord *coord = &world->coords[index];
    if (!world->has_rounds || world->queue.count == 0) {
        return false;
    }
    const struct sim_slot *next = &world->queue.slots[0];
    return next->due_ms == world->now_ms && next->event->process == world_coord_process(index) &&
           next->event->incarnation == coord->process.incarnation && !coord->process.is_stopped;
}

/* ---- stepping ---- */

/* Attaches what the core wants from the journal, as prior_attach in coordinator_prior.c. */
static bool prior_attach(struct sim_world *world, uint32_t index, struct coord_event *event,
                         bool *ret_held, struct journal_entry **entries)
{
    struct sim_coord *coord = &world->coords[index];
    struct journal *journal = world->disks[coord->disk].journal;
    struct coord_prior *prior = &event->prior;
    struct gtrid gtrid;
    uint64_t number = 0;
    bool found = false;
    struct error error;
    *ret_held = false;
    if (coord_wants_key(coord->core, event)) {
        CHECK(event->submission != NULL);
        if (fault_strikes(world, SIM_LOG_UNREADABLE) ||
            !journal_find_key(journal, event->submission->key, event->submission->key_bytes, &found,
                              &world->prior_entry, &error)) {
            return false;
        }
    } else if (coord_wants_gtrid(coord->core, event, &gtrid)) {
        if (fault_strikes(world, SIM_LOG_UNREADABLE) ||
            !journal_find_gtrid(journal, &gtrid, &found, &world->prior_entry, &error)) {
            return event->kind == COORD_EVENT_MESSAGE;
        }
        if (event->kind == COORD_EVENT_REQUEST_ACT && !found &&
            !journal_find_request(journal, &gtrid, &found, &world->prior_entry, &error)) {
            return false;
        }
    } else if (coord_wants_hash(coord->core, event, &number)) {
        if (fault_strikes(world, SIM_LOG_UNREADABLE) ||
            !journal_hash_at(journal, number, &prior->hash_found, prior->hash, &error)) {
            return false;
        }
        found = prior->hash_found;
    } else if (coord_wants_newest(coord->core, event)) {
        if (!journal_list(journal, JOURNAL_LISTS_COMMITS, UINT64_MAX, event->participant,
                          NEWEST_MAX, entries, &prior->newest_count, &error)) {
            return false;
        }
        prior->newest = *entries;
        return true;
    } else {
        return true;
    }
    if (!found && !journal_read_floor(journal, &prior->floor, &error)) {
        return false;
    }
    if (number != 0) {
        return true;
    }
    prior->looked_up = true;
    prior->found = found;
    prior->entry = found ? &world->prior_entry : NULL;
    *ret_held = found;
    return true;
}

static void entries_done(struct journal_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        journal_entry_done(&entries[i]);
    }
    free(entries);
}

/* The core takes the event; what it wants is carried out by the caller. False: the journal could not be read. */
static bool step(struct sim_world *world, uint32_t index, struct coord_event *event)
{
    struct sim_coord *coord = &world->coords[index];
    bool held = false;
    event->now_ms = world->now_ms;
    event->wall_ms = UINT64_C(1700000000000) + world->now_ms + (uint64_t)world->wall_offset_ms;
    if (event->random == 0) {
        event->random = sim_draw(&world->payload) | 1;
    }
    struct journal_entry *newest = NULL;
    bool ok = prior_attach(world, index, event, &held, &newest);
    if (ok) {
        coverage_coord(world, coord->core, event);
        coord_step(coord->core, event, &coord->ready);
        accepted_watch(world, index);
    }
    if (held) {
        journal_entry_done(&world->prior_entry);
    }
    entries_done(newest, event->prior.newest_count);
    return ok;
}

/* An audit's pages, as step_pages of coordinator_step.c. */
static void step_pages(struct sim_world *world, uint32_t index)
{
    struct sim_coord *coord = &world->coords[index];
    char participant[PARTICIPANT_NAME_SIZE];
    uint64_t before_number = 0;
    for (size_t i = 0; i < PAGES_MAX && coord_wants_page(coord->core, participant, &before_number);
         i++) {
        struct journal_entry *entries = NULL;
        size_t count = 0;
        struct error error;
        CHECK(journal_list(world->disks[coord->disk].journal, JOURNAL_LISTS_COMMITS, before_number,
                           participant, AUDIT_ITEMS_MAX, &entries, &count, &error));
        struct coord_event event = {.kind = COORD_EVENT_RETAINED,
                                    .participant = participant,
                                    .before_number = before_number,
                                    .entry_count = count,
                                    .entries = entries};
        (void)step(world, index, &event);
        entries_done(entries, count);
    }
}

static void take_message(struct sim_world *world, uint32_t index, struct sim_event *event)
{
    enum message_kind kind = event->as.message.kind;
    if ((kind == MESSAGE_VOTE && point(world, index, FAULT_C_VOTE_RECV)) ||
        (kind == MESSAGE_ACK && point(world, index, FAULT_C_ACK_RECV))) {
        return;
    }
    struct coord_event step_event = {.kind = COORD_EVENT_MESSAGE,
                                     .participant = world->databases[event->a].name,
                                     .session = event->session,
                                     .message = &event->as.message};
    law_coord_hears(world, index, event->a, event->session, &event->as.message);
    (void)step(world, index, &step_event);
    carry(world, index);
}

static void take_submit(struct sim_world *world, uint32_t index, const struct sim_event *event)
{
    if (point(world, index, FAULT_C_DECODED)) {
        return;
    }
    clients_submit(world, index, event);
}

static void take_resolve(struct sim_world *world, uint32_t index, const struct sim_event *event)
{
    /* As step_call of coordinator_step.c: the request whose run is meant. */
    (void)coord_run_of(world->coords[index].core, &event->as.resolve->gtrid,
                       &event->as.resolve->gtrid);
    struct coord_event step_event = {
        .kind = COORD_EVENT_RESOLVE, .resolve = event->as.resolve, .call = event->number};
    (void)step(world, index, &step_event);
    carry(world, index);
}

static void take_act(struct sim_world *world, uint32_t index, const struct sim_event *event)
{
    struct coord_event step_event = {
        .kind = COORD_EVENT_REQUEST_ACT, .act = event->as.act, .call = event->number};
    (void)step(world, index, &step_event);
    carry(world, index);
}

/* SIGHUP: one participant less, or back again. As participant_remove and participants_add of coordinator_participants.c. */
static void take_reconfigure(struct sim_world *world, uint32_t index, const struct sim_event *event)
{
    struct sim_coord *coord = &world->coords[index];
    const char *name = world->databases[event->a].name;
    struct coord_event step_event = {
        .kind = COORD_EVENT_PARTICIPANT_ADD, .participant = name, .address = "tcp://agent"};
    if (event->b == 0) {
        struct journal_entry *entries = NULL;
        size_t count = 0;
        struct error error;
        CHECK(journal_list(world->disks[coord->disk].journal, JOURNAL_LISTS_COMMITS, UINT64_MAX,
                           name, 1, &entries, &count, &error));
        for (size_t i = 0; i < count; i++) {
            journal_entry_done(&entries[i]);
        }
        free(entries);
        step_event.kind = COORD_EVENT_PARTICIPANT_REMOVE;
        step_event.untrimmed = count > 0;
    }
    (void)step(world, index, &step_event);
    carry(world, index);
}

static void take_simple(struct sim_world *world, uint32_t index, const struct sim_event *event)
{
    struct sim_coord *coord = &world->coords[index];
    struct coord_event step_event = {.kind = COORD_EVENT_TIMER};
    switch (event->kind) {
    case EVENT_COORD_DURABLE:
        if (point(world, index, FAULT_C_DECIDE_POST_SYNC)) {
            return;
        }
        step_event.kind = COORD_EVENT_DURABLE;
        step_event.token = event->number;
        step_event.head = event->head;
        break;
    case EVENT_COORD_TRIMMED:
        step_event.kind = COORD_EVENT_TRIMMED;
        step_event.head = event->head;
        step_event.floor = event->floor;
        step_event.more = event->b != 0;
        break;
    case EVENT_COORD_SPACE:
        step_event.kind = COORD_EVENT_SPACE;
        step_event.space_ok = event->b != 0;
        break;
    case EVENT_COORD_UP:
        coord->sessions[event->a] = event->session;
        step_event.kind = COORD_EVENT_PEER_UP;
        step_event.participant = world->databases[event->a].name;
        step_event.session = event->session;
        break;
    case EVENT_COORD_DOWN:
        for (size_t i = 0; i < SIM_DATABASES; i++) {
            coord->sessions[i] = coord->sessions[i] == event->session ? 0 : coord->sessions[i];
        }
        law_coord_lost(world, index, event->session);
        step_event.kind = COORD_EVENT_PEER_DOWN;
        step_event.session = event->session;
        break;
    case EVENT_COORD_DRAIN:
        if (point(world, index, FAULT_C_DRAIN)) {
            return;
        }
        coord->process.is_draining = true;
        step_event.kind = COORD_EVENT_DRAIN;
        break;
    default:
        break;
    }
    (void)step(world, index, &step_event);
    carry(world, index);
}

void coord_proc_step_submit(struct sim_world *world, uint32_t index, struct coord_event *event,
                            bool *ret_ok)
{
    *ret_ok = step(world, index, event);
    carry(world, index);
}

static void take(struct sim_world *world, uint32_t index, struct sim_event *event)
{
    struct sim_coord *coord = &world->coords[index];
    switch (event->kind) {
    case EVENT_COORD_MESSAGE:
        take_message(world, index, event);
        return;
    case EVENT_COORD_SUBMIT:
        take_submit(world, index, event);
        return;
    case EVENT_COORD_RESOLVE:
        take_resolve(world, index, event);
        return;
    case EVENT_COORD_ACT:
        take_act(world, index, event);
        return;
    case EVENT_COORD_RECONFIGURE:
        take_reconfigure(world, index, event);
        return;
    case EVENT_COORD_FAILED: /* fail-stop (P-16): nothing more is said to anybody */
        TRACE(world, LANE_COORD(index), "journal failed");
        coord_proc_kill(world, index, false);
        if (event->b != 0) { /* somebody else wrote to it */
            coord->refused = COORD_STOP_FENCED;
            coord->refusals++;
        } else {
            process_order_start(world, world_coord_process(index), 200);
        }
        return;
    case EVENT_COORD_TIMER:
        if (event->number != coord->timer_number) {
            return;
        }
        coord->timer_at_ms = UINT64_MAX;
        if (world->now_ms < coord->deadline_ms) {
            timer_arm(world, index);
            return;
        }
        break;
    default:
        break;
    }
    take_simple(world, index, event);
}

void coord_proc_take(struct sim_world *world, uint32_t index, struct sim_event *event)
{
    const struct sim_coord *coord = &world->coords[index];
    uint64_t incarnation = coord->process.incarnation;
    take(world, index, event);
    if (coord->process.is_alive && coord->process.incarnation == incarnation &&
        coord->wants_carry) {
        step_pages(world, index);
    }
    coord_proc_passed(world, index);
}

void coord_proc_passed(struct sim_world *world, uint32_t index)
{
    const struct sim_coord *coord = &world->coords[index];
    if (coord->process.is_alive && coord->wants_carry && !round_goes_on(world, index)) {
        carry_now(world, index);
    }
}

/* ---- life ---- */

struct replayed {
    struct sim_world *world;
    uint32_t coord;
    uint64_t incarnation;
    size_t count, capacity;
    struct record *records;
};

static bool replay_visit(void *user, uint64_t number, const struct record *record)
{
    struct replayed *replayed = user;
    (void)number;
    if (replayed->count == replayed->capacity) {
        replayed->capacity = replayed->capacity == 0 ? 16 : replayed->capacity * 2;
        replayed->records =
            alloc_resize(replayed->records, replayed->capacity, sizeof(replayed->records[0]));
    }
    record_copy(record, &replayed->records[replayed->count++]);
    /* Dying while reading changes nothing; it is the next start that shows it. */
    return !point(replayed->world, replayed->coord, FAULT_C_RECOVER_SCAN);
}

static void step_start(struct sim_world *world, uint32_t index)
{
    struct sim_coord *coord = &world->coords[index];
    struct journal *journal = world->disks[coord->disk].journal;
    uint64_t incarnation = coord->process.incarnation;
    struct replayed replayed = {.world = world, .coord = index};
    struct error error;
    CHECK(journal_replay(journal, replay_visit, &replayed, &error));
    if (coord->process.is_alive && coord->process.incarnation == incarnation) {
        struct coord_event event = {.kind = COORD_EVENT_START,
                                    .random =
                                        world->options.is_explored
                                            ? sim_mix(journal_state(journal)->last_epoch, 5) | 1
                                            : sim_draw(&world->payload) | 1,
                                    .state = journal_state(journal),
                                    .record_count = replayed.count,
                                    .records = replayed.records};
        coord->epoch = journal_state(journal)->last_epoch + 1;
        (void)step(world, index, &event);
        carry_now(world, index);
    }
    for (size_t i = 0; i < replayed.count; i++) {
        record_done(&replayed.records[i]);
    }
    free(replayed.records);
}

void coord_proc_start(struct sim_world *world, uint32_t index)
{
    struct sim_coord *coord = &world->coords[index];
    CHECK(!coord->process.is_alive);
    coord->process.is_alive = true;
    coord->process.is_stopped = false;
    coord->process.is_draining = false;
    coord->process.incarnation = ++world->next_incarnation;
    coord->refused = COORD_RUN;
    coord->wants_carry = false;
    coord->timer_at_ms = UINT64_MAX;
    coord->deadline_ms = UINT64_MAX;
    memset(coord->sessions, 0, sizeof(coord->sessions));
    memset(coord->removed, 0, sizeof(coord->removed));
    coord->ready.deadline_ms = UINT64_MAX;
    TRACE(world, LANE_COORD(index), "start");
    world_note(world, 0xc0000 + index);
    if (point(world, index, FAULT_C_START_PRE_LOCK)) {
        return;
    }
    if (!disk_open(world, coord)) { /* refuses to start, and says why */
        TRACE(world, LANE_COORD(index), "refuses: the journal is damaged");
        coord->process.is_alive = false;
        coord->refused = COORD_STOP_BEHIND;
        return;
    }
    if (point(world, index, FAULT_C_START_POST_LOCK)) {
        return;
    }
    struct coord_config config = world->coord_config;
    config.journal = journal_state(world->disks[coord->disk].journal)->id;
    (void)snprintf(config.address, sizeof(config.address), "tcp://coordinator-%u", index);
    coord->core = coord_new(&config, world->now_ms);
    for (uint32_t i = 0; i < world->database_count; i++) {
        struct coord_event event = {.kind = COORD_EVENT_PARTICIPANT_ADD,
                                    .participant = world->databases[i].name,
                                    .address = "tcp://agent"};
        (void)step(world, index, &event);
        network_dial(world, index, i, sim_below(&world->network, 25));
    }
    step_start(world, index);
}

void coord_proc_kill(struct sim_world *world, uint32_t index, bool with_machine)
{
    struct sim_coord *coord = &world->coords[index];
    if (!coord->process.is_alive) {
        return;
    }
    if (world->phase != PHASE_OVER) {
        TRACE(world, LANE_COORD(index), "%s", with_machine ? "loses power" : "dies");
    }
    world_note(world, 0xd0000 + index);
    coord->process.is_alive = false;
    coord->process.is_stopped = false;
    process_inbox_drop(world, &coord->process);
    coord_free(coord->core);
    coord->core = NULL;
    coord_ready_done(&coord->ready);
    disk_thread_die(world, index, with_machine);
    network_process_died(world, world_coord_process(index));
    clients_coord_died(world, index);
}

bool coord_proc_serves(const struct sim_world *world, uint32_t index)
{
    return world->coords[index].process.is_alive && world->coords[index].core != NULL;
}
