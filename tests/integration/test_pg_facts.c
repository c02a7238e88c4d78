/*
 * What PostgreSQL does where its documentation is silent, and what the agent is built on. Each of these was met in
 * practice; if a new major version changes one, the rule named in the comment needs another look.
 */
#include <libpq-fe.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/lib/test.h"

#include "common/clock.h"
#include "tests/lib/pg_standby.h"
#include "tests/lib/pgcluster.h"

#define WAIT_MS 20000

static struct pgcluster *cluster;
static char notices[1024];

static void take_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)snprintf(notices, sizeof notices, "%s %s",
                   PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED),
                   PQresultErrorField(result, PG_DIAG_SQLSTATE));
}

static PGconn *connect_user(const char *user)
{
    char *conninfo = pgcluster_conninfo_for(cluster, "postgres", user);
    PGconn *conn = PQconnectdb(conninfo);
    free(conninfo);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    (void)PQsetNoticeReceiver(conn, take_notice, NULL);
    notices[0] = '\0';
    return conn;
}

/* The command tag, or the SQLSTATE of the error; lent until the next call. */
static const char *run(PGconn *conn, const char *sql)
{
    static char answer[128];
    PGresult *result = PQexec(conn, sql);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    (void)snprintf(answer, sizeof answer, "%s", sqlstate != NULL ? sqlstate : PQcmdStatus(result));
    PQclear(result);
    return answer;
}

/* The first value; "NULL" for SQL NULL, the SQLSTATE for an error. */
static const char *value(PGconn *conn, const char *sql)
{
    static char texts[4][256];
    static size_t next;
    char *text = texts[next++ % 4];
    PGresult *result = PQexec(conn, sql);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    (void)snprintf(text, sizeof texts[0], "%s",
                   sqlstate != NULL            ? sqlstate
                   : PQntuples(result) == 0    ? "none"
                   : PQgetisnull(result, 0, 0) ? "NULL"
                                               : PQgetvalue(result, 0, 0));
    PQclear(result);
    return text;
}

static void await(PGconn *conn, const char *sql, const char *expected)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    while (strcmp(value(conn, sql), expected) != 0) {
        if (clock_monotonic_ms() > deadline_ms) {
            fail_msg("%s never gives %s", sql, expected);
        }
        (void)nanosleep(&pause, NULL); /* between polls of another process's state */
    }
}

static void lose_standby(void)
{
    struct error error = {0};
    assert_success(pg_standby_lose(cluster, clock_monotonic_ms() + WAIT_MS, &error), &error);
}

static void return_standby(void)
{
    struct error error = {0};
    assert_success(pg_standby_return(cluster, clock_monotonic_ms() + WAIT_MS, &error), &error);
}

static int set_up(void **state)
{
    (void)state;
    struct error error = {0};
    assert_true(pgcluster_new(&(struct pgcluster_options){.max_prepared_transactions = 4}, &cluster,
                              &error));
    PGconn *conn = connect_user("postgres");
    assert_string_equal(run(conn, "CREATE TABLE t (a int PRIMARY KEY, b int)"), "CREATE TABLE");
    (void)run(conn, "INSERT INTO t SELECT i, 0 FROM generate_series(1, 9) i");
    (void)run(conn, "CREATE ROLE owner LOGIN");
    (void)run(conn, "CREATE ROLE member LOGIN IN ROLE owner");
    (void)run(conn, "GRANT ALL ON t TO owner, member");
    PQfinish(conn);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pgcluster_free(cluster);
    return 0;
}

/* P-3: PREPARE in a failed block answers ROLLBACK without an error; outside a block the same, with a WARNING. */
static void test_fact_prepare_in_failed_block_answers_rollback(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    (void)run(conn, "BEGIN");
    assert_string_equal(run(conn, "SELECT 1/0"), "22012");
    assert_string_equal(run(conn, "PREPARE TRANSACTION 'x'"), "ROLLBACK");
    assert_string_equal(notices, "");
    assert_string_equal(run(conn, "PREPARE TRANSACTION 'x'"), "ROLLBACK");
    assert_string_equal(notices, "WARNING 25P01");
    PQfinish(conn);
}

