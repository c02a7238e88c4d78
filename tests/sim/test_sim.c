/* test_sim.c - the simulator's own promises, and the model of PostgreSQL rule by rule. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "coordinator/view.h"
#include "tests/sim/coverage.h"
#include "tests/sim/explore_act.h"
#include "tests/sim/repro.h"

/* The same seed runs the same way, to the bit. */
static void test_sim_same_seed_same_hash(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_options options = {.seed = seed};
        struct sim_verdict first;
        struct sim_verdict second;
        sim_run(&options, &first);
        sim_run(&options, &second);
        assert_false(first.failed);
        assert_true(first.hash == second.hash);
        assert_int_equal(first.strike_count, second.strike_count);
        sim_verdict_done(&first);
        sim_verdict_done(&second);
    }
}

/* A list of what struck brings the same run about again: what the minimiser and the kept files stand on. */
static void test_sim_listed_strikes_are_the_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_options options = {.seed = seed};
        struct sim_verdict drawn;
        struct sim_verdict listed;
        sim_run(&options, &drawn);
        options.has_strikes = true;
        options.strikes = drawn.strikes;
        options.strike_count = drawn.strike_count;
        sim_run(&options, &listed);
        assert_true(drawn.hash == listed.hash);
        sim_verdict_done(&drawn);
        sim_verdict_done(&listed);
    }
}

/* A lost effect, a doubled one and a lie to a client are seen, in whatever seed. */
static void test_sim_canaries_are_heard(void **state)
{
    (void)state;
    unsigned sung = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct sim_options options = {.seed = seed,
                                      .canary = (enum sim_canary)(1 + seed % (CANARY_COUNT - 1))};
        struct sim_verdict verdict;
        sim_run(&options, &verdict);
        assert_int_equal(verdict.failed, verdict.canary_sung);
        sung += verdict.canary_sung;
        sim_verdict_done(&verdict);
    }
    assert_true(sung > 15);
}

/* ---- the model of PostgreSQL ---- */

struct bench {
    struct sim_world *world;
    struct sim_verdict verdict;
    struct sim_database *database;
};

static void bench_init(struct bench *bench)
{
    memset(bench, 0, sizeof(*bench));
    bench->world = alloc_zeroed(sizeof(*bench->world));
    bench->world->verdict = &bench->verdict;
    bench->world->options = (struct sim_options){.seed = 1, .is_explored = true, .op_count = 1};
    world_init(bench->world);
    bench->database = &bench->world->databases[0];
}

static void bench_done(struct bench *bench)
{
    world_done(bench->world);
    free(bench->world);
    sim_verdict_done(&bench->verdict);
}

/* An attempt on account 3 that moves 10, prepared by hand. */
static struct sim_attempt *bench_prepare(struct bench *bench, uint64_t nonce)
{
    struct gid gid = {.gtrid = {.epoch = 1, .sequence = nonce}, .attempt = nonce};
    (void)snprintf(gid.participant, sizeof(gid.participant), "%s", bench->database->name);
    struct sim_attempt *attempt = law_attempt_new(bench->world, &gid);
    attempt->account_count = 1;
    attempt->account[0] = 3;
    attempt->amount[0] = 10;
    attempt->writes_row = true;
    attempt->by_human = true; /* nobody decided it; this bench is not judged */
    attempt->xid8 = bench->database->next_xid++;
    database_prepare(bench->world, bench->database, attempt);
    return attempt;
}

/* A prepared transaction holds its rows until its end, and its effects appear with the end. */
static void test_database_prepared_holds_its_rows(void **state)
{
    (void)state;
    struct bench bench;
    int somebody = 0;
    bench_init(&bench);
    int64_t before = bench.database->balance[3];
    struct sim_attempt *attempt = bench_prepare(&bench, 5);
    assert_ptr_equal(database_prepared(bench.database, &attempt->gid), attempt);
    assert_false(database_lock(bench.database, attempt, &somebody));
    assert_int_equal(bench.database->balance[3], before);
    database_end(bench.world, bench.database, attempt, true);
    assert_null(database_prepared(bench.database, &attempt->gid));
    assert_true(attempt->row_visible);
    assert_int_equal(bench.database->balance[3], before + 10);
    assert_true(database_lock(bench.database, attempt, &somebody));
    database_unlock(bench.world, bench.database, &somebody);
    bench_done(&bench);
}

