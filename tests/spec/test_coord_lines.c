/* test_coord_lines.c - more properties of the coordinator's core that hang on one line each: every test here was written
 * for an automatic mutant that no other test noticed (tests/mutants/). P-2, P-5, P-8, P-10, P-12, P-18, H1, Q1. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/spec/coord_world.h"

static struct coord_counters counters_of(const struct world *world)
{
    struct coord_counters counters;
    coord_counters_read(world->coord, &counters);
    return counters;
}

static struct txn_view view_of(const struct world *world, const struct gtrid *gtrid)
{
    struct txn_view view;
    assert_true(coord_view(world->coord, gtrid, true, &view));
    return view;
}

static size_t count_events(const struct world *world, const struct gtrid *gtrid, const char *kind)
{
    struct txn_view view = view_of(world, gtrid);
    size_t count = 0;
    for (size_t i = 0; i < view.event_count; i++) {
        count += strcmp(view.events[i].kind, kind) == 0;
    }
    txn_view_done(&view);
    return count;
}

static enum branch_state branch_of(const struct world *world, const struct gtrid *gtrid,
                                   size_t index)
{
    struct txn_view view = view_of(world, gtrid);
    enum branch_state state = view.branches[index].state;
    txn_view_done(&view);
    return state;
}

static void resolve(struct world *world, const struct gid *gid, enum resolve_action action,
                    uint64_t call)
{
    struct api_resolve what = {.gtrid = gid->gtrid, .action = action};
    memcpy(what.participant, gid->participant, sizeof(what.participant));
    struct coord_event event = {.kind = COORD_EVENT_RESOLVE, .call = call, .resolve = &what};
    event.prior.looked_up = true;
    world_step(world, &event);
}

static void drain(struct world *world)
{
    struct coord_event event = {.kind = COORD_EVENT_DRAIN};
    world_step(world, &event);
}

static void ack_with(struct world *world, const struct gid *gid, enum ack ack,
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

static void abort_at_once(struct world *world, const struct pair *pair)
{
    world_vote(world, "payment", &pair->payment, VOTE_ABORT);
    struct gid nameless = pair->order;
    nameless.attempt = 0;
    world_ack(world, "order", &nameless, ACK_ROLLED_BACK);
}

/* ---- the start ---- */

/* A journal with one earlier epoch, and one commit of it over order and (read-only) a participant that nobody knows. */
struct past {
    struct epoch_entry epochs[2];
    char names[1][PARTICIPANT_NAME_SIZE];
    struct journal_state state;
    struct record_branch branches[2];
    struct record records[3];
    size_t count;
    struct gid order;
};

static void past_init(struct past *past)
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

static void past_heuristic(struct past *past, enum ack ack)
{
    struct record *record = &past->records[past->count++];
    record->kind = RECORD_HEURISTIC;
    record->as.heuristic.gid = past->order;
    record->as.heuristic.ack = ack;
}

static void past_resolved(struct past *past, enum resolve_action action)
{
    struct record *record = &past->records[past->count++];
    record->kind = RECORD_RESOLVED;
    record->as.resolved.gtrid = past->order.gtrid;
    record->as.resolved.action = action;
    (void)snprintf(record->as.resolved.participant, PARTICIPANT_NAME_SIZE, "order");
}

static enum branch_state start_and_look(struct past *past)
{
    struct world world;
    world_init_from(&world, &past->state, past->records, past->count);
    enum branch_state state = branch_of(&world, &past->order.gtrid, 0);
    world_done(&world);
    return state;
}

/* What a person said of a heuristic outcome holds after a restart, and only that. */
static void test_h1_resolutions_survive_a_restart(void **state)
{
    (void)state;
    struct past past;
    past_init(&past);
    past_heuristic(&past, ACK_HEURISTIC_ROLLBACK);
    past_resolved(&past, RESOLVE_COMMIT);
    assert_int_equal(start_and_look(&past), BRANCH_COMMITTING);
    past_init(&past);
    past_heuristic(&past, ACK_HEURISTIC_ROLLBACK);
    past_resolved(&past, RESOLVE_ROLLBACK);
    assert_int_equal(start_and_look(&past), BRANCH_HEURISTIC_ROLLBACK);
    past_init(&past);
    past_resolved(&past, RESOLVE_FORGET); /* of nothing heuristic */
    assert_int_equal(start_and_look(&past), BRANCH_COMMITTING);
    /* Of an aborted transaction: there is no COMMIT record, and nothing to commit. */
    past_init(&past);
    past.count = 0;
    past_heuristic(&past, ACK_HEURISTIC_COMMIT);
    past_resolved(&past, RESOLVE_COMMIT);
    assert_int_equal(start_and_look(&past), BRANCH_HEURISTIC_COMMIT);
    past.count = 1;
    past_resolved(&past, RESOLVE_FORGET);
    assert_int_equal(start_and_look(&past), BRANCH_FORGOTTEN);
}

/* A participant that is only awaited was not released: its branch is unfinished, and no hazard. A released one's read-only
 * branch needs nobody. */
static void test_p10_awaited_is_not_released(void **state)
{
    (void)state;
    struct past past;
    struct world world;
    past_init(&past);
    world_init_from(&world, &past.state, past.records, past.count);
    world_durable(&world);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    assert_int_equal(branch_of(&world, &past.order.gtrid, 1), BRANCH_READ_ONLY);
    world_done(&world);

    past_init(&past);
    past.branches[1].read_only = false;
    past.branches[1].gid.attempt = 22;
    (void)snprintf(past.names[0], PARTICIPANT_NAME_SIZE, "stock");
    past.state.participants = past.names;
    past.state.participant_count = 1;
    world_init_from(&world, &past.state, past.records, past.count);
    world_durable(&world);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    assert_int_equal(branch_of(&world, &past.order.gtrid, 1), BRANCH_COMMITTING);
    world_done(&world);
}