/* A transaction-level advisory lock outlives PREPARE; its pid is NULL and its virtual transaction the old one. */
static void test_fact_advisory_lock_survives_prepare(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    PGconn *other = connect_user("postgres");
    (void)run(conn, "BEGIN");
    (void)run(conn, "SELECT pg_advisory_xact_lock(5)");
    char before[64];
    (void)snprintf(
        before, sizeof before, "%s",
        value(conn, "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'advisory'"));
    assert_string_equal(run(conn, "PREPARE TRANSACTION 'lock'"), "PREPARE TRANSACTION");
    assert_string_equal(value(other, "SELECT pg_try_advisory_lock(5)"), "f");
    assert_string_equal(value(other, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"),
                        "NULL");
    assert_string_equal(
        value(other, "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'advisory'"),
        before);
    assert_string_equal(run(other, "ROLLBACK PREPARED 'lock'"), "ROLLBACK PREPARED");
    assert_string_equal(value(other, "SELECT pg_try_advisory_lock(5)"), "t");
    PQfinish(conn);
    PQfinish(other);
}

/* P-12: pg_xact_status of a prepared transaction is "in progress", after ROLLBACK PREPARED "aborted". */
static void test_fact_xact_status_of_prepared_is_in_progress(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    char sql[128];
    (void)run(conn, "BEGIN");
    (void)snprintf(sql, sizeof sql, "SELECT pg_xact_status('%s'::xid8)",
                   value(conn, "SELECT pg_current_xact_id()"));
    (void)run(conn, "PREPARE TRANSACTION 'status'");
    assert_string_equal(value(conn, sql), "in progress");
    (void)run(conn, "ROLLBACK PREPARED 'status'");
    assert_string_equal(value(conn, sql), "aborted");
    PQfinish(conn);
}

/* A member of the owner's role may finish after SET ROLE, and gets 42501 without it. */
static void test_fact_member_finishes_after_set_role(void **state)
{
    (void)state;
    PGconn *owner = connect_user("owner");
    PGconn *member = connect_user("member");
    (void)run(owner, "BEGIN");
    (void)run(owner, "UPDATE t SET b = 0 WHERE a = 1");
    (void)run(owner, "PREPARE TRANSACTION 'owned'");
    assert_string_equal(run(member, "COMMIT PREPARED 'owned'"), "42501");
    (void)run(member, "SET ROLE owner");
    assert_string_equal(run(member, "COMMIT PREPARED 'owned'"), "COMMIT PREPARED");
    PQfinish(owner);
    PQfinish(member);
}

/* P-19: reading assigns no xid, locking rows does; locks on objects, LOCK TABLE and NOTIFY do not. */
static void test_fact_no_xid_does_not_mean_read_only(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    const char *const without[] = {"SELECT * FROM t", "SELECT pg_advisory_xact_lock(1)",
                                   "LOCK TABLE t IN EXCLUSIVE MODE", "NOTIFY x"};
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        (void)run(conn, "BEGIN");
        (void)run(conn, without[i]);
        assert_string_equal(value(conn, "SELECT pg_current_xact_id_if_assigned()"), "NULL");
        (void)run(conn, "ROLLBACK");
    }
    (void)run(conn, "BEGIN");
    (void)run(conn, "SELECT * FROM t FOR UPDATE");
    assert_string_not_equal(value(conn, "SELECT pg_current_xact_id_if_assigned()"), "NULL");
    (void)run(conn, "ROLLBACK");
    PQfinish(conn);
}

