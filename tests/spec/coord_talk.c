/* coord_talk.c - see coord_talk.h. */
#include "tests/spec/coord_talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"

int talk_begin(void **state)
{
    struct world *world = alloc_zeroed(sizeof(*world));
    world_init_with(world, (struct coord_config){.recent_max = 1,
                                                 .interactive_max = 2,
                                                 .interactive_idle_ms = 5000,
                                                 .interactive_result_bytes = 1000,
                                                 .max_statements = 10000});
    *state = world;
    return 0;
}

int talk_end(void **state)
{
    world_done(*state);
    free(*state);
    return 0;
}

uint64_t open_call(struct world *world)
{
    struct coord_event event = {
        .kind = COORD_EVENT_OPEN, .call = world->next_call++, .timeout_ms = TIMEOUT_MS};
    world_step(world, &event);
    return event.call;
}

struct gtrid opened(struct world *world)
{
    const struct api_answer *answer = world_answer(world, open_call(world));
    assert_int_equal(answer->status, API_OK);
    assert_int_equal(answer->views[0].state, TXN_OPEN);
    return answer->views[0].gtrid;
}

uint64_t say_as(struct world *world, struct interactive_statement statement,
                struct coord_prior prior)
{
    statement.work = blob_new("sql", 3);
    struct coord_event event = {.kind = COORD_EVENT_STATEMENT,
                                .call = world->next_call++,
                                .statement = &statement,
                                .prior = prior};
    world_step(world, &event);
    blob_free(statement.work);
    return event.call;
}

uint64_t say(struct world *world, const struct gtrid *gtrid, const char *participant, uint64_t seq,
             uint8_t body)
{
    struct interactive_statement statement = {.gtrid = *gtrid, .seq = seq, .hash = {body}};
    snprintf(statement.participant, sizeof(statement.participant), "%s", participant);
    return say_as(world, statement, (struct coord_prior){.looked_up = true});
}

uint64_t close_with(struct world *world, const struct gtrid *gtrid, bool commit,
                    struct coord_prior prior)
{
    struct interactive_end end = {.gtrid = *gtrid, .commit = commit};
    struct coord_event event = {
        .kind = COORD_EVENT_CLOSE, .call = world->next_call++, .end = &end, .prior = prior};
    world_step(world, &event);
    return event.call;
}

uint64_t commit_call(struct world *world, const struct gtrid *gtrid)
{
    return close_with(world, gtrid, true, (struct coord_prior){.looked_up = true});
}

uint64_t rollback_call(struct world *world, const struct gtrid *gtrid)
{
    return close_with(world, gtrid, false, (struct coord_prior){.looked_up = true});
}

void answer_as(struct world *world, const struct gid *gid, uint64_t ordinal, const char *results)
{
    struct message message = {.kind = MESSAGE_ANSWER};
    message.as.answer.gid = *gid;
    message.as.answer.ordinal = ordinal;
    message.as.answer.results = blob_new(results, strlen(results));
    world_message(world, gid->participant,
                  strcmp(gid->participant, "order") == 0 ? world->order_session
                                                         : world->payment_session,
                  &message);
}

const struct message_statement *sent(const struct world *world)
{
    assert_int_equal(world_count_sends(world, MESSAGE_STATEMENT), 1);
    return &world_send(world, MESSAGE_STATEMENT, 0)->as.statement;
}

void assert_status(const struct world *world, uint64_t call, enum api_status status)
{
    assert_non_null(world_answer(world, call));
    assert_int_equal(world_answer(world, call)->status, status);
}

enum txn_state state_of(const struct world *world, const struct gtrid *gtrid)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, gtrid, false, &view));
    enum txn_state state = view.state;
    txn_view_done(&view);
    return state;
}

struct gid said(struct world *world, const struct gtrid *gtrid, const char *participant)
{
    uint64_t call = say(world, gtrid, participant, 0, 0);
    uint64_t ordinal = sent(world)->ordinal;
    struct gid gid = world_gid(gtrid, participant, ATTEMPT);
    answer_as(world, &gid, ordinal, "rows");
    assert_status(world, call, API_OK);
    return gid;
}
