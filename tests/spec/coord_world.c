/* coord_world.c - see coord_world.h. */
#include "tests/spec/coord_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"

/* The law: a COMMIT message or an answer never leaves together with the record that allows it (P-4). */
static void check_law(const struct world *world)
{
    for (size_t a = 0; a < world->ready.append_count; a++) {
        const struct record *record = &world->ready.appends[a].record;
        if (record->kind != RECORD_COMMIT) {
            continue;
        }
        const struct gtrid *gtrid = &record->as.commit.gtrid;
        for (size_t s = 0; s < world->ready.send_count; s++) {
            const struct message *message = &world->ready.sends[s].message;
            assert_false(message->kind == MESSAGE_COMMIT &&
                         gtrid_equal(&message->as.commit.gid.gtrid, gtrid));
        }
        for (size_t i = 0; i < world->ready.answer_count; i++) {
            const struct api_answer *answer = &world->ready.answers[i].answer;
            assert_false(answer->status == API_OK && answer->view_count == 1 &&
                         gtrid_equal(&answer->views[0].gtrid, gtrid));
        }
    }
}

void world_step(struct world *world, struct coord_event *event)
{
    coord_ready_clear(&world->ready);
    event->now_ms = world->now_ms;
    event->wall_ms = 1700000000000 + world->now_ms;
    if (event->random == 0) {
        event->random = world->now_ms * 7919 + 1;
    }
    coord_step(world->coord, event, &world->ready);
    for (size_t i = 0; i < world->ready.append_count; i++) {
        world->last_token = world->ready.appends[i].token;
    }
    check_law(world);
}

void world_tick(struct world *world, uint64_t ms)
{
    world->now_ms += ms;
    struct coord_event event = {.kind = COORD_EVENT_TIMER};
    world_step(world, &event);
}

void world_durable(struct world *world)
{
    struct coord_event event = {.kind = COORD_EVENT_DURABLE,
                                .token = world->last_token,
                                .head = {.number = world->state.head.number + world->last_token}};
    world_step(world, &event);
}

static void world_make(struct world *world)
{
    memset(world, 0, sizeof(*world));
    world->now_ms = 1000000;
    world->next_session = 1;
    world->next_call = 1;
    memset(world->config.journal.bytes, 0xab, JOURNAL_ID_BYTES);
    snprintf(world->config.address, sizeof(world->config.address), "tcp://127.0.0.1:7402");
    world->ready.deadline_ms = UINT64_MAX;
}

static void world_start(struct world *world, const struct record *records, size_t count)
{
    world->coord = coord_new(&world->config, world->now_ms);
    static const char *const names[] = {"order", "payment"};
    for (size_t i = 0; i < 2; i++) {
        struct coord_event add = {.kind = COORD_EVENT_PARTICIPANT_ADD,
                                  .participant = names[i],
                                  .address = "127.0.0.1:7410"};
        world_step(world, &add);
    }
    struct coord_event start = {.kind = COORD_EVENT_START,
                                .random = 0x1111,
                                .state = &world->state,
                                .records = records,
                                .record_count = count};
    world_step(world, &start);
}

void world_init_from(struct world *world, const struct journal_state *state,
                     const struct record *records, size_t count)
{
    world_make(world);
    world->state = *state;
    world_start(world, records, count);
}

void world_init(struct world *world)
{
    world_init_limited(world, 0);
}

void world_init_limited(struct world *world, uint32_t max_active)
{
    world_init_with(world, (struct coord_config){.max_active = max_active});
}

void world_init_with(struct world *world, struct coord_config limits)
{
    world_make(world);
    limits.journal = world->config.journal;
    memcpy(limits.address, world->config.address, sizeof(limits.address));
    world->config = limits;
    world_start(world, NULL, 0);
    world_durable(world);
    world->order_session = world_connect(world, "order");
    world->payment_session = world_connect(world, "payment");
}

void world_done(struct world *world)
{
    coord_ready_done(&world->ready);
    coord_free(world->coord);
}

void world_message(struct world *world, const char *participant, uint64_t session,
                   struct message *message)
{
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                .participant = participant,
                                .session = session,
                                .message = message};
    event.prior.looked_up = true; /* the journal was asked and has nothing */
    world_step(world, &event);
    message_done(message);
}

uint64_t world_witness(struct world *world, const char *participant)
{
    uint64_t session = world->next_session++;
    struct coord_event up = {.kind = COORD_EVENT_PEER_UP,
                             .participant = participant,
                             .address = "127.0.0.1:7410",
                             .version = "0",
                             .session = session};
    world_step(world, &up);
    struct message witness = {.kind = MESSAGE_WITNESS};
    world_message(world, participant, session, &witness);
    return session;
}

uint64_t world_connect(struct world *world, const char *participant)
{
    uint64_t session = world_witness(world, participant);
    struct coord_counters counters;
    coord_counters_read(world->coord, &counters);
    struct message welcome = {.kind = MESSAGE_WELCOME, .as.welcome.epoch = counters.epoch};
    world_message(world, participant, session, &welcome);
    return session;
}

void world_disconnect(struct world *world, uint64_t session)
{
    struct coord_event down = {.kind = COORD_EVENT_PEER_DOWN, .session = session};
    world_step(world, &down);
}

