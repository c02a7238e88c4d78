/*
 * test_pgcluster.c - private clusters: prepared transactions survive every way of stopping, and
 * nothing is left behind.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "common/clock.h"
#include "tests/lib/pgcluster.h"
#include "tests/lib/process.h"

static void assert_sql(const struct pgcluster *cluster, const char *sql, const char *expected)
{
    char *value = NULL;
    struct error error;
    assert_success(pgcluster_sql(cluster, "postgres", sql, &value, &error), &error);
    if (expected == NULL) {
        assert_null(value);
    } else {
        assert_non_null(value);
        assert_string_equal(value, expected);
    }
    free(value);
}

/* Defaults: syncs on, no TCP, room for prepared transactions, and the version that Assent is for.
 */
static void test_pgcluster_default_has_promised_settings(void **state)
{
    const struct pgcluster *cluster = *state;
    struct error error;
    assert_sql(cluster, "SHOW fsync", "on");
    assert_sql(cluster, "SHOW listen_addresses", "");
    assert_sql(cluster, "SHOW max_prepared_transactions", "64");
    assert_sql(cluster, "SELECT current_setting('server_version_num')::int / 10000", "15");
    assert_sql(cluster, "SELECT NULL", NULL);
    assert_false(pgcluster_sql(cluster, "postgres", "SELECT 1/0", NULL, &error));
    assert_non_null(strstr(error.text, "division by zero"));

    char *conninfo = pgcluster_conninfo_for(cluster, "template1", "postgres");
    PGconn *connection = PQconnectdb(conninfo);
    assert_int_equal(PQstatus(connection), CONNECTION_OK);
    assert_string_equal(PQdb(connection), "template1");
    PQfinish(connection);
    free(conninfo);
}

/* A prepared transaction survives a fast stop, an immediate stop, and a kill of the postmaster. */
static void test_pgcluster_prepared_survives_every_stop(void **state)
{
    struct pgcluster *cluster = *state;
    struct error error;
    assert_sql(cluster, "BEGIN; CREATE TABLE t (i int); PREPARE TRANSACTION 'g'", NULL);
    assert_success(pgcluster_restart(cluster, PGCLUSTER_FAST, &error), &error);
    assert_sql(cluster, "SELECT gid FROM pg_prepared_xacts", "g");
    assert_success(pgcluster_restart(cluster, PGCLUSTER_IMMEDIATE, &error), &error);
    assert_sql(cluster, "SELECT gid FROM pg_prepared_xacts", "g");
    assert_success(pgcluster_kill(cluster, &error), &error);
    assert_int_equal(pgcluster_pid(cluster), 0);
    assert_false(pgcluster_sql(cluster, "postgres", "SELECT 1", NULL, &error));
    assert_success(pgcluster_start(cluster, &error), &error);
    assert_sql(cluster, "SELECT gid FROM pg_prepared_xacts", "g");
    assert_sql(cluster, "ROLLBACK PREPARED 'g'", NULL);
}

/* A server can be killed in the middle of its recovery; the next start recovers what was there. */
static void test_pgcluster_killed_in_recovery_recovers(void **state)
{
    struct pgcluster *cluster = *state;
    struct error error;
    assert_false(pgcluster_kill_in_recovery(cluster, &error));
    assert_sql(cluster, "BEGIN; CREATE TABLE u (i int); PREPARE TRANSACTION 'h'", NULL);
    assert_success(pgcluster_kill(cluster, &error), &error);
    assert_success(pgcluster_kill_in_recovery(cluster, &error), &error);
    assert_int_equal(pgcluster_pid(cluster), 0);
    assert_success(pgcluster_start(cluster, &error), &error);
    assert_sql(cluster, "SELECT gid FROM pg_prepared_xacts", "h");
    assert_sql(cluster, "ROLLBACK PREPARED 'h'", NULL);
}

/* A kill is over only when open sessions' processes are gone as well, so a start works at once. */
static void test_pgcluster_kill_with_open_session_restarts(void **state)
{
    struct pgcluster *cluster = *state;
    struct error error;
    PGconn *connection = PQconnectdb(pgcluster_conninfo(cluster));
    assert_int_equal(PQstatus(connection), CONNECTION_OK);
    assert_int_equal(PQsendQuery(connection, "SELECT pg_sleep(1000)"), 1);
    assert_success(pgcluster_kill(cluster, &error), &error);
    assert_success(pgcluster_start(cluster, &error), &error);
    PQfinish(connection);
    assert_sql(cluster, "SELECT 1", "1");
}

/* Starting twice and stopping twice are errors. */
static void test_pgcluster_wrong_state_is_refused(void **state)
{
    struct pgcluster *cluster = *state;
    struct error error;
    assert_false(pgcluster_start(cluster, &error));
    assert_success(pgcluster_stop(cluster, PGCLUSTER_FAST, &error), &error);
    assert_false(pgcluster_stop(cluster, PGCLUSTER_FAST, &error));
    assert_success(pgcluster_start(cluster, &error), &error);
}

