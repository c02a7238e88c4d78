/* coord_requests.c - see coord_requests.h. */
#include "tests/spec/coord_requests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"

uint64_t accept_at(struct world *world, const char *queue, const char *key, uint8_t body,
                   bool is_async, size_t branch_count)
{
    static const char *const names[] = {"order", "payment"};
    struct submission submission = {
        .timeout_ms = 5000, .is_async = is_async, .branch_count = branch_count};
    submission.branches = alloc_array(branch_count, sizeof(submission.branches[0]));
    memset(submission.body_hash, body, BODY_HASH_BYTES);
    submission.key_bytes = strlen(key);
    memcpy(submission.key, key, submission.key_bytes);
    snprintf(submission.queue, sizeof(submission.queue), "%s", queue);
    for (size_t i = 0; i < branch_count; i++) {
        snprintf(submission.branches[i].participant, PARTICIPANT_NAME_SIZE, "%s", names[i]);
        submission.branches[i].work = blob_new("work", 4);
    }
    uint64_t call = world->next_call++;
    struct coord_event event = {
        .kind = COORD_EVENT_SUBMIT, .call = call, .submission = &submission};
    world_step(world, &event);
    submission_done(&submission);
    return call;
}

uint64_t accept_one(struct world *world, const char *queue, const char *key)
{
    return accept_at(world, queue, key, 1, true, 1);
}

struct gtrid accepted(struct world *world, const char *queue, const char *key)
{
    (void)accept_one(world, queue, key);
    struct gtrid id = world_append(world, RECORD_ACCEPT)->as.accept.gtrid;
    world_durable(world);
    return id;
}

uint64_t act_on(struct world *world, const struct gtrid *id, enum request_act what)
{
    struct api_request_act act = {.id = *id, .act = what, .comment = "because"};
    uint64_t call = world->next_call++;
    struct coord_event event = {.kind = COORD_EVENT_REQUEST_ACT, .call = call, .act = &act};
    event.prior.looked_up = true;
    world_step(world, &event);
    return call;
}

void say(struct world *world, const struct gtrid *run, enum vote vote, enum reason reason)
{
    struct gid gid = world_gid(run, "order", vote == VOTE_COMMIT ? 1 : 0);
    struct message message = {.kind = MESSAGE_VOTE};
    message.as.vote.gid = gid;
    message.as.vote.vote = vote;
    message.as.vote.failure.reason = reason;
    world_message(world, "order", world->order_session, &message);
}

void fails(struct world *world, const struct gtrid *run, enum reason reason)
{
    say(world, run, VOTE_ABORT, reason);
}

void decides(struct world *world, const struct gtrid *run)
{
    say(world, run, VOTE_COMMIT, REASON_NONE);
}

void completes(struct world *world, const struct gtrid *run)
{
    struct gid gid = world_gid(run, "order", 1);
    world_ack(world, "order", &gid, ACK_COMMITTED);
}

enum txn_state state_of(const struct world *world, const struct gtrid *id)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, id, true, &view));
    enum txn_state state = view.state;
    txn_view_done(&view);
    return state;
}

bool is_known(const struct world *world, const struct gtrid *id)
{
    struct txn_view view;
    if (!coord_view(world->coord, id, false, &view)) {
        return false;
    }
    txn_view_done(&view);
    return true;
}

size_t works(const struct world *world)
{
    return world_count_sends(world, MESSAGE_WORK);
}

void lists(const struct world *world, const struct api_list *list, size_t count,
           const struct gtrid *const *ids)
{
    struct txn_view *views = NULL;
    assert_int_equal(coord_list(world->coord, list, &views), count);
    for (size_t i = 0; i < count; i++) {
        assert_true(gtrid_equal(&views[i].gtrid, ids[i]));
        assert_true(views[i].request.is_request);
        txn_view_done(&views[i]);
    }
    free(views);
}

struct record accept_record(uint64_t sequence, const char *queue, const char *key)
{
    struct record record = {.kind = RECORD_ACCEPT};
    struct record_accept *accept = &record.as.accept;
    memset(accept->gtrid.journal.bytes, 0xab, JOURNAL_ID_BYTES);
    accept->gtrid.epoch = 1;
    accept->gtrid.epoch_nonce = 77;
    accept->gtrid.sequence = sequence;
    accept->timeout_ms = 5000;
    accept->key_bytes = strlen(key);
    memcpy(accept->key, key, accept->key_bytes);
    memset(accept->body_hash, 1, BODY_HASH_BYTES);
    snprintf(accept->queue, sizeof(accept->queue), "%s", queue);
    accept->branch_count = 1;
    accept->branches = alloc_array(1, sizeof(accept->branches[0]));
    snprintf(accept->branches[0].participant, PARTICIPANT_NAME_SIZE, "%s", "order");
    accept->branches[0].work = blob_new("work", 4);
    return record;
}

void recover(struct world *world, const struct record *records, size_t count)
{
    static struct epoch_entry epochs[] = {{.epoch = 1, .nonce = 77}};
    struct journal_state state = {.last_epoch = 1, .epoch_count = 1, .epochs = epochs};
    static char names[2][PARTICIPANT_NAME_SIZE] = {"order", "payment"};
    state.participant_count = 2;
    state.participants = names;
    state.head.number = 50;
    memset(state.id.bytes, 0xab, JOURNAL_ID_BYTES);
    world_init_from(world, &state, records, count);
}