/* P-8: a listed nonce with another epoch is not ours; below the floor is decided by the epoch first. */
static void test_p08_epoch_and_nonce_belong_together(void **state)
{
    (void)state;
    struct past past;
    struct world world;
    past_init(&past);
    past.state.floor = (struct journal_floor){.epoch = 3, .sequence = 5, .first_number = 2};
    past.state.floor.first_number = 2;
    world_init_from(&world, &past.state, NULL, 0);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    world.payment_session = world_connect(&world, "payment");
    struct gid gid = past.order;
    assert_int_equal(world_inquire(&world, "order", &gid, NULL), VERDICT_ABORT);
    gid.gtrid.sequence = 5;
    assert_int_equal(world_inquire(&world, "order", &gid, NULL), VERDICT_UNKNOWN);
    gid.gtrid.sequence = 50;
    gid.gtrid.epoch = 2;
    gid.gtrid.epoch_nonce = 20;
    assert_int_equal(world_inquire(&world, "order", &gid, NULL), VERDICT_UNKNOWN);
    uint64_t unknown = counters_of(&world).unknown_inquiries;
    gid.gtrid.epoch = 99;
    gid.gtrid.epoch_nonce = 30;
    assert_int_equal(world_inquire(&world, "order", &gid, NULL), VERDICT_UNKNOWN);
    assert_int_equal(counters_of(&world).unknown_inquiries, unknown + 1);
    world_done(&world);
}

/* P-12: a hazard is recorded only of what this journal gave out, and only if the journal could be read. */
static void test_p12_hazard_of_a_stranger_is_not_recorded(void **state)
{
    (void)state;
    struct past past;
    struct world world;
    past_init(&past);
    world_init_from(&world, &past.state, NULL, 0);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    struct coord_prior prior = {.looked_up = true};
    struct gid gid = past.order;
    gid.gtrid.epoch = 99;
    ack_with(&world, &gid, ACK_HAZARD, &prior);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    prior.looked_up = false;
    ack_with(&world, &past.order, ACK_HAZARD, &prior);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    ack_with(&world, &past.order, ACK_COMMITTED, &(struct coord_prior){.looked_up = true});
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    world_done(&world);
}

/* The floor that agents hear, of a start with these unfinished commits in this order. */
static void assert_told_floor(const struct gtrid *gtrids, size_t count, uint64_t epoch,
                              uint64_t sequence)
{
    struct past past;
    struct world world;
    past_init(&past);
    past.state.floor = (struct journal_floor){.epoch = 3, .sequence = 20, .first_number = 2};
    struct record_branch branches[2] = {{.gid = past.order}, {.gid = past.order}};
    for (size_t i = 0; i < count; i++) {
        branches[i].gid.gtrid.epoch = gtrids[i].epoch;
        branches[i].gid.gtrid.epoch_nonce = gtrids[i].epoch * 10;
        branches[i].gid.gtrid.sequence = gtrids[i].sequence;
        past.records[i] = (struct record){.kind = RECORD_COMMIT};
        past.records[i].as.commit.gtrid = branches[i].gid.gtrid;
        past.records[i].as.commit.branches = &branches[i];
        past.records[i].as.commit.branch_count = 1;
    }
    world_init_from(&world, &past.state, past.records, count);
    world_durable(&world);
    struct coord_event up = {.kind = COORD_EVENT_PEER_UP,
                             .participant = "payment",
                             .address = "",
                             .version = "",
                             .session = 77};
    world_step(&world, &up);
    struct message witness = {.kind = MESSAGE_WITNESS};
    world_message(&world, "payment", 77, &witness);
    const struct message *claim = world_send(&world, MESSAGE_CLAIM, 0);
    assert_non_null(claim);
    assert_int_equal(claim->as.claim.floor.epoch, epoch);
    assert_int_equal(claim->as.claim.floor.sequence, sequence);
    world_done(&world);
}

/* P-12, P-13: agents keep the outcomes of everything that is not finished, wherever the journal's floor lies by now. */
static void test_p13_told_floor_lies_below_what_is_not_finished(void **state)
{
    (void)state;
    static const struct gtrid above = {.epoch = 3, .sequence = 30};
    static const struct gtrid at = {.epoch = 3, .sequence = 20};
    static const struct gtrid below = {.epoch = 3, .sequence = 7};
    static const struct gtrid earlier = {.epoch = 2, .sequence = 50};
    assert_told_floor(NULL, 0, 3, 20);
    assert_told_floor(&above, 1, 3, 20);
    assert_told_floor(&at, 1, 3, 19);
    assert_told_floor(&below, 1, 3, 6);
    assert_told_floor(&earlier, 1, 2, 49);
    assert_told_floor((struct gtrid[]){below, earlier}, 2, 2, 49);
    assert_told_floor((struct gtrid[]){earlier, below}, 2, 2, 49);
}

/* A person's verdict holds after a restart only for what the journal cannot judge itself; forget is none. */
static void test_p08_recorded_verdict_is_for_the_unjudged_only(void **state)
{
    (void)state;
    static const enum resolve_action actions[] = {RESOLVE_COMMIT, RESOLVE_FORGET, RESOLVE_COMMIT};
    static const enum verdict expected[] = {VERDICT_COMMIT, VERDICT_UNKNOWN, VERDICT_ABORT};
    for (size_t i = 0; i < 3; i++) {
        struct past past;
        struct world world;
        past_init(&past);
        past.count = 0;
        if (i < 2) {
            past.order.gtrid.epoch_nonce = 99; /* not listed */
        }
        past_resolved(&past, actions[i]);
        world_init_from(&world, &past.state, past.records, past.count);
        world_durable(&world);
        world.order_session = world_connect(&world, "order");
        world.payment_session = world_connect(&world, "payment");
        assert_int_equal(world_inquire(&world, "order", &past.order, NULL), expected[i]);
        world_done(&world);
    }
}

