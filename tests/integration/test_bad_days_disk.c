/*
 * test_bad_days_disk.c - disks that are full, with real daemons: the journal's, and the one that a participant's WAL is on.
 */
#include "test_bad_days_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DISK_BYTES ((size_t)24 << 20)

static char disk[64];           /* a small file system of our own; "": none */
static struct pgcluster *moved; /* the cluster whose WAL is on it */

/* False, with a line saying why, where that is not allowed. */
static bool disk_make(void)
{
    char options[64];
    (void)snprintf(disk, sizeof disk, "/tmp/assent-disk-XXXXXX");
    assert_non_null(mkdtemp(disk));
    (void)snprintf(options, sizeof options, "size=%zu,mode=0755", DISK_BYTES);
    if (mount("assent-test", disk, "tmpfs", 0, options) != 0) {
        print_message("skipped: a tmpfs can not be mounted here: %s\n", strerror(errno));
        (void)rmdir(disk);
        disk[0] = '\0';
        return false;
    }
    const struct passwd *user = getpwnam("postgres");
    assert_true(user != NULL && chown(disk, user->pw_uid, user->pw_gid) == 0);
    return true;
}

static void disk_fill(off_t bytes)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/filler", disk);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, bytes), 0);
    assert_int_equal(close(fd), 0);
}

static void disk_free(void)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/filler", disk);
    assert_int_equal(unlink(path), 0);
}

static off_t disk_available(void)
{
    struct statvfs status;
    assert_int_equal(statvfs(disk, &status), 0);
    return (off_t)(status.f_bavail * status.f_frsize);
}

/* In the data folder of a cluster that does not run; $1 is the disk. */
static bool shell(const struct pgcluster *cluster, const char *script, struct error *ret_error)
{
    const char *const argv[] = {"sh", "-euc", script, "sh", disk, NULL};
    const struct process_options options = {.argv = argv, .folder = pgcluster_data_folder(cluster)};
    int code = 0;
    return process_run(&options, day_soon(), &code, ret_error) &&
           (code == 0 || error_set(ret_error, ERROR_SYSTEM, "exit code %d of: %s", code, script));
}

static bool wal_move(struct pgcluster *cluster, struct error *ret_error)
{
    moved = cluster;
    return pgcluster_stop(cluster, PGCLUSTER_FAST, ret_error) &&
           shell(cluster,
                 "cp -a pg_wal \"$1\"; mv pg_wal pg_wal.before; ln -s \"$1/pg_wal\" pg_wal",
                 ret_error) &&
           pgcluster_start(cluster, ret_error);
}

static bool wal_move_back(struct error *ret_error)
{
    return pgcluster_kill(moved, ret_error) &&
           shell(moved, "rm -r pg_wal pg_wal.before; cp -a \"$1/pg_wal\" pg_wal", ret_error) &&
           pgcluster_start(moved, ret_error);
}

/* Also after a failed test; the other tests of the program need the cluster. */
static int disk_end(void **state)
{
    struct error error;
    bool succeeded = day_end(state) == 0;
    if (moved != NULL && !wal_move_back(&error)) {
        print_message("%s\n", error.text);
        succeeded = false;
    }
    moved = NULL;
    if (disk[0] != '\0') {
        succeeded = umount2(disk, MNT_DETACH) == 0 && rmdir(disk) == 0 && succeeded;
        disk[0] = '\0';
    }
    return succeeded ? 0 : -1;
}

/* With only the reserve left new work is refused as degraded, what was decided is finished all the
 * same, and everything goes on when there is space again. */
