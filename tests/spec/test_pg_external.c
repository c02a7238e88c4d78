/* External branches on a real server (P-3, P-20, docs/adr/0016): the application prepares in a role of its own, and an agent that is no
 * superuser verifies and finishes. */
#include "tests/spec/pg_world.h"

#include <libpq-fe.h>

#include "common/alloc.h"
#include "common/clock.h"

#define SHOP   "shop_app"
#define NOBODY "unknown_app"

static struct world *world;

static int set_up(void **state)
{
    (void)state;
    world = world_new(NULL);
    (void)world_sql(world, "CREATE ROLE " SHOP " LOGIN; CREATE ROLE " NOBODY " LOGIN;"
                           "CREATE ROLE \"Shop \"\"A\"\"\";"
                           "GRANT ALL ON item TO " SHOP ", " NOBODY ", \"Shop \"\"A\"\"\";"
                           "GRANT " SHOP ", \"Shop \"\"A\"\"\" TO " WORLD_ROLE);
    (void)world_sql(world, "CREATE DATABASE elsewhere");
    world_start(world, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(world);
    return 0;
}

/* ---- the application ---- */

static PGconn *application(const char *database, const char *role)
{
    char *conninfo = pgcluster_conninfo_for(world->cluster, database, role);
    PGconn *conn = PQconnectdb(conninfo);
    free(conninfo);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    return conn;
}

static void run(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQresultErrorMessage(result));
    }
    PQclear(result);
}

static void run_gid(PGconn *conn, const char *verb, const struct gid *gid)
{
    char sql[GID_TEXT_SIZE + 32];
    (void)snprintf(sql, sizeof sql, "%s '%s'", verb, world_gid_text(gid));
    run(conn, sql);
}

/* Takes 7 from item 1, prepares, and is gone. */
static void prepare_as(const char *role, const struct gid *gid)
{
    PGconn *conn = application(WORLD_DATABASE, role);
    run(conn, "BEGIN");
    run(conn, "UPDATE item SET amount = amount - 7 WHERE id = 1");
    run_gid(conn, "PREPARE TRANSACTION", gid);
    PQfinish(conn);
}

static long amount(void)
{
    return strtol(world_sql(world, "SELECT amount FROM item WHERE id = 1"), NULL, 10);
}

/* ---- the agent ---- */

static uint64_t verify_begin(const struct gid *gid, uint32_t for_ms)
{
    struct command command = {
        .kind = COMMAND_VERIFY,
        .as.verify = {.gid = *gid, .deadline_ms = clock_monotonic_ms() + for_ms}};
    return world_submit(world, &command);
}

static struct command_result *verify(const struct gid *gid)
{
    return world_await(world, verify_begin(gid, 10000));
}

static struct proof verify_ok(const struct gid *gid)
{
    struct command_result *result = verify(gid);
    assert_string_equal(result->detail, "");
    assert_int_equal(result->class, PG_OK);
    assert_int_equal(result->proof.kind, PROOF_EXTERNAL);
    return result->proof;
}

static struct command_result *finish(const struct gid *gid, bool commit, const struct proof *proof)
{
    struct command command = {.kind = COMMAND_FINISH,
                              .as.finish = {.gid = *gid, .commit = commit, .proof = *proof}};
    return world_await(world, world_submit(world, &command));
}

static const struct proof unseen = {.kind = PROOF_EXTERNAL};