/* ---- running ---- */

/* How often a commit was told again is counted and shown; the first time is not a repetition. */
static void test_p05_repetitions_are_counted(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    assert_int_equal(counters_of(&world).commits_resent, 0);
    assert_int_equal(count_events(&world, &pair.order.gtrid, "commit-sent"), 2);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_tick(&world, 1000);
    assert_int_equal(counters_of(&world).commits_resent, 1);
    assert_int_equal(count_events(&world, &pair.order.gtrid, "commit-sent-again"), 1);
    world_disconnect(&world, world.payment_session);
    world.payment_session = world_connect(&world, "payment"); /* a new session: not told there */
    assert_int_equal(counters_of(&world).commits_resent, 1);
    world_done(&world);

    struct past past;
    past_init(&past);
    world_init_from(&world, &past.state, past.records, past.count);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    assert_int_equal(counters_of(&world).commits_resent,
                     1); /* an earlier process may have told it */
    world_done(&world);
}

/* Heuristic outcomes and hazards are counted apart; what was decided and found so is neither. */
static void test_h1_outcomes_are_counted_apart(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_HEURISTIC_COMMIT);
    assert_int_equal(counters_of(&world).heuristics, 0);
    world_ack(&world, "order", &pair.order, ACK_HEURISTIC_ROLLBACK);
    assert_int_equal(counters_of(&world).heuristics, 1);
    assert_int_equal(counters_of(&world).hazards, 0);
    world_ack(&world, "payment", &pair.payment, ACK_HAZARD);
    assert_int_equal(counters_of(&world).heuristics, 1);
    assert_int_equal(counters_of(&world).hazards, 1);
    world_done(&world);
}

static void assert_late_votes_change_nothing(struct world *world, const struct gid *order,
                                             enum branch_state state)
{
    static const enum vote votes[] = {VOTE_ABORT, VOTE_UNKNOWN, VOTE_COMMIT};
    for (size_t i = 0; i < sizeof(votes) / sizeof(votes[0]); i++) {
        world_vote(world, "order", order, votes[i]);
        assert_int_equal(branch_of(world, &order->gtrid, 0), state);
    }
}

/* H1: what was first found out about a branch stands until a person has seen it; another finding, or a vote from before,
 * changes nothing and is not recorded. */
static void test_h1_first_outcome_stands(void **state)
{
    (void)state;
    static const struct {
        bool is_decided;
        enum ack first;
        enum branch_state becomes;
    } cases[] = {
        {true, ACK_HEURISTIC_ROLLBACK, BRANCH_HEURISTIC_ROLLBACK},
        {true, ACK_HAZARD, BRANCH_HAZARD},
        {false, ACK_HEURISTIC_COMMIT, BRANCH_HEURISTIC_COMMIT},
        {false, ACK_HAZARD, BRANCH_HAZARD},
    };
    static const enum ack later[] = {ACK_HEURISTIC_COMMIT, ACK_HEURISTIC_ROLLBACK, ACK_HAZARD,
                                     ACK_COMMITTED, ACK_ROLLED_BACK};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world;
        world_init(&world);
        struct pair pair =
            cases[i].is_decided ? world_committing(&world, NULL) : world_begin(&world, NULL);
        if (!cases[i].is_decided) {
            world_vote(&world, "order", &pair.order, VOTE_COMMIT);
            world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
        }
        world_ack(&world, "order", &pair.order, cases[i].first);
        world_durable(&world);
        for (size_t k = 0; k < sizeof(later) / sizeof(later[0]); k++) {
            world_ack(&world, "order", &pair.order, later[k]);
            assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
            assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), cases[i].becomes);
        }
        enum verdict verdict = cases[i].is_decided ? VERDICT_COMMIT : VERDICT_ABORT;
        assert_late_votes_change_nothing(&world, &pair.order, cases[i].becomes);
        assert_int_equal(world_inquire(&world, "order", &pair.order, NULL), verdict);
        if (cases[i].is_decided) {
            /* Also once a person has seen it, while the other branch goes on. */
            resolve(&world, &pair.order, RESOLVE_FORGET, 90);
            world_durable(&world);
            assert_late_votes_change_nothing(&world, &pair.order, BRANCH_FORGOTTEN);
            world_ack(&world, "order", &pair.order, ACK_COMMITTED);
            assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_FORGOTTEN);
        }
        world_done(&world);
    }
}

static size_t noted(const struct world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < world_count_sends(world, MESSAGE_VERDICT); i++) {
        count += world_send(world, MESSAGE_VERDICT, i)->as.verdict.verdict == VERDICT_NOTED;
    }
    return count;
}

/* H1: an agent repeats what contradicts an abort; it hears that it is noted when that is durable, and at once where there is
 * nothing to note. A journal that cannot be read is no reason to let it go. */
