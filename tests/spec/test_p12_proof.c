/* P-12 on a real server: what became of a branch that is not there, and that nobody can forge it. */
#include "tests/spec/pg_world.h"

static struct world *world;

static int set_up(void **state)
{
    (void)state;
    world = world_new(NULL);
    world_start(world, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(world);
    return 0;
}

static struct proof prepare(struct gid *gid)
{
    struct command_result *voted =
        world_execute(world, gid, world_work("UPDATE item SET amount = amount WHERE id = 1", NULL));
    assert_int_equal(voted->class, PG_OK);
    return voted->proof;
}

static void finish_by_hand(const struct gid *gid, const char *verb)
{
    char sql[GID_TEXT_SIZE + 32];
    (void)snprintf(sql, sizeof sql, "%s PREPARED '%s'", verb, world_gid_text(gid));
    (void)world_sql(world, sql);
}

static void assert_proved(const struct gid *gid, const struct proof *proof, bool expect_commit,
                          enum proof_result expected)
{
    struct command_result *result = world_prove(world, gid, proof, expect_commit, true);
    assert_string_equal(result->detail, "");
    assert_int_equal(result->class, PG_OK);
    assert_int_equal(result->proved, expected);
}

/* COMMIT PREPARED that finds nothing because it was done before: the row says committed. */
static void test_prove_committed_before_says_committed(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 1);
    struct proof proof = prepare(&gid);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_NOT_FOUND);
    assert_proved(&gid, &proof, true, PROOF_SAYS_COMMITTED);
}

/* A human's ROLLBACK PREPARED against the decision leaves no row. */
static void test_prove_rolled_back_by_hand_says_absent(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 2);
    struct proof proof = prepare(&gid);
    finish_by_hand(&gid, "ROLLBACK");
    assert_int_equal(world_finish(world, &gid, true)->class, PG_NOT_FOUND);
    assert_proved(&gid, &proof, true, PROOF_SAYS_ABSENT);
}

/* A human's COMMIT PREPARED before an abort leaves the row. */
static void test_prove_committed_by_hand_says_committed(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 3);
    struct proof proof = prepare(&gid);
    finish_by_hand(&gid, "COMMIT");
    assert_int_equal(world_finish(world, &gid, false)->class, PG_NOT_FOUND);
    assert_proved(&gid, &proof, false, PROOF_SAYS_COMMITTED);
}

/* A branch that is there is to be finished, not proved. */
static void test_prove_still_prepared_says_prepared(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 4);
    struct proof proof = prepare(&gid);
    assert_proved(&gid, &proof, true, PROOF_SAYS_PREPARED);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
}

/* The row belongs to one attempt: another execution of the same branch proves nothing for this one (P-20). */
static void test_prove_other_attempt_says_absent(void **state)
{
    (void)state;
    struct gid first = world_gid(world, 5);
    struct gid second = world_gid(world, 5);
    struct proof proof = prepare(&first);
    assert_int_equal(world_finish(world, &first, true)->class, PG_OK);
    assert_proved(&second, &proof, true, PROOF_SAYS_ABSENT);
}

static void store_floor(uint64_t epoch, uint64_t sequence)
{
    struct gid any = world_gid(world, 1);
    struct command command = {.kind = COMMAND_STORE_WITNESS,
                              .as.store = {.journal = any.gtrid.journal,
                                           .epoch = 7,
                                           .epoch_nonce = 0x77,
                                           .head = {.number = 9, .hash = {1, 2, 3}},
                                           .floor = {.epoch = epoch, .sequence = sequence},
                                           .address = "tcp://127.0.0.1:1"}};
    struct command_result *result = world_await(world, world_submit(world, &command));
    assert_string_equal(result->detail, "");
    assert_int_equal(result->class, PG_OK);
}

/* Below the floor the row may have been trimmed: its absence says nothing about a commit. */
static void test_prove_absent_below_floor_cannot_tell(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 6);
    struct proof proof = prepare(&gid);
    finish_by_hand(&gid, "ROLLBACK");
    store_floor(7, 6);
    assert_proved(&gid, &proof, true, PROOF_CANNOT_TELL);
    struct gid above = world_gid(world, 7);
    assert_proved(&above, &proof, true, PROOF_SAYS_ABSENT);
}

