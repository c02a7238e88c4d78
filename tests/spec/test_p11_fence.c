/* P-11 on a real server: "not prepared" is said only after whoever could still prepare is gone. */
#include "tests/spec/pg_world.h"

#include <libpq-fe.h>
#include <signal.h>

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

/* A connection as an agent of another incarnation would have it. */
static PGconn *connect_as(const char *application_name)
{
    char conninfo[512];
    (void)snprintf(conninfo, sizeof conninfo, "%s application_name='%s'", world->conninfo,
                   application_name);
    PGconn *conn = PQconnectdb(conninfo);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    return conn;
}

/* Sends a branch that prepares only after a while, and does not wait for it. */
static void send_late_prepare(PGconn *conn, const struct gid *gid, const char *seconds)
{
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "BEGIN; UPDATE item SET amount = 0 WHERE id = 1; SELECT pg_sleep(%s); PREPARE "
                   "TRANSACTION '%s'",
                   seconds, world_gid_text(gid));
    assert_int_equal(PQsendQuery(conn, sql), 1);
    world_await_sql(world,
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'BEGIN; UPDATE%'"
                    " AND wait_event = 'PgSleep'",
                    "1");
}

static void assert_gone(PGconn *conn)
{
    PGresult *result = NULL;
    ExecStatusType last = PGRES_COMMAND_OK;
    while ((result = PQgetResult(conn)) != NULL) {
        last = PQresultStatus(result);
        PQclear(result);
    }
    assert_int_equal(last, PGRES_FATAL_ERROR);
    assert_int_equal(PQstatus(conn), CONNECTION_BAD);
    PQfinish(conn);
}

/* A backend of an earlier incarnation that is about to prepare is ended before we say that nothing is prepared. */
static void test_look_late_prepare_of_earlier_incarnation_never_happens(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 1);
    PGconn *old = connect_as("assent-agent/order/0000000000000001/worker");
    send_late_prepare(old, &gid, "600");
    struct command_result *result = world_look(world, &gid, false);
    assert_string_equal(result->detail, "");
    assert_int_equal(result->class, PG_NOT_FOUND);
    assert_gone(old);
    assert_int_equal(world_prepared_count(world), 0);
}

/* Whatever else runs in the agent's role is not of this incarnation either. */
static void test_look_stranger_in_the_agents_role_is_ended(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 2);
    PGconn *stranger = connect_as("psql");
    send_late_prepare(stranger, &gid, "600");
    assert_int_equal(world_look(world, &gid, false)->class, PG_NOT_FOUND);
    assert_gone(stranger);
}

/* Other roles' backends, and our own that do other work, are left alone. */
static void test_look_others_are_spared(void **state)
{
    (void)state;
    struct gid other = world_gid(world, 3);
    struct gid gid = world_gid(world, 4);
    PGconn *superuser = PQconnectdb(pgcluster_conninfo(world->cluster));
    struct command command = world_execute_command(&other, world_work("SELECT pg_sleep(1)", NULL));
    uint64_t id = world_submit(world, &command);
    world_await_sql(
        world, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1)'", "1");
    assert_int_equal(world_look(world, &gid, true)->class, PG_NOT_FOUND);
    assert_int_equal(world_await(world, id)->class, PG_OK);
    assert_int_equal(world_finish(world, &other, false)->class, PG_OK);
    PGresult *result = PQexec(superuser, "SELECT 1");
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    PQclear(result);
    PQfinish(superuser);
}

/* The branch's own backend of this incarnation is ended, too; its EXECUTE never says yes. */
static void test_look_own_running_branch_is_ended(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 5);
    struct command command = world_execute_command(
        &gid, world_work("UPDATE item SET amount = 0 WHERE id = 1", "SELECT pg_sleep(600)", NULL));
    uint64_t id = world_submit(world, &command);
    world_await_sql(
        world, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'", "1");
    assert_int_equal(world_look(world, &gid, false)->class, PG_NOT_FOUND);
    struct command_result *voted = world_await(world, id);
    assert_int_not_equal(voted->class, PG_OK);
    assert_int_equal(world_prepared_count(world), 0);
    assert_string_equal(world_sql(world, "SELECT amount FROM item WHERE id = 1"), "100");
}

/* A branch of this incarnation whose SQL names its session anew is no stranger: the fence of another branch spares it. */
static void test_look_own_branch_under_another_name_is_spared(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 51);
    struct gid other = world_gid(world, 52);
    struct command command = world_execute_command(
        &other, world_work("SELECT set_config('application_name', 'report', true)",
                           "SELECT pg_sleep(1.5)", NULL));
    uint64_t id = world_submit(world, &command);
    world_await_sql(
        world, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1.5)'", "1");
    assert_int_equal(world_look(world, &gid, true)->class, PG_NOT_FOUND);
    assert_int_equal(world_await(world, id)->class, PG_OK);
    assert_int_equal(world_finish(world, &other, false)->class, PG_OK);
}