/* The SQLSTATEs of a full house, an unknown gid and one in use. */
static void test_fact_sqlstates_of_two_phase_commands(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    char sql[64];
    for (int i = 0; i < 4; i++) {
        (void)run(conn, "BEGIN");
        (void)snprintf(sql, sizeof sql, "PREPARE TRANSACTION 'slot%d'", i);
        assert_string_equal(run(conn, sql), "PREPARE TRANSACTION");
    }
    (void)run(conn, "BEGIN");
    PGresult *result = PQexec(conn, "PREPARE TRANSACTION 'one more'");
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "53200");
    assert_non_null(
        strstr(PQresultErrorField(result, PG_DIAG_MESSAGE_HINT), "max_prepared_transactions"));
    PQclear(result);
    (void)run(conn, "BEGIN");
    assert_string_equal(run(conn, "PREPARE TRANSACTION 'slot0'"), "42710");
    assert_string_equal(run(conn, "COMMIT PREPARED 'nobody'"), "42704");
    for (int i = 0; i < 4; i++) {
        (void)snprintf(sql, sizeof sql, "ROLLBACK PREPARED 'slot%d'", i);
        assert_string_equal(run(conn, sql), "ROLLBACK PREPARED");
    }
    PQfinish(conn);
}

/* P-21: a pipeline's PREPARE has the right tag although COMMIT AND CHAIN has let rows escape before it. */
static void test_fact_commit_and_chain_escapes_the_pipeline(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    const char *const words[] = {"BEGIN", "INSERT INTO t VALUES (100, 0)",
                                 ";/* x */ commit and chain", "PREPARE TRANSACTION 'chained'"};
    char tag[64] = "";
    assert_int_equal(PQenterPipelineMode(conn), 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(PQsendQueryParams(conn, words[i], 0, NULL, NULL, NULL, NULL, 0), 1);
    }
    assert_int_equal(PQpipelineSync(conn), 1);
    for (int nulls = 0; nulls < 4;) {
        PGresult *result = PQgetResult(conn);
        if (result == NULL) {
            nulls++;
        } else {
            (void)snprintf(tag, sizeof tag, "%s", PQcmdStatus(result));
            PQclear(result);
        }
    }
    PQclear(PQgetResult(conn));
    assert_int_equal(PQexitPipelineMode(conn), 1);
    assert_string_equal(tag, "PREPARE TRANSACTION");
    assert_string_equal(run(conn, "ROLLBACK PREPARED 'chained'"), "ROLLBACK PREPARED");
    assert_string_equal(value(conn, "SELECT count(*) FROM t WHERE a = 100"), "1");
    (void)run(conn, "DELETE FROM t WHERE a = 100");
    PQfinish(conn);
}

/* P-3: what is prepared under another role belongs to that role. */
static void test_fact_set_role_before_prepare_changes_the_owner(void **state)
{
    (void)state;
    PGconn *conn = connect_user("member");
    (void)run(conn, "BEGIN");
    (void)run(conn, "SET ROLE owner");
    assert_string_equal(run(conn, "PREPARE TRANSACTION 'role'"), "PREPARE TRANSACTION");
    (void)run(conn, "RESET ROLE");
    assert_string_equal(run(conn, "COMMIT PREPARED 'role'"), "42501");
    (void)run(conn, "SET ROLE owner");
    assert_string_equal(run(conn, "COMMIT PREPARED 'role'"), "COMMIT PREPARED");
    PQfinish(conn);
}

/* P-3: while PREPARE waits for the standby its row is visible, and busy. statement_timeout ends the wait with a
 * WARNING at most, never with an error. */
