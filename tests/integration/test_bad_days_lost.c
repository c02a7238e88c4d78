/*
 * test_bad_days_lost.c - P-14 and H1 with real databases: one is put back to where it was before a commit that everybody has
 * acknowledged. The commit is found missing before anything new is done there, shown as heuristic until a person has
 * acknowledged it, and nothing else is doubted.
 */
#include "test_bad_days_kit.h"

#include <unistd.h>

#define COPY_SUFFIX ".copy"

/* Runs a command as the user who owns the databases. */
static void as_owner(const struct day *day, const char *command)
{
    char line[1024];
    const char *user = stack_os_user(day->stack);
    if (user == NULL) {
        (void)snprintf(line, sizeof line, "%s", command);
    } else {
        (void)snprintf(line, sizeof line, "runuser -u %s -- sh -c '%s'", user, command);
    }
    assert_int_equal(system(line), 0); // NOLINT(cert-env33-c)
}

static void database_stop(struct day *day)
{
    struct error error;
    assert_success(pgcluster_stop(stack_cluster(day->stack, DAY_PAYMENT), PGCLUSTER_FAST, &error),
                   &error);
}

static void database_start(struct day *day)
{
    struct error error;
    assert_success(pgcluster_start(stack_cluster(day->stack, DAY_PAYMENT), &error), &error);
}

static void database_copy(struct day *day)
{
    char command[700];
    const char *data = pgcluster_data_folder(stack_cluster(day->stack, DAY_PAYMENT));
    database_stop(day);
    (void)snprintf(command, sizeof command, "rm -rf %s" COPY_SUFFIX " && cp -a %s %s" COPY_SUFFIX,
                   data, data, data);
    as_owner(day, command);
    database_start(day);
    day_expect_whole(day);
}

/* As a snapshot of the disk does it, or as a restored backup, which begins a timeline of its own. */
static void database_put_back(struct day *day, bool new_timeline)
{
    char command[1000];
    const char *data = pgcluster_data_folder(stack_cluster(day->stack, DAY_PAYMENT));
    database_stop(day);
    (void)snprintf(command, sizeof command, "rm -rf %s && mv %s" COPY_SUFFIX " %s%s%s%s", data,
                   data, data, new_timeline ? " && touch " : "", new_timeline ? data : "",
                   new_timeline ? "/recovery.signal" : "");
    as_owner(day, command);
    if (new_timeline) {
        (void)snprintf(command, sizeof command,
                       "echo \"restore_command = \\\"/bin/false\\\"\" | tr \\\" \\\\047 >> "
                       "%s/postgresql.auto.conf",
                       data);
        as_owner(day, command);
    }
    database_start(day);
}

struct listed {
    struct day *day;
    size_t count;
    bool names_it;
    const char *id;
};

static bool is_listed(void *user)
{
    struct listed *listed = user;
    struct http_reply reply;
    struct error error;
    if (!stack_http(listed->day->stack, "/v1/transactions?state=heuristic", NULL, NULL, &reply,
                    &error)) {
        return false;
    }
    listed->count = 0;
    for (const char *at = reply.body; (at = strstr(at, "\"state\":\"heuristic\"")) != NULL; at++) {
        listed->count++;
    }
    listed->names_it = strstr(reply.body, listed->id) != NULL;
    http_reply_done(&reply);
    return listed->count > 0;
}

static void expect_heuristic(struct day *day, const struct deal *deal)
{
    struct listed listed = {.day = day, .id = deal->answer.id};
    assert_true(stack_poll(stack_coordinator(day->stack), day_soon(), is_listed, &listed));
    assert_int_equal(listed.count, 1);
    assert_true(listed.names_it);
}

static void forget(struct day *day, const struct deal *deal)
{
    char path[256];
    struct http_reply reply;
    struct error error;
    (void)snprintf(path, sizeof path, "/v1/transactions/%s/resolve", deal->answer.id);
    assert_success(stack_http(day->stack, path, NULL,
                              "{\"action\":\"forget\",\"participant\":\"payment\","
                              "\"comment\":\"entered again by hand\"}",
                              &reply, &error),
                   &error);
    assert_int_equal(reply.status, 200);
    http_reply_done(&reply);
}

static void lose_a_commit(struct day *day, bool new_timeline, bool restart_coordinator)
{
    struct deal kept, lost, later;
    struct error error;
    deal_make(day, &kept, (struct checkout){0});
    deal_make(day, &lost, (struct checkout){0});
    deal_make(day, &later, (struct checkout){0});
    deal_submit(day, &kept);
    deal_expect(day, &kept, TOLD_COMMITTED, 1);
    database_copy(day);
    /* More than a starting server writes by itself: on one timeline only the position tells (P-14). */
    day_sql(day, DAY_PAYMENT,
            "SELECT pg_logical_emit_message(true, 'other work', repeat('x', 1000000))");
    deal_submit(day, &lost);
    deal_expect(day, &lost, TOLD_COMMITTED, 1);
    if (restart_coordinator) { /* then only the journal knows where the database stood */
        assert_success(stack_daemon_stop(stack_coordinator(day->stack), &error), &error);
    }
    database_put_back(day, new_timeline);
    if (restart_coordinator) {
        assert_success(stack_daemon_start(stack_coordinator(day->stack), NULL, &error), &error);
    }
    expect_heuristic(day, &lost);
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    deal_submit(day, &later);
    deal_expect(day, &later, TOLD_COMMITTED, 1);
    deal_expect_rows(day, &kept, 1);
    forget(day, &lost);
    deal_done(&kept);
    deal_done(&lost);
    deal_done(&later);
}

/* A database that is put back on its own timeline, as a snapshot of its disk does it. */
static void test_snapshot_of_the_disk_loses_a_commit_that_is_found(void **state)
{
    lose_a_commit(*state, false, false);
}

/* A restored backup has a timeline of its own, and its coordinator was started again meanwhile. */
static void test_restored_backup_loses_a_commit_that_is_found_after_a_restart(void **state)
{
    lose_a_commit(*state, true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        day_test(test_snapshot_of_the_disk_loses_a_commit_that_is_found),
        day_test(test_restored_backup_loses_a_commit_that_is_found_after_a_restart),
    };
    return cmocka_run_group_tests(tests, day_clusters_make, day_clusters_free);
}