static void test_h1_contradiction_of_an_abort_is_noted_once_it_is_durable(void **state)
{
    (void)state;
    static const enum ack contrary[] = {ACK_HEURISTIC_COMMIT, ACK_HAZARD};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        world_init(&world);
        struct pair pair = world_begin(&world, NULL);
        world_vote(&world, "order", &pair.order, VOTE_COMMIT);
        world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
        world_ack(&world, "order", &pair.order, contrary[i]);
        assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
        assert_int_equal(noted(&world), 0);
        world_ack(&world, "order", &pair.order, contrary[i]);
        assert_int_equal(noted(&world), 0);
        world_durable(&world);
        assert_int_equal(noted(&world), 1);
        assert_true(
            gid_equal(&world_send(&world, MESSAGE_VERDICT, 0)->as.verdict.gid, &pair.order));
        world_ack(&world, "order", &pair.order, contrary[i]);
        assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
        assert_int_equal(noted(&world), 1);
        assert_true(
            gid_equal(&world_send(&world, MESSAGE_VERDICT, 0)->as.verdict.gid, &pair.order));

        struct gid stranger = pair.order; /* an epoch that this journal does not know */
        stranger.gtrid.epoch_nonce++;
        ack_with(&world, &stranger, contrary[i], &(struct coord_prior){.looked_up = false});
        assert_int_equal(noted(&world), 0);
        ack_with(&world, &stranger, contrary[i], &(struct coord_prior){.looked_up = true});
        assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
        assert_int_equal(noted(&world), 1);

        stranger = pair.order; /* of another journal: its coordinator has to note it */
        stranger.gtrid.journal.bytes[0] ^= 1;
        ack_with(&world, &stranger, contrary[i], &(struct coord_prior){.looked_up = true});
        assert_int_equal(world.ready.send_count, 0);

        stranger = pair.order; /* what agrees, or names no attempt, is not repeated */
        stranger.gtrid.epoch_nonce++;
        ack_with(&world, &stranger, ACK_ROLLED_BACK, &(struct coord_prior){.looked_up = true});
        assert_int_equal(world.ready.send_count, 0);
        stranger.attempt = 0;
        ack_with(&world, &stranger, contrary[i], &(struct coord_prior){.looked_up = true});
        assert_int_equal(world.ready.send_count, 0);
        world_done(&world);
    }
}

/* H1: of a transaction that is known only because one branch was committed by hand, another one can be, too. */
static void test_h1_second_branch_of_a_noted_abort_is_recorded(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.recent_max = 1});
    struct pair pair = world_begin(&world, NULL);
    abort_at_once(&world, &pair);
    struct pair other = world_begin(&world, NULL);
    abort_at_once(&world, &other); /* and the first one is forgotten */
    const struct coord_prior prior = {.looked_up = true};
    ack_with(&world, &pair.order, ACK_HEURISTIC_COMMIT, &prior);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    world_durable(&world);
    ack_with(&world, &pair.order, ACK_HEURISTIC_COMMIT, &prior); /* repeated: it is on record */
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    world_ack(&world, "payment", &pair.payment, ACK_ROLLED_BACK); /* nothing to record */
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.branch_count, 1);
    txn_view_done(&view);
    world_ack(&world, "payment", &pair.payment, ACK_HEURISTIC_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 1);
    assert_int_equal(noted(&world), 0);
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 1), BRANCH_HEURISTIC_COMMIT);
    world_done(&world);
}

/* P-7: who has refused has refused; another vote of the same branch is answered as what came too late. */
static void test_p07_refusal_stands(void **state)
{
    (void)state;
    static const enum vote later[] = {VOTE_UNKNOWN, VOTE_COMMIT, VOTE_READONLY, VOTE_ABORT};
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_ABORT);
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_REFUSED);
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        world_vote(&world, "order", &pair.order, later[i]);
        assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_REFUSED);
        assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), i < 2 ? 1 : 0);
    }
    assert_int_equal(world_inquire(&world, "order", &pair.order, NULL), VERDICT_ABORT);
    world_ack(&world, "order", &pair.order, ACK_ROLLED_BACK);
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_REFUSED);
    world_done(&world);
}

/* P-8: a gid of a transaction that still waits for admission is undecided. */
static void test_p08_queued_transaction_is_undecided(void **state)
{
    (void)state;
    struct world world;
    world_init_limited(&world, 1);
    struct pair first = world_decided(&world, "a"); /* counts as open until it is durable */
    (void)world_submit(&world, "b", 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 0);
    struct gid gid = first.order;
    gid.gtrid.sequence++;
    assert_int_equal(world_inquire(&world, "order", &gid, NULL), VERDICT_WAIT);
    world_durable(&world);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 2);
    world_done(&world);
}

/* P-18: a key runs again after its transaction aborted in every branch, too. */
static void test_p18_key_runs_again_after_the_end_of_an_abort(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, "k");
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    struct gid nameless = pair.order;
    nameless.attempt = 0;
    world_ack(&world, "order", &nameless, ACK_ROLLED_BACK);
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.state, TXN_ABORTED);
    txn_view_done(&view);
    (void)world_submit(&world, "k", 1);
    assert_int_equal(world_count_sends(&world, MESSAGE_WORK), 2);
    world_done(&world);
}

/* Replayed answers are counted: a commit told again, not an abort, and not a first answer. */
static void test_p18_replays_are_counted(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, "k");
    (void)world_submit(&world, "k", 1); /* joins, and hears "aborted" */
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    assert_int_equal(counters_of(&world).replayed, 0);
    pair = world_committing(&world, "l");
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_int_equal(counters_of(&world).replayed, 0);
    uint64_t call = world_submit(&world, "l", 1);
    assert_true(world_answer(&world, call)->replayed);
    assert_int_equal(counters_of(&world).replayed, 1);
    world_done(&world);
}

/* H1: only a heuristic outcome is acknowledged by a person, and only once its END is written. */
static void test_h1_only_heuristic_ends_are_acknowledged(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_false(view.acknowledged);
    txn_view_done(&view);
    pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    world_ack(&world, "payment", &pair.payment, ACK_HEURISTIC_ROLLBACK);
    view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.state, TXN_HEURISTIC);
    assert_false(view.acknowledged);
    txn_view_done(&view);
    /* In doubt at the first participant only: the list has it. */
    pair = world_committing(&world, NULL);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    struct api_list wanted = {.in_doubt = true, .limit = 10};
    struct txn_view *views = NULL;
    assert_int_equal(coord_list(world.coord, &wanted, &views), 1);
    txn_view_done(&views[0]);
    free(views);
    world_done(&world);
}

/* A person may drive a commit again that has not been acknowledged. */
static void test_p05_person_may_drive_a_commit_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    resolve(&world, &pair.payment, RESOLVE_COMMIT, 900);
    assert_null(world_answer(&world, 900));
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
    world_durable(&world);
    assert_int_equal(world_answer(&world, 900)->status, API_OK);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 2);
    world_done(&world);
}

