/* The PostgreSQL edge's pools: limits, batches, contention, stopping. */
#include "tests/spec/pg_world.h"

#include <libpq-fe.h>

static struct world *world;

static int set_up(void **state)
{
    (void)state;
    world = world_new(&(struct pgcluster_options){.max_prepared_transactions = 5});
    world_start(world, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(world);
    return 0;
}

static void restart(size_t worker_count, size_t queue_limit)
{
    struct pg_options options = world_options(world);
    options.worker_count = worker_count;
    options.queue_limit = queue_limit;
    world_stop(world);
    world_start(world, &options);
}

/* When the server's slots are used up a branch is refused for capacity, which may be tried again. */
static void test_execute_slots_exhausted_says_capacity(void **state)
{
    (void)state;
    struct gid gids[6];
    for (uint64_t i = 0; i < 6; i++) {
        gids[i] = world_gid(world, i + 1);
        struct command_result *voted = world_execute(world, &gids[i], world_work("SELECT 1", NULL));
        if (i < 5) {
            assert_int_equal(voted->class, PG_OK);
        } else {
            assert_int_equal(voted->class, PG_ROLLED_BACK);
            assert_int_equal(voted->failure.reason, REASON_CAPACITY);
            assert_string_equal(voted->failure.sqlstate, "53200");
        }
    }
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(world_finish(world, &gids[i], i % 2 == 0)->class, PG_OK);
    }
}

/* A queue that is full refuses at once instead of growing. */
static void test_execute_queue_full_says_capacity(void **state)
{
    (void)state;
    restart(1, 2);
    uint64_t ids[4];
    struct gid gids[4];
    for (uint64_t i = 0; i < 4; i++) {
        gids[i] = world_gid(world, 10 + i);
        struct command command =
            world_execute_command(&gids[i], world_work("SELECT pg_sleep(0.5)", NULL));
        ids[i] = world_submit(world, &command);
        if (i == 0) { /* the worker has it before the others come */
            world_await_sql(world,
                            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sl%'"
                            " AND state = 'active' AND usename = '" WORLD_ROLE "'",
                            "1");
        }
    }
    struct command_result *refused = world_await(world, ids[3]);
    assert_int_equal(refused->class, PG_ROLLED_BACK);
    assert_int_equal(refused->failure.reason, REASON_CAPACITY);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(world_await(world, ids[i])->class, PG_OK);
        assert_int_equal(world_finish(world, &gids[i], false)->class, PG_OK);
    }
    restart(3, 100);
}

/* Commands of one batch fail each for itself: what is not there does not harm what is. */
static void test_finish_batch_answers_each_for_itself(void **state)
{
    (void)state;
    struct gid gids[8];
    uint64_t ids[8];
    for (uint64_t i = 0; i < 8; i++) {
        gids[i] = world_gid(world, 20 + i);
        if (i % 2 == 0) {
            assert_int_equal(world_execute(world, &gids[i], world_work("SELECT 1", NULL))->class,
                             PG_OK);
        }
    }
    for (size_t i = 0; i < 8; i++) {
        struct command command = {.kind = COMMAND_FINISH,
                                  .as.finish = {.gid = gids[i], .commit = i % 4 == 0}};
        ids[i] = world_submit(world, &command);
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(world_await(world, ids[i])->class, i % 2 == 0 ? PG_OK : PG_NOT_FOUND);
    }
    assert_int_equal(world_prepared_count(world), 0);
}

/* Holds the only finisher with a commit that waits for a standby, so that what is submitted meanwhile becomes one batch
 * when the wait is cancelled. */
static uint64_t hold_finisher(const struct gid *gid)
{
    assert_int_equal(world_execute(world, gid, world_work("SELECT 1", NULL))->class, PG_OK);
    world_lose_standby(world);
    struct command command = {.kind = COMMAND_FINISH, .as.finish = {.gid = *gid, .commit = true}};
    uint64_t id = world_submit(world, &command);
    world_await_sql(world, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
                    "1");
    return id;
}

