/* P-12 on a real server: which outcomes a new agent compares with the coordinator's decisions, how far that is known to be done,
 * and what a sweep says about transactions and sessions of before. */
#include "tests/spec/pg_world.h"

#include <libpq-fe.h>

#define TIMELINE     1 /* of a new cluster */
#define TOKEN_DIGITS (2 * PG_TOKEN_BYTES)

#define PAGE 1000

static struct world *world;
static char *admin;

static int set_up(void **state)
{
    (void)state;
    /* Nobody but the tests takes transaction ids. */
    world = world_new(&(const struct pgcluster_options){.max_prepared_transactions = 64,
                                                        .extra_conf = "autovacuum = off\n"});
    admin = pgcluster_conninfo_for(world->cluster, WORLD_DATABASE, "postgres");
    world_start(world, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(admin);
    world_free(world);
    return 0;
}

static int forget_all(void **state)
{
    (void)state;
    /* What a failed test left prepared holds the table: then this fails as well, in time. */
    (void)world_sql(world, "SET lock_timeout = '2s'; TRUNCATE assent.outcome, assent.witness");
    return 0;
}

static uint64_t prepare(const struct gid *gid)
{
    struct command_result *voted =
        world_execute(world, gid, world_work("UPDATE item SET amount = amount WHERE id = 1", NULL));
    assert_int_equal(voted->class, PG_OK);
    assert_true(voted->proof.xid8 != 0);
    return voted->proof.xid8;
}

/* Not the row that the other branches lock. */
static uint64_t prepare_beside(const struct gid *gid)
{
    struct command_result *voted = world_execute(world, gid, world_work("SELECT 1", NULL));
    assert_int_equal(voted->class, PG_OK);
    return voted->proof.xid8;
}

static void commit(const struct gid *gid)
{
    assert_int_equal(world_finish(world, gid, true)->class, PG_OK);
}

static struct command_result *outcomes_of(const struct gid *gid, uint64_t after_xid)
{
    struct command command = {
        .kind = COMMAND_OUTCOMES,
        .as.outcomes = {.journal = gid->gtrid.journal, .limit = PAGE, .after_xid = after_xid}};
    struct command_result *result = world_await(world, world_submit(world, &command));
    assert_string_equal(result->detail, "");
    assert_int_equal(result->class, PG_OK);
    return result;
}

static struct command_result *outcomes(uint64_t after_xid)
{
    struct gid any = world_gid(world, 1);
    return outcomes_of(&any, after_xid);
}

/* As the row of a branch of this world's journal, in whatever transaction. */
static void insert_row(uint64_t epoch, uint64_t sequence, uint64_t xid)
{
    char sql[600];
    char token[TOKEN_DIGITS + 1] = "";
    struct gid gid = world_gid(world, sequence);
    gid.gtrid.epoch = epoch;
    for (size_t i = 0; i < PG_TOKEN_BYTES; i++) {
        (void)snprintf(token + 2 * i, 3, "%02x", world->token[i]);
    }
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO assent.outcome (ring, sequence, gid, token, xid)"
                   " VALUES (0, %lu, '%s', '\\x%s', %lu)",
                   (unsigned long)sequence, world_gid_text(&gid), token, (unsigned long)xid);
    (void)world_sql(world, sql);
}

static void store(struct journal_floor floor, uint64_t compared_xid, uint32_t timeline)
{
    struct gid any = world_gid(world, 1);
    struct command command = {.kind = COMMAND_STORE_WITNESS,
                              .as.store = {.journal = any.gtrid.journal,
                                           .epoch = 20,
                                           .epoch_nonce = 0x77,
                                           .head = {.number = 9, .hash = {1, 2, 3}},
                                           .floor = floor,
                                           .address = "tcp://127.0.0.1:1",
                                           .compared_xid = compared_xid,
                                           .compared_timeline = timeline}};
    struct command_result *result = world_await(world, world_submit(world, &command));
    assert_string_equal(result->detail, "");
    assert_int_equal(result->class, PG_OK);
}

static void assert_rows(const struct command_result *result, const char *expected)
{
    char seen[256] = "";
    for (size_t i = 0; i < result->row_count; i++) {
        struct gid gid;
        size_t length = strlen(seen);
        assert_true(gid_parse(result->rows[i].gid_text, &gid));
        (void)snprintf(seen + length, sizeof seen - length, "%s%lu-%lu", i == 0 ? "" : " ",
                       (unsigned long)gid.gtrid.epoch, (unsigned long)gid.gtrid.sequence);
    }
    assert_string_equal(seen, expected);
}