/* The proof itself waits for the standby: while it is away nothing is acknowledged by proof. */
static void test_prove_standby_away_is_no_answer(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 8);
    struct proof proof = prepare(&gid);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    world_lose_standby(world);
    struct command command = {.kind = COMMAND_PROVE,
                              .as.prove = {.gid = gid, .proof = proof, .expect_commit = true}};
    uint64_t id = world_submit(world, &command);
    world_await_sql(world, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
                    "1");
    (void)world_sql(
        world, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    struct command_result *result = world_await(world, id);
    world_return_standby(world);
    assert_int_equal(result->class, PG_RETRY);
    assert_proved(&gid, &proof, true, PROOF_SAYS_COMMITTED);
}

/* Without rows the xid tells, as long as the history is the same. */
static void test_prove_by_xid_committed_and_rolled_back(void **state)
{
    (void)state;
    struct pg_options options = world_options(world);
    options.proof = PROOF_XID;
    world_stop(world);
    world_start(world, &options);
    struct gid kept = world_gid(world, 20);
    struct gid dropped = world_gid(world, 21);
    struct proof proof_kept = prepare(&kept);
    assert_int_equal(proof_kept.kind, PROOF_XID);
    assert_int_equal(world_finish(world, &kept, true)->class, PG_OK);
    struct proof proof_dropped = prepare(&dropped);
    finish_by_hand(&dropped, "ROLLBACK");
    assert_proved(&kept, &proof_kept, true, PROOF_SAYS_COMMITTED);
    assert_proved(&dropped, &proof_dropped, true, PROOF_SAYS_ABSENT);

    /* Another cluster, another timeline, or a position that this server has not reached: cannot tell. */
    struct proof other = proof_kept;
    other.system_id++;
    assert_proved(&kept, &other, true, PROOF_CANNOT_TELL);
    other = proof_kept;
    other.timeline++;
    assert_proved(&kept, &other, true, PROOF_CANNOT_TELL);
    other = proof_kept;
    other.lsn += 1ULL << 40;
    other.xid8 += 1000; /* nor one that this process gave */
    assert_proved(&kept, &other, true, PROOF_CANNOT_TELL);
    other = proof_kept;
    other.xid8 = 0;
    assert_proved(&kept, &other, true, PROOF_CANNOT_TELL);
    world_stop(world);
    world_start(world, NULL);
}