/* New configuration counts from the next start; one that PostgreSQL refuses makes the start fail.
 */
static void test_pgcluster_configure_takes_effect_at_start(void **state)
{
    struct pgcluster *cluster = *state;
    struct error error;
    assert_success(pgcluster_configure(cluster, "max_prepared_transactions = 3", &error), &error);
    assert_success(pgcluster_restart(cluster, PGCLUSTER_FAST, &error), &error);
    assert_sql(cluster, "SHOW max_prepared_transactions", "3");
    assert_success(pgcluster_stop(cluster, PGCLUSTER_FAST, &error), &error);
    assert_success(pgcluster_configure(cluster, "no_such_setting = 1", &error), &error);
    assert_false(pgcluster_start(cluster, &error));
    assert_success(pgcluster_configure(cluster, "max_prepared_transactions = 64", &error), &error);
}

/* Options are applied, two clusters differ in identity, and TCP works where asked for; freeing
 * removes the folder and the processes. */
static void test_pgcluster_options_and_free(void **state)
{
    (void)state;
    struct pgcluster *first;
    struct pgcluster *second;
    char *first_id;
    char *second_id;
    struct error error;
    const struct pgcluster_options options = {
        .max_prepared_transactions = 0, .listens_on_tcp = true, .extra_conf = "work_mem = 5MB"};
    static const char sql[] = "SELECT system_identifier FROM pg_control_system()";
    assert_success(pgcluster_new(&options, &first, &error), &error);
    assert_success(pgcluster_new(NULL, &second, &error), &error);
    assert_sql(first, "SHOW max_prepared_transactions", "0");
    assert_sql(first, "SHOW work_mem", "5MB");
    assert_success(pgcluster_sql(first, "postgres", sql, &first_id, &error), &error);
    assert_success(pgcluster_sql(second, "postgres", sql, &second_id, &error), &error);
    assert_string_not_equal(first_id, second_id);
    free(first_id);
    free(second_id);

    char conninfo[128];
    (void)snprintf(conninfo, sizeof conninfo,
                   "host=127.0.0.1 port=%u user=postgres dbname=postgres", pgcluster_port(first));
    PGconn *connection = PQconnectdb(conninfo);
    assert_int_equal(PQstatus(connection), CONNECTION_OK);
    PQfinish(connection);

    char folder[64];
    struct stat status;
    pid_t pid = pgcluster_pid(first);
    (void)snprintf(folder, sizeof folder, "%s", pgcluster_folder(first));
    pgcluster_free(first);
    pgcluster_free(second);
    assert_int_equal(stat(folder, &status), -1);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

/* When a test dies without cleaning up, its postmaster stops: the log says so. */
static void test_pgcluster_dying_test_stops_postmaster(void **state)
{
    (void)state;
    int pipe_ends[2];
    char folder[64] = "";
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t starter = fork();
    assert_true(starter >= 0);
    if (starter == 0) {
        struct pgcluster *cluster;
        if (!pgcluster_new(NULL, &cluster, NULL)) {
            _exit(1);
        }
        const char *made = pgcluster_folder(cluster);
        bool told = write(pipe_ends[1], made, strlen(made)) == (ssize_t)strlen(made);
        _exit(told ? 0 : 1);
    }
    int wait_status;
    assert_int_equal(waitpid(starter, &wait_status, 0), starter);
    assert_true(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0);
    assert_int_equal(close(pipe_ends[1]), 0);
    assert_true(read(pipe_ends[0], folder, sizeof folder - 1) > 0);
    assert_int_equal(close(pipe_ends[0]), 0);

    char log_path[96];
    struct error error;
    (void)snprintf(log_path, sizeof log_path, "%s/log", folder);
    assert_success(process_wait_line(NULL, log_path, 0, "database system is shut down",
                                     clock_monotonic_ms() + 30000, NULL, 0, NULL, &error),
                   &error);
    assert_success(process_remove_folder(folder, &error), &error);
}

static int set_up(void **state)
{
    struct pgcluster *cluster;
    struct error error;
    if (!pgcluster_new(NULL, &cluster, &error)) {
        (void)fprintf(stderr, "%s\n", error.text);
        return -1;
    }
    *state = cluster;
    return 0;
}

static int tear_down(void **state)
{
    pgcluster_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pgcluster_default_has_promised_settings),
        cmocka_unit_test(test_pgcluster_prepared_survives_every_stop),
        cmocka_unit_test(test_pgcluster_killed_in_recovery_recovers),
        cmocka_unit_test(test_pgcluster_kill_with_open_session_restarts),
        cmocka_unit_test(test_pgcluster_wrong_state_is_refused),
        cmocka_unit_test(test_pgcluster_options_and_free),
        cmocka_unit_test(test_pgcluster_dying_test_stops_postmaster),
        cmocka_unit_test(test_pgcluster_configure_takes_effect_at_start),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