/* ---- the end of the process ---- */

/* Draining waits for a rollback that can be told, and lets nothing be decided twice when its time is over. */
static void test_drain_waits_for_rollbacks_and_decisions(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    world_vote(&world, "payment", &pair.payment, VOTE_ABORT);
    drain(&world);
    assert_int_equal(world.ready.stop, COORD_RUN);
    world_ack(&world, "order", &pair.order, ACK_ROLLED_BACK);
    assert_int_equal(world.ready.stop, COORD_STOP_DRAINED);
    world_done(&world);

    world_init(&world);
    (void)world_decided(&world, NULL);
    drain(&world);
    world_tick(&world, 60000); /* over; but the record may be durable (P-2) */
    assert_int_equal(world.ready.stop, COORD_RUN);
    world_durable(&world);
    assert_int_equal(world.ready.stop, COORD_STOP_DRAINED);
    world_done(&world);
}

/* ---- participants ---- */

static uint64_t submit_to(struct world *world, const char *participant)
{
    struct submission submission = {.timeout_ms = 5000, .ack = ACK_MODE_COMPLETED};
    submission.branches = alloc_array(1, sizeof(submission.branches[0]));
    submission.branch_count = 1;
    (void)snprintf(submission.branches[0].participant, PARTICIPANT_NAME_SIZE, "%s", participant);
    submission.branches[0].work = blob_new("o", 1);
    uint64_t call = world->next_call++;
    struct coord_event event = {
        .kind = COORD_EVENT_SUBMIT, .call = call, .submission = &submission};
    world_step(world, &event);
    submission_done(&submission);
    return call;
}

/* A lost participant takes along only what has a branch there. */
static void test_p02_lost_participant_aborts_its_own(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t call = submit_to(&world, "order");
    world_disconnect(&world, world.payment_session);
    assert_null(world_answer(&world, call));
    world_disconnect(&world, world.order_session);
    assert_int_equal(world_answer(&world, call)->status, API_ABORTED);
    world_done(&world);
}

/* One that nobody knows is named in the answer. */
static void test_unknown_participant_is_named(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    uint64_t call = submit_to(&world, "nobody");
    assert_int_equal(world_answer(&world, call)->status, API_UNKNOWN_PARTICIPANT);
    assert_string_equal(world_answer(&world, call)->participant, "nobody");
    world_done(&world);
}

/* One that is not configured any more is shown as long as something is in doubt there. */
static void test_participants_in_doubt_are_shown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct past past;
        struct world world;
        past_init(&past);
        past.branches[1].read_only = i == 0;
        past.branches[1].gid.attempt = i == 0 ? 0 : 22;
        world_init_from(&world, &past.state, past.records, past.count);
        struct participant_view *views = NULL;
        assert_int_equal(coord_participants(world.coord, &views), i == 0 ? 2 : 3);
        free(views);
        world_done(&world);
    }
}

/* A vote that brings no reason has one all the same. */
static void test_vote_without_a_reason_has_one(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    world_vote(&world, "order", &pair.order, VOTE_UNKNOWN);
    assert_int_equal(world_answer(&world, pair.call)->reason, REASON_PARTICIPANT_UNAVAILABLE);
    pair = world_begin(&world, NULL);
    struct message message = {.kind = MESSAGE_VOTE};
    message.as.vote.gid = pair.order;
    message.as.vote.vote = VOTE_ABORT;
    world_message(&world, "order", world.order_session, &message);
    assert_int_equal(world_answer(&world, pair.call)->reason, REASON_STATEMENT_FAILED);
    world_done(&world);
}

static void vote_as(struct world *world, const struct gid *gid, enum vote vote)
{
    struct message message = {.kind = MESSAGE_VOTE};
    message.as.vote.gid = *gid;
    message.as.vote.vote = vote;
    world_message(world, gid->participant,
                  strcmp(gid->participant, "order") == 0 ? world->order_session
                                                         : world->payment_session,
                  &message);
}

/* P-7, P-9: a read-only vote is not taken back; of late votes a yes is told to roll back, a no needs nothing; and a
 * refused branch has no gid. */
static void test_p07_votes_that_come_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)world_submit_with(&world, NULL, 1, ACK_MODE_COMPLETED, true);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct gid read_only = world_gid(&gtrid, "payment", 0);
    vote_as(&world, &read_only, VOTE_READONLY);
    vote_as(&world, &read_only, VOTE_ABORT);
    assert_int_equal(branch_of(&world, &gtrid, 1), BRANCH_READ_ONLY);

    struct pair pair = world_begin(&world, NULL);
    vote_as(&world, &pair.order, VOTE_COMMIT);
    vote_as(&world, &pair.payment, VOTE_ABORT);
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.branches[1].state, BRANCH_REFUSED);
    assert_false(view.branches[1].has_gid);
    txn_view_done(&view);
    vote_as(&world, &pair.order, VOTE_COMMIT);
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 1);
    vote_as(&world, &pair.payment, VOTE_ABORT);
    assert_int_equal(world.ready.send_count, 0);
    world_done(&world);
}

/* P-7: a link may carry WORK twice, and what the agent says of the one copy come after what it says of the other: refused for
 * a moment (attempt 0), then executed; or another attempt. The vote that was counted stands. */