/* Client SQL runs as the agent's role; it can neither read the token nor change anything in schema assent. */
static void test_outcome_client_sql_cannot_touch_it(void **state)
{
    (void)state;
    const char *const attempts[] = {
        "INSERT INTO assent.outcome VALUES (0, 1, 'assent:forged', '\\x00')",
        "INSERT INTO assent.outcome_0 VALUES (0, 1, 'assent:forged', '\\x00')",
        "INSERT INTO assent.outcome_0 (ring, sequence, gid, token) VALUES (0, 1, 'assent:forged',"
        " '\\x00112233445566778899aabbccddeeff')",
        "INSERT INTO assent.outcome_0 (ring, sequence, gid, token) SELECT 0, 1, 'x', token FROM "
        "assent.outcome",
        "SELECT token FROM assent.outcome",
        "SELECT token FROM assent.outcome_0",
        "SELECT o FROM assent.outcome o",
        "SELECT * FROM assent.outcome",
        "INSERT INTO assent.outcome_0 (ring, sequence, gid, token) VALUES (0, 1, 'x', '\\x00') "
        "RETURNING token",
        "UPDATE assent.outcome SET gid = gid || 'x'",
        "UPDATE assent.outcome_0 SET sequence = 1",
        "DELETE FROM assent.outcome",
        "DELETE FROM assent.outcome_0",
        "TRUNCATE assent.outcome_0",
        "DROP TABLE assent.outcome_0",
        "ALTER TABLE assent.outcome_0 DISABLE TRIGGER ALL",
        "ALTER TABLE assent.outcome DROP CONSTRAINT outcome_token",
        "CREATE TABLE assent.mine ()",
        "CREATE TRIGGER t BEFORE INSERT ON assent.outcome_0 FOR EACH ROW EXECUTE FUNCTION "
        "suppress_redundant_updates_trigger()",
        "CREATE RULE r AS ON INSERT TO assent.outcome_0 DO INSTEAD NOTHING",
        "UPDATE assent.witness SET epoch = 0",
        "DELETE FROM assent.witness",
        "INSERT INTO assent.witness VALUES ('x')",
        "UPDATE assent.identity SET participant = 'x'",
        "UPDATE assent.ring SET current = 3",
        "LOCK TABLE assent.outcome_0 IN SHARE MODE",
        "SELECT assent.rotate('\\x00112233445566778899aabbccddeeff')",
        "SELECT assent.rotate(NULL)",
        "SELECT assent.check_token('\\x00')",
        "SELECT assent.partition_passed(0, false)",
        "SELECT assent.store_witness('\\x00', repeat('a', 32), 99, repeat('0', 16), 1, '', 0, 0, "
        "0, '', 99, 1)",
        "UPDATE assent.witness SET compared_xid = 99",
        "SELECT set_config('role', 'assent_owner', true)",
        "SET SESSION AUTHORIZATION assent_owner",
        "SELECT most_common_vals::text::int FROM pg_stats WHERE schemaname = 'assent' AND attname "
        "= 'token'"
        " UNION ALL SELECT 1/0",
        "CREATE FUNCTION assent.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "REVOKE ALL ON assent.outcome_0 FROM " WORLD_ROLE " CASCADE; SELECT 1/0",
    };
    struct gid gid = world_gid(world, 30);
    (void)prepare(&gid);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    (void)world_sql(world, "ANALYZE assent.outcome");
    char before[128];
    (void)snprintf(
        before, sizeof before, "%s",
        world_sql(world,
                  "SELECT md5(string_agg(o::text, ',' ORDER BY gid)) FROM assent.outcome o"));
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        char sqlstate[SQLSTATE_SIZE];
        if (world_sql_as_agent(world, attempts[i], sqlstate)) {
            fail_msg("went through: %s", attempts[i]);
        }
    }
    assert_string_equal(
        world_sql(world, "SELECT md5(string_agg(o::text, ',' ORDER BY gid)) FROM assent.outcome o"),
        before);
    assert_string_equal(
        world_sql(world, "SELECT count(*) FROM pg_stats WHERE attname = 'token' AND false"), "0");
}

/* A search_path full of traps, left by client SQL in the role's settings, does not get hold of the token. */
static void test_outcome_operators_in_search_path_are_not_used(void **state)
{
    (void)state;
    world_stop(world);
    (void)world_sql(
        world, "CREATE SCHEMA trap AUTHORIZATION " WORLD_ROLE "; SET ROLE " WORLD_ROLE ";"
               "CREATE TABLE trap.caught (what text);"
               "CREATE FUNCTION trap.eq(bytea, bytea) RETURNS boolean LANGUAGE sql AS"
               " $$ INSERT INTO trap.caught VALUES ('bytea'); SELECT true $$;"
               "CREATE OPERATOR trap.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = trap.eq);"
               "CREATE FUNCTION trap.sha256(bytea) RETURNS bytea LANGUAGE sql AS"
               " $$ INSERT INTO trap.caught VALUES (encode($1, 'hex')); SELECT $1 $$;"
               "CREATE FUNCTION trap.eqt(text, text) RETURNS boolean LANGUAGE sql AS"
               " $$ INSERT INTO trap.caught VALUES ($1); SELECT true $$;"
               "CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.eqt);"
               "ALTER ROLE " WORLD_ROLE " SET search_path = trap, pg_catalog, public; RESET ROLE");
    world_start(world, NULL);
    struct gid gid = world_gid(world, 31);
    struct proof proof = prepare(&gid);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    assert_proved(&gid, &proof, true, PROOF_SAYS_COMMITTED);
    store_floor(7, 6);
    assert_int_equal(world_simple(world, COMMAND_ROTATE)->class, PG_OK);
    assert_int_equal(world_simple(world, COMMAND_SCAN)->class, PG_OK);
    world_stop(world);
    (void)world_sql(world, "ALTER ROLE " WORLD_ROLE " RESET ALL");
    world_start(world, NULL);
    assert_string_equal(world_sql(world, "SELECT count(*) FROM trap.caught"), "0");
}