uint64_t world_submit_with(struct world *world, const char *key, uint8_t body, enum ack_mode ack,
                           bool payment_read_only)
{
    struct submission submission = {.timeout_ms = 5000, .ack = ack, .branch_count = 2};
    memset(submission.body_hash, body, sizeof(submission.body_hash));
    if (key != NULL) {
        submission.key_bytes = strlen(key);
        memcpy(submission.key, key, submission.key_bytes);
    }
    submission.branches = alloc_array(2, sizeof(submission.branches[0]));
    snprintf(submission.branches[0].participant, PARTICIPANT_NAME_SIZE, "order");
    snprintf(submission.branches[1].participant, PARTICIPANT_NAME_SIZE, "payment");
    submission.branches[0].work = blob_new("o", 1);
    submission.branches[1].work = blob_new("p", 1);
    submission.branches[1].read_only = payment_read_only;
    uint64_t call = world->next_call++;
    struct coord_event event = {
        .kind = COORD_EVENT_SUBMIT, .call = call, .submission = &submission};
    event.prior.looked_up = true;
    world_step(world, &event);
    submission_done(&submission);
    return call;
}

uint64_t world_submit(struct world *world, const char *key, uint8_t body)
{
    return world_submit_with(world, key, body, ACK_MODE_COMPLETED, false);
}

struct gid world_gid(const struct gtrid *gtrid, const char *participant, uint64_t attempt)
{
    struct gid gid = {.gtrid = *gtrid, .attempt = attempt};
    snprintf(gid.participant, sizeof(gid.participant), "%s", participant);
    return gid;
}

static uint64_t world_session(const struct world *world, const char *participant)
{
    return strcmp(participant, "order") == 0 ? world->order_session : world->payment_session;
}

void world_vote(struct world *world, const char *participant, const struct gid *gid, enum vote vote)
{
    struct message message = {.kind = MESSAGE_VOTE};
    message.as.vote.gid = *gid;
    message.as.vote.vote = vote;
    if (vote == VOTE_ABORT) {
        message.as.vote.failure.reason = REASON_CONSTRAINT;
    } else if (vote == VOTE_COMMIT) {
        message.as.vote.proof.kind = PROOF_ROW;
        message.as.vote.proof.xid8 = gid->attempt;
    }
    world_message(world, participant, world_session(world, participant), &message);
}

void world_ack(struct world *world, const char *participant, const struct gid *gid, enum ack ack)
{
    struct message message = {.kind = MESSAGE_ACK};
    message.as.ack.gid = *gid;
    message.as.ack.ack = ack;
    world_message(world, participant, world_session(world, participant), &message);
}

enum verdict world_inquire(struct world *world, const char *participant, const struct gid *gid,
                           const struct journal_entry *entry)
{
    struct message message = {.kind = MESSAGE_INQUIRY};
    message.as.inquiry.gid = *gid;
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                .participant = participant,
                                .session = world_session(world, participant),
                                .message = &message};
    event.prior.looked_up = true;
    event.prior.found = entry != NULL;
    event.prior.entry = entry;
    world_step(world, &event);
    const struct message *verdict = world_send(world, MESSAGE_VERDICT, 0);
    assert_non_null(verdict);
    assert_true(gid_equal(&verdict->as.verdict.gid, gid));
    return verdict->as.verdict.verdict;
}

size_t world_count_sends(const struct world *world, enum message_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < world->ready.send_count; i++) {
        count += world->ready.sends[i].message.kind == kind ? 1 : 0;
    }
    return count;
}

const struct message *world_send(const struct world *world, enum message_kind kind, size_t index)
{
    for (size_t i = 0; i < world->ready.send_count; i++) {
        if (world->ready.sends[i].message.kind == kind && index-- == 0) {
            return &world->ready.sends[i].message;
        }
    }
    return NULL;
}

size_t world_count_appends(const struct world *world, enum record_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < world->ready.append_count; i++) {
        count += world->ready.appends[i].record.kind == kind ? 1 : 0;
    }
    return count;
}

const struct record *world_append(const struct world *world, enum record_kind kind)
{
    for (size_t i = 0; i < world->ready.append_count; i++) {
        if (world->ready.appends[i].record.kind == kind) {
            return &world->ready.appends[i].record;
        }
    }
    return NULL;
}

const struct api_answer *world_answer(const struct world *world, uint64_t call)
{
    for (size_t i = 0; i < world->ready.answer_count; i++) {
        if (world->ready.answers[i].call == call) {
            return &world->ready.answers[i].answer;
        }
    }
    return NULL;
}

struct gtrid world_last_gtrid(const struct world *world)
{
    const struct message *work = world_send(world, MESSAGE_WORK, 0);
    assert_non_null(work);
    return work->as.work.gtrid;
}

struct pair world_begin(struct world *world, const char *key)
{
    struct pair pair = {.call = world_submit(world, key, 1)};
    struct gtrid gtrid = world_last_gtrid(world);
    pair.order = world_gid(&gtrid, "order", 11);
    pair.payment = world_gid(&gtrid, "payment", 22);
    return pair;
}

struct pair world_decided(struct world *world, const char *key)
{
    struct pair pair = world_begin(world, key);
    world_vote(world, "order", &pair.order, VOTE_COMMIT);
    world_vote(world, "payment", &pair.payment, VOTE_COMMIT);
    return pair;
}

struct pair world_committing(struct world *world, const char *key)
{
    struct pair pair = world_decided(world, key);
    world_durable(world);
    return pair;
}