/* A branch that still waits for a connection is answered, and not run after we said that it is not prepared. */
static void test_look_queued_branch_never_runs(void **state)
{
    (void)state;
    struct pg_options options = world_options(world);
    options.worker_count = 1;
    world_stop(world);
    world_start(world, &options);
    struct gid first = world_gid(world, 6);
    struct gid second = world_gid(world, 7);
    struct command command = world_execute_command(&first, world_work("SELECT pg_sleep(1)", NULL));
    uint64_t one = world_submit(world, &command);
    command =
        world_execute_command(&second, world_work("UPDATE item SET amount = 0 WHERE id = 1", NULL));
    uint64_t two = world_submit(world, &command);
    assert_int_equal(world_look(world, &second, false)->class, PG_NOT_FOUND);
    assert_int_equal(world_await(world, two)->class, PG_ROLLED_BACK);
    assert_int_equal(world_await(world, one)->class, PG_OK);
    assert_int_equal(world_finish(world, &first, false)->class, PG_OK);
    assert_int_equal(world_prepared_count(world), 0);
    world_stop(world);
    world_start(world, NULL);
}

/* A PREPARE that waits for a standby past the deadline is no yes, and the next look finds what it prepared. */
static void test_look_finds_what_was_prepared_past_the_deadline(void **state)
{
    (void)state;
    world_lose_standby(world);
    struct gid gid = world_gid(world, 8);
    struct command command =
        world_execute_command(&gid, world_work("UPDATE item SET amount = 0 WHERE id = 1", NULL));
    command.as.execute.deadline_ms -= 8000; /* two seconds: time to be sent on a busy machine */
    uint64_t id = world_submit(world, &command);
    world_await_sql(world, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
                    "1");
    struct command_result *voted = world_await(world, id);
    assert_int_equal(voted->class, PG_UNKNOWN);
    struct command_result *result = world_look(world, &gid, true);
    world_return_standby(world);
    assert_int_equal(result->class, PG_OK);
    assert_int_equal(result->row_count, 1);
    assert_string_equal(result->rows[0].gid_text, world_gid_text(&gid));
    assert_string_equal(result->rows[0].owner, WORLD_ROLE);
    assert_string_equal(
        world_sql(world, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"),
        "0");
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
}

/* A backend that cannot be ended (here: stopped before it read its pipeline) makes the answer "unknown"; once it is gone
 * the answer is final. */
static void test_look_backend_that_does_not_end_is_unknown(void **state)
{
    (void)state;
    struct pg_options options = world_options(world);
    options.worker_count = 1;
    world_stop(world);
    world_start(world, &options);
    /* The server lists a backend before the agent has made its session ready, and one that is stopped so early never
     * gets the branch. One that waits for a command after the reset that follows a branch is ready. */
    struct gid before = world_gid(world, 13);
    struct command_result *ready = world_execute(world, &before, world_work("SELECT 1", NULL));
    assert_int_equal(ready->class, PG_OK);
    assert_int_equal(world_finish(world, &before, true)->class, PG_OK);
    world_await_sql(world,
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%/worker'"
                    " AND query LIKE '%DISCARD SEQUENCES' AND wait_event = 'ClientRead'",
                    "1");
    const char *const worker_pid =
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE '%/worker'"
        " AND query LIKE '%DISCARD SEQUENCES'";
    pid_t pid = (pid_t)strtol(world_sql(world, worker_pid), NULL, 10);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    struct gid gid = world_gid(world, 12);
    struct command command =
        world_execute_command(&gid, world_work("UPDATE item SET amount = 0 WHERE id = 1", NULL));
    command.as.execute.deadline_ms -= 8000; /* two seconds: time to be sent on a busy machine */
    struct command_result *voted = world_await(world, world_submit(world, &command));
    struct command_result *doubtful = world_look(world, &gid, true);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(voted->class, PG_UNKNOWN);
    assert_int_equal(doubtful->class, PG_UNKNOWN);
    /* Continued, it may prepare once more before it ends: that is what the fence waits for. */
    struct command_result *sure = world_look(world, &gid, true);
    assert_true(sure->class == PG_OK || sure->class == PG_NOT_FOUND);
    assert_int_equal(world_prepared_count(world), sure->class == PG_OK ? 1 : 0);
    if (sure->class == PG_OK) {
        assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
    }
    world_stop(world);
    world_start(world, NULL);
}

/* Every attempt of the transaction at this participant is found, nobody else's. */
static void test_look_finds_all_attempts_of_this_branch_only(void **state)
{
    (void)state;
    struct gid first = world_gid(world, 9);
    struct gid second = world_gid(world, 9);
    struct gid other = world_gid(world, 91);
    assert_int_equal(world_execute(world, &first, world_work("SELECT 1", NULL))->class, PG_OK);
    assert_int_equal(world_execute(world, &second, world_work("SELECT 1", NULL))->class, PG_OK);
    assert_int_equal(world_execute(world, &other, world_work("SELECT 1", NULL))->class, PG_OK);
    struct command_result *result = world_look(world, &first, true);
    assert_int_equal(result->class, PG_OK);
    assert_int_equal(result->row_count, 2);
    const struct gid *gids[] = {&first, &second, &other};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_finish(world, gids[i], false)->class, PG_OK);
    }
}