static void cancel_wait_for_standby(void)
{
    (void)world_sql(
        world, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
}

static void restart_with_one_finisher(void)
{
    struct pg_options options = world_options(world);
    options.finisher_count = 1;
    world_stop(world);
    world_start(world, &options);
}

/* An error that says nothing about its branch is that command's alone: the rest of the batch is answered. The error here
 * is a state file that is out of reach for a while. */
static void test_finish_unclassified_error_spares_the_batch(void **state)
{
    (void)state;
    char from[300];
    char to[300];
    struct gid holder = world_gid(world, 35);
    struct gid bad = world_gid(world, 36);
    struct gid good = world_gid(world, 37);
    restart_with_one_finisher();
    assert_int_equal(
        world_execute(world, &bad, world_work("UPDATE item SET amount = 1 WHERE id = 5", NULL))
            ->class,
        PG_OK);
    (void)world_sql(world, "CHECKPOINT");
    (void)snprintf(from, sizeof from, "%s",
                   world_sql(world, "SELECT current_setting('data_directory') || '/pg_twophase/' ||"
                                    " pg_ls_dir('pg_twophase')"));
    (void)snprintf(to, sizeof to, "%s.away", from);
    assert_int_equal(
        world_execute(world, &good, world_work("UPDATE item SET amount = 1 WHERE id = 6", NULL))
            ->class,
        PG_OK);
    uint64_t held = hold_finisher(&holder);
    assert_int_equal(rename(from, to), 0);
    struct command first = {.kind = COMMAND_FINISH, .as.finish = {.gid = bad, .commit = true}};
    struct command second = {.kind = COMMAND_FINISH, .as.finish = {.gid = good, .commit = true}};
    uint64_t bad_id = world_submit(world, &first);
    uint64_t good_id = world_submit(world, &second);
    world_return_standby(world);
    (void)world_await(world, held);
    struct command_result *failed = world_await(world, bad_id);
    struct command_result *done = world_await(world, good_id);
    assert_int_equal(rename(to, from), 0);
    assert_int_equal(failed->class, PG_UNKNOWN);
    assert_non_null(strstr(failed->detail, "pg_twophase"));
    assert_int_equal(done->class, PG_OK);
    assert_int_equal(world_finish_when_ready(world, &bad, true)->class, PG_OK);
    restart(3, 1000);
}

/* Each command of a batch has the whole time: what its neighbours took is not counted. Takes longer than a finisher
 * waits for one answer. */
static void test_finish_batch_has_time_for_each(void **state)
{
    (void)state;
    static const char old_wait[] =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        " AND clock_timestamp() - query_start > interval '6 s'";
    struct gid holder = world_gid(world, 38);
    struct gid gids[2] = {world_gid(world, 39), world_gid(world, 40)};
    uint64_t ids[2];
    restart_with_one_finisher();
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(world_execute(world, &gids[i], world_work("SELECT 1", NULL))->class,
                         PG_OK);
    }
    uint64_t held = hold_finisher(&holder);
    for (size_t i = 0; i < 2; i++) {
        struct command command = {.kind = COMMAND_FINISH,
                                  .as.finish = {.gid = gids[i], .commit = true}};
        ids[i] = world_submit(world, &command);
    }
    cancel_wait_for_standby();
    assert_int_equal(world_await(world, held)->class, PG_RETRY);
    for (size_t i = 0; i < 2; i++) {
        world_await_sql(world, old_wait, "1");
        cancel_wait_for_standby();
        assert_int_equal(world_await(world, ids[i])->class, PG_RETRY);
    }
    world_return_standby(world);
    restart(3, 1000);
}

/* A branch that somebody else is finishing just now is busy: to be tried again, not "not there". */
static void test_finish_busy_branch_is_to_be_retried(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 30);
    assert_int_equal(
        world_execute(world, &gid, world_work("UPDATE item SET amount = 1 WHERE id = 1", NULL))
            ->class,
        PG_OK);
    /* A COMMIT PREPARED that waits for a standby holds the branch. */
    world_lose_standby(world);
    char *conninfo = pgcluster_conninfo_for(world->cluster, WORLD_DATABASE, "postgres");
    PGconn *other = PQconnectdb(conninfo);
    free(conninfo);
    char sql[GID_TEXT_SIZE + 32];
    (void)snprintf(sql, sizeof sql, "COMMIT PREPARED '%s'", world_gid_text(&gid));
    assert_int_equal(PQsendQuery(other, sql), 1);
    world_await_sql(world, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
                    "1");
    struct command_result *busy = world_finish(world, &gid, true);
    world_return_standby(world);
    assert_int_equal(busy->class, PG_RETRY);
    PQclear(PQgetResult(other));
    PQfinish(other);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_NOT_FOUND);
}