/* A lost tail takes a commit back: the row is prepared again, its effect and its proof are gone, ids are given out again. */
static void test_database_lost_tail_takes_the_commit_back(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    int64_t before = bench.database->balance[3];
    struct sim_attempt *attempt = bench_prepare(&bench, 5);
    uint64_t prepared_lsn = bench.database->lsn;
    database_end(bench.world, bench.database, attempt, true);
    database_own_commit(bench.database);
    database_lose(bench.world, bench.database, prepared_lsn);
    assert_ptr_equal(database_prepared(bench.database, &attempt->gid), attempt);
    assert_false(attempt->row_visible);
    assert_int_equal(bench.database->balance[3], before);
    assert_true(bench.database->lsn == prepared_lsn);
    database_lose(bench.world, bench.database, 0);
    assert_null(database_prepared(bench.database, &attempt->gid));
    assert_true(bench.database->next_xid <= attempt->xid8);
    bench_done(&bench);
}

/* P-10: the database itself refuses a lower epoch and another nonce of the same one, and keeps the higher head. */
static void test_database_witness_keeps_the_highest(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    struct command_result result = {0};
    struct witness witness = {.epoch = 4, .epoch_nonce = 7, .head = {.number = 20}};
    database_store_witness(bench.world, bench.database, &witness, &result);
    assert_int_equal(result.class, PG_OK);
    witness.epoch = 3;
    database_store_witness(bench.world, bench.database, &witness, &result);
    assert_int_equal(result.class, PG_REFUSED);
    witness.epoch = 4;
    witness.epoch_nonce = 8;
    database_store_witness(bench.world, bench.database, &witness, &result);
    assert_int_equal(result.class, PG_REFUSED);
    witness.epoch_nonce = 7;
    witness.head.number = 15;
    database_store_witness(bench.world, bench.database, &witness, &result);
    assert_int_equal(result.class, PG_OK);
    struct witness kept;
    database_load_witness(bench.database, &witness.journal, &kept);
    assert_int_equal(kept.head.number, 20);
    bench_done(&bench);
}

/* P-12: outcome rows go only once their journal's floor has passed them. */
static void test_database_rotation_keeps_what_is_above_the_floor(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    struct command_result result = {0};
    struct sim_attempt *low = bench_prepare(&bench, 5);
    database_end(bench.world, bench.database, low, true);
    struct sim_attempt *high = bench_prepare(&bench, 9);
    database_end(bench.world, bench.database, high, true);
    struct witness witness = {.epoch = 1, .floor = {.epoch = 1, .sequence = 6}};
    database_store_witness(bench.world, bench.database, &witness, &result);
    database_rotate(bench.world, bench.database);
    assert_false(low->row_visible);
    assert_true(high->row_visible);
    assert_true(database_below_floor(bench.database, &low->gid.gtrid));
    assert_false(database_below_floor(bench.database, &high->gid.gtrid));
    bench_done(&bench);
}

/* C1 is judged when a transaction ends, not when all is over: an effect that goes wrong is seen there. */
static void test_law_sees_a_wrong_effect_at_once(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    struct sim_attempt *attempt = bench_prepare(&bench, 5);
    bench.database->balance[3]--;
    assert_false(bench.verdict.failed);
    database_end(bench.world, bench.database, attempt, true);
    assert_true(bench.verdict.failed);
    assert_string_equal(bench.verdict.rule, "C1");
    bench_done(&bench);
}

/* K1 likewise: a row that is held by a backend which is gone, and one that a prepared transaction has let go. */
static void test_law_sees_a_wrong_lock_at_once(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    bench.database->locked_by[7] = &bench.database->backends[2];
    (void)bench_prepare(&bench, 5);
    assert_string_equal(bench.verdict.rule, "K1");
    bench_done(&bench);

    bench_init(&bench);
    struct sim_attempt *first = bench_prepare(&bench, 5);
    bench.database->locked_by[3] = NULL;
    law_rows(bench.world, bench.database, first, 0);
    assert_string_equal(bench.verdict.rule, "K1");
    bench_done(&bench);
}

/* A lost tail takes effects back, and what C1 expects with them. */
static void test_law_follows_a_lost_tail(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    uint64_t lsn = bench.database->lsn;
    database_end(bench.world, bench.database, bench_prepare(&bench, 5), true);
    assert_int_equal(bench.database->owed[3], bench.database->balance[3]);
    database_lose(bench.world, bench.database, lsn);
    assert_int_equal(bench.database->owed[3], 1000);
    assert_false(bench.verdict.failed);
    bench_done(&bench);
}

