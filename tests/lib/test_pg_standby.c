/* test_pg_standby.c - commits wait for a standby that is away, and not for the setting alone. */
#include "tests/lib/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#include "common/clock.h"
#include "tests/lib/pg_standby.h"

#define WAIT_MS  20000
#define SHORT_MS 300

static struct pgcluster *cluster;

static int set_up(void **state)
{
    (void)state;
    struct error error = {0};
    assert_success(pgcluster_new(NULL, &cluster, &error), &error);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pgcluster_free(cluster);
    return 0;
}

static uint64_t deadline(uint64_t wait_ms)
{
    return clock_monotonic_ms() + wait_ms;
}

static int ask_number(const char *sql)
{
    struct error error = {0};
    char *value = NULL;
    assert_success(pgcluster_sql(cluster, "postgres", sql, &value, &error), &error);
    assert_non_null(value);
    int number = (int)strtol(value, NULL, 10);
    free(value);
    return number;
}

static int ask_waiting(void)
{
    return ask_number("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
}

static pid_t checkpointer_pid(void)
{
    return ask_number("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
}

/* The first commit after the loss waits, nobody else does, and the return lets it go. */
static void test_pg_standby_lost_and_returned_holds_one_commit_between(void **state)
{
    (void)state;
    struct error error = {0};
    PGconn *conn = PQconnectdb(pgcluster_conninfo(cluster));
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    assert_success(pg_standby_lose(cluster, deadline(WAIT_MS), &error), &error);
    assert_int_equal(ask_waiting(), 0);
    assert_int_equal(PQsendQuery(conn, "CREATE TABLE held (i int)"), 1);
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    for (uint64_t end_ms = deadline(WAIT_MS); ask_waiting() != 1;) {
        assert_true(clock_monotonic_ms() < end_ms);
        (void)nanosleep(&pause, NULL); /* between polls of another process's state */
    }
    assert_success(pg_standby_return(cluster, deadline(WAIT_MS), &error), &error);
    PGresult *result = PQgetResult(conn);
    assert_string_equal(PQcmdStatus(result), "CREATE TABLE");
    PQclear(result);
    PQfinish(conn);
    assert_int_equal(ask_waiting(), 0);
}

/* A checkpointer that has not read the setting keeps both waiting although every session shows it; the error at the
 * deadline says what was awaited. */
static void test_pg_standby_checkpointer_stopped_is_an_error_in_time(void **state)
{
    (void)state;
    struct error error = {0};
    pid_t checkpointer = checkpointer_pid();
    assert_int_equal(kill(checkpointer, SIGSTOP), 0);
    bool lost = pg_standby_lose(cluster, deadline(SHORT_MS), &error);
    assert_int_equal(kill(checkpointer, SIGCONT), 0);
    assert_false(lost);
    assert_non_null(strstr(error.text, "awaited was that it waits for the standby"));
    assert_success(pg_standby_lose(cluster, deadline(WAIT_MS), &error), &error);

    assert_int_equal(kill(checkpointer, SIGSTOP), 0);
    bool returned = pg_standby_return(cluster, deadline(SHORT_MS), &error);
    assert_int_equal(kill(checkpointer, SIGCONT), 0);
    assert_false(returned);
    assert_non_null(strstr(error.text, "awaited was that the checkpointer reads"));
    assert_success(pg_standby_return(cluster, deadline(WAIT_MS), &error), &error);
}

/* A server that cannot be reached is an error at once. */
static void test_pg_standby_server_down_is_an_error(void **state)
{
    (void)state;
    struct error error = {0};
    assert_success(pgcluster_stop(cluster, PGCLUSTER_FAST, &error), &error);
    assert_false(pg_standby_lose(cluster, deadline(WAIT_MS), &error));
    assert_non_null(strstr(error.text, "taking the standby away"));
    assert_false(pg_standby_return(cluster, deadline(WAIT_MS), &error));
    assert_non_null(strstr(error.text, "giving the standby back"));
    assert_success(pgcluster_start(cluster, &error), &error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pg_standby_lost_and_returned_holds_one_commit_between),
        cmocka_unit_test(test_pg_standby_checkpointer_stopped_is_an_error_in_time),
        cmocka_unit_test(test_pg_standby_server_down_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