/* COMMIT PREPARED whose wait for the standby was cancelled is done here but not acknowledged (P-5). */
static void test_finish_wait_for_standby_cancelled_is_to_be_retried(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 31);
    struct command_result *voted =
        world_execute(world, &gid, world_work("UPDATE item SET amount = 1 WHERE id = 2", NULL));
    assert_int_equal(voted->class, PG_OK);
    world_lose_standby(world);
    struct command command = {.kind = COMMAND_FINISH, .as.finish = {.gid = gid, .commit = true}};
    uint64_t id = world_submit(world, &command);
    world_await_sql(world,
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                    " AND query LIKE 'COMMIT PREPARED%'",
                    "1");
    (void)world_sql(
        world, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    struct command_result *result = world_await(world, id);
    world_return_standby(world);
    assert_int_equal(result->class, PG_RETRY);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_NOT_FOUND);
    assert_int_equal(world_prove(world, &gid, &voted->proof, true, false)->proved,
                     PROOF_SAYS_COMMITTED);
}

/* A finisher that gives up waiting leaves no backend behind for each attempt; when the standby is back the branch is
 * finished and proved. Takes as long as a finisher waits. */
static void test_finish_standby_away_leaves_no_backends_behind(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 34);
    struct command_result *voted =
        world_execute(world, &gid, world_work("UPDATE item SET amount = 1 WHERE id = 4", NULL));
    assert_int_equal(voted->class, PG_OK);
    world_lose_standby(world);
    struct command_result *first = world_finish(world, &gid, true);
    struct command_result *second = world_finish_when_ready(world, &gid, true);
    world_await_sql(world, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
                    "0");
    world_return_standby(world);
    assert_int_equal(first->class, PG_UNKNOWN);
    assert_int_not_equal(second->class, PG_OK);
    world_await_sql(world, "SELECT count(*) FROM pg_prepared_xacts", "0");
    assert_int_equal(world_prove(world, &gid, &voted->proof, true, true)->proved,
                     PROOF_SAYS_COMMITTED);
}

/* A branch that another role prepared under our prefix is refused, never "not there". */
static void test_finish_other_owner_is_refused(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 32);
    char sql[GID_TEXT_SIZE + 64];
    (void)snprintf(sql, sizeof sql, "BEGIN; SELECT 1; PREPARE TRANSACTION '%s'",
                   world_gid_text(&gid));
    (void)world_sql(world, sql);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_REFUSED);
    (void)snprintf(sql, sizeof sql, "ROLLBACK PREPARED '%s'", world_gid_text(&gid));
    (void)world_sql(world, sql);
}

/* A deferred trigger that takes a role inside PREPARE gives the branch another owner; the agent becomes that role to
 * finish it, and is itself again for the next branch. */
static void test_finish_owner_changed_inside_prepare_is_done(void **state)
{
    (void)state;
    (void)world_sql(
        world, "CREATE ROLE keeper; GRANT keeper TO " WORLD_ROLE ";"
               "CREATE TABLE late (n int); GRANT ALL ON late TO " WORLD_ROLE ", keeper;"
               "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
               " IF NEW.n = 1 THEN SET CONSTRAINTS ALL DEFERRED; INSERT INTO late VALUES (2);"
               " ELSE PERFORM set_config('role', 'keeper', true); END IF; RETURN NULL; END $$;"
               "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED"
               " FOR EACH ROW EXECUTE FUNCTION late()");
    for (uint64_t i = 0; i < 2; i++) {
        struct gid gid = world_gid(world, 50 + i);
        struct gid plain = world_gid(world, 60 + i);
        assert_int_equal(
            world_execute(world, &gid, world_work("INSERT INTO late VALUES (1)", NULL))->class,
            PG_OK);
        assert_string_equal(world_sql(world, "SELECT owner FROM pg_prepared_xacts"), "keeper");
        assert_int_equal(world_finish(world, &gid, i == 0)->class, PG_OK);
        assert_int_equal(world_execute(world, &plain, world_work("SELECT 1", NULL))->class, PG_OK);
        assert_int_equal(world_finish(world, &plain, true)->class, PG_OK);
    }
    assert_string_equal(world_sql(world, "SELECT count(*) FROM late"), "2");
    assert_int_equal(world_prepared_count(world), 0);
}