/* Rows of another database of the cluster are in the way of names and slots, and in a scan only under the participant's own name. */
static void test_keeper_scan_tells_other_databases_apart(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    struct sim_attempt *ours = bench_prepare(&bench, 5);
    struct gid gid = ours->gid;
    char text[GID_TEXT_SIZE];
    gid.attempt = 9;
    gid_format(&gid, text);
    nemesis_prepare_foreign(bench.world, bench.database, text, &gid, true);
    assert_non_null(database_prepared(bench.database, &gid));
    gid.attempt = 10;
    (void)snprintf(gid.participant, sizeof(gid.participant), "neighbour");
    gid_format(&gid, text);
    nemesis_prepare_foreign(bench.world, bench.database, text, &gid, true);
    struct command command = {.kind = COMMAND_SCAN};
    struct command_result result = {0};
    keeper_carry_out(bench.world, 0, &command, &result);
    assert_int_equal(result.row_count, 2);
    assert_string_equal(result.rows[0].gid_text, ours->text);
    assert_string_equal(result.rows[0].database, "");
    assert_string_equal(result.rows[1].database, "elsewhere");
    command_result_done(&result);
    bench_done(&bench);
}

/* ---- the run's hash ---- */

/* What was said and what lies in the databases is in it, not only that something was said. */
static void test_note_sees_contents_and_rows(void **state)
{
    (void)state;
    struct bench bench;
    bench_init(&bench);
    bench.world->options.is_explored = false; /* an explored run has no hash */
    struct sim_event event = {
        .kind = EVENT_COORD_MESSAGE,
        .as.message = {.kind = MESSAGE_ACK, .as.ack = {.ack = ACK_COMMITTED}}};
    world_note_event(bench.world, &event);
    uint64_t committed = bench.world->hash;
    bench.world->hash = 0;
    event.as.message.as.ack.ack = ACK_ROLLED_BACK;
    world_note_event(bench.world, &event);
    assert_true(bench.world->hash != committed);
    bench.world->hash = 0;
    world_note_rows(bench.world);
    uint64_t before = bench.world->hash;
    bench.world->hash = 0;
    bench.database->balance[3]++;
    world_note_rows(bench.world);
    assert_true(bench.world->hash != before);
    bench_done(&bench);
}

/* ---- kept files ---- */

/* What is written is read: a list of faults, an empty list, and a seed that draws its own. */
static void test_repro_is_read_as_written(void **state)
{
    (void)state;
    char path[] = "/tmp/assent-repro-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    (void)close(file);
    const struct sim_strike strikes[] = {{SIM_NET_LOSS, 4}, {SIM_COORD_KILL, 7}};
    const struct sim_options kept[] = {
        {.seed = 12, .op_count = 3, .has_strikes = true, .strike_count = 2, .strikes = strikes},
        {.seed = 13, .participant_count = 2, .has_strikes = true},
        {.seed = 14},
    };
    const struct sim_verdict verdict = {.rule = "A1", .text = "text"};
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        struct sim_options read;
        struct sim_strike *read_strikes = NULL;
        struct error error;
        assert_true(repro_save(path, &kept[i], &verdict, &error));
        assert_true(repro_load(path, &read, &read_strikes, &error));
        assert_true(read.seed == kept[i].seed);
        assert_int_equal(read.op_count, kept[i].op_count);
        assert_int_equal(read.participant_count, kept[i].participant_count);
        assert_int_equal(read.has_strikes, kept[i].has_strikes);
        assert_int_equal(read.strike_count, kept[i].strike_count);
        for (size_t k = 0; k < read.strike_count; k++) {
            assert_int_equal(read.strikes[k].fault, strikes[k].fault);
            assert_int_equal(read.strikes[k].ordinal, strikes[k].ordinal);
        }
        free(read_strikes);
    }
    (void)unlink(path);
}

/* ---- the explorer ---- */

static void explore(uint32_t op_count, uint32_t fault_count, uint64_t schedules_max,
                    struct explore_result *result)
{
    const struct explore_options options = {
        .op_count = op_count, .fault_count = fault_count, .schedules_max = schedules_max};
    explore_run(&options, result);
    assert_false(result->verdict.failed);
    assert_true(result->ended + result->cut == result->schedules);
}

