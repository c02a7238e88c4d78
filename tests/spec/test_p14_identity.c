/* P-14 on a real server: which servers are taken for the participant's, and which histories for the same. */
#include "tests/spec/pg_world.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "tests/lib/process.h"

static struct world *world;

static int set_up(void **state)
{
    (void)state;
    world = world_new(NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(world);
    return 0;
}

/* Starts the edge, expects to be refused with this text, and stops it again. */
static void assert_health(const struct pg_options *options, enum health health, const char *text)
{
    world_start_unready(world, options);
    world_await_health(world, health);
    if (strstr(world->status.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", world->status.text, text);
    }
    /* Refused means refused: no branch runs there. */
    struct gid gid = world_gid(world, 1);
    struct command_result *voted = world_execute(world, &gid, world_work("SELECT 1", NULL));
    assert_int_equal(voted->class, PG_ROLLED_BACK);
    assert_int_equal(voted->failure.reason, REASON_PARTICIPANT_UNAVAILABLE);
    world_stop(world);
}

/* The database of another participant is refused. */
static void test_identity_other_participant_is_refused(void **state)
{
    (void)state;
    struct pg_options options = world_options(world);
    options.participant = "payment";
    assert_health(&options, HEALTH_REFUSED, "participant order");
}

/* A database that was never set up is refused, with the remedy. */
static void test_identity_not_set_up_is_refused(void **state)
{
    (void)state;
    struct pg_options options = world_options(world);
    char *conninfo = pgcluster_conninfo_for(world->cluster, "postgres", WORLD_ROLE);
    options.conninfo = conninfo;
    assert_health(&options, HEALTH_REFUSED, "assent-agent setup");
    free(conninfo);
}

/* A copy of the database under another system identifier is refused until it is adopted. */
static void test_identity_restored_clone_is_refused_until_adopted(void **state)
{
    (void)state;
    (void)world_sql(world, "UPDATE assent.identity SET system_identifier = system_identifier + 1");
    assert_health(NULL, HEALTH_REFUSED, "copy");

    char *admin = pgcluster_conninfo_for(world->cluster, WORLD_DATABASE, "postgres");
    struct pg_setup_options setup = {
        .participant = WORLD_PARTICIPANT, .database = WORLD_DATABASE, .login_role = WORLD_ROLE};
    struct error error = {0};
    pg_token_hash(world->token, setup.token_hash);
    assert_false(pg_setup_apply(admin, &setup, 10000, &error));
    assert_non_null(strstr(error.hint, "--adopt"));
    setup.adopt = true;
    assert_true(pg_setup_apply(admin, &setup, 10000, &error));
    free(admin);
    world_start(world, NULL);
    world_stop(world);
}

/* A token that does not fit the set-up is refused before any branch fails on it. */
static void test_identity_wrong_token_is_refused(void **state)
{
    (void)state;
    char path[sizeof world->token_path + 8];
    uint8_t token[PG_TOKEN_BYTES];
    struct error error = {0};
    struct pg_options options = world_options(world);
    (void)snprintf(path, sizeof path, "%s.other", world->token_path);
    assert_true(pg_token_make(path, token, &error));
    options.token_file = path;
    assert_health(&options, HEALTH_REFUSED, "token");
}

/* A token file that others can read is refused at start. */
static void test_identity_token_file_readable_by_others_is_refused(void **state)
{
    (void)state;
    struct pg *pg = NULL;
    struct error error = {0};
    struct pg_options options = world_options(world);
    assert_int_equal(chmod(world->token_path, 0644), 0);
    assert_false(pg_start(&options, &pg, &error));
    assert_int_equal(error.kind, ERROR_DENIED);
    assert_int_equal(chmod(world->token_path, 0600), 0);
}

/* Client SQL would run as superuser: refused. */
static void test_identity_superuser_is_refused(void **state)
{
    (void)state;
    struct pg_options options = world_options(world);
    char *conninfo = pgcluster_conninfo_for(world->cluster, WORLD_DATABASE, "postgres");
    options.conninfo = conninfo;
    assert_health(&options, HEALTH_REFUSED, "superuser");
    free(conninfo);
}

/* A login role that may become the tables' owner could forge outcomes: refused. */
static void test_identity_member_of_owner_is_refused(void **state)
{
    (void)state;
    (void)world_sql(world, "GRANT assent_owner TO " WORLD_ROLE);
    assert_health(NULL, HEALTH_REFUSED, "assent_owner");
    (void)world_sql(world, "REVOKE assent_owner FROM " WORLD_ROLE);
}

/* default_transaction_read_only says that nothing may be written here. */
static void test_identity_read_only_server_is_read_only(void **state)
{
    (void)state;
    (void)world_sql(world,
                    "ALTER DATABASE " WORLD_DATABASE " SET default_transaction_read_only = on");
    assert_health(NULL, HEALTH_READ_ONLY, "default_transaction_read_only");
    struct error error = {0};
    assert_true(pgcluster_sql(
        world->cluster, "postgres",
        "ALTER DATABASE " WORLD_DATABASE " RESET default_transaction_read_only", NULL, &error));
}

/* A role may set its own defaults, so client SQL can: that neither switches the participant off nor keeps a branch
 * prepared before from being finished. */
static void test_identity_role_made_read_only_by_client_stays_up(void **state)
{
    (void)state;
    world_start(world, NULL);
    struct gid gid = world_gid(world, 40);
    assert_int_equal(
        world_execute(world, &gid, world_work("UPDATE item SET amount = 1 WHERE id = 9", NULL))
            ->class,
        PG_OK);
    struct gid culprit = world_gid(world, 41);
    assert_int_equal(world_execute(world, &culprit,
                                   world_work("DO $$ BEGIN EXECUTE 'ALTER ROLE CURRENT_USER SET"
                                              " default_transaction_read_only = on'; END $$",
                                              NULL))
                         ->class,
                     PG_OK);
    assert_int_equal(world_finish(world, &culprit, true)->class, PG_OK);
    world_stop(world);
    world_start(world, NULL);
    struct command_result *finished = world_finish_when_ready(world, &gid, true);
    struct gid next = world_gid(world, 42);
    struct command_result *voted = world_execute_when_ready(world, &next, "SELECT 1");
    (void)world_finish(world, &next, false);
    world_stop(world);
    (void)world_sql(world, "ALTER ROLE " WORLD_ROLE " RESET default_transaction_read_only");
    assert_int_equal(finished->class, PG_OK);
    assert_int_equal(voted->class, PG_OK);
}

/* max_prepared_transactions = 0 is named with its remedy, and seen again when it is put right. */
static void test_identity_no_prepared_transactions_is_refused_with_the_setting(void **state)
{
    (void)state;
    struct error error = {0};
    assert_true(pgcluster_configure(world->cluster, "max_prepared_transactions = 0", &error));
    assert_true(pgcluster_restart(world->cluster, PGCLUSTER_FAST, &error));
    assert_health(NULL, HEALTH_REFUSED, "max_prepared_transactions");
    world_start_unready(world, NULL);
    world_await_health(world, HEALTH_REFUSED);
    assert_true(pgcluster_configure(world->cluster, "max_prepared_transactions = 64", &error));
    assert_true(pgcluster_restart(world->cluster, PGCLUSTER_FAST, &error));
    world_await_health(world, HEALTH_UP);
    world_stop(world);
}

/* Settings that lose committed work at a crash are told to the operator. */
static void test_identity_fsync_off_is_warned_about(void **state)
{
    (void)state;
    (void)world_sql(world, "ALTER SYSTEM SET fsync = off");
    (void)world_sql(world, "SELECT pg_reload_conf()");
    world_await_sql(world, "SHOW fsync", "off");
    world_start(world, NULL);
    world_await_warning(world, "fsync is off");
    (void)world_sql(world, "ALTER SYSTEM RESET fsync");
    (void)world_sql(world, "SELECT pg_reload_conf()");
    world_stop(world);
}

/* A restart, also after a crash, is the same history: what was prepared is there and votes stay good. */
static void test_history_crash_and_restart_is_the_same(void **state)
{
    (void)state;
    struct error error = {0};
    world_start(world, NULL);
    struct gid gid = world_gid(world, 2);
    assert_int_equal(
        world_execute(world, &gid, world_work("UPDATE item SET amount = 7 WHERE id = 7", NULL))
            ->class,
        PG_OK);
    assert_true(pgcluster_kill(world->cluster, &error));
    world_await_health(world, HEALTH_DOWN);
    assert_true(pgcluster_start(world->cluster, &error));
    world_await_health(world, HEALTH_UP);
    assert_int_equal(world->history_changes, 0);
    struct command_result *finished = world_finish_when_ready(world, &gid, true);
    assert_int_equal(finished->class, PG_OK);
    assert_string_equal(world_sql(world, "SELECT amount FROM item WHERE id = 7"), "7");
    world_stop(world);
}

static void copy_data(const char *from, const char *to)
{
    struct error error = {0};
    int code = -1;
    const char *const argv[] = {"cp", "-a", from, to, NULL};
    const struct process_options options = {.argv = argv};
    if (access(to, F_OK) == 0) {
        assert_true(process_remove_folder(to, &error));
    }
    assert_true(process_run(&options, clock_monotonic_ms() + 60000, &code, &error));
    assert_int_equal(code, 0);
}

/* A data folder put back from a copy has the same identifier and timeline, but its WAL ends before what was seen: the
 * history has changed, once, and xids given since the copy prove nothing. */
static void test_history_restored_copy_has_changed(void **state)
{
    (void)state;
    struct error error = {0};
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%s.copy", pgcluster_data_folder(world->cluster));
    assert_true(pgcluster_stop(world->cluster, PGCLUSTER_FAST, &error));
    copy_data(pgcluster_data_folder(world->cluster), copy);
    assert_true(pgcluster_start(world->cluster, &error));

    struct pg_options options = world_options(world);
    options.proof = PROOF_XID;
    world_start(world, &options);
    struct gid gid = world_gid(world, 3);
    (void)world_sql(world,
                    "SELECT pg_switch_wal()"); /* else the restart alone could write as much */
    struct command_result *voted =
        world_execute(world, &gid, world_work("UPDATE item SET amount = 3 WHERE id = 3", NULL));
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(world_finish(world, &gid, true)->class, PG_OK);
    struct proof proof = voted->proof;
    assert_int_equal(world_prove(world, &gid, &proof, true, false)->proved, PROOF_SAYS_COMMITTED);

    assert_true(pgcluster_stop(world->cluster, PGCLUSTER_FAST, &error));
    world_await_health(world, HEALTH_DOWN);
    copy_data(copy, pgcluster_data_folder(world->cluster));
    assert_true(pgcluster_start(world->cluster, &error));
    world_await_health(world, HEALTH_UP);
    assert_int_equal(world->history_changes, 1);
    world_await_warning(world, "history changed");

    /* The same xid is now somebody else's, and committed. */
    (void)world_sql(world, "DO 'BEGIN FOR i IN 1..50 LOOP UPDATE item SET amount = i WHERE id = 4; "
                           "COMMIT; END LOOP; END'");
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT pg_xact_status('%llu'::xid8)",
                   (unsigned long long)proof.xid8);
    assert_string_equal(world_sql(world, sql), "committed");
    assert_string_equal(world_sql(world, "SELECT amount FROM item WHERE id = 3"), "100");
    assert_int_equal(world_prove(world, &gid, &proof, true, false)->proved, PROOF_CANNOT_TELL);
    world_stop(world);
}

/* A promoted server is on another timeline: the history has changed, and new branches work there. */
static void test_history_new_timeline_has_changed(void **state)
{
    (void)state;
    struct error error = {0};
    char path[256];
    world_start(world, NULL);
    struct gid gid = world_gid(world, 4);
    struct command_result *voted = world_execute(world, &gid, world_work("SELECT 1", NULL));
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(voted->proof.timeline, 1);
    assert_true(pgcluster_stop(world->cluster, PGCLUSTER_FAST, &error));
    assert_true(pgcluster_configure(world->cluster, "restore_command = 'false'", &error));
    (void)snprintf(path, sizeof path, "%s/recovery.signal", pgcluster_data_folder(world->cluster));
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    (void)fchmod(fd, 0666);
    (void)close(fd);
    struct stat status;
    assert_int_equal(stat(pgcluster_data_folder(world->cluster), &status), 0);
    assert_int_equal(chown(path, status.st_uid, status.st_gid), 0);
    assert_true(pgcluster_start(world->cluster, &error));
    world_await_health(world, HEALTH_UP);
    assert_int_equal(world->history_changes, 1);
    assert_int_equal(world->status.identity.timeline, 2);
    struct gid next = world_gid(world, 5);
    voted = world_execute_when_ready(world, &next, "SELECT 1");
    assert_int_equal(voted->class, PG_OK);
    assert_int_equal(voted->proof.timeline, 2);
    (void)world_finish(world, &next, false);
    (void)world_finish(world, &gid, false);
    world_stop(world);
}

static struct command_result *audit(const struct gid *gids, const struct proof *proofs,
                                    size_t count)
{
    struct command command = {.kind = COMMAND_AUDIT, .as.audit.count = count};
    command.as.audit.items = alloc_array(count, sizeof command.as.audit.items[0]);
    for (size_t i = 0; i < count; i++) {
        command.as.audit.items[i] = (struct audit_item){gids[i], proofs[i]};
    }
    return world_await(world, world_submit(world, &command));
}

/* What a database says about branches that had committed: there, prepared again, lost, or nothing where the outcome rows of that
 * time are gone or there never were any. */
static void test_audit_tells_what_is_there(void **state)
{
    (void)state;
    world_start(world, NULL);
    struct gid gids[5];
    struct proof proofs[5] = {0};
    for (size_t i = 0; i < 5; i++) {
        gids[i] = world_gid(world, 60 + i);
        proofs[i].kind = PROOF_ROW;
    }
    for (size_t i = 0; i < 2; i++) {
        struct command_result *voted =
            world_execute_when_ready(world, &gids[i], "UPDATE item SET amount = 99 WHERE id = 9");
        assert_int_equal(voted->class, PG_OK);
        proofs[i] = voted->proof;
        if (i == 0) {
            assert_int_equal(world_finish_when_ready(world, &gids[i], true)->class, PG_OK);
        }
    }
    proofs[3].kind = PROOF_XID; /* of a history that nobody knows */
    proofs[3].xid8 = 3;
    struct command_result *result = audit(gids, proofs, 4);
    assert_int_equal(result->class, PG_OK);
    assert_int_equal(result->results->size_bytes, 4);
    assert_int_equal(result->results->bytes[0], AUDIT_COMMITTED);
    assert_int_equal(result->results->bytes[1], AUDIT_PREPARED);
    assert_int_equal(result->results->bytes[2], AUDIT_LOST);
    assert_int_equal(result->results->bytes[3], AUDIT_CANNOT_TELL);
    /* The floor passes what has no row: now it may have been emptied. */
    struct command store = {.kind = COMMAND_STORE_WITNESS};
    store.as.store = (struct witness){.journal = gids[4].gtrid.journal,
                                      .epoch = gids[4].gtrid.epoch,
                                      .epoch_nonce = gids[4].gtrid.epoch_nonce,
                                      .floor = {.epoch = gids[4].gtrid.epoch, .sequence = 64}};
    struct command_result *stored = world_await(world, world_submit(world, &store));
    assert_int_equal(stored->class, PG_OK);
    assert_true(stored->proof.lsn > proofs[1].lsn); /* beyond every vote that was given */
    result = audit(gids, proofs, 5);
    assert_int_equal(result->class, PG_OK);
    assert_int_equal(result->results->bytes[0], AUDIT_COMMITTED);
    assert_int_equal(result->results->bytes[4], AUDIT_CANNOT_TELL);
    assert_int_equal(world_finish_when_ready(world, &gids[1], false)->class, PG_OK);
    world_stop(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity_other_participant_is_refused),
        cmocka_unit_test(test_identity_not_set_up_is_refused),
        cmocka_unit_test(test_identity_restored_clone_is_refused_until_adopted),
        cmocka_unit_test(test_identity_wrong_token_is_refused),
        cmocka_unit_test(test_identity_token_file_readable_by_others_is_refused),
        cmocka_unit_test(test_identity_superuser_is_refused),
        cmocka_unit_test(test_identity_member_of_owner_is_refused),
        cmocka_unit_test(test_identity_read_only_server_is_read_only),
        cmocka_unit_test(test_identity_role_made_read_only_by_client_stays_up),
        cmocka_unit_test(test_identity_no_prepared_transactions_is_refused_with_the_setting),
        cmocka_unit_test(test_identity_fsync_off_is_warned_about),
        cmocka_unit_test(test_history_crash_and_restart_is_the_same),
        cmocka_unit_test(test_history_restored_copy_has_changed),
        cmocka_unit_test(test_history_new_timeline_has_changed),
        cmocka_unit_test(test_audit_tells_what_is_there),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