/* A branch of another database of the cluster is refused, too. */
static void test_finish_other_database_is_refused(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 33);
    struct error error = {0};
    char sql[GID_TEXT_SIZE + 128];
    assert_true(pgcluster_sql(world->cluster, "postgres",
                              "GRANT ALL ON SCHEMA public TO " WORLD_ROLE, NULL, &error));
    char *conninfo = pgcluster_conninfo_for(world->cluster, "postgres", WORLD_ROLE);
    PGconn *other = PQconnectdb(conninfo);
    free(conninfo);
    (void)snprintf(sql, sizeof sql, "BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION '%s'",
                   world_gid_text(&gid));
    PQclear(PQexec(other, sql));
    assert_int_equal(world_finish(world, &gid, true)->class, PG_REFUSED);
    (void)snprintf(sql, sizeof sql, "ROLLBACK PREPARED '%s'", world_gid_text(&gid));
    PQclear(PQexec(other, sql));
    PQfinish(other);
    assert_int_equal(world_prepared_count(world), 0);
}

/* Workers that are all busy do not keep a finished branch waiting (P-5). */
static void test_finish_goes_on_while_every_worker_waits_for_its_rows(void **state)
{
    (void)state;
    struct gid holder = world_gid(world, 40);
    assert_int_equal(
        world_execute(world, &holder, world_work("UPDATE item SET amount = 2 WHERE id = 3", NULL))
            ->class,
        PG_OK);
    struct gid gids[3];
    uint64_t ids[3];
    for (uint64_t i = 0; i < 3; i++) {
        gids[i] = world_gid(world, 41 + i);
        struct command command = world_execute_command(
            &gids[i], world_work("UPDATE item SET amount = 3 WHERE id = 3", NULL));
        ids[i] = world_submit(world, &command);
    }
    world_await_sql(world, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
                    "3");
    assert_int_equal(world_finish(world, &holder, true)->class, PG_OK);
    for (size_t done = 0; done < 3; done++) {
        size_t next = 0;
        uint64_t any = 0;
        while (any == 0) { /* whichever got the row first */
            for (next = 0; next < 3; next++) {
                if (ids[next] != 0 && world_answered(world, ids[next])) {
                    any = ids[next];
                    break;
                }
            }
            if (any == 0) {
                world_await_any(world);
            }
        }
        assert_int_equal(world_await(world, any)->class, PG_OK);
        assert_int_equal(world_finish(world, &gids[next], true)->class, PG_OK);
        ids[next] = 0;
    }
}

/* L1: once the keeper has come to know the server again, a finisher tries at once, however long it had to pause between its own
 * tries. (An hour of run: 4 s were lost by it, of 10.) */
static void test_finish_does_not_wait_for_its_own_back_off(void **state)
{
    (void)state;
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    struct error error = {0};
    struct gid gid = world_gid(world, 61);
    assert_int_equal(world_execute(world, &gid, world_work("SELECT 1", NULL))->class, PG_OK);
    assert_success(pgcluster_stop(world->cluster, PGCLUSTER_IMMEDIATE, &error), &error);
    for (int i = 0; i < 150; i++) { /* the pauses grow */
        assert_int_not_equal(world_finish(world, &gid, true)->class, PG_OK);
        (void)nanosleep(&pause, NULL); /* the core paces itself, too */
    }
    assert_success(pgcluster_start(world->cluster, &error), &error);
    enum pg_class class = PG_RETRY;
    bool is_up = false;
    while (!is_up && class != PG_OK) {             /* its try may come before the news */
        is_up = world->status.health == HEALTH_UP; /* known before this try, that is */
        class = world_finish(world, &gid, true)->class;
        (void)nanosleep(&pause, NULL);
    }
    assert_int_equal(class, PG_OK);
}