/* A scan shows Assent's rows of this database whoever owns them, and no stranger's. */
static void test_scan_shows_our_prefix_of_this_database(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 10);
    assert_int_equal(world_execute(world, &gid, world_work("SELECT 1", NULL))->class, PG_OK);
    (void)world_sql(world, "BEGIN; SELECT 1; PREPARE TRANSACTION 'stranger'");
    (void)world_sql(world, "BEGIN; SELECT 1; PREPARE TRANSACTION 'assent:not-one-of-ours'");
    struct error error = {0};
    assert_true(pgcluster_sql(world->cluster, "postgres",
                              "BEGIN; SELECT 1; PREPARE TRANSACTION 'assent:elsewhere'", NULL,
                              &error));
    struct command_result *result = world_simple(world, COMMAND_SCAN);
    assert_int_equal(result->class, PG_OK);
    assert_int_equal(result->row_count, 2);
    (void)world_sql(world, "ROLLBACK PREPARED 'stranger'");
    (void)world_sql(world, "ROLLBACK PREPARED 'assent:not-one-of-ours'");
    assert_true(pgcluster_sql(world->cluster, "postgres", "ROLLBACK PREPARED 'assent:elsewhere'",
                              NULL, &error));
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
}

/* The oldest first, whatever order PostgreSQL keeps them in: which one is the newest does not change from scan to scan. */
static void test_scan_shows_the_oldest_first(void **state)
{
    (void)state;
    (void)world_sql(world, "BEGIN; SELECT 1; PREPARE TRANSACTION 'assent:z'");
    (void)world_sql(world, "BEGIN; SELECT 1; PREPARE TRANSACTION 'assent:y'");
    (void)world_sql(world, "BEGIN; SELECT 1; PREPARE TRANSACTION 'assent:x'");
    (void)world_sql(world, "ROLLBACK PREPARED 'assent:z'"); /* the last one takes its place */
    struct command_result *result = world_simple(world, COMMAND_SCAN);
    assert_int_equal(result->class, PG_OK);
    assert_int_equal(result->row_count, 2);
    assert_string_equal(result->rows[0].gid_text, "assent:y");
    assert_string_equal(result->rows[1].gid_text, "assent:x");
    (void)world_sql(world, "ROLLBACK PREPARED 'assent:y'");
    (void)world_sql(world, "ROLLBACK PREPARED 'assent:x'");
}

/* A database that cannot be asked gives "unknown", never an empty list. */
static void test_scan_database_down_is_unknown(void **state)
{
    (void)state;
    struct error error = {0};
    assert_true(pgcluster_stop(world->cluster, PGCLUSTER_FAST, &error));
    struct gid gid = world_gid(world, 11);
    assert_int_equal(world_simple(world, COMMAND_SCAN)->class, PG_UNKNOWN);
    assert_int_equal(world_look(world, &gid, true)->class, PG_UNKNOWN);
    assert_int_equal(
        world_prove(world, &gid, &(struct proof){.kind = PROOF_ROW}, true, true)->class,
        PG_UNKNOWN);
    struct command_result *finished = world_finish(world, &gid, true);
    assert_true(finished->class == PG_RETRY || finished->class == PG_UNKNOWN);
    struct command_result *voted = world_execute(world, &gid, world_work("SELECT 1", NULL));
    assert_int_not_equal(voted->class, PG_OK);
    assert_int_equal(voted->failure.reason, REASON_PARTICIPANT_UNAVAILABLE);
    assert_true(pgcluster_start(world->cluster, &error));
    world_await_health(world, HEALTH_UP);
    assert_int_equal(world_simple(world, COMMAND_SCAN)->class, PG_OK);
}

/* PostgreSQL cuts application_name at 63 bytes: the incarnation and the role stand whole before that. */
static void test_application_name_long_participant_keeps_the_incarnation(void **state)
{
    (void)state;
    char name[PG_APPLICATION_NAME_SIZE];
    pg_application_name("a-participant-whose-name-is-as-long-as-names-are-allowed-to-be-x",
                        UINT64_C(0xFEDCBA9876543210), "finisher", name);
    assert_string_equal(name, "assent-agent/a-participant-whose-na/fedcba9876543210/finisher");
    assert_true(strlen(name) <= 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_application_name_long_participant_keeps_the_incarnation),
        cmocka_unit_test(test_look_late_prepare_of_earlier_incarnation_never_happens),
        cmocka_unit_test(test_look_stranger_in_the_agents_role_is_ended),
        cmocka_unit_test(test_look_others_are_spared),
        cmocka_unit_test(test_look_own_running_branch_is_ended),
        cmocka_unit_test(test_look_own_branch_under_another_name_is_spared),
        cmocka_unit_test(test_look_queued_branch_never_runs),
        cmocka_unit_test(test_look_finds_what_was_prepared_past_the_deadline),
        cmocka_unit_test(test_look_backend_that_does_not_end_is_unknown),
        cmocka_unit_test(test_look_finds_all_attempts_of_this_branch_only),
        cmocka_unit_test(test_scan_shows_our_prefix_of_this_database),
        cmocka_unit_test(test_scan_shows_the_oldest_first),
        cmocka_unit_test(test_scan_database_down_is_unknown),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