/* Outcomes come in the order of their transaction ids, not of their commits, and go on behind the last one. */
static void test_outcomes_come_in_order_of_transaction_ids(void **state)
{
    (void)state;
    struct gid gids[3];
    uint64_t xids[3];
    for (size_t i = 0; i < 3; i++) {
        gids[i] = world_gid(world, 30 - i);
        xids[i] = prepare_beside(&gids[i]);
    }
    commit(&gids[2]);
    commit(&gids[0]);
    commit(&gids[1]);
    struct command_result *result = outcomes(0);
    assert_rows(result, "7-30 7-29 7-28");
    assert_string_equal(result->rows[0].gid_text, world_gid_text(&gids[0]));
    assert_true(result->proof.xid8 == xids[2]);
    result = outcomes(xids[0]);
    assert_rows(result, "7-29 7-28");
    assert_true(result->proof.xid8 == xids[2]);
    assert_rows(outcomes(xids[2]), "");
}

/* What is prepared has not happened. Once committed it stands there under the id that the vote named. */
static void test_outcomes_prepared_branch_is_in_it_once_committed(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 31);
    uint64_t xid = prepare(&gid);
    struct gid later = world_gid(world, 32);
    uint64_t later_xid = prepare_beside(&later);
    commit(&later);
    assert_rows(outcomes(0), "7-32");
    commit(&gid);
    struct command_result *result = outcomes(0);
    assert_rows(result, "7-31 7-32");
    assert_true(xid < later_xid && result->proof.xid8 == later_xid);
    assert_rows(outcomes(xid - 1), "7-31 7-32");
    assert_rows(outcomes(xid), "7-32");
}

/* Each journal is compared with its own coordinator. */
static void test_outcomes_of_another_journal_are_not_in_it(void **state)
{
    (void)state;
    struct gid ours = world_gid(world, 33);
    struct gid other = world_gid(world, 34);
    other.gtrid.journal.bytes[15] = 1;
    (void)prepare(&ours);
    commit(&ours);
    (void)prepare(&other);
    commit(&other);
    assert_rows(outcomes(0), "7-33");
    assert_rows(outcomes_of(&other, 0), "7-34");
}

/* Up to the floor nobody can be asked any more. Epochs and sequences are numbers there, not texts. */
static void test_outcomes_floor_is_compared_as_numbers(void **state)
{
    (void)state;
    insert_row(9, 5, 101);
    insert_row(9, 6, 102);
    insert_row(9, 10, 103);
    insert_row(8, 99, 104);
    insert_row(10, 1, 105);
    assert_rows(outcomes(0), "9-5 9-6 9-10 8-99 10-1"); /* no witness: nothing is known of any */
    store((struct journal_floor){.epoch = 9, .sequence = 5}, 0, TIMELINE);
    assert_rows(outcomes(0), "9-6 9-10 10-1");
    store((struct journal_floor){.epoch = 9, .sequence = 9}, 0, TIMELINE);
    assert_rows(outcomes(0), "9-10 10-1");
}

/* Below the mark all is compared; at it, it is not. What is asked for behind a page counts if it is higher. */
static void test_outcomes_begin_at_the_mark(void **state)
{
    (void)state;
    insert_row(7, 1, 99);
    insert_row(7, 2, 100);
    insert_row(7, 3, 101);
    store((struct journal_floor){0}, 100, TIMELINE);
    assert_rows(outcomes(0), "7-2 7-3");
    assert_rows(outcomes(50), "7-2 7-3");
    assert_rows(outcomes(100), "7-3");
}

/* A row of version 1, which has no transaction id, is not compared: many share the 0, and no page could end between them. */
static void test_outcomes_without_transaction_id_are_not_in_it(void **state)
{
    (void)state;
    insert_row(7, 1, 0);
    insert_row(7, 2, 1);
    assert_rows(outcomes(0), "7-2");
}

/* A page has a limit, and the next one goes on where it ended. */
static void test_outcomes_come_in_pages(void **state)
{
    (void)state;
    char sql[600];
    char *token = NULL;
    insert_row(7, 1, 1);
    assert_true(asprintf(&token, "%s", world_sql(world, "SELECT token FROM assent.outcome")) > 0);
    struct gid gid = world_gid(world, 1);
    char journal[JOURNAL_ID_TEXT_SIZE];
    journal_id_format(&gid.gtrid.journal, journal);
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO assent.outcome (ring, sequence, gid, token, xid)"
                   " SELECT i %% 8, i, format('assent:%s-7-0000000000000077-%%s:" WORLD_PARTICIPANT
                   ":0000000000000001', i), '%s', 7 * i FROM generate_series(2, %d) i",
                   journal, token, PAGE + 1);
    free(token);
    (void)world_sql(world, sql);
    struct command_result *result = outcomes(0);
    assert_int_equal(result->row_count, PAGE);
    assert_int_equal(result->proof.xid8, 7 * PAGE);
    for (size_t i = 0; i < result->row_count; i++) {
        assert_true(gid_parse(result->rows[i].gid_text, &gid));
        assert_int_equal(gid.gtrid.sequence, i + 1);
    }
    result = outcomes(result->proof.xid8);
    assert_int_equal(result->row_count, 1);
    assert_int_equal(result->proof.xid8, 7 * (PAGE + 1));
}