/* Stopping answers everything: what was queued is refused, what ran is ended, nothing stays unanswered. */
static void test_stop_answers_every_command(void **state)
{
    (void)state;
    restart(1, 100);
    uint64_t ids[6];
    for (uint64_t i = 0; i < 3; i++) {
        struct gid gid = world_gid(world, 50 + i);
        struct command command =
            world_execute_command(&gid, world_work("SELECT pg_sleep(60)", NULL));
        ids[i] = world_submit(world, &command);
    }
    struct gid gid = world_gid(world, 60);
    struct command command = {.kind = COMMAND_FINISH, .as.finish = {.gid = gid, .commit = true}};
    ids[3] = world_submit(world, &command);
    command = (struct command){.kind = COMMAND_SCAN};
    ids[4] = world_submit(world, &command);
    command = (struct command){.kind = COMMAND_ROTATE};
    ids[5] = world_submit(world, &command);
    world_stop(world);
    for (size_t i = 0; i < 6; i++) {
        assert_true(world_answered(world, ids[i]));
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_not_equal(world_await(world, ids[i])->class, PG_OK);
    }
    world_start(world, NULL);
    assert_int_equal(world_prepared_count(world), 0);
}

/* Many branches at once over few connections: each prepared and committed once, none lost. */
static void test_many_branches_at_once_each_commit_once(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    static struct gid gids[COUNT];
    static uint64_t ids[COUNT];
    size_t committed = 0;
    (void)world_sql(world, "CREATE TABLE done (n int); GRANT ALL ON done TO " WORLD_ROLE);
    for (uint64_t i = 0; i < COUNT; i++) {
        gids[i] = world_gid(world, 1000 + i);
        struct command command =
            world_execute_command(&gids[i], world_work("INSERT INTO done VALUES (1)", NULL));
        ids[i] = world_submit(world, &command);
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        struct command_result *voted = world_await(world, ids[i]);
        bool yes = voted->class == PG_OK;
        assert_true(yes || voted->failure.reason == REASON_CAPACITY); /* five slots only */
        struct command command = {.kind = COMMAND_FINISH,
                                  .as.finish = {.gid = gids[i], .commit = true}};
        ids[i] = world_submit(world, &command);
        committed += yes;
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        (void)world_await(world, ids[i]);
    }
    assert_true(committed >= 5);
    char expected[16];
    (void)snprintf(expected, sizeof expected, "%zu", committed);
    assert_string_equal(world_sql(world, "SELECT count(*) FROM done"), expected);
    assert_string_equal(
        world_sql(world, "SELECT count(*) FROM assent.outcome WHERE sequence >= 1000"), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_execute_slots_exhausted_says_capacity),
        cmocka_unit_test(test_execute_queue_full_says_capacity),
        cmocka_unit_test(test_finish_batch_answers_each_for_itself),
        cmocka_unit_test(test_finish_unclassified_error_spares_the_batch),
        cmocka_unit_test(test_finish_batch_has_time_for_each),
        cmocka_unit_test(test_finish_busy_branch_is_to_be_retried),
        cmocka_unit_test(test_finish_wait_for_standby_cancelled_is_to_be_retried),
        cmocka_unit_test(test_finish_standby_away_leaves_no_backends_behind),
        cmocka_unit_test(test_finish_other_owner_is_refused),
        cmocka_unit_test(test_finish_owner_changed_inside_prepare_is_done),
        cmocka_unit_test(test_finish_other_database_is_refused),
        cmocka_unit_test(test_finish_goes_on_while_every_worker_waits_for_its_rows),
        cmocka_unit_test(test_finish_does_not_wait_for_its_own_back_off),
        cmocka_unit_test(test_stop_answers_every_command),
        cmocka_unit_test(test_many_branches_at_once_each_commit_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