/* The ring: full partitions wait for the floor, passed ones are emptied one at a time, and the ring moves on. */
static void test_rotate_empties_only_what_all_floors_passed(void **state)
{
    (void)state;
    world_stop(world);
    (void)world_sql(world, "TRUNCATE assent.outcome; UPDATE assent.ring SET current = 0");
    world_start(world, NULL);
    struct gid gid = world_gid(world, 40);
    (void)prepare(&gid);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    (void)world_sql(world, "UPDATE assent.ring SET advanced_at = now() - interval '2 days'");
    struct command_result *result = world_simple(world, COMMAND_ROTATE);
    assert_int_equal(result->class, PG_OK);
    assert_string_equal(result->detail, "kept, now 1");
    /* New branches go to the new partition at once. */
    struct gid later = world_gid(world, 50);
    (void)prepare(&later);
    assert_int_equal(world_finish(world, &later, true)->class, PG_OK);
    assert_string_equal(world_sql(world, "SELECT ring FROM assent.outcome WHERE sequence = 50"),
                        "1");

    store_floor(7, 39);
    (void)world_simple(world, COMMAND_ROTATE);
    assert_string_equal(world_sql(world, "SELECT count(*) FROM assent.outcome WHERE sequence = 40"),
                        "1");
    store_floor(7, 40);
    assert_string_equal(world_simple(world, COMMAND_ROTATE)->detail, "emptied 0");
    assert_string_equal(world_sql(world, "SELECT count(*) FROM assent.outcome WHERE sequence = 40"),
                        "0");
    assert_string_equal(world_sql(world, "SELECT count(*) FROM assent.outcome WHERE sequence = 50"),
                        "1");
}

/* A row of a journal that this database has no witness of keeps its partition. */
static void test_rotate_unknown_journal_keeps_its_rows(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 1);
    gid.gtrid.journal.bytes[0] = 0xCD;
    (void)world_sql(world, "UPDATE assent.ring SET current = 2");
    world_stop(world);
    world_start(world, NULL);
    (void)prepare(&gid);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    (void)world_sql(world, "UPDATE assent.ring SET current = 3");
    store_floor(7, 1000);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(world_simple(world, COMMAND_ROTATE)->class, PG_OK);
    }
    assert_string_equal(world_sql(world, "SELECT count(*) FROM assent.outcome WHERE ring = 2"),
                        "1");
}

/* A branch that is still prepared holds its partition; ROTATE gives up soon instead of stalling inserts. */
static void test_rotate_prepared_row_makes_it_try_later(void **state)
{
    (void)state;
    (void)world_sql(world, "UPDATE assent.ring SET current = 4");
    world_stop(world);
    world_start(world, NULL);
    struct gid done = world_gid(world, 60);
    struct gid open = world_gid(world, 61);
    (void)prepare(&done);
    assert_int_equal(world_finish(world, &done, true)->class, PG_OK);
    (void)prepare(&open);
    store_floor(7, 2000);
    (void)world_sql(world, "UPDATE assent.ring SET current = 5");
    assert_int_equal(world_simple(world, COMMAND_ROTATE)->class, PG_RETRY);
    assert_int_equal(world_finish(world, &open, true)->class, PG_OK);
    assert_string_equal(world_simple(world, COMMAND_ROTATE)->detail, "emptied 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prove_committed_before_says_committed),
        cmocka_unit_test(test_prove_rolled_back_by_hand_says_absent),
        cmocka_unit_test(test_prove_committed_by_hand_says_committed),
        cmocka_unit_test(test_prove_still_prepared_says_prepared),
        cmocka_unit_test(test_prove_other_attempt_says_absent),
        cmocka_unit_test(test_prove_absent_below_floor_cannot_tell),
        cmocka_unit_test(test_prove_standby_away_is_no_answer),
        cmocka_unit_test(test_prove_by_xid_committed_and_rolled_back),
        cmocka_unit_test(test_outcome_client_sql_cannot_touch_it),
        cmocka_unit_test(test_outcome_operators_in_search_path_are_not_used),
        cmocka_unit_test(test_rotate_empties_only_what_all_floors_passed),
        cmocka_unit_test(test_rotate_unknown_journal_keeps_its_rows),
        cmocka_unit_test(test_rotate_prepared_row_makes_it_try_later),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