static void assert_no(const struct command_result *result, enum reason reason, const char *words)
{
    struct pg_report report = {0};
    struct error error;
    assert_int_equal(result->class, PG_ROLLED_BACK);
    assert_int_equal(result->failure.reason, reason);
    assert_true(pg_report_decode(result->failure.report, &report, &error));
    if (strstr(report.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", report.message, words);
    }
    pg_report_done(&report);
}

static void assert_proved(const struct gid *gid, const struct proof *proof, bool expect_commit,
                          enum proof_result expected)
{
    struct command_result *result = world_prove(world, gid, proof, expect_commit, false);
    assert_string_equal(result->detail, "");
    assert_int_equal(result->class, PG_OK);
    assert_int_equal(result->proved, expected);
}

/* ---- the good way ---- */

/* A member of the application's role verifies and commits what the application has prepared, though it is no superuser and the
 * application is gone; the proof has the row's whole transaction id. */
static void test_external_branch_is_committed_by_a_member_of_its_role(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 1);
    char sqlstate[SQLSTATE_SIZE];
    char sql[GID_TEXT_SIZE + 64];
    long before = amount();
    prepare_as(SHOP, &gid);
    (void)snprintf(sql, sizeof sql, "SELECT transaction FROM pg_prepared_xacts WHERE gid = '%s'",
                   world_gid_text(&gid));
    uint64_t xid = strtoull(world_sql(world, sql), NULL, 10);
    (void)snprintf(sql, sizeof sql, "COMMIT PREPARED '%s'", world_gid_text(&gid));
    assert_false(world_sql_as_agent(world, sql, sqlstate)); /* the role has to be taken */
    assert_string_equal(sqlstate, "42501");
    struct command_result *voted = verify(&gid);
    assert_int_equal(voted->class, PG_OK);
    assert_string_equal(voted->owner, SHOP);
    assert_int_equal((uint32_t)voted->proof.xid8, xid);
    assert_int_not_equal(voted->proof.lsn, 0);
    struct proof proof = voted->proof;
    assert_int_equal(finish(&gid, true, &proof)->class, PG_OK);
    assert_int_equal(amount(), before - 7);
    assert_string_equal(
        world_sql(world, "SELECT rolsuper FROM pg_roles WHERE rolname = '" WORLD_ROLE "'"), "f");
    assert_int_equal(finish(&gid, true, &proof)->class, PG_NOT_FOUND);
    assert_proved(&gid, &proof, true, PROOF_SAYS_COMMITTED);
}

/* Names of roles are names, whatever is in them; and the role is given back: the next branch is another role's. */
static void test_external_owner_with_quotes_in_its_name(void **state)
{
    (void)state;
    struct gid first = world_gid(world, 2), second = world_gid(world, 3);
    PGconn *conn = application(WORLD_DATABASE, "postgres");
    run(conn, "SET ROLE \"Shop \"\"A\"\"\"");
    run(conn, "BEGIN");
    run(conn, "UPDATE item SET amount = amount WHERE id = 2");
    run_gid(conn, "PREPARE TRANSACTION", &first);
    PQfinish(conn);
    struct proof proof = verify_ok(&first);
    assert_int_equal(finish(&first, true, &proof)->class, PG_OK);
    prepare_as(SHOP, &second);
    proof = verify_ok(&second);
    assert_int_equal(finish(&second, false, &proof)->class, PG_OK);
    assert_int_equal(world_prepared_count(world), 0);
}

/* The sweep knows no proof: a row that another role owns is rolled back all the same. */
static void test_external_branch_is_rolled_back_without_a_vote(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 4);
    prepare_as(SHOP, &gid);
    assert_int_equal(world_finish(world, &gid, false)->class, PG_OK);
    prepare_as(SHOP, &gid);
    assert_int_equal(finish(&gid, false, &unseen)->class, PG_OK);
    assert_int_equal(finish(&gid, false, &unseen)->class, PG_NOT_FOUND);
    assert_proved(&gid, &unseen, false, PROOF_SAYS_ABSENT);
}

/* A crash of the server, and of the application with it, takes nothing that was prepared. */
static void test_external_branch_outlives_the_server(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 5);
    struct error error = {0};
    prepare_as(SHOP, &gid);
    struct proof proof = verify_ok(&gid);
    assert_true(pgcluster_restart(world->cluster, PGCLUSTER_IMMEDIATE, &error));
    world_await_health(world, HEALTH_UP);
    struct command_result *done = finish(&gid, true, &proof);
    for (int i = 0; i < 1000 && done->class == PG_RETRY;
         i++) { /* the connection is in its backoff */
        world_await_any(world);
        done = finish(&gid, true, &proof);
    }
    assert_int_equal(done->class, PG_OK);
}