static void test_p07_answer_to_another_copy_of_the_work_is_stale(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    vote_as(&world, &pair.order, VOTE_COMMIT);
    struct gid other = pair.order;
    other.attempt = 0;
    vote_as(&world, &other, VOTE_ABORT);
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_PREPARED);
    other.attempt = pair.order.attempt + 1;
    vote_as(&world, &other, VOTE_ABORT);
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_PREPARED);
    vote_as(&world, &pair.payment, VOTE_COMMIT);
    vote_as(&world, &other, VOTE_ABORT); /* decided, and not durable yet */
    assert_int_equal(branch_of(&world, &pair.order.gtrid, 0), BRANCH_PREPARED);

    (void)world_submit_with(&world, NULL, 1, ACK_MODE_COMPLETED, true);
    struct gtrid gtrid = world_last_gtrid(&world);
    struct gid read_only = world_gid(&gtrid, "payment", 0);
    vote_as(&world, &read_only, VOTE_READONLY);
    vote_as(&world, &read_only, VOTE_UNKNOWN);
    world_ack(&world, "payment", &read_only, ACK_ROLLED_BACK);
    assert_int_equal(branch_of(&world, &gtrid, 1), BRANCH_READ_ONLY);
    struct gid order = world_gid(&gtrid, "order", 9);
    vote_as(&world, &order, VOTE_COMMIT); /* decided, and not durable yet */
    assert_int_equal(world_count_appends(&world, RECORD_COMMIT), 1);
    world_ack(&world, "payment", &read_only, ACK_ROLLED_BACK);
    assert_int_equal(branch_of(&world, &gtrid, 1), BRANCH_READ_ONLY);
    world_done(&world);
}

/* P-7: of two copies of WORK the one was counted and is decided; the agent rolls back what the other left and says so. */
static void test_p07_acknowledgement_of_another_attempt_ends_nothing(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    struct gid other = pair.payment;
    other.attempt = pair.payment.attempt + 1;
    world_ack(&world, "payment", &other, ACK_ROLLED_BACK);
    world_ack(&world, "payment", &other, ACK_HEURISTIC_COMMIT);
    assert_int_equal(branch_of(&world, &pair.payment.gtrid, 1), BRANCH_COMMITTING);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_int_equal(branch_of(&world, &pair.payment.gtrid, 1), BRANCH_COMMITTED);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED); /* the whole has committed */
    world_ack(&world, "payment", &other, ACK_ROLLED_BACK);
    world_ack(&world, "payment", &other, ACK_HEURISTIC_COMMIT);
    assert_int_equal(world_count_appends(&world, RECORD_HEURISTIC), 0);
    world_vote(&world, "payment", &pair.payment, VOTE_UNKNOWN);
    assert_int_equal(branch_of(&world, &pair.payment.gtrid, 1), BRANCH_COMMITTED);
    world_done(&world);
}

/* A person has a branch driven again, and its last acknowledgement comes while that is being written: there is nothing left to drive. */
static void test_p05_word_that_is_durable_after_the_end_drives_nothing(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    world_ack(&world, "order", &pair.order, ACK_COMMITTED);
    resolve(&world, &pair.payment, RESOLVE_COMMIT, 90);
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
    world_ack(&world, "payment", &pair.payment, ACK_COMMITTED);
    assert_int_equal(branch_of(&world, &pair.payment.gtrid, 1), BRANCH_COMMITTED);
    world_durable(&world);
    assert_int_equal(world_answer(&world, 90)->status, API_OK);
    assert_int_equal(world_count_sends(&world, MESSAGE_COMMIT), 0);
    assert_int_equal(branch_of(&world, &pair.payment.gtrid, 1), BRANCH_COMMITTED);
    world_done(&world);
}

/* A branch that does not end for days fills its time line up to a bound, and no further. */
static void test_time_line_is_bounded(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct pair pair = world_committing(&world, NULL);
    for (int i = 0; i < 600; i++) {
        world_tick(&world, 3000);
    }
    struct txn_view view = view_of(&world, &pair.order.gtrid);
    assert_int_equal(view.event_count, 1000);
    txn_view_done(&view);
    world_done(&world);
}

static void assert_text(const struct world *world, const char *expected)
{
    struct participant_view *views = NULL;
    assert_int_equal(coord_participants(world->coord, &views), 2);
    assert_string_equal(views[0].text, expected);
    free(views);
}

static void add_order(struct world *world)
{
    struct coord_event add = {
        .kind = COORD_EVENT_PARTICIPANT_ADD, .participant = "order", .address = "127.0.0.1:7411"};
    world_step(world, &add);
}

/* Why a participant is not ready is said from the first moment, and what is said is true. */
static void test_participant_says_why_it_is_not_ready(void **state)
{
    (void)state;
    struct world world;
    struct journal_state empty = {.last_epoch = 0};
    world_init_from(&world, &empty, NULL, 0);
    assert_text(&world, "the participant is not connected");
    world_done(&world);
    world_init(&world);
    assert_text(&world, "");
    add_order(&world); /* its address changed */
    assert_text(&world, "");
    struct coord_event up = {.kind = COORD_EVENT_PEER_UP,
                             .participant = "order",
                             .address = "",
                             .version = "",
                             .session = 99};
    world_step(&world, &up);
    struct message health = {.kind = MESSAGE_HEALTH};
    (void)snprintf(health.as.health.text, sizeof health.as.health.text, "no slots");
    world_message(&world, "order", 99, &health);
    add_order(&world);
    assert_text(&world, "no slots");
    drain(&world);
    uint64_t call = submit_to(&world, "payment");
    assert_int_equal(world_answer(&world, call)->reason, REASON_SHUTDOWN);
    assert_non_null(strstr(world_answer(&world, call)->text, "shutting down"));
    world_done(&world);
}

/* What is over is remembered for a while; a person's word about what was forgotten meanwhile is no verdict. */
static void test_h1_word_about_what_is_over_is_no_verdict(void **state)
{
    (void)state;
    struct world world;
    struct txn_view view;
    world_init(&world);
    struct pair first = world_begin(&world, NULL);
    abort_at_once(&world, &first);
    struct pair second = world_begin(&world, NULL);
    abort_at_once(&world, &second);
    assert_true(coord_view(world.coord, &first.order.gtrid, false, &view));
    txn_view_done(&view);
    world_done(&world);

    world_init_with(&world, (struct coord_config){.recent_max = 1});
    first = world_begin(&world, NULL);
    resolve(&world, &first.order, RESOLVE_ROLLBACK, 900);
    abort_at_once(&world, &first);
    second = world_begin(&world, NULL);
    abort_at_once(&world, &second);
    assert_false(coord_view(world.coord, &first.order.gtrid, false, &view));
    world_durable(&world);
    assert_int_equal(world_answer(&world, 900)->status, API_CONFLICT);
    world_done(&world);
}