static void test_fact_prepare_that_waits_is_visible_and_busy(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    PGconn *other = connect_user("postgres");
    lose_standby();
    (void)run(conn, "BEGIN");
    (void)run(conn, "UPDATE t SET b = 1 WHERE a = 2");
    assert_int_equal(PQsendQuery(conn, "PREPARE TRANSACTION 'waits'"), 1);
    await(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1");
    assert_string_equal(value(other, "SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'waits'"),
                        "1");
    assert_string_equal(run(other, "COMMIT PREPARED 'waits'"), "55000");
    (void)run(other,
              "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    PGresult *result = PQgetResult(conn);
    assert_string_equal(PQcmdStatus(result), "PREPARE TRANSACTION");
    PQclear(result);
    PQclear(PQgetResult(conn));
    assert_non_null(strstr(notices, "WARNING"));

    /* COMMIT PREPARED under statement_timeout warns and succeeds. */
    (void)run(conn, "SET statement_timeout = 300");
    notices[0] = '\0';
    assert_string_equal(run(conn, "COMMIT PREPARED 'waits'"), "COMMIT PREPARED");
    assert_non_null(strstr(notices, "WARNING"));
    return_standby();
    PQfinish(conn);
    PQfinish(other);
}

/* P-3: two settings of the session make a PREPARE that is not replicated look like any other. */
static void test_fact_settings_hide_the_wait_for_the_standby(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    PGconn *other = connect_user("postgres");
    lose_standby();
    (void)run(conn, "BEGIN");
    (void)run(conn, "SET LOCAL synchronous_commit = local");
    (void)run(conn, "UPDATE t SET b = 1 WHERE a = 3");
    assert_string_equal(run(conn, "PREPARE TRANSACTION 'silent'"), "PREPARE TRANSACTION");
    assert_string_equal(notices, "");
    (void)run(conn, "SET synchronous_commit = local");
    (void)run(conn, "ROLLBACK PREPARED 'silent'");
    (void)run(conn, "RESET synchronous_commit");

    (void)run(conn, "BEGIN");
    (void)run(conn, "SET LOCAL client_min_messages = error");
    (void)run(conn, "UPDATE t SET b = 1 WHERE a = 3");
    assert_int_equal(PQsendQuery(conn, "PREPARE TRANSACTION 'hidden'"), 1);
    await(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1");
    (void)run(other,
              "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    PGresult *result = PQgetResult(conn);
    assert_string_equal(PQcmdStatus(result), "PREPARE TRANSACTION");
    PQclear(result);
    PQclear(PQgetResult(conn));
    assert_string_equal(notices, "");
    return_standby();
    (void)run(conn, "ROLLBACK PREPARED 'hidden'");
    PQfinish(conn);
    PQfinish(other);
}

/* P-12: without the standby an xid alone, or an UPDATE of no row, commits at once; a logical message waits. */
static void test_fact_only_wal_makes_a_commit_wait(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    PGconn *other = connect_user("postgres");
    lose_standby();
    assert_string_equal(run(conn, "SELECT pg_current_xact_id()"), "SELECT 1");
    assert_string_equal(run(conn, "UPDATE t SET b = 1 WHERE a = -1"), "UPDATE 0");
    assert_int_equal(PQsendQuery(conn, "SELECT pg_logical_emit_message(true, 'assent', '')"), 1);
    await(other, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1");
    return_standby();
    PQclear(PQgetResult(conn));
    PQclear(PQgetResult(conn));
    PQfinish(conn);
    PQfinish(other);
}

/* P-12: a prepared insert into one partition keeps DROP and DETACH of every other one waiting, and new inserts behind
 * them; TRUNCATE of another partition goes through. */
static void test_fact_prepared_insert_blocks_drop_but_not_truncate(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    PGconn *other = connect_user("postgres");
    (void)run(conn, "CREATE TABLE p (k int, v int) PARTITION BY LIST (k)");
    (void)run(conn, "CREATE TABLE p0 PARTITION OF p FOR VALUES IN (0)");
    (void)run(conn, "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)");
    const char *const inserts[] = {"INSERT INTO p VALUES (0, 1)", "INSERT INTO p0 VALUES (0, 1)"};
    for (size_t i = 0; i < 2; i++) {
        (void)run(conn, "BEGIN");
        (void)run(conn, inserts[i]);
        assert_string_equal(run(conn, "PREPARE TRANSACTION 'insert'"), "PREPARE TRANSACTION");
        (void)run(other, "SET lock_timeout = 200");
        assert_string_equal(run(other, "DROP TABLE p1"), "55P03");
        assert_string_equal(run(other, "ALTER TABLE p DETACH PARTITION p1"), "55P03");
        assert_string_equal(run(other, "TRUNCATE p1"), "TRUNCATE TABLE");
        assert_string_equal(run(other, "TRUNCATE p0"), "55P03");
        (void)run(conn, "ROLLBACK PREPARED 'insert'");
    }
    PQfinish(conn);
    PQfinish(other);
}

/* P-20: after COMMIT PREPARED the same gid can be prepared again, as another transaction. */
static void test_fact_gid_can_be_prepared_twice(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    char first[64];
    (void)run(conn, "BEGIN");
    (void)run(conn, "PREPARE TRANSACTION 'twice'");
    (void)snprintf(first, sizeof first, "%s",
                   value(conn, "SELECT transaction FROM pg_prepared_xacts"));
    assert_string_equal(run(conn, "COMMIT PREPARED 'twice'"), "COMMIT PREPARED");
    (void)run(conn, "BEGIN");
    assert_string_equal(run(conn, "PREPARE TRANSACTION 'twice'"), "PREPARE TRANSACTION");
    assert_string_not_equal(value(conn, "SELECT transaction FROM pg_prepared_xacts"), first);
    (void)run(conn, "ROLLBACK PREPARED 'twice'");
    PQfinish(conn);
}

/* P-21: unlock_all frees session locks; one key at both levels makes PREPARE fail. */
static void test_fact_session_and_transaction_lock_cannot_be_prepared(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    (void)run(conn, "SELECT pg_advisory_lock(9)");
    (void)run(conn, "SELECT pg_advisory_unlock_all()");
    assert_string_equal(value(conn, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
                        "0");
    (void)run(conn, "BEGIN");
    (void)run(conn, "SELECT pg_advisory_lock(9), pg_advisory_xact_lock(9)");
    assert_string_equal(run(conn, "PREPARE TRANSACTION 'both'"), "0A000");
    PQfinish(conn);
}

/* P-11: a backend that was stopped before it read its pipeline holds nothing, and prepares when it goes on. */
static void test_fact_stopped_backend_prepares_later(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    PGconn *other = connect_user("postgres");
    pid_t pid = PQbackendPID(conn);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(
        PQsendQuery(conn, "BEGIN; UPDATE t SET b = 5 WHERE a = 5; PREPARE TRANSACTION 'late'"), 1);
    assert_string_equal(value(other, "SELECT count(*) FROM pg_prepared_xacts"), "0");
    (void)run(other, "SET lock_timeout = 1000");
    assert_string_equal(run(other, "UPDATE t SET b = 6 WHERE a = 5"), "UPDATE 1");
    assert_int_equal(kill(pid, SIGCONT), 0);
    await(other, "SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'late'", "1");
    PQfinish(conn);
    (void)run(other, "ROLLBACK PREPARED 'late'");
    PQfinish(other);
}

/* An error after PREPARE in the same pipeline leaves the branch prepared. */
static void test_fact_error_after_prepare_leaves_it_prepared(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    const char *const words[] = {"BEGIN", "PREPARE TRANSACTION 'then'", "SELECT 1/0"};
    assert_int_equal(PQenterPipelineMode(conn), 1);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(PQsendQueryParams(conn, words[i], 0, NULL, NULL, NULL, NULL, 0), 1);
    }
    assert_int_equal(PQpipelineSync(conn), 1);
    for (int nulls = 0; nulls < 3;) {
        PGresult *result = PQgetResult(conn);
        nulls += result == NULL;
        PQclear(result);
    }
    PQclear(PQgetResult(conn));
    assert_int_equal(PQexitPipelineMode(conn), 1);
    assert_string_equal(run(conn, "ROLLBACK PREPARED 'then'"), "ROLLBACK PREPARED");
    PQfinish(conn);
}

/* P-21: COMMIT inside DO, and so inside any procedure, is refused in a transaction block. */
static void test_fact_commit_inside_do_is_refused_in_a_block(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    (void)run(conn, "BEGIN");
    assert_string_equal(run(conn, "DO 'BEGIN COMMIT; END'"), "2D000");
    (void)run(conn, "ROLLBACK");
    PQfinish(conn);
}

/* COMMIT PREPARED cannot run inside a block, nor as one of several in a simple query. */
static void test_fact_commit_prepared_cannot_run_in_a_block(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    assert_string_equal(run(conn, "SELECT 1; COMMIT PREPARED 'x'"), "25001");
    (void)run(conn, "BEGIN");
    assert_string_equal(run(conn, "COMMIT PREPARED 'x'"), "25001");
    (void)run(conn, "ROLLBACK");
    PQfinish(conn);
}

/* Plain SET survives PREPARE and is not undone by ROLLBACK PREPARED. */
static void test_fact_plain_set_survives_prepare(void **state)
{
    (void)state;
    PGconn *conn = connect_user("postgres");
    (void)run(conn, "BEGIN");
    (void)run(conn, "SET work_mem = '33MB'");
    (void)run(conn, "PREPARE TRANSACTION 'set'");
    (void)run(conn, "ROLLBACK PREPARED 'set'");
    assert_string_equal(value(conn, "SHOW work_mem"), "33MB");
    PQfinish(conn);
}

/* P-14: prepared transactions survive a crash of the server. */
static void test_fact_prepared_survives_a_crash(void **state)
{
    (void)state;
    struct error error = {0};
    PGconn *conn = connect_user("postgres");
    (void)run(conn, "BEGIN");
    (void)run(conn, "UPDATE t SET b = 42 WHERE a = 6");
    (void)run(conn, "PREPARE TRANSACTION 'crash'");
    PQfinish(conn);
    assert_true(pgcluster_kill(cluster, &error));
    assert_true(pgcluster_start(cluster, &error));
    conn = connect_user("postgres");
    assert_string_equal(run(conn, "COMMIT PREPARED 'crash'"), "COMMIT PREPARED");
    assert_string_equal(value(conn, "SELECT b FROM t WHERE a = 6"), "42");
    PQfinish(conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fact_prepare_in_failed_block_answers_rollback),
        cmocka_unit_test(test_fact_advisory_lock_survives_prepare),
        cmocka_unit_test(test_fact_xact_status_of_prepared_is_in_progress),
        cmocka_unit_test(test_fact_member_finishes_after_set_role),
        cmocka_unit_test(test_fact_no_xid_does_not_mean_read_only),
        cmocka_unit_test(test_fact_sqlstates_of_two_phase_commands),
        cmocka_unit_test(test_fact_commit_and_chain_escapes_the_pipeline),
        cmocka_unit_test(test_fact_set_role_before_prepare_changes_the_owner),
        cmocka_unit_test(test_fact_prepare_that_waits_is_visible_and_busy),
        cmocka_unit_test(test_fact_settings_hide_the_wait_for_the_standby),
        cmocka_unit_test(test_fact_only_wal_makes_a_commit_wait),
        cmocka_unit_test(test_fact_prepared_insert_blocks_drop_but_not_truncate),
        cmocka_unit_test(test_fact_gid_can_be_prepared_twice),
        cmocka_unit_test(test_fact_session_and_transaction_lock_cannot_be_prepared),
        cmocka_unit_test(test_fact_stopped_backend_prepares_later),
        cmocka_unit_test(test_fact_error_after_prepare_leaves_it_prepared),
        cmocka_unit_test(test_fact_commit_inside_do_is_refused_in_a_block),
        cmocka_unit_test(test_fact_commit_prepared_cannot_run_in_a_block),
        cmocka_unit_test(test_fact_plain_set_survives_prepare),
        cmocka_unit_test(test_fact_prepared_survives_a_crash),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