/* A complete search ends by itself, at the same number however it is bounded; a bounded one says that it is a part. */
static void test_explore_counts_each_schedule_once(void **state)
{
    (void)state;
    struct explore_result *whole = alloc_zeroed(sizeof(*whole));
    struct explore_result *other = alloc_zeroed(sizeof(*other));
    explore(2, 0, 0, whole);
    assert_true(whole->is_complete);
    explore(2, 0, whole->schedules * 10, other);
    assert_true(other->is_complete);
    assert_true(other->schedules == whole->schedules && other->steps == whole->steps);
    explore(2, 0, whole->schedules - 1, other);
    assert_false(other->is_complete);
    assert_true(other->schedules == whole->schedules - 1 && other->layers[0].left > 0);
    free(whole);
    free(other);
}

/* Few faults first, and still a share for more: a bounded search is complete below and spread above. */
static void test_explore_completes_few_faults_first(void **state)
{
    (void)state;
    struct explore_result *result = alloc_zeroed(sizeof(*result));
    explore(1, 2, 20000, result);
    assert_true(result->layers[0].is_complete);
    assert_false(result->layers[1].is_complete);
    assert_true(result->layers[1].schedules > 5000 && result->layers[2].schedules > 3000);
    assert_true(result->layers[0].schedules + result->layers[1].schedules +
                    result->layers[2].schedules ==
                20000);
    for (int i = EXPLORE_END + 1; i < EXPLORE_KIND_COUNT; i++) {
        assert_true(result->acts[i] > 0); /* every kind of fault struck */
    }
    free(result);
}

/* More situations than are remembered: it still ends, still counts once, and does not call itself complete. */
static void test_explore_ends_where_memory_is_bounded(void **state)
{
    (void)state;
    struct explore_result *result = alloc_zeroed(sizeof(*result));
    const struct explore_options options = {.op_count = 2, .situations_max = 500};
    explore_run(&options, result);
    assert_false(result->verdict.failed);
    assert_true(result->is_full && !result->is_complete && result->situations == 500);
    assert_true(result->layers[0].left == 0);
    assert_true(result->ended + result->cut == result->schedules);
    free(result);
}

/* Every (state, event) pair that is reached, and every kind of notice. */
static void explore_pairs(struct explore_options options, struct coverage *pairs,
                          struct explore_result *result)
{
    struct coverage *before = sim_coverage;
    sim_coverage = pairs;
    options.wants_state_coverage = true;
    explore_run(&options, result);
    sim_coverage = before;
    assert_false(result->verdict.failed);
    assert_true(result->is_complete);
}

/* What the search leaves out shows nothing new: without it, the same pairs and the same verdict. */
static void test_explore_leaves_out_nothing_that_matters(void **state)
{
    (void)state;
    static const struct explore_options worlds[] = {
        {.op_count = 1, .fault_count = 0},
        {.op_count = 1, .fault_count = 1},
        {.op_count = 2, .fault_count = 0},
        {.op_count = 1, .fault_count = 0, .is_spoken = true},
        {.op_count = 1, .fault_count = 1, .is_spoken = true},
        {.op_count = 1, .fault_count = 0, .is_handed = true},
    };
    for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
        struct coverage *all = alloc_zeroed(sizeof(*all)), *some = alloc_zeroed(sizeof(*some));
        struct explore_result *whole = alloc_zeroed(sizeof(*whole));
        struct explore_result *reduced = alloc_zeroed(sizeof(*reduced));
        struct explore_options unreduced = worlds[i];
        unreduced.is_unreduced = true;
        explore_pairs(unreduced, all, whole);
        explore_pairs(worlds[i], some, reduced);
        const uint64_t *is = (const uint64_t *)(const void *)some;
        const uint64_t *was = (const uint64_t *)(const void *)all;
        for (size_t k = 0; k < sizeof(*all) / sizeof(*was); k++) {
            assert_int_equal(is[k] > 0, was[k] > 0);
        }
        for (int kind = 0; kind < EXPLORE_KIND_COUNT; kind++) {
            assert_int_equal(reduced->acts[kind] > 0, whole->acts[kind] > 0);
        }
        assert_true(reduced->situations <= whole->situations);
        free(all);
        free(some);
        free(whole);
        free(reduced);
    }
}

