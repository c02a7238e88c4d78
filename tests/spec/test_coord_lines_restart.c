/* test_coord_lines_restart.c - properties that hang on one line each (test_coord_lines.c): of a start from a journal that has
 * something in it, and of what was forgotten. P-8, P-10, P-12, P-13, P-20, H1. */
#include "tests/lib/test.h"

#include <stdio.h>

#include "tests/spec/coord_lines.h"

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
        cmocka_unit_test(test_h1_notes_mean_after_a_restart_what_they_meant),
        cmocka_unit_test(test_h1_person_judges_what_was_forgotten_or_made_up),
        cmocka_unit_test(test_p08_late_yes_is_rolled_back_only_if_it_cannot_have_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