/* ---- what is no branch ---- */

/* Nobody has prepared under this name, or under another one. */
static void test_external_never_prepared_is_a_no(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 10), other = world_gid(world, 10);
    assert_no(verify(&gid), REASON_NOT_PREPARABLE, "no prepared transaction");
    prepare_as(SHOP, &other);
    assert_no(verify(&gid), REASON_NOT_PREPARABLE, "no prepared transaction");
    assert_int_equal(finish(&other, false, &unseen)->class, PG_OK);
}

/* The no names the grant that is missing; until it is given nothing can be done, and then at once. */
static void test_external_without_the_grant_is_a_no_that_names_it(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 11);
    prepare_as(NOBODY, &gid);
    assert_no(verify(&gid), REASON_REJECTED_BY_POLICY, "GRANT " NOBODY " TO " WORLD_ROLE);
    struct command_result *refused = finish(&gid, false, &unseen);
    assert_int_equal(refused->class, PG_REFUSED);
    assert_non_null(strstr(refused->detail, "GRANT " NOBODY " TO " WORLD_ROLE));
    refused = world_finish(world, &gid, false); /* as the sweep asks for it */
    assert_int_equal(refused->class, PG_REFUSED);
    assert_non_null(strstr(refused->detail, "GRANT " NOBODY " TO " WORLD_ROLE));
    (void)world_sql(world, "GRANT " NOBODY " TO " WORLD_ROLE);
    assert_int_equal(finish(&gid, false, &unseen)->class, PG_OK);
    (void)world_sql(world, "REVOKE " NOBODY " FROM " WORLD_ROLE);
}

/* Nothing keeps a role from being dropped while something that it prepared is there: no grant helps then, and whoever is told has to
 * know that. Before the vote it is a no; after it neither word can be carried out, which is said and never passed over. */
static void test_external_of_a_dropped_role_is_told(void **state)
{
    (void)state;
    struct gid before = world_gid(world, 17), after = world_gid(world, 18);
    (void)world_sql(world, "CREATE ROLE leaver LOGIN; GRANT ALL ON item TO leaver;"
                           "GRANT leaver TO " WORLD_ROLE);
    PGconn *conn = application(WORLD_DATABASE, "leaver");
    run(conn, "BEGIN");
    run(conn, "SELECT pg_advisory_xact_lock(17)");
    run_gid(conn, "PREPARE TRANSACTION", &before);
    run(conn, "BEGIN");
    run(conn, "SELECT pg_advisory_xact_lock(18)");
    run_gid(conn, "PREPARE TRANSACTION", &after);
    PQfinish(conn);
    struct proof proof = verify_ok(&after);
    (void)world_sql(world, "DROP OWNED BY leaver; DROP ROLE leaver");
    assert_no(verify(&before), REASON_REJECTED_BY_POLICY, "role that was dropped");
    const struct {
        const struct gid *gid;
        bool commit;
        const struct proof *proof;
    } words[] = {{&before, false, &unseen}, {&after, true, &proof}, {&after, false, &proof}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct command_result *refused = finish(words[i].gid, words[i].commit, words[i].proof);
        assert_int_equal(refused->class, PG_REFUSED);
        assert_non_null(strstr(refused->detail, "role that was dropped"));
    }
    struct command_result *swept =
        world_finish(world, &before, false); /* as the sweep asks for it */
    assert_int_equal(swept->class, PG_REFUSED);
    assert_non_null(strstr(swept->detail, "role that was dropped"));
    conn = application(WORLD_DATABASE, "postgres"); /* as the message says: a superuser can */
    run_gid(conn, "ROLLBACK PREPARED", &before);
    run_gid(conn, "COMMIT PREPARED", &after);
    PQfinish(conn);
    assert_int_equal(finish(&after, true, &proof)->class, PG_NOT_FOUND);
    assert_proved(&after, &proof, true, PROOF_SAYS_COMMITTED);
    assert_int_equal(world_prepared_count(world), 0);
}