/* A second WELCOME changes nothing; strangers' messages neither; names that are not configured are unknown. */
static void test_p10_repeated_and_strange_messages(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    (void)world_committing(&world, NULL);
    struct message welcome = {.kind = MESSAGE_WELCOME};
    welcome.as.welcome.epoch = counters_of(&world).epoch;
    world_message(&world, "order", world.order_session, &welcome);
    assert_int_equal(world.ready.send_count, 0);
    struct message health = {.kind = MESSAGE_HEALTH};
    uint64_t stale = counters_of(&world).stale_messages;
    world_message(&world, "nobody", 0, &health);
    assert_int_equal(counters_of(&world).stale_messages, stale + 1);
    assert_false(coord_has_participant(world.coord, "nobody"));
    assert_true(coord_has_participant(world.coord, "order"));
    world_done(&world);

    struct past past; /* stock is known from a record only */
    past_init(&past);
    world_init_from(&world, &past.state, past.records, past.count);
    assert_false(coord_has_participant(world.coord, "stock"));
    struct coord_event remove = {
        .kind = COORD_EVENT_PARTICIPANT_REMOVE, .participant = "stock", .call = 900};
    world_step(&world, &remove);
    assert_int_equal(world_answer(&world, 900)->status, API_NOT_FOUND);
    world_done(&world);
}

/* FENCED stops only for a later epoch, or for our own with another nonce. */
static void test_p10_fenced_by_a_later_epoch_only(void **state)
{
    (void)state;
    struct past past;
    past_init(&past);
    for (uint64_t i = 0; i < 4; i++) {
        struct world world;
        world_init_from(&world, &past.state, NULL, 0);
        world_durable(&world);
        world.order_session = world_connect(&world, "order");
        uint64_t ours = counters_of(&world).epoch;
        struct message fenced = {.kind = MESSAGE_FENCED};
        fenced.as.fenced.epoch = i == 0 ? ours - 1 : i == 1 ? ours + 1 : ours;
        fenced.as.fenced.epoch_nonce = i == 3 ? 0x2222 : 0x1111; /* ours: the start's random */
        world_message(&world, "order", world.order_session, &fenced);
        assert_int_equal(world.ready.stop, i == 1 || i == 3 ? COORD_STOP_FENCED : COORD_RUN);
        world_done(&world);
    }
}

/* Only a witness has a head to look up, and only one that names a record. */
static void test_p10_hash_is_wanted_for_a_head_only(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    struct message message = {.kind = MESSAGE_WITNESS};
    struct coord_event event = {.kind = COORD_EVENT_MESSAGE, .message = &message};
    uint64_t number = 0;
    assert_false(coord_wants_hash(world.coord, &event, &number));
    message.as.witness.head.number = 9;
    assert_true(coord_wants_hash(world.coord, &event, &number));
    assert_int_equal(number, 9);
    message.kind = MESSAGE_HEALTH; /* whatever stands in those bytes */
    assert_false(coord_wants_hash(world.coord, &event, &number));
    world_done(&world);
}

/* The next time is at most a heartbeat away, whatever the transactions want. */
static void test_deadline_is_at_most_a_heartbeat_away(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    assert_in_range(world.ready.deadline_ms, world.now_ms + 1, world.now_ms + 1000);
    (void)world_begin(&world, NULL);
    assert_in_range(world.ready.deadline_ms, world.now_ms + 1, world.now_ms + 1000);
    world_done(&world);
}

/* ---- what is read again after a start, and what is forgotten ---- */

/* A hazard stays a hazard after a restart, also of a decided commit; a commit by hand of what is decided commit and ended is
 * no contradiction. */
static void test_h1_notes_mean_after_a_restart_what_they_meant(void **state)
{
    (void)state;
    struct past past;
    past_init(&past);
    past_heuristic(&past, ACK_HAZARD);
    assert_int_equal(start_and_look(&past), BRANCH_HAZARD);

    struct world world;
    past_init(&past);
    past.records[past.count].kind = RECORD_END;
    past.records[past.count++].as.end.gtrid = past.order.gtrid;
    past_heuristic(&past, ACK_HEURISTIC_COMMIT);
    world_init_from(&world, &past.state, past.records, past.count);
    world_durable(&world);
    struct txn_view view = view_of(&world, &past.order.gtrid);
    assert_int_equal(view.branches[0].state, BRANCH_COMMITTED);
    assert_int_not_equal(view.state, TXN_HEURISTIC);
    txn_view_done(&view);
    world_done(&world);
}

static void pass_floor(struct world *world, const struct gtrid *gtrid)
{
    struct coord_event trimmed = {
        .kind = COORD_EVENT_TRIMMED,
        .floor = {.epoch = gtrid->epoch, .sequence = gtrid->sequence, .first_number = 5},
        .head = {.number = 10},
    };
    world_step(world, &trimmed);
}

/* A person may judge what this journal cannot: also what this very process gave out and forgot, and what only looks like
 * its own. What it may still give out is nobody's to judge, and another journal's is not told here. */