/* Rows that lie far apart, since other transactions took the ids between, are all found and in order; so are those of another
 * cluster, above every id that this one has given out. */
static void test_outcomes_far_apart_are_all_found(void **state)
{
    (void)state;
    (void)world_sql(world, "CREATE TEMPORARY TABLE taker (i int);" /* an id for each block */
                           "DO $$ BEGIN FOR i IN 1..40000 LOOP BEGIN INSERT INTO taker VALUES (i);"
                           " EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$");
    insert_row(7, 7, 5000000000);
    insert_row(7, 6, 33000);
    insert_row(7, 5, 24577);
    insert_row(7, 4, 24576);
    insert_row(7, 3, 8194);
    insert_row(7, 2, 8193);
    insert_row(7, 1, 1);
    struct command_result *result = outcomes(0);
    assert_rows(result, "7-1 7-2 7-3 7-4 7-5 7-6 7-7");
    assert_true(result->proof.xid8 == 5000000000);
    assert_rows(outcomes(1), "7-2 7-3 7-4 7-5 7-6 7-7");
    assert_rows(outcomes(24576), "7-5 7-6 7-7");
    assert_rows(outcomes(33000), "7-7");
    assert_rows(outcomes(5000000000), "");
}

/* The transaction id is the server's word: the role that clients' SQL runs in can not say another one. */
static void test_outcomes_transaction_id_cannot_be_given(void **state)
{
    (void)state;
    assert_string_equal(
        world_sql(world, "SELECT bool_or(has_column_privilege('" WORLD_ROLE "', oid, 'xid',"
                         " 'INSERT, UPDATE')) FROM pg_class"
                         " WHERE oid = 'assent.outcome'::regclass OR oid IN (SELECT inhrelid"
                         " FROM pg_inherits WHERE inhparent = 'assent.outcome'::regclass)"),
        "f");
}

static void assert_mark(const char *expected)
{
    assert_string_equal(world_sql(world, "SELECT compared_xid FROM assent.witness"), expected);
}

/* The mark only grows, nothing said about it leaves it, and ids of another history are not believed. */
static void test_mark_grows_within_its_history(void **state)
{
    (void)state;
    const struct journal_floor floor = {0};
    store(floor, 500, TIMELINE + 1); /* the first store of a journal, too */
    assert_mark("0");
    store(floor, 100, TIMELINE);
    assert_mark("100");
    store(floor, 90, TIMELINE);
    assert_mark("100");
    store(floor, 0, TIMELINE);
    assert_mark("100");
    store(floor, 0, 0);
    assert_mark("100");
    store(floor, 500, TIMELINE + 1);
    assert_mark("100");
    store(floor, 500, 0);
    assert_mark("100");
    store(floor, 5000000000,
          TIMELINE); /* of a history that had come further: this one was set back */
    assert_mark("100");
}

static struct command_result *scan(bool look_for_others)
{
    struct command command = {.kind = COMMAND_SCAN,
                              .as.scan = {.look_for_others = look_for_others}};
    struct command_result *result = world_await(world, world_submit(world, &command));
    assert_int_equal(result->class, PG_OK);
    /* Who is there is told. */
    bool is_told = strstr(result->detail, "connected since") != NULL;
    assert_int_equal(is_told, look_for_others && !result->is_alone);
    return result;
}

static void run(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQresultErrorMessage(result));
    }
    PQclear(result);
}

static uint64_t begin_with_xid(PGconn *conn)
{
    run(conn, "BEGIN");
    PGresult *result = PQexec(conn, "SELECT pg_current_xact_id()");
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    uint64_t xid = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    assert_true(xid != 0);
    return xid;
}

/* The horizon of a sweep stays behind what is in progress and what is prepared, and passes what has ended. */
static void test_scan_horizon_waits_for_what_has_not_ended(void **state)
{
    (void)state;
    PGconn *open = PQconnectdb(admin);
    struct gid gid = world_gid(world, 35);
    uint64_t open_xid = begin_with_xid(open);
    uint64_t prepared_xid = prepare(&gid);
    struct gid later = world_gid(world, 36);
    (void)prepare_beside(&later);
    commit(&later);
    assert_true(open_xid < prepared_xid);
    assert_true(scan(false)->proof.xid8 == open_xid);
    run(open, "ROLLBACK");
    assert_true(scan(false)->proof.xid8 == prepared_xid);
    open_xid = begin_with_xid(open);
    commit(&gid);
    assert_true(scan(false)->proof.xid8 == open_xid);
    run(open, "COMMIT");
    assert_true(scan(false)->proof.xid8 > open_xid);
    PQfinish(open);
}