/* P-3, P-20: the grant is taken back after the vote. The decision waits for it, and says for what. */
static void test_external_grant_revoked_after_the_vote_waits_for_it(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 19);
    long before = amount();
    prepare_as(SHOP, &gid);
    struct proof proof = verify_ok(&gid);
    (void)world_sql(world, "REVOKE " SHOP " FROM " WORLD_ROLE);
    struct command_result *refused = finish(&gid, true, &proof);
    assert_int_equal(refused->class, PG_REFUSED);
    assert_non_null(strstr(refused->detail, "GRANT " SHOP " TO " WORLD_ROLE));
    (void)world_sql(world, "GRANT " SHOP " TO " WORLD_ROLE);
    assert_int_equal(finish(&gid, true, &proof)->class, PG_OK);
    assert_int_equal(amount(), before - 7);
}

/* P-6: in another database of the cluster it is the application's to remove. */
static void test_external_in_another_database_is_a_no_and_left_alone(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 12);
    PGconn *conn = application("elsewhere", SHOP);
    run(conn, "BEGIN");
    run(conn, "SELECT pg_advisory_xact_lock(1)");
    run_gid(conn, "PREPARE TRANSACTION", &gid);
    assert_no(verify(&gid), REASON_NOT_PREPARABLE, "in database elsewhere");
    assert_int_equal(finish(&gid, false, &unseen)->class, PG_NOT_FOUND);
    assert_proved(&gid, &unseen, false, PROOF_SAYS_ABSENT);
    assert_int_equal(world_prepared_count(world), 1);
    run_gid(conn, "ROLLBACK PREPARED", &gid);
    PQfinish(conn);
}

/* The agent's own role is nobody else's: a fence would end the application's sessions (P-11). */
static void test_external_in_the_agents_role_is_a_no(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 13);
    prepare_as(WORLD_ROLE, &gid);
    assert_no(verify(&gid), REASON_REJECTED_BY_POLICY, "own login role");
    assert_int_equal(finish(&gid, false, &unseen)->class, PG_OK);
}

/* P-20: under the name of the voted branch stands something else. It is rolled back with an alarm, and the proof says what became of the
 * voted one. */
static void test_external_prepared_again_is_not_the_voted_branch(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 14);
    long before = amount();
    prepare_as(SHOP, &gid);
    struct proof proof = verify_ok(&gid);
    PGconn *conn = application(WORLD_DATABASE, SHOP);
    run_gid(conn, "ROLLBACK PREPARED", &gid);
    PQfinish(conn);
    prepare_as(SHOP, &gid);
    struct command_result *result = finish(&gid, true, &proof);
    assert_int_equal(result->class, PG_NOT_FOUND);
    assert_true(result->was_another);
    world_await_warning(world, "prepared again");
    assert_int_equal(world_prepared_count(world), 0);
    assert_int_equal(amount(), before);
    assert_proved(&gid, &proof, true, PROOF_SAYS_ABSENT);
}

/* P-12: the voted branch was committed by hand, and something else is prepared under its name. Rolling that back says nothing about the
 * voted one. */
static void test_external_rollback_of_another_row_is_no_rollback_of_the_voted_one(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 21);
    long before = amount();
    prepare_as(SHOP, &gid);
    struct proof proof = verify_ok(&gid);
    PGconn *conn = application(WORLD_DATABASE, SHOP);
    run_gid(conn, "COMMIT PREPARED", &gid);
    PQfinish(conn);
    prepare_as(SHOP, &gid);
    struct command_result *result = finish(&gid, false, &proof);
    assert_int_equal(result->class, PG_NOT_FOUND);
    assert_true(result->was_another);
    assert_int_equal(world_prepared_count(world), 0);
    assert_int_equal(amount(), before - 7);
    assert_proved(&gid, &proof, false, PROOF_SAYS_COMMITTED);
}

