/* test_sim.c - the simulator's own promises, and the model of PostgreSQL rule by rule. */
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/sim/world.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