static void test_h1_person_judges_what_was_forgotten_or_made_up(void **state)
{
    (void)state;
    struct world world;
    world_init_with(&world, (struct coord_config){.recent_max = 1});
    struct pair first = world_begin(&world, NULL);
    abort_at_once(&world, &first);
    struct pair second = world_begin(&world, NULL);
    abort_at_once(&world, &second);
    pass_floor(&world, &first.order.gtrid);
    resolve(&world, &first.order, RESOLVE_ROLLBACK, 901);
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);

    struct gid gid = second.order;
    gid.gtrid.sequence += 50;
    resolve(&world, &gid, RESOLVE_ROLLBACK, 902);
    assert_int_equal(world_answer(&world, 902)->status, API_NOT_FOUND);
    gid.gtrid.epoch++;
    resolve(&world, &gid, RESOLVE_ROLLBACK, 903);
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
    gid.gtrid.epoch--;
    gid.gtrid.epoch_nonce++;
    resolve(&world, &gid, RESOLVE_ROLLBACK, 904);
    assert_int_equal(world_count_appends(&world, RECORD_RESOLVED), 1);
    gid.gtrid.journal.bytes[0] ^= 1;
    resolve(&world, &gid, RESOLVE_ROLLBACK, 905);
    assert_int_equal(world_answer(&world, 905)->status, API_NOT_FOUND);
    world_done(&world);
}

/* How many ROLLBACKs a late yes of order is answered with, by a coordinator that was started from this past. */
static size_t rollbacks_of_late_yes(struct past *past, const struct gid *gid)
{
    struct world world;
    world_init_from(&world, &past->state, past->records, past->count);
    world_durable(&world);
    world.order_session = world_connect(&world, "order");
    world.payment_session = world_connect(&world, "payment");
    world_vote(&world, "order", gid, VOTE_COMMIT);
    size_t count = world_count_sends(&world, MESSAGE_ROLLBACK);
    world_done(&world);
    return count;
}

/* P-8, P-20: a late yes is rolled back where it is certain that its gid has not committed. Of what is known from a note alone
 * that is certain above the floor only; of a retained commit, and of what this process has aborted, always. */
static void test_p08_late_yes_is_rolled_back_only_if_it_cannot_have_committed(void **state)
{
    (void)state;
    struct past past;
    past_init(&past);
    past.count = 0;
    past_heuristic(&past, ACK_HAZARD);
    assert_int_equal(rollbacks_of_late_yes(&past, &past.order), 1);
    past.state.floor = (struct journal_floor){.epoch = 3, .sequence = 50, .first_number = 2};
    assert_int_equal(rollbacks_of_late_yes(&past, &past.order), 0);

    past_init(&past); /* appended again behind the floor */
    past.state.floor = (struct journal_floor){.epoch = 3, .sequence = 50, .first_number = 2};
    struct gid other = past.order;
    other.attempt++;
    assert_int_equal(rollbacks_of_late_yes(&past, &other), 1);

    struct world world;
    world_init(&world);
    struct pair pair = world_begin(&world, NULL);
    abort_at_once(&world, &pair);
    pass_floor(&world, &pair.order.gtrid);
    world_vote(&world, "order", &pair.order, VOTE_COMMIT);
    assert_int_equal(world_count_sends(&world, MESSAGE_ROLLBACK), 1);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_h1_resolutions_survive_a_restart),
        cmocka_unit_test(test_p10_awaited_is_not_released),
        cmocka_unit_test(test_p08_epoch_and_nonce_belong_together),
        cmocka_unit_test(test_p12_hazard_of_a_stranger_is_not_recorded),
        cmocka_unit_test(test_p13_told_floor_lies_below_what_is_not_finished),
        cmocka_unit_test(test_p08_recorded_verdict_is_for_the_unjudged_only),
        cmocka_unit_test(test_p05_repetitions_are_counted),
        cmocka_unit_test(test_h1_outcomes_are_counted_apart),
        cmocka_unit_test(test_h1_first_outcome_stands),
        cmocka_unit_test(test_h1_second_branch_of_a_noted_abort_is_recorded),
        cmocka_unit_test(test_h1_contradiction_of_an_abort_is_noted_once_it_is_durable),
        cmocka_unit_test(test_p07_refusal_stands),
        cmocka_unit_test(test_p08_queued_transaction_is_undecided),
        cmocka_unit_test(test_p18_key_runs_again_after_the_end_of_an_abort),
        cmocka_unit_test(test_p18_replays_are_counted),
        cmocka_unit_test(test_h1_only_heuristic_ends_are_acknowledged),
        cmocka_unit_test(test_p05_person_may_drive_a_commit_again),
        cmocka_unit_test(test_drain_waits_for_rollbacks_and_decisions),
        cmocka_unit_test(test_p02_lost_participant_aborts_its_own),
        cmocka_unit_test(test_unknown_participant_is_named),
        cmocka_unit_test(test_participants_in_doubt_are_shown),
        cmocka_unit_test(test_vote_without_a_reason_has_one),
        cmocka_unit_test(test_p07_votes_that_come_again),
        cmocka_unit_test(test_p07_answer_to_another_copy_of_the_work_is_stale),
        cmocka_unit_test(test_p07_acknowledgement_of_another_attempt_ends_nothing),
        cmocka_unit_test(test_p05_word_that_is_durable_after_the_end_drives_nothing),
        cmocka_unit_test(test_time_line_is_bounded),
        cmocka_unit_test(test_participant_says_why_it_is_not_ready),
        cmocka_unit_test(test_h1_word_about_what_is_over_is_no_verdict),
        cmocka_unit_test(test_p10_repeated_and_strange_messages),
        cmocka_unit_test(test_p10_fenced_by_a_later_epoch_only),
        cmocka_unit_test(test_p10_hash_is_wanted_for_a_head_only),
        cmocka_unit_test(test_deadline_is_at_most_a_heartbeat_away),
        cmocka_unit_test(test_h1_notes_mean_after_a_restart_what_they_meant),
        cmocka_unit_test(test_h1_person_judges_what_was_forgotten_or_made_up),
        cmocka_unit_test(test_p08_late_yes_is_rolled_back_only_if_it_cannot_have_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