/* P-12: a transaction id is believed in the history that gave it out, and in no other. */
static void test_external_proof_of_another_history_cannot_tell(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 15);
    prepare_as(SHOP, &gid);
    struct proof proof = verify_ok(&gid);
    assert_int_equal(finish(&gid, true, &proof)->class, PG_OK);
    struct proof other = proof;
    other.timeline++;
    assert_proved(&gid, &other, true, PROOF_CANNOT_TELL);
    other = proof;
    other.system_id++;
    assert_proved(&gid, &other, true, PROOF_CANNOT_TELL);
    assert_proved(&gid, &proof, true, PROOF_SAYS_COMMITTED);
}

/* P-3: the row is there while its PREPARE waits for the standby. The agent's own commit waits with it, so there is no yes before the row
 * is known there. */
static void test_external_that_waits_for_the_standby_is_no_yes(void **state)
{
    (void)state;
    struct gid gid = world_gid(world, 16);
    char sql[GID_TEXT_SIZE + 32];
    PGconn *conn = application(WORLD_DATABASE, SHOP);
    world_lose_standby(world);
    run(conn, "BEGIN");
    run(conn, "UPDATE item SET amount = amount - 7 WHERE id = 1");
    (void)snprintf(sql, sizeof sql, "PREPARE TRANSACTION '%s'", world_gid_text(&gid));
    assert_int_equal(PQsendQuery(conn, sql), 1);
    (void)PQflush(conn);
    world_await_sql(world, "SELECT count(*) FROM pg_prepared_xacts", "1");
    struct command_result *doubt = world_await(world, verify_begin(&gid, 1500));
    assert_int_equal(doubt->class, PG_UNKNOWN);
    assert_int_equal(doubt->failure.reason, REASON_TIMEOUT);
    world_return_standby(world);
    PGresult *prepared = PQgetResult(conn);
    assert_string_equal(PQcmdStatus(prepared), "PREPARE TRANSACTION");
    PQclear(prepared);
    PQfinish(conn);
    struct proof proof = verify_ok(&gid);
    assert_int_equal(finish(&gid, false, &proof)->class, PG_OK);
}

/* P-15: what has waited in the queue beyond its deadline (behind others that wait for the standby, say, or in a process that was stopped)
 * is not looked at, and costs no connection, which COMMITs are waiting for. */
static void test_external_beyond_the_deadline_is_not_looked_at(void **state)
{
    (void)state;
    static const char pids_sql[] =
        "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity"
        " WHERE application_name LIKE '%external'";
    struct gid gid = world_gid(world, 20);
    prepare_as(SHOP, &gid);
    struct proof proof = verify_ok(&gid);
    char *before = alloc_string(world_sql(world, pids_sql));
    for (int i = 0; i < 4; i++) {
        struct command_result *late = world_await(world, verify_begin(&gid, 0));
        assert_int_equal(late->class, PG_UNKNOWN);
        assert_int_equal(late->failure.reason, REASON_TIMEOUT);
    }
    assert_int_equal(finish(&gid, false, &proof)->class, PG_OK);
    assert_string_equal(world_sql(world, pids_sql), before);
    free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_external_branch_is_committed_by_a_member_of_its_role),
        cmocka_unit_test(test_external_owner_with_quotes_in_its_name),
        cmocka_unit_test(test_external_branch_is_rolled_back_without_a_vote),
        cmocka_unit_test(test_external_branch_outlives_the_server),
        cmocka_unit_test(test_external_never_prepared_is_a_no),
        cmocka_unit_test(test_external_without_the_grant_is_a_no_that_names_it),
        cmocka_unit_test(test_external_of_a_dropped_role_is_told),
        cmocka_unit_test(test_external_grant_revoked_after_the_vote_waits_for_it),
        cmocka_unit_test(test_external_in_another_database_is_a_no_and_left_alone),
        cmocka_unit_test(test_external_in_the_agents_role_is_a_no),
        cmocka_unit_test(test_external_prepared_again_is_not_the_voted_branch),
        cmocka_unit_test(test_external_rollback_of_another_row_is_no_rollback_of_the_voted_one),
        cmocka_unit_test(test_external_proof_of_another_history_cannot_tell),
        cmocka_unit_test(test_external_beyond_the_deadline_is_not_looked_at),
        cmocka_unit_test(test_external_that_waits_for_the_standby_is_no_yes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