static void test_full_disk_finishes_decided_work_and_recovers(void **state)
{
    struct day *day = *state;
    struct deal decided, refused;
    struct error error;
    if (!disk_make()) {
        skip();
    }
    day_stack(day, (struct stack_options){.journal_folder = disk,
                                          .assentd_lines = "journal_reserve = 4MiB\n"});
    day_start(day);
    deal_make(day, &decided, (struct checkout){0});
    struct stack_daemon *agent = stack_agent(day->stack, DAY_PAYMENT);
    assert_success(stack_daemon_stop(agent, &error), &error);
    assert_success(stack_daemon_start_faulty(agent, "a.commit.recv", &error), &error);
    assert_success(stack_wait_ready(day->stack, day_soon(), &error), &error);
    struct checkout_call *call = checkout_begin(day->stack, decided.key, decided.body);
    assert_true(stack_daemon_wait(agent, day_soon(), NULL)); /* decided, and not finished */

    off_t offset = stack_daemon_log_size(stack_coordinator(day->stack));
    disk_fill(disk_available() - (256 << 10));
    day_wait_log(day, stack_coordinator(day->stack), offset, "new work is refused");
    day_wait_not_ready(day);
    assert_success(stack_daemon_start(agent, NULL, &error), &error);
    day_wait_prepared(day, DAY_PAYMENT, "assent:", 0);
    checkout_end(call, &decided.answer);
    deal_expect(day, &decided, TOLD_COMMITTED, 1);
    deal_make(day, &refused, (struct checkout){0});
    deal_submit(day, &refused);
    assert_int_equal(refused.answer.status, 503);
    assert_string_equal(refused.answer.reason, "capacity");
    deal_expect(day, &refused, TOLD_REFUSED, 0);

    disk_free();
    day_expect_whole(day);
    deal_again(day, &refused, TOLD_COMMITTED, 1);
    assert_success(stack_journal_verify(day->stack, &error), &error);
    deal_done(&decided);
    deal_done(&refused);
}

/* No space for the WAL: the server gives up, and does not come back before there is some. What was decided is finished then. */
static void test_full_disk_of_the_wal_is_a_server_that_is_down(void **state)
{
    struct day *day = *state;
    struct deal decided, refused;
    struct error error;
    char id[160], known[32];
    struct pgcluster *payment = day->clusters[DAY_PAYMENT];
    if (!disk_make()) {
        skip();
    }
    assert_success(wal_move(payment, &error), &error);
    day_stack(day, (struct stack_options){0});
    day_start(day);
    deal_make(day, &decided, (struct checkout){0});
    deal_make(day, &refused, (struct checkout){0});
    day_leave_at(day, &decided, "c.decide.post_sync");
    day_wait_prepared(day, DAY_PAYMENT, "assent:", 1);

    disk_fill(disk_available());
    bool is_up = true;
    for (int i = 0; i < 100 && is_up; i++) { /* files that were made ahead are used up first */
        is_up = stack_sql(day->stack, DAY_PAYMENT, "SELECT pg_switch_wal(), txid_current()", NULL,
                          &error);
    }
    assert_false(is_up);
    assert_success(stack_daemon_start(stack_coordinator(day->stack), NULL, &error), &error);
    day_wait_prepared(day, DAY_ORDER, "assent:", 0);
    day_wait_not_ready(day);
    deal_submit(day, &refused);
    assert_int_equal(refused.answer.status, 503);
    assert_success(checkout_state_by_key(day->stack, decided.key, known, id, &error), &error);
    assert_string_equal(known, "committing");

    disk_free();
    assert_success(pgcluster_kill(payment, &error), &error); /* if it has not ended by itself */
    assert_success(pgcluster_start(payment, &error), &error);
    day_expect_whole(day);
    deal_expect_rows(day, &decided, 1);
    deal_again(day, &refused, TOLD_COMMITTED, 1);
    deal_done(&decided);
    deal_done(&refused);
}

#define disk_test(test_) cmocka_unit_test_setup_teardown(test_, day_begin_idle, disk_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        disk_test(test_full_disk_finishes_decided_work_and_recovers),
        disk_test(test_full_disk_of_the_wal_is_a_server_that_is_down),
    };
    return cmocka_run_group_tests(tests, day_clusters_make, day_clusters_free);
}
