/* coord_lines.c - see coord_lines.h. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>

#include "tests/spec/coord_lines.h"

struct coord_counters counters_of(const struct world *world)
{
    struct coord_counters counters;
    coord_counters_read(world->coord, &counters);
    return counters;
}

struct txn_view view_of(const struct world *world, const struct gtrid *gtrid)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, gtrid, true, &view));
    return view;
}

size_t count_events(const struct world *world, const struct gtrid *gtrid, const char *kind)
{
    struct txn_view view = view_of(world, gtrid);
    size_t count = 0;
    for (size_t i = 0; i < view.event_count; i++) {
        count += strcmp(view.events[i].kind, kind) == 0;
    }
    txn_view_done(&view);
    return count;
}

enum branch_state branch_of(const struct world *world, const struct gtrid *gtrid, size_t index)
{
    struct txn_view view = view_of(world, gtrid);
    enum branch_state state = view.branches[index].state;
    txn_view_done(&view);
    return state;
}

void resolve(struct world *world, const struct gid *gid, enum resolve_action action, uint64_t call)
{
    struct api_resolve what = {.gtrid = gid->gtrid, .action = action};
    memcpy(what.participant, gid->participant, sizeof(what.participant));
    struct coord_event event = {.kind = COORD_EVENT_RESOLVE, .call = call, .resolve = &what};
    event.prior.looked_up = true;
    world_step(world, &event);
}

void drain(struct world *world)
{
    struct coord_event event = {.kind = COORD_EVENT_DRAIN};
    world_step(world, &event);
}

void ack_with(struct world *world, const struct gid *gid, enum ack ack,
              const struct coord_prior *prior)
{
    struct message message = {.kind = MESSAGE_ACK, .as.ack = {.gid = *gid, .ack = ack}};
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE,
                                .participant = gid->participant,
                                .session = world->order_session,
                                .message = &message,
                                .prior = *prior};
    world_step(world, &event);
    message_done(&message);
}

void abort_at_once(struct world *world, const struct pair *pair)
{
    world_vote(world, "payment", &pair->payment, VOTE_ABORT);
    struct gid nameless = pair->order;
    nameless.attempt = 0;
    world_ack(world, "order", &nameless, ACK_ROLLED_BACK);
}

void past_init(struct past *past)
{
    memset(past, 0, sizeof *past);
    past->epochs[0] = (struct epoch_entry){.epoch = 2, .nonce = 20};
    past->epochs[1] = (struct epoch_entry){.epoch = 3, .nonce = 30};
    past->state.last_epoch = 3;
    past->state.epoch_count = 2;
    past->state.epochs = past->epochs;
    memset(past->state.id.bytes, 0xab, JOURNAL_ID_BYTES);
    struct gtrid gtrid = {.journal = past->state.id, .epoch = 3, .epoch_nonce = 30, .sequence = 7};
    past->order = world_gid(&gtrid, "order", 11);
    past->branches[0].gid = past->order;
    past->branches[1].gid = world_gid(&gtrid, "stock", 0);
    past->branches[1].read_only = true;
    past->records[0].kind = RECORD_COMMIT;
    past->records[0].as.commit.gtrid = gtrid;
    past->records[0].as.commit.branches = past->branches;
    past->records[0].as.commit.branch_count = 2;
    past->count = 1;
}

void past_heuristic(struct past *past, enum ack ack)
{
    struct record *record = &past->records[past->count++];
    record->kind = RECORD_HEURISTIC;
    record->as.heuristic.gid = past->order;
    record->as.heuristic.ack = ack;
}

void past_resolved(struct past *past, enum resolve_action action)
{
    struct record *record = &past->records[past->count++];
    record->kind = RECORD_RESOLVED;
    record->as.resolved.gtrid = past->order.gtrid;
    record->as.resolved.action = action;
    (void)snprintf(record->as.resolved.participant, PARTICIPANT_NAME_SIZE, "order");
}