/* A session that an earlier incarnation left behind is seen, of whichever name, until it is gone. */
static void test_scan_is_alone_when_earlier_incarnations_are_gone(void **state)
{
    (void)state;
    const char *const names[] = {"assent-agent/" WORLD_PARTICIPANT "/0000000000000001/worker", "",
                                 "renamed"};
    assert_true(scan(true)->is_alone);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char conninfo[512];
        char gone[128];
        (void)snprintf(conninfo, sizeof conninfo, "%s application_name='%s'", world->conninfo,
                       names[i]);
        PGconn *left = PQconnectdb(conninfo);
        assert_int_equal(PQstatus(left), CONNECTION_OK);
        (void)snprintf(gone, sizeof gone, "SELECT count(*) FROM pg_stat_activity WHERE pid = %d",
                       PQbackendPID(left));
        assert_false(scan(true)->is_alone);
        PQfinish(left);
        world_await_sql(world, gone, "0");
        assert_true(scan(true)->is_alone);
    }
}

/* One that does not go is ended when that is asked for (P-11), and the answer comes when it is gone. */
static void test_scan_ends_others_that_stay(void **state)
{
    (void)state;
    PGconn *left = PQconnectdb(world->conninfo);
    assert_int_equal(PQstatus(left), CONNECTION_OK);
    assert_false(scan(true)->is_alone);
    struct command command = {.kind = COMMAND_SCAN,
                              .as.scan = {.look_for_others = true, .end_others = true}};
    struct command_result *result = world_await(world, world_submit(world, &command));
    assert_int_equal(result->class, PG_OK);
    assert_true(result->is_alone);
    PQclear(PQexec(left, "SELECT 1"));
    assert_int_equal(PQstatus(left), CONNECTION_BAD);
    PQfinish(left);
}

/* Whoever did not ask is told nothing. */
static void test_scan_is_alone_only_if_asked(void **state)
{
    (void)state;
    assert_true(scan(true)->is_alone);
    assert_false(scan(false)->is_alone);
}

/* The sessions of this incarnation do not count, whatever a branch has called its own and while it runs. */
static void test_scan_own_workers_do_not_count(void **state)
{
    (void)state;
    PGconn *locker = PQconnectdb(admin);
    run(locker, "BEGIN; UPDATE item SET amount = amount WHERE id = 2");
    struct gid gid = world_gid(world, 37);
    struct command command = world_execute_command(
        &gid, world_work("SELECT set_config('application_name', 'renamed', true)",
                         "UPDATE item SET amount = amount WHERE id = 2", NULL));
    uint64_t id = world_submit(world, &command);
    world_await_sql(world,
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'renamed'"
                    " AND wait_event_type = 'Lock'",
                    "1");
    assert_true(scan(true)->is_alone);
    run(locker, "ROLLBACK");
    PQfinish(locker);
    assert_int_equal(world_await(world, id)->class, PG_OK);
    commit(&gid);
    assert_true(scan(true)->is_alone);
}

#define OUTCOMES_TEST(name) cmocka_unit_test_setup(name, forget_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OUTCOMES_TEST(test_outcomes_come_in_order_of_transaction_ids),
        OUTCOMES_TEST(test_outcomes_prepared_branch_is_in_it_once_committed),
        OUTCOMES_TEST(test_outcomes_of_another_journal_are_not_in_it),
        OUTCOMES_TEST(test_outcomes_floor_is_compared_as_numbers),
        OUTCOMES_TEST(test_outcomes_begin_at_the_mark),
        OUTCOMES_TEST(test_outcomes_without_transaction_id_are_not_in_it),
        OUTCOMES_TEST(test_outcomes_come_in_pages),
        OUTCOMES_TEST(test_outcomes_far_apart_are_all_found),
        OUTCOMES_TEST(test_outcomes_transaction_id_cannot_be_given),
        OUTCOMES_TEST(test_mark_grows_within_its_history),
        OUTCOMES_TEST(test_scan_horizon_waits_for_what_has_not_ended),
        OUTCOMES_TEST(test_scan_is_alone_when_earlier_incarnations_are_gone),
        OUTCOMES_TEST(test_scan_ends_others_that_stay),
        OUTCOMES_TEST(test_scan_is_alone_only_if_asked),
        OUTCOMES_TEST(test_scan_own_workers_do_not_count),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