/* The batch that is being synced when a coordinator dies is lost, or it is there, as the explorer wants it. */
static void test_explore_batch_is_lost_or_kept(void **state)
{
    (void)state;
    for (int keeps = 0; keeps < 2; keeps++) {
        struct bench bench;
        bench_init(&bench);
        struct sim_coord *coord = &bench.world->coords[0];
        while (!coord->thread.is_writing) {
            world_dispatch(bench.world, queue_pop(bench.world));
        }
        const struct sim_disk *disk = &bench.world->disks[coord->disk];
        assert_true(coord->thread.writing.count > 0 && disk->last_epoch == 0);
        const struct explore_action action = {.kind =
                                                  keeps ? EXPLORE_COORD_KEPT : EXPLORE_COORD_KILL};
        explore_act(bench.world, &action);
        assert_int_equal(disk->last_epoch, keeps ? 1 : 0);
        bench_done(&bench);
    }
}

/* A pair that was declared impossible and reached comes with the seed that shows it, from whichever process. */
static void test_coverage_names_the_seed_of_what_is_not_as_declared(void **state)
{
    (void)state;
    struct coverage *all = alloc_zeroed(sizeof(*all)), *part = alloc_zeroed(sizeof(*part));
    part->branch[BRANCH_READ_ONLY][MEETS_ACK_COMMITTED] = 1;
    coverage_note_seed(part, 41);
    part->branch[BRANCH_READ_ONLY][MEETS_ACK_COMMITTED]++;
    coverage_note_seed(part, 42);
    coverage_add(all, part);
    coverage_add(all, part);
    assert_int_equal(all->branch[BRANCH_READ_ONLY][MEETS_ACK_COMMITTED], 4);
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    assert_int_not_equal(coverage_report(all, COVERAGE_ALL, file, false), 0);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "impossible: it has nothing to end (--seed 41)\n"));
    assert_null(strstr(text, "--seed 42"));
    free(text);
    free(part);
    free(all);
}

/* A minute's run is judged by kinds of fault and fault points: one that is missing is one, whatever else is. */
static void test_coverage_short_run_wants_faults_and_points(void **state)
{
    (void)state;
    struct coverage *coverage = alloc_zeroed(sizeof(*coverage));
    for (size_t i = 0; i < SIM_FAULT_COUNT; i++) {
        coverage->faults[i] = 1;
    }
    for (size_t i = 0; i < FAULT_POINT_COUNT; i++) {
        coverage->points[i] = 1;
    }
    assert_int_equal(coverage_report(coverage, COVERAGE_FAULTS_AND_POINTS, NULL, false), 0);
    assert_int_not_equal(coverage_report(coverage, COVERAGE_ALL, NULL, false), 0);
    coverage->faults[SIM_PG_TAG] = 0;
    coverage->points[FAULT_C_GC_MID] = 0;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    assert_int_equal(coverage_report(coverage, COVERAGE_FAULTS_AND_POINTS, file, false), 2);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "tag-rollback"));
    assert_non_null(strstr(text, "c.gc.mid"));
    assert_null(strstr(text, "transaction"));
    assert_int_equal(coverage_report(coverage, COVERAGE_NONE, NULL, false), 0);
    free(text);
    free(coverage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sim_same_seed_same_hash),
        cmocka_unit_test(test_sim_listed_strikes_are_the_same_run),
        cmocka_unit_test(test_sim_canaries_are_heard),
        cmocka_unit_test(test_database_prepared_holds_its_rows),
        cmocka_unit_test(test_database_lost_tail_takes_the_commit_back),
        cmocka_unit_test(test_database_witness_keeps_the_highest),
        cmocka_unit_test(test_database_rotation_keeps_what_is_above_the_floor),
        cmocka_unit_test(test_law_sees_a_wrong_effect_at_once),
        cmocka_unit_test(test_law_sees_a_wrong_lock_at_once),
        cmocka_unit_test(test_law_follows_a_lost_tail),
        cmocka_unit_test(test_keeper_scan_tells_other_databases_apart),
        cmocka_unit_test(test_note_sees_contents_and_rows),
        cmocka_unit_test(test_repro_is_read_as_written),
        cmocka_unit_test(test_explore_counts_each_schedule_once),
        cmocka_unit_test(test_explore_completes_few_faults_first),
        cmocka_unit_test(test_explore_ends_where_memory_is_bounded),
        cmocka_unit_test(test_explore_leaves_out_nothing_that_matters),
        cmocka_unit_test(test_explore_batch_is_lost_or_kept),
        cmocka_unit_test(test_coverage_names_the_seed_of_what_is_not_as_declared),
        cmocka_unit_test(test_coverage_short_run_wants_faults_and_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
